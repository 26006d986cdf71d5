"""The left ventricle's function from its outlines: on phantoms with known truth, and on synthetic
curves.
"""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.interpolate import PchipInterpolator

from echolib import geometry
from echolib.curves import smoothed_volume, without_outliers
from echolib.geometry import Tracing
from echolib.phantom.cycle import Cycle, Rhythm
from echolib.phantom.scene import draw_scan, trace
from echolib.ventricle.function import HeartFunction, heart_function, measure_function
from echolib.ventricle.outlines import share_at_edge
from echolib.ventricle.warnings import missing_masks
from tests.makers import ventricle

FPS = 50.0
SIZE = 112
HEARTS = range(6)
RHYTHM = Rhythm(
    rate=66.0, isovolumic_contraction=0.045, ejection=0.29, isovolumic_relaxation=0.07,
    rapid_filling=0.16, atrial_kick=0.1, atrial_share=0.25, diastasis_share=0.04,
    ejection_skew=0.9, mid_diastolic_opening=0.4, atrial_opening=0.7, late_opening=0.2,
)  # fmt: skip
CYCLE = Cycle.from_rhythm(RHYTHM)
EDV, ESV = 120.0, 48.0
EF = 60.0


class Film:
    """A phantom heart's true tracings over 2.5 beats, from 0.1 beats before end-diastole."""

    def __init__(self, index: int) -> None:
        self.scan, _ = draw_scan(6, 78, index, size=SIZE, plain_share=0.0)
        self.cycle, self.spacing = self.scan.cycle, self.scan.sector.spacing
        self.start = -0.1 * self.cycle.period
        times = self.start + np.arange(round(2.5 * self.cycle.period * FPS)) / FPS
        self.tracings = [trace(self.scan, time) for time in times]
        volumes = [geometry.disk_volume(trace(self.scan, time), self.spacing)
                   for time in (0.0, self.cycle.end_systole)]  # fmt: skip
        self.edv, self.esv = volumes
        self.ef = geometry.ejection_fraction(*volumes)

    @property
    def masks(self) -> np.ndarray:
        return np.stack([tracing.mask((SIZE, SIZE)) for tracing in self.tracings])

    def frame(self, time: float) -> float:
        return (time - self.start) * FPS


def function_of_tracings(
    tracings: list[Tracing | None], fps: float | None = FPS, spacing: float | None = None
) -> HeartFunction:
    """The function that `heart_function` measures, from tracings in place of masks."""
    area = np.array([np.nan if t is None else geometry.polygon_area(t.polygon) for t in tracings])
    exists = np.isfinite(area)
    return measure_function(tracings, area, fps, spacing, missing_masks(exists, exists))


@pytest.fixture(scope="module")
def films():
    return [Film(index) for index in HEARTS]


@pytest.fixture(scope="module")
def functions(films):
    return [function_of_tracings(film.tracings, FPS, film.spacing) for film in films]


def volumes(start: float, end: float, fps: float = FPS, cycle: Cycle = CYCLE) -> np.ndarray:
    """(T,) volume of a synthetic heart from `start` to `end`, in beats; 0 is end-diastole."""
    times = np.arange(start * cycle.period, end * cycle.period, 1 / fps)
    return EDV - (EDV - ESV) * cycle.contraction(times)


def tracings_of(curve: np.ndarray) -> list[Tracing | None]:
    """Tracings with these volumes, px³/1000, made by scaling the chords; None for NaN."""
    base = geometry.outline_to_tracing(ventricle())
    middle = base.chords.mean(axis=1, keepdims=True)
    scale = np.sqrt(np.asarray(curve) / geometry.disk_volume(base))
    return [
        Tracing(base.axis, middle + s * (base.chords - middle)) if np.isfinite(s) else None
        for s in scale
    ]


def function_of(curve: np.ndarray, fps: float | None = FPS) -> HeartFunction:
    return function_of_tracings(tracings_of(curve), fps)


