"""EchoNet-Dynamic and EchoNet-Pediatric: clips with traced left ventricles.

Each data set is a folder with `FileList.csv` (one row per clip), `VolumeTracings.csv` (the
outlines) and `Videos/*.avi`. EchoNet-Dynamic has two traced frames per clip, each with a long axis
and chords (X1, Y1, X2, Y2). EchoNet-Pediatric traces with a polygon (X, Y). A folder of
corrections (`echolib.corrections`) is laid out as EchoNet-Dynamic, with `provenance.csv` beside. So
is a phantom study (`echolib.phantom`), with `study.json` beside.
Sources: Ouyang et al., Nature 580 (2020); Reddy et al., J Am Soc Echocardiogr 36 (2023).
"""

import hashlib
import os
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import DataError, no_folder
from ..geometry import (
    crosses_itself,
    mask_to_tracing,
    polygon_area,
    polygon_to_mask,
)
from .clips import Clip
from .file_list import FILE_LIST, FileList
from .frames import LabelledFrame, number_or_none
from .names import clip_name
from .problems import Problem, problem_summary
from .tables import read_table, require_columns, to_numbers
from .tracings import rows_to_tracing
from .video import read_video

TRACINGS = "VolumeTracings.csv"
PROVENANCE = "provenance.csv"  # in a folder of corrections: who outlined what
STUDY_CARD = "study.json"  # in the folder of a phantom study: what it is drawn from
PHANTOM = "phantom"  # name of a phantom study, never that of the data set whose layout it has
NOTHING_OUTLINED = "Nobody has outlined a ventricle in this folder of corrections yet."
CHORD_COLUMNS = ["X1", "Y1", "X2", "Y2"]
TRACING_COLUMNS = ("FileName", *CHORD_COLUMNS, "Frame")
POLYGON_COLUMNS = ["X", "Y"]
MOST_FRAMES = 10**6  # of a clip: a larger frame number is none
FARTHEST = 1e4  # px from the corner of a frame: a larger coordinate is none
VISIBLE = 0.8  # smallest share of an outline's area in the frame; more is lost in no real view
CUT_OFF = "outline leaves the image and is cut off at its edge"
CROSSING = "self-crossing outline used as it is"
PEDIATRIC_EF = (
    "The true EF of EchoNet-Pediatric comes from two views by the bullet method (5/6 area x "
    "length), the measured EF from one view by the method of disks: part of the error is the "
    "difference of the methods."
)


