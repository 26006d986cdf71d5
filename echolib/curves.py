"""Curves over time, one value per frame: gaps bridged, outliers removed, noise smoothed away.

A volume curve and the opening of a valve need different settings, so each has a function. A curve
is (T,) float, NaN where it is unknown.
"""

from functools import lru_cache

import numpy as np
from scipy import ndimage
from scipy.signal import savgol_filter

MAD_TO_SD = 1.4826  # standard deviation of a normal law per median absolute deviation

# Volumes
SMOOTHING_REACH = 0.12  # s: frames this far from a moment no longer count in its polynomials
PARABOLA_SHARE = 0.8  # with a parabola alone, noise makes extremes too high; with a line, too low
ASSUMED_FPS = 40.0  # for smoothing where fps is unknown: most machines record 25 to 60
LONGEST_GAP = 0.10  # s of unknown frames that are bridged
LONGEST_GAP_FRAMES = 3  # where fps is unknown
OUTLIER_RATE = 7.0  # ranges of the curve per second: no ventricle empties within one frame
OUTLIER_FLOOR = 0.14  # of the curve's range: a smaller distance to the neighbours may be real
OUTLIER_NOISE = 5.0  # standard deviations of the usual distance to the neighbours
# times the limit at the clip's ends, where one side has no neighbours: clean curves that end in
# rapid filling exceed the limit itself, see tests/ventricle/test_function.py
OUTLIER_AT_END = 1.75

# Opening of a valve, as a share of the annulus width
OPENING_SMOOTHING_TIME = 0.1  # s
OPENING_SMOOTHING_FRAMES = 5
OPENING_LONGEST_GAP = 0.06  # s
OPENING_LONGEST_GAP_FRAMES = 3
OPENING_OUTLIER = 0.12  # distance to both neighbours: no valve opens for a single frame


# --- Gaps -----------------------------------------------------------------------------------------


