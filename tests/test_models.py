"""The network and its weights files."""

import json

import pytest
import torch
from safetensors.torch import save_file

from echolib.errors import DataError
from echolib.models import UNet, count_parameters, load_checkpoint, load_model, save_model


@pytest.mark.parametrize("shape", [(1, 1, 16, 16), (2, 1, 33, 50), (1, 1, 112, 112)])
def test_logits_have_the_shape_of_the_images(shape):
    assert UNet(width=2, depth=3).eval()(torch.rand(shape)).shape == shape


def test_the_taught_size_has_1_9_million_parameters():
    assert 1.8e6 < count_parameters(UNet(width=16)) < 2.0e6


def test_images_are_normalised_inside_the_model():
    model = UNet(width=2, depth=2).eval()
    images = torch.rand(2, 1, 16, 16)
    plain = model(images)
    model.mean.fill_(0.5)
    model.sd.fill_(0.1)
    expected = UNet(width=2, depth=2).eval()
    expected.load_state_dict(
        {**model.state_dict(), "mean": torch.tensor(0.0), "sd": torch.tensor(1.0)}
    )
    assert torch.allclose(model(images), expected((images - 0.5) / 0.1), atol=1e-5)
    assert not torch.allclose(model(images), plain)


def test_an_output_sees_far():
    model = UNet(width=4, depth=4).eval()
    images = torch.rand(1, 1, 64, 64)
    changed = images.clone()
    changed[..., 60, 60] += 1000
    assert not torch.equal(model(images)[..., 30, 30], model(changed)[..., 30, 30])


def test_weights_survive_saving_with_their_card(tmp_path):
    torch.manual_seed(0)
    model = UNet(width=3, depth=2).eval()
    model.mean.fill_(0.33)
    save_model(model, tmp_path / "model.safetensors", {"size": 64, "trained_on": "ellipses"})
    images = torch.rand(1, 1, 32, 32)
    for place in (tmp_path, tmp_path / "model.safetensors"):
        loaded, card = load_model(place)
        assert card == {"size": 64, "trained_on": "ellipses"}
        assert not loaded.training and torch.equal(loaded(images), model(images))


def test_missing_weights_are_an_error_that_lists_what_there_is(tmp_path):
    with pytest.raises(DataError, match="No weights at .*nothing"):
        load_model(tmp_path / "nothing")


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x04K\x01."])
def test_a_file_that_is_no_safetensors_is_refused(tmp_path, content):
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(DataError, match="not a readable safetensors"):
        load_model(tmp_path)


def test_weights_of_another_program_or_model_are_refused(tmp_path):
    tensors = UNet(width=2, depth=2).state_dict()
    path = tmp_path / "model.safetensors"
    save_file(tensors, path)
    with pytest.raises(DataError, match="Was it written by echolib"):
        load_model(path)
    metadata = {"format": "echolib-1", "model": "UNet", "card": "{}"}
    save_file(tensors, path, {**metadata, "arguments": json.dumps({"width": 4, "depth": 2})})
    with pytest.raises(DataError, match="does not fit the model UNet"):
        load_model(path)
    save_file(tensors, path, {**metadata, "arguments": json.dumps({"layers": 4})})
    with pytest.raises(DataError, match="does not fit the model UNet"):
        load_model(path)


def test_a_checkpoint_that_would_execute_code_is_refused(tmp_path):
    class Harmful:
        def __reduce__(self):
            return (open, (str(tmp_path / "proof"), "w"))

    path = tmp_path / "checkpoint.pt"
    torch.save({"model": Harmful()}, path)
    with pytest.raises(DataError, match="not a readable checkpoint"):
        load_checkpoint(path)
    assert not (tmp_path / "proof").exists()


def test_a_damaged_or_foreign_checkpoint_is_refused(tmp_path):
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(DataError, match="not a readable checkpoint"):
        load_checkpoint(path)
    torch.save({"state": 1}, path)
    with pytest.raises(DataError, match="no checkpoint of a Training"):
        load_checkpoint(path)
