"""How far few corrections go: CAMUS, with the expert's outline in the place of an annotator.

    python -m benchmarks.corrections ../shared/camus --out build/corrections

From the training patients, 0 to 399 are corrected: the most doubtful first, as `echolib queue`
orders them, or in a random order. A network is trained further on the outlines of their ventricles,
as `echolib train CORRECTED --start lv` does, but without its guard. The 50 validation patients are
the test: Dice in the packed squares, and the absolute error of the ejection fraction by the method
of disks, against that of the expert's outlines. Each training is run with three seeds, which also
draw the random orders. Scores are averaged over the seeds by patient before their interval is
drawn (95 %, bootstrap by patient).

Each training is a row on the disk, and a stopped run goes on where it was. `--rehearse` tests on
the last 50 training patients instead, which are not corrected then: choose settings by it.
`--table` trains nothing, but makes the table from what there is. Writes benchmarks/corrections.csv,
which holds no value of a single patient; these stay in the folder of --out.
"""

import argparse
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from echolib.config import project_root
from echolib.corrections.learning import (
    learning_config,
    remembered_frames,
    train_further,
)
from echolib.corrections.queue import correction_queue, read_queue, write_queue
from echolib.data import Camus, FrameSet, pack_once
from echolib.files import write_table
from echolib.geometry import ejection_fraction, mask_volume
from echolib.metrics import dice
from echolib.networks.inference import predict, square_masks, with_regions
from echolib.networks.models import Encoder, load_model, weights_digest
from echolib.statistics import bootstrap_interval

TABLE = project_root() / "benchmarks" / "corrections.csv"
START, LANDMARKS = "lv", "lv_landmarks"
COUNTS, SEEDS = (5, 10, 20, 50, 100, 399), (0, 1, 2)
REHEARSED = 50  # training patients that are the test of a rehearsal
NONE, DOUBTFUL, RANDOM, ALL = "none", "doubtful first", "random", "all"
SCORES = ("dice", "ef_error")


@dataclass(frozen=True)
class Condition:
    """One training: how many patients are corrected, in which order, with which seed."""

    order: str
    patients: int
    seed: int

    @property
    def name(self) -> str:
        """Of its file and its folder."""
        return f"{self.order.replace(' ', '-')}-{self.patients}-{self.seed}"


def conditions(most: int) -> list[Condition]:
    """All trainings, the most telling first. most: patients that can be corrected."""
    counts = [count for count in COUNTS if count < most]
    middle = [count for count in (20, 5, 100, 10, 50) if count in counts]
    rows = [Condition(NONE, 0, 0)]
    for seed in SEEDS:
        rows += [Condition(ALL, most, seed)]
        rows += [Condition(order, n, seed) for n in middle for order in (DOUBTFUL, RANDOM)]
    return rows


def corrected_patients(condition: Condition, doubtful: list[str]) -> list[str]:
    """The patients that are corrected. doubtful: all that can be, the most doubtful first."""
    order = doubtful
    if condition.order == RANDOM:
        generator = np.random.default_rng(condition.seed)
        order = list(generator.permutation(np.array(sorted(doubtful), object)))
    return order[: condition.patients]


def doubtful_patients(data: Camus, folder: Path) -> list[str]:
    """The training patients by the doubt about the shipped network's outlines, largest first."""
    path = folder / "queue.csv"
    if not path.is_file():
        queue = correction_queue(data, load_model(START), load_model(LANDMARKS), "train")
        write_queue(queue, path)
    return [data.table.patient[clip] for clip, _ in read_queue(path)]


def score_patients(network: Encoder, frames: FrameSet) -> pd.DataFrame:
    """One row per patient: patient, dice (mean of ED and ES), ef_error in points.

    frames: packed, ED and ES of each patient.
    """
    masks = square_masks(predict(network, np.asarray(frames.images)), frames.size)
    table = frames.table[["patient", "phase"]].copy()
    table["dice"] = [dice(a, b) for a, b in zip(masks, frames.masks, strict=True)]
    for name, outlines in (("measured", masks), ("true", frames.masks)):
        table[name] = [mask_volume(np.asarray(outline)) for outline in outlines]
    wide = table.pivot(index="patient", columns="phase")
    measured, true = (
        [_fraction(*pair) for pair in wide[name][["ED", "ES"]].to_numpy()]
        for name in ("measured", "true")
    )
    scores = {"dice": wide["dice"].mean(axis=1), "ef_error": np.abs(np.subtract(measured, true))}
    return pd.DataFrame(scores).reset_index()


