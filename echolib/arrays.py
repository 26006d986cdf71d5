"""Arrays: an even sample of their rows, and what `.npy` and `.npz` files hold.

Of files, sizes are checked first, and any damage is one error.
"""

import math
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from .errors import DataError, no_such
from .memory import require_memory

HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def evenly(count: int, most: int) -> np.ndarray:
    """Ascending indices of at most `most` of `count` things, spread evenly from first to last."""
    return np.linspace(0, count - 1, min(most, count)).round().astype(int)


def read_npy(path: str | Path, mapped: bool = False) -> np.ndarray:
    """Read the array of a `.npy` file, or map it into memory.

    Raises DataError where the file is missing or damaged, or its size is not the declared one.
    """
    path = Path(path)
    with _damage_reported(path, "one array (.npy)"):
        size = path.stat().st_size
        with path.open("rb") as file:
            _check_size(file, size)
        if not mapped:
            require_memory(str(path), size)
        return np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)


def read_npz(path: str | Path, names: Iterable[str] | None = None) -> dict[str, np.ndarray]:
    """Read the arrays of a `.npz` archive; names: of those to read, by default all.

    Raises DataError where the file is missing or damaged, lacks an array, or declares more than
    the limit of memory.
    """
    path = Path(path)
    with _damage_reported(path, "an archive of arrays (.npz)"), zipfile.ZipFile(path) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        chosen = list(members) if names is None else list(names)
        if missing := [name for name in chosen if name not in members]:
            raise DataError(
                f"{path}: expected the arrays {missing}, found {sorted(members)[:10]}. Is it the "
                "right file?"
            )
        stored = sum(members[name].compress_size for name in chosen)
        declared = sum(members[name].file_size for name in chosen)
        require_memory(str(path), declared, min(stored, path.stat().st_size))
        return {name: _member(archive, members[name]) for name in chosen}


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    """One array of an archive, whose declared sizes must agree."""
    with archive.open(info) as file:
        _check_size(file, info.file_size)
    with archive.open(info) as file:
        array = np.lib.format.read_array(file, allow_pickle=False)
        file.read(1)  # at the end of the file, zipfile compares the checksum
        return array


def _check_size(file: IO[bytes], size: int) -> None:
    """Raise ValueError where the header of a `.npy` file declares another size in bytes."""
    version = np.lib.format.read_magic(file)
    if version not in HEADERS:
        raise ValueError(f"version {version} of the format is not one of {[*HEADERS]}")
    try:
        shape, _, dtype = HEADERS[version](file)
    except MemoryError:  # of Python's parser, for brackets in brackets
        raise ValueError("its header cannot be parsed") from None
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which are never read")
    declared = file.tell() + math.prod(shape) * dtype.itemsize
    if declared != size or any(side < 0 for side in shape):
        raise ValueError(
            f"its header declares {dtype} of shape {shape}, {declared} bytes, and it has {size}"
        )


@contextmanager
def _damage_reported(path: Path, expected: str) -> Iterator[None]:
    """Turn all that is raised for a file that cannot be read into a DataError that names it."""
    try:
        yield
    except (DataError, MemoryError):
        raise
    except FileNotFoundError as error:
        raise DataError(no_such(path)) from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error
    except Exception as error:  # zipfile, zlib, tokenize and numpy raise many kinds
        raise DataError(
            f"{path}: expected {expected}, found a file that cannot be read as such "
            f"({type(error).__name__}: {error}). Copy it again, or make it again."
        ) from error
