"""Folders of clips, and data sets with damage: what the commands take, and what they say."""

import os
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import torch

from echolib.commands.parser import main
from echolib.commands.shared import describe
from echolib.networks.models import UNet
from echolib.ventricle import calibration
from tests.browser.truth import page_data
from tests.makers import EchoNetFolder, save_network, write_avi
from tools.fuzz_seeds import write_echonet

UID = "1.2.840.113619.2.391.42"
RESULTS = {"masks.npz", "masks.nii.gz", "contours.csv", "area.csv"}
STATE = {"clip.json"}  # of the clip's file
OVERLAYS = {"overlay.mp4", "overlay.gif"}


@pytest.fixture
def weights(tmp_path):
    return untrained(tmp_path / "weights.safetensors", seed=0)


def untrained(path, seed):
    torch.manual_seed(seed)
    return save_network(UNet(width=2, depth=2), path, 32) or path


@pytest.fixture
def clips(tmp_path):
    """Three clips that can be read, two that cannot, and files that are none."""
    folder = tmp_path / "clips"
    write_avi(folder / "smith.avi", 8, (48, 48))
    for name in ("B.AVI", UID):
        (folder / name).write_bytes((folder / "smith.avi").read_bytes())
    for name in ("empty.avi", "void.mp4"):
        (folder / name).write_bytes(b"")
    (folder / "smith.json").write_text("{}")
    (folder / "._smith.avi").write_bytes(b"x")
    return folder


def run(capsys, *arguments, code=0):
    assert main([str(argument) for argument in arguments]) == code
    done = capsys.readouterr()
    assert "Traceback" not in done.err
    return done.err if code else done.out


def test_segment_outlines_each_clip_of_a_folder_and_says_what_it_left_out(
    tmp_path, capsys, clips, weights
):
    out = tmp_path / "out"
    text = run(capsys, "segment", clips, "--out", out, "--weights", weights)
    assert f"3 of 5 clips outlined in {out}" in text
    lines = [line for line in text.splitlines() if "left out" in line]
    assert len(lines) == 1 and lines[0].startswith("2 x left out: empty.avi: expected a clip")
    folders = {path.name for path in out.iterdir() if path.is_dir()}
    assert folders == {"smith", "B", UID}
    for folder in folders:
        assert {path.name for path in (out / folder).iterdir()} == RESULTS | STATE


def test_segment_of_a_folder_reports_a_link_to_a_clip_that_is_gone(
    tmp_path, capsys, clips, weights
):
    (clips / "gone.avi").symlink_to(tmp_path / "elsewhere.avi")
    text = run(capsys, "segment", clips, "--out", tmp_path / "out", "--weights", weights)
    assert "3 of 5 clips outlined" in text
    assert "1 x left out: a link to a file that is not there (first: gone.avi)" in text


def test_segment_of_a_folder_draws_overlays_on_request(tmp_path, capsys, clips, weights):
    out = tmp_path / "out"
    command = ["segment", clips, "--out", out, "--weights", weights]
    run(capsys, *command)
    assert "3 of 5 clips outlined" in run(capsys, *command, "--overlays")
    assert {path.name for path in (out / "smith").iterdir()} == RESULTS | STATE | OVERLAYS
    drawn = (out / "smith" / "overlay.gif").stat().st_mtime_ns
    run(capsys, *command, "--overlays")
    assert (out / "smith" / "overlay.gif").stat().st_mtime_ns == drawn


@pytest.mark.parametrize("command", ["segment", "function"])
def test_a_bar_shows_the_clips_that_are_left(tmp_path, capsys, clips, weights, command):
    out = tmp_path / "out"
    assert main([command, str(clips), "--out", str(out), "--weights", str(weights)]) == 0
    assert "100%" in (bar := capsys.readouterr().err) and "5/5 [" in bar and "clip" in bar


