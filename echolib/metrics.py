"""How well a mask fits the expert's mask, case by case.

The rule for empty masks: two empty masks agree (Dice and IoU 1, distances 0); where only one is
empty, Dice and IoU are 0 and both distances are the diagonal of the frame, the worst value
possible. No case is dropped.
"""

import numpy as np
import pandas as pd
from scipy.ndimage import binary_erosion, distance_transform_edt

from .geometry import bounding_box
from .statistics import patient_interval

SCORES = ("dice", "iou", "hd95", "assd")


def _pair(prediction: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    prediction, truth = np.asarray(prediction, bool), np.asarray(truth, bool)
    if prediction.shape != truth.shape:
        raise ValueError(f"Masks of {prediction.shape} and {truth.shape} px cannot be compared.")
    return prediction, truth


def dice(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Dice coefficient of two (H, W) bool masks, 0 to 1. Source: Dice, Ecology 26, 1945."""
    prediction, truth = _pair(prediction, truth)
    areas = int(prediction.sum()) + int(truth.sum())
    return 2 * int((prediction & truth).sum()) / areas if areas else 1.0


def iou(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Intersection over union of two (H, W) bool masks, 0 to 1."""
    prediction, truth = _pair(prediction, truth)
    union = int((prediction | truth).sum())
    return int((prediction & truth).sum()) / union if union else 1.0


def edge_pixels(mask: np.ndarray) -> np.ndarray:
    """(H, W) bool: the pixels of a bool mask that an erosion removes, its outline."""
    return mask & ~binary_erosion(mask)


def surface_distances(
    prediction: np.ndarray, truth: np.ndarray, spacing: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Distance of each edge pixel of one mask to the nearest edge pixel of the other.

    Edge pixels: see `edge_pixels`. Returns prediction to truth and truth to
    prediction, each (n,), in mm for a spacing in mm per px, in px for the default. Raises
    ValueError for an empty mask.
    """
    prediction, truth = _pair(prediction, truth)
    if not (prediction.any() and truth.any()):
        raise ValueError("An empty mask has no edge; see the rule for empty masks.")
    box = bounding_box(prediction | truth)
    edges = [edge_pixels(mask[box]) for mask in (prediction, truth)]
    there = distance_transform_edt(~edges[1])[edges[0]]
    back = distance_transform_edt(~edges[0])[edges[1]]
    return spacing * there, spacing * back


def case_scores(
    prediction: np.ndarray, truth: np.ndarray, spacing: float | None = None
) -> dict[str, float]:
    """Dice, IoU, 95th percentile Hausdorff distance and average symmetric surface distance.

    Two (H, W) bool masks. Distances are in mm where the spacing (mm per px) is known, else in
    px. HD95 is the larger of the two directions' 95th percentiles, ASSD the mean over the edge
    pixels of both. Source of the definitions: Maier-Hein et al., Metrics reloaded, Nature
    Methods 21, 2024.
    """
    unit = 1.0 if spacing is None else float(spacing)
    scores = {"dice": dice(prediction, truth), "iou": iou(prediction, truth)}
    filled = int(np.any(prediction)) + int(np.any(truth))
    if filled == 2:
        there, back = surface_distances(prediction, truth, unit)
        scores["hd95"] = float(max(np.percentile(there, 95), np.percentile(back, 95)))
        scores["assd"] = float(np.concatenate([there, back]).mean())
    else:
        worst = 0.0 if filled == 0 else unit * float(np.hypot(*np.shape(truth)))
        scores["hd95"] = scores["assd"] = worst
    return scores


def summarise(cases: pd.DataFrame) -> dict:
    """Mean, median, p10, p90 and the interval of the mean of each score over all cases.

    cases: one row per case with dice, iou, hd95, assd, unit ("mm" or "px") and patient. The 95 %
    interval, ci95, is a bootstrap over patients, [NaN, NaN] for fewer than
    `statistics.FEWEST_PATIENTS`. Raises ValueError for an empty table, or for
    distances in two units.
    """
    if cases.empty:
        raise ValueError("No cases to summarise.")
    units = sorted(cases.unit.unique())
    if len(units) > 1:
        raise ValueError(
            f"Distances in {units} cannot be averaged. Score the sources apart, or leave out the "
            "cases whose spacing is unknown: their unit is px."
        )
    summary = {"n": len(cases), "patients": int(cases.patient.nunique()), "unit": units[0]}
    for name in SCORES:
        values = cases[name].to_numpy()
        p10, median, p90 = np.percentile(values, [10, 50, 90])
        interval = patient_interval(values, cases.patient)
        summary[name] = {
            "mean": float(values.mean()),
            "median": float(median),
            "p10": float(p10),
            "p90": float(p90),
            "ci95": list(interval),
        }
    return summary
