"""DICOM clips: grey frames from all common pixel formats, frame rate, and spacing from the tags."""

import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DataError
from .video import decode_video, to_grey

if TYPE_CHECKING:
    from pydicom import Dataset

ANISOTROPY = 0.01  # largest relative difference of spacings in x and y that count as equal


def read_dicom(path: Path) -> tuple[np.ndarray, float | None, float | None]:
    """Read a DICOM file: grey frames (T, H, W) uint8, fps, and spacing in mm per px.

    fps and spacing are None where the tags do not give them. Raises DataError for a file that is
    broken, has no pixel data, or needs a decoder that is not installed.
    """
    import pydicom
    from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

    try:
        dataset = pydicom.dcmread(path, force=True)
        if "TransferSyntaxUID" not in dataset.file_meta:
            implicit = dataset.original_encoding[0]
            syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
            dataset.file_meta.TransferSyntaxUID = syntax
        if "PixelData" not in dataset:
            raise DataError(
                f"{path}: expected a DICOM image, found a data set without pixel data "
                f"({dataset.get('Modality', 'no modality')}). A study has such files besides its "
                "clips (directory, report): choose another of its files. If this file should be a "
                "clip, it is truncated: export it again."
            )
        return _dicom_frames(dataset, path), _dicom_fps(dataset), _dicom_spacing(dataset, path)
    except DataError:
        raise
    # pydicom raises many kinds of errors for broken files, from KeyError to struct.error.
    except Exception as error:
        raise DataError(
            f"{path}: expected a DICOM clip, found one that cannot be read ({error}). "
            "The file is truncated or damaged: export it again."
        ) from error


def _dicom_frames(dataset: "Dataset", path: Path) -> np.ndarray:
    """Decode the frames of a DICOM data set one by one, as grey (T, H, W) uint8."""
    from pydicom.pixels import iter_pixels

    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax.name.startswith("MPEG") or syntax.name.startswith("HEVC"):
        return _mpeg_frames(dataset, path)
    _require_decoder(syntax, path)
    photometric = dataset.PhotometricInterpretation
    decoded = iter_pixels(dataset)  # it converts YBR to RGB
    if photometric == "PALETTE COLOR":
        return to_grey((_apply_palette(frame, dataset) for frame in decoded), str(path))
    if not photometric.startswith("MONOCHROME"):
        return to_grey(decoded, str(path))
    grey = np.stack([_scale_to_8_bit(frame, dataset) for frame in decoded])
    return 255 - grey if photometric == "MONOCHROME1" else grey


def _require_decoder(syntax, path: Path) -> None:
    """Raise DataError where no installed package decodes the syntax, and name one that does."""
    from pydicom.pixels import get_decoder

    package = "pylibjpeg pylibjpeg-openjpeg" if "2000" in syntax.name else "python-gdcm"
    try:
        if get_decoder(syntax).is_available:
            return
        remedy = f"Install a decoder: `pip install {package}`."
    except NotImplementedError:
        remedy = "Export the clip again, uncompressed, as JPEG, or as AVI or MP4."
    raise DataError(
        f"{path}: expected pixels that pydicom can decode, found the transfer syntax "
        f"{syntax.name} ({syntax}). {remedy}"
    )


def _mpeg_frames(dataset: "Dataset", path: Path) -> np.ndarray:
    """Decode a DICOM file that wraps an MPEG stream, with OpenCV: pydicom cannot decode MPEG."""
    from pydicom.encaps import generate_frames

    stream = b"".join(generate_frames(dataset.PixelData, number_of_frames=1))
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "stream.mpg"
        video.write_bytes(stream)
        try:
            return decode_video(video)
        except DataError as error:
            raise DataError(
                f"{path}: expected an MPEG stream inside the DICOM file, found {len(stream)} bytes "
                "that decode to no frame. Export the clip again, as JPEG, or as AVI or MP4."
            ) from error