def warns(function, words: str) -> bool:
    return any(words in warning for warning in function.warnings)


# --- Phantom hearts -------------------------------------------------------------------------------


def test_beats_of_phantom_hearts_are_those_of_their_cycle(films, functions):
    for film, function in zip(films, functions, strict=True):
        systoles = [film.frame(beat * film.cycle.period + film.cycle.end_systole)
                    for beat in range(2)]  # fmt: skip
        assert [beat.note for beat in function.beats[:2]] == ["", ""]
        for number, (beat, systole) in enumerate(zip(function.beats, systoles, strict=False)):
            assert -2 <= beat.end_systole - systole <= 6  # the ventricle rests after systole
            assert abs(beat.end_diastole - film.frame(number * film.cycle.period)) <= 4
        assert function.beats[0].end == function.beats[1].end_diastole
        assert function.heart_rate == pytest.approx(60 / film.cycle.period, rel=0.02)


def test_volumes_and_ejection_fraction_are_the_true_ones(films, functions):
    for film, function in zip(films, functions, strict=True):
        assert function.edv == pytest.approx(film.edv, rel=0.03)
        assert function.esv == pytest.approx(film.esv, rel=0.05)
        assert function.ef_measured == pytest.approx(film.ef, abs=2)
        assert function.ef_spread < 2 and function.n_beats >= 2
        assert function.unit == "ml" and function.length_unit == "mm"
        assert function.length[0] == pytest.approx(film.tracings[0].length * film.spacing)
        assert not warns(function, "long axis")


def test_masks_of_tracings_give_nearly_what_the_tracings_give(films, functions):
    for film, of_tracings in zip(films[:3], functions, strict=False):
        function = heart_function(film.masks, FPS, film.spacing, film.scan.sector.shown)
        assert function.ef_measured == pytest.approx(of_tracings.ef_measured, abs=4)
        assert function.heart_rate == pytest.approx(of_tracings.heart_rate, rel=0.02)
        assert len(function.beats) == len(of_tracings.beats)
        assert np.allclose(function.area, film.masks.sum(axis=(1, 2)), rtol=0.01)
        assert function.axes.shape == (len(film.masks), 2, 2)
        assert function.chords.shape == (len(film.masks), geometry.CHORDS, 2, 2)
        assert (function.axes[:, 0, 1] < function.axes[:, 1, 1]).all()  # the apex is up
        assert not warns(function, "edge") and not warns(function, "long axis")


def test_place_and_scale_change_no_ejection_fraction(films):
    masks = films[0].masks[:50]
    first = heart_function(masks, FPS)
    moved = heart_function(np.pad(masks, ((0, 0), (30, 0), (0, 17))), FPS)
    assert [beat.ef_measured for beat in moved.beats] == pytest.approx(
        [beat.ef_measured for beat in first.beats]
    )
    assert np.allclose(moved.axes, first.axes + [0, 30])
    assert np.allclose(moved.chords, first.chords + [0, 30], atol=1e-3)
    scaled = heart_function(masks, FPS, spacing=1.7)
    assert np.allclose(scaled.volume, 1.7**3 * first.volume)
    assert np.allclose(scaled.length, 1.7 * first.length)
    assert np.allclose(scaled.area, first.area)
    assert scaled.ef_measured == pytest.approx(first.ef_measured)
    assert warns(first, "spacing unknown") and not warns(scaled, "spacing unknown")
    assert (first.unit, first.length_unit) == ("px³/1000", "px")


@pytest.mark.parametrize("amount", [0.03, 0.06])
def test_noise_of_the_outlines_hardly_moves_the_ejection_fraction(films, amount):
    generator, errors = np.random.default_rng(3), []
    for film in films:
        noisy = []
        for tracing in film.tracings:
            middle = tracing.chords.mean(axis=1, keepdims=True)
            scale = 1 + generator.normal(0, amount / 2) + generator.normal(0, amount, (20, 1, 1))
            noisy.append(Tracing(tracing.axis, middle + scale * (tracing.chords - middle)))
        function = function_of_tracings(noisy, FPS, film.spacing)
        assert len(function.beats) in (2, 3)
        assert function.heart_rate == pytest.approx(60 / film.cycle.period, rel=0.05)
        errors.append(function.ef_measured - film.ef)
    assert abs(np.mean(errors)) < 1.5 and np.abs(errors).max() < 6


