"""An executed notebook as a page of HTML that loads nothing: browsers and formulas are in it."""

import copy
import html
import re
from pathlib import Path

from latex2mathml.converter import convert
from nbconvert import HTMLExporter
from nbformat import NotebookNode

from echolib.browser.export import saved_fragment
from echolib.files import atomic_path

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
BAR = ["HTMLModel", "FloatProgressModel", "HTMLModel"]  # what tqdm makes a bar of
# nbconvert's own page, without the scripts that it would load for widgets and formulas.
TEMPLATE = """{% extends 'lab/index.html.j2' %}
{% block html_head_js %}{% endblock %}
{% block html_head_js_mathjax %}{% endblock %}
"""
# Code, which stays as it is, or a formula: $$...$$, which has a line of its own, or $...$ without
# a space inside the signs.
FORMULA = re.compile(
    r"(`+).+?\1|\$\$(?P<block>.+?)\$\$|\$(?P<inline>[^\s$]([^$\n]*[^\s$])?)\$", re.DOTALL
)


def write_page(notebook: NotebookNode, path: Path) -> None:
    """Write a notebook, executed with its widgets' state, as one page, whole or not at all."""
    notebook = copy.deepcopy(notebook)
    finish_widgets(notebook, browsers=True)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = FORMULA.sub(_in_mathml, cell.source)
    resources = {"metadata": {"name": path.stem}}
    page, _ = HTMLExporter(raw_template=TEMPLATE).from_notebook_node(notebook, resources)
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def finish_widgets(notebook: NotebookNode, browsers: bool = False) -> None:
    """Replace, in place, all widgets by what can be seen of them without Python.

    Bars say where they ended, frame browsers become HTML if `browsers` is set, and of all others
    the text is left that stands in a widget's place.
    """
    models = notebook.metadata.pop("widgets", {}).get(WIDGET_STATE, {}).get("state", {})
    for row, cell in enumerate(notebook.cells):
        for number, output in enumerate(cell.get("outputs", [])):
            data = output.get("data", {})
            model = models.get(data.pop(WIDGET_VIEW, {}).get("model_id"))
            if model is None:
                continue
            if bar := _finished_bar(model, models):
                data["text/plain"] = bar
            if browsers and "_content" in model["state"]:
                browser = saved_fragment(_with_buffers(model), f"browser-{row}-{number}")
                data.update({"text/html": browser} if browser else {})


def _finished_bar(model: dict, models: dict) -> str | None:
    """The words left and right of one of tqdm's bars; None for another widget."""
    names = [name.removeprefix("IPY_MODEL_") for name in model["state"].get("children", [])]
    parts = [models[name] for name in names if name in models]
    if [part["model_name"] for part in parts] != BAR:
        return None
    left, right = (html.unescape(parts[number]["state"]["value"]) for number in (0, 2))
    return " ".join(f"{left} {right}".split())


def _with_buffers(model: dict) -> dict:
    """A widget's state with its buffers, in base64, where they belong."""
    state = copy.deepcopy(model["state"])
    for buffer in model.get("buffers", []):
        place = state
        for key in buffer["path"][:-1]:
            place = place[key]
        place[buffer["path"][-1]] = buffer["data"]
    return state


def _in_mathml(match: re.Match) -> str:
    formula = match["block"] or match["inline"]
    if formula is None:
        return match[0]
    try:
        return convert(formula.strip(), display="block" if match["block"] else "inline")
    except Exception:  # it has an error for each way to be wrong; a reader then sees what was typed
        return match[0]
