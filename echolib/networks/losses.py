"""Losses between logits and masks, and between landmarks.

Logits and masks are (N, 1, H, W), masks float 0 or 1; landmarks are (N, K, 2) px. Each loss of
masks is a mean over images, so that a small ventricle counts as much as a large one.
"""

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from .models import cell_centres, soft_argmax

SPREAD = 2.0  # px, standard deviation of the blob that a heatmap should be
LEAST_AREA = 50.0  # px added to both areas whose ratio is taken
SMOOTH = 1.0  # px added to both sides of a ratio: defined, and flat, on empty masks


def _overlap(logits: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Intersection and sum of areas per image, in px, both (N,)."""
    if logits.shape != masks.shape:
        raise ValueError(f"Logits {tuple(logits.shape)} and masks {tuple(masks.shape)} differ.")
    probabilities = logits.float().sigmoid()
    intersection = (probabilities * masks).flatten(1).sum(dim=1)
    return intersection, (probabilities + masks).flatten(1).sum(dim=1)


def dice_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """1 - soft Dice. Source: Milletari, Navab, Ahmadi, 3DV 2016."""
    intersection, areas = _overlap(logits, masks)
    return 1 - ((2 * intersection + SMOOTH) / (areas + SMOOTH)).mean()


def soft_iou_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """1 - soft intersection over union. Source: Rahman, Wang, ISVC 2016."""
    intersection, areas = _overlap(logits, masks)
    return 1 - ((intersection + SMOOTH) / (areas - intersection + SMOOTH)).mean()


def bce_dice_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Binary cross-entropy, which pulls on every pixel, plus the Dice loss."""
    return binary_cross_entropy_with_logits(logits.float(), masks) + dice_loss(logits, masks)


def bce_iou_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Binary cross-entropy plus the soft IoU loss: for thin things that are scored by IoU."""
    return binary_cross_entropy_with_logits(logits.float(), masks) + soft_iou_loss(logits, masks)


def bce_dice_area_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """`bce_dice_loss` plus the error of the logarithm of the area: for areas that are measured.

    Dice hardly sees an outline that lies a pixel too far out all around; an ejection fraction does.
    """
    intersection, areas = _overlap(logits, masks)
    true = masks.flatten(1).sum(dim=1)
    ratio = (areas - true + LEAST_AREA).log() - (true + LEAST_AREA).log()
    dice = 1 - ((2 * intersection + SMOOTH) / (areas + SMOOTH)).mean()
    return binary_cross_entropy_with_logits(logits.float(), masks) + dice + ratio.abs().mean()


def distance_loss(found: Tensor, landmarks: Tensor) -> Tensor:
    """Mean distance in px between landmarks, both (N, K, 2)."""
    if found.shape != landmarks.shape:
        raise ValueError(f"Landmarks {tuple(found.shape)} and {tuple(landmarks.shape)} differ.")
    return (found.float() - landmarks).square().sum(dim=2).add(1e-6).sqrt().mean()


def heatmap_loss(heatmaps: Tensor, landmarks: Tensor, weight: float) -> Tensor:
    """Mean distance in px of the heatmaps' means, plus `weight` times a term of their shape.

    heatmaps: (N, K, h, w) logits over cells. landmarks: (N, K, 2) px. The term is the
    cross-entropy, over the cells, of a heatmap against a Gaussian blob at its landmark; it keeps
    a heatmap from having the right mean with two far peaks. Source of the two terms: Nibali et
    al., Numerical coordinate regression with convolutional neural networks, 2018.
    """
    logs = heatmaps.float().flatten(2).log_softmax(dim=2).view(*heatmaps.shape)
    across, down = (
        (-0.5 * ((places - landmarks[..., axis, None]) / SPREAD).square()).softmax(dim=2)
        for axis, places in enumerate(cell_centres(heatmaps))
    )
    mismatch = -torch.einsum("nkhw,nkh,nkw->nk", logs, down, across).mean()
    found = soft_argmax(heatmaps)
    return distance_loss(found, landmarks) + weight * mismatch


LOSSES = {
    "bce_dice": bce_dice_loss,
    "bce_dice_area": bce_dice_area_loss,
    "bce_iou": bce_iou_loss,
    "dice": dice_loss,
    "soft_iou": soft_iou_loss,
}
