"""Reports of a clip and of a study: one HTML file each, which opens offline."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from ..config import weights_folder
from ..figures.base import use_style
from ..figures.overlay import draw_outlines
from ..figures.ventricle import (
    curve_figure,
    ef_figure,
    headline,
    key_frames,
    moment_figure,
    moment_of,
    phase_of,
    why_no_ef,
)
from . import page
from .page import BANNER

if TYPE_CHECKING:  # a report needs no torch
    from ..ventricle.clip import ClipFunction

UNKNOWN = "unknown"
STRIP = 8  # frames of the film strip
STRIP_TILE = 200  # px, longer side of a frame in it
SUSPECTS = 30  # rows of a study's table of clips to look at
NUMBERS = ("Quantity", "Value", "Remark")
VIDEOS = {".webm": "video/webm", ".mp4": "video/mp4", ".gif": "image/gif"}
PHANTOMS = "phantoms, hearts drawn by a computer, not patients"
CALIBRATED = (
    "The interval is made to hold the true EF of 90 in 100 clips like those it was calibrated on: "
    "{}. For other clips it may be too narrow; notebook 06 shows how far it is on real patients."
)
NO_WARNINGS = "None. This proves nothing: look at the outline all the same."
SCORES = {  # of `ef_scores.ef_scores`, in words
    "n": "clips scored",
    "missing": "clips without an EF",
    "without_truth": "clips without a true EF",
    "mae": "mean absolute error, points",
    "rmse": "root mean square error, points",
    "r2": "R²",
    "bias": "bias (found - true), points",
    "loa": "95 % limits of agreement, points",
    "coverage": "intervals that hold the truth, %",
    "width": "mean width of an interval, points",
} | {f"auc_{limit}": f"AUC for EF below {limit} %" for limit in (35, 45, 50)}
WORDS = {
    "Ejection fraction (EF)": "The share of its blood that the left ventricle throws out in a "
    "beat: 100 (EDV - ESV) / EDV, in per cent.",
    "End-diastole (ED), end-systole (ES)": "The moments of a beat in which the ventricle is "
    "fullest and emptiest. EDV and ESV are its volumes then.",
    "Method of disks": "The ventricle is cut across its long axis into 20 disks, each as wide as "
    "its chord, and their volumes are added. From a single view this takes every cut to be round.",
    "Outline": "What the networks take for the edge of the left ventricle's cavity. Look at it "
    "first: where it is wrong, no number here is right.",
}


def write_report(
    path: str | Path,
    clip_function: "ClipFunction",
    card: str | None = None,
    video: str | Path | None = None,
    curves: Mapping[str, np.ndarray] | None = None,
    command: str | None = None,
    calibrated_on: str = PHANTOMS,
) -> Path:
    """Write what was found in a clip as one HTML file, whole or not at all; returns its path.

    card: model card in markdown; by default the cards of the package's own weights. video: file
    of the overlay to embed, `.webm`, `.mp4` or `.gif`. curves: as `others` of `draw_function`.
    command: what made this report. calibrated_on: the clips of the intervals' calibration, in
    words. A clip without EF gets a report that says why. Raises ValueError for another kind of
    video, OSError where it cannot be read.
    """
    result = clip_function
    cards = {f"Model card of {name}": _card(name) for name in result.weights}
    cards = {"Model card": card} if card else cards
    command = command or "python -m echolib function CLIP --out FOLDER"
    parts = [
        _lead(result, calibrated_on),
        _warnings(result.warnings),
        page.section("Pictures", _pictures(result, curves) + _video(result, video)),
        page.section("Numbers", page.table(NUMBERS, _numbers(result)), "remarks"),
        _beats(result),
        page.section("Frames", _strip(result), "later"),
        page.section("Words", page.definitions(WORDS)),
        page.section("Networks", "".join(map(page.folded, cards, cards.values()))),
        page.section("This report", page.origin(command)),
    ]
    return page.write_page(path, f"Heart function: {result.clip.name}", BANNER, parts)


# --- What was found in a clip -------------------------------------------------------------------


def _lead(result: "ClipFunction", calibrated_on: str) -> str:
    """EF in large letters, and in words how far it can be trusted."""
    if not np.isfinite(result.ef):
        reason = f"No ejection fraction is given: {why_no_ef(result)}."
        return page.paragraph(f"EF {UNKNOWN}", "result") + page.paragraph(reason, "lead")
    interval, meaning = "Interval unknown: nothing says how far this can be trusted.", ""
    if np.isfinite([result.ef_low, result.ef_high]).all():
        interval = f"90 % interval {result.ef_low:.0f} to {result.ef_high:.0f} %"
        meaning = page.paragraph(CALIBRATED.format(calibrated_on), "soft")
    number = page.paragraph(f"EF {result.ef:.0f} %", "result")
    return number + page.paragraph(interval, "lead") + meaning


def _warnings(warnings: Sequence[str]) -> str:
    if not warnings:
        return page.section("Warnings", page.paragraph(NO_WARNINGS))
    return page.section(f"Warnings ({len(warnings)})", page.bullets(warnings), "warnings")


def _pictures(result: "ClipFunction", curves: Mapping[str, np.ndarray] | None) -> str:
    """The frames that show most, and the curve, in light and dark."""
    parts = []
    for name, frame in key_frames(result.function).items():
        alt = f"The frame of {name} with the outline, the long axis and the chords across it"
        caption = f"{name.capitalize()}, {moment_of(result.function, frame)}"
        parts.append(
            page.picture(page.figure_uri(moment_figure(result, frame)), alt, caption, "moment")
        )
    grounds = (curve_figure(result.function, dark, curves) for dark in (False, True))
    light, dark = (page.figure_uri(figure, transparent=True) for figure in grounds)
    alt = f"Volume of the left ventricle over time. {headline(result)}."
    caption = "Volume over time, and the EF of each beat as measured"
    caption = caption if result.function.beats else "Volume over time"
    parts.append(page.picture(light, alt, caption, "curve", dark))
    return f'<div class="pictures">{"".join(parts)}</div>'


def _video(result: "ClipFunction", video: str | Path | None) -> str:
    """The overlay, embedded; a GIF is a picture, because it plays where no video does."""
    if video is None:
        return ""
    path, caption = Path(video), "The clip with its outline, and the volume drawn in step"
    if path.suffix not in VIDEOS:
        raise ValueError(f"{path}: expected one of {', '.join(VIDEOS)}, found {path.suffix!r}.")
    source = page.data_uri(path.read_bytes(), VIDEOS[path.suffix])
    if path.suffix == ".gif":
        return page.picture(source, caption, caption, "screen")
    return page.film(source, VIDEOS[path.suffix], page.last_picture(path), caption)


def _strip(result: "ClipFunction") -> str:
    """Some frames of the beat that is shown, or of the whole clip, with their outlines."""
    function, count = result.function, len(result.masks)
    known = list(key_frames(function).values())
    ends = [0, count - 1]
    for beat in function.beats:
        if known == [beat.end_diastole, beat.end_systole] and beat.end is not None:
            ends = [beat.end_diastole, beat.end]
    chosen = np.linspace(*ends, min(STRIP, count)).round().astype(int)
    for frame in known:  # instead of the nearest
        chosen[np.abs(chosen - frame).argmin()] = frame
    chosen = np.unique(chosen)
    frames, masks = result.clip.frames[chosen], result.masks[chosen]
    pictures = draw_outlines(frames, masks, scale=STRIP_TILE / max(frames.shape[1:]))
    parts = []
    for frame, picture in zip(chosen.tolist(), pictures, strict=True):
        when = moment_of(function, frame)
        caption = f"{when} {phase_of(function, frame)}".strip()
        source = page.jpeg_uri(picture)
        parts.append(page.picture(source, f"Frame at {when} with its outline", caption))
    return f'<div class="strip">{"".join(parts)}</div>'


def _value(number: float | None, unit: str = "", digits: int = 0) -> str:
    if number is None or not np.isfinite(number):
        return UNKNOWN
    return f"{number:.{digits}f}\N{NO-BREAK SPACE}{unit}".strip()


def _numbers(result: "ClipFunction") -> Iterator[tuple[str, str, str]]:
    """Quantity, value, and where it comes from or why it is unknown."""
    function, clip = result.function, result.clip
    why = why_no_ef(result)
    unit = "ml" if function.unit == "ml" else "px³/1000"
    relative = "" if unit == "ml" else "relative, because mm per px is unknown"
    remark = why or "no interval: these networks have no calibration"
    if np.isfinite([result.ef_low, result.ef_high]).all():
        remark = f"90 % interval {result.ef_low:.0f} to {result.ef_high:.0f} %"
    yield "Ejection fraction (EF)", _value(result.ef, "%"), remark
    spread = function.ef_spread
    remark = f"; beats differ by up to {spread:.1f} points" if np.isfinite(spread) else ""
    corrected = ", before the correction of the calibration" if result.ef != result.found else ""
    remark = f"median of the beats{corrected}{remark}"
    yield "EF as measured", _value(result.found, "%"), why or remark
    remark = "; ".join(filter(None, ("median of the beats", relative)))
    yield "End-diastolic volume (EDV)", _value(result.edv, unit), why or remark
    remark = "; ".join(filter(None, ("what the EF above leaves of the EDV", relative)))
    yield "End-systolic volume (ESV)", _value(result.esv, unit), why or remark
    remark = "" if function.heart_rate else "no whole beat is seen"
    remark = remark if function.fps else "the frames per second are unknown"
    yield "Heart rate", _value(function.heart_rate, "a minute"), remark
    remark = f"of {len(function.beats)} that are seen" if function.beats else "none is seen"
    yield "Beats that count", str(function.n_beats), remark
    agreement = 1 - result.doubt
    remark = "Dice of masks and landmarks at ED and ES; 1 would be the same outline"
    remark = remark if np.isfinite(agreement) else "no second network has looked at a beat"
    yield "Agreement of two networks", _value(agreement, "", 2), remark
    height, width = clip.frames.shape[1:]
    lasts = f"; {len(clip.frames) / clip.fps:.1f} s" if clip.fps else ""
    yield "Frames", str(len(clip.frames)), f"{width} x {height} px{lasts}"
    remark = "" if clip.fps else "the file does not say; times are in frames"
    yield "Frames per second", _value(clip.fps, "", 1), remark
    remark = "" if clip.spacing else "the file does not say; volumes are relative"
    yield "Scale", _value(clip.spacing, "mm per px", 3), remark


def _beats(result: "ClipFunction") -> str:
    """The table of beats."""
    function = result.function
    if not function.beats:
        return page.section("Beats", page.paragraph("No beat is seen."))
    unit = "ml" if function.unit == "ml" else "px³/1000"
    head = ("Beat", "ED", "ES", f"EDV ({unit})", f"ESV ({unit})", "EF (%)", "Counts")
    rows = (
        (
            number,
            moment_of(function, beat.end_diastole),
            moment_of(function, beat.end_systole),
            _value(beat.edv), _value(beat.esv), _value(beat.ef),
            ("yes" if beat.counts else "no") + (beat.note and f": {beat.note}"),
        )
        for number, beat in enumerate(function.beats, start=1)
    )  # fmt: skip
    return page.section("Beats", page.table(head, rows, "As measured, before any correction"))


def _card(name: str) -> str:
    """The card of weights of the package, by name."""
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
    command: str | None = None,
    calibrated_on: str = PHANTOMS,
) -> Path:
    """Write the scores of a study as one HTML file, whole or not at all; returns its path.

    table: a row a clip: name, ef, ef_low, ef_high in per cent, and where known ef_true and
    warnings. summary: scores by name, or a row a split as `ef_scores.ef_scores` gives them; of
    x, x_low and x_high one line is made. command, calibrated_on: as for `write_report`.
    """
    command = command or "python -m echolib function STUDY --out FOLDER"
    without = int(np.isnan(table.ef).sum())
    count = f"{len(table)} clips" + (f", {without} of them without an EF" if without else "")
    head = ("Clip", "EF (%)", "90 % interval", "True EF (%)", "Warnings")
    caption = f"Up to {SUSPECTS} clips: first those without EF, then the widest intervals"
    parts = [
        page.paragraph(f"{count}.", "lead"),
        page.paragraph(CALIBRATED.format(calibrated_on), "soft"),
        page.section("Scores", page.table(*_scores(summary))),
        page.section("Ejection fraction", _study_picture(table)),
        page.section("Clips to look at", page.table(head, _suspects(table), caption)),
        page.section("This report", page.origin(command)),
    ]
    return page.write_page(path, f"Heart function: {title}", BANNER, parts)


def _study_picture(table: pd.DataFrame) -> str:
    """EF found against true EF, where this is known."""
    if "ef_true" not in table or (np.isfinite(table.ef_true) & np.isfinite(table.ef)).sum() < 2:
        return page.paragraph("No figure: fewer than two clips have both a true and a found EF.")
    with plt.rc_context():
        use_style()
        figure = ef_figure(table)
        source = page.figure_uri(figure, dpi=130, facecolor="white")
    plt.close(figure)
    alt = "Left: EF found against true EF, with intervals. Right: Bland-Altman plot of both."
    return page.picture(source, alt)


def _scores(summary: Mapping[str, object] | pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Heads and rows of the table of scores: a row a score, a column a split."""
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
            rows.append([SCORES.get(name, name.replace("_", " ")), *cells])
    return head, rows


