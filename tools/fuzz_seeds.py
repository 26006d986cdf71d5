"""The whole files that `tools.fuzz` damages: one seed per format, written by the real code.

A seed is a small folder. Some of its files are targets, of which one is damaged at a time.
"""

import gzip
import pickle
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path
from unittest import mock

import nibabel
import numpy as np
from av.codec.codec import UnknownCodecError
from PIL import Image

from .fuzz_clips import CLIPS, RATE, draw_frames, encode_video
from .fuzz_mutators import join_safetensors, split_safetensors

CLIP_NAMES = ("0X1A", "0X1B", "0X1C")
SIDE = 32  # px, of packed frames
FRAME_COUNT = 8  # of the clips of data sets


@dataclass(frozen=True)
class Seed:
    """reader: a name in `fuzz_readers.READERS`. files: content by path. targets: some paths."""

    reader: str
    files: dict[str, bytes]
    targets: tuple[str, ...]


def _collect(reader: str, folder: Path, *patterns: str) -> Seed:
    """A seed of all files in a folder; the targets are those that match one of the patterns."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
    chosen = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
    targets = tuple(sorted(path.relative_to(folder).as_posix() for path in chosen))
    if not targets:
        raise ValueError(f"The seed of {reader} has no file of the patterns {patterns}.")
    return Seed(reader, files, targets)


# --- Data sets ------------------------------------------------------------------------------------


def _clip_frames() -> np.ndarray:
    return draw_frames(FRAME_COUNT, 112, 112)


def write_echonet(folder: Path, pediatric: bool = False) -> None:
    """Three clips in the layout of EchoNet-Dynamic or EchoNet-Pediatric."""
    (folder / "Videos").mkdir(parents=True)
    video = encode_video("avi", "mjpeg", "yuvj420p", _clip_frames())
    rows, tracings = [], []
    for name, split in zip(CLIP_NAMES, ("TRAIN", "VAL", "TEST"), strict=True):
        (folder / "Videos" / f"{name}.avi").write_bytes(video)
        if pediatric:
            rows.append(f"{name}.avi,60.5,F,4,16.2,104,{'8' if split == 'VAL' else '9'}")
            lines = _polygon_lines
        else:
            rows.append(f"{name},60.5,40.2,100.1,112,112,{RATE},{FRAME_COUNT},{split}")
            lines = _chord_lines
        for frame, width in ((0, 18), (4, 12)):
            tracings += [f"{name}.avi,{line},{frame}" for line in lines(width)]
    names = ("EF,Sex,Age,Weight,Height,Split", "X,Y") if pediatric else (
        "EF,ESV,EDV,FrameHeight,FrameWidth,FPS,NumberOfFrames,Split", "X1,Y1,X2,Y2"
    )  # fmt: skip
    for file, header, lines_ in (
        ("FileList", f"FileName,{names[0]}", rows),
        ("VolumeTracings", f"FileName,{names[1]},Frame", tracings),
    ):
        (folder / f"{file}.csv").write_text("\n".join([header, *lines_]) + "\n")


def _chord_lines(width: int) -> list[str]:
    """The long axis and 20 chords of half an ellipse."""
    heights = np.linspace(30, 76, 21)
    halves = width * np.sqrt(np.clip(1 - ((heights - 76) / 48) ** 2, 0.01, 1))
    chords = zip(56 - halves, heights, 56 + halves, heights, strict=True)
    return [",".join(f"{value:.4f}" for value in line) for line in ((56, 28, 56, 77), *chords)]


def _polygon_lines(width: int) -> list[str]:
    angles = np.linspace(np.pi, 2 * np.pi, 24)
    return [f"{56 + width * np.cos(a):.4f},{76 + 48 * np.sin(a):.4f}" for a in angles]


def write_camus(folder: Path, suffix: str) -> None:
    """Three patients in the layout of CAMUS, with sequences, Info files and split lists."""
    frames = draw_frames(FRAME_COUNT, 60, 48)
    y, x = np.mgrid[:60, :48]
    for number, split in enumerate(("training", "validation", "testing"), start=1):
        name = f"patient000{number}"
        path = folder / "database_nifti" / name
        path.mkdir(parents=True)
        for phase, radius in (("ED", 10), ("ES", 7)):
            labels = (((x - 24) / radius) ** 2 + ((y - 28) / 16) ** 2 < 1).astype(np.uint8)
            labels[(y > 46) & (np.abs(x - 24) < 8)] = 3
            _write_nifti(path / f"{name}_4CH_{phase}{suffix}", frames[0])
            _write_nifti(path / f"{name}_4CH_{phase}_gt{suffix}", labels)
        _write_nifti(path / f"{name}_4CH_half_sequence{suffix}", frames)
        info = f"ED: 1\nES: {FRAME_COUNT}\nNbFrame: {FRAME_COUNT}\nSex: F\nAge: 56\n"
        (path / "Info_4CH.cfg").write_text(info + "ImageQuality: Good\nEF: 51.2\nFrameRate: 47.2\n")
        splits = folder / "database_split"
        splits.mkdir(exist_ok=True)
        (splits / f"subgroup_{split}.txt").write_text(f"{name}\n")


def _write_nifti(path: Path, pixels: np.ndarray) -> None:
    image = nibabel.Nifti1Image(pixels.T, np.eye(4))
    image.header.set_zooms((0.5, 0.5, 1.0)[: pixels.ndim])
    content = image.to_bytes()
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)


def mitral_items(labelled: bool) -> bytes:
    """A pickle as the course task has them, of two clips."""
    video = np.ascontiguousarray(draw_frames(5, 40, 48).transpose(1, 2, 0))
    items = []
    for name in ("clip_a", "clip_b"):
        item: dict = {"name": name, "video": video}
        if labelled:
            label = np.zeros(video.shape, bool)
            label[18:20, 20:30, [0, 2, 4]] = True
            box = np.zeros(video.shape[:2], bool)
            box[12:28, 14:36] = True
            kind = "amateur" if name == "clip_a" else "expert"
            item |= {"box": box, "label": label, "frames": [0, 2, 4], "dataset": kind}
        items.append(item)
    return pickle.dumps(items, protocol=4)


def write_mitral(folder: Path) -> None:
    """The course task's folder, with the labels of the test clips that a phantom study has."""
    from echolib.files import write_npz

    (folder / "train.pkl").write_bytes(gzip.compress(mitral_items(True), mtime=0))
    (folder / "test.pkl").write_bytes(gzip.compress(mitral_items(False), mtime=0))
    truth = np.zeros((40, 48, 5), bool)
    truth[18:20, 20:30] = True
    write_npz(folder / "test_truth.npz", [("clip_a", truth), ("clip_b", truth)])


