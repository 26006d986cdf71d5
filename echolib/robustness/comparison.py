"""What a table of robustness cases says: how far each model falls, and which is better."""

import numpy as np
import pandas as pd

from ..networks.corruptions import CORRUPTIONS, SEEN, UNSEEN
from ..statistics import bootstrap_interval, holm, paired_difference
from .benchmark import CLEAN
from .doubt import DOUBTS, gain_of_dropping, p10

ALL = "all corruptions"
COLUMNS = ("difference", "low", "high", "p", "p_holm", "effect", "patients", "verdict")


def robustness_summary(cases: pd.DataFrame, baseline: str | None = None) -> pd.DataFrame:
    """One row a model: how well it does on clean frames and how far corruptions throw it.

    cases: from `robustness.run_robustness`. baseline: a model's name, default the first. Columns:
    clean and corrupted (mean Dice; corruptions and severities weigh the same), kept (corrupted
    over clean), mce (mean over corruptions of the error 1 - Dice summed over severities, as a
    share of the baseline's) and relative_mce (the same of what is lost against clean frames; NaN
    where the baseline loses nothing), worst (the corruption with the lowest Dice), ef_error (mean
    of |EF error| under corruption, points), without_ef (clips whose EF is unknown, %). Source:
    Hendrycks, Dietterich, ICLR 2019.
    """
    names = list(cases.model.unique())
    baseline = names[0] if baseline is None else baseline
    if baseline not in names:
        raise ValueError(f"No cases of the baseline {baseline!r}; there are {names}.")
    means = cases.groupby(["model", "corruption", "severity"], sort=False).dice.mean()
    means = means.groupby(["model", "corruption"], sort=False).mean().unstack("corruption")
    corrupted = means.drop(columns=CLEAN)
    losses = corrupted.rsub(means[CLEAN], axis=0)
    noisy = cases[cases.corruption != CLEAN]
    noisy = noisy.drop_duplicates(["model", "corruption", "severity", "clip"])
    ef_error = noisy.ef_error.abs().groupby(noisy.model)
    table = pd.DataFrame(
        {
            "clean": means[CLEAN],
            "corrupted": corrupted.mean(axis=1),
            "kept": corrupted.mean(axis=1) / means[CLEAN],
            "mce": _relative(1 - corrupted, baseline),
            "relative_mce": _relative(losses, baseline),
            "worst": corrupted.idxmin(axis=1),
            "ef_error": ef_error.mean(),
            "without_ef": 100 * ef_error.apply(lambda errors: errors.isna().mean()),
        }
    )
    return table.loc[names]


def _relative(losses: pd.DataFrame, baseline: str) -> pd.Series:
    """Mean over corruptions of what is lost, as a share of the baseline's where it loses any."""
    known = losses.columns[losses.loc[baseline] > 0]
    return (losses[known] / losses.loc[baseline, known]).mean(axis=1)


def mean_by_severity(cases: pd.DataFrame, score: str = "dice") -> pd.DataFrame:
    """Mean of a score with its 95 % interval by patient: model, corruption, severity, mean, low,
    high; the clean frames are severity 0 of every corruption.
    """
    rows, cases = [], cases[cases[score].notna()]
    for (model, corruption, severity), some in cases.groupby(
        ["model", "corruption", "severity"], sort=False
    ):
        low, high = bootstrap_interval(some[score], some.patient, resamples=500)
        row = {"model": model, "severity": severity, "mean": some[score].mean()}
        row |= {"low": low, "high": high}
        shown = cases.corruption.unique() if corruption == CLEAN else [corruption]
        rows += [{**row, "corruption": name} for name in shown if name != CLEAN]
    return pd.DataFrame(rows).sort_values(["corruption", "model", "severity"], kind="stable")


