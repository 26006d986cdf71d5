"""Pictures as videos and GIFs, encoded one by one by FFmpeg (PyAV)."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from ..files import atomic_path

if TYPE_CHECKING:
    import av
    from av.container import OutputContainer

CODECS = {  # FFmpeg's encoders and their options; browsers play both
    ".mp4": ("libx264", {"preset": "veryfast", "crf": "20"}),
    ".webm": ("libvpx", {"deadline": "realtime", "cpu-used": "8", "crf": "10", "b": "4M"}),
}
PLAYABLE = (0.01, 100_000.0)  # frames per second
SHORTEST_DELAY = 2  # hundredths of a second; browsers play a shorter delay in a GIF as 10
GREYS = 128  # of the 256 colours of a GIF
GREY_INDEX = np.rint(np.arange(256) * ((GREYS - 1) / 255)).astype(np.uint8)  # of each grey level
SAMPLED = 8  # pictures from which the other colours are chosen


def write_video(path: str | Path, pictures: Iterable[np.ndarray], fps: float) -> Path:
    """Write a video that browsers play: `.mp4` (H.264, slides and QuickTime too) or `.webm` (VP8).

    pictures: (T, h, w, 3) uint8 RGB, or any iterable of pictures of one size, which are then
    written one by one; an odd height or width gets one more black row or column, because the
    codecs store colour in blocks of 2 x 2 px. fps: frames per second. Returns the path. Raises
    ValueError for another suffix or shape, or no picture, and OSError, with the reason, where the
    video cannot be written.
    """
    path = Path(path)
    if path.suffix not in CODECS:
        raise ValueError(f"{path}: expected the suffix .mp4 or .webm, found {path.suffix!r}.")
    _check_rate(fps)
    codec, options = CODECS[path.suffix]
    frames = enumerate(map(_video_frame, map(_checked, pictures)))
    with _container(path) as container:
        _encode(container, frames, fps, codec, options)
    return path


def _video_frame(picture: np.ndarray) -> "av.VideoFrame":
    """A picture of even sides in the colours of H.264 and VP8."""
    import av
    from av.video.reformatter import Colorspace

    height, width = picture.shape[:2]
    even = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)))
    frame = av.VideoFrame.from_ndarray(even, format="rgb24")
    return frame.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709)


@contextmanager
def _container(path: Path, options: dict[str, str] | None = None) -> "Iterator[OutputContainer]":
    """An open file of the kind that the suffix names, written whole or not at all.

    FFmpeg gets an open file: it takes a name with a colon for one of another protocol.
    """
    import av

    try:
        with (
            atomic_path(path) as temporary,
            temporary.open("wb") as file,
            av.open(file, "w", format=path.suffix[1:], options=options or {}) as container,
        ):
            yield container
    except av.FFmpegError as error:
        raise OSError(f"{path}: the file cannot be written: {error.strerror}.") from error


def _encode(
    container: "OutputContainer",
    frames: "Iterable[tuple[int, av.VideoFrame]]",
    rate: float,
    codec: str,
    options: dict[str, str],
) -> None:
    """Encode frames of one size into an open container. Each comes with its time, in 1 / rate s."""
    from av.video.stream import VideoStream

    stream = None
    for time, frame in frames:
        if stream is None:
            fraction = Fraction(rate).limit_denominator(1001)
            stream = cast(VideoStream, container.add_stream(codec, fraction, options=options))
            stream.height, stream.width = frame.height, frame.width
            stream.pix_fmt = frame.format.name
            stream.codec_context.time_base = 1 / fraction
            stream.codec_context.colorspace = frame.colorspace
        if (frame.height, frame.width) != (stream.height, stream.width):
            raise ValueError(
                f"pictures: expected all of {stream.height} x {stream.width} px, found one of "
                f"{frame.height} x {frame.width} px."
            )
        frame.pts, frame.time_base = int(time), 1 / fraction
        container.mux(stream.encode(frame))
    if stream is None:
        raise ValueError("pictures: expected at least one picture, found none.")
    container.mux(stream.encode())


def write_gif(path: str | Path, pictures: Sequence[np.ndarray] | np.ndarray, fps: float) -> Path:
    """Write an endless GIF that plays at the clip's own speed.

    pictures: (T, h, w, 3) uint8 RGB, as an array or a film. fps: frames per second. GIF counts
    delays in hundredths of a second, so the delays alternate to keep the clip's duration. Browsers
    replace delays below two hundredths by a tenth of a second, so above 50 fps frames are left out
    evenly. Returns the path. Raises ValueError for another shape.
    """
    path, count = Path(path), len(pictures)
    _check_rate(fps)
    if not count:
        raise ValueError("pictures: expected at least one picture, found none.")
    kept = range(0, count, int(np.ceil(fps * SHORTEST_DELAY / 100 - 1e-6)))
    starts = np.rint(100 * np.append(kept, count) / fps)
    delays = np.maximum(np.diff(starts), SHORTEST_DELAY).astype(int)
    samples = [pictures[index] for index in kept[:: max(1, len(kept) // SAMPLED)]]
    palette = _Palette(np.stack([_checked(sample) for sample in samples]))
    frames = (palette(_checked(pictures[index])) for index in kept)
    times = np.cumsum([0, *delays[:-1]])
    final = {"loop": "0", "final_delay": str(delays[-1])}
    with _container(path, final) as container:
        _encode(container, zip(times, frames, strict=True), 100, "gif", {})
    return path


class _Palette:
    """One palette for a whole GIF, so that still parts do not flicker.

    Half of its 256 colours are greys. The others are chosen from the coloured pixels alone,
    because the few pixels of an outline would get no colour among all the grey ones.
    """

    def __init__(self, pictures: np.ndarray) -> None:
        """Choose the colours. pictures: some of the film, (n, h, w, 3) uint8 RGB."""
        from PIL import Image

        sample = pictures.reshape(-1, 3)
        greys = np.repeat(np.linspace(0, 255, GREYS).round().astype(np.uint8)[:, None], 3, axis=1)
        coloured = sample[np.ptp(sample, axis=1) > 8]
        chosen = np.empty((0, 3), np.uint8)
        if len(coloured):
            quantized = Image.fromarray(coloured[None]).quantize(GREYS, Image.Quantize.MEDIANCUT)
            chosen = np.array(quantized.getpalette(), np.uint8).reshape(-1, 3)[:GREYS]
        colours = np.concatenate([greys, chosen])
        self._image = Image.new("P", (1, 1))
        self._image.putpalette(colours.tobytes())
        self._opaque = np.full((256, 4), 255, np.uint8)
        self._opaque[:, 1:] = 0
        self._opaque[: len(colours), 1:] = colours

    def __call__(self, picture: np.ndarray) -> "av.VideoFrame":
        """(h, w, 3) uint8 RGB as a frame of indices."""
        import av
        from PIL import Image

        # Pillow drops the two lowest bits before it looks for the nearest colour. Greys, which are
        # nearly all pixels, are looked up exactly instead.
        red, green, blue = np.moveaxis(picture, -1, 0)
        indices = GREY_INDEX[red]
        coloured = (red != green) | (red != blue)
        if coloured.any():
            row = Image.fromarray(picture[coloured][None])
            chosen = row.quantize(palette=self._image, dither=Image.Dither.NONE)
            indices[coloured] = np.array(chosen)[0]
        # PyAV's stub leaves the pair out
        return av.VideoFrame.from_ndarray((indices, self._opaque), format="pal8")  # type: ignore[arg-type]


def _checked(picture: np.ndarray) -> np.ndarray:
    if picture.ndim != 3 or picture.shape[-1] != 3 or picture.dtype != np.uint8:
        raise ValueError(
            f"pictures: expected (h, w, 3) uint8 RGB each, found {picture.dtype} of shape "
            f"{picture.shape}. `enlarge` turns grey frames into such pictures."
        )
    if 0 in picture.shape:
        raise ValueError(f"pictures: expected at least one pixel, found shape {picture.shape}.")
    return picture


def _check_rate(fps: float) -> None:
    if not PLAYABLE[0] <= fps <= PLAYABLE[1]:
        raise ValueError(
            f"fps: expected {PLAYABLE[0]:g} to {PLAYABLE[1]:,.0f} frames per second, found {fps}."
        )
