"""Phantom studies on disk, laid out as EchoNet-Dynamic's."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from .. import config, geometry
from ..data.video import count_frames
from ..errors import DataError
from ..files import atomic_path, remove_leftovers, write_table
from .common import CLIP_STREAM, FPS, VERSION, check_common, claim_folder, draw_clips
from .scene import draw_scan, trace
from .ultrasound import Scan
from .workers import worker_count

RUN_IN = 2  # frames drawn before a clip begins
SHORTEST_CLIP = 24  # frames: the longest way from end-diastole to end-systole, and some more
OFFICIAL_SPLIT = {"TRAIN": 7465, "VAL": 1288, "TEST": 1277}  # EchoNet-Dynamic, FACTS
FILES = ("VolumeTracings.csv", "FileList.csv")  # in the order of writing: the last ends a study
FILE_LIST_COLUMNS = (
    "FileName", "EF", "ESV", "EDV", "FrameHeight", "FrameWidth", "FPS", "NumberOfFrames", "Split",
)  # fmt: skip
TRACING_COLUMNS = ("FileName", "X1", "Y1", "X2", "Y2", "Frame")


# --- A study on disk ----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Plan:
    """What a clip's two frames are and when: the same whether or not its video is written."""

    scan: Scan
    start: float  # seconds after end-diastole of the first frame
    frames: int
    end_diastole: int
    end_systole: int


def write_lv_study(
    folder: str | Path,
    clips: int = 300,
    seed: int = 0,
    size: int = 112,
    frames: tuple[int, int] = (28, 60),
    workers: int | None = None,
    progress: bool = True,
) -> Path:
    """Write a study of apical four-chamber clips in EchoNet-Dynamic's layout.

    folder: gets FileList.csv, VolumeTracings.csv, Videos/*.avi and study.json. size: px of the
    square frames. frames: fewest and most frames of a clip, at 50 fps; every clip holds at
    least one end-diastole and the end-systole after it, both traced. workers: processes, one
    for each core by default; the bytes do not depend on it. Volumes are those of the written
    tracings, by the method of disks, in ml at the heart's own scale.

    An interrupted study is taken up where it stopped; a finished one is returned at once.
    Raises ValueError for parameters that make no study and DataError when the folder holds a
    study with other parameters, or files that are none. In a script, call it under
    `if __name__ == "__main__":`, since worker processes import the script.
    """
    if clips < 3:
        raise ValueError(f"clips must be 3 or more, one for each split, not {clips}.")
    check_common(seed, size)
    fewest, most = (int(value) for value in frames)
    if not SHORTEST_CLIP <= fewest <= most:
        raise ValueError(
            f"frames must be (fewest, most) with {SHORTEST_CLIP} <= fewest <= most, so that a "
            f"clip holds a whole systole; not {tuple(frames)}."
        )
    workers = worker_count(workers)
    folder = Path(folder)
    study = {"layout": "EchoNet-Dynamic", "source": "phantom", "version": VERSION, "seed": seed}
    study |= {"clips": clips, "size": size, "frames": [fewest, most], "fps": FPS}
    if not claim_folder(folder, study, FILES):
        task = partial(_write_clip, folder=folder, seed=seed, size=size, frames=(fewest, most))
        rows = draw_clips(task, folder, clips, workers, progress)
        _write_tables(folder, rows, _splits(clips, seed))
        for place in (folder, folder / "Videos"):
            remove_leftovers(place)
    return folder


def find_echonet(clips: int | None = None, progress: bool = True) -> tuple[Path, str]:
    """EchoNet-Dynamic where there is one, else a phantom study of its layout.

    Returns the folder and the source's name: `echonet-dynamic` in the data folder (a link is
    fine) and "EchoNet-Dynamic"; or a phantom study beside it, written on first use, and
    "phantom". clips: of the phantom study, 300 by default, 24 in fast mode.
    """
    real = config.data_folder() / "echonet-dynamic"
    if real.is_dir():
        return real, "EchoNet-Dynamic"
    if clips is None:
        clips = 24 if config.fast_mode() else 300
    folder = config.data_folder() / "phantom" / f"echonet-dynamic-{clips}-v{VERSION}"
    return write_lv_study(folder, clips=clips, progress=progress), "phantom"


