"""Augmentation: image, mask and landmarks move together; grey levels stay in range."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from echolib.geometry import mask_to_tracing, polygon_to_mask
from echolib.metrics import dice
from echolib.networks.augment import Augmentation, Augmenter
from tests.makers import ventricle

SIZE = 112


def one_batch(count=4):
    mask = polygon_to_mask(ventricle(), (SIZE, SIZE), rounded=False)
    landmarks = torch.from_numpy(mask_to_tracing(mask).landmarks)
    masks = torch.from_numpy(mask).float().expand(count, 1, SIZE, SIZE)
    images = 0.8 - 0.6 * masks
    return images, masks, landmarks.expand(count, 40, 2).contiguous()


def test_none_changes_nothing():
    images, masks, landmarks = one_batch()
    changed = Augmenter(Augmentation.none(), "cpu")(images, masks, landmarks)
    for before, after in zip((images, masks, landmarks), changed, strict=True):
        assert torch.allclose(before, after, atol=1e-4)


MOVES = replace(Augmentation.none(), rotation=20.0, scale=0.2, shift=0.05, shear=0.1, bend=0.02)


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_image_mask_and_landmarks_move_together(seed):
    _, masks, landmarks = one_batch()
    images, masks, landmarks = Augmenter(MOVES, "cpu", seed)(masks, masks, landmarks)
    assert torch.equal(images >= 0.5, masks > 0.5)
    for mask, points in zip(masks[:, 0].numpy() > 0.5, landmarks.numpy(), strict=True):
        if points.min() > 1 and points.max() < SIZE - 2:
            # the base is one straight edge of the outline, however far the image is bent
            assert dice(polygon_to_mask(points, mask.shape, rounded=False), mask) > 0.9


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_a_landmark_stays_on_the_pixel_it_marked(seed):
    """The image is a ramp of x, so its value at a moved landmark must be the landmark's old x."""
    _, masks, landmarks = one_batch()
    ramp = (torch.arange(SIZE) / SIZE).expand(len(masks), 1, SIZE, SIZE)
    images, _, moved = Augmenter(MOVES, "cpu", seed)(ramp, masks, landmarks)
    for image, before, after in zip(images[:, 0], landmarks, moved.numpy(), strict=True):
        inside = ((after > 1) & (after < SIZE - 2)).all(axis=1)
        old_x = SIZE * map_coordinates(image.numpy(), after[inside].T[::-1], order=1)
        assert np.allclose(old_x, before[inside, 0], atol=0.1)


def test_a_mirrored_image_swaps_the_walls():
    settings = replace(Augmentation.none(), flip=1.0)
    images, masks, landmarks = one_batch()
    flipped, mirrored, moved = Augmenter(settings, "cpu")(images, masks, landmarks)
    assert torch.allclose(mirrored, masks.flip(-1))
    assert torch.allclose(moved[0, :20, 0], SIZE - 1 - landmarks[0, 20:, 0].flip(0), atol=1e-2)
    left, right = moved[0, :20], moved[0, 20:].flip(0)
    assert (left[:, 0] < right[:, 0]).all()


def test_grey_levels_stay_in_range_and_the_mask_does_not_change():
    grey = replace(Augmentation(), rotation=0, scale=0, shift=0, shear=0, bend=0)
    images, masks, _ = one_batch(8)
    changed, same, no_landmarks = Augmenter(grey, "cpu", 3)(images, masks)
    assert no_landmarks is None and torch.equal(same, masks)
    assert changed.min() >= 0 and changed.max() <= 1
    assert (changed - images).abs().mean() > 0.02


def test_a_step_determines_its_batch():
    images, masks, _ = one_batch()
    augment = Augmenter(Augmentation(), "cpu", seed=5)
    augment.reseed(7)
    first, _, _ = augment(images, masks)
    augment.reseed(8)
    other, _, _ = augment(images, masks)
    augment.reseed(7)
    again, _, _ = augment(images, masks)
    assert torch.equal(first, again) and not torch.equal(first, other)


@settings(max_examples=15)
@given(st.integers(0, 10_000))
def test_frames_that_are_shown_together_move_together(seed):
    images, masks, _ = one_batch()
    beside = (images.roll(9, dims=-1), 1 - images)
    three = torch.cat([beside[0], images, beside[1]], dim=1)
    moved, same, _ = Augmenter(MOVES, "cpu", seed)(three, masks)
    assert moved.shape == three.shape and same.shape == masks.shape
    for channel, alone in enumerate((beside[0], images, beside[1])):
        expected, expected_mask, _ = Augmenter(MOVES, "cpu", seed)(alone, masks)
        assert torch.allclose(moved[:, channel : channel + 1], expected, atol=1e-6)
        assert torch.equal(same, expected_mask)


def test_without_noise_three_equal_frames_stay_equal():
    quiet = replace(Augmentation(), speckle=0.0, noise=0.0, flip=0.5)
    images, masks, _ = one_batch()
    three = images.expand(-1, 3, -1, -1).contiguous()
    changed, _, _ = Augmenter(quiet, "cpu", 4)(three, masks)
    assert (changed[:, 1:2] - images).abs().mean() > 0.01
    for channel in (0, 2):
        assert torch.equal(changed[:, channel], changed[:, 1])


@pytest.mark.parametrize("field", sorted(Augmentation.__dataclass_fields__))
def test_each_setting_changes_something(field):
    value = 1.0 if field in ("flip", "blur") else getattr(Augmentation(), field)
    settings = replace(Augmentation.none(), **{field: value})
    images, masks, _ = one_batch()
    noise = torch.from_numpy(np.random.default_rng(0).random(images.shape, np.float32))
    textured = images * (0.5 + 0.5 * noise)
    changed, _, _ = Augmenter(settings, "cpu", 1)(textured, masks)
    assert (changed - textured).abs().mean() > 1e-3


@pytest.mark.gpu
def test_batches_stay_on_the_gpu():
    images, masks, landmarks = (tensor.cuda() for tensor in one_batch())
    changed = Augmenter(Augmentation(), "cuda")(images, masks, landmarks)
    assert all(tensor.is_cuda for tensor in changed)