def _fraction(diastole: float, systole: float) -> float:
    """The ejection fraction; NaN where the network outlined nothing at end-diastole."""
    return ejection_fraction(diastole, systole) if diastole > 0 else np.nan


def run(
    condition: Condition, patients: list[str], frames: FrameSet, test: FrameSet, folder: Path
) -> pd.DataFrame:
    """Train as a condition says, and score the test patients."""
    network, started = load_model(START), time.process_time()
    if patients:
        remembered = remembered_frames(network.size).split("train")
        chosen = frames.select(frames.table.patient.isin(patients).to_numpy())
        config = learning_config(len(chosen), seed=condition.seed, start=START)
        place = folder / condition.name
        shutil.rmtree(place, ignore_errors=True)
        taught = with_regions(chosen, network)
        network = train_further(network, taught, remembered, place, config, progress=False)
        shutil.rmtree(place)  # its checkpoint holds nothing that is needed
    seconds = time.process_time() - started
    return score_patients(network, test).assign(**vars(condition), seconds=seconds)


def summarise(cases: pd.DataFrame) -> pd.DataFrame:
    """One row per order and number of corrected patients, from rows of `run`.

    dice, ef_error: means, with the bounds of their intervals; gain: Dice minus that without
    corrections; over_random: Dice minus that after as many random patients; seed_sd: standard
    deviation of the mean Dice between seeds; seconds: of one core, of a training.
    """
    means = cases.groupby(["order", "patients", "patient"])[list(SCORES)].mean()
    by_seed = cases.groupby(["order", "patients", "seed"])[["dice", "seconds"]].mean()
    rows = []
    for (order, count), scores in means.groupby(level=[0, 1]):
        scores = scores.loc[order, count]
        seeds = by_seed.loc[order, count]
        row = {"order": order, "corrected": count, "tested": len(scores), "seeds": len(seeds)}
        for name in SCORES:
            row |= _with_interval(name, scores[name].dropna())
        if (NONE, 0) in means.index and order != NONE:
            row |= _with_interval("gain", scores.dice - means.loc[NONE, 0].dice)
        if order == DOUBTFUL and (RANDOM, count) in means.index:
            row |= _with_interval("over_random", scores.dice - means.loc[RANDOM, count].dice)
        rows.append(row | {"seed_sd": seeds.dice.std(), "seconds": seeds.seconds.mean()})
    return pd.DataFrame(rows).sort_values(["corrected", "order"], ignore_index=True).round(4)


def _with_interval(name: str, values: pd.Series) -> dict[str, float]:
    low, high = bootstrap_interval(values.to_numpy()) if len(values) else (np.nan, np.nan)
    return {name: float(values.mean()), f"{name}_low": low, f"{name}_high": high}


def main() -> None:
    """Run what is not on the disk yet, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("camus", type=Path, help="folder of CAMUS")
    parser.add_argument("--out", type=Path, default=Path("build/corrections"))
    parser.add_argument("--rehearse", action="store_true", help="test on training patients")
    parser.add_argument("--only", nargs="+", help="names of trainings, such as random-20-0")
    parser.add_argument("--table", action="store_true", help="make the table, train nothing")
    options = parser.parse_args()
    data, network = Camus(options.camus), load_model(START)
    folder = options.out / ("rehearsal" if options.rehearse else "test") / weights_digest(network)
    folder.mkdir(parents=True, exist_ok=True)
    if not options.table:
        train_all(data, network.size, folder, options.rehearse, options.only)
    rows = [pd.read_csv(path) for path in sorted(folder.glob("case-*.csv"))]
    table = summarise(pd.concat(rows, ignore_index=True))
    print(table.to_string(index=False))
    write_table(table, folder / "table.csv" if options.rehearse else TABLE)


def train_all(data: Camus, size: int, folder: Path, rehearse: bool, only: list[str] | None) -> None:
    """Run each condition that has no file yet, or only some."""
    doubtful, packed = doubtful_patients(data, folder), pack_once(data, size)
    frames, test = packed.split("train"), packed.split("val")
    if rehearse:
        last = sorted(doubtful)[-REHEARSED:]
        doubtful = [patient for patient in doubtful if patient not in last]
        test = frames.select(frames.table.patient.isin(last).to_numpy())
    for condition in conditions(len(doubtful)):
        path = folder / f"case-{condition.name}.csv"
        if path.is_file() or only and condition.name not in only:
            continue
        patients = corrected_patients(condition, doubtful)
        cases = run(condition, patients, frames, test, folder)
        write_table(cases, path)
        print(f"{condition.name}: Dice {cases.dice.mean():.4f}, EF error "
              f"{cases.ef_error.mean():.2f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
