"""Packing from several processes at once, and what is left of processes that were killed."""

import errno
import multiprocessing
import os
import shutil
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from echolib.data import FrameSet, open_data, pack, pack_once, packing
from echolib.errors import DataError
from tests.makers import EchoNetFolder, race

ROUNDS = 50


def pack_in_rounds(folder, failed, barrier, number):
    """Pack the same data set in each round, in a data folder of the round's own."""
    os.getpid = lambda: 7  # as of two containers that share a disk
    data = open_data(folder / "echonet")
    for turn in range(ROUNDS):
        os.environ["ECHOLIB_DATA"] = str(folder / f"data-{turn}")
        barrier.wait()
        try:
            frames = pack_once(data, 16)
            assert len(frames) == 4 and np.any(frames.masks) and np.any(frames.images)
        except Exception as error:
            failed.put(f"round {turn}: {type(error).__name__}: {error}")


def test_two_processes_that_pack_the_same_frames_both_get_them(tmp_path):
    EchoNetFolder(tmp_path / "echonet", clips=2).write()
    failed = multiprocessing.get_context("spawn").Queue()
    codes = race(pack_in_rounds, tmp_path, failed)
    assert failed.empty(), failed.get()
    assert codes == [0, 0]
    for turn in range(ROUNDS):
        assert len(os.listdir(tmp_path / f"data-{turn}" / "packed")) == 1


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("ECHOLIB_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(packing, "CLIPS_PER_TASK", 2)
    return open_data(EchoNetFolder(tmp_path / "echonet").write())


@pytest.mark.parametrize(
    "file", ["part-0000002.json", "part-0000002.npz", "identity.json", "part-0000004.npz"]
)
@pytest.mark.parametrize("damage", ["cut", "zeros", "missing"])
def test_damaged_parts_of_an_interrupted_run_do_not_stop_the_next(
    data, tmp_path, monkeypatch, file, damage
):
    whole = pack(data, tmp_path / "whole", 16, progress=False)
    monkeypatch.setattr(packing, "_assemble", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        pack(data, tmp_path / "packed", 16, progress=False)
    monkeypatch.undo()
    monkeypatch.setattr(packing, "CLIPS_PER_TASK", 2)
    path = tmp_path / ".packed.partial" / file
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] + (bytes(len(content) // 2) * (damage != "cut")))
    if damage == "missing":
        path.unlink()
    remade = file.startswith("part") and (damage != "missing" or path.suffix == ".npz")
    with pytest.warns(UserWarning, match="made anew") if remade else nullcontext():
        again = pack(data, tmp_path / "packed", 16, progress=False)
    assert again.fingerprint() == whole.fingerprint()
    assert not list(tmp_path.glob(".*"))


def test_a_folder_with_other_files_is_refused_before_anything_is_read(data, tmp_path, monkeypatch):
    monkeypatch.setattr(data, "labelled", None)
    with pytest.raises(DataError, match=r"found FileList\.csv, Videos"):
        pack(data, tmp_path / "echonet", 16, progress=False)
    assert sorted(os.listdir(tmp_path)) == ["echonet"]
    assert len(os.listdir(tmp_path / "echonet")) == 3


def test_frames_are_packed_on_the_disk_that_a_link_leads_to(data, tmp_path):
    (tmp_path / "big disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "big disk" / "packed")
    pack(data, tmp_path / "link", 16, progress=False)
    assert len(FrameSet.load(tmp_path / "big disk" / "packed")) == 12
    assert (tmp_path / "link").is_symlink()


def test_a_finished_set_loses_what_a_killed_process_left_beside_it(data, tmp_path):
    pack_once(data, 16)
    (folder,) = (tmp_path / "data" / "packed").iterdir()
    for name in (f".{folder.name}.partial", f".{folder.name}.oldprint-16-1.partial"):
        (folder.parent / name).mkdir()
        (folder.parent / name / "part-0000000.npz").touch()
    (folder.parent / f".{folder.name}.lock").touch()
    assert len(pack_once(data, 16)) == 12
    assert os.listdir(folder.parent) == [folder.name]


def test_impossible_landmarks_are_left_out_and_impossible_numbers_are_unknown(
    data, tmp_path, monkeypatch
):
    read = data.labelled

    def labelled(clip):
        first, second = read(clip)[0]
        far = first.landmarks.copy()
        far[3, 0] = {"0X0000": np.inf, "0X0001": np.nan, "0X0002": 1e30}.get(clip, 3)
        return [replace(first, landmarks=far), replace(second, fps=-5.0, spacing=np.inf)], []

    monkeypatch.setattr(data, "labelled", labelled)
    frames = pack(data, tmp_path / "packed", 16, progress=False)
    assert len(frames) == 9 and frames.table.fps.isna().sum() == 6
    reasons = [(problem.reason, problem.action) for problem in frames.problems]
    assert reasons.count(("a landmark is no place in an image", "left out")) == 3
    assert reasons.count(("fps is -5, taken as unknown", "noted")) == 6
    assert reasons.count(("spacing is inf, taken as unknown", "noted")) == 6


def test_a_damaged_finished_set_is_named(data, tmp_path):
    pack_once(data, 16)
    (folder,) = (tmp_path / "data" / "packed").iterdir()
    (folder / "masks.npy").write_bytes(b"\x93NUMPY\x01\x00\x10\x00{'descr': (")
    with pytest.raises(DataError, match=r"masks\.npy: .*Move the folder away and pack"):
        pack_once(data, 16)
    shutil.rmtree(folder)
    assert isinstance(pack_once(data, 16), FrameSet)


def refusing(monkeypatch, name, number):
    """Let a clip's file be one that cannot be opened."""
    whole = Path.open

    def open_file(self, *given, **named):
        if self.name == name:
            raise OSError(number, os.strerror(number), str(self))
        return whole(self, *given, **named)

    monkeypatch.setattr(Path, "open", open_file)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE])
def test_a_clip_that_cannot_be_read_is_reported_and_left_out(data, tmp_path, monkeypatch, number):
    refusing(monkeypatch, "0X0001.avi", number)
    frames = pack(data, tmp_path / "packed", 16, progress=False)
    assert len(frames) == 10
    (problem,) = frames.problems
    assert problem.file == "Videos/0X0001.avi" and os.strerror(number) in problem.reason
    assert str(tmp_path) not in problem.reason


def test_frames_are_packed_anew_once_a_clip_may_be_read(data, monkeypatch):
    whole = data.fingerprint()
    monkeypatch.setattr(os, "access", lambda path, mode: path.name != "0X0001.avi")
    assert data.fingerprint() != whole


def stopping(data, monkeypatch, error):
    """Let the fifth clip raise an error; returns the clips that are read."""
    read, labelled = [], data.labelled

    def label(clip):
        read.append(clip)
        if clip == "0X0004":
            raise error
        return labelled(clip)

    monkeypatch.setattr(data, "labelled", label)
    return read


def test_finished_parts_are_kept_where_reading_fails(data, tmp_path, monkeypatch):
    whole = pack(data, tmp_path / "whole", 16, progress=False)
    with monkeypatch.context() as patch:
        read = stopping(data, patch, OSError(errno.EIO, os.strerror(errno.EIO), "disk"))
        with pytest.raises(
            OSError, match=r"Input/output error \(disk\)\. What is finished is kept"
        ):
            pack(data, tmp_path / "packed", 16, progress=False)
        read.clear()
        with pytest.raises(OSError, match="kept"):
            pack(data, tmp_path / "packed", 16, progress=False)
        assert "0X0004" in read and {*read} <= {"0X0004", "0X0005"}  # parts 1 and 2 are there
    again = pack(data, tmp_path / "packed", 16, progress=False)
    assert again.fingerprint() == whole.fingerprint() and not list(tmp_path.glob(".*"))


def test_parts_are_removed_where_the_disk_is_full(data, tmp_path, monkeypatch):
    stopping(data, monkeypatch, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    message = r"the disk is full\. The unfinished files have been removed\. Free .*\(--out\)"
    with pytest.raises(OSError, match=message):
        pack(data, tmp_path / "packed", 16, progress=False)
    assert os.listdir(tmp_path) == ["echonet"]


def test_a_disk_that_is_too_small_is_said_with_both_sizes(data, tmp_path, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(OSError, match="kept"):
        stopping(data, patch, OSError(errno.EIO, "no"))
        pack(data, tmp_path / "packed", 500, progress=False)
    usage = shutil.disk_usage(tmp_path)._replace(free=2_000_000)
    monkeypatch.setattr(packing.shutil, "disk_usage", lambda _: usage)
    kept = r"about 14 MB are needed, 2 MB are free\. What is finished is kept.*Free .*\(--out\)"
    with pytest.raises(OSError, match=kept):
        pack(data, tmp_path / "packed", 500, progress=False)
    assert (tmp_path / ".packed.partial" / "part-0000000.npz").is_file()
    with pytest.raises(OSError, match=r"about 18 MB are needed.*removed.*set ECHOLIB_DATA"):
        pack_once(data, 500, progress=False)
    assert os.listdir(tmp_path / "data" / "packed") == []
