"""Documents made of masks: what a simulated annotator leaves in a folder."""

import nibabel
import numpy as np
import pytest

from echolib.commands.parser import main
from echolib.corrections import (
    Folder,
    drawn_masks,
    keep_masks,
    mask_document,
    read_masks,
    ventricle_mask,
)
from echolib.data import Clip, read_clip
from echolib.data.nifti import write_masks
from echolib.errors import DataError
from echolib.files import write_npz
from echolib.masks import PackedMasks
from echolib.metrics import dice
from tests.corrections import made
from tests.makers import write_avi

SHAPE = (made.SIZE, made.SIZE)
CLIP = Clip("0X0001", np.zeros((made.COUNT, *SHAPE), np.uint8), made.FPS, None)


def mask(width: float = 16.0, **where: float) -> np.ndarray:
    return ventricle_mask(np.array(made.points(width, **where)), SHAPE)


def test_masks_come_back_from_a_folder(tmp_path):
    masks = {2: mask(18), 9: mask(13)}
    folder = Folder(tmp_path / "corrected", "anna")
    folder.keep(mask_document(CLIP, masks, "anna", masks, "lv"), CLIP)
    kept = folder.masks("0X0001")
    assert list(kept) == [2, 9]
    assert all(dice(kept[frame], masks[frame]) > 0.96 for frame in masks)


def test_only_points_that_are_far_off_are_moved():
    same = mask_document(CLIP, {2: mask()}, proposed={2: mask()})["frames"]["2"]["ventricle"]
    assert same["moved"] == 0 and same["points"] == same["proposed"]
    wider = mask_document(CLIP, {2: mask(20)}, proposed={2: mask(16)})["frames"]["2"]["ventricle"]
    assert 0 < wider["moved"] < 13
    stay = [a == b for a, b in zip(wider["points"], wider["proposed"], strict=True)]
    assert sum(stay) == 13 - wider["moved"]


@pytest.mark.parametrize("proposed", [None, {}, {2: np.zeros(SHAPE, bool)}])
def test_without_a_proposal_all_points_are_drawn(proposed):
    outline = mask_document(CLIP, {2: mask()}, proposed=proposed)["frames"]["2"]["ventricle"]
    assert outline["moved"] == 13 and outline["proposed"] is None


def test_an_empty_mask_is_refused():
    with pytest.raises(ValueError, match="outline|mask|empty"):
        mask_document(CLIP, {2: np.zeros(SHAPE, bool)})


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / "smith.avi"
    write_avi(path, 6, SHAPE)
    return path


def drawn(*widths: float) -> np.ndarray:
    return np.stack([mask(width) if width else np.zeros(SHAPE, bool) for width in widths])


def test_masks_of_another_program_become_corrections(tmp_path, clip, capsys):
    before, after = drawn(16, 16, 16, 16, 16, 16), drawn(16, 20, 16, 16, 13, 0)
    write_npz(tmp_path / "masks.npz", [("masks", PackedMasks.pack(before))])
    write_masks(tmp_path / "mine.nii.gz", PackedMasks.pack(after), 30.0, 0.3)
    command = ["corrections", str(tmp_path / "corrected"), "--clip", str(clip), "--masks"]
    command += [str(tmp_path / "mine.nii.gz"), "--before", str(tmp_path / "masks.npz")]
    assert main([*command, "--annotator", "anna", "--spacing", "0.3"]) == 0
    said = capsys.readouterr().out
    assert "2 frames of smith kept" in said and "1 clips in" in said
    assert "1 x left out: frame 5: its mask has no outline" in said
    folder = Folder(tmp_path / "corrected", "anna")
    kept = folder.masks("smith")
    assert list(kept) == [1, 4] and all(dice(kept[t], after[t]) > 0.96 for t in kept)
    (entry,) = folder.entries()
    assert entry.spacing == 0.3
    assert folder.document("smith")["frames"]["4"]["ventricle"]["proposed"] is not None


def test_masks_that_come_later_leave_what_was_drawn_before(tmp_path, clip):
    folder, read = Folder(tmp_path / "corrected", "anna"), read_clip(clip)
    for widths, frames in (((0, 18, 18, 0, 0, 0), [1, 2]), ((0, 0, 14, 14, 0, 0), [2, 3])):
        masks, problems = drawn_masks(read, drawn(*widths))
        assert list(masks) == frames and not problems
        keep_masks(folder, read, masks)
    kept = Folder(tmp_path / "corrected", "anna").masks("smith")
    assert [round(kept[t].sum() / mask(18).sum(), 1) for t in sorted(kept)] == [1.0, 0.8, 0.8]


def test_masks_that_do_not_fit_a_clip_are_refused(tmp_path, clip, capsys):
    masks, read = drawn(16, 16, 16, 16, 16, 16), read_clip(clip)
    with pytest.raises(DataError, match="its masks have.*Save all frames"):
        drawn_masks(read, masks[:5])
    with pytest.raises(DataError, match="no frame has a new mask"):
        drawn_masks(read, masks, masks)
    write_npz(tmp_path / "m.npz", [("masks", PackedMasks.pack(masks[:5]))])
    command = ["corrections", str(tmp_path / "new"), "--clip", str(clip)]
    assert main([*command, "--masks", str(tmp_path / "m.npz")]) == 2
    assert "Save all frames" in capsys.readouterr().err and not (tmp_path / "new").exists()


