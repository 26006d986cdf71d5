"""Pictures as a file wants them shown: of square pixels, turned and mirrored."""

import warnings

import cv2
import numpy as np

SQUARE = 0.01  # relative difference up to which pixels count as square
STRETCH = 4.0  # largest ratio of a pixel's sides that is believed


def believed_stretch(stretch: float, name: str) -> float:
    """Width of a pixel in heights as a file gives it; 1 where it is nearly that, or nonsense.

    Warns of pixels that are not square, and of nonsense. name: of the file.
    """
    if abs(stretch - 1) <= SQUARE:
        return 1.0
    believed = 1 / STRETCH <= stretch <= STRETCH
    remedy = "frames are enlarged to square pixels" if believed else "frames are used as they are"
    doubt = "" if believed else ", which cannot be"
    warnings.warn(
        f"{name}: its pixels are {stretch:.3g} times as wide as high{doubt}. The {remedy}.",
        stacklevel=5,
    )
    return stretch if believed else 1.0


def make_square(picture: np.ndarray, stretch: float) -> np.ndarray:
    """Enlarge a picture (H, W) or (H, W, 3) along one side, so that its pixels become square.

    stretch: width of a pixel in heights.
    """
    if stretch == 1:
        return picture
    return cv2.resize(picture, square_size(picture.shape, stretch), interpolation=cv2.INTER_LINEAR)


def square_size(shape: tuple[int, ...], stretch: float) -> tuple[int, int]:
    """(width, height) in px of a picture of shape (H, W, ...) after `make_square`."""
    height, width = shape[:2]
    return round(width * max(stretch, 1)), round(height / min(stretch, 1))


def displayed(picture: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Turn and mirror a picture (H, W) or (H, W, 3) by a display matrix (2, 2) of -1, 0 and 1.

    (x, y) as shown are (x, y) as stored times the matrix. Source: ISO/IEC 14496-12, 6.2.2.
    """
    if matrix[0, 0] == 0:  # x as shown comes from y as stored
        picture = picture.swapaxes(0, 1)
        matrix = matrix[::-1]
    return picture[:: matrix[1, 1], :: matrix[0, 0]]
