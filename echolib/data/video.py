"""Videos and GIFs as grey frames, decoded in order by FFmpeg (PyAV), without seeking.

The first bytes of a file decide its kind, never its suffix. FFmpeg gets an open file, never a
name, so that a colon in a name is not taken for the name of a protocol, and no file can make it
open another.
"""

import errno
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np

from ..errors import DataError, no_such
from .grey import GreyFrames
from .pictures import believed_stretch, displayed, make_square
from .rates import known_rate, rate_of_times

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.video.stream import VideoStream

MISSING = 0.05  # share of frames that may be missing where only a duration is announced
HEAD = 400  # bytes of a file's beginning that `video_kind` looks at
QUICKTIME = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
STARTS = {  # the first bytes of some kinds of files, and FFmpeg's names of these kinds
    b"\x1a\x45\xdf\xa3": "matroska",
    b"GIF87a": "gif",
    b"GIF89a": "gif",
    b"FLV": "flv",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11": "asf",
    b"\x00\x00\x01\xba": "mpeg",
    b"\x00\x00\x01\xb3": "mpegvideo",
    b"OggS": "ogg",
}
GIF_TIMES = {"min_delay": "0", "default_delay": "0"}  # delays as they are in the file
OF_PROCESS = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)  # errors that are not those of a file
_logging = threading.Lock()  # FFmpeg's log is one for the whole process


@dataclass(frozen=True, eq=False)
class Video:
    """Decoded frames (T, H, W) uint8, grey, and frames per second, None where unknown."""

    frames: np.ndarray
    fps: float | None


def read_video(path: str | Path, stop: int | None = None) -> Video:
    """Decode a video or a GIF from its first frame on, at most `stop` frames.

    Frames are turned and mirrored as the file says, and made of square pixels. Warns of damaged
    or missing frames, of another shape of pixels, and of a frame rate that no heart scan has.
    Raises DataError when the file is absent, cannot be read, is no video, needs a decoder that
    FFmpeg lacks, has no frame that decodes, or is larger than the limit of memory.
    """
    path = Path(path)
    with open_clip(path) as file:
        kind = video_kind(file.read(HEAD))
        file.seek(0)
        if kind is None:
            raise DataError(f"{path}: expected a video, found a file of another kind.")
        return decode(file, kind, str(path), path.stat().st_size, stop)


def video_kind(head: bytes) -> str | None:
    """FFmpeg's name for the kind of a video that starts with these bytes; None for no video."""
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    if head[4:8] in QUICKTIME:
        return "mov"
    for start, kind in STARTS.items():
        if head.startswith(start):
            return kind
    for first, length in ((0, 188), (4, 192)):  # of packets, which begin with "G"
        if len(head) >= HEAD and head[first] == head[first + length] == 0x47:
            return "mpegts"
    return None


@contextmanager
def open_clip(path: Path) -> Iterator[BinaryIO]:
    """Open a clip's file for the block. Raises DataError where it is absent or cannot be read.

    So the clip is reported and left out, and the others of a data set go on. What is wrong with
    this process, as too many open files, stays an OSError.
    """
    try:
        if not path.is_file():
            raise missing_file(path)
        with path.open("rb") as file:
            yield file
    except OSError as error:
        if error.errno in OF_PROCESS:
            raise
        raise DataError(
            f"{path}: the file cannot be read ({error.strerror or error}). Check its permissions "
            "and its disk."
        ) from error


def missing_file(path: Path) -> DataError:
    """Build the error for a path that is not a file."""
    if path.is_dir():
        return DataError(f"{path}: expected a file, found a folder. Name one clip inside it.")
    return DataError(f"{no_such(path)} Check the name and the folder.")


# Decoding


