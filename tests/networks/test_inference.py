"""Masks of clips, and scores of data sets in the geometry of their source."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from torch import nn

from echolib import config
from echolib.data import Camus, Clip, DataError, labelled_frames
from echolib.data.frames import LabelledFrame, to_square
from echolib.geometry import polygon_to_mask
from echolib.metrics import dice
from echolib.networks import inference, run
from echolib.networks.inference import (
    cavity_probabilities,
    clean_mask,
    outline,
    outline_landmarks,
    predict,
    predict_cases,
    predict_regions,
    score,
    square_masks,
)
from echolib.networks.models import UNet, load_model
from echolib.networks.run import BATCH
from echolib.phantom.single_frames import draw_frame_set
from tests.makers import frame_set


class DarkIsCavity(nn.Module):
    """Stands in for a trained network: dark pixels are the cavity."""

    arguments, size = {"inputs": 1}, 112

    def forward(self, images):
        return 40 * (0.3 - images)


def frames(count, height, width):
    """Dark ellipses on grey, which move to the right, and their masks."""
    y, x = np.mgrid[:height, :width]
    masks = np.stack(
        [((x - 40 - t % 20) / 14) ** 2 + ((y - 50) / 22) ** 2 < 1 for t in range(count)]
    )
    return np.where(masks, 30, 150).astype(np.uint8), masks


def test_probabilities_do_not_depend_on_the_batch_size():
    images = frame_set(count=10).images
    whole = predict(DarkIsCavity(), images)
    assert whole.dtype == np.float32 and whole.min() >= 0 and whole.max() <= 1
    assert np.allclose(predict(DarkIsCavity(), images, batch=3), whole)


class ThreeFrames(nn.Module):
    """Marks where each of three frames is bright: one output per frame."""

    arguments = {"inputs": 3}

    def forward(self, images):
        return 40 * (images - 0.5)


def test_a_network_takes_three_frames_at_a_time_and_returns_several_regions():
    images = np.random.default_rng(0).integers(0, 256, (5, 3, 16, 16), np.uint8)
    regions = predict_regions(ThreeFrames(), images, batch=2)
    assert regions.shape == images.shape and regions.dtype == np.float32
    assert np.allclose(regions, 1 / (1 + np.exp(-40.0 * (images / 255 - 0.5))), atol=1e-5)
    first = predict_regions(ThreeFrames(), images, first=1)
    assert first.shape == (5, 1, 16, 16) and np.allclose(first[:, 0], regions[:, 0])
    assert np.allclose(predict(ThreeFrames(), images), regions[:, 0])
    single = predict_regions(DarkIsCavity(), images[:, 1])
    assert single.shape == (5, 1, 16, 16)
    assert np.array_equal(single[:, 0], predict(DarkIsCavity(), images[:, 1]))


def test_a_clip_is_outlined_in_its_own_size():
    clip, truth = frames(BATCH + 6, 100, 140)
    masks = outline(DarkIsCavity(), clip)
    assert masks.shape == clip.shape and masks.dtype == bool
    for mask, expected in zip(masks[::7], truth[::7], strict=True):
        assert 2 * (mask & expected).sum() / (mask.sum() + expected.sum()) > 0.96


def test_the_largest_piece_without_holes_is_kept():
    probabilities = np.zeros((30, 30), np.float32)
    probabilities[5:20, 5:20] = 0.9
    probabilities[10, 10] = 0.1
    probabilities[25:28, 25:28] = 0.9
    mask = clean_mask(probabilities)
    assert mask.sum() == 15 * 15 and mask[10, 10] and not mask[26, 26]
    assert not clean_mask(np.zeros((8, 8), np.float32)).any()


def test_cases_are_scored_in_the_geometry_of_their_source():
    clip, truth = frames(2, 90, 120)
    names = {"clip": "c", "frame": 0, "phase": "ED", "split": "val", "patient": "p", "source": "s"}
    frame = LabelledFrame(clip[0], truth[0], None, **names, spacing=0.5)
    small = LabelledFrame(clip[1][:70], truth[1][:70], None, **names)
    first, second = predict_cases(DarkIsCavity(), [frame, small])
    assert first.mask.shape == (90, 120) and second.mask.shape == (70, 120)
    assert first.scores["dice"] > 0.96 and first.scores["hd95"] <= 2 * 0.5
    row = first.row()
    assert row["unit"] == "mm" and second.row()["unit"] == "px"
    assert row["area_true"] == truth[0].sum() and row["area"] == first.mask.sum()
    shifted = replace(frame, mask=np.roll(truth[0], 4, axis=1))
    (moved,) = predict_cases(DarkIsCavity(), [shifted])
    assert moved.scores["hd95"] == pytest.approx(4 * 0.5, abs=0.6)


def test_a_frame_in_colour_is_refused():
    with pytest.raises(DataError, match=r"\(60, 80, 3\).*Convert it to grey"):
        outline(DarkIsCavity(), np.zeros((60, 80, 3), np.uint8))


def test_a_masks_network_has_no_landmarks():
    with pytest.raises(ValueError, match="lv finds masks, not landmarks"):
        outline_landmarks(load_model("lv"), Clip("frames", frames(2, 90, 120)[0]))


@pytest.mark.parametrize("side", [56, 112])
def test_landmarks_become_probabilities_with_a_soft_edge(side, monkeypatch):
    square = side * np.array([[[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]]])
    monkeypatch.setattr(inference, "predict", lambda network, images: square.repeat(2, axis=0))
    monkeypatch.setattr(inference, "finds_landmarks", lambda network: True)
    found = cavity_probabilities(None, np.zeros((2, side, side), np.uint8))
    assert found.shape == (2, side, side) and np.array_equal(found[0], found[1])
    row = found[0, side // 2]
    assert row[side // 2] > 0.999 and row[side // 8] < 0.001
    inside = polygon_to_mask(square[0], (side, side))[side // 2]
    assert np.count_nonzero((row >= 0.5) != inside) <= 2
    assert 0.2 < row[side // 4 - side // 56] < 0.35  # half to three quarters of the blur outside


def test_a_split_is_scored_in_one_row_per_case():
    data = frame_set(count=12)
    cases = score(DarkIsCavity(), data, "test", progress=False)
    assert len(cases) == 2 and set(cases.split) == {"test"}
    assert score(DarkIsCavity(), data, "all", progress=False).shape[0] == 12


# --- Precision ------------------------------------------------------------------------------------


def mean_agreement(images, monkeypatch):
    """Mean Dice of `lv`'s masks in float32 and in bfloat16."""
    network, masks = load_model("lv"), {}
    for bf16 in (False, True):
        monkeypatch.setattr(run, "bf16_pays", lambda device, bf16=bf16: bf16)
        masks[bf16] = square_masks(predict(network, images), network.size)
    return np.mean([dice(*pair) for pair in zip(masks[False], masks[True], strict=True)])


