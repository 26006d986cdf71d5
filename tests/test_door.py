"""The door of the package: a few names for daily use, loaded when they are first used."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import echolib

PACKAGE = Path(echolib.__file__).parent
FRONTS = sorted(PACKAGE.rglob("__init__.pyi"))
MOST_NAMES = 30


def offered(stub: Path) -> list[str]:
    """The names that a stub imports from the modules behind it."""
    tree = ast.parse(stub.read_text(encoding="utf-8"))
    nodes = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    return [alias.asname or alias.name for node in nodes for alias in node.names]


def test_importing_echolib_loads_nothing_else():
    heavy = ["torch", "numpy", "pandas", "matplotlib", "cv2", "pydicom", "anywidget"]
    code = f"import sys, echolib; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_reading_a_clip_needs_no_torch():
    code = "import sys, echolib; echolib.example_clip(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("False", "")


def test_the_door_has_few_names():
    assert len(offered(PACKAGE / "__init__.pyi")) <= MOST_NAMES


@pytest.mark.parametrize("stub", FRONTS, ids=lambda stub: stub.parent.name)
def test_all_names_of_a_front_are_there_and_listed(stub):
    place = ".".join(stub.parent.relative_to(PACKAGE.parent).parts)
    module = __import__(place, fromlist=["_"])
    names = offered(stub)
    assert len(set(names)) == len(names)
    assert set(names) <= set(module.__all__) and set(names) <= set(dir(module))
    for name in names:
        value = getattr(module, name)
        assert not callable(value) or inspect.getdoc(value), name


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError):
        echolib.no_such_name  # noqa: B018
