"""Beats in a curve of the left ventricle's volume: end-diastole and end-systole of each.

End-systoles are minima of the curve, as in Ouyang et al., Nature 580 (2020): `find_peaks` with
a prominence of half the curve's range, 20 frames apart at 50 fps. End-diastole is the end of
filling before it. Premature beats are looked for among the shallower minima.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.signal import find_peaks

PROMINENCE = 0.5  # of the curve's range: a systole
SHALLOW = 0.25  # of the range: a premature beat, if it also comes early
APART = 0.4  # s between end-systoles: 20 frames at 50 fps
APART_FRAMES = 8  # without fps
FULL = 0.06  # of the stroke: a frame that is as full as that counts as filled
SLOPE_TIME = 0.04  # s over which a curve's slope at the ends of the clip is taken
STEEP = 3.0  # strokes a second: the ventricle is in the midst of its systole
SEEN = 0.2  # of the stroke: the least fall by which a systole is seen at the clip's ends
TURNED = 0.1  # of the stroke: the curve rises again, end-systole is over
FALLS_AGAIN = 0.2  # of the stroke: the next systole has begun, so that end-diastole was seen
SHORTEST_SYSTOLE = 0.15  # s from end-diastole to end-systole: what falls faster is noise
STILL = 0.05  # of the volume: less is no beat
NOISE = 6.0  # standard deviations of the noise: its range in a clip; less is no beat
EARLY = 0.8  # of the usual interval: a beat is premature
WEAK = 0.85  # of the usual stroke: a premature beat ejects less
LATE = 1.12  # of the usual interval: a pause
OFTEN = 1 / 3  # of the beats: if more are premature, the rhythm is irregular
IRREGULAR = 0.2  # standard deviation of the intervals, as a share of their mean

EXTRASYSTOLE, AFTER_PAUSE = "extrasystole", "after a pause"
BEGINS_IN_SYSTOLE = "begins in systole: end-diastole is the one after it"
BEGINNING_UNSEEN = "begins in systole: end-diastole is not seen"
FRAMES_MISSING = "frames missing at end-diastole or end-systole"
GOES_ON = "the clip ends in systole"
MAY_GO_ON = "the clip ends at end-systole"
CUT_OFF = (BEGINNING_UNSEEN, GOES_ON, MAY_GO_ON)


@dataclass(frozen=True)
class Systole:
    """One systole of a clip; frames, as in `cardiac.Beat`."""

    end_diastole: int
    end_systole: int
    end: int | None = None
    counts: bool = True
    note: str = ""


def find_systoles(
    smooth: np.ndarray, noise: float, fps: float | None
) -> tuple[list[Systole], list[str]]:
    """All systoles of a clip and, in words, what limits them.

    smooth: (T,) volume or area, smoothed, NaN where unknown. noise: standard deviation of
    what smoothing left of it, in the same unit. A curve that does not fall has no systole.
    """
    known = np.flatnonzero(np.isfinite(smooth))
    if len(known) < 2:
        few = len(known) < len(smooth)
        return [], ["Too few frames have an outline: no beat is told."] if few else []
    start = int(known[0])
    curve = np.interp(np.arange(start, known[-1] + 1), known, smooth[known])
    extent = float(np.ptp(curve))
    if extent < max(STILL * curve.max(), NOISE * noise):
        return [], [
            "The ventricle is not seen to contract: its volume changes by less than "
            f"{100 * STILL:.0f} %, or by no more than the outlines change by chance."
        ]
    told = known - start
    minima = [int(told[np.abs(told - frame).argmin()])
              for frame in _minima(curve, extent, noise, fps)]  # fmt: skip
    found = _systoles(curve, minima, extent, fps)
    if not found:
        return [], ["No systole is seen: the volume only rises, or falls by little."]
    found = _without_gaps(found, np.isfinite(smooth[start : known[-1] + 1]))
    found, warnings = _marked(found, curve, start)
    found = _without_cut_ones(found)
    warnings += _end_warnings(found)
    return [_later(beat, start) for beat in found], warnings


def _later(beat: Systole, frames: int) -> Systole:
    """The same beat in a clip with so many more frames before it."""
    end = None if beat.end is None else beat.end + frames
    return replace(
        beat,
        end_diastole=beat.end_diastole + frames,
        end_systole=beat.end_systole + frames,
        end=end,
    )


# --- Minima and what lies between them ------------------------------------------------------------


def _minima(curve: np.ndarray, extent: float, noise: float, fps: float | None) -> list[int]:
    """Frames of the end-systoles, those at either end of the clip and premature ones included."""
    apart = max(1, round(APART * fps)) if fps else APART_FRAMES
    walled = np.concatenate([[curve.max()], curve, [curve.max()]])  # an end can be a minimum
    least = min(PROMINENCE * extent, max(SHALLOW * extent, NOISE * noise))
    found, shape = find_peaks(-walled, prominence=least, distance=apart)
    deep = shape["prominences"] >= PROMINENCE * extent
    minima = (found - 1)[deep]
    usual = np.median(np.diff(minima)) if len(minima) > 1 else 0
    early = [
        frame
        for frame in (found - 1)[~deep]
        if (minima < frame).any() and frame - minima[minima < frame].max() < EARLY * usual
    ]
    together = sorted(int(frame) for frame in [*minima, *early])
    return [
        frame
        for before, frame in zip([0, *together], together, strict=False)
        if _lasts(_filled(curve, before, frame), frame, fps)
    ]


def _lasts(full: int, frame: int, fps: float | None) -> bool:
    """Whether a fall takes as long as a systole must, or may have begun before the clip."""
    return not fps or frame - full >= SHORTEST_SYSTOLE * fps or full <= _slope_frames(fps)


def _filled(curve: np.ndarray, first: int, last: int) -> int:
    """Frame in which filling ends: the fullest of the last frames that are as good as full.

    Between first and last frame, both included. After early filling the volume may rest
    (diastasis) at nearly its end-diastolic value, and noise put its maximum there.
    """
    part = curve[first : last + 1]
    full = part >= part.max() - FULL * np.ptp(part)
    end = int(np.flatnonzero(full)[-1])
    empty = np.flatnonzero(~full[:end])
    begin = int(empty[-1]) + 1 if len(empty) else 0
    return first + begin + int(part[begin : end + 1].argmax())


def _noted(beat: Systole, note: str, counts: bool = True) -> Systole:
    """The beat with one more note; counts=False leaves it out of the count."""
    notes = "; ".join(filter(None, [beat.note, note]))
    return replace(beat, note=notes, counts=beat.counts and counts)


def _systoles(
    curve: np.ndarray, minima: list[int], extent: float, fps: float | None
) -> list[Systole]:
    """Systoles of which enough is seen, in order."""
    found = []
    bounds = [0, *minima, len(curve) - 1]
    for before, frame, after in zip(bounds, minima, bounds[2:], strict=False):
        full, next_full = _filled(curve, before, frame), _filled(curve, frame, after)
        stroke = max(curve[full], curve[next_full]) - curve[frame]
        again = curve[next_full] - curve[next_full : after + 1].min()
        end = next_full if next_full > frame and again >= FALLS_AGAIN * stroke else None
        fall = curve[full] - curve[frame]
        if full < frame and fall >= SEEN * max(stroke, extent):
            found.append(Systole(full, frame, end))
    if found and found[0].end_systole == minima[0]:
        found[0] = _begun(curve, found[0], fps)
    if found and found[-1].end_systole == minima[-1]:
        last = _ended(curve, found, fps)
        found = found[:-1] + ([last] if last else [])
    return found


def _without_gaps(found: list[Systole], known: np.ndarray) -> list[Systole]:
    """Beats, those left out of the count that have unknown frames beside ED or ES."""
    unsure = np.convolve(~known, np.ones(3), mode="same") > 0
    return [
        _noted(beat, FRAMES_MISSING, counts=False)
        if unsure[[beat.end_diastole, beat.end_systole]].any()
        else beat
        for beat in found
    ]


def _slope_frames(fps: float | None) -> int:
    return max(1, round(SLOPE_TIME * fps)) if fps else 1


def _is_steep(fall: float, stroke: float, fps: float | None) -> bool:
    """Whether a fall of the volume within `_slope_frames` is as fast as in mid-systole."""
    seconds = _slope_frames(fps) / fps if fps else SLOPE_TIME
    return fall > STEEP * seconds * stroke


def _begun(curve: np.ndarray, beat: Systole, fps: float | None) -> Systole:
    """The clip's first systole: if its beginning is not in the clip, it takes the next filling."""
    step = min(beat.end_diastole + _slope_frames(fps), beat.end_systole)
    stroke = curve[beat.end_diastole] - curve[beat.end_systole]
    steep = _is_steep(curve[beat.end_diastole] - curve[step], stroke, fps)
    if beat.end_diastole >= _slope_frames(fps) or not steep:
        return beat
    later = _filled(curve, beat.end_systole, len(curve) - 1 if beat.end is None else beat.end)
    if curve[later] > curve[beat.end_diastole]:
        return replace(beat, end_diastole=later, end=None, note=BEGINS_IN_SYSTOLE)
    return replace(beat, note=BEGINNING_UNSEEN)


