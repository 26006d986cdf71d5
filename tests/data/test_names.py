"""Names of clips: only known suffixes are cut off, and no two clips share one name."""

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echolib.data import read_clip
from echolib.data.names import (
    CLIP_SUFFIXES,
    clip_name,
    is_hidden,
    plain_name,
    suffix_of,
    unique_names,
)
from tests.makers import write_avi

UID = "1.2.840.113619.2.391.42"


@pytest.mark.parametrize("folder", ["", "Videos/", "C:\\echo\\Videos\\"])
@pytest.mark.parametrize("name", [UID, "0X1A", "a.b", "clip v1.2", "patient.1"])
def test_only_known_suffixes_are_cut_off(folder, name):
    assert clip_name(f" {folder}{name} ") == name
    for suffix in (*CLIP_SUFFIXES, ".AVI", ".Dcm"):
        assert clip_name(f"{folder}{name}{suffix}") == name


def test_paths_keep_a_backslash_or_a_colon_in_a_name():
    assert clip_name(Path("x/A4C:1.webm")) == "A4C:1" and clip_name(Path("x/a\\b.avi")) == "a\\b"
    assert suffix_of("x.PNG") == "" and suffix_of(UID) == "" and suffix_of("x.AVI") == ".avi"
    assert clip_name(".avi") == ".avi"


@pytest.mark.parametrize("name", ["._a.avi", ".DS_Store", "Thumbs.db", "desktop.ini"])
def test_files_that_systems_keep_for_themselves_are_hidden(name):
    assert is_hidden(Path("x", name)) and not is_hidden(Path(".x", "a.avi"))


def test_a_clip_named_by_a_uid_keeps_its_last_number(tmp_path):
    write_avi(tmp_path / "clip.avi")
    for number in (42, 43):
        path = (tmp_path / UID).with_name(f"1.2.840.113619.2.391.{number}")
        path.write_bytes((tmp_path / "clip.avi").read_bytes())
        assert read_clip(path).name == path.name


def test_equal_names_keep_their_suffixes():
    paths = [Path(name) for name in ("a.avi", "A.mp4", "b.avi", "a.avi.mp4")]
    assert list(unique_names(paths, Path())) == ["a.avi", "A.mp4", "b", "a.avi.mp4"]


def test_a_name_is_printable_and_composed():
    bad = Path(os.fsdecode(b"x/M\xfcller.avi"))
    assert clip_name(bad) == clip_name(os.fsdecode(b"M\xfcller")) == "M\ufffdller"
    composed, decomposed = (unicodedata.normalize(form, "Müller_1") for form in ("NFC", "NFD"))
    assert clip_name(Path(f"{decomposed}.avi")) == clip_name(decomposed) == composed


def test_names_that_differ_in_what_is_not_printed_are_told_apart():
    paths = [Path(os.fsdecode(name)) for name in (b"M\xfcller.avi", b"M\xffller.avi")]
    paths += [Path(unicodedata.normalize(form, "Größe.avi")) for form in ("NFC", "NFD")]
    names = unique_names([*paths, Path("a.avi")], Path())
    assert list(names.values()) == [*paths, Path("a.avi")] and "a" in names
    assert [name for name in names if name != plain_name(name)] == []
    assert all(name.startswith(("M\ufffdller.avi-", "Größe.avi-", "a")) for name in names)


def test_a_clip_in_folders_is_named_by_them_too():
    places = ["anna/1/IM0.dcm", "anna/1/IM0.avi", "bert/IM0", "bert_IM0", "IM0.dcm"]
    places += [f"{'a' * 60}/{'b' * 60}/IM0", f"{'a' * 60}/{'c' * 60}/IM0"]
    names = unique_names([Path("x", place) for place in places], Path("x"))
    assert [str(path.relative_to("x")) for path in names.values()] == places
    *short, one, other = names
    assert short[:2] == ["anna_1_IM0.dcm", "anna_1_IM0.avi"] and short[4] == "IM0"
    assert all(name.startswith("bert_IM0-") for name in short[2:4])
    assert one != other and one.endswith("_IM0") and other.endswith("_IM0") and len(one) == 12


@given(st.sets(st.text("aAb.v", min_size=1, max_size=3).map(lambda stem: f"{stem}.avi")))
def test_every_file_has_a_name_of_its_own(names):
    paths = sorted(Path("x", name) for name in names)
    assert list(unique_names(paths, Path("x")).values()) == paths
