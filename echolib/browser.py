"""A clip to page and play through in a notebook, and a still picture of it for where none runs.

All frames travel to the browser once, so that stepping never waits for Python; `browser.js`
draws them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import anywidget
import numpy as np
import traitlets

from .overlay import PREDICTION, REFERENCE, draw_outlines

# RGB. A name that the figures know keeps its colour, the others take theirs from OTHER_COLOURS.
NAMED_COLOURS = {"truth": REFERENCE, "reference": REFERENCE, "prediction": PREDICTION}
OTHER_COLOURS = [(86, 180, 233), (230, 159, 0), (240, 228, 66), (213, 94, 0)]

Masks = np.ndarray | Mapping[str, np.ndarray] | None


class FrameBrowser(anywidget.AnyWidget):
    """Page and play through a clip, with the outlines of masks to switch on and off.

    frames: (T, H, W) uint8.
    masks: (T, H, W) bool, or several of them by name ("truth" and "prediction" get the colours
        that they have in the figures).
    fps: frames a second, for playing and for the time that is shown.
    labels: a text for each frame ("ED", "EF 58 %"), "" for none.
    title: a line above the picture.

    Keys, once the picture or the slider has the focus: left and right step, space plays and
    pauses, home and end jump. `browser.frame` is the frame that is shown: set it to go there;
    while the clip plays it is not updated.

    Raises ValueError when shapes, dtypes or lengths do not match.
    """

    _esm = Path(__file__).with_name("browser.js")
    pixels = traitlets.Bytes().tag(sync=True)
    shape = traitlets.List(traitlets.Int()).tag(sync=True)
    bits = traitlets.List(traitlets.Bytes()).tag(sync=True)
    layers = traitlets.List(traitlets.Dict()).tag(sync=True)
    labels = traitlets.List(traitlets.Unicode()).tag(sync=True)
    fps = traitlets.Float().tag(sync=True)
    title = traitlets.Unicode().tag(sync=True)
    frame = traitlets.Int(0).tag(sync=True)

    def __init__(
        self,
        frames: np.ndarray,
        masks: Masks = None,
        fps: float = 50,
        labels: Sequence[str] | None = None,
        title: str = "",
    ) -> None:
        """Check the arrays and hand them to the browser, one byte a pixel, one bit a mask pixel."""
        named = _checked(frames, masks)
        if fps is None or not 0 < fps < np.inf:
            raise ValueError(f"Expected fps above 0, found {fps!r}. Where unknown, give fps=50.")
        labels = [""] * len(frames) if labels is None else [str(label) for label in labels]
        if len(labels) != len(frames):
            raise ValueError(
                f'Expected a label for each of {len(frames)} frames ("" for none), '
                f"found {len(labels)}."
            )
        super().__init__(
            pixels=frames.tobytes(),
            shape=list(frames.shape),
            bits=[np.packbits(mask, bitorder="little").tobytes() for mask in named.values()],
            layers=[
                {"name": name, "colour": "#{:02x}{:02x}{:02x}".format(*colour)}
                for name, colour in _colours(named).items()
            ],
            labels=labels,
            fps=float(fps),
            title=title,
        )

    @traitlets.validate("frame")
    def _within_clip(self, proposal: dict) -> int:
        """The nearest frame that exists."""
        return min(max(proposal["value"], 0), self.shape[0] - 1)


def contact_sheet(frames: np.ndarray, masks: Masks = None, count: int = 6) -> np.ndarray:
    """Frames at equal steps through a clip, side by side with their outlines, as one picture.

    This is what GitHub can show of a FrameBrowser. Frames narrower than 224 px are enlarged.

    frames: (T, H, W) uint8. masks: as for FrameBrowser. count: of frames, at most T are taken.
    Returns (h, w, 3) uint8 RGB. Raises ValueError when shapes or dtypes do not match.
    """
    named = _checked(frames, masks)
    if count < 1:
        raise ValueError(f"Expected a count of 1 or more frames, found {count}.")
    chosen = np.linspace(0, len(frames) - 1, min(count, len(frames))).round().astype(int)
    scale = max(1, -(-224 // frames.shape[2]))
    plain = draw_outlines(frames[chosen], np.zeros_like(frames[chosen], bool), scale=scale)
    pictures = plain.copy()
    for name, colour in _colours(named).items():
        drawn = draw_outlines(frames[chosen], named[name][chosen], colour, scale=scale)
        line = (drawn != plain).any(axis=-1)
        pictures[line] = drawn[line]
    return np.concatenate(list(pictures), axis=1)


def _checked(frames: np.ndarray, masks: Masks) -> dict[str, np.ndarray]:
    """The masks by name. Raises ValueError unless frames and masks are what they should be."""
    if frames.dtype != np.uint8 or frames.ndim != 3 or 0 in frames.shape:
        raise ValueError(
            f"Expected frames (T, H, W) uint8, found {frames.dtype} of shape {frames.shape}. "
            "Of a colour clip give one channel; scale to 0..255 first."
        )
    if masks is None:
        masks = {}
    named = dict(masks) if isinstance(masks, Mapping) else {"mask": masks}
    for name, mask in named.items():
        if mask.shape != frames.shape:
            raise ValueError(
                f"Expected masks {name!r} of the frames' shape {frames.shape}, found {mask.shape}."
                " Give one mask a frame, all False where there is none."
            )
        if mask.dtype != bool:
            raise ValueError(
                f"Expected masks {name!r} of dtype bool, found {mask.dtype}. "
                "Compare with a threshold first, as in `probability > 0.5`."
            )
    return named


def _colours(names: Mapping[str, object]) -> dict[str, tuple[int, int, int]]:
    """A colour (R, G, B) for each name."""
    others = [name for name in names if name not in NAMED_COLOURS]
    chosen = {name: OTHER_COLOURS[i % len(OTHER_COLOURS)] for i, name in enumerate(others)}
    return {name: chosen.get(name) or NAMED_COLOURS[name] for name in names}
