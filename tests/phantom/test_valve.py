"""Phantom frames of the mitral valve: labels that match the image, leaflets that move."""

from dataclasses import fields, replace
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.measure import label as components
from skimage.morphology import skeletonize

from echolib.data.valve.squares import bounds_of
from echolib.phantom import anatomy, leaflet_labels, scene
from echolib.phantom.anatomy import draw_heart
from echolib.phantom.common import VALVE_STREAM
from echolib.phantom.ranges import SOURCES
from echolib.phantom.tables import range_table
from echolib.phantom.valve import MAX_CHORDAE, MAX_GAPS, POINTS, SIDES, draw_valve
from echolib.phantom.valve_frames import (
    LARGE_SCREENS,
    MIN_CONTRAST,
    draw_valve_frames,
    draw_valve_sets,
)

COUNT = 24
SEPTAL, LATERAL = np.array([-15.0, 80.0]), np.array([16.0, 82.0])  # mm, ends of the walls
seeds = st.integers(0, 10_000)


@pytest.fixture(scope="module")
def frames():
    return list(draw_valve_frames(COUNT, seed=5, workers=1))


def have_same_bytes(first, second):
    """Return True if two valve frames have the same bytes."""
    arrays = ("image", "leaflets", "box")
    equal = (np.array_equal(getattr(first, name), getattr(second, name)) for name in arrays)
    return all(equal) and first.clip == second.clip


# --- Frames -------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_frames_whatever_the_workers(frames):
    again = list(draw_valve_frames(COUNT, seed=5, workers=2))
    assert all(have_same_bytes(*pair) for pair in zip(frames, again, strict=True))
    other = next(draw_valve_frames(1, seed=6, workers=1))
    assert other.image.shape != frames[0].image.shape or (other.image != frames[0].image).any()


def test_frames_are_squares_of_the_documented_sizes(frames):
    sizes = np.array([frame.image.shape for frame in frames])
    assert (sizes[:, 0] == sizes[:, 1]).all()
    large = sizes[sizes[:, 0] != 112, 0]
    assert 0 < len(large) < COUNT / 2
    assert large.min() >= LARGE_SCREENS[0] and large.max() <= LARGE_SCREENS[1]
    for frame in frames:
        assert frame.image.dtype == np.uint8 and frame.leaflets.dtype == frame.box.dtype == bool
        assert frame.image.shape == frame.leaflets.shape == frame.box.shape
    assert len({frame.clip for frame in frames}) == COUNT
    assert {frame.source for frame in frames} == {"phantom"}


def test_leaflets_lie_in_their_box_except_for_a_few_pixels(frames):
    for frame in frames:
        scale = leaflet_labels.frame_scale(frame.image.shape)
        outside = frame.leaflets & ~frame.box
        assert outside.sum() <= 0.2 * frame.leaflets.sum()
        left, top, right, bottom = bounds_of(frame.box)
        rows, columns = np.nonzero(outside)
        assert (columns > left - 3 * scale).all() and (columns < right + 3 * scale).all()
        assert (rows > top - 3 * scale).all() and (rows < bottom + 3 * scale).all()
        assert frame.box.sum() == (right - left) * (bottom - top)  # one whole rectangle
        assert frame.box.sum() > 2 * frame.leaflets.sum()


def test_leaflets_are_brighter_than_their_surroundings(frames):
    for frame in frames:
        reach = round(6 * leaflet_labels.frame_scale(frame.image.shape))
        rows, columns = np.nonzero(frame.leaflets)
        window = np.zeros_like(frame.leaflets)
        window[max(rows.min() - reach, 0) : rows.max() + reach, columns.min() : columns.max()] = (
            True
        )
        surroundings = frame.image[window & ~frame.leaflets]
        assert frame.image[frame.leaflets].mean() > surroundings.mean() + MIN_CONTRAST / 4


