"""The report of a study: what it says, and that it is whole and loads nothing."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from echolib.report.study import CLIPS_TO_CHECK, clip_picture, clips_to_check, write_study_report
from echolib.ventricle.scores import dice_scores, ef_scores, ef_scores_by_range
from echolib.ventricle.words import CORRECTED
from tests.figures.test_ventricle import make_function, study_table
from tests.report.test_ventricle import HOSTILE, OWN, content, parse

SCORES = pd.DataFrame({"split": ["all"], "mae": [4.0]})


def test_study_report_gives_the_scores_by_range(tmp_path):
    table = study_table(60).assign(split="test", warnings="")
    by_range = ef_scores_by_range(table, resamples=20)
    scores = ef_scores(table, resamples=20)
    write_study_report(tmp_path / "study.html", table, scores, by_range=by_range)
    page = parse(tmp_path / "study.html")
    for row in by_range.itertuples():
        assert f"{row.mae:.3g} ({row.mae_low:.3g} to {row.mae_high:.3g})" in page.row(row.range)
        assert f"{row.coverage:.3g} (" in page.row(row.range)


def test_study_report_gives_scores_and_the_clips_to_look_at(tmp_path):
    table = study_table(60).assign(split="test", warnings="")
    table.loc[7, ["ef_low", "ef_high", "warnings"]] = [0.0, 90.0, HOSTILE]
    scores = ef_scores(table, resamples=50)
    write_study_report(tmp_path / "study.html", table, scores, title=HOSTILE)
    page = parse(tmp_path / "study.html")
    assert page.texts("h1") == [f"Heart function: {HOSTILE}"]
    assert "ScoreTestAll" == "".join(word.capitalize() for word in page.texts("th")[:3])
    error = scores.iloc[0]
    expected = f"{error.mae:.3g} ({error.mae_low:.3g} to {error.mae_high:.3g})"
    assert expected in page.row("mean absolute error")
    assert f"{error.loa_low:.3g} to {error.loa_high:.3g}" in page.row("95 % limits of agreement")
    clips = [" ".join(text.split()) for text in page.texts("article")]
    assert len(clips) == CLIPS_TO_CHECK
    assert clips[0].startswith("0X0000 EF unknown; true EF")
    assert clips[1].startswith("0X0007") and clips[1].endswith(" ".join(HOSTILE.split()))
    assert any("60 clips, 1 of them without an EF." in text for text in page.texts("p"))
    assert len(page.all("img")) == 1


def test_study_report_gives_the_dice_of_its_outlines(tmp_path):
    cases = pd.DataFrame({"clip": list("aabb"), "frame": [0, 5, 0, 5], "patient": list("aabb")})
    cases = cases.assign(phase=["ED", "ES"] * 2, dice=[0.9, 0.8, 0.92, 0.84], area=90, area_true=90)
    dice = dice_scores(cases, resamples=20)
    write_study_report(tmp_path / "study.html", study_table(5), SCORES, dice=dice)
    page = parse(tmp_path / "study.html")
    assert "Outlines" in page.texts("h2")
    assert page.cells("ED")[0] == "2" and page.cells("overall")[2].startswith("0.865")
    write_study_report(tmp_path / "study.html", study_table(5), SCORES)
    assert "Outlines" not in parse(tmp_path / "study.html").texts("h2")


def test_warnings_of_all_clips_are_said_once_and_others_with_their_clip(tmp_path):
    table = study_table(9)
    own = [f"Warning {number}." for number in range(9)]
    table["warnings"] = [" | ".join(["No rate.", one]) for one in own]
    table.loc[0, "warnings"] = "Unreadable."
    table.loc[[2, 5], "warnings"] = " | ".join(["No rate.", "One beat."])
    write_study_report(tmp_path / "study.html", table)
    page = parse(tmp_path / "study.html")
    items = page.texts("li")
    assert items[0] == "No rate." and items.count("No rate.") == 1
    assert items[1] == "Unreadable." and sorted(items[2:]) == [own[n] for n in (1, 3, 4, 6, 7, 8)]
    assert page.texts("dt", "dd") == ["W1", "One beat."]
    labelled = [text for text in page.texts("article") if "Warnings W1" in text]
    assert len(labelled) == 2 and all(table.name[n] in "".join(labelled) for n in (2, 5))
    write_study_report(tmp_path / "study.html", table[:2])  # one clip shares with no other
    assert parse(tmp_path / "study.html").texts("h3") == table.name[:2].tolist()


def test_clips_to_look_at_have_a_picture_and_a_link_to_their_video(tmp_path):
    table, result = study_table(3), make_function()
    picture = clip_picture(result)
    height, width = result.cropped().clip.frames.shape[1:]
    assert picture.shape[1] / picture.shape[0] == pytest.approx(2 * width / height, rel=0.02)
    name = table.name[1]
    write_study_report(
        tmp_path / "study.html", table, pictures={name: picture},
        videos={name: "videos/a b#c.mp4"},
    )  # fmt: skip
    source = (tmp_path / "study.html").read_text()
    assert source.count('href="videos/a%20b%23c.mp4"') == 1 == source.count("href=")
    (shown,) = parse(tmp_path / "study.html").all("img")
    assert name in shown["alt"] and len(content(shown["src"])) > 1000


def test_splits_come_in_their_order_and_two_clips_have_no_interval(tmp_path):
    table = study_table(22).assign(split=["test"] * 10 + ["val"] * 2 + ["train"] * 10)
    write_study_report(tmp_path / "study.html", table, ef_scores(table, resamples=20))
    page = parse(tmp_path / "study.html")
    assert page.texts("th")[:5] == ["Score", "train", "val", "test", "all"]
    cells = page.cells("mean absolute error")
    assert [" to " in cell for cell in cells] == [True, False, True, True]
    assert page.cells("95 % limits")[1] == "unknown"


def test_study_report_says_whether_the_ef_is_corrected(tmp_path):
    table = study_table(5)
    for shift, word in ((0, "measured"), (1, "corrected")):
        shifted = table.assign(ef_measured=table.ef_corrected - shift)
        write_study_report(tmp_path / "study.html", shifted)
        page = parse(tmp_path / "study.html")
        assert f"every EF below is the {word} one" in page.texts("p")[1]
        assert (CORRECTED in page.texts("p")) == (word == "corrected")


def test_study_report_says_that_the_true_ef_is_of_another_method(tmp_path):
    path, table = tmp_path / "study.html", study_table(5)
    write_study_report(path, table, SCORES, about_ef="The truth has two views.")
    assert "The truth has two views." in parse(path).texts("p")
    write_study_report(path, table, SCORES)
    assert not any("two views" in text for text in parse(path).texts("p"))


def test_study_without_intervals_claims_nothing_about_them(tmp_path):
    table = study_table(5).assign(ef_low=np.nan, ef_high=np.nan)
    write_study_report(tmp_path / "study.html", table, SCORES)
    texts = parse(tmp_path / "study.html").texts("p")
    assert "No clip has an interval. Only networks with a calibration give one." in texts
    assert not any("calibrated on" in text for text in texts)


def test_study_without_true_ef_has_no_figure(tmp_path):
    table = study_table(5).drop(columns="ef_true").assign(warnings=np.nan)
    table["warnings"] = [" | ".join(["a", "b"]), "c d", *table.warnings[2:]]
    scores = SCORES.assign(mae=np.nan, auc_50=0.97)
    write_study_report(tmp_path / "study.html", table, scores, calibration=OWN)
    page = parse(tmp_path / "study.html")
    assert any("calibrated on: a <few> patients." in text for text in page.texts("p"))
    clips = [" ".join(text.split()) for text in page.texts("article")]
    assert clips[0].endswith("true EF unknown ab")
    assert sum(text.endswith("c d") for text in clips) == 1
    assert not page.all("img")
    assert page.row("mean absolute error").endswith("unknown")
    assert page.row("AUC for EF below 50 %").endswith("0.97")


def test_a_study_report_leaves_no_open_figure_and_no_changed_setting(tmp_path):
    figures, settings = plt.get_fignums(), dict(plt.rcParams)
    write_study_report(tmp_path / "study.html", study_table(), SCORES)
    assert plt.get_fignums() == figures and dict(plt.rcParams) == settings


def test_clips_without_an_ef_come_first_then_the_widest_intervals():
    table = study_table(60)
    chosen = clips_to_check(table)
    assert len(chosen) == CLIPS_TO_CHECK and chosen.name.iloc[0] == "0X0000"
    widths = (chosen.ef_high - chosen.ef_low)[1:]
    assert (np.diff(widths) <= 0).all() and widths.min() >= np.sort(
        (table.ef_high - table.ef_low).dropna()
    )[-CLIPS_TO_CHECK + 1]
