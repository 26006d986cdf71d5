"""A phantom study of the mitral valve on disk, laid out as the course task's data."""

import gzip
import pickle  # for writing alone: a file that is read must not be able to execute code
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
from tqdm.auto import tqdm

from .. import config
from ..errors import DataError
from ..files import atomic_path, remove_leftovers, write_npz
from .common import MITRAL_VERSION, check_common, claim_folder, draw_clips, is_finished
from .mitral_items import KINDS, Kind, draw_item
from .workers import worker_count

LAYOUT = "mitral valve set"
# in the order of writing: the last ends a study
FILES = ("test_truth.npz", "test.pkl", "train.pkl")
PARTS = "items"  # sub-folder in which finished items wait for the others
COMPRESSION = 2  # of gzip: noise hardly shrinks, and the labels' zeros shrink at any level
# A list is pickled item by item, so that it never lies in memory whole. Protocol 3 numbers what
# it remembers from 0 in every item and has no frames around several of them: the opcodes of one
# item can follow those of another.
PROTOCOL = 3
LIST_BEGINS = b"\x80\x03" + b"]("  # the protocol; an empty list and the mark of its first item
LIST_ENDS = b"e" + b"."  # append all since the mark; stop


def write_mitral_study(
    folder: str | Path,
    scale: float = 1.0,
    seed: int = 0,
    workers: int | None = None,
    progress: bool = True,
) -> Path:
    """Write phantom clips of the mitral valve in the layout of the course task's data.

    folder: gets train.pkl and test.pkl (gzip pickles of a list of dicts), test_truth.npz (a
    bool array (H, W, T) for each name in test.pkl, all frames labelled) and study.json.
    Training items have name (str), video (H, W, T) uint8, box (H, W) bool, label (H, W, T) bool,
    all False but in the three labelled frames, frames (their numbers, 0-based) and dataset
    ("amateur" or "expert"); test items have name and video.

    scale: above 0, up to 1, the size of the real set: 46 amateur, 19 expert and 20 test items.
    It multiplies the number of items of each kind (at least 2, 2 and 1), the frames of a clip
    (at least 12) and the height and width of expert and test frames (at least a quarter of the
    real ones); amateur frames are 112 x 112 at any scale. A clip lasts one beat or more: where
    it has too few frames for that at 50 a second, it has fewer a second.
    workers: processes, one for each core by default; the bytes do not depend on it.

    An interrupted study is taken up where it stopped; a finished one is returned at once; two
    processes may write the same one. Raises ValueError for parameters that make no study and
    DataError when the folder holds another study, or files that are none. In a script, call it
    under `if __name__ == "__main__":`, since worker processes import the script.
    """
    if not 0 < scale <= 1:
        raise ValueError(f"scale must be above 0 and at most 1, the real set's size, not {scale}.")
    check_common(seed, 112)
    workers = worker_count(workers)
    folder, scale, seed = Path(folder), float(scale), int(seed)
    plan = [(kind, index) for kind in KINDS for index in range(kind.count(scale))]
    study = {"layout": LAYOUT, "source": "phantom", "version": MITRAL_VERSION, "seed": seed}
    study |= {"scale": scale, "counts": {kind.name: kind.count(scale) for kind in KINDS}}
    if not claim_folder(folder, study, FILES):
        task = partial(_write_part, folder=folder, plan=plan, seed=seed, scale=scale)
        draw_clips(task, folder, len(plan), workers, progress)
        _assemble(folder, plan, progress)
    _remove_parts(folder)
    return folder


