"""The masks of a whole clip: what they must be, and one bit per pixel for each."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np


def check_masks(masks: Any) -> None:
    """Raise ValueError unless masks of a clip are (T, H, W) bool, at least one frame and pixel."""
    shape = getattr(masks, "shape", None) or np.shape(masks)
    found = f"{getattr(masks, 'dtype', type(masks).__name__)} of shape {shape}"
    if getattr(masks, "dtype", None) != np.dtype(bool) or getattr(masks, "ndim", None) != 3:
        raise ValueError(
            f"masks: expected (T, H, W) bool, found {found}. Probabilities become masks by a "
            "threshold; a single mask becomes a clip by mask[None]."
        )
    if 0 in masks.shape:
        raise ValueError(f"masks: expected at least one frame and one pixel, found {found}.")


class PackedMasks:
    """Masks (T, H, W) bool of a clip, from which single masks and ranges are taken as arrays.

    Where a function goes through the masks one by one, it takes these in place of an array.
    """

    dtype, ndim = np.dtype(bool), 3

    def __init__(self, bits: np.ndarray, width: int) -> None:
        """Wrap bits (T, H, B) uint8, as `numpy.packbits` gives them along the last axis.

        width: W, for which B must be the least number of bytes. Raises ValueError if it is not.
        """
        if bits.ndim != 3 or bits.dtype != np.uint8 or bits.shape[2] != -(-width // 8):
            raise ValueError(
                f"Expected bits (T, H, {-(-width // 8)}) uint8 for masks of width {width}, found "
                f"{bits.dtype} of shape {bits.shape}."
            )
        self.bits, self.width = bits, width

    @classmethod
    def pack(cls, masks: Iterable[np.ndarray]) -> "PackedMasks":
        """Pack masks (H, W) bool, taken one by one; at least one."""
        data, shape = bytearray(), (0, 0)  # grows in place, where a list would need a copy
        for mask in masks:
            shape = mask.shape
            data += np.packbits(mask, axis=-1).tobytes()
        height, width = shape
        bits = np.frombuffer(data, np.uint8).reshape(-1, height, -(-width // 8))
        return cls(bits, width)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(T, H, W)."""
        return len(self.bits), self.bits.shape[1], self.width

    def __len__(self) -> int:
        return len(self.bits)

    def __getitem__(self, chosen: Any) -> np.ndarray:
        """A mask (H, W), or several (n, H, W), by an index, a slice or numbers of frames."""
        return np.unpackbits(self.bits[chosen], axis=-1, count=self.width).view(bool)

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[index] for index in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[:] if dtype is None else self[:].astype(dtype)

    def areas(self) -> np.ndarray:
        """(T,) number of pixels of each mask."""
        return np.array([np.count_nonzero(mask) for mask in self], int)

    def window(self, rows: slice, columns: slice) -> "PackedMasks":
        """The masks of a part of the frames."""
        return PackedMasks.pack(mask[rows, columns] for mask in self)
