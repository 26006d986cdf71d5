"""The scanned sector: beams in the body, pixels on the screen, and the scanner's own marks.

World coordinates are mm with the probe's face at the origin. Beam space is an array
(SAMPLES, BEAMS): rows run along a beam, columns from the leftmost to the rightmost beam.
"""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from echolib.phantom.ranges import CHOSEN, README, draw_table, ranged

SAMPLES, BEAMS = 256, 128
REFERENCE_SIZE = 112  # the ranges in px are those of a frame of this size
_SUBPIXEL_BITS = 4  # cv2.fillPoly's fixed point


@dataclass(frozen=True)
class Sector:
    """Where the sector lies on a square screen of `size` px; px of a 112 x 112 frame, radians."""

    apex_x: float
    apex_y: float
    half_angle: float
    radius: float
    depth: float  # mm from the probe's face to the lower edge
    face: float  # px of dark face under the probe
    cut: bool  # EchoNet-Dynamic's corners are cut off along diagonals
    marks: bool  # traces of the scanner's ruler survive outside the sector
    size: int = REFERENCE_SIZE

    @property
    def scale(self) -> float:
        """Px of this screen per px of a 112 x 112 frame."""
        return self.size / REFERENCE_SIZE

    @property
    def spacing(self) -> float:
        """Mm per px of this screen."""
        return self.depth / (self.radius * self.scale)

    @property
    def apex(self) -> np.ndarray:
        """(2,) the probe's place on this screen, px; pixel centres at integers."""
        return (np.array([self.apex_x, self.apex_y]) + 0.5) * self.scale - 0.5

    def to_pixels(self, world: np.ndarray) -> np.ndarray:
        """World mm (n, 2) to px (n, 2)."""
        return self.apex + np.asarray(world) / self.spacing

    def to_beams(self, world: np.ndarray) -> np.ndarray:
        """World mm (n, 2) to beam-space (column, row), (n, 2)."""
        x, y = np.asarray(world).T
        column = (np.arctan2(x, y) / self.half_angle + 1) * 0.5 * (BEAMS - 1)
        return np.stack([column, np.hypot(x, y) / self.depth * (SAMPLES - 1)], axis=1)

    @cached_property
    def beam_grid(self) -> tuple[np.ndarray, np.ndarray]:
        """Across and depth of every beam-space sample: (SAMPLES, BEAMS) float32, the first from
        -1 (leftmost beam) to 1, the second from 0 (probe) to 1."""
        across = np.linspace(-1, 1, BEAMS, dtype=np.float32)
        depth = np.linspace(0, 1, SAMPLES, dtype=np.float32)
        return np.meshgrid(across, depth)

    @cached_property
    def _screen_maps(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Beam-space column and row of every pixel, and which pixels show the sector."""
        y, x = np.mgrid[: self.size, : self.size].astype(np.float32)
        right, down = x - self.apex[0], y - self.apex[1]
        column = (np.arctan2(right, down) / self.half_angle + 1) * 0.5 * (BEAMS - 1)
        distance = np.hypot(right, down) / self.scale
        row = distance / self.radius * (SAMPLES - 1)
        shown = (column >= 0) & (column <= BEAMS - 1) & (row <= SAMPLES - 1)
        shown &= distance >= self.face
        if self.cut:
            shown &= (x + y > 67 * self.scale) & (x - y < 67 * self.scale)
        return column.astype(np.float32), row.astype(np.float32), shown

    @property
    def shown(self) -> np.ndarray:
        """(size, size) bool, True where the screen shows the sector."""
        return self._screen_maps[2]

    def scan_convert(self, beams: np.ndarray) -> np.ndarray:
        """Beam space (SAMPLES, BEAMS) float32 to a screen (size, size), 0 outside the sector."""
        column, row, shown = self._screen_maps
        screen = cv2.remap(beams, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return screen * shown


def draw_sector(generator: np.random.Generator, size: int = REFERENCE_SIZE) -> Sector:
    """A sector as EchoNet-Dynamic shows it, or as a padded CAMUS frame does, or in between."""
    kind = generator.choice(3, p=[0.5, 0.4, 0.1])
    table = (_EchoNetScreen, _CamusScreen, _OtherScreen)[kind]
    screen = draw_table(table, generator)
    apex_y = screen.apex_y
    if kind == 1:  # padded to a square: the sector's middle is the screen's
        apex_y = 55.5 - 0.5 * screen.radius + screen.apex_y
    echonet = kind == 0
    return Sector(
        apex_x=screen.apex_x,
        apex_y=apex_y,
        half_angle=float(np.radians(screen.half_angle)),
        radius=screen.radius,
        depth=screen.depth,
        face=screen.face,
        cut=echonet,
        marks=bool(generator.random() < (0.85 if echonet else 0.1)),
        size=size,
    )


@dataclass(frozen=True)
class _EchoNetScreen:
    apex_x: float = ranged(58, 67, README, mean=62.5, sd=1.5)
    apex_y: float = ranged(0.0, 16, README, mean=6.0, sd=2.5)
    half_angle: float = ranged(36, 48, README, mean=44.5, sd=2.0)
    radius: float = ranged(95, 120, README, mean=108, sd=4)
    depth: float = ranged(110, 190, README, mean=143, sd=14)
    face: float = ranged(0.0, 3.0, README)


@dataclass(frozen=True)
class _CamusScreen:
    apex_x: float = ranged(53, 58, CHOSEN, mean=55.5, sd=0.7)
    apex_y: float = ranged(-4, 4, CHOSEN, mean=0.0, sd=1.0)  # from where padding puts it
    half_angle: float = ranged(32, 46, README, mean=38, sd=2.0)
    radius: float = ranged(78, 102, CHOSEN, mean=91, sd=4)
    depth: float = ranged(115, 215, CHOSEN, mean=155, sd=18)
    face: float = ranged(0.0, 2.0, CHOSEN)


@dataclass(frozen=True)
class _OtherScreen:
    apex_x: float = ranged(48, 66, CHOSEN)
    apex_y: float = ranged(0, 16, CHOSEN)
    half_angle: float = ranged(33, 47, CHOSEN)
    radius: float = ranged(84, 112, CHOSEN)
    depth: float = ranged(115, 200, CHOSEN)
    face: float = ranged(0.0, 4.0, CHOSEN)


def draw_marks(sector: Sector, generator: np.random.Generator) -> np.ndarray:
    """(size, size) uint8 of what the scanner leaves outside the sector; zeros elsewhere.

    EchoNet-Dynamic's frames keep a blob by the probe, a diagonal ruler and dots.
    """
    marks = np.zeros((sector.size, sector.size), np.uint8)
    if not sector.marks:
        return marks
    blob = np.array([66, 1]) + generator.integers(0, 4, 2)
    ruler_start, ruler_length = generator.integers(28, 44), generator.integers(8, 20)
    ruler_offset = generator.integers(58, 66)
    brightness = np.clip(generator.normal(200, 30, ruler_length), 80, 255)
    dots = generator.integers(20, 50, generator.integers(0, 4))
    _mark(marks, blob, 1.0, 150, sector.scale)
    for step, grey in enumerate(brightness):
        at = ruler_start + step
        _mark(marks, np.array([at + ruler_offset, at]), 0.4, int(grey), sector.scale)
    for dot in dots:
        _mark(marks, np.array([dot + 64, dot]), 0.4, 200, sector.scale)
    marks[sector.shown] = 0
    return marks


def _mark(image: np.ndarray, centre: np.ndarray, radius: float, grey: int, scale: float) -> None:
    """A filled dot; centre and radius in px of a 112 x 112 frame."""
    one = 1 << _SUBPIXEL_BITS
    place = np.rint(((centre + 0.5) * scale - 0.5) * one).astype(int)
    size = int(round(radius * scale * one))
    cv2.circle(image, tuple(int(v) for v in place), size, grey, -1, cv2.LINE_8, _SUBPIXEL_BITS)


def fill_beams(canvas: np.ndarray, corners: np.ndarray, value: float) -> None:
    """Fill a polygon (n, 2) of beam-space (column, row) in a (SAMPLES, BEAMS) canvas, sub-pixel."""
    fixed = np.clip(np.asarray(corners), -1000, 2000) * (1 << _SUBPIXEL_BITS)
    polygon = np.rint(fixed).astype(np.int32)
    cv2.fillPoly(canvas, [polygon], float(value), cv2.LINE_8, _SUBPIXEL_BITS)