def test_same_beats_at_any_frame_rate():
    found = {fps: function_of(volumes(-0.2, 3.1, fps), fps) for fps in (15, 25, 50, 100, 120)}
    for fps, function in found.items():
        assert function.n_beats == 3
        for number, beat in enumerate(function.beats):
            systole = ((number + 0.2) * CYCLE.period + CYCLE.end_systole) * fps
            assert -1 <= beat.end_systole - systole <= 0.1 * fps + 1
        assert function.ef_measured == pytest.approx(EF, abs=1 if fps > 20 else 3)
        assert function.heart_rate == pytest.approx(RHYTHM.rate, rel=0.02)
        assert warns(function, "frame rate is low") == (fps < 25)


@pytest.mark.parametrize("rate", [40, 115, 150, 180])
def test_slow_and_fast_hearts(rate):
    cycle = Cycle.from_rhythm(replace(RHYTHM, rate=float(rate)))
    function = function_of(volumes(-0.3, 4.0, cycle=cycle))
    assert function.n_beats == 4
    assert function.heart_rate == pytest.approx(rate, rel=0.02)
    assert function.ef_measured == pytest.approx(EF, abs=2)


def test_without_fps_beats_are_detected_by_counting_frames():
    for fps in (20, 50):
        function = function_of(volumes(-0.2, 3.1, fps), None)
        assert function.n_beats == 3 and function.heart_rate is None
        assert function.ef_measured == pytest.approx(EF, abs=3)
        assert function.table().time_s.isna().all()
        assert warns(function, "Frames per second unknown")


# --- The curve ------------------------------------------------------------------------------------


@given(st.floats(45, 115), st.floats(25, 120), st.floats(0, 1))
@example(112.0, 48.0, 0.75)  # ends in the midst of rapid filling, which is no outlier
def test_smoothing_keeps_the_extremes_of_a_clean_curve(rate, fps, start):
    cycle = Cycle.from_rhythm(replace(RHYTHM, rate=rate))
    curve = volumes(start, start + 3, fps, cycle)
    smooth = smoothed_volume(curve, fps)
    assert np.abs(smooth - curve).max() < 0.2 * (EDV - ESV)
    assert abs(smooth[3:-3].max() - curve[3:-3].max()) < 0.05 * (EDV - ESV)
    assert abs(smooth[3:-3].min() - curve[3:-3].min()) < 0.05 * (EDV - ESV)


@pytest.mark.parametrize(("fps", "left"), [(30.0, 0.65), (50.0, 0.5), (100.0, 0.4)])
def test_smoothing_lowers_noise(fps, left):
    curve = volumes(0, 12, fps)
    noise = np.random.default_rng(0).normal(0, 4, len(curve))
    off = smoothed_volume(curve + noise, fps) - smoothed_volume(curve, fps)
    assert off.std() < left * noise.std()


def test_single_outliers_are_no_extremes():
    curve = volumes(-0.2, 3.1)
    outlying = curve.copy()
    outlying[[3, 20, 45, 46, 100]] *= [1.4, 0.5, 0.4, 0.5, 0.6]
    function, clean = function_of(outlying), function_of(curve)
    assert [beat.end_systole for beat in function.beats] == pytest.approx(
        [beat.end_systole for beat in clean.beats], abs=2
    )
    assert function.ef_measured == pytest.approx(clean.ef_measured, abs=1)
    assert np.allclose(function.volume, outlying, rtol=1e-3)  # the measured volume is kept
    assert np.isnan(without_outliers(outlying, FPS)[[20, 45, 46, 100]]).all()
    assert np.isfinite(without_outliers(curve, FPS)).mean() > 0.97


