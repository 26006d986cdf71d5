"""The contact sheet: which frames it shows, what is drawn on them, and their captions."""

import numpy as np
import pytest

from echolib.browser import sheet as sheets
from echolib.browser.layer import Layer
from echolib.browser.sheet import CAPTION_HEIGHT, contact_sheet
from echolib.browser.view import View
from echolib.figures.overlay import PINK

COUNT, SHAPE = 9, (30, 45)
SCALE = 224 / 45
HEIGHT = round(224 * 30 / 45)
TILE = HEIGHT + CAPTION_HEIGHT


def view(**changes) -> View:
    dark = np.zeros((COUNT, *SHAPE), np.uint8)
    return View(**{"name": "a", "frames": dark, **changes})


def square(frames: slice) -> np.ndarray:
    masks = np.zeros((COUNT, *SHAPE), bool)
    masks[frames, 8:20, 10:25] = True
    return masks


def near(picture: np.ndarray, colour=PINK, tolerance: int = 60) -> np.ndarray:
    return np.abs(picture.astype(int) - colour).max(axis=-1) < tolerance


def centre(picture: np.ndarray) -> np.ndarray:
    """Centre of brightness (y, x) px of a picture on black."""
    light = picture.sum(axis=-1, dtype=float)
    return np.array([(light * axis).sum() for axis in np.indices(light.shape)]) / light.sum()


def pictures(sheet: np.ndarray) -> list[np.ndarray]:
    """Cut a sheet of one row into its pictures, without captions."""
    starts = range(0, sheet.shape[1], 226)
    return [sheet[:HEIGHT, start : start + 224] for start in starts]


def test_frames_are_in_order_with_their_outlines():
    frames = np.empty((COUNT, *SHAPE), np.uint8)
    frames[:] = 20 * np.arange(9)[:, None, None]
    sheet = contact_sheet(view(frames=frames, layers=(Layer("m", square(slice(4))),)), 3)
    assert sheet.shape == (TILE, 3 * 226 - 2, 3) and sheet.dtype == np.uint8
    assert [part[10, 10, 0] for part in pictures(sheet)] == [0, 80, 160]
    outlined = [int(near(part).sum()) for part in pictures(sheet)]
    assert outlined[0] > 100 and outlined[1:] == [0, 0]


