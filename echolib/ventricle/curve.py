"""The left ventricle's outline in every frame of a clip, and curves over time without noise.

Masks are those of an apical view with the apex up. Points are (x, y) in px, y down.
"""

import numpy as np
from scipy import ndimage
from scipy.signal import savgol_filter

from .. import geometry
from ..geometry import CHORDS, Tracing

SMOOTHED = 0.18  # s over which a curve is smoothed: less than the shortest ejection
SMOOTHED_FRAMES = 5  # without fps
LEVELLED = 0.06  # s of the smoothed curve that are averaged: takes off what noise adds to extremes
BRIDGED = 0.10  # s of unknown frames that a curve is drawn across
BRIDGED_FRAMES = 3  # without fps
OUTLIER_RATE = 7.0  # ranges of the curve a second: no ventricle empties within one frame
OUTLIER_FLOOR = 0.14  # of the curve's range: what is nearer to the frames beside it may be true
OUTLIER_NOISE = 5.0  # standard deviations of the usual distance from the frames beside it
OUTLIER_AT_END = 1.5  # times the limit, where there are frames on one side only
TO_SD = 1.4826  # from the median absolute deviation to the standard deviation of a normal law
EDGE_PX, EDGE_SHARE = 1.5, 0.012  # px, and share of the picture's side: nearer is at the edge
SMALLEST = 0.1  # of the clip's median area: a mask below is a spot, no ventricle


# --- Outlines -------------------------------------------------------------------------------------


