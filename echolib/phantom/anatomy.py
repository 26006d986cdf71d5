"""One heart in the apical four-chamber view: its dimensions and its position.

Lengths are in mm. Heart coordinates are (across, along): `along` runs from the tip of the
end-diastolic cavity down to the base, `across` to the image-right, lateral side. World
coordinates are (x, y) with the probe's face at the origin, x to the right, y into the body.
"""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from .ranges import CAMUS, CHOSEN, FACTS, draw_parameters, ranged
from .valve import ValveAnatomy, draw_valve

VISIBLE_TRABECULAE = (0.4, 0.9)  # echo levels from which on trabeculae are seen, and stand out


@dataclass(frozen=True)
class Heart:
    """The dimensions of one heart: mm at end-diastole, shares without unit, angles in degrees."""

    waviness: np.ndarray  # (2, 4) harmonics of the septal and the lateral wall
    valve: ValveAnatomy  # the mitral valve

    # position of the heart under the probe
    tip_x: float = ranged(-20, 18, CAMUS, mean=-1, sd=7)
    tip_depth: float = ranged(9, 52, CAMUS, mean=26, sd=8.5)
    tilt: float = ranged(-16, 44, CAMUS, mean=12, sd=9)
    drift: float = ranged(0.0, 2.5, CHOSEN)  # of the whole heart, over a cycle
    rocking: float = ranged(-3.0, 3.0, CHOSEN)  # degrees over a contraction

    # the left ventricle's cavity
    length: float = ranged(56, 114, CAMUS, mean=85, sd=10)
    width_share: float = ranged(0.42, 0.86, CAMUS, mean=0.61, sd=0.08)  # of the length
    septal_share: float = ranged(0.30, 0.52, CAMUS)  # of the width, left of the axis
    septal_shoulder: float = ranged(0.48, 0.92, CAMUS)  # level of greatest width, base: 1
    lateral_shoulder: float = ranged(0.42, 0.82, CAMUS)
    septal_roundness: float = ranged(1.6, 3.0, CAMUS)
    lateral_roundness: float = ranged(1.6, 2.8, CAMUS)
    septal_taper: float = ranged(-0.05, 0.20, CAMUS)  # how much the cavity narrows towards the base
    lateral_taper: float = ranged(0.00, 0.35, CAMUS)
    base_tilt: float = ranged(-0.14, 0.10, CAMUS, mean=-0.03, sd=0.045)
    septal_bulge: float = ranged(-0.02, 0.10, CAMUS)  # into the cavity, contracted; of the length
    bulge_place: float = ranged(0.30, 0.70, CAMUS)
    bend: float = ranged(-0.07, 0.07, CHOSEN, mean=0.0, sd=0.025)  # bow of the axis / length

    # contraction
    ejection: float = ranged(0.02, 0.70, FACTS)  # of the volume; traced outlines lose more
    longitudinal_share: float = ranged(0.18, 0.40, CHOSEN)  # of the ejection, by shortening
    septal_motion: float = ranged(0.25, 0.70, CHOSEN)  # share of the inward motion
    thickening: float = ranged(0.05, 0.50, CAMUS)
    apical_lift: float = ranged(0.00, 0.12, CHOSEN)  # of the length, at full ejection
    coning: float = ranged(0.0, 0.45, CHOSEN)  # how much more pointed the apex is at end-systole
    dilation: float = ranged(0.2, 1.0, CHOSEN)  # how much a weak ventricle is enlarged

    # walls
    septum: float = ranged(5.0, 16.0, CAMUS, mean=9.6, sd=1.9)
    lateral_wall: float = ranged(5.0, 15.0, CAMUS, mean=9.7, sd=1.9)
    apical_share: float = ranged(0.40, 1.10, CAMUS)  # thickness at the apex / at the side

    # the other chambers
    rv_width: float = ranged(0.25, 1.15, CHOSEN, mean=0.64, sd=0.18)  # of the LV's width
    rv_tip: float = ranged(0.10, 0.50, CHOSEN)  # of the LV's length
    rv_wall: float = ranged(2.5, 7.0, CHOSEN)
    rv_bulge: float = ranged(-0.06, 0.14, CHOSEN)
    tricuspid_level: float = ranged(0.92, 1.16, CHOSEN, mean=1.04, sd=0.05)
    la_length: float = ranged(0.32, 1.05, CHOSEN, mean=0.62, sd=0.14)
    la_width: float = ranged(0.60, 1.35, CHOSEN, mean=0.92, sd=0.14)
    ra_length: float = ranged(0.32, 1.00, CHOSEN, mean=0.62, sd=0.13)
    ra_width: float = ranged(0.55, 1.40, CHOSEN, mean=0.90, sd=0.18)
    atrial_septum: float = ranged(2.0, 5.5, CHOSEN)
    atrial_wall: float = ranged(1.5, 4.5, CHOSEN)
    atrial_lean: float = ranged(-0.15, 0.15, CHOSEN)

    leaflet_thickness: float = ranged(1.4, 4.0, CAMUS)  # of both atrioventricular valves
    hinge_rise: float = ranged(0.5, 6.0, CAMUS, mean=3.4, sd=0.8)  # above the walls' ends, mm

    # trabeculae: a rough layer inside the wall. They close up as the ventricle contracts
    trabeculae: float = ranged(0.0, 3.2, CAMUS)  # width of the layer at end-diastole, mm
    apical_trabeculae: float = ranged(0.0, 6.0, CAMUS)  # the same at the tip
    trabecular_growth: float = ranged(0.0, 1.2, CAMUS)  # of the width, towards end-systole
    trabecular_level: float = ranged(0.05, 0.95, CAMUS)  # echo level: 0 as blood, 1 as the wall
    # share of a visible layer that the expert counts as wall: little of it at end-diastole, when
    # blood fills the gaps, most of it at end-systole
    relaxed_trabeculae: float = ranged(0.0, 0.3, CAMUS)
    contracted_trabeculae: float = ranged(0.6, 1.0, CAMUS)

    # distance in mm from the wall's bright edge, or at the base from the leaflets' hinges, to the
    # outline that an expert draws inside them; at the sides, trabeculae add to it, and the septal
    # line then moves to where the frame brightens, `scene.seen_septum`
    inset_septal: float = ranged(0.2, 2.6, CAMUS, mean=1.3, sd=0.3)
    inset_lateral: float = ranged(1.0, 4.6, CAMUS, mean=2.7, sd=0.6)
    inset_apex: float = ranged(-0.2, 4.0, CAMUS, mean=1.8, sd=0.7)
    inset_base: float = ranged(-0.6, 2.2, CAMUS, mean=0.6, sd=0.4)
    # mm added to that distance at end-systole
    contracted_septal: float = ranged(-0.2, 1.8, CAMUS, mean=0.6, sd=0.3)
    contracted_lateral: float = ranged(-1.1, 1.7, CAMUS, mean=0.3, sd=0.5)
    contracted_apex: float = ranged(-1.6, 1.4, CAMUS, mean=-0.2, sd=0.4)
    contracted_base: float = ranged(-1.3, 1.1, CAMUS, mean=-0.2, sd=0.4)

    # set by `draw_heart` in some hearts
    akinesia: float = 0.0  # share of its motion that a diseased part of the wall has lost
    akinesia_place: float = 0.5  # position of that part, from apex 0 to base 1
    akinesia_side: int = 1  # -1 septal, 1 lateral
    outflow: float = 0.0  # width of the aortic root beside the septum; 0: not in view

    def __post_init__(self) -> None:
        if not 0 < self.ejection < 1:
            raise ValueError(
                f"ejection must be a share of the volume, between 0 and 1, not {self.ejection}."
            )
        for name in ("length", "width_share", "septum", "lateral_wall", "rv_width", "la_length"):
            if not 0 < getattr(self, name) < np.inf:
                raise ValueError(f"{name} of a heart must be above 0, not {getattr(self, name)}.")

    def traced_trabeculae(self, contraction: float) -> float:
        """Share of the trabecular layer that an expert counts as wall; 0 for one that is not seen.

        contraction: in [0, 1].
        """
        change = self.contracted_trabeculae - self.relaxed_trabeculae
        seen = np.interp(self.trabecular_level, VISIBLE_TRABECULAE, [0.0, 1.0])
        return float(seen * (self.relaxed_trabeculae + contraction * change))

    @property
    def width(self) -> float:
        """End-diastolic width of the cavity in mm."""
        return self.length * self.width_share


