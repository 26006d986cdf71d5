"""What each effect of the phantom is worth on real frames: leave one out, train, score on CAMUS.

    python -m benchmarks.ablation ../shared/camus --out build/ablation
    python -m benchmarks.ablation ../shared/camus --out build/ablation-shipped --shipped

Every condition draws its own phantom frames, trains the same network for the same number of steps
and is scored on the 399 CAMUS training patients (never on the validation patients), in the packed
square. The first command goes through all effects with a small network and a short training; with
`--shipped`, network, hearts and steps are those of `lv` of version 5, for the effects that mattered
most in the first, and for trainings of other lengths. Each finished condition is a row on the disk,
and a stopped run goes on where it was, unless that was with another version of the phantom. "all"
is trained with two seeds: differences no larger than theirs mean nothing. `--part 0 2` and
`--part 1 2` share the conditions between two processes; `--table` trains nothing, but gathers the
rows there are in `ablation.csv` and prints them. In the repository are both tables: `ablation.csv`,
measured with version 2 of the phantom, and `ablation_shipped.csv`, with version 5.
"""

import argparse
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch

from echolib.data import open_data, pack_once
from echolib.files import write_table
from echolib.networks.inference import score
from echolib.networks.models import load_model, new_model
from echolib.networks.training import Training, TrainingConfig
from echolib.phantom.common import VERSION
from echolib.phantom.effects import EFFECTS
from echolib.phantom.scene import PLAIN_SHARE
from echolib.phantom.single_frames import MAX_VALIDATION, draw_frame_set

SIZE = 112
UNSEEN_IN_SINGLE_FRAMES = {"persistence"}  # it needs a frame before
SHORT = {"frames": 1600, "steps": 250, "width": 8}
SHIPPED = {"frames": 21_200, "steps": 1325, "width": 24}  # as `lv` of version 5 was trained
# effects that changed the Dice most, up or down, in `ablation.csv`
MATTERED = ("expert's inset", "pericardium", "trabeculae", "specular echoes", "valves")


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


def leaving_out(effects: Iterable[str], frames: int, steps: int) -> list[Condition]:
    """A row for each effect."""
    return [Condition(f"without {name}", frames, steps, without=(name,)) for name in effects]


def conditions(frames: int, steps: int) -> list[Condition]:
    """All rows of the first table, the most telling first."""
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
    seen = [effect for effect in EFFECTS if effect not in UNSEEN_IN_SINGLE_FRAMES]
    return rows + leaving_out(seen, frames, steps)


def shipped_conditions(frames: int, steps: int) -> list[Condition]:
    """The rows of the second table: last longer and shorter trainings, each heart seen once."""
    rows = [Condition("all", frames, steps), Condition("all, another seed", frames, steps, seed=1)]
    rows += leaving_out(MATTERED, frames, steps)
    for share in (2, 0.5, 0.25):
        name = f"all, {share:g} times the hearts and steps"
        rows.append(Condition(name, round(share * frames), round(share * steps)))
    return rows


def run(condition: Condition, camus: Path, folder: Path, width: int) -> dict:
    """Draw, train, score: a row of the table."""
    frames = draw_frame_set(
        condition.frames + min(condition.frames // 9, MAX_VALIDATION),
        seed=100 + condition.seed,
        workers=1,
        progress=False,
        plain_share=condition.plain_share,
        without=condition.without,
    )
    training, validation = frames.split("train"), frames.split("val")
    torch.manual_seed(condition.seed)
    model = new_model("masks", width, outputs=3 if condition.regions else 1)
    per_epoch = max(1, len(training) // TrainingConfig.batch)
    # a short training has a short memory
    average = min(TrainingConfig.average, 1 - 5 / condition.steps)
    config = TrainingConfig(
        epochs=condition.steps / per_epoch, seed=condition.seed, patience=1000, average=average
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
        "phantom": VERSION,
    }


def main() -> None:
    """Run what is not in the table yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("camus", type=Path, help="folder of CAMUS")
    parser.add_argument("--out", type=Path, default=Path("build/ablation"))
    parser.add_argument("--shipped", action="store_true", help="network and length of lv")
    parser.add_argument("--frames", type=int, help="hearts of a training, instead of 1600 or 21200")
    parser.add_argument("--steps", type=int, help="instead of 250 or 1325")
    parser.add_argument("--width", type=int, help="of the network, instead of 8 or 24")
    parser.add_argument("--part", type=int, nargs=2, default=(0, 1), help="0 2 and 1 2: two halves")
    parser.add_argument("--table", action="store_true", help="print the table, train nothing")
    options = parser.parse_args()
    if options.table:
        tables = [pd.read_csv(path) for path in sorted(options.out.glob("part-*/ablation.csv"))]
        if not tables:
            parser.error(f"No finished conditions in {options.out}: run it without --table first.")
        table = pd.concat(tables)
        table = table[table.phantom == VERSION].drop_duplicates("condition")
        if table.empty:
            parser.error(f"{options.out} holds rows of other versions of the phantom only.")
        whole = dict(zip(table.condition, table.dice, strict=True)).get("all", float("nan"))
        table["against_all"] = table.dice - whole
        table = table.round(4)  # after the differences
        table.to_csv(options.out / "ablation.csv", index=False)
        print(table.to_string(index=False))
        return
    chosen, listed = (SHIPPED, shipped_conditions) if options.shipped else (SHORT, conditions)
    given = {name: getattr(options, name) for name in chosen if getattr(options, name) is not None}
    chosen = chosen | given
    first, parts = options.part
    folder = options.out / f"part-{first}-of-{parts}"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "ablation.csv"
    rows = pd.read_csv(path).to_dict("records") if path.is_file() else []
    rows = [row for row in rows if row.get("phantom") == VERSION]
    done = {row["condition"] for row in rows}
    for condition in listed(chosen["frames"], chosen["steps"])[first::parts]:
        if condition.name in done:
            continue
        rows.append(run(condition, options.camus, folder, chosen["width"]))
        print(rows[-1], flush=True)
        write_table(pd.DataFrame(rows), path)


if __name__ == "__main__":
    main()
