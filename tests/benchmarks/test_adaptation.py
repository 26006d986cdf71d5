"""What networks gain from hearts that nobody has outlined: who is tested, and the table."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.adaptation import TOGETHER, split_off, summarise
from echolib.data import Camus
from tests.makers import camus_folder


def cases(name: str, patients: int, seed: int, dice: float, ef_error: float) -> pd.DataFrame:
    scores = {"dice": dice + np.linspace(-0.02, 0.02, 10), "ef_error": ef_error}
    table = pd.DataFrame({"patient": [f"test{number}" for number in range(10)], **scores})
    return table.assign(name=name, patients=patients, seed=seed)


def test_gains_are_over_the_same_network_as_shipped_and_seeds_are_averaged():
    table = summarise(
        pd.concat(
            [
                cases("lv", 0, 0, 0.89, np.nan),
                cases(TOGETHER, 0, 0, 0.91, 8.0),
                cases(TOGETHER, 20, 0, 0.92, 6.0),
                cases("lv", 20, 0, 0.90, np.nan),
                cases("lv", 20, 1, 0.92, np.nan),
            ],
            ignore_index=True,
        )
    ).set_index(["network", "patients"])
    assert table.seeds.to_dict() == {
        ("lv", 0): 1, ("lv", 20): 2, (TOGETHER, 0): 1, (TOGETHER, 20): 1,
    }  # fmt: skip
    assert table.gain["lv", 20] == pytest.approx(0.02) and table.gain_low["lv", 20] > 0.019
    assert table.gain[TOGETHER, 20] == pytest.approx(0.01)
    assert np.isnan(table.gain["lv", 0]) and np.isnan(table.ef_error["lv", 20])
    assert table.ef_error[TOGETHER, 20] == 6 and (table.tested == 10).all()
    assert (table.dice_low < table.dice).all() and (table.dice < table.dice_high).all()


def test_a_rehearsal_tests_on_training_patients_and_never_on_the_validation_patients(tmp_path):
    data = Camus(camus_folder(tmp_path))
    before = data.table.split.copy()
    split_off(data, 1)
    (tested,) = data.table.index[data.table.split == "val"]
    assert before[tested] == "train"
    assert (data.table.split[before == "val"] == "test").all()
