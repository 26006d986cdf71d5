"""Beats in a curve of the left ventricle's volume: end-diastole and end-systole of each beat.

End-systoles are minima of the curve, as in Ouyang et al., Nature 580 (2020): `find_peaks` with
a prominence of half the curve's range. Ouyang's minima are 0.4 s apart or more, which halves rates
above 150; here 0.25 s are enough. End-diastole is the end of the filling before end-systole.
Premature beats are searched for among the shallower minima.
"""

from dataclasses import replace

import numpy as np
from scipy.signal import find_peaks

from ..cautions import Caution
from ..curves import frames_in
from .rhythm import exclude_premature
from .systoles import (
    BEGINNING_MISSING,
    BEGINS_IN_SYSTOLE,
    CUT_OFF_NOTES,
    ENDS_AT_END_SYSTOLE,
    ENDS_IN_SYSTOLE,
    FRAMES_MISSING,
    PREMATURE_INTERVAL,
    WEAK_STROKE,
    Systole,
    add_note,
    strokes_of,
)

PROMINENCE = 0.5  # share of the curve's range: a minimum this deep is an end-systole
PREMATURE_PROMINENCE = 0.25  # share of the range, for a premature beat, which must also come early
MIN_INTERVAL = 0.25  # s between end-systoles: 240 beats per minute
MIN_INTERVAL_FRAMES = 8  # frames between end-systoles, where fps is unknown
FULL_TOLERANCE = 0.06  # share of the stroke: a frame this close to the maximum counts as filled
SLOPE_TIME = 0.04  # s over which the curve's slope at the ends of the clip is measured
STEEP_SLOPE = 3.0  # strokes per second: a faster fall means that the ventricle is in mid-systole
REST_OF_FALL = 1 / 3  # of the rise after it: a smaller fall at the beginning is a systole's end
MIN_FALL = 0.15  # share of the stroke: a smaller fall, as at the ends of a clip, is no systole
MIN_RISE = 0.1  # share of the stroke: after this rise, end-systole is over
MIN_NEXT_FALL = 0.2  # share of the stroke: after this fall, the end-diastole before it is certain
SHORTEST_SYSTOLE = 0.1  # s from end-diastole to end-systole: a faster fall is noise
MIN_CHANGE = 0.05  # share of the volume: a smaller change is no beat
NOISE_RANGE = 7.0  # standard deviations: the range of noise in a clip; a smaller change is no beat


def find_systoles(
    smooth: np.ndarray, noise: float, fps: float | None
) -> tuple[list[Systole], list[Caution]]:
    """Find all systoles of a clip; also return warnings about what limits them.

    smooth: (T,) volume or area, smoothed, NaN where unknown. noise: standard deviation of the
    noise that smoothing left in it, in the same unit. A curve that does not fall has no systole.
    """
    finite = np.flatnonzero(np.isfinite(smooth))
    if len(finite) < 2:
        gaps = len(finite) < len(smooth)
        return [], [
            Caution("few-outlines", "Too few frames have an outline: no beat can be detected.")
        ] if gaps else []
    start = int(finite[0])
    curve = np.interp(np.arange(start, finite[-1] + 1), finite, smooth[finite])
    extent = float(np.ptp(curve))
    if extent < max(MIN_CHANGE * curve.max(), NOISE_RANGE * noise):
        return [], [
            Caution(
                "no-contraction",
                "No contraction is detected: the volume changes by less than "
                f"{100 * MIN_CHANGE:.0f} %, or by no more than the outlines change by chance.",
            )
        ]
    measured = finite - start
    minima = [int(measured[np.abs(measured - frame).argmin()])
              for frame in _minima(curve, extent, noise, fps)]  # fmt: skip
    systoles = _systoles_at(minima, curve, extent, fps)
    if not systoles:
        return [], [
            Caution(
                "no-systole", "No systole is detected: the volume only rises, or falls very little."
            )
        ]
    systoles = _exclude_gaps(systoles, np.isfinite(smooth[start : finite[-1] + 1]))
    systoles, warnings = exclude_premature(systoles, curve, start)
    systoles = _exclude_cut_off(systoles)
    return [_shift(systole, start) for systole in systoles], warnings


def _shift(systole: Systole, frames: int) -> Systole:
    """Move a systole to later frames."""
    end = None if systole.end is None else systole.end + frames
    return replace(
        systole,
        end_diastole=systole.end_diastole + frames,
        end_systole=systole.end_systole + frames,
        end=end,
    )


# --- Minima and the filling between them ----------------------------------------------------------


def _minima(curve: np.ndarray, extent: float, noise: float, fps: float | None) -> list[int]:
    """Frames of the end-systoles, including premature ones and those at either end of the clip."""
    distance = max(1, int(MIN_INTERVAL * fps)) if fps else MIN_INTERVAL_FRAMES
    walled = np.concatenate([[curve.max()], curve, [curve.max()]])  # an end can be a minimum
    least = min(PROMINENCE * extent, max(PREMATURE_PROMINENCE * extent, NOISE_RANGE * noise))
    peaks, properties = find_peaks(-walled, prominence=least, distance=distance)
    deep = properties["prominences"] >= PROMINENCE * extent
    minima = (peaks - 1)[deep]
    usual = np.median(np.diff(minima)) if len(minima) > 1 else 0
    early = [
        frame
        for frame in (peaks - 1)[~deep]
        if (minima < frame).any()
        and frame - minima[minima < frame].max() < PREMATURE_INTERVAL * usual
    ]
    candidates = sorted(int(frame) for frame in [*minima, *early])
    return [
        frame
        for previous, frame in zip([0, *candidates], candidates, strict=False)
        if _is_long_enough(_end_of_filling(curve, previous, frame), frame, fps)
    ]


