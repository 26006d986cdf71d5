"""The notebooks' skeleton and what may be stored in them: each rule, and that it can fail."""

import ast
import base64
import copy
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import cv2
import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tools import notebooks as tool
from tools.pages import WIDGET_VIEW

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SOLUTIONS = sorted((ROOT / "notebooks" / "solutions").glob("*.ipynb"))
MAX_LINES = 30
MAX_BYTES = 1_500_000
MAX_MODULES = 8  # of echolib that a notebook imports from
MAX_IGNORED = 0.25  # share of all code cells whose text is not compared
SHORTEST_ALT = 30  # characters that say what a picture shows

# A path that holds on one machine only; /tmp is where `make refresh` keeps its data.
LOCAL_PATH = re.compile(r"(?<![\w.])(/home/\w|/Users/\w|/root/|/tmp/|[A-Z]:\\+Users\\)")
SUBMODULES = {path.stem for path in (ROOT / "echolib").iterdir()}
EMBEDDED = re.compile(r"base64,[A-Za-z0-9+/=\s]+")


# --- reading a notebook -------------------------------------------------------------------------


def code_cells(notebook: dict) -> list[dict]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def text_of(value: str | list[str]) -> str:
    """A string of the notebook format, which may be stored as a list of lines."""
    return value if isinstance(value, str) else "".join(value)


def outputs(notebook: dict) -> Iterator[dict]:
    for cell in code_cells(notebook):
        yield from cell["outputs"]


def output_text(output: dict) -> str:
    """All text of an output, without images and other embedded data."""
    kinds = output.get("data", {}).items()
    texts = [text_of(value) for kind, value in kinds if kind.startswith("text/")]
    texts += [text_of(output.get("text", "")), text_of(output.get("traceback", ""))]
    return EMBEDDED.sub("", "\n".join(texts))


def headings(notebook: dict) -> list[str]:
    """The headings of the first and the second level, in order."""
    found = []
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            found += re.findall(r"^##? .+$", text_of(cell["source"]), flags=re.MULTILINE)
    return [heading.strip() for heading in found]


def section(notebook: dict, name: str) -> list[dict]:
    """The cells from the heading `## name` to the next heading of the second level."""
    cells, inside = [], False
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            here = re.findall(r"^## (.+)$", text_of(cell["source"]), flags=re.MULTILINE)
            inside = here[-1].strip() == name if here else inside
        if inside:
            cells.append(cell)
    return cells


def statements(cell: dict) -> list[ast.stmt]:
    """The Python statements of a code cell, without magics and shell lines."""
    lines = text_of(cell["source"]).splitlines()
    kept = [line for line in lines if not line.lstrip().startswith(("%", "!"))]
    return ast.parse("\n".join(kept)).body


def imports(cell: dict) -> list[ast.stmt]:
    """Import statements of a cell, also those inside functions."""
    nodes = [node for statement in statements(cell) for node in ast.walk(statement)]
    return [node for node in nodes if isinstance(node, (ast.Import, ast.ImportFrom))]


def is_ignored(cell: dict) -> bool:
    """Whether nbval runs a code cell without comparing what it gives."""
    return tool.IGNORED in cell["metadata"].get("tags", [])


# --- the rules: each yields what is wrong -------------------------------------------------------


def rule_format(notebook: dict) -> Iterator[str]:
    if notebook["metadata"].get("kernelspec", {}).get("name") != "python3":
        yield "the kernelspec is not python3: run `make refresh`"
    ids = [cell.get("id") for cell in notebook["cells"]]
    if None in ids or len(set(ids)) < len(ids):
        yield "a cell has no id, or two have the same"


