"""How `tools.fuzz` damages what a format means: DICOM tags, cells, JSON values, pickle opcodes."""

import io
import json
import pickle
import struct
import warnings
import zlib
from copy import deepcopy
from typing import Any

import numpy as np

from .fuzz_mutators import (
    CANARY,
    FLOATS,
    Mutator,
    choose,
    deflate_bomb,
    in_gzip,
    join_safetensors,
    mutate_bytes,
    mutate_npy,
    mutate_png,
    mutate_zip,
    set_field,
    splice,
    split_safetensors,
)

TEXTS = (
    "", " ", "inf", "-inf", "nan", "NaN", "1e308", "-1", "0", "9" * 400, "x" * 100_000, "1e-320",
    "\N{SNOWMAN}\N{PILE OF POO}", "=cmd|' /C calc'!A0", "../../../etc/passwd", "a,b", '"', "\r\n",
    "0x10", "1_000", "\0", "TRUE", "None", "1;2", "1,5", "\N{ZERO WIDTH SPACE}", "/", ".", "..",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, "", "x", "nan", [], [[]], {}, [None], -1, 0, 10**400, 1e308, float("nan"),
    float("inf"), "9" * 5000, {"a": 1}, 2**31, 0.5,
)  # fmt: skip

# --- Text -----------------------------------------------------------------------------------------


def mutate_lines(rng: np.random.Generator, data: bytes) -> bytes:
    """Drop, repeat, reorder or re-encode the lines of a text."""
    lines = data.decode("utf-8", "replace").split("\n")
    start, stop = sorted(int(rng.integers(len(lines) + 1)) for _ in range(2))
    change = choose(rng, ("drop", "repeat", "swap", "header", "encode", "encode", "ends", "long"))
    if change == "drop":
        del lines[start:stop]
    elif change == "repeat":
        lines[start:start] = lines[start:stop] * int(rng.integers(1, 4))
    elif change == "swap":
        lines[start:stop] = lines[start:stop][::-1]
    elif change == "header":
        lines = choose(rng, (lines[1:], lines[:1], [lines[0].lower(), *lines[1:]], []))
    elif change == "long":
        lines.insert(start, choose(rng, (",", "x", '"', " ", ":")) * int(rng.integers(1, 200_000)))
    text = choose(rng, ("\r\n", "\r", "\n\n")).join(lines) if change == "ends" else "\n".join(lines)
    codecs = ("utf-8-sig", "utf-16", "utf-32", "utf-16-le", "cp037")
    return text.encode(choose(rng, codecs) if change == "encode" else "utf-8")


def mutate_cells(rng: np.random.Generator, data: bytes) -> bytes:
    """Give wild texts to 1 to 4 cells of a table, or drop or repeat a column."""
    lines = data.decode("utf-8", "replace").rstrip("\n").split("\n")
    rows = [line.split(",") for line in lines]
    column = int(rng.integers(len(rows[0])))
    change = choose(rng, ("cells", "cells", "cells", "column", "drop", "repeat", "swap"))
    if change == "cells":
        for _ in range(int(rng.integers(1, 5))):
            row = choose(rng, rows)
            row[int(rng.integers(len(row)))] = choose(rng, TEXTS)
    else:
        wild, other = choose(rng, TEXTS), int(rng.integers(len(rows[0])))
        for row in rows:
            if max(column, other) >= len(row):
                continue
            if change == "column" and row is not rows[0]:
                row[column] = wild
            elif change == "drop":
                del row[column]
            elif change == "repeat":
                row.insert(other, row[column])
            elif change == "swap":
                row[column], row[other] = row[other], row[column]
    return "\n".join(",".join(row) for row in rows).encode() + b"\n"


def mutate_json(rng: np.random.Generator, data: bytes) -> bytes:
    """Give another type or value to 1 to 3 values, or remove, rename or add some."""
    content = json.loads(data)
    for _ in range(int(rng.integers(1, 4))):
        content = _changed(rng, content)
    if rng.random() < 0.05:
        return b"[" * 200_000
    return json.dumps(content).encode()


def _changed(rng: np.random.Generator, value: Any) -> Any:
    """A JSON value with a change somewhere inside."""
    if not isinstance(value, (dict, list)) or not value or rng.random() < 0.1:
        return deepcopy(choose(rng, VALUES))
    keys = list(value) if isinstance(value, dict) else range(len(value))
    key = choose(rng, keys)
    change = rng.random()
    if change < 0.15:
        del value[key]
    elif change < 0.25 and isinstance(value, dict):
        value[str(choose(rng, TEXTS))[:200]] = value.pop(key)
    elif change < 0.3 and isinstance(value, list):
        value.append(deepcopy(value[key]))
    else:
        value[key] = _changed(rng, value[key])
    return value


