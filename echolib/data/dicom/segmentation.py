"""Masks of a DICOM clip as a DICOM segmentation, whose frames refer to those of the clip."""

import warnings
from collections.abc import Iterator, Sequence
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from ... import __version__
from ...errors import DataError
from ...files import atomic_path
from ...masks import PackedMasks
from ..clips import is_dicom
from .decoders import EXTRA
from .reader import read_tags

if TYPE_CHECKING:
    from highdicom.seg import Segmentation, SegmentDescription
    from pydicom import Dataset
    from pydicom.sr.coding import Code

# What is copied from the clip: archives file a segmentation by these. Nothing else is, such as the
# patient's address or the name of the hospital.
REFERENCES = ("StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID", "SOPInstanceUID")
PATIENT_AND_STUDY = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime",
    "StudyID", "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip
WHERE_KNOWN = (
    "FrameOfReferenceUID", "PositionReferenceIndicator", "LossyImageCompression",
    "LossyImageCompressionRatio", "LossyImageCompressionMethod",
)  # fmt: skip
STILL = "1.2.840.10008.5.1.4.1.1.6.1"  # SOP class of a single ultrasound picture
LONGEST = 64  # characters of a serial number
SERIES = 1000  # number of the series; those of a scanner begin at 1
PACKED_TOGETHER = 8  # frames, which fill whole bytes whatever their size


class Structure(NamedTuple):
    """What masks show. Codes are of SNOMED CT, with their meaning, as DICOM CID 7192 lists them."""

    label: str
    description: str
    kind: tuple[str, str]
    region: tuple[str, str] | None = None  # that the structure is a part of


ANATOMY = ("91723000", "Anatomical Structure")  # the category of both, CID 7150
VENTRICLE = Structure(
    "Left ventricle", "Cavity of the left ventricle", ("87878005", "Left ventricle")
)
LEAFLETS = Structure(
    "Mitral leaflets", "Both leaflets of the mitral valve",
    ("6530003", "Cardiac Valve Leaflet"), ("91134007", "Mitral Valve"),
)  # fmt: skip


def empty_segmentation(
    path: Path, structure: Structure, networks: Sequence[str], digests: Sequence[str]
) -> "Segmentation":
    """A segmentation of a DICOM clip that has one empty frame yet; `write_segmentation` fills it.

    It refers to the clip and carries the identifiers of patient and study, without which no archive
    could file it. networks, digests: names of those that make the masks, and what tells their
    weights apart. Raises DataError where highdicom is not installed, or the file is not DICOM or
    lacks what must be referred to.

    highdicom 0.28 refuses multi-frame ultrasound, whose frames differ in time and not in place. So
    it describes a still picture here, and the clip's frames and SOP class are put in afterwards.
    """
    try:
        from highdicom.seg import Segmentation
        from pydicom.uid import generate_uid
    except ImportError as error:
        raise DataError(
            "A DICOM segmentation needs highdicom. In the folder of echolib's checkout, install "
            f"it: `{EXTRA}`."
        ) from error
    source, clip_class = _source(path)
    try:
        with warnings.catch_warnings():
            # such as those about a name of one word, which they spell out
            warnings.simplefilter("ignore")
            segmentation = Segmentation(
                [source], np.zeros((source.Rows, source.Columns), bool), "BINARY",
                [_description(structure, networks, digests)],
                series_instance_uid=generate_uid(), series_number=SERIES,
                sop_instance_uid=generate_uid(), instance_number=1,
                manufacturer="echolib", manufacturer_model_name="echolib",
                software_versions=__version__, device_serial_number="-".join(digests)[:LONGEST],
                series_description=f"echolib: {structure.label}", omit_empty_frames=False,
            )  # fmt: skip
    except (ValueError, TypeError) as error:
        raise DataError(
            f"{path}: its tags of patient or study cannot stand in a DICOM segmentation ({error}). "
            "Correct them, or go without --dicom-seg."
        ) from error
    for item in _references(segmentation):
        item.ReferencedSOPClassUID = clip_class
    return segmentation


