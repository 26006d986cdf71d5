"""The mitral leaflets in masks of an apical view: hinges over a clip, pieces, tips, their gap.

Masks are strips along both leaflets, apex up. Points are (x, y) in px, y down. `left` is the
leaflet on the left of the picture, which leaflet that is in the patient depends on the view.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

NEIGHBOURS = np.ones((3, 3), bool)  # pieces hang together over corners too
MOST_PIECES = 12  # a frame; further ones are noise
SPOT = 0.07  # of the clip's median mask area: smaller pieces are no leaflet
RARE = 0.15  # of the densest place of all the clip's masks: what is seen only there is a spot
# The following are shares of the annulus width.
NARROWEST = 4.0  # px of an annulus in which anything can be told
FARTHEST_HINGE = 0.35  # of a frame's hinge from where it is in the middle of the clip
HINGE_JUMP = 0.12  # of a frame's hinge from those of the frames around it
LARGEST_BREAK = 0.30  # between pieces of one leaflet
SPANS = (0.25, 0.80)  # a piece that reaches past both places is both leaflets, shut
SHORTEST = 0.7  # of a leaflet's usual length: what is shorter has lost its tip
DISTAL = 0.5  # of a leaflet's length: its free half, along which leaflets meet
SMOOTHED_FRAMES = 7  # over which hinges are compared and smoothed


@dataclass(frozen=True)
class Piece:
    """One connected part of a mask: its edge (n, 2) px and its area in px²."""

    edge: np.ndarray
    area: int


@dataclass(frozen=True)
class Annulus:
    """Both hinges over a clip. hinges: (T, 2, 2) px, left and right; width: px; up: (2,) unit."""

    hinges: np.ndarray
    width: float
    up: np.ndarray


@dataclass(frozen=True)
class Valve:
    """The leaflets in one frame; NaN is what cannot be told.

    separation: px from edge to edge of the leaflets' free halves. tips: (2, 2) px, left and
    right, the edge points farthest from the hinges. lengths: (2,) px from hinge to tip.
    """

    separation: float = np.nan
    tips: np.ndarray = None
    lengths: np.ndarray = None


UNKNOWN = Valve(np.nan, np.full((2, 2), np.nan), np.full(2, np.nan))
TOUCHING = Valve(0.0, UNKNOWN.tips, UNKNOWN.lengths)


def find_pieces(masks: np.ndarray) -> list[list[Piece]]:
    """Pieces of each frame of masks (T, H, W) bool, largest first, without false spots.

    Spots are small, or lie where the clip's masks hardly ever are.
    """
    areas = np.count_nonzero(masks, axis=(1, 2))
    if not areas.any():
        return [[] for _ in masks]
    usual = float(np.median(areas[areas > 0]))
    density = masks.mean(axis=0, dtype=np.float32)
    # leaflets move by about their thickness from frame to frame, a third of the area's root
    density = ndimage.gaussian_filter(density, np.sqrt(usual) / 3)
    often = density >= RARE * density.max()
    return [_pieces(mask, often, SPOT * usual) if area else []
            for mask, area in zip(masks, areas, strict=True)]  # fmt: skip


def _pieces(mask: np.ndarray, often: np.ndarray, smallest: float) -> list[Piece]:
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    window = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    mask, often = np.pad(mask[window], 1), np.pad(often[window], 1)
    labels, count = ndimage.label(mask, NEIGHBOURS)
    areas = np.bincount(labels.ravel(), minlength=count + 1)
    areas[np.bincount(labels[often], minlength=count + 1) == 0] = 0
    areas[0] = 0
    order = np.argsort(areas, kind="stable")[::-1][:MOST_PIECES]
    y, x = np.nonzero(mask & ~ndimage.binary_erosion(mask))
    number = labels[y, x]
    points = np.stack([x + columns[0] - 1, y + rows[0] - 1], axis=1).astype(float)
    return [
        Piece(points[number == index], int(areas[index]))
        for index in order
        if areas[index] >= max(smallest, 1)
    ]


# --- The annulus over a clip ----------------------------------------------------------------------


def find_annulus(frames: list[list[Piece]]) -> Annulus | None:
    """Hinges of a clip from the pieces of its T frames; None where no annulus is seen.

    A hinge is where a leaflet ends away from the other leaflet and from the apex. Each frame
    tells where it is; what disagrees with the clip, as in frames that lack a leaflet, is left
    out, filled from the frames around it, and the rest is smoothed over time.
    """
    clouds = [np.concatenate([piece.edge for piece in pieces] or [np.empty((0, 2))])
              for pieces in frames]  # fmt: skip
    right = _lie_of_the_valve(clouds)
    for _ in range(3):  # the direction tells the hinges, the hinges tell the direction
        raw = np.stack([_hinges(cloud, right) for cloud in clouds])
        across = raw[:, 1] - raw[:, 0]
        widths = np.hypot(*across.T)
        if not np.isfinite(widths).any():
            return None
        # frames that lack a leaflet are narrow, those with a false spot may be wide
        usual = np.nanpercentile(widths, 75)
        wide = np.abs(widths - usual) <= 0.25 * usual
        if not (usual >= NARROWEST and wide.any()):
            return None
        width = float(np.median(widths[wide]))
        right = np.median(across[wide], axis=0)
        right = right / np.hypot(*right)
    hinges = np.stack([_track(raw[:, side], raw[wide, side], width) for side in (0, 1)], axis=1)
    return Annulus(hinges, width, np.array([right[1], -right[0]]))


def _lie_of_the_valve(clouds: list[np.ndarray]) -> np.ndarray:
    """(2,) unit vector to the right along the annulus, from the frames that are most elongated.

    A shut valve is a flat arc from hinge to hinge. Horizontal where that says nothing.
    """
    found = []
    for cloud in clouds:
        if len(cloud) >= 3:
            values, vectors = np.linalg.eigh(np.cov(cloud.T))
            found.append((values[1], 1 - values[0] / max(values[1], 1e-9), *vectors[:, 1]))
    if not found:
        return np.array([1.0, 0.0])
    found = np.array(found)
    found = found[found[:, 0] >= 0.6 * np.percentile(found[:, 0], 90)]
    found = found[found[:, 1] >= np.percentile(found[:, 1], 60)]
    directions = found[:, 2:] * np.where(found[:, 2:3] < 0, -1, 1)
    right = np.median(directions, axis=0)
    return right / np.hypot(*right) if right[0] > 0.5 else np.array([1.0, 0.0])


def _hinges(cloud: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(2, 2) lowest outer corner of a frame's edge points on either side; NaN without points."""
    if len(cloud) == 0:
        return np.full((2, 2), np.nan)
    down = np.array([-right[1], right[0]])
    corners = []
    for side in (-right, right):
        reach = cloud @ (side + down)
        near = reach >= reach.max() - 0.06 * np.ptp(reach)
        corners.append(cloud[near].mean(axis=0))
    return np.array(corners)


