"""The frame browser from a shell: a page to open, send or put on the web."""

import argparse
from pathlib import Path

from ..arrays import evenly
from ..errors import DataError
from .options import (
    CLIP_HELP,
    add_changes,
    add_device,
    add_force,
    add_split,
    changes,
    check_file,
    refuse_input,
)
from .shared import Add, report_problems

CLIPS = 10  # in one page, unless more are asked for


def add_commands(add: Add) -> None:
    """Add `browse` to the command line."""
    command = add("browse", browse)
    command.add_argument("data", help=f"{CLIP_HELP}, or folder of a data set or of clips")
    command.add_argument("--out", required=True, help="HTML file to write")
    command.add_argument(
        "--weights", nargs="+", default=[],
        help="networks that outline every clip: `ventricle` (which see the beat, as `function` "
        "does), `valve`, other pretrained names, files or folders",
    )  # fmt: skip
    command.add_argument(
        "--edit", action="store_true",
        help="a page in which the outlines can be corrected, and saved as a file for "
        "`corrections.read_download`",
    )  # fmt: skip
    command.add_argument("--annotator", default="", help="with --edit: who corrects")
    command.add_argument(
        "--queue", metavar="CSV",
        help="of `echolib queue`: show its first clips, in its order, with the frames to correct",
    )  # fmt: skip
    add_split(command, "all")
    which = command.add_mutually_exclusive_group()
    which.add_argument(
        "--clips", type=int, default=CLIPS,
        help=f"at most that many, spread over the split (default {CLIPS})",
    )  # fmt: skip
    which.add_argument("--names", nargs="+", help="the clips of these names only")
    add_changes(command)
    add_device(command)
    add_force(command, "pages")


def browse(arguments: argparse.Namespace) -> None:
    """Write clips, their labels and networks' outlines of them as a page to browse."""

    from ..browser.opening import browse as open_browser
    from ..data import Problem
    from ..data.problems import warnings_as_problems

    refuse_input(arguments.data, Path(arguments.out))
    check_file(arguments.out, ".html", arguments.force)
    changed = changes(arguments)
    if arguments.annotator and not arguments.edit:
        raise DataError("--annotator: expected --edit with it, found none.")
    if arguments.clips < 1:
        raise DataError(f"--clips: expected 1 or more, found {arguments.clips}.")
    noted: list[Problem] = []
    with warnings_as_problems(arguments.data, Path(arguments.data), noted):
        browser = open_browser(
            arguments.data, models=arguments.weights, split=arguments.split, fps=changed.fps,
            spacing=changed.spacing, blank_text=changed.blank_text, edit=arguments.edit,
            annotator=arguments.annotator, queue=arguments.queue,
        )  # fmt: skip
    names = arguments.names
    if names is None:
        names = list(browser.names[: arguments.clips])
        if not arguments.queue:
            names = [browser.names[n] for n in evenly(len(browser.names), arguments.clips)]
    left_out: list[Problem] = []
    with warnings_as_problems(arguments.data, Path(arguments.data), noted):
        path = browser.to_html(arguments.out, names, left_out)
    print(f"{len(names) - len(left_out)} of {len(browser.names)} clips in {path}")
    report_problems([*browser.problems, *left_out, *noted])
