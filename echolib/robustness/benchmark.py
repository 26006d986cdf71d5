"""Score several models on the same frames, clean and corrupted, a row a case."""

import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn
from tqdm.auto import tqdm

from .. import __version__
from ..config import device as default_device
from ..data.frames import FrameSet
from ..errors import DataError
from ..files import claim_parts, write_table
from ..geometry import disk_volume, mask_to_tracing
from ..metrics import case_scores
from ..networks.corruptions import CORRUPTIONS, SEVERITIES, check_corruptions, corrupt
from ..networks.inference import predict, square_masks
from ..networks.models import weights_digest
from .doubt import mean_shape

CLEAN = "clean"
CASES_FILE = "robustness.csv"
PARTS_FOLDER = "parts"


def corrupted_images(frames: FrameSet, corruption: str, severity: int, seed: int = 0) -> np.ndarray:
    """The frames' images (N, S, S) uint8, corrupted; "clean" or severity 0 leaves them alone.

    Each frame draws from its own seed, made of `seed`, clip and frame, so that all models and
    all severities meet the same noise.
    """
    images = np.array(frames.images)
    if corruption == CLEAN or severity == 0:
        return images
    for index, row in enumerate(frames.table.itertuples()):
        own = zlib.crc32(f"{seed} {row.clip} {row.frame}".encode())
        images[index] = corrupt(images[index], corruption, severity, own)
    return images


def score_condition(
    models: dict[str, nn.Module],
    frames: FrameSet,
    corruption: str = CLEAN,
    severity: int = 0,
    seed: int = 0,
    pairs: dict[str, tuple[str, str]] | None = None,
    device: torch.device | None = None,
) -> pd.DataFrame:
    """Score every model on the frames under one corruption, in the geometry of the square.

    pairs: name of a combined model to the names of the two models whose masks' mean shape it
    takes. Returns a row a model and case: model, corruption, severity, clip, frame, phase,
    patient, source, the scores of `metrics.case_scores`, area and area_true in px, area_error in
    per cent of the true area, volume and volume_true (method of disks, px³ / 1000 or ml; 0 for
    an empty mask), ef_error in points of ejection fraction (found minus true, each cut to 0 to
    100 %; NaN where ED or ES is missing or its mask empty), and the unit of distances.
    """
    for name, pair in (pairs or {}).items():
        if name in models or not set(pair) <= models.keys():
            raise ValueError(
                f"{name!r} cannot join {pair}: it needs a name of its own and two of {[*models]}."
            )
    images = corrupted_images(frames, corruption, severity, seed)
    masks = {
        name: square_masks(predict(model, images, device), frames.size, frames.rounded)
        for name, model in models.items()
    }
    for name, (one, other) in (pairs or {}).items():
        both = zip(masks[one], masks[other], strict=True)
        masks[name] = np.stack([mean_shape(a, b) for a, b in both])
    rows = []
    for index, (_, case) in enumerate(frames.table.iterrows()):
        known = {name: case[name] for name in ("clip", "frame", "phase", "patient", "source")}
        truth = np.asarray(frames.masks[index])
        spacing = None if pd.isna(case.spacing) else float(case.spacing)
        volume_true = _volume(truth, spacing)
        for name, found in masks.items():
            row = {"model": name, "corruption": corruption, "severity": severity, **known}
            row |= _scores(found[index], truth, spacing) | {"volume_true": volume_true}
            rows.append(row | {"unit": "px" if spacing is None else "mm"})
    return _with_ejection_errors(_in_order(pd.DataFrame(rows), list(masks)))


def _in_order(cases: pd.DataFrame, models: list[str]) -> pd.DataFrame:
    """The rows in the models' order, within each as they were."""
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
    try:
        return disk_volume(mask_to_tracing(mask), spacing or 1.0)
    except ValueError:  # empty, or too small to have a long axis
        return 0.0


