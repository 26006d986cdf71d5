"""The shape of a heart at one moment of its cycle: walls, chambers, leaflets, expert's outline.

Curves are in heart coordinates (across, along), mm, see `anatomy`.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .anatomy import Heart

MAX_INSET = 0.6  # of the half width, so that a small cavity keeps an outline
MAX_LAYER = 0.4  # of the half width, so that trabeculae leave a lumen
PROFILE_POINTS = 36
# denser near the apex, where the wall turns
PROFILE = np.linspace(0.0, 1.0, PROFILE_POINTS) ** 1.2


@dataclass(frozen=True)
class Ventricle:
    """The left ventricle at one moment: curves in heart coordinates, (n, 2) mm each.

    The four wall curves run from apex to base, (PROFILE_POINTS, 2). `outline` is the tracing of
    an expert who sees no frame, from the septal hinge over the apex to the lateral hinge. `axis`
    (2, 2) holds the outline's apex and the middle of its base. `length`: of the cavity, mm.
    """

    contraction: float
    length: float
    septal_cavity: np.ndarray
    lateral_cavity: np.ndarray
    septal_outside: np.ndarray
    lateral_outside: np.ndarray
    outline: np.ndarray
    axis: np.ndarray

    @property
    def tip(self) -> float:
        """Position of the cavity's tip along the axis, mm."""
        return float(self.septal_cavity[0, 1])

    @property
    def cavity(self) -> np.ndarray:
        """Edge of the cavity from the septal hinge over the apex to the lateral hinge."""
        return np.concatenate([self.septal_cavity[::-1], self.lateral_cavity[1:]])


@dataclass(frozen=True)
class Shape(Ventricle):
    """A whole heart at one moment."""

    right_ventricle: np.ndarray
    right_wall: np.ndarray
    left_atrium: np.ndarray
    right_atrium: np.ndarray
    atrial_septum: np.ndarray
    posterior_arc: np.ndarray
    mitral: tuple[np.ndarray, np.ndarray]  # anterior and posterior leaflet, hinge to tip
    tricuspid: tuple[np.ndarray, np.ndarray]


@lru_cache(maxsize=16)
def _smoothing(knots: int, points: int, closed: bool) -> np.ndarray:
    """(points, knots) weights of a uniform Catmull-Rom curve through the knots."""
    position = np.linspace(0, knots if closed else knots - 1, points, endpoint=not closed)
    start = np.floor(position).astype(int)
    t = (position - start)[:, None]
    basis = 0.5 * np.hstack(
        [-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2]
    )
    weights = np.zeros((points, knots))
    for offset in range(4):
        index = start + offset - 1
        index = index % knots if closed else np.clip(index, 0, knots - 1)
        np.add.at(weights, (np.arange(points), index), basis[:, offset])
    return weights


def smooth_curve(knots: np.ndarray, points: int, closed: bool = False) -> np.ndarray:
    """Compute a smooth curve (points, 2) through knots (n, 2)."""
    knots = np.asarray(knots, float)
    return _smoothing(len(knots), points, closed) @ knots


def _half_width(shoulder: float, roundness: float, taper: float) -> np.ndarray:
    """Half width along the profile, relative to its largest value: round cap, then slow taper."""
    to_shoulder = 1 - np.clip(PROFILE / shoulder, 0, 1)
    cap = (1 - to_shoulder**roundness) ** (1 / roundness)
    below = np.clip((PROFILE - shoulder) / (1 - shoulder), 0, 1)
    return cap * (1 - taper * below**2)


def _waviness(amplitudes: np.ndarray, phase: int) -> np.ndarray:
    """Factor near 1 along the profile, the sum of four harmonics."""
    number = np.arange(1, len(amplitudes) + 1)
    waves = np.sin(np.pi * PROFILE[:, None] * number + phase * number)
    return 1 + waves @ amplitudes


