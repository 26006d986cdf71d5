"""What several tests of commands begin with."""

import pytest
import torch

from echolib.networks.models import UNet, save_model


@pytest.fixture
def weights(tmp_path):
    """An untrained network: what it marks is arbitrary."""
    torch.manual_seed(0)
    save_model(UNet(width=2, depth=2), tmp_path / "net.safetensors")
    return tmp_path / "net.safetensors"
