"""CAMUS: a generated folder in its layout, and the real frames where they are available."""

import os
import shutil

import nibabel
import numpy as np
import pytest

from echolib.data import Camus, open_data, pack
from echolib.data.camus import ATRIUM, CAVITY, WALL, annulus_ends, label_tracing, read_nifti
from echolib.errors import DataError
from echolib.geometry import base_corners, long_axis, mask_outline, mask_to_tracing
from tests.makers import HEIGHT, SPACING, WIDTH, camus_folder, write_nifti


@pytest.fixture
def folder(tmp_path):
    return camus_folder(tmp_path)


def test_a_folder_is_read_upright_with_its_spacing(folder):
    data = open_data(folder)
    assert isinstance(data, Camus) and data.problems == []
    assert data.table.split.to_dict() == {
        "patient0001_4CH": "train", "patient0002_4CH": "val", "patient0003_4CH": "test"
    }  # fmt: skip
    (diastole, systole), problems = data.labelled("patient0001_4CH")
    assert problems == [] and (diastole.phase, systole.phase) == ("ED", "ES")
    assert diastole.image.shape == (HEIGHT, WIDTH) and diastole.spacing == SPACING
    assert diastole.mask[50, 40] and not diastole.mask[90, 40]
    assert diastole.mask.sum() > systole.mask.sum()
    assert diastole.landmarks.shape == (40, 2)
    assert np.unique(diastole.regions).tolist() == [0, 1, 3]
    assert np.array_equal(diastole.regions == 1, diastole.mask) and diastole.regions[90, 40] == 3


def bulging_label() -> np.ndarray:
    """A cavity that is wider than its base, from (38, 80) to (62, 80), in a wall over an atrium."""
    y, x = np.mgrid[:HEIGHT, :100]
    cavity = (((x - 50) / 24) ** 2 + ((y - 55) / 28) ** 2 < 1) & (y < 80)
    wall = (((x - 50) / 32) ** 2 + ((y - 55) / 36) ** 2 < 1) & (y < 84) & ~cavity
    labels = np.where(cavity, 1, np.where(wall, 2, 0)).astype(np.uint8)
    labels[(y >= 80) & (y < 100) & (x >= 39) & (x < 62)] = 3
    return labels


@pytest.mark.parametrize("turned", [False, True])
def test_the_base_lies_between_the_ends_of_the_wall(turned):
    labels = bulging_label()[:, ::-1] if turned else bulging_label()
    corners = label_tracing(labels).landmarks[19:21]
    expected = np.array([[39, 79], [61, 79]]) - ([1, 0] if turned else [0, 0])
    assert np.abs(corners - expected).max() <= 2


@pytest.mark.parametrize("missing", [WALL, ATRIUM])
def test_without_wall_or_atrium_the_cavity_alone_gives_the_base(missing):
    labels = bulging_label()
    labels[labels == missing] = 0
    outline = mask_outline(labels == CAVITY)
    assert annulus_ends(labels, outline) is None
    assert np.array_equal(label_tracing(labels).chords, mask_to_tracing(labels == CAVITY).chords)


def test_packed_regions_agree_with_the_masks(folder, tmp_path):
    frames = pack(open_data(folder), tmp_path / "packed", 48)
    assert np.array_equal(frames.regions == 1, frames.masks)
    assert np.unique(frames.regions).tolist() == [0, 1, 3]
    assert np.array_equal(frames.frame(0).regions, frames.regions[0])


def test_a_file_of_another_kind_of_scan_is_refused(tmp_path):
    surface = tmp_path / "surface.gii"
    nibabel.save(nibabel.gifti.GiftiImage(), surface)
    with pytest.raises(DataError, match="surface.gii is not a readable NIfTI .*a GiftiImage"):
        read_nifti(surface)


def test_the_inner_folder_is_accepted_too(folder):
    assert Camus(folder / "database_nifti").table.split.tolist() == ["train", "val", "test"]


def test_without_official_splits_patients_are_hashed_and_this_is_reported(folder):
    for path in (folder / "database_split").iterdir():
        path.unlink()
    data = Camus(folder)
    assert set(data.table.split) <= {"train", "val", "test"}
    assert "no official split" in data.problems[0].reason


