"""Which clips of a data set are read, and one of them together with its labels."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ..arrays import evenly
from ..cautions import Caution
from ..errors import DataError
from .clips import Clip
from .frames import Dataset, LabelledFrame, in_split
from .problems import Problem, warnings_as_problems


def clips_of(data: Dataset, split: str, most: int | None) -> pd.Index:
    """Names of the clips of a split, or of "all", at most this number of them, spread evenly.

    Raises ValueError for a number below 1, and DataError for a split without a clip.
    """
    if most is not None and most < 1:
        raise ValueError(f"most: expected 1 or more clips, found {most}.")
    clips = in_split(data.table, split).index
    if not len(clips):
        splits = [*filter(None, sorted(data.table.split.unique())), "all"]
        raise DataError(
            f"{data.folder} has no clip in the split {split!r}. Choose one of {splits}."
        )
    return clips if most is None else clips[evenly(len(clips), most)]


def places(data: Dataset, clips: Sequence[str]) -> list[Path]:
    """What a worker must see to read clips of a data set: its folder, the first file and the last.

    A disk that is not mounted often leaves an empty folder in its place.
    """
    paths = data.table.path if "path" in data.table else {}
    return [data.folder, *(Path(paths[clips[place]]) for place in (0, -1) if len(paths))]


def read_with_labels(
    data: Dataset, name: str, problems: list[Problem]
) -> tuple[list[LabelledFrame], Clip | Caution]:
    """The labelled frames of a clip, and the clip, or the reason why it cannot be read.

    What is malformed is added to `problems`.
    """
    clip = None
    with warnings_as_problems(name, data.folder, problems):
        try:
            clip = data.clip(name)
        except DataError as error:
            reason = str(error).replace(f"{data.folder}/", "")  # reports name no local folders
        labelled, found = data.labelled(name, clip)
        problems += found
    if clip is not None:
        return labelled, clip
    if not any(problem.action == "left out" for problem in found):
        problems.append(Problem(name, None, reason))
    return labelled, Caution("unreadable", f"The clip cannot be read: {reason}")


def only_labelled(clip: Clip, labelled: Sequence[LabelledFrame]) -> bool:
    """Whether a clip is no more than the two frames that an expert chose and outlined.

    So CAMUS is without its sequences. A clip of more frames shows a heart that beats, also where
    all of them are outlined.
    """
    return len(clip.frames) <= min(2, len(labelled))
