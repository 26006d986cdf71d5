"""A folder of corrections as this package and EchoNet-Dynamic's own rules read it."""

import csv
from collections import defaultdict

import cv2
import numpy as np
import pytest

from echolib.corrections import Folder, outline_points, ventricle_mask
from echolib.data import EchoNet, open_data, pack
from echolib.data.camus import Camus
from echolib.errors import DataError
from echolib.metrics import dice
from tests.corrections.made import document, frame, points
from tests.makers import write_avi

WIDTHS = {1: 15.0, 2: 18.0, 5: 14.0, 9: 12.0}


def echonets_clips(folder):
    """Clips, their values and frames by the rules of EchoNet-Dynamic's own loader, written anew.

    Source: echonet/datasets/echo.py of github.com/echonet/dynamic: a list whose names get `.avi`
    where they have no suffix, all of which must be in Videos; frames in the order of the tracings'
    file, the first of which is taken as the small one and the last as the large one; clips with
    fewer than two of them are dropped; the first row of a frame is the long axis, the others are
    chords, whose ends make a polygon of whole px.
    """
    with (folder / "FileList.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = [row["FileName"] + ".avi" for row in rows if "." not in row["FileName"]]
    assert len(names) == len(rows)
    missing = set(names) - {path.name for path in (folder / "Videos").iterdir()}
    assert missing == set()
    assert {row["Split"] for row in rows} <= {"TRAIN", "VAL", "TEST"}
    frames, traces = defaultdict(list), defaultdict(lambda: defaultdict(list))
    with (folder / "VolumeTracings.csv").open() as file:
        assert file.readline().strip().split(",") == ["FileName", "X1", "Y1", "X2", "Y2", "Frame"]
        for line in file:
            name, *numbers, number = line.strip().split(",")
            if int(number) not in traces[name]:
                frames[name].append(int(number))
            traces[name][int(number)].append([float(value) for value in numbers])
    clips = {}
    for name, row in zip(names, rows, strict=True):
        if len(frames[name]) < 2:
            continue
        video = cv2.VideoCapture(str(folder / "Videos" / name))
        count, size = int(video.get(7)), (int(video.get(4)), int(video.get(3)))
        pair = {}
        for phase, number in (("small", frames[name][0]), ("large", frames[name][-1])):
            x1, y1, x2, y2 = np.array(traces[name][number])[1:].T
            x, y = np.concatenate([x1, x2[::-1]]), np.concatenate([y1, y2[::-1]])
            mask = np.zeros(size, np.uint8)
            cv2.fillPoly(mask, [np.rint(np.stack([x, y], axis=1)).astype(np.int32)], 1)
            pair[phase] = number, mask.astype(bool)
        clips[name[:-4]] = row, count, pair
    return clips


@pytest.fixture
def corrected(tmp_path):
    """Three clips: four frames, two with ED and ES set by hand, and a single frame."""
    for name in ("a", "b", "c"):
        write_avi(tmp_path / f"{name}.avi")
    folder = Folder(tmp_path / "corrected", "anna")
    several = {number: frame(width) for number, width in WIDTHS.items()}
    folder.keep(document("a", frames=several), tmp_path / "a.avi")
    folder.keep(document("b", frames=several, ed=1, es=5), tmp_path / "b.avi")
    folder.keep(document("c", frames={3: frame(16.0)}), tmp_path / "c.avi", split="test")
    return folder


def test_echonets_rules_find_the_clips_and_their_phases(corrected):
    clips = echonets_clips(corrected.path)
    assert list(clips) == ["a", "b"]
    for name, (small, large) in {"a": (9, 2), "b": (5, 1)}.items():
        row, count, pair = clips[name]
        assert count == 12 and row["NumberOfFrames"] == "12"
        assert pair["small"][0] == small and pair["large"][0] == large
        for number, mask in pair.values():
            drawn = ventricle_mask(points(WIDTHS[number]), (112, 112))
            # whole px, to which EchoNet's rules round, make an outline of 112 px larger
            assert dice(mask, drawn) > 0.95 and mask.sum() > drawn.sum()
            assert not (drawn & ~cv2.dilate(mask.astype(np.uint8), np.ones((3, 3)))).any()


def test_this_package_reads_all_frames_with_their_phases(corrected):
    data = open_data(corrected.path)
    assert isinstance(data, EchoNet) and data.corrected and data.name == "corrections"
    assert data.problems == [] and data.table.split.tolist() == ["train", "train", "test"]
    phases = {
        "a": {1: "", 2: "ED", 5: "", 9: "ES"},
        "b": {1: "ED", 2: "", 5: "ES", 9: ""},
        "c": {3: ""},
    }
    for clip, expected in phases.items():
        frames, problems = data.labelled(clip)
        drawn = corrected.masks(clip)
        assert problems == [] and {each.frame: each.phase for each in frames} == expected
        for each in frames:
            assert dice(each.mask, drawn[each.frame]) > 0.98
            assert each.mask.sum() == pytest.approx(drawn[each.frame].sum(), rel=0.03)
            assert np.median(each.image) == pytest.approx(40 + 10 * each.frame, abs=3)


def test_corrections_are_packed_and_known_not_to_be_rounded(corrected, tmp_path):
    frames = pack(open_data(corrected.path), tmp_path / "packed", progress=False)
    assert len(frames) == 9 and not frames.rounded
    assert set(frames.table.source) == {"corrections"}


def test_the_fingerprint_changes_with_a_correction_and_with_a_patient(corrected, tmp_path):
    prints = [EchoNet(corrected.path).fingerprint()]
    corrected.keep(document("c", frames={3: frame(15.0)}))
    prints.append(EchoNet(corrected.path).fingerprint())
    corrected.keep(document("c", frames={3: frame(15.0)}), patient="p")
    prints.append(EchoNet(corrected.path).fingerprint())
    assert len(set(prints)) == 3


def test_outlines_on_real_frames_survive_the_tables(camus, tmp_path):
    data = Camus(camus)
    folder = Folder(tmp_path / "corrected", "expert")
    for clip in data.table.index[data.table.split == "train"][:4]:
        labelled, frames = data.labelled(clip)[0], data.clip(clip)
        made = {}
        for each in labelled:
            drawn, apex = outline_points(each.mask)
            one = {"points": drawn.tolist(), "apex": apex, "made": "drawn", "moved": 0}
            made[each.frame] = frame(None) | {"ventricle": one | {"proposed": None}}
        count, height, width = frames.frames.shape
        size = {"frame_count": count, "height": height, "width": width, "fps": frames.fps}
        folder.keep(document(clip, frames=made, annotator="expert", **size), frames)
    again = EchoNet(folder.path)
    assert again.problems == [] and len(again.table) == 4
    assert again.table.EDV.notna().all()  # CAMUS has a spacing
    for clip in again.table.index:
        experts = {each.frame: each for each in data.labelled(clip)[0]}
        for each in again.labelled(clip)[0]:
            assert dice(each.mask, folder.masks(clip)[each.frame]) > 0.98
            assert dice(each.mask, experts[each.frame].mask) > 0.96
            assert each.phase == experts[each.frame].phase


def test_a_folder_in_which_nothing_is_outlined_says_so(tmp_path):
    write_avi(tmp_path / "0X0001.avi")
    Folder(tmp_path / "kept", "anna").keep(document(frames={}), tmp_path / "0X0001.avi")
    with pytest.raises(DataError, match="no rows. Nobody has outlined a ventricle"):
        open_data(tmp_path / "kept")
