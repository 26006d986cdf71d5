"""A folder of clips without any table."""

import os

import numpy as np
import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian

from echolib.data import Dataset, LooseClips, Problem, loose, open_data, problem_summary
from echolib.errors import DataError
from tests.makers import write_avi

UID = "1.2.840.113619.2.391.42"


def write_dicom(path, preamble=True):
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.3.1", UID
    dataset.set_pixel_data(np.full((3, 40, 40), 80, np.uint8), "MONOCHROME2", bits_stored=8)
    dataset.save_as(path, enforce_file_format=True)
    if not preamble:
        path.write_bytes(path.read_bytes()[132:])


@pytest.fixture
def folder(tmp_path):
    """Clips of all kinds of names, beside files that are none."""
    folder = tmp_path / "clips"
    write_avi(folder / "a.avi", 3)
    for name in ("b.AVI", "a.mp4", UID, "plain"):
        (folder / name).write_bytes((folder / "a.avi").read_bytes())
    write_dicom(folder / "image.dcm")
    write_dicom(folder / "IM.xyz")
    write_dicom(folder / "IM0001", preamble=False)
    for name in ("a.json", "a.png", "notes.txt", "._a.avi", ".DS_Store", "Thumbs.db", "x", "y.1"):
        (folder / name).write_bytes(b"no clip")
    write_dicom(folder / "DICOMDIR")
    (folder / "photo.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(200))
    write_avi(folder / "below" / "deep.avi", 3)
    return folder


def test_every_clip_of_a_folder_is_found_and_nothing_else(folder):
    data = open_data(folder)
    assert isinstance(data, LooseClips) and data.name == "clips"
    assert data.problems == []
    names = {"a.avi", "a.mp4", "b", UID, "plain", "image", "IM.xyz", "IM0001", "below_deep"}
    assert set(data.table.index) == names
    assert (data.table.patient == data.table.index).all() and (data.table.split == "").all()
    for name in names:
        clip = data.clip(name)
        assert clip.name == name and len(clip.frames) == 3
        assert data.labelled(name) == ([], [])


def test_a_folder_of_clips_is_a_data_set(folder):
    data: Dataset = LooseClips(folder)
    before = data.fingerprint()
    assert before == LooseClips(folder).fingerprint()
    write_avi(folder / "c.avi", 4)
    assert LooseClips(folder).fingerprint() != before


def test_a_clip_that_was_replaced_by_one_of_the_same_size_is_another(folder):
    before = LooseClips(folder).fingerprint()
    path = folder / "image.dcm"
    data = bytearray(path.read_bytes())
    data[-100:] = bytes(100)
    path.write_bytes(data)
    assert LooseClips(folder).fingerprint() != before


@pytest.mark.parametrize("suffix", ["vob", "qt", "DIVX", "m2v", "mpe"])
def test_videos_with_rarer_suffixes_are_found(folder, suffix):
    (folder / f"rare.{suffix}").write_bytes((folder / "a.avi").read_bytes())
    assert len(LooseClips(folder).clip("rare").frames) == 3


def test_a_link_to_a_clip_that_is_gone_is_a_problem(folder, tmp_path):
    for name in ("gone.avi", "1.2.840", "other.txt", ".hidden.avi"):
        (folder / name).symlink_to(tmp_path / "nowhere")
    problems = LooseClips(folder).problems
    assert [(each.file, each.action) for each in problems if each.action != "noted"] == [
        ("1.2.840", "left out"), ("gone.avi", "left out"),
    ]  # fmt: skip
    assert "link to a file that is not there" in str(problems[0])
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "gone.avi").symlink_to(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"found none but 1 x left out: a link.*gone\.avi"):
        LooseClips(tmp_path / "links")


def test_names_that_are_not_utf_8_are_read_and_reported(folder):
    (folder / os.fsdecode(b"M\xfcller.avi")).write_bytes((folder / "a.avi").read_bytes())
    (folder / os.fsdecode(b"d\xe9.avi")).write_bytes(b"")
    data = LooseClips(folder)
    assert data.clip("M\ufffdller").name == "M\ufffdller" and len(data.fingerprint()) == 12
    with pytest.raises(DataError, match="empty file") as caught:
        data.clip("d\ufffd")
    problem = Problem(data.table.path["d\ufffd"].name, None, str(caught.value))
    for text in (str(caught.value), str(problem), problem_summary([problem])):
        assert "d\ufffd.avi" in text and text.encode()


def test_a_damaged_clip_is_listed_and_says_so_when_it_is_read(folder):
    (folder / "bad.avi").write_bytes(b"")
    with pytest.raises(DataError, match=r"bad\.avi.*empty file"):
        LooseClips(folder).clip("bad")


def test_a_folder_without_a_clip_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("no clip")
    with pytest.raises(DataError, match=r"holds no data set .*or clips, found \['notes.txt'\]"):
        open_data(tmp_path)
    with pytest.raises(DataError, match="expected clips, found none"):
        LooseClips(tmp_path)


