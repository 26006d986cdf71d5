"""One clip to show: its frames, the layers drawn over them, and curves over time.

Points are (x, y) in px, pixel centres at integers. NaN stands for an unknown value.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from numbers import Integral, Real

import numpy as np

from ..errors import DataError
from ..metrics import dice
from ..valve.opening import opening_curve
from .colours import Colour, curve_colours, layer_colours
from .layer import Curve, Layer

ROLES = ("truth", "model", "tracing", "leaflets", "doubt", "other")
DIFFERENCE = "difference"  # name and role of a layer that the page itself adds


@dataclass(frozen=True, eq=False)
class View:
    """One clip to show. After construction, all its layers and curves have colours.

    frames: (T, H, W) uint8
    fps: frames per second; spacing: mm per px; None where unknown
    layers: drawn over the frames; curves: drawn below them
    marks: a short text such as "ED" or "ES" by frame index
    labels: one text per frame, or None
    numbers: (T,) whole frame numbers in the full clip, if `frames` holds only some of its frames
    start: frame at which the clip opens; None for the first labelled one, or the first

    Raises DataError that names the clip and the field that does not fit.
    """

    name: str
    frames: np.ndarray
    fps: float | None = None
    spacing: float | None = None
    layers: tuple[Layer, ...] = ()
    curves: tuple[Curve, ...] = ()
    marks: Mapping[int, str] = field(default_factory=dict)
    labels: Sequence[str] | None = None
    numbers: np.ndarray | None = None
    start: int | None = None

    def __post_init__(self) -> None:
        """Check every field, and give colours to the layers and curves that have none."""
        _check_frames(self)
        layers, curves = tuple(self.layers), tuple(self.curves)
        _check_layers(self, layers)
        _check_curves(self, curves)
        layers = _coloured_layers(_checked_colours(self, "layer", layers))
        checked = {
            "fps": _checked_positive(self, "fps"),
            "spacing": _checked_positive(self, "spacing"),
            "layers": layers,
            "curves": _coloured_curves(_checked_colours(self, "curve", curves), layers),
            "marks": _checked_marks(self),
            "labels": _checked_labels(self),
            "numbers": _checked_numbers(self),
            "start": None if self.start is None else _checked_index(self, "start", self.start),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.frames)

    @property
    def truth(self) -> Layer | None:
        """The layer with the expert's masks, or None."""
        return next((x for x in self.layers if x.role == "truth" and x.masks is not None), None)

    @property
    def area_unit(self) -> tuple[str, float]:
        """The unit in which areas are shown, and the size of one px² in this unit."""
        return ("px²", 1.0) if self.spacing is None else ("cm²", (self.spacing / 10) ** 2)

    def area(self, layer: Layer) -> np.ndarray:
        """Return the area (T,) of a layer's masks in px², NaN in frames that are not labelled.

        Raises ValueError for a layer without masks.
        """
        masks, areas = _masks_of(layer), np.full(len(self), np.nan)
        for frame in np.flatnonzero(layer.is_labelled(len(self))):
            areas[frame] = np.count_nonzero(masks[frame])
        return areas

    def is_compared(self, layer: Layer) -> bool:
        """Whether there is a truth, and it may show the structure that a layer shows."""
        return self.truth is not None and layer.may_show(self.truth.structure)

    def dice(self, layer: Layer) -> np.ndarray:
        """Return the Dice (T,) of a layer's masks and the truth, NaN where either is not labelled.

        All are NaN where the two show different structures. Raises ValueError for a layer without
        masks, if there is a truth.
        """
        scores = np.full(len(self), np.nan)
        truth = self.truth
        if truth is not None and self.is_compared(layer):
            masks, expert = _masks_of(layer), _masks_of(truth)
            both = layer.is_labelled(len(self)) & truth.is_labelled(len(self))
            for frame in np.flatnonzero(both):
                scores[frame] = dice(masks[frame], expert[frame])
        return scores

    @cached_property
    def all_curves(self) -> tuple[Curve, ...]:
        """The view's own curves, then those measured from masks: areas and a valve's opening.

        Areas are in cm² if the spacing is known, else in px². A measured curve is left out if it
        has no finite value, or if one of the view's own curves has the same name and unit.
        """
        own = {(curve.name, curve.unit) for curve in self.curves}
        measured = [self._measure(layer) for layer in self.layers if layer.masks is not None]
        known = [c for c in measured if c is not None and np.isfinite(c.values).any()]
        return (*self.curves, *(c for c in known if (c.name, c.unit) not in own))

    def _measure(self, layer: Layer) -> Curve | None:
        """Return the opening of leaflets, or the area of masks; None for a role without either."""
        if layer.role == "leaflets":
            opening = opening_curve(np.asarray(layer.masks), self.fps).smooth
            values = np.where(layer.is_labelled(len(self)), opening, np.nan)
            return Curve(layer.name, values, "of annulus", layer.colour)
        if layer.role not in ("truth", "model", "other"):
            return None
        unit, size = self.area_unit
        return Curve(layer.name, self.area(layer) * size, unit, layer.colour)


