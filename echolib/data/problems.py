"""Malformed records that readers meet: their place, reason and treatment."""

import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ..files import write_table

LONGEST = 400  # characters of a line of a summary
# what differs between two problems of one kind: values in quotes, and words with a digit
VARIES = re.compile(r"'[^']*'|\"[^\"]*\"|\S*\d\S*")


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
    """A reason without the file's name, values in quotes, and words with a digit."""
    for name in (file, Path(file).name):
        reason = reason.replace(name, "#") if name else reason
    return VARIES.sub("#", reason)


def problem_table(problems: Iterable[Problem]) -> pd.DataFrame:
    """Problems as a table: file, row, reason, action."""
    columns = ["file", "row", "reason", "action"]
    return _table(problems, columns)


def write_problems(problems: Iterable[Problem], path: str | Path) -> None:
    """Write all fields of problems as CSV, whole or not at all; `Problem(**row)` restores one."""
    write_table(_table(problems, list(Problem.__dataclass_fields__)), path)


def _table(problems: Iterable[Problem], columns: list[str]) -> pd.DataFrame:
    table = pd.DataFrame([vars(problem) for problem in problems], columns=columns)
    return table.astype({"row": "Int64"})  # whole numbers beside empty entries


def problem_summary(problems: Iterable[Problem]) -> str:
    """One line per kind of problem: its count, the action, and the first example."""
    kinds: dict[tuple[str, str], list[Problem]] = {}
    for problem in problems:
        kinds.setdefault((problem.action, problem.kind), []).append(problem)
    lines = []
    for (action, _), same in kinds.items():
        reason = " ".join(same[0].reason.split())  # on one line
        reason = reason if len(reason) <= LONGEST else f"{reason[:LONGEST]} ..."
        lines.append(f"{len(same)} x {action}: {reason} (first: {same[0].file})")
    return "\n".join(lines) or "no problems found"


@contextmanager
def warnings_as_problems(file: str, problems: list[Problem]) -> Iterator[None]:
    """Add the warnings that the block gives to `problems` as noted, instead of showing them.

    file: what the block reads. Not for threads: Python's record of warnings is one for all.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            yield
        finally:
            problems += [Problem(file, None, str(each.message), "noted") for each in caught]
