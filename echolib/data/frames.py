"""The labelled frames of a data set as plain arrays and a table."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from ..errors import DataError
from ..files import atomic_path
from ..geometry import drawn_rounded
from .clips import Clip
from .letterbox import Letterbox

SPLITS = ("train", "val", "test")
COLUMNS = [
    "clip",  # name of the clip the frame is from
    "frame",  # 0-based index in the clip
    "phase",  # ED, ES or empty
    "split",  # train, val or test
    "patient",
    "source",  # name of the data set
    "fps",  # frames a second, NaN where unknown
    "spacing",  # mm per px of the packed image, NaN where unknown
    "height",  # of the source frame, px
    "width",
]
TEXT_COLUMNS = ("clip", "phase", "split", "patient", "source")


@dataclass(frozen=True)
class Problem:
    """Something malformed that a reader met: where, what, and what it did about it.

    action: "left out" (the record is not in the result), "mended" (used after a repair) or
    "noted" (used as it is). row: 1-based line of the file, None where the whole file is meant.
    """

    file: str
    row: int | None
    reason: str
    action: str = "left out"

    def __str__(self) -> str:
        where = self.file if self.row is None else f"{self.file}, row {self.row}"
        return f"{where}: {self.reason} ({self.action})"


def problem_table(problems: Iterable[Problem]) -> pd.DataFrame:
    """Problems as a table: file, row, reason, action."""
    columns = ["file", "row", "reason", "action"]
    table = pd.DataFrame([vars(problem) for problem in problems], columns=columns)
    return table.astype({"row": "Int64"})  # whole numbers, where a whole file has none


def problem_summary(problems: Iterable[Problem]) -> str:
    """One line a kind: how often each action was taken, with the first example of it."""
    table = problem_table(problems)
    if table.empty:
        return "no problems found"
    kinds = table.reason.str.replace(r"-?\d+(\.\d+)?", "#", regex=True)
    lines = []
    for (action, _), rows in table.groupby(["action", kinds], sort=False):
        lines.append(f"{len(rows)} x {action}: {rows.reason.iloc[0]} (first: {rows.file.iloc[0]})")
    return "\n".join(lines)


@dataclass(frozen=True)
class LabelledFrame:
    """One frame with its expert label, in the geometry of its source.

    image: (H, W) uint8. mask: (H, W) bool. landmarks: (40, 2) float32 px or None.
    fps: frames a second or None. spacing: mm per px or None. regions: (H, W) uint8 as in a
    FrameSet, or None.
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
    """What every reader offers.

    table has a row a clip (index: its name) with at least patient, split, fps; problems holds
    what the tables of the data set itself were found to lack.
    """

    name: str
    folder: Path
    table: pd.DataFrame
    problems: list[Problem]

    def labelled(self, clip: str) -> tuple[list[LabelledFrame], list[Problem]]:
        """The labelled frames of one clip, and what of it was malformed. Thread-safe."""

    def clip(self, clip: str) -> Clip:
        """All frames of one clip. Raises DataError where they cannot be read."""

    def fingerprint(self) -> str:
        """Short text that changes when the files of the data set change."""


