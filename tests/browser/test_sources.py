"""Sources of clips of every kind: how they open, what their views hold, what is refused."""

import gzip
import pickle
import shutil
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from echolib.browser.layer import Curve, Layer
from echolib.browser.sources import Views, _unique_names, open_views
from echolib.browser.view import View
from echolib.data import Camus, Clip, EchoNet, FrameSet, MitralStudy, ValveClip, read_clip, video
from echolib.errors import DataError
from echolib.files import write_npz
from echolib.geometry import Tracing, outline_to_tracing, polygon_to_mask
from echolib.masks import PackedMasks
from echolib.networks.inference import outline
from echolib.networks.models import LandmarkUNet, UNet, load_model
from echolib.valve.finder import ValveFinder
from echolib.ventricle.clip import ClipFunction
from echolib.ventricle.function import Beat, HeartFunction
from tests.makers import (
    HEIGHT,
    SPACING,
    WIDTH,
    EchoNetFolder,
    camus_folder,
    chord_rows,
    fan,
    frame_set,
    save_network,
    ventricle,
    ventricle_set,
    write_avi,
    write_nifti,
)

COUNT, SHAPE = 6, (24, 32)
WHOLE = (COUNT, *SHAPE)
FRAMES = np.random.default_rng(0).integers(0, 256, WHOLE, np.uint8)
MASKS = np.random.default_rng(1).random(WHOLE) < 0.3


@pytest.fixture
def decoded(monkeypatch):
    """List of the paths of all videos opened so far."""
    paths, decode = [], video.decode

    def recorded(file, kind, name, *others):
        paths.append(name)
        return decode(file, kind, name, *others)

    monkeypatch.setattr(video, "decode", recorded)
    return paths


@pytest.fixture(scope="module")
def echonet_folder(tmp_path_factory):
    made = EchoNetFolder(tmp_path_factory.mktemp("echonet"))
    made.files.loc[0, "EF"] = 54.4
    made.files.loc[1, "EF"] = ""
    made.files.loc[5, "FPS"] = ""
    return made.write()


@pytest.fixture
def own_folder(echonet_folder, tmp_path):
    """A copy of the EchoNet folder that a test may damage."""
    return shutil.copytree(echonet_folder, tmp_path / "own")


def only(source, **options):
    """Return the view of a source that is one clip."""
    views = open_views(source, **options)
    assert len(views) == len(views.names) == len(views.keywords) == 1
    return views.read(0)


def layers_of(view):
    return {layer.name: layer for layer in view.layers}


def labelled_frames(layer):
    return np.flatnonzero(layer.labelled).tolist()


# --- Names --------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from(["a", "b", "a (2)", "a (3)", "a (2) (2)", ""]), max_size=12))
def test_names_are_unique_and_the_first_of_equal_names_stays(names):
    unique = _unique_names(names)
    assert len(set(unique)) == len(names)
    for index, (name, given_name) in enumerate(zip(unique, names, strict=True)):
        assert name.startswith(given_name)
        if given_name not in names[:index]:
            assert name == given_name


def test_a_repeated_name_gets_a_number_in_the_list_and_in_the_view():
    views = open_views([FRAMES, Clip("clip", FRAMES[1:]), Clip("b", FRAMES), FRAMES[2:]])
    assert views.names == ("clip", "clip (2)", "b", "clip (3)")
    assert [views.read(index).name for index in range(4)] == list(views.names)
    assert [len(views.read(index)) for index in range(4)] == [6, 5, 6, 4]


# --- One clip -----------------------------------------------------------------------------------


def test_a_clip_keeps_its_name_frames_frame_rate_and_spacing():
    view = only(Clip("a", FRAMES, 30.0, 0.4))
    assert (view.name, view.fps, view.spacing, view.layers) == ("a", 30.0, 0.4, ())
    assert view.frames is FRAMES


@pytest.mark.parametrize("source", [FRAMES, list(FRAMES), tuple(FRAMES)], ids=["array", "list", ""])
def test_frames_alone_are_a_clip(source):
    assert np.array_equal(only(source).frames, FRAMES)


def test_a_view_and_views_are_sources_that_stay_unchanged():
    layers = (Layer("net", MASKS, colour=(1, 2, 3)),)
    view = View("a", FRAMES, 20.0, layers=layers, curves=(Curve("x", np.ones(COUNT)),))
    again = only(view)
    assert again.layers[0].colour == (1, 2, 3) and again.curves[0].name == "x"
    views = open_views(open_views([view, FRAMES]))
    assert views.names == ("a", "clip") and views.read(0).fps == 20


