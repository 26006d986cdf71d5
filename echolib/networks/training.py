"""Training of networks: planned steps, exact resuming, and the best weights by validation."""

import math
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict
from functools import cached_property, partial
from pathlib import Path
from typing import cast

import pandas as pd
import torch
from torch import Tensor, nn
from torch.optim import AdamW
from tqdm.auto import tqdm

from ..config import bf16_pays
from ..data.frames import FrameSet
from ..errors import DataError
from ..files import remove_leftovers, write_table
from .average import MovingAverage
from .batches import Batches, Validation, check_learnable
from .card import frames_digest
from .checkpoints import (
    length_of,
    load_checkpoint,
    restore,
    save_checkpoint,
    training_identity,
)
from .graph import StepGraph
from .levels import first_levels
from .models import Encoder, save_model
from .plan import Progress, TrainingConfig, recorded_name, warm_up_and_cosine
from .pretrained import WEIGHTS_FILE
from .tasks import task_of
from .team import join_team
from .threads import watched

CHECKPOINT_FILE = "checkpoint.pt"
HISTORY_FILE = "history.csv"
LONGEST_ROUND, GPU_ROUND = 200, 1000  # steps between two validations, at most
TIMED_STEPS = 3  # steps that are timed to plan a training by minutes


Answers = Callable[[Tensor], Tensor]  # from images to a network's answer


