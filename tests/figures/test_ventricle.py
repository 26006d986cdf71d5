"""Figures of heart function, tested through their axes, and its video, through its colours."""

import re
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from echolib.data.clips import Clip
from echolib.figures.base import PALETTE
from echolib.figures.ventricle import (
    curve_figure,
    draw_function,
    draw_moment,
    ef_figure,
    for_display,
    function_figure,
    function_video,
)
from echolib.geometry import disk_volume, mask_to_tracing, polygon_to_mask
from echolib.masks import PackedMasks
from echolib.ventricle.clip import ClipFunction
from echolib.ventricle.function import Beat, HeartFunction
from echolib.ventricle.words import headline, key_frames, why_no_ef
from tests.makers import ventricle

FPS, SPACING = 20.0, 1.5
MISSED = "interval misses the true EF: 1 clip"
PERIOD, SYSTOLE = 10, 4  # frames of a beat and of its systole
SHAPE = (90, 110)


def make_function(
    count: int = 24,
    fps: float | None = FPS,
    spacing: float | None = SPACING,
    odd: int | None = None,
) -> ClipFunction:
    """A clip of a ventricle that empties and fills. odd: index of the beat that does not count."""
    phase = np.arange(count) % PERIOD
    emptied = np.where(phase < SYSTOLE, phase / SYSTOLE, (PERIOD - phase) / (PERIOD - SYSTOLE))
    masks = np.stack(
        [
            polygon_to_mask(ventricle(20 - 5 * share, 44 - 6 * share, 50, 45), SHAPE)
            for share in emptied
        ]
    )
    tracings = [mask_to_tracing(mask) for mask in masks]
    volume = np.array([disk_volume(tracing, spacing or 1.0) for tracing in tracings])
    length = np.array([tracing.length * (spacing or 1.0) for tracing in tracings])
    beats = []
    for start in range(0, count - SYSTOLE, PERIOD):
        low, end = start + SYSTOLE, start + PERIOD if start + PERIOD < count else None
        ef = 100 * (1 - volume[low] / volume[start])
        counts = len(beats) != odd
        lengths = length[start], length[low]
        note = "" if counts else "extrasystole"
        beats.append(Beat(start, low, end, volume[start], volume[low], *lengths, ef, counts, note))
    axes, chords = (
        np.stack([getattr(tracing, name) for tracing in tracings]) for name in ("axis", "chords")
    )
    rate = 60 * fps / PERIOD if fps and count > PERIOD else None
    curves = masks.sum(axis=(1, 2)).astype(float), volume, volume.copy(), length
    function = HeartFunction(*curves, axes, chords, beats, fps, spacing, rate, [])
    frames = np.where(masks, 20, 90).astype(np.uint8)
    clip = Clip("0X1A2B", frames, fps, spacing)
    ef = function.ef_measured
    bounds = ef + 1.0, ef - 8.0, ef + 9.0
    return ClipFunction(
        clip, PackedMasks.pack(masks), function, ef, *bounds, {}, 0.1, [], ("lv", "lv_landmarks")
    )


def on_a_screen(result: ClipFunction) -> ClipFunction:
    """The same result on a larger screen with letters beside its sector."""
    top, left = 120, 60
    frames = np.pad(result.clip.frames, ((0, 0), (top, 40), (left, 30)))
    frames[:, 10:24, 10:90:4] = 255
    corner = np.array([left, top])
    function = replace(
        result.function, axes=result.function.axes + corner, chords=result.function.chords + corner
    )
    packed = PackedMasks.pack(np.pad(result.masks, ((0, 0), (top, 40), (left, 30))))
    return replace(
        result,
        clip=replace(result.clip, frames=frames),
        packed=packed,
        function=function,
    )


def without_ef(result: ClipFunction, **changes: object) -> ClipFunction:
    """The clip without an EF. changes: fields of its HeartFunction."""
    unknown = dict.fromkeys(("ef_measured", "ef_corrected", "ef_low", "ef_high"), np.nan)
    return replace(result, function=replace(result.function, **changes), **unknown)


def without_outlines(result: ClipFunction) -> ClipFunction:
    """The clip without an outline in any frame."""
    names = ("area", "volume", "smooth", "length", "axes", "chords")
    unknown = {name: np.full_like(getattr(result.function, name), np.nan) for name in names}
    result = without_ef(result, beats=[], heart_rate=None, **unknown)
    return replace(result, packed=PackedMasks.pack(np.zeros_like(result.masks)))


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def axes():
    return plt.subplots()[1]


