"""The mitral valve set: items as clips, malformed items, the conversion, NN-MitralSeg."""

import gzip
import json
import os
import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from echolib import config
from echolib.data import EchoNet, ValveClip, open_mitral, read_mitral_pickle
from echolib.data.valve import study as mitral
from echolib.data.valve.nn_mitralseg import read_box, read_nn_mitralseg
from echolib.data.valve.schema import item_problems
from echolib.errors import DataError
from echolib.phantom.mitral_study import write_mitral_study
from tests.makers import EchoNetFolder

SHAPE = (20, 30, 7)


def item(name="clip", **changed):
    """A labelled item of 20 x 30 px and 7 frames; a change to None removes a key."""
    generator = np.random.default_rng(0)
    box = np.zeros(SHAPE[:2], bool)
    box[5:15, 5:20] = True
    label = np.zeros(SHAPE, bool)
    label[8:10, 8:12, [1, 4]] = True
    label[8:10, 8:13, 6] = True
    made = {"name": name, "video": generator.integers(0, 256, SHAPE, dtype=np.uint8), "box": box}
    made |= {"label": label, "frames": [1, 4, 6], "dataset": "amateur"} | changed
    return {key: value for key, value in made.items() if value is not None}


def unlabelled(name="clip"):
    return item(name, box=None, label=None, frames=None, dataset=None)


def write(path, items):
    with gzip.open(path, "wb", compresslevel=1) as file:
        pickle.dump(items, file)
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "train.pkl"


def problem(path, *items):
    """The message of the error for a file of these items."""
    with pytest.raises(DataError) as caught:
        read_mitral_pickle(write(path, list(items)))
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value)


# --- Items --------------------------------------------------------------------------------------


def test_a_labelled_item_is_a_clip_time_first(path):
    made = item()
    (clip,) = read_mitral_pickle(write(path, [made]))
    assert isinstance(clip, ValveClip) and clip.frames.shape == (7, 20, 30)
    assert np.array_equal(clip.frames, made["video"].transpose(2, 0, 1))
    assert clip.frames.flags.c_contiguous and clip.frames.dtype == np.uint8
    assert (clip.name, clip.dataset, clip.fps, clip.spacing) == ("clip", "amateur", None, None)
    assert np.array_equal(clip.box, made["box"]) and clip.labelled == (1, 4, 6)
    assert np.array_equal(clip.labels, made["label"].transpose(2, 0, 1)[[1, 4, 6]])


def test_an_item_with_only_a_video_is_unlabelled(path):
    (clip,) = read_mitral_pickle(write(path, [unlabelled()]))
    assert (clip.dataset, clip.box, clip.labelled, clip.labels) == ("", None, (), None)


@pytest.mark.parametrize(
    "frames",
    [
        (1, 4, 6), [6, 1, 4], np.array([4, 6, 1]), [np.int64(1), np.uint8(4), 6],
        [np.array(1), np.array(4), np.array(6)],
    ],
    ids=repr,
)  # fmt: skip
def test_frame_numbers_may_be_numpy_numbers_in_any_order(path, frames):
    (clip,) = read_mitral_pickle(write(path, [item(frames=frames)]))
    assert clip.labelled == (1, 4, 6) and clip.labels.sum(axis=(1, 2)).tolist() == [8, 8, 10]


def test_masks_of_zeros_and_ones_are_accepted(path):
    made = item()
    masks = {"box": made["box"].astype(np.uint8), "label": np.asfortranarray(made["label"])}
    (clip,) = read_mitral_pickle(write(path, [made | masks | {"label": masks["label"] + 0 == 1}]))
    (other,) = read_mitral_pickle(write(path, [made | {"label": made["label"].astype(np.uint8)}]))
    assert clip.box.dtype == bool and np.array_equal(clip.box, made["box"])
    assert other.labels.dtype == bool and np.array_equal(other.labels, clip.labels)


VIDEO, LABEL, BOX = (item()[key] for key in ("video", "label", "box"))
EMPTY_AT_4 = LABEL & (np.arange(7) != 4)


