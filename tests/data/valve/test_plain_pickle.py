"""Plain pickles: values of Python and numpy are read back, and nothing in a file is executed."""

import gzip
import io
import math
import os
import pickle
import pickletools
import struct
import tracemalloc
import zlib
from unittest import mock

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from echolib.data.valve import plain_pickle
from echolib.data.valve.plain_pickle import read_plain_pickle
from echolib.errors import DataError

PROTOCOLS = range(6)
CODES = ["b1", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8"]
ITEM = {
    "name": "clip", "video": np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
    "label": np.eye(3, dtype=bool), "frames": [1, np.int64(2)], "spacing": None, "fps": 50.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A file to write to, shared by all tests of the module."""
    return tmp_path_factory.mktemp("pickles") / "data.pkl"


def read(path, content, limit=None):
    """The value of a pickle. limit: of memory, bytes."""
    path.write_bytes(content)
    with mock.patch.dict(os.environ, {} if limit is None else {"ECHOLIB_MEMORY": str(limit)}):
        return read_plain_pickle(path)


def refused(path, content, *words, **options):
    """Check that content is refused with a short message that contains the path and `words`."""
    with pytest.raises(DataError) as caught:
        read(path, content, **options)
    message = str(caught.value)
    assert all(word in message for word in (str(path), *words)), message
    assert "\n" not in message and len(message) < 1000
    return message


@pytest.fixture
def peak():
    """A function that returns the peak memory of Python since the test began, in bytes."""
    tracemalloc.start()
    yield lambda: tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()


def same(value, expected):
    """True for equal values of equal types; arrays also of equal dtype and shape."""
    if isinstance(expected, (np.ndarray, np.generic)):
        alike = type(value) is type(expected) and value.shape == expected.shape
        return alike and value.dtype == expected.dtype and value.tobytes() == expected.tobytes()
    if type(value) is not type(expected):
        return False
    if isinstance(expected, dict):
        return list(value) == list(expected) and all(same(value[k], expected[k]) for k in value)
    if isinstance(expected, (list, tuple)):
        return len(value) == len(expected) and all(map(same, value, expected))
    return value == expected or (expected != expected and value != value)


# --- Values are read back ------------------------------------------------------------------------

numbers = st.integers() | st.floats() | st.integers(-(2**600), 2**600)
leaves = st.none() | st.booleans() | numbers | st.text() | st.binary() | st.builds(bytearray)
leaves |= st.binary().map(bytearray)
plain_arrays = arrays.arrays(
    st.sampled_from(CODES).map(np.dtype), arrays.array_shapes(min_dims=0, max_dims=4, min_side=0)
)
nested = st.recursive(
    leaves | plain_arrays,
    lambda inside: (
        st.lists(inside)
        | st.lists(inside).map(tuple)
        | st.dictionaries(st.text() | st.integers() | st.tuples(st.text(), st.booleans()), inside)
    ),
    max_leaves=12,
)


@given(nested, st.sampled_from(PROTOCOLS), st.booleans())
@example([ITEM, ITEM], 2, True)
@example(["\n\\\0\U0001f600"], 0, False)
def test_plain_data_are_read_back(path, value, protocol, zipped):
    content = pickle.dumps(value, protocol)
    assert same(read(path, gzip.compress(content, 1) if zipped else content), value)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("code", CODES)
def test_arrays_of_any_memory_layout_are_read_back(path, protocol, code):
    array = (np.arange(60) % 2).reshape(3, 4, 5).astype(code)
    views = [array, array.T, array.transpose(2, 0, 1), np.asfortranarray(array), array[::2, 1:]]
    views += [array[:0], array[1, 1, 1, None], array[1, 1, 1, None].reshape(())]
    views += [np.broadcast_to(array[0, 0], (2, 5)), array[::-1], array[1, 1, 1]]
    if array.itemsize > 1:
        views.append(array.astype(array.dtype.newbyteorder(">")))
    for array, view in zip(read(path, pickle.dumps(views, protocol)), views, strict=True):
        assert same(array, view)
        assert not array.flags.writeable


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_numpy_1_names_are_accepted(path, protocol):
    modern = pickle.dumps([ITEM, ITEM["video"].T], protocol)
    old = _rename(modern)
    assert b"numpy.core" in old and b"numpy._core" not in old
    assert same(read(path, old), [ITEM, ITEM["video"].T])


def _rename(content):
    """A pickle with the module names of numpy 1; the lengths before names are corrected."""
    parts, end = [], 0
    for opcode, argument, start in pickletools.genops(content):
        if isinstance(argument, str) and "numpy._core" in argument:
            argument = argument.replace("numpy._core", "numpy.core")
            if opcode.name == "GLOBAL":
                new = b"c" + argument.replace(" ", "\n").encode() + b"\n"
            else:
                new = b"\x8c" + bytes([len(argument)]) + argument.encode()
            parts += [content[end:start], new]
            end = start + len(new) + 1
    return b"".join([*parts, content[end:]])


def test_shared_values_stay_shared(path):
    array, part = np.arange(3), ["part"]
    values = read(path, pickle.dumps([array, array, part, part]))
    assert values[0] is values[1] and values[2] is values[3]


def test_several_gzip_members_are_one_file(path):
    content = pickle.dumps(ITEM)
    assert same(read(path, gzip.compress(content[:50]) + gzip.compress(content[50:])), ITEM)


def test_large_arrays_are_not_copied(path):
    with path.open("wb") as file:
        pickle.dump(np.zeros((64, 1 << 20), np.uint8), file, 3)
    tracemalloc.start()
    video = read_plain_pickle(path)
    current, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert video.nbytes == 64 << 20
    assert current < 65 << 20 and peak < 131 << 20  # chunks are joined once


# --- Nothing is executed ------------------------------------------------------------------------


class Calls:
    """Pickled as the call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("zipped", [False, True])
def test_a_command_is_named_and_not_run(path, tmp_path, protocol, zipped):
    canary = tmp_path / "canary"
    content = pickle.dumps([ITEM, Calls(os.system, f"touch {canary}")], protocol)
    message = refused(path, gzip.compress(content) if zipped else content, "posix.system")
    offset = int(message.split("byte ")[1].split(":")[0])
    assert content[offset : offset + 1] in (b"c", b"\x93")
    assert "nothing was executed" in message and not canary.exists()


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (eval, "builtins.eval"), (getattr, "builtins.getattr"), (print, "builtins.print"),
        (np.load, "numpy.load"), (np.dtypes.Int8DType, "Int8DType"), (set, "builtins.set"),
        (complex, "builtins.complex"), (np.frombuffer, "frombuffer"), (io.open, "io.open"),
    ],
)  # fmt: skip
def test_other_names_are_refused(path, function, name):
    refused(path, pickle.dumps(Calls(function, "1"), 4), name)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"cos\nsystem\n(S'true'\ntR.", "os.system"),
        (b"(S'true'\nios\nsystem\n.", "Python 2"),
        (b"(ios\nsystem\n.", "os.system"),
        (b"\x80\x02c__builtin__\neval\n.", "__builtin__.eval"),
        (b"\x80\x02cnumpy\nndarray\n)\x81.", "an object of a class"),
        (b"(cnumpy\nndarray\no.", "an object of a class"),
        (b"\x80\x02\x82\x01.", "extension registry"),
        (b"Pid\n.", "persistent id"),
        (b"\x80\x02Nq\x01Q.", "persistent id"),
        (b"\x80\x05\x97.", "outside the file"),
        (b"\x80\x04\x8f.", "a set"),
        (b"\x80\x06N.", "protocol 6"),
        (b"\x8c\x05numpy\x8c\x10ndarray.__init__\x93.", "numpy.ndarray.__init__"),
        (b"cnumpy.core.multiarray.x\n_reconstruct\n.", "numpy.core.multiarray.x._reconstruct"),
        (b"c__main__\x1b[31m\nx\n.", "__main__\\x1b[31m.x"),
        (b"cnumpy\ndtype\n.", "a part of an array"),
        (b"](cnumpy\ndtype\ne.", "a part of an array"),
        (b"K\x01K\x02\x93.", "a name that is not text"),
        (b"K\x01)R.", "a call of int"),
        (b"c__builtin__\nbytes\nK\x05\x85R.", "a call of bytes"),
        (b"c__builtin__\nbytearray\nJ\xff\xff\xff\x7f\x85R.", "a call of bytearray"),
        (b"]}b.", "the state of an object"),
        (b"}(]K\x01u.", "a dict with a key"),
        (b"}(K\x01K\x01\x86\x85K\x01u.", "a dict with a key"),
        (b"}K\x01a.", "list items for an object that is not a list"),
        (b"]K\x01K\x02s.", "dict entries for an object that is not a dict"),
        (b"N\x30.", "the opcode POP"),
    ],
)
def test_opcodes_that_plain_data_do_not_need_are_refused(path, content, found):
    refused(path, content, found, "nothing was executed")


