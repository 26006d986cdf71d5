"""Training on a mitral valve study: folds by video, the recipe, a finder, its threshold."""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from echolib.data import open_mitral
from echolib.data.valve.squares import labelled_valves, whole_set
from echolib.data.valve.study import ValveClip
from echolib.errors import DataError
from echolib.networks.augment import Augmentation
from echolib.networks.levels import first_levels
from echolib.networks.models import UNet, load_model, save_model
from echolib.networks.training import Training
from echolib.phantom.mitral_study import write_mitral_study
from echolib.valve import training as mitral_training
from echolib.valve.finder import CLOSE_VIEWS, ValveFinder, load_finder
from echolib.valve.training import (
    RECIPE_SIZE,
    THRESHOLDS,
    changes,
    choose_threshold,
    fine_tuning,
    fold_splits,
    stage_one,
    stage_two,
    train_finder,
    train_recipe,
    train_whole_recipe,
    tune,
)


def clips(amateurs, experts, unlabelled=0):
    """Small clips of two frames, with a square as label of both frames, or without labels."""
    made = []
    kinds = [("amateur", amateurs), ("expert", experts), ("", unlabelled)]
    for dataset, count in kinds:
        for number in range(count):
            frames = np.full((2, 24, 24), 60, np.uint8)
            frames[:, 8:12, 6:18] = 200
            labels = {}
            if dataset:
                box = np.zeros((24, 24), bool)
                box[6:14, 4:20] = True
                labels = {"box": box, "labelled": (0, 1), "labels": frames > 128}
            made.append(ValveClip(f"{dataset}{number}", frames, dataset=dataset, **labels))
    return made


# --- Folds ----------------------------------------------------------------------------------------


@given(st.integers(0, 23), st.integers(0, 12), st.integers(2, 6), st.integers(0, 99))
def test_each_video_validates_once_and_both_kinds_validate_if_there_are_enough(
    amateurs, experts, folds, seed
):
    made = clips(amateurs, experts, unlabelled=2)
    if amateurs + experts < folds:
        with pytest.raises(ValueError, match=f"{amateurs + experts} labelled videos.*{folds}"):
            fold_splits(made, folds, seed)
        return
    splits = fold_splits(made, folds, seed)
    assert len(splits) == folds
    names = {clip.name for clip in made if clip.labels is not None}
    assert all(set(split) == names for split in splits)
    held_out = [[name for name in split if split[name] == "val"] for split in splits]
    assert Counter(name for fold in held_out for name in fold) == Counter(names)
    assert all(set(split.values()) <= {"train", "val"} for split in splits)
    for kind, count in (("amateur", amateurs), ("expert", experts)):
        counts = [sum(name.startswith(kind) for name in names) for names in held_out]
        assert max(counts) - min(counts) <= 1 and sum(counts) == count
    sizes = [len(names) for names in held_out]
    assert max(sizes) - min(sizes) <= 1


def test_folds_depend_on_the_seed_and_on_nothing_else():
    made = clips(10, 5)
    assert fold_splits(made, 3, 1) == fold_splits(made[::-1], 3, 1)
    assert fold_splits(made, 3, 1) != fold_splits(made, 3, 2)


@pytest.mark.parametrize("folds", [-1, 0, 1, 16])
def test_folds_that_cannot_be_filled_are_refused(folds):
    with pytest.raises(ValueError, match=f"15 labelled videos.*{folds} folds.*2 folds or more"):
        fold_splits(clips(10, 5), folds)


# --- Settings -------------------------------------------------------------------------------------


def test_stages_are_those_of_the_recipe():
    first, second = stage_one(), stage_two()
    assert (first.epochs, second.epochs) == (20, 10)
    assert {first.epoch_steps, second.epoch_steps} == {80} and first.batch == second.batch == 16
    assert (first.learning_rate, second.learning_rate) == (1e-3, 1e-5)
    assert {first.loss, second.loss} == {"soft_iou"} and first.constant and second.constant
    assert (first.frozen, second.frozen) == (0, 1)
    frozen = first_levels(UNet(), second.frozen)
    layers = [layer for block in frozen for layer in block if isinstance(layer, nn.Conv2d)]
    assert len(layers) == 2  # the first two layers
    assert first.augmentation == Augmentation.none()
    changed = {name: value for name, value in vars(second.augmentation).items() if value}
    assert changed == {"rotation": 5.0, "shift": 0.05, "scale": 0.05, "shear": 0.01}
    assert first.weight_decay == second.weight_decay == 0  # AdamW without it is Adam
    assert stage_two(3, 7).epochs == 3 and stage_two(3, 7).seed == 7


