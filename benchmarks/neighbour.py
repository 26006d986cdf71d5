"""What a busy neighbour costs, with and without the watch of the threads.

    python -m benchmarks.neighbour

Trains a network on phantom frames, and outlines frames with the shipped `lv`: first alone, then
beside a process that keeps one of the cores busy, without and with `networks.threads.ThreadWatch`,
which notices this and tries fewer threads. Each begins with all threads. Prints images a second
over the whole time and over its second half, when the watch has had the time to decide, and the
ratio of the latter to that alone. The machine must be quiet, and `OMP_NUM_THREADS` not set.
"""

import argparse
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import torch

from echolib.config import device
from echolib.cores import usable_cores
from echolib.networks import threads
from echolib.networks.inference import predict
from echolib.networks.models import load_model, new_model
from echolib.networks.plan import TrainingConfig
from echolib.networks.training import Training
from echolib.phantom.single_frames import draw_frame_set

FRAMES = 96  # phantom frames
BATCH = 64  # frames that are outlined at a time


def keep_busy(core: int | None) -> None:
    """Keep one core busy for ever."""
    if core is not None:
        os.sched_setaffinity(0, {core})
    while True:
        pass


@contextmanager
def neighbour(busy: bool) -> Iterator[None]:
    """A process beside this one, on the last of its cores where the system can bind it."""
    if not busy:
        yield
        return
    core = max(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    process = multiprocessing.get_context("spawn").Process(target=keep_busy, args=(core,))
    process.start()
    time.sleep(2)  # until it has begun
    try:
        yield
    finally:
        process.kill()
        process.join()


def training_steps(folder: Path) -> Callable[[], int]:
    """A function that does one step of a training, and returns its number of images."""
    frames = draw_frame_set(FRAMES, seed=3, workers=1, progress=False)
    parts = frames.split("train"), frames.split("val")
    model = new_model("masks", outputs=frames.outputs)
    job = Training(model, *parts, folder, TrainingConfig())

    def step() -> int:
        job.step()
        return job.config.batch

    return step


def outlining() -> Callable[[], int]:
    """A function that outlines a batch of frames with `lv`, and returns their number."""
    network = load_model("lv")
    images = draw_frame_set(BATCH, seed=4, workers=1, progress=False).images
    return lambda: len(predict(network, images, BATCH))


def speeds(work: Callable[[], int], seconds: float) -> tuple[float, float]:
    """Images a second of some work over a time, and over its second half."""
    done, started = [(0.0, 0)], time.perf_counter()
    while done[-1][0] < seconds:
        images = work()
        done.append((time.perf_counter() - started, images))
    late = [pair for pair in done if pair[0] > seconds / 2]
    before = max(when for when, _ in done if when <= seconds / 2)
    rate = sum(images for _, images in late) / (late[-1][0] - before)
    return sum(images for _, images in done) / done[-1][0], rate


def measure(
    work: Callable[[], int], seconds: float, cores: int, busy: bool, watched: bool
) -> tuple[float, float, int]:
    """The speeds of some work, and the number of threads at the end."""
    torch.set_num_threads(cores)
    watch = threads.ThreadWatch(cores if watched else 1)
    with neighbour(busy), mock.patch.object(threads, "thread_watch", lambda: watch):
        return *speeds(work, seconds), torch.get_num_threads()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="of each measurement")
    options = parser.parse_args()
    cores = min(usable_cores(), torch.get_num_threads())
    print(f"{cores} threads on {usable_cores()} cores; {device()}; load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        works = {"training": training_steps(Path(folder)), "outlining": outlining()}
        for name, work in works.items():
            work()  # warms up
            alone = 0.0
            for busy, watched in ((False, False), (True, False), (True, True)):
                whole, late, count = measure(work, options.seconds, cores, busy, watched)
                alone = alone or late
                where = "beside a neighbour" if busy else "alone"
                how = "with the watch" if watched else "without the watch"
                print(
                    f"{name} {where}, {how}: {whole:.1f} images a second, second half "
                    f"{late:.1f}, {late / alone:.2f} of alone; {count} threads at the end",
                    flush=True,
                )


if __name__ == "__main__":
    main()
