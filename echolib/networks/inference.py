"""Masks for whole clips and scores for whole data sets."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pandas as pd
import torch
from torch import nn
from tqdm.auto import tqdm

from ..config import device as default_device
from ..data.frames import Dataset, FrameSet, LabelledFrame, labelled_frames
from ..data.letterbox import Letterbox
from ..geometry import drawn_rounded, landmarks_to_mask, largest_component
from ..metrics import case_scores
from .models import finds_landmarks

BATCH = 64
THRESHOLD = 0.5


def predict(
    model: nn.Module, images: np.ndarray, device: torch.device | None = None, batch: int = BATCH
) -> np.ndarray:
    """What a model says of square images (N, S, S) uint8; bf16 on a GPU, fp32 on a CPU.

    A model of three inputs takes (N, 3, S, S), see `data.frames.with_neighbours`. Returns the
    cavity's probabilities (N, S, S) float32 of a masks model, or landmarks (N, K, 2) float32 px
    of a landmarks model; `square_masks` makes masks of both.
    """
    if finds_landmarks(model):
        return np.concatenate(list(_answers(model, images, device, batch)))
    return predict_regions(model, images, device, batch, first=1)[:, 0]


def predict_regions(
    model: nn.Module,
    images: np.ndarray,
    device: torch.device | None = None,
    batch: int = BATCH,
    first: int | None = None,
) -> np.ndarray:
    """Probabilities (N, outputs, S, S) float32 of all regions of a masks model.

    images: as for `predict`. first: only that many regions.
    """
    answers = (torch.from_numpy(a[:, :first]) for a in _answers(model, images, device, batch))
    return np.concatenate([answer.sigmoid().numpy() for answer in answers])


def _answers(
    model: nn.Module, images: np.ndarray, device: torch.device | None, batch: int
) -> Iterator[np.ndarray]:
    """A model's answers batch by batch, float32."""
    device = device or default_device()
    model = model.to(device, memory_format=torch.channels_last).eval()
    images = images if images.ndim == 4 else images[:, None]
    inputs = model.arguments.get("inputs", 1)
    if images.shape[1] != inputs:
        raise ValueError(
            f"The model sees {inputs} frames at a time, these images have {images.shape[1]}. See "
            "`data.frames.with_neighbours`."
        )
    half = torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")
    for start in range(0, max(1, len(images)), batch):  # no images: an empty answer
        chunk = torch.from_numpy(np.array(images[start : start + batch])).to(device).float() / 255
        with torch.inference_mode(), half:
            yield model(chunk.contiguous(memory_format=torch.channels_last)).float().cpu().numpy()


def clean_mask(probabilities: np.ndarray) -> np.ndarray:
    """(H, W) bool: above the threshold, the largest piece, its holes filled.

    A left ventricle is one piece without holes; what else a network marks is a mistake.
    """
    return largest_component(probabilities >= THRESHOLD)


def source_mask(answer: np.ndarray, box: Letterbox, rounded: bool = False) -> np.ndarray:
    """(H, W) bool mask of the source frame, from one answer of `predict` about its square.

    answer: (S, S) probabilities, or (K, 2) landmarks, whose outline is always one closed line.
    rounded: draw landmarks as `geometry.polygon_to_mask` does, for a truth that was drawn so.
    """
    if answer.shape[-1] == 2:
        return landmarks_to_mask(box.points_back(answer), (box.height, box.width), rounded)
    return clean_mask(box.back(answer))


def square_masks(answers: np.ndarray, size: int, rounded: bool = False) -> np.ndarray:
    """(N, S, S) bool masks of the squares themselves, from answers of `predict`.

    size: S. rounded: as for `source_mask`; of a FrameSet, its `rounded`.
    """
    box = Letterbox(size, size, size)
    return np.stack([source_mask(answer, box, rounded) for answer in answers])


def segment(
    model: nn.Module, frames: np.ndarray, size: int, device: torch.device | None = None
) -> np.ndarray:
    """Masks (T, H, W) bool of all frames (T, H, W) uint8 of a clip, in the clip's own size."""
    box = Letterbox(*frames.shape[1:], size)
    masks = np.empty(frames.shape, bool)
    for start in range(0, len(frames), BATCH):
        squares = np.stack([box.image(frame) for frame in frames[start : start + BATCH]])
        for index, answer in enumerate(predict(model, squares, device), start):
            masks[index] = source_mask(answer, box)
    return masks


@dataclass(frozen=True)
class Case:
    """A labelled frame, the (H, W) bool mask a model gave it, and the scores of the two."""

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
    model: nn.Module,
    frames: Iterable[LabelledFrame],
    size: int,
    device: torch.device | None = None,
) -> Iterator[Case]:
    """Segment labelled frames and score each in the geometry of its source."""
    iterator = iter(frames)
    while some := list(islice(iterator, BATCH)):
        boxes = [Letterbox(*frame.image.shape, size) for frame in some]
        squares = [box.image(frame.image) for box, frame in zip(boxes, some, strict=True)]
        results = predict(model, np.stack(squares), device)
        for frame, box, answer in zip(some, boxes, results, strict=True):
            known = finds_landmarks(model) and frame.landmarks is not None
            mask = source_mask(answer, box, known and drawn_rounded(frame.landmarks, frame.mask))
            yield Case(frame, mask, case_scores(mask, frame.mask, frame.spacing))


def score(
    model: nn.Module,
    data: Dataset | FrameSet,
    split: str,
    size: int,
    device: torch.device | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Score the model on every labelled frame of a split, in the geometry of the source.

    Returns a row a case: clip, frame, phase, split, patient, source, the scores of
    `metrics.case_scores`, area and area_true in px, unit of the distances.
    """
    cases = predict_cases(model, labelled_frames(data, split), size, device)
    bar = tqdm(cases, desc="evaluate", unit="frame", disable=not progress)
    return pd.DataFrame([case.row() for case in bar])
