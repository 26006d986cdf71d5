"""Paint the shape of a heart as a map of echo levels in beam space, dB."""

import numpy as np

from .anatomy import Heart, heart_pose
from .ranges import draw_parameters
from .sector import ScanSector, fill_beams
from .shape import Shape, trabecular_layer
from .tissue import Tissue, draw_details

RIM_LAYERS = 3
APEX_POINTS = 10  # of a wall's curve, which form the apex
MIN_TUFT, TUFT_WIDTH = 0.5, 1.6  # mm
COAPTATION_GAP = 4.0  # mm, largest distance between the tips of leaflets that still meet


class Painter:
    """Painter of one heart. Holds the properties that do not change during a clip.

    without: names of `effects.EFFECTS` to switch off.
    """

    def __init__(
        self,
        sector: ScanSector,
        heart: Heart,
        generator: np.random.Generator,
        without: frozenset[str],
    ) -> None:
        self.sector, self.heart, self.without = sector, heart, without
        self.relaxed = self.tissue = draw_parameters(Tissue, generator)  # at end-diastole, and now
        self.details = draw_details(generator)

    def paint(self, shape: Shape, phase: float) -> tuple[np.ndarray, np.ndarray]:
        """Paint the heart at one moment.

        phase: radians of the cycle, for the heart's drift. Returns the map of echo levels in dB,
        (samples, beams) float32, and a mask of the blood, bool of the same shape.
        """
        self._pose = heart_pose(self.heart, shape.contraction, phase)
        self.tissue = self.relaxed.contracted(shape.contraction)
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

    # --- Drawing --------------------------------------------------------------------------------

    def _fill(self, points: np.ndarray, level: float) -> None:
        """Fill a polygon (n, 2) given in heart coordinates."""
        self._fill_world(self._pose.to_world(points), level)

    def _fill_world(self, points: np.ndarray, level: float) -> None:
        """Fill a polygon (n, 2) given in world coordinates."""
        fill_beams(self._map, self.sector.to_beams(points), level)

    def _stroke(self, points: np.ndarray, level: float, width: float | np.ndarray) -> None:
        """Draw a curve as a strip; width in mm, one number or one per point."""
        left, right = _sides(points, width)
        self._fill(np.concatenate([left, right[::-1]]), level)

    def _ellipse(self, centre: np.ndarray, across: float, along: float, level: float) -> None:
        """Fill an ellipse given in heart coordinates by its centre and half axes."""
        self._fill(centre + _ellipse_points(across, along), level)

    # --- Layers, from back to front -------------------------------------------------------------

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
            self._fill_world(centre + _ellipse_points(wide, deep), level)

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
        tip = [shape.septal_outside[APEX_POINTS::-1], shape.lateral_outside[:APEX_POINTS]]
        self._fill(np.concatenate([*tip, shape.axis[:1]]), tissue.apical)
        self._paint_rims(shape)
        line = max(tissue.septal_line, tissue.septum)
        self._stroke(shape.septal_outside[6:], line, tissue.line_width)
        if "pericardium" not in self.without:
            edge = np.concatenate([shape.septal_outside[3::-1], shape.lateral_outside])
            width = tissue.pericardium_width * np.linspace(0.3, 1.0, len(edge))
            self._stroke(edge + [1.0, 0.0], tissue.pericardium - tissue.lateral_loss, width)
        self._paint_annulus(shape)

    def _paint_rims(self, shape: Shape) -> None:
        """Paint the inner layers of the walls, which are dimmer than the middle of the walls."""
        tissue = self.tissue
        tip = np.concatenate([shape.septal_cavity[6:0:-1], shape.lateral_cavity[:7]])
        loss, width = tissue.lateral_rim_loss, tissue.lateral_rim
        septal = (tissue.septum, tissue.septal_rim_loss, tissue.septal_rim)
        self._paint_rim(shape.septal_cavity[4:], [-1, 0], *septal)
        self._paint_rim(shape.lateral_cavity[4:], [1, 0], tissue.lateral, loss, width)
        self._paint_rim(tip, [0, -1], tissue.apical, loss, width + 1.0)

    def _paint_rim(self, edge, outward: list, level: float, loss: float, width: float) -> None:
        """Paint layers along the inner edge of a wall, the innermost being the dimmest."""
        layer = width / RIM_LAYERS
        for number in reversed(range(RIM_LAYERS)):
            middle = edge + (number + 0.5) * layer * np.array(outward)
            dim = self.tissue.dimmed(level, loss * (1 - number / RIM_LAYERS))
            self._stroke(middle, dim, 1.3 * layer)

    def _paint_annulus(self, shape: Shape) -> None:
        """Paint the bright fibrous tissue at the two ends of the mitral annulus."""
        tissue, heart = self.tissue, self.heart
        left, hinge = self._hinges(shape)
        right = shape.septal_outside[-1]
        crux = [[right[0], left[1] - 4], [left[0] + 1, left[1] - 4]]
        crux += [[left[0] + 2.5, left[1] + 6], [right[0], left[1] + 7]]
        self._fill(np.array(crux), tissue.crux)
        wall = 0.9 * heart.lateral_wall
        end = [hinge + [-1, -4], hinge + [wall, -4], hinge + [wall, 6], hinge + [-1.5, 5]]
        self._fill(np.array(end), tissue.crux - tissue.lateral_loss)

    @staticmethod
    def _hinges(shape: Shape) -> tuple[np.ndarray, np.ndarray]:
        """Hinges of the septal and the lateral mitral leaflet, (2,) each."""
        return shape.mitral[0][0], shape.mitral[1][0]

    def _paint_chambers(self, shape: Shape) -> None:
        tissue = self.tissue
        if "stray echoes" not in self.without:
            self._paint_streaks(shape)
        for atrium in (shape.right_atrium, shape.left_atrium):
            self._fill(atrium, tissue.atrium)
        self._fill(shape.right_ventricle, tissue.blood)
        self._fill(shape.cavity, tissue.blood)
        (septal, lateral), ends = self._hinges(shape), shape.cavity[[-1, 0]]
        self._fill(np.stack([septal, lateral, *ends]), tissue.atrium)  # below the valve
        # thin in the middle, at the oval fossa; thick where it joins the walls
        thickness = np.interp(np.linspace(0, 1, 14), [0, 0.3, 0.6, 1], [1.8, 0.8, 0.7, 1.6])
        self._stroke(shape.atrial_septum, tissue.atrial_wall, self.heart.atrial_septum * thickness)

    def _paint_streaks(self, shape: Shape) -> None:
        """Paint bright lines from the cavity's edge outward, like those of lung and pericardium."""
        for side, place, length, slope, width, level in self.details["streaks"]:
            wall = shape.lateral_cavity if side > 0 else shape.septal_cavity
            start = wall[int(place * (len(wall) - 1))]
            step = length * np.array([side, slope]) / np.hypot(1, slope)
            line = start + np.linspace(0, 1, 6)[:, None] * step
            self._stroke(line, level, width * np.linspace(0.5, 1.0, 6))

    def _paint_inside(self, shape: Shape) -> None:
        """Paint the rough inner layer, papillary muscles, trabeculae and chordae of the LV."""
        loss = self.tissue.lateral_loss
        muscles, trabeculae, chordae = (
            [] if effect in self.without else self.details[name]
            for name, effect in (("muscles", "papillary muscles"), ("trabeculae", "trabeculae"),
                                 ("chordae", "papillary muscles"))
        )  # fmt: skip
        if "trabeculae" not in self.without:
            self._paint_layer(shape)
        for blob in muscles + trabeculae:
            along, across = (size * self.heart.length for size in blob.size)
            centre = self._in_cavity(shape, *blob.place)
            self._ellipse(centre, across, along, blob.level - loss)
        for along, across, level, width in chordae:
            start = self._in_cavity(shape, along, across)
            end = shape.mitral[0][-1] if across < 0.3 else shape.mitral[1][-1]
            self._stroke(np.linspace(start, end, 6), level, width)

    def _paint_layer(self, shape: Shape) -> None:
        """Paint the trabeculae as a layer between wall and blood, thickest at the apex."""
        tissue = self.tissue
        wall = 0.5 * (tissue.lateral + tissue.apical)
        level = tissue.blood + self.heart.trabecular_level * (wall - tissue.blood)
        for edge in (shape.septal_cavity, shape.lateral_cavity):
            inner = edge + trabecular_layer(self.heart, edge, shape.contraction)
            self._fill(np.concatenate([edge, inner[::-1]]), level)

    def _paint_outflow(self, shape: Shape) -> None:
        """Paint the aortic root between septum and left atrium: blood, two walls, closed valve."""
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
        """Point at shares of the way to the base and of the half width (positive: lateral)."""
        edge = shape.lateral_cavity if across > 0 else shape.septal_cavity
        level = shape.tip + along * (shape.length - shape.tip)
        return np.array([abs(across) * np.interp(level, edge[:, 1], edge[:, 0]), level])

    def _paint_valves(self, shape: Shape) -> None:
        tissue, thickness = self.tissue, self.heart.leaflet_thickness
        taper = np.linspace(1.2, 0.8, 12)
        self._paint_mitral(shape)
        for leaflet in shape.tricuspid:
            self._stroke(leaflet, tissue.valve - 3, 0.9 * thickness * taper)

    def _paint_mitral(self, shape: Shape) -> None:
        """Paint the mitral leaflets; pieces that face the probe are brighter."""
        tissue, valve = self.tissue, self.heart.valve
        for side, curve in enumerate(shape.mitral):
            self._paint_chordae(shape, valve.chordae[side], curve, side)
            origin, across, along = self._pose
            world = origin + curve.mean(axis=0) @ np.stack([across, along])
            beam = np.array([across @ world, along @ world]) / np.hypot(*world)
            levels = tissue.valve + valve.levels(side, curve, beam)
            widths = self.heart.leaflet_thickness * valve.thickness(side)
            left, right = (
                self.sector.to_beams(self._pose.to_world(side)) for side in _sides(curve, widths)
            )
            for piece, level in enumerate(levels):
                if level > tissue.blood:
                    part = np.s_[max(piece - 1, 0) : piece + 2]  # pieces overlap: no gaps show
                    corners = np.concatenate([left[part], right[part][::-1]])
                    fill_beams(self._map, corners, level)
        anterior_tip, posterior_tip = (curve[-1] for curve in shape.mitral)
        gap = np.hypot(*(anterior_tip - posterior_tip))
        tuft = valve.anterior.tuft * (1 - gap / COAPTATION_GAP)
        if tuft > MIN_TUFT:
            line = np.linspace(anterior_tip, anterior_tip - [0, tuft], 4)
            self._stroke(line, tissue.valve - 4, TUFT_WIDTH)

    def _paint_chordae(
        self, shape: Shape, chordae: np.ndarray, curve: np.ndarray, side: int
    ) -> None:
        """Paint chordae tendineae: thin lines from a leaflet towards a papillary muscle."""
        muscle = self._in_cavity(shape, 0.5, -0.55 if side == 0 else 0.7)
        for place, reach, sideways, level, width in chordae:
            start = curve[int(place * (len(curve) - 1))]
            end = start + reach * (muscle + [sideways, 0] - start)
            self._stroke(np.linspace(start, end, 6), self.tissue.valve + level, width)

    def _paint_near_field(self) -> None:
        rows = int(self.tissue.near_depth / self.sector.sample_mm)
        np.maximum(self._map[:rows], self.tissue.near, out=self._map[:rows])


def _sides(points: np.ndarray, width: float | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both long sides, (n, 2) each, of a strip along a curve; width: see `Painter._stroke`."""
    points = np.asarray(points, float)
    tangent = np.gradient(points, axis=0)
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)
    normal /= np.hypot(*tangent.T)[:, None] + 1e-9
    half = 0.5 * normal * np.reshape(width, (-1, 1))
    return points + half, points - half


def _ellipse_points(across: float, along: float) -> np.ndarray:
    """(14, 2) points of an ellipse around the origin with the given half axes."""
    angle = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    return np.stack([across * np.cos(angle), along * np.sin(angle)], axis=1)
