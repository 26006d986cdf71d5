"""Leaflets in whole clips: size and place of the masks, the box, settings on disk."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from benchmarks.valves_camus import annulus, case
from echolib.data import Camus, example_clip
from echolib.data.frames import to_square
from echolib.data.letterbox import Letterbox
from echolib.data.valve.squares import crop_around
from echolib.errors import DataError
from echolib.metrics import iou
from echolib.networks import pretrained
from echolib.networks.models import LandmarkUNet, UNet, save_model
from echolib.phantom.valve_frames import draw_valve_frames
from echolib.valve import finder as mitral
from echolib.valve.finder import (
    CLOSE_VIEWS,
    PLAIN_VIEW,
    ValveFinder,
    find_box,
    load_finder,
    save_settings,
)
from tests.makers import save_network


class Bright(nn.Module):
    """Replaces a network: pixels brighter than a level are leaflets.

    outputs: with two outputs, all pixels that are not black are in the box. Of three inputs it uses
    one, or their mean.
    """

    def __init__(self, outputs=1, inputs=1, level=0.5, channel=None, slope=40.0):
        super().__init__()
        self.arguments = {"outputs": outputs, "inputs": inputs}
        self.level, self.channel, self.slope = level, channel, slope

    def forward(self, images):
        assert images.shape[1] == self.arguments["inputs"]
        one = images.mean(1, keepdim=True) if self.channel is None else images[:, [self.channel]]
        leaflets = self.slope * (one - self.level)
        if self.arguments["outputs"] == 1:
            return leaflets
        box = torch.where((one > 0.2) & (one <= self.level), 20.0, -20.0)
        return torch.cat([leaflets, box], dim=1)


def smooth_disk(shape, x, y, radius):
    """(H, W) uint8 disk whose grey decreases over 4 px; 128 at its radius, black far away."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    distance = np.hypot(columns - x, rows - y) - radius
    return np.clip(128 - 32 * distance, 0, 250).astype(np.uint8)


def clip_of(count, shape, x=None, y=None, step=1.0):
    """Frames and masks of two disks that move to the right, on a grey box on black."""
    x, y = shape[1] / 2 if x is None else x, shape[0] / 2 if y is None else y
    frames = np.zeros((count, *shape), np.uint8)
    frames[:, int(y) - 10 : int(y) + 11, int(x) - 18 : int(x) + 19] = 77
    for number, frame in enumerate(frames):
        for side in (-8, 8):
            place = x + side + step * (number - (count - 1) / 2), y + 0.2 * side
            np.maximum(frame, smooth_disk(shape, *place, 4.5), out=frame)
    return frames, frames >= 128


def finder(**changed):
    return ValveFinder(**({"whole": Bright(2), "close": (Bright(),)} | changed))


# --- Masks ----------------------------------------------------------------------------------------

CLIPS = [((112, 112), 60, 50), ((60, 100), 70, 30), ((130, 70), 40, 90), ((150, 210), 40, 120)]


@pytest.mark.parametrize(("shape", "x", "y"), CLIPS, ids=str)
@pytest.mark.parametrize("close", [True, False], ids=["close", "whole alone"])
def test_masks_have_the_size_and_the_place_of_the_source(shape, x, y, close):
    frames, truth = clip_of(4, shape, x, y)
    masks = finder(**({} if close else {"close": ()})).masks(frames)
    assert masks.shape == frames.shape and masks.dtype == bool
    assert min(iou(*pair) for pair in zip(masks, truth, strict=True)) > (0.85 if close else 0.7)
    off = [np.argwhere(a).mean(axis=0) - np.argwhere(b).mean(axis=0)
           for a, b in zip(masks, truth, strict=True)]  # fmt: skip
    # an error of half a pixel of the square would be detected
    coarse = 1 if close else max(1, max(shape) / 112)
    assert np.abs(np.mean(off, axis=0)).max() < 0.25 * coarse


