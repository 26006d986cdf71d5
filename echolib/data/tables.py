"""Tables and lists of data sets as people save them: any encoding, any separator.

Spreadsheets write UTF-8 with a byte-order mark, UTF-16 or Windows' own encoding, and semicolons
where a comma is the decimal mark.
"""

import csv
import io
import re
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import DataError
from .problems import Problem

MARKS = {  # at the start of a file; the longer mark comes first
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
    b"\xef\xbb\xbf": "utf-8-sig",
}
SEPARATORS = ",;\t|"
SAMPLE = 1000  # bytes that show whether every other byte is zero, as in UTF-16
COLUMNS_SHOWN = 12  # in a message
ORIGINAL = "Check that this is the original file of the data set, with its header."
# fields that are numbers, between separators or the ends of a line, perhaps in quotes
DECIMAL_COMMA = {
    separator: re.compile(
        rf'(?<![^{separator}\r\n])({blank}"?[-+]?\d*),(\d+(?:[eE][-+]?\d+)?"?{blank})'
        rf"(?![^{separator}\r\n])"
    )
    for separator, blank in ((";", r"[ \t]*"), ("\t", " *"))
}
DECIMAL_POINT = re.compile(r"(?<![^\t\r\n])[-+]?\d*\.\d+(?![^\t\r\n])")  # between tabs
CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f]")  # no text has these characters


def read_text(path: Path, kind: str = "text") -> str:
    """Read a text file in UTF-8, UTF-16, UTF-32 or Windows' Western encoding (Latin-1).

    kind: what the file should be, for messages. Raises DataError, which names the file, where it
    is missing, empty, or no text.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing. Check that the download is complete.") from error
    for encoding in _encodings(data):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        break
    else:
        raise DataError(
            f"{path} is not a readable {kind}: its bytes are neither UTF-8, UTF-16 nor Latin-1; it "
            f"starts with {data[:12]!r}. Download it again, or save it as UTF-8."
        )
    if not text.strip():
        raise DataError(f"{path} is empty. Download it again.")
    if found := CONTROL.search(text):
        line = text.count("\n", 0, found.start()) + 1
        what = "NUL bytes" if found[0] == "\0" else "control characters"
        raise DataError(
            f"{path} is not a readable {kind}: it holds {len(CONTROL.findall(text))} {what}, the "
            f"first in row {line}, which no text has. Copy or download it again."
        )
    return text


def _encodings(data: bytes) -> tuple[str, ...]:
    """The encodings to try, in order."""
    for mark, encoding in MARKS.items():
        if data.startswith(mark):
            return (encoding,)
    sample = np.frombuffer(data[:SAMPLE], np.uint8)
    even, odd = (np.count_nonzero(sample[start::2] == 0) for start in (0, 1))
    most = 0.4 * len(sample) / 2
    if odd > most and not even:
        return ("utf-16-le",)
    if even > most and not odd:
        return ("utf-16-be",)
    return ("utf-8", "cp1252")


def read_lines(path: Path) -> list[str]:
    """The lines of a text file without comments, which begin with #, spaces and empty lines."""
    lines = (line.split("#")[0].strip() for line in read_text(path).splitlines())
    return [line for line in lines if line]


def read_table(
    path: Path,
    needed: list[str],
    if_empty: str = "Download it again.",
    remedy: str = ORIGINAL,
) -> tuple[pd.DataFrame, list[Problem]]:
    """Read a CSV as text, and the problems found; its index is the 1-based line of each row.

    needed: names of the required columns, which also show how the columns are separated. Where
    semicolons separate them, or tabs and no number has a point, decimal commas become points. A
    row with fewer or more fields than the header is left out. if_empty: what to do about a table
    without rows; remedy: about one without these columns. Raises DataError, which names the file,
    where it is missing, empty, not text, or lacks a column.
    """
    text = read_text(path, "CSV")
    separator = _separator(text, needed)
    if separator == ";" or (separator == "\t" and not DECIMAL_POINT.search(text)):
        text = DECIMAL_COMMA[separator].sub(r"\1.\2", text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    try:
        rows = [(reader.line_num, row) for row in reader if any(row)]
    except csv.Error as error:
        raise DataError(
            f"{path} is not a readable CSV: row {reader.line_num}: {error}. Look for a quotation "
            "mark that is not closed, or download it again."
        ) from error
    header = [name.strip() for name in rows[0][1]] if rows else []
    require_columns(path, header, needed, remedy)
    if len(rows) == 1:
        raise DataError(f"{path} has a header but no rows. {if_empty}")
    return _table(path, header, rows[1:])


def _separator(text: str, needed: list[str]) -> str:
    """The separator that gives the most of the needed columns."""
    header = next(line for line in text.splitlines() if line.strip())

    def names_found(separator: str) -> int:
        names = next(csv.reader([header], delimiter=separator, skipinitialspace=True), [])
        return len({name.strip() for name in names} & set(needed))

    return max(SEPARATORS, key=names_found)  # the first of equals: a comma


def require_columns(
    path: Path, columns: list[str], needed: list[str], remedy: str = ORIGINAL
) -> None:
    """Raise DataError, which names the file, where a needed column is missing or there twice."""
    missing = [column for column in needed if column not in columns]
    twice = sorted({column for column in columns if column and columns.count(column) > 1})
    shown = [column[:40] for column in columns[:COLUMNS_SHOWN]]
    more = "" if len(columns) <= COLUMNS_SHOWN else f" and {len(columns) - COLUMNS_SHOWN} more"
    if missing:
        raise DataError(f"{path} lacks the columns {missing}; it has {shown}{more}. {remedy}")
    if twice:
        raise DataError(f"{path} has columns of one name, {twice}, in {shown}{more}. {remedy}")


def _table(
    path: Path, header: list[str], rows: list[tuple[int, list[str]]]
) -> tuple[pd.DataFrame, list[Problem]]:
    """The rows that have as many fields as the header, and a problem for each other row."""
    count = len(header)
    good, lines, problems = [], [], []
    for line, row in rows:
        if len(row) == count or (len(row) > count and not any(row[count:])):
            good.append(row)
            lines.append(line)
        else:
            kind = "the row has {} fields, the header {}"
            problems.append(Problem.of(path.name, line, kind, len(row), count))
    if not good:
        raise DataError(
            f"{path}: no row has the {count} fields of its header. The first, row "
            f"{problems[0].row}, has {len(rows[0][1])}. Download it again."
        )
    columns = {name: [row[place] for row in good] for place, name in enumerate(header)}
    return pd.DataFrame(columns, index=lines, dtype=object), problems


def to_numbers(texts: pd.Series) -> pd.Series:
    """A column of text as float; NaN where a text is no number."""
    return pd.to_numeric(texts, errors="coerce").astype(float)