def test_a_file_is_read_when_it_is_asked_for(tmp_path, decoded):
    write_avi(tmp_path / "heart.avi", 4)
    views = open_views([tmp_path / "heart.avi", str(tmp_path / "heart.avi")])
    assert views.names == ("heart", "heart (2)") and decoded == []
    expected = read_clip(tmp_path / "heart.avi")
    decoded.clear()
    view = views.read(1)
    assert len(decoded) == 1
    assert np.array_equal(view.frames, expected.frames) and view.fps == expected.fps == 50


def test_a_file_deleted_after_opening_is_named(tmp_path):
    write_avi(tmp_path / "heart.avi", 4)
    views = open_views(tmp_path / "heart.avi")
    (tmp_path / "heart.avi").unlink()
    with pytest.raises(DataError, match=r"heart\.avi: no such file"):
        views.read(0)


@pytest.mark.parametrize("error", [OSError("disk.raw is gone"), ValueError("disk.raw is gone")])
def test_an_error_while_reading_names_the_clip_and_the_reason(error):
    def read(number):
        raise error

    with pytest.raises(DataError, match="Clip 'a' cannot be read: disk.raw is gone") as caught:
        open_views(Views(("a",), ("",), read)).read(0)
    assert caught.value.__cause__ is error


def test_a_number_past_the_end_is_an_index_error():
    views = open_views([FRAMES, frame_set()])
    assert views.read(-2).name == "p4"  # counted from the end, as in a list
    for number in (len(views), -len(views) - 1):
        with pytest.raises(IndexError):
            views.read(number)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (42, "expected a Clip, .*; found int"), (None, "found NoneType"), ({}, "found dict"),
        ({"a": FRAMES}, "found dict"), ([], "found an empty list"), (iter([FRAMES]), "found list"),
        ([FRAMES, 42], "item 1 of the list: expected a Clip, .*; found int"),
        ([FRAMES, [FRAMES, []]], "item 1 of the list: item 1 of the list: .*empty list"),
        (FRAMES / 255, "frames: expected .* found float64"), (FRAMES[0], "frames: expected"),
        (FRAMES[:0], "at least one frame"), ("no/such.avi", r"no/such\.avi: no such file"),
        ([np.zeros((4, 5), np.uint8), np.zeros((4, 6), np.uint8)],
         r"frames: .*\(4, 5\) px in frame 0 and \(4, 6\) px in frame 1"),
    ],
)  # fmt: skip
def test_an_invalid_source_is_refused(source, reason):
    with pytest.raises(DataError, match=reason):
        open_views(source)


def test_a_folder_of_an_unknown_kind_is_refused(tmp_path):
    with pytest.raises(DataError, match="no data set that echolib can read"):
        open_views(tmp_path)


# --- Data sets ----------------------------------------------------------------------------------


def test_an_echonet_folder_opens_without_reading_a_video(echonet_folder, decoded):
    for source in (echonet_folder, str(echonet_folder), EchoNet(echonet_folder)):
        views = open_views(source)
        assert views.names == tuple(f"0X{index:04X}" for index in range(6))
        assert views.keywords[:2] == ("train, true EF 54 %", "train")
        assert views.keywords[-1] == "test, true EF 55 %" and decoded == []
    views.read(3)
    assert {path[-10:] for path in map(str, decoded)} == {"0X0003.avi"}


def test_an_echonet_clip_has_the_experts_outline_landmarks_and_chords(echonet_folder):
    data = EchoNet(echonet_folder)
    view = open_views(data).read(4)
    frames, _ = data.labelled("0X0004")
    assert (view.name, view.fps, view.spacing, len(view)) == ("0X0004", 50.0, None, 12)
    assert dict(view.marks) == {2: "ED", 9: "ES"}
    layers = layers_of(view)
    assert list(layers) == ["truth", "traced points", "tracing"]
    assert all(labelled_frames(layer) == [2, 9] for layer in layers.values())
    truth, points, tracing = layers.values()
    for frame in frames:
        assert np.array_equal(truth.masks[frame.frame], frame.mask)
        np.testing.assert_allclose(points.points[frame.frame], frame.landmarks, rtol=1e-6)
    assert not truth.masks[3].any() and np.isnan(points.points[3]).all()
    rows = chord_rows(ventricle(13.0)).reshape(-1, 2, 2)
    np.testing.assert_allclose(tracing.segments[9], rows, atol=1e-3)
    assert not tracing.on and truth.on and tracing.role == points.role == "tracing"
    assert open_views(data).read(5).fps is None


