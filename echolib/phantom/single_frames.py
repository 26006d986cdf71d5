"""Single phantom frames in memory, each of a different heart."""

from collections.abc import Iterable
from functools import partial

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from .. import geometry
from ..cores import worker_count
from ..data.frame_checks import COLUMNS
from ..data.frames import FrameSet
from .common import FRAME_STREAM, check_seed
from .effects import check_effects
from .scene import PLAIN_SHARE, draw_scan, label_map, trace
from .workers import in_parallel

VALIDATION_SHARE = 0.1
MAX_VALIDATION = 800  # frames; more would only take time


def draw_frames(
    count: int,
    seed: int = 0,
    size: int = 112,
    workers: int | None = None,
    progress: bool = False,
    plain_share: float = PLAIN_SHARE,
    without: Iterable[str] = (),
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw single frames, each of a different heart at a random moment.

    size: px of the square frames, 32 to 1024. workers: number of processes, one per core by
    default; the frames do not depend on it. plain_share: share of the frames from the plain
    renderer. without: names of `effects.EFFECTS` to switch off.

    Returns images (count, size, size) uint8, regions (count, size, size) uint8 (see
    `scene.label_map`; the mask is where they are 1) and landmarks (count, 40, 2) float32 px in
    polygon order. The same seed gives the same frames. Raises ValueError for a parameter outside
    its range and for unknown effects.
    """
    if count < 1:
        raise ValueError(f"count must be 1 or more, not {count}.")
    if not 0 <= plain_share <= 1:
        raise ValueError(f"plain_share must be 0 to 1, not {plain_share}.")
    check_seed(seed)
    if not 32 <= size <= 1024:
        raise ValueError(f"size must be 32 to 1024 px, not {size}.")
    without, workers = check_effects(without), worker_count(workers)
    images = np.empty((count, size, size), np.uint8)
    regions = np.empty((count, size, size), np.uint8)
    landmarks = np.empty((count, geometry.LANDMARKS, 2), np.float32)
    task = partial(_draw_frame, seed=seed, size=size, plain_share=plain_share, without=without)
    results = in_parallel(task, range(count), workers, chunk=32)
    for index, drawn in enumerate(tqdm(results, "phantom frames", count, disable=not progress)):
        images[index], regions[index], landmarks[index] = drawn
    return images, regions, landmarks


def _draw_frame(index: int, seed: int, size: int, plain_share: float, without: frozenset[str]):
    """Image, regions and landmarks of heart number `index`."""
    scan, choice = draw_scan(seed, FRAME_STREAM, index, size, plain_share, without)
    # as in a data set of traced frames, end-diastole and end-systole are more frequent
    moments = [0.0, scan.cycle.end_systole, choice.uniform(0, scan.cycle.period)]
    moment = moments[choice.choice(3, p=[0.25, 0.35, 0.4])]
    image = scan.frame(moment)
    tracing = trace(scan, moment, image)
    return image, label_map(scan, moment, tracing), tracing.landmarks


def held_out_split(count: int, maximum: int = MAX_VALIDATION) -> np.ndarray:
    """Return the split of each heart, (count,): "train", and "val" for the last tenth.

    At least one heart and at most `maximum` hearts are in "val".
    """
    held_out = min(maximum, max(1, round(VALIDATION_SHARE * count)))
    return np.where(np.arange(count) >= count - held_out, "val", "train")


def draw_frame_set(
    count: int,
    seed: int = 0,
    size: int = 112,
    workers: int | None = None,
    progress: bool = True,
    plain_share: float = PLAIN_SHARE,
    without: Iterable[str] = (),
) -> FrameSet:
    """Draw single frames as a training set, in which each heart is a patient.

    The last tenth of the hearts, at most 800, are the validation split. There is no test split:
    compute scores on a study, or on real frames. Other parameters: see `draw_frames`. Raises
    ValueError for fewer than two frames, or as `draw_frames` does.
    """
    if count < 2:
        raise ValueError(f"count must be 2 or more, one of them for validation, not {count}.")
    images, regions, landmarks = draw_frames(
        count, seed, size, workers, progress, plain_share, without
    )
    names = [f"0xPF{seed:04X}{index:06X}" for index in range(count)]
    table = pd.DataFrame({"clip": names, "patient": names, "split": held_out_split(count)})
    table = table.assign(frame=0, phase="", source="phantom", fps=np.nan, spacing=np.nan)
    table = table.assign(height=size, width=size)
    return FrameSet(images, regions == 1, landmarks, table[COLUMNS], regions=regions)