def test_masks_of_a_clip_of_a_data_set_keep_its_name(tmp_path, clip, capsys):
    archive = tmp_path / "archive"
    for visit in ("anna", "bert"):
        (archive / visit).mkdir(parents=True)
        (archive / visit / "IM0.avi").write_bytes(clip.read_bytes())
    write_npz(tmp_path / "m.npz", [("masks", PackedMasks.pack(drawn(16, 0, 0, 0, 0, 0)))])
    command = ["corrections", str(tmp_path / "corrected"), "--data", str(archive)]
    command += ["--masks", str(tmp_path / "m.npz"), "--clip"]
    assert main([*command, "anna_IM0"]) == main([*command, "bert_IM0"]) == 0
    assert Folder(tmp_path / "corrected").clips() == ["anna_IM0", "bert_IM0"]
    capsys.readouterr()
    assert main([*command, "bert_IMO"]) == 2
    assert "no clip 'bert_IMO'. Did you mean 'bert_IM0'" in capsys.readouterr().err


def test_the_label_of_the_ventricle_is_named_where_a_file_has_several(tmp_path):
    path = tmp_path / "labels.nii.gz"
    labels = np.zeros((40, 40, 3), np.uint8)
    labels[5:20, 5:20], labels[25:30, 25:30] = 1, 2
    nibabel.save(nibabel.Nifti1Image(labels, np.eye(4)), path)
    assert read_masks(path, 2).sum() == 3 * 25
    with pytest.raises(DataError, match=r"labels \[1, 2\].*--label"):
        read_masks(path)
    with pytest.raises(DataError, match=r"labels \[1, 2\]: expected 3"):
        read_masks(path, 3)
    nibabel.save(nibabel.Nifti1Image(labels[..., 0], np.eye(4)), path)
    assert read_masks(path, 1).shape == (1, 40, 40)  # of a clip of one frame


def test_labels_of_before_may_be_others(tmp_path, clip, capsys):
    before, after = drawn(16, 16, 16, 16, 16, 16), drawn(16, 20, 16, 16, 16, 16)
    write_npz(tmp_path / "b.npz", [("masks", PackedMasks.pack(before))])
    nibabel.save(nibabel.Nifti1Image(3 * after.T.astype(np.uint8), np.eye(4)), tmp_path / "a.nii")
    command = ["corrections", str(tmp_path / "corrected"), "--clip", str(clip), "--masks"]
    command += [str(tmp_path / "a.nii"), "--before", str(tmp_path / "b.npz"), "--label"]
    assert main([*command, "3"]) == 0 and "1 frames of smith kept" in capsys.readouterr().out
    assert main([*command, "0"]) == 2 and "--label: expected 1" in capsys.readouterr().err


def test_probabilities_are_no_labels(tmp_path):
    values = np.linspace(0, 1, 4800).reshape(40, 40, 3).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), tmp_path / "p.nii.gz")
    with pytest.raises(DataError, match="between whole numbers.*Save them as labels"):
        read_masks(tmp_path / "p.nii.gz")
    nibabel.save(nibabel.Nifti1Image(np.rint(values), np.eye(4)), tmp_path / "p.nii.gz")
    assert 0 < read_masks(tmp_path / "p.nii.gz").sum() < 4800
    nibabel.save(nibabel.Nifti1Image(np.rint(99 * values), np.eye(4)), tmp_path / "p.nii.gz")
    with pytest.raises(DataError, match=r"\[1, .* 10\] and more\. Name that"):
        read_masks(tmp_path / "p.nii.gz")


def test_a_file_without_masks_says_what_is_expected(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_masks(tmp_path / "masks.npz")
    np.savez(tmp_path / "masks.npz", outlines=np.zeros(3))
    with pytest.raises(DataError, match=r"expected the arrays \['masks'\], found \['outlines'\]"):
        read_masks(tmp_path / "masks.npz")
    np.savez(tmp_path / "masks.npz", masks=np.array([{}], object))
    with pytest.raises(DataError, match=r"masks\.npz"):  # never unpickled
        read_masks(tmp_path / "masks.npz")


@pytest.mark.parametrize("option", ["--clip x.avi", "--annotator anna", "--label 2"])
def test_options_of_masks_need_masks(tmp_path, capsys, option):
    assert main(["corrections", str(tmp_path), *option.split()]) == 2
    assert "give --masks too" in capsys.readouterr().err


def test_masks_need_the_name_of_their_clip(tmp_path, capsys):
    assert main(["corrections", str(tmp_path / "new"), "--masks", "x.npz"]) == 2
    assert "too, by --clip" in capsys.readouterr().err and not (tmp_path / "new").exists()
