"""What limits the numbers of a clip's heart function, in plain words.

Each function gives a list of sentences, empty where there is nothing to say.
"""

import numpy as np

EDGE_OUTLINE = 0.06  # of an outline at the edge of the sector: the frame's outline touches it
EDGE_FRAMES = 0.10  # of the frames that touch it
SHORTENS = (-0.05, 0.35)  # of the long axis from ED to ES; true phantom hearts: 0.02 to 0.33
LENGTH_DIFFERS = 0.10  # of the end-diastolic long axis, between beats: the plane wanders
LENGTH_JUMPS = 0.10  # of the long axis between a frame and the smoothed curve
JUMPING_FRAMES = 0.10  # of the frames whose axis jumps
OUTLYING_FRAMES = 0.10  # of the frames whose volume stands far off those around
EF_DIFFERS = 10.0  # points of ejection fraction between beats
LOWEST_FPS = 25.0  # below, frames are more than 40 ms apart, and end-systole falls between them
RATES = (30.0, 220.0)  # beats per minute: outside, fps are wrong rather than the heart


def _of_frames(flags: np.ndarray) -> str:
    count = int(np.count_nonzero(flags))
    return f"{100 * count / len(flags):.0f} % of the frames ({count} of {len(flags)})"


def missing_masks(seen: np.ndarray, usable: np.ndarray) -> list[str]:
    """Empty and useless outlines; seen: (T,) there is one, usable: (T,) it can be measured."""
    if not seen.any():
        return ["All masks are empty: nothing is known of the ventricle."]
    found = []
    if not seen.all():
        found.append(f"The mask is empty in {_of_frames(~seen)}.")
    if (seen & ~usable).any():
        found.append(f"The mask is too small for a ventricle in {_of_frames(seen & ~usable)}.")
    return found


def edge(shares: np.ndarray) -> list[str]:
    """Cut off; shares: (T,) of each outline that lies at the sector's edge, NaN without one."""
    touching = shares > EDGE_OUTLINE
    if np.count_nonzero(touching) <= EDGE_FRAMES * np.count_nonzero(np.isfinite(shares)):
        return []
    return [
        f"The outline touches the edge of the sector in {_of_frames(touching)}: the ventricle is "
        "cut off, and its volumes are too small."
    ]


def outlying(flags: np.ndarray) -> list[str]:
    """Slips of the outline; flags: (T,) the volume stands far off the frames around."""
    if flags.mean() <= OUTLYING_FRAMES:
        return []
    return [
        f"In {_of_frames(flags)} the volume stands far off that of the frames around; they are "
        "left out of the curve."
    ]


def clip(count: int, fps: float | None, spacing: float | None) -> list[str]:
    """What a clip of so many frames does not tell."""
    found = []
    if count == 1:
        found.append("One frame: the volume is known for one moment, its change is not.")
    if fps is None:
        found.append(
            "Frames per second unknown: beats are told in frames, and there is no heart rate."
        )
    elif fps < LOWEST_FPS:
        found.append(
            f"{fps:g} frames per second are few: end-systole may fall between two frames, and "
            "the ejection fraction comes out too low."
        )
    if spacing is None:
        found.append(
            "Pixel spacing unknown: volumes are in px3/1000 and lengths in px. The ejection "
            "fraction needs none."
        )
    return found


def axis(length: np.ndarray, smooth: np.ndarray, pairs: np.ndarray) -> list[str]:
    """Foreshortening or a plane that wanders, by the long axis.

    length, smooth: (T,) of every frame, and smoothed. pairs: (n, 2) at end-diastole and at
    end-systole of the beats that count.
    """
    found = []
    jumps = np.abs(length - smooth) > LENGTH_JUMPS * smooth
    if jumps.mean() > JUMPING_FRAMES:
        found.append(f"The long axis jumps in {_of_frames(jumps)}: the apex is found unsurely.")
    pairs = pairs[np.isfinite(pairs).all(axis=1)]
    if len(pairs) == 0:
        return found
    shortening = float(np.median(1 - pairs[:, 1] / pairs[:, 0]))
    if not SHORTENS[0] <= shortening <= SHORTENS[1]:
        found.append(
            f"The long axis {'shortens' if shortening > 0 else 'lengthens'} by "
            f"{100 * abs(shortening):.0f} % in systole; 10 to 20 % are usual. The view may be "
            "foreshortened, or the plane moves with the heart."
        )
    differs = float(np.ptp(pairs[:, 0]) / np.median(pairs[:, 0]))
    if differs > LENGTH_DIFFERS:
        found.append(
            f"The end-diastolic long axis differs by {100 * differs:.0f} % between beats: the "
            "probe or the plane moves."
        )
    return found


def rhythm(fps: float | None, rate: float | None) -> list[str]:
    """No heart rate, or one that no heart has; rate: beats per minute."""
    if fps and rate is None:
        return ["The clip holds less than one whole beat: there is no heart rate."]
    if rate and not RATES[0] <= rate <= RATES[1]:
        return [f"{rate:.0f} beats per minute are unlikely: check the frames per second."]
    return []


def beats(fractions: list[float]) -> list[str]:
    """Too few beats, or beats that differ; fractions: EF of those that count, per cent."""
    if not fractions:
        return ["No beat counts: there is no ejection fraction."]
    if len(fractions) == 1:
        return [
            "Ejection fraction from one beat only: guidelines average several, five or more in "
            "atrial fibrillation."
        ]
    spread = max(fractions) - min(fractions)
    if spread > EF_DIFFERS:
        return [f"The ejection fraction differs by {spread:.0f} points between beats."]
    return []
