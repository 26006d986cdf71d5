"""Configuration of a training, its planned length, and its progress."""

import math
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import did_you_mean
from . import PRECISIONS
from .augment import Augmentation
from .corruptions import SEEN, check_corruptions
from .losses import LOSSES

RANGES = {  # of the settings of a training
    "batch": (1, 1e6), "learning_rate": (1e-9, 10), "weight_decay": (0, 10), "warmup": (0, 0.99),
    "auxiliary": (0, 100), "heatmap": (0, 100), "corrupted": (0, 1), "frozen": (0, 100),
    "average": (0, 0.999999), "patience": (0, math.inf),
}  # fmt: skip


def recorded_name(weights: str | Path) -> str:
    """Name of the weights to start from in a training's record, without this machine's folders."""
    return "/".join(str(weights).removesuffix(".safetensors").split("/")[-2:])


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of a training. Its length is set by `minutes`, or by `epochs` if minutes is None.

    With `minutes`, the number of steps is planned again after each round from the measured speed,
    so that the learning rate ends its schedule on time even if others use the machine too. With
    `epochs`, the number of steps is fixed, and a resumed training ends with the same bits as an
    uninterrupted one, unless the number of threads changed, see `threads`. Raises ValueError for
    settings out of range.
    """

    epochs: float = 30.0
    minutes: float | None = None
    loss: str = "bce_dice"
    batch: int = 16
    epoch_steps: int | None = None  # steps of an epoch; None: a pass over the training frames
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    warmup: float = 0.05  # share of the steps over which the learning rate rises
    auxiliary: float = 0.3  # weight of the loss of the regions beside the cavity
    heatmap: float = 1.0  # weight of the heatmap term against the distance in px, for landmarks
    corrupted: float = 0.0  # share of the training images that are corrupted
    corruptions: tuple[str, ...] = SEEN  # names of `corruptions.CORRUPTIONS` to draw from
    constant: bool = False  # keep the learning rate constant, without warm-up and decay
    frozen: int = 0  # number of first levels of the contracting path that are not trained
    average: float = 0.995  # decay of the exponential moving average of the weights
    patience: int = 30  # rounds without a better validation Dice before an early stop
    seed: int = 0
    precision: str = "auto"  # one of PRECISIONS; auto: bf16 where `config.bf16_pays`
    start: str = ""  # name of the weights that the model started from; only recorded
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        (length,) = self.length.values()
        if not (length > 0 and math.isfinite(length)):
            raise ValueError(f"The length of a training must be above 0, not {length}.")
        if self.loss not in LOSSES:
            raise ValueError(
                f"Unknown loss {self.loss!r}; expected one of {sorted(LOSSES)}."
                f"{did_you_mean(self.loss, LOSSES)}"
            )
        if self.precision not in PRECISIONS:
            raise ValueError(f"Unknown precision {self.precision!r}; expected one of {PRECISIONS}.")
        check_corruptions(self.corruptions)
        for name, (least, most) in RANGES.items():
            if not least <= (value := getattr(self, name)) <= most:
                raise ValueError(f"{name}: expected {least:g} to {most:g}, found {value}.")
        if self.corrupted and not self.corruptions:
            raise ValueError(
                f"The share of corrupted images is {self.corrupted}, but no corruption is named. "
                "Name some in `corruptions`, or set `corrupted` to 0."
            )
        if self.epoch_steps is not None and self.epoch_steps < 1:
            raise ValueError(f"An epoch must have 1 step or more, not {self.epoch_steps}.")

    @property
    def length(self) -> dict[str, float]:
        """The length by its setting: {"minutes": ...}, or {"epochs": ...} if minutes is None."""
        return {"epochs": self.epochs} if self.minutes is None else {"minutes": self.minutes}


@dataclass
class Progress:
    """Progress of a training, stored in its checkpoint: plain numbers, and one row per round."""

    steps: int = 0  # planned for the whole training
    planned_at: int = 0  # step of the last plan
    done_then: float = 0.0  # share of the training that was done at that step
    bf16: bool = False
    step: int = 0  # number of steps done
    best: float = -1.0  # best validation Dice
    stale: int = 0  # rounds since the best validation Dice
    seconds: float = 0.0  # spent so far
    history: list[dict] = field(default_factory=list)

    def share(self, step: int) -> float:
        """Share of the training, 0 to 1, that is done before a step; a new plan never lowers it."""
        ahead = max(1, self.steps - self.planned_at)
        done = self.done_then + (1 - self.done_then) * (step - self.planned_at) / ahead
        return min(1.0, done)

    def replan(self, budget: float, seconds: float) -> None:
        """Plan the number of steps from the time that is left.

        budget: time for the whole training, s. seconds: time per step, validation included.
        """
        self.done_then, self.planned_at = self.share(self.step), self.step
        left = max(0, int((budget - self.seconds) / seconds))
        self.steps = max(1, self.step + left)

    def plan_anew(self, steps: int) -> None:
        """Plan another number of steps, as if it had been planned from the start.

        After a finished training, the learning rate rises again, and rounds without a better
        Dice count from 0. Raises ValueError where so many steps are done already.
        """
        if steps <= self.step:
            raise ValueError(
                f"{self.step} steps are done in {self.seconds / 60:.2g} minutes, but the new "
                f"length makes {steps} in all. Give a larger one, or leave it out to keep the old "
                "one."
            )
        self.steps, self.planned_at, self.done_then, self.stale = steps, 0, 0.0, 0


def warm_up_and_cosine(share: float, warmup: float) -> float:
    """Factor of the learning rate: rises from 0 to 1, then falls along a cosine to 0.01.

    share: of the training that is done, 0 to 1. warmup: share over which the factor rises. Source:
    Loshchilov, Hutter, ICLR 2017 (cosine); Goyal et al., 2017 (warm-up).
    """
    if share < warmup:
        return share / warmup
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (share - warmup) / (1 - warmup)))
