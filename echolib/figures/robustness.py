"""Figures of the robustness benchmark: corruptions, scores, comparisons, and doubt."""

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import cycle

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..data.sector import find_sector
from ..geometry import mask_outline
from ..networks.corruptions import CORRUPTIONS, SEVERITIES, check_corruptions, corrupt
from ..robustness.benchmark import CLEAN
from ..robustness.comparison import (
    ALL,
    NO_DIFFERENCE,
    mean_by_severity,
    seen_by_any,
    trained_on_corruptions,
)
from ..robustness.doubt import DOUBTS, p10, retention
from .base import PALETTE, draw_outline, image_grid, panel_grid, show_image

PANELS_PER_ROW = 3  # of `severity_curves`
# The third and the fourth are darker shades of the first two: often the same models, trained in
# another way. None is the green of the truth.
MODEL_COLOURS = ("#e6569a", "#3d7fc1", "#7a1f4d", "#0b3c6f", "#e69f00", "#5f6b76", "#8c564b")
MODEL_MARKERS = "os^vDP*"
INTERVAL_GAP = 0.1  # severities between the intervals of two models in `severity_curves`
REACH = 16.0  # px around a landmark that `heatmap_sheet` shows
DOUBT_COLOURS = ("#e69f00", "#56b4e9", "#9467bd")


def corruption_sheet(
    image: np.ndarray,
    severities: Sequence[int] = SEVERITIES,
    names: Sequence[str] = tuple(CORRUPTIONS),
    columns: int | None = None,
) -> Figure:
    """Show a frame (H, W) uint8 under corruptions in rising severity; the clean frame comes first.

    names: of the corruptions, default all. columns: pictures in a row, by default one row per
    corruption. Raises ValueError for an unknown corruption or severity.
    """
    sector, levels = find_sector(image), (0, *severities)
    images, titles = [], []
    for name in check_corruptions(names):
        images += [corrupt(image, name, severity, sector=sector) for severity in levels]
        titles += [f"{name.replace('_', ' ')} {severity or 'clean'}" for severity in levels]
    return image_grid(images, titles, columns=columns or len(levels), width=2.0)


