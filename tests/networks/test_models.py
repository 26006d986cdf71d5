"""The networks and their weights files."""

import json

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional

from echolib.config import weights_folder
from echolib.errors import DataError
from echolib.networks import TARGETS
from echolib.networks.heatmaps import soft_argmax
from echolib.networks.levels import count_parameters, first_levels
from echolib.networks.models import (
    MODELS,
    ConvBlock,
    LandmarkRegressor,
    LandmarkUNet,
    UNet,
    finds_landmarks,
    load_model,
    new_model,
    save_model,
    shape_of,
    start_from,
)

each_fold = pytest.mark.parametrize("fold", [1, 2])


@each_fold
@pytest.mark.parametrize("shape", [(1, 1, 16, 16), (2, 1, 33, 50), (1, 1, 112, 112), (1, 1, 1, 3)])
def test_logits_have_the_shape_of_the_images(shape, fold):
    assert UNet(width=2, depth=3, fold=fold).eval()(torch.rand(shape)).shape == shape
    three = UNet(width=2, depth=2, outputs=3, fold=fold).eval()
    assert three(torch.rand(shape)).shape == (shape[0], 3, *shape[2:])


@each_fold
@pytest.mark.parametrize("model", [LandmarkUNet, LandmarkRegressor])
@pytest.mark.parametrize("shape", [(1, 1, 16, 16), (2, 1, 33, 50)])
def test_landmarks_are_points_inside_the_image(model, shape, fold):
    points = model(width=2, depth=3, fold=fold).eval()(torch.rand(shape))
    assert points.shape == (shape[0], 40, 2) and points.dtype == torch.float32
    if model is LandmarkUNet:
        assert (points >= 0).all() and (points <= torch.tensor(shape[:1:-1])).all()


def test_outside_of_training_normalisation_and_convolution_are_one_step():
    torch.manual_seed(0)
    block, images = ConvBlock(3, 5), torch.randn(4, 3, 9, 12)
    for norm in (block[1], block[4]):  # as after a training
        torch.nn.init.uniform_(norm.weight, 0.5, 2)
        torch.nn.init.normal_(norm.bias)
    for _ in range(20):
        block(images)
    one_by_one = block.eval()(images)
    calls = []
    block[1].register_forward_hook(lambda *_: calls.append("normalisation"))
    with torch.inference_mode():
        assert torch.allclose(block(images), one_by_one, atol=1e-5) and not calls
        block.train()(images)
    assert calls and one_by_one.requires_grad


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


def test_new_models_are_folded_and_take_the_shape_of_another():
    for target in TARGETS:
        assert shape_of(new_model(target)) == {"width": 24, "depth": 3, "fold": 2}
        shape = {"width": 3, "depth": 2, "fold": 1}
        assert shape_of(new_model(target, **shape)) == shape
        assert [new_model(target, inputs=n).arguments["inputs"] for n in (1, 3)] == [1, 3]


# --- Folded images --------------------------------------------------------------------------------


def plain_unet(model, images):
    """Logits of a U-Net of fold 1, written out: the reference that a fold must not change."""
    height, width = images.shape[-2:]
    step = 2 ** (len(model.down) - 1)
    features = (images - model.mean) / model.sd
    features = functional.pad(features, (0, -width % step, 0, -height % step))
    levels = [model.down[0](features)]
    for block in model.down[1:]:
        levels.append(block(functional.max_pool2d(levels[-1], 2)))
    features = levels.pop()
    for index in reversed(range(len(levels))):
        joined = torch.cat([levels[index], model.up[index](features)], dim=1)
        features = model.merge[index](joined)
    return features[..., :height, :width]


