"""Execute the course's notebooks: `run` keeps copies in build/notebooks, `refresh` is in place.

    python -m tools.notebooks run notebooks/*.ipynb
    python -m tools.notebooks refresh notebooks/01_data_exploration.ipynb
    python -m tools.notebooks copy notebooks/*.ipynb
    python -m tools.notebooks check notebooks/*.ipynb

`run` leaves the notebooks as they are and writes each executed one beside a page of HTML, and an
index of the pages.
`refresh` stores the outputs of a whole run on the phantom, which a reader sees before running
anything. It also runs each notebook in fast mode, on less data, and keeps code cells and text of
that run in tests/notebooks/fast: with those `make test` compares what the cells give. `copy` makes
the copies that `make lab` opens. `check` refuses notebooks whose outputs `refresh` did not store:
they may show a patient. It runs before each commit.
"""

import argparse
import ast
import base64
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import cv2
import nbformat
import numpy as np
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from tqdm import tqdm

from echolib.config import project_root
from echolib.files import atomic_path

from .pages import WIDGET_VIEW, finish_widgets, write_course, write_page

CELL_TIMEOUT = 1800  # s; a training cell on a slow CPU needs minutes
FAILURES = (CellExecutionError, CellTimeoutError, DeadKernelError)

COPIES = Path("my_notebooks")  # which git ignores
SOLUTIONS = "solutions"  # the folder of the exercises' solutions, beside the notebooks
PAGE = "README.md"  # with the glossary, to which notebooks link
COMPARED = project_root() / "tests" / "notebooks" / "fast"  # what `make test` compares
STAMP = "echolib"  # key in a notebook's metadata: the digest of the outputs that `refresh` stored
IGNORED = "nbval-ignore-output"  # the tag of a cell whose text is not compared
OWN = "MINE"  # the variable that takes the path of the user's own clip

STORED_RUN = {
    "ECHOLIB_FAST": "0",
    "ECHOLIB_DEVICE": "cpu",
    "ECHOLIB_FIGURES": str(project_root() / "figures"),
}
# In the tests: little data, no GPU, sums always in the same order.
TESTED_RUN = {"ECHOLIB_FAST": "1", "ECHOLIB_DEVICE": "cpu", "OMP_NUM_THREADS": "1"}
COMPARED_RUN = TESTED_RUN | {"ECHOLIB_PRECISION": "fp32"}  # and alike on all processors


def execute(notebook: NotebookNode, path: Path) -> None:
    """Execute `notebook`, read from `path`, in place, with its folder as the working folder."""
    cells = sum(cell.cell_type == "code" for cell in notebook.cells)
    with tqdm(total=cells, desc=path.name, unit="cell", leave=False, disable=None) as bar:
        NotebookClient(
            notebook,
            kernel_name="python3",
            timeout=CELL_TIMEOUT,
            extra_arguments=["--log-level=ERROR"],  # it warns that a local kernel is not encrypted
            record_timing=False,
            coalesce_streams=True,
            resources={"metadata": {"path": str(path.parent)}},
            on_cell_executed=lambda **_: bar.update(),
        ).execute()


def shrink(picture: str) -> str:
    """A base64 PNG in fewer bytes, without loss: no alpha or colour where there is none."""
    data = base64.b64decode(picture)
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels.ndim == 3 and pixels.shape[2] == 4 and (pixels[..., 3] == 255).all():
        pixels = pixels[..., :3]
    if pixels.ndim == 3 and (pixels == pixels[..., :1]).all():
        pixels = pixels[..., 0]
    smaller = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes()
    return base64.b64encode(smaller).decode() if len(smaller) < len(data) else picture


def tidy(notebook: NotebookNode) -> None:
    """Leave, in place, what a reader sees: widgets by their last state, pictures in few bytes."""
    finish_widgets(notebook)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            content = output.get("data", {})
            if "image/png" in content:
                content["image/png"] = shrink(content["image/png"])


def strip(notebook: NotebookNode) -> None:
    """Leave, in place, what nbval compares: code cells, and the text of those that it compares."""
    notebook.cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell in notebook.cells:
        cell.metadata = NotebookNode(tags=cell.metadata.get("tags", []))
        if IGNORED in cell.metadata.tags:
            cell.outputs = []
        for output in cell.outputs:
            for kind in {WIDGET_VIEW, "image/png"} & output.get("data", {}).keys():
                del output.data[kind]


def seal(notebook: NotebookNode) -> None:
    """Remove, in place, what differs from run to run (timing, widget state, language version), and
    stamp the notebook with the digest of its outputs.
    """
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook.metadata = NotebookNode(
        kernelspec=NotebookNode(kernel), language_info=NotebookNode(name="python")
    )
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    notebook.metadata[STAMP] = NotebookNode(outputs=digest(notebook))


def digest(notebook: NotebookNode) -> str:
    """Checksum of all outputs of a notebook."""
    stored = [cell.get("outputs", []) for cell in notebook.cells if cell.cell_type == "code"]
    return hashlib.sha256(json.dumps(stored, sort_keys=True).encode()).hexdigest()[:16]


