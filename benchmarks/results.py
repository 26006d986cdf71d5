"""The results that notebook 06 shows: Dice and ejection fraction of the networks in the package.

    make results                          # phantom, and EchoNet-Dynamic where it is in data/
    make results CAMUS=../shared/camus    # and CAMUS

Writes small tables to notebooks/results; each row names its data. The phantom study has hearts
of its own seed, which neither trained nor calibrated anything. Tables of data that is not at hand
keep their old rows. What was measured lies in build/results and is resumed; `make clean` first
when a network has changed. Of licensed data only scores are kept, no value of a patient.
"""

import argparse
from collections.abc import Iterator

import numpy as np
import pandas as pd

from echolib import config
from echolib.data import Camus, Dataset, EchoNet, pack_once
from echolib.files import write_table
from echolib.networks.inference import score
from echolib.networks.models import load_model
from echolib.phantom.common import VERSION
from echolib.phantom.studies import write_lv_study
from echolib.report.robustness import report_robustness
from echolib.ventricle.networks import Networks, load_networks
from echolib.ventricle.scores import dice_scores, ef_scores, ef_scores_by_range
from echolib.ventricle.study import measure_study

RESULTS = config.project_root() / "notebooks" / "results"
BUILD = config.project_root() / "build" / "results"
CLIPS, SEED = 300, 202  # of the phantom study
ALONE = ("lv", "lv_landmarks", "lv_robust", "lv_landmarks_robust")
ROBUST_FRAMES, SEVERITIES = 100, (1, 3, 5)


def sources(camus: str | None) -> Iterator[tuple[str, Dataset, tuple[str, ...]]]:
    """Name, reader and splits of each data set at hand."""
    study = config.data_folder() / "phantom" / f"results-{CLIPS}-seed{SEED}-v{VERSION}"
    yield "phantom", EchoNet(write_lv_study(study, CLIPS, SEED)), ("all",)
    if camus is not None:
        yield "CAMUS", Camus(camus), ("train", "val")
    real = config.data_folder() / "echonet-dynamic"
    if real.is_dir():
        yield "EchoNet-Dynamic", EchoNet(real), ("val", "test")


def segmentation(name: str, data: Dataset, split: str, frames: pd.DataFrame) -> pd.DataFrame:
    """Dice of every network that sees a frame alone, and of the whole pipeline (`frames`)."""
    tables = []
    for weights in ALONE:
        network = load_model(weights)
        tables.append(dice_scores(score(network, data, split)).assign(network=weights))
    tables.append(dice_scores(frames).assign(network="function"))
    table = pd.concat(tables, ignore_index=True)
    front = {"data": name, "split": split, "network": table.pop("network")}
    for place, (column, values) in enumerate(front.items()):
        table.insert(place, column, values)
    return table


def measured(name: str, data: Dataset, split: str, networks: Networks) -> tuple[pd.DataFrame, ...]:
    """Rows of the tables on segmentation, on EF and on EF by range, and the clips."""
    tables = measure_study(data, networks, BUILD / f"{name}-{split}", split)
    clips, overall, by_range = tables["clips"], [], []
    for what, (read, column) in readings(clips).items():
        front = {"data": name, "split": split, "reading": what}
        overall.append(ef_scores(read, column=column).tail(1).drop(columns="split").assign(**front))
        by_range.append(ef_scores_by_range(read, column=column).assign(**front))
    fractions, ranges = (named_first(pd.concat(part)) for part in (overall, by_range))
    return segmentation(name, data, split, tables["frames"]), fractions, ranges, clips


def readings(clips: pd.DataFrame) -> dict[str, tuple[pd.DataFrame, str]]:
    """The clips and the column of their EF: measured, without intervals, and corrected.

    Where no EF is corrected, one reading has both.
    """
    if (clips.ef_corrected == clips.ef_measured)[clips.ef_corrected.notna()].all():
        return {"measured": (clips, "ef_measured")}
    outlined = clips.assign(ef_low=np.nan, ef_high=np.nan)
    return {"measured": (outlined, "ef_measured"), "corrected": (clips, "ef_corrected")}


def named_first(table: pd.DataFrame) -> pd.DataFrame:
    """The table with the columns that name its rows in front."""
    front = ["data", "split", "reading"]
    return table[front + [column for column in table if column not in front]]


def replace_rows(table: pd.DataFrame, file: str) -> None:
    """Write a table; rows of data that were not measured now are kept as they were."""
    path = RESULTS / file
    if path.is_file():
        old = pd.read_csv(path)
        table = pd.concat([old[~old.data.isin(table.data)], table], ignore_index=True)
    write(table, file)


def write(table: pd.DataFrame, file: str) -> None:
    """Write a table with four decimals."""
    write_table(table.round(4), RESULTS / file)


def main() -> None:
    """Measure, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--camus", help="folder of CAMUS")
    arguments = parser.parse_args()
    networks = load_networks()
    dices, fractions, ranges = [], [], []
    for name, data, splits in sources(arguments.camus or None):
        for split in splits:
            print(f"{name}, {split}")
            dice, fraction, by_range, clips = measured(name, data, split, networks)
            dices.append(dice)
            fractions.append(fraction)
            ranges.append(by_range)
            if name == "phantom":
                columns = ["name", "ef_true", "ef_measured", "ef_corrected"]
                columns += ["ef_low", "ef_high", "n_beats"]
                write_table(clips[columns], RESULTS / "phantom_clips.csv")  # unrounded: counted
                robustness(data)
    replace_rows(pd.concat(dices, ignore_index=True), "segmentation.csv")
    replace_rows(pd.concat(fractions, ignore_index=True), "ejection_fraction.csv")
    replace_rows(pd.concat(ranges, ignore_index=True), "ejection_fraction_by_range.csv")
    print(f"tables in {RESULTS}")


def robustness(data: Dataset) -> None:
    """Tables of the shipped networks under corruption, on phantom frames."""
    frames = pack_once(data, 112).spread(ROBUST_FRAMES)
    models = {weights: load_model(weights) for weights in ALONE}
    folder = BUILD / "robustness"
    summary = report_robustness(models, frames, folder, severities=SEVERITIES)
    write(summary.rename_axis("model").reset_index(), "phantom_robustness.csv")
    write(pd.read_csv(folder / "comparison.csv"), "phantom_comparison.csv")


if __name__ == "__main__":
    main()
