"""Learning from corrections: the guard keeps what is better and rejects what is worse."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tqdm.auto import tqdm

from echolib.corrections import learning
from echolib.corrections.learning import (
    CASES_FILE,
    FEW_FRAMES,
    FEW_PATIENTS,
    LEAST_PATIENTS,
    SHARE,
    Lesson,
    compare,
    held_out,
    learn,
    learning_config,
    mix,
    read_lesson,
    score_change,
    score_frames,
    unseen_frames,
)
from echolib.data import FrameSet
from echolib.errors import DataError
from echolib.networks.augment import Augmentation
from echolib.networks.inference import with_regions
from echolib.networks.models import LandmarkUNet, UNet, load_model, weights_digest
from echolib.networks.training import Training
from echolib.phantom.single_frames import draw_frame_set
from echolib.statistics import PairedDifference
from tests.makers import frame_set

GENTLE = learning_config(
    10, epochs=1, batch=8, augmentation=Augmentation.none(), learning_rate=5e-3
)
REMEMBERED = frame_set(count=60, seed=1)


def shrunk(frames: FrameSet, pixels: int) -> FrameSet:
    """The frames with masks that end some pixels above the true end."""
    masks = np.array(frames.masks)
    masks[:, pixels:] &= masks[:, :-pixels]
    return replace(frames, masks=masks)


@pytest.fixture(scope="module")
def start(tmp_path_factory) -> UNet:
    """A network that learnt ellipses cut off below the top by four pixels."""
    torch.manual_seed(0)
    frames = shrunk(frame_set(count=60, seed=1), 4)
    config = replace(GENTLE, epochs=12, average=0.9)
    parts = frames.split("train"), frames.split("val")
    folder = tmp_path_factory.mktemp("start")
    Training(UNet(width=4, depth=2), *parts, folder, config).run(progress=False)
    return load_model(folder)


def patients(count: int, seed: int = 2) -> FrameSet:
    return frame_set(count=2 * count, seed=seed)


def test_weights_that_are_better_on_held_out_patients_are_kept(tmp_path, start):
    before = weights_digest(start)
    lesson = learn(start, patients(8), REMEMBERED, tmp_path, GENTLE, progress=False)
    assert lesson.kept and lesson.crossed and lesson.difference.patients == 8
    assert lesson.difference.low > 0 and lesson.after > lesson.before
    assert lesson.seen == tuple(f"p{number}" for number in range(8))
    assert weights_digest(start) == before
    network = load_model(tmp_path)
    assert score_frames(network, patients(6, seed=3)).mean() > lesson.before + 0.02
    assert network.card["guard"]["patients"] == 8 and network.card["crossed"]
    assert "p0" not in str(network.card), "weights may be handed on, names of patients may not"
    assert read_lesson(tmp_path) == lesson
    assert "kept" in lesson.report() and f"{lesson.difference.low:+.3f}" in lesson.report()


def test_weights_that_wrong_labels_made_worse_are_rejected(tmp_path, start):
    """Enough patients for one training; those that are held out have true labels."""
    frames = patients(FEW_PATIENTS)
    (fold,) = held_out(frames.table.patient.to_numpy())
    wrong = ~frames.table.patient.isin(fold).to_numpy()
    masks = np.array(frames.masks)
    masks[wrong] = np.roll(masks[wrong], 9, axis=2)
    lesson = learn(
        start, replace(frames, masks=masks), REMEMBERED, tmp_path, GENTLE, progress=False
    )
    assert not lesson.kept and not lesson.crossed
    assert lesson.difference.patients == len(fold) == FEW_PATIENTS // 4
    assert not (tmp_path / "model.safetensors").exists()
    assert "worse, and are rejected" in lesson.report()
    assert set(lesson.seen) == set(frames.table.patient) - set(fold)
    assert (tmp_path / CASES_FILE).is_file()


def lesson(mean: float, low: float, high: float) -> Lesson:
    return Lesson(
        PairedDifference(6, mean, low, high, 1.0, 0.0), 0.9, 0.9 + mean, True, 0.9, 0.9, "lv"
    )


def test_a_gain_that_may_be_a_loss_is_rejected_and_said_to_be_unclear():
    unclear = lesson(0.01, -0.03, 0.05)
    assert not unclear.kept and "Correct more" in unclear.report()
    assert lesson(0.0, -0.004, 0.004).kept
    assert lesson(0.02, 0.01, 0.03).kept


def test_an_interrupted_lesson_goes_on_to_the_same_weights(tmp_path, start, monkeypatch):
    frames, whole, cut = patients(LEAST_PATIENTS), tmp_path / "whole", tmp_path / "cut"
    learn(start, frames, REMEMBERED, whole, GENTLE, progress=False)
    run, count = Training.run, []

    def interrupted(self, progress):
        count.append(self)
        if len(count) == 3:
            self._round(tqdm(disable=True))
            raise KeyboardInterrupt
        return run(self, progress)

    monkeypatch.setattr(Training, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        learn(start, frames, REMEMBERED, cut, GENTLE, progress=False)
    assert not (cut / "learning.json").exists() and not (cut / "model.safetensors").exists()
    with pytest.raises(ValueError, match="already holds a training"):
        learn(start, frames, REMEMBERED, cut, GENTLE, progress=False)
    learn(start, frames, REMEMBERED, cut, GENTLE, resume=True, progress=False)
    assert (cut / CASES_FILE).read_bytes() == (whole / CASES_FILE).read_bytes()
    assert weights_digest(load_model(cut / "all")) == weights_digest(load_model(whole / "all"))


def test_what_was_learnt_is_not_written_over(tmp_path, start):
    config = replace(GENTLE, epochs=0.1)
    first = learn(start, patients(LEAST_PATIENTS), REMEMBERED, tmp_path, config, progress=False)
    content = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(ValueError, match="already holds what was learnt"):
        learn(start, patients(LEAST_PATIENTS), REMEMBERED, tmp_path, config, progress=False)
    again = learn(start, patients(5), REMEMBERED, tmp_path, config, resume=True, progress=False)
    assert again == first
    with pytest.raises(ValueError, match="learnt from 10 corrected frames"):
        learn(start, patients(6), REMEMBERED, tmp_path, config, resume=True, progress=False)
    assert content == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_many_corrections_make_a_training_longer():
    few, some, many = (learning_config(frames).epochs for frames in (10, FEW_FRAMES, 700))
    assert few == some == many / 2
    assert learning_config(10, minutes=2.0).length == {"minutes": 2.0}


@pytest.mark.parametrize("count", [LEAST_PATIENTS, 20, FEW_PATIENTS - 1])
def test_each_of_few_patients_is_held_out_once(count):
    names = np.repeat([f"p{number}" for number in range(count)], 3)
    folds = held_out(names)
    assert sorted(np.concatenate(folds)) == sorted(set(names)) and min(map(len, folds)) > 0
    assert max(map(len, folds)) - min(map(len, folds)) <= 1


def test_a_quarter_of_many_patients_is_held_out_once():
    names = np.array([f"p{number}" for number in range(100)])
    (fold,) = held_out(names)
    assert len(fold) == 25 and set(fold) < set(names)
    assert set(held_out(names, seed=1)[0]) != set(fold)
    np.testing.assert_array_equal(held_out(names[::-1])[0], fold)


@pytest.mark.parametrize(
    ("count", "said"), [(0, "of no patient"), (1, "1 patient only"), (4, "4 patients only")]
)
def test_too_few_patients_are_refused(tmp_path, start, count, said):
    frames = patients(LEAST_PATIENTS).select(np.arange(2 * count))
    with pytest.raises(DataError, match=said):
        learn(start, frames, REMEMBERED, tmp_path / "out", GENTLE, progress=False)
    assert not (tmp_path / "out").exists()


def test_networks_and_frames_that_do_not_fit_are_refused(tmp_path, start):
    frames, landmarks = patients(LEAST_PATIENTS), LandmarkUNet(width=2, depth=2)
    regions = UNet(width=2, depth=2, outputs=3)
    regions.size = 32
    for network, corrected, message in (
        (landmarks, frames, "does not find masks"),
        (start, frame_set(count=10, size=16), "corrected frames are squares of 16 px"),
        (regions, frames, "marks 3 regions, the remembered frames 1"),
    ):
        with pytest.raises(ValueError, match=message):
            learn(network, corrected, REMEMBERED, tmp_path, GENTLE, progress=False)


def test_a_quarter_of_what_is_shown_is_remembered_and_each_correction_as_often_as_another():
    few, many = patients(5), REMEMBERED
    mixed = mix(few, many)
    assert len(mixed) == len(many) / SHARE
    rows = mixed.table.iloc[: -len(many)].groupby(["clip", "frame"]).size()
    assert len(rows) == 10 and rows.max() - rows.min() <= 1
    assert len(mix(many, few.select(np.arange(2)))) == len(many) + 2


def test_regions_beside_the_cavity_are_those_that_the_network_marks(start):
    phantom = draw_frame_set(4, workers=1, progress=False, size=32)
    network = UNet(width=2, depth=2, outputs=3).eval()
    taught = with_regions(phantom, network)
    np.testing.assert_array_equal(taught.regions == 1, phantom.masks)
    assert set(np.unique(taught.regions)) <= {0, 1, 2, 3} and taught.outputs > 1
    assert with_regions(phantom, start).regions is None


def test_a_change_is_scored_on_patients_that_no_training_has_seen(start):
    frames = patients(6)
    seen = replace(lesson(0.0, 0.0, 0.0), seen=("p0", "p3"))
    unseen = unseen_frames(frames, seen)
    assert set(unseen.table.patient) == {"p1", "p2", "p4", "p5"}
    cases = score_change(start, start, unseen)
    assert compare(cases).mean == 0 and len(cases) == 8
    assert len(unseen_frames(frames, replace(seen, seen=tuple(frames.table.patient)))) == 0


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"difference": 1}'])
def test_other_files_are_no_lesson(tmp_path, text):
    (tmp_path / "learning.json").write_text(text)
    with pytest.raises(DataError, match=r"learning\.json"):
        read_lesson(tmp_path)


def test_remembered_frames_are_drawn_once(tmp_path, monkeypatch):
    monkeypatch.setenv("ECHOLIB_DATA", str(tmp_path))
    first = learning.remembered_frames(32, count=20, workers=1, progress=False)
    monkeypatch.setattr(learning, "draw_frame_set", None)
    again = learning.remembered_frames(32, count=20, progress=False)
    assert first.fingerprint() == again.fingerprint()
    assert len(first.split("train")) == 18 and first.outputs == 3
