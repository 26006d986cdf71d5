"""Doubt: it is high for wrong masks, and leaving out doubtful frames raises the scores."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from echolib.geometry import polygon_to_mask
from echolib.networks.models import LandmarkUNet, UNet
from echolib.robustness import doubt
from tests.makers import frame_set, ventricle

NEAR, FAR = (polygon_to_mask(ventricle(width), (112, 112), rounded=False) for width in (14, 20))


def test_disagreement_is_one_minus_dice():
    empty = np.zeros_like(NEAR)
    values = doubt.disagreement(np.stack([NEAR, NEAR]), np.stack([NEAR, empty]))
    assert values.tolist() == [0, 1]
    assert 0.1 < doubt.disagreement(NEAR[None], FAR[None])[0] < 0.3


def test_entropy_rises_with_the_width_of_the_blurred_edge():
    certain = np.where(NEAR, 0.999, 0.001)
    uncertain = np.where(NEAR, 0.8, 0.2)
    values = doubt.entropy(np.stack([certain, uncertain]))
    assert 0 < values[0] < 0.2 * values[1]
    assert np.isfinite(doubt.entropy(np.stack([NEAR.astype(float), 0.0 * NEAR]))).all()


def test_the_mean_shape_lies_between_two_masks():
    middle = doubt.mean_shape(NEAR, FAR)
    assert NEAR.sum() < middle.sum() < FAR.sum()
    assert (middle <= FAR).all() and (NEAR <= middle).all()
    assert np.array_equal(doubt.mean_shape(NEAR, NEAR), NEAR)
    assert np.array_equal(doubt.mean_shape(NEAR, NEAR & False), NEAR)
    corner = np.zeros_like(NEAR)
    corner[:5, :5] = True
    assert np.array_equal(doubt.mean_shape(corner, NEAR), NEAR)  # nothing lies half-way


class Threshold(torch.nn.Module):
    """A masks model that takes bright pixels for the cavity."""

    arguments = {"outputs": 1}

    def forward(self, images):
        return 40 * (images - 0.5)


def test_views_are_mapped_back_before_they_are_compared():
    steady = np.where(NEAR, 255, 0).astype(np.uint8)
    faint = np.where(NEAR, 128, 120).astype(np.uint8)  # any change of gamma changes the mask
    values = doubt.augmented_doubt(Threshold(), np.stack([steady, faint]))
    assert values[0] < 0.04 and values[1] > 0.2


@given(st.integers(0, 1000), st.floats(0.05, 1))
def test_the_least_doubtful_frames_are_kept(seed, share):
    doubts = np.random.default_rng(seed).random(37)
    kept = doubt.keep_certain(doubts, share)
    left_out = np.setdiff1d(np.arange(37), kept)
    assert len(kept) == max(1, round(share * 37)) == len(set(kept))
    assert not len(left_out) or doubts[kept].max() <= doubts[left_out].min()


def cases(quality: float, count: int = 200) -> pd.DataFrame:
    """Cases whose doubt equals their error (quality 1) or is independent of it (quality 0)."""
    generator = np.random.default_rng(0)
    error = generator.exponential(0.05, count)
    doubts = quality * error + (1 - quality) * generator.exponential(0.05, count)
    patients = [f"p{i // 2}" for i in range(count)]
    return pd.DataFrame({"dice": 1 - error, "patient": patients, "doubt": doubts})


def test_dropping_by_a_good_doubt_raises_the_tail_and_by_a_random_one_does_not():
    gain, low, high = doubt.gain_of_dropping(cases(1.0), "doubt")
    assert 0.01 < low <= gain <= high
    gain, low, high = doubt.gain_of_dropping(cases(0.0), "doubt")
    assert low < 0.005 and gain < 0.02
    table = cases(1.0)
    curve = doubt.retention(table.dice, table.doubt, statistic=doubt.p10)
    assert curve.share.iloc[-1] == 1 and (np.diff(curve.score) <= 0).all()
    assert curve.score.iloc[-1] == pytest.approx(np.percentile(table.dice, 10))


def test_all_doubts_of_a_set_come_in_one_row_per_frame():
    frames = frame_set(count=8)
    torch.manual_seed(0)
    models = UNet(4, depth=2), LandmarkUNet(4, depth=2)
    table = doubt.doubt_cases(*models, frames)
    assert len(table) == 8 and table.dice.between(0, 1).all()
    assert table[list(doubt.DOUBTS)].notna().all(axis=None)
    darker = doubt.doubt_cases(*models, frames, np.asarray(frames.images) // 4)
    assert not np.allclose(table.entropy, darker.entropy)
