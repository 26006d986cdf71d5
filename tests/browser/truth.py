"""Expected pictures of the frame browser, computed by numpy; also imported in notebook kernels."""

import json
import re
from pathlib import Path

import numpy as np
from PIL import Image, ImageSequence

from echolib.browser import Curve, Layer, View
from echolib.browser.sources import Views

SHAPE = (28, 36)
SCALE = 13  # canvas px per pixel of a frame: the smallest integer that makes 36 px at least 448
COUNT = 24
HEART_SHAPE, HEART_COUNT = (56, 64), 12  # of the clip for the editor
FPS = 30.0
ROOT = ".echolib-browser"  # of the browser in a page


def make_frames(seed: int = 0, count: int = COUNT) -> np.ndarray:
    """Make (T, 28, 36) uint8 of noise that is darker than any overlay."""
    return np.random.default_rng(seed).integers(0, 90, (count, *SHAPE)).astype(np.uint8)


def make_masks(shift: int = 0, count: int = COUNT) -> np.ndarray:
    """Make (T, 28, 36) bool: an ellipse that beats, shifted to the right by `shift` px."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    sizes = 8 + 2 * np.cos(2 * np.pi * np.arange(count) / 12)[:, None, None]
    return (((x - 16 - shift) / sizes) ** 2 + ((y - 14) / (1.2 * sizes)) ** 2) < 1


def make_view(name: str = "one", seed: int = 0, count: int = COUNT) -> View:
    """Make a view with two models, a truth in two frames, doubt, a tracing and a curve."""
    labelled = np.isin(np.arange(count), (2, 8))
    points = np.full((count, 4, 2), np.nan, np.float32)
    points[2] = [[10, 10], [20, 10], [20, 18], [10, 18]]
    layers = (
        Layer("truth", make_masks(count=count), role="truth", labelled=labelled),
        Layer("masks", make_masks(3, count)),
        Layer("landmarks", make_masks(-3, count)),
        Layer("points", points=points, role="tracing", on=False),
        Layer("doubt", heat=make_frames(seed + 9, count), role="doubt", on=False),
    )
    marks = {2: "ED", 8: "ES"}
    curve = Curve("pulse", np.sin(np.arange(count) / 4), "beats")
    return View(name, make_frames(seed, count), FPS, 0.5, layers, (curve,), marks)


def make_heart(name: str = "one", network: bool = True) -> View:
    """Make a view of a dark ventricle that beats in grey noise, with a network's masks or without.

    Its base is straight, so that hinges and apex can be found.
    """
    y, x = np.mgrid[: HEART_SHAPE[0], : HEART_SHAPE[1]]
    sizes = 12 + 2 * np.cos(np.arange(HEART_COUNT) / 2)[:, None, None]
    masks = (((x - 31) / sizes) ** 2 + ((y - 26) / (1.4 * sizes)) ** 2 < 1) & (y < 36)
    noise = np.random.default_rng(0).integers(0, 60, masks.shape)
    frames = (noise + np.where(masks, 10, 90)).astype(np.uint8)
    layers = (Layer("lv", masks),) if network else ()
    return View(name, frames, 50, 0.5, layers, marks={1: "ED", 7: "ES"})


def make_views() -> Views:
    """Make a list of four clips, of which the last cannot be read."""
    names = ("one", "two", "three", "gone")
    keywords = ("train", "test", "test", "test")

    def read(number: int) -> View:
        if names[number] == "gone":
            raise FileNotFoundError("gone.avi has been deleted")
        return make_view(names[number], number, COUNT - number)

    return Views(names, keywords, read)


def page_data(path: Path) -> dict:
    """Return the data of an exported page: the browser's state and its clips."""
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'id="browser-data">(.*?)</script>', text, re.DOTALL)[1])


def read_saved(path: Path) -> tuple[np.ndarray, list[float]]:
    """Return (n, h, w, 3) uint8 RGB of a PNG, animated or not, and the ms that each frame lasts."""
    with Image.open(path) as file:
        frames = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(file)]
        durations = []
        for number in range(len(frames)):
            file.seek(number)
            durations.append(file.info.get("duration", 0.0))
    return np.stack(frames), durations


def greys(frame: np.ndarray, window: tuple[int, int] = (0, 255), gamma: float = 1) -> np.ndarray:
    """Return (H k, W k) uint8, k = SCALE: a frame on the canvas at zoom 1, without smoothing."""
    share = np.clip((frame.astype(float) - window[0]) / (window[1] - window[0]), 0, 1)
    return enlarged(np.floor(255 * share**gamma + 0.5).astype(np.uint8))


def enlarged(picture: np.ndarray, by: int = SCALE) -> np.ndarray:
    """Enlarge every pixel to a square of `by` px."""
    return picture.repeat(by, axis=0).repeat(by, axis=1)


def inner(*masks: np.ndarray) -> np.ndarray:
    """Return (H, W) bool: the pixels that touch no edge of any mask."""
    inside = np.ones(SHAPE, bool)
    for mask in masks:
        padded = np.pad(mask, 1)
        around = [padded[y : y + SHAPE[0], x : x + SHAPE[1]] for y in range(3) for x in range(3)]
        inside &= np.all(np.stack(around) == mask, axis=0)
    return inside


def check_grey(canvas: np.ndarray, frame: np.ndarray, **settings: object) -> None:
    """Raise AssertionError unless the canvas (h, w, 4) shows the frame and nothing else.

    settings: window and gamma, as in `greys`.
    """
    expected = greys(frame, **settings)
    for channel in range(3):
        np.testing.assert_array_equal(canvas[..., channel], expected)
    assert (canvas[..., 3] == 255).all()


def check_outlines(canvas: np.ndarray, frame: np.ndarray, layers: dict) -> None:
    """Raise AssertionError unless outlines are drawn along the edges of the masks, and only there.

    layers: colour (RGB) and mask (H, W) by name; the last layer is on top.
    """
    grey = np.stack([greys(frame)] * 3, axis=-1).astype(int)
    inside = enlarged(inner(*(mask for _, mask in layers.values())))
    np.testing.assert_array_equal(canvas[inside][:, :3], grey[inside])
    colour, mask = list(layers.values())[-1]
    y, x = np.nonzero(mask[:, 1:] != mask[:, :-1])  # an edge between the pixels x and x + 1
    rows, columns = np.round((y + 0.5) * SCALE).astype(int), (x + 1) * SCALE
    coloured = np.zeros(len(x), bool)
    for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):  # the four canvas px that meet there
        index = rows - row, columns - column
        drawn = canvas[index][:, :3].astype(int)
        to_colour = np.abs(drawn - np.array(colour)).sum(axis=1)
        coloured |= to_colour < np.abs(drawn - grey[index]).sum(axis=1)
    assert coloured.all()


def check_difference(
    canvas: np.ndarray, frame: np.ndarray, mask: np.ndarray, truth: np.ndarray, colours: tuple
) -> None:
    """Raise AssertionError unless pixels in only one mask are half tinted in that mask's colour.

    colours: RGB of the mask and of the truth.
    """
    expected = np.stack([frame] * 3, axis=-1).astype(float)
    for pixels, colour in zip((mask & ~truth, truth & ~mask), colours, strict=True):
        assert pixels.any()
        expected[pixels] = (expected[pixels] + np.array(colour)) / 2
    inside = inner(mask, truth)
    error = np.abs(enlarged(expected) - canvas[..., :3])[enlarged(inside)]
    assert error.max() <= 3
    assert ((mask ^ truth) & inside).any()
