"""The limit of memory: from a setting or the free memory, and lower for what grows a lot."""

import os
import platform
import subprocess
import sys

import pytest

from echolib import cores, memory
from echolib.errors import DataError


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1000", 1000),
        ("500M", 500 * 2**20),
        ("1.5G", 3 * 2**29),
        ("2 GiB", 2**31),
        ("3gb", 3 << 30),
    ],
)
def test_sizes_are_written_as_people_do(text: str, size: int):
    assert memory.parse_size(text) == size


@pytest.mark.parametrize("text", ["0", "-1G", "much", "1e999", "nan", "G"])
def test_a_setting_that_is_no_size_is_named(text: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(memory.VARIABLE, text)
    with pytest.raises(DataError, match="ECHOLIB_MEMORY: expected a size such as 8G"):
        memory.memory_limit()


def test_the_default_is_half_of_what_is_free(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(memory.VARIABLE, raising=False)
    monkeypatch.setattr(memory, "free_memory", lambda: 20 << 30)
    assert memory.memory_limit() == 10 << 30
    assert memory.memory_limit(stored=7000) == memory.GROWN  # 500-fold would be 3.5 MB
    assert memory.memory_limit(stored=4 << 20) == 500 * (4 << 20)
    assert memory.memory_limit(stored=1 << 30) == 10 << 30


def test_free_memory_is_known_without_psutil(monkeypatch: pytest.MonkeyPatch):
    expected = memory.free_memory()
    monkeypatch.setitem(sys.modules, "psutil", None)
    assert 0.2 * expected < memory.free_memory() < 2 * expected


def test_cached_files_count_as_free_without_psutil(tmp_path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "meminfo"
    file.write_text(
        "MemTotal: 2000000 kB\nMemFree: 300 kB\nMemAvailable: 1000 kB\nCached: 800 kB\n"
    )
    monkeypatch.setitem(sys.modules, "psutil", None)
    monkeypatch.setattr(memory, "MEMINFO", file)
    monkeypatch.setattr(cores, "OWN_GROUPS", tmp_path / "none")
    assert memory.free_memory() == 1000 * 1024
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "none")  # another system
    assert memory.free_memory() > 1000 * 1024


@pytest.mark.parametrize(("own", "folder", "names"), [
    ("0::/\n", "", memory.GROUP_FILES[0]),  # a container
    ("0::/slurm/job7/step\n", "slurm/job7", memory.GROUP_FILES[0]),
    ("4:cpu:/\n9:memory:/job7\n", "memory/job7", memory.GROUP_FILES[1]),
])  # fmt: skip
def test_the_limits_of_a_container_and_of_a_batch_job_count(
    tmp_path, monkeypatch, own, folder, names
):
    (tmp_path / "own").write_text(own)
    monkeypatch.setattr(cores, "OWN_GROUPS", tmp_path / "own")
    monkeypatch.setattr(cores, "CGROUPS", tmp_path / "groups")
    group = tmp_path / "groups" / folder
    group.mkdir(parents=True)
    for name, text in zip(names, (f"{4 << 20}\n", f"{3 << 20}\n"), strict=True):
        (group / name).write_text(text)
    assert memory.free_memory() == 1 << 20
    (group / "memory.stat").write_text(f"anon 5\ninactive_file {1 << 20}\n")  # gives way to data
    assert memory.free_memory() == 2 << 20
    (group / names[0]).write_text("max\n")  # no limit
    assert memory.free_memory() > 4 << 20


def test_what_does_not_fit_is_refused_with_both_sizes_and_the_setting(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv(memory.VARIABLE, "1G")
    memory.require_memory("a.gif: 3 frames", 2**30)
    with pytest.raises(DataError) as caught:
        memory.require_memory("a.gif: 90 frames", 5 << 29, stored=7000)
    for part in ("a.gif: 90 frames", "2.5 GB", "6.84 kB", "1 GB", "ECHOLIB_MEMORY=3G"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate "
            "memory: you tried to allocate 51380224 bytes. Error code 12 (Cannot allocate memory)"
        ),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."),
        RuntimeError("CUDA out of memory. Tried to allocate 2 GiB."),
    ],
)
def test_full_memory_is_said_in_a_sentence_whoever_finds_it(error: Exception):
    message = memory.memory_error(error)
    assert message and message.startswith("the memory is full (") and "Close other" in message


def test_other_errors_are_not_taken_for_full_memory():
    assert memory.memory_error(RuntimeError("shapes do not match")) is None
    assert memory.memory_error(ValueError("out of memory")) is None


FAULTS = """
import resource, sys
import numpy as np
from echolib.memory import reuse_freed_memory
if sys.argv[1] == "reuse":
    reuse_freed_memory()
for step in range(6):
    if step == 3:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [np.ones(2**20) for _ in range(10)]  # 8 MB each
    del blocks
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator than glibc's")
@pytest.mark.parametrize(
    ("how", "setting", "few"),
    [("reuse", {}, True), ("not", {}, False), ("reuse", {"GLIBC_TUNABLES": ""}, False)],
)
def test_freed_memory_is_used_again_instead_of_given_back(how, setting, few):
    """Pages that the system had to give in three steps of 80 MB, 20,000 of them a step at most."""
    names = os.environ.keys() - set(memory.ALLOCATOR)
    environment = {name: os.environ[name] for name in names}
    command = [sys.executable, "-c", FAULTS, how]
    done = subprocess.run(
        command, env=environment | setting, capture_output=True, text=True, check=True
    )
    assert (int(done.stdout) < 1000) == few
