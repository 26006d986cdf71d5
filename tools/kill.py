"""Kill each long command at random moments, run it again, and compare with an undisturbed run.

    python -m tools.kill --kills 20
    python -m tools.kill --only pack train --kills 3

A finding is a command that does not go on after SIGKILL, other results than those of an undisturbed
run (times aside), and anything hidden or temporary that is left behind. Two undisturbed runs come
first; files that differ between these two, such as checkpoints with times, are not compared.
"""

import argparse
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from echolib.corrections.folder import Folder
from echolib.corrections.from_masks import mask_document
from echolib.corrections.videos import origin
from echolib.data import open_data

from .fuzz_mutators import split_safetensors

PYTHON = (sys.executable, "-P", "-m", "echolib")
SECONDS = 600  # that an undisturbed command may take
GRACE = 5  # s in which the processes of a killed one must end
OLD = 120  # s: as if the user came back so much later; younger files may have a living writer
MOMENT = re.compile(rb"\d{4}-\d\d-\d\d( \d\d:\d\d)?")  # when a report was written
TIMES = ["seconds", "images_per_second"]  # columns that differ from run to run
INPUTS = (  # made once, in this order; {in} is their folder
    "phantom --out {in}/study --clips 44 --seed 5",
    "phantom --out {in}/mitral --mitral 0.01 --seed 5",
    "pack {in}/study --out {in}/packed --size 48",
    "train {in}/packed --out {in}/net --size 48 --width 6 --epochs 30",
)
COMMANDS = {  # {out} is the folder of a run
    "phantom": "phantom --out {out}/study --clips 4 --seed 3",
    "phantom frames": "phantom --out {out}/frames --frames 60 --seed 3",
    "phantom valves": "phantom --out {out}/valves --valves 24 --seed 3",
    "phantom mitral": "phantom --out {out}/mitral --mitral 0.01 --seed 3",
    "pack": "pack {in}/study --out {out}/packed --size 48",
    "train": "train {in}/packed --out {out}/net --size 48 --width 4 --epochs 8 --resume",
    "function": "function {in}/study --out {out}/function --weights {in}/net --split all --clips 4 "
    "--videos 1",
    "robustness": "robustness {in}/packed --out {out}/robustness --weights {in}/net --split all "
    "--frames 8 --severities 3 --corruptions speckle gain clutter",
    "calibrate": "calibrate {in}/study --out {out}/function.json --weights {in}/net --split all "
    "--force",
    "adapt": "adapt {in}/study --weights {in}/net --out {out}/adapted --split all --clips 12",
    "queue": "queue {in}/study --weights {in}/net --out {out}/queue.csv",
    "train corrections": "train {in}/corrected --start {in}/net --remember {in}/packed --epochs 2 "
    "--out {out}/net --resume",
    "mitral train": "mitral train {in}/mitral --out {out}/finder --epochs 0.1 --folds 2",
    "mitral segment": "mitral segment {in}/mitral/test.pkl --out {out}/masks --force",
}


def make_corrections(study: Path, folder: Path, clips: int = 6) -> None:
    """Write a folder of corrections whose annotator draws what the study's experts drew."""
    data, corrections = open_data(study), Folder(folder)
    for name in data.table.index[data.table.split == "train"][:clips]:
        clip = data.clip(name)
        masks = {frame.frame: frame.mask for frame in data.labelled(name, clip)[0]}
        corrections.keep(mask_document(clip, masks), **origin(data, name))