def test_segment_of_a_folder_goes_on_where_it_stopped(tmp_path, capsys, clips, weights):
    out = tmp_path / "out"
    command = ["segment", clips, "--out", out, "--weights", weights]
    run(capsys, *command)
    (out / "smith" / "area.csv").unlink()
    kept, again = out / "B" / "masks.npz", out / "smith" / "masks.npz"
    times = kept.stat().st_mtime_ns, again.stat().st_mtime_ns
    assert "3 of 5 clips" in run(capsys, *command)
    assert kept.stat().st_mtime_ns == times[0] and again.stat().st_mtime_ns > times[1]
    later = kept.stat().st_mtime + 10
    os.utime(clips / "B.AVI", (later, later))  # the clip was replaced
    run(capsys, *command)
    assert kept.stat().st_mtime_ns > times[0]
    other = untrained(tmp_path / "other.safetensors", seed=1)
    message = run(capsys, *command[:-1], other, code=2)
    assert f"{out} holds results of another run; they differ in networks" in message


@pytest.mark.parametrize("command", ["segment", "function"])
def test_clips_of_an_archive_are_found_in_its_folders(tmp_path, capsys, clips, weights, command):
    for visit in ("anna/1", "anna/2"):
        (clips / visit).mkdir(parents=True)
        (clips / visit / "IM0").write_bytes((clips / "smith.avi").read_bytes())
    (clips / "anna" / "2" / "bad.avi").write_bytes(b"")
    (clips / "anna" / os.fsdecode(b"M\xfcller")).write_bytes((clips / "smith.avi").read_bytes())
    out = tmp_path / "out"
    text = run(capsys, command, clips, "--out", out, "--weights", weights)
    if command == "segment":
        assert "6 of 9 clips" in text
        assert pd.read_csv(out / "anna_2_IM0" / "contours.csv").empty  # of an untrained network
    else:
        table = pd.read_csv(out / "clips.csv").set_index("name")
        assert table.file["anna_2_IM0"] == "anna/2/IM0" and table.file["B"] == "B.AVI"
        names = set(table.index)
        assert names - {"smith", "B", UID, "empty", "void"} == {
            "anna_1_IM0", "anna_2_IM0", "anna_2_bad", "anna_M\ufffdller"
        }  # fmt: skip


def test_clips_of_one_name_do_not_overwrite_each_other(tmp_path, capsys, clips, weights):
    write_avi(clips / "b.avi", 5, (48, 48))
    out = tmp_path / "out"
    run(capsys, "segment", clips, "--out", out, "--weights", weights)
    counts = {name: len(pd.read_csv(out / name / "area.csv")) for name in ("B.AVI", "b.avi")}
    assert counts == {"B.AVI": 8, "b.avi": 5}
    run(capsys, "function", clips, "--out", tmp_path / "study", "--weights", weights)
    masks = {path.name for path in (tmp_path / "study" / "parts" / "masks").iterdir()}
    assert {"B.AVI.npz", "b.avi.npz"} < masks


def test_a_folder_of_nothing_but_damaged_clips_is_an_error(tmp_path, capsys, clips, weights):
    for name in ("smith.avi", "B.AVI", UID):
        (clips / name).unlink()
    message = run(capsys, "segment", clips, "--out", tmp_path / "out", "--weights", weights, code=2)
    assert "none of its 2 clips could be outlined.\n2 x left out" in message


def test_function_measures_all_clips_of_a_folder_without_scores(tmp_path, capsys, clips, weights):
    out = tmp_path / "out"
    command = ["function", clips, "--out", out, "--weights", weights]
    text = run(capsys, *command)
    assert "No true EF is known, so there are no scores." in text
    assert text.count("2 x left out: empty.avi") == 1 and f"videos and report.html in {out}" in text
    table = pd.read_csv(out / "clips.csv")
    assert table.name.tolist() == [UID, "B", "empty", "smith", "void"]
    assert table.ef_true.isna().all() and not (out / "scores.csv").exists()
    assert str(clips) not in (out / "clips.csv").read_text()
    page = (out / "report.html").read_text()
    assert "The true EF of no clip is known" in page and "<h2>Scores</h2>" not in page
    assert run(capsys, *command) == text  # resumed: the same again
    assert "Choose one of ['all']" in run(capsys, *command, "--split", "test", code=2)