@pytest.mark.parametrize(
    ("change", "key", "words"),
    [
        ({"box": None}, "box", "expected an entry, as in every labelled item, found none"),
        ({"label": None}, "label", "found none"), ({"frames": None}, "frames", "found none"),
        ({"dataset": None}, "dataset", "found none"), ({"video": None}, "video", "found none"),
        ({"name": None}, "name", "found none"),
        ({"video": VIDEO / 255}, "video", "(H, W, T) uint8, found float64 of shape (20, 30, 7)"),
        ({"video": VIDEO.tolist()}, "video", "found list"),
        ({"video": VIDEO[..., 0]}, "video", "found uint8 of shape (20, 30)"),
        ({"video": VIDEO[..., :0]}, "video", "found uint8 of shape (20, 30, 0)"),
        ({"label": LABEL[1:]}, "label", "(20, 30, 7), to match the video, found bool of shape (1"),
        ({"label": LABEL.transpose(2, 0, 1)}, "label", "of shape (7, 20, 30)"),
        ({"label": LABEL | LABEL.any(axis=(0, 1))}, "label", "a label of more in frames 1, "),
        ({"label": LABEL * 255}, "label", "(H, W, T) bool, found int64"),
        ({"label": LABEL.astype(np.uint8) * 2}, "label", "found uint8"),
        ({"box": BOX.T}, "box", "(20, 30), to match the video, found bool of shape (30, 20)"),
        ({"box": (5, 5, 15, 20)}, "box", "found tuple (5, 5, 15, 20)"),
        ({"box": BOX & False}, "box", "found no pixel"),
        ({"frames": [1, 4, 7]}, "frames", "from 0 to 6, the last frame of the video, found [7]"),
        ({"frames": [-1, 4, 6]}, "frames", "found [-1]"),
        ({"frames": [1, 4, 4]}, "frames", "each once, found list [1, 4, 4]"),
        ({"frames": []}, "frames", "found list []"), ({"frames": 4}, "frames", "found int 4"),
        ({"frames": [1.0, 4, 6]}, "frames", "list of 0-based ints"),
        ({"frames": [True, 4, 6]}, "frames", "list of 0-based ints"),
        ({"frames": ["1", 4, 6]}, "frames", "list of 0-based ints"),
        ({"frames": np.array([1.0, 4, 6])}, "frames", "found float64 of shape (3,)"),
        ({"frames": {1: 2}}, "frames", "found dict"),
        ({"label": EMPTY_AT_4}, "label", "found an empty label in frames 4"),
        ({"frames": [1, 4]}, "label", "only in the listed frames, found labels also in frames 6"),
        ({"dataset": "novice"}, "dataset", "amateur or expert, found str 'novice'"),
        ({"dataset": ["expert"]}, "dataset", "found list"),
        ({"dataset": VIDEO}, "dataset", "found uint8"),
        ({"name": ""}, "name", "1 to 200 bytes"), ({"name": "a/b"}, "name", "found 3"),
        ({"name": "a\0b"}, "name", "printable"), ({"name": "x" * 201}, "name", "found 201"),
        ({"name": 7}, "name", "expected text, found int 7"),
    ],
)  # fmt: skip
def test_a_malformed_item_is_reported(path, change, key, words):
    message = problem(path, item("first"), item(**({"name": "second"} | change)))
    (line,) = message.splitlines()[1:]
    name = "'second'" if "name" not in change else ""
    assert line.startswith(f"item 1 ({name}") and f", {key}: expected" in line and words in line
    assert line.endswith(".") and len(line) < 300
    assert "1 problem in 2 items" in message


def test_time_as_the_first_axis_is_reported(path):
    video = np.zeros((30, 40, 9), np.uint8)  # a sector in a black frame, grey from row 4 on
    video[4:28, 8:32] = np.random.default_rng(0).integers(30, 256, (24, 24, 9), dtype=np.uint8)
    right, first = ({"name": name, "video": video} for name in ("right", "first"))
    first["video"] = video.transpose(2, 0, 1)
    (line,) = problem(path, right, first).splitlines()[1:]
    assert line.startswith("item 1 ('first'), video: expected (H, W, T) uint8, black around")
    assert "of shape (9, 30, 40)" in line and "np.moveaxis(video, 0, -1)" in line
    dark = {"name": "dark", "video": np.zeros_like(video)}  # says nothing about its axes
    assert len(read_mitral_pickle(write(path, [right, dark]))) == 2


