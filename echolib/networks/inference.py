"""From frames to masks and landmarks by a network, and scores of whole data sets."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, islice
from pathlib import Path
from typing import Protocol, runtime_checkable

import cv2
import numpy as np
import pandas as pd
import torch
from tqdm.auto import tqdm

from ..data.clips import Clip
from ..data.frames import Dataset, FrameSet, LabelledFrame, labelled_frames, with_neighbours
from ..data.letterbox import Letterbox
from ..data.problems import Problem
from ..data.sector import SectorBox, sector_box
from ..errors import DataError
from ..geometry import drawn_rounded, largest_component, polygon_to_mask
from ..masks import PackedMasks
from ..metrics import case_scores
from .models import SIZE, Encoder, finds_landmarks
from .orientation import find_orientation, outline_upright
from .run import batch_size, raw_answers

THRESHOLD = 0.5
EDGE = 2.0  # px of a square of 112 px: standard deviation of the blur of an outline of landmarks


@runtime_checkable
class Outliner(Protocol):
    """Several networks that outline a clip together, such as `ventricle.networks.Networks`."""

    def outline(self, clip: Clip) -> PackedMasks:
        """Masks (T, H, W) of a clip's frames, in the frames' own size."""


def outline(network: Encoder | Outliner, source: Clip | np.ndarray) -> np.ndarray:
    """Outline the frames of a clip, or a single frame, with one network or several.

    network: a network of `load_model`, which sees each frame by itself; `load_networks()`, which
    also sees how the walls move over the beat; or `load_finder()` for the mitral leaflets.
    source: a Clip, frames (T, H, W) uint8, or a frame (H, W) uint8. Returns bool masks of the
    shape of the frames. Networks see only the sector: letters, bars and margins around it are
    cropped, and the masks are put back in their place. A clip that is shown upside down or mirrored
    is turned for the networks, with a warning, see `orientation`; the masks lie on the frames as
    they were given. Landmarks networks also warn of what may be another view. Raises ValueError for
    a single network that needs neighbouring frames, and DataError for a name in place of a network
    or of a clip.
    """
    if isinstance(network, (str, Path)):
        raise DataError(
            f"outline: expected a network, found {str(network)!r}. Load it by `load_model` or, of "
            "the package's that work together, by `load_networks()`."
        )
    if isinstance(source, (str, Path)):
        raise DataError(
            f"outline: expected a clip or frames, found {str(source)!r}. Read it by `read_clip`."
        )
    if not isinstance(source, Clip):
        frames = np.asarray(source)
        if frames.ndim == 3 and frames.shape[-1] in (3, 4):
            raise DataError(
                f"Expected grey frames (T, H, W) or a frame (H, W), found shape {frames.shape}, "
                "which looks like one frame in colour. Convert it to grey first."
            )
        source = Clip("frames", frames[None] if frames.ndim == 2 else frames)
        if frames.ndim == 2:
            return outline(network, source)[0]
    return np.asarray(packed_outline(network, source))


def packed_outline(network: Encoder | Outliner, clip: Clip) -> PackedMasks:
    """Outline the frames of a clip as `outline` does, in an eighth of the memory."""
    if isinstance(network, Outliner):
        return network.outline(clip)
    return outline_upright(clip, lambda shown: _clip_masks(network, shown), network)


def outline_landmarks(network: Encoder, clip: Clip) -> np.ndarray:
    """Landmarks (T, K, 2) float32 px of a clip's frames, from a landmarks network.

    A clip that is not in the usual display is turned for the network, as for `outline`. Raises
    ValueError for a masks network.
    """
    if not finds_landmarks(network):
        raise ValueError(
            f"{network.name} finds masks, not landmarks. Use `outline`, or a landmarks network "
            "such as lv_landmarks."
        )
    orientation = find_orientation(clip, network)
    orientation.warn(clip)
    frames = orientation.turn(clip.frames)
    box = sector_box(frames, network.size)
    points = box.points_back(predict(network, np.stack([box.image(frame) for frame in frames])))
    return orientation.turn_points(points, *frames.shape[1:])


def _clip_masks(network: Encoder, clip: Clip) -> PackedMasks:
    boxes = [sector_box(clip.frames, network.size)] * len(clip.frames)
    return PackedMasks.pack(_masks(network, clip.frames, boxes))


def _masks(
    network: Encoder,
    frames: Sequence[np.ndarray] | np.ndarray,
    boxes: Sequence[SectorBox],
    rounded: Sequence[bool] | None = None,
) -> Iterator[np.ndarray]:
    """Yield a mask (H, W) bool per frame. rounded: as for `source_mask`, per frame.

    frames: each (H, W) uint8, or (inputs, H, W) for a network of several inputs.
    """
    together = batch_size()
    for start in range(0, len(frames), together):
        batch = slice(start, start + together)
        squares = [
            _square(frame, box) for frame, box in zip(frames[batch], boxes[batch], strict=True)
        ]
        for index, answer in enumerate(predict(network, np.stack(squares)), start):
            yield source_mask(answer, boxes[index], rounded is not None and rounded[index])


def _square(frame: np.ndarray, box: SectorBox) -> np.ndarray:
    """The square of a frame (H, W), or the squares of several (n, H, W)."""
    return box.image(frame) if frame.ndim == 2 else np.stack([box.image(one) for one in frame])


# --- Answers about squares ------------------------------------------------------------------------


def predict(network: Encoder, images: np.ndarray, batch: int | None = None) -> np.ndarray:
    """Answers of a network about square images (N, S, S) uint8.

    A network of three inputs takes (N, 3, S, S), see `FrameSet.inputs`. Returns the cavity's
    probabilities (N, S, S) float32 of a masks network, or landmarks (N, K, 2) float32 px of a
    landmarks network; `square_masks` turns both into masks. batch: as for `run.raw_answers`. The
    network runs on `config.device()`, in bfloat16 if `config.bf16_pays`.
    """
    if finds_landmarks(network):
        return np.concatenate(list(raw_answers(network, images, batch)))
    return predict_regions(network, images, batch, first=1)[:, 0]


def predict_regions(
    network: Encoder, images: np.ndarray, batch: int | None = None, first: int | None = None
) -> np.ndarray:
    """Probabilities (N, outputs, S, S) float32 of all regions of a masks network.

    images, batch: as for `predict`. first: the number of regions to return, default all.
    """
    answers = (torch.from_numpy(a[:, :first]) for a in raw_answers(network, images, batch))
    return np.concatenate([answer.sigmoid().numpy() for answer in answers])


def with_regions(frames: FrameSet, network: Encoder) -> FrameSet:
    """Frames that label the cavity only, with all regions that a network learns beside it.

    Beside the labelled cavity, regions are those that the network marks itself. Landmarks are left
    out.
    """
    if network.arguments["outputs"] == 1:
        return replace(frames, regions=None, landmarks=None)
    answers = predict_regions(network, with_neighbours(frames, network.arguments["inputs"]))
    regions = np.zeros(frames.masks.shape, np.uint8)
    for channel in range(answers.shape[1] - 1, 0, -1):  # the wall goes over the atrium
        regions[answers[:, channel] >= THRESHOLD] = channel + 1
    regions[np.asarray(frames.masks)] = 1
    return replace(frames, regions=regions, landmarks=None)


def cavity_probabilities(network: Encoder, images: np.ndarray) -> np.ndarray:
    """The cavity's probabilities (N, S, S) float32, from a network of either kind.

    images: as for `predict`. The outline of landmarks is filled and blurred by `EDGE`, so that
    it can be averaged with the answer of a masks network, whose edges are as soft.
    """
    answers = predict(network, images)
    if not finds_landmarks(network):
        return answers
    size = images.shape[-1]
    filled = square_masks(answers, size).astype(np.float32)
    sigma = EDGE * size / SIZE
    return np.stack(
        [cv2.GaussianBlur(f, (0, 0), sigma, borderType=cv2.BORDER_REFLECT) for f in filled]
    )


def clean_mask(probabilities: np.ndarray) -> np.ndarray:
    """(H, W) bool: the largest piece of the pixels above the threshold, with its holes filled.

    A left ventricle is one piece without holes; anything else that a network marks is a mistake.
    """
    return largest_component(probabilities >= THRESHOLD)


def source_mask(
    answer: np.ndarray, box: SectorBox | Letterbox, rounded: bool = False
) -> np.ndarray:
    """(H, W) bool mask of the source frame, from one answer of `predict` about its square.

    answer: (S, S) probabilities, or (K, 2) landmarks, whose outline is always one closed line.
    rounded: round landmarks to whole px, as for true masks that were drawn from rounded landmarks.
    """
    if answer.shape[-1] == 2:
        return polygon_to_mask(box.points_back(answer), (box.height, box.width), rounded)
    return clean_mask(box.back(answer))


def source_masks(
    answers: np.ndarray, box: SectorBox | Letterbox, rounded: bool = False
) -> np.ndarray:
    """Masks (n, H, W) bool of frames that share a box, from n answers, see `source_mask`."""
    return np.stack([source_mask(answer, box, rounded) for answer in answers])


def square_masks(answers: np.ndarray, size: int, rounded: bool = False) -> np.ndarray:
    """(N, S, S) bool masks of the squares themselves, from answers of `predict`.

    size: S. rounded: as for `source_mask`; `FrameSet.rounded` is the value for a set of frames.
    """
    return source_masks(answers, Letterbox(size, size, size), rounded)


# --- Scores ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A labelled frame, the (H, W) bool mask that a network gave it, and the scores of the two."""

    frame: LabelledFrame
    mask: np.ndarray
    scores: dict[str, float]

    def row(self) -> dict:
        """The case as a row of a table, without pixels."""
        names = ("clip", "frame", "phase", "split", "patient", "source")
        return {
            **{name: getattr(self.frame, name) for name in names},
            **self.scores,
            "area": int(self.mask.sum()),
            "area_true": int(self.frame.mask.sum()),
            "unit": "px" if self.frame.spacing is None else "mm",
        }