def rule_header(notebook: dict) -> Iterator[str]:
    """Below the title a paragraph, and a box with time, difficulty and the notebooks around it."""
    first = text_of(notebook["cells"][0]["source"])
    if not re.match(r"# .+\n\n[^#>\n].*\n", first):
        yield "the first cell is not a title ('# ...') and a paragraph below it"
    box = "\n".join(line[1:] for line in first.splitlines() if line.startswith(">"))
    facts = dict(re.findall(r"\*\*(\w[\w ]*)\*\* ([^*]+)", box))
    if list(facts) != ["Time", "Difficulty", "Builds on", "Previous", "Next"]:
        yield f"the box ('> **Time** ...') does not hold Time to Next, but {list(facts)}"
    elif not re.match(r"★+☆*( |$)", facts["Difficulty"]) or "minutes to read" not in facts["Time"]:
        yield f"the box has no stars, or does not say the minutes to read: {facts}"


def rule_skeleton(notebook: dict) -> Iterator[str]:
    found = headings(notebook)
    if sum(heading.startswith("# ") for heading in found) != 1:
        yield "there is not exactly one title"
    sections = [heading[3:] for heading in found if heading.startswith("## ")]
    numbers = [int(number) for number in re.findall(r"^(\d+)\b", "\n".join(sections), re.MULTILINE)]
    order = [re.sub(r"^\d+\b.*", "", name) for name in sections]
    order = [re.sub(r"^Aims?\b.*", "Aim", name) for name in order]
    if (
        order
        != ["Aim", "Setup", *[""] * len(numbers), "Summary", "Quiz", "Exercises", "References"]
        or not numbers
    ):
        yield f"not Aim, Setup, 1. ..., Summary, Quiz, Exercises, References, but {sections}"
    if numbers != list(range(1, len(numbers) + 1)):
        yield f"sections are not numbered 1 to n, but {numbers}"


def rule_setup(notebook: dict) -> Iterator[str]:
    cells = code_cells({"cells": section(notebook, "Setup")})
    if len(cells) != 2:
        yield f"Setup has {len(cells)} code cells: one for imports, one for configuration"
        return
    kinds = {type(statement) for statement in statements(cells[0])}
    if not kinds or kinds - {ast.Import, ast.ImportFrom}:
        yield "the first cell of Setup does not hold imports, or not only imports"
    late = [cell["id"] for cell in code_cells(notebook) if cell is not cells[0] and imports(cell)]
    if late:
        yield f"imports outside the import cell, in cells {late}"


def rule_quiz(notebook: dict) -> Iterator[str]:
    """Five numbered questions, each with its answer folded away below it."""
    text = "\n".join(text_of(cell["source"]) for cell in section(notebook, "Quiz"))
    found = re.findall(
        r"^(\d)\. [^<]+\n+<details><summary>Answer</summary>\n\n.+", text, re.MULTILINE
    )
    if found != list("12345"):
        yield f"there are not five questions, numbered and with a folded answer each, but {found}"


def rule_exercises(notebook: dict) -> Iterator[str]:
    """A warm-up and three exercises: stars, minutes, a folded hint, and the way to the solution."""
    text = "\n".join(text_of(cell["source"]) for cell in section(notebook, "Exercises"))
    parts = re.split(r"^(?=\*\*\d\. )", text, flags=re.MULTILINE)[1:]
    starts = [re.match(r"\*\*(\d)\. .+\*\* \(★+☆*, \d+ minutes\)", part) for part in parts]
    numbers = [start[1] for start in starts if start]
    if numbers != list("0123") or not parts[0].startswith("**0. Warm-up**"):
        yield f"there are not '**0. Warm-up** (★☆☆, 5 minutes)' and three exercises, but {numbers}"
    for part in parts:
        if "<details><summary>Hint</summary>\n\n" not in part:
            yield f"an exercise without a folded hint: {part[:40]}"
        if not re.search(r"\[Solution\]\(solutions/\d\d_solutions\.ipynb(#.+)?\)", part):
            yield f"an exercise without a link to its solution: {part[:40]}"


def rule_cell_length(notebook: dict) -> Iterator[str]:
    for cell in code_cells(notebook):
        lines = len(text_of(cell["source"]).splitlines())
        if lines > MAX_LINES:
            yield f"cell {cell['id']} has {lines} lines, at most {MAX_LINES}: move it into echolib"


