"""From a map of echo levels to the grey picture a scanner shows.

The physical renderer works in beam space: complex Gaussian texture, sampled where the tissue
was at end-diastole so that speckle moves with it, times the amplitude of the echo level; a
separable blur of the complex field (the scanner's point spread); haze and noise; envelope,
persistence and log compression. The plain renderer shows each region as one grey level, with
noise and blur: networks trained on it carried over slightly better (the quick prototype).
"""

from collections.abc import Iterable
from copy import deepcopy
from functools import lru_cache

import cv2
import numpy as np

from .anatomy import Heart, pose, to_world
from .cycle import Cycle
from .effects import check_effects
from .painter import Painter
from .ranges import draw_table
from .scanner import Scanner, draw_gain, draw_haze, silence
from .sector import Sector, draw_marks
from .shape import Shape, Ventricle, heart_shape, ventricle_shape

SMALLEST_VIEW = 0.5  # share of the outline that the sector must show
TEXTURE = 512  # side of the texture tiles, samples
TEXTURE_STEP = 0.45  # mm of tissue per texture sample
COARSE = 4  # material coordinates are computed on every fourth sample of a small screen
SMOOTH_ECHO = 1.2  # without speckle: a constant field, as bright as speckle is on average
DB = np.float32(np.log(10) / 20)  # dB to natural logarithm of an amplitude


@lru_cache(maxsize=1)
def _textures() -> tuple[np.ndarray, ...]:
    """Tiles of complex Gaussian noise (TEXTURE, TEXTURE, 2) and real (64, 64), unit variance.

    The same in every process; hearts differ in where and how they sample them.
    """
    generator = np.random.default_rng(20201126)
    tiles = [generator.standard_normal((TEXTURE, TEXTURE, 2), np.float32) for _ in range(4)]
    tiles += [generator.standard_normal((64, 64), np.float32) for _ in range(4)]
    return tuple(tiles)


def material_coordinates(world: np.ndarray, heart: Heart, shape: Shape, phase: float) -> np.ndarray:
    """Where the tissue at `world` (..., 2) mm lay at end-diastole, in heart coordinates (..., 2).

    Inside the cavity the sideways motion is a scaling; outside it the area between a point and
    the cavity's edge is kept, as in a wall that thickens because it cannot be compressed. Motion
    along the axis grows to the base and dies out in the atria.
    """
    origin, unit_across, unit_along = pose(heart, shape.contraction, phase)
    across, along = (world - origin) @ unit_across, (world - origin) @ unit_along
    relaxed = ventricle_shape(heart, 0.0) if shape.contraction > 0 else shape
    share = along / shape.length
    shift = (heart.length - shape.length) * np.interp(share, [0, 1, 1.8], [0, 1, 0])
    result = np.empty_like(world)
    result[..., 1] = along + shift
    for sign, now, before in (
        (-1, shape.septal_cavity, relaxed.septal_cavity),
        (1, shape.lateral_cavity, relaxed.lateral_cavity),
    ):
        side = across * sign >= 0
        level = now[:, 1] / shape.length
        # below the base the edge's motion fades over half the ventricle's length
        level = np.append(level, 1.6)
        width = np.interp(share[side], level, np.append(np.abs(now[:, 0]), 1e-3))
        width_before = np.interp(share[side], level, np.append(np.abs(before[:, 0]), 1e-3))
        reach = np.abs(across[side])
        outside = np.sqrt(np.maximum(reach**2 + width_before**2 - width**2, 0))
        inside = reach * width_before / np.maximum(width, 1e-3)
        result[side, 0] = sign * np.where(reach < width, inside, outside)
    return result


