"""The curve of learning from corrections, tested through its axes."""

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from echolib.figures import correction_curve

ROWS = [("none", 0, 0.9), ("random", 5, 0.91), ("doubtful first", 5, 0.92), ("all", 399, 0.95)]


@pytest.fixture
def table():
    yield pd.DataFrame(
        {"order": order, "corrected": count, "dice": dice, "dice_low": dice - 0.02,
         "dice_high": dice + 0.01, "ef_error": 9.0, "ef_error_low": 8.0, "ef_error_high": 11.0}
        for order, count, dice in ROWS
    )  # fmt: skip
    plt.close("all")


def test_both_orders_begin_without_corrections_and_end_with_all(table):
    left, right = correction_curve(table).axes
    drawn = {line.get_label(): list(line.get_ydata()) for line in left.lines}
    assert drawn == {"doubtful first": [0.9, 0.92, 0.95], "random": [0.9, 0.91, 0.95]}
    assert [text.get_text() for text in left.get_xticklabels()] == ["0", "5", "399"]
    bar = left.collections[0].get_segments()[1]
    assert bar[:, 1].tolist() == pytest.approx([0.90, 0.93])
    assert list(right.lines[0].get_ydata()) == [9.0] * 3
    assert all(axes.get_xlabel() and axes.get_ylabel() for axes in (left, right))


def test_an_order_that_was_not_measured_with_a_number_is_left_out_there(table):
    left = correction_curve(table[table.order != "random"]).axes[0]
    assert [len(line.get_ydata()) for line in left.lines] == [3, 2]
