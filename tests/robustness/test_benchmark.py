"""The robustness benchmark: equal noise for all models, one row per case, resuming, tables."""

import json
from dataclasses import replace
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from echolib.errors import DataError
from echolib.figures import robustness as robustness_plots
from echolib.geometry import disk_volume, ejection_fraction, mask_to_tracing, polygon_to_mask
from echolib.metrics import case_scores
from echolib.networks import inference
from echolib.networks.corruptions import CORRUPTIONS
from echolib.networks.models import LandmarkUNet, load_model
from echolib.report import robustness as robustness_report
from echolib.robustness import benchmark as robustness
from echolib.robustness.comparison import (
    ALL,
    compare_models,
    differences_from_first,
    fall_from_clean,
    falls_from_clean,
    mean_by_severity,
    robustness_summary,
    seen_in_training,
)
from tests.makers import ventricle_set

FRAMES = ventricle_set(12)


class Darkness(torch.nn.Module):
    """A masks model that takes dark pixels for the cavity: right on clean frames, not on noise."""

    arguments = {"outputs": 1}

    def forward(self, images):
        return 60 * (0.3 - images)


class Empty(Darkness):
    """A masks model whose masks are all empty."""

    def forward(self, images):
        return images - 10


def models() -> dict:
    torch.manual_seed(0)
    return {"dark": Darkness(), "points": LandmarkUNet(2, depth=2)}


def run(folder, names=("gaussian", "attenuation"), **options) -> pd.DataFrame:
    options = {"severities": (1, 3), "progress": False, **options}
    return robustness.run_robustness(
        options.pop("models", models()), FRAMES, folder, names, **options
    )


def test_all_models_are_scored_on_the_same_frames_in_every_condition(tmp_path):
    cases = run(tmp_path, pairs={"both": ("dark", "points")})
    assert len(cases) == 3 * 5 * len(FRAMES)
    counts = cases.groupby(["model", "corruption", "severity"]).size()
    assert (counts == len(FRAMES)).all() and len(counts) == 15
    written = pd.read_csv(tmp_path / robustness.CASES_FILE, dtype={"clip": str, "patient": str})
    pd.testing.assert_frame_equal(written, cases, check_dtype=False)
    first = robustness.corrupted_images(FRAMES, "gaussian", 3)
    assert np.array_equal(first, robustness.corrupted_images(FRAMES, "gaussian", 3))
    assert not np.array_equal(first, robustness.corrupted_images(FRAMES, "gaussian", 3, seed=1))
    assert not np.array_equal(*(first[:2].astype(int) - FRAMES.images[:2]))  # different noise


def test_a_row_holds_the_scores_of_the_mask():
    cases = robustness.score_condition({"dark": Darkness()}, FRAMES)
    assert cases.dice.min() > 0.95
    row = cases.iloc[3]
    mask = robustness.square_masks(robustness.predict(Darkness(), FRAMES.images[3:4]), 48)[0]
    truth = FRAMES.masks[3]
    assert row[["dice", "iou", "hd95", "assd"]].to_dict() == case_scores(mask, truth)
    assert row.area_error == pytest.approx(100 * (mask.sum() / truth.sum() - 1))
    volumes = [[disk_volume(mask_to_tracing(m)) for m in FRAMES.masks[2:4]]]
    volumes.append([cases.volume[2], row.volume])
    true, measured = (ejection_fraction(*pair) for pair in volumes)
    assert cases.ef_error[2] == row.ef_error == pytest.approx(measured - true)


def test_an_empty_mask_is_kept_as_the_worst_case_without_an_ejection_fraction():
    cases = robustness.score_condition({"none": Empty()}, FRAMES)
    assert (cases.dice == 0).all() and (cases.area_error == -100).all()
    assert (cases.volume == 0).all() and cases.ef_error.isna().all()


def test_an_empty_mask_at_end_systole_gives_no_ejection_fraction_of_100():
    frames = replace(
        FRAMES,
        images=np.where(
            FRAMES.table.frame.to_numpy()[:, None, None] == 1, np.uint8(255), FRAMES.images
        ),
    )
    cases = robustness.score_condition({"dark": Darkness()}, frames)
    assert (cases.volume[1::2] == 0).all() and cases.ef_error.isna().all()


