"""The house rules: who may import whom, what is never used, documented and annotated functions."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from echolib.data.names import CLIP_SUFFIXES
from echolib.data.video import HEAD, video_kind
from tests.makers import write_avi

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "echolib"
MAX_LINES = 350
MAX_TRACKED_BYTES = 3_000_000
MAX_WEIGHTS_BYTES = 8_000_000  # a pretrained model has a reason to be larger

# From the ground up: a room imports from itself and from the rooms before it.
GROUND = (
    "errors", "cautions", "config", "cores", "workers", "memory", "masks", "files", "arrays",
    "parts", "locks", "statistics", "geometry", "metrics", "curves",
)  # fmt: skip
ROOMS = (
    *GROUND, "data", "phantom", "networks", "ventricle", "valve", "robustness",
    "corrections", "figures", "report", "browser", "commands", "__main__",
)  # fmt: skip
DRAWING = {"matplotlib", "ipywidgets", "anywidget", "IPython"}
DRAWING_ROOMS = ROOMS[ROOMS.index("figures") :]

# A GPU machine without Jupyter must be able to train and to measure.
TRAINING_ROOMS = (*GROUND, "networks", "ventricle", "valve", "robustness", "corrections")
TRAINING_MAY_IMPORT = {"echolib", "torch", "numpy", "pandas", "cv2", "skimage", "safetensors"}
TRAINING_MAY_IMPORT |= {"tqdm", "scipy", "lazy_loader"}  # the last comes with scikit-image

EXECUTES_CODE = {"pickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
# the course task's data are pickles, so the phantom of them must be written as such
WRITES_PICKLES = {"phantom.mitral_study"}
WRITING_PICKLES = {"dump", "dumps", "Pickler"}

# --- reading the code ---------------------------------------------------------------------------


def module_name(path: Path) -> str:
    """Name below echolib: `geometry`, `data.camus`, and `data` for data/__init__.py."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}
each_module = pytest.mark.parametrize("name", MODULES)


def tree_of(name: str) -> ast.Module:
    return ast.parse(MODULES[name].read_text(encoding="utf-8"))


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def nodes_of(tree: ast.AST, inside_functions: bool) -> Iterator[ast.AST]:
    """All nodes but those of `if TYPE_CHECKING:`; on request without function bodies."""
    for node in ast.iter_child_nodes(tree):
        is_function = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        if is_type_checking(node) or (is_function and not inside_functions):
            continue
        yield node
        yield from nodes_of(node, inside_functions)


def imported(name: str, tree: ast.AST, inside_functions: bool = True) -> set[str]:
    """Dotted names that module `name` imports: `numpy`, `echolib.data.clips`, ..."""
    is_package = name in MODULES and MODULES[name].name == "__init__.py"
    package = ["echolib", *name.split("."), *([""] if is_package else [])]
    found = set()
    for node in nodes_of(tree, inside_functions):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            source = node.module or ""
            if node.level:
                source = ".".join([*package[: -node.level], source]).strip(".")
            if source == "echolib":  # `from echolib import plots` imports echolib.plots
                found |= {f"echolib.{alias.name}" for alias in node.names}
            else:
                found.add(source)
    return found


