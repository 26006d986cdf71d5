"""One systole of a clip, and the notes on what is unusual about it."""

from dataclasses import dataclass, replace

import numpy as np

PREMATURE_INTERVAL = 0.8  # share of the usual interval: a beat after a shorter one is premature
WEAK_STROKE = 0.85  # share of the usual stroke: a premature beat ejects less than that

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


def add_note(systole: Systole, note: str, counts: bool = True) -> Systole:
    """Add a note to a systole; counts=False also excludes it from the clip's result."""
    notes = "; ".join(filter(None, [systole.note, note]))
    return replace(systole, note=notes, counts=systole.counts and counts)


def strokes_of(systoles: list[Systole], curve: np.ndarray) -> np.ndarray:
    """(n,) fall of the curve (T,) from end-diastole to end-systole."""
    return np.array([curve[s.end_diastole] - curve[s.end_systole] for s in systoles])
