"""What each step beyond the reference recipe is worth on the test videos of a mitral valve study.

    python -m echolib phantom --mitral 1 --out build/mitral-study
    python -m benchmarks.mitral build/mitral-study --out build/mitral

Every row of the table is the recipe, or the row named in `on` with one idea added or exchanged.
Networks see the labelled frames of the training videos alone; thresholds are chosen on training
videos that a network was not trained on. The test videos are scored against the truth beside them,
all frames, volume IoU a video, median over videos. Finished trainings and rows are kept, so that a
stopped run goes on where it was. `--steps 3` runs the first three alone.

A phantom study flatters the phantom pre-training: pre-training and study come from one generator,
though never from the same heart. The gain says that labels are few, not that phantoms are real.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from echolib import config
from echolib.data import open_mitral
from echolib.data.frames import FrameSet
from echolib.data.valve.squares import close_set, labelled_valves, whole_set
from echolib.data.valve.study import MitralStudy, ValveClip
from echolib.files import write_table
from echolib.metrics import dice, iou
from echolib.networks.models import UNet
from echolib.statistics import bootstrap_interval, paired_difference
from echolib.valve.finder import CLOSE_VIEWS, PLAIN_VIEW, ValveFinder, finder_files, load_finder
from echolib.valve.training import (
    RECIPE_SIZE,
    RECIPE_THRESHOLD,
    choose_threshold,
    fine_tuning,
    fold_splits,
    train_recipe,
    tune,
)

FOLDS = 5
FROM_SCRATCH = 60  # epochs without pre-training
DOUBTFUL = 0.35  # IoU of an amateur's label with the others' network below which it is left out
PSEUDO = 6  # unlabelled frames of each training video that get a pseudo-label


@dataclass
class Bench:
    """A study and the trainings made on it, each made once."""

    study: MitralStudy
    folder: Path
    seed: int = 0

    @cached_property
    def splits(self) -> list[dict[str, str]]:
        """Five splits by video."""
        return fold_splits(self.study.train, FOLDS, self.seed)

    def unseen(self, fold: int = 0) -> list[ValveClip]:
        """The videos on which a fold validates."""
        return [clip for clip in self.study.train if self.splits[fold][clip.name] == "val"]

    def close(self, fold: int = 0) -> FrameSet:
        """The labelled frames seen closely, as a fold splits them."""
        return close_set(labelled_valves(self.study.train, self.splits[fold]))

    @cached_property
    def recipe(self) -> tuple[UNet, UNet]:
        """Networks after stage one and after stage two, on whole frames."""
        frames = whole_set(labelled_valves(self.study.train, self.splits[0]), RECIPE_SIZE)
        return train_recipe(frames, self.folder / "recipe", seed=self.seed)

    @cached_property
    def box_network(self) -> UNet:
        """Leaflets and box on whole frames, from scratch."""
        frames = whole_set(labelled_valves(self.study.train, self.splits[0]))
        plan = fine_tuning(FROM_SCRATCH, self.seed)
        plan = replace(plan, learning_rate=2e-3)
        return tune(frames, self.folder / "box", plan, outputs=2)

    def tuned(self, name: str, frames: FrameSet, pretrained: bool, inputs: int = 1) -> UNet:
        """A network of the valve seen closely; kept in the folder under its name."""
        plan = fine_tuning(15, self.seed)
        start = finder_files("valve")[1][0] if pretrained else None
        if not pretrained:
            plan = replace(fine_tuning(FROM_SCRATCH, self.seed), learning_rate=2e-3)
        return tune(frames, self.folder / name, plan, start, inputs=inputs)

    @cached_property
    def pretrained_box(self) -> UNet:
        """Leaflets and box on whole frames, from the phantom's weights."""
        frames = whole_set(labelled_valves(self.study.train, self.splits[0]))
        plan, start = fine_tuning(15, self.seed), finder_files("valve")[0]
        return tune(frames, self.folder / "pretrained-box", plan, start, outputs=2)

    def pretrained(self, fold: int = 0, inputs: int = 1) -> UNet:
        """The valve seen closely, from the phantom's weights."""
        name = f"pretrained-{fold}" if inputs == 1 else f"pretrained-neighbours-{fold}"
        return self.tuned(name, self.close(fold), True, inputs)

    def decided(self, finder: ValveFinder, fold: int = 0) -> ValveFinder:
        """The finder with the threshold that is best on the fold's unseen videos."""
        return replace(finder, threshold=choose_threshold([finder], [self.unseen(fold)])[0])


