"""The mitral valve's motion from masks of its leaflets, on phantoms with known truth."""

from itertools import count, islice

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.stats import spearmanr

from echolib.figures.opening import draw_opening, opening_figure, opening_video
from echolib.phantom import leaflet_labels
from echolib.phantom.scene import draw_scan
from echolib.valve.opening import opening_curve

FPS = 50.0
SIZE = 112
HEARTS = 12
NARROWEST = 16  # px: 19 in 20 of the valves that experts drew are wider, benchmarks/leaflets.py


class Film:
    """Careful masks of a phantom heart's valve over 2.3 beats, and their true values."""

    def __init__(self, index: int, size: int = SIZE) -> None:
        self.scan, _ = draw_scan(5, 77, index, size=size, plain_share=0.0)
        period = self.scan.cycle.period
        self.times = 0.1 * period + np.arange(round(2.3 * period * FPS)) / FPS
        leaflets = [self.leaflets(time) for time in self.times]
        thickness = self.scan.heart.leaflet_thickness / self.scan.sector.spacing
        self.strip = leaflet_labels.strip_width(thickness, (size, size))
        self.masks = np.stack(
            [leaflet_labels.careful_mask(pair, self.strip, (size, size)) for pair in leaflets]
        )
        self.hinges = np.array([[curve[0] for curve in pair] for pair in leaflets])
        gap = np.array([np.hypot(*(pair[0][-1] - pair[1][-1])) for pair in leaflets])
        self.gap = gap.round(6)  # exactly 0 where the tips meet
        self.width = float(np.hypot(*(self.hinges[:, 1] - self.hinges[:, 0]).T).mean())
        self.rate = 60 / period

    def leaflets(self, time: float) -> tuple[np.ndarray, ...]:
        """Both leaflets' curves, px, hinge to tip."""
        shape = self.scan.shape(time)
        return tuple(self.scan.to_pixels(curve, shape, time) for curve in shape.mitral)

    @property
    def beats(self) -> list[int]:
        """Frames in which the valve begins to open after a systole."""
        phase = np.mod(self.times, self.scan.cycle.period)
        past = phase >= self.scan.cycle.opening_time
        return (np.flatnonzero(past[1:] & ~past[:-1]) + 1).tolist()


@pytest.fixture(scope="module")
def films():
    wide_enough = (film for film in map(Film, count()) if film.width >= NARROWEST)
    return list(islice(wide_enough, HEARTS))


@pytest.fixture(scope="module")
def openings(films):
    return [opening_curve(film.masks, FPS) for film in films]


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


# --- The curve ----------------------------------------------------------------------------------


def test_curve_follows_the_true_gap_between_the_tips(films, openings):
    linear, ranks = [], []
    for film, opening in zip(films, openings, strict=True):
        known = np.isfinite(opening.separation)
        assert known.mean() > 0.97  # a leaflet that a frame shows much shorter is not measured
        linear.append(np.corrcoef(opening.separation[known], film.gap[known])[0, 1])
        # strips touch before the tips within them do: below that the gap is 0, not ranked
        apart = known & (film.gap > film.strip)
        ranks.append(spearmanr(opening.separation[apart], film.gap[apart]).statistic)
    assert np.median(linear) > 0.98 and min(linear) > 0.85
    assert np.median(ranks) > 0.9 and min(ranks) > 0.8


def test_closed_valve_has_no_gap_and_a_wide_open_valve_has_one(films, openings):
    for film, opening in zip(films, openings, strict=True):
        assert (opening.separation[film.gap == 0] <= 1).all()  # a line of pixels between them
        assert np.nanmax(opening.fraction) > 0.2
        ratio = opening.separation / opening.width
        assert np.allclose(opening.fraction, ratio, equal_nan=True)


def test_hinges_and_the_annulus_are_found_in_every_frame(films, openings):
    for film, opening in zip(films, openings, strict=True):
        off = np.hypot(*np.moveaxis(opening.hinges - film.hinges, -1, 0))
        assert off.mean() < 2 and off.max() < 4
        assert opening.width == pytest.approx(film.width, rel=0.15)


def test_tips_lie_on_the_leaflets_tips(films, openings):
    for film, opening in zip(films, openings, strict=True):
        tips = np.array([[curve[-1] for curve in film.leaflets(time)] for time in film.times])
        known = np.isfinite(opening.tips).all(axis=(1, 2))
        assert known.any()
        off = np.hypot(*np.moveaxis(opening.tips - tips, -1, 0))[known]
        assert np.median(off) < film.strip


