"""Figures of a training, tested through their axes."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from echolib.figures import training as training_plots
from echolib.metrics import case_scores
from echolib.networks.inference import Case
from tests.makers import frame_set


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_learning_curves_mark_the_best_round():
    history = pd.DataFrame(
        {
            "epoch": [1.0, 2.0, 3.0], "loss": [1.0, 0.5, 0.4], "val_loss": [0.9, 0.5, 0.6],
            "val_dice": [0.5, 0.9, 0.8], "learning_rate": [1e-3, 5e-4, 1e-5],
        }
    )  # fmt: skip
    left, middle, right = training_plots.learning_curves(history).axes
    drawn = {line.get_label(): list(line.get_ydata()) for line in left.lines}
    assert drawn == {"training": [1.0, 0.5, 0.4], "validation": [0.9, 0.5, 0.6]}
    assert middle.collections[0].get_offsets().tolist() == [[2.0, 0.9]]
    assert right.lines[0].get_ydata().tolist() == [1e-3, 5e-4, 1e-5]
    assert all(axes.get_xlabel() and axes.get_ylabel() for axes in (middle, right))


def test_score_histograms_count_every_case():
    cases = pd.DataFrame(
        {"dice": [0.9, 0.8, 0.7], "hd95": [1.0, 2, 3], "phase": ["ED", "ES", "ES"], "unit": "mm"}
    )
    left, right = training_plots.score_histograms(cases).axes
    assert sum(bar.get_height() for bar in left.patches) == 3
    assert right.get_xlabel() == "HD95 (mm)"


def test_cases_are_drawn_with_their_scores_and_an_empty_mask_is_no_error():
    frames = frame_set()
    cases = []
    for index, mask in ((0, np.roll(frames.masks[0], 2)), (1, np.zeros((32, 32), bool))):
        frame = frames.frame(index)
        cases.append(Case(frame, mask, case_scores(mask, frame.mask)))
    axes = training_plots.compare_cases(cases).axes
    assert axes[0].get_title() == f"ED, Dice {cases[0].scores['dice']:.3f}"
    assert len(axes[0].lines) == 2 and len(axes[1].lines) == 1


def test_area_curve_is_in_seconds():
    axes = training_plots.area_curve(np.arange(50), 25.0, {"ED": 5, "ES": 20}).axes[0]
    assert axes.lines[0].get_xdata()[-1] == pytest.approx(49 / 25)
    assert axes.lines[2].get_xdata()[0] == pytest.approx(20 / 25)
