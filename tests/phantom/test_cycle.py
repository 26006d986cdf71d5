"""Phantom frames with the end-diastolic and the end-systolic frame as neighbours."""

import numpy as np
import pytest

from echolib.data import FrameSet
from echolib.data.frames import with_neighbours
from echolib.phantom.common import CYCLE_STREAM
from echolib.phantom.cycle_frames import PER_HEART, balanced_choice, draw_cycle_frames
from echolib.phantom.scene import draw_scan

FRAMES = draw_cycle_frames(8, seed=2, workers=1, progress=False)


def test_each_heart_has_an_ed_frame_an_es_frame_and_a_random_one():
    table = FRAMES.table
    assert len(FRAMES) == PER_HEART * 8
    assert table.phase.tolist() == ["ED", "ES", ""] * 8
    assert (table.groupby("clip").split.nunique() == 1).all()
    assert set(table.split) == {"train", "val"}


def test_the_neighbours_are_the_ed_and_es_frames():
    ends = np.repeat(FRAMES.images.reshape(8, PER_HEART, 112, 112)[:, :2], PER_HEART, axis=0)
    assert np.array_equal(FRAMES.neighbours, ends)
    inputs = with_neighbours(FRAMES, FRAMES.inputs)
    assert np.array_equal(inputs[::PER_HEART, 0], inputs[::PER_HEART, 1])  # ED next to itself
    assert np.array_equal(inputs[1::PER_HEART, 2], inputs[1::PER_HEART, 1])


def test_the_cavity_is_largest_at_end_diastole():
    areas = FRAMES.masks.sum(axis=(1, 2)).reshape(8, PER_HEART)
    assert (areas[:, 0] > areas[:, 1]).all()
    assert (areas[:, 2] <= 1.05 * areas[:, 0]).all()


def test_masks_and_landmarks_belong_to_the_same_frame():
    assert np.array_equal(FRAMES.masks, FRAMES.regions == 1)
    for mask, landmarks in zip(FRAMES.masks, FRAMES.landmarks, strict=True):
        rows, columns = np.nonzero(mask)
        assert abs(columns.mean() - landmarks[:, 0].mean()) < 3
        assert abs(rows.mean() - landmarks[:, 1].mean()) < 6


def test_frames_do_not_depend_on_the_number_of_workers():
    other = draw_cycle_frames(8, seed=2, workers=2, progress=False)
    assert other.fingerprint() == FRAMES.fingerprint()
    assert draw_cycle_frames(2, seed=3, workers=1, progress=False).fingerprint() != (
        draw_cycle_frames(2, seed=2, workers=1, progress=False).fingerprint()
    )


def test_no_heart_is_shared_with_other_kinds_of_phantom_data():
    own = draw_scan(2, CYCLE_STREAM, 0, 112)[0].heart
    assert all(draw_scan(2, stream, 0, 112)[0].heart.length != own.length for stream in (0, 1, 2))


def test_no_heart_is_drawn_twice_or_both_trained_and_validated_on():
    assert (FRAMES.table["clip"].value_counts() == PER_HEART).all()
    assert FRAMES.table["clip"].nunique() == 8


def test_rare_ejection_fractions_become_more_frequent():
    """60 strong hearts and 10 weak ones: each weak one weighs 6 ** 0.75 times as much."""
    fractions = np.array([58.0] * 60 + [21.0] * 10)
    shares = []
    for seed in range(20):
        chosen = balanced_choice(fractions, 20, np.random.default_rng(seed))
        assert len(np.unique(chosen)) == 20 and (np.diff(chosen) > 0).all()
        shares.append(np.mean(chosen >= 60))
    assert 0.28 < np.mean(shares) < 0.45  # 0.14 of all


def test_rare_hearts_may_all_be_chosen():
    fractions = np.array([58.0, 58, 58, 58, 21])
    chosen = balanced_choice(fractions, 5, np.random.default_rng(0))
    assert chosen.tolist() == list(range(5))


def test_the_set_can_be_saved_and_loaded(tmp_path):
    FRAMES.save(tmp_path / "set")
    assert FrameSet.load(tmp_path / "set").fingerprint() == FRAMES.fingerprint()


def test_one_heart_is_refused():
    with pytest.raises(ValueError, match="2 or more"):
        draw_cycle_frames(1)
