"""Options that several commands share. Each is declared, explained and read in this one place."""

import argparse
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from ..config import DEVICE, computing_on
from ..errors import DataError

if TYPE_CHECKING:
    from ..data import Changes

SEEDS = 2**32  # how many numpy's global generator takes
SPLITS = ("train", "val", "test", "all")
CLIP_HELP = "AVI, MP4, MOV, WebM, MPEG, WMV, FLV, GIF or DICOM file"


def add_quiet(command: argparse.ArgumentParser) -> None:
    """Add `--quiet`; `settings` obeys it, and commands switch their progress bars off."""
    command.add_argument("--quiet", action="store_true", help="say nothing but warnings and errors")


def add_device(command: argparse.ArgumentParser) -> None:
    """Add `--device`, which `settings` obeys."""
    command.add_argument(
        "--device",
        help=f"where networks compute: cpu, cuda, cuda:1, ... (default {DEVICE}, else a GPU if "
        "there is one, else the CPU)",
    )


PER_CORE = "one per core"  # of `--workers` without a number
PER_CLIPS = "one for every 15 clips, up to one per core; one on a GPU"


def add_workers(
    command: argparse.ArgumentParser,
    workers: str,
    default: int | str = 1,
    cluster: bool = True,
) -> None:
    """Add `--workers` and `--scheduler`, of which one is given. workers: what the first counts.

    default: a number, or words for what is decided later. cluster: False for work that is done on
    this machine only, without `--scheduler`.
    """
    some = command.add_mutually_exclusive_group()
    number = default if isinstance(default, int) else None
    some.add_argument(
        "--workers", type=int, default=number, metavar="N", help=f"{workers} (default {default})"
    )
    if not cluster:
        return
    some.add_argument(
        "--scheduler", default="", metavar="ADDRESS",
        help="of a Dask cluster that does the work, such as tcp://10.0.0.1:8786; see CLUSTER.md",
    )  # fmt: skip


def add_seed(command: argparse.ArgumentParser) -> None:
    """Add `--seed`, which `settings` checks."""
    command.add_argument("--seed", type=int, default=0, help="of all random choices (default 0)")


def add_split(
    command: argparse.ArgumentParser, default: str, of: str = "a data set", name: str = "--split"
) -> None:
    """Add `--split`, or another option for a split, with a default that the help names."""
    command.add_argument(
        name, default=default, choices=SPLITS, help=f"part of {of} to use (default {default})"
    )


def add_weights(command: argparse.ArgumentParser) -> None:
    """Add the option for the networks that measure a clip."""
    command.add_argument(
        "--weights", nargs="+",
        help="a masks network; optionally one of landmarks, and one of each kind for the beat "
        "(default: those that come with the package)",
    )  # fmt: skip


def add_force(command: argparse.ArgumentParser, what: str = "results") -> None:
    """Add `--force`, which `refuse_existing` obeys. what: that may be there already."""
    command.add_argument(
        "--force", action="store_true",
        help=f"write over existing {what}; without it, they are refused",
    )  # fmt: skip


def add_changes(command: argparse.ArgumentParser) -> None:
    """Add what a user may say of clips in place of their files; `changes` reads it."""
    command.add_argument("--fps", type=float, help="frames per second, in place of the file's")
    command.add_argument("--spacing", type=float, help="mm per px, in place of the file's")
    command.add_argument(
        "--blank-text", action="store_true",
        help="blacken all outside the sector, such as a burned-in name, before anything is "
        "written; what lies in the sector or touches it stays, so look at the result",
    )  # fmt: skip


def add_outlining(command: argparse.ArgumentParser) -> None:
    """Add what the commands share that outline a clip or a folder of clips.

    `refuse_dicom_seg` and the commands read `--dicom-seg`.
    """
    command.add_argument(
        "--overlays", action="store_true",
        help="of a folder: write the overlay of each clip as MP4 and GIF, which takes longer than "
        "all else (a single clip always has them)",
    )  # fmt: skip
    command.add_argument(
        "--dicom-seg", action="store_true",
        help="of one DICOM clip: also write masks.dcm, a DICOM segmentation, which copies the "
        "identifiers of patient and study from the clip",
    )  # fmt: skip
    add_measuring(command)


def refuse_dicom_seg(arguments: argparse.Namespace, path: Path) -> None:
    """Raise DataError where `--dicom-seg` was given, but several clips."""
    if arguments.dicom_seg:
        raise DataError(
            f"{path} holds several clips, but --dicom-seg takes one: a segmentation refers to a "
            "single DICOM file. Give one of its clips."
        )


def add_measuring(command: argparse.ArgumentParser) -> None:
    """Add what the commands share that take a clip or a folder of clips."""
    add_changes(command)
    add_workers(command, "of a folder of many clips: processes that share them", PER_CLIPS)
    add_device(command)
    add_force(command, "results of a single clip")  # those of a folder are resumed


def changes(arguments: argparse.Namespace) -> "Changes":
    """The options of `add_changes`. Raises DataError for what no heart scan has."""
    from ..data import Changes

    return Changes(arguments.fps, arguments.spacing, arguments.blank_text)


def refuse_existing(path: str | Path, force: bool | None = None) -> None:
    """Raise DataError where a file or a folder that is to be written is there already.

    force: as the user gave it; None for a command that has no such option. An empty folder counts
    as not there.
    """
    path = Path(path)
    if force or not path.exists() or path.is_dir() and not any(path.iterdir()):
        return
    kind = "folder" if path.is_dir() else "file"
    remedy = "Choose" if force is None else "Give --force to write over it, or choose"
    raise DataError(f"{path} exists already. {remedy} another {kind}.")


def refuse_input(source: str | Path, *written: Path) -> None:
    """Raise DataError where a file or folder that is to be written is the input itself.

    Another path to the same file or folder, such as a link, counts as the same. So does a file that
    lies in the folder of the data: it may be one of its tables.
    """
    for path in written:
        if not path.exists() or not Path(source).exists():
            continue
        if path.samefile(source):
            raise DataError(
                f"{path} is the input itself, which the results would change. Choose another --out."
            )
        if path.is_file() and path.parent.samefile(source):
            raise DataError(
                f"{path} lies in the folder of the data, whose files are not written over. Choose "
                "another file."
            )


def remove_files(paths: Iterable[Path]) -> None:
    """Remove results of an earlier clip, so that none lies beside those of another one."""
    for path in paths:
        path.unlink(missing_ok=True)


def check_file(path: str | Path, suffix: str, force: bool) -> None:
    """Raise DataError where a file cannot be written: a folder is there, or a file without force.

    suffix: usual for such a file, for the message.
    """
    path = Path(path)
    if path.is_dir():
        raise DataError(
            f"{path}: expected a file to write, found a folder. Name a file in it, such as "
            f"{path / f'{path.absolute().name}{suffix}'}."
        )
    refuse_existing(path, force)


@contextmanager
def settings(arguments: argparse.Namespace) -> Iterator[None]:
    """Obey `--device` and `--quiet` in the block. Raises DataError for an impossible `--seed`."""
    seed = getattr(arguments, "seed", 0)
    if not 0 <= seed < SEEDS:
        raise DataError(f"--seed must be a whole number from 0 to {SEEDS - 1}, found {seed}.")
    if os.environ.get("RANK", "0") != "0":  # of the processes of torchrun, the first one speaks
        arguments.quiet = True
    quiet = redirect_stdout(StringIO()) if arguments.quiet else nullcontext()
    with computing_on(getattr(arguments, "device", None)), quiet:
        yield
