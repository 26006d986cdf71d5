"""Executed notebooks as HTML pages that load nothing: they contain browsers and formulas.

`write_course` links the pages of a folder to each other, and writes an index of them and a page of
the course's README, to whose glossary the notebooks link.
"""

import base64
import copy
import html
import os
import re
from pathlib import Path
from typing import NamedTuple

import cv2
import nbformat
import numpy as np
from latex2mathml.converter import convert
from nbconvert import HTMLExporter
from nbconvert.filters import markdown2html
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell, new_notebook

from echolib.browser.export import saved_fragment
from echolib.config import project_root
from echolib.files import atomic_path

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
PROGRESS_BAR = ["HTMLModel", "FloatProgressModel", "HTMLModel"]  # the widgets of a tqdm bar
TEMPLATE = Path(__file__).with_name("page.html.j2")
INDEX = "index.html"
README = project_root() / "notebooks" / "README.md"
LONG = 4  # sections from which on a page has a table of contents
THUMBNAIL = 480  # px, width of the pictures in the index
STRIP = 3  # a picture this many times as wide as high shows little when it is small
# A title and the paragraph below it, at the beginning of a notebook
OPENING = re.compile(r"# (?P<title>.+)\n*(?P<paragraph>[^#\n].*(?:\n.+)*)?")
SENTENCE = re.compile(r".+?[.?!]\**(?=\s|$)")
SECTION = re.compile(r'<h2 id=[^>]*>(.+?)<a class="anchor-link" href="([^"]*)"', re.DOTALL)
MATHML = "http://www.w3.org/1998/Math/MathML"
# A link to a file beside the notebooks
LINK = re.compile(r"\]\((?!\w+:)(?P<file>[^)#\s]+)(?P<place>#[^)\s]*)?\)")
TAG = re.compile(r"<[^>]*>")
# Code, which is left unchanged, or a formula: $$...$$, shown on a line of its own, or $...$ without
# a space beside the dollar signs.
CODE_OR_FORMULA = re.compile(
    r"(`+).+?\1|\$\$(?P<block>.+?)\$\$|\$(?P<inline>[^\s$]([^$\n]*[^\s$])?)\$", re.DOTALL
)


class Entry(NamedTuple):
    """What other pages say of a notebook's page.

    page: name of its file; sentence: the notebook's first, in Markdown, may be empty; picture: the
    address of a small PNG that contains it, or None where the notebook shows no figure.
    """

    page: str
    title: str
    sentence: str
    picture: str | None


def write_course(folder: Path) -> Path:
    """Write the page of each executed notebook in `folder`, and an index; returns its path.

    A notebook that is damaged is left out, and said.
    """
    notebooks = {}
    for path in sorted(folder.glob("[!.]*.ipynb")):
        try:
            notebooks[path] = nbformat.read(path, as_version=4)
        except (OSError, ValueError):
            print(f"{path} is damaged and not in the index. Run it again, or delete it.")
    entries = [_entry(notebook, path) for path, notebook in notebooks.items()]
    around = [None, *entries, None]
    pages = {README.stem, *(path.stem for path in notebooks)}
    for number, notebook in enumerate(notebooks.values()):
        _link_pages(notebook, pages, folder)
        links = {"linked": True, "before": around[number], "after": around[number + 2]}
        write_page(notebook, folder / entries[number].page, **links)
    readme = new_notebook(cells=[new_markdown_cell(README.read_text(encoding="utf-8"))])
    _link_pages(readme, pages, folder)
    write_page(readme, folder / f"{README.stem}.html", linked=True)
    _render(new_notebook(), folder / INDEX, "The notebooks of echolib", entries=entries)
    return folder / INDEX


def _link_pages(notebook: NotebookNode, pages: set[str], folder: Path) -> None:
    """Turn links to files beside the notebooks into links to those pages that there are.

    Others lead to the files, as seen from `folder`.
    """
    there = os.path.relpath(README.parent, folder)

    def turned(match: re.Match) -> str:
        stem = Path(match["file"]).stem
        target = f"{stem}.html" if stem in pages else f"{there}/{match['file']}"
        return f"]({target}{match['place'] or ''})"

    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = LINK.sub(turned, cell.source)


