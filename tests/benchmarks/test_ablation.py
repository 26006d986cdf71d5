"""Ablation: what is left out, and that the second table follows from the first."""

from pathlib import Path

import pandas as pd

from benchmarks import ablation

FIRST = Path(ablation.__file__).with_name("ablation.csv")


def test_the_effects_trained_in_full_are_those_that_mattered_most() -> None:
    table = pd.read_csv(FIRST)
    rows = table[table.condition.str.startswith("without ")]
    order = rows.against_all.abs().sort_values(ascending=False).index
    most = rows.condition[order][: len(ablation.MATTERED)].str.removeprefix("without ")
    assert set(most) == set(ablation.MATTERED)


def test_each_condition_leaves_out_what_its_name_says() -> None:
    for condition in ablation.shipped_conditions(**hearts_and_steps(ablation.SHIPPED)):
        left_out = f"without {condition.without[0]}" if condition.without else "all"
        assert condition.name.startswith(left_out)
    names = [row.name for row in ablation.conditions(**hearts_and_steps(ablation.SHORT))]
    assert len(names) == len(set(names))


def hearts_and_steps(settings: dict[str, int]) -> dict[str, int]:
    return {name: settings[name] for name in ("frames", "steps")}
