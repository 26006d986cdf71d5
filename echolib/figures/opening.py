"""Figure and video of a mitral valve's motion: frames of the clip and the curve of its opening."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..valve.opening import Opening
from .base import PALETTE, draw_mask_outlines, show_image
from .numbers import frame_times
from .overlay import DISPLAY_SIZE, LIGHT, LOWER, Film, beside_curve, outlined

STRIP = 6  # frames of a film strip
MARGIN = 0.45  # around hinges and tips in a film strip, as a share of the annulus width


def draw_opening(opening: Opening, axes: Axes, dark: bool = False) -> Axes:
    """Draw the opening over time: values of single frames, smooth curve, open phases, beats.

    The x axis is in s if fps is known, else in frames. dark: use colours for a dark background.
    """
    times = _times(opening)
    step = times[1] - times[0] if len(times) > 1 else 1.0
    for number, (first, last) in enumerate(opening.open):
        span = times[first] - step / 2, times[last] + step / 2
        label = "open" if number == 0 else None
        axes.axvspan(*span, 0, LOWER, color=PALETTE["ED"], alpha=0.22, linewidth=0, label=label)
    for number, beat in enumerate(opening.beats):
        label = "a beat begins" if number == 0 else None
        line: dict[str, Any] = {
            "linestyle": "--",
            "linewidth": 1.3,
            "color": LIGHT if dark else "black",
        }
        axes.axvline(times[beat], 0, LOWER, label=label, **line)
    dots: dict[str, Any] = {"color": PALETTE["neutral"], "markersize": 3, "linestyle": "none"}
    axes.plot(times, opening.fraction, "o", **dots, label="single frame")
    curve: dict[str, Any] = {"color": PALETTE["prediction"], "linewidth": 2}
    axes.plot(times, opening.smooth, **curve, label="smoothed")
    top = np.nanmax([*opening.fraction, *opening.smooth, 0.1])
    axes.set(xlabel="time (s)" if opening.fps else "frame", ylabel="gap / annulus width")
    axes.set(xlim=(times[0] - step, times[-1] + step), ylim=(-0.03 * top, 1.3 * top))
    return axes


def _times(opening: Opening) -> np.ndarray:
    return frame_times(len(opening.separation), opening.fps)


def _headline(opening: Opening) -> str:
    """The number of beats and the heart rate, in one line."""
    if opening.heart_rate:
        return f"{len(opening.beats)} beats begin, heart rate {opening.heart_rate:.0f} per minute"
    if not opening.open:
        return "no open phase detected"
    beats = {0: "no beat begins", 1: "1 beat begins"}
    return beats.get(len(opening.beats), f"{len(opening.beats)} beats begin")


def opening_figure(
    opening: Opening,
    frames: np.ndarray,
    masks: np.ndarray,
    chosen: Sequence[int] | None = None,
) -> Figure:
    """Draw a film strip of the valve above the curve of its opening.

    frames: (T, H, W) uint8. masks: (T, H, W) bool, from which `opening` was measured.
    chosen: indices of the frames in the strip; by default about six of one beat, more of them
    where the valve moves. Each is numbered on the curve. Raises ValueError if the lengths or
    shapes differ, or for a chosen frame that the clip lacks.
    """
    _check(opening, frames, masks)
    chosen = _strip_frames(opening) if chosen is None else [int(frame) for frame in chosen]
    if not chosen or not all(0 <= frame < len(frames) for frame in chosen):
        raise ValueError(
            f"chosen: expected one or more frames from 0 to {len(frames) - 1}, found {chosen}."
        )
    window = _window(opening, masks)
    # the strip fills the width of the figure, which becomes as high as the strip needs
    shape = frames[0][window].shape
    strip_height = 10.5 / len(chosen) * shape[0] / shape[1] + 0.4
    figure = plt.figure(figsize=(10.5, strip_height + 2.9), layout="constrained")
    top, bottom = figure.subfigures(2, 1, squeeze=False, height_ratios=[strip_height, 2.9]).flat
    strip = np.atleast_1d(top.subplots(1, len(chosen)))
    times = _times(opening)
    for number, (frame, axes) in enumerate(zip(chosen, strip, strict=True), start=1):
        moment = f"{times[frame]:.2f} s" if opening.fps else f"frame {frame}"
        show_image(frames[frame][window], axes, f"{number}:  {moment}")
        draw_mask_outlines(masks[frame][window], axes, "prediction", linewidth=1.4)
    axes = draw_opening(opening, bottom.subplots())
    for number, frame in enumerate(chosen, start=1):
        _mark_point(axes, times[frame], _curve_value(opening, frame), number)
    axes.set_title(f"Gap between the leaflets: {_headline(opening)}", loc="left")
    axes.legend(loc="upper left", ncols=4, fontsize=9)
    return figure


def _check(opening: Opening, frames: np.ndarray, masks: np.ndarray) -> None:
    if frames.ndim != 3 or frames.shape != masks.shape or masks.dtype != bool:
        raise ValueError(
            "expected frames (T, H, W) and masks (T, H, W) bool of the same shape, found frames "
            f"{frames.shape} and masks {masks.shape} {masks.dtype}."
        )
    if len(frames) != len(opening.separation):
        raise ValueError(
            f"expected the {len(opening.separation)} frames from which the opening was measured, "
            f"found {len(frames)} frames."
        )


def _strip_frames(opening: Opening) -> list[int]:
    """About six frames of the first whole beat, or of the clip, denser where the valve moves."""
    curve, count = opening.smooth, len(opening.smooth)
    first, stop = 0, count
    if len(opening.beats) > 1:
        before = (opening.beats[1] - opening.beats[0]) // 6
        first, stop = max(0, opening.beats[0] - before), opening.beats[1] - before
    frames = np.flatnonzero(np.isfinite(opening.separation[first:stop])) + first
    if len(frames) <= STRIP:
        return frames.tolist() or [0]
    values = np.nan_to_num(curve[frames])
    change = np.abs(np.diff(values, prepend=values[0])) / max(np.ptp(values), 1e-9)
    path = np.cumsum(change + 3 / len(frames))  # grows with time, and faster while the valve moves
    steps = path[0] + (np.arange(STRIP) + 0.3) / STRIP * (path[-1] - path[0])
    picked = np.searchsorted(path, steps)
    widest = int(values.argmax())  # always shown
    picked[np.abs(picked - widest).argmin()] = widest
    return sorted({int(frames[index]) for index in picked})


def _window(opening: Opening, masks: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns around the valve; the whole frame if no hinge or tip was measured."""
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


