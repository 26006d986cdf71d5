"""The kernel's side of the frame browser: what is sent, what is refused, the still picture."""

import numpy as np
import pytest

from echolib.browser import CAPTION_HEIGHT, FrameBrowser, static_sheet
from echolib.overlay import GREEN, PINK


def make_clip(count=9, shape=(30, 45)):
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 80, (count, *shape)).astype(np.uint8)
    masks = np.zeros(frames.shape, bool)
    masks[:, 8:20, 10:25] = True
    return frames, masks


def near(picture, colour):
    return (np.abs(picture.astype(int) - colour).max(axis=-1) < 60).sum()


def test_the_page_gets_every_pixel_and_every_bit():
    frames, masks = make_clip()
    other = np.random.default_rng(1).random(frames.shape) < 0.3
    browser = FrameBrowser(frames[:, ::-1], {"model": masks, "expert": other}, fps=30, title="A")
    state = browser.get_state()
    sent = np.frombuffer(state["_pixels"], np.uint8).reshape(state["_shape"])
    np.testing.assert_array_equal(sent, frames[:, ::-1])
    assert state["_mask_names"] == ["model", "expert"]
    assert len(set(state["_mask_colours"])) == 2
    for bits, mask in zip(state["_mask_bits"], (masks, other), strict=True):
        assert len(bits) == -(-mask.size // 8)
        position = np.arange(mask.size)  # read as the page reads it
        read = np.frombuffer(bits, np.uint8)[position >> 3] >> (position & 7) & 1
        np.testing.assert_array_equal(read.reshape(mask.shape), mask)
    assert (state["fps"], state["title"], state["labels"]) == (30, "A", [])


def test_index_stays_inside_the_clip():
    browser = FrameBrowser(make_clip()[0])
    browser.index = 99
    assert browser.index == 8
    browser.index = -1
    assert browser.index == 0


@pytest.mark.parametrize("fps", [0, -5, float("nan"), float("inf")])
def test_a_rate_that_is_none_is_refused(fps):
    with pytest.raises(ValueError, match="fps: expected"):
        FrameBrowser(make_clip()[0], fps=fps)


def test_an_unknown_rate_plays_at_fifty():
    assert FrameBrowser(make_clip()[0], fps=None).fps == 50


def test_the_front_end_is_there():
    source = str(FrameBrowser._esm)
    assert "export default { render }" in source
    assert "http" not in source  # nothing is loaded from the network


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"frames": np.zeros((2, 3), np.uint8)}, r"frames: expected \(T, H, W\)"),
        ({"frames": np.zeros((2, 3, 4))}, "found float64"),
        ({"frames": np.zeros((0, 3, 4), np.uint8)}, "frames"),
        ({"masks": {"model": np.zeros((8, 30, 45), bool)}}, r"masks\['model'\].*\(8, 30, 45\)"),
        ({"masks": {"model": np.zeros((9, 30, 45), np.uint8)}}, r"masks\['model'\].*bool"),
        ({"labels": ["ED"]}, "labels: expected one for each of 9 frames, found 1"),
    ],
)
def test_what_does_not_match_is_refused(changes, reason):
    arguments = {"frames": make_clip()[0], **changes}
    with pytest.raises(ValueError, match=reason):
        FrameBrowser(**arguments)
    with pytest.raises(ValueError, match=reason):
        static_sheet(**arguments)


def test_contact_sheet_shows_frames_in_order_with_their_outlines():
    frames, masks = make_clip()
    frames[:] = 20 * np.arange(9, dtype=np.uint8)[:, None, None]
    masks[4:] = False
    sheet = static_sheet(frames, {"model": masks}, count=3)
    tile = round(224 * 30 / 45) + CAPTION_HEIGHT
    assert sheet.shape == (tile, 3 * 226 - 2, 3) and sheet.dtype == np.uint8
    greys = [sheet[10, 226 * number + 10, 0] for number in range(3)]
    assert greys == [0, 80, 160]
    outlined = [near(sheet[:, 226 * number :][:, :224], PINK) for number in range(3)]
    assert outlined[0] > 100 and outlined[1:] == [0, 0]


def test_static_is_the_same_view():
    frames, masks = make_clip()
    empty = np.zeros_like(masks)
    labels = ["ED"] + 8 * [""]
    browser = FrameBrowser(frames, {"model": empty, "expert": masks}, fps=25, labels=labels)
    sheet = browser.static(indices=[0, 8], columns=1)
    expected = static_sheet(
        frames, {"model": empty, "expert": masks}, indices=[0, 8], columns=1, fps=25, labels=labels
    )
    np.testing.assert_array_equal(sheet, expected)
    assert near(sheet, GREEN) > 100 and near(sheet, PINK) == 0
    unlabelled = static_sheet(
        frames, {"model": empty, "expert": masks}, indices=[0, 8], columns=1, fps=25
    )
    assert (sheet != unlabelled).any()  # the caption says ED
    with pytest.raises(ValueError, match=r"0 to 8, found \[9\]"):
        browser.static(indices=[9])
