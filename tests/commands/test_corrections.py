"""The command that lists corrections, adds downloaded ones, and compares two annotators."""

import json

import pandas as pd
import pytest

from echolib.commands.parser import main
from echolib.corrections import Folder
from tests.corrections.made import document, frame
from tests.makers import EchoNetFolder


@pytest.fixture
def study(tmp_path):
    return EchoNetFolder(tmp_path / "study").write()


@pytest.fixture
def download(tmp_path):
    """A function that writes documents as an exported page does."""

    def write(*documents):
        paths = [tmp_path / f"{number}.json" for number in range(len(documents))]
        for path, content in zip(paths, documents, strict=True):
            path.write_text(json.dumps(content))
        return [str(path) for path in paths]

    return write


def test_downloads_are_added_listed_and_compared(tmp_path, study, download, capsys):
    made = [document("0X0001"), document("0X0001", annotator="ben"),
            document("0X0005", answer="other view", frames={})]  # fmt: skip
    made[1]["frames"]["9"] = frame(12.0)
    place = str(tmp_path / "corrected")
    assert main(["corrections", place, "--data", str(study), "--add", *download(*made)]) == 0
    said = capsys.readouterr().out
    assert "3 of 3 corrections added" in said and f"2 clips in {place}" in said
    assert (
        "anna: 2 clips (1 not readable or of another view), 2 frames outlined, 0 not readable, "
        "1.4 min, 20.8 s per outlined frame" in said
    )
    table = tmp_path / "agreement.csv"
    command = ["corrections", place, "--agreement", "anna", "ben", "--csv", str(table)]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "anna and ben: 2 frames of 1 clips drawn by both, 0 answers differ" in said
    assert "ventricle: Dice 0.9" in said and "EF of 1 clips: mean absolute difference" in said
    assert "least: 0X0001, frame 9, ventricle" in said
    assert pd.read_csv(table).frame.tolist() == [2, 9]
    assert Folder(place, "anna").document("0X0005")["answer"] == "other view"
    table.write_text("mine")
    assert main(command) == 2 and "Give --force" in capsys.readouterr().err
    assert table.read_text() == "mine"
    assert main([*command, "--force"]) == 0 and pd.read_csv(table).frame.tolist() == [2, 9]


def test_what_could_not_be_added_is_said(tmp_path, download, capsys):
    place = str(tmp_path / "corrected")
    assert main(["corrections", place, "--add", *download(document())]) == 0
    said = capsys.readouterr().out
    assert "1 of 1 corrections added" in said and "not in the folder" in said
    assert "1 x noted: The video of the clip 0X0001 is not in the folder" in said
    (tmp_path / "corrected" / "documents" / "anna" / "0X0001.json").write_text("{")
    assert main(["corrections", place]) == 0
    assert "0X0001.json" in capsys.readouterr().out


def test_listing_an_empty_folder_writes_nothing(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert main(["corrections", str(tmp_path / "empty")]) == 2
    assert "Name a folder of corrections" in capsys.readouterr().err
    assert not any((tmp_path / "empty").iterdir())


def test_the_table_of_a_comparison_replaces_no_table_of_the_folder(
    tmp_path, study, download, capsys
):
    place, both = tmp_path / "corrected", [document("0X0001"), document("0X0001", annotator="ben")]
    assert main(["corrections", str(place), "--data", str(study), "--add", *download(*both)]) == 0
    before = (place / "FileList.csv").read_bytes()
    command = ["corrections", str(place), "--agreement", "anna", "ben", "--force"]
    assert main([*command, "--csv", str(place / "FileList.csv")]) == 2
    assert "FileList.csv lies in the folder of the data" in capsys.readouterr().err
    assert (place / "FileList.csv").read_bytes() == before


def test_nobody_is_compared_with_himself(tmp_path, study, download, capsys):
    place = str(tmp_path / "corrected")
    assert main(["corrections", place, "--data", str(study), "--add", *download(document())]) == 0
    assert main(["corrections", place, "--agreement", "anna", "anna"]) == 2
    assert "Expected two annotators to compare, found 'anna' twice" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "no such folder"),
        (["--add", "none.json"], "no such file"),
        (["--data", "here"], "give --add or --masks too"),
        (["--csv", "here"], "give --agreement too"),
    ],
)
def test_wrong_arguments_are_one_line(tmp_path, capsys, options, said):
    assert main(["corrections", str(tmp_path / "none"), *options]) == 2
    message = capsys.readouterr().err
    assert said in message and "Traceback" not in message
    assert not (tmp_path / "none").exists()


def test_a_name_without_corrections_is_said(tmp_path, study, download, capsys):
    place = str(tmp_path / "corrected")
    added = ["corrections", place, "--data", str(study), "--add", *download(document())]
    assert main(added) == 0
    assert main(["corrections", place, "--agreement", "anna", "ben"]) == 2
    assert "no corrections by 'ben'" in capsys.readouterr().err
