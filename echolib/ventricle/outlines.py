"""The left ventricle's outline in every frame of a clip: tracing, volume, share at the edge.

Masks show an apical view with the apex up. Points are (x, y) in px, y down.
"""

import numpy as np
from scipy import ndimage

from .. import geometry
from ..geometry import CHORDS, Tracing
from ..masks import PackedMasks

EDGE_PX, EDGE_SHARE = 1.5, 0.012  # width of the edge: px, and share of the sector's shorter side
MIN_AREA = 0.1  # share of the clip's median area: a smaller mask is a spot, not a ventricle


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
        tracing = geometry.mask_to_tracing(piece)
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
            outline = mask & ~ndimage.binary_erosion(mask)
            shares[frame] = np.count_nonzero(outline & rim) / np.count_nonzero(outline)
    return shares
