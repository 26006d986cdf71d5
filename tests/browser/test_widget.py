"""The Python side of the frame browser: encoding, traits, errors, the exported page."""

import base64
import json
import re
import zlib

import cv2
import ipywidgets
import numpy as np
import pytest
import traitlets
from hypothesis import given, settings
from hypothesis import strategies as st

from echolib.browser import Curve, FrameBrowser, Layer, View, browse
from echolib.browser import encoding as encoding_module
from echolib.browser.encoding import EncodedView
from echolib.browser.sheet import contact_sheet
from echolib.browser.sources import Views
from echolib.data import Clip
from echolib.errors import DataError
from tests.browser.truth import page_data


def make_view(name="A", count=9, shape=(30, 45), seed=0):
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 255, (count, *shape), np.uint8, endpoint=True)
    masks, truth = rng.random((2, *frames.shape)) < 0.4
    layers = (
        Layer("expert", truth, role="truth", labelled=np.arange(count) % 4 == 1),
        Layer("model", masks),
        Layer("points", points=rng.random((count, 5, 2)) * 30, role="tracing", on=False),
        Layer("doubt", heat=frames // 2, role="doubt", on=False),
    )
    marks = {1: "ED", 5: "ES"}
    return View(name, frames, 30, 0.5, layers, (Curve("pulse", np.arange(count) / 3),), marks)


def make_browser(*views, **traits):
    views = views or (make_view(),)
    names = tuple(view.name for view in views)
    browser = FrameBrowser(Views(names, ("",) * len(views), lambda number: views[number]))
    for name, value in traits.items():
        setattr(browser, name, value)
    return browser


def read_part(encoded, number, view):
    """Decode the arrays of a part as the page does."""
    part = encoded.header["part"]
    height, width = view.frames.shape[1:]
    count = min(part, len(view) - number * part)
    content = zlib.decompress(encoded.part(number))
    offset, arrays = 0, []

    def following(size, kind):
        nonlocal offset
        offset += size * np.dtype(kind).itemsize
        return np.frombuffer(content[offset - size * np.dtype(kind).itemsize : offset], kind)

    arrays.append(following(count * height * width, np.uint8).reshape(count, height, width))
    for layer in encoded.header["layers"]:
        row = -(-width // 8)
        if layer["masks"]:
            rows = following(count * height * row, np.uint8).reshape(count, height, row)
            x = np.arange(width)
            arrays.append((rows[..., x >> 3] >> (x & 7) & 1).astype(bool))
        if layer["heat"]:
            arrays.append(following(count * height * width, np.uint8).reshape(count, height, width))
        if layer["points"]:
            arrays.append(following(count * layer["points"] * 2, "<f4").reshape(count, -1, 2))
        if layer["segments"]:
            arrays.append(following(count * layer["segments"] * 4, "<f4").reshape(count, -1, 2, 2))
    assert offset == len(content)
    return arrays


# --- encoding -----------------------------------------------------------------------------------


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 12), st.integers(1, 20), st.integers(1, 20), st.integers(1, 2000))
def test_the_page_gets_every_pixel_bit_and_point(count, height, width, part_bytes):
    view = make_view(count=max(count, 6), shape=(height, width))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoding_module, "PART_BYTES", part_bytes)
        encoded = EncodedView(view)
    parts = [read_part(encoded, number, view) for number in range(len(encoded))]
    sent = [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]
    expert, model, points, doubt = view.layers
    np.testing.assert_array_equal(sent[0], view.frames)
    np.testing.assert_array_equal(sent[1], expert.masks)
    np.testing.assert_array_equal(sent[2], model.masks)
    np.testing.assert_array_equal(sent[3], points.points.astype(np.float32))
    np.testing.assert_array_equal(sent[4], doubt.heat)


