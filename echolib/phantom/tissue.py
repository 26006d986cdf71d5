"""What reflects how strongly: a heart's shape painted as a map of echo levels in beam space.

Levels are in dB relative to the brightest myocardium.
"""

from dataclasses import dataclass

import numpy as np

from echolib.phantom.anatomy import Heart, pose
from echolib.phantom.ranges import CHOSEN, README, draw_table, ranged
from echolib.phantom.sector import BEAMS, SAMPLES, Sector, fill_beams
from echolib.phantom.shape import Shape

WALL_STEP = 5  # points of a wall curve that belong to the tip


@dataclass(frozen=True)
class Tissue:
    """Echo levels of one heart in dB, widths in mm."""

    background: float = ranged(-44, -14, README)
    blood: float = ranged(-60, -28, README)
    septum: float = ranged(-12, 0, README)
    lateral_loss: float = ranged(0, 19, README)  # of the lateral wall against the septum
    apical_loss: float = ranged(0, 12, CHOSEN)  # of the tip, seen through the near field
    septal_rim_loss: float = ranged(0, 14, README)  # the dim rim next to the cavity
    lateral_rim_loss: float = ranged(0, 10, README)
    septal_rim: float = ranged(0.8, 3.5, README)
    lateral_rim: float = ranged(0.8, 5.0, README)
    pericardium: float = ranged(-14, 6, README)
    pericardium_width: float = ranged(1.2, 4.0, CHOSEN)
    posterior: float = ranged(-24, 2, README)
    arc: float = ranged(-16, 8, CHOSEN)
    arc_width: float = ranged(2.0, 7.0, CHOSEN)
    lung: float = ranged(-36, 0, README)
    lung_width: float = ranged(6, 26, CHOSEN)
    right_wall: float = ranged(-24, -2, README)
    atrial_wall: float = ranged(-20, 0, README)
    valve: float = ranged(-22, 2, README)
    crux: float = ranged(-10, 6, README)  # where septum, valves and atria meet
    near: float = ranged(-34, -4, README)  # chest wall under the probe
    near_depth: float = ranged(3.0, 11.0, CHOSEN)


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
    cords = [
        (uniform(0.35, 0.6), uniform(-0.3, 0.9), uniform(-30, -8), uniform(0.8, 1.8))
        for _ in range(generator.poisson(0.8))
    ]
    strays = [  # beam space: across, depth, half sizes, level
        (uniform(-0.95, 0.95), uniform(0.05, 1.0), uniform(1.5, 9), uniform(1, 7), uniform(-16, 6))
        for _ in range(generator.poisson(5))
    ]
    return {"muscles": muscles, "trabeculae": trabeculae, "cords": cords, "strays": strays}


def _side(generator: np.random.Generator, lateral: float = 0.5) -> int:
    return 1 if generator.random() < lateral else -1


