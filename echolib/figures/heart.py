"""The heart in the apical four-chamber view: a labelled drawing beside real frames.

The drawing shows the curves of `phantom.shape`, of a heart all of whose measures are average.
Points of the drawing are (x, y) mm, with the probe's face at the origin and y into the body.
"""

from collections.abc import Callable
from dataclasses import fields
from functools import partial
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle, Wedge
from matplotlib.patheffects import withStroke

from ..data.clips import example_clip
from ..geometry import disk_volume, ejection_fraction, outline_to_tracing
from ..phantom.anatomy import Heart, heart_pose
from ..phantom.cycle import Cycle, Rhythm
from ..phantom.ranges import Parameters
from ..phantom.shape import heart_shape, ventricle_shape
from ..phantom.valve import Leaflet, ValveAnatomy
from .base import PALETTE, draw_outline, show_image
from .overlay import brightened

# Pale colours of the drawing, on which dark text is legible, as in an atlas of anatomy: the left
# heart reddish, the right heart bluish.
LEFT, RIGHT, WALL, SECTOR = "#f7d9d4", "#d4e4f4", "#b98f86", "#eef0f2"
INK, LEAFLETS = "#24292e", "#7a1f1f"
POINTS_PER_MM = 1.7  # of a wall that is drawn as a line, at the scale of `heart_figure`
WIDEST = (-96.0, 96.0)  # mm shown from left to right, with room for labels on both sides
LEFT_LABELS, RIGHT_LABELS = -75.0, 77.0  # mm, where the labels' centres are
LABEL_SIZE = 11.5
SEPTUM = 11  # points of the atrial septum that lie between the atria

EJECTION = 0.43  # share of the cavity that the average heart ejects; the traced volume loses more


class _RealFrame(NamedTuple):
    """A frame of `data.example_clip`, chosen and labelled by eye.

    names: {text: its centre}, parts: {text: (its centre, the place that it names)}; all (x, y) px
    of the frame cut to `CUT`.
    """

    number: int
    names: dict[str, tuple[float, float]]
    parts: dict[str, tuple[tuple[float, float], tuple[float, float]]]


CUT = (slice(14, 208), slice(78, 252))  # rows and columns of the clip that show the heart
REAL = {
    "ED": _RealFrame(
        24,
        {"left\nventricle": (97, 86)},
        {
            "probe": ((136, 10), (93, 7)),
            "septum": ((26, 56), (75, 78)),
            "lateral\nwall": ((157, 82), (132, 88)),
            "mitral\nvalve": ((157, 114), (105, 116)),
            "right\nventricle": ((22, 98), (54, 102)),
            "left\natrium": ((157, 152), (98, 128)),
            "right\natrium": ((22, 168), (68, 148)),
        },
    ),
    "ES": _RealFrame(
        6,
        {"left\nventricle": (97, 84)},
        {
            "septum": ((26, 56), (72, 84)),
            "lateral\nwall": ((157, 82), (124, 92)),
            "anterior\nleaflet": ((153, 116), (98, 106)),
            "left\natrium": ((157, 152), (98, 136)),
            "right\natrium": ((22, 168), (50, 138)),
        },
    ),
}


def _average(kind: type[Parameters], **given: Any) -> Parameters:
    """Build an instance of a dataclass of `phantom.ranges`, each field at the mean of its range.

    given: values of other fields, or of fields that are not to be average.
    """
    ranges = {
        item.name: item.metadata["range"] for item in fields(kind) if "range" in item.metadata
    }
    middles = {
        name: 0.5 * (found.low + found.high) if found.mean is None else found.mean
        for name, found in ranges.items()
    }
    return kind(**(middles | given))


def average_heart() -> tuple[Heart, Cycle]:
    """The heart of the drawing, with smooth walls and a normal ejection, and its beat."""
    none: dict[str, Any] = {"gaps": ((), ()), "chordae": ((), ())}
    valve = _average(ValveAnatomy, anterior=_average(Leaflet), posterior=_average(Leaflet), **none)
    smooth = {"waviness": np.zeros((2, 4)), "valve": valve, "ejection": EJECTION}
    return _average(Heart, **smooth), Cycle.from_rhythm(_average(Rhythm))


