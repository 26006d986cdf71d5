"""NIfTI files and CAMUS folders as people have them: other suffixes, axes, encodings, values."""

import gzip
import shutil
import warnings

import nibabel
import numpy as np
import pytest

from echolib.data import Camus, open_data, problem_summary
from echolib.data.nifti import read_nifti, to_uint8, write_masks
from echolib.errors import DataError
from echolib.masks import PackedMasks
from tests.makers import HEIGHT, SPACING, WIDTH, camus_folder, write_nifti

CLIP = "patient0001_4CH"


@pytest.fixture
def folder(tmp_path):
    return camus_folder(tmp_path / "camus")


def patient(folder):
    return folder / "database_nifti" / "patient0001"


def save(path, pixels):
    """Write pixels (column, row, ...) as they stand."""
    image = nibabel.Nifti1Image(pixels, np.eye(4))
    image.header["pixdim"][1:4] = SPACING
    image.to_filename(path)


def test_uncompressed_files_are_read(folder):
    for path in folder.rglob("*.nii.gz"):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    data = open_data(folder)
    assert isinstance(data, Camus) and data.problems == [] and len(data.table) == 3
    before = data.fingerprint()
    frames, problems = data.labelled(CLIP)
    assert problems == [] and len(frames) == 2 and frames[0].spacing == SPACING
    assert data.clip(CLIP).frames.shape == (2, HEIGHT, WIDTH)
    (patient(folder) / f"{CLIP}_ED.nii").write_bytes(b"other")
    assert data.fingerprint() != before


def test_files_that_systems_keep_are_not_patients(folder):
    (folder / "database_nifti" / "patients.txt").write_text("notes")
    (patient(folder) / f"._{CLIP}_ED.nii.gz").write_bytes(b"\0")
    data = Camus(folder)
    assert data.problems == [] and len(data.table) == 3


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((WIDTH, HEIGHT), (HEIGHT, WIDTH)),
        ((WIDTH, HEIGHT, 1), (HEIGHT, WIDTH)),
        ((WIDTH, HEIGHT, 1, 1), (HEIGHT, WIDTH)),
        ((1, WIDTH, HEIGHT), (HEIGHT, WIDTH)),
        ((WIDTH, HEIGHT, 7), (7, HEIGHT, WIDTH)),
        ((WIDTH, HEIGHT, 1, 7), (7, HEIGHT, WIDTH)),
        ((WIDTH, HEIGHT, 7, 1, 1), (7, HEIGHT, WIDTH)),
    ],
)
def test_axes_of_length_one_are_left_out(tmp_path, shape, expected):
    save(tmp_path / "image.nii.gz", np.ones(shape, np.uint8))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_nifti(tmp_path / "image.nii.gz")[0].shape == expected


@pytest.mark.parametrize("shape", [(5,), (5, 6, 7, 8), (5, 0), (1, 1)])
def test_other_axes_are_refused_with_their_shape(tmp_path, shape):
    save(tmp_path / "image.nii", np.ones(shape, np.uint8))
    with pytest.raises(DataError, match=r"image.nii is not a readable NIfTI .*found \d"):
        read_nifti(tmp_path / "image.nii")


def test_a_sequence_of_one_frame_is_a_clip(folder):
    save(patient(folder) / f"{CLIP}_half_sequence.nii", np.ones((WIDTH, HEIGHT, 1), np.uint8))
    assert Camus(folder).clip(CLIP).frames.shape == (1, HEIGHT, WIDTH)


def test_a_sequence_in_place_of_an_image_is_reported(folder):
    save(patient(folder) / f"{CLIP}_ED.nii.gz", np.ones((WIDTH, HEIGHT, 3), np.uint8))
    frames, problems = Camus(folder).labelled(CLIP)
    assert len(frames) == 1 and "expected one image, found 3" in problems[0].reason


def test_images_of_two_sizes_are_no_clip(folder):
    save(patient(folder) / f"{CLIP}_ES.nii.gz", np.ones((30, 40), np.uint8))
    with pytest.raises(DataError, match="images of one size"):
        Camus(folder).clip(CLIP)


