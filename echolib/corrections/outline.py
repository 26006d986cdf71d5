"""The outlines that people draw: smooth curves through a few points, and their masks.

The editor of the frame browser computes the same curves and masks in JavaScript,
`echolib/browser/page`; a test compares the two. Points are (x, y) in px, y down, pixel centres at
integers, and are kept to 0.01 px.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter1d

from ..geometry import (
    Tracing,
    crosses_itself,
    mask_outline,
    outline_to_tracing,
    polygon_area,
    polygon_to_mask,
)

SAMPLES = 8  # of a curve between two of its points
SMALLEST_STEP = 0.1  # of the curve's parameter: that of two points 0.01 px apart
PER_WALL = 5  # points of a proposal between a hinge and the apex
SPACING = 0.5  # px between the points of a wall while it is smoothed
SMALLEST = 1.0  # px², of an outline
REMEMBERED = 4096  # tracings: those of the clips in work are not computed at each change
SMOOTHING = 0.15  # of a wall, as a share of the distance between two of its points


def spline(points: np.ndarray, samples: int = SAMPLES) -> np.ndarray:
    """The smooth curve through points (n, 2): (samples * (n - 1) + 1, 2) float32 px.

    A centripetal Catmull-Rom spline by the pyramid of Barry and Goldman: the parameter grows by
    the square root of the distance between two points, so that the curve makes no loop between
    them. The first and the last point get a neighbour beyond them by reflection. samples: per
    piece, at equal steps of the parameter. Sources: Barry and Goldman, SIGGRAPH 22 (1988); Yuksel,
    Schaefer and Keyser, Computer-Aided Design 43 (2011). Raises ValueError for fewer than 2 points.
    """
    points = np.asarray(points, float)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 2:
        raise ValueError(f"A curve needs 2 points (x, y) or more, not an array {points.shape}.")
    ends = 2 * points[:1] - points[1:2], 2 * points[-1:] - points[-2:-1]
    points = np.concatenate([ends[0], points, ends[1]])
    steps = np.sqrt(np.hypot(*np.diff(points, axis=0).T))
    knots = np.concatenate([[0.0], np.cumsum(np.maximum(steps, SMALLEST_STEP))])
    # by piece: four points (pieces, 1, 2), their parameters (pieces, 1, 1), and those of samples
    pieces = len(points) - 3
    p0, p1, p2, p3 = (points[first : first + pieces, None] for first in range(4))
    t0, t1, t2, t3 = (knots[first : first + pieces, None, None] for first in range(4))
    t = t1 + (t2 - t1) * (np.arange(samples) / samples)[:, None]
    a1 = _between(p0, p1, t0, t1, t)
    a2 = _between(p1, p2, t1, t2, t)
    a3 = _between(p2, p3, t2, t3, t)
    curve = _between(_between(a1, a2, t0, t2, t), _between(a2, a3, t1, t3, t), t1, t2, t)
    return np.concatenate([curve.reshape(-1, 2), points[-2:-1]]).astype(np.float32)


def _between(
    first: np.ndarray, last: np.ndarray, start: np.ndarray, end: np.ndarray, t: np.ndarray
) -> np.ndarray:
    """The point at t on the line that is at `first` at start and at `last` at end."""
    return (end - t) / (end - start) * first + (t - start) / (end - start) * last


def ventricle_mask(points: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """(H, W) bool mask of a ventricle from its points (n, 2), hinge to hinge over the apex.

    The curve is closed by the straight base between the two hinges. Pixels count whose centre lies
    inside or on the outline; what lies outside the image is cut off.
    """
    return polygon_to_mask(spline(points), shape, rounded=False)


@lru_cache(maxsize=REMEMBERED)
def ventricle_tracing(points: tuple[tuple[float, float], ...], apex: int) -> Tracing:
    """Long axis and 20 chords of a ventricle from its points (x, y), hinge to hinge over the apex.

    apex: index of the point that begins the long axis, which ends half-way between the hinges.
    Raises ValueError for an outline that crosses itself, has no area, or does not extend from its
    apex to its base.
    """
    curve, drawn = spline(np.array(points)).astype(float), np.array(points, float)
    if crosses_itself(curve):
        raise ValueError("it crosses itself; drag its points apart, so that the walls do not cross")
    if polygon_area(curve) < SMALLEST:
        raise ValueError("it encloses no area; drag its points apart")
    axis = np.stack([drawn[apex], (drawn[0] + drawn[-1]) / 2])
    tracing = outline_to_tracing(curve, axis, drawn[[0, -1]])
    if polygon_area(tracing.polygon) < SMALLEST:
        raise ValueError("it has no extent from apex to base; drag its points apart")
    return tracing


def leaflet_mask(points: np.ndarray, width: float, shape: tuple[int, int]) -> np.ndarray:
    """(H, W) bool mask of a leaflet from its points (n, 2): a band with round ends.

    width: of the band, px. Pixels count whose centre lies at most half of it from the curve.
    """
    mask = np.zeros(shape, bool)
    curve, radius = spline(points).astype(float), width / 2
    for start, end in zip(curve[:-1], curve[1:], strict=True):
        low = np.maximum(np.ceil(np.minimum(start, end) - radius), 0).astype(int)
        high = np.floor(np.maximum(start, end) + radius).astype(int) + 1
        (left, top), (right, bottom) = low, np.maximum(np.minimum(high, shape[::-1]), low)
        y, x = np.mgrid[top:bottom, left:right]
        along = end - start
        length = max(float(along @ along), 1e-12)  # two equal samples are a point
        share = np.clip(((x - start[0]) * along[0] + (y - start[1]) * along[1]) / length, 0, 1)
        across = x - start[0] - share * along[0], y - start[1] - share * along[1]
        mask[top:bottom, left:right] |= across[0] ** 2 + across[1] ** 2 <= radius**2
    return mask


def leaflets_mask(leaflets: Sequence[Mapping[str, Any]], shape: tuple[int, int]) -> np.ndarray:
    """(H, W) bool mask of leaflets as a document holds them, all in one."""
    masks = [leaflet_mask(each["points"], each["width"], shape) for each in leaflets]
    return np.any(masks, axis=0)


def outline_points(mask: np.ndarray, per_wall: int = PER_WALL) -> tuple[np.ndarray, int]:
    """The points of a ventricle's outline to begin with, from a mask (H, W), and the apex's index.

    (2 * per_wall + 3, 2) float32 px: the hinge on the left of the image, `per_wall` points of that
    wall at equal distances, the apex, the other wall and its hinge. Hinges and apex are those of
    `geometry.outline_to_tracing`; the walls are smoothed, because they run along pixels. Raises
    ValueError for a mask that is empty or too small to have a base and a long axis.
    """
    ring = mask_outline(mask).astype(float)
    tracing = outline_to_tracing(ring)
    marks = tracing.chords[-1, 0], tracing.axis[0], tracing.chords[-1, 1]
    first, apex, last = (int(np.argmin(np.hypot(*(ring - mark).T))) for mark in marks)
    count = len(ring)
    if (apex - first) % count > (last - first) % count:  # the ring runs the other way round
        ring, first, apex, last = ring[::-1], *(count - 1 - at for at in (first, apex, last))
    ring = np.roll(ring, -first, axis=0)
    apex, last = (apex - first) % count, (last - first) % count
    if not 0 < apex < last:
        raise ValueError("The mask is too small: its apex is an end of its base.")
    walls = [_wall(part, per_wall) for part in (ring[: apex + 1], ring[apex : last + 1])]
    return np.concatenate([walls[0], walls[1][1:]]).round(2).astype(np.float32), per_wall + 1


def _wall(ring: np.ndarray, count: int) -> np.ndarray:
    """(count + 2, 2) points at equal distances along a line (n, 2), smoothed between its ends."""
    way = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(ring, axis=0).T))])
    steps = (count + 1) * max(2, round(way[-1] / SPACING / (count + 1)))
    fine = _at(ring, way, np.linspace(0, way[-1], steps + 1))
    # mirrored through both ends, so that these stay where they are
    mirrored = np.concatenate([2 * fine[0] - fine[:0:-1], fine, 2 * fine[-1] - fine[-2::-1]])
    smooth = gaussian_filter1d(mirrored, SMOOTHING * steps / (count + 1), axis=0)
    smooth = smooth[steps : 2 * steps + 1]
    return smooth[:: steps // (count + 1)]


def _at(line: np.ndarray, way: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Points of a line (n, 2) at places along it. way: (n,) the place of each of its points."""
    return np.stack([np.interp(places, way, column) for column in line.T], axis=1)
