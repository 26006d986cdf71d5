"""Training learns, stops early, resumes exactly, and refuses checkpoints of others."""

import json
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.morphology import dilation
from torch import nn

from echolib.errors import DataError
from echolib.geometry import SUBSETS
from echolib.networks import TARGETS, inference
from echolib.networks.augment import Augmentation
from echolib.networks.average import MovingAverage
from echolib.networks.checkpoints import planned_length, save_checkpoint
from echolib.networks.models import LandmarkRegressor, LandmarkUNet, UNet, load_model, new_model
from echolib.networks.training import Training, TrainingConfig
from tests.makers import frame_set, ventricle_set

ROOT = Path(__file__).resolve().parents[2]
FRAMES = frame_set(count=24)
CONFIG = TrainingConfig(epochs=6, batch=4, augmentation=Augmentation.none(), learning_rate=5e-3)


def start(folder, config=CONFIG, resume=False, width=4, frames=FRAMES) -> Training:
    torch.manual_seed(0)
    parts = (frames.split("train"), frames.split("val"))
    return Training(UNet(width, depth=2), *parts, folder, config, resume)


def test_training_learns_ellipses_and_keeps_the_best_weights(tmp_path):
    training = start(tmp_path, replace(CONFIG, epochs=20))
    before, _ = training.validate()
    history = training.run(progress=False)
    assert history.val_dice.max() > 0.9 > before
    assert history.step.iloc[-1] == 100 and history.loss.iloc[-1] < history.loss.iloc[0]
    model = load_model(tmp_path)
    assert model.size == 32 and model.card["trained_on"] == "ellipses"
    assert model.card["validation_dice"] == pytest.approx(history.val_dice.max(), abs=1e-4)
    cases = inference.score(model, FRAMES, "val", progress=False)
    assert cases.dice.mean() == pytest.approx(history.val_dice.max(), abs=0.02)


def test_an_epoch_has_the_steps_that_it_is_given(tmp_path):
    training = start(tmp_path, replace(CONFIG, epochs=1.5, epoch_steps=8))
    history = training.run(progress=False)
    assert (history.step.iloc[-1], history.epoch.iloc[-1]) == (12, 1.5)
    longer = start(tmp_path, replace(CONFIG, epochs=2, epoch_steps=8), resume=True)
    assert longer.progress.steps == 16
    with pytest.raises(ValueError, match="1 step or more, not 0"):
        replace(CONFIG, epoch_steps=0)


@pytest.mark.parametrize("target", ["masks", "landmarks", "regression"])
def test_the_validation_loss_is_the_training_loss_of_frames_that_stay_as_they_are(tmp_path, target):
    frames = ventricle_set(count=8)
    model = new_model(target, width=4, depth=2, fold=1)
    training = Training(model, frames, frames, tmp_path, replace(CONFIG, batch=len(frames)))
    averaged = training.averaged.module
    images, labels = training.batches.batch(0)  # without augmentation, and all of them
    with torch.inference_mode():
        expected = training.task.loss(training.task.answer(averaged, images), labels)
    assert training.validation.scores(averaged, False)[1] == pytest.approx(float(expected), 1e-4)
    history = training.run(progress=False)
    assert history.val_loss.iloc[-1] == pytest.approx(training.validate()[1])
    assert history.val_loss.iloc[-1] < float(expected)


def test_regions_beside_the_cavity_are_learnt_too(tmp_path):
    wall = np.stack([dilation(mask, np.ones((7, 7))) for mask in FRAMES.masks]) & ~FRAMES.masks
    regions = FRAMES.masks.astype(np.uint8) + 2 * wall.astype(np.uint8)
    frames = replace(FRAMES, regions=regions)
    torch.manual_seed(0)
    parts = (frames.split("train"), frames.split("val"))
    config = replace(CONFIG, epochs=30, auxiliary=1.0)
    model = UNet(4, depth=2, outputs=3)
    training = Training(model, *parts, tmp_path, config)
    training.run(progress=False)
    assert training.progress.best > 0.9  # of the cavity, by which the weights are chosen
    images = torch.from_numpy(np.ascontiguousarray(parts[1].images))[:, None].float() / 255
    with torch.inference_mode():
        predicted = training.averaged(images) > 0
    truth = torch.from_numpy(np.ascontiguousarray(parts[1].regions))[:, None] == 2
    both = (predicted[:, 1:2] & truth).sum()
    assert 2 * both / (predicted[:, 1:2].sum() + truth.sum()) > 0.5
    assert not predicted[:, 2].any()  # there is no atrium in these frames


