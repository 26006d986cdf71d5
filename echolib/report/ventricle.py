"""Reports of a clip and of a study: one HTML file each, which opens offline."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from ..config import weights_folder
from ..figures.base import use_style
from ..figures.overlay import draw_outlines
from ..figures.ventricle import curve_figure, ef_figure, moment_figure
from ..ventricle.words import (
    headline,
    interval_remark,
    interval_text,
    key_frames,
    moment_of,
    phase_of,
    why_no_ef,
)
from . import page

if TYPE_CHECKING:  # a report can be written without torch
    from ..data.clips import Clip
    from ..ventricle.calibration import Calibration
    from ..ventricle.clip import ClipFunction

UNKNOWN = "unknown"
STRIP_FRAMES = 8  # of the film strip
STRIP_SIZE = 200  # px, longer side of a frame in the film strip
CLIPS_TO_CHECK = 30  # rows of the table in the report of a study
VIDEO_TYPES = {".webm": "video/webm", ".mp4": "video/mp4", ".gif": "image/gif"}
SCORE_NAMES = {  # in words, of the columns of `ventricle.scores.ef_scores`
    "n": "clips scored",
    "missing": "clips without an EF",
    "without_truth": "clips without a true EF",
    "mae": "mean absolute error, points",
    "rmse": "root mean square error, points",
    "r2": "R²",
    "bias": "bias (EF - true EF), points",
    "loa": "95 % limits of agreement, points",
    "coverage": "intervals that hold the truth, %",
    "width": "mean width of an interval, points",
} | {f"auc_{limit}": f"AUC for EF below {limit} %" for limit in (35, 45, 50)}


# --- A clip -------------------------------------------------------------------------------------


def write_report(
    path: str | Path, clip_function: "ClipFunction", video: str | Path | None = None
) -> Path:
    """Write the measurements of a clip as one HTML file, whole or not at all; returns its path.

    video: file of the overlay to embed, `.webm`, `.mp4` or `.gif`. The report of a clip without an
    EF says why it has none. Raises ValueError for another kind of video, OSError if the video
    cannot be read.
    """
    result = clip_function
    return page.write_page(
        path,
        "clip.html",
        title=f"Heart function: {result.clip.name}",
        headline=headline(result),
        ef=f"{result.ef:.0f} %" if np.isfinite(result.ef) else UNKNOWN,
        why_no_ef=why_no_ef(result),
        interval=interval_text(result),
        calibration=interval_remark(result.calibration),
        corrected=result.corrected,
        warnings=result.warnings,
        moments=_moments(result),
        curve=_curve(result),
        video=None if video is None else _video(Path(video)),
        numbers=[*_function_numbers(result), *_clip_numbers(result.clip)],
        beats=_beats(result),
        unit=_volume_unit(result),
        strip=_strip(result),
        cards={name: _card(name) for name in result.weights},
        provenance=page.provenance("python -m echolib function CLIP --out FOLDER"),
    )


def _number(number: float | None, unit: str = "", digits: int = 0) -> str:
    if number is None or not np.isfinite(number):
        return UNKNOWN
    return f"{number:.{digits}f}\N{NO-BREAK SPACE}{unit}".strip()


def _volume_unit(result: "ClipFunction") -> str:
    return "ml" if result.function.unit == "ml" else "px³/1000"


def _moments(result: "ClipFunction") -> list[dict[str, str]]:
    """The key frames with their outlines: name, time and picture."""
    return [
        {
            "name": name,
            "time": moment_of(result.function, frame),
            "source": page.figure_uri(moment_figure(result, frame)),
        }
        for name, frame in key_frames(result.function).items()
    ]


def _curve(result: "ClipFunction") -> dict[str, str]:
    """The volume curve for a light and for a dark background."""
    figures = {"light": curve_figure(result.function), "dark": curve_figure(result.function, True)}
    return {name: page.figure_uri(figure, transparent=True) for name, figure in figures.items()}


def _video(path: Path) -> dict[str, str]:
    """A video as a data URI, and a still for browsers that cannot play it; a GIF needs none."""
    if path.suffix not in VIDEO_TYPES:
        expected = ", ".join(VIDEO_TYPES)
        raise ValueError(f"{path}: expected one of {expected}, found {path.suffix!r}.")
    media_type = VIDEO_TYPES[path.suffix]
    source = page.data_uri(path.read_bytes(), media_type)
    still = "" if path.suffix == ".gif" else page.last_frame_uri(path)
    return {"source": source, "media_type": media_type, "still": still}


def _strip(result: "ClipFunction") -> list[dict[str, str]]:
    """Frames of the beat of the key frames, or of the whole clip, with their outlines.

    They are cropped to the sector.
    """
    result = result.cropped()
    function, count = result.function, len(result.packed)
    key = list(key_frames(function).values())
    first, last = 0, count - 1
    for beat in function.beats:
        if key == [beat.end_diastole, beat.end_systole] and beat.end is not None:
            first, last = beat.end_diastole, beat.end
    chosen = np.linspace(first, last, min(STRIP_FRAMES, count)).round().astype(int)
    for frame in key:  # each key frame replaces the nearest of the others
        chosen[np.abs(chosen - frame).argmin()] = frame
    chosen = np.unique(chosen)
    frames, masks = result.clip.frames[chosen], result.packed[chosen]
    pictures = draw_outlines(frames, masks, scale=STRIP_SIZE / max(frames.shape[1:]))
    return [
        {
            "time": moment_of(function, frame),
            "phase": phase_of(function, frame),
            "source": page.jpeg_uri(picture),
        }
        for frame, picture in zip(chosen.tolist(), pictures, strict=True)
    ]


def _function_numbers(result: "ClipFunction") -> Iterator[tuple[str, str, str]]:
    """Rows of the table of numbers, measured in the outlines: quantity, value, remark.

    A remark says where the value comes from, or why it is unknown.
    """
    function, unit, why = result.function, _volume_unit(result), why_no_ef(result)
    relative = "" if unit == "ml" else "relative, because mm per px is unknown"
    remark = why or interval_text(result) or "no interval: these networks have no calibration"
    corrected = "corrected; " if result.corrected else ""
    yield "Ejection fraction (EF)", _number(result.ef, "%"), corrected + remark
    spread = function.ef_spread
    differ = f"; beats differ by up to {spread:.1f} points" if np.isfinite(spread) else ""
    kept = "before the correction of the calibration" if result.corrected else "not corrected"
    remark = f"median of the beats, {kept}{differ}"
    yield "EF as measured", _number(result.ef_measured, "%"), why or remark
    remark = "; ".join(filter(None, ("median of the beats", relative)))
    yield "End-diastolic volume (EDV)", _number(result.edv, unit), why or remark
    remark = "; ".join(filter(None, ("volume that remains after the EF above", relative)))
    yield "End-systolic volume (ESV)", _number(result.esv, unit), why or remark
    remark = "" if function.heart_rate else "the clip has no whole beat"
    remark = remark if function.fps else "the frames per second are unknown"
    yield "Heart rate", _number(function.heart_rate, "per minute"), remark
    remark = f"of {len(function.beats)} in the clip" if function.beats else "the clip has none"
    yield "Beats that count", str(function.n_beats), remark
    agreement = 1 - result.doubt
    remark = "Dice of masks and landmarks at ED and ES; 1 would be the same outline"
    remark = remark if np.isfinite(agreement) else "no second network has looked at a beat"
    yield "Agreement of two networks", _number(agreement, "", 2), remark


def _clip_numbers(clip: "Clip") -> Iterator[tuple[str, str, str]]:
    """More rows of the table of numbers, about the clip itself."""
    height, width = clip.frames.shape[1:]
    duration = f"; {len(clip.frames) / clip.fps:.1f} s" if clip.fps else ""
    yield "Frames", str(len(clip.frames)), f"{width} x {height} px{duration}"
    remark = "" if clip.fps else "the file does not say; times are in frames"
    yield "Frames per second", _number(clip.fps, "", 1), remark
    remark = "" if clip.spacing else "the file does not say; volumes are relative"
    yield "Scale", _number(clip.spacing, "mm per px", 3), remark


def _beats(result: "ClipFunction") -> list[tuple[str, ...]]:
    """One row per beat: number, time of ED and ES, EDV, ESV, EF, and whether it counts."""
    function = result.function
    return [
        (
            str(number),
            moment_of(function, beat.end_diastole),
            moment_of(function, beat.end_systole),
            _number(beat.edv),
            _number(beat.esv),
            _number(beat.ef),
            ("yes" if beat.counts else "no") + (beat.note and f": {beat.note}"),
        )
        for number, beat in enumerate(function.beats, start=1)
    ]


def _card(name: str) -> str:
    """The model card of weights of the package, in Markdown."""
    file = weights_folder() / f"{name}.md"
    if not file.is_file():
        return f"# {name}\n\nThese weights have no card in the package: they are your own."
    return file.read_text(encoding="utf-8")


# --- A study ------------------------------------------------------------------------------------


def write_study_report(
    path: str | Path,
    table: pd.DataFrame,
    summary: Mapping[str, object] | pd.DataFrame,
    title: str = "study",
    calibration: "Calibration | None" = None,
    by_range: pd.DataFrame | None = None,
    about_ef: str = "",
) -> Path:
    """Write the scores of a study as one HTML file, whole or not at all; returns its path.

    table: one row per clip: name, ef, ef_low, ef_high in per cent, and where known ef_true and
    warnings. summary: scores by name, or one row per split as `ef_scores` returns them; x, x_low
    and x_high become one line. calibration: of the intervals. by_range: scores by range of EF, as
    `ef_scores_by_range` returns them. about_ef: a sentence on the method of the true EF, if it is
    another one.
    """
    head, rows = _scores(summary)
    ranges = [] if by_range is None else _ranges(by_range)
    return page.write_page(
        path,
        "study.html",
        title=f"Heart function: {title}",
        count=len(table),
        without_ef=int(np.isnan(table.ef).sum()),
        intervals=bool(table.ef_low.notna().any()),
        calibration=interval_remark(calibration),
        scores={"head": head, "rows": rows},
        ranges=ranges,
        about_ef=about_ef,
        figure=_study_figure(table),
        clips=_clips_to_check(table),
        limit=CLIPS_TO_CHECK,
        provenance=page.provenance("python -m echolib function STUDY --out FOLDER"),
    )


def _study_figure(table: pd.DataFrame) -> str:
    """Measured against true EF as a data URI; empty if fewer than two clips have both."""
    if "ef_true" not in table or (np.isfinite(table.ef_true) & np.isfinite(table.ef)).sum() < 2:
        return ""
    with plt.rc_context():
        use_style()
        figure = ef_figure(table)
        source = page.figure_uri(figure, dpi=130, facecolor="white")
    plt.close(figure)
    return source


def _scores(summary: Mapping[str, object] | pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of the table of scores: one row per score, one column per split."""
    splits = [summary]
    if isinstance(summary, pd.DataFrame):
        splits = summary.to_dict("records")
    names = list(dict.fromkeys(name for split in splits for name in split))
    stems = [name.removesuffix("_low").removesuffix("_high") for name in names]
    head, rows = ["Score", *["Value"] * len(splits)], []
    for name in dict.fromkeys(stems):
        cells = [_score(split, name) for split in splits]
        if name == "split":
            head = ["Score", *cells]
        else:
            rows.append([SCORE_NAMES.get(name, name.replace("_", " ")), *cells])
    return head, rows


