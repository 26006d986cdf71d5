"""Heart function from a shell: of a clip, of a study, and the calibration of its interval."""

import argparse
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from ..data import Dataset, FrameSet, open_data, read_clip
from ..errors import DataError
from ..files import write_table
from .valve import PLAYED_AT

if TYPE_CHECKING:
    from ..ventricle.clip import ClipFunction, Networks

SPLITS = ("train", "val", "test", "all")


def add_commands(add: Callable[[str, Callable], argparse.ArgumentParser]) -> None:
    """Give the command line those of this module. add: as `mitral_commands.adder` gives it."""

    command = add("function", function)
    command.add_argument("data", help="AVI, MP4, MOV, GIF or DICOM file, or folder of a study")
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
        help="a masks network, and if there are, one that sees a cycle and one of landmarks "
        "(default: those that come with the package)",
    )  # fmt: skip


def function(arguments: argparse.Namespace) -> None:
    """Measure how the left ventricle works: beats, volumes, ejection fraction with interval."""
    from ..ventricle.clip import WEIGHTS, load_networks

    path, out = Path(arguments.data), Path(arguments.out)
    given = tuple(arguments.weights or WEIGHTS), arguments.calibration
    if path.is_dir():
        _study(_opened(path), load_networks(*given), out, arguments)
    else:
        _clip(path, load_networks(*given), out)


def _opened(path: Path) -> Dataset:
    data = open_data(path)
    if isinstance(data, FrameSet):
        raise DataError(f"{path} is packed frames without clips; give the data set's own folder.")
    return data


def _clip(path: Path, networks: "Networks", out: Path) -> None:
    """Tables, video and report of one clip."""
    from ..data.sector import crop_to_sector
    from ..figures.ventricle import headline
    from ..report.ventricle import write_report
    from ..ventricle.clip import measure_clip

    clip, _ = crop_to_sector(read_clip(path))
    result = measure_clip(clip, networks)
    write_table(pd.DataFrame([result.row()]), out / "clips.csv")
    beats = result.function.beats_table()
    beats.insert(0, "name", clip.name)
    write_table(beats, out / "beats.csv")
    write_table(result.function.table(), out / "frames.csv")
    video = _write_video(out / f"{clip.name}.webm", result)
    write_report(out / "report.html", result, video=video, **_trusted(networks))
    for warning in result.warnings:
        warnings.warn(warning, stacklevel=1)
    print(f"{clip.name}: {headline(result)}")
    print(f"tables, video and report.html in {out}")


def _trusted(networks: "Networks") -> dict[str, str]:
    """What a report says of the interval: the clips that it was calibrated on, if not phantoms."""
    known = networks.calibration
    return {} if known is None or "phantom" in known.data else {"calibrated_on": known.data}


def _write_video(path: Path, result: "ClipFunction") -> Path:
    from ..figures.overlay import write_video
    from ..figures.ventricle import function_video

    return write_video(path, function_video(result), result.clip.fps or PLAYED_AT)


def _study(data: Dataset, networks: "Networks", out: Path, arguments: argparse.Namespace) -> None:
    """Tables, scores, some videos and the report of a study."""
    from ..report.ventricle import write_study_report
    from ..ventricle.scores import dice_scores, ef_scores
    from ..ventricle.study import measure_study

    tables = measure_study(data, networks, out, arguments.split, arguments.clips)
    clips, frames = tables["clips"], tables["frames"]
    scores = ef_scores(clips)
    write_table(scores, out / "scores.csv")
    overlap = dice_scores(frames) if len(frames) else None
    if overlap is not None:
        write_table(overlap, out / "dice.csv")
        print(overlap.round(3).to_string(index=False))
    print(scores.round(3).T.to_string(header=False))
    for name in _most_uncertain(clips, arguments.videos):
        _video_of(data, name, networks, out)
    write_study_report(
        out / "report.html", clips, scores, title=_described(data), **_trusted(networks)
    )
    print(f"tables, scores, videos and report.html in {out}")


def _most_uncertain(clips: pd.DataFrame, count: int) -> list[str]:
    """Names of the measured clips with the widest intervals: those to look at first."""
    seen = clips[clips.n_beats > 0]
    widths = (seen.ef_high - seen.ef_low).sort_values(ascending=False, kind="stable")
    return list(seen.name[widths.index[: max(0, count)]])


def _video_of(data: Dataset, name: str, networks: "Networks", out: Path) -> None:
    from ..ventricle.clip import measure_clip

    path = out / "videos" / f"{name}.webm"
    if not path.is_file():
        _write_video(path, measure_clip(data.clip(name), networks))


def _described(data: Dataset) -> str:
    """What the clips are, in words; a phantom is never called by the name of its layout."""
    kind = "phantom study" if (data.folder / "study.json").is_file() else data.name
    return f"{kind} {data.folder.name}"


def calibrate(arguments: argparse.Namespace) -> None:
    """Learn, from clips with known ejection fraction, what interval another one needs."""
    from ..ventricle.calibration import fit_calibration
    from ..ventricle.clip import WEIGHTS, load_networks
    from ..ventricle.study import measure_study

    networks = load_networks(tuple(arguments.weights or WEIGHTS), calibration=None)
    out = Path(arguments.out)
    data = _opened(Path(arguments.data))
    measured = measure_study(data, networks, out.with_suffix(""), arguments.split)["clips"]
    known = f"{_described(data)}, split {arguments.split}"
    calibration = fit_calibration(measured, known, networks.names)
    calibration.save(out)
    print(calibration)
