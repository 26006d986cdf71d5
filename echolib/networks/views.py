"""Views of an image for test-time augmentation: rotated, zoomed, brighter or darker."""

from collections.abc import Callable, Iterator
from functools import partial

import cv2
import numpy as np

# rotation (degrees), zoom and gamma of each view
VIEWS = ((0.0, 1.0, 1.0), (8.0, 1.0, 0.8), (-8.0, 1.0, 1.25), (0.0, 1.1, 1.25), (0.0, 0.9, 0.8))

WHOLE = 0.99  # share of a pixel that a view shows, but for rounding


def views_of(
    images: np.ndarray,
) -> Iterator[tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]]:
    """Yield each of `VIEWS` of images (N, S, S) uint8, and a function that maps answers back.

    The views (N, S, S) uint8 are rotated, zoomed and changed in gamma. The function maps answers
    (N, S, S) float32 about them to the pixels of the original images, with NaN where a view does
    not show a pixel; the first view shows all.
    """
    size = images.shape[-1]
    covered = np.ones((1, size, size), np.float32)

    def warp(pictures: np.ndarray, matrix: np.ndarray) -> np.ndarray:
        return np.stack([cv2.warpAffine(picture, matrix, (size, size)) for picture in pictures])

    def warp_back(answers: np.ndarray, matrix: np.ndarray) -> np.ndarray:
        return np.where(warp(covered, matrix) > WHOLE, warp(answers, matrix), np.nan)

    for angle, zoom, gamma in VIEWS:
        matrix = cv2.getRotationMatrix2D(((size - 1) / 2, (size - 1) / 2), angle, zoom)
        grey_levels = np.rint(255 * (np.arange(256) / 255) ** gamma).astype(np.uint8)
        back = partial(warp_back, matrix=cv2.invertAffineTransform(matrix))
        yield grey_levels[warp(images, matrix)], back
