"""Names of clips and of their files.

Only known suffixes are cut off: a UID such as `1.2.840.113619.2.391.42` is a whole name. Names are
printable, and in Unicode's composed form, in which tables are written: macOS decomposes letters.
"""

import hashlib
import os
import re
import unicodedata
from collections import Counter
from pathlib import Path

from ..errors import printable

# the first has priority where a clip has several files
VIDEO_SUFFIXES = (
    ".avi", ".mp4", ".m4v", ".mov", ".webm", ".mkv", ".wmv", ".asf", ".mpg", ".mpeg", ".ts",
    ".m2ts", ".mts", ".flv", ".ogv", ".3gp", ".vob", ".qt", ".divx", ".xvid", ".m1v", ".m2v",
    ".mpe", ".mpv", ".m2t", ".f4v", ".3g2",
)  # fmt: skip
CLIP_SUFFIXES = (*VIDEO_SUFFIXES, ".gif", ".dcm", ".dicom", ".ima")


def suffix_of(path: str | Path) -> str:
    """The known suffix of a clip's file in small letters, or ""."""
    suffix = Path(path).suffix.lower()
    return suffix if suffix in CLIP_SUFFIXES else ""


def clip_name(path: str | Path) -> str:
    """The name of a clip from its file: without folders, and without a known suffix.

    path: a path, or a name in a table, which may have the folders of another system.
    """
    name = path.name if isinstance(path, Path) else re.split(r"[/\\]", path.strip())[-1]
    return plain_name(name[: len(name) - len(suffix_of(name))])


def plain_name(name: str) -> str:
    """A file's name for tables: printable, with an accent and its letter in one character."""
    return unicodedata.normalize("NFC", printable(name))


def is_hidden(path: Path) -> bool:
    """Whether a file is one that a system keeps for itself, such as `._clip.avi`."""
    return path.name.startswith(".") or path.name.lower() in ("thumbs.db", "desktop.ini")


def unique_names(paths: list[Path]) -> dict[str, Path]:
    """Map names of clips to their files, all of one folder; equal names keep their suffixes.

    Names that differ only in case count as equal, because some systems do not tell them apart and
    would write the results of one clip over those of another. Names that differ only in what is
    not printed get digits of a checksum.
    """
    names = [clip_name(path) for path in paths]
    while True:
        counts = Counter(name.casefold() for name in names)
        longer = [
            plain_name(path.name) if counts[name.casefold()] > 1 else name
            for path, name in zip(paths, names, strict=True)
        ]
        if longer == names:
            break
        names = longer
    counts = Counter(names)
    pairs = zip(names, paths, strict=True)
    return {_with_digits(path) if counts[name] > 1 else name: path for name, path in pairs}


def _with_digits(path: Path) -> str:
    digits = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:8]
    return f"{plain_name(path.name)}-{digits}"
