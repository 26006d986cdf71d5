"""EchoNet-Dynamic and EchoNet-Pediatric: clips with traced left ventricles.

Each data set is a folder with `FileList.csv` (one row per clip), `VolumeTracings.csv` (the
outlines) and `Videos/*.avi`. EchoNet-Dynamic has two traced frames per clip, each with a long axis
and chords (X1, Y1, X2, Y2). EchoNet-Pediatric traces with a polygon (X, Y).
Sources: Ouyang et al., Nature 580 (2020); Reddy et al., J Am Soc Echocardiogr 36 (2023).
"""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import DataError
from ..geometry import (
    crosses_itself,
    mask_to_tracing,
    polygon_area,
    polygon_to_mask,
)
from .clips import Clip
from .frames import SPLITS, LabelledFrame, number_or_none
from .problems import Problem, first_problems
from .tracings import rows_to_tracing
from .video import read_video

FILE_LIST = "FileList.csv"
TRACINGS = "VolumeTracings.csv"
CHORD_COLUMNS = ["X1", "Y1", "X2", "Y2"]
POLYGON_COLUMNS = ["X", "Y"]
NUMBER_COLUMNS = ["EF", "ESV", "EDV", "FrameHeight", "FrameWidth", "FPS", "NumberOfFrames"]
PEDIATRIC_SPLITS = {**{str(fold): "train" for fold in range(8)}, "8": "val", "9": "test"}
CUT_OFF = "outline leaves the image and is cut off at its edge"
CROSSING = "self-crossing outline used as it is"