def libraries(names: set[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


def room(name: str) -> str:
    """The folder below echolib that a module lies in, or the module itself on the ground."""
    return name.split(".")[0]


def own_modules(names: set[str]) -> set[str]:
    """The modules of echolib among imported names, `__init__` for echolib itself."""
    found = set()
    for name in names:
        if name.split(".")[0] == "echolib":
            short = name.removeprefix("echolib").strip(".") or "__init__"
            found.add(short if short in MODULES else short.rpartition(".")[0] or "__init__")
    return found


IMPORTS = {name: own_modules(imported(name, tree_of(name))) for name in MODULES}


def circles(imports: dict[str, set[str]]) -> list[str]:
    """Modules that import themselves through others."""
    left = {name: set(others) & imports.keys() - {name} for name, others in imports.items()}
    while free := [name for name, others in left.items() if not others & left.keys()]:
        for name in free:
            del left[name]
    return sorted(left)


# --- the rules ----------------------------------------------------------------------------------


def unsafe_loading(tree: ast.AST) -> Iterator[str]:
    """Calls and imports through which a file that is read could execute code."""
    yield from sorted(libraries(imported("", tree)) & EXECUTES_CODE)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        options = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        if ast.unparse(node.func) == "torch.load" and options.get("weights_only") != "True":
            yield f"line {node.lineno}: torch.load without weights_only=True"
        if options.get("allow_pickle", "False") != "False":
            yield f"line {node.lineno}: allow_pickle"
        if ast.unparse(node.func).endswith("read_pickle"):
            yield f"line {node.lineno}: read_pickle"


def unsafe_pickling(tree: ast.AST) -> Iterator[str]:
    """All that is done with the module pickle but writing."""
    called = {id(node.value) for node in ast.walk(tree) if writes_pickle(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == "pickle" and id(node) not in called:
            yield f"line {node.lineno}: pickle for something else than writing"
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "pickle":
            yield f"line {node.lineno}: import pickle itself, so that its uses are seen"
        elif isinstance(node, ast.Import) and any(
            alias.name == "pickle" and alias.asname for alias in node.names
        ):
            yield f"line {node.lineno}: import pickle under its own name, so that its uses are seen"


def writes_pickle(node: ast.AST) -> bool:
    """True for `pickle.dump` and the like."""
    is_attribute = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    return is_attribute and node.value.id == "pickle" and node.attr in WRITING_PICKLES


def public_definitions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.AST]]:
    """Public functions, classes and methods with their names."""
    for node in ast.iter_child_nodes(tree):
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        if isinstance(node, kinds) and not node.name.startswith("_"):
            yield prefix + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from public_definitions(node, prefix=f"{node.name}.")


def undocumented(tree: ast.AST) -> list[str]:
    return [name for name, node in public_definitions(tree) if not ast.get_docstring(node)]


def unannotated(tree: ast.AST) -> Iterator[str]:
    """Public functions with a missing annotation, and which."""
    for name, node in public_definitions(tree):
        if isinstance(node, ast.ClassDef):
            continue
        arguments = node.args
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        every += [extra for extra in (arguments.vararg, arguments.kwarg) if extra]
        missing = [argument.arg for argument in every if not argument.annotation]
        missing = [argument for argument in missing if argument not in ("self", "cls")]
        missing += [] if node.returns else ["return"]
        if missing:
            yield f"{name}: {', '.join(missing)}"


@pytest.mark.parametrize("name", [name for name in MODULES if name != "__init__"])
def test_a_room_imports_from_the_rooms_before_it_only(name):
    assert room(name) in ROOMS, "the map of rooms lacks it"
    before = {"__init__", *ROOMS[: ROOMS.index(room(name)) + 1]}
    assert {other for other in IMPORTS[name] if room(other) not in before} == set()


def test_modules_of_a_room_import_each_other_in_one_direction():
    assert circles(IMPORTS) == []


def test_the_ground_holds_no_other_module():
    assert {path.stem for path in PACKAGE.glob("*.py")} == {*GROUND, "__init__", "__main__"}


@pytest.mark.parametrize("name", [name for name in MODULES if room(name) in ("data", "phantom")])
def test_data_and_phantom_know_no_torch(name):
    assert "torch" not in libraries(imported(name, tree_of(name)))


@pytest.mark.parametrize("name", [name for name in MODULES if room(name) not in DRAWING_ROOMS])
def test_only_the_drawing_rooms_know_matplotlib_and_widgets(name):
    assert libraries(imported(name, tree_of(name))) & DRAWING == set()


@pytest.mark.parametrize("name", [name for name in MODULES if room(name) in TRAINING_ROOMS])
def test_training_path_needs_no_other_library(name):
    names = libraries(imported(name, tree_of(name), inside_functions=False))
    assert names - TRAINING_MAY_IMPORT - sys.stdlib_module_names == set()


@each_module
def test_nothing_that_is_read_can_execute_code(name):
    found = list(unsafe_loading(tree_of(name)))
    if name in WRITES_PICKLES:
        found = [line for line in found if line != "pickle"]
        found += unsafe_pickling(tree_of(name))
    assert found == []


@each_module
def test_no_assert_stands_in_for_an_error(name):
    lines = [node.lineno for node in ast.walk(tree_of(name)) if isinstance(node, ast.Assert)]
    assert lines == []


@each_module
def test_no_star_import(name):
    nodes = [node for node in ast.walk(tree_of(name)) if isinstance(node, ast.ImportFrom)]
    assert [node.lineno for node in nodes if node.names[0].name == "*"] == []


@each_module
def test_module_and_what_is_public_in_it_are_documented(name):
    tree = tree_of(name)
    assert ast.get_docstring(tree), "the module has no docstring"
    assert undocumented(tree) == []


@each_module
def test_public_functions_are_annotated(name):
    assert list(unannotated(tree_of(name))) == []


@each_module
def test_module_is_small(name):
    lines = MODULES[name].read_text(encoding="utf-8").count("\n")
    assert lines < MAX_LINES


def test_reading_data_needs_no_heavy_library():
    names = [name for name in MODULES if name.split(".")[0] in ("__init__", "data", "phantom")]
    names = ["echolib" if name == "__init__" else f"echolib.{name}" for name in names]
    heavy = ["torch", "monai", "matplotlib", "IPython", "ipywidgets", "pydicom", "nibabel"]
    code = f"import sys, {', '.join(names)}; print([n for n in {heavy} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stderr == ""
    assert done.stdout.strip() == "[]"


# --- the checkers see what they look for --------------------------------------------------------


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "def f():\n    from joblib import load",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "pandas.read_pickle(path)",
    ],
)
def test_unsafe_loading_is_seen(code):
    assert list(unsafe_loading(ast.parse(code))) != []


