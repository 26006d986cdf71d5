"""The mitral valve's motion from leaflet masks over time: opening, phases, beats, heart rate.

The opening is an index from a two-dimensional picture: the gap between the leaflets' free
halves, in px or as a fraction of the annulus width. It is not an area, not a length in cm and not
a diagnosis. The apex must be up.
"""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ..cautions import Caution
from ..curves import runs, smoothed_opening
from ..geometry import bounding_box
from ..masks import check_masks
from .leaflets import (
    SHORTEST_LEAFLET,
    Annulus,
    FrameLeaflets,
    find_annulus,
    find_pieces,
    measure_leaflets,
)

OPEN_LEVEL = 0.30  # share of the curve's range above its low end: higher, the valve is open
CLOSED_LEVEL = 0.15  # share of the range: below it, the valve is closed again
MIN_CHANGE = 0.08  # share of the annulus width: a valve whose opening changes less does not move
MIN_CHANGE_PX = 1.5  # px: a smaller change is noise of the pixels
SHORTEST_SYSTOLE = (0.18, 0.36)  # s with a closed valve, at 115 and at 60 beats per minute
SYSTOLE_SHARE = (0.5, 0.25)  # of the longest closed time, without and with motion of the annulus
MIN_ANNULUS_MOTION = 0.06  # share of its width: an annulus that moves less counts as still
ANNULUS_RISE = 0.25  # share of its motion: the least motion towards the apex in systole
MIN_SEPARATED_SHARE = 0.03  # of the frames: two separate leaflets must be visible in these
FEWEST_FRAMES = 10  # of a clip in which phases can be detected


@dataclass(frozen=True)
class Opening:
    """A mitral valve's motion over a clip of T frames. Unknown values are NaN.

    separation: (T,) px between the leaflets, edge to edge, 0 when they touch; all NaN in a clip
        that never shows two separate leaflets, because a single leaflet looks like a closed valve
    fraction: (T,) separation as a fraction of the annulus width
    smooth: (T,) fraction, smoothed over time; short gaps are bridged, longer gaps are NaN
    width: annulus width, median over the clip, px; NaN where no annulus is found
    hinges: (T, 2, 2) px, (x, y) of the left and of the right hinge, smoothed over time
    tips: (T, 2, 2) px, (x, y) of the left and of the right tip; NaN while leaflets touch
    open: (first, last) frame of each phase with an open valve, both included
    beats: frames in which a beat begins, which means that the valve opens after a systole
    fps: frames per second, None where unknown
    heart_rate: beats per minute, None without fps or with fewer than two beats
    warnings: sentences about what limits these numbers
    """

    separation: np.ndarray
    fraction: np.ndarray
    smooth: np.ndarray
    width: float
    hinges: np.ndarray
    tips: np.ndarray
    open: list[tuple[int, int]] = field(default_factory=list)
    beats: list[int] = field(default_factory=list)
    fps: float | None = None
    heart_rate: float | None = None
    warnings: list[Caution] = field(default_factory=list)

    def table(self) -> pd.DataFrame:
        """Table with one row per frame.

        Columns: frame, time_s (NaN without fps), separation_px, fraction, smooth, open, beat.
        """
        frame = np.arange(len(self.separation))
        is_open = np.zeros(len(frame), bool)
        for first, last in self.open:
            is_open[first : last + 1] = True
        return pd.DataFrame(
            {
                "frame": frame,
                "time_s": frame / self.fps if self.fps else np.nan,
                "separation_px": self.separation,
                "fraction": self.fraction,
                "smooth": self.smooth,
                "open": is_open,
                "beat": np.isin(frame, self.beats),
            }
        )


