"""Problems: their kinds, summaries of one line each, and their way through files."""

import warnings
from pathlib import Path

import pandas as pd
import pytest

from echolib.data.problems import (
    Problem,
    full_table,
    problem_summary,
    problems_of,
    warnings_as_problems,
)

NAMES = ["smith", "0XABCDEF0123456789", "jones", "a", "1.2.840.42", "Müller, A"]


def summary(problems):
    return problem_summary(problems).splitlines()


def test_a_kind_with_names_in_it_is_one_line():
    problems = [Problem.of("FileList.csv", 3, "{} is listed again", name) for name in NAMES]
    assert summary(problems) == ["6 x left out: smith is listed again (first: FileList.csv)"]
    other = Problem.of("FileList.csv", 3, "{} is listed again", "x", action="noted")
    assert len(summary([*problems, other])) == 2


@pytest.mark.parametrize("folder", ["", "Videos/", "/home/some one/Videos/"])
def test_a_kind_is_found_in_the_sentence_of_an_error(folder):
    problems = [
        Problem(f"Videos/{name}.avi", None, f"{folder}{name}.avi: found {size} bytes 'x{name}'")
        for size, name in enumerate(NAMES)
    ]
    assert len(summary(problems)) == 1
    problems = [Problem(name, None, f"{name}.avi: found {name!r} in it") for name in NAMES]
    assert len(summary(problems)) == 1
    problems = [Problem("folder", None, f"{name}.mp4: truncated") for name in NAMES[:-1]]
    assert len(summary(problems)) == 1
    assert len(summary([Problem("x", None, "a video"), Problem("x", None, "a table")])) == 2


def test_a_file_that_the_reason_names_is_not_repeated():
    reason = "/my clips/a.dcm: the scale tags contradict each other"
    for file in ("a.dcm", "/my clips/a.dcm"):
        assert summary([Problem(file, None, reason)]) == [f"1 x left out: {reason}"]
    for file in ("b.dcm", "clip", "a.dc"):
        assert summary([Problem(file, None, reason)])[0].endswith(f"(first: {file})")
    long = Problem("a.dcm", None, 100 * "long " + "a.dcm")
    assert summary([long])[0].endswith("... (first: a.dcm)")


def test_a_long_reason_is_one_line_and_cut():
    (line,) = summary([Problem("x", None, "two\nlines " + 1000 * "long ")])
    assert line.startswith("1 x left out: two lines long") and len(line) < 450


def test_files_keep_every_field(tmp_path):
    problems = [Problem.of("a.csv", 3, "{} is odd", "x"), Problem("b", None, "broken", "noted")]
    table = full_table(problems)
    assert problems_of(table) == problems
    table.to_csv(tmp_path / "problems.csv", index=False)
    assert problems_of(pd.read_csv(tmp_path / "problems.csv", dtype={"row": "Int64"})) == problems
    assert problems_of(full_table([])) == []


def test_warnings_of_a_block_become_notes_without_the_folder():
    problems: list[Problem] = []
    with pytest.raises(OSError), warnings_as_problems("a", Path("/home/x"), problems):
        warnings.warn("/home/x/a.avi: cut", stacklevel=1)
        warnings.warn("/home/x/a.avi: cut", stacklevel=1)
        raise OSError
    assert problems == 2 * [Problem("a", None, "a.avi: cut", "noted")]
