"""The mitral leaflets in masks of an apical view: pieces, hinges over a clip, tips and their gap.

Masks are strips along both leaflets, with the apex up. Points are (x, y) in px, y down. `left` is
the leaflet on the left of the picture; which of the patient's leaflets that is depends on the
view. A hinge is the point where a leaflet meets the annulus.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from ..geometry import bounding_box
from ..metrics import edge_pixels

NEIGHBOURS = np.ones((3, 3), bool)  # pixels that touch at a corner belong to one piece
MOST_PIECES = 12  # per frame; further pieces are noise
SPOT_AREA = 0.07  # share of the clip's median mask area: a smaller piece is not a leaflet
MIN_DENSITY = 0.15  # of the clip's masks, as a share of their maximum: a piece below it is a spot
NARROWEST = 4.0  # px: a narrower annulus cannot be measured
DISTAL_PART = 0.5  # share of a leaflet's length: its free half, where the leaflets meet
SHORTEST_LEAFLET = 0.7  # share of a leaflet's usual length: a shorter leaflet has lost its tip
BOTH_LEAFLETS = (
    0.25,
    0.80,
)  # from left to right hinge: a piece that covers these is a closed valve
SMOOTHING_FRAMES = 7  # over which hinges are compared and smoothed
# Distances as shares of the annulus width
FARTHEST_HINGE = 0.35  # of a frame's hinge from its median position in the clip
HINGE_JUMP = 0.12  # of a frame's hinge from those of the frames around it
LARGEST_BREAK = 0.30  # between pieces of one leaflet


@dataclass(frozen=True)
class Piece:
    """One connected piece of a mask. edge: (n, 2) px, its edge pixels; area: px²."""

    edge: np.ndarray
    area: int


@dataclass(frozen=True)
class Annulus:
    """The annulus over a clip.

    hinges: (T, 2, 2) px, left and right. width: px. up: (2,) unit vector towards the apex.
    """

    hinges: np.ndarray
    width: float
    up: np.ndarray


@dataclass(frozen=True)
class FrameLeaflets:
    """The leaflets in one frame; unknown values are NaN.

    separation: px from edge to edge of the leaflets' free halves. tips: (2, 2) px, left and
    right, the edge points farthest from the hinges. lengths: (2,) px from hinge to tip.
    """

    separation: float
    tips: np.ndarray
    lengths: np.ndarray


def find_pieces(masks: np.ndarray) -> list[list[Piece]]:
    """Pieces of each frame of masks (T, H, W) bool, largest first, without false spots.

    Spots are small pieces, or pieces where the clip's masks hardly ever are.
    """
    areas = np.count_nonzero(masks, axis=(1, 2))
    if not areas.any():
        return [[] for _ in masks]
    usual = float(np.median(areas[areas > 0]))
    density = masks.mean(axis=0, dtype=np.float32)
    # leaflets move by about their thickness from frame to frame: a third of the area's square root
    density = ndimage.gaussian_filter(density, np.sqrt(usual) / 3)
    dense = density >= MIN_DENSITY * density.max()
    return [_pieces(mask, dense, SPOT_AREA * usual) if area else []
            for mask, area in zip(masks, areas, strict=True)]  # fmt: skip


def _pieces(mask: np.ndarray, dense: np.ndarray, smallest: float) -> list[Piece]:
    """Pieces of one mask (H, W) with at least the smallest area and a pixel in the dense region."""
    rows, columns = bounding_box(mask)
    mask, dense = np.pad(mask[rows, columns], 1), np.pad(dense[rows, columns], 1)
    labels, count = ndimage.label(mask, NEIGHBOURS)
    areas = np.bincount(labels.ravel(), minlength=count + 1)
    areas[np.bincount(labels[dense], minlength=count + 1) == 0] = 0
    areas[0] = 0
    order = np.argsort(areas, kind="stable")[::-1][:MOST_PIECES]
    y, x = np.nonzero(edge_pixels(mask))
    number = labels[y, x]
    points = np.stack([x + columns.start - 1, y + rows.start - 1], axis=1).astype(float)
    return [
        Piece(points[number == index], int(areas[index]))
        for index in order
        if areas[index] >= max(smallest, 1)
    ]


def _edge_points(pieces: list[Piece]) -> np.ndarray:
    """(n, 2) edge points of several pieces; (0, 2) without a piece."""
    return np.concatenate([piece.edge for piece in pieces] or [np.empty((0, 2))])


# --- The annulus over a clip ----------------------------------------------------------------------


def find_annulus(frames: list[list[Piece]]) -> Annulus | None:
    """Find the hinges of a clip from the pieces of its T frames; None where there is no annulus.

    A hinge is the end of a leaflet that points away from the other leaflet and from the apex.
    Each frame gives one estimate. Estimates that disagree with the rest of the clip, as in frames
    that lack a leaflet, are replaced by those of the frames around. All are smoothed over time.
    """
    clouds = [_edge_points(pieces) for pieces in frames]
    right = _annulus_direction(clouds)
    for _ in range(3):  # the direction gives the hinges, and the hinges give a better direction
        raw = np.stack([_hinges(cloud, right) for cloud in clouds])
        across = raw[:, 1] - raw[:, 0]
        widths = np.hypot(*across.T)
        if not np.isfinite(widths).any():
            return None
        # frames that lack a leaflet are narrow, frames with a false spot may be wide
        usual = np.nanpercentile(widths, 75)
        reliable = np.abs(widths - usual) <= 0.25 * usual
        if not (usual >= NARROWEST and reliable.any()):
            return None
        width = float(np.median(widths[reliable]))
        right = np.median(across[reliable], axis=0)
        right = right / np.hypot(*right)
    tracks = [_hinge_track(raw[:, side], raw[reliable, side], width) for side in (0, 1)]
    return Annulus(np.stack(tracks, axis=1), width, np.array([right[1], -right[0]]))


def _annulus_direction(clouds: list[np.ndarray]) -> np.ndarray:
    """(2,) unit vector to the right along the annulus, from the frames with the flattest masks.

    A closed valve is a flat arc from hinge to hinge. The direction is horizontal where the masks
    do not show it. clouds: edge points (n, 2) of each frame.
    """
    shapes = []
    for cloud in clouds:
        if len(cloud) >= 3:
            values, vectors = np.linalg.eigh(np.cov(cloud.T))
            shapes.append((values[1], 1 - values[0] / max(values[1], 1e-9), *vectors[:, 1]))
    if not shapes:
        return np.array([1.0, 0.0])
    table = np.array(shapes)  # columns: extent, elongation, direction x and y
    table = table[table[:, 0] >= 0.6 * np.percentile(table[:, 0], 90)]
    table = table[table[:, 1] >= np.percentile(table[:, 1], 60)]
    directions = table[:, 2:] * np.where(table[:, 2:3] < 0, -1, 1)
    right = np.median(directions, axis=0)
    return right / np.hypot(*right) if right[0] > 0.5 else np.array([1.0, 0.0])


def _hinges(cloud: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(2, 2) lowest outer corner of a frame's edge points, left and right; NaN without points."""
    if len(cloud) == 0:
        return np.full((2, 2), np.nan)
    down = np.array([-right[1], right[0]])
    corners = []
    for side in (-right, right):
        reach = cloud @ (side + down)
        near = reach >= reach.max() - 0.06 * np.ptp(reach)
        corners.append(cloud[near].mean(axis=0))
    return np.array(corners)