def test_folders_in_a_folder_are_searched_but_for_results_and_data_sets(folder):
    for name in ("visit1/dcm", "visit2", "results", "notes", ".cache", "study/Videos"):
        (folder / name).mkdir(parents=True)
    write_dicom(folder / "visit1" / "dcm" / "IM0002", preamble=False)
    (folder / "visit1" / "dcm" / "IM0003.dcm").write_bytes(b"")  # a copy that broke off
    for name in ("visit2", "results", ".cache", "study/Videos"):
        write_avi(folder / name / "b.avi", 3)
    for table in ("clips.csv", "beats.csv"):
        (folder / "results" / table).write_text("name\n")
    (folder / "visit2" / "report.html").write_text("of another program")
    (folder / "study" / "FileList.csv").write_text("FileName\n")
    (folder / "notes" / "LICENSE").write_text("no clip")
    (folder / "visit2" / "back").symlink_to(folder)
    (folder / "visit2" / "gone.avi").symlink_to(folder / "nowhere")
    for path in folder.iterdir():
        if path.is_file():
            path.unlink()
    data = open_data(folder)
    names = ["below_deep", "visit1_dcm_IM0002", "visit1_dcm_IM0003", "visit2_b"]
    assert list(data.table.index) == names
    assert [(each.file, each.action) for each in data.problems] == [
        ("study", "noted"), ("visit2/gone.avi", "left out"),
    ]  # fmt: skip
    assert data.clip("visit1_dcm_IM0002").name == "visit1_dcm_IM0002"
    with pytest.raises(DataError, match="IM0003.*empty file"):
        data.clip("visit1_dcm_IM0003")


def test_clips_beside_results_are_not_passed_over_in_silence(tmp_path):
    write_avi(tmp_path / "a.avi", 3)
    for name in ("own/overlay.mp4", "own/b_overlay.mp4", "mixed/overlay.mp4", "mixed/b.avi"):
        write_avi(tmp_path / name, 3)
        (tmp_path / name).with_name("masks.npz").write_bytes(b"")
    data = LooseClips(tmp_path)
    assert list(data.table.index) == ["a"]
    assert [str(problem) for problem in data.problems] == [
        "mixed: clips beside results of echolib, which are not searched (noted)"
    ]


def test_what_cannot_be_opened_is_named(tmp_path, monkeypatch):
    for name in ("a.avi", "shut/b.avi"):
        write_avi(tmp_path / name, 3)
    (tmp_path / "IM0").write_bytes(b"no clip")
    (tmp_path / "IM1").touch()
    refused = {str(tmp_path / "shut"), str(tmp_path / "IM0")}
    monkeypatch.setattr(loose.os, "access", lambda path, _: str(path) not in refused)
    data = LooseClips(tmp_path)
    assert list(data.table.index) == ["a"]
    assert [str(problem) for problem in data.problems] == [
        "IM0: the file cannot be opened (left out)",
        "IM1: an empty file (left out)",
        "shut: the folder cannot be opened (left out)",
    ]


def test_a_link_to_a_folder_is_followed_once(folder, tmp_path):
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    write_avi(tmp_path / "elsewhere" / "c.avi", 3)
    (tmp_path / "elsewhere" / "again").symlink_to(tmp_path / "elsewhere")
    assert [name for name in LooseClips(folder).table.index if "c" in name] == ["linked_c"]


def test_a_folder_that_holds_nothing_but_a_data_set_names_it(tmp_path):
    write_avi(tmp_path / "study" / "Videos" / "b.avi", 3)
    (tmp_path / "study" / "FileList.csv").write_text("FileName\n")
    with pytest.raises(DataError, match="holds no clip: .*data set with tables.*study"):
        open_data(tmp_path)


def test_clips_of_one_name_in_two_folders_change_the_fingerprint(tmp_path):
    write_avi(tmp_path / "anna" / "b.avi", 3)
    before = LooseClips(tmp_path).fingerprint()
    (tmp_path / "anna").rename(tmp_path / "bert")
    assert LooseClips(tmp_path).fingerprint() != before


def test_a_table_gives_the_ejection_fractions_of_clips(tmp_path):
    for path in ("a.avi", "b.avi", "anna/1/IM0.avi", "bert/IM0.avi", "c.avi"):
        write_avi(tmp_path / path, 3)
    before = LooseClips(tmp_path).fingerprint()
    rows = [
        "a;55,5", "B.AVI;61 %", "anna\\1\\IM0;30", "bert_IM0;40", "IM0;50", "gone.avi;50",
        "b;62", "c;high", "./c.avi;0,5",
    ]  # fmt: skip
    (tmp_path / "EF.csv").write_text("\n".join(["clip;EF;remark", *(f"{row};" for row in rows)]))
    data = open_data(tmp_path)
    assert data.table.EF.dropna().to_dict() == {
        "a": 55.5, "b": 61, "anna_1_IM0": 30, "bert_IM0": 40,
    }  # fmt: skip
    assert [str(problem) for problem in data.problems] == [
        "EF.csv, row 6: IM0 may be any of 2 clips: write its folders, too (left out)",
        "EF.csv, row 7: gone.avi is no clip of this folder (left out)",
        "EF.csv, row 8: b is listed again (left out)",
        "EF.csv, row 9: EF of c is 'high'; expected 0 to 100: it is unknown (left out)",
        "EF.csv, row 10: EF of ./c.avi is 0.5, as a share, but others are above 1: it is unknown "
        "(left out)",
    ]
    assert data.fingerprint() != before


def test_ejection_fractions_that_are_shares_become_per_cent(tmp_path):
    write_avi(tmp_path / "a.avi", 3)
    (tmp_path / "EF.csv").write_text("clip,EF\na,0.555\n")
    data = LooseClips(tmp_path)
    assert data.table.EF.tolist() == [pytest.approx(55.5)] and data.problems[0].action == "mended"
    (tmp_path / "EF.csv").rename(tmp_path / "ef.CSV")
    assert LooseClips(tmp_path).table.EF.tolist() == [pytest.approx(55.5)]
    (tmp_path / "ef.CSV").write_text("name,EF\na,0.555\n")
    with pytest.raises(DataError, match=r"lacks the columns \['clip'\].*Write a header with"):
        LooseClips(tmp_path)
    (tmp_path / "ef.CSV").rename(tmp_path / "EF.xlsx")
    (problem,) = LooseClips(tmp_path).problems
    assert str(problem) == "EF.xlsx: this table is not read: save it as EF.csv (noted)"
