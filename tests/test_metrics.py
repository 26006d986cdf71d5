"""Scores of a case, the rule for empty masks, and the summary over cases."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from echolib.metrics import case_scores, dice, iou, summarise, surface_distances
from echolib.statistics import FEWEST_PATIENTS, bootstrap_interval

masks = arrays(bool, (12, 15))
SQUARE = np.zeros((40, 50), bool)
SQUARE[10:30, 10:30] = True


@given(masks, masks)
def test_dice_and_iou_agree_and_are_symmetric(first, second):
    assert dice(first, second) == dice(second, first)
    overlap = iou(first, second)
    assert dice(first, second) == pytest.approx(2 * overlap / (1 + overlap))
    assert dice(first, first) == 1.0


@given(masks, masks)
def test_distances_agree_with_monai(first, second):
    if not (first.any() and second.any()):
        return
    import torch
    from monai.metrics.hausdorff_distance import compute_hausdorff_distance
    from monai.metrics.surface_distance import compute_average_surface_distance

    ours = case_scores(first, second, spacing=1.7)
    one_hot = [torch.from_numpy(mask)[None, None].float() for mask in (first, second)]
    options = {"include_background": True, "spacing": 1.7}
    theirs = compute_hausdorff_distance(*one_hot, percentile=95, **options)
    assert ours["hd95"] == pytest.approx(float(theirs), abs=1e-4)
    theirs = compute_average_surface_distance(*one_hot, symmetric=True, **options)
    assert ours["assd"] == pytest.approx(float(theirs), abs=1e-4)


def test_a_shift_by_three_pixels_is_a_distance_of_three():
    scores = case_scores(np.roll(SQUARE, 3, axis=1), SQUARE)
    assert scores["hd95"] == 3.0
    assert scores["dice"] == pytest.approx(17 / 20)
    assert case_scores(np.roll(SQUARE, 3, axis=1), SQUARE, spacing=0.5)["hd95"] == 1.5


def test_empty_masks_are_scored_by_the_rule():
    empty = np.zeros_like(SQUARE)
    assert case_scores(empty, empty) == {"dice": 1.0, "iou": 1.0, "hd95": 0.0, "assd": 0.0}
    missed = case_scores(empty, SQUARE, spacing=2.0)
    assert missed["dice"] == missed["iou"] == 0.0
    assert missed["hd95"] == missed["assd"] == pytest.approx(2 * np.hypot(40, 50))
    assert case_scores(SQUARE, empty, spacing=2.0) == missed
    with pytest.raises(ValueError, match="empty"):
        surface_distances(empty, SQUARE)


def test_masks_of_two_sizes_are_refused():
    with pytest.raises(ValueError, match="cannot be compared"):
        dice(SQUARE, SQUARE[1:])


def cases(count=20, unit="mm"):
    generator = np.random.default_rng(0)
    table = pd.DataFrame(
        generator.uniform(0.8, 1, (count, 4)), columns=["dice", "iou", "hd95", "assd"]
    )
    return table.assign(unit=unit, patient=[f"p{i // 2}" for i in range(count)])


def test_summary_holds_what_is_promised():
    table = cases()
    summary = summarise(table)
    assert summary["n"] == 20 and summary["patients"] == 10 and summary["unit"] == "mm"
    assert summary["dice"]["mean"] == pytest.approx(table.dice.mean())
    assert summary["dice"]["p10"] == pytest.approx(np.percentile(table.dice, 10))
    low, high = summary["hd95"]["ci95"]
    assert low < table.hd95.mean() < high


def test_summary_gives_few_patients_no_interval():
    few = summarise(cases(2 * FEWEST_PATIENTS - 2))
    assert few["patients"] == FEWEST_PATIENTS - 1 and np.isfinite(few["dice"]["mean"])
    assert all(np.isnan(few[name]["ci95"]).all() for name in ("dice", "iou", "hd95", "assd"))
    enough = summarise(cases(2 * FEWEST_PATIENTS))
    assert enough["dice"]["ci95"][0] < enough["dice"]["mean"] < enough["dice"]["ci95"][1]


def test_summary_refuses_no_cases_and_two_units():
    with pytest.raises(ValueError, match="No cases"):
        summarise(cases().iloc[:0])
    with pytest.raises(ValueError, match="averaged"):
        summarise(pd.concat([cases(), cases(unit="px")]))


def test_bootstrap_covers_the_mean_about_as_often_as_it_says():
    generator = np.random.default_rng(1)
    hits = 0
    for trial in range(100):
        low, high = bootstrap_interval(generator.normal(0, 1, 40), resamples=300, seed=trial)
        hits += low < 0 < high
    assert 85 <= hits <= 99


@given(st.integers(0, 100))
def test_bootstrap_by_groups_is_wider_when_a_group_is_one_case_repeated(seed):
    values = np.repeat(np.random.default_rng(seed).normal(0, 1, 12), 6)
    groups = np.repeat(np.arange(12), 6)
    low, high = bootstrap_interval(values, resamples=200)
    grouped_low, grouped_high = bootstrap_interval(values, groups, resamples=200)
    assert grouped_high - grouped_low > high - low


def test_bootstrap_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one case"):
        bootstrap_interval(np.array([]))
