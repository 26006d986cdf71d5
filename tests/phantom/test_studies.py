"""The phantom: cardiac cycle, anatomy, layout and resuming of a study, single frames, effects."""

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echolib import config, geometry
from echolib.data.tracings import rows_to_tracing
from echolib.errors import DataError
from echolib.phantom import common, scene, single_frames, studies
from echolib.phantom.anatomy import Heart, draw_heart
from echolib.phantom.cycle import Rhythm, draw_cycle
from echolib.phantom.effects import EFFECTS
from echolib.phantom.mitral_study import find_mitral
from echolib.phantom.ranges import SOURCES, draw_parameters
from echolib.phantom.sector import draw_sector
from echolib.phantom.shape import PROFILE, heart_shape, ventricle_shape
from echolib.phantom.tables import range_table
from echolib.phantom.ultrasound import Scan
from echolib.phantom.valve import draw_valve
from tests.data.files import read_rgb

CLIPS = 4
STUDY = {"clips": CLIPS, "seed": 3, "frames": (24, 26), "progress": False}


def digests(folder):
    """The hash of every file under a folder, by relative name."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantom") / "study"
    return studies.write_lv_study(folder, workers=1, **STUDY)


def read_tables(folder):
    return pd.read_csv(folder / "FileList.csv"), pd.read_csv(folder / "VolumeTracings.csv")


# --- Cycle --------------------------------------------------------------------------------------


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_contraction_runs_from_end_diastole_to_end_systole_and_repeats(seed):
    cycle = draw_cycle(np.random.default_rng(seed))
    assert 0 < cycle.end_systole < cycle.opening_time < cycle.filling_end
    assert cycle.filling_end < cycle.kick_start < cycle.period
    time = np.linspace(-1.5, 2.5, 401) * cycle.period
    curve = cycle.contraction(time)
    assert curve.min() >= 0 and curve.max() <= 1
    assert cycle.contraction(0.0) == pytest.approx(0, abs=1e-9)
    assert cycle.contraction(cycle.end_systole) == pytest.approx(1, abs=1e-9)
    np.testing.assert_allclose(cycle.contraction(time + cycle.period), curve, atol=1e-6)
    np.testing.assert_allclose(np.diff(curve), 0, atol=0.2)  # no jump, not between beats either
    systole = cycle.contraction(np.linspace(0, cycle.end_systole, 50))
    assert (np.diff(systole) >= -1e-12).all()


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_mitral_valve_is_closed_in_ejection_and_opens_twice(seed):
    cycle = draw_cycle(np.random.default_rng(seed))
    opening = cycle.opening(np.linspace(0, cycle.period, 600, endpoint=False))
    assert opening.min() >= 0 and opening.max() <= 1
    shut = np.linspace(cycle.rhythm.isovolumic_contraction, cycle.opening_time, 50)
    assert (cycle.opening(shut) < 1e-6).all()
    closing = cycle.opening(np.linspace(0, shut[0], 20))  # it swings shut after end-diastole
    assert (np.diff(closing) <= 1e-9).all() and closing[0] == cycle.rhythm.late_opening
    rising = np.diff(opening) > 1e-9
    assert np.sum(np.diff(rising.astype(int)) == 1) == 2


def test_shortest_clip_contains_the_longest_systole():
    ranges = {name: item.metadata["range"] for name, item in Rhythm.__dataclass_fields__.items()}
    longest = ranges["isovolumic_contraction"].high + ranges["ejection"].high
    assert round(longest * studies.FPS) + 1 <= studies.SHORTEST_CLIP


# --- Anatomy ------------------------------------------------------------------------------------


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_outline_is_simple_inside_the_cavity_and_larger_at_end_diastole(seed):
    heart = draw_heart(np.random.default_rng(seed))
    areas = []
    for contraction in (0.0, 1.0):
        shape = heart_shape(heart, contraction, 0.0)
        assert np.isfinite(shape.outline).all()
        assert not geometry.crosses_itself(shape.outline)
        outline, cavity = (geometry.polygon_area(p) for p in (shape.outline, shape.cavity))
        assert 0.35 * cavity < outline < cavity
        areas.append(outline)
    assert areas[0] > areas[1]


# --- Studies ------------------------------------------------------------------------------------


def test_layout_is_that_of_echonet_dynamic(study):
    listed, traced = read_tables(study)
    assert tuple(listed.columns) == studies.LIST_COLUMNS
    assert tuple(traced.columns) == studies.TRACING_COLUMNS
    assert len(listed) == CLIPS and set(listed.Split) == {"TRAIN", "VAL", "TEST"}
    assert not listed.FileName.str.contains(r"\.").any()
    assert set(traced.FileName) == {f"{name}.avi" for name in listed.FileName}
    assert (traced.groupby(["FileName", "Frame"]).size() == 21).all()
    assert (traced.groupby("FileName").Frame.nunique() == 2).all()
    for row in listed.itertuples():
        video = read_rgb(study / "Videos" / f"{row.FileName}.avi")
        assert video.shape == (row.NumberOfFrames, row.FrameHeight, row.FrameWidth, 3)
        assert (
            np.ptp(video.astype(int), axis=-1).max() <= 2
        )  # grey, except for the codec's rounding
        frames = traced[traced.FileName == f"{row.FileName}.avi"].Frame
        assert frames.between(0, row.NumberOfFrames - 1).all()
        assert 24 <= row.NumberOfFrames <= 26 and row.FPS == 50


def test_ejection_fraction_follows_from_the_written_tracings(study):
    listed, traced = read_tables(study)
    for row in listed.itertuples():
        np.testing.assert_allclose(row.EF, 100 * (row.EDV - row.ESV) / row.EDV, rtol=1e-12)
        volumes, areas = [], []
        for _, rows in traced[traced.FileName == f"{row.FileName}.avi"].groupby("Frame"):
            tracing, notes = rows_to_tracing(rows[["X1", "Y1", "X2", "Y2"]].to_numpy())
            assert notes == []
            volumes.append(geometry.disk_volume(tracing))
            areas.append(tracing.mask((112, 112)).sum())
        ejection = geometry.ejection_fraction(max(volumes), min(volumes))
        assert ejection == pytest.approx(row.EF, abs=1e-3)
        assert max(areas) > min(areas) > 0
        assert 3 < row.ESV < row.EDV < 700  # ml


def test_bytes_do_not_depend_on_workers_or_interruption(study, tmp_path):
    expected = digests(study)
    again = studies.write_lv_study(tmp_path / "again", workers=2, **STUDY)
    assert digests(again) == expected
    # as after a killed process: tables missing, one video missing, another half-written
    (again / "FileList.csv").unlink()
    (again / "VolumeTracings.csv").unlink()
    videos = sorted((again / "Videos").iterdir())
    kept = videos[2].stat().st_mtime_ns
    videos[0].unlink()
    os.truncate(videos[3], videos[3].stat().st_size // 2)
    leftover = videos[1].rename(
        videos[1].with_name(f".{videos[1].stem}.0123abcd-99999-0123abcd.avi")
    )
    os.truncate(leftover, 500)
    os.utime(leftover, (0, 0))
    studies.write_lv_study(again, workers=1, **STUDY)
    assert digests(again) == expected
    assert videos[2].stat().st_mtime_ns == kept


def test_finished_study_is_returned_at_once(study, monkeypatch):
    monkeypatch.setattr(studies, "_write_clip", None)
    assert studies.write_lv_study(study, **STUDY) == study


@pytest.mark.parametrize("change", [{"seed": 4}, {"clips": 5}, {"frames": (24, 27)}], ids=str)
def test_another_study_in_the_folder_is_refused(study, change):
    before = digests(study)
    with pytest.raises(DataError, match=r"study\.json: expected .* found .* another folder"):
        studies.write_lv_study(study, **(STUDY | change))
    assert digests(study) == before


def test_another_version_or_a_foreign_data_set_is_refused(tmp_path, study):
    other = tmp_path / "other"
    other.mkdir()
    card = json.loads((study / "study.json").read_text())
    (other / "study.json").write_text(json.dumps(card | {"version": studies.VERSION + 1}))
    with pytest.raises(DataError, match="expected"):
        studies.write_lv_study(other, **STUDY)
    (other / "study.json").unlink()
    (other / "FileList.csv").write_text("FileName\n")
    with pytest.raises(DataError, match="without one"):
        studies.write_lv_study(other, **STUDY)


@pytest.mark.parametrize(
    "wrong",
    [{"clips": 2}, {"seed": -1}, {"frames": (10, 40)}, {"frames": (40, 30)}, {"workers": 0}],
    ids=str,
)
def test_parameters_outside_their_range_are_refused(tmp_path, wrong):
    with pytest.raises(ValueError, match="must be"):
        studies.write_lv_study(tmp_path / "none", **(STUDY | wrong))


def test_find_echonet_returns_the_real_data_or_writes_a_phantom(tmp_path, monkeypatch, study):
    monkeypatch.setenv("ECHOLIB_DATA", str(tmp_path))
    monkeypatch.setattr(studies, "write_lv_study", lambda folder, clips: folder)
    monkeypatch.setenv("ECHOLIB_FAST", "1")
    phantoms, version = config.data_folder() / "phantom", f"v{common.VERSION}"
    assert studies.find_echonet() == (phantoms / f"echonet-dynamic-24-{version}", "phantom")
    monkeypatch.setenv("ECHOLIB_FAST", "0")
    assert studies.find_echonet() == (phantoms / f"echonet-dynamic-300-{version}", "phantom")
    (tmp_path / "echonet-dynamic").symlink_to(study)
    assert studies.find_echonet() == (tmp_path / "echonet-dynamic", "EchoNet-Dynamic")


def test_a_link_to_a_disk_that_is_not_there_is_no_reason_for_a_phantom(tmp_path, monkeypatch):
    monkeypatch.setenv("ECHOLIB_DATA", str(tmp_path))
    for name, find in (("echonet-dynamic", studies.find_echonet), ("mitral", find_mitral)):
        (tmp_path / name).symlink_to("/mnt/nowhere")
        with pytest.raises(
            DataError, match=f"{name} is a link to /mnt/nowhere, which is not there"
        ):
            find()


@given(st.integers(3, 400), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_every_split_has_a_clip(clips, seed):
    splits = studies._splits(clips, seed)
    assert len(splits) == clips and set(splits) == {"TRAIN", "VAL", "TEST"}


# --- Frames -------------------------------------------------------------------------------------


def test_single_frames_are_reproducible_from_their_seed():
    first = single_frames.draw_frames(6, seed=1, workers=1)
    for one, other in zip(first, single_frames.draw_frames(6, seed=1, workers=1), strict=True):
        np.testing.assert_array_equal(one, other)
    images, regions, landmarks = first
    assert images.shape == regions.shape == (6, 112, 112) and landmarks.shape == (6, 40, 2)
    assert (images.dtype, regions.dtype, landmarks.dtype) == (np.uint8, np.uint8, np.float32)
    # a larger number of frames of the same seed begins with the same frames
    np.testing.assert_array_equal(single_frames.draw_frames(3, seed=1, workers=1)[0], images[:3])
    assert not np.array_equal(single_frames.draw_frames(1, seed=2, workers=1)[0][0], images[0])


@pytest.mark.parametrize(
    "wrong", [{"count": 0}, {"count": 1, "plain_share": 1.5}, {"count": 1, "size": 8}], ids=str
)
def test_frame_parameters_outside_their_range_are_refused(wrong):
    with pytest.raises(ValueError, match="must be"):
        single_frames.draw_frames(**wrong)


def test_regions_are_numbered_as_in_camus():
    regions = single_frames.draw_frames(12, seed=9, workers=1)[1]
    for labels in regions:
        assert set(np.unique(labels)) <= {0, 1, 2, 3} and {1, 2} <= set(np.unique(labels))
        cavity, wall = labels == 1, labels == 2
        rows = np.nonzero(cavity)[0]
        middle = np.arange(112)[:, None] < rows.mean()
        around = cv2.dilate(cavity.astype(np.uint8), np.ones((3, 3))).astype(bool) & ~cavity
        # the wall surrounds the upper half of the cavity, where the sector shows it
        assert wall[around & middle].mean() > 0.8
        if (labels == 3).any():
            assert np.nonzero(labels == 3)[0].mean() > rows.mean()


# --- Effects ------------------------------------------------------------------------------------


@pytest.mark.parametrize("effect", sorted(EFFECTS.keys() - {"persistence", "expert's inset"}))
def test_every_effect_can_be_switched_off(effect):
    """At least one of forty hearts changes clearly without the effect."""

    def changes(index):
        frames = [
            scene.draw_scan(3, 1, index, 112, 0.0, without)[0].frame(0.1).astype(float)
            for without in ((), (effect,))
        ]
        return np.abs(frames[0] - frames[1]).max() > 20

    assert any(changes(index) for index in range(40))


def test_switching_one_effect_off_does_not_change_the_others():
    with_marks = scene.draw_scan(3, 1, 0, 112, 0.0)[0]
    without = scene.draw_scan(3, 1, 0, 112, 0.0, ("scanner marks",))[0]
    shown = with_marks.sector.shown
    np.testing.assert_array_equal(with_marks.frame(0.1)[shown], without.frame(0.1)[shown])


def test_persistence_keeps_a_share_of_the_previous_frame():
    fresh, kept = (
        scene.draw_scan(3, 1, 2, 112, 0.0, without)[0] for without in (("persistence",), ())
    )
    for scan in (fresh, kept):
        scan.frame(0.0)
    fresh, kept = (scan.frame(0.15).astype(float) for scan in (fresh, kept))
    assert not np.array_equal(fresh, kept)


def test_without_inset_the_label_reaches_the_wall():
    areas = [
        (scene.label_map(scene.draw_scan(3, 1, 0, 112, 0.0, without)[0], 0.0) == 1).sum()
        for without in ((), ("expert's inset",))
    ]
    assert areas[1] > 1.08 * areas[0]


def test_unknown_effect_is_refused():
    with pytest.raises(ValueError, match="Unknown effects.*moonlight.*speckle"):
        scene.draw_scan(3, 1, 0, 112, 0.0, ("moonlight",))


def test_population_contains_every_pathology():
    hearts = [draw_heart(np.random.default_rng(index)) for index in range(400)]
    assert 0.05 < np.mean([heart.akinesia > 0 for heart in hearts]) < 0.25
    assert 0.05 < np.mean([heart.outflow > 0 for heart in hearts]) < 0.30
    assert np.mean([heart.ejection < 0.12 for heart in hearts]) > 0.08
    assert max(heart.septum for heart in hearts) > 15
    plain = [draw_heart(np.random.default_rng(i), frozenset({"pathology"})) for i in range(100)]
    assert all(heart.akinesia == 0 and heart.ejection > 0.12 for heart in plain)


def test_population_resembles_echonet_dynamic():
    """In ejection fraction (EchoNet-Dynamic: 55.7 +- 12.4 %) and its correlation with volume."""
    volumes = np.array([traced_volumes(scene.draw_scan(7, 0, i, 112)[0].heart) for i in range(300)])
    fraction = 100 * (1 - volumes[:, 1] / volumes[:, 0])
    assert 53 < fraction.mean() < 60 and 9 < fraction.std() < 16
    assert 0.2 < (fraction < 50).mean() < 0.4  # more weak hearts, which networks see too rarely
    assert -0.6 < np.corrcoef(fraction, volumes[:, 0])[0, 1] < -0.2


def test_the_tracing_adds_little_contraction():
    """A network learns contraction from the walls; the tracing must not add much to it."""
    for index in range(40):
        heart = draw_heart(np.random.default_rng(index))
        even = replace(heart, contracted_septal=0.0, contracted_lateral=0.0, contracted_apex=0.0)
        drawn, fixed = (1 - small / large for large, small in map(traced_volumes, (heart, even)))
        assert -0.03 < drawn - fixed < 0.16


def traced_volumes(heart) -> tuple[float, float]:
    """Volumes of the expert's outlines at end-diastole and end-systole by disks, mm3."""
    shapes = (ventricle_shape(heart, contraction) for contraction in (0.0, 1.0))
    tracings = [
        geometry.outline_to_tracing(shape.outline, shape.axis, corners=shape.outline[[0, -1]])
        for shape in shapes
    ]
    return tuple(map(geometry.disk_volume, tracings))