def test_all_problems_of_a_file_are_reported_at_once(path):
    items = [item("a", box=None, dataset="x"), 5, item("b"), item("b"), unlabelled("c")]
    lines = problem(path, *items, {"name": "c", "video": VIDEO}).splitlines()
    starts = ["item 0 ('a'), box", "item 0 ('a'), dataset", "item 1 (no name), item: expected a",
              "item 3 ('b'), name: expected a different name", "item 5 ('c'), name"]  # fmt: skip
    assert "5 problems in 6 items" in lines[0]
    assert all(line.startswith(start) for line, start in zip(lines[1:], starts, strict=True))


def test_ten_problems_are_quoted_and_the_others_counted(path):
    lines = problem(path, *[item(f"clip {n}", box=None) for n in range(13)]).splitlines()
    assert len(lines) == 12 and lines[-1] == "and 3 more" and "13 problems" in lines[0]


@pytest.mark.parametrize("value", [[], {}, {"name": "a"}, (1, 2), 5, None], ids=repr)
def test_a_file_of_something_else_is_refused(path, value):
    with pytest.raises(DataError, match="expected a list of items, found"):
        read_mitral_pickle(write(path, value))


@given(
    st.dictionaries(
        st.sampled_from(["name", "video", "box", "label", "frames", "dataset"]),
        st.none() | st.integers() | st.text() | st.binary() | st.lists(st.integers(0, 9))
        | st.sampled_from([VIDEO, LABEL, BOX, VIDEO / 1, np.array(3), np.array([])]),
    )
)  # fmt: skip
def test_any_item_becomes_a_clip_or_has_problems(made):
    problems = item_problems(made, set())
    assert all(isinstance(text, str) and len(text) < 400 for text in problems)
    if not problems:
        assert isinstance(mitral._clip(made), ValveClip)


@pytest.mark.parametrize(
    "change",
    [
        {"box": BOX.T}, {"box": BOX.astype(int)}, {"labels": None}, {"labelled": (1, 4)},
        {"labelled": (4, 1, 6)}, {"labelled": (1, 4, 7)}, {"labelled": ()},
    ],
    ids=lambda change: str(list(change)),
)  # fmt: skip
def test_a_clip_with_wrong_fields_is_refused(path, change):
    (clip,) = read_mitral_pickle(write(path, [item()]))
    with pytest.raises(DataError, match="Clip 'clip': expected"):
        replace(clip, **change)


# --- A study ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mitral") / "study"
    return write_mitral_study(folder, scale=0.02, workers=1, progress=False)


@pytest.fixture
def study(phantom, tmp_path):
    """A copy of the phantom study, which a test may damage."""
    return shutil.copytree(phantom, tmp_path / "study")


@pytest.fixture(autouse=True)
def packs(tmp_path, monkeypatch):
    monkeypatch.setenv("ECHOLIB_DATA", str(tmp_path / "data"))
    return config.data_folder() / "packed"


def unpickled(path):
    """The content of a gzip pickle; only for files that the test itself has written."""
    with gzip.open(path) as file:
        return pickle.load(file)


def test_a_phantom_study_opens_as_it_was_written(study):
    opened = open_mitral(study)
    for clips, file in ((opened.train, "train.pkl"), (opened.test, "test.pkl")):
        for clip, made in zip(clips, unpickled(study / file), strict=True):
            assert clip.name == made["name"] and clip.dataset == made.get("dataset", "")
            assert isinstance(clip.frames, np.memmap)
            assert np.array_equal(clip.frames, made["video"].transpose(2, 0, 1))
            assert list(clip.labelled) == made.get("frames", [])
            if clip.labelled:
                assert np.array_equal(clip.box, made["box"])
                labels = made["label"][..., made["frames"]].transpose(2, 0, 1)
                assert np.array_equal(clip.labels, labels)
    assert {clip.dataset for clip in opened.train} == {"amateur", "expert"}


