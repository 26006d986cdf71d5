"""Figures of the mitral valve: sheets of outlined leaflets, and the score after each step."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ..data.valve.squares import Bounds, bounds_of, crop_around
from .base import PALETTE, draw_mask_outlines, panel_grid, show_image

CLOSE_UP = 224  # px, side of the square that a valve is enlarged to
BAR_HEIGHT = 0.34  # inches per bar of the figure of steps


@dataclass(frozen=True)
class Tile:
    """One picture of `valve_sheet`.

    image: (H, W) uint8. masks: (H, W) bool, outlined in the colour of their key, a name in
    `base.PALETTE` such as "truth" or "prediction". bounds: the valve's box, around which the
    picture is enlarged; None shows the whole frame.
    """

    title: str
    image: np.ndarray
    masks: dict[str, np.ndarray]
    bounds: Bounds | None = None


def valve_sheet(
    tiles: Sequence[Tile], columns: int = 6, context: float = 1.3, side: float = 1.7
) -> Figure:
    """Show tiles in rows: frames with outlined leaflets, enlarged around the box if it is known.

    context: side of the enlarged square, as a multiple of the longer side of the box. side: of a
    tile, inches.
    """
    figure, grid = panel_grid(len(tiles), columns, side, side + 0.25)
    for tile, axes in zip(tiles, grid.flat, strict=False):
        _draw_tile(tile, axes, context)
    return figure


def augmented_sheet(original: Tile, changed: Sequence[Tile]) -> Figure:
    """Show a frame large, and beside it, in rows of four, what augmentation made of it.

    Tiles with bounds are cut out around them, so that changes of a few px are seen.
    """
    rows = -(-len(changed) // 4)
    figure = plt.figure(figsize=(9, 1.3 * rows + 0.3))
    grid = figure.add_gridspec(rows, rows + 4, wspace=0.03, hspace=0.03)
    _draw_tile(original, figure.add_subplot(grid[:, :rows]))
    for number, tile in enumerate(changed):
        row, column = divmod(number, 4)
        _draw_tile(tile, figure.add_subplot(grid[row, rows + column]), context=2.0)
    return figure


def _draw_tile(tile: Tile, axes: Axes, context: float = 1.3) -> None:
    image, masks = tile.image, tile.masks
    if tile.bounds is not None:
        crop = crop_around(tile.bounds, image.shape, CLOSE_UP, context)
        image = crop.image(image)
        masks = {name: crop.mask(mask) for name, mask in masks.items()}
    show_image(image, axes, tile.title)
    axes.title.set_fontsize(9)
    for name, mask in masks.items():
        draw_mask_outlines(mask, axes, name, linewidth=1.1)


def draw_box(bounds: Bounds | np.ndarray, axes: Axes) -> Axes:
    """Draw the valve's box on a frame.

    bounds: its left, top, right and bottom edge in px, or a (H, W) bool mask of it.
    """
    if isinstance(bounds, np.ndarray):
        bounds = bounds_of(bounds)
    left, top, right, bottom = bounds
    line: dict[str, Any] = {"fill": False, "edgecolor": PALETTE["axis"], "linewidth": 1.3}
    axes.add_patch(Rectangle((left, top), right - left, bottom - top, **line))
    return axes


def step_figure(table: pd.DataFrame) -> Figure:
    """Draw the median IoU after each step as bars, with 95 % intervals.

    table: the rows of notebooks/results/mitral.csv, one per step: step, median_iou, low, high.
    """
    figure, axes = plt.subplots(figsize=(8.5, BAR_HEIGHT * len(table) + 0.9))
    positions = np.arange(len(table))[::-1]
    errors = [table.median_iou - table.low, table.high - table.median_iou]
    axes.barh(positions, table.median_iou, color=PALETTE["train"], height=0.7)
    line: dict[str, Any] = {
        "fmt": "none",
        "ecolor": PALETTE["neutral"],
        "capsize": 2,
        "elinewidth": 1,
    }
    axes.errorbar(table.median_iou, positions, xerr=errors, **line)
    for position, value in zip(positions, table.median_iou, strict=True):
        axes.text(0.01, position, f"{value:.3f}", va="center", color="white", fontsize=9)
    axes.set_yticks(positions, table.step)
    axes.set(xlabel="median IoU over the test videos, 95 % interval", xlim=(0, 1))
    axes.grid(visible=False, axis="y")
    return figure
