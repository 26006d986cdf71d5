"""The frame browser with a kernel in JupyterLab, in Chromium."""

import numpy as np
import pytest

from echolib.figures.overlay import PINK
from tests.browser.truth import (
    COUNT,
    SCALE,
    check_grey,
    check_outlines,
    make_frames,
    make_masks,
    read_saved,
)
from tools import chromium

pytestmark = pytest.mark.skipif(chromium.missing() is not None, reason=str(chromium.missing()))

SETUP = """
import ipywidgets as widgets
from echolib.browser import FrameBrowser, browse
from tests.browser.truth import *
"""
PLAIN = """
b = FrameBrowser(make_views())
b.smooth, b.shown, b.frame = False, [], 0
observed = []
b.observe(lambda change: observed.append(change.new), "frame")
b
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Open a notebook in JupyterLab with its kernel ready, for all tests of the module."""
    with chromium.open_notebook(tmp_path_factory.mktemp("lab"), [SETUP, PLAIN]) as notebook:
        yield notebook
        watch = notebook.page.watch
        assert watch.complaints == []
        # Requests to the server are JupyterLab's own; the frame browser loads nothing else
        assert watch.foreign([notebook.server.url, "data:", "blob:"]) == []


class ShownBrowser:
    """A frame browser displayed by a cell."""

    def __init__(self, lab, source):
        self.lab, self.page = lab, lab.page
        self.cell = lab.cell(source) if isinstance(source, int) else lab.show(source)
        self.root = self.cell.locator(".echolib-browser").first
        self.wait(state="ready")

    def wait(self, **attributes):
        for name, value in attributes.items():
            chromium.wait_until(
                self.page,
                lambda name=name, value=value: (
                    None
                    if self.data(name) == str(value)
                    else f"data-{name} is {self.data(name)}, not {value}: {self.data('state')}"
                ),
            )

    def data(self, name="frame"):
        """Return a data attribute of the browser's element, by default the frame."""
        return self.root.get_attribute(f"data-{name}")

    def press(self, *keys, on=None):
        """Press keys on an element of the page, by default the browser itself."""
        for key in keys:
            chromium.press(on or self.root, key)

    def canvas(self, panel=0):
        return chromium.read_canvas(self.root.locator("canvas.picture").nth(panel))

    def python(self, source):
        """Print an expression in a new cell and return the output."""
        return self.lab.run(f"print({source})")

    def python_becomes(self, source, expected):
        def check():  # a message from the page may not have arrived yet
            output = self.python(source)
            return None if output == expected else f"{source}: expected {expected}, found {output}"

        chromium.wait_until(self.page, check)


def show(lab, source=PLAIN):
    lab.clear()
    return ShownBrowser(lab, source)


def test_run_all_cells_then_drag_the_slider(lab):
    shown = ShownBrowser(lab, 1)
    check_grey(shown.canvas(), make_frames()[0])
    slider = shown.root.locator("input.frame")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    middle = box["y"] + box["height"] / 2
    lab.page.mouse.move(box["x"] + 5, middle)
    lab.page.mouse.down()
    lab.page.mouse.move(box["x"] + box["width"] - 2, middle, steps=5)
    lab.page.mouse.up()
    shown.wait(frame=COUNT - 1)
    check_grey(shown.canvas(), make_frames()[COUNT - 1])
    shown.python_becomes("b.frame, observed[-1]", f"{COUNT - 1} {COUNT - 1}")


def test_keys_reach_python_and_are_not_shortcuts_of_lab(lab):
    shown = show(lab)
    shown.press("ArrowRight", "ArrowRight", "Shift+ArrowRight", "d", "s", "Home", "End", "l")
    shown.wait(frame=2)
    shown.python_becomes("b.frame, observed[-1]", "2 2")
    steps = {0, 1, 2, 8, 12, COUNT - 1}  # ipywidgets skips some while the kernel is busy
    assert shown.python(f"observed[0], set(observed) <= {steps}") == "1 True"
    slider = shown.root.locator("input.frame")
    shown.press("ArrowRight", "ArrowRight", "ArrowLeft", on=slider)
    shown.wait(frame=3)
    shown.python_becomes("b.frame", "3")


def test_traits_set_in_python_change_the_page(lab):
    shown = show(lab)
    lab.run("b.frame = 8; b.window = (10, 60); b.gamma = 0.7")
    shown.wait(frame=8)
    check_grey(shown.canvas(), make_frames()[8], window=(10, 60), gamma=0.7)
    lab.run("b.window = (0, 255); b.gamma = 1; b.shown = ['masks']")
    checkbox = shown.root.locator("input.layer[data-layer=masks]")
    chromium.wait_until(lab.page, lambda: None if checkbox.is_checked() else "not checked")
    check_outlines(shown.canvas(), make_frames()[8], {"masks": (PINK, make_masks(3)[8])})
    checkbox.uncheck()
    check_grey(shown.canvas(), make_frames()[8])
    shown.python_becomes("b.shown", "[]")


