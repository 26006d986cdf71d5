"""What bfloat16 gains over float32 where frames are outlined, and what it changes.

    python -m benchmarks.precision --camus FOLDER

Outlines phantom frames, and on request CAMUS frames, with the shipped networks of single frames in
both precisions by turns. Prints the frames a second of each, their ratio, and the mean and the
least Dice between the masks of both. Networks run in bfloat16 where `config.bf16_pays`.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import numpy as np

from echolib.config import bf16_pays, device
from echolib.data import Camus, labelled_frames
from echolib.data.frames import to_square
from echolib.metrics import dice
from echolib.networks import inference, run
from echolib.networks.models import SIZE, Encoder, load_model
from echolib.phantom.single_frames import draw_frame_set

WEIGHTS = ("lv", "lv_landmarks", "lv_robust", "lv_landmarks_robust")
TURNS = 3  # of each precision; the fastest counts


def image_sets(frames: int, camus: Path | None) -> Iterator[tuple[str, np.ndarray]]:
    """Name and images (N, S, S) uint8 of each set."""
    yield "phantom", draw_frame_set(frames, seed=3, progress=False).images
    if camus is not None:
        data = labelled_frames(Camus(camus), "all")
        yield "CAMUS", np.stack([to_square(frame, SIZE).image for frame in data])


def timed_answers(network: Encoder, images: np.ndarray, bf16: bool) -> tuple[np.ndarray, float]:
    """Answers of a network in one precision, and the seconds that they took."""
    with mock.patch.object(run, "bf16_pays", lambda place: bf16):
        started = time.perf_counter()
        answers = inference.predict(network, images)
        return answers, time.perf_counter() - started


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=200, help="of the phantom")
    parser.add_argument("--camus", type=Path, help="folder of CAMUS, whose frames are added")
    options = parser.parse_args()
    chosen = "bfloat16" if bf16_pays(device()) else "float32"
    print(f"on {device()}, where echolib computes in {chosen}")
    for source, images in image_sets(options.frames, options.camus):
        for name in WEIGHTS:
            network, masks, seconds = load_model(name), {}, {False: np.inf, True: np.inf}
            for bf16 in (False, True) * TURNS:
                answers, taken = timed_answers(network, images, bf16)
                masks[bf16] = inference.square_masks(answers, network.size)
                seconds[bf16] = min(seconds[bf16], taken)
            plain, fast = (len(images) / seconds[bf16] for bf16 in (False, True))
            agreement = [dice(*pair) for pair in zip(masks[False], masks[True], strict=True)]
            print(
                f"{source}, {len(images)} frames, {name}: float32 {plain:.0f} frames a second, "
                f"bfloat16 {fast:.0f}, ratio {fast / plain:.2f}; Dice between both: mean "
                f"{np.mean(agreement):.5f}, least {min(agreement):.4f}"
            )


if __name__ == "__main__":
    main()
