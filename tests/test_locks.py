"""What several processes want at once is made once, by whichever comes first."""

import errno
import multiprocessing
import os
import signal
import threading

import pytest

from echolib import locks
from echolib.locks import one_at_a_time, remove_dead_lock
from tests.makers import race

ROUNDS = 20


def make_in_rounds(folder, barrier, number):
    """Make a file in each round unless it is there; count in `folder` who made it."""
    os.getpid = lambda: 7  # as of two containers that share a disk
    for turn in range(ROUNDS):
        barrier.wait()
        target = folder / f"round-{turn}"
        with one_at_a_time(target):
            if not target.exists():
                for _ in range(100):  # long enough for the other process to come here too
                    (folder / f"made-{turn}-{number}").touch()
                target.touch()


def hold(folder, ready):
    with one_at_a_time(folder / "target"):
        ready.set()
        threading.Event().wait(60)  # until it is killed


def test_of_two_processes_one_makes_and_no_lock_file_is_left(tmp_path):
    assert race(make_in_rounds, tmp_path) == [0, 0]
    assert len(list(tmp_path.glob("made-*"))) == ROUNDS
    assert not list(tmp_path.glob(".*"))


def test_waiting_is_said_and_a_killed_process_frees_its_lock(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "PATIENCE", 0.2)
    spawn = multiprocessing.get_context("spawn")
    ready = spawn.Event()
    holder = spawn.Process(target=hold, args=(tmp_path, ready))
    holder.start()
    assert ready.wait(60) and (tmp_path / ".target.lock").is_file()

    def say(message, **_):
        said.append(message)
        os.kill(holder.pid, signal.SIGKILL)

    said = []
    monkeypatch.setattr(locks.warnings, "warn", say)
    with one_at_a_time(tmp_path / "target"):
        assert said == [f"Another process is making {tmp_path / 'target'}: waiting for it."]
    holder.join()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("error", [OSError(errno.ENOTSUP, "no locks"), NotImplementedError("none")])
def test_a_file_system_without_locks_is_used_as_it_is(tmp_path, monkeypatch, error):
    import filelock

    def acquire(*_, **__):
        raise error

    monkeypatch.setattr(filelock.FileLock, "acquire", acquire)
    with one_at_a_time(tmp_path / "target"):
        (tmp_path / "target").touch()
    assert os.listdir(tmp_path) == ["target"]


def test_an_error_frees_the_lock(tmp_path):
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt), one_at_a_time(tmp_path / "target"):
            raise KeyboardInterrupt
    assert os.listdir(tmp_path) == []
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError), one_at_a_time(tmp_path / "file" / "target"):
        pass


def test_a_dead_lock_is_removed_and_a_held_one_is_kept(tmp_path):
    (tmp_path / ".target.lock").touch()
    remove_dead_lock(tmp_path / "target")
    remove_dead_lock(tmp_path / "target")
    assert os.listdir(tmp_path) == []
    with one_at_a_time(tmp_path / "target"):
        remove_dead_lock(tmp_path / "target")
        assert os.listdir(tmp_path) == [".target.lock"]
