"""Pickles of plain data, read without running them.

A pickle is a small program, and Python's own unpickler calls whatever function it names. Here
its opcodes are read with the standard library's `pickletools`, and only those are followed that
lists, tuples, dicts, strings, bytes, numbers and numpy arrays are written with; nothing that the
file names is imported or called.
"""

import gzip
import pickletools
import struct
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ...errors import DataError
from ..video import missing_file
from .pickled_arrays import PendingArray, Refused, StandIn, built, called, stand_in

GZIP = b"\x1f\x8b"
MOST_BYTES = 16 << 30
CHUNK = 1 << 24  # bytes; a length that a file announces is allocated in steps of this
MOST_OPCODES = 1_000_000  # the course task's data have a few thousand
MOST_CALLS = 400_000  # up to four an array
MOST_NESTING = 100
MOST_ENTRIES = 10_000  # of a dict: forged keys of one hash take time that grows with its square
NEWEST_PROTOCOL = 5

# opcodes that put their argument on the stack
PUSHED = {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "FLOAT", "BINFLOAT"}
PUSHED |= {"UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"}
PUSHED |= {"BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"}
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
EMPTY = {"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_TUPLE": tuple}
REFUSED = {
    **dict.fromkeys(("EXT1", "EXT2", "EXT4"), "an entry of Python's extension registry"),
    **dict.fromkeys(("PERSID", "BINPERSID"), "a persistent id"),
    **dict.fromkeys(("NEXT_BUFFER", "READONLY_BUFFER"), "a buffer kept outside the file"),
    **dict.fromkeys(("OBJ", "NEWOBJ", "NEWOBJ_EX"), "an object of a class"),
    **dict.fromkeys(("STRING", "BINSTRING", "SHORT_BINSTRING"), "a string of Python 2"),
    **dict.fromkeys(("EMPTY_SET", "ADDITEMS", "FROZENSET"), "a set"),
    "LONG4": "a number of more than 255 bytes",
}
DAMAGE = (ValueError, LookupError, OverflowError, EOFError, OSError, struct.error, zlib.error)


def read_plain_pickle(path: str | Path, most_bytes: int = MOST_BYTES) -> object:
    """What a pickle holds, if that is plain data: nothing in the file is executed.

    path: a pickle of protocol 0 to 5 from Python 3, as it is or compressed with gzip, whatever
    its name. Plain are lists, tuples, dicts (of plain keys), str, bytes, bytearray, int, float,
    bool, None, and numpy's arrays and scalars of bool, whole and real numbers of numpy 1 and 2.
    Arrays are read-only, in the byte and memory order in which they were written.
    most_bytes: of the decompressed file. Raises DataError for a file that is absent, broken,
    larger, or holds anything else.
    """
    path = Path(path)
    if not path.is_file():
        raise missing_file(path)
    with path.open("rb") as raw:
        head = raw.read(2)
        raw.seek(0)
        if not head:
            raise DataError(f"{path}: expected a pickle, found an empty file. Copy it again.")
        source = _Source(gzip.GzipFile(fileobj=raw) if head == GZIP else raw, most_bytes)
        try:
            with warnings.catch_warnings(action="ignore"):  # of escapes in a damaged name
                return _Walk(source).value()
        except Refused as error:
            raise DataError(
                f"{path}, byte {source.opcode}: expected lists, dicts, text, numbers and numpy "
                f"arrays alone, found {error}; nothing was executed. Get the file from its source "
                "again, and do not unpickle it by other means."
            ) from error
        except DAMAGE as error:
            reason = str(error)[:200] or type(error).__name__
            raise DataError(
                f"{path}, byte {source.opcode}: expected a whole pickle, found one that is cut "
                f"off or damaged, or another kind of file ({reason}). Copy it again."
            ) from error


