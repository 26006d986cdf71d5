"""Losses between logits and masks, and between landmarks.

Logits and masks are (N, 1, H, W), masks float 0 or 1; landmarks are (N, K, 2) px. Each loss for
masks is a mean over images, so that a small ventricle counts as much as a large one.
"""

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from .heatmaps import cell_centres, soft_argmax

SPREAD = 2.0  # px, standard deviation of the blob that a heatmap should be
LEAST_AREA = 50.0  # px added to both areas before their ratio is taken
SMOOTH = 1.0  # px added to numerator and denominator: defined, and flat, for empty masks


def _overlap(logits: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Intersection and sum of areas per image, in px, both (N,)."""
    if logits.shape != masks.shape:
        raise ValueError(
            f"Expected logits and masks of one shape, but logits {tuple(logits.shape)} and masks "
            f"{tuple(masks.shape)} differ."
        )
    probabilities = logits.float().sigmoid()
    intersection = (probabilities * masks).flatten(1).sum(dim=1)
    return intersection, (probabilities + masks).flatten(1).sum(dim=1)


def dice_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """1 - soft Dice. Source: Milletari, Navab, Ahmadi, 3DV 2016."""
    return _dice_loss(*_overlap(logits, masks))


def _dice_loss(intersection: Tensor, areas: Tensor) -> Tensor:
    return 1 - ((2 * intersection + SMOOTH) / (areas + SMOOTH)).mean()


def soft_iou_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """1 - soft intersection over union. Source: Rahman, Wang, ISVC 2016."""
    intersection, areas = _overlap(logits, masks)
    return 1 - ((intersection + SMOOTH) / (areas - intersection + SMOOTH)).mean()


def bce_dice_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Binary cross-entropy, which has a gradient at every pixel, plus the Dice loss."""
    return binary_cross_entropy_with_logits(logits.float(), masks) + dice_loss(logits, masks)


def bce_iou_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Binary cross-entropy plus the soft IoU loss: for thin structures that are scored by IoU."""
    return binary_cross_entropy_with_logits(logits.float(), masks) + soft_iou_loss(logits, masks)


def bce_dice_area_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """`bce_dice_loss` plus the error of the logarithm of the area: for masks that are measured.

    An outline that lies one pixel too far out all around hardly changes Dice, but it changes an
    ejection fraction.
    """
    intersection, areas = _overlap(logits, masks)
    true = masks.flatten(1).sum(dim=1)
    ratio = (areas - true + LEAST_AREA).log() - (true + LEAST_AREA).log()
    dice = _dice_loss(intersection, areas)
    return binary_cross_entropy_with_logits(logits.float(), masks) + dice + ratio.abs().mean()


def distance_loss(predicted: Tensor, landmarks: Tensor) -> Tensor:
    """Mean distance in px between predicted and true landmarks, both (N, K, 2)."""
    if predicted.shape != landmarks.shape:
        raise ValueError(
            f"Expected landmarks of one shape, but predicted {tuple(predicted.shape)} and true "
            f"{tuple(landmarks.shape)} differ."
        )
    return (predicted.float() - landmarks).square().sum(dim=2).add(1e-6).sqrt().mean()


def heatmap_loss(heatmaps: Tensor, landmarks: Tensor, weight: float) -> Tensor:
    """Mean distance in px of the heatmaps' means, plus `weight` times a term for their shape.

    heatmaps: (N, K, h, w) logits over cells. landmarks: (N, K, 2) px. The term is the
    cross-entropy, over the cells, of a heatmap against a Gaussian blob at its landmark; it
    prevents a heatmap with two far peaks that has the right mean. Source of the two terms: Nibali
    et al., Numerical coordinate regression with convolutional neural networks, 2018.
    """
    logs = heatmaps.float().flatten(2).log_softmax(dim=2).view(*heatmaps.shape)
    across, down = (
        (-0.5 * ((centres - landmarks[..., axis, None]) / SPREAD).square()).softmax(dim=2)
        for axis, centres in enumerate(cell_centres(heatmaps))
    )
    mismatch = -torch.einsum("nkhw,nkh,nkw->nk", logs, down, across).mean()
    return distance_loss(soft_argmax(heatmaps), landmarks) + weight * mismatch


LOSSES = {
    "bce_dice": bce_dice_loss,
    "bce_dice_area": bce_dice_area_loss,
    "bce_iou": bce_iou_loss,
    "dice": dice_loss,
    "soft_iou": soft_iou_loss,
}
