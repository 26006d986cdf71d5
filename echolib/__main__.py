"""The notebooks' steps from a shell; `mitral` has those of the mitral valve."""

import argparse
import json
import sys
import warnings
from pathlib import Path

from . import __version__
from .commands import browser as browser_commands
from .commands import valve as mitral_commands
from .commands import ventricle as function_commands
from .config import fast_mode
from .data import FrameSet, open_data, pack, pack_once, problem_summary, read_clip
from .data.frames import within_cycle
from .errors import DataError
from .files import atomic_path, write_table

DEFAULT_MINUTES = 10.0
DEFAULT_SCALE = 0.3  # of a mitral study
DEFAULT_SIZE = 112  # px
TARGETS = ("masks", "landmarks", "landmarks7", "regression")  # of models.new_model


def _packed(folder: str, size: int) -> FrameSet:
    """The frames of any data set folder, packed once; what was malformed is said aloud."""
    data = open_data(folder)
    if isinstance(data, FrameSet):
        if data.size != size:
            raise DataError(
                f"{folder} is packed at {data.size} px, {size} px were asked for. Use "
                f"--size {data.size} or models of that size, or the data set's own folder."
            )
        return data
    frames = pack_once(data, size)
    print(f"{len(frames)} frames of {frames.table.patient.nunique()} patients ({data.name})")
    print(problem_summary(frames.problems))
    return frames


def phantom(arguments: argparse.Namespace) -> None:
    """Write a phantom study of the left ventricle or the mitral valve, or single frames."""
    from .phantom.cycle_frames import draw_cycle_frames
    from .phantom.mitral_study import write_mitral_study
    from .phantom.single_frames import draw_frame_set
    from .phantom.studies import write_lv_study
    from .phantom.valve_frames import draw_valve_sets

    out, seed = arguments.out, arguments.seed
    if arguments.frames is not None:
        _refuse_existing(out)
        size = DEFAULT_SIZE if arguments.size is None else arguments.size
        draw_frame_set(arguments.frames, seed, size).save(out)
        print(f"{arguments.frames} phantom frames in {out}")
        return
    if arguments.cycles is not None:
        _refuse_existing(out)
        draw_cycle_frames(arguments.cycles, seed).save(out)
        print(f"frames of {arguments.cycles} phantom hearts in {out}")
        return
    if arguments.size is not None:
        raise ValueError("--size is the side of single frames: give --frames too, or leave it out.")
    if arguments.valves is not None:
        _refuse_existing(out)
        for name, frames in zip(
            ("whole", "close"), draw_valve_sets(arguments.valves, seed), strict=True
        ):
            frames.save(Path(out) / name)
        print(f"{arguments.valves} phantom frames of the mitral valve in {out}")
    elif arguments.mitral is not None:
        write_mitral_study(out, arguments.mitral, seed)
        print(f"phantom mitral study of scale {arguments.mitral:g} in {out}")
    else:
        write_lv_study(out, arguments.clips, seed)
        print(f"{arguments.clips} phantom clips in {out}")


def _refuse_existing(folder: str) -> None:
    if Path(folder).exists():
        raise DataError(f"{folder} exists already. Remove it or choose another folder.")


def pack_command(arguments: argparse.Namespace) -> None:
    """Decode a data set once into a folder of arrays."""
    data = open_data(arguments.data)
    if isinstance(data, FrameSet):
        raise DataError(f"{arguments.data} is packed already.")
    _refuse_existing(arguments.out)
    frames = pack(data, arguments.out, arguments.size, arguments.workers)
    print(f"{len(frames)} frames of {frames.table.patient.nunique()} patients in {arguments.out}")
    print(problem_summary(frames.problems))