class _Source:
    """The decompressed bytes of a file, counted and capped, as `pickletools.genops` wants them.

    opcode: offset of the opcode that is being read.
    """

    def __init__(self, file: BinaryIO, most: int) -> None:
        self._file, self._most = file, most
        self._position = self._copied = self.opcode = 0

    def tell(self) -> int:
        """The offset; `genops` asks for it where an opcode begins."""
        self.opcode = self._position
        return self._position

    def read(self, count: int) -> bytes:
        """The next `count` bytes, fewer at the file's end."""
        self._check(self._position + count)
        if count <= CHUNK:
            data = self._file.read(count)
        else:
            data = b"".join(self._chunks(count))
        self._position += len(data)
        return data

    def _chunks(self, count: int) -> Iterator[bytes]:
        while count and (chunk := self._file.read(min(count, CHUNK))):
            count -= len(chunk)
            yield chunk

    def readline(self) -> bytes:
        """The bytes up to and with the next line end."""
        line = self._file.readline(self._most - self._position + 1)
        self._position += len(line)
        self._check(self._position)
        return line

    def spend(self, count: int) -> None:
        """Count bytes that are copied in memory: text that a small file names again and again."""
        self._copied += count
        self._check(self._copied)

    def _check(self, total: int) -> None:
        if total > self._most:
            raise Refused(
                f"at least {total} bytes of content, more than `most_bytes` = {self._most}"
            )

    def check_end(self) -> None:
        """Raise Refused where bytes follow the pickle; at a gzip file's end its sum is checked."""
        if self._file.read(1):
            self.tell()
            raise Refused("more bytes after the pickle's end")


class _Walk:
    """One pass over the opcodes of a pickle, with a stack and a memo of its own."""

    def __init__(self, source: _Source) -> None:
        self._source = source
        self._stack: list = []
        self._outer: list[list] = []  # the stacks below each mark
        self._memo: dict[int, object] = {}
        self._calls = 0

    def value(self) -> object:
        """The value that the pickle ends with."""
        for count, (opcode, argument, _) in enumerate(pickletools.genops(self._source)):
            if count >= MOST_OPCODES:
                raise Refused(f"more than {MOST_OPCODES} opcodes")
            self._step(opcode.name, argument)
        self._source.check_end()
        if len(self._stack) != 1 or self._outer:
            raise ValueError("it does not end with one value")
        _height(self._stack[0], {}, MOST_NESTING)
        return self._stack[0]

    def _step(self, name: str, argument: object) -> None:
        if name in PUSHED:
            self._stack.append(argument)
        elif name in CONSTANTS:
            self._stack.append(CONSTANTS[name])
        elif name in EMPTY:
            self._stack.append(EMPTY[name]())
        elif name in STEPS:
            STEPS[name](self, argument)
        elif name == "INST":
            raise Refused(f"the name {ascii(argument)[1:-1][:200].replace(' ', '.', 1)}")
        else:
            raise Refused(REFUSED.get(name, f"the opcode {name}"))

    # --- Containers -------------------------------------------------------------------------

    def _mark(self, _: object) -> None:
        if len(self._outer) >= 4 * MOST_NESTING:  # a level of an array takes several marks
            raise Refused(f"data nested deeper than {MOST_NESTING} levels")
        self._outer.append(self._stack)
        self._stack = []

    def _since_mark(self) -> list:
        items, self._stack = self._stack, self._outer.pop()
        return items

    def _last(self, count: int) -> list:
        if len(self._stack) < count:
            raise ValueError("it takes more values than it gave")
        items = self._stack[len(self._stack) - count :]
        del self._stack[len(self._stack) - count :]
        return items

    def _tuple(self, items: list) -> None:
        self._stack.append(tuple(items))

    def _list(self, _: object) -> None:
        items = self._since_mark()
        self._stack.append(items)

    def _dict(self, _: object) -> None:
        items = self._since_mark()
        self._stack.append({})
        self._set(items)

    def _append(self, items: list) -> None:
        if type(self._stack[-1]) is not list:
            raise Refused("items of what is no list")
        self._stack[-1].extend(items)

    def _set(self, items: list) -> None:
        target = self._stack[-1]
        if type(target) is not dict or len(items) % 2:
            raise Refused("entries of what is no dict")
        keys = items[::2]
        if not all(_is_plain(k) or type(k) is tuple and all(map(_is_plain, k)) for k in keys):
            raise Refused("a dict with a key that is no text, number or tuple of them")
        if len(target) + len(keys) > MOST_ENTRIES:
            raise Refused(f"a dict of more than {MOST_ENTRIES} entries")
        target.update(zip(keys, items[1::2], strict=True))

    # --- Memo -------------------------------------------------------------------------------

    def _put(self, index: int) -> None:
        if not 0 <= index < MOST_OPCODES:
            raise Refused(f"a memo of more than {MOST_OPCODES} entries")
        self._memo[index] = self._stack[-1]

    def _get(self, index: int) -> None:
        value = self._memo[index]
        if isinstance(value, PendingArray) and value.value is not None:
            value = value.value
        self._stack.append(value)

    # --- Arrays -----------------------------------------------------------------------------

    def _name(self, names: list) -> None:
        if len(names) != 2 or not all(isinstance(name, str) for name in names):
            raise Refused("a name that is no text")
        self._stack.append(stand_in(*names))

    def _call(self, _: object) -> None:
        self._calls += 1
        if self._calls > MOST_CALLS:
            raise Refused(f"more than {MOST_CALLS // 4} arrays")
        self._stack.append(called(*self._last(2), self._source.spend))

    def _build(self, _: object) -> None:
        self._stack.append(built(*self._last(2)))

    def _protocol(self, number: int) -> None:
        if number > NEWEST_PROTOCOL:
            raise Refused(f"protocol {number}, newer than {NEWEST_PROTOCOL}")


