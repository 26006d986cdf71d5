"""The mitral leaflets from a shell: of a clip, a folder of clips, or the course task's pickle."""

import argparse
import hashlib
import shutil
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .. import __version__
from ..arrays import read_npz
from ..errors import DataError
from ..files import write_npz, write_table
from ..parts import Parts
from .folders import STATE, do_each_clip, loose_clips
from .options import (
    CLIP_HELP,
    add_outlining,
    changes,
    refuse_dicom_seg,
    refuse_existing,
    refuse_input,
    remove_files,
)
from .shared import KEPT_CLIPS, PLAYED_AT, Add, whole_or_none, write_dicom_seg

if TYPE_CHECKING:
    import numpy as np

    from ..data import Changes, Clip
    from ..valve.finder import ValveFinder

UNFINISHED = "unfinished"  # folder of a pickle's finished clips, until all are
NIFTI = "masks.nii.gz"  # of one clip
OVERLAYS, OPENING = ("_overlay.mp4", "_overlay.gif"), "_opening.csv"  # after a clip's name
NETWORKS = ("whole", "close")  # fields of a `ValveFinder`; the others are settings


def add_segment(add: Add) -> None:
    """Add `mitral segment` to the commands of `mitral`."""
    command = add("segment", segment)
    command.add_argument("clip", help=f"{CLIP_HELP}, folder of clips, train.pkl or test.pkl")
    command.add_argument("--out", required=True, help="folder to write; a folder is resumed")
    command.add_argument(
        "--weights",
        default="valve",
        help="pretrained name, or a folder that `train` wrote (default valve)",
    )
    command.add_argument("--threshold", type=float, help="of the probability, 0 to 1")
    add_outlining(command)


def segment(arguments: argparse.Namespace) -> None:
    """Mask the mitral leaflets in every frame of a clip, or of all clips of a folder or pickle."""
    from ..data.dicom.segmentation import LEAFLETS, empty_segmentation
    from ..data.names import clip_name
    from ..data.valve.study import FILES

    path, out = Path(arguments.clip), Path(arguments.out)
    changed, pickled, clips = changes(arguments), _is_pickle(path), None
    names = [] if pickled or path.is_dir() else [clip_name(path)]
    refuse_input(path, out, *_files(out, names), *_earlier_files(out))
    if path.is_dir():
        if (path / FILES["test"]).is_file():
            test, train = FILES["test"], FILES["train"]
            raise DataError(f"{path} is a mitral study. Give its {test} or {train}.")
        clips = loose_clips(path)
    elif not (pickled and (out / UNFINISHED).is_dir()):
        refuse_existing(out, arguments.force)
    if not names:
        refuse_dicom_seg(arguments, path)
    finder = _finder(arguments)
    if clips is not None:
        work = Masking(changed, finder, arguments.overlays)
        do_each_clip(clips, work, _settings(finder), arguments)
        return
    if pickled:
        arguments.kept = KEPT_CLIPS
        _segment_pickle(path, out, changed, finder)
        return
    segmentation = None
    if arguments.dicom_seg:
        name = Path(arguments.weights).absolute().name.removesuffix(".safetensors")
        segmentation = empty_segmentation(path, LEAFLETS, [name], _digests(finder))
    found, said = Masking(changed, finder, overlays=True).write(path, out, names[0])
    print(said)
    print(f"masks and overlays in {out}")
    if segmentation is not None:
        write_dicom_seg(out, segmentation, found)


def _files(out: Path, names: Iterable[str]) -> list[Path]:
    """The files with the results of clips of these names."""
    ends = [f"{name}{end}" for name in names for end in (*OVERLAYS, OPENING)]
    return [out / file for file in ("masks.npz", NIFTI, "masks.dcm", STATE, *ends)]


def _earlier_files(out: Path) -> list[Path]:
    """The files of clips that were segmented into this folder before.

    A clip has both overlays there, beside the masks; other files are the user's own.
    """
    mp4, gif = OVERLAYS
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