def test_akinetic_wall_moves_less():
    heart = replace(
        draw_heart(np.random.default_rng(1), frozenset({"pathology"})), septal_bulge=0.0
    )
    akinetic = replace(heart, akinesia=0.9, akinesia_side=1, akinesia_place=0.5)

    def motion(heart, name):
        walls = [getattr(heart_shape(heart, contraction, 0.0), name) for contraction in (0.0, 1.0)]
        return np.abs(walls[1][18, 0] - walls[0][18, 0])

    assert motion(akinetic, "lateral_cavity") < 0.5 * motion(heart, "lateral_cavity")
    assert motion(akinetic, "septal_cavity") == motion(heart, "septal_cavity")


@pytest.mark.parametrize(
    "wrong", [{"ejection": 1.2}, {"ejection": 0.0}, {"length": -80}, {"septum": float("nan")}],
    ids=str,
)  # fmt: skip
def test_impossible_hearts_are_refused(wrong):
    heart = draw_heart(np.random.default_rng(0))
    with pytest.raises(ValueError, match=next(iter(wrong))):
        replace(heart, **wrong)


def test_a_given_parameter_does_not_change_the_others():
    fixed = {"waviness": np.zeros((2, 4)), "valve": draw_valve(np.random.default_rng(0))}
    drawn, given = (
        draw_parameters(Heart, np.random.default_rng(4), **fixed, **parameters)
        for parameters in ({}, {"rv_width": 0.5})
    )
    assert given.rv_width == 0.5 and given == replace(drawn, rv_width=0.5)