def test_both_precisions_give_the_same_masks_of_phantoms(monkeypatch):
    frames = draw_frame_set(40, seed=3, workers=1, progress=False)
    assert mean_agreement(frames.images, monkeypatch) > 0.998


def test_both_precisions_give_the_same_masks_of_real_frames(camus, monkeypatch):
    frames = [to_square(f, 112).image for f in islice(labelled_frames(Camus(camus), "val"), 40)]
    assert mean_agreement(np.stack(frames), monkeypatch) > 0.998


def test_the_precision_follows_from_the_processor(monkeypatch):
    cpu, flags = torch.device("cpu"), {"avx512_bf16": False}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: flags, raising=False)
    assert not config.bf16_pays(cpu) and config.bf16_pays(torch.device("cuda"))
    flags["avx512_bf16"] = True
    assert config.bf16_pays(cpu)
    with monkeypatch.context() as context:
        context.setenv("ECHOLIB_PRECISION", "fp32")
        assert not config.bf16_pays(cpu) and not config.bf16_pays(torch.device("cuda"))
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert not config.bf16_pays(cpu)  # older versions of torch do not say


def test_a_name_in_place_of_a_network_or_a_clip_is_told():
    frames = np.zeros((2, 32, 32), np.uint8)
    with pytest.raises(
        DataError, match=r"expected a network, found 'lv'\. Load it by `load_model`"
    ):
        outline("lv", frames)
    with pytest.raises(DataError, match=r"found 'clip\.avi'\. Read it by `read_clip`"):
        outline(UNet(2, depth=1), "clip.avi")
