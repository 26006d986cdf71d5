"""The submission file of the course task: masks of videos as runs of ones, written and read.

The file is a CSV with the columns `id,value`. The mask of a video is laid out as (H, W, T) and
flattened in C order, so that runs go along time and continue in the next pixel. A row is one run
of ones. Its value is "[start, length]" with starts counted from 0; its id is `<name>_<k>` with a
counter k from 0.
"""

import csv
import re
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..files import atomic_path

HEADER = ["id", "value"]
VALUE = re.compile(r"\s*\[\s*(\d{1,18})\s*,\s*(-?\d{1,18})\s*\]\s*")
ID = re.compile(r"(.+)_(\d{1,18})", re.DOTALL)  # the name may contain underscores


def write_submission(path: str | Path, masks: dict[str, np.ndarray]) -> Path:
    """Write the masks of videos, {name: (T, H, W) bool}, whole or not at all; returns the path.

    An empty mask has no row. Raises ValueError for another dtype or shape, and for a name that is
    empty or contains characters that cannot be printed.
    """
    for name, mask in masks.items():
        if not isinstance(mask, np.ndarray) or mask.dtype != bool or mask.ndim != 3:
            found = f"{getattr(mask, 'dtype', type(mask).__name__)} of shape {np.shape(mask)}"
            raise ValueError(f"Mask of {name!r}: expected (T, H, W) bool, found {found}.")
        if not name or not name.isprintable():
            raise ValueError(f"Name {name!r}: expected one or more printable characters.")
    with (
        atomic_path(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        for name, mask in masks.items():
            runs = enumerate(_runs(mask).tolist())
            writer.writerows((f"{name}_{k}", f"[{start}, {n}]") for k, (start, n) in runs)
    return Path(path)


def _runs(mask: np.ndarray) -> np.ndarray:
    """(n, 2) int64 start and length of each run of ones in a (T, H, W) mask."""
    count = len(mask)
    # for speed, only pixels that are ever covered are laid out: a few per cent of a video
    covered = np.flatnonzero(mask.any(axis=0))
    ones = np.zeros((len(covered), count + 1), bool)  # each pixel ends with a zero
    ones[:, :count] = mask.reshape(count, -1)[:, covered].T
    edges = np.flatnonzero(np.diff(ones.ravel(), prepend=False))
    if len(edges) == 0:
        return np.zeros((0, 2), np.int64)
    lengths = edges[1::2] - edges[::2]
    pixel, time = np.divmod(edges[::2], count + 1)
    starts = covered[pixel] * count + time
    # a run that reaches the end of the video continues if the next pixel begins with a one
    first = np.flatnonzero(np.diff(starts, prepend=-1) != np.insert(lengths[:-1], 0, 0))
    return np.stack([starts[first], np.add.reduceat(lengths, first)], axis=1)


def read_submission(
    path: str | Path, shapes: dict[str, tuple[int, int, int]]
) -> dict[str, np.ndarray]:
    """Read the masks of videos, {name: (T, H, W) bool} for all names in `shapes`.

    shapes: {name: (T, H, W)}. A name without rows has an empty mask. Raises DataError with the
    number of the row (the header is row 1) for a malformed id or value, for a name that is not in
    `shapes`, and for runs that are empty, overlap, or end after their video.
    """
    path = Path(path)
    runs: dict[str, list[tuple[int, int, int]]] = {name: [] for name in shapes}
    counters: dict[str, set[int]] = {name: set() for name in shapes}
    for row, cells in _rows(path):
        if len(cells) != 2:
            raise DataError(f"{path}, row {row}: expected two cells, found {len(cells)}.")
        name, counter = _id(path, row, cells[0], shapes)
        if counter in counters[name]:
            raise DataError(
                f"{path}, row {row}: the id {cells[0]!r} appears in a row before. Give each run "
                "its own id."
            )
        counters[name].add(counter)
        runs[name].append((*_run(path, row, cells[1], shapes[name]), row))
    return {name: _mask(path, np.array(runs[name]), shape) for name, shape in shapes.items()}


def _rows(path: Path):
    """Yield (row number, cells) of the rows below the header, except blank lines."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            if [cell.strip() for cell in header] != HEADER:
                raise DataError(f"{path}, row 1: expected the columns id,value, found {header}.")
            yield from ((row, cells) for row, cells in enumerate(reader, start=2) if cells)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{path}: expected a CSV in UTF-8, found a file that cannot be read ({error})."
        ) from error


def _id(path: Path, row: int, text: str, shapes: dict) -> tuple[str, int]:
    """Parse an id: name of the video and counter of the run."""
    match = ID.fullmatch(text)
    if not match:
        raise DataError(f"{path}, row {row}: expected an id <name>_<k>, found {text!r}.")
    if match[1] not in shapes:
        raise DataError(
            f"{path}, row {row}: no video is named {match[1]!r}. Expected one of {len(shapes)} "
            f"videos: {', '.join(sorted(shapes)[:5])}{', ...' if len(shapes) > 5 else ''}."
        )
    return match[1], int(match[2])


def _run(path: Path, row: int, text: str, shape: tuple[int, int, int]) -> tuple[int, int]:
    """Parse a value: start and length of a run, which must lie within its video."""
    match = VALUE.fullmatch(text)
    if not match:
        raise DataError(f'{path}, row {row}: expected a value "[start, length]", found {text!r}.')
    start, length = int(match[1]), int(match[2])
    if length <= 0:
        raise DataError(f"{path}, row {row}: expected a length above 0, found {length}.")
    if start + length > (size := int(np.prod(shape, dtype=np.int64))):
        raise DataError(
            f"{path}, row {row}: the run [{start}, {length}] ends after the {size} values of its "
            f"video of {shape[0]} frames of {shape[1]} x {shape[2]} px."
        )
    return start, length


def _mask(path: Path, runs: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Mask (T, H, W) bool from runs (n, 3) of start, length and row of the file."""
    count, height, width = shape
    mask = np.zeros(shape, bool)
    if len(runs) == 0:
        return mask
    runs = runs[np.argsort(runs[:, 0], kind="stable")]
    starts, lengths, rows = runs.T
    overlapping = np.flatnonzero(starts[1:] < (starts + lengths)[:-1])
    if len(overlapping):
        first, second = sorted(rows[overlapping[0] : overlapping[0] + 2])
        raise DataError(f"{path}, row {second}: its run overlaps with the run of row {first}.")
    # +1 where a run starts and -1 where it ends: the cumulative sum is the mask
    steps = np.zeros(height * width * count + 1, np.int8)
    steps[starts] = 1
    steps[starts + lengths] -= 1
    np.cumsum(steps, out=steps)
    flat = steps[:-1].view(bool).reshape(height * width, count)
    covered = np.flatnonzero(flat.any(axis=1))  # transposing only these pixels is faster
    mask.reshape(count, height * width)[:, covered] = flat[covered].T
    return mask
