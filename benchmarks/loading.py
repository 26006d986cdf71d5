"""How fast traced frames are read: packed once, against opening each AVI for each sample.

`python -m benchmarks.peers --study STUDY` asks; this module is no command.
"""

import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from skimage.draw import polygon
from torch.utils.data import DataLoader, Dataset

from echolib.config import device
from echolib.cores import usable_cores
from echolib.data import EchoNet, pack
from echolib.data.echonet import TRACINGS
from echolib.data.frames import FrameSet
from echolib.data.names import clip_name
from echolib.networks.batches import Batches
from echolib.networks.models import SIZE
from echolib.networks.plan import TrainingConfig
from echolib.networks.tasks import MaskTask
from echolib.networks.team import Team

BATCH = 16  # frames, two of each clip
PACKED, AUGMENTED, OPENED = "FrameSet", "FrameSet, augmented", "opens each AVI"


class OpenedClips(Dataset):
    """Opens a whole AVI for its two traced frames, as EchoNet-Dynamic's code does.

    A sample: images (2, 3, H, W) float32, normalised, and masks (2, H, W) float32. Source:
    github.com/echonet/dynamic, echonet/datasets/echo.py. Raises ValueError for polygons.
    """

    def __init__(self, data: EchoNet) -> None:
        if data.pediatric:
            raise ValueError(
                f"{data.folder} traces polygons, as EchoNet-Pediatric does; expected chords. Give "
                "a folder in EchoNet-Dynamic's layout, such as `python -m echolib phantom` writes."
            )
        table = pd.read_csv(data.folder / TRACINGS, dtype={"FileName": str})
        traced: dict[str, list[tuple[int, np.ndarray]]] = {}
        for (name, frame), rows in table.groupby(["FileName", "Frame"], sort=False):
            chords = rows[["X1", "Y1", "X2", "Y2"]].to_numpy(float)
            traced.setdefault(clip_name(name), []).append((int(frame), chords))
        self.samples = [(str(row.path), traced[str(row.Index)]) for row in data.table.itertuples()]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        path, traced = self.samples[index]
        capture, frames = cv2.VideoCapture(path), []
        while (answer := capture.read())[0]:
            frames.append(cv2.cvtColor(answer[1], cv2.COLOR_BGR2RGB))
        capture.release()
        video = np.stack(frames).transpose(3, 0, 1, 2).astype(np.float32)
        video = (video - 33) / 51  # about EchoNet-Dynamic's mean and standard deviation
        ends = traced[0], traced[-1]
        masks = np.zeros((2, *video.shape[2:]), np.float32)
        for mask, (_, chords) in zip(masks, ends, strict=True):
            x = np.concatenate([chords[1:, 0], chords[:0:-1, 2]])
            y = np.concatenate([chords[1:, 1], chords[:0:-1, 3]])
            mask[polygon(np.rint(y), np.rint(x), mask.shape)] = 1
        return np.stack([video[:, frame] for frame, _ in ends]), masks


def packed_epoch(frames: FrameSet) -> int:
    """Read an epoch of batches onto the device, in random order; returns the number of frames."""
    order = np.random.default_rng(0).permutation(len(frames))
    for rows in np.array_split(order, max(1, len(order) // BATCH)):
        for array in (frames.images[rows], frames.masks[rows]):
            torch.from_numpy(array).to(device()).float()
    return len(order)


def augmented_epoch(frames: FrameSet) -> int:
    """The same as a `Training` does it: augmented, and from frames that lie on the device."""
    config = TrainingConfig()
    task = MaskTask(1, config.loss, config.auxiliary)
    batches = Batches(frames, task, config, Team(0, 1, device()))
    return sum(len(batches.batch(step)[0]) for step in range(batches.per_epoch))


def opened_epoch(loader: DataLoader) -> int:
    """The same from videos."""
    count = 0
    for images, masks in loader:
        count += len(images.to(device()).flatten(0, 1))
        masks.to(device())
    return count


def data_rows(study: Path, rounds: int) -> Iterator[dict]:
    """Seconds of packing, and frames a second of an epoch, in each round.

    Videos are opened by as many processes as there are cores, which live on between epochs. study:
    folder in EchoNet-Dynamic's layout. Raises ValueError for one of EchoNet-Pediatric.
    """
    data = EchoNet(study)
    clips = OpenedClips(data)
    loader = DataLoader(
        clips, BATCH // 2, shuffle=True, num_workers=usable_cores(), persistent_workers=True,
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    size = f"{len(clips)} clips of {data.table.frames.median():.0f} frames"
    front = {"data": f"{study.resolve().name}, {size}"}
    for number in range(-1, rounds):  # the first one warms up
        for row in one_round(data, loader, backwards=number % 2 == 1):
            if number >= 0:
                yield front | {"round": number} | row


def one_round(data: EchoNet, loader: DataLoader, backwards: bool) -> Iterator[dict]:
    """Pack, and read an epoch in each way, in the opposite order on request."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        frames = pack(data, Path(folder) / "packed", SIZE, progress=False)
        seconds = time.perf_counter() - started
        yield {"work": "packing", "unit": "s", "peer": PACKED, "value": seconds}
        epochs = {
            PACKED: partial(packed_epoch, frames),
            AUGMENTED: partial(augmented_epoch, frames),
            OPENED: partial(opened_epoch, loader),
        }
        for name in list(epochs)[:: -1 if backwards else 1]:
            started = time.perf_counter()
            speed = epochs[name]() / (time.perf_counter() - started)
            yield {"work": "epoch", "unit": "frames/s", "peer": name, "value": speed}