# share of the hearts with each pathology; a heart has at most one, besides a low ejection fraction
PATHOLOGY = {"hypertrophic": 0.12, "regional": 0.12, "foreshortened": 0.10, "none": 0.66}
INSETS = tuple(
    name
    for name in Heart.__dataclass_fields__
    if name.startswith(("inset_", "contracted_", "relaxed_"))
)
# hearts form three groups by their ejection: share of all hearts, and (mean, sd) of the ejection
EJECTION_SHARES = (0.64, 0.20, 0.16)
EJECTIONS = ((0.41, 0.06), (0.28, 0.06), (0.09, 0.05))
UNCHANGED_EJECTION = EJECTIONS[0][0] - 0.03  # of hearts that are neither enlarged nor small
OUTFLOW_SHARE = 0.15  # share of the hearts whose aortic root is in the image plane


def draw_heart(generator: np.random.Generator, without: frozenset[str] = frozenset()) -> Heart:
    """Draw a heart from a wide population: healthy, weak and dilated, hypertrophic, and others.

    Three groups of ejection fraction keep the share of weak hearts near that of a clinic. Weaker
    hearts are larger (rank correlation of EF and volume about -0.4, FACTS). without: names of
    `effects.EFFECTS` to switch off. The valve is drawn from a stream that `generator` spawns: the
    ranges of the valve do not change the rest of the heart.
    """
    group = generator.choice(len(EJECTIONS), p=EJECTION_SHARES)
    if "pathology" in without:
        group = 0
    ejection = float(np.clip(generator.normal(*EJECTIONS[group]), 0.02, 0.70))
    waviness = generator.normal(size=(2, 4)) * np.array([0.035, 0.035, 0.025, 0.015])
    valve = draw_valve(generator.spawn(1)[0])
    given = {"ejection": ejection, "waviness": waviness, "valve": valve}
    heart = draw_parameters(Heart, generator, **given)
    kind = generator.choice(list(PATHOLOGY), p=list(PATHOLOGY.values()))
    chance, severity, place, side, width = generator.random(5)
    if chance < OUTFLOW_SHARE and "outflow tract" not in without:
        heart = replace(heart, outflow=13 + 9 * width)
    if "expert's inset" in without:
        insets: dict[str, Any] = dict.fromkeys(INSETS, 0.0)
        heart = replace(heart, **insets)
    if "pathology" in without:
        return heart
    return _with_pathology(heart, kind, severity, place, side)