def train(arguments: argparse.Namespace) -> None:
    """Train on the official training patients, choose by the validation patients."""
    import torch

    from .networks.models import load_model, new_model, start_from
    from .networks.training import Training, TrainingConfig

    if arguments.epochs is not None:
        length = {"epochs": arguments.epochs}
    else:
        length = {"minutes": arguments.minutes}
    config = TrainingConfig(
        **length, loss=arguments.loss or "bce_dice", seed=arguments.seed,
        corrupted=arguments.corrupted, start=arguments.start or "",
    )  # fmt: skip
    if arguments.loss and arguments.target != "masks":
        raise ValueError("--loss is for masks; landmarks have a loss of their own.")
    frames = _packed(arguments.data, arguments.size)
    if arguments.cycle:
        frames = within_cycle(frames)
    torch.manual_seed(arguments.seed)
    model = new_model(arguments.target, arguments.width, frames.outputs, frames.inputs)
    if arguments.start:
        anew = start_from(model, load_model(arguments.start)[0])
        print(f"weights of {arguments.start}; {', '.join(anew) if anew else 'nothing'} made anew")
    parts = frames.split("train"), frames.split("val")
    training = Training(model, *parts, arguments.out, config, arguments.resume)
    training.run()
    print(f"best validation Dice {training.progress.best:.4f} after {training.progress.step} steps")
    print(f"weights in {Path(arguments.out) / 'model.safetensors'}")


def evaluate(arguments: argparse.Namespace) -> None:
    """Score weights on a data set, in the geometry of its own frames."""
    from .metrics import SCORES, summarise
    from .networks.inference import score
    from .networks.models import find_weights, load_model

    data = open_data(arguments.data)
    model, card = load_model(arguments.weights)
    cases = score(model, data, arguments.split, card.get("size", 112))
    if cases.empty:
        there = sorted(data.table.split.unique())
        raise DataError(
            f"{arguments.data} has no readable frame in the split {arguments.split!r}; "
            f"choose --split all or one of {there}."
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
    if arguments.json:
        path = Path(arguments.json)
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(summary, indent=2) + "\n")
        write_table(cases, path.with_suffix(".csv"))


def robustness(arguments: argparse.Namespace) -> None:
    """Score models on clean and on corrupted frames, compare them, and draw it."""
    from .networks.models import load_model
    from .report.robustness import report_robustness

    if arguments.frames < 1:
        raise ValueError(f"--frames must be 1 or more, not {arguments.frames}.")
    models, sizes = {}, set()
    for given in arguments.weights:
        name = Path(given).name.removesuffix(".safetensors")
        if name in models:
            raise ValueError(f"Two weights are called {name!r}; rename one file or folder.")
        models[name], card = load_model(given)
        sizes.add(card.get("size", DEFAULT_SIZE))
    if len(sizes) > 1:
        raise ValueError(
            f"The models see squares of {sorted(sizes)} px; compare those of one size."
        )
    frames = _packed(arguments.data, sizes.pop()).split(arguments.split)
    if not len(frames):
        raise DataError(f"{arguments.data} has no readable frame in {arguments.split!r}.")
    frames = frames.spread(arguments.frames)
    print(f"{len(frames)} frames of {frames.table.patient.nunique()} patients")
    settings = {"corruptions": arguments.corruptions, "severities": tuple(arguments.severities)}
    summary = report_robustness(models, frames, arguments.out, seed=arguments.seed, **settings)
    print(summary.round(3).to_string())
    print(f"cases, tables and figures in {arguments.out}")


def segment(arguments: argparse.Namespace) -> None:
    """Outline the left ventricle in every frame of a clip."""
    import numpy as np
    import pandas as pd

    from .figures.overlay import draw_outlines, write_gif, write_video
    from .networks.inference import segment as segment_frames
    from .networks.models import load_model

    clip = read_clip(arguments.clip)
    model, card = load_model(arguments.weights)
    masks = segment_frames(model, clip.frames, card.get("size", 112))
    out = Path(arguments.out)
    with atomic_path(out / "masks.npz") as temporary:
        np.savez_compressed(temporary, masks=masks)
    area = masks.sum(axis=(1, 2))
    table = pd.DataFrame({"frame": np.arange(len(masks))})
    table["time_s"] = np.nan if clip.fps is None else table.frame / clip.fps
    table["area_px"] = area
    if clip.spacing is not None:
        table["area_mm2"] = area * clip.spacing**2
    write_table(table, out / "area.csv")
    pictures = draw_outlines(clip.frames, masks)
    write_video(out / "overlay.webm", pictures, clip.fps or 30.0)
    write_gif(out / "overlay.gif", pictures, clip.fps or 30.0)
    empty = int((area == 0).sum())
    print(f"{len(masks)} frames outlined in {out}" + (f", {empty} of them empty" if empty else ""))