def test_the_second_opening_reads_no_pickle(study, packs, monkeypatch):
    first = open_mitral(study)
    monkeypatch.setattr(mitral, "read_plain_pickle", None)
    second = open_mitral(str(study))
    assert np.array_equal(first.train[0].frames, second.train[0].frames)
    assert [clip.labelled for clip in first.train] == [clip.labelled for clip in second.train]
    assert [path.name for path in packs.iterdir()] == [next(packs.glob("mitral-*")).name]


def test_two_openings_at_once_convert_once(study, packs, monkeypatch):
    read, names = mitral.read_plain_pickle, []

    def slowly(path):
        names.append(path.name)
        return read(path)

    monkeypatch.setattr(mitral, "read_plain_pickle", slowly)
    with ThreadPoolExecutor(3) as pool:
        opened = list(pool.map(open_mitral, [study] * 3))
    assert sorted(names) == ["test.pkl", "train.pkl"]
    assert len({len(each.train) for each in opened}) == 1
    assert len(list(packs.iterdir())) == 1


def test_a_changed_pickle_is_converted_again(study, packs):
    open_mitral(study)
    write(study / "test.pkl", [unlabelled("other")])
    assert [clip.name for clip in open_mitral(study).test] == ["other"]
    os.utime(study / "train.pkl", ns=(1, 1))
    open_mitral(study)
    assert len(list(packs.iterdir())) == 3


def test_a_malformed_pickle_leaves_nothing_behind(study, packs):
    write(study / "test.pkl", [{"name": "a"}])
    with pytest.raises(DataError, match="test.pkl: 1 problem"):
        open_mitral(study)
    assert list(packs.iterdir()) == []


@pytest.mark.parametrize("file", ["train.pkl", "test.pkl"])
def test_a_missing_pickle_is_named(study, file):
    (study / file).unlink()
    with pytest.raises(DataError, match=f"{file}: no such file"):
        open_mitral(study)


@pytest.mark.parametrize(
    "damage",
    ["no table", "no json", "no clip", "not a row", "other labels", "cut", "missing", "pickled"],
)
def test_a_damaged_conversion_says_to_remove_it(study, packs, damage):
    open_mitral(study)
    (packed,) = packs.iterdir()
    table, array = packed / "items.json", packed / "train-0000-frames.npy"
    rows = json.loads(table.read_text())
    if damage == "no table":
        table.unlink()
    elif damage == "no json":
        table.write_bytes(b"\xff{")
    elif damage == "no clip":
        table.write_text('{"train": []}')
    elif damage == "not a row":
        table.write_text('{"train": [5], "test": [{"files": 5}]}')
    elif damage == "other labels":
        rows["train"][0]["labelled"] = [0]
        table.write_text(json.dumps(rows))
    elif damage == "cut":
        array.write_bytes(array.read_bytes()[:500])
    elif damage == "missing":
        array.unlink()
    else:
        np.save(array, np.array([{}]), allow_pickle=True)
    with pytest.raises(DataError, match=f"{packed}.*Remove the folder and open"):
        open_mitral(study)


def test_a_phantom_study_has_labels_of_test_clips(study):
    opened = open_mitral(study)
    clip = opened.test[0]
    labels = opened.truth(clip.name)
    assert labels.shape == clip.frames.shape and labels.dtype == bool
    with np.load(study / "test_truth.npz") as truth:
        assert np.array_equal(labels, truth[clip.name].transpose(2, 0, 1))


@pytest.mark.parametrize("damage", ["absent", "cut", "no clip", "shape", "pickled", "no axes"])
def test_missing_labels_of_test_clips_are_an_error(study, damage):
    opened = open_mitral(study)
    name, path = opened.test[0].name, study / "test_truth.npz"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    else:
        path.unlink()
    forged = {"no clip": {"x": BOX}, "shape": {name: LABEL}, "no axes": {name: BOX}}
    forged["pickled"] = {name: np.array([{}])}
    if damage in forged:
        np.savez(path, **forged[damage])
    with pytest.raises(DataError, match=r"test_truth\.npz"):
        opened.truth(name)
    with pytest.raises(DataError, match="expected the name of a test clip"):
        opened.truth(opened.train[0].name)


