"""Models that outline a clip when it is opened, whatever kind they are of."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.letterbox import Letterbox
from ..errors import DataError
from .view import Layer, View

if TYPE_CHECKING:
    from torch import nn

Outliner = Callable[[np.ndarray], Layer]  # of frames (T, H, W) uint8; the layer's name is open

SIZE = 112  # px of the squares that a model sees whose card is not at hand
KINDS = (
    "the name or path of weights, a model of echolib, `load_model`'s pair of model and card, an "
    "object with masks(frames), or a function of frames (T, H, W) uint8"
)


def is_kind(value: object, module: str, name: str) -> bool:
    """Whether a value is of a class of a module that may never have been imported.

    Torch, and what needs it, is not loaded to find out: a value of its kinds has done so.
    """
    loaded = sys.modules.get(module)
    kind = getattr(loaded, name, None)  # a module half-way through its import has no class yet
    return kind is not None and isinstance(value, kind)


def open_outliners(models: Mapping[str, Any] | None) -> dict[str, Outliner]:
    """What outlines a clip, by name. Weights are loaded here, once.

    models: by name, see `KINDS`. Raises DataError for another kind, or weights that are not
    there.
    """
    if models is not None and not isinstance(models, Mapping):
        raise DataError(
            f"models: expected a mapping {{name: model}}, found {type(models).__name__}."
        )
    return {str(name): _outliner(str(name), model) for name, model in (models or {}).items()}


def outlined(view: View, outliners: Mapping[str, Outliner]) -> View:
    """The view with a layer of each model. Raises DataError where a model fails."""
    layers = list(view.layers)
    for name, outline in outliners.items():
        try:
            layers.append(replace(outline(view.frames), name=name))
        except Exception as error:  # whatever a stranger's model raises, the reader must see it
            reason = f"{type(error).__name__}: {error}"
            raise DataError(f"Clip {view.name!r}: the model {name!r} failed. {reason}") from error
    return replace(view, layers=tuple(layers))


def _outliner(name: str, model: Any) -> Outliner:
    if isinstance(model, (str, Path)):
        model = _loaded(model)
    size = SIZE
    if isinstance(model, tuple) and len(model) == 2 and isinstance(model[1], Mapping):
        model, card = model
        size = card.get("size", SIZE)
    if is_kind(model, "torch.nn", "Module"):
        _check_network(name, model)
        return lambda frames: _seen(model, size, frames)
    if callable(getattr(model, "masks", None)):
        role = "leaflets" if is_kind(model, "echolib.valve.finder", "ValveFinder") else "model"
        return lambda frames: Layer("", model.masks(frames), role=role)
    if callable(model):
        return lambda frames: Layer("", model(frames))
    raise DataError(f"models[{name!r}]: expected {KINDS}; found {type(model).__name__}.")


def _loaded(name_or_path: str | Path) -> Any:
    """A finder of valves, or a model and its card. Raises DataError where there is neither."""
    from ..config import weights_folder
    from ..networks.models import load_model
    from ..valve.finder import SETTINGS_FILE, load_finder

    shipped = weights_folder() / f"{name_or_path}_whole.safetensors"
    if (Path(name_or_path) / SETTINGS_FILE).is_file() or shipped.is_file():
        return load_finder(name_or_path)
    return load_model(name_or_path)


def _check_network(name: str, model: "nn.Module") -> None:
    from ..networks.models import MODELS

    if not isinstance(model, tuple(MODELS.values())):
        raise DataError(
            f"models[{name!r}]: expected one of {sorted(MODELS)}, found {type(model).__name__}. "
            "Give a function that takes frames (T, H, W) uint8 and returns masks (T, H, W) bool."
        )
    inputs = model.arguments.get("inputs", 1)
    if inputs != 1:
        raise DataError(
            f"models[{name!r}] sees {inputs} frames at a time, and which those are, a clip does "
            "not tell. Show the result of `echolib.measure_clip`, or a ValveFinder."
        )


def _seen(model: "nn.Module", size: int, frames: np.ndarray) -> Layer:
    """Masks of a network, and its points where it finds landmarks."""
    from ..networks.inference import predict, source_mask
    from ..networks.models import finds_landmarks

    box = Letterbox(*frames.shape[1:], size)
    answers = predict(model, np.stack([box.image(frame) for frame in frames]))
    masks = np.stack([source_mask(answer, box) for answer in answers])
    return Layer("", masks, box.points_back(answers) if finds_landmarks(model) else None)
