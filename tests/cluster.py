"""A real Dask cluster of processes on this machine, and tasks for its workers."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from echolib.parts import Parts

ROOT = Path(__file__).resolve().parents[1]
NAMED = "Scheduler at:"  # in the scheduler's log, before its address


class Cluster:
    """A scheduler with workers, each a process. All end with the block."""

    def __init__(self, workers: int = 0, port: int = 0) -> None:
        self._processes: list[subprocess.Popen] = []
        self._folder = tempfile.TemporaryDirectory(prefix="echolib-cluster-")
        line = f"scheduler --host 127.0.0.1 --port {port} --no-dashboard --no-jupyter"
        # A file: a scheduler would wait for ever to write into a pipe that nobody empties
        log = Path(self._folder.name) / "scheduler.log"
        with log.open("w") as errors:
            self.scheduler = self._start(line, stderr=errors)
        while not (named := re.search(rf"{NAMED}\s+(\S+)\n", log.read_text(encoding="utf-8"))):
            assert self.scheduler.poll() is None, log.read_text(encoding="utf-8")
            time.sleep(0.02)
        self.address = named[1]
        for _ in range(workers):
            self.add_worker()

    def add_worker(self, path: Path = ROOT) -> None:
        """Start a worker, without waiting for it. path: where it finds the package."""
        line = f"worker {self.address} --nthreads 1 --no-nanny --no-dashboard"
        line = f"{line} --local-directory {self._folder.name}"
        self._start(line, path, stderr=subprocess.DEVNULL)

    def _start(self, line: str, path: Path = ROOT, **output: Any) -> subprocess.Popen:
        paths = {"PYTHONPATH": str(path), "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *line.split()], cwd=self._folder.name,
            env=os.environ | paths, stdout=subprocess.DEVNULL, **output,
        )  # fmt: skip
        self._processes.append(process)
        return process

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()
        self._folder.cleanup()


# --- Tasks ----------------------------------------------------------------------------------------


def double(number: int) -> int:
    """Twice the number."""
    return 2 * number


def kept_once(number: int, parts: Parts, dying: int = -1, killed: int = 0) -> int:
    """Twice the number, as a part of a run; each time that it is kept, its file gets a line.

    dying: the number at which a process is killed the first time. killed: that process; 0: this.
    """
    name = f"{number:03}"
    if (made := parts.load(name, [name])) is not None:
        return made
    if number == dying and not (died := parts.folder / "died").exists():
        died.touch()
        os.kill(killed or os.getpid(), signal.SIGKILL)
        if killed:
            signal.pause()  # nothing more is done for a scheduler that is gone
    made = parts.save(name, [name], 2 * number)
    with (parts.folder / f"{name}.log").open("a") as file:
        file.write("kept\n")
    return made
