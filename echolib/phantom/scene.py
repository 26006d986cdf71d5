"""One heart under one scanner, drawn from a seed, and its labels: tracing, regions, leaflets."""

from collections.abc import Iterable

import numpy as np
from scipy import ndimage

from .. import geometry
from .anatomy import Heart, draw_heart, heart_pose
from .cycle import draw_cycle
from .effects import check_effects
from .sector import REFERENCE_SIZE, ScanSector, draw_sector
from .shape import PROFILE, ventricle_shape
from .ultrasound import Scan

# share of the single frames from the plain renderer: they look less real, but train a network well
PLAIN_SHARE = 0.5
MAX_ATTEMPTS = 1000  # hearts that are drawn until one fits into its sector

# An expert draws the septum where it begins to brighten. On CAMUS training patients the grey has
# risen by a quarter 1 px inside the line, with a standard deviation of half a px
# (benchmarks/outlines.py). Here it is 0.6 px, because networks that learnt 1 px drew the septum of
# CAMUS 0.7 px too far out. Lengths are px of a frame of 112 x 112, outward from the line.
STEPS = np.arange(-8.0, 8.5, 0.5)  # where grey is read
RISEN, SEEN_AT = 0.25, -0.6
MAX_SHIFT = 2.5  # of the line
VISIBLE_RISE = 4  # greys; where the septum is less bright than that, the line stays
SEEN_LEVELS = (0.1, 0.25, 0.8, 0.93)  # of the way to the base: nowhere, fully, fully, nowhere


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


def trace(scan: Scan, moment: float, image: np.ndarray | None = None) -> geometry.Tracing:
    """Compute the expert's tracing of the frame at `moment` s, px, rounded as in the files.

    image: the frame that the expert looks at, (size, size) uint8. The septal line then lies where
    the picture brightens; without an image, where the wall is known to be.
    """
    shape = scan.shape(moment)
    outline = scan.to_pixels(shape.outline, shape, moment)
    if image is not None and "expert's inset" not in scan.without:
        outline[: len(PROFILE)] = seen_septum(image, outline[: len(PROFILE)], scan.sector.size)
    axis = scan.to_pixels(shape.axis, shape, moment)
    tracing = geometry.outline_to_tracing(outline, axis, corners=outline[[0, -1]])  # the hinges
    return geometry.Tracing(tracing.axis.round(4), tracing.chords.round(4))


def seen_septum(image: np.ndarray, line: np.ndarray, size: int) -> np.ndarray:
    """Move a septal line to where the septum brightens in a frame.

    line: (n, 2) px, from base to apex, its points at the levels of `PROFILE`. The line moves by one
    distance, less towards both ends. It stays where no septum is seen. size: px of the frame.
    """
    level, px = PROFILE[::-1], size / REFERENCE_SIZE
    tangent = np.gradient(line, axis=0)
    normals = np.stack([tangent[:, 1], -tangent[:, 0]], axis=1)  # to the image-left of base to apex
    normals /= np.hypot(*normals.T)[:, None] + 1e-9
    middle = (level >= SEEN_LEVELS[1]) & (level <= SEEN_LEVELS[2])
    places = line[middle] + px * STEPS[:, None, None] * normals[middle]
    grey = ndimage.gaussian_filter(image.astype(float), 0.7 * px)
    curve = ndimage.map_coordinates(grey, places.T[::-1], order=1, mode="nearest").mean(axis=0)
    curve = ndimage.gaussian_filter1d(curve, 1.5)
    inside, peak = curve[STEPS <= -3].mean(), curve[STEPS >= 0].max()
    if peak < inside + VISIBLE_RISE:
        return line
    risen = (curve >= inside + RISEN * (peak - inside)) & (STEPS >= -4)
    shift = np.clip(STEPS[risen.argmax()] - SEEN_AT, -MAX_SHIFT, MAX_SHIFT)
    return line + px * shift * np.interp(level, SEEN_LEVELS, [0, 1, 1, 0])[:, None] * normals


def label_map(scan: Scan, moment: float, tracing: geometry.Tracing | None = None) -> np.ndarray:
    """Label the regions of the frame at `moment` s, numbered as in CAMUS, (size, size) uint8.

    0 background, 1 cavity as an expert traces it, 2 wall of the left ventricle, 3 left atrium.
    tracing: the expert's of the same moment, by default one without a frame, see `trace`.
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