class Commands:
    """Runs commands in a temporary folder, with inputs that are made once."""

    def __init__(self, root: Path) -> None:
        self.root, self.inputs = root, root / "in"
        self.inputs.mkdir()

    def start(self, line: str, out: Path) -> subprocess.Popen:
        """Start a command in a process group of its own; its messages go to out/../log."""
        data = out.parent / "data"
        settings = {"ECHOLIB_DATA": str(data), "ECHOLIB_DEVICE": "cpu", "OMP_NUM_THREADS": "1"}
        settings["PYTHONPATH"] = os.pathsep.join(path or os.getcwd() for path in sys.path)
        out.mkdir(parents=True, exist_ok=True)
        words = [word.format_map({"in": self.inputs, "out": out}) for word in line.split()]
        with (out.parent / "log").open("wb") as log:
            return subprocess.Popen(
                [*PYTHON, *words], env=os.environ | settings, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def finish(self, line: str, out: Path) -> str:
        """Run a command to its end; returns its last message if it failed."""
        process = self.start(line, out)
        try:
            code = process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            end_group(process)
            return f"not finished after {SECONDS} s"
        lines = (out.parent / "log").read_text(errors="replace").strip().splitlines()
        return "" if code == 0 else f"exit code {code}: {lines[-1] if lines else ''}"

    def kill(self, line: str, out: Path, moment: float) -> tuple[bool, int]:
        """Kill a command after some seconds.

        Returns whether it was still running then, and how many processes outlived it.
        """
        process = self.start(line, out)
        with suppress(subprocess.TimeoutExpired):
            process.wait(moment)
            return False, 0
        process.kill()  # this process alone, as a system short of memory does
        process.wait()
        end = time.monotonic() + GRACE
        while left := group_members(process.pid):
            if time.monotonic() > end:
                break
            time.sleep(0.05)
        end_group(process)
        return True, len(left)


def group_members(group: int) -> list[int]:
    """Ids of the living processes of a group."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError):
            state, _, of_group = path.read_text().rpartition(")")[2].split()[:3]
            if int(of_group) == group and state != "Z":
                found.append(int(path.parent.name))
    return found


def end_group(process: subprocess.Popen) -> None:
    """End a process and those that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


# --- Results --------------------------------------------------------------------------------------


def content(path: Path) -> object:
    """What a file holds, without times and without the order of keys."""
    data = path.read_bytes()
    if path.suffix == ".csv":
        table = pd.read_csv(io.BytesIO(data), dtype=str, keep_default_na=False)
        return table.drop(columns=[name for name in TIMES if name in table]).to_csv()
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as arrays:
            return {name: (arrays[name].shape, arrays[name].tobytes()) for name in arrays.files}
    if path.suffix == ".safetensors":
        header, tensors = split_safetensors(data)
        return {
            name: (facts["dtype"], facts["shape"], tensors[slice(*facts["data_offsets"])])
            for name, facts in header.items()
            if name != "__metadata__"
        } | header.get("__metadata__", {})
    return MOMENT.sub(b"", data) if path.suffix == ".html" else data


def files_below(folder: Path) -> dict[str, Path]:
    """All files below a folder that are not hidden, by their path in it."""
    names = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    return {n: path for n, path in sorted(names.items()) if path.is_file() and "/." not in f"/{n}"}


def differences(folder: Path, other: Path) -> list[str]:
    """Names of the files that only one of two folders has, or that differ."""
    first, second = files_below(folder), files_below(other)
    names = sorted(first.keys() & second.keys())
    differ = [name for name in names if content(first[name]) != content(second[name])]
    return sorted(first.keys() ^ second.keys()) + differ


def leftovers(folder: Path) -> list[str]:
    """Hidden and temporary files and folders, which nothing finished is called by."""
    paths = folder.rglob("*") if folder.is_dir() else []
    return sorted(p.name for p in paths if p.name.startswith(".") or p.suffix == ".partial")


def grow_old(folder: Path) -> None:
    """Set the times of all hidden files and folders back by some minutes."""
    moment = time.time() - OLD
    for path in [*folder.rglob(".*"), *folder.rglob(".*/**/*")]:
        os.utime(path, (moment, moment))


# --- A run ----------------------------------------------------------------------------------------


def check(commands: Commands, name: str, kills: int, seed: int) -> Iterator[str]:
    """Kill one command again and again; yields one word or sentence per kill, or the fault."""
    line, durations = COMMANDS[name], []
    whole, again = (commands.root / word / "out" for word in ("whole", "again"))
    for out in (whole, again):
        started = time.monotonic()
        if fault := commands.finish(line, out):
            raise SystemExit(f"{name} fails undisturbed: {fault}")
        durations.append(time.monotonic() - started)
    unstable = differences(whole, again)
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    for _ in range(kills):
        run = commands.root / "run"
        alive, orphans = commands.kill(line, run / "out", min(durations) * rng.uniform(0.05, 1))
        grow_old(run)
        fault = commands.finish(line, run / "out") if alive else ""
        yield " ".join(_verdict(run, whole, unstable, alive, orphans, fault).split())
        shutil.rmtree(run)
    shutil.rmtree(whole.parent)
    shutil.rmtree(again.parent)


def _verdict(
    run: Path, whole: Path, unstable: list[str], alive: bool, orphans: int, fault: str
) -> str:
    """What one kill showed."""
    if not alive:
        return "too late"
    if fault:
        return f"does not go on: {fault}"
    if differ := [name for name in differences(run / "out", whole) if name not in unstable]:
        return f"other results: {differ[:3]}"
    if left := leftovers(run):
        return f"left behind: {[re.sub(r'[0-9]+', '#', name) for name in left[:3]]}"
    return f"{orphans} processes outlived it" if orphans else "equal"


def main(arguments: list[str] | None = None) -> int:
    """Read the command line, kill, print a table; returns 1 where there are findings."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=20, help="of each command (default 20)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=list(COMMANDS), default=list(COMMANDS))
    options = parser.parse_args(arguments)
    findings = 0
    with tempfile.TemporaryDirectory(prefix="echolib-kill-") as folder:
        commands = Commands(Path(folder))
        for line in tqdm(INPUTS, "inputs", disable=None):
            if fault := commands.finish(line, Path(folder) / "setup" / "out"):
                raise SystemExit(f"{line}: {fault}")
        make_corrections(commands.inputs / "study", commands.inputs / "corrected")
        print(f"{'command':18}{'kills':>7}{'equal':>7}{'too late':>10}{'findings':>10}", flush=True)
        for name in options.only:
            verdicts = Counter(check(commands, name, options.kills, options.seed))
            equal, late = verdicts.pop("equal", 0), verdicts.pop("too late", 0)
            findings += sum(verdicts.values())
            counts = [options.kills, equal, late, sum(verdicts.values())]
            print("{:18}{:7}{:7}{:10}{:10}".format(name, *counts), flush=True)
            for verdict, count in verdicts.most_common():
                print(f"{count:5} x {verdict}".replace(folder, ""), flush=True)
    return int(findings > 0)


if __name__ == "__main__":
    sys.exit(main())
