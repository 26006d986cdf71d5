"""Statistics of a table of robustness cases: how far scores fall, and which model is better."""

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd

from ..networks.card import trained_corruptions
from ..networks.corruptions import CORRUPTIONS
from ..networks.models import Encoder
from ..statistics import holm, paired_difference, patient_interval
from .benchmark import CLEAN
from .doubt import DOUBTS, gain_of_dropping, p10

ALL = "all corruptions"
ALPHA = 0.05  # level of the paired test
SEEN, UNSEEN = "seen", "unseen"  # corruptions, in the training of a model that is compared
NO_DIFFERENCE = "no difference shown"
KEYS = ["corruption", "severity", "clip", "frame", "patient"]
PAIR = ["one", "two"]  # columns of the scores of two models
COLUMNS = ("difference", "low", "high", "p", "p_holm", "effect", "patients", "verdict")


def robustness_summary(cases: pd.DataFrame, baseline: str | None = None) -> pd.DataFrame:
    """Summarise each model in one row: its score on clean frames, and its losses under corruption.

    cases: from `benchmark.run_robustness`. baseline: a model's name, default the first. Columns:
    clean and corrupted (mean Dice; all corruptions and severities have equal weights), kept
    (corrupted divided by clean), mce (mean over corruptions of the error 1 - Dice, summed over
    severities, as a share of the baseline's error), relative_mce (like mce, of the Dice lost
    against clean frames; NaN if the baseline loses nothing), worst (the corruption with the lowest
    Dice), ef_error (mean of |EF error| under corruption, points), without_ef (clips whose EF is
    unknown, %). Cases of clean frames alone give the column clean alone. Raises ValueError for a
    baseline without cases. Source: Hendrycks, Dietterich, ICLR 2019.
    """
    names = list(cases.model.unique())
    baseline = names[0] if baseline is None else baseline
    if baseline not in names:
        raise ValueError(f"No cases of the baseline {baseline!r}; expected one of {names}.")
    means = cases.groupby(["model", "corruption", "severity"], sort=False).dice.mean()
    means = means.groupby(["model", "corruption"], sort=False).mean().unstack("corruption")
    corrupted = means.drop(columns=CLEAN)
    if corrupted.empty:
        return means.rename(columns={CLEAN: "clean"}).rename_axis(columns=None).loc[names]
    losses = corrupted.rsub(means[CLEAN], axis=0)
    clips = cases[cases.corruption != CLEAN]
    clips = clips.drop_duplicates(["model", "corruption", "severity", "clip"])
    ef_error = clips.ef_error.abs().groupby(clips.model)
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
    """Mean loss over the corruptions under which the baseline loses, as a share of its loss."""
    lossy = losses.columns[losses.loc[baseline] > 0]
    return (losses[lossy] / losses.loc[baseline, lossy]).mean(axis=1)


def mean_by_severity(cases: pd.DataFrame) -> pd.DataFrame:
    """Mean Dice with its 95 % interval by patient, one row per model, corruption and severity.

    Columns: model, corruption, severity, mean, low, high; the last two are NaN for fewer patients
    than `statistics.FEWEST_PATIENTS`. The clean frames are severity 0 of every
    corruption.
    """
    rows = []
    groups = cases.groupby(["model", "corruption", "severity"], sort=False)
    for (model, corruption, severity), group in groups:
        low, high = patient_interval(group.dice, group.patient, resamples=500)
        row = {"model": model, "severity": severity, "mean": group.dice.mean()}
        row |= {"low": low, "high": high}
        names = cases.corruption.unique() if corruption == CLEAN else [corruption]
        rows += [{**row, "corruption": name} for name in names if name != CLEAN]
    return pd.DataFrame(rows).sort_values(["corruption", "model", "severity"], kind="stable")


