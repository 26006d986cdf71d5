"""NIfTI files, as CAMUS stores its images, labels and sequences, and masks written likewise."""

import gzip
import math
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError, no_such
from ..files import atomic_path
from ..masks import PackedMasks
from ..memory import require_memory
from .rates import SPACINGS

SUFFIXES = (".nii.gz", ".nii")  # the first has priority
SQUARE = 0.01  # relative difference up to which pixels count as square
MOST_GREY = 1e6  # a larger grey level is none
LEVEL = 6  # of gzip: the highest takes longer, and masks hardly get smaller
SCALED = 8  # bytes more of a pixel that is scaled to a grey level: it becomes a float64


def nifti_file(folder: Path, stem: str) -> Path | None:
    """The file `stem.nii.gz` or `stem.nii` in a folder; None where there is neither."""
    paths = [folder / f"{stem}{suffix}" for suffix in SUFFIXES]
    return next((path for path in paths if path.is_file()), None)


def nifti_stem(path: Path) -> str | None:
    """The name of a NIfTI file without its suffix; None for a file of another kind."""
    stems = (path.name.removesuffix(suffix) for suffix in SUFFIXES if path.name.endswith(suffix))
    return next(stems, None)


def read_nifti(path: Path) -> tuple[np.ndarray, float | None, list[str]]:
    """Read the pixels of a NIfTI file, their spacing in mm per px, and notes in words.

    The pixels are (H, W) or (T, H, W), upright with the probe on top; CAMUS stores columns first.
    Axes of length 1 are left out. A file whose matrix says that it was turned, mirrored or
    transposed since is brought back, with a note, see `_turned_back`. The spacing is None, with a
    note, where the file gives one that no heart scan has. Raises DataError for a missing or broken
    file, for pixels that are not square or no numbers, and for more of them than the limit of
    memory allows.
    """
    import nibabel  # here, because few readers need it

    if not path.is_file():
        raise DataError(f"{no_such(path)} Copy or download it again.")
    try:
        with nibabel.imageglobals.LoggingOutputSuppressor():  # of a spacing that is unknown
            image = nibabel.load(path)
        if not isinstance(image, nibabel.Nifti1Image):  # NIfTI 2 is one, too
            raise ValueError(f"it holds a {type(image).__name__}, not an image")
        axes = _axes(image)
        # as it is in the file: nibabel makes a 1 of a 0, and takes signs away
        with nibabel.openers.Opener(str(path)) as file:
            zooms = type(image.header).from_fileobj(file, check=False)["pixdim"][1:]
        _check_memory(path, image)
        pixels = np.asarray(image.dataobj)
    except DataError:
        raise
    # nibabel raises many kinds of errors for broken files, from zlib's to those of its headers.
    except Exception as error:
        raise DataError(
            f"{path} is not a readable NIfTI file ({error}). Copy or download it again."
        ) from error
    if not (np.issubdtype(pixels.dtype, np.integer) or np.issubdtype(pixels.dtype, np.floating)):
        raise DataError(f"{path}: expected grey pixels, found pixels of type {pixels.dtype}.")
    low, high = float(pixels.min()), float(pixels.max())
    if not -MOST_GREY <= low <= high <= MOST_GREY:  # also where one is NaN
        raise DataError(f"{path}: expected grey levels, found pixels from {low:g} to {high:g}.")
    spacing, notes = _spacing(path, [float(zooms[axis]) for axis in axes[:2]])
    pixels = pixels.reshape([pixels.shape[axis] for axis in axes])
    pixels, turned = _turned_back(pixels, axes, image)
    return np.ascontiguousarray(pixels.T), spacing, notes + turned


def _axes(image: Any) -> list[int]:
    """The axes that are longer than 1: columns, rows, and in a sequence the time."""
    axes = [axis for axis, length in enumerate(image.shape) if length != 1]
    if len(axes) not in (2, 3) or 0 in image.shape:
        shape = " x ".join(map(str, image.shape))
        raise ValueError(f"expected an image (2 axes) or a sequence (3 axes), found {shape}")
    return axes


