"""The benchmark against peers: each part runs with one tiny round, and its tables are right."""

import math
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from benchmarks import networks, peers
from benchmarks.loading import AUGMENTED, OPENED, PACKED, OpenedClips
from benchmarks.networks import MONAI, NETWORKS, OURS, Foreign
from benchmarks.peers import TABLE, markdown, store, summary
from echolib.config import bf16_pays, device, project_root
from echolib.data import EchoNet
from echolib.networks.levels import count_parameters
from echolib.networks.models import UNet
from tests.makers import EchoNetFolder, frame_set


@pytest.fixture
def no_monai(monkeypatch):
    """As where MONAI is not installed."""
    for name in [name for name in sys.modules if name.split(".")[0] == "monai"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "monai", None)


@pytest.fixture
def small(monkeypatch):
    """Two small networks in the places of ours and MONAI's, and one that needs MONAI."""
    chosen = {
        OURS: lambda: UNet(2, 2, fold=2),
        MONAI: lambda: Foreign(nn.Conv2d(1, 1, 3, padding=1)),
    }
    chosen["MONAI basic U-Net"] = NETWORKS["MONAI basic U-Net"]
    monkeypatch.setattr(networks, "NETWORKS", chosen)


def measured(monkeypatch, folder, *arguments):
    """The table that the command writes."""
    path = folder / "peers.csv"
    monkeypatch.setattr(sys, "argv", ["peers", "--out", str(path), *map(str, arguments)])
    peers.main()
    return pd.read_csv(path)


# --- Networks -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "millions"), [
    (OURS, 1.1), ("echolib plain U-Net, width 16", 1.9), (MONAI, 1.6), ("MONAI basic U-Net", 2.0),
    ("U-Net, 64 to 1024 channels", 31.0), ("DeepLabV3-ResNet50", 39.6),
])  # fmt: skip
def test_networks_are_the_published_ones_and_answer_with_one_mask(name, millions):
    network = networks.build(name)
    assert round(count_parameters(network) / 1e6, 1) == millions
    with torch.inference_mode():
        assert network.eval()(torch.zeros(1, 1, 32, 32)).shape == (1, 1, 32, 32)


def test_only_networks_of_monai_are_missing_without_it(no_monai):
    missing = [name for name in NETWORKS if networks.build(name) is None]
    assert missing == [MONAI, "MONAI basic U-Net"]


def test_a_round_measures_every_work_and_leaves_out_what_is_not_installed(
    small, no_monai, monkeypatch, tmp_path, capsys
):
    table = measured(monkeypatch, tmp_path, "--rounds", 1, "--seconds", 0, "--batch", 2)
    precisions = ["fp32", "bf16"] if bf16_pays(device()) else ["fp32"]
    works = {f"{work}, {label}" for work in ("inference", "training") for label in precisions}
    assert {"parameters", *works} <= set(table.work)
    assert set(table.peer) == {OURS, MONAI, "MONAI basic U-Net"}
    assert table.machine.str.contains("cores: .*torch ").all()
    there = table.peer != "MONAI basic U-Net"
    speeds = table.value[there & (table.work != "parameters")]  # so small a network has 0.000 M
    assert (speeds > 0).all() and table.value[~there].isna().all()
    assert f"| {OURS} |" in capsys.readouterr().out


def test_an_epoch_is_timed(small, monkeypatch, tmp_path):
    monkeypatch.setattr(networks, "EPOCH", 32)
    table = measured(monkeypatch, tmp_path, "--epoch", "--rounds", 1)
    table = table[table.work == "epoch"]
    assert set(table.peer) == {OURS, MONAI} and (table.value > 0).all()
    assert set(table.data) == {"noise, 32 frames, batches of 16, augmented"}


def test_an_epoch_of_what_is_not_installed_is_left_out(no_monai, monkeypatch, tmp_path):
    monkeypatch.setattr(networks, "EPOCH", 16)
    table = measured(monkeypatch, tmp_path, "--epoch", "--rounds", 1).set_index("peer")
    assert table.value[OURS] > 0 and math.isnan(table.value[MONAI])


# --- Time to a Dice -------------------------------------------------------------------------------


