"""Work spread over processes and over a real Dask cluster: order, failures, and what is kept."""

import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

import echolib
from echolib import workers
from echolib.errors import DataError
from echolib.parts import Parts
from echolib.workers import CLIPS_PER_PROCESS, clip_workers, clips_per_task, spread
from tests.cluster import Cluster, double, kept_once

NUMBERS = range(9)
DOUBLED = [2 * number for number in NUMBERS]


def warned(number: int) -> int:
    warnings.warn(f"{number} is small", stacklevel=2)
    return number


def refused(number: int) -> int:
    raise DataError(f"{number}.avi: expected a clip, found a number.")


def killed(number: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def device_and_folder(number: int) -> tuple[str | None, str]:
    return os.environ.get("ECHOLIB_DEVICE"), os.getcwd()


@pytest.fixture(scope="module")
def cluster():
    with Cluster(workers=2) as started:
        yield started


@pytest.fixture
def parts(tmp_path):
    return Parts(tmp_path / "parts", {"data": "made"})


@pytest.fixture
def soon(monkeypatch):
    """The scheduler is given up, and the lack of workers said, after a moment."""
    monkeypatch.setattr(workers, "PATIENCE", 3)  # enough to connect on a busy machine


@pytest.mark.parametrize(("clips", "together"), [(1, 1), (39, 1), (300, 15), (10_030, 100)])
def test_a_task_has_a_hundred_clips_and_fewer_where_a_study_is_small(clips, together):
    assert clips_per_task(clips) == together


@pytest.mark.parametrize("count", [1, 2])
def test_results_of_processes_come_in_order(count):
    assert list(spread(double, NUMBERS, count)) == DOUBLED
    assert list(spread(double, [], count)) == []


@pytest.mark.parametrize("together", [1, 4, 100])
def test_results_of_a_cluster_come_in_order(cluster, together):
    assert list(spread(double, NUMBERS, scheduler=cluster.address, together=together)) == DOUBLED
    assert list(spread(double, [], scheduler=cluster.address)) == []


def test_warnings_of_all_workers_are_given_here(cluster):
    for how in ({"workers": 1}, {"workers": 2}, {"scheduler": cluster.address}):
        with pytest.warns(UserWarning) as given:
            assert list(spread(warned, [3, 5], **how)) == [3, 5]
        assert sorted(str(warning.message) for warning in given) == ["3 is small", "5 is small"]


def test_an_error_of_a_task_is_raised_here(cluster):
    message = r"3\.avi: expected a clip, found a number"
    with pytest.raises(DataError, match=f"^{message}"):
        list(spread(refused, [3, 4], workers=2))
    with pytest.raises(ValueError, match=rf"The worker tcp\S+ on .*: {message}\. What is finished"):
        list(spread(refused, [3, 4], scheduler=cluster.address, together=2))  # one after the other


def test_a_worker_computes_as_the_command_was_told(cluster, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ECHOLIB_DEVICE", "cpu")
    here = [("cpu", str(tmp_path))]
    assert list(spread(device_and_folder, [0], scheduler=cluster.address)) == here


def test_a_process_that_is_killed_is_explained(parts):
    task = partial(kept_once, parts=parts, dying=4)
    with pytest.raises(ValueError, match=r"One of the 2 worker processes ended .*fewer --workers"):
        list(spread(task, NUMBERS, workers=2))
    assert list(spread(task, NUMBERS, workers=2)) == DOUBLED
    assert_each_kept_once(parts, unlogged=1)  # the other process, ended between part and line


WAITING = """
import os, pathlib, sys, threading

def wait(place):
    if sys.argv[1] == place and "--multiprocessing-fork" in sys.orig_argv:
        pathlib.Path(f"worker-{os.getpid()}").touch()
        threading.Event().wait(120)

def task(number):
    wait("working")

wait("importing")
"""
COMMAND = """
from echolib.workers import spread
from waiting import task

if __name__ == "__main__":
    try:
        list(spread(task, range(9), workers=2))
    except KeyboardInterrupt:
        print("stopped")
"""


@pytest.mark.parametrize("place", ["importing", "working"])
def test_ctrl_c_stops_at_once_and_workers_print_nothing(tmp_path, place):
    (tmp_path / "waiting.py").write_text(WAITING)
    (tmp_path / "command.py").write_text(COMMAND)
    command = subprocess.Popen(
        [sys.executable, "command.py", place], cwd=tmp_path, start_new_session=True, text=True,
        env=os.environ | {"PYTHONPATH": str(Path(echolib.__file__).parents[1])},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    while len(list(tmp_path.glob("worker-*"))) < 2:
        assert command.poll() is None, command.communicate()
        time.sleep(0.02)
    os.killpg(command.pid, signal.SIGINT)  # as a terminal does, to all of them
    assert command.communicate(timeout=60) == ("stopped\n", "") and command.returncode == 0
    for path in tmp_path.glob("worker-*"):
        with pytest.raises(ProcessLookupError):
            os.kill(int(path.name.partition("-")[2]), 0)


def test_ctrl_c_is_held_back_and_not_lost():
    before, seen = signal.getsignal(signal.SIGINT), []
    with pytest.raises(KeyboardInterrupt), workers._interrupts_held():
        os.kill(os.getpid(), signal.SIGINT)
        seen.append(True)
    assert seen and signal.getsignal(signal.SIGINT) is before
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def assert_each_kept_once(parts: Parts, unlogged: int = 0) -> None:
    logs = [parts.folder / f"{number:03}.log" for number in NUMBERS]
    there = [log.read_text() for log in logs if log.exists()]
    assert there == ["kept\n"] * len(there) and len(there) >= len(logs) - unlogged
    left = [path.name for path in parts.folder.iterdir() if path.name.startswith(".")]
    assert left == []


def test_work_goes_on_without_a_worker_that_is_killed_and_with_ones_that_come_late(parts, soon):
    task, said = partial(kept_once, parts=parts, dying=4), []
    with Cluster() as cluster, warnings.catch_warnings():

        def come(message: Warning, *_: object) -> None:
            said.append(str(message))
            if len(said) == 1:  # now they are late
                cluster.add_worker()
                cluster.add_worker()

        warnings.simplefilter("once")
        warnings.showwarning = come
        assert list(spread(task, NUMBERS, scheduler=cluster.address)) == DOUBLED
    assert "has no worker: waiting for one. Start it with `dask worker tcp://" in said[0]
    assert (parts.folder / "died").exists()
    assert_each_kept_once(parts)


def test_work_that_kills_every_worker_ends_with_a_sentence():
    with Cluster(workers=4) as cluster, pytest.raises(ValueError, match="ended 4 workers, one"):
        list(spread(killed, [0], scheduler=cluster.address))


@pytest.mark.filterwarnings("ignore:The scheduler .* has no worker")  # it may come late
def test_after_a_restart_of_the_scheduler_the_same_call_goes_on(parts, soon):
    task = partial(kept_once, parts=parts, dying=4)
    with Cluster(workers=1) as cluster:
        doomed = partial(task, killed=cluster.scheduler.pid)
        with pytest.raises(ValueError, match=r"The scheduler tcp\S+ was lost\. What is finished"):
            list(spread(doomed, NUMBERS, scheduler=cluster.address))
        assert cluster.scheduler.wait() == -signal.SIGKILL
    done = len(list(parts.folder.glob("*.log")))
    assert done >= 4  # all before the one during which it ended
    port = int(cluster.address.rsplit(":", 1)[1])
    with Cluster(workers=1, port=port) as restarted:
        assert restarted.address == cluster.address
        assert list(spread(task, NUMBERS, scheduler=restarted.address)) == DOUBLED
    assert_each_kept_once(parts)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "127.0.0.1", "nonsense://x:1"])
def test_a_scheduler_that_is_not_there_is_named(address):
    with pytest.raises(ValueError, match=rf"No Dask scheduler answers at '{address}'\. Start one"):
        list(spread(double, NUMBERS, scheduler=address))


def test_without_dask_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ValueError, match=r'needs Dask.*pip install -e "\.\[cluster\]"'):
        list(spread(double, NUMBERS, scheduler="tcp://127.0.0.1:1"))


