"""Runs a network on images: on which device, in which precision, batch by batch."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from ..config import bf16_pays, device
from .models import Encoder
from .threads import watched

# images at a time: on a CPU what its caches hold, while with 64 an H100 waits for Python
BATCH, GPU_BATCH = 16, 256


def batch_size() -> int:
    """Number of images that a network is asked about at a time, on `config.device()`."""
    return GPU_BATCH if device().type == "cuda" else BATCH


def raw_answers(
    network: Encoder,
    images: np.ndarray,
    batch: int | None = None,
    ask: Callable[[Tensor], Tensor] | None = None,
) -> Iterator[np.ndarray]:
    """Yield a network's raw answers batch by batch, float32.

    images: (N, S, S) uint8, or (N, inputs, S, S) for a network of several inputs. batch: images at
    a time, by default `batch_size()`. ask: the network's function that answers, by default its
    forward pass. Runs on `config.device()`, in bfloat16 if `config.bf16_pays`. Raises ValueError
    for another number of inputs.
    """
    place = device()
    batch = batch or batch_size()
    network = network.to(place).to(memory_format=torch.channels_last).eval()
    images = images if images.ndim == 4 else images[:, None]
    inputs = network.arguments.get("inputs", 1)
    if images.shape[1] != inputs:
        raise ValueError(
            f"The network sees {inputs} frames at a time, but these images hold {images.shape[1]}. "
            "One that sees the beat outlines clips together with a network of single frames: "
            "`segment` and `function` take both, as in `--weights lv lv_cycle`."
        )
    half = torch.autocast(place.type, torch.bfloat16, enabled=bf16_pays(place))
    for start in range(0, max(1, len(images)), batch):  # no images: an empty answer
        chunk = torch.from_numpy(np.array(images[start : start + batch])).to(place).float() / 255
        kind = (type(network).__name__, str(network.arguments), chunk.shape)
        with torch.inference_mode(), half, watched(place, len(chunk), kind):
            answer = (ask or network)(chunk.contiguous(memory_format=torch.channels_last))
        yield answer.float().cpu().numpy()
