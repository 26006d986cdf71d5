"""A clip to leaf through in a notebook, and the same view as one still picture.

All frames are sent to the page once; from then on the page draws by itself, so that a key press
shows within a few milliseconds and playing needs no kernel.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import anywidget
import cv2
import numpy as np
import traitlets

from echolib.overlay import PALETTE, add_outlines, enlarge

TILE_SIZE = 224  # px, the longer side of a frame in a contact sheet
CAPTION_HEIGHT = 18  # px, below each frame

_STYLE = """
.echolib-browser { display: inline-flex; flex-direction: column; gap: 6px; max-width: 100%;
  color: var(--jp-ui-font-color1, CanvasText); font: 13px var(--jp-ui-font-family, sans-serif); }
.echolib-browser canvas { display: block; max-width: 100%; background: black; cursor: pointer; }
.echolib-browser .row { display: flex; flex-wrap: wrap; align-items: center; gap: 8px; }
.echolib-browser .status { min-height: 1.3em; font-variant-numeric: tabular-nums; }
.echolib-browser .title { font-weight: 600; }
.echolib-browser button, .echolib-browser select { color: inherit; font: inherit;
  min-width: 2.4em; padding: 3px 6px; border-radius: 3px; cursor: pointer;
  background: var(--jp-layout-color2, ButtonFace);
  border: 1px solid var(--jp-border-color1, gray); }
.echolib-browser input[type=range] { flex: 1; min-width: 120px;
  accent-color: var(--jp-brand-color1, auto); }
.echolib-browser :focus-visible { outline: 2px solid var(--jp-brand-color1, Highlight); }
.echolib-browser .swatch { display: inline-block; width: 1.1em; height: 0.7em; margin: 0 4px;
  border-radius: 2px; border: 1px solid rgba(0, 0, 0, 0.5); }
