"""A phantom study of the mitral valve on disk, in the layout of the course task's data."""

import gzip
import pickle  # only for writing: a file that is read must not be able to execute code
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from .. import config
from ..arrays import read_npz
from ..cores import worker_count
from ..errors import DataError
from ..files import atomic_path, write_npz
from ..parts import Parts
from .common import VERSION, check_seed, draw_clips, real_data, write_once
from .mitral_items import KINDS, Kind, draw_item

LAYOUT = "mitral valve set"
# in the order of writing: the last one completes a study
FILES = ("test_truth.npz", "test.pkl", "train.pkl")
PARTS = "items"  # sub-folder of finished items, until all items are finished
COMPRESSION = 2  # gzip level: noise hardly shrinks, and the labels' zeros shrink at any level
# A list is pickled item by item, so that the whole list is never in memory. With protocol 3 the
# pickled items can be concatenated: each numbers its memo from 0, and no frame spans two items.
PROTOCOL = 3
LIST_START = b"\x80\x03" + b"]("  # opcodes: protocol 3; empty list, mark before its first item
LIST_END = b"e" + b"."  # opcodes: append all items since the mark; stop


def write_mitral_study(
    folder: str | Path,
    scale: float = 1.0,
    seed: int = 0,
    workers: int | None = None,
    progress: bool = True,
    scheduler: str = "",
    videos: float | None = None,
) -> Path:
    """Write phantom clips of the mitral valve in the layout of the course task's data.

    folder: receives train.pkl and test.pkl (gzip pickles of a list of dicts), test_truth.npz (a
    bool array (H, W, T) for each name in test.pkl, all frames labelled) and study.json.
    Training items have name (str), video (H, W, T) uint8, box (H, W) bool, label (H, W, T) bool,
    which is False outside the three labelled frames, frames (their numbers, 0-based) and dataset
    ("amateur" or "expert"). Test items have name and video.

    scale: above 0, up to 1, which is the size of the real set: 46 amateur, 19 expert and 20 test
    items. It multiplies the number of items of each kind (at least 2, 2 and 1), the frames of a
    clip (at least 12) and the height and width of expert and test frames (at least a quarter of
    the real ones). Amateur frames are 112 x 112 at any scale. videos: multiplies the number of
    items instead of the scale, with the same range. A clip lasts at least one beat: if
    it has too few frames for that at 50 per second, its frame rate is lower.
    workers: number of processes, one per core by default. scheduler: of a Dask cluster
    that draws instead, see `workers.spread`. The bytes depend on neither.

    An interrupted study is resumed, a finished study is returned at once, and of two processes
    that want the same study, one waits for the other. Raises ValueError for parameters outside
    their range, and DataError when the folder holds another study, or other files. In a script,
    call it under `if __name__ == "__main__":`, because worker processes import the script.
    """
    if not 0 < scale <= 1:
        raise ValueError(f"scale must be above 0 and at most 1, the real set's size, not {scale}.")
    videos = scale if videos is None else videos
    if not 0 < videos <= 1:
        raise ValueError(f"videos must be above 0 and at most 1, a share, not {videos}.")
    check_seed(seed)
    workers = worker_count(workers)
    folder, scale, seed = Path(folder), float(scale), int(seed)
    plan = [(kind, index) for kind in KINDS for index in range(kind.count(videos))]
    study = {"layout": LAYOUT, "source": "phantom", "version": VERSION, "seed": seed}
    study |= {"scale": scale, "counts": {kind.name: kind.count(videos) for kind in KINDS}}

    def draw() -> None:
        parts = Parts.or_anew(folder / PARTS, study)
        task = partial(_write_part, parts=parts, plan=plan, seed=seed, scale=scale)
        draw_clips(task, folder, len(plan), workers, progress, scheduler)
        _assemble(folder, plan, progress)

    write_once(folder, study, FILES, draw)
    shutil.rmtree(folder / PARTS, ignore_errors=True)
    return folder


