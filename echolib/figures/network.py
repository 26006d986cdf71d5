"""A U-Net as a diagram, with the shapes of a given network."""

from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from ..networks.levels import level_table
from ..networks.models import UNet
from .base import PALETTE

INK, FEATURES, IMAGES = "#24292e", "#cfd8e3", "#f4f5f6"
POOL, ENLARGE, SKIP = PALETTE["neutral"], PALETTE["test"], PALETTE["val"]
STEPS = {"max pooling halves the side": POOL, "transposed convolution doubles it": ENLARGE}
TEXT_SIZE = 11

# in units of the drawing, which are about an inch
TALLEST, WIDEST, SMALLEST = 0.7, 0.6, 0.12  # sides of blocks
DOWN, ASIDE = 1.0, 0.5  # from level to level
HALF = 2.5  # from the middle to the blocks of the finest level


class _Block(NamedTuple):
    """A rectangle of the drawing: its centre, its width and its height."""

    x: float
    y: float
    width: float
    height: float


def unet_diagram(model: UNet) -> Figure:
    """Draw the blocks of a U-Net and what joins them, with the channels and sides of all features.

    The way down is on the left, the way up on the right; the image and the result stand above. The
    height of a block stands for the side of its features, its width for their channels.
    """
    levels = level_table(model)
    deepest = len(levels) - 1
    figure, axes = plt.subplots(figsize=(7.8, DOWN * deepest + 3.2))
    tall = np.sqrt(levels.side / levels.side.max()) * TALLEST
    wide = np.sqrt(levels.channels / levels.channels.max()) * WIDEST
    paths: dict[int, list[_Block]] = {-1: [], 1: []}
    for side, path in paths.items():
        for number, (width, height) in enumerate(zip(wide, tall, strict=True)):
            x = 0.0 if number == deepest else side * (HALF - ASIDE * number)
            path.append(_Block(x, -DOWN * number, max(width, SMALLEST), max(height, SMALLEST)))
    for number, (channels, side) in enumerate(zip(levels.channels, levels.side, strict=True)):
        words = f"level {number}\n{channels} × {side} × {side}"
        if number == deepest:
            _draw_block(paths[1][number], axes, words)
            continue
        _draw_block(paths[-1][number], axes, words, at=-1)
        _draw_block(paths[1][number], axes, words, at=1)
        _join(paths[-1][number], paths[-1][number + 1], axes, POOL)
        _join(paths[1][number + 1], paths[1][number], axes, ENLARGE)
        _skip(paths[-1][number], paths[1][number], axes, f"{channels} channels")
    _draw_ends(model, paths[-1][0], paths[1][0], axes)
    _add_legend(axes)
    axes.set(xlim=(-HALF - 1.6, HALF + 1.6), ylim=(-DOWN * deepest - 0.85, 1.85))
    axes.set_axis_off()
    return figure


def _draw_block(block: _Block, axes: Axes, words: str, at: int = 0, colour: str = FEATURES) -> None:
    """Draw a block with words on its left (at -1), on its right (1) or below it (0)."""
    x, y, width, height = block
    corner = (x - width / 2, y - height / 2)
    axes.add_patch(Rectangle(corner, width, height, facecolor=colour, edgecolor=INK))
    style: dict[str, Any] = {"fontsize": TEXT_SIZE, "color": INK}
    if at == 0:
        axes.text(x, y - height / 2 - 0.06, words, ha="center", va="top", **style)
    else:
        horizontal = "right" if at < 0 else "left"
        axes.text(x + at * (width / 2 + 0.08), y, words, ha=horizontal, va="center", **style)


def _arrow(start: tuple[float, float], end: tuple[float, float], axes: Axes, **line: Any) -> None:
    """Draw an arrow between two points."""
    style = {"arrowstyle": "-|>", "linewidth": 2, "shrinkA": 1, "shrinkB": 1} | line
    axes.annotate("", end, start, arrowprops=style)


def _join(start: _Block, end: _Block, axes: Axes, colour: str) -> None:
    """Draw the arrow of a step to the level below or above."""
    down = np.sign(end.y - start.y)
    _arrow(
        (start.x, start.y + down * start.height / 2), (end.x, end.y - down * end.height / 2), axes,
        color=colour,
    )  # fmt: skip


def _skip(start: _Block, end: _Block, axes: Axes, words: str) -> None:
    """Draw a skip connection from the way down to the way up, with what it carries."""
    left, right = start.x + start.width / 2, end.x - end.width / 2
    _arrow((left, start.y), (right, end.y), axes, color=SKIP, linestyle="--", linewidth=1.6)
    style: dict[str, Any] = {"ha": "center", "va": "bottom", "fontsize": TEXT_SIZE, "color": SKIP}
    axes.text(0.5 * (left + right), start.y + 0.05, words, **style)


def _draw_ends(model: UNet, first: _Block, last: _Block, axes: Axes) -> None:
    """Draw the image above the first block and the logits above the last, and the steps between."""
    inputs, outputs = model.arguments["inputs"], model.arguments["outputs"]
    size, fold = model.size, model.fold
    for block, channels, name, at in ((first, inputs, "image", -1), (last, outputs, "logits", 1)):
        side = 1.15 * TALLEST
        end = _Block(block.x, 1.3, side * 0.9, side)
        _draw_block(end, axes, f"{name}\n{channels} × {size} × {size}", at, IMAGES)
        above, below = end.y - end.height / 2, block.y + block.height / 2
        start, stop = (above, below) if at < 0 else (below, above)
        _arrow((block.x, start), (block.x, stop), axes, color=INK)
        words = "1 × 1 convolution" if at > 0 else ""
        if fold > 1:
            step = "unfolded" if at > 0 else "folded"
            words += f"\n{channels * fold**2} channels, {step}"
        style: dict[str, Any] = {"va": "center", "fontsize": TEXT_SIZE, "color": INK}
        horizontal = "left" if at < 0 else "right"
        middle = 0.5 * (above + below)
        axes.text(block.x - at * 0.12, middle, words.strip(), ha=horizontal, **style)


def _add_legend(axes: Axes) -> None:
    """Explain blocks and arrows below the drawing."""
    block = "block: twice 3 × 3 convolution, normalisation, ReLU"
    handles: list[Any] = [Patch(facecolor=FEATURES, edgecolor=INK, label=block)]
    handles += [Line2D([], [], color=color, linewidth=2, label=words)
                for words, color in STEPS.items()]  # fmt: skip
    copied = "skip connection copies the features"
    handles.append(Line2D([], [], color=SKIP, linestyle="--", label=copied))
    place: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, 0.0)}
    axes.legend(handles=handles, ncols=1, fontsize=TEXT_SIZE, **place)
