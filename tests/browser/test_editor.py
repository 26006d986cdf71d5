"""The editor in an exported page, in a real Chromium."""

import json
from dataclasses import replace

import numpy as np
import pytest

from echolib.browser import FrameBrowser, Layer
from echolib.browser.export import page_script
from echolib.browser.sources import Views
from echolib.corrections import leaflet_mask, outline_points, spline, ventricle_mask
from echolib.figures.overlay import GREEN, PINK
from tests.browser.test_page import CONTRASTS
from tests.browser.truth import (
    HEART_COUNT,
    HEART_SHAPE,
    ROOT,
    make_heart,
    read_saved,
)
from tools import chromium

pytestmark = pytest.mark.skipif(chromium.missing() is not None, reason=str(chromium.missing()))

SHAPE, SCALE, COUNT = HEART_SHAPE, 7, HEART_COUNT  # px, canvas px per px of a frame, frames
OPACITY = 40 / 255  # of an edited mask
REST = 150  # ms after which the areas of all frames are counted anew
LAST = 12  # index of the second hinge in a proposal; 6 is the apex


def write(path, *shown, views=None, **traits):
    names = tuple(view.name for view in shown)
    views = views or Views(names, ("",) * len(shown), lambda number: shown[number])
    browser = FrameBrowser(views)
    browser.edit, browser.smooth, browser.shown = True, False, []
    for name, value in traits.items():
        setattr(browser, name, value)
    return browser.to_html(path, views.names)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(scope="module")
def file(folder):
    return write(folder / "edit.html", make_heart(), make_heart("two"))


@pytest.fixture(scope="module")
def empty_file(folder):
    return write(folder / "empty.html", make_heart(network=False))


# --- what a test does and sees -------------------------------------------------------------------


def press(page, first, *others, on=ROOT):
    """Press keys: the first on an element, the others where the editor then has the focus."""
    chromium.press(page.locator(on).first, first)
    for key in others:
        page.keyboard.press(key)


def handle(page, index):
    return page.locator(".handle").nth(index)


def act(page, action):
    page.locator(f".edit [data-action={action}]").click()


def document(page):
    """The document of the open clip, as the page saves it."""
    with page.expect_download() as download:
        act(page, "download")
    return json.loads(download.value.path().read_text())


def ventricle(page, frame=0):
    return document(page)["frames"][str(frame)]["ventricle"]


def centre(page, index):
    box = handle(page, index).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def drag(page, index, dx, dy):
    """Drag a handle by px of the frame."""
    x, y = centre(page, index)
    page.mouse.move(x + 2, y - 1)  # not its middle: the point must not jump there
    page.mouse.down()
    page.mouse.move(x + 2 + dx * SCALE / 2, y - 1 + dy * SCALE / 2)
    page.mouse.move(x + 2 + dx * SCALE, y - 1 + dy * SCALE)
    page.mouse.up()


def state(page):
    return page.locator(".edit .state").inner_text()


def kept(page):
    return page.locator(".edit .kept").inner_text()


def alert(page):
    box = page.locator(".edit .alert")
    return box.inner_text() if box.is_visible() else ""


def masked(page, frame=0, view=None):
    """Two (H, W) bool: the pixels of the frame that are tinted, and those of which it is seen.

    The curve hides a part of the pixels that it runs through; the rest of each tells what it is.
    """
    picture = chromium.read_canvas(page.locator("canvas.picture").first)[..., :3].astype(float)
    grey = (view or make_heart()).frames[frame].astype(float)[..., None]
    tinted = grey + OPACITY * (np.array(GREEN) - grey)
    blocks = picture.reshape(SHAPE[0], SCALE, SHAPE[1], SCALE, 3).swapaxes(1, 2)
    votes = [
        (np.abs(blocks - value[:, :, None, None]).max(axis=-1) <= 1.5).sum(axis=(2, 3))
        for value in (tinted, np.broadcast_to(grey, tinted.shape))
    ]
    tinted, plain = votes
    seen = np.maximum(tinted, plain) > SCALE + 2 * np.minimum(tinted, plain)
    assert seen.mean() > 0.98
    return tinted > plain, seen


