"""Layers made from an expert's labels, which often exist for only some frames of a clip."""

from collections.abc import Mapping

import numpy as np

from ..data.valve.squares import bounds_of
from ..errors import DataError
from ..geometry import LANDMARKS
from .layer import Layer

TRUTH, POINTS, CHORDS, BOX = "truth", "traced points", "tracing", "box"


def truth_layer(
    shape: tuple[int, int, int], masks: Mapping[int, np.ndarray], structure: str = ""
) -> Layer:
    """Make a layer of the expert's masks (H, W) bool by frame, for a clip of shape (T, H, W).

    structure: that they show, see `Layer`.

    Raises DataError for a frame that the clip does not have, or a mask of another shape or dtype.
    """
    stacked, labelled = np.zeros(shape, bool), np.zeros(shape[0], bool)
    for frame, mask in masks.items():
        _check_frame(frame, shape[0], "truth")
        if not isinstance(mask, np.ndarray) or mask.shape != shape[1:] or mask.dtype != bool:
            found = f"{getattr(mask, 'dtype', type(mask).__name__)} of shape {np.shape(mask)}"
            raise DataError(f"truth of frame {frame}: expected {shape[1:]} bool, found {found}.")
        stacked[frame], labelled[frame] = mask, True
    return Layer(TRUTH, stacked, role="truth", labelled=labelled, structure=structure)


def tracing_layers(
    count: int, points: Mapping[int, np.ndarray], segments: Mapping[int, np.ndarray]
) -> tuple[Layer, ...]:
    """Make layers of traced points (K, 2) px and lines (n, 2, 2) px by frame.

    count: frames of the clip. K and n may differ from frame to frame. The lines are off at first,
    because they would hide the picture. Raises DataError for a frame that the clip does not have.
    """
    layers = []
    if points:
        labelled, stacked = _stack_by_frame(count, points)
        layers.append(Layer(POINTS, points=stacked, role="tracing", labelled=labelled))
    if segments:
        labelled, stacked = _stack_by_frame(count, segments)
        layers.append(Layer(CHORDS, segments=stacked, role="tracing", labelled=labelled, on=False))
    return tuple(layers)


def chords_between(landmarks: np.ndarray) -> np.ndarray:
    """Return the 20 chords (..., 20, 2, 2) between landmarks (..., 40, 2) in polygon order.

    For another number of landmarks there are no chords: the result is (..., 0, 2, 2).
    """
    half = LANDMARKS // 2 if landmarks.shape[-2] == LANDMARKS else 0
    return np.stack([landmarks[..., :half, :], landmarks[..., ::-1, :][..., :half, :]], axis=-2)


def box_layer(box: np.ndarray, count: int) -> Layer:
    """Make a layer of the edges of a valve's box, the same in all `count` frames.

    box: (H, W) bool, not empty.
    """
    left, top, right, bottom = bounds_of(box)
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    edges = np.stack([corners, np.roll(corners, -1, axis=0)], axis=1)
    segments = np.broadcast_to(edges, (count, *edges.shape))
    return Layer(BOX, segments=segments, role="other", on=False)


def _stack_by_frame(count: int, arrays: Mapping[int, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Stack arrays (n, ...) by frame into one (T, largest n, ...) float32, padded with NaN.

    Returns (T,) bool, True for the frames in `arrays`, and the stacked array.
    """
    for frame in arrays:
        _check_frame(frame, count, "tracings")
    longest = max(len(array) for array in arrays.values())
    rest = np.shape(next(iter(arrays.values())))[1:]
    stacked = np.full((count, longest, *rest), np.nan, np.float32)
    labelled = np.zeros(count, bool)
    for frame, array in arrays.items():
        stacked[frame, : len(array)], labelled[frame] = array, True
    return labelled, stacked


def _check_frame(frame: object, count: int, what: str) -> None:
    if not (isinstance(frame, (int, np.integer)) and 0 <= frame < count):
        raise DataError(f"{what}: expected frames from 0 to {count - 1}, found {frame!r}.")
