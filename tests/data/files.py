"""Clip files made for tests: smooth grey pictures as videos, and as DICOM."""

from pathlib import Path

import av
import cv2
import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    ExplicitVRLittleEndian,
    UltrasoundMultiFrameImageStorage,
    generate_uid,
)

FRAMES, HEIGHT, WIDTH = 7, 48, 64


def make_frames(seed: int = 0) -> np.ndarray:
    """A smooth grey picture that brightens from frame to frame, so that order can be checked."""
    rng = np.random.default_rng(seed)
    picture = cv2.GaussianBlur(rng.uniform(0, 120, (HEIGHT, WIDTH)), (0, 0), 6)
    steps = 15.0 * np.arange(FRAMES)[:, None, None]
    return np.clip(picture + steps + 10, 0, 255).astype(np.uint8)


def with_trace(frames: np.ndarray) -> np.ndarray:
    """RGB frames with a green trace in rows 40 to 43, like a burned-in ECG."""
    rgb = np.repeat(frames[..., None], 3, axis=-1)
    rgb[:, 40:44] = (40, 230, 60)
    return rgb


def write_video(
    path: Path,
    frames: np.ndarray,
    codec: str = "mjpeg",
    fps: float = 25,
    times: list[int] | None = None,
    aspect: str | None = None,
    matrix: tuple | None = None,
    pixels: str = "yuv420p",
    kind: str | None = None,
) -> Path:
    """Encode frames (T, H, W) grey or (T, H, W, 3) RGB with FFmpeg.

    times: of the frames, in ms. aspect: of the pixels, such as "64/45". matrix: of 9 numbers that
    turns and mirrors the picture. pixels: FFmpeg's format. kind: of the file, by default by suffix.
    """
    from fractions import Fraction

    with path.open("w+b") as file, av.open(file, "w", format=kind or path.suffix[1:]) as container:
        clock = 1000 if times else fps
        stream = container.add_stream(codec, rate=Fraction(clock).limit_denominator(1001))
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else pixels
        if codec in ("mjpeg", "mpeg4", "mpeg2video", "wmv2", "flv"):
            stream.options = {"qmin": "1", "qmax": "3"}
        if aspect:
            stream.codec_context.sample_aspect_ratio = Fraction(aspect)
        if matrix:
            stream.set_display_matrix(matrix)
        for index, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame, "rgb24" if frame.ndim == 3 else "gray")
            if times:
                picture.pts, picture.time_base = times[index], Fraction(1, 1000)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


def encoded_frames(frames: np.ndarray, codec: str, pixels: str) -> list[bytes]:
    """Each frame (H, W) grey or (H, W, 3) RGB as a still picture, by an encoder of FFmpeg."""
    from fractions import Fraction

    streams = []
    for frame in frames:
        context = av.CodecContext.create(codec, "w")
        context.height, context.width = frame.shape[:2]
        context.pix_fmt, context.time_base = pixels, Fraction(1, 25)
        picture = av.VideoFrame.from_ndarray(frame, "rgb24" if frame.ndim == 3 else "gray")
        packets = [*context.encode(picture.reformat(format=pixels)), *context.encode(None)]
        data = b"".join(bytes(packet) for packet in packets)
        streams.append(data + b"\0" * (len(data) % 2))
    return streams


def read_rgb(path: Path) -> np.ndarray:
    """All frames of a video, (T, H, W, 3) uint8 RGB."""
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def make_dataset(pixels: np.ndarray, photometric: str, bits: int = 8, **tags) -> Dataset:
    """An uncompressed ultrasound data set; pixels (T, H, W) or (T, H, W, 3)."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = UltrasoundMultiFrameImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["echolib"])
    dataset.SOPClassUID = UltrasoundMultiFrameImageStorage
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID
    dataset.Modality = "US"
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = pixels.shape[:3]
    dataset.SamplesPerPixel = 3 if pixels.ndim == 4 else 1
    if pixels.ndim == 4:
        dataset.PlanarConfiguration = 0
    dataset.PhotometricInterpretation = photometric
    dataset.BitsAllocated = 8 * pixels.itemsize
    dataset.BitsStored, dataset.HighBit = bits, bits - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.PixelData = pixels.tobytes()
    for name, value in tags.items():
        setattr(dataset, name, value)
    return dataset


def encapsulated(dataset: Dataset, streams: list[bytes], syntax: str, table: bool = True):
    """The data set with compressed frames. table: with the offsets of the frames."""
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
    dataset.PixelData = encapsulate(streams, has_bot=table)
    dataset["PixelData"].VR = "OB"
    return dataset


def save(dataset: Dataset, path: Path) -> Path:
    dataset.save_as(path, enforce_file_format=True)
    return path
