"""Outlines of the left ventricle and the mitral valve from a shell: the notebooks' steps."""

import argparse
import io
import sys
import warnings
from pathlib import Path

from .. import __version__
from ..memory import memory_error
from . import (
    browser,
    calibration,
    corrections,
    data,
    learning,
    phantom,
    robustness,
    segment,
    training,
    valve,
    ventricle,
)
from .options import settings
from .shared import adder

FAMILIES = (
    phantom, data, training, robustness, segment, ventricle, calibration, browser, corrections,
    learning,
)  # fmt: skip
VARIABLES = """
Environment variables: ECHOLIB_DEVICE, where networks compute (cpu, cuda, cuda:1; --device goes
first); ECHOLIB_MEMORY, what may be read into memory (such as 16G); ECHOLIB_DATA, the folder of data
sets and packed frames; ECHOLIB_FAST=1, fewer frames in `robustness` (notebooks: less data and fewer
steps); ECHOLIB_PRECISION=fp32, networks never compute in bf16, so that machines differ as little as
possible.
"""


def build_parser() -> argparse.ArgumentParser:
    """The command line: one sub-command per step."""
    parser = argparse.ArgumentParser(prog="echolib", description=__doc__, epilog=VARIABLES)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for family in FAMILIES:
        family.add_commands(adder(commands))
    valve.add_commands(commands.add_parser("mitral", help=valve.__doc__))
    return parser


def _sweep(out: Path) -> None:
    """Delete what killed processes left where a command writes: a file, or a folder of folders."""
    from ..files import remove_leftovers, sweep  # here: the help needs no such thing

    if out.is_dir():
        sweep(out)
    else:
        remove_leftovers(out.absolute().parent)


def _explained(error: Exception) -> str:
    """The message of an error; that of a full disk says where and what to do."""
    from ..files import no_room

    return isinstance(error, OSError) and no_room(error) or str(error)


def _print_any_name() -> None:
    """Let names be printed that the encoding of the output lacks, with backslashes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # others encode nothing
            stream.reconfigure(errors="backslashreplace")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code: 0 done, 2 for bad input, explained in one line."""
    _print_any_name()
    parsed = build_parser().parse_args(arguments)
    warnings.formatwarning = lambda message, *_, **__: f"echolib {parsed.command}: {message}\n"
    try:
        if out := getattr(parsed, "out", None):
            _sweep(Path(out))
        with settings(parsed):
            parsed.run(parsed)
    except (ValueError, OSError) as error:  # DataError is a ValueError
        print(f"echolib {parsed.command}: {_explained(error)}", file=sys.stderr)
        return 2
    except (MemoryError, RuntimeError) as error:
        message = memory_error(error)
        if message is None:
            raise
        print(f"echolib {parsed.command}: {message}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"echolib {parsed.command}: stopped: {parsed.kept}", file=sys.stderr)
        return 130
    return 0
