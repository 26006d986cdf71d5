"""Function of the left ventricle from a shell: of a clip or a study."""

import argparse
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from ..cautions import split
from ..errors import DataError
from ..files import write_table
from ..parts import has_parts
from .options import (
    CLIP_HELP,
    SPLITS,
    add_measuring,
    add_weights,
    changes,
    refuse_existing,
    refuse_input,
    remove_files,
)
from .shared import (
    KEPT_CLIPS,
    PLAYED_AT,
    Add,
    about_ef,
    describe,
    open_clips,
    report_problems,
    whole_or_none,
)

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from ..data import Changes, Dataset
    from ..ventricle.clip import ClipFunction
    from ..ventricle.networks import Networks

RESULTS = ("clips.csv", "beats.csv", "frames.csv", "report.html")  # of one clip; then its video
SCORES = ("dice.csv", "scores.csv", "scores_by_range.csv")  # of a study, where a truth is known
VIDEOS = 3  # of a study, of the clips with the widest intervals
ROWS_PRINTED = 20  # clips of a study without scores
COLUMNS_PRINTED = [
    "name", "ef_measured", "ef_corrected", "ef_low", "ef_high", "n_beats", "heart_rate",
]  # fmt: skip


def add_commands(add: Add) -> None:
    """Add `function` to the command line."""
    command = add("function", function)
    command.add_argument("data", help=f"{CLIP_HELP}, or folder of a study or of clips")
    command.add_argument("--out", required=True, help="folder to write; a study is resumed")
    add_weights(command)
    command.add_argument(
        "--calibration", default="shipped",
        help="file of `calibrate` (default: the package's, for its own weights)",
    )  # fmt: skip
    command.add_argument(
        "--split", choices=SPLITS,
        help="part of a study to use (default test; all of a folder of clips)",
    )  # fmt: skip
    command.add_argument("--clips", type=int, help="of a study: at most that many (default all)")
    command.add_argument(
        "--identifier", metavar="TEXT",
        help="of one clip: what its report calls it (default: the name of the file)",
    )  # fmt: skip
    command.add_argument(
        "--videos", type=int, help=f"of a study: videos of that many clips (default {VIDEOS})"
    )
    add_measuring(command)


def function(arguments: argparse.Namespace) -> None:
    """Measure how the left ventricle works: beats, volumes, ejection fraction with interval."""
    from ..data import LooseClips
    from ..data.names import clip_name
    from ..ventricle.networks import WEIGHTS, load_networks
    from ..ventricle.study import PARTS_FOLDER

    path, out = Path(arguments.data), Path(arguments.out)
    given = tuple(arguments.weights or WEIGHTS), arguments.calibration
    if arguments.clips is not None and arguments.clips < 1:
        raise ValueError(f"--clips: expected 1 or more, found {arguments.clips}.")
    changed = changes(arguments)
    refuse_input(path, out)
    if path.is_dir():
        if arguments.identifier is not None:
            raise ValueError("--identifier is for the report of one clip. Leave it out.")
        if _earlier_files(out) and not has_parts(out / PARTS_FOLDER):
            refuse_existing(out, arguments.force)
            remove_files(_earlier_files(out))
        data = open_clips(path)
        if arguments.split is None:
            arguments.split = "all" if isinstance(data, LooseClips) else "test"
        arguments.kept = KEPT_CLIPS
        _study(changed.of_data(data), load_networks(*given), out, arguments)
    else:
        for name in ("split", "clips", "videos"):
            if getattr(arguments, name) is not None:
                raise ValueError(f"--{name} is for a study or a folder of clips. Leave it out.")
        refuse_input(path, *_files(out, clip_name(path)), *_earlier_files(out))
        refuse_existing(out, arguments.force)
        _clip(path, changed, load_networks(*given), out, arguments.identifier)


def _files(out: Path, name: str) -> list[Path]:
    """The files with the results of one clip of that name."""
    return [*(out / result for result in RESULTS), out / f"{name}.mp4"]


def _earlier_files(out: Path) -> list[Path]:
    """The files of a clip that was measured into this folder before, as its table names it."""
    import pandas as pd

    table = out / "clips.csv"
    try:
        names = pd.read_csv(table, usecols=["name"], dtype=str).name
    except (OSError, ValueError):  # there is no such table
        return []
    if len(names) != 1 or not isinstance(names[0], str):  # of a study
        return []
    *others, video = _files(out, Path(names[0]).name)
    is_ours = video.is_file() and video.stat().st_mtime_ns >= table.stat().st_mtime_ns
    return [*others, video] if is_ours else others