def test_landmarks_are_drawn_like_the_true_masks():
    class Expert(LandmarkUNet):
        def forward(self, images):
            return torch.from_numpy(np.array(FRAMES.landmarks))

    for rounded in (True, False):
        masks = [polygon_to_mask(points, (48, 48), rounded) for points in FRAMES.landmarks]
        frames = replace(FRAMES, masks=np.stack(masks))
        assert frames.rounded == rounded
        expert = Expert(2, depth=2)
        expert.size = 48
        cases = robustness.score_condition({"expert": expert}, frames)
        assert (cases.dice == 1).all()
        scored = inference.score(expert, frames, "all", progress=False)
        assert (scored.dice == 1).all()


def test_finished_conditions_are_not_computed_again(tmp_path, monkeypatch):
    whole = run(tmp_path / "whole")
    scored = []
    original = robustness.score_condition

    def counted(models, frames, corruption, severity, *rest):
        if len(scored) == 3:
            raise KeyboardInterrupt
        scored.append((corruption, severity))
        return original(models, frames, corruption, severity, *rest)

    monkeypatch.setattr(robustness, "score_condition", counted)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts")
    assert not (tmp_path / "parts" / robustness.CASES_FILE).exists()
    monkeypatch.setattr(robustness, "score_condition", original)
    again = run(tmp_path / "parts")
    assert again.equals(whole) and len(scored) == len(set(scored)) == 3


def without_a_clip(part):
    stored = json.loads(part.read_text())
    stored["part"]["content"] = [row for row in stored["part"]["content"] if row["clip"] != "p1"]
    part.write_text(json.dumps(stored))


@pytest.mark.parametrize(
    "damage",
    [
        without_a_clip,
        lambda part: part.write_text(part.read_text().replace('"p1"', '"p99"')),
        lambda part: part.write_text(part.read_text().replace('"dice": ', '"dice": "0.1", "x": ')),
        lambda part: part.write_bytes(part.read_bytes()[:500]),
        lambda part: part.write_bytes((part.parent / "clean-0.json").read_bytes()),
    ],
)
def test_a_damaged_part_is_scored_again(tmp_path, damage):
    whole = run(tmp_path)
    part = tmp_path / "parts" / "gaussian-3.json"
    damage(part)
    with pytest.warns(UserWarning, match=r"gaussian-3\.json cannot be used .*made anew"):
        again = run(tmp_path)
    assert again.equals(whole) and len(again["clip"].unique()) == 6


def test_parts_of_another_run_are_refused(tmp_path):
    run(tmp_path)
    for changed in ({"seed": 1}, {"models": {"dark": Darkness()}}, {"pairs": {"x": ("dark",) * 2}}):
        with pytest.raises(DataError, match=f"differ in {next(iter(changed))}"):
            run(tmp_path, **changed)
    (tmp_path / "parts" / "identity.json").write_text("{")
    with pytest.raises(DataError, match="damaged"):
        run(tmp_path)
    with pytest.raises(ValueError, match="no frames"):
        robustness.run_robustness(
            models(), FRAMES.select(np.zeros(len(FRAMES), bool)), tmp_path / "new"
        )
    with pytest.raises(ValueError, match="Unknown corruptions"):
        run(tmp_path / "new", ("rain",))
    for severities in ((), (0,), (6,)):
        with pytest.raises(ValueError, match="severities from"):
            run(tmp_path / "new", severities=severities)
    with pytest.raises(ValueError, match="a name of its own"):
        run(tmp_path / "other", pairs={"dark": ("dark", "points")})


def test_parts_for_frames_with_another_table_are_refused(tmp_path):
    run(tmp_path)
    renamed = replace(FRAMES, table=FRAMES.table.assign(patient="one"))
    with pytest.raises(DataError, match="differ in frames"):
        robustness.run_robustness(models(), renamed, tmp_path, ("gaussian",))


def test_the_order_of_the_models_may_change_and_repeated_names_count_once(tmp_path):
    run(tmp_path)
    reordered = run(tmp_path, models=dict(reversed(models().items())))
    assert reordered.model.unique().tolist() == ["points", "dark"]
    again = run(tmp_path / "again", ("gaussian", "gaussian"), severities=(3, 3))
    assert len(again) == 2 * 2 * len(FRAMES)


