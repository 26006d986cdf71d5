"""The frame browser's view as one still picture, for pages that show no widgets."""

from collections.abc import Sequence

import cv2
import numpy as np

from ..figures.overlay import add_outlines, enlarge
from .view import Layer, View

TILE_SIZE = 224  # px, the longer side of a frame in a contact sheet
SHORTEST_SIDE = 30  # px of a tile at least, so that a long thin frame keeps its proportions
CAPTION_HEIGHT = 18  # px, below each frame
MARGIN = 4  # px, left and right of a caption
FONT, FONT_SIZE = cv2.FONT_HERSHEY_SIMPLEX, 0.4
CUT = "..."  # OpenCV's fonts know ASCII alone
SUBPIXEL = 4  # bits behind the point of coordinates that OpenCV draws at
DOT = 1.3  # px, radius of a point
HEAT_OPACITY = 0.7  # of the strongest heat


def contact_sheet(
    view: View,
    count: int = 6,
    frames: Sequence[int] | None = None,
    columns: int = 3,
    layers: Sequence[str] | None = None,
) -> np.ndarray:
    """Frames side by side with what is drawn over them, and below each its number, time and mark.

    frames: indices of those shown; by default `count` of them spread over the whole clip, with
        marked ones in the place of their neighbours
    layers: names of those drawn, by default all that are on at first
    Returns (h, w, 3) uint8 RGB. Raises ValueError for frames or layers that there are not.
    """
    if columns < 1:
        raise ValueError(f"columns: expected 1 or more, found {columns}.")
    chosen, drawn = _chosen(view, count, frames), _drawn(view, layers)
    size = view.frames.shape[1:]
    scale = max(TILE_SIZE / max(size), SHORTEST_SIDE / min(size))
    pictures = enlarge(np.asarray(view.frames[chosen]), scale)
    for layer in drawn:
        _draw(pictures, layer, chosen, size)
    captions = [_caption(view, index) for index in chosen]
    return _grid([_captioned(*pair) for pair in zip(pictures, captions, strict=True)], columns)


def _chosen(view: View, count: int, frames: Sequence[int] | None) -> list[int]:
    last = len(view) - 1
    if frames is None:
        spread = np.linspace(0, last, min(max(count, 1), last + 1)).round().astype(int)
        return _with_marks(spread.tolist(), view)
    chosen = [int(index) for index in frames]
    wrong = [index for index in chosen if not 0 <= index <= last]
    if wrong or not chosen:
        raise ValueError(
            f"frames: expected frames of {view.name!r} from 0 to {last}, found {wrong or 'none'}."
        )
    return chosen


def _with_marks(spread: list[int], view: View) -> list[int]:
    """The frames, each marked one in the place of the nearest that is not marked itself."""
    for frame in view.marks:
        others = [place for place, index in enumerate(spread) if index not in view.marks]
        if frame not in spread and others:
            spread[min(others, key=lambda place: abs(spread[place] - frame))] = frame
    return sorted(spread)


def _drawn(view: View, layers: Sequence[str] | None) -> list[Layer]:
    known = {layer.name: layer for layer in view.layers}
    if layers is None:
        return [layer for layer in view.layers if layer.on]
    wrong = [name for name in layers if name not in known]
    if wrong:
        raise ValueError(f"layers: expected some of {list(known)} of {view.name!r}, found {wrong}.")
    return [layer for layer in view.layers if layer.name in layers]


# --- Drawing ------------------------------------------------------------------------------------


