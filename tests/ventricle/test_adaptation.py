"""Networks that learn from their own outlines of clips that nobody has outlined."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from echolib.commands.parser import main
from echolib.corrections import learning
from echolib.data import Camus, Clip, EchoNet, LooseClips
from echolib.data.frames import within_cycle
from echolib.errors import DataError
from echolib.geometry import polygon_to_mask
from echolib.metrics import dice
from echolib.networks.augment import Augmentation
from echolib.networks.inference import predict, square_masks
from echolib.networks.models import LandmarkUNet, UNet, load_model, weights_digest
from echolib.phantom.studies import write_lv_study
from echolib.ventricle import adaptation
from echolib.ventricle.adaptation import (
    LEAST_FRAMES,
    STEPS,
    adapt,
    adaptation_config,
    outlined_frames,
)
from echolib.ventricle.networks import WEIGHTS, load_networks
from tests.commands.test_shell import fails
from tests.makers import camus_folder, save_network, write_avi

ROOT = Path(__file__).resolve().parents[2]
NETWORKS = load_networks(calibration=None)  # by which none of so few clips is too doubtful
QUIET = {"progress": False}
LEARN = {"learning_rate": 5e-3, "average": 0.95, "augmentation": Augmentation.none()}
SHORT = {"epochs": 0.5, "augmentation": Augmentation.none()}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Six phantom clips of 30 to 60 frames."""
    return EchoNet(write_lv_study(tmp_path_factory.mktemp("study"), clips=6, seed=5, workers=1))


@pytest.fixture(scope="module")
def outlined(study, tmp_path_factory):
    return outlined_frames(study, NETWORKS, tmp_path_factory.mktemp("out"), **QUIET)


def small_networks(folder, outputs=3):
    """Untrained networks, one of each kind."""
    torch.manual_seed(0)
    made = {
        "single": UNet(width=2, depth=2, outputs=outputs),
        "cycle": UNet(width=2, depth=2, outputs=outputs, inputs=3),
        "landmarks": LandmarkUNet(width=2, depth=2),
        "cycle_landmarks": LandmarkUNet(width=2, depth=2, inputs=3),
    }
    paths = {str(folder / f"{role}.safetensors"): network for role, network in made.items()}
    for path, network in paths.items():
        save_network(network, path, 112)
    return load_networks(list(paths), calibration=None)


def test_frames_carry_the_networks_outlines_and_not_the_labels(study, outlined):
    table = outlined.table
    assert set(table.split) == {"train"} and len(outlined) >= 5 * adaptation.SAMPLED
    assert table.source.iloc[0] == f"{study.name}, outlined by {', '.join(WEIGHTS)}"
    assert (table.patient == table["clip"].map(study.table.patient)).all()
    name = table["clip"].iloc[0]
    frames = outlined.select((table["clip"] == name).to_numpy())
    own = NETWORKS.outline(study.clip(name))
    for index, frame in enumerate(frames.table.frame):  # 112 px, so that the square is the frame
        assert np.array_equal(frames.images[index], study.clip(name).frames[frame])
        assert np.array_equal(frames.masks[index], own[frame])
    labels = {frame.frame: frame.mask for frame in study.labelled(name)[0]}
    assert any(not np.array_equal(own[frame], mask) for frame, mask in labels.items())


def test_each_frame_stands_between_the_end_diastole_and_the_end_systole_of_its_beat(outlined):
    paired = within_cycle(outlined)
    first = outlined.table.drop_duplicates("clip").index
    assert len(paired) == len(outlined) and set(outlined.table.phase) == {"ED", "ES", ""}
    assert np.array_equal(paired.neighbours[first], outlined.neighbours[first])
    area = outlined.masks.sum(axis=(1, 2))
    by_phase = [area[(outlined.table.phase == phase).to_numpy()] for phase in ("ED", "ES")]
    assert (by_phase[0] > by_phase[1]).all()


def test_landmarks_are_those_of_the_outlines(outlined):
    for frame in map(outlined.frame, range(0, len(outlined), 9)):
        assert dice(polygon_to_mask(frame.landmarks, (112, 112)), frame.mask) > 0.93


def test_outlines_that_are_there_are_not_made_again(study, outlined, tmp_path, monkeypatch):
    first = outlined_frames(study, NETWORKS, tmp_path, most=5, **QUIET)
    damaged = min((tmp_path / "outlines").glob("*.npz"))  # which is made again
    damaged.write_bytes(b"PK")
    made = []
    outline = adaptation._outline
    monkeypatch.setattr(adaptation, "_outline", lambda *a: made.append(a[0]) or outline(*a))
    with pytest.warns(UserWarning, match=r"cannot be used"):
        again = outlined_frames(study, NETWORKS, tmp_path, most=5, **QUIET)
    remade = 5 - len(list(damaged.parent.glob("*.npz"))) + 1  # those that are left out, too
    assert len(made) == remade and again.fingerprint() == first.fingerprint()
    with pytest.raises(DataError, match="results of another run; they differ in clips"):
        outlined_frames(study, NETWORKS, tmp_path, most=6, **QUIET)


