"""Heart function by the package's networks: of one clip, of a study, and from a shell."""

import json
import warnings
from dataclasses import replace

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

from echolib.commands.parser import main
from echolib.config import weights_folder
from echolib.data import Camus, Clip, EchoNet, read_clip
from echolib.data.sector import sector_box
from echolib.errors import DataError
from echolib.masks import PackedMasks
from echolib.metrics import dice
from echolib.networks.inference import cavity_probabilities, clean_mask, source_masks
from echolib.networks.models import UNet
from echolib.networks.views import views_of
from echolib.phantom.studies import write_lv_study
from echolib.ventricle import study as function_study
from echolib.ventricle.clip import measure_clip, measure_pair
from echolib.ventricle.disagreement import median_ejection
from echolib.ventricle.networks import CALIBRATION, WEIGHTS, load_networks, within_beats
from echolib.ventricle.study import COLUMNS, measure_study
from tests.makers import camus_folder, save_network, write_nifti

NETWORKS = load_networks()


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Six phantom clips of 30 to 60 frames."""
    return EchoNet(write_lv_study(tmp_path_factory.mktemp("study"), clips=6, seed=5, workers=1))


@pytest.fixture(scope="module")
def measured(study):
    name = study.table.index[0]
    return measure_clip(study.clip(name), NETWORKS)


# --- Networks -----------------------------------------------------------------------------------


def test_the_package_has_a_calibration_of_exactly_its_own_networks():
    assert NETWORKS.names == WEIGHTS == NETWORKS.calibration.networks
    assert NETWORKS.cycle.arguments["inputs"] == 3 and NETWORKS.landmarks is not None
    assert "phantom" in NETWORKS.calibration.data and NETWORKS.calibration.level == 0.9
    other_order = load_networks(WEIGHTS[::-1])
    assert other_order.names == WEIGHTS and other_order.calibration == NETWORKS.calibration


def test_other_networks_get_no_calibration_by_default(tmp_path):
    assert load_networks(("lv", "lv_landmarks")).calibration is None
    given = load_networks(WEIGHTS[::-1], calibration=None)
    assert given.calibration is None and given.cycle.arguments["inputs"] == 3


def test_a_calibration_of_other_networks_is_refused():
    with pytest.raises(DataError, match=r"was made for the networks .*not for"):
        load_networks(("lv",), weights_folder() / CALIBRATION)


def test_a_single_frame_is_outlined_by_masks_and_less_by_landmarks(study):
    squares = study.clip(study.table.index[0]).frames[:4]
    both = NETWORKS.predict_single(squares.reshape(2, 2, *squares.shape[1:]))
    masks, landmarks = (
        cavity_probabilities(network, squares) for network in (NETWORKS.single, NETWORKS.landmarks)
    )
    assert both.shape == (2, 2, *squares.shape[1:])
    mean = 0.55 * masks + 0.45 * landmarks
    np.testing.assert_allclose(both.reshape(masks.shape), mean, atol=1e-6)
    alone = replace(NETWORKS, landmarks=None).predict_single(squares)
    np.testing.assert_allclose(alone, masks, atol=1e-6)


def test_a_frame_in_its_beat_is_outlined_by_all_networks_that_there_are(study):
    squares, beats = study.clip(study.table.index[0]).frames[:4], [(0, 3)]
    single = NETWORKS.predict_single(squares)
    inside = within_beats(squares, beats)
    masks, landmarks = (
        cavity_probabilities(network, inside)
        for network in (NETWORKS.cycle, NETWORKS.cycle_landmarks)
    )
    for without, beat in (
        ([], 0.55 * masks + 0.45 * landmarks), (["cycle_landmarks"], masks),
        (["cycle", "cycle_landmarks"], single),
    ):  # fmt: skip
        networks = replace(NETWORKS, **dict.fromkeys(without))
        found = networks.predict(squares, single, beats)
        np.testing.assert_allclose(found, (single + beat) / 2, atol=1e-6)
        assert networks.see(beats) == (len(without) < 2) and not networks.see([])
        assert len(networks.models()) == 4 - len(without)
    assert np.array_equal(NETWORKS.predict(squares, single, []), single)


def test_networks_that_do_not_fit_together_are_refused(tmp_path):
    with pytest.raises(DataError, match="two are networks of single frames"):
        load_networks(("lv", "lv_robust"))
    with pytest.raises(DataError, match="network of single frames is needed"):
        load_networks(("lv_landmarks",))
    save_network(UNet(4, 2, inputs=3), tmp_path / "small.safetensors", 64)
    with pytest.raises(DataError, match="squares of"):
        load_networks(("lv", str(tmp_path / "small.safetensors")))
    with pytest.raises(DataError, match="networks of landmarks in the beat"):
        load_networks(("lv", "lv_cycle_landmarks", "lv_cycle_landmarks"))
    with pytest.raises(DataError, match="a masks network of the beat is needed too, as lv_cycle"):
        load_networks(("lv", "lv_landmarks", "lv_cycle_landmarks"))


# --- One clip -----------------------------------------------------------------------------------


def test_a_phantom_clip_is_measured(study, measured):
    clip = study.clip(measured.clip.name)
    assert measured.masks.shape == clip.frames.shape and measured.masks.dtype == bool
    assert measured.function.n_beats >= 1
    assert 0 <= measured.ef_low < measured.ef_corrected < measured.ef_high <= 100
    assert abs(measured.ef_corrected - study.table.EF.iloc[0]) < 25
    assert measured.spreads["views"] > 0 and measured.spreads["networks"] > 0
    assert 0 < measured.doubt < 0.5


def test_a_result_says_what_calibrated_it_and_whether_it_is_corrected(measured):
    assert measured.calibration == NETWORKS.calibration
    assert measured.corrected == (measured.ef_corrected != measured.ef_measured)
    as_measured = replace(NETWORKS.calibration, slope=1.0, intercept=0.0)
    result = measure_clip(measured.clip, replace(NETWORKS, calibration=as_measured))
    assert result.ef_corrected == result.ef_measured and not result.corrected
    assert result.ef_low < result.ef_corrected < result.ef_high


def test_volumes_and_lengths_are_as_measured_and_go_with_the_measured_ef(measured):
    row, function = measured.row(), measured.function
    assert list(row) == COLUMNS
    counted = function.beats_table()[lambda beats: beats.counts]
    for name in ("edv", "esv", "length_ed", "length_es", "ef_measured"):
        assert row[name] == pytest.approx(counted[name].median())
    assert row["ef_corrected"] == measured.ef_corrected and row["length_unit"] == "px"
    assert row["unit"] == "px³/1000" and row["n_beats"] == measured.function.n_beats


def test_an_outline_is_that_which_is_measured(measured):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert np.array_equal(NETWORKS.outline(measured.clip), measured.packed)


def test_views_that_are_outlined_together_give_the_same_spread_as_one_by_one(measured):
    counted = [beat for beat in measured.function.beats if beat.counts]
    frames = sorted({f for beat in counted for f in (beat.end_diastole, beat.end_systole)})
    beats = [(frames.index(b.end_diastole), frames.index(b.end_systole)) for b in counted]
    box = sector_box(measured.clip.frames, NETWORKS.size)
    squares = np.stack([box.image(frame) for frame in measured.clip.frames[frames]])
    fractions = []
    for view, back in views_of(squares):
        answers = NETWORKS.predict(view, NETWORKS.predict_single(view), beats)
        masks = [clean_mask(answer) for answer in back(answers)]
        fractions.append(median_ejection(np.stack(masks), beats))
    assert measured.spreads["views"] == pytest.approx(np.std(fractions), abs=0.3)


def test_several_views_of_frames_are_set_into_their_beats_each_by_itself():
    views = np.arange(2 * 4).reshape(2, 4, 1, 1) * np.ones((1, 1, 3, 3))
    together = within_beats(views, [(0, 1), (2, 3)])
    assert together.shape == (2, 4, 3, 3, 3)
    for view, expected in zip(together, views, strict=True):
        assert np.array_equal(view, within_beats(expected, [(0, 1), (2, 3)]))


def test_spacing_gives_volumes_in_ml_and_does_not_change_the_ef(measured):
    scaled = measure_clip(replace(measured.clip, spacing=0.5), NETWORKS)
    assert scaled.row()["unit"] == "ml" and scaled.ef_corrected == pytest.approx(
        measured.ef_corrected
    )
    assert scaled.function.edv == pytest.approx(measured.function.edv * 0.125)


def test_a_larger_frame_is_measured_in_its_own_geometry(measured):
    frames = np.stack([cv2.resize(frame, (224, 224)) for frame in measured.clip.frames])
    wide = np.pad(frames, ((0, 0), (0, 0), (40, 40)))
    large = measure_clip(Clip("large", wide, 50.0), NETWORKS)
    assert large.masks.shape == wide.shape
    assert large.function.edv == pytest.approx(8 * measured.function.edv, rel=0.35)


def test_one_frame_has_an_outline_but_no_ef(measured):
    one = measure_clip(Clip("one", measured.clip.frames[:1], 50.0), NETWORKS)
    assert one.masks.any() and np.isnan([one.ef_corrected, one.ef_low, one.ef_high]).all()
    assert np.isnan(one.doubt) and any("One frame" in warning for warning in one.warnings)


def test_a_black_clip_is_no_error():
    black = measure_clip(Clip("black", np.zeros((20, 112, 112), np.uint8), 50.0), NETWORKS)
    assert np.isnan(black.ef_corrected) and black.row()["n_beats"] == 0 and black.warnings


def test_a_still_heart_has_no_ef(measured):
    still = Clip("still", np.repeat(measured.clip.frames[:1], 40, axis=0), 50.0)
    assert np.isnan(measure_clip(still, NETWORKS).ef_corrected)


def test_without_a_calibration_there_is_no_interval(measured):
    bare = measure_clip(measured.clip, replace(NETWORKS, calibration=None))
    assert bare.ef_corrected == bare.ef_measured == pytest.approx(measured.ef_measured)
    assert np.isnan([bare.ef_low, bare.ef_high]).all()
    assert any("no calibration" in warning for warning in bare.warnings)


def test_the_network_of_single_frames_works_alone(measured):
    alone = measure_clip(measured.clip, load_networks(("lv",)))
    assert alone.function.n_beats and np.isnan(alone.doubt)
    assert np.isnan(alone.spreads["networks"]) or alone.spreads["networks"] == 0


def test_disagreeing_networks_raise_a_warning(measured):
    strict = replace(NETWORKS.calibration, doubt=0.0)
    result = measure_clip(measured.clip, replace(NETWORKS, calibration=strict))
    assert any("The landmarks disagree with the outline" in warning for warning in result.warnings)


def test_frames_lie_between_the_ed_and_es_frames_of_their_own_beat():
    squares = np.arange(20, dtype=np.uint8)[:, None, None] * np.ones((1, 2, 2), np.uint8)
    inputs = within_beats(squares, [(2, 6), (12, 16)])[:, :, 0, 0]
    assert np.array_equal(inputs[:, 1], np.arange(20))
    assert (inputs[:9, 0] == 2).all() and (inputs[:9, 2] == 6).all()
    assert (inputs[10:, 0] == 12).all() and (inputs[10:, 2] == 16).all()


def test_the_experts_pair_is_measured(study):
    name = study.table.index[1]
    frames, _ = study.labelled(name)
    pair = sorted(frames, key=lambda frame: frame.phase)
    images = np.stack([frame.image for frame in pair])
    masks, row = measure_pair(images, NETWORKS)
    box = sector_box(images, NETWORKS.size)
    views = [
        back(NETWORKS.predict(view, NETWORKS.predict_single(view), [(0, 1)]))
        for view, back in views_of(np.stack([box.image(image) for image in images]))
    ]
    similar = [
        dice(masks, source_masks(answer, box)) for answer in (np.nanmean(views, 0), views[0])
    ]
    assert similar[0] > 0.999 > similar[1]  # the mean over the views, not one of them
    assert masks.shape == (2, 112, 112) and masks[0].sum() > masks[1].sum()
    assert row["ef_low"] <= row["ef_corrected"] <= row["ef_high"]
    assert abs(row["ef_measured"] - study.table.EF[name]) < 30


# --- A study ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tables(study, tmp_path_factory):
    folder = tmp_path_factory.mktemp("measured")
    return folder, measure_study(study, NETWORKS, folder, "all", progress=False)


def test_a_study_has_a_row_for_each_clip_beat_and_labelled_frame(study, tables):
    folder, written = tables
    clips, beats, frames = (written[name] for name in ("clips", "beats", "frames"))
    assert list(clips.name) == list(study.table.index)
    assert list(clips)[: len(COLUMNS)] == COLUMNS and "ef_measured" in beats
    assert not {"ef"} & {*clips, *beats}  # one EF, one name
    assert np.allclose(clips.ef_true, study.table.EF)
    counted = beats[beats.counts].groupby("name").size()
    assert (clips.set_index("name").n_beats == counted.reindex(clips.name, fill_value=0)).all()
    assert len(frames) == 2 * len(study.table) and frames.dice.between(0.4, 1).all()
    saved = pd.read_csv(folder / "clips.csv")
    assert np.allclose(saved.ef_corrected, clips.ef_corrected, equal_nan=True)


def test_an_interrupted_study_goes_on(study, tables, tmp_path, monkeypatch):
    calls = []

    def counted(clip, networks):
        calls.append(clip.name)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return measure_clip(clip, networks)

    monkeypatch.setattr(function_study, "measure_clip", counted)
    with pytest.raises(KeyboardInterrupt):
        measure_study(study, NETWORKS, tmp_path, "all", progress=False)
    again = measure_study(study, NETWORKS, tmp_path, "all", progress=False)
    assert calls[4:] == list(study.table.index[3:])  # the fourth clip was not finished
    pd.testing.assert_frame_equal(again["clips"], tables[1]["clips"])


def test_results_of_another_run_are_not_mixed_in(study, tables):
    with pytest.raises(DataError, match="another run; they differ in networks"):
        measure_study(study, replace(NETWORKS, calibration=None), tables[0], "all", progress=False)


def test_an_unreadable_clip_keeps_its_row(study, tmp_path, monkeypatch):
    def broken(name):
        raise DataError(f"{name} does not decode")

    monkeypatch.setattr(study, "clip", broken)
    clips = measure_study(study, NETWORKS, tmp_path, "test", progress=False)["clips"]
    assert (
        len(clips) == 1 and np.isfinite(clips.ef_corrected).all()
    )  # by the two frames of the expert
    assert "expert chose" in clips.warnings[0] and clips.n_beats[0] == 0


def test_a_study_without_clips_is_measured_on_the_labelled_frames(tmp_path):
    data = Camus(camus_folder(tmp_path / "camus"))
    clips = measure_study(data, NETWORKS, tmp_path / "out", "all", progress=False)["clips"]
    assert len(clips) == len(data.table) and np.isfinite(clips.ef_true).all()


def test_labelled_frames_are_scored_where_they_lie_in_the_half_sequence(tmp_path, monkeypatch):
    data = Camus(camus_folder(tmp_path / "camus"))
    name = data.table.index[0]
    (diastole, systole), _ = data.labelled(name)
    empty = np.zeros_like(diastole.image)
    sequence = np.stack([empty, systole.image, empty, empty, diastole.image, empty])
    path = data.table.path[name] / f"{name}_half_sequence.nii.gz"
    write_nifti(path, sequence)
    masks = np.zeros(sequence.shape, bool)
    masks[1], masks[4] = systole.mask, diastole.mask

    def measured(clip, networks):
        result = measure_clip(clip, networks)
        return replace(result, packed=PackedMasks.pack(masks)) if clip.name == name else result

    monkeypatch.setattr("echolib.ventricle.study.measure_clip", measured)
    tables = measure_study(data, NETWORKS, tmp_path / "out", "all", progress=False)
    frames = tables["frames"].query("clip == @name")
    assert dict(zip(frames.phase, frames.frame, strict=True)) == {"ED": 4, "ES": 1}
    assert (frames.dice == 1).all() and (frames.area == frames.area_true).all()


def test_an_empty_split_is_reported(study, tmp_path):
    study_without = EchoNet(study.folder)
    study_without.table = study.table[study.table.split != "val"]
    with pytest.raises(DataError, match="no clip in the split 'val'"):
        measure_study(study_without, NETWORKS, tmp_path, "val", progress=False)


# --- From a shell -------------------------------------------------------------------------------


def test_function_of_a_clip_from_a_shell(study, tmp_path, capsys):
    path = study.table.path.iloc[0]
    with pytest.warns(UserWarning):
        command = ["function", str(path), "--out", str(tmp_path), "--identifier", "case 7"]
        assert main(command) == 0
    clips = pd.read_csv(tmp_path / "clips.csv")
    assert list(clips) == COLUMNS and len(clips) == 1
    assert len(pd.read_csv(tmp_path / "beats.csv")) >= 1
    video = read_clip(tmp_path / f"{path.stem}.mp4")
    assert len(video.frames) == study.table.frames.iloc[0]
    page = (tmp_path / "report.html").read_text()
    assert "Not for clinical use" in page and "seed 5" not in page
    assert "case 7" in page and path.stem not in page
    assert "EF" in capsys.readouterr().out


def test_function_of_a_study_from_a_shell(study, tmp_path):
    assert main(["function", str(study.folder), "--out", str(tmp_path), "--videos", "1"]) == 0
    assert len(pd.read_csv(tmp_path / "clips.csv")) == (study.table.split == "test").sum()
    assert {"scores.csv", "dice.csv", "beats.csv", "report.html"} <= {
        path.name for path in tmp_path.iterdir()
    }
    videos = [path.name for path in (tmp_path / "videos").glob("*.mp4")]
    page = (tmp_path / "report.html").read_text()
    assert len(videos) <= 1 and page.count("href=") == len(videos)
    assert all(f'href="videos/{name}"' in page for name in videos)
    measured = list((tmp_path / "parts" / "masks").iterdir())
    assert page.count('alt="Two frames of ') == len(measured)


def test_bad_inputs_from_a_shell(tmp_path, capsys):
    assert main(["function", str(tmp_path / "none.avi"), "--out", str(tmp_path / "o")]) == 2
    assert "none.avi" in capsys.readouterr().err
    assert main(["function", str(tmp_path), "--out", str(tmp_path / "o")]) == 2
    assert "no data set" in capsys.readouterr().err


def test_too_few_clips_for_a_calibration_are_refused_before_any_is_measured(
    study, tmp_path, capsys, monkeypatch
):
    monkeypatch.delattr(function_study, "measure_study")
    arguments = ["calibrate", str(study.folder), "--out", str(tmp_path / "own.json")]
    assert main([*arguments, "--split", "test"]) == 2
    assert "are needed for a calibration" in capsys.readouterr().err
    assert not (tmp_path / "own.json").exists()


def known_clips(count: int, bias: float, error: float, seed: int) -> pd.DataFrame:
    """Clips as `measure_study` gives them, with a bias and an error of the measured EF."""
    generator = np.random.default_rng(seed)
    true = generator.uniform(15, 75, count)
    found = true + bias + generator.normal(0, error, count)
    table = pd.DataFrame({"name": [f"c{n}" for n in range(count)], "ef_true": true})
    table = table.assign(ef_measured=found, doubt=0.1, views=2.0, networks=1.0, beats=np.nan)
    table = table.assign(patient=table.name, split="train", ef_corrected=found)
    return table.assign(ef_low=np.nan, ef_high=np.nan)


@pytest.mark.parametrize("options", [[], ["--also", "{}"], ["--widen", "1.3", "--chosen-on", "x"]])
def test_calibrate_from_a_shell(study, tmp_path, monkeypatch, capsys, options):
    def measure(data, networks, folder, split, progress):
        assert networks.calibration is None
        other = folder.name == "own-also"
        assert split == ("train" if other else "all")
        clips = known_clips(200, 8 if not other else 0, 4 if not other else 7, int(other))
        return {"clips": clips, "problems": pd.DataFrame()}

    monkeypatch.setattr(function_study, "measure_study", measure)
    monkeypatch.setattr("echolib.ventricle.calibration.FEWEST", 1)  # of the study itself
    monkeypatch.setattr("echolib.data.problems.problems_of", lambda table: [])
    command = [
        "calibrate",
        str(study.folder),
        "--out",
        str(tmp_path / "own.json"),
        "--split",
        "all",
    ]
    assert main(command + [option.format(study.folder) for option in options]) == 0
    made = load_networks(WEIGHTS, tmp_path / "own.json").calibration
    printed = capsys.readouterr().out
    if "--also" in options:  # the line is right for the phantoms only
        assert not made.corrects and "before widening" in printed and "below 30" in printed
        assert made.widen == 1 and made.chosen_on == ""  # the bias has widened the intervals
    else:
        assert made.corrects and made.intercept + made.slope * 58 == pytest.approx(50, abs=1.5)
        assert (made.widen, made.chosen_on) == ((1.3, "x") if options else (1, ""))


def test_results_do_not_depend_on_the_random_state_of_torch(study, measured):
    torch.manual_seed(12345)
    again = measure_clip(study.clip(measured.clip.name), NETWORKS)
    assert json.dumps(again.row()) == json.dumps(measured.row())


def test_a_view_says_nothing_about_pixels_that_it_does_not_show():
    images = np.zeros((1, 64, 64), np.uint8)
    answers = [back(np.ones((1, 64, 64), np.float32)) for _, back in views_of(images)]
    assert np.isfinite(answers[0]).all() and not np.isfinite(answers[1][0, 0, 0])
    assert np.nanmean(answers, axis=0) == pytest.approx(1, abs=0.01)  # up to the corners


def test_what_is_no_clip_is_refused_with_how_to_get_one():
    for given in ("clip.avi", np.zeros((3, 8, 8), np.uint8)):
        with pytest.raises(DataError, match=r"as `read_clip` gives one.*found (str|ndarray)"):
            measure_clip(given, NETWORKS)


def test_one_name_of_weights_is_no_list_of_letters():
    assert load_networks("lv").names == ("lv",)


def test_a_clip_and_its_result_are_shown_in_one_line(measured):
    clip = measured.clip
    assert repr(clip).startswith(f"<Clip {clip.name!r}: {len(clip.frames)} frames of ")
    assert "spacing unknown" in repr(Clip("c", np.zeros((2, 8, 9), np.uint8)))
    assert repr(measured).startswith(f"<ClipFunction {clip.name!r}: EF ")
    assert len(repr(measured)) < 200
