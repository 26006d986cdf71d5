"""Scores of valve masks by the course task's rules."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays

from echolib.metrics import case_scores
from echolib.statistics import bootstrap_interval
from echolib.valve.scores import score_valves, summary, volume_iou

volumes = arrays(bool, (4, 6, 5))


def valve(count: int = 8, shape: tuple[int, int] = (56, 112)) -> np.ndarray:
    masks = np.zeros((count, *shape), bool)
    masks[:, 20:24, 30:60] = True
    return masks


@given(volumes, volumes)
def test_volume_iou_counts_all_frames_together(first, second):
    union = np.count_nonzero(first | second)
    expected = np.count_nonzero(first & second) / union if union else 1.0
    assert volume_iou(first, second) == pytest.approx(expected)
    assert volume_iou(first, first) == 1.0


def test_only_labelled_frames_are_scored():
    prediction, frames = valve(), np.array([6, 1])
    prediction[[0, 2, 3, 4, 5, 7]] = True  # these frames have no labels
    labels = valve(2)
    labels[0, :22] = False
    prediction[6] = labels[0]
    table = score_valves({"a": prediction}, {"a": (frames, labels)})
    assert table.frames.tolist() == [2]
    assert table.iou[0] == table.dice[0] == table.area_ratio[0] == 1.0
    assert table.assd[0] == table.assd_112[0] == 0.0


def test_distance_is_the_mean_over_frames_and_scaled_to_a_frame_of_112_px():
    truth = valve(3)
    prediction = np.roll(truth, 2, axis=1)
    table = score_valves({"a": prediction}, {"a": (np.arange(3), truth)})
    expected = case_scores(prediction[0], truth[0])["assd"]
    assert table.assd[0] == pytest.approx(expected)
    assert table.assd_112[0] == pytest.approx(expected * 112 / np.sqrt(56 * 112))
    assert table.iou[0] == pytest.approx(1 / 3)
    assert table.area_ratio[0] == 1.0


def test_empty_masks_are_scored_by_the_rule():
    truth, empty = valve(2), np.zeros_like(valve(2))
    frames = np.arange(2)
    truths = {"both": (frames, empty), "missed": (frames, truth), "false": (frames, empty)}
    table = score_valves({"both": empty, "missed": empty, "false": truth}, truths)
    table = table.set_index("clip")
    diagonal = np.hypot(56, 112)
    assert table.loc["both", ["iou", "dice", "assd"]].tolist() == [1, 1, 0]
    assert table.loc["missed", ["iou", "dice", "area_ratio"]].tolist() == [0, 0, 0]
    assert table.loc["missed", "assd"] == pytest.approx(diagonal)
    assert table.loc["false", "assd"] == pytest.approx(diagonal)
    assert table.loc[["both", "false"], "area_ratio"].isna().all()


@pytest.mark.parametrize(
    ("predictions", "frames", "labels", "message"),
    [
        ({}, [0], valve(1), "none found for a"),
        ({"a": valve()}, [8], valve(1), "within the 8 frames.*found frames from 8 to 8"),
        ({"a": valve()}, [-1], valve(1), "within the 8 frames.*found frames from -1 to -1"),
        ({"a": valve()}, [0, 0], valve(2), "different frame numbers"),
        ({"a": valve()}, [], valve(0), "different frame numbers"),
        ({"a": valve()}, [0.5], valve(1), "different frame numbers"),
        ({"a": valve()}, [0], valve(2), "same shape"),
        ({"a": valve()}, [0], valve(1)[..., :9], "same shape"),
        ({"a": valve() * 1.0}, [0], valve(1), "bool"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(predictions, frames, labels, message):
    with pytest.raises(ValueError, match=message):
        score_valves(predictions, {"a": (np.array(frames), labels)})


def test_summary_is_the_median_over_videos_with_its_interval():
    values = np.random.default_rng(0).uniform(0.2, 0.8, 19)
    table = pd.DataFrame({"frames": 3, "iou": values, "dice": values, "assd_112": 1.0})
    found = summary(table)
    assert found["videos"] == 19 and found["frames"] == 57
    assert found["median"] == pytest.approx(np.median(values))
    assert found["mean"] == pytest.approx(values.mean())
    assert found["p10"] == pytest.approx(np.percentile(values, 10))
    expected = bootstrap_interval(values, statistic=np.median)
    assert found["median_ci95"] == pytest.approx(list(expected))
    assert expected[0] <= found["median"] <= expected[1]
    assert np.isnan(summary(table.iloc[:4])["median_ci95"]).all()  # of so few, there is none
    with pytest.raises(ValueError, match="No videos"):
        summary(table.iloc[:0])
    assert summary(score_valves({"a": valve()}, {"a": (np.array([0]), valve(1))}))["median"] == 1.0
