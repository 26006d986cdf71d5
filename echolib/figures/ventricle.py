"""Figures and video of heart function: volume over time, its beats, EF of a clip and of a study."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..geometry import Tracing, mask_outline
from .base import (
    PALETTE,
    draw_bland_altman,
    draw_outline,
    draw_scatter,
    draw_tracing,
    show_image,
    use_style,
)
from .overlay import DISPLAY_SIZE, LIGHT, LOWER, beside_curve, darken, draw_outlines

if TYPE_CHECKING:  # whoever draws needs no torch
    from ..ventricle.clip import ClipFunction
    from ..ventricle.function import HeartFunction

LABELLED = 8  # beats; the EF of more of them is not written into a curve
SHAPES = {"ED": "^", "ES": "v"}  # told apart without colours as well
NAMES = {"ED": "end-diastole", "ES": "end-systole"}
TILE, TILE_DPI = 3.2, 150  # inches and dots an inch of a single frame
OTHERS = ("#b8a1e3", "#8fb9aa", "#c9a66b")  # of curves laid beside the clip's own


# --- In words -----------------------------------------------------------------------------------


def headline(result: "ClipFunction") -> str:
    """What was found in a clip, in one line: EF and its interval, beats, heart rate."""
    function = result.function
    parts = [f"No EF: {why_no_ef(result)}"]
    if np.isfinite(result.ef):
        corrected = f"{result.ef:.0f}" != f"{function.ef:.0f}"
        parts = [f"EF {result.ef:.0f} %" + (" corrected" if corrected else "")]
        if np.isfinite([result.ef_low, result.ef_high]).all():
            parts.append(f"90 % interval {result.ef_low:.0f} to {result.ef_high:.0f} %")
        parts.append("1 beat" if function.n_beats == 1 else f"{function.n_beats} beats")
    if function.heart_rate:
        rate = f"{function.heart_rate:.0f} a minute"
        parts[-1] += f" at {rate}" if np.isfinite(result.ef) else f", heart rate {rate}"
    return ", ".join(parts)


def why_no_ef(result: "ClipFunction") -> str:
    """Why a clip has no EF, in a few words; empty where it has one."""
    function = result.function
    if np.isfinite(result.ef):
        return ""
    if not np.isfinite(function.volume).any():
        return "no frame has a usable outline"
    if len(function.volume) == 1:
        return "one frame shows no beat"
    if not function.beats:
        return "no beat with its end-diastole and end-systole is seen"
    if not function.n_beats:
        notes = sorted({beat.note for beat in function.beats if beat.note})
        return "no beat counts" + (f" ({', '.join(notes)})" if notes else "")
    return "it is held back, see the warnings"


def moment_of(function: "HeartFunction", frame: int) -> str:
    """When a frame was taken: in s where fps is known, else its number."""
    return f"{frame / function.fps:.2f} s" if function.fps else f"frame {frame}"


def phase_of(function: "HeartFunction", frame: int) -> str:
    """ED or ES for a frame at the end of a beat's diastole or systole, else nothing."""
    if frame in (beat.end_diastole for beat in function.beats):
        return "ED"
    return "ES" if frame in (beat.end_systole for beat in function.beats) else ""


