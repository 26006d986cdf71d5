"""Training and scoring of networks from a shell."""

import argparse
import json
from pathlib import Path

from ..errors import DataError
from ..files import atomic_path, write_table
from ..networks import PRECISIONS, TARGETS
from .shared import SIZE, SPLITS, Add, open_labelled, open_packed, report_problems

MINUTES = 10.0


def add_commands(add: Add) -> None:
    """Add `train` and `evaluate` to the command line."""
    command = add("train", train)
    command.add_argument("data", help="folder of a data set")
    command.add_argument("--out", required=True, help="folder for weights and checkpoint")
    command.add_argument("--size", type=int, default=SIZE, help="side of the square, px")
    length = command.add_mutually_exclusive_group()
    length.add_argument(
        "--minutes", type=float, default=MINUTES, help=f"wall time (default {MINUTES:g})"
    )
    length.add_argument("--epochs", type=float)
    command.add_argument(
        "--width", type=int,
        help="channels of the first level (default 24, or those of the weights to start from)",
    )  # fmt: skip
    command.add_argument(
        "--loss", help="of masks, such as bce_dice (the default), bce_dice_area or bce_iou"
    )
    command.add_argument(
        "--target", default="masks", choices=TARGETS,
        help="what to learn: masks; 40 or 7 landmarks by heatmaps; 40 by regression",
    )  # fmt: skip
    command.add_argument("--start", help="weights to start from: pretrained name, file or folder")
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
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")

    command = add("evaluate", evaluate)
    command.add_argument("data", help="folder of a data set")
    command.add_argument("--weights", default="lv", help="pretrained name, file or folder")
    command.add_argument("--split", default="test", choices=SPLITS)
    command.add_argument("--json", help="file for the summary; a CSV of cases goes beside it")


def train(arguments: argparse.Namespace) -> None:
    """Train on the official training patients, choose by the validation patients."""
    import torch

    from ..data.frames import within_cycle
    from ..networks.models import load_model, new_model, shape_of, start_from
    from ..networks.plan import TrainingConfig
    from ..networks.training import Training

    if arguments.loss and arguments.target != "masks":
        raise ValueError("--loss is for masks; landmarks have a loss of their own.")
    if arguments.cycle and arguments.target != "masks":
        raise ValueError("--cycle is for masks; landmarks networks see one frame.")
    bound = "minutes" if arguments.epochs is None else "epochs"
    config = TrainingConfig(
        **{bound: getattr(arguments, bound)}, loss=arguments.loss or "bce_dice",
        seed=arguments.seed, corrupted=arguments.corrupted, start=arguments.start or "",
        precision=arguments.precision,
    )  # fmt: skip
    frames = open_packed(arguments.data, arguments.size)
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
    training.run()
    print(
        f"best validation Dice {training.progress.best:.4f} after {training.progress.step} steps "
        f"in {training.precision}"
    )
    print(f"weights in {Path(arguments.out) / 'model.safetensors'}")


def evaluate(arguments: argparse.Namespace) -> None:
    """Score weights on a data set, in the geometry of its own frames."""
    from ..data import problem_summary
    from ..metrics import SCORES, summarise
    from ..networks.inference import score
    from ..networks.models import find_weights, load_model

    data = open_labelled(arguments.data)
    problems = list(data.problems)
    network = load_model(arguments.weights)
    cases = score(network, data, arguments.split, problems=problems)
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
    if arguments.json:
        path = Path(arguments.json)
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(summary, indent=2) + "\n")
        write_table(cases, path.with_suffix(".csv"))
