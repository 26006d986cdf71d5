"""EchoNet-Dynamic and EchoNet-Pediatric: clean folders and malformed ones."""

import os
import unicodedata

import numpy as np
import pandas as pd
import pytest

from echolib.data import EchoNet, FrameSet, pack, pack_once, problem_summary
from echolib.data.video import read_video
from echolib.errors import DataError
from echolib.geometry import polygon_to_mask
from echolib.metrics import dice
from tests.makers import EchoNetFolder, chord_rows, ventricle, write_avi


@pytest.fixture
def folder(tmp_path):
    return EchoNetFolder(tmp_path / "echonet-dynamic")


def read(folder: EchoNetFolder, clip: str = "0X0001"):
    """The data set, the labelled frames of a clip, and the problems of both."""
    data = EchoNet(folder.write())
    frames, problems = data.labelled(clip) if clip in data.table.index else ([], [])
    return data, frames, [str(problem) for problem in [*data.problems, *problems]]


def test_labels_of_a_clip_at_hand_are_the_same_without_decoding(tmp_path, monkeypatch):
    data = EchoNet(EchoNetFolder(tmp_path / "study").write())
    name = data.table.index[0]
    (expected, problems), clip = data.labelled(name), data.clip(name)
    monkeypatch.setattr(data, "_read_video", None)
    frames, found = data.labelled(name, clip)
    assert found == problems and len(frames) == len(expected) == 2
    for frame, other in zip(frames, expected, strict=True):
        assert np.array_equal(frame.image, other.image) and np.array_equal(frame.mask, other.mask)
        assert (frame.phase, frame.frame, frame.fps) == (other.phase, other.frame, other.fps)


def test_a_clean_folder_has_no_problems(folder):
    data, frames, problems = read(folder)
    assert problems == []
    assert data.name == "echonet-dynamic" and not data.pediatric and data.about_ef == ""
    assert data.table.split.value_counts().to_dict() == {"train": 4, "val": 1, "test": 1}
    assert [frame.phase for frame in frames] == ["ED", "ES"]
    assert [frame.frame for frame in frames] == [2, 9]
    first = frames[0]
    assert first.image.shape == (112, 112) and first.image.dtype == np.uint8
    assert first.mask.dtype == bool and first.landmarks.shape == (40, 2)
    assert first.fps == 50.0 and first.spacing is None and first.patient == "0X0001"
    assert data.clip("0X0001").frames.shape == (12, 112, 112)


def test_a_phantom_study_is_never_called_by_the_name_of_its_layout(folder, monkeypatch):
    monkeypatch.setenv("ECHOLIB_DATA", str(folder.folder.parent / "data"))
    real = EchoNet(folder.write())
    packed = pack_once(real, 32, progress=False)
    (folder.folder / "study.json").write_text("{}")
    phantom = EchoNet(folder.folder)
    assert (real.name, phantom.name) == ("echonet-dynamic", "phantom")
    assert {frame.source for frame in phantom.labelled("0X0001")[0]} == {"phantom"}
    again = pack_once(phantom, 32, progress=False)  # not what was packed under the other name
    assert set(packed.table.source) == {"echonet-dynamic"} and set(again.table.source) == {
        "phantom"
    }
    assert real.fingerprint() != phantom.fingerprint()
    assert np.array_equal(packed.images, again.images)


def test_the_right_frame_is_read(folder):
    """Frames get brighter by 10 from 40 on, so the grey level gives the index."""
    _, frames, _ = read(folder)
    levels = [int(np.median(frame.image)) for frame in frames]
    assert levels == pytest.approx([60, 130], abs=3)


def test_end_diastole_is_the_larger_area_whichever_comes_first(folder):
    rows = folder.tracings
    rows["Frame"] = rows.Frame.replace({2: 9, 9: 2})
    _, frames, _ = read(folder)
    assert [(frame.frame, frame.phase) for frame in frames] == [(2, "ES"), (9, "ED")]


def test_frames_of_equal_area_are_end_diastole_and_end_systole(folder):
    coordinates = ["X1", "Y1", "X2", "Y2"]
    traced = folder.tracings.loc[folder.rows(1, 2), coordinates].to_numpy()
    folder.tracings.loc[folder.rows(1, 9), coordinates] = traced
    _, frames, problems = read(folder)
    assert frames[0].mask.sum() == frames[1].mask.sum() and problems == []
    assert [frame.phase for frame in frames] == ["ED", "ES"]


