"""What networks gain from hearts that nobody has outlined: CAMUS, whose labels only judge.

    python -m benchmarks.adaptation ../shared/camus --out build/adaptation

The shipped networks outline the end-diastolic and the end-systolic frame of CAMUS training patients
together, and are trained further on these outlines, as `echolib adapt` does it. Of the experts'
labels, only which frame is which moment is used. `lv_landmarks` learns from 20, 100 and all
patients, with two seeds, the others from all. The 50 validation patients are the test: single
networks by `echolib evaluate`, all four together by `echolib function`, before any correction of
the ejection fraction. Intervals are of 95 %, bootstrap by patient.

Finished outlines, steps and tests are on the disk, and a stopped run goes on there. `--rehearse`
tests on the last 50 training patients instead, which are not outlined then: choose settings by it.
Writes benchmarks/adaptation.csv.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from echolib.config import project_root
from echolib.data import Camus
from echolib.files import write_table
from echolib.networks.inference import score
from echolib.networks.models import load_model
from echolib.statistics import bootstrap_interval, paired_difference
from echolib.ventricle import load_networks, measure_study
from echolib.ventricle.adaptation import (
    FOLDERS,
    adaptation_config,
    outlined_frames,
    train_on_outlines,
)
from echolib.ventricle.networks import WEIGHTS

TABLE = project_root() / "benchmarks" / "adaptation.csv"
FEW, SEEDS = (20, 100), (0, 1)
FEW_LEARNER = "landmarks"  # the network that also learns from few patients
TOGETHER = "all four"
REHEARSED = 50  # training patients that are the test of a rehearsal


@dataclass(frozen=True)
class Adapted:
    """Weights that are tested. name: of the network. patients: number it could learn from."""

    name: str
    patients: int
    seed: int
    weights: tuple[str, ...]


def split_off(data: Camus, count: int) -> None:
    """Make the last training patients of a data set its validation patients."""
    train = data.table.index[data.table.split == "train"]
    data.table.loc[data.table.split == "val", "split"] = "test"
    data.table.loc[train[-count:], "split"] = "val"


def train_all(data: Camus, folder: Path) -> list[Adapted]:
    """Train what is not on the disk yet; all that is to be tested, the shipped networks first."""
    shipped, everybody = load_networks(WEIGHTS), int((data.table.split == "train").sum())
    tested = [Adapted(name, 0, 0, (name,)) for name in WEIGHTS if "cycle" not in name]
    tested.append(Adapted(TOGETHER, 0, 0, WEIGHTS))
    for count in (*(few for few in FEW if few < everybody), everybody):
        place = folder / f"{count}-patients"
        frames = outlined_frames(data, shipped, place, "train", count, workers=None)
        for seed in SEEDS:
            trained = {}
            for role, name in FOLDERS.items():
                if role != FEW_LEARNER and (count < everybody or seed != SEEDS[0]):
                    continue
                out = place / f"seed-{seed}" / name
                config = adaptation_config(len(frames), seed=seed)
                train_on_outlines(getattr(shipped, role), frames, out, config, progress=False)
                trained[role] = str(out)
            for role in trained.keys() & {"single", "landmarks"}:
                name = FOLDERS[role].removesuffix("_adapted")
                tested.append(Adapted(name, count, seed, (trained[role],)))
            if len(trained) == len(FOLDERS):
                tested.append(Adapted(TOGETHER, count, seed, tuple(trained.values())))
    return tested


def score_patients(adapted: Adapted, data: Camus, folder: Path) -> pd.DataFrame:
    """One row per test patient: patient, dice (mean of ED and ES), ef_error in points."""
    path = folder / "tests" / f"{adapted.name}-{adapted.patients}-{adapted.seed}".replace(" ", "-")
    cases = path / "cases.csv"
    if not cases.is_file():
        if len(adapted.weights) == 1:
            table = score(load_model(adapted.weights[0]), data, "val", progress=False)
            scores = table.groupby("patient")[["dice"]].mean().assign(ef_error=np.nan)
        else:
            networks = load_networks(adapted.weights, calibration=None)
            tables = measure_study(data, networks, path, "val", progress=False)
            clips = tables["clips"].set_index("patient")
            scores = tables["frames"].groupby("patient")[["dice"]].mean()
            scores["ef_error"] = (clips.ef_measured - clips.ef_true).abs()
        write_table(scores.reset_index(), cases)
    table = pd.read_csv(cases, dtype={"patient": str})
    return table.assign(name=adapted.name, patients=adapted.patients, seed=adapted.seed)


def summarise(cases: pd.DataFrame) -> pd.DataFrame:
    """One row per network and number of patients, from rows of `score_patients`.

    network, patients: what was trained on how many outlined patients, 0: as shipped. tested: number
    of test patients. seeds: number of trainings; scores are averaged over them by patient. dice,
    ef_error: means with the bounds of their intervals. gain: Dice minus that of the same network as
    shipped.
    """
    means = cases.groupby(["name", "patients", "patient"])[["dice", "ef_error"]].mean()
    rows = []
    for (name, count), scores in means.groupby(level=[0, 1]):
        scores, before = scores.loc[name, count], means.loc[name, 0]
        seeds = cases[(cases.name == name) & (cases.patients == count)].seed.nunique()
        row = {"network": name, "patients": count, "tested": len(scores), "seeds": seeds}
        for column in ("dice", "ef_error"):
            low, high = bootstrap_interval(scores[column].to_numpy())
            row |= {column: scores[column].mean(), f"{column}_low": low, f"{column}_high": high}
        if count:
            found = paired_difference(
                scores.dice.to_numpy(), before.dice.to_numpy(), scores.index.to_numpy()
            )
            row |= {"gain": found.mean, "gain_low": found.low, "gain_high": found.high}
        rows.append(row)
    return pd.DataFrame(rows).round(4)


def main() -> None:
    """Run what is not on the disk yet, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("camus", type=Path, help="folder of CAMUS")
    parser.add_argument("--out", type=Path, default=Path("build/adaptation"))
    parser.add_argument("--rehearse", action="store_true", help="test on training patients")
    options = parser.parse_args()
    data, folder = Camus(options.camus), options.out
    if options.rehearse:
        split_off(data, REHEARSED)
        folder = folder / "rehearsal"
    cases = [score_patients(adapted, data, folder) for adapted in train_all(data, folder)]
    table = summarise(pd.concat(cases, ignore_index=True))
    print(table.to_string(index=False))
    write_table(table, folder / "table.csv" if options.rehearse else TABLE)


if __name__ == "__main__":
    main()