def decode(file: BinaryIO, kind: str, name: str, stored: int, stop: int | None = None) -> Video:
    """Decode an open video, see `read_video`.

    kind: FFmpeg's name, as of `video_kind`. name: of the file, for messages. stored: its bytes.
    """
    import av  # here, because most of the package needs no video

    place = file.tell()
    options = GIF_TIMES if kind == "gif" else {}
    try:
        packets = 0
        if stop is None:  # counted first, so that what is too large is refused at once
            with av.open(file, "r", kind, metadata_errors="ignore") as container:
                packets = _count_packets(container, _video_stream(container, name))
            file.seek(place)
        with av.open(file, "r", kind, options=options, metadata_errors="ignore") as container:
            stream = _video_stream(container, name)
            if stream.codec_context is None:
                raise DataError(
                    f"{name}: expected a video that FFmpeg decodes, found another codec "
                    f"({_log(file, place, kind)}). {_convert(name)}"
                )
            return _Decoding(container, stream, name, stored, packets, stop).video()
    except av.FFmpegError as error:
        raise DataError(
            f"{name}: expected a video, found {stored} bytes that FFmpeg cannot open as {kind} "
            f"({_log(file, place, kind) or error.strerror}). If other players cannot open it "
            "either, copy or export it again."
        ) from error


def _video_stream(container: "InputContainer", name: str) -> "VideoStream":
    """The stream of pictures that FFmpeg takes as the main one. Raises DataError without any."""
    stream = container.streams.best("video")
    if stream is None:
        kinds = ", ".join(other.type for other in container.streams) or "nothing"
        raise DataError(
            f"{name}: expected a video, found a file without pictures ({kinds}). "
            "Choose another file."
        )
    return cast("VideoStream", stream)


def _count_packets(container: "InputContainer", stream: "VideoStream") -> int:
    """Number of packets of a stream, each of which holds a frame or less."""
    import av

    count = 0
    try:
        for packet in container.demux(stream):
            count += packet.size > 0
    except av.FFmpegError:
        pass  # what comes after a damaged packet is not decoded either
    return count


def _log(file: BinaryIO, place: int, kind: str) -> str:
    """What FFmpeg logs when it opens a file once more: the reason why it cannot be decoded."""
    import av

    file.seek(place)
    with _logging:
        av.logging.set_level(av.logging.WARNING)
        try:
            with av.logging.Capture() as log, av.open(file, "r", kind, metadata_errors="ignore"):
                pass
        except av.FFmpegError:
            pass
        finally:
            av.logging.set_level(None)
    lines = (message.split("\n")[0].strip() for _, _, message in log)
    return "; ".join(list(dict.fromkeys(filter(None, lines)))[:2])


