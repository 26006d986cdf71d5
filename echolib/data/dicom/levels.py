"""Grey levels of DICOM frames: from palettes, and from values of more than 8 bits."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from .tags import numbers

if TYPE_CHECKING:
    from pydicom import Dataset

SHOWN = 0.1  # share of a range of levels that the values must reach into, else it is wrong


class Palette:
    """Turns indices (H, W) into (H, W, 3) uint8 RGB."""

    def __init__(self, dataset: "Dataset", bits: int, warn: Callable[[str], None]) -> None:
        """Look up all indices once. bits: allocated per index. warn: takes a message."""
        from pydicom.pixels import apply_color_lut

        for colour in ("Red", "Green", "Blue"):
            data = dataset.get(f"{colour}PaletteColorLookupTableData")
            if data is None:  # a segmented palette, whose data say what they are
                continue
            tag = f"{colour}PaletteColorLookupTableDescriptor"
            entries, first, listed = dataset[tag].value
            found = 16 if len(data) >= 2 * (entries or 2**16) else 8
            if found != listed:
                dataset[tag].value = [entries, first, found]
                warn(f"the {colour.lower()} palette has entries of {found} bits, not of {listed}.")
        kind = np.uint16 if bits > 8 else np.uint8
        colours = apply_color_lut(np.arange(np.iinfo(kind).max + 1, dtype=kind)[None], dataset)[0]
        if colours.max() > 255:
            colours = colours >> 8
        self.colours = colours.astype(np.uint8)

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        return self.colours[frame]


class Levels:
    """Turns stored values (H, W) into uint8, black as 0.

    Unsigned 8-bit values stay as they are. Others are scaled by the window, else by the tags that
    give the smallest and the largest value, else by the range that the clip has. That range is
    taken, too, where the tags would show the clip black or white.
    """

    def __init__(
        self,
        dataset: "Dataset",
        options: dict[str, Any],
        frames: Callable[[], Iterator[tuple[np.ndarray, str]]],
        warn: Callable[[str], None],
    ) -> None:
        """Choose the range. frames: starts a pass through the frames. warn: takes a message."""
        self.inverted = options["photometric_interpretation"] == "MONOCHROME1"
        signed = bool(options["pixel_representation"])
        self.as_stored = options["bits_allocated"] == options["bits_stored"] == 8 and not signed
        if self.as_stored:
            return
        least, most = np.inf, -np.inf
        for frame, _ in frames():
            least, most = min(least, float(frame.min())), max(most, float(frame.max()))
        eight = options["bits_stored"] == 8 and not signed and most <= 255
        low, high = _tagged_range(dataset) or ((0.0, 255.0) if eight else (least, most))
        margin = SHOWN * (high - low)
        if most < low + margin or least > high - margin:
            warn(
                f"the tags show values from {low:g} to {high:g}, but the clip has {least:g} to "
                f"{most:g}. Its own range is shown."
            )
            low, high = least, most
        self.low, self.slope = low, 255 / max(high - low, 1e-6)

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        if self.as_stored:
            grey = frame.astype(np.uint8, copy=False)
        else:
            scaled = (frame.astype(np.float32) - self.low) * self.slope
            grey = np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)
        return 255 - grey if self.inverted else grey


def _tagged_range(dataset: "Dataset") -> tuple[float, float] | None:
    """Stored values that the tags show as black and as white; None where they do not say.

    Source: DICOM PS3.3, C.11.2.1.2. The window applies to rescaled values.
    """
    centre, width = numbers(dataset.get("WindowCenter")), numbers(dataset.get("WindowWidth"))
    slope = (numbers(dataset.get("RescaleSlope")) or [1.0])[0]
    intercept = (numbers(dataset.get("RescaleIntercept")) or [0.0])[0]
    if centre and width and width[0] > 1 and slope > 0:
        low = centre[0] - 0.5 - (width[0] - 1) / 2
        return (low - intercept) / slope, (low + width[0] - 1 - intercept) / slope
    least, most = (
        numbers(dataset.get(f"{name}ImagePixelValue")) for name in ("Smallest", "Largest")
    )
    return (least[0], most[0]) if least and most and least[0] < most[0] else None
