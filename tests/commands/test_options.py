"""Options that several commands share: equal everywhere, named in the help, and obeyed."""

import argparse
import errno
import io
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch

from echolib.commands.parser import build_parser, main
from echolib.config import project_root
from echolib.networks.models import UNet, save_model
from echolib.ventricle import study as ventricle_study
from tests.commands.test_shell import fails
from tests.makers import EchoNetFolder, save_network, ventricle_set, write_avi

ASKS_NETWORKS = {
    "train", "evaluate", "robustness", "segment", "function", "calibrate", "browse", "mitral train",
    "mitral segment", "queue", "adapt",
}  # fmt: skip
READS_CLIPS = {"segment", "function", "browse", "mitral segment"}
WRITES_OVER = READS_CLIPS | {  # with --force only
    "evaluate", "calibrate", "mitral submit", "queue", "corrections",
}  # fmt: skip
SPLITS = {
    "evaluate": "test", "robustness": "test", "function": "test", "calibrate": "val",
    "browse": "all", "queue": "all", "adapt": "train",
}  # fmt: skip


def commands() -> dict[str, argparse.ArgumentParser]:
    """Every command by its words, with its parser."""

    def below(parser: argparse.ArgumentParser, words: tuple[str, ...]):
        kinds = argparse._SubParsersAction
        steps = [action for action in parser._actions if isinstance(action, kinds)]
        if not steps:
            yield " ".join(words), parser
        for action in steps:
            for name, step in action.choices.items():
                yield from below(step, (*words, name))

    return dict(below(build_parser(), ()))


def with_option(option: str) -> dict[str, argparse.Action]:
    """The commands that have an option, and how each declares it."""
    found = {}
    for name, parser in commands().items():
        for action in parser._actions:
            if option in action.option_strings:
                found[name] = action
    return found


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "weights.safetensors"
    save_network(UNet(width=2, depth=2), path, 32)
    return path


@pytest.fixture
def clip(tmp_path):
    write_avi(tmp_path / "clip.avi", 6, (48, 48))
    return tmp_path / "clip.avi"


def run(*words) -> int:
    return main([str(word) for word in words])


# --- Which command has which option ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "names"),
    [("--quiet", set(commands())), ("--device", ASKS_NETWORKS), ("--fps", READS_CLIPS),
     ("--spacing", READS_CLIPS | {"corrections"}), ("--blank-text", READS_CLIPS),
     ("--force", WRITES_OVER), ("--split", set(SPLITS))],
)  # fmt: skip
def test_commands_of_one_kind_have_one_option(option, names):
    assert set(with_option(option)) == names


def test_every_option_has_a_help_that_names_its_default():
    for name, parser in commands().items():
        for action in parser._actions:
            assert action.help, (name, action.dest)
            if action.default not in (None, False, "", [], argparse.SUPPRESS):
                assert "default" in action.help, (name, action.dest)


@pytest.mark.parametrize("name", SPLITS)
def test_the_help_names_the_default_of_a_split(name):
    action = with_option("--split")[name]
    assert f"(default {SPLITS[name]}" in action.help
    assert action.default == (None if name in ("function", "adapt", "calibrate") else SPLITS[name])


