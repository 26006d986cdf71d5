"""How a training is to go, and how far it has come."""

import math
from dataclasses import dataclass, field

from .augment import Augmentation
from .corruptions import SEEN, check_corruptions
from .losses import LOSSES


@dataclass(frozen=True)
class TrainingConfig:
    """How to train. Either `epochs` or `minutes` bounds the length; minutes go first.

    With `minutes`, the number of steps is planned by the clock, anew after each round, so that
    the learning rate reaches its end when the time does, on a machine that others use too. With
    `epochs` the plan is fixed, and a resumed training ends in the same bits as one that was
    never stopped.
    """

    epochs: float = 30.0
    minutes: float | None = None
    loss: str = "bce_dice"
    batch: int = 16
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    warmup: float = 0.05  # share of the steps over which the learning rate rises
    auxiliary: float = 0.3  # weight of the loss of the regions beside the cavity
    heatmap: float = 1.0  # weight of the heatmaps' shape against px of distance, for landmarks
    corrupted: float = 0.0  # share of the images that are shown corrupted
    corruptions: tuple[str, ...] = SEEN  # the kinds of it, names of `corruptions.CORRUPTIONS`
    constant: bool = False  # keep the learning rate as it is from the first step to the last
    frozen: int = 0  # first levels of the contracting path that do not move
    average: float = 0.995  # decay of the exponential moving average of the weights
    patience: int = 30  # rounds without a better validation Dice before an early stop
    seed: int = 0
    start: str = ""  # name of the weights that the model started from, for the record
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        length = self.epochs if self.minutes is None else self.minutes
        if not (length > 0 and math.isfinite(length)):
            raise ValueError(f"Training length must be above 0, not {length}.")
        if self.loss not in LOSSES:
            raise ValueError(f"Unknown loss {self.loss!r}; expected one of {sorted(LOSSES)}.")
        check_corruptions(self.corruptions)
        if self.corrupted and not self.corruptions:
            raise ValueError("Images are to be corrupted, but no corruption is named.")
        if not 0 <= self.corrupted <= 1:
            raise ValueError(f"The share of corrupted images must be 0 to 1, not {self.corrupted}.")
        if self.frozen < 0:
            raise ValueError(f"The number of frozen levels must be 0 or more, not {self.frozen}.")


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
