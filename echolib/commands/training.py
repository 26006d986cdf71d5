"""Training and scoring of networks from a shell."""

import argparse
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DataError
from ..files import atomic_path, write_table
from ..networks import PRECISIONS, TARGETS
from ..networks.pretrained import WEIGHTS_FILE
from .learning import is_corrections, learn_from
from .options import add_device, add_force, add_seed, add_split, check_file, refuse_input
from .shared import SIZE, Add, open_labelled, open_packed, report_problems

if TYPE_CHECKING:
    import pandas as pd

    from ..data import FrameSet
    from ..networks.models import Encoder
    from ..networks.training import Training

MINUTES = 10.0
MOST_AVERAGED = 1_000_000  # steps
PHASES = ("ED", "ES")


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
        "--average", type=int, metavar="STEPS",
        help="keep the learning rate, and average the weights over about so many of the last steps "
        "(default: lower the rate towards the end, and average over 200)",
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
        "--weights", default="lv",
        help="one network: pretrained name, file or folder (default lv); `robustness --clean` "
        "compares several",
    )  # fmt: skip
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
        **_length(arguments), **_averaging(arguments), loss=arguments.loss or "bce_dice",
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
    if training.finished:
        print(f"the training in {arguments.out} is finished: {_outcome(training)}")
        print("nothing was trained; a larger --minutes or --epochs makes it longer")
        print(f"weights in {Path(arguments.out) / WEIGHTS_FILE}")
        return
    print(f"training on {_count(parts[0])} (split train), chosen by {_count(parts[1])} (split val)")
    arguments.kept = (
        "what was done up to the last validation is kept, if there was one; --resume goes on there"
    )
    training.run(bar)
    print(_outcome(training))
    print(f"weights in {Path(arguments.out) / WEIGHTS_FILE}")


def _count(frames: "FrameSet") -> str:
    """How many frames of how many patients, in words."""
    patients = frames.table.patient.nunique()
    return f"{len(frames)} frames of {patients} patient{'s' * (patients > 1)}"


def _outcome(training: "Training") -> str:
    """How a finished training ended, in words: its best Dice, at which step, and why it stopped."""
    state, history = training.progress, training.history
    best = int(history.step[history.val_dice.idxmax()]) if len(history) else 0
    early = ""
    if state.step < state.steps:
        early = f"stopped early at step {state.step}: no better for {state.stale} rounds; "
    return (
        f"{early}best validation Dice {state.best:.4f} at step {best} of {state.steps} planned, "
        f"in {training.precision}"
    )


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


def _averaging(arguments: argparse.Namespace) -> dict[str, Any]:
    """Settings of a training that averages its weights instead of lowering its learning rate."""
    if arguments.average is None:
        return {}
    if not 1 <= arguments.average <= MOST_AVERAGED:
        raise ValueError(
            f"--average: expected 1 to {MOST_AVERAGED} steps, found {arguments.average}."
        )
    return {"constant": True, "average": 1 - 1 / arguments.average}


def evaluate(arguments: argparse.Namespace) -> None:
    """Score a network on a data set, in the geometry of its own frames."""
    from ..data import problem_summary
    from ..networks.card import about_training
    from ..networks.inference import score, sees_beat
    from ..networks.models import load_model, weights_digest

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
    network = load_model(arguments.weights, "ventricle")
    cases = score(network, data, arguments.split, not arguments.quiet, problems)
    if cases.empty:
        splits = sorted(data.table.split.unique())
        needs = "with a labelled ED and ES frame beside it, " if sees_beat(network) else ""
        raise DataError(
            f"{arguments.data} has no readable frame {needs}in the split {arguments.split!r}; "
            f"choose --split all or one of {splits}.\n{problem_summary(problems)}"
        )
    summary = _summarise(cases)
    summary |= {"split": arguments.split, "source": cases.source.iloc[0]}
    summary |= {"weights": arguments.weights, "weights_digest": weights_digest(network)}
    _print_network(network, arguments.weights, summary)
    _print_scores(summary)
    if said := about_training(network, cases):
        print(said)
    report_problems(problems)
    if path is not None:
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(_without_nan(summary), indent=2) + "\n")
        write_table(cases, path.with_suffix(".csv"))


def _summarise(cases: "pd.DataFrame") -> dict[str, Any]:
    """`metrics.summarise` of all cases, and under "phases" of those at ED and at ES."""
    from ..metrics import summarise

    parts = {phase: cases[cases.phase == phase] for phase in PHASES}
    phases = {phase: summarise(part) for phase, part in parts.items() if len(part)}
    return summarise(cases) | {"phases": phases}


def _print_network(network: "Encoder", weights: str, summary: dict[str, Any]) -> None:
    """Print which network is scored on which frames, and whether it usually works with others."""
    from ..ventricle.networks import WEIGHTS

    print(
        f"{network.name} on {summary['source']}, split {summary['split']}: {summary['n']} frames "
        f"of {summary['patients']} patients"
    )
    if weights in WEIGHTS:
        others = ", ".join(name for name in WEIGHTS if name != weights)
        print(f"{weights} is scored alone; `function` scores it together with {others}")


def _print_scores(summary: dict[str, Any]) -> None:
    """Print each score over all frames, then at ED and at ES."""
    from ..metrics import SCORES
    from ..statistics import interval_in_words

    for name in SCORES:
        unit = f" {summary['unit']}" if name in ("hd95", "assd") else ""
        for part, rows in {"all": summary, **summary["phases"]}.items():
            values = rows[name]
            low, high = values["ci95"]
            interval = interval_in_words(low, high, rows["patients"])
            print(
                f"{name:5}{part:4} mean {values['mean']:.3f} ({interval}), median "
                f"{values['median']:.3f}, p10 {values['p10']:.3f}{unit}"
            )


def _without_nan(value: Any) -> Any:
    """The values for a JSON file, which has no NaN: an interval that is none becomes null."""
    if isinstance(value, dict):
        return {name: _without_nan(each) for name, each in value.items()}
    return None if isinstance(value, list) and any(map(math.isnan, value)) else value
