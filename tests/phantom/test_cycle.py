"""Phantom frames with the end-diastolic and the end-systolic frame as neighbours."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from echolib.data import FrameSet
from echolib.data.frame_checks import COLUMNS
from echolib.data.frames import with_neighbours
from echolib.geometry import outline_to_tracing
from echolib.phantom.common import CYCLE_STREAM
from echolib.phantom.cycle_frames import PER_HEART, balanced_indices, draw_cycle_frames
from echolib.phantom.scene import draw_scan
from tests.makers import ventricle

FRAMES = draw_cycle_frames(8, seed=2, workers=1, progress=False)


def test_each_heart_has_an_ed_frame_an_es_frame_and_a_random_one():
    table = FRAMES.table
    assert len(FRAMES) == PER_HEART * 8 and (table["clip"].value_counts() % PER_HEART == 0).all()
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


def test_rare_ejection_fractions_become_more_frequent():
    """Shrinking ellipses: 60 strong hearts and 4 weak ones, one of which is for validation."""
    shrinks = np.array([0.7] * 60 + [0.95] * 4)
    outline = ventricle()
    middle = outline.mean(axis=0)
    landmarks = []
    for shrink in shrinks:
        for scale in (1.0, shrink, 1.0):
            landmarks.append(outline_to_tracing(middle + scale * (outline - middle)).landmarks)
    number = np.repeat(np.arange(64), PER_HEART)
    table = pd.DataFrame(
        {"clip": number.astype(str), "split": np.where(number < 63, "train", "val")}
    )
    table = table.reindex(columns=COLUMNS).assign(phase="")
    empty = np.zeros((len(table), 4, 4), np.uint8)
    frames = FrameSet(empty, empty > 0, np.array(landmarks), table)
    rows = balanced_indices(frames, np.random.default_rng(0))
    hearts = rows[::PER_HEART] // PER_HEART
    assert len(rows) == len(frames) and np.array_equal(rows % PER_HEART, np.tile(range(3), 64))
    assert hearts[-1] == 63 and (hearts[:-1] < 63).all()
    share = np.mean(hearts[:-1] >= 60)
    expected = 3**0.25 / (3**0.25 + 60**0.25)
    assert share == pytest.approx(expected, abs=0.12) and share > 0.2


def test_frames_without_landmarks_cannot_be_balanced():
    with pytest.raises(ValueError, match="expected a FrameSet with landmarks, found one without"):
        balanced_indices(replace(FRAMES, landmarks=None), np.random.default_rng(0))


def test_the_set_can_be_saved_and_loaded(tmp_path):
    FRAMES.save(tmp_path / "set")
    assert FrameSet.load(tmp_path / "set").fingerprint() == FRAMES.fingerprint()


def test_one_heart_is_refused():
    with pytest.raises(ValueError, match="2 or more"):
        draw_cycle_frames(1)