def _draw(pictures: np.ndarray, layer: Layer, chosen: Sequence[int], size: tuple[int, int]) -> None:
    """Draw a layer of frames (H, W) = size into pictures (n, h, w, 3) of the chosen ones."""
    enlarged = np.divide(pictures.shape[2:0:-1], size[::-1])  # x, y
    for picture, index in zip(pictures, chosen, strict=True):
        if layer.known is not None and not layer.known[index]:
            continue
        if layer.heat is not None:
            _tint(picture, layer.heat[index], layer.colour)
        if layer.masks is not None:
            add_outlines(picture[None], layer.masks[index][None], layer.colour)
        if layer.segments is not None:
            _lines(picture, layer.segments[index], enlarged, layer.colour)
        if layer.points is not None:
            _dots(picture, layer.points[index], enlarged, layer.colour)


def _tint(picture: np.ndarray, heat: np.ndarray, colour: tuple[int, int, int]) -> None:
    size = (picture.shape[1], picture.shape[0])
    share = cv2.resize(heat, size, interpolation=cv2.INTER_LINEAR)[..., None] / 255 * HEAT_OPACITY
    picture[:] = np.rint(picture + share * (np.array(colour) - picture))


def _lines(
    picture: np.ndarray, segments: np.ndarray, enlarged: np.ndarray, colour: tuple[int, int, int]
) -> None:
    for start, end in segments[np.isfinite(segments).all(axis=(1, 2))]:
        ends = (_place(point, enlarged) for point in (start, end))
        cv2.line(picture, *ends, colour, 1, cv2.LINE_AA, SUBPIXEL)


def _dots(
    picture: np.ndarray, points: np.ndarray, enlarged: np.ndarray, colour: tuple[int, int, int]
) -> None:
    radius = round(DOT * 2**SUBPIXEL)
    for point in points[np.isfinite(points).all(axis=1)]:
        place = _place(point, enlarged)
        cv2.circle(picture, place, radius, colour, cv2.FILLED, cv2.LINE_AA, SUBPIXEL)


def _place(point: np.ndarray, enlarged: np.ndarray) -> tuple[int, int]:
    """A point of the frame where OpenCV draws it in the enlarged picture, in parts of a px."""
    place = ((np.asarray(point, float) + 0.5) * enlarged - 0.5) * 2**SUBPIXEL
    return tuple(np.rint(np.clip(place, -(2**24), 2**24)).astype(int).tolist())


# --- Captions and tiles -------------------------------------------------------------------------


def _caption(view: View, index: int) -> str:
    number = index if view.numbers is None else int(view.numbers[index])
    parts = [f"frame {number}"]
    if view.fps:
        parts.append(f"{number / view.fps:.2f} s")
    words = [view.marks.get(index, ""), view.labels[index] if view.labels else ""]
    parts += [word for word in dict.fromkeys(words) if word]
    return ", ".join(parts)


def _fitted(caption: str, width: int) -> str:
    """The caption, or as much of its beginning as fits `width` px, with dots in place of the rest.

    Nothing where not even the dots fit.
    """
    if _width(caption) <= width:
        return caption
    for length in range(len(caption) - 1, -1, -1):
        short = caption[:length].rstrip(" ,") + CUT
        if _width(short) <= width:
            return short
    return ""


def _width(text: str) -> int:
    return cv2.getTextSize(text, FONT, FONT_SIZE, 1)[0][0]


def _captioned(picture: np.ndarray, caption: str) -> np.ndarray:
    tile = np.pad(picture, ((0, CAPTION_HEIGHT), (0, 0), (0, 0)))
    caption = _fitted(caption, tile.shape[1] - 2 * MARGIN)
    place = (MARGIN, len(tile) - 5)
    cv2.putText(tile, caption, place, FONT, FONT_SIZE, (230, 230, 230), 1, cv2.LINE_AA)
    return tile


def _grid(tiles: list[np.ndarray], columns: int) -> np.ndarray:
    """Tiles of one size in rows, with thin white lines between them."""
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    height, width = tiles[0].shape[:2]
    sheet = np.full((rows * (height + 2) - 2, columns * (width + 2) - 2, 3), 255, np.uint8)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        top, left = row * (height + 2), column * (width + 2)
        sheet[top : top + height, left : left + width] = tile
    return sheet