def test_regions_without_labels_cannot_be_learnt(tmp_path):
    parts = (FRAMES.split("train"), FRAMES.split("val"))
    with pytest.raises(ValueError, match="3 outputs.*cavity only.*one output"):
        Training(UNet(4, depth=2, outputs=3), *parts, tmp_path, CONFIG)


# --- Frozen levels, constant rates, neighbours ----------------------------------------------------


def trained(folder, resume=False, steps=None, model=None, frames=FRAMES, **changes) -> Training:
    """Train a few steps on a model that was trained before, as in a second stage."""
    if model is None:
        torch.manual_seed(1)
        model = UNet(2, depth=3)
        model.mean.fill_(0.7), model.sd.fill_(0.4)
        model(torch.rand(4, 1, 32, 32))  # so that batch normalisation has statistics
    config = replace(CONFIG, **({"epochs": 2, "average": 0.0} | changes))
    parts = (frames.split("train"), frames.split("val"))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    training = Training(model, *parts, folder, config, resume)
    training.before = before
    if steps is None:
        training.run(progress=False)
    return training


def frozen_names(training, levels):
    """Names of tensors that must not change: frozen levels with their statistics, grey levels."""
    first = tuple(f"down.{level}." for level in range(levels))
    return [name for name in training.before if name.startswith(first) or name in ("mean", "sd")]


@pytest.mark.parametrize("levels", [1, 2, 4])
def test_frozen_levels_do_not_change_by_a_bit_and_all_others_change(tmp_path, levels):
    training = trained(tmp_path, frozen=levels)
    frozen = frozen_names(training, levels)
    assert sum("num_batches_tracked" in name for name in frozen) == 2 * levels
    saved = load_model(tmp_path)
    for model in (training.model, training.averaged.module, saved):
        after = model.state_dict()
        for name in frozen:
            assert torch.equal(after[name].cpu(), training.before[name]), name
    others = [name for name, _ in training.model.named_parameters() if name not in frozen]
    after = training.model.state_dict()
    assert not [name for name in others if torch.equal(after[name], training.before[name])]
    tracked = [name for name in after if "num_batches" in name and name not in frozen]
    assert all(after[name] == training.before[name] + training.progress.step for name in tracked)


def test_without_frozen_levels_all_weights_change(tmp_path):
    training = trained(tmp_path)
    after = training.model.state_dict()
    for name in frozen_names(training, 2):
        assert not torch.equal(after[name], training.before[name]), name
    pixels = FRAMES.split("train").images / 255  # the frames' own grey levels
    assert training.model.mean == pytest.approx(pixels.mean(), abs=1e-3)
    assert training.model.sd == pytest.approx(pixels.std(), abs=1e-3)


def test_checkpoints_of_another_fold_are_refused_and_those_without_one_have_one(tmp_path):
    parts = FRAMES.split("train"), FRAMES.split("val")
    config = replace(CONFIG, epochs=1)
    Training(UNet(2, 2), *parts, tmp_path, config).run(progress=False)
    path = tmp_path / "checkpoint.pt"
    with pytest.raises(DataError, match="arguments: here .*'fold': 2.* there .*'fold': 1"):
        Training(UNet(2, 2, fold=2), *parts, tmp_path, config, resume=True)
    state = torch.load(path, weights_only=True)
    identity = json.loads(state["identity"])
    del identity["arguments"]["fold"]  # as checkpoints were before
    save_checkpoint(state | {"identity": identity}, path)
    with pytest.raises(DataError, match="arguments: here .*'fold': 2.* there .*'fold': 1"):
        Training(UNet(2, 2, fold=2), *parts, tmp_path, config, resume=True)
    assert Training(UNet(2, 2), *parts, tmp_path, config, resume=True).finished


