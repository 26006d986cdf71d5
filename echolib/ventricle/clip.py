"""How a left ventricle works, from a clip: networks outline it, and the outlines are measured.

Three networks look. `lv` sees every frame by itself, which tells when the heart fills and empties.
`lv_cycle` then sees every frame between the end-diastole and the end-systole of its beat, and so
how far the walls move. What is measured is the outline of the weighted mean of both
probabilities, which on real frames errs less than either. `lv_landmarks` outlines the two ends of
the beat once more: where it disagrees, the result is in doubt.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ..config import weights_folder
from ..data.clips import Clip
from ..data.letterbox import Letterbox
from ..data.sector import clip_sector
from ..errors import DataError
from ..geometry import disk_volume, ejection_fraction, mask_to_tracing
from ..metrics import dice
from ..networks.inference import predict, source_mask
from ..networks.models import finds_landmarks, load_model
from ..networks.views import views_of
from .calibration import Calibration, load_calibration
from .function import Beat, HeartFunction, heart_function

WEIGHTS = ("lv", "lv_cycle", "lv_landmarks")
CALIBRATION = "function.json"  # in the folder of the weights
CYCLE_SHARE = 2 / 3  # of the network that sees both ends of the beat in what is measured
SHIPPED = "shipped"  # the calibration that comes with the package


@dataclass(frozen=True)
class Networks:
    """The networks that measure a clip, and what their results are worth.

    alone: a masks model of single frames. cycle: a masks model that sees each frame between the
    ED and the ES frame of its beat, or None: then `alone` is measured. landmarks: a landmarks
    model, or None. size: px of the squares that they see. calibration: of just these networks,
    or None where there is none. names: of the weights.
    """

    alone: nn.Module
    cycle: nn.Module | None
    landmarks: nn.Module | None
    size: int
    calibration: Calibration | None
    names: tuple[str, ...]

    def read(self, found: float, spreads: dict[str, float]) -> tuple[float, float, float]:
        """EF and its interval, per cent; without a calibration as found, and NaN."""
        if self.calibration is None:
            return found, np.nan, np.nan
        return self.calibration.interval(found, spreads)

    def look(
        self,
        squares: np.ndarray,
        alone: np.ndarray,
        beats: list[tuple[int, int]],
        device: torch.device | None,
    ) -> np.ndarray:
        """(T, S, S) probabilities of frames (T, S, S) uint8: the mean of `alone` and `cycle`.

        alone: those of the network of single frames. beats: their ED and ES frames; without any
        the result is `alone`.
        """
        if self.cycle is None or not beats:
            return alone
        both = predict(self.cycle, within_beats(squares, beats), device)
        return (1 - CYCLE_SHARE) * alone + CYCLE_SHARE * both


@dataclass(frozen=True)
class ClipFunction:
    """What a clip says of its left ventricle.

    masks: (T, H, W) bool. function: measured in them. found: EF in per cent as measured, median
    of the beats. ef, ef_low, ef_high: the same as the calibration reads it, and its interval; NaN
    where unknown.
    spreads: how far several looks disagree, points of EF, see `calibration.SPREADS`. doubt: 1 -
    Dice of masks and landmarks at ED and ES, NaN without landmarks. warnings: all of them, the
    function's included. weights: names of the networks.
    """

    clip: Clip
    masks: np.ndarray
    function: HeartFunction
    found: float
    ef: float
    ef_low: float
    ef_high: float
    spreads: dict[str, float]
    doubt: float
    warnings: list[str]
    weights: tuple[str, ...]

    @property
    def edv(self) -> float:
        """End-diastolic volume as measured, ml or px³/1000."""
        return self.function.edv

    @property
    def esv(self) -> float:
        """End-systolic volume that `ef` leaves of `edv`."""
        return self.edv * (1 - self.ef / 100)

    def row(self) -> dict:
        """The clip as a row of `clips.csv`."""
        rate = self.function.heart_rate
        return {
            "name": self.clip.name,
            "ef": self.ef,
            "ef_low": self.ef_low,
            "ef_high": self.ef_high,
            "n_beats": self.function.n_beats,
            "heart_rate": np.nan if rate is None else rate,
            "edv": self.edv,
            "esv": self.esv,
            "unit": self.function.unit,
            "warnings": " ".join(self.warnings),
        }


def load_networks(
    weights: tuple[str, ...] = WEIGHTS,
    calibration: str | Path | None = SHIPPED,
) -> Networks:
    """Load networks by name or path: one of single frames, and others in any order.

    calibration: file of `Calibration.save`, None for none; "shipped" is the package's own for
    its own networks, and none for others. Raises DataError where networks do not go together.
    """
    found: dict[str, nn.Module] = {}
    sizes = set()
    for given in weights:
        model, card = load_model(given)
        role = "cycle" if model.arguments.get("inputs", 1) > 1 else "alone"
        role = "landmarks" if finds_landmarks(model) else role
        if role in found:
            raise DataError(f"{list(weights)}: two are of one kind ({role}). Give one of each.")
        found[role] = model
        sizes.add(card.get("size", 112))
    if "alone" not in found:
        raise DataError(f"{list(weights)}: a masks network of single frames is needed, as lv is.")
    if len(sizes) > 1:
        raise DataError(f"{list(weights)} see squares of {sorted(sizes)} px; they must agree.")
    names = tuple(Path(name).name.removesuffix(".safetensors") for name in weights)
    if calibration == SHIPPED:
        calibration = weights_folder() / CALIBRATION if tuple(weights) == WEIGHTS else None
    read = None if calibration is None else load_calibration(calibration)
    if read is not None and read.networks != names:
        raise DataError(f"{calibration} is of the networks {read.networks}, not of {names}.")
    models = found["alone"], found.get("cycle"), found.get("landmarks")
    return Networks(*models, sizes.pop(), read, names)


def measure_clip(
    clip: Clip, networks: Networks, device: torch.device | None = None
) -> ClipFunction:
    """Outline the left ventricle in every frame of a clip, and measure how it works."""
    box = Letterbox(*clip.frames.shape[1:], networks.size)
    squares = np.stack([box.image(frame) for frame in clip.frames])
    shown = clip_sector(clip).inside

    def measured(answers: np.ndarray) -> tuple[np.ndarray, HeartFunction]:
        masks = np.stack([source_mask(answer, box) for answer in answers])
        return masks, heart_function(masks, clip.fps, clip.spacing, shown)

    alone = predict(networks.alone, squares, device)
    masks, first = measured(alone)
    beats = [_ends(beat) for beat in first.beats]
    function, both = first, networks.look(squares, alone, beats, device)
    if both is not alone:  # what is the same need not be measured twice
        masks, function = measured(both)
    counted = [_ends(beat) for beat in function.beats if beat.counts]
    doubt, spreads = _doubts(
        networks, squares, masks, box, counted, (first.ef, function.ef), device
    )
    spreads["beats"] = function.ef_spread
    warnings = list(function.warnings) + _doubt_warning(doubt, networks.calibration)
    if networks.calibration is None and counted:
        warnings.append(
            "No interval: these networks have no calibration. `python -m echolib calibrate` "
            "makes one from clips whose ejection fraction is known."
        )
    ends = networks.read(function.ef, spreads)
    return ClipFunction(
        clip, masks, function, function.ef, *ends, spreads, doubt, warnings, networks.names
    )


def measure_pair(
    images: np.ndarray, networks: Networks, device: torch.device | None = None
) -> tuple[np.ndarray, dict[str, float]]:
    """Outline two frames that an expert chose as end-diastole and end-systole.

    images: (2, H, W) uint8, of one clip. Returns masks (2, H, W) bool, and a row: found, ef,
    ef_low, ef_high, doubt and the spreads, as `ClipFunction` has them.
    """
    box = Letterbox(*images.shape[1:], networks.size)
    squares = np.stack([box.image(image) for image in images])
    beat = [(0, 1)]
    alone = predict(networks.alone, squares, device)
    masks, efs = [], []
    for answers in (alone, networks.look(squares, alone, beat, device)):
        masks = np.stack([source_mask(answer, box) for answer in answers])
        efs.append(_ejection([_volume(mask) for mask in masks], beat))
    found = efs[-1]
    doubt, spreads = _doubts(networks, squares, masks, box, beat, tuple(efs), device)
    spreads["beats"] = np.nan
    ef, low, high = networks.read(found, spreads)
    row = {"found": found, "ef": ef, "ef_low": low, "ef_high": high, "doubt": doubt}
    return masks, row | spreads


def within_beats(squares: np.ndarray, beats: list[tuple[int, int]]) -> np.ndarray:
    """(T, 3, S, S): each of the frames (T, S, S) between the ED and the ES frame of its beat.

    beats: indices of their ED and ES frames, at least one; a frame belongs to the nearest.
    """
    frames, ends = np.arange(len(squares)), np.array(beats)
    nearest = np.abs(frames[:, None] - ends.mean(axis=1)).argmin(axis=1)
    diastole, systole = ends[nearest].T
    return np.stack([squares[diastole], squares, squares[systole]], axis=1)


def _ends(beat: Beat) -> tuple[int, int]:
    return beat.end_diastole, beat.end_systole


def _volume(mask: np.ndarray) -> float:
    try:
        return disk_volume(mask_to_tracing(mask))
    except ValueError:  # empty, or too small to have a long axis
        return np.nan


def _ejection(volumes: Sequence[float], beats: list[tuple[int, int]]) -> float:
    """EF in per cent, median of the beats, from volumes by frame; NaN where none is known."""
    pairs = [(volumes[diastole], volumes[systole]) for diastole, systole in beats]
    known = [ejection_fraction(*pair) for pair in pairs if np.isfinite(pair).all()]
    return float(np.median(known)) if known else np.nan


def _doubts(
    networks: Networks,
    squares: np.ndarray,
    masks: np.ndarray,
    box: Letterbox,
    beats: list[tuple[int, int]],
    opinions: tuple[float, ...],
    device: torch.device | None,
) -> tuple[float, dict[str, float]]:
    """1 - Dice of masks and landmarks at the beats' ends, and how far the EF spreads over
    networks (together with the EFs in `opinions`) and over views of test-time augmentation.
    """
    frames = sorted({frame for beat in beats for frame in beat})
    if not frames:
        return np.nan, {"networks": np.nan, "views": np.nan}
    place = {frame: index for index, frame in enumerate(frames)}
    beats = [(place[diastole], place[systole]) for diastole, systole in beats]
    own, doubt = squares[frames], np.nan
    if networks.landmarks is not None:
        others = [source_mask(a, box) for a in predict(networks.landmarks, own, device)]
        pairs = zip(others, masks[frames], strict=True)
        doubt = float(1 - np.mean([dice(one, other) for one, other in pairs]))
        opinions = (*opinions, _ejection([_volume(other) for other in others], beats))
    square = Letterbox(networks.size, networks.size, networks.size)
    views = []
    for seen, back in views_of(own):
        alone = predict(networks.alone, seen, device)
        answers = back(networks.look(seen, alone, beats, device))
        views.append(_ejection([_volume(source_mask(a, square)) for a in answers], beats))
    return doubt, {"networks": _spread(opinions), "views": _spread(views)}


def _spread(fractions: Sequence[float]) -> float:
    """Standard deviation of what is known; NaN of less than two values."""
    known = np.array(fractions, float)
    known = known[np.isfinite(known)]
    return float(known.std()) if len(known) > 1 else np.nan


def _doubt_warning(doubt: float, calibration: Calibration | None) -> list[str]:
    if calibration is None or not doubt > calibration.doubt:
        return []
    return [
        f"Masks and landmarks disagree (Dice {1 - doubt:.2f} at end-diastole and end-systole, "
        "less than in 19 of 20 clips of the calibration): look at the outlines."
    ]
