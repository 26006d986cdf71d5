"""The exported page in a real Chromium, opened from disk with the network off."""

import re
from dataclasses import replace

import numpy as np
import pytest

from echolib.browser import FrameBrowser
from echolib.figures.overlay import GREEN, PINK
from tests.browser.truth import (
    COUNT,
    FPS,
    ROOT,
    SCALE,
    check_difference,
    check_grey,
    check_outlines,
    enlarged,
    greys,
    make_frames,
    make_masks,
    make_view,
    make_views,
    read_saved,
)
from tools import chromium

pytestmark = pytest.mark.skipif(chromium.missing() is not None, reason=str(chromium.missing()))

# Contrast (WCAG 2, 1.4.3) of all texts with their backgrounds.
CONTRASTS = """() => {
  const numbers = (colour) => {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d");
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = (rgb) => rgb.slice(0, 3).map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const rgba = numbers(getComputedStyle(at).backgroundColor);
      if (rgba[3] === 255) return rgba;
    }
    const probe = document.body.appendChild(document.createElement("i"));
    probe.style.background = "Canvas";
    const rgba = numbers(getComputedStyle(probe).backgroundColor);
    probe.remove();
    return rgba;
  };
  const shown = [...document.querySelectorAll("body *")].filter((node) => node.checkVisibility()
    && !node.disabled && !["SCRIPT", "STYLE", "OPTION"].includes(node.tagName)
    && [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim()));
  return shown.map((node) => {
    const style = getComputedStyle(node);
    const back = ground(node);
    const text = numbers(style.color).slice(0, 3)
      .map((v, i) => v * style.opacity + back[i] * (1 - style.opacity));
    const [one, other] = [light(text), light(back)].sort((a, b) => b - a);
    return [node.textContent.slice(0, 30), (one + 0.05) / (other + 0.05)];
  });
}"""


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    browser = FrameBrowser(make_views())
    browser.smooth = False
    browser.shown = []
    browser.frame = 0
    return browser.to_html(tmp_path_factory.mktemp("page") / "page.html", ["one", "two", "three"])


def attribute(page, name="frame"):
    return page.locator(ROOT).get_attribute(f"data-{name}")


def press(page, *keys):
    page.locator(ROOT).focus()
    for key in keys:
        page.keyboard.press(key)


def canvas(page, panel=0):
    return chromium.read_canvas(page.locator("canvas.picture").nth(panel))


def test_keys_move_and_the_canvas_shows_the_frame_pixel_by_pixel(page):
    frames = make_frames()
    check_grey(canvas(page), frames[0])
    steps = [("ArrowRight", 1), ("ArrowLeft", 0), ("ArrowLeft", COUNT - 1), ("ArrowRight", 0)]
    steps += [("Shift+ArrowRight", 10), ("Home", 0), ("End", COUNT - 1), ("Shift+ArrowRight", 23)]
    steps += [("d", 2), ("s", 8), ("l", 2), ("l", 8), ("l", 2)]
    for key, frame in steps:
        press(page, key)
        assert attribute(page) == str(frame), key
        check_grey(canvas(page), frames[frame])


def test_overlays_lie_on_the_edges_of_masks_and_nowhere_else(page):
    frame, masks, truth = make_frames()[2], make_masks(3)[2], make_masks()[2]
    press(page, "d", "2")
    check_outlines(canvas(page), frame, {"masks": (PINK, masks)})
    page.locator("input.layer[data-layer=truth]").check()
    both = {"truth": (GREEN, truth), "masks": (PINK, masks)}
    check_outlines(canvas(page), frame, both)
    press(page, "1", "2")
    check_grey(canvas(page), frame)
    press(page, "6")
    check_difference(canvas(page), frame, masks, truth, (PINK, GREEN))
    press(page, "ArrowRight")  # no truth there, so no difference
    check_grey(canvas(page), make_frames()[3])