def write_masks(folder: Path) -> None:
    """The masks of two videos, as `mitral segment` writes them."""
    from echolib.files import write_npz

    masks = np.zeros((5, 40, 48), bool)
    masks[:, 18:20, 20:30] = True
    write_npz(folder / "masks.npz", [("clip_a", masks), ("clip_b", masks)])


def write_nn_mitralseg(folder: Path) -> None:
    """EchoNet-Dynamic in `echonet`, and the masks and boxes of one of its clips in `masks`."""
    write_echonet(folder / "echonet")
    path = folder / "masks" / CLIP_NAMES[0]
    path.mkdir(parents=True)
    mask = np.zeros((112, 112, 4), np.uint8)
    mask[60:64, 40:70, 3] = 255
    box = np.full((112, 112, 3), 255, np.uint8)
    box[50:80, 30:80] = 60
    for frame in (1, 3, 5):
        Image.fromarray(mask).save(path / f"{frame:04}_mask.png")
    Image.fromarray(box).save(path / "box.jpg", quality=95)


# --- Files that echolib writes --------------------------------------------------------------------


def write_packed(folder: Path) -> None:
    """EchoNet-Dynamic in `study` and its packed frames in `packed`."""
    from echolib.data import EchoNet, pack

    write_echonet(folder / "study")
    pack(EchoNet(folder / "study"), folder / "packed", SIDE, workers=1, progress=False)


