"""Shared figures, tested through the contents of their axes: no picture is compared."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from echolib import geometry
from echolib.figures import base as plots
from tests.makers import ventricle

IMAGE = np.arange(48, dtype=np.uint8).reshape(6, 8)


@pytest.fixture(autouse=True)
def close_figures():
    """Leave neither figures nor changed settings to the next test."""
    with plt.rc_context():
        yield
    plt.close("all")


@pytest.fixture
def axes():
    return plt.subplots()[1]


def test_colours_are_distinct_where_they_meet():
    pairs = [("ED", "ES"), ("truth", "prediction"), ("septal", "lateral")]
    groups = [*pairs, ("train", "val", "test")]
    for names in groups:
        assert len({to_rgb(plots.PALETTE[name]) for name in names}) == len(names)


def test_style_changes_the_global_settings_only_when_it_is_called():
    before = plt.rcParams["figure.dpi"]
    plots.use_style()
    assert plt.rcParams["figure.dpi"] == plots.DPI != before


def test_saved_figure_is_a_picture_and_is_returned(tmp_path, monkeypatch, axes):
    monkeypatch.setenv("ECHOLIB_FIGURES", str(tmp_path / "new"))
    assert plots.save(axes.figure, "01_name") is axes.figure
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["01_name.png"]
    assert plt.imread(tmp_path / "new" / "01_name.png").std() > 0


def test_failed_save_leaves_nothing(tmp_path, monkeypatch, axes):
    monkeypatch.setenv("ECHOLIB_FIGURES", str(tmp_path))
    axes.set_title("$\\frac{$")  # cannot be drawn
    with pytest.raises(ValueError):
        plots.save(axes.figure, "broken")
    assert list(tmp_path.iterdir()) == []


def test_image_has_row_0_on_top_and_the_full_grey_range(axes):
    plots.show_image(IMAGE, axes, "title")
    assert axes.get_ylim() == (5.5, -0.5) and axes.get_xlim() == (-0.5, 7.5)
    assert axes.images[0].get_clim() == (0, 255)
    assert list(axes.get_xticks()) == list(axes.get_yticks()) == []
    assert plots.show_image(IMAGE > 20).images[0].get_clim() == (0, 1)


def test_outline_is_closed_and_takes_named_and_plain_colours(axes):
    points = np.array([[0.0, 0], [4, 0], [4, 3]])
    plots.draw_outline(points, axes, "ED")
    plots.draw_outline(points, axes, "red", linewidth=3)
    first, second = axes.lines
    assert np.array_equal(first.get_xydata(), points[[0, 1, 2, 0]])
    assert first.get_color() == plots.PALETTE["ED"]
    assert second.get_color() == "red" and second.get_linewidth() == 3


def test_mask_layer_is_transparent_outside(axes):
    plots.draw_mask(IMAGE > 40, axes, "truth", alpha=0.3)
    layer = axes.images[0].get_array()
    assert np.array_equal(layer[..., 3] > 0, IMAGE > 40)
    assert layer[..., 3].max() == pytest.approx(0.3)


def test_agreement_has_one_colour_per_kind_of_pixel(axes):
    truth, prediction = np.array([[1, 1, 0, 0]], bool), np.array([[1, 0, 1, 0]], bool)
    plots.draw_agreement(prediction, truth, axes)
    right, missed, too_much, outside = np.asarray(axes.images[0].get_array())[0]
    assert missed == pytest.approx(to_rgb(plots.PALETTE["truth"]))
    assert too_much == pytest.approx(to_rgb(plots.PALETTE["prediction"]))
    assert right.min() > 0.8 and outside.max() < 0.2


def test_tracing_numbers_each_chord_by_its_row(axes):
    tracing = geometry.outline_to_tracing(ventricle())
    plots.draw_tracing(tracing, axes)
    assert [text.get_text() for text in axes.texts] == [str(row) for row in range(1, 21)]
    assert len(axes.lines) == 21  # the axis, then the chords
    assert np.array_equal(axes.lines[0].get_xydata(), tracing.axis)
    plots.dark_legend(axes)
    assert len(axes.get_legend().get_texts()) == 4


def test_rows_of_a_tracing_that_share_an_end_share_a_number(axes):
    tracing = geometry.outline_to_tracing(ventricle())
    chords = tracing.chords.copy()
    chords[17:, 0] = chords[-1, 0]
    plots.draw_tracing(geometry.Tracing(tracing.axis, chords), axes)
    texts = [text.get_text() for text in axes.texts]
    assert texts == [*(str(row) for row in range(1, 18)), "18-20"]


def test_landmarks_are_coloured_by_wall_and_every_tenth_and_last_is_numbered(axes):
    landmarks = geometry.outline_to_tracing(ventricle()).landmarks
    plots.draw_landmarks(landmarks, axes, every=10)
    numbers = [text.get_text() for text in axes.texts]
    assert numbers == ["0", "10", "19", "20", "30", "39"]
    colours = [to_rgb(points.get_facecolor()[0]) for points in axes.collections]
    assert colours[:20] == [to_rgb(plots.PALETTE["septal"])] * 20
    assert colours[20:] == [to_rgb(plots.PALETTE["lateral"])] * 20


def test_numbers_of_landmarks_that_crowd_at_a_corner_do_not_overlap(axes):
    landmarks = geometry.outline_to_tracing(ventricle()).landmarks
    landmarks[15:20] = landmarks[19] - np.outer(np.arange(5)[::-1], [0, 0.2])
    plots.draw_landmarks(landmarks, axes, every=8)
    assert [text.get_text() for text in axes.texts] == ["0", "8", "19", "20", "24", "32", "39"]


@pytest.mark.parametrize(("count", "columns", "cells"), [(1, 6, 1), (4, 6, 4), (7, 3, 9)])
def test_image_grid_shows_each_image_once(count, columns, cells):
    outlines = [ventricle()] * (count - 1) + [None]
    titles = [f"frame {index}" for index in range(count)]
    figure = plots.image_grid([IMAGE] * count, titles, outlines, columns)
    shown = [axes for axes in figure.axes if axes.images]
    assert len(figure.axes) == cells and [axes.get_title() for axes in shown] == titles
    assert [len(axes.lines) for axes in shown] == [1] * (count - 1) + [0]