def test_leaflets_cover_the_area_of_real_labels_in_most_frames(frames):
    scales = np.array([leaflet_labels.frame_scale(frame.image.shape) for frame in frames])
    areas = np.array([frame.leaflets.sum() for frame in frames]) / scales**2
    assert np.mean((areas >= 51) & (areas <= 223)) > 0.8  # px of 112 x 112
    assert 70 < np.median(areas) < 170


@pytest.mark.parametrize("wrong", [{"count": 0}, {"seed": -1}, {"workers": 0}])
def test_parameters_outside_their_range_are_refused(wrong):
    with pytest.raises(ValueError):
        next(draw_valve_frames(**({"count": 1, "workers": 1} | wrong)))


# --- Sets ---------------------------------------------------------------------------------------


def test_both_sets_show_the_same_frames_whole_and_cropped(frames):
    whole, close = draw_valve_sets(COUNT, seed=5, workers=1, progress=False)
    assert (len(whole), len(close)) == (COUNT, COUNT)
    assert (whole.size, close.size, whole.outputs, close.outputs) == (112, 128, 2, 1)
    assert whole.table.equals(close.table)
    assert whole.table["clip"].tolist() == [frame.clip for frame in frames]
    assert whole.table.split.tolist() == ["train"] * (COUNT - 2) + ["val"] * 2
    first = next(index for index in range(COUNT) if frames[index].image.shape == (112, 112))
    assert np.array_equal(whole.images[first], frames[first].image)
    assert np.array_equal(whole.masks[first], frames[first].leaflets)
    shares = close.masks.mean(axis=(1, 2)) / whole.masks.mean(axis=(1, 2))
    assert (shares > 1.2).mean() > 0.9  # the crop enlarges the valve
    assert whole.neighbours is None


def test_sets_do_not_depend_on_the_chunk_size(monkeypatch):
    at_once = draw_valve_sets(5, seed=2, workers=1, progress=False)
    monkeypatch.setattr("echolib.phantom.valve_frames.CHUNK", 2)
    in_chunks = draw_valve_sets(5, seed=2, workers=1, progress=False)
    for first, second in zip(at_once, in_chunks, strict=True):
        assert first.fingerprint() == second.fingerprint()


def test_one_frame_is_refused():
    with pytest.raises(ValueError, match="2 or more"):
        draw_valve_sets(1)


# --- The valve ----------------------------------------------------------------------------------


@given(seeds)
def test_closed_leaflets_meet_and_open_leaflets_do_not(seed):
    valve = draw_valve(np.random.default_rng(seed))
    gaps = {}
    for opening in (0.0, 1.0):
        anterior, posterior = valve.curves(SEPTAL, LATERAL, opening)
        assert anterior.shape == posterior.shape == (POINTS, 2)
        assert np.isfinite(anterior).all() and np.isfinite(posterior).all()
        gaps[opening] = np.hypot(*(anterior[-1] - posterior[-1]))
    assert gaps[0.0] < 1e-6 < gaps[1.0]


def test_tips_are_farther_apart_wide_open_than_slightly_open_in_most_valves():
    apart = []
    for seed in range(40):
        valve = draw_valve(np.random.default_rng(seed))
        tips = [valve.curves(SEPTAL, LATERAL, opening) for opening in (0.3, 1.0)]
        apart.append([np.hypot(*(first[-1] - second[-1])) for first, second in tips])
    little, wide = np.transpose(apart)
    assert (wide > 5).mean() > 0.8 and np.median(wide) > np.median(little)


@given(seeds, st.floats(0, 1))
def test_hinges_stay_in_place_at_any_opening(seed, opening):
    valve = draw_valve(np.random.default_rng(seed))
    across = (LATERAL - SEPTAL) / np.hypot(*(LATERAL - SEPTAL))
    upward = np.array([across[1], -across[0]])
    hinges = (SEPTAL, across), (LATERAL, -across)
    for side, curve in enumerate(valve.curves(SEPTAL, LATERAL, opening)):
        leaflet, (hinge, inward) = getattr(valve, SIDES[side]), hinges[side]
        expected = hinge + leaflet.hinge_across * inward + leaflet.hinge_along * upward
        assert np.allclose(curve[0], expected)
        assert np.hypot(*np.diff(curve, axis=0).T).max() < 10  # mm: no jumps along it


