"""Batches of a training: all frames lie on the device, and each step determines its batch."""

import numpy as np
import torch
from torch import Generator, Tensor, nn

from ..data.frames import FrameSet, with_neighbours
from ..errors import DataError
from ..memory import require_memory
from .augment import Augmenter
from .corruptions import corrupt_some
from .plan import TrainingConfig
from .tasks import Task
from .team import Team

VALIDATION_BATCH = 64  # frames


def check_learnable(frames: FrameSet, inputs: int, name: str) -> None:
    """Raise DataError for frames that are all black, or whose masks are all empty.

    inputs: number of frames that the network sees. name: of the frames in the message, such as
    "training".
    """
    pictures = [frames.images]
    if inputs > 1 and frames.neighbours is not None:
        pictures.append(frames.neighbours)
    darkest = min(int(np.min(part)) for part in pictures)
    brightest = max(int(np.max(part)) for part in pictures)
    if darkest == brightest:
        raise DataError(
            f"All pixels of the {len(frames)} {name} frames are {brightest}: expected pictures. "
            "Pack the data set again, and look at its frames."
        )
    if not np.any(frames.masks):
        raise DataError(
            f"None of the {len(frames)} {name} frames has a mask that marks a pixel. Check the "
            "labels, and pack the data set again."
        )


class Batches:
    """Augmented batches of a set of frames for one task: this process's share of each.

    images: (N, inputs, S, S) uint8 and targets (N, ...), whole on the device. size: images of a
    batch of the whole team. per_epoch: number of batches in an epoch, which shows each frame at
    most once. A batch depends on the configuration's seed and the step alone, so that a resumed
    training gets the batches that an uninterrupted one would have got. Raises ValueError for
    corruptions of a network with several inputs, and for more processes than images in a batch.
    """

    def __init__(self, frames: FrameSet, task: Task, config: TrainingConfig, team: Team) -> None:
        if config.corrupted and task.inputs > 1:
            raise ValueError(
                "Only single frames can be corrupted. Train a model with one input, or without "
                "corruptions."
            )
        self.size = min(config.batch, len(frames))
        if team.size > self.size:
            raise ValueError(
                f"{team.size} processes cannot share batches of {self.size} images. Start fewer "
                "processes, or train on larger batches."
            )
        self.images = _on_device(frames, task.inputs, team.device)
        self.targets = task.targets(frames).to(team.device)
        self.per_epoch = max(1, len(self.images) // config.batch)
        self._task, self._config, self._own = task, config, team.share(self.size)
        self._augmenter = Augmenter(config.augmentation, team.device, config.seed)
        self._epoch, self._order = -1, torch.empty(0)

    def grey_levels(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of grey levels, 0 to 1, over about a thousand images."""
        pixels = self.images[:: max(1, len(self.images) // 1000)].float() / 255
        return pixels.mean(), pixels.std()

    @property
    def generator(self) -> Generator:
        """Of the augmentation's random numbers; `chosen` sets it for each step."""
        return self._augmenter.generator

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Images (n, inputs, S, S) float and labels of a step, of this process's share."""
        return self.augmented(*self.chosen(step))

    def chosen(self, step: int) -> tuple[Tensor, Tensor]:
        """Images (n, inputs, S, S) uint8 and targets of a step, not yet augmented."""
        rows = self._rows(step)
        self._augmenter.reseed(step, self._own, self.size)
        return self._corrupted(self.images[rows], step), self.targets[rows]

    def augmented(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """What `chosen` gave as images float and labels, after a random change on the device."""
        images, labels = self._task.augment(self._augmenter, images.float() / 255, targets)
        return images.contiguous(memory_format=torch.channels_last), labels

    def _rows(self, step: int) -> Tensor:
        """Numbers of the frames of a step, on the device; each epoch has its own random order."""
        epoch, place = divmod(step, self.per_epoch)
        if epoch != self._epoch:
            order = np.random.default_rng([self._config.seed, epoch]).permutation(len(self.images))
            self._epoch, self._order = epoch, torch.from_numpy(order).to(self.images.device)
        chosen = self._order[place * self._config.batch : (place + 1) * self._config.batch]
        return chosen[self._own]

    def _corrupted(self, images: Tensor, step: int) -> Tensor:
        """Corrupt a share of the images (n, 1, S, S) uint8."""
        config = self._config
        if not config.corrupted:
            return images
        generator = np.random.default_rng([config.seed, step, 1])
        pixels = images[:, 0].cpu().numpy()
        place = self._own.start, self.size
        pixels = corrupt_some(pixels, config.corrupted, config.corruptions, generator, *place)
        return torch.from_numpy(pixels)[:, None].to(images.device)


class Validation:
    """Frames on the device, without augmentation: images (N, inputs, S, S) uint8, masks bool."""

    def __init__(self, frames: FrameSet, task: Task, device: torch.device) -> None:
        self.images = _on_device(frames, task.inputs, device)
        self.targets = task.targets(frames).to(device)
        self.masks = torch.from_numpy(np.array(frames.masks))[:, None].to(device)
        self._task = task

    @torch.inference_mode()
    def scores(self, model: nn.Module, bf16: bool) -> tuple[float, float]:
        """Mean Dice and mean loss of a network over the frames; each frame counts as one case."""
        scores, loss = [], 0.0
        for start in range(0, len(self.images), VALIDATION_BATCH):
            batch = slice(start, start + VALIDATION_BATCH)
            images = self.images[batch].float() / 255
            images = images.contiguous(memory_format=torch.channels_last)
            with torch.autocast(images.device.type, torch.bfloat16, enabled=bf16):
                answer = self._task.answer(model, images)
            labels = self._task.labels(self.targets[batch])
            loss += len(images) * float(self._task.loss(answer, labels))
            predicted, truth = self._task.masks(answer, images.shape[-1]), self.masks[batch]
            both = (predicted & truth).flatten(1).sum(1)
            areas = predicted.flatten(1).sum(1) + truth.flatten(1).sum(1)
            scores.append(torch.where(areas > 0, 2 * both / areas.clamp(min=1), 1.0))
        return float(torch.cat(scores).mean()), loss / len(self.images)


def _on_device(frames: FrameSet, inputs: int, device: torch.device) -> Tensor:
    """All images of a set (N, inputs, S, S) uint8, on the device."""
    require_memory(f"The images of {len(frames)} frames", inputs * frames.images.nbytes)
    return torch.from_numpy(with_neighbours(frames, inputs)).to(device)
