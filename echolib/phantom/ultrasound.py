"""From a map of echo levels to the grey picture a scanner shows.

The physical renderer works in beam space: complex Gaussian texture, sampled where the tissue
was at end-diastole so that speckle moves with it, times the amplitude of the echo level; a
separable blur of the complex field (the scanner's point spread); haze and noise; envelope,
persistence and log compression. The plain renderer shows each region as one grey level, with
noise and blur: networks trained on it carried over slightly better (prototype README).
"""

from functools import lru_cache

import cv2
import numpy as np

from echolib.phantom.anatomy import Heart, pose, to_world
from echolib.phantom.cycle import Cycle
from echolib.phantom.ranges import draw_table
from echolib.phantom.scanner import Scanner, draw_gain, draw_haze
from echolib.phantom.sector import BEAMS, SAMPLES, Sector, draw_marks
from echolib.phantom.shape import Shape, heart_shape
from echolib.phantom.tissue import Painter

TEXTURE = 512  # side of the texture tiles, samples
TEXTURE_STEP = 0.45  # mm of tissue per texture sample
COARSE = 4  # material coordinates are computed on every fourth sample
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
    relaxed = heart_shape(heart, 0.0, 0.0) if shape.contraction > 0 else shape
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

    renderer: 'physical' or 'plain'. All that differs between frames besides the motion (fresh
    noise) comes from `generator` too, so that the same calls give the same frames.
    """

    def __init__(
        self,
        sector: Sector,
        heart: Heart,
        cycle: Cycle,
        generator: np.random.Generator,
        renderer: str = "physical",
    ) -> None:
        if renderer not in ("physical", "plain"):
            raise ValueError(f"renderer must be 'physical' or 'plain', not {renderer!r}.")
        self.sector, self.heart, self.cycle, self.renderer = sector, heart, cycle, renderer
        self.generator = generator
        self.painter = Painter(sector, heart, generator)
        self.scanner = draw_table(Scanner, generator)
        self.gain = draw_gain(sector, generator)
        self.near_haze, self.deep_haze = draw_haze(sector, self.scanner, generator)
        self.marks = draw_marks(sector, generator)
        self._draw_sampling()
        self._level = self._set_level()
        self._previous: np.ndarray | None = None

    def _draw_sampling(self) -> None:
        """Where this heart's tissue lies in the texture tiles; its beam grid in mm."""
        tiles = _textures()
        chosen = self.generator.integers(4, size=4)
        self._speckle, self._blood = tiles[chosen[0]], tiles[chosen[1]]
        self._patches, self._fibres = tiles[4 + chosen[2]], tiles[4 + chosen[3]]
        self._offset = self.generator.uniform(0, TEXTURE, 2)
        across, depth = self.sector.beam_grid
        angle = across[::COARSE, ::COARSE] * self.sector.half_angle
        reach = depth[::COARSE, ::COARSE, None] * self.sector.depth
        self._world = reach * np.stack([np.sin(angle), np.cos(angle)], axis=-1)
        noise = self.scanner.noise + self.scanner.noise_rise * depth
        # reverberation in the near field stands still while the heart moves
        still = self._spread(self._speckle[:SAMPLES, :BEAMS])
        self._still = 0.7 * self.near_haze[..., None] * still
        # power of all that veils the picture without moving with it
        self._veil = 0.5 * self.near_haze**2 + self.deep_haze**2 + np.exp(2 * noise * DB)

    def _set_level(self) -> float:
        """Overall gain in dB: a sonographer turns it until the septum is seen, but not so far
        that the haze in the cavity turns bright."""
        shape, scanner = self.shape(0.0), self.scanner
        septum = 0.5 * (shape.septal_cavity + shape.septal_outside)[10:30]
        cavity = 0.5 * (shape.septal_cavity + shape.lateral_cavity)[10:30]
        share = scanner.plain_fields if self.renderer == "plain" else 1.0
        septum_level = self.painter.tissue.septum + share * self._at(self.gain, septum).mean()
        haze_level = 10 * np.log10(share**2 * self._at(self._veil, cavity).mean() + 1e-12)
        wanted = (scanner.septum_grey - 1) * scanner.dynamic_range - septum_level
        allowed = (scanner.haze_grey - 1) * scanner.dynamic_range - haze_level
        return float(min(wanted, allowed)) + 2

    def _at(self, field: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Values of a beam-space field at points (n, 2) in end-diastolic heart coordinates."""
        world = to_world(self.heart, points, 0.0, 0.0)
        column, row = np.rint(self.sector.to_beams(world)).astype(int).T
        return field[np.clip(row, 0, SAMPLES - 1), np.clip(column, 0, BEAMS - 1)]

    def phase(self, time: float) -> float:
        """Radians of the cycle, for the heart's drift."""
        return 2 * np.pi * time / self.cycle.period

    def shape(self, time: float) -> Shape:
        """The heart's shape at `time` seconds after end-diastole."""
        contraction = float(self.cycle.contraction(time))
        return heart_shape(self.heart, contraction, float(self.cycle.opening(time)))

    def to_pixels(self, points: np.ndarray, shape: Shape, time: float) -> np.ndarray:
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
        grey = self._compress(20 * np.log10(np.hypot(amplitude, haze) + 1e-6))
        noise = self.generator.standard_normal(grey.shape, np.float32)
        grey = np.clip(grey + scanner.plain_noise * noise, 0, 1)
        return cv2.GaussianBlur(grey, (0, 0), scanner.plain_blur)

    def _physical(self, levels, blood, shape: Shape, time: float) -> np.ndarray:
        """Persistence over the envelopes, log compression, smoothing."""
        scanner, keep = self.scanner, np.float32(self.scanner.persistence)
        envelope = self._envelope(levels, blood, shape, time)
        if self._previous is None:
            # the scanner has been running: the heart hardly moves in the two frames before
            for _ in range(2):
                before = self._envelope(levels, blood, shape, time)
                seen = before if self._previous is None else self._previous
                self._previous = keep * seen + (1 - keep) * before
        self._previous = keep * self._previous + (1 - keep) * envelope
        grey = self._compress(20 * np.log10(self._previous + 1e-6))
        if scanner.smoothing > 0.35:
            grey = cv2.GaussianBlur(grey, (0, 0), scanner.smoothing, None, 1.3 * scanner.smoothing)
        return grey

    def _envelope(self, levels, blood, shape: Shape, time: float) -> np.ndarray:
        """Speckle, blur, haze and fresh noise of one frame: the received amplitude."""
        scanner, generator = self.scanner, self.generator
        fresh = generator.standard_normal((2, SAMPLES, BEAMS, 2), np.float32)
        tissue, flow, grain = self._sample_textures(shape, time)
        memory = np.float32(scanner.blood_memory)
        flow = memory * flow + np.sqrt(1 - memory**2) * fresh[0]
        scatter = np.where(blood[..., None], flow, tissue + scanner.tissue_noise * fresh[0])
        amplitude = self._amplitude(levels, grain * np.where(blood, 0.4, 1.0))
        field = self._spread(scatter * amplitude[..., None])
        lobes = self._side_lobes(amplitude)
        field += self._spread(fresh[1]) * np.sqrt(lobes**2 + self._veil)[..., None]
        field += self._still
        return np.hypot(field[..., 0], field[..., 1])

    def _sample_textures(self, shape: Shape, time: float):
        """Tissue and blood texture (SAMPLES, BEAMS, 2) and tissue's patchiness in dB, moved."""
        material = material_coordinates(self._world, self.heart, shape, self.phase(time))
        material = cv2.resize(material.astype(np.float32), (BEAMS, SAMPLES))
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
        axial = self.scanner.softness_mm / (self.sector.depth / (SAMPLES - 1))
        beam_mm = self.sector.depth * self.sector.half_angle / (BEAMS - 1)  # at half the depth
        lateral = max(0.7, self.scanner.softness_mm / beam_mm)
        soft = cv2.GaussianBlur(levels, (0, 0), lateral, None, axial)
        edge = np.abs(cv2.Sobel(soft, cv2.CV_32F, 0, 1, ksize=3)) * np.float32(0.02)
        soft += np.minimum(edge, 1) * np.float32(self.scanner.specular)
        return np.exp((soft + grain.astype(np.float32) + self.gain) * DB)

    def _spread(self, field: np.ndarray) -> np.ndarray:
        """Blur by the point spread, scaled back to unit variance for white noise."""
        degrees_per_beam = 2 * np.degrees(self.sector.half_angle) / (BEAMS - 1)
        lateral = self.scanner.lateral_degrees / degrees_per_beam
        axial = self.scanner.axial_mm / (self.sector.depth / (SAMPLES - 1))
        blurred = cv2.GaussianBlur(field, (0, 0), lateral, None, axial)
        return blurred * np.float32(np.sqrt(4 * np.pi * lateral * axial))

    def _side_lobes(self, amplitude: np.ndarray) -> np.ndarray:
        """What strong echoes spill far to the side."""
        small = cv2.resize(amplitude, (BEAMS // 2, SAMPLES // 2), interpolation=cv2.INTER_AREA)
        wide = cv2.GaussianBlur(small, (0, 0), 8.0, None, 1.2)
        return cv2.resize(wide, (BEAMS, SAMPLES)) * np.float32(10 ** (self.scanner.side_lobes / 20))


def _sample(tile: np.ndarray, u: np.ndarray, v: np.ndarray, how: int = cv2.INTER_LINEAR):
    """Sample a tile that repeats at (u, v), float32 arrays of one shape."""
    u, v = u.astype(np.float32), v.astype(np.float32)
    return cv2.remap(tile, u, v, how, borderMode=cv2.BORDER_WRAP)
