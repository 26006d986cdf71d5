"""What tells that a file of a data set is another one than before, without reading it."""

import os
from pathlib import Path


def file_stamp(path: Path) -> bytes:
    """Name, size and time of writing of a file.

    Files that are not compressed are equal in size. Raises OSError where there is none.
    """
    status = path.stat()
    return os.fsencode(path.name) + f" {status.st_size} {status.st_mtime_ns}".encode()
