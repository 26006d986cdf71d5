"""An interval learnt from clips with known truth: its coverage, and refused input."""

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
    SPREADS,
    Calibration,
    fit_calibration,
    load_calibration,
)

NETWORKS = ("one", "two")
PLAIN = Calibration(
    slope=1.2, intercept=3.0, base=4.0, weights=(0.5, 0.0, 0.0), factor=2.0, doubt=0.2,
    level=0.9, clips=100, data="made", networks=NETWORKS,
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
    """(N, 3) corrected EF, lower and upper end."""
    rows = table[["ef_measured", *SPREADS]].to_dict("records")
    return np.array([calibration.interval(row.pop("ef_measured"), row) for row in rows])


def test_interval_covers_nine_in_ten_of_new_clips():
    calibration = fit_calibration(clips(2000), "made", NETWORKS)
    other = clips(3000, seed=1)
    _, low, high = bounds(calibration, other).T
    inside = (low <= other.ef_true) & (other.ef_true <= high)
    assert 0.88 <= inside.mean() <= 0.92


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
    assert calibration.slope == pytest.approx(0.7, abs=0.06)


def test_interval_is_wider_where_the_views_differ():
    calibration = fit_calibration(clips(2000), "made", NETWORKS)
    calm = calibration.half_width(AGREED | {"views": 1.0})
    assert calibration.half_width(AGREED | {"views": 10.0}) > 2 * calm
    assert calibration.half_width(AGREED) > 0


def test_fitted_clips_do_not_widen_the_interval():
    """The factor is a quantile of the errors of clips that were not used for the line."""
    table = clips(1000)
    calibration = fit_calibration(table, "made", NETWORKS)
    one = replace(calibration, factor=1.0)
    rows = table[list(SPREADS)].to_dict("records")
    widths = np.array([one.half_width(row) for row in rows])
    errors = np.abs(table.ef_true - (one.intercept + one.slope * table.ef_measured)) / widths
    assert np.isclose(errors, calibration.factor).sum() == 1
    assert calibration.factor == pytest.approx(np.quantile(errors, 0.9), rel=0.1)


def test_no_ef_gives_no_interval():
    assert np.isnan(PLAIN.interval(np.nan, AGREED)).all()


@settings(max_examples=50, deadline=None)
@given(st.floats(-50, 150), st.floats(0, 100))
def test_interval_stays_between_0_and_100_and_in_order(measured, views):
    ef, low, high = PLAIN.interval(measured, AGREED | {"views": views})
    assert 0 <= low <= ef <= high <= 100


def test_unknown_spread_counts_as_zero():
    assert PLAIN.half_width(AGREED | {"beats": np.nan}) == PLAIN.half_width(AGREED) == 8.0


def test_clips_without_an_ef_are_left_out():
    table = clips(300)
    table.loc[::3, "ef_measured"] = np.nan
    assert fit_calibration(table, "made", NETWORKS).clips == 200


def test_too_few_clips_are_refused():
    with pytest.raises(ValueError, match=f"{FEWEST} are needed"):
        fit_calibration(clips(FEWEST - 1), "made", NETWORKS)


def test_saved_calibration_is_read_back(tmp_path):
    PLAIN.save(tmp_path / "deep" / "one.json")
    assert load_calibration(tmp_path / "deep" / "one.json") == PLAIN


@pytest.mark.parametrize(
    "change",
    [
        {"factor": float("nan")},
        {"base": 0.0},
        {"weights": [1.0]},
        {"weights": 3},
        {"surprise": 1},
        {"slope": "steep"},
        {"slope": 0.0},
        {"slope": -0.5},
        {"slope": True},
        {"slope": 10**400},
        {"factor": -2.0},
        {"factor": 0},
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
