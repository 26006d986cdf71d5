"""Layers of what is known in some frames of a clip only: an expert's masks and tracings."""

from collections.abc import Mapping

import numpy as np

from ..data.valve.squares import bounds_of
from ..errors import DataError
from ..geometry import LANDMARKS, Tracing
from .view import Layer

TRUTH, POINTS, CHORDS, BOX = "truth", "traced points", "tracing", "box"


def truth_layer(shape: tuple[int, int, int], masks: Mapping[int, np.ndarray]) -> Layer:
    """The expert's masks (H, W) bool by frame, of a clip of shape (T, H, W).

    Raises DataError for a frame that the clip does not have, or a mask of another size.
    """
    every, known = np.zeros(shape, bool), np.zeros(shape[0], bool)
    for frame, mask in masks.items():
        _check_frame(frame, shape[0], "truth")
        if not isinstance(mask, np.ndarray) or mask.shape != shape[1:] or mask.dtype != bool:
            found = f"{getattr(mask, 'dtype', type(mask).__name__)} of shape {np.shape(mask)}"
            raise DataError(f"truth of frame {frame}: expected {shape[1:]} bool, found {found}.")
        every[frame], known[frame] = mask, True
    return Layer(TRUTH, every, role="truth", known=known)


def tracing_layers(
    count: int, points: Mapping[int, np.ndarray], segments: Mapping[int, np.ndarray]
) -> tuple[Layer, ...]:
    """Traced points (K, 2) px and lines (n, 2, 2) px by frame, of a clip of `count` frames.

    Their numbers may differ from frame to frame. The lines are off at first: they would hide
    the picture.
    """
    layers = []
    if points:
        known, every = _by_frame(count, points)
        layers.append(Layer(POINTS, points=every, role="tracing", known=known))
    if segments:
        known, every = _by_frame(count, segments)
        layers.append(Layer(CHORDS, segments=every, role="tracing", known=known, on=False))
    return tuple(layers)


def traced_lines(tracing: Tracing) -> np.ndarray:
    """(n + 1, 2, 2) px: the long axis, and n chords."""
    return np.concatenate([np.asarray(tracing.axis, float)[None], tracing.chords])


def chords_between(landmarks: np.ndarray) -> np.ndarray:
    """The 20 chords (..., 20, 2, 2) between landmarks (..., 40, 2) in polygon order.

    None, (..., 0, 2, 2), where there is another number of landmarks.
    """
    half = LANDMARKS // 2 if landmarks.shape[-2] == LANDMARKS else 0
    return np.stack([landmarks[..., :half, :], landmarks[..., ::-1, :][..., :half, :]], axis=-2)


def box_layer(box: np.ndarray, count: int) -> Layer:
    """The edges of a valve's box, (H, W) bool and not empty, in all of `count` frames."""
    left, top, right, bottom = bounds_of(box)
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    edges = np.stack([corners, np.roll(corners, -1, axis=0)], axis=1)
    segments = np.broadcast_to(edges, (count, *edges.shape))
    return Layer(BOX, segments=segments, role="other", on=False)


def _by_frame(count: int, arrays: Mapping[int, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(T,) frames that are known, and arrays (n, ...) of these as one (T, most n, ...) with NaN."""
    for frame in arrays:
        _check_frame(frame, count, "tracings")
    longest = max(len(array) for array in arrays.values())
    rest = np.shape(next(iter(arrays.values())))[1:]
    every, known = np.full((count, longest, *rest), np.nan, np.float32), np.zeros(count, bool)
    for frame, array in arrays.items():
        every[frame, : len(array)], known[frame] = array, True
    return known, every


def _check_frame(frame: object, count: int, what: str) -> None:
    if not (isinstance(frame, (int, np.integer)) and 0 <= frame < count):
        raise DataError(f"{what}: expected frames from 0 to {count - 1}, found {frame!r}.")
