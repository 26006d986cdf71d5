"""The mitral valve from a shell: train, segment, submit."""

import argparse
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..arrays import read_npz
from ..errors import DataError
from ..files import write_npz, write_table
from .shared import CLIP_HELP, PLAYED_AT, adder

if TYPE_CHECKING:
    import numpy as np

    from ..data import Clip, ValveClip


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
    command.add_argument("--epochs", type=float, default=15)
    command.add_argument("--folds", type=int, default=5, help="networks that look closely")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument(
        "--recipe", action="store_true", help="the course's recipe instead, as a baseline"
    )

    command = add("segment", segment)
    command.add_argument("clip", help=f"{CLIP_HELP}, train.pkl or test.pkl")
    command.add_argument("--out", required=True, help="folder to write")
    command.add_argument(
        "--weights", default="valve", help="pretrained name, or a folder that `train` wrote"
    )
    command.add_argument("--threshold", type=float, help="of the probability, 0 to 1")

    command = add("submit", submit)
    command.add_argument("masks", help="masks.npz of `segment` on test.pkl")
    command.add_argument("--out", required=True, help="CSV to write")


def train(arguments: argparse.Namespace) -> None:
    """Train networks on labelled videos, split by video, and choose the threshold."""
    from ..valve.training import train_finder, train_whole_recipe

    clips = _labelled_clips(Path(arguments.data), arguments.echonet)
    kinds = {kind: sum(clip.dataset == kind for clip in clips) for kind in ("amateur", "expert")}
    print(f"{len(clips)} labelled videos: {kinds['amateur']} amateur, {kinds['expert']} expert")
    if arguments.recipe:
        train_whole_recipe(clips, arguments.out, seed=arguments.seed)
        print(f"the recipe's networks in {arguments.out}: stage-1 and stage-2")
        return
    start = None if arguments.start == "none" else arguments.start
    finder = train_finder(
        clips, arguments.out, start, arguments.folds, arguments.epochs, arguments.seed
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


def segment(arguments: argparse.Namespace) -> None:
    """Mask the mitral leaflets in every frame of a clip, or of all clips of a pickle."""
    from dataclasses import replace

    from ..data import read_clip, read_mitral_pickle
    from ..networks.inference import outline
    from ..valve.finder import load_finder

    path, out = Path(arguments.clip), Path(arguments.out)
    finder = load_finder(arguments.weights)
    if arguments.threshold is not None:
        if not 0 < arguments.threshold < 1:
            raise ValueError(f"--threshold must lie between 0 and 1, not {arguments.threshold}.")
        finder = replace(finder, threshold=arguments.threshold)
    pickled = _is_pickle(path)
    clips = read_mitral_pickle(path) if pickled else [read_clip(path)]

    def outlined() -> Iterator[tuple[str, "np.ndarray"]]:
        for clip in clips:
            masks = outline(finder, clip)
            empty = int((~masks.any(axis=(1, 2))).sum())
            note = f", {empty} of them without leaflets" if empty else ""
            print(f"{clip.name}: {len(clip.frames)} frames{note}", flush=True)
            yield clip.name if pickled else "masks", masks

    write_npz(out / "masks.npz", outlined())  # before the pictures, which may fail
    for clip in clips:
        name = clip.name if pickled else "masks"
        _write_pictures(out, clip, read_npz(out / "masks.npz", [name])[name])
    print(f"masks and overlays in {out}")


def _is_pickle(path: Path) -> bool:
    """True for a file that begins as gzip or a pickle does, or whose suffix says so."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(2)
    return head == b"\x1f\x8b" or head[:1] in b"\x80(]" and bool(head) or path.suffix == ".pkl"


def _write_pictures(out: Path, clip: "Clip", masks: "np.ndarray") -> None:
    """Write the overlay as MP4 and GIF in the clip's own size, and the opening curve as CSV.

    A clip of a few frames has no curve.
    """
    from ..figures.film import write_gif, write_video
    from ..figures.overlay import outlined
    from ..valve.opening import FEWEST_FRAMES, opening_curve

    fps = clip.fps or PLAYED_AT
    pictures = outlined(clip.frames, masks)
    write_video(out / f"{clip.name}_overlay.mp4", pictures, fps)
    write_gif(out / f"{clip.name}_overlay.gif", pictures, fps)
    if len(masks) < FEWEST_FRAMES:
        return
    opening = opening_curve(masks, clip.fps)
    write_table(opening.table(), out / f"{clip.name}_opening.csv")
    for warning in opening.warnings:
        warnings.warn(f"{clip.name}: {warning}", stacklevel=2)


def submit(arguments: argparse.Namespace) -> None:
    """Write the course task's CSV from masks of all frames of the test clips."""
    from ..valve.submission import write_submission

    path = Path(arguments.masks)
    try:
        masks = read_npz(path)
    except DataError as error:
        raise DataError(
            f"{path}: expected masks.npz as `mitral segment` writes it. {error}"
        ) from error
    if not masks:
        raise DataError(f"{path}: expected masks of some videos, found an empty archive.")
    try:
        write_submission(arguments.out, masks)
    except ValueError as error:
        raise DataError(f"{path}: {error}") from error
    print(f"{len(masks)} videos in {arguments.out}")