@pytest.mark.parametrize("value", [0, -1.0, np.nan, np.inf, 1e30, 1e-6])
def test_an_impossible_spacing_is_unknown_and_noted(folder, value):
    pixels = np.full((WIDTH, HEIGHT), 120, np.uint8)
    path = patient(folder) / f"{CLIP}_ED.nii.gz"
    save(path, pixels)
    raw = bytearray(gzip.decompress(path.read_bytes()))
    raw[80:88] = np.array([value, value], "<f4").tobytes()  # pixdim, as no library would write it
    path.write_bytes(gzip.compress(bytes(raw)))
    frames, problems = Camus(folder).labelled(CLIP)
    assert [frame.spacing for frame in frames] == [None, SPACING]
    (problem,) = problems
    assert problem.action == "noted" and "impossible" in problem.reason
    with pytest.warns(UserWarning, match="ED.nii.gz: spacing of .* is impossible"):
        assert Camus(folder).clip(CLIP).spacing is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((0, 255), "found the values 0, 255"),
        ((0, 0), "found the values 0"),
        ((0, 0.5), "found the values 0, 0.5"),
        ((0, np.nan), "expected grey levels, found pixels from"),
    ],
)
def test_a_label_without_a_cavity_is_left_out_with_its_values(folder, values, message):
    pixels = np.full((WIDTH, HEIGHT), values[0], np.float32)
    pixels[30:50, 30:60] = values[1]
    save(patient(folder) / f"{CLIP}_ED_gt.nii.gz", pixels)
    frames, (problem,) = Camus(folder).labelled(CLIP)
    assert len(frames) == 1 and message in problem.reason
    assert problem.reason.startswith(f"{CLIP}_ED_gt.nii.gz")


def test_other_values_beside_the_cavity_are_noted(folder):
    pixels = np.zeros((WIDTH, HEIGHT), np.float32)
    pixels[30:50, 30:60], pixels[60:70, 60:70] = 1, 7
    save(patient(folder) / f"{CLIP}_ED_gt.nii.gz", pixels)
    frames, (problem,) = Camus(folder).labelled(CLIP)
    assert len(frames) == 2 and problem.action == "noted" and "0, 1, 7" in problem.reason
    assert np.unique(frames[0].regions).tolist() == [0, 1]


def test_grey_levels_become_bytes_and_scaling_is_told():
    whole = np.array([[0, 3], [200, 255]])
    for dtype in (np.uint8, np.int16, np.float32):
        pixels, notes = to_uint8(whole.astype(dtype))
        assert pixels.dtype == np.uint8 and np.array_equal(pixels, whole) and notes == []
    pixels, notes = to_uint8((whole / 255).astype(np.float32))
    assert np.array_equal(pixels, whole) and "fractions" in notes[0]
    pixels, notes = to_uint8(whole.astype(np.int16) * 16 - 100)
    assert np.array_equal(pixels, whole) and "from -100 to 3980" in notes[0]
    assert to_uint8(np.full((2, 2), 700))[0].max() == 0
    assert to_uint8(np.zeros((2, 2)))[1] == []


def test_float_images_of_a_patient_are_read_and_noted(folder):
    path = patient(folder) / f"{CLIP}_ED.nii.gz"
    pixels = np.asarray(nibabel.load(path).dataobj)
    expected = Camus(folder).labelled(CLIP)[0][0].image
    save(path, (pixels / 255).astype(np.float32))
    frames, (problem,) = Camus(folder).labelled(CLIP)
    assert np.array_equal(frames[0].image, expected) and problem.action == "noted"


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("scaled", [False, True])
def test_a_header_that_declares_gigabytes_is_refused_before_it_is_read(
    tmp_path, monkeypatch, suffix, scaled
):
    path = tmp_path / f"bomb{suffix}"
    image = nibabel.Nifti1Image(np.zeros((4, 4, 4), np.uint8), np.eye(4))
    header = image.header.copy()
    header["dim"][1:4] = 30000, 20000, 10
    header["scl_slope"], header["scl_inter"] = (2 if scaled else 1), 0
    raw = header.binaryblock + bytes(100)
    path.write_bytes(gzip.compress(raw) if suffix == ".nii.gz" else raw)
    monkeypatch.setenv("ECHOLIB_MEMORY", "2G")
    size = "55.9 GB" if scaled else "11.2 GB"
    with pytest.raises(DataError, match=f"bomb{suffix}: its image would take {size} of memory"):
        read_nifti(path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_truncated_file_is_one_sentence(folder, share):
    path = patient(folder) / f"{CLIP}_ED.nii.gz"
    noise = np.random.default_rng(0).integers(0, 255, (WIDTH, HEIGHT)).astype(np.uint8)
    save(path, noise)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    frames, (problem,) = Camus(folder).labelled(CLIP)
    assert len(frames) == 1 and problem.reason.startswith(f"{CLIP}_ED.nii.gz is not a readable")


def test_any_damage_of_a_header_is_a_data_error_or_read(tmp_path):
    path = tmp_path / "image.nii"
    save(path, np.ones((WIDTH, HEIGHT), np.uint8))
    whole, generator = path.read_bytes(), np.random.default_rng(0)
    for _ in range(300):
        raw = bytearray(whole)
        for place in generator.integers(0, 352, 3):
            raw[place] = generator.integers(0, 256)
        path.write_bytes(raw)
        try:
            pixels, spacing, _ = read_nifti(path)
        except DataError as error:
            assert "image.nii" in str(error)
        else:
            assert pixels.ndim in (2, 3) and (spacing is None or spacing > 0)


# --- Lists and frame rates ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8-sig", "patient0001\n"),
        ("utf-16", "patient0001\n"),
        ("utf-8", "# the list\r\n\r\n  patient0001  # first\r\n"),
        ("latin-1", "# Prüfling\npatient0001"),
    ],
)
def test_a_split_list_of_any_encoding_is_read(folder, encoding, text):
    path = folder / "database_split" / "subgroup_training.txt"
    path.write_bytes(text.encode(encoding))
    data = Camus(folder)
    assert data.problems == [] and data.table.split[CLIP] == "train"


