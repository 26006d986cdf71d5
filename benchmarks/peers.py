"""How fast the networks and the data are beside what a user would pick instead.

    python -m benchmarks.peers
    python -m benchmarks.peers --camus ../shared/camus --minutes 5 --seeds 3
    python -m benchmarks.peers --study STUDY
    python -m benchmarks.peers --epoch

The first command measures the speed of networks on noise of 112 x 112 px, in float32 and, where
`config.bf16_pays`, in bfloat16; on a GPU also the memory. Each round asks every network in turn,
every second round in the opposite order, so that other load hits all alike; ratios are taken
within a round.

The second trains the folded U-Net and MONAI's residual U-Net in turn, by the same code and for the
same time, on half of the CAMUS training patients. A fifth of this half chooses the weights; the
time until their Dice is 0.93 counts. The other half scores the Dice in the packed squares. The
validation patients are never used. Finished trainings are rows in build/peers, and a stopped run
goes on where it was.

The third packs a study in EchoNet-Dynamic's layout, and reads epochs of its traced frames: packed,
packed and augmented, and by a loader that opens each AVI for each sample. The system has the files
in its memory by then.

The fourth trains the same two networks on as many frames of noise as EchoNet-Dynamic's training
clips have traced, and takes the time of an epoch. It is meant for a GPU.

Each command writes medians over the rounds, or seeds, to benchmarks/peers.csv, beside those of
other machines, and prints them as the README shows them. The machine must be quiet. MONAI is no
dependency of the package: where it is not installed, its values are missing.
"""

import argparse
import math
import os
import platform
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file

from echolib.config import device, project_root
from echolib.cores import usable_cores
from echolib.data import open_data, pack_once
from echolib.data.frames import FrameSet
from echolib.files import write_table
from echolib.networks.batches import Validation
from echolib.networks.models import SIZE
from echolib.networks.plan import TrainingConfig
from echolib.networks.pretrained import WEIGHTS_FILE
from echolib.networks.threads import thread_watch
from echolib.networks.training import Training

from .loading import PACKED, data_rows
from .networks import MONAI, OURS, build, epoch_rows, network_rows

TABLE = project_root() / "benchmarks" / "peers.csv"
BUILD = project_root() / "build" / "peers"
KEY = ["data", "work", "unit"]
GOAL = 0.93  # Dice
CHOOSING = 0.2  # share of the training half that chooses the weights
AVERAGE = 0.98  # of the weights: a short training has a short memory


# --- Time to a Dice -------------------------------------------------------------------------------


def halves(frames: FrameSet, seed: int) -> tuple[FrameSet, FrameSet, FrameSet]:
    """Frames to train, to choose the weights, and to score, of different training patients."""
    frames = frames.split("train")
    patients = np.random.default_rng(seed).permutation(sorted(frames.table.patient.unique()))
    half = len(patients) // 2
    choosing = max(1, round(CHOOSING * half))
    parts = np.split(patients, [choosing, half])
    val, train, test = (frames.select(frames.table.patient.isin(p).to_numpy()) for p in parts)
    return train, val, test


def train(name: str, seed: int, frames: FrameSet, minutes: float, folder: Path) -> dict:
    """Train a network on one half and score it on the other: a row of the table."""
    parts = halves(frames, seed)
    torch.manual_seed(seed)
    model = build(name)
    if model is None:
        return {"peer": name, "round": seed, "seconds": math.nan, "dice": math.nan}
    config = TrainingConfig(minutes=minutes, seed=seed, patience=1000, average=AVERAGE)
    place = folder / f"{name.replace(' ', '-')}-{seed}"
    job = Training(model, *parts[:2], place, config, resume=True)
    history = job.run(progress=False)
    reached = history.seconds[history.val_dice >= GOAL]
    model.load_state_dict(load_file(place / WEIGHTS_FILE, device=str(job.device)))
    dice, _ = Validation(parts[2], job.task, job.device).scores(model.eval(), job.progress.bf16)
    return {
        "peer": name, "round": seed, "precision": job.precision, "steps": job.progress.step,
        "seconds": min(reached, default=math.inf), "best": job.progress.best,
        "frames": len(parts[2]), "dice": dice,
    }  # fmt: skip


def training_rows(camus: Path, minutes: float, seeds: int) -> Iterator[dict]:
    """Time to the Dice, and Dice at the end, of each network and seed; done ones are kept."""
    frames = pack_once(open_data(camus), SIZE)
    path = BUILD / f"camus-{minutes:g}-minutes.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = pd.read_csv(path).to_dict("records") if path.is_file() else []
    done = {(row["peer"], row["round"]): row for row in rows if not math.isnan(row["dice"])}
    works = {
        "seconds": (f"to Dice {GOAL}, {minutes:g} minutes planned", "s"),
        "dice": (f"other patients, after {minutes:g} minutes", "Dice"),
    }
    for seed in range(seeds):
        for name in (OURS, MONAI)[:: -1 if seed % 2 else 1]:
            if (name, seed) not in done:
                done[name, seed] = train(name, seed, frames, minutes, path.with_suffix(""))
                print(done[name, seed], flush=True)
                write_table(pd.DataFrame(done.values()), path)
            for column, (work, unit) in works.items():
                what = {"data": "CAMUS training patients", "work": work, "unit": unit}
                yield what | {"peer": name, "round": seed, "value": done[name, seed][column]}


