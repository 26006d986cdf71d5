"""Training and scoring of networks from a shell."""

import argparse
import json
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..files import atomic_path, write_table
from ..networks import PRECISIONS, TARGETS
from ..networks.pretrained import WEIGHTS_FILE
from .learning import is_corrections, learn_from
from .options import add_device, add_force, add_seed, add_split, check_file, refuse_input
from .shared import SIZE, Add, open_labelled, open_packed, report_problems

MINUTES = 10.0


def add_commands(add: Add) -> None:
    """Add `train` and `evaluate` to the command line."""
    command = add("train", train)
    command.add_argument("data", help="folder of a data set, or of corrections")
    command.add_argument("--out", required=True, help="folder for weights and checkpoint")
    command.add_argument(
        "--size", type=int, default=SIZE, help=f"side of the square, px (default {SIZE})"
    )
    length = command.add_mutually_exclusive_group()
    length.add_argument(
        "--minutes", type=float,
        help=f"wall time of the whole training (default {MINUTES:g}; a resumed training keeps its "
        "length unless another one is given, by which it becomes longer or shorter)",
    )  # fmt: skip
    length.add_argument("--epochs", type=float, help="length in epochs instead")
    command.add_argument(
        "--width", type=int,
        help="channels of the first level (default 24, or those of the weights to start from)",
    )  # fmt: skip
    command.add_argument(
        "--loss", help="of masks, such as bce_dice (the default), bce_dice_area or bce_iou"
    )
    command.add_argument(
        "--target", default="masks", choices=TARGETS,
        help="what to learn: masks (default); 40 or 7 landmarks by heatmaps; 40 by regression",
    )  # fmt: skip
    command.add_argument("--start", help="weights to start from: pretrained name, file or folder")
    command.add_argument(
        "--remember", metavar="DATA",
        help="of corrections: data set that the network must not forget (default: the phantom)",
    )  # fmt: skip
    command.add_argument(
        "--corrupted", type=float, default=0.0, metavar="SHARE",
        help="share of the training images that are shown corrupted, 0 to 1 (default 0)",
    )  # fmt: skip
    command.add_argument(
        "--cycle", action="store_true",
        help="show each frame between the ED and the ES frame of its clip, as lv_cycle sees it",
    )  # fmt: skip
    command.add_argument(
        "--precision", default="auto", choices=PRECISIONS,
        help="auto: bf16 where the processor or GPU computes in it, else fp32; equal trainings "
        "need an equal precision (default auto; a resumed training keeps its own)",
    )  # fmt: skip
    add_seed(command)
    command.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    add_device(command)

    command = add("evaluate", evaluate)
    command.add_argument("data", help="folder of a data set")
    command.add_argument(
        "--weights", default="lv", help="pretrained name, file or folder (default lv)"
    )
    add_split(command, "test")
    command.add_argument("--json", help="file for the summary; a CSV of cases goes beside it")
    add_device(command)
    add_force(command, "files of --json")


def train(arguments: argparse.Namespace) -> None:
    """Train on the official training patients, choose by the validation patients.

    On a folder of corrections, with --start: train that network further, and keep the new weights
    where they are not worse on corrected patients that are held out.
    """
    import torch

    from ..data.frames import within_cycle
    from ..networks.models import load_model, new_model, shape_of, start_from
    from ..networks.plan import TrainingConfig
    from ..networks.training import Training

    refuse_input(arguments.data, Path(arguments.out))
    if is_corrections(arguments.data):
        learn_from(arguments)
        return
    if arguments.remember:
        raise ValueError("--remember is for a folder of corrections and a network to --start from.")
    if arguments.loss and arguments.target != "masks":
        raise ValueError("--loss is for masks; landmarks have a loss of their own.")
    config = TrainingConfig(
        **_length(arguments), loss=arguments.loss or "bce_dice",
        seed=arguments.seed, corrupted=arguments.corrupted, precision=arguments.precision,
        start=arguments.start or "",
    )  # fmt: skip
    bar = not arguments.quiet
    frames = open_packed(arguments.data, arguments.size, bar)
    if arguments.cycle:
        frames = within_cycle(frames)
    torch.manual_seed(arguments.seed)
    source = load_model(arguments.start) if arguments.start else None
    shape = {} if source is None else shape_of(source)
    if arguments.width is not None:
        shape["width"] = arguments.width
    model = new_model(arguments.target, outputs=frames.outputs, inputs=frames.inputs, **shape)
    if source is not None:
        anew = start_from(model, source)
        print(f"weights of {arguments.start}; {', '.join(anew) or 'nothing'} made anew")
    parts = frames.split("train"), frames.split("val")
    training = Training(model, *parts, arguments.out, config, arguments.resume)
    arguments.kept = (
        "what was done up to the last validation is kept, if there was one; --resume goes on there"
    )
    training.run(bar)
    print(
        f"best validation Dice {training.progress.best:.4f} after {training.progress.step} steps "
        f"in {training.precision}"
    )
    print(f"weights in {Path(arguments.out) / WEIGHTS_FILE}")


def _length(arguments: argparse.Namespace) -> dict[str, Any]:
    """Length of a training as given, else that of the training to resume, else `MINUTES`."""
    from ..networks.checkpoints import planned_length
    from ..networks.training import CHECKPOINT_FILE

    if arguments.epochs is not None:
        return {"epochs": arguments.epochs}
    if arguments.minutes is not None:
        return {"minutes": arguments.minutes}
    checkpoint = Path(arguments.out) / CHECKPOINT_FILE
    if arguments.resume and checkpoint.is_file():
        return planned_length(checkpoint)
    return {"minutes": MINUTES}


def evaluate(arguments: argparse.Namespace) -> None:
    """Score weights on a data set, in the geometry of its own frames."""
    from ..data import problem_summary
    from ..metrics import SCORES, summarise
    from ..networks.inference import score
    from ..networks.models import load_model
    from ..networks.pretrained import find_weights

    path = None if arguments.json is None else Path(arguments.json)
    if path is None and arguments.quiet:
        raise ValueError("--quiet shows no scores: name a file for them with --json.")
    if path is not None and path.suffix.lower() == ".csv":
        raise ValueError(
            f"--json: expected a file such as {path.with_suffix('.json')}, found {path}, where the "
            "CSV of cases would lie."
        )
    for file in () if path is None else (path, path.with_suffix(".csv")):
        check_file(file, ".json", arguments.force)
        refuse_input(arguments.data, file)
    data = open_labelled(arguments.data)
    problems = list(data.problems)
    network = load_model(arguments.weights)
    cases = score(network, data, arguments.split, not arguments.quiet, problems)
    if cases.empty:
        splits = sorted(data.table.split.unique())
        raise DataError(
            f"{arguments.data} has no readable frame in the split {arguments.split!r}; "
            f"choose --split all or one of {splits}.\n{problem_summary(problems)}"
        )
    summary = summarise(cases)
    summary |= {"split": arguments.split, "source": cases.source.iloc[0]}
    summary["weights"] = find_weights(arguments.weights).name
    print(f"{summary['n']} frames of {summary['patients']} patients, {summary['source']}")
    for name in SCORES:
        values = summary[name]
        low, high = values["ci95"]
        unit = f" {summary['unit']}" if name in ("hd95", "assd") else ""
        print(
            f"{name:5} mean {values['mean']:.3f} (95 % {low:.3f} to {high:.3f}), "
            f"median {values['median']:.3f}, p10 {values['p10']:.3f}{unit}"
        )
    report_problems(problems)
    if path is not None:
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(summary, indent=2) + "\n")
        write_table(cases, path.with_suffix(".csv"))
