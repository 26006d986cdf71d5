"""Frames with outlines and a curve beside them as pictures, videos and GIFs."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from ..data.video import count_frames
from ..files import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# RGB. Pink and green are "prediction" and "truth" of `base.PALETTE`: pink for the outlines of
# networks, green for those of experts. All these colours are visible on a dark picture.
PINK, GREEN = (230, 86, 154), (0, 179, 134)
OVERLAY_COLOURS = (PINK, GREEN, (86, 180, 233), (230, 159, 0), (240, 228, 66), (213, 94, 0))

DISPLAY_SIZE = 448  # px, least length of the longer side of an enlarged frame
SHORTEST_DELAY = 2  # hundredths of a second; browsers play a shorter delay in a GIF as 10
CURVE_WIDTH = 560  # px, width of the curve beside the frames
PANEL = (0.12, 0.16, 0.85, 0.74)  # left, bottom, width, height of its axes, shares of the picture
LOWER = 0.85  # share of the axes' height below the legend, which spans and vertical lines fill
DARK, LIGHT = "#14181c", "#d5dade"  # background and lines of a curve on black
AHEAD_OPACITY = 0.12  # of the part of a curve that the clip has not reached yet
CODECS = {".webm": "VP80", ".mp4": "vp09"}  # both play in Chromium; VP8 encodes four times faster

# Outlines are drawn in two ways, for two uses. Here OpenCV draws them as pixels, because videos,
# GIFs and the frame browser need many finished pictures quickly and without matplotlib. Figures
# draw the lines of `geometry.mask_outlines` with matplotlib, which stay sharp at every size.


def draw_outlines(
    frames: np.ndarray, masks: np.ndarray, scale: float | None = None, fill: float = 0.0
) -> np.ndarray:
    """Enlarge frames and draw a pink outline around every component of their masks.

    frames: (T, H, W) uint8. masks: (T, H, W) bool. scale: as for `enlarge`. fill: opacity of the
    inside of the masks, 0 (outline only) to 1. Returns (T, h, w, 3) uint8 RGB. Raises ValueError
    if the shapes do not match. To draw several masks in different colours, call `enlarge` and then
    `add_outlines` once per mask.
    """
    return add_outlines(enlarge(frames, scale), masks, PINK, fill)


def enlarge(frames: np.ndarray, scale: float | None = None) -> np.ndarray:
    """Enlarge frames (T, H, W) uint8 smoothly to (T, h, w, 3) uint8 RGB.

    scale: h / H; by default the least whole number that makes the longer side 448 px or more.
    Raises ValueError for other frames.
    """
    if frames.ndim != 3 or frames.dtype != np.uint8:
        raise ValueError(
            f"frames: expected (T, H, W) uint8, found {frames.dtype} of shape {frames.shape}."
        )
    height, width = frames.shape[1:]
    if scale is None:
        scale = max(1, int(np.ceil(DISPLAY_SIZE / max(height, width))))
    size = (round(width * scale), round(height * scale))
    pictures = np.empty((len(frames), size[1], size[0], 3), np.uint8)
    for frame, picture in zip(frames, pictures, strict=True):
        picture[:] = cv2.resize(frame, size, interpolation=cv2.INTER_CUBIC)[..., None]
    return pictures


def add_outlines(
    pictures: np.ndarray, masks: np.ndarray, colour: tuple[int, int, int], fill: float = 0.0
) -> np.ndarray:
    """Draw the outlines of masks (T, H, W) bool into pictures (T, h, w, 3) uint8 RGB, in place.

    The pictures may be larger than the masks but must have their proportions. colour: RGB. fill:
    as for `draw_outlines`. Returns the pictures. Raises ValueError if the masks do not fit them.
    """
    if masks.ndim != 3 or masks.dtype != bool or len(masks) != len(pictures):
        raise ValueError(
            f"masks: expected ({len(pictures)}, H, W) bool, one mask per frame, found "
            f"{masks.dtype} of shape {masks.shape}."
        )
    enlargements = np.divide(pictures.shape[1:3], masks.shape[1:])
    if abs(enlargements[0] - enlargements[1]) > 0.02 * enlargements[0]:
        raise ValueError(
            f"masks: expected the proportions of the pictures, {pictures.shape[1]} x "
            f"{pictures.shape[2]} px, found {masks.shape[1]} x {masks.shape[2]} px. "
            "Resize the masks to the frames' own size."
        )
    for picture, mask in zip(pictures, masks, strict=True):
        _draw_outline(picture, mask, colour, fill)
    return pictures


def _draw_outline(
    picture: np.ndarray, mask: np.ndarray, colour: tuple[int, int, int], fill: float
) -> None:
    size = (picture.shape[1], picture.shape[0])
    # The mask is enlarged as a grey picture: its edge at half the grey range has no stairs.
    soft = cv2.resize(mask.astype(np.uint8) * 255, size, interpolation=cv2.INTER_LINEAR)
    inside = (soft > 127).astype(np.uint8)
    if fill > 0:
        tint = np.full_like(picture, colour)
        cv2.copyTo(cv2.addWeighted(picture, 1 - fill, tint, fill, 0), inside, picture)
    contours, _ = cv2.findContours(inside, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.polylines(picture, contours, True, colour, 1, cv2.LINE_AA)


def beside_curve(
    pictures: np.ndarray, draw: "Callable[[Axes], object]", times: np.ndarray
) -> np.ndarray:
    """Add a curve on the right of a clip's pictures; each picture shows the curve up to its time.

    A white line marks the time; the rest of the curve is faint. pictures: (T, h, w, 3) uint8 RGB.
    draw: function that draws curve, title and legend into dark axes; it is called once. times:
    (T,) place of each picture on the x axis. Returns (T, h, w + 560, 3) uint8 RGB.
    """
    bright, faint, columns = _curve_pictures(draw, times, pictures.shape[1])
    count, height, width, _ = pictures.shape
    both = np.empty((count, height, width + CURVE_WIDTH, 3), np.uint8)
    both[:, :, :width] = pictures
    _, bottom, _, panel_height = PANEL
    top, end = (round(height * (1 - bottom - share * panel_height)) for share in (LOWER, 0))
    for picture, column in zip(both, columns, strict=True):
        panel = picture[:, width:]
        panel[:, :column] = bright[:, :column]
        panel[:, column:] = faint[:, column:]
        panel[top:end, column] = 255
    return both


def _curve_pictures(
    draw: "Callable[[Axes], object]", times: np.ndarray, height: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pictures (h, w, 3) uint8 of the bright and the faint curve, and columns (T,) of the times."""
    # imported here, because outlines, videos and GIFs need no matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    size = (CURVE_WIDTH / 100, height / 100)
    # matplotlib's stubs leave "none" out
    figure = Figure(figsize=size, dpi=100, facecolor=DARK, layout="none")  # type: ignore[arg-type]
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes(PANEL, facecolor=DARK)
    draw(axes)
    darken(axes)
    pictures = []
    for opacity in (None, AHEAD_OPACITY):
        if opacity is not None:
            for artist in [*axes.lines, *axes.patches, *axes.collections, *axes.texts]:
                artist.set_alpha(opacity)
        canvas.draw()
        pictures.append(np.asarray(canvas.buffer_rgba())[..., :3].copy())
    places = axes.transData.transform(np.stack([times, np.zeros(len(times))], axis=1))
    columns = np.clip(np.rint(places[:, 0]).astype(int), 0, CURVE_WIDTH - 1)
    return *pictures, columns


