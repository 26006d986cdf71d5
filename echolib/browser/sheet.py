"""A view of the frame browser as one still picture, for pages that cannot show widgets."""

from collections.abc import Sequence

import cv2
import numpy as np

from ..arrays import evenly
from ..figures.overlay import add_outlines, enlarge
from .layer import Layer
from .view import View, colour_of

TILE_SIZE = 224  # px, the longer side of a frame in a contact sheet
SHORTEST_SIDE = 30  # px, smallest side of a picture, so that a long thin frame keeps its shape
CAPTION_HEIGHT = 18  # px, below each frame
MARGIN = 4  # px, left and right of a caption
FONT, FONT_SIZE = cv2.FONT_HERSHEY_SIMPLEX, 0.4
ELLIPSIS = "..."  # OpenCV's fonts have only ASCII characters
SUBPIXEL = 4  # fractional bits of the coordinates passed to OpenCV
DOT_RADIUS = 1.3  # px
HEAT_OPACITY = 0.7  # of the strongest heat


def contact_sheet(
    view: View,
    count: int = 6,
    frames: Sequence[int] | None = None,
    columns: int = 3,
    layers: Sequence[str] | None = None,
) -> np.ndarray:
    """Draw frames side by side with their layers, each captioned with number, time and mark.

    frames: indices of the frames; by default `count` frames spread evenly over the clip, in which
        marked frames replace their nearest neighbours
    columns: tiles per row, at most
    layers: names of the layers; by default all that are on at first
    Returns (h, w, 3) uint8 RGB. Raises ValueError for a frame or layer that does not exist.
    """
    if columns < 1:
        raise ValueError(f"columns: expected 1 or more, found {columns}.")
    chosen, drawn = _chosen_frames(view, count, frames), _chosen_layers(view, layers)
    size = view.frames.shape[1:]
    scale = max(TILE_SIZE / max(size), SHORTEST_SIDE / min(size))
    pictures = enlarge(np.asarray(view.frames[chosen]), scale)
    for layer in drawn:
        _draw(pictures, layer, chosen, size)
    captions = [_caption(view, index) for index in chosen]
    return _grid([_add_caption(*pair) for pair in zip(pictures, captions, strict=True)], columns)


def _chosen_frames(view: View, count: int, frames: Sequence[int] | None) -> list[int]:
    last = len(view) - 1
    if frames is None:
        return _include_marked(evenly(len(view), max(count, 1)).tolist(), view)
    chosen = [int(index) for index in frames]
    wrong = [index for index in chosen if not 0 <= index <= last]
    if wrong or not chosen:
        raise ValueError(
            f"frames: expected frames of {view.name!r} from 0 to {last}, found {wrong or 'none'}."
        )
    return chosen


def _include_marked(spread: list[int], view: View) -> list[int]:
    """Return the frames after each marked frame has replaced the nearest unmarked one."""
    for frame in view.marks:
        unmarked = [number for number, index in enumerate(spread) if index not in view.marks]
        if frame not in spread and unmarked:
            spread[min(unmarked, key=lambda number: abs(spread[number] - frame))] = frame
    return sorted(spread)


def _chosen_layers(view: View, layers: Sequence[str] | None) -> list[Layer]:
    if layers is None:
        return [layer for layer in view.layers if layer.on]
    names = [layer.name for layer in view.layers]
    wrong = [name for name in layers if name not in names]
    if wrong:
        raise ValueError(f"layers: expected names from {names} of {view.name!r}, found {wrong}.")
    return [layer for layer in view.layers if layer.name in layers]


# --- Drawing ------------------------------------------------------------------------------------


def _draw(pictures: np.ndarray, layer: Layer, chosen: Sequence[int], size: tuple[int, int]) -> None:
    """Draw a layer into enlarged pictures (n, h, w, 3) of the chosen frames, in place.

    size: (H, W) of the frames.
    """
    scale = np.divide(pictures.shape[2:0:-1], size[::-1])  # x, y
    colour = colour_of(layer)
    for picture, index in zip(pictures, chosen, strict=True):
        if layer.labelled is not None and not layer.labelled[index]:
            continue
        if layer.heat is not None:
            _tint(picture, layer.heat[index], colour)
        if layer.masks is not None:
            add_outlines(picture[None], layer.masks[index][None], colour)
        if layer.segments is not None:
            _draw_lines(picture, layer.segments[index], scale, colour)
        if layer.points is not None:
            _draw_dots(picture, layer.points[index], scale, colour)


