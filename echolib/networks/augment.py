"""Random changes of a batch on its device: geometry and grey levels."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn.functional import avg_pool2d, grid_sample, interpolate


@dataclass(frozen=True)
class Augmentation:
    """How far a batch is changed: each value is the largest change, and 0 switches it off.

    The defaults were chosen on phantom and CAMUS training frames: strong in geometry, mild in grey
    levels.
    """

    rotation: float = 15.0  # degrees
    scale: float = 0.2  # share of the size
    shift: float = 0.08  # share of the frame
    shear: float = 0.1  # share of the height
    bend: float = 0.02  # smooth displacement, share of the frame (standard deviation)
    flip: float = 0.0  # probability of a left-right mirror
    gamma: float = 0.3  # exponent from 1 / (1 + gamma) to 1 + gamma
    contrast: float = 0.25  # share
    brightness: float = 0.08  # of a range of 1
    gain: float = 0.3  # smooth variation of the gain across the sector, share
    speckle: float = 0.15  # multiplicative noise
    noise: float = 0.03  # additive noise
    blur: float = 0.25  # probability of a 3 x 3 mean

    @classmethod
    def none(cls) -> "Augmentation":
        """No change at all."""
        return cls(*[0.0] * len(cls.__dataclass_fields__))


class Augmenter:
    """Applies an Augmentation to batches, with a random generator of its own on the device.

    `reseed(step)` makes the next batch depend on `seed` and `step` alone, so that a resumed
    training gets the batches that an uninterrupted one would have got.
    """

    def __init__(self, settings: Augmentation, device: torch.device | str, seed: int = 0) -> None:
        self.settings = settings
        self.seed = seed
        self.generator = Generator(device).manual_seed(seed)
        self._place: tuple[slice, int] | None = None

    def reseed(self, step: int, own: slice | None = None, whole: int = 0) -> None:
        """Make the next batch depend on the seed and `step` alone.

        own: the next batch is this part of a batch of `whole` images, and is changed as it would
        be in there.
        """
        self.generator.manual_seed(self.seed * 1_000_003 + step)
        self._place = None if own is None else (own, whole)

    def __call__(
        self, images: Tensor, masks: Tensor, landmarks: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Change a batch.

        images: (N, I, S, S) float in [0, 1]; the I frames of an image are moved alike, but their
        noise differs. masks: (N, C, S, S) float 0 or 1, where C may be 0. landmarks: (N, K, 2) px
        in polygon order, or None. Returns changed images, masks (0 or 1) and landmarks of the
        given shapes.
        """
        grid, matrix, bend, mirrored = self._grid(images)
        both = torch.cat([images, masks], dim=1)
        both = grid_sample(both, grid, mode="bilinear", align_corners=False)
        inputs = images.shape[1]
        images, masks = both[:, :inputs], (both[:, inputs:] >= 0.5).float()
        if landmarks is not None:
            landmarks = _move(landmarks, matrix, bend, mirrored, images.shape[-1])
        return self._grey(images), masks, landmarks

    def _drawn(self, draw: Callable[..., Tensor], shape: tuple, device: torch.device) -> Tensor:
        """Random numbers (N, ...) of the batch, as a part of those of the whole batch."""
        own, whole = self._place or (slice(None), shape[0])
        return draw((whole, *shape[1:]), generator=self.generator, device=device)[own]

    def _uniform(self, batch: int, largest: float, device: torch.device) -> Tensor:
        return largest * (2 * self._drawn(torch.rand, (batch,), device) - 1)

    def _smooth(self, batch: int, channels: int, size: int, device: torch.device) -> Tensor:
        coarse = self._drawn(torch.randn, (batch, channels, 5, 5), device)
        return interpolate(coarse, size=(size, size), mode="bicubic", align_corners=True)

    def _grid(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Sampling grid (N, S, S, 2), its affine part (N, 2, 3), its bend (N, 2, S, S), and which
        images are mirrored, (N,) bool.
        """
        s, (batch, _, size, _), device = self.settings, images.shape, images.device
        angle = torch.deg2rad(self._uniform(batch, s.rotation, device))
        zoom = 1 + self._uniform(batch, s.scale, device)
        mirrored = self._uniform(batch, 0.5, device) + 0.5 < s.flip
        cosine, sine = angle.cos() / zoom, angle.sin() / zoom
        shear = self._uniform(batch, s.shear, device)
        side = 1 - 2 * mirrored.float()
        first = torch.stack([side * cosine, side * (shear * cosine - sine)], dim=1)
        second = torch.stack([sine, shear * sine + cosine], dim=1)
        shift = [self._uniform(batch, 2 * s.shift, device) for _ in range(2)]
        matrix = torch.stack(
            [torch.cat([first, shift[0][:, None]], 1), torch.cat([second, shift[1][:, None]], 1)], 1
        )
        bend = 2 * s.bend * self._smooth(batch, 2, size, device)
        grid = torch.nn.functional.affine_grid(matrix, [batch, 1, size, size], align_corners=False)
        return grid + bend.permute(0, 2, 3, 1), matrix, bend, mirrored

    def _grey(self, images: Tensor) -> Tensor:
        s, (batch, _, size, _), device = self.settings, images.shape, images.device

        def per_image(largest: float) -> Tensor:
            return self._uniform(batch, largest, device).view(-1, 1, 1, 1)

        def normal() -> Tensor:
            return self._drawn(torch.randn, tuple(images.shape), device)

        exponent = (1 + s.gamma) ** per_image(1.0)
        images = images.clamp(1e-4, 1) ** exponent
        images = images * (1 + per_image(s.contrast)) + per_image(s.brightness) * (images > 0.02)
        images = images * (s.gain * self._smooth(batch, 1, size, device)).exp()
        images = images * (1 + per_image(s.speckle) * normal()) + per_image(s.noise) * normal()
        soft = avg_pool2d(images, 3, stride=1, padding=1, count_include_pad=False)
        blurred = per_image(0.5) + 0.5 < s.blur
        return torch.where(blurred, soft, images).clamp(0, 1)


def _move(landmarks: Tensor, matrix: Tensor, bend: Tensor, mirrored: Tensor, size: int) -> Tensor:
    """Landmarks after the change: the points of the new image that sample the old landmarks.

    The bend has no closed inverse; thirty steps of a fixed-point iteration are exact to 0.01 px,
    also where it is steep. In a mirrored image the walls swap sides, so the polygon order is
    reversed.
    """
    old = (2 * landmarks + 1) / size - 1
    (a, b), (c, d) = matrix[:, :, :2].permute(1, 2, 0)
    back = torch.stack([torch.stack([d, -c], 1), torch.stack([-b, a], 1)], 1)  # inverse, transposed
    back = back / (a * d - b * c)[:, None, None]
    new = (old - matrix[:, None, :, 2]) @ back
    for _ in range(30):
        moved = grid_sample(bend, new[:, None], align_corners=False, padding_mode="border")
        new = (old - moved[:, :, 0].transpose(1, 2) - matrix[:, None, :, 2]) @ back
    new = ((new + 1) * size - 1) / 2
    return torch.where(mirrored[:, None, None], new.flip(1), new)
