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
LONGEST_FLAT = 120  # bytes of a path in one word: results are named after it, and a name has 255


def suffix_of(path: str | Path) -> str:
    """The known suffix of a clip's file in small letters, or ""."""
    suffix = Path(path).suffix.lower()
    return suffix if suffix in CLIP_SUFFIXES else ""


def clip_name(path: str | Path) -> str:
    """The name of a clip from its file: without folders, and without a known suffix.

    path: a path, or a name in a table, which may have the folders of another system.
    """
    name = path.name if isinstance(path, Path) else re.split(r"[/\\]", path.strip())[-1]
    return plain_name(without_suffix(name))


def without_suffix(name: str) -> str:
    """A file's name or path without its known suffix."""
    return name[: len(name) - len(suffix_of(name))]


def plain_name(name: str) -> str:
    """A file's name for tables: printable, with an accent and its letter in one character."""
    return unicodedata.normalize("NFC", printable(name))


def is_hidden(path: Path) -> bool:
    """Whether a file is one that a system keeps for itself, such as `._clip.avi`."""
    return path.name.startswith(".") or path.name.lower() in ("thumbs.db", "desktop.ini")


def unique_names(paths: list[Path], folder: Path) -> dict[str, Path]:
    """Map names of clips to their files, all of one folder; equal names keep their suffixes.

    A clip of a folder inside it has both names, `visit_clip`. Names that differ only in case count
    as equal, because some systems do not tell them apart and would write the results of one clip
    over those of another. Names that differ only in what is not printed, or in "/" and "_", get
    digits of a checksum.
    """
    files = [Path(_flat(path.relative_to(folder))) for path in paths]
    names = [clip_name(file) for file in files]
    while True:
        counts = Counter(name.casefold() for name in names)
        longer = [
            plain_name(file.name) if counts[name.casefold()] > 1 else name
            for file, name in zip(files, names, strict=True)
        ]
        if longer == names:
            break
        names = longer
    counts = Counter(names)
    return {
        f"{name}-{_digits(path.relative_to(folder))}" if counts[name] > 1 else name: path
        for name, path in zip(names, paths, strict=True)
    }


def _flat(path: Path) -> str:
    """A path in one word. Digits of a checksum stand for folders whose names are long."""
    name = "_".join(path.parts)
    is_long = len(path.parts) > 1 and len(os.fsencode(name)) > LONGEST_FLAT
    return f"{_digits(path)}_{path.name}" if is_long else name


def _digits(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path.as_posix())).hexdigest()[:8]