# --- NN-MitralSeg -------------------------------------------------------------------------------

RECTANGLE = (slice(40, 80), slice(30, 75))


class Repository:
    """A checkout of NN-MitralSeg and an EchoNet-Dynamic folder with two of its clips."""

    def __init__(self, folder):
        self.echonet = EchoNet(EchoNetFolder(folder / "echonet", clips=4).write())
        self.root = folder / "checkout"
        self.clips = self.root / "data/in/raw/echo_net"
        for name in ("0X0000", "0X0001"):
            for number in (1, 5, 12):
                self.mask(name, number)
            self.box(name)

    def mask(self, name, number, size=(112, 112), mode="RGBA", alpha=255):
        pixels = np.zeros((*size, 4), np.uint8)
        pixels[50:53, 40 + number : 60, 3] = alpha
        pixels[50:53, 60:62] = 100  # half transparent pixels are not part of the mask
        path = self.clips / name / f"{number:04d}_mask.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).convert(mode).save(path)

    def box(self, name, pixels=None):
        if pixels is None:
            pixels = np.full((112, 112, 3), 255, np.uint8)
            pixels[RECTANGLE] = (200, 30, 30)
        Image.fromarray(pixels).save(self.clips / name / "box.jpg", quality=80)

    def read(self):
        return read_nn_mitralseg(self.root, self.echonet)


@pytest.fixture
def repository(tmp_path):
    return Repository(tmp_path)


def test_public_labels_join_the_clips_of_echonet(repository):
    clips, problems = repository.read()
    assert problems == [] and [clip.name for clip in clips] == ["0X0000", "0X0001"]
    clip = clips[0]
    assert clip.labelled == (0, 4, 11) and clip.dataset == "amateur" and clip.fps == 50
    assert clip.frames.shape == (12, 112, 112)
    expected = np.zeros((112, 112), bool)
    expected[50:53, 45:60] = True
    assert np.array_equal(clip.labels[1], expected)
    box = np.zeros((112, 112), bool)
    box[RECTANGLE] = True
    assert np.abs(np.subtract(*(np.argwhere(m).min(0) for m in (clip.box, box)))).max() <= 1
    assert (clip.box != box).sum() <= 2 * sum(box.shape)


def test_the_folder_of_clips_is_accepted_too(repository):
    clips, _ = read_nn_mitralseg(repository.clips, repository.echonet)
    assert len(clips) == 2


def test_palette_images_with_transparency_are_masks(repository):
    path = repository.clips / "0X0000" / "0001_mask.png"
    image = Image.fromarray((np.asarray(Image.open(path))[..., 3] == 255).astype(np.uint8), "L")
    image = image.convert("P")
    image.save(path, transparency=0)
    (clip, _), problems = repository.read()
    assert problems == [] and clip.labels[0].sum() == 3 * 19


def spoil(repository, what):
    """Damage the clip 0X0000."""
    folder, name = repository.clips / "0X0000", "0X0000"
    mask, box = folder / "0005_mask.png", folder / "box.jpg"
    if what == "no such clip":
        folder.rename(repository.clips / "0X9999")
    elif what == "no video":
        (repository.echonet.folder / "Videos" / "0X0000.avi").write_bytes(b"")
    elif what == "size":
        repository.mask(name, 5, size=(100, 112))
    elif what == "no alpha":
        repository.mask(name, 5, mode="RGB")
    elif what == "empty":
        repository.mask(name, 5, alpha=254)
    elif what == "past the end":
        mask.rename(folder / "0013_mask.png")
    elif what == "zero":
        mask.rename(folder / "0000_mask.png")
    elif what == "no number":
        mask.rename(folder / "five_mask.png")
    elif what == "twice":
        mask.rename(folder / "12_mask.png")
    elif what == "cut":
        mask.write_bytes(mask.read_bytes()[:60])
    elif what == "two masks":
        mask.unlink()
    elif what == "no masks":
        for path in folder.glob("*_mask.png"):
            path.unlink()
    elif what == "no box":
        box.unlink()
    elif what == "white box":
        repository.box(name, np.full((112, 112, 3), 250, np.uint8))
    else:
        repository.box(name, np.zeros((50, 50, 3), np.uint8))