def _clip(
    path: Path, changed: "Changes", networks: "Networks", out: Path, identifier: str | None
) -> None:
    """Tables, video and report of one clip, in place of those of an earlier one."""
    import pandas as pd

    from ..report.ventricle import write_report
    from ..ventricle.clip import measure_clip
    from ..ventricle.words import headline

    clip = changed.read(path)
    result = measure_clip(clip, networks)
    remove_files(_earlier_files(out))
    with whole_or_none(_files(out, clip.name)):
        write_table(pd.DataFrame([result.row()]), out / "clips.csv")
        beats = result.function.beats_table()
        beats.insert(0, "name", clip.name)
        write_table(beats, out / "beats.csv")
        write_table(result.function.table(), out / "frames.csv")
        video = _write_video(out / f"{clip.name}.mp4", result)
        write_report(out / "report.html", result, video=video, identifier=identifier)
    for warning in result.warnings:
        warnings.warn(warning, stacklevel=1)
    print(f"{clip.name}: {headline(result)}")
    print(f"tables, video and report.html in {out}")


def _write_video(path: Path, result: "ClipFunction") -> Path:
    from ..figures.film import write_video
    from ..figures.ventricle import function_video

    return write_video(path, function_video(result), result.clip.fps or PLAYED_AT)


def _study(data: "Dataset", networks: "Networks", out: Path, arguments: argparse.Namespace) -> None:
    """Tables, scores, some videos and the report of a study."""
    from ..data.problems import problems_of
    from ..report.study import write_study_report
    from ..ventricle.scores import dice_scores, ef_scores, ef_scores_by_range
    from ..ventricle.study import measure_study

    tables = measure_study(
        data, networks, out, arguments.split, arguments.clips, not arguments.quiet,
        arguments.workers, arguments.scheduler,
    )  # fmt: skip
    clips, frames = tables["clips"], tables["frames"]
    remove_files(out / name for name in SCORES)  # of an earlier run
    overlap = dice_scores(frames) if len(frames) else None
    if overlap is not None:
        write_table(overlap, out / "dice.csv")
        print(overlap.round(3).to_string(index=False))
    scores = ef_scores(clips) if clips.ef_true.notna().any() else None
    by_range = None if scores is None else ef_scores_by_range(clips)
    if scores is None or by_range is None:
        print(_measured(clips))
    else:
        write_table(scores, out / "scores.csv")
        write_table(by_range, out / "scores_by_range.csv")
        shown = scores if len(scores) > 2 else scores[-1:]  # one split is all there is
        print(shown.round(3).dropna(axis=1, how="all").T.to_string(header=False))
        print(f"by range of the true EF:\n{by_range.round(1).to_string(index=False)}")
        if said := about_ef(data):
            print(said)
    count = VIDEOS if arguments.videos is None else arguments.videos
    pictures, videos = _clips_to_look_at(data, clips, out, count)
    write_study_report(
        out / "report.html", clips, scores, by_range, overlap, title=describe(data),
        calibration=networks.calibration, about_ef=about_ef(data),
        pictures=pictures, videos=videos,
    )  # fmt: skip
    report_problems(problems_of(tables["problems"]))
    print(f"tables, {'' if scores is None else 'scores, '}videos and report.html in {out}")
    if clips.warning_codes.str.contains("unreadable").all():
        raise DataError(
            f"{data.folder}: none of its {len(clips)} clips can be read; the tables say why."
        )


def _clips_to_look_at(
    data: "Dataset", clips: "pd.DataFrame", out: Path, count: int
) -> tuple[dict[str, "np.ndarray"], dict[str, str]]:
    """Pictures of the clips to look at, and videos of the `count` of widest intervals.

    Videos are written, unless they are there, and given relative to `out`; both by the clip's name.
    A clip that could not be read or outlined has neither.
    """
    from ..data.problems import warnings_as_problems
    from ..report.study import clip_picture, clips_to_check
    from ..ventricle.study import mask_file, stored_result

    uncertain = _most_uncertain(clips, count)
    wanted = clips.loc[clips_to_check(clips).index.union(uncertain.index, sort=False)]
    pictures, videos = {}, {}
    for index, row in wanted.iterrows():
        name = row["name"]
        masks = mask_file(row, out)
        if not row.n_beats and not masks.is_file():
            continue
        with warnings_as_problems(name, data.folder, []):  # they were told before
            result = stored_result(data, row, out)
        pictures[name] = clip_picture(result)
        if index in uncertain.index:
            videos[name] = f"videos/{name}.mp4"
            video = out / videos[name]
            if not (video.is_file() and video.stat().st_mtime_ns >= masks.stat().st_mtime_ns):
                _write_video(video, result)
    return pictures, videos


def _measured(clips: "pd.DataFrame") -> str:
    """The first clips of a study without any true EF, for the shell."""
    table = clips[COLUMNS_PRINTED][:ROWS_PRINTED]
    table = table.assign(
        warnings=[len(split(codes)) for codes in clips.warning_codes[: len(table)]]
    )
    more = f"\nand {len(clips) - len(table)} more in clips.csv" if len(table) < len(clips) else ""
    rows = table.round(1).to_string(index=False)
    return f"No true EF is known, so there are no scores.\n{rows}{more}"


def _most_uncertain(clips: "pd.DataFrame", count: int) -> "pd.DataFrame":
    """Rows of the measured clips with the widest intervals: those to look at first."""
    measured = clips[clips.n_beats > 0]
    widths = (measured.ef_high - measured.ef_low).sort_values(ascending=False, kind="stable")
    return measured.loc[widths.index[: max(0, count)]]
