"""From leaflet masks over time to the mitral valve's motion: opening, phases, beats, heart rate.

The opening is an index from a two-dimensional picture: the gap between the leaflets' free
halves, in px or as a fraction of the annulus width. It is no area, has no cm and is no
diagnosis. It follows the valve's area in part only: leaflet tip separation correlates with
planimetry at r of about 0.77. The apex must be up.
"""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy import ndimage
from scipy.signal import savgol_filter

from ..geometry import check_masks
from .leaflets import SHORTEST, Annulus, Valve, find_annulus, find_pieces, measure

BRIDGED = 0.06  # s of unknown frames that the smoothed curve is drawn across
BRIDGED_FRAMES = 3  # without fps
SMOOTHED = 0.1  # s over which the curve is smoothed
SMOOTHED_FRAMES = 5  # without fps
OUTLIER = 0.12  # of the annulus width from the frames beside it: no valve opens for one frame
OPENS, SHUTS = 0.30, 0.15  # of the curve's range, above its low end: it opens above, shuts below
STILL = 0.08  # of the annulus width: a valve whose opening changes by less does not move
STILL_PX = 1.5  # px: less than that is the pixels' noise
SHORTEST_SYSTOLE = (0.18, 0.36)  # s of a shut valve: of a heart at 115, and of one at 60 a minute
SYSTOLE_SHARE = (0.5, 0.25)  # of the clip's longest shut time; the second if the annulus tells too
ANNULUS_MOVES = 0.06  # of its width: the annulus is seen to move
ANNULUS_RISE = 0.25  # of that motion: the least in systole, when the annulus goes to the apex
APART = 0.03  # share of a clip's frames in which two leaflets must be seen apart
FEWEST_FRAMES = 10  # of a clip in which a phase can be told