def test_the_header_holds_areas_dice_curves_and_marks():
    view = make_view()
    header = json.loads(json.dumps(EncodedView(view).header, allow_nan=False))
    expert, model = header["layers"][:2]
    assert header["labelled_frames"] == [1, 5] and header["marks"] == [[1, "ED"], [5, "ES"]]
    assert [area is None for area in expert["areas"]] == [n not in (1, 5) for n in range(9)]
    square = 0.05**2  # cm² per pixel
    np.testing.assert_allclose(model["areas"][3], view.layers[1].masks[3].sum() * square, rtol=1e-3)
    one, other = view.layers[0].masks[5], view.layers[1].masks[5]
    dice = 2 * (one & other).sum() / (one.sum() + other.sum())
    np.testing.assert_allclose(model["dice"][5], dice, rtol=1e-3)
    assert model["dice"][0] is None and expert["dice"] is None
    assert header["layers"][-1]["name"] == "difference"
    assert {(curve["name"], curve["unit"]) for curve in header["curves"]} == {
        ("pulse", ""), ("expert", "cm²"), ("model", "cm²"),
    }  # fmt: skip


def test_the_digest_of_the_header_changes_with_any_pixel_only():
    view = make_view()
    frames = view.frames.copy()
    digest = EncodedView(View("A", frames)).header["digest"]
    assert digest == EncodedView(View("B", frames[::1])).header["digest"] and len(digest) == 16
    frames[-1, -1, -1] ^= 1
    assert digest != EncodedView(View("A", frames)).header["digest"]


def test_single_frames_and_clips_of_unknown_frame_rate_play_at_a_default_rate():
    view = make_view()
    assert EncodedView(view).header["rate"] == 30
    assert EncodedView(View("B", view.frames)).header["rate"] == encoding_module.DEFAULT_RATE
    stills = View("C", view.frames, 50, numbers=np.arange(9) * 20)
    assert EncodedView(stills).header["rate"] == encoding_module.STILLS_RATE


def test_parts_of_a_long_clip_are_sent_on_request_while_it_is_open(monkeypatch):
    monkeypatch.setattr(encoding_module, "PART_BYTES", 2 * 30 * 45)
    monkeypatch.setattr(encoding_module, "AT_ONCE", 4 * 30 * 45)
    browser = make_browser(make_view("A"), make_view("B", seed=1))
    parts = browser._content["parts"]
    assert [part is None for part in parts] == [False, False, True, True, True]
    sent = []
    monkeypatch.setattr(browser, "send", lambda message, buffers: sent.append((message, buffers)))
    request = {"kind": "part", "serial": browser._content["serial"], "number": 3}
    browser._send_part(browser, request, [])
    assert sent == [(request, [EncodedView(browser.view).part(3)])]
    browser.clip = "B"
    browser._send_part(browser, request, [])
    assert len(sent) == 1


# --- traits -------------------------------------------------------------------------------------


def test_frame_stays_inside_the_clip():
    browser = make_browser()
    browser.frame = 99
    assert browser.frame == 8
    browser.frame = -1
    assert browser.frame == 0


def test_it_is_an_ipywidget_that_others_can_follow():
    browser = make_browser()
    assert isinstance(browser, ipywidgets.DOMWidget)
    slider = ipywidgets.IntSlider(max=8)
    ipywidgets.link((browser, "frame"), (slider, "value"))
    slider.value = 4
    assert browser.frame == 4
    browser.frame = 6
    assert slider.value == 6
    ipywidgets.HBox([browser, slider])
    observed = []
    ipywidgets.interactive_output(lambda frame: observed.append(frame), {"frame": browser})
    browser.value = 99
    assert (browser.frame, browser.value, observed[-1]) == (8, 8, 8)
    observed.clear()
    browser.observe(lambda change: observed.append(change.new), "frame")
    browser.frame = 2
    assert observed == [2, 2]  # by interactive_output and by observe


@pytest.mark.parametrize("window", [(5, 5), (9, 3), (-1, 4), (0, 256)])
def test_an_invalid_window_is_refused(window):
    with pytest.raises(traitlets.TraitError, match="window: expected two grey levels"):
        make_browser().window = window


def test_an_unknown_clip_is_refused_and_the_open_one_stays():
    browser = make_browser(make_view("echo 1"), make_view("echo 2"))
    with pytest.raises(traitlets.TraitError, match="expected one of 2 names.*echo 1.*'eco 1'"):
        browser.clip = "eco 1"
    assert browser.clip == "echo 1" and browser.view.name == "echo 1"


def test_overlays_stay_as_the_reader_left_them_from_clip_to_clip():
    browser = make_browser(make_view("A"), make_view("B"))
    assert browser.shown == ["expert", "model"]
    browser.shown = ["doubt", "model"]
    browser.clip = "B"
    assert browser.shown == ["doubt", "model"]


