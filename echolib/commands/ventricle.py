"""The left ventricle from a shell: outlines, function of a clip or a study, calibration."""

import argparse
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from ..files import write_npz, write_table
from .shared import CLIP_HELP, PLAYED_AT, SPLITS, Add, open_clips

GIF_SIDE = 640  # px, longer side of a GIF at most: larger ones cannot be sent

if TYPE_CHECKING:
    import pandas as pd

    from ..data import Dataset
    from ..ventricle.clip import ClipFunction, Networks


def add_commands(add: Add) -> None:
    """Add `segment`, `function` and `calibrate` to the command line."""
    command = add("segment", segment)
    command.add_argument("clip", help=CLIP_HELP)
    command.add_argument("--out", required=True, help="folder to write")
    command.add_argument(
        "--weights", nargs="+",
        help="one network, which outlines each frame by itself, or several as for `function` "
        "(default: those that come with the package, which see the beat)",
    )  # fmt: skip

    command = add("function", function)
    command.add_argument("data", help=f"{CLIP_HELP}, or folder of a study")
    command.add_argument("--out", required=True, help="folder to write; a study is resumed")
    _add_weights(command)
    command.add_argument(
        "--calibration", default="shipped",
        help="file of `calibrate` (default: the package's, for its own weights)",
    )  # fmt: skip
    command.add_argument("--split", default="test", choices=SPLITS, help="of a study")
    command.add_argument("--clips", type=int, help="of a study: at most that many (default all)")
    command.add_argument(
        "--videos", type=int, default=3, help="of a study: videos of that many clips (default 3)"
    )

    command = add("calibrate", calibrate)
    command.add_argument("data", help="folder of a study whose ejection fractions are known")
    command.add_argument("--out", required=True, help="JSON file to write; a folder lies beside it")
    _add_weights(command)
    command.add_argument("--split", default="val", choices=SPLITS)


def _add_weights(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--weights", nargs="+",
        help="a masks network; optionally one that sees the beat, too, and one of landmarks "
        "(default: those that come with the package)",
    )  # fmt: skip


def segment(arguments: argparse.Namespace) -> None:
    """Outline the left ventricle in every frame of a clip."""
    import numpy as np
    import pandas as pd

    from ..data import read_clip
    from ..figures.film import write_gif, write_video
    from ..figures.overlay import outlined
    from ..networks.inference import packed_outline
    from ..networks.models import load_model
    from ..ventricle.clip import WEIGHTS, load_networks

    clip, weights = read_clip(arguments.clip), arguments.weights or WEIGHTS
    network = load_model(weights[0]) if len(weights) == 1 else load_networks(weights)
    masks = packed_outline(network, clip)
    out = Path(arguments.out)
    write_npz(out / "masks.npz", [("masks", masks)])
    area = masks.areas()
    table = pd.DataFrame({"frame": np.arange(len(masks))})
    table["time_s"] = np.nan if clip.fps is None else table.frame / clip.fps
    table["area_px"] = area
    if clip.spacing is not None:
        table["area_mm2"] = area * clip.spacing**2
    write_table(table, out / "area.csv")
    rate = clip.fps or PLAYED_AT
    write_video(out / "overlay.mp4", outlined(clip.frames, masks), rate)
    largest = max(clip.frames.shape[1:])
    small = None if largest <= GIF_SIDE else GIF_SIDE / largest
    write_gif(out / "overlay.gif", outlined(clip.frames, masks, small), rate)
    empty = int((area == 0).sum())
    print(f"{len(masks)} frames outlined in {out}" + (f", {empty} of them empty" if empty else ""))


def function(arguments: argparse.Namespace) -> None:
    """Measure how the left ventricle works: beats, volumes, ejection fraction with interval."""
    from ..ventricle.clip import WEIGHTS, load_networks

    path, out = Path(arguments.data), Path(arguments.out)
    given = tuple(arguments.weights or WEIGHTS), arguments.calibration
    if arguments.clips is not None and arguments.clips < 1:
        raise ValueError(f"--clips: expected 1 or more, found {arguments.clips}.")
    if path.is_dir():
        data = open_clips(path)
        _study(data, load_networks(*given), out, arguments)
    else:
        _clip(path, load_networks(*given), out)