class EchoNet:
    """Reader of an EchoNet-Dynamic or EchoNet-Pediatric folder; its files decide which.

    It reads a folder of corrections too. That has any number of traced frames per clip, the first
    of which is ES and the last ED; clips of several sizes; and the patients in `provenance.csv`.

    Attributes: name, such as "echonet-dynamic", which is also the source of the labelled frames;
    that of a phantom study is "phantom"; folder; pediatric; corrected, whether it is a folder of
    corrections; table (one row per clip, index the clip's name, columns patient, split, fps, EF,
    ESV, EDV, frames and path); problems; frame_shape, the (H, W) px of most frames, to which the
    coordinates of the tracings refer; about_ef, a sentence on the method of the listed EF where it
    is not that of disks, else "". A clip has the rate of FileList.csv, and that of its video where
    the file has no rates, as in EchoNet-Pediatric.
    """

    def __init__(self, folder: str | Path) -> None:
        """Read the two tables and list the video files, without opening a video."""
        self.folder = Path(folder)
        self.problems: list[Problem] = []
        if not self.folder.is_dir():
            raise DataError(f"{no_folder(self.folder)} Give the folder that holds {FILE_LIST}.")
        path = self.folder / TRACINGS
        self.corrected = (self.folder / PROVENANCE).is_file()
        advice = {"if_empty": NOTHING_OUTLINED} if self.corrected else {}
        tracings, found = read_table(path, ["FileName", "Frame"], **advice)
        self.pediatric = "X1" not in tracings and "X" in tracings
        self.name = self._find_name()
        self.about_ef = PEDIATRIC_EF if self.pediatric else ""
        self._columns = POLYGON_COLUMNS if self.pediatric else CHORD_COLUMNS
        require_columns(path, list(tracings), self._columns)
        patients = self._read_patients() if self.corrected else None
        listed = FileList(self.folder, self.pediatric, self.problems, patients)
        self.frame_shape = listed.frame_shape
        # the video of a correction has a rate that was made up where the clip had none
        self._has_rates = listed.has_rates or self.corrected
        self._sizes = listed.sizes
        self.problems += found
        self._rows = self._read_tracings(tracings, listed.table.index)
        untraced = [clip for clip in listed.table.index if clip not in self._rows]
        for clip in untraced:
            self._report(None, "no traced frame of the clip {}", clip)
        self.table = listed.table.drop(index=untraced)
        if self.table.empty:
            raise DataError(
                f"{self.folder}: no clip is both listed and traced.\n"
                f"{problem_summary(self.problems)}"
            )

    def _find_name(self) -> str:
        """What the data set is, which its layout alone does not say."""
        if self.corrected:
            return "corrections"
        if (self.folder / STUDY_CARD).is_file():
            return PHANTOM
        return "echonet-pediatric" if self.pediatric else "echonet-dynamic"

    def _report(self, row: int | None, kind: str, *values: object) -> None:
        self.problems.append(Problem.of(TRACINGS, row, kind, *values))

    def _read_patients(self) -> dict[str, str]:
        """The patient of each clip of a folder of corrections, where it is known."""
        table, _ = read_table(self.folder / PROVENANCE, ["file", "patient"])
        known = table[table.patient != ""]
        return dict(zip(known.file, known.patient, strict=True))

    def _read_tracings(
        self, table: pd.DataFrame, clips: pd.Index
    ) -> dict[str, dict[int, np.ndarray]]:
        """Map clip to frame to its (m, 4) or (m, 2) rows in file order, NaN where not a number."""
        # each name only once, because it is repeated in about forty rows
        names = {name: clip_name(name) for name in table.FileName.unique()}
        table["clip"] = table.FileName.map(names)
        frames = to_numbers(table.Frame)
        usable = frames.between(0, MOST_FRAMES) & (frames == frames.round())
        for row, record in table[~usable].drop_duplicates(["clip", "Frame"]).iterrows():
            self._report(
                row, "Frame of {} is {!r}, not a frame number", record["clip"], record.Frame[:40]
            )
        listed = table["clip"].isin(clips)
        for row, record in table[~listed].drop_duplicates("clip").iterrows():
            kind = f"{{}} is traced, but {FILE_LIST} has no usable clip of that name"
            self._report(row, kind, record["clip"])
        table = table[usable & listed].assign(frame=frames[usable & listed].astype(int))
        points = self._coordinates(table)
        rows: dict[str, dict[int, np.ndarray]] = {}
        groups = table.groupby(["clip", "frame"], sort=False).indices
        for (clip, frame), indices in groups.items():
            rows.setdefault(clip, {})[frame] = points[indices]
        if not self.pediatric:
            self._check_axes(points[[indices[0] for indices in groups.values()]])
        return rows

    def _check_axes(self, axes: np.ndarray) -> None:
        """Note it as a problem where most first rows (n, 4) lie across, as no long axis does."""
        across = int((np.abs(axes[:, 0] - axes[:, 2]) > np.abs(axes[:, 1] - axes[:, 3])).sum())
        if 2 * across > len(axes):
            reason = (
                f"in {across} of {len(axes)} tracings the first row, the long axis, lies across "
                "the picture: look whether x and y are swapped"
            )
            self.problems.append(Problem(TRACINGS, None, reason, "noted"))

    def _coordinates(self, table: pd.DataFrame) -> np.ndarray:
        """The coordinates (n, 4) or (n, 2) of rows; NaN in a row that has an impossible one."""
        points = np.column_stack([to_numbers(table[column]) for column in self._columns])
        wrong = ~np.isfinite(points).all(axis=1)
        far = ~wrong & (np.abs(points) > FARTHEST).any(axis=1)
        kinds = {
            "coordinates of {} are {}, not all of them numbers": wrong,
            f"coordinates of {{}} are {{}}, more than {FARTHEST:g} px away": far,
        }
        for kind, rows in kinds.items():
            clips, texts = table["clip"][rows], table[self._columns][rows].to_numpy().tolist()
            for (row, clip), text in zip(clips.items(), texts, strict=True):
                self._report(row, kind, clip, [part[:40] for part in text])
        points[wrong | far] = np.nan
        return points

    # --- One clip ---------------------------------------------------------------------------

    def tracing_rows(self, clip: str) -> dict[int, np.ndarray]:
        """Map each traced frame of a clip to its rows of coordinates in the file, px."""
        return self._rows[clip]

    def clip(self, clip: str) -> Clip:
        """All frames of a clip. Raises DataError when the video cannot be read."""
        return Clip(clip, *self._read_video(clip))

    def _read_video(self, clip: str, stop: int | None = None) -> tuple[np.ndarray, float | None]:
        """Frames (T, H, W) uint8 of a clip, at most `stop`, and frames per second, if known."""
        record = self.table.loc[clip]
        video = read_video(record.path, stop)
        return video.frames, number_or_none(record.fps) if self._has_rates else video.fps

    def labelled(
        self, clip: str, read: Clip | None = None
    ) -> tuple[list[LabelledFrame], list[Problem]]:
        """The traced frames of a clip, and the problems found.

        End-diastole is the frame with the largest area, end-systole the one with the smallest; if
        all areas are equal, the first frame counts as end-diastole and the next as end-systole.
        A clip of EchoNet-Dynamic with fewer than two usable frames is left out, as in the loader of
        its authors. EchoNet-Pediatric and folders of corrections have clips with one, which are
        kept. Outlines are rounded to whole px, as in EchoNet-Dynamic's construction, but not those
        that a person has corrected, whose masks would become 3 % larger. read: this clip where it
        is at hand; else the frames up to the last traced one are decoded.
        """
        path, rows = self.table.path[clip], self._rows[clip]
        file, problems = f"Videos/{path.name}", []
        try:
            if read is None:
                frames, fps = self._read_video(clip, stop=max(rows) + 1)
            else:
                frames, fps = read.frames, read.fps
        except DataError as error:
            reason = str(error).replace(str(path), file)  # reports must not name local folders
            return [], [Problem(file, None, reason)]
        wanted = self._sizes[clip] if self.corrected else self.frame_shape
        if frames.shape[1:] != wanted:
            size, expected = (f"{h:g} x {w:g}" for h, w in (frames.shape[1:], wanted))
            reason = f"frames are {size} px, those of the data set {expected}: tracings cannot fit"
            return [], [Problem(file, None, reason)]
        masks = {}
        for frame in sorted(rows):
            if frame >= len(frames):
                reason = f"traced frame {frame} is past the end: only {len(frames)} frames decode"
                problems.append(Problem(file, None, reason))
                continue
            try:
                *masks[frame], notes = self._label(rows[frame], frames.shape[1:])
            except ValueError as error:
                problems.append(Problem(file, None, f"tracing of frame {frame}: {error}"))
                continue
            for note in notes:
                action = "noted" if note in (CUT_OFF, CROSSING) else "mended"
                reason = f"tracing of frame {frame}: {note}"
                problems.append(Problem(file, None, reason, action))
        if len(masks) < 2 and not ((self.pediatric or self.corrected) and masks):
            reason = f"usable traced frames: {len(masks)}; both ED and ES are needed"
            return [], [*problems, Problem(file, None, reason)]
        return self._labelled_frames(clip, frames, fps, masks), problems

    def _label(
        self, rows: np.ndarray, shape: tuple[int, int]
    ) -> tuple[np.ndarray, np.ndarray, list[str]]:
        """Mask, landmarks and notes from the rows of one frame of (H, W) px.

        Raises ValueError where they give no outline, or an outline without pixels.
        """
        if self.pediatric:
            mask, landmarks, outline, notes = _polygon_label(rows, shape)
        else:
            tracing, notes = rows_to_tracing(rows)
            outline, landmarks = tracing.polygon, tracing.landmarks
            mask = polygon_to_mask(outline, shape, rounded=not self.corrected)
            _check_not_empty(mask)
        shown = mask.sum() / polygon_area(outline)
        if shown < VISIBLE:
            size = f"{shape[0]} x {shape[1]} px"
            raise ValueError(f"{1 - shown:.0%} of the outline lie outside the frame of {size}")
        height, width = shape
        if (outline < -0.5).any() or (outline > np.array([width, height]) - 0.5).any():
            notes.append(CUT_OFF)
        return mask, landmarks, notes

    def _labelled_frames(
        self, clip: str, frames: np.ndarray, fps: float | None, masks: dict
    ) -> list[LabelledFrame]:
        """The LabelledFrames of a clip. masks: {frame: (mask, landmarks)}."""
        area = {frame: int(mask.sum()) for frame, (mask, _) in masks.items()}
        phase = dict.fromkeys(masks, "")
        order = list(self._rows[clip])
        if self.corrected and len(order) > 1:
            phase |= {order[place]: word for place, word in ((0, "ES"), (-1, "ED"))}
        elif len(masks) > 1:
            diastole = max(area, key=area.__getitem__)
            others = [frame for frame in area if frame != diastole]
            phase |= {diastole: "ED", min(others, key=area.__getitem__): "ES"}
        record = self.table.loc[clip]
        return [
            LabelledFrame(
                image=frames[frame], mask=mask, landmarks=landmarks, clip=clip, frame=frame,
                phase=phase[frame], split=record.split, patient=record.patient,
                source=self.name, fps=fps,
            )
            for frame, (mask, landmarks) in masks.items()
        ]  # fmt: skip

    def fingerprint(self) -> str:
        """Hash of the two tables and of the names and sizes of the videos, which are compressed.

        A video that may not be read has no size: once it may, frames are packed anew with it.
        """
        digest = hashlib.sha256()
        for file in (FILE_LIST, TRACINGS):
            digest.update((self.folder / file).read_bytes())
        for path in self.table.path:
            digest.update(os.fsencode(f"{path.name} {_stored_size(path)}"))
        if self.corrected:
            digest.update(" ".join(self.table.patient).encode())
        if self.name == PHANTOM:  # so that what was packed under another name is packed anew
            digest.update(PHANTOM.encode())
        return digest.hexdigest()[:12]


