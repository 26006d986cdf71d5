"""Read pickles of plain data without executing them.

A pickle is a small program, and Python's own unpickler calls any function that it names. This
module reads the opcodes with the standard library's `pickletools`. It follows only the opcodes
that write lists, tuples, dicts, strings, bytes, numbers and numpy arrays, and it imports and calls
nothing that the file names.
"""

import gzip
import pickletools
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from io import BufferedIOBase
from pathlib import Path
from typing import Any

from ...errors import DataError
from ...memory import memory_limit, too_large
from ..video import missing_file
from .pickled_arrays import (
    PendingArray,
    RefusedPickle,
    StandIn,
    call_function,
    refused_name,
    resolve_name,
    set_state,
)

GZIP = b"\x1f\x8b"
CHUNK = 1 << 24  # bytes; a length that a file announces is allocated in steps of this size
MAX_OPCODES = 1_000_000  # the course task's data have a few thousand
MAX_CALLS = 400_000  # up to four per array
MAX_DEPTH = 100  # levels of nested lists, tuples and dicts
MAX_ENTRIES = 10_000  # per dict: with forged keys of equal hash, the time grows with the square
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
DAMAGE_ERRORS = (
    ValueError,
    LookupError,
    OverflowError,
    EOFError,
    OSError,
    struct.error,
    zlib.error,
)


def read_plain_pickle(path: str | Path) -> object:
    """Return the content of a pickle of plain data; nothing in the file is executed.

    path: a pickle of protocol 0 to 5 from Python 3, plain or compressed with gzip, whatever its
    name. Plain data are lists, tuples, dicts (with plain keys), str, bytes, bytearray, int, float,
    bool, None, and arrays and scalars of bool, integers and floats of numpy 1 and 2. Arrays are
    read-only and keep the byte and memory order of the file. Raises DataError for a file that is
    absent, broken, larger than the limit of memory, or holds anything else.
    """
    path = Path(path)
    if not path.is_file():
        raise missing_file(path)
    with path.open("rb") as raw:
        head = raw.read(2)
        raw.seek(0)
        if not head:
            raise DataError(f"{path}: expected a pickle, found an empty file. Copy it again.")
        source = _Source(gzip.GzipFile(fileobj=raw) if head == GZIP else raw, path)
        try:
            with warnings.catch_warnings(action="ignore"):  # about escapes in a damaged name
                return _Interpreter(source).value()
        except RefusedPickle as error:
            raise DataError(
                f"{path}, byte {source.opcode}: expected only lists, dicts, text, numbers and "
                f"numpy arrays, found {error}; nothing was executed. Get the file from its source "
                "again, and do not unpickle it by other means."
            ) from error
        except DataError:  # too large
            raise
        except DAMAGE_ERRORS as error:
            reason = str(error)[:200] or type(error).__name__
            raise DataError(
                f"{path}, byte {source.opcode}: expected a complete pickle, found a truncated or "
                f"damaged one, or another kind of file ({reason}). Copy it again."
            ) from error


class _Source:
    """The decompressed bytes of a file, counted and limited, for `pickletools.genops`.

    opcode: offset of the current opcode.
    """

    def __init__(self, file: BufferedIOBase, path: Path) -> None:
        self._file, self._path, self._stored = file, path, path.stat().st_size
        self._limit = memory_limit(self._stored)
        self._position = self._copied = self.opcode = 0

    def tell(self) -> int:
        """The offset; `genops` calls this at the beginning of each opcode."""
        self.opcode = self._position
        return self._position

    def read(self, count: int) -> bytes:
        """Read the next `count` bytes, fewer at the end of the file."""
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
        """Read the bytes up to and including the next line end."""
        line = self._file.readline(self._limit - self._position + 1)
        self._position += len(line)
        self._check(self._position)
        return line

    def count_copied(self, count: int) -> None:
        """Count copied bytes: a small file can name the same text again and again."""
        self._copied += count
        self._check(self._copied)

    def _check(self, total: int) -> None:
        if total > self._limit:
            raise too_large(f"{self._path}: its content", total, self._limit, self._stored)

    def check_end(self) -> None:
        """Raise RefusedPickle where bytes follow the pickle.

        Reading to the end of a gzip file also checks its checksum.
        """
        if self._file.read(1):
            self.tell()
            raise RefusedPickle("more bytes after the end of the pickle")


