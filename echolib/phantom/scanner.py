"""Settings of the scanner and image quality of the patient: parameters, gain and haze fields."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from .ranges import CAMUS, CHOSEN, ranged
from .sector import ScanSector

SILENT = -200.0  # dB
ELEMENTS = 42  # groups of beams with a gain of their own


@dataclass(frozen=True)
class Scanner:
    """Settings of the scanner, and parameters of how well the patient can be imaged."""

    lateral_degrees: float = ranged(0.7, 1.7, CHOSEN)  # sd of the point spread across beams
    axial_mm: float = ranged(0.4, 1.2, CHOSEN)  # sd along a beam
    dynamic_range: float = ranged(40, 95, CAMUS)  # dB
    septum_grey: float = ranged(0.30, 0.88, CAMUS)  # grey that gain gives the septum; 1: white
    haze_grey: float = ranged(0.12, 0.50, CAMUS)  # upper limit of the gain: grey of the haze
    gamma: float = ranged(0.75, 1.35, CHOSEN)
    persistence: float = ranged(0.05, 0.45, CHOSEN)  # share of the previous frame
    smoothing: float = ranged(0.2, 2.4, CAMUS)  # sd in samples of a small screen
    # share of the speckle that the scanner averages away, by looking from several angles
    compounding: float = ranged(0.0, 0.8, CAMUS)
    specular: float = ranged(0.0, 7.0, CHOSEN)  # dB at surfaces facing the probe
    blood_memory: float = ranged(0.3, 0.9, CHOSEN)  # correlation from frame to frame
    tissue_noise: float = ranged(0.15, 0.35, CHOSEN)  # speckle that does not move with the tissue
    side_lobes: float = ranged(-45, -24, CHOSEN)  # dB
    near_haze: float = ranged(-46, -8, CAMUS)  # dB
    near_haze_depth: float = ranged(0.12, 0.52, CAMUS)  # share of the depth
    deep_haze: float = ranged(-56, -10, CAMUS)  # dB
    noise: float = ranged(-70, -33, CAMUS)  # dB at the probe
    noise_rise: float = ranged(0, 16, CHOSEN)  # dB from the probe to the lower edge
    grain: float = ranged(1.5, 5.0, CHOSEN)  # dB, patchiness of tissue
    streaks: float = ranged(1.0, 4.5, CHOSEN)  # dB, fibres along the walls
    grain_mm: float = ranged(5.0, 16.0, CHOSEN)  # scale of that patchiness
    softness_mm: float = ranged(0.5, 3.0, CAMUS)  # sd of the transition between two tissues
    plain_noise: float = ranged(0.02, 0.15, CHOSEN)  # of the grey range
    plain_blur: float = ranged(0.6, 2.3, CHOSEN)  # sd in samples of a small screen
    plain_fields: float = ranged(0.0, 1.0, CHOSEN)  # share of gain and haze in the plain renderer


def silence(scanner: Scanner, without: frozenset[str]) -> Scanner:
    """Return the scanner with the settings of the effects in `without` switched off."""
    off: dict[str, float] = {}
    for effect, settings in {
        "side lobes": {"side_lobes": SILENT},
        "near-field clutter": {"near_haze": SILENT},
        "deep haze": {"deep_haze": SILENT},
        "thermal noise": {"noise": SILENT},
        "persistence": {"persistence": 0.0},
        "compounding": {"compounding": 0.0},
        "specular echoes": {"specular": 0.0},
        "texture": {"grain": 0.0, "streaks": 0.0},
        "point spread": {"lateral_degrees": 0.2, "axial_mm": 0.2, "smoothing": 0.0},
    }.items():
        if effect in without:
            off |= settings
    return replace(scanner, **off)


def _enlarge(noise: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Interpolate a small grid of values to a smooth field of the given shape."""
    return cv2.resize(noise.astype(np.float32), shape[::-1], interpolation=cv2.INTER_CUBIC)


def _hump(x: np.ndarray, centre: float, width: float, power: float = 2.0) -> np.ndarray:
    """1 at the centre, falling off at `width`; a higher power falls more abruptly."""
    return np.exp(-(np.abs((x - centre) / width) ** power))


def _step(x: np.ndarray, centre: float, width: float) -> np.ndarray:
    """Smooth step from 0 to 1 at the centre."""
    return 1 / (1 + np.exp((centre - x) / width))


