"""`echolib.figures` offers every public function of its modules, without importing matplotlib."""

import ast
import subprocess
import sys
from pathlib import Path

from echolib import figures

FOLDER = Path(figures.__file__).parent
STUB = ast.parse((FOLDER / "__init__.pyi").read_text(encoding="utf-8"))
OFFERED = [(node.module, name.name) for node in STUB.body for name in node.names]
PUBLIC = [
    (path.stem, node.name)
    for path in sorted(FOLDER.glob("*.py"))
    for node in ast.parse(path.read_text(encoding="utf-8")).body
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_")
]


def test_every_name_in_the_stub_is_loaded_from_its_module():
    for module, name in OFFERED:
        assert getattr(figures, name) is getattr(sys.modules[f"{figures.__name__}.{module}"], name)
    assert sorted(name for _, name in OFFERED) == sorted(figures.__all__)


def test_every_public_function_and_class_is_in_the_stub():
    assert set(PUBLIC) - set(OFFERED) == set()


def test_public_names_are_distinct_across_the_modules():
    names = [name for _, name in PUBLIC]
    assert len(names) == len(set(names))
    assert not set(names) & {path.stem for path in FOLDER.glob("*.py")}  # and differ from modules


def test_importing_the_package_imports_neither_matplotlib_nor_torch():
    code = "import sys, echolib.figures; print(sorted({'matplotlib', 'torch'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