class _Interpreter:
    """One pass over the opcodes of a pickle, with its own stack and memo."""

    def __init__(self, source: _Source) -> None:
        self._source = source
        self._stack: list = []
        self._outer: list[list] = []  # the stacks below each mark
        self._memo: dict[int, object] = {}
        self._calls = 0

    def value(self) -> object:
        """Follow all opcodes and return the final value."""
        opcodes = pickletools.genops(self._source)  # type: ignore[arg-type]  # only reads and tells
        for count, (opcode, argument, _) in enumerate(opcodes):
            if count >= MAX_OPCODES:
                raise RefusedPickle(f"more than {MAX_OPCODES} opcodes")
            self._step(opcode.name, argument)
        self._source.check_end()
        if len(self._stack) != 1 or self._outer:
            raise ValueError("it does not end with one value")
        _depth(self._stack[0], {}, MAX_DEPTH)
        return self._stack[0]

    def _step(self, name: str, argument: Any) -> None:
        """Follow one opcode. argument: of the opcode, such as an int or a text; often None."""
        if name in PUSHED:
            self._stack.append(argument)
        elif name in CONSTANTS:
            self._stack.append(CONSTANTS[name])
        elif name in EMPTY:
            self._stack.append(EMPTY[name]())
        elif name in STEPS:
            STEPS[name](self, argument)
        elif name == "INST":
            raise refused_name(argument.replace(" ", ".", 1))
        else:
            raise RefusedPickle(REFUSED.get(name, f"the opcode {name}"))

    # --- Containers -------------------------------------------------------------------------

    def _mark(self, _: object) -> None:
        if len(self._outer) >= 4 * MAX_DEPTH:  # one level of an array takes several marks
            raise RefusedPickle(f"data nested deeper than {MAX_DEPTH} levels")
        self._outer.append(self._stack)
        self._stack = []

    def _pop_to_mark(self) -> list:
        items, self._stack = self._stack, self._outer.pop()
        return items

    def _pop(self, count: int) -> list:
        if len(self._stack) < count:
            raise ValueError("it takes more values from the stack than it put there")
        items = self._stack[len(self._stack) - count :]
        del self._stack[len(self._stack) - count :]
        return items

    def _tuple(self, items: list) -> None:
        self._stack.append(tuple(items))

    def _list(self, _: object) -> None:
        items = self._pop_to_mark()
        self._stack.append(items)

    def _dict(self, _: object) -> None:
        items = self._pop_to_mark()
        self._stack.append({})
        self._set(items)

    def _append(self, items: list) -> None:
        if type(self._stack[-1]) is not list:
            raise RefusedPickle("list items for an object that is not a list")
        self._stack[-1].extend(items)

    def _set(self, items: list) -> None:
        target = self._stack[-1]
        if type(target) is not dict or len(items) % 2:
            raise RefusedPickle("dict entries for an object that is not a dict")
        keys = items[::2]
        if not all(_is_plain(k) or type(k) is tuple and all(map(_is_plain, k)) for k in keys):
            raise RefusedPickle("a dict with a key that is not text, a number or a tuple of these")
        if len(target) + len(keys) > MAX_ENTRIES:
            raise RefusedPickle(f"a dict of more than {MAX_ENTRIES} entries")
        target.update(zip(keys, items[1::2], strict=True))

    # --- Memo -------------------------------------------------------------------------------

    def _put(self, index: int) -> None:
        if not 0 <= index < MAX_OPCODES:
            raise RefusedPickle(f"a memo of more than {MAX_OPCODES} entries")
        self._memo[index] = self._stack[-1]

    def _get(self, index: int) -> None:
        value = self._memo[index]
        if isinstance(value, PendingArray) and value.value is not None:
            value = value.value
        self._stack.append(value)

    # --- Arrays -----------------------------------------------------------------------------

    def _name(self, names: list) -> None:
        if len(names) != 2 or not all(isinstance(name, str) for name in names):
            raise RefusedPickle("a name that is not text")
        self._stack.append(resolve_name(*names))

    def _call(self, _: object) -> None:
        self._calls += 1
        if self._calls > MAX_CALLS:
            raise RefusedPickle(f"more than {MAX_CALLS // 4} arrays")
        function, arguments = self._pop(2)
        self._stack.append(call_function(function, arguments, self._source.count_copied))

    def _build(self, _: object) -> None:
        self._stack.append(set_state(*self._pop(2)))

    def _protocol(self, number: int) -> None:
        if number > NEWEST_PROTOCOL:
            raise RefusedPickle(f"protocol {number}, newer than {NEWEST_PROTOCOL}")


STEPS: dict[str, Callable[[_Interpreter, Any], None]] = {
    "PROTO": _Interpreter._protocol,
    "FRAME": lambda self, _: None,
    "STOP": lambda self, _: None,
    "MARK": _Interpreter._mark,
    "LIST": _Interpreter._list,
    "TUPLE": lambda self, _: self._tuple(self._pop_to_mark()),
    "TUPLE1": lambda self, _: self._tuple(self._pop(1)),
    "TUPLE2": lambda self, _: self._tuple(self._pop(2)),
    "TUPLE3": lambda self, _: self._tuple(self._pop(3)),
    "DICT": _Interpreter._dict,
    "APPEND": lambda self, _: self._append(self._pop(1)),
    "APPENDS": lambda self, _: self._append(self._pop_to_mark()),
    "SETITEM": lambda self, _: self._set(self._pop(2)),
    "SETITEMS": lambda self, _: self._set(self._pop_to_mark()),
    "MEMOIZE": lambda self, _: self._put(len(self._memo)),
    "GLOBAL": lambda self, names: self._name(names.split(" ", 1)),
    "STACK_GLOBAL": lambda self, _: self._name(self._pop(2)),
    "REDUCE": _Interpreter._call,
    "BUILD": _Interpreter._build,
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), _Interpreter._put),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _Interpreter._get),
}


def _is_plain(key: object) -> bool:
    """True for a key that hashes fast; nested tuples that share parts can hash very slowly."""
    return key is None or isinstance(key, (str, bytes, int, float))


def _depth(value: object, depths: dict[int, int], limit: int) -> int:
    """Count the levels of lists, tuples and dicts in a value.

    depths: results so far, by the id of the value. limit: largest allowed number of levels.
    Raises RefusedPickle for more levels, a list that holds itself, or a stand-in in the value.
    """
    if isinstance(value, StandIn):
        raise RefusedPickle("a part of an array where a value should be")
    if not isinstance(value, (list, tuple, dict)):
        return 0
    if limit > 0 and id(value) not in depths:
        items = value.values() if isinstance(value, dict) else value
        levels = [_depth(item, depths, limit - 1) for item in items]
        depths[id(value)] = 1 + max(levels, default=0)
    if depths.get(id(value), limit + 1) > limit:
        raise RefusedPickle(f"data nested deeper than {MAX_DEPTH} levels")
    return depths[id(value)]
