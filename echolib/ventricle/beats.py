"""Beats in a curve of the left ventricle's volume: end-diastole and end-systole of each beat.

End-systoles are minima of the curve, as in Ouyang et al., Nature 580 (2020): `find_peaks` with
a prominence of half the curve's range, 20 frames apart at 50 fps. End-diastole is the end of the
filling before end-systole. Premature beats are searched for among the shallower minima.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.signal import find_peaks

from ..curves import frames_in

PROMINENCE = 0.5  # share of the curve's range: a minimum this deep is an end-systole
PREMATURE_PROMINENCE = 0.25  # share of the range, for a premature beat, which must also come early
MIN_INTERVAL = 0.4  # s between end-systoles: 20 frames at 50 fps
MIN_INTERVAL_FRAMES = 8  # frames between end-systoles, where fps is unknown
FULL_TOLERANCE = 0.06  # share of the stroke: a frame this close to the maximum counts as filled
SLOPE_TIME = 0.04  # s over which the curve's slope at the ends of the clip is measured
STEEP_SLOPE = 3.0  # strokes per second: a faster fall means that the ventricle is in mid-systole
MIN_FALL = 0.2  # share of the stroke: a smaller fall, as at the ends of a clip, is no systole
MIN_RISE = 0.1  # share of the stroke: after this rise, end-systole is over
MIN_NEXT_FALL = 0.2  # share of the stroke: after this fall, the end-diastole before it is certain
SHORTEST_SYSTOLE = 0.15  # s from end-diastole to end-systole: a faster fall is noise
MIN_CHANGE = 0.05  # share of the volume: a smaller change is no beat
NOISE_RANGE = 6.0  # standard deviations: the range of noise in a clip; a smaller change is no beat
PREMATURE_INTERVAL = 0.8  # share of the usual interval: a beat after a shorter one is premature
WEAK_STROKE = 0.85  # share of the usual stroke: a premature beat ejects less than that
PAUSE_INTERVAL = 1.12  # share of the usual interval: a longer one is a pause
MAX_PREMATURE_SHARE = 1 / 3  # of the beats: if more are premature, the rhythm is irregular
IRREGULAR_SPREAD = 0.2  # standard deviation of the intervals, as a share of their mean

EXTRASYSTOLE, AFTER_PAUSE = "extrasystole", "after a pause"
BEGINS_IN_SYSTOLE = "begins in systole: measured with the end-diastole after it"
BEGINNING_MISSING = "begins in systole: end-diastole is not in the clip"
FRAMES_MISSING = "frames missing at end-diastole or end-systole"
ENDS_IN_SYSTOLE = "the clip ends in systole"
ENDS_AT_END_SYSTOLE = "the clip ends at end-systole"
CUT_OFF_NOTES = (BEGINNING_MISSING, ENDS_IN_SYSTOLE, ENDS_AT_END_SYSTOLE)


@dataclass(frozen=True)
class Systole:
    """One systole of a clip, in frames; the fields are those of `function.Beat`."""

    end_diastole: int
    end_systole: int
    end: int | None = None
    counts: bool = True
    note: str = ""


def find_systoles(
    smooth: np.ndarray, noise: float, fps: float | None
) -> tuple[list[Systole], list[str]]:
    """Find all systoles of a clip; also return warnings about what limits them.

    smooth: (T,) volume or area, smoothed, NaN where unknown. noise: standard deviation of the
    noise that smoothing left in it, in the same unit. A curve that does not fall has no systole.
    """
    finite = np.flatnonzero(np.isfinite(smooth))
    if len(finite) < 2:
        gaps = len(finite) < len(smooth)
        return [], ["Too few frames have an outline: no beat can be detected."] if gaps else []
    start = int(finite[0])
    curve = np.interp(np.arange(start, finite[-1] + 1), finite, smooth[finite])
    extent = float(np.ptp(curve))
    if extent < max(MIN_CHANGE * curve.max(), NOISE_RANGE * noise):
        return [], [
            "No contraction is detected: the volume changes by less than "
            f"{100 * MIN_CHANGE:.0f} %, or by no more than the outlines change by chance."
        ]
    measured = finite - start
    minima = [int(measured[np.abs(measured - frame).argmin()])
              for frame in _minima(curve, extent, noise, fps)]  # fmt: skip
    systoles = _systoles_at(minima, curve, extent, fps)
    if not systoles:
        return [], ["No systole is detected: the volume only rises, or falls very little."]
    systoles = _exclude_gaps(systoles, np.isfinite(smooth[start : finite[-1] + 1]))
    systoles, warnings = _exclude_premature(systoles, curve, start)
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
    distance = frames_in(MIN_INTERVAL, fps, MIN_INTERVAL_FRAMES)
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
    step = min(systole.end_diastole + _slope_frames(fps), systole.end_systole)
    stroke = curve[systole.end_diastole] - curve[systole.end_systole]
    steep = _is_steep(curve[systole.end_diastole] - curve[step], stroke, fps)
    if systole.end_diastole >= _slope_frames(fps) or not steep:
        return systole
    stop = len(curve) - 1 if systole.end is None else systole.end
    next_full = _end_of_filling(curve, systole.end_systole, stop)
    if curve[next_full] > curve[systole.end_diastole]:
        return replace(systole, end_diastole=next_full, end=None, note=BEGINS_IN_SYSTOLE)
    return replace(systole, note=BEGINNING_MISSING)


def _check_last(systoles: list[Systole], curve: np.ndarray, fps: float | None) -> Systole | None:
    """Check whether the clip ends within its last systole.

    Returns None for a systole that is cut off, if the clip has others with a larger stroke.
    """
    last = systoles[-1]
    strokes = _strokes(systoles, curve)
    rest = curve[last.end_systole :]
    if rest.max() - rest[0] >= MIN_RISE * strokes[-1]:
        return last
    if len(systoles) > 1 and strokes[-1] < WEAK_STROKE * np.median(strokes[:-1]):
        return None
    before = max(last.end_systole - _slope_frames(fps), last.end_diastole)
    steep = _is_steep(curve[before] - curve[last.end_systole], strokes[-1], fps)
    return _add_note(last, ENDS_IN_SYSTOLE if steep else ENDS_AT_END_SYSTOLE)


def _strokes(systoles: list[Systole], curve: np.ndarray) -> np.ndarray:
    """(n,) fall of the curve from end-diastole to end-systole."""
    return np.array([curve[s.end_diastole] - curve[s.end_systole] for s in systoles])


# --- Beats that do not count ----------------------------------------------------------------------


def _add_note(systole: Systole, note: str, counts: bool = True) -> Systole:
    """Add a note to a systole; counts=False also excludes it from the clip's result."""
    notes = "; ".join(filter(None, [systole.note, note]))
    return replace(systole, note=notes, counts=systole.counts and counts)


