"""Letterboxes, frame sets and packing."""

import errno
import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from echolib.data import (
    FrameSet,
    Letterbox,
    labelled_frames,
    open_data,
    pack,
    pack_once,
    packing,
)
from echolib.data.frames import with_neighbours, within_cycle
from echolib.data.reading import only_labelled
from echolib.errors import DataError
from tests.makers import EchoNetFolder, frame_set

sides = st.integers(2, 90)


@given(sides, sides, sides)
def test_points_map_to_the_square_and_back(height, width, size):
    box = Letterbox(height, width, size)
    points = np.random.default_rng(0).uniform(-5, 100, (20, 2)).astype(np.float32)
    assert np.allclose(box.points_back(box.points(points)), points, atol=1e-3)
    corners = box.points(np.array([[-0.5, -0.5], [width - 0.5, height - 0.5]]))
    assert corners.min() >= -1.5 and corners.max() <= size + 0.5  # the frame lies in the square


@given(sides, sides, st.integers(1, 4))
def test_a_mask_maps_back_exactly_when_the_square_is_a_multiple(height, width, factor):
    mask = np.random.default_rng(height).random((height, width)) < 0.5
    box = Letterbox(height, width, factor * max(height, width))
    assert np.array_equal(box.mask_back(box.mask(mask)), mask)


@given(sides, sides)
def test_the_aspect_is_preserved(height, width):
    box = Letterbox(height, width, 64)
    width, height = np.ptp(box.points(np.array([[0, 0], [1, 1]])), axis=0)
    assert width == pytest.approx(height, rel=1e-4)


def test_a_disk_keeps_its_place_when_shrunk_and_mapped_back():
    y, x = np.mgrid[:240, :300]
    mask = (x - 170) ** 2 + (y - 90) ** 2 < 60**2
    box = Letterbox(240, 300, 112)
    back = box.mask_back(box.mask(mask))
    assert back.shape == mask.shape
    centre = np.argwhere(back).mean(axis=0)
    assert np.allclose(centre, [90, 170], atol=0.1)
    assert back.sum() == pytest.approx(mask.sum(), rel=0.01)


def test_wrong_shapes_are_refused():
    box = Letterbox(10, 12, 8)
    with pytest.raises(ValueError, match="Expected a frame"):
        box.image(np.zeros((12, 10), np.uint8))
    with pytest.raises(ValueError, match="Expected"):
        box.back(np.zeros((10, 12)))
    with pytest.raises(ValueError, match="at least 1 px"):
        Letterbox(0, 12, 8)


def test_a_saved_frame_set_loads_unchanged(tmp_path):
    frames = frame_set()
    frames.save(tmp_path / "set")
    loaded = FrameSet.load(tmp_path / "set")
    assert isinstance(loaded.images, np.memmap)
    assert np.array_equal(loaded.images, frames.images)
    assert np.array_equal(loaded.masks, frames.masks)
    assert loaded.table.equals(frames.table) and loaded.regions is None
    assert len(open_data(tmp_path / "set")) == len(frames)


@pytest.mark.parametrize("files", [["thesis.docx"], ["frames.csv"], ["images.npy", "data"]])
def test_a_folder_with_other_files_is_never_replaced(tmp_path, files):
    for name in files:
        (tmp_path / name).write_text("precious")
    with pytest.raises(DataError, match=rf"packed frames, .* found {files[-1]}.*Name a new"):
        frame_set().save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(files)


def test_an_empty_folder_and_an_older_set_are_replaced(tmp_path):
    (tmp_path / "set").mkdir()
    with_random_neighbours().save(tmp_path / "set")
    (tmp_path / "set" / ".DS_Store").touch()
    (tmp_path / "link").symlink_to(tmp_path / "set")
    frame_set(24).save(tmp_path / "link")
    assert len(FrameSet.load(tmp_path / "set")) == 24 and (tmp_path / "link").is_symlink()
    assert not (tmp_path / "set" / "neighbours.npy").exists()


