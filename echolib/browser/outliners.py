"""Networks that outline a clip when it is opened, whatever kind they are of."""

import hashlib
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..data.clips import Clip
from ..errors import DataError
from ..geometry import polygon_to_mask
from ..networks.pretrained import find_weights
from .layer import Layer
from .view import View

Outline = Callable[[Clip], Layer]  # the layer's name is given later

VENTRICLE = "ventricle"  # the name of the networks of `load_networks` together
KINDS = (
    "the name or path of weights, a network of echolib, networks that outline a clip together "
    "(load_networks, load_finder), an object with masks(frames), or a function of frames "
    "(T, H, W) uint8"
)


def is_kind(value: object, module: str, name: str) -> bool:
    """Whether a value is of a class of a module that may never have been imported.

    Torch, and modules that need it, are not loaded to find out: a value of their kinds has done
    so already.
    """
    loaded = sys.modules.get(module)
    kind = getattr(loaded, name, None)  # a module half-way through its import has no class yet
    return kind is not None and isinstance(value, kind)


def open_outliners(models: object) -> dict[str, Outline]:
    """Functions that outline a clip, by name. Weights are loaded here, once.

    models: by name, or one model, or several names or paths of weights; see `KINDS`. Raises
    DataError for another kind, two of one name, or missing weights.
    """
    return {name: _outliner(name, model) for name, model in _by_name(models).items()}


def _by_name(models: object) -> dict[str, Any]:
    """Models by name. Weights without one have that of their file, any other model "model"."""
    if models is None or isinstance(models, Mapping):
        return {str(name): model for name, model in (models or {}).items()}
    if isinstance(models, (str, Path)):
        models = [models]
    if not isinstance(models, (list, tuple)):
        return {"model": models}
    if not all(isinstance(model, (str, Path)) for model in models):
        raise DataError("models: expected names or paths of weights in the list, or {name: model}.")
    named = {Path(model).name.removesuffix(".safetensors"): model for model in models}
    if len(named) < len(models):
        raise DataError(
            f"models: two have the same name: {[*map(str, models)]}. Rename one, or give "
            "{name: model}."
        )
    return named


def model_versions(models: object) -> dict[str, str]:
    """What tells each of these models from an earlier one of its name, by name.

    The first 12 hexadecimal digits of the SHA-256 of its weights where the model is a single file,
    else the package's version. models: as for `open_outliners`.
    """
    return {name: _version(model) for name, model in _by_name(models).items()}


def _version(model: Any) -> str:
    if isinstance(model, (str, Path)):
        with suppress(DataError), find_weights(model).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:12]
    return __version__


def outlined(view: View, outliners: Mapping[str, Outline]) -> View:
    """The view with a layer of each model. Raises DataError where a model fails."""
    clip = Clip(view.name, view.frames, view.fps, view.spacing)
    layers = list(view.layers)
    for name, outline in outliners.items():
        try:
            layers.append(replace(outline(clip), name=name))
        except Exception as error:  # a foreign model may raise anything, and the reader must see it
            reason = f"{type(error).__name__}: {error}"
            raise DataError(f"Clip {view.name!r}: the model {name!r} failed. {reason}") from error
    return replace(view, layers=tuple(layers))


def load_by_name(name_or_path: str | Path) -> Any:
    """Networks by name or path, for `outline`: `ventricle`, `valve`, or a single network.

    `ventricle` are those of `load_networks`, `valve` or a folder of `mitral train` those of
    `load_finder`, and other names those of `load_model`. Raises DataError where there is none.
    """
    from ..networks.models import load_model
    from ..valve.finder import is_finder, load_finder
    from ..ventricle.networks import load_networks

    if str(name_or_path) == VENTRICLE:
        return load_networks()
    return load_finder(name_or_path) if is_finder(name_or_path) else load_model(name_or_path)


def _outliner(name: str, model: Any) -> Outline:
    if isinstance(model, (str, Path)):
        model = load_by_name(model)
    if is_kind(model, "torch.nn", "Module"):
        _check_network(name, model)
        return lambda clip: _network_layer(model, clip)
    if callable(getattr(model, "outline", None)):
        role, structure = "model", ""
        if is_kind(model, "echolib.valve.finder", "ValveFinder"):
            role = structure = "leaflets"
        elif is_kind(model, "echolib.ventricle.networks", "Networks"):
            structure = "ventricle"
        return lambda clip: Layer("", model.outline(clip)[:], role=role, structure=structure)
    if callable(getattr(model, "masks", None)):
        return lambda clip: Layer("", model.masks(clip.frames))
    if callable(model):
        return lambda clip: Layer("", model(clip.frames))
    raise DataError(f"models[{name!r}]: expected {KINDS}; found {type(model).__name__}.")


def _check_network(name: str, model: Any) -> None:
    from ..networks.models import MODELS

    if not any(isinstance(model, kind) for kind in MODELS.values()):
        raise DataError(
            f"models[{name!r}]: expected one of {sorted(MODELS)}, found {type(model).__name__}. "
            "Give a function that takes frames (T, H, W) uint8 and returns masks (T, H, W) bool."
        )
    inputs = model.arguments["inputs"]
    if inputs != 1:
        raise DataError(
            f"models[{name!r}] sees {inputs} frames at a time, and a clip does not say which "
            "those are. Give `load_networks()`, which finds the beats first, or the result of "
            "`measure_clip`."
        )


def _network_layer(model: Any, clip: Clip) -> Layer:
    """Masks of a network, and its points where it finds landmarks."""
    from ..networks.inference import outline, outline_landmarks
    from ..networks.models import finds_landmarks

    if not finds_landmarks(model):
        structure = getattr(model, "card", {}).get("structure", "")
        return Layer("", outline(model, clip), structure=structure)
    points, shape = outline_landmarks(model, clip), clip.frames.shape[1:]
    masks = np.stack([polygon_to_mask(polygon, shape, rounded=False) for polygon in points])
    return Layer("", masks, points, structure="ventricle")
