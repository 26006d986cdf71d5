"""How far several estimates of a clip's ejection fraction disagree: networks, views, landmarks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..data.sector import SectorBox
from ..geometry import ejection_fraction, mask_volume
from ..masks import PackedMasks
from ..metrics import dice
from ..networks.inference import predict, source_masks, square_masks
from ..networks.views import views_of

if TYPE_CHECKING:
    from .networks import Networks


@dataclass(frozen=True)
class Outlines:
    """Masks (T, H, W) of a clip, the networks' input squares (T, S, S), and their box."""

    box: SectorBox
    squares: np.ndarray
    masks: PackedMasks


def median_ejection(masks: np.ndarray, beats: list[tuple[int, int]]) -> float:
    """Median EF of the beats in per cent, from masks (n, H, W) bool; NaN without a known EF."""
    volumes = [mask_volume(mask) for mask in masks]
    pairs = [(volumes[diastole], volumes[systole]) for diastole, systole in beats]
    fractions = [ejection_fraction(*pair) for pair in pairs if np.isfinite(pair).all()]
    return float(np.median(fractions)) if fractions else np.nan


def seen_in_views(
    networks: "Networks", squares: np.ndarray, beats: list[tuple[int, int]]
) -> np.ndarray:
    """(V, n, S, S) probabilities of frames (n, S, S) uint8 in V views of test-time augmentation.

    beats: indices of ED and ES among the frames. The pixels are those of the frames themselves, NaN
    where a view does not show them.
    """
    views, ways_back = zip(*views_of(squares), strict=True)
    shown = np.stack(views)  # together, because batches of a few frames are slow
    answers = networks.predict(shown, networks.predict_single(shown), beats)
    return np.stack([back(answer) for answer, back in zip(answers, ways_back, strict=True)])


def disagreement(
    networks: "Networks",
    outlines: Outlines,
    beats: list[tuple[int, int]],
    fractions: tuple[float, ...],
    views: np.ndarray | None = None,
) -> tuple[float, dict[str, float]]:
    """Compare several estimates at the ED and ES frames of the beats.

    fractions: EFs of the networks that were measured already. views: `seen_in_views` of these
    frames, if known. Returns 1 - Dice of the outlines and the landmarks, and the spreads of the EF
    over the networks and over the views, points.
    """
    frames = sorted({frame for beat in beats for frame in beat})
    if not frames:
        return np.nan, {"networks": np.nan, "views": np.nan}
    index = {frame: number for number, frame in enumerate(frames)}
    beats = [(index[diastole], index[systole]) for diastole, systole in beats]
    squares, doubt = outlines.squares[frames], np.nan
    if networks.landmarks is not None:
        by_landmarks = source_masks(predict(networks.landmarks, squares), outlines.box)
        pairs = zip(by_landmarks, outlines.masks[frames], strict=True)
        doubt = float(1 - np.mean([dice(*pair) for pair in pairs]))
        fractions = (*fractions, median_ejection(by_landmarks, beats))
    views = seen_in_views(networks, squares, beats) if views is None else views
    by_view = [median_ejection(square_masks(view, networks.size), beats) for view in views]
    return doubt, {"networks": _deviation(fractions), "views": _deviation(by_view)}


def _deviation(fractions: Sequence[float]) -> float:
    """Standard deviation of the finite values; NaN for fewer than two."""
    finite = np.array(fractions, float)
    finite = finite[np.isfinite(finite)]
    return float(finite.std()) if len(finite) > 1 else np.nan
