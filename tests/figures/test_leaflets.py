"""Figures of the mitral valve: sheets of tiles, enlarged around the valve."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from echolib import figures

FRAME = np.random.default_rng(0).integers(0, 256, (40, 60), np.uint8)
LEAFLET = np.zeros((40, 60), bool)
LEAFLET[20:23, 25:45] = True


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def tile(title, bounds=None):
    return figures.Tile(title, FRAME, {"truth": LEAFLET, "prediction": LEAFLET}, bounds)


def test_a_sheet_has_a_picture_with_its_outlines_per_tile():
    figure = figures.valve_sheet([tile(str(n)) for n in range(5)], columns=3, side=2.0)
    shown = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in shown] == list("01234")
    assert all(len(axes.lines) == 2 for axes in shown)
    assert figure.get_size_inches() == pytest.approx((6.0, 4.5))


def test_a_tile_with_bounds_is_a_square_around_them():
    whole, near = figures.valve_sheet([tile("a"), tile("b", (24, 18, 46, 24))]).axes[:2]
    assert whole.images[0].get_size() == (40, 60)
    height, width = near.images[0].get_size()
    assert height == width > 60


def test_augmented_frames_stand_beside_the_frame_that_they_come_from():
    figure = figures.augmented_sheet(tile("frame"), [tile("")] * 12)
    original, *changed = figure.axes
    figure.canvas.draw()
    assert original.get_title() == "frame" and len(changed) == 12
    side = original.get_window_extent().width
    assert all(axes.get_window_extent().width < side / 2 for axes in changed)
    assert all(axes.get_position().x0 >= original.get_position().x1 for axes in changed)