def test_a_split_selects_clips_of_a_data_set(echonet_folder):
    views = open_views(echonet_folder, split="test")
    assert views.names == ("0X0005",) and views.read(0).name == "0X0005"
    assert len(open_views([echonet_folder, echonet_folder], split="train")) == 8
    with pytest.raises(DataError, match="split: expected one of .*'all', found 'tests'"):
        open_views(echonet_folder, split="tests")
    for source in (FRAMES, [FRAMES], echonet_folder / "Videos" / "0X0000.avi"):
        with pytest.raises(DataError, match="split: expected 'all' for .*found 'val'"):
            open_views(source, split="val")
    one_split = frame_set().select(np.arange(4))
    with pytest.raises(DataError, match="expected clips of split 'test', found none"):
        open_views(one_split, split="test")


def test_a_video_deleted_after_opening_is_named_and_the_others_can_be_read(own_folder):
    views = open_views(own_folder)
    (own_folder / "Videos" / "0X0001.avi").unlink()
    with pytest.raises(DataError, match=r"0X0001\.avi: no such file"):
        views.read(1)
    assert len(views.read(2)) == 12


def test_labels_that_cannot_be_used_are_left_out_with_a_warning(own_folder):
    write_avi(own_folder / "Videos" / "0X0000.avi", 5)  # frame 9 is past its end
    with pytest.warns(UserWarning, match="0X0000: labels left out: .*traced frame 9 is past"):
        view = open_views(own_folder).read(0)
    assert view.layers == () and len(view) == 5 and not view.marks


class LargeDataSet:
    """A data set of many clips that records which of them are read."""

    name = "large"

    def __init__(self, count):
        names = [f"0X{index:05X}" for index in range(count)]
        columns = {"split": "train", "patient": names, "fps": 50.0, "EF": np.linspace(9, 80, count)}
        self.table = pd.DataFrame(columns, index=names)
        self.read = []

    def clip(self, name):
        self.read.append(name)
        return Clip(name, FRAMES)

    def labelled(self, name, read=None):
        return [], []


def test_ten_thousand_clips_open_within_a_second():
    data, start = LargeDataSet(10_000), time.perf_counter()
    views = open_views(data)
    assert time.perf_counter() - start < 1  # 20 ms on two cores
    assert len(views) == 10_000 and data.read == []
    assert views.keywords[-1] == "train, true EF 80 %"
    assert views.read(7_000).name == data.table.index[7_000]
    assert data.read == [data.table.index[7_000]]


def test_camus_frames_are_found_in_their_sequence(tmp_path):
    folder = camus_folder(tmp_path)
    data = Camus(folder)
    place = folder / "database_nifti" / "patient0002" / "patient0002_4CH_half_sequence.nii.gz"
    (diastole, systole), _ = data.labelled("patient0002_4CH")
    between = np.full((HEIGHT, WIDTH), 7, np.uint8)
    sequence = [between, diastole.image, between, between, systole.image]
    write_nifti(place, np.stack(sequence).transpose(0, 1, 2))
    view = open_views(folder, split="val").read(0)
    assert (view.name, view.spacing) == ("patient0002_4CH", SPACING)
    assert dict(view.marks) == {1: "ED", 4: "ES"}
    assert labelled_frames(view.truth) == [1, 4]
    assert np.array_equal(view.truth.masks[4], systole.mask)
    tracing = layers_of(view)["tracing"].segments[1]
    np.testing.assert_allclose(tracing[:, 0], diastole.landmarks[:20], rtol=1e-6)
    np.testing.assert_allclose(tracing[:, 1], diastole.landmarks[:19:-1], rtol=1e-6)


def test_camus_without_sequences_shows_its_two_frames(tmp_path):
    views = open_views(camus_folder(tmp_path))
    assert views.keywords == ("train", "val", "test")
    view = views.read(0)
    assert dict(view.marks) == {0: "ED", 1: "ES"} and labelled_frames(view.truth) == [0, 1]
    assert view.area(view.truth)[0] > view.area(view.truth)[1]


@pytest.mark.parametrize("shape", [(HEIGHT, WIDTH), (HEIGHT, WIDTH + 2)])
def test_camus_labels_of_other_frames_are_left_out_with_a_warning(tmp_path, shape):
    folder = camus_folder(tmp_path)
    place = folder / "database_nifti" / "patient0001" / "patient0001_4CH_half_sequence.nii.gz"
    write_nifti(place, np.full((3, *shape), 250, np.uint8))
    with pytest.warns(UserWarning, match="a labelled frame does not occur in the clip"):
        view = open_views(folder).read(0)
    assert view.layers == () and not view.marks


