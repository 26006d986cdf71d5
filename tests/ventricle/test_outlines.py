"""The outline as points: one ring a frame, clockwise, which gives the mask back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from echolib.geometry import largest_component, polygon_to_mask
from echolib.masks import PackedMasks
from echolib.ventricle.outlines import contours_table


def blobs(seed, shape=(4, 17, 26)):
    """Random masks (T, H, W) in several pieces, with holes, at the edge of the picture."""
    noise = np.random.default_rng(seed).normal(size=shape)
    return ndimage.gaussian_filter(noise, (0, 1.5, 1.5)) > 0.02


def rings(table):
    return {frame: rows[["x_px", "y_px"]].to_numpy() for frame, rows in table.groupby("frame")}


@given(st.integers(0, 10_000))
def test_a_ring_encloses_the_largest_piece_without_holes(seed):
    masks = blobs(seed)
    table = contours_table("a", PackedMasks.pack(masks), None)
    found = rings(table)
    assert sorted(found) == [frame for frame, mask in enumerate(masks) if mask.any()]
    for frame, ring in found.items():
        drawn = polygon_to_mask(ring, masks.shape[1:], rounded=False)
        assert np.array_equal(drawn, largest_component(masks[frame]))
        assert len(np.unique(ring, axis=0)) == len(ring)


@given(st.integers(0, 10_000))
def test_a_ring_runs_clockwise_from_its_topmost_point(seed):
    table = contours_table("a", blobs(seed), None)
    for ring in rings(table).values():
        x, y = ring.T
        assert np.dot(x, np.roll(y, -1)) > np.dot(np.roll(x, -1), y)  # y down
        assert tuple(ring[0, ::-1]) == min((y, x) for x, y in ring)
        gaps = np.linalg.norm(ring - np.roll(ring, 1, axis=0), axis=1)
        assert gaps.max() <= 1


def test_a_single_pixel_has_four_points():
    mask = np.zeros((1, 5, 8), bool)
    mask[0, 2, 6] = True
    table = contours_table("a", mask, 0.5)
    assert table[["x_px", "y_px"]].to_numpy().tolist() == [[6, 1.5], [6.5, 2], [6, 2.5], [5.5, 2]]
    assert np.allclose(table[["x_mm", "y_mm"]], table[["x_px", "y_px"]] * 0.5)
    assert table.point.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("spacing", [None, 0.3])
def test_frames_without_an_outline_have_no_rows(spacing):
    masks = blobs(0)
    masks[[0, 2]] = False
    assert contours_table("a", masks, spacing).frame.unique().tolist() == [1, 3]
    nothing = contours_table("a", np.zeros((2, 4, 5), bool), spacing)
    names = ["clip", "frame", "point", "x_px", "y_px"] + ["x_mm", "y_mm"] * (spacing is not None)
    assert nothing.columns.tolist() == names and nothing.empty
