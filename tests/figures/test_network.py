"""The diagram of a network, tested through its axes."""

import matplotlib.pyplot as plt
import pytest

from echolib.figures.network import unet_diagram
from echolib.networks.models import UNet
from tests.figures.test_heart import overlaps


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.mark.parametrize(("depth", "fold"), [(3, 2), (4, 1)])
def test_the_diagram_has_the_shapes_of_the_network(depth, fold):
    model = UNet(width=8, depth=depth, outputs=3, inputs=2, fold=fold)
    axes = unet_diagram(model).axes[0]
    texts = [text.get_text() for text in axes.texts]
    for number in range(depth):
        side = 112 // fold // 2**number
        assert texts.count(f"level {number}\n{8 * 2**number} × {side} × {side}") == 2  # down and up
        assert texts.count(f"{8 * 2**number} channels") == 1  # on the skip connection
    assert texts.count(f"level {depth}\n{8 * 2**depth} × 7 × 7") == 1
    assert "image\n2 × 112 × 112" in texts and "logits\n3 × 112 × 112" in texts
    assert ("8 channels, folded" in texts) == (fold == 2)


@pytest.mark.parametrize(("depth", "fold"), [(3, 2), (4, 1)])
def test_no_words_of_the_diagram_overlap(depth, fold):
    figure = unet_diagram(UNet(width=16, depth=depth, fold=fold))
    assert overlaps(figure.axes[0], figure) == []
