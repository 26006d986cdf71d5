"""Clips as people have them: AVI, MP4, MOV, WebM, GIF and DICOM, read into one plain form.

A file is recognised by its first bytes, never by its suffix. Frames are decoded in order, without
seeking, and become grey through one function, whatever the container.
"""

import math
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from echolib.errors import DataError

if TYPE_CHECKING:
    from pydicom import Dataset

COLOUR_SPREAD = 20  # grey levels between a pixel's strongest and weakest channel
TINTED_SHARE = 0.5  # more coloured pixels than this: the display is tinted, nothing is burned in
ANISOTROPY = 0.01  # relative difference of the two pixel spacings that one number may hide


@dataclass(frozen=True, eq=False)
class Clip:
    """One echocardiogram.

    name: what to call it, usually the file's stem
    frames: (T, H, W) uint8, grey, T >= 1
    fps: frames a second, or None where the file does not say
    spacing: mm per px, the same in x and y, or None where the file does not say
    """

    name: str
    frames: np.ndarray
    fps: float | None = None
    spacing: float | None = None

    def __post_init__(self) -> None:
        """Raise DataError unless the fields are what the class promises."""
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
                f"shape {frames.shape}. Check the file or the slice it was made from."
            )
        for field in ("fps", "spacing"):
            value = getattr(self, field)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise DataError(
                    f"Clip {self.name!r}: expected {field} above 0, or None where unknown, "
                    f"found {value!r}."
                )


def read_clip(path: str | Path) -> Clip:
    """Read a clip from an AVI, MP4, MOV, WebM, GIF or DICOM file.

    Returns a Clip in the file's own frame size; its name is the file's stem. `spacing` is known
    only for DICOM. Warns when fewer frames decode than the header announces.
    Raises DataError when the file is absent, empty, broken, or of another kind.
    """
    path = Path(path)
    kind = _recognise(path)
    if kind == "dicom":
        frames, fps, spacing = _read_dicom(path)
    else:
        frames, fps = _read_gif(path) if kind == "gif" else _read_video(path)
        spacing = None
    return Clip(path.stem, frames, fps, spacing)


def example_clip() -> Clip:
    """The one real clip that is always there: an apical four-chamber cine out of pydicom's wheel.

    30 frames of 240 x 320 px at 30 fps, from a SonoSite machine. The file's scale tags belong to
    the 480 x 640 px original (their region ends at column 595 of a 320 px wide frame), so
    `read_clip` leaves the spacing out. The frame was halved: the depth ruler burned into it has
    its 5 cm marks 49 px apart, 1.02 mm per px, which is twice the tag's 0.5105 mm.
    """
    from pydicom.examples import get_path

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*scale tags.*")
        clip = read_clip(get_path("ybr_color"))
    return replace(clip, name="example_a4c", spacing=2 * 0.5104970559477806)


def decode_video(path: str | Path, stop: int | None = None) -> np.ndarray:
    """Decode a video from its first frame on, at most `stop` frames.

    Returns (T, H, W) uint8, grey. Of a truncated file the frames that decode are returned.
    Raises DataError when the file is absent or not a frame decodes.
    """
    path = Path(path)
    if not path.is_file():
        raise _missing(path)
    return _decode(path, stop)[0]


# Recognition


def _recognise(path: Path) -> str:
    """One of "dicom", "gif" and "video", by the first bytes of the file."""
    if not path.is_file():
        raise _missing(path)
    with path.open("rb") as file:
        head = file.read(132)
    if not head:
        raise DataError(f"{path}: expected a clip, found an empty file (0 bytes). Copy it again.")
    if head[128:] == b"DICM" or _is_bare_dicom(head):
        return "dicom"
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return "gif"
    avi = head[:4] == b"RIFF" and head[8:12] == b"AVI "
    quicktime = head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
    matroska = head[:4] == b"\x1a\x45\xdf\xa3"
    if avi or quicktime or matroska:
        return "video"
    raise DataError(
        f"{path}: expected AVI, MP4, MOV, WebM, GIF or DICOM, found a file that starts with "
        f"{head[:12]!r}. The name's suffix does not count; convert the clip, for example with "
        f"`ffmpeg -i {path.name} -c:v mjpeg -q:v 2 clip.avi`."
    )


