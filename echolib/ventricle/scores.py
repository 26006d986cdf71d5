"""Scores of a whole study: ejection fraction, and Dice as EchoNet-Dynamic reports it.

Clips without an ejection fraction are counted, never dropped silently. All intervals are 95 %
bootstrap intervals by patient, because two clips of one patient are not two independent cases.
EchoNet-Dynamic's own intervals go from the 5th to the 95th percentile, so they are narrower.
Source of the reported scores: Ouyang et al., Nature 580, 2020, and the code published with it.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from ..data.frames import SPLITS
from ..statistics import FEWEST_PATIENTS, bootstrap_intervals

ALL = "all"
EF_LIMITS = (35, 45, 50)  # EF in per cent: with a lower EF, a heart counts as weak
EF_RANGES = (30, 45, 55)  # EF in per cent: limits of the ranges in which hearts are told apart
FEWEST_IN_RANGE = 20  # clips: if a range has fewer, the clips are divided into thirds


def auc(positive: np.ndarray, score: np.ndarray) -> float:
    """Area under the ROC curve: how often a positive case scores higher than a negative case.

    positive: (N,) bool. score: (N,), higher for cases that are more likely positive; ties count
    half. Returns 0 to 1, or NaN unless there are both positive and negative cases. Raises
    ValueError for arrays of different length and for a score that is NaN. Source: Mann, Whitney,
    Annals of Mathematical Statistics 18, 1947 (the area is their U as a share of all pairs);
    Hanley, McNeil, Radiology 143, 1982.
    """
    positive, score = np.asarray(positive, bool), np.asarray(score, float)
    if positive.ndim != 1 or positive.shape != score.shape:
        raise ValueError(
            "Expected one score per case, (N,) and (N,), found arrays of shape "
            f"{positive.shape} and {score.shape}."
        )
    if np.isnan(score).any():
        raise ValueError(
            "A score is NaN and has no rank. Leave such cases out, and report how many they are."
        )
    count = int(positive.sum())
    pairs = count * (len(positive) - count)
    if not pairs:
        return np.nan
    return float((rankdata(score)[positive].sum() - count * (count + 1) / 2) / pairs)


def ef_scores(
    table: pd.DataFrame, resamples: int = 2000, column: str = "ef_corrected"
) -> pd.DataFrame:
    """Score the ejection fraction of every split of a study, and of all clips together.

    table: one row per clip with name, split, ef_true and the EF that is scored, in per cent (NaN
    where unknown), and where known patient (by default each clip is a patient), ef_low and
    ef_high. column: of that EF; "ef_measured" scores the outlines without the correction. Returns
    one row per split, in the order train, val, test and others, then the row "all":

    split. n, number of scored clips, and patients, number of their patients. missing, clips with a
    true EF but no measured EF. without_truth, clips whose true EF is unknown. mae, rmse, bias
    (measured minus true) and loa_low, loa_high, the 95 % limits of agreement, in points. r2, 1 -
    SS_res / SS_tot as EchoNet-Dynamic reports it; a bias lowers it, and it can be negative.
    correlation, Pearson's. auc_35, auc_45, auc_50, area under the ROC curve of "true EF below x"
    by the measured EF (EchoNet-Dynamic's code counts an EF of exactly x as below). intervals, how
    many of the n clips have ef_low and ef_high. coverage, the share of these intervals that
    contains the truth, per cent. width, their mean width in points. mae, rmse, r2, auc_50 and
    coverage have an interval (mae_low, mae_high, ...) from the resamples in which they are
    defined; like the limits of agreement, only from `FEWEST_PATIENTS` on. NaN where a score is
    undefined, such as r2 of a single clip.

    Raises ValueError for a missing column, no row, a clip in two rows, EF as a fraction, or an
    ef_low above its ef_high. Source of the limits of agreement: Bland, Altman, Lancet 327, 1986.
    """
    clips = _checked_clips(table, column)
    splits = sorted(
        clips.groupby("split", sort=False, dropna=False),
        key=lambda named: SPLITS.index(named[0]) if named[0] in SPLITS else len(SPLITS),
    )
    rows = [*splits, (ALL, clips)]
    return pd.DataFrame([{"split": split, **_ef_row(part, resamples)} for split, part in rows])


def ef_scores_by_range(
    table: pd.DataFrame, resamples: int = 2000, column: str = "ef_corrected"
) -> pd.DataFrame:
    """Score the ejection fraction of all clips by range of the true EF.

    A mean over all clips says little about weak hearts, which are few. table, column: as for
    `ef_scores`, which also describes the columns: range, then n, patients, missing, mae, bias,
    intervals, coverage and width. Returns one row per range, from the weakest: the ranges of
    `EF_RANGES` if each has at least `FEWEST_IN_RANGE` clips, else thirds of the clips, with limits
    in whole per cent. No row where no true EF is known. Raises ValueError as `ef_scores`.
    """
    clips = _checked_clips(table, column)
    clips = clips[np.isfinite(clips.ef_true)]
    limits: tuple[int, ...] = EF_RANGES
    counts = np.bincount(np.digitize(clips.ef_true, limits), minlength=len(limits) + 1)
    if len(clips) and counts.min() < FEWEST_IN_RANGE:
        limits = tuple(int(limit) for limit in clips.ef_true.quantile([1 / 3, 2 / 3]).round())
    columns = ["range", "n", "patients", "missing", "mae", "mae_low", "mae_high", "bias"]
    columns += ["intervals", "coverage", "coverage_low", "coverage_high", "width"]
    rows = [
        {"range": _range_name(number, limits), **_ef_row(part, resamples)}
        for number, part in clips.groupby(np.digitize(clips.ef_true, limits))
    ]
    return pd.DataFrame(rows, columns=columns)


def _range_name(number: int, limits: tuple[int, ...]) -> str:
    """A range of EF in words; number: how many of the limits lie below it."""
    if number == 0:
        return f"below {limits[0]}"
    if number == len(limits):
        return f"{limits[-1]} and above"
    return f"{limits[number - 1]} to {limits[number]}"


def _checked_clips(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """The table, checked, with the optional columns and `ef` added and all numbers as floats."""
    _check_columns(table, ("name", "split", "ef_true", column), "clips")
    _check_unique(table, ["name"])
    bounds = [name for name in ("ef_low", "ef_high") if name in table]
    if len(bounds) == 1:
        raise ValueError(
            f"The table has only {bounds[0]}, but an interval needs ef_low and ef_high. Add the "
            "missing column, or leave both out."
        )
    clips = table.assign(
        ef=table[column], **({} if bounds else {"ef_low": np.nan, "ef_high": np.nan})
    )
    clips = clips.astype(dict.fromkeys(("ef_true", "ef", "ef_low", "ef_high"), float))
    if (clips.split == ALL).any():
        raise ValueError(
            f"No split can have the name {ALL!r}, which means all clips together. Rename the split."
        )
    if 0 < (largest := clips.ef_true.max()) <= 1:
        raise ValueError(
            f"ef_true: expected EFs in per cent, found values up to {largest:.3g}. Multiply "
            "fractions by 100."
        )
    if (wrong := clips.ef_low > clips.ef_high).any():
        raise ValueError(f"ef_low is above ef_high in {_first_names(clips.name[wrong])}.")
    return clips.assign(patient=_patients(clips, "name"))


def _patients(table: pd.DataFrame, clip: str) -> pd.Series:
    """The patient of each row, or the clip where the patient is unknown.

    clip: name of the column with the clip.
    """
    return table.patient.fillna(table[clip]) if "patient" in table else table[clip]


def _check_columns(table: pd.DataFrame, columns: tuple[str, ...], rows: str) -> None:
    """Raise ValueError for a missing column, or no row; rows: what a row is, for the message."""
    missing = [name for name in columns if name not in table]
    if missing:
        raise ValueError(
            f"The table lacks {', '.join(missing)}; it has {', '.join(map(str, table.columns))}."
        )
    if table.empty:
        raise ValueError(f"No {rows} to score: the table has no row.")


def _check_unique(table: pd.DataFrame, keys: list[str]) -> None:
    """Raise ValueError for two rows with the same keys, the first of which names a clip."""
    if (twice := table.duplicated(keys)).any():
        raise ValueError(
            f"The same {' and '.join(keys)} in two rows: {_first_names(table[keys[0]][twice])}. "
            "Score one model and one condition at a time."
        )


def _first_names(names: pd.Series) -> str:
    """The first five names, and how many more there are."""
    first = ", ".join(map(str, names[:5]))
    return first + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _ef_row(clips: pd.DataFrame, resamples: int) -> dict[str, float]:
    """Counts and scores of one split, or of all clips."""
    has_truth, has_ef = np.isfinite(clips.ef_true), np.isfinite(clips.ef)
    scored = clips[has_truth & has_ef]
    true, ef = scored.ef_true.to_numpy(), scored.ef.to_numpy()
    width = (scored.ef_high - scored.ef_low).to_numpy()
    covered = ((scored.ef_low <= true) & (true <= scored.ef_high)).to_numpy(float)
    covered[np.isnan(width)] = np.nan
    bounded = _with_intervals(
        lambda rows: _ef_errors(true[rows], ef[rows], covered[rows]), scored.patient, resamples
    )
    error = ef - true
    several = scored.patient.nunique() >= FEWEST_PATIENTS
    spread = 1.96 * error.std(ddof=1) if several else np.nan
    bias = _mean(error)
    row: dict[str, float] = {"n": len(scored), "patients": int(scored.patient.nunique())}
    row |= {"missing": int((has_truth & ~has_ef).sum())}
    row |= {"without_truth": int((~has_truth).sum())}
    row |= _columns("mae", bounded) | _columns("rmse", bounded) | _columns("r2", bounded)
    row |= {"correlation": _correlation(true, ef), "bias": bias}
    row |= {"loa_low": bias - spread, "loa_high": bias + spread}
    row |= {f"auc_{limit}": auc(true < limit, -ef) for limit in EF_LIMITS}
    row |= _columns("auc_50", bounded) | {"intervals": int(np.isfinite(covered).sum())}
    return row | _columns("coverage", bounded) | {"width": _mean(width[~np.isnan(width)])}


def _ef_errors(true: np.ndarray, ef: np.ndarray, covered: np.ndarray) -> dict[str, float]:
    """The scores of the EF that get a bootstrap interval.

    covered: 1 where a clip's interval contains the truth, else 0; NaN without an interval.
    """
    error = ef - true
    varies = len(true) > 1 and np.ptp(true) > 0
    return {
        "mae": _mean(np.abs(error)),
        "rmse": np.sqrt(_mean(error**2)),
        "r2": 1 - (error**2).sum() / ((true - true.mean()) ** 2).sum() if varies else np.nan,
        "auc_50": auc(true < 50, -ef),
        "coverage": 100 * _mean(covered[~np.isnan(covered)]),
    }


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else np.nan


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return np.nan
    return float(np.corrcoef(first, second)[0, 1])


def _with_intervals(
    scores: Callable[[np.ndarray], dict[str, float]], patients: pd.Series, resamples: int
) -> dict[str, tuple[float, float, float]]:
    """Value and interval of each score; all intervals use the same resamples by patient.

    Fewer than `FEWEST_PATIENTS` give no interval: the resamples of two clips tell nothing.
    """
    values = scores(np.arange(len(patients)))
    if patients.nunique() < FEWEST_PATIENTS:
        return {name: (float(value), np.nan, np.nan) for name, value in values.items()}
    intervals = bootstrap_intervals(scores, patients.to_numpy(), resamples)
    return {name: (float(value), *intervals[name]) for name, value in values.items()}


def _columns(name: str, bounded: dict[str, tuple[float, float, float]]) -> dict[str, float]:
    """The columns of one score: name, name_low and name_high."""
    return dict(zip((name, f"{name}_low", f"{name}_high"), bounded[name], strict=True))


def dice_scores(cases: pd.DataFrame, resamples: int = 2000) -> pd.DataFrame:
    """Dice of a study, pooled over all pixels as EchoNet-Dynamic reports it, and per case.

    cases: of one model and one split, from `inference.score`: clip, frame, phase, patient, dice,
    area and area_true in px. Returns the rows overall (every case, also if it is neither ED nor
    ES), ED and ES with the columns phase, n, patients, pooled (twice the sum of intersections
    over the sum of areas), per_case (mean Dice), both with _low and _high, and median; NaN
    without a case.

    In the pooled Dice, a large ventricle counts more than a small one, ED counts more than ES, and
    a picture of 500 px counts twenty times as much as one of 112 px. Do not pool data sets of
    different frame sizes. Empty masks follow the rule of `metrics`. Raises ValueError for a missing
    column, no row, or a frame in two rows.
    """
    columns = ("clip", "frame", "phase", "patient", "dice", "area", "area_true")
    _check_columns(cases, columns, "cases")
    _check_unique(cases, ["clip", "frame"])
    cases = cases.assign(patient=_patients(cases, "clip"))
    parts = {"overall": cases} | {phase: cases[cases.phase == phase] for phase in ("ED", "ES")}
    rows = [{"phase": phase, **_dice_row(part, resamples)} for phase, part in parts.items()]
    return pd.DataFrame(rows)


def _dice_row(cases: pd.DataFrame, resamples: int) -> dict[str, float]:
    """Counts and Dice of the cases of one row."""
    dices = cases.dice.to_numpy(float)
    areas = (cases.area + cases.area_true).to_numpy(float)
    bounded = _with_intervals(
        lambda rows: _dice_means(dices[rows], areas[rows]), cases.patient, resamples
    )
    row: dict[str, float] = {"n": len(cases), "patients": int(cases.patient.nunique())}
    row |= _columns("pooled", bounded) | _columns("per_case", bounded)
    return row | {"median": float(np.median(dices)) if len(dices) else np.nan}


def _dice_means(dices: np.ndarray, areas: np.ndarray) -> dict[str, float]:
    """Pooled Dice and mean Dice per case; areas: sum of predicted and true area, px."""
    total, per_case = areas.sum(), _mean(dices)
    # without any area, every prediction and truth agree that there is nothing
    pooled = float((dices * areas).sum() / total) if total else per_case
    return {"pooled": pooled, "per_case": per_case}
