"""Tracings, polygons, masks, landmarks and volumes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.draw import polygon

from echolib.data.tracings import rows_to_tracing
from echolib.geometry import (
    Tracing,
    area_length_volume,
    crosses_itself,
    disk_volume,
    drawn_rounded,
    ejection_fraction,
    largest_component,
    long_axis,
    mask_outline,
    mask_to_tracing,
    outline_to_tracing,
    polygon_area,
    polygon_to_mask,
)
from echolib.metrics import dice
from tests.makers import chord_rows, ventricle

SHAPE = (112, 112)
outlines = st.builds(
    ventricle,
    width=st.floats(8, 22),
    length=st.floats(30, 55),
    x=st.floats(40, 70),
    y=st.floats(50, 62),
)


def echonet_mask(rows: np.ndarray) -> np.ndarray:
    """EchoNet-Dynamic's published construction, from its description."""
    x = np.concatenate([rows[1:, 0], rows[1:, 2][::-1]])
    y = np.concatenate([rows[1:, 1], rows[1:, 3][::-1]])
    mask = np.zeros(SHAPE, bool)
    mask[polygon(np.rint(y).astype(int), np.rint(x).astype(int), SHAPE)] = True
    return mask


def turn(points: np.ndarray, degrees: float, centre=(56.0, 56.0)) -> np.ndarray:
    angle = np.radians(degrees)
    matrix = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return ((points - centre) @ matrix + centre).astype(np.float32)


@given(outlines, st.floats(-30, 30))
def test_well_formed_rows_give_the_published_pixels(outline, degrees):
    rows = chord_rows(turn(outline, degrees)).astype(float).round(6)
    tracing, notes = rows_to_tracing(rows)
    assert notes == []
    assert np.array_equal(tracing.mask(SHAPE), echonet_mask(rows))


def test_coordinates_keep_the_precision_of_the_file():
    """As float32, 51.499999 would become 51.5, and round to another pixel."""
    rows = chord_rows(ventricle()).astype(float)
    rows[5, 0] = 41.499999
    rows[6:9, 0] = 41.5000001
    assert np.array_equal(rows_to_tracing(rows)[0].mask(SHAPE), echonet_mask(rows))


@settings(max_examples=50)
@given(outlines, st.floats(-30, 30))
def test_a_mask_survives_the_round_trip_through_landmarks(outline, degrees):
    mask = polygon_to_mask(turn(outline, degrees), SHAPE, rounded=False)
    landmarks = mask_to_tracing(mask).landmarks
    assert landmarks.shape == (40, 2) and landmarks.dtype == np.float32
    assert dice(polygon_to_mask(landmarks, SHAPE, rounded=False), mask) > 0.97


def test_every_camus_mask_survives_the_round_trip(camus):
    from echolib.data import Camus

    data = Camus(camus)
    for clip in data.table.index[:60]:
        for frame in data.labelled(clip)[0]:
            rebuilt = polygon_to_mask(frame.landmarks, frame.mask.shape, rounded=False)
            assert dice(rebuilt, frame.mask) > 0.98, (clip, frame.phase)


