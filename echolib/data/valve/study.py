"""The mitral valve set of ETH's machine-learning course task: clips with labelled leaflets.

`train.pkl` and `test.pkl` are pickles (compressed with gzip) of a list of dicts: name, video
(H, W, T) uint8 and, for training items, box (H, W) bool around the valve, label (H, W, T) bool,
frames (the labelled ones, 0-based) and dataset ("amateur" or "expert").
"""

import hashlib
import json
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...config import data_folder
from ...errors import DataError
from ...files import atomic_path
from ..clips import Clip
from ..video import missing_file
from .plain_pickle import read_plain_pickle
from .schema import LABEL_KEYS, as_mask, frame_numbers, item_name, item_problems

FILES = {"train": "train.pkl", "test": "test.pkl"}
TRUTH = "test_truth.npz"
FORMAT = 1  # raise it when the converted files would come out differently
LISTED = 10  # problems that an error quotes
ROWS = 16  # of a video turned at a time, few enough for the processor's cache
BROKEN = (OSError, ValueError, LookupError, TypeError, AttributeError, EOFError)
BROKEN += (zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True, eq=False)
class ValveClip(Clip):
    """A clip with some frames labelled, or none.

    dataset: "amateur", "expert", or "" where the file does not say
    box: (H, W) bool, the surroundings of the valve, one for all frames, or None
    labelled: 0-based numbers of the labelled frames, rising
    labels: (n, H, W) bool leaflets in the order of `labelled`, or None where there are none
    """

    dataset: str = ""
    box: np.ndarray | None = None
    labelled: tuple[int, ...] = ()
    labels: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Raise DataError unless the fields are what the class promises."""
        super().__post_init__()
        size = self.frames.shape[1:]
        expected = {"box": size, "labels": (len(self.labelled), *size)}
        for name, shape in expected.items():
            array = getattr(self, name)
            if array is not None and (array.dtype != bool or array.shape != shape):
                raise DataError(
                    f"Clip {self.name!r}: expected {name} of shape {shape} and dtype bool, found "
                    f"{array.shape} and {array.dtype}."
                )
        rising = list(self.labelled) == sorted(set(self.labelled))
        inside = all(0 <= frame < len(self.frames) for frame in self.labelled)
        if not (rising and inside and bool(self.labelled) == (self.labels is not None)):
            raise DataError(
                f"Clip {self.name!r}: expected a label for each of its labelled frames, rising "
                f"numbers below {len(self.frames)}, found {self.labelled}."
            )


@dataclass(frozen=True, eq=False)
class MitralStudy:
    """The clips of a mitral valve set, their frames memory-mapped from the converted files.

    folder: where the pickles are. train: labelled clips. test: clips without labels.
    """

    folder: Path
    train: list[ValveClip]
    test: list[ValveClip]

    def truth(self, name: str) -> np.ndarray:
        """Labels of all frames of a test clip of a phantom study, (T, H, W) bool.

        Raises DataError where they are not known, as for the real set, or damaged.
        """
        clips = {clip.name: clip for clip in self.test}
        if name not in clips:
            raise DataError(f"{self.folder}: expected a test clip, found none of name {name!r}.")
        path = self.folder / TRUTH
        if not path.is_file():
            raise DataError(f"{path} is not there: only phantom studies have labels of test clips.")
        try:
            with np.load(path, allow_pickle=False) as arrays:
                labels = _time_first(arrays[name])
        except BROKEN as error:
            found = f"found a damaged or incomplete file ({error})"
            raise DataError(
                f"{path}: expected labels of {name}, {found}. Copy it again."
            ) from error
        if labels.dtype != bool or labels.shape != clips[name].frames.shape:
            raise DataError(
                f"{path}: expected labels of {name} of the shape of its video, "
                f"{clips[name].frames.shape} (T, H, W), and dtype bool, found {labels.shape} and "
                f"{labels.dtype}. Copy it together with {FILES['test']}."
            )
        return labels


def read_mitral_pickle(path: str | Path) -> list[ValveClip]:
    """The clips of a train.pkl or test.pkl; nothing in the file is executed.

    An item without box, label, frames and dataset is an unlabelled clip. Raises DataError for a
    file that is no plain pickle, and one that lists all that is wrong with its items.
    """
    path = Path(path)
    items = read_plain_pickle(path)
    if not isinstance(items, list) or not items:
        found = f"a {type(items).__name__}" if not isinstance(items, list) else "an empty one"
        raise DataError(f"{path}: expected a list of items, found {found}. Copy the file again.")
    clips, problems, names = [], [], set()
    for number, item in enumerate(items):
        items[number] = None  # memory: an item's arrays go as soon as they have been turned
        some = item_problems(item, names)
        problems += [f"item {number} ({item_name(item)}), {problem}" for problem in some]
        if not problems:
            clips.append(_clip(item))
    if problems:
        listed = "\n".join(problems[:LISTED])
        more = f"\nand {len(problems) - LISTED} more" if len(problems) > LISTED else ""
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise DataError(f"{path}: {count} in {len(items)} items.\n{listed}{more}")
    return clips


def open_mitral(folder: str | Path) -> MitralStudy:
    """Open a folder with train.pkl and test.pkl, converted once into plain arrays.

    The first call reads the pickles and writes `packed/mitral-...` in the data folder, whole or
    not at all; later ones open that. A changed pickle is converted anew. Raises DataError where a
    pickle is missing or malformed, or what was converted is damaged.
    """
    folder = Path(folder)
    for file in FILES.values():
        if not (folder / file).is_file():
            raise missing_file(folder / file)
    packed = data_folder() / "packed" / f"mitral-{_fingerprint(folder)}"
    if not packed.is_dir():
        with atomic_path(packed) as temporary:
            temporary.mkdir()
            tables = {
                split: _write_clips(read_mitral_pickle(folder / file), temporary, split)
                for split, file in FILES.items()
            }
            (temporary / "items.json").write_text(json.dumps(tables, indent=1), encoding="utf-8")
    try:
        tables = json.loads((packed / "items.json").read_text(encoding="utf-8"))
        clips = {split: [_open_clip(packed, row) for row in tables[split]] for split in FILES}
    except BROKEN as error:
        raise DataError(
            f"{packed} is not a whole converted mitral valve set ({error}). Remove the folder and "
            f"open {folder} again."
        ) from error
    return MitralStudy(folder, **clips)


def _fingerprint(folder: Path) -> str:
    """Short text that changes with the place, the size or the time of one of the pickles."""
    digest = hashlib.sha256(f"{FORMAT} {folder.resolve()}".encode())
    for file in FILES.values():
        known = (folder / file).stat()
        digest.update(f" {known.st_size} {known.st_mtime_ns}".encode())
    return digest.hexdigest()[:12]


def _clip(item: dict) -> ValveClip:
    """The clip of an item without problems."""
    frames = _time_first(item["video"])
    if not LABEL_KEYS & item.keys():
        return ValveClip(item["name"], frames)
    labelled = tuple(sorted(frame_numbers(item["frames"])))
    labels = _time_first(as_mask(item["label"])[..., list(labelled)])
    box = np.ascontiguousarray(as_mask(item["box"]))
    return ValveClip(
        item["name"], frames, dataset=item["dataset"], box=box, labelled=labelled, labels=labels
    )


def _time_first(array: np.ndarray) -> np.ndarray:
    """(T, H, W) from (H, W, T)."""
    height, width, count = array.shape
    turned = np.empty((count, height, width), array.dtype)
    for row in range(0, height, ROWS):
        turned[:, row : row + ROWS] = array[row : row + ROWS].transpose(2, 0, 1)
    return turned


def _write_clips(clips: list[ValveClip], folder: Path, split: str) -> list[dict]:
    """Write the arrays of clips; returns what is to be known about each to open it again."""
    rows = []
    for number, clip in enumerate(clips):
        stem = f"{split}-{number:04d}"  # names of clips may differ in case alone
        arrays = {"frames": clip.frames, "box": clip.box, "labels": clip.labels}
        arrays = {name: array for name, array in arrays.items() if array is not None}
        for name, array in arrays.items():
            np.save(folder / f"{stem}-{name}.npy", array)
        row = {"name": clip.name, "dataset": clip.dataset, "labelled": clip.labelled}
        rows.append(row | {"files": {name: f"{stem}-{name}.npy" for name in arrays}})
    return rows


def _open_clip(folder: Path, row: dict) -> ValveClip:
    """One converted clip. Its frames are memory-mapped; the few labels are not.

    Each mapped file stays open, and some systems allow 256 of them.
    """
    arrays = {
        name: np.load(
            folder / file, mmap_mode="r" if name == "frames" else None, allow_pickle=False
        )
        for name, file in row["files"].items()
    }
    return ValveClip(row["name"], dataset=row["dataset"], labelled=tuple(row["labelled"]), **arrays)
