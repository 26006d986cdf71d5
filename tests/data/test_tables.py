"""Tables as people save them: encodings, separators, and what is no table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echolib.data.tables import read_lines, read_table, read_text, to_numbers
from echolib.errors import DataError

TEXT = "FileName,EF,Split\n0X1.avi,55.5,TRAIN\nHerz-é,40,TEST\n"
NEEDED = ["FileName", "EF", "Split"]


def read(path, data: bytes, needed=NEEDED):
    path.write_bytes(data)
    return read_table(path, needed)


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "cp1252"],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_every_encoding_line_end_and_separator_is_read(tmp_path, encoding, end, separator):
    text = TEXT.replace("\n", end).replace(",", separator)
    table, problems = read(tmp_path / "list.csv", text.encode(encoding))
    assert problems == [] and list(table) == NEEDED
    assert table.FileName.tolist() == ["0X1.avi", "Herz-é"]
    assert to_numbers(table.EF).tolist() == [55.5, 40.0]


def test_quotes_spaces_blank_lines_and_trailing_separators_change_nothing(tmp_path):
    data = b'\n "FileName" , "EF", Split\n\n"0X1.avi", "55.5",TRAIN,,\n\n\n"a,b",40,"TEST"\n'
    table, problems = read(tmp_path / "list.csv", data)
    assert problems == [] and table.FileName.tolist() == ["0X1.avi", "a,b"]
    assert table.index.tolist() == [4, 7]  # lines of the file, as an editor counts them


@pytest.mark.parametrize("separator", [";", "\t"])
def test_decimal_commas_become_points_with_exponents_too(tmp_path, separator):
    rows = ["FileName EF Split", "a 5,55E+01 TRAIN", "b -4,5e-1 1,2,3"]
    (tmp_path / "table.csv").write_text("\n".join(rows).replace(" ", separator))
    table, _ = read_table(tmp_path / "table.csv", ["FileName", "EF", "Split"])
    assert table.EF.astype(float).tolist() == [55.5, -0.45] and table.Split.iloc[1] == "1,2,3"


def test_commas_between_tabs_stay_where_numbers_have_points(tmp_path):
    (tmp_path / "table.csv").write_text("FileName\tEF\tSplit\na\t55.5\tTRAIN\nb\t1,250\tVAL\n")
    table, _ = read_table(tmp_path / "table.csv", ["FileName", "EF", "Split"])
    assert table.EF.tolist() == ["55.5", "1,250"]


def test_decimal_commas_between_semicolons_become_points(tmp_path):
    data = b'FileName;EF;Split\na;55,5;TRAIN\nb;"-40,25";1,2,3\n'
    table, _ = read(tmp_path / "list.csv", data)
    assert table.EF.tolist() == ["55.5", "-40.25"] and table.Split.tolist() == ["TRAIN", "1,2,3"]


def test_rows_with_other_than_the_headers_fields_are_counted(tmp_path):
    data = b"FileName,EF,Split\na,1,TRAIN\nb,2\nc,3,TEST,more\nd,4,VAL\n"
    table, problems = read(tmp_path / "list.csv", data)
    assert table.FileName.tolist() == ["a", "d"]
    assert [(problem.row, problem.reason) for problem in problems] == [
        (3, "the row has 2 fields, the header 3"), (4, "the row has 4 fields, the header 3")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b" \n\r\n", "is empty"),
        ("\n".encode("utf-16"), "is empty"),
        (b"FileName,EF,Split\n", "header but no rows"),
        (b"FileName,EF,Split\na,1\n", "no row has the 3 fields of its header. The first, row 2"),
        (
            b"FileName,EF,Split\na\x00,1,TRAIN\nb,\x00,VAL\n",
            "holds 2 NUL bytes, the first in row 2",
        ),
        (b"FileName,EF,Split\na,1,\x1bTRAIN\n", "control characters"),
        (bytes(range(128, 256)), "neither UTF-8, UTF-16 nor Latin-1"),
        (b"PK\x03\x04" + bytes(range(256)), "not a readable CSV"),
        (b"FileName,EF,EF,Split\na,1,1,TRAIN\n", r"columns of one name, \['EF'\]"),
        (b"<html>no</html>\n", r"lacks the columns \['FileName', 'EF', 'Split'\]; it has"),
        (b'FileName,EF,Split\n"' + b"a,1,TRAIN\n" * 20_000, "quotation mark that is not closed"),
    ],
)
def test_what_is_no_table_is_one_sentence_that_names_the_file(tmp_path, data, message):
    with pytest.raises(DataError, match=message) as error:
        read(tmp_path / "list.csv", data)
    assert str(tmp_path / "list.csv") in str(error.value) and len(str(error.value)) < 500


def test_a_header_of_many_columns_is_not_listed_whole(tmp_path):
    header = ",".join(f"column{number}" for number in range(3000)).encode()
    with pytest.raises(DataError, match="and 2988 more") as error:
        read(tmp_path / "list.csv", header + b"\n")
    assert len(str(error.value)) < 700


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_a_data_error(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    for content in (data, b"FileName,EF,Split\n" + data):
        path.write_bytes(content)
        for reader in (read_text, lambda path: read_table(path, NEEDED)):
            try:
                reader(path)
            except DataError as error:
                assert "any.csv" in str(error)


def test_lists_lose_marks_comments_and_spaces(tmp_path):
    path = tmp_path / "list.txt"
    path.write_bytes("\ufeff patient0001 \r\n\r\n# second\r\npatient0002\t# no\r\n".encode())
    assert read_lines(path) == ["patient0001", "patient0002"]
    with pytest.raises(DataError, match="is missing"):
        read_lines(tmp_path / "none.txt")


def test_numbers_of_any_size_are_floats_and_other_texts_none():
    import pandas as pd

    numbers = to_numbers(pd.Series(["9" * 400, "1e400", " 5 ", "True", "", "0x1A", "nan"]))
    assert numbers.tolist()[:3] == [float("inf"), float("inf"), 5.0] and numbers[3:].isna().all()
