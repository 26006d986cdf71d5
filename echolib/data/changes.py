"""What a user says of clips in place of their files, and what is blackened before it is shown."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pandas as pd

from ..errors import DataError
from .clips import Clip, read_clip
from .frames import Dataset, LabelledFrame
from .problems import Problem
from .rates import RATES, SPACINGS
from .sector import blank_text

REPLACED = {  # warnings of readers about what the user gives instead
    "fps": "(?s).*(rate is used|rate is left unknown|frames per second, as no heart scan)",
    "spacing": "(?s).*(spacing is left unknown|spacing of .* is impossible)",
}


@dataclass(frozen=True)
class Changes:
    """Changes of a clip before it is measured or shown.

    fps: frames per second, and spacing: mm per px, in place of the file's; None keeps the file's.
    blank_text: black outside the sector, see `sector.blank_text`. Raises DataError for a rate or
    a spacing that no heart scan has.
    """

    fps: float | None = None
    spacing: float | None = None
    blank_text: bool = False

    def __post_init__(self) -> None:
        limits = {"fps": RATES, "spacing": SPACINGS}
        for name, (least, most) in limits.items():
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                raise DataError(
                    f"{name}: expected {least:g} to {most:g}, as a heart scan has, found {value:g}."
                )

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Read without warnings of what is replaced."""
        with warnings.catch_warnings():
            for name, message in REPLACED.items():
                if getattr(self, name) is not None:
                    warnings.filterwarnings("ignore", message)
            yield

    def read(self, path: str | Path) -> Clip:
        """Read a clip from its file, and change it. Raises DataError as `read_clip` does."""
        with self.quiet():
            return self.of_clip(read_clip(path))

    def of_clip(self, clip: Clip) -> Clip:
        """The changed clip."""
        fps = clip.fps if self.fps is None else self.fps
        spacing = clip.spacing if self.spacing is None else self.spacing
        clip = replace(clip, fps=fps, spacing=spacing)
        return blank_text(clip) if self.blank_text else clip

    def of_data(self, data: Dataset) -> Dataset:
        """The data set with changed clips; the same where nothing changes."""
        return data if self == Changes() else _ChangedClips(data, self)


class _ChangedClips:
    """A data set whose clips are changed when they are read. Its labelled frames stay."""

    def __init__(self, data: Dataset, changes: Changes) -> None:
        self._data, self._changes = data, changes
        self.name: str = data.name
        self.folder: Path = data.folder
        self.table: pd.DataFrame = data.table
        self.problems: list[Problem] = data.problems
        self.about_ef: str = getattr(data, "about_ef", "")
        if (states := getattr(data, "states", None)) is not None:  # of a folder of clips
            self.states, self.changes = states, asdict(changes)

    def clip(self, clip: str) -> Clip:
        """All frames of one clip, changed."""
        with self._changes.quiet():
            return self._changes.of_clip(self._data.clip(clip))

    def labelled(
        self, clip: str, read: Clip | None = None
    ) -> tuple[list[LabelledFrame], list[Problem]]:
        """The labelled frames of one clip, and the problems found; read: changed, so not used."""
        return self._data.labelled(clip)

    def fingerprint(self) -> str:
        """A text that changes with the data set and with the changes."""
        return f"{self._data.fingerprint()} {asdict(self._changes)}"
