"""NN-MitralSeg: public labels of the mitral valve for 46 clips of EchoNet-Dynamic.

Layout: `data/in/raw/echo_net/<clip>/` with three `NNNN_mask.png` (the leaflets are the opaque
pixels; NNNN is the frame's number, from 1 on) and `box.jpg` (the box is what is not white).
Source: Corinzia et al., Artificial Intelligence in Medicine 110 (2020).
"""

import re
import struct
import warnings
from pathlib import Path

import cv2
import numpy as np

from ...errors import DataError
from ..echonet import EchoNet
from ..frames import Problem, problem_summary
from .study import ValveClip

INSIDE = Path("data/in/raw/echo_net")
MASKS = 3
OPAQUE = 255
WHITE = 245  # grey level from which the authors' own code takes a pixel of box.jpg as white
RECTANGLE = 0.9  # a drawn box that agrees this well (IoU) with a rectangle is meant to be one
BROKEN = (OSError, ValueError, SyntaxError, EOFError, struct.error)  # Pillow raises all of them


def read_nn_mitralseg(
    folder: str | Path, echonet: EchoNet
) -> tuple[list[ValveClip], list[Problem]]:
    """The labelled amateur clips, and what of them was malformed.

    folder: a checkout of the repository, or its folder of clips. echonet: EchoNet-Dynamic, which
    has the videos. A clip without video, box or any usable mask is left out; one with fewer than
    three masks is used and noted. Raises DataError where no clip is left.
    """
    folder = Path(folder)
    base = folder / INSIDE if (folder / INSIDE).is_dir() else folder
    if not base.is_dir():
        raise DataError(f"{base} is not a folder. Give the one that holds NN-MitralSeg.")
    clips, problems = [], []
    for path in sorted(path for path in base.iterdir() if path.is_dir()):
        if any(path.glob("*_mask.png")) or (path / "box.jpg").is_file():
            clip, some = _read_clip(path, echonet)
            clips += [clip] if clip else []
            problems += some
    if not clips:
        raise DataError(
            f"{base}: expected folders with *_mask.png and box.jpg, named as clips of "
            f"{echonet.folder}, found none that can be used. {problem_summary(problems)}"
        )
    return clips, problems


def _read_clip(path: Path, echonet: EchoNet) -> tuple[ValveClip | None, list[Problem]]:
    """One clip with its labels, None where it cannot be used."""
    name = path.name
    if name not in echonet.table.index:
        return None, [Problem(name, None, f"no such clip in {echonet.name}")]
    try:
        clip = echonet.clip(name)
    except DataError as error:
        reason = str(error).replace(f"{echonet.folder}/", "")
        return None, [Problem(name, None, reason)]
    count, *size = clip.frames.shape
    masks, problems = _read_masks(path, count, tuple(size))
    try:
        box = read_box(path / "box.jpg", tuple(size))
    except DataError as error:
        return None, [*problems, Problem(f"{name}/box.jpg", None, str(error))]
    if not masks:
        return None, [*problems, Problem(name, None, "no usable mask")]
    if len(masks) < MASKS:
        reason = f"{len(masks)} usable masks where {MASKS} are expected"
        problems.append(Problem(name, None, reason, "noted"))
    labelled = tuple(sorted(masks))
    labels = np.stack([masks[frame] for frame in labelled])
    clip = ValveClip(name, clip.frames, clip.fps, clip.spacing, "amateur", box, labelled, labels)
    return clip, problems


def _read_masks(
    path: Path, count: int, size: tuple[int, int]
) -> tuple[dict[int, np.ndarray], list[Problem]]:
    """{0-based frame: mask} of the usable masks in a clip's folder, and the problems of others."""
    masks, problems = {}, []
    for file in sorted(path.glob("*_mask.png")):
        try:
            frame = _frame(file, count)
            if frame in masks:
                raise DataError(f"frame {frame + 1} has another mask")
            masks[frame] = read_mask(file, size)
        except DataError as error:
            problems.append(Problem(f"{path.name}/{file.name}", None, str(error)))
    return masks, problems


def _frame(path: Path, count: int) -> int:
    """0-based frame number in the name of a mask's file. Raises DataError where it is none."""
    number = re.fullmatch(r"([0-9]{1,9})_mask\.png", path.name)
    if not number:
        raise DataError("the file's name does not begin with a frame number")
    if not 1 <= int(number[1]) <= count:
        raise DataError(f"frame {int(number[1])} is not one of 1 to {count}, the clip's frames")
    return int(number[1]) - 1


def read_mask(path: Path, size: tuple[int, int]) -> np.ndarray:
    """(H, W) bool, the opaque pixels of a PNG. Raises DataError where there are none."""
    pixels, mode = _pixels(path, size, "RGBA")
    if mode not in ("RGBA", "LA", "PA", "P+transparency"):
        raise DataError(f"an image of mode {mode} has no alpha channel, which holds the mask")
    mask = pixels[..., 3] == OPAQUE
    if not mask.any():
        raise DataError("no pixel is opaque: the mask is empty")
    return mask


def read_box(path: Path, size: tuple[int, int]) -> np.ndarray:
    """(H, W) bool, what is not white in a JPEG: its largest part, filled.

    A JPEG blurs edges and leaves specks around them, so that a part that is a rectangle but for
    those becomes one. Raises DataError for an unreadable or a white image.
    """
    pixels, _ = _pixels(path, size, "RGB")
    drawn = (pixels < WHITE).any(axis=2).astype(np.uint8)
    outlines, _ = cv2.findContours(drawn, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not outlines:
        raise DataError("no pixel is darker than white: there is no box")
    parts = [cv2.drawContours(np.zeros(size, np.uint8), [line], 0, 1, -1) for line in outlines]
    part = max(parts, key=np.sum).astype(bool)
    rectangle = np.zeros(size, bool)
    rectangle[np.ix_(*(_core(part.sum(axis=axis)) for axis in (1, 0)))] = True
    agreement = (part & rectangle).sum() / (part | rectangle).sum()
    return rectangle if agreement >= RECTANGLE else part


def _core(lengths: np.ndarray) -> np.ndarray:
    """Indices of the rows, from first to last, in which at least half the widest row is filled."""
    long = np.flatnonzero(2 * lengths >= lengths.max())
    return np.arange(long[0], long[-1] + 1)


def _pixels(path: Path, size: tuple[int, int], mode: str) -> tuple[np.ndarray, str]:
    """Pixels (H, W, channels) uint8 in `mode`, and the mode in the file.

    Raises DataError for a missing or broken file, or one of another size.
    """
    from PIL import Image  # here, because few readers need it

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                transparent = image.mode == "P" and "transparency" in image.info
                stored = "P+transparency" if transparent else image.mode
                if image.size[::-1] != size:
                    found, expected = (f"{h} x {w}" for h, w in (image.size[::-1], size))
                    raise DataError(f"the image is {found} px, the clip's frames {expected}")
                return np.asarray(image.convert(mode)), stored
    except FileNotFoundError:
        raise DataError("the file is missing") from None
    except DataError:
        raise
    except (*BROKEN, Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        reason = str(error).replace(str(path), path.name)
        raise DataError(f"the image cannot be read ({reason})") from error