def write_stopped_pack(folder: Path) -> None:
    """The parts that a killed `pack` leaves: nothing is removed at its end but the result."""
    with mock.patch("shutil.rmtree"):
        write_packed(folder)
    shutil.rmtree(folder / "packed")


def write_network(path: Path, target: str = "masks") -> None:
    """Weights of a small untrained network."""
    import torch

    from echolib.networks.models import UNet, new_model, save_model

    torch.manual_seed(0)
    model = UNet(width=2, depth=2) if target == "masks" else new_model(target, width=2)
    model.size = SIDE
    save_model(model, path)
    header, tensors = split_safetensors(path.read_bytes())  # their order differs from run to run
    path.write_bytes(join_safetensors(dict(sorted(header.items())), tensors))


def write_training(folder: Path) -> None:
    """Packed frames, and the folder `training` of a training of two steps on them."""
    from .fuzz_readers import open_training

    write_packed(folder)
    with _clock():
        open_training(folder).run(progress=False)


def write_calibration(folder: Path) -> None:
    """A calibration as `calibrate` writes it."""
    from echolib.ventricle.calibration import Calibration

    line, error, doubt = (1.05, -2.0), (1.5, (0.2, 0.3, 0.0)), 0.12
    factors = ((30.0, 55.0), (2.5, 1.9, 1.7), 1.25, "real hearts")
    described = (0.9, 60, "phantom study", ("lv", "lv_cycle"))
    Calibration(*line, *error, *factors, doubt, *described).save(folder / "function.json")


def write_function(folder: Path) -> None:
    """A study, weights, and the measured parts of the study."""
    from .fuzz_readers import measure

    write_echonet(folder / "study")
    write_network(folder / "net.safetensors")
    measure(folder)


def write_robustness(folder: Path) -> None:
    """Packed frames, weights, and the scored parts of a robustness run."""
    from .fuzz_readers import score_robustness

    write_packed(folder)
    write_network(folder / "net.safetensors")
    score_robustness(folder)


def write_corrections(folder: Path) -> None:
    """Corrections of two clips by two people."""
    from echolib.corrections import Folder, outline_points
    from echolib.data import EchoNet

    source = Path(tempfile.mkdtemp(prefix="echolib-seed-"))
    write_echonet(source)
    data = EchoNet(source)
    leaflet = {"points": [[44.0, 76.0], [54.0, 84.0]], "width": 3.0}
    origin = {"made": "drawn", "moved": 2, "proposed": None}
    for name in ("anna", "ben"):
        for number, clip in enumerate(CLIP_NAMES[:2]):
            document = {
                "format": 1, "clip": clip, "height": 112, "width": 112, "frame_count": FRAME_COUNT,
                "fps": RATE, "annotator": name, "answer": "", "ed": 0, "es": None, "network": "lv",
                "version": None, "seconds": 12.5, "frames": {},
            }  # fmt: skip
            for frame in data.labelled(clip)[0]:
                points, apex = outline_points(frame.mask)
                ventricle = {"points": points.tolist(), "apex": apex} | origin
                document["frames"][str(frame.frame)] = {
                    "answer": "", "seconds": 4.0, "ventricle": ventricle,
                    "leaflets": [leaflet | origin],
                }  # fmt: skip
            with mock.patch("time.time_ns", lambda number=number: 10**18 + number):
                Folder(folder, name).keep(document, data.table.path[clip])
    shutil.rmtree(source)


def write_submission_file(folder: Path) -> None:
    """A submission of two videos."""
    from echolib.valve.submission import write_submission

    mask = np.zeros((5, 40, 48), bool)
    mask[:, 18:20, 20:30] = True
    write_submission(folder / "submission.csv", {"clip_a": mask, "clip_b": mask})


