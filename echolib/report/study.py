"""The report of a study: one HTML file, which opens offline and links to the videos beside it."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from ..cautions import split
from ..figures.base import styled
from ..figures.overlay import draw_outlines
from ..figures.ventricle import ef_figure
from ..ventricle.words import CORRECTED, are_corrected, interval_remark, key_frames
from . import page
from .page import UNKNOWN, number_text

if TYPE_CHECKING:  # a report can be written without torch
    from ..ventricle.calibration import Calibration
    from ..ventricle.clip import ClipFunction

CLIPS_TO_CHECK = 20  # clips to look at
PICTURE_SIZE = 140  # px, longer side of each of the two frames in the picture of a clip
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


def write_study_report(
    path: str | Path,
    table: pd.DataFrame,
    scores: pd.DataFrame | None = None,
    by_range: pd.DataFrame | None = None,
    dice: pd.DataFrame | None = None,
    title: str = "study",
    calibration: "Calibration | None" = None,
    about_ef: str = "",
    pictures: Mapping[str, np.ndarray] | None = None,
    videos: Mapping[str, str] | None = None,
) -> Path:
    """Write the scores of a study as one HTML file, whole or not at all; returns its path.

    table: one row per clip: name, ef_corrected, ef_low, ef_high in per cent, and where known
    ef_measured, ef_true and warnings (as in `clips.csv`). scores, by_range: as `ef_scores` and
    `ef_scores_by_range` return them, None where no true EF is known; x, x_low and x_high become one
    line. dice: of `dice_scores`, None where no frame is labelled. calibration: of the intervals.
    about_ef: a sentence on the method of the true EF, if it is another one. pictures: (h, w, 3)
    uint8 RGB by the name of a clip, as of `clip_picture`. videos: by the name of a clip, the file
    relative to the folder of the report.
    """
    head, rows = ([], []) if scores is None else _scores(scores)
    corrected = are_corrected(table)
    chosen = clips_to_check(table)
    shared = _shared_warnings(table)
    labels = _labels(chosen, shared)
    return page.write_page(
        path,
        "study.html",
        title=f"Heart function: {title}",
        count=len(table),
        without_ef=int(np.isnan(table.ef_corrected).sum()),
        intervals=bool(table.ef_low.notna().any()),
        calibration=interval_remark(calibration),
        corrected=CORRECTED if corrected else "",
        word="corrected" if corrected else "measured",
        scores={"head": head, "rows": rows},
        ranges=[] if by_range is None else _ranges(by_range),
        dice=[] if dice is None else _dice(dice),
        about_ef=about_ef,
        figure=_figure(table),
        clips=[
            _clip(row, pictures or {}, videos or {}) | _warnings(row, shared, labels)
            for _, row in chosen.iterrows()
        ],
        shared=shared,
        labels={label: text for text, label in labels.items()},
        provenance=page.provenance("python -m echolib function STUDY --out FOLDER"),
    )


def clips_to_check(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of at most `CLIPS_TO_CHECK` clips that a reader should look at.

    Clips without an EF come first, then those with the widest intervals. table: as for
    `write_study_report`.
    """
    width = (table.ef_high - table.ef_low).where(np.isfinite(table.ef_corrected), np.inf)
    return table.loc[width.sort_values(ascending=False, kind="stable").index[:CLIPS_TO_CHECK]]


def clip_picture(result: "ClipFunction") -> np.ndarray:
    """The key frames of a clip with their outlines, side by side: (h, w, 3) uint8 RGB."""
    result = result.cropped()
    frames = list(key_frames(result.function).values())
    images = result.clip.frames[frames]
    scale = PICTURE_SIZE / max(images.shape[1:])
    return np.concatenate(list(draw_outlines(images, result.packed[frames], scale=scale)), axis=1)


# --- Parts of the page --------------------------------------------------------------------------


def _figure(table: pd.DataFrame) -> str:
    """The figure of found and true EF as a data URI; empty if fewer than two clips have both."""
    if "ef_true" not in table:
        return ""
    if (np.isfinite(table.ef_true) & np.isfinite(table.ef_corrected)).sum() < 2:
        return ""
    with styled():
        figure = ef_figure(table)
        source = page.figure_uri(figure, dpi=130, facecolor="white")
    plt.close(figure)
    return source


def _scores(scores: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of the table of scores: one row per score, one column per split."""
    splits = scores.to_dict("records")
    stems = [name.removesuffix("_low").removesuffix("_high") for name in scores.columns]
    head = ["Score", *(_score_text(split["split"]) for split in splits)]
    rows = [
        [SCORE_NAMES.get(name, name), *(_score(split, name) for split in splits)]
        for name in dict.fromkeys(stems)
        if name != "split"
    ]
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


def _dice(dice: pd.DataFrame) -> list[tuple[str, ...]]:
    """One row per phase: frames, Dice pooled over the pixels, mean over the frames, median."""
    names = ("pooled", "per_case", "median")
    return [
        (row["phase"], str(row["n"]), *(_score(row, name) for name in names))
        for row in dice.to_dict("records")
        if row["n"]
    ]


def _score(split: Mapping[str, object], name: str) -> str:
    """A score with its interval, if it has one."""
    value, low, high = (split.get(f"{name}{end}") for end in ("", "_low", "_high"))
    known = pd.notna(low) and pd.notna(high)  # few clips give no interval
    interval = f"{_score_text(low)} to {_score_text(high)}" if known else ""
    if name not in split:
        return interval or UNKNOWN
    return _score_text(value) + (f" ({interval})" if interval else "")


def _score_text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if np.isfinite(value) else UNKNOWN
    return str(value)


def _shared_warnings(table: pd.DataFrame) -> list[str]:
    """The warnings that every clip with an EF has, if there is more than one such clip."""
    measured = table[np.isfinite(table.ef_corrected)]
    if "warnings" not in table or len(measured) < 2:
        return []
    lists = [split(texts) for texts in measured.warnings]
    return [text for text in lists[0] if all(text in other for other in lists)]


def _labels(clips: pd.DataFrame, shared: list[str]) -> dict[str, str]:
    """A label such as "W1" for each warning that several clips have, by its text.

    shared: warnings of all clips, which need none. Frequent warnings come first.
    """
    texts = [text for cell in clips.get("warnings", []) for text in split(cell)]
    several = [text for text, n in Counter(texts).most_common() if n > 1 and text not in shared]
    return {text: f"W{number}" for number, text in enumerate(several, start=1)}


def _warnings(row: pd.Series, shared: list[str], labels: dict[str, str]) -> dict[str, object]:
    """The warnings of a clip: `labels` of those that others have, and its `own` as texts."""
    texts = [text for text in split(row.get("warnings")) if text not in shared]
    return {
        "labels": ", ".join(label for text, label in labels.items() if text in texts),
        "own": [text for text in texts if text not in labels],
    }


def _clip(
    row: pd.Series, pictures: Mapping[str, np.ndarray], videos: Mapping[str, str]
) -> dict[str, object]:
    """A clip to look at: its name, its numbers, and its picture and video if it has them."""
    name = row["name"]
    low, high = number_text(row.ef_low), number_text(row.ef_high)
    return {
        "name": name,
        "ef": number_text(row.ef_corrected, "%"),
        "interval": "" if UNKNOWN in (low, high) else f"{low} to {high}\N{NO-BREAK SPACE}%",
        "true": number_text(row.get("ef_true"), "%"),
        "picture": page.jpeg_uri(pictures[name]) if name in pictures else "",
        "video": quote(videos[name]) if name in videos else "",
    }
