"""Figures of learning from corrections."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .base import PALETTE

ORDERS = {"doubtful first": (PALETTE["ES"], "o", "-"), "random": (PALETTE["neutral"], "s", "--")}
ENDS = ("none", "all")  # rows of the table that belong to both orders
BESIDE = 0.06  # places between the intervals of the two orders


def correction_curve(table: pd.DataFrame) -> Figure:
    """Draw Dice and EF error against the number of corrected patients, with 95 % intervals.

    table: of `benchmarks/corrections.csv`. One line per order in which patients were corrected;
    both begin without corrections and end with all patients. The numbers of patients stand at
    equal distances.
    """
    figure, both = plt.subplots(1, 2, figsize=(11, 3.8))
    counts = sorted(table.corrected.unique())
    for axes, name, title in zip(
        both, ("dice", "ef_error"), ("Dice", "absolute error of the EF (points)"), strict=True
    ):
        for number, (order, look) in enumerate(ORDERS.items()):
            rows = table[table.order.isin([order, *ENDS])].sort_values("corrected")
            _draw(axes, rows, name, counts, BESIDE * (2 * number - 1), order, look)
        axes.set_xticks(range(len(counts)), counts)
        axes.set(xlabel="corrected patients (not to scale)", ylabel=title)
    both[0].legend(loc="lower right")
    return figure


def _draw(
    axes: Axes,
    rows: pd.DataFrame,
    name: str,
    counts: list[int],
    shift: float,
    label: str,
    look: tuple[str, str, str],
) -> None:
    """One line with its intervals. shift: of its points to the side, in places of the axis."""
    colour, marker, line = look
    places = np.array([counts.index(count) for count in rows.corrected]) + shift
    axes.plot(places, rows[name], color=colour, marker=marker, linestyle=line, label=label)
    axes.vlines(places, rows[f"{name}_low"], rows[f"{name}_high"], color=colour, linewidth=1.4)
