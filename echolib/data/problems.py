"""Malformed records that readers meet: their place, reason and treatment."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pandas as pd

from ..errors import DataError

COLUMNS = ["file", "row", "reason", "action"]


@dataclass(frozen=True)
class Problem:
    """A malformed record: its place, the reason, and how the reader treated it.

    row: 1-based line of the file, None where the problem concerns the whole file. action:
    "left out" (the record is not in the result), "mended" (used after a repair) or "noted" (used
    unchanged).
    """

    file: str
    row: int | None
    reason: str
    action: str = "left out"

    def __str__(self) -> str:
        where = self.file if self.row is None else f"{self.file}, row {self.row}"
        return f"{where}: {self.reason} ({self.action})"


def problem_table(problems: Iterable[Problem]) -> pd.DataFrame:
    """Problems as a table: file, row, reason, action."""
    table = pd.DataFrame([vars(problem) for problem in problems], columns=COLUMNS)
    return table.astype({"row": "Int64"})  # whole numbers beside empty entries


def read_problems(path: Path) -> tuple[Problem, ...]:
    """Read a table of problems from CSV. Raises DataError for any other file."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        if list(table) != COLUMNS:
            raise ValueError(f"its columns are {list(table)[:10]}")
        rows = (int(row) if row else None for row in table["row"])
        columns = (table.file, rows, table.reason, table.action)
        return tuple(Problem(*values) for values in zip(*columns, strict=True))
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path}: expected a table of problems with the columns {COLUMNS}, found none "
            f"({error})."
        ) from error


def problem_summary(problems: Iterable[Problem]) -> str:
    """One line per kind of problem: its count, the action, and the first example."""
    table = problem_table(problems)
    if table.empty:
        return "no problems found"
    kinds = table.reason.str.replace(r"-?\d+(\.\d+)?", "#", regex=True)
    lines = []
    for (action, _), rows in table.groupby(["action", kinds], sort=False):
        lines.append(f"{len(rows)} x {action}: {rows.reason.iloc[0]} (first: {rows.file.iloc[0]})")
    return "\n".join(lines)


def first_problems(problems: Iterable[Problem]) -> str:
    """The first five problems, one per line, for the message of an error."""
    return "\n".join(str(problem) for problem in islice(problems, 5))