def opening_curve(masks: np.ndarray, fps: float | None = None) -> Opening:
    """Measure the valve's opening over a clip, from masks of its leaflets.

    masks: (T, H, W) bool of any size, apical view with the apex up: strips along the two
    leaflets, hinge to tip. fps: frames per second; without it, beats are detected by counting
    frames relative to the longest closed time of the clip, and there is no heart rate. Raises
    ValueError for another dtype or shape, or for an fps that is not a positive number. The
    module's docstring says what the numbers mean.
    """
    _check(masks, fps)
    cropped, corner = _crop(masks)
    frames = find_pieces(cropped)
    annulus = find_annulus(frames)
    if annulus is None:
        return _unknown_opening(len(masks), fps, empty=not cropped.any())
    leaflets = [measure_leaflets(pieces, hinges, annulus)
                for pieces, hinges in zip(frames, annulus.hinges, strict=True)]  # fmt: skip
    separation = _separation(leaflets)
    fraction = separation / annulus.width
    smooth = smoothed_opening(fraction, fps)
    phases = _open_phases(smooth, annulus.width)
    height = _annulus_height(annulus)
    beats = _beats(phases, smooth, height, fps)
    rate = None
    if fps and len(beats) > 1:
        rate = 60 * fps / float(np.median(np.diff(beats)))
    tips = np.stack([frame.tips for frame in leaflets]) + corner
    warnings = _curve_warnings(np.any(cropped, axis=(1, 2)), fraction, smooth, phases)
    if len(masks) > 1:
        warnings += _beat_warnings(beats, still_annulus=height is None, fps=fps)
    curves = (separation, fraction, smooth, annulus.width, annulus.hinges + corner, tips)
    return Opening(*curves, phases, beats, fps, rate, warnings)


def _check(masks: np.ndarray, fps: float | None) -> None:
    check_masks(masks)
    if fps is not None and not (np.isfinite(fps) and fps > 0):
        raise ValueError(
            f"fps: expected a number above 0, found {fps}. Use None where it is unknown."
        )


