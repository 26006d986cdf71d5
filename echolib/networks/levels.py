"""The levels of a network: the first ones, and what each is like: size, channels, what it sees."""

import pandas as pd
import torch
from torch import nn

from .models import Encoder, UNet


def first_levels(model: Encoder, levels: int) -> list[nn.Module]:
    """The first blocks of the contracting path, which see edges and texture: those to freeze.

    Raises ValueError if the model has fewer levels.
    """
    if not 0 <= levels <= len(model.down):
        raise ValueError(f"The model has {len(model.down)} levels; {levels} cannot be frozen.")
    return list(model.down[:levels])


def count_parameters(model: nn.Module) -> int:
    """Number of parameters, without buffers."""
    return sum(parameter.numel() for parameter in model.parameters())


def level_table(model: UNet) -> pd.DataFrame:
    """Describe the levels of a U-Net for a square image of its own size, the finest level first.

    side: of the features, in places. channels: of the features. parameters: of the blocks on the
    way down and up and of the step up to this level; those of the head are left out. sees_down,
    sees_up: the receptive field at the end of the block on the way down and up, the side in px of
    the square of the image on which the features of one place depend. Source: Araujo, Norris, Sim,
    Distill 2019.
    """
    field = step = model.fold  # px on which one place depends, and px from place to place
    rows = []
    for number, (block, side) in enumerate(zip(model.down, _sides(model), strict=True)):
        if number > 0:  # pooling makes one place of two
            field, step = field + step, 2 * step
        field += step * _widening(block)
        parts = [block]
        if number < len(model.merge):
            parts += [model.up[number], model.merge[number]]
        parameters = sum(map(count_parameters, parts))
        rows.append((side, model.channels[number], parameters, field, step))
    columns = ["side", "channels", "parameters", "sees_down", "step"]
    table = pd.DataFrame(rows, columns=columns).rename_axis("level")
    table["sees_up"] = table.sees_down
    for number, block in reversed(list(enumerate(model.merge))):
        widening = int(table.step[number]) * _widening(block)
        table.loc[number, "sees_up"] = table.sees_up[number + 1] + widening
    return table.drop(columns="step")


def _widening(block: nn.Module) -> int:
    """Places by which the convolutions of a block widen the receptive field."""
    return sum(
        layer.kernel_size[0] - 1 for layer in block.modules() if isinstance(layer, nn.Conv2d)
    )


def _sides(model: UNet) -> list[int]:
    """The side of the features of each level, from an image that is sent down the levels."""
    image = torch.zeros(1, model.arguments["inputs"], model.size, model.size)
    training = model.training
    model.eval()
    with torch.inference_mode():
        sides = [features.shape[-1] for features in model.contract(image.to(model.mean.device))]
    model.train(training)
    return sides
