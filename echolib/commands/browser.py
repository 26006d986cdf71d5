"""The frame browser from a shell: a page to open, send or put on the web."""

import argparse
from pathlib import Path

from ..errors import DataError
from .shared import CLIP_HELP, SPLITS, Add, report_problems

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
    command.add_argument("--split", default="all", choices=SPLITS, help="of a data set")
    which = command.add_mutually_exclusive_group()
    which.add_argument(
        "--clips", type=int, default=CLIPS,
        help=f"at most that many, spread over the split (default {CLIPS})",
    )  # fmt: skip
    which.add_argument("--names", nargs="+", help="the clips of these names only")


def browse(arguments: argparse.Namespace) -> None:
    """Write clips, their labels and networks' outlines of them as a page to browse."""
    import numpy as np

    from ..browser.widget import browse as open_browser
    from ..data import Problem
    from ..data.problems import warnings_as_problems

    if arguments.clips < 1:
        raise DataError(f"--clips: expected 1 or more, found {arguments.clips}.")
    noted: list[Problem] = []
    with warnings_as_problems(arguments.data, Path(arguments.data), noted):
        browser = open_browser(arguments.data, models=arguments.weights, split=arguments.split)
    names = arguments.names
    if names is None:
        count = min(arguments.clips, len(browser.names))
        places = np.linspace(0, len(browser.names) - 1, count).round().astype(int)
        names = [browser.names[place] for place in places]
    left_out: list[Problem] = []
    with warnings_as_problems(arguments.data, Path(arguments.data), noted):
        path = browser.to_html(arguments.out, names, left_out)
    print(f"{len(names) - len(left_out)} of {len(browser.names)} clips in {path}")
    report_problems([*browser.problems, *left_out, *noted])
