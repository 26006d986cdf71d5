"""Masks that exist already, as the document of somebody who drew them by hand.

Simulated annotators are made of it, and masks from elsewhere enter a folder of corrections.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..arrays import read_npz
from ..data.clips import Clip
from ..data.nifti import SUFFIXES, read_nifti
from ..data.problems import Problem, problem_summary
from ..data.video import missing_file
from ..errors import DataError
from .document import FORMAT, check_document
from .folder import Folder
from .outline import outline_points, ventricle_tracing

LABELS_SHOWN = 10  # in a message
TOLERANCE = 1.0  # px: a point of a proposal that lies closer to the mask's own point stays


def mask_document(
    clip: Clip,
    masks: Mapping[int, np.ndarray],
    annotator: str = "",
    proposed: Mapping[int, np.ndarray] | None = None,
    network: str | None = None,
    version: str | None = None,
) -> dict[str, Any]:
    """The document of an annotator whose outlines are these masks.

    masks: (H, W) bool by frame. proposed: masks by frame that the annotator began with; their
    points stay where they lie within `TOLERANCE` px of the annotator's, and `moved` counts the
    others. network, version: who proposed them. Raises ValueError for a mask that is too small for
    an outline, and DataError as `check_document` does.
    """
    proposed = proposed or {}
    count, height, width = clip.frames.shape
    frames = {
        str(frame): {
            "answer": "",
            "seconds": 0.0,
            "ventricle": _outline(mask, proposed.get(frame)),
            "leaflets": [],
        }
        for frame, mask in masks.items()
    }
    document = {
        "format": FORMAT, "clip": clip.name, "height": height, "width": width,
        "frame_count": count, "fps": clip.fps, "annotator": annotator, "answer": "", "ed": None,
        "es": None, "network": network, "version": version, "seconds": 0.0, "frames": frames,
    }  # fmt: skip
    return check_document(document, "The annotator's masks")


def _outline(mask: np.ndarray, proposed: np.ndarray | None) -> dict[str, Any]:
    """The outline of a ventricle as in a document, from its mask and the one that was proposed."""
    true, apex = outline_points(mask)
    try:
        start = None if proposed is None else outline_points(proposed)[0]
    except ValueError:  # nothing was proposed there, or too little
        start = None
    points, moved = true, len(true)
    if start is not None:
        far = np.hypot(*(true - start).T) > TOLERANCE
        mixed = np.where(far[:, None], true, start)
        if _is_sound(mixed, apex):
            points, moved = mixed, int(far.sum())
    return {
        "points": points.tolist(),
        "apex": apex,
        "made": "drawn",
        "moved": moved,
        "proposed": None if start is None else start.tolist(),
    }


def _is_sound(points: np.ndarray, apex: int) -> bool:
    """Whether an outline crosses nowhere and has a long axis."""
    rounded = tuple((round(float(x), 2), round(float(y), 2)) for x, y in points)
    try:
        ventricle_tracing(rounded, apex)
    except ValueError:
        return False
    return True


def read_masks(path: str | Path, label: int | None = None) -> np.ndarray:
    """Read masks (T, H, W) bool from a NIfTI file, or from the `masks.npz` that `segment` writes.

    label: that of the ventricle where a NIfTI file has several, 1 or more. A file that a viewer
    stored turned or mirrored is turned back, see `data.nifti.read_nifti`. Raises DataError for a
    file that is missing or of another kind, for values that are no labels, and where it is not
    clear which label is meant.
    """
    path = Path(path)
    if not path.is_file():
        raise missing_file(path)
    if path.name.lower().endswith(SUFFIXES):
        labels, *_ = read_nifti(path)
    else:
        labels = read_npz(path, ["masks"])["masks"]
    if labels.ndim == 2:  # one frame
        labels = labels[None]
    if labels.dtype.kind == "f" and (labels != np.rint(labels)).any():
        raise DataError(
            f"{path} has values between whole numbers, as probabilities do: expected labels. Save "
            "them as labels, where 0 is the background."
        )
    found = [int(value) for value in np.unique(labels) if value]
    shown = f"{found[:LABELS_SHOWN]}{' and more' if len(found) > LABELS_SHOWN else ''}"
    if label is None and len(found) > 1:
        raise DataError(f"{path} has the labels {shown}. Name that of the ventricle by --label.")
    if label is not None and label not in found:
        raise DataError(f"{path} has the labels {shown}: expected {label} among them.")
    return labels > 0 if label is None else labels == label


def drawn_masks(
    clip: Clip, masks: np.ndarray, before: np.ndarray | None = None
) -> tuple[dict[int, np.ndarray], list[Problem]]:
    """The masks (H, W) of a clip that a person drew, by frame, and a problem for each without one.

    masks: (T, H, W) bool, one per frame of the clip. before: those that were corrected; a frame
    counts as drawn where its mask is another one now. Without them, it counts where it has a mask.
    A mask that is empty, or too small for an outline, is a problem. Raises DataError for masks of
    another shape than the clip, and where nothing was drawn.
    """
    for array in (masks, masks if before is None else before):
        if array.shape != clip.frames.shape:
            raise DataError(
                f"{clip.name} has (frames, height, width) {clip.frames.shape}, but its masks have "
                f"{array.shape}. Save all frames, in the size of the clip."
            )
    changed = masks.any((1, 2)) if before is None else (masks != before).any((1, 2))
    problems, drawn = [], {}
    for frame in np.flatnonzero(changed):
        try:
            outline_points(masks[frame])
        except ValueError as error:
            reason = f"frame {frame}: its mask has no outline: {error}"
            problems.append(Problem(clip.name, None, reason))
        else:
            drawn[int(frame)] = masks[frame]
    if not drawn:
        found = f" ({problem_summary(problems)})" if problems else ""
        raise DataError(f"{clip.name}: no frame has a new mask that has an outline{found}.")
    return drawn, problems


def keep_masks(
    folder: Folder,
    clip: Clip,
    drawn: Mapping[int, np.ndarray],
    before: np.ndarray | None = None,
    **origin: Any,
) -> None:
    """Keep masks as what the folder's annotator drew; other frames kept before stay.

    drawn: of `drawn_masks`. before: (T, H, W) bool, the masks that were corrected. origin: the
    clip's file and more, as for `Folder.keep`, by default the clip itself. Raises DataError as
    `Folder.keep` does.
    """
    proposed = {} if before is None else {frame: before[frame] for frame in drawn}
    document = mask_document(clip, drawn, folder.annotator, proposed)
    if earlier := folder.document(clip.name):
        document = earlier | {"answer": "", "frames": earlier["frames"] | document["frames"]}
    folder.keep(document, **({"source": clip} | origin))
