"""The networks that outline the left ventricle in a clip together.

Four networks work together. `lv`, which marks the cavity, and `lv_landmarks`, which finds points of
its wall, see every frame by itself: this shows when the heart fills and empties. `lv_cycle` and
`lv_cycle_landmarks` then get every frame together with the end-diastole and the end-systole of its
beat, and so see how far the walls move. The measured outline comes from the mean of all four, which
errs less on real frames than any. Where `lv_landmarks` disagrees with it, the result is in doubt.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..config import weights_folder
from ..data.clips import Clip
from ..data.sector import clip_sector, sector_box
from ..errors import DataError
from ..masks import PackedMasks
from ..networks.inference import cavity_probabilities, source_mask
from ..networks.models import Encoder, finds_landmarks, load_model
from ..networks.orientation import outline_upright
from .calibration import Calibration, load_calibration
from .disagreement import Outlines
from .function import Beat, HeartFunction, heart_function

WEIGHTS = ("lv", "lv_cycle", "lv_landmarks", "lv_cycle_landmarks")
CALIBRATION = "function.json"  # in the folder of the weights
SHIPPED = "shipped"  # the calibration that comes with the package
# of landmarks in an answer: less than half, because landmarks always outline something, also in a
# frame that shows no ventricle
LANDMARKS_SHARE = 0.45
ROLES = {
    "single": "single frames", "cycle": "the beat", "landmarks": "landmarks",
    "cycle_landmarks": "landmarks in the beat",
}  # fmt: skip


@dataclass(frozen=True)
class Networks:
    """The networks that measure a clip together, and the calibration of their result.

    single: a masks network of single frames. cycle: a masks network that gets each frame together
    with the ED and the ES frame of its beat, or None. landmarks, cycle_landmarks: the same for
    landmarks, the second only beside `cycle`. Without `cycle`, single frames are measured.
    calibration: of exactly these networks, or None. names: of the weights, in this order.
    """

    single: Encoder
    cycle: Encoder | None
    landmarks: Encoder | None
    cycle_landmarks: Encoder | None
    calibration: Calibration | None
    names: tuple[str, ...]

    @property
    def size(self) -> int:
        """Side in px of the square images that the networks take."""
        return self.single.size

    def outline(self, clip: Clip) -> PackedMasks:
        """Masks (T, H, W) of the cavity in a clip, as `measure_clip` measures them."""
        return outline_upright(
            clip, lambda shown: outline_clip(shown, self)[0].masks, self.landmarks
        )

    def models(self) -> list[Encoder]:
        """The networks that there are, in the order of the fields."""
        return [value for value in vars(self).values() if isinstance(value, Encoder)]

    def predict_single(self, squares: np.ndarray) -> np.ndarray:
        """(..., T, S, S) probabilities of frames (..., T, S, S) uint8, each seen by itself."""
        images = squares.reshape(-1, *squares.shape[-2:])
        return _together(self.single, self.landmarks, images).reshape(squares.shape)

    def predict(
        self, squares: np.ndarray, single: np.ndarray, beats: list[tuple[int, int]]
    ) -> np.ndarray:
        """(..., T, S, S) probabilities of frames (..., T, S, S) uint8, each seen in its beat too.

        single: their `predict_single`. beats: ED and ES frame of each beat. The mean of `single`
        and of the networks of the beat; `single` where there are no beats or no such networks.
        """
        if self.cycle is None or not beats:
            return single
        inside = within_beats(squares, beats)
        images = inside.reshape(-1, *inside.shape[-3:])
        cycle = _together(self.cycle, self.cycle_landmarks, images)
        return (single + cycle.reshape(single.shape)) / 2

    def see(self, beats: Sequence[object]) -> bool:
        """Whether frames are outlined once more, within their beats."""
        return len(beats) > 0 and self.cycle is not None

    def interval(self, ef: float, spreads: dict[str, float]) -> tuple[float, float, float]:
        """Corrected EF and its interval, per cent; without calibration the same EF and NaN."""
        if self.calibration is None:
            return ef, np.nan, np.nan
        return self.calibration.interval(ef, spreads)


def load_networks(
    weights: str | Sequence[str] = WEIGHTS, calibration: str | Path | None = SHIPPED
) -> Networks:
    """Load networks by name or path: one of single frames, and optional others, in any order.

    weights: one name or path, or several.
    calibration: file of `Calibration.save`, or None for no calibration. "shipped" is the package's
    calibration if the networks are the package's, else no calibration. Raises DataError where the
    networks do not fit together.
    """
    roles: dict[str, Encoder] = {}
    weights = (weights,) if isinstance(weights, str) else tuple(weights)
    for given in weights:
        network = load_model(given, "ventricle")
        cycle = network.arguments["inputs"] > 1
        role = "cycle" if cycle else "single"
        if finds_landmarks(network):
            role = "cycle_landmarks" if cycle else "landmarks"
        if role in roles:
            raise DataError(f"{list(weights)}: two are networks of {ROLES[role]}. Leave one out.")
        roles[role] = network
    if "single" not in roles:
        raise DataError(f"{list(weights)}: a masks network of single frames is needed, such as lv.")
    if "cycle_landmarks" in roles and "cycle" not in roles:  # landmarks alone outline too much
        raise DataError(f"{list(weights)}: a masks network of the beat is needed too, as lv_cycle.")
    sizes = sorted({network.size for network in roles.values()})
    if len(sizes) > 1:
        raise DataError(f"{list(weights)} take squares of {sizes} px; the sizes must be equal.")
    names = tuple(roles[role].name for role in ROLES if role in roles)
    if calibration == SHIPPED:
        calibration = weights_folder() / CALIBRATION if set(names) == set(WEIGHTS) else None
    loaded = None if calibration is None else load_calibration(calibration)
    if loaded is not None and loaded.networks != names:
        raise DataError(
            f"{calibration} was made for the networks {loaded.networks}, not for {names}. Make one "
            "for these networks with `python -m echolib calibrate`."
        )
    others = roles.get("cycle"), roles.get("landmarks"), roles.get("cycle_landmarks")
    return Networks(roles["single"], *others, loaded, names)


def within_beats(squares: np.ndarray, beats: list[tuple[int, int]]) -> np.ndarray:
    """(..., T, 3, S, S): each of the frames (..., T, S, S) between ED and ES frame of its beat.

    beats: indices of the ED and ES frame of each beat, at least one beat. A frame belongs to the
    nearest beat.
    """
    frames, ends = np.arange(squares.shape[-3]), np.array(beats)
    nearest = np.abs(frames[:, None] - ends.mean(axis=1)).argmin(axis=1)
    diastole, systole = ends[nearest].T
    shown = [squares.take(diastole, -3), squares, squares.take(systole, -3)]
    return np.stack(shown, axis=-3)


def _together(masks: Encoder, landmarks: Encoder | None, images: np.ndarray) -> np.ndarray:
    """Probabilities (N, S, S) of a masks network, and of a landmarks network where there is one."""
    answers = cavity_probabilities(masks, images)
    if landmarks is not None:
        answers *= 1 - LANDMARKS_SHARE
        answers += LANDMARKS_SHARE * cavity_probabilities(landmarks, images)
    return answers


# --- Outlines -------------------------------------------------------------------------------------


def outline_clip(clip: Clip, networks: Networks) -> tuple[Outlines, HeartFunction]:
    """Outline a clip: first its single frames, to find the beats, then each frame in its beat.

    Returns the outlines, and the function by the networks of single frames alone.
    """
    box = sector_box(clip.frames, networks.size)
    squares = np.stack([box.image(frame) for frame in clip.frames])

    def masks(probabilities: np.ndarray) -> PackedMasks:
        return PackedMasks.pack(source_mask(answer, box) for answer in probabilities)

    probabilities = networks.predict_single(squares)
    outlines = Outlines(box, squares, masks(probabilities))
    first = outlined_function(clip, outlines)
    if networks.see(first.beats):
        beats = [ed_es(beat) for beat in first.beats]
        probabilities = networks.predict(squares, probabilities, beats)
        outlines = replace(outlines, masks=masks(probabilities))
    return outlines, first


def outlined_function(clip: Clip, outlines: Outlines) -> HeartFunction:
    """The function of a clip's ventricle, from its outlines."""
    return heart_function(outlines.masks, clip.fps, clip.spacing, clip_sector(clip).inside)


def ed_es(beat: Beat) -> tuple[int, int]:
    """The end-diastolic and the end-systolic frame of a beat."""
    return beat.end_diastole, beat.end_systole
