"""The simulation of an annotator: conditions, orders, scores and the table."""

import numpy as np
import pandas as pd
import pytest
import torch

from benchmarks import corrections
from benchmarks.corrections import (
    ALL,
    DOUBTFUL,
    NONE,
    RANDOM,
    Condition,
    conditions,
    corrected_patients,
    score_patients,
    summarise,
    train_all,
)
from echolib.data import Camus, pack_once
from echolib.networks.models import UNet
from tests.makers import camus_folder

PATIENTS = [f"p{number:02}" for number in range(30)]


def test_each_number_of_patients_is_trained_in_both_orders_with_three_seeds():
    made = conditions(399)
    assert len(made) == len(set(made)) == 1 + 3 + 3 * 5 * 2
    assert len({condition.name for condition in made}) == len(made)
    assert {(c.order, c.patients) for c in made if c.order in (NONE, ALL)} == {
        (NONE, 0),
        (ALL, 399),
    }
    assert max(c.patients for c in conditions(30) if c.order == RANDOM) == 20


def test_the_most_doubtful_come_first_and_random_orders_grow_within_a_seed():
    doubtful = list(reversed(PATIENTS))
    assert corrected_patients(Condition(DOUBTFUL, 3, 1), doubtful) == ["p29", "p28", "p27"]
    assert corrected_patients(Condition(NONE, 0, 0), doubtful) == []
    assert set(corrected_patients(Condition(ALL, 30, 0), doubtful)) == set(PATIENTS)
    few, more = (corrected_patients(Condition(RANDOM, n, 1), doubtful) for n in (5, 20))
    assert more[:5] == few and len(set(more)) == 20
    assert few == corrected_patients(Condition(RANDOM, 5, 1), PATIENTS)
    assert few != corrected_patients(Condition(RANDOM, 5, 2), PATIENTS)


def cases(order: str, patients: int, seed: int, dice: float) -> pd.DataFrame:
    names = [f"test{number}" for number in range(10)]
    scores = dice + np.linspace(-0.02, 0.02, 10)
    table = pd.DataFrame({"patient": names, "dice": scores, "ef_error": 100 * (1 - scores)})
    return table.assign(order=order, patients=patients, seed=seed, seconds=30.0)


def test_gains_are_paired_and_seeds_are_averaged_by_patient():
    table = summarise(
        pd.concat(
            [cases(NONE, 0, 0, 0.90)]
            + [cases(RANDOM, 20, seed, 0.91 + 0.01 * seed) for seed in range(3)]
            + [cases(DOUBTFUL, 20, seed, 0.93) for seed in range(3)]
        )
    ).set_index("order")
    assert list(table.index) == [NONE, DOUBTFUL, RANDOM] and list(table.tested) == [10] * 3
    assert table.gain[RANDOM] == pytest.approx(0.02) and table.gain_low[RANDOM] == pytest.approx(
        0.02
    )
    assert table.over_random[DOUBTFUL] == pytest.approx(0.01)
    assert table.seed_sd[RANDOM] == pytest.approx(0.01) and np.isnan(table.gain[NONE])
    assert table.dice_low[RANDOM] < table.dice[RANDOM] < table.dice_high[RANDOM]
    assert table.seeds[RANDOM] == 3 and table.ef_error[DOUBTFUL] == pytest.approx(7.0)


def test_a_simulation_keeps_what_is_done_and_its_table_holds_no_patient(tmp_path, monkeypatch):
    """The untrained network scores badly, but it scores each patient."""
    monkeypatch.setenv("ECHOLIB_DATA", str(tmp_path / "data"))
    torch.manual_seed(0)
    monkeypatch.setattr(corrections, "load_model", lambda name: UNet(width=2, depth=2).eval())
    data = Camus(camus_folder(tmp_path / "camus"))
    (tmp_path / "queue.csv").write_text(
        "clip,frame\n"
        + "".join(f"{clip},0\n" for clip in data.table.index[data.table.split == "train"])
    )
    train_all(data, 112, tmp_path, rehearse=False, only=["none-0-0"])
    (path,) = tmp_path.glob("case-*.csv")
    written = pd.read_csv(path)
    assert set(written.patient) == set(data.table.patient[data.table.split == "val"])
    path.write_text(written.assign(dice=0.5).to_csv(index=False))
    train_all(data, 112, tmp_path, rehearse=False, only=["none-0-0"])
    table = summarise(pd.read_csv(path))
    assert table.dice.item() == 0.5 and "patient" not in table


def test_a_network_that_draws_like_the_expert_makes_no_error(tmp_path, monkeypatch):
    monkeypatch.setenv("ECHOLIB_DATA", str(tmp_path))
    frames = pack_once(Camus(camus_folder(tmp_path / "camus")), 112, progress=False)
    answers = np.array(frames.masks, np.float32)
    monkeypatch.setattr(corrections, "predict", lambda network, images: answers)
    scores = score_patients(UNet(width=2), frames)
    assert (scores.dice == 1).all() and (scores.ef_error == 0).all() and len(scores) == 3
    answers = np.zeros_like(answers)
    nothing = score_patients(UNet(width=2), frames)
    assert (nothing.dice == 0).all() and nothing.ef_error.isna().all()