def _cavity_walls(heart: Heart, contraction: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Septal and lateral edge of the cavity from apex to base, and the length of the cavity."""
    shortening = heart.ejection * heart.longitudinal_share
    narrowing = 1 - np.sqrt((1 - heart.ejection) / (1 - shortening))
    length = heart.length * (1 - shortening * contraction)
    tip = heart.apical_lift * heart.length * contraction * heart.ejection
    septal = heart.width * heart.septal_share
    lateral = heart.width - septal
    # the two sides share the inward motion unevenly; together they narrow by `narrowing`
    motion = heart.width * narrowing * contraction
    septal_width = septal - min(motion * heart.septal_motion, 0.75 * septal)
    lateral_width = lateral - min(motion * (1 - heart.septal_motion), 0.75 * lateral)
    bow = heart.bend * heart.length * np.sin(np.pi * PROFILE)
    sides = []
    for sign, width, relaxed, phase, shoulder, roundness, taper in (
        (-1, septal_width, septal, 1, heart.septal_shoulder, heart.septal_roundness,
         heart.septal_taper),
        (1, lateral_width, lateral, 2, heart.lateral_shoulder, heart.lateral_roundness,
         heart.lateral_taper),
    ):  # fmt: skip
        waves = sign * _waviness(heart.waviness[phase - 1], phase)
        coned = max(1.2, roundness * (1 - heart.coning * contraction))
        across = width * _half_width(shoulder, coned, taper)
        if heart.akinesia and sign == heart.akinesia_side:
            lost = heart.akinesia * np.exp(-(((PROFILE - heart.akinesia_place) / 0.22) ** 2))
            across += lost * (relaxed * _half_width(shoulder, roundness, taper) - across)
        if sign < 0:
            bulge = np.exp(-(((PROFILE - heart.bulge_place) / 0.2) ** 2)) * contraction
            across -= np.minimum(heart.septal_bulge * heart.length * bulge, 0.6 * across)
        along = tip + PROFILE * (length * (1 - sign * heart.base_tilt) - tip)
        sides.append(np.stack([waves * across + bow, along], axis=1))
    return sides[0], sides[1], length


def _outer_surface(
    edge: np.ndarray, thickness: float, sign: int, apical_share: float
) -> np.ndarray:
    """Outer surface of a wall: offset sideways by its thickness, thinner and upward at the tip."""
    share = apical_share + (1 - apical_share) * np.clip(PROFILE * 2.2, 0, 1)
    upward = thickness * apical_share * (1 - np.clip(PROFILE * 3.0, 0, 1)) ** 0.7
    sideways = sign * thickness * share * np.clip(PROFILE * 8.0, 0.0, 1) ** 0.5
    return edge + np.stack([sideways, -upward], axis=1)


def _right_ventricle(heart, septal_outside, contraction) -> tuple[np.ndarray, np.ndarray]:
    """Outline of the right ventricle's cavity, and inner edge of its free wall, tip to base."""
    first = int(heart.rv_tip * PROFILE_POINTS)
    border = septal_outside[first:]
    top, bottom = border[0], border[-1]
    width = heart.rv_width * heart.width * (1 - 0.25 * contraction)
    level = heart.length * heart.tricuspid_level
    level *= 1 - 1.3 * contraction * heart.ejection * heart.longitudinal_share
    hinge = np.array([bottom[0] - width, level])
    drop, reach = level - top[1], hinge[0] - top[0]
    bulge = heart.rv_bulge * heart.width
    knots = [top, top + [0.62 * reach - bulge, 0.32 * drop], top + [reach - bulge, 0.7 * drop]]
    free_wall = smooth_curve(np.array([*knots, hinge]), 24)
    outline = np.concatenate([border, [[bottom[0], level + 1]], free_wall[::-1]])
    return outline, free_wall


def _atria(heart, septal_hinge, lateral_hinge, rv_floor, contraction) -> dict[str, np.ndarray]:
    """Both atria (closed curves), the septum between them and the bright arc behind them.

    rv_floor: (2, 2) ends of the tricuspid annulus, septal end first. The atria fill while the
    ventricles contract.
    """
    middle = 0.5 * (septal_hinge + lateral_hinge)
    length, half = heart.la_length * heart.length * (1 + 0.2 * contraction), heart.width / 2
    half *= heart.la_width
    lean = heart.atrial_lean * length
    steps = [(-0.97, 0.3), (-0.85, 0.75), (0.0, 1.0), (0.85, 0.8), (1.0, 0.33)]
    ring = [middle + [half * x + lean * y, length * y] for x, y in steps]
    left = smooth_curve(
        np.array([septal_hinge + [1.5, 1.5], *ring, lateral_hinge + [-0.5, 1.5]]), 44, closed=True
    )
    right_middle = rv_floor.mean(axis=0)
    right_length = heart.ra_length * heart.length * (1 + 0.15 * contraction)
    right_half = 0.5 * heart.rv_width * heart.width * heart.ra_width
    steps = [(1.0, 0.35), (0.75, 0.8), (0.0, 1.0), (-0.85, 0.8), (-1.1, 0.35)]
    ring = [right_middle + [right_half * x + lean * y, right_length * y] for x, y in steps]
    right = smooth_curve(np.array([rv_floor[0], *ring, rv_floor[1]]), 44, closed=True)
    top = 0.5 * (septal_hinge + rv_floor[0])
    between = 0.5 * (middle[0] - half + right_middle[0] + right_half)
    foot = np.array([between + lean, middle[1] + 0.97 * length])
    bow = np.array([0.06 * half, 0.0])
    septum = smooth_curve(np.array([top, 0.5 * (top + foot) + bow, foot]), 14)
    arc = np.array(
        [
            right_middle + [-1.9 * right_half, 0.55 * right_length],
            right_middle + [-0.9 * right_half + lean, 1.08 * right_length],
            [between + lean, max(right_middle[1] + right_length, foot[1]) + 3.0],
            middle + [lean, 1.06 * length],
            middle + [1.1 * half + lean, 0.92 * length],
            lateral_hinge + [max(0.3 * half, 6.0), 0.2 * length],
        ]
    )
    arc = smooth_curve(arc, 40)
    return {"left_atrium": left, "right_atrium": right, "atrial_septum": septum, "arc": arc}


def _leaflet(hinge: np.ndarray, tip: np.ndarray, sag: np.ndarray) -> np.ndarray:
    """(12, 2) curve from hinge to tip through a middle that sags by `sag`."""
    t = np.linspace(0, 1, 12)[:, None]
    middle = 0.5 * (hinge + tip) + sag
    return (1 - t) ** 2 * hinge + 2 * t * (1 - t) * middle + t**2 * tip


def _hinges(heart: Heart, left: Ventricle) -> tuple[np.ndarray, np.ndarray]:
    """Hinges of the mitral leaflets, (2,) mm each: on the walls' edges, above their lower ends."""
    septal, lateral = (
        np.array([np.interp(level, edge[:, 1], edge[:, 0]), level])
        for edge in (left.septal_cavity, left.lateral_cavity)
        for level in (edge[-1, 1] - heart.hinge_rise,)
    )
    return septal, lateral


def _tricuspid_valve(rv_floor: np.ndarray, opening: float, length: float):
    """The two visible leaflets of the tricuspid valve, simpler than the mitral leaflets."""
    lift = np.array([0.0, -(0.04 + 0.12 * opening) * length])
    meeting = rv_floor.mean(axis=0) + lift
    leaflets = []
    for hinge in rv_floor:
        tip = meeting + 0.6 * opening * (hinge - rv_floor.mean(axis=0))
        leaflets.append(_leaflet(hinge, tip, np.array([0.0, 0.0])))
    return tuple(leaflets)


def trabecular_layer(heart: Heart, edge: np.ndarray, contraction: float) -> np.ndarray:
    """Offsets (n, 2) from a wall's inner edge to the inside of its trabeculae, thickest at the tip.

    edge: (n, 2), from apex to base.
    """
    growth = 1 + heart.trabecular_growth * contraction
    reach = MAX_LAYER * np.abs(edge[:, 0])
    sideways = -np.sign(edge[:, 0]) * np.minimum(growth * heart.trabeculae, reach)
    tip = np.exp(-((PROFILE / 0.15) ** 2)) * growth * heart.apical_trabeculae
    return np.stack([sideways, np.minimum(tip, MAX_LAYER * np.ptp(edge[:, 1]))], axis=1)


def _expert_outline(heart, septal, lateral, contraction) -> tuple[np.ndarray, np.ndarray]:
    """The outline that an expert draws (2n - 1, 2), and its long axis (2, 2).

    The outline lies slightly inside the geometric wall: an expert stays inside the dim rim next
    to the bright wall, counts trabeculae of the sides as wall the more the ventricle contracts, and
    closes the base at the leaflets' hinges.
    """
    traced = heart.traced_trabeculae(contraction)
    apex = heart.inset_apex + contraction * heart.contracted_apex
    base = heart.inset_base + contraction * heart.contracted_base
    drop = apex + heart.hinge_rise + base
    septal_inset = heart.inset_septal + contraction * heart.contracted_septal
    lateral_inset = heart.inset_lateral + contraction * heart.contracted_lateral
    edges = []
    for edge, inset in ((septal, septal_inset), (lateral, lateral_inset)):
        tip, extent = edge[0, 1], edge[-1, 1] - edge[0, 1]
        along = tip + apex + (edge[:, 1] - tip) * (1 - drop / extent)
        middle = 0.5 * (septal[:, 0] + lateral[:, 0])
        reach = edge[:, 0] - middle
        # near the apex the wall runs across the axis: there the inset is already applied along it
        sideways = inset * np.clip(np.abs(reach) / (0.25 * heart.width), 0, 1)
        sideways += traced * np.abs(trabecular_layer(heart, edge, contraction)[:, 0])
        sideways = np.minimum(sideways, MAX_INSET * np.abs(reach))
        across = middle + np.sign(reach) * (np.abs(reach) - sideways)
        edges.append(np.stack([across, along], axis=1))
    outline = np.concatenate([edges[0][::-1], edges[1][1:]])
    axis = np.stack([edges[0][0], 0.5 * (edges[0][-1] + edges[1][-1])])
    return outline, axis


def ventricle_shape(heart: Heart, contraction: float) -> Ventricle:
    """Compute the walls and the outline of the left ventricle.

    contraction: in [0, 1], see `cycle`.
    """
    septal, lateral, length = _cavity_walls(heart, contraction)
    thicker = 1 + heart.thickening * contraction
    share = heart.apical_share
    septal_outside = _outer_surface(septal, heart.septum * thicker, -1, share)
    lateral_outside = _outer_surface(lateral, heart.lateral_wall * thicker, 1, share)
    outline, axis = _expert_outline(heart, septal, lateral, contraction)
    walls = (septal, lateral, septal_outside, lateral_outside)
    return Ventricle(contraction, length, *walls, outline, axis)


def heart_shape(heart: Heart, contraction: float, opening: float) -> Shape:
    """Compute the curves of a whole heart; contraction and opening in [0, 1], see `cycle`."""
    left = ventricle_shape(heart, contraction)
    septal, lateral = left.septal_cavity, left.lateral_cavity
    ventricle, free_wall = _right_ventricle(heart, left.septal_outside, contraction)
    rv_floor = np.stack([[left.septal_outside[-1, 0], free_wall[-1, 1]], free_wall[-1]])
    atria = _atria(heart, septal[-1], lateral[-1], rv_floor, contraction)
    return Shape(
        **vars(left),
        right_ventricle=ventricle,
        right_wall=free_wall,
        left_atrium=atria["left_atrium"],
        right_atrium=atria["right_atrium"],
        atrial_septum=atria["atrial_septum"],
        posterior_arc=atria["arc"],
        mitral=heart.valve.curves(*_hinges(heart, left), opening),
        tricuspid=_tricuspid_valve(rv_floor, opening, heart.length),
    )
