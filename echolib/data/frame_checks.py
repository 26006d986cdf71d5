"""What a set of labelled frames must hold: columns of its table, types and shapes of its arrays."""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import DataError
from ..geometry import LANDMARKS

SPLITS = ("train", "val", "test")
PHASES = ("ED", "ES", "")
COLUMNS = [
    "clip",  # name of the clip that holds the frame
    "frame",  # 0-based index in the clip
    "phase",  # ED, ES or empty
    "split",  # train, val or test
    "patient",
    "source",  # name of the data set
    "fps",  # frames per second, NaN where unknown
    "spacing",  # mm per px of the packed image, NaN where unknown
    "height",  # of the source frame, px
    "width",
]
TEXT_COLUMNS = ("clip", "phase", "split", "patient", "source")
# above 0 and up to this, or unknown: frames per second, mm per px
NUMBER_COLUMNS = {"fps": 1e5, "spacing": 100.0}
# whole numbers, the smallest and the largest of each
WHOLE_COLUMNS = {"frame": (0, 10**7), "height": (1, 10**5), "width": (1, 10**5)}
FURTHEST = 10_000.0  # px from the corner of a square: no landmark lies so far outside
# dtype of each array, and its shape after the number of frames; S is the side of the squares
ARRAYS: dict[str, tuple[type, tuple[int | str, ...]]] = {
    "images": (np.uint8, ("S", "S")),
    "masks": (np.bool_, ("S", "S")),
    "landmarks": (np.float32, (LANDMARKS, 2)),
    "regions": (np.uint8, ("S", "S")),
    "neighbours": (np.uint8, (2, "S", "S")),
}
PACKED = ("frames.csv", "images.npy")  # files by which a packed set is told
# all of a set on disk, and those that systems add to any folder
SET_FILES = {"frames.csv", "problems.csv", *(f"{name}.npy" for name in ARRAYS)}
SET_FILES |= {".DS_Store", "Thumbs.db", "desktop.ini"}


def read_frame_table(path: Path) -> pd.DataFrame:
    """Read the table of a saved FrameSet. Raises DataError, naming the column and the row."""
    try:
        table = pd.read_csv(path, dtype=dict.fromkeys(COLUMNS, str), keep_default_na=False)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as a table: {error}.") from error
    _check_columns(table, str(path))
    for column, most in NUMBER_COLUMNS.items():
        numbers = _numbers(table[column])
        valid = (numbers > 0) & (numbers <= most) | (table[column] == "")
        expected = f"numbers above 0 and up to {most:g}, or nothing"
        _check_all(valid, table[column], f"{path}, column {column}", expected)
        table[column] = numbers.astype(float)
    for column, (least, most) in WHOLE_COLUMNS.items():
        numbers = _numbers(table[column])
        valid = (numbers >= least) & (numbers <= most) & (numbers % 1 == 0)
        expected = f"whole numbers from {least} to {most}"
        _check_all(valid, table[column], f"{path}, column {column}", expected)
        table[column] = numbers.astype(int)
    return table


def refuse_other_files(folder: str | Path) -> None:
    """Raise DataError where a folder holds anything that is no set of packed frames.

    A new set replaces the whole folder. One that is empty or not there is no hindrance.
    """
    folder = Path(folder)
    found = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    others = sorted(found - SET_FILES)
    if others or (found and not found.issuperset(PACKED)):
        raise DataError(
            f"{folder}: expected no folder yet, an empty one, or a set of packed frames, which "
            f"would be replaced; found {', '.join((others or sorted(found))[:4])}. "
            "Name a new folder."
        )


def check_table(table: pd.DataFrame) -> None:
    """Raise DataError for missing columns, and for splits and phases other than the known."""
    _check_columns(table, "The table of the frames")
    _check_all(
        table.split.isin(SPLITS), table.split, "Column split of the frames", f"one of {SPLITS}"
    )
    _check_all(
        table.phase.isin(PHASES), table.phase, "Column phase of the frames", f"one of {PHASES}"
    )


def _numbers(texts: pd.Series) -> pd.Series:
    """Texts as numbers, NaN where they are none."""
    return pd.to_numeric(texts.replace("", "nan"), errors="coerce")


def _check_columns(table: pd.DataFrame, where: str) -> None:
    missing = [column for column in COLUMNS if column not in table]
    if missing:
        raise DataError(f"{where} lacks the columns {missing}; expected all of {COLUMNS}.")


def _check_all(valid: pd.Series, values: pd.Series, where: str, expected: str) -> None:
    """Raise DataError, with the first example, where a value is not valid."""
    wrong = np.flatnonzero(~valid.to_numpy(bool))
    if len(wrong):
        raise DataError(
            f"{where}: expected {expected}, found {values.iloc[wrong[0]]!r} in row {wrong[0] + 2}"
            f"{f' and other values in {len(wrong) - 1} more rows' if len(wrong) > 1 else ''}."
        )


def check_arrays(arrays: Mapping[str, np.ndarray], count: int) -> None:
    """Raise DataError for arrays of other dtypes or shapes than `ARRAYS`, or impossible landmarks.

    arrays: by name, images among them. count: number of frames.
    """
    side = arrays["images"].shape[1] if arrays["images"].ndim > 1 else 0
    for name, array in arrays.items():
        dtype, sides = ARRAYS[name]
        shape = (count, *(side if length == "S" else length for length in sides))
        if array.dtype != dtype or array.shape != shape or side < 1:
            needed = ", ".join(str(length) for length in (count, *sides))
            raise DataError(
                f"{name}: expected {np.dtype(dtype)} of shape ({needed}) for {count} frames, one "
                f"per row of the table, all of one square size S; found {array.dtype} of shape "
                f"{array.shape}{_levels(array)}."
            )
    if "landmarks" in arrays:
        _check_landmarks(arrays["landmarks"])


def possible_landmarks(landmarks: np.ndarray) -> np.ndarray:
    """Which frames' landmarks (N, K, 2) are numbers that can lie on or near an image, (N,) bool."""
    return (np.abs(landmarks) <= FURTHEST).all(axis=(1, 2))  # NaN is not


def _check_landmarks(landmarks: np.ndarray) -> None:
    wrong = np.flatnonzero(~possible_landmarks(landmarks))
    if len(wrong):
        worst = landmarks[wrong[0]]
        value = worst[~(np.abs(worst) <= FURTHEST)][0]
        raise DataError(
            f"landmarks: expected coordinates in px, found {value:g} in frame {wrong[0]}, and "
            f"numbers that are no place in an image in {len(wrong)} of {len(landmarks)} frames."
        )


def _levels(array: np.ndarray) -> str:
    """The values of a wrong array in words, which often tell what it is: masks of 0 and 255."""
    if not array.size or array.dtype.kind not in "biuf" or math.prod(array.shape[1:]) == 0:
        return ""
    sample = np.asarray(array[:16])
    return f" with values from {sample.min():g} to {sample.max():g}"
