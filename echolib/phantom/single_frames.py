"""Single phantom frames in memory, each of another heart."""

from functools import partial

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from echolib import geometry
from echolib.data.frames import COLUMNS, FrameSet
from echolib.phantom.scene import draw_scan, trace
from echolib.phantom.studies import FRAME_STREAM, check_common
from echolib.phantom.workers import in_parallel, worker_count

VALIDATION_SHARE = 0.1


def draw_frames(
    count: int, seed: int = 0, size: int = 112, workers: int | None = None, progress: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Single frames, each of another heart at a random moment, without writing video.

    Returns images (count, size, size) uint8, masks (count, size, size) bool and landmarks
    (count, 40, 2) float32 px in polygon order. The same seed gives the same frames, whatever
    the number of worker processes (default: one for each core).
    """
    if count < 1:
        raise ValueError(f"count must be 1 or more, not {count}.")
    check_common(seed, size)
    workers = worker_count(workers)
    images = np.empty((count, size, size), np.uint8)
    masks = np.empty((count, size, size), bool)
    landmarks = np.empty((count, geometry.LANDMARKS, 2), np.float32)
    task = partial(_draw_frame, seed=seed, size=size)
    results = in_parallel(task, range(count), workers, chunk=32)
    for index, image, tracing in tqdm(results, "phantom frames", count, disable=not progress):
        images[index], masks[index] = image, tracing.mask((size, size))
        landmarks[index] = tracing.landmarks
    return images, masks, landmarks


def _draw_frame(index: int, seed: int, size: int) -> tuple[int, np.ndarray, geometry.Tracing]:
    scan, choice = draw_scan(seed, FRAME_STREAM, index, size)
    # as in a data set of traced frames, the two ends of systole are met more often
    moments = [0.0, scan.cycle.end_systole, choice.uniform(0, scan.cycle.period)]
    moment = moments[choice.choice(3, p=[0.25, 0.35, 0.4])]
    return index, scan.frame(moment), trace(scan, moment)


def draw_frame_set(
    count: int, seed: int = 0, size: int = 112, workers: int | None = None, progress: bool = True
) -> FrameSet:
    """Single frames as a set to train on: every heart a patient, the last tenth for validation.

    There is no test split: score on a study, or on real frames. Raises ValueError for fewer than
    two frames.
    """
    if count < 2:
        raise ValueError(f"count must be 2 or more, one for validation, not {count}.")
    images, masks, landmarks = draw_frames(count, seed, size, workers, progress)
    names = [f"0xPF{seed:04X}{index:06X}" for index in range(count)]
    validation = np.arange(count) >= count - max(1, round(VALIDATION_SHARE * count))
    table = pd.DataFrame(
        {"clip": names, "patient": names, "split": np.where(validation, "val", "train")}
    )
    table = table.assign(frame=0, phase="", source="phantom", fps=np.nan, spacing=np.nan)
    table = table.assign(height=size, width=size)
    return FrameSet(images, masks, landmarks, table[COLUMNS])