def test_many_outliers_give_a_warning():
    curve = volumes(-0.2, 3.1)
    curve[5::7] *= 0.4
    assert warns(function_of(curve), "far from")


def test_short_gaps_are_bridged_and_long_ones_are_not():
    curve = volumes(-0.2, 3.1)
    curve[[12, 13]] = np.nan
    curve[60:72] = np.nan
    function = function_of(curve)
    assert np.isnan(function.volume[[12, 13, 60, 71]]).all()
    assert np.isnan(function.axes[[12, 65]]).all() and np.isnan(function.chords[12]).all()
    assert np.isfinite(function.smooth[[12, 13]]).all()
    assert np.isnan(function.smooth[60:72]).all()
    assert function.ef_measured == pytest.approx(EF, abs=1)
    assert warns(function, "mask is empty in 9 %")


def test_beat_whose_extreme_is_missing_does_not_count():
    curve = volumes(-0.2, 3.1)
    systole = round((1.2 * CYCLE.period + CYCLE.end_systole) * FPS)
    curve[systole - 6 : systole + 7] = np.nan
    function = function_of(curve)
    assert [beat.counts for beat in function.beats] == [True, False, True]
    assert "missing" in function.beats[1].note
    assert function.ef_measured == pytest.approx(EF, abs=1)


# --- Clips that begin and end anywhere ------------------------------------------------------------


@pytest.mark.parametrize("start", np.arange(-1.0, 0.0, 0.125))
@pytest.mark.parametrize("length", [1.6, 2.6])
def test_any_window_of_a_beat_or_more_gives_the_ejection_fraction(start, length):
    function = function_of(volumes(start, start + length))
    assert function.n_beats >= 1
    assert function.ef_measured == pytest.approx(EF, abs=2.5)
    for beat in function.beats:
        assert beat.end_diastole < beat.end_systole or "begins in systole" in beat.note
        assert beat.end is None or beat.end > beat.end_systole


def test_one_systole_alone_is_a_beat():
    end = CYCLE.end_systole / CYCLE.period
    function = function_of(volumes(-0.3, end + 0.02))  # end-systole is the last frame
    (beat,) = function.beats
    assert beat.end is None and beat.counts and "ends" in beat.note
    assert beat.end_systole >= len(function.volume) - 2
    assert function.ef_measured == pytest.approx(EF, abs=2.5)
    assert function.heart_rate is None
    for words in ("systole may go on", "one beat only", "less than one whole beat"):
        assert warns(function, words)


def test_clip_that_starts_at_end_diastole():
    function = function_of(volumes(0, 0.7))
    (beat,) = function.beats
    assert beat.end_diastole <= 3 and beat.note == ""
    assert function.ef_measured == pytest.approx(EF, abs=2.5)


def test_clip_that_begins_in_systole_uses_the_end_diastole_after_it():
    function = function_of(volumes(0.2, 1.1))
    (beat,) = function.beats
    assert beat.end_diastole > beat.end_systole and "begins in systole" in beat.note
    assert beat.end is None and warns(function, "begins in systole")
    assert function.ef_measured == pytest.approx(EF, abs=2.5)


def test_a_systole_that_has_nearly_ended_where_a_slow_clip_begins_is_not_a_beat_of_its_own():
    late = CYCLE.end_systole / CYCLE.period - 0.12
    for rate in (FPS, FPS / 6):  # a video may be shown more slowly than it was recorded
        function = function_of(volumes(late, late + 0.95), rate)
        (beat,) = function.beats
        assert beat.end_diastole > beat.end_systole and "begins in systole" in beat.note
        assert function.ef_measured == pytest.approx(EF, abs=2.5)