def rule_modules(notebook: dict) -> Iterator[str]:
    modules = set()
    for cell in code_cells(notebook):
        for statement in imports(cell):
            if isinstance(statement, ast.Import):
                modules |= {alias.name for alias in statement.names}
            elif statement.module == "echolib":  # a room, or a name of the door
                names = (alias.name for alias in statement.names)
                modules |= {f"echolib.{n}" if n in SUBMODULES else "echolib" for n in names}
            else:
                modules.add(statement.module or "")
    ours = sorted(name for name in modules if name.split(".")[0] == "echolib")
    if len(ours) > MAX_MODULES:
        yield f"imports from {len(ours)} modules of echolib, at most {MAX_MODULES}: {ours}"


def rule_counts(notebook: dict) -> Iterator[str]:
    counts = [cell["execution_count"] for cell in code_cells(notebook)]
    if counts != list(range(1, len(counts) + 1)):
        yield f"execution counts are not 1 to n, but {counts}: run `make refresh`"


def rule_errors(notebook: dict) -> Iterator[str]:
    for output in outputs(notebook):
        if output["output_type"] == "error":
            yield f"an error is stored: {output.get('ename')}"


def rule_paths(notebook: dict) -> Iterator[str]:
    texts = [text_of(cell["source"]) for cell in notebook["cells"]]
    texts += [output_text(output) for output in outputs(notebook)]
    places = [re.escape(str(place)) for place in (ROOT, Path.home()) if place != Path("/")]
    here = re.compile(rf"(?<![\w.])({'|'.join(places)})(?![\w.-])")
    for text in texts:
        found = here.search(text) or LOCAL_PATH.search(text)
        if found:
            yield f"a path of one machine ({found.group()}) in: {text[:200]}"


def rule_widgets(notebook: dict) -> Iterator[str]:
    if "widgets" in notebook["metadata"]:
        yield "widget state is stored: run `make refresh`"
    if any(WIDGET_VIEW in output.get("data", {}) for output in outputs(notebook)):
        yield "a widget is stored that shows as an error without its state: run `make refresh`"


def rule_timing(notebook: dict) -> Iterator[str]:
    if any("execution" in cell["metadata"] for cell in notebook["cells"]):
        yield "timing metadata is stored: run `make refresh`"


def rule_images(notebook: dict) -> Iterator[str]:
    """There are pictures, and each is described for those who do not see it."""
    cells = [
        cell
        for cell in code_cells(notebook)
        if any("image/png" in output.get("data", {}) for output in cell["outputs"])
    ]
    told = [cell["metadata"].get("alt", "") for cell in cells]
    if not cells:
        yield "no picture is stored"
    for cell, alt in zip(cells, told, strict=True):
        if len(alt) < SHORTEST_ALT or told.count(alt) > 1:
            yield f"cell {cell['id']} lacks `alt` in its metadata: what its picture shows"
    pages = [text_of(output.get("data", {}).get("text/html", "")) for output in outputs(notebook)]
    for tag in re.findall(r"<img [^>]*>", EMBEDDED.sub("", " ".join(pages))):
        if not re.search(r'alt=.[^"\']{10}', tag):
            yield f"an <img> without a text of its own: {tag[:80]}"


def rule_ignored(notebook: dict) -> Iterator[str]:
    """A cell whose text is not compared asserts what must hold."""
    for cell in code_cells(notebook):
        asserts = [node for node in statements(cell) for node in ast.walk(node)]
        if is_ignored(cell) and not any(isinstance(node, ast.Assert) for node in asserts):
            yield f"cell {cell['id']} is ignored by nbval and asserts nothing"


def rule_independent(notebook: dict) -> Iterator[str]:
    helpers = {"import_ipynb", "importnb", "nbimporter", "ipynb", "notebooks", "nbformat"}
    helpers |= {path.stem for path in NOTEBOOKS}
    for cell in code_cells(notebook):
        if re.search(r"^\s*%(run|load)\b", text_of(cell["source"]), re.MULTILINE):
            yield f"cell {cell['id']} runs another file"
        for statement in imports(cell):
            names = [alias.name for alias in statement.names]
            names.append(getattr(statement, "module", None) or "")
            if helpers & {name.split(".")[0] for name in names}:
                yield f"cell {cell['id']} imports a notebook: {ast.unparse(statement)}"