def _ended(curve: np.ndarray, found: list[Systole], fps: float | None) -> Systole | None:
    """The clip's last systole, or None if it is cut off and others tell more."""
    beat, strokes = found[-1], [curve[b.end_diastole] - curve[b.end_systole] for b in found]
    rest = curve[beat.end_systole :]
    if rest.max() - rest[0] >= TURNED * strokes[-1]:
        return beat
    if len(found) > 1 and strokes[-1] < WEAK * np.median(strokes[:-1]):
        return None
    before = max(beat.end_systole - _slope_frames(fps), beat.end_diastole)
    steep = _is_steep(curve[before] - curve[beat.end_systole], strokes[-1], fps)
    return _noted(beat, GOES_ON if steep else MAY_GO_ON)


def _without_cut_ones(found: list[Systole]) -> list[Systole]:
    """Beats, those left out of the count that the clip cuts off, if another one counts."""
    cut = [any(note in beat.note for note in CUT_OFF) for beat in found]
    if not any(beat.counts and not short for beat, short in zip(found, cut, strict=True)):
        return found
    return [
        replace(beat, counts=False) if short else beat
        for beat, short in zip(found, cut, strict=True)
    ]


# --- Rhythm ---------------------------------------------------------------------------------------


def _marked(found: list[Systole], curve: np.ndarray, start: int) -> tuple[list[Systole], list[str]]:
    """Systoles with premature ones, and those after them, left out of the count."""
    if len(found) < 3:
        return found, []
    times = np.array([beat.end_systole for beat in found])
    strokes = np.array([curve[beat.end_diastole] - curve[beat.end_systole] for beat in found])
    intervals = np.diff(times)
    premature = []
    for number, interval in enumerate(intervals, start=1):
        others = np.delete(intervals, number - 1)
        pause = number < len(intervals) and intervals[number] > LATE * np.median(others)
        weak = strokes[number] < WEAK * np.median(np.delete(strokes, number))
        if interval < EARLY * np.median(others) and (weak or pause):
            premature.append(number)
    varied = not premature and np.std(intervals) > IRREGULAR * np.mean(intervals)
    if varied or len(premature) > max(1, OFTEN * len(found)):
        return found, [
            "The rhythm is irregular: premature beats are not told from others, and all count. "
            "In atrial fibrillation guidelines average five beats or more."
        ]
    for number in premature:
        found[number] = _noted(found[number], EXTRASYSTOLE, counts=False)
        if number + 1 < len(found) and number + 1 not in premature:
            found[number + 1] = _noted(found[number + 1], AFTER_PAUSE, counts=False)
    if not premature:
        return found, []
    frames = ", ".join(str(times[number] + start) for number in premature)
    return found, [
        f"Extrasystole, with its end-systole at frame {frames}: it and the beat after it do not "
        "count."
    ]