def test_function_of_a_folder_writes_over_a_clips_results_by_force_only(
    tmp_path, capsys, clips, weights
):
    out = tmp_path / "out"
    one = ["function", clips / "smith.avi", "--out", out, "--weights", weights]
    all_of_them = ["function", clips, "--out", out, "--weights", weights]
    run(capsys, *one)
    before = (out / "clips.csv").read_bytes()
    assert "exists already. Give --force" in run(capsys, *all_of_them, code=2)
    assert (out / "clips.csv").read_bytes() == before and (out / "smith.mp4").is_file()
    run(capsys, *all_of_them, "--force")
    assert len(pd.read_csv(out / "clips.csv")) == 5 and not (out / "smith.mp4").exists()
    run(capsys, *all_of_them)  # which goes on


def test_options_of_one_clip_are_none_of_a_folder_and_the_other_way_round(
    tmp_path, capsys, clips, weights
):
    end = ["--out", tmp_path / "out", "--weights", weights]
    said = run(capsys, "function", clips, *end, "--identifier", "X", code=2)
    assert "--identifier is for the report of one clip" in said
    for option in (["--split", "val"], ["--clips", 5], ["--videos", 0]):
        said = run(capsys, "function", clips / "smith.avi", *end, *option, code=2)
        assert f"{option[0]} is for a study or a folder of clips" in said
    assert not (tmp_path / "out").exists()


def test_function_of_nothing_but_damaged_clips_is_an_error(tmp_path, capsys, clips, weights):
    for name in ("smith.avi", "B.AVI", UID):
        (clips / name).unlink()
    out = tmp_path / "out"
    said = run(capsys, "function", clips, "--out", out, "--weights", weights, code=2)
    assert "none of its 2 clips can be read; the tables say why" in said
    assert len(pd.read_csv(out / "clips.csv")) == 2 and (out / "report.html").is_file()


@pytest.mark.parametrize("pediatric", [False, True])
def test_function_says_where_the_true_ef_is_of_another_method(tmp_path, capsys, weights, pediatric):
    write_echonet(tmp_path / "study", pediatric)
    out = tmp_path / "out"
    text = run(capsys, "function", tmp_path / "study", "--out", out, "--weights", weights)
    for said in (text, (out / "report.html").read_text()):
        assert ("bullet method" in said) == pediatric


def test_browse_shows_the_clips_of_a_folder_that_can_be_read(tmp_path, capsys, clips):
    page = tmp_path / "page.html"
    text = run(capsys, "browse", clips, "--out", page)
    assert text.startswith(f"3 of 5 clips in {page}\n2 x left out:") and text.count("\n") == 2
    assert page_data(page)["state"]["_names"] == [UID, "B", "smith"]
    command = ["browse", clips, "--out", tmp_path / "other.html", "--names", "empty", "void"]
    assert "empty file" in run(capsys, *command, code=2)
    assert not (tmp_path / "other.html").exists()


@pytest.mark.parametrize(
    "command",
    ["pack {} --out {}", "train {} --out {}", "evaluate {}", "robustness {} --out {}",
     "calibrate {} --out {}.json"],
)  # fmt: skip
def test_what_needs_labels_refuses_a_folder_of_clips(tmp_path, capsys, clips, command):
    message = run(capsys, *command.format(clips, tmp_path / "out").split(), code=2)
    assert f"{clips} holds 5 clips without labels" in message and message.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_segment_refuses_a_data_set_in_a_sentence(tmp_path, capsys, weights):
    folder = EchoNetFolder(tmp_path / "echonet").write()
    message = run(capsys, "segment", folder, "--out", tmp_path / "out", code=2)
    assert "is the data set echonet-dynamic: expected a clip or a folder of clips" in message


# --- A data set with damage -----------------------------------------------------------------------