def test_a_split_list_that_is_no_text_is_one_sentence(folder):
    path = folder / "database_split" / "subgroup_training.txt"
    path.write_bytes(b"patient0001\0\0\0")
    with pytest.raises(DataError, match="subgroup_training.txt is not a readable text: .* NUL"):
        Camus(folder)


def test_a_patient_in_two_lists_is_in_none(folder):
    path = folder / "database_split" / "subgroup_testing.txt"
    path.write_text("patient0001\npatient0003\n")
    data = Camus(folder)
    assert data.table.index.tolist() == ["patient0002_4CH", "patient0003_4CH"]
    assert [str(problem) for problem in data.problems] == [
        "patient0001: the patient is in two official splits (left out)"
    ]


def test_lists_that_name_no_patient_here_are_one_sentence(folder):
    for path in (folder / "database_split").iterdir():
        path.write_text("patient9999\n")
    with pytest.raises(DataError, match="none that can be used.\n3 x left out: the patient is in"):
        Camus(folder)


def test_an_info_file_in_latin_1_is_read(folder):
    info = patient(folder) / "Info_4CH.cfg"
    info.write_bytes("Name: Müller\nFrameRate: 47.5\n".encode("latin-1"))
    data = Camus(folder)
    assert data.problems == [] and data.table.fps[CLIP] == 47.5


@pytest.mark.parametrize("value", ["0", "-5", "nan", "inf", "1e308", "fast", "0.02"])
def test_an_impossible_rate_is_unknown_and_noted(folder, value):
    (patient(folder) / "Info_4CH.cfg").write_text(f"FrameRate: {value}\n")
    data = Camus(folder)
    (problem,) = data.problems
    assert problem.file == "patient0001/Info_4CH.cfg" and problem.action == "noted"
    assert data.clip(CLIP).fps is None and data.labelled(CLIP)[0][0].fps is None


def test_problems_of_many_patients_are_one_line_a_kind(folder):
    base = folder / "database_nifti"
    for number in range(10, 30):
        shutil.copytree(base / "patient0001", base / f"patient{number:04}")
        write_nifti(base / f"patient{number:04}" / "x.nii", np.ones((5, 5), np.uint8))
        (base / f"patient{number:04}" / "Info_4CH.cfg").write_text("FrameRate: 0")
    (folder / "database_split" / "subgroup_training.txt").write_text("patient0001")
    assert problem_summary(Camus(folder).problems).count("\n") == 0


# --- Masks written --------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(5, 7, 13), (4, 33, 8), (1, 6, 9), (2, 2, 32768)])
@pytest.mark.parametrize(("fps", "spacing"), [(50.0, 0.31), (None, 0.31), (50.0, None)])
def test_written_masks_are_read_back(tmp_path, shape, fps, spacing):
    masks = np.random.default_rng(0).random(shape) < 0.5
    masks[0, :, :3] = False
    masks[-1, 0] = True
    path = tmp_path / "new" / "masks.nii.gz"
    write_masks(path, PackedMasks.pack(masks), fps, spacing)
    pixels, found, notes = read_nifti(path)
    assert pixels.dtype == np.uint8 and np.array_equal(pixels.reshape(shape), masks)
    assert found == (None if spacing is None else pytest.approx(spacing))
    assert len(notes) == (spacing is None)
    image = nibabel.load(path)
    assert np.array_equal(image.get_fdata()[:, :, 0].T > 0, masks)  # as TABLES.md says
    assert np.diag(image.affine) == pytest.approx([-(spacing or 1), -(spacing or 1), 1, 1])
    units = image.header.get_xyzt_units()
    assert units == ("mm" if spacing else "unknown", "sec" if fps else "unknown")
    if fps:
        assert image.header.get_zooms()[3] == pytest.approx(1 / fps)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_empty_masks_are_written_and_the_same_masks_give_the_same_bytes(tmp_path):
    masks = np.zeros((3, 5, 4), bool)
    for name in ("a.nii.gz", "b.nii.gz"):
        write_masks(tmp_path / name, masks, 30.0, 0.5)
    assert not read_nifti(tmp_path / "a.nii.gz")[0].any()
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_masks_are_written_whole_or_not_at_all(tmp_path):
    class Broken(PackedMasks):
        def __iter__(self):
            yield self[0]
            raise OSError("the disk is full")

    masks = Broken.pack(np.ones((2, 4, 4), bool))
    with pytest.raises(OSError, match="full"):
        write_masks(tmp_path / "masks.nii.gz", masks, None, None)
    assert not list(tmp_path.iterdir())
