"""Debian's Chromium, driven by playwright, on a page or on a JupyterLab of its own.

Nothing outside this machine is ever asked for: Chromium resolves no name but the loopback address,
and every request is kept, so that a test can look at them. What is started here is ended here.
"""

import base64
import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import numpy as np
import psutil

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

ROOT = Path(__file__).resolve().parents[1]
NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-color-profile=srgb",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
PATIENCE = 20.0  # s that a page may take for one step on a machine that is busy with other work
START = 90.0  # s that a server or a kernel may take to start there
SETTINGS = {  # of JupyterLab: it must not ask for news, and keeps every cell in the page
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "notebook-extension/tracker": {"windowingMode": "none"},
}

READ_CANVAS = """canvas => {
  const {width, height} = canvas;
  const bytes = canvas.getContext("2d").getImageData(0, 0, width, height).data;
  let text = "";
  for (let i = 0; i < bytes.length; i += 32768) {
    text += String.fromCharCode(...bytes.subarray(i, i + 32768));
  }
  return [height, width, btoa(text)];
}"""
# The page's next frame, or a second where none is drawn. `evaluate` has no time limit of its own:
# what a page is asked must not wait for something that may never come.
NEXT_FRAME = """() => new Promise(done => {
  requestAnimationFrame(() => done(null));
  setTimeout(done, 1000, null);
})"""
# Focus an element and listen for the next key; then: whether it was this element that heard it.
LISTEN = """element => {
  window.keyTarget = null;
  addEventListener("keydown", event => { window.keyTarget = event.target; },
    {capture: true, once: true});
  element.focus();
}"""
HEARD = "element => element === window.keyTarget"
PANEL = "const panel = window.jupyterapp.shell.currentWidget;"
# Lab saves what is asked of a cell in its model; a cell that is added at the end is run by Lab's
# own command, as with shift and enter. Nobody waits for the command here, see `Notebook._printed`.
RUN_CELL = f"""source => {{
  {PANEL}
  const cells = panel.content.model.sharedModel;
  cells.insertCell(cells.cells.length, {{cell_type: "code", source}});
  panel.content.activeCellIndex = cells.cells.length - 1;
  window.jupyterapp.commands.execute("notebook:run-cell");
  return cells.cells.length - 1;
}}"""
CELL = f"""index => {{
  {PANEL}
  const cell = panel.content.widgets[index].model;
  return {{count: cell.executionCount, outputs: cell.outputs.toJSON()}};
}}"""


def missing() -> str | None:
    """Why no test in Chromium can run here; None where it can."""
    if not any(map(shutil.which, NAMES)):
        return f"no Chromium here ({', '.join(NAMES)}): apt-get install chromium"
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "playwright is not installed: pip install playwright"
    return None


@contextlib.contextmanager
def open_chromium() -> Iterator["Browser"]:
    """A headless Chromium with an empty profile."""
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, NAMES)))
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=FLAGS, headless=True)
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """A block in which this process's Chromiums and their drivers are killed after `seconds`.

    What playwright asks of a page, and the end of one, may wait for ever. Then it raises.
    """
    timer = threading.Timer(seconds, _kill_all)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _kill_all() -> None:
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.name().startswith("chrom") or "playwright" in " ".join(process.cmdline()):
                process.kill()


class Watch:
    """What a page complains of and what it asks for, from its first moment.

    complaints: errors in the console and exceptions; requests: all addresses.
    """

    def __init__(self, page: "Page") -> None:
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.complaints.append(f"exception: {error}"))
        page.on("console", self._hear)

    def _hear(self, message: Any) -> None:
        if message.type == "error":
            where = message.location.get("url", "")
            self.complaints.append(f"console: {message.text} ({where})")

    def foreign(self, allowed: Sequence[str]) -> list[str]:
        """Addresses asked for that begin with none of `allowed`."""
        return [url for url in self.requests if not url.startswith(tuple(allowed))]


@contextlib.contextmanager
def open_page(browser: "Browser", offline: bool = False, **options: Any) -> Iterator["Page"]:
    """A page in a fresh context, with `page.watch`; options as of playwright's new_context."""
    options = {"viewport": {"width": 1100, "height": 1000}, **options}
    context = browser.new_context(**options)
    context.set_default_timeout(1000 * PATIENCE)
    context.set_offline(offline)
    try:
        page = context.new_page()
        page.watch = Watch(page)
        yield page
    finally:
        context.close()