def find_mitral() -> tuple[Path, str]:
    """Return the folder of the course task's data, or else of a phantom study in its layout.

    Returns the folder and the name of the source. The course task's data is `mitral` in the data
    folder (a link is fine) with train.pkl and test.pkl, its source "mitral valve set". The phantom
    study, source "phantom", lies beside it and is written on first use. It has as many videos as
    the real set, with frames of scale 0.3; in fast mode, both have scale 0.1. Raises DataError when
    `mitral` holds only one of the two files.
    """
    real = real_data("mitral")
    pickles = {"train.pkl", "test.pkl"}
    present = {name for name in pickles if (real / name).is_file()}
    if present == pickles:
        return real, LAYOUT
    if present:
        raise DataError(
            f"{real}: expected train.pkl and test.pkl, found only {present.pop()}. Add the other "
            f"file, or move this one away to use a phantom study."
        )
    scale, videos = (0.1, 0.1) if config.fast_mode() else (0.3, 1.0)
    name = f"mitral-{videos:g}x{scale:g}-v{VERSION}"
    folder = config.data_folder() / "phantom" / name
    return write_mitral_study(folder, scale=scale, videos=videos), "phantom"


# --- Items, one file each until all are finished --------------------------------------------------


def _part(folder: Path, number: int) -> Path:
    """File of item `number` of the plan: the opcodes of its pickle, compressed."""
    return folder / PARTS / f"{number:04d}.gz"


def _truth_part(folder: Path, number: int) -> Path:
    """File of the labels of test item `number` of the plan."""
    return folder / PARTS / f"{number:04d}.npz"


def _write_part(
    number: int, parts: Parts, plan: list[tuple[Kind, int]], seed: int, scale: float
) -> None:
    """Draw and write item `number` of the plan, unless its part is there."""
    kind, index = plan[number]
    name, holds = f"{number:04d}", [f"{kind.name} {index}"]
    if parts.load(name, holds) is not None:
        return
    folder = parts.folder.parent
    item, truth = draw_item(kind, index, seed, scale)
    files = [_part(folder, number)]
    with atomic_path(files[0]) as temporary, _gzip(temporary) as file:
        # without the opcodes PROTO and STOP
        file.write(memoryview(pickle.dumps(item, PROTOCOL))[2:-1])
    if truth is not None:
        files.append(_truth_part(folder, number))
        write_npz(files[1], [(item["name"], truth)])
    parts.save(name, holds, item["name"], files)


@contextmanager
def _gzip(path: Path) -> Iterator[gzip.GzipFile]:
    """Open a gzip file for writing whose bytes contain neither its name nor the time."""
    with (
        path.open("wb") as raw,
        gzip.GzipFile("", "wb", compresslevel=COMPRESSION, fileobj=raw, mtime=0) as file,
    ):
        yield file


# --- The study's files ----------------------------------------------------------------------------


def _assemble(folder: Path, plan: list[tuple[Kind, int]], progress: bool) -> None:
    """Join the items to the files of the study, with one item in memory at a time."""
    test = [number for number, (kind, _) in enumerate(plan) if kind.name == "test"]
    train = [number for number in range(len(plan)) if number not in test]
    bar = tqdm(total=len(plan), desc="joining the clips", disable=not progress, unit="clip")
    with bar:
        _join_truths(folder, test)
        for name, numbers in (("test.pkl", test), ("train.pkl", train)):
            with atomic_path(folder / name) as temporary, _gzip(temporary) as file:
                file.write(LIST_START)
                for number in numbers:
                    with gzip.open(_part(folder, number)) as part:
                        shutil.copyfileobj(part, file, 1 << 20)
                    bar.update()
                file.write(LIST_END)


def _join_truths(folder: Path, numbers: list[int]) -> None:
    """Write test_truth.npz, the labels of all frames of each test item."""

    def labels() -> Iterator[tuple[str, np.ndarray]]:
        for number in numbers:
            yield from read_npz(_truth_part(folder, number)).items()

    write_npz(folder / "test_truth.npz", labels())
