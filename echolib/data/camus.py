"""CAMUS: apical views of 500 patients, ED and ES labelled by one expert, with pixel spacing.

Layout: `database_nifti/patientNNNN/patientNNNN_4CH_{ED,ES}[_gt].nii.gz`. A full download also has
two-chamber views, half sequences and `Info_*.cfg`. `database_split/subgroup_*.txt` list the
patients of the official splits.
Source: Leclerc et al., IEEE TMI 38(9), 2019, doi 10.1109/TMI.2019.2900516.
"""

import hashlib
import zlib
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import DataError
from ..geometry import mask_to_tracing
from .clips import Clip
from .frames import LabelledFrame, number_or_none
from .problems import Problem, first_problems

CAVITY = 1
REGIONS = (1, 2, 3)  # cavity, wall, left atrium: a FrameSet numbers its regions in the same way
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
        records = []
        for path in sorted(patients.glob("patient*")):
            for view in views:
                records.append(self._record(path, view, splits))
        self.table = pd.DataFrame([record for record in records if record])
        if self.table.empty:
            raise DataError(
                f"{self.folder}: expected labelled views {views}, found none. First problems:\n"
                f"{first_problems(self.problems)}"
            )
        self.table = self.table.set_index("clip")

    def _read_splits(self, patients: Path) -> dict[str, str]:
        """Map patients to the official splits; empty, with a problem, where there are none."""
        splits: dict[str, str] = {}
        for split, word in SPLIT_FILES.items():
            for folder in (self.folder, patients.parent):
                path = folder / "database_split" / f"subgroup_{word}.txt"
                if path.is_file():
                    splits |= dict.fromkeys(path.read_text().split(), split)
                    break
        if not splits:
            reason = "no official split; patients are split 80/10/10 by a hash of their names"
            self.problems.append(Problem("database_split", None, reason, "noted"))
        return splits

    def _record(self, path: Path, view: str, splits: dict[str, str]) -> dict | None:
        """The row of one view in the table; None, with a problem, where it cannot be used."""
        patient, clip = path.name, f"{path.name}_{view}"
        split = splits.get(patient) if splits else _hashed_split(patient)
        if split is None:
            self.problems.append(Problem(patient, None, "the patient is in no official split"))
            return None
        if not any(path.glob(f"{clip}_E?_gt.nii.gz")):
            self.problems.append(Problem(patient, None, f"no labelled {view} view"))
            return None
        fps = _frame_rate(path / f"Info_{view}.cfg")
        return {"clip": clip, "patient": patient, "split": split, "fps": fps, "path": path}

    def labelled(self, clip: str) -> tuple[list[LabelledFrame], list[Problem]]:
        """The end-diastolic and the end-systolic frame of one view, and the problems found."""
        record = self.table.loc[clip]
        frames, problems = [], []
        for index, phase in enumerate(("ED", "ES")):
            path = record.path / f"{clip}_{phase}.nii.gz"
            try:
                image, spacing = read_nifti(path)
                labels, _ = read_nifti(path.with_name(f"{clip}_{phase}_gt.nii.gz"))
                mask = labels == CAVITY
                if mask.shape != image.shape:
                    raise DataError(
                        f"{path}: expected a label of {image.shape} px like the image, found "
                        f"{mask.shape} px. Download the patient again."
                    )
                landmarks = mask_to_tracing(mask).landmarks
            except ValueError as error:  # DataError is a ValueError
                reason = str(error).replace(f"{record.path}/", "")
                problems.append(Problem(path.name, None, reason))
                continue
            frames.append(
                LabelledFrame(
                    image=_to_uint8(image), mask=mask, landmarks=landmarks, clip=clip,
                    frame=index, phase=phase, split=record.split, patient=record.patient,
                    source=self.name, fps=number_or_none(record.fps), spacing=spacing,
                    regions=_regions(labels),
                )
            )  # fmt: skip
        return frames, problems

    def clip(self, clip: str) -> Clip:
        """The half sequence of a view, or its two labelled frames where there is no sequence."""
        record = self.table.loc[clip]
        path = record.path / f"{clip}_half_sequence.nii.gz"
        if path.is_file():
            frames, spacing = read_nifti(path)
        else:
            paths = [record.path / f"{clip}_{phase}.nii.gz" for phase in ("ED", "ES")]
            images, (spacing, _) = zip(*map(read_nifti, paths), strict=True)
            frames = np.stack(images)
        return Clip(clip, _to_uint8(frames), number_or_none(record.fps), spacing)

    def fingerprint(self) -> str:
        """Hash of the splits and of the names and sizes of the labelled files."""
        digest = hashlib.sha256()
        for clip, record in self.table.iterrows():
            digest.update(f"{clip} {record.split}".encode())
            for path in sorted(record.path.glob(f"{clip}_E?*.nii.gz")):
                digest.update(f"{path.name} {path.stat().st_size}".encode())
        return digest.hexdigest()[:12]


def find_patients(folder: Path) -> Path | None:
    """Find the folder that holds the patient folders of CAMUS; None where there is none.

    folder: the download, or the folder that holds the patient folders itself.
    """
    for candidate in (folder / "database_nifti", folder):
        if candidate.is_dir() and any(candidate.glob("patient*/patient*.nii.gz")):
            return candidate
    return None


def read_nifti(path: Path) -> tuple[np.ndarray, float]:
    """Read the pixels of a NIfTI file and their spacing in mm per px.

    The pixels are (H, W) or (T, H, W), upright with the probe on top; CAMUS stores columns first.
    Raises DataError for a missing or broken file, or for pixels that are not square.
    """
    import nibabel  # here, because few readers need it

    try:
        image = nibabel.load(path)
        if not isinstance(image, nibabel.spatialimages.SpatialImage):
            raise ValueError(f"it holds a {type(image).__name__}, which has no pixels")
        pixels = np.asarray(image.dataobj)
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing. Download the patient again.") from error
    except (
        OSError,
        EOFError,
        ValueError,
        zlib.error,
        nibabel.filebasedimages.ImageFileError,
    ) as error:
        raise DataError(
            f"{path} is not a readable NIfTI file ({error}). Download the patient again."
        ) from error
    if pixels.ndim not in (2, 3):
        raise DataError(
            f"{path}: expected an image (2 axes) or a sequence (3 axes), found {pixels.ndim} axes."
        )
    width, height = (float(zoom) for zoom in image.header.get_zooms()[:2])
    if abs(width - height) > 0.01 * max(width, height):
        raise DataError(f"{path}: expected square pixels, found {width} x {height} mm.")
    return np.ascontiguousarray(pixels.T), width


def _regions(labels: np.ndarray) -> np.ndarray:
    return np.where(np.isin(labels, REGIONS), labels, 0).astype(np.uint8)


def _to_uint8(pixels: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def _frame_rate(path: Path) -> float:
    """Frames per second from `Info_4CH.cfg`; NaN where the file or the entry is absent."""
    if not path.is_file():
        return float("nan")
    entries = dict(line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
    return float(pd.to_numeric(entries.get("FrameRate", "").strip(), errors="coerce"))


def _hashed_split(patient: str) -> str:
    """A split by a hash of the name: 80 % train, 10 % val, 10 % test."""
    tenth = zlib.crc32(patient.encode()) % 10
    return {8: "val", 9: "test"}.get(tenth, "train")
