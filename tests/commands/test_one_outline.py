"""One clip has one answer: the shell, the browser and Python outline it alike, on any screen."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from pydicom.examples import get_path

import echolib
from echolib.browser.sources import open_views
from echolib.commands.parser import main
from echolib.data import crop_to_sector
from echolib.data.nifti import read_nifti
from echolib.figures.film import write_video
from echolib.geometry import largest_component, polygon_to_mask
from echolib.metrics import dice
from echolib.phantom.studies import write_lv_study

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
TOP, LEFT = 90, 210  # px, where the phantom lies on the larger screen


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    """A phantom clip as it is drawn, 112 x 112 px."""
    folder = write_lv_study(tmp_path_factory.mktemp("study"), clips=3, seed=5, workers=1)
    return next(iter(sorted((folder / "Videos").glob("*.avi"))))


@pytest.fixture(scope="module")
def screen(phantom, tmp_path_factory):
    """The same clip, twice as large, on a machine's screen with letters and a bar."""
    frames = echolib.read_clip(phantom).frames[:40]
    pictures = np.zeros((len(frames), 360, 520, 3), np.uint8)
    for picture, frame in zip(pictures, frames, strict=True):
        large = cv2.resize(frame, (224, 224), interpolation=cv2.INTER_LINEAR)
        picture[TOP : TOP + 224, LEFT : LEFT + 224] = large[..., None]
        cv2.putText(picture, "NAME, FIRST", (10, 40), 0, 1.0, (255, 255, 255), 2)
        picture[300:350, 20:40] = 200
    path = tmp_path_factory.mktemp("screen") / "screen.mp4"
    return write_video(path, pictures, 50.0)


@pytest.fixture(scope="module", params=["pydicom", "screen"])
def path(request):
    if request.param == "pydicom":
        return Path(get_path("ybr_color"))
    return request.getfixturevalue("screen")


@pytest.fixture(scope="module")
def clip(path):
    return echolib.read_clip(path)


@pytest.fixture(scope="module")
def ventricle(clip):
    return echolib.outline(echolib.load_networks(), clip)


def browsed(path, weights):
    """Masks of the frame browser, opened on a file."""
    (layer,) = open_views(path, models={"network": weights}).read(0).layers
    return layer.masks


def saved(folder):
    with np.load(folder / "masks.npz") as arrays:
        return arrays["masks"]


def test_the_ventricle_has_one_outline(path, clip, ventricle, tmp_path):
    assert ventricle.shape == clip.frames.shape and ventricle.any(axis=(1, 2)).all()
    assert np.array_equal(echolib.measure_clip(clip).masks, ventricle)
    assert main(["segment", str(path), "--out", str(tmp_path / "s")]) == 0
    assert np.array_equal(saved(tmp_path / "s"), ventricle)
    assert np.array_equal(read_nifti(tmp_path / "s" / "masks.nii.gz")[0], ventricle)
    for frame, ring in pd.read_csv(tmp_path / "s" / "contours.csv").groupby("frame"):
        drawn = polygon_to_mask(ring[["x_px", "y_px"]], ventricle.shape[1:], rounded=False)
        assert np.array_equal(drawn, largest_component(ventricle[frame]))
    assert frame == len(ventricle) - 1
    assert main(["function", str(path), "--out", str(tmp_path / "f")]) == 0
    areas = pd.read_csv(tmp_path / "f" / "frames.csv").area_px
    assert np.array_equal(areas, ventricle.sum(axis=(1, 2)))
    assert np.array_equal(browsed(path, "ventricle"), ventricle)


def test_a_named_network_answers_for_each_frame_by_itself(path, clip, ventricle, tmp_path):
    single = echolib.outline(echolib.load_model("lv"), clip)
    assert not np.array_equal(single, ventricle)  # which sees the beat
    assert main(["segment", str(path), "--out", str(tmp_path), "--weights", "lv"]) == 0
    assert np.array_equal(saved(tmp_path), single)
    assert np.array_equal(browsed(path, "lv"), single)


def test_a_frame_is_outlined_by_the_networks_of_single_frames(clip):
    frame = clip.frames[0]
    alone = echolib.outline(echolib.load_networks(), frame)
    assert alone.shape == frame.shape
    assert np.array_equal(
        alone, echolib.outline(echolib.load_networks(("lv", "lv_landmarks")), frame)
    )


def test_the_leaflets_have_one_outline(path, clip, tmp_path):
    leaflets = echolib.find_leaflets(clip)
    assert leaflets.shape == clip.frames.shape and leaflets.any()
    assert np.array_equal(echolib.outline(echolib.load_finder(), clip), leaflets)
    assert main(["mitral", "segment", str(path), "--out", str(tmp_path)]) == 0
    assert np.array_equal(saved(tmp_path), leaflets)
    assert np.array_equal(browsed(path, "valve"), leaflets)


def test_cropping_first_changes_nothing(clip, ventricle):
    cropped, (rows, columns) = crop_to_sector(clip)
    assert cropped.frames.shape != clip.frames.shape
    masks = echolib.outline(echolib.load_networks(), cropped)
    assert np.array_equal(masks, ventricle[:, rows, columns])
    assert not ventricle[:, : rows.start].any() and not ventricle[:, :, : columns.start].any()


def test_a_heart_on_a_larger_screen_is_outlined_as_it_is_alone(phantom, screen):
    networks = echolib.load_networks()
    own = echolib.outline(networks, echolib.read_clip(phantom))[:40]
    masks = echolib.outline(networks, echolib.read_clip(screen))
    masks = masks[:, TOP : TOP + 224, LEFT : LEFT + 224]
    masks = np.stack([cv2.resize(m.astype(np.uint8), (112, 112)) > 0 for m in masks])
    assert np.mean([dice(*pair) for pair in zip(masks, own, strict=True)]) > 0.9
