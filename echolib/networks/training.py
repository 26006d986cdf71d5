"""Training: a plan of steps, checkpoints that resume exactly, the best weights by validation."""

import json
import math
import time
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from tqdm.auto import tqdm

from ..config import device as default_device
from ..data.frames import FrameSet, with_neighbours
from ..files import write_table
from .augment import Augmenter
from .checkpoints import load_checkpoint, save_checkpoint
from .corruptions import corrupt_some
from .models import WEIGHTS_FILE, first_levels, save_model
from .plan import Progress, TrainingConfig, warm_up_and_cosine
from .tasks import task_of

CHECKPOINT_FILE = "checkpoint.pt"
HISTORY_FILE = "history.csv"
LONGEST_ROUND = 200  # steps between two validations, at most


class Training:
    """One training of a model on packed frames.

    model: one of `models.MODELS`; its kind decides what is learnt (`tasks`): masks of the cavity
    and the regions beside it, or landmarks. train, val: FrameSets of one size.
    folder: where `checkpoint.pt`, `model.safetensors` (the best averaged weights) and
    `history.csv` go. Raises ValueError for an empty set or a folder that already holds a
    training, DataError for a checkpoint that does not belong to this one.
    """

    def __init__(
        self,
        model: nn.Module,
        train: FrameSet,
        val: FrameSet,
        folder: str | Path,
        config: TrainingConfig | None = None,
        resume: bool = False,
        device: torch.device | None = None,
    ) -> None:
        self.config = config or TrainingConfig()
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.device = device or default_device()
        for name, frames in (("training", train), ("validation", val)):
            if not len(frames):
                raise ValueError(f"There are no {name} frames. Does the data set name its splits?")
        self.size = train.size
        self.source = str(train.table.source.iloc[0])
        self.fingerprint = [train.fingerprint(), val.fingerprint()]
        settings = self.config
        self.task = task_of(model, settings.loss, settings.auxiliary, settings.heatmap)
        if settings.corrupted and self.task.inputs > 1:
            raise ValueError("Corruptions are for single frames: train a model of one input.")
        self.images, self.val_images = self._images(train), self._images(val)
        self.targets = self.task.targets(train).to(self.device)
        self.val_masks = torch.from_numpy(np.array(val.masks))[:, None].to(self.device)
        self.per_epoch = max(1, len(self.images) // self.config.batch)
        self.progress = Progress()
        self.model = model.to(self.device, memory_format=torch.channels_last)
        if not settings.frozen:  # frozen levels expect the grey levels they were trained on
            pixels = self.images[:: max(1, len(self.images) // 1000)].float() / 255
            self.model.mean.fill_(pixels.mean())
            self.model.sd.fill_(pixels.std())
        for level in first_levels(self.model, settings.frozen):
            level.requires_grad_(False)
        self.averaged = AveragedModel(self.model, avg_fn=self._move_average).eval()
        self.optimizer = torch.optim.AdamW(
            [weight for weight in self.model.parameters() if weight.requires_grad],
            lr=self.config.learning_rate, weight_decay=self.config.weight_decay,
        )  # fmt: skip
        self.augment = Augmenter(self.config.augmentation, self.device, self.config.seed)
        self.checkpoint = self.folder / CHECKPOINT_FILE
        if self.checkpoint.is_file():
            if not resume:
                raise ValueError(
                    f"{self.folder} already holds a training. Resume it (--resume), or choose "
                    "another folder."
                )
            self._resume()
        else:
            self._plan()

    def _images(self, frames: FrameSet) -> Tensor:
        """All frames on the device, (N, 1, S, S) uint8; with neighbours, (N, 3, S, S)."""
        images = with_neighbours(frames, self.task.inputs)
        return torch.from_numpy(images).to(self.device)

    # --- Plan ----------------------------------------------------------------------------------

    def _plan(self) -> None:
        """Choose the precision by the clock, and the number of steps by epochs or minutes."""
        started = time.perf_counter()
        seconds, bf16 = self._faster_precision()
        steps = math.ceil(self.config.epochs * self.per_epoch)
        elapsed = time.perf_counter() - started
        self.progress = Progress(steps=steps, bf16=bf16, seconds=elapsed)
        if self.config.minutes is not None:
            self.progress.replan(60 * self.config.minutes, seconds)

    def _learning_rate(self, step: int) -> float:
        if self.config.constant:
            return self.config.learning_rate
        share = self.progress.share(step + 1)
        return self.config.learning_rate * warm_up_and_cosine(share, self.config.warmup)

    @property
    def _round_length(self) -> int:
        """Steps to the next validation: an epoch, but a tenth of the plan at most."""
        tenth = max(1, self.progress.steps // 10)
        return min(self.per_epoch, LONGEST_ROUND, tenth, self.progress.steps - self.progress.step)

    def _faster_precision(self) -> tuple[float, bool]:
        """Seconds a step, and whether bf16 gave it: always on a GPU, on a CPU if it is faster."""
        choices = [True] if self.device.type == "cuda" else [False, True]
        trials = {}
        for bf16 in choices:
            model = deepcopy(self.model)
            moving = [weight for weight in model.parameters() if weight.requires_grad]
            trials[bf16] = model, torch.optim.AdamW(moving, lr=0.0)
        fastest = dict.fromkeys(choices, math.inf)
        for step in range(5):  # in turn, and the best of each, because others use the machine too
            for bf16, (model, optimizer) in trials.items():
                self._wait()
                started = time.perf_counter()
                self._optimise(model, optimizer, step, bf16)
                self._wait()
                seconds = time.perf_counter() - started
                fastest[bf16] = min(fastest[bf16], seconds)
        best = min(fastest, key=fastest.get)
        return fastest[best], best

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    # --- Steps ---------------------------------------------------------------------------------

    def _batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Images (N, C, S, S) and targets of a step: a function of seed and step alone."""
        epoch, place = divmod(step, self.per_epoch)
        order = np.random.default_rng([self.config.seed, epoch]).permutation(len(self.images))
        chosen = order[place * self.config.batch : (place + 1) * self.config.batch]
        rows = torch.from_numpy(chosen).to(self.device)
        self.augment.reseed(step)
        images = self._corrupted(self.images[rows], step).float() / 255
        images, targets = self.task.augment(self.augment, images, self.targets[rows])
        return images.contiguous(memory_format=torch.channels_last), targets

    def _corrupted(self, images: Tensor, step: int) -> Tensor:
        """A share of the images (N, 1, S, S) uint8 as a worse scan would have shown them."""
        if not self.config.corrupted:
            return images
        generator = np.random.default_rng([self.config.seed, step, 1])
        pixels = corrupt_some(
            images[:, 0].cpu().numpy(), self.config.corrupted, self.config.corruptions, generator
        )
        return torch.from_numpy(pixels)[:, None].to(self.device)

    def _optimise(self, model: nn.Module, optimizer, step: int, bf16: bool) -> Tensor:
        """One step of gradient descent; returns the loss, still on the device."""
        images, targets = self._batch(step)
        model.train()
        for level in first_levels(model, self.config.frozen):
            level.eval()  # or its batch normalisation would move on
        with torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
            answer = self.task.answer(model, images)
        loss = self.task.loss(answer, targets)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.detach()

    def _move_average(self, averaged: Tensor, current: Tensor, updates: Tensor) -> Tensor:
        """Moving average of a weight; it moves faster in the first steps."""
        decay = torch.clamp((1 + updates) / (10 + updates), max=self.config.average)
        return averaged.lerp(current, 1 - decay)

    @torch.inference_mode()
    def validate(self) -> float:
        """Mean Dice of the averaged weights over the validation frames, each a case."""
        scores = []
        for start in range(0, len(self.val_images), 64):
            images = self.val_images[start : start + 64].float() / 255
            images = images.contiguous(memory_format=torch.channels_last)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.progress.bf16):
                predicted = self.task.masks(self.averaged.module, images)
            truth = self.val_masks[start : start + 64]
            both = (predicted & truth).flatten(1).sum(1)
            areas = predicted.flatten(1).sum(1) + truth.flatten(1).sum(1)
            scores.append(torch.where(areas > 0, 2 * both / areas.clamp(min=1), 1.0))
        return float(torch.cat(scores).mean())

    # --- Rounds --------------------------------------------------------------------------------

    def run(self, progress: bool = True) -> pd.DataFrame:
        """Train to the end of the plan, or to an early stop; returns the history, a row a round."""
        state = self.progress
        labels = {"desc": "train", "unit": "step", "disable": not progress}
        with tqdm(total=state.steps, initial=state.step, **labels) as bar:
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
        """A row a round: step, epoch, loss, val_dice, learning_rate, images_per_second, seconds."""
        return pd.DataFrame(self.progress.history)

    def _round(self, bar: tqdm) -> None:
        """Some steps, a validation, a checkpoint."""
        state, started = self.progress, time.perf_counter()
        first, last = state.step, state.step + self._round_length
        total = torch.zeros((), device=self.device)
        while state.step < last:
            for group in self.optimizer.param_groups:
                group["lr"] = self._learning_rate(state.step)
            total += self._optimise(self.model, self.optimizer, state.step, state.bf16)
            state.step += 1
            self.averaged.update_parameters(self.model)
            bar.update()
        loss = float(total) / (last - first)
        speed = (last - first) * self.config.batch / (time.perf_counter() - started)
        val_dice = self.validate()
        state.seconds += time.perf_counter() - started
        state.history.append(
            {
                "step": last,
                "epoch": last / self.per_epoch,
                "loss": loss,
                "val_dice": val_dice,
                "learning_rate": self._learning_rate(last - 1),
                "images_per_second": speed,
                "seconds": state.seconds,
            }
        )
        bar.set_postfix_str(f"loss {loss:.3f}, val Dice {val_dice:.4f}, {speed:.0f} images/s")
        if not math.isfinite(loss):
            raise ValueError(f"The loss became {loss} at step {last}: lower the learning rate.")
        self._keep(val_dice)
        if self.config.minutes is not None:
            latest = (time.perf_counter() - started) / (last - first)
            average = (latest + state.seconds / last) / 2  # others use the machine too
            state.replan(60 * self.config.minutes, average)
            bar.total = state.steps
        self._save_checkpoint()

    def _keep(self, val_dice: float) -> None:
        state = self.progress
        if val_dice <= state.best:
            state.stale += 1
            return
        state.best, state.stale = val_dice, 0
        card = {
            "size": self.size,
            "trained_on": self.source,
            "training_frames": len(self.images),
            "validation_frames": len(self.val_images),
            "validation_dice": round(val_dice, 4),
            "step": state.step,
            "config": asdict(self.config),
        }
        save_model(self.averaged.module, self.folder / WEIGHTS_FILE, card)

    # --- Checkpoints ---------------------------------------------------------------------------

    def _identity(self) -> dict:
        """What a checkpoint must agree in with the training that resumes it."""
        config = {f"config.{name}": value for name, value in asdict(self.config).items()}
        return {
            "model": type(self.model).__name__,
            "arguments": self.model.arguments,
            "size": self.size,
            "frames": self.fingerprint,
            **config,
        }

    def _save_checkpoint(self) -> None:
        state = {
            "identity": json.dumps(self._identity(), sort_keys=True),
            "progress": asdict(self.progress),
            "model": self.model.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        write_table(self.history, self.folder / HISTORY_FILE)
        save_checkpoint(state, self.checkpoint)

    def _resume(self) -> None:
        state = load_checkpoint(self.checkpoint, self._identity())
        self.model.load_state_dict(state["model"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.progress = Progress(**state["progress"])
