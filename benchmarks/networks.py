"""Networks that a user would pick instead of those of echolib, and how fast each of them is.

`python -m benchmarks.peers` asks them; this module is no command. Every network is measured in both
memory layouts, and the faster one counts.
"""

import math
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torchvision.models.segmentation import deeplabv3_resnet50

from echolib.config import bf16_pays, device
from echolib.data.frame_checks import COLUMNS
from echolib.data.frames import FrameSet
from echolib.networks.levels import count_parameters
from echolib.networks.losses import bce_dice_loss
from echolib.networks.models import SIZE, Encoder, UNet, new_model
from echolib.networks.plan import TrainingConfig
from echolib.networks.training import Training

OURS, MONAI = "echolib folded U-Net", "MONAI residual U-Net"
BATCH, GPU_BATCH = 16, 256  # frames
EPOCH = 14_920  # traced frames of EchoNet-Dynamic's training clips
VALIDATION = 64  # frames that a training wants beside them
LAYOUTS = (torch.channels_last, torch.contiguous_format)


class Foreign(nn.Module):
    """A network of another library, with what a `Training` asks of a network of echolib."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.down = network, nn.ModuleList()  # no level can be frozen
        self.arguments = {"outputs": 1, "inputs": 1}
        self.size, self.name, self.card = SIZE, type(network).__name__, {}
        self.register_buffer("mean", torch.tensor(0.2))
        self.register_buffer("sd", torch.tensor(0.2))

    def forward(self, images: Tensor) -> Tensor:
        """(N, 1, H, W) float in [0, 1], sides multiples of 16, to (N, 1, H, W) logits."""
        return self.network((images - self.mean) / self.sd)


class DeepLab(nn.Module):
    """EchoNet-Dynamic's network, which sees three colours. Source: Ouyang et al., Nature 2020."""

    def __init__(self) -> None:
        super().__init__()
        self.network = deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=1)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 1, H, W) normalised to (N, 1, H, W) logits."""
        return self.network(images.expand(-1, 3, -1, -1))["out"]


def monai_residual() -> Encoder:
    """The residual U-Net of MONAI's tutorials. Source: Kerfoot et al., STACOM 2018."""
    from monai.networks.nets import UNet as ResidualUNet

    network = ResidualUNet(2, 1, 1, (16, 32, 64, 128, 256), (2, 2, 2, 2), num_res_units=2)
    return cast(Encoder, Foreign(network))


def monai_basic() -> Encoder:
    """MONAI's plain U-Net. Source: Falk et al., Nature Methods 2019."""
    from monai.networks.nets import BasicUNet

    return cast(Encoder, Foreign(BasicUNet(2, 1, 1)))


NETWORKS: dict[str, Callable[[], Encoder]] = {
    OURS: lambda: new_model("masks"),
    "echolib plain U-Net, width 16": lambda: UNet(16, 4),
    MONAI: monai_residual,
    "MONAI basic U-Net": monai_basic,
    "U-Net, 64 to 1024 channels": lambda: UNet(64, 4),
    "DeepLabV3-ResNet50": lambda: cast(Encoder, Foreign(DeepLab())),
}


def build(name: str) -> Encoder | None:
    """One of `NETWORKS`, untrained; None where MONAI is not installed."""
    try:
        return NETWORKS[name]()
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != "monai":
            raise
        return None


# --- Speed and memory -----------------------------------------------------------------------------


class Contestant:
    """A network and its optimiser on the device, in a memory layout."""

    def __init__(self, network: Encoder, layout: torch.memory_format) -> None:
        self.network = network.to(device()).to(memory_format=layout)
        # a rate of 0, so that no round changes the next one
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=0.0)

    def inference(self, images: Tensor, bf16: bool) -> None:
        """Answer a batch (N, 1, S, S), as `networks.run` does."""
        half = torch.autocast(images.device.type, torch.bfloat16, enabled=bf16)
        with torch.inference_mode(), half:
            self.network.eval()(images).float().cpu()

    def training(self, images: Tensor, bf16: bool) -> None:
        """Loss, gradients and a step on a batch (N, 1, S, S), without augmentation."""
        self.network.train()
        with torch.autocast(images.device.type, torch.bfloat16, enabled=bf16):
            answer = self.network(images)
        loss = bce_dice_loss(answer.float(), (images > 0.5).float())
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        loss.item()  # waits for the device


WORKS = {"inference": Contestant.inference, "training": Contestant.training}


def speed(work: Callable[[], object], images: int, seconds: float) -> float:
    """Images a second of work on a number of images, repeated for some time, but done once."""
    done, started = 0, time.perf_counter()
    while not done or time.perf_counter() - started < seconds:
        work()
        done += images
    return done / (time.perf_counter() - started)


