"""Small data sets made for tests: ellipses that stand in for ventricles."""

import multiprocessing
from pathlib import Path

import cv2
import nibabel
import numpy as np
import pandas as pd
from hypothesis import strategies as st

from echolib.data.frame_checks import COLUMNS
from echolib.data.frames import FrameSet
from echolib.data.tracings import tracing_rows
from echolib.geometry import outline_to_tracing, polygon_to_mask
from echolib.networks.models import Encoder, save_model


def ventricle(width: float = 16.0, length: float = 44.0, x: float = 56.0, y: float = 55.0):
    """Half of an ellipse with a flat base, as an outline (n, 2) px, apex up."""
    angle = np.linspace(np.pi, 2 * np.pi, 60)
    half = np.stack([x + width * np.cos(angle), y + length / 2 + length * np.sin(angle)], axis=1)
    return half.astype(np.float32)


outlines = st.builds(  # of ventricles of many sizes, in frames of 112 x 112 px
    ventricle,
    width=st.floats(8, 22),
    length=st.floats(30, 55),
    x=st.floats(40, 70),
    y=st.floats(50, 62),
)


def chord_rows(outline: np.ndarray) -> np.ndarray:
    """(21, 4) rows of EchoNet-Dynamic: the long axis, then 20 chords."""
    return tracing_rows(outline_to_tracing(outline))


def write_avi(path: Path, count: int = 12, size: tuple[int, int] = (112, 112)) -> None:
    """A grey MJPG video whose frames get brighter, (H, W) = size."""
    path.parent.mkdir(parents=True, exist_ok=True)
    code = cv2.VideoWriter_fourcc(*"MJPG")
    writer = cv2.VideoWriter(str(path), code, 50.0, size[::-1])
    for index in range(count):
        writer.write(np.full((*size, 3), 40 + 10 * index, np.uint8))
    writer.release()


class EchoNetFolder:
    """An EchoNet-Dynamic folder under construction: change its tables, then `write`."""

    def __init__(self, folder: Path, clips: int = 6, frames: int = 12) -> None:
        self.folder = folder
        names = [f"0X{index:04X}" for index in range(clips)]
        splits = ["TRAIN"] * (clips - 2) + ["VAL", "TEST"]
        self.files = pd.DataFrame(
            {
                "FileName": names, "EF": 55.0, "ESV": 45.0, "EDV": 100.0, "FrameHeight": 112,
                "FrameWidth": 112, "FPS": 50, "NumberOfFrames": frames, "Split": splits,
            }
        ).astype(object)  # fmt: skip
        tables = []
        for name in names:
            write_avi(folder / "Videos" / f"{name}.avi", frames)
            for frame, width in ((2, 18.0), (9, 13.0)):
                rows = pd.DataFrame(chord_rows(ventricle(width)), columns=["X1", "Y1", "X2", "Y2"])
                tables.append(rows.assign(FileName=f"{name}.avi", Frame=frame))
        tracings = pd.concat(tables, ignore_index=True).astype(object)
        self.tracings = tracings[["FileName", "X1", "Y1", "X2", "Y2", "Frame"]]

    def rows(self, clip: int, frame: int) -> np.ndarray:
        """Index of the tracing rows of one frame of one clip."""
        name = f"{self.files.FileName[clip]}.avi"
        table = self.tracings
        return table.index[(table.FileName == name) & (table.Frame == frame)].to_numpy()

    def write(self) -> Path:
        """Write the two tables; returns the folder."""
        self.files.to_csv(self.folder / "FileList.csv", index=False)
        self.tracings.to_csv(self.folder / "VolumeTracings.csv", index=False)
        return self.folder


