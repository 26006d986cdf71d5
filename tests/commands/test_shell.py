"""The commands as a user types them, with the files they promise."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from echolib import files
from echolib.commands.parser import build_parser, main
from echolib.config import data_folder
from echolib.data import open_data
from echolib.data.nifti import read_nifti
from echolib.networks.models import UNet, load_model, weights_digest
from echolib.networks.training import Training
from tests.browser.truth import page_data
from tests.data.test_camus import folder as camus_folder  # noqa: F401
from tests.makers import EchoNetFolder, frame_set, save_network, ventricle_set, write_avi


@pytest.fixture
def weights(tmp_path):
    """An untrained network: what it marks is arbitrary, that it runs is what counts."""
    torch.manual_seed(0)
    path = tmp_path / "weights.safetensors"
    save_network(UNet(width=2, depth=2), path, 48)
    return path


def fails(capsys, arguments, *parts):
    """The command ends with code 2 and one message with these parts, no traceback."""
    assert main([str(argument) for argument in arguments]) == 2
    message = capsys.readouterr().err
    assert "Traceback" not in message
    for part in parts:
        assert part in message
    return message


def test_phantom_pack_train_evaluate_segment_follow_each_other(tmp_path, capsys):
    study, packed, model = tmp_path / "study", tmp_path / "packed", tmp_path / "model"
    assert main(["phantom", "--out", str(study), "--clips", "8"]) == 0
    assert main(["pack", str(study), "--out", str(packed), "--size", "48"]) == 0
    command = ["train", str(packed), "--out", str(model), "--size", "48", "--width", "4"]
    assert main([*command, "--epochs", "2"]) == 0
    scores = tmp_path / "scores.json"
    command = ["evaluate", str(study), "--weights", str(model), "--split", "all"]
    assert main([*command, "--json", str(scores)]) == 0
    summary = json.loads(scores.read_text())
    assert summary["n"] == 16 and summary["unit"] == "px"
    assert summary["source"] == load_model(model).card["trained_on"] == "phantom"
    assert summary["weights"] == str(model)
    assert summary["weights_digest"] == weights_digest(load_model(model))
    phases = summary["phases"]
    assert [phases[phase]["n"] for phase in ("ED", "ES")] == [8, 8]
    means = [phases[phase]["dice"]["mean"] for phase in ("ED", "ES")]
    assert np.mean(means) == pytest.approx(summary["dice"]["mean"])
    for name in ("dice", "iou", "hd95", "assd"):
        assert {"mean", "median", "p10", "ci95"} <= summary[name].keys()
        assert summary[name]["ci95"][0] <= summary[name]["mean"] <= summary[name]["ci95"][1]
    cases = pd.read_csv(scores.with_suffix(".csv"))
    assert len(cases) == 16 and cases.dice.mean() == pytest.approx(summary["dice"]["mean"])
    clip = next((study / "Videos").glob("*.avi"))
    out = tmp_path / "out"
    assert main(["segment", str(clip), "--out", str(out), "--weights", str(model)]) == 0
    output = capsys.readouterr().out
    assert "best validation Dice" in output and "frames outlined" in output
    assert (
        "training on 12 frames of 6 patients (split train), chosen by 2 frames of 1 patient ("
        in output
    )
    assert "model on phantom, split all: 16 frames of 8 patients" in output
    assert "model was trained on frames of this data set's split train: its scores" in output
    capsys.readouterr()
    command = ["evaluate", str(study), "--weights", str(model), "--json", str(scores)]
    assert main([*command, "--force"]) == 0
    output = capsys.readouterr().out
    assert "no interval: 1 patient, at least 5 are needed" in output and "nan" not in output
    assert "was trained on" not in output  # the split test
    assert json.loads(scores.read_text(), parse_constant=pytest.fail)["dice"]["ci95"] is None


def test_evaluate_says_that_lv_usually_works_with_others(tmp_path, capsys):
    ventricle_set(12, size=112).save(tmp_path / "study")
    assert main(["evaluate", str(tmp_path / "study"), "--split", "all"]) == 0
    output = capsys.readouterr().out
    assert "lv on ellipses, split all: 12 frames of 6 patients" in output
    assert "lv is scored alone; `function` scores it together with lv_cycle" in output
    lines = [line.split()[:2] for line in output.splitlines() if " mean " in line]
    assert lines[:4] == [["dice", "all"], ["dice", "ED"], ["dice", "ES"], ["iou", "all"]]
    assert "trained on" not in output


def test_a_network_of_the_beat_is_evaluated(tmp_path, capsys):
    study, model = ventricle_set(size=32), str(tmp_path / "model")
    study.save(tmp_path / "study")
    command = ["train", str(tmp_path / "study"), "--out", model, "--size", "32", "--width", "2"]
    assert main([*command, "--cycle", "--epochs", "1"]) == 0
    scores = tmp_path / "scores.json"
    command = ["evaluate", str(tmp_path / "study"), "--weights", model, "--split", "train"]
    assert main([*command, "--json", str(scores)]) == 0
    assert "model was trained on frames of this data set's split train" in capsys.readouterr().out
    assert json.loads(scores.read_text())["n"] == 20
    replace(study, table=study.table.assign(phase="")).save(tmp_path / "still")
    command = ["evaluate", tmp_path / "still", "--weights", model]
    fails(capsys, command, "no readable frame with a labelled ED and ES frame beside it")
    command = ["robustness", tmp_path / "study", "--out", tmp_path / "out", "--weights", model]
    fails(capsys, command, "between the ED and the ES frame", "`evaluate` scores it")


def test_a_training_says_how_it_ended_and_how_to_go_on(tmp_path, capsys, monkeypatch):
    frame_set(24).save(tmp_path / "set")
    command = ["train", str(tmp_path / "set"), "--out", str(tmp_path / "out"), "--size", "32"]
    command += ["--width", "2"]
    monkeypatch.setattr(Training, "validate", lambda self: (0.5, 1.0))
    assert main([*command, "--epochs", "100"]) == 0
    first = capsys.readouterr().out
    assert "stopped early at step" in first and "no better for 31 rounds" in first
    assert "best validation Dice 0.5000 at step" in first and "of 100 planned" in first
    assert main([*command, "--resume"]) == 0
    second = capsys.readouterr().out
    assert "is finished: stopped early at step" in second and "training on" not in second
    assert "nothing was trained; a larger --minutes or --epochs makes it longer" in second
    assert main([*command, "--resume", "--epochs", "101"]) == 0
    assert "training on 20 frames of 10 patients (split train)" in capsys.readouterr().out


def test_one_command_says_which_of_two_networks_is_better_on_clean_frames(
    tmp_path, capsys, weights
):
    ventricle_set(24, size=48).save(tmp_path / "study")
    torch.manual_seed(1)
    save_network(UNet(width=2, depth=2), tmp_path / "mine.safetensors", 48)
    command = ["robustness", str(tmp_path / "study"), "--out", str(tmp_path / "out"), "--clean"]
    command += ["--split", "all", "--weights", str(tmp_path / "mine.safetensors"), str(weights)]
    assert main(command) == 0
    output = capsys.readouterr().out
    assert "24 frames of 12 patients" in output and "mce" not in output
    table = pd.read_csv(tmp_path / "out" / "differences.csv")
    assert table.frames.tolist() == ["clean"] and table.patients.tolist() == [12]
    assert f"mine - weights, clean: Dice {table.difference[0]:+.4f} (95 % " in output
    assert not (tmp_path / "out" / "curves.png").exists()
    fails(capsys, [*command, "--corruptions", "haze"], "--clean scores frames without")


def test_a_command_removes_what_killed_processes_left_where_it_writes(tmp_path, weights):
    write_avi(tmp_path / "clip.avi", count=3)
    out = tmp_path / "out"
    (out / "videos").mkdir(parents=True)
    for folder in (out, out / "videos"):
        (folder / f".masks.{files._machine()}-99999999-0123abcd.npz").touch()
    command = ["segment", str(tmp_path / "clip.avi"), "--out", str(out)]
    assert main([*command, "--weights", str(weights), "--force"]) == 0
    assert not list(out.rglob(".*"))


def test_the_precision_of_a_training_is_an_option(tmp_path, capsys):
    frame_set().save(tmp_path / "set")
    command = ["train", str(tmp_path / "set"), "--out", str(tmp_path / "out"), "--size", "32"]
    command += ["--width", "2", "--epochs", "1", "--precision"]
    assert main([*command, "fp32"]) == 0
    assert "in fp32" in capsys.readouterr().out
    fails(capsys, [*command, "bf16", "--resume"], "checkpoint.pt was trained in fp32, not in bf16")
    with pytest.raises(SystemExit):
        main([*command, "fp16"])


def test_a_training_may_average_its_weights_instead_of_lowering_its_rate(tmp_path, capsys):
    frame_set().save(tmp_path / "set")
    command = ["train", str(tmp_path / "set"), "--out", str(tmp_path / "out"), "--size", "32"]
    command += ["--width", "2", "--epochs", "2", "--average"]
    assert main([*command, "400"]) == 0
    config = load_model(tmp_path / "out").card["config"]
    assert config["average"] == 1 - 1 / 400 and config["constant"]
    rates = pd.read_csv(tmp_path / "out" / "history.csv").learning_rate
    assert len(rates) > 1 and (rates == config["learning_rate"]).all()
    fails(capsys, [*command[:-1], "--resume"], "belongs to another training")
    fails(capsys, [*command, "0", "--resume"], "--average: expected 1 to 1000000 steps, found 0")


def test_phantom_writes_a_mitral_study(tmp_path, capsys):
    study = tmp_path / "mitral"
    assert main(["phantom", "--out", str(study), "--mitral", "0.01", "--seed", "7"]) == 0
    names = {path.name for path in study.iterdir()}
    assert names == {"train.pkl", "test.pkl", "test_truth.npz", "study.json"}
    card = json.loads((study / "study.json").read_text())
    assert (card["scale"], card["seed"]) == (0.01, 7)
    assert f"of scale 0.01 in {study}" in capsys.readouterr().out
    many = ["phantom", "--out", str(tmp_path / "many"), "--videos", "0.06"]
    fails(capsys, many, "--videos is for a mitral valve study")
    assert main([*many, "--mitral", "0.01"]) == 0
    counts = json.loads((tmp_path / "many" / "study.json").read_text())["counts"]
    assert counts == {"amateur": 3, "expert": 2, "test": 1}


def test_phantom_writes_frames_to_train_on(tmp_path, capsys):
    out = tmp_path / "frames"
    assert main(["phantom", "--out", str(out), "--frames", "3", "--size", "48"]) == 0
    frames = open_data(out)
    assert len(frames) == 3 and frames.size == 48
    assert f"3 phantom frames in {out}" in capsys.readouterr().out


def test_a_mitral_study_has_three_tenths_of_the_real_size_unless_told():
    parse = build_parser().parse_args
    assert parse(["phantom", "--out", "x"]).mitral is None
    assert parse(["phantom", "--out", "x", "--mitral"]).mitral == 0.3
    assert parse(["phantom", "--mitral", "--out", "x"]).mitral == 0.3
    assert parse(["phantom", "--out", "x", "--mitral", "1"]).mitral == 1


def test_segment_writes_masks_areas_and_overlays(tmp_path, weights):
    clip = tmp_path / "clip.avi"
    write_avi(clip, count=9, size=(90, 130))
    out = tmp_path / "out"
    assert main(["segment", str(clip), "--out", str(out), "--weights", str(weights)]) == 0
    masks = np.load(out / "masks.npz")["masks"]
    assert masks.shape == (9, 90, 130) and masks.dtype == bool
    assert np.array_equal(read_nifti(out / "masks.nii.gz")[0], masks)
    contours = pd.read_csv(out / "contours.csv")
    assert contours.frame.unique().tolist() == np.flatnonzero(masks.any(axis=(1, 2))).tolist()
    assert set(contours["clip"]) <= {"clip"}
    area = pd.read_csv(out / "area.csv")
    assert area.columns.tolist() == ["frame", "time_s", "area_px"]
    assert area.area_px.tolist() == masks.sum(axis=(1, 2)).tolist()
    assert area.time_s.iloc[-1] == pytest.approx(8 / 50)
    overlays = sorted(path.name for path in out.glob("overlay.*"))
    assert len(overlays) == 2 and "overlay.gif" in overlays
    assert all((out / name).stat().st_size > 500 for name in overlays)


def test_segment_gives_areas_in_mm2_where_the_spacing_is_known(tmp_path, weights):
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, UltrasoundMultiFrameImageStorage

    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = UltrasoundMultiFrameImageStorage
    dataset.SOPInstanceUID = "1.2.3"
    frames = np.random.default_rng(0).integers(0, 256, (3, 60, 80), np.uint8)
    dataset.set_pixel_data(frames, "MONOCHROME2", bits_stored=8)
    dataset.PixelSpacing = [0.5, 0.5]
    dataset.save_as(tmp_path / "clip.dcm", enforce_file_format=True)
    out = tmp_path / "out"
    command = ["segment", str(tmp_path / "clip.dcm"), "--out", str(out)]
    assert main([*command, "--weights", str(weights)]) == 0
    area = pd.read_csv(out / "area.csv")
    assert len(area) == 3 and np.allclose(area.area_mm2, 0.25 * area.area_px)


def test_the_real_clip_of_pydicom_is_segmented(tmp_path, weights):
    from pydicom import examples

    path = examples.get_path("ybr_color")
    out = tmp_path / "out"
    assert main(["segment", str(path), "--out", str(out), "--weights", str(weights)]) == 0
    assert np.load(out / "masks.npz")["masks"].shape == (30, 240, 320)


def test_evaluate_scores_in_the_geometry_of_the_source(request, tmp_path, weights):
    folder = request.getfixturevalue("camus_folder")
    scores = tmp_path / "scores.json"
    command = ["evaluate", str(folder), "--weights", str(weights), "--json", str(scores)]
    assert main(command) == 0  # the split is the test split unless another is named
    summary = json.loads(scores.read_text())
    assert summary["n"] == 2 and summary["unit"] == "mm"
    cases = pd.read_csv(scores.with_suffix(".csv"))
    y, x = np.mgrid[:120, :90]
    area = (((x - 40) / 20) ** 2 + ((y - 50) / 30) ** 2 < 1).sum()
    assert cases.area_true[0] == area


def test_landmarks_start_from_masks_and_both_are_tested_under_noise(tmp_path, capsys):
    study, out = tmp_path / "study", tmp_path / "out"
    ventricle_set(size=32).save(study)
    options = ["--size", "32", "--epochs", "3"]
    masks, landmarks = str(tmp_path / "masks"), str(tmp_path / "landmarks")
    command = ["train", str(study), "--out", masks, *options, "--corrupted", "0.5"]
    assert main([*command, "--width", "4"]) == 0
    command = ["train", str(study), "--out", landmarks, *options, "--target", "landmarks"]
    assert main([*command, "--start", masks]) == 0  # in the shape of these weights
    assert "head.bias, head.weight made anew" in capsys.readouterr().out
    expected = {"width": 4, "depth": 3, "fold": 2, "landmarks": 40, "inputs": 1}
    assert load_model(landmarks).arguments == expected
    command = ["robustness", str(study), "--weights", masks, landmarks, "--out", str(out)]
    command += ["--corruptions", "haze", "jpeg", "--severities", "2", "--split", "train"]
    assert main([*command, "--frames", "8"]) == 0
    first = capsys.readouterr().out
    assert "8 frames of 4 patients" in first and "mean Dice of the left ventricle" in first
    assert "as a share of that of masks" in first
    assert "combined: the mean shape of masks and landmarks." in first
    differences = pd.read_csv(out / "differences.csv")
    assert differences.second.unique().tolist() == ["landmarks"]
    assert "masks - landmarks, clean: Dice" in first and "no interval: 4 patients" in first
    for name in ("masks", "landmarks"):
        assert f"{name} was trained on frames of this data set's split train" in first
    falls = pd.read_csv(out / "falls.csv")
    assert set(falls.corruptions) == {"unseen"}  # haze and jpeg, but masks saw others
    cases = pd.read_csv(out / "robustness.csv")
    assert len(cases) == 8 * 3 * 3 and set(cases.model) == {"masks", "landmarks", "combined"}
    assert main([*command, "--frames", "8"]) == 0  # resumed: the same table again
    assert capsys.readouterr().out == first
    clip = study / "clip.avi"
    write_avi(clip)
    outlines = str(tmp_path / "outlines")
    assert main(["segment", str(clip), "--out", outlines, "--weights", landmarks]) == 0


class TestBadInput:
    def test_robustness_of_models_that_cannot_be_compared(self, tmp_path, capsys, weights):
        ventricle_set(size=48).save(tmp_path / "study")
        command = ["robustness", tmp_path / "study", "--out", tmp_path / "out", "--weights"]
        other = tmp_path / "other.safetensors"
        save_network(UNet(width=2, depth=2), other, 32)
        fails(capsys, [*command, weights, weights], "Two weights are called 'weights'")
        fails(capsys, [*command, weights, other], "[32, 48] px")
        fails(capsys, [*command, weights, "--corruptions", "rain"], "Unknown corruptions ['rain']")
        fails(capsys, [*command, weights, "--frames", "0"], "--frames must be 1 or more")
        assert not (tmp_path / "out" / "robustness.csv").exists()

    def test_an_unknown_corruption_is_refused_before_any_work(self, tmp_path, capsys, weights):
        study = EchoNetFolder(tmp_path / "study").write()
        command = ["robustness", study, "--out", tmp_path / "out", "--weights", weights]
        fails(capsys, [*command, "--corruptions", "rain"], "Unknown corruptions ['rain']")
        assert not (data_folder() / "packed").exists()

    def test_missing_folder(self, tmp_path, capsys):
        for command in ("train", "pack"):
            arguments = [command, tmp_path / "nowhere", "--out", tmp_path / "out"]
            fails(capsys, arguments, "nowhere: no such folder")
        fails(capsys, ["evaluate", tmp_path / "nowhere"], "no such folder")

    def test_missing_and_broken_clips(self, tmp_path, capsys, weights):
        text = tmp_path / "notes.avi"
        text.write_text("this is not a video\n" * 50)
        (tmp_path / "empty.avi").write_bytes(b"")
        for name in ("missing.avi", "notes.avi", "empty.avi"):
            command = ["segment", tmp_path / name, "--out", tmp_path / "out", "--weights", weights]
            fails(capsys, command, name)
        assert not (tmp_path / "out").exists()

    def test_unknown_weights(self, tmp_path, capsys):
        clip = tmp_path / "clip.avi"
        write_avi(clip)
        command = ["segment", clip, "--out", tmp_path / "out", "--weights", "unknown"]
        fails(capsys, command, "No weights at unknown", "pretrained models")

    def test_packed_at_another_size(self, tmp_path, capsys):
        frame_set().save(tmp_path / "packed")
        command = ["train", tmp_path / "packed", "--out", tmp_path / "out", "--size", "112"]
        fails(capsys, command, "packed at 32 px", "--size 32")

    def test_packing_onto_something(self, tmp_path, capsys):
        folder = EchoNetFolder(tmp_path / "echonet").write()
        fails(capsys, ["pack", folder, "--out", folder], f"{folder} is the input itself")
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / "mine.txt").write_text("mine")
        message = fails(
            capsys, ["pack", folder, "--out", tmp_path / "other"], "other exists already. Choose"
        )
        assert "emove" not in message

    def test_a_split_without_frames(self, tmp_path, capsys, weights):
        frames = frame_set(size=48)
        frames.select((frames.table.split != "test").to_numpy()).save(tmp_path / "packed")
        command = ["evaluate", tmp_path / "packed", "--weights", weights, "--split", "test"]
        fails(capsys, command, "no readable frame in the split 'test'")

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [(["--mitral", "2"], "at most 1"), (["--mitral", "nan"], "at most 1"),
         (["--mitral", "--seed", "-1"], "seed must be"), (["--clips", "2"], "3 or more"),
         (["--frames", "1"], "2 or more"), (["--frames", "4", "--size", "0"], "32 to 1024"),
         (["--size", "64"], "--frames"), (["--mitral", "--size", "64"], "--frames")],
        ids=" ".join,
    )  # fmt: skip
    def test_impossible_phantoms(self, tmp_path, capsys, wrong, message):
        out = tmp_path / "out"
        assert fails(capsys, ["phantom", "--out", out, *wrong], message).count("\n") == 1
        assert not out.exists()

    @pytest.mark.parametrize(
        ("what", "message"),
        [(["--frames", "4"], "exists already"), (["--clips", "4"], "without one"),
         (["--mitral", "0.01"], "without one")],
        ids=" ".join,
    )  # fmt: skip
    def test_phantom_onto_something(self, tmp_path, capsys, what, message):
        (tmp_path / "notes.txt").write_text("mine")
        text = fails(capsys, ["phantom", "--out", tmp_path, *what], str(tmp_path), message)
        assert text.count("\n") == 1
        assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]

    @pytest.mark.parametrize(
        "two", [["--clips", "300", "--mitral"], ["--frames", "4", "--mitral", "1"],
                ["--clips", "4", "--frames", "4"]], ids=" ".join,
    )  # fmt: skip
    def test_two_kinds_of_phantom_at_once(self, tmp_path, capsys, two):
        with pytest.raises(SystemExit) as stop:
            main(["phantom", "--out", str(tmp_path / "out"), *two])
        assert stop.value.code == 2 and "not allowed with" in capsys.readouterr().err
        assert not (tmp_path / "out").exists()

    def test_wrong_usage_is_explained(self, capsys):
        with pytest.raises(SystemExit) as stop:
            main(["train"])
        assert stop.value.code == 2 and "usage" in capsys.readouterr().err


def test_browse_writes_a_page_of_clips_spread_over_the_study(tmp_path, capsys, weights):
    ventricle_set(size=48).save(tmp_path / "study")
    page = tmp_path / "page.html"
    command = ["browse", str(tmp_path / "study"), "--out", str(page), "--weights", str(weights)]
    assert main([*command, "--clips", "2"]) == 0
    data = page_data(page)
    names = list(open_data(tmp_path / "study").table["clip"].unique())
    assert data["state"]["_names"] == [names[0], names[-1]]
    for content in data["contents"]:
        assert {"truth", "weights"} <= {layer["name"] for layer in content["layers"]}
    assert f"2 of {len(names)} clips" in capsys.readouterr().out
    assert main([*command, "--names", names[1], "--force"]) == 0
    assert page_data(page)["state"]["_names"] == [names[1]]


def test_browse_says_what_is_wrong(tmp_path, capsys, weights):
    ventricle_set(size=48).save(tmp_path / "study")
    command = ["browse", tmp_path / "study", "--out", tmp_path / "page.html"]
    fails(capsys, [*command, "--names", "nobody"], "expected one of", "'nobody'")
    fails(capsys, [*command, "--clips", "0"], "--clips: expected 1 or more")
    fails(capsys, [*command, "--weights", weights, weights], "two have the same name")
    fails(capsys, [*command, "--weights", "nothing"], "No weights at nothing")
    fails(capsys, ["browse", tmp_path / "no.avi", "--out", tmp_path / "page.html"], "no.avi")
    assert not (tmp_path / "page.html").exists()


# --- Options that do not fit are refused before any work ------------------------------------------


def test_a_calibration_is_written_to_a_json_file_only(tmp_path, capsys):
    for out in (tmp_path / "calibration", tmp_path / "calibration.csv"):
        fails(capsys, ["calibrate", tmp_path, "--out", out], "expected a JSON file", str(out))


def test_a_widening_says_where_it_comes_from(tmp_path, capsys):
    command = ["calibrate", tmp_path, "--out", tmp_path / "own.json"]
    fails(capsys, [*command, "--widen", "1.2"], "Describe the hearts", "--chosen-on")
    fails(
        capsys, [*command, "--widen", "nan", "--chosen-on", "x"], "expected a factor from 1 to 10"
    )
    fails(capsys, [*command, "--also", tmp_path, "--widen", "1.2"], "Give one of the two")


def test_a_study_needs_at_least_one_clip(tmp_path, capsys):
    command = ["function", tmp_path, "--out", tmp_path / "out", "--clips"]
    for count in (0, -2):
        fails(capsys, [*command, count], f"--clips: expected 1 or more, found {count}")


@pytest.mark.parametrize("target", ["masks", "landmarks", "regression"])
def test_every_kind_of_network_learns_from_the_cycle(tmp_path, target):
    study, out = tmp_path / "study", str(tmp_path / "out")
    ventricle_set(size=32).save(study)
    command = ["train", str(study), "--out", out, "--size", "32", "--epochs", "1", "--width", "2"]
    assert main([*command, "--cycle", "--target", target]) == 0
    assert load_model(out).arguments["inputs"] == 3


def test_a_network_of_the_beat_alone_cannot_outline(tmp_path, capsys):
    path = tmp_path / "clip.avi"
    write_avi(path, 3, (48, 48))
    command = ["segment", path, "--out", tmp_path / "out", "--weights", "lv_cycle"]
    fails(capsys, command, "sees 3 frames at a time", "--weights lv lv_cycle")


def test_browse_tells_networks_apart_by_their_whole_names(tmp_path, weights):
    path = tmp_path / "clip.avi"
    write_avi(path, 3, (48, 48))
    models = [tmp_path / "v0.5", tmp_path / "v0.6"]
    for folder in models:
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(weights.read_bytes())
    command = ["browse", path, "--out", tmp_path / "page.html", "--weights", *models]
    assert main([str(argument) for argument in command]) == 0
    layers = page_data(tmp_path / "page.html")["contents"][0]["layers"]
    assert [layer["name"] for layer in layers] == ["v0.5", "v0.6"]
