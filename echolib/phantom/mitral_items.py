"""One item of a phantom mitral study: a clip, its labelled frames, its box.

Amateur items are 112 x 112 clips with hasty labels; expert and test items are larger, not
square, from a scanner set by someone who looks at the valve, with careful labels.
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np

from . import leaflet_labels
from .common import AMATEUR_STREAM, EXPERT_STREAM, FPS, TEST_STREAM
from .scene import draw_scan
from .sector import REFERENCE_SIZE
from .ultrasound import Scan

LABELLED = 3  # frames of a training item
FEWEST_FRAMES = 12  # of a clip at any scale: a beat in which the valve is seen to move
SMALLEST_ZOOM = 0.25  # expert frames stay larger than an amateur's at any scale
LARGEST_SCREEN = 1024  # px
# how far the valve is open in the labelled frames: shut, between, open
PHASES = ((0.0, 0.02), (0.4, 0.7), (0.75, 1.0))
SEEN = 5.0  # greys by which leaflets outshine what is beside them; fainter ones nobody labels


@dataclass(frozen=True)
class Kind:
    """A kind of item at scale 1: how many, and the ranges of their sizes, ends included.

    stream: of the study's hearts, so that no two kinds share one. frames: of a clip. height,
    width: px. covered: px of 112 x 112 that a label covers.
    """

    name: str
    letter: str
    stream: int
    items: int
    fewest_items: int
    frames: tuple[int, int]
    height: tuple[int, int]
    width: tuple[int, int]
    covered: tuple[int, int]

    @property
    def hasty(self) -> bool:
        """True when labels are drawn with slips."""
        return self.name == "amateur"

    def count(self, scale: float) -> int:
        """Items of this kind in a study of this scale."""
        return max(self.fewest_items, round(self.items * scale))


# counts and ranges of the course task's data, FACTS; covered: from there too, but an expert sets
# the depth so that the valve is seen larger
KINDS = (
    Kind("amateur", "A", AMATEUR_STREAM, 46, 2, (109, 334), (112, 112), (112, 112), (51, 223)),
    Kind("expert", "E", EXPERT_STREAM, 19, 2, (54, 159), (579, 731), (600, 863), (65, 223)),
    Kind("test", "T", TEST_STREAM, 20, 1, (39, 125), (582, 732), (612, 1007), (65, 223)),
)


def item_name(kind: Kind, index: int, seed: int) -> str:
    """A name that tells a phantom's mitral valve from a patient's, unique in a study."""
    return f"0xPM{kind.letter}{seed:04X}{index:06X}"


@dataclass(frozen=True)
class _Clip:
    """A heart under a scanner, when it is filmed, and where its screen lies in the frame."""

    scan: Scan
    times: list[float]  # of T frames, seconds after end-diastole
    step: int  # 1/50 s from one frame to the next
    shape: tuple[int, int]  # (H, W) of the frame
    corner: np.ndarray  # (2,) x, y of the screen's first pixel in the frame, px
    tone: np.ndarray  # (256,) uint8, the grey that each grey is shown as

    def leaflets(self, frame: int) -> tuple[np.ndarray, ...]:
        """Both leaflets' curves (n, 2) px of the frame, hinge to tip."""
        time = self.times[frame]
        heart = self.scan.shape(time)
        return tuple(
            self.scan.to_pixels(curve, heart, time) + self.corner for curve in heart.mitral
        )

    @property
    def strip_width(self) -> float:
        """Width in px at which a person draws this heart's leaflets."""
        thickness = self.scan.heart.leaflet_thickness / self.scan.sector.spacing
        return leaflet_labels.strip_width(thickness, self.shape)

    def careful(self, frame: int) -> np.ndarray:
        """(H, W) bool label of a frame, without slips."""
        return leaflet_labels.careful_mask(self.leaflets(frame), self.strip_width, self.shape)

    def hasty(self, frame: int, generator: np.random.Generator) -> np.ndarray:
        """(H, W) bool label of a frame as someone in a hurry draws it."""
        return leaflet_labels.hasty_mask(
            self.leaflets(frame), self.strip_width, self.shape, generator
        )

    def contrast(self, frame: int) -> float:
        """How many greys the leaflets are brighter than what is beside them, on average."""
        # a copy: a look leaves the filmed scan's noise and persistence alone
        image = self._show(deepcopy(self.scan), self.times[frame])
        leaflets, width = self.leaflets(frame), self.strip_width
        strips = leaflet_labels.careful_mask(leaflets, width, self.shape)
        around = leaflet_labels.careful_mask(leaflets, 3 * width, self.shape) & ~strips
        return float(image[strips].mean() - image[around].mean())

    def _show(self, scan: Scan, time: float) -> np.ndarray:
        """(H, W) uint8 frame at `time` s as `scan` gives it."""
        image = np.zeros(self.shape, np.uint8)
        _paste(cv2.LUT(scan.frame(time), self.tone), image, self.corner)
        return image

    def video(self) -> np.ndarray:
        """(H, W, T) uint8."""
        images = []
        for time in self.times:
            # frames that are left out are drawn too: the screen's persistence fades over them
            for left_out in range(self.step - 1, 0, -1) if images else ():
                self.scan.frame(time - left_out / FPS)
            images.append(self._show(self.scan, time))
        return np.stack(images, axis=-1)