def key_frames(function: "HeartFunction") -> dict[str, int]:
    """The two frames that show most, by what they are called.

    End-diastole and end-systole of the middle beat that counts, one without a note if there is
    any; else of the middle beat; else the frames of the largest and the smallest volume; else the
    first frame.
    """
    counted = [beat for beat in function.beats if beat.counts]
    beats = [beat for beat in counted if not beat.note] or counted or function.beats
    if beats:
        beat = beats[(len(beats) - 1) // 2]
        return {NAMES["ED"]: beat.end_diastole, NAMES["ES"]: beat.end_systole}
    known = np.flatnonzero(np.isfinite(function.volume))
    if len(known) == 0:
        return {"first frame": 0}
    if len(known) == 1:
        return {"the only outline": int(known[0])}
    volume = function.volume[known]
    largest, smallest = known[volume.argmax()], known[volume.argmin()]
    return {"largest volume": int(largest), "smallest volume": int(smallest)}


# --- One clip -----------------------------------------------------------------------------------


def draw_function(
    function: "HeartFunction",
    axes: Axes,
    dark: bool = False,
    others: Mapping[str, np.ndarray] | None = None,
) -> Axes:
    """Draw the volume over time: single frames, smooth curve, ED and ES of each beat.

    The x axis is in s where fps is known, else in frames. Beats that do not count have hollow
    marks and a grey ground. dark: colours for a dark ground. others: by name, volumes (T,) in the
    same unit that were found in another way, as thin lines.
    """
    times = frame_times(function)
    step = times[1] if len(times) > 1 else 1.0
    for (name, volume), colour in zip((others or {}).items(), OTHERS, strict=False):
        axes.plot(times, volume, color=colour, linewidth=1, label=name)
    raw = {"color": PALETTE["train"], "markersize": 3, "linestyle": "none", "alpha": 0.6}
    axes.plot(times, function.volume, "o", **raw, label="single frame")
    axes.plot(times, function.smooth, color=PALETTE["prediction"], linewidth=2, label="smoothed")
    _draw_beats(function, axes, times, dark)
    for number, beat in enumerate(beat for beat in function.beats if not beat.counts):
        frames = [beat.end_diastole, beat.end_systole, *([] if beat.end is None else [beat.end])]
        label = "not counted" if number == 0 else None
        ground = {"color": PALETTE["neutral"], "alpha": 0.3 if dark else 0.18}
        ground |= {"linewidth": 0, "zorder": 0, "label": label}
        axes.axvspan(times[min(frames)], times[max(frames)], 0, LOWER, **ground)
    values = np.array([*function.volume, *function.smooth])
    top = float(np.nanmax(values)) if np.isfinite(values).any() else 1.0
    label = "volume (ml)" if function.unit == "ml" else "relative volume (px³/1000)"
    axes.set(xlabel="time (s)" if function.fps else "frame", ylabel=label)
    axes.set(xlim=(-step, times[-1] + step), ylim=(0, 1.3 * top))
    if not np.isfinite(values).any():
        place = {"transform": axes.transAxes, "ha": "center", "va": "center"}
        axes.text(0.5, 0.5, "no frame has a usable outline", **place)
    return axes


def curve_legend(axes: Axes, columns: int = 5) -> Axes:
    """Legend in the free space above a curve of `draw_function`."""
    narrow = {"columnspacing": 0.9, "handlelength": 1.3, "handletextpad": 0.45}
    axes.legend(loc="upper left", ncols=columns, fontsize=8, **narrow)
    return axes


def frame_times(function: "HeartFunction") -> np.ndarray:
    """(T,) time of each frame in s where fps is known, else its number."""
    return np.arange(len(function.volume), dtype=float) / (function.fps or 1.0)


def _draw_beats(function: "HeartFunction", axes: Axes, times: np.ndarray, dark: bool) -> None:
    """Mark ED and ES of each beat, and write its EF between them where there are few beats."""
    told = set()
    for beat in function.beats:
        for phase, frame, volume in (
            ("ED", beat.end_diastole, beat.edv), ("ES", beat.end_systole, beat.esv)
        ):  # fmt: skip
            label = NAMES[phase] if beat.counts and phase not in told else None
            told |= {phase} if label else set()
            mark = {"color": PALETTE[phase], "markersize": 8, "linestyle": "none", "zorder": 4}
            mark |= {"markeredgecolor": LIGHT if dark else "#24292e", "markeredgewidth": 0.8}
            if not beat.counts:
                mark |= {"markerfacecolor": "none", "markeredgecolor": PALETTE[phase]}
                mark |= {"markeredgewidth": 1.5}
            axes.plot(times[frame], volume, SHAPES[phase], label=label, **mark)
        if len(function.beats) <= LABELLED and np.isfinite(beat.ef):
            text = f"{beat.ef:.0f} %" if beat.counts else f"({beat.ef:.0f} %)"
            middle = (times[beat.end_diastole] + times[beat.end_systole]) / 2
            place = {"ha": "center", "va": "bottom", "fontsize": 8, "clip_on": True}
            place["transform"] = axes.get_xaxis_transform()
            axes.text(middle, 0.02, f"EF\n{text}", color=LIGHT if dark else "#24292e", **place)


def draw_moment(result: "ClipFunction", frame: int, axes: Axes, title: str = "") -> Axes:
    """Show a frame of a clip with its outline, its long axis and its chords, where known."""
    show_image(result.clip.frames[frame], axes, title)
    axis, chords = result.function.axes[frame], result.function.chords[frame]
    if np.isfinite(axis).all() and np.isfinite(chords).all():
        draw_tracing(Tracing(axis, chords), axes, numbers=False)
    if result.masks[frame].any():
        draw_outline(mask_outline(result.masks[frame]), axes, "prediction")
    return axes


def moment_figure(result: "ClipFunction", frame: int) -> Figure:
    """A frame as in `draw_moment`, as a picture without any margin, 480 px long."""
    height, width = result.clip.frames.shape[1:]
    size = TILE * np.array([width, height]) / max(height, width)
    figure = Figure(figsize=size, dpi=TILE_DPI, layout="none")
    draw_moment(result, frame, figure.add_axes((0, 0, 1, 1)))
    return figure


def curve_figure(
    function: "HeartFunction", dark: bool = False, others: Mapping[str, np.ndarray] | None = None
) -> Figure:
    """The curve of `draw_function` alone, for a page that is light or dark."""
    with plt.rc_context():
        use_style()
        figure = Figure(figsize=(5.2, 3.5), dpi=200, layout="constrained")
        axes = curve_legend(draw_function(function, figure.subplots(), dark, others), columns=3)
        if dark:
            darken(axes)
    return figure


def function_figure(
    result: "ClipFunction", others: Mapping[str, np.ndarray] | None = None
) -> Figure:
    """ED and ES of a beat with outline, long axis and chords above the volume over time.

    others: as for `draw_function`.
    """
    chosen = key_frames(result.function)
    height, width = result.clip.frames.shape[1:]
    high = min(3.7 * height / width, 4.5) + 0.35
    figure = plt.figure(figsize=(7.6, high + 3.2), layout="constrained")
    figure.get_layout_engine().set(h_pad=0.08)  # titles keep off the edge
    top, bottom = figure.subfigures(2, 1, height_ratios=[high, 3.2])
    for (name, frame), axes in zip(
        chosen.items(), np.atleast_1d(top.subplots(1, len(chosen))), strict=True
    ):
        draw_moment(result, frame, axes, f"{name}, {moment_of(result.function, frame)}")
    axes = draw_function(result.function, bottom.subplots(), others=others)
    axes.set_title(headline(result), loc="left")
    curve_legend(axes)
    return figure


def function_video(result: "ClipFunction") -> np.ndarray:
    """The clip with its outline, and beside it the volume as it is drawn in step.

    Returns (T, h, w, 3) uint8 RGB pictures for `overlay.write_video`.
    """
    frames, function = result.clip.frames, result.function
    pictures = draw_outlines(frames, result.masks, scale=DISPLAY_SIZE / frames.shape[1], fill=0.12)

    def draw(axes: Axes) -> None:
        draw_function(function, axes, dark=True)
        axes.set_title(headline(result), fontsize=9, loc="left", wrap=True)
        curve_legend(axes)

    return beside_curve(pictures, draw, frame_times(function))


# --- A study ------------------------------------------------------------------------------------


def ef_figure(table: pd.DataFrame) -> Figure:
    """EF found against true EF with 90 % intervals, and beside it the Bland-Altman plot.

    table: a row a clip: ef_true, ef, ef_low, ef_high in per cent. Clips without a true or a found
    EF are left out and counted in the title. Raises ValueError with fewer than two others.
    """
    known = table[np.isfinite(table.ef_true) & np.isfinite(table.ef)]
    if len(known) < 2:
        raise ValueError(
            f"expected at least two clips with a true and a found EF, found {len(known)} of "
            f"{len(table)}."
        )
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.6), layout="constrained")
    draw_scatter(known.ef_true, known.ef, left, ("true EF (%)", "EF found (%)"))
    low, high = known.ef_low.fillna(known.ef), known.ef_high.fillna(known.ef)
    crowd = min(0.45, 80 / len(known))  # many bars must not hide each other
    bar = {"color": PALETTE["neutral"], "linewidth": 0.6, "alpha": crowd, "zorder": 1}
    left.vlines(known.ef_true, low, high, **bar, label="90 % interval")
    ends = [*known.ef_true, *low, *high]
    limits = (min(ends) - 2, max(ends) + 2)
    left.set(xlim=limits, ylim=limits)
    left.lines[0].set_data(limits, limits)  # identity, to the new corners
    left.legend(loc="upper left")
    without = len(table) - len(known)
    left.set_title(f"{len(known)} clips" + (f", {without} without EF" if without else ""))
    draw_bland_altman(known.ef_true, known.ef, right, unit="points")
    right.set_title("Bland-Altman: found - true")
    return figure