def write_segmentation(
    path: str | Path, segmentation: "Segmentation", masks: np.ndarray | PackedMasks
) -> None:
    """Write masks (T, H, W) bool of all frames of the clip, one bit per pixel, whole or not at all.

    segmentation: of `empty_segmentation`, which is filled. Frame t of the file belongs to
    frame t of the clip, also where its mask is empty. Frames of the clip that were enlarged to
    square pixels get masks in their own pixels. The frames are indexed by segment and by time.
    """
    from pydicom import Dataset

    index = Dataset()
    index.DimensionOrganizationUID = segmentation.DimensionIndexSequence[0].DimensionOrganizationUID
    index.DimensionIndexPointer, index.FunctionalGroupPointer = 0x00209128, 0x00209111
    index.DimensionDescriptionLabel = "Temporal Position Index"
    segmentation.DimensionIndexSequence.append(index)
    (template,) = segmentation.PerFrameFunctionalGroupsSequence
    groups = []
    for number in range(1, len(masks) + 1):
        group = deepcopy(template)
        content = group.FrameContentSequence[0]
        content.DimensionIndexValues, content.TemporalPositionIndex = [1, number], number
        if len(masks) > 1:
            reference = group.DerivationImageSequence[0].SourceImageSequence[0]
            reference.ReferencedFrameNumber = number
        groups.append(group)
    segmentation.PerFrameFunctionalGroupsSequence = groups
    segmentation.NumberOfFrames = len(masks)
    data = b"".join(_bits(masks, (segmentation.Columns, segmentation.Rows)))
    segmentation.PixelData = data + b"\0" * (len(data) % 2)
    with atomic_path(path) as temporary:
        segmentation.save_as(temporary, enforce_file_format=True)


def _source(path: Path) -> tuple["Dataset", str]:
    """The tags of a clip that its segmentation needs, in UTF-8, and the clip's SOP class.

    The tags are those of a still picture.
    """
    from pydicom import Dataset

    if not is_dicom(path):
        raise DataError(
            f"{path}: expected a DICOM file for a DICOM segmentation, which refers to it, found a "
            "video. Go without --dicom-seg."
        )
    tags = read_tags(path)
    if missing := [tag for tag in (*REFERENCES, "Rows", "Columns") if not tags.get(tag)]:
        raise DataError(
            f"{path}: a DICOM segmentation refers to its clip, but the file has no "
            f"{' and no '.join(missing)}. Export it again, or go without --dicom-seg."
        )
    source = Dataset()
    source.SpecificCharacterSet, source.Modality = "ISO_IR 192", "US"
    source.Rows, source.Columns = tags.Rows, tags.Columns
    for tag in REFERENCES:
        setattr(source, tag, tags[tag].value)
    for tag in PATIENT_AND_STUDY:
        setattr(source, tag, str(tags.get(tag) or ""))
    for tag in WHERE_KNOWN:
        if tag in tags:
            setattr(source, tag, tags[tag].value)
    source.SOPClassUID = STILL
    return source, tags.SOPClassUID


def _description(
    structure: Structure, networks: Sequence[str], digests: Sequence[str]
) -> "SegmentDescription":
    """The only segment: what it shows, and the algorithm that found it."""
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.seg import SegmentDescription
    from pydicom.sr.codedict import codes

    parameters = {"networks": " ".join(networks), "digests": " ".join(digests)}
    description = SegmentDescription(
        segment_number=1,
        segment_label=structure.label,
        segmented_property_category=_code(ANATOMY),
        segmented_property_type=_code(structure.kind),
        algorithm_type="AUTOMATIC",
        algorithm_identification=AlgorithmIdentificationSequence(
            "echolib", codes.cid7162.ArtificialIntelligence, __version__, parameters=parameters
        ),
        anatomic_regions=None if structure.region is None else [_code(structure.region)],
    )
    description.SegmentDescription = structure.description
    return description


def _code(code: tuple[str, str]) -> "Code":
    from pydicom.sr.coding import Code

    value, meaning = code
    return Code(value, "SCT", meaning)


def _references(segmentation: "Segmentation") -> Iterator["Dataset"]:
    """The places where a segmentation names the SOP class of its clip."""
    yield from segmentation.SourceImageSequence
    for series in segmentation.ReferencedSeriesSequence:
        yield from series.ReferencedInstanceSequence
    for group in segmentation.PerFrameFunctionalGroupsSequence:
        for derivation in group.DerivationImageSequence:
            yield from derivation.SourceImageSequence


def _bits(masks: np.ndarray | PackedMasks, size: tuple[int, int]) -> Iterator[bytes]:
    """Masks as one row of bits, the first pixel in the lowest bit, enlarged or reduced to a size.

    size: (width, height) in px.
    """
    for first in range(0, len(masks), PACKED_TOGETHER):
        frames = masks[first : first + PACKED_TOGETHER].astype(np.uint8)
        if frames.shape[:0:-1] != size:
            frames = np.stack(
                [cv2.resize(f, size, interpolation=cv2.INTER_NEAREST) for f in frames]
            )
        yield np.packbits(frames, bitorder="little").tobytes()
