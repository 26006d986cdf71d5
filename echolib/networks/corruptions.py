"""Twelve corruptions of ultrasound images, in five severities each.

Every corruption changes only pixels inside the sector. It draws from its own generator, and draws
equal numbers for all severities, so that a higher severity is never nearer to the clean image.
Levels marked MedMNIST-C, ImageNet-C, EchoNet or usaugment are those of Di Salvo et al. (2024),
Hendrycks and Dietterich (ICLR 2019), Ouyang et al. (Nature 2020, Extended Data Fig. 6) and of
the usaugment library; the others were chosen here by eye, from just visible to barely readable.
"""

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator

from ..data.sector import Sector, find_sector
from ..errors import did_you_mean

SEVERITIES = (1, 2, 3, 4, 5)
SHADOW_ONSET = 0.05  # of the sector's depth, over which a shadow begins


# --- The corruptions ------------------------------------------------------------------------------
# Each takes an image (H, W) float32 in [0, 1], its sector, a level and a generator, and returns a
# corrupted image (H, W).


def speckle(image: np.ndarray, sector: Sector, level: float, generator: Generator) -> np.ndarray:
    """Multiplicative noise, x + x N(0, level). Levels: MedMNIST-C."""
    return image * (1 + level * _normal(image, generator))


def gaussian(image: np.ndarray, sector: Sector, level: float, generator: Generator) -> np.ndarray:
    """Additive noise x + N(0, level), like that of an amplifier turned up. Levels: ImageNet-C."""
    return image + level * _normal(image, generator)


def dropout(image: np.ndarray, sector: Sector, level: float, generator: Generator) -> np.ndarray:
    """Black pixels: a share `level` of all. Levels: EchoNet."""
    return np.where(generator.random(image.shape) < level, 0, image)


def attenuation(
    image: np.ndarray, sector: Sector, level: float, generator: Generator
) -> np.ndarray:
    """Echoes that fade with depth, x exp(-level depth). Levels: usaugment, 0 to 3."""
    return image * np.exp(-level * sector.depth)


def shadow(image: np.ndarray, sector: Sector, level: tuple, generator: Generator) -> np.ndarray:
    """Acoustic shadow of an obstacle: the beams behind it are dark down to the sector's bottom.

    level: strength, and the obstacle's width across the beams as a share of the sector's depth.
    The shadow widens with depth, as the beams do. Levels: usaugment, strength .25 to .8; the
    widths were chosen so that a frame differs from the clean one about as much as with
    usaugment's own shadow, a patch of widths .04 to .2 that ends half-way down.
    """
    strength, width = level
    depth, angle = generator.uniform(0.3, 0.7), generator.uniform(-0.4, 0.4)
    off_beam = depth * np.sin(sector.angle - angle) / width
    above = np.minimum(sector.depth - depth, 0) / SHADOW_ONSET
    return image * (1 - strength * np.exp(-0.5 * (off_beam**2 + above**2)))


def haze(image: np.ndarray, sector: Sector, level: tuple, generator: Generator) -> np.ndarray:
    """Bright band of reverberated sound at one depth R, x + a U(0, 1) exp(-(r - R)^2 / 2 s^2).

    level: a and s. Levels: usaugment, a up to .5, s up to .1, R from .05 to .95.
    """
    amount, spread = level
    depth, grain = generator.uniform(0.05, 0.95), generator.random(image.shape)
    return image + amount * grain * np.exp(-((sector.depth - depth) ** 2) / (2 * spread**2))


def clutter(image: np.ndarray, sector: Sector, level: float, generator: Generator) -> np.ndarray:
    """Near-field clutter: smooth bright fog below the probe, where the apex lies."""
    fog = cv2.GaussianBlur(generator.random(image.shape).astype(np.float32), (0, 0), 2.0)
    fog = (fog - fog.min()) / max(1e-6, float(np.ptp(fog)))
    return image + level * (0.5 + 0.5 * fog) * np.exp(-((sector.depth / 0.35) ** 2))