def test_a_clip_opens_at_its_first_labelled_frame_or_at_its_first():
    browser = make_browser(make_view("A"), make_view("B", count=6), frame=7)
    browser.clip = "B"
    assert browser.frame == 1


def test_an_outdated_frame_from_the_page_is_ignored():
    browser = make_browser(make_view("A"), make_view("B"))
    browser.set_state({"_page_frame": [browser._python_frame[0], 3], "frame": 3})
    assert browser.frame == browser.value == 3
    before = browser._python_frame[0]
    browser.clip = "B"
    browser.set_state({"_page_frame": [before, 5], "frame": 5, "playing": True, "gamma": 0.5})
    assert (browser.frame, browser.playing, browser.gamma) == (1, False, 0.5)
    browser.set_state({"_page_frame": [browser._python_frame[0], 5], "frame": 5})
    assert browser.frame == 5
    before = browser._python_frame[0]
    browser.frame = 2
    browser.set_state({"_page_frame": [before, 6], "frame": 6})
    assert browser.frame == 2


def frames_in(messages):
    """What messages to the page say of the frame: how often it was set, and to which."""
    states = [message["state"] for message in messages]
    return [state["_python_frame"] for state in states if "_python_frame" in state]


def test_a_frame_is_sent_each_time_it_is_set(monkeypatch):
    browser = make_browser()
    sent = []
    monkeypatch.setattr(browser, "_send", lambda message, buffers=None: sent.append(message))
    browser.frame = browser.frame  # as known here: a page that plays has left it since
    browser.frame = 99
    browser.value = 99
    last = len(browser.view.frames) - 1
    assert browser.frame == browser.value == last
    counts, frames = zip(*frames_in(sent), strict=True)
    assert frames == (1, last, last) and len(set(counts)) == 3


def test_a_clip_opened_at_the_frame_that_python_knows_of_sends_it(monkeypatch):
    browser = make_browser(make_view("A"), make_view("B"))
    browser.set_state({"_page_frame": [browser._python_frame[0], 1]})
    sent = []
    monkeypatch.setattr(browser, "_send", lambda message, buffers=None: sent.append(message))
    browser.clip = "B"
    assert browser.frame == 1
    assert [frame for _, frame in frames_in(sent)] == [1]


def test_a_frame_from_the_page_is_not_sent_back(monkeypatch):
    browser = make_browser()
    sent = []
    monkeypatch.setattr(browser, "_send", lambda message, buffers=None: sent.append(message))
    browser.set_state({"_page_frame": [browser._python_frame[0], 3], "gamma": 0.5})
    assert browser.frame == 3
    assert "gamma" in sent[0]["state"]  # unlike the frame, which the page may have left by now
    assert not any("frame" in message["state"] for message in sent)


# --- errors -------------------------------------------------------------------------------------

FRAMES = make_view().frames


@pytest.mark.parametrize(
    ("source", "shown", "reason"),
    [
        (FRAMES[:0], {}, "at least one frame"),
        ([FRAMES, None], {}, "None"),
        (FRAMES, {"masks": {"model": np.zeros((8, 30, 45), bool)}}, r"model.*\(9, 30, 45\)"),
        (FRAMES, {"masks": {"model": np.zeros((9, 30, 44), bool)}}, r"model.*\(9, 30, 45\)"),
        (FRAMES, {"curves": {"area": np.full(9, np.nan)}}, "area.*NaN"),
        (FRAMES, {"labels": ["ED"]}, "labels"),
        ("no/such/clip.avi", {}, "no/such/clip.avi"),
        ([], {}, "empty list"),
        (42, {}, "int"),
    ],
)
def test_an_error_in_the_source_is_displayed(source, shown, reason, tmp_path):
    browser = browse(source, **shown)
    if browser.error == "":  # in a list, the invalid item fails when it is opened
        browser.clip = browser.names[1]
    assert re.search(reason, browser.error), browser.error
    for still in (browser.contact_sheet, lambda: browser.to_html(tmp_path / "page.html")):
        with pytest.raises(DataError):
            still()
    assert not list(tmp_path.iterdir())


def test_frames_of_differing_size_are_refused():
    browser = browse([np.zeros((4, 5), np.uint8), np.zeros((4, 6), np.uint8)])
    assert "(4, 5) px in frame 0 and (4, 6) px in frame 1" in browser.error


