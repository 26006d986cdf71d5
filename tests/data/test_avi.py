"""Clips that are written as AVI."""

import cv2
import numpy as np
import pytest

from echolib.data.avi import is_avi, write_avi
from echolib.data.video import read_video
from echolib.errors import DataError


@pytest.mark.parametrize("size", [(112, 112), (113, 97), (7, 5), (1, 1)])
def test_frames_of_any_size_come_back(tmp_path, size):
    frames = np.random.default_rng(0).integers(0, 256, (5, *size)).astype(np.uint8)
    frames = np.stack([cv2.GaussianBlur(frame, (0, 0), 2) for frame in frames])
    path = tmp_path / "clip.avi"
    write_avi(path, frames, 40.0)
    video = read_video(path)
    assert video.frames.shape == frames.shape and video.fps == 40.0
    assert np.abs(video.frames.astype(int) - frames).mean() < 3
    assert is_avi(path)


def test_an_unknown_rate_is_thirty_in_the_header(tmp_path):
    write_avi(tmp_path / "clip.avi", np.zeros((3, 16, 16), np.uint8))
    assert read_video(tmp_path / "clip.avi").fps == 30.0


def test_frames_that_cannot_be_read_back_are_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr("echolib.data.avi.read_video", lambda path: read_video(path, stop=2))
    with pytest.raises(DataError, match=r"expected \(3, 16, 16\).*Is the disk full"):
        write_avi(tmp_path / "clip.avi", np.zeros((3, 16, 16), np.uint8))


def test_no_folder_to_write_in_is_an_error_with_its_reason(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_avi(tmp_path / "none" / "clip.avi", np.zeros((3, 16, 16), np.uint8))