def test_marked_frames_replace_their_neighbours():
    frames = np.empty((COUNT, *SHAPE), np.uint8)
    frames[:] = 20 * np.arange(9)[:, None, None]

    def shown(count, marks):
        sheet = contact_sheet(view(frames=frames, marks=marks), count, columns=count)
        return [int(part[10, 10, 0]) // 20 for part in pictures(sheet)]

    assert shown(3, {5: "ED"}) == [0, 5, 8]
    assert shown(3, {1: "ED", 7: "ES"}) == [1, 4, 7]
    assert shown(3, {4: "ED"}) == [0, 4, 8]
    assert shown(2, {1: "ED", 2: "ES", 3: "ED"}) == [1, 2]  # no more frames than `count`


def test_rows_and_columns():
    shown = view()
    assert contact_sheet(shown, 6, columns=4).shape == (2 * TILE + 2, 4 * 226 - 2, 3)
    assert contact_sheet(shown, 99, columns=9).shape == (TILE, 9 * 226 - 2, 3)
    assert contact_sheet(shown, frames=[3, 3]).shape == (TILE, 2 * 226 - 2, 3)
    assert contact_sheet(view(frames=np.zeros((1, 40, 30), np.uint8))).shape[1] == 168


def test_points_and_lines_are_drawn_at_their_positions_and_nan_is_not_drawn():
    points = np.full((COUNT, 2, 2), np.nan)
    points[0, 0] = [12.5, 7]
    segments = np.full((COUNT, 2, 2, 2), np.nan)
    segments[1, 0] = [[5, 20], [30, 20]]
    layers = (Layer("p", points=points, colour=PINK), Layer("s", segments=segments))
    drawn = pictures(contact_sheet(view(layers=layers), frames=[0, 1, 2]))
    y, x = centre(drawn[0])
    assert (x + 0.5) / SCALE - 0.5 == pytest.approx(12.5, abs=0.1)
    assert (y + 0.5) / SCALE - 0.5 == pytest.approx(7, abs=0.1)
    assert near(drawn[0]).any()
    y, x = np.nonzero(drawn[1].max(axis=-1) > 120)
    assert (y.mean() + 0.5) / SCALE - 0.5 == pytest.approx(20, abs=0.2)
    assert (x.min() + 0.5) / SCALE - 0.5 == pytest.approx(5, abs=0.3)
    assert (x.max() + 0.5) / SCALE - 0.5 == pytest.approx(30, abs=0.3)
    assert not drawn[2].any()


def test_heat_tints_in_proportion():
    heat = np.zeros((COUNT, *SHAPE), np.uint8)
    heat[0], heat[1] = 255, 128
    layer = Layer("doubt", heat=heat, role="doubt", colour=(200, 100, 0))
    full, half, none = pictures(contact_sheet(view(layers=(layer,)), frames=[0, 1, 2]))
    assert full[50, 50].tolist() == [140, 70, 0] and half[50, 50].tolist() == [70, 35, 0]
    assert not none.any()


def test_layers_are_drawn_only_if_chosen_and_only_in_labelled_frames():
    masks = square(slice(None))
    labelled = np.arange(COUNT) == 2
    layers = (
        Layer("third frame", masks, labelled=labelled),
        Layer("off", np.roll(masks, 15, axis=2), on=False, colour=(0, 0, 255)),
    )
    shown = view(layers=layers)
    first, second = pictures(contact_sheet(shown, frames=[2, 3]))
    assert near(first).any() and not second.any() and not near(first, (0, 0, 255)).any()
    first, second = pictures(contact_sheet(shown, frames=[2, 3], layers=["off"]))
    assert not near(first).any() and near(second, (0, 0, 255)).any()
    assert not pictures(contact_sheet(shown, frames=[2], layers=[]))[0].any()


def test_frames_and_layers_that_do_not_exist_are_refused():
    shown = view(layers=(Layer("m", square(slice(4))),))
    with pytest.raises(ValueError, match=r"from 0 to 8, found \[9\]"):
        contact_sheet(shown, frames=[0, 9])
    with pytest.raises(ValueError, match="found none"):
        contact_sheet(shown, frames=[])
    with pytest.raises(ValueError, match=r"\['m'\] of 'a', found \['n'\]"):
        contact_sheet(shown, layers=["m", "n"])
    with pytest.raises(ValueError, match="columns"):
        contact_sheet(shown, columns=0)


def test_captions_show_number_time_mark_and_label(monkeypatch):
    written = []
    monkeypatch.setattr(sheets.cv2, "putText", lambda tile, text, *_: written.append(text))
    labels = ["", "", "ED", *["rest"] * 6]
    facts = {"marks": {1: "ES", 2: "ED"}, "labels": labels}
    contact_sheet(view(fps=50.0, **facts), frames=[0, 1, 2, 3])
    assert written == [
        "frame 0, 0.00 s", "frame 1, 0.02 s, ES", "frame 2, 0.04 s, ED", "frame 3, 0.06 s, rest",
    ]  # fmt: skip
    written.clear()
    contact_sheet(view(numbers=np.arange(9) + 40), frames=[1])
    contact_sheet(view(numbers=np.arange(9) + 40, fps=10.0), frames=[1])
    assert written == ["frame 41", "frame 41, 4.10 s"]


@pytest.mark.parametrize("shape", [(30, 45), (400, 100), (300, 12), (5, 500)])
def test_a_caption_stays_inside_its_tile(shape):
    frames = np.zeros((2, *shape), np.uint8)
    labels = ["a label that is much longer than any tile is wide, without doubt"] * 2
    tile = contact_sheet(View("a", frames, labels=labels), frames=[0])
    below = tile[-CAPTION_HEIGHT:].any(axis=(0, 2))
    width = tile.shape[1]
    assert not below[:2].any() and not below[-2:].any()
    if 100 < width < 500:
        assert below[width * 3 // 4 :].any()  # and it uses the width of the tile


def test_a_caption_is_cut_only_if_it_is_too_long():
    assert sheets._shorten("frame 1, 0.02 s", 210) == "frame 1, 0.02 s"
    cut = sheets._shorten("frame 1, a long label", 100)
    assert cut.endswith("...") and "frame 1, a long label".startswith(cut.removesuffix("..."))
    assert sheets._shorten("frame 1", 3) == ""


@pytest.mark.parametrize("shape", [(10, 400), (400, 7)])
def test_long_thin_frames_have_a_sheet(shape):
    masks = np.zeros((3, *shape), bool)
    masks[:, 2:5, 2:5] = True
    frames = np.zeros((3, *shape), np.uint8)
    assert near(contact_sheet(View("a", frames, layers=(Layer("m", masks),)))).any()
