"""From a tracing to a polygon to a mask and back; chords, landmarks, volumes.

Points are (x, y) in px, x to the right, y down, pixel centres at integers. The probe is at the
top of the image, so that the apex of the ventricle lies above its base.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from skimage.draw import polygon as rasterise
from skimage.measure import find_contours

CHORDS = 20  # EchoNet-Dynamic traces a ventricle with 20 chords
LANDMARKS = 2 * CHORDS
LOWER_PARTS = (0.5, 0.25)  # where the base is looked for: below these shares of the extent
TURNS = 10  # of a long axis at most, until it no longer changes
STILL = 1e-3  # px: an axis that moves less has not changed
UPRIGHT = np.array([[0.0, 0.0], [0.0, 1.0]])  # an axis
STRAIGHTNESS = 5.0  # of a base against its width, see `base_corners` and benchmarks/corners.py
MOST_POINTS = 400  # of an outline that are tried as corners
OUTSIDE = 2  # value of the pixels around a component
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
    ordered from apex to base; the last one is the base.
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

        Landmarks 19 and 20 are the ends of the last chord: the corners of the base in a tracing
        of `outline_to_tracing`, the ends of the chord at the mitral plane in one of EchoNet's. A
        tracing with another number of chords is resampled, and one drawn from the other side is
        turned, so that each landmark has the same anatomical meaning in every frame.
        """
        chords = self.chords if len(self.chords) == CHORDS else self._resampled()
        _, right, _ = axis_directions(self.axis)
        turned = np.mean((chords[:, 1] - chords[:, 0]) @ right) < 0
        chords = chords[:, ::-1] if turned else chords
        return Tracing(self.axis, chords).polygon.astype(np.float32)

    def _resampled(self) -> np.ndarray:
        """(20, 2, 2) chords at equal steps from the first chord to the last."""
        order = np.argsort(self.positions, kind="stable")
        positions = self.positions[order]
        levels = np.linspace(positions[0], positions[-1], CHORDS)
        numbers = self.chords[order].reshape(len(order), 4).T
        columns = [np.interp(levels, positions, column) for column in numbers]
        return np.stack(columns, axis=1).reshape(CHORDS, 2, 2)

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


# --- From a mask back to a tracing ---------------------------------------------------------------


