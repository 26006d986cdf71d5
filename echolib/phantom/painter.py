"""A heart's shape painted as a map of echo levels in beam space, dB."""

import numpy as np

from .anatomy import Heart, pose
from .ranges import draw_table
from .sector import Sector, fill_beams
from .shape import PROFILE, Shape
from .tissue import Tissue, draw_details

RIM_LAYERS = 3
WALL_STEP = 5  # points of a wall curve that belong to the tip
SMALLEST_TUFT, TUFT_WIDTH = 0.5, 1.6  # mm
TOUCHING = 4.0  # mm between the tips of leaflets that still meet


class Painter:
    """Paints one heart, moment by moment. Holds what stays the same over a clip."""

    def __init__(
        self,
        sector: Sector,
        heart: Heart,
        generator: np.random.Generator,
        without: frozenset[str] = frozenset(),
    ) -> None:
        self.sector, self.heart, self.without = sector, heart, without
        self.tissue = draw_table(Tissue, generator)
        self.details = draw_details(generator)

    def paint(self, shape: Shape, phase: float) -> tuple[np.ndarray, np.ndarray]:
        """Echo map in dB (samples, beams) float32, and where it is blood, bool of the same shape.

        phase: radians of the cycle, for the heart's drift.
        """
        self._origin, self._across, self._along = pose(self.heart, shape.contraction, phase)
        self._map = np.full(self.sector.beam_shape, self.tissue.background, np.float32)
        self._paint_surroundings(shape)
        self._paint_walls(shape)
        self._paint_chambers(shape)
        blood = self._map == np.float32(self.tissue.blood)
        self._paint_inside(shape)
        if self.heart.outflow:
            self._paint_outflow(shape)
        if "valves" not in self.without:
            self._paint_valves(shape)
        if "near-field clutter" not in self.without:
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
        if "pericardium" not in self.without:
            self._stroke(arc, tissue.arc, tissue.arc_width * taper)
        if "stray echoes" in self.without:
            return
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
        septal_wall = [shape.septal_cavity, shape.septal_outside[::-1]]
        self._fill(np.concatenate(septal_wall), tissue.septum)
        lateral_wall = [shape.lateral_cavity, shape.lateral_outside[::-1]]
        self._fill(np.concatenate(lateral_wall), tissue.lateral)
        tip = [shape.septal_outside[WALL_STEP * 2 :: -1], shape.lateral_outside[: WALL_STEP * 2]]
        self._fill(np.concatenate([*tip, shape.axis[:1]]), tissue.apical)
        self._paint_rims(shape)
        line = max(tissue.septal_line, tissue.septum)
        self._stroke(shape.septal_outside[6:], line, tissue.line_width)
        if "pericardium" not in self.without:
            skin = np.concatenate([shape.septal_outside[3::-1], shape.lateral_outside])
            width = tissue.pericardium_width * np.linspace(0.3, 1.0, len(skin))
            self._stroke(skin + [1.0, 0.0], tissue.pericardium - tissue.lateral_loss, width)
        self._paint_annulus(shape)

    def _paint_rims(self, shape: Shape) -> None:
        """The walls' inner layers are dimmer than their middle, the innermost the dimmest."""
        tissue = self.tissue
        tip = np.concatenate([shape.septal_cavity[6:0:-1], shape.lateral_cavity[:7]])
        loss, width = tissue.lateral_rim_loss, tissue.lateral_rim
        septal = (tissue.septum, tissue.septal_rim_loss, tissue.septal_rim)
        self._paint_rim(shape.septal_cavity[4:], [-1, 0], *septal)
        self._paint_rim(shape.lateral_cavity[4:], [1, 0], tissue.lateral, loss, width)
        self._paint_rim(tip, [0, -1], tissue.apical, loss, width + 1.0)

    def _paint_rim(self, edge, outward: list, level: float, loss: float, width: float) -> None:
        """Layers along a wall's inner edge, each less dim than the one before it."""
        layer = width / RIM_LAYERS
        for number in reversed(range(RIM_LAYERS)):
            middle = edge + (number + 0.5) * layer * np.array(outward)
            dim = self.tissue.dimmed(level, loss * (1 - number / RIM_LAYERS))
            self._stroke(middle, dim, 1.3 * layer)

    def _paint_annulus(self, shape: Shape) -> None:
        """Bright fibrous tissue at the two ends of the mitral annulus."""
        tissue, heart = self.tissue, self.heart
        left, right = shape.septal_cavity[-1], shape.septal_outside[-1]
        crux = [[right[0], left[1] - 4], [left[0] + 1, left[1] - 4]]
        crux += [[left[0] + 2.5, left[1] + 6], [right[0], left[1] + 7]]
        self._fill(np.array(crux), tissue.crux)
        hinge, wall = shape.lateral_cavity[-1], 0.9 * heart.lateral_wall
        end = [hinge + [-1, -4], hinge + [wall, -4], hinge + [wall, 6], hinge + [-1.5, 5]]
        self._fill(np.array(end), tissue.crux - tissue.lateral_loss)

    def _paint_chambers(self, shape: Shape) -> None:
        tissue = self.tissue
        if "stray echoes" not in self.without:
            self._paint_streaks(shape)
        for chamber in (shape.right_ventricle, shape.right_atrium, shape.left_atrium):
            self._fill(chamber, tissue.blood)
        self._fill(shape.cavity, tissue.blood)
        # thin in the middle, at the oval fossa; thick where it joins the walls
        thickness = np.interp(np.linspace(0, 1, 14), [0, 0.3, 0.6, 1], [1.8, 0.8, 0.7, 1.6])
        self._stroke(shape.atrial_septum, tissue.atrial_wall, self.heart.atrial_septum * thickness)

    def _paint_streaks(self, shape: Shape) -> None:
        """Bright lines from the cavity's edge outward, as lung and pericardium throw them."""
        for side, place, length, slope, width, level in self.details["streaks"]:
            wall = shape.lateral_cavity if side > 0 else shape.septal_cavity
            start = wall[int(place * (len(wall) - 1))]
            step = length * np.array([side, slope]) / np.hypot(1, slope)
            line = start + np.linspace(0, 1, 6)[:, None] * step
            self._stroke(line, level, width * np.linspace(0.5, 1.0, 6))

    def _paint_inside(self, shape: Shape) -> None:
        """The rough inner layer, papillary muscles, trabeculae and cords in the left ventricle."""
        loss = self.tissue.lateral_loss
        muscles, trabeculae, cords = (
            [] if effect in self.without else self.details[name]
            for name, effect in (("muscles", "papillary muscles"), ("trabeculae", "trabeculae"),
                                 ("cords", "papillary muscles"))
        )  # fmt: skip
        if "trabeculae" not in self.without:
            self._paint_layer(shape)
        for blob in muscles + trabeculae:
            along, across = (size * self.heart.length for size in blob.size)
            centre = self._in_cavity(shape, *blob.place)
            self._ellipse(centre, across, along, blob.level - loss)
        for along, across, level, width in cords:
            start = self._in_cavity(shape, along, across)
            end = shape.mitral[0][-1] if across < 0.3 else shape.mitral[1][-1]
            self._stroke(np.linspace(start, end, 6), level, width)

    def _paint_layer(self, shape: Shape) -> None:
        """Trabeculae seen as a layer between wall and blood, thickest at the tip."""
        tissue = self.tissue
        wall = 0.5 * (tissue.lateral + tissue.apical)
        level = tissue.blood + tissue.layer_level * (wall - tissue.blood)
        thicker = np.exp(-((PROFILE / 0.15) ** 2)) * tissue.apical_layer
        for edge, sign in ((shape.septal_cavity, 1), (shape.lateral_cavity, -1)):
            sideways = sign * np.minimum(tissue.layer_width, 0.4 * np.abs(edge[:, 0]))
            inner = edge + np.stack([sideways, thicker], axis=1)
            self._fill(np.concatenate([edge, inner[::-1]]), level)

    def _paint_outflow(self, shape: Shape) -> None:
        """The aortic root between septum and left atrium: blood, two walls, a shut valve."""
        width, tissue = self.heart.outflow, self.tissue
        top = shape.septal_cavity[-1] + [-0.3 * width, -3.0]
        corner = np.array([[0.0, 0.0], [width, 0.0], [width, 1.5 * width], [0.0, 1.5 * width]])
        root = top + corner
        self._fill(root, tissue.blood)
        for first, last in ((0, 3), (1, 2)):
            self._stroke(np.linspace(root[first], root[last], 6), tissue.atrial_wall, 2.0)
        valve = np.linspace(top + [0, 0.25 * width], top + [width, 0.3 * width], 6)
        self._stroke(valve, tissue.valve - 4, 1.2)

    def _in_cavity(self, shape: Shape, along: float, across: float) -> np.ndarray:
        """Point at a share of the way to the base and of the half width on one side."""
        edge = shape.lateral_cavity if across > 0 else shape.septal_cavity
        level = shape.tip + along * (shape.length - shape.tip)
        return np.array([abs(across) * np.interp(level, edge[:, 1], edge[:, 0]), level])

    def _paint_valves(self, shape: Shape) -> None:
        tissue, thickness = self.tissue, self.heart.leaflet_thickness
        taper = np.linspace(1.2, 0.8, 12)
        if self.heart.valve is not None:
            self._paint_leaflets(shape)
        else:
            for leaflet in shape.mitral:
                self._stroke(leaflet, tissue.valve, thickness * taper)
        for leaflet in shape.tricuspid:
            self._stroke(leaflet, tissue.valve - 3, 0.9 * thickness * taper)

    def _paint_leaflets(self, shape: Shape) -> None:
        """The mitral leaflets piece by piece, as bright as each piece faces the probe."""
        tissue, valve = self.tissue, self.heart.valve
        for side, curve in enumerate(shape.mitral):
            self._paint_cords(shape, valve.cords[side], curve, side)
            world = self._origin + curve.mean(axis=0) @ np.stack([self._across, self._along])
            beam = np.array([self._across @ world, self._along @ world]) / np.hypot(*world)
            levels = tissue.valve + valve.losses(side, curve, beam)
            widths = self.heart.leaflet_thickness * valve.thickness(side)
            for piece, level in enumerate(levels):
                if level > tissue.blood:
                    ends = np.s_[max(piece - 1, 0) : piece + 2]  # pieces overlap: no cracks
                    self._stroke(curve[ends], level, widths[ends])
        meeting, other = (curve[-1] for curve in shape.mitral)
        apart = np.hypot(*(meeting - other)) / TOUCHING
        tuft = valve.anterior.tuft * (1 - apart)  # stands up where the leaflets meet
        if tuft > SMALLEST_TUFT:
            line = np.linspace(meeting, meeting - [0, tuft], 4)
            self._stroke(line, tissue.valve - 4, TUFT_WIDTH)

    def _paint_cords(self, shape: Shape, cords: np.ndarray, curve: np.ndarray, side: int) -> None:
        """Chordae tendineae: thin lines from a leaflet towards a papillary muscle."""
        muscle = self._in_cavity(shape, 0.5, -0.55 if side == 0 else 0.7)
        for place, reach, sideways, level, width in cords:
            start = curve[int(place * (len(curve) - 1))]
            end = start + reach * (muscle + [sideways, 0] - start)
            self._stroke(np.linspace(start, end, 6), self.tissue.valve + level, width)

    def _paint_near_field(self) -> None:
        rows = int(self.tissue.near_depth / self.sector.sample_mm)
        np.maximum(self._map[:rows], self.tissue.near, out=self._map[:rows])