def _apply_palette(frame: np.ndarray, dataset: "Dataset") -> np.ndarray:
    """Convert (H, W) palette indices to (H, W, 3) uint8 RGB; 16-bit palettes are reduced to 8."""
    from pydicom.pixels import apply_color_lut

    colours = apply_color_lut(frame, dataset)
    return colours if colours.dtype == np.uint8 else (colours >> 8).astype(np.uint8)


def _scale_to_8_bit(frame: np.ndarray, dataset: "Dataset") -> np.ndarray:
    """Convert (H, W) stored values to uint8.

    Unsigned 8-bit values stay as they are. Others are scaled by the window, or by BitsStored
    where there is no window.
    """
    bits, signed = int(dataset.BitsStored), bool(dataset.PixelRepresentation)
    if bits == 8 and not signed:
        return frame.astype(np.uint8)
    values = frame.astype(np.float32)
    centre = _first_number(dataset.get("WindowCenter"))
    width = _first_number(dataset.get("WindowWidth"))
    if centre is not None and width is not None and width > 1:
        # The window applies to rescaled values (DICOM PS3.3 C.11.2.1.2).
        slope, intercept = dataset.get("RescaleSlope", 1), dataset.get("RescaleIntercept", 0)
        values = values * float(slope) + float(intercept)
        scaled = (values - (centre - 0.5)) / (width - 1) + 0.5
    else:
        lowest = -(2 ** (bits - 1)) if signed else 0
        scaled = (values - lowest) / (2**bits - 1)
    return np.rint(255 * np.clip(scaled, 0, 1)).astype(np.uint8)


def _first_number(value) -> float | None:
    """The first value of a tag as a float; None where the tag is absent or empty."""
    if value is None or value == "":
        return None
    try:
        return float(value)
    except TypeError:
        return float(value[0]) if len(value) else None


def _dicom_fps(dataset: "Dataset") -> float | None:
    """Frames per second: from the times between acquired frames, else from the display rate."""
    frame_time = _first_number(dataset.get("FrameTime"))
    intervals = dataset.get("FrameTimeVector")
    if not frame_time and intervals is not None and np.size(intervals) > 1:
        frame_time = float(np.median(np.asarray(intervals, float)[1:]))  # the first is always 0
    if frame_time and frame_time > 0:
        return round(1000 / frame_time, 3)
    for tag in ("CineRate", "RecommendedDisplayFrameRate"):
        rate = _first_number(dataset.get(tag))
        if rate and rate > 0:
            return rate
    return None


def _dicom_spacing(dataset: "Dataset", path: Path) -> float | None:
    """mm per px of the 2-D tissue image, or None. Warns where the tags contradict each other."""
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    spacings = []
    for region in dataset.get("SequenceOfUltrasoundRegions", None) or []:
        tissue = region.get("RegionSpatialFormat") == 1 and region.get("RegionDataType") == 1
        units = (region.get("PhysicalUnitsXDirection"), region.get("PhysicalUnitsYDirection"))
        if not tissue or units != (3, 3):  # 3 is cm
            continue
        last_x, last_y = region.get("RegionLocationMaxX1"), region.get("RegionLocationMaxY1")
        if (last_x or 0) > columns or (last_y or 0) > rows:
            _warn_spacing(
                path,
                f"the scale tags describe a region up to ({last_x}, {last_y}), but the frame has "
                f"{columns} x {rows} px: it was resized after the tags were written",
            )
            return None
        spacings += [10 * abs(float(region.get(f"PhysicalDelta{axis}") or 0)) for axis in "XY"]
    if not spacings:
        tag = dataset.get("PixelSpacing") or dataset.get("ImagerPixelSpacing") or []
        spacings = [float(value) for value in tag]
    spacings = [value for value in spacings if value > 0]
    if spacings and max(spacings) > (1 + ANISOTROPY) * min(spacings):
        listed = ", ".join(f"{value:.4g}" for value in spacings)
        _warn_spacing(path, f"the scale tags differ by more than 1 % ({listed} mm per px)")
        return None
    return float(np.mean(spacings)) if spacings else None


def _warn_spacing(path: Path, reason: str) -> None:
    warnings.warn(f"{path}: {reason}. The spacing is left unknown.", stacklevel=5)
