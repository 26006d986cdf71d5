"""A folder of corrections: what is kept, by whom, and what is said where it cannot be kept."""

import errno
import json
import multiprocessing
import os
import shutil
import signal
import tempfile
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from echolib import files
from echolib.corrections import Folder, leaflet_mask, mask_document, origin
from echolib.corrections import folder as folder_module
from echolib.corrections.entries import read_entry, safe_name
from echolib.data import Camus, Clip, EchoNet, LooseClips, example_clip, open_data
from echolib.data.problems import Problem
from echolib.errors import DataError
from tests.commands.test_tables import described
from tests.corrections.made import document, frame, leaflet, points
from tests.data.files import write_video
from tests.makers import EchoNetFolder, camus_folder, race, write_avi

NOBODY = 65534


@pytest.fixture
def clip(tmp_path):
    """The file of the clip 0X0001."""
    path = tmp_path / "source" / "0X0001.avi"
    write_avi(path)
    return path


@pytest.fixture
def place(tmp_path):
    return tmp_path / "corrected"


def listed(place):
    return pd.read_csv(place / "FileList.csv", dtype=str, keep_default_na=False)


def provenance(place):
    return pd.read_csv(place / "provenance.csv", dtype=str, keep_default_na=False)


def traced(place, clip="0X0001"):
    """The frames of a clip in the order of the file."""
    table = pd.read_csv(place / "VolumeTracings.csv")
    return table.Frame[table.FileName == f"{clip}.avi"].drop_duplicates().tolist()


class TestKept:
    def test_what_was_kept_is_there_when_the_folder_is_opened_again(self, place, clip):
        Folder(place, "anna").keep(document(), clip)
        again = Folder(place, "anna")
        assert again.document("0X0001") == document()
        assert again.document("0X0002") is None and again.document("0X0001", "ben") is None
        assert again.clips() == ["0X0001"] and again.annotators() == ["anna"]
        again.keep(document(ed=2))  # its video is there
        assert again.document("0X0001")["ed"] == 2 and again.problems == []

    def test_two_annotators_do_not_overwrite_each_other(self, place, clip):
        anna, ben = Folder(place, "anna"), Folder(place, "ben")
        anna.keep(document(), clip)
        ben.keep(document(annotator="ben", frames={3: frame(17.0), 8: frame(12.0)}))
        assert anna.document("0X0001") == document() and traced(place) == [8, 3]
        anna.keep(document(ed=2))
        assert traced(place) == [9, 2]
        table = provenance(place)
        drawn = table[table.structure == "ventricle"]
        assert drawn.groupby("annotator").in_tables.unique().to_dict() == {
            "anna": ["yes"], "ben": ["no"],
        }  # fmt: skip
        assert ben.document("0X0001")["annotator"] == "ben"

    def test_somebody_without_a_name_has_a_place_too(self, place, clip):
        Folder(place).keep(document(annotator=""), clip)
        Folder(place, "_").keep(document(annotator="_"))
        assert Folder(place).annotators() == ["", "_"]
        assert Folder(place).document("0X0001")["annotator"] == ""

    def test_the_same_name_in_two_sessions_is_refused_until_it_is_read_again(self, place, clip):
        first, second = Folder(place, "anna"), Folder(place, "anna")
        first.keep(document(), clip)
        second.keep(document())  # equal: nothing is lost
        first.keep(document(ed=2))
        with pytest.raises(DataError, match="another session has kept corrections of this clip"):
            second.keep(document(ed=3))
        assert second.document("0X0001")["ed"] == 2
        second.keep(document(ed=3))
        assert first.document("0X0001")["ed"] == 3

    def test_a_clip_without_a_plain_name_is_kept_under_a_safe_one(self, place, clip):
        names = ["1.2.840.113619", "a/b", "a_b", "a,b", "Größe 1", "x" * 150, "x" * 151]
        folder = Folder(place, "anna")
        for name in names:
            folder.keep(document(name), clip)
        assert folder.clips() == sorted(names)
        assert all(folder.document(name)["clip"] == name for name in names)
        table = listed(place)
        assert len(table) == len(names) and table.FileName.str.fullmatch(r"[\w-]+", flags=256).all()
        assert set(provenance(place)["clip"]) == set(names)
        assert safe_name("0X0001") == "0X0001"

    def test_only_the_document_that_changed_is_read(self, place, clip, monkeypatch):
        folder, other = Folder(place, "anna"), Folder(place, "ben")
        for index in range(5):
            folder.keep(document(f"c{index}"), clip)
        assert len(other.entries()) == 5
        read = []
        monkeypatch.setattr(folder_module, "read_entry", lambda p: read.append(p) or read_entry(p))
        folder.keep(document("c3", ed=2))
        assert read == []  # its writer knows it
        assert len(other.entries()) == 5 and [path.stem for path in read] == ["c3"]

    def test_leaflets_are_given_as_masks(self, place, clip):
        frames = {2: frame(18.0, leaflets=2), 3: frame(None, leaflets=1), 4: frame(18.0),
                  5: frame(None, "not readable", leaflets=1)}  # fmt: skip
        folder = Folder(place, "anna")
        folder.keep(document(frames=frames), clip)
        found = folder.leaflets("0X0001")
        assert list(found) == [2, 3] and list(folder.masks("0X0001")) == [2, 4]
        one, two = (leaflet_mask(leaflet(x)["points"], 3.0, (112, 112)) for x in (0.0, 20.0))
        assert np.array_equal(found[2], one | two) and np.array_equal(found[3], one)
        assert folder.leaflets("0X0009") == {} and folder.leaflets("0X0001", "ben") == {}


