"""Training of networks that find the mitral leaflets: the reference recipe, and a better way.

The recipe is that of the course task, see `stage_one` and `stage_two`. `train_finder` uses the
methods that proved useful in the measurements of benchmarks/mitral.py.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ..data.frames import FrameSet
from ..data.valve.squares import close_set, labelled_valves, whole_set
from ..data.valve.study import ValveClip
from ..errors import DataError
from ..metrics import iou
from ..networks.augment import Augmentation
from ..networks.checkpoints import planned_length
from ..networks.models import Encoder, UNet, load_model, shape_of, start_from
from ..networks.plan import TrainingConfig
from ..networks.training import CHECKPOINT_FILE, Training
from .finder import CLOSE_VIEWS, SETTINGS_FILE, ValveFinder, finder_files, save_settings

RECIPE_SIZE = 128  # px, side of the square to which whole frames are resized
RECIPE_THRESHOLD = 0.9
RECIPE_STEPS = 80  # of an epoch: each shows a frame several times
# Stage two does not change the first two layers with weights: both convolutions of the first level.
RECIPE_FROZEN = 1  # levels
RECIPE_AUGMENTATION = replace(Augmentation.none(), rotation=5.0, shift=0.05, scale=0.05, shear=0.01)
SHARE = 0.3  # weight of the network of whole frames beside the close network
THRESHOLDS = tuple(np.linspace(0.1, 0.9, 17).round(2))  # candidates of `choose_threshold`


def fold_splits(clips: Sequence[ValveClip], folds: int = 5, seed: int = 0) -> list[dict[str, str]]:
    """Split labelled videos into folds: each video is in "val" of one and "train" of all others.

    Amateur and expert videos are distributed separately, so that every fold validates on both.
    Returns {name of the video: split} for each fold. Raises ValueError for fewer labelled videos
    than folds, or fewer than 2 folds.
    """
    generator, fold_of, count = np.random.default_rng(seed), {}, 0
    labelled = [clip for clip in clips if clip.labels is not None]
    if not 2 <= folds <= len(labelled):
        raise ValueError(
            f"{len(labelled)} labelled videos cannot be split into {folds} folds. Use 2 folds or "
            "more, but not more folds than videos."
        )
    for dataset in sorted({clip.dataset for clip in labelled}):
        names = sorted(clip.name for clip in labelled if clip.dataset == dataset)
        for name in generator.permutation(names):
            fold_of[str(name)] = count % folds
            count += 1
    return [
        {name: "val" if fold == number else "train" for name, fold in fold_of.items()}
        for number in range(folds)
    ]


# --- The reference recipe -----------------------------------------------------------------------


def stage_one(epochs: float = 20, seed: int = 0) -> TrainingConfig:
    """The recipe's first stage: all labelled frames, soft IoU, Adam at 1e-3, no augmentation.

    An epoch has 80 steps of 16 frames.
    """
    return TrainingConfig(
        epochs=epochs, epoch_steps=RECIPE_STEPS, loss="soft_iou", batch=16, learning_rate=1e-3,
        weight_decay=0.0, constant=True, average=0.0, augmentation=Augmentation.none(),
        patience=1000, seed=seed,
    )  # fmt: skip


def stage_two(epochs: float = 10, seed: int = 0) -> TrainingConfig:
    """The recipe's second stage: augmented expert frames, Adam at 1e-5, first two layers frozen."""
    first = stage_one(epochs, seed)
    return replace(
        first, learning_rate=1e-5, augmentation=RECIPE_AUGMENTATION, frozen=RECIPE_FROZEN
    )


def train_recipe(
    frames: FrameSet,
    folder: str | Path,
    epochs: tuple[float, float] = (20, 10),
    seed: int = 0,
    progress: bool = True,
) -> tuple[Encoder, Encoder]:
    """Train both stages of the recipe; returns the networks after each stage.

    frames: squares whose table has a column `dataset`. epochs: of each stage. Trainings in
    `folder`/stage-1 and `folder`/stage-2 are resumed. Raises ValueError without expert videos for
    training and for validation.
    """
    folder = Path(folder)
    experts = frames.select((frames.table.dataset == "expert").to_numpy())
    if {"train", "val"} - set(experts.table.split):
        raise ValueError(
            "Stage two needs expert videos for training and for validation, and there are too "
            "few. Train without the recipe."
        )
    first = tune(frames, folder / "stage-1", stage_one(epochs[0], seed), progress=progress)
    plan = stage_two(epochs[1], seed)
    second = tune(experts, folder / "stage-2", plan, folder / "stage-1", progress)
    return first, second


def train_whole_recipe(
    clips: Sequence[ValveClip], folder: str | Path, seed: int = 0, progress: bool = True
) -> tuple[Encoder, Encoder]:
    """Train the recipe on labelled videos, a fifth of them for validation; see `train_recipe`."""
    valves = labelled_valves(clips, fold_splits(clips, seed=seed)[0])
    return train_recipe(whole_set(valves, RECIPE_SIZE), folder, seed=seed, progress=progress)