LEFT_OUT = {
    "no such clip": "no such clip in echonet-dynamic", "no video": "0X0000.avi",
    "no masks": "no usable mask", "no box": "the file is missing",
    "white box": "there is no box", "box size": "the image is 50 x 50 px",
}  # fmt: skip
FEWER_MASKS = {
    "size": "the image is 100 x 112 px, the frames of the clip 112 x 112 px",
    "no alpha": "without the alpha channel",
    "empty": "the mask is empty", "past the end": "expected a frame number from 1 to 12, found 13",
    "zero": "expected a frame number from 1 to 12, found 0",
    "no number": "does not begin with a frame number",
    "twice": "frame 12 already has another mask", "cut": "cannot be read",
}  # fmt: skip


@pytest.mark.parametrize("what", LEFT_OUT)
def test_a_clip_that_cannot_be_used_is_left_out(repository, what):
    spoil(repository, what)
    (clip,), (problem,) = repository.read()
    assert clip.name == "0X0001" and problem.action == "left out"
    assert LEFT_OUT[what] in str(problem) and "0X" in problem.file
    assert str(repository.root.parent) not in str(problem)


@pytest.mark.parametrize("what", FEWER_MASKS)
def test_a_mask_that_cannot_be_used_is_left_out(repository, what):
    spoil(repository, what)
    (clip, _), (problem, note) = repository.read()
    assert len(clip.labels) == len(clip.labelled) == 2
    assert problem.file.startswith("0X0000/") and FEWER_MASKS[what] in problem.reason
    assert str(note) == "0X0000: expected 3 usable masks, found 2 (noted)"
    assert str(repository.root.parent) not in str(problem)


@pytest.mark.parametrize("rows", [112, 20])
def test_an_opaque_mask_is_left_out_with_its_share(repository, rows):
    path = repository.clips / "0X0000" / "0005_mask.png"
    pixels = np.asarray(Image.open(path)).copy()
    pixels[:rows, :, 3] = 255
    Image.fromarray(pixels).save(path)
    (clip, _), (problem, _) = repository.read()
    assert clip.labelled == (0, 11) and problem.file == "0X0000/0005_mask.png"
    share = "100 %" if rows == 112 else "18 %"
    assert f"at most 10 % of the frame, found opaque pixels on {share}" in problem.reason


def test_two_masks_are_noted_and_used(repository):
    spoil(repository, "two masks")
    (clip, _), (note,) = repository.read()
    assert clip.labelled == (0, 11) and note.action == "noted"


def test_a_folder_without_usable_clips_is_an_error(repository, tmp_path):
    for name in ("0X0000", "0X0001"):
        shutil.move(repository.clips / name, repository.clips / name.replace("0X00", "0XFF"))
    with pytest.raises(DataError, match="none that can be used. 2 x left out: no such clip"):
        repository.read()
    with pytest.raises(DataError, match="none that can be used. no problems found"):
        read_nn_mitralseg(tmp_path / "echonet", repository.echonet)
    with pytest.raises(DataError, match="no such folder"):
        read_nn_mitralseg(tmp_path / "none", repository.echonet)


def test_boxes_are_filled_and_specks_left_out(tmp_path):
    hollow = np.full((112, 112, 3), 255, np.uint8)
    cv2.rectangle(hollow, (30, 40), (74, 79), (0, 160, 0), 2)
    hollow[5:8, 100:103] = 0
    round_one = np.full((112, 112, 3), 255, np.uint8)
    cv2.circle(round_one, (56, 56), 25, (60, 60, 60), -1)
    for pixels, area in ((hollow, 43 * 48), (round_one, np.pi * 25**2)):
        Image.fromarray(pixels).save(tmp_path / "box.jpg", quality=90)
        box = read_box(tmp_path / "box.jpg", (112, 112))
        assert box.sum() == pytest.approx(area, rel=0.15) and not box[:20].any()
        assert box[56, 56]