def test_patients_of_the_official_splits_that_are_not_there_are_counted(folder):
    shutil.rmtree(folder / "database_nifti" / "patient0002")
    (problem,) = Camus(folder).problems
    assert "1 of the 3 patients in the official splits have no folder" in problem.reason
    assert "patient0002" in problem.reason and problem.action == "noted"


def test_patients_that_cannot_be_used_are_reported(folder):
    (folder / "database_split" / "subgroup_testing.txt").write_text("")
    for path in (folder / "database_nifti" / "patient0002").glob("*_gt.nii.gz"):
        path.unlink()
    data = Camus(folder)
    assert data.table.index.tolist() == ["patient0001_4CH"]
    assert [problem.file for problem in data.problems] == ["patient0002", "patient0003"]


def test_full_downloads_add_a_view_a_sequence_and_a_frame_rate(folder):
    patient = folder / "database_nifti" / "patient0001"
    for path in list(patient.glob("*_4CH_*")):
        (patient / path.name.replace("4CH", "2CH")).write_bytes(path.read_bytes())
    sequence = np.zeros((7, HEIGHT, WIDTH), np.uint8)
    write_nifti(patient / "patient0001_4CH_half_sequence.nii.gz", sequence)
    (patient / "Info_4CH.cfg").write_text("ED: 1\nES: 7\nFrameRate: 43.5\n")
    data = Camus(folder, views=("2CH", "4CH"))
    assert data.table.index.tolist()[:2] == ["patient0001_2CH", "patient0001_4CH"]
    clip = data.clip("patient0001_4CH")
    assert clip.frames.shape == (7, HEIGHT, WIDTH) and clip.fps == 43.5
    assert data.clip("patient0002_4CH").frames.shape == (2, HEIGHT, WIDTH)


@pytest.mark.parametrize("order", ["RAS", "LAS", "RPS", "PLS", "ARS"])
def test_a_file_that_was_reoriented_is_turned_back(tmp_path, order):
    """As by `nibabel.as_closest_canonical`, TorchIO's ToCanonical or MONAI's Orientation."""
    pixels = np.random.default_rng(0).integers(0, 255, (30, 40, 1), dtype=np.uint8)
    image = nibabel.Nifti1Image(pixels, np.diag([-0.3, -0.3, 1, 1]))
    path = tmp_path / "image.nii.gz"
    nibabel.save(image, path)
    expected, spacing, notes = read_nifti(path)
    assert expected.shape == (40, 30) and notes == []
    change = nibabel.orientations.ornt_transform(
        nibabel.io_orientation(image.affine), nibabel.orientations.axcodes2ornt(order)
    )
    nibabel.save(image.as_reoriented(change), path)
    found, found_spacing, notes = read_nifti(path)
    np.testing.assert_array_equal(found, expected)
    assert found_spacing == pytest.approx(spacing) and f"{order} instead of LPS" in notes[0]


@pytest.mark.parametrize("matrix", [np.eye(4), np.diag([0.3, 0.3, 1, 1])])
def test_a_matrix_without_an_offset_says_nothing_of_the_orientation(tmp_path, matrix):
    pixels = np.random.default_rng(0).integers(0, 255, (30, 40, 1), dtype=np.uint8)
    nibabel.save(nibabel.Nifti1Image(pixels, matrix), tmp_path / "image.nii")
    found, _, notes = read_nifti(tmp_path / "image.nii")
    np.testing.assert_array_equal(found, pixels[..., 0].T)
    assert notes == []


@pytest.mark.parametrize("name", ["patient0001_4CH_ED_gt.nii.gz", "Info_4CH.cfg"])
def test_a_label_or_rate_that_was_corrected_is_a_change(folder, name):
    path = folder / "database_nifti" / "patient0001" / name
    path.write_bytes(path.read_bytes() if path.exists() else b"FrameRate: 50")
    before = Camus(folder).fingerprint()
    os.utime(path, (1e9, 1e9))  # as in a copy
    assert Camus(folder).fingerprint() == before
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))  # of the same size
    changed = Camus(folder).fingerprint()
    path.unlink()
    assert len({before, changed, Camus(folder).fingerprint()}) == 3


