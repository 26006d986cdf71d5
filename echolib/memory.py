"""One limit of memory for all data that is read, asked before the data is built; reuse of it.

A small file can declare gigabytes: of frames, of an archive, of a network. Readers ask here with
the size that a file declares, and refuse it in one sentence. `ECHOLIB_MEMORY` sets the limit, for
example `ECHOLIB_MEMORY=16G`; by default it is half of the memory that is free on the machine.
"""

import ctypes
import os
import re
import sys
from pathlib import Path

from .cores import control_groups
from .errors import DataError

VARIABLE = "ECHOLIB_MEMORY"
UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
FREE_SHARE = 0.5  # of the free memory that one piece of data may take
# Compressed echocardiograms are 2 to 200 times smaller than their frames. What claims to grow by
# more than this is most likely damaged or forged, and has to be small.
GROWTH = 500
GROWN = 2**30  # bytes, largest size of data that claims to grow by more
# glibc's settings of its allocator: numbers by which `mallopt` knows them, and their values, bytes
KEPT_FREE = {-1: 2**29, -3: 2**25}  # M_TRIM_THRESHOLD; M_MMAP_THRESHOLD, the most that it takes
ALLOCATOR = ("GLIBC_TUNABLES", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")
# how torch says in a RuntimeError that there is no more: on Windows, on a GPU, and on Linux
FULL = ("not enough memory", "out of memory", "can't allocate memory", "cannot allocate memory")
MEMINFO = Path("/proc/meminfo")
# files of a control group, of both versions: memory that it may use, and that it uses
GROUP_FILES = (
    ("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes"),
)  # fmt: skip


def memory_limit(stored: int | None = None) -> int:
    """Bytes that one piece of data may take.

    stored: its bytes in the file, where it is compressed. What claims to grow more than 500-fold
    may take 1 GiB at most, unless `ECHOLIB_MEMORY` is set. Raises DataError for a setting that is
    no size.
    """
    setting = os.environ.get(VARIABLE, "")
    if setting:
        return parse_size(setting)
    limit = int(FREE_SHARE * free_memory())
    return limit if stored is None else min(limit, max(GROWN, GROWTH * stored))


def require_memory(what: str, needed: int, stored: int | None = None) -> None:
    """Raise DataError where data would take more memory than the limit.

    what: the file, and what in it, as the start of the message. needed: bytes that it declares.
    stored: as for `memory_limit`.
    """
    limit = memory_limit(stored)
    if needed > limit:
        raise too_large(what, needed, limit, stored)


def too_large(what: str, needed: int, limit: int, stored: int | None = None) -> DataError:
    """Build the error for data that would take more than a limit, see `require_memory`."""
    source = "" if stored is None else f" from {format_size(stored)} in the file"
    return DataError(
        f"{what} would take {format_size(needed)} of memory{source}; the limit here is "
        f"{format_size(limit)}. If the file is right, set a higher limit, for example "
        f"{VARIABLE}={needed // 2**30 + 1}G, or split the file."
    )


def reuse_freed_memory() -> None:
    """Let this process keep up to 512 MiB of freed memory instead of giving it back to Linux.

    A step of a training takes and frees the same memory each time. What was given back comes page
    by page, each filled with zeros, which takes part of the step. Who sets one of the variables
    `ALLOCATOR` decides otherwise; where the allocator is not glibc's, nothing happens.
    """
    if sys.platform == "linux" and not any(name in os.environ for name in ALLOCATOR):
        choose = getattr(ctypes.pythonapi, "mallopt", lambda setting, value: 0)
        for setting, value in KEPT_FREE.items():
            choose(setting, value)


def memory_error(error: BaseException) -> str | None:
    """What to tell a user whose memory is full; None for an error of another kind.

    Python raises MemoryError, numpy a kind of it, and torch a RuntimeError.
    """
    text = str(error)
    full = isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(words in text.lower() for words in FULL)
    )
    if not full:
        return None
    return (
        f"the memory is full ({text.splitlines()[0][:200] if text else 'no more can be had'}). "
        f"{format_size(free_memory())} are free here. Close other programs, or give smaller data."
    )


def parse_size(text: str) -> int:
    """Bytes from a text such as `2G`, `500M` or `1000000`. Raises DataError for another text."""
    match = re.fullmatch(r"\s*(\d{1,15}(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?\s*", text, re.IGNORECASE)
    size = int(float(match[1]) * UNITS[match[2].upper()]) if match else 0
    if size < 1:
        raise DataError(f"{VARIABLE}: expected a size such as 8G or 500M, found {text!r}.")
    return size


def format_size(size: float) -> str:
    """A number of bytes for people, such as `3.2 GB` (of 2**30 bytes)."""
    if size < 1024:
        return f"{size:.0f} bytes"
    for unit in ("kB", "MB"):
        size /= 1024
        if size < 1000:
            return f"{size:.3g} {unit}"
    return f"{size / 1024:,.3g} GB" if size < 1e6 else f"{size / 1024:,.0f} GB"


def free_memory() -> int:
    """Bytes of memory that are free on this machine, in the container and in the batch job."""
    try:
        import psutil  # here, because most parts of the package never ask

        free = int(psutil.virtual_memory().available)
    except ImportError:  # a machine for trainings only, which has nothing but torch
        free = _available_memory()
    for group in control_groups("memory"):
        for limit, usage in GROUP_FILES:
            try:
                allowed, used = (int((group / name).read_text()) for name in (limit, usage))
            except (OSError, ValueError):  # no such file, or "max": no limit
                continue
            free = min(free, max(0, allowed - used + _cached(group)))
    return free


def _cached(group: Path) -> int:
    """Bytes of files that a control group keeps in memory, but gives up for data."""
    try:
        lines = (group / "memory.stat").read_text().splitlines()
    except OSError:
        return 0
    found = dict(line.split(" ", 1) for line in lines if " " in line)
    name = "total_inactive_file" if "total_inactive_file" in found else "inactive_file"
    return int(found.get(name, 0))


def _available_memory() -> int:
    """Bytes that are free without swapping, without psutil: cached files give way to data."""
    try:
        found = re.search(r"^MemAvailable:\s*(\d+) kB$", MEMINFO.read_text(), re.MULTILINE)
    except OSError:  # no Linux
        found = None
    if found:
        return int(found[1]) * 1024
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
