"""The mitral valve from a shell: train, segment, submit."""

import argparse
import hashlib
import shutil
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .. import __version__
from ..arrays import read_npz
from ..errors import DataError
from ..files import write_npz, write_table
from ..parts import Parts
from .options import (
    CLIP_HELP,
    add_changes,
    add_device,
    add_dicom_seg,
    add_force,
    add_seed,
    changes,
    check_file,
    refuse_dicom_seg,
    refuse_existing,
    refuse_input,
    remove_files,
)
from .shared import KEPT_CLIPS, KEPT_PARTS, PLAYED_AT, adder, whole_or_none, write_dicom_seg

if TYPE_CHECKING:
    import numpy as np

    from ..data import Clip, ValveClip
    from ..valve.finder import ValveFinder

UNFINISHED = "unfinished"  # folder of a pickle's finished clips, until all are
NIFTI = "masks.nii.gz"  # of one clip
ENDINGS = ("_overlay.mp4", "_overlay.gif", "_opening.csv")  # of a clip's files, after its name
NETWORKS = ("whole", "close")  # fields of a `ValveFinder`; the others are settings


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Add the sub-commands of `mitral` to its parser."""
    add = adder(parser.add_subparsers(dest="step", required=True, metavar="STEP"))

    command = add("train", train)
    command.add_argument("data", help="folder with train.pkl and test.pkl, or of NN-MitralSeg")
    command.add_argument("--echonet", help="folder of EchoNet-Dynamic, for NN-MitralSeg's clips")
    command.add_argument("--out", required=True, help="folder for the networks; resumed")
    command.add_argument(
        "--start", default="valve", help='weights to start from (default "valve"), or "none"'
    )
    command.add_argument("--epochs", type=float, default=15, help="of each network (default 15)")
    command.add_argument(
        "--folds", type=int, default=5, help="networks that look closely (default 5)"
    )
    add_seed(command)
    command.add_argument(
        "--recipe", action="store_true", help="the course's recipe instead, as a baseline"
    )
    add_device(command)

    command = add("segment", segment)
    command.add_argument("clip", help=f"{CLIP_HELP}, train.pkl or test.pkl")
    command.add_argument("--out", required=True, help="folder to write")
    command.add_argument(
        "--weights",
        default="valve",
        help="pretrained name, or a folder that `train` wrote (default valve)",
    )
    command.add_argument("--threshold", type=float, help="of the probability, 0 to 1")
    add_dicom_seg(command)
    add_changes(command)
    add_device(command)
    add_force(command)

    command = add("submit", submit)
    command.add_argument("masks", help="masks.npz of `segment` on test.pkl")
    command.add_argument("--out", required=True, help="CSV to write")
    add_force(command, "files")


def train(arguments: argparse.Namespace) -> None:
    """Train networks on labelled videos, split by video, and choose the threshold."""
    from ..valve.training import train_finder, train_whole_recipe

    refuse_input(arguments.data, Path(arguments.out))
    clips = _labelled_clips(Path(arguments.data), arguments.echonet)
    kinds = {kind: sum(clip.dataset == kind for clip in clips) for kind in ("amateur", "expert")}
    print(f"{len(clips)} labelled videos: {kinds['amateur']} amateur, {kinds['expert']} expert")
    arguments.kept, bar = KEPT_PARTS, not arguments.quiet
    if arguments.recipe:
        train_whole_recipe(clips, arguments.out, arguments.seed, bar)
        print(f"the recipe's networks in {arguments.out}: stage-1 and stage-2")
        return
    start = None if arguments.start == "none" else arguments.start
    finder = train_finder(
        clips, arguments.out, start, arguments.folds, arguments.epochs, arguments.seed, bar
    )
    print(f"{1 + len(finder.close)} networks in {arguments.out}, threshold {finder.threshold:g}")


def _labelled_clips(folder: Path, echonet: str | None) -> "list[ValveClip]":
    """Labelled clips of the course task's set, or of NN-MitralSeg joined with EchoNet-Dynamic."""
    from ..data import EchoNet, open_mitral, problem_summary, read_nn_mitralseg

    if echonet is None:
        return open_mitral(folder).train
    clips, problems = read_nn_mitralseg(folder, EchoNet(echonet))
    print(problem_summary(problems))
    return clips


