"""CAMUS: apical views of 500 patients, ED and ES labelled by one expert, with pixel spacing.

Layout: `database_nifti/patientNNNN/patientNNNN_4CH_{ED,ES}[_gt].nii.gz`, or `.nii`. A full
download also has two-chamber views, half sequences and `Info_*.cfg`.
`database_split/subgroup_*.txt` list the patients of the official splits.
Source: Leclerc et al., IEEE TMI 38(9), 2019, doi 10.1109/TMI.2019.2900516.
"""

import hashlib
import os
import warnings
import zlib
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from scipy import ndimage

from ..errors import DataError
from ..geometry import Tracing, largest_component, mask_outline, outline_to_tracing
from .clips import Clip
from .frames import LabelledFrame, number_or_none
from .nifti import nifti_file, nifti_stem, read_nifti, to_uint8
from .problems import Problem, problem_summary
from .rates import RATES
from .tables import read_lines, read_text

CAVITY, WALL, ATRIUM = 1, 2, 3
PHASES = ("ED", "ES")
REGIONS = (CAVITY, WALL, ATRIUM)  # a FrameSet numbers its regions in the same way
VALUES_SHOWN = 8  # of a label, in a message
MAX_DIFFERENCE = 1.0  # largest mean difference, in grey levels, between two copies of one frame
SPLIT_FILES = {"train": "training", "val": "validation", "test": "testing"}