class _Decoding:
    """One pass through a video stream of an open container."""

    def __init__(
        self,
        container: "InputContainer",
        stream: "VideoStream",
        name: str,
        stored: int,
        packets: int,
        stop: int | None,
    ) -> None:
        self.container, self.stream = container, stream
        self.name, self.stored, self.packets, self.stop = name, stored, packets, stop
        self.times: list[float] = []  # s, NaN where a frame has none
        self.damaged = 0  # packets that do not decode, and frames that FFmpeg calls corrupt
        self.repeated = 0  # frames that stand for one that does not decode
        self.reason = ""  # why the first of them does not

    def video(self) -> Video:
        """Decode the frames, and compare them with what the file announces."""
        context = self.stream.codec_context
        context.thread_count = 1  # several clips may be decoded at the same time
        size = context.height, context.width
        collected = GreyFrames(self.name, self.packets, size, self.stored)
        picture_of = None
        for frame in self._frames():
            if picture_of is None:
                stretch = believed_stretch(float(self.stream.sample_aspect_ratio or 1), self.name)
                picture_of = _Pictures(stretch, _display_matrix(frame), context.name == "gif")
            collected.add(picture_of(frame))
        if not len(collected):
            raise DataError(
                f"{self.name}: expected a video, found no frame that decodes in {self.stored} "
                f"bytes (codec {context.name}{self.reason and f': {self.reason}'}). If other "
                f"players show nothing either, copy or export it again. {_convert(self.name)}"
            )
        if self.stop is None:
            self._compare(len(collected))
        return Video(collected.finish(), known_rate(self._rate(), self.name))

    def _rate(self) -> float:
        """Frames per second by the times of the frames, else by the header; 0 where unknown."""
        listed = float(self.stream.average_rate or 0)
        if self.container.format.name == "gif" and not listed:
            return 0.0  # FFmpeg makes up the times of a GIF without delays
        return rate_of_times(np.array(self.times), self.name) or listed

    def _frames(self) -> "Iterator[av.VideoFrame]":
        """Yield the frames in the order in which they are shown.

        Where each packet is a frame of its own, the frame before stands for one that does not
        decode, so that the numbers of the later frames stay; at the end, such packets are left out.
        """
        import av

        count, missing = 0, 0
        last: av.VideoFrame | None = None
        independent = self.stream.codec_context.codec.intra_only
        packets = self.container.demux(self.stream)
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                frames = packet.decode()
            except av.FFmpegError as error:
                self._note(str(error.strerror))
                if isinstance(error, av.EOFError):
                    return
                missing += independent
                continue
            for frame in frames:
                if frame.is_corrupt:
                    self._note("concealed errors")
                for shown in [frame if last is None else last] * missing + [frame]:
                    if count == self.stop:
                        return
                    count += 1
                    self.times.append(np.nan if frame.time is None else frame.time)
                    yield shown
                self.repeated += missing
                missing, last = 0, frame

    def _note(self, reason: str) -> None:
        self.damaged += 1
        self.reason = self.reason or reason

    def _compare(self, count: int) -> None:
        """Warn where frames are damaged, or where fewer decode than the header announces."""
        if self.damaged:
            use = f"The {count - self.repeated} frames that decode are used"
            if self.repeated:
                use += f", for {self.repeated} others the frame before"
            warnings.warn(
                f"{self.name}: {self.damaged} of {max(self.packets, count)} frames are damaged "
                f"({self.reason}). {use}.",
                stacklevel=4,
            )
        announced = self.stream.frames or self._frames_of_duration(count)
        if announced - count > 1:  # containers are often off by one
            warnings.warn(
                f"{self.name}: the header announces {announced} frames, but only {count} decode. "
                "They are used.",
                stacklevel=4,
            )

    def _frames_of_duration(self, count: int) -> int:
        """Frames that a header announces by its duration alone, as WebM does; 0 where unknown."""
        span = np.ptp(self.times) if count > 1 else 0.0
        if self.container.duration is None or len(self.container.streams) > 1 or not span > 0:
            return 0
        seconds = self.container.duration / 1e6
        announced = round(seconds * (count - 1) / span)
        return announced if announced > (1 + MISSING) * count else 0


class _Pictures:
    """Turns FFmpeg's frames into pictures as they are shown: upright and of square pixels."""

    def __init__(self, stretch: float, matrix: np.ndarray, is_gif: bool) -> None:
        from av.video.reformatter import VideoReformatter

        self.stretch, self.matrix, self.is_gif = stretch, matrix, is_gif
        self.reformatter = VideoReformatter()

    def __call__(self, frame: "av.VideoFrame") -> np.ndarray:
        """(H, W) uint8 grey from a grey frame, else (H, W, 3) uint8 RGB, clear pixels black."""
        is_grey = frame.format.name.startswith("gray")
        has_alpha = any(component.is_alpha for component in frame.format.components)
        kind = "rgba" if has_alpha else "gray" if is_grey else "rgb24"
        picture = self.reformatter.reformat(frame, format=kind).to_ndarray()
        if has_alpha:  # the colour of clear pixels means nothing: FFmpeg gives those of GIFs white
            clear = picture[..., 3:] == 0
            picture = picture[..., :3]
            if self.is_gif or not clear.all():  # else the file has the channel, but no use of it
                picture = np.where(clear, np.uint8(0), picture)
        return displayed(make_square(picture, self.stretch), self.matrix)


def _display_matrix(frame: "av.VideoFrame") -> np.ndarray:
    """(2, 2) signs: how a frame is turned and mirrored to be shown; the unit matrix if it is not.

    Source: ISO/IEC 14496-12, 6.2.2: (x, y) as shown are (x, y) as stored times the matrix.
    """
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is not None:
        numbers = np.frombuffer(cast(Any, data), np.int32).reshape(3, 3)[:2, :2] / 2**16
        turned = np.rint(numbers)
        if np.allclose(numbers, turned, atol=0.1) and abs(np.linalg.det(turned)) == 1:
            return turned.astype(int)
    return np.eye(2, dtype=int)


def _convert(name: str) -> str:
    """How to convert a video that cannot be read."""
    return f"Or convert it: `ffmpeg -i {Path(name).name!r} -c:v mjpeg -q:v 2 clip.avi`."
