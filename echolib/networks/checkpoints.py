"""Checkpoints of a running training: written whole or not at all, loaded without running code."""

import io
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import torch

from ..data.frames import FrameSet
from ..errors import DataError
from ..files import atomic_path
from .models import Encoder
from .plan import TrainingConfig

KEYS = {"identity", "progress", "model", "averaged", "optimizer"}


def training_identity(model: Encoder, config: TrainingConfig, sets: Iterable[FrameSet]) -> dict:
    """What a checkpoint must have in common with the training that resumes it, as JSON values."""
    settings = {f"config.{name}": value for name, value in asdict(config).items()}
    return {
        "model": type(model).__name__,
        "arguments": model.arguments,
        "size": model.size,
        "frames": [frames.fingerprint() for frames in sets],
        **settings,
    }


def save_checkpoint(state: dict, path: Path) -> None:
    """Write a state of tensors and plain values, with the identity of its training."""
    state = state | {"identity": json.dumps(state["identity"], sort_keys=True)}
    buffer = io.BytesIO()  # so that a full disk is an OSError, not one of torch's own
    torch.save(state, buffer)
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


def load_checkpoint(path: Path, identity: dict) -> dict:
    """Load a checkpoint: tensors and plain values only, so that nothing in it can execute.

    identity: of the training that resumes it, see `training_identity`. Raises DataError for a
    file that is damaged, is no checkpoint, or belongs to another training.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged or unsafe file
        raise DataError(
            f"{path} is not a readable checkpoint ({type(error).__name__}). Remove it and train "
            "again, or choose another folder."
        ) from error
    whole = isinstance(state, dict) and KEYS <= state.keys()
    if not whole or not isinstance(state["identity"], str):
        found = sorted(map(str, state)) if isinstance(state, dict) else type(state).__name__
        raise DataError(
            f"{path} is no checkpoint of a Training: expected {sorted(KEYS)}, found {found}. "
            "Remove it and train again, or choose another folder."
        )
    expected, stored = json.loads(json.dumps(identity)), json.loads(state["identity"])
    differ = [key for key in expected if expected[key] != stored.get(key)]
    if differ:
        lines = [f"{key}: here {expected[key]}, there {stored.get(key)}" for key in differ]
        raise DataError(
            f"{path} belongs to another training. Use its settings, or choose another folder. "
            "These differ:\n" + "\n".join(lines)
        )
    return state
