"""Calibration of the ejection fraction from a shell."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DataError
from .options import (
    add_device,
    add_force,
    add_split,
    add_weights,
    check_file,
    refuse_input,
)
from .shared import KEPT_CLIPS, Add, about_ef, describe, open_clips, report_problems

if TYPE_CHECKING:
    import pandas as pd

    from ..data import Dataset
    from ..ventricle.calibration import Calibration
    from ..ventricle.networks import Networks

SPLIT, ALSO_SPLIT = "val", "train"  # by default, of the study and of that of --also


def add_commands(add: Add) -> None:
    """Add `calibrate` to the command line."""
    command = add("calibrate", calibrate)
    command.add_argument(
        "data",
        help="folder of a study with 40 clips or more whose ejection fractions are known, or "
        "of clips with the table EF.csv",
    )
    command.add_argument("--out", required=True, help="JSON file to write; a folder lies beside it")
    add_weights(command)
    add_split(command, SPLIT, "the study")
    command.add_argument(
        "--correction", default="auto", choices=("auto", "line", "none"),
        help="line: correct each EF by a straight line; none: leave it as measured; auto (default):"
        " a line where it clearly helps, on the clips of --also too",
    )  # fmt: skip
    command.add_argument(
        "--also",
        help="folder of a study of other hearts, 40 clips or more, on which the intervals must "
        "hold, too",
    )
    add_split(command, ALSO_SPLIT, "the study of --also", "--also-split")
    command.set_defaults(split=None, also_split=None)  # a folder of clips has none
    command.add_argument(
        "--widen", type=float, default=1.0,
        help="factor for all intervals, chosen on other hearts (default 1; --also finds it)",
    )  # fmt: skip
    command.add_argument(
        "--chosen-on", default="", help="the hearts that the factor of --widen was chosen on"
    )
    add_device(command)
    add_force(command, "calibrations")


def calibrate(arguments: argparse.Namespace) -> None:
    """Learn from clips with known ejection fraction how wide the interval must be."""
    from dataclasses import replace

    from ..ventricle.calibration import fit_calibration, needed_widening
    from ..ventricle.networks import WEIGHTS, load_networks

    out = Path(arguments.out)
    if out.suffix != ".json" or out.is_dir():
        raise ValueError(f"--out: expected a JSON file such as function.json, found {out}.")
    check_file(out, ".json", arguments.force)
    _check_widening(arguments)
    studies = [(arguments.data, arguments.split, SPLIT, out.with_suffix(""))]
    if arguments.also is not None:
        beside = out.with_name(f"{out.stem}-also")
        studies.append((arguments.also, arguments.also_split, ALSO_SPLIT, beside))
    for path, *_ in studies:
        refuse_input(path, out, *(folder for *_, folder in studies))
    opened = [(*_enough(*study), folder) for *study, folder in studies]
    networks = load_networks(tuple(arguments.weights or WEIGHTS), calibration=None)
    arguments.kept, bar = KEPT_CLIPS, not arguments.quiet
    (clips, description), *others = (_known(*study, networks, bar) for study in opened)
    also, chosen_on = others[0] if others else (None, arguments.chosen_on)
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


def _enough(path: str, split: str | None, usual: str) -> tuple["Dataset", str]:
    """A study and its split: the one that is asked for, or the usual one, of a folder of clips all.

    Raises ValueError where too few of these clips can have a known EF.
    """
    from ..data import LooseClips, problem_summary
    from ..data.frames import in_split
    from ..data.loose import TRUE_EF
    from ..ventricle.calibration import require_enough

    data = open_clips(path)
    if isinstance(data, LooseClips):
        if split not in (None, "all"):
            raise DataError(
                f"{path} is a folder of clips, which has no split {split!r}: all of its clips with "
                "a known EF are used. Leave the option out."
            )
        split = "all"
        if data.table.EF.isna().all():
            found = f"\n{problem_summary(data.problems)}" if data.problems else ""
            raise DataError(
                f"{path} holds {len(data.table)} clips without labels: expected a data set with "
                f"tables, such as EchoNet-Dynamic, or a table {TRUE_EF} in the folder of clips, "
                f"with the columns clip and EF.{found}"
            )
    split = split or usual
    chosen = in_split(data.table, split)
    known = chosen.EF.notna().sum() if "EF" in chosen else len(chosen)  # else from the labels
    if len(chosen):  # else `measure_study` lists the splits that there are
        require_enough(int(known), f"in the split {split!r} of {path}")
    return data, split


def _known(
    data: "Dataset", split: str, folder: Path, networks: "Networks", progress: bool
) -> tuple["pd.DataFrame", str]:
    """Measure a split of a study with known EF into a folder; its clips, and what they are."""
    from ..data.problems import problems_of
    from ..ventricle.study import measure_study

    tables = measure_study(data, networks, folder, split, progress=progress)
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