def _stored_size(path: Path) -> int:
    """Bytes of a video; -1 for one that this process cannot read."""
    try:
        return path.stat().st_size if os.access(path, os.R_OK) else -1
    except OSError:
        return -1


def _check_not_empty(mask: np.ndarray) -> None:
    if not mask.any():
        raise ValueError("the outline covers no pixel of the image")


def _once_around(outline: np.ndarray) -> np.ndarray:
    """An outline (m, 2) without its repetitions: a table that was appended twice holds two.

    A second time around would empty the mask, because what lies inside twice counts as outside.
    """
    count = len(outline)
    for times in range(count // 3, 1, -1):
        if count % times == 0 and (outline == np.tile(outline[: count // times], (times, 1))).all():
            return outline[: count // times]
    return outline


def _polygon_label(rows: np.ndarray, shape: tuple[int, int]):
    """Mask, landmarks, outline and notes from a polygon (m, 2) of EchoNet-Pediatric."""
    outline = rows[np.isfinite(rows).all(axis=1)]
    notes = []
    if len(outline) < len(rows):
        notes.append(f"{len(rows) - len(outline)} points without numbers left out")
    once = _once_around(outline)
    if len(once) < len(outline):
        notes.append(
            f"{len(outline) - len(once)} points of an outline that is given again left out"
        )
        outline = once
    if len(outline) < 3 or polygon_area(outline) < 1:
        raise ValueError(f"{len(outline)} usable points enclose no area")
    if crosses_itself(outline):
        notes.append(CROSSING)
    mask = polygon_to_mask(outline, shape)
    _check_not_empty(mask)
    return mask, mask_to_tracing(mask).landmarks, outline, notes
