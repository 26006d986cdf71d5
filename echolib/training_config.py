"""How a training is to go."""

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