def test_the_help_names_the_environment(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    for name in ("ECHOLIB_DEVICE", "ECHOLIB_FAST=1", "ECHOLIB_MEMORY", "ECHOLIB_DATA"):
        assert name in text


# --- What they do ---------------------------------------------------------------------------------


def test_fps_and_spacing_take_the_place_of_those_of_the_file(tmp_path, clip, weights):
    out = tmp_path / "out"
    given = ["--weights", weights, "--fps", "25", "--spacing", "0.5"]
    assert run("segment", clip, "--out", out, *given) == 0
    area = pd.read_csv(out / "area.csv")
    assert area.time_s.iloc[-1] == pytest.approx(5 / 25)
    assert np.allclose(area.area_mm2, 0.25 * area.area_px)


def test_what_no_heart_scan_has_is_refused(tmp_path, capsys, clip):
    command = ["segment", clip, "--out", tmp_path / "out"]
    fails(capsys, [*command, "--fps", "0"], "fps: expected 1 to 500")
    fails(capsys, [*command, "--spacing", "50"], "spacing: expected 0.01 to 10")


def test_a_folder_is_not_resumed_with_another_rate(tmp_path, capsys, clip, weights):
    folder, out = tmp_path / "clips", tmp_path / "out"
    folder.mkdir()
    clip.rename(folder / clip.name)
    for name in ("segment", "function"):
        command = [name, folder, "--out", out / name, "--weights", weights]
        assert run(*command, "--fps", "25") == 0
        fails(capsys, [*command, "--fps", "30"], "another run; they differ in")


def test_browse_takes_a_rate_for_all_clips_of_a_folder(tmp_path, clip):
    from tests.browser.truth import page_data

    folder, page = tmp_path / "clips", tmp_path / "page.html"
    folder.mkdir()
    clip.rename(folder / "a.avi")
    write_avi(folder / "b.avi", 4, (48, 48))
    assert run("browse", folder, "--out", page, "--fps", "25") == 0
    assert [content["fps"] for content in page_data(page)["contents"]] == [25, 25]


def test_browse_writes_a_page_in_which_outlines_can_be_corrected(tmp_path, capsys, clip, weights):
    from tests.browser.truth import page_data

    page = tmp_path / "page.html"
    command = ["browse", clip, "--out", page, "--weights", weights]
    assert run(*command, "--edit", "--annotator", "anna") == 0
    data = page_data(page)
    (content,) = data["contents"]
    assert data["state"]["edit"] and content["edit"]["annotator"] == "anna"
    assert len(content["edit"]["version"]) == 12  # of the checksum of the weights
    assert run(*command, "--force") == 0
    assert "edit" not in page_data(page)["contents"][0]
    fails(capsys, [*command, "--force", "--annotator", "anna"], "--annotator: expected --edit")


def test_quiet_says_nothing_and_writes_the_same(tmp_path, capsys, clip, weights):
    texts = []
    for name, options in (("loud", []), ("quiet", ["--quiet"])):
        out = tmp_path / name
        command = ["segment", clip, "--out", out, "--weights", weights]
        assert run(*command, *options) == 0
        texts.append(capsys.readouterr())
        assert (out / "masks.npz").is_file()
    assert "frames outlined" in texts[0].out and texts[1].out == texts[1].err == ""


def test_quiet_shows_no_bar(tmp_path, capfd, weights):
    ventricle_set(size=32).save(tmp_path / "set")
    model = tmp_path / "model"
    train = ["train", tmp_path / "set", "--out", model, "--size", "32", "--width", "2"]
    assert run(*train, "--epochs", "1", "--quiet") == 0
    scores = ["evaluate", tmp_path / "set", "--weights", model, "--json", tmp_path / "s.json"]
    assert run(*scores, "--quiet") == 0
    robust = ["robustness", tmp_path / "set", "--weights", model, "--out", tmp_path / "r"]
    assert run(*robust, "--corruptions", "haze", "--severities", "1", "--quiet") == 0
    study = EchoNetFolder(tmp_path / "study").write()
    function = ["function", study, "--out", tmp_path / "f", "--weights", weights, "--videos", "0"]
    assert run(*function, "--quiet") == 0
    packed = ["pack", study, "--out", tmp_path / "p", "--size", "32"]
    assert run(*packed, "--quiet") == 0
    assert run("phantom", "--frames", "2", "--out", tmp_path / "x", "--size", "32", "--quiet") == 0
    done = capfd.readouterr()
    assert done.out == "" and "%|" not in done.err


def test_quiet_scores_need_a_file(tmp_path, capsys):
    fails(capsys, ["evaluate", tmp_path, "--quiet"], "name a file for them with --json")


def test_the_device_of_a_command_holds_for_that_command(
    tmp_path, capsys, monkeypatch, clip, weights
):
    monkeypatch.setenv("ECHOLIB_DEVICE", "nowhere")
    command = ["segment", clip, "--weights", weights, "--out", tmp_path / "out"]
    fails(capsys, command, "The device 'nowhere' is unknown", "--device")
    assert run(*command, "--device", "cpu") == 0
    assert os.environ["ECHOLIB_DEVICE"] == "nowhere"
    monkeypatch.delenv("ECHOLIB_DEVICE")
    fails(capsys, [*command, "--device", "cuda:99", "--force"], "cuda:99 is not there")
    assert "ECHOLIB_DEVICE" not in os.environ


@pytest.mark.parametrize("name", ["segment", "function", "mitral segment"])
def test_results_of_a_clip_are_written_over_only_by_force(tmp_path, capsys, clip, name):
    torch.manual_seed(0)
    save_model(UNet(2, 2), tmp_path / "net.safetensors")
    out = tmp_path / "out"
    out.mkdir()  # an empty folder is none
    command = [*name.split(), clip, "--out", out, "--weights", tmp_path / "net.safetensors"]
    assert run(*command) == 0
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    fails(capsys, command, f"{out} exists already", "--force")
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == before
    assert run(*command, "--force") == 0
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} != before


