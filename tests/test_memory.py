"""The limit of memory: from a setting or the free memory, and lower for what grows a lot."""

import sys

import pytest

from echolib import memory
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
    monkeypatch.setattr(memory, "CGROUPS", ())
    assert memory.free_memory() == 1000 * 1024
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "none")  # another system
    assert memory.free_memory() > 1000 * 1024


def test_the_limit_of_a_container_counts(tmp_path, monkeypatch: pytest.MonkeyPatch):
    files = tmp_path / "memory.max", tmp_path / "memory.current"
    for file, text in zip(files, (f"{2 << 20}\n", f"{1 << 20}\n"), strict=True):
        file.write_text(text)
    monkeypatch.setattr(memory, "CGROUPS", (files,))
    assert memory.free_memory() == 1 << 20
    files[0].write_text("max\n")  # no limit
    assert memory.free_memory() > 1 << 20


def test_what_does_not_fit_is_refused_with_both_sizes_and_the_setting(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv(memory.VARIABLE, "1G")
    memory.require_memory("a.gif: 3 frames", 2**30)
    with pytest.raises(DataError) as caught:
        memory.require_memory("a.gif: 90 frames", 5 << 29, stored=7000)
    for part in ("a.gif: 90 frames", "2.5 GB", "6.84 kB", "1 GB", "ECHOLIB_MEMORY=3G"):
        assert part in str(caught.value)
