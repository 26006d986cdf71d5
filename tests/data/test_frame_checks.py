"""A set of frames refuses arrays of other types, impossible numbers and unknown splits."""

from dataclasses import replace

import numpy as np
import pytest

from echolib.data import FrameSet, Problem, open_data
from echolib.errors import DataError
from tests.makers import frame_set, ventricle_set

FRAMES = ventricle_set(4)
N, SIDE = 4, 48


def landmarks_with(value):
    landmarks = FRAMES.landmarks.copy()
    landmarks[2, 7, 1] = value
    return landmarks


WRONG = {
    "masks of 0 and 255": ("masks", FRAMES.masks * np.uint8(255), "uint8 .* from 0 to 255"),
    "masks of 0 and 1": ("masks", FRAMES.masks.astype(np.uint8), "uint8 .* from 0 to 1"),
    "float masks": ("masks", FRAMES.masks.astype(np.float32), "masks: expected bool .* float32"),
    "float images": ("images", FRAMES.images / np.float32(255), "images: .* found float32 .* from"),
    "wide images": ("images", FRAMES.images.astype(np.int16), "images: expected uint8 .* int16"),
    "colour": ("images", np.stack([FRAMES.images] * 3, -1), r"\(4, 48, 48, 3\)"),
    "fewer images": ("images", FRAMES.images[1:], r"images: .* for 4 frames.*\(3, 48, 48\)"),
    "not square": ("images", FRAMES.images[:, 1:], r"images: .*\(4, 47, 48\)"),
    "other size": ("masks", FRAMES.masks[:, 1:, 1:], r"masks: .*\(4, 47, 47\)"),
    "no axes": ("images", np.zeros(4, np.uint8), r"images: .*\(4,\)"),
    "double landmarks": ("landmarks", FRAMES.landmarks.astype(float), "landmarks: .* float64"),
    "39 landmarks": ("landmarks", FRAMES.landmarks[:, 1:], r"landmarks: .*\(4, 39, 2\)"),
    "NaN": ("landmarks", landmarks_with(np.nan), "landmarks: .* found nan in frame 2.* 1 of 4"),
    "far": ("landmarks", landmarks_with(1e30), r"landmarks: .* found 1e\+30 in frame 2"),
    "infinite": ("landmarks", landmarks_with(-np.inf), "landmarks: .* found -inf in frame 2"),
    "regions": ("regions", FRAMES.masks, "regions: expected uint8 .* found bool"),
    "neighbours": ("neighbours", FRAMES.images, r"neighbours: .*\(4, 2, S, S\)"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_arrays_are_refused_in_the_set_and_on_loading(tmp_path, kind):
    name, array, found = WRONG[kind]
    with pytest.raises(DataError, match=found):
        replace(FRAMES, **{name: array})
    FRAMES.save(tmp_path / "set")
    np.save(tmp_path / "set" / f"{name}.npy", array)
    with pytest.raises(DataError, match=f"not a complete set of packed frames.*{found}"):
        FrameSet.load(tmp_path / "set")


@pytest.mark.parametrize("split", ["tarin", "Train", "", "all", np.nan])
def test_an_unknown_split_is_refused(tmp_path, split):
    table = FRAMES.table.copy()
    table.loc[1, "split"] = split
    found = r"split of the frames: expected one of .* in row 3"
    with pytest.raises(DataError, match=found):
        replace(FRAMES, table=table)
    FRAMES.save(tmp_path / "set")
    table.to_csv(tmp_path / "set" / "frames.csv", index=False)
    with pytest.raises(DataError, match=found):
        open_data(tmp_path / "set")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("fps", "fast"), ("fps", "inf"), ("fps", -50), ("fps", 0), ("fps", "1e999"),
        ("spacing", "0,5"), ("spacing", -1.0),
        ("spacing", 1e308), ("fps", 1e308), ("height", 10**9),
        ("frame", "first"), ("frame", -1), ("frame", 1.5),
        ("frame", 1e300), ("frame", ""), ("height", 0), ("width", "wide"), ("width", "nan"),
    ],
)  # fmt: skip
def test_a_table_with_impossible_numbers_is_refused(tmp_path, column, value):
    FRAMES.save(tmp_path / "set")
    table = FRAMES.table.astype({column: object})
    table.loc[[1, 3], column] = value
    table.to_csv(tmp_path / "set" / "frames.csv", index=False)
    found = rf"frames\.csv, column {column}: expected .* in row 3 and other values in 1 more"
    with pytest.raises(DataError, match=found):
        FrameSet.load(tmp_path / "set")


@pytest.mark.parametrize("column", ["clip", "split", "fps", "width"])
def test_a_table_without_a_column_is_refused(tmp_path, column):
    FRAMES.save(tmp_path / "set")
    FRAMES.table.drop(columns=column).to_csv(tmp_path / "set" / "frames.csv", index=False)
    with pytest.raises(DataError, match=rf"frames\.csv lacks the columns \['{column}'\]"):
        FrameSet.load(tmp_path / "set")


@pytest.mark.parametrize(
    "content",
    [
        "", "file,row,reason\n", "file,row,reason,action,more\na,1,b,left out,c\n",
        "file,row,reason,action\na,first,b,left out\n", "reason,action,file,row\n",
        'file,row,reason,action\n"a', "\x00",
    ],
)  # fmt: skip
def test_damaged_problems_are_refused(tmp_path, content):
    FRAMES.save(tmp_path / "set")
    (tmp_path / "set" / "problems.csv").write_text(content)
    with pytest.raises(DataError, match=r"problems\.csv: expected a table of problems"):
        FrameSet.load(tmp_path / "set")


def test_problems_and_extra_columns_are_read_back(tmp_path):
    problems = (Problem("a, b", 3, 'the "why"'), Problem("c", None, "NA", "noted"))
    frames = frame_set()
    frames = replace(frames, problems=problems, table=frames.table.assign(dataset="expert"))
    frames.save(tmp_path / "set")
    loaded = FrameSet.load(tmp_path / "set")
    assert loaded.problems == problems and loaded.table.equals(frames.table)


@pytest.mark.parametrize("name", ["images", "masks", "landmarks"])
@pytest.mark.parametrize(
    "header",
    ["{'descr': '|u1', 'shape': (4, 48, 48", "{'descr': '|u1'}", "(((", "\t'''", "{'descr': "],
)
def test_a_damaged_header_is_one_error_that_names_the_file(tmp_path, name, header):
    FRAMES.save(tmp_path / "set")
    path = tmp_path / "set" / f"{name}.npy"
    content = path.read_bytes()
    text = header.encode().ljust(118)
    path.write_bytes(content[:10] + text + content[10 + len(text) :])
    with pytest.raises(DataError, match=rf"{name}\.npy: expected one array"):
        FrameSet.load(tmp_path / "set")