def network_rows(rounds: int, seconds: float, batch: int | None = None) -> Iterator[dict]:
    """Parameters, memory on a GPU, and the speed in each round, of every network and work.

    seconds: of asking in each turn, but one batch at least. batch: images, by default
    `BATCH` or, on a GPU, `GPU_BATCH`. Values are NaN for a network whose library is not installed.
    """
    place = device()
    batch = batch or (GPU_BATCH if place.type == "cuda" else BATCH)
    images = torch.rand(batch, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    images = images.to(place)
    precisions = {"fp32": False} | ({"bf16": True} if bf16_pays(place) else {})
    asked = [(work, label) for work in WORKS for label in precisions]
    front = {"data": f"noise, {batch} frames at a time", "round": 0}
    for name in NETWORKS:
        network = build(name)
        size = count_parameters(network) / 1e6 if network else math.nan
        yield front | {"work": "parameters", "unit": "million", "peer": name, "value": size}
        for work, label in asked if place.type == "cuda" else ():  # before others lie there
            what = {"work": f"memory of {work}, {label}", "unit": "MiB", "peer": name}
            yield front | what | {"value": peak_memory(name, work, images, precisions[label])}
    contestants = {
        name: [Contestant(network, layout) for layout in LAYOUTS if (network := build(name))]
        for name in NETWORKS
    }
    for number in range(-1, rounds):  # the first one warms up
        for work, label in asked:
            for name in list(NETWORKS)[:: -1 if number % 2 else 1]:
                jobs = [
                    partial(WORKS[work], contestant, images, precisions[label])
                    for contestant in contestants[name]
                ]
                turn = seconds if number >= 0 else 0.0
                value = max((speed(job, batch, turn) for job in jobs), default=math.nan)
                what = {"work": f"{work}, {label}", "unit": "frames/s", "peer": name}
                if number >= 0:
                    yield front | what | {"round": number, "value": value}


def peak_memory(name: str, work: str, images: Tensor, bf16: bool) -> float:
    """The most memory of the GPU that two batches take, MiB; the network is there alone."""
    network = build(name)
    if network is None:
        return math.nan
    contestant = Contestant(network, torch.channels_last)
    with most_memory(images.device) as found:
        for _ in range(2):  # the first step makes the optimiser's state
            WORKS[work](contestant, images, bf16)
    return found[0]


@contextmanager
def most_memory(place: torch.device) -> Iterator[list[float]]:
    """A list that holds, after the block, the most memory of a GPU that was taken in it, MiB.

    It counts what lay there before the block, too. On a CPU the list stays empty.
    """
    found: list[float] = []
    if place.type == "cuda":
        torch.cuda.reset_peak_memory_stats(place)
    yield found
    if place.type == "cuda":
        found.append(torch.cuda.max_memory_allocated(place) / 2**20)


# --- An epoch of a training -----------------------------------------------------------------------


def noise_frames(count: int) -> FrameSet:
    """Frames of noise, whose label is one disc; the last `VALIDATION` are the validation split."""
    generator = np.random.default_rng(0)
    y, x = np.mgrid[:SIZE, :SIZE] - SIZE / 2
    masks = np.repeat([np.hypot(x, y) < SIZE / 4], count, axis=0)
    table = pd.DataFrame({"patient": np.arange(count).astype(str), "source": "noise", "frame": 0})
    table = table.assign(clip=table.patient, phase="", fps=np.nan, spacing=np.nan)
    table = table.assign(split="train", height=SIZE, width=SIZE)
    table.loc[count - VALIDATION :, "split"] = "val"
    images = generator.integers(0, 256, (count, SIZE, SIZE), np.uint8)
    return FrameSet(images, masks, None, table[COLUMNS])


def epoch_rows(rounds: int) -> Iterator[dict]:
    """Seconds of an epoch of a `Training`, augmented, in each round, and the memory on a GPU.

    The first epoch of each network, in which its CUDA graph is recorded, gives the memory, and its
    time does not count. Values are NaN for a network whose library is not installed.
    """
    both = noise_frames(EPOCH + VALIDATION)
    parts = both.split("train"), both.split("val")
    front = {"data": f"noise, {EPOCH:,} frames, batches of 16, augmented", "round": 0}
    time_of = {"work": "epoch", "unit": "s"}
    memory_of = {"work": "memory of an epoch, with the frames", "unit": "MiB"}
    jobs: dict[str, Training] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in (OURS, MONAI):
            if (network := build(name)) is None:
                yield front | time_of | {"peer": name, "value": math.nan}
                continue
            place = device()
            before = torch.cuda.memory_allocated(place) / 2**20 if place.type == "cuda" else 0.0
            with most_memory(place) as found:
                config = TrainingConfig(epochs=rounds + 1)
                jobs[name] = Training(network, *parts, Path(folder, name), config)
                epoch(jobs[name])
            for most in found:
                yield front | memory_of | {"peer": name, "value": most - before}
        for number in range(rounds):
            for name in list(jobs)[:: -1 if number % 2 else 1]:
                value = epoch(jobs[name])
                yield front | time_of | {"peer": name, "round": number, "value": value}


def epoch(job: Training) -> float:
    """Do an epoch's steps, without validation and checkpoint; returns the seconds."""
    started = time.perf_counter()
    for _ in range(job.batches.per_epoch):
        loss = job.step()
    loss.item()  # waits for the device
    return time.perf_counter() - started
