"""Networks on corrupted frames from a shell."""

import argparse
from pathlib import Path

from ..config import fast_mode
from ..errors import DataError
from .options import add_device, add_seed, add_split, add_workers, refuse_input
from .shared import KEPT_PARTS, Add, open_packed


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
        "--frames", type=int, default=16 if fast_mode() else 100,
        help="at most that many, whole clips spread over the split (default 100; 16 in fast mode)",
    )  # fmt: skip
    command.add_argument(
        "--corruptions", nargs="+", metavar="NAME", help="of the twelve (default all)"
    )
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
    from ..networks.models import load_model
    from ..report.robustness import explain_summary, report_robustness
    from ..robustness.benchmark import conditions

    if arguments.frames < 1:
        raise ValueError(f"--frames must be 1 or more, not {arguments.frames}.")
    refuse_input(arguments.data, Path(arguments.out))
    conditions(arguments.corruptions, arguments.severities)  # refuses what there is not, early
    models = {}
    for given in arguments.weights:
        model = load_model(given)
        if model.name in models:
            raise ValueError(f"Two weights are called {model.name!r}; rename one file or folder.")
        models[model.name] = model
    sizes = sorted({model.size for model in models.values()})
    if len(sizes) > 1:
        raise ValueError(f"The models see squares of {sizes} px; compare those of one size.")
    arguments.kept, bar = KEPT_PARTS, not arguments.quiet
    frames = open_packed(arguments.data, sizes[0], bar).split(arguments.split)
    if not len(frames):
        raise DataError(f"{arguments.data} has no readable frame in {arguments.split!r}.")
    frames = frames.spread(arguments.frames)
    print(f"{len(frames)} frames of {frames.table.patient.nunique()} patients")
    settings = {"corruptions": arguments.corruptions, "severities": tuple(arguments.severities)}
    settings |= {"seed": arguments.seed, "progress": bar}
    settings |= {"workers": arguments.workers, "scheduler": arguments.scheduler}
    summary = report_robustness(models, frames, arguments.out, **settings)
    print(summary.round(3).to_string())
    print(explain_summary(models))
    print(f"cases, tables and figures in {arguments.out}")
