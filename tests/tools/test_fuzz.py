"""Damaged files: 300 of them are read or refused, and the checker sees what it looks for."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from tools import fuzz, fuzz_clips, fuzz_readers, fuzz_worker
from tools.fuzz_formats import CALLS
from tools.fuzz_mutators import CANARY
from tools.fuzz_seeds import SEEDS, Seed, make_seed

ANSWERS_ONCE = "import os, sys; sys.stdin.readline(); print('{}', flush=True); sys.stdin.readline()"


@pytest.fixture(scope="module")
def seeds():
    """The seeds of some formats of each kind."""
    names = ("mjpg.avi", "bare.dcm", "deflated.dcm", "echonet", "camus.nii.gz", "train.pkl",
             "test_truth.npz", "packed set", "calibration", "submission")  # fmt: skip
    return {name: make_seed(name) for name in names}


@pytest.fixture
def watch(tmp_path):
    for name in ("tmp", "work", "case"):
        (tmp_path / name).mkdir()
    return fuzz_worker.Watch(tmp_path)


@pytest.fixture
def judged(watch, monkeypatch):
    """What the checker says about a reader that is given as a function of the case's folder."""

    def judge(read):
        monkeypatch.setitem(fuzz_readers.READERS, "made", lambda folder, target: read(folder))
        case = {"reader": "made", "folder": str(watch.root / "case"), "target": "x.avi"}
        return fuzz_worker.check(case, watch)

    return judge


def raising(error):
    def read(folder):
        raise error

    return read


def test_300_damaged_files_are_read_or_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(fuzz, "OUT", tmp_path)
    monkeypatch.setenv("SVT_LOG", "0")
    tallies = fuzz.run(SEEDS, files=300, workers=1, progress=False)
    assert sum(tally.files for tally in tallies.values()) == 300
    lines = list(fuzz.report(tallies))
    assert [line for line in lines if " x " in line] == []


def test_a_file_depends_on_seed_format_and_number_only(seeds):
    for name in seeds:
        first, again = (fuzz.make_case(name, seeds[name], 5, seed=1) for _ in range(2))
        assert (first.target, first.content) == (again.target, again.content)
        others = {
            fuzz.make_case(name, seeds[name], number, seed=1).content for number in range(1, 25)
        }
        assert len(others) > 15
        assert fuzz.make_case(name, seeds[name], 5, seed=2).content != first.content


@pytest.mark.parametrize("name", fuzz_clips.CLIPS)
def test_whole_clips_show_what_was_drawn(name, tmp_path):
    from echolib.data import read_clip

    if (seed := make_seed(name)) is None:
        pytest.skip("an encoder is not installed")
    path = tmp_path / name
    path.write_bytes(seed.files[name])
    frames = read_clip(path).frames
    drawn = fuzz_clips.draw_frames(*frames.shape)
    assert np.abs(frames.astype(int) - drawn).mean() < 12  # grey levels; some are compressed


def test_a_seed_is_the_same_each_time(seeds):
    assert {name: make_seed.__wrapped__(name) for name in seeds} == seeds


def test_file_0_is_whole(seeds):
    case = fuzz.make_case("echonet", seeds["echonet"], 0, seed=1)
    assert case.content == case.seed.files[case.target]


def test_a_read_and_a_refused_file_are_no_findings(judged):
    assert judged(lambda folder: None)["state"] == "fine"
    assert judged(raising(ValueError("x.avi is damaged")))["state"] == "refused"
    assert judged(lambda folder: raising(OSError(f"{folder} is no folder"))(folder))["state"] == (
        "refused"
    )


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (KeyError("x.avi"), "KeyError"),
        (MemoryError("x.avi"), "MemoryError"),
        (RecursionError("x.avi"), "RecursionError"),
        (SystemExit(1), "SystemExit"),
        (ValueError("a file is damaged"), "ValueError that names no file"),
        (fuzz_readers.Broken("fps of a clip: -1"), "wrong result"),
    ],
)
def test_other_errors_are_findings(judged, error, kind):
    answer = judged(raising(error))
    assert (answer["state"], answer["kind"]) == ("finding", kind)


def test_the_place_is_the_innermost_frame_in_the_package(judged):
    from echolib.data import read_clip

    answer = judged(lambda folder: read_clip(folder / "other.avi"))
    assert answer["place"].startswith("data/video.py:")
    assert answer["state"] == "refused"


def test_calls_and_writes_outside_are_findings(judged, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "file"
    for act in (lambda _: outside.write_text(""), lambda _: outside.unlink()):
        answer = judged(act)
        assert answer["kind"] == "call or write outside" and str(outside) in answer["text"]
    assert judged(lambda folder: (folder / "inside").write_text(""))["state"] == "fine"


def test_an_unpickled_call_is_a_finding(judged, monkeypatch, watch):
    import pickle

    monkeypatch.chdir(watch.root / "work")
    answer = judged(lambda folder: pickle.loads(CALLS[1] + b"N."))
    assert answer["kind"] == "call or write outside"
    assert "find_class" in answer["text"] and (watch.root / "work" / CANARY).exists()


def test_what_is_left_behind_is_a_finding(judged):
    answer = judged(lambda folder: (folder.parent / "tmp" / "stream.mpg").write_text(""))
    assert (answer["kind"], answer["text"]) == ("left behind", "stream.mpg")


def test_memory_beyond_the_limit_is_a_finding(judged, monkeypatch):
    monkeypatch.setattr(fuzz_worker, "MEMORY", -1)
    assert judged(lambda folder: None)["kind"] == "memory"


@pytest.mark.parametrize(
    ("act", "kind"),
    [
        ("os.abort()", "died of SIGABRT"),
        ("os._exit(3)", "ended with 3"),
        ("__import__('signal').pause()", "over 0.5 s"),
        ("sum(iter(int, 1))", "over 0.5 s"),
    ],
)
def test_death_and_delay_are_findings(monkeypatch, act, kind):
    monkeypatch.setattr(fuzz, "COMMAND", (sys.executable, "-c", f"{ANSWERS_ONCE}; {act}"))
    reader = fuzz.Reader(seconds=0.5)
    seed = Seed("clip", {"x.avi": b"x"}, ("x.avi",))
    answer = reader.read(fuzz.Case("made", 1, seed, "x.avi", b"y"))
    reader.close()
    assert (answer["state"], answer["kind"]) == ("finding", kind)
    assert not reader.root.exists()


def test_a_finding_is_kept_and_repeated(tmp_path, monkeypatch, seeds):
    monkeypatch.setattr(fuzz, "OUT", tmp_path)
    whole = seeds["echonet"]
    broken = Seed("no such reader", whole.files, whole.targets)
    monkeypatch.setattr(fuzz, "make_seed", lambda name: broken)
    tallies = fuzz.run(["echonet"], files=5, workers=1, progress=False)
    assert tallies["echonet"].states == {"finding": 5}
    folders = sorted(path.name for path in tmp_path.iterdir())
    assert folders == [f"echonet-{number}" for number in range(fuzz.KEPT)]
    facts = json.loads(Path(tmp_path / "echonet-1" / fuzz.CASE_FILE).read_text())
    assert fuzz.replay(tmp_path / "echonet-1")["kind"] == facts["kind"] == "KeyError"
