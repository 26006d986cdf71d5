"""EchoNet-Dynamic and EchoNet-Pediatric: clips with traced left ventricles.

Both are a folder with `FileList.csv` (a row a clip), `VolumeTracings.csv` (the outlines) and
`Videos/*.avi`. EchoNet-Dynamic traces with a long axis and chords (X1, Y1, X2, Y2), two frames a
clip; EchoNet-Pediatric with a polygon (X, Y). Sources: Ouyang et al., Nature 580 (2020); Reddy
et al., J Am Soc Echocardiogr 36 (2023).
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
    rows_to_tracing,
)
from .clips import Clip
from .frames import SPLITS, LabelledFrame, Problem
from .video import decode_video

CHORD_COLUMNS = ["X1", "Y1", "X2", "Y2"]
POLYGON_COLUMNS = ["X", "Y"]
NUMBERS = ["EF", "ESV", "EDV", "FrameHeight", "FrameWidth", "FPS", "NumberOfFrames"]
PEDIATRIC_SPLITS = {**{str(fold): "train" for fold in range(8)}, "8": "val", "9": "test"}


def read_table(path: Path, needed: list[str]) -> pd.DataFrame:
    """Read a CSV as text, a column at a time left for the caller to turn into numbers.

    Raises DataError naming the file when it is missing, empty, not text, or lacks a column.
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
    """Raise DataError naming the file where the table lacks one of the columns."""
    missing = [column for column in needed if column not in table]
    if missing:
        raise DataError(
            f"{path} lacks the columns {missing}; it has {list(table)}. "
            "Check that this is the data set's own file, with its header."
        )


