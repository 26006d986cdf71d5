"""The frame browser from a shell: a page to open, send or put on the web."""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..errors import DataError

CLIPS = 10  # in one page, unless more are asked for


def add_commands(add: Callable[[str, Callable], argparse.ArgumentParser]) -> None:
    """Give the command line those of this module. add: as `mitral_commands.adder` gives it."""
    command = add("browse", browse)
    command.add_argument("data", help="AVI, MP4, MOV, GIF or DICOM file, or folder of a data set")
    command.add_argument("--out", required=True, help="HTML file to write")
    command.add_argument(
        "--weights", nargs="+", default=[],
        help="models that outline every clip: pretrained names, files or folders",
    )  # fmt: skip
    command.add_argument(
        "--split", default="all", choices=("train", "val", "test", "all"), help="of a data set"
    )
    which = command.add_mutually_exclusive_group()
    which.add_argument(
        "--clips", type=int, default=CLIPS,
        help=f"at most that many, spread over the split (default {CLIPS})",
    )  # fmt: skip
    which.add_argument("--names", nargs="+", help="just the clips of these names")


def browse(arguments: argparse.Namespace) -> None:
    """Write clips, their labels and what networks find in them as a page to leaf through."""
    from ..browser import browse as open_browser

    models = {Path(weights).stem: weights for weights in arguments.weights}
    if len(models) < len(arguments.weights):
        raise DataError(f"--weights: two have the same name: {arguments.weights}. Rename one.")
    if arguments.clips < 1:
        raise DataError(f"--clips: expected 1 or more, found {arguments.clips}.")
    browser = open_browser(arguments.data, models=models, split=arguments.split)
    names = arguments.names
    if names is None:
        count = min(arguments.clips, len(browser.names))
        places = np.linspace(0, len(browser.names) - 1, count).round().astype(int)
        names = [browser.names[place] for place in places]
    path = browser.to_html(arguments.out, names)
    print(f"{len(names)} of {len(browser.names)} clips in {path}")
