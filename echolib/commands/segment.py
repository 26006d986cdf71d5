"""Outlines of the left ventricle from a shell: of a clip or a folder of clips."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..files import write_npz, write_table
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
from .shared import PLAYED_AT, Add, whole_or_none, write_dicom_seg

if TYPE_CHECKING:
    from ..data import Changes, Clip
    from ..masks import PackedMasks
    from ..networks.models import Encoder
    from ..ventricle.networks import Networks

FORMAT = 2  # increase it when outlines of the same networks become others

GIF_SIDE = 640  # px, longer side of a GIF at most: larger ones cannot be sent
RESULTS = ("masks.npz", "masks.nii.gz", "contours.csv", "area.csv")  # of one clip
OVERLAYS = ("overlay.mp4", "overlay.gif")
DICOM_SEG = "masks.dcm"


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
    add_outlining(command)


def segment(arguments: argparse.Namespace) -> None:
    """Outline the left ventricle in every frame of a clip, or of all clips of a folder."""
    from ..data.dicom.segmentation import VENTRICLE, empty_segmentation
    from ..data.names import clip_name
    from ..networks.models import load_model
    from ..ventricle.networks import WEIGHTS, Networks, load_networks

    path, out, weights = Path(arguments.clip), Path(arguments.out), arguments.weights or WEIGHTS
    refuse_input(path, out, *_files(out))
    changed, clips = changes(arguments), None
    if path.is_dir():
        clips = loose_clips(path, ", or measure it with `function`")
        refuse_dicom_seg(arguments, path)
    else:
        refuse_existing(out, arguments.force)
    network = load_model(weights[0], "ventricle") if len(weights) == 1 else load_networks(weights)
    if clips is not None:
        identity = {"format": FORMAT, "networks": _digests(network)}
        do_each_clip(clips, Outlining(changed, network, arguments.overlays), identity, arguments)
        return
    segmentation = None
    if arguments.dicom_seg:
        names = list(network.names) if isinstance(network, Networks) else [network.name]
        segmentation = empty_segmentation(path, VENTRICLE, names, _digests(network))
    masks, said = Outlining(changed, network, overlays=True).write(path, out, clip_name(path))
    print(said)
    if segmentation is not None:
        write_dicom_seg(out, segmentation, masks)


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


@dataclass(frozen=True)
class Outlining:
    """What is done with each clip: its ventricle is outlined by a network."""

    changed: "Changes"
    network: "Encoder | Networks"
    overlays: bool  # whether a video and a GIF are written, too

    def results(self, name: str) -> tuple[str, ...]:
        """Names of the files of a finished clip."""
        return RESULTS + (OVERLAYS if self.overlays else ())

    def write(self, path: Path, out: Path, name: str) -> tuple["PackedMasks", str]:
        """Write masks, tables of contours and areas, and on request overlays of one clip.

        name: of the clip. Earlier results are removed. Returns the masks and a sentence about them.
        """
        import numpy as np
        import pandas as pd

        from ..data.nifti import write_masks
        from ..networks.inference import packed_outline
        from ..ventricle.outlines import contours_table

        clip = self.changed.read(path)
        masks = packed_outline(self.network, clip)
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
            write_table(contours_table(name, masks, clip.spacing), out / "contours.csv")
            write_table(table, out / "area.csv")
            if self.overlays:
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
