"""Intervals for scores of cases that are not all independent."""

from collections.abc import Callable

import numpy as np
import pandas as pd


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
    results = [statistic(values[np.concatenate([members[i] for i in draw])]) for draw in draws]
    tail = 50 * (1 - level)
    low, high = np.percentile(results, [tail, 100 - tail])
    return float(low), float(high)