def _masks_of(layer: Layer) -> np.ndarray:
    if layer.masks is None:
        raise ValueError(f"Layer {layer.name!r} has no masks: there is nothing to measure.")
    return layer.masks


def colour_of(item: Layer | Curve) -> Colour:
    """Return the colour of a layer or curve of a view. Raises ValueError if it is in no view."""
    if item.colour is None:
        raise ValueError(f"{item.name!r} has no colour: a view gives colours to its own layers.")
    return item.colour


# --- Checks -------------------------------------------------------------------------------------


def _mismatch(view: View, what: str, expected: str, found: object) -> DataError:
    return DataError(f"Clip {view.name!r}, {what}: expected {expected}, found {found}")


def _describe(value: object) -> str:
    """Describe a value by its type, or an array by its dtype and shape."""
    if not isinstance(value, np.ndarray):
        return f"{type(value).__name__}."
    return f"{value.dtype} of shape {value.shape}."


def _check_array(view: View, what: str, value: object, shape: tuple, kind: str) -> None:
    """Raise DataError unless `value` is an array of this shape, in which None allows any size.

    kind: "bool", "uint8" or "numbers".
    """
    fits = False
    if isinstance(value, np.ndarray) and value.ndim == len(shape):
        fits = value.dtype.kind in "iuf" if kind == "numbers" else value.dtype == kind
        fits &= all(wanted in (None, n) for n, wanted in zip(value.shape, shape, strict=True))
    if not fits:
        sizes = ", ".join("n" if size is None else str(size) for size in shape)
        sizes += "," if len(shape) == 1 else ""
        expected = f"({sizes}) {kind} for a clip of {len(view)} frames"
        raise _mismatch(view, what, expected, _describe(value))


def _check_frames(view: View) -> None:
    frames = view.frames
    if not isinstance(frames, np.ndarray) or frames.dtype != np.uint8 or frames.ndim != 3:
        advice = "Convert colour to grey and scale to 0..255 first; bring frames to one size."
        raise _mismatch(view, "frames", "(T, H, W) uint8", f"{_describe(frames)} {advice}")
    if 0 in frames.shape:
        expected = "at least one frame of at least one pixel"
        raise _mismatch(view, "frames", expected, f"an empty clip of shape {frames.shape}.")


def _checked_positive(view: View, name: str) -> float | None:
    value = getattr(view, name)
    if value is None:
        return None
    number = float(value) if isinstance(value, Real) else np.nan
    if not 0 < number < np.inf:
        raise _mismatch(view, name, "a number above 0, or None if unknown", f"{value!r}.")
    return value if isinstance(value, (int, float)) else number  # JSON knows no other numbers


def _check_unique(view: View, what: str, keys: list) -> None:
    """Raise DataError if two layers or curves have the same key: a name, or name and unit."""
    names = [key if isinstance(key, str) else key[0] for key in keys]
    twice = sorted({name for name, key in zip(names, keys, strict=True) if keys.count(key) > 1})
    if twice:
        found = f"several called {twice}. Rename them."
        raise _mismatch(view, what, "a different name for each", found)


def _check_layers(view: View, layers: tuple[Layer, ...]) -> None:
    _check_unique(view, "layers", [layer.name for layer in layers])
    truths = [layer.name for layer in layers if layer.role == "truth"]
    if len(truths) > 1:
        remedy = "Give the others the role 'other'."
        raise _mismatch(view, "layers", "at most one truth", f"{truths}. {remedy}")
    for layer in layers:
        _check_layer(view, layer)


