"""From a tracing to a polygon to a mask and back; chords, landmarks, volumes.

Points are (x, y) in px, x to the right, y down, pixel centres at integers. The probe is at the
top of the image, so that the apex of the ventricle lies above its base.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage
from skimage.draw import polygon as rasterise
from skimage.measure import find_contours

CHORDS = 20  # EchoNet-Dynamic traces a ventricle with 20 chords
LANDMARKS = 2 * CHORDS
TURNS = 10  # of a long axis at most, until it no longer changes
# landmarks of models with fewer: the apex, two on each wall, and both ends of the base
SUBSETS = {LANDMARKS: tuple(range(LANDMARKS)), 7: (0, 6, 13, 19, 20, 26, 33)}


def axis_directions(axis: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Unit vectors along a long axis (2, 2) and to its image-right, and its length in px.

    Raises ValueError for an axis without length.
    """
    along = np.asarray(axis[1], float) - np.asarray(axis[0], float)
    length = float(np.hypot(*along))
    if not length > 0:
        raise ValueError(f"The long axis has no length: both ends are at {tuple(axis[0])}.")
    along = along / length
    return along, np.array([along[1], -along[0]]), length


@dataclass(frozen=True)
class Tracing:
    """An expert's outline of the left ventricle: the long axis and chords across it.

    axis: (2, 2) float, apex and base, px. chords: (n, 2, 2) float, the two ends of each chord,
    ordered from apex to base.
    """

    axis: np.ndarray
    chords: np.ndarray

    @property
    def length(self) -> float:
        """Length of the long axis in px."""
        return axis_directions(self.axis)[2]

    @property
    def positions(self) -> np.ndarray:
        """(n,) position of each chord's middle along the axis, in px from the apex."""
        along, _, _ = axis_directions(self.axis)
        return (self.chords.mean(axis=1) - self.axis[0]) @ along

    @property
    def polygon(self) -> np.ndarray:
        """(2n, 2) float: first ends from apex to base, then second ends back to the apex."""
        return np.concatenate([self.chords[:, 0], self.chords[::-1, 1]])

    @property
    def landmarks(self) -> np.ndarray:
        """(40, 2) float32 chord ends in polygon order, the image-left wall first.

        A tracing with another number of chords is resampled, and one drawn from the other side is
        turned, so that each landmark has the same anatomical meaning in every frame.
        """
        tracing = self
        if len(tracing.chords) != CHORDS:
            tracing = outline_to_tracing(tracing.polygon, tracing.axis)
        _, right, _ = axis_directions(tracing.axis)
        turned = np.mean((tracing.chords[:, 1] - tracing.chords[:, 0]) @ right) < 0
        chords = tracing.chords[:, ::-1] if turned else tracing.chords
        return Tracing(tracing.axis, chords).polygon.astype(np.float32)

    def mask(self, shape: tuple[int, int]) -> np.ndarray:
        """(H, W) bool mask, the pixels of EchoNet-Dynamic's published construction."""
        return polygon_to_mask(self.polygon, shape)


def polygon_to_mask(points: np.ndarray, shape: tuple[int, int], rounded: bool = True) -> np.ndarray:
    """Rasterise a closed polygon.

    points: (n, 2) px; parts outside the image are cut off. shape: (H, W). rounded: round the
    vertices to whole pixels first, as EchoNet-Dynamic does for tracings; without it the outline
    keeps its sub-pixel position. Returns an (H, W) bool mask.
    """
    points = np.asarray(points, float)
    if rounded:
        points = np.rint(points).astype(int)
    mask = np.zeros(shape, bool)
    mask[rasterise(points[:, 1], points[:, 0], shape)] = True
    return mask


def polygon_area(points: np.ndarray) -> float:
    """Area of a closed, simple polygon (n, 2) in px², by the shoelace formula."""
    x, y = np.asarray(points, float).T
    return 0.5 * abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1)))


