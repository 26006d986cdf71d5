"""Open any source of clips as a list of views. A clip is read only when its view is requested."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
import pandas as pd

from ..corrections.folder import origin
from ..data import open_data
from ..data.clips import Clip, read_clip
from ..data.frames import SPLITS, Dataset, FrameSet, in_split
from ..data.names import clip_name
from ..data.problems import Problem
from ..data.sector import blank_outside
from ..data.valve.study import FILES, MitralStudy, ValveClip, open_mitral
from ..data.video import missing_file
from ..errors import DataError
from ..ventricle.words import ef_text
from .outliners import Outline, is_kind, open_outliners, outlined
from .readings import (
    view_of_clip,
    view_of_function,
    view_of_labelled,
    view_of_set,
    view_of_study,
)
from .shown import Shown
from .view import View

if TYPE_CHECKING:
    from ..ventricle.clip import ClipFunction

ACCEPTED = (
    "a Clip, frames (T, H, W) uint8, the path of a clip or of a data set's folder, an open data "
    "set (EchoNet, Camus, FrameSet, MitralStudy), a measured clip (ClipFunction), a View, or a "
    "list of these"
)
UNNAMED = "clip"
OF_ALL = ("fps", "spacing")  # fields of `Shown` that can be given for several clips, too


def _unknown_origin(number: int) -> dict[str, Any]:
    return {}


@dataclass(frozen=True, eq=False)
class Views:
    """A list of clips.

    names: unique names of the clips
    keywords: for each clip, a text such as "test, true EF 54 %", which a search also matches
    problems: what is malformed in the tables of the data sets
    read: function that reads a clip by its number and returns its view; raises DataError if the
        clip cannot be read
    origin: function that returns, by number, where a clip comes from, as `corrections.origin` does
    """

    names: tuple[str, ...]
    keywords: tuple[str, ...]
    read: Callable[[int], View]
    problems: tuple[Problem, ...] = ()
    origin: Callable[[int], dict[str, Any]] = _unknown_origin

    def __len__(self) -> int:
        """Number of clips."""
        return len(self.names)


def open_views(
    source: object,
    models: object = None,
    split: str = "all",
    blank_text: bool = False,
    **shown: Any,
) -> Views:
    """Open a source as a list of clips. No clip of a data set is read yet.

    source: one of `ACCEPTED`
    models: models that outline each clip when it is read, see `outliners.open_outliners`
    split: of a data set, "train", "val", "test" or "all"
    blank_text: whether clips are black outside their sector
    shown: fields of `Shown`; all but fps and spacing are for a source that is one clip
    Raises DataError for a source or a model of another kind, or one that cannot be opened.
    """
    additions = Shown(**shown)
    views = _open_source(source, split)
    of_one = [name for name in additions.fields_set if name not in OF_ALL]
    if of_one and len(views) != 1:
        raise DataError(
            f"{', '.join(of_one)}: expected a source that is one clip, found "
            f"{len(views)} clips. Pass that clip alone."
        )
    title = additions.title
    names = _unique_names(views.names if title is None else (str(title),))
    outliners = open_outliners(models)
    read = partial(_read_view, views, names, additions, blank_text, outliners)
    # a file has what is black in the frames that are shown, such as a name
    origin = _unknown_origin if blank_text else views.origin
    return Views(names, views.keywords, read, views.problems, origin)


def _read_view(
    views: Views,
    names: tuple[str, ...],
    additions: Shown,
    blank_text: bool,
    outliners: dict[str, Outline],
    number: int,
) -> View:
    """Read a clip, apply the caller's additions, and run the models on it."""
    number = range(len(names))[number]  # counts and raises IndexError as a list does
    name = names[number]
    try:
        view = replace(views.read(number), name=name)
        if blank_text:
            view = replace(view, frames=blank_outside(view.frames))
        return outlined(additions.apply_to(view) if additions.fields_set else view, outliners)
    except DataError:
        raise
    except (OSError, ValueError) as error:
        raise DataError(f"Clip {name!r} cannot be read: {error}") from error


