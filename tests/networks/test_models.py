"""The networks and their weights files."""

import json

import pytest
import torch
from safetensors.torch import save_file

from echolib.errors import DataError
from echolib.networks import TARGETS
from echolib.networks.models import (
    MODELS,
    LandmarkRegressor,
    LandmarkUNet,
    UNet,
    count_parameters,
    finds_landmarks,
    first_levels,
    load_model,
    new_model,
    save_model,
    soft_argmax,
    start_from,
)


@pytest.mark.parametrize("shape", [(1, 1, 16, 16), (2, 1, 33, 50), (1, 1, 112, 112)])
def test_logits_have_the_shape_of_the_images(shape):
    assert UNet(width=2, depth=3).eval()(torch.rand(shape)).shape == shape


@pytest.mark.parametrize("model", [LandmarkUNet, LandmarkRegressor])
@pytest.mark.parametrize("shape", [(1, 1, 16, 16), (2, 1, 33, 50)])
def test_landmarks_are_points_inside_the_image(model, shape):
    points = model(width=2, depth=3).eval()(torch.rand(shape))
    assert points.shape == (shape[0], 40, 2) and points.dtype == torch.float32
    if model is LandmarkUNet:
        assert (points >= 0).all() and (points <= torch.tensor(shape[:1:-1])).all()


def test_a_landmark_lies_at_the_mean_of_its_heatmap_in_px_of_the_image():
    heatmaps = torch.full((1, 2, 10, 12), -50.0)
    heatmaps[0, 0, 3, 7] = 0  # a cell is 2 x 2 px, so its centre is 0.5 px past its first
    heatmaps[0, 1, 2, 4] = heatmaps[0, 1, 2, 5] = 0
    assert soft_argmax(heatmaps)[0].tolist() == [[14.5, 6.5], [9.5, 4.5]]


def test_seven_landmarks_and_new_models_by_target():
    assert LandmarkUNet(2, 2, landmarks=7)(torch.rand(1, 1, 16, 16)).shape == (1, 7, 2)
    made = {target: new_model(target, 2, outputs=3) for target in TARGETS}
    assert [finds_landmarks(model) for model in made.values()] == [False, True, True, True]
    assert made["masks"].arguments["outputs"] == 3
    assert made["landmarks7"].arguments["landmarks"] == 7
    assert {type(model).__name__ for model in made.values()} == set(MODELS)
    with pytest.raises(ValueError, match="Unknown target 'boxes'.*masks"):
        new_model("boxes")
    with pytest.raises(ValueError, match="not 0"):
        new_model("masks", width=0)


@pytest.mark.parametrize("inputs", [1, 3])
def test_a_unet_sees_as_many_frames_as_it_has_inputs(tmp_path, inputs):
    torch.manual_seed(0)
    model = UNet(2, 2, outputs=2, inputs=inputs).eval()
    images = torch.rand(2, inputs, 18, 20)
    assert model(images).shape == (2, 2, 18, 20)
    for channel in range(inputs):
        changed = images.clone()
        changed[:, channel] = 0
        assert not torch.equal(model(images), model(changed))
    save_model(model, tmp_path / "model.safetensors")
    loaded = load_model(tmp_path)
    assert loaded.arguments == model.arguments and loaded.arguments["inputs"] == inputs
    assert torch.equal(loaded(images), model(images))


def test_weights_from_before_there_were_inputs_have_one(tmp_path):
    tensors = UNet(2, 2).state_dict()
    arguments = json.dumps({"width": 2, "depth": 2, "outputs": 1})
    metadata = {"format": "echolib-1", "model": "UNet", "card": "{}", "arguments": arguments}
    save_file(tensors, tmp_path / "model.safetensors", metadata)
    assert load_model(tmp_path).arguments["inputs"] == 1


def test_the_first_levels_are_the_blocks_next_to_the_image():
    model = UNet(2, depth=3)
    for count in range(5):
        levels = first_levels(model, count)
        assert len(levels) == count
        assert all(level is block for level, block in zip(levels, model.down, strict=False))
    for wrong in (-1, 5):
        with pytest.raises(ValueError, match=f"4 levels; {wrong} cannot be frozen"):
            first_levels(model, wrong)
    assert len(first_levels(LandmarkRegressor(2, 2), 3)) == 3


def test_a_model_starts_from_the_tensors_of_another_that_fit():
    torch.manual_seed(0)
    source, model = UNet(2, 2, outputs=3), LandmarkUNet(2, 2)
    source.mean.fill_(0.7)
    head = model.head.weight.clone()
    assert start_from(model, source) == ["head.bias", "head.weight"]
    assert torch.equal(model.down[0][0].weight, source.down[0][0].weight)
    assert torch.equal(model.merge[1][3].weight, source.merge[1][3].weight)
    assert torch.equal(model.head.weight, head) and model.mean == 0.7
    assert start_from(UNet(2, 2, outputs=3), source) == []
    assert "head.weight" in start_from(LandmarkRegressor(2, 2), source)
    same_shape = LandmarkUNet(2, 2, landmarks=7)
    assert "head.weight" in start_from(same_shape, UNet(2, 2, outputs=7))
    with pytest.raises(ValueError, match="same width and depth"):
        start_from(UNet(3, 2), source)


def test_the_size_in_the_notebooks_has_1_9_million_parameters():
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


def test_an_output_depends_on_distant_pixels():
    model = UNet(width=4, depth=4).eval()
    images = torch.rand(1, 1, 64, 64)
    changed = images.clone()
    changed[..., 60, 60] += 1000
    assert not torch.equal(model(images)[..., 30, 30], model(changed)[..., 30, 30])


@pytest.mark.parametrize("kind", MODELS.values())
def test_weights_survive_saving_with_their_card(tmp_path, kind):
    torch.manual_seed(0)
    model = kind(width=3, depth=2).eval()
    model.mean.fill_(0.33)
    model.size, model.card = 64, {"trained_on": "ellipses"}
    save_model(model, tmp_path / "model.safetensors")
    images = torch.rand(1, 1, 32, 32)
    for place in (tmp_path, tmp_path / "model.safetensors"):
        loaded = load_model(place)
        assert loaded.card == {"size": 64, "trained_on": "ellipses"} and loaded.size == 64
        assert not loaded.training and torch.equal(loaded(images), model(images))


def test_missing_weights_are_an_error_that_names_the_path(tmp_path):
    with pytest.raises(DataError, match="No weights at .*nothing"):
        load_model(tmp_path / "nothing")


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x04K\x01."])
def test_a_file_that_is_not_safetensors_is_refused(tmp_path, content):
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


def test_a_bias_that_fits_by_chance_is_not_enough_to_start_from():
    with pytest.raises(ValueError, match="same width"):
        start_from(UNet(2, 2), UNet(3, 2))


def test_a_model_of_three_frames_starts_equal_to_one_of_a_single_frame():
    torch.manual_seed(0)
    one, three = UNet(2, 2).eval(), UNet(2, 2, inputs=3).eval()
    assert start_from(three, one) == []
    images = torch.rand(2, 1, 16, 16)
    with torch.inference_mode():
        assert torch.allclose(three(images.repeat(1, 3, 1, 1)), one(images), atol=1e-5)
