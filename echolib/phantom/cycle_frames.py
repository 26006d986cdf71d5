"""Single frames, each with the end-diastolic and the end-systolic frame of its heart as neighbours.

They train `lv_cycle`: a network that sees how far the walls move outlines the contracted cavity
better than a network that sees a single frame.
"""

from functools import partial

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from ..cores import worker_count
from ..data.frame_checks import COLUMNS
from ..data.frames import FrameSet
from ..geometry import CHORDS, LANDMARKS, disk_volume, outline_to_tracing
from .common import CYCLE_STREAM, FPS, WARM_UP_FRAMES, check_seed
from .scene import draw_scan, label_map, trace
from .sector import REFERENCE_SIZE
from .single_frames import MAX_VALIDATION, held_out_split
from .ultrasound import Scan
from .workers import in_parallel

# End-diastole and end-systole are missed by a random time, as a network misses them: standard
# deviation and largest value, s.
TIMING_ERROR, MAX_TIMING_ERROR = 0.025, 0.06
PER_HEART = 3  # frames: end-diastole, end-systole, and one at a random moment
BIN = 5.0  # width of the bins of ejection fraction, points
# 0: training hearts keep the drawn distribution of ejection fractions; 1: all bins are equal
BALANCE = 0.75


def draw_cycle_frames(
    count: int, seed: int = 0, workers: int | None = None, progress: bool = True
) -> FrameSet:
    """Draw three frames of each of `count` hearts, with the ED and ES frames as neighbours.

    The three frames are the ED frame, the ES frame and one at a random moment, 112 x 112 px each.
    ED and ES are missed by some hundredths of a second, as a network misses them. Each heart is
    a patient. The last tenth of the hearts, at most 800 frames, are the validation split. The
    training hearts are resampled: rare ejection fractions occur several times, and some hearts
    with a common one not at all, because a network that mostly sees strong hearts outlines weak
    hearts as if they were stronger. workers: as for `single_frames.draw_frames`. Raises
    ValueError for fewer than two hearts or a negative seed.
    """
    if count < 2:
        raise ValueError(
            f"count must be 2 or more hearts, one of them for validation, not {count}."
        )
    check_seed(seed)
    size = REFERENCE_SIZE
    images: np.ndarray = np.empty((count, PER_HEART, size, size), np.uint8)
    regions: np.ndarray = np.empty_like(images)
    landmarks: np.ndarray = np.empty((count, PER_HEART, LANDMARKS, 2), np.float32)
    task = partial(_draw_heart_frames, seed=seed)
    results = in_parallel(task, range(count), worker_count(workers), chunk=16)
    for index, drawn in enumerate(tqdm(results, "phantom cycles", count, disable=not progress)):
        images[index], regions[index], landmarks[index] = drawn
    neighbours = np.repeat(images[:, :2], PER_HEART, axis=0)
    images, regions, landmarks = (a.reshape(-1, *a.shape[2:]) for a in (images, regions, landmarks))
    frames = FrameSet(
        images, regions == 1, landmarks, _table(count, seed), regions=regions,
        neighbours=neighbours,
    )  # fmt: skip
    return frames.select(balanced_indices(frames, np.random.default_rng([seed, CYCLE_STREAM])))


def balanced_indices(frames: FrameSet, generator: np.random.Generator) -> np.ndarray:
    """Resample the training hearts so that their ejection fractions are spread more evenly.

    frames: `PER_HEART` frames of each heart, in order, validation hearts last. Returns the indices
    of the frames of the resampled training hearts, then of the unchanged validation hearts. Raises
    ValueError for frames without landmarks, from which the ejection fractions are computed.
    """
    if frames.landmarks is None:
        raise ValueError(
            "frames: expected a FrameSet with landmarks, found one without. Take the frames of "
            "`draw_cycle_frames`."
        )
    ends = frames.landmarks.reshape(-1, PER_HEART, *frames.landmarks.shape[1:])[:, :2]
    base = slice(CHORDS - 1, CHORDS + 1)
    volumes = [
        disk_volume(outline_to_tracing(points, corners=points[base]))
        for points in ends.reshape(-1, *ends.shape[2:])
    ]
    diastole, systole = np.array(volumes).reshape(-1, 2).T
    fraction = 100 * (diastole - systole) / diastole
    training = np.flatnonzero((frames.table.split == "train")[::PER_HEART])
    bins = np.floor(fraction[training] / BIN)
    _, place, counts = np.unique(bins, return_inverse=True, return_counts=True)
    weights = counts[place] ** -BALANCE
    chosen = generator.choice(training, len(training), p=weights / weights.sum())
    hearts = np.concatenate([np.sort(chosen), np.arange(training[-1] + 1, len(fraction))])
    return (PER_HEART * hearts[:, None] + np.arange(PER_HEART)).ravel()


def _draw_heart_frames(index: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images, regions and landmarks of heart number `index`, `PER_HEART` of each."""
    scan, choice = draw_scan(seed, CYCLE_STREAM, index, REFERENCE_SIZE)
    errors = np.clip(choice.normal(0, TIMING_ERROR, 2), -MAX_TIMING_ERROR, MAX_TIMING_ERROR)
    moments = [errors[0], scan.cycle.end_systole + errors[1], choice.uniform(0, scan.cycle.period)]
    images, regions, landmarks = [], [], []
    for moment in moments:
        images.append(_render_frame(scan, moment))
        tracing = trace(scan, moment)
        regions.append(label_map(scan, moment, tracing))
        landmarks.append(tracing.landmarks)
    return np.stack(images), np.stack(regions), np.stack(landmarks)


def _render_frame(scan: Scan, moment: float) -> np.ndarray:
    """Render the frame at a moment, after warm-up frames if the renderer has persistence."""
    if scan.renderer == "physical":
        for earlier in range(WARM_UP_FRAMES, 0, -1):
            scan.frame(moment - earlier / FPS)
    return scan.frame(moment)


def _table(count: int, seed: int) -> pd.DataFrame:
    """The table of the frames before resampling, with the columns of `FrameSet`."""
    names = [f"0xPC{seed:04X}{index:06X}" for index in range(count)]
    split = held_out_split(count, MAX_VALIDATION // PER_HEART)
    table = pd.DataFrame({"clip": names, "patient": names, "split": split})
    table = table.loc[table.index.repeat(PER_HEART)].reset_index(drop=True)
    table = table.assign(
        frame=np.tile(np.arange(PER_HEART), count), phase=np.tile(["ED", "ES", ""], count)
    )
    table = table.assign(source="phantom", fps=np.nan, spacing=np.nan)
    table = table.assign(height=REFERENCE_SIZE, width=REFERENCE_SIZE)
    return table[COLUMNS]