def test_one_frame_is_a_clip():
    browser = browse(FRAMES[:1])
    assert browser.error == "" and browser._content["shape"] == [1, 30, 45]


def test_a_deleted_clip_is_reported_and_the_others_can_be_opened(tmp_path):
    files = [tmp_path / f"{name}.npy" for name in "AB"]
    for file in files:
        np.save(file, FRAMES)
    views = Views(("A", "B"), ("", ""), lambda number: View("AB"[number], np.load(files[number])))
    browser = FrameBrowser(views)
    files[1].unlink()
    browser.clip = "B"
    assert "B.npy" in browser.error
    with pytest.raises(DataError, match="B.npy"):
        _ = browser.view
    browser.clip = "A"
    assert browser.error == "" and browser.view.name == "A"


def test_any_error_while_reading_is_displayed():
    views = Views(("A",), ("",), lambda number: {}["frames"])
    assert FrameBrowser(views).error == "A: KeyError: 'frames'"


# --- still pictures and pages -------------------------------------------------------------------


def pixels(sheet):
    return cv2.imdecode(np.frombuffer(sheet.data, np.uint8), cv2.IMREAD_COLOR_RGB)


def test_the_contact_sheet_shows_the_overlays_switched_on():
    browser = make_browser()
    sheet = pixels(browser.contact_sheet(count=3))
    np.testing.assert_array_equal(sheet, contact_sheet(browser.view, 3))
    browser.shown = ["doubt"]
    expected = contact_sheet(browser.view, frames=[0, 8], layers=["doubt"])
    np.testing.assert_array_equal(pixels(browser.contact_sheet(frames=[0, 8])), expected)
    browser.shown = []
    assert np.ptp(pixels(browser.contact_sheet()), axis=2).max() == 0  # only grey


def test_a_page_holds_the_chosen_clips_and_loads_nothing(tmp_path):
    views = [make_view("A"), make_view("</script><b>", seed=1), make_view("C", seed=2)]
    browser = make_browser(*views, frame=3, gamma=0.5, shown=["doubt"])
    path = browser.to_html(tmp_path / "page.html", ["A", "</script><b>"])
    data = page_data(path)
    assert data["state"]["_names"] == ["A", "</script><b>"]
    assert (data["state"]["frame"], data["state"]["gamma"]) == (3, 0.5)
    assert data["state"]["shown"] == ["doubt"]
    for view, content in zip(views[:2], data["contents"], strict=True):
        raw = b"".join(zlib.decompress(base64.b64decode(part)) for part in content["parts"])
        assert raw.startswith(view.frames.tobytes())
    text = path.read_text(encoding="utf-8")
    assert "<b>" not in text and "http://" not in text and "https://" not in text
    assert not re.search(r"<(link|img|iframe)|src=|import[ (]", text)
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]


def test_a_page_shows_the_open_clip_by_default(tmp_path):
    browser = make_browser(make_view("A"), make_view("B"), clip="B", frame=2)
    data = page_data(browser.to_html(tmp_path / "page.html"))
    assert data["state"]["_names"] == ["B"] and data["state"]["frame"] == 2
    with pytest.raises(ValueError, match="expected one of 2 names"):
        browser.to_html(tmp_path / "page.html", ["D"])


def test_a_page_too_large_to_open_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr("echolib.browser.export.LARGEST", 100)
    with pytest.raises(DataError, match="Choose fewer clips"):
        make_browser().to_html(tmp_path / "page.html")
    assert not list(tmp_path.iterdir())


def test_browse_takes_a_clip_with_everything_that_can_be_added_to_it():
    view = make_view()
    masks = {"masks": view.layers[1].masks, "landmarks": view.layers[0].masks}
    browser = browse(
        Clip("a", view.frames, 25), masks, truth={2: masks["masks"][2]}, doubt=view.frames / 255,
        curves={"volume": np.arange(9.0)}, marks={2: "ED"}, title="b", clip="b",
    )  # fmt: skip
    assert browser.error == "" and browser.clip == "b" and browser.view.fps == 25
    assert {"masks", "landmarks"} <= set(browser.shown)
    layers = {layer["name"]: layer for layer in browser._content["layers"]}
    assert layers["masks"]["dice"][2] == 1 and layers["masks"]["dice"][3] is None
