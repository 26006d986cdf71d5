"""Phantom frames of the mitral valve: labels that match the image, leaflets that move."""

from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echolib.data.valve.squares import bounds_of
from echolib.phantom import leaflet_labels, scene, single_frames
from echolib.phantom.common import EXPERT_STREAM, FRAME_STREAM, TEST_STREAM, VALVE_STREAM
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
        window[max(rows.min() - reach, 0) : rows.max() + reach,
               max(columns.min() - reach, 0) : columns.max() + reach] = True  # fmt: skip
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
        anterior, posterior = valve.curves(90.0, SEPTAL, LATERAL, opening)
        assert anterior.shape == posterior.shape == (POINTS, 2)
        assert np.isfinite(anterior).all() and np.isfinite(posterior).all()
        gaps[opening] = np.hypot(*(anterior[-1] - posterior[-1]))
    assert gaps[0.0] < 1e-6 < gaps[1.0]


def test_tips_are_farther_apart_wide_open_than_slightly_open_in_most_valves():
    apart = []
    for seed in range(40):
        valve = draw_valve(np.random.default_rng(seed))
        tips = [valve.curves(90.0, SEPTAL, LATERAL, opening) for opening in (0.3, 1.0)]
        apart.append([np.hypot(*(first[-1] - second[-1])) for first, second in tips])
    little, wide = np.transpose(apart)
    assert (wide > 5).mean() > 0.8 and np.median(wide) > np.median(little)


@given(seeds, st.floats(0, 1))
def test_hinges_are_at_the_ends_of_the_walls_at_any_opening(seed, opening):
    valve = draw_valve(np.random.default_rng(seed))
    across = (LATERAL - SEPTAL) / np.hypot(*(LATERAL - SEPTAL))
    upward = np.array([across[1], -across[0]])
    hinges = (SEPTAL, across), (LATERAL, -across)
    for side, curve in enumerate(valve.curves(90.0, SEPTAL, LATERAL, opening)):
        leaflet, (hinge, inward) = getattr(valve, SIDES[side]), hinges[side]
        expected = hinge + leaflet.hinge_across * inward + leaflet.hinge_along * upward
        assert np.allclose(curve[0], expected)
        assert np.hypot(*np.diff(curve, axis=0).T).max() < 10  # mm: no jumps along it


@given(seeds)
def test_wide_open_leaflets_point_into_the_ventricle(seed):
    valve = draw_valve(np.random.default_rng(seed))
    for curve in valve.curves(90.0, SEPTAL, LATERAL, 1.0):
        assert curve[-1, 1] < curve[0, 1]  # the apex is up


@given(seeds)
def test_the_posterior_leaflet_is_shorter_than_the_anterior(seed):
    valve = draw_valve(np.random.default_rng(seed))
    assert valve.posterior.length < valve.anterior.length
    assert all(len(rows) <= MAX_GAPS for rows in valve.gaps)
    assert all(len(rows) <= MAX_CHORDAE for rows in valve.chordae)


@given(seeds, st.floats(0, 1), st.floats(0, 2 * np.pi))
def test_a_leaflet_is_faintest_where_it_runs_along_the_beam(seed, opening, angle):
    valve = draw_valve(np.random.default_rng(seed))
    plain = replace(valve, gaps=(np.empty((0, 3)),) * 2)
    for side, curve in enumerate(valve.curves(90.0, SEPTAL, LATERAL, opening)):
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


# --- One heart, with and without the detailed valve -------------------------------------------


def as_one_population():
    """Let hearts with a detailed valve have the same ejections as the others."""
    return mock.patch.object(scene, "DETAILED_VALVE_EJECTIONS", scene.EJECTIONS)


def test_the_mitral_study_keeps_the_hearts_of_its_version():
    """Networks were trained and measured on version 3, which has these hearts."""
    for stream, ejections in ((EXPERT_STREAM, (0.036885, 0.462608)), (TEST_STREAM, (0.248166,))):
        for index, ejection in enumerate(ejections):
            heart = scene.draw_scan(0, stream, index, 112, 0.0, detailed_valve=True)[0].heart
            assert heart.ejection == pytest.approx(ejection, abs=1e-6)


@settings(max_examples=12)
@given(st.integers(0, 500), st.floats(0, 1))
def test_the_detailed_valve_does_not_change_the_ventricle(index, share):
    """The valve has a generator of its own: the tracing must be the same, bit for bit."""
    with as_one_population():
        (simple, choice), (detailed, other) = (
            scene.draw_scan(3, FRAME_STREAM, index, 112, detailed_valve=detail)
            for detail in (False, True)
        )
    assert simple.heart.valve is None and detailed.heart.valve is not None
    assert simple.renderer == detailed.renderer
    moment = share * simple.cycle.period
    first, second = scene.trace(simple, moment), scene.trace(detailed, moment)
    assert np.array_equal(first.axis, second.axis)
    assert np.array_equal(first.chords, second.chords)
    assert choice.random() == other.random()


def test_the_detailed_valve_changes_the_frame_only_near_the_valve():
    changed = []
    for index in range(6):
        with as_one_population():
            simple, detailed = (
                scene.draw_scan(3, VALVE_STREAM, index, 112, 1.0, detailed_valve=detail)[0]
                for detail in (False, True)
            )
        moment = 0.4 * simple.cycle.period
        leaflets = scene.leaflet_curves(simple, moment), scene.leaflet_curves(detailed, moment)
        points = np.concatenate([curve for curves in leaflets for curve in curves])
        rows, columns = np.mgrid[:112, :112]
        far = np.ones((112, 112), bool)
        far[int(points[:, 1].min()) - 45 : int(points[:, 1].max()) + 12,
            int(points[:, 0].min()) - 15 : int(points[:, 0].max()) + 15] = False  # fmt: skip
        difference = simple.frame(moment).astype(int) - detailed.frame(moment)
        changed.append((difference != 0).any())
        assert np.abs(difference[far]).mean() < 1
    assert all(changed)


def test_leaflets_open_and_close_over_the_beat():
    for index in range(4):
        scan = scene.draw_scan(1, VALVE_STREAM, index, 112, detailed_valve=True)[0]
        moments = np.linspace(0, scan.cycle.period, 40, endpoint=False)
        openings = np.array([float(scan.cycle.opening(moment)) for moment in moments])
        assert openings.min() >= 0 and openings.max() <= 1  # it is raised to a power
        tips = [[curve[-1] for curve in scene.leaflet_curves(scan, moment)] for moment in moments]
        apart = np.array([np.hypot(*(first - second)) for first, second in tips])
        assert apart[openings == 0].max(initial=0) < 1e-3 and apart.max() > 1


def test_frames_of_the_ventricle_have_no_detailed_valve():
    images, regions, _ = single_frames.draw_frames(2, seed=3, workers=1)
    for index in range(2):
        scan, choice = scene.draw_scan(3, FRAME_STREAM, index, 112)
        moments = [0.0, scan.cycle.end_systole, choice.uniform(0, scan.cycle.period)]
        moment = moments[choice.choice(3, p=[0.25, 0.35, 0.4])]
        assert np.array_equal(scan.frame(moment), images[index])
        assert np.array_equal(regions[index] == 1, scene.trace(scan, moment).mask((112, 112)))