# --- Tables ---------------------------------------------------------------------------------------


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Medians over the rounds, and medians of the ratios to ours and to MONAI's within a round.

    rows: columns `KEY`, peer, round and value. Ratios are NaN where there is none to compare with.
    """
    rows = rows.copy()
    for column, references in {"to_ours": (OURS, PACKED), "to_monai": (MONAI,)}.items():
        base = rows[rows.peer.isin(references)].set_index([*KEY, "round"]).value
        there = pd.MultiIndex.from_frame(rows[[*KEY, "round"]])
        with np.errstate(invalid="ignore"):  # where neither was ever reached
            rows[column] = rows.value.to_numpy() / base.reindex(there).to_numpy()
    table = rows.groupby([*KEY, "peer"], sort=False).agg(
        value=("value", "median"), to_ours=("to_ours", "median"), to_monai=("to_monai", "median"),
        rounds=("round", "nunique"),
    )  # fmt: skip
    return table.round(3).reset_index()


def machine() -> str:
    """The GPU if there is one, the processor, threads, cores, and torch's version."""
    place = device()
    gpu = [torch.cuda.get_device_name(place)] if place.type == "cuda" else []
    thread_watch()  # limits torch to the cores that this process may use
    threads = f"threads: {torch.get_num_threads()}, cores: {usable_cores()}"
    return ", ".join([*gpu, processor(), threads, f"torch {torch.__version__}"])


def processor() -> str:
    """The processor's name, and whether it has AMX, which decides how much bfloat16 gains."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    amx = torch.cpu.get_capabilities().get("amx_bf16", False)
    return (names or [platform.processor() or platform.machine()])[0] + (" with AMX" if amx else "")


def store(table: pd.DataFrame, path: Path, key: list[str]) -> pd.DataFrame:
    """Add a table to the file, in place of older rows that agree with it in the columns `key`."""
    if path.is_file():
        key = list(key)
        old = pd.read_csv(path)
        again = pd.MultiIndex.from_frame(old[key]).isin(pd.MultiIndex.from_frame(table[key]))
        table = pd.concat([old[~again], table], ignore_index=True)
    write_table(table, path)
    return table


def markdown(table: pd.DataFrame) -> str:
    """The values as Markdown, one table for each machine and data; no value is an empty cell."""
    blocks = []
    for (where, data), part in table.groupby(["machine", "data"], sort=False):
        columns = list(part.drop_duplicates(["work", "unit"])[["work", "unit"]].itertuples())
        lines = ["| | " + " | ".join(f"{c.work} ({c.unit})" for c in columns) + " |"]
        lines.append("| --- " * (len(columns) + 1) + "|")
        for peer, values in part.groupby("peer", sort=False):
            value = values.set_index(["work", "unit"]).value
            cells = [in_words(value.get((c.work, c.unit), math.nan)) for c in columns]
            lines.append(f"| {peer} | " + " | ".join(cells) + " |")
        blocks.append("\n".join([f"{data}; {where}:", "", *lines]))
    return "\n\n".join(blocks)


def in_words(value: float) -> str:
    """A number with three digits, or whole from 100 on; infinite stands for never."""
    if not math.isfinite(value):
        return "" if math.isnan(value) else "never"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def main() -> None:
    """Measure, write and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=0.3, help="of a network's turn")
    parser.add_argument("--batch", type=int, help="frames at a time; default: 16, on a GPU 256")
    parser.add_argument("--camus", type=Path, help="folder of CAMUS, to train on")
    parser.add_argument("--minutes", type=float, default=5.0, help="of each training")
    parser.add_argument("--seeds", type=int, default=3, help="number of trainings of a network")
    parser.add_argument("--study", type=Path, help="folder in EchoNet-Dynamic's layout, to read")
    parser.add_argument("--epoch", action="store_true", help="time an epoch of a training")
    parser.add_argument("--out", type=Path, default=TABLE, help="table to write")
    options = parser.parse_args()
    where = machine()
    print(f"{where}; load before: {os.getloadavg()[0]:.1f}", flush=True)
    if options.camus:
        rows = training_rows(options.camus, options.minutes, options.seeds)
    elif options.study:
        rows = data_rows(options.study, options.rounds)
    elif options.epoch:
        rows = epoch_rows(options.rounds)
    else:
        rows = network_rows(options.rounds, options.seconds, options.batch)
    table = summary(pd.DataFrame(rows))
    table.insert(0, "machine", where)
    print(table.drop(columns="machine").to_string(index=False))
    table = store(table, options.out, ["machine", *KEY])
    print(markdown(table[table.machine == where]))


if __name__ == "__main__":
    main()