def _tint(picture: np.ndarray, heat: np.ndarray, colour: tuple[int, int, int]) -> None:
    size = (picture.shape[1], picture.shape[0])
    share = cv2.resize(heat, size, interpolation=cv2.INTER_LINEAR)[..., None] / 255 * HEAT_OPACITY
    picture[:] = np.rint(picture + share * (np.array(colour) - picture))


def _draw_lines(
    picture: np.ndarray, segments: np.ndarray, scale: np.ndarray, colour: tuple[int, int, int]
) -> None:
    for start, end in segments[np.isfinite(segments).all(axis=(1, 2))]:
        first, last = _subpixel_point(start, scale), _subpixel_point(end, scale)
        cv2.line(picture, first, last, colour, 1, cv2.LINE_AA, SUBPIXEL)


def _draw_dots(
    picture: np.ndarray, points: np.ndarray, scale: np.ndarray, colour: tuple[int, int, int]
) -> None:
    radius = round(DOT_RADIUS * 2**SUBPIXEL)
    for point in points[np.isfinite(points).all(axis=1)]:
        centre = _subpixel_point(point, scale)
        cv2.circle(picture, centre, radius, colour, cv2.FILLED, cv2.LINE_AA, SUBPIXEL)


def _subpixel_point(point: np.ndarray, scale: np.ndarray) -> tuple[int, int]:
    """Convert a point (x, y) px of the frame to the enlarged picture, in 1 / 2**SUBPIXEL px."""
    position = ((np.asarray(point, float) + 0.5) * scale - 0.5) * 2**SUBPIXEL
    return tuple(np.rint(np.clip(position, -(2**24), 2**24)).astype(int).tolist())


# --- Captions and tiles -------------------------------------------------------------------------


def _caption(view: View, index: int) -> str:
    number = index if view.numbers is None else int(view.numbers[index])
    parts = [f"frame {number}"]
    if view.fps:
        parts.append(f"{number / view.fps:.2f} s")
    texts = [view.marks.get(index, ""), view.labels[index] if view.labels else ""]
    parts += [text for text in dict.fromkeys(texts) if text]
    return ", ".join(parts)


def _shorten(caption: str, width: int) -> str:
    """Return the caption, cut to fit `width` px and ended by an ellipsis if it is too long.

    Returns "" if not even the ellipsis fits.
    """
    if _width(caption) <= width:
        return caption
    for length in range(len(caption) - 1, -1, -1):
        short = caption[:length].rstrip(" ,") + ELLIPSIS
        if _width(short) <= width:
            return short
    return ""


def _width(text: str) -> int:
    """Width of a text in px."""
    return cv2.getTextSize(text, FONT, FONT_SIZE, 1)[0][0]


def _add_caption(picture: np.ndarray, caption: str) -> np.ndarray:
    """Return a tile: the picture with its caption on a black strip below it."""
    tile = np.pad(picture, ((0, CAPTION_HEIGHT), (0, 0), (0, 0)))
    caption = _shorten(caption, tile.shape[1] - 2 * MARGIN)
    start = (MARGIN, len(tile) - 5)
    cv2.putText(tile, caption, start, FONT, FONT_SIZE, (230, 230, 230), 1, cv2.LINE_AA)
    return tile


def _grid(tiles: list[np.ndarray], columns: int) -> np.ndarray:
    """Arrange tiles of equal size in rows, with thin white lines between them."""
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    height, width = tiles[0].shape[:2]
    sheet = np.full((rows * (height + 2) - 2, columns * (width + 2) - 2, 3), 255, np.uint8)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        top, left = row * (height + 2), column * (width + 2)
        sheet[top : top + height, left : left + width] = tile
    return sheet