def rule_refreshed(notebook: dict) -> Iterator[str]:
    """Outputs that `make refresh` did not store, or of an own clip, may show a patient."""
    yield from tool.faults(nbformat.reads(json.dumps(notebook), as_version=4))


def rule_size(notebook: dict) -> Iterator[str]:
    size = len(json.dumps(notebook))
    if size > MAX_BYTES:
        yield f"{size} bytes, at most {MAX_BYTES}: smaller or fewer pictures"


RULES = {name[5:]: rule for name, rule in list(globals().items()) if name.startswith("rule_")}
OF_THE_COURSE = {"header", "skeleton", "setup", "quiz", "exercises", "images"}  # not of solutions


# --- the course's notebooks keep the rules ------------------------------------------------------


def read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", NOTEBOOKS + SOLUTIONS, ids=lambda path: path.stem)
def test_notebook_is_valid(path):
    nbformat.validate(read(path))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_keeps_the_rule(path, rule):
    assert list(RULES[rule](read(path))) == []


@pytest.mark.parametrize("rule", sorted(RULES.keys() - OF_THE_COURSE))
@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_solutions_keep_the_rule(path, rule):
    assert list(RULES[rule](read(path))) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_exercise_has_a_solution(path):
    number = path.stem[:2]
    found = headings(read(path.parent / "solutions" / f"{number}_solutions.ipynb"))
    assert [heading.split(".")[0] for heading in found[1:]] == [f"## {n}" for n in range(4)]
    assert f"solutions/{number}_solutions.ipynb" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", NOTEBOOKS + SOLUTIONS, ids=lambda path: path.stem)
def test_what_nbval_compares_is_of_the_notebook(path):
    """Copies in fast mode have the code cells of today; `make refresh` makes both."""
    whole, compared = code_cells(read(path)), code_cells(read(tool.COMPARED / path.name))
    assert [(cell["id"], text_of(cell["source"]), is_ignored(cell)) for cell in whole] == [
        (cell["id"], text_of(cell["source"]), is_ignored(cell)) for cell in compared
    ]


def test_nbval_compares_every_notebook_and_nothing_else():
    names = {path.name for path in NOTEBOOKS + SOLUTIONS}
    assert {path.name for path in tool.COMPARED.glob("*.ipynb")} == names
    for name in names:
        assert list(rule_refreshed(read(tool.COMPARED / name))) == []


def test_few_cells_are_ignored():
    cells = [cell for path in NOTEBOOKS + SOLUTIONS for cell in code_cells(read(path))]
    assert sum(map(is_ignored, cells)) <= MAX_IGNORED * len(cells)


# --- the rules can fail -------------------------------------------------------------------------

PLOT = "plt.plot([0.0, 1.0])\nplt.show()"
BOX = """> **Time** 5 minutes to read, 1 to run · **Difficulty** ★☆☆ · **Builds on** nothing
> **Previous** none · **Next** none"""
QUESTION = "{}. What is it?\n\n<details><summary>Answer</summary>\n\nA line.\n\n</details>"
EXERCISE = """**{}. {}** (★☆☆, 5 minutes) Draw it.

<details><summary>Hint</summary>

By hand.

</details>

[Solution](solutions/00_solutions.ipynb)"""
ROOMS = "browse, config, data, figures, geometry, metrics, networks, valve, ventricle"