def write_finder(folder: Path) -> None:
    """The networks and settings of a valve finder, as `mitral train` writes them."""
    from echolib.networks.models import UNet, load_model, save_model
    from echolib.networks.pretrained import WEIGHTS_FILE
    from echolib.valve.finder import SETTINGS_FILE, ValveFinder, save_settings

    for name, outputs in (("whole", 2), ("close-0", 1)):
        save_model(UNet(width=2, depth=2, outputs=outputs), folder / name / WEIGHTS_FILE)
    save_settings(ValveFinder(load_model(folder / "whole"), ()), folder / SETTINGS_FILE)


@contextmanager
def _clock() -> Iterator[None]:
    """A clock that gives the same times in each run, because checkpoints hold times."""
    ticks = count()
    with mock.patch.object(time, "perf_counter", lambda: float(next(ticks))):
        yield


# --- All seeds ------------------------------------------------------------------------------------


def _file(reader: str, name: str, make: Callable[[], bytes]) -> Callable[[Path], Seed]:
    return lambda _: Seed(reader, {name: make()}, (name,))


def _folder(reader: str, write: Callable[[Path], None], *patterns: str) -> Callable[[Path], Seed]:
    def make(folder: Path) -> Seed:
        write(folder)
        return _collect(reader, folder, *patterns)

    return make


def _gzipped(labelled: bool) -> bytes:
    return gzip.compress(mitral_items(labelled), mtime=0)


SEEDS: dict[str, Callable[[Path], Seed]] = {
    **{name: _file("clip", name, make) for name, make in CLIPS.items()},
    "echonet": _folder("study", write_echonet, "*.csv"),
    "echonet clips": _folder("study", write_echonet, "Videos/*"),
    "pediatric": _folder("study", lambda path: write_echonet(path, pediatric=True), "*.csv"),
    "camus.nii.gz": _folder("study", lambda path: write_camus(path, ".nii.gz"), "*/*/*1_4CH*.gz"),
    "camus.nii": _folder("study", lambda path: write_camus(path, ".nii"), "*/*/*1_4CH*.nii"),
    "camus lists": _folder(
        "study", lambda path: write_camus(path, ".nii.gz"), "*/*.txt", "*/*/Info*.cfg"
    ),
    "train.pkl": _file("pickle", "train.pkl", lambda: _gzipped(True)),
    "plain train.pkl": _file("pickle", "train.pkl", lambda: mitral_items(True)),
    "test.pkl": _file("pickle", "test.pkl", lambda: _gzipped(False)),
    "test_truth.npz": _folder("truth", write_mitral, "test_truth.npz"),
    "masks.npz": _folder("submit", write_masks, "*"),
    "nn-mitralseg": _folder("nn_mitralseg", write_nn_mitralseg, "masks/*/*"),
    "packed set": _folder("packed", write_packed, "packed/*"),
    "pack parts": _folder("pack", write_stopped_pack, ".packed*/*"),
    "weights": _folder("weights", lambda p: write_network(p / "net.safetensors"), "*"),
    "landmarks": _folder("weights", lambda p: write_network(p / "a.safetensors", "landmarks"), "*"),
    "finder": _folder("finder", write_finder, "*.json"),
    "checkpoint": _folder("training", write_training, "training/checkpoint.pt"),
    "calibration": _folder("calibration", write_calibration, "*"),
    "function parts": _folder("function", write_function, "out/parts/**/*"),
    "robustness parts": _folder("robustness", write_robustness, "out/parts/**/*"),
    "corrections": _folder("corrections", write_corrections, "*.json", "documents/*/*"),
    "corrections tables": _folder("study", write_corrections, "*.csv"),
    "submission": _folder("submission", write_submission_file, "*"),
}  # fmt: skip


@cache
def make_seed(name: str) -> Seed | None:
    """The seed of a format, the same in each call; None where an encoder is not installed."""
    with tempfile.TemporaryDirectory(prefix="echolib-seed-") as folder:
        try:
            return SEEDS[name](Path(folder))
        except (UnknownCodecError, ImportError, RuntimeError):
            return None
