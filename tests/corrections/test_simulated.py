"""Documents made of masks: what a simulated annotator leaves in a folder."""

import numpy as np
import pytest

from echolib.corrections import Folder, mask_document, ventricle_mask
from echolib.data import Clip
from echolib.metrics import dice
from tests.corrections import made

SHAPE = (made.SIZE, made.SIZE)
CLIP = Clip("0X0001", np.zeros((made.COUNT, *SHAPE), np.uint8), made.FPS, None)


def mask(width: float = 16.0, **where: float) -> np.ndarray:
    return ventricle_mask(np.array(made.points(width, **where)), SHAPE)


def test_masks_come_back_from_a_folder(tmp_path):
    masks = {2: mask(18), 9: mask(13)}
    folder = Folder(tmp_path / "corrected", "anna")
    folder.keep(mask_document(CLIP, masks, "anna", masks, "lv"), CLIP)
    kept = folder.masks("0X0001")
    assert list(kept) == [2, 9]
    assert all(dice(kept[frame], masks[frame]) > 0.96 for frame in masks)


def test_only_points_that_are_far_off_are_moved():
    same = mask_document(CLIP, {2: mask()}, proposed={2: mask()})["frames"]["2"]["ventricle"]
    assert same["moved"] == 0 and same["points"] == same["proposed"]
    wider = mask_document(CLIP, {2: mask(20)}, proposed={2: mask(16)})["frames"]["2"]["ventricle"]
    assert 0 < wider["moved"] < 13
    stay = [a == b for a, b in zip(wider["points"], wider["proposed"], strict=True)]
    assert sum(stay) == 13 - wider["moved"]


@pytest.mark.parametrize("proposed", [None, {}, {2: np.zeros(SHAPE, bool)}])
def test_without_a_proposal_all_points_are_drawn(proposed):
    outline = mask_document(CLIP, {2: mask()}, proposed=proposed)["frames"]["2"]["ventricle"]
    assert outline["moved"] == 13 and outline["proposed"] is None


def test_an_empty_mask_is_refused():
    with pytest.raises(ValueError, match="outline|mask|empty"):
        mask_document(CLIP, {2: np.zeros(SHAPE, bool)})
