"""What is shown of one clip: its frames, what is drawn over them, and curves over time.

Points are (x, y) in px, pixel centres at integers. NaN is what is not known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from numbers import Integral, Real

import numpy as np

from ..errors import DataError
from ..figures.overlay import GREEN, PALETTE, PINK
from ..metrics import dice
from ..valve.opening import opening_curve

Colour = tuple[int, int, int]

ROLES = ("truth", "model", "tracing", "leaflets", "doubt", "other")
SKY, ORANGE, YELLOW, VERMILION = PALETTE[2:]
# Of the first of its role. Pink is what a network found and green what an expert drew, as in all
# figures; a tracing is the expert's too, but must be seen on top of its own green outline.
ROLE_COLOURS = {
    "truth": GREEN, "model": PINK, "tracing": YELLOW, "leaflets": ORANGE, "doubt": VERMILION,
}  # fmt: skip
OTHER_COLOURS = (SKY, ORANGE, VERMILION, YELLOW)
DIFFERENCE = "difference"  # an overlay that the page adds by itself


@dataclass(frozen=True, eq=False)
class Layer:
    """Something drawn over T frames of (H, W) px, switched on and off by its name.

    masks: (T, H, W) bool, outlined
    points: (T, K, 2) px, dots; NaN where a frame has none
    segments: (T, n, 2, 2) px, lines between two points each; NaN where a frame has none
    heat: (T, H, W) uint8, from 0, transparent, to 255
    role: "truth", "model", "tracing", "leaflets", "doubt" or "other"
    known: (T,) bool, the frames in which there is something to know; None for all of them
    colour: RGB, 0 to 255; None leaves it to the view
    on: whether it is shown at first
    """

    name: str
    masks: np.ndarray | None = None
    points: np.ndarray | None = None
    segments: np.ndarray | None = None
    heat: np.ndarray | None = None
    role: str = "model"
    known: np.ndarray | None = None
    colour: Colour | None = None
    on: bool = True

    def known_frames(self, count: int) -> np.ndarray:
        """(T,) bool: the frames, of `count`, in which there is something to know."""
        return np.ones(count, bool) if self.known is None else self.known


@dataclass(frozen=True, eq=False)
class Curve:
    """A value for each of T frames: values (T,), NaN where unknown.

    Curves of one unit share one diagram. colour: RGB; None leaves it to the view.
    """

    name: str
    values: np.ndarray
    unit: str = ""
    colour: Colour | None = None


@dataclass(frozen=True, eq=False)
class View:
    """One clip as it is shown. Its layers and curves have colours.

    frames: (T, H, W) uint8; fps: frames a second; spacing: mm per px; None where unknown
    layers, curves: drawn over the frames, and below them
    marks: words by index of the frame, "ED", "ES" or others
    labels: a text for each frame, or None
    numbers: (T,) whole numbers of the frames in their clip, where these are only some of it

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

    def __post_init__(self) -> None:
        """Check every field, and give colours to the layers and curves that have none."""
        _check_frames(self)
        for name in ("fps", "spacing"):
            _check_positive(self, name)
        layers, curves = tuple(self.layers), tuple(self.curves)
        _check_layers(self, layers)
        _check_curves(self, curves)
        layers = _coloured(_with_tuples(self, "layer", layers))
        known = {
            "layers": layers,
            "curves": _coloured_curves(_with_tuples(self, "curve", curves), layers),
            "marks": _checked_marks(self),
            "labels": _checked_labels(self),
            "numbers": _checked_numbers(self),
        }
        for name, value in known.items():
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.frames)

    @property
    def truth(self) -> Layer | None:
        """The expert's masks, where there are any."""
        return next((x for x in self.layers if x.role == "truth" and x.masks is not None), None)

    @property
    def area_unit(self) -> tuple[str, float]:
        """The unit that areas are shown in, and what a px² is in it."""
        return ("px²", 1.0) if self.spacing is None else ("cm²", (self.spacing / 10) ** 2)

    def area(self, layer: Layer) -> np.ndarray:
        """(T,) px² that a layer's masks cover, NaN where they are not known."""
        areas = np.full(len(self), np.nan)
        for frame in np.flatnonzero(self._known(layer)):
            areas[frame] = np.count_nonzero(layer.masks[frame])
        return areas

    def dice(self, layer: Layer) -> np.ndarray:
        """(T,) Dice of a layer's masks and the truth, NaN where one of them is not known."""
        scores = np.full(len(self), np.nan)
        truth = self.truth
        if truth is not None:
            for frame in np.flatnonzero(self._known(layer) & self._known(truth)):
                scores[frame] = dice(layer.masks[frame], truth.masks[frame])
        return scores

    @cached_property
    def all_curves(self) -> tuple[Curve, ...]:
        """The curves given, and those that the masks tell of: areas, and a valve's opening.

        Areas are in cm² where the spacing is known, else in px². What is known in no frame is
        left out, and so is what was given under the same name and unit.
        """
        given = {(curve.name, curve.unit) for curve in self.curves}
        told = [self._curve_of(layer) for layer in self.layers if layer.masks is not None]
        told = [c for c in told if c and np.isfinite(c.values).any()]
        return (*self.curves, *(c for c in told if (c.name, c.unit) not in given))

    def _curve_of(self, layer: Layer) -> Curve | None:
        if layer.role == "leaflets":
            opening = opening_curve(np.asarray(layer.masks), self.fps).smooth
            values = np.where(self._known(layer), opening, np.nan)
            return Curve(layer.name, values, "of annulus", layer.colour)
        if layer.role not in ("truth", "model", "other"):
            return None
        unit, size = self.area_unit
        return Curve(layer.name, self.area(layer) * size, unit, layer.colour)

    def _known(self, layer: Layer) -> np.ndarray:
        """(T,) bool: the frames in which a layer's masks mean something."""
        if layer.masks is None:
            raise ValueError(f"Layer {layer.name!r} has no masks: there is nothing to measure.")
        return layer.known_frames(len(self))


