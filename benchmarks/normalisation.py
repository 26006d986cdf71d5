"""How long the gradient of a batch normalisation takes with one thread and with several.

    python -m benchmarks.normalisation

Images (16, C, 56, 56) in the channels_last layout, as the first level of a folded U-Net has them.
Prints milliseconds (least of the rounds) of torch's own and of `echolib.networks.normalisation`,
by the number of channels. The machine must be quiet.
"""

import argparse
from time import perf_counter

import pandas as pd
import torch
from torch import nn

from echolib.cores import usable_cores
from echolib.networks.normalisation import BatchNorm

CHANNELS = (16, 24, 32, 40, 48)
SHAPE = (16, 56, 56)  # images, rows, columns
KINDS = {"torch": nn.BatchNorm2d, "echolib": BatchNorm}


def gradient_time(norm: nn.BatchNorm2d) -> float:
    """Seconds of one gradient."""
    count, *size = SHAPE
    images = torch.randn(count, norm.num_features, *size).to(memory_format=torch.channels_last)
    answer = norm(images.requires_grad_())
    gradient = torch.randn_like(answer)
    started = perf_counter()
    answer.backward(gradient)
    return perf_counter() - started


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30)
    rounds = parser.parse_args().rounds
    rows = []
    for threads in sorted({1, 2, usable_cores()}):
        torch.set_num_threads(threads)
        for channels in CHANNELS:
            row = {"threads": threads, "channels": channels}
            norms = {name: kind(channels) for name, kind in KINDS.items()}
            times = [
                {name: gradient_time(norm) for name, norm in norms.items()} for _ in range(rounds)
            ]
            rows.append(row | (1000 * pd.DataFrame(times).min()).round(2).to_dict())
    print(pd.DataFrame(rows).to_string(index=False))


if __name__ == "__main__":
    main()
