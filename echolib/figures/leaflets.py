"""Figures of the mitral valve: sheets of leaflets seen closely, scores step by step."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ..data.valve.squares import Bounds, bounds_of, crop_around
from .base import PALETTE, show_image

TILE = 224  # px, side of a valve seen closely
STEP_HEIGHT = 0.34  # inches a row of the figure of steps


@dataclass(frozen=True)
class Tile:
    """A picture of a sheet: image (H, W) uint8, and masks (H, W) bool to outline by their names.

    masks: names of `plots.PALETTE`, as "truth" and "prediction". bounds: the valve's box, which
    is looked at closely; None shows the whole frame.
    """

    title: str
    image: np.ndarray
    masks: dict[str, np.ndarray]
    bounds: Bounds | None = None


def valve_sheet(tiles: Sequence[Tile], columns: int = 6, context: float = 1.3) -> Figure:
    """Tiles in rows: frames with leaflets outlined, each seen closely where its box is known.

    context: side of what is seen in longer sides of the box.
    """
    rows = -(-len(tiles) // columns)
    size = (1.7 * columns, 1.95 * rows)
    figure, grid = plt.subplots(rows, columns, figsize=size, squeeze=False)
    for axes in grid.ravel()[len(tiles) :]:
        axes.set_axis_off()
    for tile, axes in zip(tiles, grid.ravel(), strict=False):
        _draw_tile(tile, axes, context)
    return figure


def _draw_tile(tile: Tile, axes: Axes, context: float) -> None:
    image, masks = tile.image, tile.masks
    if tile.bounds is not None:
        crop = crop_around(tile.bounds, image.shape, TILE, context)
        image = crop.image(image)
        masks = {name: crop.mask(mask) for name, mask in masks.items()}
    show_image(image, axes, tile.title)
    axes.title.set_fontsize(9)
    for name, mask in masks.items():
        draw_leaflets(mask, axes, name)


def draw_leaflets(mask: np.ndarray, axes: Axes, colour: str = "truth") -> Axes:
    """Outline a (H, W) bool mask on a frame; colour: a name in `plots.PALETTE`."""
    if mask.any():
        line = {"colors": PALETTE.get(colour, colour), "linewidths": 1.1, "levels": [0.5]}
        axes.contour(mask.astype(float), **line)
    return axes


def draw_box(
    bounds: Bounds | np.ndarray, axes: Axes, colour: str = "axis", label: str = ""
) -> Axes:
    """Draw the valve's box on a frame: its edges in px, or a (H, W) bool mask of it."""
    if isinstance(bounds, np.ndarray):
        bounds = bounds_of(bounds)
    left, top, right, bottom = bounds
    line = {"fill": False, "edgecolor": PALETTE.get(colour, colour), "label": label or None}
    axes.add_patch(Rectangle((left, top), right - left, bottom - top, linewidth=1.3, **line))
    return axes


def step_figure(table: pd.DataFrame) -> Figure:
    """The rows of benchmarks/mitral.csv: median IoU of each step with its interval."""
    figure, axes = plt.subplots(figsize=(8.5, STEP_HEIGHT * len(table) + 0.9))
    places = np.arange(len(table))[::-1]
    errors = [table.median_iou - table.low, table.high - table.median_iou]
    axes.barh(places, table.median_iou, color=PALETTE["train"], height=0.7)
    line = {"fmt": "none", "ecolor": PALETTE["neutral"], "capsize": 2, "elinewidth": 1}
    axes.errorbar(table.median_iou, places, xerr=errors, **line)
    for place, value in zip(places, table.median_iou, strict=True):
        axes.text(0.01, place, f"{value:.3f}", va="center", color="white", fontsize=9)
    axes.set_yticks(places, table.step)
    axes.set(xlabel="median IoU over the test videos, 95 % interval", xlim=(0, 1))
    axes.grid(visible=False, axis="y")
    return figure
