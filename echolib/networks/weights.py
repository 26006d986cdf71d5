"""Weights files: safetensors that are equal byte for byte, and checked before they are loaded."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ..errors import DataError
from ..files import atomic_path
from ..memory import require_memory

FOLDS = (1, 2)  # px, sides of the squares that a network takes as one pixel
# Arguments of networks, with the smallest and the largest value that makes sense
LIMITS = {
    "width": (1, 512), "depth": (1, 8), "outputs": (1, 64), "inputs": (1, 16),
    "landmarks": (1, 256), "fold": FOLDS,
}  # fmt: skip
SIZES = (8, 2048)  # px, sides of the squares that a network may see
# dtypes of a file that may become the dtype of a network
DTYPES = {torch.float32: ("F16", "BF16", "F32", "F64"), torch.int64: ("I64",)}
LENGTH_BYTES = 8  # of the number at the start of a file, the length of its header
MAX_LISTED = 3  # tensors that an error names


def write_weights(path: str | Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write tensors and texts: equal ones give equal bytes. Whole or not at all.

    safetensors writes the texts in random order, so the header is written again, sorted.
    """
    content = save(tensors, metadata)
    start = LENGTH_BYTES + int.from_bytes(content[:LENGTH_BYTES], "little")
    header = json.loads(content[LENGTH_BYTES:start])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % LENGTH_BYTES)  # the tensors begin at a multiple of 8
    with atomic_path(path) as temporary:
        temporary.write_bytes(len(text).to_bytes(LENGTH_BYTES, "little") + text + content[start:])


def read_metadata(path: Path) -> dict[str, str]:
    """The texts of a weights file. Raises DataError where it is no readable safetensors file."""
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path} is not a readable safetensors file: {error}.") from error


def read_tensors(path: Path, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Read the tensors of a network from a weights file.

    expected: the network's tensors on torch's device "meta", which have a shape and no values.
    Their shapes are compared with the file's before anything is allocated. Raises ValueError for
    other tensors and for values that no network has, DataError for a file that cannot be read or
    is too large.
    """
    try:
        with safe_open(path, framework="pt") as file:
            declared = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            found = {n: (part.get_shape(), part.get_dtype()) for n, part in declared.items()}
            _check_shapes(found, expected)
            require_memory(str(path), sum(4 * tensor.numel() for tensor in expected.values()))
            tensors = {n: file.get_tensor(n).to(like.dtype) for n, like in expected.items()}
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path} is not a readable safetensors file: {error}.") from error
    _check_values(tensors)
    return tensors


def _check_shapes(found: dict[str, tuple[list[int], str]], expected: Mapping[str, Tensor]) -> None:
    """Raise ValueError where names, shapes or dtypes are not those of a network."""
    wrong = [f"{name} is missing" for name in expected.keys() - found.keys()]
    wrong += [f"{name} is no tensor of it" for name in found.keys() - expected.keys()]
    for name in expected.keys() & found.keys():
        shape, dtype = found[name]
        needed = list(expected[name].shape)
        if shape != needed:
            wrong.append(f"{name} has the shape {shape}, not {needed}")
        elif dtype not in DTYPES[expected[name].dtype]:
            wrong.append(f"{name} has the type {dtype}, not {DTYPES[expected[name].dtype][-1]}")
    if wrong:
        more = f", and {len(wrong) - MAX_LISTED} more" if len(wrong) > MAX_LISTED else ""
        raise ValueError(f"{'; '.join(sorted(wrong)[:MAX_LISTED])}{more}")


def _check_values(tensors: dict[str, Tensor]) -> None:
    """Raise ValueError for values that make every answer of a network invalid."""
    for name, tensor in tensors.items():
        count = int((~torch.isfinite(tensor)).sum())
        if count:
            raise ValueError(f"{name} has {count} values that are not finite numbers")
        if name == "sd" and not tensor > 0 or name.endswith("running_var") and tensor.min() < 0:
            raise ValueError(f"{name} must not be {float(tensor.min()):g}")


def parse_object(text: str, what: str) -> dict[str, Any]:
    """A JSON object from a text of a weights file. Raises ValueError for any other text."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"its {what} is no JSON ({error})") from error
    if not isinstance(values, dict):
        raise ValueError(f"its {what} is {text[:60]}, not a JSON object")
    return values


def check_number(name: str, value: object, limits: tuple[int, int]) -> int:
    """A whole number between limits. Raises ValueError for anything else, such as true or 4.0."""
    if type(value) is not int or not limits[0] <= value <= limits[1]:
        shown = value if isinstance(value, float) and not math.isfinite(value) else repr(value)
        raise ValueError(
            f"its {name} is {str(shown)[:60]}; expected a whole number from {limits[0]} to "
            f"{limits[1]}"
        )
    return value


def check_arguments(arguments: dict[str, Any]) -> dict[str, int]:
    """Arguments of a network, each within `LIMITS`. Raises ValueError for others."""
    unknown = sorted(arguments.keys() - LIMITS.keys())
    if unknown:
        raise ValueError(f"its arguments {unknown} are none of {sorted(LIMITS)}")
    return {name: check_number(name, value, LIMITS[name]) for name, value in arguments.items()}
