"""Clips of every origin as views: what each of them knows of its frames."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ..data.clips import Clip
from ..data.frames import Dataset, FrameSet, LabelledFrame
from ..data.valve.study import TRUTH as TRUTH_FILE
from ..data.valve.study import MitralStudy, ValveClip
from ..figures.overlay import PINK
from ..geometry import rows_to_tracing
from .layers import TRUTH, box_layer, chords_between, traced_lines, tracing_layers, truth_layer
from .view import Curve, Layer, View

if TYPE_CHECKING:
    from ..ventricle.clip import ClipFunction

SAME = 1.0  # mean difference in grey levels of two copies of one frame at most


def view_of_clip(clip: Clip) -> View:
    """A clip; of a ValveClip also its labelled leaflets and its box."""
    layers: list[Layer] = []
    if isinstance(clip, ValveClip):
        if clip.labels is not None:
            masks = dict(zip(clip.labelled, clip.labels, strict=True))
            layers.append(truth_layer(clip.frames.shape, masks))
        if clip.box is not None and clip.box.any():
            layers.append(box_layer(clip.box, len(clip.frames)))
    return View(clip.name, clip.frames, clip.fps, clip.spacing, tuple(layers))


def view_of_study(study: MitralStudy, clip: ValveClip) -> View:
    """A clip of a mitral study; its test clips have labels in phantom studies alone."""
    view = view_of_clip(clip)
    known = view.truth is None and (study.folder / TRUTH_FILE).is_file()
    if known and any(clip is other for other in study.test):
        truth = Layer(TRUTH, study.truth(clip.name), role="truth")
        return replace(view, layers=(truth, *view.layers))
    return view


def view_of_function(result: "ClipFunction") -> View:
    """A measured clip: its masks, long axis and disks, beats, and the volume over time."""
    clip, function = result.clip, result.function
    marks: dict[int, str] = {}
    for beat in function.beats:
        ends = [beat.end_diastole] + ([] if beat.end is None else [beat.end])
        marks |= dict.fromkeys(ends, "ED") | {beat.end_systole: "ES"}
    disks = np.concatenate([function.axes[:, None], function.chords], axis=1)
    layers = (
        Layer("masks", result.masks),
        Layer("disks", segments=disks, role="tracing", on=False),
    )
    known = np.isfinite(function.smooth).any()
    curves = (Curve("volume", function.smooth, function.unit, PINK),) if known else ()
    return View(clip.name, clip.frames, clip.fps, clip.spacing, layers, curves, marks)


# --- Data sets ----------------------------------------------------------------------------------


def view_of_labelled(data: Dataset, name: str) -> View:
    """A clip of a data set with what its experts drew. Warns where that cannot be shown."""
    clip = data.clip(name)
    labelled, problems = data.labelled(name)
    reasons = [str(problem) for problem in problems if problem.action == "left out"]
    placed = {_place(clip.frames, frame): frame for frame in labelled}
    if None in placed:
        reasons.append("a labelled frame is none of the clip's own frames")
        del placed[None]
    if reasons:
        listed = "; ".join(reasons)
        warnings.warn(f"{data.name}, {name}: labels left out: {listed}", stacklevel=2)
    layers: tuple[Layer, ...] = ()
    if placed:
        masks = {index: frame.mask for index, frame in placed.items()}
        layers = (truth_layer(clip.frames.shape, masks), *_tracings(data, clip, placed))
    marks = {index: frame.phase for index, frame in placed.items() if frame.phase}
    return View(name, clip.frames, clip.fps, clip.spacing, layers, marks=marks)


def _tracings(data: Dataset, clip: Clip, placed: Mapping[int, LabelledFrame]) -> tuple[Layer, ...]:
    """Points and lines of labelled frames, by their places in the clip."""
    marked = {i: frame.landmarks for i, frame in placed.items() if frame.landmarks is not None}
    lines = {index: chords_between(points) for index, points in marked.items()}
    if hasattr(data, "tracing_rows"):  # the expert's own long axis and chords
        rows = data.tracing_rows(clip.name)
        for index in marked:
            own = rows[placed[index].frame]
            if own.shape[1] == 4:
                lines[index] = traced_lines(rows_to_tracing(own)[0])
    return tracing_layers(len(clip.frames), marked, {i: x for i, x in lines.items() if len(x)})


def _place(frames: np.ndarray, labelled: LabelledFrame) -> int | None:
    """Index of a labelled frame in its clip, None where it is none of the clip's frames.

    CAMUS counts its two labelled frames 0 and 1 wherever they lie in the sequence: pixels tell.
    """
    image, number = labelled.image, labelled.frame
    if image.shape != frames.shape[1:]:
        return None
    if number < len(frames) and np.array_equal(frames[number], image):
        return number
    image = image.astype(np.int16)
    apart = [float(np.abs(frame - image).mean()) for frame in frames]
    nearest = int(np.argmin(apart))
    return nearest if apart[nearest] <= SAME else None


def view_of_set(frames: FrameSet, rows: Sequence[int], name: str) -> View:
    """The labelled frames of one clip, at `rows` of a FrameSet, in their order in the clip."""
    rows = np.asarray(rows)[np.argsort(frames.table["frame"].to_numpy()[rows], kind="stable")]
    table = frames.table.iloc[rows]
    layers = [Layer(TRUTH, np.array(frames.masks[rows]), role="truth")]
    if frames.landmarks is not None:
        points = dict(enumerate(np.array(frames.landmarks[rows])))
        lines = {index: chords_between(marks) for index, marks in points.items()}
        lines = {index: chords for index, chords in lines.items() if len(chords)}
        layers += tracing_layers(len(rows), points, lines)
    known = {
        column: None if pd.isna(table[column].iloc[0]) else float(table[column].iloc[0])
        for column in ("fps", "spacing")
    }
    marks = {index: phase for index, phase in enumerate(table.phase) if phase}
    numbers = table.frame.to_numpy(int)
    images = np.array(frames.images[rows])
    return View(name, images, **known, layers=tuple(layers), marks=marks, numbers=numbers)
