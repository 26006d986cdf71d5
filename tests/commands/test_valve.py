"""The mitral valve from a shell, as a user types it, with the files it promises."""

import gzip
import inspect
import os
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from echolib.commands.parser import build_parser, main
from echolib.data import read_clip, read_mitral_pickle
from echolib.data.nifti import read_nifti
from echolib.networks import inference
from echolib.networks.inference import outline
from echolib.networks.models import UNet, save_model
from echolib.phantom.mitral_study import write_mitral_study
from echolib.valve import training as mitral_training
from echolib.valve.finder import ValveFinder, save_settings
from echolib.valve.submission import read_submission
from tests.commands.test_shell import fails
from tests.commands.test_tables import described
from tests.data.files import read_rgb
from tests.makers import write_avi

# what limits an opening's curve is said of every clip here; test_valve.py tests it
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mitral") / "study"
    return write_mitral_study(folder, 0.05, 3, workers=1, progress=False)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Untrained networks: what they mark is arbitrary, that they run is what counts."""
    folder = tmp_path_factory.mktemp("weights") / "finder"
    torch.manual_seed(0)
    for name, outputs in (("whole", 2), ("close-0", 1)):
        save_model(UNet(2, 2, outputs), folder / name / "model.safetensors")
    save_settings(ValveFinder(None, size=32, close_size=32), folder / "valve.json")
    return folder


def segment(clip, out, weights, *options):
    command = ["mitral", "segment", clip, "--out", out, "--weights", weights, *options]
    return main([str(part) for part in command])


def masks_in(out):
    with np.load(out / "masks.npz", allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def write_gif(path, count, size=(40, 56)):
    images = [Image.fromarray(np.full(size, 50 + 15 * number, np.uint8)) for number in range(count)]
    path.parent.mkdir(exist_ok=True, parents=True)
    images[0].save(path, save_all=True, append_images=images[1:], duration=40)
    return path


def write_pickle(path, *items):
    with gzip.open(path, "wb") as file:
        pickle.dump(list(items), file)
    return path


# --- Segment --------------------------------------------------------------------------------------


def test_clips_of_a_pickle_are_masked_outlined_and_submitted(study, tmp_path, weights, capsys):
    out = tmp_path / "out"
    assert segment(study / "test.pkl", out, weights) == 0
    clips = read_mitral_pickle(study / "test.pkl")
    masks = masks_in(out)
    assert set(masks) == {clip.name for clip in clips}
    names = {"masks.npz"}
    for clip in clips:
        mask = masks[clip.name]
        assert mask.shape == clip.frames.shape and mask.dtype == bool
        enlarged = max(1, int(np.ceil(448 / max(mask.shape[1:]))))
        shape = tuple(side * enlarged for side in mask.shape[1:])
        pictures = read_rgb(out / f"{clip.name}_overlay.mp4")
        assert len(pictures) == len(mask)
        assert pictures.shape[1:3] == tuple(side + side % 2 for side in shape)
        assert Image.open(out / f"{clip.name}_overlay.gif").size == shape[::-1]
        table = pd.read_csv(out / f"{clip.name}_opening.csv")
        assert table.frame.tolist() == list(range(len(mask)))
        assert table.columns.tolist() == described("NAME_opening.csv")
        names |= {f"{clip.name}{end}" for end in ("_overlay.mp4", "_overlay.gif", "_opening.csv")}
        assert f"{clip.name}: {len(mask)} frames" in capsys.readouterr().out
    assert {path.name for path in out.iterdir()} == names
    csv = tmp_path / "submission.csv"
    assert main(["mitral", "submit", str(out / "masks.npz"), "--out", str(csv)]) == 0
    read = read_submission(csv, {name: mask.shape for name, mask in masks.items()})
    assert all(np.array_equal(read[name], mask) for name, mask in masks.items())


@pytest.mark.parametrize("count", [1, 12])
@pytest.mark.parametrize("kind", ["avi", "gif"])
def test_a_clip_of_any_kind_is_masked(tmp_path, weights, kind, count):
    clip = tmp_path / f"clip.{kind}"
    if kind == "avi":
        write_avi(clip, count, (60, 90))
    else:
        write_gif(clip, count)
    out = tmp_path / "out"
    assert segment(clip, out, weights) == 0
    frames = read_clip(clip).frames
    (mask,) = masks_in(out).values()
    assert list(masks_in(out)) == ["masks"]
    assert mask.shape == frames.shape and mask.dtype == bool and len(mask) == count
    labels, *_ = read_nifti(out / "masks.nii.gz")
    assert (labels.reshape(mask.shape) == mask).all()
    assert len(read_rgb(out / "clip_overlay.mp4")) == count
    assert Image.open(out / "clip_overlay.gif").width >= 448  # small frames are enlarged
    assert (out / "clip_opening.csv").is_file() == (count > 1)  # one frame does not move


def test_overlays_of_large_frames_have_their_own_size(tmp_path, weights):
    write_avi(tmp_path / "large.avi", 2, (460, 610))
    out = tmp_path / "out"
    assert segment(tmp_path / "large.avi", out, weights) == 0
    assert read_rgb(out / "large_overlay.mp4").shape == (2, 460, 610, 3)
    assert Image.open(out / "large_overlay.gif").size == (610, 460)


def test_the_threshold_may_be_told(tmp_path, weights, capsys):
    write_avi(tmp_path / "clip.avi", 3, (60, 90))
    areas = []
    for threshold in ("0.001", "0.999"):
        out = tmp_path / threshold
        assert segment(tmp_path / "clip.avi", out, weights, "--threshold", threshold) == 0
        areas.append(masks_in(out)["masks"].sum())
    assert areas[0] > areas[1] == 0
    assert "3 frames, 3 of them without leaflets" in capsys.readouterr().out
    assert (tmp_path / "0.999" / "clip_overlay.mp4").is_file()  # empty masks have pictures too


def test_one_network_of_whole_frames_is_enough(tmp_path, weights):
    write_gif(tmp_path / "clip.gif", 2)
    assert segment(tmp_path / "clip.gif", tmp_path / "out", weights / "whole") == 0
    assert masks_in(tmp_path / "out")["masks"].shape == (2, 40, 56)


def test_a_pickle_without_compression_or_suffix_is_known_by_its_content(tmp_path, weights):
    item = {"name": "one", "video": np.full((40, 56, 2), 90, np.uint8)}
    for protocol in (2, 4):
        path = tmp_path / f"protocol{protocol}"
        path.write_bytes(pickle.dumps([item], protocol))
        out = tmp_path / f"out{protocol}"
        assert segment(path, out, weights) == 0
        assert masks_in(out)["one"].shape == (2, 40, 56)


def test_a_stopped_pickle_keeps_its_finished_clips(study, tmp_path, weights, capsys, monkeypatch):
    whole = tmp_path / "whole"
    assert segment(study / "train.pkl", whole, weights) == 0
    names: list[str] = []

    def one(finder, clip):
        names.append(clip.name)
        if len(names) == 3:
            raise KeyboardInterrupt
        return outline(finder, clip)

    monkeypatch.setattr(inference, "outline", one)
    out = tmp_path / "out"
    capsys.readouterr()
    assert segment(study / "train.pkl", out, weights) == 130
    assert "stopped: finished clips are kept" in capsys.readouterr().err
    other = ["mitral", "segment", study / "train.pkl", "--out", out, "--weights", weights]
    fails(capsys, [*other, "--threshold", "0.4"], "results of another run; they differ in thresh")
    assert segment(study / "train.pkl", out, weights) == 0
    assert names[2] == names[3] and len(names) == len(masks_in(whole)) + 1
    assert {path.name for path in out.iterdir()} == {path.name for path in whole.iterdir()}
    for name, masks in masks_in(whole).items():
        assert np.array_equal(masks, masks_in(out)[name])


@pytest.mark.parametrize("workers", ["1", "2"])
def test_each_clip_of_a_folder_is_masked_as_it_is_alone(tmp_path, weights, capsys, workers):
    clips, out, alone = tmp_path / "clips", tmp_path / "out", tmp_path / "alone"
    write_gif(clips / "visit" / "one.gif", 12)
    write_gif(clips / "two.gif", 1, (30, 44))
    (clips / "empty.avi").write_bytes(b"")
    assert segment(clips, out, weights, "--workers", workers) == 0
    said = capsys.readouterr().out
    assert "visit_one: 12 frames" in said and f"2 of 3 clips outlined in {out}" in said
    assert "1 x left out: empty.avi" in said
    files = {str(path.relative_to(out)) for path in out.rglob("*.*")}
    each = {"masks.npz", "masks.nii.gz", "clip.json"}
    assert files == {"identity.json", "visit_one/visit_one_opening.csv"} | {
        f"{name}/{file}" for name in ("visit_one", "two") for file in each
    }
    assert segment(clips / "visit" / "one.gif", alone, weights) == 0
    for own, other in (("masks.npz", "masks.npz"), ("visit_one_opening.csv", "one_opening.csv")):
        assert (out / "visit_one" / own).read_bytes() == (alone / other).read_bytes()
    made = (out / "two" / "masks.npz").stat().st_mtime_ns
    write_gif(clips / "visit" / "one.gif", 1)  # in its place
    assert segment(clips, out, weights) == 0
    assert (out / "two" / "masks.npz").stat().st_mtime_ns == made
    assert {path.name for path in (out / "visit_one").iterdir()} == each
    assert segment(clips, out, weights, "--overlays") == 0
    assert (out / "two" / "two_overlay.gif").is_file()
    other = ["mitral", "segment", clips, "--out", out, "--weights", weights, "--threshold", "0.4"]
    fails(capsys, other, "results of another run; they differ in thresh")


# --- What is refused ------------------------------------------------------------------------------


class System:
    """Unpickled by Python itself, this would run a command."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize("compressed", [True, False])
