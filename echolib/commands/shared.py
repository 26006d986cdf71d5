"""Parts that several commands share: how one is added, and how its data are opened."""

import argparse
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DataError
from .options import add_quiet, remove_files

if TYPE_CHECKING:
    import numpy as np
    from highdicom.seg import Segmentation

    from ..data import Dataset, FrameSet, Problem
    from ..masks import PackedMasks

SIZE = 112  # px, side of the squares that networks see
PLAYED_AT = 30.0  # frames per second of a video whose clip has no rate
# what is kept of a command that the user stops
NOTHING_KEPT = "nothing is finished, so that it has to begin anew"
KEPT_PARTS = "finished parts are kept, and the same command goes on from there"
KEPT_CLIPS = "finished clips are kept, and the same command goes on from there"

Add = Callable[[str, Callable[[argparse.Namespace], None]], argparse.ArgumentParser]


def adder(commands: Any) -> Add:
    """A function that adds a sub-command by name and function, whose docstring is its help.

    commands: as `ArgumentParser.add_subparsers` gives them. A command that keeps something when it
    is stopped says so in `arguments.kept` as soon as this holds.
    """

    def add(name: str, run: Callable[[argparse.Namespace], None]) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=run.__doc__, description=run.__doc__)
        add_quiet(command)
        command.set_defaults(run=run, kept=NOTHING_KEPT)
        return command

    return add


@contextmanager
def whole_or_none(files: Iterable[Path]) -> Iterator[None]:
    """Remove these results of a clip where the block fails or is stopped, and folders left empty.

    Some of them alone would look finished, and the next run would refuse to write over them.
    """
    files = list(files)
    try:
        yield
    except BaseException:
        remove_files(files)
        for folder in {path.parent for path in files}:
            with suppress(OSError):  # the user's own files lie there
                folder.rmdir()
        raise


def open_labelled(folder: str | Path) -> "Dataset | FrameSet":
    """A data set with labels. Raises DataError for a folder of clips, which has none."""
    from ..data import LooseClips, open_data

    data = open_data(folder)
    if isinstance(data, LooseClips):
        raise DataError(
            f"{folder} holds {len(data.table)} clips without labels: expected a data set with "
            "tables or labels, such as EchoNet-Dynamic. `segment`, `function` and `browse` take a "
            "folder of clips."
        )
    return data


def report_problems(problems: "Iterable[Problem]") -> None:
    """Print what is malformed, one line per kind; nothing where nothing is."""
    from ..data import problem_summary

    if problems := list(problems):
        print(problem_summary(problems))


def write_dicom_seg(
    out: Path, segmentation: "Segmentation", masks: "np.ndarray | PackedMasks"
) -> None:
    """Write the segmentation that `--dicom-seg` asks for, and say whom it names."""
    from ..data.dicom.segmentation import write_segmentation

    path = out / "masks.dcm"
    write_segmentation(path, segmentation, masks)
    print(f"{path} carries the identifiers of patient and study: its references need them")


def open_packed(folder: str, size: int, progress: bool) -> "FrameSet":
    """The frames of any data set folder, packed once; malformed records are printed.

    progress: whether to show a bar while they are packed.
    """
    from ..data import FrameSet, pack_once, problem_summary

    data = open_labelled(folder)
    if isinstance(data, FrameSet):
        if data.size != size:
            raise DataError(
                f"{folder} is packed at {data.size} px, {size} px were asked for. Use "
                f"--size {data.size} or models of that size, or the data set's own folder."
            )
        report_problems(data.problems)
        return data
    frames = pack_once(data, size, progress)
    print(f"{len(frames)} frames of {frames.table.patient.nunique()} patients ({data.name})")
    print(problem_summary(frames.problems))
    return frames


def open_clips(folder: str | Path) -> "Dataset":
    """A data set with its clips. Raises DataError for packed frames, which have none."""
    from ..data import FrameSet, open_data

    data = open_data(folder)
    if isinstance(data, FrameSet):
        raise DataError(f"{folder} is packed frames without clips; give the data set's own folder.")
    return data


def describe(data: "Dataset") -> str:
    """The clips in words; a phantom is never called by the name of its layout."""
    from ..data.echonet import PHANTOM

    kind = "phantom study" if data.name == PHANTOM else data.name
    folder = data.folder.name
    return kind if folder.lower() in kind.lower().split() else f"{kind} {folder}"


def about_ef(data: "Dataset") -> str:
    """A sentence on the method of a study's true EF, "" where it is that of the measured EF."""
    return getattr(data, "about_ef", "")
