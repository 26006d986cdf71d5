"""Weights files: equal bytes for equal models, and refused before anything large is built."""

import json
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from echolib.config import weights_folder
from echolib.errors import DataError
from echolib.networks.models import UNet, load_model, save_model

ROOT = Path(__file__).resolve().parents[2]
METADATA = {"format": "echolib-1", "model": "UNet", "card": '{"size": 32}'}
SAVING = """
import sys, torch
from echolib.networks.models import UNet, save_model
torch.manual_seed(0)
model = UNet(2, depth=1)
model.card = {"trained_on": "ellipses", "größe": 1}
save_model(model, sys.argv[1])
"""


def test_a_network_is_named_after_its_file_or_folder(tmp_path, monkeypatch):
    save_model(UNet(2, depth=1), tmp_path / "mine" / "model.safetensors")
    monkeypatch.chdir(tmp_path / "mine")
    (tmp_path / "mine" / "deeper").mkdir()
    names = {".": "mine", "../mine": "mine", "deeper/..": "mine", "model.safetensors": "model"}
    assert {name: load_model(name).name for name in names} == names


def test_shipped_weights_name_no_folder_of_the_machine_that_trained_them():
    for path in weights_folder().glob("*.safetensors"):
        assert not str(load_model(path).card.get("config", {}).get("start", "")).startswith("/")


def write(path, tensors=None, arguments=None, **metadata):
    """Weights of a small network, changed."""
    arguments = {"width": 2, "depth": 1} if arguments is None else arguments
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    tensors = UNet(2, depth=1).state_dict() if tensors is None else tensors
    save_file(tensors, path, METADATA | {"arguments": text} | metadata)
    return path


