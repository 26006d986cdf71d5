"""CAMUS: apical views of 500 patients, ED and ES labelled by one expert, with pixel spacing.

Layout: `database_nifti/patientNNNN/patientNNNN_4CH_{ED,ES}[_gt].nii.gz` and, in a full download,
two-chamber views, half sequences and `Info_*.cfg`; `database_split/subgroup_*.txt` name the
official splits. Source: Leclerc et al., IEEE TMI 38(9), 2019, doi 10.1109/TMI.2019.2900516.
"""

import hashlib
import zlib
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import DataError
from ..geometry import mask_to_tracing
from .clips import Clip
from .frames import LabelledFrame, Problem

CAVITY = 1
REGIONS = (1, 2, 3)  # cavity, wall, left atrium: the numbers of a FrameSet's regions too
SPLIT_FILES = {"train": "training", "val": "validation", "test": "testing"}


class Camus:
    """Reader of a CAMUS folder, complete or in part.

    Attributes: name; folder; table (a row a clip, index `patientNNNN_4CH`, with patient, split,
    fps and path of its folder); problems.
    """

    def __init__(self, folder: str | Path, views: tuple[str, ...] = ("4CH",)) -> None:
        """List patients, views and splits; no image is opened."""
        self.name = "camus"
        self.folder = Path(folder)
        self.problems: list[Problem] = []
        self._images = camus_images(self.folder)
        if self._images is None:
            raise DataError(f"{self.folder} holds no patientNNNN folders of CAMUS.")
        splits = self._read_splits()
        records = []
        for path in sorted(self._images.glob("patient*")):
            for view in views:
                records.append(self._record(path, view, splits))
        self.table = pd.DataFrame([r for r in records if r])
        if self.table.empty:
            listed = "\n".join(str(problem) for problem in self.problems[:5])
            raise DataError(f"{self.folder}: no labelled view {views} was found.\n{listed}")
        self.table = self.table.set_index("clip")

    def _read_splits(self) -> dict[str, str]:
        splits: dict[str, str] = {}
        for split, word in SPLIT_FILES.items():
            for folder in (self.folder, self._images.parent):
                path = folder / "database_split" / f"subgroup_{word}.txt"
                if path.is_file():
                    splits |= dict.fromkeys(path.read_text().split(), split)
                    break
        if not splits:
            reason = "no official split; patients are split 80/10/10 by a hash of their name"
            self.problems.append(Problem("database_split", None, reason, "noted"))
        return splits

    def _record(self, path: Path, view: str, splits: dict[str, str]) -> dict | None:
        patient, clip = path.name, f"{path.name}_{view}"
        split = splits.get(patient) if splits else _hashed_split(patient)
        if split is None:
            self.problems.append(Problem(patient, None, "patient is in no official split"))
            return None
        if not any(path.glob(f"{clip}_E?_gt.nii.gz")):
            self.problems.append(Problem(patient, None, f"no labelled {view} view"))
            return None
        fps = _frame_rate(path / f"Info_{view}.cfg")
        return {"clip": clip, "patient": patient, "split": split, "fps": fps, "path": path}

    def labelled(self, clip: str) -> tuple[list[LabelledFrame], list[Problem]]:
        """The end-diastolic and the end-systolic frame of one view of one patient."""
        record = self.table.loc[clip]
        frames, problems = [], []
        for index, phase in enumerate(("ED", "ES")):
            path = record.path / f"{clip}_{phase}.nii.gz"
            try:
                image, spacing = read_nifti(path)
                labels, _ = read_nifti(path.with_name(f"{clip}_{phase}_gt.nii.gz"))
                mask = labels == CAVITY
                if mask.shape != image.shape:
                    found = f"label of {mask.shape} px on an image of {image.shape} px"
                    raise DataError(f"{path}: {found}. Download the patient again.")
                landmarks = mask_to_tracing(mask).landmarks
            except ValueError as error:  # DataError is one
                reason = str(error).replace(f"{record.path}/", "")
                problems.append(Problem(path.name, None, reason))
                continue
            frames.append(
                LabelledFrame(
                    image=_to_uint8(image), mask=mask, landmarks=landmarks, clip=clip,
                    frame=index, phase=phase, split=record.split, patient=record.patient,
                    source=self.name, fps=None if np.isnan(record.fps) else record.fps,
                    spacing=spacing, regions=_regions(labels),
                )
            )  # fmt: skip
        return frames, problems

    def clip(self, clip: str) -> Clip:
        """The view's half sequence, or its two labelled frames where there is no sequence."""
        record = self.table.loc[clip]
        path = record.path / f"{clip}_half_sequence.nii.gz"
        if path.is_file():
            frames, spacing = read_nifti(path)
        else:
            pair = [read_nifti(record.path / f"{clip}_{phase}.nii.gz") for phase in ("ED", "ES")]
            frames, spacing = np.stack([image for image, _ in pair]), pair[0][1]
        return Clip(clip, _to_uint8(frames), None if np.isnan(record.fps) else record.fps, spacing)

    def fingerprint(self) -> str:
        """Hash of the splits and of the labelled files' names and sizes."""
        digest = hashlib.sha256()
        for clip, record in self.table.iterrows():
            digest.update(f"{clip} {record.split}".encode())
            for path in sorted(record.path.glob(f"{clip}_E?*.nii.gz")):
                digest.update(f"{path.name} {path.stat().st_size}".encode())
        return digest.hexdigest()[:12]


def camus_images(folder: Path) -> Path | None:
    """The folder of patient folders in a CAMUS download, None where there is none."""
    for candidate in (folder / "database_nifti", folder):
        if candidate.is_dir() and any(candidate.glob("patient*/patient*.nii.gz")):
            return candidate
    return None


def read_nifti(path: Path) -> tuple[np.ndarray, float]:
    """Pixels (H, W) or (T, H, W), upright with the probe on top, and mm per px.

    CAMUS stores columns first. Raises DataError for a missing or broken file, or for pixels
    that are not square.
    """
    import nibabel  # here, because few readers need it

    try:
        image = nibabel.load(path)
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
        raise DataError(f"{path} is not a readable NIfTI file: {error}.") from error
    if pixels.ndim not in (2, 3):
        raise DataError(f"{path} has {pixels.ndim} axes; expected an image or a sequence.")
    across, down = (float(zoom) for zoom in image.header.get_zooms()[:2])
    if abs(across - down) > 0.01 * max(across, down):
        raise DataError(f"{path} has pixels of {across} x {down} mm; expected square ones.")
    return np.ascontiguousarray(pixels.T), across


def _regions(labels: np.ndarray) -> np.ndarray:
    return np.where(np.isin(labels, REGIONS), labels, 0).astype(np.uint8)


def _to_uint8(pixels: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def _frame_rate(path: Path) -> float:
    """Frames a second from `Info_4CH.cfg`, NaN where the file or the entry is absent."""
    if not path.is_file():
        return float("nan")
    entries = dict(line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
    return float(pd.to_numeric(entries.get("FrameRate", "").strip(), errors="coerce"))


def _hashed_split(patient: str) -> str:
    share = zlib.crc32(patient.encode()) % 10
    return {8: "val", 9: "test"}.get(share, "train")
