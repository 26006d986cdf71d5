"""What all phantom studies share: versions, frame rate, random streams, the study's folder.

A study's folder holds its card, study.json, with the parameters that the study is drawn from.
If writing is interrupted, finished files are kept, and the same call resumes the study.
"""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from tqdm.auto import tqdm

from .. import config
from ..data.echonet import STUDY_CARD
from ..errors import DataError
from ..files import sweep, write_json
from ..locks import make_once
from .workers import in_parallel

# Version of the phantom: raised whenever the same seed gives other bytes.
VERSION = 6
FPS = 50.0
# Frames rendered before the first frame that is kept: a scanner that has been running mixes a
# share of the previous frame into the next one.
WARM_UP_FRAMES = 2
# Each kind of data has a random stream of its own, so that no two kinds share a heart.
CLIP_STREAM, FRAME_STREAM = 0, 1
VALVE_STREAM, CYCLE_STREAM = 2, 3
AMATEUR_STREAM: int = 20  # these three are of the mitral study
EXPERT_STREAM: int = 21
TEST_STREAM: int = 22


def check_seed(seed: int) -> None:
    """Raise ValueError for a negative seed."""
    if seed < 0:
        raise ValueError(f"seed must be 0 or more, not {seed}.")


def claim_folder(folder: Path, study: dict, files: Iterable[str]) -> bool:
    """Reserve a folder for a study by writing its card, unless the card is there already.

    study: the parameters on the card, of JSON's types. files: see `is_finished`. Returns True if
    the folder holds the finished study. Raises DataError, and writes nothing, when the folder is
    a file, holds another study, or holds other files.
    """
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder}: expected a folder, found a file. Choose another name.")
    # killed processes and desktops leave files whose names begin with a dot
    names = sorted(path.name for path in folder.glob("[!.]*"))
    if STUDY_CARD in names:
        _check_card(folder / STUDY_CARD, study)
        return is_finished(folder, files)
    if names:
        raise DataError(
            f"{folder}: expected an empty folder or a phantom study with its {STUDY_CARD}, found "
            f"{names[:5]} without one. Choose another folder; nothing was written."
        )
    write_json(study, folder / STUDY_CARD)
    return False


def write_once(folder: Path, study: dict, files: Iterable[str], draw: Callable[[], None]) -> None:
    """Write a study, unless it is finished; of several processes one writes, the others wait.

    study, files: see `claim_folder`, which raises its DataErrors here. draw: writes the study.
    """
    files = tuple(files)
    make_once(folder, lambda: claim_folder(folder, study, files), draw)
    sweep(folder)


def _check_card(card: Path, study: dict) -> None:
    """Raise DataError when a card is not readable or belongs to another study."""
    text = card.read_text(encoding="utf-8", errors="replace")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        content = text[:80]
    if content != study:
        raise DataError(
            f"{card}: expected {study}, found {content}. A folder holds one study: choose "
            f"another folder, or move this one away to write the study again."
        )


def real_data(name: str) -> Path:
    """The folder of a real data set in the data folder, which may not be there.

    Raises DataError for a link to a folder that is not there, as of a disk that is not connected: a
    phantom must not take its place unnoticed.
    """
    folder = config.data_folder() / name
    if folder.is_symlink() and not folder.exists():
        raise DataError(
            f"{folder} is a link to {folder.readlink()}, which is not there. Connect its disk, or "
            "remove the link to use a phantom study."
        )
    return folder


def is_finished(folder: Path, files: Iterable[str]) -> bool:
    """Return True if a study's folder holds all `files`, which a study writes last."""
    return all((folder / name).is_file() for name in files)


def draw_clips(
    task: Callable, folder: Path, count: int, workers: int, progress: bool, scheduler: str
) -> list:
    """Run `task` for the clips 0 to `count` - 1 of a study, with a progress bar.

    workers: number of processes here. scheduler: of a Dask cluster that does it instead, or "".
    Returns the results in order.
    """
    needs = [folder / STUDY_CARD]
    results = in_parallel(task, range(count), workers, scheduler=scheduler, needs=needs)
    title = f"phantom study in {folder.name}"
    return list(tqdm(results, title, count, disable=not progress, unit="clip"))