def test_a_pickle_that_would_execute_is_refused_and_executes_nothing(
    tmp_path, weights, capsys, compressed
):
    trace = tmp_path / "executed"
    path = tmp_path / "test.pkl"
    content = pickle.dumps([{"name": "a", "video": System(f"touch {trace}")}])
    path.write_bytes(gzip.compress(content) if compressed else content)
    out = tmp_path / "out"
    fails(capsys, ["mitral", "segment", path, "--out", out, "--weights", weights], "test.pkl")
    assert not trace.exists() and not out.exists()
    for command in (["mitral", "train", tmp_path, "--out", out, "--start", "none"],):
        (tmp_path / "train.pkl").write_bytes(path.read_bytes())
        fails(capsys, command, "train.pkl")
        assert not trace.exists() and not out.exists()


@pytest.mark.parametrize("name", ["../evil", "a/b", "/tmp/evil", "..\\evil", "", "a\nb", "a\0b"])
def test_a_name_that_leads_out_of_the_folder_is_refused(tmp_path, weights, capsys, name):
    video = np.full((40, 56, 2), 90, np.uint8)
    path = write_pickle(tmp_path / "test.pkl", {"name": name, "video": video})
    out = tmp_path / "sub" / "out"
    fails(capsys, ["mitral", "segment", path, "--out", out, "--weights", weights], "name")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["test.pkl"]