def _track(raw: np.ndarray, trusted: np.ndarray, width: float) -> np.ndarray:
    """(T, 2) smooth way of one hinge; raw: (T, 2) px, NaN where unknown."""
    middle = np.median(trusted, axis=0)
    off = np.hypot(*(raw - middle).T)
    kept = np.where((off <= FARTHEST_HINGE * width)[:, None], raw, np.nan)
    filled = _filled(kept, middle)
    around = ndimage.median_filter(filled, (SMOOTHED_FRAMES, 1), mode="nearest")
    jump = np.hypot(*(filled - around).T) > HINGE_JUMP * width
    filled = _filled(np.where(jump[:, None], np.nan, kept), middle)
    return ndimage.gaussian_filter1d(filled, SMOOTHED_FRAMES / 4, axis=0, mode="nearest")


def _filled(points: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    """Points (T, 2), NaN rows in a straight line between their neighbours; `otherwise` if all."""
    known = np.flatnonzero(np.isfinite(points[:, 0]))
    if len(known) == 0:
        return np.tile(otherwise, (len(points), 1))
    every = np.arange(len(points))
    return np.stack([np.interp(every, known, points[known, axis]) for axis in (0, 1)], axis=1)


# --- The leaflets in a frame ----------------------------------------------------------------------


def measure(pieces: list[Piece], hinges: np.ndarray, annulus: Annulus) -> Valve:
    """The gap between the leaflets of one frame.

    hinges: (2, 2) px. One piece from hinge to hinge is a shut valve. Else each piece belongs to
    the leaflet that it is nearest to, beginning at the hinges; what is far from both is a spot.
    """
    across = hinges[1] - hinges[0]
    for piece in pieces:
        along = (piece.edge - hinges[0]) @ across / (across @ across)
        if along.min() <= SPANS[0] and along.max() >= SPANS[1]:
            return TOUCHING
    sides = [_joined(parts) for parts in _assign(pieces, hinges, annulus.width)]
    tips, lengths = UNKNOWN.tips.copy(), UNKNOWN.lengths.copy()
    distal = []
    for side, points in enumerate(sides):
        if len(points) == 0:
            continue
        reach = np.hypot(*(points - hinges[side]).T)
        tips[side], lengths[side] = points[reach.argmax()], reach.max()
        distal.append(points[reach >= DISTAL * reach.max()])
    if len(distal) < 2:
        return Valve(np.nan, tips, lengths)
    nearest = cKDTree(distal[0]).query(distal[1])[0].min()
    # neighbouring pixels are 1 px apart, and nothing lies between them
    return Valve(max(0.0, float(nearest) - 1), tips, lengths)


def _joined(parts: list[Piece]) -> np.ndarray:
    return np.concatenate([piece.edge for piece in parts] or [np.empty((0, 2))])


def _assign(pieces: list[Piece], hinges: np.ndarray, width: float) -> list[list[Piece]]:
    """Pieces of the left and of the right leaflet: the nearest to either hinge or piece first."""
    sides, free = [[], []], list(pieces)
    trees = [cKDTree(hinge[None]) for hinge in hinges]
    gaps = [[tree.query(piece.edge)[0].min() for tree in trees] for piece in free]
    while free:
        index, side = np.unravel_index(np.argmin(gaps), (len(free), 2))
        if gaps[index][side] > LARGEST_BREAK * width:
            break
        taken = free.pop(index)
        gaps.pop(index)
        sides[side].append(taken)
        tree = cKDTree(taken.edge)
        for gap, piece in zip(gaps, free, strict=True):
            gap[side] = min(gap[side], tree.query(piece.edge)[0].min())
    return sides
