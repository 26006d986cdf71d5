"""The labelled frames of a data set as plain arrays and a table."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from ..arrays import evenly, read_npy
from ..errors import DataError
from ..files import atomic_path
from ..geometry import drawn_rounded
from .clips import Clip
from .frame_checks import (
    NUMBER_COLUMNS,
    SPLITS,
    TEXT_COLUMNS,
    check_arrays,
    check_table,
    read_frame_table,
    refuse_other_files,
)
from .letterbox import Letterbox
from .problems import Problem, full_table, read_problems

OPTIONAL_ARRAYS = ("landmarks", "regions", "neighbours")  # of a FrameSet
ROUNDING_SAMPLE = 25  # frames that decide how the masks of a set were drawn


def number_or_none(value: float) -> float | None:
    """The value as a float, or None for NaN, which stands for unknown in a table."""
    return None if pd.isna(value) else float(value)


@dataclass(frozen=True)
class LabelledFrame:
    """One frame with its expert label, in the geometry of its source.

    image: (H, W) uint8. mask: (H, W) bool. landmarks: (40, 2) float32 px or None.
    fps: frames per second or None. spacing: mm per px or None. regions: (H, W) uint8, numbered
    as in a FrameSet, or None.
    """

    image: np.ndarray
    mask: np.ndarray
    landmarks: np.ndarray | None
    clip: str
    frame: int
    phase: str
    split: str
    patient: str
    source: str
    fps: float | None = None
    spacing: float | None = None
    regions: np.ndarray | None = None


class Dataset(Protocol):
    """The interface of every reader of a data set.

    table: one row per clip (index: its name), at least with patient, split and fps. problems:
    what is malformed in the tables of the data set.
    """

    name: str
    folder: Path
    table: pd.DataFrame
    problems: list[Problem]

    def labelled(
        self, clip: str, read: Clip | None = None
    ) -> tuple[list[LabelledFrame], list[Problem]]:
        """The labelled frames of one clip, and the problems found. Thread-safe.

        read: this clip where it is at hand, so that no reader needs to decode it again.
        """

    def clip(self, clip: str) -> Clip:
        """All frames of one clip. Raises DataError where they cannot be read."""

    def fingerprint(self) -> str:
        """A short text that changes when the files of the data set change."""


def in_split(table: pd.DataFrame, split: str) -> pd.DataFrame:
    """The rows of a table of clips or frames that are in a split; "all" stands for every split."""
    return table[(table.split == split) | (split == "all")]


@dataclass(frozen=True)
class FrameSet:
    """The labelled frames of a data set, all of one square size.

    images: (N, S, S) uint8. masks: (N, S, S) bool. landmarks: (N, 40, 2) float32 px of the
    square, or None. table: N rows of `COLUMNS`. problems: those that the reader found. regions:
    (N, S, S) uint8, or None where only the masks are known. Ventricle: 0 background, 1 cavity
    (equal to the mask), 2 wall of the left ventricle, 3 left atrium. Mitral valve: 0 background,
    1 leaflets (equal to the mask), 2 the rest of the valve's box. neighbours: (N, 2, S, S) uint8
    or None, two frames that a network gets beside each image: the frames before and after it, or
    the end-diastolic and end-systolic frames, which show how far the walls move (`within_cycle`).
    """

    images: np.ndarray
    masks: np.ndarray
    landmarks: np.ndarray | None
    table: pd.DataFrame
    problems: tuple[Problem, ...] = ()
    regions: np.ndarray | None = None
    neighbours: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Raise DataError where an array or the table is not as the class documents it."""
        check_arrays(
            {"images": self.images, "masks": self.masks} | self._optional_arrays, len(self.table)
        )
        check_table(self.table)

    @property
    def _optional_arrays(self) -> dict[str, np.ndarray]:
        """The optional arrays that this set has, by name."""
        arrays = {name: getattr(self, name) for name in OPTIONAL_ARRAYS}
        return {name: array for name, array in arrays.items() if array is not None}

    def __len__(self) -> int:
        return len(self.table)

    @property
    def size(self) -> int:
        """Side of the square frames in px."""
        return self.images.shape[1]

    @property
    def outputs(self) -> int:
        """Number of regions besides the background; 1 where only the masks are known."""
        return 1 if self.regions is None else max(1, int(np.max(self.regions, initial=1)))

    @property
    def inputs(self) -> int:
        """Number of frames that a network gets as one input: 3 with neighbours, else 1."""
        return 1 if self.neighbours is None else 3

    @property
    def structure(self) -> str:
        """What the masks show: "ventricle", or "leaflets" in a set of the mitral valve, whose table
        says in one column more, `dataset`, who labelled a frame."""
        return "leaflets" if "dataset" in self.table else "ventricle"

    @cached_property
    def rounded(self) -> bool:
        """Whether the masks were drawn through landmarks rounded to whole px (`drawn_rounded`)."""
        if self.landmarks is None or not len(self):
            return False
        rows = evenly(len(self), ROUNDING_SAMPLE)
        drawn = [drawn_rounded(self.landmarks[i], self.masks[i]) for i in rows]
        return bool(np.mean(drawn) > 0.5)

    def fingerprint(self) -> str:
        """A short text that changes with any pixel, label or row of the table."""
        digest = hashlib.sha256(self.table.to_csv(index=False).encode())
        for array in (self.images, self.masks, *self._optional_arrays.values()):
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()[:16]

    def select(self, rows: np.ndarray) -> "FrameSet":
        """The frames at `rows`: a boolean array of length N, or indices."""
        rows = np.asarray(rows)
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows
        optional = {name: array[rows] for name, array in self._optional_arrays.items()}
        return replace(
            self,
            images=self.images[rows],
            masks=self.masks[rows],
            landmarks=optional.get("landmarks"),
            table=self.table.iloc[rows].reset_index(drop=True),
            regions=optional.get("regions"),
            neighbours=optional.get("neighbours"),
        )

    @staticmethod
    def joined(sets: "Iterable[FrameSet]") -> "FrameSet":
        """Join sets in their order; optional arrays that one of them lacks are left out."""
        if not (sets := list(sets)):
            raise ValueError("There are no sets to join; expected one or more.")
        shared = set.intersection(*(set(frames._optional_arrays) for frames in sets))

        def stack(name: str) -> np.ndarray:
            return np.concatenate([getattr(frames, name) for frames in sets])

        table = pd.concat([frames.table for frames in sets], ignore_index=True)
        problems = tuple(problem for frames in sets for problem in frames.problems)
        optional = {"landmarks": None} | {name: stack(name) for name in shared}
        return FrameSet(stack("images"), stack("masks"), table=table, problems=problems, **optional)

    def split(self, name: str) -> "FrameSet":
        """The frames of one split: "train", "val", "test", or "all"."""
        _check_split(name)
        if name == "all":
            return self
        return self.select((self.table.split == name).to_numpy())

    def spread(self, count: int) -> "FrameSet":
        """Choose whole clips evenly over the set: at most `count` frames, but at least one clip."""
        if not len(self):
            return self
        clips = self.table["clip"].unique()
        per_clip = int(self.table["clip"].value_counts().max())
        chosen = clips[evenly(len(clips), max(1, count // per_clip))]
        return self.select(self.table["clip"].isin(chosen).to_numpy())

    def frame(self, index: int) -> LabelledFrame:
        """One frame as a LabelledFrame, in the geometry of the square."""
        row = self.table.iloc[index]
        optional = {name: np.array(a[index]) for name, a in self._optional_arrays.items()}
        landmarks, regions = optional.get("landmarks"), optional.get("regions")
        image, mask = np.array(self.images[index]), np.array(self.masks[index])
        columns = {name: row[name] for name in TEXT_COLUMNS} | {"frame": int(row.frame)}
        columns |= {name: number_or_none(row[name]) for name in NUMBER_COLUMNS}
        return LabelledFrame(image, mask, landmarks, **columns, regions=regions)

    def save(self, folder: str | Path) -> None:
        """Write the set as `.npy` files and two CSVs, completely or not at all.

        A set that lies there is replaced. Raises DataError for a folder with other files.
        """
        refuse_other_files(folder)
        with atomic_path(folder) as temporary:
            temporary.mkdir()
            arrays = {"images": self.images, "masks": self.masks} | self._optional_arrays
            for name, array in arrays.items():
                np.save(temporary / f"{name}.npy", array)
            self.table.to_csv(temporary / "frames.csv", index=False)
            full_table(self.problems).to_csv(temporary / "problems.csv", index=False)

    @classmethod
    def load(cls, folder: str | Path) -> "FrameSet":
        """Open a saved set with memory-mapped arrays. Raises DataError for an incomplete set."""
        folder = Path(folder)
        try:
            table = read_frame_table(folder / "frames.csv")
            names = [n for n in OPTIONAL_ARRAYS if (folder / f"{n}.npy").is_file()]
            images, masks, *optional = (
                read_npy(folder / f"{name}.npy", mapped=True)
                for name in ("images", "masks", *names)
            )
            arrays = {"landmarks": None} | dict(zip(names, optional, strict=True))
            problems = read_problems(folder / "problems.csv")
            return cls(images, masks, table=table, problems=problems, **arrays)
        except DataError as error:
            raise DataError(
                f"{folder} is not a complete set of packed frames. {error} "
                "Move the folder away and pack the data set again."
            ) from error


def with_neighbours(frames: FrameSet, inputs: int) -> np.ndarray:
    """Images (N, inputs, S, S) uint8 for a network of 1 or 3 inputs.

    The three inputs are a frame between its two neighbours. A set without neighbours repeats
    each frame three times.
    """
    images = np.array(frames.images, np.uint8)[:, None]
    if inputs == 1:
        return images
    before = after = images
    if frames.neighbours is not None:
        before, after = frames.neighbours[:, :1], frames.neighbours[:, 1:]
    return np.concatenate([before, images, after], axis=1)


def within_cycle(frames: FrameSet) -> FrameSet:
    """Take the end-diastolic and end-systolic frames of each clip as its frames' neighbours.

    Frames of clips that lack one of the two phases are left out.
    """
    ends = {}
    for phase in ("ED", "ES"):
        table = frames.table[frames.table.phase == phase]
        ends[phase] = pd.Series(table.index, table["clip"]).groupby(level=0).first()
    clips = frames.table["clip"]
    complete = clips.isin(ends["ED"].index) & clips.isin(ends["ES"].index)
    images = np.asarray(frames.images)
    pair = [images[clips[complete].map(ends[phase]).to_numpy(int)] for phase in ("ED", "ES")]
    return replace(frames.select(complete.to_numpy()), neighbours=np.stack(pair, axis=1))


def to_square(frame: LabelledFrame, size: int) -> LabelledFrame:
    """Pad and resize a labelled frame to (size, size), with its landmarks and spacing."""
    height, width = frame.image.shape
    square = Letterbox(height, width, size)
    return replace(
        frame,
        image=square.image(frame.image),
        mask=square.mask(frame.mask),
        landmarks=None if frame.landmarks is None else square.points(frame.landmarks),
        spacing=None if frame.spacing is None else frame.spacing / square.scale,
        regions=None if frame.regions is None else square.regions(frame.regions),
    )


def _check_split(name: str) -> None:
    if name not in (*SPLITS, "all"):
        raise ValueError(f"Unknown split {name!r}; expected one of {SPLITS} or 'all'.")


def labelled_frames(
    data: "Dataset | FrameSet", split: str = "all", problems: list[Problem] | None = None
) -> Iterator[LabelledFrame]:
    """Yield the labelled frames of one split, in the geometry of their source.

    data: a reader, or a FrameSet, whose frames stay squares. split: "train", "val", "test" or
    "all". problems: list to which the problems of the clips are added.
    """
    _check_split(split)
    if isinstance(data, FrameSet):
        chosen = data.split(split)
        yield from (chosen.frame(index) for index in range(len(chosen)))
        return
    for clip in in_split(data.table, split).index:
        frames, found = data.labelled(clip)
        if problems is not None:
            problems += found
        yield from frames
