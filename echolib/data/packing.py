"""Decode the clips of a data set once, in parallel, into a FrameSet on disk."""

import errno
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from ..arrays import read_npz
from ..config import data_folder
from ..cores import worker_count
from ..errors import DataError
from ..files import FULL, atomic_path, link_target, no_room, remove_leftovers, write_npz
from ..locks import make_once, one_at_a_time
from ..parts import Parts, has_parts, unfinished_folder
from ..workers import CLIPS_PER_TASK, KEPT, spread
from .frame_checks import (
    COLUMNS,
    NUMBER_COLUMNS,
    check_table,
    possible_landmarks,
    refuse_other_files,
)
from .frames import Dataset, FrameSet, LabelledFrame, to_square
from .problems import Problem, full_table, problem_summary
from .reading import places

# attribute of a LabelledFrame -> stem of the file that holds this array for all frames
FILE_STEMS = {"image": "images", "mask": "masks", "landmarks": "landmarks", "regions": "regions"}
FORMAT = 5  # increase it when a change of the code changes the packed frames


def pack(
    dataset: Dataset,
    folder: str | Path,
    size: int = 112,
    workers: int | None = None,
    progress: bool = True,
    scheduler: str = "",
) -> FrameSet:
    """Decode every clip of a data set once and write its labelled frames to `folder`.

    size: side of the square frames, px. workers: number of threads that decode, one per core by
    default. scheduler: of a Dask cluster whose workers decode instead, see `workers.spread`; the
    bytes depend on neither. When the process is killed, workers fail, or a file cannot be read,
    finished parts stay and the next call continues from them; `folder` itself appears only when it
    is complete. When the disk is full, and when no labelled frame can be read, the parts are
    removed. Raises OSError in the first case, DataError in the second, and for a folder with other
    files than packed frames, which are replaced.
    """
    refuse_other_files(folder)
    folder = link_target(folder)
    with (
        _explained(dataset, folder, "choose a folder on another disk (--out)"),
        one_at_a_time(folder),
    ):
        return _pack(dataset, folder, size, workers, progress, scheduler)


def pack_once(dataset: Dataset, size: int = 112, progress: bool = True) -> FrameSet:
    """Load the packed frames of a data set from `data/packed/`, or pack them there first.

    Of several processes that want the same frames, one packs them, and the others wait for it.
    """
    folder = data_folder() / "packed" / f"{dataset.name}-{size}-{dataset.fingerprint()}-{FORMAT}"
    with _explained(dataset, folder, "set ECHOLIB_DATA to a folder on another disk"):
        make_once(folder, folder.is_dir, lambda: _pack(dataset, folder, size, progress=progress))
    remove_leftovers(folder.parent)
    if unfinished_folder(folder).exists():  # a process was killed after it had finished `folder`
        _remove_unfinished(folder)
    return FrameSet.load(folder)


@contextmanager
def _explained(dataset: Dataset, folder: Path, elsewhere: str) -> Iterator[None]:
    """Explain why packing stopped. elsewhere: how to pack on another disk."""
    try:
        yield
    except OSError as error:
        kept = has_parts(unfinished_folder(folder))
        left = KEPT if kept else "The unfinished files have been removed."
        remedy = "Check that the data can be read, and that this folder can be written"
        if error.errno in FULL:
            remedy = f"Free some space, or {elsewhere}"
        raise OSError(
            error.errno or errno.EIO,
            f"Packing {dataset.name} stopped: {_reason(error)}. {left} {remedy}",
            str(folder),
        ) from error


def _pack(
    dataset: Dataset,
    folder: Path,
    size: int,
    workers: int | None = None,
    progress: bool = True,
    scheduler: str = "",
) -> FrameSet:
    """Pack a data set while the folder is locked."""
    workers = worker_count(workers)
    identity = {"data": dataset.fingerprint(), "size": size, "format": FORMAT}
    remove_leftovers(folder.parent)
    try:
        parts = Parts.or_anew(unfinished_folder(folder), identity)
        _check_space(parts.folder, len(dataset.table), size)
        records = _write_parts(dataset, parts, size, workers, progress, scheduler)
        frames = _assemble(dataset, parts, records, folder)
    except (DataError, OSError) as error:
        full = isinstance(error, OSError) and no_room(error) is not None
        if full or isinstance(error, DataError) or not has_parts(unfinished_folder(folder)):
            _remove_unfinished(folder)
        raise
    _remove_unfinished(folder)
    return frames


def _remove_unfinished(folder: Path) -> None:
    """Delete the parts of `folder`, also those of older versions."""
    if not folder.parent.is_dir():
        return
    for path in folder.parent.iterdir():
        older = path.name.startswith(f".{folder.name}.") and path.suffix == ".partial"
        if older or path == unfinished_folder(folder):
            shutil.rmtree(path, ignore_errors=True)


def _reason(error: OSError) -> str:
    """The reason for an error, in words that a sentence can end with."""
    reason = error.strerror or str(error)
    if error.errno == errno.ENOSPC and reason == os.strerror(errno.ENOSPC):
        return "the disk is full"
    return reason if error.filename is None else f"{reason} ({error.filename})"


def _check_space(folder: Path, clips: int, size: int) -> None:
    """Raise OSError where the disk is too full for the packed frames of so many clips."""
    needed = 3 * 2 * 2 * clips * size * size  # image, mask, regions; two frames; parts and result
    needed -= sum(path.stat().st_size for path in folder.iterdir())  # of an interrupted run
    free = shutil.disk_usage(folder).free
    if free < needed:
        reason = f"about {needed / 1e6:.0f} MB are needed, {free / 1e6:.0f} MB are free"
        raise OSError(errno.ENOSPC, reason)


