"""How fast the U-Nets are beside those of MONAI, and how accurate after equal time.

    python -m benchmarks.networks
    python -m benchmarks.networks --camus ../shared/camus --minutes 3 --seeds 2

The first command measures the speed on noise of 112 x 112 px. Each round asks every network in
turn, every second round in the opposite order, so that other load hits all alike; ratios are taken
within a round. Prints medians over the rounds, in float32 and, where `config.bf16_pays`, in
bfloat16.

The second trains every network for the same time on half of the CAMUS training patients, a tenth
of them for choosing the weights, and scores the Dice in the packed squares of the other half. The
validation patients are never used. Finished trainings are rows in --out, and a stopped run goes on
where it was. Trainings follow each other, so the machine must be quiet. Two seeds differ by chance
alone: smaller differences between networks mean nothing.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from echolib.config import bf16_pays, device
from echolib.data import open_data, pack_once
from echolib.data.frames import FrameSet
from echolib.files import write_table
from echolib.networks.batches import Validation
from echolib.networks.losses import bce_dice_loss
from echolib.networks.models import SIZE, WEIGHTS_FILE, Encoder, UNet, count_parameters, new_model
from echolib.networks.training import Training, TrainingConfig

BATCH = 16  # frames
REFERENCE = "MONAI residual U-Net"
CHOOSING = 0.1  # share of the training half that chooses the weights
AVERAGE = 0.98  # of the weights: a short training has a short memory


class Foreign(nn.Module):
    """A network of another library, with what a `Training` asks of a network of echolib."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.down = network, nn.ModuleList()  # no level can be frozen
        self.arguments = {"outputs": 1, "inputs": 1}
        self.size, self.name, self.card = SIZE, type(network).__name__, {}
        self.register_buffer("mean", torch.tensor(0.2))
        self.register_buffer("sd", torch.tensor(0.2))

    def forward(self, images: Tensor) -> Tensor:
        """(N, 1, H, W) float in [0, 1], sides multiples of 16, to (N, 1, H, W) logits."""
        return self.network((images - self.mean) / self.sd)


def monai_residual() -> Encoder:
    """The residual U-Net of MONAI's tutorials. Source: Kerfoot et al., STACOM 2018."""
    from monai.networks.nets import UNet as ResidualUNet

    network = ResidualUNet(2, 1, 1, (16, 32, 64, 128, 256), (2, 2, 2, 2), num_res_units=2)
    return cast(Encoder, Foreign(network))


def monai_basic() -> Encoder:
    """MONAI's plain U-Net. Source: Falk et al., Nature Methods 2019."""
    from monai.networks.nets import BasicUNet

    return cast(Encoder, Foreign(BasicUNet(2, 1, 1)))


CANDIDATES: dict[str, Callable[[], Encoder]] = {
    "U-Net, width 16, depth 4": lambda: UNet(16, 4),
    "folded, width 24, depth 3": lambda: new_model("masks", 24),
    "folded, width 32, depth 3": lambda: new_model("masks", 32),
    REFERENCE: monai_residual,
    "MONAI basic U-Net": monai_basic,
}


# --- Speed ----------------------------------------------------------------------------------------


def inference(model: Encoder, images: Tensor, bf16: bool) -> None:
    """Answer a batch (N, 1, S, S), as `networks.run` does."""
    with torch.inference_mode(), torch.autocast(images.device.type, torch.bfloat16, enabled=bf16):
        model.eval()(images).float().cpu()


def training_step(model: Encoder, images: Tensor, bf16: bool) -> None:
    """Loss, gradients and a step on a batch (N, 1, S, S), without augmentation.

    The learning rate is 0, so that no round changes the next one.
    """
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0)
    with torch.autocast(images.device.type, torch.bfloat16, enabled=bf16):
        answer = model(images)
    loss = bce_dice_loss(answer.float(), (images > 0.5).float())
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    loss.item()  # waits for the device