# --- Forged arrays ------------------------------------------------------------------------------


def forged(data=bytes(6), shape=(2, 3), code="u1", state=(3, "|", None, None, None, -1, -1, 0),
           version=1, turned=False):  # fmt: skip
    """A pickle of an array with freely chosen parts."""
    dtype = b"cnumpy\ndtype\n" + _opcodes((code, False, True)) + b"R" + _opcodes(state) + b"b"
    start = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n" + _opcodes((0,))
    start += _opcodes(b"b") + b"tR"
    parts = _opcodes(version) + _opcodes(shape) + dtype + _opcodes(turned) + _opcodes(data)
    return b"\x80\x05" + start + b"(" + parts + b"tb."


def _opcodes(value):
    return pickle.dumps(value, 3)[2:-1].replace(b"q\x00", b"")


WRONG_LENGTH = "length is not a whole number from 0 to 2**40"


def test_an_array_with_the_default_parts_is_read(path):
    assert same(read(path, forged()), np.zeros((2, 3), np.uint8))


@pytest.mark.parametrize(
    ("parts", "found"),
    [
        ({"code": "O"}, "dtype 'O'"), ({"code": "O8"}, "dtype 'O8'"),
        ({"code": "V6"}, "dtype 'V6'"),
        ({"code": "M8"}, "dtype 'M8'"), ({"code": "u3"}, "dtype 'u3'"), ({"code": "f16"}, "f16"),
        ({"code": "U1"}, "dtype 'U1'"), ({"code": "u1,u1"}, "dtype 'u1,u1'"),
        ({"code": "c8"}, "c8"),
        ({"code": 1}, "a call of dtype"),
        ({"state": (3, "|", None, ("a",), {"a": 1}, -1, -1, 0)}, "fields, objects"),
        ({"state": (3, "|", None, None, None, -1, -1, 63)}, "fields, objects"),
        ({"state": (3, "|", ("u1", 2), None, None, -1, -1, 0)}, "fields, objects"),
        ({"state": (3, "|", None, None, None, -8, -1, 0)}, "elements of -8 bytes"),
        ({"state": (3, "|", None, None, None, 8, -1, 0)}, "elements of 8 bytes"),
        ({"state": (4, "|", None, None, None, -1, -1, 0)}, "version 4"),
        ({"state": (3, "x", None, None, None, -1, -1, 0)}, "byte order 'x'"),
        ({"state": (3, "|", None, None, None, -1, -1, 0), "code": "u2"}, "byte order '|'"),
        ({"shape": (2, 4)}, "6 bytes for an array of shape (2, 4) and dtype u1, which needs 8"),
        ({"shape": (-2, -3)}, WRONG_LENGTH), ({"shape": (2, -3)}, WRONG_LENGTH),
        ({"shape": (2.0, 3)}, WRONG_LENGTH), ({"shape": (True, 6)}, WRONG_LENGTH),
        ({"shape": (0, 2**62), "data": b""}, WRONG_LENGTH),
        ({"shape": (2**32, 2**32)}, "which needs"), ({"shape": (2**1000,)}, WRONG_LENGTH),
        ({"shape": (0, *[2**40] * 4), "data": b""}, "damaged"),
        ({"shape": (1,) * 8 + (6,)}, "9 axes"), ({"shape": [2, 3]}, "not a plain array"),
        ({"data": [1, 2, 3, 4, 5, 6]}, "not a plain array"), ({"version": 2}, "not a plain array"),
        ({"data": b"\0\1\2\0\1\2", "code": "b1"}, "bytes other than 0 and 1"),
    ],
    ids=str,
)  # fmt: skip
def test_forged_arrays_are_refused(path, parts, found):
    refused(path, forged(**parts), found)


