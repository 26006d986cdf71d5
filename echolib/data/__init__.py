"""Readers: whatever people have on their disk, as clips and labelled frames."""

from pathlib import Path

from ..errors import DataError
from .camus import Camus, camus_images
from .clips import Clip, example_clip, read_clip
from .echonet import EchoNet
from .frames import (
    Dataset,
    FrameSet,
    LabelledFrame,
    Problem,
    labelled_frames,
    problem_summary,
    problem_table,
)
from .letterbox import Letterbox
from .packing import pack, pack_once
from .valve.nn_mitralseg import read_nn_mitralseg
from .valve.study import MitralStudy, ValveClip, open_mitral, read_mitral_pickle

__all__ = [
    "Camus", "Clip", "DataError", "Dataset", "EchoNet", "FrameSet", "LabelledFrame", "Letterbox",
    "MitralStudy", "Problem", "ValveClip", "example_clip", "labelled_frames", "open_data",
    "open_mitral", "pack", "pack_once", "problem_summary", "problem_table", "read_clip",
    "read_mitral_pickle", "read_nn_mitralseg",
]  # fmt: skip


def open_data(folder: str | Path) -> Dataset | FrameSet:
    """Open a data set folder of any known kind, recognised by its files.

    Raises DataError when the folder is missing or of no known kind.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder. Give the folder of a data set.")
    if (folder / "frames.csv").is_file():
        return FrameSet.load(folder)
    if (folder / "FileList.csv").is_file() or (folder / "VolumeTracings.csv").is_file():
        return EchoNet(folder)
    if camus_images(folder) is not None:
        return Camus(folder)
    found = sorted(path.name for path in folder.iterdir())[:5]
    raise DataError(
        f"{folder} is no data set that is known here: expected FileList.csv and "
        "VolumeTracings.csv (EchoNet), database_nifti/ (CAMUS) or frames.csv (a packed set); "
        f"found {found or 'nothing'}."
    )
