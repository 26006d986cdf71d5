"""Curves over time, one value per frame: gaps bridged, outliers removed, noise smoothed away.

A volume curve and the opening of a valve need different settings, so each has a function. A curve
is (T,) float, NaN where it is unknown.
"""

import numpy as np
from scipy import ndimage
from scipy.signal import savgol_filter

MAD_TO_SD = 1.4826  # standard deviation of a normal law per median absolute deviation

# Volumes
SMOOTHING_TIME = 0.18  # s that the polynomial spans: less than the shortest ejection
SMOOTHING_FRAMES = 5  # where fps is unknown
AVERAGING_TIME = 0.06  # s of the moving average, which takes off what noise adds to extremes
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


def _odd_frames(seconds: float, fps: float) -> int:
    """The odd number of frames that is nearest to a time."""
    return max(1, 2 * round((seconds * fps - 1) / 2) + 1)


# --- Volumes --------------------------------------------------------------------------------------


def smoothed_volume(curve: np.ndarray, fps: float | None) -> np.ndarray:
    """(T,) volume without single outliers, smoothed with its extremes kept; short gaps bridged.

    curve: (T,), 0 or more. Gaps of more than 0.1 s stay NaN. A polynomial of second degree
    through about 0.18 s of frames (Savitzky and Golay, Anal Chem 36 (1964)) keeps the height of a
    peak, but the remaining noise makes peaks higher. A moving average over 0.06 s takes off about
    as much as this noise adds, measured on phantoms.
    """
    window, average = SMOOTHING_FRAMES, 1
    if fps:
        window, average = _odd_frames(SMOOTHING_TIME, fps), _odd_frames(AVERAGING_TIME, fps)
    longest = frames_in(LONGEST_GAP, fps, LONGEST_GAP_FRAMES)
    smooth = bridge_gaps(without_outliers(curve, fps), longest)
    for run in runs(np.isfinite(smooth)):
        values = smooth[run]
        span = min(window, (len(values) - 1) // 2 * 2 + 1)
        if span > 3:
            values = savgol_filter(values, span, 2, mode="interp")
        weight = np.convolve(np.ones(len(values)), np.ones(average), mode="same")
        if len(values) > average:
            values = np.convolve(values, np.ones(average), mode="same") / weight
        smooth[run] = values
    return np.maximum(smooth, 0)


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
    differences, to which its slow motion adds little; a local parabola through n frames leaves
    1.5 / sqrt(n) of it.
    """
    second = np.diff(curve, 2)
    second = np.abs(second[np.isfinite(second)])
    if len(second) == 0:
        return 0.0
    window = _odd_frames(SMOOTHING_TIME, fps) if fps else SMOOTHING_FRAMES
    single = MAD_TO_SD * np.median(second) / np.sqrt(6)
    return float(single * min(1.0, 1.5 / np.sqrt(window)))


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
