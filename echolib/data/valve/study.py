"""The mitral valve set of ETH's machine-learning course task: clips with labelled leaflets.

`train.pkl` and `test.pkl` are pickles, compressed with gzip, of a list of dicts. Each dict has a
name and a video (H, W, T) uint8. Training items also have box (H, W) bool around the valve,
label (H, W, T) bool, frames (0-based numbers of the labelled frames) and dataset ("amateur" or
"expert").
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...arrays import read_npy, read_npz
from ...config import data_folder
from ...errors import DataError
from ...files import atomic_path, read_json, remove_leftovers, write_json
from ...locks import make_once
from ..clips import Clip
from ..video import missing_file
from .plain_pickle import read_plain_pickle
from .schema import LABEL_KEYS, frame_numbers, item_name, item_problems

FILES = {"train": "train.pkl", "test": "test.pkl"}
TRUTH_FILE = "test_truth.npz"
FORMAT = 1  # increase it when a change of the code changes the converted files
MAX_LISTED = 10  # problems that an error quotes
ROWS_PER_BLOCK = 16  # rows of a video transposed at a time, few enough for the processor's cache


@dataclass(frozen=True, eq=False, repr=False)
class ValveClip(Clip):
    """A clip of the mitral valve, with labels of some frames or of none.

    dataset: who labelled the clip, "amateur" or "expert"; "" where unknown
    box: (H, W) bool, the region around the valve, the same in all frames, or None
    labelled: 0-based numbers of the labelled frames, ascending
    labels: (n, H, W) bool leaflets in the order of `labelled`, or None without labelled frames
    """

    dataset: str = ""
    box: np.ndarray | None = None
    labelled: tuple[int, ...] = ()
    labels: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Raise DataError where a field is not as the class documents it."""
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
        ascending = list(self.labelled) == sorted(set(self.labelled))
        inside = all(0 <= frame < len(self.frames) for frame in self.labelled)
        if not (ascending and inside and bool(self.labelled) == (self.labels is not None)):
            raise DataError(
                f"Clip {self.name!r}: expected one label per labelled frame and ascending frame "
                f"numbers below {len(self.frames)}, found the frames {self.labelled} "
                f"{'without' if self.labels is None else 'with'} labels."
            )


@dataclass(frozen=True, eq=False)
class MitralStudy:
    """The clips of a mitral valve set, with frames memory-mapped from the converted files.

    folder: the folder of the pickles. train: labelled clips. test: clips without labels.
    """

    folder: Path
    train: list[ValveClip]
    test: list[ValveClip]

    def truth(self, name: str) -> np.ndarray:
        """Labels of all frames of a test clip of a phantom study, (T, H, W) bool.

        Raises DataError where the labels are unknown, as in the real set, or damaged.
        """
        clips = {clip.name: clip for clip in self.test}
        if name not in clips:
            raise DataError(f"{self.folder}: expected the name of a test clip, found {name!r}.")
        path = self.folder / TRUTH_FILE
        if not path.is_file():
            raise DataError(f"{path} is missing: only phantom studies have labels of test clips.")
        labels = read_npz(path, [name])[name]
        if labels.ndim == 3:
            labels = _time_first(labels)
        if labels.dtype != bool or labels.shape != clips[name].frames.shape:
            raise DataError(
                f"{path}: expected labels of {name} with the shape of its video, "
                f"{clips[name].frames.shape} (T, H, W), and dtype bool, found {labels.shape} and "
                f"{labels.dtype}. Copy it together with {FILES['test']}."
            )
        return labels


def read_mitral_pickle(path: str | Path) -> list[ValveClip]:
    """Read the clips of a train.pkl or test.pkl; nothing in the file is executed.

    An item without box, label, frames and dataset is an unlabelled clip. Raises DataError for a
    file that is not a plain pickle, and for malformed items, with a list of their problems.
    """
    path = Path(path)
    items = read_plain_pickle(path)
    if not isinstance(items, list) or not items:
        found = "an empty list" if isinstance(items, list) else f"a {type(items).__name__}"
        raise DataError(f"{path}: expected a list of items, found {found}. Copy the file again.")
    clips, problems = [], []
    names: set[str] = set()
    for number, item in enumerate(items):
        items[number] = None  # frees the memory of an item as soon as its clip is made
        name = item_name(item)
        problems += [f"item {number} ({name}), {text}" for text in item_problems(item, names)]
        if not problems:
            clips.append(_clip(item))
    if problems:
        listed = "\n".join(problems[:MAX_LISTED])
        more = f"\nand {len(problems) - MAX_LISTED} more" if len(problems) > MAX_LISTED else ""
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise DataError(f"{path}: {count} in {len(items)} items.\n{listed}{more}")
    return clips