def draw_gain(
    sector: ScanSector, generator: np.random.Generator, without: frozenset[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the gain along the path of the echoes, and the gain of the receiver.

    Both are (samples, beams) float32 in dB. The first weakens echoes only: dropout, shadows,
    weak edges of the sector. The second also amplifies haze and noise: depth compensation, focal
    zones. without: names of `effects.EFFECTS` to switch off. Effects that are switched off are
    drawn too, but not added up, so that the others do not change.
    """
    across, depth = sector.beam_axes
    uniform = generator.uniform
    shape = sector.beam_shape
    parts = {}
    grid = generator.integers(3, 6), generator.integers(3, 7)
    parts["uneven gain"] = _enlarge(generator.normal(0, uniform(1, 6), grid), shape)
    # a focal zone or a wrong slider setting: the image turns brighter or darker at some depth
    step = generator.normal(0, 7) * _step(depth, uniform(0.15, 0.75), uniform(0.01, 0.08))
    parts["uneven gain"] += step
    # single beams differ slightly, like the elements of the probe
    single = generator.normal(0, uniform(0, 1.5), (1, ELEMENTS))
    parts["uneven gain"] += _enlarge(single, (1, shape[1]))
    edge = np.clip((np.abs(across) - uniform(0.4, 0.85)) / 0.3, 0, 1.5) ** 2
    # gain error that depth compensation leaves
    parts["attenuation"] = uniform(-10, 12) * (depth - 0.5)
    parts["weak edges"] = -uniform(0, 10) * edge
    lateral, medial = uniform(0, 18), uniform(0, 16)
    right, left = uniform(0.0, 0.7), uniform(0.4, 0.9)
    lateral *= generator.random() < 0.4
    medial *= generator.random() < 0.25
    parts["dropout"] = -lateral * np.clip((across - right) / 0.4, 0, 1)
    parts["dropout"] = parts["dropout"] - medial * np.clip((-across - left) / 0.4, 0, 1)
    parts["shadows"] = np.zeros(shape)
    for _ in range(generator.poisson(0.5)):
        centre = generator.choice([-1, 1]) * uniform(0.2, 1.05)
        begin = np.clip((depth - uniform(0, 0.25)) / 0.05, 0, 1)
        dark = _hump(across, centre, uniform(0.05, 0.25), 4)
        parts["shadows"] = parts["shadows"] - uniform(6, 35) * dark * begin
    path, receiver = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for name, part in parts.items():
        if name not in without:
            amplified = name in ("uneven gain", "attenuation")
            (receiver if amplified else path)[:] += part
    return path, receiver


def draw_haze(
    sector: ScanSector,
    scanner: Scanner,
    generator: np.random.Generator,
    without: frozenset[str],
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the amplitudes of near and of deep haze, (samples, beams) float32 each."""
    across, depth = sector.beam_axes
    uniform = generator.uniform
    uneven = 0.6 + 0.4 * np.cos(across * uniform(0, 3) + uniform(0, 6))
    near = _hump(depth, uniform(0, 0.15), scanner.near_haze_depth, uniform(1.5, 6)) * uneven
    patch = _hump(depth, uniform(0.15, 1.1), uniform(0.1, 0.4), uniform(1.5, 6))
    patch = patch * _hump(across, uniform(-0.6, 0.9), uniform(0.2, 1))
    deep = _amplitude(scanner.deep_haze) * patch
    veiled = generator.random() < 0.4  # a veil over the lateral side, as lung causes it
    veil = _step(across, uniform(-0.1, 0.7), uniform(0.03, 0.2))
    veil = veil * _hump(depth, uniform(0.1, 0.6), uniform(0.2, 0.5))
    deep = deep + veiled * _amplitude(min(uniform(-60, -20), scanner.deep_haze + 40)) * veil
    near = _amplitude(scanner.near_haze) * near
    bands = _draw_reverberation(sector, generator)
    if "reverberation" not in without:
        deep = deep + bands
    return near.astype(np.float32), deep.astype(np.float32)


def _draw_reverberation(sector: ScanSector, generator: np.random.Generator) -> np.ndarray:
    """Amplitudes (samples, beams) of bands at one depth: sound went back and forth twice."""
    across, depth = sector.beam_axes
    uniform = generator.uniform
    bands = np.zeros(sector.beam_shape)
    for _ in range(generator.poisson(0.6)):
        place, width, level = uniform(0.15, 0.7), uniform(0.004, 0.03), uniform(-40, -6)
        wide = _hump(across, uniform(-0.7, 0.7), uniform(0.15, 0.9), 4)
        bands += _amplitude(level) * _hump(depth, place, width) * wide
    return bands


def _amplitude(decibels: float) -> float:
    return 10 ** (decibels / 20)
