"""Stand-ins for the functions that pickled numpy arrays call, so that numpy's own never run.

A pickle rebuilds an array by calling `_reconstruct`, `dtype` and other functions with arguments
from the file. numpy's functions trust these arguments, and a forged dtype crashes the interpreter.
This module checks the arguments and makes the array from its bytes with `numpy.frombuffer`.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

MAX_AXES = 8
MAX_AXIS_LENGTH = 2**40
DTYPE_CODE = re.compile(r"b1|[iu][1248]|f[248]")
NUMPY_MODULE = re.compile(r"numpy(\._?core\.(multiarray|_multiarray_umath|numeric))?")
NUMPY_NAMES = {"_reconstruct", "ndarray", "dtype", "scalar", "_frombuffer"}
BUILTINS = {"builtins", "__builtin__"}  # of Python 3 and 2; protocols 0 to 2 write the latter


class RefusedPickle(ValueError):
    """A pickle holds something else than plain data. The message names it, to follow "found"."""


class StandIn:
    """An intermediate object that a pickle needs to build an array; it is not a value itself."""


@dataclass(frozen=True)
class GlobalName(StandIn):
    """A function or class of numpy or Python that the pickle names."""

    name: str


@dataclass(eq=False)
class Dtype(StandIn):
    """Kind and size of the elements of an array, such as `u1`, and byte order, such as `<`."""

    code: str
    order: str | None = None

    @property
    def numpy(self) -> np.dtype:
        """The corresponding numpy dtype."""
        return np.dtype((self.order or "=") + self.code)


@dataclass(eq=False)
class PendingArray(StandIn):
    """An array without content yet; `set_state` gives it a shape and bytes."""

    value: np.ndarray | None = None


def resolve_name(module: str, name: str) -> GlobalName:
    """Return the stand-in for a global name.

    Raises RefusedPickle for a name that plain data do not need.
    """
    allowed = NUMPY_MODULE.fullmatch(module) and name in NUMPY_NAMES
    allowed = allowed or (module, name) == ("_codecs", "encode")
    if allowed or (module in BUILTINS and name in ("bytes", "bytearray")):
        return GlobalName(name)
    raise refused_name(f"{module}.{name}")


def refused_name(name: str) -> RefusedPickle:
    """Build the error for a global name that plain data do not need."""
    return RefusedPickle(f"the name {ascii(name)[1:-1][:200]}")


def call_function(target: object, arguments: object, count_bytes: Callable[[int], None]) -> object:
    """Return the result of a call of a named function.

    count_bytes: called with the number of bytes before they are copied; it raises where they are
    too many. Raises RefusedPickle for arguments that numpy does not write.
    """
    match target, arguments:
        case GlobalName("_reconstruct"), (GlobalName("ndarray"), tuple(), str() | bytes()):
            return PendingArray()
        case GlobalName("dtype"), (str(code), int(), int()) if DTYPE_CODE.fullmatch(code):
            return Dtype(code)
        case GlobalName("dtype"), (str(code), *_):
            raise RefusedPickle(f"an array of dtype {ascii(code)[:40]}, not of plain numbers")
        case GlobalName("scalar"), (Dtype() as dtype, bytes(data)):
            return _array(data, dtype, (), "C")[()]
        case GlobalName("_frombuffer"), (bytes() | bytearray() as data, Dtype() as dtype, *layout):
            return _from_buffer(data, dtype, layout)
        case GlobalName("encode"), (str(text), "latin1"):
            count_bytes(len(text))
            return text.encode("latin1")
        case GlobalName("bytes"), ():
            return b""
        case GlobalName("bytearray"), ():
            return bytearray()
        case GlobalName("bytearray"), (bytes(data),):
            count_bytes(len(data))
            return bytearray(data)
    name = target.name if isinstance(target, GlobalName) else type(target).__name__
    raise RefusedPickle(f"a call of {name} with arguments that plain data do not need")


def set_state(target: object, state: object) -> object:
    """Complete a dtype or an array with its pickled state, and return it.

    Raises RefusedPickle for a state that numpy does not write for plain numbers.
    """
    match target, state:
        case Dtype(order=None), (int(version), str(order), None, None, None, int(size), int(), 0):
            _check_dtype(target, version, order, size)
            target.order = order
            return target
        case Dtype(), _:
            raise RefusedPickle("a dtype with fields, objects or sub-arrays, not of plain numbers")
        case PendingArray(value=None), (
            1,
            tuple(shape),
            Dtype() as dtype,
            int(fortran),
            bytes(data),
        ):
            target.value = _array(data, dtype, shape, "F" if fortran else "C")
            return target.value
    raise RefusedPickle("the state of an object that is not a plain array")


def _check_dtype(dtype: Dtype, version: int, order: str, size: int) -> None:
    """Raise RefusedPickle for a version, byte order or element size that does not fit."""
    expected = int(dtype.code[1:])
    if version != 3 or size not in (-1, expected):
        raise RefusedPickle(
            f"a dtype {dtype.code} of version {version} with elements of {size} bytes"
        )
    if order not in ("<", ">", "=", "|") or (order == "|" and expected > 1):
        raise RefusedPickle(f"a dtype {dtype.code} of byte order {ascii(order)[:40]}")


def _from_buffer(data: bytes | bytearray, dtype: Dtype, layout: list) -> np.ndarray:
    """Make an array as protocol 5 writes it.

    layout: shape, memory order and, since numpy 2.1, the order of axes.
    """
    match layout:
        case [tuple(shape), "C" | "F" as order] | [tuple(shape), "C" | "F" as order, None]:
            return _array(data, dtype, shape, order)
        case [tuple(shape), "K", tuple(axes)]:
            array = _array(data, dtype, shape, "C")
            if any(type(axis) is not int for axis in axes) or sorted(axes) != [*range(len(shape))]:
                raise RefusedPickle(f"an array of {len(shape)} axes in an impossible order")
            return array.transpose(axes)
    raise RefusedPickle("an array of unknown memory layout")


def _array(
    data: bytes | bytearray, dtype: Dtype, shape: tuple, order: Literal["C", "F"]
) -> np.ndarray:
    """Make a read-only array over `data`, without a copy."""
    if len(shape) > MAX_AXES:
        raise RefusedPickle(f"an array of {len(shape)} axes, more than {MAX_AXES}")
    if any(type(length) is not int or not 0 <= length <= MAX_AXIS_LENGTH for length in shape):
        raise RefusedPickle("an array in which a length is not a whole number from 0 to 2**40")
    needed = math.prod(shape) * dtype.numpy.itemsize
    if needed != len(data):
        kind = f"shape {shape} and dtype {dtype.code}"
        raise RefusedPickle(f"{len(data)} bytes for an array of {kind}, which needs {needed}")
    array = np.frombuffer(data, dtype.numpy).reshape(shape, order=order)
    if dtype.code == "b1" and array.view(np.uint8).max(initial=0) > 1:
        raise RefusedPickle("a bool array with bytes other than 0 and 1")
    array.flags.writeable = False
    return array