@pytest.fixture(scope="module")
def refreshed(tmp_path_factory) -> dict:
    """A small notebook that keeps all rules, as `make refresh` leaves it."""
    cells = [
        new_markdown_cell(f"# A title\n\nWhat this is about.\n\n{BOX}"),
        new_markdown_cell("## Aim\n\nAfterwards the reader can plot."),
        new_markdown_cell("## Setup"),
        new_code_cell("import os\n\nimport matplotlib.pyplot as plt"),
        new_code_cell("FAST = os.environ['ECHOLIB_FAST']\nprint(FAST)"),
        new_markdown_cell("## 1. A line"),
        new_code_cell(
            PLOT, metadata={"execution": {}, "alt": "A line from the left to the right."}
        ),
        new_markdown_cell("## Summary\n\nIt was drawn."),
        new_markdown_cell("## Quiz\n\n" + "\n\n".join(map(QUESTION.format, range(1, 6)))),
        new_markdown_cell("## Exercises\n\n" + EXERCISE.format(0, "Warm-up")),
        new_markdown_cell("\n\n".join(EXERCISE.format(n, "More") for n in (1, 2, 3))),
        new_markdown_cell("## References\n\n1. Somebody."),
    ]
    path = tmp_path_factory.mktemp("notebooks") / "00_small.ipynb"
    nbformat.write(new_notebook(cells=cells, metadata={"widgets": {}}), path)
    before = dict(os.environ)
    tool.refresh([path], path.parent / "fast")
    assert dict(os.environ) == before  # other tests' settings are as they were
    return json.loads(path.read_text(encoding="utf-8"))


def test_refresh_keeps_the_code_and_the_text_of_a_run_in_fast_mode(tmp_path):
    sources = "import os\nprint(os.environ['ECHOLIB_FAST'])", "print('ignored')"
    path = write_notebook(tmp_path / "01_a.ipynb", *sources)
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[1].metadata.tags = [tool.IGNORED]
    notebook.cells.insert(0, new_markdown_cell("# A title"))
    nbformat.write(notebook, path)
    tool.refresh([path], tmp_path / "fast")
    whole, fast = read(path), read(tmp_path / "fast" / path.name)
    assert [cell["cell_type"] for cell in fast["cells"]] == ["code", "code"]
    assert [output_text(output).strip() for output in outputs(whole)] == ["0", "ignored"]
    assert [output_text(output).strip() for output in outputs(fast)] == ["1"]


@pytest.mark.parametrize("rule", RULES)
def test_a_refreshed_notebook_keeps_the_rule(refreshed, rule):
    assert list(RULES[rule](refreshed)) == []


def retitle(notebook: dict, old: str, new: str) -> None:
    """Replace `old` by `new` in the sources."""
    found = False
    for cell in notebook["cells"]:
        source = text_of(cell["source"])
        found = found or old in source
        cell["source"] = source.replace(old, new)
    assert found, old


def print_out(notebook: dict, text: str, kind: str = "stream") -> None:
    """Store an output in the last code cell."""
    output = {"output_type": "stream", "name": "stdout", "text": [text]}
    if kind != "stream":
        output = {"output_type": "display_data", "metadata": {}, "data": {kind: text}}
    code_cells(notebook)[-1]["outputs"].append(output)


def error(notebook: dict) -> None:
    failure = {"output_type": "error", "ename": "ValueError", "evalue": "", "traceback": []}
    code_cells(notebook)[0]["outputs"].append(failure)