class TestTables:
    def test_es_comes_first_and_ed_last(self, place, clip):
        widths = {1: 14.0, 2: 18.0, 5: 15.0, 9: 13.0}
        folder = Folder(place, "anna")
        frames = {number: frame(width) for number, width in widths.items()}
        folder.keep(document(frames=frames), clip)
        assert traced(place) == [9, 1, 5, 2]
        folder.keep(document(frames=frames, ed=5))
        assert traced(place) == [9, 1, 2, 5]
        folder.keep(document(frames=frames, es=1, ed=9))
        assert traced(place) == [1, 2, 5, 9]
        table = provenance(place)
        assert dict(zip(table.frame, table.phase, strict=True)) == {
            "": "", "1": "ES", "2": "", "5": "", "9": "ED",
        }  # fmt: skip
        assert table.ed_by_hand[0] == "9" and table.es_by_hand[0] == "1"

    def test_the_list_has_echonets_columns_and_the_ef_of_the_disks(self, place, clip):
        folder = Folder(place, "anna")
        folder.keep(document(), clip)
        row = listed(place).iloc[0].to_dict()
        volumes = {}
        for rows, number in ((slice(1, 21), 9), (slice(22, 42), 2)):
            table = pd.read_csv(place / "VolumeTracings.csv")
            axis = table.iloc[rows.start - 1]
            length = np.hypot(axis.X2 - axis.X1, axis.Y2 - axis.Y1)
            across = (table.X2 - table.X1)[rows].to_numpy()
            step = length / 19.5
            steps = np.full(20, step)
            steps[-1] = step / 2
            volumes[number] = np.pi / 4 * (across**2 * steps).sum() / 1000
        assert float(row.pop("EF")) == pytest.approx(100 * (1 - volumes[9] / volumes[2]), abs=0.05)
        assert row == {
            "FileName": "0X0001", "ESV": "", "EDV": "", "FrameHeight": "112", "FrameWidth": "112",
            "FPS": "50", "NumberOfFrames": "12", "Split": "TRAIN",
        }  # fmt: skip
        folder.keep(document(), spacing=0.5)
        row = listed(place).iloc[0]
        assert float(row.EDV) == pytest.approx(volumes[2] / 8, rel=2e-3)
        assert float(row.ESV) == pytest.approx(volumes[9] / 8, rel=2e-3)
        folder.keep(document(ed=2))  # what is known of the clip stays
        assert listed(place).EDV[0] == row.EDV

    def test_without_ed_or_es_there_is_no_ef(self, place, clip):
        folder = Folder(place, "anna")
        folder.keep(document(frames={2: frame(18.0)}), clip)
        assert listed(place).EF[0] == "" and traced(place) == [2]
        folder.keep(document(ed=7, fps=None))  # set by hand, but not outlined
        assert listed(place).EF[0] == "" and listed(place).FPS[0] == "" and traced(place) == [9, 2]

    def test_what_is_not_readable_is_in_provenance_only(self, place, clip):
        folder = Folder(place, "anna")
        frames = {2: frame(18.0), 5: frame(15.0, "not readable"), 6: frame(None), 9: frame(13.0)}
        folder.keep(document(frames=frames), clip)
        assert traced(place) == [9, 2]
        table = provenance(place).set_index("frame")
        assert table.answer["5"] == "not readable" and table.in_tables["5"] == "no"
        assert table.structure["6"] == ""
        folder.keep(document(frames=frames, answer="other view"))
        assert listed(place).empty and traced(place) == []
        table = provenance(place)
        assert table.answer[0] == "other view" and set(table.in_tables) == {"no"}
        with pytest.raises(DataError, match="no rows"):
            EchoNet(place)

    def test_splits_are_those_of_the_data_set_and_part_no_patient(self, place, clip):
        folder = Folder(place, "anna")
        folder.keep(document("a"), clip, split="val", patient="p1")
        folder.keep(document("b"), clip, split="test", patient="p2")
        folder.keep(document("c"), clip, patient="p2")
        folder.keep(document("d"), clip)
        assert listed(place).Split.tolist() == ["VAL", "TEST", "TEST", "TRAIN"]
        assert EchoNet(place).table.patient.tolist() == ["p1", "p2", "p2", "d"]
        folder.keep(document("a", ed=2))
        assert listed(place).Split[0] == "VAL"
        with pytest.raises(ValueError, match="split: expected"):
            folder.keep(document("d"), clip, split="TRAIN")

    def test_provenance_has_the_columns_that_are_described(self, place, clip):
        Folder(place, "anna").keep(document(), clip)
        assert provenance(place).columns.tolist() == described("provenance.csv")

    def test_provenance_says_who_made_what_how(self, place, clip):
        frames = {2: frame(18.0, made="copied", moved=0), 9: frame(None, leaflets=1)}
        Folder(place, "anna").keep(document(frames=frames), clip)
        table = provenance(place)
        assert table.structure.tolist() == ["clip", "ventricle", "leaflet 1"]
        assert table.made.tolist() == ["", "copied", "drawn"]
        assert table.moved.tolist() == ["", "0", "3"] and table.points.tolist() == ["", "13", "3"]
        assert table.seconds.tolist() == ["41.50", "9.50", "9.50"]
        assert set(table.network) == {"lv"} and set(table.version) == {"1f0c2a7b9e44"}

    def test_tables_that_a_kill_left_behind_are_made_anew(self, place, clip, monkeypatch):
        folder = Folder(place, "anna")
        folder.keep(document(frames={2: frame(18.0), 5: frame(15.0)}), clip)
        folder.keep(document(), tables=False)  # as if the process had ended then
        assert traced(place) == [5, 2]
        Folder(place)
        assert traced(place) == [9, 2]

    def test_tables_follow_documents_that_are_copied_here_with_old_dates_or_deleted(
        self, place, clip, tmp_path
    ):
        other = Folder(tmp_path / "other", "ben")
        other.keep(document("0X0002", annotator="ben"), clip)
        path = tmp_path / "other" / "documents" / "ben" / "0X0002.json"
        os.utime(path, (1.7e9, 1.7e9))
        Folder(place, "anna").keep(document(), clip)
        shutil.copytree(path.parent, place / "documents" / "ben")  # as cp -a does
        Folder(place)
        assert set(provenance(place)["clip"]) == {"0X0001", "0X0002"}
        assert listed(place).FileName.tolist() == ["0X0001"]
        shutil.copy2(clip, place / "Videos" / "0X0002.avi")
        Folder(place)
        assert listed(place).FileName.tolist() == ["0X0001", "0X0002"]
        for each in (place / "documents").glob("*/*.json"):
            each.unlink()
        Folder(place)
        assert listed(place).empty and provenance(place).empty and traced(place) == []

    def test_tables_of_unchanged_documents_are_left_as_they_are(self, place, clip):
        Folder(place)
        assert not (place / "FileList.csv").exists()
        Folder(place, "anna").keep(document(), clip)
        names = ("FileList.csv", "VolumeTracings.csv", "provenance.csv", "tables.txt")
        before = [(place / name).stat().st_ino for name in names]
        Folder(place)
        assert [(place / name).stat().st_ino for name in names] == before