def _crop(masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Masks cropped to the pixels that are ever covered, and (2,) the x, y of their corner."""
    if not masks.any():
        return masks[:, :1, :1], np.zeros(2)
    rows, columns = bounding_box(np.any(masks, axis=0))
    return masks[:, rows, columns], np.array([columns.start, rows.start], float)


def _unknown_opening(count: int, fps: float | None, empty: bool) -> Opening:
    """The result for a clip without an annulus; empty: no mask has a pixel."""
    curve, points = np.full(count, np.nan), np.full((count, 2, 2), np.nan)
    reason = (
        Caution("valve-no-outline", "All masks are empty: the valve cannot be measured.")
        if empty
        else Caution(
            "valve-no-annulus",
            "No annulus is found: the masks are too small or too broken to show two hinges.",
        )
    )
    curves = (curve, curve.copy(), curve.copy(), np.nan, points, points.copy())
    return Opening(*curves, fps=fps, warnings=[reason])


def _separation(leaflets: list[FrameLeaflets]) -> np.ndarray:
    """(T,) separation in px, NaN where a leaflet is much shorter than usual.

    Such a leaflet has lost its tip, and the gap would be too wide. All values are NaN where the
    clip hardly ever shows two separate leaflets: a single leaflet looks like a closed valve.
    """
    separation = np.array([frame.separation for frame in leaflets])
    lengths = np.stack([frame.lengths for frame in leaflets])
    both = np.isfinite(lengths).all(axis=1)
    if both.any():
        usual = np.percentile(lengths[both], 75, axis=0)
        separation[both & (lengths < SHORTEST_LEAFLET * usual).any(axis=1)] = np.nan
    if np.count_nonzero(separation > 0) < max(1, MIN_SEPARATED_SHARE * len(leaflets)):
        separation[:] = np.nan
    return separation


def _range(smooth: np.ndarray) -> tuple[float, float]:
    """Low and high end of a curve, without its extremes (5th and 95th percentile), or NaN."""
    if not np.isfinite(smooth).any():
        return np.nan, np.nan
    low, high = np.nanpercentile(smooth, [5, 95])
    return float(low), float(high)


def _open_phases(smooth: np.ndarray, width: float) -> list[tuple[int, int]]:
    """(first, last) frame of each phase with an open valve; none if the valve does not move.

    Hysteresis: a phase has a frame above `OPEN_LEVEL` and lasts while the curve is above
    `CLOSED_LEVEL`. An unknown frame ends it. width: of the annulus, px.
    """
    low, high = _range(smooth)
    if not (high - low >= max(MIN_CHANGE, MIN_CHANGE_PX / width)):
        return []
    phases = runs(smooth > low + CLOSED_LEVEL * (high - low))
    wide = smooth > low + OPEN_LEVEL * (high - low)
    return [(run.start, run.stop - 1) for run in phases if wide[run].any()]


def _annulus_height(annulus: Annulus) -> np.ndarray | None:
    """(T,) height of the annulus towards the apex, 0 to 1 over its motion; None if it is still."""
    height = annulus.hinges.mean(axis=1) @ annulus.up
    low, high = np.percentile(height, [5, 95])
    if high - low < MIN_ANNULUS_MOTION * annulus.width:
        return None
    return (height - low) / (high - low)


def _beats(
    phases: list[tuple[int, int]],
    smooth: np.ndarray,
    height: np.ndarray | None,
    fps: float | None,
) -> list[int]:
    """Frames in which the valve opens after a systole.

    Between the early and the atrial wave of filling the valve half closes, and may look closed. In
    systole, but not then, the annulus moves towards the apex. height: (T,) of the annulus, or None
    where it is still; then only the closed time shows a systole. Unknown frames do not count as
    closed.
    """
    ends = [-1, *(last for _, last in phases)]
    closed = [slice(last + 1, first) for last, (first, _) in zip(ends, phases, strict=False)]
    lengths = [int(np.isfinite(smooth[run]).sum()) for run in closed]
    shortest = SYSTOLE_SHARE[height is not None] * max(lengths, default=0)
    if fps:
        fewest, most = (seconds * fps for seconds in SHORTEST_SYSTOLE)
        shortest = np.clip(shortest, fewest, most)
    if fps and height is not None:
        shortest = SHORTEST_SYSTOLE[0] * fps
    beats = []
    for (first, _), run, length in zip(phases, closed, lengths, strict=True):
        if length < max(shortest, 2):
            continue
        if height is None or height[first - 1] - height[run].min() >= ANNULUS_RISE:
            beats.append(first)
    return beats


def _curve_warnings(
    filled: np.ndarray, fraction: np.ndarray, smooth: np.ndarray, phases: list[tuple[int, int]]
) -> list[Caution]:
    """Warnings about what limits the curve; filled: (T,) bool, the frame's mask is not empty."""
    count, warnings = len(filled), []
    if count == 1:
        warnings.append(
            Caution(
                "single-frame", "One frame only: the opening is known, but not how the valve moves."
            )
        )
    elif count < FEWEST_FRAMES:
        warnings.append(
            Caution(
                "valve-few-frames",
                f"{count} frames are too few to detect phases; {FEWEST_FRAMES} are needed.",
            )
        )
    empty, unknown = int((~filled).sum()), int((filled & ~np.isfinite(fraction)).sum())
    if empty:
        warnings.append(
            Caution(
                "valve-empty-masks",
                f"{100 * empty / count:.0f} % of the masks are empty ({empty} of {count}).",
            )
        )
    if unknown:
        warnings.append(
            Caution(
                "valve-joined-leaflets",
                f"The two leaflets could not be distinguished in {100 * unknown / count:.0f} % of "
                f"the frames ({unknown} of {count}).",
            )
        )
    low, high = _range(smooth)
    if not np.isfinite(fraction).any():
        warnings.append(
            Caution(
                "valve-no-opening",
                "The opening is unknown: no frame shows two separate leaflets, and one leaflet "
                "alone looks like a closed valve.",
            )
        )
    elif count > 1 and not phases:
        warnings.append(
            Caution(
                "valve-no-motion",
                "No motion of the valve is detected: its opening changes by only "
                f"{high - low:.2f} of the annulus width. There are no phases.",
            )
        )
    return warnings


def _beat_warnings(beats: list[int], still_annulus: bool, fps: float | None) -> list[Caution]:
    """Warnings about what limits the beats; still_annulus: its motion is not detected."""
    warnings = []
    if len(beats) < 2:
        warnings.append(
            Caution(
                "valve-few-beats",
                "Fewer than two openings after a systole are detected: less than one whole beat.",
            )
        )
    if beats and still_annulus:
        warnings.append(
            Caution(
                "valve-still-annulus",
                "No motion of the annulus is detected: a long pause in filling may count as a "
                "systole.",
            )
        )
    if fps is None:
        warnings.append(
            Caution(
                "no-frame-rate",
                "Frames per second unknown: beats are detected by counting frames, relative to the "
                "longest time that the valve is closed in the clip.",
            )
        )
    return warnings