def test_clip_that_begins_in_systole_and_ends_before_filling_gives_a_warning():
    cut = 0.5 * (RHYTHM.isovolumic_contraction + CYCLE.end_systole) / CYCLE.period
    function = function_of(volumes(cut, CYCLE.opening_time / CYCLE.period + 0.02))
    assert len(function.beats) == 1 and function.ef_measured < EF - 5
    assert warns(function, "too low")


def test_clip_that_ends_in_systole():
    middle = 0.75 * CYCLE.end_systole / CYCLE.period
    alone = function_of(volumes(-0.3, middle))
    assert len(alone.beats) == 1 and alone.ef_measured < EF and warns(alone, "ends in systole")
    after = function_of(volumes(-0.3, 1 + middle))
    assert len(after.beats) == 1 and after.beats[0].end is not None
    assert after.ef_measured == pytest.approx(EF, abs=1)
    assert after.heart_rate == pytest.approx(RHYTHM.rate, rel=0.06)


def test_diastasis_noise_does_not_pull_end_diastole_forward():
    cycle = Cycle.from_rhythm(replace(RHYTHM, rate=45.0, atrial_share=0.13, diastasis_share=0.0))
    noise = np.random.default_rng(1).normal(0, 2, 2000)
    curve = volumes(-0.5, 6.0, cycle=cycle)
    function = function_of(curve + noise[: len(curve)])
    assert function.n_beats == 6
    for number, beat in enumerate(function.beats):
        assert abs(beat.end_diastole / FPS - (number + 0.5) * cycle.period) < 0.12


# --- No beat, irregular beats ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("curve", "words"),
    [
        (np.full(60, 80.0), "No contraction is detected"),
        (np.linspace(50, 110, 40), "No systole is detected"),
        (np.full(1, 80.0), "One frame"),
        (np.full(2, 80.0), "No contraction is detected"),
        (np.full(30, np.nan), "All masks are empty"),
        (np.r_[80.0, np.full(9, np.nan)], "Too few frames"),
    ],
)
def test_clip_without_a_fall_has_no_beat_and_gives_the_reason(curve, words):
    function = function_of(curve)
    assert function.beats == [] and function.n_beats == 0 and function.heart_rate is None
    assert np.isnan([function.ef_measured, function.edv, function.esv, function.ef_spread]).all()
    assert warns(function, words)
    assert len(function.table()) == len(curve) and len(function.beats_table()) == 0


@pytest.mark.parametrize("fps", [50.0, 100.0])
def test_noise_alone_is_seldom_a_beat(fps):
    generator = np.random.default_rng(0)
    still = [function_of(80 + generator.normal(0, 2.5, 60), fps) for _ in range(30)]
    assert sum(bool(function.beats) for function in still) <= 4


@pytest.mark.parametrize("true", [8.0, 15.0])
def test_weak_ventricles_have_beats_too(true):
    curve = EDV * (1 - true / EF * (1 - volumes(-0.2, 2.1) / EDV))
    noise = 1 + np.random.default_rng(0).normal(0, 0.01, len(curve))
    function = function_of(curve * noise)
    assert function.n_beats == 2 and function.ef_measured == pytest.approx(true, abs=2)


def with_extrasystole() -> np.ndarray:
    """Two beats, a premature one with a small stroke and a pause, and three more beats."""
    beat = [(0.0, 120), (0.05, 119.5), (0.34, 48), (0.40, 48.5), (0.56, 98), (0.74, 103)]
    early = [(0.0, 103), (0.22, 74), (0.28, 74.5), (0.45, 105), (1.0, 110)]
    knots, time = [], 0.0
    for shape, period in [(beat, 0.85), (beat, 0.75), (early, 1.15)] + [(beat, 0.85)] * 3:
        knots += [(time + moment, volume) for moment, volume in shape]
        time += period
    knots.append((time, 120))
    times, levels = np.array(knots).T
    return PchipInterpolator(times, levels)(np.arange(0, time, 1 / FPS))


