"""Frames of the mitral valve as squares: crops of a frame, boxes, whole and close sets."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from echolib.data import FrameSet
from echolib.data.letterbox import Crop, Letterbox
from echolib.data.valve.squares import (
    CLOSE,
    CONTEXT,
    MIN_SIDE,
    WHOLE,
    ValveFrame,
    bounds_of,
    close_set,
    crop_around,
    labelled_valves,
    whole_set,
)
from echolib.data.valve.study import ValveClip


@st.composite
def crops(draw):
    """A crop that overlaps its frame, inside it or across any of its edges."""
    height, width, side = (draw(st.integers(1, 90)) for _ in range(3))
    left = draw(st.integers(1 - side, width - 1))
    top = draw(st.integers(1 - side, height - 1))
    return Crop(height, width, left, top, side, draw(st.integers(1, 90)))


def blob(shape, x, y, radius):
    """(H, W) bool disk."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return (columns - x) ** 2 + (rows - y) ** 2 < radius**2


# --- Crops of a frame ---------------------------------------------------------------------------


@given(crops())
def test_a_crop_is_a_square_and_maps_back_to_the_frame(crop):
    frame = np.full((crop.height, crop.width), 200, np.uint8)
    image, mask = crop.image(frame), crop.mask(frame > 0)
    assert image.shape == mask.shape == (crop.size, crop.size)
    assert image.dtype == np.uint8 and mask.dtype == bool
    back = crop.back(mask)
    assert back.shape == frame.shape and back.dtype == np.float32
    assert back.min() >= 0 and back.max() <= 1 + 1e-5


@given(crops())
def test_points_map_to_the_crop_and_back(crop):
    points = np.random.default_rng(0).uniform(-5, 100, (20, 2)).astype(np.float32)
    mapped = crop.points(points)
    assert mapped.dtype == np.float32 and crop.points_back(mapped).dtype == np.float32
    assert np.allclose(crop.points_back(mapped), points, atol=1e-3)
    assert np.allclose(crop.points(crop.points_back(points)), points, atol=1e-3)
    corner = np.array([crop.left, crop.top]) - 0.5
    corners = crop.points(np.stack([corner, corner + crop.side]))
    assert np.allclose(corners, [[-0.5, -0.5], [crop.size - 0.5] * 2], atol=1e-4)


@given(crops(), st.integers(1, 3))
def test_a_mask_maps_back_exactly_where_the_square_is_a_multiple(crop, factor):
    crop = replace(crop, size=factor * crop.side)
    mask = np.random.default_rng(crop.side).random((crop.height, crop.width)) < 0.5
    shown = np.zeros_like(mask)
    shown[max(crop.top, 0) : crop.top + crop.side, max(crop.left, 0) : crop.left + crop.side] = True
    back = crop.back(crop.mask(mask)) >= 0.5
    assert np.array_equal(back[shown], mask[shown])
    assert not back[~shown].any()  # outside the crop the mask is empty


@given(st.integers(20, 80), st.integers(20, 80), st.integers(30, 120))
def test_a_point_lies_on_the_pixel_that_shows_it(x, y, size):
    """The centre of a single bright patch must agree with `points`."""
    frame = np.zeros((100, 100), np.uint8)
    frame[y - 3 : y + 4, x - 3 : x + 4] = 255
    crop = Crop(100, 100, x - 17, y - 21, 40, size)
    rows, columns = np.mgrid[:size, :size]
    weight = crop.image(frame).astype(float)
    centre = [(weight * columns).sum() / weight.sum(), (weight * rows).sum() / weight.sum()]
    assert np.allclose(centre, crop.points(np.array([x, y])), atol=0.15)


@pytest.mark.parametrize("corner", [(30, 20), (-25, 40), (60, 70), (-40, -30)])
@pytest.mark.parametrize(("side", "size"), [(90, 128), (90, 45)])
def test_a_blob_keeps_its_place_when_mapped_back(corner, side, size):
    crop = Crop(120, 140, *corner, side, size)
    middle = np.clip(np.array(corner) + side / 2, 14, [125, 105])
    mask = blob((120, 140), *middle, 12)
    back = crop.back(crop.mask(mask)) >= 0.5
    assert np.allclose(np.argwhere(back).mean(axis=0), middle[::-1], atol=0.25)
    assert back.sum() == pytest.approx(mask.sum(), rel=0.06)  # half a pixel counts as covered


def test_a_crop_is_black_outside_the_frame():
    image = Crop(10, 12, -4, -6, 20, 20).image(np.full((10, 12), 255, np.uint8))
    lit = np.zeros((20, 20), bool)
    lit[6:16, 4:16] = True
    assert np.array_equal(image == 255, lit) and not image[~lit].any()


@pytest.mark.parametrize(("left", "top"), [(12, 0), (0, 10), (-5, 0), (0, -5)])
def test_a_crop_outside_the_frame_is_refused(left, top):
    with pytest.raises(ValueError, match=f"5 px at .{left}, {top}.*12 x 10 px"):
        Crop(10, 12, left, top, 5, 8)