def test_safe_loading_passes():
    assert list(unsafe_loading(ast.parse("torch.load(p, weights_only=True)\nnp.load(p)"))) == []


@pytest.mark.parametrize(
    "code",
    [
        "import pickle\npickle.load(file)",
        "import pickle\nload = pickle.loads",
        "import pickle\ngetattr(pickle, 'load')(file)",
        "import pickle\nclass Safe(pickle.Unpickler): ...",
        "import pickle as p",
        "from pickle import load",
        "from pickle import dumps",
    ],
)
def test_pickling_that_is_not_writing_is_seen(code):
    assert list(unsafe_pickling(ast.parse(code))) != []


def test_writing_pickles_passes():
    code = "import pickle\npickle.dump(1, file)\npickle.Pickler(file, 3).dump(1)\npickle.dumps(1)"
    assert list(unsafe_pickling(ast.parse(code))) == []


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import torch.nn as nn", {"torch.nn"}),
        ("from torch import nn", {"torch"}),
        ("from echolib import plots", {"echolib.plots"}),
        ("from echolib.data.clips import Clip", {"echolib.data.clips"}),
        ("from .clips import Clip", {"echolib.data.clips"}),
        ("from ..models import UNet", {"echolib.models"}),
        ("from .. import plots", {"echolib.plots"}),
        ("def f():\n    import torch", {"torch"}),
        ("try:\n    import torch\nexcept ImportError:\n    pass", {"torch"}),
        ("if TYPE_CHECKING:\n    import torch", set()),
    ],
)
def test_imports_are_seen(code, expected):
    assert imported("data.echonet", ast.parse(code)) == expected


def test_relative_imports_of_a_package_are_seen():
    assert imported("data", ast.parse("from .clips import Clip")) == {"echolib.data.clips"}
    assert imported("data", ast.parse("from ..models import UNet")) == {"echolib.models"}


def test_function_level_imports_can_be_left_out():
    tree = ast.parse("import numpy\ndef f():\n    import monai")
    assert imported("metrics", tree, inside_functions=False) == {"numpy"}


@pytest.mark.parametrize(
    ("code", "missing"),
    [
        ("def f(x) -> int: ...", ["f: x"]),
        ("def f(x: int): ...", ["f: return"]),
        ("class C:\n    def f(self, *rest, **options) -> int: ...", ["C.f: rest, options"]),
        ("def _f(x): ...", []),
        ("def f(x: int, *, y: str = '') -> None: ...", []),
    ],
)
def test_missing_annotations_are_seen(code, missing):
    assert list(unannotated(ast.parse(code))) == missing


def test_missing_docstrings_are_seen():
    code = "class C:\n    'doc'\n    def f(self): ...\n    def _g(self): ...\ndef h(): 'doc'"
    assert undocumented(ast.parse(code)) == ["C.f"]


# --- what the repository holds ------------------------------------------------------------------


