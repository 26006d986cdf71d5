"""The process that reads the damaged files of `tools.fuzz`, which outlives what kills it.

It gets a line of JSON per case (reader, folder, target) and answers with one: state ("fine",
"refused" or "finding"), and of a finding its kind, place and text.
"""

import contextlib
import faulthandler
import importlib
import json
import os
import resource
import shutil
import sys
import traceback
import warnings
from pathlib import Path
from types import TracebackType
from typing import Any

MEMORY = 1536 * 2**20  # bytes that the reading of one small file may take
HARD_LIMIT = 8 * 2**30  # bytes, so that a fault does not take the machine with it
LIBRARIES = ("numpy", "pandas", "cv2", "PIL.Image", "pydicom", "nibabel", "echolib.data")
NETWORKS = ("torch", "echolib.ventricle.study", "echolib.robustness.comparison")
HEAVY = {"weights", "finder", "training", "function", "robustness"}  # readers that need torch
EXECUTES = {
    "os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "socket.connect",
    "socket.getaddrinfo", "pickle.find_class", "ctypes.dlopen",
}  # fmt: skip
WRITES = {
    "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate",
    "shutil.rmtree",
}  # fmt: skip
FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC

Answer = dict[str, Any]


class Watch:
    """Notes calls and writes outside the temporary folder while a file is read."""

    def __init__(self, root: Path) -> None:
        self.root, self.seen = root, []  # type: tuple[Path, list[str]]
        self.active = False
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple) -> None:
        if not self.active:
            return
        if event in EXECUTES:
            self.seen.append(f"{event} {arguments!r:.100}")
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & FLAGS
        if (writes or event in WRITES) and not isinstance(arguments[0], int):
            path = Path(os.path.abspath(os.fsdecode(arguments[0])))
            if not path.is_relative_to(self.root) and path.parts[1] not in ("dev", "proc"):
                self.seen.append(f"{event} {path}")


def innermost(trace: TracebackType | None) -> str:
    """The last frame of a traceback that lies in echolib: its module and function."""
    frames = [f for f in traceback.extract_tb(trace) if "/echolib/" in f.filename]
    if not frames:
        return "outside echolib"
    return f"{frames[-1].filename.rpartition('/echolib/')[2]}:{frames[-1].name}"


def check(case: dict[str, str], watch: Watch) -> Answer:
    """Read one damaged file and judge what happened."""
    from .fuzz_readers import READERS, Broken

    folder, target = Path(case["folder"]), case["target"]
    for name in NETWORKS if case["reader"] in HEAVY else ():
        importlib.import_module(name)
    before, state = peak_memory(reset=True), "fine"
    error: BaseException | None = None
    watch.active, watch.seen = True, []
    try:
        with warnings.catch_warnings(action="ignore"):
            READERS[case["reader"]](folder, target)
    except (ValueError, OSError) as refusal:
        state, error = "refused", refusal
    except (Exception, SystemExit) as fault:
        state, error = "finding", fault
    watch.active = False
    taken, text = peak_memory() - before, str(error)
    answer: Answer = {"state": state, "place": innermost(error.__traceback__ if error else None)}
    answer |= {"text": text[:2000], "mb": taken >> 20}
    named = str(folder) in text or Path(target).name in text
    kind = type(error).__name__
    if isinstance(error, Broken):
        answer |= {"kind": "wrong result", "place": f"{case['reader']}: {text.partition(':')[0]}"}
    elif state == "finding" or error and not named:
        answer["kind"] = kind if state == "finding" else f"{kind} that names no file"
    elif watch.seen:
        answer |= {"kind": "call or write outside", "text": "; ".join(watch.seen[:5])}
    elif taken > MEMORY:
        answer["kind"] = "memory"
    elif left := left_behind(folder):
        answer |= {"kind": "left behind", "text": ", ".join(left[:5])}
    if "kind" in answer:
        answer["state"] = "finding"
        answer["trace"] = "".join(traceback.format_exception(error))[-6000:]
    return answer


def left_behind(folder: Path) -> list[str]:
    """Temporary files in the temporary, the working and the case's own folder."""
    found = [path.name for place in ("tmp", "work") for path in (folder.parent / place).iterdir()]
    hidden = [path for path in folder.rglob(".*") if f".{os.getpid()}" in path.name]
    return found + [path.name for path in hidden]


def peak_memory(reset: bool = False) -> int:
    """The largest resident memory of this process in bytes, since the last reset."""
    if reset:
        with contextlib.suppress(OSError):  # not every kernel can
            Path("/proc/self/clear_refs").write_text("5")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main(root: Path) -> None:
    """Answer the cases of the parent until its pipe ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what libraries print is no answer
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_DATA, (HARD_LIMIT, HARD_LIMIT))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for name in LIBRARIES:
        importlib.import_module(name)
    os.chdir(root / "work")
    watch = Watch(root)
    for line in sys.stdin:
        answers.write(json.dumps(check(json.loads(line), watch)) + "\n")
        answers.flush()
        for name in ("tmp", "work", "data"):
            for path in (root / name).iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
