"""Arrays are read whole or refused in one sentence, before a forged size is allocated."""

import io
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from echolib.arrays import read_npy, read_npz
from echolib.errors import DataError
from echolib.files import write_npz

NUMBERS = np.arange(600, dtype=np.int16).reshape(20, 30)


def npy_bytes(array: np.ndarray, **options) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, **options)
    return file.getvalue()


def forged_header(text: str, data: bytes = b"") -> bytes:
    """A `.npy` file with any text in its header."""
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + data


def test_arrays_come_back_as_they_were_written(tmp_path):
    fortran, empty = np.asfortranarray(NUMBERS), np.zeros((0, 4), bool)
    for array in (NUMBERS, fortran, empty, np.array(3.0)):
        np.save(tmp_path / "a.npy", array)
        for mapped in (False, True):
            if array.ndim or not mapped:
                assert np.array_equal(read_npy(tmp_path / "a.npy", mapped), array)
    assert isinstance(read_npy(tmp_path / "a.npy"), np.ndarray)
    for compressed in (False, True):
        write_npz(
            tmp_path / "a.npz", {"n": NUMBERS, "file": fortran, "e": empty}.items(), compressed
        )
        read = read_npz(tmp_path / "a.npz")
        assert list(read) == ["n", "file", "e"] and np.array_equal(read["file"], NUMBERS)
        assert list(read_npz(tmp_path / "a.npz", ["e"])) == ["e"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        npy_bytes(NUMBERS)[:-1],
        npy_bytes(NUMBERS) + b"0",
        npy_bytes(np.array([{}]), allow_pickle=True),
        forged_header("{'descr': '<u1', 'fortran_order': False, 'shape': (3,"),
        forged_header("{'descr': '<u1', 'fortran_order': False, 'shape': (-3,)}", b"abc"),
        forged_header("{'descr': '<u1', 'fortran_order': False, 'shape': (99999999999999,)}"),
        forged_header("{'descr': '<u1', 'fortran_order': False, 'shape': (1e5,)}"),
        forged_header("(" * 5000),
        forged_header("\t'''"),
        forged_header("{'descr': 'u1'}"),
        b"\x93NUMPY\x09\x00" + npy_bytes(NUMBERS)[8:],
    ],
)
def test_a_damaged_array_is_one_error(tmp_path, content):
    (tmp_path / "a.npy").write_bytes(content)
    for mapped in (False, True):
        with pytest.raises(DataError, match=r"a\.npy: expected one array .*found"):
            read_npy(tmp_path / "a.npy", mapped)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("a.npy", content)
    with pytest.raises(DataError, match=r"a\.npz: expected an archive of arrays .*found"):
        read_npz(tmp_path / "a.npz")


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data(), compressed=st.booleans())
def test_changed_bytes_are_an_error_or_change_no_value(tmp_path, data, compressed):
    write_npz(tmp_path / "a.npz", [("n", NUMBERS)], compressed)
    content = bytearray((tmp_path / "a.npz").read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    if data.draw(st.booleans()):
        del content[place:]
    (tmp_path / "b.npz").write_bytes(content)
    try:
        read = read_npz(tmp_path / "b.npz")
    except DataError as error:
        assert "b.npz" in str(error)
    else:
        assert all(np.array_equal(array, NUMBERS) for array in read.values())


def test_missing_files_and_arrays_are_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.npy: no such file"):
        read_npy(tmp_path / "none.npy")
    with pytest.raises(DataError, match=r"none\.npz: no such file"):
        read_npz(tmp_path / "none.npz")
    write_npz(tmp_path / "a.npz", [("n", NUMBERS)])
    with pytest.raises(DataError, match=r"expected the arrays \['m'\], found \['n'\]"):
        read_npz(tmp_path / "a.npz", ["m"])


def test_an_archive_that_declares_more_than_the_limit_is_not_read(tmp_path, monkeypatch):
    write_npz(tmp_path / "a.npz", [("n", np.zeros((3000, 1000), np.uint8)), ("m", NUMBERS)])
    monkeypatch.setenv("ECHOLIB_MEMORY", "1M")
    monkeypatch.setattr(np.lib.format, "read_array", lambda *_, **__: pytest.fail("it was read"))
    with pytest.raises(DataError, match=r"a\.npz would take 2\.\d+ MB of memory"):
        read_npz(tmp_path / "a.npz")
    monkeypatch.undo()
    monkeypatch.setenv("ECHOLIB_MEMORY", "1M")
    assert np.array_equal(read_npz(tmp_path / "a.npz", ["m"])["m"], NUMBERS)


def test_unknown_compression_and_encryption_are_an_error(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("n.npy", npy_bytes(NUMBERS))
    content = (tmp_path / "a.npz").read_bytes()
    place = content.rindex(b"PK\x01\x02")
    for offset, value in ((10, 99), (8, 1)):  # the method of compression; the flags
        changed = bytearray(content)
        changed[place + offset] = value
        (tmp_path / "b.npz").write_bytes(changed)
        with pytest.raises(DataError, match=r"b\.npz: expected an archive"):
            read_npz(tmp_path / "b.npz")
