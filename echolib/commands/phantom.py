"""Phantom data from a shell: studies in the layout of real data sets, and frames to train on."""

import argparse
from pathlib import Path

from .options import PER_CORE, add_seed, add_workers, refuse_existing
from .shared import KEPT_PARTS, SIZE, Add

SCALE = 0.3  # of a mitral study


def add_commands(add: Add) -> None:
    """Add `phantom` to the command line."""
    command = add("phantom", phantom)
    command.add_argument("--out", required=True, help="folder to write")
    kind = command.add_mutually_exclusive_group()
    kind.add_argument(
        "--clips", type=int, default=300,
        help="clips of a left-ventricle study in EchoNet-Dynamic's layout (default 300)",
    )  # fmt: skip
    kind.add_argument("--frames", type=int, help="single frames instead, each of another heart")
    kind.add_argument(
        "--cycles", type=int,
        help="hearts instead, three frames each with ED and ES beside them, as lv_cycle sees them",
    )  # fmt: skip
    kind.add_argument(
        "--valves", type=int, help="single frames of the mitral valve instead: OUT/whole, OUT/close"
    )
    kind.add_argument(
        "--mitral", type=float, nargs="?", const=SCALE, metavar="SCALE",
        help="a mitral valve study instead, SCALE (above 0, up to 1) of the real set's size "
        f"(default {SCALE})",
    )  # fmt: skip
    command.add_argument(
        "--videos", type=float, metavar="SHARE",
        help="videos of a mitral valve study, as a share of the real set's (default SCALE)",
    )  # fmt: skip
    command.add_argument("--size", type=int, help=f"side of single frames, px (default {SIZE})")
    add_workers(command, "processes that draw", PER_CORE)
    add_seed(command)


def phantom(arguments: argparse.Namespace) -> None:
    """Write a phantom study of the left ventricle or the mitral valve, or single frames."""
    from ..phantom.cycle_frames import draw_cycle_frames
    from ..phantom.mitral_study import write_mitral_study
    from ..phantom.single_frames import draw_frame_set
    from ..phantom.studies import write_lv_study
    from ..phantom.valve_frames import draw_valve_sets

    out, seed = arguments.out, arguments.seed
    how = {"workers": arguments.workers, "progress": not arguments.quiet}
    study = how | {"scheduler": arguments.scheduler}
    kinds = arguments.frames, arguments.cycles, arguments.valves
    if arguments.scheduler and any(kind is not None for kind in kinds):
        raise ValueError("--scheduler is for studies; single frames are drawn here: --workers.")
    if arguments.frames is not None:
        refuse_existing(out)
        size = SIZE if arguments.size is None else arguments.size
        draw_frame_set(arguments.frames, seed, size, **how).save(out)
        print(f"{arguments.frames} phantom frames in {out}")
        return
    if arguments.size is not None:
        raise ValueError("--size is the side of single frames: give --frames too, or leave it out.")
    if arguments.videos is not None and arguments.mitral is None:
        raise ValueError("--videos is for a mitral valve study: give --mitral too.")
    if arguments.cycles is not None:
        refuse_existing(out)
        draw_cycle_frames(arguments.cycles, seed, **how).save(out)
        print(f"frames of {arguments.cycles} phantom hearts in {out}")
    elif arguments.valves is not None:
        refuse_existing(out)
        sets = draw_valve_sets(arguments.valves, seed, **how)
        for name, frames in zip(("whole", "close"), sets, strict=True):
            frames.save(Path(out) / name)
        print(f"{arguments.valves} phantom frames of the mitral valve in {out}")
    elif arguments.mitral is not None:
        arguments.kept = KEPT_PARTS
        write_mitral_study(out, arguments.mitral, seed, videos=arguments.videos, **study)
        print(f"phantom mitral study of scale {arguments.mitral:g} in {out}")
    else:
        arguments.kept = KEPT_PARTS
        write_lv_study(out, arguments.clips, seed, **study)
        print(f"{arguments.clips} phantom clips in {out}")
