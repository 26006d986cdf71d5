"""What all figures share: the palette, the style, and frames with outlines.

A function that draws into axes takes them as a parameter, makes new ones by default where it can,
and returns them. A function that lays out a whole figure returns the figure. Points are (x, y) px.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from ..config import figures_folder
from ..files import atomic_path
from ..geometry import Tracing, mask_outlines

# Colours of Okabe and Ito, some of them lightened so that they show on black as well as on white.
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
DPI = 80  # of figures in notebooks, whose files must stay small
SAVED_DPI = 150  # of figures that `save` writes


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


@contextmanager
def styled() -> Iterator[None]:
    """The style of `use_style` within a `with` block; the session's own comes back after it."""
    with plt.rc_context():
        use_style()
        yield


def save(figure: Figure, name: str, folder: Path | None = None) -> Figure:
    """Write a figure to `name`.png in a folder, by default `config.figures_folder()`.

    The file is written whole or not at all. Returns the figure.
    """
    with atomic_path((folder or figures_folder()) / f"{name}.png") as temporary:
        figure.savefig(temporary, dpi=SAVED_DPI, bbox_inches="tight")
    return figure


def panel_grid(
    count: int, columns: int, width: float, height: float, **options: Any
) -> tuple[Figure, np.ndarray]:
    """Make a figure with `count` panels in rows of `columns`; the last row may be shorter.

    width, height: of one panel in inches. options: as for `plt.subplots`. Returns the figure and
    the axes (rows, columns), where the axes after the last panel are hidden.
    """
    rows = -(-count // columns)
    size = (columns * width, rows * height)
    figure, grid = plt.subplots(rows, columns, figsize=size, squeeze=False, **options)
    for axes in grid.flat[count:]:
        axes.set_axis_off()
    return figure, grid


def _axes_or_new(axes: Axes | None, size: tuple[float, float] = (5, 4)) -> Axes:
    return plt.subplots(figsize=size)[1] if axes is None else axes


def _colour(name: str) -> str:
    """The colour of a name in `PALETTE`; any other matplotlib colour as it is."""
    return PALETTE.get(name, name)


def _unit_vector(vector: np.ndarray) -> np.ndarray:
    """A vector (2,) scaled to length 1; a zero vector stays zero."""
    return vector / max(float(np.hypot(*vector)), 1e-6)


def _hide_frame(axes: Axes) -> None:
    """Remove ticks, grid and border of axes that show a picture."""
    axes.set(xticks=[], yticks=[])
    axes.grid(False)
    axes.spines[:].set_visible(False)


# --- Frames, outlines, masks ---------------------------------------------------------------------


def show_image(image: np.ndarray, axes: Axes | None = None, title: str = "") -> Axes:
    """Show a (H, W) frame, uint8 or bool (black and white), with row 0 on top and without ticks."""
    axes = _axes_or_new(axes)
    white = 1 if image.dtype == bool else 255
    axes.imshow(image, cmap="gray", vmin=0, vmax=white, origin="upper", interpolation="nearest")
    axes.set_title(title)
    _hide_frame(axes)
    return axes


def draw_outline(points: np.ndarray, axes: Axes, colour: str = "truth", **line: Any) -> Axes:
    """Draw a closed outline (n, 2) px.

    colour: a name in `PALETTE` or any matplotlib colour. line: options as for `Axes.plot`.
    """
    closed = np.concatenate([points, points[:1]])
    line = {"linewidth": 1.6} | line
    axes.plot(closed[:, 0], closed[:, 1], color=_colour(colour), **line)
    return axes


def draw_mask_outlines(mask: np.ndarray, axes: Axes, colour: str = "truth", **line: Any) -> Axes:
    """Draw all outlines of a (H, W) bool mask, holes too; a mask may hold several leaflets.

    colour, line: as for `draw_outline`.
    """
    for points in mask_outlines(mask):
        draw_outline(points, axes, colour, **line)
    return axes


def draw_mask(mask: np.ndarray, axes: Axes, colour: str = "truth", alpha: float = 0.4) -> Axes:
    """Lay a (H, W) bool mask over a frame as a transparent colour.

    colour: as for `draw_outline`. alpha: opacity, 0 to 1.
    """
    layer = np.zeros((*mask.shape, 4))
    layer[mask] = to_rgba(_colour(colour), alpha)
    axes.imshow(layer, origin="upper", interpolation="nearest")
    return axes


def draw_agreement(prediction: np.ndarray, truth: np.ndarray, axes: Axes) -> Axes:
    """Show where two (H, W) bool masks agree and differ.

    White: in both. Colour "truth": missed by the prediction. Colour "prediction": outside the
    truth. Dark: in neither.
    """
    picture = np.full((*truth.shape, 3), 0.12)
    picture[truth & prediction] = 0.92
    picture[truth & ~prediction] = to_rgba(PALETTE["truth"])[:3]
    picture[prediction & ~truth] = to_rgba(PALETTE["prediction"])[:3]
    axes.imshow(picture, origin="upper", interpolation="nearest")
    _hide_frame(axes)
    return axes


def _write_number(
    axes: Axes, point: np.ndarray, number: int | str, colour: str, size: float = 9
) -> None:
    """Write a number at a point (2,) px, with a dark rim so that it is legible on speckle."""
    rim = [withStroke(linewidth=1.5, foreground="black")]
    style: dict[str, Any] = {"ha": "center", "va": "center", "path_effects": rim, "fontsize": size}
    x, y = point
    axes.text(x, y, str(number), color=_colour(colour), **style)


def draw_tracing(tracing: Tracing, axes: Axes, numbers: bool = True) -> Axes:
    """Draw the long axis and the chords of a tracing.

    numbers: write the row of each chord beside its first end; rows that share this end share one
    text, such as "18-20". The long axis is row 0.
    """
    axes.plot(*tracing.axis.T, color=PALETTE["axis"], linewidth=2, label="long axis (row 0)")
    for row, (first, second) in enumerate(tracing.chords, start=1):
        label = "chords (rows 1, 2, ...)" if row == 1 else None
        line: dict[str, Any] = {"color": "white", "linewidth": 0.8, "alpha": 0.9}
        axes.plot(*np.stack([first, second]).T, label=label, **line)
    for start, end in _shared_ends(tracing.chords[:, 0]) if numbers else ():
        first, second = tracing.chords[start]
        text = f"{start + 1}" if start == end else f"{start + 1}-{end + 1}"
        place = first + (2 + 0.6 * len(text)) * _unit_vector(first - second)
        if end > start > 0:  # it is long: away from the number before it
            place += 1.5 * _unit_vector(first - tracing.chords[start - 1, 0])
        _write_number(axes, place, text, "white")
    for end, wall in enumerate(("septal", "lateral")):
        x, y = tracing.chords[:, end].T
        label = f"X{end + 1}, Y{end + 1}"
        axes.scatter(x, y, s=12, color=PALETTE[wall], zorder=3, label=label)
    return axes


def _shared_ends(points: np.ndarray) -> list[tuple[int, int]]:
    """First and last index of each run of neighbours that are one point, of points (n, 2)."""
    starts = [0, *(1 + np.flatnonzero(np.any(points[1:] != points[:-1], axis=1)))]
    ends = [*(start - 1 for start in starts[1:]), len(points) - 1]
    return [(int(start), int(end)) for start, end in zip(starts, ends, strict=True)]


def draw_landmarks(landmarks: np.ndarray, axes: Axes, every: int = 1) -> Axes:
    """Draw landmarks (2n, 2) px in polygon order, with one colour per wall.

    every: number every `every`-th landmark from 0 on, but none so near an end of its wall that
    both numbers would overlap. Both ends of each wall are always numbered.
    """
    half, centre = len(landmarks) // 2, landmarks.mean(axis=0)
    ends = [0, half - 1, half, len(landmarks) - 1]
    crowded = 0.05 * np.hypot(*np.ptp(landmarks, axis=0))
    for index, point in enumerate(landmarks):
        wall = "septal" if index < half else "lateral"
        axes.scatter(point[0], point[1], s=14, color=PALETTE[wall], zorder=3)
        apart = np.hypot(*(landmarks[ends] - point).T).min() > crowded
        if index in ends or (index % every == 0 and apart):
            # sideways too, because the landmarks next to the apex lie close together
            offset = _unit_vector(point - centre) + [-0.7 if wall == "septal" else 0.7, 0]
            _write_number(axes, point + 3 * offset, index, wall, size=10)
    return axes


def dark_legend(axes: Axes, **options: Any) -> Axes:
    """Add a legend with a dark background, on which white and yellow lines are visible.

    options: as for `Axes.legend`.
    """
    axes.legend(frameon=True, facecolor="#24292e", labelcolor="white", **options)
    return axes


def image_grid(
    images: Sequence[np.ndarray],
    titles: Sequence[str] | None = None,
    outlines: Sequence[np.ndarray | None] | None = None,
    columns: int = 6,
    width: float = 1.9,
    colours: Sequence[str] | None = None,
) -> Figure:
    """Show frames (H, W) in rows of `columns`, with their titles and outlines.

    outlines: one (n, 2) px per frame, or None for a frame without one. width: of one frame in
    inches. colours: one per outline, names in `PALETTE`.
    """
    columns = min(columns, len(images))
    height = width * images[0].shape[0] / images[0].shape[1] + 0.25 * (titles is not None)
    figure, grid = panel_grid(len(images), columns, width, height)
    for index, (image, axes) in enumerate(zip(images, grid.flat, strict=False)):
        show_image(image, axes, "" if titles is None else titles[index])
        axes.title.set_fontsize(9.5)
        outline = None if outlines is None else outlines[index]
        if outline is not None:
            draw_outline(outline, axes, "truth" if colours is None else colours[index])
    return figure
