"""One item of a phantom mitral study: a clip, its labelled frames, its box.

Amateur items are 112 x 112 clips with hasty labels. Expert and test items are larger, are not
square, come from a scanner that is set to show the valve, and have careful labels.
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np

from . import leaflet_labels
from .common import AMATEUR_STREAM, EXPERT_STREAM, FPS, TEST_STREAM
from .scene import draw_scan, leaflet_curves
from .sector import REFERENCE_SIZE
from .ultrasound import Scan

MIN_FRAMES = 12  # of a clip at any scale: enough for a beat in which the valve visibly moves
MIN_ZOOM = 0.25  # so that expert frames are larger than amateur frames at any scale
MAX_SCREEN = 1024  # px
# ranges of the valve's opening in the three labelled frames: closed, half open, open
OPENINGS = ((0.0, 0.02), (0.4, 0.7), (0.75, 1.0))
MIN_CONTRAST = 5.0  # greys, leaflets above their surroundings; fainter leaflets are not labelled
MAX_ATTEMPTS = 500  # hearts that are drawn until the valve of one can be labelled


@dataclass(frozen=True)
class Kind:
    """A kind of item: number of items and ranges of their sizes at scale 1, ends included.

    stream: random stream of the kind, so that no two kinds share a heart. items: number at scale
    1. min_items: smallest number at any scale. frames: of a clip. height, width: px. label_area:
    px of a 112 x 112 frame that a label covers.
    """

    name: str
    letter: str
    stream: int
    items: int
    min_items: int
    frames: tuple[int, int]
    height: tuple[int, int]
    width: tuple[int, int]
    label_area: tuple[int, int]

    @property
    def hasty(self) -> bool:
        """True if the labels are hasty ones, with errors."""
        return self.name == "amateur"

    def count(self, scale: float) -> int:
        """Return the number of items of this kind in a study of this scale."""
        return max(self.min_items, round(self.items * scale))


# numbers and ranges of the course task's data, FACTS; label_area too, but larger for experts, who
# set the depth so that the valve appears larger
KINDS = (
    Kind("amateur", "A", AMATEUR_STREAM, 46, 2, (109, 334), (112, 112), (112, 112), (51, 223)),
    Kind("expert", "E", EXPERT_STREAM, 19, 2, (54, 159), (579, 731), (600, 863), (65, 223)),
    Kind("test", "T", TEST_STREAM, 20, 1, (39, 125), (582, 732), (612, 1007), (65, 223)),
)


def item_name(kind: Kind, index: int, seed: int) -> str:
    """Return a name that is unique in a study; PM marks the mitral valve of a phantom."""
    return f"0xPM{kind.letter}{seed:04X}{index:06X}"


@dataclass(frozen=True)
class _Recording:
    """A heart under a scanner, the times of its frames, and the screen's position in the frame."""

    scan: Scan
    times: list[float]  # of T frames, seconds after end-diastole
    step: int  # from one frame to the next, in 1/50 s
    shape: tuple[int, int]  # (H, W) of the frame
    corner: np.ndarray  # (2,) x, y of the screen's first pixel in the frame, px
    tone_curve: np.ndarray  # (256,) uint8, the grey at which each grey is displayed

    def leaflets(self, frame: int) -> tuple[np.ndarray, ...]:
        """Both leaflets' curves (n, 2) px of the frame, hinge to tip."""
        return tuple(curve + self.corner for curve in leaflet_curves(self.scan, self.times[frame]))

    @property
    def strip_width(self) -> float:
        """Width in px at which a person draws this heart's leaflets."""
        thickness = self.scan.heart.leaflet_thickness / self.scan.sector.spacing
        return leaflet_labels.strip_width(thickness, self.shape)

    def careful_label(self, frame: int) -> np.ndarray:
        """Careful label of a frame, (H, W) bool."""
        return leaflet_labels.careful_mask(self.leaflets(frame), self.strip_width, self.shape)

    def hasty_label(self, frame: int, generator: np.random.Generator) -> np.ndarray:
        """Hasty label of a frame, (H, W) bool."""
        return leaflet_labels.hasty_mask(
            self.leaflets(frame), self.strip_width, self.shape, generator
        )

    def contrast(self, frame: int) -> float:
        """Mean grey of the leaflets in a frame above that of their surroundings."""
        # a copy, so that this frame does not change the noise and persistence of the recording
        image = self._render(deepcopy(self.scan), self.times[frame])
        mask, leaflets = self.careful_label(frame), self.leaflets(frame)
        return leaflet_labels.leaflet_contrast(image, mask, leaflets, self.strip_width)[0]

    def _render(self, scan: Scan, time: float) -> np.ndarray:
        """The frame of `scan` at `time` s, (H, W) uint8."""
        image = np.zeros(self.shape, np.uint8)
        _paste(cv2.LUT(scan.frame(time), self.tone_curve), image, self.corner)
        return image

    def video(self) -> np.ndarray:
        """Render the clip, (H, W, T) uint8."""
        images: list[np.ndarray] = []
        for time in self.times:
            # frames that are left out are rendered too: the screen's persistence fades over them
            for skipped in range(self.step - 1, 0, -1) if images else ():
                self.scan.frame(time - skipped / FPS)
            images.append(self._render(self.scan, time))
        return np.stack(images, axis=-1)