@pytest.mark.parametrize("name", ["..", ".", "masks", "a b", "größe", "-x", "arr_0", "a.npy"])
def test_an_odd_name_stays_in_the_folder(tmp_path, weights, name):
    item = {"name": name, "video": np.full((40, 56, 2), 90, np.uint8)}
    out = tmp_path / "out"
    assert segment(write_pickle(tmp_path / "test.pkl", item), out, weights) == 0
    assert list(masks_in(out)) == [name] and len(list(out.iterdir())) == 3
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["out", "test.pkl"]


def test_broken_clips_are_said(study, tmp_path, weights, capsys):
    whole = (study / "test.pkl").read_bytes()
    (tmp_path / "short.pkl").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "head.pkl").write_bytes(whole[:2])
    (tmp_path / "empty.pkl").write_bytes(b"")
    (tmp_path / "notes.pkl").write_text("no pickle\n")
    (tmp_path / "empty.avi").write_bytes(b"")
    write_pickle(tmp_path / "nothing.pkl")
    write_pickle(tmp_path / "wrong.pkl", {"name": "a", "video": np.zeros((4, 4))})
    names = ["short.pkl", "head.pkl", "empty.pkl", "notes.pkl", "empty.avi", "nothing.pkl"]
    for name in [*names, "wrong.pkl", "missing.avi", "missing.pkl"]:
        out = tmp_path / "out"
        command = ["mitral", "segment", tmp_path / name, "--out", out, "--weights", weights]
        fails(capsys, command, name)
        assert not out.exists()


