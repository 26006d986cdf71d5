"""Square input for a network from frames of any shape, or parts of them, and the way back."""

from dataclasses import dataclass

import cv2
import numpy as np


def _check_shape(frame: np.ndarray, shape: tuple[int, int]) -> None:
    if frame.shape != shape:
        raise ValueError(f"Expected a frame of shape {shape}, got {frame.shape}.")


@dataclass(frozen=True)
class Letterbox:
    """Pad a frame to a centred square with black, then resize it: the aspect is preserved.

    height, width: the source frame's, px. size: side of the square the network sees, px.
    Every mapping goes through the same affine: pixel centres at integers, square pixel edges
    aligned, so that there and back is exact.
    """

    height: int
    width: int
    size: int

    def __post_init__(self) -> None:
        if min(self.height, self.width, self.size) < 1:
            raise ValueError(
                f"Sizes must be at least 1 px, not {self.height} x {self.width} to {self.size}."
            )

    @property
    def side(self) -> int:
        """Side of the padded square in source px."""
        return max(self.height, self.width)

    @property
    def scale(self) -> float:
        """Px of the square per px of the source."""
        return self.size / self.side

    @property
    def _corner(self) -> tuple[int, int]:  # row, column of the frame in the padded square
        return (self.side - self.height) // 2, (self.side - self.width) // 2

    def _resize(self, square: np.ndarray, size: int) -> np.ndarray:
        if square.shape[0] == size:
            return square
        shrinking = size < square.shape[0]
        method = cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
        return cv2.resize(square, (size, size), interpolation=method)

    def _square(self, frame: np.ndarray) -> np.ndarray:
        _check_shape(frame, (self.height, self.width))
        square = np.zeros((self.side, self.side), frame.dtype)
        row, column = self._corner
        square[row : row + self.height, column : column + self.width] = frame
        return square

    def image(self, frame: np.ndarray) -> np.ndarray:
        """(H, W) uint8 source frame to the (size, size) uint8 square."""
        return self._resize(self._square(np.asarray(frame, np.uint8)), self.size)

    def mask(self, mask: np.ndarray) -> np.ndarray:
        """(H, W) bool mask to the (size, size) bool square: px covered by half or more."""
        square = self._square(np.asarray(mask, bool)).astype(np.float32)
        return self._resize(square, self.size) >= 0.5

    def regions(self, regions: np.ndarray) -> np.ndarray:
        """(H, W) uint8 numbers of regions to the (size, size) square, each as `mask` does it."""
        square = np.zeros((self.size, self.size), np.uint8)
        for number in np.unique(regions[regions > 0])[::-1]:  # on a tie the first region counts
            square[self.mask(regions == number)] = number
        return square

    def points(self, points: np.ndarray) -> np.ndarray:
        """Source points (..., 2) px to points of the square, float32."""
        row, column = self._corner
        shifted = np.asarray(points, np.float64) + [column + 0.5, row + 0.5]
        return (shifted * self.scale - 0.5).astype(np.float32)

    def points_back(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 2) of the square to source px, float32: the inverse of `points`."""
        row, column = self._corner
        shifted = (np.asarray(points, np.float64) + 0.5) / self.scale
        return (shifted - [column + 0.5, row + 0.5]).astype(np.float32)

    def back(self, values: np.ndarray) -> np.ndarray:
        """(size, size) probabilities to (H, W) float32 of the source frame."""
        values = np.ascontiguousarray(values, np.float32)
        if values.shape != (self.size, self.size):
            raise ValueError(f"Expected ({self.size}, {self.size}), got {values.shape}.")
        row, column = self._corner
        square = self._resize(values, self.side)
        return square[row : row + self.height, column : column + self.width]

    def mask_back(self, mask: np.ndarray) -> np.ndarray:
        """(size, size) bool mask to the (H, W) bool mask of the source frame."""
        return self.back(np.asarray(mask, bool)) >= 0.5


@dataclass(frozen=True)
class Crop:
    """A square part of a frame, resized: what a network sees that looks closely.

    height, width: the source frame's, px. left, top: the part's first pixel; it may lie outside
    the frame, where all is black. side: of the part, px. size: of the square the network sees.
    """

    height: int
    width: int
    left: int
    top: int
    side: int
    size: int

    def __post_init__(self) -> None:
        if min(self.height, self.width, self.side, self.size) < 1:
            raise ValueError(
                f"Sizes must be at least 1 px, not {self.height} x {self.width}, a part of "
                f"{self.side} to {self.size}."
            )
        clear = self.left < self.width and self.top < self.height
        if not clear or min(self.left, self.top) + self.side <= 0:
            raise ValueError(
                f"The part of {self.side} px at ({self.left}, {self.top}) lies outside the frame "
                f"of {self.width} x {self.height} px."
            )

    @property
    def letterbox(self) -> Letterbox:
        """How the part becomes the square."""
        return Letterbox(self.side, self.side, self.size)

    @property
    def _overlap(self) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """Rows and columns of the frame that the part shows, and of the part that show them."""
        top, left = max(self.top, 0), max(self.left, 0)
        bottom = min(self.top + self.side, self.height)
        right = min(self.left + self.side, self.width)
        inside = np.s_[top - self.top : bottom - self.top, left - self.left : right - self.left]
        return np.s_[top:bottom, left:right], inside

    def _part(self, frame: np.ndarray) -> np.ndarray:
        _check_shape(frame, (self.height, self.width))
        part = np.zeros((self.side, self.side), frame.dtype)
        there, here = self._overlap
        part[here] = frame[there]
        return part

    def image(self, frame: np.ndarray) -> np.ndarray:
        """(H, W) uint8 source frame to the (size, size) uint8 square."""
        return self.letterbox.image(self._part(np.asarray(frame, np.uint8)))

    def mask(self, mask: np.ndarray) -> np.ndarray:
        """(H, W) bool mask to the (size, size) bool square."""
        return self.letterbox.mask(self._part(np.asarray(mask, bool)))

    def back(self, values: np.ndarray) -> np.ndarray:
        """(size, size) probabilities to (H, W) float32 of the source frame, 0 beyond the part."""
        frame = np.zeros((self.height, self.width), np.float32)
        there, here = self._overlap
        frame[there] = self.letterbox.back(values)[here]
        return frame

    def points(self, points: np.ndarray) -> np.ndarray:
        """Source points (..., 2) px to points of the square, float32."""
        return self.letterbox.points(np.asarray(points) - [self.left, self.top])

    def points_back(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 2) of the square to source px, float32: the inverse of `points`."""
        return self.letterbox.points_back(points) + np.array([self.left, self.top], np.float32)