def test_labelled_frames_have_the_numbers_of_their_half_sequence(folder):
    """A sequence may begin at ED or at ES, and need not end with the other."""
    data, name = Camus(folder), "patient0001_4CH"
    before, path = data.fingerprint(), folder / "database_nifti" / "patient0001"
    (diastole, systole), _ = data.labelled(name)
    assert [diastole.frame, systole.frame] == [0, 1]
    other = np.full_like(diastole.image, 7)
    frames = np.stack([other, systole.image, other, other, diastole.image])
    write_nifti(path / f"{name}_half_sequence.nii.gz", frames)
    assert data.fingerprint() != before
    for read in (None, data.clip(name)):
        labelled, problems = data.labelled(name, read)
        assert [(frame.phase, frame.frame) for frame in labelled] == [("ED", 4), ("ES", 1)]
        assert problems == []
    write_nifti(path / f"{name}_half_sequence.nii.gz", frames[:4])
    labelled, problems = data.labelled(name)
    assert [frame.frame for frame in labelled] == [4, 1]  # after the last of four
    assert [problem.action for problem in problems] == ["noted"]
    assert "does not occur in the half sequence" in str(problems[0])
    (path / f"{name}_half_sequence.nii.gz").write_bytes(b"no image")
    assert [frame.frame for frame in data.labelled(name)[0]] == [0, 1]


@pytest.mark.parametrize("damage", ["truncated", "text", "missing", "empty", "other size"])
def test_a_broken_label_is_reported_and_left_out(folder, damage):
    path = folder / "database_nifti" / "patient0001" / "patient0001_4CH_ED_gt.nii.gz"
    if damage == "missing":
        path.unlink()
    elif damage == "empty":
        write_nifti(path, np.zeros((HEIGHT, WIDTH), np.uint8))
    elif damage == "other size":
        write_nifti(path, np.ones((30, 30), np.uint8))
    else:
        path.write_bytes(path.read_bytes()[:90] if damage == "truncated" else b"hello")
    frames, problems = Camus(folder).labelled("patient0001_4CH")
    assert [frame.phase for frame in frames] == ["ES"]
    assert len(problems) == 1 and problems[0].file == "patient0001_4CH_ED.nii.gz"


def test_pixels_that_are_not_square_are_refused(tmp_path):
    path = tmp_path / "image.nii.gz"
    write_nifti(path, np.zeros((10, 12), np.uint8), spacing=(0.3, 0.6))
    with pytest.raises(DataError, match="square"):
        read_nifti(path)


def test_a_folder_without_patients_is_refused(tmp_path):
    with pytest.raises(DataError, match="expected the patientNNNN folders of CAMUS, found none"):
        Camus(tmp_path)


def test_real_landmarks_19_and_20_lie_where_the_wall_ends_and_the_shape_nearly_gives_them(camus):
    data, near = Camus(camus), []
    for clip in data.table.index[data.table.split == "train"][::10]:
        for frame in data.labelled(clip)[0]:
            corners, outline = frame.landmarks[19:21], mask_outline(frame.mask)
            found = base_corners(outline, long_axis(outline))
            near.append(frame.spacing * np.hypot(*(found - corners).T).max() < 3)
            for x, y in np.rint(corners).astype(int):
                around = frame.regions[y - 2 : y + 3, x - 2 : x + 3]
                assert {CAVITY, WALL, ATRIUM} <= set(around.ravel()), (clip, frame.phase)
    assert np.mean(near) > 0.9


def test_real_frames(camus):
    data = Camus(camus)
    assert len(data.table) == 449 and data.problems == []
    assert data.table.split.value_counts().to_dict() == {"train": 399, "val": 50}
    frames, problems = data.labelled("patient0001_4CH")
    assert problems == [] and len(frames) == 2
    assert frames[0].spacing == pytest.approx(0.616, abs=2e-3)
    assert frames[0].mask.sum() > frames[1].mask.sum()
    row, _ = np.argwhere(frames[0].mask).mean(axis=0)
    assert row < frames[0].image.shape[0] / 2 + 20  # the ventricle lies under the probe
