"""Scores of valve masks by the rules of the course task: one volume per video, then the median.

The rule for empty masks is that of `metrics`: two empty masks agree; if only one is empty, the
overlap is 0 and the distance is the diagonal of the frame.
"""

import numpy as np
import pandas as pd

from ..metrics import case_scores, dice, iou
from ..statistics import patient_interval

REFERENCE_SIDE = 112  # px, side of the frames for which distances are reported


def volume_iou(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Intersection over union, 0 to 1, of two (T, H, W) bool volumes, over all frames together.

    Frames with a large valve area count more than frames with a small area. Raises ValueError for
    volumes that are not bool, or whose shapes differ.
    """
    _check_volumes(prediction, truth)
    return iou(prediction, truth)


def _check_volumes(prediction: np.ndarray, truth: np.ndarray, name: str = "volumes") -> None:
    for volume in (prediction, truth):
        if not isinstance(volume, np.ndarray) or volume.dtype != bool or volume.ndim != 3:
            found = f"{getattr(volume, 'dtype', type(volume))} of shape {np.shape(volume)}"
            raise ValueError(f"{name}: expected (T, H, W) bool, found {found}.")
    if prediction.shape != truth.shape:
        raise ValueError(
            f"{name}: expected prediction and truth of the same shape (T, H, W), found "
            f"{prediction.shape} and {truth.shape}. Resize the prediction to the frames first."
        )


def score_valves(
    predictions: dict[str, np.ndarray], truths: dict[str, tuple[np.ndarray, np.ndarray]]
) -> pd.DataFrame:
    """Score the predicted valve of each video on its labelled frames; other frames are ignored.

    predictions: {name: (T, H, W) bool}. truths: {name: (frames (n,) int, labels (n, H, W)
    bool)}. Returns one row per video with the columns:

    clip. frames, number of scored frames. iou and dice of the volume of these frames. assd, the
    average symmetric surface distance, mean over the frames, px of the video. assd_112, assd in px
    of a 112 x 112 frame with the same field of view. area_ratio, predicted over true area, NaN
    without a true area. Raises ValueError where a prediction is missing or does not fit.
    """
    missing = sorted(set(truths) - set(predictions))
    if missing:
        raise ValueError(
            f"Expected a prediction for each of {len(truths)} labelled videos, none found for "
            f"{', '.join(missing[:5])}. Use an empty mask for a video without a valve."
        )
    rows = [
        {"clip": name} | _score(name, predictions[name], *truths[name]) for name in sorted(truths)
    ]
    columns = ["clip", "frames", "iou", "dice", "assd", "assd_112", "area_ratio"]
    return pd.DataFrame(rows, columns=columns)


def _score(name: str, prediction: np.ndarray, frames: np.ndarray, labels: np.ndarray) -> dict:
    """Scores of one video."""
    frames = np.asarray(frames)
    valid = frames.ndim == 1 and len(frames) and np.issubdtype(frames.dtype, np.integer)
    if not valid or len(np.unique(frames)) < len(frames):
        raise ValueError(f"{name}: expected (n,) different frame numbers, found {frames}.")
    if frames.min() < 0 or frames.max() >= len(prediction):
        raise ValueError(
            f"{name}: expected labelled frames within the {len(prediction)} frames of the "
            f"prediction, found frames from {frames.min()} to {frames.max()}."
        )
    chosen = prediction[frames]
    _check_volumes(chosen, labels, name)
    distances = [case_scores(*pair)["assd"] for pair in zip(chosen, labels, strict=True)]
    distance, area = float(np.mean(distances)), int(labels.sum())
    scale = REFERENCE_SIDE / float(np.sqrt(labels.shape[1] * labels.shape[2]))
    return {
        "frames": len(frames),
        "iou": volume_iou(chosen, labels),
        "dice": dice(chosen, labels),
        "assd": distance,
        "assd_112": distance * scale,
        "area_ratio": int(chosen.sum()) / area if area else np.nan,
    }


def summary(table: pd.DataFrame) -> dict[str, float | list[float]]:
    """Summarise a table of `score_valves`: the task's score and its interval.

    Returns the number of videos and of frames, the median IoU over videos with its 95 % bootstrap
    interval over videos (median_ci95; [NaN, NaN] for fewer of them than
    `statistics.FEWEST_PATIENTS`), mean and 10th percentile (p10) of the IoU, and the medians of
    dice and assd_112. Raises ValueError for an empty table.
    """
    if table.empty:
        raise ValueError("No videos to summarise: the table has no row.")
    values = table.iou.to_numpy(float)
    interval = patient_interval(values, np.arange(len(values)), np.median)
    return {
        "videos": len(table),
        "frames": int(table.frames.sum()),
        "median": float(np.median(values)),
        "median_ci95": list(interval),
        "mean": float(values.mean()),
        "p10": float(np.percentile(values, 10)),
        "dice": float(table.dice.median()),
        "assd_112": float(table.assd_112.median()),
    }
