"""DICOM clips: pixels of all common kinds, frame rate, and spacing from the region tags."""

import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DataError
from .video import decode_video, to_grey

if TYPE_CHECKING:
    from pydicom import Dataset

ANISOTROPY = 0.01  # relative difference of the two pixel spacings that one number may hide


def read_dicom(path: Path) -> tuple[np.ndarray, float | None, float | None]:
    """Grey frames, fps and spacing of a DICOM file."""
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
                "clips (directory, report): choose another of its files. If this one should be a "
                "clip, it is truncated: export it again."
            )
        return _dicom_frames(dataset, path), _dicom_fps(dataset), _dicom_spacing(dataset, path)
    except DataError:
        raise
    # pydicom raises whatever the broken part happens to trip over, KeyError to struct.error.
    except Exception as error:
        raise DataError(
            f"{path}: expected a DICOM clip, found one that cannot be read ({error}). "
            "The file is truncated or damaged: export it again."
        ) from error


def _dicom_frames(dataset: "Dataset", path: Path) -> np.ndarray:
    """Grey frames (T, H, W) uint8 of a DICOM data set, decoded one by one."""
    from pydicom.pixels import iter_pixels

    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax.name.startswith("MPEG") or syntax.name.startswith("HEVC"):
        return _mpeg_frames(dataset, path)
    _require_decoder(syntax, path)
    photometric = dataset.PhotometricInterpretation
    decoded = iter_pixels(dataset)  # YBR arrives as RGB
    if photometric == "PALETTE COLOR":
        return to_grey((_apply_palette(frame, dataset) for frame in decoded), str(path))
    if not photometric.startswith("MONOCHROME"):
        return to_grey(decoded, str(path))
    grey = np.stack([_scale_to_8_bit(frame, dataset) for frame in decoded])
    return 255 - grey if photometric == "MONOCHROME1" else grey


def _require_decoder(syntax, path: Path) -> None:
    """Raise DataError, with the package to install, where nothing here decodes the syntax."""
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
    """Frames of a DICOM file that wraps an MPEG stream: pydicom has no decoder, OpenCV has."""
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
                "of which no frame decodes. Export the clip again, as JPEG, or as AVI or MP4."
            ) from error


def _apply_palette(frame: np.ndarray, dataset: "Dataset") -> np.ndarray:
    """(H, W) indices to (H, W, 3) uint8 RGB; palettes of 16 bits are brought to 8."""
    from pydicom.pixels import apply_color_lut

    colours = apply_color_lut(frame, dataset)
    return colours if colours.dtype == np.uint8 else (colours >> 8).astype(np.uint8)


def _scale_to_8_bit(frame: np.ndarray, dataset: "Dataset") -> np.ndarray:
    """(H, W) stored values to uint8: as they are where 8 bits, else by window or BitsStored."""
    bits, signed = int(dataset.BitsStored), bool(dataset.PixelRepresentation)
    if bits == 8 and not signed:
        return frame.astype(np.uint8)
    values = frame.astype(np.float32)
    centre, width = _first(dataset.get("WindowCenter")), _first(dataset.get("WindowWidth"))
    if centre is not None and width is not None and width > 1:
        # The window counts in rescaled values (DICOM PS3.3 C.11.2.1.2).
        slope, intercept = dataset.get("RescaleSlope", 1), dataset.get("RescaleIntercept", 0)
        values = values * float(slope) + float(intercept)
        scaled = (values - (centre - 0.5)) / (width - 1) + 0.5
    else:
        lowest = -(2 ** (bits - 1)) if signed else 0
        scaled = (values - lowest) / (2**bits - 1)
    return np.rint(255 * np.clip(scaled, 0, 1)).astype(np.uint8)


def _first(value) -> float | None:
    """A tag's value, the first of several, as a float; None where it is absent or empty."""
    if value is None or value == "":
        return None
    try:
        return float(value)
    except TypeError:
        return float(value[0]) if len(value) else None


def _dicom_fps(dataset: "Dataset") -> float | None:
    """Frames a second: first what was acquired (times between frames), then what to display."""
    frame_time = _first(dataset.get("FrameTime"))
    intervals = dataset.get("FrameTimeVector")
    if not frame_time and intervals is not None and np.size(intervals) > 1:
        frame_time = float(np.median(np.asarray(intervals, float)[1:]))  # the first is always 0
    if frame_time and frame_time > 0:
        return round(1000 / frame_time, 3)
    for tag in ("CineRate", "RecommendedDisplayFrameRate"):
        rate = _first(dataset.get(tag))
        if rate and rate > 0:
            return rate
    return None


def _dicom_spacing(dataset: "Dataset", path: Path) -> float | None:
    """mm per px of the 2-D tissue image, or None, with a warning where tags contradict."""
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
                f"the scale tags describe a region up to ({last_x}, {last_y}), the frame has "
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
