"""The mitral valve: leaflets that bend, thin out, and are bright facing the probe.

They look like real ones: parts are missing where a leaflet runs along the beam, tips are thick,
chordae lie below. A hinge lies on the inner edge of the wall, about level with the end of the
expert's outline of the ventricle: on CAMUS training patients shut leaflets are brightest within
1 mm of the line between the outline's ends, and 2 mm above it where they meet. The bright tissue
behind a hinge is no part of the leaflet. `benchmarks/leaflets.py` measures both that and the
leaflets' shapes beside experts' masks. Curves are in heart coordinates, mm, see `anatomy`.
"""

from dataclasses import dataclass, replace

import numpy as np

from .ranges import CAMUS, CHOSEN, MASKS, draw_parameters, ranged

POINTS = 24  # of a leaflet's curve, from hinge to tip
SIDES = ("anterior", "posterior")
MAX_GAPS, MAX_CHORDAE = 3, 4  # per leaflet


@dataclass(frozen=True)
class Leaflet:
    """One leaflet: its length wide open as a share of that closed, bending as shares of either.

    The four bending fields give the distance of the curve from the straight line between hinge
    and tip, positive towards the apex: `near` at one third of that line, `far` at two thirds.
    """

    length: float = ranged(0.80, 1.20, MASKS)
    hinge_along: float = ranged(-3.0, 1.0, CAMUS, mean=-0.7, sd=0.7)  # mm above the outline's end
    hinge_across: float = ranged(-0.8, 1.4, CHOSEN, mean=0.2, sd=0.4)  # mm into the annulus
    opening_angle: float = ranged(50, 92, MASKS)  # degrees from the annulus, wide open
    closed_near: float = ranged(-0.10, 0.14, MASKS, mean=0.02, sd=0.05)
    closed_far: float = ranged(-0.08, 0.16, MASKS, mean=0.04, sd=0.05)
    open_near: float = ranged(-0.14, 0.14, CHOSEN, mean=-0.02, sd=0.06)
    open_far: float = ranged(-0.16, 0.16, CHOSEN, mean=0.0, sd=0.07)
    opening_exponent: float = ranged(0.75, 1.3, CHOSEN)  # below 1: opens early; above: late
    level: float = ranged(-6, 8, CHOSEN, mean=2, sd=3)  # dB above `Tissue.valve`
    along_beam_loss: float = ranged(0, 20, CHOSEN)  # dB lost where it runs along the beam
    hinge_loss: float = ranged(0, 16, CHOSEN)  # dB lost in its first fifth
    tip_thickness: float = ranged(0.7, 2.2, CHOSEN)  # relative to the middle
    tip_gain: float = ranged(-4, 6, CHOSEN)  # dB
    tuft: float = ranged(0.0, 5.0, CHOSEN)  # mm by which the tips of closed leaflets stand up


