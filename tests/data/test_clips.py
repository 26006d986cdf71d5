"""Clips: what a Clip refuses, how the kind of a file is told, and the real clip of the course."""

import errno
import io
import os
import shutil
import warnings

import cv2
import numpy as np
import pydicom
import pytest
from pydicom.examples import get_path

from echolib.data.clips import Clip, example_clip, read_clip
from echolib.data.dicom.reader import read_dicom
from echolib.data.video import read_video
from echolib.errors import DataError

from .files import FRAMES, make_dataset, make_frames, save, write_video


def expect_error(path, *words):
    """The error of a file that cannot be read must name the file, and these words."""
    with pytest.raises(DataError) as caught:
        read_clip(path)
    message = str(caught.value)
    assert str(path) in message
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    "fields",
    [
        {"frames": np.zeros((2, 3, 4), np.float32)},
        {"frames": np.zeros((3, 4), np.uint8)},
        {"frames": [[[0]]]},
        {"frames": np.zeros((0, 3, 4), np.uint8)},
        {"frames": np.zeros((2, 3, 4), np.uint8), "fps": 0.0},
        {"frames": np.zeros((2, 3, 4), np.uint8), "spacing": float("nan")},
    ],
)
def test_clip_refuses_wrong_fields(fields):
    with pytest.raises(DataError, match="'bad'.*expected.*found"):
        Clip("bad", **fields)


def test_the_content_decides_the_kind_not_the_suffix(tmp_path):
    avi = write_video(tmp_path / "clip.avi", make_frames())
    renamed = shutil.copy(avi, tmp_path / "clip.dcm")
    np.testing.assert_array_equal(read_clip(renamed).frames, read_clip(avi).frames)
    dicom = save(make_dataset(make_frames(), "MONOCHROME2"), tmp_path / "dicom.avi")
    assert len(read_clip(dicom).frames) == FRAMES


def test_files_that_are_not_clips(tmp_path):
    expect_error(tmp_path / "absent.avi", "no such file")
    expect_error(tmp_path, "found a folder")
    with pytest.raises(DataError, match="no such file"):
        read_video(tmp_path / "absent.avi")
    (tmp_path / "empty.avi").touch()
    expect_error(tmp_path / "empty.avi", "0 bytes")
    (tmp_path / "text.avi").write_text("These are not the frames you are looking for.")
    expect_error(tmp_path / "text.avi", "expected AVI", "These are", "ffmpeg")
    cv2.imwrite(str(tmp_path / "still.png"), make_frames()[0])
    expect_error(tmp_path / "still.png", "a single picture")
    playlist = tmp_path / "list.m3u8"
    playlist.write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/clip.ts\n" * 20)
    expect_error(playlist, "expected AVI")  # FFmpeg would ask the network


def test_the_letters_burned_into_the_example_clip_are_its_name_field():
    """As notebook 01 says of them."""
    header = pydicom.dcmread(get_path("ybr_color"), stop_before_pixels=True)
    assert str(header.PatientName) == "PLA"


def test_the_example_clip_and_the_ruler_burned_into_it():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clip = example_clip()
    assert clip.frames.shape == (30, 240, 320) and clip.fps == 30
    ruler = clip.frames[0][:, 296:301].max(axis=1)
    marks = [
        int(row)
        for row in np.flatnonzero(ruler > 85)
        if ruler[row] == ruler[row - 2 : row + 3].max()
    ]
    five_centimetres = (marks[-1] - marks[0]) / 2
    assert clip.spacing == pytest.approx(50 / five_centimetres, rel=0.02)
    assert clip.frames[:, 14:25, 186:194].max() < 20  # the turquoise probe marker is gone


def written(folder, kind):
    if kind == "avi":
        return write_video(folder / "clip.avi", make_frames())
    return save(make_dataset(make_frames(), "MONOCHROME2"), folder / "clip.dcm")


class Failing(io.BytesIO):
    """A file of which only the beginning can be read."""

    def read(self, size=-1):
        if self.tell() >= 200:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().read(size)


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\x1f\x8b\x08\x00", "gzip.*folder of CAMUS"),
        (b"\x89PNG\r\n", "a single picture"),
        (b"\x80\x04\x95", "a pickle.*`mitral` reads"),
        (b"PK\x03\x04", "ZIP file.*Unpack it"),
        (b"\x93NUMPY", r"array.*echolib\.Clip"),
        (b"anything", r"starts with b'anything.*ffmpeg -i file\.avi"),
    ],
)
def test_a_file_that_is_no_clip_is_called_what_it_is(tmp_path, head, kind):
    (tmp_path / "file.avi").write_bytes(head + bytes(400))
    with pytest.raises(DataError, match=kind) as caught:
        read_clip(tmp_path / "file.avi")
    assert ("ffmpeg" in str(caught.value)) == (head == b"anything")


@pytest.mark.parametrize("kind", ["avi", "dcm"])
@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE])
def test_a_file_that_cannot_be_opened_is_an_error_of_the_data(tmp_path, monkeypatch, kind, number):
    path = written(tmp_path, kind)

    def refuse(self, *_):
        raise OSError(number, os.strerror(number), str(self))

    monkeypatch.setattr(type(path), "open", refuse)
    for read in (read_clip, read_video, read_dicom):
        with pytest.raises(
            DataError, match=f"cannot be read .{os.strerror(number)}.*Check its"
        ) as caught:
            read(path)
        message = str(caught.value)
        assert message.count(str(path)) == 1 and "Errno" not in message


@pytest.mark.parametrize("kind", ["avi", "dcm"])
def test_a_file_that_cannot_be_read_to_its_end_is_an_error_of_the_data(tmp_path, monkeypatch, kind):
    path = written(tmp_path, kind)
    content = path.read_bytes()
    monkeypatch.setattr(type(path), "open", lambda *_: Failing(content))
    expect_error(path, "cannot be read", "Input/output error")


def test_too_many_open_files_are_no_error_of_the_data(tmp_path, monkeypatch):
    path = written(tmp_path, "avi")

    def refuse(self, *_):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), str(self))

    monkeypatch.setattr(type(path), "open", refuse)
    with pytest.raises(OSError, match="Too many open files"):
        read_clip(path)
