"""Commands never write over their input, and leave nothing of an earlier clip beside results."""

import os

import numpy as np
import pandas as pd
import pytest

from echolib.commands.parser import main
from echolib.figures.film import write_video
from echolib.parts import Parts
from tests.commands.test_shell import fails
from tests.makers import EchoNetFolder, frame_set, write_avi

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
FRAMES = np.random.default_rng(0).integers(0, 200, (4, 48, 48, 3), np.uint8)


@pytest.fixture
def recordings(tmp_path):
    folder = tmp_path / "recordings"
    for name in ("a.avi", "b.avi"):
        write_avi(folder / name, 6, (48, 48))
    return folder


def run(*words) -> int:
    return main([str(word) for word in words])


def files(folder) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


# --- The input is not written over ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "name"),
    [("function", "echo.mp4"), ("segment", "overlay.mp4"), ("segment", "overlay.gif"),
     ("segment", "masks.dcm"), ("mitral segment", "masks.dcm")],
)  # fmt: skip
def test_a_clip_where_a_result_would_lie_is_refused(tmp_path, monkeypatch, capsys, command, name):
    write_video(tmp_path / "clip.mp4", FRAMES, 30)
    clip = (tmp_path / "clip.mp4").rename(tmp_path / name)
    before = clip.read_bytes()
    monkeypatch.chdir(tmp_path)
    for given in (name, clip):
        for force in ([], ["--force"]):
            words = [*command.split(), given, "--out", ".", *force]
            fails(capsys, words, f"{name} is the input itself", "another --out")
    assert clip.read_bytes() == before and files(tmp_path) == {name}


def test_a_page_and_a_submission_are_not_written_over_their_input(tmp_path, capsys, recordings):
    clip = recordings / "a.avi"
    for words in (["browse", clip], ["mitral", "submit", clip]):
        fails(capsys, [*words, "--out", clip, "--force"], "a.avi is the input itself")


@pytest.mark.parametrize(
    "command", ["function", "segment", "robustness", "train", "mitral train", "browse", "adapt"]
)
def test_the_folder_of_the_data_is_no_folder_for_results(tmp_path, capsys, recordings, command):
    (tmp_path / "link").symlink_to(recordings)
    for out in (recordings, tmp_path / "link"):
        words = [*command.split(), recordings, "--out", out]
        fails(capsys, words, f"{out} is the input itself", "another --out")
    assert files(recordings) == {"a.avi", "b.avi"}


@pytest.mark.parametrize(
    ("words", "harmed"),
    [
        ("queue {study} --out {study}/FileList.csv", "FileList.csv"),
        ("evaluate {study} --json {study}/FileList.json", "FileList.csv"),
        ("browse {study} --out {study}/VolumeTracings.csv", "VolumeTracings.csv"),
        ("calibrate {study} --out {study}/study.json", "study.json"),
    ],
)
def test_no_file_of_the_data_is_written_over(tmp_path, capsys, words, harmed):
    study = EchoNetFolder(tmp_path / "study").write()
    (study / "study.json").write_text("{}")
    before = {name: (study / name).read_bytes() for name in files(study)}
    command = [word.format(study=study) for word in words.split()]
    fails(capsys, [*command, "--force"], f"{harmed} lies in the folder of the data")
    assert {name: (study / name).read_bytes() for name in files(study)} == before


def test_calibrate_does_not_measure_into_its_study(tmp_path, capsys):
    study = EchoNetFolder(tmp_path / "study").write()
    before = files(study)
    words = ["calibrate", study, "--out", tmp_path / "study.json"]
    fails(capsys, words, f"{study} is the input itself")
    also = EchoNetFolder(tmp_path / "x-also").write()
    words = ["calibrate", study, "--also", also, "--out", tmp_path / "x.json"]
    fails(capsys, words, f"{also} is the input itself")
    assert files(study) == before


def test_results_given_as_data_are_called_results(tmp_path, capsys, recordings, weights):
    out, results = tmp_path / "out", tmp_path / "results"
    assert run("function", recordings, "--out", results, "--weights", weights) == 0
    for word in ("function", "segment", "browse"):
        message = fails(capsys, [word, results, "--out", out], "holds results of `function`")
        assert "emove the folder" not in message
    (results / "clips.csv").rename(recordings / "clips.csv")
    (results / "beats.csv").rename(recordings / "beats.csv")
    message = fails(capsys, ["segment", recordings, "--out", out], "holds results of `function`")
    assert "move the recordings or the results" in message


