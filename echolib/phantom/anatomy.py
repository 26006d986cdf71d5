"""One heart in the apical four-chamber view: what it measures and where it lies.

Lengths are in mm. Heart coordinates are (across, along): `along` runs from the tip of the
end-diastolic cavity down to the base, `across` to the image-right, lateral side. World
coordinates are (x, y) with the probe's face at the origin, x to the right, y into the body.
"""

from dataclasses import dataclass, replace

import numpy as np

from echolib.phantom.ranges import CHOSEN, README, draw_table, ranged


@dataclass(frozen=True)
class Heart:
    """One heart's measures: mm at end-diastole, shares without unit, angles in degrees."""

    # where the heart lies under the probe
    tip_x: float = ranged(-16, 20, README, mean=1, sd=6)
    tip_depth: float = ranged(7, 48, README, mean=20, sd=8)
    tilt: float = ranged(-16, 44, README, mean=14, sd=10)
    drift: float = ranged(0.0, 2.5, CHOSEN)  # whole heart, over a cycle
    rocking: float = ranged(-3.0, 3.0, CHOSEN)  # degrees over a contraction

    # the left ventricle's cavity
    length: float = ranged(54, 108, README, mean=77.5, sd=9.5)
    width_share: float = ranged(0.50, 0.90, README, mean=0.66, sd=0.075)  # of the length
    septal_share: float = ranged(0.38, 0.56, README)  # of the width, left of the axis
    septal_shoulder: float = ranged(0.42, 0.80, README)  # where the widest level is reached
    lateral_shoulder: float = ranged(0.42, 0.80, README)
    septal_roundness: float = ranged(1.6, 2.8, README)
    lateral_roundness: float = ranged(1.6, 2.7, README)
    septal_taper: float = ranged(-0.03, 0.22, README)  # narrowing towards the base
    lateral_taper: float = ranged(0.00, 0.38, README)
    base_tilt: float = ranged(-0.13, 0.13, README, mean=0.0, sd=0.05)
    bend: float = ranged(-0.07, 0.07, CHOSEN, mean=0.0, sd=0.025)  # bow of the axis / length

    # how it contracts
    ejection: float = ranged(0.10, 0.80, README)  # of the volume
    longitudinal_share: float = ranged(0.22, 0.42, README)  # of the ejection, by shortening
    septal_motion: float = ranged(0.25, 0.70, CHOSEN)  # of the inward motion
    thickening: float = ranged(0.15, 0.85, README)
    apical_lift: float = ranged(0.00, 0.22, CHOSEN)  # of the length, at full ejection
    coning: float = ranged(0.0, 0.45, CHOSEN)  # how much more pointed the tip is at end-systole
    dilation: float = ranged(0.2, 1.0, CHOSEN)  # how much a weak ventricle is enlarged

    # walls
    septum: float = ranged(5.0, 15.0, README, mean=8.7, sd=2.0)
    lateral_wall: float = ranged(4.5, 16.0, README, mean=9.0, sd=2.3)
    apical_share: float = ranged(0.35, 0.70, CHOSEN)  # of the wall's thickness, at the tip

    # the other chambers
    rv_width: float = ranged(0.25, 1.15, README, mean=0.64, sd=0.18)  # of the LV's width
    rv_tip: float = ranged(0.10, 0.50, README)  # of the LV's length
    rv_wall: float = ranged(2.5, 7.0, README)
    rv_bulge: float = ranged(-0.06, 0.14, CHOSEN)
    tricuspid_level: float = ranged(0.92, 1.16, README, mean=1.04, sd=0.05)
    la_length: float = ranged(0.32, 1.05, README, mean=0.62, sd=0.14)
    la_width: float = ranged(0.60, 1.35, README, mean=0.92, sd=0.14)
    ra_length: float = ranged(0.32, 1.00, README, mean=0.62, sd=0.13)
    ra_width: float = ranged(0.55, 1.40, README, mean=0.90, sd=0.18)
    atrial_septum: float = ranged(2.0, 5.5, README)
    atrial_wall: float = ranged(1.5, 4.5, CHOSEN)
    atrial_lean: float = ranged(-0.15, 0.15, CHOSEN)

    # valves and what hangs in the cavity
    anterior_leaflet: float = ranged(0.26, 0.38, README)  # of the LV's length
    posterior_leaflet: float = ranged(0.15, 0.24, README)
    leaflet_thickness: float = ranged(1.2, 3.2, README)
    coaptation_depth: float = ranged(0.01, 0.11, CHOSEN)

    # where an expert draws: inside the wall's bright edge, base on the leaflets' hinges
    inset_septal: float = ranged(0.6, 4.0, README, mean=2.0, sd=0.5)
    inset_lateral: float = ranged(0.3, 4.0, README, mean=1.5, sd=0.6)
    inset_apex: float = ranged(0.5, 5.5, README, mean=2.4, sd=0.9)
    inset_base: float = ranged(0.0, 3.2, README, mean=1.4, sd=0.7)

    wobble: np.ndarray = None  # (2, 4) waviness of the septal and the lateral wall

    @property
    def width(self) -> float:
        """End-diastolic width of the cavity in mm."""
        return self.length * self.width_share


def draw_heart(generator: np.random.Generator) -> Heart:
    """A heart out of a wide population: normal, thick-walled, dilated and weak.

    Three groups of ejection fraction keep the share of weak hearts near that of a clinic;
    weaker hearts are larger (rank correlation of EF and volume about -0.4, prototype README).
    """
    groups = ((0.50, 0.055), (0.38, 0.08), (0.22, 0.08))  # mean and sd of the ejection
    group = generator.choice(len(groups), p=[0.68, 0.18, 0.14])
    ejection = float(np.clip(generator.normal(*groups[group]), 0.08, 0.80))
    wobble = generator.normal(size=(2, 4)) * np.array([0.03, 0.025, 0.018, 0.012])
    heart = draw_table(Heart, generator, ejection=ejection, wobble=wobble)
    weakness = heart.dilation * (0.47 - ejection)
    length, width_share = (
        heart.length * (1 + 0.6 * weakness),
        heart.width_share * (1 + 0.7 * weakness),
    )
    heart = replace(heart, length=length, width_share=width_share)
    if generator.random() >= 0.12:
        return heart
    thicker = generator.uniform(1.2, 1.6)  # hypertrophy: thick walls around a small cavity
    return replace(
        heart,
        length=0.92 * length,
        width_share=0.9 * width_share,
        septum=min(18.0, heart.septum * thicker),
        lateral_wall=min(18.0, heart.lateral_wall * thicker),
    )


def to_world(heart: Heart, points: np.ndarray, contraction: float, phase: float) -> np.ndarray:
    """Heart coordinates (n, 2) to world mm: tilt about the tip, rock with the contraction.

    phase: radians of the cycle, for the slow drift of the whole heart.
    """
    origin, across, along = pose(heart, contraction, phase)
    points = np.asarray(points, float)
    return origin + points[:, :1] * across + points[:, 1:] * along


def pose(
    heart: Heart, contraction: float, phase: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Origin and unit vectors of the heart's coordinates, each (2,) in world mm."""
    angle = np.radians(heart.tilt + heart.rocking * contraction)
    along = np.array([np.sin(angle), np.cos(angle)])
    across = np.array([along[1], -along[0]])
    sway = heart.drift * np.array([np.sin(phase), 0.5 * np.cos(phase)])
    return np.array([heart.tip_x, heart.tip_depth]) + sway, across, along
