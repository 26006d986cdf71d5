"""Labels of the mitral leaflets and of the valve's box, as careful or hasty annotators draw them.

Curves are (n, 2) px of the frame, hinge to tip, pixel centres at integers. `frame_scale` converts
lengths in px of a 112 x 112 frame to px of another frame.
"""

import cv2
import numpy as np

from .. import geometry
from .sector import REFERENCE_SIZE

STRIP_WIDTHS = (2.9, 4.4)  # narrowest and widest strip, px of a 112 x 112 frame
ECHO_BLUR = 1.8  # px of a 112 x 112 frame by which an echo looks thicker than its leaflet
MEETING = 1.0  # px of a 112 x 112 frame, largest gap between tips that meet
STRIP_POINTS = 5  # along a leaflet, joined by straight lines
BOX_MARGINS = (0.3, 6.0)  # smallest and largest margin of the box, px of a 112 x 112 frame
BOX_SIDES = 4

# shares of the hasty labels
INCOMPLETE_SHARE = 0.15  # a piece of a leaflet is missing
SHIFTED_SHARE = 0.3  # shifted by a pixel
THICKENED_SHARE = THINNED_SHARE = 0.12  # a pixel thicker, or thinner


def frame_scale(shape: tuple[int, int]) -> float:
    """Return the px of a frame (H, W) per px of a 112 x 112 frame with the same field of view."""
    return float(np.sqrt(shape[0] * shape[1])) / REFERENCE_SIZE


def strip_width(thickness: float, shape: tuple[int, int]) -> float:
    """Return the width in px at which a person draws a leaflet that is `thickness` px thick."""
    scale = frame_scale(shape)
    return scale * float(np.clip(thickness / scale + ECHO_BLUR, *STRIP_WIDTHS))


def strip(points: np.ndarray, width: float) -> np.ndarray:
    """Compute the outline (2n, 2) of a straight-sided strip whose ends are cut off square.

    points: (n, 2) px, hinge to tip. width: px.
    """
    along = np.gradient(points, axis=0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    aside = 0.5 * width * along[:, ::-1] * [-1, 1]
    return np.concatenate([points + aside, (points - aside)[::-1]])


def careful_mask(
    leaflets: tuple[np.ndarray, ...], width: float, shape: tuple[int, int]
) -> np.ndarray:
    """Draw both leaflets as strips of `width` px with sub-pixel outlines, (H, W) bool.

    Leaflets whose tips meet are one strip from hinge to hinge.
    """
    anterior, posterior = strips = [_resample(curve) for curve in leaflets]
    if np.hypot(*(anterior[-1] - posterior[-1])) < MEETING * frame_scale(shape):
        strips = [np.concatenate([anterior, posterior[-2::-1]])]
    mask = np.zeros(shape, bool)
    for points in strips:
        outline = strip(points, width)
        mask |= geometry.polygon_to_mask(outline, shape, rounded=False)
    return mask


def hasty_mask(
    leaflets: tuple[np.ndarray, ...],
    width: float,
    shape: tuple[int, int],
    generator: np.random.Generator,
) -> np.ndarray:
    """Draw both leaflets as an annotator in a hurry: few points on whole pixels, (H, W) bool.

    width: px of the strips. A piece of a leaflet may be missing, and the mask may be shifted,
    thickened or thinned by a pixel.
    """
    incomplete = None
    if generator.random() < INCOMPLETE_SHARE:
        incomplete = generator.choice(len(leaflets))
    mask = np.zeros(shape, bool)
    for number, curve in enumerate(leaflets):
        points = _click_points(curve, generator)
        if number == incomplete:
            points = _drop_end(points, generator)
        outline = strip(points, width + generator.normal(0, 0.25))
        mask |= geometry.polygon_to_mask(outline, shape)
    return _distort(mask, generator)


def leaflet_contrast(
    image: np.ndarray, mask: np.ndarray, leaflets: tuple[np.ndarray, ...], width: float
) -> tuple[float, float]:
    """Measure how much brighter the leaflets are than their surroundings.

    image: (H, W) uint8. mask, leaflets, width: the result of `careful_mask` and its arguments. The
    surroundings are the rest of strips of three times the width. Returns the difference of the
    mean greys, and the standard deviation of the greys of the surroundings.
    """
    surroundings = image[careful_mask(leaflets, 3 * width, image.shape) & ~mask]
    return float(image[mask].mean() - surroundings.mean()), float(surroundings.std())


def _resample(curve: np.ndarray) -> np.ndarray:
    """(STRIP_POINTS, 2) px at even distances along a curve."""
    steps = np.linalg.norm(np.diff(curve, axis=0), axis=1)
    along = np.concatenate([[0], np.cumsum(steps)])
    places = np.linspace(0, along[-1], STRIP_POINTS)
    return np.stack([np.interp(places, along, values) for values in np.transpose(curve)], axis=1)


def _click_points(curve: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """(STRIP_POINTS, 2) points along a curve, each with a small random error."""
    return _resample(curve) + generator.normal(0, 0.35, (STRIP_POINTS, 2))


def _drop_end(points: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Drop the first or the last two points."""
    return points[:-2] if generator.random() < 0.5 else points[2:]


def _distort(mask: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Shift, thicken or thin some masks by a pixel."""
    shift = generator.integers(-1, 2, 2) * (generator.random() < SHIFTED_SHARE)
    chance = generator.random()
    grey: np.ndarray = mask.astype(np.uint8)
    # a kernel of 2 x 2 changes a strip's width by one pixel, one of 3 x 3 would change it by two
    if chance < THICKENED_SHARE:
        grey = cv2.dilate(grey, np.ones((2, 2), np.uint8))
    elif chance < THICKENED_SHARE + THINNED_SHARE:
        grey = cv2.erode(grey, np.ones((2, 2), np.uint8))
    move = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float32)
    return cv2.warpAffine(grey, move, mask.shape[::-1], flags=cv2.INTER_NEAREST) > 0


def valve_box(
    points: np.ndarray, shape: tuple[int, int], generator: np.random.Generator
) -> np.ndarray:
    """Draw a box around points (n, 2) px, with a random margin on each side, (H, W) bool.

    The box ignores the thickness of the leaflets: a few pixels of a label may lie outside it.
    """
    margins = frame_scale(shape) * generator.uniform(*BOX_MARGINS, BOX_SIDES)
    left, top = np.floor(points.min(axis=0) - margins[:2]).astype(int)
    right, bottom = np.ceil(points.max(axis=0) + margins[2:]).astype(int)
    box = np.zeros(shape, bool)
    box[max(top, 0) : bottom + 1, max(left, 0) : right + 1] = True
    return box