def test_a_sector_that_misses_the_heart_is_refused():
    scan, _ = scene.draw_scan(1, 1, 0, 112)
    far = replace(scan.heart, tip_depth=400.0)
    with pytest.raises(ValueError, match="misses the heart.*Move the heart"):
        Scan(scan.sector, far, scan.cycle, np.random.default_rng(0))
    for wrong in ({"half_angle": 2.0}, {"depth": -100.0}, {"radius": 0.0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            replace(scan.sector, **wrong)


def test_every_range_has_a_source():
    table = range_table()
    assert len(table) > 100 and not table.duplicated(["part", "quantity"]).any()
    assert (table.low < table.high).all()
    assert table.source.isin(SOURCES).all()
    normal = table.dropna(subset="mean")
    assert (normal["mean"] > normal.low).all() and (normal["mean"] < normal.high).all()
    assert (normal.sd > 0).all()


def test_large_screens_show_the_same_heart_in_more_detail():
    small, large = (scene.draw_scan(5, 0, 4, size, 0.0)[0] for size in (112, 448))
    assert small.heart.length == large.heart.length  # the first draw fits into its sector on both
    assert large.sector.beam_shape[0] > small.sector.beam_shape[0]
    frames = [scan.frame(0.0) for scan in (small, large)]
    shrunk = cv2.resize(frames[1], (112, 112), interpolation=cv2.INTER_AREA)
    assert np.corrcoef(shrunk.ravel(), frames[0].ravel())[0, 1] > 0.85


@pytest.mark.parametrize("size", [64, 112, 160])
def test_masks_lie_inside_the_sector(size):
    for index in range(12):
        scan, choice = scene.draw_scan(7, common.FRAME_STREAM, index, size)
        moment = choice.uniform(0, scan.cycle.period)
        tracing = scene.trace(scan, moment, scan.frame(moment))
        mask = tracing.mask((size, size))
        assert mask.any()
        assert (mask & ~scan.sector.shown).sum() <= 0.005 * mask.sum()
        assert (tracing.axis[1] - tracing.axis[0])[1] > 0  # apex above base


def test_cavity_is_darker_than_its_septum():
    darker = 0
    images, regions, _ = single_frames.draw_frames(24, seed=5, workers=1)
    for image, mask in zip(images, regions == 1, strict=True):
        ring = cv2.dilate(mask.astype(np.uint8), np.ones((9, 9))) > cv2.dilate(
            mask.astype(np.uint8), np.ones((3, 3))
        )
        ring[:, int(np.nonzero(mask)[1].mean()) :] = False  # the septal half
        darker += image[mask].mean() < image[ring].mean()
    assert darker >= 21


def bright_from(column: float) -> np.ndarray:
    """A frame with a dark half right of a column, and a bright one left of it, (112, 112) uint8."""
    return np.where(np.arange(112) < column, 160, 20).astype(np.uint8) * np.ones((112, 1), np.uint8)


SEPTUM = np.stack([np.full(len(PROFILE), 50.0), np.linspace(95, 25, len(PROFILE))], axis=1)


@pytest.mark.parametrize("edge", [49, 50, 51, 52])
def test_the_expert_draws_the_septum_a_little_outside_the_first_rise(edge):
    line = scene.seen_septum(bright_from(edge), SEPTUM, 112)
    middle = (PROFILE[::-1] > 0.3) & (PROFILE[::-1] < 0.75)
    np.testing.assert_allclose(line[middle, 0], edge - 0.6, atol=0.01)
    np.testing.assert_array_equal(line[[0, -1]], SEPTUM[[0, -1]])  # not at the hinge, nor the apex
    np.testing.assert_array_equal(line[:, 1], SEPTUM[:, 1])


def test_the_line_follows_an_edge_that_is_near_and_no_further():
    places = [scene.seen_septum(bright_from(edge), SEPTUM, 112)[20, 0] for edge in (44, 47, 56)]
    np.testing.assert_allclose(places, [50 - scene.MAX_SHIFT] * 2 + [50 + scene.MAX_SHIFT])


def test_on_a_larger_screen_the_line_is_moved_by_the_same_share():
    small = scene.seen_septum(bright_from(49), SEPTUM, 112)
    large = scene.seen_septum(cv2.resize(bright_from(49), (224, 224)), 2 * SEPTUM, 224)
    np.testing.assert_allclose(large, 2 * small, atol=1)


def test_the_expert_of_a_frame_draws_its_septum_only():
    scan, _ = scene.draw_scan(3, 1, 0, 112)
    image = scan.frame(0.0)
    walls, seen = scene.trace(scan, 0.0), scene.trace(scan, 0.0, image)
    moved = np.abs(seen.landmarks - walls.landmarks).max(axis=1)
    assert moved[:20].max() > 0.2 and moved[20:].max() < 1e-3  # the image-left wall comes first
    plain, _ = scene.draw_scan(3, 1, 0, 112, without=frozenset({"expert's inset"}))
    assert np.array_equal(scene.trace(plain, 0.0, image).chords, scene.trace(plain, 0.0).chords)


@pytest.mark.parametrize("grey", [0, 90])
def test_where_no_septum_is_seen_the_line_stays(grey):
    flat = np.full((112, 112), grey, np.uint8)
    np.testing.assert_array_equal(scene.seen_septum(flat, SEPTUM, 112), SEPTUM)


@pytest.mark.parametrize("renderer", ["plain", "physical"])
def test_speckle_moves_with_the_heart(renderer):
    """A frame resembles its neighbour more than a frame from another moment."""
    generator = np.random.default_rng(2)
    cycle, heart, sector = draw_cycle(generator), draw_heart(generator), draw_sector(generator)
    heart = replace(heart, tip_depth=25.0, tip_x=0.0)
    scan = Scan(sector, heart, cycle, generator, renderer)
    frames = [scan.frame(time).astype(float)[sector.shown] for time in (0.1, 0.12, 0.3)]
    near, far = (np.corrcoef(frames[1], frames[i])[0, 1] for i in (0, 2))
    assert near > 0.6 and near > far


def test_unknown_renderer_is_refused():
    scan, generator = scene.draw_scan(1, 1, 0, 112)
    with pytest.raises(ValueError, match="renderer"):
        Scan(scan.sector, scan.heart, scan.cycle, generator, "x")


def test_phantom_needs_no_torch():
    code = "import sys, echolib.phantom.studies; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_frame_set_has_one_frame_per_heart_and_two_splits():
    frames = single_frames.draw_frame_set(10, seed=1, workers=1, progress=False)
    assert frames.table.split.value_counts().to_dict() == {"train": 9, "val": 1}
    assert frames.table.patient.is_unique and frames.size == 112
    images, regions, _ = single_frames.draw_frames(10, seed=1, workers=1)
    np.testing.assert_array_equal(frames.images, images)
    np.testing.assert_array_equal(frames.regions, regions)
    np.testing.assert_array_equal(frames.masks, regions == 1)
    with pytest.raises(ValueError, match="2 or more"):
        single_frames.draw_frame_set(1)
