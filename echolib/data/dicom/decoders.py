"""Which decoder reads which compressed DICOM frames; lossless JPEG is decoded here, by FFmpeg.

GDCM, which decodes most kinds, ends the whole process when it meets a damaged frame, so it is
taken only where nothing else is installed.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...errors import DataError

if TYPE_CHECKING:
    import av
    from pydicom.pixels.decoders.base import Decoder, DecodeRunner
    from pydicom.uid import UID

FFMPEG = "ffmpeg"  # this module's name among pydicom's plugins
LOSSLESS = ("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70")  # transfer syntaxes
LAST = "gdcm"
JPEG_END = b"\xff\xd9"
# from the checkout: the package index has another project of this name
EXTRA = 'pip install -e ".[dicom]"'


def find_decoder(syntax: "UID", path: Path) -> tuple["Decoder", str]:
    """pydicom's decoder for a transfer syntax, and the name of the plugin to use, "" if native.

    Raises DataError, which names the extra, where no installed package decodes the syntax.
    """
    from pydicom.pixels import get_decoder

    remedy = "Export the clip again, uncompressed, as JPEG, or as AVI or MP4."
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise _undecodable(syntax, path, remedy) from None
    if not syntax.is_encapsulated:
        return decoder, ""
    if syntax in LOSSLESS and FFMPEG not in decoder.available_plugins:
        decoder.add_plugin(FFMPEG, (__name__, "decode_lossless"))
    plugins = sorted(decoder.available_plugins, key=lambda name: (name == LAST, name != FFMPEG))
    if not plugins:
        raise _undecodable(
            syntax, path, f"In the folder of echolib's checkout, install the decoders: `{EXTRA}`."
        )
    return decoder, plugins[0]


def _undecodable(syntax: "UID", path: Path, remedy: str) -> DataError:
    return DataError(
        f"{path}: expected pixels that pydicom can decode, found the transfer syntax "
        f"{syntax.name} ({syntax}). {remedy}"
    )


def is_available(uid: str) -> bool:
    """Whether this plugin decodes a syntax; pydicom asks."""
    return uid in LOSSLESS


def decode_lossless(data: bytes, runner: "DecodeRunner") -> bytes:
    """Decode one frame of lossless JPEG, as pydicom calls its plugins.

    Raises ValueError where the frame is damaged.
    """
    import av

    if not data.rstrip(b"\0").endswith(JPEG_END):  # FFmpeg would make up what is missing
        raise ValueError("a frame of lossless JPEG has no end")
    context = av.CodecContext.create("mjpeg", "r")
    context.thread_count = 1
    context.options = {"err_detect": "explode"}
    try:
        frames = [*context.decode(av.Packet(data)), *context.decode(None)]
    except av.FFmpegError as error:
        raise ValueError(f"a frame of lossless JPEG is damaged ({error.strerror})") from error
    if len(frames) != 1 or frames[0].is_corrupt:
        raise ValueError("a frame of lossless JPEG is damaged")
    pixels = _samples(frames[0])
    if pixels.ndim == 3:
        runner.set_option("planar_configuration", 0)
    runner.set_option("bits_allocated", 8 * pixels.itemsize)
    return np.ascontiguousarray(pixels).tobytes()


def _samples(frame: "av.VideoFrame") -> np.ndarray:
    """(H, W) or (H, W, 3) samples in the order of the file, from FFmpeg's picture of them."""
    pixels, kind = frame.to_ndarray(), frame.format.name
    if kind.startswith("gray"):
        return pixels
    if kind.startswith("bgr"):
        return pixels[..., ::-1]
    if kind.startswith("yuv") and pixels.shape[0] == 3:  # three whole planes
        return np.moveaxis(pixels, 0, -1)
    if kind.startswith(("gbr", "rgb")):  # PyAV gives both as RGB
        return pixels
    raise ValueError(f"lossless JPEG in the pixel format {kind} is not known here")