def test_names_with_and_without_suffix_match(folder):
    folder.tracings["FileName"] = folder.tracings.FileName.str.replace(".avi", "")
    folder.files["FileName"] = folder.files.FileName + ".avi"
    data, frames, problems = read(folder)
    assert len(data.table) == 6 and len(frames) == 2 and problems == []


def test_a_listed_size_that_differs_is_noted(folder):
    folder.files.loc[1, ["FrameHeight", "FrameWidth"]] = [768, 1024]
    _, frames, problems = read(folder)
    assert len(frames) == 2
    assert problems == [
        "FileList.csv, row 3: 0X0001 is listed as 768 x 1024 px, most clips as 112 x 112 px (noted)"
    ]


def test_one_traced_frame_leaves_the_clip_out(folder):
    folder.tracings = folder.tracings.drop(folder.rows(1, 9))
    _, frames, problems = read(folder)
    assert frames == [] and "usable traced frames: 1; both ED and ES are needed" in problems[0]


def test_another_row_count_is_mended(folder):
    doubled = folder.tracings.loc[folder.rows(1, 2)[5:9]]
    turned = folder.tracings.loc[
        folder.rows(1, 2)[9:10], ["FileName", "X2", "Y2", "X1", "Y1", "Frame"]
    ]
    turned.columns = folder.tracings.columns
    folder.tracings = pd.concat([folder.tracings, doubled, turned], ignore_index=True)
    _, frames, problems = read(folder)
    assert len(frames) == 2 and "mended" in problems[0]
    first, second = chord_rows(ventricle(18.0))[1:].reshape(-1, 2, 2).swapaxes(0, 1)
    clean = polygon_to_mask(np.concatenate([first, second[::-1]]), (112, 112))
    assert dice(frames[0].mask, clean) > 0.98


def test_coordinates_beyond_the_image_are_cut_off_and_noted(folder):
    rows = folder.rows(1, 2)
    folder.tracings.loc[rows, ["X1", "X2"]] += 45.0
    _, frames, problems = read(folder)
    assert len(frames) == 2
    assert "outline leaves the image" in problems[0] and problems[0].endswith("(noted)")


def test_a_tracing_of_another_image_size_is_left_out(folder):
    coordinates = ["X1", "Y1", "X2", "Y2"]
    folder.tracings[coordinates] *= 2
    _, frames, problems = read(folder)
    assert frames == []
    assert "% of the outline lie outside the frame of 112 x 112 px" in problems[0]


def test_chords_from_base_to_apex_give_the_same_landmarks(folder):
    _, expected, _ = read(folder)
    axis, *chords = folder.rows(1, 2)
    coordinates = ["X1", "Y1", "X2", "Y2"]
    values = folder.tracings.loc[chords[::-1], coordinates].to_numpy()
    folder.tracings.loc[chords, coordinates] = values
    _, frames, problems = read(folder)
    np.testing.assert_array_equal(frames[0].mask, expected[0].mask)
    np.testing.assert_allclose(frames[0].landmarks, expected[0].landmarks)
    assert "chords from base to apex put in order (mended)" in problems[0]


@pytest.mark.parametrize("seed", range(6))
def test_shuffled_rows_of_a_tracing_are_put_in_order(folder, seed):
    _, expected, _ = read(folder)
    places, coordinates = folder.rows(1, 2), ["X1", "Y1", "X2", "Y2"]
    order = np.random.default_rng(seed).permutation(len(places))
    order = order if order[0] else order[::-1]  # not with the long axis first
    folder.tracings.loc[places, coordinates] = (
        folder.tracings.loc[places[order], coordinates].to_numpy()
    )  # fmt: skip
    _, frames, problems = read(folder)
    np.testing.assert_array_equal(frames[0].mask, expected[0].mask)
    np.testing.assert_allclose(frames[0].landmarks, expected[0].landmarks)
    assert "shuffled rows put in order (mended)" in problems[0]


def test_where_the_list_has_no_rate_the_video_has(folder):
    folder.files["FPS"] = np.nan
    data, _, _ = read(folder)
    rate = read_video(data.table.path["0X0001"]).fps
    assert rate and data.clip("0X0001").fps == rate