def test_changes_are_told_per_part_in_the_order_of_the_network():
    network = UNet(2, 2)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with torch.no_grad():
        network.down[1][0].weight[0, 0, 0, 0] += 0.5
        network.merge[0][1].running_mean -= 2.0
    told = changes(before, network.state_dict())
    parts = ["mean", "sd", *(f"down {n}" for n in range(3)), "up 0", "up 1", "merge 0", "merge 1"]
    assert list(told.index) == [*parts, "head"]
    assert told.loc["down 1", "weights"] == pytest.approx(0.5)
    assert told.loc["merge 0", "running statistics"] == pytest.approx(2.0)
    assert told.drop(index=["down 1", "merge 0"]).fillna(0).eq(0).all().all()


# --- Thresholds -----------------------------------------------------------------------------------


class Steps(nn.Module):
    """The probability of the leaflets is half the grey value; pixels that are not black are box."""

    arguments = {"outputs": 2, "inputs": 1}

    def forward(self, images):
        grey = (0.5 * images).clamp(1e-4, 1 - 1e-4)
        return torch.cat([torch.logit(grey), 40 * (images - 0.05)], dim=1)


def stair(name, cut, labelled=(0,)):
    """A clip whose grey value rises to the right; pixels brighter than a cut are leaflets."""
    row = np.linspace(20, 255, 48).astype(np.uint8)
    frames = np.broadcast_to(row, (3, 48, 48)).copy()
    labels = np.stack([frames[0] >= 2 * 255 * cut] * len(labelled))
    box = np.ones((48, 48), bool)
    return ValveClip(name, frames, dataset="expert", box=box, labelled=labelled, labels=labels)


def test_the_threshold_is_the_one_with_the_best_median_over_videos():
    finder = ValveFinder(Steps(), size=48)
    best, medians = choose_threshold([finder], [[stair("a", 0.2), stair("b", 0.2, (0, 2))]])
    assert type(best) is float and best == pytest.approx(0.2)
    assert set(medians) == set(THRESHOLDS) and medians[best] == max(medians.values()) > 0.9
    three = [stair("a", 0.15), stair("b", 0.4), stair("c", 0.4)]  # a mean would lie between
    assert choose_threshold([finder], [three])[0] == pytest.approx(0.4)


def test_every_finder_is_applied_to_its_own_videos():
    finder = ValveFinder(Steps(), size=48)
    asked = []

    class Spy(ValveFinder):
        def probabilities(self, frames, chosen=None):
            asked.append((self.threshold, chosen))
            return finder.probabilities(frames, chosen)

    spies = [Spy(Steps(), size=48, threshold=number / 10) for number in (1, 2)]
    choose_threshold(spies, [[stair("a", 0.2)], [stair("b", 0.2, (1, 2)), stair("c", 0.2)]])
    assert asked == [(0.1, (0,)), (0.2, (1, 2)), (0.2, (0,))]
    with pytest.raises(ValueError):
        choose_threshold(spies, [[stair("a", 0.2)]])


def test_the_threshold_nearest_to_one_half_is_chosen_of_equal_ones():
    clip = stair("a", 0.2)
    sharp = replace(clip, frames=np.where(clip.frames >= 2 * 255 * 0.2, 255, 20).astype(np.uint8))

    class Sure(Steps):
        def forward(self, images):
            return torch.cat([40 * (images - 0.5), 40 * (images - 0.05)], dim=1)

    assert choose_threshold([ValveFinder(Sure(), size=48)], [[sharp]])[0] == 0.5


# --- Trainings ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Four training clips, two of each kind, and one test clip."""
    folder = tmp_path_factory.mktemp("mitral") / "study"
    return open_mitral(write_mitral_study(folder, 0.05, 3, workers=1, progress=False))