# --- Pickles --------------------------------------------------------------------------------------

CALLS = (
    f"cos\nsystem\n(S'touch {CANARY}'\ntR0".encode(),
    b"c__builtin__\nopen\n(V" + f"{CANARY}\nVw\ntR0".encode(),
    b"\x8c\x05posix\x8c\x06system\x93\x8c" + bytes([6 + len(CANARY)]) + f"touch {CANARY}".encode()
    + b"\x85R0",
    f"(S'touch {CANARY}'\nios\nsystem\n0".encode(),
    b"cnumpy.testing._private.utils\nrunstring\n(V" + f"open('{CANARY}','w')".encode() + b"\n}tR0",
    b"cnumpy\nload\n(V" + f"{CANARY}\ntR0".encode(),
    b"\x82\x01", b"Q", b"P0\n", b"\x97", b"\x8f", b"(" * 5000, b"]" + b"\x94q\0h\0a" * 200,
    b"\x8e" + struct.pack("<Q", 2**40), b"B" + struct.pack("<I", 2**32 - 1),
    b"\x8b" + struct.pack("<i", 2**31 - 1), b"I" + b"9" * 100_000 + b"\n", b"2" * 10_000,
    b"0", b".",
)  # fmt: skip


def mutate_pickle(rng: np.random.Generator, data: bytes) -> bytes:
    """Insert opcodes that call a function, that announce gigabytes, or that make no sense."""
    start = choose(rng, (2, 11, int(rng.integers(len(data)))))  # after the protocol and the frame
    if data[:2] == b"\x80\x04" and rng.random() < 0.5:  # the same without frames and their lengths
        data = pickle.dumps(pickle.loads(data), protocol=3)
        start = choose(rng, (2, int(rng.integers(len(data)))))
    return data[:start] + choose(rng, CALLS) + data[start:]


# --- DICOM ----------------------------------------------------------------------------------------

TAGS: dict[str, tuple[Any, ...]] = {
    "Rows": (0, 1, 47, 49, 65535),
    "Columns": (0, 1, 63, 65, 65535),
    "NumberOfFrames": (0, -1, 1, 5, 7, 10**6, 2**31 - 1, "", "x"),
    "SamplesPerPixel": (0, 1, 2, 3, 4, 65535),
    "BitsAllocated": (0, 1, 7, 8, 12, 16, 32, 64, 65535),
    "BitsStored": (0, 1, 7, 8, 16, 65535),
    "HighBit": (0, 7, 15, 65535),
    "PixelRepresentation": (0, 1, 2),
    "PlanarConfiguration": (0, 1, 2),
    "PhotometricInterpretation": (
        "MONOCHROME1", "MONOCHROME2", "RGB", "YBR_FULL", "YBR_FULL_422", "PALETTE COLOR", "YBR_ICT",
        "YBR_RCT", "HSV", "", "x",
    ),
    "FrameTime": ("0", "-1", "1e308", "1e-308", "nan", "inf", "", "0.033", "40\\40", "x"),
    "FrameTimeVector": (["0"], ["0", "-5"], ["nan"] * 6, [], ["0", "20", "60"], ["x"]),
    "CineRate": ("0", "-1", "99999999", ""),
    "RecommendedDisplayFrameRate": ("0", "-1", "99999999"),
    "FrameIncrementPointer": (0x00181065, 0, 0xFFFFFFFF),
    "PixelSpacing": (["0", "0"], ["1e308", "1e308"], ["nan", "1"], ["-1", "-1"], ["0.5"], []),
    "PixelAspectRatio": (["0", "1"], ["1", "0"], ["-1", "1"], ["1"], ["2147483647", "1"]),
    "WindowCenter": ("nan", "1e308", "", ["1", "2"]),
    "WindowWidth": ("0", "1", "-5", "1e308", "nan", ["1", "2"]),
    "RescaleSlope": ("0", "nan", "1e308", ""),
    "RescaleIntercept": ("nan", "1e308"),
    "SmallestImagePixelValue": (0, 65535),
    "LargestImagePixelValue": (0, 65535),
    "RedPaletteColorLookupTableDescriptor": ([0, 0, 16], [256, 0, 8], [65535, 65535, 16], [1], []),
    "RedPaletteColorLookupTableData": (b"", b"\0" * 3, b"\0" * 512),
    "PixelData": (b"", b"\0", b"\xff" * 1000),
    "Modality": ("", "SR"),
    "SOPClassUID": ("", "1.2"),
}  # fmt: skip
REGION_TAGS: dict[str, tuple[Any, ...]] = {
    "PhysicalDeltaX": FLOATS,
    "PhysicalDeltaY": FLOATS,
    "RegionLocationMaxX1": (0, 2**31, 2**32 - 1),
    "RegionLocationMinX0": (60, 2**32 - 1),
    "PhysicalUnitsXDirection": (0, 65535),
    "RegionSpatialFormat": (0, 2, 65535),
}
SYNTAXES = (
    "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.100",
    "1.2.840.10008.1.2.4.102", "1.2.840.10008.1.2.4.107", "1.2.840.10008.1.2.4.201",
    "1.2.840.10008.1.2.5", "1.2.3", "", "x" * 64,
)  # fmt: skip