def test_more_than_two_traced_frames_are_kept(folder):
    rows = pd.DataFrame(chord_rows(ventricle(15.0)), columns=["X1", "Y1", "X2", "Y2"])
    extra = rows.assign(FileName="0X0001.avi", Frame=5)
    folder.tracings = pd.concat([folder.tracings, extra], ignore_index=True)
    _, frames, problems = read(folder)
    assert [frame.phase for frame in frames] == ["ED", "", "ES"] and problems == []


def test_a_frame_past_the_end_is_reported(folder):
    folder.tracings.loc[folder.rows(1, 9), "Frame"] = 500
    _, frames, problems = read(folder)
    assert frames == []
    assert "traced frame 500 is past the end: only 12 frames decode" in problems[0]


def test_a_video_shorter_than_listed_is_reported(folder):
    write_avi(folder.folder / "Videos" / "0X0001.avi", count=5)
    _, frames, problems = read(folder)
    assert frames == [] and "past the end: only 5 frames decode" in problems[0]


def test_a_video_that_was_replaced_is_a_change_and_a_copy_is_none(folder):
    before = EchoNet(folder.write()).fingerprint()
    video = folder.folder / "Videos" / "0X0001.avi"
    os.utime(video, (1e9, 1e9))
    assert EchoNet(folder.folder).fingerprint() == before
    video.write_bytes(video.read_bytes() + b"0")
    assert EchoNet(folder.folder).fingerprint() != before


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
def test_accents_of_the_list_and_of_the_disk_may_be_composed_differently(folder, forms):
    """As where a folder was packed into a zip file on macOS."""
    listed, stored = (unicodedata.normalize(form, "Müller_1") for form in forms)
    for table in (folder.files, folder.tracings):
        table["FileName"] = table.FileName.str.replace("0X0001", listed)
    (folder.folder / "Videos" / "0X0001.avi").rename(folder.folder / "Videos" / f"{stored}.avi")
    _, frames, problems = read(folder, unicodedata.normalize("NFC", "Müller_1"))
    assert problems == [] and len(frames) == 2


def test_a_missing_video_is_reported(folder):
    (folder.folder / "Videos" / "0X0001.avi").unlink()
    data, _, problems = read(folder)
    assert "0X0001" not in data.table.index
    assert "Videos/0X0001.avi is missing" in problems[0]


@pytest.mark.parametrize(
    "content", [b"", b"this is not a video\n" * 20, b"RIFF\x00\x00\x00\x00AVI LIST"]
)
def test_a_broken_video_is_reported(folder, content):
    (folder.folder / "Videos" / "0X0001.avi").write_bytes(content)
    _, frames, problems = read(folder)
    assert frames == [] and len(problems) == 1 and "0X0001.avi" in problems[0]
    assert str(folder.folder) not in problems[0]


def test_a_truncated_video_is_reported(folder):
    path = folder.folder / "Videos" / "0X0001.avi"
    path.write_bytes(path.read_bytes()[:4000])
    _, frames, problems = read(folder)
    assert frames == [] and "0X0001.avi" in problems[0]


def test_a_video_of_another_size_is_left_out(folder):
    write_avi(folder.folder / "Videos" / "0X0001.avi", size=(96, 128))
    _, frames, problems = read(folder)
    assert frames == [] and "frames are 96 x 128 px, those of the data set 112 x 112" in problems[0]


@pytest.mark.parametrize("value", ["nan", "twelve", "", "inf"])
def test_a_coordinate_without_a_number_is_reported_with_its_row(folder, value):
    row = folder.rows(1, 2)[7]
    folder.tracings.loc[row, "X2"] = value
    _, frames, problems = read(folder)
    assert len(frames) == 2
    assert f"VolumeTracings.csv, row {row + 2}: coordinates of 0X0001 are" in problems[0]
    assert "1 rows without numbers left out" in problems[1]


def test_a_tracing_without_any_number_is_left_out(folder):
    folder.tracings.loc[folder.rows(1, 2), "X1"] = "x"
    _, frames, problems = read(folder)
    assert frames == [] and any("0 usable chords" in problem for problem in problems)


