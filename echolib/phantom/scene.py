"""One heart under one scanner, drawn from a seed, and its labels: tracing, regions, leaflets."""

from collections.abc import Iterable

import numpy as np

from .. import geometry
from .anatomy import Heart, draw_heart, heart_pose
from .cycle import draw_cycle
from .effects import check_effects
from .sector import ScanSector, draw_sector
from .shape import ventricle_shape
from .ultrasound import Scan

# share of the single frames from the plain renderer: they look less real, but train a network well
PLAIN_SHARE = 0.5
MAX_ATTEMPTS = 1000  # hearts that are drawn until one fits into its sector


def draw_scan(
    seed: int,
    stream: int,
    index: int,
    size: int,
    plain_share: float = PLAIN_SHARE,
    without: Iterable[str] = (),
) -> tuple[Scan, np.random.Generator]:
    """Draw heart number `index` of a random stream, and a scanner.

    size: px of the square frames. plain_share: share of the hearts that the plain renderer draws;
    the physical renderer draws the others. without: names of `effects.EFFECTS` to switch off.
    Returns the scan, and a generator for the caller's own choices, such as the moment of a frame.

    Each part of the scene has a generator of its own, so that a change of the ranges of one part
    does not change the others. Hearts that do not fit into their sector are redrawn.
    """
    sequence = np.random.SeedSequence([seed, stream, index])
    parts = [np.random.default_rng(part) for part in sequence.spawn(4)]
    anatomy, timing, scanner, choice = parts
    cycle, without = draw_cycle(timing), check_effects(without)
    for _ in range(MAX_ATTEMPTS):
        heart = draw_heart(anatomy, without)
        sector = draw_sector(anatomy, size, without)
        renderer = "plain" if choice.random() < plain_share else "physical"
        if _fits(heart, sector):
            return Scan(sector, heart, cycle, scanner, renderer, without), choice
    raise RuntimeError(
        f"None of {MAX_ATTEMPTS} hearts fitted into its sector. The ranges of the heart and of the "
        "sector contradict each other: see `tables.range_table`."
    )


def _fits(heart: Heart, sector: ScanSector) -> bool:
    """Return True if the traced outline stays inside the visible sector, drift included."""
    for contraction in (0.0, 1.0):
        outline = ventricle_shape(heart, contraction).outline
        for phase in np.arange(4) * np.pi / 2:
            world = heart_pose(heart, contraction, phase).to_world(outline)
            if not sector.shows(sector.to_pixels(world), margin=1).all():
                return False
    return True


def trace(scan: Scan, moment: float) -> geometry.Tracing:
    """Compute the expert's tracing of the frame at `moment` s, px, rounded as in the files."""
    shape = scan.shape(moment)
    outline = scan.to_pixels(shape.outline, shape, moment)
    axis = scan.to_pixels(shape.axis, shape, moment)
    tracing = geometry.outline_to_tracing(outline, axis, corners=outline[[0, -1]])  # the hinges
    return geometry.Tracing(tracing.axis.round(4), tracing.chords.round(4))


def label_map(scan: Scan, moment: float, tracing: geometry.Tracing | None = None) -> np.ndarray:
    """Label the regions of the frame at `moment` s, numbered as in CAMUS, (size, size) uint8.

    0 background, 1 cavity as an expert traces it, 2 wall of the left ventricle, 3 left atrium.
    tracing: of the same moment, if the caller has it already.
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


def leaflet_curves(scan: Scan, moment: float) -> tuple[np.ndarray, np.ndarray]:
    """Compute the anterior and posterior mitral leaflet at `moment` s, (n, 2) px, hinge to tip."""
    shape = scan.shape(moment)
    anterior, posterior = (scan.to_pixels(curve, shape, moment) for curve in shape.mitral)
    return anterior, posterior