# --- The steps ------------------------------------------------------------------------------------


def recipe_one(bench: Bench) -> ValveFinder:
    return ValveFinder(bench.recipe[0], size=RECIPE_SIZE, threshold=RECIPE_THRESHOLD)


def recipe_two(bench: Bench) -> ValveFinder:
    return ValveFinder(bench.recipe[1], size=RECIPE_SIZE, threshold=RECIPE_THRESHOLD)


def threshold(bench: Bench) -> ValveFinder:
    return bench.decided(recipe_two(bench))


def crop(bench: Bench) -> ValveFinder:
    network = train_recipe(bench.close(), bench.folder / "recipe-close", seed=bench.seed)[1]
    return bench.decided(ValveFinder(bench.box_network, (network,)))


def longer(bench: Bench) -> ValveFinder:
    network = bench.tuned("scratch", bench.close(), pretrained=False)
    return bench.decided(ValveFinder(bench.box_network, (network,)))


def neighbours(bench: Bench) -> ValveFinder:
    network = bench.tuned("neighbours", bench.close(), pretrained=False, inputs=3)
    return bench.decided(ValveFinder(bench.box_network, (network,)))


def pretraining(bench: Bench) -> ValveFinder:
    return bench.decided(ValveFinder(bench.pretrained_box, (bench.pretrained(),)))


def neighbours_too(bench: Bench) -> ValveFinder:
    return bench.decided(ValveFinder(bench.pretrained_box, (bench.pretrained(inputs=3),)))


def experts_only(bench: Bench) -> ValveFinder:
    frames = bench.close()
    frames = frames.select((frames.table.dataset == "expert").to_numpy())
    network = bench.tuned("experts", frames, pretrained=True)
    return bench.decided(ValveFinder(bench.pretrained_box, (network,)))


def without_doubtful(bench: Bench) -> ValveFinder:
    """Amateur frames whose label the networks of other folds contradict are left out."""
    agreed = {}
    for fold in range(FOLDS):
        finder = ValveFinder(bench.pretrained_box, (bench.pretrained(fold),))
        for clip in bench.unseen(fold):
            found = finder.masks(clip.frames, clip.labelled)
            for frame, mask, label in zip(clip.labelled, found, clip.labels, strict=True):
                agreed[clip.name, frame] = iou(mask, label)
    frames = bench.close()
    rows = frames.table[["clip", "frame", "dataset", "split"]].itertuples(index=False)
    keep = [
        row.dataset == "expert" or row.split == "val" or agreed[row[0], row[1]] >= DOUBTFUL
        for row in rows
    ]
    print(f"{len(keep) - sum(keep)} amateur frames left out")
    network = bench.tuned("agreed", frames.select(np.array(keep)), pretrained=True)
    return bench.decided(ValveFinder(bench.pretrained_box, (network,)))