def test_arrays_of_another_shape_are_refused():
    crop = Crop(10, 12, 0, 0, 8, 16)
    for convert in (crop.image, crop.mask):
        with pytest.raises(ValueError, match="Expected a frame of shape"):
            convert(np.zeros((12, 10), np.uint8))
    with pytest.raises(ValueError, match="Expected"):
        crop.back(np.zeros((8, 8)))


# --- Boxes --------------------------------------------------------------------------------------


@given(st.integers(0, 20), st.integers(0, 20), st.integers(1, 20), st.integers(1, 20))
def test_bounds_are_the_edges_of_the_outer_pixels(left, top, width, height):
    box = np.zeros((40, 41), bool)
    box[top : top + height, left : left + width] = True
    assert bounds_of(box) == (left - 0.5, top - 0.5, left + width - 0.5, top + height - 0.5)


def test_bounds_enclose_all_pieces_and_an_empty_box_is_refused():
    box = np.zeros((9, 9), bool)
    box[2, 7] = box[6, 1] = True
    assert bounds_of(box) == (0.5, 1.5, 7.5, 6.5)
    with pytest.raises(ValueError, match="box is empty"):
        bounds_of(np.zeros((9, 9), bool))


edges = st.tuples(*[st.floats(-0.5, 99.5)] * 2, *[st.floats(-0.5, 79.5)] * 2)


@given(edges, st.integers(8, 150), st.floats(1.0, 3.0))
def test_a_box_lies_in_the_middle_of_its_crop(ends, size, context):
    (left, right), (top, bottom) = sorted(ends[:2]), sorted(ends[2:])
    crop = crop_around((left, top, right, bottom), (80, 100), size, context)
    assert crop.size == size and (crop.height, crop.width) == (80, 100)
    wanted = context * max(right - left, bottom - top)
    assert crop.side == min(max(MIN_SIDE, round(wanted)), 100)
    middle = np.array([crop.left, crop.top]) - 0.5 + crop.side / 2
    centre = np.array([left + right, top + bottom]) / 2
    assert np.abs(middle - centre).max() <= 0.5 + 1e-6
    if crop.side < max(right - left, bottom - top):
        return
    shown = crop.points(np.array([[left, top], [right, bottom]]))
    half = 0.5 / crop.side * size  # the corner of a crop is a whole pixel
    assert shown.min() >= -0.5 - 2 * half and shown.max() <= size - 0.5 + 2 * half


def test_a_crop_is_context_times_as_wide_as_the_box():
    crop = crop_around((9.5, 19.5, 49.5, 39.5), (80, 100))
    assert (crop.side, crop.size) == (round(40 * CONTEXT), CLOSE)
    assert (crop.left, crop.top) == (30 - 32, 30 - 32)


# --- Sets ---------------------------------------------------------------------------------------


def valve(clip="a", shape=(60, 80), x=40, y=30, **fields):
    """A frame with a small disk as leaflets in a box of 21 px."""
    leaflets, box = blob(shape, x, y, 5), np.zeros(shape, bool)
    box[y - 10 : y + 11, x - 10 : x + 11] = True
    image = np.where(leaflets, 220, 40).astype(np.uint8)
    return ValveFrame(image, leaflets, box, clip, **fields)


def test_regions_of_whole_frames_are_leaflets_and_the_rest_of_the_box():
    valves = [valve(), valve("b", (112, 112), 20, 90, fps=30.0, split="val", dataset="amateur")]
    frames = whole_set(valves)
    assert frames.size == WHOLE and frames.outputs == 2 and frames.landmarks is None
    assert np.array_equal(frames.regions == 1, frames.masks)
    for index, one in enumerate(valves):
        square = Letterbox(*one.image.shape, WHOLE)
        assert np.array_equal(frames.masks[index], square.mask(one.leaflets))
        inside = square.mask(one.box) & ~frames.masks[index]
        assert np.array_equal(frames.regions[index] == 2, inside) and inside.any()
        assert np.array_equal(frames.images[index], square.image(one.image))
    table = frames.table
    assert table["clip"].tolist() == table.patient.tolist() == ["a", "b"]
    assert table.split.tolist() == ["train", "val"]
    assert table.dataset.tolist() == ["expert", "amateur"]
    assert table[["height", "width"]].to_numpy().tolist() == [[60, 80], [112, 112]]
    assert np.isnan(table.fps[0]) and table.fps[1] == 30.0


def test_leaflets_outside_their_box_stay_leaflets():
    one = valve()
    frames = whole_set([replace(one, box=np.roll(one.box, 12, axis=1))])
    assert np.array_equal(frames.regions == 1, frames.masks) and frames.masks.any()


