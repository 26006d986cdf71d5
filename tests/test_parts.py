"""Parts of a long run: kept if whole, made anew with a warning if not."""

import json
import os

import pytest

from echolib.errors import DataError
from echolib.parts import Parts

RUN = {"data": "abc", "sizes": (1, 2)}
HELD = ["a", "b"]
CONTENT = {"rows": [[1, 0.1], ["x", float("inf")]], "none": None}


@pytest.fixture
def parts(tmp_path):
    made = Parts(tmp_path / "parts", RUN)
    (made.folder / "masks").mkdir()
    (made.folder / "masks" / "a.bin").write_bytes(b"array")
    assert made.load("one", HELD) is None
    assert made.save("one", HELD, CONTENT, [made.folder / "masks" / "a.bin"]) == CONTENT
    return made


def test_a_whole_part_is_loaded_by_the_same_run(parts):
    assert Parts(parts.folder, RUN).load("one", HELD) == CONTENT
    with pytest.raises(DataError, match="another run; they differ in data"):
        Parts(parts.folder, RUN | {"data": "other"})


def without_a_row(path):
    stored = json.loads(path.read_text())
    del stored["part"]["content"]["rows"][0]
    path.write_text(json.dumps(stored))


DAMAGES = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-9]),
    "empty": lambda path: path.write_bytes(b""),
    "other JSON": lambda path: path.write_text("[1, 2]"),
    "a number": lambda path: path.write_text("5"),
    "nested": lambda path: path.write_text("[" * 100_000),
    "no text": lambda path: path.write_bytes(b"\xff\xfe\x00"),
    "a row less": without_a_row,
    "another number": lambda path: path.write_text(path.read_text().replace("0.1", "0.2")),
    "retyped": lambda path: path.write_text(path.read_text().replace("0.1", '"0.1"')),
    "no array": lambda path: (path.parent / "masks" / "a.bin").unlink(),
    "other array": lambda path: (path.parent / "masks" / "a.bin").write_bytes(b"arrax"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_part_is_made_anew_with_a_warning(parts, damage):
    DAMAGES[damage](parts.path("one"))
    with pytest.warns(UserWarning, match=r"one\.json cannot be used \(.+\)\. .*made anew"):
        assert parts.load("one", HELD) is None


@pytest.mark.parametrize("held", [["a"], ["a", "b", "c"], ["b", "a"], ["a", "c"], []])
def test_a_part_that_holds_something_else_is_made_anew(parts, held):
    with pytest.warns(UserWarning, match="it holds"):
        assert parts.load("one", held) is None


def test_a_part_of_another_run_does_not_fit(parts, tmp_path):
    other = Parts(tmp_path / "other", RUN | {"data": "other"})
    other.save("two", HELD, CONTENT)
    other.path("two").rename(parts.path("two"))
    parts.path("three").write_bytes(parts.path("one").read_bytes())  # another part of this run
    for name in ("two", "three"):
        with pytest.warns(UserWarning, match="checksum is wrong"):
            assert parts.load(name, HELD) is None


@pytest.mark.parametrize("text", ["{", "[1]", "5", "[" * 100_000])
def test_a_damaged_identity_is_named_or_the_folder_is_emptied(parts, text):
    (parts.folder / "identity.json").write_text(text)
    with pytest.raises(DataError, match=r"identity\.json is damaged"):
        Parts(parts.folder, RUN)
    assert Parts.or_anew(parts.folder, RUN).load("one", HELD) is None
    assert os.listdir(parts.folder) == ["identity.json"]