def _score(split: Mapping[str, object], name: str) -> str:
    """A score with its interval, where it has one."""
    value, low, high = (split.get(f"{name}{end}") for end in ("", "_low", "_high"))
    between = "" if low is None or high is None else f"{_short(low)} to {_short(high)}"
    if name not in split:
        return between
    return _short(value) + (f" ({between})" if between else "")


def _short(value: object) -> str:
    if isinstance(value, (tuple, list, np.ndarray)):
        return " to ".join(map(_short, value))
    if isinstance(value, (float, np.floating)):
        return f"{value:.3g}" if np.isfinite(value) else UNKNOWN
    return str(value)


def _suspects(table: pd.DataFrame) -> Iterator[tuple[str, ...]]:
    """Rows of the clips to look at first: no EF, then the widest intervals."""
    width = (table.ef_high - table.ef_low).where(np.isfinite(table.ef), np.inf)
    for index in width.sort_values(ascending=False, kind="stable").index[:SUSPECTS]:
        row = table.loc[index]
        low, high = _value(row.ef_low), _value(row.ef_high)
        between = UNKNOWN if UNKNOWN in (low, high) else f"{low} to {high}"
        warnings = row.get("warnings")
        warnings = " ".join(warnings) if isinstance(warnings, (list, tuple)) else warnings
        warnings = warnings if isinstance(warnings, str) else ""  # NaN where a CSV has none
        yield row["name"], _value(row.ef), between, _value(row.get("ef_true")), warnings