def mutate_dicom(rng: np.random.Generator, data: bytes) -> bytes:
    """Give wild values to 1 to 3 tags, remove some, or name another transfer syntax."""
    import pydicom

    with pydicom.config.disable_value_validation(), warnings.catch_warnings(action="ignore"):
        dataset = pydicom.dcmread(io.BytesIO(data), force=True)
        for _ in range(int(rng.integers(1, 4))):
            _set_wild_tag(rng, dataset)
        whole = len(data) > 132 and data[128:132] == b"DICM"
        return _saved(rng, dataset) if whole else _try_to_save(dataset, data)


def _set_wild_tag(rng: np.random.Generator, dataset: Any) -> None:
    """Give one tag of a data set, or of its first region, a wild value, or remove it."""
    import pydicom
    from pydicom.datadict import dictionary_VR, tag_for_keyword

    inside = rng.random() < 0.15 and "SequenceOfUltrasoundRegions" in dataset
    place = dataset.SequenceOfUltrasoundRegions[0] if inside else dataset
    tags = REGION_TAGS if inside else TAGS
    name = choose(rng, tags)
    if rng.random() < 0.15 and name in place:
        delattr(place, name)
        return
    tag, value = pydicom.tag.Tag(tag_for_keyword(name) or 0), choose(rng, tags[name])
    kind = {"US or SS": "US", "OB or OW": "OW"}.get(dictionary_VR(tag), dictionary_VR(tag))
    place[tag] = pydicom.DataElement(tag, kind, value, already_converted=True)


def _saved(rng: np.random.Generator, dataset: Any) -> bytes:
    """The bytes of a data set; at times with another transfer syntax, or as a bomb."""
    from pydicom.uid import UID

    whole = _try_to_save(dataset, b"")
    syntax = str(dataset.file_meta.TransferSyntaxUID)
    if syntax.endswith(".1.99") and rng.random() < 0.1:
        meta = 144 + int.from_bytes(whole[140:144], "little")  # the end of the uncompressed part
        return whole[:meta] + deflate_bomb(zlib.decompress(whole[meta:], -15))
    if rng.random() < 0.2:  # of equal length, so that no other byte has to change
        other = UID(choose(rng, SYNTAXES)).ljust(len(syntax), "\0")[: len(syntax)]
        return whole.replace(syntax.encode(), other.encode(), 1)
    return whole


def _try_to_save(dataset: Any, default: bytes) -> bytes:
    """The bytes of a data set, or those of `default` where pydicom refuses to write its values."""
    buffer = io.BytesIO()
    try:
        if default:
            dataset.save_as(buffer, implicit_vr=True, little_endian=True)
        else:
            dataset.save_as(buffer)
    except Exception:  # pydicom raises many kinds for values that do not fit their tag
        return default or b"\0" * 128 + b"DICM"
    return buffer.getvalue()


# --- Images and weights ---------------------------------------------------------------------------


