"""Figures of the notebooks: one palette, one way to show a frame, an outline, a table of numbers.

Functions take arrays or tables and draw into the axes they are given, or into new ones. They
return the axes, those that lay out a whole figure return the figure. Points are (x, y) in px.
"""

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from ..config import figures_folder
from ..files import atomic_path
from ..geometry import Tracing

# Okabe and Ito's colours, lightened where they must be seen on black as well as on white.
PALETTE = {
    "ED": "#56b4e9",
    "ES": "#e69f00",
    "truth": "#00b386",
    "prediction": "#e6569a",
    "axis": "#f0e442",
    "septal": "#56b4e9",
    "lateral": "#e69f00",
    "train": "#7b8fa1",
    "val": "#9467bd",
    "test": "#d55e00",
    "neutral": "#5f6b76",
}
DPI = 80  # of a figure inside a notebook, which must stay small
SAVED_DPI = 150


def use_style() -> None:
    """Set fonts, sizes and grids for all figures of the running session."""
    plt.rcParams.update(
        {
            "figure.dpi": DPI,
            "figure.constrained_layout.use": True,
            "font.size": 11,
            "axes.titlesize": 11,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.axisbelow": True,
            "grid.color": "#e3e6e8",
            "legend.frameon": False,
            "image.cmap": "gray",
        }
    )


def save(figure: Figure, name: str, folder: Path | None = None) -> Figure:
    """Write a figure as `name`.png into a folder, whole or not at all; return it.

    folder: by default the figures folder.
    """
    with atomic_path((folder or figures_folder()) / f"{name}.png") as temporary:
        figure.savefig(temporary, dpi=SAVED_DPI, bbox_inches="tight")
    return figure


def _axes(axes: Axes | None, size: tuple[float, float] = (5, 4)) -> Axes:
    return plt.subplots(figsize=size)[1] if axes is None else axes


# --- Frames, outlines, masks ---------------------------------------------------------------------


def show_image(image: np.ndarray, axes: Axes | None = None, title: str = "") -> Axes:
    """Show a (H, W) frame: uint8, or bool as black and white; row 0 on top, no ticks."""
    axes = _axes(axes)
    top = 1 if image.dtype == bool else 255
    axes.imshow(image, cmap="gray", vmin=0, vmax=top, origin="upper", interpolation="nearest")
    axes.set(xticks=[], yticks=[], title=title)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    return axes


def draw_outline(
    points: np.ndarray, axes: Axes, colour: str = "truth", label: str | None = None, **line: object
) -> Axes:
    """Draw a closed outline (n, 2) px; colour: a name in `PALETTE` or any matplotlib colour."""
    closed = np.concatenate([points, points[:1]])
    line = {"linewidth": 1.6, **line}
    axes.plot(closed[:, 0], closed[:, 1], color=PALETTE.get(colour, colour), label=label, **line)
    return axes


def draw_mask(mask: np.ndarray, axes: Axes, colour: str = "truth", alpha: float = 0.4) -> Axes:
    """Lay a (H, W) bool mask over a frame as a transparent colour."""
    layer = np.zeros((*mask.shape, 4))
    layer[mask] = to_rgba(PALETTE.get(colour, colour), alpha)
    axes.imshow(layer, origin="upper", interpolation="nearest")
    return axes


