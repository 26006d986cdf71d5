"""Read thousands of damaged files of all formats, and list what is neither read nor refused.

    python -m tools.fuzz --files 10000
    python -m tools.fuzz --only echonet weights --files 500
    python -m tools.fuzz --replay build/fuzz/echonet-12

File i of a format depends on the seed, the format and i only; file 0 is whole and must be read. A
finding is an error that is no DataError, ValueError or OSError or does not name the file, a wrong
result, the death of the process, too much time or memory, and anything called or written outside.
"""

import argparse
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from tqdm import tqdm

from .fuzz_formats import mutate
from .fuzz_mutators import choose
from .fuzz_seeds import SEEDS, Seed, make_seed

SECONDS = 20.0  # of computing that the reading of one small file may take
PATIENCE = 5  # times as many seconds may pass, because the machine may be busy
FILES = 10_000
RECYCLED = 700  # MB taken by one file, after which the process is not used again
# formats whose ends are spliced to the beginnings of others
PARTNERS = ("mjpg.avi", "h264.mp4", "anim.gif", "grey.dcm", "jpeg.dcm", "echonet", "train.pkl")
KEPT = 3  # findings of one group whose files are kept
OUT = Path("build/fuzz")
COMMAND = (sys.executable, "-P", "-m", "tools.fuzz_worker")  # -P: this process's path alone counts
CASE_FILE = "fuzz-case.json"
FRAME = re.compile(r'File "[^"]*/echolib/([^"]+)", line \d+ in (\S+)')


@dataclass(frozen=True)
class Case:
    """One damaged file among the files of its seed."""

    format: str
    number: int
    seed: Seed
    target: str
    content: bytes

    def write(self, folder: Path) -> None:
        """Write all files into a folder."""
        for name, content in self.seed.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.content if name == self.target else content)


@dataclass
class Tally:
    """Counts of a format, and its findings as (kind, place, text, case)."""

    files: int = 0
    states: Counter = field(default_factory=Counter)
    findings: list[tuple[str, str, str, Case]] = field(default_factory=list)


def make_case(name: str, source: Seed, number: int, seed: int) -> Case:
    """File `number` of a format, made from its seed `source`; number 0 is the seed itself."""
    if number == 0:
        return Case(name, number, source, source.targets[0], source.files[source.targets[0]])
    rng = np.random.default_rng([seed, zlib.crc32(name.encode()), number])
    target = choose(rng, source.targets)
    other = make_seed(choose(rng, PARTNERS)) or source
    content = mutate(rng, target, source.files[target], other.files[other.targets[0]])
    return Case(name, number, source, target, content)


# --- Processes that read --------------------------------------------------------------------------