def _is_bare_dicom(head: bytes) -> bool:
    """True for DICOM written without the 128-byte preamble: it starts at group 0002 or 0008."""
    group, element = head[:2], head[2:4]
    return group in (b"\x02\x00", b"\x08\x00") and element <= b"\x18\x00" and element[1:] == b"\x00"


def _missing(path: Path) -> DataError:
    if path.is_dir():
        return DataError(f"{path}: expected a file, found a folder. Name one clip inside it.")
    return DataError(f"{path}: no such file. Check the name and the folder {path.parent}.")


# Colour to grey


def _to_grey(frames: Iterable[np.ndarray], name: str) -> np.ndarray:
    """Grey clip (T, H, W) uint8 from (H, W, 3) uint8 RGB frames, burned-in colour blackened.

    An ECG trace, a Doppler box or a menu is no echo, but as brightness it would look like a
    strong one. Tissue is grey, so what is clearly coloured becomes black, the background of
    every echocardiogram, and so does a rim of 1 px: JPEG and MPEG store colour at half the
    resolution, and leave a bright edge without its colour. Where most of the lit pixels are
    coloured, the whole display is tinted (sepia, blue): then colour says nothing, brightness is
    kept, and a warning says so.
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
        lit_pixels += np.count_nonzero(lit)
        coloured_pixels += np.count_nonzero(coloured[lit])
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
    """Grey frames, fps and the number of frames that the header announces."""
    # The backend is named: left to itself OpenCV takes `clip_01.avi` for a numbered series.
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    try:
        frames = _to_grey(_captured_frames(capture, stop), str(path))
        fps = capture.get(cv2.CAP_PROP_FPS)
        announced = int(max(capture.get(cv2.CAP_PROP_FRAME_COUNT), 0))
    finally:
        capture.release()
    if len(frames) == 0:
        raise DataError(
            f"{path}: expected a video, found none of its frames readable in "
            f"{path.stat().st_size} bytes. The file is truncated or damaged: copy it again, or "
            "play it to see whether it was ever whole."
        )
    return frames, (round(fps, 3) if 0 < fps < 1000 else None), announced


def _captured_frames(capture: cv2.VideoCapture, stop: int | None) -> Iterator[np.ndarray]:
    """The frames in order, (H, W, 3) uint8 RGB, at most `stop` of them."""
    count = 0
    while stop is None or count < stop:
        decoded, frame = capture.read()
        if not decoded:
            return
        yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        count += 1


def _read_video(path: Path) -> tuple[np.ndarray, float | None]:
    frames, fps, announced = _decode(path, stop=None)
    if announced - len(frames) > 1:  # containers are often off by one
        warnings.warn(
            f"{path}: the header announces {announced} frames, {len(frames)} decode. The file "
            "is probably truncated; the frames that decode are used.",
            stacklevel=3,
        )
    return frames, fps


# GIF


def _read_gif(path: Path) -> tuple[np.ndarray, float | None]:
    """Grey frames and fps of a GIF; its delays are whole hundredths of a second."""
    from PIL import Image, ImageSequence

    delays = []

    def rgb_frames(gif: Image.Image) -> Iterator[np.ndarray]:
        for frame in ImageSequence.Iterator(gif):
            delays.append(frame.info.get("duration", 0))
            yield np.asarray(frame.convert("RGB"))

    try:
        with Image.open(path) as gif:
            frames = _to_grey(rgb_frames(gif), str(path))
    except (OSError, EOFError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(
            f"{path}: expected a GIF, found one that does not decode ({error}). "
            "The file is truncated or damaged: copy it again."
        ) from error
    mean_delay = float(np.mean(delays))
    return frames, (round(1000 / mean_delay, 3) if mean_delay > 0 else None)


# DICOM


def _read_dicom(path: Path) -> tuple[np.ndarray, float | None, float | None]:
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
                "clips (directory, report): choose another of its files."
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
        return _to_grey((_apply_palette(frame, dataset) for frame in decoded), str(path))
    if not photometric.startswith("MONOCHROME"):
        return _to_grey(decoded, str(path))
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