def _exclude_gaps(systoles: list[Systole], finite: np.ndarray) -> list[Systole]:
    """Exclude systoles with an unknown frame at end-diastole, at end-systole or next to them.

    finite: (T,) bool, where the curve is known.
    """
    near_gap = np.convolve(~finite, np.ones(3), mode="same") > 0
    return [
        _add_note(systole, FRAMES_MISSING, counts=False)
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


def _exclude_premature(
    systoles: list[Systole], curve: np.ndarray, start: int
) -> tuple[list[Systole], list[str]]:
    """Exclude premature systoles and those after them; also return warnings about the rhythm.

    start: frame of the clip at which the curve begins. An irregular rhythm excludes none.
    """
    if len(systoles) < 3:
        return systoles, []
    times = np.array([systole.end_systole for systole in systoles])
    intervals = np.diff(times)
    premature = _premature(intervals, _strokes(systoles, curve))
    varied = not premature and np.std(intervals) > IRREGULAR_SPREAD * np.mean(intervals)
    if varied or len(premature) > max(1, MAX_PREMATURE_SHARE * len(systoles)):
        return systoles, [
            "The rhythm is irregular: premature beats cannot be distinguished from others, and "
            "all beats count. In atrial fibrillation, guidelines average five beats or more."
        ]
    if not premature:
        return systoles, []
    systoles = list(systoles)
    for number in premature:
        systoles[number] = _add_note(systoles[number], EXTRASYSTOLE, counts=False)
        following = number + 1
        if following < len(systoles) and following not in premature:
            systoles[following] = _add_note(systoles[following], AFTER_PAUSE, counts=False)
    frames = ", ".join(str(times[number] + start) for number in premature)
    return systoles, [
        f"Extrasystole with end-systole at frame {frames}: it and the beat after it do not count."
    ]


def _premature(intervals: np.ndarray, strokes: np.ndarray) -> list[int]:
    """Numbers of the premature systoles: early, and weak or followed by a pause.

    intervals: (n - 1,) frames between end-systoles. strokes: (n,) in the unit of the curve.
    """
    premature = []
    for number, interval in enumerate(intervals, start=1):
        usual = np.median(np.delete(intervals, number - 1))
        pause = number < len(intervals) and intervals[number] > PAUSE_INTERVAL * usual
        weak = strokes[number] < WEAK_STROKE * np.median(np.delete(strokes, number))
        if interval < PREMATURE_INTERVAL * usual and (weak or pause):
            premature.append(number)
    return premature


# --- Heart rate and warnings ----------------------------------------------------------------------


def heart_rate(systoles: list[Systole], smooth: np.ndarray, fps: float | None) -> float | None:
    """Heart rate in beats per minute from the median interval; None without fps or a whole beat.

    smooth: (T,), the curve in which the systoles were found. An interval runs from the middle of
    one fall to the middle of the next. The curve is steep there, so this moment is several times
    more precise than end-diastole and end-systole, where the curve is flat. A single whole beat
    runs from end-diastole to end-diastole. Intervals around extrasystoles are left out, if there
    are others.
    """
    ordered = [systole for systole in systoles if systole.end_diastole < systole.end_systole]
    regular = [
        _mid_ejection(following, smooth) - _mid_ejection(systole, smooth)
        for systole, following in zip(ordered, ordered[1:], strict=False)
        if EXTRASYSTOLE not in following.note and AFTER_PAUSE not in following.note
    ]
    whole = [systole.end - systole.end_diastole for systole in ordered if systole.end is not None]
    intervals = regular or whole
    return 60 * fps / float(np.median(intervals)) if fps and intervals else None


def _mid_ejection(systole: Systole, smooth: np.ndarray) -> float:
    """Moment, in frames, at which the curve last falls through half of the stroke."""
    finite = np.flatnonzero(np.isfinite(smooth))
    frames = np.arange(systole.end_diastole, systole.end_systole + 1)
    fall = np.interp(frames, finite, smooth[finite])
    half = 0.5 * (fall[0] + fall[-1])
    above = int(np.flatnonzero(fall > half)[-1])
    share = (fall[above] - half) / (fall[above] - fall[above + 1])
    return systole.end_diastole + above + float(share)