def test_two_pieces_stay_two_and_a_small_piece_is_not_removed():
    frames = np.zeros((3, 112, 112), np.uint8)
    frames[:, 40:61, 40:81] = 77
    frames[:, 45:56, 45:55] = 250
    frames[:, 50:53, 74:77] = 250  # 9 px
    masks = finder().masks(frames)
    for mask in masks:
        assert mask[45:56, 45:55].all() and mask[51, 75]
        assert not mask[:, 58:72].any()


@given(st.integers(25, 60), st.integers(60, 110), st.integers(20, 60), st.integers(0, 3))
@settings(max_examples=15)
def test_masks_follow_the_valve_wherever_it_lies(half, width, y, margin):
    """Also at the frame's edge, where the square around the valve extends beyond the frame."""
    shape = (max(2 * half, y + 20), width)
    frames, truth = clip_of(1, shape, 19 + margin, min(y, shape[0] - 12))
    masks = finder().masks(frames)
    assert iou(masks[0], truth[0]) > 0.8


def test_rotated_and_zoomed_views_are_transformed_back():
    frames, truth = clip_of(3, (112, 112), 50, 66)
    soft = finder(close=(Bright(slope=8.0),))
    plain = soft.masks(frames)
    assert iou(plain, truth) > 0.85
    for view in CLOSE_VIEWS[1:]:  # one by one, so that an average cannot hide a wrong view
        masks = replace(soft, views=(view,)).masks(frames)
        assert iou(masks, plain) > 0.9, view
    assert iou(replace(soft, views=CLOSE_VIEWS).masks(frames), plain) > 0.94
    for view in ((30.0, 1.0), (0.0, 0.6), (-70.0, 0.8)):
        assert iou(replace(soft, views=(view,)).masks(frames), plain) > 0.8


