"""Score several models on the same frames, clean and corrupted: one row per case."""

import zlib
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from .. import __version__
from ..config import device
from ..data.frames import FrameSet
from ..files import write_table
from ..geometry import mask_volume
from ..locks import one_at_a_time
from ..metrics import case_scores
from ..networks.corruptions import CORRUPTIONS, SEVERITIES, check_corruptions, corrupt
from ..networks.inference import predict, square_masks
from ..networks.models import Encoder, weights_digest
from ..parts import Parts
from ..workers import spread
from .doubt import mean_shapes

CLEAN = "clean"
CASES_FILE = "robustness.csv"
PARTS_FOLDER = "parts"
FORMAT = 2  # increase it when parts of an older version lack something


def corrupted_images(frames: FrameSet, corruption: str, severity: int, seed: int = 0) -> np.ndarray:
    """Corrupt the images (N, S, S) uint8 of the frames; "clean" or severity 0 changes nothing.

    Each frame has its own seed, made of `seed`, clip and frame, so that all models and all
    severities get the same noise.
    """
    images = np.array(frames.images)
    if corruption == CLEAN or severity == 0:
        return images
    for index, row in enumerate(frames.table.itertuples()):
        frame_seed = zlib.crc32(f"{seed} {row.clip} {row.frame}".encode())
        images[index] = corrupt(images[index], corruption, severity, frame_seed)
    return images


def score_condition(
    models: dict[str, Encoder],
    frames: FrameSet,
    corruption: str = CLEAN,
    severity: int = 0,
    seed: int = 0,
    pairs: dict[str, tuple[str, str]] | None = None,
) -> pd.DataFrame:
    """Score every model on the frames under one corruption, in the geometry of the square.

    pairs: {name of a combined model: names of two models}; its mask is the mean shape of their
    masks. Returns one row per model and case: model, corruption, severity, clip, frame, phase,
    patient, source, the scores of `metrics.case_scores`, area and area_true in px, area_error in
    per cent of the true area, volume and volume_true (method of disks, px³/1000 or ml; 0 for
    an empty mask), ef_error in points of ejection fraction (measured minus true, each clipped to 0
    to 100 %; NaN if ED or ES is missing or its mask is empty), and the unit of distances. Raises
    ValueError for a pair whose own name is taken, or that names a missing model.
    """
    for name, pair in (pairs or {}).items():
        if name in models or not set(pair) <= models.keys():
            raise ValueError(
                f"pairs: {name!r} cannot combine {pair}. Give it a name of its own, and the names "
                f"of two of the models {[*models]}."
            )
    images = corrupted_images(frames, corruption, severity, seed)
    masks = {
        name: square_masks(predict(model, images), frames.size, frames.rounded)
        for name, model in models.items()
    }
    for name, (first, second) in (pairs or {}).items():
        masks[name] = mean_shapes(masks[first], masks[second])
    rows = []
    for index, (_, case) in enumerate(frames.table.iterrows()):
        labels = {name: case[name] for name in ("clip", "frame", "phase", "patient", "source")}
        truth = np.asarray(frames.masks[index])
        spacing = None if pd.isna(case.spacing) else float(case.spacing)
        volume_true = _volume(truth, spacing)
        for name, predicted in masks.items():
            row = {"model": name, "corruption": corruption, "severity": severity, **labels}
            row |= _scores(predicted[index], truth, spacing) | {"volume_true": volume_true}
            rows.append(row | {"unit": "px" if spacing is None else "mm"})
    return _with_ef_errors(_sort_by_model(pd.DataFrame(rows), list(masks)))


def _sort_by_model(cases: pd.DataFrame, models: list[str]) -> pd.DataFrame:
    """Sort rows by the order of the models; the rows of each model keep their order."""
    return cases.sort_values(
        "model", key=lambda names: names.map(models.index), kind="stable"
    ).reset_index(drop=True)


def _scores(mask: np.ndarray, truth: np.ndarray, spacing: float | None) -> dict:
    area, area_true = int(mask.sum()), int(truth.sum())
    return {
        **case_scores(mask, truth, spacing),
        "area": area,
        "area_true": area_true,
        "area_error": 100 * (area - area_true) / max(1, area_true),
        "volume": _volume(mask, spacing),
    }


def _volume(mask: np.ndarray, spacing: float | None) -> float:
    """Volume of a mask; 0 if it is empty or too small for a long axis."""
    return float(np.nan_to_num(mask_volume(mask, spacing or 1.0)))


