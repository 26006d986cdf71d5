"""How many frames a second `function` and `segment` take of a whole study, and which step takes it.

    python -m benchmarks.study

Both commands run as a user starts them, in a process of their own, start-up and report included, on
clips of `--study`: on a third of these clips, and on all. "Further clips" is the difference, which
start-up and report have no part in. Then `function` measures a few clips once more, in this process
and with one thread, and each step is timed. Hours are those for EchoNet-Dynamic's 10,030 clips of
175 frames at the same speed; those of a step are of one core. By default the clips are phantoms of
175 frames, because a short clip takes more for a frame: its orientation, ED and ES take as long as
those of a long one.

Writes benchmarks/study.csv, beside the rows of other machines. The machine must be quiet.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest import mock

import pandas as pd
import torch

from echolib.config import data_folder, project_root
from echolib.data import EchoNet
from echolib.data.reading import clips_of
from echolib.phantom.common import VERSION
from echolib.phantom.studies import write_lv_study
from echolib.ventricle import clip, study
from echolib.ventricle import networks as team
from echolib.ventricle.networks import Networks, load_networks
from echolib.ventricle.study import measure_study

from .peers import machine, store

TABLE = project_root() / "benchmarks" / "study.csv"
ECHONET_LENGTH = 175  # frames of a clip, on average
ECHONET_FRAMES = 10_030 * ECHONET_LENGTH
WHOLE, FURTHER, OTHER = "whole command", "further clips", "other"
STEPS: dict[str, tuple[tuple[object, str], ...]] = {  # functions; one within another counts as it
    "decoding": ((EchoNet, "labelled"), (EchoNet, "clip")),
    "orientation": ((clip, "find_orientation"),),
    "networks on all frames": ((team, "cavity_probabilities"),),
    "masks from probabilities": ((team, "source_mask"),),
    "tracings, curve and beats": ((team, "heart_function"),),
    "networks and views at ED and ES": ((clip, "disagreement"),),
    "writing": ((study, "write_npz"), (study.Parts, "save"), (study, "write_table")),
}


class Steps:
    """Seconds of each step, by functions that are replaced by timed ones."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._inside = False

    def timed(self, step: str, function: Callable) -> Callable:
        """A function that does the same and adds its time to a step, unless another one runs."""

        def measure(*arguments, **named):
            if self._inside:
                return function(*arguments, **named)
            self._inside, started = True, time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                self._inside = False
                self.seconds[step] += time.perf_counter() - started

        return measure

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Time the functions of `STEPS` in the block."""
        with ExitStack() as stack:
            for step, functions in STEPS.items():
                for owner, name in functions:
                    timed = self.timed(step, getattr(owner, name))
                    stack.enter_context(mock.patch.object(owner, name, timed))
            yield


def step_seconds(data: EchoNet, networks: Networks, clips: int) -> tuple[int, dict[str, float]]:
    """Frames of some clips, and seconds of each step of measuring them, with one thread."""
    threads, steps = torch.get_num_threads(), Steps()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as out:
        measure_study(data, networks, Path(out, "first"), "all", 1, progress=False)  # warms up
        with steps.watching():
            started = time.perf_counter()
            tables = measure_study(data, networks, Path(out, "all"), "all", clips, progress=False)
            whole = time.perf_counter() - started
    torch.set_num_threads(threads)
    frames = int(data.table.frames[tables["clips"].name].sum())
    return frames, {**steps.seconds, OTHER: whole - sum(steps.seconds.values())}


def command_seconds(command: str, data: EchoNet, names: list[str]) -> float:
    """Seconds of a command for some clips of a study, from its start to its end."""
    with tempfile.TemporaryDirectory() as place:
        if command == "function":
            source = [str(data.folder), "--split", "all", "--clips", str(len(names))]
        else:
            source = [f"{place}/clips"]
            Path(source[0]).mkdir()
            for path in data.table.path[names]:
                Path(source[0], path.name).symlink_to(path.resolve())
        line = [sys.executable, "-m", "echolib", command, *source, "--out", f"{place}/out"]
        started = time.perf_counter()
        subprocess.run([*line, "--quiet"], check=True, stderr=subprocess.DEVNULL)
        return time.perf_counter() - started


def rows(data: EchoNet, clips: int, detailed: int) -> Iterator[dict]:
    """Command, step, clips, frames and seconds of each measurement."""
    sets = [list(clips_of(data, "all", count)) for count in (clips // 3, clips)]
    fewer, frames = (int(data.table.frames[names].sum()) for names in sets)
    for command in ("function", "segment"):
        less, seconds = (command_seconds(command, data, names) for names in sets)
        front = {"command": command}
        yield front | {"step": WHOLE, "frames": frames, "seconds": seconds}
        yield front | {"step": FURTHER, "frames": frames - fewer, "seconds": seconds - less}
    frames, steps = step_seconds(data, load_networks(), detailed)
    for step, seconds in steps.items():
        yield {"command": "function", "step": step, "frames": frames, "seconds": seconds}


def scaled(measured: pd.DataFrame) -> pd.DataFrame:
    """The rows with the machine, frames a second, and hours for EchoNet-Dynamic."""
    speed = measured.frames / measured.seconds
    hours = ECHONET_FRAMES / speed / 3600
    return measured.assign(frames_a_second=speed, echonet_hours=hours).round(2)


def long_phantoms(clips: int) -> Path:
    """A phantom study whose clips are as long as those of EchoNet-Dynamic, drawn once."""
    folder = data_folder() / "phantom" / f"echonet-dynamic-{clips}x{ECHONET_LENGTH}-v{VERSION}"
    return write_lv_study(folder, clips, frames=(ECHONET_LENGTH, ECHONET_LENGTH))


def main() -> None:
    """Measure, write and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=60, help="of each command (default 60)")
    parser.add_argument("--detailed", type=int, default=6, help="clips of the steps (default 6)")
    parser.add_argument("--study", type=Path, help="folder in EchoNet-Dynamic's layout")
    parser.add_argument("--out", type=Path, default=TABLE, help="table to write")
    options = parser.parse_args()
    where = machine()
    data = EchoNet(options.study or long_phantoms(options.clips))
    print(f"{where}; load before: {os.getloadavg()[0]:.1f}", flush=True)
    table = scaled(pd.DataFrame(rows(data, options.clips, options.detailed)))
    print(table.to_string(index=False))
    table.insert(0, "data", data.folder.resolve().name)
    table.insert(0, "machine", where)
    store(table, options.out, ["machine"])


if __name__ == "__main__":
    main()