def marks(axes: plt.Axes, phase: str) -> list:
    return [line for line in axes.lines if line.get_marker() == {"ED": "^", "ES": "v"}[phase]]


# --- In words -----------------------------------------------------------------------------------


def test_headline_gives_ef_interval_beats_and_rate():
    result = make_function()
    ef = result.ef_corrected
    expected = f"EF {ef:.0f} % corrected, 90 % interval {ef - 9:.0f} to {ef + 8:.0f} %"
    assert headline(result) == f"{expected}, 2 beats at 120 per minute"
    unsure = replace(result, ef_corrected=result.ef_measured, ef_low=np.nan, ef_high=np.nan)
    assert headline(unsure) == f"EF {ef - 1:.0f} % measured, 2 beats at 120 per minute"
    assert "1 beat at" in headline(make_function(odd=1))
    assert "minute" not in headline(make_function(fps=None))


def test_without_ef_the_reason_is_given():
    result = make_function()
    assert why_no_ef(result) == ""
    assert "outline" in why_no_ef(without_outlines(result))
    assert "single frame" in why_no_ef(without_ef(make_function(1)))
    assert "no beat" in why_no_ef(without_ef(result, beats=[]))
    assert "warnings" in why_no_ef(without_ef(result))
    beats = [replace(beat, counts=False, note="extrasystole") for beat in result.function.beats]
    assert why_no_ef(without_ef(result, beats=beats)) == "no beat counts (extrasystole)"
    assert headline(without_ef(result, beats=[])).startswith("No EF: no beat")


def test_key_frames_are_of_a_beat_that_counts_or_of_the_largest_and_smallest_volume():
    beats = {"end-diastole": 10, "end-systole": 14}
    assert key_frames(make_function(odd=0).function) == beats
    without_beats = without_ef(make_function(12), beats=[]).function
    assert key_frames(without_beats) == {"largest volume": 0, "smallest volume": 4}
    assert list(key_frames(make_function(1).function).values()) == [0]
    assert list(key_frames(without_outlines(make_function()).function).values()) == [0]


def test_every_frame_has_one_phase_also_the_end_of_a_beat():
    function = make_function().function
    last = Beat(20, 22, 23, 1.0, 0.5, 1.0, 1.0, 50.0, True, "")
    function = replace(function, beats=(*function.beats[:2], last))
    assert function.phases == {0: "ED", 4: "ES", 10: "ED", 14: "ES", 20: "ED", 22: "ES", 23: "ED"}
    shown = function.table().phase
    assert {frame: phase for frame, phase in enumerate(shown) if phase} == function.phases


# --- Curve --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dark", [False, True])
def test_curve_is_over_seconds_in_ml_with_both_ends_of_each_beat(axes, dark):
    function = make_function().function
    draw_function(function, axes, dark)
    assert axes.get_xlabel() == "time (s)" and axes.get_ylabel() == "volume (ml)"
    single, smooth = (
        next(line for line in axes.lines if line.get_label() == label)
        for label in ("single frame", "smoothed")
    )
    np.testing.assert_allclose(smooth.get_xdata(), np.arange(24) / FPS)
    np.testing.assert_allclose(smooth.get_ydata(), function.smooth)
    np.testing.assert_allclose(single.get_ydata(), function.volume)
    for phase, frames in (("ED", (0, 10)), ("ES", (4, 14))):
        times = [float(line.get_xdata()[0]) for line in marks(axes, phase)]
        assert times == pytest.approx([frame / FPS for frame in frames])
        assert all(to_hex(line.get_color()) == PALETTE[phase] for line in marks(axes, phase))
    assert not axes.patches
    assert axes.get_ylim()[0] == 0 and axes.get_ylim()[1] > 1.2 * function.volume.max()


def test_curve_without_fps_and_spacing_is_relative_and_over_frames(axes):
    draw_function(make_function(fps=None, spacing=None).function, axes)
    assert axes.get_xlabel() == "frame" and "relative volume" in axes.get_ylabel()
    assert float(marks(axes, "ES")[1].get_xdata()[0]) == 14


