"""FileList.csv and the folder of videos as people have them: splits, numbers, names, patients."""

import warnings

import numpy as np
import pandas as pd
import pytest

from echolib.data import EchoNet, FrameSet, pack, problem_summary
from echolib.errors import DataError
from tests.makers import EchoNetFolder, ventricle, write_avi


@pytest.fixture
def folder(tmp_path):
    return EchoNetFolder(tmp_path / "echonet")


def rename(folder, names):
    """Give the clips of a folder other names, in both tables and among the videos."""
    for old, new in zip(folder.files.FileName, names, strict=True):
        videos = folder.folder / "Videos"
        (videos / f"{old}.avi").rename(videos / f"{new}.avi")
    new = dict(zip(folder.files.FileName + ".avi", [f"{name}.avi" for name in names], strict=True))
    folder.tracings["FileName"] = folder.tracings.FileName.map(new)
    folder.files["FileName"] = names


@pytest.mark.parametrize(
    ("splits", "parts"),
    [
        ("", ["'' in 6", "TRAIN, VAL and TEST", "0 to 9"]),
        (["A", "A", "A", "B", "B", "C"], ["'A' in 3, 'B' in 2, 'C' in 1"]),
        (list("abcdef"), ["none of its 6 rows", "1 other words", "6 x left out"]),
    ],
)
def test_a_list_without_a_known_split_says_which_words_it_has(folder, splits, parts):
    folder.files["Split"] = splits
    with pytest.raises(DataError) as error:
        EchoNet(folder.write())
    for part in (*parts, "FileList.csv"):
        assert part in str(error.value)
    assert str(error.value).count("\n") == 1


def test_a_list_with_every_name_in_two_splits_is_one_sentence(folder):
    again = folder.files.assign(Split=["TEST"] * 5 + ["TRAIN"])
    folder.files = pd.concat([folder.files, again], ignore_index=True)
    with pytest.raises(
        DataError, match="none of its 12 rows.*\n12 x left out: 0X0000 is listed in"
    ):
        EchoNet(folder.write())


def test_a_row_without_a_name_is_counted(folder):
    folder.files.loc[2, "FileName"] = " "
    data = EchoNet(folder.write())
    assert "FileList.csv, row 4: FileName is empty (left out)" in map(str, data.problems)


@pytest.mark.parametrize(
    "side",
    ["0X0001.json", "0X0001.png", "0X0001.txt", "0X0001.mp4", "0X0001.AVI.txt", "._0X0001.avi",
     ".DS_Store", "Thumbs.db", "0X0001", "0X0001.zip", "0X0001.MOV", "0X0001.dcm", "0X0001.gif"],
)  # fmt: skip
def test_files_beside_a_video_are_not_opened(folder, side):
    (folder.folder / "Videos" / side).write_bytes(b"no video")
    data = EchoNet(folder.write())
    assert data.problems == [] and data.table.path["0X0001"].name == "0X0001.avi"
    assert len(data.labelled("0X0001")[0]) == 2


@pytest.mark.parametrize("side", ["0X0001.json", "0X0001.png", "._0X0001.avi", "0X0001.dcm"])
def test_files_of_other_kinds_do_not_stand_in_for_a_missing_video(folder, side):
    (folder.folder / "Videos" / "0X0001.avi").rename(folder.folder / "Videos" / side)
    data = EchoNet(folder.write())
    assert "0X0001" not in data.table.index
    assert "Videos/0X0001.avi is missing" in data.problems[0].reason


@pytest.mark.parametrize("name", ["0X0001.AVI", "0X0001.Avi", "0X0001"])
def test_a_video_is_found_by_a_suffix_in_capitals_and_without_one(folder, name):
    videos = folder.folder / "Videos"
    (videos / "0X0001.avi").rename(videos / name)
    (videos / "0X0001.json").write_text("{}")
    data = EchoNet(folder.write())
    assert data.problems == [] and len(data.labelled("0X0001")[0]) == 2


