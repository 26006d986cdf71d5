"""Intervals and paired tests, against scipy and by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import wilcoxon

from echolib.statistics import (
    FEWEST_PATIENTS,
    bootstrap_interval,
    holm,
    interval_in_words,
    paired_difference,
    patient_interval,
)


def test_a_clear_difference_is_shown_and_none_is_not():
    generator = np.random.default_rng(0)
    patients = np.repeat(np.arange(40), 2)
    second = generator.uniform(0.7, 0.9, 80)
    first = second + generator.normal(0.03, 0.01, 80)
    found = paired_difference(first, second, patients)
    assert found.patients == 40 and found.mean == pytest.approx(0.03, abs=0.005)
    assert 0.025 < found.low < found.mean < found.high < 0.035
    assert found.p < 1e-6 and found.effect > 0.99
    shuffled = second + generator.normal(0, 0.01, 80)
    none = paired_difference(shuffled, second, patients)
    assert none.low < 0 < none.high and none.p > 0.05 and abs(none.effect) < 0.5


def test_the_test_is_scipys_on_the_means_of_patients():
    generator = np.random.default_rng(1)
    patients = np.repeat(np.arange(15), 3)
    first, second = generator.random(45), generator.random(45)
    means = (first - second).reshape(15, 3).mean(axis=1)
    found = paired_difference(first, second, patients)
    assert found.p == pytest.approx(wilcoxon(means).pvalue)
    swapped = paired_difference(second, first, patients)
    assert swapped.mean == pytest.approx(-found.mean)
    assert swapped.effect == pytest.approx(-found.effect)


def test_cases_of_one_patient_do_not_narrow_the_interval():
    generator = np.random.default_rng(2)
    scores = generator.normal(0, 1, 12)
    once = paired_difference(scores, np.zeros(12), np.arange(12))
    often = paired_difference(np.repeat(scores, 20), np.zeros(240), np.repeat(np.arange(12), 20))
    assert [often.low, often.high] == pytest.approx([once.low, once.high])
    assert often.p == pytest.approx(once.p)
    assert bootstrap_interval(np.repeat(scores, 20))[1] < once.high


def test_equal_scores_differ_by_nothing():
    found = paired_difference(np.ones(5), np.ones(5), np.arange(5))
    assert (found.mean, found.low, found.high, found.p, found.effect) == (0, 0, 0, 1, 0)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_never_lowers_a_p_value_and_keeps_their_order(p_values):
    corrected = holm(p_values)
    assert (corrected >= np.array(p_values) - 1e-12).all() and (corrected <= 1).all()
    order = np.argsort(p_values)
    assert (np.diff(corrected[order]) >= 0).all()


def test_holm_of_an_example_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


def test_bad_scores_are_refused():
    with pytest.raises(ValueError, match="not 3, 2 and 3"):
        paired_difference(np.ones(3), np.ones(2), np.arange(3))
    with pytest.raises(ValueError, match="0, 0 and 0"):
        paired_difference([], [], [])
    with pytest.raises(ValueError, match="no numbers"):
        paired_difference([np.nan, 1], [0, 1], [0, 0])


def test_few_patients_have_no_interval_however_many_cases_they_have():
    values = np.random.default_rng(3).uniform(0.7, 0.9, 60)
    few = np.arange(60) % (FEWEST_PATIENTS - 1)
    assert np.isnan(patient_interval(values, few)).all()
    enough = np.arange(60) % FEWEST_PATIENTS
    assert patient_interval(values, enough) == bootstrap_interval(values, enough)
    with pytest.raises(ValueError, match="at least one case"):
        patient_interval(np.array([]), np.array([]))


def test_a_paired_difference_of_few_patients_has_a_p_value_and_no_interval():
    first, second = np.array([0.9, 0.8, 0.85, 0.9]), np.full(4, 0.7)
    found = paired_difference(first, second, np.arange(4))
    assert np.isnan([found.low, found.high]).all()
    assert found.p == pytest.approx(0.125) and found.mean == pytest.approx(0.1625)


def test_an_interval_in_words_says_why_there_is_none():
    assert interval_in_words(0.75, 0.9, 38) == "95 % 0.750 to 0.900"
    assert interval_in_words(-0.01, 0.02, 38, "+.2f") == "95 % -0.01 to +0.02"
    none = f"no interval: 4 patients, at least {FEWEST_PATIENTS} are needed"
    assert interval_in_words(np.nan, np.nan, 4) == none
