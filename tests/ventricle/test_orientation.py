"""Clips that are upside down, mirrored or rotated: recognised, turned, and told."""

import json
import warnings
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from echolib import example_clip
from echolib.browser.sources import open_views
from echolib.commands.parser import main
from echolib.data import Clip, EchoNet
from echolib.data.sector import centre_of_area
from echolib.figures.film import write_video
from echolib.networks.inference import outline, outline_landmarks
from echolib.networks.models import load_model
from echolib.networks.orientation import HIGH_CENTRE, Orientation, find_orientation
from echolib.phantom.studies import write_lv_study
from echolib.ventricle.clip import measure_clip
from echolib.ventricle.networks import load_networks
from echolib.ventricle.study import measure_study, stored_result
from tests.makers import fan

NETWORKS = load_networks()
DISPLAYS = [Orientation(down, mirrored) for down in (False, True) for mirrored in (False, True)]
each_display = pytest.mark.parametrize("shown", DISPLAYS)
TURNED = Orientation(upside_down=True, mirrored=True)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Twelve phantom clips of 30 to 60 frames."""
    return EchoNet(write_lv_study(tmp_path_factory.mktemp("study"), clips=12, seed=5, workers=1))


@pytest.fixture(scope="module")
def measured():
    """The real clip, measured as it is."""
    return measure_clip(example_clip(), NETWORKS)


def ways(orientation):
    return orientation.upside_down, orientation.mirrored


# --- Recognition ----------------------------------------------------------------------------------


@each_display
def test_the_real_clip_is_recognised_however_it_is_shown(shown):
    found = find_orientation(shown.turn_clip(example_clip()), NETWORKS.landmarks)
    assert ways(found) == ways(shown)


def test_most_phantom_clips_are_recognised_and_none_is_called_what_it_is_not(study):
    clips = [study.clip(name) for name in study.table.index]
    for shown in DISPLAYS:
        found = [find_orientation(shown.turn_clip(clip), NETWORKS.landmarks) for clip in clips]
        assert all(each.upside_down == shown.upside_down for each in found)
        mirrored = [each.mirrored for each in found]
        assert np.mean(mirrored) >= 0.75 if shown.mirrored else not any(mirrored)


def test_no_real_frames_are_called_upside_down_and_all_that_are_so_are_recognised(camus):
    from echolib.data import Camus

    data = Camus(camus)
    for name in data.table.index[data.table.split == "val"][:25]:
        frames = data.clip(name).frames
        assert centre_of_area(frames) > 1 - HIGH_CENTRE
        assert centre_of_area(TURNED.turn(frames)) < HIGH_CENTRE


def test_the_shape_of_the_sector_alone_shows_that_a_clip_is_upside_down():
    image, _ = fan()
    screen = np.zeros((300, 400), np.uint8)
    screen[90:202, 150:262] = image[::-1]
    screen[5:20, 5:60] = 255  # letters
    for frames in (image[None, ::-1], screen[None]):
        assert ways(find_orientation(Clip("c", frames))) == (True, False)


@pytest.mark.parametrize("frames", [
    np.full((4, 80, 60), 90, np.uint8),  # a sector's inside, cut out as a rectangle
    np.zeros((4, 80, 60), np.uint8),
    np.ones((1, 1, 1), np.uint8),
])  # fmt: skip
def test_a_picture_without_a_sector_is_left_as_it_is(frames):
    assert find_orientation(Clip("c", frames), NETWORKS.landmarks).usual


def test_two_pictures_side_by_side_are_noticed_and_one_is_not():
    frames = example_clip().frames[:6]
    gap = np.zeros((6, frames.shape[1], 20), np.uint8)
    for both in (np.concatenate([frames, frames], 2), np.concatenate([frames, gap, frames], 2)):
        (warning,) = find_orientation(Clip("both", both)).warnings()
        assert warning.code == "two-pictures" and "Crop it to one of them" in warning
    assert find_orientation(Clip("one", frames)).warnings() == []
    letters = np.concatenate([frames, gap], axis=2)
    letters[:, :40, -18:] = 200
    assert find_orientation(Clip("letters", letters)).warnings() == []


def test_the_walls_of_a_dark_sector_are_not_two_pictures():
    image, _ = fan()
    image[:, 44:68] = 0  # nothing is seen between the septum and the lateral wall
    dark = np.zeros_like(image)
    dark[30:90, 30:40], dark[30:90, 72:82] = image[30:90, 30:40] | 60, image[30:90, 72:82] | 60
    assert find_orientation(Clip("dark", dark[None])).warnings() == []


def test_a_dark_sector_in_pieces_is_not_called_upside_down():
    image, _ = fan()
    image[48:80] = 0  # the largest piece is the near field, cut off askew
    near = np.arange(48)[:, None] + np.arange(112)[None] > 90
    image[:48][near] = 0
    assert not find_orientation(Clip("dark", np.repeat(image[None], 3, axis=0))).upside_down


def test_one_frame_and_other_networks_do_not_show_a_mirrored_clip():
    clip = Orientation(mirrored=True).turn_clip(example_clip())
    assert find_orientation(clip, NETWORKS.landmarks).mirrored
    assert find_orientation(replace(clip, frames=clip.frames[:1]), NETWORKS.landmarks).usual
    assert find_orientation(clip, NETWORKS.single).usual and find_orientation(clip).usual


def test_turning_twice_changes_nothing():
    images = np.arange(24).reshape(1, 4, 6)
    points = np.array([[1.0, 3.0], [5.0, 0.0]])
    for shown in DISPLAYS:
        assert np.array_equal(shown.turn(shown.turn(images)), images)
        there = shown.turn_points(points, 4, 6)
        assert np.array_equal(shown.turn_points(there, 4, 6), points)
        for (x, y), (column, row) in zip(points.astype(int), there.astype(int), strict=True):
            assert shown.turn(images)[0, row, column] == images[0, y, x]


# --- Outlines and function ------------------------------------------------------------------------


@each_display
def test_a_clip_has_one_function_however_it_is_shown(shown, measured):
    clip = shown.turn_clip(measured.clip)
    result = measure_clip(clip, NETWORKS)
    assert result.clip is clip and ways(result.orientation) == ways(shown)
    assert np.array_equal(result.masks, shown.turn(measured.masks))
    assert result.ef_corrected == measured.ef_corrected and result.masks.flags.c_contiguous
    axes = shown.turn_points(result.function.axes, *clip.frames.shape[1:])
    assert np.allclose(axes, measured.function.axes, equal_nan=True)
    text = " ".join(result.warnings)
    assert ("shown upside down" in text) == shown.upside_down
    assert ("mirrored left to right" in text) == shown.mirrored


def test_outlines_of_a_turned_clip_lie_on_its_own_frames(measured):
    turned = TURNED.turn_clip(measured.clip)
    with pytest.warns(UserWarning, match=r"example_a4c: The clip is shown upside down") as told:
        masks = outline(NETWORKS, turned)
    assert np.array_equal(TURNED.turn(masks), measured.masks)
    assert any("mirrored left to right" in str(warning.message) for warning in told)


def test_a_single_network_outlines_a_clip_that_is_upside_down(measured):
    down = Orientation(upside_down=True)
    turned = down.turn_clip(measured.clip)
    for name in ("lv", "lv_landmarks"):
        with pytest.warns(UserWarning, match="shown upside down"):
            masks = outline(load_model(name), turned)
        assert np.array_equal(down.turn(masks), outline(load_model(name), measured.clip))
    with pytest.warns(UserWarning, match="shown upside down"):
        points = outline_landmarks(NETWORKS.landmarks, turned)
    expected = outline_landmarks(NETWORKS.landmarks, measured.clip)
    assert np.allclose(down.turn_points(points, 240, 320), expected, atol=1e-3)


def test_a_clip_in_the_usual_display_is_outlined_without_a_warning(measured):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        masks = outline(NETWORKS, measured.clip)
    assert np.array_equal(masks, measured.masks) and measured.orientation.usual


# --- Every way to a clip says so ------------------------------------------------------------------


@pytest.fixture(scope="module")
def turned_file(tmp_path_factory):
    """The real clip as a video, rotated by 180 degrees."""
    clip = TURNED.turn_clip(example_clip())
    pictures = np.repeat(clip.frames[..., None], 3, axis=-1)
    return write_video(tmp_path_factory.mktemp("turned") / "turned.webm", pictures, 30.0)


@pytest.mark.parametrize("command", ["segment", "function"])
def test_each_command_tells_it(command, turned_file, tmp_path):
    with pytest.warns(UserWarning) as told:
        assert main([command, str(turned_file), "--out", str(tmp_path)]) == 0
    text = " ".join(str(warning.message) for warning in told)
    assert "shown upside down" in text and "mirrored left to right" in text
    if command == "function":
        assert "shown upside down" in (tmp_path / "report.html").read_text()
        assert "shown upside down" in pd.read_csv(tmp_path / "clips.csv").warnings[0]


def test_the_browser_tells_it(turned_file):
    with pytest.warns(UserWarning, match="shown upside down"):
        (layer,) = open_views(turned_file, models={"network": "ventricle"}).read(0).layers
    assert layer.masks.any(axis=(1, 2)).all()


def test_a_study_restores_a_turned_clip_as_it_was_measured(study, tmp_path, monkeypatch):
    name = study.table.index[study.table.split == "test"][0]
    clip = TURNED.turn_clip(study.clip(name))
    monkeypatch.setattr(study, "clip", lambda _: clip)
    result = measure_clip(clip, NETWORKS)
    clips = measure_study(study, NETWORKS, tmp_path, "test", most=1, progress=False)["clips"]
    assert "shown upside down" in clips.warnings[0]
    restored = stored_result(study, clips.iloc[0], tmp_path)
    assert np.array_equal(restored.masks, result.masks) and not restored.orientation.usual
    assert np.allclose(restored.function.axes, result.function.axes, equal_nan=True)
    assert json.dumps(restored.row()["ef_corrected"]) == json.dumps(result.row()["ef_corrected"])


def test_the_limit_of_another_view_is_of_the_packages_own_networks():
    clip = example_clip()
    own = deepcopy(NETWORKS.landmarks)
    own.name = "mine"
    found = find_orientation(clip, own)
    assert found.spreads == find_orientation(clip, NETWORKS.landmarks).spreads
    assert found.limit == np.inf > find_orientation(clip, NETWORKS.landmarks).limit
