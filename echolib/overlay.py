"""Outlines drawn onto frames, and clips of them that play in a browser."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from .files import atomic_path

PREDICTION = (230, 86, 154)  # RGB; the palette of the figures
REFERENCE = (0, 179, 134)
SMALLEST_SIDE = 448  # px; smaller frames are enlarged to at least this
FASTEST_GIF = 50.0  # frames a second; browsers slow down what claims to be faster


def draw_outlines(
    frames: np.ndarray,
    masks: np.ndarray,
    colour: Sequence[int] = PREDICTION,
    reference: np.ndarray | None = None,
    scale: int | None = None,
) -> np.ndarray:
    """Draw the outline of every mask onto its frame, enlarged so that the line stays thin.

    frames: (T, H, W) uint8. masks, reference: (T, H, W) bool; the reference is drawn in green.
    scale: whole factor of enlargement, by default what brings the longer side to 448 px.
    Returns (T, scale H, scale W, 3) uint8 RGB. Raises ValueError when the shapes differ.
    """
    for name, other in (("masks", masks), ("reference", reference)):
        if other is not None and other.shape != frames.shape:
            raise ValueError(f"Frames are {frames.shape}, {name} {other.shape}: they must match.")
    scale = scale or max(1, -(-SMALLEST_SIDE // max(frames.shape[1:])))
    layers = [(reference, REFERENCE)] if reference is not None else []
    layers.append((masks, tuple(int(level) for level in colour)))
    pictures = []
    for index, frame in enumerate(frames):
        picture = cv2.cvtColor(_enlarge(frame, scale), cv2.COLOR_GRAY2RGB)
        for layer, shade in layers:
            mask = _enlarge(layer[index].astype(np.uint8) * 255, scale) > 127
            outlines, _ = cv2.findContours(
                mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE
            )
            cv2.drawContours(picture, outlines, -1, shade, max(2, scale // 2), cv2.LINE_AA)
        pictures.append(picture)
    return np.stack(pictures)


def _enlarge(frame: np.ndarray, scale: int) -> np.ndarray:
    if scale == 1:
        return frame
    size = (frame.shape[1] * scale, frame.shape[0] * scale)
    return cv2.resize(frame, size, interpolation=cv2.INTER_CUBIC)


def write_video(path: str | Path, pictures: np.ndarray, fps: float) -> None:
    """Write (T, H, W, 3) uint8 RGB as WebM (VP8), which browsers play and OpenCV encodes.

    Odd sides are padded by one row or column of black, which the codec asks for. Raises
    ValueError for a name that does not end in .webm, OSError when nothing could be encoded.
    """
    path = Path(path)
    if path.suffix != ".webm":
        raise ValueError(f"{path}: only .webm is written; choose that ending.")
    height, width = (side + side % 2 for side in pictures.shape[1:3])
    with atomic_path(path) as temporary:
        code = cv2.VideoWriter_fourcc(*"VP80")
        with _quiet():
            writer = cv2.VideoWriter(str(temporary), code, float(fps), (width, height))
        for picture in pictures:
            padded = np.zeros((height, width, 3), np.uint8)
            padded[: picture.shape[0], : picture.shape[1]] = picture[..., ::-1]
            writer.write(padded)
        writer.release()
        _check_written(temporary, len(pictures), path)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what C code prints to standard error: a note that WebM has no tag for its codec."""
    kept = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _check_written(written: Path, count: int, path: Path) -> None:
    """OpenCV says nothing when a disk is full: read back what it wrote."""
    capture = cv2.VideoCapture(str(written))
    found = 0
    while capture.grab():
        found += 1
    capture.release()
    if found < count:
        raise OSError(f"{path}: {found} of {count} frames were written. Is the disk full?")


def write_gif(path: str | Path, pictures: np.ndarray, fps: float) -> None:
    """Write (T, H, W, 3) uint8 RGB as an endless GIF.

    A GIF counts in hundredths of a second, and browsers slow down delays under two of them:
    clips above 50 frames a second are thinned out, so that they play in real time.
    """
    step = max(1, int(np.ceil(fps / FASTEST_GIF)))
    images = [Image.fromarray(picture) for picture in pictures[::step]]
    # rounded from the running time, so that errors of a frame do not add up
    times = np.rint(np.arange(len(images) + 1) * step / fps * 100).astype(int) * 10
    with atomic_path(path) as temporary:
        images[0].save(
            temporary,
            save_all=True,
            append_images=images[1:],
            duration=np.diff(times).tolist(),
            loop=0,
        )
