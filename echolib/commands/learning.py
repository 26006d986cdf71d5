"""What to correct first, and learning from corrections or from clips alone, from a shell."""

import argparse
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DataError
from ..locks import one_at_a_time
from ..networks.pretrained import LESSON_FILE, WEIGHTS_FILE, pretrained_names
from ..parts import has_parts, unfinished_folder
from .options import (
    PER_CLIPS,
    SPLITS,
    add_device,
    add_force,
    add_seed,
    add_split,
    add_weights,
    add_workers,
    check_file,
    refuse_input,
)
from .shared import KEPT_CLIPS, KEPT_PARTS, SIZE, Add, open_clips, open_packed, report_problems

if TYPE_CHECKING:
    import pandas as pd

    from ..corrections.folder import Folder
    from ..data import Dataset, FrameSet, Problem
    from ..networks.models import Encoder
    from ..ventricle.networks import Networks

WEIGHTS = ["lv", "lv_landmarks"]
SHOWN = 10  # clips that are printed
ADAPTED = 400  # clips
MINUTES = 3.0
# what a training on corrections has of its own, or takes from the network that it starts from
OTHER_OPTIONS = {
    "target": "masks", "cycle": False, "width": None, "corrupted": 0.0, "average": None,
}  # fmt: skip


def add_commands(add: Add) -> None:
    """Add `queue` and `adapt` to the command line."""
    command = add("queue", queue)
    command.add_argument("data", help="folder of a data set, or of clips")
    command.add_argument(
        "--weights", nargs="+", default=WEIGHTS,
        help="a masks network and, for one more kind of doubt, a landmarks network "
        f"(default {' '.join(WEIGHTS)})",
    )  # fmt: skip
    command.add_argument("--out", default="queue.csv", help="file to write (default queue.csv)")
    command.add_argument(
        "--corrected", metavar="FOLDER",
        help="folder of corrections: its clips are left out. Where --weights is a folder that "
        "`train` wrote, say how Dice has changed on corrections that it has not seen",
    )  # fmt: skip
    command.add_argument(
        "--frames",
        type=int,
        default=2,
        help="of each clip to propose, the most doubtful (default 2)",
    )
    add_split(command, "all")
    add_workers(command, "processes that share the clips", PER_CLIPS, cluster=False)
    add_device(command)
    add_force(command, "queue")

    command = add("adapt", adapt)
    command.add_argument("data", help="folder of a data set, or of clips; labels are not used")
    command.add_argument(
        "--out", required=True, help="folder for the new weights; the same command goes on there"
    )
    add_weights(command)
    command.add_argument(
        "--split", choices=SPLITS,
        help="part of a data set to use (default train; all of a folder of clips)",
    )  # fmt: skip
    command.add_argument(
        "--clips", type=int, default=ADAPTED, help=f"at most that many (default {ADAPTED})"
    )
    add_seed(command)
    add_workers(command, "processes that share the clips", PER_CLIPS, cluster=False)
    add_device(command)


def queue(arguments: argparse.Namespace) -> None:
    """Order clips and frames by the expected worth of a correction, the most doubtful first."""
    from ..corrections.queue import PARTS_FOLDER, correction_queue, write_queue
    from ..networks.models import load_model

    if len(arguments.weights) > 2:
        raise ValueError("--weights takes a masks network and a landmarks network, no third one.")
    out = Path(arguments.out)
    check_file(out, ".csv", arguments.force)
    refuse_input(arguments.data, out)
    network, *others = [load_model(name, "ventricle") for name in arguments.weights]
    corrected: list[str] = []
    if arguments.corrected:
        corrected = open_corrections(arguments.corrected).clips()
        say_change(arguments.corrected, arguments.weights[0], network, not arguments.quiet)
    problems: list[Problem] = []
    data, arguments.kept = open_clips(arguments.data), KEPT_CLIPS
    unfinished = unfinished_folder(out)
    with one_at_a_time(out):
        try:
            table = correction_queue(
                data, network, others[0] if others else None, arguments.split, arguments.frames,
                corrected, arguments.workers, not arguments.quiet, problems, unfinished,
            )  # fmt: skip
            write_queue(table, out)
        except DataError:  # of an option, perhaps: finished clips wait for the right one
            if not has_parts(unfinished / PARTS_FOLDER):
                shutil.rmtree(unfinished, ignore_errors=True)
            raise
        shutil.rmtree(unfinished)
    report_problems(problems)
    first = table[table.place <= SHOWN]
    for place, frames in first.groupby("place"):
        shown = ", ".join(map(str, frames.frame))
        print(f"{place}. {frames['clip'].iloc[0]}, frames {shown}: worth {frames.worth.mean():.2f}")
    print(f"{table.place.max()} clips in {out}")