def find_mitral(scale: float | None = None, progress: bool = True) -> tuple[Path, str]:
    """The course task's mitral valve set where there is one, else a phantom study of its layout.

    Returns the folder and the source's name: `mitral` in the data folder (a link is fine), if
    it holds train.pkl and test.pkl, and "mitral valve set"; or a phantom study beside it,
    written on first use, and "phantom". scale: of the phantom study, see `write_mitral_study`;
    0.3 by default, 0.1 in fast mode. Raises DataError when `mitral` holds one of the two files.
    """
    real = config.data_folder() / "mitral"
    pickles = {"train.pkl", "test.pkl"}
    found = {name for name in pickles if (real / name).is_file()}
    if found == pickles:
        return real, LAYOUT
    if found:
        raise DataError(
            f"{real}: expected train.pkl and test.pkl, found {found.pop()} alone. Add the other "
            f"file, or move this one away to work on a phantom study."
        )
    if scale is None:
        scale = 0.1 if config.fast_mode() else 0.3
    folder = config.data_folder() / "phantom" / f"mitral-{scale:g}-v{MITRAL_VERSION}"
    return write_mitral_study(folder, scale=scale, progress=progress), "phantom"


# --- Items, one file each until all are there -----------------------------------------------------


def _part(folder: Path, number: int) -> Path:
    """Where item `number` of the plan waits: the opcodes of its pickle, compressed."""
    return folder / PARTS / f"{number:04d}.gz"


def _truth_part(folder: Path, number: int) -> Path:
    """Where the labels of test item `number` of the plan wait."""
    return folder / PARTS / f"{number:04d}.npz"


def _write_part(
    number: int, folder: Path, plan: list[tuple[Kind, int]], seed: int, scale: float
) -> None:
    """Draw item `number` of the plan and keep it, unless it or the whole study is there."""
    part = _part(folder, number)
    if part.is_file() or is_finished(folder, FILES):
        return
    item, truth = draw_item(*plan[number], seed, scale)
    with _unless_finished(folder):
        if truth is not None:  # before the item, so that an item that is there has its labels
            with atomic_path(_truth_part(folder, number)) as temporary:
                np.savez_compressed(temporary, **{item["name"]: truth})
        with atomic_path(part) as temporary, _gzip(temporary) as file:
            file.write(memoryview(pickle.dumps(item, PROTOCOL))[2:-1])  # without PROTO and STOP


@contextmanager
def _unless_finished(folder: Path) -> Iterator[None]:
    """Leave the block where files are gone because another process finished the same study."""
    try:
        yield
    except OSError:
        if not is_finished(folder, FILES):
            raise


def _remove_parts(folder: Path) -> None:
    """Delete a finished study's parts, and what killed processes left half-written."""
    shutil.rmtree(folder / PARTS, ignore_errors=True)
    remove_leftovers(folder)


@contextmanager
def _gzip(path: Path) -> Iterator[BinaryIO]:
    """A gzip file to write to whose bytes tell neither its name nor the time."""
    with (
        path.open("wb") as raw,
        gzip.GzipFile("", "wb", compresslevel=COMPRESSION, fileobj=raw, mtime=0) as file,
    ):
        yield file


# --- The study's files ----------------------------------------------------------------------------


def _assemble(folder: Path, plan: list[tuple[Kind, int]], progress: bool) -> None:
    """Join the items to the study's files, one item in memory at a time."""
    test = [number for number, (kind, _) in enumerate(plan) if kind.name == "test"]
    train = [number for number in range(len(plan)) if number not in test]
    bar = tqdm(total=len(plan), desc="joining the clips", disable=not progress, unit="clip")
    with bar, _unless_finished(folder):
        _join_truths(folder, test)
        for name, numbers in (("test.pkl", test), ("train.pkl", train)):
            with atomic_path(folder / name) as temporary, _gzip(temporary) as file:
                file.write(LIST_BEGINS)
                for number in numbers:
                    with gzip.open(_part(folder, number)) as part:
                        shutil.copyfileobj(part, file, 1 << 20)
                    bar.update()
                file.write(LIST_ENDS)


def _join_truths(folder: Path, numbers: list[int]) -> None:
    """Write test_truth.npz, the labels of all frames of each test item."""

    def labels() -> Iterator[tuple[str, np.ndarray]]:
        for number in numbers:
            with np.load(_truth_part(folder, number)) as part:
                yield from part.items()

    write_npz(folder / "test_truth.npz", labels())
