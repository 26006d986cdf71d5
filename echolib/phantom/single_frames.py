"""Single phantom frames in memory, each of another heart."""

from collections.abc import Iterable
from functools import partial

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from .. import geometry
from ..data.frames import COLUMNS, FrameSet
from .common import FRAME_STREAM, check_common
from .effects import check_effects
from .scene import PLAIN_SHARE, draw_scan, label_map, trace
from .workers import in_parallel, worker_count

VALIDATION_SHARE = 0.1
MOST_VALIDATION = 800  # frames; more would only take time


def draw_frames(
    count: int,
    seed: int = 0,
    size: int = 112,
    workers: int | None = None,
    progress: bool = False,
    plain_share: float = PLAIN_SHARE,
    without: Iterable[str] = (),
    first: int = 0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Single frames, each of another heart at a random moment, without writing video.

    Returns images (count, size, size) uint8, regions (count, size, size) uint8 (see
    `scene.label_map`; the mask is where they are 1) and landmarks (count, 40, 2) float32 px in
    polygon order. The same seed gives the same frames, whatever the number of worker processes
    (default: one for each core). plain_share: of frames from the plain renderer. without: names
    of `effects.EFFECTS` to switch off. first: number of the first heart, to go on where an
    earlier call ended.
    """
    if count < 1 or first < 0:
        raise ValueError(f"count must be 1 or more and first 0 or more, not {count} and {first}.")
    if not 0 <= plain_share <= 1:
        raise ValueError(f"plain_share must be 0 to 1, not {plain_share}.")
    check_common(seed, size)
    without, workers = check_effects(without), worker_count(workers)
    images = np.empty((count, size, size), np.uint8)
    regions = np.empty((count, size, size), np.uint8)
    landmarks = np.empty((count, geometry.LANDMARKS, 2), np.float32)
    task = partial(_draw_frame, seed=seed, size=size, plain_share=plain_share, without=without)
    results = in_parallel(task, range(first, first + count), workers, chunk=32)
    for index, drawn in enumerate(tqdm(results, "phantom frames", count, disable=not progress)):
        images[index], regions[index], landmarks[index] = drawn
    return images, regions, landmarks


def _draw_frame(index: int, seed: int, size: int, plain_share: float, without: frozenset[str]):
    """Image, regions and landmarks of heart number `index`."""
    scan, choice = draw_scan(seed, FRAME_STREAM, index, size, plain_share, without)
    # as in a data set of traced frames, the two ends of systole are met more often
    moments = [0.0, scan.cycle.end_systole, choice.uniform(0, scan.cycle.period)]
    moment = moments[choice.choice(3, p=[0.25, 0.35, 0.4])]
    tracing = trace(scan, moment)
    return scan.frame(moment), label_map(scan, moment, tracing), tracing.landmarks


def held_out_split(count: int, most: int = MOST_VALIDATION) -> np.ndarray:
    """(count,) "train", and "val" for the last tenth: one heart at least, `most` at most."""
    held_out = min(most, max(1, round(VALIDATION_SHARE * count)))
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
    """Single frames as a set to train on: every heart a patient, the last ones for validation.

    Validation takes a tenth, but 800 frames at most. There is no test split: score on a study,
    or on real frames. plain_share, without: as for `draw_frames`. Raises ValueError for fewer
    than two frames.
    """
    if count < 2:
        raise ValueError(f"count must be 2 or more, one for validation, not {count}.")
    images, regions, landmarks = draw_frames(
        count, seed, size, workers, progress, plain_share, without
    )
    names = [f"0xPF{seed:04X}{index:06X}" for index in range(count)]
    table = pd.DataFrame({"clip": names, "patient": names, "split": held_out_split(count)})
    table = table.assign(frame=0, phase="", source="phantom", fps=np.nan, spacing=np.nan)
    table = table.assign(height=size, width=size)
    return FrameSet(images, regions == 1, landmarks, table[COLUMNS], regions=regions)