@given(seeds)
def test_wide_open_leaflets_point_into_the_ventricle(seed):
    valve = draw_valve(np.random.default_rng(seed))
    for curve in valve.curves(SEPTAL, LATERAL, 1.0):
        assert curve[-1, 1] < curve[0, 1]  # the apex is up


@given(seeds, st.floats(0, 1))
def test_leaflets_keep_about_their_length_and_the_anterior_is_the_longer_one(seed, opening):
    valve = draw_valve(np.random.default_rng(seed))
    reaches = []
    for moment in (0.0, opening):
        curves = valve.curves(SEPTAL, LATERAL, moment)
        reaches.append([np.hypot(*(curve[-1] - curve[0])) for curve in curves])
    closed, opened = np.array(reaches)
    assert closed[0] > 0.9 * closed[1]
    assert (0.79 * closed < opened).all() and (opened < 1.21 * closed).all()
    assert all(len(rows) <= MAX_GAPS for rows in valve.gaps)
    assert all(len(rows) <= MAX_CHORDAE for rows in valve.chordae)


@given(seeds, st.floats(0, 1), st.floats(0, 2 * np.pi))
def test_a_leaflet_is_faintest_where_it_runs_along_the_beam(seed, opening, angle):
    valve = draw_valve(np.random.default_rng(seed))
    plain = replace(valve, gaps=(np.empty((0, 3)),) * 2)
    for side, curve in enumerate(valve.curves(SEPTAL, LATERAL, opening)):
        beam = np.array([np.cos(angle), np.sin(angle)])
        level = valve.levels(side, curve, beam)
        assert level.shape == (POINTS - 1,) and np.isfinite(level).all()
        assert (level <= plain.levels(side, curve, beam) + 1e-9).all()  # gaps only lower the level
        steps = np.diff(curve, axis=0)
        along = steps / np.hypot(*steps.T)[:, None]
        leaflet = getattr(plain, SIDES[side])
        straight = replace(plain, **{SIDES[side]: replace(leaflet, along_beam_loss=0.0)})
        lost = straight.levels(side, curve, beam) - plain.levels(side, curve, beam)
        assert np.allclose(lost, leaflet.along_beam_loss * (along @ beam) ** 2, atol=1e-5)
    assert (valve.thickness(0) > 0).all() and valve.thickness(1).shape == (POINTS,)


def test_the_ranges_of_the_valve_have_sources():
    table = range_table()
    rows = table[table.astype(str).apply(lambda row: row.str.contains("Leaflet").any(), axis=1)]
    assert len(rows) >= 15
    assert set(rows.source) <= set(SOURCES)


# --- Labels beside those of experts ---------------------------------------------------------------

# median of the labels that experts drew on EchoNet-Dynamic frames, px: benchmarks/leaflets.py
EXPERTS = {"area": 123, "thickness": 4.4, "length": 28, "width": 29, "height": 15, "closed": 0.33}
PAST_WALL = 4.0  # px of 112 x 112 that a label may lie beyond the inner edge of a wall


@pytest.fixture(scope="module")
def labels():
    """(scan, moment, careful mask) of 80 hearts like those of EchoNet-Dynamic, three moments each.

    The valve is shut, half open and open, as in the experts' labels.
    """
    found, index = [], 0
    while len(found) < 240:
        scan, _ = scene.draw_scan(8, VALVE_STREAM, index, 112)
        index += 1
        if not scan.sector.cut:  # not like EchoNet-Dynamic
            continue
        times = np.linspace(0, scan.cycle.period, 100)
        opening = scan.cycle.opening(times)
        width = leaflet_labels.strip_width(
            scan.heart.leaflet_thickness / scan.sector.spacing, (112, 112)
        )
        for wanted in (0.0, 0.55, 0.9):
            moment = float(times[np.argmin(np.abs(opening - wanted))])
            curves = scene.leaflet_curves(scan, moment)
            mask = leaflet_labels.careful_mask(curves, width, (112, 112))
            found.append((scan, moment, mask))
    return found


