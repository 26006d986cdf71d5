"""The submission file of the course task: round trips, layout of the runs, refused files."""

import contextlib
import csv
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from echolib.errors import DataError
from echolib.valve.submission import read_submission, write_submission

SHAPE = (3, 2, 4)  # T, H, W
NAMES = st.text(min_size=1, max_size=12).filter(str.isprintable)


def rows_of(path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def file_with(tmp_path, *rows: str):
    path = tmp_path / "submission.csv"
    path.write_text("\n".join(["id,value", *rows]) + "\n", encoding="utf-8")
    return path


def naive_runs(mask: np.ndarray) -> list[str]:
    """Runs of ones of a (T, H, W) mask laid out as (H, W, T), found value by value."""
    runs, start = [], None
    for place, value in enumerate([*np.moveaxis(mask, 0, -1).ravel(), False]):
        if value and start is None:
            start = place
        elif not value and start is not None:
            runs.append(f"[{start}, {place - start}]")
            start = None
    return runs


@st.composite
def clips(draw):
    shape = draw(st.tuples(st.integers(1, 6), st.integers(1, 7), st.integers(1, 7)))
    seed, density = draw(st.integers(0, 2**32 - 1)), draw(st.sampled_from([0, 0.1, 0.5, 0.9, 1]))
    return np.random.default_rng(seed).random(shape) < density


@given(st.dictionaries(NAMES, clips(), max_size=4))
def test_written_masks_are_read_back(masks):
    with tempfile.TemporaryDirectory() as folder:
        path = write_submission(Path(folder) / "submission.csv", masks)
        found = read_submission(path, {name: mask.shape for name, mask in masks.items()})
    assert list(found) == list(masks)
    for name, mask in masks.items():
        assert found[name].dtype == bool and found[name].shape == mask.shape
        assert (found[name] == mask).all()


@given(clips())
def test_runs_are_those_of_a_walk_along_time(mask):
    with tempfile.TemporaryDirectory() as folder:
        rows = rows_of(write_submission(Path(folder) / "s.csv", {"clip": mask}))
    assert rows[0] == ["id", "value"]
    assert [row[1] for row in rows[1:]] == naive_runs(mask)
    assert [row[0] for row in rows[1:]] == [f"clip_{k}" for k in range(len(rows) - 1)]


def test_file_has_exactly_the_format_of_the_task(tmp_path):
    mask = np.zeros(SHAPE, bool)
    mask[1:, 0, 1] = True  # the last two frames of the second pixel
    mask[0, 0, 2] = True  # and the first frame of the third pixel
    mask[2, 1, 3] = True
    path = write_submission(tmp_path / "new" / "submission.csv", {"0XA_B": mask})
    assert path.read_bytes() == b'id,value\n0XA_B_0,"[4, 3]"\n0XA_B_1,"[23, 1]"\n'


def test_names_may_contain_underscores_and_numbers(tmp_path):
    masks = {name: np.ones(SHAPE, bool) for name in ("a", "a_1", "a_1_0", "_", "ä_ 2")}
    path = write_submission(tmp_path / "s.csv", masks)
    found = read_submission(path, dict.fromkeys(masks, SHAPE))
    assert all(mask.all() for mask in found.values())


def test_video_without_rows_has_an_empty_mask(tmp_path):
    found = read_submission(file_with(tmp_path, 'a_0,"[0, 1]"'), {"a": SHAPE, "b": SHAPE})
    assert found["a"].sum() == 1 and not found["b"].any()


def test_rows_in_any_order_and_touching_runs_are_read(tmp_path):
    path = file_with(tmp_path, 'a_7,"[5,2]"', "", 'a_0,"[ 3, 2 ]"')
    flat = np.moveaxis(read_submission(path, {"a": SHAPE})["a"], 0, -1).ravel()
    assert np.flatnonzero(flat).tolist() == [3, 4, 5, 6]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (['a_0,"[0, 1]"', 'a_1,"[2; 1]"'], "row 3.*value"),
        (["a_0,\"__import__('os')\""], "row 2.*value"),
        (['a_0,"[-1, 2]"'], "row 2.*value"),
        (['a_0,"[1.0, 2]"'], "row 2.*value"),
        (['a_0,"[1, 2, 3]"'], "row 2.*value"),
        (['a_0,"[' + "9" * 30 + ', 1]"'], "row 2.*value"),
        (['a_0,"[0, 0]"'], "row 2.*length"),
        (['a_0,"[3, -2]"'], "row 2.*length"),
        (['a_0,"[20, 5]"'], "row 2.*after the 24"),
        (['a_0,"[4, 3]"', 'a_1,"[0, 5]"'], "row 3.*overlaps.*row 2"),
        (['a_0,"[0, 1]"', 'a_0,"[4, 1]"'], "row 3.*before"),
        (['b_0,"[0, 1]"'], "row 2.*no video is named 'b'"),
        (['a,"[0, 1]"'], "row 2.*expected an id"),
        (['_0,"[0, 1]"'], "row 2.*expected an id"),
        (['a_x,"[0, 1]"'], "row 2.*expected an id"),
        (["a_0,0,1"], "row 2.*two cells"),
    ],
)
def test_malformed_rows_are_refused_with_their_number(tmp_path, rows, message):
    path = file_with(tmp_path, *rows)
    with pytest.raises(DataError, match=message) as caught:
        read_submission(path, {"a": SHAPE})
    assert str(path) in str(caught.value)


def test_files_that_are_not_a_submission_are_refused(tmp_path):
    path = tmp_path / "s.csv"
    with pytest.raises(DataError, match="cannot be read"):
        read_submission(path, {})
    for content in (b"", b"id;value\n", b"\xff\xfe\x00", b'id,value\n"a_0'):
        path.write_bytes(content)
        with pytest.raises(DataError):
            read_submission(path, {"a": SHAPE})


@given(st.text(max_size=30), st.text(max_size=30))
def test_no_cell_causes_more_than_a_data_error(name, value):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.csv"
        with path.open("w", newline="", encoding="utf-8", errors="replace") as file:
            csv.writer(file).writerows([["id", "value"], [name, value]])
        with contextlib.suppress(DataError):
            read_submission(path, {"a": SHAPE})


@pytest.mark.parametrize(
    "masks",
    [
        {"a": np.zeros((2, 3), bool)},
        {"a": np.zeros(SHAPE)},
        {"a": [[[True]]]},
        {"": np.zeros(SHAPE, bool)},
        {"a\r": np.zeros(SHAPE, bool)},
    ],
)
def test_anything_but_masks_is_not_written(tmp_path, masks):
    with pytest.raises(ValueError, match="expected"):
        write_submission(tmp_path / "s.csv", masks)
    assert list(tmp_path.iterdir()) == []