STEPS = {
    "PROTO": _Walk._protocol,
    "FRAME": lambda walk, _: None,
    "STOP": lambda walk, _: None,
    "MARK": _Walk._mark,
    "LIST": _Walk._list,
    "TUPLE": lambda walk, _: walk._tuple(walk._since_mark()),
    "TUPLE1": lambda walk, _: walk._tuple(walk._last(1)),
    "TUPLE2": lambda walk, _: walk._tuple(walk._last(2)),
    "TUPLE3": lambda walk, _: walk._tuple(walk._last(3)),
    "DICT": _Walk._dict,
    "APPEND": lambda walk, _: walk._append(walk._last(1)),
    "APPENDS": lambda walk, _: walk._append(walk._since_mark()),
    "SETITEM": lambda walk, _: walk._set(walk._last(2)),
    "SETITEMS": lambda walk, _: walk._set(walk._since_mark()),
    "MEMOIZE": lambda walk, _: walk._put(len(walk._memo)),
    "GLOBAL": lambda walk, names: walk._name(names.split(" ", 1)),
    "STACK_GLOBAL": lambda walk, _: walk._name(walk._last(2)),
    "REDUCE": _Walk._call,
    "BUILD": _Walk._build,
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), _Walk._put),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _Walk._get),
}


def _is_plain(key: object) -> bool:
    """True for what hashes fast: a tuple of tuples of tuples that share parts does not."""
    return key is None or isinstance(key, (str, bytes, int, float))


def _height(value: object, heights: dict[int, int], room: int) -> int:
    """Levels of lists, tuples and dicts in a value, at most `room`; heights: known ones, by id.

    Raises Refused for more levels, a list that holds itself, or a stand-in left in the value.
    """
    if isinstance(value, StandIn):
        raise Refused("a part of an array where a value should be")
    if not isinstance(value, (list, tuple, dict)):
        return 0
    if room > 0 and id(value) not in heights:
        inside = value.values() if isinstance(value, dict) else value
        levels = [_height(item, heights, room - 1) for item in inside]
        heights[id(value)] = 1 + max(levels, default=0)
    if heights.get(id(value), room + 1) > room:
        raise Refused(f"data nested deeper than {MOST_NESTING} levels")
    return heights[id(value)]