def test_a_mitral_study_is_not_taken_for_a_folder_of_clips(study, tmp_path, weights, capsys):
    command = ["mitral", "segment", study, "--out", tmp_path / "out", "--weights", weights]
    fails(capsys, command, f"{study} is a mitral study. Give its test.pkl or train.pkl.")


@pytest.mark.parametrize("threshold", ["0", "1", "-0.5", "7", "nan", "inf"])
def test_a_threshold_that_is_no_probability_is_refused(tmp_path, weights, capsys, threshold):
    clip = write_gif(tmp_path / "clip.gif", 1)
    command = ["mitral", "segment", clip, "--out", tmp_path / "out", "--weights", weights]
    fails(capsys, [*command, f"--threshold={threshold}"], "between 0 and 1")
    assert not (tmp_path / "out").exists()


def test_unknown_and_damaged_weights_are_said(tmp_path, capsys):
    clip = write_gif(tmp_path / "clip.gif", 1)
    command = ["mitral", "segment", clip, "--out", tmp_path / "out", "--weights"]
    fails(capsys, [*command, "unknown"], "No weights at unknown")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "valve.json").write_text("{")
    fails(capsys, [*command, tmp_path / "broken"], "valve.json", "Train again")
    assert not (tmp_path / "out").exists()


def test_a_file_that_holds_no_masks_cannot_be_submitted(tmp_path, capsys):
    (tmp_path / "notes.npz").write_text("no archive")
    np.savez(tmp_path / "floats.npz", a=np.zeros((2, 3, 4)))
    np.savez(tmp_path / "objects.npz", a=np.array([{}], object))
    for name in ("notes.npz", "floats.npz", "objects.npz", "missing.npz"):
        command = ["mitral", "submit", tmp_path / name, "--out", tmp_path / "out.csv"]
        fails(capsys, command, "expected")
        assert not (tmp_path / "out.csv").exists()


def test_wrong_usage_is_explained(capsys):
    for command in (["mitral"], ["mitral", "train"], ["mitral", "segment", "x"]):
        with pytest.raises(SystemExit) as stop:
            main(command)
        assert stop.value.code == 2 and "usage" in capsys.readouterr().err


# --- Train ----------------------------------------------------------------------------------------


