"""Pages of executed notebooks: what they show without a network and without Python."""

import copy

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from echolib.figures.overlay import PINK
from tests.browser.truth import COUNT, check_grey, check_outlines, make_frames, make_masks
from tools import chromium
from tools.notebooks import execute
from tools.pages import WIDGET_VIEW, finish_widgets, write_page

SETUP = f"""import sys
sys.path.insert(0, {str(chromium.ROOT)!r})
import ipywidgets
from tqdm.auto import tqdm
from echolib.browser import FrameBrowser, encoding
from tests.browser.truth import make_views
for _ in tqdm(range(7), desc="steps < 8"):
    pass
browser = FrameBrowser(make_views())
browser.smooth, browser.shown = False, []"""
LONG = """encoding.PART_BYTES = encoding.AT_ONCE = 3000
FrameBrowser(make_views(), "two")"""
TEXT = r"""# Formulas

Half of $x_i$ and $\frac{a}{b}$, $$V = \sum_i h_i,$$ but `$x$` is code, and so is

```
echo $HOME $PATH
```

It costs $ 5 or 6 $. No formula: $x_1_2$."""


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """A notebook with browsers, a progress bar and a slider, executed as `make run` does."""
    sources = [SETUP, "browser", "browser.frame = 8\nbrowser", LONG, "ipywidgets.IntSlider(4)"]
    cells = [new_markdown_cell(TEXT), *map(new_code_cell, sources)]
    cells.append(new_code_cell("FrameBrowser(None, error='no clip < here')"))
    notebook = new_notebook(cells=cells)
    execute(notebook, tmp_path_factory.mktemp("notebooks") / "small.ipynb")
    return notebook


@pytest.fixture(scope="module")
def file(executed, tmp_path_factory):
    path = tmp_path_factory.mktemp("pages") / "small.html"
    before = copy.deepcopy(executed)
    write_page(executed, path)
    assert executed == before
    return path


def texts(notebook):
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return [output.data["text/plain"] for output in shown if "data" in output]


def test_stored_outputs_give_the_final_state_of_bars_and_browsers(executed):
    notebook = copy.deepcopy(executed)
    finish_widgets(notebook)
    bar, first, again, long, slider, wrong = texts(notebook)
    assert bar.startswith("steps < 8: 100% 7/7 [")
    assert first == again == "<FrameBrowser: one, clip 1 of 4>"
    assert long == "<FrameBrowser: two, clip 2 of 4>"
    assert slider.startswith("IntSlider(value=4")
    assert wrong == "<FrameBrowser: no clip < here>"
    assert "widgets" not in notebook.metadata
    assert WIDGET_VIEW not in nbformat.writes(notebook)


def test_a_notebook_without_widgets_is_left_unchanged():
    notebook = new_notebook(cells=[new_code_cell("1"), new_markdown_cell("$x$")])
    before = copy.deepcopy(notebook)
    finish_widgets(notebook)
    assert notebook == before


def test_a_widget_whose_state_was_not_saved_becomes_text(executed):
    notebook = copy.deepcopy(executed)
    del notebook.metadata["widgets"]
    expected = texts(notebook)
    finish_widgets(notebook, browsers=True)
    assert texts(notebook) == expected
    assert "text/html" not in nbformat.writes(notebook)


@pytest.mark.skipif(chromium.missing() is not None, reason=str(chromium.missing()))
def test_the_page_in_chromium_with_the_network_off(file):
    with chromium.open_chromium() as engine, chromium.open_page(engine, offline=True) as page:
        page.goto(file.as_uri())
        browsers = page.locator(".echolib-browser[data-state=ready]")
        browsers.nth(1).wait_for()
        assert browsers.count() == 2  # only a part of the long clip is saved
        second = browsers.nth(1)
        assert second.get_attribute("data-frame") == "8"  # the state at the end of the notebook
        second.focus()
        for key in ("End", "2"):
            page.keyboard.press(key)
        outline = {"masks": (PINK, make_masks(3)[COUNT - 1])}
        canvas = second.locator("canvas.picture")
        check_outlines(chromium.read_canvas(canvas), make_frames()[COUNT - 1], outline)
        first = browsers.nth(0).locator("canvas.picture")
        check_grey(chromium.read_canvas(first), make_frames()[8])
        assert page.locator("math").count() == 3
        assert page.locator("math[display=block]").text_content() == "V=∑ihi,"
        code = page.locator(".jp-MarkdownOutput code").all_inner_texts()
        assert [text.strip() for text in code] == ["$x$", "echo $HOME $PATH"]
        shown = page.locator("body").inner_text()
        assert "steps < 8: 100% 7/7 [" in shown
        assert r"It costs $ 5 or 6 $. No formula: $x_1_2$." in shown
        assert "<FrameBrowser: two, clip 2 of 4>" in shown and "no clip < here" in shown
        assert page.watch.complaints == []
        assert page.watch.foreign(["file:", "data:", "blob:"]) == []
