"""Texts about a measured clip: the headline of its report, and the names of its frames."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # texts can be written without torch
    import pandas as pd

    from .calibration import Calibration
    from .clip import ClipFunction
    from .function import HeartFunction

NAMES = {"ED": "end-diastole", "ES": "end-systole"}
PHANTOMS = "phantoms, hearts drawn by a computer, not patients"
CORRECTED = (
    "Corrected means that the measured EF, which is that of the outlines, is moved along a "
    "straight line that was learnt from clips whose true EF is known."
)


def headline(result: "ClipFunction") -> str:
    """One line about a clip: EF, corrected or as measured, its interval, beats, heart rate."""
    function = result.function
    parts = [f"No EF: {why_no_ef(result)}"]
    if np.isfinite(result.ef_corrected):
        parts = [ef_text(result)]
        parts += filter(None, [interval_text(result)])
        parts.append("1 beat" if function.n_beats == 1 else f"{function.n_beats} beats")
    if function.heart_rate:
        rate = f"{function.heart_rate:.0f} per minute"
        parts[-1] += f" at {rate}" if np.isfinite(result.ef_corrected) else f", heart rate {rate}"
    return ", ".join(parts)


def ef_text(result: "ClipFunction") -> str:
    """The EF of a clip, corrected where a calibration corrects it, else measured; "" without."""
    if not np.isfinite(result.ef_corrected):
        return ""
    return f"EF {result.ef_corrected:.0f} % {'corrected' if result.corrected else 'measured'}"


def are_corrected(clips: "pd.DataFrame") -> bool:
    """Whether a calibration changed an EF of a table of clips.

    clips: ef_corrected, and where known ef_measured; without it nothing is said to be corrected.
    """
    if "ef_measured" not in clips:
        return False
    return bool((clips.ef_corrected != clips.ef_measured)[clips.ef_corrected.notna()].any())


def interval_text(result: "ClipFunction") -> str:
    """The interval of the EF in words; "" where it is unknown."""
    if not np.isfinite([result.ef_corrected, result.ef_low, result.ef_high]).all():
        return ""
    return f"90 % interval {result.ef_low:.0f} to {result.ef_high:.0f} %"


def interval_remark(calibration: "Calibration | None") -> str:
    """How far the interval of a calibration can be trusted; "" without a calibration."""
    if calibration is None:
        return ""
    data = PHANTOMS if "phantom" in calibration.data else calibration.data
    text = f"The interval is made to hold the true EF of {100 * calibration.level:.0f} in 100 "
    text += f"clips like those it was calibrated on: {data}. "
    if calibration.limits:
        limits = ", ".join(f"{limit:g}" for limit in calibration.limits)
        text += f"This was done separately for each range of EF (limits: {limits} %). "
    if calibration.widen > 1:
        text += (
            f"It is then widened by {100 * (calibration.widen - 1):.0f} %, because other hearts "
        )
        text += f"differ from those; by how much was chosen on {calibration.chosen_on}. "
    return text + (
        "For other clips it may be too narrow; notebook 06 shows how often it holds the EF of real "
        "patients."
    )


def why_no_ef(result: "ClipFunction") -> str:
    """Why a clip has no EF, in a few words; "" where it has an EF."""
    function = result.function
    if np.isfinite(result.ef_corrected):
        return ""
    if not np.isfinite(function.volume).any():
        return "no frame has a usable outline"
    if len(function.volume) == 1:
        return "a single frame shows no beat"
    if not function.beats:
        return "no beat with both end-diastole and end-systole is detected"
    if not function.n_beats:
        notes = sorted({beat.note for beat in function.beats if beat.note})
        return "no beat counts" + (f" ({', '.join(notes)})" if notes else "")
    return "it is withheld, see the warnings"


def moment_of(function: "HeartFunction", frame: int) -> str:
    """The time of a frame in s, or its number where fps is unknown."""
    return f"{frame / function.fps:.2f} s" if function.fps else f"frame {frame}"


def key_frames(function: "HeartFunction") -> dict[str, int]:
    """The two most informative frames, by name.

    These are end-diastole and end-systole of the middle beat that counts, if possible of a beat
    without a note. If no beat counts, they are those of the middle beat; without a beat, the frames
    of the largest and the smallest volume; without a volume, the first frame only.
    """
    counted = [beat for beat in function.beats if beat.counts]
    beats = [beat for beat in counted if not beat.note] or counted or function.beats
    if beats:
        beat = beats[(len(beats) - 1) // 2]
        return {NAMES["ED"]: beat.end_diastole, NAMES["ES"]: beat.end_systole}
    outlined = np.flatnonzero(np.isfinite(function.volume))
    if len(outlined) == 0:
        return {"first frame": 0}
    if len(outlined) == 1:
        return {"the only outline": int(outlined[0])}
    volume = function.volume[outlined]
    largest, smallest = outlined[volume.argmax()], outlined[volume.argmin()]
    return {"largest volume": int(largest), "smallest volume": int(smallest)}