def _curve_value(opening: Opening, frame: int) -> float:
    """The smoothed value at a frame, else the single frame's, else 0."""
    values = [opening.smooth[frame], opening.fraction[frame], 0.0]
    return float(next(value for value in values if np.isfinite(value)))


def _mark_point(axes: Axes, x: float, y: float, number: int) -> None:
    """Draw a numbered disk above a point of the curve, joined to it by a line."""
    disk = {"boxstyle": "circle,pad=0.2", "facecolor": "white", "edgecolor": "black"}
    axes.annotate(
        str(number),
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


def opening_video(frames: np.ndarray, masks: np.ndarray, opening: Opening) -> Film:
    """Draw the clip with the leaflets' outlines, and beside it the curve up to each frame.

    frames: (T, H, W) uint8. masks: (T, H, W) bool, from which `opening` was measured. Returns
    a film of T pictures (h, w, 3) uint8 RGB for `write_video`. Raises ValueError if the lengths or
    shapes differ.
    """
    _check(opening, frames, masks)
    pictures = outlined(frames, masks, DISPLAY_SIZE / frames.shape[1], fill=0.2)

    def draw(axes: Axes) -> None:
        draw_opening(opening, axes, dark=True)
        axes.set_title(_headline(opening), fontsize=10, loc="left")
        axes.legend(loc="upper left", ncols=4, fontsize=8)

    return beside_curve(pictures, draw, _times(opening))
