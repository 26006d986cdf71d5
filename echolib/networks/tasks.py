"""Tasks that networks learn from labelled frames: masks of regions, or landmarks.

A task provides the targets, the loss, and the masks of its model's answers. `Training` does all
the rest, and so trains both kinds of model.
"""

from typing import Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn

from ..data.frames import FrameSet
from ..geometry import LANDMARKS, SUBSETS, polygon_to_mask
from .augment import Augmenter
from .heatmaps import soft_argmax
from .losses import LOSSES, distance_loss, heatmap_loss
from .models import Encoder, LandmarkUNet, finds_landmarks


class Task(Protocol):
    """Interface between a training and its task. S is the side of the square frames in px."""

    inputs: int  # channels of the images: 1, or 3 with two neighbours

    def targets(self, frames: FrameSet) -> Tensor:
        """Targets (N, ...) of N frames. Raises ValueError if the frames lack them."""

    def labels(self, targets: Tensor) -> Tensor:
        """Targets as `loss` takes them."""

    def augment(self, augmenter: Augmenter, images: Tensor, targets: Tensor) -> list[Tensor]:
        """Images (N, inputs, S, S) and their labels after the same random change."""

    def answer(self, model: nn.Module, images: Tensor) -> Tensor:
        """Run the model, possibly in bf16; returns its answer as `loss` takes it."""

    def loss(self, answer: Tensor, labels: Tensor) -> Tensor:
        """Mean loss of the images of a batch, in fp32."""

    def masks(self, answer: Tensor, side: int) -> Tensor:
        """The cavity that an answer outlines, (N, 1, side, side) bool."""


class MaskTask:
    """Learn the cavity and, with more outputs, the regions beside it.

    The regions teach the network where the cavity ends. outputs: channels of the model: the
    cavity, then the numbers of `FrameSet.regions` in their order. loss: one of `losses.LOSSES`.
    auxiliary: weight of the loss of the regions beside the cavity. For the mitral valve, the
    leaflets take the place of the cavity.
    """

    def __init__(self, outputs: int, loss: str, auxiliary: float, inputs: int = 1) -> None:
        self.inputs = inputs
        self.outputs, self.loss_function, self.auxiliary = outputs, LOSSES[loss], auxiliary

    def targets(self, frames: FrameSet) -> Tensor:
        """Numbers of the regions, (N, 1, S, S) uint8: 1 is the cavity."""
        if self.outputs > 1 and frames.regions is None:
            raise ValueError(
                f"The model has {self.outputs} outputs, but these frames label the cavity only. "
                "Use a model with one output, or frames with regions, such as the phantom's."
            )
        regions = frames.masks if self.outputs == 1 else frames.regions
        return torch.from_numpy(np.array(regions, np.uint8))[:, None]

    def labels(self, targets: Tensor) -> Tensor:
        """Masks of the regions, (N, outputs, S, S) float."""
        masks = [targets == number for number in range(1, self.outputs + 1)]
        return torch.cat(masks, dim=1).float()

    def augment(self, augmenter: Augmenter, images: Tensor, targets: Tensor) -> list[Tensor]:
        """Images and masks (N, outputs, S, S) float."""
        return list(augmenter(images, self.labels(targets))[:2])

    def answer(self, model: nn.Module, images: Tensor) -> Tensor:
        """Logits (N, outputs, S, S)."""
        return model(images)

    def loss(self, answer: Tensor, labels: Tensor) -> Tensor:
        """Loss of the cavity, plus `auxiliary` times the loss of each other region."""
        total = self.loss_function(answer[:, :1], labels[:, :1])
        for channel in range(1, self.outputs):
            region = slice(channel, channel + 1)
            loss = self.loss_function(answer[:, region], labels[:, region])
            total = total + self.auxiliary * loss
        return total

    def masks(self, answer: Tensor, side: int) -> Tensor:
        """Where the cavity's probability is above one half."""
        return answer[:, :1] > 0


class LandmarkTask:
    """Learn landmarks, by heatmaps if the model has them.

    landmarks: number of landmarks of the model, a key of `geometry.SUBSETS`. heatmap: weight of
    the heatmap term against the mean distance in px.
    """

    def __init__(self, landmarks: int, heatmap: float, inputs: int = 1) -> None:
        if landmarks not in SUBSETS:
            raise ValueError(
                f"{landmarks} landmarks cannot be learnt; expected a number from {sorted(SUBSETS)}."
            )
        self.chosen = list(SUBSETS[landmarks])
        self.inputs, self.heatmap = inputs, heatmap
        self.rounded = False  # whether the true masks are drawn rounded, see `FrameSet.rounded`

    def targets(self, frames: FrameSet) -> Tensor:
        """All 40 landmarks (N, 40, 2) float32 px, because a mirrored image renumbers them."""
        if frames.landmarks is None or frames.landmarks.shape[1] != LANDMARKS:
            raise ValueError(
                f"These frames have no {LANDMARKS} landmarks each. Train a masks model, or pack "
                "a data set that has outlines."
            )
        self.rounded = frames.rounded
        return torch.from_numpy(np.array(frames.landmarks, np.float32))

    def labels(self, targets: Tensor) -> Tensor:
        """The model's landmarks, (N, K, 2)."""
        return torch.stack([targets[:, number] for number in self.chosen], dim=1)

    def augment(self, augmenter: Augmenter, images: Tensor, targets: Tensor) -> list[Tensor]:
        """Images, and the model's landmarks (N, K, 2)."""
        no_masks = images[:, :0]
        images, _, landmarks = augmenter(images, no_masks, targets)
        return [images, self.labels(cast(Tensor, landmarks))]  # given, hence returned

    def answer(self, model: nn.Module, images: Tensor) -> Tensor:
        """Heatmaps (N, K, S / 2, S / 2), or landmarks (N, K, 2) from a model without any."""
        return model.heatmaps(images) if isinstance(model, LandmarkUNet) else model(images)

    def loss(self, answer: Tensor, labels: Tensor) -> Tensor:
        """Mean distance in px, plus the heatmap term."""
        if answer.ndim == labels.ndim:
            return distance_loss(answer, labels)
        return heatmap_loss(answer, labels, self.heatmap)

    def masks(self, answer: Tensor, side: int) -> Tensor:
        """Inside of the closed outline through the landmarks, drawn like the true masks."""
        points = answer if answer.ndim == 3 else soft_argmax(answer)
        landmarks = points.float().cpu().numpy()
        masks = np.stack([polygon_to_mask(one, (side, side), self.rounded) for one in landmarks])
        return torch.from_numpy(masks)[:, None].to(answer.device)


def task_of(model: Encoder, loss: str, auxiliary: float, heatmap: float) -> Task:
    """The task for a model of `models.MODELS`; loss, auxiliary, heatmap: as for the tasks."""
    inputs = model.arguments["inputs"]
    if finds_landmarks(model):
        return LandmarkTask(model.arguments["landmarks"], heatmap, inputs)
    return MaskTask(model.arguments["outputs"], loss, auxiliary, inputs)
