"""Warnings about a clip's heart function: what limits its numbers.

Each function returns a list, empty where there is nothing to warn about.
"""

import numpy as np

from ..cautions import Caution
from .systoles import (
    BEGINNING_MISSING,
    BEGINS_IN_SYSTOLE,
    ENDS_AT_END_SYSTOLE,
    ENDS_IN_SYSTOLE,
    Systole,
)

EDGE_SHARE = 0.06  # of an outline at the edge of the sector: above it, the outline touches the edge
EDGE_FRAMES = 0.10  # share of the frames whose outline touches the edge
SHORTENING_RANGE = (-0.05, 0.35)  # of the long axis from ED to ES; in phantom hearts: 0.02 to 0.33
LENGTH_SPREAD = 0.10  # of the end-diastolic long axis, between beats: the imaging plane moves
LENGTH_JUMP = 0.10  # of the long axis, between a frame and the smoothed curve
JUMPING_FRAMES = 0.10  # share of the frames whose long axis jumps
OUTLYING_FRAMES = 0.10  # share of the frames whose volume is far from that of their neighbours
EF_SPREAD = 10.0  # points of ejection fraction between beats
LOWEST_FPS = 25.0  # below, frames are more than 40 ms apart, and end-systole falls between them
# mm, of the long axis at end-diastole; 55 to 101 in the 399 training patients of CAMUS
ADULT_LENGTHS = (45.0, 120.0)
HEART_RATES = (30.0, 220.0)  # beats per minute: outside, the frame rate is probably wrong


def _of_frames(flags: np.ndarray) -> str:
    count = int(np.count_nonzero(flags))
    return f"{100 * count / len(flags):.0f} % of the frames ({count} of {len(flags)})"


def missing_masks(exists: np.ndarray, usable: np.ndarray) -> list[Caution]:
    """Empty or unusable outlines.

    exists, usable: (T,) bool, whether a frame has an outline, and whether it can be measured.
    """
    if not exists.any():
        return [Caution("no-outline", "All masks are empty: the ventricle cannot be measured.")]
    warnings = []
    if not exists.all():
        warnings.append(Caution("empty-masks", f"The mask is empty in {_of_frames(~exists)}."))
    if (exists & ~usable).any():
        unusable = _of_frames(exists & ~usable)
        warnings.append(
            Caution("small-masks", f"The mask is too small for a ventricle in {unusable}.")
        )
    return warnings


def edge(shares: np.ndarray) -> list[Caution]:
    """Outlines that are cut off at the edge of the sector.

    shares: (T,) share of each outline that lies at this edge, NaN without an outline.
    """
    touching = shares > EDGE_SHARE
    if np.count_nonzero(touching) <= EDGE_FRAMES * np.count_nonzero(np.isfinite(shares)):
        return []
    return [
        Caution(
            "cut-off-outline",
            f"The outline touches the edge of the sector in {_of_frames(touching)}: the ventricle "
            "is cut off, and its volumes are too small.",
        )
    ]


def outliers(flags: np.ndarray) -> list[Caution]:
    """Outlines that fail; flags: (T,) bool, the volume is far from that of the frames around."""
    if flags.mean() <= OUTLYING_FRAMES:
        return []
    return [
        Caution(
            "outlying-volumes",
            f"The volume is far from that of the neighbouring frames in {_of_frames(flags)}; these "
            "frames are left out of the curve.",
        )
    ]


def acquisition(count: int, fps: float | None, spacing: float | None) -> list[Caution]:
    """Too few frames, or an unknown or low frame rate, or an unknown spacing.

    count: number of frames. fps: frames per second. spacing: mm per px.
    """
    warnings = []
    if count == 1:
        warnings.append(
            Caution(
                "single-frame",
                "One frame only: its volume is known, but not how the volume changes.",
            )
        )
    if fps is None:
        warnings.append(
            Caution(
                "no-frame-rate",
                "Frames per second unknown: beats are detected by counting frames, and there is no "
                "heart rate.",
            )
        )
    elif fps < LOWEST_FPS:
        warnings.append(
            Caution(
                "low-frame-rate",
                f"The frame rate is low ({fps:g} frames per second): end-systole may fall between "
                "two frames, and the ejection fraction comes out too low.",
            )
        )
    if spacing is None:
        warnings.append(
            Caution(
                "no-spacing",
                "Pixel spacing unknown: volumes are in px³/1000 and lengths in px. The ejection "
                "fraction does not need the spacing.",
            )
        )
    return warnings