def _with_ejection_errors(cases: pd.DataFrame) -> pd.DataFrame:
    """The cases with ef_error, the same in both rows of a clip."""
    clips = cases.drop_duplicates(["model", "clip", "phase"])
    clips = clips.pivot(index=["model", "clip"], columns="phase", values=["volume", "volume_true"])
    errors = _ejection(clips, "volume") - _ejection(clips, "volume_true")
    rows = pd.MultiIndex.from_frame(cases[["model", "clip"]])
    cases.insert(cases.columns.get_loc("unit"), "ef_error", errors.reindex(rows).to_numpy())
    return cases


def _ejection(clips: pd.DataFrame, volume: str) -> pd.Series:
    """Ejection fraction a clip, cut to 0 to 100 %; NaN where a phase or a volume is missing."""
    if not {(volume, "ED"), (volume, "ES")} <= set(clips.columns):
        return pd.Series(np.nan, index=clips.index)
    end_diastolic, end_systolic = (clips[volume, phase].astype(float) for phase in ("ED", "ES"))
    known = end_diastolic.where((end_diastolic > 0) & (end_systolic > 0))
    return (100 * (known - end_systolic) / known).clip(0, 100)


def conditions(
    corruptions: Iterable[str] | None = None, severities: Iterable[int] = SEVERITIES
) -> list[tuple[str, int]]:
    """Clean, then each corruption (default: all) in each severity."""
    names = dict.fromkeys(check_corruptions(CORRUPTIONS if corruptions is None else corruptions))
    severities = tuple(dict.fromkeys(severities))
    if not names or not severities or not set(severities) <= set(SEVERITIES):
        raise ValueError(
            f"Name some corruptions, and severities of {SEVERITIES}, not {severities}."
        )
    return [(CLEAN, 0), *((name, severity) for name in names for severity in severities)]


def run_robustness(
    models: dict[str, nn.Module],
    frames: FrameSet,
    folder: str | Path,
    corruptions: Iterable[str] | None = None,
    severities: Iterable[int] = SEVERITIES,
    seed: int = 0,
    pairs: dict[str, tuple[str, str]] | None = None,
    progress: bool = True,
    device: torch.device | None = None,
) -> pd.DataFrame:
    """Score every model under every condition and write `robustness.csv` to the folder.

    Parameters and columns as for `score_condition`. What was finished before an interruption is
    kept in `parts/` and not computed again. Raises ValueError without frames, DataError where
    the parts in the folder are of other models, frames or settings.
    """
    if not len(frames):
        raise ValueError("There are no frames to score. Does the data set name its splits?")
    folder = Path(folder)
    parts = folder / PARTS_FOLDER
    wanted = conditions(corruptions, severities)
    claim_parts(parts, _identity(models, frames, seed, pairs, device))
    bar = tqdm(wanted, desc="robustness", unit="condition", disable=not progress)
    tables = []
    for corruption, severity in bar:
        part = parts / f"{corruption}-{severity}.csv"
        if not part.is_file():
            cases = score_condition(models, frames, corruption, severity, seed, pairs, device)
            write_table(cases, part)
        tables.append(read_cases(part))
    cases = _in_order(pd.concat(tables, ignore_index=True), [*models, *(pairs or {})])
    write_table(cases, folder / CASES_FILE)
    return cases


def read_cases(path: str | Path) -> pd.DataFrame:
    """The table that `run_robustness` wrote. Raises DataError where it is not one."""
    text = dict.fromkeys(("model", "corruption", "clip", "phase", "patient", "source", "unit"), str)
    try:
        cases = pd.read_csv(path, dtype=text, keep_default_na=False, na_values={"ef_error": ""})
        return cases.astype({"severity": int, "dice": float})
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"{path} is not a table of robustness cases ({error}). Remove it and run again."
        ) from error


def _identity(models: dict, frames: FrameSet, seed: int, pairs, device) -> dict:
    """What parts must agree in, as hashes and plain values."""
    weights = {name: weights_digest(model) for name, model in models.items()}
    levels = {name: str(corruption.levels) for name, corruption in CORRUPTIONS.items()}
    together = {name: list(pair) for name, pair in (pairs or {}).items()}
    where = {"device": (device or default_device()).type, "echolib": __version__}
    settings = {"seed": seed, "pairs": together, "levels": levels}
    return {"models": weights, "frames": frames.fingerprint(), **settings, **where}
