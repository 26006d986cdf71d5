"""Curves through points, masks of ventricles and leaflets, and proposals from masks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from echolib.corrections.outline import (
    SAMPLES,
    leaflet_mask,
    outline_points,
    spline,
    ventricle_mask,
)
from echolib.data.camus import Camus
from echolib.geometry import crosses_itself, mask_to_tracing, polygon_to_mask
from echolib.metrics import dice
from tests.makers import outlines, ventricle

SHAPE = (112, 112)
coordinates = st.floats(0, 111).map(lambda number: round(number, 2))
lines = st.lists(st.tuples(coordinates, coordinates), min_size=2, max_size=20).map(np.array)


class TestSpline:
    @given(lines)
    def test_runs_through_its_points_with_equal_numbers_of_samples_between(self, points):
        curve = spline(points)
        assert curve.shape == (SAMPLES * (len(points) - 1) + 1, 2)
        assert curve.dtype == np.float32
        assert np.abs(curve[::SAMPLES] - points).max() < 1e-4

    @given(lines, st.floats(-np.pi, np.pi), st.floats(-50, 50))
    def test_turns_and_moves_with_its_points(self, points, angle, shift):
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        assert np.allclose(spline(points @ turn + shift), spline(points) @ turn + shift, atol=1e-3)

    @given(lines)
    def test_is_the_same_from_the_other_end(self, points):
        backwards = [spline(each)[:: SAMPLES // 2] for each in (points, points[::-1])]
        distinct = (np.hypot(*np.diff(points, axis=0).T) > 0).all()
        # samples are at equal steps of the parameter, so that the middles are common to both
        assert not distinct or np.allclose(backwards[0], backwards[1][::-1], atol=1e-3)

    def test_of_two_points_is_straight(self):
        expected = np.linspace([3, 4], [11, 20], SAMPLES + 1)
        assert np.allclose(spline([[3, 4], [11, 20]]), expected, atol=1e-5)

    def test_agrees_with_the_formula_of_the_centripetal_spline_written_out(self):
        points = np.array([[0.0, 0.0], [4.0, 3.0], [4.0, 12.0], [20.0, 0.0]])
        t = np.cumsum([0, *(np.hypot(*(b - a)) ** 0.5 for a, b in zip(points, points[1:]))])  # noqa: B905
        at = t[1] + 3 / SAMPLES * (t[2] - t[1])
        level = list(points)
        for reach in (1, 2, 3):  # Neville's scheme, whose last step only spans the middle
            if reach == 3:
                a, b = t[1], t[2]
                level = [((b - at) * level[0] + (at - a) * level[1]) / (b - a)]
                break
            level = [
                ((t[i + reach] - at) * level[i] + (at - t[i]) * level[i + 1])
                / (t[i + reach] - t[i])
                for i in range(len(level) - 1)
            ]
        assert np.allclose(spline(points)[SAMPLES + 3], level[0], atol=1e-5)

    def test_points_in_one_place_give_numbers(self):
        assert np.isfinite(spline([[5, 5], [5, 5], [9, 9], [9, 9]])).all()

    @pytest.mark.parametrize("points", [[[1, 2]], [1, 2, 3], [[1, 2, 3], [4, 5, 6]]])
    def test_one_point_is_no_curve(self, points):
        with pytest.raises(ValueError, match="2 points"):
            spline(points)


class TestProposal:
    @settings(max_examples=40)
    @given(outlines)
    def test_points_give_the_mask_again_from_the_left_hinge_over_the_apex(self, outline):
        mask = polygon_to_mask(outline, SHAPE, rounded=False)
        points, apex = outline_points(mask)
        assert points.shape == (13, 2) and points.dtype == np.float32 and apex == 6
        assert points[0, 0] < points[-1, 0]
        assert not crosses_itself(spline(points))
        assert dice(ventricle_mask(points, SHAPE), mask) > 0.97
        tracing = mask_to_tracing(mask)
        assert np.hypot(*(points[apex] - tracing.axis[0])) < 1
        assert np.abs(points[[0, -1]] - tracing.chords[-1]).max() < 1

    def test_points_are_kept_to_a_hundredth_and_as_many_as_asked(self):
        mask = polygon_to_mask(ventricle(), SHAPE)
        points, apex = outline_points(mask, per_wall=3)
        assert points.shape == (9, 2) and apex == 4
        assert np.allclose(100 * points, np.rint(100 * points), atol=1e-3)

    def test_real_outlines_are_kept(self, camus):
        data = Camus(camus)
        train = data.table.index[data.table.split == "train"]
        scores = []
        for clip in train[:10]:
            for frame in data.labelled(clip)[0]:
                points, _ = outline_points(frame.mask)
                assert not crosses_itself(spline(points))
                scores.append(dice(ventricle_mask(points, frame.mask.shape), frame.mask))
        assert np.mean(scores) > 0.985 and min(scores) > 0.97

    def test_nothing_has_no_points(self):
        with pytest.raises(ValueError, match="The mask is empty"):
            outline_points(np.zeros(SHAPE, bool))

    @given(st.integers(0, 10**6), st.floats(0, 4), st.floats(0.01, 0.9))
    @settings(max_examples=60)
    def test_any_mask_gives_points_or_a_clear_error(self, seed, smooth, share):
        noise = gaussian_filter(np.random.default_rng(seed).random((40, 40)), smooth)
        mask = noise >= np.quantile(noise, 1 - share)
        try:
            points, _ = outline_points(mask)
        except ValueError as error:
            assert "too small" in str(error) or "no extent" in str(error)
        else:
            assert points.shape == (13, 2) and np.isfinite(points).all()
            assert points.min() >= -0.5 and points.max() <= 39.5


class TestMasks:
    @given(lines, st.floats(1, 9))
    @settings(max_examples=40)
    def test_a_leaflet_is_all_within_half_its_width(self, points, width):
        mask = leaflet_mask(points, width, SHAPE)
        y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
        fine = spline(points, samples=400)
        near = np.full(SHAPE, np.inf)
        for place in fine[::4]:
            near = np.minimum(near, np.hypot(x - place[0], y - place[1]))
        step = np.hypot(*np.diff(fine[::4], axis=0).T).max(initial=0)
        # the band follows the samples' straight pieces, the fine curve runs beside them
        gap = 0.5 * step + _sag(points)
        assert not (mask & (near > width / 2 + gap)).any()
        assert not (~mask & (near < width / 2 - gap)).any()

    def test_a_leaflet_has_round_ends(self):
        mask = leaflet_mask([[20, 30], [40, 30]], 6, (60, 60))
        assert mask.sum() == 7 * 21 + 2 * 11  # at 1, 2 and 3 px beyond the end: 5, 5 and 1 px
        assert mask[30, 43] and not mask[30, 44] and not mask[28, 43]

    def test_what_is_outside_is_cut_off(self):
        assert leaflet_mask([[-20, 5], [10, 5]], 4, (10, 12)).sum() == 5 * 11 + 3
        assert not leaflet_mask([[-20, -20], [-10, -30]], 4, (10, 12)).any()
        inside = ventricle_mask([[-5, 20], [5, -9], [15, 20]], (10, 10))
        assert inside[:, 5].all()


def _sag(points) -> float:
    """How far the curve runs beside the straight pieces between its samples, px at most."""
    fine, coarse = spline(points, samples=8 * 50), spline(points).astype(float)
    worst = 0.0
    for index, (start, end) in enumerate(zip(coarse[:-1], coarse[1:], strict=True)):
        part = fine[50 * index : 50 * (index + 1) + 1] - start
        along = (end - start) / max(np.hypot(*(end - start)), 1e-9)
        worst = max(worst, np.abs(part @ [along[1], -along[0]]).max())
    return worst + 0.05
