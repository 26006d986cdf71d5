"""An interval learnt from clips with known truth: what it holds, by range, and refused input."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echolib.errors import DataError
from echolib.ventricle.calibration import (
    FEWEST,
    FEWEST_IN_RANGE,
    SPREADS,
    Calibration,
    fit_calibration,
    load_calibration,
    needed_widening,
    read_clips,
)

NETWORKS = ("one", "two")
PLAIN = Calibration(
    slope=1.2, intercept=3.0, base=4.0, weights=(0.5, 0.0, 0.0), limits=(), factors=(2.0,),
    widen=1.0, chosen_on="", doubt=0.2, level=0.9, clips=100, data="made", networks=NETWORKS,
)  # fmt: skip
AGREED = dict.fromkeys(SPREADS, 0.0)


def clips(count: int, seed: int = 0, slope: float = 0.7, shift: float = 12.0) -> pd.DataFrame:
    """Clips whose measured EF has a bias, and a larger error where the views differ more."""
    generator = np.random.default_rng(seed)
    true = generator.uniform(20, 75, count)
    views = generator.gamma(2, 2, count)
    error = generator.normal(0, 1, count) * (1 + views)
    table = pd.DataFrame({"ef_true": true, "ef_measured": (true - shift) / slope + error / slope})
    table = table.assign(views=views, networks=generator.uniform(0, 3, count), beats=np.nan)
    return table.assign(doubt=generator.uniform(0, 0.4, count))


def bounds(calibration: Calibration, table: pd.DataFrame) -> np.ndarray:
    """(N, 3) EF, lower and upper end."""
    return read_clips(calibration, table)[["ef_corrected", "ef_low", "ef_high"]].to_numpy()


def held(calibration: Calibration, table: pd.DataFrame) -> np.ndarray:
    """(N,) whether the interval of a clip contains its true EF."""
    _, low, high = bounds(calibration, table).T
    return ((low <= table.ef_true) & (table.ef_true <= high)).to_numpy()


def unlike(count: int, seed: int = 0) -> pd.DataFrame:
    """Clips without a bias, few of them weak, whose EF is three times as uncertain in weak hearts.

    Their spreads say nothing.
    """
    generator = np.random.default_rng(seed)
    true = np.where(generator.random(count) < 0.1, 25, generator.uniform(56, 75, count))
    error = generator.normal(0, np.where(true < 45, 6, 2), count)
    table = pd.DataFrame({"ef_true": true, "ef_measured": true + error, "doubt": 0.1})
    return table.assign(**dict.fromkeys(SPREADS, 1.0))


def test_interval_covers_nine_in_ten_of_new_clips():
    calibration = fit_calibration(clips(2000), "made", NETWORKS)
    inside = held(calibration, clips(3000, seed=1))
    assert 0.88 <= inside.mean() <= 0.92


def test_interval_covers_nine_in_ten_of_weak_hearts_too():
    calibration = fit_calibration(unlike(2000), "made", NETWORKS)
    new = unlike(4000, seed=1)
    inside, weak = held(calibration, new), new.ef_true < 45
    assert 0.86 <= inside[weak].mean() <= 0.94 and 0.88 <= inside[~weak].mean() <= 0.92
    one = replace(calibration, limits=(), factors=(calibration.factors[-1],))
    assert held(one, new)[weak].mean() < 0.6, "one factor for all hearts fails here"


def test_ranges_with_few_clips_share_a_factor():
    assert fit_calibration(unlike(60), "made", NETWORKS).limits == ()
    weakest = unlike(2000)
    weakest = weakest[weakest.ef_true == 25].assign(ef_measured=20.0)
    rest = unlike(500)[unlike(500).ef_true > 45].assign(ef_measured=60.0)
    for count, limits in ((FEWEST_IN_RANGE, (30,)), (FEWEST_IN_RANGE - 1, ())):
        table = pd.concat([weakest[:count], rest])
        calibration = fit_calibration(table, "made", NETWORKS, "none")
        assert calibration.limits == limits and len(calibration.factors) == len(limits) + 1


def test_a_line_that_does_not_help_is_left_out():
    table = unlike(1000)
    calibration = fit_calibration(table, "made", NETWORKS)
    assert not calibration.corrects and (calibration.slope, calibration.intercept) == (1, 0)
    assert np.allclose(bounds(calibration, table)[:, 0], table.ef_measured.clip(0, 100))
    assert fit_calibration(table, "made", NETWORKS, "line").corrects


def test_a_line_must_help_on_other_hearts_as_well():
    table, other = clips(1000), unlike(300)
    assert fit_calibration(table, "made", NETWORKS).corrects
    assert fit_calibration(table, "made", NETWORKS, also=clips(300, seed=3)).corrects
    assert not fit_calibration(table, "made", NETWORKS, also=other).corrects
    assert not fit_calibration(table, "made", NETWORKS, "none").corrects


def test_the_line_does_not_draw_weak_hearts_to_the_mean_of_the_many():
    table = clips(4000)
    generator = np.random.default_rng(5)
    few = table[(table.ef_true > 55) | (generator.random(len(table)) < 0.05)]
    balanced = fit_calibration(few, "made", NETWORKS, "line")
    plain, _ = np.polyfit(few.ef_measured, few.ef_true, 1)
    assert abs(balanced.slope - 0.7) < abs(plain - 0.7)


def test_widening_holds_nine_in_ten_of_other_hearts_and_is_round():
    calibration = fit_calibration(unlike(2000), "made", NETWORKS)
    other = unlike(2000, seed=1)
    other = other.assign(ef_measured=other.ef_true + 1.5 * (other.ef_measured - other.ef_true))
    widen = needed_widening(calibration, other)
    assert 1.3 < widen < 1.7 and round(widen * 20) == pytest.approx(widen * 20)
    wide = replace(calibration, widen=widen, chosen_on="other hearts")
    assert held(calibration, other).mean() < 0.85 and held(wide, other).mean() >= 0.9
    assert needed_widening(wide, other) == widen, "the factor does not multiply itself"
    assert needed_widening(calibration, other.assign(ef_measured=other.ef_true)) == 1


def test_a_calibration_without_a_landmarks_network_knows_no_doubt(tmp_path):
    calibration = fit_calibration(clips(200).assign(doubt=np.nan), "made", NETWORKS)
    assert calibration.doubt == 1
    calibration.save(tmp_path / "calibration.json")
    assert load_calibration(tmp_path / "calibration.json") == calibration


def test_bias_is_corrected():
    calibration = fit_calibration(clips(2000), "made", NETWORKS)
    other = clips(500, seed=2)
    corrected = bounds(calibration, other)[:, 0]
    assert abs((other.ef_measured - other.ef_true).mean()) > 2
    assert abs((corrected - other.ef_true).mean()) < 0.7
    assert calibration.slope == pytest.approx(0.7, abs=0.08)


def test_interval_is_wider_where_the_views_differ():
    calibration = fit_calibration(clips(2000), "made", NETWORKS)
    calm = calibration.half_width(50, AGREED | {"views": 1.0})
    assert calibration.half_width(50, AGREED | {"views": 10.0}) > 2 * calm
    assert calibration.half_width(50, AGREED) > 0


def test_clips_are_scored_by_fits_on_other_clips():
    """Else the smallest studies would get intervals that are too narrow."""
    inside = [
        held(fit_calibration(clips(50, seed), "made", NETWORKS), clips(400, 1000 + seed)).mean()
        for seed in range(40)
    ]
    assert 0.88 <= np.mean(inside) <= 0.95


def test_no_ef_gives_no_interval():
    assert np.isnan(PLAIN.interval(np.nan, AGREED)).all()


@settings(max_examples=50, deadline=None)
@given(st.floats(-50, 150), st.floats(0, 100))
def test_interval_stays_between_0_and_100_and_in_order(measured, views):
    ef, low, high = PLAIN.interval(measured, AGREED | {"views": views})
    assert 0 <= low <= ef <= high <= 100


def test_unknown_spread_counts_as_zero():
    assert PLAIN.half_width(50, AGREED | {"beats": np.nan}) == PLAIN.half_width(50, AGREED) == 8.0


def test_the_factor_is_that_of_the_range_and_widening_multiplies_it():
    ranged = replace(PLAIN, limits=(30.0, 55.0), factors=(3.0, 2.0, 1.0))
    assert [ranged.half_width(ef, AGREED) for ef in (29.9, 30, 54.9, 55)] == [12, 8, 8, 4]
    wide = replace(ranged, widen=1.5, chosen_on="other hearts")
    assert wide.half_width(40, AGREED) == 12


def test_clips_without_an_ef_are_left_out():
    table = clips(300)
    table.loc[::3, "ef_measured"] = np.nan
    assert fit_calibration(table, "made", NETWORKS).clips == 200


def test_too_few_clips_are_refused():
    with pytest.raises(ValueError, match=f"{FEWEST} clips with a known EF are needed"):
        fit_calibration(clips(FEWEST - 1), "made", NETWORKS)


def test_saved_calibration_is_read_back(tmp_path):
    PLAIN.save(tmp_path / "deep" / "one.json")
    assert load_calibration(tmp_path / "deep" / "one.json") == PLAIN


@pytest.mark.parametrize(
    "change",
    [
        {"factors": [float("nan")]},
        {"base": 0.0},
        {"weights": [1.0]},
        {"weights": 3},
        {"surprise": 1},
        {"slope": "steep"},
        {"slope": 0.0},
        {"slope": -0.5},
        {"slope": True},
        {"slope": 10**400},
        {"factors": [-2.0]},
        {"factors": [0]},
        {"factors": 2.0},
        {"factors": [1.0, 1.0]},
        {"limits": [30]},
        {"limits": ["30"]},
        {"limits": [100.0], "factors": [1.0, 1.0]},
        {"limits": [55.0, 30.0], "factors": [1.0, 1.0, 1.0]},
        {"widen": 0.9},
        {"widen": 1.25},
        {"chosen_on": 3},
        {"level": 7},
        {"level": 1.0},
        {"doubt": -0.1},
        {"doubt": 1.5},
        {"intercept": float("inf")},
        {"weights": [1.0, -1.0, 0.0]},
        {"weights": "abc"},
        {"clips": 0},
        {"clips": 2.5},
        {"networks": [1]},
        {"networks": "lv"},
    ],
)
def test_broken_calibration_is_refused(tmp_path, change):
    PLAIN.save(tmp_path / "one.json")
    values = json.loads((tmp_path / "one.json").read_text()) | change
    (tmp_path / "one.json").write_text(json.dumps(values))
    with pytest.raises(DataError, match="is not a calibration"):
        load_calibration(tmp_path / "one.json")


def test_a_calibration_of_an_older_version_is_refused(tmp_path):
    PLAIN.save(tmp_path / "old.json")
    values = json.loads((tmp_path / "old.json").read_text())
    for name in ("limits", "factors", "widen", "chosen_on"):
        del values[name]
    (tmp_path / "old.json").write_text(json.dumps(values | {"factor": 2.0}))
    with pytest.raises(DataError, match=r"older version, with one factor.*Calibrate anew with"):
        load_calibration(tmp_path / "old.json")


def test_an_unknown_correction_is_refused():
    with pytest.raises(ValueError, match="correction: expected one of"):
        fit_calibration(clips(100), "made", NETWORKS, "curve")


def test_an_ef_that_falls_where_the_true_one_rises_gives_no_calibration():
    table = clips(300)
    with pytest.raises(ValueError, match="does not rise with the true EF"):
        fit_calibration(table.assign(ef_measured=-table.ef_measured), "made", NETWORKS)


def test_missing_and_foreign_files_are_refused(tmp_path):
    (tmp_path / "list.json").write_text("[1, 2]")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    for name in ("none.json", "list.json", "deep.json"):
        with pytest.raises(DataError, match="python -m echolib calibrate"):
            load_calibration(tmp_path / name)