@dataclass(frozen=True)
class Masking:
    """What is done with each clip: its mitral leaflets are masked by a finder."""

    changed: "Changes"
    finder: "ValveFinder"
    overlays: bool  # whether a video and a GIF are written, too

    def results(self, name: str) -> tuple[str, ...]:
        """Names of the files of a finished clip; one of a few frames has no curve."""
        overlays = [f"{name}{end}" for end in OVERLAYS if self.overlays]
        return "masks.npz", NIFTI, *overlays

    def write(self, path: Path, out: Path, name: str) -> tuple["np.ndarray", str]:
        """Write masks, the opening curve, and on request overlays of one clip.

        name: of the clip. Earlier results are removed. Returns the masks and a sentence about them.
        """
        from ..data.nifti import write_masks
        from ..networks.inference import outline

        clip = self.changed.read(path)
        masks = outline(self.finder, clip)
        written = _files(out, [name])
        remove_files([*_earlier_files(out), *written])
        with whole_or_none(written):
            write_npz(out / "masks.npz", [("masks", masks)])
            write_masks(out / NIFTI, masks, clip.fps, clip.spacing)
            for warning in _write_curve(out, clip, name, masks):
                warnings.warn(warning, stacklevel=2)
            if self.overlays:
                _write_overlays(out, clip, name, masks)
        return masks, _about(name, masks)


def _about(name: str, masks: "np.ndarray") -> str:
    """A sentence about the masks (T, H, W) bool of a clip."""
    empty = int((~masks.any(axis=(1, 2))).sum())
    return f"{name}: {len(masks)} frames" + (f", {empty} of them without leaflets" if empty else "")


def _segment_pickle(path: Path, out: Path, changed: "Changes", finder: "ValveFinder") -> None:
    """Write the masks of all clips of a pickle into one file, their curves and their overlays.

    They take the place of the files of earlier clips.
    """
    from ..data import read_mitral_pickle

    clips = [changed.of_clip(clip) for clip in read_mitral_pickle(path)]
    found = _finished(clips, finder, Parts(out / UNFINISHED, _identity(clips, finder)))
    earlier = _earlier_files(out)

    def told() -> "Iterator[tuple[str, np.ndarray]]":
        for clip, masks in zip(clips, found, strict=True):
            print(_about(clip.name, masks), flush=True)
            yield clip.name, masks

    write_npz(out / "masks.npz", told())  # before what may fail
    remove_files(path for path in earlier if path.name != "masks.npz")
    for clip in clips:
        masks = read_npz(out / "masks.npz", [clip.name])[clip.name]
        _write_overlays(out, clip, clip.name, masks)
        for warning in _write_curve(out, clip, clip.name, masks):
            warnings.warn(f"{clip.name}: {warning}", stacklevel=2)
    print(f"masks and overlays in {out}")
    shutil.rmtree(out / UNFINISHED, ignore_errors=True)


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
    return {"echolib": __version__, "clips": digest.hexdigest(), **_settings(finder)}


def _settings(finder: "ValveFinder") -> dict:
    """What tells a finder from others, as JSON values."""
    settings = {name: value for name, value in vars(finder).items() if name not in NETWORKS}
    return {"networks": _digests(finder), **settings}


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


def _write_overlays(out: Path, clip: "Clip", name: str, masks: "np.ndarray") -> None:
    """Write the overlay as MP4 and GIF in the clip's own size."""
    from ..figures.film import write_gif, write_video
    from ..figures.overlay import outlined

    fps = clip.fps or PLAYED_AT
    pictures = outlined(clip.frames, masks)
    write_video(out / f"{name}_overlay.mp4", pictures, fps)
    write_gif(out / f"{name}_overlay.gif", pictures, fps)


def _write_curve(out: Path, clip: "Clip", name: str, masks: "np.ndarray") -> "Sequence[str]":
    """Write how far the valve opens in each frame; a clip of a few frames has no curve.

    Returns what warns the reader of the curve.
    """
    from ..valve.opening import FEWEST_FRAMES, opening_curve

    if len(masks) < FEWEST_FRAMES:
        return ()
    opening = opening_curve(masks, clip.fps)
    write_table(opening.table(), out / f"{name}{OPENING}")
    return opening.warnings
