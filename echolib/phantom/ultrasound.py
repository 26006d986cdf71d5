"""Render a map of echo levels as the grey image of a scanner.

The physical renderer works in beam space. It multiplies complex Gaussian texture by the amplitude
of the echo level; the texture is sampled at the end-diastolic position of the tissue, so that
speckle moves with the tissue. A separable blur of the complex field (the scanner's point
spread), haze and noise, envelope, log compression and persistence follow. The plain renderer
shows each region as one grey level with noise and blur: networks trained on it transferred
slightly better (the quick prototype).
"""

from collections.abc import Iterable
from copy import deepcopy
from functools import lru_cache

import cv2
import numpy as np

from .anatomy import Heart, heart_pose
from .cycle import Cycle
from .effects import check_effects
from .painter import Painter
from .ranges import draw_parameters
from .scanner import Scanner, draw_gain, draw_haze, silence
from .sector import ScanSector, draw_marks
from .shape import Shape, Ventricle, heart_shape, ventricle_shape

MIN_VISIBLE = 0.5  # share of the outline that the sector must show
TEXTURE = 512  # side of the texture tiles, samples
TEXTURE_STEP = 0.45  # mm of tissue per texture sample
COARSE_STEP = 4  # material coordinates are computed for every fourth sample of a small screen
SMOOTH_ECHO = 1.2  # constant that replaces speckle: its mean amplitude
DB = np.float32(np.log(10) / 20)  # dB to natural logarithm of an amplitude


@lru_cache(maxsize=1)
def _textures() -> tuple[np.ndarray, ...]:
    """Four tiles of complex Gaussian noise (TEXTURE, TEXTURE, 2) and four of real noise (64, 64).

    Their variance is 1. All processes use the same tiles; hearts differ in how they sample them.
    """
    generator = np.random.default_rng(20201126)
    tiles = [generator.standard_normal((TEXTURE, TEXTURE, 2), np.float32) for _ in range(4)]
    tiles += [generator.standard_normal((64, 64), np.float32) for _ in range(4)]
    return tuple(tiles)


