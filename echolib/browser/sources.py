"""Whatever people hand over to be looked at, as a list of clips that are read when asked for."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..data import open_data
from ..data.clips import Clip, read_clip
from ..data.frames import SPLITS, Dataset, FrameSet
from ..data.valve.study import FILES, MitralStudy, ValveClip, open_mitral
from ..data.video import missing_file
from ..errors import DataError
from .outliners import Outliner, is_kind, open_outliners, outlined
from .readings import (
    view_of_clip,
    view_of_function,
    view_of_labelled,
    view_of_set,
    view_of_study,
)
from .shown import Shown
from .view import View

ACCEPTED = (
    "a Clip, frames (T, H, W) uint8, the path of a clip or of a data set's folder, an open data "
    "set (EchoNet, Camus, FrameSet, MitralStudy), a measured clip (ClipFunction), a View, or a "
    "list of these"
)
UNNAMED = "clip"


@dataclass(frozen=True, eq=False)
class Views:
    """A list of clips.

    names: of the clips, no two the same. notes: words that a search for a clip also finds, such
    as "test, EF 54 %". read: makes the view of a clip by its number, now; raises DataError
    where that cannot be done.
    """

    names: tuple[str, ...]
    notes: tuple[str, ...]
    read: Callable[[int], View]

    def __len__(self) -> int:
        """Number of clips."""
        return len(self.names)


def open_views(
    source: object,
    models: Mapping[str, Any] | None = None,
    split: str = "all",
    **shown: Any,
) -> Views:
    """The clips of a source. No clip of a data set is read yet.

    source: one of `ACCEPTED`. models: by name, run when a clip is read, see `outliners`.
    split: of a data set, "train", "val", "test" or "all". shown: for a source that is one clip,
    the fields of `Shown`.
    Raises DataError for a source or a model of another kind, or one that cannot be opened.
    """
    own = Shown(**shown)
    views = _views(source, split)
    if own.given and len(views) != 1:
        raise DataError(
            f"{', '.join(own.given)}: expected a source that is one clip, found {len(views)} "
            "clips. Give the clip alone."
        )
    names = _unique(views.names if own.title is None else (str(own.title),))
    outliners = open_outliners(models)
    return Views(names, views.notes, partial(_read, views, names, own, outliners))


def _read(
    views: Views, names: tuple[str, ...], shown: Shown, outliners: dict[str, Outliner], number: int
) -> View:
    number = range(len(names))[number]  # raises IndexError, as a list does
    name = names[number]
    try:
        view = replace(views.read(number), name=name)
        return outlined(shown.over(view) if shown.given else view, outliners)
    except DataError:
        raise
    except (OSError, ValueError) as error:
        raise DataError(f"Clip {name!r} cannot be read: {error}") from error


def _unique(names: Sequence[str]) -> tuple[str, ...]:
    """The names, a repeated one with its number: "a", "a (2)"."""
    given, counts, unique = set(names), Counter(), []
    for name in names:
        counts[name] += 1
        while counts[name] > 1 and f"{name} ({counts[name]})" in given:
            counts[name] += 1
        unique.append(name if counts[name] == 1 else f"{name} ({counts[name]})")
    return tuple(unique)


# --- Sources ------------------------------------------------------------------------------------


def _views(source: object, split: str) -> Views:
    """The clips of a source of any kind, under their own names."""
    if split not in (*SPLITS, "all"):
        raise DataError(f"split: expected one of {SPLITS} or 'all', found {split!r}.")
    if isinstance(source, (str, Path)):
        return _of_path(Path(source), split)
    if isinstance(source, FrameSet):
        return _of_set(source, split)
    if isinstance(source, MitralStudy):
        return _of_study(source, split)
    if _is_data_set(source):
        return _of_data_set(source, split)
    if isinstance(source, (list, tuple)) and not _are_frames(source):
        return _of_list(source, split)
    views = source if isinstance(source, Views) else _of_one(source)
    if split != "all":
        raise DataError(f"split: expected 'all' for clips of no data set, found {split!r}.")
    return views


def _of_one(source: object) -> Views:
    """A single clip that is in memory."""
    if isinstance(source, View):
        return _single(source.name, "", lambda: source)
    if isinstance(source, Clip):
        note = source.dataset if isinstance(source, ValveClip) else ""
        return _single(source.name, note, partial(view_of_clip, source))
    if is_kind(source, "echolib.ventricle.clip", "ClipFunction"):
        return _single(source.clip.name, _ef_note(source.ef), partial(view_of_function, source))
    if isinstance(source, np.ndarray) or _are_frames(source):
        view = View(UNNAMED, _stacked(source))
        return _single(UNNAMED, "", lambda: view)
    raise DataError(f"expected {ACCEPTED}; found {type(source).__name__}.")


def _single(name: str, note: str, make: Callable[[], View]) -> Views:
    return Views((name,), (note,), lambda number: make())


def _of_path(path: Path, split: str) -> Views:
    if path.is_dir():
        is_mitral = all((path / file).is_file() for file in FILES.values())
        return _views(open_mitral(path) if is_mitral else open_data(path), split)
    if not path.is_file():
        raise missing_file(path)
    if split != "all":
        raise DataError(f"split: expected 'all' for the single clip {path}, found {split!r}.")
    return _single(path.stem, "", lambda: view_of_clip(read_clip(path)))


def _is_data_set(source: object) -> bool:
    methods = (getattr(source, name, None) for name in ("clip", "labelled"))
    return isinstance(getattr(source, "table", None), pd.DataFrame) and all(map(callable, methods))


def _of_data_set(data: Dataset, split: str) -> Views:
    table = data.table if split == "all" else data.table[data.table.split == split]
    clips = list(table.index)
    _check_any(clips, data.name, split)
    notes = table.split.astype(str).tolist()
    if "EF" in table:
        pairs = zip(notes, table.EF.to_numpy(float), strict=True)
        notes = [", ".join(filter(None, (word, _ef_note(ef)))) for word, ef in pairs]
    names = tuple(map(str, clips))
    return Views(names, tuple(notes), lambda number: view_of_labelled(data, clips[number]))


def _ef_note(ef: float) -> str:
    return f"EF {ef:.0f} %" if np.isfinite(ef) else ""


def _of_set(frames: FrameSet, split: str) -> Views:
    splits, sources, clips = (frames.table[name].to_numpy() for name in ("split", "source", "clip"))
    chosen = np.flatnonzero((splits == split) | (split == "all"))
    _check_any(chosen, "the set of frames", split)
    groups: dict[tuple[Hashable, Hashable], list[int]] = {}
    for row in chosen.tolist():
        groups.setdefault((sources[row], clips[row]), []).append(row)
    names = tuple(str(clip) for _, clip in groups)
    rows = list(groups.values())
    notes = tuple(str(splits[some[0]]) for some in rows)
    return Views(names, notes, lambda number: view_of_set(frames, rows[number], names[number]))


def _of_study(study: MitralStudy, split: str) -> Views:
    found = [(clip, "train") for clip in study.train] + [(clip, "test") for clip in study.test]
    found = [pair for pair in found if split in ("all", pair[1])]
    _check_any(found, str(study.folder), split)
    names = tuple(clip.name for clip, _ in found)
    notes = tuple(", ".join(filter(None, (part, clip.dataset))) for clip, part in found)
    return Views(names, notes, lambda number: view_of_study(study, found[number][0]))


def _check_any(found: Any, name: str, split: str) -> None:
    if not len(found):
        raise DataError(f"{name}: expected clips of split {split!r}, found none. Choose another.")


def _of_list(sources: Sequence[object], split: str) -> Views:
    if not sources:
        raise DataError(f"expected {ACCEPTED}; found an empty list.")
    parts = []
    for number, source in enumerate(sources):
        try:
            parts.append(_views(source, split))
        except DataError as error:
            raise DataError(f"item {number} of the list: {error}") from error
    starts = [0, *accumulate(len(part) for part in parts)]

    def read(number: int) -> View:
        part = bisect_right(starts, number) - 1
        return parts[part].read(number - starts[part])

    names = tuple(name for part in parts for name in part.names)
    return Views(names, tuple(note for part in parts for note in part.notes), read)


def _are_frames(source: object) -> bool:
    """Whether a list holds the frames of one clip, each an (H, W) array."""
    frames = source if isinstance(source, (list, tuple)) else ()
    return bool(frames) and all(isinstance(f, np.ndarray) and f.ndim == 2 for f in frames)


def _stacked(frames: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
    """Frames as one array. Raises DataError where they differ in size."""
    if isinstance(frames, np.ndarray):
        return frames
    sizes = [frame.shape for frame in frames]
    other = next((number for number, size in enumerate(sizes) if size != sizes[0]), None)
    if other is not None:
        raise DataError(
            f"frames: expected all of one size, found {sizes[0]} px in frame 0 and "
            f"{sizes[other]} px in frame {other}. Bring them to one size."
        )
    return np.stack(frames)