def open_mitral(folder: str | Path) -> MitralStudy:
    """Open a folder with train.pkl and test.pkl, which is converted once into plain arrays.

    The first call reads the pickles and writes `packed/mitral-...` in the data folder, completely
    or not at all. Later calls open the converted files. A changed pickle is converted again.
    Raises DataError where a pickle is missing or malformed, or a converted file is damaged.
    """
    folder = Path(folder)
    for file in FILES.values():
        if not (folder / file).is_file():
            raise missing_file(folder / file)
    packed = data_folder() / "packed" / f"mitral-{_fingerprint(folder)}"
    remove_leftovers(packed.parent)
    make_once(packed, packed.is_dir, lambda: _convert(folder, packed))
    try:
        tables = read_json(packed / "items.json")
        clips = {split: [_open_clip(packed, row) for row in tables[split]] for split in FILES}
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise DataError(
            f"{packed} is not a complete converted mitral valve set ({error}). Remove the folder "
            f"and open {folder} again."
        ) from error
    return MitralStudy(folder, **clips)


def _convert(folder: Path, packed: Path) -> None:
    """Read the pickles and write their clips as plain arrays, completely or not at all."""
    with atomic_path(packed) as temporary:
        temporary.mkdir()
        tables = {
            split: _write_clips(read_mitral_pickle(folder / file), temporary, split)
            for split, file in FILES.items()
        }
        write_json(tables, temporary / "items.json")


def _fingerprint(folder: Path) -> str:
    """A short text that changes with the path, size or modification time of the pickles."""
    digest = hashlib.sha256(f"{FORMAT} ".encode() + os.fsencode(folder.resolve()))
    for file in FILES.values():
        status = (folder / file).stat()
        digest.update(f" {status.st_size} {status.st_mtime_ns}".encode())
    return digest.hexdigest()[:12]


def _clip(item: dict) -> ValveClip:
    """Make the clip of an item without problems."""
    frames = _time_first(item["video"])
    if not LABEL_KEYS & item.keys():
        return ValveClip(item["name"], frames)
    labelled = tuple(sorted(frame_numbers(item["frames"])))
    labels = _time_first(np.asarray(item["label"], bool)[..., list(labelled)])
    box = np.ascontiguousarray(item["box"], bool)
    return ValveClip(
        item["name"], frames, dataset=item["dataset"], box=box, labelled=labelled, labels=labels
    )


def _time_first(array: np.ndarray) -> np.ndarray:
    """Copy (H, W, T) to a contiguous (T, H, W)."""
    height, width, count = array.shape
    copy = np.empty((count, height, width), array.dtype)
    for start in range(0, height, ROWS_PER_BLOCK):
        rows = slice(start, start + ROWS_PER_BLOCK)
        copy[:, rows] = array[rows].transpose(2, 0, 1)
    return copy


def _write_clips(clips: list[ValveClip], folder: Path, split: str) -> list[dict]:
    """Write the arrays of clips. Returns one row per clip for `_open_clip`."""
    rows = []
    for number, clip in enumerate(clips):
        stem = f"{split}-{number:04d}"  # because names of clips may differ only in case
        optional = {"box": clip.box, "labels": clip.labels}
        arrays = {"frames": clip.frames}
        arrays |= {name: array for name, array in optional.items() if array is not None}
        for name, array in arrays.items():
            np.save(folder / f"{stem}-{name}.npy", array)
        row = {"name": clip.name, "dataset": clip.dataset, "labelled": clip.labelled}
        rows.append(row | {"files": {name: f"{stem}-{name}.npy" for name in arrays}})
    return rows


def _open_clip(folder: Path, row: dict) -> ValveClip:
    """Open one converted clip. The frames are memory-mapped, the box and the few labels are not.

    Each mapped file stays open, and some systems allow only 256 open files.
    """
    arrays: dict[str, Any] = {
        name: read_npy(folder / file, mapped=name == "frames")
        for name, file in row["files"].items()
    }
    return ValveClip(row["name"], dataset=row["dataset"], labelled=tuple(row["labelled"]), **arrays)