def test_doubt_is_drawn_as_a_tint_and_landmarks_as_dots(page):
    press(page, "d", "5")
    frame, heat = make_frames()[2].astype(float), make_frames(9)[2]
    colour = make_view().layers[4].colour
    share = np.floor(heat * 0.7)[..., None] / 255
    expected = frame[..., None] * (1 - share) + np.array(colour) * share
    np.testing.assert_allclose(canvas(page)[..., :3], enlarged(expected), atol=3)
    press(page, "5", "4")
    picture = canvas(page).astype(int)
    changed = np.abs(picture[..., :3] - greys(make_frames()[2])[..., None]).max(axis=2) > 40
    y, x = np.nonzero(changed)
    near_landmark = [np.hypot(x - (px + 0.5) * SCALE, y - (py + 0.5) * SCALE) < 4
            for px, py in [(10, 10), (20, 10), (20, 18), (10, 18)]]  # fmt: skip
    assert all(near.any() for near in near_landmark) and np.any(near_landmark, axis=0).all()


def test_window_gamma_and_zoom(page):
    page.locator("summary", has_text="Picture").click()
    for name, value in (("window-low", 20), ("window-high", 80), ("gamma", 0.5)):
        page.locator(f"input.{name}").fill(str(value))
    check_grey(canvas(page), make_frames()[0], window=(20, 80), gamma=0.5)
    page.locator("input.window-low").fill("100")  # above the high end, which then moves up as well
    assert page.locator("input.window-high").input_value() == "101"
    for name, value in (("window-low", 0), ("window-high", 255), ("gamma", 1)):
        page.locator(f"input.{name}").fill(str(value))
    press(page, "+", "+", "+", "+", "+", "+")
    assert "8 ×" in page.locator("details").first.inner_text()
    press(page, "0", "+", "+")  # 2.25
    page.locator("[data-action=zoom-reset]").click()
    check_grey(canvas(page), make_frames()[0])


def test_a_drag_moves_the_zoomed_picture_and_is_not_a_click(page):
    press(page, "+", "+")
    before = canvas(page)
    box = page.locator("canvas.picture").bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 200)
    page.mouse.down()
    distance = round(4 * 1.5**2 * SCALE)  # four px of the frame, zoomed twice
    page.mouse.move(box["x"] + 200 + distance, box["y"] + 200, steps=3)
    page.mouse.up()
    after = canvas(page)
    assert attribute(page, "state") == "ready" and page.get_by_label("Play").count() == 1
    agree = (after[:, distance:, 0] == before[:, :-distance, 0]).mean()
    assert agree > 0.9 and (after != before).mean() > 0.3


def test_the_slider_and_the_curves_select_a_frame(page):
    box = page.locator("input.frame").bounding_box()
    page.mouse.move(box["x"] + 4, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 2, box["y"] + box["height"] / 2, steps=4)
    page.mouse.up()
    assert attribute(page) == str(COUNT - 1)
    curves = page.locator("canvas.curves")
    box = curves.bounding_box()
    assert box["height"] == 2 * 92  # beats and cm²
    left, right = 46, box["width"] - 10
    for frame in (0, 7, COUNT - 1):
        curves.click(position={"x": left + frame / (COUNT - 1) * (right - left), "y": 60})
        assert attribute(page) == str(frame)


