"""Killed commands: what goes on, what differs, and what is left behind."""

import sys

import numpy as np
import pytest
import torch

from echolib.networks.models import UNet, save_model
from tools import kill

# the first run stops in the middle, for good; the second one finds its file
HALF = "import pathlib, signal, sys; out = pathlib.Path(sys.argv[1]); file = out / 'begun'; "
WAITS = HALF + "file.exists() or (file.write_text(''), {between}, signal.pause()); {after}"


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """Runs a script in place of a command; its argument is the folder to write."""

    def use(between="0", after="0"):
        script = WAITS.format(between=between, after=after)
        monkeypatch.setattr(kill, "PYTHON", (sys.executable, "-c", script))
        return kill.Commands(tmp_path)

    return use


def test_a_command_is_killed_and_goes_on(commands, tmp_path):
    runs, out = commands(), tmp_path / "run" / "out"
    assert runs.kill("{out}", out, 0.2) == (True, 0)
    (out / "begun").write_text("")  # it may have been killed before it came to that
    assert runs.finish("{out}", out) == ""


def test_a_command_that_ended_before_is_told_from_one_that_was_killed(commands, tmp_path):
    out = tmp_path / "run" / "out"
    out.mkdir(parents=True)
    (out / "begun").write_text("")
    assert commands().kill("{out}", out, 60.0) == (False, 0)


def test_a_command_that_fails_says_why(commands, tmp_path):
    out = tmp_path / "run" / "out"
    out.mkdir(parents=True)
    (out / "begun").write_text("")
    fault = commands(after="sys.exit('half of a file')").finish("{out}", out)
    assert fault == "exit code 1: half of a file"


def test_processes_that_outlive_their_parent_are_counted_and_ended(commands, tmp_path, monkeypatch):
    monkeypatch.setattr(kill, "GRACE", 0.1)
    child = (
        "__import__('subprocess').Popen([sys.executable, '-c', 'import signal; signal.pause()'])"
    )
    runs = commands(between=child)
    assert runs.kill("{out}", tmp_path / "run" / "out", 2.0) == (True, 1)


def folders(tmp_path):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        yield tmp_path / name


def test_tables_may_differ_in_times_only(tmp_path):
    first, second = folders(tmp_path)
    (first / "a.csv").write_text("x,seconds\n1,2.5\n")
    (second / "a.csv").write_text("x,seconds\n1,9.5\n")
    assert kill.differences(first, second) == []
    (second / "a.csv").write_text("x,seconds\n3,2.5\n")
    assert kill.differences(first, second) == ["a.csv"]


def test_arrays_and_weights_are_compared_by_content(tmp_path):
    first, second = folders(tmp_path)
    torch.manual_seed(0)
    network = UNet(width=2, depth=1)
    for folder in (first, second):
        np.savez(folder / "a.npz", masks=np.ones(3, bool))
        save_model(network, folder / "net.safetensors")
    assert kill.differences(first, second) == []
    np.savez(second / "a.npz", masks=np.zeros(3, bool))
    torch.nn.init.zeros_(network.head.weight)
    save_model(network, second / "net.safetensors")
    assert kill.differences(first, second) == ["a.npz", "net.safetensors"]


def test_reports_may_differ_in_their_date_only(tmp_path):
    first, second = folders(tmp_path)
    (first / "a.html").write_text("EF 55 %, 2026-11-25 23:59")
    (second / "a.html").write_text("EF 55 %, 2026-11-26 00:00")
    assert kill.differences(first, second) == []
    (second / "a.html").write_text("EF 54 %, 2026-11-26 00:00")
    assert kill.differences(first, second) == ["a.html"]


def test_missing_and_additional_files_are_differences(tmp_path):
    first, second = folders(tmp_path)
    (first / "a.txt").write_text("")
    (second / "b.txt").write_text("")
    assert kill.differences(first, second) == ["a.txt", "b.txt"]


def test_what_is_hidden_or_unfinished_is_left_behind(tmp_path):
    (tmp_path / "out" / ".packed.partial").mkdir(parents=True)
    (tmp_path / "out" / ".frames.123.csv").write_text("")
    (tmp_path / "run.partial").mkdir()
    (tmp_path / "out" / "frames.csv").write_text("")
    assert [*kill.files_below(tmp_path)] == ["out/frames.csv"]
    assert kill.leftovers(tmp_path) == [".frames.123.csv", ".packed.partial", "run.partial"]
    kill.grow_old(tmp_path)
    ages = [(tmp_path / "out" / name).stat().st_mtime for name in (".frames.123.csv", "frames.csv")]
    assert ages[1] - ages[0] > kill.OLD - 5
