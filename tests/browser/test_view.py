"""What is shown of one clip: what is refused, what is measured, which colours are given."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from echolib.browser.view import Curve, Layer, View
from echolib.errors import DataError
from echolib.figures.overlay import GREEN, PINK
from echolib.metrics import dice
from echolib.valve.opening import opening_curve

COUNT, SHAPE = 9, (30, 45)
WHOLE = (COUNT, *SHAPE)


def frames(count: int = COUNT) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 80, (count, *SHAPE)).astype(np.uint8)


def masks(seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).random(WHOLE) < 0.3


def view(**changes) -> View:
    return View(**{"name": "a", "frames": frames(), **changes})


def leaflets(count: int = 40) -> np.ndarray:
    """Two strips from hinges at the sides that swing apart and together again, apex up."""
    y, x = np.mgrid[:60, :80].astype(float)
    every = np.zeros((count, 60, 80), bool)
    for frame, angle in enumerate(0.9 * np.sin(np.linspace(0, 2 * np.pi, count)) ** 2):
        for hinge, side in ((20, 1), (60, -1)):
            along = side * (x - hinge) * np.cos(angle) - (y - 40) * np.sin(angle)
            across = side * (x - hinge) * np.sin(angle) + (y - 40) * np.cos(angle)
            every[frame] |= (along >= 0) & (along <= 19) & (np.abs(across) <= 1.5)
    return every


# --- What does not fit ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"frames": frames()[0]}, r"frames: expected \(T, H, W\) uint8, found uint8 of shape"),
        ({"frames": frames().astype(float)}, "frames: .* found float64"),
        ({"frames": [1, 2]}, "frames: .* found list"),
        ({"frames": frames()[:0]}, r"empty clip of shape \(0, 30, 45\)"),
        ({"frames": frames()[:, :, :0]}, "empty clip"),
        ({"fps": 0}, "fps: expected a number above 0"),
        ({"fps": float("inf")}, "fps"),
        ({"spacing": float("nan")}, "spacing: expected a number above 0"),
        ({"spacing": "1 mm"}, "spacing.*'1 mm'"),
        ({"fps": np.array([25, 50])}, "fps: expected a number above 0"),
        ({"fps": 1j}, "fps: expected a number above 0"),
        ({"labels": ["ED"]}, "labels: expected a text for each of 9 frames, found 1"),
        ({"labels": "EDESEDESE"}, "labels: .* found a single text"),
        ({"marks": {9: "ED"}}, r"marks: expected indices of frames from 0 to 8, found 9 \(ED\)"),
        ({"marks": {-1: "ES"}}, "marks: .* found -1"),
        ({"marks": {1.5: "ES"}}, "marks: .* found 1.5"),
        ({"marks": ["ED"]}, "marks: expected a mapping .* found list"),
        ({"numbers": np.arange(8)}, r"numbers: expected \(9,\) whole numbers"),
        ({"numbers": np.arange(9) / 2}, "numbers.*float64"),
        ({"numbers": np.arange(9) - 1}, "numbers"),
    ],
)
def test_facts_that_do_not_fit_are_refused(changes, reason):
    with pytest.raises(DataError, match=f"Clip 'a', {reason}|Clip 'a', .*{reason}"):
        view(**changes)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"masks": masks()[:8]}, r"masks: expected \(9, 30, 45\) bool .*\(8, 30, 45\)"),
        ({"masks": masks().astype(np.uint8)}, "masks: .* bool .* found uint8"),
        ({"masks": masks()[:, :, 1:]}, r"masks: .*\(9, 30, 44\)"),
        ({"heat": masks()}, "heat: .* uint8 .* found bool"),
        ({"points": np.zeros((8, 4, 2))}, r"points: expected \(9, n, 2\) numbers"),
        ({"points": np.zeros((9, 4, 3))}, "points"),
        ({"points": np.zeros((9, 2))}, "points"),
        ({"points": np.full((9, 4, 2), "x")}, "points"),
        ({"segments": np.zeros((9, 4, 2))}, r"segments: expected \(9, n, 2, 2\)"),
        ({"masks": masks(), "known": np.ones(8, bool)}, r"known: expected \(9,\) bool"),
        ({"masks": masks(), "known": np.ones(9)}, "known: .* found float64"),
        ({}, "expected masks, points, segments or heat, found none"),
        ({"known": np.ones(9, bool)}, "expected masks, points, segments or heat"),
        ({"masks": masks(), "role": "guess"}, "expected a role of .* found 'guess'"),
        ({"masks": masks(), "colour": (0, 0)}, "colour: expected RGB, .* 0 to 255"),
        ({"masks": masks(), "colour": (0, 0, 256)}, "colour: expected RGB, .* 0 to 255"),
        ({"masks": masks(), "colour": (0, -1, 0)}, "colour: expected RGB, .* 0 to 255"),
        ({"masks": masks(), "colour": (0.5, 0, 0)}, "colour: expected RGB, .* 0 to 255"),
        ({"masks": masks(), "colour": "pink"}, "colour: expected RGB, .* found 'pink'"),
    ],
)
def test_layers_that_do_not_fit_are_refused(changes, reason):
    with pytest.raises(DataError, match=f"Clip 'a', layer 'model'.*{reason}"):
        view(layers=(Layer("model", **changes),))


def test_layers_must_be_told_apart():
    one = Layer("model", masks())
    with pytest.raises(DataError, match=r"several called \['model'\]"):
        view(layers=(one, Layer("model", masks(2))))
    truths = tuple(Layer(name, masks(), role="truth") for name in "ab")
    with pytest.raises(DataError, match=r"one truth at most, found \['a', 'b'\]"):
        view(layers=truths)
    with pytest.raises(DataError, match="page uses itself"):
        view(layers=(Layer("difference", masks()),))


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.zeros(8), r"expected \(9,\) numbers .* shape \(8,\)"),
        ([0.0] * 9, "found list"),
        (np.full(9, np.nan), "NaN alone"),
        (np.r_[np.inf, np.zeros(8)], "infinite"),
    ],
)
def test_curves_that_do_not_fit_are_refused(values, reason):
    with pytest.raises(DataError, match=f"Clip 'a', curve 'c'.*{reason}"):
        view(curves=(Curve("c", values),))


def test_two_curves_of_one_name_need_two_units():
    one, other = Curve("c", np.ones(COUNT), "ml"), Curve("c", np.ones(COUNT), "cm²")
    assert len(view(curves=(one, other)).curves) == 2
    with pytest.raises(DataError, match="several called"):
        view(curves=(one, Curve("c", np.zeros(COUNT), "ml")))


# --- What fits -----------------------------------------------------------------------------------


def test_one_frame_is_a_clip():
    alone = View("a", frames(1), layers=(Layer("m", masks()[:1]),), marks={0: "ED"})
    assert len(alone) == 1 and len(alone.all_curves[0].values) == 1


def test_words_are_put_in_order():
    marks = {np.int64(5): "ES", 2: "ED"}
    labels = ["x", None, *map(str, range(7))]
    shown = view(marks=marks, labels=labels, numbers=list(range(9)))
    assert list(shown.marks.items()) == [(2, "ED"), (5, "ES")]
    assert shown.labels == ("x", "", *map(str, range(7)))
    assert isinstance(shown.numbers, np.ndarray)


@given(st.lists(st.sampled_from(["model", "other", "tracing", "leaflets", "doubt"]), max_size=9))
def test_every_layer_has_a_colour_and_pink_and_green_keep_their_meaning(roles):
    layers = [Layer(f"layer {n}", masks(), role=role) for n, role in enumerate(roles)]
    shown = view(layers=(*layers, Layer("truth", masks(), role="truth"))).layers
    assert [layer.role for layer in shown] == [*roles, "truth"]
    assert [layer.name for layer in shown if layer.colour == GREEN] == ["truth"]
    pink = [layer for layer in shown if layer.colour == PINK]
    assert pink == [layer for layer in shown if layer.role == "model"][:1]
    yellow = {layer.colour for layer in shown if layer.role == "tracing"}
    assert len(yellow) <= 1
    few = [layer.colour for layer in shown if layer.role != "tracing"]
    if len(few) <= 4:
        assert len(set(few)) == len(few)


def test_a_colour_that_is_given_stays_and_is_not_given_again():
    sky = view(layers=[Layer("x", masks()), Layer("y", masks())]).layers[1].colour
    given_one = Layer("x", masks(), role="other", colour=sky)
    shown = view(layers=(given_one, Layer("y", masks()), Layer("z", masks(2)))).layers
    assert shown[0].colour == sky and shown[1].colour == PINK and shown[2].colour != sky


@pytest.mark.parametrize("kind", [tuple, list, np.array])
def test_colours_may_be_written_in_any_way(kind):
    layers = Layer("x", masks(), colour=kind([1, 2, 3])), Layer("y", masks())
    curves = (Curve("c", np.ones(COUNT), colour=kind([0, 0, 0])),)
    shown = view(layers=layers, curves=curves)
    assert (shown.layers[0].colour, shown.curves[0].colour) == ((1, 2, 3), (0, 0, 0))
    with pytest.raises(DataError, match="curve 'c', colour: expected RGB"):
        view(curves=(Curve("c", np.ones(COUNT), colour=kind([0, 0])),))


def test_curves_have_colours_their_layers_where_there_is_one():
    curves = (Curve("model", np.ones(COUNT), "ml"), Curve("else", np.ones(COUNT)))
    shown = view(layers=(Layer("model", masks()),), curves=curves)
    assert shown.curves[0].colour == PINK
    assert shown.curves[1].colour not in (None, PINK, GREEN)


# --- What the masks tell -------------------------------------------------------------------------


def test_area_counts_the_pixels_of_known_frames():
    known = np.arange(COUNT) % 2 == 0
    layer = Layer("m", masks(), known=known)
    area = view(layers=(layer,)).area(layer)
    np.testing.assert_array_equal(area[known], masks().sum(axis=(1, 2))[known])
    assert np.isnan(area[~known]).all()


def test_dice_is_known_where_both_are():
    truth = Layer("truth", masks(), role="truth", known=np.arange(COUNT) < 6)
    model = Layer("m", masks(2), known=np.arange(COUNT) > 2)
    shown = view(layers=(truth, model))
    assert shown.truth.name == "truth"
    scores = shown.dice(model)
    assert np.flatnonzero(np.isfinite(scores)).tolist() == [3, 4, 5]
    assert scores[4] == dice(masks(2)[4], masks()[4])
    np.testing.assert_array_equal(shown.dice(shown.truth)[:6], 1)


def test_without_truth_no_dice_and_without_masks_no_area():
    points = Layer("p", points=np.zeros((COUNT, 3, 2)), role="truth")
    shown = view(layers=(points, Layer("m", masks())))
    assert shown.truth is None and np.isnan(shown.dice(shown.layers[1])).all()
    with pytest.raises(ValueError, match="'p' has no masks"):
        shown.area(points)


@pytest.mark.parametrize(("spacing", "unit", "size"), [(None, "px²", 1), (0.5, "cm²", 0.0025)])
def test_areas_are_curves_in_cm2_where_the_spacing_is_known(spacing, unit, size):
    layers = [Layer(role, masks(), role=role) for role in ("truth", "model", "other")]
    layers += [Layer("t", masks(), role="tracing"), Layer("d", masks(), role="doubt")]
    layers += [Layer("nothing", masks(), known=np.zeros(COUNT, bool))]
    shown = view(layers=tuple(layers), spacing=spacing)
    assert [curve.name for curve in shown.all_curves] == ["truth", "model", "other"]
    for curve, layer in zip(shown.all_curves, shown.layers, strict=False):
        assert curve.unit == unit and curve.colour == layer.colour
        np.testing.assert_allclose(curve.values, masks().sum(axis=(1, 2)) * size)


def test_a_curve_that_is_given_is_not_drawn_twice():
    own = Curve("model", np.arange(COUNT, dtype=float), "px²")
    shown = view(layers=(Layer("model", masks()),), curves=(own,))
    assert [curve.values[3] for curve in shown.all_curves] == [3]


def test_leaflets_have_an_opening_curve():
    moving = leaflets()
    count = len(moving)
    pictures = np.zeros(moving.shape, np.uint8)
    known = np.arange(count) >= 5
    layers = (Layer("leaflets", moving, role="leaflets", known=known),)
    (curve,) = View("v", pictures, 50.0, layers=layers).all_curves
    assert curve.unit == "of annulus" and np.isnan(curve.values[:5]).all()
    expected = opening_curve(moving, 50.0).smooth[5:]
    assert np.isfinite(expected).any()
    np.testing.assert_array_equal(curve.values[5:], expected)
    empty = (Layer("leaflets", np.zeros_like(moving), role="leaflets"),)
    assert View("v", pictures, layers=empty).all_curves == ()


def test_looking_at_clips_needs_no_torch():
    code = (
        "import sys, echolib.browser.sources, echolib.browser.sheet; print('torch' in sys.modules)"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
    assert done.stdout.strip() == "False", done.stderr
