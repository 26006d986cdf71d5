"""Videos and GIFs as grey frames, decoded in order, without seeking."""

import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np

from ..errors import DataError

COLOUR_SPREAD = (
    20  # grey levels; a pixel is coloured if its channels differ by more, lit if brighter
)
TINTED_SHARE = 0.5  # of the lit pixels: where more are coloured, the whole display is tinted


def decode_video(path: str | Path, stop: int | None = None) -> np.ndarray:
    """Decode a video from its first frame on, at most `stop` frames.

    Returns (T, H, W) uint8, grey. A truncated file gives the frames that decode.
    Raises DataError when the file is absent or no frame decodes.
    """
    path = Path(path)
    if not path.is_file():
        raise missing_file(path)
    return _decode(path, stop)[0]


def count_frames(path: Path) -> int:
    """Count the frames of a video by going through it, because its header may be wrong."""
    reader, count = cv2.VideoCapture(str(path)), 0
    while reader.grab():
        count += 1
    reader.release()
    return count


def missing_file(path: Path) -> DataError:
    """Build the error for a path that is not a file."""
    if path.is_dir():
        return DataError(f"{path}: expected a file, found a folder. Name one clip inside it.")
    return DataError(
        f"{path}: no such file. Check the name and the folder {path.absolute().parent}."
    )


# Colour to grey


def to_grey(frames: Iterable[np.ndarray], name: str) -> np.ndarray:
    """Convert (H, W, 3) uint8 RGB frames to grey (T, H, W) uint8 and blacken burned-in colour.

    An ECG trace, a Doppler box or a menu is not an echo, but its brightness would look like a
    strong one. Tissue is grey, so clearly coloured pixels become black, as the background of an
    echocardiogram is. A rim of 1 px around them becomes black too: JPEG and MPEG store colour at
    half the resolution, which leaves a bright edge without colour. Where most of the lit pixels
    are coloured, the whole display is tinted (sepia, blue). Colour then carries no information:
    the brightness is kept, and a warning is given. name: the clip's name in that warning.
    """
    grey, burned_in = [], []
    coloured_pixels = lit_pixels = 0
    for frame in frames:
        red, green, blue = cv2.split(frame)
        strongest = cv2.max(cv2.max(red, green), blue)
        weakest = cv2.min(cv2.min(red, green), blue)
        coloured = (cv2.subtract(strongest, weakest) > COLOUR_SPREAD).astype(np.uint8)
        brightness = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        lit = brightness > COLOUR_SPREAD
        lit_pixels += int(np.count_nonzero(lit))
        coloured_pixels += int(np.count_nonzero(coloured[lit]))
        grey.append(brightness)
        burned_in.append(cv2.dilate(coloured, np.ones((3, 3), np.uint8)) > 0)
    if not grey:
        return np.empty((0, 0, 0), np.uint8)
    clip = np.stack(grey)
    if coloured_pixels > TINTED_SHARE * lit_pixels:
        warnings.warn(f"{name}: the whole display is tinted; its brightness is used.", stacklevel=2)
    else:
        clip[np.stack(burned_in)] = 0
    return clip


# AVI, MP4, MOV, WebM


def _decode(path: Path, stop: int | None) -> tuple[np.ndarray, float | None, int]:
    """Return the grey frames, fps, and the number of frames that the header announces."""
    # Grey values differ between decoders, so the decoder is fixed.
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    try:
        frames = to_grey(_captured_frames(capture, stop), str(path))
        fps = capture.get(cv2.CAP_PROP_FPS)
        announced = int(max(capture.get(cv2.CAP_PROP_FRAME_COUNT), 0))
    finally:
        capture.release()
    if len(frames) == 0:
        raise DataError(
            f"{path}: expected a video, found no readable frame in {path.stat().st_size} bytes. "
            "The file is truncated or damaged: copy it again, or play it to see whether the "
            "original is whole."
        )
    return frames, (round(fps, 3) if 0 < fps < 1000 else None), announced


def _captured_frames(capture: cv2.VideoCapture, stop: int | None) -> Iterator[np.ndarray]:
    """Yield at most `stop` frames in order, (H, W, 3) uint8 RGB."""
    count = 0
    while stop is None or count < stop:
        decoded, frame = capture.read()
        if not decoded:
            return
        yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        count += 1


def read_video(path: Path) -> tuple[np.ndarray, float | None]:
    """Read the grey frames and fps of a video; warn when fewer decode than the header announces."""
    frames, fps, announced = _decode(path, stop=None)
    if announced - len(frames) > 1:  # containers are often off by one
        warnings.warn(
            f"{path}: the header announces {announced} frames, but only {len(frames)} decode. The "
            "file is probably truncated; the frames that decode are used.",
            stacklevel=3,
        )
    return frames, fps


# GIF


def read_gif(path: Path) -> tuple[np.ndarray, float | None]:
    """Read the grey frames and fps of a GIF; GIF delays are whole hundredths of a second."""
    from PIL import Image, ImageSequence

    delays = []

    def rgb_frames(gif: Image.Image) -> Iterator[np.ndarray]:
        for frame in ImageSequence.Iterator(gif):
            delays.append(frame.info.get("duration", 0))
            yield np.asarray(frame.convert("RGB"))

    try:
        with Image.open(path) as gif:
            frames = to_grey(rgb_frames(gif), str(path))
    # Pillow raises many kinds of errors for broken files, IndexError among them.
    except Exception as error:
        raise DataError(
            f"{path}: expected a GIF, found one that does not decode ({error}). "
            "The file is truncated or damaged: copy it again."
        ) from error
    mean_delay = float(np.mean(delays))
    return frames, (round(1000 / mean_delay, 3) if mean_delay > 0 else None)
