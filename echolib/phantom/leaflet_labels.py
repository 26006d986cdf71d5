"""How people outline the mitral leaflets and box the valve: with care, or in haste.

Curves are (n, 2) px of the frame, hinge to tip, pixel centres at integers. What is told in px of
a 112 x 112 frame is scaled to the frame at hand by `unit`.
"""

import cv2
import numpy as np

from .. import geometry
from .sector import REFERENCE_SIZE

STRIP_WIDTHS = (2.8, 4.0)  # narrowest and widest strip, px of a 112 x 112 frame
ECHO_BLUR = 2.4  # px of a 112 x 112 frame by which an echo looks thicker than its leaflet
TIP_CAP = 0.5  # of the width: the part of a strip's round end that would lie past the tip
BOX_MARGINS = (0.3, 6.0)  # between the leaflets' reach and the box, px of a 112 x 112 frame
BOX_SIDES = 4

FORGOTTEN = 0.15  # share of hasty labels that lack a piece of a leaflet
SHIFTED = 0.3  # ... that lie one pixel off
THICKENED = THINNED = 0.12  # ... that are a pixel thicker, or thinner


def unit(shape: tuple[int, int]) -> float:
    """Px of a frame (H, W) per px of a 112 x 112 frame that shows as much."""
    return float(np.sqrt(shape[0] * shape[1])) / REFERENCE_SIZE


def strip_width(thickness: float, shape: tuple[int, int]) -> float:
    """Width in px at which a person draws a leaflet that is `thickness` px thick."""
    scale = unit(shape)
    return scale * float(np.clip(thickness / scale + ECHO_BLUR, *STRIP_WIDTHS))


def strip(curve: np.ndarray, width: float, cap_points: int = 7) -> np.ndarray:
    """(m, 2) outline of a band of `width` px along a curve, with a round cap at either end.

    curve: (n, 2) hinge to tip. The cap reaches a little past the hinge, but not past the tip.
    """
    curve = _resampled(curve, len(curve), width * TIP_CAP)
    along = np.gradient(curve, axis=0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    aside = along[:, ::-1] * [-1, 1]
    turn = np.linspace(0, np.pi, cap_points + 2)[1:-1, None]
    half = 0.5 * width
    tip_cap = curve[-1] + half * (np.cos(turn) * aside[-1] + np.sin(turn) * along[-1])
    hinge_cap = curve[0] - half * (np.cos(turn) * aside[0] + np.sin(turn) * along[0])
    return np.concatenate([curve + half * aside, tip_cap, (curve - half * aside)[::-1], hinge_cap])


def careful_mask(
    leaflets: tuple[np.ndarray, ...], width: float, shape: tuple[int, int]
) -> np.ndarray:
    """(H, W) bool mask of both leaflets as strips of `width` px, sub-pixel outlines."""
    mask = np.zeros(shape, bool)
    for curve in leaflets:
        mask |= geometry.polygon_to_mask(strip(curve, width), shape, rounded=False)
    return mask


def hasty_mask(
    leaflets: tuple[np.ndarray, ...],
    width: float,
    shape: tuple[int, int],
    generator: np.random.Generator,
) -> np.ndarray:
    """(H, W) bool mask as someone in a hurry draws it: few points, on whole pixels, some slips.

    A piece of a leaflet may be forgotten, and the whole may be shifted by a pixel, thickened or
    thinned.
    """
    forgetful = generator.choice(len(leaflets)) if generator.random() < FORGOTTEN else None
    mask = np.zeros(shape, bool)
    for number, curve in enumerate(leaflets):
        clicked = _clicked(curve, generator)
        if number == forgetful:
            clicked = _shortened(clicked, generator)
        outline = strip(clicked, width + generator.normal(0, 0.25), cap_points=1)
        mask |= geometry.polygon_to_mask(outline, shape)
    return _slipped(mask, generator)


def _resampled(curve: np.ndarray, points: int, less: float = 0.0) -> np.ndarray:
    """(points, 2) px evenly along a curve, without the last `less` px of it."""
    steps = np.linalg.norm(np.diff(curve, axis=0), axis=1)
    along = np.concatenate([[0], np.cumsum(steps)])
    places = np.linspace(0, max(along[-1] - less, 0.5 * along[-1]), points)
    return np.stack([np.interp(places, along, values) for values in np.transpose(curve)], axis=1)


def _clicked(curve: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """(5, 2) points along a curve, each a little beside it."""
    return _resampled(curve, 5) + generator.normal(0, 0.35, (5, 2))


def _shortened(points: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Without its first or its last two points of five."""
    return points[:3] if generator.random() < 0.5 else points[2:]


def _slipped(mask: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A mask shifted, thickened or thinned by a pixel, now and then."""
    shift = generator.integers(-1, 2, 2) * (generator.random() < SHIFTED)
    slip = generator.random()
    grey = mask.astype(np.uint8)
    # a kernel of 2 x 2 changes a strip's width by one pixel, one of 3 x 3 would change it by two
    if slip < THICKENED:
        grey = cv2.dilate(grey, np.ones((2, 2), np.uint8))
    elif slip < THICKENED + THINNED:
        grey = cv2.erode(grey, np.ones((2, 2), np.uint8))
    move = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float32)
    return cv2.warpAffine(grey, move, mask.shape[::-1], flags=cv2.INTER_NEAREST) > 0


def valve_box(
    points: np.ndarray, shape: tuple[int, int], generator: np.random.Generator
) -> np.ndarray:
    """(H, W) bool box around points (n, 2) px, with a margin that differs from side to side.

    The leaflets' thickness is not counted: a few pixels of a label may lie outside its box.
    """
    margins = unit(shape) * generator.uniform(*BOX_MARGINS, BOX_SIDES)
    left, top = np.floor(points.min(axis=0) - margins[:2]).astype(int)
    right, bottom = np.ceil(points.max(axis=0) + margins[2:]).astype(int)
    box = np.zeros(shape, bool)
    box[max(top, 0) : bottom + 1, max(left, 0) : right + 1] = True
    return box