def rounds(count: int) -> Iterator[dict]:
    """Frames a second of each network, kind of work and precision, in each round."""
    place = device()
    models = {
        name: make().to(place).to(memory_format=torch.channels_last)
        for name, make in CANDIDATES.items()
    }
    images = torch.rand(BATCH, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    images = images.to(place).contiguous(memory_format=torch.channels_last)
    precisions = (False, True) if bf16_pays(place) else (False,)
    for number in range(-1, count):  # the first one warms up
        for work in (inference, training_step):
            for bf16 in precisions:
                names = list(models)[:: -1 if number % 2 else 1]
                for name in names:
                    started = time.perf_counter()
                    work(models[name], images, bf16)
                    speed = BATCH / (time.perf_counter() - started)
                    what = f"{work.__name__.replace('_', ' ')}, {'bf16' if bf16 else 'fp32'}"
                    if number >= 0:
                        yield {"round": number, "network": name, "work": what, "speed": speed}


def speed_tables(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Medians of the frames a second, and of the ratios to `REFERENCE` within a round."""
    wide = rows.pivot(index=["work", "round"], columns="network", values="speed")[list(CANDIDATES)]
    ratios = wide.div(wide[REFERENCE], axis=0)
    speeds, ratios = (table.groupby("work").median().T.round(2) for table in (wide, ratios))
    sizes = [round(count_parameters(make()) / 1e6, 2) for make in CANDIDATES.values()]
    speeds.insert(0, "million parameters", sizes)
    return speeds, ratios


# --- Accuracy -------------------------------------------------------------------------------------


def halves(frames: FrameSet, seed: int) -> tuple[FrameSet, FrameSet, FrameSet]:
    """Frames to train, to choose the weights, and to score, of different training patients."""
    frames = frames.split("train")
    patients = np.random.default_rng(seed).permutation(sorted(frames.table.patient.unique()))
    half = len(patients) // 2
    choosing = max(1, round(CHOOSING * half))
    parts = np.split(patients, [choosing, half])
    val, train, test = (frames.select(frames.table.patient.isin(p).to_numpy()) for p in parts)
    return train, val, test


def accuracy(name: str, seed: int, frames: FrameSet, minutes: float, folder: Path) -> dict:
    """Train a network on one half and score it on the other: a row of the table."""
    train, val, test = halves(frames, seed)
    torch.manual_seed(seed)
    model = CANDIDATES[name]()
    config = TrainingConfig(minutes=minutes, seed=seed, patience=1000, average=AVERAGE)
    place = folder / f"{name.replace(', ', '-').replace(' ', '-')}-{seed}"
    job = Training(model, train, val, place, config, resume=True)
    job.run(progress=False)
    model.load_state_dict(load_file(place / WEIGHTS_FILE, device=str(job.device)))
    dice = Validation(test, job.task, job.device).dice(model.eval(), job.progress.bf16)
    return {
        "network": name, "seed": seed, "minutes": minutes, "precision": job.precision,
        "steps": job.progress.step, "frames": len(test), "dice": round(dice, 4),
    }  # fmt: skip


def train_all(camus: Path, minutes: float, seeds: int, folder: Path) -> pd.DataFrame:
    """A row for each network and seed; those on the disk are kept."""
    frames = pack_once(open_data(camus), SIZE)
    path = folder / f"camus-{minutes:g}-minutes.csv"
    rows = pd.read_csv(path).to_dict("records") if path.is_file() else []
    done = {(row["network"], row["seed"]) for row in rows}
    for seed in range(seeds):
        for name in CANDIDATES:
            if (name, seed) not in done:
                rows.append(accuracy(name, seed, frames, minutes, path.with_suffix("")))
                print(rows[-1], flush=True)
                write_table(pd.DataFrame(rows), path)
    return pd.DataFrame(rows)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--camus", type=Path, help="folder of CAMUS, to train on")
    parser.add_argument("--minutes", type=float, default=3.0, help="of each training")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("build/networks"))
    options = parser.parse_args()
    if options.camus is None:
        speeds, ratios = speed_tables(pd.DataFrame(rounds(options.rounds)))
        print(f"frames a second, {options.rounds} rounds of {BATCH} frames on {device()}")
        print(speeds.to_string())
        print(f"ratios to {REFERENCE}")
        print(ratios.to_string())
        return
    options.out.mkdir(parents=True, exist_ok=True)
    rows = train_all(options.camus, options.minutes, options.seeds, options.out)
    groups = rows.groupby("network", sort=False)
    table = groups.agg(steps=("steps", "mean"), dice=("dice", "mean"), least=("dice", "min"))
    print("CAMUS training patients, scored on the half that trained nothing")
    print(table.round(4).to_string())


if __name__ == "__main__":
    main()
