"""Finished parts of a long run on disk, so that a run that was interrupted goes on."""

import hashlib
import json
import shutil
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .errors import DataError
from .files import hidden, read_json, sweep, write_json

IDENTITY_FILE = "identity.json"


def unfinished_folder(path: Path) -> Path:
    """The hidden folder for the parts of a file or folder, until it is finished."""
    return hidden(path, ".partial")


def has_parts(folder: Path) -> bool:
    """Whether a folder of `Parts` holds more than the identity of its run."""
    return folder.is_dir() and any(path.name != IDENTITY_FILE for path in folder.iterdir())


class Parts:
    """The folder with the finished parts of one run.

    A part is a JSON file with its content, the names of what it holds (clips, for example), the
    checksums of files that belong to it, such as arrays, and a checksum of all this. A part that
    is damaged, or does not hold exactly what it must, is made anew, with a warning.

    identity: what the parts depend on, as JSON values. Raises DataError where the folder holds the
    parts of another run, naming what differs, or where its identity cannot be read.
    """

    def __init__(self, folder: str | Path, identity: dict) -> None:
        self.folder = Path(folder)
        self._identity = json.loads(json.dumps(identity))
        self._claim()
        sweep(self.folder)

    @classmethod
    def or_anew(cls, folder: str | Path, identity: dict) -> "Parts":
        """As the class, but a folder of another run or with a damaged identity is emptied first."""
        try:
            return cls(folder, identity)
        except DataError:
            shutil.rmtree(folder)
            return cls(folder, identity)

    @property
    def identity_file(self) -> Path:
        """The file with the run's identity: it is there as soon as the run has begun."""
        return self.folder / IDENTITY_FILE

    def _claim(self) -> None:
        file = self.identity_file
        if not file.is_file():
            write_json(self._identity, file)
            return
        try:
            there = dict(read_json(file))
        except (ValueError, TypeError) as error:
            raise DataError(
                f"{file} is damaged ({error}). Choose another folder and run again."
            ) from error
        differ = [key for key, value in self._identity.items() if value != there.get(key)]
        if differ:
            raise DataError(
                f"{self.folder} holds results of another run; they differ in "
                f"{', '.join(differ)}. Choose another folder."
            )

    def path(self, name: str) -> Path:
        """The file of a part."""
        return self.folder / f"{name}.json"

    def save(
        self, name: str, holds: Iterable[str], content: Any, files: Iterable[Path] = ()
    ) -> Any:
        """Write a part, and return its content as `load` will.

        content: of JSON's types. files: written before, below the folder.
        """
        digests = {path.relative_to(self.folder).as_posix(): _file_digest(path) for path in files}
        part = {"holds": list(holds), "content": content, "files": digests}
        part = json.loads(json.dumps(part))  # as it will be read
        write_json({"sha256": self._digest(name, part), "part": part}, self.path(name))
        return part["content"]

    def load(self, name: str, holds: Iterable[str]) -> Any | None:
        """The content of a part; None where there is none yet, or it must be made anew."""
        path = self.path(name)
        if not path.is_file():
            return None
        try:
            stored = read_json(path)
            part = stored["part"]
            if stored["sha256"] != self._digest(name, part):
                raise ValueError("its checksum is wrong")
            if part["holds"] != list(holds):
                raise ValueError(f"it holds {part['holds'][:5]}, not {[*holds][:5]}")
            for file, digest in part["files"].items():
                if not (self.folder / file).is_file():
                    raise ValueError(f"{file} is missing")
                if _file_digest(self.folder / file) != digest:
                    raise ValueError(f"the checksum of {file} is wrong")
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            warnings.warn(
                f"{path} cannot be used ({error}). This part of the run is made anew.",
                stacklevel=2,
            )
            return None
        return part["content"]

    def _digest(self, name: str, part: dict) -> str:
        """Checksum of a part, of its name, and of the run that it belongs to."""
        text = json.dumps([self._identity, name, part], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