def _clip(path: Path, networks: "Networks", out: Path) -> None:
    """Tables, video and report of one clip."""
    import pandas as pd

    from ..data import read_clip
    from ..report.ventricle import write_report
    from ..ventricle.clip import measure_clip
    from ..ventricle.words import headline

    clip = read_clip(path)
    result = measure_clip(clip, networks)
    write_table(pd.DataFrame([result.row()]), out / "clips.csv")
    beats = result.function.beats_table()
    beats.insert(0, "name", clip.name)
    write_table(beats, out / "beats.csv")
    write_table(result.function.table(), out / "frames.csv")
    video = _write_video(out / f"{clip.name}.mp4", result)
    write_report(out / "report.html", result, video=video, **_calibrated_on(networks))
    for warning in result.warnings:
        warnings.warn(warning, stacklevel=1)
    print(f"{clip.name}: {headline(result)}")
    print(f"tables, video and report.html in {out}")


def _calibrated_on(networks: "Networks") -> dict[str, str]:
    """What a report says about the clips that the interval was calibrated on, if not phantoms."""
    calibration = networks.calibration
    if calibration is None or "phantom" in calibration.data:
        return {}
    return {"calibrated_on": calibration.data}


def _write_video(path: Path, result: "ClipFunction") -> Path:
    from ..figures.film import write_video
    from ..figures.ventricle import function_video

    return write_video(path, function_video(result), result.clip.fps or PLAYED_AT)


def _study(data: "Dataset", networks: "Networks", out: Path, arguments: argparse.Namespace) -> None:
    """Tables, scores, some videos and the report of a study."""
    from ..report.ventricle import write_study_report
    from ..ventricle.scores import dice_scores, ef_scores
    from ..ventricle.study import measure_study, stored_result

    tables = measure_study(data, networks, out, arguments.split, arguments.clips)
    clips, frames = tables["clips"], tables["frames"]
    scores = ef_scores(clips)
    write_table(scores, out / "scores.csv")
    if len(frames):
        overlap = dice_scores(frames)
        write_table(overlap, out / "dice.csv")
        print(overlap.round(3).to_string(index=False))
    print(scores.round(3).T.to_string(header=False))
    for _, row in _most_uncertain(clips, arguments.videos).iterrows():
        path = out / "videos" / f"{row['name']}.mp4"
        if not path.is_file():
            _write_video(path, stored_result(data, row, out))
    title = _description(data)
    write_study_report(out / "report.html", clips, scores, title=title, **_calibrated_on(networks))
    print(f"tables, scores, videos and report.html in {out}")


def _most_uncertain(clips: "pd.DataFrame", count: int) -> "pd.DataFrame":
    """Rows of the measured clips with the widest intervals: those to look at first."""
    measured = clips[clips.n_beats > 0]
    widths = (measured.ef_high - measured.ef_low).sort_values(ascending=False, kind="stable")
    return measured.loc[widths.index[: max(0, count)]]


def _description(data: "Dataset") -> str:
    """The clips in words; a phantom is never called by the name of its layout."""
    kind = "phantom study" if (data.folder / "study.json").is_file() else data.name
    return f"{kind} {data.folder.name}"


def calibrate(arguments: argparse.Namespace) -> None:
    """Learn from clips with known ejection fraction how wide the interval must be."""
    from ..ventricle.calibration import fit_calibration
    from ..ventricle.clip import WEIGHTS, load_networks
    from ..ventricle.study import measure_study

    out = Path(arguments.out)
    if out.suffix != ".json" or out.is_dir():
        raise ValueError(f"--out: expected a JSON file such as function.json, found {out}.")
    networks = load_networks(tuple(arguments.weights or WEIGHTS), calibration=None)
    data = open_clips(arguments.data)
    clips = measure_study(data, networks, out.with_suffix(""), arguments.split)["clips"]
    description = f"{_description(data)}, split {arguments.split}"
    calibration = fit_calibration(clips, description, networks.names)
    calibration.save(out)
    print(calibration)