def check_mask(page, expected, frame=0, view=None):
    found, seen = masked(page, frame, view)
    np.testing.assert_array_equal(found[seen], expected[seen])
    assert (expected & seen).any() or not expected.any()


def proposal(frame=0):
    return outline_points(make_heart().layers[0].masks[frame])[0]


# --- the same curves and pixels in JavaScript and Python ------------------------------------------


def test_curves_and_masks_are_those_of_python(engine):
    rng = np.random.default_rng(1)
    cases = [rng.uniform(-5, 45, (n, 2)).round(2) for n in (5, 6, 9, 13, 13, 20, 40)]
    cases += [rng.integers(0, 40, (n, 2)).astype(float) for n in (5, 9, 13)]  # on pixel centres
    cases += [np.array([[5, 30], [5, 20], [15, 5], [25, 20], [25, 30.0]]), proposal().astype(float)]
    cases += [np.array([[4, 4], [4, 4], [9, 2], [9.01, 2], [20, 30.0]])]  # the same place twice
    with chromium.open_page(engine, offline=True) as page:
        found = page.evaluate(
            f"cases => {{ {page_script('spline')} return cases.map((points) => {{"
            "const curve = splineOf(points);"
            "return [curve, ventricleMask(curve, 40, 36), leafletMask(curve, 2.5, 40, 36)]"
            ".map((array) => [...array]); }); }",
            [case.tolist() for case in cases],
        )
    for points, (curve, ventricle, leaflet) in zip(cases, found, strict=True):
        np.testing.assert_allclose(np.reshape(curve, (-1, 2)), spline(points), atol=1e-3)
        for mask, expected in (
            (ventricle, ventricle_mask(points, (36, 40))),
            (leaflet, leaflet_mask(points, 2.5, (36, 40))),
        ):
            np.testing.assert_array_equal(np.reshape(mask, (36, 40)).astype(bool), expected)


# --- drag, keys, touch ---------------------------------------------------------------------------


def test_a_proposal_is_shown_and_nothing_is_kept_of_it(page):
    assert page.locator(".handle:visible").count() == LAST + 1
    assert state(page) == "ventricle: the network's (lv)"
    assert not masked(page)[0].any()
    assert document(page)["frames"] == {}


def test_a_drag_moves_the_point_and_mask_area_and_curve_follow(page):
    before = proposal()
    drag(page, 3, -3, 1)
    found = ventricle(page)
    expected = before.copy()
    expected[3] += (-3, 1)
    np.testing.assert_allclose(found["points"], expected, atol=0.02)
    assert (found["made"], found["moved"], found["apex"]) == ("drawn", 1, 6)
    np.testing.assert_allclose(found["proposed"], before, atol=1e-4)
    mask = ventricle_mask(found["points"], SHAPE)
    check_mask(page, mask)
    area = mask.sum() * 0.05**2
    assert f"edited {area:.2f} cm²" in page.locator(".readout").inner_text()
    assert state(page).startswith(f"ventricle: drawn by hand, {area:.2f} cm²")
    assert "edited (cm²)" in page.locator("canvas.curves").get_attribute("aria-label")


def test_the_picture_follows_while_the_point_is_dragged(page):
    x, y = centre(page, 3)
    page.mouse.move(x, y)
    page.mouse.down()
    areas = []
    for step in (1, 2, 3):
        page.mouse.move(x - step * 2 * SCALE, y)
        areas.append(masked(page)[0].sum())
    assert areas[0] < areas[1] < areas[2]
    page.mouse.up()
    press(page, "Control+z")  # one drag is one step
    assert not masked(page)[0].any() and page.locator("[data-action=undo]").is_disabled()


def test_keys_alone_choose_and_move_points(page):
    press(page, "Tab")
    for _ in range(60):
        label = page.evaluate("document.activeElement.getAttribute('aria-label')") or ""
        if label.startswith("apex"):
            break
        page.keyboard.press("Tab")
    x, y = proposal()[6]
    assert label == f"apex, point 7 of 13: x {x:.2f}, y {y:.2f}"
    for key in ("ArrowRight", "ArrowRight", "Shift+ArrowUp", "ArrowDown", "ArrowLeft"):
        page.keyboard.press(key)
    label = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert label == f"apex, point 7 of 13: x {x + 0.25:.2f}, y {y - 0.75:.2f}"
    page.keyboard.press(".")  # the next frame, with the same point
    assert page.locator(ROOT).get_attribute("data-frame") == "1"
    label = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert label.startswith("apex, point 7 of 13")
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowLeft")  # an arrow is a frame again
    assert page.locator(ROOT).get_attribute("data-frame") == "0"
    np.testing.assert_allclose(ventricle(page)["points"][6], [x + 0.25, y - 0.75], atol=0.01)