def test_phases_and_beats_are_those_of_the_cycle(films, openings):
    for film, opening in zip(films, openings, strict=True):
        assert len(film.beats) >= 2
        for found, true in zip(opening.beats, film.beats[:2], strict=False):
            assert abs(found - true) <= 2
        assert len(opening.beats) in (len(film.beats), len(film.beats) - (film.beats[-1] > 90))
        assert opening.heart_rate == pytest.approx(film.rate, rel=0.05)
        is_open = opening.table().open.to_numpy()
        truly = film.scan.cycle.opening(film.times)
        assert not is_open[truly == 0][2:-2].mean() > 0.1
        assert is_open[truly > 0.7].mean() > 0.9


def test_without_fps_the_beats_are_the_same_and_there_is_no_rate(films, openings):
    for film, known in zip(films, openings, strict=True):
        opening = opening_curve(film.masks)
        assert opening.beats == known.beats and opening.heart_rate is None
        assert any("Frames per second unknown" in warning for warning in opening.warnings)


def test_frames_of_any_size_give_the_same_fractions():
    small, large = Film(2), Film(2, size=336)
    shape = ((0, 0), (60, 0), (0, 90))
    first = opening_curve(small.masks, FPS)
    second = opening_curve(np.pad(large.masks, shape), FPS)
    assert second.width == pytest.approx(3 * first.width, rel=0.06)
    assert np.abs(first.fraction - second.fraction).mean() < 0.03
    off = second.hinges - [0, 60] - large.hinges
    assert np.hypot(*np.moveaxis(off, -1, 0)).max() < 12
    assert [abs(a - b) <= 1 for a, b in zip(first.beats, second.beats, strict=True)]


def test_mirrored_clip_has_the_same_curve_with_the_sides_swapped(films, openings):
    mirrored = opening_curve(np.ascontiguousarray(films[0].masks[..., ::-1]), FPS)
    assert np.allclose(mirrored.separation, openings[0].separation)
    assert np.allclose(mirrored.hinges[:, ::-1, 0], SIZE - 1 - openings[0].hinges[..., 0])


def test_table_has_one_row_per_frame(films, openings):
    table = openings[0].table()
    assert len(table) == len(films[0].masks)
    assert list(table) == [
        "frame", "time_s", "separation_px", "fraction", "smooth", "open", "beat"
    ]  # fmt: skip
    assert table.frame[table.beat].tolist() == openings[0].beats
    assert table.time_s.iloc[-1] == pytest.approx((len(table) - 1) / FPS)
    assert opening_curve(films[0].masks).table().time_s.isna().all()


# --- Imperfect masks ----------------------------------------------------------------------------