def _with_pathology(heart: Heart, kind: str, severity: float, place: float, side: float) -> Heart:
    """Return the heart with a pathology, and enlarged if it is weak.

    kind: one of `PATHOLOGY`. severity, place, side: uniform in [0, 1].
    """
    weakness = heart.dilation * (UNCHANGED_EJECTION - heart.ejection)
    heart = replace(
        heart,
        length=heart.length * (1 + 0.6 * weakness),
        width_share=heart.width_share * (1 + 0.7 * weakness),
        tip_depth=heart.tip_depth * (1 - 0.7 * max(0.0, weakness)),
        septum=heart.septum * (1 - 0.5 * weakness),
        lateral_wall=heart.lateral_wall * (1 - 0.5 * weakness),
    )
    if kind == "hypertrophic":  # thick walls around a small cavity
        thicker = 1.2 + 0.4 * severity
        return replace(
            heart,
            length=0.92 * heart.length,
            width_share=0.9 * heart.width_share,
            septum=min(18.0, heart.septum * thicker),
            lateral_wall=min(18.0, heart.lateral_wall * thicker),
        )
    if kind == "regional":  # part of the wall is akinetic, as after an infarction
        return replace(
            heart,
            akinesia=0.5 + 0.5 * severity,
            akinesia_place=0.1 + 0.8 * place,
            akinesia_side=-1 if side < 0.5 else 1,
        )
    if kind == "foreshortened":  # the image plane misses the apex: short, blunt, its tip moves
        shorter = 0.72 + 0.16 * severity
        return replace(
            heart,
            length=heart.length * shorter,
            width_share=min(0.9, heart.width_share / shorter**0.7),
            tip_depth=heart.tip_depth + 0.5 * (1 - shorter) * heart.length,
            apical_lift=heart.apical_lift + 0.1,
            apical_share=heart.apical_share + 0.3,
        )
    return heart


class Pose(NamedTuple):
    """Position of the heart's coordinates: origin and unit vectors, each (2,) in world mm."""

    origin: np.ndarray
    across: np.ndarray
    along: np.ndarray

    def to_world(self, points: np.ndarray) -> np.ndarray:
        """Convert heart coordinates (n, 2) to world mm (n, 2)."""
        points = np.asarray(points, float)
        return self.origin + points[:, :1] * self.across + points[:, 1:] * self.along


def heart_pose(heart: Heart, contraction: float, phase: float) -> Pose:
    """Return the pose of a heart: tilted about its tip, rocking with the contraction.

    phase: radians of the cycle, for the slow drift of the whole heart.
    """
    angle = np.radians(heart.tilt + heart.rocking * contraction)
    along = np.array([np.sin(angle), np.cos(angle)])
    across = np.array([along[1], -along[0]])
    drift = heart.drift * np.array([np.sin(phase), 0.5 * np.cos(phase)])
    return Pose(np.array([heart.tip_x, heart.tip_depth]) + drift, across, along)