@dataclass(frozen=True)
class Opening:
    """A mitral valve's motion over a clip of T frames. NaN is what could not be told.

    separation: (T,) px between the leaflets, edge to edge, 0 when they touch; all NaN in a clip
        that never shows two leaflets apart, because one alone looks like a shut valve
    fraction: (T,) the same as a fraction of the annulus width
    smooth: (T,) fraction, smoothed over time; short gaps are bridged, longer ones are NaN
    width: annulus width, median over the clip, px; NaN where no annulus is seen
    hinges: (T, 2, 2) px, (x, y) of the left and of the right hinge, smoothed over time
    tips: (T, 2, 2) px, of the left and of the right tip; NaN while leaflets touch
    open: (first, last) frame of each time that the valve is open, both within it
    beats: frames in which a beat begins: the valve opens after a systole
    fps: frames per second, None where unknown
    heart_rate: beats per minute, None without fps or with fewer than two beats
    warnings: what limits these numbers, in words
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
    warnings: list[str] = field(default_factory=list)

    def table(self) -> pd.DataFrame:
        """A row a frame: frame, time_s (NaN without fps), the three curves, open, beat."""
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
    """The valve's opening over a clip, from masks of its leaflets.

    masks: (T, H, W) bool of any size, apical view with the apex up: strips along the two
    leaflets, hinge to tip. fps: frames per second; without it beats are told by a rule in
    frames, relative to the clip, and there is no heart rate. Raises ValueError for another
    dtype or shape, or fps that is no positive number. See the module's docstring for what the
    numbers mean.
    """
    _check(masks, fps)
    cropped, corner = _crop(masks)
    frames = find_pieces(cropped)
    annulus = find_annulus(frames)
    if annulus is None:
        return _nothing(len(masks), fps, seen=bool(cropped.any()))
    valves = [measure(pieces, hinges, annulus)
              for pieces, hinges in zip(frames, annulus.hinges, strict=True)]  # fmt: skip
    separation = _told_apart(valves)
    fraction = separation / annulus.width
    smooth = _smoothed(fraction, fps)
    phases = _open_phases(smooth, annulus.width)
    height = _annulus_height(annulus)
    beats = _beats(phases, smooth, height, fps)
    rate = None
    if fps and len(beats) > 1:
        rate = 60 * fps / float(np.median(np.diff(beats)))
    tips = np.stack([valve.tips for valve in valves]) + corner
    warnings = _warnings(cropped.any(axis=(1, 2)), fraction, smooth, phases)
    if len(masks) > 1:
        warnings += _beat_warnings(beats, rests=height is None, fps=fps)
    curves = (separation, fraction, smooth, annulus.width, annulus.hinges + corner, tips)
    return Opening(*curves, phases, beats, fps, rate, warnings)


def _check(masks: np.ndarray, fps: float | None) -> None:
    check_masks(masks)
    if fps is not None and not (np.isfinite(fps) and fps > 0):
        raise ValueError(f"fps: expected a number above 0, or None if unknown, found {fps}.")


def _crop(masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Masks cut down to what is ever covered, and the (2,) x, y of their first pixel."""
    covered = masks.any(axis=0)
    rows, columns = (np.flatnonzero(covered.any(axis=axis)) for axis in (1, 0))
    if len(rows) == 0:
        return masks[:, :1, :1], np.zeros(2)
    window = np.s_[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return masks[window], np.array([columns[0], rows[0]], float)


def _nothing(count: int, fps: float | None, seen: bool) -> Opening:
    """The result for a clip without a valve."""
    unknown, places = np.full(count, np.nan), np.full((count, 2, 2), np.nan)
    reason = (
        "No annulus was found: the masks are too small or too broken to tell two hinges apart."
        if seen
        else "All masks are empty: nothing is known of the valve."
    )
    curves = (unknown, unknown.copy(), unknown.copy(), np.nan, places, places.copy())
    return Opening(*curves, fps=fps, warnings=[reason])


def _told_apart(valves: list[Valve]) -> np.ndarray:
    """(T,) separation in px, NaN where a leaflet is much shorter than it usually is.

    Such a leaflet has lost its tip, and the gap would be too wide. All is NaN where the clip
    hardly ever shows two leaflets apart: a single one looks like a shut valve.
    """
    separation = np.array([valve.separation for valve in valves])
    lengths = np.stack([valve.lengths for valve in valves])
    both = np.isfinite(lengths).all(axis=1)
    if both.any():
        usual = np.percentile(lengths[both], 75, axis=0)
        separation[both & (lengths < SHORTEST * usual).any(axis=1)] = np.nan
    if np.count_nonzero(separation > 0) < max(1, APART * len(valves)):
        separation[:] = np.nan
    return separation


def _frames_in(seconds: float, fps: float | None, otherwise: int) -> int:
    return max(1, round(seconds * fps)) if fps else otherwise


def _smoothed(curve: np.ndarray, fps: float | None) -> np.ndarray:
    """(T,) curve without single outliers, smoothed, with short gaps bridged."""
    longest = _frames_in(BRIDGED, fps, BRIDGED_FRAMES)
    window = _frames_in(SMOOTHED, fps, SMOOTHED_FRAMES) // 2 * 2 + 1
    known = np.isfinite(curve)
    smooth = curve.copy()
    if not known.any():
        return smooth
    every = np.arange(len(curve))
    filled = np.interp(every, every[known], curve[known])
    gaps, count = ndimage.label(~known)
    for first, last in (_ends(gaps == number + 1) for number in range(count)):
        inside = first > 0 and last < len(curve) - 1
        if inside and last - first < longest:
            smooth[first : last + 1] = filled[first : last + 1]
    runs, count = ndimage.label(np.isfinite(smooth))
    for number in range(count):
        run = runs == number + 1
        values = smooth[run]
        middle = ndimage.median_filter(values, 3, mode="nearest")
        values = np.where(np.abs(values - middle) > OUTLIER, middle, values)
        if window > 3 and len(values) >= window:
            values = savgol_filter(values, window, 2, mode="nearest")
        smooth[run] = np.maximum(values, 0)
    return smooth


def _ends(run: np.ndarray) -> tuple[int, int]:
    """First and last True of a (T,) bool array."""
    where = np.flatnonzero(run)
    return int(where[0]), int(where[-1])


def _range(smooth: np.ndarray) -> tuple[float, float]:
    """Low and high end of a curve, without its extremes; NaN without any value."""
    if not np.isfinite(smooth).any():
        return np.nan, np.nan
    low, high = np.nanpercentile(smooth, [5, 95])
    return float(low), float(high)


def _open_phases(smooth: np.ndarray, width: float) -> list[tuple[int, int]]:
    """(first, last) of each time that the valve is open, by hysteresis; none if it is still.

    A phase has a frame above the upper threshold, and lasts while the curve is above the lower
    one. An unknown frame ends it.
    """
    low, high = _range(smooth)
    if not (high - low >= max(STILL, STILL_PX / width)):
        return []
    above = smooth > low + SHUTS * (high - low)
    runs, count = ndimage.label(above)
    wide = smooth > low + OPENS * (high - low)
    return [_ends(runs == n) for n in range(1, count + 1) if wide[runs == n].any()]


def _annulus_height(annulus: Annulus) -> np.ndarray | None:
    """(T,) how far the annulus is towards the apex, 0 to 1 of its motion; None if it rests."""
    height = annulus.hinges.mean(axis=1) @ annulus.up
    low, high = np.percentile(height, [5, 95])
    if high - low < ANNULUS_MOVES * annulus.width:
        return None
    return (height - low) / (high - low)


def _beats(
    phases: list[tuple[int, int]],
    smooth: np.ndarray,
    height: np.ndarray | None,
    fps: float | None,
) -> list[int]:
    """Frames in which the valve opens after a systole.

    Between the early and the atrial wave of filling the valve half closes, and may look shut.
    Unlike then, in systole the annulus moves towards the apex. height: (T,), None where it is
    not seen to move; then only the time tells. Unknown frames are no proof of a systole.
    """
    before = [-1, *(last for _, last in phases)]
    shut = [slice(last + 1, first) for last, (first, _) in zip(before, phases, strict=False)]
    known = [int(np.isfinite(smooth[run]).sum()) for run in shut]
    need = SYSTOLE_SHARE[height is not None] * max(known, default=0)
    if fps:
        need = np.clip(need, *(seconds * fps for seconds in SHORTEST_SYSTOLE))
    if fps and height is not None:
        need = SHORTEST_SYSTOLE[0] * fps
    beats = []
    for (first, _), run, frames in zip(phases, shut, known, strict=True):
        if frames < max(need, 2):
            continue
        if height is None or height[first - 1] - height[run].min() >= ANNULUS_RISE:
            beats.append(first)
    return beats


def _warnings(
    seen: np.ndarray, fraction: np.ndarray, smooth: np.ndarray, phases: list[tuple[int, int]]
) -> list[str]:
    """What limits the curve; seen: (T,) bool, the mask of the frame is not empty."""
    count, found = len(seen), []
    if count == 1:
        found.append("One frame: the opening is known for one moment, its motion is not.")
    elif count < FEWEST_FRAMES:
        found.append(f"{count} frames are too few to tell phases; {FEWEST_FRAMES} are needed.")
    empty, untold = int((~seen).sum()), int((seen & ~np.isfinite(fraction)).sum())
    if empty:
        found.append(f"{100 * empty / count:.0f} % of the masks are empty ({empty} of {count}).")
    if untold:
        found.append(
            f"In {100 * untold / count:.0f} % of the frames ({untold} of {count}) the two "
            "leaflets could not be told apart."
        )
    low, high = _range(smooth)
    if not np.isfinite(fraction).any():
        found.append(
            "The opening is unknown: no frame shows two leaflets apart, and one leaflet alone "
            "looks like a shut valve."
        )
    elif count > 1 and not phases:
        found.append(
            "The valve is not seen to move: its opening changes by "
            f"{high - low:.2f} of the annulus width. No phases are told."
        )
    return found


def _beat_warnings(beats: list[int], rests: bool, fps: float | None) -> list[str]:
    """What limits the beats; rests: the annulus is not seen to move."""
    found = []
    if len(beats) < 2:
        found.append("Fewer than two openings after a systole are seen: less than one whole beat.")
    if beats and rests:
        found.append(
            "The annulus is not seen to move: a long pause in filling may count as a systole."
        )
    if fps is None:
        found.append("Frames per second unknown: beats are told in frames, relative to the clip.")
    return found