def runs(flags: np.ndarray) -> list[slice]:
    """Slices of the runs of True in a (T,) bool array."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(int)))
    return [slice(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def bridge_gaps(curve: np.ndarray, longest: int) -> np.ndarray:
    """(T,) curve with straight lines across gaps of up to `longest` frames.

    Unknown frames at the ends stay unknown.
    """
    finite = np.flatnonzero(np.isfinite(curve))
    filled = curve.copy()
    for gap in runs(~np.isfinite(curve)):
        inside = gap.start > 0 and gap.stop < len(curve)
        if inside and gap.stop - gap.start <= longest:
            filled[gap] = np.interp(np.arange(gap.start, gap.stop), finite, curve[finite])
    return filled


def frames_in(seconds: float, fps: float | None, default: int) -> int:
    """Number of frames in a time, at least 1; `default` where fps is unknown."""
    return max(1, round(seconds * fps)) if fps else default


# --- Volumes --------------------------------------------------------------------------------------


def smoothed_volume(curve: np.ndarray, fps: float | None) -> np.ndarray:
    """(T,) volume without single outliers, smoothed with its extremes kept; short gaps bridged.

    curve: (T,), 0 or more. Gaps of more than 0.1 s stay NaN. The value of a moment is that of
    polynomials fitted to the frames around it (local regression: Cleveland, J Am Stat Assoc 74
    (1979)). Their weights depend on the distance in seconds, so that the same heart gives the same
    extremes at any frame rate: measured in tests/test_curves.py. Where fps is unknown, 40 is
    assumed, with which true rates from 25 to 80 give nearly the same extremes.
    """
    longest = frames_in(LONGEST_GAP, fps, LONGEST_GAP_FRAMES)
    smooth = bridge_gaps(without_outliers(curve, fps), longest)
    for run in runs(np.isfinite(smooth)):
        smooth[run] = _local_fit(smooth[run], fps or ASSUMED_FPS)
    return np.maximum(smooth, 0)


def _reach(fps: float) -> int:
    """Frames on either side of a frame that count in its polynomials."""
    return int(np.ceil(SMOOTHING_REACH * fps)) - 1


def _local_fit(values: np.ndarray, fps: float) -> np.ndarray:
    """(n,) values, each replaced by that of polynomials fitted to the known (n,) around it."""
    fitted = np.empty(len(values))
    for frame in range(len(values)):
        before, after = (min(side, _reach(fps)) for side in (frame, len(values) - 1 - frame))
        fitted[frame] = _weights(before, after, fps) @ values[frame - before : frame + after + 1]
    return fitted


@lru_cache(maxsize=1024)
def _weights(before: int, after: int, fps: float) -> np.ndarray:
    """(before + 1 + after,) weights of frames in the fitted value of one frame; their sum is 1.

    before, after: frames that are known before and after it, at most `_reach`.
    """
    time = np.arange(-before, after + 1) / fps
    tricube = (1 - np.abs(time / SMOOTHING_REACH) ** 3) ** 3
    weights = np.zeros(len(time))
    for degree, share in ((2, PARABOLA_SHARE), (1, 1 - PARABOLA_SHARE)):
        powers = np.vander(time, min(degree, before + after) + 1, increasing=True)
        weighted = powers.T * tricube
        weights += share * np.linalg.solve(weighted @ powers, weighted)[0]
    return weights


def without_outliers(curve: np.ndarray, fps: float | None) -> np.ndarray:
    """(T,) volume with NaN for single frames, or pairs, that lie far from their neighbours."""
    finite = np.flatnonzero(np.isfinite(curve))
    if len(finite) < 5:
        return curve.copy()
    values = curve[finite]
    distance = np.abs(values - ndimage.median_filter(values, 5, mode="mirror"))
    low, high = np.percentile(values, [5, 95])
    share = max(OUTLIER_FLOOR, OUTLIER_RATE / fps) if fps else 2 * OUTLIER_FLOOR
    noise = OUTLIER_NOISE * MAD_TO_SD * np.median(distance)
    limit = np.full(len(values), max(share * (high - low), noise))
    limit[[0, -1]] *= OUTLIER_AT_END
    kept = curve.copy()
    kept[finite[distance > limit]] = np.nan
    return kept


def remaining_noise(curve: np.ndarray, fps: float | None) -> float:
    """Standard deviation of the noise that `smoothed_volume` leaves; 0 where too little is known.

    curve: (T,), before smoothing. The noise of single frames shows in the curve's second
    differences, to which its slow motion adds little.
    """
    second = np.diff(curve, 2)
    second = np.abs(second[np.isfinite(second)])
    if len(second) == 0:
        return 0.0
    rate = fps or ASSUMED_FPS
    left = np.linalg.norm(_weights(_reach(rate), _reach(rate), rate))
    return float(MAD_TO_SD * np.median(second) / np.sqrt(6) * left)


# --- Opening of a valve ---------------------------------------------------------------------------


def smoothed_opening(curve: np.ndarray, fps: float | None) -> np.ndarray:
    """(T,) opening, 0 or more, smoothed over 0.1 s with single outliers replaced.

    Gaps of up to 0.06 s are bridged, longer ones stay NaN.
    """
    window = frames_in(OPENING_SMOOTHING_TIME, fps, OPENING_SMOOTHING_FRAMES) // 2 * 2 + 1
    longest = frames_in(OPENING_LONGEST_GAP, fps, OPENING_LONGEST_GAP_FRAMES)
    smooth = bridge_gaps(curve, longest)
    for run in runs(np.isfinite(smooth)):
        values = smooth[run]
        middle = ndimage.median_filter(values, 3, mode="nearest")
        values = np.where(np.abs(values - middle) > OPENING_OUTLIER, middle, values)
        if window > 3 and len(values) >= window:
            values = savgol_filter(values, window, 2, mode="nearest")
        smooth[run] = values
    return np.maximum(smooth, 0)
