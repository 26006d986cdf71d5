"""The clips of a folder of corrections: each lies in `Videos`, linked to where it comes from."""

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from ..data.avi import is_avi, write_avi
from ..data.clips import Clip, read_clip
from ..data.frames import Dataset
from ..data.video import read_video
from ..errors import DataError
from ..files import atomic_path

Source = str | Path | Clip | np.ndarray
# Two frames are different where the grey levels of pixels that either of them shows differ by more
# on average. Black margins, which many displays share, are not compared.
UNLIKE, SHOWN = 12.0, 20
OTHER_CLIP = (
    "the folder has another clip of this name. Give this one another name, or choose another "
    "folder of corrections."
)


class OtherClipError(DataError):
    """A correction does not fit the clip that it is said to be of."""


def bring_video(
    path: Path, source: Source | None, shape: tuple[int, int, int], fps: float | None
) -> float | None:
    """Put the video of a clip into its place, unless it is there; returns its spacing, if found.

    path: where it must lie. source: the clip's file, the clip, or its frames (T, H, W) uint8. An
    AVI is linked: by a hard link, else a symbolic link, else it is copied. What is in another
    format is written as AVI. shape: (T, H, W) of the frames that were corrected. spacing: mm per
    px. Raises DataError where there is no source, or it cannot be read, OtherClipError where it
    has frames of another number or size, and OSError where the video cannot be written.
    """
    if path.is_file():
        if is_other(path, source):
            raise OtherClipError(f"{path.stem}: {OTHER_CLIP}")
        return None
    if source is None:
        gone = " (its file has moved or was deleted)" if path.is_symlink() else ""
        raise DataError(f"The video of the clip {path.stem} is not in the folder{gone}.")
    clip = _read(source, path.stem)
    if clip.frames.shape != shape:
        raise OtherClipError(
            f"{path.stem}: the correction is of {_size(shape)}, but the clip has "
            f"{_size(clip.frames.shape)}. Open the clip that was corrected, or give this one "
            "another name."
        )
    path.unlink(missing_ok=True)  # a dead link, through which nothing must be written
    with atomic_path(path) as temporary:
        if not (isinstance(source, str | Path) and _link(Path(source), temporary, shape[1:])):
            write_avi(temporary, clip.frames, clip.fps or fps)
    return clip.spacing


def origin(data: Dataset, clip: str) -> dict[str, Any]:
    """Where a clip of a data set comes from, as arguments of `Folder.keep`; {} for an unknown one.

    The source is its file where the data set has one per clip, else the clip itself.
    """
    if clip not in data.table.index:
        return {}
    record = data.table.loc[clip]
    path = Path(record.path) if "path" in data.table else None
    # CAMUS has a folder per patient, of several files
    source = data.clip(clip) if path is None or path.is_dir() else path
    return {"source": source, "split": str(record.split), "patient": str(record.patient)}


def _read(source: Source, name: str) -> Clip:
    if isinstance(source, Clip):
        return source
    return Clip(name, source) if isinstance(source, np.ndarray) else read_clip(source)


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[0]} frames of {shape[1]} x {shape[2]} px"


def _link(source: Path, path: Path, size: tuple[int, int]) -> bool:
    """Link an AVI to a path, or copy it. False for a file whose stored frames have another size."""
    if not is_avi(source) or _stored_size(source) != size:
        return False
    source = source.resolve()
    for link in (os.link, os.symlink):
        with suppress(OSError):  # on another disk, or on a file system without links
            link(source, path)
            return True
    shutil.copyfile(source, path)
    return True


def _stored_size(path: Path) -> tuple[int, int]:
    """(H, W) of the frames as they are stored, before they are turned or made of square pixels."""
    import av

    with path.open("rb") as file, av.open(file, "r", "avi", metadata_errors="ignore") as container:
        context = container.streams.video[0].codec_context
        return context.height, context.width


def is_other(path: Path, source: Source | None) -> bool:
    """Whether a source is plainly another clip than the video that lies in its place.

    Its first frame does not resemble that of the video.
    """
    if isinstance(source, str | Path):
        source = Path(source)
        if not source.is_file() or source.samefile(path):
            return False
        if is_avi(source):
            return not _same_start(path, read_video(source, stop=1).frames)
    return source is not None and not _same_start(path, _read(source, path.stem).frames)


def _same_start(path: Path, frames: np.ndarray) -> bool:
    """Whether the first of frames (T, H, W) uint8 resembles that of a video."""
    first = read_video(path, stop=1).frames[0]
    if first.shape != frames.shape[1:]:
        return False
    shown = (first > SHOWN) | (frames[0] > SHOWN)
    difference = np.abs(first.astype(int) - frames[0])[shown]
    return not len(difference) or float(difference.mean()) <= UNLIKE
