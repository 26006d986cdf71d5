"""The sector of a picture: found, and cut out."""

import numpy as np
import pytest

from echolib.data import Clip, example_clip
from echolib.data.sector import clip_sector, crop_to_sector, find_sector
from tests.makers import fan


def test_the_sector_is_found_with_its_dark_middle_and_without_marks_beside_it():
    image, inside = fan()
    image[2:8, 95:100] = 255  # a mark of the scanner
    sector = find_sector(image)
    assert (sector.inside != inside).mean() < 0.02 and not sector.inside[4, 97]
    assert sector.apex == pytest.approx((60, 6), abs=2) and sector.reach == pytest.approx(95, abs=3)
    assert sector.depth[90, 60] == pytest.approx(84 / 95, abs=0.03)
    assert abs(sector.angle[90, 60]) < 0.05 < sector.angle[60, 90]


def test_an_image_without_anything_counts_as_all_inside():
    assert find_sector(np.zeros((20, 30), np.uint8)).inside.all()


def test_the_sector_of_a_clip_has_what_single_frames_leave_dark():
    image, inside = fan()
    frames = np.stack([image, image])
    frames[0, 60:] = 0  # the first frame shows the near field only
    assert (clip_sector(Clip("c", frames)).inside != inside).mean() < 0.02


def test_a_clip_is_cut_to_its_sector_without_resampling():
    image, inside = fan()
    frames = np.zeros((3, 300, 400), np.uint8)
    frames[:, 90:202, 150:262] = image
    frames[:, 5:20, 5:60] = 255  # letters
    cut, (rows, columns) = crop_to_sector(Clip("c", frames, 30.0, 0.5))
    assert np.array_equal(cut.frames, frames[:, rows, columns])
    assert (cut.name, cut.fps, cut.spacing) == ("c", 30.0, 0.5)
    y, x = np.nonzero(inside)
    assert rows.start <= 90 + y.min() and rows.stop > 90 + y.max() and rows.start > 60
    assert columns.start <= 150 + x.min() and columns.stop > 150 + x.max()


def test_a_sector_that_fills_the_clip_is_left_as_it_is():
    clip = Clip("c", fan(size=104)[0][None])
    cut, window = crop_to_sector(clip)
    assert cut is clip and window == (slice(0, 104), slice(0, 104))


def test_a_black_clip_is_left_as_it_is():
    clip = Clip("c", np.zeros((2, 30, 40), np.uint8))
    assert crop_to_sector(clip)[0] is clip


def test_the_real_clip_loses_its_margins_only():
    cut, _ = crop_to_sector(example_clip())
    assert cut.frames.shape[1] < 220 and cut.frames.shape[2] < 240
    assert cut.frames.max(axis=0)[:, 0].mean() < 20
