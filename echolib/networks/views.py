"""Views of an image for test-time augmentation: turned, zoomed, brighter or darker."""

from collections.abc import Callable, Iterator
from functools import partial

import cv2
import numpy as np

# turn (degrees), zoom, gamma of the views that test-time augmentation takes of an image
VIEWS = ((0.0, 1.0, 1.0), (8.0, 1.0, 0.8), (-8.0, 1.0, 1.25), (0.0, 1.1, 1.25), (0.0, 0.9, 0.8))


def views_of(
    images: np.ndarray,
) -> Iterator[tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]]:
    """For each of `VIEWS`: images (N, S, S) uint8 turned, zoomed and changed in gamma, and a
    function that brings answers (N, S, S) about them back into the images' own place.
    """
    size = images.shape[-1]

    def moved(pictures: np.ndarray, change: np.ndarray) -> np.ndarray:
        return np.stack([cv2.warpAffine(p, change, (size, size)) for p in pictures])

    for turn, zoom, gamma in VIEWS:
        change = cv2.getRotationMatrix2D(((size - 1) / 2, (size - 1) / 2), turn, zoom)
        table = np.rint(255 * (np.arange(256) / 255) ** gamma).astype(np.uint8)
        back = partial(moved, change=cv2.invertAffineTransform(change))
        yield table[moved(images, change)], back