def darken(axes: "Axes") -> None:
    """Give the texts, ticks, border and legend of axes colours for a dark background."""
    from matplotlib.text import Text

    for text in axes.findobj(Text):
        text.set_color(LIGHT)
    axes.tick_params(colors=LIGHT, labelsize=9)
    axes.spines[:].set_color(LIGHT)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(False)
    if (legend := axes.get_legend()) is not None:
        legend.get_frame().set_visible(False)


def write_video(path: str | Path, pictures: np.ndarray, fps: float) -> Path:
    """Write a video that browsers play: `.webm` (VP8, which is faster to write) or `.mp4` (VP9).

    pictures: (T, h, w, 3) uint8 RGB; an odd height or width gets one more black row or column,
    because the codecs store colour in blocks of 2 x 2 px. fps: frames per second. Returns the
    path. Raises ValueError for another suffix or shape, and OSError if OpenCV lacks the encoder or
    reads back fewer frames than were written.
    """
    path = Path(path)
    if path.suffix not in CODECS:
        raise ValueError(f"{path}: expected the suffix .webm or .mp4, found {path.suffix!r}.")
    _check_pictures(pictures, fps)
    _, height, width, _ = pictures.shape
    even = np.pad(pictures, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)))
    codec = cv2.VideoWriter.fourcc(*CODECS[path.suffix])
    size = (even.shape[2], even.shape[1])
    with atomic_path(path) as temporary:
        with _silent_stderr():
            writer = cv2.VideoWriter(str(temporary), cv2.CAP_FFMPEG, codec, float(fps), size)
        if not writer.isOpened():
            raise OSError(
                f"{path}: OpenCV {cv2.__version__} has no encoder for {CODECS[path.suffix]}. "
                "Install opencv-python-headless from PyPI, or write a GIF."
            )
        for picture in even:
            writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        writer.release()
        with _silent_stderr():
            written, expected = count_frames(temporary), len(pictures)
        if written != expected:  # OpenCV does not report a full disk
            raise OSError(f"{path}: expected {expected} frames, found {written}. Is the disk full?")
    return path


