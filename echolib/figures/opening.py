"""Figure and video of a mitral valve's motion: the clip beside the curve of its opening."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..valve.opening import Opening
from .base import PALETTE, show_image
from .overlay import DISPLAY_SIZE, LIGHT, LOWER, beside_curve, draw_outlines

STRIP = 6  # frames of a film strip
MARGIN = 0.45  # of the annulus width around the leaflets' reach in a film strip
RAW = "o"  # marker of a single frame's value
OPEN_LABEL, BEAT_LABEL = "open", "a beat begins"


def draw_opening(opening: Opening, axes: Axes, dark: bool = False) -> Axes:
    """Draw the opening over time: values of single frames, smooth curve, open phases, beats.

    The x axis is in s where fps is known, else in frames. dark: colours for a dark ground.
    """
    times, unit = _times(opening)
    step = times[1] - times[0] if len(times) > 1 else 1.0
    for number, (first, last) in enumerate(opening.open):
        span = times[first] - step / 2, times[last] + step / 2
        label = OPEN_LABEL if number == 0 else None
        axes.axvspan(*span, 0, LOWER, color=PALETTE["ED"], alpha=0.22, linewidth=0, label=label)
    for number, beat in enumerate(opening.beats):
        label = BEAT_LABEL if number == 0 else None
        line = {"linestyle": "--", "linewidth": 1.3, "color": LIGHT if dark else "black"}
        axes.axvline(times[beat], 0, LOWER, label=label, **line)
    place = {"color": PALETTE["neutral"], "markersize": 3, "linestyle": "none"}
    axes.plot(times, opening.fraction, RAW, **place, label="single frame")
    colour = PALETTE["prediction"]
    axes.plot(times, opening.smooth, color=colour, linewidth=2, label="smoothed")
    top = np.nanmax([*opening.fraction, *opening.smooth, 0.1])
    axes.set(xlabel=f"time ({unit})" if unit == "s" else "frame", ylabel="gap / annulus width")
    axes.set(xlim=(times[0] - step, times[-1] + step), ylim=(-0.03 * top, 1.3 * top))
    return axes


def _times(opening: Opening) -> tuple[np.ndarray, str]:
    frames = np.arange(len(opening.separation), dtype=float)
    return (frames / opening.fps, "s") if opening.fps else (frames, "frames")


def _headline(opening: Opening) -> str:
    """What the curve says, in one line."""
    if opening.heart_rate:
        return f"{len(opening.beats)} beats begin, heart rate {opening.heart_rate:.0f} a minute"
    beats = {0: "no beat begins", 1: "1 beat begins"}
    told = beats.get(len(opening.beats), f"{len(opening.beats)} beats begin")
    return told if opening.open else "no open phase told"


def opening_figure(
    opening: Opening,
    frames: np.ndarray,
    masks: np.ndarray,
    chosen: Sequence[int] | None = None,
) -> Figure:
    """A film strip of the valve above the curve of its opening.

    frames: (T, H, W) uint8. masks: (T, H, W) bool, those that `opening` was measured in.
    chosen: frames of the strip, by default about six of one beat, more where the valve moves.
    Each is numbered on the curve. Raises ValueError where the lengths or shapes differ.
    """
    _check(opening, frames, masks)
    chosen = _chosen(opening) if chosen is None else [int(frame) for frame in chosen]
    if not chosen or not all(0 <= frame < len(frames) for frame in chosen):
        raise ValueError(f"chosen: expected frames of 0 to {len(frames) - 1}, found {chosen}.")
    window = _window(opening, masks)
    # the pictures are as wide as the figure allows, and the figure as high as they need
    shape = frames[0][window].shape
    high = 10.5 / len(chosen) * shape[0] / shape[1] + 0.4
    figure = plt.figure(figsize=(10.5, high + 2.9), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=[high, 2.9])
    strip = np.atleast_1d(top.subplots(1, len(chosen)))
    times, unit = _times(opening)
    for number, (frame, axes) in enumerate(zip(chosen, strip, strict=True), start=1):
        moment = f"{times[frame]:.2f} s" if unit == "s" else f"frame {frame}"
        show_image(frames[frame][window], axes, f"{number}:  {moment}")
        if masks[frame][window].any():
            line = {"colors": PALETTE["prediction"], "linewidths": 1.4, "levels": [0.5]}
            axes.contour(np.pad(masks[frame], 1)[_shifted(window)].astype(float), **line)
    axes = draw_opening(opening, bottom.subplots())
    for number, frame in enumerate(chosen, start=1):
        _mark(axes, times[frame], _height(opening, frame), str(number))
    axes.set_title(f"How far the leaflets are apart: {_headline(opening)}", loc="left")
    axes.legend(loc="upper left", ncols=4, fontsize=9)
    return figure


def _check(opening: Opening, frames: np.ndarray, masks: np.ndarray) -> None:
    if frames.ndim != 3 or frames.shape != masks.shape or masks.dtype != bool:
        raise ValueError(
            "expected frames (T, H, W) and masks (T, H, W) bool of the same shape, found "
            f"{frames.shape} and {masks.shape} {masks.dtype}."
        )
    if len(frames) != len(opening.separation):
        raise ValueError(
            f"expected the {len(opening.separation)} frames that the opening was measured in, "
            f"found {len(frames)}."
        )


def _chosen(opening: Opening) -> list[int]:
    """About six frames of one beat, or of the clip, denser where the valve moves."""
    curve, count = opening.smooth, len(opening.smooth)
    first, stop = 0, count
    if len(opening.beats) > 1:
        before = (opening.beats[1] - opening.beats[0]) // 6
        first, stop = max(0, opening.beats[0] - before), opening.beats[1] - before
    known = np.flatnonzero(np.isfinite(opening.separation[first:stop])) + first
    if len(known) <= STRIP:
        return sorted({*known.tolist()}) or [0]
    values = np.nan_to_num(curve[known])
    change = np.abs(np.diff(values, prepend=values[0])) / max(np.ptp(values), 1e-9)
    way = np.cumsum(change + 3 / len(known))
    places = way[0] + (np.arange(STRIP) + 0.3) / STRIP * (way[-1] - way[0])
    picked = np.searchsorted(way, places)
    widest = int(values.argmax())
    picked[np.abs(picked - widest).argmin()] = widest
    return sorted({int(known[place]) for place in picked})


def _window(opening: Opening, masks: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns around the valve, all of the frame where no annulus is known."""
    height, width = masks.shape[1:]
    points = opening.hinges.reshape(-1, 2)
    points = np.concatenate([points, opening.tips.reshape(-1, 2)])
    points = points[np.isfinite(points).all(axis=1)]
    if len(points) == 0:
        return slice(0, height), slice(0, width)
    margin = MARGIN * opening.width
    left, top = np.maximum(np.floor(points.min(axis=0) - margin).astype(int), 0)
    right, bottom = np.ceil(points.max(axis=0) + margin).astype(int) + 1
    return slice(top, min(bottom, height)), slice(left, min(right, width))


