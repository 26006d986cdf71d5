"""What each effect of the phantom is worth on real frames: leave one out, train, score on CAMUS.

    python -m benchmarks.ablation ../shared/camus --out build/ablation

Every condition draws its own phantom frames, trains the same small network for the same number of
steps and is scored on the 399 CAMUS training patients (never on the validation patients), in the
packed square. Each finished condition is a row on the disk, and a stopped run goes on where it
was. "all" is trained with two seeds: differences no larger than theirs mean nothing. `--part 0 2`
and `--part 1 2` share the conditions between two processes; `--table` trains nothing, but gathers
the rows there are in `ablation.csv` and prints them. The table in the repository was measured with
version 2 of the phantom.
"""

import argparse
import shutil
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch

from echolib.data import open_data, pack_once
from echolib.files import write_table
from echolib.networks.inference import score
from echolib.networks.models import UNet, load_model
from echolib.networks.training import Training, TrainingConfig
from echolib.phantom.effects import EFFECTS
from echolib.phantom.scene import PLAIN_SHARE
from echolib.phantom.single_frames import VALIDATION_SHARE, draw_frame_set

SIZE = 112
AVERAGE = 0.98  # of the weights: a short training has a short memory
UNSEEN_IN_SINGLE_FRAMES = {"persistence"}  # it needs a frame before


@dataclass(frozen=True)
class Condition:
    """One training: how many hearts, how many steps, what is left out."""

    name: str
    frames: int
    steps: int
    without: tuple[str, ...] = ()
    plain_share: float = PLAIN_SHARE
    regions: bool = True
    seed: int = 0


def conditions(frames: int, steps: int) -> list[Condition]:
    """All rows of the table, the most telling first."""
    rows = [Condition("all", frames, steps)]
    rows += [Condition("all, another seed", frames, steps, seed=1)]
    rows += [
        Condition("physical renderer only", frames, steps, plain_share=0.0),
        Condition("plain renderer only", frames, steps, plain_share=1.0),
        Condition("cavity only, no other regions", frames, steps, regions=False),
    ]
    for share in (16, 4):
        rows.append(Condition(f"{frames // share} hearts, same steps", frames // share, steps))
    for share in (0.5, 2.0):
        rows.append(Condition(f"{share:g} times the steps", frames, round(share * steps)))
    rows += [
        Condition(f"without {effect}", frames, steps, without=(effect,))
        for effect in EFFECTS
        if effect not in UNSEEN_IN_SINGLE_FRAMES
    ]
    return rows


def run(condition: Condition, camus: Path, folder: Path, width: int) -> dict:
    """Draw, train, score: a row of the table."""
    frames = draw_frame_set(
        round(condition.frames / (1 - VALIDATION_SHARE)),
        seed=100 + condition.seed,
        workers=1,
        progress=False,
        plain_share=condition.plain_share,
        without=condition.without,
    )
    training, validation = frames.split("train"), frames.split("val")
    torch.manual_seed(condition.seed)
    model = UNet(width, outputs=3 if condition.regions else 1)
    per_epoch = max(1, len(training) // TrainingConfig.batch)
    config = TrainingConfig(
        epochs=condition.steps / per_epoch, seed=condition.seed, patience=1000, average=AVERAGE
    )
    shutil.rmtree(folder / "training", ignore_errors=True)
    job = Training(model, training, validation, folder / "training", config)
    job.run(progress=False)
    model = load_model(folder / "training")
    cases = score(model, pack_once(open_data(camus), SIZE), "train", progress=False)
    return {
        "condition": condition.name,
        "hearts": condition.frames,
        "steps": condition.steps,
        "phantom_dice": job.progress.best,
        "dice": float(cases.dice.mean()),
        "median": float(cases.dice.median()),
        "p10": float(cases.dice.quantile(0.1)),
        "width": width,
    }


def main() -> None:
    """Run what is not in the table yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("camus", type=Path, help="folder of CAMUS")
    parser.add_argument("--out", type=Path, default=Path("build/ablation"))
    parser.add_argument("--frames", type=int, default=1600, help="hearts of a training")
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--part", type=int, nargs=2, default=(0, 1), help="0 2 and 1 2: two halves")
    parser.add_argument("--table", action="store_true", help="print the table, train nothing")
    options = parser.parse_args()
    if options.table:
        tables = [pd.read_csv(path) for path in sorted(options.out.glob("part-*/ablation.csv"))]
        table = pd.concat(tables).drop_duplicates("condition")
        table["against_all"] = table.dice - table.dice[table.condition == "all"].iloc[0]
        table = table.round(4)  # after the differences
        table.to_csv(options.out / "ablation.csv", index=False)
        print(table.to_string(index=False))
        return
    first, parts = options.part
    folder = options.out / f"part-{first}-of-{parts}"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "ablation.csv"
    rows = pd.read_csv(path).to_dict("records") if path.is_file() else []
    done = {row["condition"] for row in rows}
    for condition in conditions(options.frames, options.steps)[first::parts]:
        if condition.name in done:
            continue
        rows.append(run(condition, options.camus, folder, options.width))
        print(rows[-1], flush=True)
        write_table(pd.DataFrame(rows), path)


if __name__ == "__main__":
    main()