def test_undo_and_redo_go_through_all_steps_and_to_their_frames(page):
    press(page, *["ArrowRight"] * 30, on=".handle >> nth=3")
    press(page, ".", on=".handle >> nth=3")
    press(page, "ArrowUp", "ArrowUp", on=".handle >> nth=3")
    last = document(page)["frames"]
    page.keyboard.press("Control+z")
    assert page.locator(ROOT).get_attribute("data-frame") == "1"
    for _ in range(31):
        press(page, "Control+z")
    assert page.locator(ROOT).get_attribute("data-frame") == "0"
    assert document(page)["frames"] == {}
    press(page, "Control+z")
    assert alert(page) == "There is nothing to undo."
    for number in range(32):
        press(page, "Control+Shift+z" if number % 2 else "Control+y")
    again = document(page)["frames"]
    for frame in again.values():
        frame["seconds"] = 0
    for frame in last.values():
        frame["seconds"] = 0
    assert again == last
    act(page, "undo")
    press(page, "ArrowDown", on=".handle >> nth=0")
    assert page.locator("[data-action=redo]").is_disabled()  # a new step ends what was undone


def test_a_finger_drags_a_point(engine, file):
    with chromium.open_exported(
        engine, file, has_touch=True, viewport={"width": 480, "height": 900}
    ) as page:
        x, y = centre(page, 9)
        session = page.context.new_cdp_session(page)

        def touch(kind, *points):
            at = [{"x": px, "y": py} for px, py in points]
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})

        touch("touchStart", (x + 9, y + 4))  # beside it, as fingers do
        for step in range(1, 5):
            touch("touchMove", (x + 9 + step * SCALE, y + 4))
        touch("touchEnd")
        found = ventricle(page)["points"][9]
        width = page.locator("canvas.picture").bounding_box()["width"]
        np.testing.assert_allclose(
            found, proposal()[9] + [4 * SCALE * SHAPE[1] / width, 0], atol=0.05
        )
        assert page.evaluate("window.scrollY") == 0 and page.get_by_label("Play").count() == 1


def test_points_are_added_on_the_curve_and_removed(page):
    points = proposal()
    x, y = spline(points)[2 * 8 + 4].tolist()  # half-way from point 2 to point 3
    box = page.locator("canvas.picture").bounding_box()
    page.mouse.dblclick(box["x"] + (x + 0.5) * SCALE, box["y"] + (y + 0.5) * SCALE)
    found = ventricle(page)
    assert len(found["points"]) == LAST + 2 and found["apex"] == 7 and found["moved"] == 1
    np.testing.assert_allclose(found["points"][3], [x, y], atol=0.3)
    page.keyboard.press("a")  # and one more after it
    assert len(ventricle(page)["points"]) == LAST + 3
    press(page, "Delete", "Delete", on=".handle >> nth=3")
    assert ventricle(page)["points"] == pytest.approx(np.delete(found["points"], 3, 0), abs=0.01)
    press(page, "Delete", on=".handle >> nth=0")
    assert alert(page) == "The hinges and the apex stay: move them instead."
    page.locator("canvas.picture").dblclick(position={"x": 20, "y": 20})  # far from the curve
    assert len(ventricle(page)["points"]) == LAST + 1


def test_points_are_dragged_in_the_enlarged_picture(page):
    press(page, "+", "+")  # 2.25 times
    x, y = centre(page, 3)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 27, y + 9, steps=2)
    page.mouse.up()
    moved = np.array([-27, 9]) / (SCALE * 2.25)
    np.testing.assert_allclose(ventricle(page)["points"][3], proposal()[3] + moved, atol=0.05)
    np.testing.assert_allclose(centre(page, 3), [x - 27, y + 9], atol=0.5)


# --- frames --------------------------------------------------------------------------------------