def test_structured_object_and_date_arrays_of_numpy_itself_are_refused(path):
    for array in (
        np.zeros(2, [("a", "u1"), ("b", "f4")]), np.array([{}, None]), np.array(["text"]),
        np.array(["2024-01-01"], "M8[D]"), np.zeros(2, complex), np.zeros(2, np.longdouble),
    ):  # fmt: skip
        for protocol in PROTOCOLS:
            refused(path, pickle.dumps(array, protocol), "not of plain numbers")


def test_a_dtype_cannot_be_changed_afterwards(path):
    state = _opcodes((3, "<", None, None, None, -1, -1, 0)) + b"b"
    dtype = b"cnumpy\ndtype\n" + _opcodes(("u2", False, True)) + b"R" + state
    refused(path, b"\x80\x02" + dtype + state + b".", "a dtype with fields")


def test_orders_of_axes_are_checked(path):
    content = pickle.dumps(np.zeros((2, 3, 4), np.uint8).transpose(1, 0, 2), 5)
    axes = b"K\x01K\x00K\x02\x87"
    assert content.count(axes) == 1
    assert read(path, content).shape == (3, 2, 4)
    for wrong in (b"K\x01K\x01K\x02\x87", b"K\x01K\x00K\x03\x87", b"K\x01K\x00N\x87"):
        with pytest.raises(DataError):
            read(path, content.replace(axes, wrong))


