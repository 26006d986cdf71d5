"""The plan of a training: the share that is done never falls, and sets the learning rate."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from echolib.networks.plan import Progress, TrainingConfig, warm_up_and_cosine


def test_the_learning_rate_rises_and_falls():
    factors = [warm_up_and_cosine(share, 0.05) for share in np.linspace(0, 1, 201)]
    top = int(np.argmax(factors))
    assert top == 10 and factors[top] == pytest.approx(1.0)
    assert factors[0] == 0 and factors[-1] == pytest.approx(0.01)
    assert (np.diff(factors[top:]) < 0).all()


def test_the_share_of_an_unchanged_plan_rises_linearly():
    progress = Progress(steps=200)
    assert [progress.share(step) for step in (0, 50, 200, 300)] == [0, 0.25, 1, 1]


@given(st.lists(st.floats(0.01, 3.0), min_size=1, max_size=20))
def test_the_share_never_falls_however_the_speed_changes(speeds):
    progress, shares = Progress(steps=100), [0.0]
    for seconds in speeds:
        for _ in range(5):
            if progress.step < progress.steps:
                progress.step += 1
                progress.seconds += seconds
                shares.append(progress.share(progress.step))
        progress.replan(60.0, seconds)
    assert (np.diff(shares) >= 0).all()


def test_the_plan_ends_when_the_time_is_up():
    progress = Progress(steps=100, step=40, seconds=61.0)
    progress.replan(60.0, 0.5)
    assert progress.steps == 40
    progress = Progress(steps=100, step=40, seconds=30.0)
    progress.replan(60.0, 0.5)
    assert progress.steps == 100


@pytest.mark.parametrize("setting", [
    {"batch": 0}, {"learning_rate": -1.0}, {"average": 1.0}, {"heatmap": math.nan},
    {"warmup": 1.0}, {"frozen": -1}, {"patience": -1}, {"corrupted": 1.1}, {"weight_decay": -1.0},
])  # fmt: skip
def test_settings_out_of_range_are_refused_by_their_name(setting):
    ((name, value),) = setting.items()
    with pytest.raises(ValueError, match=rf"^{name}: expected .* found {value}\.$"):
        TrainingConfig(**setting)
