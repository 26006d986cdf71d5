"""Small whole videos, GIFs and DICOM files, which `tools.fuzz` damages; all pixels are drawn."""

import io
import struct
from collections.abc import Callable
from fractions import Fraction
from typing import cast

import av
import cv2
import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    MPEG2MPML,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    UltrasoundMultiFrameImageStorage,
)

COUNT, HEIGHT, WIDTH = 6, 48, 64  # of the drawn frames
RATE = 25  # frames per second


def draw_frames(count: int = COUNT, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """A dark beating ventricle in a sector of grey noise, (count, height, width) uint8."""
    y, x = np.mgrid[:height, :width] / max(height, width)
    middle = 0.5 * width / max(height, width)
    inside = np.abs(x - middle) < 0.1 + 0.8 * y
    noise = np.random.default_rng(0).integers(60, 200, (count, height, width))
    frames = np.where(inside, noise, 0)
    for index, frame in enumerate(frames):
        radius = 0.13 + 0.03 * np.cos(2 * np.pi * index / COUNT)
        frame[((x - middle) / radius) ** 2 + ((y - 0.4) / 1.8 / radius) ** 2 < 1] = 20
    return frames.astype(np.uint8)


def as_rgb(frames: np.ndarray) -> np.ndarray:
    """Grey frames (T, H, W) with three equal channels, (T, H, W, 3)."""
    return np.repeat(frames[..., None], 3, axis=-1)


# --- Videos ---------------------------------------------------------------------------------------


def encode_video(
    container: str, codec: str, pixels: str = "yuv420p", frames: np.ndarray | None = None
) -> bytes:
    """Encode drawn frames, with one thread, so that the bytes are the same each time.

    container, codec, pixels: FFmpeg's names. frames: (T, H, W) uint8.
    """
    frames = draw_frames() if frames is None else frames
    buffer = io.BytesIO()
    exact = {"fflags": "+bitexact"}  # no random identifiers in the file
    with av.open(buffer, "w", format=container, options=exact) as video:
        stream = cast(av.VideoStream, video.add_stream(codec, rate=RATE))
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:], pixels
        stream.thread_count = 1
        for frame in frames:
            video.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="gray")))
        video.mux(stream.encode())
    return buffer.getvalue()


def uncompressed_avi(bottom_up: bool) -> bytes:
    """A 24-bit AVI without compression, its rows from bottom to top (as MATLAB writes) or not."""
    frames = as_rgb(draw_frames())
    frames = frames[:, ::-1] if bottom_up else frames
    size, height = HEIGHT * WIDTH * 3, HEIGHT if bottom_up else -HEIGHT
    main = struct.pack("<14I", 1000000 // RATE, size * RATE, 0, 0x10, COUNT, 0, 1, size, WIDTH,
                       HEIGHT, 0, 0, 0, 0)  # fmt: skip
    stream = struct.pack("<4s4sI2H8I4h", b"vids", b"DIB ", 0, 0, 0, 0, 1, RATE, 0, COUNT, size, 0,
                         0, 0, 0, WIDTH, HEIGHT)  # fmt: skip
    picture = struct.pack("<IiiHHIIiiII", 40, WIDTH, height, 1, 24, 0, size, 0, 0, 0, 0)
    streams = _list(b"strl", _chunk(b"strh", stream) + _chunk(b"strf", picture))
    movie = b"".join(_chunk(b"00db", frame.tobytes()) for frame in frames)
    entries = [struct.pack("<4s3I", b"00db", 0x10, 4 + i * (size + 8), size) for i in range(COUNT)]
    parts = _list(b"hdrl", _chunk(b"avih", main) + streams) + _list(b"movi", movie)
    return _chunk(b"RIFF", b"AVI " + parts + _chunk(b"idx1", b"".join(entries)))


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content


def _list(name: bytes, content: bytes) -> bytes:
    return _chunk(b"LIST", name + content)


def gif() -> bytes:
    """An animated GIF of the drawn frames."""
    pictures = [Image.fromarray(frame) for frame in draw_frames()]
    buffer = io.BytesIO()
    pictures[0].save(buffer, "GIF", save_all=True, append_images=pictures[1:], duration=40)
    return buffer.getvalue()


# --- DICOM ----------------------------------------------------------------------------------------