# --- Limits -------------------------------------------------------------------------------------


def test_a_gzip_bomb_is_refused_in_little_memory(path, peak):
    size = 400 << 20
    zeros = zlib.compressobj(9, wbits=31)
    content = zeros.compress(b"\x80\x04\x8e" + struct.pack("<Q", size))
    content += b"".join(zeros.compress(bytes(1 << 20)) for _ in range(size >> 20)) + zeros.flush()
    refused(path, content, "ECHOLIB_MEMORY", limit=50 << 20)
    line = zlib.compressobj(9, wbits=31)
    content = line.compress(b"V")
    content += b"".join(line.compress(bytes(1 << 20)) for _ in range(60)) + line.flush()
    refused(path, content, "ECHOLIB_MEMORY", limit=10 << 20)
    assert peak() < 50 << 20


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_limit_applies_to_decompressed_bytes(path, protocol):
    content = pickle.dumps([bytes(900), "text"], protocol)
    refused(path, gzip.compress(content), "the limit here is", limit=len(content) - 1)
    assert read(path, gzip.compress(content), limit=len(content)) == [bytes(900), "text"]


def test_a_text_that_is_encoded_repeatedly_counts_each_time(path):
    call = b"h\x00h\x01h\x02\x86Ra"
    content = b"X" + struct.pack("<I", 1000) + b"a" * 1000 + b"q\x01X\x06\0\0\0latin1q\x02"
    content = b"\x80\x02c_codecs\nencode\nq\x00" + content + b"\x87]" + 99 * call + b"\x86."
    refused(path, content, "ECHOLIB_MEMORY", limit=20_000)


def test_an_announced_length_without_content_allocates_nothing(path, peak):
    for opcode in (b"\x8e", b"\x8d", b"\x96"):
        for size in (10 << 30, 1 << 60, 2**64 - 1):
            refused(path, b"\x80\x05" + opcode + struct.pack("<Q", size) + b"abc.")
    refused(path, b"\x80\x03B\xff\xff\xff\xffabc.")
    refused(path, b"\x80\x03\x8b\xff\xff\xff\x7fabc.")
    assert peak() < 50 << 20


def test_memo_numbers_allocate_nothing(path):
    refused(path, b"\x80\x02]r\xff\xff\xff\xff.", "memo")
    refused(path, b"]p-1\n.", "memo")
    refused(path, b"]p" + b"9" * 5000 + b"\n.", "damaged")
    assert read(path, b"]p00\n.") == []


@pytest.mark.parametrize(
    "content",
    [
        b"]" * 5000 + b"a" * 4999 + b".", b"(" * 5000 + b"t" * 5000 + b".",
        b")" + b"\x85" * 5000 + b".", b"(" * 100_000,
        b"]q\x00h\x00a.", b"}q\x00K\x01h\x00s.",
        b"".join(b"]q%c" % n for n in range(120)) + b"".join(b"h%ch%ca" % (n, n + 1)
        for n in range(119)) + b"N\x87.",
    ],
)  # fmt: skip
def test_deep_nesting_is_refused(path, content):
    with pytest.raises(DataError):
        read(path, content)


def test_nesting_up_to_the_limit_is_read(path):
    depth = plain_pickle.MAX_DEPTH
    assert repr(read(path, b"]" * depth + b"a" * (depth - 1) + b".")) == "[" * depth + "]" * depth
    refused(path, b"]" * (depth + 1) + b"a" * depth + b".", f"deeper than {depth}")


def test_parts_shared_at_every_level_are_read_quickly(path):
    assert len(read(path, b"N" + b"q\x01h\x01\x86" * 90 + b".")) == 2


