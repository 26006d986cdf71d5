"""A view as the page receives it: a JSON header, and compressed parts that hold some frames each.

A part is one zlib stream, which every browser can inflate without a library. It holds these
arrays in this order: frames (uint8), then for each layer masks (one bit per pixel, lowest bit
first, each row padded to whole bytes), heat (uint8), points and segments (float32,
little-endian). `page/clip.js` reads it.
"""

import hashlib
import zlib
from itertools import count

import numpy as np

from .layer import Curve, Layer
from .view import DIFFERENCE, View, colour_of

PART_BYTES = 2 * 2**20  # bytes of frames in one part, before compression
AT_ONCE = 16 * 2**20  # bytes of frames in the first message; the page asks for the rest
DEFAULT_RATE = 25.0  # frames per second at which a clip of unknown frame rate plays
STILLS_RATE = 2.0  # frames per second at which a view of selected single frames plays
WHITE = (255, 255, 255)

_serials = count(1)


class EncodedView:
    """A view ready to be sent. A part is compressed only when it is requested.

    header: a dict for JSON. serial: a number that is unique among the encoded views of a process.
    """

    def __init__(self, view: View) -> None:
        """Make the header, with the areas, Dice and curves of all frames."""
        self._view = view
        self.serial = next(_serials)
        self._size = max(1, PART_BYTES // view.frames[0].size)  # frames per part
        self.header = self._header()

    def __len__(self) -> int:
        """Number of parts."""
        return -(-len(self._view.frames) // self._size)

    def part(self, number: int) -> bytes:
        """Compress part `number`, counted from 0. Raises IndexError if there is no such part."""
        if not 0 <= number < len(self):
            raise IndexError(f"part: expected a number from 0 to {len(self) - 1}, found {number}.")
        chosen = slice(number * self._size, (number + 1) * self._size)
        arrays = [self._view.frames[chosen]]
        for layer in self._view.layers:
            if layer.masks is not None:
                arrays.append(np.packbits(layer.masks[chosen], axis=-1, bitorder="little"))
            if layer.heat is not None:
                arrays.append(layer.heat[chosen])
            for coordinates in (layer.points, layer.segments):
                if coordinates is not None:
                    arrays.append(np.asarray(coordinates[chosen], "<f4"))
        return zlib.compress(b"".join(array.tobytes() for array in arrays), 1)

    def content(self, whole: bool = False) -> dict:
        """Return the header with the first parts, or with all parts if `whole`, under "parts".

        A part is bytes, or None if it is to be sent later.
        """
        included = len(self) if whole else max(1, AT_ONCE // PART_BYTES)
        parts = [self.part(n) if n < included else None for n in range(len(self))]
        return {**self.header, "parts": parts}

    def _header(self) -> dict:
        view = self._view
        truth = view.truth
        labelled = np.zeros(len(view), bool) if truth is None else truth.is_labelled(len(view))
        rate = DEFAULT_RATE if view.fps is None else view.fps
        return {
            "serial": self.serial,
            "clip": view.name,
            "shape": list(view.frames.shape),
            "digest": _digest(view.frames),
            "part": self._size,
            "fps": view.fps,
            "rate": rate if view.numbers is None else STILLS_RATE,
            "numbers": None if view.numbers is None else [int(n) for n in view.numbers],
            "labels": None if view.labels is None else [str(label) for label in view.labels],
            "marks": [[int(frame), str(mark)] for frame, mark in sorted(view.marks.items())],
            "labelled_frames": np.flatnonzero(labelled).tolist(),
            "start": view.start,
            "layers": self._layers(),
            "curves": [_curve(curve) for curve in view.all_curves],
        }

    def _layers(self) -> list[dict]:
        view = self._view
        layers = [self._layer(layer) for layer in view.layers]
        models = [x for x in view.layers if x.role in ("model", "leaflets") and x.masks is not None]
        if any(view.is_compared(layer) for layer in models):
            layers.append(
                {
                    "name": DIFFERENCE, "role": DIFFERENCE, "rgb": list(WHITE), "masks": False,
                    "heat": False, "points": 0, "segments": 0, "labelled": None, "areas": None,
                    "dice": None, "unit": "",
                }
            )  # fmt: skip
        return layers

    def _layer(self, layer: Layer) -> dict:
        view, has_masks, labelled = self._view, layer.masks is not None, layer.labelled
        unit, square = view.area_unit
        has_dice = has_masks and layer is not view.truth and view.is_compared(layer)
        return {
            "name": layer.name,
            "role": layer.role,
            "rgb": [int(value) for value in colour_of(layer)],
            "masks": has_masks,
            "heat": layer.heat is not None,
            "points": 0 if layer.points is None else layer.points.shape[1],
            "segments": 0 if layer.segments is None else layer.segments.shape[1],
            "labelled": None if labelled is None else [int(value) for value in labelled],
            "areas": _numbers(view.area(layer) * square) if has_masks else None,
            "unit": unit,
            "dice": _numbers(view.dice(layer)) if has_dice else None,
        }


def first_frame(content: dict) -> int:
    """The frame at which a clip opens: `View.start`, the first labelled one, or 0."""
    start = content["start"]
    return next(iter(content["labelled_frames"]), 0) if start is None else start


def _digest(frames: np.ndarray) -> str:
    """A short text that tells clips apart which have one name and size."""
    return hashlib.blake2b(np.ascontiguousarray(frames).data, digest_size=8).hexdigest()


def _curve(curve: Curve) -> dict:
    rgb = [int(value) for value in colour_of(curve)]
    return {"name": curve.name, "unit": curve.unit, "rgb": rgb, "values": _numbers(curve.values)}


def _numbers(values: np.ndarray) -> list[float | None]:
    """Round values to four significant digits for JSON. NaN becomes None (null)."""
    return [float(f"{value:.4g}") if np.isfinite(value) else None for value in values]