BREAKAGES = [
    ("format", lambda nb: nb["metadata"]["kernelspec"].update(name="conda-env")),
    ("format", lambda nb: nb["metadata"].pop("kernelspec")),
    ("format", lambda nb: nb["cells"][3].pop("id")),
    ("format", lambda nb: nb["cells"][3].update(id=nb["cells"][4]["id"])),
    ("header", lambda nb: nb["cells"].pop(0)),
    ("header", lambda nb: retitle(nb, "What this is about.\n\n", "")),
    ("header", lambda nb: retitle(nb, "**Builds on** nothing", "")),
    ("header", lambda nb: retitle(nb, "★☆☆ · ", "easy · ")),
    ("header", lambda nb: retitle(nb, " to read", "")),
    ("skeleton", lambda nb: nb["cells"].pop(0)),
    ("skeleton", lambda nb: retitle(nb, "## Aim", "## Goal")),
    ("skeleton", lambda nb: retitle(nb, "## Setup", "### Setup")),
    ("skeleton", lambda nb: retitle(nb, "## 1. A line", "## A line")),
    ("skeleton", lambda nb: retitle(nb, "## 1.", "## 2.")),
    ("skeleton", lambda nb: retitle(nb, "## Summary", "# Summary")),
    ("skeleton", lambda nb: nb["cells"].pop()),
    ("skeleton", lambda nb: nb["cells"].insert(1, nb["cells"].pop())),
    ("setup", lambda nb: nb["cells"].pop(4)),
    ("setup", lambda nb: retitle(nb, "import os\n", "import os\n\nSEED = 1\n")),
    ("setup", lambda nb: retitle(nb, PLOT, "import numpy\n" + PLOT)),
    ("setup", lambda nb: retitle(nb, PLOT, "def late():\n    import numpy\n")),
    ("quiz", lambda nb: retitle(nb, "5. What", "6. What")),
    ("quiz", lambda nb: retitle(nb, "<details><summary>Answer", "<details open><summary>Answer")),
    ("exercises", lambda nb: retitle(nb, "**3. More**", "**4. More**")),
    ("exercises", lambda nb: retitle(nb, "**0. Warm-up**", "**0. First**")),
    ("exercises", lambda nb: retitle(nb, "More** (★☆☆, 5 minutes)", "More**")),
    ("exercises", lambda nb: retitle(nb, "<summary>Hint", "<summary>Help")),
    ("exercises", lambda nb: retitle(nb, "[Solution](solutions/", "[Solution](")),
    ("cell_length", lambda nb: retitle(nb, PLOT, "x = 1\n" * 31)),
    ("modules", lambda nb: retitle(nb, "import os\n", f"from echolib import {ROOMS}\nimport os\n")),
    ("counts", lambda nb: nb["cells"][4].update(execution_count=None)),
    ("counts", lambda nb: nb["cells"][4].update(execution_count=7)),
    ("errors", error),
    ("paths", lambda nb: print_out(nb, "read /home/someone/data/x.avi")),
    ("paths", lambda nb: print_out(nb, r"read C:\Users\someone\x.avi")),
    ("paths", lambda nb: print_out(nb, f"read {ROOT}/data")),
    ("paths", lambda nb: print_out(nb, f"the checkout is {ROOT}")),
    ("paths", lambda nb: print_out(nb, "<p>/tmp/echolib-1/data</p>", "text/html")),
    ("paths", lambda nb: retitle(nb, PLOT, "open('/Users/me/x')")),
    ("paths", lambda nb: retitle(nb, "What this is about.", "In /root/data.")),
    ("widgets", lambda nb: nb["metadata"].update(widgets={"state": {}})),
    ("widgets", lambda nb: print_out(nb, "{}", WIDGET_VIEW)),
    ("timing", lambda nb: nb["cells"][4]["metadata"].update(execution={})),
    ("images", lambda nb: [cell.update(outputs=[]) for cell in code_cells(nb)]),
    ("images", lambda nb: code_cells(nb)[-1]["metadata"].pop("alt")),
    ("images", lambda nb: code_cells(nb)[-1]["metadata"].update(alt="a line")),
    ("images", lambda nb: print_out(nb, '<img width="9" src="x">', "text/html")),
    ("ignored", lambda nb: nb["cells"][4]["metadata"].update(tags=[tool.IGNORED])),
    ("independent", lambda nb: retitle(nb, "import os\n", "import import_ipynb, os\n")),
    ("independent", lambda nb: retitle(nb, "import os\n", "from notebooks import x\n")),
    ("independent", lambda nb: retitle(nb, PLOT, "%run 01_data_exploration.ipynb")),
    ("refreshed", lambda nb: print_out(nb, "Jane Doe")),
    ("refreshed", lambda nb: code_cells(nb)[1].update(outputs=[])),
    ("refreshed", lambda nb: nb["metadata"].pop("echolib")),
    ("refreshed", lambda nb: retitle(nb, PLOT, f"MINE = 'jane_doe.dcm'\n{PLOT}")),
    ("refreshed", lambda nb: retitle(nb, PLOT, f"%time\nMINE = other = echolib\n{PLOT}")),
    ("size", lambda nb: print_out(nb, "A" * MAX_BYTES, "image/png")),
]