def test_a_frame_set_shows_the_labelled_frames_of_each_clip_in_order():
    frames = ventricle_set(8)
    frames.table["frame"] = [30, 4] * 4
    frames.table["spacing"] = [np.nan] * 4 + [0.3] * 4
    frames = frames.select(np.array([4, 0, 2, 1, 5, 3, 6, 7]))
    views = open_views(frames)
    assert views.names == ("p2", "p0", "p1", "p3")
    view = views.read(0)
    assert view.numbers.tolist() == [4, 30] and dict(view.marks) == {0: "ES", 1: "ED"}
    assert np.array_equal(view.frames, frames.images[[4, 0]])
    assert np.array_equal(view.truth.masks, frames.masks[[4, 0]]) and view.truth.labelled is None
    assert (view.fps, view.spacing, views.read(1).spacing) == (50.0, 0.3, None)
    layers = layers_of(view)
    np.testing.assert_allclose(layers["traced points"].points, frames.landmarks[[4, 0]])
    assert layers["tracing"].segments.shape == (2, 20, 2, 2) and not layers["tracing"].on


def test_a_saved_frame_set_opens_from_its_folder_and_equal_names_of_two_sets_are_two_clips(
    tmp_path,
):
    frames = frame_set(12, 16)
    other = frame_set(12, 16, seed=1)
    other.table["source"] = "others"
    FrameSet.joined([frames, other]).save(tmp_path / "set")
    views = open_views(tmp_path / "set", split="val")
    assert views.names == ("p4", "p4 (2)") and views.keywords == ("val", "val")
    for number, source in enumerate((frames, other)):
        assert np.array_equal(views.read(number).frames, source.images[8:10])
    assert list(layers_of(views.read(0))) == ["truth"]


# --- The mitral valve ---------------------------------------------------------------------------


def valve_clip(name="valve", **changed):
    box = np.zeros(SHAPE, bool)
    box[5:15, 8:20] = True
    made = {"dataset": "expert", "box": box, "labelled": (1, 4), "labels": MASKS[[1, 4]]}
    return ValveClip(name, FRAMES, **(made | changed))


def test_a_labelled_valve_clip_shows_leaflets_and_box():
    clip = valve_clip()
    view = only(clip)
    assert open_views(clip).keywords == ("expert",)
    truth, box = view.layers
    assert truth is view.truth and labelled_frames(truth) == [1, 4]
    assert np.array_equal(truth.masks[4], MASKS[4]) and not truth.masks[2].any()
    assert box.segments.shape == (COUNT, 4, 2, 2) and not box.on
    for edges in box.segments:
        ends = edges.reshape(-1, 2)
        assert ends.min(axis=0).tolist() == [7.5, 4.5]
        assert ends.max(axis=0).tolist() == [19.5, 14.5]
        assert np.array_equal(edges[:, 1], np.roll(edges[:, 0], -1, axis=0))


def test_a_valve_clip_without_labels_or_with_an_empty_box_is_a_clip():
    bare = {"dataset": "", "box": None, "labelled": (), "labels": None}
    assert only(valve_clip(**bare)).layers == ()
    assert only(valve_clip(**bare | {"box": np.zeros(SHAPE, bool)})).layers == ()


def test_a_phantom_mitral_study_has_a_truth_for_its_test_clips(tmp_path):
    test = ValveClip("test", FRAMES)
    study = MitralStudy(tmp_path, [valve_clip("one"), ValveClip("test", FRAMES)], [test])
    views = open_views(study)
    assert views.names == ("one", "test", "test (2)")
    assert views.keywords == ("train, expert", "train", "test")
    assert labelled_frames(views.read(0).truth) == [1, 4] and views.read(2).truth is None
    write_npz(tmp_path / "test_truth.npz", [("test", MASKS.transpose(1, 2, 0))])
    assert np.array_equal(views.read(2).truth.masks, MASKS) and views.read(2).truth.labelled is None
    assert labelled_frames(views.read(0).truth) == [1, 4]
    assert views.read(1).truth is None  # a training clip of that name
    assert open_views(study, split="test").names == ("test",)


def test_a_mitral_folder_is_recognised_by_its_files(tmp_path):
    label = MASKS & np.isin(np.arange(COUNT), (1, 4, 5))[:, None, None]
    labelled = {
        "name": "one", "video": FRAMES.transpose(1, 2, 0), "box": np.ones(SHAPE, bool),
        "label": label.transpose(1, 2, 0), "frames": [1, 4, 5], "dataset": "amateur",
    }  # fmt: skip
    items = {"train.pkl": [labelled], "test.pkl": [{k: labelled[k] for k in ("name", "video")}]}
    items["test.pkl"][0]["name"] = "two"
    for file, clips in items.items():
        (tmp_path / file).write_bytes(gzip.compress(pickle.dumps(clips)))
    views = open_views(tmp_path)
    assert views.names == ("one", "two") and views.keywords == ("train, amateur", "test")
    assert labelled_frames(views.read(0).truth) == [1, 4, 5] and views.read(1).truth is None


# --- A measured clip ----------------------------------------------------------------------------


