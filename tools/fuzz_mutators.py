"""How `tools.fuzz` damages a file: bytes of any kind, and the structure of the formats it knows.

Every function takes a `numpy.random.Generator` and the content of a file, and returns the damaged
content. The same generator state gives the same damage.
"""

import gzip
import io
import json
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

CANARY = "fuzz-canary"  # the file that an executed call would make in the working folder
INTEGERS = (0, 1, -1, 2**15, 2**16 - 1, 2**31 - 1, -(2**31), 2**32 - 1, 2**40, 2**63 - 1)
FLOATS = (0.0, -1.0, 1e-300, 1e300, 1e308, float("inf"), -float("inf"), float("nan"))
MARKERS = (
    b"avih", b"strh", b"strf", b"movi", b"idx1", b"LIST", b"mvhd", b"tkhd", b"mdhd", b"stsd",
    b"avc1", b"mp4v", b"av01", b"stts", b"stsz", b"stsc", b"stco", b"moov", b"mdat", b"elst",
    b"\x16\x54\xae\x6b", b"\xe0", b"\xb0\x82", b"\xba\x82", b"\x1f\x43\xb6\x75", b"\xa3",
    b"GIF89a", b",\x00\x00\x00\x00", b"!\xf9", b"\x00\x00\x01\xb3", b"\x00\x00\x01\xba", b"G@",
    b"IHDR", b"IDAT", b"tRNS", b"\xff\xc0", b"\xff\xda", b"\xff\x4f\xff\x51",
)  # fmt: skip

Mutator = Callable[[np.random.Generator, bytes], bytes]


def choose(rng: np.random.Generator, items: Any) -> Any:
    """One of some items, as a plain Python value."""
    items = list(items)
    return items[int(rng.integers(len(items)))]


# --- Bytes ----------------------------------------------------------------------------------------


def _place(rng: np.random.Generator, data: bytes | bytearray) -> int:
    """An offset, half of the time in the first 512 bytes, where most formats have their header."""
    end = min(512, len(data)) if rng.random() < 0.5 else len(data)
    return int(rng.integers(max(1, end)))


def _run(rng: np.random.Generator, data: bytes) -> slice:
    start = _place(rng, data)
    return slice(start, start + int(2 ** rng.uniform(0, np.log2(max(2, len(data))))))


def flip_bits(rng: np.random.Generator, data: bytes) -> bytes:
    """Flip 1 to 64 bits."""
    changed = bytearray(data or b"\0")
    for _ in range(int(2 ** rng.uniform(0, 6))):
        changed[_place(rng, changed)] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def fill_run(rng: np.random.Generator, data: bytes) -> bytes:
    """Overwrite a run with zeros or with ones."""
    run, changed = _run(rng, data), bytearray(data)
    changed[run] = choose(rng, (b"\0", b"\xff")) * len(changed[run])
    return bytes(changed)


def truncate(rng: np.random.Generator, data: bytes) -> bytes:
    """Cut the end off."""
    return data[: _place(rng, data)]


def delete_run(rng: np.random.Generator, data: bytes) -> bytes:
    """Leave a run out."""
    run = _run(rng, data)
    return data[: run.start] + data[run.stop :]


def duplicate_run(rng: np.random.Generator, data: bytes) -> bytes:
    """Repeat a run."""
    run = _run(rng, data)
    return data[: run.stop] + data[run] * int(rng.integers(1, 4)) + data[run.stop :]


def _extreme(rng: np.random.Generator) -> bytes:
    """An extreme number in one of the usual encodings."""
    order = choose(rng, "<>")
    if rng.random() < 0.2:
        return struct.pack(f"{order}{choose(rng, 'fd')}", choose(rng, FLOATS[:3] + FLOATS[5:]))
    size = choose(rng, (1, 2, 4, 8))
    number = choose(rng, INTEGERS) & (256**size - 1)
    return number.to_bytes(size, "little" if order == "<" else "big")


def set_number(rng: np.random.Generator, data: bytes) -> bytes:
    """Overwrite 1 to 4 numbers, at even offsets, with extreme values."""
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        number, start = _extreme(rng), 2 * (_place(rng, data) // 2)
        changed[start : start + len(number)] = number
    return bytes(changed)


def set_field(rng: np.random.Generator, data: bytes) -> bytes:
    """Overwrite a number near the name of a field that the file contains."""
    names = [name for name in MARKERS if name in data]
    if not names:
        return set_number(rng, data)
    name, changed = choose(rng, names), bytearray(data)
    places = [i for i in range(len(data)) if data.startswith(name, i)] if len(name) < 3 else []
    start = choose(rng, places or [data.index(name)]) + len(name)
    for _ in range(int(rng.integers(1, 4))):
        number, offset = _extreme(rng), start + int(rng.integers(48))
        changed[offset : offset + len(number)] = number
    return bytes(changed)


BYTES: tuple[Mutator, ...] = (
    flip_bits, flip_bits, fill_run, truncate, delete_run, duplicate_run, set_number, set_field,
)  # fmt: skip


def mutate_bytes(rng: np.random.Generator, data: bytes) -> bytes:
    """Damage bytes without regard to their format."""
    return choose(rng, BYTES)(rng, data)


def mutate_png(rng: np.random.Generator, data: bytes) -> bytes:
    """Change size, bit depth or colour type of a PNG, with a checksum that is right again."""
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 3))):
        if rng.random() < 0.7:
            size = choose(rng, (0, 1, 111, 113, 20_000, 2**31 - 1, 2**32 - 1))
            struct.pack_into(">I", changed, choose(rng, (16, 20)), size)
        else:
            changed[choose(rng, (24, 25, 28))] = choose(rng, (0, 1, 2, 3, 4, 6, 8, 16, 255))
    struct.pack_into(">I", changed, 29, zlib.crc32(changed[12:29]))
    return bytes(changed)


