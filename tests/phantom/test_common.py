"""A phantom study that several processes want at once is written by one of them."""

import os
from functools import partial

import pytest

from echolib import files
from echolib.phantom.common import write_once
from tests.makers import race

STUDY = {"source": "phantom", "seed": 1}
ROUNDS = 20


def draw(folder, number):
    """Write a study's parts and tables, and fail if another process does the same."""
    (folder / "items").mkdir()
    for _ in range(100):  # long enough for the other process to come here too
        (folder / "items" / "0").write_text(str(number))
        assert (folder / "items" / "0").read_text() == str(number)
    (folder / "items" / "0").rename(folder / "one.csv")
    (folder / "items").rmdir()


def write_in_rounds(folder, barrier, number):
    os.getpid = lambda: 7  # as of two containers that share a disk
    for turn in range(ROUNDS):
        study = folder / f"study-{turn}"
        barrier.wait()
        write_once(study, STUDY, ["one.csv"], partial(draw, study, number))
        assert (study / "one.csv").read_text() in ("0", "1")


def test_two_processes_write_a_study_once(tmp_path):
    assert race(write_in_rounds, tmp_path) == [0, 0]
    assert sorted(os.listdir(tmp_path)) == sorted(f"study-{turn}" for turn in range(ROUNDS))
    assert set(os.listdir(tmp_path / "study-0")) == {"study.json", "one.csv"}


def test_a_finished_study_loses_what_a_killed_process_left_in_it(tmp_path):
    write_once(tmp_path / "study", STUDY, [], lambda: pytest.fail("no file is missing"))
    (tmp_path / "study" / "Videos").mkdir()
    dead = f"{files._machine()}-99999999-0123abcd"
    for name in (f".one.{dead}.csv", f"Videos/.clip.{dead}.avi", ".mine.csv"):
        (tmp_path / "study" / name).touch()
    write_once(tmp_path / "study", STUDY, [], lambda: pytest.fail("no file is missing"))
    left = {path.name for path in (tmp_path / "study").rglob("*")}
    assert left == {"study.json", "Videos", ".mine.csv"}
