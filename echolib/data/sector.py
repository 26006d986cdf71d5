"""The sector that a probe shows: where it lies in a frame, and how to crop to it."""

from dataclasses import dataclass, replace
from functools import reduce

import cv2
import numpy as np

from ..arrays import evenly
from ..geometry import bounding_box
from .clips import Clip
from .letterbox import Crop, Letterbox

DARK = 4  # grey levels up to this count as black
SAMPLED = 16  # frames of a clip, spread evenly, that are searched for the sector
MARGIN = 0.02  # of the sector's larger side, kept around it
NEARLY_ALL = 0.8  # of the larger side: a sector that is larger is not cropped
ALIKE = 0.5  # of the larger one's area and height: two pictures side by side are at least as alike
SLIMMEST = 0.5  # width of a picture in heights; a wall alone is slimmer
PIECE = 0.25  # of the largest piece's area: smaller ones are letters, bars and marks


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
    """The sector of a frame (H, W) uint8: the convex hull of its large bright pieces.

    Marks and text beside it are left out where a dark gap of 3 px parts them from it. An image
    without anything bright counts as all inside.
    """
    inside = _convex_hull(_sector_pieces(image))
    rows, columns = np.nonzero(inside)
    top = rows.min()
    apex = (float(columns[rows == top].mean()), float(top))
    y, x = np.mgrid[: image.shape[0], : image.shape[1]].astype(np.float32)
    across, down = x - apex[0], y - apex[1]
    distance = np.hypot(across, down)
    reach = max(1.0, float(distance[inside > 0].max()))
    angle = np.arctan2(across, np.maximum(down, 1e-3))
    return Sector(inside > 0, apex, distance / reach, angle, reach)


def _convex_hull(shown: np.ndarray) -> np.ndarray:
    """(H, W) uint8, 1 inside the convex hull of the pixels shown (H, W) bool; 1 where none is."""
    rows, columns = np.nonzero(shown)
    if len(rows) == 0:
        return np.ones(shown.shape, np.uint8)
    hull = cv2.convexHull(np.stack([columns, rows], axis=1).astype(np.int32))
    return cv2.fillConvexPoly(np.zeros(shown.shape, np.uint8), hull, 1)


def _bright_pieces(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels (H, W) of the bright pieces, 0 for none, and OpenCV's statistics of each label."""
    bright = cv2.morphologyEx((image > DARK).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5)))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(bright)
    return labels, stats


def clip_sector(clip: Clip) -> Sector:
    """The sector of a whole clip: frames are joined, so that dark parts of one leave no gap."""
    return find_sector(_brightest(clip.frames))


def _brightest(frames: np.ndarray) -> np.ndarray:
    """(H, W) maximum of some frames (T, H, W), spread over the clip."""
    chosen = evenly(len(frames), SAMPLED)
    return reduce(np.maximum, (frames[index] for index in chosen))  # without a copy of them


def blank_text(clip: Clip) -> Clip:
    """The clip, black outside its sector, where a machine writes names, dates and numbers.

    What lies in the sector or touches it stays, so look at the result before you pass it on. Where
    the sector fills the frames, nothing is blackened.
    """
    return replace(clip, frames=blank_outside(clip.frames))


def blank_outside(frames: np.ndarray) -> np.ndarray:
    """Frames (T, H, W) uint8 of one clip, black outside their sector, see `blank_text`."""
    return frames * _convex_hull(_sector_pieces(_brightest(frames)))


def sector_window(frames: np.ndarray) -> tuple[slice, slice]:
    """The (rows, columns) of frames (T, H, W) uint8 that hold their sector, with a small margin.

    They leave out a machine's letters, bars and black margins. Where the sector fills most of the
    frames, they are the whole frame: a crop would gain little, and a dim sector may look smaller
    than it is.
    """
    shape = frames.shape[1:]
    rows, columns = bounding_box(_sector_pieces(_brightest(frames)))
    larger = max(rows.stop - rows.start, columns.stop - columns.start)
    if larger > NEARLY_ALL * max(shape):
        return slice(0, shape[0]), slice(0, shape[1])
    margin = round(MARGIN * larger)
    rows, columns = (
        slice(max(0, part.start - margin), min(side, part.stop + margin))
        for part, side in zip((rows, columns), shape, strict=True)
    )
    return rows, columns


