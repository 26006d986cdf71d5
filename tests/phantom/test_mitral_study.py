"""The phantom mitral study: layout, realistic labels and boxes, resuming, errors."""

import gzip
import hashlib
import json
import pickle
import signal
import subprocess
import sys

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.measure import label as components

from echolib import config
from echolib.errors import DataError
from echolib.phantom import common, leaflet_labels, mitral_items, mitral_study
from echolib.phantom.mitral_items import KINDS
from echolib.phantom.studies import clip_name

STUDY = {"scale": 0.02, "seed": 3, "progress": False}
KILLED = """
import os, signal, sys
from echolib.files import atomic_path
with atomic_path(sys.argv[1]) as temporary:
    temporary.write_bytes(b"half-written")
    os.kill(os.getpid(), signal.SIGKILL)
"""
FILES = {"train.pkl", "test.pkl", "test_truth.npz", "study.json"}


def digests(folder):
    """The hash of every file under a folder, by relative name."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def unpickled(path):
    """Load a gzip pickle; only for files that the test itself has written."""
    with gzip.open(path) as file:
        return pickle.load(file)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mitral") / "study"
    return mitral_study.write_mitral_study(folder, workers=1, **STUDY)


@pytest.fixture(scope="module")
def train(study):
    return unpickled(study / "train.pkl")


@pytest.fixture(scope="module")
def unlabelled(study):
    return unpickled(study / "test.pkl")


# --- Layout -------------------------------------------------------------------------------------


def test_layout_is_that_of_the_course_task(study, train, unlabelled):
    assert {path.name for path in study.iterdir()} == FILES
    assert (study / "train.pkl").read_bytes()[:2] == b"\x1f\x8b"
    assert (study / "test.pkl").read_bytes()[:2] == b"\x1f\x8b"
    assert type(train) is list and type(unlabelled) is list
    for item in train:
        assert list(item) == ["name", "video", "box", "label", "frames", "dataset"]
        assert {type(item["name"]), type(item["dataset"])} == {str}
        height, width, count = item["video"].shape
        assert item["box"].shape == (height, width)
        assert item["label"].shape == (height, width, count)
        assert item["video"].dtype == np.uint8
        assert item["box"].dtype == item["label"].dtype == bool
        assert count >= mitral_items.MIN_FRAMES
    assert all(list(item) == ["name", "video"] for item in unlabelled)
    names = [item["name"] for item in train + unlabelled]
    assert len(set(names)) == len(names) and clip_name(0, 3) not in names


def test_three_frames_are_labelled_and_no_other(train):
    for item in train:
        frames = item["frames"]
        assert type(frames) is list and [type(frame) for frame in frames] == [int] * 3
        assert frames == sorted(set(frames))
        assert list(np.flatnonzero(item["label"].any(axis=(0, 1)))) == frames


def test_amateur_frames_are_small_and_expert_frames_not_square(train, unlabelled):
    for item in train:
        height, width = item["video"].shape[:2]
        if item["dataset"] == "amateur":
            assert (height, width) == (112, 112)
        else:
            assert item["dataset"] == "expert" and height != width and height >= 144
    assert [item["dataset"] for item in train] == ["amateur"] * 2 + ["expert"] * 2


def test_truth_labels_every_frame_of_the_test_clips(study, unlabelled):
    with np.load(study / "test_truth.npz", allow_pickle=False) as truth:
        assert set(truth.files) == {item["name"] for item in unlabelled}
        for item in unlabelled:
            labels = truth[item["name"]]
            assert labels.shape == item["video"].shape and labels.dtype == bool
            assert labels.any(axis=(0, 1)).all()
            assert (labels != labels[..., :1]).any()  # the valve moves


def test_card_holds_the_parameters_of_the_study(study):
    card = json.loads((study / "study.json").read_text())
    assert card == {
        "layout": "mitral valve set", "source": "phantom", "version": common.VERSION,
        "seed": 3, "scale": 0.02, "counts": {"amateur": 2, "expert": 2, "test": 1},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("scale", "counts"), [(1.0, [46, 19, 20]), (0.3, [14, 6, 6]), (0.01, [2, 2, 1])]
)
def test_counts_follow_the_scale(scale, counts):
    assert [kind.count(scale) for kind in KINDS] == counts


# --- Labels and boxes ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def amateur_labels():
    """The labels (H, W) of 20 amateur items, one row per item: closed, half open, open."""
    rows = []
    for index in range(20):
        generator = np.random.default_rng([5, index])
        recording, frames, labels = mitral_items._draw_recording(KINDS[0], index, 5, 0.1, generator)
        opening = recording.scan.cycle.opening(np.array(recording.times)[frames])
        rows.append([labels[number] for number in np.argsort(opening)])
    return np.array(rows)


def test_amateur_labels_are_as_large_as_real_labels(amateur_labels):
    areas = amateur_labels.sum(axis=(2, 3))
    assert areas.min() >= 51 and areas.max() <= 223
    assert 95 < areas.mean() < 145  # FACTS: 122


def test_two_thirds_of_the_labels_have_two_parts(amateur_labels):
    parts = np.array([[components(label).max() for label in row] for row in amateur_labels])
    two = (parts >= 2).mean(axis=0)
    assert two[0] < 0.5 < two[1] <= two[2]  # closed, half open, open
    assert 0.5 < two.mean() < 0.85


def test_labels_lie_in_their_box_except_for_a_few_pixels(train):
    for item in train:
        per_112 = item["box"].size / 112**2
        outside = (item["label"] & ~item["box"][..., None]).sum(axis=(0, 1)) / per_112
        assert outside.max() <= 10
        rows, columns = (item["box"].any(axis=axis) for axis in (1, 0))
        assert item["box"].sum() == rows.sum() * columns.sum()  # a rectangle
        assert 0.02 < item["box"].mean() < 0.35


def test_leaflets_are_brighter_than_their_surroundings(train):
    """Expert labels are careful: the image is brighter under them than above and below."""
    for item in train:
        for frame in item["frames"] if item["dataset"] == "expert" else ():
            label, image = item["label"][..., frame], item["video"][..., frame]
            width = 2 * round(4 * leaflet_labels.frame_scale(label.shape)) + 1
            near = cv2.dilate(label.astype(np.uint8), np.ones((width, width))) > 0
            near[:, ~label.any(axis=0)] = False  # without the walls to the sides
            assert image[label].mean() > image[near & ~label].mean()


def test_expert_frames_show_the_whole_sector(train):
    for item in train:
        if item["dataset"] == "expert":
            moving = np.ptp(item["video"], axis=-1) > 0  # the scanner's marks do not move
            assert moving[:, [0, -1]].mean() < 0.05
            assert moving.any(axis=1).mean() > 0.6 and moving.any(axis=0).mean() > 0.5


@given(st.floats(0, 360), st.floats(2.5, 6), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_a_strip_has_the_requested_width_and_length(angle, width, seed):
    turn = np.radians(angle)
    direction = np.array([np.cos(turn), np.sin(turn)])
    curves = tuple([32, 32] + np.linspace(end, middle, 12)[:, None] * direction
                   for end, middle in ((-20, -1), (20, 1)))  # fmt: skip
    mask = leaflet_labels.careful_mask(curves, width, (64, 64))
    assert mask.sum() == pytest.approx(38 * width, rel=0.35)
    y, x = np.nonzero(mask)
    along = (np.stack([x, y], axis=1) - 32) @ direction
    assert -21 < along.min() < -18 and 18 < along.max() < 21  # no caps beyond the hinges
    hasty = leaflet_labels.hasty_mask(curves, width, (64, 64), np.random.default_rng(seed))
    assert hasty.shape == (64, 64) and hasty.dtype == bool
    assert hasty.sum() < 3 * mask.sum()


def test_leaflets_that_meet_are_one_strip_without_holes():
    hinges, tip = np.array([[10.0, 40.0], [54.0, 38.0]]), np.array([36.0, 30.0])
    curves = tuple(hinge + np.linspace(0, 1, 12)[:, None] * (tip - hinge) for hinge in hinges)
    mask = leaflet_labels.careful_mask(curves, 4.0, (64, 64))
    assert components(mask, connectivity=2).max() == 1
    assert components(~mask, connectivity=1).max() == 1


def test_a_box_at_the_edge_stays_in_the_frame():
    points = np.array([[-3.0, 5.0], [40.0, 70.0]])
    box = leaflet_labels.valve_box(points, (60, 50), np.random.default_rng(0))
    assert box.shape == (60, 50) and box[10:, :40].all() and not box[:2].any()


# --- Writing ------------------------------------------------------------------------------------


def test_bytes_do_not_depend_on_workers_or_interruption(study, tmp_path, monkeypatch):
    folder = tmp_path / "again"
    drawn, draw = [], mitral_study.draw_item

    def draw_two(kind, index, *rest):
        if len(drawn) == 2:
            raise KeyboardInterrupt
        drawn.append((kind.name, index))
        return draw(kind, index, *rest)

    monkeypatch.setattr(mitral_study, "draw_item", draw_two)
    with pytest.raises(KeyboardInterrupt):
        mitral_study.write_mitral_study(folder, workers=1, **STUDY)
    monkeypatch.undo()
    parts = folder / mitral_study.PARTS
    finished = {"identity.json", "0000.gz", "0000.json", "0001.gz", "0001.json"}
    assert {path.name for path in parts.iterdir()} == finished
    assert not (folder / "train.pkl").exists()
    leftover = subprocess.run(
        [sys.executable, "-c", KILLED, str(parts / "0002.gz")], capture_output=True, text=True
    )
    assert leftover.returncode == -signal.SIGKILL and len(list(parts.glob(".0002.*.gz"))) == 1
    kept = (parts / "0001.gz").stat().st_ino
    (parts / "0000.gz").write_bytes((parts / "0000.gz").read_bytes()[:-9])
    assemble = mitral_study._assemble

    def assemble_and_stop(*arguments):
        assemble(*arguments)
        assert (parts / "0001.gz").stat().st_ino == kept
        raise KeyboardInterrupt  # finished, but its parts are not removed

    monkeypatch.setattr(mitral_study, "_assemble", assemble_and_stop)
    with pytest.raises(KeyboardInterrupt):
        mitral_study.write_mitral_study(folder, workers=2, **STUDY)
    monkeypatch.undo()
    assert parts.is_dir() and not list(parts.glob(".*"))
    mitral_study.write_mitral_study(folder, workers=1, **STUDY)
    assert digests(folder) == digests(study)


def test_finished_study_is_returned_at_once(study, monkeypatch):
    monkeypatch.setattr(mitral_study, "_write_part", None)
    assert mitral_study.write_mitral_study(study, **STUDY) == study


def test_missing_parts_raise_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"0000\.gz"):
        mitral_study._assemble(tmp_path, [(KINDS[0], 0)], progress=False)
    assert not (tmp_path / "train.pkl").exists()


def test_the_pickle_refers_to_numpy_only(study):
    """So a reader that allows only numpy's own classes can read it."""
    named = []

    class Listing(pickle.Unpickler):
        def find_class(self, module, name):
            named.append((module, name))
            return super().find_class(module, name)

    with gzip.open(study / "train.pkl") as file:
        Listing(file).load()
    assert {module.split(".")[0] for module, _ in named} == {"numpy"}
    assert {name for _, name in named} == {"_reconstruct", "ndarray", "dtype"}