def predict_cases(
    network: Encoder, frames: Iterable[LabelledFrame], problems: list[Problem] | None = None
) -> Iterator[Case]:
    """Outline labelled frames, each by itself, and score them in the geometry of their source.

    A network that sees the beat gets each frame between the ED and the ES frame of its clip, whose
    frames must follow each other. Frames of clips without them are left out. problems: list to
    which those clips are added.
    """
    shown = ((frame, frame.image) for frame in frames)
    return _cases(network, within_beat(frames, problems) if sees_beat(network) else shown)


def sees_beat(network: Encoder) -> bool:
    """Whether a network sees a frame together with others of its clip, as `lv_cycle` does."""
    return network.arguments.get("inputs", 1) > 1


def within_beat(
    frames: Iterable[LabelledFrame], problems: list[Problem] | None = None
) -> Iterator[tuple[LabelledFrame, np.ndarray]]:
    """Yield labelled frames with what a network of the beat sees: ED, the frame, ES.

    They are (3, H, W) uint8, as `frames.within_cycle` has them. frames, problems: as for
    `predict_cases`.
    """
    for clip, group in groupby(frames, key=lambda frame: frame.clip):
        members = list(group)
        ends = {frame.phase: frame.image for frame in reversed(members)}
        if {"ED", "ES"} <= ends.keys() and len({frame.image.shape for frame in members}) == 1:
            yield from ((f, np.stack([ends["ED"], f.image, ends["ES"]])) for f in members)
        elif problems is not None:
            reason = "no labelled ED and ES frame of one size, which a network of the beat sees"
            problems.append(Problem(clip, None, reason))