def _hinge_track(raw: np.ndarray, reliable: np.ndarray, width: float) -> np.ndarray:
    """(T, 2) smooth path of one hinge.

    raw: (T, 2) px, NaN where unknown. reliable: (n, 2) px, from frames with the usual width.
    width: of the annulus, px.
    """
    middle = np.median(reliable, axis=0)
    distance = np.hypot(*(raw - middle).T)
    kept = np.where((distance <= FARTHEST_HINGE * width)[:, None], raw, np.nan)
    filled = _interpolate(kept, middle)
    around = ndimage.median_filter(filled, (SMOOTHING_FRAMES, 1), mode="nearest")
    jump = np.hypot(*(filled - around).T) > HINGE_JUMP * width
    filled = _interpolate(np.where(jump[:, None], np.nan, kept), middle)
    return ndimage.gaussian_filter1d(filled, SMOOTHING_FRAMES / 4, axis=0, mode="nearest")


def _interpolate(points: np.ndarray, default: np.ndarray) -> np.ndarray:
    """Points (T, 2) with NaN rows interpolated over time; `default` (2,) where all are NaN."""
    finite = np.flatnonzero(np.isfinite(points[:, 0]))
    if len(finite) == 0:
        return np.tile(default, (len(points), 1))
    frames = np.arange(len(points))
    return np.stack([np.interp(frames, finite, points[finite, axis]) for axis in (0, 1)], axis=1)


# --- The leaflets in a frame ----------------------------------------------------------------------


def measure_leaflets(pieces: list[Piece], hinges: np.ndarray, annulus: Annulus) -> FrameLeaflets:
    """Measure the leaflets of one frame.

    hinges: (2, 2) px. One piece from hinge to hinge is a closed valve with a separation of 0. Else
    each piece belongs to the nearest leaflet, starting at the hinges; a piece that is far from
    both leaflets is a spot.
    """
    tips, lengths = np.full((2, 2), np.nan), np.full(2, np.nan)
    across = hinges[1] - hinges[0]
    for piece in pieces:
        along = (piece.edge - hinges[0]) @ across / (across @ across)
        if along.min() <= BOTH_LEAFLETS[0] and along.max() >= BOTH_LEAFLETS[1]:
            return FrameLeaflets(0.0, tips, lengths)
    distal = []
    for side, parts in enumerate(_assign(pieces, hinges, annulus.width)):
        points = _edge_points(parts)
        if len(points) == 0:
            continue
        reach = np.hypot(*(points - hinges[side]).T)
        tips[side], lengths[side] = points[reach.argmax()], reach.max()
        distal.append(points[reach >= DISTAL_PART * reach.max()])
    if len(distal) < 2:
        return FrameLeaflets(np.nan, tips, lengths)
    nearest = cKDTree(distal[0]).query(distal[1])[0].min()
    # neighbouring pixels are 1 px apart, and nothing lies between them
    return FrameLeaflets(max(0.0, float(nearest) - 1), tips, lengths)


def _assign(pieces: list[Piece], hinges: np.ndarray, width: float) -> list[list[Piece]]:
    """Pieces of the left and of the right leaflet.

    The piece nearest to a hinge, or to a piece that is assigned already, is assigned next. Pieces
    farther away than `LARGEST_BREAK` are left out. width: of the annulus, px.
    """
    sides: list[list[Piece]] = [[], []]
    free = list(pieces)
    trees = [cKDTree(hinge[None]) for hinge in hinges]
    gaps = [[tree.query(piece.edge)[0].min() for tree in trees] for piece in free]
    while free:
        index, side = np.unravel_index(np.argmin(gaps), (len(free), 2))
        if gaps[index][side] > LARGEST_BREAK * width:
            break
        assigned = free.pop(index)
        gaps.pop(index)
        sides[side].append(assigned)
        tree = cKDTree(assigned.edge)
        for gap, piece in zip(gaps, free, strict=True):
            gap[side] = min(gap[side], tree.query(piece.edge)[0].min())
    return sides
