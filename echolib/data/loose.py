"""A folder of clips without any table: every file is a clip, and nothing else is known of it."""

import hashlib
import os
import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import DataError
from .clips import Clip, is_dicom, read_clip
from .frames import LabelledFrame
from .names import is_hidden, suffix_of, unique_names
from .problems import Problem, problem_summary

OTHER_SUFFIX = re.compile(r"\.[A-Za-z]\w*$")  # of a name; the numbers of a UID are none
# one of them is in each folder of results that may hold videos, or masks as NIfTI or DICOM
RESULT_FILES = {"identity.json", "report.html", "clips.csv", "masks.npz"}
MOST_FOLDERS = 1000  # that are searched for a clip
DIRECTORY = "dicomdir"  # the list of a DICOM medium: it has no frames


class LooseClips:
    """Reader of a folder of clips without labels; each clip counts as a patient of its own.

    Attributes: name; folder; table (one row per clip, index the clip's name, columns patient,
    split, fps and path; the split is empty and the rate NaN, because both are unknown); problems.
    """

    def __init__(self, folder: str | Path) -> None:
        """List the files without opening a video. Raises DataError where there is no clip."""
        self.name = "clips"
        self.folder = Path(folder)
        self.problems = [
            Problem.of(path.name, None, "a link to a file that is not there")
            for path in _dead_links(self.folder)
        ]
        self.problems += [
            Problem.of(
                path.name,
                None,
                "clips lie in this folder, which is not searched; give it by itself",
                action="noted",
            )
            for path in folders_with_clips(self.folder)
        ]
        clips = unique_names(find_clips(self.folder))
        if not clips:
            dead = f" but {problem_summary(self.problems)}" if self.problems else ""
            raise DataError(
                f"{self.folder}: expected clips, found none{dead}. Give the folder of clips."
            )
        table = {"patient": list(clips), "split": "", "fps": np.nan, "path": list(clips.values())}
        self.table = pd.DataFrame(table, index=pd.Index(clips, name="clip", dtype=object))

    def clip(self, clip: str) -> Clip:
        """All frames of a clip. Raises DataError where its file cannot be read."""
        return replace(read_clip(self.table.path[clip]), name=clip)

    def labelled(
        self, clip: str, read: Clip | None = None
    ) -> tuple[list[LabelledFrame], list[Problem]]:
        """No frame and no problem: the clips have no labels."""
        return [], []

    def fingerprint(self) -> str:
        """Hash of the files' names, sizes and times of writing."""
        digest = hashlib.sha256()
        for path in self.table.path:
            status = path.stat()  # uncompressed clips are equal in size
            digest.update(os.fsencode(f"{path.name} {status.st_size} {status.st_mtime_ns}"))
        return digest.hexdigest()[:12]


def find_clips(folder: Path) -> list[Path]:
    """The clips of a folder, by name, without those of the folders in it.

    The suffix tells a clip, in small letters or capitals. A DICOM file may have any name, and
    a clip without a suffix any kind; their first bytes tell. Hidden files are none.
    """
    files = [path for path in folder.iterdir() if not is_hidden(path) and path.is_file()]
    return sorted(path for path in files if suffix_of(path) or _starts_as_clip(path))


def folders_with_clips(folder: Path) -> list[Path]:
    """The folders in a folder in which clips lie, however deep, but for results of echolib."""
    inner = sorted(path for path in folder.iterdir() if path.is_dir() and not is_hidden(path))
    return [path for path in inner if _holds_clip(path)]


def _holds_clip(folder: Path) -> bool:
    """Whether a clip lies in a folder, or in one of the folders in it."""
    for number, (place, folders, names) in enumerate(os.walk(folder)):
        folders[:] = [name for name in folders if not is_hidden(Path(name))]
        if RESULT_FILES & set(names):
            folders.clear()
        elif number == MOST_FOLDERS:
            break
        elif any(_is_surely_clip(Path(place, name)) for name in names):
            return True
    return False


def _is_surely_clip(path: Path) -> bool:
    """Whether a file is named or begins as a clip; here a name without a suffix is not enough."""
    if is_hidden(path) or path.name.lower() == DIRECTORY:
        return False
    with suppress(DataError):  # it cannot be read
        return bool(suffix_of(path)) or (path.is_file() and is_dicom(path))
    return False


def _dead_links(folder: Path) -> list[Path]:
    """Links of a folder that are named as clips, and whose file has moved or was deleted."""
    links = [path for path in folder.iterdir() if path.is_symlink() and not path.exists()]
    named = [path for path in links if suffix_of(path) or not OTHER_SUFFIX.search(path.name)]
    return sorted(path for path in named if not is_hidden(path))


def _starts_as_clip(path: Path) -> bool:
    """Whether a file without a known suffix begins as DICOM, or as another clip without suffix."""
    if path.name.lower() == DIRECTORY:
        return False
    try:
        return is_dicom(path) or not OTHER_SUFFIX.search(path.name)
    except DataError:
        return False