def _write_parts(
    dataset: Dataset, parts: Parts, size: int, workers: int, progress: bool, scheduler: str
) -> dict[str, dict]:
    """Write one part per `CLIPS_PER_TASK` clips, except parts that are there already.

    Returns the rows and the problems of each part by its name.
    """
    clips = list(dataset.table.index)
    starts = range(0, len(clips), CLIPS_PER_TASK)
    held = {f"part-{start:07d}": clips[start : start + CLIPS_PER_TASK] for start in starts}
    task = partial(
        _part, dataset=dataset, parts=parts, size=size, threads=1 if scheduler else workers
    )
    needs = [parts.identity_file, *places(dataset, clips)]
    bar = tqdm(total=len(clips), desc=f"packing {dataset.name}", unit="clip", disable=not progress)
    records = {}
    with bar:
        made = spread(task, held.items(), scheduler=scheduler, needs=needs)
        for name, record in zip(held, made, strict=True):
            records[name] = record
            bar.update(len(held[name]))
    return records


def _part(
    held: tuple[str, list[str]], dataset: Dataset, parts: Parts, size: int, threads: int
) -> dict:
    """Rows and problems of a part, which is made first if it is not there.

    held: name of the part, and the clips that it holds.
    """
    name, clips = held
    record = parts.load(name, clips)
    if record is None:
        with ThreadPoolExecutor(threads) as pool:  # decoders release the GIL
            frames, problems = _usable(list(pool.map(dataset.labelled, clips)))
        file = _arrays_file(parts, name)
        record = _write_arrays(file, frames, size)
        record |= {"problems": [vars(problem) for problem in problems]}
        record = parts.save(name, clips, record, [file])
    return record


def _arrays_file(parts: Parts, name: str) -> Path:
    return parts.folder / f"{name}.npz"


def _usable(
    clips: list[tuple[list[LabelledFrame], list[Problem]]],
) -> tuple[list[LabelledFrame], list[Problem]]:
    """Frames and problems of some clips, without frames and numbers that a set must not hold.

    clips: as `Dataset.labelled` returns them.
    """
    frames, problems = [], []
    for clip_frames, clip_problems in clips:
        problems += clip_problems
        for frame in clip_frames:
            where = f"{frame.clip}, frame {frame.frame}"
            if frame.landmarks is not None and not possible_landmarks(frame.landmarks[None])[0]:
                problems.append(Problem(where, None, "a landmark is no place in an image"))
                continue
            numbers = {name: getattr(frame, name) for name in NUMBER_COLUMNS}
            wrong = {
                name: value
                for name, value in numbers.items()
                if value is not None and not 0 < value <= NUMBER_COLUMNS[name]
            }
            for name, value in wrong.items():
                reason = f"{name} is {value:g}, taken as unknown"
                problems.append(Problem(where, None, reason, "noted"))
            if wrong:
                frame = replace(frame, **dict.fromkeys(wrong, None))  # type: ignore[arg-type]
            frames.append(frame)
    return frames, problems


def _write_arrays(path: Path, frames: list[LabelledFrame], size: int) -> dict:
    """Write the arrays of some frames; returns their rows of the table."""
    squares = [to_square(frame, size) for frame in frames]
    arrays = {}
    for name in FILE_STEMS:
        values = [getattr(square, name) for square in squares]
        if values and all(value is not None for value in values):
            arrays[name] = np.stack(values)
    write_npz(path, arrays.items(), compressed=False)
    return {"rows": [_row(f, square) for f, square in zip(frames, squares, strict=True)]}


def _row(source: LabelledFrame, square: LabelledFrame) -> dict:
    """The row of a frame in the table of a FrameSet."""
    height, width = source.image.shape
    values = {**vars(square), "height": height, "width": width}
    return {column: values[column] for column in COLUMNS}


def _assemble(dataset: Dataset, parts: Parts, records: dict[str, dict], folder: Path) -> FrameSet:
    """Join the parts into one folder, one part at a time to save memory."""
    rows = [row for record in records.values() for row in record["rows"]]
    problems = [Problem(**p) for record in records.values() for p in record["problems"]]
    problems = [*dataset.problems, *problems]
    if not rows:
        raise DataError(
            f"{dataset.folder}: no labelled frame could be read.\n{problem_summary(problems)}"
        )
    files = [_arrays_file(parts, name) for name, record in records.items() if record["rows"]]
    table = pd.DataFrame(rows, columns=COLUMNS).astype({"fps": float, "spacing": float})
    check_table(table)  # before anything is written that cannot be loaded
    refuse_other_files(folder)  # again, because packing takes long
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        _join(files, temporary, len(rows))
        full_table(problems).to_csv(temporary / "problems.csv", index=False)
        table.to_csv(temporary / "frames.csv", index=False)
    return FrameSet.load(folder)


def _join(files: list[Path], folder: Path, count: int) -> None:
    """Write the arrays of all files to a folder, except those that a file lacks.

    count: number of frames in all files.
    """
    joined: dict[str, np.memmap] = {}
    lacking: set[str] = set()
    start = 0
    for file in files:
        arrays = read_npz(file)
        end = start + len(arrays["image"])
        lacking |= FILE_STEMS.keys() - arrays.keys()
        for name in FILE_STEMS.keys() - lacking:
            values = arrays[name]
            if name not in joined:
                path, shape = folder / f"{FILE_STEMS[name]}.npy", (count, *values.shape[1:])
                joined[name] = np.lib.format.open_memmap(path, "w+", values.dtype, shape)
            joined[name][start:end] = values
        start = end
    for array in joined.values():
        array.flush()  # raises OSError where the disk is full
    for name in joined.keys() & lacking:
        (folder / f"{FILE_STEMS[name]}.npy").unlink()
