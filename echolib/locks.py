"""What several processes want at the same time is made by one of them; the others wait."""

import errno
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from .files import hidden, make_folder

if TYPE_CHECKING:
    from filelock import FileLock

PATIENCE = 10.0  # s of waiting before it is said
# of a file system that has no locks, or on which nothing can be written
WITHOUT_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK, errno.EROFS, errno.EACCES, errno.EPERM)


@contextmanager
def one_at_a_time(path: str | Path) -> Iterator[None]:
    """Hold the lock of a file or folder while it is made; wait while another process holds it.

    The lock is a hidden file beside `path`, which is deleted afterwards. A process that is killed
    frees its lock.
    """
    from filelock import FileLock

    path = Path(path)
    make_folder(path.parent)
    file = _lock_file(path)
    lock = FileLock(file, fallback_to_soft=False)  # a soft lock outlives a killed process
    locked = _acquire(lock, path)
    try:
        yield
    finally:
        if locked:
            file.unlink(missing_ok=True)  # by its holder only: who waits notices that it is gone
            lock.release()


def make_once(path: Path, is_made: Callable[[], bool], make: Callable[[], object]) -> None:
    """Make a file or folder unless it is made; of several processes one makes it, the others wait.

    is_made: whether it is there, whole. make: makes it.
    """
    if not is_made():
        with one_at_a_time(path):
            if not is_made():  # by the process that this one has waited for
                make()
    remove_dead_lock(path)


def remove_dead_lock(path: str | Path) -> None:
    """Delete the lock file of a finished file or folder, if a killed process left it."""
    from filelock import FileLock, Timeout

    file = _lock_file(Path(path))
    with suppress(Timeout, OSError, NotImplementedError):
        if file.is_file():
            with FileLock(file, timeout=0, fallback_to_soft=False):
                file.unlink()


def _lock_file(path: Path) -> Path:
    return hidden(path, ".lock")


def _acquire(lock: "FileLock", path: Path) -> bool:
    """Wait for a lock; False where the file system has none."""
    from filelock import Timeout

    try:
        try:
            lock.acquire(timeout=PATIENCE)
        except Timeout:
            warnings.warn(f"Another process is making {path}: waiting for it.", stacklevel=5)
            lock.acquire()
    except NotImplementedError:
        return False
    except OSError as error:
        if error.errno not in WITHOUT_LOCKS:
            raise
        return False
    return True