def _check_layer(view: View, layer: Layer) -> None:
    where, shape, count = f"layer {layer.name!r}", view.frames.shape, len(view)
    if layer.name == DIFFERENCE:
        unused = "a name that the page does not use itself"
        raise _mismatch(view, where, unused, f"{DIFFERENCE!r}. Rename the layer.")
    if layer.role not in ROLES:
        raise _mismatch(view, where, f"one of the roles {ROLES}", f"{layer.role!r}.")
    expected = {
        "masks": (shape, "bool"), "heat": (shape, "uint8"), "points": ((count, None, 2), "numbers"),
        "segments": ((count, None, 2, 2), "numbers"), "labelled": ((count,), "bool"),
    }  # fmt: skip
    given = {name: getattr(layer, name) for name in expected}
    given = {name: value for name, value in given.items() if value is not None}
    if not given.keys() - {"labelled"}:
        raise _mismatch(view, where, "masks, points, segments or heat", "none of them.")
    for name, value in given.items():
        _check_array(view, f"{where}, {name}", value, *expected[name])


def _check_curves(view: View, curves: tuple[Curve, ...]) -> None:
    _check_unique(view, "curves", [(curve.name, curve.unit) for curve in curves])
    for curve in curves:
        where = f"curve {curve.name!r}"
        _check_array(view, where, curve.values, (len(view),), "numbers")
        if np.isinf(curve.values).any():
            found = "infinite values. Replace unknown values by NaN."
            raise _mismatch(view, where, "finite values or NaN", found)
        if np.isnan(curve.values).all():
            raise _mismatch(view, where, "at least one value", "only NaN. Leave the curve out.")


def _checked_index(view: View, what: str, frame: object, more: str = "") -> int:
    index = int(frame) if isinstance(frame, Integral) else -1
    if not 0 <= index < len(view):
        raise _mismatch(view, what, f"a frame from 0 to {len(view) - 1}", f"{frame!r}{more}.")
    return index


def _checked_marks(view: View) -> dict[int, str]:
    if not isinstance(view.marks, Mapping):
        raise _mismatch(view, "marks", "a mapping {frame index: text}", _describe(view.marks))
    found = [(_checked_index(view, "marks", x, f" ({y})"), str(y)) for x, y in view.marks.items()]
    return dict(sorted(found))


def _checked_labels(view: View) -> tuple[str, ...] | None:
    if view.labels is None:
        return None
    if isinstance(view.labels, str) or len(view.labels) != len(view):
        found = f"{len(view.labels)}." if not isinstance(view.labels, str) else "a single text."
        raise _mismatch(view, "labels", f"a text for each of {len(view)} frames", found)
    return tuple("" if label is None else str(label) for label in view.labels)


def _checked_numbers(view: View) -> np.ndarray | None:
    if view.numbers is None:
        return None
    numbers = np.asarray(view.numbers)
    if numbers.shape != (len(view),) or numbers.dtype.kind not in "iu" or numbers.min() < 0:
        expected = f"({len(view)},) whole numbers from 0, one for each frame"
        raise _mismatch(view, "numbers", expected, _describe(numbers))
    return numbers


# --- Colours ------------------------------------------------------------------------------------


def _checked_colours(view: View, kind: str, items: tuple) -> tuple:
    """Return the layers or curves with their own colours as tuples. kind: "layer" or "curve".

    Raises DataError for a colour that is not RGB.
    """
    checked = []
    for item in items:
        if item.colour is not None:
            values = np.asarray(item.colour)
            whole = values.shape == (3,) and values.dtype.kind in "iu"
            if not whole or values.min() < 0 or values.max() > 255:
                expected = "RGB, three whole numbers from 0 to 255"
                where = f"{kind} {item.name!r}, colour"
                raise _mismatch(view, where, expected, f"{item.colour!r}.")
            item = replace(item, colour=tuple(values.tolist()))
        checked.append(item)
    return tuple(checked)


def _coloured_layers(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    colours = layer_colours([x.role for x in layers], [x.colour for x in layers])
    return tuple(replace(x, colour=colour) for x, colour in zip(layers, colours, strict=True))


def _coloured_curves(curves: tuple[Curve, ...], layers: tuple[Layer, ...]) -> tuple[Curve, ...]:
    named = {layer.name: colour_of(layer) for layer in layers}
    colours = curve_colours([x.name for x in curves], [x.colour for x in curves], named)
    return tuple(replace(x, colour=colour) for x, colour in zip(curves, colours, strict=True))
