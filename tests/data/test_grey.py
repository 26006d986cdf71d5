"""Grey frames from colour: what is burned in becomes black, and a tinted display stays bright."""

import warnings

import numpy as np
import pytest

from echolib.data import example_clip
from echolib.data.grey import GreyFrames

LUMA = np.array([0.299, 0.587, 0.114])
TRACE = slice(40, 43)  # rows of a burned-in trace


def grey_of(frames: np.ndarray) -> np.ndarray:
    """(T, H, W) uint8 from frames (T, H, W, 3) uint8."""
    collected = GreyFrames("clip.avi")
    for frame in frames:
        collected.add(frame)
    return collected.finish()


def tinted(tint: tuple[float, float, float]) -> np.ndarray:
    """Four frames of a real clip on a display of that tint, (4, H, W, 3) uint8."""
    return np.rint(example_clip().frames[:4, ..., None] * np.array(tint)).astype(np.uint8)


@pytest.mark.parametrize(
    "tint",
    [
        (1, 0.93, 0.82),
        (1, 0.9, 0.75),
        (0.8, 0.9, 1),
        (1, 0.85, 0.65),
        (1, 0.8, 0.5),
        (0.6, 1, 0.7),
        (0, 1, 0),
    ],
)
def test_a_tint_is_no_colour_whether_faint_or_strong(tint):
    frames = tinted(tint)
    with pytest.warns(UserWarning, match="the whole display is tinted"):
        read = grey_of(frames)
    np.testing.assert_allclose(read, frames @ LUMA, atol=1)


@pytest.mark.parametrize("tint", [(1, 0.93, 0.82), (0.8, 0.9, 1)])
@pytest.mark.parametrize("colour", [(0, 255, 0), (255, 40, 40), (30, 60, 255)])
def test_what_is_burned_into_a_tinted_display_becomes_black(tint, colour):
    frames = tinted(tint)
    expected = frames @ LUMA
    frames[:, TRACE] = colour
    with pytest.warns(UserWarning, match="tinted"):
        read = grey_of(frames)
    assert (read[:, TRACE] == 0).all()
    below, above = slice(None, TRACE.start - 1), slice(TRACE.stop + 1, None)  # a rim of 1 px
    for rows in (below, above):
        np.testing.assert_allclose(read[:, rows], expected[:, rows], atol=1)


def test_colours_on_a_grey_display_do_not_tint_it():
    """A Doppler box of one colour over a good part of the sector."""
    frames = tinted((1, 1, 1))
    _, height, width, _ = frames.shape
    box = slice(height // 4, height // 2), slice(width // 3, width // 2)
    frames[:, *box] = (frames[:, *box] * np.array([1.0, 0.3, 0.1])).astype(np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read = grey_of(frames)
    plain = tinted((1, 1, 1))
    bright = plain[:, *box, 0] > 40
    assert (read[:, *box][bright] == 0).all()
    np.testing.assert_array_equal(read[:, height // 2 + 1 :], plain[:, height // 2 + 1 :, :, 0])


def test_pixels_that_are_grey_are_never_burned_in():
    """Whatever most pixels are: here two thirds are of one red, and the others are grey."""
    frames = np.full((2, 60, 60, 3), (200, 90, 60), np.uint8)
    frames[:, :20] = 150
    with pytest.warns(UserWarning, match="tinted"):
        read = grey_of(frames)
    assert (read[:, :20] == 150).all()


def test_a_dark_clip_takes_no_tint_from_what_is_burned_in():
    frames = np.full((2, 60, 60, 3), 30, np.uint8)
    frames[:, 30:32] = (0, 255, 0)
    read = grey_of(frames)
    assert (read[:, 29:33] == 0).all() and (read[:, 33:] == 30).all()


def test_a_dark_bluish_page_does_not_tint_the_grey_frame_on_it():
    """As `figures.function_video` makes: the page is larger than the frame."""
    frames = np.full((2, 120, 200, 3), (19, 23, 27), np.uint8)
    frames[:, 20:80, 20:80] = np.linspace(30, 200, 60).astype(np.uint8)[:, None]
    frames[:, 100:102] = (230, 90, 160)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read = grey_of(frames)
    np.testing.assert_array_equal(read[:, 20:80, 20:80], frames[:, 20:80, 20:80, 0])
    assert (read[:, 99:103] == 0).all()
