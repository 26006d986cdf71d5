"""Two processes that train together do the steps of one, on CPUs by gloo."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from echolib.networks.augment import Augmentation, Augmenter
from echolib.networks.batches import Batches
from echolib.networks.corruptions import SEEN, corrupt_some
from echolib.networks.models import LandmarkUNet, UNet, load_model
from echolib.networks.plan import TrainingConfig
from echolib.networks.tasks import task_of
from echolib.networks.team import Team
from echolib.networks.training import Training
from tests.makers import frame_set, ventricle_set

ROOT = Path(__file__).resolve().parents[2]
CPU = torch.device("cpu")
# An epoch is one batch, and each step a row of the history. The learning rate is low, because Adam
# enlarges differences by rounding: at 2e-3 they are 2e-6 after three steps, but 8e-5 after 17.
CONFIG = TrainingConfig(
    epochs=20, batch=11, corrupted=0.3, precision="fp32", learning_rate=1e-4, constant=True
)


def train(folder: str | Path, kind: str, config: TrainingConfig = CONFIG) -> Training:
    """Train, or go on, as one process or as one of a team."""
    torch.manual_seed(0)
    frames = frame_set(count=24) if kind == "masks" else ventricle_set()
    model = UNet(4, depth=2) if kind == "masks" else LandmarkUNet(4, depth=2)
    training = Training(model, frames.split("train"), frames.split("val"), folder, config, True)
    training.run(progress=False)
    return training


def train_together(folder: Path, kind: str, processes: int = 2, **changes: float) -> None:
    """The same, by processes that torchrun starts."""
    line = f"-m torch.distributed.run --standalone --nproc-per-node {processes} -m {__name__}"
    done = subprocess.run(
        [sys.executable, *line.split(), str(folder), kind, json.dumps(changes)], cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def history(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "history.csv")


@pytest.mark.parametrize("kind", ["masks", "landmarks"])
def test_two_processes_do_the_steps_of_one(kind, tmp_path):
    train(tmp_path / "one", kind)
    train_together(tmp_path / "two", kind)
    one, two = history(tmp_path / "one"), history(tmp_path / "two")
    assert list(two.step) == list(one.step) == list(range(1, 21))
    assert one.loss.nunique() == 20
    np.testing.assert_allclose(two.loss, one.loss, rtol=0, atol=1e-5)
    np.testing.assert_allclose(two.val_dice, one.val_dice, atol=1e-3)
    ours, theirs = (load_model(tmp_path / name).state_dict() for name in ("one", "two"))
    for name, weight in ours.items():
        torch.testing.assert_close(theirs[name], weight, rtol=1e-3, atol=1e-4)


def test_a_training_resumes_with_another_number_of_processes(tmp_path):
    train(tmp_path / "one", "masks", replace(CONFIG, epochs=10))
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    train(tmp_path / "one", "masks")
    train_together(tmp_path / "two", "masks")
    one, two = history(tmp_path / "one"), history(tmp_path / "two")
    assert list(two.step) == list(one.step) == list(range(1, 21))
    assert (two.loss[:10] == one.loss[:10]).all()
    np.testing.assert_allclose(two.loss, one.loss, rtol=0, atol=1e-5)
    train(tmp_path / "two", "masks", replace(CONFIG, epochs=22))
    assert list(history(tmp_path / "two").step) == list(range(1, 23))


@pytest.mark.parametrize(("whole", "size"), [(16, 1), (16, 3), (5, 4), (2, 2)])
def test_shares_make_up_the_batch(whole, size):
    shares = [Team(rank, size, CPU).share(whole) for rank in range(size)]
    numbers = list(range(whole))
    assert [number for share in shares for number in numbers[share]] == numbers
    assert all(numbers[share] for share in shares)


def test_the_mean_of_weighted_shares_is_that_of_the_batch():
    losses = np.random.default_rng(0).random(11)
    teams = [Team(rank, 3, CPU) for rank in range(3)]
    parts = [losses[team.share(11)] for team in teams]
    weighted = [
        team.weight(len(own), 11) * own.mean() for team, own in zip(teams, parts, strict=True)
    ]
    assert np.mean(weighted) == pytest.approx(losses.mean())


def test_an_image_is_changed_as_in_the_whole_batch():
    frames = ventricle_set()
    images = torch.from_numpy(np.array(frames.images[:7]))[:, None].float() / 255
    masks = torch.from_numpy(np.array(frames.masks[:7]))[:, None].float()
    points = torch.from_numpy(np.array(frames.landmarks[:7]))
    augmenter = Augmenter(Augmentation(flip=0.5), CPU, seed=3)
    augmenter.reseed(5)
    expected = augmenter(images, masks, points)
    for own in (slice(0, 3), slice(3, 7)):
        augmenter.reseed(5, own, 7)
        parts = augmenter(images[own], masks[own], points[own])
        for part, whole in zip(parts, expected, strict=True):
            torch.testing.assert_close(part, whole[own], rtol=0, atol=1e-4)


def test_an_image_is_corrupted_as_in_the_whole_batch():
    images = np.array(ventricle_set().images[:9])
    expected = corrupt_some(images, 0.7, SEEN, np.random.default_rng(2))
    assert (expected != images).any(axis=(1, 2)).sum() > 3
    for own in (slice(0, 4), slice(4, 9)):
        part = corrupt_some(images[own], 0.7, SEEN, np.random.default_rng(2), own.start, 9)
        np.testing.assert_array_equal(part, expected[own])


def test_more_processes_than_images_are_refused():
    frames = frame_set(count=24).split("train")
    task = task_of(UNet(4, depth=2), "bce_dice", 0.3, 1.0)
    with pytest.raises(ValueError, match="12 processes cannot share batches of 11 images"):
        Batches(frames, task, CONFIG, Team(0, 12, CPU))


if __name__ == "__main__":
    folder, kind, changes = sys.argv[1:]
    train(folder, kind, replace(CONFIG, **json.loads(changes)))
