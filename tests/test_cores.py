"""The number of cores: the least of the machine's, those bound to the process, and its quota."""

import math
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echolib import cores


@pytest.fixture
def groups(tmp_path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of 16 cores, all of them allowed, with folders of control groups yet to be made."""
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(16)), raising=False)
    monkeypatch.setattr(cores, "CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(cores, "OWN_GROUPS", tmp_path / "own")
    return tmp_path / "cgroup"


def belongs_to(groups: Path, text: str) -> None:
    (groups.parent / "own").write_text(text)


def limit(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("_", ".", 1)).write_text(text + "\n")


def test_without_a_limit_the_machine_decides(groups: Path, monkeypatch: pytest.MonkeyPatch):
    assert cores.usable_cores() == 16
    monkeypatch.setattr(os, "cpu_count", lambda: None)  # unknown
    assert cores.usable_cores() == 1


def test_cores_that_the_process_is_bound_to_count(groups: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3, 9}, raising=False)
    assert cores.usable_cores() == 2
    monkeypatch.delattr(os, "sched_getaffinity")  # another system
    assert cores.usable_cores() == 16


@pytest.mark.parametrize(
    ("quota", "expected"), [("200000", 2), ("250000", 3), ("1000", 1), ("max", 16), ("9e9", 16)]
)
def test_the_quota_of_a_container_is_rounded_up(groups: Path, quota: str, expected: int):
    belongs_to(groups, "0::/\n")
    limit(groups, cpu_max=f"{quota} 100000")
    assert cores.usable_cores() == expected


@pytest.mark.parametrize("path", ["/", "/docker/7"])  # as seen with and without a namespace
def test_the_quota_counts_in_version_1_too(groups: Path, path: str):
    belongs_to(groups, f"9:name=systemd:/\n4:cpu,cpuacct:{path}\n3:cpuset:/\n0::/\n")
    limit(groups / "cpu", cpu_cfs_quota_us="150000", cpu_cfs_period_us="50000")
    assert cores.usable_cores() == 3
    limit(groups / "cpu", cpu_cfs_quota_us="-1")  # none
    assert cores.usable_cores() == 16


def test_the_quota_of_a_group_above_counts(groups: Path):
    belongs_to(groups, "0::/batch/job7/step0\n")
    limit(groups / "batch" / "job7" / "step0", cpu_max="max 100000")
    limit(groups / "batch", cpu_max="400000 100000")
    limit(groups / "other", cpu_max="100000 100000")
    assert cores.usable_cores() == 4


@pytest.mark.parametrize("text", ["", "100000", "much 100000", "100000 0", "-5 100000", "1 2 3"])
def test_a_file_that_says_nothing_sets_no_limit(groups: Path, text: str):
    belongs_to(groups, "0::/\n")
    limit(groups, cpu_max=text)
    assert cores.usable_cores() == 16


@given(st.integers(1000, 10**8), st.integers(1000, 10**6))
def test_a_quota_never_gives_more_than_there_are(tmp_path_factory, quota: int, period: int):
    folder = tmp_path_factory.mktemp("groups")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cores, "CGROUPS", folder)
        patch.setattr(cores, "OWN_GROUPS", folder / "own")
        patch.setattr(os, "cpu_count", lambda: 8)
        patch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
        belongs_to(folder / "cgroup", "0::/\n")
        limit(folder, cpu_max=f"{quota} {period}")
        assert cores.usable_cores() == min(8, math.ceil(quota / period))


def test_the_waiting_of_all_threads_is_added(tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cores, "TASKS", tmp_path)
    assert cores.seconds_waited() == 0  # another system
    for name, text in (("7", "10 2000000000 4\n"), ("8", "10 500000000 1\n"), ("9", "ended\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "schedstat").write_text(text)
    assert cores.seconds_waited() == 2.5


def test_workers_are_as_many_as_cores_unless_a_number_is_given(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cores, "usable_cores", lambda: 5)
    assert cores.worker_count(None) == 5 and cores.worker_count(3) == 3
    with pytest.raises(ValueError, match="1 or more, not 0"):
        cores.worker_count(0)