def material_coordinates(world: np.ndarray, heart: Heart, shape: Shape, phase: float) -> np.ndarray:
    """Compute the end-diastolic position of the tissue that is now at `world` (..., 2) mm.

    Returns heart coordinates (..., 2). Inside the cavity the sideways motion is a scaling.
    Outside it the area between a point and the cavity's edge is preserved, as in a wall that
    thickens because it is incompressible. Motion along the axis grows towards the base and
    fades in the atria.
    """
    origin, unit_across, unit_along = heart_pose(heart, shape.contraction, phase)
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

    renderer: 'physical' or 'plain'. without: names of `effects.EFFECTS` to switch off. The noise
    of each frame comes from `generator` too, so that the same calls give the same frames. Raises
    ValueError for an unknown renderer or effect, and for a heart outside the sector.
    """

    def __init__(
        self,
        sector: ScanSector,
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
        generator_copy = deepcopy(generator) if self.without else None
        self.painter = Painter(sector, heart, generator, self.without)
        self.scanner = silence(draw_parameters(Scanner, generator), self.without)
        self.gain, self.receiver = draw_gain(sector, generator, self.without)
        self.near_haze, self.deep_haze = draw_haze(sector, self.scanner, generator, self.without)
        self.marks = draw_marks(sector, generator) * ("scanner marks" not in self.without)
        self._draw_sampling()
        if generator_copy is None:
            self._overall_gain = self._choose_gain()
        else:  # effects that are switched off must not change the gain
            complete = Scan(sector, heart, cycle, generator_copy, renderer)
            self._overall_gain = complete._overall_gain
        self._previous: np.ndarray | None = None
        self._last_shape: tuple[float, Shape] | None = None

    def _check_view(self) -> None:
        """Raise ValueError for a heart of which the sector shows too little."""
        outline = ventricle_shape(self.heart, 0.0).outline
        world = heart_pose(self.heart, 0.0, 0.0).to_world(outline)
        visible = self.sector.shows(self.sector.to_pixels(world)).mean()
        if visible < MIN_VISIBLE:
            raise ValueError(
                f"The sector misses the heart: it shows {visible:.0%} of the ventricle's "
                f"outline, {MIN_VISIBLE:.0%} are needed. Move the heart (tip_x, tip_depth, "
                "tilt) or widen the sector (half_angle, depth)."
            )

    def _draw_sampling(self) -> None:
        """Draw where this heart samples the texture tiles, and prepare its static fields."""
        tiles = _textures()
        chosen = self.generator.integers(4, size=4)
        self._speckle, self._blood = tiles[chosen[0]], tiles[chosen[1]]
        self._patches, self._fibres = tiles[4 + chosen[2]], tiles[4 + chosen[3]]
        self._offset = self.generator.uniform(0, TEXTURE, 2)
        across, depth = self.sector.beam_axes
        step = COARSE_STEP * self.sector.fineness
        angle = across[:, ::step] * self.sector.half_angle
        reach = depth[::step, :, None] * self.sector.depth
        self._world = reach * np.stack([np.sin(angle), np.cos(angle)], axis=-1)
        noise = self.scanner.noise + self.scanner.noise_rise * depth
        # power of the haze and noise that do not move with the heart
        self._haze_power = 0.5 * self.near_haze**2 + self.deep_haze**2 + np.exp(2 * noise * DB)
        if self.renderer == "plain":
            return
        # the near-field haze has speckle of its own, which does not move with the heart
        rows, columns = (np.arange(count) % TEXTURE for count in self.sector.beam_shape)
        speckle = self._apply_point_spread(self._speckle[rows[:, None], columns])
        self._static_haze = 0.7 * self.near_haze[..., None] * speckle

    def _choose_gain(self) -> float:
        """Overall gain in dB, as a sonographer chooses it.

        The gain makes the septum visible, but does not make the haze in the cavity bright.
        """
        shape, scanner, sector = ventricle_shape(self.heart, 0.0), self.scanner, self.sector
        septum_grey = sector.black + scanner.septum_grey * (sector.white - sector.black)
        septum = 0.5 * (shape.septal_cavity + shape.septal_outside)[10:30]
        cavity = 0.5 * (shape.septal_cavity + shape.lateral_cavity)[10:30]
        share = scanner.plain_fields if self.renderer == "plain" else 1.0
        gain = self._values_at(self.gain, septum) + self._values_at(self.receiver, septum)
        septum_level = self.painter.relaxed.septum + share * gain.mean()
        haze_power = share**2 * self._values_at(self._haze_power, cavity).mean()
        haze_level = 10 * np.log10(haze_power + 1e-12)
        haze_level += share * self._values_at(self.receiver, cavity).mean()
        wanted = (septum_grey - 1) * scanner.dynamic_range - septum_level
        allowed = (scanner.haze_grey - 1) * scanner.dynamic_range - haze_level
        return float(min(wanted, allowed)) + 2

    def _values_at(self, field: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Values of a beam-space field at points (n, 2) in end-diastolic heart coordinates."""
        world = heart_pose(self.heart, 0.0, 0.0).to_world(points)
        column, row = np.rint(self.sector.to_beams(world)).astype(int).T
        samples, beams = self.sector.beam_shape
        return field[np.clip(row, 0, samples - 1), np.clip(column, 0, beams - 1)]

    def phase(self, time: float) -> float:
        """Return the phase of the cycle at `time` s in radians, not limited to one beat."""
        return 2 * np.pi * time / self.cycle.period

    def shape(self, time: float) -> Shape:
        """Compute the heart's shape at `time` seconds after end-diastole; cache the last one."""
        if self._last_shape is None or self._last_shape[0] != time:
            contraction, opening = self.cycle.contraction(time), self.cycle.opening(time)
            self._last_shape = time, heart_shape(self.heart, float(contraction), float(opening))
        return self._last_shape[1]

    def to_pixels(self, points: np.ndarray, shape: Ventricle, time: float) -> np.ndarray:
        """Convert heart coordinates (n, 2) mm to px (n, 2) of the frame at `time` s."""
        pose = heart_pose(self.heart, shape.contraction, self.phase(time))
        return self.sector.to_pixels(pose.to_world(points))

    def frame(self, time: float) -> np.ndarray:
        """Render the frame at `time` seconds after end-diastole, (size, size) uint8."""
        shape = self.shape(time)
        levels, blood = self.painter.paint(shape, self.phase(time))
        if self.renderer == "plain":
            grey = self._render_plain(levels)
        else:
            grey = self._render_physical(levels, blood, shape, time)
        screen = self.sector.scan_convert(grey) * 255
        return np.maximum(np.clip(screen, 0, 255).astype(np.uint8), self.marks)

    def _compress(self, decibels: np.ndarray) -> np.ndarray:
        """Convert dB to grey in [0, 1]."""
        scanner = self.scanner
        grey = (decibels + self._overall_gain + scanner.dynamic_range - 2) / scanner.dynamic_range
        return np.clip(grey, 0, 1) ** np.float32(scanner.gamma)

    def _render_plain(self, levels: np.ndarray) -> np.ndarray:
        """Plain renderer: region levels, a share of gain and haze, noise, blur; grey in [0, 1]."""
        scanner = self.scanner
        haze = np.sqrt(self._haze_power) * scanner.plain_fields
        amplitude = np.exp((levels + self.gain * scanner.plain_fields) * DB)
        received = 20 * np.log10(np.hypot(amplitude, haze) + 1e-6)
        grey = self._compress(received + self.receiver * np.float32(scanner.plain_fields))
        noise = self.generator.standard_normal(grey.shape, np.float32)
        grey = np.clip(grey + scanner.plain_noise * noise, 0, 1)
        return cv2.GaussianBlur(grey, (0, 0), scanner.plain_blur * self.sector.fineness)

    def _render_physical(self, levels, blood, shape: Shape, time: float) -> np.ndarray:
        """Physical renderer: envelope, log compression, smoothing, persistence; grey in [0, 1]."""
        scanner, keep = self.scanner, np.float32(self.scanner.persistence)
        envelope, mean = self._envelope(levels, blood, shape, time)
        share = np.float32(scanner.compounding)
        decibels = (1 - share) * np.log10(envelope + 1e-6) + share * np.log10(mean + 1e-6)
        grey = self._compress(20 * decibels + self.receiver)
        smoothing = scanner.smoothing * self.sector.fineness
        if smoothing > 0.35:
            grey = cv2.GaussianBlur(grey, (0, 0), smoothing, None, 1.3 * smoothing)
        if self._previous is not None:
            grey = keep * self._previous + (1 - keep) * grey
        self._previous = grey
        return grey

    def _envelope(
        self, levels: np.ndarray, blood: np.ndarray, shape: Shape, time: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Received amplitude of one frame, (samples, beams) each: with speckle, and without.

        With speckle, blur, haze and fresh noise; and its mean over many looks from other angles.
        """
        scanner, generator = self.scanner, self.generator
        fresh = generator.standard_normal((2, *self.sector.beam_shape, 2), np.float32)
        tissue, flow, grain = self._sample_textures(shape, time)
        memory = np.float32(scanner.blood_memory)
        flow = memory * flow + np.sqrt(1 - memory**2) * fresh[0]
        scatter = np.where(blood[..., None], flow, tissue + scanner.tissue_noise * fresh[0])
        if "speckle" in self.without:
            scatter = np.full_like(scatter, SMOOTH_ECHO / self._spread_factor)
        amplitude = self._amplitude(levels, grain * np.where(blood, 0.4, 1.0))
        field = self._apply_point_spread(scatter * amplitude[..., None])
        lobes = self._side_lobes(amplitude)
        haze = np.sqrt(lobes**2 + self._haze_power)
        field += self._apply_point_spread(fresh[1]) * haze[..., None]
        field += self._static_haze
        lateral, axial = self._spread_widths
        power = cv2.GaussianBlur(amplitude**2, (0, 0), lateral, None, axial)
        mean: np.ndarray = SMOOTH_ECHO * np.sqrt(power + haze**2)
        return np.hypot(field[..., 0], field[..., 1]), mean

    def _sample_textures(self, shape: Shape, time: float):
        """Moved texture of tissue and blood (samples, beams, 2), and patchiness of tissue in dB."""
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
        """Amplitude of the echoes, larger at surfaces that face the probe."""
        axial = self.scanner.softness_mm / self.sector.sample_mm
        beam_mm = 0.5 * self.sector.depth * self.sector.beam_angle  # at half the depth
        lateral = max(0.7, self.scanner.softness_mm / beam_mm)
        soft: np.ndarray = cv2.GaussianBlur(levels, (0, 0), lateral, None, axial)
        edge = np.abs(cv2.Sobel(soft, cv2.CV_32F, 0, 1, ksize=3)) * np.float32(0.02)
        soft += np.minimum(edge, 1) * np.float32(self.scanner.specular)
        return np.exp((soft + grain.astype(np.float32) + self.gain) * DB)

    @property
    def _spread_widths(self) -> tuple[float, float]:
        """Standard deviations of the point spread across and along the beams, in samples."""
        lateral = self.scanner.lateral_degrees / np.degrees(self.sector.beam_angle)
        return lateral, self.scanner.axial_mm / self.sector.sample_mm

    @property
    def _spread_factor(self) -> float:
        """Factor that scales blurred white noise back to its variance before the blur."""
        lateral, axial = self._spread_widths
        return float(np.sqrt(4 * np.pi * lateral * axial))

    def _apply_point_spread(self, field: np.ndarray) -> np.ndarray:
        """Blur by the point spread; white noise keeps its variance."""
        lateral, axial = self._spread_widths
        blurred = cv2.GaussianBlur(field, (0, 0), lateral, None, axial)
        return blurred * np.float32(self._spread_factor)

    def _side_lobes(self, amplitude: np.ndarray) -> np.ndarray:
        """Amplitude that strong echoes spill far to the side."""
        beams, samples = (n // (2 * self.sector.fineness) for n in amplitude.shape[::-1])
        small = cv2.resize(amplitude, (beams, samples), interpolation=cv2.INTER_AREA)
        wide = cv2.GaussianBlur(small, (0, 0), 8.0, None, 1.2)
        return cv2.resize(wide, amplitude.shape[::-1]) * np.float32(
            10 ** (self.scanner.side_lobes / 20)
        )


def _sample(tile: np.ndarray, u: np.ndarray, v: np.ndarray, interpolation: int = cv2.INTER_LINEAR):
    """Sample a tile that repeats at positions (u, v), two arrays of one shape."""
    u, v = u.astype(np.float32), v.astype(np.float32)
    return cv2.remap(tile, u, v, interpolation, borderMode=cv2.BORDER_WRAP)
