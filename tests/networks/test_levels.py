"""What the levels of a U-Net are said to be like, against what they do."""

import pytest
import torch
from torch import nn

from echolib.networks.levels import count_parameters, level_table
from echolib.networks.models import UNet, new_model

each_fold = pytest.mark.parametrize("fold", [1, 2])


def positive(model: UNet) -> UNet:
    """A network all of whose weights are 1: a feature is above 0 if it depends on light."""
    model.mean.zero_()
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
                layer.weight.fill_(1.0)
                if layer.bias is not None:
                    layer.bias.zero_()
    return model.eval()


@each_fold
def test_receptive_fields_are_those_in_which_a_bright_pixel_shows(fold):
    model, side = positive(UNet(width=1, depth=2, fold=fold)), 128
    table = level_table(model)
    images = torch.zeros(side, 1, 16 * fold, side)
    # one bright px, each time in another column
    images[range(side), 0, 8 * fold, range(side)] = 1.0
    features = {}
    blocks = [*enumerate(model.down), *enumerate(model.merge, start=len(model.down))]
    for name, block in blocks:
        block.register_forward_hook(lambda *call, name=name: features.update({name: call[2]}))
    with torch.inference_mode():
        model(images)
    for number in range(3):
        middle = features[number].shape[-1] // 2
        seen = (features[number][..., middle] > 0).flatten(1).any(dim=1).sum()
        assert seen == table.sees_down[number]
    for number in range(2):
        middle = features[3 + number].shape[-1] // 2
        seen = (features[3 + number][..., middle] > 0).flatten(1).any(dim=1).sum()
        assert seen == table.sees_up[number]


@each_fold
def test_parameters_of_levels_and_head_are_all_parameters(fold):
    model = UNet(width=4, depth=3, outputs=2, fold=fold)
    levels = level_table(model).parameters.sum()
    assert levels + count_parameters(model.head) == count_parameters(model)


def test_sides_and_channels_are_those_of_the_features_and_the_mode_stays():
    model = new_model("masks", width=4).train()
    table = level_table(model)
    assert table.side.tolist() == [56, 28, 14, 7] and table.channels.tolist() == [4, 8, 16, 32]
    assert model.training and not level_table(model.eval()).empty and not model.training