def _cases(network: Encoder, shown: Iterable[tuple[LabelledFrame, np.ndarray]]) -> Iterator[Case]:
    """Outline and score frames. shown: with each, what the network sees, as `_masks` takes it."""
    iterator = iter(shown)
    while batch := list(islice(iterator, batch_size())):
        frames, images = [frame for frame, _ in batch], [image for _, image in batch]
        boxes = [sector_box(image.reshape(-1, *image.shape[-2:]), network.size) for image in images]
        rounded = [
            finds_landmarks(network)
            and frame.landmarks is not None
            and drawn_rounded(frame.landmarks, frame.mask)
            for frame in frames
        ]
        masks = _masks(network, images, boxes, rounded)
        for frame, mask in zip(frames, masks, strict=True):
            yield Case(frame, mask, case_scores(mask, frame.mask, frame.spacing))


def score(
    network: Encoder,
    data: Dataset | FrameSet,
    split: str = "test",
    progress: bool = True,
    problems: list[Problem] | None = None,
) -> pd.DataFrame:
    """Score a network on every labelled frame of a split, in the geometry of the source.

    Returns one row per case: clip, frame, phase, split, patient, source, the scores of
    `metrics.case_scores`, area and area_true in px, unit of the distances. problems: list to which
    the problems of the clips are added. A network that sees the beat is scored on clips that have a
    labelled ED and ES frame, see `predict_cases`, or on packed frames with neighbours.
    """
    if sees_beat(network) and isinstance(data, FrameSet) and data.neighbours is not None:
        chosen = data.split(split)
        images = with_neighbours(chosen, network.arguments["inputs"])
        cases = _cases(network, ((chosen.frame(i), shown) for i, shown in enumerate(images)))
    else:
        cases = predict_cases(network, labelled_frames(data, split, problems), problems)
    bar = tqdm(cases, desc="evaluate", unit="frame", disable=not progress)
    return pd.DataFrame([case.row() for case in bar])
