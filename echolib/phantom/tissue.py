"""What reflects how strongly: echo levels of one heart's tissues, and small echoes of their own.

Levels are in dB relative to the brightest myocardium.
"""

from dataclasses import dataclass

import numpy as np

from .ranges import CAMUS, CHOSEN, PROTOTYPE, ranged


@dataclass(frozen=True)
class Tissue:
    """Echo levels of one heart in dB, widths in mm."""

    background: float = ranged(-44, -14, CHOSEN)
    contrast: float = ranged(8, 46, CAMUS)  # of the septum against blood
    septum: float = ranged(-12, 0, PROTOTYPE)
    # other parts of the wall, from blood 0 to septum 1: often as dark as blood, so that the wall's
    # inner edge can only be guessed from the bright line outside it
    lateral_share: float = ranged(0.10, 1.1, CAMUS)
    apical_share: float = ranged(0.15, 1.1, CAMUS)
    septal_rim_loss: float = ranged(0, 14, CHOSEN)  # the dim rim next to the cavity
    lateral_rim_loss: float = ranged(0, 16, CAMUS)
    septal_rim: float = ranged(0.8, 3.5, CHOSEN)
    lateral_rim: float = ranged(0.8, 8.0, CAMUS)
    septal_line: float = ranged(-24, 8, CAMUS)  # thin bright line on its right face
    line_width: float = ranged(0.6, 2.4, CHOSEN)
    pericardium: float = ranged(-10, 10, CAMUS)
    pericardium_width: float = ranged(1.2, 6.0, CAMUS)
    posterior: float = ranged(-24, 2, CHOSEN)
    arc: float = ranged(-16, 8, CHOSEN)
    arc_width: float = ranged(2.0, 7.0, CHOSEN)
    lung: float = ranged(-30, 4, CAMUS)
    lung_width: float = ranged(6, 26, CHOSEN)
    right_wall: float = ranged(-24, -2, CHOSEN)
    atrial_wall: float = ranged(-20, 0, CHOSEN)
    valve: float = ranged(-15, 7, CAMUS)
    crux: float = ranged(-8, 8, CAMUS)  # where septum, valves and atria meet
    layer_level: float = ranged(0.1, 0.85, CAMUS)  # rough inner layer: from blood 0 to wall 1
    layer_width: float = ranged(0.0, 3.5, CAMUS)
    apical_layer: float = ranged(0.0, 10.0, CAMUS)  # its width at the tip
    near: float = ranged(-34, -4, CHOSEN)  # chest wall under the probe
    near_depth: float = ranged(3.0, 11.0, CHOSEN)

    @property
    def blood(self) -> float:
        """Level of blood."""
        return self.septum - self.contrast

    @property
    def lateral(self) -> float:
        """Level of the lateral wall."""
        return self.blood + self.lateral_share * self.contrast

    @property
    def lateral_loss(self) -> float:
        """DB by which the lateral side is seen worse than the septal side."""
        return 0.4 * max(0.0, self.septum - self.lateral)

    @property
    def apical(self) -> float:
        """Level of the wall at the tip, seen through the near field."""
        return self.blood + self.apical_share * self.contrast

    def dimmed(self, level: float, loss: float) -> float:
        """A wall's level less a loss, but not darker than blood for it."""
        return max(level - loss, min(level, self.blood + 1.0))


@dataclass(frozen=True)
class Blob:
    """An echo of its own: centre and half axes in shares of the LV's length, level in dB.

    place: share of the way from tip to base, and share of the half width (negative: septal).
    """

    place: tuple[float, float]
    size: tuple[float, float]
    level: float


def draw_details(generator: np.random.Generator) -> dict[str, list]:
    """Papillary muscles, trabeculae and stray echoes of one heart."""
    uniform = generator.uniform
    muscles = [
        Blob((uniform(0.35, 0.68), _side(generator, 0.75) * uniform(0.5, 0.95)),
             (uniform(0.05, 0.13), uniform(0.02, 0.06)), uniform(-16, 0))
        for _ in range(generator.poisson(1.0))
    ]  # fmt: skip
    trabeculae = [
        Blob((uniform(0.05, 0.9), _side(generator) * uniform(0.75, 1.0)),
             (uniform(0.015, 0.06), uniform(0.008, 0.03)), uniform(-14, -2))
        for _ in range(generator.poisson(3.5))
    ]  # fmt: skip
    trabeculae += [  # short bright bars across the cavity, as false tendons are
        Blob((uniform(0.25, 0.95), _side(generator) * uniform(0.0, 0.8)),
             (uniform(0.008, 0.03), uniform(0.02, 0.09)), uniform(-18, 2))
        for _ in range(generator.poisson(0.8))
    ]  # fmt: skip
    cords = [
        (uniform(0.35, 0.6), uniform(-0.3, 0.9), uniform(-30, -8), uniform(0.8, 1.8))
        for _ in range(generator.poisson(1.2))
    ]
    strays = [  # beam space: across, depth, half sizes, level
        (uniform(-0.95, 0.95), uniform(0.05, 1.0), uniform(1.5, 9), uniform(1, 7), uniform(-16, 6))
        for _ in range(generator.poisson(5))
    ]
    streaks = [  # bright lines that run outward from a wall: level on it, length mm, slope, width
        (_side(generator, 0.8), uniform(0.1, 0.8), uniform(10, 40), uniform(-1.6, 0.4),
         uniform(2, 6), uniform(-10, 8))
        for _ in range(generator.poisson(1.0))
    ]  # fmt: skip
    return {
        "streaks": streaks,
        "muscles": muscles,
        "trabeculae": trabeculae,
        "cords": cords,
        "strays": strays,
    }


def _side(generator: np.random.Generator, lateral: float = 0.5) -> int:
    return 1 if generator.random() < lateral else -1
