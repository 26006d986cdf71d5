"""Scores of a study: by hand, by brute force, and properties that hold for any study."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from echolib.metrics import dice
from echolib.statistics import bootstrap_interval
from echolib.ventricle.scores import (
    EF_RANGES,
    FEWEST_PATIENTS,
    auc,
    dice_scores,
    ef_scores,
    ef_scores_by_range,
)

COUNTS = ["split", "n", "patients", "missing", "without_truth"]
masks = arrays(bool, (6, 2, 5, 4))


def clips(true, found, **columns) -> pd.DataFrame:
    """A table of clips, by default all of one split."""
    names = [f"c{index}" for index in range(len(true))]
    table = pd.DataFrame({"name": names, "split": "test", "ef_true": true, "ef_corrected": found})
    return table.assign(**columns)


def study(count: int = 60, seed: int = 0) -> pd.DataFrame:
    """Two clips per patient, with an error of 5 points and intervals of 16 points."""
    generator = np.random.default_rng(seed)
    true = generator.uniform(20, 75, count)
    found = true + generator.normal(1, 5, count)
    patient = [f"p{index // 2}" for index in range(count)]
    return clips(true, found, ef_low=found - 8, ef_high=found + 8, patient=patient)


def scores(table: pd.DataFrame, resamples: int = 20) -> pd.Series:
    """Scores of all clips together."""
    return ef_scores(table, resamples).iloc[-1]


# --- area under the curve -----------------------------------------------------------------------


def auc_by_pairs(positive, score) -> float:
    """Share of the pairs that are in the right order; ties count half."""
    above = np.sign(score[positive][:, None] - score[~positive])
    return float((1 + above).mean() / 2) if above.size else np.nan


labelled = st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=1, max_size=25)


@given(labelled)
def test_auc_is_the_share_of_pairs_in_order(cases):
    positive, score = (np.array(values) for values in zip(*cases, strict=True))
    assert auc(positive, score) == pytest.approx(auc_by_pairs(positive, score), nan_ok=True)


@given(labelled, st.sampled_from([np.exp, np.cbrt, lambda x: 3 * x - 100]))
def test_auc_depends_only_on_the_order(cases, rising):
    positive, score = (np.array(values) for values in zip(*cases, strict=True))
    found = auc(positive, score)
    assert auc(positive, rising(score)) == pytest.approx(found, nan_ok=True)
    assert auc(positive, -score) == pytest.approx(1 - found, nan_ok=True)
    assert auc(~positive, score) == pytest.approx(1 - found, nan_ok=True)


def test_auc_of_examples_by_hand():
    assert auc([True, True, False], [3, 2, 1]) == 1
    assert auc([True, False], [1, 1]) == 0.5
    assert auc([True, False, True, False], [2, 2, 3, 1]) == 3.5 / 4
    assert np.isnan(auc([True, True], [1, 2])) and np.isnan(auc([], []))


def test_auc_refuses_scores_that_have_no_rank():
    with pytest.raises(ValueError, match="NaN"):
        auc([True, False], [1, np.nan])
    with pytest.raises(ValueError, match=r"found arrays of shape \(2,\) and \(3,\)"):
        auc([True, False], [1, 2, 3])


# --- ejection fraction --------------------------------------------------------------------------


def test_scores_of_four_clips_by_hand(monkeypatch):
    monkeypatch.setattr("echolib.ventricle.scores.FEWEST_PATIENTS", 4)
    table = clips(
        [30, 40, 48, 62], [32, 40, 52, 58], ef_low=[28, 41, 44, 50], ef_high=[36, 47, 60, 70]
    )
    row = scores(table)
    assert row[COUNTS].tolist() == ["all", 4, 4, 0, 0]
    assert row.mae == pytest.approx((2 + 0 + 4 + 4) / 4)
    assert row.rmse == pytest.approx(np.sqrt((4 + 0 + 16 + 16) / 4))
    assert row.r2 == pytest.approx(1 - 36 / (15**2 + 5**2 + 3**2 + 17**2))
    found = 13.5**2 + 5.5**2 + 6.5**2 + 12.5**2
    product = 15 * 13.5 + 5 * 5.5 + 3 * 6.5 + 17 * 12.5
    assert row.correlation == pytest.approx(product / np.sqrt(548 * found))
    spread = 1.96 * np.sqrt((1.5**2 + 0.5**2 + 3.5**2 + 4.5**2) / 3)
    assert row.bias == pytest.approx(0.5)
    assert [row.loa_low, row.loa_high] == pytest.approx([0.5 - spread, 0.5 + spread])
    assert row[["auc_35", "auc_45", "auc_50"]].tolist() == [1, 1, 1]
    assert row.intervals == 4 and row.coverage == 75 and row.width == (8 + 6 + 16 + 20) / 4


def test_weak_means_below_the_threshold_and_ties_count_half():
    row = scores(clips([34.9, 35, 60], [40, 40, 50]))
    assert row.auc_35 == (0.5 + 1) / 2  # against the 35, which is not below 35, and the 60
    assert row.auc_45 == row.auc_50 == 1
    row = scores(clips([60, 40], [45, 50]))
    assert row.auc_50 == 0 and np.isnan(row.auc_35)


def test_intervals_are_those_of_the_bootstrap_by_patient():
    table = study()
    row = scores(table, resamples=300)
    true, found = table.ef_true.to_numpy(), table.ef_corrected.to_numpy()
    held = (table.ef_low <= table.ef_true) & (table.ef_true <= table.ef_high)
    by_rows = {
        "mae": lambda rows: np.abs(found - true)[rows].mean(),
        "rmse": lambda rows: np.sqrt(((found - true)[rows] ** 2).mean()),
        "r2": lambda rows: 1 - ((found - true)[rows] ** 2).mean() / true[rows].var(),
        "auc_50": lambda rows: auc_by_pairs(true[rows] < 50, -found[rows]),
        "coverage": lambda rows: 100 * held.to_numpy()[rows].mean(),
    }
    for name, statistic in by_rows.items():
        interval = bootstrap_interval(
            np.arange(60), table.patient, lambda rows, f=statistic: f(rows.astype(int)),
            resamples=300,
        )  # fmt: skip
        assert (row[f"{name}_low"], row[f"{name}_high"]) == pytest.approx(interval), name
        assert row[f"{name}_low"] <= row[name] <= row[f"{name}_high"]


def test_patients_of_many_clips_do_not_narrow_the_interval():
    table = study(40).assign(patient=[f"p{index}" for index in range(40)])
    often = pd.concat([table.assign(name=table.name + f"_{view}") for view in range(6)])
    once, grouped = scores(table, 200), scores(often, 200)
    alone = scores(often.drop(columns="patient"), 200)
    assert (once.patients, grouped.patients, alone.patients) == (40, 40, 240)
    assert grouped.mae_high == pytest.approx(once.mae_high)
    assert alone.mae_high - alone.mae_low < 0.6 * (once.mae_high - once.mae_low)


def test_one_row_per_split_in_order_then_all():
    table = study(30)
    table["split"] = np.repeat(["val", "train", "test"], 10)
    found = ef_scores(table, resamples=20)
    assert found.split.tolist() == ["train", "val", "test", "all"]
    assert found.n.tolist() == [10, 10, 10, 30]
    assert found.mae[:3].mean() == pytest.approx(found.mae[3])
    alone = ef_scores(table[table.split == "train"], resamples=20)
    pd.testing.assert_series_equal(alone.iloc[0], found.iloc[0], check_names=False)
    table.loc[0, "split"] = None
    assert ef_scores(table, resamples=5).n.sum() == 60


def test_clips_without_an_ejection_fraction_are_counted():
    table = study(20)
    table.loc[[3, 8], "ef_corrected"] = np.nan
    table.loc[5, "ef_corrected"] = np.inf
    table.loc[[8, 9], "ef_true"] = np.nan
    row = scores(table)
    assert (row.n, row.missing, row.without_truth) == (16, 2, 2)
    assert row.mae == scores(table.drop([3, 5, 8, 9])).mae
    none = scores(table.assign(ef_corrected=np.nan))
    assert none[COUNTS].tolist() == ["all", 0, 0, 18, 2]
    assert none.intervals == 0 and none.drop([*COUNTS, "intervals"]).isna().all()


def test_a_single_clip_has_an_error_but_no_spread():
    row = scores(clips([50.0], [47.0], ef_low=[45.0], ef_high=[49.0]))
    assert (row.mae, row.bias, row.coverage) == (3, -3, 0)
    undefined = ["r2", "r2_low", "r2_high", "correlation", "auc_50", "mae_low", "mae_high"]
    undefined += ["loa_low", "loa_high", "coverage_low"]
    assert row[undefined].isna().all()


def test_few_patients_have_scores_but_no_intervals():
    few, enough = (scores(study(2 * count)) for count in (FEWEST_PATIENTS - 1, FEWEST_PATIENTS))
    for row, known in ((few, False), (enough, True)):
        assert np.isfinite([row.mae, row.r2, row.bias]).all()
        assert np.isfinite([row.mae_low, row.mae_high, row.loa_low]).tolist() == [known] * 3


def test_splits_come_in_the_order_train_val_test_and_others_after_them():
    table = study(40).assign(split=np.repeat(["own", "test", "train", "val"], 10))
    assert ef_scores(table, 2).split.tolist() == ["train", "val", "test", "own", "all"]


def test_the_measured_ef_is_scored_where_it_is_asked_for():
    table = study(12).assign(ef_measured=lambda clips: clips.ef_true + 3)
    assert ef_scores(table, 2, "ef_measured").mae.iloc[-1] == pytest.approx(3)
    by_range = ef_scores_by_range(table, 2, "ef_measured")
    assert np.allclose(by_range.bias, 3) and scores(table).mae > 3.1


def test_a_constant_result_has_no_correlation_and_no_skill():
    true = np.array([30.0, 50, 70])
    row = scores(clips(true, np.full(3, true.mean())))
    assert np.isnan(row.correlation) and row.r2 == pytest.approx(0) and row.auc_50 == 0.5
    assert scores(clips(true, np.full(3, 80.0))).r2 < 0


def test_resamples_without_a_weak_heart_leave_an_interval_of_auc():
    row = scores(clips([40, 60, 61, 62, 63], [55, 50, 60, 61, 62]), resamples=200)
    assert row.auc_50 == 0.75 and 0 <= row.auc_50_low < 0.75 < row.auc_50_high <= 1


def test_clips_without_an_interval_do_not_count_as_covered_or_missed():
    table = study(10)
    table.loc[:3, "ef_low"] = np.nan
    row, rest = scores(table), scores(table.loc[4:])
    assert (row.n, row.intervals) == (10, 6)
    assert row.coverage == rest.coverage and row.width == pytest.approx(16)
    without = scores(table.drop(columns=["ef_low", "ef_high"]))
    assert without.intervals == 0 and np.isnan(without.coverage) and np.isnan(without.width)
    assert without.mae == row.mae and list(without.index) == list(row.index)


@settings(max_examples=30)
@given(st.integers(0, 1000), st.floats(-20, 20))
def test_a_constant_added_moves_the_bias_alone(seed, shift):
    table = study(24, seed)
    before, after = (
        scores(table, 2),
        scores(table.assign(ef_corrected=table.ef_corrected + shift), 2),
    )
    assert after.bias == pytest.approx(before.bias + shift)
    assert after.loa_high - after.loa_low == pytest.approx(before.loa_high - before.loa_low)
    assert after.correlation == pytest.approx(before.correlation)
    assert after[["auc_35", "auc_45", "auc_50"]].tolist() == pytest.approx(
        before[["auc_35", "auc_45", "auc_50"]].tolist(), nan_ok=True
    )
    assert after.rmse**2 - after.bias**2 == pytest.approx(before.rmse**2 - before.bias**2)
    assert after.r2 <= after.correlation**2 + 1e-9


@settings(max_examples=30)
@given(st.integers(0, 1000))
def test_infinite_intervals_cover_all_and_perfect_results_have_no_error(seed):
    table = study(12, seed)
    row = scores(table.assign(ef_low=-np.inf, ef_high=np.inf), 2)
    assert row.coverage == row.coverage_low == 100 and row.width == np.inf
    table = table.assign(ef_corrected=table.ef_true, ef_low=table.ef_true, ef_high=table.ef_true)
    row = scores(table, 2)
    assert (row.mae, row.rmse, row.r2, row.bias, row.coverage, row.width) == (0, 0, 1, 0, 100, 0)
    assert row.correlation == pytest.approx(1)


def test_scores_by_range_are_those_of_the_clips_of_the_range():
    table = study(300)
    table.loc[3, "ef_corrected"] = np.nan
    found = ef_scores_by_range(table, 20)
    assert found.range.tolist() == ["below 30", "30 to 45", "45 to 55", "55 and above"]
    assert found.missing.sum() == 1 and found.n.sum() == 299
    ends = [0, *EF_RANGES, 100]
    for row, low, high in zip(found.itertuples(), ends, ends[1:], strict=False):
        alone = scores(table[(table.ef_true >= low) & (table.ef_true < high)])
        for name in ("n", "mae", "mae_low", "bias", "coverage", "coverage_high", "width"):
            assert getattr(row, name) == alone[name], name


def test_where_a_range_has_few_clips_thirds_are_scored():
    table = study(60)
    found = ef_scores_by_range(table, 5)
    low, high = table.ef_true.quantile([1 / 3, 2 / 3]).round().astype(int)
    assert found.range.tolist() == [f"below {low}", f"{low} to {high}", f"{high} and above"]
    assert found.n.sum() == 60 and found.n.between(16, 24).all()


def test_scores_by_range_of_few_or_unknown_clips():
    assert ef_scores_by_range(study(1), 5).n.tolist() == [1]
    assert ef_scores_by_range(study(9).assign(ef_true=50.0), 5).range.tolist() == ["50 and above"]
    unknown = ef_scores_by_range(study(5).assign(ef_true=np.nan), 5)
    assert unknown.empty and "coverage" in unknown


def test_the_given_table_is_not_changed():
    table = study(10)
    copy = table.copy()
    ef_scores(table, resamples=5)
    pd.testing.assert_frame_equal(table, copy)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (study(4).drop(columns=["ef_true", "split"]), "lacks split, ef_true; it has name"),
        (study(4).iloc[:0], "no row"),
        (study(4).drop(columns="ef_low"), "needs ef_low and ef_high"),
        (study(4).assign(name="a"), "The same name in two rows: a"),
        (study(4).assign(split="all"), "No split can have the name 'all'"),
        (study(4).assign(ef_true=0.55), "per cent"),
        (study(4).assign(ef_low=99), "ef_low is above ef_high in c0"),
        (study(20).assign(ef_low=99), "c4 and 15 more"),
    ],
)
def test_tables_that_do_not_fit_are_refused(table, message):
    with pytest.raises(ValueError, match=message):
        ef_scores(table)


# --- Dice ---------------------------------------------------------------------------------------


def frames_of(found: np.ndarray, true: np.ndarray) -> pd.DataFrame:
    """One row per mask of (patients, 2, H, W): the first of a patient is ED, the second ES."""
    rows = [
        {
            "clip": f"c{patient}", "frame": frame, "phase": ("ED", "ES")[frame],
            "patient": f"p{patient}", "dice": dice(found[patient, frame], true[patient, frame]),
            "area": int(found[patient, frame].sum()), "area_true": int(true[patient, frame].sum()),
        }
        for patient in range(len(true)) for frame in range(2)
    ]  # fmt: skip
    return pd.DataFrame(rows)


@settings(max_examples=30)
@given(masks, masks)
def test_pooled_dice_is_the_dice_of_all_pixels_together(found, true):
    table = dice_scores(frames_of(found, true), resamples=5).set_index("phase")
    assert table.n.to_dict() == {"overall": 12, "ED": 6, "ES": 6}
    for phase, part in (("overall", np.s_[:]), ("ED", np.s_[:, 0]), ("ES", np.s_[:, 1])):
        assert table.pooled[phase] == pytest.approx(dice(found[part], true[part]))
    each = [dice(*pair) for pair in zip(found[:, 1], true[:, 1], strict=True)]
    assert table.per_case["ES"] == pytest.approx(np.mean(each))
    assert table["median"]["ES"] == pytest.approx(np.median(each))


def test_dice_by_hand_and_its_intervals(monkeypatch):
    monkeypatch.setattr("echolib.ventricle.scores.FEWEST_PATIENTS", 1)
    cases = pd.DataFrame(
        {
            "clip": ["a", "a", "b"], "frame": [0, 5, 2], "phase": ["ED", "ES", ""],
            "patient": ["a", "a", "b"], "dice": [0.9, 0.5, 0.0], "area": [100, 10, 0],
            "area_true": [100, 30, 40],
        }
    )  # fmt: skip
    table = dice_scores(cases, resamples=200).set_index("phase")
    row = table.loc["overall"]
    assert (row.n, row.patients) == (3, 2)
    assert row.pooled == pytest.approx((180 + 20) / (200 + 40 + 40))
    assert row.per_case == pytest.approx(1.4 / 3) and row["median"] == 0.5
    assert [row.pooled_low, row.pooled_high] == pytest.approx([0, 200 / 240])
    assert [row.per_case_low, row.per_case_high] == pytest.approx([0, 0.7])
    assert table.pooled["ED"] == table.pooled_low["ED"] == pytest.approx(0.9)
    assert bootstrap_interval(cases.dice, cases.patient) == pytest.approx([0, 0.7])


def test_dice_of_a_phase_without_cases_is_unknown():
    empty = np.zeros((3, 2, 5, 4), bool)
    cases = frames_of(empty, empty)
    table = dice_scores(cases[cases.phase == "ED"], resamples=5).set_index("phase")
    assert table.pooled["overall"] == table.pooled["ED"] == 1  # all masks are empty
    assert table.n["ES"] == 0 and table.loc["ES"].drop(["n", "patients"]).isna().all()


def test_dice_without_patients_counts_clips():
    cases = frames_of(np.ones((4, 2, 5, 4), bool), np.ones((4, 2, 5, 4), bool))
    assert dice_scores(cases.assign(patient=None), resamples=5).patients.tolist() == [4, 4, 4]


def test_dice_of_tables_that_do_not_fit_is_refused():
    cases = frames_of(np.ones((2, 2, 5, 4), bool), np.ones((2, 2, 5, 4), bool))
    with pytest.raises(ValueError, match="lacks dice, area_true"):
        dice_scores(cases.drop(columns=["dice", "area_true"]))
    with pytest.raises(ValueError, match="No cases"):
        dice_scores(cases.iloc[:0])
    with pytest.raises(ValueError, match="one model and one condition"):
        dice_scores(pd.concat([cases, cases]))