def test_frozen_levels_do_not_change_after_resuming(tmp_path):
    class Bar:
        def update(self):
            pass

        def set_postfix_str(self, text):
            pass

    whole = trained(tmp_path / "whole", frozen=2, steps=0)
    first = trained(tmp_path / "parts", frozen=2, steps=0)
    for training in (whole, first):
        training.progress.bf16 = False
    whole.run(progress=False)
    first._round(Bar())
    second = trained(tmp_path / "parts", resume=True, frozen=2, model=UNet(2, depth=3))
    assert second.progress.step == whole.progress.step > first.progress.step > 0
    after = second.model.state_dict()
    for name in frozen_names(first, 2):
        assert torch.equal(after[name], first.before[name]), name
    for name, tensor in whole.averaged.state_dict().items():
        assert torch.equal(tensor, second.averaged.state_dict()[name]), name
    with pytest.raises(DataError, match="config.frozen: here 1, there 2"):
        trained(tmp_path / "parts", resume=True, frozen=1)


def test_more_levels_than_there_are_cannot_be_frozen(tmp_path):
    with pytest.raises(ValueError, match="4 levels; 5 cannot be frozen"):
        trained(tmp_path, frozen=5)


def test_a_constant_learning_rate_is_the_same_in_every_round(tmp_path):
    constant = trained(tmp_path / "constant", constant=True, learning_rate=3e-4).history
    assert len(constant) > 3 and set(constant.learning_rate) == {3e-4}
    usual = trained(tmp_path / "usual", learning_rate=3e-4).history
    assert usual.learning_rate.iloc[-1] < 1e-4


@pytest.mark.parametrize("known", [True, False])
def test_three_inputs_learn_from_neighbours_or_from_the_frame_itself(tmp_path, known):
    """Only the neighbours show where the ellipse is."""
    blank = np.full(FRAMES.images.shape, 90, np.uint8)
    blank[:, 0] = 91  # frames of one grey level are refused
    beside = np.stack([FRAMES.images, FRAMES.images], axis=1) if known else None
    frames = replace(FRAMES, images=blank, neighbours=beside)
    torch.manual_seed(0)
    training = trained(
        tmp_path, model=UNet(4, 2, inputs=3), frames=frames, epochs=12, augmentation=Augmentation()
    )
    images, targets = training.batches.batch(0)
    assert images.shape == (4, 3, 32, 32) and targets.shape == (4, 1, 32, 32)
    assert load_model(tmp_path).arguments["inputs"] == 3
    if known:
        assert training.progress.best > 0.75
    else:
        assert training.validation.images.shape[1] == 3 and (training.validation.images >= 90).all()


def train_on_ventricles(model, folder, frames=None, **changes) -> Training:
    frames = frames or ventricle_set()
    parts = (frames.split("train"), frames.split("val"))
    torch.manual_seed(0)
    config = replace(CONFIG, epochs=40, **changes)
    training = Training(model, *parts, folder, config)
    training.run(progress=False)
    return training


@pytest.mark.parametrize("landmarks", [40, 7])
def test_landmarks_are_learnt_by_the_same_training(tmp_path, landmarks):
    augmentation = replace(Augmentation.none(), flip=0.5, shift=0.05)
    torch.manual_seed({40: 1, 7: 0}[landmarks])  # so short a training does not always find them
    model = LandmarkUNet(8, depth=2, landmarks=landmarks)
    training = train_on_ventricles(model, tmp_path, augmentation=augmentation)
    assert training.progress.best > (0.88 if landmarks == 40 else 0.75)
    model = load_model(tmp_path)
    frames = ventricle_set()
    predicted = inference.predict(model, frames.split("val").images)
    truth = frames.split("val").landmarks[:, list(SUBSETS[landmarks])]
    assert np.hypot(*(predicted - truth).transpose(2, 0, 1)).mean() < 2.5
    cases = inference.score(model, frames, "val", progress=False)
    assert cases.dice.mean() == pytest.approx(training.progress.best, abs=0.02)


def test_landmarks_are_learnt_by_regression_too(tmp_path):
    torch.manual_seed(0)
    assert train_on_ventricles(LandmarkRegressor(8, depth=2), tmp_path).progress.best > 0.7


def test_landmarks_of_three_inputs_learn_from_neighbours(tmp_path):
    """Only the neighbours show where the ventricle is."""
    frames = ventricle_set()
    beside = np.stack([frames.images, frames.images], axis=1)
    blank = np.full(frames.images.shape, 90, np.uint8)
    blank[:, 0] = 91  # frames of one grey level are refused
    torch.manual_seed(1)
    model = LandmarkUNet(8, depth=2, inputs=3)
    blind = replace(frames, images=blank, neighbours=beside)
    assert train_on_ventricles(model, tmp_path, blind).progress.best > 0.8
    assert load_model(tmp_path).arguments["inputs"] == 3