def test_files_are_written_over_only_by_force(tmp_path, capsys, clip, weights):
    frames, there = tmp_path / "set", tmp_path / "there"
    ventricle_set(size=32).save(frames)
    there.write_text("mine")
    np.savez(tmp_path / "masks.npz", a=np.zeros((2, 4, 4), bool))
    commands = [
        ["browse", clip, "--out", there],
        ["evaluate", frames, "--weights", weights, "--json", there],
        ["mitral", "submit", tmp_path / "masks.npz", "--out", there],
    ]
    for command in commands:
        fails(capsys, command, f"{there} exists already", "--force")
        assert there.read_text() == "mine"
        assert run(*command, "--force") == 0
        assert there.read_text() != "mine"
        there.write_text("mine")
    there.rename(tmp_path / "there.json")
    calibrate = ["calibrate", frames, "--out", tmp_path / "there.json"]
    fails(capsys, calibrate, "there.json exists already", "--force")


@pytest.mark.parametrize("name", ["scores.csv", "scores.CSV"])
def test_the_summary_of_scores_is_no_csv(tmp_path, capsys, name):
    words = ["evaluate", tmp_path, "--json", tmp_path / name, "--force"]
    fails(capsys, words, "scores.json, found", "where the CSV of cases would lie")


def test_a_folder_in_place_of_a_file_is_said(tmp_path, capsys, clip):
    fails(capsys, ["browse", clip, "--out", tmp_path], "found a folder. Name a file in it", ".html")
    fails(capsys, ["evaluate", clip, "--json", tmp_path], "found a folder", ".json")
    fails(capsys, ["mitral", "submit", clip, "--out", tmp_path], "found a folder", ".csv")


def test_a_seed_below_0_is_refused_by_its_option_before_anything_is_read(tmp_path, capsys):
    commands = with_option("--seed")
    assert {"train", "mitral train", "adapt", "phantom", "robustness"} <= set(commands)
    for name in commands:
        kind = ["--frames", "2"] if name == "phantom" else ["nowhere"]
        words = [*name.split(), *kind, "--out", tmp_path / "out"]
        for seed in (-1, 2**32):
            message = fails(capsys, [*words, "--seed", seed], "--seed must be", str(seed))
            assert message.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_names_that_may_be_meant_are_asked_for(tmp_path, capsys, monkeypatch, clip):
    monkeypatch.chdir(tmp_path)
    out = ["--out", tmp_path / "out"]
    fails(capsys, ["segment", clip, *out, "--weights", "lv_cylce"], "Did you mean 'lv_cycle'?")
    message = f"clp.avi: no such file ({tmp_path / 'clp.avi'}). Did you mean 'clip.avi'?"
    fails(capsys, ["function", "clp.avi", *out], message)
    fails(capsys, ["browse", "clp.avi", *out], message)
    fails(capsys, ["train", "clips", *out], f"no such folder ({tmp_path / 'clips'})")
    ventricle_set(size=32).save(tmp_path / "set")
    fails(capsys, ["train", "set", *out, "--loss", "bce_dise"], "Did you mean 'bce_dice'?")
    fails(capsys, ["function", clip, *out, "--calibration", "no.json"], "no.json: no such file")


# --- Trainings become longer ----------------------------------------------------------------------


def test_train_resumes_at_the_length_that_it_had_unless_another_is_given(tmp_path, capsys):
    ventricle_set(size=32).save(tmp_path / "set")
    command = ["train", tmp_path / "set", "--out", tmp_path / "net", "--size", "32", "--width", "2"]
    assert run(*command, "--epochs", "2") == 0
    outcome = capsys.readouterr().out.splitlines()[1]
    assert run(*command, "--resume") == 0  # finished: nothing to do
    assert f"is finished: {outcome}" in capsys.readouterr().out
    assert run(*command, "--resume", "--epochs", "4") == 0
    count = int(outcome.split(" planned")[0].split()[-1])
    assert f"of {2 * count} planned" in capsys.readouterr().out
    fails(capsys, [*command, "--resume", "--epochs", "1"], "Give a larger one")
    seconds = pd.read_csv(tmp_path / "net" / "history.csv").seconds.iloc[-1]
    assert run(*command, "--resume", "--minutes", str(2 * seconds / 60)) == 0