def test_clips_are_opened_on_request_and_a_missing_one_is_reported(lab):
    shown = show(lab)
    shown.press("n")
    shown.wait(clip="two", state="ready")
    check_grey(shown.canvas(), make_frames(1, COUNT - 1)[2])
    shown.root.locator("input.search").fill("gone")
    lab.page.keyboard.press("Enter")
    shown.wait(state="error")
    message = shown.root.locator(".message")
    assert message.inner_text() == "gone: gone.avi has been deleted"
    assert not shown.root.locator("canvas.picture").is_visible()
    assert shown.python("b.clip, 6 * 7") == "gone 42"  # the kernel still answers
    shown.root.locator("input.search").fill("")
    shown.press("p")
    shown.wait(clip="three", state="ready")
    assert not message.is_visible()
    check_grey(shown.canvas(), make_frames(2, COUNT - 2)[2])
    lab.run("b.clip = 'one'; b.frame = 4")
    shown.wait(clip="one", frame=4)
    check_grey(shown.canvas(), make_frames()[4])


def test_slow_opening_of_a_clip_is_reported(lab):
    shown = show(
        lab,
        """
import dataclasses, threading

ready, views = threading.Event(), make_views()

def read(number):
    if number:
        ready.wait(20)
    return views.read(number)

FrameBrowser(dataclasses.replace(views, read=read))""",
    )
    status = shown.root.locator(".place")
    shown.press("n")
    status.get_by_text("opening two …", exact=True).wait_for()
    status.get_by_text("still opening two: Python is busy with it, or has ended").wait_for()
    lab.run("ready.set()")
    shown.wait(clip="two", state="ready")
    assert status.inner_text() == "2 of 4"


def test_play_from_the_page_and_from_python(lab):
    shown = show(lab)
    shown.press(" ")
    shown.root.get_by_label("Pause").wait_for()
    chromium.wait_until(lab.page, lambda: None if int(shown.data()) > 9 else "it does not play")
    shown.press(" ")
    shown.root.get_by_label("Play").wait_for()
    stopped = shown.data()
    shown.python_becomes("b.playing, b.frame", f"False {stopped}")
    lab.run("b.speed = 0.5; b.playing = True")
    shown.root.get_by_label("Pause").wait_for()
    assert shown.root.locator("select.speed").input_value() == "0.5"
    lab.run("b.playing = False")
    shown.root.get_by_label("Play").wait_for()
    shown.python_becomes("b.frame", shown.data())
    lab.run("b.playing = True")
    chromium.wait_until(lab.page, lambda: None if int(shown.data()) > 1 else "it does not play")
    lab.run("b.clip = 'two'")  # opened while the first clip plays
    shown.wait(clip="two", state="ready", frame=2)  # the first labelled one
    shown.python_becomes("b.playing, b.frame", "False 2")


def test_an_outdated_frame_of_the_page_does_not_override_python(lab):
    lab.run("import time")
    shown = show(lab)
    for pause in (0.02, 0.1, 0.3):  # the page sends its frame while the kernel is busy
        lab.run("b.frame = 0; b.playing = True")
        chromium.wait_until(lab.page, lambda: None if int(shown.data()) > 1 else "it does not play")
        lab.run(f"time.sleep({pause}); b.playing = False; b.frame = 20")
        shown.root.get_by_label("Play").wait_for()
        shown.wait(frame=20)
        shown.python_becomes("b.frame", "20")
        assert shown.python("b.frame") == shown.data()
    # Set to what Python knows of: the page has left it since
    lab.run("b.frame = 0; b.playing = True")
    chromium.wait_until(lab.page, lambda: None if int(shown.data()) > 1 else "it does not play")
    known = lab.run("time.sleep(0.3); b.playing = False; b.frame = b.frame; print(b.frame)")
    shown.root.get_by_label("Play").wait_for()
    shown.wait(frame=known)


def test_another_widget_of_the_page_may_set_the_frame(lab):
    shown = show(
        lab,
        PLAIN.rstrip().removesuffix("b")
        + """
slider = widgets.IntSlider(max=23)
link = widgets.jslink((slider, "value"), (b, "frame"))
widgets.VBox([b, slider])""",
    )
    shown.press(*["ArrowRight"] * 3, on=shown.cell.locator(".noUi-handle"))
    shown.wait(frame=3)
    shown.python_becomes("b.frame", "3")


def test_every_key_is_explained_in_one_line(lab):
    shown = show(lab)
    shown.root.locator("summary", has_text="Keys").click()
    lines = shown.root.locator("dt").evaluate_all("""terms => terms.map((term) => {
      const range = document.createRange();
      range.selectNodeContents(term);
      return range.getClientRects().length;
    })""")
    assert set(lines) == {1}  # Lab's own list style would break the keys into several lines


