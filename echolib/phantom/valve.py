"""The mitral valve seen closely: leaflets that bend, thin out, shine where they face the probe.

A study of the left ventricle needs two strokes where the valve is; a network that is to find
the leaflets themselves meets what real ones show: parts that are missing because they run along
the beam, thick tips, a hinge lost in the bright annulus, cords below. Curves are in heart
coordinates, mm, see `anatomy`.
"""

from dataclasses import dataclass, replace

import numpy as np

from .ranges import CHOSEN, draw_table, ranged

POINTS = 24  # of a leaflet's curve, hinge to tip
SIDES = ("anterior", "posterior")
MOST_GAPS, MOST_CORDS = 3, 4  # of a leaflet


@dataclass(frozen=True)
class Leaflet:
    """One leaflet: lengths in shares of the LV's length, bellies in shares of the leaflet.

    A belly is how far the curve lies off the straight line from hinge to tip, at a third and at
    two thirds of it; positive towards the apex.
    """

    length: float = ranged(0.22, 0.38, CHOSEN)
    hinge_along: float = ranged(-2.0, 2.5, CHOSEN, mean=0.0, sd=1.0)  # mm off the wall's end
    hinge_across: float = ranged(-1.0, 3.0, CHOSEN, mean=0.6, sd=0.9)  # mm into the annulus
    swing: float = ranged(50, 100, CHOSEN)  # degrees from the annulus, wide open
    shut_near: float = ranged(-0.16, 0.12, CHOSEN, mean=-0.04, sd=0.06)
    shut_far: float = ranged(-0.12, 0.16, CHOSEN, mean=0.02, sd=0.06)
    open_near: float = ranged(-0.14, 0.14, CHOSEN, mean=-0.02, sd=0.06)
    open_far: float = ranged(-0.16, 0.16, CHOSEN, mean=0.0, sd=0.07)
    flutter: float = ranged(0.75, 1.3, CHOSEN)  # exponent of the opening: early or late
    level: float = ranged(-6, 8, CHOSEN, mean=2, sd=3)  # dB against the valve's
    along_beam: float = ranged(0, 20, CHOSEN)  # dB lost where it runs along the beam
    hinge_loss: float = ranged(0, 16, CHOSEN)  # dB lost in its first fifth
    tip: float = ranged(0.7, 2.2, CHOSEN)  # thickness of the tip against the middle
    tip_gain: float = ranged(-4, 6, CHOSEN)  # dB
    tuft: float = ranged(0.0, 5.0, CHOSEN)  # mm that stand up where shut leaflets meet