def test_an_outline_is_copied_and_frames_between_are_interpolated(page):
    drag(page, 3, -2, 0)
    act(page, "copy")
    assert page.locator(ROOT).get_attribute("data-frame") == "1"
    assert state(page).startswith("ventricle: copied")
    first = ventricle(page)["points"]
    press(page, ".", ".", ".", ".", on=".handle >> nth=4")
    drag(page, 4, -2, 0)  # frame 5
    frames = document(page)["frames"]
    assert list(frames) == ["0", "1", "2", "3", "4", "5"]
    assert [frames[n]["ventricle"]["made"] for n in frames] == [
        "drawn", "copied", *["interpolated"] * 3, "drawn",
    ]  # fmt: skip
    last = frames["5"]["ventricle"]["points"]
    for frame in (2, 3, 4):
        share = (frame - 1) / 4
        expected = (1 - share) * np.array(first) + share * np.array(last)
        np.testing.assert_allclose(frames[str(frame)]["ventricle"]["points"], expected, atol=0.0051)
    press(page, ",", ",")
    assert state(page).startswith("ventricle: between two drawn frames")
    check_mask(page, ventricle_mask(frames["3"]["ventricle"]["points"], SHAPE), frame=3)
    drag(page, 9, 2, 0)  # a person moves a point in it
    assert document(page)["frames"]["3"]["ventricle"]["made"] == "drawn"
    page.locator("input.fills").uncheck()
    assert list(document(page)["frames"]) == ["0", "1", "3", "5"]


def test_outlines_with_different_numbers_of_points_are_matched_along_the_walls(page):
    press(page, "a", on=".handle >> nth=2")  # 14 points, 8 of them up to the apex
    press(page, ".", ".", on=".handle >> nth=2")
    press(page, "ArrowLeft", on=".handle >> nth=9")
    between = document(page)["frames"]["1"]["ventricle"]
    assert len(between["points"]) == 14 and between["apex"] == 7
    ends = [document(page)["frames"][n]["ventricle"] for n in ("0", "2")]
    apexes = np.mean([end["points"][end["apex"]] for end in ends], axis=0)
    np.testing.assert_allclose(between["points"][7], apexes, atol=0.0051)
    np.testing.assert_allclose(
        between["points"][-1], np.mean([end["points"][-1] for end in ends], axis=0), atol=0.0051
    )


def test_reset_and_accept(page):
    drag(page, 3, -2, 0)
    act(page, "reset")
    assert document(page)["frames"] == {} and state(page).startswith("ventricle: the network's")
    act(page, "accept")
    found = ventricle(page)
    assert found["made"] == "drawn" and found["moved"] == 0
    check_mask(page, ventricle_mask(proposal(), SHAPE))
    press(page, ".", ".", on=".handle >> nth=3")
    press(page, "Enter", on=".handle >> nth=3")
    press(page, ",", on=".handle >> nth=3")
    assert state(page).startswith("ventricle: between two drawn frames")
    act(page, "reset")  # to the network's, not to what lies between the neighbours
    np.testing.assert_allclose(ventricle(page, 1)["points"], proposal(1), atol=0.01)


def test_answers_and_ed_and_es(page):
    press(page, "ArrowRight", "ArrowRight")
    act(page, "set-ed")
    assert "ED" in page.locator(".readout").inner_text()
    page.locator("input.unreadable").check()
    assert page.locator(".handle:visible").count() == 0 and state(page).startswith(
        "frame not readable"
    )
    press(page, "End", "d")  # jumps to the new end-diastole, no more to frame 1
    assert page.locator(ROOT).get_attribute("data-frame") == "2"
    press(page, "s")
    assert page.locator(ROOT).get_attribute("data-frame") == "7"
    act(page, "set-es")
    page.locator("select.answer").select_option("other view")
    found = document(page)
    assert (found["ed"], found["es"], found["answer"]) == (2, 7, "other view")
    assert found["frames"]["2"]["answer"] == "not readable"
    assert found["frames"]["2"]["ventricle"] is None
    act(page, "set-es")
    assert document(page)["es"] is None
    act(page, "undo")
    assert document(page)["es"] == 7