def long_axis(length: np.ndarray, smooth: np.ndarray, pairs: np.ndarray) -> list[Caution]:
    """Foreshortening or a moving imaging plane, as shown by the length of the long axis.

    length, smooth: (T,) of every frame, measured and smoothed. pairs: (n, 2) at end-diastole and
    end-systole of the beats that count.
    """
    warnings = []
    jumps = np.abs(length - smooth) > LENGTH_JUMP * smooth
    if jumps.mean() > JUMPING_FRAMES:
        warnings.append(
            Caution(
                "jumping-axis",
                f"The long axis jumps in {_of_frames(jumps)}: the position of the apex is "
                "uncertain.",
            )
        )
    pairs = pairs[np.isfinite(pairs).all(axis=1)]
    if len(pairs) == 0:
        return warnings
    shortening = float(np.median(1 - pairs[:, 1] / pairs[:, 0]))
    if not SHORTENING_RANGE[0] <= shortening <= SHORTENING_RANGE[1]:
        warnings.append(
            Caution(
                "unusual-shortening",
                f"The long axis {'shortens' if shortening > 0 else 'lengthens'} by "
                f"{100 * abs(shortening):.0f} % in systole; 10 to 20 % is usual. The view may be "
                "foreshortened, or the imaging plane moves with the heart.",
            )
        )
    spread = float(np.ptp(pairs[:, 0]) / np.median(pairs[:, 0]))
    if spread > LENGTH_SPREAD:
        warnings.append(
            Caution(
                "moving-plane",
                f"The end-diastolic long axis differs by {100 * spread:.0f} % between beats: the "
                "probe or the imaging plane moves.",
            )
        )
    return warnings


def size(length: float) -> list[Caution]:
    """A long axis that no adult's ventricle has; length: at end-diastole, mm."""
    if ADULT_LENGTHS[0] <= length <= ADULT_LENGTHS[1]:
        return []
    return [
        Caution(
            "unlikely-size",
            f"The long axis is {length:.0f} mm at end-diastole, which is unlikely in an adult: "
            "check the spacing. Volumes go with its third power.",
        )
    ]


def heart_rate(fps: float | None, rate: float | None) -> list[Caution]:
    """An unknown or implausible heart rate; rate: beats per minute."""
    if fps and rate is None:
        return [
            Caution(
                "no-whole-beat", "The clip holds less than one whole beat: there is no heart rate."
            )
        ]
    if rate and not HEART_RATES[0] <= rate <= HEART_RATES[1]:
        return [
            Caution(
                "unlikely-heart-rate",
                f"{rate:.0f} beats per minute are unlikely: check the frames per second.",
            )
        ]
    return []


def beats(fractions: list[float]) -> list[Caution]:
    """Too few beats, or beats that differ; fractions: EF of the beats that count, per cent."""
    if not fractions:
        return [Caution("no-beat-counts", "No beat counts: there is no ejection fraction.")]
    if len(fractions) == 1:
        return [
            Caution(
                "one-beat",
                "Ejection fraction from one beat only: guidelines average several, five or more in "
                "atrial fibrillation.",
            )
        ]
    spread = max(fractions) - min(fractions)
    if spread > EF_SPREAD:
        return [
            Caution(
                "differing-beats",
                f"The ejection fraction differs by {spread:.0f} points between beats.",
            )
        ]
    return []


def clip_ends(systoles: list[Systole]) -> list[Caution]:
    """Beats that count and are cut off by the ends of the clip; systoles: all, in order."""
    if not systoles:
        return []
    first, last = (beat.note if beat.counts else "" for beat in (systoles[0], systoles[-1]))
    warnings = []
    if BEGINS_IN_SYSTOLE in first:
        warnings.append(
            Caution(
                "begins-in-systole",
                "The clip begins in systole: its first beat is measured with the end-diastole "
                "after it.",
            )
        )
    elif BEGINNING_MISSING in first:
        warnings.append(
            Caution(
                "no-first-diastole",
                "The clip begins in systole and contains no larger end-diastole: the ejection "
                "fraction of its first beat may be too low.",
            )
        )
    if ENDS_IN_SYSTOLE in last:
        warnings.append(
            Caution(
                "ends-in-systole",
                "The clip ends in systole: the ejection fraction of its last beat is too low.",
            )
        )
    elif ENDS_AT_END_SYSTOLE in last:
        warnings.append(
            Caution(
                "ends-at-systole",
                "The last end-systole lies at the end of the clip: systole may go on, and the "
                "ejection fraction of that beat may be too low.",
            )
        )
    return warnings


def disagreement(doubt: float, limit: float) -> list[Caution]:
    """Landmarks that disagree with the outline; doubt: 1 - Dice of the two at ED and ES, or NaN.

    limit: the doubt that 19 of 20 clips of the calibration stay below.
    """
    if not doubt > limit:
        return []
    return [
        Caution(
            "doubtful-outlines",
            f"The landmarks disagree with the outline (Dice {1 - doubt:.2f} at ED and ES, "
            "lower than in 19 of 20 clips of the calibration): check the outlines.",
        )
    ]