def masks_to_tracings(masks: np.ndarray) -> tuple[list[Tracing | None], np.ndarray]:
    """Long axis and 20 chords of every frame, and the (T,) area of its outline in px².

    masks: (T, H, W) bool. None and NaN where a mask is empty, or too small for a ventricle. Of
    several pieces the largest counts, its holes filled. Each frame has its own axis: one that is
    smoothed over time makes neither volume nor length of noisy phantom masks steadier.
    """
    covered = masks.any(axis=0)
    rows, columns = (np.flatnonzero(covered.any(axis=axis)) for axis in (1, 0))
    tracings: list[Tracing | None] = [None] * len(masks)
    areas = np.full(len(masks), np.nan)
    if len(rows) == 0:
        return tracings, areas
    corner = np.array([columns[0], rows[0]], np.float32)
    masks = masks[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    found = np.flatnonzero(masks.any(axis=(1, 2)))
    pieces = {frame: geometry.largest_component(masks[frame]) for frame in found}
    counts = {frame: np.count_nonzero(piece) for frame, piece in pieces.items()}
    least = SMALLEST * np.median(list(counts.values()))
    for frame, piece in pieces.items():
        tracing = _tracing(piece, corner) if counts[frame] >= least else None
        if tracing is not None:
            tracings[frame], areas[frame] = tracing, counts[frame]
    return tracings, areas


def _tracing(mask: np.ndarray, corner: np.ndarray) -> Tracing | None:
    try:
        tracing = geometry.mask_to_tracing(mask)
    except ValueError:  # too small or too thin for a long axis
        return None
    return Tracing(tracing.axis + corner, tracing.chords + corner)


def measured(tracings: list[Tracing | None], spacing: float) -> dict[str, np.ndarray]:
    """Arrays over T frames: volume (T,) and length (T,) of the long axis, ml and mm for spacing
    in mm a px; axes (T, 2, 2) and chords (T, 20, 2, 2) px. NaN without a tracing.

    Volumes are those of `geometry.disk_volume`.
    """
    count = len(tracings)
    volume, length = np.full(count, np.nan), np.full(count, np.nan)
    axes, chords = np.full((count, 2, 2), np.nan), np.full((count, CHORDS, 2, 2), np.nan)
    for frame, tracing in enumerate(tracings):
        if tracing is not None:
            volume[frame] = geometry.disk_volume(tracing, spacing)
            length[frame] = tracing.length * spacing
            axes[frame], chords[frame] = tracing.axis, tracing.chords
    return {"volume": volume, "length": length, "axes": axes, "chords": chords}


def share_at_edge(masks: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """(T,) share of each outline's pixels that lie at the edge of the sector or of the picture.

    masks: (T, H, W) bool; shown: (H, W) bool, the sector. The base is not left out: a base below
    the sector's lower edge costs volume as a wall beyond its side does. NaN for an empty mask.
    """
    inside = np.pad(shown, 1)
    distance = ndimage.distance_transform_edt(inside)[1:-1, 1:-1]
    rim = distance <= max(EDGE_PX, EDGE_SHARE * min(shown.shape))
    shares = np.full(len(masks), np.nan)
    for frame in np.flatnonzero(masks.any(axis=(1, 2))):
        mask, touching = masks[frame], masks[frame] & rim
        shares[frame] = 0.0
        if touching.any():
            outline = mask & ~ndimage.binary_erosion(mask)
            shares[frame] = np.count_nonzero(outline & rim) / np.count_nonzero(outline)
    return shares


# --- Curves over time -----------------------------------------------------------------------------


def _odd(seconds: float, fps: float) -> int:
    """The odd number of frames that is nearest to so many seconds."""
    return max(1, 2 * round((seconds * fps - 1) / 2) + 1)


def smoothed(curve: np.ndarray, fps: float | None) -> np.ndarray:
    """(T,) curve without single outliers, smoothed, its extremes kept; short gaps are bridged.

    curve: (T,), 0 or more, NaN where unknown; longer gaps stay NaN. A polynomial of second degree
    through about 0.18 s of frames (Savitzky and Golay, Anal Chem 36 (1964)) keeps a peak's
    height, and what noise is left makes it higher still: the mean over 0.06 s of the result
    takes off about as much as noise adds, measured on phantoms.
    """
    window, level = (_odd(SMOOTHED, fps), _odd(LEVELLED, fps)) if fps else (SMOOTHED_FRAMES, 1)
    smooth = bridged(without_outliers(curve, fps), fps)
    for run in runs(np.isfinite(smooth)):
        values = smooth[run]
        fits = min(window, (len(values) - 1) // 2 * 2 + 1)
        if fits > 3:
            values = savgol_filter(values, fits, 2, mode="interp")
        weight = np.convolve(np.ones(len(values)), np.ones(level), mode="same")
        if len(values) > level:
            values = np.convolve(values, np.ones(level), mode="same") / weight
        smooth[run] = values
    return np.maximum(smooth, 0)


def without_outliers(curve: np.ndarray, fps: float | None) -> np.ndarray:
    """(T,) curve with NaN for single frames, or pairs, that stand far off those around them."""
    known = np.flatnonzero(np.isfinite(curve))
    if len(known) < 5:
        return curve.copy()
    values = curve[known]
    off = np.abs(values - ndimage.median_filter(values, 5, mode="mirror"))
    low, high = np.percentile(values, [5, 95])
    share = max(OUTLIER_FLOOR, OUTLIER_RATE / fps) if fps else 2 * OUTLIER_FLOOR
    limit = np.full(len(values), max(share * (high - low), OUTLIER_NOISE * TO_SD * np.median(off)))
    limit[[0, -1]] *= OUTLIER_AT_END
    kept = curve.copy()
    kept[known[off > limit]] = np.nan
    return kept


def bridged(curve: np.ndarray, fps: float | None) -> np.ndarray:
    """(T,) curve with straight lines across gaps of up to 0.1 s; unknown ends stay unknown."""
    longest = max(1, round(BRIDGED * fps)) if fps else BRIDGED_FRAMES
    known = np.flatnonzero(np.isfinite(curve))
    filled = curve.copy()
    if len(known) == 0:
        return filled
    for gap in runs(~np.isfinite(curve)):
        inside = gap.start > 0 and gap.stop < len(curve)
        if inside and gap.stop - gap.start <= longest:
            filled[gap] = np.interp(np.arange(gap.start, gap.stop), known, curve[known])
    return filled


def runs(flags: np.ndarray) -> list[slice]:
    """Slices of the runs of True in a (T,) bool array."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(int)))
    return [slice(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def noise_left(curve: np.ndarray, fps: float | None) -> float:
    """Standard deviation of the noise that `smoothed` leaves in a curve; 0 where little is known.

    curve: (T,), NaN where unknown. The noise of single frames shows in the curve's second
    differences, to which its slow motion adds little; a local parabola through n frames leaves
    1.5 / sqrt(n) of it.
    """
    second = np.diff(curve, 2)
    second = np.abs(second[np.isfinite(second)])
    if len(second) == 0:
        return 0.0
    window = _odd(SMOOTHED, fps) if fps else SMOOTHED_FRAMES
    single = TO_SD * np.median(second) / np.sqrt(6)
    return float(single * min(1.0, 1.5 / np.sqrt(window)))