class Painter:
    """Paints one heart, moment by moment. Holds what stays the same over a clip."""

    def __init__(self, sector: Sector, heart: Heart, generator: np.random.Generator) -> None:
        self.sector, self.heart = sector, heart
        self.tissue = draw_table(Tissue, generator)
        self.details = draw_details(generator)

    def paint(self, shape: Shape, phase: float) -> tuple[np.ndarray, np.ndarray]:
        """Echo map in dB (SAMPLES, BEAMS) float32, and where it is blood, bool of the same shape.

        phase: radians of the cycle, for the heart's drift.
        """
        self._origin, self._across, self._along = pose(self.heart, shape.contraction, phase)
        self._map = np.full((SAMPLES, BEAMS), self.tissue.background, np.float32)
        self._paint_surroundings(shape)
        self._paint_walls(shape)
        self._paint_chambers(shape)
        blood = self._map == np.float32(self.tissue.blood)
        self._paint_inside(shape)
        self._paint_valves(shape)
        self._paint_near_field()
        blood &= self._map == np.float32(self.tissue.blood)
        return self._map, blood

    # --- pens -----------------------------------------------------------------------------------

    def _fill(self, points: np.ndarray, level: float) -> None:
        """Fill a polygon given in heart coordinates."""
        points = np.asarray(points, float)
        world = self._origin + points[:, :1] * self._across + points[:, 1:] * self._along
        fill_beams(self._map, self.sector.to_beams(world), level)

    def _stroke(self, points: np.ndarray, level: float, width: float | np.ndarray) -> None:
        """Draw a curve as a strip `width` mm wide (a number, or one a point)."""
        points = np.asarray(points, float)
        tangent = np.gradient(points, axis=0)
        normal = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)
        normal /= np.hypot(*tangent.T)[:, None] + 1e-9
        half = 0.5 * normal * np.reshape(width, (-1, 1))
        self._fill(np.concatenate([points + half, (points - half)[::-1]]), level)

    def _ellipse(self, centre: np.ndarray, across: float, along: float, level: float) -> None:
        angle = np.linspace(0, 2 * np.pi, 14, endpoint=False)
        ring = np.stack([across * np.cos(angle), along * np.sin(angle)], axis=1)
        self._fill(centre + ring, level)

    # --- layers, from the back to the front -----------------------------------------------------

    def _paint_surroundings(self, shape: Shape) -> None:
        tissue, arc = self.tissue, shape.posterior_arc
        beyond = np.array([[400.0, arc[-1, 1]], [400, 400], [-400, 400], [-400, arc[0, 1]]])
        self._fill(np.concatenate([arc, beyond]), tissue.posterior)
        outer = shape.lateral_outside[8:]
        reach = np.linspace(0, np.pi, len(outer))
        beyond = outer + np.stack([tissue.lung_width * np.sin(reach), 0 * reach], axis=1)
        self._fill(np.concatenate([outer, beyond[::-1]]), tissue.lung)
        taper = np.clip(np.sin(np.linspace(0.15, np.pi - 0.15, len(arc))), 0.2, 1)
        self._stroke(arc, tissue.arc, tissue.arc_width * taper)
        for across, depth, wide, deep, level in self.details["strays"]:
            angle = across * self.sector.half_angle
            centre = depth * self.sector.depth * np.array([np.sin(angle), np.cos(angle)])
            turn = np.linspace(0, 2 * np.pi, 14, endpoint=False)
            ring = centre + np.stack([wide * np.cos(turn), deep * np.sin(turn)], axis=1)
            fill_beams(self._map, self.sector.to_beams(ring), level)

    def _paint_walls(self, shape: Shape) -> None:
        tissue, heart = self.tissue, self.heart
        wall = np.linspace(0.6, 1.0, len(shape.right_wall))[:, None] * heart.rv_wall
        outer = shape.right_wall - wall * [1.0, 0.45]
        self._fill(np.concatenate([shape.septal_outside[4:], outer[::-1]]), tissue.right_wall)
        for atrium in (shape.right_atrium, shape.left_atrium):
            self._stroke(np.vstack([atrium, atrium[:1]]), tissue.atrial_wall, heart.atrial_wall)
        lateral = tissue.septum - tissue.lateral_loss
        septal_wall = [shape.septal_cavity, shape.septal_outside[::-1]]
        self._fill(np.concatenate(septal_wall), tissue.septum)
        self._fill(np.concatenate([shape.lateral_cavity, shape.lateral_outside[::-1]]), lateral)
        tip = [shape.septal_outside[WALL_STEP * 2 :: -1], shape.lateral_outside[: WALL_STEP * 2]]
        apical = tissue.septum - 0.6 * tissue.lateral_loss - tissue.apical_loss
        self._fill(np.concatenate([*tip, shape.axis[:1]]), apical)
        self._paint_rims(shape, lateral, apical)
        skin = np.concatenate([shape.septal_outside[3::-1], shape.lateral_outside])
        width = tissue.pericardium_width * np.linspace(0.3, 1.0, len(skin))
        self._stroke(skin + [1.0, 0.0], tissue.pericardium - 0.5 * tissue.lateral_loss, width)
        self._paint_annulus(shape, lateral)

    def _paint_rims(self, shape: Shape, lateral: float, apical: float) -> None:
        """The walls' inner layer is dimmer than their middle."""
        tissue = self.tissue
        septal_rim = shape.septal_cavity[4:] - [0.5 * tissue.septal_rim, 0]
        self._stroke(septal_rim, tissue.septum - tissue.septal_rim_loss, tissue.septal_rim)
        lateral_rim = shape.lateral_cavity[4:] + [0.5 * tissue.lateral_rim, 0]
        self._stroke(lateral_rim, lateral - tissue.lateral_rim_loss, tissue.lateral_rim)
        tip = np.concatenate([shape.septal_cavity[6:0:-1], shape.lateral_cavity[:7]])
        tip_rim = tip - [0, 0.5 * tissue.lateral_rim]
        self._stroke(tip_rim, apical - tissue.lateral_rim_loss, tissue.lateral_rim + 1.0)

    def _paint_annulus(self, shape: Shape, lateral: float) -> None:
        """Bright fibrous tissue at the two ends of the mitral annulus."""
        tissue, heart = self.tissue, self.heart
        left, right = shape.septal_cavity[-1], shape.septal_outside[-1]
        crux = [[right[0], left[1] - 4], [left[0] + 1, left[1] - 4]]
        crux += [[left[0] + 2.5, left[1] + 6], [right[0], left[1] + 7]]
        self._fill(np.array(crux), tissue.crux)
        hinge, wall = shape.lateral_cavity[-1], 0.9 * heart.lateral_wall
        end = [hinge + [-1, -4], hinge + [wall, -4], hinge + [wall, 6], hinge + [-1.5, 5]]
        self._fill(np.array(end), tissue.crux + 0.5 * (lateral - tissue.septum))

    def _paint_chambers(self, shape: Shape) -> None:
        tissue = self.tissue
        for chamber in (shape.right_ventricle, shape.right_atrium, shape.left_atrium):
            self._fill(chamber, tissue.blood)
        self._fill(shape.cavity, tissue.blood)
        # thin in the middle, at the oval fossa; thick where it joins the walls
        thickness = np.interp(np.linspace(0, 1, 14), [0, 0.3, 0.6, 1], [1.8, 0.8, 0.7, 1.6])
        self._stroke(shape.atrial_septum, tissue.atrial_wall, self.heart.atrial_septum * thickness)

    def _paint_inside(self, shape: Shape) -> None:
        """Papillary muscles, trabeculae and cords inside the left ventricle."""
        loss = 0.5 * self.tissue.lateral_loss
        for blob in self.details["muscles"] + self.details["trabeculae"]:
            along, across = (size * self.heart.length for size in blob.size)
            centre = self._in_cavity(shape, *blob.place)
            self._ellipse(centre, across, along, blob.level - loss)
        for along, across, level, width in self.details["cords"]:
            start = self._in_cavity(shape, along, across)
            end = shape.mitral[0][-1] if across < 0.3 else shape.mitral[1][-1]
            self._stroke(np.linspace(start, end, 6), level, width)

    def _in_cavity(self, shape: Shape, along: float, across: float) -> np.ndarray:
        """Point at a share of the way to the base and of the half width on one side."""
        edge = shape.lateral_cavity if across > 0 else shape.septal_cavity
        level = shape.tip + along * (shape.length - shape.tip)
        return np.array([abs(across) * np.interp(level, edge[:, 1], edge[:, 0]), level])

    def _paint_valves(self, shape: Shape) -> None:
        tissue, thickness = self.tissue, self.heart.leaflet_thickness
        taper = np.linspace(1.2, 0.8, 12)
        for leaflet in shape.mitral:
            self._stroke(leaflet, tissue.valve, thickness * taper)
        for leaflet in shape.tricuspid:
            self._stroke(leaflet, tissue.valve - 3, 0.9 * thickness * taper)

    def _paint_near_field(self) -> None:
        rows = int(self.tissue.near_depth / self.sector.depth * SAMPLES)
        np.maximum(self._map[:rows], self.tissue.near, out=self._map[:rows])
