"""State of a running training on disk: written whole or not at all, read without executing."""

import io
import json
from pathlib import Path

import torch

from ..errors import DataError
from ..files import atomic_path

KEYS = {"identity", "progress", "model", "averaged", "optimizer"}


def save_checkpoint(state: dict, path: Path) -> None:
    """Write a state of tensors and plain values; its identity is JSON text."""
    buffer = io.BytesIO()  # so that a full disk is an OSError, not one of torch's own
    torch.save(state, buffer)
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


def load_checkpoint(path: Path, identity: dict) -> dict:
    """The content of a checkpoint, tensors and plain values only: nothing in it can execute.

    identity: what it must agree in with the training that resumes it, as JSON values. Raises
    DataError when the file is damaged, is no checkpoint, or belongs to another training.
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
        raise DataError(f"{path} is no checkpoint of a Training: expected {sorted(KEYS)}.")
    ours, theirs = json.loads(json.dumps(identity)), json.loads(state["identity"])
    differ = [key for key in ours if ours[key] != theirs.get(key)]
    if differ:
        lines = [f"{key}: here {ours[key]}, there {theirs.get(key)}" for key in differ]
        raise DataError(
            f"{path} belongs to another training. Use its settings, or another folder. They "
            "differ in\n" + "\n".join(lines)
        )
    return state