def test_duplicated_rows_are_mended(folder):
    copies = folder.tracings.loc[folder.rows(1, 2)]
    folder.tracings = pd.concat([folder.tracings, copies], ignore_index=True)
    clean = EchoNetFolder(folder.folder.parent / "clean")
    _, expected, _ = read(clean)
    _, frames, problems = read(folder)
    assert "21 duplicated rows left out" in problems[0]
    assert np.array_equal(frames[0].mask, expected[0].mask)


def test_a_clip_listed_twice_is_used_once_but_never_from_two_splits(folder):
    again = folder.files.iloc[[1, 2]].copy()
    again["Split"] = ["TRAIN", "TEST"]
    folder.files = pd.concat([folder.files, again], ignore_index=True)
    data, _, problems = read(folder)
    assert "0X0001" in data.table.index and "0X0002" not in data.table.index
    assert any("0X0001 is listed again" in problem for problem in problems)
    assert any("0X0002 is listed in two splits" in problem for problem in problems)


def test_unknown_splits_and_untraced_clips_are_reported(folder):
    folder.files.loc[1, "Split"] = "HOLDOUT"
    folder.tracings = folder.tracings.drop([*folder.rows(2, 2), *folder.rows(2, 9)])
    data, _, problems = read(folder)
    assert len(data.table) == 4
    assert any("'HOLDOUT' of 0X0001 is none of" in problem for problem in problems)
    assert any("no traced frame of the clip 0X0002" in problem for problem in problems)
    assert problem_summary(data.problems).count("1 x left out") == len(data.problems)


def test_coordinates_with_x_and_y_swapped_are_noted(folder):
    swapped = {"X1": "Y1", "Y1": "X1", "X2": "Y2", "Y2": "X2"}
    some = folder.tracings.FileName < "0X0003"  # half of the clips may be shown lying
    turned = folder.tracings[some].rename(columns=swapped)
    folder.tracings = pd.concat([turned, folder.tracings[~some]])[folder.tracings.columns]
    assert EchoNet(folder.write()).problems == []
    folder.tracings = pd.concat([turned, folder.tracings[~some].rename(columns=swapped)])
    (problem,) = map(str, EchoNet(folder.write()).problems)
    assert problem.startswith("VolumeTracings.csv: in 12 of 12 tracings the first row, the long")
    assert problem.endswith("look whether x and y are swapped (noted)")


def test_a_number_that_is_text_is_noted(folder):
    folder.files.loc[1, "EF"] = "unknown"
    data, frames, problems = read(folder)
    assert len(frames) == 2 and np.isnan(data.table.EF["0X0001"])
    assert "EF of 0X0001 is 'unknown', not a number" in problems[0]


def test_problems_reach_the_packed_set(folder, tmp_path):
    folder.tracings.loc[folder.rows(1, 9), "Frame"] = 500
    folder.files.loc[2, "EF"] = "unknown"
    packed = pack(EchoNet(folder.write()), tmp_path / "packed", progress=False)
    reasons = [problem.reason for problem in FrameSet.load(tmp_path / "packed").problems]
    assert len(packed) == 10 and len(reasons) == 3
    assert packed.problems == FrameSet.load(tmp_path / "packed").problems


class TestMalformedDataSet:
    """Each is one error that names the file and says what to do."""

    def fails(self, folder, match):
        with pytest.raises(DataError, match=match):
            EchoNet(folder.folder)

    def test_missing_table(self, folder):
        folder.write()
        (folder.folder / "VolumeTracings.csv").unlink()
        self.fails(folder, "VolumeTracings.csv is missing")

    def test_missing_videos(self, folder):
        folder.write()
        (folder.folder / "Videos").rename(folder.folder / "videos-elsewhere")
        self.fails(folder, "Videos is missing")

    def test_no_listed_video_exists(self, folder):
        folder.write()
        for path in (folder.folder / "Videos").iterdir():
            path.rename(path.with_name(f"other-{path.name}"))
        self.fails(folder, "holds none of the 6 clips")

    @pytest.mark.parametrize("file", ["FileList.csv", "VolumeTracings.csv"])
    def test_empty_table(self, folder, file):
        path = folder.write() / file
        header = path.read_text().splitlines()[0]
        path.write_text("")
        self.fails(folder, f"{file} is empty")
        path.write_text(header + "\n")
        self.fails(folder, f"{file} has a header but no rows")

    def test_wrong_columns(self, folder):
        folder.files = folder.files.rename(columns={"Split": "Group"})
        folder.write()
        self.fails(folder, r"FileList.csv lacks the columns \['Split'\]")

    def test_wrong_tracing_columns(self, folder):
        folder.tracings = folder.tracings.rename(columns={"Y2": "Z2"})
        folder.write()
        self.fails(folder, r"VolumeTracings.csv lacks the columns \['Y2'\]")

    def test_binary_table(self, folder):
        folder.write()
        (folder.folder / "FileList.csv").write_bytes(bytes(range(128, 256)) * 10)
        self.fails(folder, "FileList.csv is not a readable CSV")

    def test_no_clip_is_listed_and_traced(self, folder):
        folder.tracings["FileName"] = "other.avi"
        folder.write()
        self.fails(folder, "no clip is both listed and traced")


