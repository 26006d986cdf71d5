"""Phantom studies of the left ventricle on disk, in the layout of EchoNet-Dynamic."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from .. import config, geometry
from ..cores import worker_count
from ..data.avi import write_avi
from ..data.echonet import TRACING_COLUMNS, TRACINGS
from ..data.file_list import FILE_LIST, LIST_COLUMNS
from ..data.tracings import tracing_rows
from ..data.video import read_video
from ..errors import DataError
from ..files import atomic_path, write_table
from .common import (
    CLIP_STREAM,
    FPS,
    VERSION,
    WARM_UP_FRAMES,
    check_seed,
    draw_clips,
    real_data,
    write_once,
)
from .scene import draw_scan, trace
from .sector import REFERENCE_SIZE
from .ultrasound import Scan

SHORTEST_CLIP = 24  # frames: longer than the longest time from end-diastole to end-systole
OFFICIAL_SPLIT = {"TRAIN": 7465, "VAL": 1288, "TEST": 1277}  # EchoNet-Dynamic, FACTS
# in the order of writing: the last one completes a study
FILES = (TRACINGS, FILE_LIST)


@dataclass(frozen=True)
class _Plan:
    """The heart of a clip, its number of frames, and the two traced frames."""

    scan: Scan
    start: float  # time of the first frame, seconds after end-diastole
    frames: int
    end_diastole: int
    end_systole: int


def write_lv_study(
    folder: str | Path,
    clips: int = 300,
    seed: int = 0,
    frames: tuple[int, int] = (28, 60),
    workers: int | None = None,
    progress: bool = True,
    scheduler: str = "",
) -> Path:
    """Write a study of apical four-chamber clips in EchoNet-Dynamic's layout.

    folder: receives FileList.csv, VolumeTracings.csv, Videos/*.avi (112 x 112 px) and study.json.
    clips: number of clips, 3 or more. frames: smallest and largest number of frames of a clip, at
    50 fps; each clip contains at least one end-diastole and the end-systole after it, both
    traced. workers: number of processes, one per core by default. scheduler: of a Dask cluster
    that draws instead, see `workers.spread`. The bytes depend on neither.
    Volumes are computed from the written tracings by the method of disks, in ml at the heart's
    own scale.

    An interrupted study is resumed, a finished study is returned at once, and of two processes
    that want the same study, one waits for the other. Raises ValueError for parameters outside
    their range, and DataError when the folder holds a study with other parameters, or other files.
    In a script, call it under `if __name__ == "__main__":`, because worker processes import the
    script.
    """
    if clips < 3:
        raise ValueError(f"clips must be 3 or more, one for each split, not {clips}.")
    check_seed(seed)
    shortest, longest = (int(value) for value in frames)
    if not SHORTEST_CLIP <= shortest <= longest:
        raise ValueError(
            f"frames must be (shortest, longest) with {SHORTEST_CLIP} <= shortest <= longest, so "
            f"that each clip contains a whole systole, not {tuple(frames)}."
        )
    workers = worker_count(workers)
    folder = Path(folder)
    study = {"layout": "EchoNet-Dynamic", "source": "phantom", "version": VERSION, "seed": seed}
    study |= {"clips": clips, "size": REFERENCE_SIZE, "frames": [shortest, longest], "fps": FPS}

    def draw() -> None:
        task = partial(_write_clip, folder=folder, seed=seed, frames=(shortest, longest))
        rows = draw_clips(task, folder, clips, workers, progress, scheduler)
        _write_tables(folder, rows, _splits(clips, seed))

    write_once(folder, study, FILES, draw)
    return folder


def find_echonet() -> tuple[Path, str]:
    """Return the folder of EchoNet-Dynamic, or else of a phantom study in its layout.

    Returns the folder and the name of the source. EchoNet-Dynamic is `echonet-dynamic` in the
    data folder (a link is fine), its source "EchoNet-Dynamic". The phantom study, source
    "phantom", lies beside it and is written on first use; it has 300 clips, 24 in fast mode.
    """
    real = real_data("echonet-dynamic")
    if real.is_dir():
        return real, "EchoNet-Dynamic"
    clips = 24 if config.fast_mode() else 300
    folder = config.data_folder() / "phantom" / f"echonet-dynamic-{clips}-v{VERSION}"
    return write_lv_study(folder, clips=clips), "phantom"


def clip_name(index: int, seed: int) -> str:
    """Return a name like those of EchoNet-Dynamic, without extension; PH marks a phantom."""
    return f"0xPH{seed:04X}{index:06X}"


def _plan_clip(index: int, seed: int, frames: tuple[int, int]) -> _Plan:
    """Draw the heart of clip number `index`, and choose its frames."""
    # people watch the clips: all of them are rendered physically
    scan, choice = draw_scan(seed, CLIP_STREAM, index, REFERENCE_SIZE, plain_share=0.0)
    count = int(choice.integers(frames[0], frames[1] + 1))
    systole = round(scan.cycle.end_systole * FPS)
    end_diastole = int(choice.integers(0, count - systole))
    return _Plan(scan, -end_diastole / FPS, count, end_diastole, end_diastole + systole)


def _write_clip(index: int, folder: Path, seed: int, frames: tuple[int, int]):
    """Write clip number `index` unless its file is whole; return its rows of both tables."""
    plan = _plan_clip(index, seed, frames)
    name = clip_name(index, seed)
    path = folder / "Videos" / f"{name}.avi"
    if not _is_whole(path, plan.frames):
        moments = plan.start + np.arange(-WARM_UP_FRAMES, plan.frames) / FPS
        images = np.stack([plan.scan.frame(moment) for moment in moments])
        with atomic_path(path) as temporary:
            write_avi(temporary, images[WARM_UP_FRAMES:], FPS)
    images = read_video(path).frames  # the expert looks at what is stored
    tracings = {
        frame: trace(plan.scan, plan.start + frame / FPS, images[frame])
        for frame in (plan.end_diastole, plan.end_systole)
    }
    spacing = plan.scan.sector.spacing
    large, small = (geometry.disk_volume(tracing, spacing) for tracing in tracings.values())
    ejection = geometry.ejection_fraction(large, small)
    listed = (name, ejection, small, large, REFERENCE_SIZE, REFERENCE_SIZE, int(FPS), plan.frames)
    traced = []
    for frame, tracing in tracings.items():
        for row in tracing_rows(tracing):
            traced.append((f"{name}.avi", *(float(f"{value:.4f}") for value in row), frame))
    return listed, traced


def _is_whole(path: Path, frames: int) -> bool:
    """Whether a video is there and has all its frames, not cut off since it was written."""
    try:
        return path.is_file() and len(read_video(path).frames) == frames
    except DataError:
        return False


def _splits(clips: int, seed: int) -> list[str]:
    """The split of each clip, in the official proportions; each split has at least one clip."""
    total = sum(OFFICIAL_SPLIT.values())
    counts = {name: max(1, round(clips * n / total)) for name, n in OFFICIAL_SPLIT.items()}
    counts["TRAIN"] = clips - counts["VAL"] - counts["TEST"]
    names = [name for name, count in counts.items() for _ in range(count)]
    return list(np.random.default_rng([seed, clips]).permutation(names))


def _write_tables(folder: Path, rows: list, splits: list[str]) -> None:
    """Write both tables, in the order of `FILES`."""
    tracings = pd.DataFrame([row for _, traced in rows for row in traced])
    listed = pd.DataFrame([(*row, split) for (row, _), split in zip(rows, splits, strict=True)])
    tables = ((tracings, TRACING_COLUMNS), (listed, LIST_COLUMNS))
    for name, (table, columns) in zip(FILES, tables, strict=True):
        write_table(table, folder / name, header=columns, lineterminator="\n")