def compare_models(
    cases: pd.DataFrame, first: str, second: str, score: str = "dice", alpha: float = 0.05
) -> pd.DataFrame:
    """Paired comparison of two models, by patient: clean, all corruptions, then each of them.

    A patient's score under a corruption is the mean over its severities and frames. Columns:
    corruption, first and second (means over patients), difference (first - second) with low and
    high (95 %), p (Wilcoxon), p_holm (corrected over the rows), effect (rank-biserial), patients,
    and verdict: the better model's name where p_holm is below alpha, the interval leaves out 0,
    and ranks and means agree, else "no difference shown". Higher scores are better. Raises
    ValueError for a model without cases.
    """
    reserved = {"corruption", "severity", "clip", "frame", "patient", *COLUMNS}
    if first == second or {first, second} & reserved:
        raise ValueError(f"{first!r} and {second!r} need two names other than {sorted(reserved)}.")
    for name in (first, second):
        if not (cases.model == name).any():
            raise ValueError(f"No cases of {name!r}; there are {[*cases.model.unique()]}.")
    keys = ["corruption", "severity", "clip", "frame", "patient"]
    scores = cases[cases.model.isin([first, second])].pivot(
        index=keys, columns="model", values=score
    )
    scores = scores.reset_index()
    noisy = scores[scores.corruption != CLEAN]
    groups = {CLEAN: scores[scores.corruption == CLEAN], ALL: noisy}
    groups |= {name: noisy[noisy.corruption == name] for name in CORRUPTIONS}
    rows = []
    for name, some in groups.items():
        if some.empty:
            continue
        means = some.groupby("patient")[[first, second]].mean().mean()
        found = paired_difference(some[first], some[second], some.patient)
        rows.append(
            {
                "corruption": name, first: means[first], second: means[second],
                "difference": found.mean, "low": found.low, "high": found.high, "p": found.p,
                "effect": found.effect, "patients": found.patients,
            }
        )  # fmt: skip
    table = pd.DataFrame(rows)
    table.insert(table.columns.get_loc("effect"), "p_holm", holm(table.p))
    shown = (table.p_holm < alpha) & ((table.low > 0) | (table.high < 0))
    shown &= table.difference * table.effect > 0
    better = np.where(table.difference > 0, first, second)
    return table.assign(verdict=np.where(shown, better, "no difference shown"))


def fall_from_clean(
    cases: pd.DataFrame, model: str, corruptions: tuple[str, ...], severity: int
) -> tuple[float, float, float]:
    """How far a model's mean Dice falls under corruptions at one severity, with 95 % interval.

    Paired by frame against the same model's clean score; the interval is by patient.
    """
    own = cases[cases.model == model].set_index(["clip", "frame"])
    clean = own[own.corruption == CLEAN].dice
    chosen = own[own.corruption.isin(corruptions) & (own.severity == severity)]
    if chosen.empty or clean.empty:
        raise ValueError(
            f"No cases of {model!r} under {corruptions} at severity {severity}, or none clean."
        )
    fall = clean.loc[chosen.index].to_numpy() - chosen.dice.to_numpy()
    return float(fall.mean()), *bootstrap_interval(fall, chosen.patient)


def falls_from_clean(cases: pd.DataFrame, severity: int) -> pd.DataFrame:
    """`fall_from_clean` of every model, under corruptions that a model may have seen in training
    and under those that none has: model, corruptions ("seen", "unseen"), fall, low, high.
    """
    rows = []
    for model in cases.model.unique():
        for kind, names in (("seen", SEEN), ("unseen", UNSEEN)):
            if not (cases.corruption.isin(names) & (cases.severity == severity)).any():
                continue
            fall, low, high = fall_from_clean(cases, model, names, severity)
            row = {"model": model, "corruptions": kind, "severity": severity}
            rows.append(row | {"fall": fall, "low": low, "high": high})
    return pd.DataFrame(rows)


def doubt_gains(cases: pd.DataFrame) -> pd.DataFrame:
    """What leaving out the most doubtful tenth adds to mean and p10 of Dice, with 95 % intervals.

    cases: from `doubt.doubt_cases`, with a column corruption. A row a doubt, for clean and
    corrupted frames apart.
    """
    rows, clean = [], cases.corruption == CLEAN
    for name, some in (("clean", cases[clean]), ("corrupted", cases[~clean])):
        for doubt in DOUBTS if len(some) else ():
            row = {"frames": name, "doubt": doubt, "n": len(some)}
            for score, statistic in (("p10", p10), ("mean", np.mean)):
                gain, low, high = gain_of_dropping(some, doubt, statistic=statistic)
                row |= {score: statistic(some.dice), f"{score}_gain": gain}
                row |= {f"{score}_low": low, f"{score}_high": high}
            row["rank_correlation"] = some.dice.rank().corr(-some[doubt].rank())
            rows.append(row)
    return pd.DataFrame(rows)
