"""The rhythm of a clip: intervals between systoles, extrasystoles, irregularity, heart rate."""

import numpy as np

from ..cautions import Caution
from .systoles import (
    AFTER_PAUSE,
    CUT_OFF_NOTES,
    EXTRASYSTOLE,
    FRAMES_MISSING,
    PREMATURE_INTERVAL,
    WEAK_STROKE,
    Systole,
    add_note,
    strokes_of,
)

PAUSE_INTERVAL = 1.12  # share of the usual interval: a longer one is a pause
MAX_PREMATURE_SHARE = 1 / 3  # of the beats: if more are premature, the rhythm is irregular
# standard deviation of n intervals as a share of their mean: above (1 + 0.5 / n) times this, the
# rhythm is irregular; tests/ventricle/test_rhythm.py counts the warnings in simulated rhythms
IRREGULAR_SPREAD = 0.085


def exclude_premature(
    systoles: list[Systole], curve: np.ndarray, start: int
) -> tuple[list[Systole], list[Caution]]:
    """Exclude premature systoles and those after them; also return warnings about the rhythm.

    start: frame of the clip at which the curve begins. An irregular rhythm excludes none.
    """
    if len(systoles) < 3:
        return systoles, []
    times = np.array([systole.end_systole for systole in systoles])
    intervals = np.diff(times)
    premature = _premature(intervals, strokes_of(systoles, curve))
    noted = list(systoles)
    for number in premature:
        noted[number] = add_note(noted[number], EXTRASYSTOLE, counts=False)
        following = number + 1
        if following < len(noted) and following not in premature:
            noted[following] = add_note(noted[following], AFTER_PAUSE, counts=False)
    usual = _intervals(noted, curve, (FRAMES_MISSING, *CUT_OFF_NOTES))
    too_many = len(premature) > max(1, MAX_PREMATURE_SHARE * len(systoles))
    if too_many or _is_irregular(usual):
        looked_at = intervals if too_many else usual
        return systoles, [
            Caution(
                "irregular-rhythm",
                f"The rhythm is irregular in the {len(looked_at)} intervals looked at: premature "
                "beats cannot be distinguished from others, and all beats count. In atrial "
                "fibrillation, guidelines average five beats or more.",
            )
        ]
    if not premature:
        return systoles, []
    frames = ", ".join(str(times[number] + start) for number in premature)
    return noted, [
        Caution(
            "extrasystole",
            f"Extrasystole with end-systole at frame {frames}: it and the beat after it do not "
            "count.",
        )
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


# --- Intervals ------------------------------------------------------------------------------------


def _is_irregular(intervals: list[float]) -> bool:
    """Whether two or more intervals, in any unit, differ more than those of a regular rhythm."""
    if len(intervals) < 2:
        return False
    limit = IRREGULAR_SPREAD * (1 + 0.5 / len(intervals))
    return float(np.std(intervals, ddof=1)) > limit * float(np.mean(intervals))


def _intervals(
    systoles: list[Systole], smooth: np.ndarray, unsure: tuple[str, ...] = ()
) -> list[float]:
    """Frames from the middle of each fall to that of the next, extrasystoles left out.

    The curve is steep there, so this moment is several times more precise than end-diastole and
    end-systole, where the curve is flat. unsure: notes of systoles whose moment is not precise;
    their intervals are left out too. So is the pause after an extrasystole.
    """
    ordered = [systole for systole in systoles if systole.end_diastole < systole.end_systole]
    return [
        _mid_ejection(following, smooth) - _mid_ejection(systole, smooth)
        for systole, following in zip(ordered, ordered[1:], strict=False)
        if EXTRASYSTOLE not in following.note
        and AFTER_PAUSE not in following.note
        and not any(note in systole.note + following.note for note in unsure)
    ]


def heart_rate(systoles: list[Systole], smooth: np.ndarray, fps: float | None) -> float | None:
    """Heart rate in beats per minute from the median interval; None without fps or a whole beat.

    smooth: (T,), the curve in which the systoles were found. Intervals around extrasystoles are
    left out, if there are others. A single whole beat runs from end-diastole to end-diastole.
    """
    whole = [
        systole.end - systole.end_diastole
        for systole in systoles
        if systole.end is not None and systole.end_diastole < systole.end_systole
    ]
    intervals = _intervals(systoles, smooth) or whole
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
