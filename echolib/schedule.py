"""How far a training is, how far it has to go, and how long its steps are."""

import math
from dataclasses import dataclass, field


@dataclass
class Progress:
    """What a checkpoint holds besides tensors: plain numbers, and the history of the rounds."""

    steps: int = 0  # planned
    planned_at: int = 0  # step of the last plan
    done_then: float = 0.0  # share of the training that was done at that step
    bf16: bool = False
    step: int = 0  # done
    best: float = -1.0  # validation Dice
    stale: int = 0  # rounds since the best
    seconds: float = 0.0
    history: list[dict] = field(default_factory=list)

    def share(self, step: int) -> float:
        """Share of the training, 0 to 1, that is done before a step; replanning keeps it."""
        ahead = max(1, self.steps - self.planned_at)
        done = self.done_then + (1 - self.done_then) * (step - self.planned_at) / ahead
        return min(1.0, done)

    def replan(self, budget: float, seconds: float) -> None:
        """Set the number of steps by the time that is left of a budget.

        budget: of the whole training, s. seconds: that a step takes, validation included.
        """
        self.done_then, self.planned_at = self.share(self.step), self.step
        left = max(0, int((budget - self.seconds) / seconds))
        self.steps = max(1, self.step + left)


def warm_up_and_cosine(share: float, warmup: float) -> float:
    """Factor of the learning rate: rises from 0 to 1, then falls along a cosine to 0.01.

    share: of the training that is done, 0 to 1. warmup: share over which it rises. Source:
    Loshchilov, Hutter, ICLR 2017 (cosine); Goyal et al., 2017 (warm-up).
    """
    if share < warmup:
        return share / warmup
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (share - warmup) / (1 - warmup)))