def largest_component(mask: np.ndarray) -> np.ndarray:
    """The largest 4-connected component of an (H, W) mask, its holes filled."""
    padded = cv2.copyMakeBorder(np.asarray(mask, np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(padded, connectivity=4)
    if count > 2:
        padded = (labels == 1 + np.argmax(stats[1:, cv2.CC_STAT_AREA])).astype(np.uint8)
    cv2.floodFill(padded, None, (0, 0), OUTSIDE)
    return padded[1:-1, 1:-1] != OUTSIDE


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


def base_corners(outline: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """The two ends of the base (2, 2) px of an outline (n, 2), the image-left one first.

    Of all pairs of its points in the half away from the apex, that with the greatest width across
    the axis less STRAIGHTNESS times the mean gap between that line and the outline. axis: (2, 2),
    apex and base; right to 45 degrees. Raises ValueError for an outline too small to have a base.
    """
    along, right, _ = axis_directions(axis)
    points = np.asarray(outline, float)[:: 1 + len(outline) // MOST_POINTS]
    # around from the apex, so that of two points in the lower half the base lies between
    points = np.roll(points, -int(np.argmin(points @ along)), axis=0)
    offset, position = points @ right, points @ along
    swept = offset * np.roll(position, -1) - np.roll(offset, -1) * position  # twice the area
    swept = np.concatenate([[0.0], np.cumsum(swept)])
    way = -int(np.sign(swept[-1]))  # 1 where the outline runs down the image-left wall
    for share in LOWER_PARTS:
        lower = np.flatnonzero(position >= (1 - share) * position.min() + share * position.max())
        across, down = way * offset[lower], position[lower]
        width, height = across - across[:, None], down - down[:, None]
        # the ventricle lies above its base: what lies above a bay of the outline is outside
        pairs = np.argwhere((width > 0) & (np.abs(height) <= width))
        first, last = pairs[pairs[:, 0] < pairs[:, 1]].T
        if len(first):
            break
    else:
        raise ValueError("The outline is too small to have a base across its long axis.")
    width, height = width[first, last], height[first, last]
    first, last = lower[first], lower[last]
    closing = offset[last] * position[first] - offset[first] * position[last]
    between = 0.5 * np.abs(swept[last] - swept[first] + closing)
    gap = between / np.maximum(np.hypot(width, height), 1e-9)
    best = np.argmax(width - STRAIGHTNESS * gap)
    return points[[first[best], last[best]][::way]]


def long_axis(outline: np.ndarray, corners: np.ndarray | None = None) -> np.ndarray:
    """Long axis (2, 2) float32 of a ventricle's outline: apex, and the middle of the annulus.

    The middle lies between the two ends of the base. The apex is the point farthest from it,
    within 45 degrees of the axis. The axis starts upright and is turned until it no longer
    changes. corners: (2, 2) px, the ends of the base where they are known, by default
    `base_corners`. Raises ValueError for an outline that is too small to have a base.
    """
    return _axis_and_corners(np.asarray(outline, float), corners)[0]


def _axis_and_corners(
    outline: np.ndarray, known: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """The `long_axis` of an outline (n, 2), and the ends of its base; known: as its `corners`."""
    axis = UPRIGHT
    for _ in range(TURNS):
        corners = base_corners(outline, axis) if known is None else known
        from_base = outline - (base := np.mean(corners, axis=0))
        distance = np.hypot(*from_base.T)
        # not the far corner of a base that is wider than the ventricle is long
        upwards = from_base @ -axis_directions(axis)[0] > 0.7 * distance
        turned = np.stack([outline[np.argmax(np.where(upwards, distance, -1))], base])
        if np.abs(turned - axis).max() < STILL:
            return axis.astype(np.float32), corners
        axis = turned
    return axis.astype(np.float32), base_corners(outline, axis) if known is None else known


def outline_to_tracing(
    outline: np.ndarray, axis: np.ndarray | None = None, corners: np.ndarray | None = None
) -> Tracing:
    """Cut an outline (n, 2) into 20 chords across its long axis, from wall to wall.

    The last chord is the base, from corner to corner. The others are perpendicular to the axis
    and lie as in EchoNet-Dynamic, at (i + 0.5) steps from the apex to the middle of the base;
    their first ends are on the image-left wall. Where a base is oblique, a chord below the
    corner of one wall ends at this corner.

    axis: (2, 2), by default `long_axis`. corners: (2, 2) px, points on the outline, in any order,
    by default `base_corners`. Raises ValueError where the outline has no extent along the axis.
    """
    outline = np.asarray(outline, float)
    if axis is None:
        axis, corners = _axis_and_corners(outline, corners)
    axis = np.asarray(axis, float)
    corners = base_corners(outline, axis) if corners is None else np.asarray(corners, float)
    along, right, _ = axis_directions(axis)
    across_and_along = np.stack([right, along])
    walls = _walls(*((points - axis[0]) @ across_and_along.T for points in (outline, corners)))
    top, base = walls[0][0, 1], np.mean([wall[-1, 1] for wall in walls])
    if not base > top:
        raise ValueError("The outline has no extent along its long axis.")
    levels = top + (base - top) * (np.arange(CHORDS) + 0.5) / (CHORDS - 0.5)
    levels[-1] = np.inf  # the corners themselves
    ends = np.stack([_cut(wall, levels) for wall in walls], axis=1)
    points = axis[0] + ends @ across_and_along
    return Tracing(axis.astype(np.float32), points.astype(np.float32))


def _walls(place: np.ndarray, corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The image-left and the right wall of an outline, each (m, 2) from its top to its corner.

    place: (n, 2) offset and position of the outline's points across and along the axis. corners:
    (2, 2) likewise; the points of the outline nearest to them end the walls.
    """
    top = int(np.argmin(place[:, 1]))
    place = np.roll(place, -top, axis=0)
    nearest = [int(np.argmin(np.hypot(*(place - corner).T))) for corner in corners]
    first, last = sorted(nearest)
    walls = place[: first + 1], np.concatenate([place[:1], place[: last - 1 : -1]])
    return walls if walls[0][-1, 0] < walls[1][-1, 0] else walls[::-1]


def _cut(wall: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Where a wall (m, 2) first reaches each level, (k, 2); its corner for levels below that."""
    lowest = np.maximum.accumulate(wall[:, 1])
    lower = np.searchsorted(lowest, np.minimum(levels, lowest[-1]))
    upper = np.maximum(lower - 1, 0)
    step = wall[lower] - wall[upper]
    share = (levels - wall[upper, 1]) / np.where(step[:, 1] > 0, step[:, 1], 1)
    points = wall[upper] + np.minimum(share, 1)[:, None] * step
    return np.where((levels < wall[-1, 1])[:, None], points, wall[-1])


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

    Each chord's extent across the long axis is the diameter of a disk that reaches half-way to
    its neighbours; disks end at the apex and at the base, so that a last chord on the base counts
    in part. spacing: mm per px gives ml; the default of 1 px gives px³/1000. Source: Lang et
    al., recommendations for chamber quantification, J Am Soc Echocardiogr 28 (2015).
    """
    _, right, length = axis_directions(tracing.axis)
    order = np.argsort(tracing.positions)
    positions = tracing.positions[order]
    diameter = (tracing.chords[order, 1] - tracing.chords[order, 0]) @ right
    between = 0.5 * (positions[1:] + positions[:-1])
    first, last = 2 * positions[0] - between[0], 2 * positions[-1] - between[-1]
    edges = np.clip(np.concatenate([[first], between, [last]]), 0, length)
    return float(np.pi / 4 * (diameter**2 @ np.diff(edges)) * spacing**3 / 1000)


def mask_volume(mask: np.ndarray, spacing: float = 1.0) -> float:
    """`disk_volume` of an (H, W) mask; NaN for one that is empty or too small for a long axis."""
    try:
        return disk_volume(mask_to_tracing(mask), spacing)
    except ValueError:
        return np.nan


def area_length_volume(area: float, length: float) -> float:
    """Volume 8 A² / (3 pi L) in px³/1000, from an area in px² and a long axis in px."""
    if not length > 0:
        raise ValueError(f"The long axis must be longer than 0 px, not {length}.")
    return float(8 * area**2 / (3 * np.pi * length) / 1000)


def ejection_fraction(end_diastolic: float, end_systolic: float) -> float:
    """Ejection fraction 100 (EDV - ESV) / EDV in per cent, from two volumes in one unit."""
    if not end_diastolic > 0:
        raise ValueError(f"The end-diastolic volume must be above 0, not {end_diastolic}.")
    return 100.0 * (end_diastolic - end_systolic) / end_diastolic
