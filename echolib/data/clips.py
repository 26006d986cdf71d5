"""One clip from a video, GIF or DICOM file, as grey frames.

The first bytes of a file decide its kind, never its suffix. Frames are decoded in order, without
seeking. One class converts them to grey, whatever the container.
"""

import math
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..errors import DataError
from .dicom.reader import read_dicom
from .names import clip_name
from .video import HEAD, open_clip, read_video, video_kind

_NIFTI = "Give the folder of CAMUS, or see TABLES.md for masks of your own"
_GZIP = f"If it is a clip, unpack it with gunzip. {_NIFTI}"
_PICTURE = "a single picture", "Give the clip that it was taken from"
OTHER_KINDS = {  # files that are mistaken for clips: their first bytes, what they are, what to do
    b"\x1f\x8b": ("a file that gzip compressed, as NIfTI often is", _GZIP),
    b"\x5c\x01\x00\x00": ("NIfTI", _NIFTI),
    b"\x89PNG": _PICTURE,
    b"\xff\xd8\xff": _PICTURE,
    b"BM": _PICTURE,
    b"II*\x00": _PICTURE,
    b"MM\x00*": _PICTURE,
    b"PK\x03\x04": ("a ZIP file", "Unpack it, and give what was in it"),
    b"\x93NUMPY": ("a NumPy array", "In Python, echolib.Clip(name, array) makes a clip of it"),
    b"\x80": ("a pickle", "`mitral` reads the pickles of mitral valve sets"),
    b"%PDF": ("a PDF document", "Give the recording itself"),
}


@dataclass(frozen=True, eq=False)
class Clip:
    """One echocardiogram.

    name: the clip's name, usually that of its file without the suffix
    frames: (T, H, W) uint8, grey, T >= 1
    fps: frames per second, or None where unknown
    spacing: mm per px, equal in x and y, or None where unknown
    """

    name: str
    frames: np.ndarray
    fps: float | None = None
    spacing: float | None = None

    def __post_init__(self) -> None:
        """Raise DataError where a field is not as the class documents it."""
        frames = self.frames
        if not isinstance(frames, np.ndarray) or frames.dtype != np.uint8 or frames.ndim != 3:
            kind = getattr(frames, "dtype", type(frames).__name__)
            raise DataError(
                f"Clip {self.name!r}: expected frames (T, H, W) uint8, found {kind} of shape "
                f"{np.shape(frames)}. Convert colour to grey and scale to 0..255 first."
            )
        if 0 in frames.shape:
            raise DataError(
                f"Clip {self.name!r}: expected at least one frame of at least one pixel, found "
                f"shape {frames.shape}. Check the file or the slice that the frames come from."
            )
        for field in ("fps", "spacing"):
            value = getattr(self, field)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise DataError(
                    f"Clip {self.name!r}: expected {field} above 0, or None where unknown, "
                    f"found {value!r}."
                )

    def __repr__(self) -> str:
        count, height, width = self.frames.shape
        rate = "rate unknown" if self.fps is None else f"{self.fps:g} frames per second"
        scale = "spacing unknown" if self.spacing is None else f"{self.spacing:g} mm per px"
        size = f"{count} frames of {height} x {width} px"
        return f"<{type(self).__name__} {self.name!r}: {size}, {rate}, {scale}>"


def read_clip(path: str | Path) -> Clip:
    """Read a clip from a video (AVI, MP4, MOV, WebM, MPEG, WMV, FLV), GIF or DICOM file.

    The frames keep the file's own size, unless its pixels are not square, and the clip is named
    as the file without its suffix. Only DICOM files give a spacing. Warns of what was missing or
    mended. Raises DataError when the file is absent, cannot be read, is empty, broken, of another
    kind, or too large for the memory.
    """
    path = Path(path)
    if is_dicom(path):
        return Clip(clip_name(path), *read_dicom(path))
    video = read_video(path)
    return Clip(clip_name(path), video.frames, video.fps)


def example_clip() -> Clip:
    """Read the real clip that pydicom's wheel carries: an apical four-chamber cine.

    30 frames of 240 x 320 px at 30 fps, from a SonoSite machine. The file's scale tags belong to
    the 480 x 640 px original (their region ends at column 595, but a frame is 320 px wide), so
    `read_clip` leaves the spacing out. The frames were halved in size: in the depth ruler burned
    into them, the 5 cm marks are 49 px apart. That gives 1.02 mm per px, twice the tag's 0.5105 mm.
    """
    from pydicom.examples import get_path

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*scale tags.*")
        clip = read_clip(get_path("ybr_color"))
    return replace(clip, name="example_a4c", spacing=2 * 0.5104970559477806)


def is_dicom(path: Path) -> bool:
    """True for a DICOM file, False for a video, decided by the first bytes of the file.

    Raises DataError for a file that is absent, cannot be read, is empty or of another kind.
    """
    with open_clip(path) as file:
        head = file.read(HEAD)
    if not head:
        raise DataError(f"{path}: expected a clip, found an empty file (0 bytes). Copy it again.")
    if head[128:132] == b"DICM" or _is_bare_dicom(head):
        return True
    if video_kind(head) is None:
        found = f"a file that starts with {head[:12]!r}"
        advice = "Convert the clip, for example with "
        advice += f"`ffmpeg -i {path.name} -c:v mjpeg -q:v 2 clip.avi`"
        for start, (kind, what_to_do) in OTHER_KINDS.items():
            if head.startswith(start):
                found, advice = kind, what_to_do
        raise DataError(
            f"{path}: expected AVI, MP4, MOV, WebM, MPEG, WMV, FLV, GIF or DICOM, found {found}. "
            f"The suffix of the name does not count. {advice}."
        )
    return False


def _is_bare_dicom(head: bytes) -> bool:
    """Detect DICOM without the 128-byte preamble: it starts with group 0002 or 0008."""
    group, element = head[:2], head[2:4]
    return group in (b"\x02\x00", b"\x08\x00") and element <= b"\x18\x00" and element[1:] == b"\x00"