def test_the_document_says_who_what_and_how_long(page):
    page.locator("input.annotator").fill("anna")
    press(page, "ArrowLeft", on=".handle >> nth=3")
    press(page, "ArrowLeft", on=".handle >> nth=3")
    found = document(page)
    expected = {
        "format": 1, "clip": "one", "height": 56, "width": 64, "frame_count": COUNT, "fps": 50,
        "annotator": "anna", "answer": "", "ed": None, "es": None, "network": "lv",
    }  # fmt: skip
    assert {name: found[name] for name in expected} == expected
    assert found["version"] and 0 <= found["frames"]["0"]["seconds"] <= found["seconds"] < 60
    assert set(found) == {*expected, "version", "seconds", "frames"}
    assert set(found["frames"]["0"]) == {"answer", "seconds", "ventricle", "leaflets"}


# --- from nothing, leaflets ----------------------------------------------------------------------


def test_without_a_network_one_begins_with_an_ellipse(engine, empty_file):
    with chromium.open_exported(engine, empty_file) as page:
        assert state(page).startswith("no ventricle here: begin with an ellipse, or click")
        act(page, "begin")
        found = ventricle(page)
        assert len(found["points"]) == 13 and found["apex"] == 6 and found["proposed"] is None
        assert found["moved"] == 13
        check_mask(page, ventricle_mask(found["points"], SHAPE), view=make_heart())
        act(page, "undo")
        assert document(page)["frames"] == {} and not masked(page)[0].any()


def test_points_are_clicked_in_order(engine, empty_file):
    with chromium.open_exported(engine, empty_file) as page:
        box = page.locator("canvas.picture").bounding_box()
        points = np.array([[20, 40], [16, 26], [24, 12], [30, 8], [38, 14], [44, 28], [40, 40]])
        for number, (x, y) in enumerate(points):
            page.mouse.click(box["x"] + (x + 0.5) * SCALE, box["y"] + (y + 0.5) * SCALE)
            assert state(page).startswith(f"ventricle: {number + 1} points set")
        press(page, "Enter")
        found = ventricle(page)
        np.testing.assert_allclose(found["points"], points, atol=0.15)
        assert found["apex"] == 3 and page.get_by_label("Play").count() == 1
        press(page, "Control+z", "Control+z", "Control+z")
        assert alert(page).startswith("4 of at least 5 points are set.")
        assert len(ventricle(page)["points"]) == 5  # the last outline that was possible


def test_a_leaflet_is_a_curve_with_a_width(page):
    page.locator("select.part").select_option("leaflet 1")
    assert state(page).startswith("no leaflet 1 here")
    act(page, "begin")
    page.locator("input.width").fill("4")
    page.wait_for_timeout(2 * REST)  # all areas are counted, which must not undo what is typed
    page.locator("input.width").blur()
    press(page, "ArrowDown", on=".handle >> nth=1")
    (leaflet,) = document(page)["frames"]["0"]["leaflets"]
    assert leaflet["width"] == 4 and len(leaflet["points"]) == 4 and leaflet["made"] == "drawn"
    assert document(page)["frames"]["0"]["ventricle"] is None
    check_mask(page, leaflet_mask(leaflet["points"], 4, SHAPE))


# --- what is not possible, what must not be lost --------------------------------------------------


def test_a_crossing_is_said_at_once_and_not_sent(page):
    drag(page, 3, -2, 0)
    valid = ventricle(page)["points"]
    drag(page, 0, 30, -10)  # the first hinge through the other wall
    assert alert(page).startswith("The outline crosses itself: move a point back, or undo.")
    assert ventricle(page)["points"] == valid
    assert not masked(page)[0].any()
    press(page, "ArrowRight")
    assert alert(page).startswith("Frame 0: The outline crosses itself")
    press(page, "Control+z")
    assert alert(page) == "" and masked(page)[0].any()


def test_a_point_outside_the_frame_is_said_at_once_and_not_sent(page):
    press(page, *["Shift+ArrowUp"] * 8, on=".handle >> nth=6")
    assert alert(page) == (
        "Point 7 lies outside the frame: move it back. Until then it is not kept."
    )
    assert ventricle(page)["points"][6][1] >= -0.5
    press(page, "Shift+ArrowDown", "Shift+ArrowDown", on=".handle >> nth=6")
    assert alert(page) == ""