def damaged(masks: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Masks with empty frames, missing leaflets, spots and holes; (T,) frames without a leaflet."""
    generator, masks = np.random.default_rng(seed), masks.copy()
    lacking = np.zeros(len(masks), bool)
    for frame, mask in enumerate(masks):
        labels, count = ndimage.label(mask, np.ones((3, 3)))
        kind = generator.random()
        if kind < 0.06:
            mask[:] = False
        elif kind < 0.16 and count == 2:
            mask[labels == generator.integers(1, 3)] = False
            lacking[frame] = True
        if mask.any() and generator.random() < 0.2:
            y, x = generator.permutation(np.argwhere(mask))[0]
            mask[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2] = False
        for _ in range(generator.integers(0, 3) * (kind >= 0.06)):
            y, x = generator.integers(2, SIZE - 3, 2)
            mask[y : y + 2, x : x + 3] = True
    return masks, lacking


def test_damaged_masks_give_nearly_the_same_curve(films, openings):
    correlations = []
    for seed, (film, clean) in enumerate(zip(films, openings, strict=True)):
        masks, lacking = damaged(film.masks, seed)
        opening = opening_curve(masks, FPS)
        known = np.isfinite(opening.separation)
        assert known.mean() > 0.6
        assert not known[lacking].any()  # unknown values are never invented
        assert not known[~masks.any(axis=(1, 2))].any()
        correlations.append(np.corrcoef(opening.separation[known], film.gap[known])[0, 1])
        assert opening.width == pytest.approx(clean.width, rel=0.06)
        assert np.hypot(*np.moveaxis(opening.hinges - clean.hinges, -1, 0)).mean() < 1.5
        if opening.heart_rate:
            assert opening.heart_rate == pytest.approx(film.rate, rel=0.12)
        empty = ~masks.any(axis=(1, 2))
        assert any("empty" in warning for warning in opening.warnings) == empty.any()
        told = any("could not be distinguished" in warning for warning in opening.warnings)
        assert told == (~known & ~empty).any()
    assert np.median(correlations) > 0.95 and min(correlations) > 0.8


def test_short_gaps_are_bridged_and_long_ones_are_not(films):
    masks = films[0].masks.copy()
    masks[30:32] = False
    masks[50:60] = False
    opening = opening_curve(masks, FPS)
    assert np.isnan(opening.fraction[[30, 31, *range(50, 60)]]).all()
    assert np.isfinite(opening.smooth[30:32]).all()
    assert np.isnan(opening.smooth[50:60]).all()


def test_one_outlying_frame_makes_no_phase(films, openings):
    closed = next(i for i in range(5, 40) if not films[0].gap[i - 4 : i + 5].any())
    widest = int(films[0].gap.argmax())
    masks = films[0].masks.copy()
    masks[closed] = masks[widest]
    assert len(opening_curve(masks, FPS).open) == len(openings[0].open)


def test_leaflet_that_is_always_missing_gives_no_curve(films):
    for film in films:
        masks = film.masks.copy()
        for mask, pair in zip(masks, film.hinges, strict=True):
            mask[:, round(float(0.4 * pair[0, 0] + 0.6 * pair[1, 0])) :] = False
        opening = opening_curve(masks, FPS)
        assert opening.heart_rate is None and opening.open == []
        assert np.isnan(opening.fraction).all()  # it would look like a closed valve
        assert any("one leaflet alone" in warning for warning in opening.warnings)


# --- Valves that do not move, clips with little information ---------------------------------------


def test_still_valve_has_no_phases(films):
    widest = int(films[0].gap.argmax())
    opening = opening_curve(np.repeat(films[0].masks[widest : widest + 1], 60, axis=0), FPS)
    assert opening.open == opening.beats == [] and opening.heart_rate is None
    assert any("No motion of the valve" in warning for warning in opening.warnings)
    assert opening.fraction.min() > 0.3


def test_valve_that_never_opens_in_the_clip_has_an_unknown_opening(films):
    opening = opening_curve(np.repeat(films[0].masks[:1], 60, axis=0), FPS)
    assert np.isnan(opening.fraction).all() and opening.width > 0
    assert any("one leaflet alone" in warning for warning in opening.warnings)


def test_one_frame_is_measured_with_a_warning(films):
    widest = int(films[0].gap.argmax())
    opening = opening_curve(films[0].masks[widest : widest + 1], FPS)
    assert opening.fraction[0] > 0.3 and opening.open == []
    assert len(opening.warnings) == 1 and "One frame" in opening.warnings[0]


def test_less_than_a_beat_gives_a_warning(films):
    opening = opening_curve(films[0].masks[:45], FPS)
    assert len(opening.beats) == 1 and opening.heart_rate is None
    assert any("less than one whole beat" in warning for warning in opening.warnings)
    assert any("too few" in w for w in opening_curve(films[0].masks[:6], FPS).warnings)


def test_empty_masks_have_an_unknown_opening():
    opening = opening_curve(np.zeros((5, 20, 30), bool), FPS)
    assert np.isnan(opening.separation).all() and np.isnan(opening.width)
    assert opening.open == [] and "empty" in opening.warnings[0]
    assert len(opening.table()) == 5


@pytest.mark.parametrize(
    ("masks", "fps"),
    [
        (np.zeros((4, 5), bool), None),
        (np.zeros((4, 5, 6)), None),
        ([[[True]]], None),
        (np.zeros((0, 5, 6), bool), None),
        (np.zeros((4, 5, 6), bool), 0.0),
        (np.zeros((4, 5, 6), bool), float("nan")),
    ],
)
def test_anything_but_masks_of_a_clip_is_refused(masks, fps):
    with pytest.raises(ValueError, match="expected"):
        opening_curve(masks, fps)


@settings(max_examples=60)
@given(
    st.integers(0, 2**32 - 1),
    st.tuples(st.integers(1, 14), st.integers(1, 24), st.integers(1, 24)),
    st.sampled_from([0.0, 0.01, 0.1, 0.5, 0.95, 1.0]),
    st.sampled_from([None, 3.0, 50.0, 1000.0]),
)
def test_no_masks_cause_a_crash(seed, shape, density, fps):
    masks = np.random.default_rng(seed).random(shape) < density
    opening = opening_curve(masks, fps)
    table = opening.table()
    assert len(table) == shape[0]
    assert not (opening.separation < 0).any() and not (opening.smooth < 0).any()
    assert opening.warnings
    for first, last in opening.open:
        assert 0 <= first <= last < shape[0]


def test_single_pixel_and_full_masks_cause_no_crash():
    single = np.zeros((3, 9, 9), bool)
    single[1, 4, 4] = True
    for masks in (single, np.ones((3, 30, 40), bool), np.ones((1, 1, 1), bool)):
        assert opening_curve(masks, FPS).warnings


# --- Figure and video -----------------------------------------------------------------------------


def frames_of(film: Film) -> np.ndarray:
    return (film.masks * np.uint8(150)) + np.uint8(40)


def test_figure_has_a_numbered_strip_above_the_curve(films, openings):
    figure = opening_figure(openings[0], frames_of(films[0]), films[0].masks)
    *strip, curve = figure.axes
    assert 4 <= len(strip) <= 7
    assert [axes.get_title().split(":")[0] for axes in strip] == [
        str(number) for number in range(1, len(strip) + 1)
    ]
    marks = [text.get_text() for text in curve.texts]
    assert marks == [str(number) for number in range(1, len(strip) + 1)]
    assert all(axes.images[0].get_array().shape[1] < SIZE for axes in strip)
    labels = curve.get_legend_handles_labels()[1]
    assert labels == ["open", "a beat begins", "single frame", "smoothed"]
    assert curve.get_xlabel() == "time (s)" and "annulus" in curve.get_ylabel()
    assert f"{openings[0].heart_rate:.0f} per minute" in curve.get_title(loc="left")


def test_figure_shows_the_chosen_frames(films, openings):
    frames = frames_of(films[0])
    figure = opening_figure(openings[0], frames, films[0].masks, chosen=[3, 20])
    assert [axes.get_title() for axes in figure.axes[:2]] == ["1:  0.06 s", "2:  0.40 s"]
    with pytest.raises(ValueError, match="chosen"):
        opening_figure(openings[0], frames, films[0].masks, chosen=[len(frames)])


def test_curve_of_unknown_fps_counts_frames(films):
    axes = draw_opening(opening_curve(films[0].masks), plt.subplots()[1])
    assert axes.get_xlabel() == "frame"
    opening = opening_curve(films[0].masks)
    assert len(axes.patches) == len(opening.open)
    assert axes.lines[-1].get_ydata() == pytest.approx(opening.smooth)


def test_video_has_the_clip_and_a_curve_that_is_drawn_in_step(films, openings):
    frames = frames_of(films[0])[:20]
    masks = films[0].masks[:20]
    pictures = opening_video(frames, masks, opening_curve(masks, FPS))
    assert pictures.dtype == np.uint8 and len(pictures) == 20 and pictures.shape[3] == 3
    assert pictures.shape[2] > pictures.shape[1]
    curve = pictures[:, :, pictures.shape[1] :]
    pink = (curve[..., 0] > 180) & (curve[..., 1] < 120)
    drawn = pink.sum(axis=(1, 2))
    assert drawn[-1] > drawn[10] > drawn[1]


@pytest.mark.parametrize("masks", [np.zeros((3, 20, 30), bool), np.ones((1, 20, 30), bool)])
def test_clips_without_a_curve_are_drawn_too(masks):
    frames, opening = np.zeros(masks.shape, np.uint8), opening_curve(masks, FPS)
    assert opening_figure(opening, frames, masks).axes
    assert len(opening_video(frames, masks, opening)) == len(masks)
    with pytest.raises(ValueError, match="expected"):
        opening_figure(opening, frames[:, :5], masks)
    with pytest.raises(ValueError, match="expected"):
        opening_video(np.zeros((7, 20, 30), np.uint8), np.zeros((7, 20, 30), bool), opening)