@pytest.fixture
def damaged(tmp_path):
    """Twelve clips: three videos missing, three empty, three truncated, all in one split."""
    folder = EchoNetFolder(tmp_path / "echonet", clips=12)
    folder.files["Split"] = "TEST"
    names = folder.files.FileName
    for name in names[:3]:
        (folder.folder / "Videos" / f"{name}.avi").unlink()
    for name in names[3:6]:
        (folder.folder / "Videos" / f"{name}.avi").write_bytes(b"")
    for name in names[6:9]:
        path = folder.folder / "Videos" / f"{name}.avi"
        path.write_bytes(path.read_bytes()[:-3000])
    return folder.write()


@pytest.mark.parametrize("command", ["evaluate", "function", "calibrate", "robustness", "pack"])
def test_every_command_says_in_a_line_a_kind_what_it_left_out(
    tmp_path, capsys, monkeypatch, damaged, weights, command
):
    monkeypatch.setattr(calibration, "FEWEST", 9)  # clips with an EF, of which three can be read
    options = [] if command == "pack" else ["--weights", weights, "--split", "test"]
    if command == "robustness":
        options += ["--corruptions", "haze", "--severities", "1"]
    if command == "pack":
        options += ["--size", "32"]
    if command != "evaluate":
        options += ["--out", tmp_path / ("out.json" if command == "calibrate" else "out")]
    code = main([str(argument) for argument in (command, damaged, *options)])
    done = capsys.readouterr()
    assert code == (2 if command == "calibrate" else 0), done.err  # too few clips for that
    left_out = [line for line in done.out.splitlines() if line.startswith("3 x left out")]
    assert len(left_out) >= 3 and sum("is missing" in line for line in left_out) == 1
    assert sum(" x left out" in line for line in done.out.splitlines()) <= 5
    for name in ("0X0001", "0X0002"):
        assert name not in done.out and name not in done.err


def test_browse_says_what_a_damaged_data_set_lacks(tmp_path, capsys, damaged):
    text = run(capsys, "browse", damaged, "--out", tmp_path / "page.html", "--clips", "20")
    assert "6 of 9 clips" in text and "3 x left out: Videos/0X0000.avi is missing" in text


def test_a_resumed_study_says_the_same(tmp_path, capsys, damaged, weights):
    command = ["function", damaged, "--out", tmp_path / "out", "--weights", weights]
    text = run(capsys, *command)
    assert run(capsys, *command) == text
    problems = pd.read_csv(tmp_path / "out" / "problems.csv")
    assert "Videos/0X0002.avi is missing" in problems.reason.tolist()


def test_evaluate_without_any_readable_frame_says_why(tmp_path, capsys, damaged, weights):
    for path in (damaged / "Videos").iterdir():
        path.write_bytes(b"")
    message = run(capsys, "evaluate", damaged, "--weights", weights, code=2)
    assert "no readable frame in the split 'test'" in message
    assert "9 x left out: Videos/0X0003.avi: expected a video" in message


@pytest.mark.parametrize(
    ("folder", "words"), [("study", "phantom study"), ("calibration", "phantom study calibration")]
)
def test_a_phantom_study_is_not_called_a_study_twice(tmp_path, folder, words):
    assert describe(SimpleNamespace(folder=tmp_path / folder, name="phantom")) == words


def test_function_of_a_folder_scores_the_ejection_fractions_of_its_table(
    tmp_path, capsys, clips, weights
):
    (clips / "EF.csv").write_text("clip,EF\nsmith,60\nB.AVI,41\nnobody,30\n")
    out = tmp_path / "out"
    text = run(capsys, "function", clips, "--out", out, "--weights", weights)
    table = pd.read_csv(out / "clips.csv").set_index("name").ef_true.dropna()
    assert table.to_dict() == {"smith": 60, "B": 41}
    assert "No true EF" not in text and "nobody is no clip of this folder" in text
    assert (out / "scores.csv").is_file() and (out / "report.html").is_file()
    parts = {path: path.stat().st_mtime_ns for path in (out / "parts").glob("*.json")}
    (clips / "EF.csv").write_text("clip,EF\nsmith,62\n")
    command = ["function", clips, "--out", out, "--weights", weights]
    assert "cannot be used" not in run(capsys, *command)
    assert pd.read_csv(out / "clips.csv").ef_true.dropna().tolist() == [62]
    assert {path: path.stat().st_mtime_ns for path in parts} == parts  # nothing measured again
    (clips / "EF.csv").unlink()
    assert "No true EF" in run(capsys, *command)
    assert not (out / "scores.csv").exists() and not (out / "scores_by_range.csv").exists()


