"""Training networks that find the mitral leaflets: the reference recipe, and what is better.

The recipe is the course task's, see `stage_one` and `stage_two`. `train_finder` is what the
measurements of benchmarks/mitral.py left standing.
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
from ..networks.models import UNet, load_model, start_from
from ..networks.plan import TrainingConfig
from ..networks.training import Training
from .finder import SETTINGS_FILE, VIEWS, ValveFinder, finder_files, save_settings

RECIPE_SIZE = 128  # px, side of the square that whole frames are brought to
RECIPE_THRESHOLD = 0.9
RECIPE_FROZEN = 2  # first levels that stage two leaves as they are
RECIPE_AUGMENTATION = replace(Augmentation.none(), rotation=5.0, shift=0.05, scale=0.05, shear=0.01)
SHARE = 0.3  # of the whole frames' network in the answer
THRESHOLDS = tuple(np.linspace(0.1, 0.9, 17).round(2))


def fold_splits(clips: Sequence[ValveClip], folds: int = 5, seed: int = 0) -> list[dict[str, str]]:
    """Splits by video: each video is in "val" of one fold and in "train" of the others.

    Amateur and expert videos are dealt out apart, so that every fold validates on both. Raises
    ValueError for fewer labelled videos than folds.
    """
    generator, place, dealt = np.random.default_rng(seed), {}, 0
    labelled = [clip for clip in clips if clip.labels is not None]
    if not 2 <= folds <= len(labelled):
        raise ValueError(
            f"{len(labelled)} labelled videos cannot be dealt out to {folds} folds; take 2 folds "
            "or more, and no more than videos."
        )
    for dataset in sorted({clip.dataset for clip in labelled}):
        names = sorted(clip.name for clip in labelled if clip.dataset == dataset)
        for name in generator.permutation(names):
            place[str(name)] = dealt % folds
            dealt += 1
    return [
        {name: "val" if fold == number else "train" for name, fold in place.items()}
        for number in range(folds)
    ]


# --- The reference recipe -----------------------------------------------------------------------


def stage_one(epochs: float = 20, seed: int = 0) -> TrainingConfig:
    """All labelled frames, soft IoU, Adam at 1e-3, no augmentation.

    The recipe names no batch. Four frames are taken: with more, so few frames make too few steps.
    """
    return TrainingConfig(
        epochs=epochs, loss="soft_iou", batch=4, learning_rate=1e-3, weight_decay=0.0,
        constant=True, average=0.0, augmentation=Augmentation.none(), patience=1000, seed=seed,
    )  # fmt: skip


def stage_two(epochs: float = 10, seed: int = 0) -> TrainingConfig:
    """Augmented expert frames, Adam at 1e-5, the first two levels frozen."""
    first = stage_one(epochs, seed)
    augmented = {"augmentation": RECIPE_AUGMENTATION, "frozen": RECIPE_FROZEN}
    return replace(first, learning_rate=1e-5, **augmented)


def train_recipe(
    frames: FrameSet,
    folder: str | Path,
    epochs: tuple[float, float] = (20, 10),
    seed: int = 0,
    progress: bool = True,
) -> tuple[UNet, UNet]:
    """Both stages on squares with a column `dataset`; returns the networks after each.

    Trainings in `folder`/stage-1 and stage-2 are resumed.
    """
    folder = Path(folder)
    experts = frames.select((frames.table.dataset == "expert").to_numpy())
    if {"train", "val"} - set(experts.table.split):
        raise ValueError(
            "Stage two needs expert videos to train on and to validate on; these have too few. "
            "Train without the recipe."
        )
    first = tune(frames, folder / "stage-1", stage_one(epochs[0], seed), progress=progress)
    plan = stage_two(epochs[1], seed)
    second = tune(experts, folder / "stage-2", plan, folder / "stage-1", progress)
    return first, second


def train_whole_recipe(
    clips: Sequence[ValveClip], folder: str | Path, seed: int = 0, progress: bool = True
) -> tuple[UNet, UNet]:
    """The recipe on labelled videos, a fifth of them for validation; see `train_recipe`."""
    valves = labelled_valves(clips, fold_splits(clips, seed=seed)[0])
    return train_recipe(whole_set(valves, RECIPE_SIZE), folder, seed=seed, progress=progress)


def changes(before: dict[str, Tensor], after: dict[str, Tensor]) -> pd.DataFrame:
    """Largest change of each part of a network, from its `state_dict` before and after.

    Rows are the parts (down 0, merge 1, head, mean, ...), columns weights and running statistics;
    NaN where a part has none.
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
    table = pd.DataFrame(rows).groupby(["part", "kind"]).change.max().unstack()
    return table.reindex(columns=["weights", "running statistics"])


