"""Reads a DICOM clip: opens the file, then asks for its frames and for what its tags say."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from ...errors import DataError
from ...memory import memory_limit, too_large
from ..video import open_clip
from .pixels import decode_frames
from .tags import frame_rate, pixel_stretch, spacing

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset

PIECE = 2**20  # bytes that are inflated at once


def read_dicom(path: Path) -> tuple[np.ndarray, float | None, float | None]:
    """Read a DICOM file: grey frames (T, H, W) uint8, fps, and spacing in mm per px.

    fps and spacing are None where the tags do not give them. Warns where tags contradict the
    samples, and of what was mended. Raises DataError for a file that is broken, has no pixel data,
    needs a decoder that is not installed, or is larger than the limit of memory.
    """
    with open_clip(path) as file, _errors_named(path):
        dataset, stream = _open(file, path)
        stretch = pixel_stretch(dataset, path)
        frames, rate = decode_frames(dataset, stream, path, stretch)
        return frames, frame_rate(dataset, path, rate), spacing(dataset, path, stretch)


def read_tags(path: Path) -> "Dataset":
    """The tags of a DICOM clip, without its pixels. Raises DataError as `read_dicom` does."""
    with open_clip(path) as file, _errors_named(path):
        return _open(file, path)[0]


@contextmanager
def _errors_named(path: Path) -> Iterator[None]:
    """Turn what pydicom raises of a broken file into a DataError that names the file."""
    try:
        yield
    except DataError:
        raise
    # pydicom raises many kinds of errors for broken files, from KeyError to struct.error.
    except Exception as error:
        if isinstance(error, OSError) and error.errno:  # of the disk: `open_clip` explains it
            raise
        raise DataError(
            f"{path}: expected a DICOM clip, found one that cannot be read "
            f"({type(error).__name__}: {error}). Export it again, or as AVI or MP4."
        ) from error


def _open(file: BinaryIO, path: Path) -> tuple["Dataset", BinaryIO]:
    """The tags of a file, and a stream at the start of the element that holds the pixels.

    Raises DataError where there is none.
    """
    from pydicom import dcmread, uid

    meta = _file_meta(file)
    deflated = meta.get("TransferSyntaxUID") == uid.DeflatedExplicitVRLittleEndian
    if deflated:
        meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
        stream: BinaryIO = _inflated(file, path)
    else:
        file.seek(0)
        stream = file
    dataset = dcmread(stream, force=True, stop_before_pixels=True)
    if deflated:
        dataset.file_meta = meta
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little = dataset.original_encoding
        explicit = uid.ExplicitVRLittleEndian if little else uid.ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = uid.ImplicitVRLittleEndian if implicit else explicit
    if not stream.read(1):
        raise DataError(
            f"{path}: expected a DICOM image, found a data set without pixel data "
            f"({dataset.get('Modality', 'no modality')}). A study has such files besides its "
            "clips (directory, report): choose another of its files. If this file should be a "
            "clip, copy or export it again."
        )
    stream.seek(-1, 1)
    others = {
        uid.SegmentationStorage: "a segmentation: masks of a clip",
        uid.EnhancedUSVolumeStorage: "a volume: slices in space, not moments in time",
    }
    if other := others.get(dataset.get("SOPClassUID")):
        raise DataError(f"{path}: expected a clip, found {other}. Give the clip itself.")
    return dataset, stream


def _file_meta(file: BinaryIO) -> "FileMetaDataset":
    """The group 0002 of a file, empty where it has none; the file is then behind it."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.filereader import read_dataset

    preamble = file.read(132)
    file.seek(132 if preamble[128:] == b"DICM" else 0)
    meta = read_dataset(file, False, True, stop_when=lambda tag, vr, length: tag >> 16 != 2)
    return FileMetaDataset(meta)


def _inflated(file: BinaryIO, path: Path) -> BinaryIO:
    """The rest of a deflated file, inflated; its size is counted first, without keeping it."""
    compressed = file.read()
    stored = len(compressed)
    size, limit = 0, memory_limit(stored)
    for piece in _pieces(compressed):
        size += len(piece)
        if size > limit:
            raise too_large(f"{path}: its deflated data", size, limit, stored)
    data = BytesIO()
    for piece in _pieces(compressed):
        data.write(piece)
    data.seek(0)
    return data


def _pieces(compressed: bytes) -> Iterator[bytes]:
    """Inflate piece by piece. Raises zlib.error where the data are damaged."""
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    while compressed and not inflate.eof:
        yield inflate.decompress(compressed, PIECE)
        compressed = inflate.unconsumed_tail
