"""Overlays, curves and metadata that a caller adds to one clip."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from ..data.tracings import tracing_rows
from ..errors import DataError
from ..geometry import Tracing
from .layer import Curve, Layer
from .layers import TRUTH, tracing_layers, truth_layer
from .view import View

MAPPINGS = ("masks", "tracings", "landmarks", "curves")  # fields by name, or by frame


@dataclass(frozen=True, eq=False)
class Shown:
    """Overlays, curves and metadata for a clip of T frames; a field that is None changes nothing.

    masks: (T, H, W) bool by name; landmarks: (T, K, 2) px by name
    truth: (T, H, W) bool, or (H, W) bool by frame; tracings: by frame
    leaflets: (T, H, W) bool; doubt: (T, H, W) float from 0 to 1
    curves: (T,) by name, as a Curve if it has a unit
    marks: a short text by frame; labels: one text per frame
    fps: frames per second; spacing: mm per px; title: replaces the name

    Raises DataError for a field that should be a mapping and is not.
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
        """Check the fields that must be mappings."""
        for name in MAPPINGS:
            value = getattr(self, name)
            if value is not None and not isinstance(value, Mapping):
                key = "frame" if name == "tracings" else "name"
                raise DataError(
                    f"{name}: expected a mapping {{{key}: ...}}, found {type(value).__name__}."
                )

    @property
    def fields_set(self) -> list[str]:
        """Names of the fields that are not None."""
        return [field.name for field in fields(self) if getattr(self, field.name) is not None]

    def apply_to(self, view: View) -> View:
        """Return the view with these overlays, curves and metadata.

        A truth and tracings replace those of the view. Raises DataError for a field that does not
        fit the clip.
        """
        truth, traced = self._truth(view), self._traced(view)
        replaced = {layer.name for layer in view.layers if layer.role == "truth" and truth}
        replaced |= {layer.name for layer in traced}
        kept = tuple(layer for layer in view.layers if layer.name not in replaced)
        names = ("marks", "labels", "fps", "spacing")
        metadata = {name: getattr(self, name) for name in names if name in self.fields_set}
        return replace(
            view,
            layers=(*truth, *kept, *self._models(), *traced),
            curves=(*view.curves, *self._curves()),
            **metadata,
        )

    def _truth(self, view: View) -> tuple[Layer, ...]:
        if self.truth is None:
            return ()
        if isinstance(self.truth, Mapping):
            return (truth_layer(view.frames.shape, self.truth),)
        return (Layer(TRUTH, self.truth, role="truth"),)

    def _models(self) -> tuple[Layer, ...]:
        """Make one layer for masks and landmarks of the same name; then leaflets and doubt."""
        masks, landmarks = dict(self.masks or {}), dict(self.landmarks or {})
        names = dict.fromkeys([*masks, *landmarks])
        layers = [Layer(str(name), masks.get(name), landmarks.get(name)) for name in names]
        if self.leaflets is not None:
            layers.append(Layer("leaflets", self.leaflets, role="leaflets", structure="leaflets"))
        if self.doubt is not None:
            layers.append(Layer("doubt", heat=_heat(self.doubt), role="doubt", on=False))
        return tuple(layers)

    def _traced(self, view: View) -> tuple[Layer, ...]:
        tracings = dict(self.tracings or {})
        wrong = [type(t).__name__ for t in tracings.values() if not isinstance(t, Tracing)]
        if wrong:
            raise DataError(f"tracings: expected geometry.Tracing by frame, found {wrong[0]}.")
        points = {frame: tracing.polygon for frame, tracing in tracings.items()}
        lines = {
            frame: tracing_rows(tracing).reshape(-1, 2, 2) for frame, tracing in tracings.items()
        }
        return tracing_layers(len(view), points, lines)

    def _curves(self) -> tuple[Curve, ...]:
        return tuple(
            replace(curve, name=str(name)) if isinstance(curve, Curve) else Curve(str(name), curve)
            for name, curve in (self.curves or {}).items()
        )


def _heat(doubt: np.ndarray) -> np.ndarray:
    """Convert doubt (T, H, W) float from 0 to 1 to uint8. NaN (unknown) becomes 0.

    Raises DataError for another shape, dtype or range.
    """
    found = f"{getattr(doubt, 'dtype', type(doubt).__name__)} of shape {np.shape(doubt)}"
    if not isinstance(doubt, np.ndarray) or doubt.dtype.kind != "f" or doubt.ndim != 3:
        raise DataError(f"doubt: expected (T, H, W) float from 0 to 1, found {found}.")
    doubt = np.nan_to_num(doubt, nan=0.0)
    if doubt.size and (doubt.min() < 0 or doubt.max() > 1):
        raise DataError(
            f"doubt: expected values from 0 to 1, found {doubt.min():g} to {doubt.max():g}."
        )
    return np.rint(255 * doubt).astype(np.uint8)
