"""Readers of data sets and single files, which return clips and labelled frames."""

from pathlib import Path

from ..errors import DataError, no_folder
from .camus import Camus, find_patients
from .changes import Changes
from .clips import Clip, example_clip, read_clip
from .echonet import EchoNet
from .frame_checks import PACKED
from .frames import Dataset, FrameSet, LabelledFrame, labelled_frames
from .letterbox import Letterbox
from .loose import MEASURED, TABLES, LooseClips, find_clips
from .packing import pack, pack_once
from .problems import Problem, problem_summary, problem_table
from .sector import blank_text, clip_sector, crop_to_sector, find_sector
from .tracings import rows_to_tracing
from .valve.nn_mitralseg import read_nn_mitralseg
from .valve.plain_pickle import read_plain_pickle
from .valve.squares import bounds_of, close_set, crop_around, labelled_valves, whole_set
from .valve.study import MitralStudy, ValveClip, open_mitral, read_mitral_pickle

__all__ = [
    "Camus", "Changes", "Clip", "DataError", "Dataset", "EchoNet", "FrameSet", "LabelledFrame",
    "Letterbox", "LooseClips", "MitralStudy", "Problem", "ValveClip", "blank_text", "bounds_of",
    "clip_sector", "close_set", "crop_around", "crop_to_sector", "example_clip", "find_sector",
    "labelled_frames", "labelled_valves", "open_data", "open_mitral", "pack", "pack_once",
    "problem_summary", "problem_table", "read_clip", "read_mitral_pickle", "read_nn_mitralseg",
    "read_plain_pickle", "rows_to_tracing", "whole_set",
]  # fmt: skip


def _has(folder: Path, names: tuple[str, ...]) -> bool:
    return all((folder / name).is_file() for name in names)


def open_data(folder: str | Path) -> Dataset | FrameSet:
    """Open the folder of a data set. Its files decide which reader opens it.

    A folder of clips without any table is a data set without labels. Raises DataError when the
    folder is missing, holds neither a known layout nor a clip, or holds results of `function`,
    whose videos are not taken for clips.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{no_folder(folder)} Give the folder of a data set.")
    if _has(folder, PACKED):
        return FrameSet.load(folder)
    if any((folder / name).is_file() for name in TABLES):
        return EchoNet(folder)
    if find_patients(folder) is not None:
        return Camus(folder)
    if _has(folder, MEASURED):
        raise DataError(
            f"{folder} holds results of `function` ({', '.join(MEASURED)}): expected a data set or "
            "a folder of clips. Give the folder of the recordings; if they lie here, too, move the "
            "recordings or the results to a folder of their own."
        )
    passed_over: list[Problem] = []
    if next(find_clips(folder, passed_over), None):
        return LooseClips(folder)
    if _has(folder, PACKED[:1]):
        return FrameSet.load(folder)  # says what the packed set lacks
    if passed_over:
        raise DataError(f"{folder} holds no clip: {problem_summary(passed_over)}")
    names = sorted(path.name for path in folder.iterdir())[:5]
    raise DataError(
        f"{folder} holds no data set that echolib can read: expected FileList.csv and "
        "VolumeTracings.csv (EchoNet), database_nifti/ with patients (CAMUS), frames.csv (a packed "
        f"set) or clips, found {names or 'nothing'}. Give the folder that holds these files."
    )
