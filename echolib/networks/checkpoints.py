"""Checkpoints of a running training: written whole or not at all, loaded without running code."""

import io
import json
import math
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from ..data.frames import FrameSet
from ..errors import DataError
from ..files import atomic_path
from ..memory import require_memory
from .models import Encoder
from .plan import Progress, TrainingConfig, recorded_name

LENGTH = ("config.epochs", "config.minutes")
KEYS = {"identity", "progress", "model", "averaged", "optimizer"}


def training_identity(model: Encoder, config: TrainingConfig, sets: Iterable[FrameSet]) -> dict:
    """What a checkpoint must have in common with the training that resumes it, as JSON values.

    The precision is not part of it: a resumed training keeps that of its checkpoint. The length is,
    but `load_checkpoint` does not compare it: a resumed training may have another one.
    """
    settings = {f"config.{name}": value for name, value in asdict(config).items()}
    del settings["config.precision"]
    settings["config.start"] = recorded_name(config.start)  # whatever the path to it
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
    """Load a checkpoint, with its own identity, for the training that resumes it.

    identity: of that training, see `training_identity`. Raises DataError for a file that is
    damaged, is no checkpoint, or belongs to another training; another length is no other training.
    """
    state = _read(path)
    expected, stored = json.loads(json.dumps(identity)), state["identity"]
    if "config.start" in stored:
        stored["config.start"] = recorded_name(str(stored["config.start"]))
    compared = [key for key in expected if key not in LENGTH]
    differ = [key for key in compared if expected[key] != stored.get(key)]
    if differ:
        lines = [f"{key}: here {expected[key]}, there {stored.get(key)}" for key in differ]
        raise DataError(
            f"{path} belongs to another training. Use its settings, or choose another folder. "
            "These differ:\n" + "\n".join(lines)
        )
    return state


def length_of(identity: dict) -> dict[str, Any]:
    """The length in a `training_identity`, as `TrainingConfig.length` gives it."""
    epochs, minutes = (identity.get(name) for name in LENGTH)
    return {"epochs": epochs} if minutes is None else {"minutes": minutes}


def planned_length(path: Path) -> dict[str, Any]:
    """The length of the training that a checkpoint belongs to, see `length_of`.

    Raises DataError for a file that is damaged, is no checkpoint, or names no length.
    """
    length = length_of(_read(path)["identity"])
    if not all(isinstance(value, (int, float)) for value in length.values()):
        raise DataError(f"{path} does not say how long its training is. Give its length.")
    return length


def _read(path: Path) -> dict:
    """Read a checkpoint: tensors and plain values only, so that nothing in it can execute.

    Its identity is a dict then. Raises DataError for a file that is damaged or is no checkpoint.
    """
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                declared = sum(info.file_size for info in archive.infolist())
            require_memory(str(path), declared, path.stat().st_size)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except DataError:
        raise
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
    return state | {"identity": _identity(path, state["identity"])}


def _identity(path: Path, text: str) -> dict:
    """The identity of a checkpoint; networks from before there was a fold have a fold of 1."""
    try:
        identity = dict(json.loads(text))
    except (ValueError, TypeError, RecursionError) as error:
        raise DataError(
            f"{path}: its identity is no JSON object ({error}). Remove it and train again, or "
            "choose another folder."
        ) from error
    if isinstance(identity.get("arguments"), dict):
        identity["arguments"].setdefault("fold", 1)
    return identity


def restore(
    path: Path, state: dict, model: nn.Module, averaged: nn.Module, optimizer: AdamW
) -> Progress:
    """Put the state of a checkpoint into a training's networks and optimizer.

    Returns its progress. Raises DataError, before anything is changed, where a tensor or value is
    missing, has another shape or type, or is not finite.
    """
    expected = {
        "model": model.state_dict(),
        "averaged": averaged.state_dict(),
        "optimizer": _state_after_a_step(optimizer),
        "progress": asdict(Progress()),
    }
    wrong = next(_differences(expected, state, ""), None) or _wrong_progress(state["progress"])
    if wrong:
        raise DataError(
            f"{path} does not fit this training: {wrong}. Remove it and train again, or choose "
            "another folder."
        )
    model.load_state_dict(state["model"])
    averaged.load_state_dict(state["averaged"])
    groups = optimizer.state_dict()["param_groups"]  # settings come from the configuration
    optimizer.load_state_dict({**state["optimizer"], "param_groups": groups})
    return Progress(**state["progress"])


def _state_after_a_step(optimizer: AdamW) -> dict:
    """What the state of an optimizer will look like: shapes and types, with other values."""
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    state = {
        number: {"step": torch.tensor(0.0), "exp_avg": weight, "exp_avg_sq": weight}
        for number, weight in enumerate(weights)
    }
    return {"state": state, "param_groups": optimizer.state_dict()["param_groups"]}


def _differences(expected: Any, found: Any, name: str) -> Iterator[str]:
    """What of nested values has another type, shape or length than expected, in words."""
    if isinstance(expected, Tensor):
        if not isinstance(found, Tensor):
            yield f"{name} is {type(found).__name__}, not a tensor"
        elif found.shape != expected.shape or found.dtype != expected.dtype:
            yield (
                f"{name} is {found.dtype} of shape {tuple(found.shape)}, not {expected.dtype} of "
                f"shape {tuple(expected.shape)}"
            )
        elif not torch.isfinite(found).all():
            yield f"{name} has values that are not finite numbers"
    elif isinstance(expected, dict):
        keys = found.keys() if isinstance(found, dict) else set()
        yield from (f"{name} lacks {key}" for key in expected if key not in keys)
        if name:  # the checkpoint itself holds more
            yield from (f"{name} has {key} too" for key in keys if key not in expected)
        for key, value in expected.items():
            yield from _differences(value, found[key], f"{name}.{key}".lstrip("."))
    elif isinstance(expected, (list, tuple)) and name != "progress.history":
        if type(found) is not type(expected) or len(found) != len(expected):
            yield f"{name} is {str(found)[:60]}, not {len(expected)} values"
        for number, value in enumerate(expected):
            yield from _differences(value, found[number], f"{name}.{number}")
    elif type(found) is not type(expected):
        yield f"{name} is {str(found)[:60]} ({type(found).__name__}), not {type(expected).__name__}"


def _wrong_progress(progress: dict) -> str:
    """What is impossible in the progress of a training, in words; empty if nothing is."""
    numbers = {name: progress[name] for name in ("steps", "planned_at", "step", "stale", "seconds")}
    for name, value in numbers.items():
        if not 0 <= value < math.inf:
            return f"progress.{name} is {value}"
    if not 0 <= progress["done_then"] <= 1 or not -1 <= progress["best"] <= 1:
        return f"progress.best is {progress['best']}, done_then {progress['done_then']}"
    rows = progress["history"]
    for row in rows:
        if not isinstance(row, dict) or not set(rows[0]) <= set(row):  # it may grow with a version
            return "progress.history is no list of rows with the same columns"
        if not all(isinstance(value, (int, float)) for value in row.values()):
            return "progress.history holds something else than numbers"
    return ""
