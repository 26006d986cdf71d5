"""Decode the clips of a data set once, in parallel, into a FrameSet on disk."""

import errno
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from ..config import data_folder
from ..errors import DataError
from ..files import atomic_path
from .frames import COLUMNS, Dataset, FrameSet, LabelledFrame, to_square
from .problems import Problem, full_table, problem_summary

CLIPS_PER_PART = 100  # a killed process loses the work on at most this many clips
# attribute of a LabelledFrame -> stem of the file that holds this array for all frames
FILE_STEMS = {"image": "images", "mask": "masks", "landmarks": "landmarks", "regions": "regions"}
FORMAT = 3  # increase it when a change of the code changes the packed frames


def pack(
    dataset: Dataset,
    folder: str | Path,
    size: int = 112,
    workers: int = 2,
    progress: bool = True,
) -> FrameSet:
    """Decode every clip of a data set once and write its labelled frames to `folder`.

    size: side of the square frames, px. workers: number of threads that decode.
    When the process is killed, finished parts stay and the next call continues from them;
    `folder` itself appears only when it is complete. When writing fails, for example on a full
    disk, and when no labelled frame can be read, the parts are removed. Raises OSError in the
    first case, DataError in the second.
    """
    folder = Path(folder)
    name = f"{dataset.fingerprint()}-{size}-{FORMAT}"
    partial = folder.with_name(f".{folder.name}.{name}.partial")
    try:
        partial.mkdir(parents=True, exist_ok=True)
        _check_space(partial, len(dataset.table), size)
        parts = _write_parts(dataset, partial, size, workers, progress)
        frames = _assemble(dataset, parts, folder)
    except DataError:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        reason, remedy = _failure(error)
        raise OSError(
            error.errno or errno.EIO,
            f"Packing {dataset.name} stopped: {reason}. The unfinished files have been removed. "
            f"{remedy}",
            str(folder),
        ) from error
    shutil.rmtree(partial, ignore_errors=True)
    return frames


def pack_once(dataset: Dataset, size: int = 112) -> FrameSet:
    """Load the packed frames of a data set from `data/packed/`, or pack them there first."""
    folder = data_folder() / "packed" / f"{dataset.name}-{size}-{dataset.fingerprint()}-{FORMAT}"
    if folder.is_dir():
        return FrameSet.load(folder)
    return pack(dataset, folder, size)


def _failure(error: OSError) -> tuple[str, str]:
    """The reason for an error and its remedy, in words that the folder's name can follow."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        remedy = "Free some space, or set ECHOLIB_DATA to a folder on another disk"
        return "the disk is full", remedy
    reason = error.strerror or str(error)
    if error.filename is not None:
        reason = f"{reason} ({error.filename})"
    return reason, "Check that the data set can be read, and that this folder can be written"


def _check_space(folder: Path, clips: int, size: int) -> None:
    """Raise OSError where the disk is too full for the packed frames of so many clips."""
    needed = 3 * 2 * 2 * clips * size * size  # image, mask, regions; two frames; parts and result
    free = shutil.disk_usage(folder).free
    if free < needed:
        reason = f"about {needed / 1e6:.0f} MB are needed, {free / 1e6:.0f} MB are free"
        raise OSError(errno.ENOSPC, reason)


def _write_parts(
    dataset: Dataset, partial: Path, size: int, workers: int, progress: bool
) -> list[Path]:
    """Write one file per `CLIPS_PER_PART` clips, except files that exist already."""
    clips = list(dataset.table.index)
    starts = range(0, len(clips), CLIPS_PER_PART)
    parts = [partial / f"part-{start:07d}.npz" for start in starts]
    bar = tqdm(total=len(clips), desc=f"packing {dataset.name}", unit="clip", disable=not progress)
    with ThreadPoolExecutor(workers) as pool, bar:  # decoders release the GIL
        for start, part in zip(starts, parts, strict=True):
            names = clips[start : start + CLIPS_PER_PART]
            if not part.is_file():
                _write_part(part, list(pool.map(dataset.labelled, names)), size)
            bar.update(len(names))
    return parts


def _write_part(
    part: Path, clips: list[tuple[list[LabelledFrame], list[Problem]]], size: int
) -> None:
    """Write the frames and problems of some clips, as `Dataset.labelled` returns them."""
    frames = [frame for clip_frames, _ in clips for frame in clip_frames]
    problems = [vars(problem) for _, clip_problems in clips for problem in clip_problems]
    squares = [to_square(frame, size) for frame in frames]
    arrays = {}
    for name in FILE_STEMS:
        values = [getattr(square, name) for square in squares]
        if values and all(value is not None for value in values):
            arrays[name] = np.stack(values)
    rows = [_row(frame, square) for frame, square in zip(frames, squares, strict=True)]
    records = np.array(json.dumps({"rows": rows, "problems": problems}))
    with atomic_path(part) as temporary:
        np.savez(temporary, allow_pickle=False, records=records, **arrays)


def _row(source: LabelledFrame, square: LabelledFrame) -> dict:
    """The row of a frame in the table of a FrameSet."""
    height, width = source.image.shape
    values = {**vars(square), "height": height, "width": width}
    return {column: values[column] for column in COLUMNS}


def _assemble(dataset: Dataset, parts: list[Path], folder: Path) -> FrameSet:
    """Join the parts into one folder, one part at a time to save memory."""
    records = [json.loads(str(np.load(part)["records"])) for part in parts]
    rows = [row for record in records for row in record["rows"]]
    problems = [Problem(**p) for record in records for p in record["problems"]]
    problems = [*dataset.problems, *problems]
    if not rows:
        raise DataError(
            f"{dataset.folder}: no labelled frame could be read.\n{problem_summary(problems)}"
        )
    table = pd.DataFrame(rows, columns=COLUMNS).astype({"fps": float, "spacing": float})
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        for name, stem in FILE_STEMS.items():
            _join(parts, name, temporary / f"{stem}.npy", len(rows))
        full_table(problems).to_csv(temporary / "problems.csv", index=False)
        table.to_csv(temporary / "frames.csv", index=False)
    return FrameSet.load(folder)


def _join(parts: list[Path], name: str, path: Path, count: int) -> None:
    """Write one array of all parts to `path`; write none where a part with frames lacks it."""
    joined, start = None, 0
    for part in parts:
        with np.load(part) as arrays:
            if "image" not in arrays:
                continue
            if name not in arrays:
                path.unlink(missing_ok=True)
                return
            values = arrays[name]
        if joined is None:
            shape = (count, *values.shape[1:])
            joined = np.lib.format.open_memmap(path, "w+", values.dtype, shape)
        joined[start : start + len(values)] = values
        start += len(values)
    if joined is not None:
        joined.flush()
