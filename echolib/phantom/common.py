"""What all phantom studies have in common: their random streams, and the folder one of them owns.

A study's folder holds its card, study.json, which says from which parameters it is drawn. What
is finished is kept when writing is interrupted: the same call takes it up.
"""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from tqdm.auto import tqdm

from ..errors import DataError
from ..files import atomic_path
from .workers import in_parallel

# of the phantom's bytes: raised whenever the same seed gives other ones
VERSION = 3
MITRAL_VERSION = 3  # of the mitral study's, whose valves are drawn closely
FPS = 50.0
CARD = "study.json"
# what is drawn from one seed shares no heart, since each kind has a stream of its own
CLIP_STREAM, FRAME_STREAM = 0, 1
VALVE_STREAM, CYCLE_STREAM = 2, 3
AMATEUR_STREAM, EXPERT_STREAM, TEST_STREAM = 20, 21, 22  # of the mitral study


def check_common(seed: int, size: int) -> None:
    """Raise ValueError for a seed or a size (px) that no study can have."""
    if seed < 0:
        raise ValueError(f"seed must be 0 or more, not {seed}.")
    if not 32 <= size <= 1024:
        raise ValueError(f"size must be 32 to 1024 px, not {size}.")


def claim_folder(folder: Path, study: dict, files: Iterable[str]) -> bool:
    """Make a folder this study's; True when the study in it is finished, see `is_finished`.

    study: what its card says, of JSON's types. Raises DataError, and writes nothing, when the
    folder is a file, holds another study, or holds files that are none.
    """
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder}: expected a folder, found a file. Choose another name.")
    # names with a dot in front are left by killed processes and by desktops
    names = sorted(path.name for path in folder.glob("[!.]*"))
    if CARD in names:
        _compare_card(folder / CARD, study)
        return is_finished(folder, files)
    if names:
        raise DataError(
            f"{folder}: expected an empty folder or a phantom study with its {CARD}, found "
            f"{names[:5]} without one. Choose another folder; nothing was written."
        )
    with atomic_path(folder / CARD) as temporary:
        temporary.write_text(json.dumps(study, indent=1) + "\n", encoding="utf-8")
    return False


def _compare_card(card: Path, study: dict) -> None:
    """Raise DataError when a card tells of another study, or is none."""
    text = card.read_text(encoding="utf-8", errors="replace")
    try:
        found = json.loads(text)
    except ValueError:
        found = text[:80]
    if found != study:
        raise DataError(
            f"{card}: expected {study}, found {found}. A folder holds one study: choose "
            f"another folder, or delete this one to write the study anew."
        )


def is_finished(folder: Path, files: Iterable[str]) -> bool:
    """True when a study's folder holds all `files`, which are written when all else is there."""
    return all((folder / name).is_file() for name in files)


def draw_clips(task: Callable, folder: Path, count: int, workers: int, progress: bool) -> list:
    """Results of `task` for the clips 0 to `count` - 1 of a study, in order, behind a bar."""
    results = in_parallel(task, range(count), workers, chunk=1)
    title = f"phantom study in {folder.name}"
    return list(tqdm(results, title, count, disable=not progress, unit="clip"))
