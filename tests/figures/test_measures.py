"""The figure of what scores measure, tested through its axes."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from echolib.figures import measures
from echolib.metrics import case_scores


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def masks():
    """A square as the truth, and the square moved to the right with a spike at its bottom."""
    truth = np.zeros((40, 40), bool)
    truth[10:25, 8:23] = True
    prediction = np.roll(truth, 2, axis=1)
    prediction[25:34, 15:18] = True
    return prediction, truth


def test_shares_of_the_bars_are_dice_and_iou(masks):
    bars = measures.draw_measures(*masks).axes[1]
    scores = case_scores(*masks)
    for height, name in ((1, "dice"), (0, "iou")):
        parts = [bar for bar in bars.patches if bar.get_y() < height < bar.get_y() + 0.45]
        grey = [part for part in parts if np.allclose(part.get_facecolor()[:3], 217 / 255)]
        share = sum(part.get_width() for part in grey) / sum(part.get_width() for part in parts)
        assert share == pytest.approx(scores[name])
    labels = [label.get_text() for label in bars.get_yticklabels()]
    assert labels == [f"Dice {scores['dice']:.2f}", f"IoU {scores['iou']:.2f}"]


def test_ways_are_as_long_as_the_distances_and_black_above_hd95(masks):
    figure = measures.draw_measures(*masks)
    scores, (ways, lengths) = case_scores(*masks), figure.axes[2:]
    lines = [(line, c) for group in ways.collections if hasattr(group, "get_segments")
             for line, c in zip(group.get_segments(), group.get_colors(), strict=True)]  # fmt: skip
    long = np.array([np.hypot(*(line[1] - line[0])) for line, _ in lines])
    black = np.array([tuple(colour[:3]) == (0, 0, 0) for _, colour in lines])
    assert long.mean() == pytest.approx(scores["assd"])
    assert (black == (long > scores["hd95"] + 1e-9)).all() and black.any()
    marked = {line.get_label().split()[0]: line.get_xdata()[0] for line in lengths.lines}
    assert marked == pytest.approx({"ASSD": scores["assd"], "HD95": scores["hd95"]})
    assert sum(bar.get_height() for bar in lengths.patches) >= len(lines)  # stacked bars


def test_pictures_show_both_masks_and_little_else(masks):
    areas = measures.draw_measures(*masks).axes[0]
    assert areas.get_xlim() == (8 - measures.MARGIN, 25 + measures.MARGIN)
    assert areas.get_ylim() == (34 + measures.MARGIN, 10 - measures.MARGIN)


def test_an_empty_mask_has_no_outline_to_draw(masks):
    with pytest.raises(ValueError, match="empty"):
        measures.draw_measures(np.zeros((40, 40), bool), masks[1])