@pytest.mark.parametrize(
    ("rule", "breakage"), BREAKAGES, ids=[f"{rule}-{n}" for n, (rule, _) in enumerate(BREAKAGES)]
)
def test_a_broken_notebook_breaks_the_rule(refreshed, rule, breakage):
    notebook = copy.deepcopy(refreshed)
    breakage(notebook)
    assert list(RULES[rule](notebook)) != []


def test_every_rule_is_shown_to_fail():
    assert {rule for rule, _ in BREAKAGES} == set(RULES)


@pytest.mark.parametrize("text", ["data/phantom/x.avi", "http://example.org/home/a", "mm/root/2"])
def test_relative_paths_and_addresses_are_allowed(refreshed, text):
    notebook = copy.deepcopy(refreshed)
    print_out(notebook, text)
    assert list(RULES["paths"](notebook)) == []


def test_embedded_data_is_not_searched_for_paths(refreshed):
    notebook = copy.deepcopy(refreshed)
    print_out(notebook, '<img src="data:image/png;base64,AAAA/tmp/BBBB/root/">', "text/html")
    assert list(RULES["paths"](notebook)) == []


def test_a_changed_source_and_a_clip_that_is_none_are_allowed(refreshed):
    notebook = copy.deepcopy(refreshed)
    retitle(notebook, PLOT, f"MINE = None\n{PLOT}")
    assert list(RULES["refreshed"](notebook)) == []


# --- Nobody publishes a patient by accident -------------------------------------------------------


def write_notebook(path: Path, *sources: str) -> Path:
    cells = [new_code_cell(source) for source in sources]
    nbformat.write(new_notebook(cells=cells), path)
    return path


def test_only_refresh_writes_into_the_figures_that_git_tracks(tmp_path, monkeypatch):
    source = "import os\nprint(os.environ.get('ECHOLIB_FIGURES'))"
    path = write_notebook(tmp_path / "01_where.ipynb", source)
    tool.refresh([path], tmp_path / "fast")
    told = [output_text(output).strip() for output in outputs(json.loads(path.read_text()))]
    assert told == [str(ROOT / "figures")]
    monkeypatch.delenv("ECHOLIB_FIGURES")
    tool.run([path], tmp_path / "out")
    executed = json.loads((tmp_path / "out" / path.name).read_text())
    assert [output_text(output).strip() for output in outputs(executed)] == ["None"]


def test_refresh_refuses_an_own_clip_before_it_runs_anything(tmp_path):
    first = write_notebook(tmp_path / "01_a.ipynb", "open('here.txt', 'w').close()")
    own = write_notebook(tmp_path / "02_b.ipynb", "MINE = 'jane_doe.dcm'")
    with pytest.raises(SystemExit, match="02_b.ipynb: MINE names a clip of your own"):
        tool.refresh([first, own], tmp_path / "fast")
    assert not (tmp_path / "here.txt").exists()


def test_check_refuses_outputs_of_another_run(tmp_path):
    path = write_notebook(tmp_path / "01_a.ipynb", "print(6 * 7)")
    tool.refresh([path], tmp_path / "fast")
    tool.main(["check", str(path)])
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[0].outputs[0].text = "Jane Doe"
    nbformat.write(notebook, path)
    with pytest.raises(SystemExit, match="01_a.ipynb: its outputs are not those .*make refresh"):
        tool.main(["check", str(path)])


def test_copies_are_made_once_and_never_written_over(tmp_path, capsys):
    path, folder = write_notebook(tmp_path / "01_a.ipynb", "1"), tmp_path / "own"
    tool.copy([path], folder)
    assert (folder / path.name).read_bytes() == path.read_bytes()
    write_notebook(folder / path.name, "MINE = 'jane_doe.dcm'")
    os.utime(path, (2**31, 2**31))  # the course's notebook was renewed
    before = (folder / path.name).read_bytes()
    tool.copy([path], folder)
    assert (folder / path.name).read_bytes() == before
    assert "01_a.ipynb is newer than" in capsys.readouterr().out


