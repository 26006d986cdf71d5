"""Data sets from a shell: decode once, use often."""

import argparse
from pathlib import Path

from ..errors import DataError
from .options import PER_CORE, add_workers, refuse_existing, refuse_input
from .shared import KEPT_PARTS, SIZE, Add, open_labelled


def add_commands(add: Add) -> None:
    """Add `pack` to the command line."""
    command = add("pack", pack)
    command.add_argument("data", help="folder of a data set")
    command.add_argument("--out", required=True, help="folder to write")
    command.add_argument(
        "--size", type=int, default=SIZE, help=f"side of the square, px (default {SIZE})"
    )
    add_workers(command, "threads that decode", PER_CORE)


def pack(arguments: argparse.Namespace) -> None:
    """Decode a data set once into a folder of arrays."""
    from ..data import FrameSet, problem_summary
    from ..data import pack as pack_data

    data = open_labelled(arguments.data)
    if isinstance(data, FrameSet):
        raise DataError(f"{arguments.data} is packed already.")
    refuse_input(arguments.data, Path(arguments.out))
    refuse_existing(arguments.out)
    arguments.kept = KEPT_PARTS
    frames = pack_data(
        data, arguments.out, arguments.size, arguments.workers, not arguments.quiet,
        arguments.scheduler,
    )  # fmt: skip
    print(f"{len(frames)} frames of {frames.table.patient.nunique()} patients in {arguments.out}")
    print(problem_summary(frames.problems))