@pytest.fixture
def small(monkeypatch):
    """Networks of width 2, for tests in which the result of training does not matter."""
    shape = {"width": 2, "depth": 2}
    monkeypatch.setattr(mitral_training, "UNet", lambda **options: UNet(**shape | options))


@pytest.fixture
def no_training(monkeypatch):
    """Make any further training step an error."""

    def step(*_):
        raise AssertionError("a finished training continued")

    monkeypatch.setattr(Training, "_optimise", step)


def same_weights(first, second):
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(*pair) for pair in pairs)


def test_the_recipe_is_trained_and_then_resumed_without_a_step(study, tmp_path, request):
    """The only training here with the recipe's own width."""
    split = fold_splits(study.train, 2)[0]
    frames = whole_set(labelled_valves(study.train, split), RECIPE_SIZE)
    first, second = train_recipe(frames, tmp_path, epochs=(0.1, 0.05), progress=False)
    assert first.arguments == {"width": 16, "depth": 4, "outputs": 1, "inputs": 1, "fold": 1}
    assert not first.training and not second.training
    one, two = first.state_dict(), second.state_dict()
    for name in one:
        frozen = name.startswith("down.0.") or name in ("mean", "sd")
        if frozen:
            assert torch.equal(one[name], two[name]), name
    moved = [name for name in one if not torch.equal(one[name], two[name])]
    assert any(name.startswith("down.1.") for name in moved) and "head.weight" in moved
    cards = [load_model(tmp_path / f"stage-{number}").card for number in (1, 2)]
    experts = sum(3 for clip in study.train if clip.dataset == "expert")
    assert cards[0]["training_frames"] + cards[0]["validation_frames"] == len(frames)
    assert cards[1]["training_frames"] + cards[1]["validation_frames"] == experts
    assert cards[0]["size"] == cards[1]["size"] == RECIPE_SIZE
    for number, rate, steps in ((1, 1e-3, 8), (2, 1e-5, 4)):
        history = pd.read_csv(tmp_path / f"stage-{number}" / "history.csv")
        assert np.allclose(history.learning_rate, rate)
        assert history.step.iloc[-1] == steps
    request.getfixturevalue("no_training")
    again = train_recipe(frames, tmp_path, epochs=(0.1, 0.05), progress=False)
    assert same_weights(first, again[0]) and same_weights(second, again[1])
    with pytest.raises(DataError, match="another training"):
        train_recipe(frames, tmp_path, epochs=(3, 0.05), progress=False)


def test_a_fifth_of_the_videos_validates_the_recipe(tmp_path, small, monkeypatch):
    received = {}

    def recipe(frames, folder, seed, progress):
        received.update(frames=frames, folder=folder, seed=seed)
        return None, None

    monkeypatch.setattr(mitral_training, "train_recipe", recipe)
    train_whole_recipe(clips(10, 5), tmp_path, seed=4, progress=False)
    table = received["frames"].table
    assert received["frames"].size == RECIPE_SIZE and received["seed"] == 4
    assert table[table.split == "val"]["clip"].nunique() == 3
    assert table[table.split == "val"].dataset.nunique() == 2


def finder_of(study, folder, **options):
    options = {"start": None, "folds": 2, "epochs": 1, "progress": False} | options
    return train_finder(study.train, folder, **options)


def test_a_finder_is_trained_saved_and_resumed_without_a_step(study, tmp_path, small, request):
    finder = finder_of(study, tmp_path)
    assert len(finder.close) == 2 and finder.views == CLOSE_VIEWS and finder.threshold in THRESHOLDS
    assert finder.whole.arguments["outputs"] == 2
    assert {network.arguments["outputs"] for network in finder.close} == {1}
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    networks = ("whole", "close-0", "close-1")
    kept = {f"{name}/{file}" for name in networks
            for file in ("model.safetensors", "checkpoint.pt", "history.csv")}  # fmt: skip
    assert files == kept | {"valve.json"}
    saved = json.loads((tmp_path / "valve.json").read_text())
    assert saved["threshold"] in THRESHOLDS and len(saved["views"]) == len(CLOSE_VIEWS)
    loaded = load_finder(tmp_path)
    assert loaded.threshold == finder.threshold and loaded.views == finder.views
    assert same_weights(loaded.whole, finder.whole)
    assert all(same_weights(*pair) for pair in zip(loaded.close, finder.close, strict=True))
    masks = [made.masks(study.test[0].frames) for made in (finder, loaded)]
    assert np.array_equal(*masks) and masks[0].shape == study.test[0].frames.shape
    before = {name: (tmp_path / name).read_bytes() for name in files}
    request.getfixturevalue("no_training")
    again = finder_of(study, tmp_path)
    assert again.threshold == finder.threshold and same_weights(again.whole, finder.whole)
    for name in files:
        if not name.endswith("checkpoint.pt"):
            assert (tmp_path / name).read_bytes() == before[name], name