def crosses_itself(points: np.ndarray) -> bool:
    """True when two edges of the closed polygon (n, 2) properly cross."""
    start = np.asarray(points, float)
    end = np.roll(start, -1, axis=0)

    def side(point, a, b):  # of each point to each edge a-b, sign of the cross product
        edge, to_point = (b - a)[:, None], point[None] - a[:, None]
        return np.sign(edge[..., 0] * to_point[..., 1] - edge[..., 1] * to_point[..., 0])

    apart = side(start, start, end) * side(end, start, end) < 0
    return bool(np.any(apart & apart.T))


def check_masks(masks: Any) -> None:
    """Raise ValueError unless masks of a clip are (T, H, W) bool, at least one frame and pixel."""
    shape = getattr(masks, "shape", None) or np.shape(masks)
    found = f"{getattr(masks, 'dtype', type(masks).__name__)} of shape {shape}"
    if getattr(masks, "dtype", None) != np.dtype(bool) or getattr(masks, "ndim", None) != 3:
        raise ValueError(
            f"masks: expected (T, H, W) bool, found {found}. Probabilities become masks by a "
            "threshold; a single mask becomes a clip by mask[None]."
        )
    if 0 in masks.shape:
        raise ValueError(f"masks: expected at least one frame and one pixel, found {found}.")


# --- From a mask back to a tracing ---------------------------------------------------------------


def largest_component(mask: np.ndarray) -> np.ndarray:
    """The largest 4-connected component of an (H, W) mask, its holes filled."""
    labels, count = ndimage.label(mask)
    if count > 1:
        mask = labels == 1 + np.argmax(np.bincount(labels.ravel())[1:])
    return ndimage.binary_fill_holes(mask)


