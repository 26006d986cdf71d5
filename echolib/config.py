"""Where data, packs and figures live, how fast to run, on which device, from which seed.

Environment variables: `ECHOLIB_DATA` (folder of the data sets), `ECHOLIB_FIGURES` (folder of the
figures), `ECHOLIB_FAST=1` (smaller data and fewer steps, the same code paths), `ECHOLIB_DEVICE`
(for example `cpu` or `cuda:1`).
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def project_root() -> Path:
    """The checkout's folder; where the package was installed without one, the current folder."""
    root = Path(__file__).resolve().parents[1]
    return root if (root / "pyproject.toml").is_file() else Path.cwd()


def data_folder() -> Path:
    """Folder in which data sets are dropped or linked, and packs and phantoms are written."""
    return Path(os.environ.get("ECHOLIB_DATA", project_root() / "data"))


def figures_folder() -> Path:
    """Folder in which the notebooks' figures land."""
    return Path(os.environ.get("ECHOLIB_FIGURES", project_root() / "figures"))


def weights_folder() -> Path:
    """Folder of the pretrained networks that come with the package."""
    return Path(__file__).parent / "weights"


def fast_mode() -> bool:
    """True when `ECHOLIB_FAST` is set to anything but 0: less data, fewer steps, same code."""
    return os.environ.get("ECHOLIB_FAST", "0") not in ("", "0")


def device() -> "torch.device":
    """The `torch.device` to compute on: `ECHOLIB_DEVICE`, else a GPU, else the CPU."""
    import torch  # here, so that reading data needs no torch

    default = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(os.environ.get("ECHOLIB_DEVICE", default))


def seed_everything(seed: int) -> np.random.Generator:
    """Seed numpy's and torch's global generators and return a numpy generator of its own."""
    import torch

    np.random.seed(seed)
    torch.manual_seed(seed)
    return np.random.default_rng(seed)