def draw_item(kind: Kind, index: int, seed: int, scale: float) -> tuple[dict, np.ndarray | None]:
    """Draw item number `index` of a kind, and the labels of all frames of a test item.

    Returns the item as a dict with name (str), video (H, W, T) uint8 and, unless it is a test
    item, box (H, W) bool, label (H, W, T) bool, frames (three ints, 0-based, rising) and dataset
    (str). Also returns the labels (H, W, T) bool of a test item, or None for other items.
    """
    generator = np.random.default_rng([seed, kind.stream, index])
    recording, frames, labels = _draw_recording(kind, index, seed, scale, generator)
    video = recording.video()
    item = {"name": item_name(kind, index, seed), "video": video}
    all_frames = range(len(recording.times))
    if kind.name == "test":
        return item, np.stack([recording.careful_label(k) for k in all_frames], axis=-1)
    points = np.concatenate([curve for k in all_frames for curve in recording.leaflets(k)])
    box = leaflet_labels.valve_box(points, recording.shape, generator)
    label = np.zeros(video.shape, bool)
    label[..., frames] = np.stack(labels, axis=-1)
    item |= {"box": box, "label": label, "frames": frames, "dataset": kind.name}
    return item, None


def _draw_recording(
    kind: Kind, index: int, seed: int, scale: float, generator: np.random.Generator
) -> tuple[_Recording, list[int], list[np.ndarray]]:
    """A recording, the frames to label, and their labels (H, W) bool.

    Hearts are redrawn if the valve on the screen is smaller or larger than real ones, or too
    faint to be labelled.
    """
    zoom = 1.0 if kind.hasty else max(scale, MIN_ZOOM)
    count = max(MIN_FRAMES, _draw_integer(kind.frames, scale, generator))
    shape = _draw_integer(kind.height, zoom, generator), _draw_integer(kind.width, zoom, generator)
    smallest, largest = (px * leaflet_labels.frame_scale(shape) ** 2 for px in kind.label_area)
    for attempt in range(MAX_ATTEMPTS):
        number = index + 100_000 * attempt
        draw = partial(draw_scan, seed, kind.stream, number, plain_share=0.0)
        scan = _fit_screen(draw, shape, expert=not kind.hasty)
        if scan is None:
            continue
        recording = _record(scan, shape, count, expert=not kind.hasty, generator=generator)
        frames = _choose_frames(recording, generator)
        labels = [
            recording.hasty_label(k, generator) if kind.hasty else recording.careful_label(k)
            for k in frames
        ]
        if not all(smallest <= label.sum() <= largest for label in labels):
            continue
        if all(recording.contrast(frame) >= MIN_CONTRAST for frame in frames):
            return recording, frames, labels
    raise RuntimeError(
        f"None of {MAX_ATTEMPTS} hearts had a valve of the size and contrast of real ones. The "
        "ranges of the phantom contradict each other: see `tables.range_table`."
    )


def _draw_integer(span: tuple[int, int], scale: float, generator: np.random.Generator) -> int:
    """Draw an integer from a range, both ends multiplied by `scale` and included."""
    return int(generator.integers(round(span[0] * scale), round(span[1] * scale) + 1))


