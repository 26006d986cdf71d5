"""Single frames, each between the end-diastole and the end-systole of its clip.

What `lv_cycle` is trained on: a network that sees how far the walls move draws the contracted
cavity better than one that sees a still.
"""

from collections.abc import Iterable
from functools import partial

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from ..data.frames import COLUMNS, FrameSet
from ..geometry import disk_volume, outline_to_tracing
from .common import CYCLE_STREAM, FPS, check_common
from .scene import PLAIN_SHARE, draw_scan, label_map, trace
from .single_frames import MOST_VALIDATION, held_out_split
from .ultrasound import Scan
from .workers import in_parallel, worker_count

RUN_IN = 2  # frames drawn before each, since a scanner keeps a share of the picture before
MISSED = 0.025  # s, standard deviation of how far a clip's end-diastole and -systole are missed
MOST_MISSED = 0.06  # s
PER_HEART = 3  # frames: both ends of systole, and one at any time
BIN = 5.0  # points of ejection fraction
EVENNESS = 0.75  # of the ejection fractions in training: 0 as hearts are drawn, 1 all alike


def draw_cycle_frames(
    count: int,
    seed: int = 0,
    size: int = 112,
    workers: int | None = None,
    progress: bool = True,
    plain_share: float = PLAIN_SHARE,
    without: Iterable[str] = (),
) -> FrameSet:
    """Three frames of each of `count` hearts, with neighbours: the clip's ED and ES frames.

    The frames are that ED, that ES and one at a random moment. ED and ES are missed by some
    hundredths of a second, as they are when a network looks for them. Every heart is a patient;
    the last tenth of them, but 800 frames at most, are for validation. Of the others those with
    a rare ejection fraction are there several times, and some common ones not at all: a network
    that mostly meets strong hearts draws the weak ones stronger than they are. plain_share,
    without: as for `single_frames.draw_frames`. Raises ValueError for fewer than two hearts.
    """
    if count < 2:
        raise ValueError(f"count must be 2 or more, one heart for validation, not {count}.")
    check_common(seed, size)
    task = partial(
        _draw_heart, seed=seed, size=size, plain_share=plain_share, without=frozenset(without)
    )
    images = np.empty((count, PER_HEART, size, size), np.uint8)
    regions = np.empty_like(images)
    landmarks = np.empty((count, PER_HEART, 40, 2), np.float32)
    results = in_parallel(task, range(count), worker_count(workers), chunk=16)
    for index, drawn in enumerate(tqdm(results, "phantom cycles", count, disable=not progress)):
        images[index], regions[index], landmarks[index] = drawn
    table = _table(count, seed, size)
    neighbours = np.repeat(images[:, :2], PER_HEART, axis=0)
    images, regions, landmarks = (a.reshape(-1, *a.shape[2:]) for a in (images, regions, landmarks))
    drawn = FrameSet(images, regions == 1, landmarks, table, regions=regions, neighbours=neighbours)
    return drawn.select(evened_out(drawn, np.random.default_rng([seed, CYCLE_STREAM])))


def evened_out(frames: FrameSet, generator: np.random.Generator) -> np.ndarray:
    """Indices of frames: training hearts drawn anew, so that ejection fractions are more evenly
    spread, then the validation hearts as they are. frames: `PER_HEART` of each heart, in order.
    """
    ends = frames.landmarks.reshape(-1, PER_HEART, *frames.landmarks.shape[1:])[:, :2]
    volumes = [disk_volume(outline_to_tracing(points)) for heart in ends for points in heart]
    diastole, systole = np.array(volumes).reshape(-1, 2).T
    fraction = 100 * (diastole - systole) / diastole
    training = np.flatnonzero((frames.table.split == "train")[::PER_HEART])
    bins = np.floor(fraction[training] / BIN)
    _, place, counts = np.unique(bins, return_inverse=True, return_counts=True)
    weights = counts[place] ** -EVENNESS
    chosen = generator.choice(training, len(training), p=weights / weights.sum())
    hearts = np.concatenate([np.sort(chosen), np.arange(training[-1] + 1, len(fraction))])
    return (PER_HEART * hearts[:, None] + np.arange(PER_HEART)).ravel()


def _draw_heart(index: int, seed: int, size: int, plain_share: float, without: frozenset[str]):
    """Images, regions and landmarks of heart number `index`, `PER_HEART` of each."""
    scan, choice = draw_scan(seed, CYCLE_STREAM, index, size, plain_share, without)
    missed = np.clip(choice.normal(0, MISSED, 2), -MOST_MISSED, MOST_MISSED)
    moments = [missed[0], scan.cycle.end_systole + missed[1], choice.uniform(0, scan.cycle.period)]
    images, regions, landmarks = [], [], []
    for moment in moments:
        images.append(_frame(scan, moment))
        tracing = trace(scan, moment)
        regions.append(label_map(scan, moment, tracing))
        landmarks.append(tracing.landmarks)
    return np.stack(images), np.stack(regions), np.stack(landmarks)


def _frame(scan: Scan, moment: float) -> np.ndarray:
    """The frame at a moment, of a scanner that has been running."""
    if scan.renderer == "physical":
        for earlier in range(RUN_IN, 0, -1):
            scan.frame(moment - earlier / FPS)
    return scan.frame(moment)


def _table(count: int, seed: int, size: int) -> pd.DataFrame:
    names = [f"0xPC{seed:04X}{index:06X}" for index in range(count)]
    split = held_out_split(count, MOST_VALIDATION // PER_HEART)
    table = pd.DataFrame({"clip": names, "patient": names, "split": split})
    table = table.loc[table.index.repeat(PER_HEART)].reset_index(drop=True)
    table = table.assign(
        frame=np.tile(np.arange(PER_HEART), count), phase=np.tile(["ED", "ES", ""], count)
    )
    table = table.assign(source="phantom", fps=np.nan, spacing=np.nan, height=size, width=size)
    return table[COLUMNS]
