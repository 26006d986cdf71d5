"""The numbered references at the end of each notebook, as `notebooks/references.bib` has them.

    python -m tools.references notebooks/*.ipynb

The last cell of a notebook begins with `## References` and has one line per reference, in the order
in which the text cites them, as `[1]` or `[2, 5]`. For a new one, add the entry to the file, write
`3. <https://doi.org/...>` into the cell and run the command: it writes each line anew from the
entry of its DOI. Outputs stay as they are.
"""

import re
import sys
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbformat import NotebookNode

from echolib.config import project_root
from echolib.errors import DataError
from echolib.files import atomic_path

BIBLIOGRAPHY = project_root() / "notebooks" / "references.bib"
HEADING = "## References"
ENTRY = re.compile(r"@(?:article|inproceedings)\{(?P<key>\w+),\n(?P<fields>.*?)\n\}", re.DOTALL)
FIELD = re.compile(r"^  (\w+) = \{(.+)\},?$", re.MULTILINE)
LINE = re.compile(r"^(?P<number>\d+)\. .*?<https://doi\.org/(?P<doi>[^>\s]+)>$")
CITATION = re.compile(r"\[(\d+(?:, \d+)*)\](?!\()")
# Code and formulas, in which [1] is an index
NO_TEXT = re.compile(r"```.*?```|`[^`]*`|\$\$.*?\$\$|\$[^$\n]*\$", re.DOTALL)


class Reference(NamedTuple):
    """An entry of the bibliography: authors as "Surname, Given" each, "others" where left out."""

    key: str
    authors: list[str]
    title: str
    venue: str
    year: str
    doi: str

    @property
    def label(self) -> str:
        """The first author's surname and the year, as the tables name a source."""
        return f"{self.authors[0].split(',')[0]} {self.year}"

    def line(self) -> str:
        """The reference as the notebooks print it, in Markdown."""
        people = []
        for author in self.authors:
            surname, _, given = author.partition(", ")
            initials = [f"{name[0]}." for name in re.split(r"[ -]", given) if name]
            people.append(" ".join([*initials, surname]) if given else "et al.")
        names = ", ".join(people).replace(", et al.", " et al.")
        ending = "" if names.endswith(".") else "."
        return (
            f"{names}{ending} {self.title}. *{self.venue}*, {self.year}. "
            f"<https://doi.org/{self.doi}>"
        )


def read_bibliography(path: Path = BIBLIOGRAPHY) -> dict[str, Reference]:
    """The entries of a BibTeX file by their DOI.

    A field stands on one line, in braces. Raises DataError at text that is no entry, at an entry
    without author, title, venue, year or DOI, and at a key or DOI that occurs twice.
    """
    text = path.read_text(encoding="utf-8")
    if rest := ENTRY.sub("", text).strip():
        raise DataError(f"{path}: expected entries with one field a line, found {rest[:60]!r}.")
    references: dict[str, Reference] = {}
    for entry in ENTRY.finditer(text):
        fields = dict(FIELD.findall(entry["fields"]))
        venue = fields.get("journal") or fields.get("booktitle")
        missing = {"author", "title", "year", "doi"} - set(fields)
        if missing or not venue:
            names = sorted(missing) or ["journal or booktitle"]
            raise DataError(f"{path}: {entry['key']} lacks {', '.join(names)}. Add it.")
        authors = fields["author"].split(" and ")
        one = Reference(
            entry["key"], authors, fields["title"], venue, fields["year"], fields["doi"]
        )
        if one.doi in references or one.key in {other.key for other in references.values()}:
            raise DataError(f"{path}: {one.key} or its DOI occurs twice. Delete one entry.")
        references[one.doi] = one
    return references


def citations(notebook: NotebookNode) -> list[int]:
    """The numbers that the text of a notebook cites, in order, without the list itself."""
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    texts = [NO_TEXT.sub("", source) for source in cells if not source.startswith(HEADING)]
    found = [CITATION.findall(text) for text in texts]
    return [int(number) for some in found for one in some for number in one.split(", ")]


def reference_lines(notebook: NotebookNode) -> list[str]:
    """The lines of a notebook's list of references; DataError where it does not end with one."""
    last = notebook.cells[-1]
    if last.cell_type != "markdown" or not last.source.startswith(f"{HEADING}\n\n"):
        raise DataError(f"The last cell is not a list below {HEADING!r}. Write it there.")
    return last.source.splitlines()[2:]


def rewritten(lines: list[str], references: dict[str, Reference]) -> list[str]:
    """The lines of a list as the bibliography has them, numbered from 1.

    Raises DataError at a line without a DOI and at a DOI that the bibliography lacks.
    """
    written = []
    for number, line in enumerate(lines, start=1):
        found = LINE.match(line)
        if found is None or found["doi"] not in references:
            raise DataError(f"{line!r} ends with no DOI of {BIBLIOGRAPHY.name}. Add the entry.")
        written.append(f"{number}. {references[found['doi']].line()}")
    return written


def main(paths: list[str]) -> None:
    """Write the lists of the notebooks anew."""
    references = read_bibliography()
    for path in map(Path, paths):
        notebook = nbformat.read(path, as_version=4)
        lines = rewritten(reference_lines(notebook), references)
        notebook.cells[-1].source = "\n".join([HEADING, "", *lines])
        with atomic_path(path) as temporary:
            nbformat.write(notebook, temporary)


if __name__ == "__main__":
    main(sys.argv[1:])
