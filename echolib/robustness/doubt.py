"""Three measures of doubt: how far a mask can be trusted without knowing the true one.

Each gives one number per frame, which is higher for less trust. A measure is good if the scores
rise when the frames with the most doubt are left out (`retention`).
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.ndimage import distance_transform_edt

from ..data.frames import FrameSet
from ..geometry import largest_component
from ..metrics import dice
from ..networks.inference import THRESHOLD, predict, square_masks
from ..networks.models import Encoder
from ..networks.views import views_of
from ..statistics import patient_interval

DOUBTS = ("disagreement", "augmentation", "entropy")  # columns of `doubt_cases`
SHARES = np.arange(50, 101, 5) / 100  # of the frames, which `retention` keeps in turn
DROPPED = 0.1  # share of the frames that `gain_of_dropping` leaves out


def disagreement(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """1 - Dice of two models' masks (N, H, W), per frame: (N,) from 0 to 1.

    The idea: if two networks learnt different targets, they make different errors, and they agree
    where neither is wrong.
    """
    return np.array([1 - dice(a, b) for a, b in zip(first, second, strict=True)])


def entropy(probabilities: np.ndarray) -> np.ndarray:
    """Entropy of a masks model's probabilities (N, H, W), in bits per px, (N,).

    The sum over all pixels grows with the length of the outline, so it is divided by the square
    root of the mask's area (at least 1 px), which grows in proportion.
    """
    p = np.clip(probabilities, 1e-7, 1 - 1e-7)
    total = -(p * np.log2(p) + (1 - p) * np.log2(1 - p)).sum(axis=(1, 2))
    return total / np.sqrt(np.maximum(1, (probabilities >= THRESHOLD).sum(axis=(1, 2))))


def augmented_doubt(model: Encoder, images: np.ndarray) -> np.ndarray:
    """Doubt from test-time augmentation: how far the masks of several views of an image differ.

    images: (N, S, S) uint8. Returns (N,): the mean over the views (`views_of`) of 1 - Dice between
    a view's mask and the mean of all. Source of the idea: Wang et al., Neurocomputing 338, 2019.
    """
    views = [back(predict(model, changed)) for changed, back in views_of(images)]
    mean = np.nanmean(views, axis=0) >= THRESHOLD
    return np.mean([disagreement(view >= THRESHOLD, mean) for view in views], axis=0)


def mean_shape(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The (H, W) bool mask half-way between two masks: where their mean signed distance is inside.

    If one mask is empty, the result is the other. If the masks lie so far apart that nothing is
    half-way, the result is the second.
    """
    if not (first.any() and second.any()):
        return first | second
    middle = _signed_distance(first) + _signed_distance(second) > 0
    return largest_component(middle) if middle.any() else second


def mean_shapes(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(N, H, W) bool: `mean_shape` of each pair of masks of two models."""
    return np.stack([mean_shape(a, b) for a, b in zip(first, second, strict=True)])


def _signed_distance(mask: np.ndarray) -> np.ndarray:
    """Distance to the outline in px, positive inside."""
    return distance_transform_edt(mask) - distance_transform_edt(~mask)


def doubt_cases(
    masks_model: Encoder,
    landmarks_model: Encoder,
    frames: FrameSet,
    images: np.ndarray | None = None,
) -> pd.DataFrame:
    """Score two models on every frame of a set, and measure the doubt about the masks model.

    images: (N, S, S) uint8 that replace the frames' own, such as corrupted ones. Returns one row
    per frame: clip, frame, patient, dice (of the masks model), dice_landmarks, dice_combined (of
    the mean shape), disagreement, augmentation, entropy.
    """
    images = np.asarray(frames.images) if images is None else images
    probabilities = predict(masks_model, images)
    masks = square_masks(probabilities, frames.size)
    landmarks = predict(landmarks_model, images)
    landmark_masks = square_masks(landmarks, frames.size, frames.rounded)
    combined = mean_shapes(masks, landmark_masks)
    table = frames.table[["clip", "frame", "patient"]].copy()
    columns = {"dice": masks, "dice_landmarks": landmark_masks, "dice_combined": combined}
    for name, predicted in columns.items():
        table[name] = [dice(a, b) for a, b in zip(predicted, frames.masks, strict=True)]
    table["disagreement"] = disagreement(masks, landmark_masks)
    table["augmentation"] = augmented_doubt(masks_model, images)
    table["entropy"] = entropy(probabilities)
    return table


def p10(values: np.ndarray) -> float:
    """The tenth percentile: the worst tenth of the frames score below it."""
    return float(np.percentile(values, 10))


def keep_certain(doubt: np.ndarray, share: float) -> np.ndarray:
    """Indices of the `share` of the frames with the least doubt, at least one frame."""
    count = max(1, round(share * len(doubt)))
    return np.argsort(doubt, kind="stable")[:count]


def retention(
    scores: np.ndarray,
    doubt: np.ndarray,
    statistic: Callable[[np.ndarray], float] = np.mean,
) -> pd.DataFrame:
    """A statistic of the scores (N,) of the least doubtful frames, for several shares of them.

    doubt: (N,). Returns the columns share (0.5 to 1 in steps of 0.05) and score.
    """
    kept = [statistic(np.asarray(scores)[keep_certain(doubt, share)]) for share in SHARES]
    return pd.DataFrame({"share": SHARES, "score": kept})


def gain_of_dropping(
    cases: pd.DataFrame,
    doubt: str,
    statistic: Callable[[np.ndarray], float] = p10,
) -> tuple[float, float, float]:
    """How much a statistic of Dice rises when the most doubtful tenth of the frames is left out.

    cases: from `doubt_cases`. doubt: name of a column. Returns the gain and its 95 % bootstrap
    interval by patient, NaN for fewer than `statistics.FEWEST_PATIENTS`; in each resample the
    frames to leave out are chosen anew.
    """
    scores, doubts = cases.dice.to_numpy(), cases[doubt].to_numpy()

    def gain(rows: np.ndarray) -> float:
        kept = rows[keep_certain(doubts[rows], 1 - DROPPED)]
        return statistic(scores[kept]) - statistic(scores[rows])

    rows = np.arange(len(cases))
    interval = patient_interval(rows, cases.patient, lambda drawn: gain(drawn.astype(int)))
    return gain(rows), *interval
