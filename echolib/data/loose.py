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
from .echonet import TRACINGS
from .file_list import FILE_LIST, RANGES, in_per_cent
from .frames import LabelledFrame
from .names import is_hidden, plain_name, suffix_of, unique_names, without_suffix
from .problems import Problem, problem_summary
from .tables import read_table, to_numbers

OTHER_SUFFIX = re.compile(r"\.[A-Za-z]\w*$")  # of a name; the numbers of a UID are none
# files by which results of echolib are told: one of the first, or both of the others, of `function`
RESULTS = {"identity.json", "masks.npz"}
MEASURED = ("clips.csv", "beats.csv")
TABLES = {FILE_LIST, TRACINGS}  # one of them is in the folder of a data set
DIRECTORY = "dicomdir"  # the list of a DICOM medium: it has no frames
TRUE_EF = "EF.csv"  # the table of ejection fractions, with the columns clip and EF, per cent
NOT_OPENED = "the folder cannot be opened"
OTHER_TABLES = {".xlsx", ".xls", ".ods"}  # suffixes of tables that are not read


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
        for path in sorted(self.folder.iterdir()):
            if path.stem.casefold() == "ef" and path.suffix.lower() in OTHER_TABLES:
                kind = f"this table is not read: save it as {TRUE_EF}"
                self.problems.append(Problem.of(path.name, None, kind, action="noted"))
            if path.name.casefold() == TRUE_EF.casefold() and path.is_file():
                self._read_ef(path)

    def _read_ef(self, path: Path) -> None:
        """Take the EF of each clip from the folder's table; report what does not fit."""
        remedy = "Write a header with the columns clip and EF, and below it a row for each clip."
        rows, found = read_table(path, ["clip", "EF"], remedy, remedy)
        self.problems += found

        def report(row: int, kind: str, *values: object) -> None:
            self.problems.append(Problem.of(path.name, row, kind, *values))

        meant: dict[str, set[str]] = {}  # clips by their names, files and paths
        for name, file in self.table.path.items():
            for text in (name, file.name, str(file.relative_to(self.folder))):
                for key in (text, _key(text)):
                    meant.setdefault(key, set()).add(name)
        low, high = RANGES["EF"]
        values = to_numbers(rows.EF.str.rstrip("% "))
        for row, text, value in zip(rows.index, rows["clip"], values, strict=True):
            exact = {text} & set(self.table.index)
            names = exact or meant.get(text) or meant.get(_key(text), set())
            if not names:
                report(row, "{} is no clip of this folder", text)
            elif len(names) > 1:
                report(row, "{} may be any of {} clips: write its folders, too", text, len(names))
            elif not np.isnan(self.table.EF[min(names)]):
                report(row, "{} is listed again", text)
            elif 0 < value <= 1 < values.max():
                kind = "EF of {} is {:g}, as a share, but others are above 1: it is unknown"
                report(row, kind, text, value)
            elif low <= value <= high:
                self.table.loc[min(names), "EF"] = value
            elif rows.EF[row].strip():
                kind = f"EF of {{}} is {{!r}}; expected {low:g} to {high:g}: it is unknown"
                report(row, kind, text, rows.EF[row][:40])
        self.table["EF"] = in_per_cent(self.table.EF, path.name, self.problems)

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
        """A text per clip that changes with its file, whatever other clips there are."""
        states = {}
        for name, path in self.table.path.items():
            status = path.stat()  # uncompressed clips are equal in size
            states[name] = f"{status.st_size} {status.st_mtime_ns}"
        return states

    def fingerprint(self) -> str:
        """Hash of the clips' names, states and ejection fractions."""
        text = f"{self.states} {self.table.EF.tolist()}"
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def find_clips(folder: Path, problems: list[Problem]) -> Iterator[Path]:
    """The clips of a folder and of the folders in it, in the order of their names.

    The suffix tells a clip, in small letters or capitals. A DICOM file may have any name, and a
    clip without a suffix any kind; their first bytes tell. Hidden files and folders, and results
    of echolib, are passed over. What is passed over but may be meant is added to `problems`: data
    sets, clips beside results, links to what is not there, and what cannot be opened.
    """

    def report(path: Path, kind: str, action: str = "left out") -> None:
        problems.append(Problem.of(str(path.relative_to(folder)), None, kind, action=action))

    def refused(error: OSError) -> None:
        report(Path(error.filename), NOT_OPENED)

    seen = set()  # a link may lead back
    for place, folders, names in os.walk(folder, onerror=refused, followlinks=True):
        here, is_outermost = Path(place), place == str(folder)
        if (real := here.resolve()) in seen:
            folders.clear()
            continue
        seen.add(real)
        if not is_outermost and (kind := _other_content(names)) is not None:
            if kind:
                report(here, kind, action="noted")
            folders.clear()
            continue
        if not os.access(here, os.X_OK):
            report(here, NOT_OPENED)
            continue
        folders[:] = sorted(name for name in folders if not is_hidden(Path(name)))
        for path in sorted(here / name for name in names if not is_hidden(Path(name))):
            if _is_dead_link(path):
                report(path, "a link to a file that is not there")
            elif not path.is_file() or path.name.lower() == DIRECTORY:
                continue
            elif suffix_of(path) or _begins_as_clip(path):
                yield path
            elif not OTHER_SUFFIX.search(path.name) and not os.access(path, os.R_OK):
                report(path, "the file cannot be opened")
            elif not OTHER_SUFFIX.search(path.name) and not path.stat().st_size:
                report(path, "an empty file")


def _other_content(names: list[str]) -> str | None:
    """What is in a folder in which no clips are looked for, by the names of its files.

    "" for results alone, and None for a folder in which they are.
    """
    if TABLES & set(names):
        return "a data set with tables, which is not searched; give it by itself"
    measured = set(names) >= set(MEASURED)
    if not (measured or RESULTS & set(names)):
        return None
    clips = [name for name in names if suffix_of(name) and not Path(name).stem.endswith("overlay")]
    own = 1 if measured else 0  # `function` of a clip writes its video beside the tables
    return "clips beside results of echolib, which are not searched" if len(clips) > own else ""


def _is_dead_link(path: Path) -> bool:
    """Whether a link is named as a clip, but its file has moved or was deleted."""
    is_named = bool(suffix_of(path)) or not OTHER_SUFFIX.search(path.name)
    return is_named and path.is_symlink() and not path.exists()


def _begins_as_clip(path: Path) -> bool:
    """Whether a file begins as DICOM or, without any suffix, as another clip."""
    try:
        return is_dicom(path) or not OTHER_SUFFIX.search(path.name)
    except DataError:  # of another kind, or it cannot be read
        return False


def _key(text: str) -> str:
    """A clip's name, file or path as people may write it, less what does not matter."""
    text = plain_name(text.strip()).replace("\\", "/").removeprefix("./")
    return without_suffix(text).casefold()