@dataclass(frozen=True)
class FrameSet:
    """The labelled frames of a data set, all of one square size.

    images: (N, S, S) uint8. masks: (N, S, S) bool. landmarks: (N, 40, 2) float32 px of the
    square, or None. table: N rows of `COLUMNS`. problems: what the reader met. regions:
    (N, S, S) uint8 or None, where more than the cavity is known: 0 background, 1 cavity (the
    same as the mask), 2 wall of the left ventricle, 3 left atrium; or, of the mitral valve,
    1 leaflets, 2 what else lies in the valve's box. neighbours: (N, 2, S, S) uint8 or None, two
    frames that are seen beside each image: those before and after it, or, where a network is to
    know how far the walls move, the end-diastolic and the end-systolic one (`within_cycle`).
    """

    images: np.ndarray
    masks: np.ndarray
    landmarks: np.ndarray | None
    table: pd.DataFrame
    problems: tuple[Problem, ...] = ()
    regions: np.ndarray | None = None
    neighbours: np.ndarray | None = None

    def __post_init__(self) -> None:
        count = len(self.table)
        arrays = {"images": self.images, "masks": self.masks}
        arrays |= self._optional
        wrong = [f"{name} {a.shape}" for name, a in arrays.items() if len(a) != count]
        if wrong or self.images.shape != self.masks.shape:
            raise ValueError(f"Frames, masks and table ({count} rows) do not match: {wrong}.")
        missing = [column for column in COLUMNS if column not in self.table]
        if missing:
            raise ValueError(f"The table lacks the columns {missing}.")

    @property
    def _optional(self) -> dict[str, np.ndarray]:
        """The arrays that not every set has, by name."""
        names = ("landmarks", "regions", "neighbours")
        some = {name: getattr(self, name) for name in names}
        return {name: array for name, array in some.items() if array is not None}

    def __len__(self) -> int:
        return len(self.table)

    @property
    def size(self) -> int:
        """Side of the square frames in px."""
        return self.images.shape[1]

    @property
    def outputs(self) -> int:
        """Regions that are known beside the background; 1 where only the masks are."""
        return 1 if self.regions is None else max(1, int(np.max(self.regions, initial=1)))

    @property
    def inputs(self) -> int:
        """Frames that a network sees at a time: 3 with neighbours, else 1."""
        return 1 if self.neighbours is None else 3

    @cached_property
    def rounded(self) -> bool:
        """Whether the masks were drawn through landmarks rounded to whole px (`drawn_rounded`)."""
        if self.landmarks is None or not len(self):
            return False
        some = np.linspace(0, len(self) - 1, min(len(self), 25)).round().astype(int)
        return np.mean([drawn_rounded(self.landmarks[i], self.masks[i]) for i in some]) > 0.5

    def fingerprint(self) -> str:
        """Short text that changes with any pixel, label or row of the table."""
        digest = hashlib.sha256(self.table.to_csv(index=False).encode())
        for array in (self.images, self.masks, *self._optional.values()):
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()[:16]

    def select(self, rows: np.ndarray) -> "FrameSet":
        """The frames at `rows`: a boolean array of length N, or indices."""
        rows = np.asarray(rows)
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows
        return replace(
            self,
            images=self.images[rows],
            masks=self.masks[rows],
            table=self.table.iloc[rows].reset_index(drop=True),
            **{name: array[rows] for name, array in self._optional.items()},
        )

    @staticmethod
    def joined(sets: "Iterable[FrameSet]") -> "FrameSet":
        """Several sets as one, in their order; what one of them does not know is left out."""
        if not (sets := list(sets)):
            raise ValueError("There are no sets to join.")
        known = set.intersection(*(set(some._optional) for some in sets))

        def stack(name: str) -> np.ndarray:
            return np.concatenate([getattr(some, name) for some in sets])

        table = pd.concat([some.table for some in sets], ignore_index=True)
        problems = tuple(problem for some in sets for problem in some.problems)
        optional = {"landmarks": None} | {name: stack(name) for name in known}
        return FrameSet(stack("images"), stack("masks"), table=table, problems=problems, **optional)

    def split(self, name: str) -> "FrameSet":
        """The frames of one split: "train", "val", "test", or "all"."""
        if name == "all":
            return self
        if name not in SPLITS:
            raise ValueError(f"Unknown split {name!r}; expected one of {SPLITS} or 'all'.")
        return self.select((self.table.split == name).to_numpy())

    def spread(self, count: int) -> "FrameSet":
        """At most `count` frames, whole clips spread evenly over the set; one clip at least."""
        if not len(self):
            return self
        clips = self.table["clip"].unique()
        per_clip = int(self.table["clip"].value_counts().max())
        number = max(1, min(len(clips), count // per_clip))
        chosen = clips[np.linspace(0, len(clips) - 1, number).round().astype(int)]
        return self.select(self.table["clip"].isin(chosen).to_numpy())

    def frame(self, index: int) -> LabelledFrame:
        """One frame as a LabelledFrame, in the geometry of the square."""
        row = self.table.iloc[index]
        optional = {name: np.array(array[index]) for name, array in self._optional.items()}
        landmarks = optional.pop("landmarks", None)
        optional.pop("neighbours", None)
        known = {
            name: None if pd.isna(row[name]) else float(row[name]) for name in ("fps", "spacing")
        }
        text = {name: row[name] for name in TEXT_COLUMNS}
        image, mask = np.array(self.images[index]), np.array(self.masks[index])
        text |= {"frame": int(row.frame)}
        return LabelledFrame(image, mask, landmarks, **text, **known, **optional)

    def save(self, folder: str | Path) -> None:
        """Write the set as `.npy` files and two CSVs, whole or not at all."""
        with atomic_path(folder) as temporary:
            temporary.mkdir()
            arrays = {"images": self.images, "masks": self.masks} | self._optional
            for name, array in arrays.items():
                np.save(temporary / f"{name}.npy", array)
            self.table.to_csv(temporary / "frames.csv", index=False)
            problem_table(self.problems).to_csv(temporary / "problems.csv", index=False)

    @classmethod
    def load(cls, folder: str | Path) -> "FrameSet":
        """Open a saved set, its arrays memory-mapped. Raises DataError when it is not one."""
        folder = Path(folder)
        try:
            text = dict.fromkeys(TEXT_COLUMNS, str)
            table = pd.read_csv(
                folder / "frames.csv",
                dtype=text,
                keep_default_na=False,
                na_values={"fps": "", "spacing": ""},
            )
            images, masks = (
                np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("images", "masks")
            )
            optional = {
                name: np.load(folder / f"{name}.npy", mmap_mode="r")
                for name in ("landmarks", "regions", "neighbours")
                if (folder / f"{name}.npy").is_file()
            }
            landmarks = optional.pop("landmarks", None)
            found = pd.read_csv(folder / "problems.csv", dtype={"row": "Int64"})
            problems = json.loads(found.to_json(orient="records"))
            problems = tuple(Problem(**problem) for problem in problems)
            return cls(images, masks, landmarks, table, problems, **optional)
        except (OSError, ValueError, EOFError, TypeError) as error:
            raise DataError(
                f"{folder} is not a whole set of packed frames ({error}). "
                "Remove the folder and pack the data set again."
            ) from error


def with_neighbours(frames: FrameSet, inputs: int) -> np.ndarray:
    """(N, inputs, S, S) uint8 images as a network of 1 or 3 inputs sees them.

    Three: the frame between its two neighbours, or thrice itself where none are known.
    """
    images = np.array(frames.images, np.uint8)[:, None]
    if inputs == 1:
        return images
    known = frames.neighbours
    before, after = (images, images) if known is None else (known[:, :1], known[:, 1:])
    return np.concatenate([before, images, after], axis=1)


def within_cycle(frames: FrameSet) -> FrameSet:
    """The frames between the end-diastolic and the end-systolic frame of their clips.

    These become the neighbours. Frames of clips that lack one of the two are left out.
    """
    ends = {}
    for phase in ("ED", "ES"):
        rows = frames.table[frames.table.phase == phase]
        ends[phase] = pd.Series(rows.index, rows["clip"]).groupby(level=0).first()
    clips = frames.table["clip"]
    known = clips.isin(ends["ED"].index) & clips.isin(ends["ES"].index)
    places = [clips[known].map(ends[phase]).to_numpy(int) for phase in ("ED", "ES")]
    beside = np.stack([np.asarray(frames.images)[rows] for rows in places], axis=1)
    return replace(frames.select(known.to_numpy()), neighbours=beside)


def to_square(frame: LabelledFrame, size: int) -> LabelledFrame:
    """The labelled frame padded and resized to (size, size), its landmarks and spacing too."""
    box = Letterbox(*frame.image.shape, size)
    landmarks = None if frame.landmarks is None else box.points(frame.landmarks)
    spacing = None if frame.spacing is None else frame.spacing / box.scale
    changed = {"image": box.image(frame.image), "mask": box.mask(frame.mask)}
    changed |= {"landmarks": landmarks, "spacing": spacing}
    if frame.regions is not None:
        changed["regions"] = box.regions(frame.regions)
    return LabelledFrame(**{**vars(frame), **changed})


def labelled_frames(data: "Dataset | FrameSet", split: str = "all") -> Iterator[LabelledFrame]:
    """The labelled frames of one split, one after the other, in their source's geometry."""
    if isinstance(data, FrameSet):
        chosen = data.split(split)
        yield from (chosen.frame(index) for index in range(len(chosen)))
        return
    if split not in (*SPLITS, "all"):
        raise ValueError(f"Unknown split {split!r}; expected one of {SPLITS} or 'all'.")
    table = data.table
    for clip in table.index[(table.split == split) | (split == "all")]:
        yield from data.labelled(clip)[0]