def draw_item(kind: Kind, index: int, seed: int, scale: float) -> tuple[dict, np.ndarray | None]:
    """Item number `index` of a kind, and the labels of all its frames if it is a test item.

    Returns the item as a dict: name (str), video (H, W, T) uint8 and, unless it is a test item,
    box (H, W) bool, label (H, W, T) bool, frames (three ints, 0-based, rising) and dataset
    (str); and the labels (H, W, T) bool of a test item, else None.
    """
    generator = np.random.default_rng([seed, kind.stream, index])
    clip, frames, labels = _draw_clip(kind, index, seed, scale, generator)
    item = {"name": item_name(kind, index, seed), "video": clip.video()}
    every = range(len(clip.times))
    if kind.name == "test":
        return item, np.stack([clip.careful(frame) for frame in every], axis=-1)
    reach = np.concatenate([points for frame in every for points in clip.leaflets(frame)])
    item["box"] = leaflet_labels.valve_box(reach, clip.shape, generator)
    item["label"] = np.zeros(item["video"].shape, bool)
    item["label"][..., frames] = np.stack(labels, axis=-1)
    return item | {"frames": frames, "dataset": kind.name}, None


def _draw_clip(
    kind: Kind, index: int, seed: int, scale: float, generator: np.random.Generator
) -> tuple[_Clip, list[int], list[np.ndarray]]:
    """A clip, the frames to label, and their labels (H, W) bool.

    Hearts are redrawn whose valve is smaller or larger on the screen than the real ones, or too
    faint to be labelled.
    """
    zoom = 1.0 if kind.hasty else max(scale, SMALLEST_ZOOM)
    count = max(FEWEST_FRAMES, _between(kind.frames, scale, generator))
    shape = _between(kind.height, zoom, generator), _between(kind.width, zoom, generator)
    fewest, most = (px * leaflet_labels.unit(shape) ** 2 for px in kind.covered)
    for attempt in range(500):
        number = index + 100_000 * attempt
        draw = partial(draw_scan, seed, kind.stream, number, plain_share=0.0, close=True)
        scan = _fit_screen(draw, shape, expert=not kind.hasty)
        if scan is None:
            continue
        clip = _film(scan, shape, count, expert=not kind.hasty, generator=generator)
        frames = _choose_frames(clip, generator)
        labels = [clip.hasty(k, generator) if kind.hasty else clip.careful(k) for k in frames]
        if not all(fewest <= label.sum() <= most for label in labels):
            continue
        if all(clip.contrast(frame) >= SEEN for frame in frames):
            return clip, frames, labels
    raise RuntimeError("No valve was seen as well as real ones: the tables of ranges disagree.")


def _between(span: tuple[int, int], scale: float, generator: np.random.Generator) -> int:
    """A whole number from a range whose ends are included, and scaled."""
    return int(generator.integers(round(span[0] * scale), round(span[1] * scale) + 1))


