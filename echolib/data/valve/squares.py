"""Labelled frames of the mitral valve as training squares: whole frames, or crops at the valve.

A leaflet is 3 to 4 px thick on a frame of 112 px. An enlarged crop around the valve shows it
thicker. The box around the valve gives the place of the crop.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ...geometry import bounding_box
from ..frame_checks import COLUMNS
from ..frames import FrameSet
from ..letterbox import Crop, Letterbox
from .study import ValveClip

WHOLE = 112  # px, side of the squares of whole frames
CLOSE = 128  # px, side of the squares of crops around the valve
CONTEXT = 1.6  # side of a crop, as a multiple of the longer side of the box
MIN_SIDE = 16  # px of the source, the smallest side of a crop
SOURCE = "mitral valve set"

Bounds = tuple[float, float, float, float]  # left, top, right, bottom: edges in px of the source


@dataclass(frozen=True)
class ValveFrame:
    """One labelled frame of the mitral valve.

    image: (H, W) uint8. leaflets: (H, W) bool. box: (H, W) bool, the region around the valve in
    the whole clip, not in this frame only. dataset: who labelled the frame, "amateur" or
    "expert". neighbours: (2, H, W) uint8, the frames before and after this frame, or None.
    """

    image: np.ndarray
    leaflets: np.ndarray
    box: np.ndarray
    clip: str
    frame: int = 0
    split: str = "train"
    dataset: str = "expert"
    source: str = SOURCE
    fps: float | None = None
    neighbours: np.ndarray | None = None


def bounds_of(box: np.ndarray) -> Bounds:
    """Edges of the box in an (H, W) bool mask. Raises ValueError for an empty mask."""
    if not box.any():
        raise ValueError("The valve's box is empty.")
    rows, columns = bounding_box(box)
    return (columns.start - 0.5, rows.start - 0.5, columns.stop - 0.5, rows.stop - 0.5)


def crop_around(
    bounds: Bounds, shape: tuple[int, int], size: int = CLOSE, context: float = CONTEXT
) -> Crop:
    """Make the square crop around a box on a frame of (H, W) px.

    The box lies in the middle of the crop. shape: (H, W) of the frame. size: side of the resized
    square that a network gets, px. context: side of the crop as a multiple of the longer side of
    the box. The side is at least MIN_SIDE and at most the longer side of the frame.
    """
    left, top, right, bottom = bounds
    side = round(context * max(right - left, bottom - top))
    side = min(max(MIN_SIDE, side), max(shape))
    x, y = 0.5 * (left + right), 0.5 * (top + bottom)
    corner = round(x + 0.5 - side / 2), round(y + 0.5 - side / 2)
    return Crop(*shape, *corner, side, size)


def labelled_valves(clips: Iterable[ValveClip], splits: dict[str, str]) -> Iterator[ValveFrame]:
    """Yield the labelled frames of clips, each with its two neighbours.

    At an end of the clip, the frame itself replaces the missing neighbour. splits: maps the name
    of a clip to its split; clips without a split are left out. Raises ValueError for labels
    without a box.
    """
    for clip in clips:
        if clip.name not in splits or clip.labels is None:
            continue
        if clip.box is None:
            raise ValueError(
                f"Clip {clip.name!r} has labels but no box around the valve. Add the box."
            )
        last = len(clip.frames) - 1
        for frame, leaflets in zip(clip.labelled, clip.labels, strict=True):
            neighbours = [clip.frames[max(frame - 1, 0)], clip.frames[min(frame + 1, last)]]
            yield ValveFrame(
                np.array(clip.frames[frame]), np.array(leaflets), np.array(clip.box), clip.name,
                frame, splits[clip.name], clip.dataset, SOURCE, clip.fps, np.stack(neighbours),
            )  # fmt: skip


def whole_set(valves: Iterable[ValveFrame], size: int = WHOLE) -> FrameSet:
    """Pad and resize whole frames to (size, size), with leaflets as masks and the box as a region.

    regions: 0 background, 1 leaflets, 2 the rest of the box.
    """
    valves = list(valves)
    shapes = [valve.image.shape for valve in valves]
    squares = [Letterbox(height, width, size) for height, width in shapes]
    frames = _frame_set(valves, squares)
    boxes = [square.mask(valve.box) for valve, square in zip(valves, squares, strict=True)]
    regions = np.where(frames.masks, 1, 2 * np.stack(boxes)).astype(np.uint8)
    return replace(frames, regions=regions)


def close_set(valves: Iterable[ValveFrame]) -> FrameSet:
    """Crop frames around the box and resize the crops to (CLOSE, CLOSE), with leaflets as masks."""
    valves = list(valves)
    return _frame_set(
        valves, [crop_around(bounds_of(valve.box), valve.image.shape) for valve in valves]
    )


def _frame_set(valves: list[ValveFrame], squares: Sequence[Letterbox | Crop]) -> FrameSet:
    """Map each frame to its square. Neighbours are left out where one frame has none."""
    if not valves:
        raise ValueError("Expected one or more labelled frames of the valve, found none.")
    pairs = list(zip(valves, squares, strict=True))
    around = [
        [square.image(frame) for frame in valve.neighbours]
        for valve, square in pairs
        if valve.neighbours is not None
    ]
    return FrameSet(
        np.stack([square.image(valve.image) for valve, square in pairs]),
        np.stack([square.mask(valve.leaflets) for valve, square in pairs]),
        None,
        pd.DataFrame([_row(valve) for valve in valves]),
        neighbours=np.array(around) if len(around) == len(valves) else None,
    )


def _row(valve: ValveFrame) -> dict:
    """The row of a frame in the table of a FrameSet, with `dataset` as one more column."""
    height, width = valve.image.shape
    return {
        **dict.fromkeys(COLUMNS, ""),
        "clip": valve.clip,
        "patient": valve.clip,
        "frame": valve.frame,
        "split": valve.split,
        "source": valve.source,
        "fps": np.nan if valve.fps is None else valve.fps,
        "spacing": np.nan,
        "height": height,
        "width": width,
        "dataset": valve.dataset,
    }
