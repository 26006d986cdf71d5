"""What is corrected first: worth, spread over patients, stable ties, unreadable clips, the file."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from echolib.corrections import queue
from echolib.corrections.queue import (
    COLUMNS,
    SAMPLED,
    correction_queue,
    frame_doubts,
    order_frames,
    read_queue,
    write_queue,
)
from echolib.data import Clip, LooseClips, open_data
from echolib.errors import DataError
from echolib.networks.models import LandmarkUNet, UNet
from tests.makers import EchoNetFolder, write_avi

MASKS = UNet(width=2, depth=2).eval()
LANDMARKS = LandmarkUNet(width=2, depth=2).eval()


def doubts(*rows: tuple[str, str, float]) -> pd.DataFrame:
    """One frame per row: clip, patient, entropy."""
    table = pd.DataFrame(rows, columns=["clip", "patient", "entropy"])
    return table.assign(frame=table.groupby("clip").cumcount())


def order(*rows: tuple[str, str, float]) -> list[str]:
    return list(order_frames(doubts(*rows))["clip"].unique())


def test_the_most_doubtful_clip_comes_first():
    assert order(("a", "1", 0.2), ("b", "2", 0.9), ("c", "3", 0.5)) == ["b", "c", "a"]


def test_no_patient_comes_twice_before_all_have_come_once():
    rows = [("a1", "a", 0.9), ("a2", "a", 0.8), ("a3", "a", 0.7), ("b", "b", 0.1), ("c1", "c", 0.2)]
    assert order(*rows, ("c2", "c", 0.75)) == ["a1", "c2", "b", "a2", "c1", "a3"]


def test_equal_clips_stay_in_their_order():
    names = [f"clip{number}" for number in np.random.default_rng(0).permutation(40)]
    assert order(*[(name, name, 0.5) for name in names]) == names


@given(
    st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from([0.1, 0.5, 0.9, 2.0])), min_size=1)
)
def test_each_round_holds_a_patient_once_and_worth_falls_in_it(frames):
    """Each frame is a clip of its own here."""
    rows = [(f"c{number}", patient, doubt) for number, (patient, doubt) in enumerate(frames)]
    table = order_frames(doubts(*rows))
    assert sorted(table["clip"]) == sorted(row[0] for row in rows)
    assert list(table.place) == list(range(1, len(rows) + 1))
    turn = table.groupby("patient").cumcount()
    assert turn.is_monotonic_increasing
    for _, together in table.groupby(turn):
        assert together.patient.is_unique and together.worth.is_monotonic_decreasing


def test_a_clip_is_worth_what_its_most_doubtful_frames_are():
    table = order_frames(
        doubts(("a", "1", 0.9), ("a", "1", 0.1), ("a", "1", 0.8), ("b", "2", 0.85), ("b", "2", 0.7))
    )
    assert list(table.frame) == [0, 2, 0, 1] and list(table["clip"]) == ["a", "a", "b", "b"]
    alone = order_frames(doubts(("a", "1", 0.9), ("a", "1", 0.1), ("b", "2", 0.5)), proposed=1)
    assert list(alone.frame) == [0, 0]
    with pytest.raises(ValueError, match="1 or more, not 0"):
        order_frames(doubts(("a", "1", 0.9)), proposed=0)


def test_worth_does_not_depend_on_the_scale_of_a_doubt():
    table = doubts(("a", "1", 0.1), ("b", "2", 0.2), ("c", "3", 0.4)).assign(
        augmentation=[0.3, 0.2, 0.1]
    )
    worth = order_frames(table).set_index("clip").worth
    assert worth.nunique() == 1
    pd.testing.assert_frame_equal(
        order_frames(table.assign(entropy=table.entropy**3))[COLUMNS], order_frames(table)[COLUMNS]
    )


def test_frames_of_a_long_clip_are_sampled_evenly():
    noise = np.random.default_rng(0).integers(0, 255, (40, 112, 112), dtype=np.uint8)
    table = frame_doubts(Clip("noise", noise), MASKS, LANDMARKS)
    assert len(table) == SAMPLED and table.frame.iloc[[0, -1]].tolist() == [0, 39]
    assert {"disagreement", "augmentation", "entropy"} < set(table)
    assert np.isfinite(table).all(axis=None)
    assert len(frame_doubts(Clip("two", noise[:2]), MASKS)) == 2
    assert "disagreement" not in frame_doubts(Clip("two", noise[:2]), MASKS)


def test_a_queue_of_a_study_leaves_out_what_is_corrected_or_unreadable(tmp_path):
    data = open_data(EchoNetFolder(tmp_path, clips=4).write())
    (tmp_path / "Videos" / "0X0002.avi").write_bytes(b"no video")
    problems = []
    table = correction_queue(
        data, MASKS, LANDMARKS, corrected=["0X0000"], progress=False, problems=problems
    )
    assert sorted(table["clip"].unique()) == ["0X0001", "0X0003"]
    assert [problem.file for problem in problems] == ["0X0002"]
    again = correction_queue(data, MASKS, LANDMARKS, corrected=["0X0000"], progress=False)
    pd.testing.assert_frame_equal(table, again)
    train = correction_queue(data, MASKS, split="train", progress=False)
    assert set(train["clip"]) == {"0X0000", "0X0001"}
    with pytest.raises(DataError, match="none of the 4 clips"):
        correction_queue(data, MASKS, corrected=data.table.index, progress=False)


def test_clips_of_which_none_can_be_read_are_no_queue(tmp_path):
    (tmp_path / "a.avi").write_bytes(b"no video")
    with pytest.raises(DataError, match="none of its 1 clips can be read"):
        correction_queue(LooseClips(tmp_path), MASKS, progress=False)


def test_a_queue_removes_nothing_of_others_from_the_folder_that_it_is_given(tmp_path):
    data = open_data(EchoNetFolder(tmp_path / "data", clips=4).write())
    for name in ("identity.json", "masks.npz"):  # as `segment` leaves them
        (tmp_path / name).write_text("{}")
    for masks in (MASKS, UNet(width=3, depth=2).eval()):
        correction_queue(data, masks, progress=False, folder=tmp_path)
    assert [(tmp_path / name).read_text() for name in ("identity.json", "masks.npz")] == ["{}"] * 2


def test_a_queue_that_was_stopped_goes_on_with_the_clips_that_are_left(tmp_path, monkeypatch):
    data, folder = open_data(EchoNetFolder(tmp_path / "data", clips=4).write()), tmp_path / "parts"
    (tmp_path / "data" / "Videos" / "0X0001.avi").write_bytes(b"no video")
    whole = correction_queue(data, MASKS, LANDMARKS, progress=False)
    looked_at: list[str] = []

    def doubts_until(stop_at: str):
        def measured(clip: Clip, *models) -> pd.DataFrame:
            if clip.name == stop_at:
                raise KeyboardInterrupt
            looked_at.append(clip.name)
            return frame_doubts(clip, *models)

        return measured

    monkeypatch.setattr(queue, "frame_doubts", doubts_until("0X0002"))
    with pytest.raises(KeyboardInterrupt):
        correction_queue(data, MASKS, LANDMARKS, progress=False, folder=folder)
    monkeypatch.setattr(queue, "frame_doubts", doubts_until(""))
    problems = []
    table = correction_queue(
        data, MASKS, LANDMARKS, progress=False, problems=problems, folder=folder
    )
    assert looked_at == ["0X0000", "0X0002", "0X0003"]
    assert [problem.file for problem in problems] == ["0X0001"]  # it is tried again
    pd.testing.assert_frame_equal(table, whole)
    looked_at.clear()
    rest = correction_queue(
        data, MASKS, LANDMARKS, corrected=["0X0000"], progress=False, folder=folder
    )
    assert looked_at == [] and set(rest["clip"]) == {"0X0002", "0X0003"}
    correction_queue(data, MASKS, progress=False, folder=folder)  # another network: anew
    assert looked_at == ["0X0000", "0X0002", "0X0003"]


def test_a_queue_needs_no_labels(tmp_path):
    write_avi(tmp_path / "a.avi")
    write_avi(tmp_path / "b.avi", count=3)
    table = correction_queue(LooseClips(tmp_path), MASKS, progress=False)
    assert list(table.groupby("clip").size()) == [2, 2]


def test_models_of_the_wrong_kind_are_refused(tmp_path):
    write_avi(tmp_path / "a.avi")
    data, small = LooseClips(tmp_path), LandmarkUNet(width=2, depth=2)
    small.size = 64
    for models, message in (
        ((LANDMARKS, None), "does not find masks"),
        ((UNet(width=2, depth=2, inputs=3), None), "does not find masks in single frames"),
        ((MASKS, MASKS), "does not find landmarks in single"),
        ((MASKS, LandmarkUNet(width=2, depth=2, inputs=3)), "does not find landmarks in single"),
        ((MASKS, small), "112 and 64 px"),
    ):
        with pytest.raises(ValueError, match=message):
            correction_queue(data, *models, progress=False)


def test_a_queue_is_read_as_it_was_written(tmp_path):
    table = order_frames(doubts(("007", "1", 0.9), ("b", "2", 0.8), ("007", "1", 1.0)))
    write_queue(table, tmp_path / "queue.csv")
    assert read_queue(tmp_path / "queue.csv") == [("007", [1, 0]), ("b", [0])]


@pytest.mark.parametrize(
    "text", ["", "clip\na\n", "clip,frame\n", "clip,frame\na,first\n", "clip,frame\na,-1\n"]
)
def test_other_files_are_no_queue(tmp_path, text):
    (tmp_path / "queue.csv").write_text(text)
    with pytest.raises(DataError, match=r"queue\.csv"):
        read_queue(tmp_path / "queue.csv")
