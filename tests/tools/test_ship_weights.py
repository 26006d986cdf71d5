"""Weights that are shipped: of a network, and of the mean of a network and its further training."""

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


def test_the_mean_lies_half_way_between_both_networks(tmp_path, ship):
    paths = [saved(tmp_path / f"{seed}.safetensors", seed) for seed in (0, 1)]
    first, second = (load_model(path).state_dict() for path in paths)
    model = ship(paths[0], "shipped", "--mean-with", paths[1])
    assert any(not torch.equal(first[name], second[name]) for name in first)
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            expected = (first[name] + second[name]) / 2
            torch.testing.assert_close(tensor.float(), expected.half().float())
    assert model.card["mean_with"] == str(paths[1])


def test_networks_of_two_kinds_have_no_mean(tmp_path, ship):
    one = saved(tmp_path / "one.safetensors", 0)
    other = saved(tmp_path / "other.safetensors", 1, outputs=3)
    with pytest.raises(ValueError, match="two kinds of networks"):
        ship(one, "shipped", "--mean-with", other)