def frame_set(count: int = 12, size: int = 32, seed: int = 0) -> FrameSet:
    """Dark ellipses on bright noise, two frames a patient, splits train, val and test."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    centre = size / 2 + generator.uniform(-3, 3, (count, 2, 1, 1))
    radius = size * generator.uniform(0.2, 0.3, (count, 2, 1, 1))
    masks = ((x - centre[:, 0]) / radius[:, 0]) ** 2 + ((y - centre[:, 1]) / radius[:, 1]) ** 2 < 1
    noise = generator.normal(0, 12, masks.shape)
    images = np.clip(np.where(masks, 30, 130) + noise, 0, 255).astype(np.uint8)
    patients = [f"p{index // 2}" for index in range(count)]
    splits = ["train"] * (count - 4) + ["val"] * 2 + ["test"] * 2
    table = pd.DataFrame(
        {
            "clip": patients, "frame": np.arange(count) % 2, "phase": ["ED", "ES"] * (count // 2),
            "split": splits, "patient": patients, "source": "ellipses", "fps": 50.0,
            "spacing": np.nan, "height": size, "width": size,
        }
    )  # fmt: skip
    return FrameSet(images, masks, None, table[COLUMNS])


def ventricle_set(count: int = 24, size: int = 48, seed: int = 0) -> FrameSet:
    """Dark ventricles with a flat base on bright noise, with landmarks; otherwise as above."""
    generator = np.random.default_rng(seed)
    landmarks = []
    for _ in range(count):
        width, length = generator.uniform(0.18, 0.26) * size, generator.uniform(0.5, 0.6) * size
        place = size / 2 + generator.uniform(-3, 3, 2)
        landmarks.append(outline_to_tracing(ventricle(width, length, *place)).landmarks)
    shape = (size, size)
    masks = np.stack([polygon_to_mask(points, shape, rounded=False) for points in landmarks])
    noise = generator.normal(0, 12, masks.shape)
    images = np.clip(np.where(masks, 30, 130) + noise, 0, 255).astype(np.uint8)
    table = frame_set(count, size).table
    return FrameSet(images, masks, np.stack(landmarks).astype(np.float32), table)


def race(task, *arguments) -> list[int]:
    """Run a task in two new processes at the same time; returns their exit codes.

    task: a function of a module, called with the arguments, a barrier for both processes, and the
    number of the process, 0 or 1.
    """
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(2, timeout=60)
    processes = [spawn.Process(target=task, args=(*arguments, barrier, n)) for n in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return [process.exitcode for process in processes]


HEIGHT, WIDTH, SPACING = 120, 90, 0.5  # of the made CAMUS frames, px and mm per px


def write_nifti(path: Path, pixels: np.ndarray, spacing: tuple = (SPACING, SPACING)) -> None:
    """An image or sequence as CAMUS stores it, (column, row)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(pixels.T, np.eye(4))
    image.header.set_zooms((*spacing, *[1.0] * (pixels.ndim - 2)))
    nibabel.save(image, path)


def camus_folder(folder: Path) -> Path:
    """Three patients in CAMUS' layout; cavity above, atrium below; ES smaller than ED."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    for patient in ("patient0001", "patient0002", "patient0003"):
        for phase, radius in (("ED", 20), ("ES", 15)):
            labels = np.zeros((HEIGHT, WIDTH), np.uint8)
            labels[((x - 40) / radius) ** 2 + ((y - 50) / 30) ** 2 < 1] = 1
            labels[(y > 85) & (np.abs(x - 40) < 15)] = 3
            path = folder / "database_nifti" / patient / f"{patient}_4CH_{phase}.nii.gz"
            write_nifti(path, np.where(labels == 1, 20, 120).astype(np.uint8))
            write_nifti(path.with_name(path.name.replace(".nii", "_gt.nii")), labels)
    splits = folder / "database_split"
    splits.mkdir()
    for number, name in enumerate(("training", "validation", "testing"), start=1):
        (splits / f"subgroup_{name}.txt").write_text(f"patient000{number}\n")
    return folder


def save_network(network: Encoder, path: Path, size: int) -> Path:
    """Save a network that sees squares of `size` px."""
    network.size = size
    save_model(network, path)
    return path


def fan(size: int = 112, half_angle: float = 0.7) -> tuple[np.ndarray, np.ndarray]:
    """A sector of grey noise with a dark middle, and where it is."""
    y, x = np.mgrid[:size, :size].astype(float)
    across, down = x - 60, y - 6
    inside = (np.hypot(across, down) < 95) & (np.abs(across) <= down * np.tan(half_angle))
    image = np.random.default_rng(0).integers(20, 200, inside.shape)
    image[50:70, 50:70] = 0
    return np.where(inside, image, 0).astype(np.uint8), inside