def test_playing_keeps_the_frame_rate_of_the_clip_and_space_stops_it(page):
    press(page, " ")
    page.wait_for_function(f"() => document.querySelector('{ROOT}').dataset.frame !== '0'")
    duration, played = page.evaluate(f"""() => new Promise((done, fail) => {{
      setTimeout(() => fail(Error("no 30 frames in 20 s")), 20000);
      const root = document.querySelector("{ROOT}");
      const [start, first] = [performance.now(), Number(root.dataset.frame)];
      let [played, last] = [0, first];
      new MutationObserver((_, watcher) => {{
        const now = Number(root.dataset.frame);
        played += (now - last + {COUNT}) % {COUNT};
        last = now;
        if (played < 30) return;
        watcher.disconnect();
        done([performance.now() - start, played]);
      }}).observe(root, {{attributeFilter: ["data-frame"]}});
    }})""")
    assert played / duration * 1000 == pytest.approx(30, rel=0.15)  # frames per second
    press(page, " ")
    page.get_by_label("Play").wait_for()
    stopped = attribute(page)
    for _ in range(10):
        page.evaluate(chromium.NEXT_FRAME)
    assert attribute(page) == stopped
    check_grey(canvas(page), make_frames()[int(stopped)])


def test_two_models_side_by_side_are_locked_together(page):
    page.locator(".overlays input.side-by-side").check()
    press(page, "2", "3", "s")
    assert page.locator("canvas.picture").count() == 2
    assert page.locator("figcaption").all_inner_texts() == ["masks", "landmarks"]
    check_outlines(canvas(page, 0), make_frames()[8], {"masks": (PINK, make_masks(3)[8])})
    second = canvas(page, 1)
    colour = tuple(map(int, page.locator(".swatch").nth(2).evaluate(
        "node => node.style.backgroundColor.match(/[0-9]+/g)")))  # fmt: skip
    check_outlines(second, make_frames()[8], {"landmarks": (colour, make_masks(-3)[8])})


def test_clips_are_found_by_name_and_note(page):
    press(page, "n")
    page.wait_for_selector(f"{ROOT}[data-clip=two][data-state=ready]")
    assert attribute(page) == "2"  # the first labelled frame
    check_grey(canvas(page), make_frames(1)[2])
    page.locator("input.search").fill("test")
    assert page.locator(".matches li").all_inner_texts() == ["two test", "three test"]
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_selector(f"{ROOT}[data-clip=three][data-state=ready]")
    assert attribute(page) == "2"
    assert page.locator("input.frame").get_attribute("max") == str(COUNT - 3)
    press(page, "n")  # after the last clip found comes the first one
    page.wait_for_selector(f"{ROOT}[data-clip=two]")
    page.locator("input.search").fill("no such")
    assert page.locator(".matches li").all_inner_texts() == ["no clip found"]
    press(page, "n")
    place = page.locator(".place")
    assert place.inner_text() == "the search finds no other clip: clear it to go on"
    page.locator("input.search").fill("")
    press(page, "n")
    page.wait_for_selector(f"{ROOT}[data-clip=three]")
    assert place.inner_text() == "3 of 3"


def test_the_line_below_gives_frame_time_area_and_dice(page):
    press(page, "d")
    area = make_masks(3)[2].sum() * 0.05**2
    text = page.locator(".readout").inner_text()
    assert text.startswith(f"frame 2 / {COUNT - 1} · 0.07 s · ED · truth")
    assert f"masks {area:.2f} cm² Dice 0." in text


def test_curves_that_are_no_area_are_read_out_too(page):
    press(page, "d")
    assert page.locator(".readout").inner_text().endswith(f" · pulse {np.sin(2 / 4):.2f} beats")
    assert page.locator(".readout").inner_text().count("masks") == 1


def test_split_and_ef_of_the_clip_are_shown(page):
    assert page.locator(".note").inner_text() == "train"
    press(page, "n")
    page.wait_for_selector(f"{ROOT}[data-clip=two]")
    assert page.locator(".note").inner_text() == "test"


def test_the_difference_names_its_model_and_shows_its_colours(page):
    def swatch():
        colours = page.locator(".swatch").last.evaluate("node => node.style.background")
        return [tuple(map(int, rgb)) for rgb in re.findall(r"rgb\((\d+), (\d+), (\d+)\)", colours)]

    label = page.locator("input[data-layer=difference] ~ span").last
    assert label.inner_text() == "difference (masks)" and set(swatch()) == {PINK, GREEN}
    press(page, "3")  # the other model is the only one shown
    assert label.inner_text() == "difference (landmarks)"
    assert len(set(swatch())) == 2 and GREEN in swatch() and PINK not in swatch()
    page.locator("input.side-by-side").check()
    assert label.inner_text() == "difference (masks, landmarks)" and len(set(swatch())) == 3


