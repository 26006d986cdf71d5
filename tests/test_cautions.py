"""Warnings with codes: the list, the code that uses it and TABLES.md agree, and texts come back."""

import ast
import copy
import pickle

import pytest

from echolib.cautions import CODES, Caution, joined, restored, split
from tests.commands.test_tables import TEXT
from tests.test_house import MODULES, tree_of


def codes_used():
    """The codes of all warnings that the package makes; each is written out where it is made."""
    for name in MODULES:
        for node in ast.walk(tree_of(name)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Caution":
                if isinstance(node.args[0], ast.Constant):
                    yield node.args[0].value
                else:
                    assert name == "cautions", f"{name}, line {node.lineno}: no code written out"


def test_every_code_is_used_and_every_used_code_is_listed():
    assert set(codes_used()) == set(CODES)


def test_tables_describes_every_code():
    rows = [row for row in TEXT.partition("| code | meaning |")[2].splitlines()[2:] if row]
    described = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert described == [[code, meaning] for code, meaning in CODES.items()]


def test_an_unknown_code_is_refused():
    with pytest.raises(ValueError, match="'few-beets' is no code of a warning"):
        Caution("few-beets", "Few.")


def test_cautions_come_back_from_a_table():
    cautions = [Caution("one-beat", "One | beat."), Caution("no-spacing", "5 px = ?")]
    row = joined(cautions)
    assert split(row["warning_codes"]) == ["one-beat", "no-spacing"]
    assert split(row["warnings"]) == ["One / beat.", "5 px = ?"]  # one part each
    back = restored(row["warning_codes"], row["warnings"])
    assert back == cautions and [caution.code for caution in back] == ["one-beat", "no-spacing"]
    assert restored(*joined([]).values()) == restored(float("nan"), float("nan")) == []
    with pytest.raises(ValueError, match="shorter"):
        restored("one-beat | no-spacing", "One beat.")


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_copies_keep_their_code(copied):
    caution = copied(Caution("one-beat", "One beat."))
    assert (caution, caution.code) == ("One beat.", "one-beat")
