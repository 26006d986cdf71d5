"""Checkpoints: nothing in them executes, and those of another training are refused."""

import pytest
import torch

from echolib.errors import DataError
from echolib.networks.checkpoints import KEYS, load_checkpoint, save_checkpoint


def test_a_checkpoint_is_loaded_by_its_own_training_only(tmp_path):
    state = dict.fromkeys(KEYS, {"weight": torch.ones(2)}) | {"identity": {"size": 112}}
    save_checkpoint(state, tmp_path / "checkpoint.pt")
    loaded = load_checkpoint(tmp_path / "checkpoint.pt", {"size": 112})
    assert torch.equal(loaded["model"]["weight"], torch.ones(2))
    with pytest.raises(DataError, match="another training.*\n.*size: here 64, there 112"):
        load_checkpoint(tmp_path / "checkpoint.pt", {"size": 64})


def test_the_path_to_the_first_weights_may_be_written_otherwise(tmp_path):
    state = dict.fromkeys(KEYS, {}) | {
        "identity": {"config.start": "/home/me/weights/lv.safetensors"}
    }
    save_checkpoint(state, tmp_path / "checkpoint.pt")
    load_checkpoint(tmp_path / "checkpoint.pt", {"config.start": "weights/lv"})
    with pytest.raises(DataError, match="config.start: here weights/other, there weights/lv"):
        load_checkpoint(tmp_path / "checkpoint.pt", {"config.start": "weights/other"})


def test_a_checkpoint_that_would_execute_code_is_refused(tmp_path):
    class Harmful:
        def __reduce__(self):
            return (open, (str(tmp_path / "proof"), "w"))

    path = tmp_path / "checkpoint.pt"
    torch.save({"model": Harmful()}, path)
    with pytest.raises(DataError, match="not a readable checkpoint"):
        load_checkpoint(path, {})
    assert not (tmp_path / "proof").exists()


def test_a_damaged_or_foreign_checkpoint_is_refused(tmp_path):
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(DataError, match="not a readable checkpoint"):
        load_checkpoint(path, {})
    torch.save({"state": 1}, path)
    with pytest.raises(DataError, match=r"no checkpoint of a Training: .*found \['state'\]"):
        load_checkpoint(path, {})
