"""A kept document as an entry of its folder, read from disk in no time where it is as written."""

import errno
import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..data.problems import Problem
from ..errors import DataError
from ..files import read_json, write_json
from .document import check_document, without_record
from .rows import ROWS_VERSION, Rows, document_rows

SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}")
UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")
Signature = tuple[int, int, int]  # of a file: it differs after each writing


@dataclass(frozen=True)
class Entry:
    """A document in a folder, as far as the tables and lists need it.

    file: the clip's name in the tables. kept: when, in ns since 1970. shape: (T, H, W). split,
    patient: as the source of the clip gives them, or "". outlined, unreadable: numbers of frames
    with outlines and without an answer. seconds: spent on the clip.
    """

    clip: str
    annotator: str
    file: str
    kept: int
    shape: tuple[int, int, int]
    spacing: float | None
    split: str
    patient: str
    answer: str
    outlined: int
    unreadable: int
    seconds: float
    rows: Rows


def safe_name(name: str) -> str:
    """A name of letters, digits, - and _ for a file and for tables.

    A name that has other characters, or is long, gets 8 digits of its checksum, so that two names
    never become one. EchoNet-Dynamic's own code drops clips whose names contain a dot.
    """
    if SAFE.fullmatch(name):
        return name
    digits = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{UNSAFE.sub('_', name).strip('_-')[:70] or 'clip'}-{digits}"


def signature(path: str | Path) -> Signature:
    """Time, number and size of a file, which are new after each writing."""
    status = os.stat(path)
    return status.st_mtime_ns, status.st_ino, status.st_size


def write_entry(
    document: dict[str, Any],
    path: Path,
    kept: int,
    spacing: float | None,
    split: str,
    patient: str,
) -> Entry:
    """Write a checked document with the record of how it is kept, whole or not at all.

    kept: the time, in ns since 1970. The other arguments are as in `Entry`.
    """
    rows = document_rows(document, path.stem, spacing, patient, kept)
    record: dict[str, Any] = {"time": kept, "spacing": spacing, "split": split, "patient": patient}
    record |= {"rows_version": ROWS_VERSION, "rows": asdict(rows)}
    record["checksum"] = _whole(document, record)
    write_json(document | {"kept": record}, path)
    return _entry(document, path, record, rows)


def read_entry(path: Path) -> Entry | Problem:
    """The entry of a document on disk, or the problem why it cannot be read.

    Where the checksum fits, the file is as it was written, and its rows are taken as they are; else
    the document is checked, and they are made anew.
    """
    try:
        content = read_json(path)
        document, record = without_record(content), _record_of(content)
        if record and record.get("checksum") == _whole(document, record):
            if record["rows_version"] == ROWS_VERSION:
                return _entry(document, path, record, _rows(record["rows"]))
        else:
            record = None
        document = check_document(document, str(path))
        record = record or _record_of_stranger(path)
        spacing, patient = record["spacing"], record["patient"]
        rows = document_rows(document, path.stem, spacing, patient, record["time"])
        return _entry(document, path, record, rows)
    except DataError as error:
        reason = str(error).replace(str(path), path.name)
        return Problem(f"{path.parent.name}/{path.name}", None, reason)


def _record_of(content: Any) -> dict[str, Any] | None:
    record = content.get("kept") if isinstance(content, dict) else None
    return record if isinstance(record, dict) else None


def _record_of_stranger(path: Path) -> dict[str, Any]:
    """The record of a document that came here, or was changed, by other ways than `write_entry`."""
    return {"time": path.stat().st_mtime_ns, "spacing": None, "split": "", "patient": ""}


def checksum(content: Any) -> str:
    """12 hexadecimal digits of values of JSON's types."""
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _whole(document: Any, record: dict[str, Any]) -> str:
    """The checksum of a document with its record."""
    rest = {key: value for key, value in record.items() if key != "checksum"}
    return checksum([document, rest])


def _rows(record: dict[str, Any]) -> Rows:
    provenance = tuple((row, outline) for row, outline in record["provenance"])
    return Rows(record["listed"], record["traced"], provenance)


def _entry(document: dict[str, Any], path: Path, record: dict[str, Any], rows: Rows) -> Entry:
    if safe_name(document["clip"]) != path.stem:
        raise DataError(
            f"{path}: expected corrections of the clip that names the file, found those of "
            f"{document['clip'][:40]!r}. Add the file by `python -m echolib corrections`."
        )
    frames = list(document["frames"].values())
    return Entry(
        clip=document["clip"],
        annotator=document["annotator"],
        file=path.stem,
        kept=record["time"],
        shape=(document["frame_count"], document["height"], document["width"]),
        spacing=record["spacing"],
        split=record["split"],
        patient=record["patient"],
        answer=document["answer"],
        outlined=sum(bool(frame["ventricle"]) and not frame["answer"] for frame in frames),
        unreadable=sum(bool(frame["answer"]) for frame in frames),
        seconds=document["seconds"],
        rows=rows,
    )


@contextmanager
def writing(folder: Path, more: str = "What was drawn is not kept there.") -> Iterator[None]:
    """Say in a DataError that, and why, a folder cannot be written. more: what follows from it."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        reason = "the disk is full" if full else str(error.strerror or error)
        remedy = "Make space" if full else "Check that it may be written, or choose another folder"
        raise DataError(f"{folder} cannot be written: {reason}. {more} {remedy}.") from error
