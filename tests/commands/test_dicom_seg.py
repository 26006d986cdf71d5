"""`--dicom-seg` of `segment` and `mitral segment`."""

import numpy as np
import pydicom
import pytest

from echolib.commands.parser import main
from echolib.masks import PackedMasks
from echolib.networks import inference
from echolib.networks.models import load_model, weights_digest
from tests.commands.test_shell import fails
from tests.data.files import FRAMES, HEIGHT, WIDTH, make_dataset, make_frames, save, write_video

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture
def clip(tmp_path):
    tags = {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.4"}
    return save(make_dataset(make_frames(), "MONOCHROME2", **tags), tmp_path / "clip.dcm")


@pytest.mark.parametrize("command", ["segment", "mitral segment"])
def test_the_segmentation_holds_the_masks_of_the_clip(
    tmp_path, monkeypatch, clip, weights, command
):
    pytest.importorskip("highdicom")
    masks = np.random.default_rng(0).random((FRAMES, HEIGHT, WIDTH)) > 0.5
    monkeypatch.setattr(inference, "packed_outline", lambda *_: PackedMasks.pack(masks))
    out = tmp_path / "out"
    words = [*command.split(), clip, "--out", out, "--weights", weights, "--dicom-seg"]
    assert main([str(word) for word in words]) == 0
    read = pydicom.dcmread(out / "masks.dcm")
    np.testing.assert_array_equal(read.pixel_array > 0, masks)
    (segment,) = read.SegmentSequence
    assert segment.SegmentLabel.startswith("Left" if command == "segment" else "Mitral")
    (algorithm,) = segment.SegmentationAlgorithmIdentificationSequence
    assert "networks=net," in str(algorithm.AlgorithmParameters)
    assert str(tmp_path) not in str(algorithm.AlgorithmParameters)


def test_several_networks_are_named_in_the_order_of_their_digests(tmp_path, monkeypatch, clip):
    pytest.importorskip("highdicom")
    masks = PackedMasks.pack(np.ones((FRAMES, HEIGHT, WIDTH), bool))
    monkeypatch.setattr(inference, "packed_outline", lambda *_: masks)
    out = tmp_path / "out"
    words = ["segment", str(clip), "--out", str(out), "--weights", "lv_landmarks", "lv"]
    assert main([*words, "--dicom-seg"]) == 0
    (segment,) = pydicom.dcmread(out / "masks.dcm").SegmentSequence
    (algorithm,) = segment.SegmentationAlgorithmIdentificationSequence
    digests = " ".join(weights_digest(load_model(name)) for name in ("lv", "lv_landmarks"))
    assert "lv lv_landmarks" in algorithm.AlgorithmParameters
    assert digests in algorithm.AlgorithmParameters


@pytest.mark.parametrize("command", ["segment", "mitral segment"])
def test_a_video_is_refused_before_anything_is_written(tmp_path, capsys, weights, command):
    clip = write_video(tmp_path / "clip.avi", make_frames())
    words = [*command.split(), clip, "--out", tmp_path / "out", "--weights", weights]
    fails(capsys, [*words, "--dicom-seg"], "clip.avi: expected a DICOM file")
    assert not (tmp_path / "out").exists()


def test_several_clips_are_refused(tmp_path, capsys, clip, weights):
    folder, pickled = tmp_path / "clips", tmp_path / "train.pkl"
    folder.mkdir()
    clip.rename(folder / clip.name)
    pickled.touch()
    refused = ("segment", folder), ("mitral segment", pickled), ("mitral segment", folder)
    for command, source in refused:
        words = [*command.split(), source, "--out", tmp_path / "out", "--weights", weights]
        fails(capsys, [*words, "--dicom-seg"], "holds several clips, but --dicom-seg takes one")