@contextlib.contextmanager
def _silent_stderr() -> Iterator[None]:
    """Keep C code from writing to stderr: OpenCV warns about VP8's tag whenever it opens a file."""
    stderr, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(null)


def write_gif(path: str | Path, pictures: np.ndarray, fps: float) -> Path:
    """Write an endless GIF that plays at the clip's own speed.

    pictures: (T, h, w, 3) uint8 RGB. fps: frames per second. GIF counts delays in hundredths of a
    second, so the delays alternate to keep the clip's duration. Browsers replace delays below two
    hundredths by a tenth of a second, so above 50 fps frames are left out evenly. Returns the
    path. Raises ValueError for another shape.
    """
    path = Path(path)
    _check_pictures(pictures, fps)
    step = int(np.ceil(fps * SHORTEST_DELAY / 100 - 1e-6))
    kept = pictures[::step]
    starts = np.rint(100 * np.append(np.arange(0, len(pictures), step), len(pictures)) / fps)
    delays = np.maximum(np.diff(starts), SHORTEST_DELAY).astype(int)
    palette = _common_palette(kept)
    images = [_with_palette(picture, palette) for picture in kept]
    durations = [10 * int(delay) for delay in delays]
    with atomic_path(path) as temporary:
        images[0].save(
            temporary,
            format="GIF",
            save_all=True,
            append_images=images[1:],
            duration=durations,
            loop=0,
        )
    return path


def _common_palette(pictures: np.ndarray):
    """One palette for a whole GIF, so that still parts do not flicker: an image in mode P.

    Half of its 256 colours are greys. The others are chosen from the coloured pixels alone,
    because the few pixels of an outline would get no colour among all the grey ones.
    """
    from PIL import Image

    sample = pictures[:: max(1, len(pictures) // 8)].reshape(-1, 3)
    greys = np.repeat(np.linspace(0, 255, 128).round().astype(np.uint8)[:, None], 3, axis=1)
    coloured = sample[np.ptp(sample, axis=1) > 8]
    chosen = np.empty((0, 3), np.uint8)
    if len(coloured):
        quantized = Image.fromarray(coloured[None]).quantize(128, Image.Quantize.MEDIANCUT)
        chosen = np.array(quantized.getpalette(), np.uint8).reshape(-1, 3)[:128]
    palette = Image.new("P", (1, 1))
    palette.putpalette(np.concatenate([greys, chosen]).tobytes())
    return palette


def _with_palette(picture: np.ndarray, palette):
    """(h, w, 3) uint8 RGB as an image in mode P with that palette."""
    from PIL import Image

    image = Image.fromarray(picture).quantize(palette=palette, dither=Image.Dither.NONE)
    # Pillow drops the two lowest bits before it looks for the nearest colour. Greys are looked up
    # exactly instead: their index in the palette follows from their level.
    indices = np.array(image)
    grey = np.ptp(picture, axis=-1) == 0
    indices[grey] = np.rint(picture[..., 0][grey] * (127 / 255))
    exact = Image.fromarray(indices, mode="P")
    exact.putpalette(palette.getpalette())
    return exact


def _check_pictures(pictures: np.ndarray, fps: float) -> None:
    if pictures.ndim != 4 or pictures.shape[-1] != 3 or pictures.dtype != np.uint8:
        raise ValueError(
            f"pictures: expected (T, h, w, 3) uint8 RGB, found {pictures.dtype} of shape "
            f"{pictures.shape}. `enlarge` turns grey frames into such pictures."
        )
    if 0 in pictures.shape or not fps > 0:
        raise ValueError(
            f"expected at least one picture and fps above 0, found shape {pictures.shape} and "
            f"fps {fps}."
        )
