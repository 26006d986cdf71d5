"""No command passes on who the patient is, from the tags of a DICOM file or a burned-in name."""

import base64
import re
import zlib

import cv2
import numpy as np
import pytest

from echolib.commands.parser import main
from echolib.data import read_clip
from tests.browser.truth import page_data
from tests.data.files import make_dataset, read_rgb, save
from tests.makers import fan

PATIENT = {
    "PatientName": "Hedwig^Musterfrau", "PatientID": "PID4711-77", "PatientBirthDate": "19480229",
    "PatientSex": "F", "PatientAge": "078Y", "OtherPatientNames": "Kunigunde^Beispiel",
    "PatientAddress": "Lindenallee 12", "PatientComments": "comment-8842",
    "InstitutionName": "Klinikum Nirgendwo", "ReferringPhysicianName": "Zappelphilipp^Heinrich",
    "OperatorsName": "Struwwelpeter^Paul", "AccessionNumber": "ACC-90210", "StudyID": "SID-31415",
    "StudyDate": "20191231", "StudyTime": "071253", "StudyDescription": "description-5519",
    "StationName": "STATION-623", "DeviceSerialNumber": "SERIAL-8675309",
}  # fmt: skip
UID = "1.2.826.0.1.3680043.8.498.55555"
SECRETS = [part for value in PATIENT.values() for part in value.split("^") if len(part) > 4] + [UID]
NAME = (slice(2, 10), slice(2, 25))  # where the burned-in name stands, beside the sector
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture
def clip(tmp_path):
    """A DICOM clip with a patient in its tags, and a white bar for a name beside its sector."""
    image, _ = fan()
    frames = np.repeat(image[None], 12, axis=0)
    frames[:, *NAME] = 255
    tags = PATIENT | {"StudyInstanceUID": f"{UID}.1", "SeriesInstanceUID": f"{UID}.2"}
    dataset = make_dataset(frames, "MONOCHROME2", FrameTime=40.0, **tags)
    return save(dataset, tmp_path / "a4c.dcm")


def written(command, clip, weights, out, *options):
    """The files that a command writes."""
    target = out / "page.html" if command == "browse" else out
    words = [*command.split(), clip, "--out", target, "--weights", weights, *options]
    assert main([str(word) for word in words]) == 0
    return [path for path in out.rglob("*") if path.is_file()]


def texts(path):
    """A file's bytes, and those of the files that a page embeds."""
    content = path.read_bytes()
    yield content
    if path.suffix == ".html":
        for part in re.findall(rb"[A-Za-z0-9+/]{60,}={0,2}", content):
            yield base64.b64decode(part[: len(part) // 4 * 4])


@pytest.mark.parametrize("command", ["segment", "function", "browse", "mitral segment"])
def test_nothing_of_the_patient_in_the_tags_is_written_or_said(
    tmp_path, capsys, clip, weights, command
):
    assert all(secret.encode() in clip.read_bytes() for secret in SECRETS)
    files = written(command, clip, weights, tmp_path / "out")
    done = capsys.readouterr()
    everything = [done.out.encode(), done.err.encode()]
    everything += [text for path in files for text in texts(path)]
    for secret in SECRETS:
        for coding in ("utf-8", "utf-16-le"):
            assert not [text for text in everything if secret.encode(coding) in text], secret


@pytest.mark.parametrize("command", ["segment", "mitral segment"])
def test_only_the_segmentation_that_is_asked_for_names_the_patient(
    tmp_path, capsys, clip, weights, command
):
    pytest.importorskip("highdicom")
    files = written(command, clip, weights, tmp_path / "out", "--dicom-seg")
    (segmentation,) = [path for path in files if path.name == "masks.dcm"]
    assert "masks.dcm carries the identifiers of patient" in capsys.readouterr().out
    named = [path for path in files if b"PID4711-77" in path.read_bytes()]
    assert named == [segmentation]
    assert b"Lindenallee" not in segmentation.read_bytes()


def level_of_the_name(path):
    """The brightest pixel where the name stood, in the pictures of a file; None without any."""
    if path.suffix in (".mp4", ".gif"):
        frame = read_rgb(path)[0, ..., 1]
    elif path.suffix == ".html":
        (content,) = page_data(path)["contents"]
        data = zlib.decompress(base64.b64decode(content["parts"][0]))
        height, width = content["shape"][1:]
        frame = np.frombuffer(data[: height * width], np.uint8).reshape(height, width)
    else:
        return None
    return int(cv2.resize(frame, (112, 112))[3:8, 4:20].max())


@pytest.mark.parametrize("command", ["segment", "browse", "mitral segment"])
def test_a_burned_in_name_is_black_in_all_that_is_written(tmp_path, clip, weights, command):
    for name, options, shown in (("plain", [], True), ("blank", ["--blank-text"], False)):
        files = written(command, clip, weights, tmp_path / name, *options)
        levels = [level for path in files if (level := level_of_the_name(path)) is not None]
        assert levels and all((level > 150) == shown for level in levels)
        assert shown or max(levels) < 20  # a video is not stored without loss
    assert read_clip(clip).frames[:, *NAME].min() == 255  # the file stays as it was


@pytest.mark.parametrize("single", [True, False])
def test_function_measures_and_draws_clips_without_the_name(
    tmp_path, monkeypatch, clip, weights, single
):
    seen = []

    def stop(clip, *_):
        seen.append(clip.frames)
        raise ValueError("stop here")

    monkeypatch.setattr(f"echolib.ventricle.{'clip' if single else 'study'}.measure_clip", stop)
    source = clip
    if not single:
        source = tmp_path / "clips"
        source.mkdir()
        clip.rename(source / clip.name)
    command = ["function", source, "--out", tmp_path / "out", "--weights", weights]
    assert main([str(word) for word in [*command, "--blank-text"]]) == 2
    (frames,) = seen
    assert not frames[:, *NAME].any() and frames.any()
