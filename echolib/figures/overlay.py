"""Frames with outlines, and a curve beside them, as pictures for videos and GIFs."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from ..masks import PackedMasks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# RGB. Pink and green are "prediction" and "truth" of `base.PALETTE`: pink for the outlines of
# networks, green for those of experts. All these colours are visible on a dark picture.
PINK, GREEN = (230, 86, 154), (0, 179, 134)
OVERLAY_COLOURS = (PINK, GREEN, (86, 180, 233), (230, 159, 0), (240, 228, 66), (213, 94, 0))

DISPLAY_SIZE = 448  # px, least length of the longer side of an enlarged frame
TOLERANCE = 0.02  # share by which proportions may differ, besides the rounding to a whole px
CURVE_WIDTH = 560  # px, width of the curve beside the frames
PANEL = (0.12, 0.16, 0.85, 0.74)  # left, bottom, width, height of its axes, shares of the picture
LOWER = 0.85  # share of the axes' height below the legend, which spans and vertical lines fill
DARK, LIGHT = "#14181c", "#d5dade"  # background and lines of a curve on black
AHEAD_OPACITY = 0.12  # of the part of a curve that the clip has not reached yet

# Outlines are drawn in two ways, for two uses. Here OpenCV draws them as pixels, because videos,
# GIFs and the frame browser need many finished pictures quickly and without matplotlib. Figures
# draw the lines of `geometry.mask_outlines` with matplotlib, which stay sharp at every size.


class Film(Sequence):
    """Pictures (T, h, w, 3) uint8 RGB of a clip, each drawn when it is asked for.

    Takes the place of an array where all pictures together would need much memory; anything but
    a single number as index draws them all.
    """

    dtype, ndim = np.dtype(np.uint8), 4

    def __init__(self, shape: tuple[int, ...], draw: Callable[[int], np.ndarray]) -> None:
        """shape: (T, h, w, 3). draw: makes the picture of that number."""
        self.shape, self._draw = shape, draw

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, chosen: Any) -> Any:
        if not isinstance(chosen, (int, np.integer)):
            return np.asarray(self)[chosen]
        if not -len(self) <= chosen < len(self):
            raise IndexError(f"picture {chosen} of {len(self)}")
        return self._draw(int(chosen) % len(self))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        pictures = np.empty(self.shape, np.uint8)
        for index, picture in enumerate(pictures):
            picture[:] = self._draw(index)
        return pictures if dtype is None else pictures.astype(dtype)


def draw_outlines(
    frames: np.ndarray,
    masks: np.ndarray | PackedMasks,
    scale: float | None = None,
    fill: float = 0.0,
) -> np.ndarray:
    """Enlarge frames and draw a pink outline around every component of their masks.

    frames: (T, H, W) uint8. masks: (T, H, W) bool. scale: as for `enlarge`. fill: opacity of the
    inside of the masks, 0 (outline only) to 1. Returns (T, h, w, 3) uint8 RGB. Raises ValueError
    if the shapes do not match. To draw several masks in different colours, call `enlarge` and then
    `add_outlines` once per mask.
    """
    return np.asarray(outlined(frames, masks, scale, fill))


def outlined(
    frames: np.ndarray,
    masks: np.ndarray | PackedMasks,
    scale: float | None = None,
    fill: float = 0.0,
) -> Film:
    """The film of the pictures that `draw_outlines` draws at once."""
    scale = _checked_scale(frames, scale)
    size = _enlarged(frames.shape[1:], scale)
    _check_masks(masks, (len(frames), *size))

    def draw(index: int) -> np.ndarray:
        picture = enlarge(frames[index : index + 1], scale)[0]
        _draw_outline(picture, masks[index], PINK, fill)
        return picture

    return Film((len(frames), *size, 3), draw)


def enlarge(frames: np.ndarray, scale: float | None = None) -> np.ndarray:
    """Enlarge frames (T, H, W) uint8 smoothly to (T, h, w, 3) uint8 RGB.

    scale: h / H; by default the least whole number that makes the longer side 448 px or more.
    Raises ValueError for other frames.
    """
    scale = _checked_scale(frames, scale)
    height, width = _enlarged(frames.shape[1:], scale)
    method = cv2.INTER_CUBIC if scale >= 1 else cv2.INTER_AREA
    pictures = np.empty((len(frames), height, width, 3), np.uint8)
    for frame, picture in zip(frames, pictures, strict=True):
        picture[:] = cv2.resize(frame, (width, height), interpolation=method)[..., None]
    return pictures


def brightened(frames: np.ndarray) -> np.ndarray:
    """Frames of any shape, uint8, with their dark grey levels raised, for the eye alone."""
    return (255 * np.sqrt(frames / 255)).astype(np.uint8)


def _checked_scale(frames: np.ndarray, scale: float | None) -> float:
    """The scale, by default the least whole number that makes the longer side 448 px or more."""
    if frames.ndim != 3 or frames.dtype != np.uint8:
        raise ValueError(
            f"frames: expected (T, H, W) uint8, found {frames.dtype} of shape {frames.shape}."
        )
    return scale or max(1, int(np.ceil(DISPLAY_SIZE / max(frames.shape[1:]))))


def _enlarged(size: tuple[int, ...], scale: float) -> tuple[int, int]:
    """(h, w) of a frame (H, W) after `enlarge`."""
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def add_outlines(
    pictures: np.ndarray, masks: np.ndarray, colour: tuple[int, int, int], fill: float = 0.0
) -> np.ndarray:
    """Draw the outlines of masks (T, H, W) bool into pictures (T, h, w, 3) uint8 RGB, in place.

    The pictures may be larger than the masks but must have their proportions. colour: RGB. fill:
    as for `draw_outlines`. Returns the pictures. Raises ValueError if the masks do not fit them.
    """
    _check_masks(masks, pictures.shape[:3])
    for picture, mask in zip(pictures, masks, strict=True):
        _draw_outline(picture, mask, colour, fill)
    return pictures


def _check_masks(masks: np.ndarray | PackedMasks, shape: tuple[int, ...]) -> None:
    """Raise ValueError where masks do not fit pictures of a shape (T, h, w)."""
    count, height, width = shape
    if masks.ndim != 3 or masks.dtype != bool or len(masks) != count:
        raise ValueError(
            f"masks: expected ({count}, H, W) bool, one mask per frame, found "
            f"{masks.dtype} of shape {masks.shape}."
        )
    enlargement = max((height, width)) / max(masks.shape[1:])
    off = np.abs(np.array(masks.shape[1:]) * enlargement - (height, width))  # px of the pictures
    if (off > np.maximum(TOLERANCE * np.array([height, width]), 1)).any():
        raise ValueError(
            f"masks: expected the proportions of the pictures, {height} x {width} px, found "
            f"{masks.shape[1]} x {masks.shape[2]} px. Resize the masks to the frames' own size."
        )


def _draw_outline(
    picture: np.ndarray, mask: np.ndarray, colour: tuple[int, int, int], fill: float
) -> None:
    size = (picture.shape[1], picture.shape[0])
    # The mask is enlarged as a grey picture: its edge at half the grey range has no stairs.
    soft = cv2.resize(mask.astype(np.uint8) * 255, size, interpolation=cv2.INTER_LINEAR)
    inside = (soft > 127).astype(np.uint8)
    if fill > 0:
        tint = np.full_like(picture, colour)
        cv2.copyTo(cv2.addWeighted(picture, 1 - fill, tint, fill, 0), inside, picture)
    contours, _ = cv2.findContours(inside, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.polylines(picture, contours, True, colour, 1, cv2.LINE_AA)


def beside_curve(
    pictures: np.ndarray | Film, draw: "Callable[[Axes], object]", times: np.ndarray
) -> Film:
    """Add a curve on the right of a clip's pictures; each picture shows the curve up to its time.

    A white line marks the time; the rest of the curve is faint. pictures: (T, h, w, 3) uint8 RGB.
    draw: function that draws curve, title and legend into dark axes; it is called once. times:
    (T,) place of each picture on the x axis. Returns a film of (T, h, w + 560, 3).
    """
    count, height, width, _ = pictures.shape
    bright, faint, columns = _curve_pictures(draw, times, height)
    _, bottom, _, panel_height = PANEL
    top, end = (round(height * (1 - bottom - share * panel_height)) for share in (LOWER, 0))

    def draw_both(index: int) -> np.ndarray:
        both = np.empty((height, width + CURVE_WIDTH, 3), np.uint8)
        both[:, :width] = pictures[index]
        panel, column = both[:, width:], columns[index]
        panel[:, :column] = bright[:, :column]
        panel[:, column:] = faint[:, column:]
        panel[top:end, column] = 255
        return both

    return Film((count, height, width + CURVE_WIDTH, 3), draw_both)


def _curve_pictures(
    draw: "Callable[[Axes], object]", times: np.ndarray, height: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pictures (h, w, 3) uint8 of the bright and the faint curve, and columns (T,) of the times."""
    # imported here, because outlines, videos and GIFs need no matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    size = (CURVE_WIDTH / 100, height / 100)
    # matplotlib's stubs leave "none" out
    figure = Figure(figsize=size, dpi=100, facecolor=DARK, layout="none")  # type: ignore[arg-type]
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes(PANEL, facecolor=DARK)
    draw(axes)
    darken(axes)
    pictures = []
    for opacity in (None, AHEAD_OPACITY):
        if opacity is not None:
            for artist in [*axes.lines, *axes.patches, *axes.collections, *axes.texts]:
                artist.set_alpha(opacity)
        canvas.draw()
        pictures.append(np.asarray(canvas.buffer_rgba())[..., :3].copy())
    places = axes.transData.transform(np.stack([times, np.zeros(len(times))], axis=1))
    columns = np.clip(np.rint(places[:, 0]).astype(int), 0, CURVE_WIDTH - 1)
    return *pictures, columns


def darken(axes: "Axes") -> None:
    """Give the texts, ticks, border and legend of axes colours for a dark background."""
    from matplotlib.text import Text

    for text in axes.findobj(Text):
        text.set_color(LIGHT)
    axes.tick_params(colors=LIGHT, labelsize=9)
    axes.spines[:].set_color(LIGHT)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(False)
    if (legend := axes.get_legend()) is not None:
        legend.get_frame().set_visible(False)