def test_frame_and_clip_are_saved_from_lab(lab, tmp_path):
    shown = show(lab)
    for key, name, count in (("f", "one frame 0.png", 1), ("v", "one.apng", COUNT)):
        with lab.page.expect_download() as download:
            shown.press(key)
        assert download.value.suggested_filename == name
        download.value.save_as(tmp_path / name)
        frames, _ = read_saved(tmp_path / name)
        assert len(frames) == count
        np.testing.assert_array_equal(frames[0], shown.canvas()[..., :3])


def test_a_long_clip_is_sent_in_parts(lab):
    lab.run("from echolib.browser import encoding; sizes = encoding.PART_BYTES, encoding.AT_ONCE")
    lab.run("encoding.PART_BYTES = encoding.AT_ONCE = 3000")
    shown = show(lab)
    shown.press("End")
    shown.wait(frame=COUNT - 1, state="ready")
    check_grey(shown.canvas(), make_frames()[COUNT - 1])
    lab.run("encoding.PART_BYTES, encoding.AT_ONCE = sizes")
    shown.press("Home")
    for frame in range(1, COUNT):
        shown.press("ArrowRight")
        shown.wait(frame=frame, state="ready")
    check_grey(shown.canvas(), make_frames()[COUNT - 1])


def test_inside_other_widgets_and_shown_twice(lab):
    shown = show(
        lab,
        PLAIN.rstrip().removesuffix("b")
        + """
def report(frame):
    print("frame", frame)
widgets.HBox([b, b, widgets.interactive_output(report, {"frame": b})])""",
    )
    other = shown.cell.locator(".echolib-browser").nth(1)
    shown.press("ArrowRight")
    chromium.wait_until(lab.page, lambda: (
        None if other.get_attribute("data-frame") == "1" else "the second does not follow"
    ))  # fmt: skip
    chromium.wait_until(lab.page, lambda: (
        None if "frame 1" in shown.cell.first.inner_text() else "no answer from interactive_output"
    ))  # fmt: skip


def test_two_models_side_by_side(lab):
    shown = show(lab)
    lab.run("b.side_by_side = True; b.shown = ['masks', 'landmarks']; b.frame = 5")
    shown.wait(frame=5)
    chromium.wait_until(lab.page, lambda: (
        None if shown.root.locator("canvas.picture").count() == 2 else "not two pictures"
    ))  # fmt: skip
    left, right = (box.bounding_box() for box in shown.root.locator("canvas.picture").all())
    assert left["y"] == right["y"] and left["x"] < right["x"]  # not one above the other
    check_outlines(shown.canvas(0), make_frames()[5], {"masks": (PINK, make_masks(3)[5])})
    with pytest.raises(AssertionError):  # the other picture shows the other model
        check_outlines(shown.canvas(1), make_frames()[5], {"masks": (PINK, make_masks(3)[5])})


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("browse(make_frames()[:0])", "empty clip"),
        ("browse(list(make_frames()[:2]) + [make_frames()[0, 1:]])", "28, 36) px in frame 0"),
        ("browse(make_frames(), {'model': make_masks()[1:]})", "expected (24, 28, 36) bool"),
        ("browse(make_frames(), {'model': make_masks()[:, 1:]})", "expected (24, 28, 36) bool"),
        ("browse(make_frames(), curves={'area': np.full(24, np.nan)})", "NaN"),
        ("browse('no/such/clip.avi')", "no/such/clip.avi"),
    ],
)
def test_an_error_is_displayed_in_place_of_the_picture(lab, source, reason):
    lab.clear()
    cell = lab.show(source)
    message = cell.locator(".message[role=alert]")
    message.wait_for()
    assert reason in message.inner_text()
    assert message.bounding_box()["width"] > 300  # wide enough to be read
    assert cell.locator("canvas:visible").count() == 0
    assert lab.run("print(6 * 7)") == "42"


def test_an_error_is_readable_beside_other_widgets(lab):
    lab.clear()
    text = "widgets.HTML('much text beside it ' * 20)"
    cell = lab.show(f"widgets.HBox([browse('no/such/clip.avi'), widgets.IntSlider(), {text}])")
    message = cell.locator(".message[role=alert]")
    message.wait_for()
    assert message.bounding_box()["width"] > 300


def test_picture_and_controls_are_seen_together_in_the_pane(lab):
    lab.page.set_viewport_size({"width": 1280, "height": 760})
    shown = show(lab)
    height = shown.root.evaluate("""root => root.querySelector(".overlays")
      .getBoundingClientRect().bottom - root.getBoundingClientRect().top""")
    lab.page.set_viewport_size({"width": 1100, "height": 1000})
    assert 560 < height <= 760 - 100  # what Lab itself shows above and below takes more than 100


def test_a_clip_of_one_frame_can_be_shown(lab):
    shown = show(lab, "b = browse(make_frames()[:1]); b.smooth = False; b")
    assert shown.root.locator("input.frame").is_disabled()
    shown.press("ArrowRight", " ", "End")
    chromium.wait_until(lab.page, lambda: None if shown.data() == "0" else "it moved")
    check_grey(shown.canvas(), make_frames()[0])
    assert shown.canvas().shape[:2] == tuple(SCALE * size for size in make_frames()[0].shape)
