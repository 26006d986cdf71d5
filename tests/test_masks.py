"""Packed masks hold what was packed, whatever the width."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from echolib.masks import PackedMasks


@given(st.integers(1, 4), st.integers(1, 9), st.integers(1, 20), st.integers(0, 99))
def test_masks_come_out_as_they_went_in(count, height, width, seed):
    masks = np.random.default_rng(seed).random((count, height, width)) < 0.5
    packed = PackedMasks.pack(masks)
    assert packed.shape == masks.shape and len(packed) == count and packed.ndim == 3
    assert np.array_equal(packed, masks) and packed[:].dtype == packed.dtype == bool
    assert np.array_equal(packed[count - 1], masks[-1])
    assert np.array_equal(packed[[0, count - 1]], masks[[0, -1]])
    assert np.array_equal(np.stack(list(packed)), masks)
    assert np.array_equal(packed.areas(), masks.sum(axis=(1, 2)))
    rows, columns = slice(height // 2, height), slice(width // 3, width)
    assert np.array_equal(packed.window(rows, columns), masks[:, rows, columns])


def test_bits_of_another_width_are_refused():
    with pytest.raises(ValueError, match=r"\(T, H, 2\) uint8 for masks of width 9"):
        PackedMasks(np.zeros((1, 2, 1), np.uint8), 9)
