"""Figures of how models bear corruption, and of how far they can be trusted."""

from collections.abc import Sequence
from itertools import cycle

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..data.sector import find_sector
from ..geometry import mask_outline
from ..networks.corruptions import CORRUPTIONS, SEEN, SEVERITIES, corrupt
from ..robustness.benchmark import CLEAN
from ..robustness.comparison import ALL, mean_by_severity
from ..robustness.doubt import DOUBTS, p10, retention
from .base import PALETTE, draw_outline, show_image

MODEL_COLOURS = ("#e6569a", "#3d7fc1", "#e69f00", "#00b386", "#9467bd", "#5f6b76", "#8c564b")


def corruption_sheet(
    image: np.ndarray,
    names: Sequence[str] | None = None,
    severities: Sequence[int] = SEVERITIES,
    seed: int = 0,
) -> Figure:
    """A frame (H, W) uint8 under corruptions (rows) of rising severity (columns), clean first."""
    names, columns = list(CORRUPTIONS) if names is None else list(names), (0, *severities)
    figure, grid = plt.subplots(
        len(names), len(columns), figsize=(1.1 * len(columns), 1.14 * len(names)), squeeze=False
    )
    sector = find_sector(image)
    for name, row in zip(names, grid, strict=True):
        for severity, axes in zip(columns, row, strict=True):
            show_image(corrupt(image, name, severity, seed, sector), axes)
        row[0].set_ylabel(name.replace("_", " "), fontsize=8)
    for severity, axes in zip(columns, grid[0], strict=True):
        axes.set_title(f"severity {severity}" if severity else "clean", fontsize=8.5)
    return figure


def severity_curves(cases: pd.DataFrame, score: str = "dice", columns: int = 4) -> Figure:
    """A score against severity, a panel a corruption, a line a model, with 95 % intervals; each
    panel has its own scale.

    An asterisk marks the corruptions that a corruption-trained model may have seen.
    """
    means = mean_by_severity(cases, score)
    names = [name for name in CORRUPTIONS if name in set(means.corruption)]
    rows = -(-len(names) // columns)
    figure, grid = plt.subplots(
        rows, columns, figsize=(2.7 * columns, 2.2 * rows), sharex=True, squeeze=False
    )
    colours = model_colours(cases)
    for axes, name in zip(grid.flat, names, strict=False):
        for model, colour in colours.items():
            some = means[(means.corruption == name) & (means.model == model)]
            axes.plot(some.severity, some["mean"], color=colour, marker=".", label=model)
            axes.fill_between(some.severity, some.low, some.high, color=colour, alpha=0.15)
        axes.set_title(name.replace("_", " ") + (" *" if name in SEEN else ""))
    for axes in grid.flat[len(names) :]:
        axes.axis("off")
    for axes in grid[-1]:
        axes.set(xlabel="severity", xticks=(0, *SEVERITIES))
    for axes in grid[:, 0]:
        axes.set_ylabel("Dice" if score == "dice" else score)
    figure.legend(
        *grid[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=len(colours)
    )
    return figure


def model_colours(cases: pd.DataFrame) -> dict[str, str]:
    """A colour for every model, in the order of the table."""
    return dict(zip(cases.model.unique(), cycle(MODEL_COLOURS), strict=False))


def comparison_forest(table: pd.DataFrame) -> Figure:
    """Difference of two models with its interval, a line a row of `comparison.compare_models`."""
    first, second = table.columns[1:3]
    figure, axes = plt.subplots(figsize=(7.5, 0.32 * len(table) + 1.2))
    places = np.arange(len(table))[::-1]
    for place, row in zip(places, table.itertuples(), strict=True):
        shown = row.verdict in (first, second)
        axes.plot((row.low, row.high), (place, place), color=PALETTE["neutral"], linewidth=1.5)
        fill = PALETTE["prediction"] if shown else "white"
        marker = "D" if row.corruption in (CLEAN, ALL) else "o"
        axes.scatter(row.difference, place, color=fill, edgecolor="black", marker=marker, zorder=3)
    axes.axvline(0, color="black", linewidth=1)
    axes.set_yticks(places, [name.replace("_", " ") for name in table.corruption])
    axes.set_xlabel(f"{first} - {second} (95 %; filled: difference shown)")
    return figure


def worst_cases(
    images: Sequence[np.ndarray],
    truths: Sequence[np.ndarray],
    answers: dict[str, Sequence[np.ndarray]],
    titles: dict[str, Sequence[str]],
) -> Figure:
    """Frames in columns; a row a model, its outline against the expert's, which is green.

    images: (H, W) uint8. truths, and the answers by model's name: (H, W) bool. titles: by
    model, a line above each frame.
    """
    figure, grid = plt.subplots(
        len(answers), len(images),
        figsize=(2.1 * len(images), 2.2 * len(answers) + 0.3), squeeze=False,
    )  # fmt: skip
    for (name, masks), colour, row in zip(
        answers.items(), cycle(MODEL_COLOURS), grid, strict=False
    ):
        columns = zip(row, images, truths, masks, titles[name], strict=True)
        for axes, image, truth, mask, title in columns:
            show_image(image, axes, title)
            axes.title.set_fontsize(8.5)
            draw_outline(mask_outline(truth), axes, "truth", linewidth=1.2)
            if mask.any():
                draw_outline(mask_outline(mask), axes, colour)
        row[0].set_ylabel(name)
    return figure


def heatmap_sheet(image: np.ndarray, heatmaps: np.ndarray, landmarks: np.ndarray) -> Figure:
    """Some heatmaps (n, H, W) of one frame, each landmark (n, 2) px marked by a cross."""
    figure, grid = plt.subplots(1, len(heatmaps), figsize=(2.1 * len(heatmaps), 2.3), squeeze=False)
    for axes, heatmap, (x, y) in zip(grid[0], heatmaps, landmarks, strict=True):
        show_image(image, axes)
        size = (-0.5, image.shape[1] - 0.5, image.shape[0] - 0.5, -0.5)
        axes.imshow(heatmap, cmap="magma", alpha=0.65, extent=size, interpolation="bilinear")
        axes.scatter(x, y, marker="+", color="white", s=60)
    return figure


def retention_curves(cases: pd.DataFrame) -> Figure:
    """Mean and tenth percentile of Dice against the share of frames kept, a line a doubt.

    cases: from `doubt.doubt_cases`. Black dots: what a perfect doubt, the error itself, would do.
    """
    figure, grid = plt.subplots(1, 2, figsize=(10, 3.4))
    doubts = {name: cases[name] for name in DOUBTS} | {"perfect": 1 - cases.dice}
    for axes, statistic, title in zip(grid, (np.mean, p10), ("mean", "p10"), strict=True):
        for (name, doubt), colour in zip(doubts.items(), MODEL_COLOURS, strict=False):
            curve = retention(cases.dice, doubt, statistic=statistic)
            line = {"color": "black", "linestyle": ":"} if name == "perfect" else {"color": colour}
            axes.plot(100 * curve.share, curve.score, label=name, **line)
        axes.invert_xaxis()
        axes.set(xlabel="frames kept (%)", ylabel=f"{title} of Dice")
    grid[0].legend(loc="upper left")
    return figure
