"""Losses between logits and masks, both (N, 1, H, W); masks are float 0 or 1.

Each is a mean over images, so that a small ventricle counts as much as a large one.
"""

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

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


LOSSES = {"bce_dice": bce_dice_loss, "dice": dice_loss, "soft_iou": soft_iou_loss}
