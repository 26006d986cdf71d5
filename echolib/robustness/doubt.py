"""How far a mask can be trusted, without knowing the truth: three measures of doubt.

Each gives a number a frame, higher for less trust; what it is worth is seen by leaving out the
frames with the most doubt (`retention`).
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from scipy.ndimage import distance_transform_edt
from torch import nn

from ..data.frames import FrameSet
from ..geometry import largest_component
from ..metrics import dice
from ..networks.inference import THRESHOLD, predict, square_masks
from ..networks.views import views_of
from ..statistics import bootstrap_interval


def disagreement(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """1 - Dice of two models' masks (N, H, W), frame by frame, (N,) from 0 to 1.

    If two networks that learnt different answers err differently, they agree where neither errs.
    """
    return np.array([1 - dice(a, b) for a, b in zip(one, other, strict=True)])


def entropy(probabilities: np.ndarray) -> np.ndarray:
    """Entropy of a masks model's probabilities (N, H, W), in bit a px, (N,).

    The sum over all pixels grows with the length of the outline, so it is divided by what grows
    as that does: the square root of the mask's area (at least 1 px).
    """
    p = np.clip(probabilities, 1e-7, 1 - 1e-7)
    total = -(p * np.log2(p) + (1 - p) * np.log2(1 - p)).sum(axis=(1, 2))
    return total / np.sqrt(np.maximum(1, (probabilities >= THRESHOLD).sum(axis=(1, 2))))


def augmented_doubt(
    model: nn.Module, images: np.ndarray, device: torch.device | None = None
) -> np.ndarray:
    """Test-time augmentation: how far the masks of changed views of an image differ, (N,).

    images: (N, S, S) uint8. 1 - Dice is averaged over the views (`views_of`), each against the
    mean of all. Source of the idea: Wang et al., Neurocomputing 338, 2019.
    """
    views = [back(predict(model, seen, device)) for seen, back in views_of(images)]
    mean = np.mean(views, axis=0) >= THRESHOLD
    return np.mean([disagreement(view >= THRESHOLD, mean) for view in views], axis=0)


def mean_shape(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The (H, W) bool mask half-way between two masks: where the mean signed distance to their
    outlines is inside. An empty mask leaves the other as it is; of two masks that lie apart, with
    nothing half-way, the second counts.
    """
    if not (one.any() and other.any()):
        return one | other
    middle = _signed_distance(one) + _signed_distance(other) > 0
    return largest_component(middle) if middle.any() else other


def _signed_distance(mask: np.ndarray) -> np.ndarray:
    return distance_transform_edt(mask) - distance_transform_edt(~mask)


def doubt_cases(
    masks_model: nn.Module,
    landmarks_model: nn.Module,
    frames: FrameSet,
    images: np.ndarray | None = None,
    device: torch.device | None = None,
) -> pd.DataFrame:
    """Dice of the masks model, and three doubts about it, for every frame of a set.

    images: (N, S, S) uint8 to be seen in the place of the frames' own, such as corrupted ones.
    Returns a row a frame: clip, frame, patient, dice (of the masks model), dice_landmarks,
    dice_combined (of the mean shape), disagreement, augmentation, entropy.
    """
    images = np.asarray(frames.images) if images is None else images
    probabilities = predict(masks_model, images, device)
    one = square_masks(probabilities, frames.size)
    landmarks = predict(landmarks_model, images, device)
    other = square_masks(landmarks, frames.size, frames.rounded)
    both = np.stack([mean_shape(a, b) for a, b in zip(one, other, strict=True)])
    table = frames.table[["clip", "frame", "patient"]].copy()
    for name, masks in (("dice", one), ("dice_landmarks", other), ("dice_combined", both)):
        table[name] = [dice(a, b) for a, b in zip(masks, frames.masks, strict=True)]
    table["disagreement"] = disagreement(one, other)
    table["augmentation"] = augmented_doubt(masks_model, images, device)
    table["entropy"] = entropy(probabilities)
    return table


DOUBTS = ("disagreement", "augmentation", "entropy")


def p10(values: np.ndarray) -> float:
    """The tenth percentile: what the worst tenth of the frames stays below."""
    return float(np.percentile(values, 10))


def keep_certain(doubt: np.ndarray, share: float) -> np.ndarray:
    """Indices of the `share` of the frames with the least doubt, at least one frame."""
    count = max(1, round(share * len(doubt)))
    return np.argsort(doubt, kind="stable")[:count]


def retention(
    scores: np.ndarray,
    doubt: np.ndarray,
    shares: np.ndarray | None = None,
    statistic: Callable[[np.ndarray], float] = np.mean,
) -> pd.DataFrame:
    """A statistic of the scores (N,) against the share of the frames kept, the doubtful left out.

    shares: from 0 to 1, default 0.5 to 1 in steps of 0.05. Returns columns share and score.
    """
    shares = np.arange(50, 101, 5) / 100 if shares is None else shares
    kept = [statistic(np.asarray(scores)[keep_certain(doubt, share)]) for share in shares]
    return pd.DataFrame({"share": shares, "score": kept})


def gain_of_dropping(
    cases: pd.DataFrame,
    doubt: str,
    share: float = 0.1,
    statistic: Callable[[np.ndarray], float] = p10,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[float, float, float]:
    """What leaving out the most doubtful `share` of the frames adds to a statistic of Dice.

    cases: from `doubt_cases`. doubt: name of its column. Returns the gain and its 95 % bootstrap
    interval by patient; in each resample the frames to be left out are chosen anew.
    """
    scores, doubts = cases.dice.to_numpy(), cases[doubt].to_numpy()

    def gain(rows: np.ndarray) -> float:
        kept = rows[keep_certain(doubts[rows], 1 - share)]
        return statistic(scores[kept]) - statistic(scores[rows])

    everything = np.arange(len(cases))
    interval = bootstrap_interval(
        everything,
        cases.patient,
        lambda rows: gain(rows.astype(int)),
        resamples=resamples,
        seed=seed,
    )
    return gain(everything), *interval
