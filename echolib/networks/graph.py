"""A step of a training as one CUDA graph, which a GPU runs without waiting for Python."""

from collections.abc import Callable

import torch
from torch import Generator, Tensor
from torch.optim import Optimizer

EAGER_STEPS = 3  # before the graph is recorded: libraries choose their algorithms in them


class StepGraph:
    """Runs steps on a GPU: the first ones as they are, then as a recorded CUDA graph.

    A step of a small network is hundreds of short kernels, and a GPU waits for Python to start
    each. A graph starts them all at once. It repeats the very operations of `step`, on the
    tensors that were there when it was recorded: so weights and the optimizer's state must stay
    where they are, and the optimizer must be `capturable`.

    step: from frames and targets of a batch to the loss; changes weights. All batches have one
    shape. optimizer: whose learning rate, one for all groups, may change between steps. generator:
    of the random numbers of a step, set anew before each. Source: Nguyen et al., Accelerating
    PyTorch with CUDA graphs, 2021.
    """

    def __init__(
        self,
        step: Callable[[Tensor, Tensor], Tensor],
        optimizer: Optimizer,
        generator: Generator,
    ) -> None:
        self._step, self._optimizer, self._generator = step, optimizer, generator
        self._done = 0
        self._graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, frames: Tensor, targets: Tensor) -> Tensor:
        """Do a step on a batch; returns its loss, which the next step may overwrite."""
        with torch.cuda.device(frames.device):
            if self._done < EAGER_STEPS:
                return self._eager(frames, targets)
            if self._graph is None:
                self._graph = self._record(frames, targets)
            self._frames.copy_(frames)
            self._targets.copy_(targets)
            self._rate.fill_(self._optimizer.param_groups[0]["lr"])
            self._graph.replay()
            return self._loss

    def _eager(self, frames: Tensor, targets: Tensor) -> Tensor:
        """A step as it is, on the stream that will record, as torch asks for."""
        if not self._done:
            self._stream = torch.cuda.Stream()
        self._done += 1
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            loss = self._step(frames, targets)
        torch.cuda.current_stream().wait_stream(self._stream)
        return loss

    def _record(self, frames: Tensor, targets: Tensor) -> torch.cuda.CUDAGraph:
        """Record a step; nothing is computed, and no weight changes."""
        self._frames, self._targets = frames.clone(), targets.clone()
        self._rate = torch.zeros((), device=frames.device)
        rates = [group["lr"] for group in self._optimizer.param_groups]
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self._generator)
        self._optimizer.zero_grad(set_to_none=True)  # gradients are to lie in the graph's memory
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate
        with torch.cuda.graph(graph, stream=self._stream):
            self._loss = self._step(self._frames, self._targets)
        for group, rate in zip(self._optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        return graph