def test_frames_without_landmarks_are_refused_for_a_landmarks_model(tmp_path):
    parts = (FRAMES.split("train"), FRAMES.split("val"))
    with pytest.raises(ValueError, match="no 40 landmarks.*masks model"):
        Training(LandmarkUNet(4, depth=2), *parts, tmp_path, CONFIG)


def test_the_corrupted_images_of_a_step_do_not_depend_on_resuming(tmp_path):
    config = replace(CONFIG, corrupted=0.5, corruptions=("attenuation",))
    first, second = start(tmp_path / "a", config), start(tmp_path / "b", config)
    plain = start(tmp_path / "c")
    batches = [training.batches.batch(3) for training in (first, second, plain)]
    assert torch.equal(batches[0][0], batches[1][0])
    darker = batches[0][0].mean(dim=(1, 2, 3)) < batches[2][0].mean(dim=(1, 2, 3)) - 0.01
    assert 0 < darker.sum() < len(darker)
    assert torch.equal(batches[0][1], batches[2][1])  # the masks stay
    with pytest.raises(ValueError, match="0 to 1"):
        TrainingConfig(corrupted=1.5)
    with pytest.raises(ValueError, match="Unknown corruptions"):
        TrainingConfig(corruptions=("rain",))
    with pytest.raises(ValueError, match="no corruption is named"):
        TrainingConfig(corrupted=0.5, corruptions=())
    with pytest.raises(ValueError, match=r"12 landmarks.*\[7, 40\]"):
        parts = (FRAMES.split("train"), FRAMES.split("val"))
        Training(LandmarkUNet(4, depth=2, landmarks=12), *parts, tmp_path / "d", CONFIG)


def test_training_stops_when_the_dice_does_not_improve(tmp_path, monkeypatch):
    training = start(tmp_path, replace(CONFIG, epochs=50, patience=3))
    monkeypatch.setattr(training, "validate", lambda: (0.5, 1.0))
    assert len(training.run(progress=False)) == 5


def test_minutes_limit_the_time(tmp_path):
    training = start(tmp_path, replace(CONFIG, minutes=0.1, patience=1000))
    started = time.perf_counter()
    history = training.run(progress=False)
    assert len(history) >= 5 and history.learning_rate.iloc[-1] < CONFIG.learning_rate / 4
    assert history.seconds.iloc[-1] < 60 and time.perf_counter() - started < 60


def test_a_stopped_training_ends_in_the_same_bits(tmp_path):
    """It is interrupted between two rounds and resumed by new objects."""
    config = replace(CONFIG, augmentation=Augmentation())
    whole = start(tmp_path / "whole", config)
    whole.progress.bf16 = False
    whole.run(progress=False)
    first = start(tmp_path / "parts", config)
    first.progress.bf16 = False
    bar = type(
        "Bar", (), {"update": lambda self: None, "set_postfix_str": lambda self, text: None}
    )()
    for _ in range(3):
        first._round(bar)
    second = start(tmp_path / "parts", config, resume=True)
    assert second.progress.step == first.progress.step > 0
    second.run(progress=False)
    for name, tensor in whole.averaged.state_dict().items():
        assert torch.equal(tensor, second.averaged.state_dict()[name]), name
    columns = ["step", "loss", "val_dice", "val_loss"]
    assert whole.history[columns].equals(second.history[columns])


def test_a_killed_training_resumes(tmp_path):
    """It is killed with SIGKILL while it trains, and `--resume` finishes the plan."""
    FRAMES.save(tmp_path / "frames")
    script = textwrap.dedent("""
        import sys, time
        from echolib.networks import training
        from echolib.__main__ import main
        kept = training.Training._save_checkpoint
        def save(self):
            kept(self)
            print(self.progress.step, flush=True)
        training.Training._save_checkpoint = save
        sys.exit(main(sys.argv[1:]))
    """)
    command = [sys.executable, "-c", script, "train", str(tmp_path / "frames"), "--out"]
    command += [str(tmp_path / "out"), "--size", "32", "--epochs", "30", "--width", "2"]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    first = subprocess.Popen(command, **options)
    done = [line.strip() for line, _ in zip(first.stdout, range(5), strict=False)]
    steps = [int(line) for line in done if line.isdigit()]
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert steps and (tmp_path / "out" / "checkpoint.pt").is_file()
    refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode == 2 and "already holds a training" in refused.stderr
    second = subprocess.run([*command, "--resume"], capture_output=True, text=True, check=True)
    numbers = [int(line) for line in second.stdout.split("\n") if line.isdigit()]
    assert numbers[0] > steps[0] and numbers == sorted(numbers)
    assert "best validation Dice" in second.stdout


