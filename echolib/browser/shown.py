"""What a caller shows over one clip by hand: masks, tracings, curves, words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from ..errors import DataError
from ..geometry import Tracing
from .layers import TRUTH, traced_lines, tracing_layers, truth_layer
from .view import Curve, Layer, View

MAPPINGS = ("masks", "tracings", "landmarks", "curves")  # by name, or by frame


@dataclass(frozen=True, eq=False)
class Shown:
    """Overlays, curves and facts for a clip of T frames; those not given are the clip's own.

    masks, landmarks: (T, H, W) bool and (T, K, 2) px, by name
    truth: (T, H, W) bool, or (H, W) by frame; tracings: by frame
    leaflets: (T, H, W) bool; doubt: (T, H, W) from 0 to 1
    curves: (T,) by name, as a Curve where they have a unit
    marks: words by frame; labels: a text for each frame
    fps, spacing: frames a second, mm per px; title: in place of the name

    Raises DataError where a mapping is none.
    """

    masks: Mapping[str, np.ndarray] | None = None
    truth: np.ndarray | Mapping[int, np.ndarray] | None = None
    tracings: Mapping[int, Tracing] | None = None
    landmarks: Mapping[str, np.ndarray] | None = None
    leaflets: np.ndarray | None = None
    doubt: np.ndarray | None = None
    curves: Mapping[str, np.ndarray | Curve] | None = None
    marks: Mapping[int, str] | None = None
    labels: Sequence[str] | None = None
    fps: float | None = None
    spacing: float | None = None
    title: str | None = None

    def __post_init__(self) -> None:
        """Refuse what is no mapping."""
        for name in MAPPINGS:
            value = getattr(self, name)
            if value is not None and not isinstance(value, Mapping):
                key = "frame" if name == "tracings" else "name"
                raise DataError(
                    f"{name}: expected a mapping {{{key}: ...}}, found {type(value).__name__}."
                )

    @property
    def given(self) -> list[str]:
        """Names of what is shown."""
        return [field.name for field in fields(self) if getattr(self, field.name) is not None]

    def over(self, view: View) -> View:
        """The view with all this. A truth replaces the view's own, and so do tracings.

        Raises DataError where something does not fit the clip.
        """
        truth, traced = self._truth(view), self._traced(view)
        own = {layer.name for layer in view.layers if layer.role == "truth" and truth}
        own |= {layer.name for layer in traced}
        kept = tuple(layer for layer in view.layers if layer.name not in own)
        replaced = ("marks", "labels", "fps", "spacing")
        facts = {name: getattr(self, name) for name in replaced if name in self.given}
        return replace(
            view,
            layers=(*truth, *kept, *self._models(), *traced),
            curves=(*view.curves, *self._curves()),
            **facts,
        )

    def _truth(self, view: View) -> tuple[Layer, ...]:
        if self.truth is None:
            return ()
        if isinstance(self.truth, Mapping):
            return (truth_layer(view.frames.shape, self.truth),)
        return (Layer(TRUTH, self.truth, role="truth"),)

    def _models(self) -> tuple[Layer, ...]:
        """Masks and landmarks of one name are one layer; then leaflets and doubt."""
        masks, landmarks = dict(self.masks or {}), dict(self.landmarks or {})
        names = dict.fromkeys([*masks, *landmarks])
        layers = [Layer(str(name), masks.get(name), landmarks.get(name)) for name in names]
        if self.leaflets is not None:
            layers.append(Layer("leaflets", self.leaflets, role="leaflets"))
        if self.doubt is not None:
            layers.append(Layer("doubt", heat=_heat(self.doubt), role="doubt", on=False))
        return tuple(layers)

    def _traced(self, view: View) -> tuple[Layer, ...]:
        tracings = dict(self.tracings or {})
        wrong = [type(t).__name__ for t in tracings.values() if not isinstance(t, Tracing)]
        if wrong:
            raise DataError(f"tracings: expected geometry.Tracing by frame, found {wrong[0]}.")
        points = {frame: tracing.polygon for frame, tracing in tracings.items()}
        lines = {frame: traced_lines(tracing) for frame, tracing in tracings.items()}
        return tracing_layers(len(view), points, lines)

    def _curves(self) -> tuple[Curve, ...]:
        return tuple(
            replace(given, name=str(name)) if isinstance(given, Curve) else Curve(str(name), given)
            for name, given in (self.curves or {}).items()
        )


def _heat(doubt: np.ndarray) -> np.ndarray:
    """Doubt (T, H, W) float from 0 to 1 as uint8; NaN, where it is unknown, is none."""
    found = f"{getattr(doubt, 'dtype', type(doubt).__name__)} of shape {np.shape(doubt)}"
    if not isinstance(doubt, np.ndarray) or doubt.dtype.kind != "f" or doubt.ndim != 3:
        raise DataError(f"doubt: expected (T, H, W) float from 0 to 1, found {found}.")
    doubt = np.nan_to_num(doubt, nan=0.0)
    if doubt.size and (doubt.min() < 0 or doubt.max() > 1):
        raise DataError(
            f"doubt: expected values from 0 to 1, found {doubt.min():g} to {doubt.max():g}."
        )
    return np.rint(255 * doubt).astype(np.uint8)