class Camus:
    """Reader of a CAMUS folder, which may hold only part of the patients.

    Attributes: name; folder; table (one row per clip, index `patientNNNN_4CH`, columns patient,
    split, fps and the path of the patient's folder); problems.
    """

    def __init__(self, folder: str | Path, views: tuple[str, ...] = ("4CH",)) -> None:
        """List patients, views and splits without opening an image."""
        self.name = "camus"
        self.folder = Path(folder)
        self.problems: list[Problem] = []
        patients = find_patients(self.folder)
        if patients is None:
            raise DataError(
                f"{self.folder}: expected the patientNNNN folders of CAMUS, found none. "
                "Give the folder of the download."
            )
        splits = self._read_splits(patients)
        folders = sorted(path for path in patients.glob("patient*") if path.is_dir())
        missing = sorted(splits.keys() - {path.name for path in folders})
        if 0 < len(missing) < len(splits):  # else the lists are of other patients, which is said
            kind = "{} of the {} patients in the official splits have no folder, such as {}"
            self._report(
                "database_split", kind, len(missing), len(splits), missing[0], action="noted"
            )
        records = [self._record(path, view, splits) for path in folders for view in views]
        self.table = pd.DataFrame([record for record in records if record])
        if self.table.empty:
            raise DataError(
                f"{self.folder}: expected labelled views {views}, found none that can be used.\n"
                f"{problem_summary(self.problems)}"
            )
        self.table = self.table.set_index("clip")

    def _report(self, file: str, kind: str, *values: object, action: str = "left out") -> None:
        self.problems.append(Problem.of(file, None, kind, *values, action=action))

    def _read_splits(self, patients: Path) -> dict[str, str]:
        """Map patients to the official splits; empty, with a problem, where there are none.

        A patient in two lists is in no split.
        """
        splits: dict[str, str] = {}
        for split, word in SPLIT_FILES.items():
            for folder in (self.folder, patients.parent):
                path = folder / "database_split" / f"subgroup_{word}.txt"
                if path.is_file() and path.stat().st_size:
                    for patient in " ".join(read_lines(path)).split():
                        known = splits.setdefault(patient, split)
                        splits[patient] = split if known == split else "several"
                    break
        if not splits:
            kind = "no official split; patients are split 80/10/10 by a hash of their names"
            self._report("database_split", kind, action="noted")
        return splits

    def _record(self, path: Path, view: str, splits: dict[str, str]) -> dict | None:
        """The row of one view in the table; None, with a problem, where it cannot be used."""
        patient, clip = path.name, f"{path.name}_{view}"
        split = splits.get(patient) if splits else _hashed_split(patient)
        if split is None:
            self._report(patient, "the patient is in no official split")
            return None
        if split not in SPLIT_FILES:
            self._report(patient, "the patient is in two official splits")
            return None
        if not any(nifti_file(path, f"{clip}_{phase}_gt") for phase in PHASES):
            self._report(patient, f"no labelled {view} view")
            return None
        fps = self._frame_rate(path / f"Info_{view}.cfg")
        return {"clip": clip, "patient": patient, "split": split, "fps": fps, "path": path}

    def _frame_rate(self, path: Path) -> float:
        """Frames per second from `Info_4CH.cfg`; NaN where the file or a usable entry is absent."""
        file = f"{path.parent.name}/{path.name}"
        try:
            lines = read_text(path).splitlines() if path.is_file() else []
        except DataError as error:
            reason = str(error).replace(f"{path.parent}/", "")
            self.problems.append(Problem(file, None, reason, "noted"))
            return float("nan")
        entries = dict(line.split(":", 1) for line in lines if ":" in line)
        text = entries.get("FrameRate", "").strip()
        fps = float(pd.to_numeric(text, errors="coerce"))
        if RATES[0] <= fps <= RATES[1]:
            return fps
        if text:
            kind = f"FrameRate is {{!r}}; expected {RATES[0]:g} to {RATES[1]:g}: it is unknown"
            self._report(file, kind, text[:40], action="noted")
        return float("nan")

    def labelled(
        self, clip: str, read: Clip | None = None
    ) -> tuple[list[LabelledFrame], list[Problem]]:
        """The end-diastolic and the end-systolic frame of one view, and the problems found.

        These frames have files of their own. Their numbers are those that they have in the half
        sequence, where they are found by their pixels; one that does not occur in it gets a number
        after its last, with a problem. Without a sequence they are 0 and 1, as in `clip`.
        """
        record = self.table.loc[clip]
        frames, problems = [], []
        sequence = self._sequence(clip, read)
        for index, phase in enumerate(PHASES):
            path = _image_file(record.path, f"{clip}_{phase}")
            try:
                image, spacing, notes = _read_image(path)
                label_path = _image_file(record.path, f"{clip}_{phase}_gt")
                labels, _, _ = read_nifti(label_path)
                mask, more = _mask(labels, image.shape, label_path)
                landmarks = label_tracing(labels).landmarks
            except ValueError as error:  # DataError is a ValueError
                reason = str(error).replace(f"{record.path}/", "")
                problems.append(Problem(path.name, None, reason))
                continue
            number = index
            if sequence is not None:
                place = _place(image, sequence)
                number = len(sequence) + index if place is None else place
                if place is None:
                    more.append("the image does not occur in the half sequence of the view")
            problems += [Problem(path.name, None, note, "noted") for note in (*notes, *more)]
            frames.append(
                LabelledFrame(
                    image=image, mask=mask, landmarks=landmarks, clip=clip,
                    frame=number, phase=phase, split=record.split, patient=record.patient,
                    source=self.name, fps=number_or_none(record.fps), spacing=spacing,
                    regions=_regions(labels),
                )
            )  # fmt: skip
        return frames, problems

    def _sequence(self, clip: str, read: Clip | None) -> np.ndarray | None:
        """The frames of the half sequence, also if it was `read`; None where none can be read."""
        path = nifti_file(self.table.path[clip], f"{clip}_half_sequence")
        if path is None:
            return None
        if read is not None:
            return read.frames
        try:
            return _read_sequence(path)[0]
        except DataError:  # who reads the clip learns why
            return None

    def clip(self, clip: str) -> Clip:
        """The half sequence of a view, or its two labelled frames where there is no sequence.

        Warns of a spacing that is left unknown, and of grey levels that had to be scaled. Raises
        DataError where a file cannot be read, or the two frames differ in size.
        """
        record = self.table.loc[clip]
        path = nifti_file(record.path, f"{clip}_half_sequence")
        if path is not None:
            frames, spacing, notes = _read_sequence(path)
        else:
            path = _image_file(record.path, f"{clip}_{PHASES[0]}")
            (first, spacing, notes), (second, _, _) = (
                read_nifti(_image_file(record.path, f"{clip}_{phase}")) for phase in PHASES
            )
            if first.ndim != 2 or first.shape != second.shape:
                raise DataError(
                    f"{path}: expected images of one size at ED and ES, found {first.shape} and "
                    f"{second.shape}. Download the patient again."
                )
            frames, more = to_uint8(np.stack([first, second]))
            notes += more
        for note in notes:
            warnings.warn(f"{path}: {note}.", stacklevel=2)
        return Clip(clip, frames, number_or_none(record.fps), spacing)

    def fingerprint(self) -> str:
        """Hash of the splits, the views' labels and Info files, and the names and sizes of images.

        Labels that are not compressed keep their size when they are corrected, so they are read.
        """
        digest = hashlib.sha256()
        for clip, record in self.table.iterrows():
            digest.update(os.fsencode(f"{clip} {record.split}"))
            info = record.path / f"Info_{clip.removeprefix(f'{record.patient}_')}.cfg"
            files = [*sorted(record.path.glob(f"{clip}_*.nii*")), info]
            for path in filter(Path.is_file, files):
                is_small = path == info or "_gt.nii" in path.name
                content = path.read_bytes() if is_small else b""
                digest.update(os.fsencode(f"{path.name} {path.stat().st_size}") + content)
        return digest.hexdigest()[:12]