def read_canvas(canvas: "Locator") -> np.ndarray:
    """The pixels of a canvas, (h, w, 4) uint8 RGBA, in its own size, not the page's."""
    height, width, text = canvas.evaluate(READ_CANVAS)
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width, 4)


def wait_until(page: "Page", check: Callable[[], str | None], seconds: float = PATIENCE) -> None:
    """Repeat `check` with each frame of the page until it has nothing to say against it.

    Raises AssertionError with the last words of `check`.
    """
    end = time.monotonic() + seconds
    while (found := check()) is not None:
        assert time.monotonic() < end, f"after {seconds:g} s: {found}"
        page.evaluate(NEXT_FRAME)


def press(element: "Locator", key: str) -> None:
    """Press a key on an element, again where another one has taken the focus at that moment.

    JupyterLab does so some time after a cell has run. Raises AssertionError.
    """
    handle = element.element_handle()

    def check() -> str | None:
        handle.evaluate(LISTEN)
        element.page.keyboard.press(key)
        return None if handle.evaluate(HEARD) else f"another element hears the key {key}"

    wait_until(element.page, check)


class LabServer:
    """A JupyterLab on the loopback address with a home, settings and a token of its own."""

    def __init__(self, folder: Path, settings: dict[str, dict] | None = None) -> None:
        self.folder = folder
        self.token = secrets.token_hex(16)
        self.notebooks = folder / "notebooks"
        self.notebooks.mkdir(parents=True)
        self._runtime = folder / "runtime"
        self._log = folder / "server.log"
        for name, values in {**SETTINGS, **(settings or {})}.items():
            path = folder / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(values), encoding="utf-8")

    def start(self) -> "LabServer":
        """Start it and wait until it answers; raises RuntimeError with the end of its log."""
        command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
        command += ["--expose-app-in-browser", "--ip=127.0.0.1", "--port=0"]
        command += [f"--IdentityProvider.token={self.token}", "--LabApp.news_url="]
        command += ["--LabApp.extension_manager=readonly", f"--ServerApp.root_dir={self.notebooks}"]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self.folder, env=self._environment()
            )
        end = time.monotonic() + START
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"JupyterLab did not start. Its log:\n{self.log()}")
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.05)
        return self

    def _answers(self) -> bool:
        """Whether the server has said where it is, to the end of its file."""
        for path in self._runtime.glob("jpserver-*.json"):
            with contextlib.suppress(json.JSONDecodeError):
                self.url = json.loads(path.read_text(encoding="utf-8"))["url"]
                return True
        return False

    def _environment(self) -> dict[str, str]:
        kept = {key: text for key, text in os.environ.items() if not key.startswith("JUPYTER")}
        places = {
            "HOME": "home",
            "IPYTHONDIR": "ipython",
            "JUPYTER_CONFIG_DIR": "config",
            "JUPYTER_DATA_DIR": "data",
            "JUPYTER_RUNTIME_DIR": "runtime",
            "JUPYTERLAB_SETTINGS_DIR": "settings",
            "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        }
        for name in places.values():
            (self.folder / name).mkdir(exist_ok=True)
        paths = {key: str(self.folder / name) for key, name in places.items()}
        return {**kept, **paths, "PYTHONPATH": str(ROOT), "PYDEVD_DISABLE_FILE_VALIDATION": "1"}

    def log(self, lines: int = 30) -> str:
        """The end of what the server has written."""
        return "\n".join(
            self._log.read_text(encoding="utf-8", errors="replace").split("\n")[-lines:]
        )

    def stop(self) -> None:
        """End the server and its kernels, by force where asking does not help."""
        with contextlib.suppress(psutil.NoSuchProcess):
            family = psutil.Process(self.process.pid).children(recursive=True)
            self.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
            self.process.kill()
            for child in psutil.wait_procs(family, timeout=1)[1]:
                child.kill()
        self.process.wait(10)


@contextlib.contextmanager
def start_lab(folder: Path, settings: dict[str, dict] | None = None) -> Iterator[LabServer]:
    """A JupyterLab whose files all lie in `folder`; it ends with the `with` block.

    settings: of Lab, by name, for example {"apputils-extension/themes": {"theme": ...}}
    """
    server = LabServer(folder, settings)
    try:
        yield server.start()
    finally:
        if hasattr(server, "process"):
            server.stop()


class Notebook:
    """A notebook that is open in JupyterLab."""

    def __init__(self, page: "Page", server: LabServer, sources: Sequence[str]) -> None:
        """Write a notebook of code cells, open it, and wait until its kernel is idle."""
        self.page, self.server = page, server
        cells = [nbformat.v4.new_code_cell(source) for source in sources]
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        book = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
        path = server.notebooks / f"{secrets.token_hex(4)}.ipynb"
        nbformat.write(book, path)
        page.goto(f"{server.url}lab/tree/{path.name}?reset&token={server.token}")
        idle = f"""() => {{
          if (!window.jupyterapp) return false;
          {PANEL}
          return panel?.sessionContext?.session?.kernel?.status === "idle";
        }}"""
        self._wait(idle, "the notebook's kernel was not idle", START)

    def _wait(self, condition: str, complaint: str, seconds: float = PATIENCE) -> None:
        from playwright.sync_api import TimeoutError as TooLong

        try:
            self.page.wait_for_function(condition, timeout=1000 * seconds)
        except TooLong:
            raise AssertionError(f"{complaint} after {seconds:g} s.\n{self.report()}") from None

    def report(self) -> str:
        """What the page complains of and the end of the server's log."""
        complaints = "\n".join(self.page.watch.complaints[-20:]) or "nothing"
        return f"The page complains of:\n{complaints}\nThe server's log:\n{self.server.log()}"

    def run_all(self) -> list[str]:
        """Run all cells by Lab's own command; returns the text that each of them printed.

        They may take long: the first one imports the package.
        """
        self.page.evaluate(
            "() => void window.jupyterapp.commands.execute('notebook:run-all-cells')"
        )
        count = self.page.evaluate(f"() => {{ {PANEL} return panel.content.widgets.length; }}")
        return [self._printed(index, START) for index in range(count)]

    def run(self, source: str) -> str:
        """Run one more cell at the end; returns what it printed. Raises AssertionError."""
        return self._printed(self.page.evaluate(RUN_CELL, source))

    def show(self, source: str) -> "Locator":
        """Run one more cell whose output is a widget; returns the cell's place in the page."""
        index = self.page.evaluate(RUN_CELL, source)
        self._printed(index)
        return self.cell(index)

    def cell(self, index: int) -> "Locator":
        """The output of a cell, as it is in the page."""
        return (
            self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Cell")
            .nth(index)
            .locator(".jp-OutputArea")
        )

    def clear(self) -> None:
        """Take all cells away, and with them their widgets."""
        self.page.evaluate(
            f"() => {{ {PANEL} const cells = panel.content.model.sharedModel;"
            "cells.deleteCellRange(0, cells.cells.length); }"
        )

    def _printed(self, index: int, seconds: float = PATIENCE) -> str:
        self._wait(
            f"() => ({CELL})({index}).count !== null && {self._idle()}",
            f"cell {index} did not come to its end",
            seconds,
        )
        outputs = self.page.evaluate(CELL, index)["outputs"]
        for output in outputs:
            if output["output_type"] == "error":
                trace = "\n".join(output["traceback"])
                raise AssertionError(f"cell {index} raised {output['ename']}:\n{trace}")
        return "".join(output.get("text", "") for output in outputs).strip()

    @staticmethod
    def _idle() -> str:
        return (
            "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === 'idle'"
        )


@contextlib.contextmanager
def open_exported(engine: "Browser", file: Path, **options: Any) -> Iterator["Page"]:
    """An exported frame browser, opened from disk with the network off, once it is drawn.

    options: of `open_page`, such as viewport
    """
    with open_page(engine, offline=True, **options) as page:
        page.goto(file.as_uri())
        page.wait_for_selector(".echolib-browser[data-state=ready]")
        yield page


@contextlib.contextmanager
def open_notebook(folder: Path, sources: Sequence[str]) -> Iterator[Notebook]:
    """A notebook of code cells in a JupyterLab of its own, all of its cells run."""
    with start_lab(folder) as server, open_chromium() as engine, open_page(engine) as page:
        notebook = Notebook(page, server, sources)
        notebook.run_all()
        yield notebook
