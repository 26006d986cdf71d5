"""Plots of numbers, tested through the contents of their axes."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex

from echolib.figures import numbers as plots
from echolib.figures.base import PALETTE


@pytest.fixture
def axes():
    yield plt.subplots()[1]
    plt.close("all")


def test_frame_times_are_seconds_if_fps_is_known_and_frame_numbers_otherwise():
    assert plots.frame_times(3, 50.0).tolist() == [0, 0.02, 0.04]
    assert plots.frame_times(3, None).tolist() == [0, 1, 2]


def test_histogram_counts_finite_values_only_and_marks_the_median(axes):
    plots.draw_histogram(np.array([1.0, 2.0, 6.0, np.nan]), axes, "EF (%)", bins=[0, 5, 10])
    assert [bar.get_height() for bar in axes.patches] == [2, 1]
    assert axes.lines[0].get_xdata()[0] == 2 and axes.get_xlabel() == "EF (%)"


def test_grey_levels_are_shares_of_each_group(axes):
    groups = {"dark": np.full(50, 3, np.uint8), "any": np.arange(256, dtype=np.uint8)}
    plots.draw_grey_levels(groups, axes)
    dark, anything = (step.get_data().values for step in axes.patches)
    assert dark[0] == 100 and dark[1:].sum() == 0
    assert anything.sum() == pytest.approx(100)
    lines = [to_hex(step.get_edgecolor()) for step in axes.patches]
    assert lines == [PALETTE["truth"], PALETTE["neutral"]]


@pytest.mark.parametrize("measured", [[1.0, 2.0, 4.0], [3.0, 3.0, 3.0]])
def test_scatter_has_equal_axes(axes, measured):
    labels = ("EF (%)", "measured (%)")
    plots.draw_scatter(np.array([3.0, 3.0, 3.0]), np.array(measured), axes, labels)
    assert axes.get_xlim() == axes.get_ylim()
    assert axes.get_xlabel() == "EF (%)" and len(axes.collections[0].get_offsets()) == 3


def test_bland_altman_states_bias_and_limits(axes):
    plots.draw_bland_altman(np.array([50.0, 60.0]), np.array([51.0, 63.0]), axes, "%")
    texts = [text.get_text() for text in axes.get_legend().get_texts()]
    assert texts == ["bias +2.0 %", "limits of agreement ± 2.8 %"]


def test_bland_altman_without_a_unit_shows_no_empty_brackets(axes):
    plots.draw_bland_altman(np.array([5.0, 6.0]), np.array([5.0, 6.5]), axes)
    texts = [text.get_text() for text in axes.get_legend().get_texts()]
    assert not any(text.endswith(" ") for text in texts)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("mean of both", "difference")