def measured(smooth, spacing=0.5, ef=61.2):
    """Make a ClipFunction with two beats in six frames."""
    tracing = outline_to_tracing(ventricle(6, 10, 16, 12))
    axes, chords = (np.stack([array] * COUNT) for array in (tracing.axis, tracing.chords))
    beats = [Beat(0, 2, 3, 1, 1, 1, 1, 60), Beat(3, 4, 5, 1, 1, 1, 1, 60, counts=False)]
    ones = np.ones(COUNT)
    function = HeartFunction(ones, ones, smooth, ones, axes, chords, beats, 30.0, spacing)
    clip = Clip("heart", FRAMES, 30.0, spacing)
    return ClipFunction(
        clip, PackedMasks.pack(MASKS), function, 60, ef, 50, 70, {}, 0.1, [], ("lv",)
    )


def test_a_measured_clip_shows_masks_disks_beats_and_volume():
    smooth = np.array([5, 4, np.nan, 5, 3, 2.0])
    result = measured(smooth)
    assert open_views(result).keywords == ("EF 61 % corrected",)
    view = only(result)
    assert (view.name, view.fps, view.spacing) == ("heart", 30.0, 0.5)
    assert dict(view.marks) == {0: "ED", 2: "ES", 3: "ED", 4: "ES", 5: "ED"}
    masks, disks = view.layers
    assert masks.name == "masks" and masks.role == "model"
    assert np.array_equal(masks.masks, MASKS)
    assert disks.role == "tracing" and not disks.on
    assert np.array_equal(disks.segments[:, 0], result.function.axes)
    assert np.array_equal(disks.segments[:, 1:], result.function.chords)
    volume, area = view.all_curves
    assert (volume.name, volume.unit, area.unit) == ("volume", "ml", "cm²")
    np.testing.assert_array_equal(volume.values, smooth)


def test_a_measured_clip_without_volumes_has_no_volume_curve():
    views = open_views(measured(np.full(COUNT, np.nan), spacing=None, ef=np.nan))
    assert views.keywords == ("",)
    assert [curve.unit for curve in views.read(0).all_curves] == ["px²"]


def test_a_list_may_hold_clips_of_all_kinds(tmp_path, echonet_folder, decoded):
    write_avi(tmp_path / "heart.avi", 3)
    sources = [
        FRAMES, echonet_folder, tmp_path / "heart.avi", frame_set(), measured(np.ones(COUNT)),
        [valve_clip(), View("0X0001", FRAMES[:2])],
    ]  # fmt: skip
    views = open_views(sources)
    clips = [f"0X{index:04X}" for index in range(6)]
    patients = [f"p{index}" for index in range(6)]
    expected = ["clip", *clips, "heart", *patients, "heart (2)", "valve", "0X0001 (2)"]
    assert list(views.names) == expected and len(views.keywords) == len(expected)
    assert decoded == []
    counts = [6, *[12] * 6, 3, *[2] * 6, 6, 6, 2]
    read = [views.read(number) for number in range(len(views))]
    assert [len(view) for view in read] == counts and [view.name for view in read] == expected


# --- Models -------------------------------------------------------------------------------------


def bright(frames):
    return frames > 128


class Finder:
    """A model that counts how often it runs."""

    def __init__(self):
        self.runs = 0

    def masks(self, frames):
        self.runs += 1
        return frames > 200


def test_functions_and_finders_outline_a_clip_when_it_is_read():
    finder = Finder()
    views = open_views([FRAMES, FRAMES[:3]], {"bright": bright, "finder": finder})
    assert finder.runs == 0
    layers = layers_of(views.read(1))
    assert finder.runs == 1 and list(layers) == ["bright", "finder"]
    assert np.array_equal(layers["bright"].masks, FRAMES[:3] > 128)
    assert np.array_equal(layers["finder"].masks, FRAMES[:3] > 200)
    assert {layer.role for layer in layers.values()} == {"model"}
    assert layers["bright"].colour != layers["finder"].colour


def test_a_models_layer_is_added_to_the_experts_layers(echonet_folder):
    view = open_views(echonet_folder, {"bright": bright}).read(0)
    assert view.truth is not None and "bright" in layers_of(view)
    assert np.flatnonzero(np.isfinite(view.dice(view.layers[-1]))).tolist() == [2, 9]


def test_shipped_networks_find_masks_and_points(monkeypatch):
    frames = np.stack([fan_frame(shift) for shift in (0, 3)])
    loaded = []
    monkeypatch.setattr(
        "echolib.networks.models.load_model", lambda name: loaded.append(name) or load_model(name)
    )
    views = open_views(Clip("a", frames), {"masks": "lv", "landmarks": "lv_landmarks"})
    views.read(0)
    masks, landmarks = views.read(0).layers
    assert loaded == ["lv", "lv_landmarks"]  # once, though the clip was read twice
    assert masks.points is None and masks.masks.shape == frames.shape
    assert np.array_equal(masks.masks, outline(load_model("lv"), frames))
    assert landmarks.points.shape == (2, 40, 2)
    for points, mask in zip(landmarks.points, landmarks.masks, strict=True):
        assert np.array_equal(polygon_to_mask(points, frames.shape[1:], rounded=False), mask)
        assert mask.any()