def test_recordings_beside_some_table_of_frames_are_clips(tmp_path, recordings, weights):
    (recordings / "frames.csv").write_text("clip,frame\n")
    assert run("segment", recordings, "--out", tmp_path / "o", "--weights", weights) == 0


def test_no_message_advises_to_remove_a_folder(tmp_path, capsys):
    frame_set().save(tmp_path / "set")
    for name in ("masks.npy", "images.npy"):
        (tmp_path / "set" / name).unlink()
        message = fails(
            capsys, ["train", tmp_path / "set", "--out", tmp_path / "o"], "not a complete set"
        )
        assert "emove" not in message
    Parts(tmp_path / "parts", {"data": 1})
    for text, found in (('{"data": 2}', "another run"), ("{", "damaged")):
        (tmp_path / "parts" / "identity.json").write_text(text)
        with pytest.raises(ValueError, match=found) as caught:
            Parts(tmp_path / "parts", {"data": 1})
        assert "emove" not in str(caught.value) and "Choose another folder" in str(caught.value)


# --- Nothing of an earlier clip stays -------------------------------------------------------------


def test_a_clip_replaced_by_an_older_file_is_outlined_again(tmp_path, recordings, weights):
    out = tmp_path / "out"
    words = ["segment", recordings, "--out", out, "--weights", weights]
    assert run(*words, "--overlays") == 0
    kept = (out / "b" / "masks.npz").stat().st_mtime_ns
    write_avi(recordings / "a.avi", 9, (48, 48))
    os.utime(recordings / "a.avi", (1.6e9, 1.6e9))
    assert run(*words) == 0
    assert len(pd.read_csv(out / "a" / "area.csv")) == 9
    assert not (out / "a" / "overlay.mp4").exists()  # of the clip before
    assert (out / "b" / "masks.npz").stat().st_mtime_ns == kept


@pytest.mark.parametrize("command", ["segment", "function", "mitral segment"])
def test_force_leaves_nothing_of_an_earlier_clip(tmp_path, capsys, recordings, weights, command):
    out, fresh = tmp_path / "out", tmp_path / "fresh"
    words = [*command.split(), "--weights", weights, "--force", "--out"]
    assert run(*words, out, recordings / "a.avi") == 0
    own = {"notes.txt", "other.mp4", "mine_overlay.mp4"}
    for name in own:
        (out / name).write_text("mine")
    if command != "function":
        (out / "masks.dcm").write_text("of patient A")
    before = files(out)
    (tmp_path / "void.avi").write_bytes(b"")
    fails(capsys, [*words, out, tmp_path / "void.avi"], "void.avi")
    assert files(out) == before  # a clip that cannot be read takes nothing away
    assert run(*words, out, recordings / "b.avi") == 0
    assert run(*words, fresh, recordings / "b.avi") == 0
    assert files(out) == files(fresh) | own


def test_force_never_removes_a_recording_that_an_older_table_names(tmp_path, recordings, weights):
    out = tmp_path / "one"
    write_video(out / "x.mp4", FRAMES, 30)
    for name in ("clips.csv", "beats.csv", "frames.csv"):
        (out / name).write_text("name\nx\n")
    os.utime(out / "x.mp4", (1.6e9, 1.6e9))
    words = ["function", recordings / "a.avi", "--out", out, "--weights", weights, "--force"]
    assert run(*words) == 0
    assert (out / "x.mp4").exists() and (out / "a.mp4").exists()


@pytest.mark.parametrize(
    "command",
    [
        "segment {clip} --out {out}", "function {clip} --out {out}", "evaluate {study}",
        "robustness {study} --out {out}", "queue {study} --out {out}.csv",
    ],
)  # fmt: skip
def test_a_network_of_the_valve_is_refused_where_the_ventricle_is_asked(tmp_path, capsys, command):
    study = EchoNetFolder(tmp_path / "study").write()
    clip = next((tmp_path / "study" / "Videos").iterdir())
    words = command.format(clip=clip, study=study, out=tmp_path / "out").split()
    said = "is a network of the leaflets: expected one of the ventricle."
    fails(capsys, [*words, "--weights", "valve_whole"], said)
    assert not (tmp_path / "out").exists()