def test_tables_may_name_clips_by_uids(folder):
    rename(folder, [f"1.2.840.113619.2.391.{number}" for number in range(42, 48)])
    data = EchoNet(folder.write())
    assert data.problems == [] and len(data.table) == 6
    frames, problems = data.labelled("1.2.840.113619.2.391.42")
    assert problems == [] and frames[0].clip == "1.2.840.113619.2.391.42"


@pytest.mark.parametrize(
    "names", [[f"0X{number * 0xABCDEF1:016X}" for number in range(1, 7)], list("abcdef")]
)
def test_missing_videos_are_one_line_of_the_summary(folder, names, tmp_path):
    rename(folder, names)
    for name in names[:4]:
        (folder.folder / "Videos" / f"{name}.avi").unlink()
    data = EchoNet(folder.write())
    lines = problem_summary(data.problems).splitlines()
    assert [line[:12] for line in lines] == ["4 x left out"] * 2  # FileList.csv, and tracings
    packed = pack(data, tmp_path / "packed", 48, progress=False)
    assert problem_summary(packed.problems).splitlines() == lines
    assert problem_summary(FrameSet.load(tmp_path / "packed").problems).splitlines() == lines


@pytest.mark.parametrize("value", ["0", "-50", "inf", "-inf", "1e308", "0.033", "1002", "fast"])
def test_an_impossible_frame_rate_is_unknown_and_noted(folder, value):
    folder.files.loc[1, "FPS"] = value
    data = EchoNet(folder.write())
    (problem,) = data.problems
    assert (problem.row, problem.action) == (3, "noted") and f"'{value}'" in problem.reason
    assert data.clip("0X0001").fps is None and data.clip("0X0002").fps == 50
    assert data.labelled("0X0001")[0][0].fps is None


@pytest.mark.parametrize(
    "column", ["EF", "ESV", "EDV", "FrameHeight", "FrameWidth", "NumberOfFrames", "FPS"]
)
@pytest.mark.parametrize("value", ["inf", "1e308", "-1e308", "9" * 400, "nan", "text"])
def test_impossible_numbers_of_a_clip_are_unknown_and_counted(folder, column, value):
    folder.files[column] = value
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = EchoNet(folder.write())
        frames, _ = data.labelled("0X0001")
    assert len(frames) == 2
    assert problem_summary(data.problems).startswith("6 x noted")
    assert len(problem_summary(data.problems)) < 500


@pytest.mark.parametrize("value", ["1e300", "-1", "1e7", "inf", "nan", "2.5", "9" * 400, ""])
def test_an_impossible_frame_number_is_a_counted_problem(folder, value):
    folder.tracings.loc[folder.rows(1, 9), "Frame"] = value
    data = EchoNet(folder.write())
    (problem,) = data.problems
    assert "not a frame number" in problem.reason and problem.action == "left out"
    assert "usable traced frames: 1" in data.labelled("0X0001")[1][-1].reason


@pytest.mark.parametrize("value", ["1e308", "-1e308", "1e5"])
def test_coordinates_far_away_are_counted_without_an_overflow(folder, value):
    folder.tracings.loc[folder.rows(1, 9)[3:], "X1"] = value
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = EchoNet(folder.write())
        frames, problems = data.labelled("0X0001")
    assert problem_summary(data.problems).startswith("18 x left out: coordinates of 0X0001 are")
    assert "\n" not in problem_summary(data.problems)
    assert frames == [] and "2 usable chords" in problems[0].reason


def test_both_tables_are_read_in_any_encoding(folder):
    path = folder.write()
    for name in ("FileList.csv", "VolumeTracings.csv"):
        text = (path / name).read_text().replace(",", ";").replace(".0;", ",0;")
        (path / name).write_bytes(text.replace("\n", "\r\n").encode("utf-16"))
    data = EchoNet(path)
    assert data.problems == [] and data.table.EF["0X0001"] == 55 and len(data.table) == 6
    assert len(data.labelled("0X0001")[0]) == 2


