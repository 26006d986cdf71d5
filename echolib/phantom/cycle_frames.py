"""Single frames, each with the end-diastolic and the end-systolic frame of its heart as neighbours.

They train `lv_cycle` and `lv_cycle_landmarks`: networks that see how far the walls move outline the
contracted cavity better than those that see a single frame.
"""

from functools import partial

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from ..cores import worker_count
from ..data.frame_checks import COLUMNS
from ..data.frames import FrameSet
from ..geometry import LANDMARKS, disk_volume, ejection_fraction
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
CANDIDATES = 2  # hearts that are drawn for each training heart
# 0: the chosen hearts have the ejection fractions of all; 1: all bins are wanted equally
BALANCE = 0.75


def draw_cycle_frames(
    count: int, seed: int = 0, workers: int | None = None, progress: bool = True
) -> FrameSet:
    """Draw three frames of each of `count` hearts, with the ED and ES frames as neighbours.

    The three frames are the ED frame, the ES frame and one at a random moment, 112 x 112 px each.
    ED and ES are missed by some hundredths of a second, as a network misses them. Each heart is
    a patient. The last tenth of the hearts, at most 266, are the validation split. The training
    hearts are chosen from `CANDIDATES` times as many, so that rare ejection fractions are more
    frequent than they are among all: a network that mostly sees strong hearts outlines weak ones
    as if they were stronger. workers: as for `single_frames.draw_frames`. Raises ValueError for
    fewer than two hearts or a negative seed.
    """
    if count < 2:
        raise ValueError(
            f"count must be 2 or more hearts, one of them for validation, not {count}."
        )
    check_seed(seed)
    size, workers = REFERENCE_SIZE, worker_count(workers)
    split = held_out_split(count, MAX_VALIDATION // PER_HEART)
    held_out, training = (int(np.count_nonzero(split == name)) for name in ("val", "train"))
    candidates = range(held_out, held_out + CANDIDATES * training)
    fractions = in_parallel(partial(_ejection_fraction, seed=seed), candidates, workers, chunk=64)
    bar = tqdm(fractions, "phantom hearts", len(candidates), disable=not progress)
    generator = np.random.default_rng([seed, CYCLE_STREAM])
    chosen = held_out + balanced_choice(np.array(list(bar)), training, generator)
    hearts = np.concatenate([chosen, np.arange(held_out)])
    images: np.ndarray = np.empty((count, PER_HEART, size, size), np.uint8)
    regions: np.ndarray = np.empty_like(images)
    landmarks: np.ndarray = np.empty((count, PER_HEART, LANDMARKS, 2), np.float32)
    results = in_parallel(
        partial(_draw_heart_frames, seed=seed), hearts.tolist(), workers, chunk=16
    )
    for index, drawn in enumerate(tqdm(results, "phantom cycles", count, disable=not progress)):
        images[index], regions[index], landmarks[index] = drawn
    neighbours = np.repeat(images[:, :2], PER_HEART, axis=0)
    images, regions, landmarks = (a.reshape(-1, *a.shape[2:]) for a in (images, regions, landmarks))
    return FrameSet(
        images, regions == 1, landmarks, _table(hearts, split, seed), regions=regions,
        neighbours=neighbours,
    )  # fmt: skip


def balanced_choice(
    fractions: np.ndarray, count: int, generator: np.random.Generator
) -> np.ndarray:
    """Choose hearts, none twice, so that their ejection fractions are spread more evenly.

    fractions: (n,) per cent. Returns the sorted indices of `count` of the hearts.
    """
    _, place, counts = np.unique(fractions // BIN, return_inverse=True, return_counts=True)
    weights = counts[place] ** -BALANCE
    share = weights / weights.sum()
    return np.sort(generator.choice(len(fractions), count, replace=False, p=share))


def _ejection_fraction(index: int, seed: int) -> float:
    """Ejection fraction of heart number `index` in per cent, by the walls as they are."""
    scan, _ = draw_scan(seed, CYCLE_STREAM, index, REFERENCE_SIZE)
    large, small = (disk_volume(trace(scan, moment)) for moment in (0.0, scan.cycle.end_systole))
    return ejection_fraction(large, small)


def _draw_heart_frames(index: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images, regions and landmarks of heart number `index`, `PER_HEART` of each."""
    scan, choice = draw_scan(seed, CYCLE_STREAM, index, REFERENCE_SIZE)
    errors = np.clip(choice.normal(0, TIMING_ERROR, 2), -MAX_TIMING_ERROR, MAX_TIMING_ERROR)
    moments = [errors[0], scan.cycle.end_systole + errors[1], choice.uniform(0, scan.cycle.period)]
    images, regions, landmarks = [], [], []
    for moment in moments:
        images.append(_render_frame(scan, moment))
        tracing = trace(scan, moment, images[-1])
        regions.append(label_map(scan, moment, tracing))
        landmarks.append(tracing.landmarks)
    return np.stack(images), np.stack(regions), np.stack(landmarks)


def _render_frame(scan: Scan, moment: float) -> np.ndarray:
    """Render the frame at a moment, after warm-up frames if the renderer has persistence."""
    if scan.renderer == "physical":
        for earlier in range(WARM_UP_FRAMES, 0, -1):
            scan.frame(moment - earlier / FPS)
    return scan.frame(moment)


def _table(hearts: np.ndarray, split: np.ndarray, seed: int) -> pd.DataFrame:
    """The table of the frames of these hearts, with the columns of `FrameSet`."""
    names = [f"0xPC{seed:04X}{heart:06X}" for heart in hearts]
    table = pd.DataFrame({"clip": names, "patient": names, "split": split})
    table = table.loc[table.index.repeat(PER_HEART)].reset_index(drop=True)
    table = table.assign(
        frame=np.tile(np.arange(PER_HEART), len(hearts)),
        phase=np.tile(["ED", "ES", ""], len(hearts)),
    )
    table = table.assign(source="phantom", fps=np.nan, spacing=np.nan)
    table = table.assign(height=REFERENCE_SIZE, width=REFERENCE_SIZE)
    return table[COLUMNS]
