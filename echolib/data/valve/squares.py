"""Labelled frames of the mitral valve as squares to train on: whole frames, or the valve closely.

A leaflet is 3 to 4 px thick on a frame of 112 px. A network that is shown the valve's
surroundings alone, enlarged, sees it thicker; where they are, a box tells.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ..frames import COLUMNS, FrameSet
from ..letterbox import Crop, Letterbox
from .study import ValveClip

WHOLE = 112  # px, side of the squares of whole frames
CLOSE = 128  # px, side of the squares around the valve
CONTEXT = 1.6  # side of what is seen closely, in longer sides of the box
SMALLEST = 16  # px of the source that are seen closely at least

Bounds = tuple[float, float, float, float]  # left, top, right, bottom: edges in px of the source


@dataclass(frozen=True)
class ValveFrame:
    """One frame: image (H, W) uint8, leaflets and the valve's box (H, W) bool.

    neighbours: (2, H, W) uint8, the frames before and after it, or None. dataset: who labelled
    it, "amateur" or "expert". box: of the whole clip, not of the frame.
    """

    image: np.ndarray
    leaflets: np.ndarray
    box: np.ndarray
    clip: str
    frame: int = 0
    split: str = "train"
    dataset: str = "expert"
    source: str = "mitral valve set"
    fps: float | None = None
    neighbours: np.ndarray | None = None


def bounds_of(box: np.ndarray) -> Bounds:
    """Edges of a box given as a (H, W) bool mask. Raises ValueError for an empty one."""
    rows, columns = (np.flatnonzero(box.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        raise ValueError("The valve's box is empty.")
    return (columns[0] - 0.5, rows[0] - 0.5, columns[-1] + 0.5, rows[-1] + 0.5)


def crop_around(
    bounds: Bounds, shape: tuple[int, int], size: int = CLOSE, context: float = CONTEXT
) -> Crop:
    """The square around a box on a frame of (H, W) px that a network is to look at closely.

    size: side of the square the network sees. context: side of the part in longer sides of the
    box, which lies in its middle; the longer side of the frame at most.
    """
    left, top, right, bottom = bounds
    side = round(context * max(right - left, bottom - top))
    side = min(max(SMALLEST, side), max(shape))
    x, y = 0.5 * (left + right), 0.5 * (top + bottom)
    corner = round(x + 0.5 - side / 2), round(y + 0.5 - side / 2)
    return Crop(*shape, *corner, side, size)


def labelled_valves(
    clips: Iterable[ValveClip], splits: dict[str, str], source: str = "mitral valve set"
) -> Iterator[ValveFrame]:
    """The labelled frames of clips, each with its neighbours; at an end of the clip, itself.

    splits: a clip's split by its name; clips without one are left out.
    """
    for clip in clips:
        if clip.name not in splits or clip.labels is None:
            continue
        if clip.box is None:
            raise ValueError(f"Clip {clip.name!r} has labels but no box around the valve.")
        last = len(clip.frames) - 1
        for frame, leaflets in zip(clip.labelled, clip.labels, strict=True):
            beside = [clip.frames[max(frame - 1, 0)], clip.frames[min(frame + 1, last)]]
            yield ValveFrame(
                np.array(clip.frames[frame]), np.array(leaflets), np.array(clip.box), clip.name,
                frame, splits[clip.name], clip.dataset, source, clip.fps, np.stack(beside),
            )  # fmt: skip


def whole_set(valves: Iterable[ValveFrame], size: int = WHOLE) -> FrameSet:
    """Whole frames, padded and resized to (size, size), with leaflets and box as regions."""
    valves = list(valves)
    squares = [Letterbox(*valve.image.shape, size) for valve in valves]
    frames = _frame_set(valves, squares)
    boxes = [square.mask(valve.box) for valve, square in zip(valves, squares, strict=True)]
    regions = np.where(frames.masks, 1, 2 * np.stack(boxes)).astype(np.uint8)
    return replace(frames, regions=regions)


def close_set(valves: Iterable[ValveFrame], size: int = CLOSE) -> FrameSet:
    """What lies around the valve's box, as squares of (size, size), with leaflets as masks."""
    valves = list(valves)
    return _frame_set(
        valves, [crop_around(bounds_of(valve.box), valve.image.shape, size) for valve in valves]
    )


def _frame_set(valves: list[ValveFrame], squares: list[Letterbox | Crop]) -> FrameSet:
    """Each frame brought to its square."""
    if not valves:
        raise ValueError("There are no labelled frames of the valve.")
    pairs = list(zip(valves, squares, strict=True))
    beside = None
    if all(valve.neighbours is not None for valve in valves):
        beside = np.array([[s.image(frame) for frame in v.neighbours] for v, s in pairs])
    return FrameSet(
        np.stack([square.image(valve.image) for valve, square in pairs]),
        np.stack([square.mask(valve.leaflets) for valve, square in pairs]),
        None,
        pd.DataFrame([_row(valve) for valve in valves]),
        neighbours=beside,
    )


def _row(valve: ValveFrame) -> dict:
    """The frame's row of a FrameSet's table, and who labelled it."""
    height, width = valve.image.shape
    row = dict.fromkeys(COLUMNS, "") | {"clip": valve.clip, "patient": valve.clip}
    row |= {"frame": valve.frame, "split": valve.split, "source": valve.source}
    row |= {"fps": np.nan if valve.fps is None else valve.fps, "spacing": np.nan}
    return row | {"height": height, "width": width, "dataset": valve.dataset}
