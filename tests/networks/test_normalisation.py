"""Batch normalisation: torch's own numbers, whoever computes the gradient."""

import copy

import pytest
import torch
from torch import nn

from echolib.networks import normalisation
from echolib.networks.models import UNet
from echolib.networks.normalisation import BatchNorm


@pytest.fixture(autouse=True)
def threads():
    """One thread, with which torch's own sums are in the same order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def results(norm, images, bf16):
    """Answer, gradients and statistics of a training step, and the answer outside of training."""
    images = images.clone(memory_format=torch.preserve_format).requires_grad_()
    norm.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        answer = norm.train()(images * 1)
        (answer.float() ** 3).sum().backward()
        evaluated = norm.eval()(images)
    gradients = [images.grad, *(weight.grad for weight in norm.parameters())]
    return [answer, evaluated, *gradients, *norm.buffers()]


@pytest.mark.parametrize("channels", [5, 16, 24, 40])
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_the_numbers_are_those_of_torch(channels, layout, kind):
    torch.manual_seed(0)
    images = torch.randn(3, channels, 6, 8).to(kind).to(memory_format=layout)
    ours, theirs = BatchNorm(channels), nn.BatchNorm2d(channels)
    for norm in (ours, theirs):
        nn.init.constant_(norm.weight, 1.7)
        nn.init.constant_(norm.bias, 0.3)
    for _ in range(2):
        found = results(ours, images, kind is torch.bfloat16)
        expected = results(theirs, images, kind is torch.bfloat16)
        assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True))
    assert ours.state_dict().keys() == theirs.state_dict().keys()


@pytest.mark.parametrize(("channels", "used"), [(24, [1, 2]), (16, []), (40, [])])
def test_one_thread_computes_the_gradient_where_two_would_collide(monkeypatch, channels, used):
    torch.set_num_threads(2)
    images = torch.randn(2, channels, 4, 4).to(memory_format=torch.channels_last)
    set_to, set_threads = [], torch.set_num_threads
    monkeypatch.setattr(
        normalisation.torch, "set_num_threads", lambda n: (set_to.append(n), set_threads(n))
    )
    answer = BatchNorm(channels)(images)
    assert set_to == []
    answer.sum().backward()
    assert set_to == used and torch.get_num_threads() == 2


def test_a_network_learns_the_same_with_it():
    torch.manual_seed(0)
    ours = UNet(24, 1, fold=2).to(memory_format=torch.channels_last)
    theirs = copy.deepcopy(ours)
    for block in (*theirs.down, *theirs.merge):
        for place, layer in enumerate(block):
            if isinstance(layer, BatchNorm):
                block[place] = nn.BatchNorm2d(layer.num_features)
    images = torch.rand(2, 1, 16, 16).to(memory_format=torch.channels_last)
    for network in (ours, theirs):
        network.train()(images).square().mean().backward()
    pairs = zip(ours.parameters(), theirs.parameters(), strict=True)
    assert all(torch.equal(one.grad, other.grad) for one, other in pairs)