@pytest.mark.parametrize("change", [{"seed": 4}, {"scale": 0.03}], ids=str)
def test_another_study_in_the_folder_is_refused(study, change):
    before = digests(study)
    with pytest.raises(DataError, match=r"study\.json: expected .* found .* another folder"):
        mitral_study.write_mitral_study(study, **(STUDY | change))
    assert digests(study) == before


@pytest.mark.parametrize(
    "change", [{"version": common.VERSION + 1}, {"layout": "EchoNet-Dynamic"}], ids=str
)
def test_another_version_or_layout_is_refused(study, tmp_path, change):
    card = json.loads((study / "study.json").read_text())
    (tmp_path / "study.json").write_text(json.dumps(card | change))
    with pytest.raises(DataError, match="expected"):
        mitral_study.write_mitral_study(tmp_path, **STUDY)
    (tmp_path / "study.json").write_bytes(b"\xff{")
    with pytest.raises(DataError, match="expected"):
        mitral_study.write_mitral_study(tmp_path, **STUDY)
    assert {path.name for path in tmp_path.iterdir()} == {"study.json"}


@pytest.mark.parametrize("name", ["train.pkl", "notes.txt", "items"])
def test_foreign_files_are_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"mine")
    with pytest.raises(DataError, match="without one.*nothing was written"):
        mitral_study.write_mitral_study(tmp_path, **STUDY)
    assert digests(tmp_path).keys() == {name}
    with pytest.raises(DataError, match="expected a folder, found a file"):
        mitral_study.write_mitral_study(tmp_path / name, **STUDY)