def _with_ef_errors(cases: pd.DataFrame) -> pd.DataFrame:
    """Add the column ef_error, which is equal in both rows of a clip."""
    clips = cases.drop_duplicates(["model", "clip", "phase"])
    clips = clips.pivot(index=["model", "clip"], columns="phase", values=["volume", "volume_true"])
    errors = _ejection_fractions(clips, "volume") - _ejection_fractions(clips, "volume_true")
    rows = pd.MultiIndex.from_frame(cases[["model", "clip"]])
    cases.insert(cases.columns.get_loc("unit"), "ef_error", errors.reindex(rows).to_numpy())
    return cases


def _ejection_fractions(clips: pd.DataFrame, volume: str) -> pd.Series:
    """Ejection fraction per clip, clipped to 0 to 100 %; NaN without both phases and volumes."""
    if not {(volume, "ED"), (volume, "ES")} <= set(clips.columns):
        return pd.Series(np.nan, index=clips.index)
    end_diastolic, end_systolic = (clips[volume, phase].astype(float) for phase in ("ED", "ES"))
    end_diastolic = end_diastolic.where((end_diastolic > 0) & (end_systolic > 0))
    return (100 * (end_diastolic - end_systolic) / end_diastolic).clip(0, 100)


def conditions(
    corruptions: Iterable[str] | None = None, severities: Iterable[int] = SEVERITIES
) -> list[tuple[str, int]]:
    """(corruption, severity) of each condition: clean, then each corruption in each severity.

    corruptions: default all; none in an empty list, for the clean frames alone. Raises ValueError
    for unknown names or severities, or no severity.
    """
    names = check_corruptions(CORRUPTIONS if corruptions is None else corruptions)
    names = tuple(dict.fromkeys(names))
    severities = tuple(dict.fromkeys(severities))
    if not severities or not set(severities) <= set(SEVERITIES):
        raise ValueError(f"Expected severities from {SEVERITIES}, found {severities}.")
    return [(CLEAN, 0), *((name, severity) for name in names for severity in severities)]


def run_robustness(
    models: dict[str, Encoder],
    frames: FrameSet,
    folder: str | Path,
    corruptions: Iterable[str] | None = None,
    severities: Iterable[int] = SEVERITIES,
    seed: int = 0,
    pairs: dict[str, tuple[str, str]] | None = None,
    progress: bool = True,
    workers: int | None = 1,
    scheduler: str = "",
) -> pd.DataFrame:
    """Score every model under every condition and write `robustness.csv` to the folder.

    Parameters and columns are those of `conditions` and `score_condition`. workers, scheduler: who
    scores, see `workers.spread`, condition by condition; the results do not depend on it. Finished
    conditions are kept in `parts/`, and a run that was interrupted does not compute them again,
    unless their part is damaged; of two processes that want the same, one waits for the other.
    Raises ValueError without frames, and DataError if the parts belong to other models,
    frames or settings.
    """
    if not len(frames):
        raise ValueError("There are no frames to score. Does the data set name its splits?")
    folder = Path(folder)
    all_conditions = conditions(corruptions, severities)
    with one_at_a_time(folder):
        parts = Parts(folder / PARTS_FOLDER, _identity(models, frames, seed, pairs))
        task = partial(
            _part, models=models, frames=frames, seed=seed, pairs=pairs, parts=parts,
            holds=[f"{row.clip} {row.frame}" for row in frames.table.itertuples()],
        )  # fmt: skip
        made = spread(task, all_conditions, workers, scheduler, needs=[parts.identity_file])
        bar = tqdm(made, "robustness", len(all_conditions), unit="condition", disable=not progress)
        tables = [pd.DataFrame(rows) for rows in bar]
        cases = _sort_by_model(pd.concat(tables, ignore_index=True), [*models, *(pairs or {})])
        write_table(cases, folder / CASES_FILE)
    return cases


def _part(
    condition: tuple[str, int],
    models: dict[str, Encoder],
    frames: FrameSet,
    seed: int,
    pairs: dict[str, tuple[str, str]] | None,
    parts: Parts,
    holds: list[str],
) -> list[dict]:
    """Rows of a condition from its part, which is made first if it is not there."""
    name = "-".join(map(str, condition))
    rows = parts.load(name, holds)
    if rows is None:
        cases = score_condition(models, frames, *condition, seed, pairs)
        rows = parts.save(name, holds, cases.to_dict("records"))
    return rows


def _identity(models: dict, frames: FrameSet, seed: int, pairs) -> dict:
    """What parts must have in common with a run that resumes them, as hashes and plain values."""
    weights = {name: weights_digest(model) for name, model in models.items()}
    levels = {name: str(corruption.levels) for name, corruption in CORRUPTIONS.items()}
    return {
        "models": weights,
        "frames": frames.fingerprint(),
        "seed": seed,
        "pairs": {name: list(pair) for name, pair in (pairs or {}).items()},
        "levels": levels,
        "device": device().type,
        "echolib": __version__,
        "format": FORMAT,
    }