class EchoNet:
    """Reader of an EchoNet-Dynamic or EchoNet-Pediatric folder, told apart by their columns.

    Attributes: name; folder; pediatric; table (a row a clip, index its name, with patient, split,
    fps, EF, ESV, EDV, frames and path); problems; frame_shape, the (H, W) that coordinates are in.
    """

    def __init__(self, folder: str | Path) -> None:
        """Read the two tables and look which videos are there; no video is opened."""
        self.folder = Path(folder)
        self.problems: list[Problem] = []
        if not self.folder.is_dir():
            raise DataError(f"{self.folder} is not a folder. Give the one with FileList.csv in it.")
        path = self.folder / "VolumeTracings.csv"
        tracings = read_table(path, ["FileName", "Frame"])
        self.pediatric = "X1" not in tracings and "X" in tracings
        self.name = "echonet-pediatric" if self.pediatric else "echonet-dynamic"
        self.columns = POLYGON_COLUMNS if self.pediatric else CHORD_COLUMNS
        require_columns(path, tracings, self.columns)
        self.table = self._read_clips()
        self._rows = self._read_tracings(tracings)
        untraced = [clip for clip in self.table.index if clip not in self._rows]
        for clip in untraced:
            self._report("VolumeTracings.csv", None, f"no traced frame of the clip {clip}")
        self.table = self.table.drop(index=untraced)
        if self.table.empty:
            listed = "\n".join(str(problem) for problem in self.problems[:5])
            raise DataError(f"{self.folder}: no clip is both listed and traced. First:\n{listed}")

    def _report(self, file: str, row: int | None, reason: str, action: str = "left out") -> None:
        self.problems.append(Problem(file, row, reason, action))

    # --- FileList.csv -----------------------------------------------------------------------

    def _read_clips(self) -> pd.DataFrame:
        file = "FileList.csv"
        table = read_table(self.folder / file, ["FileName", "EF", "Split"])
        table["row"] = np.arange(len(table)) + 2
        table["stem"] = table.FileName.map(lambda name: Path(name.strip()).stem)
        for column in NUMBERS:
            table[column] = self._numbers(file, table, column)
        table["split"] = table.Split.map(_split_name)
        for _, record in table[~table.split.isin(SPLITS)].iterrows():
            reason = f"Split {record.Split!r} of {record.stem} is none of TRAIN, VAL, TEST"
            self._report(file, record.row, reason)
        table = self._without_duplicates(file, table[table.split.isin(SPLITS)])
        height = _commonest(table.FrameHeight, 112)
        self.frame_shape = (height, _commonest(table.FrameWidth, 112))
        self._check_sizes(file, table)
        table = self._with_videos(table)
        table["patient"] = table.stem  # one clip a patient, in both data sets
        renamed = table.rename(columns={"stem": "clip", "FPS": "fps", "NumberOfFrames": "frames"})
        kept = ["clip", "patient", "split", "fps", "EF", "ESV", "EDV", "frames", "path"]
        return renamed[kept].set_index("clip")

    def _numbers(self, file: str, table: pd.DataFrame, column: str) -> pd.Series:
        if column not in table:
            return pd.Series(np.nan, table.index)
        numbers = pd.to_numeric(table[column], errors="coerce")
        for index in table.index[numbers.isna() & (table[column].str.strip() != "")]:
            reason = f"{column} of {table.stem[index]} is {table[column][index]!r}, not a number"
            self._report(file, table.row[index], reason, "noted")
        return numbers.astype(float)

    def _without_duplicates(self, file: str, table: pd.DataFrame) -> pd.DataFrame:
        repeated = table.stem.duplicated(keep="first")
        parted = set(table.stem[table.groupby("stem").split.transform("nunique") > 1])
        for _, record in table[repeated].iterrows():
            if record.stem in parted:
                reason = f"{record.stem} is listed in two splits, which would leak it"
            else:
                reason = f"{record.stem} is listed again"
            self._report(file, record.row, reason)
        return table[~repeated & ~table.stem.isin(parted)].copy()

    def _check_sizes(self, file: str, table: pd.DataFrame) -> None:
        height, width = self.frame_shape
        known = table.FrameHeight.notna() & table.FrameWidth.notna()
        other = known & ((table.FrameHeight != height) | (table.FrameWidth != width))
        for _, record in table[other].iterrows():
            listed = f"{record.FrameHeight:.0f} x {record.FrameWidth:.0f}"
            reason = f"{record.stem} is listed as {listed}, the others as {height} x {width}"
            self._report(file, record.row, reason, "noted")

    def _with_videos(self, table: pd.DataFrame) -> pd.DataFrame:
        videos = self.folder / "Videos"
        if not videos.is_dir():
            raise DataError(f"{videos} is missing: the folder holds no Videos. Download them.")
        paths = {path.stem: path for path in sorted(videos.iterdir()) if path.is_file()}
        table["path"] = table.stem.map(paths)
        missing = table.path.isna()
        for _, record in table[missing].iterrows():
            self._report("FileList.csv", record.row, f"Videos/{record.stem}.avi is missing")
        if missing.all():
            raise DataError(
                f"{videos} holds none of the {len(table)} clips in FileList.csv "
                f"(first: {table.stem.iloc[0]}.avi). Check the download."
            )
        return table[~missing].copy()

    # --- VolumeTracings.csv -----------------------------------------------------------------

    def _read_tracings(self, table: pd.DataFrame) -> dict[str, dict[int, np.ndarray]]:
        """{clip: {frame: (m, 4) or (m, 2) rows in file order}}; what is no number is NaN."""
        file = "VolumeTracings.csv"
        table["row"] = np.arange(len(table)) + 2
        # of each name once: every one stands in some forty rows
        stems = {name: Path(name.strip()).stem for name in table.FileName.unique()}
        table["stem"] = table.FileName.map(stems)
        frames = pd.to_numeric(table.Frame, errors="coerce")
        usable = np.isfinite(frames) & (frames >= 0) & (frames == frames.round())
        for _, record in table[~usable].drop_duplicates(["stem", "Frame"]).iterrows():
            reason = f"Frame of {record.stem} is {record.Frame!r}, not a frame number"
            self._report(file, record.row, reason)
        listed = table.stem.isin(self.table.index)
        for _, record in table[~listed].drop_duplicates("stem").iterrows():
            self._report(file, record.row, f"{record.stem} is traced but cannot be used")
        table = table[usable & listed].assign(frame=frames[usable & listed].astype(int))
        points = table[self.columns].apply(pd.to_numeric, errors="coerce").to_numpy(float)
        points = np.where(np.isfinite(points).all(axis=1, keepdims=True), points, np.nan)
        for index in np.flatnonzero(np.isnan(points).any(axis=1)):
            record = table.iloc[index]
            found = record[self.columns].tolist()
            self._report(file, record.row, f"coordinates of {record.stem} are {found}")
        rows: dict[str, dict[int, np.ndarray]] = {}
        groups = table.groupby(["stem", "frame"], sort=False).indices
        for (clip, frame), where in groups.items():
            rows.setdefault(clip, {})[frame] = points[where]
        return rows

    # --- One clip ---------------------------------------------------------------------------

    def tracing_rows(self, clip: str) -> dict[int, np.ndarray]:
        """{frame: rows}, the coordinates of a clip's traced frames as the file has them, px."""
        return self._rows[clip]

    def clip(self, clip: str) -> Clip:
        """All frames of a clip. Raises DataError when the video cannot be read."""
        record = self.table.loc[clip]
        fps = None if np.isnan(record.fps) else float(record.fps)
        return Clip(clip, decode_video(record.path), fps, None)

    def labelled(self, clip: str) -> tuple[list[LabelledFrame], list[Problem]]:
        """The traced frames of a clip, end-diastole being the one with the largest area.

        Fewer than two usable frames, which EchoNet-Dynamic's own loader drops too, leave its
        clip out; EchoNet-Pediatric has clips with one phase traced, which are kept.
        """
        path, rows = self.table.path[clip], self._rows[clip]
        file, problems = f"Videos/{path.name}", []
        try:
            frames = decode_video(path, stop=max(rows) + 1)
        except DataError as error:
            reason = str(error).replace(str(path), file)  # a report names no folder of one machine
            return [], [Problem(file, None, reason)]
        if frames.shape[1:] != self.frame_shape:
            size, expected = (f"{h} x {w}" for h, w in (frames.shape[1:], self.frame_shape))
            reason = f"frames are {size} px, the data set's {expected}: its tracings cannot fit"
            return [], [Problem(file, None, reason)]
        masks = {}
        for frame in sorted(rows):
            if frame >= len(frames):
                reason = f"traced frame {frame} is past the end: {len(frames)} frames decode"
                problems.append(Problem(file, None, reason))
                continue
            try:
                *masks[frame], notes = self._label(rows[frame])
            except ValueError as error:
                problems.append(Problem(file, None, f"tracing of frame {frame}: {error}"))
                continue
            for note in notes:
                action = "noted" if note.startswith("outline leaves") else "mended"
                reason = f"tracing of frame {frame}: {note}"
                problems.append(Problem(file, None, reason, action))
        if len(masks) < 2 and not (self.pediatric and masks):
            reason = f"{len(masks)} usable traced frames; ED and ES are both needed"
            return [], [*problems, Problem(file, None, reason)]
        return self._frames(clip, frames, masks), problems

    def _label(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[str]]:
        if self.pediatric:
            mask, landmarks, outline, notes = _polygon_label(rows, self.frame_shape)
        else:
            tracing, notes = rows_to_tracing(rows)
            mask, landmarks = tracing.mask(self.frame_shape), tracing.landmarks
            outline = tracing.polygon
        height, width = self.frame_shape
        if (outline < -0.5).any() or (outline > np.array([width, height]) - 0.5).any():
            notes.append("outline leaves the image and is cut off at its edge")
        if not mask.any():
            raise ValueError("the outline covers no pixel of the image")
        return mask, landmarks, notes

    def _frames(self, clip: str, frames: np.ndarray, masks: dict) -> list[LabelledFrame]:
        area = {frame: int(mask.sum()) for frame, (mask, _) in masks.items()}
        phase = dict.fromkeys(masks, "")
        if len(masks) > 1:
            phase[max(area, key=area.get)] = "ED"
            phase[min(area, key=area.get)] = "ES"
        record = self.table.loc[clip]
        fps = None if np.isnan(record.fps) else float(record.fps)
        return [
            LabelledFrame(
                image=frames[frame], mask=mask, landmarks=landmarks, clip=clip, frame=frame,
                phase=phase[frame], split=record.split, patient=record.patient,
                source=self.name, fps=fps,
            )
            for frame, (mask, landmarks) in masks.items()
        ]  # fmt: skip

    def fingerprint(self) -> str:
        """Hash of the two tables and of the videos' names and sizes."""
        digest = hashlib.sha256()
        for file in ("FileList.csv", "VolumeTracings.csv"):
            digest.update((self.folder / file).read_bytes())
        for path in self.table.path:
            digest.update(f"{path.name} {path.stat().st_size}".encode())
        return digest.hexdigest()[:12]


def _split_name(text: str) -> str:
    text = text.strip()
    return PEDIATRIC_SPLITS.get(text, text.lower())


def _commonest(values: pd.Series, default: int) -> int:
    counts = values.dropna().value_counts()
    return int(counts.index[0]) if len(counts) else default


def _polygon_label(rows: np.ndarray, shape: tuple[int, int]):
    """Mask, landmarks, outline and notes of EchoNet-Pediatric's polygon (m, 2)."""
    outline = rows[np.isfinite(rows).all(axis=1)]
    notes = []
    if len(outline) < len(rows):
        notes.append(f"{len(rows) - len(outline)} points without numbers left out")
    if len(outline) < 3 or polygon_area(outline) < 1:
        raise ValueError(f"{len(outline)} usable points enclose no area")
    if crosses_itself(outline):
        notes.append("self-crossing outline used as it stands")
    mask = polygon_to_mask(outline, shape)
    if not mask.any():
        raise ValueError("the outline covers no pixel of the image")
    return mask, mask_to_tracing(mask).landmarks, outline, notes
