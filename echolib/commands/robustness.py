"""Networks on corrupted frames from a shell."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import fast_mode
from ..errors import DataError
from .options import add_device, add_seed, add_split, add_workers, refuse_input
from .shared import KEPT_PARTS, Add, open_packed

if TYPE_CHECKING:
    from ..networks.models import Encoder


def add_commands(add: Add) -> None:
    """Add `robustness` to the command line."""
    command = add("robustness", robustness)
    command.add_argument("data", help="folder of a data set")
    command.add_argument("--out", required=True, help="folder to write; resumed where it stopped")
    command.add_argument(
        "--weights", nargs="+", default=["lv", "lv_landmarks"],
        help="pretrained names, files or folders; the first is the baseline "
        "(default lv lv_landmarks)",
    )  # fmt: skip
    add_split(command, "test")
    command.add_argument(
        "--frames", type=int,
        help="at most that many, whole clips spread over the split (default 100, 16 in fast mode; "
        "all with --clean)",
    )  # fmt: skip
    command.add_argument(
        "--corruptions", nargs="+", metavar="NAME", help="of the twelve (default all)"
    )
    command.add_argument(
        "--clean", action="store_true",
        help="score the clean frames alone: is the first of --weights better than the others?",
    )  # fmt: skip
    command.add_argument(
        "--severities",
        nargs="+",
        type=int,
        choices=(1, 2, 3, 4, 5),
        default=[1, 2, 3, 4, 5],
        help="of each corruption, 1 to 5 (default all)",
    )
    add_seed(command)
    add_workers(command, "processes that score")
    add_device(command)


def robustness(arguments: argparse.Namespace) -> None:
    """Score models on clean and on corrupted frames, compare them, and draw the results."""
    import pandas as pd

    from ..networks.card import about_training
    from ..report.robustness import (
        DIFFERENCES_FILE,
        explain_differences,
        explain_summary,
        report_robustness,
    )
    from ..robustness.benchmark import conditions

    if arguments.frames is not None and arguments.frames < 1:
        raise ValueError(f"--frames must be 1 or more, not {arguments.frames}.")
    refuse_input(arguments.data, Path(arguments.out))
    if arguments.clean and arguments.corruptions:
        raise ValueError("--clean scores frames without --corruptions: give one of the two.")
    corruptions = () if arguments.clean else arguments.corruptions
    conditions(corruptions, arguments.severities)  # refuses what there is not, early
    models = _load(arguments.weights)
    size = next(iter(models.values())).size
    arguments.kept, bar = KEPT_PARTS, not arguments.quiet
    frames = open_packed(arguments.data, size, bar).split(arguments.split)
    if not len(frames):
        raise DataError(f"{arguments.data} has no readable frame in {arguments.split!r}.")
    notes = [about_training(model, frames.table) for model in models.values()]
    if arguments.frames or not arguments.clean:
        frames = frames.spread(arguments.frames or (16 if fast_mode() else 100))
    print(f"{len(frames)} frames of {frames.table.patient.nunique()} patients")
    settings: dict[str, Any] = {"seed": arguments.seed, "progress": bar}
    settings |= {"corruptions": corruptions, "severities": tuple(arguments.severities)}
    settings |= {"workers": arguments.workers, "scheduler": arguments.scheduler}
    summary = report_robustness(models, frames, arguments.out, **settings)
    print(summary.round(3).to_string())
    print(explain_summary(models, arguments.clean))
    differences = pd.read_csv(Path(arguments.out) / DIFFERENCES_FILE)
    for line in filter(None, (explain_differences(differences), *notes)):
        print(line)
    print(f"cases, tables and figures in {arguments.out}")


def _load(weights: list[str]) -> "dict[str, Encoder]":
    """The networks by name. Raises ValueError for some that cannot be compared."""
    from ..networks.inference import sees_beat
    from ..networks.models import load_model

    models: dict[str, Encoder] = {}
    for given in weights:
        model = load_model(given, "ventricle")
        if model.name in models:
            raise ValueError(f"Two weights are called {model.name!r}; rename one file or folder.")
        if sees_beat(model):
            raise ValueError(
                f"{given} sees each frame between the ED and the ES frame of its clip, but "
                "networks of single frames are compared here. `evaluate` scores it."
            )
        models[model.name] = model
    sizes = sorted({model.size for model in models.values()})
    if len(sizes) > 1:
        raise ValueError(f"The models see squares of {sizes} px; compare those of one size.")
    return models