def changes(before: dict[str, Tensor], after: dict[str, Tensor]) -> pd.DataFrame:
    """Largest change of each part of a network, from its `state_dict` before and after.

    Rows are the parts (mean, sd, down 0, ..., up 0, ..., merge 0, ..., head) in the order of the
    `state_dict`, columns are weights and running statistics; NaN where a part has none.
    """
    rows = []
    for name, tensor in before.items():
        if name.endswith("num_batches_tracked"):
            continue
        words = name.split(".")
        part = " ".join(words[:2]) if words[0] in ("down", "up", "merge") else words[0]
        kind = "running statistics" if "running" in name else "weights"
        change = (after[name].cpu().double() - tensor.cpu().double()).abs().max()
        rows.append({"part": part, "kind": kind, "change": float(change)})
    table = pd.DataFrame(rows)
    order, kinds = table.part.unique(), ["weights", "running statistics"]
    table = table.groupby(["part", "kind"]).change.max().unstack()
    return table.reindex(index=pd.Index(order, name="part"), columns=kinds)


# --- A better way -------------------------------------------------------------------------------


def fine_tuning(epochs: float = 15, seed: int = 0) -> TrainingConfig:
    """Training from pretrained networks: strong augmentation, a low and decaying learning rate."""
    return TrainingConfig(
        epochs=epochs, loss="bce_iou", batch=8, learning_rate=5e-4, average=0.98,
        patience=1000, seed=seed,
    )  # fmt: skip


def tune(
    frames: FrameSet,
    folder: str | Path,
    config: TrainingConfig,
    start: str | Path | None = None,
    progress: bool = True,
    **shape: int,
) -> Encoder:
    """Train a network on the split "train"; returns the best network by the split "val".

    frames: training squares with both splits. start: weights to start from, whose width, depth and
    fold the network gets; without them it gets those of `models.UNet`. shape: other arguments of
    `models.UNet`, such as inputs or outputs. A training in `folder` is resumed. Raises DataError
    for one of another length, because others may have started from it.
    """
    checkpoint = Path(folder) / CHECKPOINT_FILE
    if checkpoint.is_file() and (planned := planned_length(checkpoint)) != config.length:
        raise DataError(
            f"{checkpoint} belongs to another training: its length is {planned}, not "
            f"{config.length}. Use that length, or choose another folder."
        )
    torch.manual_seed(config.seed)
    if start is None:
        model = UNet(**shape)
    else:
        source = load_model(start)
        model = UNet(**shape_of(source), **shape)
        start_from(model, source)
        config = replace(config, start=str(start))
    parts = frames.split("train"), frames.split("val")
    Training(model, *parts, folder, config, resume=True).run(progress)
    return load_model(Path(folder))


def choose_threshold(
    finders: Sequence[ValveFinder], clips: Sequence[Sequence[ValveClip]]
) -> tuple[float, dict[float, float]]:
    """Choose the threshold with the best median IoU over videos; also return all medians.

    finders: one or more. clips: for each finder, labelled videos that it was not trained on. Of
    equally good thresholds, the nearest to one half is chosen. Returns the threshold, and the
    median IoU for each of `THRESHOLDS`.
    """
    scores: dict[float, list[float]] = {threshold: [] for threshold in THRESHOLDS}
    for finder, unseen in zip(finders, clips, strict=True):
        for clip in unseen:
            squares, place = finder.probabilities(clip.frames, clip.labelled)
            values = np.stack([place.back(square) for square in squares])
            labels = np.asarray(clip.labels).ravel()
            for threshold in THRESHOLDS:
                scores[threshold].append(iou((values >= threshold).ravel(), labels))
    medians = {threshold: float(np.median(values)) for threshold, values in scores.items()}
    best = max(medians, key=lambda threshold: (medians[threshold], -abs(threshold - 0.5)))
    return float(best), medians


def train_finder(
    clips: Sequence[ValveClip],
    folder: str | Path,
    start: str | None = "valve",
    folds: int = 5,
    epochs: float = 15,
    seed: int = 0,
    progress: bool = True,
) -> ValveFinder:
    """Train a network of whole frames and one close network per fold; saves them in `folder`.

    start: weights of `load_finder` to start from, or None. The threshold is the best on videos
    that a fold's close network was not trained on. The boxes of these videos come from the single
    network of whole frames, which was trained on some of them. Finished trainings in `folder` are
    kept. Raises DataError where `start` has no close network.
    """
    start_whole, start_close = finder_files(start)[:2] if start else (None, [None])
    if not start_close:
        raise DataError(
            f"{start} is a single network, but a finder needs start weights of two kinds. Use "
            "`valve`, or a folder written by `mitral train`."
        )
    folder, splits = Path(folder), fold_splits(clips, folds, seed)
    config = fine_tuning(epochs, seed)
    valves = whole_set(labelled_valves(clips, splits[0]))
    whole = tune(valves, folder / "whole", config, start_whole, progress, outputs=2)
    close = []
    for number, split in enumerate(splits):
        valves = close_set(labelled_valves(clips, split))
        close.append(tune(valves, folder / f"close-{number}", config, start_close[0], progress))
    singles = [ValveFinder(whole, (model,), views=CLOSE_VIEWS, share=SHARE) for model in close]
    unseen = [[clip for clip in clips if split.get(clip.name) == "val"] for split in splits]
    threshold, _ = choose_threshold(singles, unseen)
    finder = ValveFinder(whole, tuple(close), threshold=threshold, views=CLOSE_VIEWS, share=SHARE)
    save_settings(finder, folder / SETTINGS_FILE)
    return finder
