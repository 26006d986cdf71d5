"""What the scores of a mask measure, drawn for one pair of masks."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from scipy.ndimage import distance_transform_edt

from ..geometry import bounding_box
from ..metrics import case_scores, edge_pixels, surface_distances
from .base import PALETTE, draw_agreement, show_image

SHARED = "#d9d9d9"
MARGIN = 4  # px around both masks
FAR = "black"


def draw_measures(prediction: np.ndarray, truth: np.ndarray) -> Figure:
    """Draw Dice, IoU, HD95 and ASSD of two (H, W) bool masks in four panels.

    Above: where the masks agree and differ, and these areas as bars, of which Dice and IoU are the
    shared part. Below: the way from each pixel of either outline to the other outline, black where
    it is longer than HD95, and the lengths of these ways with ASSD and HD95. Distances are in px.
    Raises ValueError for an empty mask.
    """
    scores = case_scores(prediction, truth)
    there, back = surface_distances(prediction, truth)  # the ValueError of an empty mask
    figure, ((areas, bars), (ways, lengths)) = plt.subplots(2, 2, figsize=(9, 7.6))
    draw_agreement(prediction, truth, areas)
    areas.set_title("Areas")
    _draw_shares(prediction, truth, bars, scores)
    _draw_ways(prediction, truth, ways, scores["hd95"])
    for axes in (areas, ways):
        _zoom(axes, prediction | truth)
    colours = [PALETTE["truth"], PALETTE["prediction"]]
    labels = ["from the expert's outline", "from the network's outline"]
    lengths.hist([back, there], bins=20, stacked=True, color=colours, label=labels)
    for name, style in (("assd", "--"), ("hd95", "-")):
        label = f"{name.upper()} {scores[name]:.1f} px"
        lengths.axvline(scores[name], color=FAR, linestyle=style, linewidth=1.6, label=label)
    lengths.set(
        xlabel="distance (px)", ylabel="pixels of the outlines", title="Lengths of the ways"
    )
    lengths.legend(loc="upper right", fontsize=9, frameon=True, framealpha=1)
    return figure


def _zoom(axes: Axes, mask: np.ndarray) -> None:
    """Show no more of a picture than the mask (H, W) and a margin around it."""
    rows, columns = bounding_box(mask)
    axes.set_xlim(columns.start - MARGIN, columns.stop + MARGIN)
    axes.set_ylim(rows.stop + MARGIN, rows.start - MARGIN)


def _draw_shares(
    prediction: np.ndarray, truth: np.ndarray, axes: Axes, scores: dict[str, float]
) -> None:
    """Draw the areas as two bars: both areas one after the other, and what they cover together."""
    shared = int((prediction & truth).sum())
    missed, extra = int(truth.sum()) - shared, int(prediction.sum()) - shared
    green, grey, pink = PALETTE["truth"], SHARED, PALETTE["prediction"]
    both = [(missed, green), (shared, grey), (shared, grey), (extra, pink)]
    joint = [(missed, green), (shared, grey), (extra, pink)]
    for height, parts in ((1, both), (0, joint)):
        start = 0
        for width, colour in parts:
            axes.barh(height, width, 0.45, start, color=colour, edgecolor="white")
            start += width
    axes.set_yticks([1, 0], [f"Dice {scores['dice']:.2f}", f"IoU {scores['iou']:.2f}"])
    axes.set(xlabel="area (px)", ylim=(-0.6, 1.6), title="Dice and IoU: the grey share of a bar")
    axes.grid(axis="y", visible=False)


def _draw_ways(prediction: np.ndarray, truth: np.ndarray, axes: Axes, far: float) -> None:
    """Draw a line from each pixel of either outline to the nearest pixel of the other one."""
    edges = {"truth": edge_pixels(truth), "prediction": edge_pixels(prediction)}
    show_image(np.ones(truth.shape, bool), axes, "Ways from outline to outline, black above HD95")
    for name, other in (("truth", "prediction"), ("prediction", "truth")):
        distance, nearest = distance_transform_edt(~edges[other], return_indices=True)
        rows, columns = np.nonzero(edges[name])
        ends = nearest[:, rows, columns]
        lines = np.stack([np.stack([columns, rows], -1), ends[::-1].T], axis=1)
        colours = [FAR if d > far else PALETTE[name] for d in distance[rows, columns]]
        axes.add_collection(LineCollection(list(lines), colors=colours, linewidths=1.3))
        axes.scatter(columns, rows, s=7, color=PALETTE[name], zorder=3)