def test_equal_models_give_equal_bytes_in_other_processes_too(tmp_path):
    for number in range(2):
        command = [sys.executable, "-c", SAVING, str(tmp_path / f"{number}.safetensors")]
        subprocess.run(command, check=True, cwd=ROOT)
    model = load_model(tmp_path / "0.safetensors")
    del model.card["size"]
    for number in range(2, 12):
        save_model(model, tmp_path / f"{number}.safetensors")
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1
    content = (tmp_path / "0.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    assert length % 8 == 0 and content[8 : 8 + length].startswith(b'{"__metadata__":{"arguments"')


def test_the_shipped_weights_load_and_keep_their_bytes_of_tensors(tmp_path):
    for path in weights_folder().glob("*.safetensors"):
        model = load_model(path)
        save_model(model, tmp_path / "copy.safetensors")
        copy = load_model(tmp_path / "copy.safetensors")
        assert copy.card == model.card and copy.size == model.size
        for name, tensor in model.state_dict().items():
            assert torch.equal(copy.state_dict()[name], tensor)
        assert not any(weight.is_meta for weight in model.parameters())


@pytest.mark.parametrize(
    "card",
    [
        '{"size": 0}', '{"size": -5}', '{"size": 1e9}', '{"size": 1000000000}', '{"size": "x"}',
        '{"size": true}', '{"size": NaN}', '{"size": Infinity}', '{"size": [112]}',
        '{"size": null}', '{"size": 112.5}', "[1]", "5", "{", "[" * 20_000,
    ],
)  # fmt: skip
def test_a_card_without_a_sensible_size_is_refused(tmp_path, card):
    path = write(tmp_path / "w.safetensors", card=card)
    with pytest.raises(DataError, match=r"w\.safetensors does not fit the model UNet.*: its "):
        load_model(path)


@pytest.mark.parametrize(
    "arguments",
    [
        {"width": 0, "depth": 1}, {"width": -2, "depth": 1}, {"width": 2, "depth": 25},
        {"width": 10**9, "depth": 1}, {"width": 2.0, "depth": 1}, {"width": True, "depth": 1},
        {"width": "2", "depth": 1}, {"width": [2], "depth": 1}, {"width": None, "depth": 1},
        {"width": float("nan"), "depth": 1}, {"width": 2, "depth": 1, "outputs": 10**6},
        {"layers": 4}, {"width": 2, "depth": 1, "landmarks": 40}, [2, 1], "{", "5",
        *({"width": 2, "depth": 1, "fold": fold} for fold in (0, 2, 3, -1, 10**9, 1.0, True, "1")),
    ],
)  # fmt: skip
def test_arguments_that_no_network_has_are_refused(tmp_path, arguments):
    path = write(tmp_path / "w.safetensors", arguments=arguments)
    with pytest.raises(DataError, match=r"w\.safetensors does not fit the model UNet"):
        load_model(path)


def changed(name, tensor=None):
    tensors = UNet(2, depth=1).state_dict()
    if tensor is None:
        del tensors[name]
    else:
        tensors[name] = tensor
    return tensors


@pytest.mark.parametrize(
    ("name", "tensor", "found"),
    [
        ("head.bias", None, "head.bias is missing"),
        ("more", torch.zeros(2), "more is no tensor of it"),
        ("head.bias", torch.zeros(2), r"head.bias has the shape \[2\], not \[1\]"),
        ("head.bias", torch.zeros(1, dtype=torch.int64), "head.bias has the type I64"),
        ("down.0.1.num_batches_tracked", torch.tensor(1.0), "has the type F32, not I64"),
        ("head.bias", torch.tensor([np.nan]), "head.bias has 1 values that are not finite"),
        ("head.bias", torch.tensor([np.inf]), "head.bias has 1 values that are not finite"),
        ("head.bias", torch.tensor([1e300], dtype=torch.float64), "not finite"),
        ("sd", torch.tensor(0.0), "sd must not be 0"),
        ("sd", torch.tensor(-1.0), "sd must not be -1"),
        ("mean", torch.tensor(np.nan), "mean has 1 values that are not finite"),
        ("down.0.1.running_var", torch.tensor([1.0, -1.0]), "running_var must not be -1"),
    ],
)
def test_tensors_that_do_not_fit_or_are_no_numbers_are_refused(tmp_path, name, tensor, found):
    path = write(tmp_path / "w.safetensors", changed(name, tensor))
    with pytest.raises(DataError, match=f"does not fit the model UNet.*{found}"):
        load_model(path)


def test_a_small_file_that_names_a_large_network_allocates_nothing(tmp_path):
    path = write(tmp_path / "w.safetensors", arguments={"width": 512, "depth": 8})
    before = peak_memory()
    with pytest.raises(DataError, match="does not fit the model UNet"):
        load_model(path)
    assert peak_memory() - before < 200 * 1024


def peak_memory() -> int:
    """Largest resident memory of this process so far, kB."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def test_weights_larger_than_the_limit_are_refused(tmp_path, monkeypatch):
    path = write(tmp_path / "w.safetensors")
    monkeypatch.setenv("ECHOLIB_MEMORY", "1K")
    with pytest.raises(DataError, match=r"^\S*w\.safetensors would take .* of memory"):
        load_model(path)


def test_loading_does_not_change_the_random_state(tmp_path):
    path = write(tmp_path / "w.safetensors")
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    load_model(path)
    assert torch.equal(torch.rand(2), expected)


def test_a_pretrained_name_means_the_pretrained_network_wherever_it_is_asked_for(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    own = UNet(2, depth=1)
    save_model(own, tmp_path / "lv" / "model.safetensors")
    with pytest.warns(UserWarning, match=r"lv/model.safetensors is not used.* write \./lv"):
        shipped = load_model("lv")
    assert shipped.name == "lv" and shipped.arguments != own.arguments
    for given in ("./lv", Path("lv"), str(tmp_path / "lv")):
        model = load_model(given)
        assert model.arguments == own.arguments
        assert model.name == f"lv ({tmp_path.name})"  # whose card and calibration are not its own
