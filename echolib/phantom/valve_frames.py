"""Single phantom frames in which the mitral leaflets and the valve's box are labelled."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import islice

import numpy as np
from tqdm.auto import tqdm

from ..data.frames import FrameSet
from ..data.valve.squares import ValveFrame, close_set, whole_set
from . import leaflet_labels
from .common import VALVE_STREAM, check_common
from .scene import draw_scan
from .sector import REFERENCE_SIZE
from .single_frames import held_out_split
from .ultrasound import Scan
from .workers import in_parallel, worker_count

PLAIN_SHARE = 0.5
LARGE_SHARE = 0.3  # of the frames come from a larger screen, as expert clips do
LARGE_SCREENS = (160, 320)  # px
OTHER_SHARE = 0.6  # of the sectors that are not EchoNet-Dynamic's are kept
# by how much leaflets outshine what is beside them, on average; nobody labels fainter ones
FAINTEST = 8.0  # greys
FAINTEST_SHARE = 0.4  # of the standard deviation of what is beside them
CHUNK = 500  # frames that are held in their own size at a time
MOMENTS = 12  # of a beat, over which the box is drawn around the leaflets


def draw_valve_frames(
    count: int,
    seed: int = 0,
    workers: int | None = None,
    progress: bool = False,
) -> Iterator[ValveFrame]:
    """Frames of `count` hearts at random moments, each on a screen of its own size.

    Seven in ten are 112 x 112, the others larger, up to 320 px. The labels are careful ones.
    The same seed gives the same frames, whatever the number of worker processes (default: one
    for each core).
    """
    if count < 1:
        raise ValueError(f"count must be 1 or more, not {count}.")
    check_common(seed, REFERENCE_SIZE)
    task = partial(_draw_frame, seed=seed)
    results = in_parallel(task, range(count), worker_count(workers), chunk=32)
    yield from tqdm(results, "phantom valves", count, disable=not progress)


def _draw_frame(index: int, seed: int) -> ValveFrame:
    """Heart number `index`; hearts whose leaflets nobody would see are drawn anew."""
    generator = np.random.default_rng([seed, VALVE_STREAM, index, 1])
    size = REFERENCE_SIZE
    if generator.random() < LARGE_SHARE:
        size = int(generator.integers(LARGE_SCREENS[0], LARGE_SCREENS[1] + 1))
    for attempt in range(200):
        number = index + 10_000_000 * attempt
        scan, choice = draw_scan(seed, VALVE_STREAM, number, size, PLAIN_SHARE, close=True)
        if not scan.sector.cut and generator.random() > OTHER_SHARE:
            continue
        frame = _film(scan, choice.uniform(0, scan.cycle.period), generator)
        if frame is not None:
            return replace(frame, clip=f"0xPV{seed:04X}{index:06X}")
    raise RuntimeError("No leaflet was to be seen: the tables of ranges disagree.")


def _film(scan: Scan, moment: float, generator: np.random.Generator) -> ValveFrame | None:
    """One moment of a heart, or None where its leaflets cannot be seen."""
    shape = (scan.sector.size, scan.sector.size)
    leaflets = leaflets_at(scan, moment)
    points = np.concatenate(leaflets)
    if not scan.sector.shows(points, margin=1).all():
        return None
    width = leaflet_labels.strip_width(scan.heart.leaflet_thickness / scan.sector.spacing, shape)
    strips = leaflet_labels.careful_mask(leaflets, width, shape)
    image = scan.frame(moment)
    around = image[leaflet_labels.careful_mask(leaflets, 3 * width, shape) & ~strips]
    if image[strips].mean() - around.mean() < max(FAINTEST, FAINTEST_SHARE * around.std()):
        return None
    moments = np.arange(MOMENTS) / MOMENTS * scan.cycle.period
    reach = np.concatenate([points, *(c for time in moments for c in leaflets_at(scan, time))])
    box = leaflet_labels.valve_box(reach, shape, generator)
    return ValveFrame(image, strips, box, "", source="phantom")


def draw_valve_sets(
    count: int,
    seed: int = 0,
    workers: int | None = None,
    progress: bool = True,
) -> tuple[FrameSet, FrameSet]:
    """Frames to train on, twice the same ones: whole (`whole_set`) and close (`close_set`).

    Every heart is a patient; the last tenth, but 800 at most, are for validation. Raises
    ValueError for fewer than two frames.
    """
    if count < 2:
        raise ValueError(f"count must be 2 or more, one for validation, not {count}.")
    frames = draw_valve_frames(count, seed, workers, progress)
    chunks = []
    while some := list(islice(frames, CHUNK)):
        chunks.append((whole_set(some), close_set(some)))
    splits = held_out_split(count)
    whole, close = (FrameSet.joined(sets) for sets in zip(*chunks, strict=True))
    return tuple(replace(some, table=some.table.assign(split=splits)) for some in (whole, close))


def leaflets_at(scan: Scan, time: float) -> tuple[np.ndarray, ...]:
    """Both leaflets' curves (n, 2) px of the screen at `time` s, hinge to tip."""
    heart = scan.shape(time)
    return tuple(scan.to_pixels(curve, heart, time) for curve in heart.mitral)
