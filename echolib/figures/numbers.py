"""Plots of numbers: histograms, scatter plots, Bland-Altman plots, and times of frames."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from .base import PALETTE, _axes_or_new, _colour


def frame_times(count: int, fps: float | None) -> np.ndarray:
    """(count,) float64: the time of each frame of a clip in s if fps is known, else its number."""
    return np.arange(count, dtype=float) / (fps or 1.0)


def draw_histogram(
    values: np.ndarray,
    axes: Axes | None = None,
    label: str = "",
    colour: str = "neutral",
    bins: int | Sequence[float] = 20,
) -> Axes:
    """Draw a histogram of values (n,), one per clip, with a line at their median.

    label: quantity and unit. Values that are not finite are left out.
    """
    axes = _axes_or_new(axes)
    values = np.asarray(values, float)
    values = values[np.isfinite(values)]
    axes.hist(values, bins=bins, color=_colour(colour), edgecolor="white")
    median = np.median(values)
    axes.axvline(median, color="black", linestyle="--", linewidth=1.2, label=f"median {median:.0f}")
    axes.set(xlabel=label, ylabel="clips")
    axes.margins(y=0.25)
    axes.legend(loc="upper right", fontsize=9)
    return axes


def draw_grey_levels(groups: dict[str, np.ndarray], axes: Axes | None = None) -> Axes:
    """Draw the share of pixels at each grey level, one curve per group of uint8 values.

    The first group has the colour of an expert's mask, the second that of no part in particular.
    """
    axes = _axes_or_new(axes)
    colours = ("truth", "neutral", "ED", "ES")
    levels = np.arange(0, 257, 4)
    for (name, values), colour in zip(groups.items(), colours, strict=False):
        share = np.histogram(values, levels)[0] / np.size(values)
        axes.stairs(100 * share, levels, color=PALETTE[colour], linewidth=1.8, label=name)
    axes.set(xlabel="grey level (0 black, 255 white)", ylabel="pixels (%)", xlim=(0, 255))
    axes.legend()
    return axes


def draw_scatter(
    expected: np.ndarray,
    measured: np.ndarray,
    axes: Axes | None = None,
    labels: tuple[str, str] = ("expected", "measured"),
) -> Axes:
    """Draw measured against expected values, both (n,), with the line of identity.

    Both axes have the same limits. labels: of the x and the y axis.
    """
    axes = _axes_or_new(axes, (4.5, 4.5))
    low = float(min(np.min(expected), np.min(measured)))
    high = float(max(np.max(expected), np.max(measured)))
    margin = 0.05 * (high - low) or 1.0
    limits = (low - margin, high + margin)
    axes.plot(limits, limits, color="black", linewidth=1, linestyle=":", label="identity")
    axes.scatter(expected, measured, s=16, alpha=0.7, color=PALETTE["neutral"])
    axes.set(xlabel=labels[0], ylabel=labels[1], xlim=limits, ylim=limits, aspect="equal")
    axes.legend(loc="upper left")
    return axes


def draw_bland_altman(
    expected: np.ndarray, measured: np.ndarray, axes: Axes | None = None, unit: str = ""
) -> Axes:
    """Draw the differences measured - expected, both (n,), over the means of both.

    Lines mark the bias and the limits of agreement. Source: Bland and Altman, Lancet 327, 1986.
    """
    axes = _axes_or_new(axes)
    expected, measured = np.asarray(expected, float), np.asarray(measured, float)
    difference = measured - expected
    bias, spread = difference.mean(), difference.std(ddof=1)
    axes.scatter((expected + measured) / 2, difference, s=16, alpha=0.7, color=PALETTE["neutral"])
    axes.axhline(bias, color="black", linewidth=1.2, label=f"bias {bias:+.1f} {unit}".rstrip())
    limits = f"limits of agreement ± {1.96 * spread:.1f} {unit}".rstrip()
    axes.axhline(bias + 1.96 * spread, color="black", linestyle=":", label=limits)
    axes.axhline(bias - 1.96 * spread, color="black", linestyle=":")
    where = f" ({unit})" if unit else ""
    axes.set(xlabel=f"mean of both{where}", ylabel=f"difference{where}")
    axes.margins(y=0.35)
    axes.legend(loc="upper left", fontsize=9)
    return axes