def build_parser() -> argparse.ArgumentParser:
    """The command line: one sub-command a step."""
    parser = argparse.ArgumentParser(prog="echolib", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    add = mitral_commands.adder(commands)

    command = add("phantom", phantom)
    command.add_argument("--out", required=True, help="folder to write")
    what = command.add_mutually_exclusive_group()
    what.add_argument(
        "--clips", type=int, default=300,
        help="clips of a left-ventricle study in EchoNet-Dynamic's layout (default 300)",
    )  # fmt: skip
    what.add_argument("--frames", type=int, help="single frames instead, each of another heart")
    what.add_argument(
        "--cycles", type=int,
        help="hearts instead, three frames each with ED and ES beside them, for lv_cycle",
    )  # fmt: skip
    what.add_argument(
        "--valves", type=int, help="single frames of the mitral valve instead: OUT/whole, OUT/close"
    )
    what.add_argument(
        "--mitral", type=float, nargs="?", const=DEFAULT_SCALE, metavar="SCALE",
        help="a mitral valve study instead, SCALE (above 0, up to 1) of the real set's size "
        f"(default {DEFAULT_SCALE})",
    )  # fmt: skip
    command.add_argument(
        "--size", type=int, help=f"side of single frames, px (default {DEFAULT_SIZE})"
    )
    command.add_argument("--seed", type=int, default=0)

    command = add("pack", pack_command)
    command.add_argument("data", help="folder of a data set")
    command.add_argument("--out", required=True, help="folder to write")
    command.add_argument("--size", type=int, default=DEFAULT_SIZE, help="side of the square, px")
    command.add_argument("--workers", type=int, default=2)

    command = add("train", train)
    command.add_argument("data", help="folder of a data set")
    command.add_argument("--out", required=True, help="folder for weights and checkpoint")
    command.add_argument("--size", type=int, default=DEFAULT_SIZE, help="side of the square, px")
    length = command.add_mutually_exclusive_group()
    length.add_argument(
        "--minutes", type=float, default=DEFAULT_MINUTES,
        help=f"wall time (default {DEFAULT_MINUTES:g})",
    )  # fmt: skip
    length.add_argument("--epochs", type=float)
    command.add_argument("--width", type=int, default=16, help="channels of the first level")
    command.add_argument(
        "--loss",
        choices=("bce_dice", "bce_dice_area", "bce_iou", "dice", "soft_iou"),
        help="of masks (default bce_dice)",
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
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")

    command = add("evaluate", evaluate)
    command.add_argument("data", help="folder of a data set")
    command.add_argument("--weights", default="lv", help="pretrained name, file or folder")
    command.add_argument("--split", default="test", choices=("train", "val", "test", "all"))
    command.add_argument("--json", help="file for the summary; a CSV of cases goes beside it")

    command = add("robustness", robustness)
    command.add_argument("data", help="folder of a data set")
    command.add_argument("--out", required=True, help="folder to write; resumed where it was left")
    command.add_argument(
        "--weights", nargs="+", default=["lv", "lv_landmarks"],
        help="pretrained names, files or folders; the first is the baseline",
    )  # fmt: skip
    command.add_argument("--split", default="test", choices=("train", "val", "test", "all"))
    command.add_argument(
        "--frames", type=int, default=16 if fast_mode() else 100,
        help="at most that many, whole clips spread over the split (default 100; 16 in fast mode)",
    )  # fmt: skip
    command.add_argument(
        "--corruptions", nargs="+", metavar="NAME", help="default: all of echolib.corruptions"
    )
    command.add_argument(
        "--severities", nargs="+", type=int, choices=(1, 2, 3, 4, 5), default=[1, 2, 3, 4, 5]
    )
    command.add_argument("--seed", type=int, default=0)

    command = commands.add_parser("mitral", help=mitral_commands.__doc__)
    mitral_commands.add_commands(command)
    function_commands.add_commands(add)
    browser_commands.add_commands(add)

    command = add("segment", segment)
    command.add_argument("clip", help="AVI, MP4, MOV, GIF or DICOM file")
    command.add_argument("--out", required=True, help="folder to write")
    command.add_argument("--weights", default="lv", help="pretrained name, file or folder")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code: 0 done, 2 for a bad input, said in one line."""
    parsed = build_parser().parse_args(arguments)
    warnings.formatwarning = lambda message, *_, **__: f"echolib {parsed.command}: {message}\n"
    try:
        parsed.run(parsed)
    except (ValueError, OSError) as error:  # DataError is a ValueError
        print(f"echolib {parsed.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"echolib {parsed.command}: stopped; what is finished is kept", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
