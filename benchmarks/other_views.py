"""Clips that are no apical four-chamber view: other views of phantom hearts, and no hearts at all.

Other views are simple drawings of a heart's parts, in world coordinates (mm, the probe at the
origin), which the phantom's own scanner shows with its speckle, haze and gain. Their proportions
are those of a textbook picture, scaled by the phantom heart's dimensions.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

import cv2
import numpy as np
import skimage.data
from pydicom.examples import get_path

from echolib.data import Clip, read_clip
from echolib.phantom.anatomy import Heart
from echolib.phantom.painter import Painter
from echolib.phantom.scene import draw_scan
from echolib.phantom.sector import REFERENCE_SIZE
from echolib.phantom.shape import Shape, smooth_curve
from echolib.phantom.ultrasound import Scan

STREAM = 76  # of random numbers: hearts that no training or study has
FRAMES, FPS = 8, 30.0
LEAST_SUBCOSTAL_DEPTH = 160.0  # mm: such a view is set deep
SCREENS = 4  # of each kind
ORGANS = ("rgb_color", "palette_color")  # of `pydicom.examples`


class View(Painter):
    """Painter of another view; subclasses draw the heart's parts in world mm."""

    def paint(self, shape: Shape, phase: float) -> tuple[np.ndarray, np.ndarray]:
        """As `Painter.paint`."""
        self._map = np.full(self.sector.beam_shape, self.tissue.background, np.float32)
        self.draw(self.heart, shape.contraction)
        blood = self._map == np.float32(self.tissue.blood)
        self._paint_near_field()
        return self._map, blood & (self._map == np.float32(self.tissue.blood))

    def draw(self, heart: Heart, contraction: float) -> None:
        """Draw the heart's parts; contraction: from 0 at end-diastole to 1 at end-systole."""
        raise NotImplementedError

    def oval(self, x: float, y: float, across: float, deep: float, level: float) -> None:
        """Fill an ellipse around (x, y) with two half axes."""
        angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        points = np.stack([x + across * np.cos(angle), y + deep * np.sin(angle)], axis=1)
        self._fill_world(points, level)

    def chamber(self, x: float, y: float, across: float, deep: float) -> None:
        """An ellipse of blood with a thin wall."""
        wall = self.heart.atrial_wall
        self.oval(x, y, across + wall, deep + wall, self.tissue.atrial_wall)
        self.oval(x, y, across, deep, self.tissue.blood)

    def line(self, knots: list[tuple[float, float]], level: float, width: float) -> None:
        """Draw a smooth line through points."""
        points = smooth_curve(np.array(knots), 24)
        normal = np.gradient(points, axis=0)[:, ::-1] * [-1, 1]
        half = 0.5 * width * normal / np.hypot(*normal.T)[:, None]
        self._fill_world(np.concatenate([points + half, (points - half)[::-1]]), level)


class ParasternalLongAxis(View):
    """Right ventricle on top, the left one lying across, aorta and left atrium on the right."""

    def draw(self, heart: Heart, contraction: float) -> None:
        """As `View.draw`."""
        tissue, length = self.tissue, heart.length
        deep = 0.5 * heart.width * (1 - 0.3 * contraction)
        thick = 1 + heart.thickening * contraction
        x, y = -0.25 * length + 0.3 * heart.tip_x, 36 + heart.septum + 0.5 * heart.width
        self.chamber(x + 0.35 * length, y - 0.5 * heart.width - heart.septum - 11, 0.5 * length, 9)
        outer = deep + heart.lateral_wall * thick
        self.oval(x, y + 2, 0.65 * length, outer, tissue.pericardium)
        self.oval(x, y, 0.65 * length, outer, tissue.lateral)
        septal = np.array([(-1.0, 0), (-0.8, -0.6), (0, -1), (0.8, -0.7), (1.0, 0)])
        size = [0.65 * length, deep + heart.septum * thick]
        self._fill_world([x, y] + smooth_curve(septal, 30) * size, tissue.septum)
        self.oval(x, y, 0.6 * length, deep, tissue.blood)
        self.chamber(x + 0.85 * length, y + 0.35 * deep, 0.26 * length, 0.24 * length)
        root = x + 0.55 * length
        for side, level in ((0.0, tissue.atrial_wall), (-1.0, tissue.atrial_wall)):
            start = y - 0.15 * deep + 28 * side
            self.line([(root, start), (root + 25, start - 6), (root + 55, start - 18)], level, 3)
        tube = [(0, -1.5), (55, -19.5), (55, -44.5), (0, -26.5)]
        self._fill_world(np.array(tube) + [root, y - 0.15 * deep], tissue.blood)
        self.line([(root + 4, y - 0.15 * deep - 14), (root + 20, y - 0.15 * deep - 20)],
                  tissue.valve - 4, 1.2)  # fmt: skip
        swing = 0.9 * (1 - contraction)
        tip = (root - 16, y - 0.1 * deep + 10 - 14 * swing)
        self.line([(root, y), tip], tissue.valve, heart.leaflet_thickness)
        self.line([(root + 2, y + 0.8 * deep), (root - 12, y + 0.3 * deep + 6 * swing)],
                  tissue.valve, heart.leaflet_thickness)  # fmt: skip
        self.chamber(x + 0.75 * length, y + outer + 22, 11, 11)  # descending aorta


