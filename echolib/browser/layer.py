"""What is drawn over the frames of a clip, and the curves below them.

Points are (x, y) in px, pixel centres at integers. NaN stands for an unknown value.
"""

from dataclasses import dataclass

import numpy as np

from .colours import Colour


@dataclass(frozen=True, eq=False)
class Layer:
    """Something drawn over T frames of (H, W) px, switched on and off by its name.

    masks: (T, H, W) bool, drawn as outlines
    points: (T, K, 2) px, drawn as dots; NaN for a missing point
    segments: (T, n, 2, 2) px, lines between two points each; NaN for a missing line
    heat: (T, H, W) uint8 from 0 (transparent) to 255 (strongest colour)
    role: "truth", "model", "tracing", "leaflets", "doubt" or "other"
    labelled: (T,) bool, True for the frames that the layer describes; None for all frames.
        Elsewhere the layer is not drawn, and its area and Dice are NaN.
    colour: RGB, 0 to 255; None lets the view choose
    on: whether the layer is shown at first
    structure: that the masks show, "ventricle" or "leaflets"; "" where it is not known
    """

    name: str
    masks: np.ndarray | None = None
    points: np.ndarray | None = None
    segments: np.ndarray | None = None
    heat: np.ndarray | None = None
    role: str = "model"
    labelled: np.ndarray | None = None
    colour: Colour | None = None
    on: bool = True
    structure: str = ""

    def is_labelled(self, count: int) -> np.ndarray:
        """Return (T,) bool for T = `count` frames: whether the layer describes each of them."""
        return np.ones(count, bool) if self.labelled is None else self.labelled

    def may_show(self, structure: str) -> bool:
        """Whether the masks may be of a structure; "" stands for one that is not known."""
        return not self.structure or not structure or self.structure == structure


@dataclass(frozen=True, eq=False)
class Curve:
    """One value per frame: values (T,), NaN where unknown.

    Curves with the same unit share one diagram. colour: RGB; None lets the view choose.
    """

    name: str
    values: np.ndarray
    unit: str = ""
    colour: Colour | None = None
