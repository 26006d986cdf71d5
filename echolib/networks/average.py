"""The average of the weights over the steps of a training, which is what it ends with."""

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


class MovingAverage(AveragedModel):
    """Exponential moving average of weights, with a smaller decay in the first steps.

    decay: share of the average that a step keeps. Differs from torch's class in the decay, and in
    that a few kernels change all weights: a GPU would wait for hundreds of them.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__(model)
        self.decay = decay

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Move the average towards a model's weights, and copy its buffers."""
        updates = int(self.n_averaged)  # lies on the CPU
        kept = min(self.decay, (1 + updates) / (10 + updates)) if updates else 0.0
        own: list[Tensor] = list(self.module.parameters())
        others: list[Tensor] = list(model.parameters())
        torch._foreach_lerp_(own, others, 1 - kept)
        torch._foreach_copy_(list(self.module.buffers()), list(model.buffers()))
        self.n_averaged += 1
