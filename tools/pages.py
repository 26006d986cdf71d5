"""An executed notebook as one HTML page that loads nothing: it contains browsers and formulas."""

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
PROGRESS_BAR = ["HTMLModel", "FloatProgressModel", "HTMLModel"]  # the widgets of a tqdm bar
# The page of nbconvert without the scripts that it would load for widgets and formulas.
TEMPLATE = """{% extends 'lab/index.html.j2' %}
{% block html_head_js %}{% endblock %}
{% block html_head_js_mathjax %}{% endblock %}
"""
# Code, which is left unchanged, or a formula: $$...$$, shown on a line of its own, or $...$ without
# a space beside the dollar signs.
CODE_OR_FORMULA = re.compile(
    r"(`+).+?\1|\$\$(?P<block>.+?)\$\$|\$(?P<inline>[^\s$]([^$\n]*[^\s$])?)\$", re.DOTALL
)


def write_page(notebook: NotebookNode, path: Path) -> None:
    """Write an executed notebook that holds its widgets' state as a page, whole or not at all."""
    notebook = copy.deepcopy(notebook)
    finish_widgets(notebook, browsers=True)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = CODE_OR_FORMULA.sub(_formula_in_mathml, cell.source)
    resources = {"metadata": {"name": path.stem}}
    page, _ = HTMLExporter(raw_template=TEMPLATE).from_notebook_node(notebook, resources)
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


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
        return convert(formula.strip(), display="block" if match["block"] else "inline")
    except Exception:  # latex2mathml raises errors of many kinds; then the reader sees the LaTeX
        return match[0]