def _turned_back(pixels: np.ndarray, axes: list[int], image: Any) -> tuple[np.ndarray, list[str]]:
    """Pixels (columns, rows, ...) in the orientation of CAMUS, and a note where they were not.

    The matrix of CAMUS leads its columns to the left (L) and its rows to the back (P), and
    everybody who reorients a file, as to RAS, writes a matrix that says so. A matrix that leads
    elsewhere and has no offset says nothing: it is what tools write that know no orientation, and
    the pixels stay as they are.
    """
    import nibabel

    if not (image.header["sform_code"] > 0 or image.header["qform_code"] > 0):
        return pixels, []
    codes = nibabel.aff2axcodes(image.affine)
    columns, rows = (codes[axis] if axis < len(codes) else None for axis in axes[:2])
    swapped = columns in ("A", "P") and rows in ("L", "R")
    if swapped:
        pixels, columns, rows = pixels.swapaxes(0, 1), rows, columns
    flipped = [
        axis
        for axis, (code, other) in enumerate([(columns, "R"), (rows, "A")])
        if code == other and image.affine[axis, 3] != 0
    ]
    if not (swapped or flipped):
        return pixels, []
    stored = "".join(str(code) for code in codes)
    note = f"stored in the orientation {stored} instead of LPS: turned back as its matrix says"
    return np.flip(pixels, tuple(flipped)), [note]


def _check_memory(path: Path, image: Any) -> None:
    """Raise DataError where the header declares more pixels than fit the limit of memory."""
    kind = image.header.get_data_dtype()
    as_stored = kind == np.uint8 and (image.dataobj.slope, image.dataobj.inter) == (1, 0)
    size = 2 * kind.itemsize + (0 if as_stored else SCALED)  # columns first, then rows first
    require_memory(f"{path}: its image", math.prod(image.shape) * size, path.stat().st_size)


def _spacing(path: Path, zooms: list[float]) -> tuple[float | None, list[str]]:
    """The spacing in mm per px, or None with a note. Raises DataError for oblong pixels."""
    width, height = zooms
    low, high = SPACINGS
    if not all(low <= zoom <= high for zoom in zooms):  # also where one is NaN
        note = f"spacing of {width:g} x {height:g} mm per px is impossible: it is unknown"
        return None, [note]
    if abs(width - height) > SQUARE * max(width, height):
        raise DataError(f"{path}: expected square pixels, found {width} x {height} mm.")
    return width, []


def to_uint8(pixels: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Grey levels as uint8, and notes in words where they had to be scaled.

    Values from 0 to 255 are rounded. Fractions from 0 to 1 are multiplied by 255, and values
    beyond 0 to 255 are stretched to that range.
    """
    if pixels.dtype == np.uint8:
        return pixels, []
    low, high = float(pixels.min()), float(pixels.max())
    notes = []
    if low < 0 or high > 255:
        pixels = (pixels.astype(np.float64) - low) * (255 / (high - low) if high > low else 0)
        notes = [f"grey levels from {low:g} to {high:g} are stretched to 0 to 255"]
    elif 0 < high <= 1 and np.issubdtype(pixels.dtype, np.floating):
        pixels = pixels * 255
        notes = [f"grey levels are fractions up to {high:.3g}, multiplied by 255"]
    return np.rint(pixels).astype(np.uint8), notes


def write_masks(
    path: str | Path, masks: np.ndarray | PackedMasks, fps: float | None, spacing: float | None
) -> None:
    """Write masks (T, H, W) bool of a clip as `.nii.gz`, 0 and 1 in uint8, whole or not at all.

    The axes of the file are (W, H, 1, T): columns first as in CAMUS, then the one slice that NIfTI
    wants before the time. `read_nifti` reads the same masks. fps: frames per second, which gives
    the time of a frame in s. spacing: mm per px. What is None is 0 in the file, its unit
    "unknown". As in CAMUS, the matrix turns both axes, so that viewers show the apex up; the slice
    is 1 thick, which means nothing.
    """
    import nibabel

    count, height, width = masks.shape
    longest = np.iinfo(np.int16).max  # of an axis in NIfTI 1
    header = (nibabel.Nifti2Header if max(masks.shape) > longest else nibabel.Nifti1Header)()
    header.set_data_dtype(np.uint8)
    header.set_data_shape((width, height, 1, count))
    header.set_sform(np.diag([-(spacing or 1), -(spacing or 1), 1, 1]), "aligned")
    header.set_zooms((spacing or 0, spacing or 0, 1, 1 / fps if fps else 0))
    header.set_xyzt_units("mm" if spacing else "unknown", "sec" if fps else "unknown")
    header["vox_offset"] = header.single_vox_offset
    with (
        atomic_path(path) as temporary,
        temporary.open("wb") as file,
        # no name and no time in the file, so that the same masks give the same bytes
        gzip.GzipFile("", "wb", LEVEL, file, mtime=0) as packed,
    ):
        packed.write(header.binaryblock.ljust(header.single_vox_offset, b"\0"))
        for mask in masks:
            packed.write(np.ascontiguousarray(mask, np.uint8).data)