def compare_models(cases: pd.DataFrame, first: str, second: str) -> pd.DataFrame:
    """Compare two models by paired scores of patients: clean, all corruptions, then each of them.

    A patient's score under a corruption is the mean over its severities and frames. Columns:
    corruption, first and second (means over patients), difference (first - second) with low and
    high (95 %), p (Wilcoxon), p_holm (corrected over the rows), effect (rank-biserial), patients,
    and verdict. The verdict is the name of the better model if p_holm is below 0.05, the interval
    excludes 0, and ranks and means agree, else "no difference shown". Higher scores are better.
    Raises ValueError for a model without cases or with the name of a column.
    """
    reserved = {*KEYS, *COLUMNS}
    if first == second or {first, second} & reserved:
        raise ValueError(
            f"Cannot compare {first!r} with {second!r}: their names become columns of the table. "
            f"Give the models two names other than {sorted(reserved)}."
        )
    scores = _paired_scores(cases, first, second)
    groups = _groups(scores) | {name: scores[scores.corruption == name] for name in CORRUPTIONS}
    rows = []
    for name, group in groups.items():
        if len(group):
            means = dict(zip((first, second), _means(group), strict=True))
            rows.append({"corruption": name, **means, **_difference(group)})
    return _with_verdicts(pd.DataFrame(rows), first, second)


def differences_from_first(
    cases: pd.DataFrame, seen: Mapping[str, Collection[str]] | None = None
) -> pd.DataFrame:
    """Compare the first model with each other one by paired scores of patients.

    seen: for each model the corruptions of its training, see `seen_in_training`. Returns one row
    per other model and group of frames: clean, all corruptions, and, where a model has seen some
    corruptions in its training, those that are seen by one of the models, and the unseen. Columns:
    first and second (names), frames (the group), seen_by (the models that have seen it, of the
    group "seen"), first_mean and second_mean, then those of `compare_models`; p_holm is corrected
    over all rows. No row of a single model.
    """
    first, *others = cases.model.unique()
    corruptions, by = seen_by_any(seen), trained_on_corruptions(seen)
    rows = []
    for second in others:
        scores = _paired_scores(cases, first, second)
        groups = _groups(scores)
        if corruptions:
            inside = groups[ALL].corruption.isin(corruptions)
            groups |= {SEEN: groups[ALL][inside], UNSEEN: groups[ALL][~inside]}
        for name, group in groups.items():
            if len(group):
                means = dict(zip(("first_mean", "second_mean"), _means(group), strict=True))
                row = {"first": first, "second": second, "frames": name}
                row["seen_by"] = by if name == SEEN else ""
                rows.append({**row, **means, **_difference(group)})
    if not rows:
        named = ["first", "second", "frames", "seen_by", "first_mean", "second_mean"]
        return pd.DataFrame(columns=[*named, *COLUMNS])
    table = pd.DataFrame(rows)
    return _with_verdicts(table, table["first"], table.second)


def _paired_scores(cases: pd.DataFrame, first: str, second: str) -> pd.DataFrame:
    """Dice of two models in the columns `PAIR`, one row per frame and condition."""
    for name in (first, second):
        if not (cases.model == name).any():
            raise ValueError(
                f"No cases of {name!r}; expected two of the models {[*cases.model.unique()]}."
            )
    scores = cases[cases.model.isin([first, second])].pivot(
        index=KEYS, columns="model", values="dice"
    )
    return scores[[first, second]].set_axis(PAIR, axis=1).reset_index()