def heart_rate(found: list[Systole], smooth: np.ndarray, fps: float | None) -> float | None:
    """Beats per minute, from the median interval; None without fps or without a whole beat.

    smooth: (T,), the curve in which the beats were found. The interval runs from the middle of
    one fall to that of the next: the curve is steep there, so that the moment is told several
    times more surely than where it is flat, at end-diastole and end-systole. A single whole beat
    runs from end-diastole to end-diastole. Intervals around extrasystoles are left out, if
    others are there.
    """
    seen = [beat for beat in found if beat.end_diastole < beat.end_systole]
    steady = [
        _half_way(later, smooth) - _half_way(beat, smooth)
        for beat, later in zip(seen, seen[1:], strict=False)
        if EXTRASYSTOLE not in later.note and AFTER_PAUSE not in later.note
    ]
    whole = [beat.end - beat.end_diastole for beat in seen if beat.end is not None]
    intervals = steady or whole
    return 60 * fps / float(np.median(intervals)) if fps and intervals else None


def _half_way(beat: Systole, smooth: np.ndarray) -> float:
    """Moment, in frames, at which half of the stroke is ejected, for the last time."""
    known = np.flatnonzero(np.isfinite(smooth))
    frames = np.arange(beat.end_diastole, beat.end_systole + 1)
    fall = np.interp(frames, known, smooth[known])
    half = 0.5 * (fall[0] + fall[-1])
    above = int(np.flatnonzero(fall > half)[-1])
    share = (fall[above] - half) / (fall[above] - fall[above + 1])
    return beat.end_diastole + above + float(share)


def _end_warnings(found: list[Systole]) -> list[str]:
    """What the ends of the clip cut off of beats that count, in words."""
    first, last = (beat.note if beat.counts else "" for beat in (found[0], found[-1]))
    warnings = []
    if BEGINS_IN_SYSTOLE in first:
        warnings.append(
            "The clip begins in systole: its first beat is measured with the end-diastole after it."
        )
    elif BEGINNING_UNSEEN in first:
        warnings.append(
            "The clip begins in systole and shows no larger end-diastole: the ejection fraction "
            "of its first beat may be too low."
        )
    if GOES_ON in last:
        warnings.append(
            "The clip ends in systole: the ejection fraction of its last beat is too low."
        )
    elif MAY_GO_ON in last:
        warnings.append(
            "The last end-systole lies at the end of the clip: systole may go on, and the "
            "ejection fraction of that beat may be too low."
        )
    return warnings