def fan_frame(shift):
    """(150, 100) uint8: a dark ventricle in grey, not square, larger than the network's frames."""
    noise = np.random.default_rng(shift).integers(60, 160, (150, 100))
    dark = polygon_to_mask(ventricle(22, 55, 50 + shift, 70), noise.shape, rounded=False)
    return np.where(dark, 10, noise).astype(np.uint8)


def test_points_are_mapped_back_from_the_letterbox_to_the_frame():
    class ConstantPoints(LandmarkUNet):
        """Returns the same points of the square for every image."""

        def forward(self, images):
            return torch.tensor([[15.5, 15.5], [31.5, 15.5], [15.5, 31.5]]).expand(
                len(images), 3, 2
            )

    model = ConstantPoints(4, 1, 7)
    model.size = 64
    frames = np.zeros((70, 32, 128), np.uint8)  # more than a batch; letterboxed to half its size
    view = only(frames, models={"net": model})
    expected = np.array([[31.5, -16.5], [63.5, -16.5], [31.5, 15.5]])
    np.testing.assert_allclose(view.layers[0].points, np.broadcast_to(expected, (70, 3, 2)))


@pytest.mark.parametrize("kind", ["model", "path", "folder"])
def test_a_network_may_be_a_model_a_path_or_a_folder(kind, tmp_path):
    torch.manual_seed(0)
    model = UNet(2, 1, outputs=2)
    save_network(model, tmp_path / "model.safetensors", 32)
    given_as = {
        "model": model, "path": tmp_path / "model.safetensors", "folder": str(tmp_path),
    }[kind]  # fmt: skip
    (layer,) = only(FRAMES, models={"net": given_as}).layers
    assert np.array_equal(layer.masks, outline(model.eval(), FRAMES))


def test_a_valve_finder_draws_leaflets():
    torch.manual_seed(0)
    finder = ValveFinder(UNet(2, 1, outputs=1), size=32)
    (layer,) = only(FRAMES, models={"valve": finder}).layers
    assert (layer.name, layer.role) == ("valve", "leaflets")
    assert np.array_equal(layer.masks, finder.masks(FRAMES))


def test_the_shipped_valve_finder_is_opened_by_its_name(monkeypatch):
    loaded = []
    monkeypatch.setattr(
        "echolib.valve.finder.load_finder", lambda name: loaded.append(name) or Finder()
    )
    only(FRAMES, models={"leaflets": "valve"})
    assert loaded == ["valve"]


def test_models_may_be_given_without_names(monkeypatch):
    monkeypatch.setattr("echolib.browser.outliners.load_by_name", lambda given: bright)
    for models, names in (
        ("lv", ["lv"]),
        (Path("runs/own.safetensors"), ["own"]),
        (["lv", "runs/own"], ["lv", "own"]),
        (bright, ["model"]),
    ):
        assert [layer.name for layer in only(FRAMES, models=models).layers] == names


@pytest.mark.parametrize(
    ("models", "reason"),
    [
        (["lv", bright], "expected names or paths of weights in the list"),
        (["a/lv", "b/lv.safetensors"], "two have the same name"),
        ({"net": 3}, r"models\['net'\]: expected the name or path of weights.*; found int"),
        ({"net": None}, "found NoneType"),
        ({"net": "no_such_weights"}, "No weights at no_such_weights"),
        ({"net": torch.nn.Linear(2, 2)}, "expected one of .*'UNet'.*, found Linear"),
        ({"net": UNet(2, 1, inputs=3)}, "sees 3 frames at a time"),
        ({"net": (UNet(2, 1), {"size": 112})}, "found tuple"),
    ],
)
def test_an_invalid_model_is_refused_when_the_source_is_opened(models, reason):
    with pytest.raises(DataError, match=reason):
        open_views(FRAMES, models)


def failing(frames):
    raise RuntimeError("out of memory")


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (failing, "the model 'net' failed. RuntimeError: out of memory"),
        (lambda: None, "the model 'net' failed. TypeError"),
        (lambda frames: frames, r"layer 'net', masks: expected \(6, 24, 32\) bool"),
        (lambda frames: frames[1:] > 0, r"layer 'net', masks: expected \(6, 24, 32\) bool"),
        (lambda frames: None, "layer 'net': expected masks, points, segments or heat"),
        (lambda frames: [1, 2], "layer 'net', masks: .*found list"),
    ],
)
def test_a_model_that_fails_is_named_with_its_clip(model, reason):
    views = open_views([Clip("a", FRAMES), Clip("b", FRAMES)], {"net": model})
    with pytest.raises(DataError, match=f"^Clip 'b'[,:] {reason}"):
        views.read(1)