def _shifted(window: tuple[slice, slice]) -> tuple[slice, slice]:
    """The same window in an array with a border of one pixel."""
    rows, columns = window
    return slice(rows.start + 1, rows.stop + 1), slice(columns.start + 1, columns.stop + 1)


def _height(opening: Opening, frame: int) -> float:
    """The curve at a frame; 0 where it is unknown."""
    values = [opening.smooth[frame], opening.fraction[frame], 0.0]
    return float(next(value for value in values if np.isfinite(value)))


def _mark(axes: Axes, x: float, y: float, text: str) -> None:
    """A numbered disk above a point of the curve, joined to it by a line."""
    disk = {"boxstyle": "circle,pad=0.2", "facecolor": "white", "edgecolor": "black"}
    axes.annotate(
        text,
        (x, y),
        xytext=(0, 17),
        textcoords="offset points",
        ha="center",
        va="center",
        fontsize=9,
        bbox=disk,
        arrowprops={"arrowstyle": "-", "linewidth": 1},
    )


# --- Video --------------------------------------------------------------------------------------


def opening_video(frames: np.ndarray, masks: np.ndarray, opening: Opening) -> np.ndarray:
    """The clip with the leaflets' outlines, and beside it the curve as it is drawn in step.

    frames: (T, H, W) uint8; masks: (T, H, W) bool. Returns (T, h, w, 3) uint8 RGB pictures for
    `overlay.write_video`. Raises ValueError where the lengths or shapes differ.
    """
    _check(opening, frames, masks)
    clip = draw_outlines(frames, masks, scale=DISPLAY_SIZE / frames.shape[1], fill=0.2)

    def draw(axes: Axes) -> None:
        draw_opening(opening, axes, dark=True)
        axes.set_title(_headline(opening), fontsize=10, loc="left")
        axes.legend(loc="upper left", ncols=4, fontsize=8)

    return beside_curve(clip, draw, _times(opening)[0])
