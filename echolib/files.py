"""Writing files whole or not at all, so that nothing half-written is ever left behind."""

import json
import os
import re
import shutil
import time
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import DataError
from .masks import PackedMasks

if TYPE_CHECKING:
    import pandas as pd

OLD = 60  # s: a half-written file that did not change for so long has no writer any more


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it to `path` on success, remove it on failure.

    The temporary name keeps the suffix, because writers of videos and figures choose their
    format by it. The block may create a file or a folder there. An existing file is replaced;
    an existing folder is replaced by a new one.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield temporary
        if path.is_dir() and temporary.is_dir():
            shutil.rmtree(path)
        os.replace(temporary, path)
    finally:
        _remove(temporary)


def remove_leftovers(folder: str | Path) -> None:
    """Delete temporary files that killed processes left beside finished files in a folder.

    A file that changed within the last minute is kept: another process may be writing it.
    """
    for path in Path(folder).glob(".*.*"):
        names = re.fullmatch(r"\.(.+)\.\d+(\.\w+)", path.name)  # as `atomic_path` gives them
        if names and path.with_name("".join(names.groups())).is_file():
            with suppress(FileNotFoundError):  # the other process has just renamed it
                if time.time() - path.stat().st_mtime > OLD:
                    path.unlink()


def write_table(table: "pd.DataFrame", path: str | Path, index: bool = False, **more: Any) -> None:
    """Write a table as CSV, whole or not at all. more: options of `DataFrame.to_csv`."""
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=index, **more)


def write_npz(path: str | Path, arrays: Iterable[tuple[str, np.ndarray | PackedMasks]]) -> None:
    """Write an archive as `numpy.savez_compressed` does, whole or not at all.

    arrays: names and arrays, taken one after the other, so that they need not be in memory
    together; packed masks are written one by one, as bool. Any name is allowed, also one that
    numpy's function takes for an option.
    """
    with (
        atomic_path(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for name, array in arrays:
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                header = {"shape": array.shape, "fortran_order": False}
                header["descr"] = np.lib.format.dtype_to_descr(array.dtype)
                np.lib.format.write_array_header_2_0(file, header)
                for item in array if array.ndim else array[None]:
                    file.write(np.ascontiguousarray(item).data)


def claim_parts(parts: Path, identity: dict) -> None:
    """Make a folder for the parts of a long run, or check that an existing one is of this run.

    identity: what the parts depend on, as JSON values. Raises DataError where the folder holds
    the parts of another run, naming what differs, or where its identity cannot be read.
    """
    file = parts / "identity.json"
    if not file.is_file():
        with atomic_path(file) as temporary:
            temporary.write_text(json.dumps(identity, indent=1) + "\n", encoding="utf-8")
        return
    try:
        there = dict(json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise DataError(f"{file} is damaged ({error}). Remove {parts} and run again.") from error
    differ = [key for key in identity if identity[key] != there.get(key)]
    if differ:
        raise DataError(
            f"{parts} holds results of another run; they differ in {', '.join(differ)}. "
            "Choose another folder, or remove that one."
        )