def test_labels_have_the_shapes_of_those_of_experts(labels):
    sizes = {name: [] for name in EXPERTS}
    for _, _, mask in labels:
        rows, columns = np.nonzero(mask)
        length = skeletonize(mask).sum()
        sizes["area"].append(mask.sum())
        sizes["thickness"].append(mask.sum() / length)
        sizes["length"].append(length)
        sizes["width"].append(np.ptp(columns) + 1)
        sizes["height"].append(np.ptp(rows) + 1)
        sizes["closed"].append(components(mask, connectivity=2).max() == 1)
    for name, expected in EXPERTS.items():
        typical = np.mean(sizes[name]) if name == "closed" else np.median(sizes[name])
        assert typical == pytest.approx(expected, rel=0.2), name


def test_labels_end_at_the_wall_near_the_base_of_the_outline(labels):
    below = []
    for scan, moment, mask in labels:
        shape = scan.shape(moment)
        rows, columns = np.nonzero(mask)
        points = np.stack([columns, rows], axis=1)
        outline = scan.to_pixels(shape.outline, shape, moment)
        base = outline[-1] - outline[0]
        base /= np.hypot(*base)
        walls = [shape.septal_cavity, shape.lateral_cavity]
        hinges = [curve[0] for curve in shape.mitral]
        edges = [[np.interp(hinge[1], wall[:, 1], wall[:, 0]), hinge[1]]
                 for wall, hinge in zip(walls, hinges, strict=True)]  # fmt: skip
        septal, lateral = scan.to_pixels(np.array(edges), shape, moment)
        assert ((points - septal) @ base).min() > -PAST_WALL
        assert ((points - lateral) @ base).max() < PAST_WALL
        below.append(((points - outline[0]) @ [-base[1], base[0]]).max())
    assert max(below) < 8 and 0 < np.median(below) < 4


def test_labels_stay_in_the_frame(frames):
    for frame in frames:
        assert not frame.leaflets[[0, -1]].any() and not frame.leaflets[:, [0, -1]].any()


def test_shut_leaflets_meet_above_their_hinges_in_most_hearts(labels):
    above = []
    for scan, moment, _ in labels[::3]:
        anterior, posterior = scan.shape(moment).mitral
        span = posterior[0] - anterior[0]
        above.append((anterior[-1] - anterior[0]) @ [span[1], -span[0]] / np.hypot(*span))
    assert np.mean(np.array(above) > 0) > 0.85 and np.median(above) < 6  # mm


# --- The valve of a heart -----------------------------------------------------------------------


@settings(max_examples=12)
@given(seeds)
def test_the_ranges_of_the_valve_do_not_change_the_ventricle(seed):
    """The valve has a stream of its own."""
    heart = draw_heart(np.random.default_rng(seed))
    with mock.patch.object(anatomy, "draw_valve", lambda stream: stream.random(100)):
        other = draw_heart(np.random.default_rng(seed))
    names = [item.name for item in fields(heart) if item.name not in ("valve", "waviness")]
    assert all(getattr(heart, name) == getattr(other, name) for name in names)
    assert np.array_equal(heart.waviness, other.waviness)


def test_leaflets_open_and_close_over_the_beat():
    for index in range(4):
        scan = scene.draw_scan(1, VALVE_STREAM, index, 112)[0]
        moments = np.linspace(0, scan.cycle.period, 40, endpoint=False)
        openings = np.array([float(scan.cycle.opening(moment)) for moment in moments])
        assert openings.min() >= 0 and openings.max() <= 1  # it is raised to a power
        tips = [[curve[-1] for curve in scene.leaflet_curves(scan, moment)] for moment in moments]
        apart = np.array([np.hypot(*(first - second)) for first, second in tips])
        assert apart[openings == 0].max(initial=0) < 1e-3 and apart.max() > 1
