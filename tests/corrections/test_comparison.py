"""Agreement between two people who corrected the same clips."""

import numpy as np
import pytest

from echolib.corrections import Folder, agreement, agreement_summary, ventricle_mask
from echolib.errors import DataError
from echolib.metrics import case_scores
from tests.corrections.made import document, frame, points
from tests.makers import write_avi


@pytest.fixture
def folder(tmp_path):
    """A function that keeps documents of anna and ben, by clip, and returns the folder."""
    write_avi(tmp_path / "clip.avi")

    def keep(**clips):
        folder = Folder(tmp_path / "corrected")
        for clip, pair in clips.items():
            for name, content in zip(("anna", "ben"), pair, strict=True):
                if content is not None:
                    made = document(clip, annotator=name, **content)
                    folder.keep(made, tmp_path / "clip.avi")
        return folder

    return keep


def frames(*widths, **more):
    return {"frames": {2 + index: frame(width, **more) for index, width in enumerate(widths)}}


def test_equal_outlines_agree_fully(folder):
    table = agreement(folder(a=(frames(18.0, 13.0), frames(18.0, 13.0))), "anna", "ben")
    assert table.frame.tolist() == [2, 3] and set(table.structure) == {"ventricle"}
    assert (table.dice == 1).all() and (table.distance_px == 0).all()
    assert (table.ef_difference == 0).all()


def test_outlines_are_compared_frame_by_frame_and_ef_clip_by_clip(folder):
    kept = folder(
        a=(frames(18.0, 15.0, 13.0), frames(18.0, None, 11.0)),
        b=(frames(18.0), None),
        c=(frames(18.0), frames(17.0)),
    )
    table = agreement(kept, "anna", "ben").set_index(["clip", "frame"])
    assert list(table.index) == [("a", 2), ("a", 4), ("c", 2)]
    masks = [ventricle_mask(points(width), (112, 112)) for width in (13.0, 11.0)]
    expected = case_scores(*masks)
    assert table.dice["a", 4] == expected["dice"]
    assert table.distance_px["a", 4] == expected["assd"] and 1 < expected["assd"] < 3
    of_clip = table.loc["a"]
    assert of_clip.ef_first.nunique() == 1 and (of_clip.ef_second > of_clip.ef_first).all()
    assert np.allclose(of_clip.ef_difference, of_clip.ef_second - of_clip.ef_first)
    assert np.isnan(table.ef_first["c", 2])
    turned = agreement(kept, "ben", "anna").set_index(["clip", "frame"])
    assert np.allclose(turned.ef_difference["a"], -of_clip.ef_difference)
    assert turned.dice.equals(table.dice)


def test_leaflets_are_compared_too(folder):
    kept = folder(a=(frames(18.0, leaflets=2), frames(18.0, leaflets=1)))
    table = agreement(kept, "anna", "ben").set_index("structure")
    assert set(table.index) == {"ventricle", "leaflets"}
    assert table.dice["ventricle"] == 1 and 0.5 < table.dice["leaflets"] < 0.8


def test_what_was_interpolated_or_not_readable_is_not_compared_but_counted(folder):
    answered = frames(18.0, 15.0)
    answered["frames"][3]["answer"] = "not readable"
    kept = folder(
        a=(frames(18.0, 15.0), answered),
        b=(frames(18.0, 15.0), frames(18.0, 15.0, made="interpolated")),
        c=(frames(18.0), frames(18.0) | {"answer": "other view"}),
        d=(frames(18.0) | {"answer": "other view"}, frames(18.0) | {"answer": "other view"}),
    )
    table = agreement(kept, "anna", "ben")
    assert list(zip(table["clip"], table.frame, strict=True)) == [("a", 2)]
    summary = agreement_summary(kept, "anna", "ben")
    assert summary["answers_differ"] == 2 and summary["clips"] == summary["frames"] == 1


def test_the_summary_has_means_with_intervals(folder):
    pairs = {f"c{n}": (frames(18.0, 13.0), frames(18.0 - n / 2, 12.0)) for n in range(5)}
    kept = folder(**pairs)
    table, summary = (each(kept, "anna", "ben") for each in (agreement, agreement_summary))
    assert summary["clips"] == 5 and summary["frames"] == 10
    for name in ("dice", "distance_px"):
        scores = summary["ventricle"][name]
        assert scores["mean"] == pytest.approx(table[name].mean())
        assert scores["ci95"][0] <= scores["mean"] <= scores["ci95"][1]
    differences = table.groupby("clip").ef_difference.first()
    assert summary["ef"]["n"] == 5
    assert summary["ef"]["mean_difference"] == pytest.approx(differences.mean())
    assert summary["ef"]["mean_absolute_difference"] == pytest.approx(differences.abs().mean())


def test_nothing_in_common_is_an_empty_table(folder):
    kept = folder(a=(frames(18.0), None), b=(None, frames(18.0)))
    assert agreement(kept, "anna", "ben").empty
    summary = agreement_summary(kept, "anna", "ben")
    assert summary == {"clips": 0, "frames": 0, "answers_differ": 0, "ef": {"n": 0}}


def test_an_unknown_name_is_said(folder):
    kept = folder(a=(frames(18.0), None))
    with pytest.raises(DataError, match="no corrections by 'ana'.*Did you mean 'anna'"):
        agreement(kept, "ana", "ben")
