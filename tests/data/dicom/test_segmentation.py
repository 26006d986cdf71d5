"""Masks written as a DICOM segmentation, read back by highdicom and by pydicom alone."""

import builtins

import cv2
import numpy as np
import pydicom
import pytest

from echolib import __version__
from echolib.data import read_clip
from echolib.data.dicom.segmentation import (
    LEAFLETS,
    VENTRICLE,
    empty_segmentation,
    write_segmentation,
)
from echolib.errors import DataError
from echolib.masks import PackedMasks

from ..files import HEIGHT, WIDTH, make_dataset, make_frames, save, write_video

seg = pytest.importorskip("highdicom.seg")

STUDY, SERIES, FRAME = "1.2.826.0.1.1", "1.2.826.0.1.2", "1.2.826.0.1.3"
NETWORKS = ["lv", "lv_cycle"], ["0123456789abcdef", "fedcba9876543210"]
RETIRED = "1.2.840.10008.5.1.4.1.1.3"  # multi-frame ultrasound as older machines write it


def write_clip(path, frames=None, **tags):
    frames = make_frames() if frames is None else frames
    identifiers = {"StudyInstanceUID": STUDY, "SeriesInstanceUID": SERIES}
    return save(make_dataset(frames, "MONOCHROME2", **(identifiers | tags)), path)


def some_masks(count, shape, seed=0):
    """Discs of random places, one frame empty; at odd sizes, frames end within a byte."""
    rng = np.random.default_rng(seed)
    masks = np.zeros((count, *shape), np.uint8)
    for mask in masks[1:] if count > 1 else masks:
        centre = tuple(int(rng.integers(5, side - 5)) for side in shape[::-1])
        cv2.circle(mask, centre, int(rng.integers(3, 15)), 1, -1)
    return masks > 0


def written(source, masks, structure=VENTRICLE):
    path = source.with_name("masks.dcm")
    write_segmentation(path, empty_segmentation(source, structure, *NETWORKS), masks)
    return path


def source_reference(dataset, frame):
    group = dataset.PerFrameFunctionalGroupsSequence[frame]
    return group.DerivationImageSequence[0].SourceImageSequence[0]


@pytest.mark.parametrize(("count", "shape"), [(7, (48, 64)), (11, (51, 37)), (1, (48, 64))])
@pytest.mark.parametrize("packed", [False, True])
def test_masks_come_back_by_both_readers(tmp_path, count, shape, packed):
    frames = np.full((count, *shape), 90, np.uint8)
    source, masks = write_clip(tmp_path / "clip.dcm", frames), some_masks(count, shape)
    path = written(source, PackedMasks.pack(masks) if packed else masks)
    read = pydicom.dcmread(path)
    assert len(read.PixelData) % 2 == 0
    np.testing.assert_array_equal(read.pixel_array.reshape(masks.shape) > 0, masks)
    instance = pydicom.dcmread(source).SOPInstanceUID
    segmentation = seg.segread(path)
    if count == 1:
        pixels = segmentation.get_pixels_by_source_instance([instance])
    else:
        pixels = segmentation.get_pixels_by_source_frame(instance, list(range(1, count + 1)))
    np.testing.assert_array_equal(pixels[..., 0] > 0, masks)


@pytest.mark.parametrize("sop_class", [pydicom.uid.UltrasoundMultiFrameImageStorage, RETIRED])
def test_references_lead_to_the_clip(tmp_path, sop_class):
    dataset = make_dataset(
        make_frames(), "MONOCHROME2", StudyInstanceUID=STUDY, SeriesInstanceUID=SERIES,
        FrameOfReferenceUID=FRAME, SOPClassUID=pydicom.uid.UID(sop_class),
    )  # fmt: skip
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    source = save(dataset, tmp_path / "clip.dcm")
    read = pydicom.dcmread(written(source, some_masks(7, (HEIGHT, WIDTH))))
    assert (read.StudyInstanceUID, read.FrameOfReferenceUID) == (STUDY, FRAME)
    assert read.SeriesInstanceUID != SERIES and read.SOPInstanceUID != dataset.SOPInstanceUID
    (series,) = read.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == SERIES
    references = [*series.ReferencedInstanceSequence, *read.SourceImageSequence]
    references += [source_reference(read, frame) for frame in range(7)]
    for reference in references:
        assert reference.ReferencedSOPClassUID == sop_class
        assert reference.ReferencedSOPInstanceUID == dataset.SOPInstanceUID
    assert [reference.ReferencedFrameNumber for reference in references[2:]] == list(range(1, 8))
    contents = [group.FrameContentSequence[0] for group in read.PerFrameFunctionalGroupsSequence]
    assert [list(content.DimensionIndexValues) for content in contents] == [
        [1, number] for number in range(1, 8)
    ]


def test_a_clip_without_a_frame_of_reference_gets_none(tmp_path):
    source = write_clip(tmp_path / "clip.dcm")
    read = pydicom.dcmread(written(source, some_masks(7, (HEIGHT, WIDTH))))
    assert "FrameOfReferenceUID" not in read
    assert "ReferencedFrameNumber" in source_reference(read, 0)


