"""Calibration of the ejection fraction from a shell."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from .shared import SPLITS, Add, about_ef, add_weights, describe, open_clips, report_problems

if TYPE_CHECKING:
    import pandas as pd

    from ..ventricle.calibration import Calibration
    from ..ventricle.clip import Networks


def add_commands(add: Add) -> None:
    """Add `calibrate` to the command line."""
    command = add("calibrate", calibrate)
    command.add_argument("data", help="folder of a study whose ejection fractions are known")
    command.add_argument("--out", required=True, help="JSON file to write; a folder lies beside it")
    add_weights(command)
    command.add_argument("--split", default="val", choices=SPLITS)
    command.add_argument(
        "--correction", default="auto", choices=("auto", "line", "none"),
        help="line: correct each EF by a straight line; none: leave it as measured; auto (default):"
        " a line where it clearly helps, on the clips of --also too",
    )  # fmt: skip
    command.add_argument(
        "--also", help="folder of a study of other hearts, on which the intervals must hold, too"
    )
    command.add_argument("--also-split", default="train", choices=SPLITS)
    command.add_argument(
        "--widen", type=float, default=1.0,
        help="factor for all intervals, chosen on other hearts (default 1; --also finds it)",
    )  # fmt: skip
    command.add_argument(
        "--chosen-on", default="", help="the hearts that the factor of --widen was chosen on"
    )


def calibrate(arguments: argparse.Namespace) -> None:
    """Learn from clips with known ejection fraction how wide the interval must be."""
    from dataclasses import replace

    from ..ventricle.calibration import fit_calibration, needed_widening
    from ..ventricle.clip import WEIGHTS, load_networks

    out = Path(arguments.out)
    if out.suffix != ".json" or out.is_dir():
        raise ValueError(f"--out: expected a JSON file such as function.json, found {out}.")
    _check_widening(arguments)
    networks = load_networks(tuple(arguments.weights or WEIGHTS), calibration=None)
    folder, split = out.with_suffix(""), arguments.split
    clips, description = _known(arguments.data, networks, folder, split)
    also, chosen_on = None, arguments.chosen_on
    if arguments.also is not None:
        beside = folder.with_name(f"{folder.name}-also")
        also, chosen_on = _known(arguments.also, networks, beside, arguments.also_split)
    calibration = fit_calibration(clips, description, networks.names, arguments.correction, also)
    if also is not None:
        _print_by_range(f"{chosen_on}, before widening", calibration, also)
    widen = arguments.widen if also is None else needed_widening(calibration, also)
    calibration = replace(calibration, widen=widen, chosen_on=chosen_on if widen > 1 else "")
    calibration.save(out)
    print(calibration)


def _check_widening(arguments: argparse.Namespace) -> None:
    """Raise ValueError where the options of `calibrate` do not say where a factor comes from."""
    if arguments.also is not None and (arguments.widen != 1 or arguments.chosen_on):
        raise ValueError("--also finds the factor of --widen. Give one of the two.")
    if not 1 <= arguments.widen <= 10:
        raise ValueError(f"--widen: expected a factor from 1 to 10, found {arguments.widen:g}.")
    if arguments.widen > 1 and not arguments.chosen_on:
        raise ValueError(
            "--widen: reports say where the factor comes from. Describe the hearts that it was "
            "chosen on with --chosen-on."
        )


def _known(path: str, networks: "Networks", folder: Path, split: str) -> tuple["pd.DataFrame", str]:
    """Measure a split of a study with known EF into a folder; its clips, and what they are."""
    from ..data.problems import problems_of
    from ..ventricle.study import measure_study

    data = open_clips(path, labelled=True)
    tables = measure_study(data, networks, folder, split)
    report_problems(problems_of(tables["problems"]))
    if said := about_ef(data):
        print(said)
    return tables["clips"], f"{describe(data)}, split {split}"


def _print_by_range(what: str, calibration: "Calibration", clips: "pd.DataFrame") -> None:
    """Scores of the clips by range of EF, as the calibration reads them."""
    from ..ventricle.calibration import read_clips
    from ..ventricle.scores import ef_scores_by_range

    table = ef_scores_by_range(read_clips(calibration, clips)).round(1)
    print(f"{what}:\n{table.to_string(index=False)}")
