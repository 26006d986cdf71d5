"""The frames of a DICOM file as grey, by what its samples show where its tags say otherwise."""

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from struct import unpack
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from ...errors import DataError
from ..grey import GreyFrames
from ..pictures import make_square, square_size
from ..video import HEAD, decode, video_kind
from .decoders import find_decoder
from .levels import Levels, Palette
from .tags import numbers

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.uid import UID

MPEG = re.compile(r"1\.2\.840\.10008\.1\.2\.4\.10([0-8])(\.1)?")  # MPEG-2, H.264 and HEVC
STREAMS = {"0": "mpegvideo", "1": "mpegvideo", "7": "hevc", "8": "hevc"}  # others are H.264
JPEG_STARTS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP")  # JPEG, JPEG 2000
ITEM = b"\xfe\xff\x00\xe0"  # of compressed pixels: the tag of the first item
SYNTAX_HEAD = 4096  # bytes in which a compressed frame says what it is
UNDEFINED = 0xFFFFFFFF  # length of an element that ends with a marker
GREY_SPREAD = 4  # levels by which samples of a grey pixel differ, or chroma from 128
GREY_SHARE = 0.7  # of the pixels that must be grey for the samples to decide
EQUAL, UNEQUAL = 0.9, 0.7  # share of the pixels with equal samples: in the right and wrong order
KEYWORDS = {0x0010: "PixelData", 0x0009: "DoubleFloatPixelData", 0x0008: "FloatPixelData"}


@dataclass
class _Source:
    """An open file at its pixels, and how they are stored.

    options: what pydicom's decoders need to know, mended. start, length: place and bytes of the
    pixels in the stream.
    """

    dataset: "Dataset"
    stream: BinaryIO
    path: Path
    syntax: "UID"
    start: int = 0
    length: int = 0
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def photometric(self) -> str:
        return str(self.options["photometric_interpretation"])

    @property
    def announced(self) -> int:
        """Number of frames by the tag, 0 where it gives none."""
        listed = numbers(self.dataset.get("NumberOfFrames"))
        return max(0, int(listed[0])) if listed else 0

    def warn(self, message: str) -> None:
        warnings.warn(f"{self.path}: {message}", stacklevel=6)

    def frames(self) -> Iterator[tuple[np.ndarray, str]]:
        """Yield decoded frames and their photometric interpretation, from the first one on."""
        decoder, plugin = find_decoder(self.syntax, self.path)
        self.stream.seek(self.start)
        if self.syntax.is_encapsulated:
            for frame, properties in decoder.iter_array(
                self.stream, raw=True, decoding_plugin=plugin, **self.options
            ):
                yield frame, str(properties["photometric_interpretation"])
        else:  # frame by frame: pydicom 3.0's iterator loses count of YBR_FULL_422
            for index in range(self.options["number_of_frames"]):
                self.stream.seek(self.start)
                frame, properties = decoder.as_array(
                    self.stream, index=index, raw=True, **self.options
                )
                yield frame, str(properties["photometric_interpretation"])


def decode_frames(
    dataset: "Dataset", stream: BinaryIO, path: Path, stretch: float
) -> tuple[np.ndarray, float | None]:
    """Decode the frames of a DICOM file one by one, as grey (T, H, W) uint8 of square pixels.

    stream: at the start of the element that holds the pixels. stretch: width of a pixel in
    heights. Returns the frames, and the frame rate of an MPEG stream, None for others.
    """
    source = _Source(dataset, stream, path, dataset.file_meta.TransferSyntaxUID)
    _read_element(source)
    syntax = source.syntax
    mpeg = MPEG.fullmatch(syntax)
    if mpeg:
        return _mpeg(source, STREAMS.get(mpeg[1], "h264"), stretch)
    find_decoder(syntax, path)  # raises an error where there is none
    _fill_gaps(source)
    announced = source.announced
    count = _count_fragments(source) if syntax.is_encapsulated else _count_native(source)
    _compare(source, announced, count)
    source.options["number_of_frames"] = count
    stored = source.length if syntax.is_encapsulated else None
    width, height = square_size((source.options["rows"], source.options["columns"]), stretch)
    grey = GreyFrames(str(path), count, (height, width), stored)
    for picture in _pictures(source):
        grey.add(make_square(picture, stretch))
    return grey.finish(), None


def _read_element(source: _Source) -> None:
    """Read the head of the element that holds the pixels; the stream is then at its value."""
    from pydicom.pixels.utils import as_pixel_options

    order = "<" if source.syntax.is_little_endian else ">"
    stream = source.stream
    _, element = unpack(f"{order}HH", stream.read(4))
    source.options = as_pixel_options(source.dataset, pixel_keyword=KEYWORDS[element])
    if source.syntax.is_implicit_VR:
        (source.length,) = unpack(f"{order}L", stream.read(4))
    else:
        vr, source.length = unpack(f"{order}2s2xL", stream.read(8))
        source.options["pixel_vr"] = vr.decode("ascii")
    source.options["transfer_syntax_uid"] = source.syntax
    source.start = stream.tell()
    there = stream.seek(0, 2) - source.start
    _mend_syntax(source)
    if source.length == UNDEFINED:
        source.length = there
    elif source.length > there:
        raise DataError(
            f"{source.path}: expected {source.length} bytes of pixels, found {there}: the file "
            "ends before its pixels do. Copy or export it again."
        )