def test_the_outlines_do_not_depend_on_the_number_of_processes(study, outlined, tmp_path):
    shared = outlined_frames(study, NETWORKS, tmp_path, workers=2, **QUIET)
    assert shared.fingerprint() == outlined.fingerprint()


class Changed(EchoNet):
    """A study of which one clip cannot be read, one shows two pictures, and one no motion."""

    def clip(self, name):
        clip, number = super().clip(name), self.table.index.get_loc(name)
        if number == 0:
            raise DataError(f"{self.folder}/Videos/{name}.avi: damaged.")
        frames = clip.frames
        if number == 1:
            frames = np.concatenate([frames, frames], axis=2)
        if number == 3:
            frames = np.repeat(frames[:1], len(frames), axis=0)
        return Clip(name, frames, clip.fps, clip.spacing)

    def labelled(self, name, read=None):
        return super().labelled(name, read) if name != self.table.index[0] else ([], [])


def test_clips_that_teach_what_is_wrong_are_left_out_with_the_reason(study, tmp_path, monkeypatch):
    monkeypatch.setattr(adaptation, "LEAST_FRAMES", 10)
    problems = []
    data = Changed(study.folder)
    outlined = outlined_frames(data, NETWORKS, tmp_path, problems=problems, **QUIET)
    left_out = {problem.file: problem for problem in problems if problem.action == "left out"}
    assert len({str(problem) for problem in problems}) == len(problems), "each is said once"
    unreadable, double, _, still = data.table.index[:4]
    assert not {unreadable, double, still} & set(outlined.table["clip"])
    assert set(outlined.table["clip"]) | left_out.keys() >= set(data.table.index)
    reasons = [left_out[name].reason for name in (unreadable, double, still)]
    assert "damaged" in reasons[0] and str(study.folder) not in reasons[0]
    assert "two pictures" in reasons[1] and "beat" in reasons[2]


def test_doubtful_outlines_are_left_out_by_the_calibration(study, tmp_path):
    limit = replace(load_networks().calibration, doubt=0.0)
    with pytest.raises(DataError, match=r"0 frames of 6 clips(.|\n)*landmarks disagree"):
        outlined_frames(study, replace(NETWORKS, calibration=limit), tmp_path, **QUIET)


def test_too_few_frames_are_an_error_that_says_why(study, tmp_path):
    with pytest.raises(DataError, match=f"20 frames of 2 clips .* at least {LEAST_FRAMES}"):
        outlined_frames(study, NETWORKS, tmp_path, most=2, **QUIET)
    with pytest.raises(DataError, match="no clip in the split 'val'"):
        data = EchoNet(study.folder)
        data.table["split"] = "train"
        outlined_frames(data, NETWORKS, tmp_path, "val", **QUIET)


def test_a_data_set_of_single_frames_gives_the_experts_two_moments(tmp_path, monkeypatch):
    data = Camus(camus_folder(tmp_path / "camus"))
    monkeypatch.setattr(adaptation, "LEAST_FRAMES", 2)
    outlined = outlined_frames(data, NETWORKS, tmp_path / "out", **QUIET)
    pairs = outlined.table.groupby("clip").phase.agg(list)
    assert len(pairs) and all(phases == ["ED", "ES"] for phases in pairs)


def test_frames_without_an_outline_are_left_out(tmp_path, monkeypatch):
    data, problems = Camus(camus_folder(tmp_path / "camus")), []
    nothing = np.zeros((2, *data.labelled("patient0001_4CH")[0][0].mask.shape), bool)
    monkeypatch.setattr(adaptation, "measure_pair", lambda *arguments: (nothing, {"doubt": 0.0}))
    with pytest.raises(DataError, match=r"0 frames of \d clips(.|\n)*is empty"):
        outlined_frames(data, NETWORKS, tmp_path / "out", problems=problems, **QUIET)
    assert problems


def test_each_network_learns_and_goes_on_where_it_was(study, outlined, tmp_path, monkeypatch):
    networks = small_networks(tmp_path)
    before = [weights_digest(network) for network in networks.models()]
    monkeypatch.setattr(adaptation, "outlined_frames", lambda *arguments: outlined)
    new = adapt(study, networks, tmp_path / "out", **QUIET, **SHORT)
    assert new.names == tuple(f"{name}_adapted" for name in WEIGHTS)
    assert [weights_digest(network) for network in networks.models()] == before
    assert not set(before) & {weights_digest(network) for network in new.models()}
    card = load_model(tmp_path / "out" / "lv_cycle_adapted").card
    assert card["trained_on"] == outlined.table.source.iloc[0]
    assert card["config"]["start"] == "cycle"
    assert not any(name in str(card) for name in study.table.index), "no names of patients"
    files = sorted((tmp_path / "out").rglob("model.safetensors"))
    written = [file.stat().st_mtime_ns for file in files]
    again = adapt(study, networks, tmp_path / "out", **QUIET, **SHORT)
    assert [file.stat().st_mtime_ns for file in files] == written
    assert [weights_digest(n) for n in again.models()] == [weights_digest(n) for n in new.models()]


