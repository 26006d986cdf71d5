"""Figures and video of heart function: volume over time, beats, and EF of a clip or a study."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from ..geometry import Tracing, mask_outline
from ..ventricle.words import NAMES, are_corrected, headline, key_frames, moment_of
from .base import (
    PALETTE,
    draw_outline,
    draw_tracing,
    show_image,
    styled,
)
from .numbers import draw_bland_altman, draw_scatter, frame_times
from .overlay import (
    DISPLAY_SIZE,
    LIGHT,
    LOWER,
    Film,
    beside_curve,
    brightened,
    darken,
    outlined,
)

if TYPE_CHECKING:  # drawing must not import torch
    from ..ventricle.clip import ClipFunction
    from ..ventricle.function import HeartFunction

SCALE_BAR = 20  # mm
MOST_LABELS = 6  # beats; with more of them their EF is not written into the curve
MARKERS = {"ED": "^", "ES": "v"}  # different shapes, to be distinguished without colours too
_MISSED: dict[str, Any] = {"marker": "D", "s": 26, "color": PALETTE["test"], "zorder": 4}
FRAME_INCHES, FRAME_DPI = 3.2, 150  # longer side of `moment_figure`, and dots per inch


# --- One clip -----------------------------------------------------------------------------------


def for_display(result: "ClipFunction") -> "ClipFunction":
    """The result as a person sees it best: cropped to the sector, its frames `brightened`.

    For pictures only. Networks learnt frames as files have them.
    """
    result = result.cropped()
    bright = brightened(result.clip.frames)
    return replace(result, clip=replace(result.clip, frames=bright))


def draw_function(function: "HeartFunction", axes: Axes, dark: bool = False) -> Axes:
    """Draw the volume over time: single frames, smooth curve, ED and ES of each beat.

    The x axis is in s if fps is known, else in frames. Beats that do not count have hollow
    markers and a grey background. dark: use colours for a dark background.
    """
    times = frame_times(len(function.volume), function.fps)
    step = times[1] if len(times) > 1 else 1.0
    raw: dict[str, Any] = {
        "color": PALETTE["train"],
        "markersize": 3,
        "linestyle": "none",
        "alpha": 0.6,
    }
    axes.plot(times, function.volume, "o", **raw, label="single frame")
    axes.plot(times, function.smooth, color=PALETTE["prediction"], linewidth=2, label="smoothed")
    _draw_beats(function, axes, times, dark)
    for number, beat in enumerate(beat for beat in function.beats if not beat.counts):
        frames = [beat.end_diastole, beat.end_systole, *([] if beat.end is None else [beat.end])]
        label = "not counted" if number == 0 else None
        span: dict[str, Any] = {"color": PALETTE["neutral"], "alpha": 0.3 if dark else 0.18}
        span |= {"linewidth": 0, "zorder": 0, "label": label}
        axes.axvspan(times[min(frames)], times[max(frames)], 0, LOWER, **span)
    values = np.array([*function.volume, *function.smooth])
    top = float(np.nanmax(values)) if np.isfinite(values).any() else 1.0
    label = "volume (ml)" if function.unit == "ml" else "relative volume (px³/1000)"
    axes.set(xlabel="time (s)" if function.fps else "frame", ylabel=label)
    axes.set(xlim=(-step, times[-1] + step), ylim=(0, 1.3 * top))
    if not np.isfinite(values).any():
        centred: dict[str, Any] = {"transform": axes.transAxes, "ha": "center", "va": "center"}
        axes.text(0.5, 0.5, "no frame has a usable outline", **centred)
    return axes


def curve_legend(axes: Axes, columns: int = 5) -> Axes:
    """Add a legend in the free space above a curve of `draw_function`."""
    narrow: dict[str, Any] = {"columnspacing": 0.9, "handlelength": 1.3, "handletextpad": 0.45}
    axes.legend(loc="upper left", ncols=columns, fontsize=8, **narrow)
    return axes


def _draw_beats(function: "HeartFunction", axes: Axes, times: np.ndarray, dark: bool) -> None:
    """Mark ED and ES of each beat, and write its EF between them unless there are many beats."""
    labelled = set()
    for beat in function.beats:
        for phase, frame, volume in (
            ("ED", beat.end_diastole, beat.edv), ("ES", beat.end_systole, beat.esv)
        ):  # fmt: skip
            label = NAMES[phase] if beat.counts and phase not in labelled else None
            labelled |= {phase} if label else set()
            style: dict[str, Any] = {
                "color": PALETTE[phase],
                "markersize": 8,
                "linestyle": "none",
                "zorder": 4,
            }
            style |= {"markeredgecolor": LIGHT if dark else "#24292e", "markeredgewidth": 0.8}
            if not beat.counts:
                style |= {"markerfacecolor": "none", "markeredgecolor": PALETTE[phase]}
                style |= {"markeredgewidth": 1.5}
            axes.plot(times[frame], volume, MARKERS[phase], label=label, **style)
        if len(function.beats) <= MOST_LABELS and np.isfinite(beat.ef_measured):
            text = f"{beat.ef_measured:.0f} %" if beat.counts else f"({beat.ef_measured:.0f} %)"
            middle = (times[beat.end_diastole] + times[beat.end_systole]) / 2
            above: dict[str, Any] = {"ha": "center", "va": "bottom", "fontsize": 8, "clip_on": True}
            above["transform"] = axes.get_xaxis_transform()
            axes.text(
                middle, 0.02, f"measured\nEF {text}", color=LIGHT if dark else "#24292e", **above
            )


def draw_moment(result: "ClipFunction", frame: int, axes: Axes, title: str = "") -> Axes:
    """Show a frame of a clip with its outline, and with its long axis and chords if it has them.

    The frame is cropped to the sector, and has a bar of `SCALE_BAR` where the spacing is known.
    """
    result = result.cropped()
    show_image(result.clip.frames[frame], axes, title)
    axis, chords = result.function.axes[frame], result.function.chords[frame]
    if np.isfinite(axis).all() and np.isfinite(chords).all():
        draw_tracing(Tracing(axis, chords), axes, numbers=False)
    mask = result.packed[frame]
    if mask.any():
        draw_outline(mask_outline(mask), axes, "prediction")
    if result.clip.spacing is not None:
        _draw_scale_bar(result.clip.spacing, mask.shape, axes)
    return axes


def _draw_scale_bar(spacing: float, shape: tuple[int, ...], axes: Axes) -> None:
    """A white bar of `SCALE_BAR` with its length, in the lower left corner of a frame (H, W).

    spacing: mm per px.
    """
    height, width = shape
    length, left, y = SCALE_BAR / spacing, 0.03 * width, 0.96 * height
    axes.plot([left, left + length], [y, y], color="white", linewidth=2.5, solid_capstyle="butt")
    above: dict[str, Any] = {"ha": "center", "va": "bottom", "fontsize": 8, "color": "white"}
    axes.text(left + length / 2, y - 0.015 * height, f"{SCALE_BAR} mm", **above)


def moment_figure(result: "ClipFunction", frame: int) -> Figure:
    """Make a picture of a frame as in `draw_moment`, without margins, 480 px on its longer side."""
    result = result.cropped()
    height, width = result.clip.frames.shape[1:]
    size = FRAME_INCHES * np.array([width, height]) / max(height, width)
    # matplotlib's stubs leave "none" out
    figure = Figure(figsize=size, dpi=FRAME_DPI, layout="none")  # type: ignore[arg-type]
    draw_moment(result, frame, figure.add_axes((0, 0, 1, 1)))
    return figure


def curve_figure(function: "HeartFunction", dark: bool = False) -> Figure:
    """Make a figure of the curve of `draw_function` alone, for a light or a dark page."""
    with styled():
        figure = Figure(figsize=(5.2, 3.5), dpi=200, layout="constrained")
        axes = curve_legend(draw_function(function, figure.subplots(), dark), columns=3)
        if dark:
            darken(axes)
    return figure


def function_figure(result: "ClipFunction") -> Figure:
    """Draw ED and ES of a beat with outline, long axis and chords above the volume over time."""
    chosen, result = key_frames(result.function), result.cropped()
    height, width = result.clip.frames.shape[1:]
    top_height = min(3.7 * height / width, 4.5) + 0.35
    layout = ConstrainedLayoutEngine(h_pad=0.08)  # keeps the titles away from the edge
    figure = plt.figure(figsize=(7.6, top_height + 3.2), layout=layout)
    top, bottom = figure.subfigures(2, 1, squeeze=False, height_ratios=[top_height, 3.2]).flat
    for (name, frame), axes in zip(
        chosen.items(), np.atleast_1d(top.subplots(1, len(chosen))), strict=True
    ):
        draw_moment(result, frame, axes, f"{name}, {moment_of(result.function, frame)}")
    axes = draw_function(result.function, bottom.subplots())
    axes.set_title(headline(result), loc="left")
    curve_legend(axes)
    return figure


def function_video(result: "ClipFunction") -> Film:
    """Draw the clip with its outline, and beside it the volume up to each frame.

    Returns a film of T pictures (h, w, 3) uint8 RGB for `write_video`.
    """
    result = result.cropped()
    frames, function = result.clip.frames, result.function
    pictures = outlined(frames, result.packed, DISPLAY_SIZE / frames.shape[1], fill=0.12)

    def draw(axes: Axes) -> None:
        draw_function(function, axes, dark=True)
        axes.set_title(headline(result), fontsize=9, loc="left", wrap=True)
        curve_legend(axes)

    return beside_curve(pictures, draw, frame_times(len(frames), function.fps))


# --- A study ------------------------------------------------------------------------------------


def ef_figure(table: pd.DataFrame) -> Figure:
    """Draw the EF of a study: each clip's interval above, measured against true EF and the
    Bland-Altman plot below.

    table: one row per clip: ef_true, ef_corrected, ef_low, ef_high in per cent, and where known
    ef_measured, which tells whether the EF is corrected. Clips whose interval misses the truth have
    a colour and a marker of their own. Clips without a true EF or without an EF are left out and
    counted in the title. Raises ValueError if fewer than two clips have both.
    """
    clips = table[np.isfinite(table.ef_true) & np.isfinite(table.ef_corrected)]
    if len(clips) < 2:
        raise ValueError(
            f"expected at least two clips with a true and a measured EF, found {len(clips)} of "
            f"{len(table)}."
        )
    clips = clips.sort_values("ef_true", kind="stable")
    word = "corrected" if are_corrected(clips) else "measured"
    figure = plt.figure(figsize=(10, 9), layout="constrained")
    panels = figure.subplot_mosaic("AA;BC", height_ratios=[1.1, 1])
    top, left, right = panels["A"], panels["B"], panels["C"]
    _draw_intervals(clips, top, word)
    without_ef = len(table) - len(clips)
    top.set_title(f"{len(clips)} clips" + (f", {without_ef} without EF" if without_ef else ""))
    draw_scatter(clips.ef_true, clips.ef_corrected, left, ("true EF (%)", f"{word} EF (%)"))
    missed = clips[_misses(clips)]
    left.scatter(missed.ef_true, missed.ef_corrected, **_MISSED)
    left.set_title(f"{word} against true")
    draw_bland_altman(clips.ef_true, clips.ef_corrected, right, unit="points")
    right.set_title(f"Bland-Altman: {word} - true")
    return figure


def _misses(clips: pd.DataFrame) -> pd.Series:
    """Which clips have an interval that does not hold the true EF; False without an interval."""
    return (clips.ef_true < clips.ef_low) | (clips.ef_true > clips.ef_high)


def _draw_intervals(clips: pd.DataFrame, axes: Axes, word: str) -> None:
    """Draw the interval of each clip as a bar, the measured EF on it, and the true EF as a line.

    clips: in the order of their true EF. word: whether the EF is "corrected" or "measured".
    """
    places = np.arange(1, len(clips) + 1)
    missed = _misses(clips).to_numpy()
    width = float(np.clip(480 / len(clips), 0.4, 4))  # points: bars must not hide each other
    dots: dict[str, Any] = {"s": 12, "color": PALETTE["neutral"], "zorder": 3}
    looks = ((~missed, "#b4bec7", dots, "90 % interval"), (missed, PALETTE["test"], _MISSED, ""))
    for chosen, colour, style, label in looks:
        part, at = clips[chosen], places[chosen]
        if not len(part):
            continue
        axes.vlines(at, part.ef_low, part.ef_high, color=colour, linewidth=width, label=label)
        count = "1 clip" if len(part) == 1 else f"{len(part)} clips"
        name = f"{word} EF" if label else f"interval misses the true EF: {count}"
        axes.scatter(at, part.ef_corrected, **style, label=name)
    axes.plot(places, clips.ef_true, color=PALETTE["truth"], linewidth=2.5, label="true EF")
    axes.set(xlabel="clips in the order of their true EF", ylabel="EF (%)")
    axes.set(xlim=(0, len(clips) + 1), xticks=[])
    axes.margins(y=0.12)
    axes.legend(loc="upper left", ncols=4, fontsize=9)