def gain(image: np.ndarray, sector: Sector, level: tuple, generator: Generator) -> np.ndarray:
    """One wrong setting: too little contrast, too much gain or too little gain.

    level: factor of the contrast, of a raised gain and of a lowered gain. Levels: MedMNIST-C.
    """
    contrast, raised, lowered = level
    setting = generator.integers(3)
    if setting == 0:
        mean = image[sector.inside].mean()
        return mean + contrast * (image - mean)
    return image * (raised if setting == 1 else lowered)


def motion(image: np.ndarray, sector: Sector, level: float, generator: Generator) -> np.ndarray:
    """Blur along one direction, as if frames were averaged while the heart moves.

    level: standard deviation in px in a frame of 112 px.
    """
    angle = generator.uniform(0, np.pi)
    sigma = level * image.shape[0] / 112
    radius = int(np.ceil(3 * sigma))
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    along = x * np.cos(angle) + y * np.sin(angle)
    across = -x * np.sin(angle) + y * np.cos(angle)
    kernel = np.exp(-0.5 * (along / sigma) ** 2 - 0.5 * (across / 0.4) ** 2)
    kernel /= kernel.sum()
    return _smooth_inside(image, sector, lambda values: cv2.filter2D(values, -1, kernel))


def low_resolution(
    image: np.ndarray, sector: Sector, level: float, generator: Generator
) -> np.ndarray:
    """Image shrunk to a share `level` of its size and enlarged. Levels: MedMNIST-C, pixelate."""
    height, width = image.shape
    small = (max(1, round(level * width)), max(1, round(level * height)))

    def pixelate(values: np.ndarray) -> np.ndarray:
        values = cv2.resize(values, small, interpolation=cv2.INTER_AREA)
        return cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR)

    return _smooth_inside(image, sector, pixelate)


def jpeg(image: np.ndarray, sector: Sector, level: int, generator: Generator) -> np.ndarray:
    """Image compressed as JPEG of quality `level`. Levels: MedMNIST-C."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(level)]
    _, stored = cv2.imencode(".jpg", np.rint(255 * image).astype(np.uint8), quality)
    return np.asarray(cv2.imdecode(stored, cv2.IMREAD_GRAYSCALE), np.float32) / 255


def reverberation(
    image: np.ndarray, sector: Sector, level: float, generator: Generator
) -> np.ndarray:
    """Three deeper and fainter copies of strong echoes, whose sound is reflected back and forth.

    level: strength of the first copy, and the ratio of each further copy to the one before it.
    Strong echoes are brighter than half of the 99th percentile of the grey levels in the sector.
    """
    step = generator.uniform(0.08, 0.2)
    result = image.copy()
    strong = np.maximum(0, 2 * image - np.percentile(image[sector.inside], 99))
    across, down = np.sin(sector.angle), np.cos(sector.angle)
    for copy in (1, 2, 3):
        source = (sector.depth - copy * step) * sector.reach
        x = (sector.apex[0] + source * across).astype(np.float32)
        y = (sector.apex[1] + source * down).astype(np.float32)
        moved = cv2.remap(strong, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        result += level**copy * np.where(source > 0, moved, 0)
    return result


def _normal(image: np.ndarray, generator: Generator) -> np.ndarray:
    return generator.standard_normal(image.shape, np.float32)


def _smooth_inside(image: np.ndarray, sector: Sector, smooth: Callable) -> np.ndarray:
    """Smooth an image without its pixels outside the sector, so that the edge stays bright."""
    inside = sector.inside.astype(np.float32)
    return smooth(image * inside) / np.maximum(smooth(inside), 1e-3)


@dataclass(frozen=True)
class Corruption:
    """A corruption's function, its five levels, and its family."""

    apply: Callable
    levels: tuple
    family: str


