"""Clips as AVI, the container of EchoNet-Dynamic, which its own code reads too."""

from pathlib import Path

import cv2
import numpy as np

from ..errors import DataError
from .video import HEAD, read_video, video_kind

PLAYED_AT = 30.0  # frames per second in the header of a clip whose rate is unknown


def write_avi(path: Path, frames: np.ndarray, fps: float | None = None) -> None:
    """Write frames (T, H, W) uint8 as a colour MJPG video with grey content.

    fps: None where it is unknown; the header then says 30, because it must say something. Raises
    OSError where no file can be written, and DataError when not all frames can be read back: OpenCV
    does not report a full disk.
    """
    # OpenCV's own writer: needs no FFmpeg and leaves no date or version in the file
    path.open("wb").close()  # raises OSError with the reason where no file can be written
    code, size = cv2.VideoWriter.fourcc(*"MJPG"), frames.shape[:0:-1]
    writer = cv2.VideoWriter(str(path), cv2.CAP_OPENCV_MJPEG, code, fps or PLAYED_AT, size)
    if not writer.isOpened():
        raise DataError(f"{path}: OpenCV could not open an MJPG video for writing.")
    for frame in frames:
        writer.write(cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR))
    writer.release()
    readable = read_video(path).frames.shape
    if readable != frames.shape:
        raise DataError(
            f"{path}: expected {frames.shape} frames and px, found {readable}. Is the disk full?"
        )


def is_avi(path: Path) -> bool:
    """Whether a file is an AVI by its first bytes, whatever its name."""
    with path.open("rb") as file:
        return video_kind(file.read(HEAD)) == "avi"