def test_regions_are_saved_and_selected_with_their_frames(tmp_path):
    frames = frame_set()
    regions = (
        frames.masks.astype(np.uint8) * np.arange(1, len(frames) + 1, dtype=np.uint8)[:, None, None]
    )
    replace(frames, regions=regions).save(tmp_path / "set")
    loaded = FrameSet.load(tmp_path / "set")
    assert np.array_equal(loaded.regions, regions)
    rows = np.array([3, 1])
    assert np.array_equal(loaded.select(rows).regions, regions[rows])
    with pytest.raises(ValueError, match="regions"):
        replace(frames, regions=regions[1:])


def with_random_neighbours(count=12, seed=0):
    """A frame set in which every frame has different neighbours."""
    frames = frame_set(count, seed=seed)
    neighbours = np.random.default_rng(seed).integers(0, 256, (count, 2, 32, 32), np.uint8)
    return replace(frames, neighbours=neighbours)


def test_neighbours_are_saved_and_selected_with_their_frames(tmp_path):
    frames = with_random_neighbours()
    frames.save(tmp_path / "set")
    loaded = FrameSet.load(tmp_path / "set")
    assert isinstance(loaded.neighbours, np.memmap)
    assert np.array_equal(loaded.neighbours, frames.neighbours)
    assert loaded.fingerprint() == frames.fingerprint() != frame_set().fingerprint()
    rows = np.array([3, 1])
    assert np.array_equal(loaded.select(rows).neighbours, frames.neighbours[rows])
    held_out = (frames.table.split == "val").to_numpy()
    assert np.array_equal(loaded.split("val").neighbours, frames.neighbours[held_out])
    assert loaded.frame(2).clip == frames.table["clip"][2]
    with pytest.raises(ValueError, match="neighbours"):
        replace(frames, neighbours=frames.neighbours[1:])


def test_three_inputs_are_a_frame_between_its_neighbours():
    frames = with_random_neighbours()
    inputs = with_neighbours(frames, 3)
    assert inputs.shape == (12, 3, 32, 32) and inputs.dtype == np.uint8
    assert np.array_equal(inputs[:, 1], frames.images)
    assert np.array_equal(inputs[:, [0, 2]], frames.neighbours)
    assert np.array_equal(with_neighbours(frames, 1), frames.images[:, None])
    repeated = with_neighbours(frame_set(), 3)  # without neighbours, three times the frame
    assert np.array_equal(repeated, np.repeat(frame_set().images[:, None], 3, axis=1))
    assert len(with_neighbours(frames.select(np.zeros(12, bool)), 3)) == 0


