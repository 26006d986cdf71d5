"""Robustness of several models, written as a folder of tables and figures."""

from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from ..data.frames import FrameSet
from ..figures.base import save, styled
from ..figures.robustness import (
    comparison_forest,
    difference_forest,
    retention_curves,
    severity_curves,
)
from ..files import write_table
from ..networks.corruptions import SEVERITIES
from ..networks.models import Encoder, finds_landmarks
from ..robustness.benchmark import conditions, corrupted_images, run_robustness
from ..robustness.comparison import (
    NO_DIFFERENCE,
    SEEN,
    compare_models,
    differences_from_first,
    doubt_gains,
    falls_from_clean,
    robustness_summary,
    seen_in_training,
)
from ..robustness.doubt import doubt_cases
from ..statistics import interval_in_words

DIFFERENCES_FILE = "differences.csv"
COMBINED = "combined"  # name of the model that combines a masks and a landmarks model


def report_robustness(
    models: dict[str, Encoder],
    frames: FrameSet,
    folder: str | Path,
    corruptions: tuple[str, ...] | None = None,
    severities: tuple[int, ...] = SEVERITIES,
    seed: int = 0,
    progress: bool = True,
    workers: int | None = 1,
    scheduler: str = "",
) -> pd.DataFrame:
    """Run the benchmark and write its results; returns the summary, one row per model.

    corruptions: default all; none in an empty tuple, which scores the clean frames alone. If the
    models include both kinds, the first masks model and the first landmarks model form a pair: they
    are compared, and scored as a combined model too. The folder gets `robustness.csv` (one row per
    case), `summary.csv`, `differences.csv` and `differences.png` (the first model against each
    other one), `falls.csv` (at the middle severity) and `curves.png`; with a pair also
    `comparison.csv`, `comparison.png`, `doubt.csv` (one row per frame, clean and at the middle
    severity), `doubt_gain.csv` and `doubt.png`. Clean frames alone give no falls and no curves. An
    interrupted run resumes as in `run_robustness`, which explains workers and scheduler.
    """
    folder = Path(folder)
    pair = _first_pair(models)
    pairs = {COMBINED: pair} if pair else None
    cases = run_robustness(
        models, frames, folder, corruptions, severities, seed, pairs, progress, workers, scheduler
    )
    summary, seen = robustness_summary(cases, baseline=next(iter(models))), seen_in_training(models)
    write_table(summary, folder / "summary.csv", index=True)
    differences = differences_from_first(cases[cases.model.isin(models)], seen)
    write_table(differences, folder / DIFFERENCES_FILE)
    falls = falls_from_clean(cases, _middle(severities), seen)
    if len(falls):
        write_table(falls, folder / "falls.csv")
        _draw(lambda: severity_curves(cases, seen), "curves", folder)
    if len(differences):
        _draw(lambda: difference_forest(differences), "differences", folder)
    if pair:
        table = compare_models(cases, *pair)
        write_table(table, folder / "comparison.csv")
        _draw(lambda: comparison_forest(table), "comparison", folder)
        masks_model, landmarks_model = (models[name] for name in pair)
        doubts = _doubts(masks_model, landmarks_model, frames, corruptions, severities, seed)
        write_table(doubts, folder / "doubt.csv")
        write_table(doubt_gains(doubts), folder / "doubt_gain.csv")
        _draw(lambda: retention_curves(doubts), "doubt", folder)
    return summary


def explain_differences(table: pd.DataFrame) -> str:
    """The paired differences of the first model from each other one, a line each, for the shell.

    table: of `comparison.differences_from_first`, also as read from its file.
    """
    lines = []
    for row in table.to_dict("records"):
        interval = interval_in_words(row["low"], row["high"], row["patients"], "+.4f")
        frames = row["frames"] if row["frames"] != SEEN else f"seen by {row['seen_by']}"
        verdict = row["verdict"]
        verdict = verdict if verdict == NO_DIFFERENCE else f"{verdict} is better"
        lines.append(
            f"{row['first']} - {row['second']}, {frames}: Dice {row['difference']:+.4f} "
            f"({interval}), p {row['p_holm']:.2g} (Holm), {row['patients']} patients: {verdict}"
        )
    return "\n".join(lines)


def explain_summary(models: dict[str, Encoder], clean: bool = False) -> str:
    """What the columns of the summary are, and what the combined model is, for the shell.

    clean: whether only clean frames were scored.
    """
    baseline, pair = next(iter(models)), _first_pair(models)
    lines = ["clean: mean Dice of the left ventricle."]
    if not clean:
        lines = [
            "clean, corrupted: mean Dice of the left ventricle; kept: their quotient.",
            f"mce: error 1 - Dice under corruption, as a share of that of {baseline}; "
            "relative_mce: the same of the Dice lost.",
            "worst: the corruption with the lowest Dice. ef_error: points of EF under corruption; "
            "without_ef: clips without one, %.",
        ]
    if pair:
        lines.append(f"{COMBINED}: the mean shape of {pair[0]} and {pair[1]}.")
    return "\n".join(lines)


def _draw(make: Callable[[], Figure], name: str, folder: Path) -> None:
    with styled():
        plt.close(save(make(), name, folder))


def _first_pair(models: dict[str, Encoder]) -> tuple[str, str] | None:
    """Names of the first masks model and the first landmarks model; None if one is missing."""
    masks = [name for name, model in models.items() if not finds_landmarks(model)]
    landmarks = [name for name, model in models.items() if finds_landmarks(model)]
    return (masks[0], landmarks[0]) if masks and landmarks else None


def _doubts(
    masks_model: Encoder,
    landmarks_model: Encoder,
    frames: FrameSet,
    corruptions: tuple[str, ...] | None,
    severities: tuple[int, ...],
    seed: int,
) -> pd.DataFrame:
    """Doubt and Dice of each frame, clean and under each corruption at the middle severity."""
    tables = []
    for corruption, severity in conditions(corruptions, (_middle(severities),)):
        images = corrupted_images(frames, corruption, severity, seed)
        table = doubt_cases(masks_model, landmarks_model, frames, images)
        tables.append(table.assign(corruption=corruption, severity=severity))
    return pd.concat(tables, ignore_index=True)


def _middle(severities: tuple[int, ...]) -> int:
    return sorted(severities)[len(severities) // 2]