def test_a_view_is_rotated_and_zoomed_by_the_given_amounts():
    images = torch.from_numpy(smooth_disk((65, 65), 52, 32, 4.0)).float()[None, None]

    def place(degrees, zoom):
        view = mitral._rotate_and_zoom(images, degrees, zoom)[0, 0].numpy()
        weight = np.maximum(view, 0)
        rows, columns = np.mgrid[:65, :65]
        return np.array([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum() - 32

    assert torch.equal(mitral._rotate_and_zoom(images, 0.0, 1.0), images)
    assert np.allclose(place(0, 1.12), [20 * 1.12, 0], atol=0.2)
    assert np.allclose(place(0, 0.9), [18, 0], atol=0.2)
    rotated = place(30, 1)
    assert np.hypot(*rotated) == pytest.approx(20, abs=0.2)
    assert abs(np.degrees(np.arctan2(rotated[1], rotated[0]))) == pytest.approx(30, abs=0.5)


def test_close_networks_are_averaged():
    frames, _ = clip_of(2, (112, 112))
    nothing, everything = Bright(level=9.0), Bright(level=-9.0)
    squares, _ = finder(close=(nothing, everything)).probabilities(frames)
    assert squares.dtype == np.float32 and np.allclose(squares, 0.5, atol=1e-6)
    squares, _ = finder(close=(everything, everything, nothing)).probabilities(frames)
    assert np.allclose(squares, 2 / 3, atol=1e-6)


def test_the_network_of_whole_frames_has_its_share():
    frames, truth = clip_of(2, (112, 112), 45, 70)
    nothing = finder(close=(Bright(level=9.0),))
    assert not nothing.masks(frames).any()
    both = replace(nothing, share=0.6)
    assert iou(both.masks(frames), truth) > 0.7  # resampled to the right place
    squares, _ = both.probabilities(frames)
    assert squares.max() == pytest.approx(0.6, abs=1e-3) and squares.min() >= -1e-6
    assert not replace(nothing, share=0.4).masks(frames).any()


@pytest.mark.parametrize(("shape", "x", "y"), CLIPS, ids=str)
def test_values_on_the_whole_frame_are_resampled_to_their_place_in_the_crop(shape, x, y):
    frames, _ = clip_of(1, shape, x, y)
    letterbox, crop = Letterbox(*shape, 112), crop_around((x - 20, y - 15, x + 20, y + 15), shape)
    values = letterbox.image(frames[0]).astype(np.float32) / 255
    resampled, direct = mitral._resample(values, letterbox, crop), crop.image(frames[0]) / 255
    assert resampled.shape == direct.shape and resampled.dtype == np.float32
    assert np.abs(resampled - direct).mean() < 0.03
    assert np.abs(resampled - np.roll(direct, 3, axis=1)).mean() > np.abs(resampled - direct).mean()


def test_smoothing_is_over_time_alone_and_not_for_chosen_frames():
    frames, _ = clip_of(7, (112, 112), step=0.0)
    flicker = frames.copy()
    flicker[3] = np.minimum(flicker[3], 77)  # in one frame the leaflets are invisible
    plain, smooth = finder(), finder(smoothing=1.0, threshold=0.4)
    assert not plain.masks(flicker)[3].any()
    mended = smooth.masks(flicker)
    assert iou(mended[3], plain.masks(frames)[3]) > 0.9
    assert not smooth.masks(flicker, [3]).any()
    still = finder(smoothing=2.0).masks(frames)
    assert np.array_equal(still, plain.masks(frames))  # no smoothing in space


@pytest.mark.parametrize(
    "made",
    [finder(), finder(close=()), finder(close=(Bright(inputs=3, channel=2),)),
     finder(views=CLOSE_VIEWS, share=0.3), finder(whole=Bright(2, inputs=3)),
     finder(whole=Bright(2, inputs=3, channel=0), close=())],
    ids=["close", "whole", "three inputs", "views and share", "whole of three", "three alone"],
)  # fmt: skip
def test_chosen_frames_get_the_same_masks_as_in_the_whole_clip(made):
    frames, _ = clip_of(6, (60, 100), step=3.0)
    every, some = made.masks(frames), made.masks(frames, (0, 3, 5))
    assert some.shape == (3, 60, 100) and every.any(axis=(1, 2)).all()
    assert np.array_equal(some, every[[0, 3, 5]])
    assert np.array_equal(made.masks(frames, np.array([4])), every[[4]])


def test_three_inputs_are_the_frame_before_the_frame_and_the_one_after():
    frames, truth = clip_of(5, (112, 112), step=4.0)
    before, after = (
        finder(close=(Bright(inputs=3, channel=channel),)).masks(frames) for channel in (0, 2)
    )
    for number in range(5):
        assert iou(before[number], truth[max(number - 1, 0)]) > 0.85
        assert iou(after[number], truth[min(number + 1, 4)]) > 0.85


def test_chosen_frames_of_a_long_clip_get_nearly_the_same_masks_as_in_the_whole_clip():
    """The box of a long clip is found in only some of its frames."""
    frames, _ = clip_of(60, (112, 112), step=0.3)
    every, some = finder().masks(frames), finder().masks(frames, [7, 50])
    assert all(iou(*pair) > 0.9 for pair in zip(some, every[[7, 50]], strict=True))


@pytest.mark.parametrize("inputs", [1, 3])
def test_a_clip_of_one_frame(inputs):
    frames, truth = clip_of(1, (60, 100))
    made = finder(close=(Bright(inputs=inputs),), smoothing=1.0, views=CLOSE_VIEWS, share=0.2)
    masks = made.masks(frames)
    assert masks.shape == (1, 60, 100) and iou(masks[0], truth[0]) > 0.8


@pytest.mark.parametrize("close", [True, False])
def test_nothing_is_found_on_black_frames(close):
    made = finder() if close else finder(close=())
    masks = made.masks(np.zeros((2, 60, 100), np.uint8))
    assert masks.shape == (2, 60, 100) and not masks.any()


def test_the_package_finds_nothing_on_black_frames_beside_others():
    frames, _ = clip_of(4, (112, 112))
    frames = np.where(np.arange(4)[:, None, None] % 2, frames, 0).astype(np.uint8)
    made = load_finder()
    assert not made.masks(frames)[::2].any()
    assert not made.masks(frames, [2]).any()
    assert not made.masks(np.zeros((1, 112, 112), np.uint8)).any()


def test_a_higher_threshold_never_adds_a_pixel():
    frames, _ = clip_of(2, (112, 112))
    areas = [
        finder(close=(Bright(slope=6.0),), threshold=threshold).masks(frames).sum()
        for threshold in (0.2, 0.5, 0.8)
    ]
    assert areas[0] > areas[1] > areas[2] > 0


# --- The box --------------------------------------------------------------------------------------


@given(st.integers(20, 90), st.integers(20, 90), st.data())
def test_a_box_is_found_where_it_is(height, width, data):
    size = max(height, width)  # one px of the square is one px of the frame
    left, top = data.draw(st.integers(0, width - 4)), data.draw(st.integers(0, height - 4))
    right = data.draw(st.integers(left + 2, width - 1))
    bottom = data.draw(st.integers(top + 2, height - 1))
    box = np.zeros((height, width), bool)
    box[top : bottom + 1, left : right + 1] = True
    letterbox = Letterbox(height, width, size)
    regions = np.zeros((2, 2, size, size), np.float32)
    regions[:, 1] = 0.9 * letterbox.mask(box)
    regions[0, 0], regions[:, 1] = regions[0, 1] / 2, regions[:, 1] / 2
    found = find_box(regions + 0.0, letterbox)
    assert np.allclose(found, (left - 0.5, top - 0.5, right + 0.5, bottom + 0.5), atol=1e-3)
    assert all(type(edge) is float for edge in found)


def test_the_largest_piece_over_the_clip_is_the_box():
    regions = np.zeros((4, 2, 40, 40), np.float32)
    regions[:, 1, 10:20, 12:30] = 0.8
    regions[:, 1, 30:34, 2:6] = 1.0  # smaller
    regions[0, 0, 0:39, 34:40] = 1.0  # larger, but in one frame of four
    assert find_box(regions, Letterbox(40, 40, 40)) == (11.5, 9.5, 29.5, 19.5)


def test_an_unsure_box_is_found_and_a_faint_one_is_the_whole_frame():
    letterbox, regions = Letterbox(30, 40, 40), np.zeros((2, 2, 40, 40), np.float32)
    whole = (-0.5, -0.5, 39.5, 29.5)
    assert find_box(regions, letterbox) == whole
    regions[:, 1, 15:25, 12:30] = 0.2
    assert find_box(regions, letterbox) == (11.5, 9.5, 29.5, 19.5)
    assert find_box(regions / 4, letterbox) == whole


def test_a_box_past_the_frame_ends_at_its_edge():
    """A network may mark the black padding too."""
    regions = np.ones((1, 2, 40, 40), np.float32)
    assert find_box(regions, Letterbox(20, 40, 40)) == (-0.5, -0.5, 39.5, 19.5)


def test_a_network_without_box_is_refused_beside_close_ones():
    frames, _ = clip_of(2, (112, 112))
    with pytest.raises(ValueError, match="predicts no box.*one output"):
        find_box(np.ones((1, 1, 8, 8), np.float32), Letterbox(8, 8, 8))
    with pytest.raises(ValueError, match="predicts no box"):
        finder(whole=Bright(1)).masks(frames)
    assert (
        finder(whole=Bright(1), close=()).masks(frames).any()
    )  # without close networks it is enough


def test_the_box_of_a_clip_is_in_px_of_its_frames():
    frames, _ = clip_of(3, (150, 210), 60, 80)
    left, top, right, bottom = finder().box(frames)
    assert np.allclose((left, top, right, bottom), (41.5, 69.5, 78.5, 90.5), atol=1.5)


# --- On disk --------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    """A folder like that of a training, with untrained networks."""
    torch.manual_seed(0)
    for name, outputs in (("whole", 2), ("close-0", 1), ("close-1", 1)):
        save_model(UNet(2, 2, outputs), tmp_path / "finder" / name / "model.safetensors")
    return tmp_path / "finder"


def test_a_finder_survives_saving(folder):
    made = finder(
        size=48, close_size=40, threshold=0.35, views=CLOSE_VIEWS, share=0.2, smoothing=0.5
    )
    save_settings(made, folder / "valve.json")
    loaded = load_finder(folder)
    for name in mitral.SETTINGS:
        assert getattr(loaded, name) == getattr(made, name), name
    assert loaded.whole.arguments["outputs"] == 2 and len(loaded.close) == 2
    assert not any(network.training for network in (loaded.whole, *loaded.close))
    assert not torch.equal(*(network.head.weight for network in loaded.close))
    frames, _ = clip_of(2, (60, 70))
    assert loaded.masks(frames).shape == (2, 60, 70)
    assert load_finder(str(folder)).views == CLOSE_VIEWS
    save_settings(replace(made, views=PLAIN_VIEW), folder / "valve.json")
    assert load_finder(folder).views == PLAIN_VIEW


def test_a_finder_that_comes_with_the_package_is_found_by_its_name(folder, monkeypatch):
    shipped = folder.parent / "weights"
    shipped.mkdir()
    for name in ("whole", "close-0"):
        target = f"valve_{name.removesuffix('-0')}.safetensors"
        shutil.copy(folder / name / "model.safetensors", shipped / target)
    save_settings(finder(threshold=0.7, size=32), shipped / "valve.json")
    for module in (mitral, pretrained):
        monkeypatch.setattr(module, "weights_folder", lambda: shipped)
    loaded = load_finder()
    assert (loaded.threshold, loaded.size, len(loaded.close)) == (0.7, 32, 1)


def test_weights_of_one_network_work_alone(folder):
    path = folder / "whole"
    save_network(UNet(2, 2, 2), path / "model.safetensors", 24)
    for place in (path, path / "model.safetensors"):
        loaded = load_finder(place)
        assert loaded.close == () and loaded.size == 24 and loaded.threshold == 0.5
    assert load_finder(folder / "close-0").size == 112


@pytest.mark.parametrize(
    "text",
    ["", "no json", "[]", "3", "null", "{}", '{"views": 3}', '{"views": [[1]]}',
     '{"views": [["a", 1]]}', '{"views": [[0, 1]], "threshold": "high"}',
     '{"views": [[0, 1]], "colour": "red"}', '{"views": [[0, 1]], "size": null}', b"\xff\xfe\x00",
     '{"views": [[0, 1]], "whole": 3}'],
    ids=repr,
)  # fmt: skip
def test_damaged_settings_are_reported(folder, text):
    (folder / "valve.json").write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(DataError, match="valve.json: expected the settings.*Train again"):
        load_finder(folder)


def test_missing_and_damaged_networks_are_reported(folder):
    save_settings(finder(), folder / "valve.json")
    (folder / "close-1" / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(DataError, match="not a readable safetensors"):
        load_finder(folder)
    shutil.rmtree(folder / "whole")
    with pytest.raises(DataError, match="No weights at .*whole"):
        load_finder(folder)
    with pytest.raises(DataError, match="No weights at .*nowhere"):
        load_finder(folder / "nowhere")


def test_settings_are_plain_json(folder):
    save_settings(finder(threshold=0.4), folder / "valve.json")
    found = json.loads((folder / "valve.json").read_text())
    assert set(found) == set(mitral.SETTINGS) and found["threshold"] == 0.4


def test_landmarks_are_no_leaflets(folder):
    """The kind of error is not specified, but there must be no random masks."""
    save_model(LandmarkUNet(2, 2), folder / "landmarks" / "model.safetensors")
    with pytest.raises((ValueError, KeyError)):
        load_finder(folder / "landmarks").masks(clip_of(1, (40, 40))[0])


@pytest.mark.gpu
def test_a_gpu_gives_nearly_the_same_masks(folder, monkeypatch):
    save_settings(finder(views=CLOSE_VIEWS, share=0.2), folder / "valve.json")
    frames, _ = clip_of(4, (112, 112))
    made = load_finder(folder)
    monkeypatch.setenv("ECHOLIB_DEVICE", "cuda")
    squares, _ = made.probabilities(frames)
    monkeypatch.setenv("ECHOLIB_DEVICE", "cpu")
    others, _ = load_finder(folder).probabilities(frames)
    assert np.abs(squares - others).max() < 0.05


@pytest.mark.parametrize("chosen", [[2, 0, 1], [0, 0, 2]])
def test_frames_may_be_chosen_in_any_order(chosen):
    frames, _ = clip_of(3, (112, 112), step=4.0)
    made = finder(share=0.5)
    some = made.masks(frames, chosen)
    assert np.array_equal(some, made.masks(frames)[chosen])


@pytest.mark.parametrize("chosen", [[99], [-1], []])
def test_frames_that_do_not_exist_cannot_be_chosen(chosen):
    with pytest.raises(ValueError, match="0 to 2"):
        finder().masks(clip_of(3, (60, 100))[0], chosen)


def test_the_whole_frame_is_used_where_no_box_is_found():
    _, box = finder().probabilities(np.zeros((1, 112, 112), np.uint8))
    crop = box.part
    assert (crop.left, crop.top, crop.side) == (0, 0, 112)


@pytest.mark.parametrize("model", [LandmarkUNet(2, 2), UNet(2, 2, outputs=3)])
def test_networks_that_find_no_leaflets_are_refused(tmp_path, model):
    save_model(model, tmp_path / "model.safetensors")
    with pytest.raises(DataError, match="does not find leaflets"):
        load_finder(tmp_path)


@pytest.mark.parametrize(
    "change", [{"views": []}, {"threshold": float("nan")}, {"views": [[0, 0]]}, {"size": 0}]
)
def test_settings_that_make_no_sense_are_refused(folder, change):
    path = folder / "valve.json"
    save_settings(finder(), path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DataError, match="valve.json"):
        load_finder(folder)


def test_a_folder_without_close_networks_is_refused(tmp_path):
    save_model(UNet(2, 2, 2), tmp_path / "whole" / "model.safetensors")
    save_settings(finder(close=()), tmp_path / "valve.json")
    with pytest.raises(DataError, match="close-0"):
        load_finder(tmp_path)


# --- The weights that come with the package ------------------------------------------------------


def test_shipped_weights_find_leaflets_on_the_real_clip():
    """It has no labels; the valve was located by eye at about x 178, y 125 in 240 x 320 px."""
    clip = example_clip()
    masks = load_finder("valve").masks(clip.frames[::5])
    for mask in masks:
        rows, columns = np.nonzero(mask)
        assert 100 < len(rows) < 400
        assert np.hypot(columns.mean() - 178, rows.mean() - 125) < 25


def test_shipped_weights_fit_the_phantom_on_one_frame_clips():
    scores = []
    for frame in draw_valve_frames(12, seed=9, workers=1):
        mask = load_finder("valve").masks(frame.image[None])[0]
        scores.append(iou(mask, frame.leaflets))
    assert np.median(scores) > 0.6


def test_shipped_weights_reach_the_hinges_of_camus(camus):
    data, shipped = Camus(camus), load_finder("valve")
    rows = []
    for name in data.table.index[data.table.split == "train"][::60]:
        for frame in data.labelled(name)[0]:
            square = to_square(frame, 112)
            rows.append(case(shipped.masks(square.image[None])[0], annulus(square.regions)))
    table = pd.DataFrame(rows)
    assert table["septal hinge"].median() < 2 and table["lateral hinge"].median() < 4
    assert table.covered.median() > 0.9 and table.stray.median() < 0.1
