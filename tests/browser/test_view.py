"""A view of one clip: invalid fields, colours, areas, Dice and curves."""

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from echolib.browser.encoding import EncodedView
from echolib.browser.layer import Curve, Layer
from echolib.browser.view import View, colour_of
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
    """Two strips that hang from hinges at the sides and swing open and shut, apex up."""
    y, x = np.mgrid[:60, :80].astype(float)
    masks = np.zeros((count, 60, 80), bool)
    for frame, angle in enumerate(0.9 * np.sin(np.linspace(0, 2 * np.pi, count)) ** 2):
        for hinge, side in ((20, 1), (60, -1)):
            along = side * (x - hinge) * np.cos(angle) - (y - 40) * np.sin(angle)
            across = side * (x - hinge) * np.sin(angle) + (y - 40) * np.cos(angle)
            masks[frame] |= (along >= 0) & (along <= 19) & (np.abs(across) <= 1.5)
    return masks


# --- Invalid fields ------------------------------------------------------------------------------


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
        ({"marks": {9: "ED"}}, r"marks: expected a frame from 0 to 8, found 9 \(ED\)"),
        ({"marks": {-1: "ES"}}, "marks: .* found -1"),
        ({"marks": {1.5: "ES"}}, "marks: .* found 1.5"),
        ({"marks": ["ED"]}, "marks: expected a mapping .* found list"),
        ({"start": 9}, "start: expected a frame from 0 to 8, found 9"),
        ({"start": -1}, "start"),
        ({"start": 2.5}, "start"),
        ({"numbers": np.arange(8)}, r"numbers: expected \(9,\) whole numbers"),
        ({"numbers": np.arange(9) / 2}, "numbers.*float64"),
        ({"numbers": np.arange(9) - 1}, "numbers"),
    ],
)
def test_fields_that_do_not_fit_are_refused(changes, reason):
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
        ({"masks": masks(), "labelled": np.ones(8, bool)}, r"labelled: expected \(9,\) bool"),
        ({"masks": masks(), "labelled": np.ones(9)}, "labelled: .* found float64"),
        ({}, "expected masks, points, segments or heat, found none"),
        ({"labelled": np.ones(9, bool)}, "expected masks, points, segments or heat"),
        ({"masks": masks(), "role": "guess"}, "expected one of the roles .* found 'guess'"),
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


def test_layers_need_different_names_and_at_most_one_is_the_truth():
    one = Layer("model", masks())
    with pytest.raises(DataError, match=r"several called \['model'\]"):
        view(layers=(one, Layer("model", masks(2))))
    truths = tuple(Layer(name, masks(), role="truth") for name in "ab")
    with pytest.raises(DataError, match=r"at most one truth, found \['a', 'b'\]"):
        view(layers=truths)
    with pytest.raises(DataError, match="page does not use itself, found 'difference'"):
        view(layers=(Layer("difference", masks()),))


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.zeros(8), r"expected \(9,\) numbers .* shape \(8,\)"),
        ([0.0] * 9, "found list"),
        (np.full(9, np.nan), "only NaN"),
        (np.r_[np.inf, np.zeros(8)], "infinite"),
    ],
)
def test_curves_that_do_not_fit_are_refused(values, reason):
    with pytest.raises(DataError, match=f"Clip 'a', curve 'c'.*{reason}"):
        view(curves=(Curve("c", values),))


def test_two_curves_of_the_same_name_need_different_units():
    one, other = Curve("c", np.ones(COUNT), "ml"), Curve("c", np.ones(COUNT), "cm²")
    assert len(view(curves=(one, other)).curves) == 2
    with pytest.raises(DataError, match="several called"):
        view(curves=(one, Curve("c", np.zeros(COUNT), "ml")))


# --- Valid fields --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "number", [Fraction(30000, 1001), np.float32(0.5), np.int64(25), 25, 0.1], ids=repr
)
def test_numbers_of_every_kind_reach_the_page(number):
    shown = view(fps=number, spacing=number)
    header = json.loads(json.dumps(EncodedView(shown).header))
    assert header["fps"] == shown.fps == shown.spacing == float(number)


def test_one_frame_is_a_clip():
    alone = View("a", frames(1), layers=(Layer("m", masks()[:1]),), marks={0: "ED"})
    assert len(alone) == 1 and len(alone.all_curves[0].values) == 1


def test_marks_are_sorted_and_labels_and_numbers_are_converted():
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


def test_a_layers_own_colour_stays_and_no_other_layer_gets_it():
    sky = view(layers=[Layer("x", masks()), Layer("y", masks())]).layers[1].colour
    given_one = Layer("x", masks(), role="other", colour=sky)
    shown = view(layers=(given_one, Layer("y", masks()), Layer("z", masks(2)))).layers
    assert shown[0].colour == sky and shown[1].colour == PINK and shown[2].colour != sky


