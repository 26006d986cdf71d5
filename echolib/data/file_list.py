"""EchoNet's `FileList.csv`: the clips with their patient, split, numbers and video."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import DataError
from .frames import SPLITS
from .names import VIDEO_SUFFIXES, clip_name, plain_name, suffix_of
from .problems import Problem, problem_summary
from .rates import RATES
from .tables import read_table, to_numbers

FILE_LIST = "FileList.csv"
LIST_COLUMNS = (
    "FileName", "EF", "ESV", "EDV", "FrameHeight", "FrameWidth", "FPS", "NumberOfFrames", "Split",
)  # fmt: skip
RANGES = {  # what the numbers of a clip can be; others are unknown
    "EF": (0.0, 100.0),  # per cent
    "ESV": (0.0, 1e6),  # ml
    "EDV": (0.0, 1e6),
    "FrameHeight": (1.0, 1e5),  # px
    "FrameWidth": (1.0, 1e5),
    "FPS": RATES,
    "NumberOfFrames": (1.0, 1e6),
}
MAX_EF_DIFFERENCE = 1.0  # points between EF and that of the volumes, which are rounded
PEDIATRIC_SPLITS = {**{str(fold): "train" for fold in range(8)}, "8": "val", "9": "test"}
WORDS_SHOWN = 5  # of the column Split, in a message
COLUMNS = ["patient", "split", "fps", "EF", "ESV", "EDV", "frames", "path"]


class FileList:
    """The clips of a FileList.csv that have a split and a video.

    table: one row per clip, index its name, columns `COLUMNS`. frame_shape: the (H, W) px that
    most clips are listed with. sizes: the (H, W) px that each clip is listed with, NaN where it is
    not. has_rates: whether the file has a column of frame rates, not all of it empty.
    """

    def __init__(
        self,
        folder: Path,
        pediatric: bool,
        problems: list[Problem],
        patients: Mapping[str, str] | None = None,
    ) -> None:
        """Read the file and list the videos; problems are added to `problems`.

        patients: by clip, of a folder of corrections, whose clips may be of several sizes; by
        default the clips' names tell the patients.
        """
        self.path = folder / FILE_LIST
        self.problems = problems
        table, found = read_table(self.path, ["FileName", "EF", "Split"])
        problems += found
        self.has_rates = "FPS" in table and bool(
            table.FPS.fillna("").astype(str).str.strip().ne("").any()
        )
        table = table.assign(
            clip=table.FileName.map(clip_name),
            split=table.Split.str.strip().map(
                lambda word: PEDIATRIC_SPLITS.get(word, word.lower())
            ),
            **{column: self._numbers(table, column) for column in RANGES},
        )
        self._check_ef(table, pediatric)
        table["patient"] = table["clip"].map(_patient) if pediatric else table["clip"]
        if patients is not None:
            table["patient"] = [patients.get(clip) or clip for clip in table["clip"]]
        usable = self._without_leaks(self._without_duplicates(self._with_known_split(table)))
        if usable.empty:
            raise self._nothing_usable(table)
        height, width = _most_common(usable.FrameHeight, 112), _most_common(usable.FrameWidth, 112)
        self.frame_shape = (height, width)
        if patients is None:
            self._check_sizes(usable)
        usable = self._with_videos(usable, folder / "Videos")
        renamed = usable.rename(columns={"FPS": "fps", "NumberOfFrames": "frames"})
        self.table = renamed.set_index("clip")[COLUMNS]
        listed = zip(renamed.FrameHeight, renamed.FrameWidth, strict=True)
        self.sizes = dict(zip(renamed["clip"], listed, strict=True))

    def _report(self, row: int, kind: str, *values: object, action: str = "left out") -> None:
        self.problems.append(Problem.of(FILE_LIST, row, kind, *values, action=action))

    def _numbers(self, table: pd.DataFrame, column: str) -> pd.Series:
        """A column as float, NaN where it is absent, empty, no number, or an impossible one."""
        if column not in table:
            return pd.Series(np.nan, table.index)
        numbers, (low, high) = to_numbers(table[column]), RANGES[column]
        possible = numbers.between(low, high)
        for row in table.index[~possible & (table[column].str.strip() != "")]:
            name, text = clip_name(table.FileName[row]), table[column][row][:40]
            if np.isnan(numbers[row]):
                kind = f"{column} of {{}} is {{!r}}, not a number"
            else:
                kind = f"{column} of {{}} is {{!r}}; expected {low:g} to {high:g}: it is unknown"
            self._report(row, kind, name, text, action="noted")
        return numbers.where(possible)

    def _check_ef(self, table: pd.DataFrame, pediatric: bool) -> None:
        """Make per cent of shares, and note where EF is not that of the volumes beside it.

        In EchoNet-Pediatric it need not be: its EF comes from two views.
        """
        table["EF"] = in_per_cent(table.EF, FILE_LIST, self.problems)
        if pediatric:
            return
        by_volumes = 100 * (table.EDV - table.ESV) / table.EDV.where(table.EDV > 0)
        for row in table.index[(table.EF - by_volumes).abs() > MAX_EF_DIFFERENCE]:
            kind = "EF of {} is {:g} %, but its EDV and ESV give {:.1f} %"
            values = clip_name(table.FileName[row]), table.EF[row], by_volumes[row]
            self._report(row, kind, *values, action="noted")

    def _with_known_split(self, table: pd.DataFrame) -> pd.DataFrame:
        """The rows that name a clip and one of the splits."""
        known = table.split.isin(SPLITS)
        for row, record in table[~known].iterrows():
            kind = "Split {!r} of {} is none of TRAIN, VAL, TEST"
            self._report(row, kind, record.Split[:40], record["clip"])
        named = table["clip"] != ""
        for row in table.index[known & ~named]:
            self._report(row, "FileName is empty")
        return table[known & named]

    def _without_duplicates(self, table: pd.DataFrame) -> pd.DataFrame:
        """Keep the first row of each clip, and no row of a clip listed in two splits."""
        repeated = table["clip"].duplicated(keep="first")
        two_splits = table.groupby("clip").split.transform("nunique") > 1
        for row, record in table[repeated | two_splits].iterrows():
            kind = "{} is listed again"
            if two_splits[row]:
                kind = "{} is listed in two splits, which would leak it into both"
            self._report(row, kind, record["clip"])
        return table[~repeated & ~two_splits]

    def _without_leaks(self, table: pd.DataFrame) -> pd.DataFrame:
        """Leave out clips of patients who also have clips in a later split.

        What a network learns from one clip of a patient helps it with the others, so a patient
        must not be in two splits. The clips of the test split stay, then those of the validation.
        """
        order = table.split.map(SPLITS.index)
        latest = order.groupby(table.patient).transform("max")
        for row, record in table[order < latest].iterrows():
            kind = "{} is in the split {}, another clip of its patient {} in {}, which would leak"
            values = record["clip"], record.split, record.patient, SPLITS[int(latest[row])]
            self._report(row, kind, *values)
        return table[order == latest].copy()

    def _nothing_usable(self, table: pd.DataFrame) -> DataError:
        """The error where no row is left: how many rows have which Split, and what is known."""
        counts = table.Split.str.strip().value_counts()
        words = [f"{word[:40]!r} in {count}" for word, count in counts[:WORDS_SHOWN].items()]
        words += [f"{len(counts) - WORDS_SHOWN} other words"] if len(counts) > WORDS_SHOWN else []
        left_out = [problem for problem in self.problems if problem.action == "left out"]
        return DataError(
            f"{self.path}: none of its {len(table)} rows can be used. Rows with each Split: "
            f"{', '.join(words)}. Known are TRAIN, VAL and TEST, and the folds 0 to 9 of "
            f"EchoNet-Pediatric. Correct the column, or use the original file.\n"
            f"{problem_summary(left_out)}"
        )

    def _check_sizes(self, table: pd.DataFrame) -> None:
        """Report clips whose listed frame size is not that of most clips."""
        height, width = self.frame_shape
        listed = table.FrameHeight.notna() & table.FrameWidth.notna()
        other = listed & ((table.FrameHeight != height) | (table.FrameWidth != width))
        for row, record in table[other].iterrows():
            size = f"{record.FrameHeight:.0f} x {record.FrameWidth:.0f}"
            kind = f"{{}} is listed as {{}} px, most clips as {height} x {width} px"
            self._report(row, kind, record["clip"], size, action="noted")

    def _with_videos(self, table: pd.DataFrame, videos: Path) -> pd.DataFrame:
        """Keep the clips whose video exists, with its path as a column."""
        if not videos.is_dir():
            raise DataError(f"{videos} is missing. Download the videos of the data set into it.")
        table["path"] = table["clip"].map(find_videos(videos))
        missing = table.path.isna()
        for row, record in table[missing].iterrows():
            self._report(row, "Videos/{}.avi is missing", record["clip"])
        if missing.all():
            raise DataError(
                f"{videos} holds none of the {len(table)} clips in {FILE_LIST} "
                f"(first: {table['clip'].iloc[0]}.avi). Check that the download is complete."
            )
        return table[~missing]


def in_per_cent(ef: pd.Series, file: str, problems: list[Problem]) -> pd.Series:
    """Ejection fractions in per cent, also of a table that lists shares, which is reported."""
    if not 0 < ef.max() <= 1:  # no heart that beats ejects 1 per cent or less
        return ef
    kind = "EF is a share in all rows; it was multiplied by 100"
    problems.append(Problem.of(file, None, kind, action="mended"))
    return 100 * ef


def find_videos(folder: Path) -> dict[str, Path]:
    """Map names of clips to their videos.

    An AVI comes before other videos of the same name. A file of another kind keeps its suffix, so
    that no clip has its name; a file without any suffix is a video under its whole name.
    """

    def priority(path: Path) -> int:
        suffix = suffix_of(path)
        return VIDEO_SUFFIXES.index(suffix) if suffix in VIDEO_SUFFIXES else len(VIDEO_SUFFIXES)

    files = sorted(filter(Path.is_file, folder.iterdir()), key=lambda path: (-priority(path), path))
    return {
        clip_name(path) if suffix_of(path) in VIDEO_SUFFIXES else plain_name(path.name): path
        for path in files
    }


def _patient(clip: str) -> str:
    """The patient of a clip of EchoNet-Pediatric, which is named patient-accession-instance."""
    return clip.split("-")[0] if clip.count("-") >= 2 else clip


def _most_common(values: pd.Series, default: int) -> int:
    counts = values.dropna().value_counts()
    return int(counts.index[0]) if len(counts) else default