def _record(
    scan: Scan,
    shape: tuple[int, int],
    count: int,
    expert: bool,
    generator: np.random.Generator,
) -> _Recording:
    """Record `count` frames of `shape` of a scan, from a random moment.

    A recording lasts at least one beat: where that takes more than `count` frames at 50 per
    second, only every second, third, ... frame is kept.
    """
    period = scan.cycle.period
    step = int(np.ceil(period * FPS / count))
    start = generator.uniform(0, period)
    times = [start + number * step / FPS for number in range(count)]
    corner, gain, gamma = np.zeros(2, int), 1.0, 1.0
    if expert:
        corner = _place_screen(scan.sector.shown, shape, generator)
        gain, gamma = generator.uniform(1.0, 1.25), generator.uniform(0.7, 1.0)
    tone_curve = np.clip(255 * gain * (np.arange(256) / 255) ** gamma, 0, 255).astype(np.uint8)
    return _Recording(scan, times, step, shape, corner, tone_curve)


def _fit_screen(draw: Callable[..., tuple], shape: tuple[int, int], expert: bool) -> Scan | None:
    """A scan on a screen for a frame of `shape`, or None if this heart's sector does not fit.

    draw: returns a scan for a `size`. An amateur's screen is the whole frame. An expert's frame
    is filled by the sector: the screen's empty edges are cut off, the sides of the sector are not.
    """
    if not expert:
        return draw(size=shape[0])[0]
    shown = draw(size=REFERENCE_SIZE)[0].sector.shown  # to find the sector on a small screen first
    if shown[:, [0, -1]].any():
        return None
    rows, columns = _extent(shown)
    enlargement = min(shape[0] / (rows[1] - rows[0]), shape[1] / (columns[1] - columns[0]))
    scan = draw(size=min(int(0.97 * enlargement * REFERENCE_SIZE), MAX_SCREEN))[0]
    # a heart that fits into its sector on a small screen may not fit on a large one; then
    # `draw` has returned another heart
    rows, columns = _extent(scan.sector.shown)
    fits = rows[1] - rows[0] <= shape[0] and columns[1] - columns[0] <= shape[1]
    return scan if fits and not scan.sector.shown[:, [0, -1]].any() else None


def _extent(shown: np.ndarray) -> tuple[tuple[int, int], tuple[int, int]]:
    """Rows, then columns, of the visible sector: the first, and the one after the last."""
    ends = []
    for axis in (1, 0):
        lines = np.flatnonzero(shown.any(axis=axis))
        ends.append((int(lines[0]), int(lines[-1]) + 1))
    return ends[0], ends[1]


def _place_screen(
    shown: np.ndarray, shape: tuple[int, int], generator: np.random.Generator
) -> np.ndarray:
    """(2,) x, y of the screen's corner in the frame, so that the sector lies near the middle."""
    rows, columns = _extent(shown)
    corner = []
    for (first, stop), length in ((columns, shape[1]), (rows, shape[0])):
        free = length - (stop - first)
        corner.append(round(free * generator.uniform(0.35, 0.65)) - first)
    return np.array(corner)


def _paste(screen: np.ndarray, frame: np.ndarray, corner: np.ndarray) -> None:
    """Copy a screen into a frame (H, W), with its first pixel at `corner` (x, y), and crop it."""
    left, top = (int(v) for v in corner)
    height, width = frame.shape
    visible = screen[max(-top, 0) : height - top, max(-left, 0) : width - left]
    top, left = max(top, 0), max(left, 0)
    frame[top : top + visible.shape[0], left : left + visible.shape[1]] = visible


def _choose_frames(recording: _Recording, generator: np.random.Generator) -> list[int]:
    """Three frames in rising order: valve closed, half open and open, or as near as possible."""
    opening = np.asarray(recording.scan.cycle.opening(np.array(recording.times)))
    chosen: list[int] = []
    for low, high in OPENINGS:
        distance = np.maximum(low - opening, 0) + np.maximum(opening - high, 0)
        distance[chosen] = np.inf
        chosen.append(int(generator.choice(np.flatnonzero(distance == distance.min()))))
    return sorted(chosen)