def test_beats_that_do_not_count_are_hollow_on_a_grey_background(axes):
    draw_function(make_function(odd=1).function, axes)
    counted, odd = marks(axes, "ES")
    assert odd.get_markerfacecolor() == "none" != counted.get_markerfacecolor()
    (span,) = axes.patches
    assert span.get_label() == "not counted"
    assert (span.get_x(), span.get_width()) == pytest.approx((10 / FPS, 10 / FPS))
    texts = [text.get_text() for text in axes.texts]
    assert "(" not in texts[0] and re.fullmatch(r"measured\nEF \(\d+ %\)", texts[1])


def test_the_curve_of_a_clip_without_outlines_says_so(axes):
    draw_function(without_outlines(make_function()).function, axes)
    assert "no frame" in axes.texts[0].get_text()


@pytest.mark.parametrize("dark", [False, True])
def test_curve_figure_is_legible_on_its_background(dark):
    (axes,) = curve_figure(make_function(odd=0).function, dark).axes
    texts = [axes.xaxis.label, *axes.texts, *axes.get_legend().get_texts()]
    brightness = [int(to_hex(text.get_color())[1:3], 16) for text in texts]
    assert min(brightness) > 180 if dark else max(brightness) < 80
    assert plt.get_fignums() == []


# --- Pictures -----------------------------------------------------------------------------------


def test_moment_shows_frame_outline_axis_and_chords(axes):
    result = make_function()
    draw_moment(result, 4, axes)
    assert len(axes.images) == 1
    assert len(axes.lines) == 1 + 20 + 1 + 1  # axis, chords, outline, scale bar
    np.testing.assert_array_equal(axes.lines[0].get_xydata(), result.function.axes[4])
    bare = plt.subplots()[1]
    draw_moment(without_outlines(make_function(spacing=None)), 4, bare)
    assert len(bare.images) == 1 and not bare.lines and not bare.texts


def test_moment_has_a_scale_bar_where_the_spacing_is_known(axes):
    draw_moment(make_function(), 4, axes)
    (left, right), (upper, lower) = axes.lines[-1].get_data()
    assert right - left == pytest.approx(20 / SPACING) and upper == lower < SHAPE[0]
    assert [text.get_text() for text in axes.texts] == ["20 mm"]


def test_figure_shows_ed_and_es_above_the_curve():
    result = make_function()
    figure = function_figure(result)
    ed, es, curve = figure.axes
    assert (ed.get_title(), es.get_title()) == ("end-diastole, 0.00 s", "end-systole, 0.20 s")
    np.testing.assert_array_equal(es.images[0].get_array(), result.clip.frames[4])
    assert curve.get_title(loc="left") == headline(result)
    assert len(curve.get_legend().get_texts()) == 4


@pytest.mark.parametrize("count", [1, 2, 24])
@pytest.mark.parametrize("outlined", [True, False])
def test_short_and_empty_clips_are_drawn(count, outlined):
    result = without_ef(make_function(count), beats=[], heart_rate=None)
    result = result if outlined else without_outlines(result)
    figure = function_figure(result)
    figure.canvas.draw()
    assert figure.axes[-1].get_title(loc="left").startswith("No EF")
    assert len(function_video(result)) == count


def test_video_has_the_clip_and_a_curve_that_grows_with_time():
    result = make_function()
    pictures = function_video(result)
    height, width = pictures.shape[1:3]
    assert pictures.dtype == np.uint8 and pictures.shape == (24, height, width, 3)
    assert height == 448
    clip_width = round(448 * SHAPE[1] / SHAPE[0])
    clip, curve = pictures[:, :, :clip_width].astype(int), pictures[:, :, clip_width:].astype(int)
    pink = (curve[..., 0] > 180) & (curve[..., 1] < 120)
    drawn = pink.sum(axis=(1, 2))
    assert drawn[-1] > drawn[12] > drawn[2]
    outlined = (clip[..., 0] - clip[..., 1] > 60).sum(axis=(1, 2))
    assert (outlined > 300).all()
    cursor = [int((panel.min(axis=-1) > 250).sum(axis=0).argmax()) for panel in curve]
    assert np.ptp(np.diff(cursor)) <= 1 and cursor[0] < cursor[-1]  # at the pace of time


# --- A study ------------------------------------------------------------------------------------


