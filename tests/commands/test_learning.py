"""`queue`, and `train` on a folder of corrections, as a user types them."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from echolib.commands.parser import main
from echolib.corrections import queue
from echolib.corrections.folder import MARKER, Folder
from echolib.corrections.learning import read_lesson
from echolib.corrections.queue import read_queue
from echolib.data import open_data
from echolib.networks.models import LandmarkUNet, UNet, load_model, weights_digest
from tests.commands.test_shell import fails
from tests.commands.test_tables import columns, described
from tests.corrections.made import document, frame
from tests.makers import EchoNetFolder, frame_set, save_network, write_avi


@pytest.fixture
def start(tmp_path):
    """An untrained network: what it marks is arbitrary."""
    torch.manual_seed(0)
    return save_network(UNet(width=2, depth=2), tmp_path / "start.safetensors", 112)


@pytest.fixture
def study(tmp_path):
    return EchoNetFolder(tmp_path / "study", clips=8).write()


def correct(study, folder, clips):
    """A folder in which the first clips of a study are corrected."""
    data, corrections = open_data(study), Folder(folder, "anna")
    for number, clip in enumerate(data.table.index[:clips]):
        frames = {2: frame(17.0 + 0.5 * number), 9: frame(12.0 + 0.5 * number)}
        corrections.keep(document(clip, frames), data.table.path[clip])
    return folder


def train(tmp_path, folder, start, *more):
    """The arguments of a very short training on corrections, without the phantom."""
    remembered = tmp_path / "remembered"
    if not remembered.exists():
        frame_set(size=112).save(remembered)
    return [
        "train", str(folder), "--start", str(start), "--out", str(tmp_path / "out"),
        "--remember", str(remembered), "--quiet", *map(str, more or ("--epochs", 0.2)),
    ]  # fmt: skip


def test_corrections_are_learnt_at_the_size_of_the_first_network(tmp_path, capsys, study, start):
    folder = correct(study, tmp_path / "corrected", 4)
    fails(
        capsys, train(tmp_path, folder, start, "--size", 64), "--size is that of the network", "112"
    )


def test_a_queue_is_written_and_its_first_clips_are_named(tmp_path, capsys, study, start):
    torch.manual_seed(1)
    landmarks = save_network(LandmarkUNet(width=2, depth=2), tmp_path / "points.safetensors", 112)
    out = tmp_path / "queue.csv"
    command = ["queue", str(study), "--weights", str(start), str(landmarks), "--out", str(out)]
    assert main([*command, "--workers", "1"]) == 0
    assert "8 clips in" in capsys.readouterr().out
    order = read_queue(out)
    assert sorted(clip for clip, _ in order) == list(open_data(study).table.index)
    assert all(len(frames) == 2 for _, frames in order)
    assert columns(out) == described("queue.csv")
    fails(capsys, command, "exists already", "--force")
    assert main([*command, "--force", "--frames", "1", "--split", "val", "--workers", "1"]) == 0
    assert len(read_queue(out)) == 1 and len(pd.read_csv(out)) == 1
    assert [path.name for path in tmp_path.iterdir() if "queue" in path.name] == ["queue.csv"]


def test_a_queue_that_was_stopped_goes_on(tmp_path, capsys, study, start, monkeypatch):
    out = tmp_path / "queue.csv"
    command = ["queue", str(study), "--weights", str(start), "--out", str(out), "--workers", "1"]
    assert main(command) == 0
    whole = out.read_bytes()
    capsys.readouterr()

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(queue, "write_queue", stop)
    assert main([*command, "--force"]) != 0
    assert "finished clips are kept" in capsys.readouterr().err
    monkeypatch.undo()
    monkeypatch.setattr(queue, "frame_doubts", stop)  # all of it is there
    assert main([*command, "--force"]) == 0
    assert out.read_bytes() == whole
    assert [path.name for path in tmp_path.iterdir() if "queue" in path.name] == ["queue.csv"]


def test_a_wrong_option_does_not_remove_finished_clips(tmp_path, capsys, monkeypatch):
    folder, out = tmp_path / "clips", tmp_path / "queue.csv"
    for name in "abc":
        write_avi(folder / f"{name}.avi", 4)
    torch.manual_seed(0)
    network = save_network(UNet(width=2, depth=2), tmp_path / "net.safetensors", 112)
    command = ["queue", folder, "--weights", network, "--out", out, "--workers", "1"]
    whole, measured = queue.frame_doubts, []

    def two(clip, *models):
        if len(measured) == 2:
            raise KeyboardInterrupt
        measured.append(clip.name)
        return whole(clip, *models)

    monkeypatch.setattr(queue, "frame_doubts", two)
    assert main([str(word) for word in command]) == 130
    capsys.readouterr()
    fails(capsys, [*command, "--split", "val"], "Choose another split")
    monkeypatch.setattr(queue, "frame_doubts", lambda *given: measured.append("") or whole(*given))
    assert main([str(word) for word in command]) == 0
    assert measured == ["a", "b", ""]  # only the third one was left
    (folder / "a.avi").write_bytes(b"")
    for name in "bc":
        (folder / f"{name}.avi").unlink()
    fails(capsys, [*command, "--force"], "none of its 1 clips can be read")
    assert [path.name for path in tmp_path.iterdir() if "queue" in path.name] == ["queue.csv"]


def test_a_queue_leaves_out_what_is_corrected(tmp_path, capsys, study, start):
    folder, out = correct(study, tmp_path / "corrected", 3), tmp_path / "queue.csv"
    command = ["queue", str(study), "--weights", str(start), "--out", str(out)]
    assert main([*command, "--corrected", str(folder), "--workers", "1"]) == 0
    assert len(read_queue(out)) == 5
    capsys.readouterr()
    fails(capsys, [*command, "--force", "--corrected", study], "no folder of corrections")


def test_a_queue_says_what_is_wrong(tmp_path, capsys, study, start):
    empty, out = tmp_path / "empty", ["--weights", start, "--out", tmp_path / "queue.csv"]
    empty.mkdir()
    frame_set().save(tmp_path / "packed")
    fails(capsys, ["queue", empty, *out], "holds no data set")
    fails(capsys, ["queue", tmp_path / "packed", *out], "packed frames without clips")
    fails(capsys, ["queue", tmp_path / "gone", *out], "gone")
    fails(capsys, ["queue", study, *out, "--frames", 0], "1 or more, not 0")
    fails(capsys, ["queue", study, *out[2:], "--weights", start, start], "does not find landmarks")
    fails(capsys, ["queue", study, *out[2:], "--weights", start, start, start], "no third")
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "a.avi").write_bytes(b"no video")
    fails(capsys, ["queue", tmp_path / "clips", *out], "none of its 1 clips can be read")
    assert not [path for path in tmp_path.iterdir() if "queue" in path.name]


def test_a_network_learns_from_corrections_and_says_how_it_went(tmp_path, capsys, study, start):
    folder, before = correct(study, tmp_path / "corrected", 5), weights_digest(load_model(start))
    command = [part for part in train(tmp_path, folder, start) if part != "--quiet"]
    assert main(command) == 0
    said, out = capsys.readouterr().out, tmp_path / "out"
    lesson = read_lesson(out)
    assert "On held-out patients, Dice changed from" in said and "(95 % " in said
    assert lesson.patients == 5 and lesson.frames == 10 and lesson.crossed
    assert (out / "model.safetensors").exists() == lesson.kept
    assert columns(out / "learning.csv") == described("learning.csv")
    assert weights_digest(load_model(start)) == before
    fails(capsys, command, "already holds")
    assert main([*command, "--resume"]) == 0


def test_the_queue_says_how_the_last_corrections_changed_the_network(
    tmp_path, capsys, study, start
):
    """Each network is judged on corrections that came after its training."""
    folder, out = correct(study, tmp_path / "corrected", 5), tmp_path / "out"
    assert main(train(tmp_path, folder, start)) == 0
    if not (out / "model.safetensors").exists():  # an untrained network: either may happen
        save_network(load_model(out / "all"), out / "model.safetensors", 112)
    queue = ["queue", str(study), "--weights", str(out), "--corrected", str(folder)]
    queue += ["--out", str(tmp_path / "queue.csv"), "--workers", "1", "--force"]
    assert main(queue) == 0
    assert "has seen all corrected patients" in capsys.readouterr().out
    correct(study, tmp_path / "later", 7)
    queue[queue.index(str(folder))] = str(tmp_path / "later")
    assert main(queue) == 0
    assert "on 2 corrected patients that it has not seen" in capsys.readouterr().out


def test_weights_that_were_rejected_are_told_from_a_folder_without_any(tmp_path, capsys, study):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "learning.json").write_text("{}")
    command = ["queue", study, "--weights", tmp_path / "out", "--out", tmp_path / "queue.csv"]
    fails(capsys, command, "were rejected", "learning.json", "that they started from")


def test_clips_of_the_test_split_stay_a_test(tmp_path, capsys, study, start):
    data, corrections = open_data(study), Folder(tmp_path / "corrected")
    for clip in data.table.index:
        split = str(data.table.split[clip])
        corrections.keep(document(clip, annotator=""), data.table.path[clip], split=split)
    command = [part for part in train(tmp_path, tmp_path / "corrected", start) if part != "--quiet"]
    assert main(command) == 0
    assert "2 corrected frames of the split test are left out" in capsys.readouterr().out
    last = data.table.index[data.table.split == "test"].item()
    assert last not in read_lesson(tmp_path / "out").seen


def test_interpolated_outlines_are_nobodys_judgement(tmp_path, capsys, study, start):
    data, corrections = open_data(study), Folder(tmp_path / "corrected")
    for number, clip in enumerate(data.table.index[:7]):
        edited = document(clip, annotator="")
        if number < 2:
            first = min(edited["frames"])
            edited["frames"][first]["ventricle"]["made"] = "interpolated"
        corrections.keep(edited, data.table.path[clip])
    command = [part for part in train(tmp_path, tmp_path / "corrected", start) if part != "--quiet"]
    assert main(command) == 0
    assert "2 interpolated outlines are left out" in capsys.readouterr().out
    assert len(pd.read_csv(tmp_path / "out" / "learning.csv")) == 7 * 2 - 2


def test_learning_says_what_is_wrong(tmp_path, capsys, study, start):
    Folder(tmp_path / "none")
    fails(capsys, train(tmp_path, tmp_path / "none", start), "holds no correction yet")
    one = correct(study, tmp_path / "one", 1)
    fails(capsys, train(tmp_path, one, start), "1 patient only", "Correct more")
    fails(capsys, ["train", one, "--out", tmp_path / "out"], "such as --start lv")
    points = save_network(LandmarkUNet(width=2, depth=2), tmp_path / "points.safetensors", 112)
    fails(capsys, train(tmp_path, one, points), "does not find masks in single frames")
    for option in (["--width", 8], ["--target", "landmarks"], ["--cycle"], ["--corrupted", 0.5],
                   ["--average", 9]):  # fmt: skip
        command = [*train(tmp_path, one, start), *map(str, option)]
        fails(capsys, command, f"{option[0]} is not for corrections")
    only_test = tmp_path / "only_test"
    frames = frame_set(size=112)
    frames.select((frames.table.split == "test").to_numpy()).save(only_test)
    command = train(tmp_path, correct(study, tmp_path / "five", 5), start)
    command[command.index("--remember") + 1] = str(only_test)
    fails(capsys, command, "no readable frame in the split 'train'")
    fails(capsys, ["train", study, "--remember", study, "--out", tmp_path / "out"], "--remember")
    assert not (tmp_path / "out").exists()


def test_a_folder_of_another_version_is_refused(tmp_path, capsys, study, start):
    folder = correct(study, tmp_path / "corrected", 2)
    marker = json.loads((folder / MARKER).read_text())
    (folder / MARKER).write_text(json.dumps(marker | {"format": 99}))
    fails(capsys, train(tmp_path, folder, start), "'99'", "another version")
    queue = ["queue", study, "--weights", start, "--corrected", folder]
    fails(capsys, [*queue, "--out", tmp_path / "queue.csv"], "another version")


def test_loose_clips_are_a_queue_too(tmp_path, start):
    write_avi(tmp_path / "clips" / "a.avi")
    write_avi(tmp_path / "clips" / "b.avi")
    command = ["queue", str(tmp_path / "clips"), "--weights", str(start), "--quiet"]
    assert main([*command, "--out", str(tmp_path / "queue.csv")]) == 0
    assert np.unique(pd.read_csv(tmp_path / "queue.csv")["clip"]).tolist() == ["a", "b"]