CORRUPTIONS = {
    "speckle": Corruption(speckle, (0.10, 0.15, 0.20, 0.25, 0.30), "noise"),
    "gaussian": Corruption(gaussian, (0.08, 0.12, 0.18, 0.26, 0.38), "noise"),
    "dropout": Corruption(dropout, (0.1, 0.2, 0.3, 0.4, 0.5), "noise"),
    "attenuation": Corruption(attenuation, (0.6, 1.2, 1.8, 2.4, 3.0), "loss"),
    "shadow": Corruption(
        shadow,
        ((0.25, 0.010), (0.40, 0.014), (0.55, 0.022), (0.70, 0.034), (0.80, 0.046)),
        "loss",
    ),
    "gain": Corruption(
        gain,
        ((0.9, 1.4, 0.55), (0.8, 1.55, 0.5), (0.65, 1.7, 0.42), (0.5, 1.85, 0.36))
        + ((0.4, 2.0, 0.3),),
        "loss",
    ),
    "haze": Corruption(
        haze, ((0.1, 0.02), (0.2, 0.04), (0.3, 0.06), (0.4, 0.08), (0.5, 0.1)), "fog"
    ),
    "clutter": Corruption(clutter, (0.15, 0.3, 0.45, 0.6, 0.75), "fog"),
    "reverberation": Corruption(reverberation, (0.15, 0.3, 0.45, 0.6, 0.75), "fog"),
    "motion": Corruption(motion, (1.0, 1.5, 2.0, 3.0, 4.0), "blur"),
    "low_resolution": Corruption(low_resolution, (0.30, 0.25, 0.20, 0.15, 0.10), "blur"),
    "jpeg": Corruption(jpeg, (50, 30, 15, 10, 7), "blur"),
}

# Half of the corruptions, one or two of each family, may be used in training. The other half may
# not, so that every model is also tested on corruptions that it was not trained on.
SEEN = ("gaussian", "attenuation", "gain", "clutter", "motion", "low_resolution")
UNSEEN = tuple(name for name in CORRUPTIONS if name not in SEEN)


def check_corruptions(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names as a tuple. Raises ValueError for a name that is no corruption."""
    names = tuple(names)
    unknown = [name for name in names if name not in CORRUPTIONS]
    if unknown:
        raise ValueError(
            f"Unknown corruptions {unknown}; expected names from {[*CORRUPTIONS]}."
            f"{did_you_mean(unknown[0], CORRUPTIONS)}"
        )
    return names


def corrupt(
    image: np.ndarray, name: str, severity: int, seed: int = 0, sector: Sector | None = None
) -> np.ndarray:
    """Corrupt one frame (H, W) uint8; returns (H, W) uint8.

    name: one of `CORRUPTIONS`. severity: 0 (unchanged) to 5. seed: use one for all severities of a
    frame. sector: of the image, detected by default; for a clip, pass that of the first frame.
    Raises ValueError for an unknown name or severity, or an image that is not (H, W) uint8.
    """
    check_corruptions([name])
    if severity not in (0, *SEVERITIES):
        raise ValueError(f"The severity must be a whole number from 0 to 5, not {severity!r}.")
    image = np.asarray(image)
    if image.ndim != 2 or image.dtype != np.uint8:
        raise ValueError(f"Expected a frame (H, W) uint8, found {image.shape} {image.dtype}.")
    if severity == 0:
        return image.copy()
    corruption, severity = CORRUPTIONS[name], int(severity)
    generator = np.random.default_rng([seed, zlib.crc32(name.encode())])
    sector = find_sector(image) if sector is None else sector
    level = corruption.levels[severity - 1]
    changed = corruption.apply(image.astype(np.float32) / 255, sector, level, generator)
    changed = np.rint(255 * np.clip(changed, 0, 1)).astype(np.uint8)
    return np.where(sector.inside, changed, image)


def corrupt_some(
    images: np.ndarray,
    share: float,
    names: tuple[str, ...],
    generator: Generator,
    first: int = 0,
    whole: int | None = None,
) -> np.ndarray:
    """Corrupt a share of training images (N, H, W) uint8; each draws its name and severity.

    first, whole: the images are those from number `first` on of a batch of `whole` images, and are
    corrupted as they would be in there.
    """
    images = images.copy()
    for number in np.flatnonzero(generator.random(whole or len(images)) < share):
        name = names[generator.integers(len(names))]
        severity, seed = int(generator.choice(SEVERITIES)), int(generator.integers(2**31))
        index = number - first
        if 0 <= index < len(images):
            images[index] = corrupt(images[index], name, severity, seed)
    return images
