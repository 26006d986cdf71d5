"""Several processes that train one network together: `torchrun` starts them, one for each GPU.

Every process has all frames, and takes its share of each step's batch. Gradients are averaged by
DistributedDataParallel, and batch normalisation sees the whole batch. So the steps are those of one
process, but for rounding. On GPUs the processes speak by NCCL, on CPUs by gloo.
"""

import atexit
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

import torch
from torch import Tensor, distributed, nn
from torch.autograd import Function
from torch.nn.parallel import DistributedDataParallel

from ..config import device
from .tasks import Task

WAIT = timedelta(hours=1)  # for the others, of which one may pack frames or validate


@dataclass(frozen=True)
class Team:
    """The processes of a training, and which of them this one is.

    rank: number of this process; the one of number 0 writes. size: number of processes. device:
    where this process computes.
    """

    rank: int
    size: int
    device: torch.device

    def share(self, whole: int) -> slice:
        """The part of a batch of so many images that this process takes."""
        return slice(whole * self.rank // self.size, whole * (self.rank + 1) // self.size)

    def answers(self, task: Task, network: nn.Module) -> Callable[[Tensor], Tensor]:
        """A function from images to the network's answer, which averages gradients over the team.

        Its batch normalisation is replaced by one that sees the whole batch.
        """
        if self.size == 1:
            return lambda images: task.answer(network, images)
        _share_statistics(network)
        where = None if self.device.type == "cpu" else [self.device]
        return DistributedDataParallel(_Answers(task, network), where, broadcast_buffers=False)

    def weight(self, own: int, whole: int) -> float:
        """Factor of the loss of a share: then the mean over the team is that over the batch."""
        return own * self.size / whole

    def mean(self, value: Tensor) -> Tensor:
        """The mean of a tensor over the team."""
        if self.size > 1:
            value = value.clone()
            distributed.all_reduce(value)
            value /= self.size
        return value

    def agreed(self, value: float) -> float:
        """The number that the first process gives; others may have timed or rounded otherwise."""
        if self.size == 1:
            return value
        told = torch.tensor(value, dtype=torch.float64, device=self.device)
        distributed.broadcast(told, 0)
        return told.item()


def join_team() -> Team:
    """The team that `torchrun` has started this process in; this process alone without it.

    Each process takes the GPU of its number on the machine, unless `ECHOLIB_DEVICE` names another
    device.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return Team(0, 1, device())
    place = device()
    if place == torch.device("cuda"):
        place = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(place)
    if not distributed.is_initialized():
        backend = "nccl" if place.type == "cuda" else "gloo"
        distributed.init_process_group(backend, timeout=WAIT)
        atexit.register(distributed.destroy_process_group)
    return Team(distributed.get_rank(), distributed.get_world_size(), place)


class _Answers(nn.Module):
    """A network as its task asks it: DistributedDataParallel needs one forward pass."""

    def __init__(self, task: Task, network: nn.Module) -> None:
        super().__init__()
        self._task, self.network = task, network

    def forward(self, images: Tensor) -> Tensor:
        return self._task.answer(self.network, images)


# --- Batch normalisation over the team ------------------------------------------------------------


def _share_statistics(network: nn.Module) -> None:
    """Replace batch normalisation below a module by the team's; weights and names stay."""
    for name, child in network.named_children():
        if isinstance(child, nn.BatchNorm2d):
            shared = TeamBatchNorm(child.num_features, child.eps, child.momentum)
            shared.load_state_dict(child.state_dict())
            shared.to(child.weight.device).train(child.training)
            for weight, old in zip(shared.parameters(), child.parameters(), strict=True):
                weight.requires_grad_(old.requires_grad)
            setattr(network, name, shared)
        else:
            _share_statistics(child)


class _Sum(Function):
    """Sum over the team; the gradient of a sum is summed, too."""

    @staticmethod
    def forward(context: Any, values: Tensor) -> Tensor:
        values = values.clone()
        distributed.all_reduce(values)
        return values

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        gradient = gradients[0].clone()
        distributed.all_reduce(gradient)
        return gradient


class TeamBatchNorm(nn.BatchNorm2d):
    """Batch normalisation of (N, C, H, W) whose batch is that of all processes of a team.

    torch's SyncBatchNorm does the same on GPUs only.
    """

    def forward(self, images: Tensor) -> Tensor:
        """Normalise a share of a batch, in training by mean and variance of the whole batch."""
        if not self.training:
            return super().forward(images)
        values = images.float()
        own = values.new_tensor([values.numel() / values.shape[1]])
        sums = _Sum.apply(torch.cat([values.sum((0, 2, 3)), own]))
        count = sums[-1].detach()
        mean = sums[:-1] / count
        centred = values - mean[:, None, None]
        variance = _Sum.apply(centred.square().sum((0, 2, 3))) / count
        with torch.no_grad():
            usual_mean, usual_variance, batches = self.buffers()  # as torch's class names them
            usual_mean.lerp_(mean, cast(float, self.momentum))
            usual_variance.lerp_(variance * count / (count - 1), cast(float, self.momentum))
            batches += 1
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(images.dtype)