def _mend_syntax(source: _Source) -> None:
    """Change the transfer syntax where the element begins as one of another kind."""
    from pydicom import uid

    source.stream.seek(source.start)
    head = source.stream.read(SYNTAX_HEAD)
    compressed = head.startswith(ITEM)
    if compressed == source.syntax.is_encapsulated:
        return
    found = uid.ExplicitVRLittleEndian
    if compressed:
        frame = re.search(rb"\xff\xd8.*?\xff([\xc0-\xc3\xf7])|\xff\x4f\xff\x51", head, re.DOTALL)
        if frame is None:
            return
        found = {b"\xc3": uid.JPEGLosslessSV1, b"\xf7": uid.JPEGLSLossless, None: uid.JPEG2000}.get(
            frame[1], uid.JPEGBaseline8Bit
        )
    source.warn(
        f"the transfer syntax is {source.syntax.name}, but the pixels begin otherwise. They are "
        f"read as {found.name}."
    )
    source.syntax = source.options["transfer_syntax_uid"] = found


def _fill_gaps(source: _Source) -> None:
    """Give tags that are missing or contradict each other the values that fit the others."""
    options = source.options
    samples = options.get("samples_per_pixel")
    if samples not in (1, 3):
        coloured = str(options.get("photometric_interpretation", "")).startswith(("RGB", "YBR"))
        samples = options["samples_per_pixel"] = 3 if coloured else 1
    allocated = options.get("bits_allocated") or 8
    options["bits_allocated"] = allocated
    stored = options.get("bits_stored") or allocated
    options["bits_stored"] = min(stored, allocated)
    if options.get("pixel_representation") not in (0, 1):
        options["pixel_representation"] = 0
    if samples == 3 and options.get("planar_configuration") not in (0, 1):
        options["planar_configuration"] = 0
    tag = str(options.get("photometric_interpretation", ""))
    single = tag.startswith("MONOCHROME") or tag == "PALETTE COLOR"
    if single != (samples == 1) or not tag:
        options["photometric_interpretation"] = "MONOCHROME2" if samples == 1 else "RGB"
        source.warn(
            f"the tags give {samples} samples per pixel and {tag or 'no'} colour; the pixels are "
            f"read as {source.photometric}."
        )


# --- Number of frames -----------------------------------------------------------------------------


def _compare(source: _Source, announced: int, count: int) -> None:
    if count < 1:
        raise DataError(
            f"{source.path}: expected frames of {source.options['columns']} x "
            f"{source.options['rows']} px, found {source.length} bytes of pixels, less than one "
            "frame. Copy or export it again."
        )
    if announced != count and (announced or count > 1):
        tag = f"NumberOfFrames says {announced}" if announced else "there is no NumberOfFrames"
        source.warn(f"{tag}, but the file holds {count} frames. All are used.")


def _count_fragments(source: _Source) -> int:
    """Number of compressed frames: by a table of offsets, else by the frames' own markers."""
    from pydicom.encaps import generate_fragments, parse_basic_offsets

    table = source.dataset.get("ExtendedOffsetTable")
    if table:
        return len(table) // 8
    source.stream.seek(source.start)
    offsets = parse_basic_offsets(source.stream)
    firsts = [fragment[:8] for fragment in generate_fragments(source.stream)]
    marked = sum(first.startswith(JPEG_STARTS) for first in firsts)
    return len(offsets) or marked or len(firsts)