class ParasternalShortAxis(View):
    """The left ventricle as a ring with two papillary muscles, the right one around its left."""

    def draw(self, heart: Heart, contraction: float) -> None:
        """As `View.draw`."""
        tissue, radius = self.tissue, 0.5 * heart.width * (1 - 0.35 * contraction)
        x, y = 6 + 0.4 * heart.tip_x, 36 + heart.septum + 0.5 * heart.width
        wall = 0.5 * (heart.septum + heart.lateral_wall) * (1 + heart.thickening * contraction)
        width = 0.5 * heart.width
        self.chamber(x - 1.0 * width, y - 0.55 * width, 1.1 * width, 1.1 * width)
        self.oval(x + 1, y + 2, radius + wall, radius + wall, tissue.pericardium)
        self.oval(x, y, radius + wall, radius + wall, tissue.lateral)
        angle = np.linspace(0.75 * np.pi, 1.75 * np.pi, 30)
        arc = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        ring = np.concatenate([arc * (radius + wall), arc[::-1] * radius])
        self._fill_world(ring + [x, y], tissue.septum)
        self.oval(x, y, radius, radius, tissue.blood)
        for side in (-0.55, 0.6):
            size = 0.2 * radius
            self.oval(x + side * radius, y + 0.55 * radius, size, size, tissue.lateral)


class GreatVessels(View):
    """Short axis at the base: the aorta in the middle, atria and right ventricle around it."""

    def draw(self, heart: Heart, contraction: float) -> None:
        """As `View.draw`."""
        tissue, x, y = self.tissue, 4 + 0.4 * heart.tip_x, 70 + 0.2 * heart.tip_depth
        self.oval(x, y, 44, 42, tissue.right_wall)
        self.oval(x, y - 4, 40, 34 - 5 * contraction, tissue.blood)  # right ventricle, outflow
        self.chamber(x, y + 30, 34, 17 + 3 * contraction)  # left atrium
        self.chamber(x - 36, y + 18, 17, 19)  # right atrium
        self.chamber(x + 36, y + 4, 11, 24)  # pulmonary artery
        self.line([(x - 24, y + 4), (x - 32, y - 6)], tissue.valve - 3, 2)
        self.line([(x + 24, y - 8), (x + 44, y - 10)], tissue.valve - 3, 1.5)
        self.chamber(x, y, 16, 16)
        for angle in np.radians([90, 210, 330]):  # three leaflets
            end = (x + 15 * np.cos(angle), y - 15 * np.sin(angle))
            self.line([(x, y), end], tissue.valve - 2, 1.3 * (1 - 0.7 * contraction))


class Subcostal(Painter):
    """All four chambers through the liver, lying across, the apex on the right."""

    def paint(self, shape: Shape, phase: float) -> tuple[np.ndarray, np.ndarray]:
        """As `Painter.paint`."""
        levels, blood = super().paint(shape, phase)
        depth = self.sector.sample_mm * np.arange(len(levels))[:, None]
        liver = (levels == np.float32(self.tissue.background)) & (depth < 75)
        levels[liver] = 0.5 * (self.tissue.lateral + self.tissue.septum) - 6
        return levels, blood & ~liver


def _lying(heart: Heart) -> Heart:
    """A heart as the subcostal view shows it."""
    place = {"tip_x": 38 + 0.3 * heart.tip_x, "tip_depth": 70.0, "tilt": heart.tilt - 82}
    return replace(heart, length=0.85 * heart.length, **place)


def _two_chambers(heart: Heart) -> Heart:
    """A heart without its right side, as the apical two-chamber view shows it."""
    return replace(heart, rv_width=0.02, ra_width=0.5, outflow=0.0, atrial_septum=0.1)


def _as_it_is(heart: Heart) -> Heart:
    return heart


VIEWS: dict[str, tuple[type[Painter], Callable[[Heart], Heart]]] = {
    "apical four-chamber": (Painter, _as_it_is),
    "apical two-chamber": (Painter, _two_chambers),
    "parasternal long axis": (ParasternalLongAxis, _as_it_is),
    "parasternal short axis": (ParasternalShortAxis, _as_it_is),
    "great vessels": (GreatVessels, _as_it_is),
    "subcostal": (Subcostal, _lying),
}
PHOTOGRAPHS = ("camera", "coins", "moon", "astronaut", "chelsea", "coffee", "rocket", "brick",
               "gravel", "cell", "page", "text")  # fmt: skip


