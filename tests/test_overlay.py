"""Overlays: where the line lies, and files that are read back."""

import cv2
import numpy as np
import pytest
from PIL import Image

from echolib.overlay import PREDICTION, REFERENCE, draw_outlines, write_gif, write_video


@pytest.fixture
def clip():
    frames = np.full((9, 60, 81), 90, np.uint8)
    masks = np.zeros(frames.shape, bool)
    for index in range(9):
        masks[index, 20:40, 20 + index : 50 + index] = True
    return frames, masks


def is_coloured(pictures):
    return np.ptp(pictures.astype(int), axis=-1) > 60


def test_the_line_runs_along_the_edge_of_the_mask(clip):
    pictures = draw_outlines(*clip, scale=4)
    assert pictures.shape == (9, 240, 324, 3) and pictures.dtype == np.uint8
    rows, columns = np.nonzero(is_coloured(pictures[3]))
    assert rows.min() == pytest.approx(80, abs=4) and rows.max() == pytest.approx(159, abs=4)
    assert columns.min() == pytest.approx(92, abs=4) and columns.max() == pytest.approx(211, abs=4)
    assert not is_coloured(pictures[3])[110:130, 110:190].any()
    assert (pictures[3][is_coloured(pictures[3])] == PREDICTION).all(axis=-1).any()


def test_small_frames_are_enlarged_and_large_ones_are_not(clip):
    assert draw_outlines(*clip).shape[2] >= 448
    large = np.zeros((1, 500, 600), np.uint8)
    assert draw_outlines(large, large > 0).shape == (1, 500, 600, 3)


def test_a_reference_has_its_own_colour(clip):
    frames, masks = clip
    pictures = draw_outlines(frames, masks, reference=np.roll(masks, 8, axis=1))
    for colour in (PREDICTION, REFERENCE):
        assert (pictures == colour).all(axis=-1).any()


def test_empty_masks_leave_the_frame_grey(clip):
    frames, masks = clip
    assert not is_coloured(draw_outlines(frames, np.zeros_like(masks))).any()


def test_shapes_that_differ_are_refused(clip):
    frames, masks = clip
    with pytest.raises(ValueError, match="must match"):
        draw_outlines(frames, masks[:5])


def test_a_video_has_all_frames_at_its_rate(tmp_path, clip):
    pictures = draw_outlines(*clip, scale=3)
    write_video(tmp_path / "overlay.webm", pictures, fps=25.0)
    capture = cv2.VideoCapture(str(tmp_path / "overlay.webm"))
    frames = []
    while (read := capture.read())[0]:
        frames.append(read[1][..., ::-1])
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(25.0)
    assert len(frames) == 9 and frames[0].shape == (180, 244, 3)
    assert np.abs(frames[4][:, :243].astype(int) - pictures[4]).mean() < 8
    assert sorted(path.name for path in tmp_path.iterdir()) == ["overlay.webm"]


def test_another_ending_is_refused(tmp_path, clip):
    with pytest.raises(ValueError, match="webm"):
        write_video(tmp_path / "overlay.mp4", draw_outlines(*clip), 25.0)


@pytest.mark.parametrize("fps", [12.0, 30.0, 80.0, 200.0])
def test_a_gif_plays_in_real_time(tmp_path, clip, fps):
    write_gif(tmp_path / "overlay.gif", draw_outlines(*clip, scale=2), fps)
    gif = Image.open(tmp_path / "overlay.gif")
    delays = []
    for index in range(gif.n_frames):
        gif.seek(index)
        delays.append(gif.info["duration"])
    assert min(delays) >= 20
    assert sum(delays) / 1000 == pytest.approx(9 / fps, abs=0.05)
    assert gif.size == (162, 120)
