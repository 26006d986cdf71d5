"""The sector of a picture: found, and cut out."""

import numpy as np
import pytest

from echolib.data import Clip, blank_text, example_clip
from echolib.data.sector import (
    clip_sector,
    crop_to_sector,
    find_sector,
    sector_box,
    sector_window,
)
from tests.makers import fan

LETTERS = (slice(2, 10), slice(2, 25))  # beside the sector


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


def test_a_sector_that_dark_bands_part_is_whole():
    image, inside = fan()
    image[50:60] = 0  # reverberation, or a focal zone that was set too deep
    assert (find_sector(image).inside != inside).mean() < 0.02


def named(frames):
    """The frames with a name burned in beside the sector."""
    frames = frames.copy()
    frames[:, *LETTERS] = 255
    return frames


def test_what_lies_outside_the_sector_is_blackened_and_the_sector_stays():
    image, inside = fan()
    frames = np.stack([image, image])
    frames[0, 60:] = 0  # as in a frame of which the far field is dark
    blanked = blank_text(Clip("c", named(frames), 30.0, 0.5))
    assert not blanked.frames[:, *LETTERS].any() and not blanked.frames[:, ~inside].any()
    assert (blanked.frames != frames).mean() < 0.001
    assert (blanked.fps, blanked.spacing, blanked.frames.dtype) == (30.0, 0.5, np.uint8)


def test_a_sector_that_fills_the_frames_stays_whole():
    frames = np.random.default_rng(0).integers(20, 200, (3, 40, 50), np.uint8)
    assert np.array_equal(blank_text(Clip("c", frames)).frames, frames)


def test_the_letters_of_the_real_clip_go_and_its_sector_stays():
    clip = example_clip()
    blanked = blank_text(clip).frames
    rows, columns = sector_window(clip.frames)
    outside = np.ones(clip.frames.shape[1:], bool)
    outside[rows, columns] = False
    assert clip.frames[:, outside].any() and not blanked[:, outside].any()
    inside = clip_sector(clip).inside
    assert np.array_equal(blanked[:, inside], clip.frames[:, inside])


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


def test_a_dark_band_does_not_cut_a_sector_in_two():
    image, inside = fan()
    screen = np.zeros((300, 400), np.uint8)
    screen[90:202, 150:262] = image
    screen[150:158] = 0  # swallowed by a shadow
    rows, columns = sector_window(screen[None])
    y, x = np.nonzero(inside)
    assert rows.start <= 90 + y.min() and rows.stop > 90 + y.max()
    assert columns.start <= 150 + x.min() and columns.stop > 150 + x.max()


def test_a_dim_frame_is_not_cropped_to_its_bright_half():
    image, _ = fan()
    image[40:48], image[48:] = 0, image[48:] // 2
    assert sector_window(image[None]) == (slice(0, 112), slice(0, 112))


def test_a_box_of_the_sector_leads_there_and_back():
    image, inside = fan()
    frames = np.zeros((1, 240, 320), np.uint8)
    frames[:, 60:172, 100:212] = image
    box = sector_box(frames, 64)
    assert box.image(frames[0]).shape == (64, 64)
    back = box.back(np.ones((64, 64)))
    assert back.shape == (240, 320) and back[box.rows, box.columns].min() > 0.99
    assert back.sum() == pytest.approx(
        (box.rows.stop - box.rows.start) * (box.columns.stop - box.columns.start)
    )
    points = np.array([[150.0, 90.0], [110.5, 160.25]])
    corner = [box.columns.start, box.rows.start]
    there = box.part.points(points - corner)
    assert np.allclose(box.points_back(there), points, atol=1e-3)
