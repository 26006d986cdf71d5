"""NN-MitralSeg: public labels of the mitral valve for 46 clips of EchoNet-Dynamic.

Layout: `data/in/raw/echo_net/<clip>/` with three `NNNN_mask.png` (the opaque pixels are the
leaflets; NNNN is the 1-based frame number) and `box.jpg` (the pixels that are not white are the
box around the valve).
Source: Corinzia et al., Artificial Intelligence in Medicine 110 (2020).
"""

import re
import struct
import warnings
from pathlib import Path

import cv2
import numpy as np

from ...errors import DataError, no_folder
from ..echonet import EchoNet
from ..problems import Problem, problem_summary
from .study import ValveClip

CLIPS_FOLDER = Path("data/in/raw/echo_net")
MASKS_PER_CLIP = 3
OPAQUE = 255
MOST_LEAFLETS = 0.1  # of a frame that leaflets can cover; those of the set cover up to 2 %
WHITE = 245  # lowest grey level that the authors' own code takes as white in box.jpg
RECTANGLE_IOU = 0.9  # a drawn box that agrees with a rectangle by this IoU counts as a rectangle
IMAGE_ERRORS = (OSError, ValueError, SyntaxError, EOFError, struct.error)  # raised by Pillow


def read_nn_mitralseg(
    folder: str | Path, echonet: EchoNet
) -> tuple[list[ValveClip], list[Problem]]:
    """Read the labelled amateur clips, and the problems found.

    folder: a checkout of the repository, or its folder of clips. echonet: EchoNet-Dynamic, which
    has the videos. A clip without a video, a box or a usable mask is left out. A clip with fewer
    than three masks is used and noted as a problem. Raises DataError where no clip is left.
    """
    folder = Path(folder)
    base = folder / CLIPS_FOLDER if (folder / CLIPS_FOLDER).is_dir() else folder
    if not base.is_dir():
        raise DataError(f"{no_folder(base)} Give the folder that holds NN-MitralSeg.")
    clips, problems = [], []
    for path in sorted(path for path in base.iterdir() if path.is_dir()):
        if any(path.glob("*_mask.png")) or (path / "box.jpg").is_file():
            clip, clip_problems = _read_clip(path, echonet)
            clips += [clip] if clip else []
            problems += clip_problems
    if not clips:
        raise DataError(
            f"{base}: expected folders with *_mask.png and box.jpg, named like the clips of "
            f"{echonet.folder}, found none that can be used. {problem_summary(problems)}"
        )
    return clips, problems


def _read_clip(path: Path, echonet: EchoNet) -> tuple[ValveClip | None, list[Problem]]:
    """Read one clip with its labels, None where it cannot be used, and the problems found."""
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
    if len(masks) < MASKS_PER_CLIP:
        reason = f"expected {MASKS_PER_CLIP} usable masks, found {len(masks)}"
        problems.append(Problem(name, None, reason, "noted"))
    labelled = tuple(sorted(masks))
    labels = np.stack([masks[frame] for frame in labelled])
    clip = ValveClip(name, clip.frames, clip.fps, clip.spacing, "amateur", box, labelled, labels)
    return clip, problems


def _read_masks(
    path: Path, count: int, size: tuple[int, int]
) -> tuple[dict[int, np.ndarray], list[Problem]]:
    """Map 0-based frame numbers to the usable masks of a clip, and list the problems found."""
    masks, problems = {}, []
    for file in sorted(path.glob("*_mask.png")):
        try:
            frame = _frame_number(file, count)
            if frame in masks:
                raise DataError(f"frame {frame + 1} already has another mask")
            masks[frame] = read_mask(file, size)
        except DataError as error:
            problems.append(Problem(f"{path.name}/{file.name}", None, str(error)))
    return masks, problems


def _frame_number(path: Path, count: int) -> int:
    """0-based frame number in the name of a mask file. Raises DataError for a wrong number."""
    number = re.fullmatch(r"([0-9]{1,9})_mask\.png", path.name)
    if not number:
        raise DataError("the file name does not begin with a frame number")
    if not 1 <= int(number[1]) <= count:
        raise DataError(f"expected a frame number from 1 to {count}, found {int(number[1])}")
    return int(number[1]) - 1


def read_mask(path: Path, size: tuple[int, int]) -> np.ndarray:
    """Read the opaque pixels of a PNG as (H, W) bool.

    Raises DataError where there are none, or more than leaflets can have.
    """
    pixels, mode = _read_pixels(path, size, "RGBA")
    if mode not in ("RGBA", "LA", "PA", "P+transparency"):
        raise DataError(f"the image has mode {mode}, without the alpha channel that holds the mask")
    mask = pixels[..., 3] == OPAQUE
    if not mask.any():
        raise DataError("no pixel is opaque: the mask is empty")
    if mask.mean() > MOST_LEAFLETS:
        raise DataError(
            f"expected leaflets as opaque pixels, on at most {100 * MOST_LEAFLETS:.0f} % of the "
            f"frame, found opaque pixels on {100 * mask.mean():.0f} %. Make the others transparent"
        )
    return mask


def read_box(path: Path, size: tuple[int, int]) -> np.ndarray:
    """Read the box from a JPEG as (H, W) bool: the largest part that is not white, filled.

    JPEG blurs edges and leaves specks around them. A part that differs from a rectangle only by
    those becomes the rectangle. Raises DataError for an unreadable or a white image.
    """
    pixels, _ = _read_pixels(path, size, "RGB")
    drawn = np.any(pixels < WHITE, axis=2).astype(np.uint8)
    outlines, _ = cv2.findContours(drawn, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not outlines:
        raise DataError("no pixel is darker than white: there is no box")
    parts = [cv2.drawContours(np.zeros(size, np.uint8), [line], 0, 1, -1) for line in outlines]
    part = max(parts, key=np.sum).astype(bool)
    rectangle = np.zeros(size, bool)
    rectangle[np.ix_(*(_filled_lines(part.sum(axis=axis)) for axis in (1, 0)))] = True
    iou = (part & rectangle).sum() / (part | rectangle).sum()
    return rectangle if iou >= RECTANGLE_IOU else part


def _filled_lines(counts: np.ndarray) -> np.ndarray:
    """Indices from the first to the last line with at least half the pixels of the fullest line.

    counts: number of pixels in each line, which is a row or a column.
    """
    filled = np.flatnonzero(2 * counts >= counts.max())
    return np.arange(filled[0], filled[-1] + 1)


def _read_pixels(path: Path, size: tuple[int, int], mode: str) -> tuple[np.ndarray, str]:
    """Read pixels (H, W, channels) uint8, converted to `mode`, and the mode in the file.

    size: the expected (H, W). Raises DataError for a missing or broken file, or for another size.
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
                    raise DataError(
                        f"the image is {found} px, the frames of the clip {expected} px"
                    )
                return np.asarray(image.convert(mode)), stored
    except FileNotFoundError:
        raise DataError("the file is missing") from None
    except DataError:
        raise
    except (*IMAGE_ERRORS, Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        reason = str(error).replace(str(path), path.name)
        raise DataError(f"the image cannot be read ({reason})") from error