def test_results_of_another_folder_of_clips_are_not_replaced(tmp_path, capsys, clips, weights):
    other, out = tmp_path / "other", tmp_path / "out"
    write_avi(other / "smith.avi", 8, (48, 48))
    run(capsys, "function", clips, "--out", out, "--weights", weights)
    before = (out / "clips.csv").read_bytes()
    message = run(capsys, "function", other, "--out", out, "--weights", weights, code=2)
    assert "results of another run; they differ in data" in message
    assert (out / "clips.csv").read_bytes() == before


def test_calibration_says_why_no_ejection_fraction_is_known(tmp_path, capsys, clips):
    (clips / "EF.csv").write_text("clip,EF\nnobody,60\n")
    message = run(capsys, "calibrate", clips, "--out", tmp_path / "c.json", code=2)
    assert "a table EF.csv in the folder of clips" in message
    assert "nobody is no clip of this folder" in message


@pytest.mark.parametrize("option", ["--split", "--also-split"])
def test_a_folder_of_clips_has_no_split_to_calibrate_on(tmp_path, capsys, clips, option):
    (clips / "EF.csv").write_text("clip,EF\nsmith,60\n")
    study = EchoNetFolder(tmp_path / "study", clips=40).write()
    data = [clips] if option == "--split" else [study, "--split", "all", "--also", clips]
    command = ["calibrate", *data, "--out", tmp_path / "c.json", option, "test"]
    message = run(capsys, *command, code=2)
    assert f"{clips} is a folder of clips, which has no split 'test'" in message


def test_function_measures_only_what_is_new_in_a_folder_that_grew(tmp_path, capsys, clips, weights):
    out, parts = tmp_path / "out", tmp_path / "out" / "parts"
    command = ["function", clips, "--out", out, "--weights", weights, "--videos", "9"]
    run(capsys, *command)

    def written():
        return {path: path.stat().st_mtime_ns for path in parts.glob("*.json")}

    before = written()
    write_avi(clips / "visit" / "new.avi", 5, (48, 48))
    write_avi(clips / "B.AVI", 9, (48, 48))  # another one in its place
    run(capsys, *command)
    after = written()
    kept = [path for path in before if after[path] == before[path]]
    assert len(before) == 6 and len(after) == 8 and len(kept) == 6  # with the identity
    names = sorted(pd.read_csv(out / "clips.csv").name)
    assert names == sorted(["smith", "B", UID, "empty", "void", "visit_new"])
    again = tmp_path / "again"
    run(capsys, *command[:3], again, *command[4:])
    for table in ("clips.csv", "frames.csv", "problems.csv"):
        assert (again / table).read_bytes() == (out / table).read_bytes()
    (clips / "smith.avi").unlink()
    run(capsys, *command)
    assert "smith" not in pd.read_csv(out / "clips.csv").name.tolist() and written() == after


def test_a_video_of_an_earlier_clip_of_the_same_name_is_replaced(tmp_path, capsys, clips):
    """Of real networks, because a clip without an outline has no video."""
    from pydicom.examples import get_path

    folder, out = tmp_path / "one", tmp_path / "out"
    folder.mkdir()
    clip = folder / "heart.dcm"
    clip.write_bytes(Path(get_path("ybr_color")).read_bytes())
    command = ["function", folder, "--out", out, "--spacing", "1.02"]
    run(capsys, *command)
    video = out / "videos" / "heart.mp4"
    first = video.stat().st_mtime_ns
    run(capsys, *command)
    assert video.stat().st_mtime_ns == first
    os.utime(clip, (2e9, 2e9))  # the clip was replaced
    run(capsys, *command)
    assert video.stat().st_mtime_ns > first