def test_a_model_may_not_take_the_name_of_the_truth():
    views = open_views(valve_clip(), {"truth": bright})
    with pytest.raises(DataError, match=r"several called \['truth'\]. Rename"):
        views.read(0)


# --- Additions to one clip ----------------------------------------------------------------------

TRACING = Tracing(
    np.array([[10, 2], [12, 20.0]]), outline_to_tracing(ventricle(6, 10, 16, 12)).chords
)


def test_everything_that_can_be_added_to_a_clip():
    rng = np.random.default_rng(5)
    truth, leaflets = rng.random((2, *WHOLE)) < 0.2
    doubt = rng.random(WHOLE)
    doubt[0, 0, :3] = [0, 1, np.nan]
    points = rng.uniform(0, 20, (COUNT, 4, 2))
    curves = {"pulse": np.arange(6.0), "flow": Curve("x", np.arange(6.0), "m/s")}
    view = only(
        Clip("a", FRAMES, 10.0), masks={"one": MASKS, "two": ~MASKS}, truth=truth,
        tracings={3: TRACING}, landmarks={"one": points, "own": points}, leaflets=leaflets,
        doubt=doubt, curves=curves, marks={1: "ED"}, labels=list("abcdef"), fps=25.0, spacing=0.7,
        title="patient 3",
    )  # fmt: skip
    assert (view.name, view.fps, view.spacing) == ("patient 3", 25.0, 0.7)
    assert view.labels == tuple("abcdef") and dict(view.marks) == {1: "ED"}
    layers = layers_of(view)
    assert layers["one"].masks is MASKS and layers["one"].points is points
    assert layers["two"].points is None and layers["own"].masks is None
    assert view.truth.masks is truth and view.truth.labelled is None
    assert layers["leaflets"].role == "leaflets" and layers["leaflets"].masks is leaflets
    heat = layers["doubt"]
    assert heat.role == "doubt" and not heat.on and heat.heat[0, 0, :3].tolist() == [0, 255, 0]
    np.testing.assert_allclose(heat.heat[1] / 255, doubt[1], atol=0.5 / 255 + 1e-9)
    lines = layers["tracing"].segments
    np.testing.assert_allclose(lines[3], [TRACING.axis, *TRACING.chords], rtol=1e-6)
    np.testing.assert_allclose(layers["traced points"].points[3], TRACING.polygon, rtol=1e-6)
    assert labelled_frames(layers["tracing"]) == [3] and np.isnan(lines[2]).all()
    found = [(curve.name, curve.unit) for curve in view.curves]
    assert found == [("pulse", ""), ("flow", "m/s")]


def test_truth_by_frame_is_labelled_in_these_frames_only():
    view = only(FRAMES, truth={np.int64(4): MASKS[4], 1: MASKS[1]}, masks={"net": MASKS})
    assert labelled_frames(view.truth) == [1, 4]
    scores = view.dice(view.layers[-1])
    assert scores[[1, 4]].tolist() == [1, 1] and np.isfinite(scores).sum() == 2


def test_tracings_may_have_different_numbers_of_chords():
    short = Tracing(TRACING.axis, TRACING.chords[::4])
    layers = layers_of(only(FRAMES, tracings={0: TRACING, 2: short}))
    lines = np.isfinite(layers["tracing"].segments).all(axis=(2, 3)).sum(axis=1)
    points = np.isfinite(layers["traced points"].points).all(axis=2).sum(axis=1)
    assert lines.tolist() == [21, 0, 6, 0, 0, 0] and points.tolist() == [40, 0, 10, 0, 0, 0]


def test_additions_replace_those_of_the_clip(echonet_folder):
    own = open_views(echonet_folder, split="test").read(0)
    other = np.ones((112, 112), bool)
    shown = {"truth": {0: other}, "tracings": {0: TRACING}, "marks": {0: "MVC"}, "fps": 12.5}
    view = open_views(echonet_folder, split="test", **shown).read(0)
    assert labelled_frames(own.truth) == [2, 9] and labelled_frames(view.truth) == [0]
    assert {layer.name for layer in view.layers} == {layer.name for layer in own.layers}
    assert labelled_frames(layers_of(view)["tracing"]) == [0]
    assert dict(view.marks) == {0: "MVC"} and view.fps == 12.5
    view = open_views(echonet_folder, split="test", curves={"x": np.arange(12.0)}).read(0)
    assert labelled_frames(view.truth) == [2, 9] and len(view.marks) == 2
    view = only(measured(np.ones(COUNT)), truth={0: MASKS[0]}, tracings={0: TRACING})
    assert list(layers_of(view)) == ["truth", "masks", "disks", "traced points", "tracing"]
    assert [curve.name for curve in view.curves] == ["volume"]