def test_extrasystole_and_the_beat_after_it_do_not_count():
    function = function_of(with_extrasystole())
    assert len(function.beats) == 6
    assert [beat.counts for beat in function.beats] == [True, True, False, False, True, True]
    assert [beat.note for beat in function.beats[2:4]] == ["extrasystole", "after a pause"]
    assert function.n_beats == 4 and function.ef_measured == pytest.approx(EF, abs=1)
    assert function.heart_rate == pytest.approx(60 / 0.85, rel=0.03)
    assert warns(function, "Extrasystole")
    assert function.beats_table().counts.sum() == 4


def test_irregular_rhythm_gives_a_warning_and_all_beats_count():
    curves = [
        volumes(0, 1, cycle=Cycle.from_rhythm(replace(RHYTHM, rate=float(rate))))
        for rate in (60, 110, 60, 112, 62, 108, 60)
    ]
    weak = [EDV - 0.6 * (EDV - curve) if number % 2 == 0 else curve
            for number, curve in enumerate(curves)]  # fmt: skip
    function = function_of(np.concatenate(weak))
    assert function.n_beats >= 6
    assert warns(function, "irregular") and warns(function, "differs by")


def test_beats_that_differ_give_a_warning():
    curves = [EDV - share * (EDV - volumes(0, 1)) for share in (1.0, 0.75, 1.0)]
    function = function_of(np.concatenate(curves))
    assert function.n_beats == 3 and function.ef_spread > 10
    assert warns(function, "differs by")


def test_long_clip_is_measured_whole():
    function = function_of(volumes(0.6, 24.2))
    assert function.n_beats == 23 and len(function.volume) > 1000
    assert function.ef_spread < 1.5


# --- Long axis and edge ---------------------------------------------------------------------------


def stretched(tracings: list[Tracing], share: np.ndarray) -> list[Tracing]:
    """Tracings with their long axes multiplied by (T,) share."""
    scale = np.stack([np.ones(len(share)), share], axis=1)
    return [
        Tracing(tracing.axis * s, tracing.chords * s)
        for tracing, s in zip(tracings, scale, strict=True)
    ]


def test_long_axis_that_changes_too_much_gives_a_warning():
    curve = volumes(-0.2, 2.3)
    contraction = (EDV - curve) / (EDV - ESV)
    plain = tracings_of(curve)
    assert not warns(
        function_of_tracings(stretched(plain, 1 - 0.15 * contraction), FPS), "long axis"
    )
    for amount, words in ((0.45, "shortens by"), (-0.15, "lengthens by")):
        function = function_of_tracings(stretched(plain, 1 - amount * contraction), FPS)
        assert warns(function, words)
    drift = stretched(plain, np.linspace(1, 0.7, len(plain)))
    assert warns(function_of_tracings(drift, FPS), "differs by")
    jumps = np.where(np.arange(len(plain)) % 4, 1.0, 1.35)
    assert warns(function_of_tracings(stretched(plain, jumps), FPS), "jumps")


def test_outline_cut_by_the_sector_or_by_the_picture_gives_a_warning(films):
    masks = films[0].masks[:40]
    columns = np.flatnonzero(masks.any(axis=(0, 1)))
    rows = np.flatnonzero(masks.any(axis=(0, 2)))
    sector = np.ones((SIZE, SIZE), bool)
    assert np.nanmax(share_at_edge(masks, sector)) == 0
    sector[:, columns[-1] - 8 :] = False  # beyond the lateral wall
    cut = masks & sector
    assert warns(heart_function(cut, FPS, sector=sector), "touches the edge")
    assert not warns(heart_function(cut, FPS), "touches the edge")  # no sector known
    assert warns(heart_function(masks[:, rows[0] + 6 :], FPS), "touches the edge")  # apex cut off
    assert warns(heart_function(masks[:, : rows[-1] - 6], FPS), "touches the edge")  # base cut off
    assert warns(heart_function(masks, FPS, sector=sector), "touches the edge")  # extends beyond
    assert np.isnan(share_at_edge(masks & False, sector)).all()


# --- Tables, refused input, random input ----------------------------------------------------------