def write_page(notebook: NotebookNode, path: Path, **links: object) -> None:
    """Write an executed notebook that holds its widgets' state as a page, whole or not at all.

    links: values of the template that `write_course` knows; without them the page has none.
    """
    notebook = copy.deepcopy(notebook)
    finish_widgets(notebook, browsers=True)
    headings = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = CODE_OR_FORMULA.sub(_formula_in_mathml, cell.source)
            headings += SECTION.findall(markdown2html(cell.source))
    sections = [(TAG.sub("", text), href) for text, href in headings]
    links["headings"] = sections if len(sections) >= LONG else []
    _render(notebook, path, path.stem, **links)


def _render(notebook: NotebookNode, path: Path, name: str, **values: object) -> None:
    resources = {"metadata": {"name": name}, **values}
    exporter = HTMLExporter(raw_template=TEMPLATE.read_text(encoding="utf-8"))
    page, _ = exporter.from_notebook_node(notebook, resources)
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _entry(notebook: NotebookNode, path: Path) -> Entry:
    """The entry of a notebook that was read from `path`; without a title it has the file's name."""
    first = notebook.cells[0] if notebook.cells else None
    source = first.source if first is not None and first.cell_type == "markdown" else ""
    opening = OPENING.match(source)
    paragraph = " ".join((opening and opening["paragraph"] or "").split())
    sentence = SENTENCE.match(paragraph)
    return Entry(
        page=f"{path.stem}.html",
        title=opening["title"] if opening else path.stem,
        sentence=CODE_OR_FORMULA.sub(_formula_in_mathml, sentence[0] if sentence else paragraph),
        picture=_thumbnail(notebook),
    )


def _thumbnail(notebook: NotebookNode) -> str | None:
    """The first figure of a notebook that is not a mere strip, in small, as a data address."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    stored = [output.get("data", {}).get("image/png") for output in outputs]
    pictures = [_decoded(picture) for picture in stored if picture]
    if not pictures:
        return None
    chosen = min(pictures, key=lambda picture: picture.shape[1] >= STRIP * picture.shape[0])
    scale = min(1.0, THUMBNAIL / chosen.shape[1])
    small = cv2.resize(chosen, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return f"data:image/png;base64,{base64.b64encode(cv2.imencode('.png', small)[1]).decode()}"


def _decoded(picture: str) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(base64.b64decode(picture), np.uint8), cv2.IMREAD_COLOR)


def finish_widgets(notebook: NotebookNode, browsers: bool = False) -> None:
    """Replace all widgets, in place, by output that can be seen without Python.

    A progress bar becomes the text of its final state. A frame browser becomes HTML if `browsers`
    is set. Every other widget becomes the text that Jupyter stores beside it.
    """
    models = notebook.metadata.pop("widgets", {}).get(WIDGET_STATE, {}).get("state", {})
    for row, cell in enumerate(notebook.cells):
        for number, output in enumerate(cell.get("outputs", [])):
            data = output.get("data", {})
            model = models.get(data.pop(WIDGET_VIEW, {}).get("model_id"))
            if model is None:
                continue
            if text := _progress_text(model, models):
                data["text/plain"] = text
            if browsers and "_content" in model["state"]:
                browser = saved_fragment(_with_buffers(model), f"browser-{row}-{number}")
                data.update({"text/html": browser} if browser else {})


def _progress_text(model: dict, models: dict) -> str | None:
    """The text to the left and right of a tqdm progress bar; None for another widget."""
    names = [name.removeprefix("IPY_MODEL_") for name in model["state"].get("children", [])]
    parts = [models[name] for name in names if name in models]
    if [part["model_name"] for part in parts] != PROGRESS_BAR:
        return None
    left, right = (html.unescape(parts[number]["state"]["value"]) for number in (0, 2))
    return " ".join(f"{left} {right}".split())


def _with_buffers(model: dict) -> dict:
    """A widget's state with its buffers, in base64, inserted at their paths."""
    state = copy.deepcopy(model["state"])
    for buffer in model.get("buffers", []):
        *parents, last = buffer["path"]
        container = state
        for key in parents:
            container = container[key]
        container[last] = buffer["data"]
    return state


def _formula_in_mathml(match: re.Match) -> str:
    """A match of `CODE_OR_FORMULA` with its formula in MathML; code is returned unchanged."""
    formula = match["block"] or match["inline"]
    if formula is None:
        return match[0]
    try:
        mathml = convert(formula.strip(), display="block" if match["block"] else "inline")
    except Exception:  # latex2mathml raises errors of many kinds; then the reader sees the LaTeX
        return match[0]
    return mathml.replace(f' xmlns="{MATHML}"', "")  # HTML needs none; nbconvert stumbles over it