def test_a_search_is_seen_to_be_active_and_can_be_cleared(page):
    search, clear, place = (page.locator(name) for name in (".search", ".combo button", ".place"))
    edge = "node => getComputedStyle(node).boxShadow"
    assert not clear.is_visible() and search.evaluate(edge) == "none"
    for end in (clear.click, lambda: page.keyboard.press("Escape")):
        search.fill("two")
        assert clear.is_visible() and search.evaluate(edge) != "none"
        assert place.inner_text() == "1 of 3; the search finds 1"
        end()
        assert search.input_value() == "" and not clear.is_visible()
        assert place.inner_text() == "1 of 3"


def test_the_number_of_an_ef_is_not_sought_in_names(engine, tmp_path):
    names = ("case 5", "case 6", "case 7")
    keywords = ("test, true EF 61 %", "test, true EF 54 %", "train, true EF 49 %")
    read = make_views().read
    views = replace(make_views(), names=names, keywords=keywords,
                    read=lambda number: replace(read(number), name=names[number]))  # fmt: skip
    file = FrameBrowser(views).to_html(tmp_path / "page.html", names)
    with chromium.open_exported(engine, file) as page:
        for text, found in (
            ("EF 5", [1]),
            ("ef  49", [2]),
            ("case 5", [0, 1]),
            ("true ef", [0, 1, 2]),
        ):
            page.locator("input.search").fill(text)
            expected = [f"{names[number]} {keywords[number]}" for number in found]
            assert page.locator(".matches li").all_inner_texts() == expected, text


def test_picture_and_controls_are_seen_together_at_any_height(engine, file):
    def ends():
        """Height of the picture and bottom of the controls, CSS px."""
        return page.evaluate("""() => {
          const [picture, controls] = [".picture", ".overlays"].map((name) =>
            document.querySelector(name).getBoundingClientRect());
          return [picture.height, controls.bottom];
        }""")

    with chromium.open_exported(engine, file, viewport={"width": 1280, "height": 640}) as page:
        low, bottom = ends()
        assert low < 300 and 600 < bottom <= 640
        page.set_viewport_size({"width": 1280, "height": 1000})
        chromium.wait_until(page, lambda: None if ends()[0] > low else "the picture stays low")
        assert ends()[0] == SCALE * make_frames().shape[1]
        page.set_viewport_size({"width": 1280, "height": 640})
        chromium.wait_until(page, lambda: None if ends()[1] <= 640 else "it does not fit again")
        page.locator("input.side-by-side").check()
        assert ends()[1] <= 640
        for summary in page.locator("summary").all():  # what is unfolded takes nothing away
            summary.click()
        assert ends()[0] >= low - 30


def test_the_mouse_is_explained_with_the_keys(page):
    page.locator("summary", has_text="Keys and mouse").click()
    terms = page.locator("dt").all_inner_texts()
    assert {"click", "drag", "ctrl wheel", "on a curve"} < set(terms)


def test_every_control_has_an_accessible_name(page):
    unnamed = page.evaluate("""() => [...document.querySelectorAll("button, input, select")]
      .filter((node) => !node.getAttribute("aria-label") && !node.labels?.[0]?.textContent.trim())
      .map((node) => node.outerHTML)""")
    assert unnamed == []
    picture = page.locator("canvas.picture")
    assert picture.get_attribute("role") == "img"
    assert picture.get_attribute("aria-label").startswith("one, frame 0 / 23")
    press(page, "ArrowRight")
    assert picture.get_attribute("aria-label").startswith("one, frame 1 / 23")
    assert page.locator("input.frame").get_attribute("aria-valuetext").startswith("frame 1 / 23")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_have_enough_contrast_in_both_themes(engine, file, scheme):
    with chromium.open_exported(engine, file, color_scheme=scheme) as page:
        for summary in page.locator("summary").all():
            summary.click()
        contrasts = dict(page.evaluate(CONTRASTS))
        assert len(contrasts) > 15
        assert {text: c for text, c in contrasts.items() if c < 4.5} == {}