def test_what_a_worker_cannot_see_is_named(cluster, tmp_path):
    needs = [tmp_path, tmp_path / "echonet"]
    message = rf"The worker tcp\S+ on \S+ cannot see {needs[1]}\. Use a disk that all workers share"
    with pytest.raises(ValueError, match=message):
        list(spread(double, NUMBERS, scheduler=cluster.address, needs=needs))


def test_a_worker_with_other_code_or_none_is_named(tmp_path):
    package = Path(echolib.__file__).parent
    code = shutil.ignore_patterns("weights", "__pycache__")
    shutil.copytree(package, tmp_path / "other" / "echolib", ignore=code)
    with (tmp_path / "other" / "echolib" / "masks.py").open("a") as file:
        file.write("# changed\n")
    (tmp_path / "none" / "echolib").mkdir(parents=True)
    (tmp_path / "none" / "echolib" / "__init__.py").touch()
    for kind, message in (
        ("other", r"has another version of echolib \(\S+, \w{8}\) than this command"),
        ("none", r"has no echolib, or one of another version .*Install there"),
    ):
        with Cluster() as cluster:
            cluster.add_worker(tmp_path / kind)
            with pytest.raises(ValueError, match=rf"The worker tcp\S+ .*{message}"):
                list(spread(double, NUMBERS, scheduler=cluster.address))


def test_a_study_is_shared_by_as_many_processes_as_pay(monkeypatch):
    monkeypatch.setattr(workers, "usable_cores", lambda: 4)
    monkeypatch.setenv("ECHOLIB_DEVICE", "cpu")
    assert clip_workers(None, 2) == clip_workers(None, CLIPS_PER_PROCESS) == 1
    assert clip_workers(None, 2 * CLIPS_PER_PROCESS) == 2
    assert clip_workers(None, 10_000) == 4 and clip_workers(7, 2) == 7


def test_a_gpu_is_not_shared(monkeypatch):
    monkeypatch.setattr(workers, "usable_cores", lambda: 4)
    monkeypatch.setattr(workers, "device", lambda: SimpleNamespace(type="cuda"))
    assert clip_workers(None, 10_000) == 1