def tracked_files() -> list[Path]:
    """Files that git tracks here; the test is skipped outside a checkout."""
    command = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this is not a git checkout")
    paths = [ROOT / name for name in done.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


# files of clips, and what the commands write about them
CLIP_FILES = {f"clip{suffix}" for suffix in CLIP_SUFFIXES} | {"a.nii", "a.nii.gz", "a.mhd", "a.raw"}
RESULT_FILES = {
    "masks.npz", "masks.nii.gz", "masks.dcm", "contours.csv", "area.csv", "clips.csv",
    "beats.csv", "frames.csv", "a_opening.csv", "overlay.mp4", "overlay.gif", "report.html",
    "page.html", "clip.apng", "curves.png", "FileList.csv", "VolumeTracings.csv",
}  # fmt: skip


@pytest.mark.parametrize("folder", ["", "notebooks", "notebooks/out", "own", "benchmarks/own"])
def test_git_ignores_clips_and_what_is_written_about_them(folder):
    tracked_files()  # skips outside a checkout
    names = sorted(str(Path(folder, name)) for name in CLIP_FILES | RESULT_FILES)
    names += [str(Path(folder, name.upper())) for name in ("a.avi", "a.dcm")]
    command = ["git", "-c", f"safe.directory={ROOT}", "check-ignore", "--no-index", *names]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert sorted(set(names) - set(done.stdout.splitlines())) == []


def test_no_tracked_file_is_one_that_git_ignores():
    tracked_files()
    command = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-ci", "--exclude-standard"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == ""


def begins_as_a_clip(path: Path) -> bool:
    """Whether a file begins as a clip does, whatever its name; DICOM files often have no suffix."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    return head[128:132] == b"DICM" or video_kind(head) is not None


def test_a_clip_is_known_by_its_content(tmp_path):
    (tmp_path / "1.2.840").write_bytes(bytes(128) + b"DICM")
    write_avi(tmp_path / "notes.avi", 2)
    (tmp_path / "notes.avi").rename(tmp_path / "notes")
    (tmp_path / "text").write_text("no clip")
    assert [begins_as_a_clip(tmp_path / name) for name in ("1.2.840", "notes", "text")] == [
        True, True, False,
    ]  # fmt: skip


def test_no_clip_tracing_or_foreign_weight_is_tracked():
    """The licences of the data sets forbid passing on any frame or row of them."""
    suffixes = {suffix for suffix in CLIP_SUFFIXES if suffix != ".gif"}
    suffixes |= {".nii", ".nii.gz", ".mhd", ".pkl", ".npy", ".npz", ".pt", ".pth", ".ckpt"}
    forbidden = re.compile(
        rf"({'|'.join(map(re.escape, suffixes))})$|/(FileList|VolumeTracings)\.csv$", re.IGNORECASE
    )
    assert [path for path in tracked_files() if forbidden.search(path.as_posix())] == []
    clips = [path for path in tracked_files() if begins_as_a_clip(path)]
    assert [path for path in clips if path.parent != ROOT / "figures"] == []
    pictures = [path for path in tracked_files() if path.suffix in (".gif", ".png", ".html")]
    allowed = (ROOT / "figures", PACKAGE / "report" / "templates")
    assert [path for path in pictures if path.parent not in allowed] == []
    weights = [path for path in tracked_files() if path.suffix == ".safetensors"]
    assert [path for path in weights if path.parent != PACKAGE / "weights"] == []


def test_tracked_files_are_small():
    limits = dict.fromkeys(tracked_files(), MAX_TRACKED_BYTES)
    limits |= dict.fromkeys((PACKAGE / "weights").glob("*.safetensors"), MAX_WEIGHTS_BYTES)
    large = [path for path, limit in limits.items() if path.stat().st_size > limit]
    assert large == []


def test_lock_file_builds_the_package_offline_and_names_no_index():
    """`make` installs with --no-build-isolation: setuptools must come with the lock."""
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    version = re.search(r"^setuptools==(\d+)", lock, re.MULTILINE)
    assert version and int(version[1]) >= 77
    assert "://" not in lock and "--index" not in lock and "--find-links" not in lock


def test_lock_file_pins_what_pyproject_pins():
    pins = re.findall(r'"([a-z-]+==[\d.]+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    assert pins and set(pins) <= set(lock)