def clip_name(index: int, seed: int) -> str:
    """EchoNet-like name without extension; PH tells a phantom from a patient."""
    return f"0xPH{seed:04X}{index:06X}"


def _plan_clip(index: int, seed: int, size: int, frames: tuple[int, int]) -> _Plan:
    # clips are looked at: all of them are rendered physically
    scan, choice = draw_scan(seed, CLIP_STREAM, index, size, plain_share=0.0)
    count = int(choice.integers(frames[0], frames[1] + 1))
    systole = round(scan.cycle.end_systole * FPS)
    end_diastole = int(choice.integers(0, count - systole))
    return _Plan(scan, -end_diastole / FPS, count, end_diastole, end_diastole + systole)


def _write_clip(index: int, folder: Path, seed: int, size: int, frames: tuple[int, int]):
    """Write clip number `index` unless it is there; returns its rows of both tables."""
    plan = _plan_clip(index, seed, size, frames)
    name = clip_name(index, seed)
    path = folder / "Videos" / f"{name}.avi"
    if not path.is_file():
        # the scanner has been running: what it showed before stays visible for a while
        moments = plan.start + np.arange(-RUN_IN, plan.frames) / FPS
        images = (plan.scan.frame(moment) for moment in moments)
        with atomic_path(path) as temporary:
            write_mjpg(temporary, islice(images, RUN_IN, None), size)
    tracings = {
        frame: trace(plan.scan, plan.start + frame / FPS)
        for frame in (plan.end_diastole, plan.end_systole)
    }
    spacing = plan.scan.sector.spacing
    large, small = (geometry.disk_volume(tracing, spacing) for tracing in tracings.values())
    ejection = geometry.ejection_fraction(large, small)
    listed = (name, ejection, small, large, size, size, int(FPS), plan.frames)
    traced = []
    for frame, tracing in tracings.items():
        for ends in [tracing.axis, *tracing.chords]:
            traced.append((f"{name}.avi", *(float(f"{v:.4f}") for v in ends.ravel()), frame))
    return listed, traced


def write_mjpg(path: Path, images: Iterable[np.ndarray], size: int, fps: float = FPS) -> None:
    """Write (size, size) uint8 frames as a colour MJPG video with grey content.

    Raises DataError when fewer frames can be read back: OpenCV says nothing of a full disk.
    """
    # OpenCV's own writer: needs no FFmpeg and leaves no date or version in the file
    code = cv2.VideoWriter_fourcc(*"MJPG")
    writer = cv2.VideoWriter(str(path), cv2.CAP_OPENCV_MJPEG, code, fps, (size, size))
    if not writer.isOpened():
        raise DataError(f"{path}: OpenCV could not open a MJPG video for writing.")
    written = 0
    for image in images:
        writer.write(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR))
        written += 1
    writer.release()
    found = count_frames(path)
    if found != written:
        raise DataError(f"{path}: expected {written} frames, found {found}. Is the disk full?")


def _splits(clips: int, seed: int) -> list[str]:
    """A split for each clip, in the official proportions, at least one clip each."""
    total = sum(OFFICIAL_SPLIT.values())
    counts = {name: max(1, round(clips * n / total)) for name, n in OFFICIAL_SPLIT.items()}
    counts["TRAIN"] = clips - counts["VAL"] - counts["TEST"]
    names = [name for name, count in counts.items() for _ in range(count)]
    return list(np.random.default_rng([seed, clips]).permutation(names))


def _write_tables(folder: Path, rows: list, splits: list[str]) -> None:
    """Both tables, in the order of `FILES`."""
    tracings = pd.DataFrame([row for _, traced in rows for row in traced])
    listed = pd.DataFrame([(*row, split) for (row, _), split in zip(rows, splits, strict=True)])
    tables = ((tracings, TRACING_COLUMNS), (listed, FILE_LIST_COLUMNS))
    for name, (table, columns) in zip(FILES, tables, strict=True):
        write_table(table, folder / name, header=columns, lineterminator="\n")
