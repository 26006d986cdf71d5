"""Stand-ins for the few names that pickled numpy arrays call, so that numpy's own never run.

A pickle rebuilds an array by calling `_reconstruct`, `dtype` and others with arguments of its own
choice; numpy's own functions trust them, and a forged dtype crashes the interpreter. Here the
arguments are checked and an array is made from its bytes with `numpy.frombuffer`.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

MOST_AXES = 8
LONGEST_AXIS = 2**40
CODE = re.compile(r"b1|[iu][1248]|f[248]")
NUMPY = re.compile(r"numpy(\._?core\.(multiarray|_multiarray_umath|numeric))?")
NUMPY_NAMES = {"_reconstruct", "ndarray", "dtype", "scalar", "_frombuffer"}
BUILTINS = {"builtins", "__builtin__"}  # Python 3's and 2's names, protocols 0 to 2 use the latter


class Refused(ValueError):
    """A pickle holds what is no plain data; the message says what, to follow "found"."""


class StandIn:
    """Something that a pickle needs on the way to an array, and that is no value itself."""


@dataclass(frozen=True)
class Named(StandIn):
    """A function or class of numpy or Python that the pickle names."""

    name: str


@dataclass(eq=False)
class Dtype(StandIn):
    """The kind and size of an array's elements, as `u1`, and their byte order, as `<`."""

    code: str
    order: str | None = None

    @property
    def numpy(self) -> np.dtype:
        """The dtype of numpy."""
        return np.dtype((self.order or "=") + self.code)


@dataclass(eq=False)
class PendingArray(StandIn):
    """An array that has been announced; its value comes with its shape and bytes."""

    value: np.ndarray | None = None


def stand_in(module: str, name: str) -> Named:
    """The stand-in for a global name. Raises Refused for one that plain data do not need."""
    allowed = NUMPY.fullmatch(module) and name in NUMPY_NAMES
    allowed = allowed or (module, name) == ("_codecs", "encode")
    if allowed or (module in BUILTINS and name in ("bytes", "bytearray")):
        return Named(name)
    raise Refused(f"the name {ascii(f'{module}.{name}')[1:-1][:200]}")


def called(target: object, arguments: object, spend: Callable[[int], None]) -> object:
    """What a call of a named function gives.

    spend: told the number of bytes before any are copied; it raises where they are too many.
    Raises Refused for arguments that numpy does not write.
    """
    match target, arguments:
        case Named("_reconstruct"), (Named("ndarray"), tuple(), str() | bytes()):
            return PendingArray()
        case Named("dtype"), (str(code), int(), int()) if CODE.fullmatch(code):
            return Dtype(code)
        case Named("dtype"), (str(code), *_):
            raise Refused(f"an array of dtype {ascii(code)[:40]}, which is no plain number")
        case Named("scalar"), (Dtype() as dtype, bytes(data)):
            return _array(data, dtype, (), "C")[()]
        case Named("_frombuffer"), (bytes() | bytearray() as data, Dtype() as dtype, *layout):
            return _from_buffer(data, dtype, layout)
        case Named("encode"), (str(text), "latin1"):
            spend(len(text))
            return text.encode("latin1")
        case Named("bytes"), ():
            return b""
        case Named("bytearray"), ():
            return bytearray()
        case Named("bytearray"), (bytes(data),):
            spend(len(data))
            return bytearray(data)
    name = target.name if isinstance(target, Named) else type(target).__name__
    raise Refused(f"a call of {name} with arguments that plain data do not need")


def built(target: object, state: object) -> object:
    """The object that a state completes: a dtype or an array.

    Raises Refused for a state that numpy does not write for plain numbers.
    """
    match target, state:
        case Dtype(order=None), (int(version), str(order), None, None, None, int(size), int(), 0):
            _check_dtype(target, version, order, size)
            target.order = order
            return target
        case Dtype(), _:
            raise Refused("a dtype with fields, objects or sub-arrays, which is no plain number")
        case PendingArray(value=None), (
            1,
            tuple(shape),
            Dtype() as dtype,
            int(fortran),
            bytes(data),
        ):
            target.value = _array(data, dtype, shape, "F" if fortran else "C")
            return target.value
    raise Refused("the state of an object that is no plain array")


def _check_dtype(dtype: Dtype, version: int, order: str, size: int) -> None:
    expected = int(dtype.code[1:])
    if version != 3 or size not in (-1, expected):
        raise Refused(f"a dtype {dtype.code} of version {version} with elements of {size} bytes")
    if order not in ("<", ">", "=", "|") or (order == "|" and expected > 1):
        raise Refused(f"a dtype {dtype.code} of byte order {ascii(order)[:40]}")


def _from_buffer(data: bytes | bytearray, dtype: Dtype, layout: list) -> np.ndarray:
    """An array as protocol 5 writes it: shape, order and, from numpy 2.1 on, order of axes."""
    match layout:
        case [tuple(shape), "C" | "F" as order] | [tuple(shape), "C" | "F" as order, None]:
            return _array(data, dtype, shape, order)
        case [tuple(shape), "K", tuple(axes)]:
            array = _array(data, dtype, shape, "C")
            if any(type(axis) is not int for axis in axes) or sorted(axes) != [*range(len(shape))]:
                raise Refused(f"an array of {len(shape)} axes with an impossible order of them")
            return array.transpose(axes)
    raise Refused("an array of unknown memory layout")


def _array(data: bytes | bytearray, dtype: Dtype, shape: tuple, order: str) -> np.ndarray:
    """A read-only array over `data`, without a copy."""
    if len(shape) > MOST_AXES:
        raise Refused(f"an array of {len(shape)} axes, more than {MOST_AXES}")
    if any(type(length) is not int or not 0 <= length <= LONGEST_AXIS for length in shape):
        raise Refused("an array whose shape is not made of lengths from 0 on")
    needed = math.prod(shape) * dtype.numpy.itemsize
    if needed != len(data):
        found = f"{len(data)} bytes for an array of shape {shape} and dtype {dtype.code}"
        raise Refused(f"{found}, which needs {needed}")
    array = np.frombuffer(data, dtype.numpy).reshape(shape, order=order)
    if dtype.code == "b1" and array.view(np.uint8).max(initial=0) > 1:
        raise Refused("a bool array with other bytes than 0 and 1")
    array.flags.writeable = False
    return array