# --- Checks -------------------------------------------------------------------------------------


def _wrong(view: View, what: str, expected: str, found: object) -> DataError:
    return DataError(f"Clip {view.name!r}, {what}: expected {expected}, found {found}")


def _kind(value: object) -> str:
    if not isinstance(value, np.ndarray):
        return f"{type(value).__name__}."
    return f"{value.dtype} of shape {value.shape}."


def _check_array(view: View, what: str, value: object, shape: tuple, kind: str) -> None:
    """An array of that shape, None being any size. kind: "bool", "uint8" or "numbers"."""
    sound = isinstance(value, np.ndarray) and value.ndim == len(shape)
    if sound:
        sizes = zip(value.shape, shape, strict=True)
        sound = all(wanted in (None, size) for size, wanted in sizes)
        sound &= value.dtype.kind in "iuf" if kind == "numbers" else value.dtype == kind
    if not sound:
        sizes = ", ".join("n" if size is None else str(size) for size in shape)
        sizes += "," if len(shape) == 1 else ""
        expected = f"({sizes}) {kind} for a clip of {len(view)} frames"
        raise _wrong(view, what, expected, _kind(value))


def _check_frames(view: View) -> None:
    frames = view.frames
    if not isinstance(frames, np.ndarray) or frames.dtype != np.uint8 or frames.ndim != 3:
        advice = "Convert colour to grey and scale to 0..255 first; bring frames to one size."
        raise _wrong(view, "frames", "(T, H, W) uint8", f"{_kind(frames)} {advice}")
    if 0 in frames.shape:
        expected = "at least one frame of at least one pixel"
        raise _wrong(view, "frames", expected, f"an empty clip of shape {frames.shape}.")


def _check_positive(view: View, name: str) -> None:
    value = getattr(view, name)
    if value is not None and not (isinstance(value, Real) and np.isfinite(value) and value > 0):
        raise _wrong(view, name, "a number above 0, or None where unknown", f"{value!r}.")


def _check_layers(view: View, layers: tuple[Layer, ...]) -> None:
    names = [layer.name for layer in layers]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise _wrong(view, "layers", "a name for each", f"several called {twice}. Rename them.")
    truths = [layer.name for layer in layers if layer.role == "truth"]
    if len(truths) > 1:
        remedy = "Give the others the role 'other'."
        raise _wrong(view, "layers", "one truth at most", f"{truths}. {remedy}")
    for layer in layers:
        _check_layer(view, layer)


def _check_layer(view: View, layer: Layer) -> None:
    where, shape, count = f"layer {layer.name!r}", view.frames.shape, len(view)
    if layer.name == DIFFERENCE:
        raise _wrong(view, where, "another name", "one that the page uses itself. Rename it.")
    if layer.role not in ROLES:
        raise _wrong(view, where, f"a role of {ROLES}", f"{layer.role!r}.")
    expected = {
        "masks": (shape, "bool"), "heat": (shape, "uint8"), "points": ((count, None, 2), "numbers"),
        "segments": ((count, None, 2, 2), "numbers"), "known": ((count,), "bool"),
    }  # fmt: skip
    given = {name: getattr(layer, name) for name in expected}
    given = {name: value for name, value in given.items() if value is not None}
    if not given.keys() - {"known"}:
        raise _wrong(view, where, "masks, points, segments or heat", "none of them.")
    for name, value in given.items():
        _check_array(view, f"{where}, {name}", value, *expected[name])


