"""Writing files so that nothing half-written is ever left behind."""

import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

OLD = 60  # s without a change after which a half-written file has no writer any more


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
    """Delete what killed processes left half-written of files that are in a folder by now.

    Only what has not changed for a minute: another process may be writing the same file.
    """
    for path in Path(folder).glob(".*.*"):
        names = re.fullmatch(r"\.(.+)\.\d+(\.\w+)", path.name)  # as `atomic_path` gives them
        if names and path.with_name("".join(names.groups())).is_file():
            with suppress(FileNotFoundError):  # the other process has just renamed it
                if time.time() - path.stat().st_mtime > OLD:
                    path.unlink()
