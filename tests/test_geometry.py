"""Tracings, polygons, masks, landmarks and volumes."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.draw import polygon

from echolib.data.tracings import rows_to_tracing
from echolib.geometry import (
    STRAIGHTNESS,
    SUBSETS,
    Tracing,
    area_length_volume,
    axis_directions,
    base_corners,
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
from tests.makers import chord_rows, outlines, ventricle

SHAPE = (112, 112)


# of a solid of revolution about its long axis: radius at a depth below the apex, 70 px long
PROFILES = {
    "cylinder": lambda z: np.full_like(z, 20.0),
    "cone": lambda z: 20.0 * z / 70,
    "ellipsoid": lambda z: 20.0 * np.sqrt(np.clip(1 - (z / 70 - 1) ** 2, 0, 1)),
}


def cut_section(profile, slope: float, depth: float = 70.0) -> np.ndarray:
    """Outline (n, 2) from corner to corner of a solid above an oblique plane, apex at (0, 0)."""
    z = np.linspace(0, 1.9 * depth, 2000)
    walls = []
    for side in (-1, 1):
        x = side * profile(z)
        walls.append(np.stack([x, z], axis=1)[z < depth + slope * x])
    return np.concatenate([walls[0][::-1], walls[1][1:]])


def cut_volume(profile, slope: float, depth: float = 70.0, voxel: float = 0.5) -> float:
    """Volume in px³/1000 of the voxels of such a solid."""
    across, z = np.arange(-40, 40.1, voxel), np.arange(0, 1.9 * depth, voxel)
    x, y, z = np.meshgrid(across, across, z, indexing="ij", sparse=True)
    inside = (x**2 + y**2 < profile(z) ** 2) & (z < depth + slope * x)
    return np.count_nonzero(inside) * voxel**3 / 1000


def oblique_ventricle(width, length, slope, bulge, degrees) -> np.ndarray:
    """Half an ellipse that narrows towards an oblique base, from corner to corner, turned."""

    def profile(z):
        narrower = 1 - bulge * np.clip(z / length - 0.6, 0, None) ** 2
        return width * narrower * np.sqrt(np.clip(1 - (z / length - 1) ** 2, 0, 1))

    return turn(cut_section(profile, slope, length) + [56, 30], degrees)


oblique = st.builds(
    oblique_ventricle,
    width=st.floats(12, 22),
    length=st.floats(40, 60),
    slope=st.floats(-0.4, 0.4),
    bulge=st.floats(0, 1),
    degrees=st.floats(-25, 25),
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
            for count, bound in ((40, 0.985), (7, 0.85)):
                chosen = frame.landmarks[list(SUBSETS[count])]
                rebuilt = polygon_to_mask(chosen, frame.mask.shape, rounded=False)
                assert dice(rebuilt, frame.mask) > bound, (clip, frame.phase, count)


@given(outlines, st.floats(-30, 30))
@example(ventricle(width=19.0, length=30.0), 30.0)  # wider than long: a corner above its middle
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
    across = tracing.chords[:-1, 1] - tracing.chords[:-1, 0]  # the last one is the base
    assert np.abs(across @ along).max() < 1e-2 * np.hypot(*along)


def test_landmarks_mean_the_same_whichever_way_the_chords_were_drawn():
    tracing = outline_to_tracing(ventricle())
    turned = Tracing(tracing.axis, tracing.chords[:, ::-1])
    assert np.array_equal(tracing.landmarks, turned.landmarks)


@given(st.integers(0, 19))
def test_a_tracing_without_one_of_its_chords_has_nearly_the_same_landmarks(missing):
    tracing = outline_to_tracing(ventricle())
    fewer = Tracing(tracing.axis, np.delete(tracing.chords, missing, axis=0))
    moved = np.hypot(*(fewer.landmarks - tracing.landmarks).T)
    assert moved.max() < (2.0 if 0 < missing < 19 else 4.5)  # at either end a step of 2.3 px lacks
    assert np.allclose(fewer.landmarks[19:21], fewer.chords[-1], atol=1e-4)


class TestObliqueBase:
    """Ventricles whose base is not perpendicular to the long axis."""

    @given(oblique)
    def test_the_last_chord_is_the_line_between_the_corners(self, outline):
        corners = outline[[0, -1]]
        tracing = outline_to_tracing(outline, corners=corners)
        assert np.allclose(tracing.landmarks[19:21], corners, atol=1e-3)
        assert np.array_equal(
            outline_to_tracing(outline, corners=corners[::-1]).chords, tracing.chords
        )

    @given(oblique)
    def test_the_corners_are_found(self, outline):
        found = base_corners(outline, long_axis(outline))
        width = np.hypot(*(outline[0] - outline[-1]))
        assert np.hypot(*(found - outline[[0, -1]]).T).max() < 0.1 * width

    @given(oblique)
    def test_the_other_chords_are_perpendicular_at_equal_steps_or_end_at_a_corner(self, outline):
        tracing = outline_to_tracing(outline, corners=outline[[0, -1]])
        along, _, length = axis_directions(tracing.axis)
        positions = (tracing.chords - tracing.axis[0]) @ along
        top = positions[0].mean() - 0.5 * (positions[1].mean() - positions[0].mean())
        levels = top + (length - top) * (np.arange(20) + 0.5)[:-1, None] / 19.5
        expected = np.minimum(levels, positions[-1])
        assert np.allclose(positions[:-1], expected, atol=1e-2)

    @given(oblique)
    def test_the_outline_through_the_landmarks_is_simple_and_keeps_the_area(self, outline):
        landmarks = outline_to_tracing(outline, corners=outline[[0, -1]]).landmarks
        assert not crosses_itself(landmarks)
        assert polygon_area(landmarks) == pytest.approx(polygon_area(outline), rel=0.03)

    @pytest.mark.parametrize("slope", [0.0, 0.2, 0.4])
    @pytest.mark.parametrize("kind", PROFILES)
    def test_disks_of_a_solid_of_revolution_that_is_cut_obliquely(self, kind, slope):
        profile = PROFILES[kind]
        outline, volume = cut_section(profile, slope), cut_volume(profile, slope)
        for tracing in (
            outline_to_tracing(outline),
            outline_to_tracing(outline, corners=outline[[0, -1]]),
        ):
            assert disk_volume(tracing) == pytest.approx(volume, rel=0.03)


@given(st.integers(0, 2**32 - 1), st.floats(0.5, 6), st.floats(0.2, 0.99))
def test_the_tracing_of_any_mask_is_simple_or_there_is_one_clear_error(seed, smooth, share):
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).random((40, 40)), smooth)
    mask = noise > np.quantile(noise, share)
    try:
        tracing = mask_to_tracing(mask)
    except ValueError as error:
        assert "outline" in str(error)
    else:
        assert not crosses_itself(tracing.polygon)
        assert np.isfinite(tracing.chords).all() and np.isfinite(disk_volume(tracing))


def widest_straight_pair(outline, axis):
    """The rule of `base_corners`, pair by pair."""
    along, right, _ = axis_directions(axis)
    points = np.roll(outline, -np.argmin(outline @ along), axis=0).astype(float)
    offset, position = points @ right, points @ along
    middle = (position.min() + position.max()) / 2
    way = 1 if signed_area(offset, position) < 0 else -1
    best, ends = -np.inf, None
    lower = np.flatnonzero(position >= middle)
    for number, first in enumerate(lower):
        for last in lower[number + 1 :]:
            width, height = way * (offset[last] - offset[first]), position[last] - position[first]
            if width <= 0 or abs(height) > width:
                continue
            between = signed_area(offset[first : last + 1], position[first : last + 1])
            score = width - STRAIGHTNESS * abs(between) / np.hypot(width, height)
            if score > best + 1e-9:
                best, ends = score, points[[first, last][::way]]
    return ends


def signed_area(x, y):
    return 0.5 * float(x @ np.roll(y, -1) - y @ np.roll(x, -1))


@settings(max_examples=10, deadline=None)
@given(outlines, st.floats(-30, 30))
def test_the_base_is_the_widest_straight_pair_of_points(outline, degrees):
    points = mask_outline(polygon_to_mask(turn(outline, degrees), SHAPE))
    axis = long_axis(points)
    expected = widest_straight_pair(points, axis)
    assert np.allclose(base_corners(points, axis), expected, atol=1.01)  # of equals any counts
    assert np.array_equal(outline_to_tracing(points).chords[-1], base_corners(points, axis))


def test_a_line_is_too_small_for_a_base():
    with pytest.raises(ValueError, match="too small to have a base"):
        long_axis(np.array([[5.0, 0.0], [5.0, 9.0], [5.0, 4.0]]))


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
        assert score > 0.88 and notes

    @given(st.lists(st.lists(st.floats(-200, 300), min_size=4, max_size=4), max_size=30))
    def test_any_rows_give_a_simple_outline_or_one_clear_error(self, rows):
        try:
            tracing, _ = rows_to_tracing(np.array(rows).reshape(-1, 4))
        except ValueError as error:
            assert str(error)
        else:
            assert not crosses_itself(tracing.polygon)
            assert tracing.landmarks.shape == (40, 2) and np.isfinite(tracing.landmarks).all()


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


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.floats(0, 2.5), st.floats(0.3, 0.7))
def test_the_largest_component_is_scipys(seed, smooth, share):
    random = np.random.default_rng(seed)
    mask = ndimage.gaussian_filter(random.random(random.integers(1, 30, 2)), smooth) < share
    labels, count = ndimage.label(mask)
    largest = labels == 1 + np.argmax(np.bincount(labels.ravel(), minlength=2)[1:])
    expected = ndimage.binary_fill_holes(largest if count else mask)
    assert np.array_equal(largest_component(mask), expected)


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
    volume = disk_volume(outline_to_tracing(outline))
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
