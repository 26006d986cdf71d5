"""Single phantom frames in which the mitral leaflets and the valve's box are labelled."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import islice

import numpy as np
from tqdm.auto import tqdm

from ..cores import worker_count
from ..data.frames import FrameSet
from ..data.valve.squares import ValveFrame, close_set, whole_set
from . import leaflet_labels
from .common import VALVE_STREAM, check_seed
from .scene import draw_scan, leaflet_curves
from .sector import REFERENCE_SIZE
from .single_frames import held_out_split
from .ultrasound import Scan
from .workers import in_parallel

LARGE_SHARE = 0.3  # share of the frames from a larger screen, like those of expert clips
LARGE_SCREENS = (160, 320)  # px, smallest and largest side
KEPT_SHARE = 0.6  # of the hearts whose sector is not like EchoNet-Dynamic's; others are redrawn
# Contrast that leaflets need to be labelled: mean grey of the leaflets above that of their
# surroundings, and its ratio to the standard deviation of the surroundings.
MIN_CONTRAST = 8.0  # greys
MIN_CONTRAST_RATIO = 0.4
CHUNK = 500  # frames that are held in memory in their own size at a time
MOMENTS = 12  # per beat; the box contains the leaflets at all of them
MAX_ATTEMPTS = 200  # hearts that are drawn until the leaflets of one are visible


def draw_valve_frames(
    count: int,
    seed: int = 0,
    workers: int | None = None,
    progress: bool = False,
) -> Iterator[ValveFrame]:
    """Draw frames of `count` hearts at random moments, each on a screen of its own size.

    Seven in ten are 112 x 112 px, the others larger, up to 320 px. The labels are careful ones.
    The same seed gives the same frames, whatever the number of worker processes (one per core by
    default). Raises ValueError for a count below 1 or a negative seed.
    """
    if count < 1:
        raise ValueError(f"count must be 1 or more, not {count}.")
    check_seed(seed)
    task = partial(_draw_frame, seed=seed)
    results = in_parallel(task, range(count), worker_count(workers), chunk=32)
    yield from tqdm(results, "phantom valves", count, disable=not progress)


def _draw_frame(index: int, seed: int) -> ValveFrame:
    """Frame number `index`; hearts whose leaflets are not visible are redrawn."""
    generator = np.random.default_rng([seed, VALVE_STREAM, index, 1])
    size = REFERENCE_SIZE
    if generator.random() < LARGE_SHARE:
        size = int(generator.integers(LARGE_SCREENS[0], LARGE_SCREENS[1] + 1))
    for attempt in range(MAX_ATTEMPTS):
        number = index + 10_000_000 * attempt
        scan, choice = draw_scan(seed, VALVE_STREAM, number, size)
        if not scan.sector.cut and generator.random() > KEPT_SHARE:
            continue
        frame = _label_frame(scan, choice.uniform(0, scan.cycle.period), generator)
        if frame is not None:
            return replace(frame, clip=f"0xPV{seed:04X}{index:06X}")
    raise RuntimeError(
        f"None of {MAX_ATTEMPTS} hearts had visible leaflets. The ranges of the phantom contradict "
        "each other: see `tables.range_table`."
    )


def _label_frame(scan: Scan, moment: float, generator: np.random.Generator) -> ValveFrame | None:
    """The frame of a heart at a moment with its labels, or None if its leaflets are not visible."""
    shape = (scan.sector.size, scan.sector.size)
    leaflets = leaflet_curves(scan, moment)
    points = np.concatenate(leaflets)
    if not scan.sector.shows(points, margin=1).all():
        return None
    width = leaflet_labels.strip_width(scan.heart.leaflet_thickness / scan.sector.spacing, shape)
    mask = leaflet_labels.careful_mask(leaflets, width, shape)
    image = scan.frame(moment)
    contrast, sd = leaflet_labels.leaflet_contrast(image, mask, leaflets, width)
    if contrast < max(MIN_CONTRAST, MIN_CONTRAST_RATIO * sd):
        return None
    moments = np.arange(MOMENTS) / MOMENTS * scan.cycle.period
    over_beat = [curve for time in moments for curve in leaflet_curves(scan, time)]
    box = leaflet_labels.valve_box(np.concatenate([points, *over_beat]), shape, generator)
    return ValveFrame(image, mask, box, "", source="phantom")


def draw_valve_sets(
    count: int,
    seed: int = 0,
    workers: int | None = None,
    progress: bool = True,
) -> tuple[FrameSet, FrameSet]:
    """Draw two training sets of the same frames: `whole_set` and `close_set` of them.

    Each heart is a patient. The last tenth of the hearts, at most 800, are the validation split.
    Raises ValueError for fewer than two frames.
    """
    if count < 2:
        raise ValueError(f"count must be 2 or more, one of them for validation, not {count}.")
    frames = draw_valve_frames(count, seed, workers, progress)
    chunks = []
    while chunk := list(islice(frames, CHUNK)):
        chunks.append((whole_set(chunk), close_set(chunk)))
    splits = held_out_split(count)
    sets = [FrameSet.joined(parts) for parts in zip(*chunks, strict=True)]
    whole, close = (replace(part, table=part.table.assign(split=splits)) for part in sets)
    return whole, close
