"""Files are whole or not there; what killed processes left of them is cleared away."""

import os

import pytest

from echolib.files import atomic_path, remove_leftovers


def test_a_file_is_whole_or_not_there(tmp_path):
    path = tmp_path / "deep" / "table.csv"
    with atomic_path(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
    with pytest.raises(KeyboardInterrupt), atomic_path(path) as temporary:
        temporary.write_text("ha")
        raise KeyboardInterrupt
    assert path.read_text() == "whole" and os.listdir(path.parent) == ["table.csv"]


def test_old_leftovers_of_files_that_are_there_are_removed(tmp_path):
    with atomic_path(tmp_path / "clip.avi") as temporary:
        temporary.touch()
    kept = [".other.12.avi", ".clip.avi", ".clip.mine.avi", "notes.12.avi", "clip.avi"]
    for name in [*kept, temporary.name, ".clip.7.avi"]:
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, 0))
    (tmp_path / ".clip.8.avi").touch()  # fresh: somebody may be writing it
    remove_leftovers(tmp_path)
    assert set(os.listdir(tmp_path)) == {*kept, ".clip.8.avi"}
