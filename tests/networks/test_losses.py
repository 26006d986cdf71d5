"""Losses: their extreme values, their order, and that their gradients lead to the target."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from echolib.networks.heatmaps import cell_centres, soft_argmax
from echolib.networks.losses import (
    LEAST_AREA,
    LOSSES,
    bce_dice_area_loss,
    bce_dice_loss,
    bce_iou_loss,
    dice_loss,
    distance_loss,
    heatmap_loss,
    soft_iou_loss,
)


def batch(seed=0, size=24):
    generator = torch.Generator().manual_seed(seed)
    masks = (torch.rand(3, 1, size, size, generator=generator) < 0.3).float()
    return masks, generator


@pytest.mark.parametrize("name", LOSSES)
def test_a_perfect_prediction_has_no_loss(name):
    masks, _ = batch()
    assert LOSSES[name](100 * (2 * masks - 1), masks) == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("name", ["dice", "soft_iou"])
def test_the_opposite_mask_has_a_loss_of_one_and_empty_masks_have_none(name):
    masks, _ = batch()
    assert LOSSES[name](-100 * (2 * masks - 1), masks) == pytest.approx(1, abs=0.01)
    empty = torch.zeros(2, 1, 8, 8)
    assert LOSSES[name](empty - 100, empty) == pytest.approx(0, abs=1e-4)


@given(st.integers(0, 1000))
def test_the_soft_iou_loss_is_at_least_the_dice_loss(seed):
    masks, generator = batch(seed)
    logits = torch.randn(masks.shape, generator=generator)
    assert soft_iou_loss(logits, masks) >= dice_loss(logits, masks)
    assert bce_dice_loss(logits, masks) >= dice_loss(logits, masks)
    cross_entropy = bce_dice_loss(logits, masks) - dice_loss(logits, masks)
    assert bce_iou_loss(logits, masks) == pytest.approx(
        float(cross_entropy + soft_iou_loss(logits, masks)), abs=1e-5
    )


def test_each_image_counts_the_same_whatever_its_area():
    masks = torch.zeros(2, 1, 32, 32)
    masks[0, :, :2, :2] = 1
    masks[1, :, :20, :20] = 1
    missed_small, missed_large = (100 * (2 * masks.clone() - 1) for _ in range(2))
    missed_small[0], missed_large[1] = -100, -100
    small, large = dice_loss(missed_small, masks), dice_loss(missed_large, masks)
    assert small == pytest.approx(0.4, abs=0.11) and large == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_lead_to_the_mask(name):
    masks, _ = batch()
    logits = torch.zeros_like(masks, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.3)
    for _ in range(60):
        loss = LOSSES[name](logits, masks)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert ((logits > 0).float() == masks).float().mean() > 0.99


def test_shapes_that_differ_are_refused():
    with pytest.raises(ValueError, match="differ"):
        dice_loss(torch.zeros(2, 1, 8, 8), torch.zeros(2, 8, 8))
    with pytest.raises(ValueError):
        bce_iou_loss(torch.zeros(2, 1, 8, 8), torch.zeros(2, 8, 8))


def blobs(points: torch.Tensor, side: int = 28, spread: float = 2.0) -> torch.Tensor:
    """Heatmap logits whose softmax is a Gaussian blob at each point (N, K, 2) px."""
    columns, rows = cell_centres(torch.zeros(1, 1, side, side))
    across = (columns - points[..., :1]) ** 2
    down = (rows - points[..., 1:]) ** 2
    return -(down[..., :, None] + across[..., None, :]) / (2 * spread**2)


def test_distance_is_in_px():
    points = torch.rand(2, 40, 2) * 50
    assert distance_loss(points + torch.tensor([3.0, 4.0]), points) == pytest.approx(5, abs=1e-3)
    with pytest.raises(ValueError, match="differ"):
        distance_loss(points, points[:, :7])


def test_the_heatmap_loss_is_smallest_for_a_blob_at_the_landmark():
    points = 15 + 25 * torch.rand(2, 5, 2)
    right = heatmap_loss(blobs(points), points, 1.0)
    assert distance_loss(soft_argmax(blobs(points)), points) < 0.02
    for other in (blobs(points + 2), blobs(points, spread=5.0), blobs(points, spread=0.7)):
        assert heatmap_loss(other, points, 1.0) > right + 0.05
    two_peaks = torch.logaddexp(blobs(points - 10), blobs(points + 10))
    assert distance_loss(soft_argmax(two_peaks), points) < 1.0
    assert heatmap_loss(two_peaks, points, 1.0) > right + 5  # the mean is right, the shape is not


def test_gradients_lead_a_heatmap_to_its_landmark():
    points = torch.tensor([[[20.0, 31.0], [40.5, 11.0]]])
    heatmaps = torch.zeros(1, 2, 28, 28, requires_grad=True)
    optimizer = torch.optim.Adam([heatmaps], lr=0.3)
    for _ in range(80):
        loss = heatmap_loss(heatmaps, points, 1.0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (soft_argmax(heatmaps) - points).abs().max() < 0.3


def test_the_area_loss_rises_for_an_outline_that_is_too_large_all_around():
    masks = torch.zeros(2, 1, 64, 64)
    masks[:, :, 16:48, 16:48] = 1
    grown = torch.zeros_like(masks)
    grown[:, :, 15:49, 15:49] = 1
    shifted = torch.roll(masks, 1, dims=3)
    extra = [
        float(bce_dice_area_loss(20 * a - 10, masks) - bce_dice_loss(20 * a - 10, masks))
        for a in (masks, grown, shifted)
    ]
    expected = np.log((34**2 + LEAST_AREA) / (32**2 + LEAST_AREA))
    assert extra == pytest.approx([0, expected, 0], abs=2e-3)


def test_the_area_loss_of_empty_masks_is_finite():
    empty = torch.zeros(2, 1, 8, 8)
    assert torch.isfinite(bce_dice_area_loss(empty, empty))