def draw_agreement(prediction: np.ndarray, truth: np.ndarray, axes: Axes) -> Axes:
    """Colour what two (H, W) bool masks share (white), what is missed and what is too much."""
    picture = np.full((*truth.shape, 3), 0.12)
    picture[truth & prediction] = 0.92
    picture[truth & ~prediction] = to_rgba(PALETTE["truth"])[:3]
    picture[prediction & ~truth] = to_rgba(PALETTE["prediction"])[:3]
    axes.imshow(picture, origin="upper", interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.grid(False)
    axes.spines[:].set_visible(False)
    return axes


def _number(axes: Axes, point: np.ndarray, text: str, colour: str, size: float = 9) -> None:
    """A number beside a point, with a dark rim so that it is read on speckle too."""
    rim = [withStroke(linewidth=1.5, foreground="black")]
    place = {"ha": "center", "va": "center", "path_effects": rim, "fontsize": size}
    axes.text(*point, text, color=PALETTE.get(colour, colour), **place)


def draw_tracing(tracing: Tracing, axes: Axes, numbers: bool = True) -> Axes:
    """Draw the long axis and the chords; with `numbers` each chord's row (the axis is row 0)."""
    axes.plot(*tracing.axis.T, color=PALETTE["axis"], linewidth=2, label="long axis (row 0)")
    for row, (first, second) in enumerate(tracing.chords, start=1):
        label = "chords (rows 1, 2, ...)" if row == 1 else None
        line = {"color": "white", "linewidth": 0.8, "alpha": 0.9}
        axes.plot(*np.stack([first, second]).T, label=label, **line)
        if numbers:
            outward = (first - second) / max(float(np.hypot(*(first - second))), 1e-6)
            _number(axes, first + 3 * outward, str(row), "white")
    axes.scatter(*tracing.chords[:, 0].T, s=12, color=PALETTE["septal"], zorder=3, label="X1, Y1")
    axes.scatter(*tracing.chords[:, 1].T, s=12, color=PALETTE["lateral"], zorder=3, label="X2, Y2")
    return axes


def draw_landmarks(landmarks: np.ndarray, axes: Axes, every: int = 1) -> Axes:
    """Draw landmarks (2n, 2) in polygon order, one colour a wall, every so-manieth numbered."""
    half, centre = len(landmarks) // 2, landmarks.mean(axis=0)
    for index, point in enumerate(landmarks):
        wall = "septal" if index < half else "lateral"
        axes.scatter(*point, s=14, color=PALETTE[wall], zorder=3)
        if index % every == 0 or index in (half - 1, len(landmarks) - 1):
            outward = (point - centre) / max(float(np.hypot(*(point - centre))), 1e-6)
            # to its own side as well, since the two last ends may lie on one another
            outward = outward + [-0.7 if wall == "septal" else 0.7, 0]
            _number(axes, point + 3 * outward, str(index), wall, size=10)
    return axes


def dark_legend(axes: Axes, **place: object) -> Axes:
    """Legend on a dark ground, where white and yellow lines are seen; place: as for `legend`."""
    axes.legend(frameon=True, facecolor="#24292e", labelcolor="white", **place)
    return axes


def contact_sheet(
    images: Sequence[np.ndarray],
    titles: Sequence[str] | None = None,
    outlines: Sequence[np.ndarray | None] | None = None,
    columns: int = 6,
    width: float = 1.9,
    colours: Sequence[str] | None = None,
) -> Figure:
    """Lay frames (H, W) out in rows, each with its title and, where there is one, its outline.

    width: of one frame in inches. colours: of the outlines, names in `PALETTE`.
    """
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    height = width * images[0].shape[0] / images[0].shape[1] + 0.25 * (titles is not None)
    size = (columns * width, rows * height)
    figure, grid = plt.subplots(rows, columns, figsize=size, squeeze=False)
    for index, axes in enumerate(grid.flat):
        if index >= len(images):
            axes.axis("off")
            continue
        show_image(images[index], axes, "" if titles is None else titles[index])
        axes.title.set_fontsize(9.5)
        if outlines is not None and outlines[index] is not None:
            colour = "truth" if colours is None else colours[index]
            draw_outline(outlines[index], axes, colour)
    return figure


# --- Numbers ------------------------------------------------------------------------------------


def draw_histogram(
    values: np.ndarray,
    axes: Axes | None = None,
    label: str = "",
    colour: str = "neutral",
    bins: int | Sequence[float] = 20,
) -> Axes:
    """Histogram of values (n,) with a line at the median; label: quantity and unit."""
    axes = _axes(axes)
    values = np.asarray(values, float)
    values = values[np.isfinite(values)]
    axes.hist(values, bins=bins, color=PALETTE.get(colour, colour), edgecolor="white")
    middle = np.median(values)
    axes.axvline(middle, color="black", linestyle="--", linewidth=1.2, label=f"median {middle:.0f}")
    axes.set(xlabel=label, ylabel="clips")
    axes.margins(y=0.25)
    axes.legend(loc="upper right", fontsize=9)
    return axes


def draw_grey_levels(
    groups: dict[str, np.ndarray], axes: Axes | None = None, colours: Sequence[str] | None = None
) -> Axes:
    """Share of pixels at each grey level, one curve a group of uint8 values."""
    axes = _axes(axes)
    colours = colours or ["truth", "prediction", "neutral", "ED"]
    levels = np.arange(0, 257, 4)
    for (name, values), colour in zip(groups.items(), colours, strict=False):
        share = np.histogram(values, levels)[0] / np.size(values)
        axes.stairs(100 * share, levels, color=PALETTE[colour], linewidth=1.8, label=name)
    axes.set(xlabel="grey level (0 black, 255 white)", ylabel="pixels (%)", xlim=(0, 255))
    axes.legend()
    return axes


def draw_scatter(
    expected: np.ndarray,
    found: np.ndarray,
    axes: Axes | None = None,
    labels: tuple[str, str] = ("expected", "found"),
    colour: str = "neutral",
) -> Axes:
    """Found against expected values, both (n,), with the line of identity; equal axes."""
    axes = _axes(axes, (4.5, 4.5))
    low = float(min(np.min(expected), np.min(found)))
    high = float(max(np.max(expected), np.max(found)))
    margin = 0.05 * (high - low) or 1.0
    limits = (low - margin, high + margin)
    axes.plot(limits, limits, color="black", linewidth=1, linestyle=":", label="identity")
    axes.scatter(expected, found, s=16, alpha=0.7, color=PALETTE.get(colour, colour))
    axes.set(xlabel=labels[0], ylabel=labels[1], xlim=limits, ylim=limits, aspect="equal")
    axes.legend(loc="upper left")
    return axes


def draw_bland_altman(
    expected: np.ndarray,
    found: np.ndarray,
    axes: Axes | None = None,
    unit: str = "",
    colour: str = "neutral",
) -> Axes:
    """Differences found - expected over the means, with bias and limits of agreement.

    Source: Bland and Altman, Lancet 327, 1986.
    """
    axes = _axes(axes)
    expected, found = np.asarray(expected, float), np.asarray(found, float)
    difference = found - expected
    bias, spread = difference.mean(), difference.std(ddof=1)
    axes.scatter((expected + found) / 2, difference, s=16, alpha=0.7, color=PALETTE[colour])
    axes.axhline(bias, color="black", linewidth=1.2, label=f"bias {bias:+.1f} {unit}")
    limits = f"limits of agreement ± {1.96 * spread:.1f} {unit}"
    axes.axhline(bias + 1.96 * spread, color="black", linestyle=":", label=limits)
    axes.axhline(bias - 1.96 * spread, color="black", linestyle=":")
    axes.set(xlabel=f"mean of both ({unit})", ylabel=f"difference ({unit})")
    axes.margins(y=0.35)
    axes.legend(loc="upper left", fontsize=9)
    return axes
