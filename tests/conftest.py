"""What all tests share: empty data folders, the same settings everywhere, real frames.

The settings reach nbval's notebooks too, whose kernels inherit this process's environment.
"""

import faulthandler
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path

import matplotlib
import pytest
from hypothesis import settings

from tools import chromium
from tools.notebooks import COMPARED_RUN, TESTED_RUN

ROOT = Path(__file__).resolve().parents[1]
CAMUS = ROOT.parent / "shared" / "camus"

settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)


def pytest_configure(config: pytest.Config) -> None:
    """Set the environment before any test module imports torch or reads a folder."""
    settings.load_profile("ci" if os.environ.get("CI") else "local")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as of a job in the background
        signal.signal(signal.SIGINT, signal.default_int_handler)  # tests send Ctrl-C
    matplotlib.use("Agg")  # not through MPLBACKEND: the notebooks' kernels draw inline
    config.echolib_folder = tempfile.mkdtemp(prefix="echolib-tests-")
    os.environ.update(TESTED_RUN, ECHOLIB_FIGURES=f"{config.echolib_folder}/figures")
    # a conftest's own hooks are called for the tests below it only, a plugin's for notebooks too
    config.pluginmanager.register(EachAlone())
    config.pluginmanager.register(HangLimits(config))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the tests' folders."""
    shutil.rmtree(config.echolib_folder, ignore_errors=True)


class EachAlone:
    """Gives each notebook and each test module an empty data folder, and notebooks their precision;
    skips what needs a GPU.

    A data set under data/ must not change an output, and of two notebooks that run at the same
    time neither must find what the other is writing.
    """

    @pytest.hookimpl(tryfirst=True)  # before nbval starts the notebook's kernel
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        if item.path.suffix == ".ipynb":
            os.environ.update(COMPARED_RUN)
        else:
            os.environ.pop("ECHOLIB_PRECISION", None)
        os.environ["ECHOLIB_DATA"] = f"{item.config.echolib_folder}/{_one_name(item.path)}"
        if item.get_closest_marker("gpu") and not _has_gpu():
            pytest.skip("no CUDA device here")


class HangLimits:
    """Ends a test that hangs: in Chromium with its Chromium, after a failure with its process.

    A Chromium that hangs is busy, and all other tests are slow beside it. pytest's own limit
    (pyproject.toml) is over at a failure, as a debugger may follow; a fixture may hang after it.
    """

    SECONDS = 180.0  # that a test may keep a Chromium

    def __init__(self, config: pytest.Config) -> None:
        self.limit = float(config.getini("faulthandler_timeout"))
        self.errors = os.dup(sys.__stderr__.fileno())  # before a test's output is captured

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self) -> Generator[None, object, object]:
        with chromium.limited(self.SECONDS):
            return (yield)

    @pytest.hookimpl(trylast=True)
    def pytest_exception_interact(self) -> None:
        faulthandler.dump_traceback_later(self.limit, file=self.errors, exit=True)


def _one_name(path: Path) -> str:
    """A file's path below the checkout as one name."""
    return "-".join(path.relative_to(ROOT).with_suffix("").parts)


def _has_gpu() -> bool:
    import torch  # here, so that a run of a light test stays light

    return torch.cuda.is_available()


@pytest.fixture(scope="module")
def engine():
    """A real Chromium; modules that use it are skipped where there is none."""
    with chromium.open_chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def camus() -> Path:
    """Folder of the CAMUS frames beside the checkout; the test is skipped where there is none."""
    if not (CAMUS / "database_nifti").is_dir():
        pytest.skip("../shared/camus is not here: not tested on real CAMUS frames")
    return CAMUS
