"""Batch normalisation that is not slower with two threads than with one."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function

CACHE_LINE = 16  # float32 numbers in 64 bytes, which the cores of a processor share as a whole


class BatchNorm(nn.BatchNorm2d):
    """Batch normalisation of (N, C, H, W), with the numbers of torch's own.

    For the gradient of images in the channels_last layout, each of torch's threads on the CPU sums
    into its own C numbers. They lie side by side: where C numbers do not fill the lines of the
    cache, two threads write into one line and wait for each other. With few channels, such as 24,
    they are slower than a single one (`benchmarks/normalisation.py`), which computes it here.
    """

    def forward(self, images: Tensor) -> Tensor:
        """Normalise (N, C, H, W), in training by mean and variance of the batch."""
        if not self.training or not _collides(images):
            return super().forward(images)
        usual_mean, usual_variance, batches = self.buffers()  # as torch's class names them
        batches += 1
        weights = self.weight, self.bias, usual_mean, usual_variance
        return _Normalised.apply(images, *weights, self.momentum, self.eps)


def _collides(images: Tensor) -> bool:
    """Whether threads would write mostly into the same lines of the cache."""
    channels, layout = images.shape[1], torch.channels_last
    on_cpu = images.device.type == "cpu" and images.is_contiguous(memory_format=layout)
    return on_cpu and channels < 2 * CACHE_LINE and channels % CACHE_LINE > 0


class _Normalised(Function):
    """torch's batch normalisation, whose gradient one thread computes."""

    @staticmethod
    def forward(
        context: Any, images: Tensor, weight: Tensor, bias: Tensor, usual_mean: Tensor,
        usual_variance: Tensor, momentum: float, eps: float,
    ) -> Tensor:  # fmt: skip
        usual = usual_mean, usual_variance
        answer = torch.native_batch_norm(images, weight, bias, *usual, True, momentum, eps)
        context.save_for_backward(images, weight, *answer[1:])  # mean and 1 / sd of the batch
        context.eps = eps
        return answer[0]

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        images, weight, *batch = context.saved_tensors
        with _one_thread():
            found = torch.ops.aten.native_batch_norm_backward(
                gradients[0], images, weight, None, None, *batch, True, context.eps, [True] * 3
            )
        return *found, None, None, None, None


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute with one thread in the block."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