class TestVideos:
    def video(self, place):
        return place / "Videos" / "0X0001.avi"

    def test_an_avi_is_the_same_file(self, place, clip):
        Folder(place, "anna").keep(document(), clip)
        assert self.video(place).samefile(clip) and not self.video(place).is_symlink()

    def test_without_hard_links_it_is_a_symbolic_one_and_without_any_a_copy(
        self, place, tmp_path, clip, monkeypatch
    ):
        def fails(*_, **__):
            raise OSError(errno.EXDEV, "on another disk")

        monkeypatch.setattr(os, "link", fails)
        Folder(place, "anna").keep(document(), clip)
        assert self.video(place).is_symlink() and self.video(place).samefile(clip)
        monkeypatch.setattr(os, "symlink", fails)
        Folder(tmp_path / "copy", "anna").keep(document(), clip)
        copy = self.video(tmp_path / "copy")
        assert not copy.samefile(clip) and copy.read_bytes() == clip.read_bytes()

    def test_another_format_is_written_at_its_own_size(self, place):
        from pydicom.examples import get_path

        clip = example_clip()
        shape = clip.frames.shape
        size = {"frame_count": shape[0], "height": shape[1], "width": shape[2], "fps": clip.fps}
        with pytest.warns(UserWarning, match="scale tags"):
            Folder(place, "anna").keep(document(**size), get_path("ybr_color"))
        data = EchoNet(place)
        written = data.clip("0X0001")
        assert written.frames.shape == shape and written.fps == clip.fps
        assert np.abs(written.frames.astype(int) - clip.frames).mean() < 2
        assert [found.mask.shape for found in data.labelled("0X0001")[0]] == [shape[1:]] * 2

    def test_frames_and_clips_are_sources_too(self, place):
        frames = np.random.default_rng(0).integers(0, 255, (12, 131, 97), np.uint8)
        folder = Folder(place, "anna")
        small = [[x, y + 10] for x, y in points(20.0)]
        made = {2: frame(18.0), 9: frame(13.0)}
        folder.keep(document("a", frames=made, height=131, width=97), frames)
        folder.keep(document("b", frames=made, height=131, width=97), Clip("b", frames, 40.0, 0.4))
        table = listed(place)
        assert table.EDV.ne("").tolist() == [False, True] and len(small) == 13
        assert EchoNet(place).clip("a").frames.shape == (12, 131, 97)

    def test_clips_of_several_sizes_are_read_from_one_folder(self, place, clip):
        folder = Folder(place, "anna")
        folder.keep(document("a"), clip)
        folder.keep(document("b"), clip)
        folder.keep(document("c", width=140), np.full((12, 112, 140), 50, np.uint8))
        data = EchoNet(place)
        assert data.problems == []
        for name, shape in (("a", (112, 112)), ("c", (112, 140))):
            frames, problems = data.labelled(name)
            assert problems == [] and [each.mask.shape for each in frames] == [shape] * 2

    def test_a_clip_that_vanished_is_said_and_nothing_is_lost(self, place, clip):
        folder = Folder(place, "anna")
        with pytest.raises(DataError, match=r"no such file.*kept in .*0X0002\.json"):
            folder.keep(document("0X0002"), clip.with_name("0X0002.avi"))
        with pytest.raises(DataError, match="not in the folder.*itself is kept"):
            folder.keep(document("0X0003"))
        assert folder.document("0X0002") == document("0X0002")
        assert listed(place).empty and set(provenance(place)["clip"]) == {"0X0002", "0X0003"}
        folder.keep(document("0X0002"), clip)
        assert listed(place).FileName.tolist() == ["0X0002"]

    def test_a_link_whose_file_vanished_leaves_the_tables(self, place, clip, monkeypatch):
        monkeypatch.delattr(os, "link")
        monkeypatch.setattr(os, "link", os.symlink, raising=False)
        folder = Folder(place, "anna")
        folder.keep(document(), clip)
        clip.unlink()
        with pytest.raises(DataError, match="moved or was deleted"):
            folder.keep(document(ed=2))
        assert folder.document("0X0001")["ed"] == 2 and listed(place).empty
        write_avi(clip)
        folder.keep(document(ed=2))
        assert len(listed(place)) == 1

    def test_nothing_is_written_through_a_dead_link(self, place, clip, tmp_path):
        gone = tmp_path / "study" / "0X0001.avi"
        gone.parent.mkdir()
        folder = Folder(place, "anna")
        (place / "Videos").mkdir()
        self.video(place).symlink_to(gone)
        folder.keep(document(), clip)
        assert self.video(place).is_file() and not gone.exists()

    @pytest.mark.parametrize("shape", [(12, 112, 113), (11, 112, 112)])
    def test_a_correction_of_another_size_is_refused(self, place, clip, shape):
        folder = Folder(place, "anna")
        size = dict(zip(("frame_count", "height", "width"), shape, strict=True))
        with pytest.raises(DataError, match="12 frames of 112 x 112 px"):
            folder.keep(document(**size), clip)
        assert folder.clips() == []
        folder.keep(document(), clip)
        with pytest.raises(DataError, match="another clip of this name"):
            Folder(place, "ben").keep(document(annotator="ben", **size), clip)

    @pytest.mark.parametrize("name", ["0X0001", "1.2.840.113619", "IM 1"])
    def test_clips_of_one_name_on_the_same_display_are_told_apart(self, place, tmp_path, name):
        """As IM_0001 of two patients: a small sector on a black screen."""
        screens = np.zeros((2, 12, 300, 400), np.uint8)
        noise = np.random.default_rng(0).integers(0, 90, (2, 80, 80))
        screens[:, :, 100:180, 150:230] = noise[:, None]
        size = {"clip": name, "frame_count": 12, "height": 300, "width": 400}
        folder = Folder(place, "anna")
        folder.keep(document(**size), Clip(name, screens[0]))
        assert np.abs(screens[0] - screens[1].astype(int)).mean() < 3
        assert not folder.has_other(name, screens[0])
        assert folder.has_other(name, screens[1]) and not folder.has_other("new", screens[1])
        second = write_video(tmp_path / "IM_0001.mkv", screens[1], "ffv1", kind="matroska")
        for source in (Clip(name, screens[1]), second):
            with pytest.raises(DataError, match="the folder has another clip of this name"):
                Folder(place, "ben").keep(document(annotator="ben", **size), source)
        Folder(place, "ben").keep(
            document(annotator="ben", **size),
            write_video(tmp_path / "a.mkv", screens[0], "ffv1", kind="matroska"),
        )

    def test_another_clip_of_the_same_name_is_refused(self, place, tmp_path, clip):
        Folder(place, "anna").keep(document(), clip)
        bright = np.full((12, 112, 112), 250, np.uint8)
        with pytest.raises(DataError, match="the folder has another clip of this name"):
            Folder(place, "ben").keep(document(annotator="ben"), bright)
        same = tmp_path / "again" / "0X0001.avi"
        write_avi(same)
        Folder(place, "ben").keep(document(annotator="ben"), same)


