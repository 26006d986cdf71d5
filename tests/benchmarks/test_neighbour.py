"""The benchmark beside a busy neighbour: what it measures runs."""

import pytest

from benchmarks import neighbour


@pytest.mark.parametrize("work", ["training", "outlining"])
def test_a_step_of_each_work_counts_its_images(monkeypatch, tmp_path, work):
    monkeypatch.setattr(neighbour, "FRAMES", 20)
    monkeypatch.setattr(neighbour, "BATCH", 2)
    training = work == "training"
    step = neighbour.training_steps(tmp_path) if training else neighbour.outlining()
    assert [step(), step()] == ([16, 16] if training else [2, 2])
