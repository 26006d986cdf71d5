"""Masks that exist already, as the document of somebody who drew them by hand.

Simulated annotators are made of it, and masks from elsewhere enter a folder of corrections.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..data.clips import Clip
from .document import FORMAT, check_document
from .outline import outline_points, ventricle_tracing

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