class Reader:
    """A process that reads damaged files, started anew when one of them kills it."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self.seconds = seconds
        self.root = Path(tempfile.mkdtemp(prefix="echolib-fuzz-"))
        for name in ("tmp", "work", "data", "cache"):
            (self.root / name).mkdir()
        self.log = self.root / "log"
        self.process: subprocess.Popen | None = None

    def _start(self) -> subprocess.Popen:
        settings = {
            "TMPDIR": "tmp", "HOME": "work", "ECHOLIB_DATA": "data",
            "TORCHINDUCTOR_CACHE_DIR": "cache",
        }  # fmt: skip
        settings = {name: str(self.root / folder) for name, folder in settings.items()}
        settings |= {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        settings |= {"ECHOLIB_DEVICE": "cpu", "CUDA_VISIBLE_DEVICES": ""}
        settings["PYTHONPATH"] = os.pathsep.join(path or os.getcwd() for path in sys.path)
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [*COMMAND, str(self.root)], env=os.environ | settings, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip

    def read(self, case: Case) -> dict[str, Any]:
        """Let the process read a case, and return its answer, or how it died."""
        folder = self.root / "case"
        case.write(folder)
        self.log.write_bytes(b"")
        if self.process is None or self.process.poll() is not None:
            self.process = self._start()
            self._ask({"reader": "", "folder": "", "target": ""}, 10 * self.seconds)
        question = {"reader": case.seed.reader, "folder": str(folder), "target": case.target}
        answer = self._ask(question, self.seconds)
        answer["text"] = answer.get("text", "").replace(f"{folder}/", "")
        if answer.get("mb", 0) > RECYCLED:
            self._stop()
        shutil.rmtree(folder)
        whole = case.number == 0 and answer["state"] == "refused"
        return answer | {"state": "finding", "kind": "refused although whole"} if whole else answer

    def _ask(self, question: dict[str, str], seconds: float) -> dict[str, Any]:
        """One line to the process and one line back; the cause where none comes."""
        process = self.process
        if process is None or process.stdin is None or process.stdout is None:
            raise ValueError("the process that reads has not been started")
        try:
            process.stdin.write(json.dumps(question) + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            pass
        ready = self._answers(process, seconds)
        line = process.stdout.readline() if ready else ""
        if line:
            return json.loads(line)
        kind = "died" if ready else f"over {seconds:g} s"
        if not ready:
            process.send_signal(signal.SIGABRT)  # so that it writes where it is
        code = self._stop()
        log = self.log.read_text(errors="replace")
        frame = FRAME.search(log)
        if ready:
            kind = f"died of {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
        place = ":".join(frame.groups()) if frame else "outside echolib"
        return {"state": "finding", "kind": kind, "place": place, "text": log[:300], "trace": log}

    def _answers(self, process: subprocess.Popen, seconds: float) -> bool:
        """Wait for an answer or an end; False after so many seconds of computing, or of nothing."""
        pipe: Any = process.stdout
        begun, watched = time.monotonic(), psutil.Process(process.pid)
        before = computed = sum(watched.cpu_times()[:2])
        while computed - before < seconds and time.monotonic() - begun < PATIENCE * seconds:
            if select.select([pipe], [], [], seconds / 10)[0]:
                return True
            with suppress(psutil.NoSuchProcess):
                computed = sum(watched.cpu_times()[:2])
        return False

    def _stop(self) -> int:
        """End the process; returns its exit code."""
        process, self.process = self.process, None
        if process is None:
            return 0
        if process.stdin:
            process.stdin.close()
        try:
            return process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def close(self) -> None:
        """End the process and remove its folder."""
        self._stop()
        shutil.rmtree(self.root, ignore_errors=True)


# --- A run ----------------------------------------------------------------------------------------


def run(
    formats: Iterable[str], files: int, seed: int = 0, workers: int = 2, seconds: float = SECONDS,
    progress: bool = True,
) -> dict[str, Tally]:  # fmt: skip
    """Read damaged files of the formats in turn, `files` in all; returns a tally per format."""
    hidden = None if progress else True  # None: where nobody watches
    made = {name: make_seed(name) for name in tqdm(formats, "seeds", disable=hidden)}
    seeds = {name: source for name, source in made.items() if source is not None}
    tallies = {name: Tally() for name in seeds}
    readers: list[Reader] = []
    own = threading.local()

    def start() -> None:
        own.reader = Reader(seconds)
        readers.append(own.reader)

    def read(index: int) -> tuple[Case, dict[str, Any]]:
        name = list(seeds)[index % len(seeds)]
        case = make_case(name, seeds[name], index // len(seeds), seed)
        return case, own.reader.read(case)

    try:
        with ThreadPoolExecutor(workers, initializer=start) as pool:
            results = pool.map(read, range(files))
            for case, answer in tqdm(results, "files", files, disable=hidden):
                tally = tallies[case.format]
                tally.files += 1
                tally.states[answer["state"]] += 1
                if answer["state"] == "finding":
                    found = answer["kind"], answer["place"], answer.get("text", "")
                    tally.findings.append((*found, case))
                    _keep(tally, case, answer | {"rng": seed})
    finally:
        for reader in readers:
            reader.close()
    return tallies


def _keep(tally: Tally, case: Case, answer: dict[str, Any]) -> None:
    """Store the files of a case for a replay, unless some of its group are there."""
    group = answer["kind"], answer["place"]
    if sum(found[:2] == group for found in tally.findings) > KEPT:
        return
    folder = OUT / f"{case.format.replace(' ', '-')}-{case.number}"
    shutil.rmtree(folder, ignore_errors=True)
    case.write(folder)
    facts = {"format": case.format, "number": case.number, "target": case.target}
    facts |= {"reader": case.seed.reader} | answer
    (folder / CASE_FILE).write_text(json.dumps(facts, indent=1) + "\n")


def replay(folder: Path, seconds: float = SECONDS) -> dict[str, Any]:
    """Read the files of a stored finding again; returns the answer."""
    folder = folder.parent if folder.is_file() else folder
    facts = json.loads((folder / CASE_FILE).read_text())
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != CASE_FILE]
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
    target, reader = facts["target"], Reader(seconds)
    seed = Seed(facts["reader"], files, (target,))
    try:
        return reader.read(Case(facts["format"], facts["number"], seed, target, files[target]))
    finally:
        reader.close()


def report(tallies: dict[str, Tally]) -> Iterator[str]:
    """Yield the lines of the table, and one line per group of findings, with an example."""
    yield f"{'format':18}{'files':>7}{'fine':>7}{'refused':>9}{'findings':>10}"
    total: Counter = Counter()
    for name, tally in tallies.items():
        total += tally.states
        counts = [tally.states[state] for state in ("fine", "refused", "finding")]
        yield "{:18}{:7}{:7}{:9}{:10}".format(name, tally.files, *counts)
    counts = [total[state] for state in ("fine", "refused", "finding")]
    yield "{:18}{:7}{:7}{:9}{:10}".format("all", sum(counts), *counts)
    for name, tally in tallies.items():
        groups = Counter(found[:2] for found in tally.findings)
        for (kind, place), count in groups.most_common():
            *_, text, case = next(f for f in tally.findings if f[:2] == (kind, place))
            text = " ".join(text.split())[:150]
            yield f"{count:5} x {name}-{case.number}: {kind}, {place}: {text}"


def main(arguments: list[str] | None = None) -> int:
    """Read the command line, run, print the report; returns 1 where there are findings."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--files", type=int, default=FILES, help=f"default {FILES}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="limit for one file")
    parser.add_argument("--only", nargs="+", choices=list(SEEDS), default=list(SEEDS))
    parser.add_argument("--replay", type=Path, metavar="FOLDER", help="of a finding")
    options = parser.parse_args(arguments)
    if options.replay:
        answer = replay(options.replay, options.seconds)
        print("\n".join(f"{name}: {value}" for name, value in answer.items()))
        return int(answer["state"] == "finding")
    os.environ.setdefault("SVT_LOG", "0")  # an encoder that talks
    tallies = run(options.only, options.files, options.seed, options.workers, options.seconds)
    print("\n".join(report(tallies)))
    return int(any(tally.findings for tally in tallies.values()))


if __name__ == "__main__":
    sys.exit(main())