def heart_curves(heart: Heart, cycle: Cycle, time: float) -> dict[str, np.ndarray]:
    """Compute all curves of a heart at `time` s after end-diastole, {name: (n, 2) mm}.

    The names of chambers are those of `phantom.shape.Shape`. `wall` is the outside of the left
    ventricle, `septum` and `lateral_wall` the middles of its sides. Leaflets run from hinge to tip.
    """
    contraction = float(cycle.contraction(time))
    shape = heart_shape(heart, contraction, float(cycle.opening(time)))
    pose = heart_pose(heart, contraction, 2 * np.pi * time / cycle.period)
    names = ("cavity", "left_atrium", "right_atrium", "atrial_septum", "right_ventricle")
    curves = {name: getattr(shape, name) for name in (*names, "right_wall")}
    curves["wall"] = np.concatenate([shape.septal_outside[::-1], shape.lateral_outside])
    curves["septum"] = 0.5 * (shape.septal_cavity + shape.septal_outside)
    curves["lateral_wall"] = 0.5 * (shape.lateral_cavity + shape.lateral_outside)
    curves["anterior"], curves["posterior"] = shape.mitral
    curves["tricuspid_septal"], curves["tricuspid_free"] = shape.tricuspid
    return {name: pose.to_world(curve) for name, curve in curves.items()}


def heart_volume(heart: Heart, cycle: Cycle, time: float) -> float:
    """The left ventricle's volume in ml at `time` s, within the outline that an expert draws."""
    shape = ventricle_shape(heart, float(cycle.contraction(time)))
    tracing = outline_to_tracing(shape.outline, shape.axis, corners=shape.outline[[0, -1]])
    return disk_volume(tracing)


# --- Drawing ------------------------------------------------------------------------------------


def _draw_chambers(curves: dict[str, np.ndarray], heart: Heart, axes: Axes) -> Axes:
    """Draw sector, probe, chambers, walls and valves. curves: from `heart_curves`."""
    every = np.concatenate(list(curves.values()))
    depth = 1.03 * float(np.hypot(*every.T).max())
    half = 4 + float(np.degrees(np.abs(np.arctan2(every[:, 0], every[:, 1])).max()))
    axes.add_patch(Wedge((0, 0), depth, 90 - half, 90 + half, color=SECTOR))
    axes.add_patch(Rectangle((-9, -10), 18, 10, color=INK))
    line: dict[str, Any] = {"color": WALL, "solid_capstyle": "round"}
    for name, colour in (("left_atrium", LEFT), ("right_atrium", RIGHT)):
        axes.fill(*curves[name].T, color=colour)
        draw_outline(curves[name], axes, WALL, linewidth=POINTS_PER_MM * heart.atrial_wall)
    axes.fill(*curves["right_ventricle"].T, color=RIGHT)
    axes.plot(*curves["right_wall"].T, linewidth=POINTS_PER_MM * heart.rv_wall, **line)
    septum = curves["atrial_septum"][:SEPTUM]
    axes.plot(*septum.T, linewidth=POINTS_PER_MM * heart.atrial_septum, **line)
    axes.fill(*curves["wall"].T, color=WALL)
    axes.fill(*curves["cavity"].T, color=LEFT)
    for name in ("anterior", "posterior", "tricuspid_septal", "tricuspid_free"):
        axes.plot(*curves[name].T, color=LEAFLETS, linewidth=3, solid_capstyle="round")
    axes.set(xlim=WIDEST, ylim=(depth + 4, -14), aspect="equal")
    axes.set_axis_off()
    return axes


def _point_out(
    axes: Axes, text: str, place: tuple[float, float], target: np.ndarray, colour: str = INK
) -> None:
    """Write a text at a place, and draw a line from it to a dot on what it names."""
    line = {"arrowstyle": "-", "color": colour, "linewidth": 1, "shrinkA": 2, "shrinkB": 0}
    style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": LABEL_SIZE, "zorder": 5}
    axes.plot(*target, "o", color=colour, markersize=3.5, zorder=5)
    end = (target[0], target[1])
    label = axes.annotate(text, end, place, color=colour, arrowprops=line, **style)
    if colour == "white":
        label.set_path_effects([withStroke(linewidth=2, foreground="black")])


def _name(axes: Axes, text: str, place: np.ndarray, colour: str = INK) -> None:
    """Write the name of a chamber into it."""
    style: dict[str, Any] = {"ha": "center", "va": "center", "linespacing": 1.0, "zorder": 5}
    style |= {"color": colour, "fontsize": LABEL_SIZE}
    if colour == "white":
        style["path_effects"] = [withStroke(linewidth=2, foreground="black")]
    axes.text(place[0], place[1], text, **style)


def _label_chambers(curves: dict[str, np.ndarray], axes: Axes) -> Axes:
    """Write the names of the four chambers into a drawing by `_draw_chambers`."""
    for name in ("cavity", "left_atrium", "right_atrium"):
        text = {"cavity": "left\nventricle"}.get(name, name.replace("_", "\n"))
        middle = 0.5 * (curves[name].min(axis=0) + curves[name].max(axis=0))
        _name(axes, text, middle)
    x, y = curves["right_ventricle"].mean(axis=0)  # too narrow for its name
    _point_out(axes, "right\nventricle", (LEFT_LABELS, y - 4), np.array([x, y]))
    return axes