def test_what_train_writes_segments(study, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(mitral_training, "UNet", lambda **options: UNet(2, 2, **options))
    command = ["mitral", "train", str(study), "--out", str(tmp_path / "net"), "--start", "none"]
    command += ["--epochs", "1", "--folds", "2"]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "4 labelled videos: 2 amateur, 2 expert" in said and "3 networks in" in said
    write_avi(tmp_path / "clip.avi", 2, (60, 90))
    assert segment(tmp_path / "clip.avi", tmp_path / "out", tmp_path / "net") == 0
    assert masks_in(tmp_path / "out")["masks"].shape == (2, 60, 90)


def test_the_recipe_is_trained_on_request(study, tmp_path, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(
        mitral_training, "train_whole_recipe", lambda *given, **named: asked.append((given, named))
    )
    command = ["mitral", "train", str(study), "--out", str(tmp_path / "net"), "--recipe"]
    assert main([*command, "--seed", "3"]) == 0
    (((clips, out, seed, bar), named),) = asked
    assert len(clips) == 4 and out == str(tmp_path / "net") and seed == 3 and bar and not named
    assert "stage-1 and stage-2" in capsys.readouterr().out


def test_bad_training_input_is_said(study, tmp_path, capsys):
    command = ["mitral", "train", study, "--out", tmp_path / "out", "--start", "none"]
    fails(capsys, [*command, "--folds", "5"], "4 labelled videos", "5 folds")
    command += ["--folds", "2"]
    fails(capsys, [*command, "--epochs", "0"], "above 0")
    fails(capsys, [*command, "--seed=-1"], "")
    fails(capsys, [*command, "--start", "nowhere"], "No weights at nowhere")
    fails(capsys, ["mitral", "train", tmp_path / "nowhere", "--out", tmp_path / "out"], "nowhere")
    assert not (tmp_path / "out").exists()


def test_the_defaults_are_those_of_the_help():
    parse = build_parser().parse_args
    chosen = parse(["mitral", "train", "data", "--out", "x"])
    defaults = inspect.signature(mitral_training.train_finder).parameters
    for name in ("start", "epochs", "folds", "seed"):
        assert getattr(chosen, name) == defaults[name].default, name
    assert not chosen.recipe
    assert parse(["mitral", "segment", "clip", "--out", "x"]).weights == "valve"


def test_a_clip_in_the_output_folder_is_not_overwritten(tmp_path, weights):
    clip = write_gif(tmp_path / "clip.gif", 3)
    before = clip.read_bytes()
    segment(clip, tmp_path, weights, "--force")
    assert clip.read_bytes() == before


@pytest.mark.parametrize("name", ["file", "allow_pickle"])
def test_clips_may_be_called_as_numpys_options_are(tmp_path, weights, name):
    item = {"name": name, "video": np.full((40, 56, 2), 90, np.uint8)}
    (tmp_path / "t.pkl").write_bytes(gzip.compress(pickle.dumps([item])))
    assert segment(tmp_path / "t.pkl", tmp_path / "out", weights) == 0
    assert list(masks_in(tmp_path / "out")) == [name]


def test_one_network_is_no_start_for_a_finder(study, weights, tmp_path, capsys):
    command = ["mitral", "train", study, "--out", tmp_path / "out", "--start", weights / "whole"]
    fails(capsys, command, "is a single network")


def test_damaged_masks_are_told(tmp_path, capsys):
    np.save(tmp_path / "a.npy", np.zeros(3))
    np.savez_compressed(tmp_path / "m.npz", a=np.random.default_rng(0).random((40, 60, 60)) > 0.5)
    whole = (tmp_path / "m.npz").read_bytes()
    (tmp_path / "short.npz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "holes.npz").write_bytes(whole[:200] + bytes(200) + whole[400:])
    for name in ("a.npy", "short.npz", "holes.npz"):
        command = ["mitral", "submit", tmp_path / name, "--out", tmp_path / "s.csv"]
        fails(capsys, command, "expected masks.npz")


def test_masks_of_one_clip_are_no_submission(tmp_path, capsys):
    np.savez_compressed(tmp_path / "m.npz", masks=np.ones((3, 60, 60), bool))
    command = ["mitral", "submit", tmp_path / "m.npz", "--out", tmp_path / "s.csv"]
    fails(capsys, command, "holds the masks of one clip", "test.pkl")
    assert not (tmp_path / "s.csv").exists()
