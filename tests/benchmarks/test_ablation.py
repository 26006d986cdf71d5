"""Ablation: what is left out, and that the second table follows from the first."""

from pathlib import Path

import pandas as pd
import pytest

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


def test_a_stopped_run_keeps_only_rows_of_this_phantom(tmp_path, monkeypatch) -> None:
    trained = []

    def run(condition: ablation.Condition, *_) -> dict:
        trained.append(condition.name)
        return {"condition": condition.name, "dice": 0.9, "phantom": ablation.VERSION}

    monkeypatch.setattr(ablation, "run", run)
    out = tmp_path / "part-0-of-1"
    out.mkdir()
    there = [("all", ablation.VERSION), ("without valves", ablation.VERSION - 1)]
    table = pd.DataFrame(there, columns=["condition", "phantom"]).assign(dice=0.8)
    table.to_csv(out / "ablation.csv", index=False)
    monkeypatch.setattr("sys.argv", ["ablation", "camus", "--out", str(tmp_path), "--shipped"])
    ablation.main()
    names = [row.name for row in ablation.shipped_conditions(1, 1)]
    assert trained == names[1:]
    assert list(pd.read_csv(out / "ablation.csv").condition) == names


def test_a_table_is_of_one_phantom(tmp_path, monkeypatch, capsys) -> None:
    rows = [("all", ablation.VERSION - 1, 0.8), ("all", ablation.VERSION, 0.9)]
    for number, row in enumerate(rows):
        part = tmp_path / f"part-{number}-of-2"
        part.mkdir()
        table = pd.DataFrame([row], columns=["condition", "phantom", "dice"])
        table.to_csv(part / "ablation.csv", index=False)
    monkeypatch.setattr("sys.argv", ["ablation", "camus", "--out", str(tmp_path), "--table"])
    ablation.main()
    assert pd.read_csv(tmp_path / "ablation.csv").dice.tolist() == [0.9]
    (tmp_path / "part-1-of-2" / "ablation.csv").unlink()
    with pytest.raises(SystemExit):
        ablation.main()
    assert "other versions of the phantom only" in capsys.readouterr().err


def test_a_table_of_nothing_is_refused(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr("sys.argv", ["ablation", "camus", "--out", str(tmp_path), "--table"])
    with pytest.raises(SystemExit):
        ablation.main()
    assert "No finished conditions" in capsys.readouterr().err


def hearts_and_steps(settings: dict[str, int]) -> dict[str, int]:
    return {name: settings[name] for name in ("frames", "steps")}