def test_what_was_drawn_is_there_when_the_page_is_opened_again(engine, file):
    with chromium.open_exported(engine, file) as page:
        drag(page, 3, -2, 0)
        page.wait_for_function("() => localStorage.length === 1")
        assert kept(page) == "to be downloaded"
        page.reload()
        page.wait_for_selector(f"{ROOT}[data-state=ready]")
        assert state(page).startswith("ventricle: drawn by hand")
        found = ventricle(page)
        np.testing.assert_allclose(found["points"][3], proposal()[3] - [2, 0], atol=0.02)
        assert kept(page) == ""
        page.reload()  # a file may get lost, and one may want to go on
        page.wait_for_selector(f"{ROOT}[data-state=ready]")
        assert state(page).startswith("ventricle: drawn by hand") and kept(page) == ""
        assert page.watch.complaints == []


def test_a_page_of_another_patient_finds_nothing_of_a_clip_of_the_same_name(engine, file, folder):
    heart = make_heart()
    other = write(folder / "other.html", replace(heart, frames=255 - heart.frames))
    with chromium.open_exported(engine, file) as page:
        drag(page, 3, -2, 0)
        page.wait_for_function("() => localStorage.length === 1")
        page.goto(other.as_uri())
        page.wait_for_selector(f"{ROOT}[data-state=ready]")
        assert page.evaluate("localStorage.length") == 1  # the pages share it
        assert state(page) == "ventricle: the network's (lv)"
        assert document(page)["frames"] == {}
        page.goto(file.as_uri())
        page.wait_for_selector(f"{ROOT}[data-state=ready]")
        assert state(page).startswith("ventricle: drawn by hand")


def test_each_clip_keeps_its_own_corrections_and_steps(page):
    drag(page, 3, -2, 0)
    press(page, "n")
    page.wait_for_selector(f"{ROOT}[data-clip=two][data-state=ready]")
    assert document(page)["frames"] == {} and state(page) == "ventricle: the network's (lv)"
    press(page, "p")
    page.wait_for_selector(f"{ROOT}[data-clip=one][data-state=ready]")
    press(page, "Home")
    assert ventricle(page)["moved"] == 1
    press(page, "Control+z")
    assert document(page)["frames"] == {}


def test_ten_thousand_edits_keep_the_memory_flat(page):
    session = page.context.new_cdp_session(page)

    def used():
        session.send("HeapProfiler.collectGarbage")
        return session.send("Runtime.getHeapUsage")["usedSize"]

    def edit(count):
        page.locator(".handle").nth(3).evaluate(
            """async (handle, count) => {
              handle.focus();
              for (let number = 0; number < count; number++) {
                const key = number % 2 ? "ArrowLeft" : "ArrowRight";
                handle.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
                if (number % 500 === 0) await new Promise(requestAnimationFrame);
              }
            }""",
            count,
        )

    edit(500)
    before = used()
    edit(10_000)
    after = used()
    assert after - before < 8 * 2**20  # of steps that can all be undone: under 1 kB each
    assert page.locator("[data-action=undo]").is_enabled()
    assert len(page.locator(".handle").all()) == LAST + 1


# --- the page ------------------------------------------------------------------------------------


def test_the_switch_leaves_the_browser_as_it_was(page):
    drag(page, 3, -2, 0)
    page.locator("input.edit-switch").uncheck()
    assert page.locator(".edit").is_hidden() and page.locator(".handle").count() == 0
    assert not masked(page)[0].any()
    page.locator("canvas.picture").click(position={"x": 5, "y": 5})  # plays, as ever
    page.get_by_label("Pause").click()
    press(page, "Home", "e")
    assert page.locator(".edit").is_visible() and masked(page)[0].any()