@pytest.mark.parametrize(
    "wrong",
    [{"scale": 0}, {"scale": -0.1}, {"scale": 1.01}, {"scale": float("nan")}, {"seed": -1},
     {"videos": 0.0}, {"videos": 1.5}, {"videos": float("nan")},
     {"workers": 0}],
    ids=str,
)  # fmt: skip
def test_parameters_outside_their_range_are_refused(tmp_path, wrong):
    with pytest.raises(ValueError, match="must be"):
        mitral_study.write_mitral_study(tmp_path / "none", **(STUDY | wrong))
    assert not (tmp_path / "none").exists()


def test_find_mitral_returns_the_real_data_or_writes_a_phantom(tmp_path, monkeypatch, study):
    monkeypatch.setenv("ECHOLIB_DATA", str(tmp_path))
    monkeypatch.setattr(mitral_study, "write_mitral_study", lambda folder, scale, videos: folder)
    phantoms, version = config.data_folder() / "phantom", common.VERSION
    monkeypatch.setenv("ECHOLIB_FAST", "1")
    assert mitral_study.find_mitral() == (phantoms / f"mitral-0.1x0.1-v{version}", "phantom")
    monkeypatch.setenv("ECHOLIB_FAST", "0")
    assert mitral_study.find_mitral() == (phantoms / f"mitral-1x0.3-v{version}", "phantom")
    (tmp_path / "mitral").symlink_to(study)
    assert mitral_study.find_mitral() == (tmp_path / "mitral", "mitral valve set")


@pytest.mark.parametrize("name", ["train.pkl", "test.pkl"])
def test_half_a_real_set_is_refused(tmp_path, monkeypatch, name):
    monkeypatch.setenv("ECHOLIB_DATA", str(tmp_path))
    (tmp_path / "mitral").mkdir()
    (tmp_path / "mitral" / name).write_bytes(b"")
    with pytest.raises(DataError, match=rf"found only {name}\."):
        mitral_study.find_mitral()
    assert not (tmp_path / "phantom").exists()
