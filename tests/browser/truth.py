"""What the frame browser's canvas must show, worked out by numpy; imported in kernels, too."""

import json
import re
from pathlib import Path

import numpy as np

from echolib.browser import Curve, Layer, View
from echolib.browser.sources import Views

SHAPE = (28, 36)
SCALE = 13  # the first whole number that makes 36 px 448 or more: canvas px of a frame's pixel
COUNT = 24
FPS = 30.0


def make_frames(seed: int = 0, count: int = COUNT) -> np.ndarray:
    """(T, 28, 36) uint8 of noise, darker than any overlay."""
    return np.random.default_rng(seed).integers(0, 90, (count, *SHAPE)).astype(np.uint8)


def make_masks(shift: int = 0, count: int = COUNT) -> np.ndarray:
    """(T, 28, 36) bool: an ellipse that beats, and moves to the right by `shift` px."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    sizes = 8 + 2 * np.cos(2 * np.pi * np.arange(count) / 12)[:, None, None]
    return (((x - 16 - shift) / sizes) ** 2 + ((y - 14) / (1.2 * sizes)) ** 2) < 1


def make_view(name: str = "one", seed: int = 0, count: int = COUNT) -> View:
    """A clip with two models, a truth in two frames, doubt, a tracing and a curve."""
    known = np.isin(np.arange(count), (2, 8))
    points = np.full((count, 4, 2), np.nan, np.float32)
    points[2] = [[10, 10], [20, 10], [20, 18], [10, 18]]
    layers = (
        Layer("truth", make_masks(count=count), role="truth", known=known),
        Layer("masks", make_masks(3, count)),
        Layer("landmarks", make_masks(-3, count)),
        Layer("points", points=points, role="tracing", on=False),
        Layer("doubt", heat=make_frames(seed + 9, count), role="doubt", on=False),
    )
    marks = {2: "ED", 8: "ES"}
    curve = Curve("pulse", np.sin(np.arange(count) / 4), "beats")
    return View(name, make_frames(seed, count), FPS, 0.5, layers, (curve,), marks)


def make_views() -> Views:
    """Three clips, read when asked for; the fourth cannot be read."""
    names = ("one", "two", "three", "gone")
    notes = ("train", "test", "test", "test")

    def read(number: int) -> View:
        if names[number] == "gone":
            raise FileNotFoundError("gone.avi has been deleted")
        return make_view(names[number], number, COUNT - number)

    return Views(names, notes, read)


def page_data(path: Path) -> dict:
    """What an exported page holds: the browser's state and its clips."""
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'id="browser-data">(.*?)</script>', text, re.DOTALL)[1])


def greys(frame: np.ndarray, window: tuple[int, int] = (0, 255), gamma: float = 1) -> np.ndarray:
    """(H k, W k) uint8: a frame as it stands on the canvas at zoom 1, unsmoothed."""
    share = np.clip((frame.astype(float) - window[0]) / (window[1] - window[0]), 0, 1)
    return enlarged(np.floor(255 * share**gamma + 0.5).astype(np.uint8))


def enlarged(picture: np.ndarray, by: int = SCALE) -> np.ndarray:
    """Every pixel as a square."""
    return picture.repeat(by, axis=0).repeat(by, axis=1)


def inner(*masks: np.ndarray) -> np.ndarray:
    """(H, W) bool: pixels around which no edge of any mask runs."""
    calm = np.ones(SHAPE, bool)
    for mask in masks:
        padded = np.pad(mask, 1)
        around = [padded[y : y + SHAPE[0], x : x + SHAPE[1]] for y in range(3) for x in range(3)]
        calm &= np.all(np.stack(around) == mask, axis=0)
    return calm


def check_grey(canvas: np.ndarray, frame: np.ndarray, **look: object) -> None:
    """Raise AssertionError unless the canvas (h, w, 4) shows the frame and nothing else."""
    expected = greys(frame, **look)
    for channel in range(3):
        np.testing.assert_array_equal(canvas[..., channel], expected)
    assert (canvas[..., 3] == 255).all()


def check_outlines(canvas: np.ndarray, frame: np.ndarray, layers: dict) -> None:
    """Raise AssertionError unless outlines run where masks end, and only there.

    layers: colours (RGB) and masks (H, W) by name; the last one is on top.
    """
    grey = np.stack([greys(frame)] * 3, axis=-1).astype(int)
    calm = enlarged(inner(*(mask for _, mask in layers.values())))
    np.testing.assert_array_equal(canvas[calm][:, :3], grey[calm])
    colour, mask = list(layers.values())[-1]
    y, x = np.nonzero(mask[:, 1:] != mask[:, :-1])  # an edge between the pixels x and x + 1
    rows, columns = np.round((y + 0.5) * SCALE).astype(int), (x + 1) * SCALE
    coloured = np.zeros(len(x), bool)
    for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):  # the four px that meet there
        place = rows - row, columns - column
        found = canvas[place][:, :3].astype(int)
        to_colour = np.abs(found - np.array(colour)).sum(axis=1)
        coloured |= to_colour < np.abs(found - grey[place]).sum(axis=1)
    assert coloured.all()


def check_difference(
    canvas: np.ndarray, frame: np.ndarray, mask: np.ndarray, truth: np.ndarray, colours: tuple
) -> None:
    """Raise AssertionError unless what only one of two masks holds is tinted half in its colour.

    colours: of the mask and of the truth.
    """
    expected = np.stack([frame] * 3, axis=-1).astype(float)
    for some, colour in zip((mask & ~truth, truth & ~mask), colours, strict=True):
        assert some.any()
        expected[some] = (expected[some] + np.array(colour)) / 2
    calm = inner(mask, truth)
    wrong = np.abs(enlarged(expected) - canvas[..., :3])[enlarged(calm)]
    assert wrong.max() <= 3
    assert ((mask ^ truth) & calm).any()