def mutate_nifti(rng: np.random.Generator, data: bytes) -> bytes:
    """Change sizes, data type, spacing, scale or offset in the header of a NIfTI image."""
    changed = bytearray(data)
    if rng.random() < 0.1:  # gigabytes, which a bomb behind this header has
        struct.pack_into("<4h", changed, 40, choose(rng, (2, 3)), 32767, 32767, choose(rng, (1, 4)))
        return bytes(changed)
    for _ in range(int(rng.integers(1, 3))):
        field = choose(rng, ("size", "dim", "dim", "dim", "type", "pixdim", "offset", "scale"))
        if field in ("pixdim", "scale", "offset"):
            start = {"pixdim": 76 + 4 * int(rng.integers(8)), "scale": 112, "offset": 108}[field]
            struct.pack_into("<f", changed, start, choose(rng, (*FLOATS[:3], *FLOATS[5:], 1e30)))
        elif field == "size":
            struct.pack_into("<i", changed, 0, choose(rng, (0, 540, 348 << 16, -1)))
        else:
            start = 40 + 2 * int(rng.integers(8)) if field == "dim" else choose(rng, (70, 72))
            struct.pack_into("<h", changed, start, choose(rng, (0, 1, -1, 2, 7, 64, 128, 32767)))
    return bytes(changed)


def mutate_safetensors(rng: np.random.Generator, data: bytes) -> bytes:
    """Change the configuration, or the shape, dtype, offsets or presence of a tensor."""
    header, tensors = split_safetensors(data)
    names = [name for name in header if name != "__metadata__"]
    metadata, tensor = header["__metadata__"], header[choose(rng, names)]
    change = choose(rng, ("arguments", "arguments", "card", "meta", "shape", "dtype", "offset",
                          "drop", "values", "values"))  # fmt: skip
    if change == "arguments":
        arguments = json.loads(metadata["arguments"])
        wild = (25, 1000, 0, -1, 2**40, 1.5, "2", None, [2], True)
        arguments[choose(rng, (*arguments, "x"))] = choose(rng, wild)
        metadata["arguments"] = json.dumps(arguments)
    elif change == "card":
        card = {"size": choose(rng, (0, -1, 1, 2**31, 1e308, "x", None, 10**6, 5000, float("nan")))}
        metadata["card"] = choose(rng, (json.dumps(card), "[]", "", "x", "3", "[" * 200_000))
    elif change == "meta":
        metadata[choose(rng, metadata)] = choose(rng, ("", "echolib-9", "UNet", "x" * 100_000))
    elif change in ("shape", "dtype", "offset"):
        key = "data_offsets" if change == "offset" else change
        numbers = [[], [0], [2**63], [-1], [2**31, 2**31], [0, 2**40], [1, 0]]
        kinds = ("F64", "BF16", "I64", "U8", "BOOL", "X", "F8_E4M3", 3)
        tensor[key] = choose(rng, kinds if key == "dtype" else [*numbers, tensor[key][::-1]])
    elif change == "drop":
        header.pop(choose(rng, names))
    else:
        values = bytearray(tensors)
        for _ in range(int(rng.integers(1, 5))):
            place = 4 * int(rng.integers(len(values) // 4))
            struct.pack_into("<f", values, place, choose(rng, (*FLOATS[5:], 1e38, -1e38)))
        tensors = bytes(values)
    return join_safetensors(header, tensors)


# --- By name --------------------------------------------------------------------------------------

STRUCTURES: dict[str, tuple[Mutator, ...]] = {
    "csv": (mutate_cells, mutate_cells, mutate_lines),
    "cfg": (mutate_lines, mutate_cells),
    "txt": (mutate_lines, mutate_cells),
    "json": (mutate_json,),
    "npy": (mutate_npy,),
    "npz": (mutate_zip,),
    "pt": (mutate_zip,),
    "pkl": (mutate_pickle,),
    "dcm": (mutate_dicom,),
    "nii": (mutate_nifti,),
    "png": (mutate_png, set_field),
    "safetensors": (mutate_safetensors,),
}


def mutate(rng: np.random.Generator, name: str, data: bytes, other: bytes) -> bytes:
    """Damage the content of a file; its name says which structure it has.

    other: content of another seed, for splices. The result differs from `data` nearly always.
    """
    if rng.random() < 0.04:
        return splice(rng, data, other)
    suffix = name.removesuffix(".gz").rpartition(".")[2]
    structure = rng.random() < 0.6
    mutators = STRUCTURES.get(suffix, (set_field,)) if structure else (mutate_bytes,)
    mutator = choose(rng, mutators)
    packed = data[:2] == b"\x1f\x8b" and (structure or rng.random() < 0.5)
    return in_gzip(mutator)(rng, data) if packed else mutator(rng, data)
