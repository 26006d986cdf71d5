"""Writing files whole or not at all, so that nothing half-written is ever left behind."""

import errno
import hashlib
import json
import math
import os
import platform
import re
import secrets
import shutil
import time
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import DataError, no_such
from .masks import PackedMasks
from .memory import require_memory

if TYPE_CHECKING:
    import pandas as pd

DAY = 24 * 3600  # s
# Temporary names as `atomic_path` gives them: the writer's machine and process, and a random text,
# because containers that share a disk can have equal process numbers.
TEMPORARY = re.compile(r"\..+\.([0-9a-f]{8})-(\d+)-[0-9a-f]{8}(\.[^.]*)?")
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # of a write for which there is no room
LONGEST_NAME = 255  # bytes of a name, on all usual file systems
LONGEST_SUFFIX = 16  # bytes of a suffix; what is longer is part of a name with dots
# files by which Linux tells one machine, and one container on it, from another
MACHINE_FILES = ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _temporary(path: Path) -> Path:
    """A new name beside a path; it keeps the suffix, by which writers choose their format."""
    writer = f"{_machine()}-{os.getpid()}-{secrets.token_hex(4)}"
    suffix = path.suffix if len(os.fsencode(path.suffix)) <= LONGEST_SUFFIX else ""
    stem = shortened(path.stem, LONGEST_NAME - len(os.fsencode(f"..{writer}{suffix}")))
    return path.with_name(f".{stem}.{writer}{suffix}")


def shortened(name: str, longest: int) -> str:
    """The first characters of a name that take so many bytes on disk at most, at least one."""
    while len(name) > 1 and len(os.fsencode(name)) > longest:
        name = name[:-1]
    return name


def hidden(path: Path, ending: str) -> Path:
    """The hidden file or folder beside a path whose name is that of the path with an ending.

    The middle of a name that would become too long gives way to a checksum, so that two paths have
    two hidden names.
    """
    name = f".{path.name}{ending}"
    if len(os.fsencode(name)) > LONGEST_NAME:
        ending = f".{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:8]}{ending}"
        name = f".{shortened(path.name, LONGEST_NAME - 1 - len(ending))}{ending}"
    return path.with_name(name)


@cache
def _machine() -> str:
    """8 hexadecimal digits for the machine, or the container, in which process numbers count."""
    names = [platform.node()]
    for file in MACHINE_FILES:
        with suppress(OSError):
            names.append(os.readlink(file) if os.path.islink(file) else Path(file).read_text())
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:8]


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it to `path` on success, remove it on failure.

    The temporary name keeps the suffix, because writers of videos and figures choose their
    format by it. The block may create a file or a folder there. An existing file is replaced;
    an existing folder is replaced by a new one. A symbolic link stays: what it points to is
    replaced. An OSError that names no file, such as that of a full disk, or the temporary one, is
    raised with the name of `path`.
    """
    target = link_target(path)
    make_folder(target.parent)
    temporary = target.with_name(_temporary(Path(path)).name)
    try:
        yield temporary
        if target.is_dir() and temporary.is_dir():
            _replace_folder(temporary, target)
        else:
            os.replace(temporary, target)
    except OSError as error:
        if error.errno is None or error.filename not in (None, str(temporary), temporary):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        _remove(temporary)


def no_room(error: OSError) -> str | None:
    """What to tell a user whose disk is full; None for an error of another kind."""
    if error.errno not in FULL or error.strerror != os.strerror(error.errno):
        return None  # the second: it has a sentence of its own
    reasons = {
        errno.EDQUOT: "the quota on this disk is used up",
        errno.EFBIG: "it is larger than a file may be",
    }
    reason = reasons.get(error.errno, "the disk is full")
    return (
        f"{error.filename or 'a file'} cannot be written: {reason}. Free some space, or choose a "
        "place on another disk."
    )


def link_target(path: str | Path) -> Path:
    """What a symbolic link points to, whether it is there or not; any other path as it is."""
    path = Path(path)
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def make_folder(folder: Path) -> None:
    """Make a folder where there is none. Raises OSError, which names a file in its place."""
    for place in (folder, *folder.parents):
        if place.is_file():
            raise NotADirectoryError(
                errno.ENOTDIR, "expected a folder, found a file. Choose another place", str(place)
            )
    folder.mkdir(parents=True, exist_ok=True)


def _replace_folder(new: Path, path: Path) -> None:
    """Rename a new folder to `path`, where another one lies; that one is deleted afterwards."""
    old = _temporary(path)
    os.replace(path, old)
    try:
        os.replace(new, path)
    except OSError:
        os.replace(old, path)
        raise
    _remove(old)


def remove_leftovers(folder: str | Path) -> None:
    """Delete temporary files and folders of `atomic_path` whose process was killed, in a folder.

    Those of a live process are kept. Where the process cannot be looked up, because it ran on
    another machine or in another container, they are deleted after a day without a change.
    """
    with suppress(OSError):  # the folder is missing, or may not be read
        for entry in list(os.scandir(folder)):
            writer = TEMPORARY.fullmatch(entry.name)
            if not writer:
                continue
            with suppress(OSError):  # its writer has just renamed it, or it is not ours
                unchanged = time.time() - entry.stat(follow_symlinks=False).st_mtime
                if unchanged > _time_to_keep(writer[1], int(writer[2])):
                    _remove(Path(entry))


def sweep(folder: Path) -> None:
    """Remove the leftovers, see `remove_leftovers`, in a folder and in the folders in it."""
    for place in (folder, *(path for path in folder.iterdir() if path.is_dir())):
        remove_leftovers(place)


def _time_to_keep(machine: str, process: int) -> float:
    """Seconds without a change after which a temporary file has no writer any more."""
    if machine != _machine() or _is_alive(process):
        return DAY
    return -math.inf  # a file's time may lie in the future


def _is_alive(process: int) -> bool:
    try:
        from psutil import pid_exists
    except ImportError:  # a machine for trainings only: nothing is deleted that may be in use
        return True
    return pid_exists(process)


def write_table(table: "pd.DataFrame", path: str | Path, index: bool = False, **more: Any) -> None:
    """Write a table as CSV, whole or not at all. more: options of `DataFrame.to_csv`."""
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=index, **more)


def write_json(content: Any, path: str | Path) -> None:
    """Write values of JSON's types, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_json(path: str | Path) -> Any:
    """Read a JSON file. Raises DataError where it is missing, damaged, or too large."""
    path = Path(path)
    try:
        require_memory(str(path), path.stat().st_size)
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(no_such(path)) from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error
    except DataError:
        raise
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{path}: expected JSON in UTF-8, found something else ({error})."
        ) from error


def write_npz(
    path: str | Path,
    arrays: Iterable[tuple[str, np.ndarray | PackedMasks]],
    compressed: bool = True,
) -> None:
    """Write an archive as `numpy.savez_compressed` or `numpy.savez` do, whole or not at all.

    arrays: names and arrays, taken one after the other, so that they need not be in memory
    together; packed masks are written one by one, as bool. Any name is allowed, also one that
    numpy's function takes for an option.
    """
    with (
        atomic_path(path) as temporary,
        zipfile.ZipFile(
            temporary, "w", zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
        ) as archive,
    ):
        for name, array in arrays:
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                header = {"shape": array.shape, "fortran_order": False}
                header["descr"] = np.lib.format.dtype_to_descr(array.dtype)
                np.lib.format.write_array_header_2_0(file, header)
                for item in array if array.ndim else array[None]:
                    file.write(np.ascontiguousarray(item).data)