def test_a_finished_training_is_not_repeated(tmp_path):
    history = start(tmp_path, replace(CONFIG, epochs=2)).run(progress=False)
    again = start(tmp_path, replace(CONFIG, epochs=2), resume=True).run(progress=False)
    assert len(again) == len(history)


class Bar:
    """A progress bar that shows nothing."""

    total = 0

    def update(self):
        pass

    def set_postfix_str(self, text):
        pass


def test_a_finished_training_becomes_longer_and_learns_again(tmp_path):
    first = start(tmp_path)
    history = first.run(progress=False)
    longer = start(tmp_path, replace(CONFIG, epochs=12), resume=True)
    assert longer.progress.step == first.progress.step and not longer.finished
    longer.run(progress=False)
    assert longer.progress.step == longer.progress.steps == 2 * first.progress.steps
    rates = longer.history.learning_rate
    assert rates[: len(history)].equals(history.learning_rate)
    assert rates[len(history)] > 10 * rates[len(history) - 1] and rates.iloc[-1] < rates.max() / 10
    assert planned_length(longer.checkpoint) == {"epochs": 12}
    with pytest.raises(ValueError, match="steps are done in .*Give a larger one"):
        start(tmp_path, replace(CONFIG, epochs=3), resume=True)


def test_a_longer_training_ends_in_the_same_bits_when_it_is_stopped_and_resumed(tmp_path):
    for name in ("whole", "parts"):
        start(tmp_path / name).run(progress=False)
    longer = replace(CONFIG, epochs=10)
    whole = start(tmp_path / "whole", longer, resume=True)
    whole.run(progress=False)
    stopped = start(tmp_path / "parts", longer, resume=True)
    stopped._round(Bar())
    resumed = start(tmp_path / "parts", longer, resume=True)
    assert whole.progress.step > resumed.progress.step == stopped.progress.step
    resumed.run(progress=False)
    for name, tensor in whole.averaged.state_dict().items():
        assert torch.equal(tensor, resumed.averaged.state_dict()[name]), name


def test_a_training_becomes_longer_by_minutes_too(tmp_path):
    first = start(tmp_path)
    first.run(progress=False)
    minutes = 2 * first.progress.seconds / 60
    longer = start(tmp_path, replace(CONFIG, minutes=minutes), resume=True)
    assert longer.progress.steps == pytest.approx(2 * first.progress.steps, abs=1)
    with pytest.raises(ValueError, match="Give a larger one"):
        start(tmp_path, replace(CONFIG, minutes=minutes / 4), resume=True)


