"""Decode a data set once, in parallel, into a FrameSet on disk."""

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
from .frames import (
    COLUMNS,
    Dataset,
    FrameSet,
    LabelledFrame,
    Problem,
    problem_summary,
    problem_table,
    to_square,
)

CLIPS_PER_PART = 100  # a kill costs at most this many clips
# name of each array of a frame, and of the file that holds it for all frames
SAVED_AS = {"image": "images", "mask": "masks", "landmarks": "landmarks", "regions": "regions"}
FORMAT = 2  # raise it when the packed frames would come out differently


def pack(
    dataset: Dataset,
    folder: str | Path,
    size: int = 112,
    workers: int = 2,
    progress: bool = True,
) -> FrameSet:
    """Decode every clip of a data set once and write its labelled frames to `folder`.

    Finished parts survive a kill and are taken up by the next call; `folder` itself appears
    only when it is whole. Where the disk is full, the parts are removed again. Raises DataError
    when no labelled frame is left, OSError when the disk does not take the files.
    """
    folder = Path(folder)
    name = f"{dataset.fingerprint()}-{size}-{FORMAT}"
    partial = folder.with_name(f".{folder.name}.{name}.partial")
    try:
        partial.mkdir(parents=True, exist_ok=True)
        _check_space(partial, len(dataset.table), size)
        parts = _write_parts(dataset, partial, size, workers, progress)
        frames = _assemble(dataset, parts, folder)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        reason = "the disk is full" if full else error.strerror or str(error)
        raise OSError(
            error.errno or errno.EIO,
            f"Packing {dataset.name} stopped, {reason}; what was written has been removed. "
            "Free some space, or set ECHOLIB_DATA to a folder on another disk",
            str(folder),
        ) from error
    shutil.rmtree(partial, ignore_errors=True)
    return frames


def pack_once(
    dataset: Dataset, size: int = 112, workers: int = 2, progress: bool = True
) -> FrameSet:
    """The packed frames of a data set, from `data/packed/` where they lie there already."""
    folder = data_folder() / "packed" / f"{dataset.name}-{size}-{dataset.fingerprint()}-{FORMAT}"
    if folder.is_dir():
        return FrameSet.load(folder)
    return pack(dataset, folder, size, workers, progress)


def _check_space(folder: Path, clips: int, size: int) -> None:
    needed = 3 * 2 * 2 * clips * size * size  # image, mask, regions; two frames; parts and result
    free = shutil.disk_usage(folder).free
    if free < needed:
        short = f"about {needed / 1e6:.0f} MB are needed, {free / 1e6:.0f} MB are free"
        raise OSError(errno.ENOSPC, short)


def _write_parts(
    dataset: Dataset, partial: Path, size: int, workers: int, progress: bool
) -> list[Path]:
    """One file a hundred clips; files that are there already are kept."""
    clips = list(dataset.table.index)
    starts = range(0, len(clips), CLIPS_PER_PART)
    parts = [partial / f"part-{start:07d}.npz" for start in starts]
    bar = tqdm(total=len(clips), desc=f"pack {dataset.name}", unit="clip", disable=not progress)
    with ThreadPoolExecutor(workers) as pool, bar:  # decoders let go of the interpreter's lock
        for start, part in zip(starts, parts, strict=True):
            names = clips[start : start + CLIPS_PER_PART]
            if not part.is_file():
                _write_part(part, list(pool.map(dataset.labelled, names)), size)
            bar.update(len(names))
    return parts


def _write_part(
    part: Path, found: list[tuple[list[LabelledFrame], list[Problem]]], size: int
) -> None:
    frames = [frame for some, _ in found for frame in some]
    problems = [vars(problem) for _, some in found for problem in some]
    squares = [to_square(frame, size) for frame in frames]
    arrays = {}
    for name in SAVED_AS:
        values = [getattr(square, name) for square in squares]
        if values and all(value is not None for value in values):
            arrays[name] = np.stack(values)
    rows = [_row(frame, square) for frame, square in zip(frames, squares, strict=True)]
    records = np.array(json.dumps({"rows": rows, "problems": problems}))
    with atomic_path(part) as temporary:
        np.savez(temporary, records=records, **arrays)


def _row(source: LabelledFrame, square: LabelledFrame) -> dict:
    height, width = source.image.shape
    values = {**vars(square), "height": height, "width": width}
    return {column: values[column] for column in COLUMNS}


def _assemble(dataset: Dataset, parts: list[Path], folder: Path) -> FrameSet:
    """Join the parts into one folder, a part at a time, so that memory stays small."""
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
        for name, saved_as in SAVED_AS.items():
            _join(parts, name, temporary / f"{saved_as}.npy", len(rows))
        problem_table(problems).to_csv(temporary / "problems.csv", index=False)
        table.to_csv(temporary / "frames.csv", index=False)
    return FrameSet.load(folder)


def _join(parts: list[Path], name: str, path: Path, count: int) -> None:
    """Write one array of all parts to `path`; none where a part with frames lacks it."""
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