@torch.inference_mode()
def test_without_a_fold_the_answers_are_those_of_a_plain_u_net():
    shipped = [load_model(path) for path in weights_folder().glob("*.safetensors")]
    drawn = [UNet(3, 2, outputs=2, inputs=3).eval(), LandmarkUNet(3, 3).eval()]
    for model in (model for model in shipped + drawn if model.fold == 1):
        images = torch.rand(1, model.arguments["inputs"], 45, 64)
        features = plain_unet(model, images)
        if finds_landmarks(model):
            heatmaps = model.head(functional.avg_pool2d(features, 2, ceil_mode=True))
            assert torch.equal(model(images), soft_argmax(heatmaps))
        else:
            assert torch.equal(model(images), model.head(features))


@torch.inference_mode()
def test_a_folded_network_is_a_plain_one_on_the_channels_of_folded_frames():
    """Each frame becomes four channels: its upper left, upper right, lower left, lower right px."""
    folded, plain = UNet(3, 2, 2, 3, fold=2).eval(), UNet(3, 2, outputs=8, inputs=12).eval()
    plain.load_state_dict(folded.state_dict())
    images = torch.rand(2, 3, 16, 24)
    corners = [images[:, frame, row::2, column::2] for frame in range(3)
               for row in (0, 1) for column in (0, 1)]  # fmt: skip
    answers, parts = folded(images), plain(torch.stack(corners, dim=1))
    for output in range(2):
        for place in range(4):
            part = answers[:, output, place // 2 :: 2, place % 2 :: 2]
            assert torch.equal(part, parts[:, 4 * output + place])


@each_fold
@pytest.mark.parametrize("shape", [(16, 24), (15, 21)])
def test_a_heatmap_that_peaks_in_a_cell_gives_the_centre_of_that_cell(fold, shape, monkeypatch):
    model, row, column = LandmarkUNet(2, 2, landmarks=1, fold=fold), 2, 9
    pixels = torch.zeros(1, 2, *shape)
    pixels[..., 2 * row : 2 * row + 2, 2 * column : 2 * column + 2] = 1
    features = functional.max_pool2d(pixels, fold, ceil_mode=True)
    monkeypatch.setattr(model, "expand", lambda images: features)
    torch.nn.init.constant_(model.head.weight, 100.0)
    assert model.heatmaps(pixels).shape == (1, 1, 8, -(-shape[1] // 2))
    points = model(pixels)
    assert torch.allclose(points, torch.tensor([[[2 * column + 0.5, 2 * row + 0.5]]]))


@torch.inference_mode()
def test_a_folded_heatmap_follows_the_pixels_of_the_image():
    """A depth of 0 sees 5 x 5 cells only, so a bright spot moves the cells around it alone."""
    torch.manual_seed(0)
    model = LandmarkUNet(2, 0, landmarks=3, fold=2).eval()
    dark = torch.zeros(1, 1, 40, 40)
    bright = dark.clone()
    bright[..., 21, 12] = 1  # in the cell of row 10, column 6
    changed = (model.heatmaps(bright) != model.heatmaps(dark)).any(dim=1)[0]
    rows, columns = torch.nonzero(changed, as_tuple=True)
    assert changed.any() and rows.min() >= 8 and rows.max() <= 12
    assert columns.min() >= 4 and columns.max() <= 8


@pytest.mark.parametrize("fold", [0, 3, 4, -1])
def test_another_fold_is_refused(fold):
    for kind in MODELS.values():
        with pytest.raises(ValueError, match=r"fold must be one of \(1, 2\), not"):
            kind(2, 2, fold=fold)


# --- Frames, levels, weights to start from --------------------------------------------------------


@each_fold
@pytest.mark.parametrize("inputs", [1, 3])
@pytest.mark.parametrize("kind", MODELS.values())
def test_a_network_sees_as_many_frames_as_it_has_inputs(tmp_path, kind, inputs, fold):
    torch.manual_seed(0)
    model = kind(2, 2, inputs=inputs, fold=fold).eval()
    images = torch.rand(2, inputs, 18, 20)
    assert model(images).shape == ((2, 1, 18, 20) if kind is UNet else (2, 40, 2))
    for channel in range(inputs):
        changed = images.clone()
        changed[:, channel] = 0
        assert not torch.equal(model(images), model(changed))
    save_model(model, tmp_path / "model.safetensors")
    loaded = load_model(tmp_path)
    assert loaded.arguments == model.arguments and loaded.arguments["inputs"] == inputs
    assert torch.equal(loaded(images), model(images))


@pytest.mark.parametrize(("kind", "found"), [(UNet, {"outputs": 1}), (LandmarkUNet, {})])
def test_weights_from_before_there_were_inputs_and_a_fold_have_one(tmp_path, kind, found):
    tensors = kind(2, 2).state_dict()
    arguments = json.dumps({"width": 2, "depth": 2} | found)
    metadata = {"format": "echolib-1", "model": kind.__name__, "card": "{}"}
    metadata["arguments"] = arguments
    save_file(tensors, tmp_path / "model.safetensors", metadata)
    loaded = load_model(tmp_path)
    assert loaded.arguments["inputs"] == loaded.arguments["fold"] == 1


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
    with pytest.raises(ValueError, match="same width, depth and fold"):
        start_from(UNet(3, 2), source)
    for inputs in (1, 4):  # with four inputs, the first convolution of both has one shape
        with pytest.raises(ValueError, match=r"'fold': 1.* fits .*'fold': 2.*same width"):
            start_from(UNet(2, 2, outputs=3, fold=2), UNet(2, 2, outputs=3, inputs=inputs))


def test_the_size_in_the_notebooks_has_1_9_million_parameters():
    assert 1.8e6 < count_parameters(UNet(width=16)) < 2.0e6


def test_new_networks_have_1_1_million_parameters():
    for target in ("masks", "landmarks"):
        assert 1.05e6 < count_parameters(new_model(target)) < 1.15e6


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


@each_fold
@pytest.mark.parametrize("kind", MODELS.values())
def test_weights_survive_saving_with_their_card(tmp_path, kind, fold):
    torch.manual_seed(0)
    model = kind(width=3, depth=2, fold=fold).eval()
    model.mean.fill_(0.33)
    model.size, model.card = 64, {"trained_on": "ellipses"}
    save_model(model, tmp_path / "model.safetensors")
    images = torch.rand(1, 1, 32, 32)
    for place in (tmp_path, tmp_path / "model.safetensors"):
        loaded = load_model(place)
        assert loaded.card == {"size": 64, "trained_on": "ellipses"} and loaded.size == 64
        assert not loaded.training and torch.equal(loaded(images), model(images))
        assert loaded.arguments == model.arguments and loaded.fold == fold


@pytest.mark.parametrize("name", ["lv", "lv_cycle_landmarks", "valve_close", "recipe_two"])
def test_a_network_of_another_structure_is_refused(name):
    own, other = ("ventricle", "leaflets") if name.startswith("lv") else ("leaflets", "ventricle")
    assert load_model(name).card["structure"] == load_model(name, own).card["structure"] == own
    with pytest.raises(DataError, match=f"a network of the {own}: expected one of the {other}"):
        load_model(name, other)


def test_networks_that_do_not_say_their_structure_are_taken(tmp_path):
    save_model(UNet(width=2, depth=1), tmp_path / "older.safetensors")
    assert load_model(tmp_path / "older.safetensors", "leaflets").name == "older"


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


@each_fold
def test_a_model_of_three_frames_starts_equal_to_one_of_a_single_frame(fold):
    torch.manual_seed(0)
    one, three = UNet(2, 2, fold=fold).eval(), UNet(2, 2, inputs=3, fold=fold).eval()
    assert start_from(three, one) == []
    images = torch.rand(2, 1, 16, 16)
    with torch.inference_mode():
        assert torch.allclose(three(images.repeat(1, 3, 1, 1)), one(images), atol=1e-5)
    again = UNet(2, 2, inputs=3, fold=fold).eval()
    assert start_from(again, three) == []  # from as many frames, nothing is divided
    assert torch.equal(again.down[0][0].weight, three.down[0][0].weight)
