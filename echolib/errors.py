"""The package's own error, for data that it cannot read, and parts of messages."""

import re
from collections.abc import Iterable
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path

UNPRINTABLE = re.compile("[\ud800-\udfff]")  # how Python holds bytes of a name that are not UTF-8
ALIKE = 0.6  # similarity of two names, 0 to 1, from which one may be meant by the other


class DataError(ValueError):
    """A file or a data set is malformed.

    The message names the file (and the row), says what was expected and what was found, and
    what to do about it.
    """

    def __init__(self, message: str = "") -> None:
        """Keep the message as text that can be printed and written, see `printable`."""
        super().__init__(printable(message))


def printable(text: str) -> str:
    """A text that may hold names of files, with \ufffd in place of what is not UTF-8."""
    return UNPRINTABLE.sub("\ufffd", text)


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """A question that follows a sentence, where one of `names` resembles the name; else ""."""
    similar = get_close_matches(name, list(names), 1, ALIKE)
    return f" Did you mean {similar[0]!r}?" if similar else ""


def no_such(path: str | Path, kind: str = "file") -> str:
    """That a file or a folder is not there, with its absolute path and a name that may be meant.

    kind: "file" or "folder".
    """
    path = Path(path)
    beside: list[str] = []
    with suppress(OSError):  # the folder is not there either, or may not be read
        beside = [other.name for other in path.absolute().parent.iterdir()]
    place = "" if path.is_absolute() else f" ({path.absolute()})"
    return f"{path}: no such {kind}{place}.{did_you_mean(path.name, beside)}"


def no_folder(path: str | Path) -> str:
    """That a path is not a folder, because it is a file or is not there."""
    if Path(path).exists():
        return f"{path}: expected a folder, found a file."
    return no_such(path, "folder")
