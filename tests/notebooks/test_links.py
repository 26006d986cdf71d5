"""Links of the course: each leads somewhere, and each term of the glossary is met by the reader."""

import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
COURSE = sorted((ROOT / "notebooks").glob("*.ipynb"))
SOLUTIONS = sorted((ROOT / "notebooks" / "solutions").glob("*.ipynb"))
INDEX = ROOT / "notebooks" / "README.md"
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
ANCHOR = re.compile(r'<a id="([^"]+)"></a>')


def markdown(path: Path) -> str:
    """All text of a page, or of a notebook's Markdown cells."""
    if path.suffix == ".md":
        return path.read_text(encoding="utf-8")
    cells = nbformat.read(path, as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def anchors(path: Path) -> set[str]:
    """Places of a page that a link can name: those marked by <a id>, and its headings."""
    text = markdown(path)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    jupyter = {title.strip().replace(" ", "-") for title in titles}
    return {*ANCHOR.findall(text), *jupyter}


def broken(path: Path) -> list[str]:
    """The links of a page that lead nowhere."""
    wrong = []
    for target in LINK.findall(markdown(path)):
        file, _, place = target.partition("#")
        if file.startswith(("http:", "https:")):
            continue
        found = path.parent / file if file else path
        if not found.exists() or (place and place not in anchors(found)):
            wrong.append(target)
    return wrong


@pytest.mark.parametrize("path", [INDEX, *COURSE, *SOLUTIONS], ids=lambda path: path.stem)
def test_links_lead_somewhere(path):
    assert broken(path) == []


def test_a_broken_link_is_found(tmp_path):
    (tmp_path / "b.md").write_text('# A title\n\n<a id="term"></a>term', encoding="utf-8")
    page = tmp_path / "a.md"
    page.write_text(
        "[a](b.md) [b](b.md#term) [c](b.md#A-title) [d](https://x.org)", encoding="utf-8"
    )
    assert broken(page) == []
    page.write_text("[a](c.md) [b](b.md#other) [c](#here)", encoding="utf-8")
    assert broken(page) == ["c.md", "b.md#other", "#here"]


@pytest.mark.parametrize("number", range(len(COURSE)), ids=lambda number: COURSE[number].stem)
def test_the_box_leads_to_the_notebooks_around_it(number):
    box = nbformat.read(COURSE[number], as_version=4).cells[0].source
    for name, other in (("Previous", number - 1), ("Next", number + 1)):
        link = re.search(rf"\*\*{name}\*\* \[[^\]]*\]\(([^)]*)\)", box)
        expected = COURSE[other].name if 0 <= other < len(COURSE) else None
        assert (link[1] if link else None) == expected


def test_the_reader_meets_each_term_of_the_glossary():
    text = "\n".join(map(markdown, COURSE))
    linked = set(re.findall(r"\]\(README\.md#([^)]+)\)", text))
    assert set(ANCHOR.findall(INDEX.read_text(encoding="utf-8"))) <= linked
