"""Heatmaps of landmarks: logits over cells of 2 x 2 px, and the points that they mean."""

import torch
from torch import Tensor

CELL = 2  # px, side of the cells of a heatmap


def soft_argmax(heatmaps: Tensor) -> Tensor:
    """Mean position of each heatmap's softmax: (N, K, h, w) logits to (N, K, 2) float32 px (x, y).

    A cell of a heatmap is 2 x 2 px of the image. Unlike the position of the maximum, the mean has
    a gradient and resolves fractions of a pixel. Source: Nibali et al., Numerical coordinate
    regression with convolutional neural networks, 2018.
    """
    shares = heatmaps.float().flatten(2).softmax(dim=2).view(*heatmaps.shape)
    columns, rows = cell_centres(heatmaps)
    # sums, not matrix products: those would be rounded to bf16 where the network runs in it
    x, y = (shares.sum(dim=2) * columns).sum(dim=2), (shares.sum(dim=3) * rows).sum(dim=2)
    return torch.stack([x, y], dim=2)


def heatmap_spread(heatmaps: Tensor) -> Tensor:
    """How far each heatmap's softmax spreads around its mean: (N, K, h, w) logits to (N, K) px.

    The square root of the variances in x and y together: small where the network is sure.
    """
    shares = heatmaps.float().flatten(2).softmax(dim=2).view(*heatmaps.shape)
    variance = torch.zeros_like(shares[..., 0, 0])
    for centres, along in zip(cell_centres(heatmaps), (shares.sum(2), shares.sum(3)), strict=True):
        mean = (along * centres).sum(dim=2, keepdim=True)
        variance = variance + (along * (centres - mean) ** 2).sum(dim=2)
    return variance.sqrt()


def cell_centres(heatmaps: Tensor) -> tuple[Tensor, Tensor]:
    """x of the columns (w,) and y of the rows (h,) of heatmaps (N, K, h, w), in px of the image."""
    height, width = heatmaps.shape[-2:]
    centres = CELL * torch.arange(max(height, width), device=heatmaps.device) + (CELL - 1) / 2
    return centres[:width], centres[:height]
