"""Figures of a training: learning curves, scores of the trained network, and its outlines."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..geometry import mask_outline
from ..networks.inference import Case
from .base import PALETTE, draw_agreement, draw_outline, show_image
from .numbers import frame_times


def learning_curves(history: pd.DataFrame) -> Figure:
    """Draw both losses, validation Dice and learning rate over the epochs.

    history: from `Training.run`. A dot marks the best validation Dice, whose weights are kept.
    """
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(11, 3.2))
    best = history.val_dice.idxmax()
    left.plot(history.epoch, history.loss, color=PALETTE["train"], label="training")
    left.plot(history.epoch, history.val_loss, "--", color=PALETTE["val"], label="validation")
    left.set(xlabel="epoch", ylabel="loss", title="Loss", yscale="log")
    left.legend()
    middle.plot(history.epoch, history.val_dice, color=PALETTE["val"])
    label = f"best: {history.val_dice[best]:.3f}"
    middle.scatter(
        history.epoch[best], history.val_dice[best], color="black", zorder=3, label=label
    )
    middle.set(xlabel="epoch", ylabel="mean Dice, validation", title="Validation Dice")
    middle.legend(loc="lower right")
    right.plot(history.epoch, history.learning_rate, color=PALETTE["neutral"])
    right.set(xlabel="epoch", ylabel="learning rate", title="Learning rate")
    return figure


def score_histograms(cases: pd.DataFrame) -> Figure:
    """Draw histograms of Dice and HD95 over the cases, with ED and ES in two colours.

    cases: from `inference.score`. A dashed line marks the mean.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.2))
    titles = {"dice": "Dice", "hd95": f"HD95 ({cases.unit.iloc[0]})"}
    for axes, (name, title) in zip((left, right), titles.items(), strict=True):
        edges = np.histogram_bin_edges(cases[name], bins=20)
        for phase in ("ED", "ES"):
            values = cases[name][cases.phase == phase]
            axes.hist(values, edges, color=PALETTE[phase], alpha=0.7, label=phase)
        axes.axvline(cases[name].mean(), color="black", linestyle="--", label="mean")
        axes.set(xlabel=title, ylabel="frames")
    left.legend(loc="upper left")
    return figure


def compare_cases(cases: list[Case]) -> Figure:
    """Draw one column per case: both outlines on the frame, and below where the masks differ."""
    figure, grid = plt.subplots(2, len(cases), figsize=(3 * len(cases), 6.4), squeeze=False)
    for case, (top, bottom) in zip(cases, grid.T, strict=True):
        title = f"{case.frame.phase}, Dice {case.scores['dice']:.3f}"
        show_image(case.frame.image, top, title)
        for mask, colour in ((case.frame.mask, "truth"), (case.mask, "prediction")):
            if mask.any():
                draw_outline(mask_outline(mask), top, colour)
        draw_agreement(case.mask, case.frame.mask, bottom)
    return figure


def area_curve(area: np.ndarray, fps: float, traced: dict[str, int] | None = None) -> Figure:
    """Draw the area (T,) px² of the ventricle over a clip.

    traced: {phase: frame} that the expert traced, marked by dashed lines.
    """
    figure, axes = plt.subplots(figsize=(9, 2.8))
    axes.plot(frame_times(len(area), fps), area, color=PALETTE["prediction"], marker=".")
    for phase, frame in (traced or {}).items():
        label = f"{phase} chosen by the expert"
        axes.axvline(frame / fps, color=PALETTE[phase], linestyle="--", label=label)
    axes.set(xlabel="time (s)", ylabel="area (px²)", ylim=(0, None))
    if traced:
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3)
    return figure