@pytest.mark.parametrize(
    ("structure", "code", "region"),
    [(VENTRICLE, "87878005", None), (LEAFLETS, "6530003", "91134007")],
)
def test_the_segment_says_what_it_is_and_who_found_it(tmp_path, structure, code, region):
    source = write_clip(tmp_path / "clip.dcm")
    path = written(source, some_masks(7, (HEIGHT, WIDTH)), structure)
    description = seg.segread(path).get_segment_description(1)
    assert description.segment_label == structure.label
    assert description.segmented_property_category.value == "91723000"
    kind = description.segmented_property_type
    assert (kind.value, kind.scheme_designator) == (code, "SCT")
    assert [item.value for item in description.anatomic_regions] == ([region] if region else [])
    assert description.algorithm_type.value == "AUTOMATIC"
    algorithm = description.algorithm_identification
    assert (algorithm.name, algorithm.version) == ("echolib", __version__)
    assert algorithm.parameters == {
        "networks": "lv lv_cycle", "digests": "0123456789abcdef fedcba9876543210",
    }  # fmt: skip


@pytest.mark.parametrize("ratio", [[2, 1], [1, 2]])
def test_masks_of_enlarged_frames_are_in_the_pixels_of_the_file(tmp_path, ratio):
    source = write_clip(tmp_path / "clip.dcm", PixelAspectRatio=ratio)
    with pytest.warns(UserWarning, match="enlarged"):
        shape = read_clip(source).frames.shape[1:]
    assert shape != (HEIGHT, WIDTH)
    own = some_masks(7, (HEIGHT, WIDTH))
    enlarged = own.repeat(shape[0] // HEIGHT, axis=1).repeat(shape[1] // WIDTH, axis=2)
    read = pydicom.dcmread(written(source, enlarged))
    np.testing.assert_array_equal(read.pixel_array > 0, own)


def test_identifiers_are_copied_and_nothing_else_of_the_patient(tmp_path):
    kept = {
        "PatientName": "Grün^Jörg", "PatientID": "PID4711", "PatientBirthDate": "19480229",
        "PatientSex": "M", "StudyDate": "20191231", "StudyTime": "071253", "StudyID": "S-1",
        "AccessionNumber": "ACC-9", "ReferringPhysicianName": "Arzt^Änne",
    }  # fmt: skip
    left = {
        "PatientAddress": "Lindenallee 12", "PatientComments": "comment-8842",
        "InstitutionName": "Klinikum Nirgendwo", "OperatorsName": "Struwwelpeter^Paul",
        "StationName": "STATION-623", "StudyDescription": "description-5519",
    }  # fmt: skip
    source = write_clip(
        tmp_path / "clip.dcm", SpecificCharacterSet="ISO_IR 100", Manufacturer="scanner-77",
        **kept, **left,
    )  # fmt: skip
    path = written(source, some_masks(7, (HEIGHT, WIDTH)))
    read = pydicom.dcmread(path)
    assert {tag: str(read.get(tag)) for tag in kept} == kept
    content = path.read_bytes()
    assert not [value for value in left.values() if value.encode() in content]
    assert b"scanner-77" not in content


def test_a_name_of_one_word_is_copied_and_not_said(tmp_path, recwarn):
    source = write_clip(tmp_path / "clip.dcm", PatientName="Musterfrau")
    read = pydicom.dcmread(written(source, some_masks(7, (HEIGHT, WIDTH))))
    assert read.PatientName == "Musterfrau"
    assert not recwarn.list


@pytest.mark.parametrize("tag", ["StudyInstanceUID", "SeriesInstanceUID"])
def test_a_clip_that_cannot_be_referred_to_is_refused(tmp_path, tag):
    source = write_clip(tmp_path / "clip.dcm", **{tag: ""})
    with pytest.raises(DataError, match=f"clip.dcm: .* the file has no {tag}. Export it again"):
        empty_segmentation(source, VENTRICLE, *NETWORKS)


def test_tags_that_cannot_be_copied_are_named(tmp_path):
    source = write_clip(tmp_path / "clip.dcm", PatientSex="X")
    with pytest.raises(DataError, match="clip.dcm: its tags .*'X' is not a valid PatientSex"):
        empty_segmentation(source, VENTRICLE, *NETWORKS)


def test_a_video_has_nothing_to_refer_to(tmp_path):
    source = write_video(tmp_path / "clip.avi", make_frames())
    with pytest.raises(DataError, match="clip.avi: expected a DICOM file .* found a video"):
        empty_segmentation(source, VENTRICLE, *NETWORKS)


def test_a_missing_extra_is_named(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **more):
        if name.startswith("highdicom"):
            raise ImportError(name)
        return real(name, *rest, **more)

    source = write_clip(tmp_path / "clip.dcm")
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(DataError, match=r'needs highdicom.*pip install -e "\.\[dicom\]"'):
        empty_segmentation(source, VENTRICLE, *NETWORKS)


def test_a_failed_write_leaves_the_older_file(tmp_path, monkeypatch):
    source, masks = write_clip(tmp_path / "clip.dcm"), some_masks(7, (HEIGHT, WIDTH))
    path = written(source, masks)
    before = path.read_bytes()

    def fail(self, file, **_):
        file.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(seg.Segmentation, "save_as", fail)
    with pytest.raises(OSError, match="disk full"):
        written(source, masks)
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 2