def _count_native(source: _Source) -> int:
    """Number of uncompressed frames, by their bytes; mends tags that do not fit these."""
    options, tag = source.options, source.photometric
    pixels, allocated = options["rows"] * options["columns"], options["bits_allocated"]
    listed = (2 if tag == "YBR_FULL_422" else options["samples_per_pixel"], allocated)

    def frames(layout: tuple[int, int]) -> int:
        """Number of whole frames of so many samples and bits; 0 if bytes are left over."""
        count, rest = divmod(source.length, layout[0] * pixels * layout[1] / 8)
        return int(count) if rest <= 1 else 0  # the element is padded to an even length

    others = [(samples, bits) for bits in (allocated, 8, 16) for samples in (1, 2, 3)]
    layouts = [listed, (listed[0], 8), (listed[0], 16), *others]  # the likeliest first
    fitting = [layout for layout in layouts if frames(layout) == source.announced]
    if source.announced > 1 and fitting and fitting[0] != listed:
        samples, bits = fitting[0]
        options |= {"samples_per_pixel": 1 if samples == 1 else 3, "bits_allocated": bits}
        if bits != allocated:
            options["bits_stored"] = bits
        options.setdefault("planar_configuration", 0)
        if samples != listed[0]:
            names = ("MONOCHROME2", "YBR_FULL_422", "RGB")
            options["photometric_interpretation"] = names[samples - 1]
        source.warn(
            f"the tags PhotometricInterpretation and BitsAllocated say {tag} and {allocated}, but "
            f"the pixels have {samples} samples of {bits} bits each. They are read as "
            f"{source.photometric}."
        )
        return source.announced
    whole = int(source.length // (listed[0] * pixels * allocated / 8))
    return frames(listed) or min(source.announced or 1, whole)


# --- Frames ---------------------------------------------------------------------------------------


def _pictures(source: _Source) -> Iterator[np.ndarray]:
    """Yield pictures (H, W) uint8 grey or (H, W, 3) uint8 RGB."""
    if source.options["samples_per_pixel"] == 3:
        yield from _colour_pictures(source)
    elif source.photometric == "PALETTE COLOR":
        palette = Palette(source.dataset, source.options["bits_allocated"], source.warn)
        for frame, _ in source.frames():
            yield palette(frame)
    else:
        levels = Levels(source.dataset, source.options, source.frames, source.warn)
        for frame, _ in source.frames():
            yield levels(frame)


def _mend_planes(source: _Source) -> None:
    """Read uncompressed samples plane by plane, or pixel by pixel, where the tag says otherwise.

    In most pixels of a display the three samples are equal, or the two chromas; read in the wrong
    order, they come from different pixels.
    """
    options, equal = source.options, {}
    listed = options["planar_configuration"]
    if source.syntax.is_encapsulated or source.photometric == "YBR_FULL_422":
        return
    for planes in (1 - listed, listed):  # the listed one stays set
        options["planar_configuration"] = planes
        frame, _ = next(source.frames())
        grey = (frame[..., 0] == frame[..., 1]) & (frame[..., 1] == frame[..., 2])
        chroma = (frame[..., 1] == 128) & (frame[..., 2] == 128)
        equal[planes] = max(float(grey.mean()), float(chroma.mean()))
    if equal[listed] < UNEQUAL and equal[1 - listed] > EQUAL:
        options["planar_configuration"] = 1 - listed
        source.warn(
            f"the tag PlanarConfiguration says {listed}, but the samples are in the order of "
            f"{1 - listed}, and are read so."
        )


def _colour_pictures(source: _Source) -> Iterator[np.ndarray]:
    from pydicom.pixels import convert_color_space

    _mend_planes(source)
    most = 255
    if source.options["bits_allocated"] > 8:  # the first frames may be dark: all are looked at
        most = max(int(stored.max()) for stored, _ in source.frames())
    in_ybr, shift = None, max(0, most.bit_length() - 8)
    for stored, photometric in source.frames():
        frame = np.ascontiguousarray((stored >> shift).clip(0, 255).astype(np.uint8))
        if in_ybr is None:  # the first frame decides
            in_ybr = _is_ybr(frame, photometric, source)
        yield convert_color_space(frame, "YBR_FULL", "RGB") if in_ybr else frame


def _is_ybr(frame: np.ndarray, photometric: str, source: _Source) -> bool:
    """True where samples (H, W, 3) uint8 are brightness and two chromas, False for RGB.

    Tissue and background are grey: three equal samples in RGB, two chromas near 128 in YBR. Where
    most pixels are the one and not the other, they decide, and a tag that says otherwise is named.
    """
    tagged = photometric.startswith("YBR")
    samples = frame.astype(np.int16)
    as_rgb = float(np.mean(np.ptp(samples, axis=2) <= GREY_SPREAD))
    as_ybr = float(np.mean((np.abs(samples[..., 1:] - 128) <= GREY_SPREAD).all(axis=2)))
    if max(as_rgb, as_ybr) < GREY_SHARE or (as_ybr if tagged else as_rgb) >= GREY_SHARE:
        return tagged
    source.warn(
        f"the tag PhotometricInterpretation says {source.photometric}, but the samples are those "
        f"of {'RGB' if tagged else 'YBR'}, and are read so."
    )
    return not tagged


# --- MPEG -----------------------------------------------------------------------------------------


def _mpeg(source: _Source, kind: str, stretch: float) -> tuple[np.ndarray, float | None]:
    """Decode the MPEG stream that a DICOM file wraps, and its rate where a container gives one.

    kind: FFmpeg's name of a stream without a container. stretch: as for `decode_frames`.
    """
    from pydicom.encaps import generate_fragments, parse_basic_offsets

    source.stream.seek(source.start)
    parse_basic_offsets(source.stream)  # the stream is then behind the table
    stream = b"".join(generate_fragments(source.stream))
    contained = video_kind(stream[:HEAD])
    video = decode(BytesIO(stream), contained or kind, f"{source.path}, its stream", len(stream))
    announced, count = source.announced, len(video.frames)
    if abs(announced - count) > 1:
        source.warn(f"NumberOfFrames says {announced}, but {count} decode. They are used.")
    timed = contained is not None or kind == "mpegvideo"  # a bare H.264 stream has no clock
    frames = video.frames
    stored = (source.options.get("rows"), source.options.get("columns"))
    if stretch != 1 and frames.shape[1:] == stored:  # the stream did not say so itself
        frames = np.stack([make_square(frame, stretch) for frame in frames])
    return frames, video.fps if timed else None
