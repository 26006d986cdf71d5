"""Intervals and tests for scores of cases that are not all independent."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import rankdata, wilcoxon


def bootstrap_interval(
    values: np.ndarray,
    groups: np.ndarray | None = None,
    statistic: Callable[[np.ndarray], float] = np.mean,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of a statistic.

    values: (N,) scores. groups: (N,) labels, such as patients; whole groups are drawn, because
    two frames of one patient are not two independent cases. Returns the lower and the upper
    bound. Raises ValueError without values. Source: Efron, Tibshirani, An Introduction to the
    Bootstrap, 1993.
    """
    values = np.asarray(values, float)
    if values.size == 0:
        raise ValueError("No values: an interval needs at least one case.")
    groups = np.arange(len(values)) if groups is None else pd.factorize(np.asarray(groups))[0]
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    generator = np.random.default_rng(seed)
    draws = generator.integers(len(members), size=(resamples, len(members)))
    if statistic is np.mean:  # the usual case, a hundred times faster from sums
        sums, counts = (np.array([f(values[m]) for m in members]) for f in (np.sum, len))
        results = sums[draws].sum(axis=1) / counts[draws].sum(axis=1)
    else:
        results = [statistic(values[np.concatenate([members[i] for i in draw])]) for draw in draws]
    tail = 50 * (1 - level)
    low, high = np.percentile(results, [tail, 100 - tail])
    return float(low), float(high)


@dataclass(frozen=True)
class PairedDifference:
    """How two methods differ on the same patients; each patient counts once.

    patients: their number. mean: of the differences. low, high: 95 % interval of the mean. p: of
    Wilcoxon's signed-rank test, two-sided. effect: matched-pairs rank-biserial correlation, from
    -1 (the second method is better for everybody) to 1 (the first is).
    """

    patients: int
    mean: float
    low: float
    high: float
    p: float
    effect: float


def paired_difference(
    first: np.ndarray, second: np.ndarray, patients: np.ndarray, resamples: int = 2000
) -> PairedDifference:
    """Compare two scores of the same cases, first minus second, by patient.

    first, second: (N,) scores, higher is better. patients: (N,) labels; a patient's cases are
    averaged, because they are not independent. Raises ValueError for lengths that differ, for
    no case and for scores that are no numbers. Source: Wilcoxon, Biometrics Bulletin 1, 1945;
    Kerby, Comprehensive Psychology 3, 2014 (rank-biserial correlation).
    """
    first, second = np.asarray(first, float), np.asarray(second, float)
    if not (len(first) == len(second) == len(patients) > 0):
        raise ValueError(
            f"Two scores and a patient a case are needed, not {len(first)}, {len(second)} and "
            f"{len(patients)} of them."
        )
    if not np.isfinite(first - second).all() or pd.isna(patients).any():
        raise ValueError(
            "Scores that are no numbers, or of no patient, cannot be compared; leave them out."
        )
    difference = pd.Series(first - second).groupby(np.asarray(patients)).mean().to_numpy()
    low, high = bootstrap_interval(difference, resamples=resamples)
    changed = difference[difference != 0]
    p, effect = 1.0, 0.0
    if len(changed):
        p = float(wilcoxon(changed).pvalue)
        ranks = rankdata(np.abs(changed))
        effect = float((ranks * np.sign(changed)).sum() / ranks.sum())
    return PairedDifference(len(difference), float(difference.mean()), low, high, p, effect)


def holm(p_values: np.ndarray) -> np.ndarray:
    """p values (N,) corrected for being N tests, each at most 1.

    Source: Holm, Scandinavian Journal of Statistics 6, 1979.
    """
    p_values = np.asarray(p_values, float)
    order = np.argsort(p_values)
    steps = p_values[order] * np.arange(len(p_values), 0, -1)
    corrected = np.empty_like(p_values)
    corrected[order] = np.minimum(1, np.maximum.accumulate(steps))
    return corrected