def read_table(path: Path, needed: list[str]) -> pd.DataFrame:
    """Read a CSV as text; the caller converts the columns that hold numbers.

    needed: names of the required columns. Raises DataError, which names the file, when it is
    missing, empty, not text, or lacks a column.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, skipinitialspace=True)
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing. Check that the download is complete.") from error
    except pd.errors.EmptyDataError as error:
        raise DataError(f"{path} is empty. Download it again.") from error
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not a readable CSV: {error}. Download it again.") from error
    require_columns(path, table, needed)
    if table.empty:
        raise DataError(f"{path} has a header but no rows. Download it again.")
    return table


def require_columns(path: Path, table: pd.DataFrame, needed: list[str]) -> None:
    """Raise DataError, which names the file, where the table lacks one of the needed columns."""
    missing = [column for column in needed if column not in table]
    if missing:
        raise DataError(
            f"{path} lacks the columns {missing}; it has {list(table)}. "
            "Check that this is the original file of the data set, with its header."
        )


class EchoNet:
    """Reader of an EchoNet-Dynamic or EchoNet-Pediatric folder; its columns decide which.

    Attributes: name; folder; pediatric; table (one row per clip, index the clip's name, columns
    patient, split, fps, EF, ESV, EDV, frames and path); problems; frame_shape, the (H, W) px of
    the frames to which the coordinates of the tracings refer.
    """

    def __init__(self, folder: str | Path) -> None:
        """Read the two tables and list the video files, without opening a video."""
        self.folder = Path(folder)
        self.problems: list[Problem] = []
        if not self.folder.is_dir():
            raise DataError(
                f"{self.folder} is not a folder. Give the folder that holds {FILE_LIST}."
            )
        path = self.folder / TRACINGS
        tracings = read_table(path, ["FileName", "Frame"])
        self.pediatric = "X1" not in tracings and "X" in tracings
        self.name = "echonet-pediatric" if self.pediatric else "echonet-dynamic"
        self._columns = POLYGON_COLUMNS if self.pediatric else CHORD_COLUMNS
        require_columns(path, tracings, self._columns)
        self.table = self._read_clips()
        self._rows = self._read_tracings(tracings)
        untraced = [clip for clip in self.table.index if clip not in self._rows]
        for clip in untraced:
            self._report(TRACINGS, None, f"no traced frame of the clip {clip}")
        self.table = self.table.drop(index=untraced)
        if self.table.empty:
            raise DataError(
                f"{self.folder}: no clip is both listed and traced. First problems:\n"
                f"{first_problems(self.problems)}"
            )

    def _report(self, file: str, row: int | None, reason: str, action: str = "left out") -> None:
        self.problems.append(Problem(file, row, reason, action))

    # --- FileList.csv -----------------------------------------------------------------------

    def _read_clips(self) -> pd.DataFrame:
        table = read_table(self.folder / FILE_LIST, ["FileName", "EF", "Split"])
        table["row"] = np.arange(len(table)) + 2
        table["stem"] = table.FileName.map(lambda name: Path(name.strip()).stem)
        for column in NUMBER_COLUMNS:
            table[column] = self._numbers(table, column)
        table["split"] = table.Split.map(_split_name)
        for _, record in table[~table.split.isin(SPLITS)].iterrows():
            reason = f"Split {record.Split!r} of {record.stem} is none of TRAIN, VAL, TEST"
            self._report(FILE_LIST, record.row, reason)
        table = self._without_duplicates(table[table.split.isin(SPLITS)])
        height = _most_common(table.FrameHeight, 112)
        self.frame_shape = (height, _most_common(table.FrameWidth, 112))
        self._check_sizes(table)
        table = self._with_videos(table)
        table["patient"] = table.stem  # both data sets have one clip per patient
        renamed = table.rename(columns={"stem": "clip", "FPS": "fps", "NumberOfFrames": "frames"})
        kept = ["clip", "patient", "split", "fps", "EF", "ESV", "EDV", "frames", "path"]
        return renamed[kept].set_index("clip")

    def _numbers(self, table: pd.DataFrame, column: str) -> pd.Series:
        """A column as float, NaN where it is absent, empty or not a number."""
        if column not in table:
            return pd.Series(np.nan, table.index)
        numbers = pd.to_numeric(table[column], errors="coerce")
        for index in table.index[numbers.isna() & (table[column].str.strip() != "")]:
            reason = f"{column} of {table.stem[index]} is {table[column][index]!r}, not a number"
            self._report(FILE_LIST, table.row[index], reason, "noted")
        return numbers.astype(float)

    def _without_duplicates(self, table: pd.DataFrame) -> pd.DataFrame:
        """Keep the first row of each clip, and no row of a clip listed in two splits."""
        repeated = table.stem.duplicated(keep="first")
        in_two_splits = set(table.stem[table.groupby("stem").split.transform("nunique") > 1])
        for _, record in table[repeated].iterrows():
            if record.stem in in_two_splits:
                reason = f"{record.stem} is listed in two splits, which would leak it into both"
            else:
                reason = f"{record.stem} is listed again"
            self._report(FILE_LIST, record.row, reason)
        return table[~repeated & ~table.stem.isin(in_two_splits)].copy()

    def _check_sizes(self, table: pd.DataFrame) -> None:
        """Report clips whose listed frame size is not that of most clips."""
        height, width = self.frame_shape
        listed = table.FrameHeight.notna() & table.FrameWidth.notna()
        other = listed & ((table.FrameHeight != height) | (table.FrameWidth != width))
        for _, record in table[other].iterrows():
            size = f"{record.FrameHeight:.0f} x {record.FrameWidth:.0f}"
            reason = f"{record.stem} is listed as {size} px, most clips as {height} x {width} px"
            self._report(FILE_LIST, record.row, reason, "noted")

    def _with_videos(self, table: pd.DataFrame) -> pd.DataFrame:
        """Keep the clips whose video exists, with its path as a column."""
        videos = self.folder / "Videos"
        if not videos.is_dir():
            raise DataError(f"{videos} is missing. Download the videos of the data set into it.")
        paths = {path.stem: path for path in sorted(videos.iterdir()) if path.is_file()}
        table["path"] = table.stem.map(paths)
        missing = table.path.isna()
        for _, record in table[missing].iterrows():
            self._report(FILE_LIST, record.row, f"Videos/{record.stem}.avi is missing")
        if missing.all():
            raise DataError(
                f"{videos} holds none of the {len(table)} clips in {FILE_LIST} "
                f"(first: {table.stem.iloc[0]}.avi). Check that the download is complete."
            )
        return table[~missing].copy()

    # --- VolumeTracings.csv -----------------------------------------------------------------

    def _read_tracings(self, table: pd.DataFrame) -> dict[str, dict[int, np.ndarray]]:
        """Map clip to frame to its (m, 4) or (m, 2) rows in file order, NaN where not a number."""
        table["row"] = np.arange(len(table)) + 2
        # each name only once, because it is repeated in about forty rows
        stems = {name: Path(name.strip()).stem for name in table.FileName.unique()}
        table["stem"] = table.FileName.map(stems)
        frames = pd.to_numeric(table.Frame, errors="coerce")
        usable = np.isfinite(frames) & (frames >= 0) & (frames == frames.round())
        for _, record in table[~usable].drop_duplicates(["stem", "Frame"]).iterrows():
            reason = f"Frame of {record.stem} is {record.Frame!r}, not a frame number"
            self._report(TRACINGS, record.row, reason)
        listed = table.stem.isin(self.table.index)
        for _, record in table[~listed].drop_duplicates("stem").iterrows():
            reason = f"{record.stem} is traced, but {FILE_LIST} has no usable clip of that name"
            self._report(TRACINGS, record.row, reason)
        table = table[usable & listed].assign(frame=frames[usable & listed].astype(int))
        points = table[self._columns].apply(pd.to_numeric, errors="coerce").to_numpy(float)
        points = np.where(np.isfinite(points).all(axis=1, keepdims=True), points, np.nan)
        for index in np.flatnonzero(np.isnan(points).any(axis=1)):
            record = table.iloc[index]
            texts = record[self._columns].tolist()
            reason = f"coordinates of {record.stem} are {texts}, not all of them numbers"
            self._report(TRACINGS, record.row, reason)
        rows: dict[str, dict[int, np.ndarray]] = {}
        groups = table.groupby(["stem", "frame"], sort=False).indices
        for (clip, frame), indices in groups.items():
            rows.setdefault(clip, {})[frame] = points[indices]
        return rows

    # --- One clip ---------------------------------------------------------------------------

    def tracing_rows(self, clip: str) -> dict[int, np.ndarray]:
        """Map each traced frame of a clip to its rows of coordinates in the file, px."""
        return self._rows[clip]

    def clip(self, clip: str) -> Clip:
        """All frames of a clip. Raises DataError when the video cannot be read."""
        record = self.table.loc[clip]
        return Clip(clip, read_video(record.path).frames, number_or_none(record.fps))

    def labelled(self, clip: str) -> tuple[list[LabelledFrame], list[Problem]]:
        """The traced frames of a clip, and the problems found.

        End-diastole is the frame with the largest area, end-systole the one with the smallest; if
        all areas are equal, the first frame counts as end-diastole and the next as end-systole.
        A clip of EchoNet-Dynamic with fewer than two usable frames is left out, as in the loader of
        its authors. EchoNet-Pediatric has clips with one traced phase, which are kept.
        """
        path, rows = self.table.path[clip], self._rows[clip]
        file, problems = f"Videos/{path.name}", []
        try:
            frames = read_video(path, stop=max(rows) + 1).frames
        except DataError as error:
            reason = str(error).replace(str(path), file)  # reports must not name local folders
            return [], [Problem(file, None, reason)]
        if frames.shape[1:] != self.frame_shape:
            size, expected = (f"{h} x {w}" for h, w in (frames.shape[1:], self.frame_shape))
            reason = f"frames are {size} px, those of the data set {expected}: tracings cannot fit"
            return [], [Problem(file, None, reason)]
        masks = {}
        for frame in sorted(rows):
            if frame >= len(frames):
                reason = f"traced frame {frame} is past the end: only {len(frames)} frames decode"
                problems.append(Problem(file, None, reason))
                continue
            try:
                *masks[frame], notes = self._label(rows[frame])
            except ValueError as error:
                problems.append(Problem(file, None, f"tracing of frame {frame}: {error}"))
                continue
            for note in notes:
                action = "noted" if note in (CUT_OFF, CROSSING) else "mended"
                reason = f"tracing of frame {frame}: {note}"
                problems.append(Problem(file, None, reason, action))
        if len(masks) < 2 and not (self.pediatric and masks):
            reason = f"usable traced frames: {len(masks)}; both ED and ES are needed"
            return [], [*problems, Problem(file, None, reason)]
        return self._labelled_frames(clip, frames, masks), problems

    def _label(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[str]]:
        """Mask, landmarks and notes from the rows of one frame.

        Raises ValueError where they give no outline, or an outline without pixels.
        """
        if self.pediatric:
            mask, landmarks, outline, notes = _polygon_label(rows, self.frame_shape)
        else:
            tracing, notes = rows_to_tracing(rows)
            mask, landmarks = tracing.mask(self.frame_shape), tracing.landmarks
            outline = tracing.polygon
            _check_not_empty(mask)
        height, width = self.frame_shape
        if (outline < -0.5).any() or (outline > np.array([width, height]) - 0.5).any():
            notes.append(CUT_OFF)
        return mask, landmarks, notes

    def _labelled_frames(self, clip: str, frames: np.ndarray, masks: dict) -> list[LabelledFrame]:
        """The LabelledFrames of a clip. masks: {frame: (mask, landmarks)}."""
        area = {frame: int(mask.sum()) for frame, (mask, _) in masks.items()}
        phase = dict.fromkeys(masks, "")
        if len(masks) > 1:
            diastole = max(area, key=area.__getitem__)
            others = [frame for frame in area if frame != diastole]
            phase |= {diastole: "ED", min(others, key=area.__getitem__): "ES"}
        record = self.table.loc[clip]
        return [
            LabelledFrame(
                image=frames[frame], mask=mask, landmarks=landmarks, clip=clip, frame=frame,
                phase=phase[frame], split=record.split, patient=record.patient,
                source=self.name, fps=number_or_none(record.fps),
            )
            for frame, (mask, landmarks) in masks.items()
        ]  # fmt: skip

    def fingerprint(self) -> str:
        """Hash of the two tables and of the names and sizes of the videos."""
        digest = hashlib.sha256()
        for file in (FILE_LIST, TRACINGS):
            digest.update((self.folder / file).read_bytes())
        for path in self.table.path:
            digest.update(f"{path.name} {path.stat().st_size}".encode())
        return digest.hexdigest()[:12]


def _split_name(text: str) -> str:
    text = text.strip()
    return PEDIATRIC_SPLITS.get(text, text.lower())


def _most_common(values: pd.Series, default: int) -> int:
    counts = values.dropna().value_counts()
    return int(counts.index[0]) if len(counts) else default


def _check_not_empty(mask: np.ndarray) -> None:
    if not mask.any():
        raise ValueError("the outline covers no pixel of the image")


def _polygon_label(rows: np.ndarray, shape: tuple[int, int]):
    """Mask, landmarks, outline and notes from a polygon (m, 2) of EchoNet-Pediatric."""
    outline = rows[np.isfinite(rows).all(axis=1)]
    notes = []
    if len(outline) < len(rows):
        notes.append(f"{len(rows) - len(outline)} points without numbers left out")
    if len(outline) < 3 or polygon_area(outline) < 1:
        raise ValueError(f"{len(outline)} usable points enclose no area")
    if crosses_itself(outline):
        notes.append(CROSSING)
    mask = polygon_to_mask(outline, shape)
    _check_not_empty(mask)
    return mask, mask_to_tracing(mask).landmarks, outline, notes
