"""Outlines of the left ventricle from a shell: of a clip or a folder of clips."""

import argparse
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from .. import __version__
from ..errors import DataError
from ..files import read_json, write_json, write_npz, write_table
from ..locks import one_at_a_time
from ..parts import Parts
from ..workers import clip_workers, clips_per_task, spread
from .options import (
    CLIP_HELP,
    add_dicom_seg,
    add_measuring,
    changes,
    refuse_dicom_seg,
    refuse_existing,
    refuse_input,
    remove_files,
)
from .shared import (
    KEPT_CLIPS,
    PLAYED_AT,
    Add,
    open_clips,
    report_problems,
    whole_or_none,
    write_dicom_seg,
)

if TYPE_CHECKING:
    from ..data import Changes, Clip, LooseClips, Problem
    from ..masks import PackedMasks
    from ..networks.models import Encoder
    from ..ventricle.networks import Networks

FORMAT = 2  # increase it when outlines of the same networks become others

GIF_SIDE = 640  # px, longer side of a GIF at most: larger ones cannot be sent
RESULTS = ("masks.npz", "masks.nii.gz", "contours.csv", "area.csv")  # of one clip
OVERLAYS = ("overlay.mp4", "overlay.gif")
DICOM_SEG = "masks.dcm"
STATE = "clip.json"  # of a folder of clips, beside each one's results: the state of its file


def add_commands(add: Add) -> None:
    """Add `segment` to the command line."""
    command = add("segment", segment)
    command.add_argument("clip", help=f"{CLIP_HELP}, or folder of clips")
    command.add_argument("--out", required=True, help="folder to write; a folder is resumed")
    command.add_argument(
        "--weights", nargs="+",
        help="one network, which outlines each frame by itself, or several as for `function` "
        "(default: those that come with the package, which see the beat)",
    )  # fmt: skip
    command.add_argument(
        "--overlays", action="store_true",
        help="of a folder: write overlay.mp4 and overlay.gif of each clip, which takes longer than "
        "all else (a single clip always has them)",
    )  # fmt: skip
    add_dicom_seg(command)
    add_measuring(command)


def segment(arguments: argparse.Namespace) -> None:
    """Outline the left ventricle in every frame of a clip, or of all clips of a folder."""
    from ..data.dicom.segmentation import VENTRICLE, empty_segmentation
    from ..networks.models import load_model
    from ..ventricle.networks import WEIGHTS, Networks, load_networks

    path, out, weights = Path(arguments.clip), Path(arguments.out), arguments.weights or WEIGHTS
    refuse_input(path, out, *_files(out))
    changed, clips = changes(arguments), _loose_clips(path) if path.is_dir() else None
    if clips is None:
        refuse_existing(out, arguments.force)
    else:
        refuse_dicom_seg(arguments, path)
    network = load_model(weights[0], "ventricle") if len(weights) == 1 else load_networks(weights)
    if clips is None:
        segmentation = None
        if arguments.dicom_seg:
            names = list(network.names) if isinstance(network, Networks) else [network.name]
            segmentation = empty_segmentation(path, VENTRICLE, names, _digests(network))
        masks, said = _segment_clip(path, changed, network, out, overlays=True)
        print(said)
        if segmentation is not None:
            write_dicom_seg(out, segmentation, masks)
    else:
        arguments.kept = KEPT_CLIPS
        _segment_folder(clips, changed, network, out, arguments)


def _loose_clips(folder: Path) -> "LooseClips":
    """A folder of clips. Raises DataError for a data set, whose clips lie elsewhere."""
    from ..data import LooseClips

    data = open_clips(folder)
    if not isinstance(data, LooseClips):
        raise DataError(
            f"{folder} is the data set {data.name}: expected a clip or a folder of clips. Give one "
            "of its clips or the folder of its videos, or measure it with `function`."
        )
    return data


def _segment_folder(
    data: "LooseClips",
    changed: "Changes",
    network: "Encoder | Networks",
    out: Path,
    arguments: argparse.Namespace,
) -> None:
    """Outline each clip into a folder of its own; damaged clips and finished ones are passed over.

    Raises DataError where no clip can be outlined, or `out` holds results of other networks or of
    clips that were changed otherwise.
    """
    from tqdm.auto import tqdm

    from ..data import problem_summary
    from ..data.reading import places

    identity = {"echolib": __version__, "format": FORMAT, "networks": _digests(network)}
    task = partial(
        _segment_one, data=data, changed=changed, network=network, out=out,
        overlays=arguments.overlays,
    )  # fmt: skip
    problems = list(data.problems)
    done, clips = 0, list(data.table.path.items())
    workers = clip_workers(arguments.workers, len(clips))
    with one_at_a_time(out):
        parts = Parts(out, identity | {"changes": asdict(changed)})
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