@dataclass(frozen=True)
class Valve:
    """Both leaflets, where they meet, and what is random along them.

    gaps: for each leaflet rows of place, half width (shares of it) and dB lost. cords: rows of
    place on the leaflet, end in shares of the way to the muscle, sideways mm, dB, width in mm.
    """

    coaptation: float = ranged(0.52, 0.82, CHOSEN, mean=0.66, sd=0.07)  # of the annulus
    tenting: float = ranged(-0.02, 0.10, CHOSEN, mean=0.04, sd=0.025)  # of the LV's length

    anterior: Leaflet = None
    posterior: Leaflet = None
    gaps: tuple[np.ndarray, np.ndarray] = None
    cords: tuple[np.ndarray, np.ndarray] = None

    def curves(
        self, length: float, septal_hinge: np.ndarray, lateral_hinge: np.ndarray, opening: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Anterior and posterior leaflet at one moment, each (POINTS, 2) mm, hinge to tip.

        length: of the ventricle at end-diastole, mm. Hinges (2,): ends of the walls. opening:
        0 shut to 1 wide open, see `cycle`.
        """
        annulus = lateral_hinge - septal_hinge
        across = annulus / np.hypot(*annulus)
        upward = np.array([across[1], -across[0]])  # towards the apex
        meeting = septal_hinge + self.coaptation * annulus + self.tenting * length * upward
        sides = ((self.anterior, septal_hinge, across), (self.posterior, lateral_hinge, -across))
        return tuple(
            _curve(leaflet, length, hinge, inward, upward, meeting, opening)
            for leaflet, hinge, inward in sides
        )

    def losses(self, side: int, curve: np.ndarray, beam: np.ndarray) -> np.ndarray:
        """(POINTS - 1,) dB that each piece of a leaflet returns above the valve's level.

        side: 0 anterior, 1 posterior. curve: (POINTS, 2). beam: (2,) unit vector along which
        sound comes, in heart coordinates.
        """
        leaflet, place = getattr(self, SIDES[side]), (np.arange(POINTS - 1) + 0.5) / (POINTS - 1)
        along = np.diff(curve, axis=0)
        along /= np.hypot(*along.T)[:, None] + 1e-9
        level = leaflet.level - leaflet.along_beam * (along @ beam) ** 2
        level -= leaflet.hinge_loss * np.clip(1 - place / 0.2, 0, 1)
        level += leaflet.tip_gain * np.clip((place - 0.7) / 0.3, 0, 1)
        for middle, half, lost in self.gaps[side]:
            level -= lost * np.exp(-(((place - middle) / half) ** 2))
        return level

    def thickness(self, side: int) -> np.ndarray:
        """(POINTS,) thickness along a leaflet against its middle."""
        place = np.linspace(0, 1, POINTS)
        tip = getattr(self, SIDES[side]).tip
        return np.interp(place, [0, 0.15, 0.65, 0.9, 1], [1.2, 1.0, 0.85, tip, 0.75 * tip])


def _curve(
    leaflet: Leaflet,
    length: float,
    hinge: np.ndarray,
    inward: np.ndarray,
    upward: np.ndarray,
    meeting: np.ndarray,
    opening: float,
) -> np.ndarray:
    """A leaflet that swings about its hinge, from where the two meet to wide open."""
    hinge = hinge + leaflet.hinge_across * inward + leaflet.hinge_along * upward
    to_meeting = meeting - hinge
    shut = np.arctan2(to_meeting @ upward, to_meeting @ inward), np.hypot(*to_meeting)
    wide = np.radians(leaflet.swing), leaflet.length * length
    share = opening**leaflet.flutter
    angle, reach = ((1 - share) * a + share * b for a, b in zip(shut, wide, strict=True))
    forward = np.cos(angle) * inward + np.sin(angle) * upward
    aside = np.cos(angle) * upward - np.sin(angle) * inward
    near, far = (
        (1 - share) * a + share * b
        for a, b in ((leaflet.shut_near, leaflet.open_near), (leaflet.shut_far, leaflet.open_far))
    )
    t = np.linspace(0, 1, POINTS)[:, None]
    # the cubic through 0, near, far and 0 at thirds of the way
    belly = 13.5 * near * t * (t - 2 / 3) * (t - 1) + 13.5 * far * t * (t - 1 / 3) * (1 - t)
    return hinge + reach * (t * forward + belly * aside)


def draw_valve(generator: np.random.Generator) -> Valve:
    """A valve out of a wide population; the posterior leaflet is shorter, and often fainter."""
    anterior = draw_table(Leaflet, generator)
    short = generator.uniform(0.4, 0.75) * anterior.length
    faint = generator.normal(-3, 3)
    posterior = draw_table(Leaflet, generator, length=short)
    posterior = replace(posterior, level=posterior.level + faint)
    gaps, cords = [], []
    for _ in SIDES:
        count = min(MOST_GAPS, generator.poisson(0.7))
        gaps.append(generator.uniform([0.1, 0.04, 6], [1.0, 0.18, 34], (count, 3)))
        count = min(MOST_CORDS, generator.poisson(0.8))
        low, high = [0.55, 0.35, -6, -30, 0.6], [1.0, 1.0, 6, -9, 1.6]
        cords.append(generator.uniform(low, high, (count, 5)))
    sides = {"anterior": anterior, "posterior": posterior}
    return draw_table(Valve, generator, **sides, gaps=tuple(gaps), cords=tuple(cords))