def pseudo_labels(bench: Bench) -> ValveFinder:
    """Unlabelled frames of the training videos, labelled by the network before."""
    finder, pseudo = pretraining(bench), []
    for clip in bench.study.train:
        if bench.splits[0][clip.name] == "val":
            continue
        others = np.setdiff1d(np.arange(len(clip.frames)), clip.labelled)
        chosen = tuple(int(k) for k in others[:: max(1, len(others) // PSEUDO)][:PSEUDO])
        pseudo.append(replace(clip, labelled=chosen, labels=finder.masks(clip.frames, chosen)))
    more = close_set(labelled_valves(pseudo, bench.splits[0]))
    frames = FrameSet.joined([bench.close(), more])
    network = bench.tuned("pseudo", frames, pretrained=True)
    return bench.decided(ValveFinder(bench.pretrained_box, (network,)))


def views(bench: Bench) -> ValveFinder:
    return bench.decided(replace(pretraining(bench), views=CLOSE_VIEWS))


def folds(bench: Bench) -> ValveFinder:
    networks = tuple(bench.pretrained(fold) for fold in range(FOLDS))
    singles = [ValveFinder(bench.pretrained_box, (network,)) for network in networks]
    unseen = [bench.unseen(fold) for fold in range(FOLDS)]
    best = choose_threshold(singles, unseen)[0]
    return ValveFinder(bench.pretrained_box, networks, threshold=best)


def whole_frame_too(bench: Bench) -> ValveFinder:
    return bench.decided(replace(pretraining(bench), share=0.3))


def smoothing(bench: Bench) -> ValveFinder:
    return replace(pretraining(bench), smoothing=1.0)


def all_that_pays(bench: Bench) -> ValveFinder:
    """Five folds, five views, the whole frame too: what `train_finder` makes, but
    for the threshold, which is that of the folds alone."""
    return replace(folds(bench), views=CLOSE_VIEWS, share=0.3)


def shipped(bench: Bench) -> ValveFinder:
    return load_finder("valve")


def shipped_one_view(bench: Bench) -> ValveFinder:
    return replace(load_finder("valve"), views=PLAIN_VIEW, share=0.0, smoothing=0.0)


STEPS: dict[str, tuple[Callable[[Bench], ValveFinder], str]] = {
    "recipe, stage one": (recipe_one, ""),
    "recipe, stage two": (recipe_two, "recipe, stage one"),
    "threshold by validation": (threshold, "recipe, stage two"),
    "box found, crop segmented": (crop, "threshold by validation"),
    "longer, strongly augmented": (longer, "box found, crop segmented"),
    "neighbouring frames": (neighbours, "longer, strongly augmented"),
    "phantom pre-training": (pretraining, "longer, strongly augmented"),
    "neighbouring frames too": (neighbours_too, "phantom pre-training"),
    "expert frames only": (experts_only, "phantom pre-training"),
    "doubtful amateur frames left out": (without_doubtful, "phantom pre-training"),
    "pseudo-labels": (pseudo_labels, "phantom pre-training"),
    "five views averaged": (views, "phantom pre-training"),
    "whole frame too": (whole_frame_too, "phantom pre-training"),
    "smoothed over time": (smoothing, "phantom pre-training"),
    "five folds averaged": (folds, "phantom pre-training"),
    "folds, views and whole frame": (all_that_pays, "five folds averaged"),
    "shipped weights, no training here": (shipped, ""),
    "shipped weights, one view": (shipped_one_view, "shipped weights, no training here"),
}


# --- The table ------------------------------------------------------------------------------------


def score_step(name: str, bench: Bench) -> dict:
    """A row of the table: scores of all frames of the test videos."""
    finder, on = STEPS[name][0](bench), STEPS[name][1]
    scores = []
    for clip in bench.study.test:
        truth, masks = bench.study.truth(clip.name), finder.masks(clip.frames)
        pair = masks.ravel(), truth.ravel()
        scores.append({"clip": clip.name, "iou": iou(*pair), "dice": dice(*pair)})
    table = pd.DataFrame(scores)
    write_table(table, bench.folder / "videos" / f"{name}.csv")
    low, high = bootstrap_interval(table.iou.to_numpy(), statistic=np.median)
    row = {"step": name, "on": on, "median_iou": table.iou.median()}
    row |= {"low": low, "high": high, "mean_iou": table.iou.mean(), "worst_iou": table.iou.min()}
    row |= {"median_dice": table.dice.median(), "threshold": finder.threshold}
    return row | {"videos": len(table)}


def with_gains(rows: list[dict], folder: Path) -> pd.DataFrame:
    """The rows, and how much a video's IoU gains on average over the row named in `on`."""
    table = pd.DataFrame(rows).fillna({"on": ""})
    for number, row in table[table.on != ""].iterrows():
        ours, theirs = (pd.read_csv(folder / f"{row[name]}.csv") for name in ("step", "on"))
        gain = paired_difference(ours.iou, theirs.iou, ours["clip"])
        for name in ("mean", "low", "high"):
            table.loc[number, f"gain_{name}"] = getattr(gain, name)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("study", help="folder of a mitral valve study with test_truth.npz")
    parser.add_argument("--out", type=Path, default=Path("build/mitral"))
    parser.add_argument("--steps", type=int, default=len(STEPS), help="the first so many")
    arguments = parser.parse_args()
    bench = Bench(open_mitral(arguments.study), arguments.out)
    path = arguments.out / "mitral.csv"
    rows = pd.read_csv(path).to_dict("records") if path.is_file() else []
    for name in list(STEPS)[: arguments.steps]:
        if name in [row["step"] for row in rows]:
            continue
        rows.append(score_step(name, bench))
        write_table(pd.DataFrame(rows), path)
        print(pd.DataFrame(rows[-1:]).round(3).to_string(index=False), flush=True)
    table = with_gains(rows, arguments.out / "videos").round(4)
    write_table(table, config.project_root() / "notebooks" / "results" / "mitral.csv")
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