def _segment_one(
    named: tuple[str, Path],
    data: "LooseClips",
    changed: "Changes",
    network: "Encoder | Networks",
    out: Path,
    overlays: bool,
) -> tuple[str | None, list["Problem"]]:
    """Outline a clip of a folder, unless it is done: a sentence, None if it failed; its problems.

    named: the clip's name and file. The sentence is empty where nothing was to be done.
    """
    from ..data import Problem
    from ..data.problems import warnings_as_problems

    name, path = named
    file, problems = str(path.relative_to(data.folder)), list[Problem]()
    try:
        with warnings_as_problems(file, data.folder, problems):
            state = _state(path)
            if _is_segmented(state, out / name, overlays):
                return "", problems
            _, said = _segment_clip(path, changed, network, out / name, overlays, name)
            write_json(state, out / name / STATE)
            return said, problems
    except (ValueError, OSError) as error:
        reason = str(error).replace(f"{data.folder}/", "")
        return None, [*problems, Problem(file, None, reason)]


def _digests(network: "Encoder | Networks") -> list[str]:
    """What tells networks apart, so that no folder holds the results of two."""
    from ..networks.models import weights_digest
    from ..ventricle.networks import Networks

    if not isinstance(network, Networks):
        return [weights_digest(network)]
    return [weights_digest(model) for model in network.models()]


def _files(out: Path) -> list[Path]:
    """The files with the results of one clip."""
    return [out / name for name in (*RESULTS, *OVERLAYS, DICOM_SEG, STATE)]


def _state(clip: Path) -> dict[str, int]:
    """Size (bytes) and time of writing (ns) of a file, which tell it from one in its place."""
    status = clip.stat()
    return {"size": status.st_size, "mtime_ns": status.st_mtime_ns}


def _is_segmented(state: dict[str, int], out: Path, overlays: bool) -> bool:
    """Whether all results of a clip are there, made of its file in this state."""
    results = [out / name for name in RESULTS + (OVERLAYS if overlays else ())]
    try:
        return read_json(out / STATE) == state and all(path.is_file() for path in results)
    except (OSError, ValueError):  # unfinished, or of a version that did not keep the state
        return False


def _segment_clip(
    path: Path,
    changed: "Changes",
    network: "Encoder | Networks",
    out: Path,
    overlays: bool,
    name: str | None = None,
) -> tuple["PackedMasks", str]:
    """Write masks, tables of contours and areas, and on request overlays of one clip.

    name: of the clip, by default that of its file. Earlier results are removed. Returns the masks
    and a sentence about them.
    """
    import numpy as np
    import pandas as pd

    from ..data.nifti import write_masks
    from ..networks.inference import packed_outline
    from ..ventricle.outlines import contours_table

    clip = changed.read(path)
    masks = packed_outline(network, clip)
    area = masks.areas()
    table = pd.DataFrame({"frame": np.arange(len(masks))})
    table["time_s"] = np.nan if clip.fps is None else table.frame / clip.fps
    table["area_px"] = area
    if clip.spacing is not None:
        table["area_mm2"] = area * clip.spacing**2
    remove_files(_files(out))
    with whole_or_none(_files(out)):
        write_npz(out / "masks.npz", [("masks", masks)])
        write_masks(out / "masks.nii.gz", masks, clip.fps, clip.spacing)
        write_table(contours_table(name or clip.name, masks, clip.spacing), out / "contours.csv")
        write_table(table, out / "area.csv")
        if overlays:
            _write_overlays(clip, masks, out)
    empty = int((area == 0).sum())
    said = f"{len(masks)} frames outlined in {out}"
    return masks, said + (f", {empty} of them empty" if empty else "")


def _write_overlays(clip: "Clip", masks: "PackedMasks", out: Path) -> None:
    """A video and a GIF of a clip with its outlines."""
    from ..figures.film import write_gif, write_video
    from ..figures.overlay import outlined

    rate = clip.fps or PLAYED_AT
    write_video(out / "overlay.mp4", outlined(clip.frames, masks), rate)
    largest = max(clip.frames.shape[1:])
    small = None if largest <= GIF_SIDE else GIF_SIDE / largest
    write_gif(out / "overlay.gif", outlined(clip.frames, masks, small), rate)
