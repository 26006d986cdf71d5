"""Geometry of the scan sector: beams in the body, pixels on the screen, and scanner marks.

World coordinates are mm with the probe's face at the origin. Beam space is an array
(samples, beams): rows run along a beam, columns from the leftmost to the rightmost beam. Larger
screens are drawn from more samples and beams.
"""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from .ranges import CAMUS, CHOSEN, FACTS, PROTOTYPE, draw_parameters, ranged

SAMPLES, BEAMS = 256, 128  # on a small screen
MAX_FINENESS = 3  # a large screen has at most this many times as many of each
REFERENCE_SIZE = 112  # px, side of the frame that the ranges in px refer to
_SUBPIXEL_BITS = 4  # cv2.fillPoly's fixed point


@dataclass(frozen=True)
class ScanSector:
    """The sector that the probe scans, and its position on a square screen of `size` px.

    Other lengths are in px of a 112 x 112 frame unless stated otherwise, angles in radians.
    """

    apex_x: float
    apex_y: float
    half_angle: float
    radius: float
    depth: float  # mm from the probe's face to the lower edge
    face: float  # px of dark face under the probe
    cut: bool  # the corners are cut off along diagonals, as in EchoNet-Dynamic
    smooth: int  # screen px averaged into one px of the frame, along each side
    marks: bool  # remains of the scanner's ruler are visible outside the sector
    black: float = 0.0  # grey levels, 0 to 1, that the screen shows as black and as white
    white: float = 1.0
    size: int = REFERENCE_SIZE

    def __post_init__(self) -> None:
        if not 0 < self.half_angle < np.pi / 2:
            raise ValueError(
                f"half_angle must be above 0 and below pi / 2 radians, not {self.half_angle}."
            )
        for name in ("radius", "depth", "size", "smooth"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} of a sector must be above 0, not {getattr(self, name)}.")
        if not self.black < self.white:
            raise ValueError(f"black must be below white, but they are {self.black}, {self.white}.")

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
        """(2,) position of the probe on this screen, px; pixel centres at integers."""
        return (np.array([self.apex_x, self.apex_y]) + 0.5) * self.scale - 0.5

    def to_pixels(self, world: np.ndarray) -> np.ndarray:
        """Convert world mm (n, 2) to px (n, 2)."""
        return self.apex + np.asarray(world) / self.spacing

    def to_beams(self, world: np.ndarray) -> np.ndarray:
        """Convert world mm (n, 2) to beam-space (column, row), (n, 2)."""
        x, y = np.asarray(world).T
        column = (np.arctan2(x, y) + self.half_angle) / self.beam_angle
        return np.stack([column, np.hypot(x, y) / self.sample_mm], axis=1)

    @property
    def fineness(self) -> int:
        """How many times finer beam space is than on a small screen, along both sides."""
        return min(MAX_FINENESS, max(1, round(self.size / (2 * REFERENCE_SIZE))))

    @property
    def beam_shape(self) -> tuple[int, int]:
        """Number of samples along a beam, and number of beams."""
        return SAMPLES * self.fineness, BEAMS * self.fineness

    @property
    def sample_mm(self) -> float:
        """Distance in mm between two samples along a beam."""
        return self.depth / (self.beam_shape[0] - 1)

    @property
    def beam_angle(self) -> float:
        """Angle in radians between two beams."""
        return 2 * self.half_angle / (self.beam_shape[1] - 1)

    @cached_property
    def beam_axes(self) -> tuple[np.ndarray, np.ndarray]:
        """Position of every beam (1, beams), from -1 (leftmost) to 1, and depth of every sample
        (samples, 1), from 0 (probe) to 1; float32."""
        samples, beams = self.beam_shape
        across = np.linspace(-1, 1, beams, dtype=np.float32)[None]
        return across, np.linspace(0, 1, samples, dtype=np.float32)[:, None]

    @cached_property
    def _screen_maps(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Beam-space column and row of every pixel of the scanner's screen, and a mask of the
        frame's pixels that show the sector.

        The scanner's screen has `smooth` times as many pixels along each side as the frame.
        """
        column, row, shown = self._maps(self.smooth)
        if self.smooth > 1:
            shown = self._maps(1)[2]
        return column, row, shown

    def _maps(self, factor: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The maps of a screen with `factor` times as many pixels along each side as the frame.

        Column, row and mask, (factor * size, factor * size) each.
        """
        samples, beams = self.beam_shape
        line = (np.arange(self.size * factor, dtype=np.float32) + 0.5) / np.float32(factor) - 0.5
        right, down = np.meshgrid(line - self.apex[0], line - self.apex[1])
        # the angle is measured from straight down, so that it does not jump within the sector
        distance, angle = cv2.cartToPolar(down.astype(np.float32), right.astype(np.float32))
        angle[angle > np.pi] -= np.float32(2 * np.pi)
        column = (angle + np.float32(self.half_angle)) / np.float32(self.beam_angle)
        distance /= np.float32(self.scale)
        row = distance * np.float32((samples - 1) / self.radius)
        shown = (column >= 0) & (column <= beams - 1) & (row <= samples - 1)
        shown &= distance >= self.face
        if self.cut:
            x, y = line[None], line[:, None]
            shown &= (x + y > 67 * self.scale) & (x - y < 67 * self.scale)
        return column, row, shown

    @property
    def shown(self) -> np.ndarray:
        """(size, size) bool, True where the screen shows the sector."""
        return self._screen_maps[2]

    def shows(self, pixels: np.ndarray, margin: int = 0) -> np.ndarray:
        """Check which points (n, 2) px lie in the visible sector.

        margin: smallest distance of a point from the screen's edge, px. Returns (n,) bool.
        """
        column, row = np.rint(pixels).astype(int).T
        last = self.size - 1
        inside = (np.minimum(column, row) >= margin) & (np.maximum(column, row) <= last - margin)
        return inside & self.shown[row.clip(0, last), column.clip(0, last)]

    def scan_convert(self, beams: np.ndarray) -> np.ndarray:
        """Convert beam space (samples, beams) float32 to (size, size) px, 0 outside the sector.

        Grey levels in [0, 1]; those from `black` to `white` fill the range of the result.
        """
        column, row, shown = self._screen_maps
        screen = cv2.remap(beams, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        if self.smooth > 1:
            screen = cv2.resize(screen, shown.shape[::-1], interpolation=cv2.INTER_AREA)
        screen = (screen - np.float32(self.black)) / np.float32(self.white - self.black)
        return np.clip(screen, 0, 1) * shown


def draw_sector(
    generator: np.random.Generator,
    size: int = REFERENCE_SIZE,
    without: frozenset[str] = frozenset(),
) -> ScanSector:
    """Draw a random sector: as in EchoNet-Dynamic, as in a padded CAMUS frame, or in between.

    size: px of the square screen. without: names of `effects.EFFECTS` to switch off.
    """
    kind = generator.choice(3, p=[0.4, 0.5, 0.1])
    smooth = int(generator.choice(3, p=[0.4, 0.4, 0.2])) + 1
    if "sector shapes" in without:
        kind = 0
    screens: tuple[type[Screen], ...] = (EchoNetScreen, CamusScreen, OtherScreen)
    screen = draw_parameters(screens[kind], generator)
    apex_y = screen.apex_y
    if kind == 1:  # padded to a square: the sector lies in the middle of the screen
        apex_y = 55.5 - 0.5 * screen.radius + screen.apex_y
    echonet = kind == 0
    marks = generator.random() < (0.85 if echonet else 0.1)
    return ScanSector(
        apex_x=screen.apex_x,
        apex_y=apex_y,
        half_angle=float(np.radians(screen.half_angle)),
        radius=screen.radius,
        depth=screen.depth,
        face=screen.face,
        cut=echonet,
        smooth=max(smooth, 2) if kind == 1 else smooth,
        marks=bool(marks),
        black=screen.black,
        white=screen.white,
        size=size,
    )


@dataclass(frozen=True)
class Screen:
    """Position of the sector on a frame: px of a 112 x 112 frame, half_angle in degrees, depth mm.

    And the grey levels shown as black and as white. The subclasses give each field a range.
    """

    apex_x: float
    apex_y: float
    half_angle: float
    radius: float
    depth: float
    face: float
    black: float
    white: float


@dataclass(frozen=True)
class EchoNetScreen(Screen):
    """Position of the sector on an EchoNet-Dynamic frame; px of 112, degrees, mm."""

    apex_x: float = ranged(58, 67, PROTOTYPE, mean=62.5, sd=1.5)
    apex_y: float = ranged(0.0, 16, PROTOTYPE, mean=6.0, sd=2.5)
    half_angle: float = ranged(36, 48, PROTOTYPE, mean=44.5, sd=2.0)
    radius: float = ranged(95, 120, PROTOTYPE, mean=108, sd=4)
    depth: float = ranged(110, 190, PROTOTYPE, mean=143, sd=14)
    face: float = ranged(0.0, 3.0, CHOSEN)
    black: float = ranged(0.0, 0.30, FACTS)  # dark and clipped: half of the sector may be black
    white: float = ranged(0.70, 1.0, FACTS)


@dataclass(frozen=True)
class CamusScreen(Screen):
    """Position of the sector on a CAMUS frame that is padded to a square and shrunk to 112 px."""

    apex_x: float = ranged(53, 58, CHOSEN, mean=55.5, sd=0.7)
    apex_y: float = ranged(-4, 4, CHOSEN, mean=0.0, sd=1.0)  # from where padding places it
    half_angle: float = ranged(32, 46, PROTOTYPE, mean=38, sd=2.0)
    radius: float = ranged(78, 102, CHOSEN, mean=91, sd=4)
    depth: float = ranged(115, 215, CHOSEN, mean=155, sd=18)
    face: float = ranged(0.0, 2.0, CHOSEN)
    black: float = ranged(0.0, 0.04, CAMUS)
    white: float = ranged(0.95, 1.0, CAMUS)


@dataclass(frozen=True)
class OtherScreen(Screen):
    """Position of the sector on other frames: between EchoNet-Dynamic and CAMUS, and beyond."""

    apex_x: float = ranged(48, 66, CHOSEN)
    apex_y: float = ranged(0, 16, CHOSEN)
    half_angle: float = ranged(33, 47, CHOSEN)
    radius: float = ranged(84, 112, CHOSEN)
    depth: float = ranged(115, 200, CHOSEN)
    face: float = ranged(0.0, 4.0, CHOSEN)
    black: float = ranged(0.0, 0.2, CHOSEN)
    white: float = ranged(0.8, 1.0, CHOSEN)


def draw_marks(sector: ScanSector, generator: np.random.Generator) -> np.ndarray:
    """Draw the scanner's marks outside the sector, (size, size) uint8, zeros elsewhere.

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
    _draw_dot(marks, blob, 1.0, 150, sector.scale)
    for step, grey in enumerate(brightness):
        row = ruler_start + step
        _draw_dot(marks, np.array([row + ruler_offset, row]), 0.4, int(grey), sector.scale)
    for row in dots:
        _draw_dot(marks, np.array([row + 64, row]), 0.4, 200, sector.scale)
    marks[sector.shown] = 0
    return marks


def _draw_dot(
    image: np.ndarray, centre: np.ndarray, radius: float, grey: int, scale: float
) -> None:
    """Draw a filled dot; centre (x, y) and radius in px of a 112 x 112 frame."""
    unit = 1 << _SUBPIXEL_BITS
    position = np.rint(((centre + 0.5) * scale - 0.5) * unit).astype(int)
    size = int(round(radius * scale * unit))
    cv2.circle(image, tuple(int(v) for v in position), size, grey, -1, cv2.LINE_8, _SUBPIXEL_BITS)


def fill_beams(canvas: np.ndarray, corners: np.ndarray, value: float) -> None:
    """Fill a polygon in a canvas of beam space (samples, beams), with sub-pixel corners.

    corners: (n, 2) beam-space (column, row).
    """
    fixed = np.clip(np.asarray(corners), -1000, 2000) * (1 << _SUBPIXEL_BITS)
    polygon = np.rint(fixed).astype(np.int32)
    cv2.fillPoly(canvas, [polygon], float(value), cv2.LINE_8, _SUBPIXEL_BITS)
