"""A view as the page gets it: a header that JSON can hold, and compressed parts of some frames.

A part is one zlib stream, which browsers inflate by themselves, over these arrays one after the
other: frames (uint8), then of every layer masks (a bit a pixel, lowest first, every row from a
new byte), heat (uint8), points and segments (float32). `page/clip.js` reads it.
"""

import zlib
from itertools import count

import numpy as np

from .view import DIFFERENCE, Curve, Layer, View

PART_BYTES = 2 * 2**20  # of frames in one part, before compression
AT_ONCE = 16 * 2**20  # of frames in the first message; the rest follows when the page asks
UNKNOWN_RATE = 25.0  # frames a second at which a clip plays whose own rate nobody knows
LEAFING_RATE = 2.0  # the same of single frames that are no film
WHITE = (255, 255, 255)

_serials = count(1)


class EncodedView:
    """A view ready to be sent; every part is compressed when it is asked for.

    header: what JSON can hold. serial: a number that no other encoded view of this process has.
    """

    def __init__(self, view: View) -> None:
        """Work out the header: areas, Dice and curves of all frames."""
        self._view = view
        self.serial = next(_serials)
        self._size = max(1, PART_BYTES // view.frames[0].size)  # frames in a part
        self.header = self._header()

    def __len__(self) -> int:
        """Number of parts."""
        return -(-len(self._view.frames) // self._size)

    def part(self, number: int) -> bytes:
        """Part `number` from 0, compressed. Raises IndexError where there is none."""
        if not 0 <= number < len(self):
            raise IndexError(f"Part {number} of {len(self)} parts was asked for.")
        some = slice(number * self._size, (number + 1) * self._size)
        arrays = [self._view.frames[some]]
        for layer in self._view.layers:
            if layer.masks is not None:
                arrays.append(np.packbits(layer.masks[some], axis=-1, bitorder="little"))
            if layer.heat is not None:
                arrays.append(layer.heat[some])
            for lines in (layer.points, layer.segments):
                if lines is not None:
                    arrays.append(np.asarray(lines[some], "<f4"))
        return zlib.compress(b"".join(array.tobytes() for array in arrays), 1)

    def content(self, whole: bool = False) -> dict:
        """The header with its first parts, or with all: bytes, None where they are to follow."""
        at_once = len(self) if whole else max(1, AT_ONCE // PART_BYTES)
        parts = [self.part(n) if n < at_once else None for n in range(len(self))]
        return {**self.header, "parts": parts}

    def _header(self) -> dict:
        view = self._view
        truth = view.truth
        known = [] if truth is None else np.flatnonzero(truth.known_frames(len(view)))
        rate = UNKNOWN_RATE if view.fps is None else view.fps
        return {
            "serial": self.serial,
            "clip": view.name,
            "shape": list(view.frames.shape),
            "part": self._size,
            "fps": view.fps,
            "rate": rate if view.numbers is None else LEAFING_RATE,
            "numbers": None if view.numbers is None else [int(n) for n in view.numbers],
            "labels": None if view.labels is None else [str(label) for label in view.labels],
            "marks": [[int(frame), str(word)] for frame, word in sorted(view.marks.items())],
            "labelled": [int(frame) for frame in known],
            "layers": self._layers(),
            "curves": [_curve(curve) for curve in view.all_curves],
        }

    def _layers(self) -> list[dict]:
        view = self._view
        layers = [self._layer(layer) for layer in view.layers]
        models = [x for x in view.layers if x.role in ("model", "leaflets") and x.masks is not None]
        if view.truth is not None and models:
            nothing = {"masks": False, "heat": False, "points": 0, "segments": 0}
            nothing |= {"known": None, "areas": None, "dice": None, "unit": ""}
            layers.append({"name": DIFFERENCE, "role": DIFFERENCE, "rgb": list(WHITE), **nothing})
        return layers

    def _layer(self, layer: Layer) -> dict:
        view, masked = self._view, layer.masks is not None
        unit, square = view.area_unit
        scored = masked and view.truth is not None and layer is not view.truth
        return {
            "name": layer.name,
            "role": layer.role,
            "rgb": [int(value) for value in layer.colour],
            "masks": masked,
            "heat": layer.heat is not None,
            "points": 0 if layer.points is None else layer.points.shape[1],
            "segments": 0 if layer.segments is None else layer.segments.shape[1],
            "known": None if layer.known is None else [int(known) for known in layer.known],
            "areas": _numbers(view.area(layer) * square) if masked else None,
            "unit": unit,
            "dice": _numbers(view.dice(layer)) if scored else None,
        }


def _curve(curve: Curve) -> dict:
    rgb = [int(value) for value in curve.colour]
    return {"name": curve.name, "unit": curve.unit, "rgb": rgb, "values": _numbers(curve.values)}


def _numbers(values: np.ndarray) -> list[float | None]:
    """Values of four digits, as JSON has them: what is unknown is null."""
    return [float(f"{value:.4g}") if np.isfinite(value) else None for value in values]