def draw_view(view: str, seed: int, index: int, frames: int = FRAMES) -> Clip:
    """A clip (frames, 112, 112) of heart number `index`, in one of `VIEWS`, over one beat.

    Raises RuntimeError as `draw_scan` does.
    """
    scan = _scan(view, seed, index)
    moments = np.arange(frames) * scan.cycle.period / frames
    pictures = np.stack([scan.frame(float(moment)) for moment in moments])
    return Clip(f"{view} {index}", pictures, frames / scan.cycle.period)


def _scan(view: str, seed: int, index: int) -> Scan:
    painter, change = VIEWS[view]
    shown, _ = draw_scan(seed, STREAM, index, REFERENCE_SIZE)
    generator = np.random.default_rng([seed, STREAM, index])
    depth = max(shown.sector.depth, LEAST_SUBCOSTAL_DEPTH if painter is Subcostal else 0.0)
    sector = replace(shown.sector, depth=depth)
    scan = Scan(sector, change(shown.heart), shown.cycle, generator, shown.renderer)
    scan.painter = painter(sector, scan.heart, generator, scan.without)
    return scan


# --- No hearts ------------------------------------------------------------------------------------


def no_hearts(seed: int, frames: int = FRAMES) -> Iterator[tuple[str, Clip]]:
    """Clips (frames, H, W) that show no heart, each with its kind.

    Black and grey frames, noise, and photographs of scikit-image over which the camera moves, all
    of these also in a sector; the M-mode and the Doppler screen of a machine; the pictures of other
    organs that come with pydicom, which are real.
    """
    generator = np.random.default_rng([seed, STREAM])
    shape = (frames, REFERENCE_SIZE, REFERENCE_SIZE)
    sector = draw_scan(seed, STREAM, 0, REFERENCE_SIZE)[0].sector.shown
    yield "black or grey", Clip("black", np.zeros(shape, np.uint8))
    noise = generator.integers(0, 256, shape).astype(np.uint8)
    whole = {"grey": np.full(shape, 90, np.uint8), "noise": noise}
    whole |= {name: _photograph(name, frames) for name in PHOTOGRAPHS}
    for name, pictures in whole.items():
        kind = {"grey": "black or grey", "noise": "noise"}.get(name, "photograph")
        yield kind, Clip(name, pictures)
        yield f"{kind} in a sector", Clip(f"{name} in a sector", pictures * sector)
    for index in range(SCREENS):
        yield "M-mode screen", Clip(f"M-mode {index}", _m_mode(seed, index, frames))
        yield "Doppler screen", Clip(f"Doppler {index}", _doppler(generator, frames))
    for name in ORGANS:
        yield "other organ", read_clip(get_path(name))


def _photograph(name: str, frames: int) -> np.ndarray:
    """Grey frames of a photograph of `skimage.data`, each 1 px further down."""
    picture = getattr(skimage.data, name)()
    if picture.ndim == 3:
        picture = picture[..., :3].mean(axis=2).astype(np.uint8)
    side, size = min(picture.shape), REFERENCE_SIZE
    square = picture[:side, :side]
    small = cv2.resize(square, (size, size + frames), interpolation=cv2.INTER_AREA)
    return np.stack([small[start : start + size] for start in range(frames)])


def _m_mode(seed: int, index: int, frames: int) -> np.ndarray:
    """The middle beam of a four-chamber view over time, which runs from right to left."""
    scan = _scan("apical four-chamber", seed, index)
    column = int(scan.sector.apex[0]) + 6
    count = REFERENCE_SIZE + frames
    lines = np.stack([scan.frame(moment / FPS)[:, column] for moment in range(count)], axis=1)
    return np.stack([lines[:, start : start + REFERENCE_SIZE] for start in range(frames)])


def _doppler(generator: np.random.Generator, frames: int) -> np.ndarray:
    """Velocities over time: two waves above the base line in each beat, one below, and noise."""
    count, size = REFERENCE_SIZE + frames, REFERENCE_SIZE
    phase = np.arange(count) / generator.uniform(25, 45) % 1
    waves = [(0.2, 0.09, generator.uniform(15, 35)), (0.75, 0.08, generator.uniform(20, 45)),
             (0.95, 0.05, generator.uniform(10, 35))]  # fmt: skip
    below, early, late = (
        height * np.exp(-(((phase - place) / width) ** 2)) for place, width, height in waves
    )
    rows = np.arange(size)[:, None] - 60
    filled = (rows <= below) & (rows >= 0) | (-rows <= np.maximum(early, late)) & (rows < 0)
    grey = generator.gamma(2.0, 1.0, (size, count)) * np.where(filled, 60, 6)
    grey[60] = 160
    picture = np.clip(grey, 0, 255).astype(np.uint8)
    return np.stack([picture[:, start : start + size] for start in range(frames)])