def test_no_video_trains_the_network_that_it_validates(study, tmp_path, small, monkeypatch):
    sets, thresholds = {}, []

    def tuned(frames, folder, config, start=None, progress=True, **shape):
        sets[folder.name] = frames.table
        return Bare()

    class Bare(nn.Module):
        arguments = {"outputs": 2, "inputs": 1}

    def threshold(finders, unseen):
        thresholds.extend([{clip.name for clip in fold} for fold in unseen])
        return 0.5, {}

    monkeypatch.setattr(mitral_training, "tune", tuned)
    monkeypatch.setattr(mitral_training, "choose_threshold", threshold)
    finder_of(study, tmp_path)
    assert list(sets) == ["whole", "close-0", "close-1"]
    for number in range(2):
        table = sets[f"close-{number}"]
        trained, held_out = (set(table[table.split == name]["clip"]) for name in ("train", "val"))
        assert trained and held_out and not trained & held_out
        assert thresholds[number] == held_out  # the threshold is chosen on these
    assert thresholds[0] | thresholds[1] == {clip.name for clip in study.train}


def test_a_training_starts_from_the_given_weights_and_records_them(study, tmp_path, small):
    begin = finder_of(study, tmp_path / "begin")
    config = replace(fine_tuning(1), learning_rate=1e-9)
    frames = whole_set(labelled_valves(study.train, fold_splits(study.train, 2)[0]))
    start = tmp_path / "begin" / "whole"
    model = tune(frames, tmp_path / "on", config, start, progress=False, outputs=2)
    for (name, ours), theirs in zip(
        model.named_parameters(), begin.whole.parameters(), strict=True
    ):
        assert torch.allclose(ours, theirs, atol=1e-6), name
    card = load_model(tmp_path / "on").card
    assert card["config"]["start"].endswith("whole")
    finder = finder_of(study, tmp_path / "next", start=str(tmp_path / "begin"))
    assert len(finder.close) == 2
    for name in ("whole", "close-0", "close-1"):
        start = load_model(tmp_path / "next" / name).card["config"]["start"]
        assert start.endswith("whole" if name == "whole" else "close-0")


def test_a_network_gets_the_shape_of_the_weights_that_it_starts_from(study, tmp_path):
    save_model(UNet(2, 1, fold=2), tmp_path / "start.safetensors")
    frames = whole_set(labelled_valves(study.train, fold_splits(study.train, 2)[0]))
    start = tmp_path / "start.safetensors"
    model = tune(frames, tmp_path / "on", fine_tuning(1), start, progress=False, inputs=1)
    assert model.arguments == {"width": 2, "depth": 1, "outputs": 1, "inputs": 1, "fold": 2}


def test_bad_settings_are_refused_before_the_work(study, tmp_path, small, no_training):
    for wrong, message in (
        ({"folds": 5}, "4 labelled videos"), ({"folds": 1}, "2 folds or more"),
        ({"epochs": 0}, "above 0"), ({"epochs": float("nan")}, "above 0"),
        ({"start": str(tmp_path / "nowhere")}, "No weights"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            finder_of(study, tmp_path / "out", **wrong)
    assert not (tmp_path / "out").exists()


def test_the_same_seed_trains_the_same_networks(study, tmp_path, small):
    first = finder_of(study, tmp_path / "first", seed=1)
    torch.rand(3)  # earlier random numbers must not matter
    again = finder_of(study, tmp_path / "again", seed=1)
    pairs = zip((first.whole, *first.close), (again.whole, *again.close), strict=True)
    assert all(same_weights(*pair) for pair in pairs)
    assert first.threshold == again.threshold
    other = finder_of(study, tmp_path / "other", seed=2)
    assert not same_weights(first.whole, other.whole)
