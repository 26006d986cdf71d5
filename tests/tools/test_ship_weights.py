"""Weights that are shipped."""

import sys

import pytest
import torch

from echolib.networks.models import UNet, load_model, save_model
from tools import ship_weights


def saved(path, seed, **arguments):
    torch.manual_seed(seed)
    save_model(UNet(width=2, depth=2, **arguments), path)
    return path


@pytest.fixture
def ship(tmp_path, monkeypatch):
    """Run the tool with the words of a command line; returns the weights it has written."""
    monkeypatch.setattr(ship_weights, "weights_folder", lambda: tmp_path)

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["ship_weights", *map(str, words)])
        ship_weights.main()
        return load_model(tmp_path / "shipped.safetensors")

    return run


def test_weights_are_stored_in_half_precision_and_named_by_their_data(tmp_path, ship):
    path = saved(tmp_path / "trained.safetensors", 0)
    model = ship(path, "shipped", "--source", "phantom")
    assert model.card["trained_on"] == "phantom"
    stored, trained = model.state_dict(), load_model(path).state_dict()
    assert all(torch.equal(stored[n].half(), trained[n].half()) for n in trained)