def test_the_experts_outlines_are_hidden_while_one_corrects(engine, folder):
    heart, labelled = make_heart(), np.arange(COUNT) == 0
    truth = Layer("truth", np.roll(heart.layers[0].masks, 2, 2), role="truth", labelled=labelled)
    view = replace(heart, layers=(truth, *heart.layers))
    views = Views(("one",), ("train, true EF 29 %",), lambda number: view)
    file = write(folder / "expert.html", views=views, shown=["truth", "difference", "lv"])
    with chromium.open_exported(engine, file) as page:
        boxes = {
            name: page.locator(f"input.layer[data-layer={name}]")
            for name in ("truth", "difference", "lv")
        }

        def shown():
            curves = page.locator("canvas.curves").get_attribute("aria-label")
            text = page.locator(".readout").inner_text()
            note = page.locator(".echolib-browser").get_by_text("true EF 29 %").is_visible()
            told = {"truth" in curves, "truth" in text, "Dice" in text, note}
            assert "lv" in curves and "lv" in text and len(told) == 1
            names = [name for name, box in boxes.items() if box.is_checked()]
            return names, told == {True}, page.locator(".edit .blind").is_visible()

        assert shown() == (["lv"], False, True)
        boxes["truth"].check()
        assert shown() == (["truth", "lv"], True, False)
        boxes["truth"].uncheck()
        assert shown() == (["lv"], False, True)
        page.locator("input.edit-switch").uncheck()
        assert shown() == (["truth", "difference", "lv"], True, False)


def test_a_page_written_without_the_editor_has_no_switch(engine, folder):
    with chromium.open_exported(
        engine, write(folder / "plain.html", make_heart(), edit=False)
    ) as page:
        assert page.locator("input.edit-switch").is_hidden() and page.locator(".edit").count() == 0
        press(page, "e", "Control+z")
        assert page.locator(".handle").count() == 0 and page.watch.complaints == []


def test_screen_readers_hear_what_each_point_and_control_is(page):
    labels = page.locator(".handle").evaluate_all(
        "nodes => nodes.map((node) => node.getAttribute('aria-label').split(',')[0])"
    )
    wall = ["wall"] * 5
    assert labels == ["first hinge", *wall, "apex", *wall, "second hinge"]
    group = page.get_by_role("group", name="Points of the ventricle")
    assert group.get_by_role("button").count() == LAST + 1
    assert page.locator(".edit .state").get_attribute("role") == "status"
    press(page, "ArrowLeft", on=".handle >> nth=3")  # what it did is heard
    x, y = proposal()[3]
    assert state(page).endswith(f"point 4: x {x - 0.25:.2f}, y {y:.2f}")
    assert page.locator(".edit .alert").get_attribute("role") == "alert"
    unnamed = page.evaluate("""() => [...document.querySelectorAll("button, input, select")]
      .filter((node) => !node.getAttribute("aria-label") && !node.labels?.[0]?.textContent.trim())
      .map((node) => node.outerHTML)""")
    assert unnamed == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_have_enough_contrast_in_both_themes(engine, file, scheme):
    with chromium.open_exported(engine, file, color_scheme=scheme) as page:
        page.locator("summary", has_text="Keys and mouse").click()
        drag(page, 0, 30, -10)
        assert alert(page)
        contrasts = dict(page.evaluate(CONTRASTS))
        assert len(contrasts) > 25
        assert {text: c for text, c in contrasts.items() if c < 4.5} == {}


def test_nothing_overflows_at_the_width_of_a_phone_and_a_finger_can_hit_the_points(engine, file):
    viewport = {"width": 390, "height": 844}
    options = {"viewport": viewport, "has_touch": True, "is_mobile": True}
    with chromium.open_exported(engine, file, **options) as page:
        page.locator("summary", has_text="Keys and mouse").click()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        size = page.locator(".handle").first.bounding_box()["width"]
        assert size >= 24  # CSS px, WCAG 2.2, 2.5.8
        ring = page.locator(".handle").nth(3).evaluate(
            "node => parseFloat(getComputedStyle(node, '::after').width)")  # fmt: skip
        assert ring <= 6  # the wall is seen through it


def test_saved_pictures_hold_the_edited_outline(page, tmp_path):
    drag(page, 3, -2, 0)
    with page.expect_download() as download:
        press(page, "f")
    download.value.save_as(tmp_path / "saved")
    (frame,), _ = read_saved(tmp_path / "saved")
    picture = chromium.read_canvas(page.locator("canvas.picture"))[..., :3]
    np.testing.assert_array_equal(frame, picture)
    assert (np.abs(picture.astype(int) - GREEN).max(axis=-1) < 40).any() and PINK != GREEN