@pytest.mark.parametrize(("limit", "content"), [
    ("MAX_OPCODES", b"](" + b"N" * 60 + b"e."),
    ("MAX_CALLS", b"](" + b"c__builtin__\nbytes\n)R" * 60 + b"e."),
])  # fmt: skip
def test_opcodes_and_arrays_are_counted(path, monkeypatch, limit, content):
    assert len(read(path, content)) == 60
    monkeypatch.setattr(plain_pickle, limit, 50)
    refused(path, content, "more than")


def test_a_dict_with_too_many_entries_is_refused(path):
    largest = dict.fromkeys(range(plain_pickle.MAX_ENTRIES))
    assert read(path, pickle.dumps(largest)) == largest
    refused(path, pickle.dumps(largest | {"one": "more"}), "a dict of more than 10000 entries")


# --- Damage -------------------------------------------------------------------------------------


def test_files_that_are_not_a_pickle_are_refused(path, tmp_path):
    for content, found in (
        (b"", "an empty file"), (b"hello", "damaged"), (b"\x1f\x8b", "damaged"),
        (b"PK\x03\x04", "damaged"), (b".", "damaged"), (b"\x89PNG\r\n", "a persistent id"),
        (b"](N.", "damaged"), (b"NN.", "damaged"), (b"t.", "damaged"), (b"h\x05.", "damaged"),
        (b"]N", "damaged"), (b"N.N", "after the end of the pickle"),
        (b"X\2\0\0\0\xff\xff.", "damaged"), (b"\x80\x02\x85.", "damaged"),
        (b"a.", "damaged"), (b"Fx\n.", "damaged"),
    ):  # fmt: skip
        refused(path, content, found)
    for missing in (tmp_path / "none.pkl", tmp_path):
        with pytest.raises(DataError, match=str(missing)):
            read_plain_pickle(missing)


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_file_cut_off_anywhere_is_refused(path, protocol):
    content = pickle.dumps([ITEM, ITEM], protocol)
    zipped = gzip.compress(content)
    for whole in (content, zipped):
        for end in range(0, len(whole), 3):
            refused(path, whole[:end])
        refused(path, whole[:-1])
        refused(path, whole + b"rubbish")
    broken = bytearray(zipped)
    broken[-6] ^= 1
    refused(path, bytes(broken), "CRC")
    broken[-6] ^= 1
    broken[-2] ^= 1
    refused(path, bytes(broken), "length")


@pytest.mark.filterwarnings("error")
def test_a_damaged_name_brings_no_warning(path):
    refused(path, b"c\\u\nx\n.", "the name")


def value_or_error(path, content):
    """The value of a pickle, or None where it is refused with the expected error."""
    try:
        return read(path, content, limit=1 << 20)
    except DataError:
        return None


@given(st.binary(max_size=300))
def test_random_bytes_are_a_value_or_an_error(path, content):
    value_or_error(path, content)
    value_or_error(path, b"\x1f\x8b\x08" + content)


VALID = [pickle.dumps([ITEM, ITEM["video"].T], protocol) for protocol in PROTOCOLS]
OPCODES = [opcode.code.encode("latin-1") for opcode in pickletools.opcodes]


@given(
    st.sampled_from(VALID),
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_changed_bytes_are_a_value_or_an_error(path, content, changes):
    broken, zipped = bytearray(content), bytearray(gzip.compress(content, 1))
    for place, value in changes:
        broken[place % len(broken)] = value
        zipped[place % len(zipped)] = value
    value_or_error(path, bytes(broken))
    value_or_error(path, bytes(zipped))


@given(st.lists(st.sampled_from(OPCODES) | st.sampled_from([b"K\x01", b"h\0", b"q\0"]) |
                st.sampled_from([b"cnumpy\ndtype\n", b"X\2\0\0\0u1", b"\x8c\x05numpy"]),
                max_size=25))  # fmt: skip
def test_random_opcodes_are_a_value_or_an_error(path, opcodes):
    value_or_error(path, b"".join(opcodes) + b".")


@given(st.sampled_from(VALID), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(1, 40))
def test_parts_of_one_pickle_moved_are_a_value_or_an_error(path, content, source, target, count):
    source, target = source % len(content), target % len(content)
    value_or_error(path, content[:target] + content[source : source + count] + content[target:])


def test_not_a_number_is_read_back(path):
    assert math.isnan(read(path, pickle.dumps(math.nan, 0)))