def test_a_close_set_is_cropped_around_the_labelled_box():
    valves = [valve("a"), valve("b", x=25)]
    frames = close_set(valves)
    assert frames.size == CLOSE and frames.regions is None and frames.outputs == 1
    for index, one in enumerate(valves):
        crop = crop_around(bounds_of(one.box), (60, 80), CLOSE)
        assert np.array_equal(frames.masks[index], crop.mask(one.leaflets))
        assert np.array_equal(frames.images[index], crop.image(one.image))


def test_leaflets_lie_in_the_middle_of_a_close_square():
    mask = close_set([valve(shape=(112, 112), x=70, y=25)]).masks[0]
    assert np.allclose(np.argwhere(mask).mean(axis=0), CLOSE / 2 - 0.5, atol=CLOSE / 34)


def test_no_frames_make_no_set():
    for make in (whole_set, close_set):
        with pytest.raises(ValueError, match="labelled frames of the valve, found none"):
            make([])


# --- Clips --------------------------------------------------------------------------------------


def clip(name, labelled=(0, 2, 4), dataset="expert"):
    """Five frames of 30 x 40 px; their grey level gives their number."""
    frames = np.stack([np.full((30, 40), 10 * number, np.uint8) for number in range(5)])
    box = np.zeros((30, 40), bool)
    box[8:20, 10:30] = True
    labels = np.stack([blob((30, 40), 15 + number, 14, 3) for number in labelled])
    return ValveClip(name, frames, dataset=dataset, box=box, labelled=labelled, labels=labels)


def test_the_first_and_last_frame_are_their_own_missing_neighbours():
    valves = list(labelled_valves([clip("a")], {"a": "train"}))
    assert [one.frame for one in valves] == [0, 2, 4]
    assert [one.image[0, 0] for one in valves] == [0, 20, 40]
    assert [one.neighbours[:, 0, 0].tolist() for one in valves] == [[0, 10], [10, 30], [30, 40]]
    for one, label in zip(valves, clip("a").labels, strict=True):
        assert np.array_equal(one.leaflets, label) and one.dataset == "expert"


def test_a_clip_of_one_frame_is_its_own_neighbour():
    one = clip("a", labelled=(0,))
    one = replace(one, frames=one.frames[:1])
    (frame,) = labelled_valves([one], {"a": "val"})
    assert not frame.neighbours.any() and frame.neighbours.shape == (2, 30, 40)


def test_clips_without_split_or_label_are_left_out():
    bare = ValveClip("bare", clip("x").frames)
    valves = labelled_valves([clip("a"), clip("b"), bare], {"b": "val", "bare": "train"})
    assert {(one.clip, one.split) for one in valves} == {("b", "val")}


def test_all_frames_of_a_clip_are_in_one_split():
    splits = {"a": "train", "b": "val", "c": "train"}
    valves = list(labelled_valves([clip(name) for name in splits], splits))
    for frames in (whole_set(valves, 32), close_set(valves)):
        parts = {name: set(frames.split(name).table["clip"]) for name in ("train", "val")}
        assert parts == {"train": {"a", "c"}, "val": {"b"}}
        assert len(frames.split("train")) == 6 and len(frames.split("val")) == 3


# --- Neighbours in a FrameSet --------------------------------------------------------------------


def test_neighbours_are_mapped_like_their_frame():
    generator = np.random.default_rng(0)
    neighbours = generator.integers(0, 256, (2, 60, 80), np.uint8)
    one = valve(neighbours=neighbours)
    whole, close = whole_set([one], 32), close_set([one])
    squares = Letterbox(60, 80, 32), crop_around(bounds_of(one.box), (60, 80), CLOSE)
    for frames, square in zip((whole, close), squares, strict=True):
        assert frames.neighbours.shape == (1, 2, square.size, square.size)
        assert frames.neighbours.dtype == np.uint8
        expected = np.stack([square.image(frame) for frame in neighbours])
        assert np.array_equal(frames.neighbours[0], expected)


def test_one_frame_without_neighbours_leaves_out_all_neighbours():
    frames = whole_set([valve(neighbours=np.zeros((2, 60, 80), np.uint8)), valve("b")])
    assert frames.neighbours is None


def test_a_saved_valve_set_keeps_the_dataset_of_its_labels(tmp_path):
    valves = list(labelled_valves([clip("007"), clip("b", dataset="amateur")],
                                  {"007": "train", "b": "val"}))  # fmt: skip
    frames = whole_set(valves, 24)
    frames.save(tmp_path / "set")
    loaded = FrameSet.load(tmp_path / "set")
    for name in ("images", "masks", "regions", "neighbours"):
        assert np.array_equal(getattr(loaded, name), getattr(frames, name)), name
    assert loaded.table["clip"].tolist() == ["007"] * 3 + ["b"] * 3  # a number with its zeros
    assert loaded.table.dataset.tolist() == ["expert"] * 3 + ["amateur"] * 3
    assert loaded.fingerprint() == frames.fingerprint()
