"""A folder of corrections: the documents of all clips and annotators, and the tables made of them.

    corrections.json               that this is a folder of corrections, and of which format
    documents/ANNOTATOR/CLIP.json  the truth: one document per clip and annotator
    Videos/CLIP.avi                the clips, linked, copied or written
    FileList.csv, VolumeTracings.csv, provenance.csv   derived from the documents at each change
    tables.txt                     a checksum of the documents that the tables were derived from

Names of clips and annotators are made safe for files, see `safe_name`.
"""

import time
from collections.abc import Iterator
from contextlib import suppress
from os import scandir
from os.path import isfile
from pathlib import Path
from typing import Any

import numpy as np

from ..data.frames import SPLITS, Dataset
from ..data.names import is_hidden
from ..data.problems import Problem
from ..errors import DataError, no_folder
from ..files import atomic_path, make_folder, read_json, remove_leftovers, write_json
from ..locks import one_at_a_time, remove_dead_lock
from .document import FORMAT, LONGEST_TEXT, NotBrought, check_document, check_order, without_record
from .entries import (
    Entry,
    Signature,
    checksum,
    read_entry,
    safe_name,
    signature,
    write_entry,
    writing,
)
from .outline import leaflets_mask, ventricle_mask
from .tables import ORDER, RECORD, join_tables, made_of
from .videos import OtherClipError, Source, bring_video, is_other, origin

MARKER, DOCUMENTS, VIDEOS = "corrections.json", "documents", "Videos"
UNNAMED = "_"  # folder of the annotator without a name


