"""Corrections from a shell: what a folder of them holds, and how far two people agree."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DataError, did_you_mean
from .options import add_force, check_file, refuse_input
from .shared import Add, open_clips, report_problems

if TYPE_CHECKING:
    import numpy as np

    from ..corrections.folder import Folder

WORST = 5  # frames with the least agreement that are named


def add_commands(add: Add) -> None:
    """Add `corrections` to the command line."""
    command = add("corrections", corrections)
    command.add_argument("folder", help="folder of corrections")
    command.add_argument(
        "--add", nargs="+", default=[], metavar="DOWNLOAD.json",
        help="files downloaded from an exported page: keep what they hold",
    )  # fmt: skip
    command.add_argument(
        "--data",
        help="with --add or --masks: the data set, or folder of clips, that the clips come from",
    )
    command.add_argument(
        "--masks", metavar="FILE",
        help="keep masks that somebody drew in another program: NIfTI, or masks.npz of `segment`",
    )  # fmt: skip
    command.add_argument("--clip", help="with --masks: the clip's file, with --data its name")
    command.add_argument("--annotator", help="with --masks: name of who drew them")
    command.add_argument(
        "--before", metavar="FILE",
        help="with --masks: the masks that were corrected; only frames that differ are kept",
    )  # fmt: skip
    command.add_argument(
        "--label", type=int, help="with --masks: that of the ventricle, where there are several"
    )
    command.add_argument("--spacing", type=float, help="with --masks: mm per px of the clip")
    command.add_argument(
        "--agreement", nargs=2, metavar=("A", "B"), help="compare what two annotators drew"
    )
    command.add_argument("--csv", help="with --agreement: also write a table, one row per outline")
    add_force(command, "files of --csv")


def corrections(arguments: argparse.Namespace) -> None:
    """List a folder of corrections, add downloaded ones, and compare two annotators."""
    from ..corrections.document import read_download
    from ..corrections.folder import Folder

    if arguments.data and not (arguments.add or arguments.masks):
        raise DataError("--data names the clips of what is added: give --add or --masks too.")
    for name in ("clip", "annotator", "before", "label", "spacing"):
        if getattr(arguments, name) is not None and not arguments.masks:
            raise DataError(f"--{name} is of masks to keep: give --masks too.")
    if arguments.masks and not arguments.clip:
        raise DataError("--masks: name the clip, too, by --clip.")
    if arguments.label is not None and arguments.label < 1:
        raise DataError(f"--label: expected 1 or more, found {arguments.label}.")
    if arguments.csv and not arguments.agreement:
        raise DataError("--csv is the table of a comparison: give --agreement too.")
    if arguments.csv:
        check_file(arguments.csv, ".csv", arguments.force)
        refuse_input(arguments.folder, Path(arguments.csv))
    documents = [each for path in arguments.add for each in read_download(path)]
    if arguments.masks:
        _keep_masks(arguments)
    folder = Folder(arguments.folder, make=bool(documents))
    if documents:
        data = open_clips(arguments.data) if arguments.data else None
        problems = folder.add(documents, data)
        kept = len(documents) - sum(problem.action == "left out" for problem in problems)
        print(f"{kept} of {len(documents)} corrections added")
        report_problems(problems)
    _list(folder)
    if arguments.agreement:
        first, second = arguments.agreement
        _compare(folder, first, second, arguments.csv)


def _keep_masks(arguments: argparse.Namespace) -> None:
    """Keep masks of a clip that come from another program."""
    from ..corrections.folder import Folder
    from ..corrections.from_masks import drawn_masks, keep_masks
    from ..corrections.videos import origin
    from ..data import Changes, read_clip

    masks, before = _masks(arguments)
    with Changes(spacing=arguments.spacing).quiet():
        if arguments.data:
            data = open_clips(arguments.data)
            if arguments.clip not in data.table.index:
                raise DataError(
                    f"{arguments.data} has no clip {arguments.clip!r}."
                    f"{did_you_mean(arguments.clip, data.table.index)}"
                )
            clip, known = data.clip(arguments.clip), origin(data, arguments.clip)
        else:
            clip, known = read_clip(arguments.clip), {"source": arguments.clip}
        if arguments.spacing:
            known["spacing"] = arguments.spacing
        drawn, problems = drawn_masks(clip, masks, before)
        folder = Folder(arguments.folder, arguments.annotator or "")
        keep_masks(folder, clip, drawn, before, **known)
    print(f"{len(drawn)} frames of {clip.name} kept")
    report_problems(problems)


def _masks(arguments: argparse.Namespace) -> "tuple[np.ndarray, np.ndarray | None]":
    """The masks that were drawn, and those from before, which may have one label only."""
    from ..corrections.from_masks import read_masks

    masks, before = read_masks(arguments.masks, arguments.label), None
    if arguments.before is not None:
        try:
            before = read_masks(arguments.before, arguments.label)
        except DataError:
            before = read_masks(arguments.before)
    return masks, before


def _list(folder: "Folder") -> None:
    """Print who has corrected how much, and what cannot be read."""
    entries = folder.entries()
    print(f"{len({entry.clip for entry in entries})} clips in {folder.path}")
    for name in folder.annotators():
        own = [entry for entry in entries if entry.annotator == name]
        outlined = sum(entry.outlined for entry in own)
        answered = sum(bool(entry.answer) for entry in own)
        seconds = sum(entry.seconds for entry in own)
        drawing = sum(entry.seconds for entry in own if entry.outlined)
        pace = f", {drawing / outlined:.1f} s per outlined frame" if outlined else ""
        print(
            f"  {name or 'without a name'}: {len(own)} clips ({answered} not readable or of "
            f"another view), {outlined} frames outlined, "
            f"{sum(entry.unreadable for entry in own)} not readable, {seconds / 60:.1f} min{pace}"
        )
    report_problems(folder.problems)


def _compare(folder: "Folder", first: str, second: str, path: str | None) -> None:
    """Print how far two annotators agree, and where least."""
    from ..corrections.comparison import agreement, agreement_summary
    from ..files import write_table
    from ..statistics import interval_in_words

    table = agreement(folder, first, second)
    summary = agreement_summary(folder, first, second, table)
    print(
        f"{first} and {second}: {summary['frames']} frames of {summary['clips']} clips drawn by "
        f"both, {summary['answers_differ']} answers differ"
    )
    for structure in ("ventricle", "leaflets"):
        if structure in summary:
            print(f"  {structure}: {_scores(summary[structure])}")
    if summary["ef"]["n"]:
        ef = summary["ef"]
        low, high = ef["ci95"]
        print(
            f"  EF of {ef['n']} clips: mean absolute difference "
            f"{ef['mean_absolute_difference']:.1f} points "
            f"({interval_in_words(low, high, ef['n'], '.1f', 'clip')}), {second} less {first} "
            f"{ef['mean_difference']:+.1f}"
        )
    for row in table.sort_values("dice")[:WORST].itertuples():
        print(f"  least: {row.clip}, frame {row.frame}, {row.structure}: Dice {row.dice:.3f}")
    if path:
        write_table(table, path)


def _scores(scores: dict[str, Any]) -> str:
    """Dice and distance with their intervals in words."""
    from ..statistics import interval_in_words

    dice, distance = scores["dice"], scores["distance_px"]
    overlap, apart = (
        interval_in_words(low, high, scores["clips"], form, "clip")
        for (low, high), form in ((dice["ci95"], ".3f"), (distance["ci95"], ".2f"))
    )
    return (
        f"Dice {dice['mean']:.3f} ({overlap}), outlines {distance['mean']:.2f} px apart ({apart})"
    )
