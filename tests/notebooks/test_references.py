"""Every claim has its source: citations, the notebooks' lists and the bibliography agree."""

import copy
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from echolib.errors import DataError
from tools import references as tool

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
KNOWN = tool.read_bibliography()
ENTRY = """@article{some1999,
  author = {Some, Any Body and Other, X.},
  title = {A title},
  journal = {A Journal},
  year = {1999},
  doi = {10.1000/a(1)}
}
"""


def faults(notebook: nbformat.NotebookNode) -> list[str]:
    """What is wrong with the citations and the list of a notebook."""
    found = []
    lines, cited = tool.reference_lines(notebook), tool.citations(notebook)
    first = list(dict.fromkeys(cited))
    if first != list(range(1, len(lines) + 1)):
        found.append(f"cited in the order {first}, but {len(lines)} references")
    if len(set(lines)) < len(lines) or lines != tool.rewritten(lines, KNOWN):
        found.append("the list is not the bibliography's: run `python -m tools.references`")
    return found


# --- the course's notebooks ---------------------------------------------------------------------


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_number_is_in_the_list_and_each_reference_is_cited(path):
    assert faults(nbformat.read(path, as_version=4)) == []


def test_each_entry_is_used_by_a_notebook():
    lines = [tool.reference_lines(nbformat.read(path, as_version=4)) for path in NOTEBOOKS]
    used = {tool.LINE.match(line)["doi"] for some in lines for line in some}
    assert used == set(KNOWN)


def test_published_numbers_name_a_source_that_their_notebook_lists():
    table = pd.read_csv(ROOT / "notebooks" / "results" / "published.csv")
    lines = tool.reference_lines(nbformat.read(NOTEBOOKS[5], as_version=4))
    listed = {KNOWN[tool.LINE.match(line)["doi"]].label for line in lines}
    assert table.source.notna().all() and set(table.source) <= listed
    assert {"Ouyang 2020", "Maani 2023"} <= set(table.source)


# --- the checks can fail ------------------------------------------------------------------------


@pytest.fixture
def notebook() -> nbformat.NotebookNode:
    """A notebook that cites two references, and has brackets that cite none."""
    lines = [f"1. {KNOWN[doi].line()}" for doi in sorted(KNOWN)[:2]]
    cells = [
        new_markdown_cell("Known [1], and better [2, 1]. Not `x[7]`, $x[8]$ or [9](a.md)."),
        new_code_cell("x[3]"),
        new_markdown_cell("\n".join(["## References", "", *tool.rewritten(lines, KNOWN)])),
    ]
    return new_notebook(cells=cells)


def test_a_notebook_in_order_has_no_faults(notebook):
    assert tool.citations(notebook) == [1, 2, 1]
    assert faults(notebook) == []


@pytest.mark.parametrize(
    ("cell", "old", "new"),
    [
        (0, "better [2, 1]", "better [1]"),  # a reference that nobody cites
        (0, "better [2, 1]", "better [2, 3]"),  # a number without a reference
        (0, "Known [1]", "Known [2]"),  # numbered in another order than cited
        (-1, "2. ", "3. "),
        (-1, "*, 20", "*, 19"),  # another year than the bibliography's
    ],
)
def test_a_broken_notebook_has_faults(notebook, cell, old, new):
    broken = copy.deepcopy(notebook)
    assert old in broken.cells[cell].source
    broken.cells[cell].source = broken.cells[cell].source.replace(old, new)
    assert faults(broken) != []


def test_a_notebook_without_a_list_is_an_error(notebook):
    notebook.cells.pop()
    with pytest.raises(DataError, match="The last cell is not a list"):
        tool.reference_lines(notebook)


# --- reading and writing ------------------------------------------------------------------------


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_an_entry_becomes_a_line(tmp_path):
    references = tool.read_bibliography(write(tmp_path / "a.bib", ENTRY))
    (one,) = references.values()
    assert list(references) == ["10.1000/a(1)"] and one.label == "Some 1999"
    expected = "A. B. Some, X. Other. A title. *A Journal*, 1999. <https://doi.org/10.1000/a(1)>"
    assert one.line() == expected
    many = ENTRY.replace("Other, X.", "others")
    (one,) = tool.read_bibliography(write(tmp_path / "b.bib", many)).values()
    assert one.line().startswith("A. B. Some et al. A title.")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ENTRY + "garbage", "found 'garbage'"),
        (ENTRY.replace("  doi = {10.1000/a(1)}\n", "  note = {x}\n"), "some1999 lacks doi"),
        (ENTRY.replace("journal", "publisher"), "lacks journal or booktitle"),
        (ENTRY + "\n" + ENTRY, "occurs twice"),
        (ENTRY + "\n" + ENTRY.replace("some1999", "some2000"), "occurs twice"),
    ],
)
def test_a_bad_bibliography_is_an_error(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        tool.read_bibliography(write(tmp_path / "a.bib", text))


@pytest.mark.parametrize("line", ["1. Somebody.", "1. <https://doi.org/10.1000/unknown>"])
def test_a_line_without_a_known_doi_is_an_error(line):
    with pytest.raises(DataError, match="Add the entry"):
        tool.rewritten([line], KNOWN)


def test_the_command_writes_the_list_and_nothing_else(notebook, tmp_path):
    doi = sorted(KNOWN)[1]
    whole = notebook.cells[-1].source
    notebook.cells[-1].source = f"{whole.splitlines()[2]}\n2. <https://doi.org/{doi}>"
    notebook.cells[-1].source = f"## References\n\n{notebook.cells[-1].source}"
    path = tmp_path / "01_a.ipynb"
    nbformat.write(notebook, path)
    tool.main([str(path)])
    written = nbformat.read(path, as_version=4)
    assert written.cells[-1].source == whole
    assert written.cells[:-1] == notebook.cells[:-1]
    before = path.read_bytes()
    tool.main([str(path)])
    assert path.read_bytes() == before
