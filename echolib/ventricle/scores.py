"""How well a whole study is measured: ejection fraction, and Dice as EchoNet-Dynamic reports it.

No clip is dropped in silence: one without an ejection fraction is counted. All intervals are 95 %
bootstrap intervals by patient, because two clips of one patient are not two independent cases;
EchoNet-Dynamic's own intervals go from the 5th to the 95th percentile and are narrower for that.
Source of what is reported: Ouyang et al., Nature 580, 2020, and the code published with it.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.stats import rankdata

ALL = "all"
THRESHOLDS = (35, 45, 50)  # per cent of EF, below which a heart is called weak


def auc(positive: np.ndarray, score: np.ndarray) -> float:
    """Area under the ROC curve: how often a positive case scores higher than a negative one.

    positive: (N,) bool. score: (N,), higher for more likely positive; ties count half. Returns 0
    to 1, NaN unless both kinds of case are there. Raises ValueError for two lengths or for a score
    that is NaN. Source: Mann, Whitney, Annals of Mathematical Statistics 18, 1947, whose U this
    is as a share of all pairs; Hanley, McNeil, Radiology 143, 1982.
    """
    positive, score = np.asarray(positive, bool), np.asarray(score, float)
    if positive.ndim != 1 or positive.shape != score.shape:
        raise ValueError(
            f"A score a case is needed, (N,) and (N,), not {positive.shape} and {score.shape}."
        )
    if np.isnan(score).any():
        raise ValueError("A score that is NaN has no rank; leave its case out, and count it.")
    count = int(positive.sum())
    pairs = count * (len(positive) - count)
    if not pairs:
        return np.nan
    return float((rankdata(score)[positive].sum() - count * (count + 1) / 2) / pairs)


def ef_scores(table: pd.DataFrame, resamples: int = 2000, seed: int = 0) -> pd.DataFrame:
    """Score the ejection fraction of every split of a study, and of all clips together.

    table: a row a clip: name, split, ef_true and ef in per cent (NaN where unknown), and where
    known patient (default: each clip is one), ef_low and ef_high. Returns a row a split, in the
    order of the table, then "all":

    split; n, clips that are scored, and their patients; missing, clips with a true EF for which
    none was found; without_truth, clips whose true EF is unknown; mae, rmse, bias (found minus
    true) and loa_low, loa_high, its 95 % limits of agreement, in points; r2, 1 - SS_res / SS_tot
    as EchoNet-Dynamic reports it, which a bias lowers and which can be negative; correlation,
    Pearson's; auc_35, auc_45, auc_50, area under the ROC curve of "true EF below x" by the EF
    found (EchoNet-Dynamic's code counts an EF of just x as below); intervals, how many of the n
    clips have ef_low and ef_high, the share of these that holds the truth (coverage, per cent),
    and their mean width in points. mae, rmse, r2, auc_50 and coverage have an interval (mae_low,
    mae_high, ...), from the resamples in which they are defined. NaN where a score is undefined,
    such as r2 of a single clip.

    Raises ValueError for a missing column, no row, a clip in two rows, EF as a fraction, or an
    ef_low above its ef_high. Source of the limits of agreement: Bland, Altman, Lancet 327, 1986.
    """
    clips = _clips(table)
    parts = [*clips.groupby("split", sort=False, dropna=False), (ALL, clips)]
    return pd.DataFrame(
        [{"split": split, **_ef_row(some, resamples, seed)} for split, some in parts]
    )


def _clips(table: pd.DataFrame) -> pd.DataFrame:
    """The table, checked, with all its columns and numbers as floats."""
    _check(table, ("name", "split", "ef_true", "ef"), "clips")
    _check_once(table, ["name"])
    bounds = [name for name in ("ef_low", "ef_high") if name in table]
    if len(bounds) == 1:
        raise ValueError(f"The table has {bounds[0]} only; an interval needs ef_low and ef_high.")
    clips = table.assign(**({} if bounds else {"ef_low": np.nan, "ef_high": np.nan}))
    clips = clips.astype(dict.fromkeys(("ef_true", "ef", "ef_low", "ef_high"), float))
    if (clips.split == ALL).any():
        raise ValueError(f"No split can have the name {ALL!r}: it stands for all clips together.")
    if 0 < (largest := clips.ef_true.max()) <= 1:
        raise ValueError(f"ef_true is needed in per cent, but its largest is {largest:.3g}.")
    if (wrong := clips.ef_low > clips.ef_high).any():
        raise ValueError(f"ef_low is above ef_high in {_some(clips.name[wrong])}.")
    return clips.assign(patient=_patients(clips, "name"))


def _patients(table: pd.DataFrame, own: str) -> pd.Series:
    """The patient of each row; where none is named, the clip, in the column `own`, is one."""
    return table.patient.fillna(table[own]) if "patient" in table else table[own]


def _check(table: pd.DataFrame, columns: tuple[str, ...], what: str) -> None:
    """Raise ValueError for a missing column, or no row."""
    missing = [name for name in columns if name not in table]
    if missing:
        raise ValueError(
            f"The table lacks {', '.join(missing)}; it has {', '.join(map(str, table.columns))}."
        )
    if table.empty:
        raise ValueError(f"No {what} to score: the table has no row.")


def _check_once(table: pd.DataFrame, keys: list[str]) -> None:
    """Raise ValueError for two rows with the same keys, the first of which names a clip."""
    if (twice := table.duplicated(keys)).any():
        raise ValueError(
            f"The same {' and '.join(keys)} in two rows: {_some(table[keys[0]][twice])}. Score "
            "one model and one condition at a time."
        )


def _some(names: pd.Series) -> str:
    """The first five names, and how many more there are."""
    first = ", ".join(map(str, names[:5]))
    return first + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _ef_row(clips: pd.DataFrame, resamples: int, seed: int) -> dict:
    """Counts and scores of some clips."""
    known, found = np.isfinite(clips.ef_true), np.isfinite(clips.ef)
    scored = clips[known & found]
    true, ef = scored.ef_true.to_numpy(), scored.ef.to_numpy()
    width = (scored.ef_high - scored.ef_low).to_numpy()
    held = ((scored.ef_low <= true) & (true <= scored.ef_high)).to_numpy(float)
    held[np.isnan(width)] = np.nan
    bounded = _with_intervals(
        lambda rows: _errors(true[rows], ef[rows], held[rows]), scored.patient, resamples, seed
    )
    error = ef - true
    spread = 1.96 * error.std(ddof=1) if len(error) > 1 else np.nan
    bias = _mean(error)
    row = {"n": len(scored), "patients": int(scored.patient.nunique())}
    row |= {"missing": int((known & ~found).sum()), "without_truth": int((~known).sum())}
    row |= _of("mae", bounded) | _of("rmse", bounded) | _of("r2", bounded)
    row |= {"correlation": _correlation(true, ef), "bias": bias}
    row |= {"loa_low": bias - spread, "loa_high": bias + spread}
    row |= {f"auc_{threshold}": auc(true < threshold, -ef) for threshold in THRESHOLDS}
    row |= _of("auc_50", bounded) | {"intervals": int(np.isfinite(held).sum())}
    return row | _of("coverage", bounded) | {"width": _mean(width[~np.isnan(width)])}


def _errors(true: np.ndarray, ef: np.ndarray, held: np.ndarray) -> dict[str, float]:
    """The scores that have an interval. held: 1 where the interval holds the truth, NaN without."""
    error = ef - true
    varies = len(true) > 1 and np.ptp(true) > 0
    return {
        "mae": _mean(np.abs(error)),
        "rmse": np.sqrt(_mean(error**2)),
        "r2": 1 - (error**2).sum() / ((true - true.mean()) ** 2).sum() if varies else np.nan,
        "auc_50": auc(true < 50, -ef),
        "coverage": 100 * _mean(held[~np.isnan(held)]),
    }


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else np.nan


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return np.nan
    return float(np.corrcoef(first, second)[0, 1])


def _with_intervals(
    scores: Callable[[np.ndarray], dict[str, float]],
    patients: pd.Series,
    resamples: int,
    seed: int,
) -> dict[str, tuple[float, float, float]]:
    """Each score of all rows with its interval, from one set of resamples by patient.

    The draws are those of `statistics.bootstrap_interval`; here a resample may leave a score
    undefined (one without a weak heart has no AUC), and does not count for that score then.
    """
    rows = np.arange(len(patients))
    found = scores(rows)
    if not len(rows):
        return dict.fromkeys(found, (np.nan,) * 3)
    codes = pd.factorize(patients)[0]
    rows, counts = np.argsort(codes, kind="stable"), np.bincount(codes)
    starts = np.cumsum(counts) - counts
    generator = np.random.default_rng(seed)
    drawn = []
    for draw in generator.integers(len(counts), size=(resamples, len(counts))):
        sizes = counts[draw]
        shifts = np.repeat(starts[draw] - np.cumsum(sizes) + sizes, sizes)
        drawn.append(scores(rows[shifts + np.arange(len(shifts))]))
    results = {}
    for name, value in found.items():
        values = np.array([one[name] for one in drawn])
        values = values[~np.isnan(values)]
        low, high = np.percentile(values, [2.5, 97.5]) if len(values) else (np.nan, np.nan)
        results[name] = (float(value), float(low), float(high))
    return results


def _of(name: str, bounded: dict[str, tuple[float, float, float]]) -> dict[str, float]:
    """A score and its bounds as columns."""
    return dict(zip((name, f"{name}_low", f"{name}_high"), bounded[name], strict=True))


def dice_scores(cases: pd.DataFrame, resamples: int = 2000, seed: int = 0) -> pd.DataFrame:
    """Dice of a study as EchoNet-Dynamic reports it, pooled over all pixels, and a case at a time.

    cases: of one model and one split, from `inference.score`: clip, frame, phase, patient, dice,
    area and area_true in px. Returns the rows overall (every case, also one that is neither ED
    nor ES), ED and ES with columns phase, n, patients, pooled (twice the sum of intersections
    over the sum of areas), per_case (mean Dice), both with _low and _high, and median; NaN
    without a case.

    Pooled, a large ventricle counts for more than a small one, ED for more than ES, and a picture
    of 500 px for twenty times one of 112 px: data sets of different frame sizes are not to be
    pooled. Empty masks follow the rule of `metrics`. Raises ValueError for a missing column, no
    row, or a frame in two rows.
    """
    columns = ("clip", "frame", "phase", "patient", "dice", "area", "area_true")
    _check(cases, columns, "cases")
    _check_once(cases, ["clip", "frame"])
    cases = cases.assign(patient=_patients(cases, "clip"))
    parts = {"overall": cases} | {phase: cases[cases.phase == phase] for phase in ("ED", "ES")}
    rows = [{"phase": phase, **_dice_row(some, resamples, seed)} for phase, some in parts.items()]
    return pd.DataFrame(rows)


def _dice_row(cases: pd.DataFrame, resamples: int, seed: int) -> dict:
    """Counts and Dice of some cases."""
    dices = cases.dice.to_numpy(float)
    areas = (cases.area + cases.area_true).to_numpy(float)
    bounded = _with_intervals(
        lambda rows: _dices(dices[rows], areas[rows]), cases.patient, resamples, seed
    )
    row = {"n": len(cases), "patients": int(cases.patient.nunique())}
    row |= _of("pooled", bounded) | _of("per_case", bounded)
    return row | {"median": float(np.median(dices)) if len(dices) else np.nan}


def _dices(dices: np.ndarray, areas: np.ndarray) -> dict[str, float]:
    """The scores that have an interval. areas: predicted and true together, px."""
    total, alone = areas.sum(), _mean(dices)
    # with no area at all, every mask agrees that there is nothing
    return {"pooled": float((dices * areas).sum() / total) if total else alone, "per_case": alone}
