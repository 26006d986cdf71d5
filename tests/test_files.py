"""Files are whole or not there; what killed processes left of them is cleared away."""

import errno
import os
import signal
import subprocess
import sys
import time

import pytest

from echolib import files
from echolib.errors import DataError
from echolib.files import atomic_path, read_json, remove_leftovers, write_json


def test_a_file_is_whole_or_not_there(tmp_path):
    path = tmp_path / "deep" / "table.csv"
    with atomic_path(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
    with pytest.raises(KeyboardInterrupt), atomic_path(path) as temporary:
        temporary.write_text("ha")
        raise KeyboardInterrupt
    assert path.read_text() == "whole" and os.listdir(path.parent) == ["table.csv"]


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    for content in ("first", "second"):
        with atomic_path(tmp_path / "set") as temporary:
            temporary.mkdir()
            (temporary / content).touch()
    assert os.listdir(tmp_path) == ["set"] and os.listdir(tmp_path / "set") == ["second"]


def test_a_folder_that_cannot_be_replaced_stays(tmp_path, monkeypatch):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "first").touch()
    rename, calls = os.replace, []

    def fails_once(source, target):
        calls.append(target)
        if len(calls) == 2:
            raise OSError("no")
        rename(source, target)

    monkeypatch.setattr(files.os, "replace", fails_once)
    with pytest.raises(OSError, match="no"), atomic_path(tmp_path / "set") as temporary:
        temporary.mkdir()
    assert os.listdir(tmp_path) == ["set"] and os.listdir(tmp_path / "set") == ["first"]


def test_hidden_files_of_others_are_never_taken_for_leftovers(tmp_path):
    kept = ["notes.txt", ".notes.20240101.txt", ".notes.19.txt", ".a.0123abcd-7.txt", "a.avi"]
    kept += [".a.12.avi", ".a.0123abcd-7-0123abcd.partial.avi"]
    for name in kept:
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, 0))
    remove_leftovers(tmp_path)
    assert set(os.listdir(tmp_path)) == set(kept)


@pytest.mark.parametrize("there", [True, False])
def test_a_link_stays_and_its_target_is_written(tmp_path, there):
    for kind, name in (("table.csv", "other.csv"), ("set", "other"), ("film.mp4", "film")):
        target, link = tmp_path / "big disk" / name, tmp_path / kind
        link.symlink_to(target)
        is_folder = kind == "set"
        if there:
            target.parent.mkdir(exist_ok=True)
            target.mkdir() if is_folder else target.write_text("old")
        with atomic_path(link) as temporary:
            assert temporary.parent == target.parent
            assert is_folder or temporary.suffix == link.suffix
            temporary.mkdir() if is_folder else temporary.write_text("new")
            (temporary / "new").touch() if is_folder else None
        assert link.is_symlink() and link.samefile(target)
        assert (os.listdir(target) == ["new"]) if is_folder else (target.read_text() == "new")
    assert len(os.listdir(tmp_path / "big disk")) == 3


@pytest.mark.parametrize("name", ["clip.avi", "set", "UID.1.2.3"])
def test_what_a_killed_process_leaves_is_removed_at_once(tmp_path, name):
    script = """
import os, signal, sys
from echolib.files import atomic_path
with atomic_path(sys.argv[1]) as temporary:
    temporary.mkdir() if sys.argv[1].endswith("set") else temporary.touch()
    os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path / name)])
    assert killed.returncode == -signal.SIGKILL
    with atomic_path(tmp_path / name) as temporary:  # of a live process: this one
        temporary.touch()
        os.utime(temporary, (time.time() - 3600,) * 2)
        assert len(os.listdir(tmp_path)) == 2
        remove_leftovers(tmp_path)
        assert os.listdir(tmp_path) == [temporary.name]


def test_leftovers_of_another_machine_are_kept_for_a_day(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_machine", lambda: "0123abcd")
    with atomic_path(tmp_path / "a.csv") as one, atomic_path(tmp_path / "b.csv") as other:
        for path, age in ((one, 3600), (other, 90_000)):
            path.touch()
            os.utime(path, (time.time() - age,) * 2)
        monkeypatch.undo()
        remove_leftovers(tmp_path)
        assert os.listdir(tmp_path) == [one.name]
        other.touch()


def test_equal_process_numbers_give_different_names(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "getpid", lambda: 7)
    with atomic_path(tmp_path / "a.csv") as one, atomic_path(tmp_path / "a.csv") as other:
        assert one != other and one.suffix == other.suffix == ".csv"
        one.touch(), other.touch()


def test_json_that_cannot_be_read_is_one_error(tmp_path):
    write_json({"a": [1, None]}, tmp_path / "a.json")
    assert read_json(tmp_path / "a.json") == {"a": [1, None]}
    for content in (b"{", b"\xff\xfe{}", b"[" * 100_000, b""):
        (tmp_path / "b.json").write_bytes(content)
        with pytest.raises(DataError, match=r"b\.json: expected JSON"):
            read_json(tmp_path / "b.json")
    with pytest.raises(DataError, match=r"c\.json: no such file"):
        read_json(tmp_path / "c.json")


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path):
    (tmp_path / "out").touch()
    with (
        pytest.raises(NotADirectoryError, match="expected a folder, found a file.*/out'"),
        atomic_path(tmp_path / "out" / "deeper" / "table.csv"),
    ):
        pass


@pytest.mark.parametrize(
    "name",
    [
        "a" * 251 + ".avi",
        "\u00f6" * 125 + ".csv",
        "\u20ac" * 85,
        "1." * 127 + "2",
        "a." + "b" * 253,
    ],
    ids=["video", "umlauts", "euros", "dots", "suffix"],
)
def test_a_name_of_any_length_is_written(tmp_path, name):
    for content in ("old", "new"):
        with atomic_path(tmp_path / name) as temporary:
            temporary.write_text(content)
            assert files.TEMPORARY.fullmatch(temporary.name)
            assert temporary.name.endswith(name[-4:]) or not name.endswith((".avi", ".csv"))
    assert os.listdir(tmp_path) == [name] and (tmp_path / name).read_text() == "new"


def test_long_names_have_hidden_names_of_their_own(tmp_path):
    names = ["a" * 255, "a" * 254 + "b", "\u00f6" * 127, "short"]
    hidden = [files.hidden(tmp_path / name, ".partial") for name in names]
    assert len({*hidden}) == 4 and hidden[3].name == ".short.partial"
    for path in hidden:
        path.mkdir()
        assert path.name.startswith(".") and path.suffix == ".partial"


@pytest.mark.parametrize("named", [None, "temporary"])
def test_an_error_of_writing_names_the_file(tmp_path, named):
    path = tmp_path / "table.csv"
    with pytest.raises(OSError, match="No space left") as caught, atomic_path(path) as temporary:
        there = [] if named is None else [str(temporary)]
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), *there)
    assert caught.value.filename == str(path) and os.listdir(tmp_path) == []
    expected = f"{path} cannot be written: the disk is full. Free some space"
    assert files.no_room(caught.value).startswith(expected)


def test_an_error_of_another_file_keeps_its_name(tmp_path):
    with pytest.raises(FileNotFoundError) as caught, atomic_path(tmp_path / "table.csv"):
        (tmp_path / "source.csv").read_text()
    assert caught.value.filename == str(tmp_path / "source.csv")
    assert files.no_room(caught.value) is None
    assert files.no_room(OSError(errno.ENOSPC, "8 MB are needed")) is None