def _check_curves(view: View, curves: tuple[Curve, ...]) -> None:
    kinds = [(curve.name, curve.unit) for curve in curves]
    twice = sorted({name for name, unit in kinds if kinds.count((name, unit)) > 1})
    if twice:
        raise _wrong(view, "curves", "a name for each", f"several called {twice}. Rename them.")
    for curve in curves:
        where = f"curve {curve.name!r}"
        _check_array(view, where, curve.values, (len(view),), "numbers")
        if np.isinf(curve.values).any():
            remedy = "Make what is unknown NaN."
            raise _wrong(view, where, "finite values or NaN", f"infinite ones. {remedy}")
        if np.isnan(curve.values).all():
            found = "NaN alone: nothing of it is known. Leave the curve out."
            raise _wrong(view, where, "at least one value", found)


def _checked_marks(view: View) -> dict[int, str]:
    last = len(view) - 1
    if not isinstance(view.marks, Mapping):
        raise _wrong(view, "marks", "a mapping {index of a frame: word}", _kind(view.marks))
    for frame in view.marks:
        if not (isinstance(frame, Integral) and 0 <= frame <= last):
            expected = f"indices of frames from 0 to {last}"
            raise _wrong(view, "marks", expected, f"{frame!r} ({view.marks[frame]}).")
    return {int(frame): str(word) for frame, word in sorted(view.marks.items())}


def _checked_labels(view: View) -> tuple[str, ...] | None:
    if view.labels is None:
        return None
    if isinstance(view.labels, str) or len(view.labels) != len(view):
        found = f"{len(view.labels)}." if not isinstance(view.labels, str) else "a single text."
        raise _wrong(view, "labels", f"a text for each of {len(view)} frames", found)
    return tuple("" if label is None else str(label) for label in view.labels)


def _checked_numbers(view: View) -> np.ndarray | None:
    if view.numbers is None:
        return None
    numbers = np.asarray(view.numbers)
    if numbers.shape != (len(view),) or numbers.dtype.kind not in "iu" or numbers.min() < 0:
        expected = f"({len(view)},) whole numbers from 0, one for each frame"
        raise _wrong(view, "numbers", expected, _kind(numbers))
    return numbers


# --- Colours ------------------------------------------------------------------------------------


def _with_tuples(view: View, kind: str, drawn: tuple) -> tuple:
    """Layers or curves, the colours that were given checked and as tuples."""
    checked = []
    for one in drawn:
        if one.colour is not None:
            values = np.asarray(one.colour)
            whole = values.shape == (3,) and values.dtype.kind in "iu"
            if not whole or values.min() < 0 or values.max() > 255:
                expected = "RGB, three whole numbers from 0 to 255"
                raise _wrong(view, f"{kind} {one.name!r}, colour", expected, f"{one.colour!r}.")
            one = replace(one, colour=tuple(values.tolist()))
        checked.append(one)
    return tuple(checked)


def _coloured(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """The layers, each with a colour: the first of a role its role's, the others what is left.

    All tracings share theirs: points and chords belong together.
    """
    used = {layer.colour for layer in layers if layer.colour}
    chosen: dict[int, Colour] = {}
    for number, layer in enumerate(layers):
        colour = ROLE_COLOURS.get(layer.role)
        if layer.colour or colour is None:
            continue
        if colour not in used or layer.role == "tracing":
            chosen[number] = colour
            used.add(colour)
    for number, layer in enumerate(layers):
        if layer.colour is None and number not in chosen:
            chosen[number] = _unused(used, number)
            used.add(chosen[number])
    return tuple(replace(x, colour=x.colour or chosen[n]) for n, x in enumerate(layers))


def _unused(used: set[Colour], number: int) -> Colour:
    """A colour not in use; where all are, one of them."""
    left = [colour for colour in OTHER_COLOURS if colour not in used]
    return left[0] if left else OTHER_COLOURS[number % len(OTHER_COLOURS)]


def _coloured_curves(curves: tuple[Curve, ...], layers: tuple[Layer, ...]) -> tuple[Curve, ...]:
    """The curves, each with a colour: that of the layer of its name, or one that is left."""
    named = {layer.name: layer.colour for layer in layers}
    used = set(named.values()) | {curve.colour for curve in curves if curve.colour}
    coloured = []
    for number, curve in enumerate(curves):
        colour = curve.colour or named.get(curve.name) or _unused(used, number)
        used.add(colour)
        coloured.append(replace(curve, colour=colour))
    return tuple(coloured)
