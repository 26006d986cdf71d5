"""Malformed records that readers meet: their place, reason and treatment."""

import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ..errors import DataError, printable
from .names import CLIP_SUFFIXES, clip_name

LONGEST = 400  # characters of a line of a summary
# what differs between problems of one kind: values in quotes, words with a digit, files of clips
VARIES = re.compile(
    rf"'[^']*'|\"[^\"]*\"|\S*\d\S*|\S+({'|'.join(map(re.escape, CLIP_SUFFIXES))})(?!\w)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Problem:
    """A malformed record: its place, the reason, and how the reader treated it.

    row: 1-based line of the file, None where the problem concerns the whole file. action:
    "left out" (the record is not in the result), "mended" (used after a repair) or "noted" (used
    unchanged). kind: the reason without names and values, which problems of one kind share; by
    default it is taken from the reason.
    """

    file: str
    row: int | None
    reason: str
    action: str = "left out"
    kind: str = ""

    def __post_init__(self) -> None:
        for field in ("file", "reason"):
            object.__setattr__(self, field, printable(getattr(self, field)))
        if not self.kind:
            object.__setattr__(self, "kind", _kind(self.reason, self.file))

    def __str__(self) -> str:
        where = self.file if self.row is None else f"{self.file}, row {self.row}"
        return f"{where}: {self.reason} ({self.action})"

    @classmethod
    def of(
        cls, file: str, row: int | None, kind: str, *values: object, action: str = "left out"
    ) -> "Problem":
        """A problem whose reason is its kind with names and values in the places of `{}`."""
        return cls(file, None if row is None else int(row), kind.format(*values), action, kind)


def _kind(reason: str, file: str) -> str:
    """A reason without names of files and values."""
    name = rf"(\S*/)?(?<!\w){re.escape(clip_name(file))}(\.\w+|(?=:))"
    return VARIES.sub("#", re.sub(name, "#", reason))


def problem_table(problems: Iterable[Problem]) -> pd.DataFrame:
    """Problems as a table: file, row, reason, action."""
    return _table(problems, ["file", "row", "reason", "action"])


def full_table(problems: Iterable[Problem]) -> pd.DataFrame:
    """Problems as a table with all their fields, for files; `read_problems` restores them."""
    return _table(problems, list(Problem.__dataclass_fields__))


def _table(problems: Iterable[Problem], columns: list[str]) -> pd.DataFrame:
    table = pd.DataFrame([vars(problem) for problem in problems], columns=columns)
    return table.astype({"row": "Int64"})  # whole numbers beside empty entries


def problems_of(table: pd.DataFrame) -> list[Problem]:
    """Problems from a table with all their fields, as `full_table` makes it."""
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    return [Problem(**{str(name): value for name, value in row.items()}) for row in rows]


def read_problems(path: Path) -> tuple[Problem, ...]:
    """Read a table of problems from CSV. Raises DataError for any other file."""
    columns = list(Problem.__dataclass_fields__)
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        if list(table) != columns:
            raise ValueError(f"its columns are {list(table)[:10]}")
        rows = pd.Series([int(row) if row else None for row in table["row"]], dtype="Int64")
        return tuple(problems_of(table.assign(row=rows)))
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path}: expected a table of problems with the columns {columns}, found none "
            f"({error})."
        ) from error


def problem_summary(problems: Iterable[Problem]) -> str:
    """One line per kind of problem: its count, the action, and the first example with its file.

    The file is not repeated where the reason names it.
    """
    kinds: dict[tuple[str, str], list[Problem]] = {}
    for problem in problems:
        kinds.setdefault((problem.action, problem.kind), []).append(problem)
    lines = []
    for (action, _), same in kinds.items():
        reason = " ".join(same[0].reason.split())  # on one line
        reason = reason if len(reason) <= LONGEST else f"{reason[:LONGEST]} ..."
        named = re.search(rf"(?<!\w){re.escape(Path(same[0].file).name)}(?!\w)", reason)
        first = "" if named else f" (first: {same[0].file})"
        lines.append(f"{len(same)} x {action}: {reason}{first}")
    return "\n".join(lines) or "no problems found"


@contextmanager
def warnings_as_problems(file: str, folder: Path, problems: list[Problem]) -> Iterator[None]:
    """Add the warnings that the block gives to `problems` as noted, instead of showing them.

    file: what the block reads. folder: where it lies, which is left out of the reasons. Not for
    threads: Python's record of warnings is one for all.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            yield
        finally:
            reasons = [str(each.message).replace(f"{folder}/", "") for each in caught]
            problems += [Problem(file, None, reason, "noted") for reason in reasons]