def segment(arguments: argparse.Namespace) -> None:
    """Mask the mitral leaflets in every frame of a clip, or of all clips of a pickle."""
    from ..data import read_mitral_pickle
    from ..data.dicom.segmentation import LEAFLETS, empty_segmentation
    from ..data.names import clip_name
    from ..data.nifti import write_masks
    from ..data.video import missing_file
    from ..networks.inference import outline

    path, out = Path(arguments.clip), Path(arguments.out)
    changed, pickled = changes(arguments), _is_pickle(path)
    written = _files(out, [] if pickled else [clip_name(path)])
    refuse_input(path, out, *written, *_earlier_files(out))
    if not (pickled and (out / UNFINISHED).is_dir()):
        refuse_existing(out, arguments.force)
    if path.is_dir():
        raise missing_file(path)
    if pickled:
        refuse_dicom_seg(arguments, path)
    finder = _finder(arguments)
    if not pickled:
        segmentation = None
        if arguments.dicom_seg:
            name = Path(arguments.weights).absolute().name.removesuffix(".safetensors")
            segmentation = empty_segmentation(path, LEAFLETS, [name], _digests(finder))
        clip = changed.read(path)
        found = outline(finder, clip)
        with whole_or_none(written):
            _write_results(out, [clip], ["masks"], [found])
            write_masks(out / NIFTI, found, clip.fps, clip.spacing)
        if segmentation is not None:
            write_dicom_seg(out, segmentation, found)
        return
    clips = [changed.of_clip(clip) for clip in read_mitral_pickle(path)]
    arguments.kept = KEPT_CLIPS
    masks = _finished(clips, finder, Parts(out / UNFINISHED, _identity(clips, finder)))
    _write_results(out, clips, [clip.name for clip in clips], masks)
    shutil.rmtree(out / UNFINISHED, ignore_errors=True)


def _files(out: Path, names: Iterable[str]) -> list[Path]:
    """The files with the results of clips of these names."""
    ends = [f"{name}{end}" for name in names for end in ENDINGS]
    return [out / file for file in ("masks.npz", NIFTI, "masks.dcm", *ends)]


def _earlier_files(out: Path) -> list[Path]:
    """The files of clips that were segmented into this folder before.

    A clip has both overlays there, beside the masks; other files are the user's own.
    """
    mp4, gif, _ = ENDINGS
    names = [path.name.removesuffix(mp4) for path in out.glob(f"*{mp4}")]
    names = [name for name in names if (out / f"{name}{gif}").is_file()]
    return _files(out, names) if (out / "masks.npz").is_file() else []


def _finder(arguments: argparse.Namespace) -> "ValveFinder":
    """The finder that the user names, with the user's threshold."""
    from dataclasses import replace

    from ..valve.finder import load_finder

    finder, threshold = load_finder(arguments.weights), arguments.threshold
    if threshold is None:
        return finder
    if not 0 < threshold < 1:
        raise ValueError(f"--threshold must lie between 0 and 1, not {threshold}.")
    return replace(finder, threshold=threshold)


def _write_results(
    out: Path, clips: "Sequence[Clip]", names: list[str], masks: "Iterable[np.ndarray]"
) -> None:
    """Write the masks (T, H, W) bool of clips, under their names in masks.npz, and the pictures.

    They take the place of the files of earlier clips.
    """
    earlier = _earlier_files(out)

    def told() -> "Iterator[np.ndarray]":
        for clip, mask in zip(clips, masks, strict=True):
            empty = int((~mask.any(axis=(1, 2))).sum())
            note = f", {empty} of them without leaflets" if empty else ""
            print(f"{clip.name}: {len(mask)} frames{note}", flush=True)
            yield mask

    write_npz(out / "masks.npz", zip(names, told(), strict=True))  # before what may fail
    remove_files(path for path in earlier if path.name != "masks.npz")
    for clip, name in zip(clips, names, strict=True):
        _write_pictures(out, clip, read_npz(out / "masks.npz", [name])[name])
    print(f"masks and overlays in {out}")


