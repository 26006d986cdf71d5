"""The mitral valve from a shell: train, segment, submit."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..arrays import read_npz
from ..errors import DataError
from .leaflets import add_segment
from .options import add_device, add_force, add_seed, check_file, refuse_input
from .shared import KEPT_PARTS, adder

if TYPE_CHECKING:
    from ..data import ValveClip


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Add the sub-commands of `mitral` to its parser."""
    add = adder(parser.add_subparsers(dest="step", required=True, metavar="STEP"))

    command = add("train", train)
    command.add_argument("data", help="folder with train.pkl and test.pkl, or of NN-MitralSeg")
    command.add_argument("--echonet", help="folder of EchoNet-Dynamic, for NN-MitralSeg's clips")
    command.add_argument("--out", required=True, help="folder for the networks; resumed")
    command.add_argument(
        "--start", default="valve", help='weights to start from (default "valve"), or "none"'
    )
    command.add_argument("--epochs", type=float, default=15, help="of each network (default 15)")
    command.add_argument(
        "--folds", type=int, default=5, help="networks that look closely (default 5)"
    )
    add_seed(command)
    command.add_argument(
        "--recipe", action="store_true", help="the course's recipe instead, as a baseline"
    )
    add_device(command)

    add_segment(add)

    command = add("submit", submit)
    command.add_argument("masks", help="masks.npz of `segment` on test.pkl")
    command.add_argument("--out", required=True, help="CSV to write")
    add_force(command, "files")


def train(arguments: argparse.Namespace) -> None:
    """Train networks on labelled videos, split by video, and choose the threshold."""
    from ..valve.training import train_finder, train_whole_recipe

    refuse_input(arguments.data, Path(arguments.out))
    clips = _labelled_clips(Path(arguments.data), arguments.echonet)
    kinds = {kind: sum(clip.dataset == kind for clip in clips) for kind in ("amateur", "expert")}
    print(f"{len(clips)} labelled videos: {kinds['amateur']} amateur, {kinds['expert']} expert")
    arguments.kept, bar = KEPT_PARTS, not arguments.quiet
    if arguments.recipe:
        train_whole_recipe(clips, arguments.out, arguments.seed, bar)
        print(f"the recipe's networks in {arguments.out}: stage-1 and stage-2")
        return
    start = None if arguments.start == "none" else arguments.start
    finder = train_finder(
        clips, arguments.out, start, arguments.folds, arguments.epochs, arguments.seed, bar
    )
    print(f"{1 + len(finder.close)} networks in {arguments.out}, threshold {finder.threshold:g}")


def _labelled_clips(folder: Path, echonet: str | None) -> "list[ValveClip]":
    """Labelled clips of the course task's set, or of NN-MitralSeg joined with EchoNet-Dynamic."""
    from ..data import EchoNet, open_mitral, problem_summary, read_nn_mitralseg

    if echonet is None:
        return open_mitral(folder).train
    clips, problems = read_nn_mitralseg(folder, EchoNet(echonet))
    print(problem_summary(problems))
    return clips


def submit(arguments: argparse.Namespace) -> None:
    """Write the course task's CSV from masks of all frames of the test clips."""
    from ..valve.submission import write_submission

    path = Path(arguments.masks)
    refuse_input(path, Path(arguments.out))
    check_file(arguments.out, ".csv", arguments.force)
    try:
        masks = read_npz(path)
    except DataError as error:
        raise DataError(
            f"{path}: expected masks.npz as `mitral segment` writes it. {error}"
        ) from error
    if not masks:
        raise DataError(f"{path}: expected masks of some videos, found an empty archive.")
    if list(masks) == ["masks"]:  # as of one clip, without its name
        raise DataError(
            f"{path} holds the masks of one clip: expected those of the test videos, by their "
            "names. Give `mitral segment` the pickle, test.pkl."
        )
    try:
        write_submission(arguments.out, masks)
    except ValueError as error:
        raise DataError(f"{path}: {error}") from error
    print(f"{len(masks)} videos in {arguments.out}")