def faults(notebook: NotebookNode) -> Iterator[str]:
    """Why a notebook must not be committed: what it holds may come from an own clip."""
    if notebook.metadata.get(STAMP, {}).get("outputs") != digest(notebook):
        yield (
            "its outputs are not those that `make refresh` stored, and may show a patient. Store "
            "them anew by `make refresh`, or take it back by `git checkout`"
        )
    if names_own_clip(notebook):
        yield f"{OWN} names a clip of your own. Set it to None"


def names_own_clip(notebook: NotebookNode) -> bool:
    """Whether a cell sets `MINE` to anything but None."""
    for cell in notebook.cells:
        lines = cell.source.splitlines() if cell.cell_type == "code" else []
        code = "\n".join(line for line in lines if not line.lstrip().startswith(("%", "!")))
        for node in ast.walk(ast.parse(code)):
            if not isinstance(node, ast.Assign) or ast.unparse(node.value) == "None":
                continue
            if OWN in map(ast.unparse, node.targets):
                return True
    return False


def run(paths: list[Path], output: Path) -> None:
    """Execute `paths` in order into `output`; end the program at the first that fails.

    Ends with an index of all pages in `output`, also of earlier runs.
    """
    output.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    try:
        for path in paths:
            _run_one(path, output)
    finally:
        index = write_course(output)
    print(f"All done in {(time.monotonic() - began) / 60:.1f} minutes.")
    print(f"Open the index of the pages in a browser: {index}")
    print("Or type `make lab` to work in the notebooks yourself.")


def _run_one(path: Path, output: Path) -> None:
    started = time.monotonic()
    notebook = nbformat.read(path, as_version=4)
    page = output / f"{path.stem}.html"
    try:
        execute(notebook, path)
    except FAILURES as failure:
        sys.exit(f"{failure}\n{path.name} failed. As far as it came: {page}")
    finally:
        with atomic_path(output / path.name) as temporary:
            nbformat.write(notebook, temporary)
        write_page(notebook, page)
    print(f"{path.name}: {time.monotonic() - started:.0f} s, see {page}", flush=True)


def refresh(paths: list[Path], compared: Path = COMPARED) -> None:
    """Execute each of `paths` on the phantom and store its outputs in it, tidied, and what a run in
    fast mode gives in the folder `compared`.

    They begin with an empty data folder, so that no data set of the user's shows in an output.
    Ends the program, before anything is executed, at one that names the user's own clip.
    """
    for path in paths:
        if names_own_clip(nbformat.read(path, as_version=4)):
            sys.exit(f"{path.name}: {OWN} names a clip of your own. Set it to None.")
    with tempfile.TemporaryDirectory(prefix="echolib-") as folder:
        for path in paths:
            started = time.monotonic()
            _store(path, STORED_RUN | {"ECHOLIB_DATA": folder}, tidy, path)
            taken = time.monotonic() - started
            data = {"ECHOLIB_DATA": f"{folder}/{path.stem}", "ECHOLIB_FIGURES": f"{folder}/figures"}
            _store(path, COMPARED_RUN | data, strip, compared / path.name)
            print(f"{path.name}: refreshed, the whole run {taken:.0f} s", flush=True)


def _store(
    path: Path, settings: dict[str, str], leave: Callable[[NotebookNode], None], place: Path
) -> None:
    """Execute a notebook with settings of the environment, and write to `place` what is left."""
    notebook = nbformat.read(path, as_version=4)
    with mock.patch.dict(os.environ, settings):  # the kernel inherits them
        execute(notebook, path)
    leave(notebook)
    seal(notebook)
    place.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(place) as temporary:
        nbformat.write(notebook, temporary)


def copy(paths: list[Path], folder: Path) -> None:
    """Copy notebooks, solutions and the page that they link to into a folder; copies of notebooks
    that are there stay as the user left them.
    """
    for path in paths:
        own = folder / path.relative_to(path.parents[path.parent.name == SOLUTIONS])
        own.parent.mkdir(parents=True, exist_ok=True)
        if (page := path.with_name(PAGE)).is_file():
            shutil.copyfile(page, own.with_name(PAGE))
        if not own.exists():
            shutil.copyfile(path, own)
        elif own.stat().st_mtime < path.stat().st_mtime:
            print(f"{path} is newer than {own}: to get it, delete or rename yours.")


def check(paths: list[Path]) -> None:
    """End the program with a line for each fault of each notebook, if there is any."""
    found = [
        f"{path}: {fault}." for path in paths for fault in faults(nbformat.read(path, as_version=4))
    ]
    if found:
        sys.exit("\n".join(found))


def main(arguments: list[str] | None = None) -> None:
    """Read the command line and do what it says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=["run", "refresh", "copy", "check"])
    parser.add_argument("notebooks", nargs="*", type=Path)
    parser.add_argument("--output", type=Path, default=Path("build/notebooks"))
    options = parser.parse_args(arguments)
    if not options.notebooks:
        sys.exit("No notebook was named, and notebooks/ holds none.")
    if options.command == "run":
        run(options.notebooks, options.output)
    elif options.command == "copy":
        copy(options.notebooks, COPIES)
    elif options.command == "check":
        check(options.notebooks)
    else:
        refresh(options.notebooks)


if __name__ == "__main__":
    main()