class Folder:
    """The corrections of clips by one or several people, on disk.

    Attributes: path; annotator, whose documents are meant where nobody is named; problems: files
    in it that could not be read, as of the last look.
    """

    def __init__(self, path: str | Path, annotator: str = "", make: bool = True) -> None:
        """Open a folder of corrections, or make it where there is none or an empty one.

        make: False where it must be there. Raises DataError for one of other files or of another
        version, and where it cannot be written.
        """
        self.path, self.annotator = Path(path), annotator
        if not annotator.isprintable() or len(annotator) > LONGEST_TEXT:
            raise DataError(f"Annotator: expected a name in one line, found {annotator[:40]!r}.")
        self.problems: list[Problem] = []
        self._entries: dict[str, tuple[Signature, Entry | Problem]] = {}  # by the file's path
        # documents as this object read or wrote them: their files, and checksums of what they say
        self._seen: dict[Path, tuple[Signature, str]] = {}
        self._brought: set[str] = set()  # clips whose video was compared with their source
        self._open(make)

    def _open(self, make: bool) -> None:
        marker = self.path / MARKER
        if not marker.is_file():
            missing = not self.path.exists()  # asked first: another person may be making it
            if not self.path.is_dir() and not (make and missing):
                raise DataError(f"{no_folder(self.path)} Name a folder of corrections.")
            self._refuse_others()
            if not make and not marker.is_file():
                raise DataError(f"{self.path} is empty. Name a folder of corrections.")
            with writing(self.path):
                make_folder(self.path)
                (self.path / ".gitignore").write_text("*\n")  # tracings of licensed data
                write_json({"format": FORMAT, "content": "corrections of echolib"}, marker)
        found = read_json(marker)
        written = found.get("format") if isinstance(found, dict) else None
        if written != FORMAT:
            raise DataError(
                f"{marker}: this folder was written in format {str(written)[:20]!r} by another "
                f"version of echolib; this one knows format {FORMAT}. Use the version that wrote "
                "it, or choose another folder."
            )
        for folder in (self.path, self.path / VIDEOS, *self._annotator_folders()):
            remove_leftovers(folder)
        remove_dead_lock(self.path / DOCUMENTS)
        if self._is_stale():
            with suppress(DataError):  # it may be read only: then the tables stay as they are
                self.write_tables()

    def _refuse_others(self) -> None:
        """Raise DataError where the folder holds files of other kinds, such as a data set."""
        others = [path for path in self.path.glob("*") if not is_hidden(path)]
        if others and not (self.path / MARKER).is_file():  # another person may have just made it
            raise DataError(
                f"{self.path}: expected a folder of corrections, or none yet, found "
                f"{', '.join(sorted(path.name for path in others)[:4])}. Name a new folder: tables "
                "of a data set would be written over."
            )

    def _is_stale(self) -> bool:
        """Whether the tables are not those of the documents and videos that are there.

        As after a kill between the two, and where documents were copied here or deleted.
        """
        there = [(self.path / name).is_file() for name in (*ORDER, RECORD)]
        if not any(there) and not any(self._documents()):
            return False  # nothing has been kept yet
        if not all(there):
            return True
        state = made_of(self._documents(), self._videos())
        return (self.path / RECORD).read_text(errors="replace") != state

    # --- Reading --------------------------------------------------------------------------------

    def document(self, clip: str, annotator: str | None = None) -> dict[str, Any] | None:
        """What one person, by default the folder's annotator, has corrected in a clip, if anything.

        Raises DataError where the file is damaged.
        """
        path = self._path(clip, self.annotator if annotator is None else annotator)
        if not path.is_file():
            return None
        now = signature(path)
        document = check_document(without_record(read_json(path)), str(path))
        self._seen[path] = now, checksum(document)
        return document

    def has_other(self, clip: str, frames: np.ndarray) -> bool:
        """Whether the folder has another clip of this name, not that of frames (T, H, W) uint8."""
        path = self._video(safe_name(clip))
        with suppress(DataError):  # a video that cannot be read is none to compare with
            return path.is_file() and is_other(path, frames)
        return False

    def entries(self) -> list[Entry]:
        """What is there, one entry per clip and annotator; `problems` is what cannot be read."""
        found = [self._entry(path) for path in self._documents()]
        self.problems = [each for each in found if isinstance(each, Problem)]
        return [each for each in found if isinstance(each, Entry)]

    def _entry(self, path: str) -> Entry | Problem | None:
        """What a document says, read anew where its file has changed; None where there is none."""
        try:
            now = signature(path)
        except FileNotFoundError:  # another process may have moved it aside
            return None
        held = self._entries.get(path)
        if held is None or held[0] != now:
            held = self._entries[path] = now, read_entry(Path(path))
        return held[1]

    def clips(self) -> list[str]:
        """The names of all clips that somebody corrected or answered."""
        return sorted({entry.clip for entry in self.entries()})

    def annotators(self) -> list[str]:
        """The names of all annotators; "" for the one without a name."""
        return sorted({entry.annotator for entry in self.entries()})

    def masks(self, clip: str, annotator: str | None = None) -> dict[int, np.ndarray]:
        """The masks (H, W) bool of the ventricle that one person outlined in a clip, by frame."""
        return {
            frame: ventricle_mask(content["ventricle"]["points"], shape)
            for frame, content, shape in self._readable(clip, annotator)
            if content["ventricle"]
        }

    def leaflets(self, clip: str, annotator: str | None = None) -> dict[int, np.ndarray]:
        """The masks (H, W) bool of the leaflets, both in one, that one person drew, by frame.

        EchoNet-Dynamic's tables have no place for them.
        """
        return {
            frame: leaflets_mask(content["leaflets"], shape)
            for frame, content, shape in self._readable(clip, annotator)
            if content["leaflets"]
        }

    def _readable(
        self, clip: str, annotator: str | None
    ) -> Iterator[tuple[int, dict[str, Any], tuple[int, int]]]:
        """Number, content and (H, W) of the frames of a document that have no answer."""
        document = self.document(clip, annotator)
        if document is not None and not document["answer"]:
            for number, frame in document["frames"].items():
                if not frame["answer"]:
                    yield int(number), frame, (document["height"], document["width"])

    # --- Writing --------------------------------------------------------------------------------

    def keep(
        self,
        document: dict[str, Any],
        source: Source | None = None,
        spacing: float | None = None,
        split: str = "",
        patient: str = "",
        tables: bool = True,
        download: bool = False,
    ) -> None:
        """Write a document, bring its clip into the folder, and derive the tables anew.

        source: the clip's file, the clip, or its frames (T, H, W) uint8; needed until its video is
        in the folder. spacing: mm per px, by default that of the source. split, patient: of the
        clip in its data set, see `origin`. tables: False to derive them once for many documents,
        with `write_tables`. download: whether it may replace a document that was not read here, but
        that it goes on from, see `check_order`. When this returns, all of it is on disk.

        Raises DataError for a damaged document, one of another clip of the same name, one that
        somebody else has changed since this object read it, and where nothing can be written. Where
        the clip cannot be brought, or the tables cannot be written, the document is kept all the
        same, and the error says so.
        """
        document = check_document(document, "The correction")
        if split not in ("", *SPLITS):
            raise ValueError(f"split: expected one of {list(SPLITS)} or none, found {split!r}.")
        path = self._path(document["clip"], document["annotator"])
        shape = document["frame_count"], document["height"], document["width"]
        with writing(self.path), one_at_a_time(self.path / DOCUMENTS):
            files = [folder / path.name for folder in self._annotator_folders()]
            others = [x for x in map(self._entry, map(str, files)) if isinstance(x, Entry)]
            self._check(document, path, shape, others, download)
            found, failure = self._bring(path.stem, source, shape, document["fps"])
            for entry in others:
                spacing, split = spacing or found or entry.spacing, split or entry.split
                patient = patient or entry.patient
            entry = write_entry(document, path, time.time_ns(), spacing or found, split, patient)
            now = signature(path)
            self._entries[str(path)] = now, entry
            self._seen[path] = now, checksum(document)
        if tables:
            with writing(self.path, "The correction itself is kept, but not in the tables."):
                self._write_tables()
        if failure:
            kept = f"The correction itself is kept in {path}, but not yet in the tables."
            raise NotBrought(f"{failure} {kept}")

    def add(self, documents: list[dict[str, Any]], data: Dataset | None = None) -> list[Problem]:
        """Keep documents, such as those of `read_download`, under the annotators that they name.

        data: the data set of the clips. A document replaces an earlier download that it goes on
        from. Returns a problem for each that is left out, or whose clip is missing ("noted").
        """
        problems = []
        for document in documents:
            clip = str(document.get("clip"))[:LONGEST_TEXT]
            try:
                source = origin(data, clip) if data else {}
                self.keep(document, **source, tables=False, download=True)
            except (DataError, OSError) as error:
                action = "noted" if isinstance(error, NotBrought) else "left out"
                problems.append(Problem(f"{clip}.json", None, str(error), action))
        self.write_tables()
        return problems

    def write_tables(self) -> None:
        """Derive the tables from the documents. Raises DataError where they cannot be written."""
        with writing(self.path):
            self._write_tables()

    def _write_tables(self) -> None:
        with one_at_a_time(self.path / DOCUMENTS):
            videos = self._videos()
            record = {RECORD: made_of(self._documents(), videos)}  # before they are read
            for name, text in (join_tables(self.entries(), videos) | record).items():
                with atomic_path(self.path / name) as temporary:
                    temporary.write_text(text, encoding="utf-8", newline="\n")

    def _check(
        self,
        document: dict[str, Any],
        path: Path,
        shape: tuple[int, int, int],
        others: list[Entry],
        download: bool,
    ) -> None:
        """Raise DataError where a document must not be written; move a damaged file aside."""
        for entry in others:
            if (entry.shape, entry.clip) != (shape, document["clip"]):
                raise OtherClipError(
                    f"{document['clip']}: the folder has corrections of another clip of this name, "
                    f"with (frames, height, width) {entry.shape} instead of {shape}. Give this one "
                    "another name, or choose another folder."
                )
        seen = self._seen.get(path)
        if not path.is_file() or (seen and seen[0] == signature(path)):
            return
        try:
            there = check_document(without_record(read_json(path)), str(path))
        except DataError:
            path.replace(path.with_name(f"{path.name}.damaged"))
            return
        if checksum(there) not in (checksum(document), seen and seen[1]):
            check_order(document, there, download)

    def _bring(
        self, file: str, source: Source | None, shape: tuple[int, int, int], fps: float | None
    ) -> tuple[float | None, str]:
        """Bring a clip's video; returns its spacing, if found, and why it could not be brought."""
        path = self._video(file)
        if file in self._brought and path.is_file():
            return None, ""
        try:
            spacing = bring_video(path, source, shape, fps)
        except OtherClipError:
            raise
        except DataError as error:
            return None, str(error)
        except OSError as error:
            return None, f"The video of {file} cannot be written ({error.strerror or error})."
        self._brought.add(file)
        return spacing, ""

    # --- Places ---------------------------------------------------------------------------------

    def _path(self, clip: str, annotator: str) -> Path:
        folder = safe_name(annotator) if annotator else UNNAMED
        return self.path / DOCUMENTS / folder / f"{safe_name(clip)}.json"

    def _video(self, name: str) -> Path:
        return self.path / VIDEOS / f"{name}.avi"  # name: of the clip, safe

    def _annotator_folders(self) -> list[Path]:
        return sorted(path for path in (self.path / DOCUMENTS).glob("*") if path.is_dir())

    def _documents(self) -> Iterator[str]:
        """The paths of all documents, as text: of a thousand files it takes less time."""
        for folder in self._annotator_folders():
            yield from (path for name, path in _listing(folder) if name.endswith(".json"))

    def _videos(self) -> set[str]:
        """Names of the clips whose video is there."""
        videos = self.path / VIDEOS
        found = _listing(videos) if videos.is_dir() else []
        return {name[:-4] for name, path in found if name.endswith(".avi") and isfile(path)}


def _listing(folder: Path) -> list[tuple[str, str]]:
    """Name and path of what lies in a folder, without hidden files."""
    with scandir(folder) as found:
        return [(entry.name, entry.path) for entry in found if not entry.name.startswith(".")]