def _label_parts(curves: dict[str, np.ndarray], axes: Axes) -> Axes:
    """Name walls, valves, apex and probe at both sides of a drawing by `_draw_chambers`."""
    hinges = curves["cavity"][[0, -1]]
    axes.plot(*hinges.T, ":", color=INK, linewidth=1.5)
    left, right = LEFT_LABELS, RIGHT_LABELS
    base = hinges[:, 1].mean()
    apex = curves["cavity"][len(curves["cavity"]) // 2]
    for text, place, target in (
        ("probe", (right, -5), (9, -5)),
        ("apex", (right, apex[1] - 6), apex),
        ("lateral\nwall", (right, apex[1] + 24), curves["lateral_wall"][18]),
        ("anterior\nleaflet", (right, base - 32), curves["anterior"][16]),
        ("posterior\nleaflet", (right, base - 3), curves["posterior"][12]),
        ("mitral\nannulus", (right, base + 26), hinges[1]),
        ("septum", (left, apex[1] + 14), curves["septum"][16]),
        ("tricuspid\nvalve", (left, base + 8), curves["tricuspid_free"][6]),
    ):
        _point_out(axes, text, place, np.asarray(target))
    return axes


def _draw_real(frame: np.ndarray, labels: _RealFrame, axes: Axes) -> Axes:
    """Show a frame (H, W) uint8 of the example clip, brightened, cut to the heart, labelled."""
    show_image(brightened(frame[CUT]), axes)
    for text, centre in labels.names.items():
        _name(axes, text, np.array(centre), "white")
    for text, (place, target) in labels.parts.items():
        _point_out(axes, text, place, np.array(target), "white")
    return axes


def _draw_volume(volume: Callable[[float], float], cycle: Cycle, axes: Axes) -> Axes:
    """Draw the volume over one and a half beats, with ED and ES and what happens between them.

    volume: ml at a time in s.
    """
    times = np.linspace(0, 1.5 * cycle.period, 120)
    volumes = [volume(time) for time in times]
    axes.plot(times, volumes, color=INK, linewidth=2)
    top = 1.25 * max(volumes)
    for number in (0, 1):
        for phase, moment, marker in (("ED", 0.0, "^"), ("ES", cycle.end_systole, "v")):
            at = moment + number * cycle.period
            style: dict[str, Any] = {"color": PALETTE[phase], "markeredgecolor": INK}
            axes.plot(at, volume(at), marker, markersize=11, zorder=4, clip_on=False, **style)
            offset = (9, 9) if phase == "ED" else (0, 11)
            words: dict[str, Any] = {"textcoords": "offset points", "fontsize": LABEL_SIZE}
            axes.annotate(phase, (at, volume(at)), offset, ha="center", **words)
    for text, span in (
        ("ejection", (cycle.rhythm.isovolumic_contraction, cycle.end_systole)),
        ("filling", (cycle.opening_time, cycle.period)),
    ):
        axes.axvspan(*span, color=WALL if text == "ejection" else RIGHT, alpha=0.45, linewidth=0)
        axes.text(sum(span) / 2, 0.04 * top, text, ha="center", fontsize=LABEL_SIZE, color=INK)
    axes.set(xlabel="time (s)", ylabel="volume (ml)", ylim=(0, top), xlim=(0, times[-1]))
    return axes


def heart_figure() -> Figure:
    """Draw an average heart beside `data.example_clip`, at ED and ES, and its volume below.

    The drawing at ED names every part, that at ES only the chambers; there a dashed line shows
    where the cavity was at ED.
    """
    heart, cycle = average_heart()
    clip = example_clip()
    volume = partial(heart_volume, heart, cycle)
    figure = plt.figure(figsize=(7.8, 10.6))
    grid = figure.add_gridspec(3, 2, height_ratios=[4.2, 4.2, 2.1], width_ratios=[1.22, 1])
    moments = {"ED": 0.0, "ES": cycle.end_systole}
    curves = {phase: heart_curves(heart, cycle, time) for phase, time in moments.items()}
    for row, (phase, words) in enumerate(
        (("ED", "end-diastole (ED): fullest"), ("ES", "end-systole (ES): emptiest"))
    ):
        drawing, real = (figure.add_subplot(grid[row, column]) for column in (0, 1))
        _label_chambers(curves[phase], _draw_chambers(curves[phase], heart, drawing))
        drawing.set_title(words)
        labels = REAL[phase]
        _draw_real(clip.frames[labels.number], labels, real).set_title(
            "a real heart, near " + phase
        )
        if phase == "ED":
            _label_parts(curves[phase], drawing)
        else:
            drawing.plot(*curves["ED"]["cavity"].T, "--", color=INK, linewidth=1)
    axes = _draw_volume(volume, cycle, figure.add_subplot(grid[2, :]))
    ef = ejection_fraction(volume(0.0), volume(cycle.end_systole))
    axes.set_title(f"Volume of the drawn left ventricle: ejection fraction {ef:.0f} %", loc="left")
    return figure
