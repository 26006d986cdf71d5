"""The scanned sector: beams in the body, pixels on the screen, and the scanner's own marks.

World coordinates are mm with the probe's face at the origin. Beam space is an array
(samples, beams): rows run along a beam, columns from the leftmost to the rightmost beam. Larger
screens are drawn from more samples and beams.
"""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from .ranges import CHOSEN, PROTOTYPE, draw_table, ranged

SAMPLES, BEAMS = 256, 128  # of a small screen
FINEST = 3  # times as many, on a large one
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
    smooth: int  # px of the scanner's screen averaged into one of ours, along each side
    marks: bool  # traces of the scanner's ruler survive outside the sector
    size: int = REFERENCE_SIZE

    def __post_init__(self) -> None:
        if not 0 < self.half_angle < np.pi / 2:
            raise ValueError(
                f"half_angle must be above 0 and below pi / 2 radians, not {self.half_angle}."
            )
        for name in ("radius", "depth", "size", "smooth"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} of a sector must be above 0, not {getattr(self, name)}.")

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
        column = (np.arctan2(x, y) + self.half_angle) / self.beam_angle
        return np.stack([column, np.hypot(x, y) / self.sample_mm], axis=1)

    @property
    def fineness(self) -> int:
        """How many times finer than on a small screen beam space is, along both sides."""
        return min(FINEST, max(1, round(self.size / (2 * REFERENCE_SIZE))))

    @property
    def beam_shape(self) -> tuple[int, int]:
        """Samples along a beam, and beams."""
        return SAMPLES * self.fineness, BEAMS * self.fineness

    @property
    def sample_mm(self) -> float:
        """Mm between two samples along a beam."""
        return self.depth / (self.beam_shape[0] - 1)

    @property
    def beam_angle(self) -> float:
        """Radians between two beams."""
        return 2 * self.half_angle / (self.beam_shape[1] - 1)

    @cached_property
    def beam_axes(self) -> tuple[np.ndarray, np.ndarray]:
        """Across of every beam (1, beams), from -1 (leftmost) to 1, and depth of every sample
        (samples, 1), from 0 (probe) to 1; float32."""
        samples, beams = self.beam_shape
        across = np.linspace(-1, 1, beams, dtype=np.float32)[None]
        return across, np.linspace(0, 1, samples, dtype=np.float32)[:, None]

    @cached_property
    def _screen_maps(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Beam-space column and row of every point of the scanner's screen (`smooth` as fine as
        ours), and which of our pixels show the sector."""
        column, row, shown = self._maps(self.smooth)
        if self.smooth > 1:
            shown = self._maps(1)[2]
        return column, row, shown

    def _maps(self, fine: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The maps of a screen `fine` times as large, (fine * size, fine * size) each."""
        samples, beams = self.beam_shape
        line = (np.arange(self.size * fine, dtype=np.float32) + 0.5) / np.float32(fine) - 0.5
        right, down = np.meshgrid(line - self.apex[0], line - self.apex[1])
        # measured from straight down, so that the angle does not jump within the sector
        distance, angle = cv2.cartToPolar(np.float32(down), np.float32(right))
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
        """(n,) bool: which of the points (n, 2) px lie in the shown sector, `margin` px or more
        from the screen's edge."""
        column, row = np.rint(pixels).astype(int).T
        last = self.size - 1
        inside = (np.minimum(column, row) >= margin) & (np.maximum(column, row) <= last - margin)
        return inside & self.shown[row.clip(0, last), column.clip(0, last)]

    def scan_convert(self, beams: np.ndarray) -> np.ndarray:
        """Beam space (samples, beams) float32 to a screen (size, size), 0 outside the sector."""
        column, row, shown = self._screen_maps
        screen = cv2.remap(beams, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        if self.smooth > 1:
            screen = cv2.resize(screen, shown.shape[::-1], interpolation=cv2.INTER_AREA)
        return screen * shown


def draw_sector(
    generator: np.random.Generator,
    size: int = REFERENCE_SIZE,
    without: frozenset[str] = frozenset(),
) -> Sector:
    """A sector as EchoNet-Dynamic shows it, or as a padded CAMUS frame does, or in between."""
    kind = generator.choice(3, p=[0.4, 0.5, 0.1])
    smooth = int(generator.choice(3, p=[0.4, 0.4, 0.2])) + 1
    if "sector shapes" in without:
        kind = 0
    table = (EchoNetScreen, CamusScreen, OtherScreen)[kind]
    screen = draw_table(table, generator)
    apex_y = screen.apex_y
    if kind == 1:  # padded to a square: the sector's middle is the screen's
        apex_y = 55.5 - 0.5 * screen.radius + screen.apex_y
    echonet = kind == 0
    marks = generator.random() < (0.85 if echonet else 0.1)
    return Sector(
        apex_x=screen.apex_x,
        apex_y=apex_y,
        half_angle=float(np.radians(screen.half_angle)),
        radius=screen.radius,
        depth=screen.depth,
        face=screen.face,
        cut=echonet,
        smooth=max(smooth, 2) if kind == 1 else smooth,
        marks=bool(marks),
        size=size,
    )


@dataclass(frozen=True)
class EchoNetScreen:
    """Where the sector lies on an EchoNet-Dynamic frame; px of 112, degrees, mm."""

    apex_x: float = ranged(58, 67, PROTOTYPE, mean=62.5, sd=1.5)
    apex_y: float = ranged(0.0, 16, PROTOTYPE, mean=6.0, sd=2.5)
    half_angle: float = ranged(36, 48, PROTOTYPE, mean=44.5, sd=2.0)
    radius: float = ranged(95, 120, PROTOTYPE, mean=108, sd=4)
    depth: float = ranged(110, 190, PROTOTYPE, mean=143, sd=14)
    face: float = ranged(0.0, 3.0, CHOSEN)


@dataclass(frozen=True)
class CamusScreen:
    """Where it lies on a CAMUS frame padded to a square and shrunk to 112 px."""

    apex_x: float = ranged(53, 58, CHOSEN, mean=55.5, sd=0.7)
    apex_y: float = ranged(-4, 4, CHOSEN, mean=0.0, sd=1.0)  # from where padding puts it
    half_angle: float = ranged(32, 46, PROTOTYPE, mean=38, sd=2.0)
    radius: float = ranged(78, 102, CHOSEN, mean=91, sd=4)
    depth: float = ranged(115, 215, CHOSEN, mean=155, sd=18)
    face: float = ranged(0.0, 2.0, CHOSEN)


@dataclass(frozen=True)
class OtherScreen:
    """Where it may lie on other frames: between the two, and beyond."""

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
    """Fill a polygon (n, 2) of beam-space (column, row) in a (samples, beams) canvas, sub-pixel."""
    fixed = np.clip(np.asarray(corners), -1000, 2000) * (1 << _SUBPIXEL_BITS)
    polygon = np.rint(fixed).astype(np.int32)
    cv2.fillPoly(canvas, [polygon], float(value), cv2.LINE_8, _SUBPIXEL_BITS)