def test_a_network_that_marks_the_cavity_alone_learns_too(outlined, tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "one.safetensors"
    save_network(UNet(width=2, depth=2, outputs=1), path, 112)
    networks = load_networks([str(path)], calibration=None)
    config = adaptation_config(len(outlined), **SHORT)
    adaptation.train_on_outlines(networks.single, outlined, tmp_path / "out", config, False)
    assert load_model(tmp_path / "out").arguments["outputs"] == 1


def test_a_training_has_its_steps_whatever_the_number_of_frames():
    for frames in (40, 800, 60_000):
        config = adaptation_config(frames)
        assert round(config.epochs * (frames // config.batch)) == STEPS


def test_a_network_is_taught_what_all_outline_together(outlined, tmp_path):
    torch.manual_seed(0)
    config = adaptation_config(len(outlined), epochs=70, **LEARN)
    wrong = UNet(width=8, depth=3, outputs=1)
    wrong.size = outlined.size
    before = _dice(wrong, outlined)
    adaptation.train_on_outlines(wrong, outlined, tmp_path / "out", config, False)
    assert _dice(load_model(tmp_path / "out"), outlined) > max(0.75, before + 0.1)


def _dice(network, frames):
    masks = square_masks(predict(network, frames.images), frames.size)
    return np.mean([dice(a, b) for a, b in zip(masks, frames.masks, strict=True)])


# --- From a shell ---------------------------------------------------------------------------------


def test_the_command_adapts_to_a_folder_of_clips(study, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(adaptation, "STEPS", 3)
    videos = study.folder / "Videos"
    out = tmp_path / "out"
    command = ["adapt", str(videos), "--out", str(out), "--weights", "lv", "lv_landmarks"]
    assert main([*command, "--workers", "1"]) == 0
    said = capsys.readouterr().out
    paths = [str(out / "lv_adapted"), str(out / "lv_landmarks_adapted")]
    assert f"--weights {' '.join(paths)}" in said and "calibrate" in said
    history = pd.read_csv(out / "lv_adapted" / "history.csv")
    assert history.step.iloc[-1] == 3
    assert load_networks(paths).names == ("lv_adapted", "lv_landmarks_adapted")
    assert len(LooseClips(videos).table) == 6


def test_the_command_says_how_dice_changed_on_labelled_patients_who_took_no_part(
    study, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(adaptation, "STEPS", 3)
    monkeypatch.setattr(adaptation, "LEAST_FRAMES", 10)
    monkeypatch.setattr(learning, "LEAST_PATIENTS", 1)
    command = ["adapt", str(study.folder), "--out", str(tmp_path / "out"), "--weights", "lv"]
    assert main([*command, "--workers", "1"]) == 0
    (said,) = [line for line in capsys.readouterr().out.splitlines() if "Dice changed" in line]
    patients = study.table[study.table.split == "val"].patient.nunique()
    assert said.startswith("from lv to lv_adapted") and f"on {patients} patients" in said
    outlined = {path.stem for path in (tmp_path / "out" / "outlines").glob("*.npz")}
    assert len(outlined) <= (study.table.split == "train").sum(), "of the split train alone"


def test_processes_of_torchrun_adapt_together(study, tmp_path):
    """None of them waits for what another one holds while it trains."""
    out = tmp_path / "out"
    line = f"-m torch.distributed.run --standalone --nproc-per-node 2 -m {__name__}"
    done = subprocess.run(
        [sys.executable, *line.split(), "adapt", str(study.folder), "--out", str(out),
         "--weights", "lv", "--workers", "1", "--quiet"],
        cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert pd.read_csv(out / "lv_adapted" / "history.csv").step.iloc[-1] == 3


def test_the_command_refuses_what_cannot_be_in_one_sentence(study, tmp_path, capsys):
    folder = str(study.folder)
    fails(capsys, ["adapt", folder, "--out", folder], "input")
    fails(capsys, ["adapt", folder, "--out", str(tmp_path / "a"), "--clips", "0"], "1 or more")
    write_avi(tmp_path / "still" / "one.avi", 8)
    fails(
        capsys,
        ["adapt", str(tmp_path / "still"), "--out", str(tmp_path / "b"), "--quiet"],
        "frames of 1 clips could be outlined",
    )


if __name__ == "__main__":  # as one of the processes that torchrun starts
    adaptation.STEPS, adaptation.LEAST_FRAMES = 3, 10
    sys.exit(main(sys.argv[1:]))