def test_tables_have_one_row_per_frame_and_one_row_per_beat(films, functions):
    function, film = functions[0], films[0]
    table = function.table()
    assert list(table) == [
        "frame", "time_s", "area_px", "area_mm2", "volume", "smooth", "length", "phase"
    ]  # fmt: skip
    assert table.time_s.iloc[-1] == pytest.approx((len(table) - 1) / FPS)
    assert np.allclose(table.area_mm2, table.area_px * film.spacing**2)
    systoles = [beat.end_systole for beat in function.beats]
    assert table.frame[table.phase == "ES"].tolist() == systoles
    assert {beat.end_diastole for beat in function.beats} <= set(table.frame[table.phase == "ED"])
    beats = function.beats_table()
    assert len(beats) == len(function.beats)
    assert beats.ef_measured[beats.counts].median() == pytest.approx(function.ef_measured)
    for beat in function.beats:
        assert beat.edv == function.smooth[beat.end_diastole]
        assert beat.ef_measured == pytest.approx(geometry.ejection_fraction(beat.edv, beat.esv))


@pytest.mark.parametrize(
    ("masks", "options"),
    [
        (np.zeros((4, 5), bool), {}),
        (np.zeros((4, 5, 6)), {}),
        ([[[True]]], {}),
        (np.zeros((0, 5, 6), bool), {}),
        (np.zeros((4, 5, 6), bool), {"fps": 0.0}),
        (np.zeros((4, 5, 6), bool), {"fps": float("nan")}),
        (np.zeros((4, 5, 6), bool), {"spacing": -1.0}),
        (np.zeros((4, 5, 6), bool), {"sector": np.ones((6, 5), bool)}),
        (np.zeros((4, 5, 6), bool), {"sector": np.ones((5, 6))}),
        (np.ones((4, 5, 6), bool), {"sector": np.zeros((5, 6), bool)}),
    ],
)
def test_anything_but_masks_of_a_clip_is_refused(masks, options):
    with pytest.raises(ValueError, match="expected"):
        heart_function(masks, **options)


@settings(max_examples=40)
@given(
    st.integers(0, 2**32 - 1),
    st.tuples(st.integers(1, 30), st.integers(1, 24), st.integers(1, 24)),
    st.sampled_from([0.0, 0.01, 0.1, 0.5, 0.95, 1.0]),
    st.sampled_from([None, 3.0, 50.0, 1000.0]),
)
def test_no_masks_cause_a_crash(seed, shape, density, fps):
    masks = np.random.default_rng(seed).random(shape) < density
    function = heart_function(masks, fps)
    assert len(function.table()) == shape[0]
    assert len(function.beats_table()) == len(function.beats)
    assert function.warnings


@settings(max_examples=150)
@given(
    st.lists(st.floats(1, 200) | st.just(float("nan")), min_size=1, max_size=80),
    st.sampled_from([None, 10.0, 50.0, 120.0]),
)
def test_no_curve_causes_a_crash(curve, fps):
    function = function_of(np.array(curve), fps)
    known = np.isfinite(function.volume)
    assert np.allclose(function.volume[known], np.array(curve)[known], rtol=1e-3)
    for beat in function.beats:
        assert np.isfinite([beat.edv, beat.esv, beat.length_ed, beat.length_es]).all()
        assert beat.end_diastole < beat.end_systole or "begins in systole" in beat.note
        assert beat.edv > beat.esv >= 0
    if function.heart_rate is not None:
        assert np.isfinite(function.heart_rate) and function.heart_rate > 0


@pytest.mark.parametrize(("factor", "said"), [(1, False), (0.5, True), (3, True), (None, False)])
def test_a_long_axis_that_no_adult_has_is_told(films, factor, said):
    film = films[0]
    spacing = factor and factor * film.spacing
    codes = [each.code for each in function_of_tracings(film.tracings, FPS, spacing).warnings]
    assert ("unlikely-size" in codes) == said
