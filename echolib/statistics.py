"""Intervals and tests for scores of cases that are not all independent."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import rankdata, wilcoxon

FEWEST_PATIENTS = 5  # from which intervals and limits of agreement are computed


def bootstrap_interval(
    values: np.ndarray,
    groups: np.ndarray | None = None,
    statistic: Callable[[np.ndarray], float] = np.mean,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval (95 %) of a statistic.

    values: (N,) scores. groups: (N,) labels, such as patients; whole groups are drawn, because
    two frames of one patient are not two independent cases. Returns the lower and the upper
    bound. Raises ValueError without values. Source: Efron, Tibshirani, An Introduction to the
    Bootstrap, 1993.
    """
    values = np.asarray(values, float)
    if values.size == 0:
        raise ValueError("No values: an interval needs at least one case.")
    groups = np.arange(len(values)) if groups is None else np.asarray(groups)
    if statistic is np.mean:  # the usual case, a hundred times faster from sums
        members, draws = _drawn_groups(groups, resamples, seed)
        sums, counts = (np.array([f(values[m]) for m in members]) for f in (np.sum, len))
        results = sums[draws].sum(axis=1) / counts[draws].sum(axis=1)
    else:
        results = [statistic(values[rows]) for rows in resampled_rows(groups, resamples, seed)]
    return _percentiles(results)


def patient_interval(
    values: np.ndarray,
    patients: np.ndarray,
    statistic: Callable[[np.ndarray], float] = np.mean,
    resamples: int = 2000,
) -> tuple[float, float]:
    """`bootstrap_interval` by patient, or (NaN, NaN) for fewer than `FEWEST_PATIENTS`.

    The resamples of three patients repeat the same few means: they give an interval that looks
    certain, and is not. values: (N,). patients: (N,) labels, or any others of what is
    independent, such as videos. Raises ValueError without values.
    """
    values = np.asarray(values, float)
    if len(values) and len(pd.unique(np.asarray(patients))) < FEWEST_PATIENTS:
        return np.nan, np.nan
    return bootstrap_interval(values, patients, statistic, resamples)


def interval_in_words(
    low: float, high: float, patients: int, form: str = ".3f", kind: str = "patient"
) -> str:
    """A 95 % interval, such as "95 % 0.754 to 0.899", or why there is none.

    patients: number of them. form: of both bounds, as in a format string. kind: what is counted in
    place of patients.
    """
    if np.isnan(low) or np.isnan(high):
        some = f"{patients} {kind}{'s' * (patients != 1)}"
        return f"no interval: {some}, at least {FEWEST_PATIENTS} are needed"
    return f"95 % {low:{form}} to {high:{form}}"


def bootstrap_intervals(
    scores: Callable[[np.ndarray], Mapping[str, float]],
    groups: np.ndarray,
    resamples: int = 2000,
) -> dict[str, tuple[float, float]]:
    """Percentile bootstrap intervals (95 %) of several scores from the same resamples.

    scores: takes the indices of the drawn cases and returns scores by name. groups: (N,) labels as
    for `bootstrap_interval`. A resample in which a score is undefined (NaN) does not count for that
    score; a score that is never defined has the interval (NaN, NaN).
    """
    drawn = pd.DataFrame([scores(rows) for rows in resampled_rows(groups, resamples)])
    return {name: _percentiles(drawn[name].dropna().to_numpy()) for name in drawn}


def resampled_rows(groups: np.ndarray, resamples: int, seed: int = 0) -> Iterator[np.ndarray]:
    """Indices of the cases in each bootstrap resample of whole groups (N,)."""
    members, draws = _drawn_groups(groups, resamples, seed)
    rows, counts = np.concatenate(members), np.array([len(some) for some in members])
    starts = np.cumsum(counts) - counts
    for draw in draws:
        sizes = counts[draw]
        shifts = np.repeat(starts[draw] - np.cumsum(sizes) + sizes, sizes)
        yield rows[shifts + np.arange(len(shifts))]


def _drawn_groups(
    groups: np.ndarray, resamples: int, seed: int
) -> tuple[list[np.ndarray], np.ndarray]:
    """Indices of each group's cases, and the groups drawn in each resample (resamples, groups)."""
    codes = pd.factorize(np.asarray(groups))[0]
    members = [np.flatnonzero(codes == code) for code in np.unique(codes)]
    generator = np.random.default_rng(seed)
    return members, generator.integers(len(members), size=(resamples, len(members)))


def _percentiles(results: np.ndarray | list[float]) -> tuple[float, float]:
    if len(results) == 0:
        return np.nan, np.nan
    low, high = np.percentile(results, [2.5, 97.5])
    return float(low), float(high)


@dataclass(frozen=True)
class PairedDifference:
    """How two methods differ on the same patients; each patient counts once.

    patients: their number. mean: of the differences. low, high: 95 % interval of the mean, NaN for
    fewer patients than `FEWEST_PATIENTS`. p: of Wilcoxon's signed-rank test, two-sided. effect:
    matched-pairs rank-biserial correlation, from -1 (the second method is better for everybody) to
    1 (the first is).
    """

    patients: int
    mean: float
    low: float
    high: float
    p: float
    effect: float


def paired_difference(
    first: np.ndarray, second: np.ndarray, patients: np.ndarray
) -> PairedDifference:
    """Compare two scores of the same cases, first minus second, by patient.

    first, second: (N,) scores, higher is better. patients: (N,) labels; the cases of one patient
    are averaged, because they are not independent. Raises ValueError for lengths that differ, for
    no cases and for scores that are not numbers. Source: Wilcoxon, Biometrics Bulletin 1, 1945;
    Kerby, Comprehensive Psychology 3, 2014 (rank-biserial correlation).
    """
    first, second = np.asarray(first, float), np.asarray(second, float)
    if not (len(first) == len(second) == len(patients) > 0):
        raise ValueError(
            f"Two scores and a patient per case are needed, not {len(first)}, {len(second)} and "
            f"{len(patients)} of them."
        )
    if not np.isfinite(first - second).all() or pd.isna(patients).any():
        raise ValueError(
            "Scores that are no numbers, or of no patient, cannot be compared; leave them out."
        )
    difference = pd.Series(first - second).groupby(np.asarray(patients)).mean().to_numpy()
    low, high = patient_interval(difference, np.arange(len(difference)))
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