def table(**dice: list[float]) -> pd.DataFrame:
    """Cases of ten patients: for each model its Dice clean, then at severities 1 and 2."""
    generator = np.random.default_rng(0)
    rows = []
    for model, levels in dice.items():
        for corruption in ("clean", "haze", "jpeg"):
            for severity, level in enumerate(levels):
                if (corruption == "clean") == (severity == 0):
                    rows += [
                        {
                            "model": model, "corruption": corruption, "severity": severity,
                            "clip": f"c{p}", "frame": 0, "patient": f"p{p}",
                            "dice": level + 0.01 * generator.standard_normal(), "ef_error": -3.0,
                        }
                        for p in range(10)
                    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_the_summary_agrees_with_imagenet_cs_formulas():
    summary = robustness_summary(table(strong=[0.9, 0.85, 0.8], weak=[0.92, 0.7, 0.6]))
    assert summary.loc["strong", "corrupted"] == pytest.approx(0.825, abs=0.01)
    assert summary.loc["weak", "kept"] == pytest.approx(0.65 / 0.92, abs=0.02)
    assert summary.loc["strong", "mce"] == pytest.approx(1)
    assert summary.loc["weak", "mce"] == pytest.approx(0.35 / 0.175, abs=0.15)
    assert summary.loc["weak", "relative_mce"] == pytest.approx(0.27 / 0.075, abs=0.6)
    assert (summary.ef_error == 3).all() and (summary.without_ef == 0).all()
    with pytest.raises(ValueError, match="baseline 'none'"):
        robustness_summary(table(strong=[0.9, 0.8, 0.7]), "none")


def test_the_verdict_follows_from_the_numbers():
    cases = table(first=[0.9, 0.8, 0.7], second=[0.9, 0.6, 0.5])
    compared = compare_models(cases, "first", "second").set_index("corruption")
    assert list(compared.index) == ["clean", ALL, "haze", "jpeg"]
    assert compared.verdict[ALL] == "first" and compared.difference[ALL] == pytest.approx(
        0.2, abs=0.02
    )
    assert compared.verdict["clean"] == "no difference shown"
    assert (compared.p_holm >= compared.p).all()
    swapped = compare_models(cases, "second", "first").set_index("corruption")
    assert swapped.verdict[ALL] == "first" and swapped.difference[ALL] < 0
    with pytest.raises(ValueError, match="two names"):
        compare_models(cases.replace("first", "low"), "low", "second")
    with pytest.raises(ValueError, match="No cases of 'third'"):
        compare_models(cases, "first", "third")


def test_the_fall_is_measured_against_the_same_clean_frames():
    fall, low, high = fall_from_clean(table(one=[0.9, 0.8, 0.7]), "one", ("haze",), 2)
    assert low < fall < high and fall == pytest.approx(0.2, abs=0.02)
    both = falls_from_clean(table(one=[0.9, 0.8, 0.7], two=[0.9, 0.9, 0.9]), 1)
    assert both.model.tolist() == ["one", "two"] and set(both.corruptions) == {"all"}
    assert both.fall.round(1).tolist() == [0.1, 0]
    with pytest.raises(ValueError, match="severity 4"):
        fall_from_clean(table(one=[0.9, 0.8, 0.7]), "one", ("haze",), 4)


def test_falls_name_the_models_that_saw_the_corruptions():
    cases = table(plain=[0.9, 0.8, 0.7], robust=[0.9, 0.9, 0.9])
    seen = {"plain": (), "robust": ("haze", "gain"), "other": ()}
    falls = falls_from_clean(cases, 1, seen)
    assert falls.corruptions.tolist() == ["seen", "unseen"] * 2
    assert falls.seen_by.tolist() == ["robust", ""] * 2
    nobody = falls_from_clean(cases, 1, {"plain": (), "robust": ()})
    assert nobody.corruptions.tolist() == ["all"] * 2 and not nobody.seen_by.any()
    assert falls_from_clean(cases[cases.corruption == "clean"], 1, seen).empty


def test_what_a_model_saw_is_said_by_its_own_card():
    loaded = {name: load_model(name) for name in ("lv", "lv_robust")}
    seen = seen_in_training(loaded | {"dark": Darkness()})
    assert seen["lv"] == seen["dark"] == () and "gaussian" in seen["lv_robust"]


def test_the_first_model_is_compared_with_each_other_one():
    cases = table(mine=[0.9, 0.8, 0.7], weak=[0.9, 0.6, 0.5], same=[0.9, 0.8, 0.7])
    found = differences_from_first(cases, {"mine": ("haze",)})
    assert found.frames.tolist() == ["clean", ALL, "seen", "unseen"] * 2
    assert set(found["first"]) == {"mine"} and found.second.unique().tolist() == ["weak", "same"]
    weak, same = (found[found.second == name].set_index("frames") for name in ("weak", "same"))
    assert weak.verdict.tolist() == ["no difference shown", "mine", "mine", "mine"]
    assert set(same.verdict) == {"no difference shown"}
    assert weak.difference[ALL] == pytest.approx(0.2, abs=0.02)
    assert weak.first_mean[ALL] - weak.second_mean[ALL] == pytest.approx(weak.difference[ALL])
    assert found.p_holm.min() == pytest.approx(len(found) * found.p.min())
    compared = compare_models(cases, "mine", "weak").set_index("corruption")
    assert compared.low[ALL] == weak.low[ALL] and compared.p[ALL] == weak.p[ALL]
    assert differences_from_first(cases[cases.model == "mine"]).empty
    lines = robustness_report.explain_differences(found).splitlines()
    assert len(lines) == len(found) and lines[1].endswith("10 patients: mine is better")
    assert lines[2].startswith("mine - weak, seen by mine: Dice +0.")
    few = differences_from_first(cases[cases.patient.isin(["p0", "p1", "p2"])])
    assert set(few.verdict) == {"no difference shown"} and few.low.isna().all()
    assert "no interval: 3 patients, at least 5 are" in robustness_report.explain_differences(few)


def test_curves_start_at_the_clean_frames():
    means = mean_by_severity(table(one=[0.9, 0.8, 0.7]))
    assert sorted(means.corruption.unique()) == ["haze", "jpeg"]
    clean = means[means.severity == 0]["mean"]
    assert len(clean) == 2 and clean.nunique() == 1
    assert ((means.low <= means["mean"]) & (means["mean"] <= means.high)).all()


def test_the_report_writes_its_tables_and_figures(tmp_path):
    summary = robustness_report.report_robustness(
        models(), FRAMES, tmp_path, ("gaussian", "haze"), (2, 3)
    )
    assert list(summary.index) == ["dark", "points", "combined"]
    written = {path.name for path in tmp_path.iterdir()} - {"parts"}
    assert written == {
        "robustness.csv", "summary.csv", "falls.csv", "curves.png", "comparison.csv",
        "comparison.png", "differences.csv", "differences.png", "doubt.csv", "doubt_gain.csv",
        "doubt.png",
    }  # fmt: skip
    doubts = pd.read_csv(tmp_path / "doubt.csv")
    assert len(doubts) == 3 * len(FRAMES) and set(doubts.severity) == {0, 3}
    gains = pd.read_csv(tmp_path / "doubt_gain.csv")
    assert len(gains) == 6 and (gains.p10_low <= gains.p10_high).all()
    alone = tmp_path / "alone"
    robustness_report.report_robustness({"dark": Darkness()}, FRAMES, alone, ("haze",), (1,))
    assert {path.name for path in alone.iterdir()} == {
        "parts", "robustness.csv", "summary.csv", "falls.csv", "curves.png", "differences.csv"
    }  # fmt: skip
    assert pd.read_csv(alone / "differences.csv").empty  # nothing to compare with
    clean = tmp_path / "clean"
    summary = robustness_report.report_robustness(models(), FRAMES, clean, ())
    assert list(summary.columns) == ["clean"] and len(summary) == 3
    assert {path.name for path in clean.iterdir()} == written - {"falls.csv", "curves.png"} | {
        "parts"
    }
    assert set(pd.read_csv(clean / "robustness.csv").corruption) == {"clean"}


def test_figures_show_the_numbers_of_the_tables():
    cases = table(first=[0.9, 0.8, 0.7], second=[0.9, 0.6, 0.5])
    panel = robustness_plots.severity_curves(cases).axes[0]
    assert [line.get_label() for line in panel.lines] == ["first", "second"]
    assert panel.lines[0].get_xdata().tolist() == [0, 1, 2] and panel.get_title() == "haze"
    ends = [line.get_segments()[0] for line in panel.collections]  # intervals, side by side
    assert 2 < ends[0][0, 0] == ends[0][1, 0] < ends[1][0, 0] == ends[1][1, 0]
    shown = mean_by_severity(cases).query(
        "model == 'second' and severity == 2 and corruption == 'haze'"
    )
    assert ends[1][:, 1].tolist() == pytest.approx([shown.low.item(), shown.high.item()])
    compared = compare_models(cases, "first", "second")
    bars = "bars: 95 % interval at the highest severity"
    assert panel.figure.legends[0].get_title().get_text() == bars  # no asterisk: nobody saw haze
    noisy = robustness_plots.severity_curves(cases, {"first": ("haze", "gain"), "second": ()})
    assert [axes.get_title() for axes in noisy.axes[:2]] == ["haze *", "jpeg"]
    explained = noisy.legends[0].get_title().get_text()
    assert explained == f"{bars}\n* in the training of first"
    few = robustness_plots.severity_curves(cases[cases.patient.isin(["p0", "p1"])])
    assert not few.axes[0].collections and not few.legends[0].get_title().get_text()
    table_of = differences_from_first(cases)
    drawn = robustness_plots.difference_forest(table_of).axes[0]
    assert [label.get_text() for label in drawn.get_yticklabels()] == [
        "second, clean", "second, all corruptions"
    ]  # fmt: skip
    offsets = [dots.get_offsets()[0][0] for dots in drawn.collections]
    assert offsets == pytest.approx(table_of.difference.tolist())
    forest = robustness_plots.comparison_forest(compared).axes[0]
    offsets = [dots.get_offsets()[0][0] for dots in forest.collections]
    assert offsets == pytest.approx(compared.difference.tolist())
    sheet = robustness_plots.corruption_sheet(FRAMES.images[0], (2, 5))
    assert [axes.get_title() for axes in sheet.axes[:3]] == [
        "speckle clean",
        "speckle 2",
        "speckle 5",
    ]
    assert [axes.get_title() for axes in sheet.axes[::3]] == [
        f"{name.replace('_', ' ')} clean" for name in CORRUPTIONS
    ]
    few = robustness_plots.corruption_sheet(FRAMES.images[0], (5,), ("haze", "jpeg"), columns=4)
    assert [axes.get_title() for axes in few.axes] == [
        "haze clean",
        "haze 5",
        "jpeg clean",
        "jpeg 5",
    ]
    heatmaps, points = np.zeros((4, 8, 8)), np.full((4, 2), 3.0)
    sheet = robustness_plots.heatmap_sheet(FRAMES.images[0], heatmaps, points, list("abcd"))
    assert [axes.get_title() for axes in sheet.axes] == [*"abcd", "", ""]
    assert [axes.axison for axes in sheet.axes] == [True] * 4 + [False] * 2
    assert all(np.mean(axes.get_xlim()) == 3 for axes in sheet.axes[:4])
    masks = list(FRAMES.masks[:2])
    titles = {"first": ["a", "b"], "second": ["c", "d"]}
    worst = robustness_plots.worst_cases(
        list(FRAMES.images[:2]), masks, {"first": masks, "second": masks[::-1]}, titles
    )
    assert [axes.get_title() for axes in worst.axes] == ["a", "b", "c", "d"]


def test_the_identity_holds_frames_levels_and_weights(tmp_path):
    run(tmp_path)
    identity = json.loads((tmp_path / "parts" / "identity.json").read_text())
    assert identity["frames"] == FRAMES.fingerprint() and set(identity["models"]) == {
        "dark",
        "points",
    }
    assert len(identity["levels"]) == 12


def test_curves_of_the_shell_have_labels_that_do_not_collide(tmp_path, monkeypatch):
    """Each panel has its own scale, so its tick labels need room beside the next panel."""
    figures = []
    monkeypatch.setattr(plt, "close", figures.append)
    robustness_report.report_robustness(models(), FRAMES, tmp_path, severities=(3,))
    boxes = [axes.get_tightbbox() for axes in figures[0].axes if axes.axison]
    assert len(boxes) == len(CORRUPTIONS)
    pairs = combinations([box.padded(-0.5) for box in boxes], 2)
    assert not any(first.overlaps(second) for first, second in pairs)
    assert plt.rcParams["figure.constrained_layout.use"] is False