@dataclass(frozen=True)
class ValveAnatomy:
    """The mitral valve: both leaflets, the point where they meet, and random details along them.

    gaps: one array per leaflet, with rows of place and half width (shares of the leaflet) and dB
    lost. chordae: one array per leaflet, with rows of place on the leaflet (share), end (share of
    the way to the papillary muscle), sideways offset in mm, level in dB, width in mm.
    """

    anterior: Leaflet
    posterior: Leaflet
    gaps: tuple[np.ndarray, np.ndarray]
    chordae: tuple[np.ndarray, np.ndarray]

    coaptation: float = ranged(0.52, 0.82, CHOSEN, mean=0.66, sd=0.07)  # of the annulus
    tenting: float = ranged(-0.05, 0.25, MASKS, mean=0.07, sd=0.05)  # of the annulus

    def curves(
        self, septal_hinge: np.ndarray, lateral_hinge: np.ndarray, opening: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Compute the anterior and the posterior leaflet, each (POINTS, 2) mm from hinge to tip.

        Hinges (2,): on the inner edges of the walls, level with the ends of the expert's outline.
        opening: from 0 (closed) to 1 (wide open), see `cycle`.
        """
        annulus = lateral_hinge - septal_hinge
        width = np.hypot(*annulus)
        across = annulus / width
        upward = np.array([across[1], -across[0]])  # towards the apex
        meeting = septal_hinge + self.coaptation * annulus + self.tenting * width * upward
        sides = ((self.anterior, septal_hinge, across), (self.posterior, lateral_hinge, -across))
        anterior, posterior = (
            _curve(leaflet, hinge, inward, upward, meeting, opening)
            for leaflet, hinge, inward in sides
        )
        return anterior, posterior

    def levels(self, side: int, curve: np.ndarray, beam: np.ndarray) -> np.ndarray:
        """Compute the echo level of each piece of a leaflet, (POINTS - 1,) dB above `Tissue.valve`.

        side: 0 anterior, 1 posterior. curve: (POINTS, 2). beam: (2,) unit vector of the sound's
        direction, in heart coordinates.
        """
        leaflet, place = getattr(self, SIDES[side]), (np.arange(POINTS - 1) + 0.5) / (POINTS - 1)
        along = np.diff(curve, axis=0)
        along /= np.hypot(*along.T)[:, None] + 1e-9
        level = leaflet.level - leaflet.along_beam_loss * (along @ beam) ** 2
        level -= leaflet.hinge_loss * np.clip(1 - place / 0.2, 0, 1)
        level += leaflet.tip_gain * np.clip((place - 0.7) / 0.3, 0, 1)
        for middle, half, lost in self.gaps[side]:
            level -= lost * np.exp(-(((place - middle) / half) ** 2))
        return level

    def thickness(self, side: int) -> np.ndarray:
        """Compute the thickness along a leaflet relative to its middle, (POINTS,)."""
        place = np.linspace(0, 1, POINTS)
        tip = getattr(self, SIDES[side]).tip_thickness
        return np.interp(place, [0, 0.15, 0.65, 0.9, 1], [1.2, 1.0, 0.85, tip, 0.75 * tip])


def _curve(
    leaflet: Leaflet,
    hinge: np.ndarray,
    inward: np.ndarray,
    upward: np.ndarray,
    meeting: np.ndarray,
    opening: float,
) -> np.ndarray:
    """Leaflet that swings about its hinge, from the point where both meet to wide open."""
    hinge = hinge + leaflet.hinge_across * inward + leaflet.hinge_along * upward
    to_meeting = meeting - hinge
    closed = np.arctan2(to_meeting @ upward, to_meeting @ inward), np.hypot(*to_meeting)
    wide_open = np.radians(leaflet.opening_angle), leaflet.length * closed[1]
    share = opening**leaflet.opening_exponent
    angle, reach = ((1 - share) * a + share * b for a, b in zip(closed, wide_open, strict=True))
    forward = np.cos(angle) * inward + np.sin(angle) * upward
    aside = np.cos(angle) * upward - np.sin(angle) * inward
    near, far = (
        (1 - share) * a + share * b
        for a, b in ((leaflet.closed_near, leaflet.open_near),
                     (leaflet.closed_far, leaflet.open_far))
    )  # fmt: skip
    t = np.linspace(0, 1, POINTS)[:, None]
    # cubic through 0, near, far and 0 at 0, 1/3, 2/3 and 1 of the way
    bending = 13.5 * near * t * (t - 2 / 3) * (t - 1) + 13.5 * far * t * (t - 1 / 3) * (1 - t)
    return hinge + reach * (t * forward + bending * aside)


def draw_valve(generator: np.random.Generator) -> ValveAnatomy:
    """Draw a valve; its posterior leaflet is often fainter."""
    anterior = draw_parameters(Leaflet, generator)
    level_difference = generator.normal(-3, 3)
    posterior = draw_parameters(Leaflet, generator)
    posterior = replace(posterior, level=posterior.level + level_difference)
    gaps, chordae = [], []
    for _ in SIDES:
        count = min(MAX_GAPS, generator.poisson(0.7))
        gaps.append(generator.uniform([0.1, 0.04, 6], [1.0, 0.18, 34], (count, 3)))
        count = min(MAX_CHORDAE, generator.poisson(0.8))
        low, high = [0.55, 0.35, -6, -30, 0.6], [1.0, 1.0, 6, -9, 1.6]
        chordae.append(generator.uniform(low, high, (count, 5)))
    sides = {"anterior": anterior, "posterior": posterior}
    return draw_parameters(
        ValveAnatomy, generator, **sides, gaps=tuple(gaps), chordae=tuple(chordae)
    )