@pytest.fixture
def pediatric(folder):
    """The clips of `folder` in the format of EchoNet-Pediatric: polygons, and folds as splits."""
    files = pd.DataFrame({"FileName": folder.files.FileName + ".avi", "EF": 60.0, "Sex": "F"})
    folder.files = files.assign(Split=[0, 3, 7, 8, 9, 9]).astype(object)
    tables = []
    for name in files.FileName:
        for frame, width in ((2, 18.0), (9, 13.0)):
            points = pd.DataFrame(ventricle(width), columns=["X", "Y"])
            tables.append(points.assign(FileName=name, Frame=frame))
    folder.tracings = pd.concat(tables, ignore_index=True).astype(object)
    return folder


def test_pediatric_polygons_are_read_in_row_order(pediatric):
    data, frames, problems = read(pediatric)
    assert data.name == "echonet-pediatric" and data.pediatric and problems == []
    assert "bullet method" in data.about_ef
    assert data.table.split.tolist() == ["train", "train", "train", "val", "test", "test"]
    assert np.array_equal(frames[0].mask, polygon_to_mask(ventricle(18.0), (112, 112)))
    assert frames[0].landmarks.shape == (40, 2) and frames[0].phase == "ED"


@pytest.mark.parametrize("times", [2, 3])
def test_pediatric_outlines_of_a_table_that_was_appended_again_are_used_once(pediatric, times):
    pediatric.tracings = pd.concat([pediatric.tracings] * times, ignore_index=True)
    _, frames, problems = read(pediatric)
    assert np.array_equal(frames[0].mask, polygon_to_mask(ventricle(18.0), (112, 112)))
    count = (times - 1) * len(ventricle(18.0))
    assert f"{count} points of an outline that is given again left out" in problems[0]
    assert len(problems) == len(frames)


def test_pediatric_clip_without_systole_is_kept(pediatric):
    pediatric.tracings.loc[pediatric.tracings.Frame == 9, "Frame"] = "No Systolic"
    _, frames, problems = read(pediatric)
    assert len(frames) == 1 and frames[0].phase == ""
    assert any("Frame of 0X0001 is 'No Systolic'" in problem for problem in problems)


def test_pediatric_outline_that_crosses_itself_is_used_unchanged_and_noted(pediatric):
    is_traced = (pediatric.tracings.FileName == "0X0001.avi") & (pediatric.tracings.Frame == 2)
    rows = pediatric.tracings.index[is_traced][[20, 25]]
    swapped = pediatric.tracings.loc[rows[::-1], ["X", "Y"]].to_numpy()
    pediatric.tracings.loc[rows, ["X", "Y"]] = swapped
    _, frames, problems = read(pediatric)
    outline = pediatric.tracings[is_traced][["X", "Y"]].to_numpy(float)
    assert np.array_equal(frames[0].mask, polygon_to_mask(outline, (112, 112)))
    assert problems == [
        "Videos/0X0001.avi: tracing of frame 2: self-crossing outline used as it is (noted)"
    ]


def test_pediatric_point_without_a_number(pediatric):
    row = pediatric.tracings.index[(pediatric.tracings.FileName == "0X0001.avi")][4]
    pediatric.tracings.loc[row, "X"] = "?"
    _, frames, problems = read(pediatric)
    assert len(frames) == 2 and "1 points without numbers left out" in problems[1]