def centre_of_area(frames: np.ndarray) -> float:
    """How low the centre of the sector's area lies in frames (T, H, W) uint8, 0 (top) to 1.

    A share of the sector's height: 0.54 to 0.64 with the probe at the top, where a sector is
    narrow; 0.5 for a rectangle.
    """
    inside = _convex_hull(_sector_pieces(_brightest(frames)))
    rows, _ = bounding_box(inside > 0)
    widths = inside[rows].sum(axis=1)
    return float(np.average((np.arange(len(widths)) + 0.5) / len(widths), weights=widths))


def _sector_pieces(image: np.ndarray) -> np.ndarray:
    """(H, W) bool: the bright pieces of a sector, which dark bands may part; all if there is none.

    Letters and bars are much smaller than the largest piece.
    """
    labels, stats = _bright_pieces(image)
    if len(stats) == 1:
        return np.ones(image.shape, bool)
    areas = stats[1:, cv2.CC_STAT_AREA]
    kept = 1 + np.flatnonzero(areas >= PIECE * areas.max())
    return np.isin(labels, kept) & (image > DARK)


def shows_two(frames: np.ndarray) -> bool:
    """Whether frames (T, H, W) uint8 show two pictures side by side, as of two views at once."""
    _, stats = _bright_pieces(_brightest(frames))
    if len(stats) < 3:
        return False
    pair = stats[1:][np.argsort(stats[1:, cv2.CC_STAT_AREA])[-2:]]
    left, top, width, height, area = pair[np.argsort(pair[:, cv2.CC_STAT_LEFT])].T
    beside = left[1] >= left[0] + width[0]
    shared = min(top + height) - max(top)  # rows
    alike = min(area) >= ALIKE * max(area) and shared >= ALIKE * max(height)
    return bool(beside and alike and (width >= SLIMMEST * height).all())


def crop_to_sector(clip: Clip) -> tuple[Clip, tuple[slice, slice]]:
    """The clip without the surroundings of its sector, and the `sector_window` that is kept.

    Pixels are the file's own, so that spacing and proportions stay.
    """
    rows, columns = sector_window(clip.frames)
    if (rows.stop - rows.start, columns.stop - columns.start) == clip.frames.shape[1:]:
        return clip, (rows, columns)
    return replace(clip, frames=clip.frames[:, rows, columns]), (rows, columns)


@dataclass(frozen=True)
class SectorBox:
    """The sector of a frame, or a part of it, as the square that a network sees, and the way back.

    height, width: of the frame, px. rows, columns: of the frame, its `sector_window`. part: how
    that window, or a crop of it, becomes the square.
    """

    height: int
    width: int
    rows: slice
    columns: slice
    part: Letterbox | Crop

    def image(self, frame: np.ndarray) -> np.ndarray:
        """(H, W) uint8 frame to the (size, size) uint8 square."""
        return self.part.image(frame[self.rows, self.columns])

    def mask(self, mask: np.ndarray) -> np.ndarray:
        """(H, W) bool mask of the frame to the (size, size) bool square."""
        return self.part.mask(mask[self.rows, self.columns])

    def back(self, values: np.ndarray) -> np.ndarray:
        """(size, size) probabilities to (H, W) float32 of the frame, 0 beside the window."""
        frame = np.zeros((self.height, self.width), np.float32)
        frame[self.rows, self.columns] = self.part.back(values)
        return frame

    def points_back(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 2) of the square to px of the frame, float32."""
        corner = np.array([self.columns.start, self.rows.start], np.float32)
        return self.part.points_back(points) + corner


def sector_box(frames: np.ndarray, size: int) -> SectorBox:
    """The box of frames (T, H, W) uint8 of one clip, for a network that sees (size, size) px."""
    height, width = frames.shape[1:]
    rows, columns = sector_window(frames)
    part = Letterbox(rows.stop - rows.start, columns.stop - columns.start, size)
    return SectorBox(height, width, rows, columns, part)