def test_within_a_cycle_the_neighbours_are_ed_and_es():
    frames = frame_set()  # two frames per patient
    rows = np.arange(len(frames))
    phases = np.where(rows % 2 == 0, "ED", "ES")
    frames = replace(frames, table=frames.table.assign(clip=frames.table.patient, phase=phases))
    cycle = within_cycle(frames)
    assert cycle.inputs == 3 and frames.inputs == 1 and len(cycle) == len(frames)
    assert np.array_equal(cycle.neighbours[:, 0], frames.images[rows // 2 * 2])
    assert np.array_equal(cycle.neighbours[:, 1], frames.images[rows // 2 * 2 + 1])
    table = frames.table.assign(phase=np.where(rows == 1, "", phases))
    remaining = within_cycle(replace(frames, table=table))
    assert set(frames.table.patient) - set(remaining.table.patient) == {frames.table.patient[1]}


def test_joined_sets_keep_their_order_and_the_arrays_that_all_have(tmp_path):
    first, second = with_random_neighbours(8), with_random_neighbours(6, seed=1)
    first = replace(first, regions=first.masks.astype(np.uint8))
    both = FrameSet.joined([first, second])
    assert len(both) == 14 and both.regions is None and both.landmarks is None
    for name in ("images", "masks", "neighbours"):
        parts = [getattr(frames, name) for frames in (first, second)]
        assert np.array_equal(getattr(both, name), np.concatenate(parts)), name
    clips = [*first.table["clip"], *second.table["clip"]]
    assert both.table["clip"].tolist() == clips and both.table.index.tolist() == list(range(14))
    assert FrameSet.joined([first]).fingerprint() == first.fingerprint()
    assert FrameSet.joined(iter([first, frame_set()])).neighbours is None
    both.save(tmp_path / "set")
    assert FrameSet.load(tmp_path / "set").fingerprint() == both.fingerprint()


def test_outputs_count_the_regions():
    frames = frame_set()
    assert frames.outputs == 1
    for highest in (0, 1, 2, 3):
        regions = np.zeros(frames.images.shape, np.uint8)
        regions[3, 5, 5] = highest
        assert replace(frames, regions=regions).outputs == max(1, highest)
    no_regions = np.zeros((0, 32, 32), np.uint8)
    empty = frames.select(np.zeros(12, bool))
    assert replace(empty, regions=no_regions).outputs == 1


@pytest.mark.parametrize(("count", "expected"), [(1, 2), (4, 4), (5, 4), (8, 8), (100, 12)])
def test_spread_chooses_whole_clips_evenly(count, expected):
    frames = frame_set(count=12)
    chosen = frames.spread(count)
    assert len(chosen) == expected and (chosen.table.groupby("clip").size() == 2).all()
    assert len(frames.select(np.zeros(12, bool)).spread(count)) == 0
    if expected == 4:
        assert chosen.table["clip"].unique().tolist() == ["p0", "p5"]


def test_regions_agree_with_the_mask_where_two_regions_share_a_pixel():
    regions = np.zeros((40, 40), np.uint8)
    regions[:, 11:21], regions[:, 21:31] = 1, 2
    box = Letterbox(40, 40, 20)
    assert np.array_equal(box.regions(regions) == 1, box.mask(regions == 1))


def test_all_frames_of_a_patient_are_in_one_split():
    frames = frame_set()
    parts = [frames.split(name) for name in ("train", "val", "test")]
    assert sum(len(part) for part in parts) == len(frames)
    patients = [set(part.table.patient) for part in parts]
    assert not (patients[0] & patients[1] or patients[0] & patients[2] or patients[1] & patients[2])
    with pytest.raises(ValueError, match="Unknown split"):
        frames.split("training")
    single = next(labelled_frames(frames, "test"))
    assert single.split == "test" and single.fps == 50.0 and single.spacing is None


@pytest.mark.parametrize("file", ["images.npy", "frames.csv", "problems.csv"])
def test_a_damaged_frame_set_is_refused(tmp_path, file):
    frame_set().save(tmp_path / "set")
    path = tmp_path / "set" / file
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    if file == "problems.csv":
        path.unlink()
    with pytest.raises(DataError, match="not a complete set"):
        FrameSet.load(tmp_path / "set")


def test_packing_decodes_each_video_once(tmp_path, monkeypatch):
    folder = EchoNetFolder(tmp_path / "echonet").write()
    data = open_data(folder)
    read = []
    original = type(data).labelled
    monkeypatch.setattr(
        type(data), "labelled", lambda self, clip: read.append(clip) or original(self, clip)
    )
    frames = pack(data, tmp_path / "packed", progress=False)
    assert sorted(read) == sorted(data.table.index)
    assert len(frames) == 12 and frames.landmarks.shape == (12, 40, 2)
    assert frames.table["clip"].tolist() == sorted(frames.table["clip"])
    direct = data.labelled(frames.table["clip"][0])[0][0]
    assert np.array_equal(frames.masks[0], direct.mask)
    assert sorted(os.listdir(tmp_path)) == ["echonet", "packed"]


def test_the_order_does_not_depend_on_the_workers(tmp_path):
    data = open_data(EchoNetFolder(tmp_path / "echonet").write())
    one = pack(data, tmp_path / "one", workers=1, progress=False)
    four = pack(data, tmp_path / "four", workers=4, progress=False)
    assert np.array_equal(one.images, four.images) and one.table.equals(four.table)


def test_packing_once_loads_the_packed_frames(tmp_path, monkeypatch):
    monkeypatch.setenv("ECHOLIB_DATA", str(tmp_path / "data"))
    data = open_data(EchoNetFolder(tmp_path / "echonet").write())
    first = pack_once(data)
    monkeypatch.setattr(packing, "pack", None)  # a second call would fail
    assert len(pack_once(data)) == len(first)


def test_packing_continues_after_a_kill(tmp_path):
    """A real kill -9 in the middle; the next call reads only the remaining clips."""
    folder = EchoNetFolder(tmp_path / "echonet", clips=8).write()
    script = textwrap.dedent("""
        import sys, time
        from echolib.data import open_data, pack, packing
        packing.CLIPS_PER_TASK = 2
        data = open_data(sys.argv[1])
        read = type(data).labelled
        def labelled(self, clip):
            print(clip, flush=True)
            if int(clip, 16) >= int(sys.argv[3]):
                time.sleep(60)
            return read(self, clip)
        type(data).labelled = labelled
        frames = pack(data, sys.argv[2], workers=1, progress=False)
        print("done", len(frames))
    """)
    command = [sys.executable, "-c", script, str(folder), str(tmp_path / "packed")]
    first = subprocess.Popen([*command, "4"], stdout=subprocess.PIPE, text=True)
    printed = [first.stdout.readline().strip() for _ in range(5)]
    assert printed[-1] == "0X0004"
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert not (tmp_path / "packed").exists()
    second = subprocess.run([*command, "99"], capture_output=True, text=True, check=True)
    assert second.stdout.split() == ["0X0004", "0X0005", "0X0006", "0X0007", "done", "16"]
    whole = pack(open_data(folder), tmp_path / "whole", progress=False)
    resumed = FrameSet.load(tmp_path / "packed")
    assert np.array_equal(whole.images, resumed.images) and whole.table.equals(resumed.table)
    assert not list(tmp_path.glob(".*"))


def test_a_full_disk_leaves_nothing_behind(tmp_path):
    """Files are limited to 40 kB here; a larger one fails like a write to a full disk."""
    folder = EchoNetFolder(tmp_path / "echonet").write()
    script = textwrap.dedent("""
        import resource, signal, sys
        from echolib.__main__ import main
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
        sys.exit(main(["pack", sys.argv[1], "--out", sys.argv[2]]))
    """)
    command = [sys.executable, "-c", script, str(folder), str(tmp_path / "out" / "packed")]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 2
    assert "stopped: File too large" in result.stderr and "Traceback" not in result.stderr
    assert list((tmp_path / "out").iterdir()) == []


def test_too_little_space_is_reported_before_the_work(tmp_path, monkeypatch):
    data = open_data(EchoNetFolder(tmp_path / "echonet").write())
    usage = type("Usage", (), {"free": 1000})()
    monkeypatch.setattr(packing.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(OSError, match="MB are needed, 0 MB are free.* Free some space") as caught:
        pack(data, tmp_path / "packed", progress=False)
    assert caught.value.errno == errno.ENOSPC
    assert sorted(os.listdir(tmp_path)) == ["echonet"]


def test_a_data_set_without_readable_frames_is_one_error(tmp_path):
    echonet = EchoNetFolder(tmp_path / "echonet")
    for path in (tmp_path / "echonet" / "Videos").iterdir():
        path.write_bytes(b"")
    data = open_data(echonet.write())
    with pytest.raises(DataError, match="no labelled frame could be read"):
        pack(data, tmp_path / "packed", progress=False)
    assert os.listdir(tmp_path) == ["echonet"]


def test_only_a_full_disk_needs_more_space(tmp_path):
    data = open_data(EchoNetFolder(tmp_path / "echonet").write())
    (tmp_path / "file").touch()
    with pytest.raises(
        NotADirectoryError, match="stopped: expected a folder, found a file.*/file\\)"
    ) as caught:
        pack(data, tmp_path / "file" / "packed", progress=False)
    assert "that this folder can be written: " in str(caught.value)
    assert "space" not in str(caught.value) and "another disk" not in str(caught.value)


@pytest.mark.parametrize("content", [[], ["notes.txt"]])
def test_an_unknown_folder_is_refused(tmp_path, content):
    for name in content:
        (tmp_path / name).write_text("hello")
    with pytest.raises(DataError, match="no data set that echolib can read"):
        open_data(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        open_data(tmp_path / "missing")


def test_a_clip_of_the_two_frames_that_an_expert_chose_is_told_from_a_beating_one(tmp_path):
    data = open_data(EchoNetFolder(tmp_path, clips=4).write())
    name = data.table.index[0]
    clip, (labelled, _) = data.clip(name), data.labelled(name)
    assert not only_labelled(clip, labelled)
    assert not only_labelled(clip, labelled * len(clip.frames))  # all frames are outlined
    assert only_labelled(replace(clip, frames=clip.frames[:2]), labelled[:2])
    assert not only_labelled(replace(clip, frames=clip.frames[:2]), [])
