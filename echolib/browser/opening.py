"""Opening a frame browser on whatever a user has: clips, files, data sets, results."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..data.problems import Problem
from ..errors import DataError
from ..geometry import Tracing
from .editing import Editing
from .outliners import model_versions
from .sources import Views, open_views
from .view import View
from .widget import UNREADABLE, FrameBrowser


def browse(
    source: object,
    masks: Mapping[str, np.ndarray] | None = None,
    *,
    models: object = None,
    split: str = "all",
    clip: str | None = None,
    truth: np.ndarray | Mapping[int, np.ndarray] | None = None,
    tracings: Mapping[int, Tracing] | None = None,
    landmarks: Mapping[str, np.ndarray] | None = None,
    leaflets: np.ndarray | None = None,
    doubt: np.ndarray | None = None,
    curves: Mapping[str, np.ndarray] | None = None,
    marks: Mapping[int, str] | None = None,
    labels: Sequence[str] | None = None,
    fps: float | None = None,
    spacing: float | None = None,
    title: str | None = None,
    blank_text: bool = False,
    edit: bool = False,
    corrections: str | Path | None = None,
    annotator: str = "",
    queue: str | Path | None = None,
) -> FrameBrowser:
    """Open clips in a frame browser: one clip, its file, a data set, or a list of these.

    source: a Clip, frames (T, H, W) uint8, a `ClipFunction`, a `FrameSet`, an open data set, the
        path of a clip or of a data set's folder, a MitralStudy, a `View`, or a list of these
    models: a model, a list of names or paths of weights, or models by name, which outline every
        clip when it is opened. A model is the name or path of weights, a network, networks that
        work together (`load_networks`, `load_finder`), an object with `masks(frames)`, or a
        function that takes frames (T, H, W) uint8 and returns masks (T, H, W) bool
    split: of a data set, "train", "val", "test" or "all"
    clip: name of the clip to open first; by default the first of the source
    fps (frames per second), spacing (mm per px): replace those of the source
    blank_text: black outside the sector, such as a burned-in name (`data.blank_text`)
    edit: whether outlines can be corrected at once; the page has a switch for it as well
    corrections: the folder in which corrections are kept, see `corrections.Folder`; without one
        they are in `FrameBrowser.editing.documents`, and the page can save them as a file
    annotator: who corrects; each one's corrections in a folder are kept apart
    queue: file of `python -m echolib queue`: only its clips are shown, in its order; each opens at
        its most doubtful frame, and the frames to correct are marked

    These can be given only if the source is one clip, of T frames:
    masks: masks by name to outline, each (T, H, W) bool
    truth: the expert's masks, (T, H, W) bool, or (H, W) bool by frame
    tracings: the expert's tracings by frame
    landmarks: points by name, each (T, K, 2) px, NaN for a missing point
    leaflets: (T, H, W) bool of the mitral valve, whose opening is drawn as a curve
    doubt: (T, H, W) float from 0 to 1
    curves: by name, each (T,), NaN where unknown
    marks: a short text by frame, such as "ED"
    labels: one text per frame
    title: replaces the name of the source

    An error in the source is displayed in place of the picture and stored in the trait `error`.
    Raises TraitError for a `clip` that the source does not have.
    """
    try:
        views = open_views(
            source, models, split, masks=masks, truth=truth, tracings=tracings,
            landmarks=landmarks, leaflets=leaflets, doubt=doubt, curves=curves, marks=marks,
            labels=labels, fps=fps, spacing=spacing, title=title, blank_text=blank_text,
        )  # fmt: skip
        if queue is not None:
            views = in_order(views, queue)
        editing = Editing(corrections, annotator, model_versions(models))
    except UNREADABLE as error:
        return FrameBrowser(None, error=str(error))
    browser = FrameBrowser(views, clip, editing=editing)
    browser.edit = edit
    return browser


def in_order(views: Views, queue: str | Path) -> Views:
    """The clips of a queue, in its order; what of the queue `views` lacks becomes a problem.

    Raises DataError if the queue cannot be read, or names no clip of `views`.
    """
    from ..corrections.queue import read_queue  # imports torch, which views of clips do without

    numbers = {name: number for number, name in enumerate(views.names)}
    problems: list[Problem] = []
    order = read_queue(queue, problems)
    found = [(numbers[clip], frames) for clip, frames in order if clip in numbers]
    if not found:
        raise DataError(
            f"{queue}: expected clips of the source, such as {views.names[0]!r}, found "
            f"{order[0][0]!r}. Was the queue made of another data set?"
        )

    problems += [
        Problem.of(Path(queue).name, None, "the source has no clip {}", repr(clip))
        for clip, _ in order
        if clip not in numbers
    ]

    def read(number: int) -> View:
        place, frames = found[number]
        view = views.read(place)
        inside = [frame for frame in frames if frame < len(view)]
        marks = dict(view.marks)
        for frame in inside:
            marks[frame] = ", ".join(filter(None, [marks.get(frame), "to correct"]))
        return replace(view, marks=marks, start=inside[0] if inside else None)

    return Views(
        names=tuple(views.names[place] for place, _ in found),
        keywords=tuple(views.keywords[place] for place, _ in found),
        read=read,
        problems=(*views.problems, *problems),
        origin=lambda number: views.origin(found[number][0]),
    )
