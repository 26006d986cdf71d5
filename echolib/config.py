"""Settings: folders of data and figures, fast mode, device, precision, seeds.

Environment variables: `ECHOLIB_DATA` (folder of the data sets, by default `data/`),
`ECHOLIB_FIGURES` (folder of the notebooks' figures, by default `build/figures/`), `ECHOLIB_FAST=1`
(smaller data and fewer steps, the same code paths), `ECHOLIB_DEVICE` (for example `cpu` or
`cuda:1`), `ECHOLIB_PRECISION=fp32` (networks never compute in bfloat16, so that machines differ as
little as can be), and `ECHOLIB_MEMORY`, which `echolib.memory` reads. An empty one
counts as unset. Whoever sets `OMP_NUM_THREADS` decides how many threads compute, see
`echolib.networks.threads`.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

DEVICE = "ECHOLIB_DEVICE"
PRECISION = "ECHOLIB_PRECISION"
KINDS = ("cpu", "cuda")  # of devices


def project_root() -> Path:
    """Folder of the checkout; the current folder where the package was installed without one."""
    root = Path(__file__).resolve().parents[1]
    return root if (root / "pyproject.toml").is_file() else Path.cwd()


def data_folder() -> Path:
    """Folder for data sets, dropped or linked there, and for packed sets and phantoms."""
    return Path(os.environ.get("ECHOLIB_DATA") or project_root() / "data")


def figures_folder() -> Path:
    """Folder for the notebooks' figures: `build/figures`, which git does not track.

    They may show an own clip or licensed data. Only `make refresh`, which uses the phantom, and
    `tools.readme_pictures` write into the `figures/` that git tracks.
    """
    return Path(os.environ.get("ECHOLIB_FIGURES") or project_root() / "build" / "figures")


def weights_folder() -> Path:
    """Folder of the pretrained networks that come with the package."""
    return Path(__file__).parent / "weights"


def fast_mode() -> bool:
    """True when `ECHOLIB_FAST` is set to anything but 0: less data, fewer steps, same code."""
    return os.environ.get("ECHOLIB_FAST", "0") not in ("", "0")


def device() -> "torch.device":
    """The `torch.device` to compute on: `ECHOLIB_DEVICE`, else a GPU, else the CPU.

    Raises ValueError for a name that is neither that of a CPU nor that of a GPU of CUDA, and for a
    GPU that is not there.
    """
    import torch  # here, so that reading data needs no torch

    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    name = os.environ.get(DEVICE) or ("cuda" if gpus else "cpu")
    try:
        chosen = torch.device(name)
        if chosen.type not in KINDS or chosen.type == "cpu" and chosen.index:
            raise RuntimeError(f"echolib computes on {' and '.join(KINDS)} only")
    except RuntimeError as error:
        raise ValueError(
            f"The device {name!r} is unknown: expected cpu, cuda, or a GPU by its number such as "
            "cuda:1 (--device, ECHOLIB_DEVICE)."
        ) from error
    if chosen.type == "cuda" and (chosen.index or 0) >= gpus:
        raise ValueError(
            f"The device {name} is not there: torch finds {gpus} GPUs here. Choose cpu or another "
            "one (--device, ECHOLIB_DEVICE)."
        )
    return chosen


@contextmanager
def computing_on(name: str | None) -> Iterator[None]:
    """Compute on a device in the block, as if `ECHOLIB_DEVICE` named it; None changes nothing."""
    before = os.environ.get(DEVICE)
    if name:
        os.environ[DEVICE] = name
    try:
        yield
    finally:
        if name and before is None:
            del os.environ[DEVICE]
        elif name and before is not None:
            os.environ[DEVICE] = before


def bf16_pays(device: "torch.device") -> bool:
    """Whether a network runs faster in bfloat16 than in float32 on a device.

    A GPU does, and a processor with instructions for bfloat16 (AVX512_BF16, which every processor
    with AMX has too). On other processors bfloat16 is several times slower. The answer comes from
    the processor's flags, so that one machine always computes in one precision. The answer is no
    where `ECHOLIB_PRECISION` is `fp32`. Raises ValueError for another value of it.
    """
    import torch

    if precision := os.environ.get(PRECISION):
        if precision != "fp32":
            raise ValueError(
                f"{PRECISION}: expected fp32, or nothing for the precision that is the fastest, "
                f"found {precision!r}."
            )
        return False
    if device.type != "cpu":
        return device.type == "cuda"
    if not hasattr(torch.cpu, "get_capabilities"):  # older torch has none
        return False
    return bool(torch.cpu.get_capabilities().get("avx512_bf16", False))


def seed_everything(seed: int) -> np.random.Generator:
    """Seed numpy's and torch's global generators and return a numpy generator of its own."""
    import torch

    np.random.seed(seed)
    torch.manual_seed(seed)
    return np.random.default_rng(seed)