@given(outlines, st.floats(-30, 30))
def test_long_axis_runs_from_apex_to_the_middle_of_the_base(outline, degrees):
    outline = turn(outline, degrees)
    axis = long_axis(outline)
    apex, base = outline[len(outline) // 2], 0.5 * (outline[0] + outline[-1])
    assert np.hypot(*(axis[1] - base)) < 2.0
    assert np.hypot(*(axis[0] - apex)) < 6.0


@given(outlines)
def test_chords_run_from_apex_to_base_with_the_left_end_first(outline):
    tracing = outline_to_tracing(outline)
    assert tracing.chords.shape == (20, 2, 2)
    assert (np.diff(tracing.positions) > 0).all()
    assert (tracing.chords[:, 0, 0] <= tracing.chords[:, 1, 0] + 1e-3).all()
    along = tracing.axis[1] - tracing.axis[0]
    across = tracing.chords[:, 1] - tracing.chords[:, 0]
    assert np.abs(across @ along).max() < 1e-2 * np.hypot(*along)


def test_landmarks_mean_the_same_whichever_way_the_chords_were_drawn():
    tracing = outline_to_tracing(ventricle())
    turned = Tracing(tracing.axis, tracing.chords[:, ::-1])
    assert np.array_equal(tracing.landmarks, turned.landmarks)


class TestMending:
    """Rows as the published files have them: out of order, turned, doubled, incomplete."""

    rows = chord_rows(ventricle()).astype(float)
    mask = echonet_mask(rows)

    def mended(self, rows):
        tracing, notes = rows_to_tracing(rows)
        assert not crosses_itself(tracing.polygon)
        assert tracing.landmarks.shape == (40, 2)
        return dice(tracing.mask(SHAPE), self.mask), notes

    def test_shuffled_chords(self):
        order = np.random.default_rng(0).permutation(20) + 1
        score, notes = self.mended(self.rows[np.r_[0, order]])
        assert score == 1.0 and "put in order" in notes[0]

    def test_turned_chords(self):
        rows = self.rows.copy()
        rows[5] = rows[5, [2, 3, 0, 1]]
        score, notes = self.mended(rows)
        assert score == 1.0 and notes

    def test_missing_numbers(self):
        rows = self.rows.copy()
        rows[7] = np.nan
        score, notes = self.mended(rows)
        assert score > 0.97 and "1 rows without numbers" in notes[0]

    def test_missing_long_axis(self):
        rows = self.rows.copy()
        rows[0] = np.nan
        score, notes = self.mended(rows)
        assert score == 1.0 and any("long axis missing" in note for note in notes)

    def test_duplicated_rows(self):
        score, notes = self.mended(np.concatenate([self.rows, self.rows[3:9]]))
        assert score == 1.0 and "6 duplicated rows" in notes[0]

    def test_a_second_tracing_behind_the_first(self):
        score, notes = self.mended(np.concatenate([self.rows, chord_rows(ventricle(10.0))]))
        assert score == 1.0 and "21 rows of a second tracing" in notes[0]

    def test_chords_that_cross_each_other(self):
        rows = self.rows.copy()
        rows[1:] += np.random.default_rng(0).normal(0, 2.5, (20, 4))
        assert crosses_itself(Tracing(rows[0].reshape(2, 2), rows[1:].reshape(-1, 2, 2)).polygon)
        score, notes = self.mended(rows)
        assert score > 0.9 and notes

    @given(st.lists(st.lists(st.floats(-200, 300), min_size=4, max_size=4), max_size=30))
    def test_any_rows_give_a_simple_outline_or_one_clear_error(self, rows):
        try:
            tracing, _ = rows_to_tracing(np.array(rows).reshape(-1, 4))
        except ValueError as error:
            assert str(error)
        else:
            assert not crosses_itself(tracing.polygon)
            assert tracing.landmarks.shape == (40, 2)


def test_outline_beyond_the_image_is_cut_off():
    mask = polygon_to_mask(np.array([[100, 100], [130, 100], [130, 130], [100, 130]]), SHAPE)
    assert mask[111, 111] and mask.sum() <= 144


def test_largest_component_without_holes():
    mask = np.zeros((20, 20), bool)
    mask[2:12, 2:12] = True
    mask[5, 5] = False
    mask[15:18, 15:18] = True
    cleaned = largest_component(mask)
    assert cleaned.sum() == 100 and cleaned[5, 5] and not cleaned[16, 16]
    assert not largest_component(np.zeros((4, 4), bool)).any()


def test_empty_mask_has_no_outline():
    with pytest.raises(ValueError, match="empty"):
        mask_outline(np.zeros(SHAPE, bool))


def test_single_pixel_has_an_outline_around_it():
    mask = np.zeros(SHAPE, bool)
    mask[50, 60] = True
    assert polygon_area(mask_outline(mask)) == pytest.approx(0.5)


@given(st.floats(10, 25), st.floats(40, 80))
def test_disks_of_half_an_ellipsoid(radius, length):
    outline = ventricle(radius, length, x=100, y=100)
    volume = disk_volume(outline_to_tracing(outline, chords=200))
    assert volume == pytest.approx(2 / 3 * np.pi * radius**2 * length / 1000, rel=0.02)


@given(st.floats(0.2, 3.0))
def test_volume_grows_with_the_cube_of_the_scale(scale):
    tracing = outline_to_tracing(ventricle())
    larger = Tracing(scale * tracing.axis, scale * tracing.chords)
    assert disk_volume(larger) == pytest.approx(scale**3 * disk_volume(tracing), rel=1e-4)
    assert disk_volume(tracing, scale) == pytest.approx(scale**3 * disk_volume(tracing), rel=1e-4)


def test_last_chord_beyond_the_base_counts_in_part():
    chords = np.array([[[-5, y], [5, y]] for y in (0.5, 1.5, 2.5)], np.float32)
    tracing = Tracing(np.array([[0, 0], [0, 2.25]], np.float32), chords)
    assert disk_volume(tracing) == pytest.approx(np.pi / 4 * 100 * 2.25 / 1000, rel=1e-5)


def test_area_length_of_an_ellipsoid():
    radius, length = 20.0, 90.0
    area = np.pi * radius * length / 2
    expected = 4 / 3 * np.pi * radius**2 * length / 2 / 1000
    assert area_length_volume(area, length) == pytest.approx(expected)
    with pytest.raises(ValueError, match="longer than 0"):
        area_length_volume(area, 0.0)


def test_ejection_fraction():
    assert ejection_fraction(120.0, 48.0) == pytest.approx(60.0)
    with pytest.raises(ValueError, match="above 0"):
        ejection_fraction(0.0, 0.0)


def test_how_a_mask_was_drawn_is_seen_from_its_landmarks():
    landmarks = mask_to_tracing(polygon_to_mask(ventricle(), (112, 112))).landmarks
    for rounded in (True, False):
        mask = polygon_to_mask(landmarks, (112, 112), rounded)
        assert drawn_rounded(landmarks, mask) == rounded
