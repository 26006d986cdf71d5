"""Which file a network's name stands for: one of the package's, or one of the user's own."""

import os
import warnings
from pathlib import Path

from ..config import weights_folder
from ..errors import DataError, did_you_mean

WEIGHTS_FILE = "model.safetensors"  # in the folder of a training
LESSON_FILE = "learning.json"  # in that of one on corrections, also where its weights were rejected


def pretrained_names() -> list[str]:
    """Names of the networks that come with the package."""
    return sorted(file.stem for file in weights_folder().glob("*.safetensors"))


def find_weights(name_or_path: str | Path) -> Path:
    """Find the weights file for a pretrained network's name, a path, or a training's folder.

    A pretrained network's name means that network wherever it is asked for; where a file or a
    training of this name lies in the working directory, a warning says how to name that one.
    Raises DataError, with a list of the pretrained networks, if there is none.
    """
    path, names = Path(name_or_path), pretrained_names()
    own = [file for file in (path, path / WEIGHTS_FILE) if file.is_file()]
    if str(name_or_path) in names and (isinstance(name_or_path, str) or not own):
        warn_of_namesakes(str(name_or_path), *own)
        return weights_folder() / f"{name_or_path}.safetensors"
    if own:
        return own[0]
    if (path / LESSON_FILE).is_file():
        raise DataError(
            f"{path} holds no weights: those that learnt from corrections were rejected, as "
            f"{LESSON_FILE} says, since they may be worse. Use the weights that they started from."
        )
    raise DataError(
        f"No weights at {name_or_path}: expected a .safetensors file, a folder written by "
        f"`python -m echolib train`, or one of the pretrained models {names}."
        f"{did_you_mean(str(name_or_path), names)}"
    )


def warn_of_namesakes(name: str, *own: Path) -> None:
    """Warn where a pretrained network is used, but the user has one of these files, too."""
    for file in filter(Path.is_file, own):
        warnings.warn(
            f"{name} is the pretrained network of this name, and {file} is not used. For that one "
            f"write ./{name}.",
            stacklevel=3,
        )


def network_name(name_or_path: str | Path, file: Path) -> str:
    """The name of a network: that of its file or folder, without the ending.

    One that is named like a pretrained network, but is none, gets its folder's name too, as in
    "lv (study)". file: of its weights, as `find_weights` gives it.
    """
    path = Path(os.path.abspath(name_or_path))
    name = path.name.removesuffix(file.suffix)
    foreign = name in pretrained_names() and file.parent != weights_folder()
    return f"{name} ({path.parent.name})" if foreign else name