def test_a_checkpoint_of_another_model_or_training_is_refused(tmp_path):
    start(tmp_path, replace(CONFIG, epochs=1)).run(progress=False)
    with pytest.raises(ValueError, match="already holds a training"):
        start(tmp_path, replace(CONFIG, epochs=1))
    with pytest.raises(DataError, match="another training.*\n.*arguments"):
        start(tmp_path, replace(CONFIG, epochs=1), resume=True, width=8)
    darker = replace(FRAMES, images=FRAMES.images // 2)
    with pytest.raises(DataError, match="another training.*\n.*frames"):
        start(tmp_path, replace(CONFIG, epochs=1), resume=True, frames=darker)
    with pytest.raises(DataError, match="config.loss: here dice, there bce_dice"):
        start(tmp_path, replace(CONFIG, epochs=1, loss="dice"), resume=True)
    (tmp_path / "checkpoint.pt").write_bytes(b"damaged")
    with pytest.raises(DataError, match="not a readable checkpoint"):
        start(tmp_path, replace(CONFIG, epochs=1), resume=True)


def test_bad_settings_and_empty_splits_are_refused(tmp_path):
    with pytest.raises(ValueError, match="Unknown loss"):
        TrainingConfig(loss="hinge")
    with pytest.raises(ValueError, match="above 0"):
        TrainingConfig(minutes=0)
    only_training = FRAMES.split("train")
    with pytest.raises(ValueError, match="no validation frames"):
        start(tmp_path, frames=only_training)


def test_a_loss_that_is_not_finite_stops_the_training(tmp_path):
    training = start(tmp_path)
    training.batches.images = training.batches.images.float() * float("nan")
    with pytest.raises(ValueError, match="lower the learning rate"):
        training.run(progress=False)


def test_a_full_disk_is_reported_and_leaves_no_partial_file(tmp_path):
    """Files are limited to 20 kB here, so that writing fails as on a full disk."""
    FRAMES.save(tmp_path / "frames")
    script = textwrap.dedent("""
        import resource, signal, sys
        from echolib.__main__ import main
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        sys.exit(main(sys.argv[1:]))
    """)
    command = [sys.executable, "-c", script, "train", str(tmp_path / "frames")]
    command += ["--out", str(tmp_path / "out"), "--size", "32", "--epochs", "1", "--width", "2"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 2 and "Traceback" not in result.stderr
    assert "cannot be written: it is larger than a file" in result.stderr
    assert not list((tmp_path / "out").glob(".*"))


@pytest.mark.gpu
def test_training_runs_on_a_gpu_in_bf16(tmp_path):
    torch.manual_seed(0)
    parts = (FRAMES.split("train"), FRAMES.split("val"))
    training = Training(UNet(4, depth=2), *parts, tmp_path, replace(CONFIG, epochs=20))
    assert training.progress.bf16
    assert training.run(progress=False).val_dice.max() > 0.9


@pytest.mark.gpu
@pytest.mark.parametrize("target", TARGETS)
def test_a_step_as_a_graph_is_the_step_itself(tmp_path, target):
    """Random changes, gradients and the optimizer are those of steps without a graph."""
    losses = {}
    frames = ventricle_set(48)
    for name in ("graph", "steps"):
        torch.manual_seed(0)
        parts = frames.split("train"), frames.split("val")
        model = new_model(target, width=4, depth=2)
        training = Training(model, *parts, tmp_path / name, TrainingConfig(epochs=30, batch=8))
        if name == "steps":
            own = training.model, training.answers, training.optimizer, True
            training.__dict__["_graph"] = partial(training._descend, *own)
        losses[name] = [training.step().item() for _ in range(20)]
    assert losses["graph"] == pytest.approx(losses["steps"], rel=1e-3)
    assert len(set(losses["graph"])) == 20  # each step has its own batch


def test_the_average_follows_the_weights():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    average = MovingAverage(network, decay=0.6)
    expected = network[0].weight.detach().clone()
    for update in range(20):
        with torch.no_grad():
            network[0].weight.normal_()
            network[1].running_mean.normal_()
        average.update_parameters(network)
        share = min(0.6, (1 + update) / (10 + update)) if update else 0.0
        expected = share * expected + (1 - share) * network[0].weight.detach()
    assert torch.allclose(average.module[0].weight, expected, atol=1e-6)
    assert torch.equal(average.module[1].running_mean, network[1].running_mean)
    assert average.n_averaged == 20


def test_neighbours_cannot_be_corrupted(tmp_path):
    frames = frame_set(12)
    parts = frames.split("train"), frames.split("val")
    with pytest.raises(ValueError, match="one input"):
        Training(UNet(2, 2, inputs=3), *parts, tmp_path, TrainingConfig(corrupted=0.5))


# --- Equal runs, and what cannot be learnt --------------------------------------------------------

ONE_STEP = """
import sys, torch
from dataclasses import replace
from echolib.networks.models import UNet
from echolib.networks.training import Training, TrainingConfig
from tests.makers import frame_set
torch.manual_seed(0)
frames = frame_set(count=12)
parts = frames.split("train"), frames.split("val")
config = TrainingConfig(epochs=0.5, batch=4, precision=sys.argv[2])
Training(UNet(2, depth=1), *parts, sys.argv[1], config).run(progress=False)
"""


def test_equal_trainings_give_equal_bytes(tmp_path):
    for name in ("one", "two"):
        command = [sys.executable, "-c", ONE_STEP, str(tmp_path / name), "fp32"]
        subprocess.run(command, check=True, cwd=ROOT)
    files = [tmp_path / name / "model.safetensors" for name in ("one", "two")]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert load_model(tmp_path / "one").card["step"] == 1


def test_a_resumed_training_keeps_its_precision(tmp_path):
    other = {"fp32": "bf16", "bf16": "fp32"}
    for precision in other:
        config = replace(CONFIG, epochs=1, precision=precision)
        start(tmp_path / precision, config).run(progress=False)
        card = load_model(tmp_path / precision).card
        assert card["precision"] == card["config"]["precision"] == precision
        for same in ("auto", precision):
            again = start(tmp_path / precision, replace(config, precision=same), resume=True)
            assert again.precision == precision
        with pytest.raises(DataError, match=f"trained in {precision}, not in {other[precision]}"):
            changed = replace(config, precision=other[precision])
            start(tmp_path / precision, changed, resume=True)
    with pytest.raises(ValueError, match="Unknown precision 'fp16'"):
        TrainingConfig(precision="fp16")


@pytest.mark.parametrize(("pays", "precision"), [(True, "bf16"), (False, "fp32")])
def test_the_precision_of_a_training_follows_from_the_processor(
    tmp_path, monkeypatch, pays, precision
):
    monkeypatch.setattr("echolib.networks.training.bf16_pays", lambda device: pays)
    assert start(tmp_path).precision == precision


@pytest.mark.parametrize(("split", "name"), [("train", "training"), ("val", "validation")])
def test_frames_from_which_nothing_can_be_learnt_are_refused(tmp_path, split, name):
    rows = (FRAMES.table.split == split).to_numpy()[:, None, None]
    for grey in (0, 16):
        black = replace(FRAMES, images=np.where(rows, np.uint8(grey), FRAMES.images))
        with pytest.raises(DataError, match=f"All pixels of the .* {name} frames are {grey}:"):
            start(tmp_path, frames=black)
    empty = replace(FRAMES, masks=FRAMES.masks & ~rows)
    with pytest.raises(DataError, match=f"None of the .* {name} frames has a mask"):
        start(tmp_path, frames=empty)


def change(state, *keys, value=None):
    """Set a value deep in a state, or remove it where the value is None."""
    for key in keys[:-1]:
        state = state[key]
    if value is None:
        del state[keys[-1]]
    else:
        state[keys[-1]] = value


WEIGHT = "down.0.0.weight"
DAMAGES = {
    "model.down.0.0.weight is missing": (("model", WEIGHT), None),
    "other shape": (("model", WEIGHT), torch.zeros(3)),
    "other type": (("model", WEIGHT), torch.zeros(4, 1, 3, 3, dtype=torch.int64)),
    "no tensor": (("model", WEIGHT), "weight"),
    "not finite": (("model", WEIGHT), torch.full((4, 1, 3, 3), float("nan"))),
    "too much": (("model", "more"), torch.zeros(3)),
    "averaged": (("averaged", "module.head.bias"), None),
    "optimizer lacks a weight": (("optimizer", "state", 0), None),
    "optimizer has another shape": (("optimizer", "state", 0, "exp_avg"), torch.zeros(3)),
    "optimizer is a list": (("optimizer",), [1, 2]),
    "groups": (("optimizer", "param_groups"), [{}]),
    "model is a number": (("model",), 5),
    "no steps": (("progress", "steps"), None),
    "steps are text": (("progress", "steps"), "many"),
    "negative step": (("progress", "step"), -1),
    "seconds": (("progress", "seconds"), float("inf")),
    "best": (("progress", "best"), float("nan")),
    "history": (("progress", "history"), [{"step": "x"}]),
    "history rows": (("progress", "history"), [5]),
    "identity": (("identity",), "[1]"),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    start(folder, replace(CONFIG, epochs=1)).run(progress=False)
    return folder / "checkpoint.pt"


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_checkpoint_with_other_content_is_refused(tmp_path, finished, damage):
    state = torch.load(finished, weights_only=True)
    keys, value = DAMAGES[damage]
    change(state, *keys, value=value)
    torch.save(state, tmp_path / "checkpoint.pt")
    with pytest.raises(DataError, match=r"checkpoint\.pt.* Remove it and train again"):
        start(tmp_path, replace(CONFIG, epochs=1), resume=True)