def _base() -> Dataset:
    """A data set without pixels, with the tags of an ultrasound clip."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = UltrasoundMultiFrameImageStorage
    dataset.SOPInstanceUID = "1.2.826.0.1.3680043.8.498.1"
    dataset.Modality = "US"
    dataset.FrameTime = "40"
    dataset.FrameIncrementPointer = 0x00181063
    region = Dataset()
    region.RegionSpatialFormat = region.RegionDataType = 1
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    region.RegionLocationMinX0 = region.RegionLocationMinY0 = 0
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = WIDTH - 1, HEIGHT - 1
    region.PhysicalDeltaX = region.PhysicalDeltaY = 0.05
    dataset.SequenceOfUltrasoundRegions = [region]
    return dataset


def save_dicom(dataset: Dataset, preamble: bool = True) -> bytes:
    """The bytes of a data set; without preamble it begins with its first tag."""
    buffer = io.BytesIO()
    if preamble:
        dataset.save_as(buffer, enforce_file_format=True)
    else:
        dataset.save_as(buffer, implicit_vr=True, little_endian=True)
    return buffer.getvalue()


def native_dicom(photometric: str = "MONOCHROME2", bits: int = 8) -> Dataset:
    """Uncompressed frames in one of the usual pixel formats."""
    dataset, frames = _base(), draw_frames()
    if photometric == "MONOCHROME2":
        pixels = frames if bits == 8 else frames.astype(np.uint16) << (bits - 8)
    elif photometric == "PALETTE COLOR":
        pixels = frames
    else:
        pixels = as_rgb(frames)
        if photometric.startswith("YBR"):
            pixels[..., 1:] = 128
    kind = "MONOCHROME2" if photometric == "PALETTE COLOR" else photometric
    dataset.set_pixel_data(
        pixels,
        "YBR_FULL" if kind == "YBR_FULL_422" else kind,
        bits_stored=bits,
        generate_instance_uid=False,
    )
    if bits > 8:
        dataset.WindowCenter, dataset.WindowWidth = 2 ** (bits - 1), 2**bits
    if photometric == "PALETTE COLOR":
        dataset.PhotometricInterpretation = photometric
        for name in ("Red", "Green", "Blue"):
            setattr(dataset, f"{name}PaletteColorLookupTableDescriptor", [256, 0, 16])
            table = (np.arange(256, dtype="<u2") * 257).tobytes()
            setattr(dataset, f"{name}PaletteColorLookupTableData", table)
    if photometric == "YBR_FULL_422":
        dataset.PhotometricInterpretation = photometric
        pairs = frames.reshape(-1, 2)  # two pixels share their colour: Y Y Cb Cr
        dataset.PixelData = np.c_[pairs, np.full_like(pairs, 128)].tobytes()
    return dataset


def deflated_dicom() -> Dataset:
    """A data set that is compressed as a whole."""
    dataset = native_dicom()
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    return dataset


def implicit_dicom() -> Dataset:
    """A data set in the oldest encoding, for a file without preamble."""
    dataset = native_dicom()
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    return dataset


def compressed_dicom(syntax: str) -> Dataset:
    """Frames that pydicom encodes: RLE, JPEG 2000 or JPEG-LS."""
    dataset = native_dicom()
    dataset.compress(syntax, generate_instance_uid=False)
    return dataset


def encapsulated_dicom(syntax: UID, streams: list[bytes]) -> Dataset:
    """Frames that were encoded elsewhere: a JPEG each, or one MPEG stream."""
    dataset = native_dicom("RGB")
    dataset.PhotometricInterpretation = "YBR_FULL_422"
    dataset.PixelData = encapsulate(streams)
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


def lossless_dicom() -> Dataset:
    """Frames in lossless JPEG, with FFmpeg's encoder, which knows three samples per pixel only."""
    context = av.CodecContext.create("ljpeg", "w")
    context.height, context.width, context.pix_fmt = HEIGHT, WIDTH, "yuvj444p"
    context.time_base, context.thread_count = Fraction(1, RATE), 1
    frames = [av.VideoFrame.from_ndarray(frame, format="gray") for frame in draw_frames()]
    packets = [context.encode(frame.reformat(format=context.pix_fmt)) for frame in frames]
    packets.append(context.encode(None))
    dataset = encapsulated_dicom(JPEGLosslessSV1, [bytes(p) for some in packets for p in some])
    dataset.PhotometricInterpretation = "YBR_FULL"
    return dataset


def _jpegs() -> list[bytes]:
    frames = as_rgb(draw_frames())
    return [cv2.imencode(".jpg", frame)[1].tobytes() for frame in frames]


CLIPS: dict[str, Callable[[], bytes]] = {
    "mjpg.avi": lambda: encode_video("avi", "mjpeg", "yuvj420p"),
    "topdown.avi": lambda: uncompressed_avi(bottom_up=False),
    "bottomup.avi": lambda: uncompressed_avi(bottom_up=True),
    "h264.mp4": lambda: encode_video("mp4", "libx264"),
    "av1.mp4": lambda: encode_video("mp4", "libsvtav1", frames=draw_frames(COUNT, 64, 64)),
    "mpeg4.mov": lambda: encode_video("mov", "mpeg4"),
    "vp8.webm": lambda: encode_video("webm", "libvpx"),
    "h264.ts": lambda: encode_video("mpegts", "libx264"),
    "mpeg1.mpg": lambda: encode_video("mpeg", "mpeg1video"),
    "anim.gif": gif,
    "grey.dcm": lambda: save_dicom(native_dicom()),
    "rgb.dcm": lambda: save_dicom(native_dicom("RGB")),
    "ybr.dcm": lambda: save_dicom(native_dicom("YBR_FULL")),
    "ybr422.dcm": lambda: save_dicom(native_dicom("YBR_FULL_422")),
    "palette.dcm": lambda: save_dicom(native_dicom("PALETTE COLOR")),
    "grey16.dcm": lambda: save_dicom(native_dicom(bits=12)),
    "jpeg.dcm": lambda: save_dicom(encapsulated_dicom(JPEGBaseline8Bit, _jpegs())),
    "rle.dcm": lambda: save_dicom(compressed_dicom(RLELossless)),
    "jpeg2000.dcm": lambda: save_dicom(compressed_dicom(JPEG2000Lossless)),
    "jpegls.dcm": lambda: save_dicom(compressed_dicom(JPEGLSLossless)),
    "lossless.dcm": lambda: save_dicom(lossless_dicom()),
    "deflated.dcm": lambda: save_dicom(deflated_dicom()),
    "mpeg.dcm": lambda: save_dicom(
        encapsulated_dicom(MPEG2MPML, [encode_video("mpeg", "mpeg2video")])
    ),
    "bare.dcm": lambda: save_dicom(implicit_dicom(), preamble=False),
}