class Scan:
    """One heart under one scanner: call `frame` with rising times.

    renderer: 'physical' or 'plain'. without: names of `effects.EFFECTS` to switch off. All that
    differs between frames besides the motion (fresh noise) comes from `generator` too, so that
    the same calls give the same frames. Raises ValueError for a heart outside the sector.
    """

    def __init__(
        self,
        sector: Sector,
        heart: Heart,
        cycle: Cycle,
        generator: np.random.Generator,
        renderer: str = "physical",
        without: Iterable[str] = (),
    ) -> None:
        if renderer not in ("physical", "plain"):
            raise ValueError(f"renderer must be 'physical' or 'plain', not {renderer!r}.")
        self.sector, self.heart, self.cycle, self.renderer = sector, heart, cycle, renderer
        self.generator = generator
        self.without = check_effects(without)
        self._check_view()
        twin = deepcopy(generator) if self.without else None
        self.painter = Painter(sector, heart, generator, self.without)
        self.scanner = silence(draw_table(Scanner, generator), self.without)
        self.gain, self.receiver = draw_gain(sector, generator, self.without)
        self.near_haze, self.deep_haze = draw_haze(sector, self.scanner, generator, self.without)
        self.marks = draw_marks(sector, generator) * ("scanner marks" not in self.without)
        self._draw_sampling()
        if twin is None:
            self._level = self._set_level()
        else:  # what is switched off shall not turn the gain
            self._level = Scan(sector, heart, cycle, twin, renderer)._level
        self._previous: np.ndarray | None = None
        self._shape: tuple[float, Shape] | None = None

    def _check_view(self) -> None:
        """A heart that hardly lies in the sector makes no picture of a heart."""
        outline = to_world(self.heart, ventricle_shape(self.heart, 0.0).outline, 0.0, 0.0)
        seen = self.sector.shows(self.sector.to_pixels(outline)).mean()
        if seen < SMALLEST_VIEW:
            raise ValueError(
                f"The sector misses the heart: it shows {seen:.0%} of the ventricle's "
                f"outline, {SMALLEST_VIEW:.0%} are needed. Move the heart (tip_x, tip_depth, "
                "tilt) or widen the sector (half_angle, depth)."
            )

    def _draw_sampling(self) -> None:
        """Where this heart's tissue lies in the texture tiles; its beam grid in mm."""
        tiles = _textures()
        chosen = self.generator.integers(4, size=4)
        self._speckle, self._blood = tiles[chosen[0]], tiles[chosen[1]]
        self._patches, self._fibres = tiles[4 + chosen[2]], tiles[4 + chosen[3]]
        self._offset = self.generator.uniform(0, TEXTURE, 2)
        across, depth = self.sector.beam_axes
        step = COARSE * self.sector.fineness
        angle = across[:, ::step] * self.sector.half_angle
        reach = depth[::step, :, None] * self.sector.depth
        self._world = reach * np.stack([np.sin(angle), np.cos(angle)], axis=-1)
        noise = self.scanner.noise + self.scanner.noise_rise * depth
        # power of all that veils the picture without moving with it
        self._veil = 0.5 * self.near_haze**2 + self.deep_haze**2 + np.exp(2 * noise * DB)
        if self.renderer == "plain":
            return
        # reverberation in the near field stands still while the heart moves
        rows, columns = (np.arange(count) % TEXTURE for count in self.sector.beam_shape)
        still = self._spread(self._speckle[rows[:, None], columns])
        self._still = 0.7 * self.near_haze[..., None] * still

    def _set_level(self) -> float:
        """Overall gain in dB: a sonographer turns it until the septum is seen, but not so far
        that the haze in the cavity turns bright."""
        shape, scanner = ventricle_shape(self.heart, 0.0), self.scanner
        septum = 0.5 * (shape.septal_cavity + shape.septal_outside)[10:30]
        cavity = 0.5 * (shape.septal_cavity + shape.lateral_cavity)[10:30]
        share = scanner.plain_fields if self.renderer == "plain" else 1.0
        gain = self._at(self.gain, septum) + self._at(self.receiver, septum)
        septum_level = self.painter.tissue.septum + share * gain.mean()
        haze_level = 10 * np.log10(share**2 * self._at(self._veil, cavity).mean() + 1e-12)
        haze_level += share * self._at(self.receiver, cavity).mean()
        wanted = (scanner.septum_grey - 1) * scanner.dynamic_range - septum_level
        allowed = (scanner.haze_grey - 1) * scanner.dynamic_range - haze_level
        return float(min(wanted, allowed)) + 2

    def _at(self, field: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Values of a beam-space field at points (n, 2) in end-diastolic heart coordinates."""
        world = to_world(self.heart, points, 0.0, 0.0)
        column, row = np.rint(self.sector.to_beams(world)).astype(int).T
        samples, beams = self.sector.beam_shape
        return field[np.clip(row, 0, samples - 1), np.clip(column, 0, beams - 1)]

    def phase(self, time: float) -> float:
        """Radians of the cycle, for the heart's drift."""
        return 2 * np.pi * time / self.cycle.period

    def shape(self, time: float) -> Shape:
        """The heart's shape at `time` seconds after end-diastole; the last one is kept."""
        if self._shape is None or self._shape[0] != time:
            contraction, opening = self.cycle.contraction(time), self.cycle.opening(time)
            self._shape = time, heart_shape(self.heart, float(contraction), float(opening))
        return self._shape[1]

    def to_pixels(self, points: np.ndarray, shape: Ventricle, time: float) -> np.ndarray:
        """Heart coordinates (n, 2) mm to px (n, 2) of the frame at `time`."""
        world = to_world(self.heart, points, shape.contraction, self.phase(time))
        return self.sector.to_pixels(world)

    def frame(self, time: float, shape: Shape | None = None) -> np.ndarray:
        """(size, size) uint8 frame at `time` seconds after end-diastole."""
        shape = self.shape(time) if shape is None else shape
        levels, blood = self.painter.paint(shape, self.phase(time))
        if self.renderer == "plain":
            grey = self._plain(levels)
        else:
            grey = self._physical(levels, blood, shape, time)
        screen = self.sector.scan_convert(grey) * 255
        return np.maximum(np.clip(screen, 0, 255).astype(np.uint8), self.marks)

    def _compress(self, decibels: np.ndarray) -> np.ndarray:
        """dB to grey in [0, 1]."""
        scanner = self.scanner
        grey = (decibels + self._level + scanner.dynamic_range - 2) / scanner.dynamic_range
        return np.clip(grey, 0, 1) ** np.float32(scanner.gamma)

    def _plain(self, levels: np.ndarray) -> np.ndarray:
        """Region levels, partly with gain and haze, as grey plus noise, blurred."""
        scanner = self.scanner
        haze = np.sqrt(self._veil) * scanner.plain_fields
        amplitude = np.exp((levels + self.gain * scanner.plain_fields) * DB)
        received = 20 * np.log10(np.hypot(amplitude, haze) + 1e-6)
        grey = self._compress(received + self.receiver * np.float32(scanner.plain_fields))
        noise = self.generator.standard_normal(grey.shape, np.float32)
        grey = np.clip(grey + scanner.plain_noise * noise, 0, 1)
        return cv2.GaussianBlur(grey, (0, 0), scanner.plain_blur * self.sector.fineness)

    def _physical(self, levels, blood, shape: Shape, time: float) -> np.ndarray:
        """Log compression, smoothing, and a share of the picture before."""
        scanner, keep = self.scanner, np.float32(self.scanner.persistence)
        envelope = self._envelope(levels, blood, shape, time)
        grey = self._compress(20 * np.log10(envelope + 1e-6) + self.receiver)
        smoothing = scanner.smoothing * self.sector.fineness
        if smoothing > 0.35:
            grey = cv2.GaussianBlur(grey, (0, 0), smoothing, None, 1.3 * smoothing)
        if self._previous is not None:
            grey = keep * self._previous + (1 - keep) * grey
        self._previous = grey
        return grey

    def _envelope(self, levels, blood, shape: Shape, time: float) -> np.ndarray:
        """Speckle, blur, haze and fresh noise of one frame: the received amplitude."""
        scanner, generator = self.scanner, self.generator
        fresh = generator.standard_normal((2, *self.sector.beam_shape, 2), np.float32)
        tissue, flow, grain = self._sample_textures(shape, time)
        memory = np.float32(scanner.blood_memory)
        flow = memory * flow + np.sqrt(1 - memory**2) * fresh[0]
        scatter = np.where(blood[..., None], flow, tissue + scanner.tissue_noise * fresh[0])
        if "speckle" in self.without:
            scatter = np.full_like(scatter, SMOOTH_ECHO / self._spread_factor)
        amplitude = self._amplitude(levels, grain * np.where(blood, 0.4, 1.0))
        field = self._spread(scatter * amplitude[..., None])
        lobes = self._side_lobes(amplitude)
        field += self._spread(fresh[1]) * np.sqrt(lobes**2 + self._veil)[..., None]
        field += self._still
        return np.hypot(field[..., 0], field[..., 1])

    def _sample_textures(self, shape: Shape, time: float):
        """Tissue and blood texture (samples, beams, 2) and tissue's patchiness in dB, moved."""
        material = material_coordinates(self._world, self.heart, shape, self.phase(time))
        material = cv2.resize(material.astype(np.float32), self.sector.beam_shape[::-1])
        across, along = cv2.split(material)
        u = across / TEXTURE_STEP + np.float32(self._offset[0])
        v = along / TEXTURE_STEP + np.float32(self._offset[1])
        tissue = _sample(self._speckle, u, v)
        turn = self.phase(time)
        flow = _sample(self._blood, u + 30 * np.sin(turn), v + 30 * np.sin(2 * turn + 1))
        scale = 1 / np.float32(self.scanner.grain_mm)
        patches = _sample(self._patches, across * scale, along * scale, cv2.INTER_CUBIC)
        fibres = _sample(self._fibres, across * 0.45, along * 0.11, cv2.INTER_CUBIC)
        grain = self.scanner.grain * patches + self.scanner.streaks * fibres
        return 1.4 * tissue, 1.4 * flow, grain

    def _amplitude(self, levels: np.ndarray, grain: np.ndarray) -> np.ndarray:
        """Echo amplitude; surfaces that face the probe return more."""
        axial = self.scanner.softness_mm / self.sector.sample_mm
        beam_mm = 0.5 * self.sector.depth * self.sector.beam_angle  # at half the depth
        lateral = max(0.7, self.scanner.softness_mm / beam_mm)
        soft = cv2.GaussianBlur(levels, (0, 0), lateral, None, axial)
        edge = np.abs(cv2.Sobel(soft, cv2.CV_32F, 0, 1, ksize=3)) * np.float32(0.02)
        soft += np.minimum(edge, 1) * np.float32(self.scanner.specular)
        return np.exp((soft + grain.astype(np.float32) + self.gain) * DB)

    @property
    def _spread_widths(self) -> tuple[float, float]:
        """Standard deviations of the point spread across beams and along them, in samples."""
        lateral = self.scanner.lateral_degrees / np.degrees(self.sector.beam_angle)
        return lateral, self.scanner.axial_mm / self.sector.sample_mm

    @property
    def _spread_factor(self) -> float:
        """What scales blurred white noise back to the variance it had."""
        lateral, axial = self._spread_widths
        return float(np.sqrt(4 * np.pi * lateral * axial))

    def _spread(self, field: np.ndarray) -> np.ndarray:
        """Blur by the point spread, scaled back to unit variance for white noise."""
        lateral, axial = self._spread_widths
        blurred = cv2.GaussianBlur(field, (0, 0), lateral, None, axial)
        return blurred * np.float32(self._spread_factor)

    def _side_lobes(self, amplitude: np.ndarray) -> np.ndarray:
        """What strong echoes spill far to the side."""
        beams, samples = (n // (2 * self.sector.fineness) for n in amplitude.shape[::-1])
        small = cv2.resize(amplitude, (beams, samples), interpolation=cv2.INTER_AREA)
        wide = cv2.GaussianBlur(small, (0, 0), 8.0, None, 1.2)
        return cv2.resize(wide, amplitude.shape[::-1]) * np.float32(
            10 ** (self.scanner.side_lobes / 20)
        )


def _sample(tile: np.ndarray, u: np.ndarray, v: np.ndarray, how: int = cv2.INTER_LINEAR):
    """Sample a tile that repeats at (u, v), float32 arrays of one shape."""
    u, v = u.astype(np.float32), v.astype(np.float32)
    return cv2.remap(tile, u, v, how, borderMode=cv2.BORDER_WRAP)
