"""A folder of clips without labels: every file is a clip.

Folders in it are searched, too: an archive has one for each patient, study and series. A table
`EF.csv` in it may say the ejection fractions that reports give.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import DataError
from .clips import Clip, is_dicom, read_clip
from .file_list import RANGES, in_per_cent
from .frames import LabelledFrame
from .names import clip_name, is_hidden, suffix_of, unique_names
from .problems import Problem, problem_summary
from .tables import read_table, to_numbers

OTHER_SUFFIX = re.compile(r"\.[A-Za-z]\w*$")  # of a name; the numbers of a UID are none
# one of them is in each folder of results that may hold videos, or masks as NIfTI or DICOM
RESULT_FILES = {"identity.json", "report.html", "clips.csv", "masks.npz"}
TABLES = {"FileList.csv", "VolumeTracings.csv"}  # one of them is in the folder of a data set
DIRECTORY = "dicomdir"  # the list of a DICOM medium: it has no frames
TRUE_EF = "EF.csv"  # the table of ejection fractions, with the columns clip and EF, per cent


class LooseClips:
    """Reader of a folder of clips without labels; each clip counts as a patient of its own.

    Attributes: name; folder; table (one row per clip, index the clip's name, columns patient,
    split, fps, EF and path; the split is empty and the rate NaN, because both are unknown, and the
    EF, per cent, is that of the folder's `EF.csv`, or NaN); problems.
    """

    def __init__(self, folder: str | Path) -> None:
        """List the files without opening a video. Raises DataError where there is no clip."""
        self.name = "clips"
        self.folder = Path(folder)
        self.problems: list[Problem] = []
        clips = unique_names(list(find_clips(self.folder, self.problems)), self.folder)
        if not clips:
            found = f" but {problem_summary(self.problems)}" if self.problems else ""
            raise DataError(
                f"{self.folder}: expected clips, found none{found}. Give the folder of clips."
            )
        table = {"patient": list(clips), "split": "", "fps": np.nan, "EF": np.nan}
        table |= {"path": list(clips.values())}
        self.table = pd.DataFrame(table, index=pd.Index(clips, name="clip", dtype=object))
        if (self.folder / TRUE_EF).is_file():
            self._read_ef()

    def _read_ef(self) -> None:
        """Take the EF of each clip from the folder's table; report what does not fit."""
        rows, found = read_table(self.folder / TRUE_EF, ["clip", "EF"])
        self.problems += found

        def report(row: int, kind: str, *values: object) -> None:
            self.problems.append(Problem.of(TRUE_EF, row, kind, *values))

        meant: dict[str, set[str]] = {}  # clips by their names, files and paths
        for name, path in self.table.path.items():
            for text in (path.name, clip_name(path), str(path.relative_to(self.folder))):
                meant.setdefault(text, set()).add(name)
        meant |= {name: {name} for name in self.table.index}
        low, high = RANGES["EF"]
        for row, text, value in zip(rows.index, rows["clip"], to_numbers(rows.EF), strict=True):
            names = meant.get(text := text.strip(), set())
            if not names:
                report(row, "{} is no clip of this folder", text)
            elif len(names) > 1:
                report(row, "{} may be any of {} clips: write its folders, too", text, len(names))
            elif not np.isnan(self.table.EF[min(names)]):
                report(row, "{} is listed again", text)
            elif low <= value <= high:
                self.table.loc[min(names), "EF"] = value
            elif rows.EF[row].strip():
                kind = f"EF of {{}} is {{!r}}; expected {low:g} to {high:g}: it is unknown"
                report(row, kind, text, rows.EF[row][:40])
        self.table["EF"] = in_per_cent(self.table.EF, TRUE_EF, self.problems)

    def clip(self, clip: str) -> Clip:
        """All frames of a clip. Raises DataError where its file cannot be read."""
        return replace(read_clip(self.table.path[clip]), name=clip)

    def labelled(
        self, clip: str, read: Clip | None = None
    ) -> tuple[list[LabelledFrame], list[Problem]]:
        """No frame and no problem: the clips have no labels."""
        return [], []

    @property
    def states(self) -> dict[str, str]:
        """A text per clip that changes with its file or its EF, whatever other clips there are."""
        states = {}
        for name, path in self.table.path.items():
            status = path.stat()  # uncompressed clips are equal in size
            states[name] = f"{status.st_size} {status.st_mtime_ns} {self.table.EF[name]}"
        return states

    def fingerprint(self) -> str:
        """Hash of the clips' names and states."""
        return hashlib.sha256(repr(self.states).encode()).hexdigest()[:12]


def find_clips(folder: Path, problems: list[Problem]) -> Iterator[Path]:
    """The clips of a folder and of the folders in it, in the order of their names.

    The suffix tells a clip, in small letters or capitals. A DICOM file may have any name, and a
    clip without a suffix any kind; their first bytes tell. Hidden files and folders, and folders of
    results, are passed over. What is passed over but may be meant is added to `problems`: data
    sets, links to what is not there, and folders that cannot be opened.
    """

    def refused(error: OSError) -> None:
        place = Path(error.filename).relative_to(folder)
        problems.append(Problem.of(f"{place}", None, "the folder cannot be opened"))

    seen = set()  # a link may lead back
    for place, folders, names in os.walk(folder, onerror=refused, followlinks=True):
        here, is_outermost = Path(place), place == str(folder)
        if (real := here.resolve()) in seen or not (
            is_outermost or _is_searched(here, set(names), folder, problems)
        ):
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not is_hidden(Path(name)))
        files = [here / name for name in sorted(names) if not is_hidden(Path(name))]
        for path in filter(_is_dead_link, files):
            name = str(path.relative_to(folder))
            problems.append(Problem.of(name, None, "a link to a file that is not there"))
        yield from (path for path in files if path.is_file() and _is_clip(path))


def _is_searched(here: Path, names: set[str], folder: Path, problems: list[Problem]) -> bool:
    """Whether clips are looked for in a folder inside `folder`, by the names of its files."""
    if TABLES & names:
        problems.append(
            Problem.of(
                str(here.relative_to(folder)),
                None,
                "a data set with tables, which is not searched; give it by itself",
                action="noted",
            )
        )
    return not (TABLES | RESULT_FILES) & names


def _is_dead_link(path: Path) -> bool:
    """Whether a link is named as a clip, but its file has moved or was deleted."""
    is_named = bool(suffix_of(path)) or not OTHER_SUFFIX.search(path.name)
    return is_named and path.is_symlink() and not path.exists()


def _is_clip(path: Path) -> bool:
    """Whether a file has the suffix of a clip, or none and begins as one, or is of DICOM."""
    if path.name.lower() == DIRECTORY:
        return False
    if suffix_of(path):
        return True
    try:
        return is_dicom(path) or not OTHER_SUFFIX.search(path.name)
    except DataError:  # of another kind, or it cannot be read
        return False
