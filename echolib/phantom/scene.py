"""One heart under one scanner, drawn from a seed, and how an expert would trace it."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from .. import geometry
from .anatomy import CLOSE_EJECTIONS, EJECTIONS, Heart, draw_heart, to_world
from .cycle import draw_cycle
from .effects import check_effects
from .sector import Sector, draw_sector
from .shape import ventricle_shape
from .ultrasound import Scan
from .valve import draw_valve

PLAIN_SHARE = 0.5  # of single frames; plain ones teach a network more than they please the eye


def draw_scan(
    seed: int,
    stream: int,
    index: int,
    size: int,
    plain_share: float = PLAIN_SHARE,
    without: Iterable[str] = (),
    close: bool = False,
) -> tuple[Scan, np.random.Generator]:
    """Heart number `index` under a scanner, and a generator for what is decided about it.

    plain_share: of the hearts that are rendered plainly; the others are rendered physically.
    without: names of `effects.EFFECTS` to switch off. close: with the mitral valve seen closely
    (`valve`), else as two strokes.

    Every part of the scene has a generator of its own, so that a change of one table of ranges
    leaves the others' draws as they were. Hearts that do not fit into their sector are redrawn.
    """
    sequence = np.random.SeedSequence([seed, stream, index])
    parts = [np.random.default_rng(part) for part in sequence.spawn(5)]
    anatomy, timing, machine, choice, leaflets = parts
    cycle, without = draw_cycle(timing), check_effects(without)
    for _ in range(1000):
        heart = draw_heart(anatomy, without, CLOSE_EJECTIONS if close else EJECTIONS)
        sector = draw_sector(anatomy, size, without)
        if close:
            heart = replace(heart, valve=draw_valve(leaflets))
        renderer = "plain" if choice.random() < plain_share else "physical"
        if _fits(heart, sector):
            return Scan(sector, heart, cycle, machine, renderer, without), choice
    raise RuntimeError("No heart fitted into its sector: the tables of ranges disagree.")


def _fits(heart: Heart, sector: Sector) -> bool:
    """True when the traced outline stays inside the shown sector, drift included."""
    for contraction in (0.0, 1.0):
        outline = ventricle_shape(heart, contraction).outline
        for phase in np.arange(4) * np.pi / 2:
            world = to_world(heart, outline, contraction, phase)
            if not sector.shows(sector.to_pixels(world), margin=1).all():
                return False
    return True


def trace(scan: Scan, moment: float) -> geometry.Tracing:
    """The expert's tracing of the frame at `moment` s, px, rounded as it is written to a file."""
    shape = scan.shape(moment)
    outline = scan.to_pixels(shape.outline, shape, moment)
    axis = scan.to_pixels(shape.axis, shape, moment)
    tracing = geometry.outline_to_tracing(outline, axis)
    return geometry.Tracing(tracing.axis.round(4), tracing.chords.round(4))


def label_map(scan: Scan, moment: float, tracing: geometry.Tracing | None = None) -> np.ndarray:
    """(size, size) uint8 regions of the frame at `moment` s, numbered as CAMUS numbers them.

    0 background, 1 cavity as an expert traces it, 2 wall of the left ventricle, 3 left atrium.
    tracing: of the same moment, where it is known already.
    """
    shape, sector = scan.shape(moment), scan.sector
    wall = np.concatenate([shape.septal_outside[::-1], shape.lateral_outside])
    labels = np.zeros((sector.size, sector.size), np.uint8)
    for number, curve in ((3, shape.left_atrium), (2, wall)):
        mask = geometry.polygon_to_mask(scan.to_pixels(curve, shape, moment), labels.shape)
        labels[mask & sector.shown] = number
    tracing = tracing or trace(scan, moment)
    labels[tracing.mask(labels.shape)] = 1
    return labels
