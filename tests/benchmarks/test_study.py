"""The benchmark of a whole study: its steps, and how it scales."""

import pandas as pd
import pytest

from benchmarks import study
from benchmarks.study import ECHONET_FRAMES, OTHER, STEPS, Steps, scaled, step_seconds
from echolib.data import EchoNet
from echolib.phantom.studies import write_lv_study
from echolib.ventricle.networks import load_networks


def test_a_step_within_another_counts_as_the_outer_one(monkeypatch):
    moments = iter([1.0, 8.0])
    monkeypatch.setattr(study.time, "perf_counter", lambda: next(moments))
    steps = Steps()
    inner = steps.timed("inner", lambda: 3)
    assert steps.timed("outer", lambda: inner() + 1)() == 4
    assert steps.seconds == {"outer": 7.0}


def test_a_step_that_fails_is_over():
    steps = Steps()
    with pytest.raises(ZeroDivisionError):
        steps.timed("bad", lambda: 1 / 0)()
    steps.timed("good", int)()
    assert set(steps.seconds) == {"bad", "good"}


def test_every_step_of_measuring_a_study_is_seen(tmp_path):
    data = EchoNet(write_lv_study(tmp_path / "study", 3, frames=(32, 36), workers=1))
    frames, seconds = step_seconds(data, load_networks(), 2)
    assert frames == data.table.frames.iloc[[0, 2]].sum()
    assert list(seconds)[-1] == OTHER and set(seconds) == {*STEPS, OTHER}
    assert all(value >= 0 for value in seconds.values())


def test_hours_are_those_of_echonet_dynamic():
    table = scaled(pd.DataFrame({"frames": [ECHONET_FRAMES / 100], "seconds": [36.0]}))
    assert table.echonet_hours.item() == 1
