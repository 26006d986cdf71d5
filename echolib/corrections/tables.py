"""The tables of a folder of corrections: EchoNet-Dynamic's two, and one of outlines' origins.

Each document gives its rows once, when it is kept; the tables are these rows, joined. Of several
people who corrected a clip, `FileList.csv` and `VolumeTracings.csv` take the one kept last;
`provenance.csv` has them all.
"""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from ..data.echonet import PROVENANCE, TRACING_COLUMNS, TRACINGS
from ..data.file_list import FILE_LIST, LIST_COLUMNS
from ..data.frames import SPLITS
from .entries import Entry, checksum, signature
from .rows import csv_text

PROVENANCE_COLUMNS = (
    "clip", "file", "patient", "annotator", "frame", "structure", "answer", "made", "points",
    "moved", "seconds", "network", "version", "phase", "ed_by_hand", "es_by_hand", "kept",
    "in_tables",
)  # fmt: skip
ORDER = (TRACINGS, PROVENANCE, FILE_LIST)  # of writing: a clip is listed when it is traced
RECORD = "tables.txt"  # what the tables were made of


def join_tables(entries: Iterable[Entry], videos: set[str]) -> dict[str, str]:
    """The text of each table by its name, in the order in which they are written.

    videos: names of the clips whose video is in the folder; others are in no table but that of
    provenance, because EchoNet-Dynamic's own code refuses a list with a clip that is not there.
    """
    entries = sorted(entries, key=lambda entry: (entry.file, entry.annotator))
    chosen: dict[str, Entry] = {}
    for entry in sorted(entries, key=lambda entry: entry.kept):
        chosen[entry.file] = entry
    used = [each for each in entries if chosen[each.file] is each]
    used = [each for each in used if each.rows.listed and each.file in videos]
    splits = _splits(used)
    texts = {TRACINGS: [csv_text([TRACING_COLUMNS])], FILE_LIST: [csv_text([LIST_COLUMNS])]}
    texts[PROVENANCE] = [csv_text([PROVENANCE_COLUMNS])]
    for entry in used:
        texts[TRACINGS].append(entry.rows.traced)
        texts[FILE_LIST].append(f"{entry.rows.listed},{splits[entry.file]}\n")
    in_tables = {id(entry) for entry in used}
    for entry in entries:
        words = ("no", "yes" if id(entry) in in_tables else "no")
        texts[PROVENANCE] += [f"{row},{words[outline]}\n" for row, outline in entry.rows.provenance]
    return {name: "".join(texts[name]) for name in ORDER}


def made_of(documents: Iterable[str], videos: set[str]) -> str:
    """Checksum of what tables depend on: documents with their times and sizes, and the videos.

    documents: their paths. videos: as for `join_tables`.
    """
    files = []
    for path in documents:
        with suppress(FileNotFoundError):  # another process may have moved it aside
            time, _, size = signature(path)  # a copy has another number
            files.append([*Path(path).parts[-2:], time, size])
    return checksum([sorted(files), sorted(videos)])


def _splits(entries: list[Entry]) -> dict[str, str]:
    """The split of each clip as FileList.csv writes it; a patient's clips are all in the last."""
    number = {entry.file: SPLITS.index(entry.split or SPLITS[0]) for entry in entries}
    last: dict[str, int] = {}
    for entry in entries:
        if entry.patient:
            last[entry.patient] = max(last.get(entry.patient, 0), number[entry.file])
    return {
        entry.file: SPLITS[last.get(entry.patient, number[entry.file])].upper() for entry in entries
    }