@pytest.mark.parametrize(("goal", "reached"), [(0.0, True), (2.0, False)])
def test_trainings_take_turns_and_finished_ones_are_kept(
    small, goal, reached, monkeypatch, tmp_path
):
    frames = frame_set(24, 32)
    frames.table["split"] = "train"
    monkeypatch.setattr(peers, "open_data", lambda folder: None)
    monkeypatch.setattr(peers, "pack_once", lambda data, size: frames)
    monkeypatch.setattr(peers, "BUILD", tmp_path)
    monkeypatch.setattr(peers, "GOAL", goal)
    arguments = ("--camus", "folder", "--minutes", 0.02, "--seeds", 1)
    table = measured(monkeypatch, tmp_path, *arguments)
    assert list(table.peer) == [OURS, OURS, MONAI, MONAI]
    assert (np.isfinite(table[table.unit == "s"].value) == reached).all()
    assert table[table.unit == "Dice"].value.between(0, 1).all()
    monkeypatch.setattr(peers, "train", None)  # would raise if it were called
    pd.testing.assert_frame_equal(measured(monkeypatch, tmp_path, *arguments), table)


def test_no_patient_trains_and_scores():
    parts = peers.halves(frame_set(60), seed=1)
    patients = [set(part.table.patient) for part in parts]
    assert all(patients) and len(set.union(*patients)) == sum(map(len, patients))
    assert all((part.table.split == "train").all() for part in parts)


# --- Data -----------------------------------------------------------------------------------------


def test_a_study_is_packed_and_read_in_three_ways(monkeypatch, tmp_path):
    study = EchoNetFolder(tmp_path / "study").write()
    table = measured(monkeypatch, tmp_path, "--study", study, "--rounds", 1)
    assert set(table[table.work == "epoch"].peer) == {PACKED, AUGMENTED, OPENED}
    assert list(table[table.work == "packing"].peer) == [PACKED]
    assert (table.value > 0).all() and (table.data == "study, 6 clips of 12 frames").all()


def test_the_loader_of_videos_gives_the_traced_frames_and_masks(tmp_path):
    data = EchoNet(EchoNetFolder(tmp_path).write())
    images, masks = OpenedClips(data)[0]
    first, last = data.labelled(data.table.index[0])[0]
    for image, mask, frame in zip(images, masks, (first, last), strict=True):
        grey = image.mean(axis=0) * 51 + 33
        assert np.abs(grey - frame.image).max() < 3
        assert np.mean((mask > 0) != frame.mask) < 0.02


# --- Tables ---------------------------------------------------------------------------------------


def rows(**values):
    """Rows of one work, with the values of each network by round."""
    names = {"ours": OURS, "monai": MONAI}
    return pd.DataFrame(
        {"data": "noise", "work": "inference", "unit": "frames/s", "peer": names.get(peer, peer),
         "round": number, "value": value}
        for peer, numbers in values.items() for number, value in enumerate(numbers)
    )  # fmt: skip


def test_medians_and_ratios_within_a_round():
    table = summary(rows(ours=[10, 100, 40], monai=[20, 50, 20], other=[1, 1, 4]))
    table = table.set_index("peer")
    assert list(table.value) == [40, 20, 1] and (table.rounds == 3).all()
    assert list(table.to_ours) == [1, 0.5, 0.1] and list(table.to_monai) == [2, 1, 0.05]


def test_without_monai_there_is_no_ratio_to_it():
    table = summary(rows(ours=[10.0], monai=[math.nan]))
    assert table.to_monai.isna().all() and table.to_ours[0] == 1


@pytest.mark.parametrize("key", [["machine", *peers.KEY], ["machine"]])
def test_new_values_replace_those_of_the_same_machine_alone(tmp_path, key):
    old, new = (summary(rows(ours=[speed])) for speed in (1.0, 2.0))
    path = tmp_path / "peers.csv"
    for table, machine in ((old, "a"), (old, "b"), (new, "a")):
        stored = store(table.assign(machine=machine), path, key)
    assert stored.set_index("machine").value.to_dict() == {"a": 2.0, "b": 1.0}
    pd.testing.assert_frame_equal(pd.read_csv(path), stored, check_dtype=False)


def test_tables_name_machine_and_data_and_say_what_never_was_reached():
    table = summary(rows(ours=[1234.5], monai=[math.inf], other=[math.nan]))
    assert markdown(table.assign(machine="a")).splitlines() == [
        "noise; a:", "", "| | inference (frames/s) |", "| --- | --- |",
        f"| {OURS} | 1,234 |", f"| {MONAI} | never |", "| other |  |",
    ]  # fmt: skip


def test_the_readme_shows_the_committed_table():
    if not TABLE.is_file():
        pytest.skip("benchmarks/peers.csv is not here: python -m benchmarks.peers measures it")
    assert markdown(pd.read_csv(TABLE)) in (project_root() / "README.md").read_text(
        encoding="utf-8"
    )