class Training:
    """A training of a network on packed frames.

    model: one of `models.MODELS`; its kind decides the task (`tasks`): masks of the cavity and the
    regions beside it, or landmarks. train, val: FrameSets of one size. folder: for `checkpoint.pt`,
    `model.safetensors` (the best averaged weights) and `history.csv`. resume: continue from the
    checkpoint in the folder, if there is one; another length in the configuration makes that
    training longer or shorter, and an equal one ends in the same bits as without a stop. The
    training runs on `config.device()`, in the precision of its configuration; a resumed one keeps
    the precision that it began in. Under `torchrun`, several processes share each batch, see
    `team`, and the first one writes; a training resumes with any number of them. Raises ValueError
    for an empty set or, without `resume`, a folder that holds a training already, and DataError for
    frames from which nothing can be learnt, such as black ones, and for a checkpoint that is
    damaged or belongs to another training.
    """

    def __init__(
        self,
        model: Encoder,
        train: FrameSet,
        val: FrameSet,
        folder: str | Path,
        config: TrainingConfig | None = None,
        resume: bool = False,
    ) -> None:
        for name, frames in (("training", train), ("validation", val)):
            if not len(frames):
                raise ValueError(f"There are no {name} frames. Does the data set name its splits?")
        self.config = settings = config or TrainingConfig()
        self.source = str(train.table.source.iloc[0])
        self.structure, self.digest = train.structure, frames_digest(train.table)
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(self.folder)
        self.team = join_team()
        self.device = self.team.device
        self.task = task_of(model, settings.loss, settings.auxiliary, settings.heatmap)
        check_learnable(train, self.task.inputs, "training")
        check_learnable(val, self.task.inputs, "validation")
        self.batches = Batches(train, self.task, settings, self.team)
        self.validation = Validation(val, self.task, self.device)
        self.model = model.to(self.device).to(memory_format=torch.channels_last)
        self.model.size = train.size
        self.identity = training_identity(model, settings, (train, val))
        if not settings.frozen:  # frozen levels expect the grey levels of their own training
            mean, sd = self.batches.grey_levels()
            model.mean.fill_(mean)
            model.sd.fill_(sd)
        for level in first_levels(self.model, settings.frozen):
            level.requires_grad_(False)
        self.answers = self.team.answers(self.task, self.model)
        self.averaged = MovingAverage(self.model, settings.average).eval()
        self.optimizer = self._optimizer(self.model, settings.learning_rate)
        self.checkpoint = self.folder / CHECKPOINT_FILE
        if self.checkpoint.is_file():
            if not resume:
                raise ValueError(
                    f"{self.folder} already holds a training. Resume it (`resume=True`, --resume), "
                    "or choose another folder."
                )
            self._resume()
        else:
            self.progress = self._plan()

    def _optimizer(self, model: nn.Module, rate: float) -> AdamW:
        weights = [weight for weight in model.parameters() if weight.requires_grad]
        capturable = self.device.type == "cuda"  # its state lies on the GPU, for `StepGraph`
        decay = self.config.weight_decay
        return AdamW(weights, lr=rate, weight_decay=decay, capturable=capturable)

    # --- Plan ----------------------------------------------------------------------------------

    def _plan(self) -> Progress:
        """Plan the number of steps from the epochs, or from the minutes and some timed steps."""
        started = time.perf_counter()
        steps = math.ceil(self.config.epochs * self._per_epoch)
        chosen, fastest = self.config.precision, bf16_pays(self.device)
        progress = Progress(steps=steps, bf16=fastest if chosen == "auto" else chosen == "bf16")
        if self.config.minutes is not None:
            seconds = self.team.agreed(self._seconds_per_step(progress.bf16))
            progress.seconds = self.team.agreed(time.perf_counter() - started)
            progress.replan(60 * self.config.minutes, seconds)
        return progress

    def _seconds_per_step(self, bf16: bool) -> float:
        """Time of the fastest of a few steps of a copy; the first one also warms the device up."""
        model = deepcopy(self.model)
        answers = self.team.answers(self.task, model)
        optimizer, fastest = self._optimizer(model, 0.0), math.inf
        for step in range(TIMED_STEPS):
            started = time.perf_counter()
            self._optimise(model, answers, optimizer, step, bf16).item()  # waits for the device
            fastest = min(fastest, time.perf_counter() - started)
        return fastest

    def _learning_rate(self, step: int) -> float:
        if self.config.constant:
            return self.config.learning_rate
        share = self.progress.share(step + 1)
        return self.config.learning_rate * warm_up_and_cosine(share, self.config.warmup)

    @property
    def _per_epoch(self) -> int:
        """Steps of an epoch."""
        return self.config.epoch_steps or self.batches.per_epoch

    @property
    def _round_length(self) -> int:
        """Steps to the next validation: an epoch, but a tenth of the plan at most."""
        steps, tenth = self.progress.steps, max(1, self.progress.steps // 10)
        longest = GPU_ROUND if self.device.type == "cuda" else LONGEST_ROUND
        return min(self._per_epoch, longest, tenth, steps - self.progress.step)

    # --- Steps ---------------------------------------------------------------------------------

    def _optimise(
        self, model: Encoder, answers: Answers, optimizer: AdamW, step: int, bf16: bool
    ) -> Tensor:
        """One step of gradient descent; returns the loss, still on the device.

        answers: of the model, as `Team.answers` gives them.
        """
        with watched(self.device, self.batches.size, (self.folder, bf16)):
            frames, targets = self.batches.chosen(step)
            return self._descend(model, answers, optimizer, bf16, frames, targets)

    def _descend(
        self,
        model: Encoder,
        answers: Answers,
        optimizer: AdamW,
        bf16: bool,
        frames: Tensor,
        targets: Tensor,
    ) -> Tensor:
        """The part of a step that runs on the device alone: see `_optimise`."""
        images, labels = self.batches.augmented(frames, targets)
        loss = self._loss(model, answers, images, labels, bf16)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.detach()

    def _loss(
        self, model: Encoder, answers: Answers, images: Tensor, labels: Tensor, bf16: bool
    ) -> Tensor:
        """Loss of a model in training mode about this process's share of a batch."""
        model.train()
        for level in first_levels(model, self.config.frozen):
            level.eval()  # so that the statistics of its batch normalisation stay, too
        with torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
            answer = answers(images)
        return self.team.weight(len(images), self.batches.size) * self.task.loss(answer, labels)

    def step(self) -> Tensor:
        """Do the next step; returns its loss on the device, until the next one."""
        state = self.progress
        for group in self.optimizer.param_groups:
            group["lr"] = self._learning_rate(state.step)
        if self.device.type == "cuda" and self.team.size == 1:
            loss = self._graph(*self.batches.chosen(state.step))
        else:
            loss = self._optimise(self.model, self.answers, self.optimizer, state.step, state.bf16)
        state.step += 1
        self.averaged.update_parameters(self.model)
        return loss

    @cached_property
    def _graph(self) -> StepGraph:
        """The step as a CUDA graph, for a training on one GPU."""
        bf16 = self.progress.bf16
        step = partial(self._descend, self.model, self.answers, self.optimizer, bf16)
        return StepGraph(step, self.optimizer, self.batches.generator)

    def validate(self) -> tuple[float, float]:
        """Mean Dice and loss of the averaged weights on validation frames, by the first process."""
        dice = loss = 0.0
        if self.team.rank == 0:
            dice, loss = self.validation.scores(self.averaged.module, self.progress.bf16)
        return self.team.agreed(dice), self.team.agreed(loss)

    # --- Rounds --------------------------------------------------------------------------------

    def run(self, progress: bool = True) -> pd.DataFrame:
        """Train to the end of the plan or to an early stop; returns the history."""
        state = self.progress
        count = {"total": state.steps, "initial": state.step, "unit": "step"}
        quiet = not progress or self.team.rank > 0
        with tqdm(desc="train", disable=quiet, **count) as bar:
            while not self.finished:
                self._round(bar)
        return self.history

    @property
    def finished(self) -> bool:
        """True at the end of the plan, or after `patience` rounds without a better Dice."""
        state = self.progress
        return state.step >= state.steps or state.stale > self.config.patience

    @property
    def history(self) -> pd.DataFrame:
        """One row per round: step, epoch, loss, val_dice, val_loss, learning_rate,
        images_per_second, seconds."""
        return pd.DataFrame(self.progress.history)

    def _round(self, bar: tqdm) -> None:
        """Do some steps, a validation and a checkpoint."""
        state, started = self.progress, time.perf_counter()
        first, last = state.step, state.step + self._round_length
        total = torch.zeros((), device=self.device)
        while state.step < last:
            total += self.step()
            bar.update()
        loss = float(self.team.mean(total)) / (last - first)
        speed = (last - first) * self.batches.size / (time.perf_counter() - started)
        val_dice, val_loss = self.validate()
        taken = self.team.agreed(time.perf_counter() - started)
        state.seconds += taken
        row = {"step": last, "epoch": last / self._per_epoch, "loss": loss}
        row |= {"val_dice": val_dice, "val_loss": val_loss}
        row |= {"learning_rate": self._learning_rate(last - 1)}
        state.history.append(row | {"images_per_second": speed, "seconds": state.seconds})
        bar.set_postfix_str(f"loss {loss:.3f}, val Dice {val_dice:.4f}, {speed:.0f} images/s")
        if not math.isfinite(loss):
            raise ValueError(f"The loss became {loss} by step {last}: lower the learning rate.")
        self._keep_if_better(val_dice)
        if self.config.minutes is not None:
            latest = taken / (last - first)
            average = (latest + state.seconds / last) / 2  # the speed varies on a shared machine
            state.replan(60 * self.config.minutes, average)
            bar.total = state.steps
        self._save_checkpoint()

    def _keep_if_better(self, val_dice: float) -> None:
        """Write the averaged weights if their validation Dice is the best so far."""
        state = self.progress
        if val_dice <= state.best:
            state.stale += 1
            return
        state.best, state.stale = val_dice, 0
        if self.team.rank:
            return
        model = cast(Encoder, self.averaged.module)  # torch declares no more than a Module
        model.card = {
            "trained_on": self.source,
            "structure": self.structure,
            "training_digest": self.digest,
            "training_frames": len(self.batches.images),
            "validation_frames": len(self.validation.images),
            "validation_dice": round(val_dice, 4),
            "step": state.step,
            "precision": self.precision,
            "config": asdict(self.config) | {"start": recorded_name(self.config.start)},
        }
        save_model(model, self.folder / WEIGHTS_FILE)

    # --- Checkpoints ---------------------------------------------------------------------------

    def _save_checkpoint(self) -> None:
        if self.team.rank:
            return
        parts = ("model", "averaged", "optimizer")
        state = {name: getattr(self, name).state_dict() for name in parts}
        state |= {"identity": self.identity, "progress": asdict(self.progress)}
        write_table(self.history, self.folder / HISTORY_FILE)
        save_checkpoint(state, self.checkpoint)

    def _resume(self) -> None:
        state = load_checkpoint(self.checkpoint, self.identity)
        self.progress = restore(self.checkpoint, state, self.model, self.averaged, self.optimizer)
        if self.config.precision not in ("auto", self.precision):
            raise DataError(
                f"{self.checkpoint} was trained in {self.precision}, not in "
                f"{self.config.precision}. Resume it with the precision {self.precision} or auto, "
                "or choose another folder."
            )
        if length_of(state["identity"]) != self.config.length:
            self._change_length()

    def _change_length(self) -> None:
        """Plan a resumed training for the length of its configuration, see `plan_anew`."""
        state, minutes = self.progress, self.config.minutes
        if minutes is None:
            steps = math.ceil(self.config.epochs * self._per_epoch)
        else:  # at the speed that it had so far
            steps = int(state.step * 60 * minutes / max(state.seconds, 1e-6))
        try:
            state.plan_anew(steps)
        except ValueError as error:
            raise ValueError(f"{self.folder}: {error}") from error

    @property
    def precision(self) -> str:
        """The precision in which the training computes: "bf16" or "fp32"."""
        return "bf16" if self.progress.bf16 else "fp32"