def adapt(arguments: argparse.Namespace) -> None:
    """Train networks further on what they outline together in clips that nobody has outlined."""
    from ..data import LooseClips
    from ..ventricle import adaptation
    from ..ventricle.networks import WEIGHTS, load_networks

    out = Path(arguments.out)
    refuse_input(arguments.data, out)
    data = open_clips(arguments.data)
    split = arguments.split or ("all" if isinstance(data, LooseClips) else "train")
    problems = list(data.problems)
    arguments.kept = KEPT_PARTS
    networks, bar = load_networks(arguments.weights or WEIGHTS), not arguments.quiet
    adapted = adaptation.adapt(
        data, networks, out, split, arguments.clips, arguments.seed, arguments.workers, bar,
        problems,
    )  # fmt: skip
    report_problems(problems)
    if split == "train" and not arguments.quiet:
        _say_gain(data, networks, adapted)
    print(f"new weights: --weights {' '.join(str(out / name) for name in adapted.names)}")
    print("They have no interval of the EF: `calibrate` needs clips whose EF is known.")


def _say_gain(data: "Dataset", before: "Networks", after: "Networks") -> None:
    """Print how Dice changed on labelled validation frames, where enough patients have some."""
    from ..corrections.learning import LEAST_PATIENTS
    from ..networks.inference import score

    for role in ("single", "landmarks"):  # the others need ED and ES too
        old, new = getattr(before, role), getattr(after, role)
        if old is None:
            continue
        scores = [score(network, data, "val") for network in (old, new)]
        if scores[0].empty or scores[0].patient.nunique() < LEAST_PATIENTS:
            return
        cases = scores[0][["patient"]].assign(before=scores[0].dice, after=scores[1].dice)
        _print_change(old.name, new.name, cases, "patients of the split val, who took no part")


def say_change(folder: str, weights: str, network: "Encoder", bar: bool) -> None:
    """Print how a training on corrections changed Dice on those that it has not seen.

    Nothing is printed where the weights do not come from such a training.
    """
    from ..corrections.learning import read_lesson, score_change, unseen_frames
    from ..networks.models import load_model

    if not (Path(weights) / LESSON_FILE).is_file():
        return
    lesson = read_lesson(weights)
    frames = unseen_frames(_corrected_frames(folder, network.size, bar), lesson)
    if not len(frames):
        print(f"{weights} has seen all corrected patients")
        return
    cases = score_change(load_model(lesson.start), network, frames)
    _print_change(lesson.start, weights, cases, "corrected patients that it has not seen")


def _print_change(start: str, weights: str, cases: "pd.DataFrame", patients: str) -> None:
    """Print how Dice changed. cases: as for `compare`. patients: who they are, in words."""
    from ..corrections.learning import compare, mean_dice
    from ..statistics import interval_in_words

    found, (before, after) = compare(cases), mean_dice(cases)
    interval = interval_in_words(found.low, found.high, found.patients, "+.3f")
    print(
        f"from {start} to {weights}, Dice changed from {before:.3f} to {after:.3f} on "
        f"{found.patients} {patients}: by {found.mean:+.3f} ({interval})"
    )


