"""Frame rate, shape of the pixels and spacing of a DICOM clip, from its tags."""

import warnings
from collections.abc import Iterable, Iterator
from itertools import chain
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..pictures import believed_stretch
from ..rates import RATES, SPACINGS, UNEVEN, known_rate, rate_of_times

if TYPE_CHECKING:
    from pydicom import Dataset

ANISOTROPY = 0.01  # largest relative difference of spacings in x and y that count as equal
FRAME_TIMES = 0x00181065  # the tag FrameTimeVector


def numbers(value: object) -> list[float]:
    """The values of a tag as floats; none where it is absent, empty or no finite number."""
    values: list = [value]
    if isinstance(value, Iterable) and not isinstance(value, str):
        values = list(value)
    try:
        found = [float(item) for item in values]
    except (TypeError, ValueError):
        return []
    return found if np.isfinite(found).all() else []


def frame_rate(dataset: "Dataset", path: Path, of_stream: float | None = None) -> float | None:
    """Frames per second: from the times between acquired frames, else from the display rate.

    FrameIncrementPointer names the tag that has the times, where a file has both. of_stream: rate
    of the MPEG stream in the file, which counts where the tags give none. Warns where the rate of
    a tag is impossible, once it is clear what takes its place.
    """
    impossible = 0.0
    for rate in chain(_tagged_rates(dataset, path), [of_stream or 0.0]):
        if RATES[0] <= rate <= RATES[1]:
            if impossible:
                warnings.warn(
                    f"{path}: the tags give {impossible:.4g} frames per second, as no heart scan "
                    f"has. {rate:.4g}, which the file gives too, are used.",
                    stacklevel=3,
                )
            return known_rate(rate, str(path))
        impossible = impossible or max(rate, 0.0)
    return known_rate(impossible, str(path))


def _tagged_rates(dataset: "Dataset", path: Path) -> Iterator[float]:
    """Yield the frames per second that the tags give, those that count most first.

    One after the other, so that nothing is said of uneven times that are not used.
    """
    times = _frame_times(numbers(dataset.get("FrameTimeVector")))
    frame_time = numbers(dataset.get("FrameTime"))
    by_vector = dataset.get("FrameIncrementPointer") == FRAME_TIMES
    for vector in (by_vector, not by_vector):
        if vector and len(times) > 1:
            yield rate_of_times(times / 1000, str(path)) or 0.0
        elif not vector and frame_time and frame_time[0] > 0:
            yield 1000 / frame_time[0]
    for tag in ("CineRate", "RecommendedDisplayFrameRate"):
        yield from numbers(dataset.get(tag))[:1]


def _frame_times(vector: list[float]) -> np.ndarray:
    """Times of the frames in ms, (T,), from FrameTimeVector, which holds the steps between them.

    Some writers put the times themselves there: they rise evenly, from about 0 on.
    """
    times = np.array(vector)
    steps = np.diff(times)
    rises = len(steps) > 1 and (steps > 0).all() and steps.max() <= UNEVEN * steps.min()
    return times if rises and times[0] <= UNEVEN * steps.max() else np.cumsum(times)


def pixel_stretch(dataset: "Dataset", path: Path) -> float:
    """Width of a pixel in heights, by PixelAspectRatio (height, then width of a pixel)."""
    ratio = numbers(dataset.get("PixelAspectRatio"))
    if len(ratio) != 2 or min(ratio) <= 0:
        return 1.0
    return believed_stretch(ratio[1] / ratio[0], str(path))


def spacing(dataset: "Dataset", path: Path, stretch: float) -> float | None:
    """mm per px of the 2-D tissue image, or None. Warns where the tags contradict each other.

    stretch: width of the file's pixels in heights; the frames have been made square.
    """
    rows, columns = (numbers(dataset.get(tag)) or [np.inf] for tag in ("Rows", "Columns"))
    height, width = rows[0], columns[0]
    spacings = []  # of x and y
    for region in dataset.get("SequenceOfUltrasoundRegions", None) or []:
        tissue = region.get("RegionSpatialFormat") == 1 and region.get("RegionDataType") == 1
        units = (region.get("PhysicalUnitsXDirection"), region.get("PhysicalUnitsYDirection"))
        if not tissue or units != (3, 3):  # 3 is cm
            continue
        last_x, last_y = region.get("RegionLocationMaxX1"), region.get("RegionLocationMaxY1")
        if (last_x or 0) > width or (last_y or 0) > height:
            _warn_spacing(
                path,
                f"the scale tags describe a region up to ({last_x}, {last_y}), but the frame has "
                f"{width:.0f} x {height:.0f} px: it was resized after the tags were written",
                _if_reduced((last_x or 0) / width, (last_y or 0) / height, _deltas(region)),
            )
            return None
        spacings.append(_deltas(region))
    if not spacings:
        tag = numbers(dataset.get("PixelSpacing") or dataset.get("ImagerPixelSpacing"))
        spacings = [tag[::-1]] if len(tag) == 2 else []  # the tag begins with y
    enlarged = (max(stretch, 1.0), 1 / min(stretch, 1.0))
    values = [value / e for pair in spacings for value, e in zip(pair, enlarged, strict=True)]
    values = [value for value in values if value > 0]
    if values and max(values) > (1 + ANISOTROPY) * min(values):
        listed = ", ".join(f"{value:.4g}" for value in values)
        _warn_spacing(path, f"the scale tags differ by more than 1 % ({listed} mm per px)")
        return None
    if values and not SPACINGS[0] <= values[0] <= SPACINGS[1]:
        _warn_spacing(path, f"the scale tags give {values[0]:.4g} mm per px, as no heart scan has")
        return None
    return float(np.mean(values)) if values else None


def _deltas(region: "Dataset") -> list[float]:
    """mm per px of a region in x and y, 0 where it has none."""
    deltas = (numbers(region.get(f"PhysicalDelta{axis}")) or [0.0] for axis in "XY")
    return [10 * abs(delta[0]) for delta in deltas]


def _if_reduced(wider: float, higher: float, deltas: list[float]) -> str:
    """Name the spacing of a frame that was made smaller by a whole factor, where one fits.

    wider, higher: size of the region in frames. deltas: mm per px of the region, in x and y.
    """
    factor, other = ceil(wider), ceil(higher)
    if factor != other or not 0 < max(deltas) <= (1 + ANISOTROPY) * min(deltas):
        return ""
    spacing = factor * float(np.mean(deltas))
    return f" If the frame was made {factor} times smaller, --spacing {spacing:.4g} is right."


def _warn_spacing(path: Path, reason: str, advice: str = "") -> None:
    warnings.warn(f"{path}: {reason}. The spacing is left unknown.{advice}", stacklevel=5)
