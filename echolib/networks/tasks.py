"""What a network learns from labelled frames: masks of regions, or landmarks.

A task knows its targets, its loss and how its model's answer becomes a mask; the training knows
all the rest, so that both kinds of model are trained by the same code.
"""

from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from ..data.frames import FrameSet
from ..geometry import LANDMARKS, SUBSETS, landmarks_to_mask
from .augment import Augmenter
from .losses import LOSSES, distance_loss, heatmap_loss
from .models import LandmarkUNet, finds_landmarks


class Task(Protocol):
    """What a training asks of a task. S is the side of the square frames."""

    inputs: int  # channels of the images: 1, or 3 with two neighbours

    def targets(self, frames: FrameSet) -> Tensor:
        """What is to be learnt of N frames, (N, ...). ValueError where they do not know it."""

    def augment(self, augmenter: Augmenter, images: Tensor, targets: Tensor) -> list[Tensor]:
        """Images (N, inputs, S, S) and their targets after the same random change."""

    def answer(self, model: nn.Module, images: Tensor) -> Tensor:
        """What the loss needs of a model; the network runs here, perhaps in bf16."""

    def loss(self, answer: Tensor, targets: Tensor) -> Tensor:
        """Loss of one batch, in fp32."""

    def masks(self, model: nn.Module, images: Tensor) -> Tensor:
        """The cavity as the model sees it, (N, 1, S, S) bool."""


class MaskTask:
    """Learn the cavity and, with more outputs, the regions beside it, so that the network knows
    where the cavity ends.

    outputs: channels of the model: the cavity, then the numbers of `FrameSet.regions` in their
    order. loss: one of `losses.LOSSES`. auxiliary: weight of the regions beside the cavity.
    Of the mitral valve, what is said of the cavity holds for the leaflets.
    """

    def __init__(self, outputs: int, loss: str, auxiliary: float, inputs: int = 1) -> None:
        self.inputs = inputs
        self.outputs, self.loss_function, self.auxiliary = outputs, LOSSES[loss], auxiliary

    def targets(self, frames: FrameSet) -> Tensor:
        """Numbers of the regions, (N, 1, S, S) uint8: 1 is the cavity."""
        if self.outputs > 1 and frames.regions is None:
            raise ValueError(
                f"The model has {self.outputs} outputs, but these frames know the cavity only. "
                "Use a model with one output, or frames with regions, as the phantom's are."
            )
        regions = frames.masks if self.outputs == 1 else frames.regions
        return torch.from_numpy(np.array(regions, np.uint8))[:, None]

    def augment(self, augmenter: Augmenter, images: Tensor, targets: Tensor) -> list[Tensor]:
        """Images and masks (N, outputs, S, S) float."""
        masks = [targets == number for number in range(1, self.outputs + 1)]
        return list(augmenter(images, torch.cat(masks, dim=1).float())[:2])

    def answer(self, model: nn.Module, images: Tensor) -> Tensor:
        """Logits (N, outputs, S, S)."""
        return model(images)

    def loss(self, answer: Tensor, targets: Tensor) -> Tensor:
        """The cavity's loss, and a share of the other regions'."""
        total = self.loss_function(answer[:, :1], targets[:, :1])
        for channel in range(1, self.outputs):
            one = slice(channel, channel + 1)
            total = total + self.auxiliary * self.loss_function(answer[:, one], targets[:, one])
        return total

    def masks(self, model: nn.Module, images: Tensor) -> Tensor:
        """Where the cavity's probability is above one half."""
        return model(images)[:, :1] > 0


class LandmarkTask:
    """Learn landmarks, by heatmaps where the model has them.

    landmarks: how many the model finds, one of `geometry.SUBSETS`. heatmap: weight of the
    heatmap term against the mean distance in px.
    """

    inputs = 1

    def __init__(self, landmarks: int, heatmap: float) -> None:
        if landmarks not in SUBSETS:
            raise ValueError(f"{landmarks} landmarks cannot be learnt; choose {sorted(SUBSETS)}.")
        self.chosen = list(SUBSETS[landmarks])
        self.heatmap = heatmap
        self.rounded = False  # how the frames' own masks are drawn; see FrameSet.rounded

    def targets(self, frames: FrameSet) -> Tensor:
        """All 40 landmarks (N, 40, 2) float32 px: a mirrored image renumbers them."""
        if frames.landmarks is None or frames.landmarks.shape[1] != LANDMARKS:
            raise ValueError(
                f"These frames have no {LANDMARKS} landmarks each. Train a masks model, or pack "
                "a data set whose outlines are known."
            )
        self.rounded = frames.rounded
        return torch.from_numpy(np.array(frames.landmarks, np.float32))

    def augment(self, augmenter: Augmenter, images: Tensor, targets: Tensor) -> list[Tensor]:
        """Images, and the model's landmarks (N, K, 2)."""
        no_masks = images[:, :0]
        images, _, landmarks = augmenter(images, no_masks, targets)
        return [images, landmarks[:, self.chosen]]

    def answer(self, model: nn.Module, images: Tensor) -> Tensor:
        """Heatmaps (N, K, S / 2, S / 2), or landmarks (N, K, 2) from a model without any."""
        return model.heatmaps(images) if isinstance(model, LandmarkUNet) else model(images)

    def loss(self, answer: Tensor, targets: Tensor) -> Tensor:
        """Mean distance in px, plus the heatmap term."""
        if answer.ndim == targets.ndim:
            return distance_loss(answer, targets)
        return heatmap_loss(answer, targets, self.heatmap)

    def masks(self, model: nn.Module, images: Tensor) -> Tensor:
        """Inside of the closed outline through the landmarks, drawn as the frames' masks are."""
        shape = tuple(images.shape[-2:])
        landmarks = model(images).float().cpu().numpy()
        masks = np.stack([landmarks_to_mask(points, shape, self.rounded) for points in landmarks])
        return torch.from_numpy(masks)[:, None].to(images.device)


def task_of(model: nn.Module, loss: str, auxiliary: float, heatmap: float) -> Task:
    """The task that a model of `models.MODELS` is made for; settings as for the tasks."""
    if finds_landmarks(model):
        return LandmarkTask(model.arguments["landmarks"], heatmap)
    return MaskTask(model.arguments["outputs"], loss, auxiliary, model.arguments["inputs"])
