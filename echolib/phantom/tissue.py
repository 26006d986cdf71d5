"""Echo levels of one heart's tissues, and small structures with echoes of their own.

Levels are in dB relative to the brightest myocardium.
"""

from dataclasses import dataclass, replace

import numpy as np

from .ranges import CAMUS, CHOSEN, PROTOTYPE, ranged


@dataclass(frozen=True)
class Tissue:
    """Echo levels of one heart in dB, widths in mm."""

    background: float = ranged(-44, -14, CHOSEN)
    contrast: float = ranged(8, 46, CAMUS)  # of the septum against blood
    septum: float = ranged(-12, 0, PROTOTYPE)
    # levels of other parts of the wall, from 0 (blood) to 1 (septum). They are often as dark as
    # blood: then only the bright line outside the wall indicates where its inner edge lies
    lateral_share: float = ranged(0.10, 1.1, CAMUS)
    apical_share: float = ranged(0.0, 0.9, CAMUS)
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
    crux: float = ranged(-4, 10, CAMUS)  # where septum, valves and atria meet
    near: float = ranged(-34, -4, CHOSEN)  # chest wall under the probe
    near_depth: float = ranged(3.0, 11.0, CHOSEN)
    # what changes with the contraction, from end-diastole to end-systole, and tells the two apart
    # in a single frame. The atria are small and hazy at end-diastole, wide and dark at end-systole
    atrial_haze: float = ranged(-0.1, 1.1, CAMUS)  # at end-diastole: 0 as blood, 1 as the septum
    atrial_clearing: float = ranged(0.6, 1.1, CAMUS)  # share of that haze that end-systole loses
    lateral_brightening: float = ranged(-0.1, 0.35, CAMUS)  # added to lateral_share
    rim_fading: float = ranged(0.0, 0.6, CAMUS)  # share of the dim rims' loss that is lost

    @property
    def blood(self) -> float:
        """Level of blood."""
        return self.septum - self.contrast

    @property
    def lateral(self) -> float:
        """Level of the lateral wall at end-diastole."""
        return self.blood + self.lateral_share * self.contrast

    def contracted(self, contraction: float) -> "Tissue":
        """The tissue at a contraction in [0, 1]: what changes over the cycle is set."""
        return replace(
            self,
            lateral_share=self.lateral_share + contraction * self.lateral_brightening,
            atrial_haze=self.atrial_haze * (1 - contraction * self.atrial_clearing),
            septal_rim_loss=self.septal_rim_loss * (1 - contraction * self.rim_fading),
            lateral_rim_loss=self.lateral_rim_loss * (1 - contraction * self.rim_fading),
        )

    @property
    def atrium(self) -> float:
        """Level inside the atria."""
        return self.blood + max(0.0, self.atrial_haze) * self.contrast

    @property
    def lateral_loss(self) -> float:
        """Difference in dB by which lateral structures are fainter than septal ones."""
        return 0.4 * max(0.0, self.septum - self.lateral)

    @property
    def apical(self) -> float:
        """Level of the wall at the apex, which lies in the near field."""
        return self.blood + self.apical_share * self.contrast

    def dimmed(self, level: float, loss: float) -> float:
        """Lower the level of a wall by a loss, at most to 1 dB above blood."""
        return max(level - loss, min(level, self.blood + 1.0))


@dataclass(frozen=True)
class Blob:
    """An elliptical echo in the cavity, level in dB.

    place: centre, as share of the way from tip to base and share of the half width (negative:
    septal). size: half axes along and across, in shares of the LV's length.
    """

    place: tuple[float, float]
    size: tuple[float, float]
    level: float


def draw_details(generator: np.random.Generator) -> dict[str, list]:
    """Draw the papillary muscles, trabeculae, chordae, stray echoes and streaks of one heart."""
    uniform = generator.uniform
    muscles = [
        Blob((uniform(0.35, 0.68), _side(generator, 0.75) * uniform(0.5, 0.95)),
             (uniform(0.05, 0.13), uniform(0.02, 0.06)), uniform(-26, -2))
        for _ in range(generator.poisson(0.8))
    ]  # fmt: skip
    trabeculae = [
        Blob((uniform(0.05, 0.9), _side(generator) * uniform(0.75, 1.0)),
             (uniform(0.015, 0.06), uniform(0.008, 0.03)), uniform(-24, -4))
        for _ in range(generator.poisson(3.0))
    ]  # fmt: skip
    trabeculae += [  # short bright bars across the cavity, like false tendons
        Blob((uniform(0.25, 0.95), _side(generator) * uniform(0.0, 0.8)),
             (uniform(0.008, 0.03), uniform(0.02, 0.09)), uniform(-24, 0))
        for _ in range(generator.poisson(0.6))
    ]  # fmt: skip
    chordae = [  # share of the way to the base, of the half width; level; width in mm
        (uniform(0.35, 0.6), uniform(-0.3, 0.9), uniform(-34, -10), uniform(0.8, 1.8))
        for _ in range(generator.poisson(1.0))
    ]
    strays = [  # in the world: across and depth as shares of the sector; half axes, mm; level
        (uniform(-0.95, 0.95), uniform(0.05, 1.0), uniform(1.5, 9), uniform(1, 7), uniform(-16, 6))
        for _ in range(generator.poisson(5))
    ]
    # bright lines that run outward from a wall: side, share of the way to the base, length in mm,
    # slope, width in mm, level
    streaks = [
        (_side(generator, 0.8), uniform(0.1, 0.8), uniform(10, 40), uniform(-1.6, 0.4),
         uniform(2, 6), uniform(-10, 8))
        for _ in range(generator.poisson(1.0))
    ]  # fmt: skip
    return {
        "streaks": streaks,
        "muscles": muscles,
        "trabeculae": trabeculae,
        "chordae": chordae,
        "strays": strays,
    }


def _side(generator: np.random.Generator, lateral: float = 0.5) -> int:
    """1 (lateral) with probability `lateral`, else -1 (septal)."""
    return 1 if generator.random() < lateral else -1
