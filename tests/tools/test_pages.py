"""Pages of executed notebooks: what they show without a network and without Python."""

import base64
import copy
import re

import cv2
import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from echolib.figures.overlay import PINK
from tests.browser.truth import COUNT, check_grey, check_outlines, make_frames, make_masks
from tools import chromium
from tools.notebooks import execute
from tools.pages import WIDGET_VIEW, finish_widgets, write_course, write_page

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


def test_a_page_has_the_alternative_text_of_a_cell_s_pictures(tmp_path):
    pixel = base64.b64encode(cv2.imencode(".png", np.zeros((2, 2), np.uint8))[1]).decode()
    picture = new_output("display_data", {"image/png": pixel})
    told = new_code_cell("1", outputs=[picture], metadata={"alt": 'A "heart" < 10 cm'})
    write_page(new_notebook(cells=[told]), tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("<img ") == 1 and f"base64,{pixel}" in page
    assert """<img alt='A "heart" &lt; 10 cm' """ in page


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


# --- Index, links and contents ------------------------------------------------------------------

NAMES = ("01_first", "02_second", "03_third")
SECTIONS = ("Aim", "1. Thin & small", "2. `code` and $x_i$", "Summary")


def picture(height, width, grey):
    """A figure's output: a PNG of one grey level."""
    encoded = cv2.imencode(".png", np.full((height, width, 3), grey, np.uint8))[1].tobytes()
    return new_output("display_data", {"image/png": base64.b64encode(encoded).decode()})


@pytest.fixture
def course(tmp_path):
    """Three executed notebooks, long ones with a strip and two figures each."""
    title = "{} <b> & more\n\nAbout {} **bold\nthings.** And of $x$."
    for number, name in enumerate(NAMES, 1):
        cells = [new_markdown_cell(f"# {title.format(number, number)}")]
        cells += [new_markdown_cell(f"## {section}\n" + "Words. " * 200) for section in SECTIONS]
        outputs = [picture(50, 900, 10), picture(600, 960, 100 + number), picture(60, 90, 200)]
        cells.append(new_code_cell("x = '" + 300 * "long" + "'", outputs=outputs))
        nbformat.write(new_notebook(cells=cells), tmp_path / f"{name}.ipynb")
    return tmp_path


def hrefs(page):
    """Addresses of the links to other pages, in order."""
    return re.findall(r'href="([^"#]+)"', page.read_text(encoding="utf-8"))


def test_each_page_links_to_its_neighbours_and_the_index(course):
    index = write_course(course)
    first, second, third = (f"{name}.html" for name in NAMES)
    assert hrefs(course / first) == 2 * ["index.html", second]
    assert hrefs(course / second) == 2 * [first, "index.html", third]
    assert hrefs(course / third) == 2 * [second, "index.html"]
    assert hrefs(index) == [first, first, second, second, third, third]


def test_links_to_notebooks_lead_to_their_pages_and_others_to_the_files(tmp_path):
    text = "[a](02_b.ipynb#Aim) [b](README.md#apex) [c](../echolib/weights/lv.md) [d](#here)"
    text += " [e](https://example.org/02_b.ipynb) [f](solutions/01_solutions.ipynb)"
    for name, source in (("01_a", text), ("02_b", "# 2 B")):
        nbformat.write(new_notebook(cells=[new_markdown_cell(source)]), tmp_path / f"{name}.ipynb")
    write_course(tmp_path)
    found = re.findall(r"<p><a href.*</p>", (tmp_path / "01_a.html").read_text(encoding="utf-8"))
    a, b, c, d, e, f = re.findall(r'href="([^"]+)"', found[0])
    assert (a, b, d, e) == (
        "02_b.html#Aim", "README.html#apex", "#here", "https://example.org/02_b.ipynb"
    )  # fmt: skip
    assert (tmp_path / c).resolve() == chromium.ROOT / "echolib" / "weights" / "lv.md"
    assert (tmp_path / f).resolve() == chromium.ROOT / "notebooks/solutions/01_solutions.ipynb"
    assert 'id="apex"' in (tmp_path / "README.html").read_text(encoding="utf-8")


def test_a_notebook_that_is_gone_is_not_linked(course):
    write_course(course)
    (course / f"{NAMES[1]}.ipynb").unlink()
    (course / f"{NAMES[1]}.html").unlink()
    index = write_course(course)
    for page in (index, course / f"{NAMES[0]}.html", course / f"{NAMES[2]}.html"):
        assert all((course / name).exists() for name in hrefs(page))
        assert f"{NAMES[1]}.html" not in hrefs(page)


def test_a_damaged_notebook_is_left_out_and_said(course, capsys):
    damaged = course / f"{NAMES[2]}.ipynb"
    damaged.write_bytes(damaged.read_bytes()[:1000])
    assert f"{NAMES[2]}.html" not in hrefs(write_course(course))
    assert f"{damaged} is damaged" in capsys.readouterr().out


def test_the_index_shows_the_first_figure_that_is_no_strip_in_small(course):
    text = write_course(course).read_text(encoding="utf-8")
    levels = []
    for data in re.findall(r'<img [^>]*src="data:image/png;base64,([^"]+)"', text):
        pixels = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
        assert pixels.shape == (300, 480, 3)
        levels.append(pixels[0, 0, 0])
    assert levels == [101, 102, 103]


def test_a_notebook_with_no_title_has_its_name_and_a_short_one_no_contents(tmp_path):
    short = new_notebook(cells=[new_code_cell("1"), new_markdown_cell("## Only one")])
    nbformat.write(short, tmp_path / "plain.ipynb")
    nbformat.write(new_notebook(), tmp_path / "void.ipynb")
    text = write_course(tmp_path).read_text(encoding="utf-8")
    assert re.findall(r"<h2><a [^>]+>(.+)</a></h2>", text) == ["plain", "void"]
    assert "<img" not in text
    assert "<details" not in (tmp_path / "plain.html").read_text(encoding="utf-8")


@pytest.mark.skipif(chromium.missing() is not None, reason=str(chromium.missing()))
def test_index_and_contents_in_chromium_at_1280_and_390_px(course):
    index = write_course(course)
    with chromium.open_chromium() as engine, chromium.open_page(engine, offline=True) as page:
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 800})
            page.goto(index.as_uri())
            check_fits(page)
            assert page.locator("article h2").all_inner_texts()[1] == "2 <b> & more"
            assert page.locator("article p").nth(1).inner_text() == "About 2 bold things."
            page.get_by_role("link", name="2 <b> & more").click()
            check_fits(page)
            contents, title = page.locator(".contents"), page.locator("main h1")
            place, below = contents.bounding_box(), title.bounding_box()
            assert contents.locator("nav").is_visible() == (width == 1280)
            if width == 1280:
                assert place["x"] + place["width"] <= below["x"]
            else:
                assert place["y"] >= below["y"] + below["height"]
                contents.locator("summary").click()
                check_fits(page)
            assert page.locator("h2 math").count() == 1
            texts = contents.locator("a").all_inner_texts()
            assert texts == ["Aim", "1. Thin & small", "2. code and xi", "Summary"]
            for number in range(len(SECTIONS)):
                contents.locator("a").nth(number).click()
                target = page.locator(":target")
                assert target.inner_text().startswith(texts[number][:7])
            page.locator("[rel=next]").last.click()
            assert page.url == (course / f"{NAMES[2]}.html").as_uri()
        page.emulate_media(color_scheme="dark")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(17, 17, 17)"
        assert page.watch.complaints == []
        assert page.watch.foreign(["file:", "data:"]) == []


def check_fits(page):
    """No page is wider than its window."""
    width, window = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width <= window