def splice(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    """The beginning of one file with the end of another."""
    return data[: _place(rng, data)] + other[_place(rng, other) :]


# --- Compression ----------------------------------------------------------------------------------


def in_gzip(mutate: Mutator) -> Mutator:
    """Damage what a gzip file contains; one time in twenty it becomes a bomb, or ends early."""

    def mutate_content(rng: np.random.Generator, data: bytes) -> bytes:
        if rng.random() < 0.05:
            content = mutate(rng, gzip.decompress(data))  # 352 bytes are a whole NIfTI header
            return gzip.compress(content[:352], mtime=0) + gzip_bomb()
        return gzip.compress(mutate(rng, gzip.decompress(data)), 1, mtime=0)

    return mutate_content


@cache
def gzip_bomb() -> bytes:
    """3 GB of zeros as 3 MB: a gzip file may have many members."""
    return gzip.compress(bytes(2**25), mtime=0) * 96


@cache
def _zeros() -> tuple[bytes, bytes]:
    """2 GB of zeros, deflated, as 2 MB, and their end: a flushed block may be repeated."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(2**25)) + packer.flush(zlib.Z_FULL_FLUSH)
    return block * 64, packer.flush()


def deflate_bomb(head: bytes) -> bytes:
    """Some content and 2 GB of zeros after it, deflated."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    start = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    return start + b"".join(_zeros())


def mutate_zip(rng: np.random.Generator, data: bytes) -> bytes:
    """Cut, rename, repeat or damage a member of an archive, whose checksums are right again.

    One time in twenty, the archive becomes a bomb.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    index = int(rng.integers(len(members)))
    name, content = members[index]
    if rng.random() < 0.05:
        return zip_bomb(name)
    change = choose(rng, ("drop", "rename", "repeat", "bytes", "bytes", "npy", "npy"))
    if change == "drop":
        del members[index]
    elif change == "rename":
        new = choose(rng, ("", "x.npy", "../out.npy", "/out.npy", name.upper(), "\N{SNOWMAN}.npy"))
        members[index] = (new, content)
    elif change == "repeat":
        members.append((name, mutate_bytes(rng, content)))
    else:
        mutate = mutate_npy if change == "npy" and content[:6] == b"\x93NUMPY" else mutate_bytes
        members[index] = (name, mutate(rng, content))
    buffer = io.BytesIO()
    with (
        warnings.catch_warnings(action="ignore"),  # about names that are there twice
        zipfile.ZipFile(buffer, "w", choose(rng, (0, zipfile.ZIP_DEFLATED))) as archive,
    ):
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


@cache
def zip_bomb(name: str) -> bytes:
    """An archive with one array of 2 GB of zeros, as 2 MB."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (2**31,)}
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo(name), deflate_bomb(header.getvalue()))
    data = bytearray(buffer.getvalue())  # stored bytes so far, which are declared to be deflated
    for start in (-2, data.rindex(b"PK\x01\x02")):
        struct.pack_into("<H", data, start + 10, zipfile.ZIP_DEFLATED)
        struct.pack_into("<I", data, start + 24, 2**31 + len(header.getvalue()))
    return bytes(data)


# --- Arrays ---------------------------------------------------------------------------------------


def mutate_npy(rng: np.random.Generator, data: bytes) -> bytes:
    """Change dtype, shape, order or syntax in the header of an array."""
    start = 10 if data[6] == 1 else 12  # later versions have four bytes for the header's length
    length = int.from_bytes(data[8:start], "little")
    fields = eval_header(data[start : start + length])
    shape = list(fields["shape"]) or [1]
    change = choose(rng, ("descr", "shape", "shape", "order", "text"))
    if change == "descr":
        kinds = ("|O", "<f8", "|u1", "<U4", "|S0", ">i4", "<M8[s]", "x", [("a", "<f4")], "|b1")
        fields["descr"] = choose(rng, kinds)
    elif change == "shape":
        shape[int(rng.integers(len(shape)))] = choose(rng, (*INTEGERS, -5, "3", None))
        fields["shape"] = tuple(choose(rng, (shape, shape[1:], [*shape, 2], shape[::-1])))
    elif change == "order":
        fields["fortran_order"] = choose(rng, (True, 1, None))
    text = repr(fields)
    if change == "text":
        place = int(rng.integers(len(text)))
        wild = ("(", "]", "'", "\n", "\0", "\\", "9" * 50, "_" * 2, "L", "{" * 200)
        text = text[:place] + choose(rng, wild) + text[place + int(rng.integers(3)) :]
    header = text.encode("latin-1") + b" " * (-(len(text) + 11) % 64) + b"\n"
    size = len(header).to_bytes(start - 8, "little")
    return data[:8] + size + header + data[start + length :]


def eval_header(header: bytes) -> dict[str, Any]:
    """The fields of an npy header that numpy wrote."""
    import ast

    return ast.literal_eval(header.decode("latin-1").strip())


def split_safetensors(data: bytes) -> tuple[dict[str, Any], bytes]:
    """The header and the bytes of the tensors of a safetensors file."""
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def join_safetensors(header: dict[str, Any], tensors: bytes) -> bytes:
    """A safetensors file from its header, whose keys are sorted, and the bytes of its tensors."""
    text = json.dumps(header, sort_keys=True).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + tensors