def test_copies_of_solutions_and_of_the_page_are_where_links_expect_them(tmp_path):
    (tmp_path / "course" / "solutions").mkdir(parents=True)
    (tmp_path / "course" / "README.md").write_text("A glossary.", encoding="utf-8")
    names = ("01_a.ipynb", "solutions/01_solutions.ipynb")
    paths = [write_notebook(tmp_path / "course" / name, "1") for name in names]
    tool.copy(paths, tmp_path / "own")
    found = sorted(str(path.relative_to(tmp_path / "own")) for path in tmp_path.rglob("own/**/*.*"))
    assert found == ["01_a.ipynb", "README.md", "solutions/01_solutions.ipynb"]


def test_lab_opens_copies_that_git_ignores():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert f"/lab/tree/{tool.COPIES}" in makefile
    assert f"/{tool.COPIES}/" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()


# --- `make run` ---------------------------------------------------------------------------------


@pytest.fixture
def plain(tmp_path) -> Path:
    """A notebook of one cell that can be executed quickly."""
    path = tmp_path / "01_plain.ipynb"
    nbformat.write(
        new_notebook(cells=[new_code_cell("open('here.txt', 'w').close()\n6 * 7")]), path
    )
    return path


@pytest.mark.parametrize("kind", ["grey", "colour", "transparent"])
def test_pictures_are_stored_smaller_and_the_same(kind):
    grey = np.random.default_rng(0).integers(0, 256, (40, 50, 1), np.uint8)
    pixels = np.concatenate([grey, grey, grey, np.full_like(grey, 255)], axis=2)
    pixels[..., {"grey": 3, "colour": 0, "transparent": 3}[kind]] = 255 if kind == "grey" else 7
    data = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()
    small = base64.b64decode(tool.shrink(base64.b64encode(data).decode()))
    assert len(small) < len(data) or kind == "transparent"
    decoded = [
        cv2.imdecode(np.frombuffer(some, np.uint8), cv2.IMREAD_COLOR) for some in (data, small)
    ]
    assert np.array_equal(*decoded)


def test_run_keeps_the_notebook_and_stores_the_executed_one(plain, tmp_path, capsys):
    before = plain.read_bytes()
    tool.run([plain], tmp_path / "out")
    assert plain.read_bytes() == before
    assert (tmp_path / "here.txt").exists()  # the working folder is the notebook's
    executed = json.loads((tmp_path / "out" / plain.name).read_text())
    assert [output_text(output).strip() for output in outputs(executed)] == ["42"]
    assert (tmp_path / "out" / "01_plain.html").exists()
    shown = capsys.readouterr().out
    assert "01_plain.html" in shown and f"browser: {tmp_path / 'out' / 'index.html'}" in shown


def test_the_index_has_the_pages_of_earlier_runs_also_after_a_failure(plain, tmp_path):
    tool.run([plain], tmp_path / "out")
    failing = tmp_path / "02_failing.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell("1 / 0")]), failing)
    with pytest.raises(SystemExit, match="02_failing"):
        tool.run([failing], tmp_path / "out")
    pages = {"01_plain": ["02_failing"], "02_failing": ["01_plain"]}
    for name, linked in (pages | {"index": list(pages)}).items():
        page = (tmp_path / "out" / f"{name}.html").read_text(encoding="utf-8")
        assert all(f'href="{other}.html"' in page for other in linked)


def test_run_stops_at_the_first_notebook_that_fails(plain, tmp_path):
    failing = tmp_path / "00_failing.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell("1 / 0")]), failing)
    with pytest.raises(SystemExit, match=r"ZeroDivisionError[\s\S]*00_failing.ipynb failed"):
        tool.run([failing, plain], tmp_path / "out")
    assert (tmp_path / "out" / "00_failing.html").exists()
    assert not (tmp_path / "out" / "01_plain.ipynb").exists()


def test_a_notebook_must_be_named():
    with pytest.raises(SystemExit, match="No notebook"):
        tool.main(["run"])