def find_patients(folder: Path) -> Path | None:
    """Find the folder that holds the patient folders of CAMUS; None where there is none.

    folder: the download, or the folder that holds the patient folders itself.
    """
    for candidate in (folder / "database_nifti", folder):
        if candidate.is_dir() and any(map(nifti_stem, candidate.glob("patient*/patient*"))):
            return candidate
    return None


def _image_file(folder: Path, stem: str) -> Path:
    """The file of an image; where there is none, the name that it should have."""
    return nifti_file(folder, stem) or folder / f"{stem}.nii.gz"


def _read_sequence(path: Path) -> tuple[np.ndarray, float | None, list[str]]:
    """Frames (T, H, W) uint8, their spacing in mm per px, and notes in words."""
    pixels, spacing, notes = read_nifti(path)
    frames, more = to_uint8(pixels.reshape(-1, *pixels.shape[-2:]))
    return frames, spacing, [*notes, *more]


def _read_image(path: Path) -> tuple[np.ndarray, float | None, list[str]]:
    """A single image (H, W) uint8, its spacing in mm per px, and notes in words."""
    frames, spacing, notes = _read_sequence(path)
    if len(frames) != 1:
        raise DataError(f"{path}: expected one image, found {len(frames)}.")
    return frames[0], spacing, notes


def _place(image: np.ndarray, frames: np.ndarray) -> int | None:
    """The number of the frame (T, H, W) that is nearest to an image, None if none is a copy."""
    if image.shape != frames.shape[1:]:
        return None
    differences = [float(cv2.absdiff(frame, image).mean()) for frame in frames]
    nearest = int(np.argmin(differences))
    return nearest if differences[nearest] <= MAX_DIFFERENCE else None


def _mask(labels: np.ndarray, shape: tuple[int, ...], path: Path) -> tuple[np.ndarray, list[str]]:
    """The cavity in a label (H, W), and notes on other values. Raises DataError without any."""
    if labels.shape != shape:
        raise DataError(
            f"{path}: expected a label of {shape} px like the image, found {labels.shape} px. "
            "Download the patient again."
        )
    values = np.unique(labels)
    shown = ", ".join(f"{value:g}" for value in values[:VALUES_SHOWN])
    shown += " and others" if len(values) > VALUES_SHOWN else ""
    if CAVITY not in values or (values != np.rint(values)).any():
        raise DataError(
            f"{path}: expected a label of 0, 1 (cavity), 2 and 3, found the values {shown}. "
            "Download the patient again."
        )
    other = np.setdiff1d(values, (0, *REGIONS))
    notes = [f"label has the values {shown}; those beyond 0 to 3 count as 0"] if len(other) else []
    return labels == CAVITY, notes


def label_tracing(labels: np.ndarray) -> Tracing:
    """Tracing of the cavity in a label (H, W), with the base between the ends of the wall.

    Where wall or atrium do not touch the cavity, the cavity's own shape gives the base. Raises
    ValueError for a label without a cavity, or with one that is too small for a long axis.
    """
    outline = mask_outline(labels == CAVITY)
    return outline_to_tracing(outline, corners=annulus_ends(labels, outline))


def annulus_ends(labels: np.ndarray, outline: np.ndarray) -> np.ndarray | None:
    """The two points (2, 2) px of a cavity's outline where the wall ends; None if unknown.

    labels: (H, W), 1 cavity, 2 wall, 3 atrium. outline: (n, 2), of `geometry.mask_outline`, whose
    points lie half-way between a pixel of the cavity and one outside it, in order. The base is
    the stretch between the ends of the wall that touches the atrium most.
    """
    padded = np.pad(labels, 1)
    cavity = largest_component(padded == CAVITY)
    (x, y), (next_x, next_y) = (part(outline + 1).astype(int).T for part in (np.floor, np.ceil))
    touched = np.where(cavity[y, x], padded[next_y, next_x], padded[y, x])
    walled = np.flatnonzero(touched == WALL)
    if len(walled) == 0 or ATRIUM not in touched:
        return None
    # around from a point on the wall, so that no stretch runs over the end of the array
    outline, touched = (np.roll(values, -walled[0], axis=0) for values in (outline, touched))
    stretches, _ = ndimage.label(touched != WALL)
    base = np.argmax(np.bincount(stretches[touched == ATRIUM]))
    return outline[np.flatnonzero(stretches == base)[[0, -1]]]


def _regions(labels: np.ndarray) -> np.ndarray:
    return np.where(np.isin(labels, REGIONS), labels, 0).astype(np.uint8)


def _hashed_split(patient: str) -> str:
    """A split by a hash of the name: 80 % train, 10 % val, 10 % test."""
    tenth = zlib.crc32(os.fsencode(patient)) % 10
    return {8: "val", 9: "test"}.get(tenth, "train")