# --- What is kept of a command that is stopped ----------------------------------------------------


def stop(*_, **__):
    raise KeyboardInterrupt


@pytest.mark.parametrize(("command", "last"), [
    (["segment"], "echolib.figures.film.write_gif"),
    (["function"], "echolib.report.ventricle.write_report"),
    (["mitral", "segment"], "echolib.figures.film.write_gif"),
])  # fmt: skip
def test_a_clip_that_is_stopped_at_its_last_file_can_be_begun_anew(
    tmp_path, capsys, monkeypatch, clip, weights, command, last
):
    words = [*command, clip, "--out", tmp_path / "out", "--weights", weights]
    monkeypatch.setattr(last, stop)
    assert run(*words) == 130
    assert "stopped: nothing is finished" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    monkeypatch.undo()
    assert run(*words) == 0


def test_a_stopped_clip_is_said_to_be_unfinished(tmp_path, capsys, monkeypatch, clip, weights):
    monkeypatch.setattr("echolib.networks.inference.packed_outline", stop)
    assert run("segment", clip, "--out", tmp_path / "out", "--weights", weights) == 130
    assert "stopped: nothing is finished" in capsys.readouterr().err
    monkeypatch.setattr("echolib.networks.inference.score", stop)
    ventricle_set(size=32).save(tmp_path / "set")
    assert run("evaluate", tmp_path / "set", "--weights", weights) == 130
    assert "stopped: nothing is finished" in capsys.readouterr().err


def test_a_command_that_is_stopped_while_it_is_imported_says_so(tmp_path):
    (tmp_path / "numpy.py").write_text("""
import os, signal
try:
    os.kill(os.getpid(), signal.SIGINT)
    signal.sigtimedwait([], 60)  # interrupted by the signal
except KeyboardInterrupt:
    raise ImportError("IMPORTANT: PLEASE READ THIS") from None
""")
    done = subprocess.run(
        [sys.executable, "-m", "echolib", "--help"], cwd=tmp_path, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(project_root())},
    )  # fmt: skip
    assert done.returncode == 130 and done.stderr == "echolib: stopped before it began.\n"


def test_names_that_the_output_cannot_encode_are_printed_with_backslashes(tmp_path, monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding="ascii"))
    out = tmp_path / "gr\u00f6\u00dfe"
    assert run("phantom", "--frames", "2", "--size", "32", "--out", out) == 0
    sys.stdout.flush()
    assert b"gr\\xf6\\xdfe" in written.getvalue() and out.is_dir()


def test_a_full_disk_is_said_with_the_file_and_the_remedy(tmp_path, capsys, monkeypatch):
    def fill(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("echolib.files.os.replace", fill)
    out = tmp_path / "out"
    message = fails(
        capsys, ["phantom", "--frames", "2", "--size", "32", "--out", out, "--quiet"],
        f"{out} cannot be written: the disk is full. Free some space, or choose a place",
    )  # fmt: skip
    assert "Errno" not in message and message.count("\n") == 1


@pytest.mark.parametrize("name", ["function", "segment"])
def test_finished_clips_of_a_folder_are_kept(tmp_path, capsys, monkeypatch, weights, name):
    from echolib.networks import inference
    from echolib.ventricle import clip as ventricle_clip

    folder, out = tmp_path / "clips", tmp_path / "out"
    for letter in "abc":
        write_avi(folder / f"{letter}.avi", 5, (48, 48))
    module, asked = {
        "function": (ventricle_study, "measure_clip"), "segment": (inference, "packed_outline"),
    }[name]  # fmt: skip
    whole = getattr(module if name == "segment" else ventricle_clip, asked)
    seen: list[str] = []

    def one(*given):
        seen.extend(part.name for part in given if hasattr(part, "frames"))
        if len(seen) == 3:
            raise KeyboardInterrupt
        return whole(*given)

    monkeypatch.setattr(module, asked, one)
    command = [name, folder, "--out", out, "--weights", weights]
    assert run(*command) == 130
    assert (
        "stopped: finished clips are kept, and the same command goes on" in capsys.readouterr().err
    )
    assert run(*command) == 0
    assert len(seen) == 4 and seen[2] == seen[3]  # the third clip alone was begun again