@pytest.mark.parametrize("kind", [tuple, list, np.array])
def test_a_colour_may_be_a_tuple_a_list_or_an_array(kind):
    layers = Layer("x", masks(), colour=kind([1, 2, 3])), Layer("y", masks())
    curves = (Curve("c", np.ones(COUNT), colour=kind([0, 0, 0])),)
    shown = view(layers=layers, curves=curves)
    assert (shown.layers[0].colour, shown.curves[0].colour) == ((1, 2, 3), (0, 0, 0))
    with pytest.raises(DataError, match="curve 'c', colour: expected RGB"):
        view(curves=(Curve("c", np.ones(COUNT), colour=kind([0, 0])),))


def test_layers_and_curves_have_a_colour_only_in_a_view():
    layer, curve = Layer("x", masks()), Curve("c", np.ones(COUNT))
    shown = view(layers=(layer,), curves=(curve,))
    assert colour_of(shown.layers[0]) == PINK != colour_of(shown.curves[0])
    for item in (layer, curve):
        with pytest.raises(ValueError, match=f"{item.name!r} has no colour: a view gives"):
            colour_of(item)


def test_a_curve_has_the_colour_of_the_layer_with_its_name():
    curves = (Curve("model", np.ones(COUNT), "ml"), Curve("else", np.ones(COUNT)))
    shown = view(layers=(Layer("model", masks()),), curves=curves)
    assert shown.curves[0].colour == PINK
    assert shown.curves[1].colour not in (None, PINK, GREEN)


# --- Measurements of masks -----------------------------------------------------------------------


def test_area_counts_the_pixels_of_labelled_frames():
    labelled = np.arange(COUNT) % 2 == 0
    layer = Layer("m", masks(), labelled=labelled)
    area = view(layers=(layer,)).area(layer)
    np.testing.assert_array_equal(area[labelled], masks().sum(axis=(1, 2))[labelled])
    assert np.isnan(area[~labelled]).all()


def test_dice_is_measured_where_both_layers_are_labelled():
    truth = Layer("truth", masks(), role="truth", labelled=np.arange(COUNT) < 6)
    model = Layer("m", masks(2), labelled=np.arange(COUNT) > 2)
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
    layers += [Layer("nothing", masks(), labelled=np.zeros(COUNT, bool))]
    shown = view(layers=tuple(layers), spacing=spacing)
    assert [curve.name for curve in shown.all_curves] == ["truth", "model", "other"]
    for curve, layer in zip(shown.all_curves, shown.layers, strict=False):
        assert curve.unit == unit and curve.colour == layer.colour
        np.testing.assert_allclose(curve.values, masks().sum(axis=(1, 2)) * size)


def test_a_curve_of_the_view_replaces_the_measured_curve_of_its_name_and_unit():
    own = Curve("model", np.arange(COUNT, dtype=float), "px²")
    shown = view(layers=(Layer("model", masks()),), curves=(own,))
    assert [curve.values[3] for curve in shown.all_curves] == [3]


def test_leaflets_have_an_opening_curve():
    moving = leaflets()
    count = len(moving)
    pictures = np.zeros(moving.shape, np.uint8)
    labelled = np.arange(count) >= 5
    layers = (Layer("leaflets", moving, role="leaflets", labelled=labelled),)
    (curve,) = View("v", pictures, 50.0, layers=layers).all_curves
    assert curve.unit == "of annulus" and np.isnan(curve.values[:5]).all()
    expected = opening_curve(moving, 50.0).smooth[5:]
    assert np.isfinite(expected).any()
    np.testing.assert_array_equal(curve.values[5:], expected)
    empty = (Layer("leaflets", np.zeros_like(moving), role="leaflets"),)
    assert View("v", pictures, layers=empty).all_curves == ()


def test_views_of_clips_need_no_torch():
    code = (
        "import sys, echolib.browser.sources, echolib.browser.sheet; print('torch' in sys.modules)"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
    assert done.stdout.strip() == "False", done.stderr


def test_another_structure_than_the_truths_has_no_dice():
    frames, masks = np.zeros((2, 8, 9), np.uint8), np.ones((2, 8, 9), bool)
    truth = Layer("truth", masks, role="truth", structure="ventricle")
    layers = [Layer("lv", masks, structure="ventricle"), Layer("own", masks)]
    layers.append(Layer("valve", masks, role="leaflets", structure="leaflets"))
    view = View("clip", frames, layers=(truth, *layers))
    assert [view.dice(layer).tolist() for layer in view.layers[1:3]] == [[1.0, 1.0]] * 2
    assert np.isnan(view.dice(view.layers[3])).all()
    header = EncodedView(view).header
    assert [layer["dice"] is None for layer in header["layers"][:4]] == [True, False, False, True]
