"""The editor with a kernel in JupyterLab, in Chromium: nothing that was drawn is lost."""

import json
import os
import signal

import pytest

from tests.browser.test_editor import alert, press
from tools import chromium

pytestmark = pytest.mark.skipif(chromium.missing() is not None, reason=str(chromium.missing()))

SETUP = """
import os
from echolib.browser import browse
from echolib.data import Clip
from tests.browser.truth import make_heart
view = make_heart()
clip = Clip("one", view.frames, 50, 0.5)
def show(**arguments):
    return browse(clip, {"lv": view.layers[0].masks}, edit=True, **arguments)
"""
OPEN = "b = show(corrections='kept', annotator='anna'); b"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with chromium.open_notebook(tmp_path_factory.mktemp("lab"), [SETUP, OPEN]) as notebook:
        notebook.page.locator(".echolib-browser[data-state=ready] .handle").first.wait_for()
        yield notebook


def wait_until_kept(page):
    place = page.locator(".edit .kept")

    def check():
        text = place.inner_text()
        return None if text == "kept in kept" else text

    chromium.wait_until(page, check)


def kept(lab):
    """The document on disk: points of frame 0, None where there is none yet."""
    files = [*(lab.server.notebooks / "kept").glob("**/one.json")]
    if not files:
        return None
    frames = json.loads(files[0].read_text(encoding="utf-8"))["frames"]
    return frames["0"]["ventricle"]["points"] if frames else None


def test_a_change_is_on_disk_once_the_page_says_so(lab):
    press(lab.page, "ArrowLeft", "ArrowLeft", on=".handle >> nth=3")
    wait_until_kept(lab.page)
    first = kept(lab)
    press(lab.page, "Control+z", on=".handle >> nth=3")
    wait_until_kept(lab.page)
    assert kept(lab)[3][0] == first[3][0] + 0.25
    assert (
        lab.page.evaluate("Object.keys(localStorage).filter((k) => /^echolib/.test(k)).length") == 0
    )


def test_keys_of_the_editor_are_not_shortcuts_of_lab(lab):
    cells = lab.page.locator(".jp-Cell").count()
    press(lab.page, "a", "Delete", "r", "c", ",", "Enter", "Control+z", on=".handle >> nth=3")
    assert lab.page.locator(".jp-Cell").count() == cells
    wait_until_kept(lab.page)


def test_what_python_refuses_is_said_and_sent_again(lab):
    lab.run("keep = b.editing.folder.keep")
    lab.run("def full(*arguments, **named): raise OSError(28, 'No space left on device')")
    lab.run("b.editing.folder.keep = full")
    press(lab.page, "ArrowUp", on=".handle >> nth=3")
    chromium.wait_until(
        lab.page, lambda: None if "No space left" in alert(lab.page) else alert(lab.page)
    )
    assert "stays in this page" in alert(lab.page)
    lab.run("b.editing.folder.keep = keep")
    wait_until_kept(lab.page)  # by itself, within seconds
    assert alert(lab.page) == ""


def test_a_killed_kernel_loses_nothing_that_is_older_than_a_second(lab):
    pid = int(lab.run("print(os.getpid())"))
    press(lab.page, *["ArrowLeft"] * 5, on=".handle >> nth=5")
    wait_until_kept(lab.page)
    before = kept(lab)
    press(lab.page, "ArrowLeft", on=".handle >> nth=5")
    os.kill(pid, signal.SIGKILL)
    press(lab.page, "ArrowLeft", on=".handle >> nth=5")
    x = lab.page.locator(".handle").nth(5).get_attribute("aria-label")
    after = kept(lab)
    assert after[5][0] in (
        before[5][0],
        before[5][0] - 0.25,
    )  # whole, of before or of the last second
    chromium.wait_until(
        lab.page, lambda: None if "Not kept yet" in alert(lab.page) else "nothing is said of it"
    )
    lab.page.reload()  # Lab has started a new kernel; what was not kept lies in the web browser
    lab._wait(
        "() => window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel?.status"
        " === 'idle'",
        "no new kernel",
        chromium.START,
    )
    lab.run_all()
    lab.page.locator(".echolib-browser[data-state=ready] .handle").first.wait_for()
    assert lab.page.locator(".handle").nth(5).get_attribute("aria-label") == x
    wait_until_kept(lab.page)
    assert kept(lab)[5][0] == before[5][0] - 0.5


def test_two_views_of_one_widget_show_the_same_outline(lab):
    cell = lab.show("import ipywidgets as widgets; c = show(); widgets.VBox([c, c])")
    roots = cell.locator(".echolib-browser[data-state=ready]")
    roots.nth(1).locator(".handle").first.wait_for()
    first, second = (roots.nth(n).locator(".handle").nth(3) for n in range(2))
    first.focus()
    for _ in range(3):
        lab.page.keyboard.press("ArrowLeft")
    label = first.get_attribute("aria-label")
    chromium.wait_until(
        lab.page, lambda: None if second.get_attribute("aria-label") == label else "it differs"
    )