# --- Better than the recipe ---------------------------------------------------------------------


def fine_tuning(epochs: float = 15, seed: int = 0) -> TrainingConfig:
    """From pretrained networks: strong augmentation, a low learning rate that dies away."""
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
) -> UNet:
    """Train on the squares' split "train", choose by "val"; returns the best network.

    start: weights to begin with. shape: arguments of `models.UNet`, as inputs or outputs. A
    training in `folder` is resumed.
    """
    torch.manual_seed(config.seed)
    model = UNet(**shape)
    if start is not None:
        start_from(model, load_model(start)[0])
        config = replace(config, start=_name(start))
    parts = frames.split("train"), frames.split("val")
    Training(model, *parts, folder, config, resume=True).run(progress)
    return load_model(folder)[0]


def _name(weights: str | Path) -> str:
    """What a training's record calls the weights it started from: no path of this machine."""
    return "/".join(str(weights).removesuffix(".safetensors").split("/")[-2:])


def choose_threshold(
    finders: Sequence[ValveFinder], clips: Sequence[Sequence[ValveClip]]
) -> tuple[float, dict[float, float]]:
    """The threshold with the best median IoU over videos, and the median of every threshold.

    finders: one or more; clips: for each of them, labelled videos it was not trained on. Of
    equal ones the threshold nearest to one half is taken.
    """
    scores: dict[float, list[float]] = {threshold: [] for threshold in THRESHOLDS}
    for finder, unseen in zip(finders, clips, strict=True):
        for clip in unseen:
            squares, place = finder.probabilities(clip.frames, clip.labelled)
            values = np.stack([place.back(square) for square in squares])
            for threshold, found in scores.items():
                found.append(iou((values >= threshold).ravel(), np.asarray(clip.labels).ravel()))
    medians = {threshold: float(np.median(found)) for threshold, found in scores.items()}
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
    """Networks for the whole frame and, one a fold, for the valve seen closely; saved in `folder`.

    start: weights of `load_finder` to begin with, None for none. The threshold is the best one
    on videos that a fold's close network was not trained on; their boxes are found by the one
    network of whole frames, which knows some of them. What is finished in `folder` is kept.
    """
    begin, begin_close = finder_files(start)[:2] if start else (None, [None])
    if not begin_close:
        raise DataError(
            f"{start} is one network; a finder begins with two kinds, as `valve` or a folder "
            "written by `mitral train` has them."
        )
    folder, splits = Path(folder), fold_splits(clips, folds, seed)
    config = fine_tuning(epochs, seed)
    valves = whole_set(labelled_valves(clips, splits[0]))
    whole = tune(valves, folder / "whole", config, begin, progress, outputs=2)
    close = []
    for number, split in enumerate(splits):
        valves = close_set(labelled_valves(clips, split))
        close.append(tune(valves, folder / f"close-{number}", config, begin_close[0], progress))
    singles = [ValveFinder(whole, (model,), views=VIEWS, share=SHARE) for model in close]
    unseen = [[clip for clip in clips if split.get(clip.name) == "val"] for split in splits]
    threshold, _ = choose_threshold(singles, unseen)
    finder = ValveFinder(whole, tuple(close), threshold=threshold, views=VIEWS, share=SHARE)
    save_settings(finder, folder / SETTINGS_FILE)
    return finder
