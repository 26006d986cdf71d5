"""Views of clips from every source, with the labels and measurements that come with them."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..data.clips import Clip
from ..data.frames import Dataset, FrameSet, LabelledFrame, number_or_none
from ..data.tracings import rows_to_tracing, tracing_rows
from ..data.valve.study import TRUTH_FILE, MitralStudy, ValveClip
from ..figures.overlay import PINK
from .layer import Curve, Layer
from .layers import TRUTH, box_layer, chords_between, tracing_layers, truth_layer
from .view import View

if TYPE_CHECKING:
    from ..ventricle.clip import ClipFunction


def view_of_clip(clip: Clip) -> View:
    """Make the view of a clip; for a ValveClip with its labelled leaflets and its box."""
    layers: list[Layer] = []
    if isinstance(clip, ValveClip):
        if clip.labels is not None:
            masks = dict(zip(clip.labelled, clip.labels, strict=True))
            layers.append(truth_layer(clip.frames.shape, masks, "leaflets"))
        if clip.box is not None and clip.box.any():
            layers.append(box_layer(clip.box, len(clip.frames)))
    return View(clip.name, clip.frames, clip.fps, clip.spacing, tuple(layers))


def view_of_study(study: MitralStudy, clip: ValveClip) -> View:
    """Make the view of a clip of a mitral study.

    Labels of its test clips exist only for phantom studies.
    """
    view = view_of_clip(clip)
    is_test = any(clip is other for other in study.test)
    if is_test and view.truth is None and (study.folder / TRUTH_FILE).is_file():
        truth = Layer(TRUTH, study.truth(clip.name), role="truth", structure="leaflets")
        return replace(view, layers=(truth, *view.layers))
    return view


def view_of_function(result: "ClipFunction") -> View:
    """Make the view of a measured clip: masks, long axis and disks, beats, and volume curve."""
    clip, function = result.clip, result.function
    disks = np.concatenate([function.axes[:, None], function.chords], axis=1)
    layers = (
        Layer("masks", result.masks, structure="ventricle"),
        Layer("disks", segments=disks, role="tracing", on=False),
    )
    has_volume = np.isfinite(function.smooth).any()
    curves = (Curve("volume", function.smooth, function.unit, PINK),) if has_volume else ()
    return View(clip.name, clip.frames, clip.fps, clip.spacing, layers, curves, function.phases)


# --- Data sets ----------------------------------------------------------------------------------


def view_of_labelled(data: Dataset, name: str) -> View:
    """Make the view of a clip of a data set with its experts' masks and tracings.

    Warns of labels that are left out because they cannot be shown.
    """
    clip = data.clip(name)
    labelled, problems = data.labelled(name, clip)
    reasons = [str(problem) for problem in problems if problem.action == "left out"]
    indexed = {frame.frame: frame for frame in labelled if frame.frame < len(clip.frames)}
    if len(indexed) < len(labelled):
        reasons.append("a labelled frame does not occur in the clip")
    if reasons:
        listed = "; ".join(reasons)
        warnings.warn(f"{data.name}, {name}: labels left out: {listed}", stacklevel=2)
    layers: tuple[Layer, ...] = ()
    if indexed:
        masks = {index: frame.mask for index, frame in indexed.items()}
        truth = truth_layer(clip.frames.shape, masks, "ventricle")
        layers = (truth, *_tracings(data, clip, indexed))
    marks = {index: frame.phase for index, frame in indexed.items() if frame.phase}
    return View(name, clip.frames, clip.fps, clip.spacing, layers, marks=marks)


def _tracings(
    data: Dataset, clip: Clip, labelled: Mapping[int, LabelledFrame]
) -> tuple[Layer, ...]:
    """Make layers of points and lines. labelled: labelled frames by their index in the clip."""
    points = {i: frame.landmarks for i, frame in labelled.items() if frame.landmarks is not None}
    lines = {index: chords_between(landmarks) for index, landmarks in points.items()}
    if hasattr(data, "tracing_rows"):  # the expert's own long axis and chords
        rows = data.tracing_rows(clip.name)
        for index in points:
            frame_rows = rows[index]
            if frame_rows.shape[1] == 4:
                tracing, _ = rows_to_tracing(frame_rows)
                lines[index] = tracing_rows(tracing).reshape(-1, 2, 2)
    return tracing_layers(len(clip.frames), points, {i: x for i, x in lines.items() if len(x)})


def view_of_set(frames: FrameSet, rows: Sequence[int], name: str) -> View:
    """Make the view of one clip's labelled frames, at `rows` of a FrameSet, in temporal order."""
    order = np.argsort(frames.table["frame"].to_numpy()[rows], kind="stable")
    ordered = np.asarray(rows)[order]
    table = frames.table.iloc[ordered]
    layers = [Layer(TRUTH, np.array(frames.masks[ordered]), role="truth")]
    if frames.landmarks is not None:
        points = dict(enumerate(np.array(frames.landmarks[ordered])))
        lines = {index: chords_between(landmarks) for index, landmarks in points.items()}
        lines = {index: chords for index, chords in lines.items() if len(chords)}
        layers += tracing_layers(len(rows), points, lines)
    fps, spacing = (number_or_none(table[column].iloc[0]) for column in ("fps", "spacing"))
    marks = {index: phase for index, phase in enumerate(table.phase) if phase}
    numbers = table.frame.to_numpy(int)
    images = np.array(frames.images[ordered])
    return View(name, images, fps, spacing, tuple(layers), marks=marks, numbers=numbers)