class TestPediatric:
    @pytest.fixture
    def pediatric(self, folder):
        """Six clips of four patients, named patient-accession-instance, in folds."""
        names = ["CR1-A1-1", "CR1-A1-2", "CR2-A2-1", "CR3-A3-1", "CR4-A4-1", "CR4-A5-1"]
        rename(folder, names)
        files = pd.DataFrame({"FileName": [f"{name}.avi" for name in names], "EF": 60.0})
        folder.files = files.assign(Sex="F", Split=[0, 3, 7, 8, 9, 9]).astype(object)
        points = pd.DataFrame(ventricle(18.0), columns=["X", "Y"])
        tables = [
            points.assign(FileName=name, Frame=frame) for name in files.FileName for frame in (2, 9)
        ]
        folder.tracings = pd.concat(tables, ignore_index=True)
        return folder

    def test_the_patient_is_the_first_part_of_the_name(self, pediatric):
        data = EchoNet(pediatric.write())
        assert data.problems == [] and data.pediatric
        assert data.table.patient.tolist() == ["CR1", "CR1", "CR2", "CR3", "CR4", "CR4"]
        frames, _ = data.labelled("CR1-A1-1")
        assert frames[0].patient == "CR1"

    def test_the_rate_comes_from_the_video(self, pediatric):
        data = EchoNet(pediatric.write())
        assert np.isnan(data.table.fps).all()
        assert data.clip("CR1-A1-1").fps == 50 and data.labelled("CR1-A1-1")[0][0].fps == 50

    def test_no_patient_is_in_two_splits(self, pediatric):
        pediatric.files["Split"] = [0, 9, 7, 8, 8, 3]
        data = EchoNet(pediatric.write())
        assert data.table.split.to_dict() == {
            "CR1-A1-2": "test", "CR2-A2-1": "train", "CR3-A3-1": "val", "CR4-A4-1": "val"
        }  # fmt: skip
        leaks = [problem for problem in data.problems if "leak" in problem.reason]
        assert [problem.row for problem in leaks] == [2, 7]
        reason = "CR1-A1-1 is in the split train, another clip of its patient CR1 in test"
        assert leaks[0].reason.startswith(reason)

    def test_a_video_of_another_size_does_not_hide_the_rate_of_others(self, pediatric):
        write_avi(pediatric.folder / "Videos" / "CR2-A2-1.avi", size=(96, 128))
        data = EchoNet(pediatric.write())
        assert data.labelled("CR2-A2-1")[0] == [] and data.clip("CR2-A2-1").fps == 50


# --- Ejection fractions ---------------------------------------------------------------------------


def test_shares_become_per_cent_with_a_problem(folder):
    per_cent = EchoNet(folder.write()).table.EF
    folder.files["EF"] = folder.files.EF.astype(float) / 100
    data = EchoNet(folder.write())
    np.testing.assert_allclose(data.table.EF, per_cent)
    assert [str(problem) for problem in data.problems] == [
        "FileList.csv: EF is a share in all rows; it was multiplied by 100 (mended)"
    ]


def test_one_small_number_among_others_is_no_share(folder):
    folder.files["EF"] = folder.files.EF.astype(float)
    folder.files.loc[1, "EF"] = 0.6
    assert EchoNet(folder.write()).table.EF.iloc[1] == 0.6


def test_an_ef_that_is_not_that_of_its_volumes_is_noted(folder):
    folder.files = folder.files.assign(EF=60.0, EDV=100.0, ESV=40.4)
    assert EchoNet(folder.write()).problems == []
    folder.files.loc[2, ["EDV", "ESV"]] = 40.4, 100.0  # swapped
    folder.files.loc[3, "EDV"] = 0.0
    data = EchoNet(folder.write())
    assert [str(problem) for problem in data.problems] == [
        "FileList.csv, row 4: EF of 0X0002 is 60 %, but its EDV and ESV give -147.5 % (noted)"
    ]
    assert (data.table.EF == 60).all()