"""


class FrameBrowser(anywidget.AnyWidget):
    """Leaf through a clip with buttons, a slider, or the keys left, right, space, home and end.

    frames: (T, H, W) uint8
    masks: outlines by name, each (T, H, W) bool, to be switched on and off in the page
    fps: the clip's own rate, at which it plays
    labels: a text for each frame, for example "end-diastole"
    title: a line above the picture

    `index` is the frame shown, and may be set or observed; while the clip plays it stays, and is
    brought up to date when it stops. Raises ValueError when shapes do not match.
    """

    _esm = Path(__file__).with_name("browser.js")
    _css = _STYLE

    index = traitlets.Int(0).tag(sync=True)
    fps = traitlets.Float(50.0).tag(sync=True)
    title = traitlets.Unicode("").tag(sync=True)
    labels = traitlets.List(traitlets.Unicode()).tag(sync=True)
    _shape = traitlets.List(traitlets.Int()).tag(sync=True)
    _pixels = traitlets.Bytes(b"").tag(sync=True)
    _mask_names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    _mask_colours = traitlets.List(traitlets.Unicode()).tag(sync=True)
    _mask_bits = traitlets.List(traitlets.Bytes()).tag(sync=True)

    def __init__(
        self,
        frames: np.ndarray,
        masks: Mapping[str, np.ndarray] | None = None,
        fps: float | None = 50,
        labels: Sequence[str] | None = None,
        title: str = "",
    ) -> None:
        masks = dict(masks or {})
        _check(frames, masks, labels)
        if fps is not None and not 0 < fps < np.inf:
            raise ValueError(f"fps: expected a rate above 0, or None where unknown, found {fps}.")
        self._frames, self._masks = frames, masks
        super().__init__(
            fps=float(fps or 50),
            title=title,
            labels=[str(label) for label in labels] if labels is not None else [],
            _shape=list(frames.shape),
            _pixels=np.ascontiguousarray(frames).tobytes(),
            _mask_names=list(masks),
            _mask_colours=["rgb({}, {}, {})".format(*colour) for colour in _colours(masks)],
            # One bit a pixel, over all frames in C order, lowest bit first.
            _mask_bits=[np.packbits(mask, bitorder="little").tobytes() for mask in masks.values()],
        )

    @traitlets.validate("index")
    def _index_inside(self, proposal: traitlets.Bunch) -> int:
        """An index before or past the clip means its first or last frame."""
        return min(max(proposal.value, 0), len(self._frames) - 1)

    def static(
        self, indices: Sequence[int] | None = None, count: int = 6, columns: int = 3
    ) -> np.ndarray:
        """The view as a picture (h, w, 3) uint8 RGB, for pages that show no widgets."""
        return static_sheet(
            self._frames, self._masks, count, indices, columns, self.fps, self.labels or None
        )


def static_sheet(
    frames: np.ndarray,
    masks: Mapping[str, np.ndarray] | None = None,
    count: int = 6,
    indices: Sequence[int] | None = None,
    columns: int = 3,
    fps: float | None = None,
    labels: Sequence[str] | None = None,
) -> np.ndarray:
    """Frames side by side with their outlines, and below each its number, time and label.

    frames, masks, fps, labels: as for FrameBrowser; without fps no time is printed
    indices: the frames to show; by default `count` frames spread over the whole clip
    Returns (h, w, 3) uint8 RGB. Raises ValueError when shapes do not match.
    """
    masks = dict(masks or {})
    _check(frames, masks, labels)
    if indices is None:
        count = min(max(count, 1), len(frames))
        indices = np.linspace(0, len(frames) - 1, count).round().astype(int)
    indices = [int(index) for index in indices]
    wrong = [index for index in indices if not 0 <= index < len(frames)]
    if wrong or not indices:
        raise ValueError(
            f"indices: expected frames from 0 to {len(frames) - 1}, found {wrong or 'none'}."
        )
    pictures = enlarge(frames[indices], TILE_SIZE / max(frames.shape[1:]))
    for mask, colour in zip(masks.values(), _colours(masks), strict=True):
        add_outlines(pictures, mask[indices], colour)
    captions = [_caption(index, fps, labels) for index in indices]
    return _grid([_captioned(*pair) for pair in zip(pictures, captions, strict=True)], columns)


def _caption(index: int, fps: float | None, labels: Sequence[str] | None) -> str:
    parts = [f"frame {index}"]
    if fps:
        parts.append(f"{index / fps:.2f} s")
    if labels is not None and labels[index]:
        parts.append(str(labels[index]))
    return ", ".join(parts)


def _captioned(picture: np.ndarray, caption: str) -> np.ndarray:
    tile = np.pad(picture, ((0, CAPTION_HEIGHT), (0, 0), (0, 0)))
    place = (4, len(tile) - 5)
    cv2.putText(
        tile, caption, place, cv2.FONT_HERSHEY_SIMPLEX, 0.4, (230, 230, 230), 1, cv2.LINE_AA
    )
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


def _colours(masks: Mapping[str, np.ndarray]) -> list[tuple[int, int, int]]:
    return [PALETTE[number % len(PALETTE)] for number in range(len(masks))]


def _check(
    frames: np.ndarray, masks: Mapping[str, np.ndarray], labels: Sequence[str] | None
) -> None:
    if frames.ndim != 3 or frames.dtype != np.uint8 or 0 in frames.shape:
        raise ValueError(
            f"frames: expected (T, H, W) uint8, found {frames.dtype} of shape {frames.shape}."
        )
    for name, mask in masks.items():
        if mask.shape != frames.shape or mask.dtype != bool:
            raise ValueError(
                f"masks[{name!r}]: expected {frames.shape} bool, as the frames, found "
                f"{mask.dtype} of shape {mask.shape}."
            )
    if labels is not None and len(labels) != len(frames):
        raise ValueError(
            f"labels: expected one for each of {len(frames)} frames, found {len(labels)}."
        )