def _film(
    scan: Scan,
    shape: tuple[int, int],
    count: int,
    expert: bool,
    generator: np.random.Generator,
) -> _Clip:
    """Point a camera at a heart's screen: `count` frames of `shape`, from a random moment.

    A clip lasts a beat at least: where 50 frames a second would be too short, every second,
    third, ... of them is kept.
    """
    period = scan.cycle.period
    step = int(np.ceil(period * FPS / count))
    start = generator.uniform(0, period)
    times = [start + number * step / FPS for number in range(count)]
    corner = _place_screen(scan.sector.shown, shape, generator) if expert else np.zeros(2, int)
    gain, bend = (generator.uniform(1.0, 1.25), generator.uniform(0.7, 1.0)) if expert else (1, 1)
    tone = np.clip(255 * gain * (np.arange(256) / 255) ** bend, 0, 255).astype(np.uint8)
    return _Clip(scan, times, step, shape, corner, tone)


def _fit_screen(draw: Callable[..., tuple], shape: tuple[int, int], expert: bool) -> Scan | None:
    """A scan on a screen for a frame of `shape`, or None where this heart's will not do.

    draw: gives a scan for a `size`. An amateur's screen is the frame. An expert's frame does not
    cut off the sides of the sector, and the sector fills it: the screen's empty edges are cut off.
    """
    if not expert:
        return draw(size=shape[0])[0]
    shown = draw(size=REFERENCE_SIZE)[0].sector.shown  # a small screen tells where the sector lies
    if shown[:, [0, -1]].any():
        return None
    rows, columns = _extent(shown)
    larger = min(shape[0] / (rows[1] - rows[0]), shape[1] / (columns[1] - columns[0]))
    scan = draw(size=min(int(0.97 * larger * REFERENCE_SIZE), LARGEST_SCREEN))[0]
    # what fits its sector on a small screen may not on a large one: then this is another heart
    rows, columns = _extent(scan.sector.shown)
    fits = rows[1] - rows[0] <= shape[0] and columns[1] - columns[0] <= shape[1]
    return scan if fits and not scan.sector.shown[:, [0, -1]].any() else None


def _extent(shown: np.ndarray) -> tuple[tuple[int, int], tuple[int, int]]:
    """First row and the one after the last, then columns, in which a screen shows the sector."""
    ends = []
    for axis in (1, 0):
        lines = np.flatnonzero(shown.any(axis=axis))
        ends.append((int(lines[0]), int(lines[-1]) + 1))
    return ends[0], ends[1]


def _place_screen(
    shown: np.ndarray, shape: tuple[int, int], generator: np.random.Generator
) -> np.ndarray:
    """(2,) x, y of the screen's corner in the frame: the whole sector in it, near the middle."""
    rows, columns = _extent(shown)
    corner = []
    for (first, stop), length in ((columns, shape[1]), (rows, shape[0])):
        free = length - (stop - first)
        corner.append(round(free * generator.uniform(0.35, 0.65)) - first)
    return np.array(corner)


def _paste(screen: np.ndarray, frame: np.ndarray, corner: np.ndarray) -> None:
    """Copy what a frame (H, W) shows of a screen whose first pixel lies at `corner` x, y."""
    left, top = (int(v) for v in corner)
    height, width = frame.shape
    seen = screen[max(-top, 0) : height - top, max(-left, 0) : width - left]
    top, left = max(top, 0), max(left, 0)
    frame[top : top + seen.shape[0], left : left + seen.shape[1]] = seen


def _choose_frames(clip: _Clip, generator: np.random.Generator) -> list[int]:
    """Three frames, rising: the valve shut, between and open, as far as the clip shows it so."""
    opening = np.asarray(clip.scan.cycle.opening(np.array(clip.times)))
    chosen: list[int] = []
    for low, high in PHASES:
        off = np.maximum(low - opening, 0) + np.maximum(opening - high, 0)
        off[chosen] = np.inf
        chosen.append(int(generator.choice(np.flatnonzero(off == off.min()))))
    return sorted(chosen)