def study_table(count: int = 30, seed: int = 0) -> pd.DataFrame:
    """One row per clip: true EF, measured EF, interval; the first clip has no EF."""
    generator = np.random.default_rng(seed)
    true = generator.uniform(20, 70, count)
    ef = true + generator.normal(-1, 4, count)
    ef[0] = np.nan
    half = generator.uniform(4, 12, count)
    names = [f"0X{index:04X}" for index in range(count)]
    columns = {
        "name": names,
        "ef_true": true,
        "ef_corrected": ef,
        "ef_low": ef - half,
        "ef_high": ef + half,
    }
    return pd.DataFrame(columns)


def one_miss() -> pd.DataFrame:
    """A study in which the interval of the fourth clip alone misses the true EF."""
    table = study_table()
    table["ef_low"] = table[["ef_low", "ef_true"]].min(axis=1) - 1
    table["ef_high"] = table[["ef_high", "ef_true"]].max(axis=1) + 1
    table.loc[3, ["ef_low", "ef_high"]] = table.ef_true[3] + np.array([5.0, 9.0])
    return table


def test_ef_figure_shows_every_clip_with_its_interval():
    table = one_miss()
    intervals, scatter, bland_altman = ef_figure(table).axes
    held = table[1:].drop(index=3).sort_values("ef_true")
    bars, points, missed_bar, missed = intervals.collections
    ends = np.array([segment[:, 1] for segment in bars.get_segments()])
    np.testing.assert_allclose(ends, held[["ef_low", "ef_high"]])
    np.testing.assert_allclose(points.get_offsets()[:, 1], held.ef_corrected)
    np.testing.assert_allclose(
        missed_bar.get_segments()[0][:, 1], table.ef_true[3] + np.array([5.0, 9.0])
    )
    np.testing.assert_allclose(missed.get_offsets()[:, 1], [table.ef_corrected[3]])
    np.testing.assert_allclose(intervals.lines[0].get_ydata(), np.sort(table.ef_true[1:]))
    assert intervals.get_title() == "29 clips, 1 without EF"
    texts = [text.get_text() for text in intervals.get_legend().get_texts()]
    assert texts == ["90 % interval", "measured EF", MISSED, "true EF"]
    low, high = intervals.get_ylim()
    assert low < table.ef_low.min() and table.ef_high.max() < high
    every = table[1:].sort_values("ef_true")[["ef_true", "ef_corrected"]]
    np.testing.assert_allclose(scatter.collections[0].get_offsets(), every)
    np.testing.assert_allclose(scatter.collections[1].get_offsets()[0], every.loc[3])
    bias = (table.ef_corrected - table.ef_true).mean()
    assert f"bias {bias:+.1f}" in bland_altman.get_legend().get_texts()[0].get_text()


def test_ef_figure_tells_hits_and_misses_apart_without_colours():
    _, hits, _, misses = ef_figure(one_miss()).axes[0].collections
    shapes = [dots.get_paths()[0].vertices for dots in (hits, misses)]
    assert shapes[0].shape != shapes[1].shape


def test_ef_figure_needs_two_clips_but_no_intervals():
    table = study_table()
    with pytest.raises(ValueError, match="at least two clips .* found 1 of 2"):
        ef_figure(table[:2])
    figure = ef_figure(table.assign(ef_low=np.nan, ef_high=np.nan))
    figure.canvas.draw()
    assert len(figure.axes[0].collections) == 2  # nothing is said to miss the truth


def test_pictures_show_the_sector_only():
    screen = on_a_screen(make_function())
    cropped = screen.cropped()
    assert cropped.clip.frames.max() < 255 and cropped.cropped() is cropped
    assert np.array_equal(function_video(screen), function_video(cropped))
    figures = [function_figure(one) for one in (screen, cropped)]
    first, second = ([axes.images[0].get_array() for axes in figure.axes if axes.images]
                     for figure in figures)  # fmt: skip
    assert all(np.array_equal(*pair) for pair in zip(first, second, strict=True))


def test_frames_for_display_are_brighter_and_cropped_once():
    result = make_function()
    shown = for_display(on_a_screen(result))
    cropped = on_a_screen(result).cropped()
    assert np.array_equal(shown.packed[:], cropped.packed[:])
    before, after = cropped.clip.frames.astype(int), shown.clip.frames.astype(int)
    assert (after >= before).all() and after.mean() > before.mean()
    grey = before.ravel()
    assert (np.diff(after.ravel()[np.argsort(grey)]) >= 0).all()  # the order of greys stays
    assert {*after[before == 0].tolist(), 0} == {0}