def _ranges(by_range: pd.DataFrame) -> list[tuple[str, ...]]:
    """One row per range of the true EF: n, without an EF, mean error, bias, coverage, width."""
    return [
        (
            str(row["range"]),
            str(row["n"]),
            str(row["missing"]),
            *(_score(row, name) for name in ("mae", "bias", "coverage", "width")),
        )
        for row in by_range.to_dict("records")
    ]


def _score(split: Mapping[str, object], name: str) -> str:
    """A score with its interval, if it has one."""
    value, low, high = (split.get(f"{name}{end}") for end in ("", "_low", "_high"))
    interval = "" if low is None or high is None else f"{_score_text(low)} to {_score_text(high)}"
    if name not in split:
        return interval
    return _score_text(value) + (f" ({interval})" if interval else "")


def _score_text(value: object) -> str:
    if isinstance(value, (tuple, list, np.ndarray)):
        return " to ".join(map(_score_text, value))
    if isinstance(value, (float, np.floating)):
        return f"{value:.3g}" if np.isfinite(value) else UNKNOWN
    return str(value)


def _clips_to_check(table: pd.DataFrame) -> list[tuple[str, ...]]:
    """Rows of clips: name, EF, interval, true EF, warnings.

    Clips without an EF come first, then those with the widest intervals.
    """
    width = (table.ef_high - table.ef_low).where(np.isfinite(table.ef), np.inf)
    rows: list[tuple[str, ...]] = []
    for index in width.sort_values(ascending=False, kind="stable").index[:CLIPS_TO_CHECK]:
        row = table.loc[index]
        low, high = _number(row.ef_low), _number(row.ef_high)
        interval = UNKNOWN if UNKNOWN in (low, high) else f"{low} to {high}"
        warnings = row.get("warnings")
        warnings = " ".join(warnings) if isinstance(warnings, (list, tuple)) else warnings
        warnings = warnings if isinstance(warnings, str) else ""  # NaN if a CSV has none
        rows.append((row["name"], _number(row.ef), interval, _number(row.get("ef_true")), warnings))
    return rows