def _finished(
    clips: "Sequence[Clip]", finder: "ValveFinder", parts: Parts
) -> "Iterator[np.ndarray]":
    """Masks (T, H, W) bool of clips; those of an interrupted run are not made again."""
    from ..networks.inference import outline

    for number, clip in enumerate(clips):
        file = parts.folder / f"{number:04}.npz"
        if parts.load(f"{number:04}", [clip.name]) is None:
            write_npz(file, [("masks", outline(finder, clip))])
            parts.save(f"{number:04}", [clip.name], len(clip.frames), [file])
        yield read_npz(file, ["masks"])["masks"]


def _identity(clips: "Sequence[Clip]", finder: "ValveFinder") -> dict:
    """What finished clips must have in common with a run that goes on, as JSON values."""
    digest = hashlib.sha256()
    for clip in clips:
        digest.update(f"{clip.name} {clip.frames.shape}".encode())
        digest.update(clip.frames.tobytes())
    settings = {name: value for name, value in vars(finder).items() if name not in NETWORKS}
    networks = _digests(finder)
    return {"echolib": __version__, "clips": digest.hexdigest(), "networks": networks, **settings}


def _digests(finder: "ValveFinder") -> list[str]:
    """What tells a finder's networks from others."""
    from ..networks.models import weights_digest

    return [weights_digest(network) for network in (finder.whole, *finder.close)]


def _is_pickle(path: Path) -> bool:
    """True for a file that begins as gzip or a pickle does, or whose suffix says so."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(2)
    return head == b"\x1f\x8b" or head[:1] in b"\x80(]" and bool(head) or path.suffix == ".pkl"


def _write_pictures(out: Path, clip: "Clip", masks: "np.ndarray") -> None:
    """Write the overlay as MP4 and GIF in the clip's own size, and the opening curve as CSV.

    A clip of a few frames has no curve.
    """
    from ..figures.film import write_gif, write_video
    from ..figures.overlay import outlined
    from ..valve.opening import FEWEST_FRAMES, opening_curve

    fps = clip.fps or PLAYED_AT
    pictures = outlined(clip.frames, masks)
    write_video(out / f"{clip.name}_overlay.mp4", pictures, fps)
    write_gif(out / f"{clip.name}_overlay.gif", pictures, fps)
    if len(masks) < FEWEST_FRAMES:
        return
    opening = opening_curve(masks, clip.fps)
    write_table(opening.table(), out / f"{clip.name}_opening.csv")
    for warning in opening.warnings:
        warnings.warn(f"{clip.name}: {warning}", stacklevel=2)


def submit(arguments: argparse.Namespace) -> None:
    """Write the course task's CSV from masks of all frames of the test clips."""
    from ..valve.submission import write_submission

    path = Path(arguments.masks)
    refuse_input(path, Path(arguments.out))
    check_file(arguments.out, ".csv", arguments.force)
    try:
        masks = read_npz(path)
    except DataError as error:
        raise DataError(
            f"{path}: expected masks.npz as `mitral segment` writes it. {error}"
        ) from error
    if not masks:
        raise DataError(f"{path}: expected masks of some videos, found an empty archive.")
    if list(masks) == ["masks"]:  # as of one clip, without its name
        raise DataError(
            f"{path} holds the masks of one clip: expected those of the test videos, by their "
            "names. Give `mitral segment` the pickle, test.pkl."
        )
    try:
        write_submission(arguments.out, masks)
    except ValueError as error:
        raise DataError(f"{path}: {error}") from error
    print(f"{len(masks)} videos in {arguments.out}")