def _is_long_enough(end_diastole: int, end_systole: int, fps: float | None) -> bool:
    """Whether a fall takes at least `SHORTEST_SYSTOLE`, or may have begun before the clip."""
    if not fps or end_diastole <= _slope_frames(fps):
        return True
    return end_systole - end_diastole >= SHORTEST_SYSTOLE * fps


def _end_of_filling(curve: np.ndarray, first: int, last: int) -> int:
    """Frame of end-diastole: the maximum of the last run of frames that count as filled.

    Searched from the first to the last frame, both included. After early filling the volume may
    stay near its end-diastolic value (diastasis), and noise may put the overall maximum there.
    """
    part = curve[first : last + 1]
    full = part >= part.max() - FULL_TOLERANCE * np.ptp(part)
    end = int(np.flatnonzero(full)[-1])
    empty = np.flatnonzero(~full[:end])
    begin = int(empty[-1]) + 1 if len(empty) else 0
    return first + begin + int(part[begin : end + 1].argmax())


# --- Systoles -------------------------------------------------------------------------------------


def _systoles_at(
    minima: list[int], curve: np.ndarray, extent: float, fps: float | None
) -> list[Systole]:
    """Systoles that end at these minima, in order; those with too small a fall are left out."""
    systoles = []
    bounds = [0, *minima, len(curve) - 1]
    for before, frame, after in zip(bounds, minima, bounds[2:], strict=False):
        full = _end_of_filling(curve, before, frame)
        next_full = _end_of_filling(curve, frame, after)
        stroke = max(curve[full], curve[next_full]) - curve[frame]
        next_fall = curve[next_full] - curve[next_full : after + 1].min()
        end = next_full if next_full > frame and next_fall >= MIN_NEXT_FALL * stroke else None
        fall = curve[full] - curve[frame]
        if full < frame and fall >= MIN_FALL * max(stroke, extent):
            systoles.append(Systole(full, frame, end))
    if systoles and systoles[0].end_systole == minima[0]:
        systoles[0] = _check_first(systoles[0], curve, fps)
    if systoles and systoles[-1].end_systole == minima[-1]:
        last = _check_last(systoles, curve, fps)
        systoles = systoles[:-1] + ([last] if last else [])
    return systoles


def _slope_frames(fps: float | None) -> int:
    return frames_in(SLOPE_TIME, fps, 1)


def _is_steep(fall: float, stroke: float, fps: float | None) -> bool:
    """Whether a fall of the volume within `_slope_frames` is as fast as in mid-systole."""
    seconds = _slope_frames(fps) / fps if fps else SLOPE_TIME
    return fall > STEEP_SLOPE * seconds * stroke


def _check_first(systole: Systole, curve: np.ndarray, fps: float | None) -> Systole:
    """Check whether the clip begins within its first systole.

    Such a systole gets the end-diastole after it, if the volume is larger there.
    """
    if systole.end_diastole >= _slope_frames(fps):
        return systole
    step = min(systole.end_diastole + _slope_frames(fps), systole.end_systole)
    stroke = curve[systole.end_diastole] - curve[systole.end_systole]
    stop = len(curve) - 1 if systole.end is None else systole.end
    next_full = _end_of_filling(curve, systole.end_systole, stop)
    small = stroke < REST_OF_FALL * (curve[next_full] - curve[systole.end_systole])
    if not (small or _is_steep(curve[systole.end_diastole] - curve[step], stroke, fps)):
        return systole
    if curve[next_full] > curve[systole.end_diastole]:
        return replace(systole, end_diastole=next_full, end=None, note=BEGINS_IN_SYSTOLE)
    return replace(systole, note=BEGINNING_MISSING)


def _check_last(systoles: list[Systole], curve: np.ndarray, fps: float | None) -> Systole | None:
    """Check whether the clip ends within its last systole.

    Returns None for a systole that is cut off, if the clip has others with a larger stroke.
    """
    last = systoles[-1]
    strokes = strokes_of(systoles, curve)
    rest = curve[last.end_systole :]
    if rest.max() - rest[0] >= MIN_RISE * strokes[-1]:
        return last
    if len(systoles) > 1 and strokes[-1] < WEAK_STROKE * np.median(strokes[:-1]):
        return None
    before = max(last.end_systole - _slope_frames(fps), last.end_diastole)
    steep = _is_steep(curve[before] - curve[last.end_systole], strokes[-1], fps)
    return add_note(last, ENDS_IN_SYSTOLE if steep else ENDS_AT_END_SYSTOLE)


# --- Beats that do not count ----------------------------------------------------------------------


def _exclude_gaps(systoles: list[Systole], finite: np.ndarray) -> list[Systole]:
    """Exclude systoles with an unknown frame at end-diastole, at end-systole or next to them.

    finite: (T,) bool, where the curve is known.
    """
    near_gap = np.convolve(~finite, np.ones(3), mode="same") > 0
    return [
        add_note(systole, FRAMES_MISSING, counts=False)
        if near_gap[[systole.end_diastole, systole.end_systole]].any()
        else systole
        for systole in systoles
    ]


def _exclude_cut_off(systoles: list[Systole]) -> list[Systole]:
    """Exclude systoles that the clip cuts off, if another one counts."""
    cut_off = [any(note in systole.note for note in CUT_OFF_NOTES) for systole in systoles]
    if not any(s.counts and not is_cut for s, is_cut in zip(systoles, cut_off, strict=True)):
        return systoles
    return [
        replace(systole, counts=False) if is_cut else systole
        for systole, is_cut in zip(systoles, cut_off, strict=True)
    ]
