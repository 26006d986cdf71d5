"""How the machine is set, how well the patient is seen: settings, fields of gain and of haze."""

from dataclasses import dataclass

import cv2
import numpy as np

from echolib.phantom.ranges import CHOSEN, README, ranged
from echolib.phantom.sector import BEAMS, SAMPLES, Sector


@dataclass(frozen=True)
class Scanner:
    """How the machine is set and how well the patient is seen."""

    lateral_degrees: float = ranged(0.7, 1.7, README)  # sd of the point spread across beams
    axial_mm: float = ranged(0.4, 1.2, README)  # sd along a beam
    dynamic_range: float = ranged(38, 70, README)  # dB
    septum_grey: float = ranged(0.36, 0.92, CHOSEN)  # where gain puts the septum; 1 is white
    haze_grey: float = ranged(0.25, 0.55, CHOSEN)  # gain is turned no further than this
    gamma: float = ranged(0.75, 1.35, README)
    persistence: float = ranged(0.10, 0.65, README)  # share of the frame before
    smoothing: float = ranged(0.0, 0.9, README)  # sd in beam samples, after compression
    specular: float = ranged(0.0, 7.0, README)  # dB at surfaces facing the probe
    blood_memory: float = ranged(0.3, 0.9, README)  # frame to frame
    tissue_noise: float = ranged(0.15, 0.35, README)  # speckle that does not move along
    side_lobes: float = ranged(-45, -24, README)  # dB
    near_haze: float = ranged(-56, -17, README)  # dB
    near_haze_depth: float = ranged(0.08, 0.40, README)  # share of the depth
    deep_haze: float = ranged(-60, -16, README)  # dB
    noise: float = ranged(-66, -29, CHOSEN)  # dB at the probe
    noise_rise: float = ranged(0, 16, README)  # dB from the probe to the lower edge
    grain: float = ranged(1.5, 5.0, CHOSEN)  # dB, patchiness of tissue over some mm
    streaks: float = ranged(1.0, 4.5, CHOSEN)  # dB, fibres along the walls
    grain_mm: float = ranged(5.0, 16.0, CHOSEN)
    softness_mm: float = ranged(0.5, 2.2, CHOSEN)  # sd over which one tissue turns into another
    plain_noise: float = ranged(0.02, 0.15, README)  # of the grey range
    plain_blur: float = ranged(0.6, 2.3, README)  # sd in beam samples
    plain_fields: float = ranged(0.0, 1.0, CHOSEN)  # how much of gain and haze the plain one sees


def _enlarge(noise: np.ndarray) -> np.ndarray:
    """A small grid of values as a smooth field over beam space."""
    noise = noise.astype(np.float32)
    return cv2.resize(noise, (BEAMS, SAMPLES), interpolation=cv2.INTER_CUBIC)


def draw_gain(sector: Sector, generator: np.random.Generator) -> np.ndarray:
    """Gain (SAMPLES, BEAMS) float32 in dB: uneven contact, weak edges, dropout, shadows."""
    across, depth = sector.beam_grid
    uniform = generator.uniform
    grid = generator.integers(3, 6), generator.integers(3, 7)
    gain = _enlarge(generator.normal(0, uniform(1, 6), grid))
    gain -= uniform(0, 14) * np.clip((np.abs(across) - uniform(0.4, 0.85)) / 0.3, 0, 1.5) ** 2
    lateral, medial = uniform(0, 24), uniform(0, 20)
    if generator.random() < 0.6:
        gain -= lateral * np.clip((across - uniform(0.0, 0.7)) / 0.4, 0, 1)
    if generator.random() < 0.3:
        gain -= medial * np.clip((-across - uniform(0.4, 0.9)) / 0.4, 0, 1)
    gain += uniform(-12, 7) * (depth - 0.5)  # what depth compensation leaves
    # a focal zone or a misplaced slider: the picture turns brighter or darker at some depth
    gain += generator.normal(0, 5) / (1 + np.exp((uniform(0.2, 0.8) - depth) / uniform(0.02, 0.1)))
    for _ in range(generator.poisson(0.5)):
        centre = generator.choice([-1, 1]) * uniform(0.2, 1.05)
        edge = np.clip((depth - uniform(0, 0.25)) / 0.05, 0, 1)
        gain -= uniform(6, 35) * np.exp(-(((across - centre) / uniform(0.05, 0.25)) ** 4)) * edge
    # single beams differ a little, as elements of the probe do
    gain += _enlarge(generator.normal(0, uniform(0, 1.5), (2, BEAMS // 3)))
    return gain.astype(np.float32)


def draw_haze(
    sector: Sector, scanner: Scanner, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Amplitudes of near and of deep haze, (SAMPLES, BEAMS) float32 each."""
    across, depth = sector.beam_grid
    uniform = generator.uniform
    fall = np.exp(-(((depth - uniform(0, 0.15)) / scanner.near_haze_depth) ** 2))
    uneven = 0.6 + 0.4 * np.cos(across * uniform(0, 3) + uniform(0, 6))
    near = 10 ** (scanner.near_haze / 20) * fall * uneven
    patch = ((depth - uniform(0.2, 0.7)) / uniform(0.1, 0.4)) ** 2
    patch += ((across - uniform(-0.6, 0.9)) / uniform(0.2, 1)) ** 2
    deep = 10 ** (scanner.deep_haze / 20) * np.exp(-patch)
    if generator.random() < 0.4:  # the lateral side veiled, as by lung
        veil = 1 / (1 + np.exp(-(across - uniform(-0.1, 0.7)) / uniform(0.03, 0.2)))
        level = ((depth - uniform(0.1, 0.6)) / uniform(0.2, 0.5)) ** 2
        deep = deep + 10 ** (uniform(-60, -20) / 20) * veil * np.exp(-level)
    return near.astype(np.float32), deep.astype(np.float32)
