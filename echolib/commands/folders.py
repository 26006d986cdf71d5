"""A folder of clips from a shell: the results of each clip in a folder of its own, and resumed."""

import argparse
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from .. import __version__
from ..errors import DataError
from ..files import read_json, write_json
from ..locks import one_at_a_time
from ..parts import Parts
from ..workers import clip_workers, clips_per_task, spread
from .shared import KEPT_CLIPS, open_clips, report_problems

if TYPE_CHECKING:
    from ..data import Changes, LooseClips, Problem

STATE = "clip.json"  # beside the results of each clip: the state of its file


class Work(Protocol):
    """What is done with each clip. It is pickled on the way to other processes."""

    @property
    def changed(self) -> "Changes":
        """What the user says of the clips in place of their files."""

    def results(self, name: str) -> tuple[str, ...]:
        """Names of the files that a finished clip of this name has at least."""

    def write(self, path: Path, out: Path, name: str) -> tuple[object, str]:
        """Write the results of the clip in a file into a folder; returns a sentence, as second."""


def loose_clips(folder: Path, instead: str = "") -> "LooseClips":
    """A folder of clips. Raises DataError for a data set, whose clips lie elsewhere.

    instead: what else the user may do with a data set, for the message
    """
    from ..data import LooseClips

    data = open_clips(folder)
    if not isinstance(data, LooseClips):
        raise DataError(
            f"{folder} is the data set {data.name}: expected a clip or a folder of clips. Give one "
            f"of its clips or the folder of its videos{instead}."
        )
    return data


def do_each_clip(
    data: "LooseClips", work: Work, identity: dict, arguments: argparse.Namespace
) -> None:
    """Do some work on each clip of a folder; damaged clips and finished ones are passed over.

    identity: what all results in the folder `arguments.out` have in common, as JSON values. Raises
    DataError where the work can be done on no clip, or the folder holds results of another identity
    or of clips that were changed otherwise.
    """
    from tqdm.auto import tqdm

    from ..data import problem_summary
    from ..data.reading import places

    arguments.kept, out = KEPT_CLIPS, Path(arguments.out)
    task = partial(_do_clip, data=data, work=work, out=out)
    problems = list(data.problems)
    done, clips = 0, list(data.table.path.items())
    workers = clip_workers(arguments.workers, len(clips))
    with one_at_a_time(out):
        parts = Parts(out, {"echolib": __version__, **identity, "changes": asdict(work.changed)})
        needs = [parts.identity_file, *places(data, data.table.index)]
        rows = spread(task, clips, workers, arguments.scheduler, clips_per_task(len(clips)), needs)
        bar = tqdm(rows, "outlines", len(clips), unit="clip", disable=arguments.quiet)
        for said, found in bar:
            done += said is not None
            problems += found
            if said:
                bar.write(said)
    if not done:
        raise DataError(
            f"{data.folder}: none of its {len(data.table)} clips could be outlined.\n"
            f"{problem_summary(problems)}"
        )
    print(f"{done} of {len(data.table)} clips outlined in {out}")
    report_problems(problems)


def _do_clip(
    named: tuple[str, Path], data: "LooseClips", work: Work, out: Path
) -> tuple[str | None, list["Problem"]]:
    """Do the work on a clip, unless it is done: a sentence, None if it failed; its problems.

    named: the clip's name and file. The sentence is empty where nothing was to be done.
    """
    from ..data import Problem
    from ..data.problems import warnings_as_problems

    name, path = named
    file, problems = str(path.relative_to(data.folder)), list[Problem]()
    try:
        with warnings_as_problems(file, data.folder, problems):
            state = _state(path)
            if _is_done(state, out / name, work.results(name)):
                return "", problems
            _, said = work.write(path, out / name, name)
            write_json(state, out / name / STATE)
            return said, problems
    except (ValueError, OSError) as error:
        reason = str(error).replace(f"{data.folder}/", "")
        return None, [*problems, Problem(file, None, reason)]


def _state(clip: Path) -> dict[str, int]:
    """Size (bytes) and time of writing (ns) of a file, which tell it from one in its place."""
    status = clip.stat()
    return {"size": status.st_size, "mtime_ns": status.st_mtime_ns}


def _is_done(state: dict[str, int], out: Path, results: tuple[str, ...]) -> bool:
    """Whether all results of a clip are there, made of its file in this state."""
    try:
        return read_json(out / STATE) == state and all((out / name).is_file() for name in results)
    except (OSError, ValueError):  # unfinished, or of a version that did not keep the state
        return False
