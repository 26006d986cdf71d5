"""The sector that a probe shows: where it lies in a picture, and how to cut it out."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from .clips import Clip

DARK = 4  # grey levels up to this count as black
SAMPLED = 16  # frames of a clip in which the sector is looked for
MARGIN = 0.02  # of the sector's larger side, left around it
WORTH = 0.9  # of the larger side: a cut that leaves more than that is none


@dataclass(frozen=True)
class Sector:
    """Where an image shows anything, and where each pixel lies as the probe sees it.

    inside: (H, W) bool. apex: (x, y) px of the sector's top, about where the probe is. depth:
    (H, W) float32 distance from the apex as a share of the deepest pixel's. angle: (H, W)
    float32, of the beam through a pixel against straight down, rad, positive to the right.
    reach: px from the apex to the deepest pixel.
    """

    inside: np.ndarray
    apex: tuple[float, float]
    depth: np.ndarray
    angle: np.ndarray
    reach: float


def find_sector(image: np.ndarray) -> Sector:
    """The sector of a frame (H, W) uint8: the convex hull of its largest bright piece.

    Marks and text beside it are left out where a dark gap of 3 px parts them from it. An image
    without anything bright counts as all inside.
    """
    bright = cv2.morphologyEx((image > DARK).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5)))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(bright)
    inside = np.ones(image.shape, np.uint8)
    if count > 1:
        largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
        rows, columns = np.nonzero((labels == largest) & (image > DARK))
        if len(rows):
            hull = cv2.convexHull(np.stack([columns, rows], axis=1).astype(np.int32))
            inside = cv2.fillConvexPoly(np.zeros(image.shape, np.uint8), hull, 1)
    rows, columns = np.nonzero(inside)
    top = rows.min()
    apex = (float(columns[rows == top].mean()), float(top))
    y, x = np.mgrid[: image.shape[0], : image.shape[1]].astype(np.float32)
    across, down = x - apex[0], y - apex[1]
    distance = np.hypot(across, down)
    reach = max(1.0, float(distance[inside > 0].max()))
    angle = np.arctan2(across, np.maximum(down, 1e-3))
    return Sector(inside > 0, apex, distance / reach, angle, reach)


def clip_sector(clip: Clip) -> Sector:
    """The sector of a whole clip: what is bright in any of some frames leaves no gaps in it."""
    count = len(clip.frames)
    chosen = np.linspace(0, count - 1, min(SAMPLED, count)).round().astype(int)
    return find_sector(clip.frames[chosen].max(axis=0))


def crop_to_sector(clip: Clip) -> tuple[Clip, tuple[slice, slice]]:
    """The clip without what lies around its sector: a machine's letters, bars and black margins.

    Returns the clip and the (rows, columns) of the frames that it shows; its pixels are the
    file's own, so that spacing and aspect stay. A clip whose sector nearly fills it stays whole.
    """
    inside = clip_sector(clip).inside
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    extents = [(int(line[0]), int(line[-1]) + 1) for line in (rows, columns)]
    larger = max(stop - start for start, stop in extents)
    if larger > WORTH * max(inside.shape):
        return clip, (slice(0, inside.shape[0]), slice(0, inside.shape[1]))
    margin = round(MARGIN * larger)
    window = tuple(
        slice(max(0, start - margin), min(side, stop + margin))
        for (start, stop), side in zip(extents, inside.shape, strict=True)
    )
    return replace(clip, frames=np.ascontiguousarray(clip.frames[:, *window])), window