def _unique_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names with a number added to each repeated name: "a", "a (2)"."""
    given, unique = set(names), []
    counts: Counter[str] = Counter()
    for name in names:
        counts[name] += 1
        while counts[name] > 1 and f"{name} ({counts[name]})" in given:
            counts[name] += 1
        unique.append(name if counts[name] == 1 else f"{name} ({counts[name]})")
    return tuple(unique)


# --- Sources ------------------------------------------------------------------------------------


def _open_source(source: object, split: str) -> Views:
    """Open a source of any kind. The names of its clips may still repeat."""
    if split not in (*SPLITS, "all"):
        raise DataError(f"split: expected one of {SPLITS} or 'all', found {split!r}.")
    if isinstance(source, (str, Path)):
        return _open_path(Path(source), split)
    if isinstance(source, FrameSet):
        return _open_frame_set(source, split)
    if isinstance(source, MitralStudy):
        return _open_study(source, split)
    if _is_data_set(source):
        return _open_data_set(source, split)
    if isinstance(source, (list, tuple)) and not _are_frames(source):
        return _open_list(source, split)
    views = source if isinstance(source, Views) else _open_clip(source)
    if split != "all":
        raise DataError(
            f"split: expected 'all' for clips that belong to no data set, found {split!r}."
        )
    return views


def _open_clip(source: object) -> Views:
    """Open a single clip that is in memory."""
    if isinstance(source, View):
        return _one_view(source.name, "", lambda: source)
    if isinstance(source, Clip):
        keyword = source.dataset if isinstance(source, ValveClip) else ""
        return _one_view(source.name, keyword, partial(view_of_clip, source))
    if _is_measured(source):
        return _one_view(source.clip.name, ef_text(source), partial(view_of_function, source))
    if isinstance(source, np.ndarray) or _are_frames(source):
        view = View(UNNAMED, _stack_frames(source))
        return _one_view(UNNAMED, "", lambda: view)
    raise DataError(f"expected {ACCEPTED}; found {type(source).__name__}.")


def _one_view(name: str, keyword: str, make: Callable[[], View]) -> Views:
    return Views((name,), (keyword,), lambda number: make())


def _open_path(path: Path, split: str) -> Views:
    if path.is_dir():
        is_mitral = all((path / file).is_file() for file in FILES.values())
        return _open_source(open_mitral(path) if is_mitral else open_data(path), split)
    if not path.is_file():
        raise missing_file(path)
    if split != "all":
        raise DataError(f"split: expected 'all' for the single clip {path}, found {split!r}.")
    views = _one_view(clip_name(path), "", lambda: view_of_clip(read_clip(path)))
    return replace(views, origin=lambda number: {"source": path})


def _is_measured(source: object) -> "TypeGuard[ClipFunction]":
    return is_kind(source, "echolib.ventricle.clip", "ClipFunction")


def _is_data_set(source: object) -> TypeGuard[Dataset]:
    methods = (getattr(source, name, None) for name in ("clip", "labelled"))
    return isinstance(getattr(source, "table", None), pd.DataFrame) and all(map(callable, methods))


def _open_data_set(data: Dataset, split: str) -> Views:
    table = in_split(data.table, split)
    clips = list(table.index)
    _check_not_empty(clips, data.name, split)
    keywords = table.split.astype(str).tolist()
    if "EF" in table:
        pairs = zip(keywords, table.EF.to_numpy(float), strict=True)
        keywords = [_joined(split_name, _true_ef(ef)) for split_name, ef in pairs]
    names = tuple(map(str, clips))
    read = partial(_read_labelled, data, clips)
    problems = tuple(getattr(data, "problems", ()))  # a stand-in for a data set may lack them
    return Views(names, tuple(keywords), read, problems, lambda n: origin(data, clips[n]))


def _read_labelled(data: Dataset, clips: list[str], number: int) -> View:
    return view_of_labelled(data, clips[number])


def _true_ef(ef: float) -> str:
    return f"true EF {ef:.0f} %" if np.isfinite(ef) else ""


def _joined(*keywords: str) -> str:
    return ", ".join(filter(None, keywords))


def _open_frame_set(frames: FrameSet, split: str) -> Views:
    splits, sources, clips = (frames.table[name].to_numpy() for name in ("split", "source", "clip"))
    chosen = np.flatnonzero((splits == split) | (split == "all"))
    _check_not_empty(chosen, "the FrameSet", split)
    groups: dict[tuple[Hashable, Hashable], list[int]] = {}
    for row in chosen.tolist():
        groups.setdefault((sources[row], clips[row]), []).append(row)
    names = tuple(str(clip) for _, clip in groups)
    rows = list(groups.values())
    keywords = tuple(str(splits[clip_rows[0]]) for clip_rows in rows)

    def read(number: int) -> View:
        return view_of_set(frames, rows[number], names[number])

    return Views(names, keywords, read, frames.problems)


def _open_study(study: MitralStudy, split: str) -> Views:
    clips = [(clip, "train") for clip in study.train] + [(clip, "test") for clip in study.test]
    clips = [pair for pair in clips if split in ("all", pair[1])]
    _check_not_empty(clips, str(study.folder), split)
    names = tuple(clip.name for clip, _ in clips)
    keywords = tuple(_joined(split_name, clip.dataset) for clip, split_name in clips)
    return Views(names, keywords, lambda number: view_of_study(study, clips[number][0]))


def _check_not_empty(clips: Any, name: str, split: str) -> None:
    if not len(clips):
        raise DataError(
            f"{name}: expected clips of split {split!r}, found none. Choose another split."
        )


def _open_list(sources: Sequence[object], split: str) -> Views:
    if not sources:
        raise DataError(f"expected {ACCEPTED}; found an empty list.")
    parts = []
    for number, source in enumerate(sources):
        try:
            parts.append(_open_source(source, split))
        except DataError as error:
            raise DataError(f"item {number} of the list: {error}") from error
    starts = [0, *accumulate(len(part) for part in parts)]

    def read(number: int) -> View:
        part = bisect_right(starts, number) - 1
        return parts[part].read(number - starts[part])

    def origin_of(number: int) -> dict[str, Any]:
        part = bisect_right(starts, number) - 1
        return parts[part].origin(number - starts[part])

    names = tuple(name for part in parts for name in part.names)
    keywords = tuple(text for part in parts for text in part.keywords)
    problems = tuple(problem for part in parts for problem in part.problems)
    return Views(names, keywords, read, problems, origin_of)


def _are_frames(source: object) -> TypeGuard[Sequence[np.ndarray]]:
    """Return whether a source is a list of the frames of one clip, each an (H, W) array."""
    frames = source if isinstance(source, (list, tuple)) else ()
    return bool(frames) and all(isinstance(f, np.ndarray) and f.ndim == 2 for f in frames)


def _stack_frames(frames: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
    """Return the frames as one array. Raises DataError if their sizes differ."""
    if isinstance(frames, np.ndarray):
        return frames
    sizes = [frame.shape for frame in frames]
    other = next((number for number, size in enumerate(sizes) if size != sizes[0]), None)
    if other is not None:
        raise DataError(
            f"frames: expected all frames to have the same size, found {sizes[0]} px in frame 0 "
            f"and {sizes[other]} px in frame {other}. Resize them."
        )
    return np.stack(frames)