def is_corrections(folder: str | Path) -> bool:
    """Whether a folder is one of corrections, of whatever version."""
    from ..corrections.folder import MARKER

    return (Path(folder) / MARKER).is_file()


def open_corrections(folder: str | Path) -> "Folder":
    """A folder of corrections that is there. Raises DataError for any other folder."""
    from ..corrections.folder import Folder

    if not is_corrections(folder):
        raise DataError(
            f"{folder} is no folder of corrections. Give the one that `browse(..., edit=True)` "
            "writes."
        )
    return Folder(folder, make=False)


def learn_from(arguments: argparse.Namespace) -> None:
    """Run `train` on a folder of corrections.

    Raises ValueError for an option that such a training cannot have.
    """
    from ..corrections.learning import held_out, learn, learning_config
    from ..corrections.queue import check_models
    from ..networks.models import load_model

    if arguments.start is None:
        raise ValueError(
            f"{arguments.data} is a folder of corrections: name the network that learns from them, "
            "such as --start lv."
        )
    for name, default in OTHER_OPTIONS.items():
        if getattr(arguments, name) != default:
            raise ValueError(
                f"--{name} is not for corrections, from which the network of --start learns as it "
                "is. Leave it out."
            )
    start, bar = load_model(arguments.start, "ventricle"), not arguments.quiet
    check_models(start, None)
    if arguments.size not in (SIZE, start.size):
        raise ValueError(
            f"--size is that of the network of --start, {start.size} px, not {arguments.size}."
        )
    corrected = _corrected_frames(arguments.data, start.size, bar)
    held_out(corrected.table.patient.to_numpy(), arguments.seed)  # before it draws frames
    remembered = _remembered(arguments.remember, start.size, bar)
    epochs = {} if arguments.epochs is None else {"epochs": arguments.epochs}
    minutes = {} if epochs else {"minutes": arguments.minutes or MINUTES}
    own = arguments.start not in pretrained_names()  # found again from any folder
    config = learning_config(
        len(corrected), **epochs, **minutes, seed=arguments.seed,
        start=str(Path(arguments.start).absolute()) if own else arguments.start,
        precision=arguments.precision, loss=arguments.loss or "bce_dice",
    )  # fmt: skip
    arguments.kept = "trainings so far are kept; --resume goes on there"
    lesson = learn(start, corrected, remembered, arguments.out, config, arguments.resume, bar)
    print(lesson.report())
    if lesson.kept:
        print(f"weights in {Path(arguments.out) / WEIGHTS_FILE}")


def _corrected_frames(folder: str, size: int, bar: bool) -> "FrameSet":
    """The packed frames of corrections that a person has judged, and that are no test.

    Left out are outlines that were interpolated between others, and clips that are a test in their
    data set. Raises DataError where nothing is outlined yet, and for a folder of another version.
    """
    from ..corrections.learning import interpolated

    if not open_corrections(folder).clips():
        raise DataError(f"{folder} holds no correction yet. Correct some clips first.")
    frames = open_packed(folder, size, bar)
    test = (frames.table.split == "test").to_numpy()
    between = interpolated(frames, folder) & ~test
    if test.any():
        print(f"{test.sum()} corrected frames of the split test are left out: they stay a test")
    if between.any():
        print(f"{between.sum()} interpolated outlines are left out: nobody has judged them")
    frames = frames.select(~test & ~between)
    if not len(frames):
        raise DataError(f"{folder} holds no outline to learn from. Draw or correct some yourself.")
    return frames


def _remembered(folder: str | None, size: int, bar: bool) -> "FrameSet":
    """Frames that the network must not forget: of a data set, or of the phantom."""
    from ..corrections.learning import remembered_frames

    if folder is None:
        return remembered_frames(size, progress=bar)
    frames = open_packed(folder, size, bar)
    for split in ("train", "val"):
        if not len(frames.split(split)):
            raise DataError(
                f"{folder} has no readable frame in the split {split!r}. Remember a data set with "
                "the splits train and val, or leave --remember out: then it is the phantom."
            )
    return frames