def _groups(scores: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows of `_paired_scores` of clean frames, and those of all corruptions."""
    clean = scores.corruption == CLEAN
    return {CLEAN: scores[clean], ALL: scores[~clean]}


def _means(group: pd.DataFrame) -> tuple[float, float]:
    """Means over patients of the scores of both models."""
    first, second = group.groupby("patient")[PAIR].mean().mean()
    return first, second


def _difference(group: pd.DataFrame) -> dict[str, float]:
    """The difference of two models in some rows of `_paired_scores`."""
    one, two = (group[name].to_numpy() for name in PAIR)
    paired = paired_difference(one, two, group.patient.to_numpy())
    return {
        "difference": paired.mean, "low": paired.low, "high": paired.high, "p": paired.p,
        "effect": paired.effect, "patients": paired.patients,
    }  # fmt: skip


def _with_verdicts(
    table: pd.DataFrame, first: str | pd.Series, second: str | pd.Series
) -> pd.DataFrame:
    """Add p_holm, and the verdict: the better model of two, where a difference is shown."""
    table.insert(table.columns.get_loc("effect"), "p_holm", holm(table.p))
    shown = (table.p_holm < ALPHA) & ((table.low > 0) | (table.high < 0))
    shown &= table.difference * table.effect > 0
    better = np.where(table.difference > 0, first, second)
    return table.assign(verdict=np.where(shown, better, NO_DIFFERENCE))


def seen_in_training(models: Mapping[str, Encoder]) -> dict[str, tuple[str, ...]]:
    """For each model the corruptions of the images that it was trained on, by its own card."""
    return {name: trained_corruptions(model) for name, model in models.items()}


def seen_by_any(seen: Mapping[str, Collection[str]] | None) -> tuple[str, ...]:
    """The corruptions that one model or more was trained on. seen: of `seen_in_training`."""
    return tuple(n for n in CORRUPTIONS if any(n in names for names in (seen or {}).values()))


def trained_on_corruptions(seen: Mapping[str, Collection[str]] | None) -> str:
    """Names of the models that were trained on corrupted frames, in words; "" without one."""
    return ", ".join(name for name, names in (seen or {}).items() if names)


def fall_from_clean(
    cases: pd.DataFrame, model: str, corruptions: tuple[str, ...], severity: int
) -> tuple[float, float, float]:
    """How far a model's mean Dice falls under corruptions at one severity, with its 95 % interval.

    Each score is paired with the model's score on the same clean frame; the interval is by
    patient. Raises ValueError if the model has no such cases or no clean ones.
    """
    cases = cases[cases.model == model].set_index(["clip", "frame"])
    clean = cases[cases.corruption == CLEAN].dice
    corrupted = cases[cases.corruption.isin(corruptions) & (cases.severity == severity)]
    if corrupted.empty or clean.empty:
        raise ValueError(
            f"Expected clean cases of {model!r}, and cases under {corruptions} at severity "
            f"{severity}; found {len(clean)} and {len(corrupted)}."
        )
    fall = clean.loc[corrupted.index].to_numpy() - corrupted.dice.to_numpy()
    return float(fall.mean()), *patient_interval(fall, corrupted.patient)


def falls_from_clean(
    cases: pd.DataFrame, severity: int, seen: Mapping[str, Collection[str]] | None = None
) -> pd.DataFrame:
    """`fall_from_clean` of every model, under seen and unseen corruptions.

    seen: for each model the corruptions of its training, see `seen_in_training`. "seen" are those
    that one model or more was trained on, and seen_by names these models; all models are measured
    under the same corruptions. Where no model was trained on any, there is one group, "all".
    Returns the columns model, corruptions ("seen", "unseen" or "all"), seen_by, severity, fall, low
    and high; no row for a severity without cases.
    """
    corruptions, by = seen_by_any(seen), trained_on_corruptions(seen)
    groups: dict[str, tuple[str, ...]] = {"all": tuple(CORRUPTIONS)}
    if corruptions:
        others = tuple(name for name in CORRUPTIONS if name not in corruptions)
        groups = {SEEN: corruptions, UNSEEN: others}
    rows = []
    for model in cases.model.unique():
        for kind, names in groups.items():
            if not (cases.corruption.isin(names) & (cases.severity == severity)).any():
                continue
            fall, low, high = fall_from_clean(cases, model, names, severity)
            row = {"model": model, "corruptions": kind, "seen_by": by if kind == SEEN else ""}
            rows.append(row | {"severity": severity, "fall": fall, "low": low, "high": high})
    columns = ["model", "corruptions", "seen_by", "severity", "fall", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def doubt_gains(cases: pd.DataFrame) -> pd.DataFrame:
    """How much mean and p10 of Dice rise without the most doubtful tenth, with 95 % intervals.

    cases: from `doubt.doubt_cases`, with a column corruption. Returns one row per doubt for the
    clean frames, and one for the corrupted frames.
    """
    rows, clean = [], cases.corruption == CLEAN
    for name, group in (("clean", cases[clean]), ("corrupted", cases[~clean])):
        for doubt in DOUBTS if len(group) else ():
            row = {"frames": name, "doubt": doubt, "n": len(group)}
            for score, statistic in (("p10", p10), ("mean", np.mean)):
                gain, low, high = gain_of_dropping(group, doubt, statistic)
                row |= {score: statistic(group.dice), f"{score}_gain": gain}
                row |= {f"{score}_low": low, f"{score}_high": high}
            row["rank_correlation"] = group.dice.rank().corr(-group[doubt].rank())
            rows.append(row)
    return pd.DataFrame(rows)