def bounding_box(mask: np.ndarray) -> tuple[slice, slice]:
    """The (rows, columns) that just hold an (H, W) mask. Raises ValueError for an empty mask."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if len(rows) == 0:
        raise ValueError("The mask is empty: it has no bounding box.")
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def mask_outlines(mask: np.ndarray) -> list[np.ndarray]:
    """All closed outlines of an (H, W) mask, holes too, each (n, 2) float32 px.

    They run half-way between the pixels inside and those outside. Empty for an empty mask.
    """
    padded = np.pad(np.asarray(mask, bool), 1).astype(np.float32)
    return [(line[:-1, ::-1] - 1).astype(np.float32) for line in find_contours(padded, 0.5)]


def mask_outline(mask: np.ndarray) -> np.ndarray:
    """(n, 2) float32 outline of the mask's largest component, without its holes.

    Raises ValueError for an empty mask.
    """
    mask = np.asarray(mask, bool)
    if not mask.any():
        raise ValueError("The mask is empty: it has no outline.")
    return max(mask_outlines(largest_component(mask)), key=len)


def long_axis(outline: np.ndarray) -> np.ndarray:
    """Long axis (2, 2) float32 of a ventricle's outline: apex, and the middle of the annulus.

    The base is the flat end, away from the probe. Its two corners are the outermost points of the
    outline diagonally downward on either side of the axis. The apex is the point farthest from
    the middle between them, within 45 degrees of the axis. The axis starts upright and is turned
    until it no longer changes.
    """
    outline = np.asarray(outline, float)
    axis = np.array([[0.0, 0.0], [0.0, 1.0]])
    for _ in range(TURNS):
        along, right, _ = axis_directions(axis)
        corners = [outline[np.argmax(outline @ (along + side * right))] for side in (-1, 1)]
        base = np.mean(corners, axis=0)
        from_base = outline - base
        distance = np.hypot(*from_base.T)
        # not the far corner of a base that is wider than the ventricle is long
        upwards = from_base @ -along > 0.7 * distance
        apex = outline[np.argmax(np.where(upwards, distance, -1))]
        if np.allclose([apex, base], axis):
            break
        axis = np.stack([apex, base])
    return axis.astype(np.float32)


def outline_to_tracing(
    outline: np.ndarray, axis: np.ndarray | None = None, chords: int = CHORDS
) -> Tracing:
    """Cut an outline (n, 2) into chords perpendicular to its long axis.

    The chords lie as in EchoNet-Dynamic, at (i + 0.5) steps from the apex, the last one at the
    base; their first ends are on the image-left wall. axis: (2, 2), by default `long_axis`.
    Raises ValueError where the outline has no extent along the axis.
    """
    outline = np.asarray(outline, float)
    axis = long_axis(outline) if axis is None else np.asarray(axis, float)
    along, right, _ = axis_directions(axis)
    position, offset = (outline - axis[0]) @ along, (outline - axis[0]) @ right
    top, extent = position.min(), np.ptp(position)
    if not extent > 0:
        raise ValueError("The outline has no extent along its long axis.")
    # the last chord keeps a hair's breadth inside, where the outline still has two sides
    levels = top + extent * np.minimum((np.arange(chords) + 0.5) / (chords - 0.5), 1 - 1e-3)
    next_position, next_offset = np.roll(position, -1), np.roll(offset, -1)
    ends = []
    for level in levels:
        cut = (position <= level) != (next_position <= level)
        share = (level - position[cut]) / (next_position[cut] - position[cut])
        crossing = offset[cut] + share * (next_offset[cut] - offset[cut])
        ends.append([crossing.min(), crossing.max()])
    points = axis[0] + levels[:, None, None] * along + np.array(ends)[..., None] * right
    return Tracing(axis.astype(np.float32), points.astype(np.float32))


def mask_to_tracing(mask: np.ndarray) -> Tracing:
    """Tracing of an (H, W) mask: long axis and 20 chords. Raises ValueError for an empty mask."""
    return outline_to_tracing(mask_outline(mask))


def drawn_rounded(landmarks: np.ndarray, mask: np.ndarray) -> bool:
    """Whether a mask (H, W) was drawn through landmarks (n, 2) rounded to whole px.

    EchoNet-Dynamic's masks were, which makes them 2 % larger; masks painted by hand were not. A
    comparison is fair only with masks that were drawn in the same way.
    """
    misses = [
        np.count_nonzero(polygon_to_mask(landmarks, mask.shape, rounded) != mask)
        for rounded in (True, False)
    ]
    return bool(misses[0] < misses[1])


# --- Volumes -------------------------------------------------------------------------------------


def disk_volume(tracing: Tracing, spacing: float = 1.0) -> float:
    """Volume by the method of disks in one plane, pi/4 times the sum of diameter² x height.

    Each chord is the diameter of a disk that reaches half-way to its neighbours; disks end at
    the apex and at the base, so that a last chord on the base counts in part. spacing: mm per
    px gives ml; the default of 1 px gives px³ / 1000. Source: Lang et al., recommendations for
    chamber quantification, J Am Soc Echocardiogr 28 (2015).
    """
    positions = tracing.positions
    order = np.argsort(positions)
    positions = positions[order]
    diameter = np.hypot(*(tracing.chords[order, 1] - tracing.chords[order, 0]).T)
    between = 0.5 * (positions[1:] + positions[:-1])
    first, last = 2 * positions[0] - between[0], 2 * positions[-1] - between[-1]
    edges = np.clip(np.concatenate([[first], between, [last]]), 0, tracing.length)
    return float(np.pi / 4 * (diameter**2 @ np.diff(edges)) * spacing**3 / 1000)


def mask_volume(mask: np.ndarray, spacing: float = 1.0) -> float:
    """`disk_volume` of an (H, W) mask; NaN for one that is empty or too small for a long axis."""
    try:
        return disk_volume(mask_to_tracing(mask), spacing)
    except ValueError:
        return np.nan


def area_length_volume(area: float, length: float) -> float:
    """Volume 8 A² / (3 pi L) in px³ / 1000, from an area in px² and a long axis in px."""
    if not length > 0:
        raise ValueError(f"The long axis must be longer than 0 px, not {length}.")
    return float(8 * area**2 / (3 * np.pi * length) / 1000)


def ejection_fraction(end_diastolic: float, end_systolic: float) -> float:
    """Ejection fraction 100 (EDV - ESV) / EDV in per cent, from two volumes in one unit."""
    if not end_diastolic > 0:
        raise ValueError(f"The end-diastolic volume must be above 0, not {end_diastolic}.")
    return 100.0 * (end_diastolic - end_systolic) / end_diastolic
