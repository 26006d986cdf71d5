"""The left ventricle's outline in every frame of a clip: points, tracing, share at the edge.

Masks show an apical view with the apex up. Points are (x, y) in px, y down.
"""

import numpy as np
import pandas as pd
from scipy import ndimage

from .. import geometry
from ..geometry import CHORDS, Tracing
from ..masks import PackedMasks
from ..metrics import edge_pixels

EDGE_PX, EDGE_SHARE = 1.5, 0.012  # width of the edge: px, and share of the sector's shorter side
MIN_AREA = 0.1  # share of the clip's median area: a smaller mask is a spot, not a ventricle
MM_DIGITS = 4  # after the point, of coordinates in mm


def masks_to_tracings(
    masks: np.ndarray | PackedMasks,
) -> tuple[list[Tracing | None], np.ndarray]:
    """Long axis and 20 chords of every frame, and the (T,) area of its outline in px².

    masks: (T, H, W) bool, packed or not. None and NaN where a mask is empty or too small for a
    ventricle. Only the largest piece of a mask counts, with its holes filled. Each frame has its
    own axis: an axis smoothed over time makes neither the volumes nor the lengths of noisy phantom
    masks steadier.
    """
    tracings: list[Tracing | None] = [None] * len(masks)
    areas = np.full(len(masks), np.nan)
    counts = np.zeros(len(masks), int)
    for frame, mask in enumerate(masks):
        if mask.any():
            counts[frame], tracings[frame] = _tracing(mask)
    least = MIN_AREA * np.median(counts[counts > 0]) if counts.any() else 0
    for frame, count in enumerate(counts):
        if count < least:
            tracings[frame] = None
        if tracings[frame] is not None:
            areas[frame] = count
    return tracings, areas


def _tracing(mask: np.ndarray) -> tuple[int, Tracing | None]:
    """Area in px² of a mask's largest piece, and its tracing if it has a long axis."""
    rows, columns = geometry.bounding_box(mask)
    piece = geometry.largest_component(mask[rows, columns])
    corner = np.array([columns.start, rows.start], np.float32)
    try:
        tracing = geometry.outline_to_tracing(geometry.mask_outlines(piece)[0])
    except ValueError:  # too small or too thin for a long axis
        return int(np.count_nonzero(piece)), None
    return int(np.count_nonzero(piece)), Tracing(tracing.axis + corner, tracing.chords + corner)


def measure_tracings(tracings: list[Tracing | None], spacing: float) -> dict[str, np.ndarray]:
    """Measure T tracings: arrays volume (T,), length (T,), axes (T, 2, 2), chords (T, 20, 2, 2).

    spacing: mm per px. Volumes are those of `geometry.disk_volume`, in ml; length is that of the
    long axis, in mm; axes and chords are in px. NaN where a tracing is None.
    """
    count = len(tracings)
    volume, length = np.full(count, np.nan), np.full(count, np.nan)
    axes, chords = np.full((count, 2, 2), np.nan), np.full((count, CHORDS, 2, 2), np.nan)
    for frame, tracing in enumerate(tracings):
        if tracing is not None:
            volume[frame] = geometry.disk_volume(tracing, spacing)
            length[frame] = tracing.length * spacing
            axes[frame], chords[frame] = tracing.axis, tracing.chords
    return {"volume": volume, "length": length, "axes": axes, "chords": chords}


def share_at_edge(masks: np.ndarray | PackedMasks, sector: np.ndarray) -> np.ndarray:
    """(T,) share of each outline's pixels that lie at the edge of the sector or of the picture.

    masks: (T, H, W) bool. sector: (H, W) bool. The base is included: a base below the sector's
    lower edge loses volume just as a wall beyond its side does. NaN for an empty mask.
    """
    distance = ndimage.distance_transform_edt(np.pad(sector, 1))[1:-1, 1:-1]
    sides = [part.stop - part.start for part in geometry.bounding_box(sector)]
    rim = distance <= max(EDGE_PX, EDGE_SHARE * min(sides))
    shares = np.full(len(masks), np.nan)
    for frame, mask in enumerate(masks):
        if not mask.any():
            continue
        touching = mask & rim
        shares[frame] = 0.0
        if touching.any():
            outline = edge_pixels(mask)
            shares[frame] = np.count_nonzero(outline & rim) / np.count_nonzero(outline)
    return shares


def contours_table(
    clip: str, masks: np.ndarray | PackedMasks, spacing: float | None
) -> pd.DataFrame:
    """One row per point of the outline: clip, frame, point, x_px, y_px, and x_mm, y_mm.

    clip: its name. masks: (T, H, W) bool. spacing: mm per px; the columns in mm are there where it
    is known. Each frame has one ring, around the largest piece of its mask with the holes filled,
    half-way between the pixels inside and those outside; a frame with an empty mask has no row.
    It begins at the topmost point, of several the leftmost, and runs clockwise as one sees it; the
    last point is not the first again. The centre of the top left pixel is (0, 0), y down.
    """
    rings = [_ring(mask) if mask.any() else np.empty((0, 2)) for mask in masks]
    counts = [len(ring) for ring in rings]
    points = np.concatenate(rings)
    table = pd.DataFrame({"clip": clip, "frame": np.repeat(np.arange(len(rings)), counts)})
    table["point"] = np.concatenate([np.arange(count) for count in counts])
    table[["x_px", "y_px"]] = points
    if spacing is not None:
        table[["x_mm", "y_mm"]] = (points * spacing).round(MM_DIGITS)
    return table


def _ring(mask: np.ndarray) -> np.ndarray:
    """(n, 2) float64 outline of a mask, clockwise as one sees it, from its topmost point on."""
    ring = geometry.mask_outline(mask).astype(float)
    x, y = ring.T
    if (x * np.roll(y, -1) - np.roll(x, -1) * y).sum() < 0:  # y down: clockwise is positive
        ring = ring[::-1]
    return np.roll(ring, -np.lexsort(ring.T)[0], axis=0)