def saved(page, tmp_path, act):
    """Name, frames and durations of the file that `act` makes the page save."""
    with page.expect_download() as download:
        act()
    path = tmp_path / "saved"
    download.value.save_as(path)
    return download.value.suggested_filename, *read_saved(path)


@pytest.mark.parametrize("way", ["key", "mouse", "touch"])
def test_the_frame_is_saved_as_it_is_shown(engine, file, tmp_path, way):
    with chromium.open_exported(engine, file, has_touch=True) as page:
        press(page, "s", "1", "2", "4")
        page.locator("summary", has_text="Save").click()
        button = page.get_by_role("button", name="Save the frame with its overlays as PNG")
        act = {"key": lambda: press(page, "f"), "mouse": button.click, "touch": button.tap}[way]
        name, (frame,), _ = saved(page, tmp_path, act)
        assert name == "one frame 8.png"
        np.testing.assert_array_equal(frame, canvas(page)[..., :3])
        assert (
            len(np.unique(frame.reshape(-1, 3), axis=0)) > 90
        )  # greys and the colours of outlines
        assert page.get_by_role("status").last.inner_text() == "saved: one frame 8.png"
        assert page.watch.complaints == []


def test_the_clip_is_saved_with_all_its_frames_and_times(page, tmp_path):
    name, frames, durations = saved(page, tmp_path, lambda: press(page, "v"))
    assert name == "one.apng" and len(frames) == COUNT
    for found, expected in zip(frames, make_frames(), strict=True):
        np.testing.assert_array_equal(found, np.repeat(greys(expected)[..., None], 3, axis=-1))
    np.testing.assert_allclose(durations, 1000 / FPS, rtol=1e-3)
    assert attribute(page) == "0"  # the page shows the frame that it showed


def test_overlays_and_models_side_by_side_are_saved_with_the_clip(page, tmp_path):
    press(page, "2", "3", "5")
    page.locator("input.side-by-side").check()
    page.locator("summary", has_text="Save").click()
    button = page.get_by_role("button", name="Save the clip with its overlays as animated PNG")
    _, frames, _ = saved(page, tmp_path, button.click)
    for number in (0, 8, COUNT - 1):
        press(page, "Home", *["ArrowRight"] * number)
        panels = [canvas(page, panel)[..., :3] for panel in range(2)]
        gap = np.zeros((len(panels[0]), 8, 3), np.uint8)
        np.testing.assert_array_equal(
            frames[number], np.concatenate([panels[0], gap, panels[1]], axis=1)
        )


def test_saving_a_clip_can_be_stopped(page):
    downloads = []
    page.on("download", lambda download: downloads.append(download))
    page.locator(ROOT).evaluate("""root => ["v", "v"].forEach((key) =>
      root.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true })))""")  # at once
    status = page.get_by_role("status").last

    def check():
        text = status.inner_text()
        return None if text == "stopped, nothing saved" else text

    chromium.wait_until(page, check)
    assert downloads == []


def test_nothing_overflows_at_the_width_of_a_phone(engine, file):
    with chromium.open_exported(engine, file, viewport={"width": 390, "height": 800}) as page:
        for summary in page.locator("summary").all():
            summary.click()
        page.locator("input.side-by-side").check()
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= 390
        press(page, "End")
        check_grey(canvas(page), make_frames()[COUNT - 1])  # the same pixels, shown smaller