class TestOpening:
    def test_a_data_set_is_never_taken_for_a_folder_of_corrections(self, tmp_path):
        study = EchoNetFolder(tmp_path / "study").write()
        before = (study / "FileList.csv").read_bytes()
        with pytest.raises(DataError, match=r"found FileList\.csv, Videos.*Name a new folder"):
            Folder(study)
        assert (study / "FileList.csv").read_bytes() == before
        assert not (study / "corrections.json").exists()

    def test_a_file_and_a_folder_that_must_be_there(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(DataError, match="expected a folder, found a file"):
            Folder(tmp_path / "file")
        with pytest.raises(DataError, match="no such folder"):
            Folder(tmp_path / "none", make=False)
        assert not (tmp_path / "none").exists()

    @pytest.mark.parametrize("content", ['{"format": 2}', "{}", "[]", '"text"'])
    def test_a_folder_of_another_version_is_left_alone(self, place, clip, content):
        Folder(place, "anna").keep(document(), clip)
        (place / "corrections.json").write_text(content)
        with pytest.raises(DataError, match="another version of echolib"):
            Folder(place)

    def test_a_damaged_mark_is_said(self, place):
        Folder(place)
        (place / "corrections.json").write_text('{"format"')
        with pytest.raises(DataError, match=r"corrections\.json: expected JSON"):
            Folder(place)

    def test_what_a_killed_process_left_is_removed(self, place, clip):
        folder = Folder(place, "anna")
        folder.keep(document(), clip)
        gone = multiprocessing.get_context("spawn").Process(target=print)
        gone.start(), gone.join()
        names = [files._temporary(place / "FileList.csv").name]
        names = [name.replace(f"-{os.getpid()}-", f"-{gone.pid}-") for name in names]
        halves = [place / names[0], place / "documents" / "anna" / names[0]]
        for half in halves:
            half.write_text('{"format": 1, "cl')
        again = Folder(place, "anna")
        assert again.clips() == ["0X0001"] and again.problems == []
        assert not any(half.exists() for half in halves)

    def test_an_annotators_name_is_one_line(self, place):
        with pytest.raises(DataError, match="Annotator"):
            Folder(place, "a\nb")

    def test_git_does_not_see_it(self, place):
        Folder(place)
        assert (place / ".gitignore").read_text() == "*\n"


class TestDamage:
    @pytest.mark.parametrize(
        "text", ["", '{"format": 1, "clip": "0X0', "[]", '{"format": 2}', "\0" * 300]
    )
    def test_a_damaged_document_is_said_and_set_aside_never_lost(self, place, clip, text):
        folder = Folder(place, "anna")
        folder.keep(document(), clip)
        folder.keep(document("0X0002"), clip)
        path = place / "documents" / "anna" / "0X0001.json"
        path.write_text(text)
        again = Folder(place, "anna")
        assert again.clips() == ["0X0002"]
        assert len(again.problems) == 1 and "0X0001.json" in str(again.problems[0])
        with pytest.raises(DataError, match=r"0X0001\.json"):
            again.document("0X0001")
        Folder(place, "anna").keep(document(ed=2))
        assert Folder(place, "anna").document("0X0001")["ed"] == 2
        assert (path.parent / "0X0001.json.damaged").read_text() == text

    def test_a_document_that_was_changed_by_hand_is_checked_and_counts(self, place, clip):
        folder = Folder(place, "anna")
        folder.keep(document(), clip, spacing=0.5)
        path = place / "documents" / "anna" / "0X0001.json"
        content = json.loads(path.read_text())
        content["frames"]["5"] = frame(15.0)
        path.write_text(json.dumps(content))
        again = Folder(place, "anna")
        again.write_tables()
        assert traced(place) == [9, 5, 2]
        content["frames"]["5"]["ventricle"]["points"][0] = [1e300, 5]
        path.write_text(json.dumps(content))
        assert again.clips() == [] and "point 0 is not a pair" in str(again.problems[0])

    def test_a_document_under_another_clips_name_is_not_taken_for_it(self, place, clip):
        folder = Folder(place, "anna")
        folder.keep(document(), clip)
        where = place / "documents" / "anna"
        shutil.copy(where / "0X0001.json", where / "0X0002.json")
        assert folder.clips() == ["0X0001"] and "that names the file" in str(folder.problems[0])

    def test_any_byte_that_changed_is_seen_or_harmless(self, place, clip):
        folder = Folder(place, "anna")
        folder.keep(document(), clip)
        path = place / "documents" / "anna" / "0X0001.json"
        whole, expected = path.read_bytes(), folder.entries()[0]
        generator = np.random.default_rng(0)
        for position in generator.integers(0, len(whole), 60):
            damaged = bytearray(whole)
            damaged[position] ^= int(generator.integers(1, 256))
            path.write_bytes(damaged)
            entry = read_entry(path)
            if isinstance(entry, Problem):
                assert "0X0001.json" in str(entry)
            else:
                assert entry.shape == expected.shape and entry.clip == "0X0001"

    def test_a_damaged_correction_is_not_written(self, place, clip):
        folder = Folder(place, "anna")
        with pytest.raises(DataError, match="^The correction, clip 0X0001"):
            folder.keep(document(seconds=float("nan")), clip)
        assert folder.clips() == [] and not (place / "Videos").exists()


class TestNoPlace:
    @pytest.fixture
    def read_only(self, clip):
        """A folder with one clip, which this process may not write."""
        root = Path(tempfile.mkdtemp())
        Folder(root / "corrected", "anna").keep(document(), clip)
        for path in [root, *root.rglob("*")]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        if os.geteuid() == 0:  # root may write all the same
            os.seteuid(NOBODY)
        yield root / "corrected"
        os.seteuid(os.getuid())
        for path in [root, *root.rglob("*")]:
            path.chmod(0o755)
        shutil.rmtree(root)

    def test_a_read_only_folder_is_read_and_refuses_what_is_new(self, read_only):
        folder = Folder(read_only, "anna")
        assert folder.document("0X0001") == document()
        with pytest.raises(DataError, match="cannot be written: Permission denied.*not kept"):
            folder.keep(document(ed=2))
        with pytest.raises(DataError, match="cannot be written: Permission denied"):
            Folder(read_only / "new")
        assert folder.document("0X0001") == document()

    @pytest.mark.parametrize(
        ("file", "kept", "said"),
        [("0X0001.json", False, "What was drawn is not kept there. Make space"),
         ("VolumeTracings.csv", True, "itself is kept, but not in the tables. Make space"),
         ("FileList.csv", True, "itself is kept, but not in the tables. Make space")],
    )  # fmt: skip
    def test_a_full_disk_is_said_and_leaves_every_file_whole(
        self, place, clip, monkeypatch, file, kept, said
    ):
        folder = Folder(place, "anna")
        folder.keep(document(), clip)
        write = Path.write_text

        def full(path, text, *more, **options):
            if file.split(".")[0] in path.name:
                write(path, text[: len(text) // 2], *more, **options)
                raise OSError(errno.ENOSPC, "No space left on device", str(path))
            return write(path, text, *more, **options)

        monkeypatch.setattr(Path, "write_text", full)
        with pytest.raises(DataError, match=f"the disk is full.*{said}"):
            folder.keep(document(ed=2))
        assert Folder(place, "anna").document("0X0001")["ed"] == (2 if kept else None)
        assert len(listed(place)) == 1 and traced(place) == [9, 2]
        monkeypatch.undo()
        folder.keep(document(ed=2))
        assert not [path for path in place.rglob(".*") if path.name != ".gitignore"]

    def test_a_disk_too_full_for_the_video_still_keeps_the_correction(
        self, place, clip, monkeypatch
    ):
        def full(*_):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr("echolib.corrections.videos.write_avi", full)
        with pytest.raises(DataError, match="No space left.*The correction itself is kept"):
            Folder(place, "anna").keep(document(), np.zeros((12, 112, 112), np.uint8))
        assert Folder(place, "anna").document("0X0001") == document()


def annotate(place, clip, barrier, number):
    """Correct two clips again and again, as one of two people at the same time."""
    name = ("anna", "ben")[number]
    barrier.wait()
    folder = Folder(place, name)
    for turn in range(8):
        for which in ("0X0001", "0X0002"):
            made = document(which, annotator=name, seconds=float(turn))
            folder.keep(made, clip)


def annotate_until_killed(place, clip, ready):
    folder = Folder(place, "anna")
    for turn in range(10**6):
        folder.keep(document(seconds=float(turn)), clip)
        (place.parent / "kept").write_text(str(turn))
        if turn == 2:
            ready.set()
    threading.Event().wait()


def test_two_people_at_the_same_time_lose_nothing(place, clip):
    assert race(annotate, place, clip) == [0, 0]
    folder = Folder(place)
    for name in ("anna", "ben"):
        for which in ("0X0001", "0X0002"):
            expected = document(which, annotator=name, seconds=7.0)
            assert folder.document(which, name) == expected
    table = provenance(place)
    assert len(table) == 4 * 3 and (table.in_tables == "yes").sum() == 4
    assert set(table.seconds[table.structure == "clip"]) == {"7.00"}
    assert EchoNet(place).problems == [] and folder.problems == []
    assert not list(place.rglob("*.damaged"))


@pytest.mark.parametrize("question", ["is_file", "is_dir"])
def test_a_folder_that_another_person_makes_just_now_is_opened(place, monkeypatch, question):
    ask, asked = getattr(Path, question), []

    def made_after_the_answer(path):
        answer = ask(path)
        if path in (place, place / folder_module.MARKER) and not asked:
            asked.append(path)
            Folder(place)
        return answer

    monkeypatch.setattr(Path, question, made_after_the_answer)
    assert Folder(place, "anna").entries() == [] and asked


@pytest.mark.parametrize("moment", [0.0, 0.011, 0.023, 0.037])
def test_whatever_a_kill_leaves_is_whole(place, clip, moment):
    spawn = multiprocessing.get_context("spawn")
    ready = spawn.Event()
    process = spawn.Process(target=annotate_until_killed, args=(place, clip, ready))
    process.start()
    assert ready.wait(300)  # a busy machine takes long to import
    process.join(moment)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    said = (place.parent / "kept").read_text()
    folder = Folder(place, "anna")
    found = folder.document("0X0001")
    assert folder.problems == [] and found["frames"] == document()["frames"]
    # what it said to be kept is there; the next one may be there too
    assert not said or found["seconds"] in (float(said), float(said) + 1)
    assert traced(place) == [9, 2] and len(provenance(place)) == 3
    assert float(provenance(place).seconds[0]) == found["seconds"]
    assert EchoNet(place).problems == []
    folder.keep(document(ed=2))
    assert not [path for path in place.rglob(".*") if path.name != ".gitignore"]


class TestAdding:
    def test_downloads_are_kept_with_the_clips_of_a_data_set(self, tmp_path, place):
        study = EchoNet(EchoNetFolder(tmp_path / "study").write())
        last = study.table.index[-1]
        folder = Folder(place)
        made = [document(last), document(last, annotator="ben"), document("unknown")]
        problems = folder.add(made, study)
        assert [problem.file for problem in problems] == ["unknown.json"]
        assert listed(place).Split.tolist() == ["TEST"] and folder.annotators() == ["anna", "ben"]
        assert folder.document("unknown", "anna") is not None
        assert (place / "Videos" / f"{last}.avi").samefile(study.table.path[last])

    def test_an_older_download_does_not_replace_newer_work(self, place, clip):
        Folder(place, "anna").keep(document(ed=2), clip)
        assert Folder(place).add([document(ed=2)]) == []
        problems = Folder(place).add([document(ed=3)])
        assert len(problems) == 1 and "another session" in str(problems[0])
        assert Folder(place, "anna").document("0X0001")["ed"] == 2

    def test_a_later_download_of_the_same_work_goes_on_from_the_first(self, place, clip):
        Folder(place, "anna").keep(document(), clip)
        more = {2: frame(18.0), 5: frame(15.0), 9: frame(13.0)}
        tuesday = document(frames=more, seconds=80.0)
        assert Folder(place).add([tuesday]) == []
        assert traced(place) == [9, 5, 2]
        (problem,) = Folder(place).add([document()])
        assert "this download is older than what is kept" in str(problem)
        (problem,) = Folder(place).add([document(seconds=90.0)])  # lacks a frame that is kept
        assert "another session" in str(problem)
        drawn_elsewhere = more | {2: frame(17.0) | {"seconds": 4.0}}
        (problem,) = Folder(place).add([document(frames=drawn_elsewhere, seconds=90.0)])
        assert "another session" in str(problem)
        assert Folder(place, "anna").document("0X0001") == tuesday

    def test_in_the_browser_nothing_unread_is_replaced_even_by_longer_work(self, place, clip):
        open_since_monday = Folder(place, "anna")
        Folder(place, "anna").keep(document(), clip)
        with pytest.raises(DataError, match="another session"):
            open_since_monday.keep(document(ed=2, seconds=80.0))

    def test_where_a_clip_comes_from(self, tmp_path, clip):
        study = EchoNet(EchoNetFolder(tmp_path / "study").write())
        found = origin(study, study.table.index[-1])
        assert found["split"] == "test" and found["patient"] == study.table.index[-1]
        assert found["source"] == study.table.path.iloc[-1]
        assert origin(study, "unknown") == {}
        assert origin(LooseClips(clip.parent), "0X0001")["split"] == ""


def test_a_clip_of_several_files_is_written_as_a_video(tmp_path):
    data = Camus(camus_folder(tmp_path / "camus"))
    name = data.table.index[0]
    masks = {frame.frame: frame.mask for frame in data.labelled(name)[0]}
    folder = Folder(tmp_path / "corrections")
    folder.keep(mask_document(data.clip(name), masks, "anna"), **origin(data, name))
    again = open_data(folder.path)
    assert again.table.patient[name] == "patient0001" and again.table.split[name] == "train"
    assert again.clip(name).frames.shape == data.clip(name).frames.shape
    found = again.labelled(name)[0]
    assert sorted(frame.phase for frame in found) == ["ED", "ES"]