def severity_curves(
    cases: pd.DataFrame, seen: Mapping[str, Collection[str]] | None = None
) -> Figure:
    """Draw mean Dice against severity, with its 95 % interval at the highest severity.

    cases: from `benchmark.run_robustness`. seen: for each model the corruptions of its training,
    see `comparison.seen_in_training`. There is one panel per corruption and one line per model.
    Each panel has its own scale. The intervals are vertical bars beside the last points, side by
    side. An asterisk marks the corruptions that some of these models were trained on. The legend
    explains both, and names these models.
    """
    means = mean_by_severity(cases)
    names = [name for name in CORRUPTIONS if name in set(means.corruption)]
    figure, grid = panel_grid(len(names), PANELS_PER_ROW, 3.3, 2.4, sharex=True)
    colours, trained = _model_colours(cases), seen_by_any(seen)
    for axes, name in zip(grid.flat, names, strict=False):
        for number, (model, colour) in enumerate(colours.items()):
            curve = means[(means.corruption == name) & (means.model == model)]
            marker = MODEL_MARKERS[number % len(MODEL_MARKERS)]
            axes.plot(
                curve.severity, curve["mean"], color=colour, marker=marker, markersize=4,
                label=model,
            )  # fmt: skip
            last = curve.loc[curve.severity.idxmax()]
            if np.isfinite(last.low):
                beside = last.severity + INTERVAL_GAP * (number + 2)
                axes.vlines(beside, last.low, last.high, color=colour, linewidth=1.6)
        axes.set_title(name.replace("_", " ") + (" *" if name in trained else ""))
    for axes in grid[-1]:
        axes.set(xlabel="severity", xticks=(0, *SEVERITIES))
    for axes in grid[:, 0]:
        axes.set_ylabel("Dice")
    notes = ["bars: 95 % interval at the highest severity"] if means.low.notna().any() else []
    if set(names) & set(trained):
        notes.append(f"* in the training of {trained_on_corruptions(seen)}")
    figure.legend(
        *grid[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=len(colours),
        title="\n".join(notes) or None, title_fontsize="small",
    )  # fmt: skip
    return figure


def _model_colours(cases: pd.DataFrame) -> dict[str, str]:
    """A colour for each model, in the order of the table."""
    return dict(zip(cases.model.unique(), cycle(MODEL_COLOURS), strict=False))


def comparison_forest(table: pd.DataFrame) -> Figure:
    """Draw the difference of two models with its 95 % interval, one line per row of the table.

    table: from `comparison.compare_models`. A filled marker means that the difference is shown;
    diamonds mark the clean frames and all corruptions together.
    """
    first, second = table.columns[1:3]
    labels = [name.replace("_", " ") for name in table.corruption]
    return _forest(table, labels, table.corruption, f"{first} - {second}")


def difference_forest(table: pd.DataFrame) -> Figure:
    """Draw how the first model differs from each other one, as `comparison_forest` does.

    table: from `comparison.differences_from_first`, with one row or more.
    """
    labels = [f"{row.second}, {row.frames}" for row in table.itertuples()]
    return _forest(table, labels, table.frames, f"{table['first'].iloc[0]} - the other model")


def _forest(table: pd.DataFrame, labels: list[str], frames: pd.Series, title: str) -> Figure:
    """Draw differences with their intervals. frames: the frames of each row. title: what they are
    differences of."""
    figure, axes = plt.subplots(figsize=(7.5, 0.32 * len(table) + 1.2))
    positions = np.arange(len(table))[::-1]
    for y, row, name in zip(positions, table.itertuples(), frames, strict=True):
        axes.plot((row.low, row.high), (y, y), color=PALETTE["neutral"], linewidth=1.5)
        fill = "white" if row.verdict == NO_DIFFERENCE else PALETTE["prediction"]
        marker = "D" if name in (CLEAN, ALL) else "o"
        axes.scatter(row.difference, y, color=fill, edgecolor="black", marker=marker, zorder=3)
    axes.axvline(0, color="black", linewidth=1)
    axes.set_yticks(positions, labels)
    axes.set_xlabel(f"{title} (95 % interval; filled: difference shown)")
    return figure


def worst_cases(
    images: Sequence[np.ndarray],
    truths: Sequence[np.ndarray],
    predictions: dict[str, Sequence[np.ndarray]],
    titles: dict[str, Sequence[str]],
) -> Figure:
    """Draw one row per model and one column per frame: the model's outline and the expert's, green.

    images: (H, W) uint8. truths: (H, W) bool masks of the expert. predictions: for each model's
    name its (H, W) bool masks. titles: for each model's name the titles of its frames.
    """
    figure, grid = plt.subplots(
        len(predictions), len(images),
        figsize=(2.7 * len(images), 2.8 * len(predictions) + 0.3), squeeze=False,
    )  # fmt: skip
    for (name, masks), colour, row in zip(
        predictions.items(), cycle(MODEL_COLOURS), grid, strict=False
    ):
        columns = zip(row, images, truths, masks, titles[name], strict=True)
        for axes, image, truth, mask, title in columns:
            show_image(image, axes, title)
            axes.title.set_fontsize(10)
            draw_outline(mask_outline(truth), axes, "truth", linewidth=1.6)
            if mask.any():
                draw_outline(mask_outline(mask), axes, colour)
        row[0].set_ylabel(name)
    return figure


def heatmap_sheet(
    image: np.ndarray,
    heatmaps: np.ndarray,
    landmarks: np.ndarray,
    titles: Sequence[str] | None = None,
    outline: np.ndarray | None = None,
) -> Figure:
    """Show heatmaps (n, h, w) over a frame (H, W), each around its landmark (n, 2) px, a cross.

    heatmaps: from 0, where the frame shows through, to 1. titles: one per heatmap. outline: points
    (K, 2) px of the whole outline, drawn as a dotted line.
    """
    titles = [""] * len(heatmaps) if titles is None else titles
    figure, grid = panel_grid(len(heatmaps), min(3, len(heatmaps)), 3.2, 3.3)
    edges = (-0.5, image.shape[1] - 0.5, image.shape[0] - 0.5, -0.5)
    for axes, heatmap, (x, y), title in zip(grid.flat, heatmaps, landmarks, titles, strict=False):
        show_image(image, axes, title)
        opacity = np.sqrt(np.clip(heatmap, 0, 1))
        axes.imshow(heatmap, cmap="magma", alpha=opacity, extent=edges, vmin=-0.4, vmax=1)
        axes.scatter(x, y, marker="+", color="white", s=60, linewidth=1)
        if outline is not None:
            axes.plot(*outline.T, ":", color="white", linewidth=1)
        axes.set(xlim=(x - REACH, x + REACH), ylim=(y + REACH, y - REACH))
    return figure


def retention_curves(cases: pd.DataFrame) -> Figure:
    """Draw mean and tenth percentile of Dice against the share of frames kept, one line per doubt.

    cases: from `doubt.doubt_cases`. The dotted black line is a perfect doubt: the error itself.
    """
    figure, grid = plt.subplots(1, 2, figsize=(10, 3.4))
    doubts = {name: cases[name] for name in DOUBTS} | {"perfect": 1 - cases.dice}
    statistics: dict[str, Callable[[np.ndarray], float]] = {"mean": np.mean, "p10": p10}
    for axes, (title, statistic) in zip(grid, statistics.items(), strict=True):
        for (name, doubt), colour in zip(doubts.items(), (*DOUBT_COLOURS, "black"), strict=True):
            curve = retention(cases.dice, doubt, statistic=statistic)
            style = ":" if name == "perfect" else "-"
            axes.plot(100 * curve.share, curve.score, label=name, color=colour, linestyle=style)
        axes.invert_xaxis()
        axes.set(xlabel="frames kept (%)", ylabel=f"{title} of Dice")
    grid[0].legend(loc="upper left")
    return figure