def test_a_title_replaces_the_name():
    assert open_views(Clip("a", FRAMES), title="b").names == ("b",)


@pytest.mark.parametrize(
    ("shown", "reason"),
    [
        ({"masks": MASKS}, r"masks: expected a mapping \{name: \.\.\.\}, found ndarray"),
        ({"masks": {"net": MASKS[1:]}}, r"layer 'net', masks: expected \(6, 24, 32\)"),
        ({"landmarks": FRAMES}, r"landmarks: expected a mapping \{name"),
        ({"landmarks": {"net": np.zeros((5, 4, 2))}}, r"layer 'net', points: expected \(6, n, 2\)"),
        ({"tracings": [TRACING]}, r"tracings: expected a mapping \{frame"),
        ({"tracings": {6: TRACING}}, "tracings: expected frames from 0 to 5, found 6"),
        ({"tracings": {"1": TRACING}}, "tracings: expected frames from 0 to 5, found '1'"),
        ({"tracings": {1: TRACING.polygon}}, "expected geometry.Tracing by frame, found ndarray"),
        ({"curves": np.arange(6.0)}, r"curves: expected a mapping \{name"),
        ({"curves": {"x": np.arange(5.0)}}, r"curve 'x': expected \(6,\)"),
        ({"curves": {"x": np.full(6, np.nan)}}, "curve 'x': .*only NaN"),
        ({"truth": MASKS[0]}, r"layer 'truth', masks: expected \(6, 24, 32\) bool"),
        ({"truth": {6: MASKS[0]}}, "truth: expected frames from 0 to 5, found 6"),
        ({"truth": {-1: MASKS[0]}}, "truth: expected frames from 0 to 5, found -1"),
        ({"truth": {0: MASKS}}, r"truth of frame 0: expected \(24, 32\) bool, found bool of shape"),
        ({"truth": {0: FRAMES[0]}}, "truth of frame 0: .*found uint8"),
        ({"leaflets": FRAMES}, "layer 'leaflets', masks: .*bool.*found uint8"),
        ({"doubt": FRAMES}, r"doubt: expected \(T, H, W\) float from 0 to 1, found uint8"),
        ({"doubt": np.full(WHOLE, 1.5)}, "doubt: expected values from 0 to 1, found 1.5"),
        ({"doubt": np.full(WHOLE, np.inf)}, "doubt: expected values from 0 to 1"),
        ({"doubt": np.zeros((5, *SHAPE))}, r"layer 'doubt', heat: expected \(6, 24, 32\)"),
        ({"marks": {6: "ED"}}, "marks: expected a frame from 0 to 5"),
        ({"labels": ["ED"]}, "labels: expected a text for each of 6 frames"),
        ({"fps": 0}, "fps: expected a number above 0"),
        ({"spacing": -1}, "spacing: expected a number above 0"),
        ({"masks": {"truth": MASKS}, "truth": MASKS}, r"several called \['truth'\]"),
    ],
)
def test_additions_that_do_not_fit_the_clip_are_refused(shown, reason):
    with pytest.raises(DataError, match=reason):
        open_views(FRAMES, **shown).read(0)


@pytest.mark.parametrize(
    "shown", [{"masks": {"net": MASKS}}, {"marks": {0: "ED"}}, {"labels": ["x"]}, {"title": "a"}]
)
def test_additions_need_a_source_that_is_one_clip(shown):
    (name,) = shown
    with pytest.raises(DataError, match=f"^{name}: expected a source that is one clip, found 2"):
        open_views([FRAMES, FRAMES], **shown)


def test_a_rate_and_a_spacing_are_given_for_all_clips():
    views = open_views([FRAMES, Clip("b", FRAMES, 50.0)], fps=3, spacing=0.5)
    assert [(views.read(n).fps, views.read(n).spacing) for n in range(2)] == [(3, 0.5)] * 2


@pytest.mark.parametrize("count", [1, 2])
def test_what_lies_outside_the_sector_is_black_on_request_for_models_too(count):
    image, inside = fan()
    image[2:10, 2:25] = 255  # a burned-in name
    frames, seen = np.stack([image, image]), []

    def model(given):
        seen.append(given)
        return np.zeros(given.shape, bool)

    views = open_views([frames] * count, {"net": model}, blank_text=True)
    view = views.read(count - 1)
    assert not view.frames[:, ~inside].any() and view.frames.any()
    assert np.array_equal(seen[0], view.frames)
    assert open_views(frames).read(0).frames[:, 4, 4].min() == 255
