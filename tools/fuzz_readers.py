"""What `tools.fuzz` does with a damaged file, as a user would, and what a result must be like.

Each reader gets the folder of a case and the name of the damaged file. It either ends, or raises
the error that a user would see, or `Broken` for a result that its class does not allow.
"""

import contextlib
import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from echolib.data import Clip, Dataset, FrameSet, LabelledFrame
    from echolib.networks.training import Training

FASTEST = 1000  # frames per second; no echocardiogram has more
LONGEST_TRAINING = 10  # steps that are done here
SHAPES = {"clip_a": (5, 40, 48), "clip_b": (5, 40, 48)}  # of the videos of the course's pickles


class Broken(Exception):
    """A reader returned a result that its class does not allow."""


def require(right: bool, what: str) -> None:
    """Raise Broken unless a property of a result holds."""
    if not right:
        raise Broken(what)


def _is_rate(value: float | None) -> bool:
    return value is None or (math.isfinite(value) and 0 < value <= FASTEST)


def _is_spacing(value: float | None) -> bool:
    """True for an unknown spacing, and for one whose square is neither zero nor infinite."""
    return value is None or (value > 0 and 0 < value * value < math.inf)


def _check_clip(clip: "Clip") -> None:
    frames = clip.frames
    require(frames.dtype == np.uint8 and frames.ndim == 3 and frames.size > 0, "frames of a clip")
    require(_is_rate(clip.fps), f"fps of a clip: {clip.fps}")
    require(_is_spacing(clip.spacing), f"spacing of a clip: {clip.spacing}")
    int(frames.sum())  # memory-mapped frames are read here


def _check_frame(frame: "LabelledFrame") -> None:
    image, mask = frame.image, frame.mask
    require(image.dtype == np.uint8 and image.ndim == 2 and image.size > 0, "image of a frame")
    require(mask.dtype == bool and mask.shape == image.shape, "mask of a frame")
    require(frame.split in ("train", "val", "test"), f"split of a frame: {frame.split!r}")
    require(frame.phase in ("ED", "ES", ""), f"phase of a frame: {frame.phase!r}")
    require(_is_rate(frame.fps), f"fps of a frame: {frame.fps}")
    require(_is_spacing(frame.spacing), f"spacing of a frame: {frame.spacing}")
    if frame.landmarks is not None:
        right = frame.landmarks.shape == (40, 2) and np.isfinite(frame.landmarks).all()
        require(bool(right), "landmarks of a frame")
    if frame.regions is not None:
        right = frame.regions.dtype == np.uint8 and frame.regions.shape == image.shape
        require(right, "regions of a frame")


def _check_set(frames: "FrameSet") -> None:
    count, size = len(frames), frames.size
    require(frames.images.shape == (count, size, size), "images of a set")
    require(frames.images.dtype == np.uint8 and frames.masks.dtype == bool, "dtypes of a set")
    for index in range(count):
        _check_frame(frames.frame(index))
    frames.fingerprint()
    require(frames.outputs < 10, "regions of a set")


# --- Data -----------------------------------------------------------------------------------------


def read_clip(folder: Path, target: str) -> None:
    """A video, GIF or DICOM file."""
    from echolib.data import read_clip as read

    _check_clip(read(folder / target))


def read_study(folder: Path, target: str) -> None:
    """A data set: its labelled frames and its clips."""
    from echolib.data import Dataset, open_data

    data = cast(Dataset, open_data(folder))
    require(data.table.index.is_unique, "two clips of one name")
    for name in data.table.index:
        require(_is_rate(_none_for_nan(data.table.fps[name])), f"fps: {data.table.fps[name]}")
        frames, problems = data.labelled(name)
        require(bool(frames or problems), f"{name} has neither frames nor problems")
        for frame in frames:
            _check_frame(frame)
        _check_readable_clip(data, name)
    [str(problem) for problem in data.problems]


def _none_for_nan(value: float) -> float | None:
    return None if math.isnan(value) else value


def _check_readable_clip(data: "Dataset", name: str) -> None:
    """A damaged clip among whole ones is an error that the commands catch."""
    from echolib.data import DataError

    try:
        _check_clip(data.clip(name))
    except DataError as error:
        require(name in str(error), f"an error that does not name the clip: {error}")


def read_packed(folder: Path, target: str) -> None:
    """A packed set."""
    from echolib.data import FrameSet, open_data

    frames = cast(FrameSet, open_data(folder / "packed"))
    _check_set(frames)
    frames.split("train").spread(2)


def resume_pack(folder: Path, target: str) -> None:
    """A stopped `pack`, which goes on from its parts."""
    from echolib.data import EchoNet, pack

    data, size = EchoNet(folder / "study"), 32
    _check_set(pack(data, folder / "packed", size, workers=1, progress=False))


def read_pickle(folder: Path, target: str) -> None:
    """A pickle of the course task."""
    from echolib.data import read_mitral_pickle

    clips = read_mitral_pickle(folder / target)
    require(len({clip.name for clip in clips}) == len(clips), "two clips of one name")
    for clip in clips:
        _check_clip(clip)


def read_truth(folder: Path, target: str) -> None:
    """The true labels of the test clips of a phantom study."""
    from echolib.data import open_mitral

    study = open_mitral(folder)
    for clip in study.test:
        labels = study.truth(clip.name)
        require(labels.dtype == bool and labels.shape == clip.frames.shape, "labels of a clip")


def read_nn_mitralseg(folder: Path, target: str) -> None:
    """Masks and boxes of NN-MitralSeg."""
    from echolib.data import EchoNet
    from echolib.data import read_nn_mitralseg as read

    clips, _ = read(folder / "masks", EchoNet(folder / "echonet"))
    for clip in clips:
        _check_clip(clip)
        require(clip.box is not None and bool(clip.box.any()), "an empty box")


def read_submission(folder: Path, target: str) -> None:
    """A submission of the course task."""
    from echolib.valve.submission import read_submission as read

    masks = read(folder / target, SHAPES)
    right = all(masks[name].dtype == bool and masks[name].shape == SHAPES[name] for name in SHAPES)
    require(right and len(masks) == len(SHAPES), "masks of a submission")


def submit(folder: Path, target: str) -> None:
    """Masks of videos, from which the command writes a submission."""
    from echolib.commands.parser import main

    out, messages = folder / "out.csv", io.StringIO()
    with contextlib.redirect_stderr(messages):
        code = main(["mitral", "submit", str(folder / target), "--out", str(out)])
    if code:
        raise ValueError(messages.getvalue())
    require(out.read_text().startswith("id,value\n"), "the header of a submission")


# --- Networks and results -------------------------------------------------------------------------


def read_weights(folder: Path, target: str) -> None:
    """Weights, which then outline a frame."""
    import torch

    from echolib.networks.inference import outline, outline_landmarks
    from echolib.networks.models import finds_landmarks, load_model

    network = load_model(folder / target)
    tensors = network.state_dict().values()
    require(all(bool(torch.isfinite(t).all()) for t in tensors), "weights that are not finite")
    frame = np.full((40, 40), 90, np.uint8)
    mask = outline(network, frame)
    require(mask.dtype == bool and mask.shape == frame.shape, "mask of a frame")
    if finds_landmarks(network):
        from echolib.data import Clip

        points = outline_landmarks(network, Clip("frame", frame[None]))
        require(points.ndim == 3 and points.shape[-1] == 2, "landmarks of a frame")


def read_finder(folder: Path, target: str) -> None:
    """A valve finder, which then looks for leaflets."""
    from echolib.networks.inference import outline
    from echolib.valve.finder import load_finder

    frames = np.full((2, 40, 40), 90, np.uint8)
    masks = outline(load_finder(folder), frames)
    require(masks.dtype == bool and masks.shape == frames.shape, "masks of leaflets")


def read_calibration(folder: Path, target: str) -> None:
    """A calibration, which then gives an interval."""
    from echolib.ventricle.calibration import SPREADS, load_calibration

    calibration = load_calibration(folder / target)
    ef, low, high = calibration.interval(55.0, dict.fromkeys(SPREADS, 2.0))
    require(0 <= low <= ef <= high <= 100, f"interval: {low} to {ef} to {high}")
    require(0 < calibration.level < 1, f"level: {calibration.level}")
    require(all(isinstance(name, str) for name in calibration.networks), "names of networks")


def open_training(folder: Path, resume: bool = False) -> "Training":
    """The training in the folder `training` on the frames in `packed`."""
    import torch

    from echolib.data import FrameSet
    from echolib.networks.models import UNet
    from echolib.networks.plan import TrainingConfig
    from echolib.networks.training import Training

    torch.manual_seed(0)
    frames, config = FrameSet.load(folder / "packed"), TrainingConfig(epochs=2, batch=2)
    parts = frames.split("train"), frames.split("val")
    return Training(UNet(width=2, depth=2), *parts, folder / "training", config, resume)


def resume_training(folder: Path, target: str) -> None:
    """A checkpoint, from which a training goes on."""
    training = open_training(folder, resume=True)
    planned = training.progress.steps
    require(isinstance(planned, int) and planned >= 0, f"planned steps: {planned!r}")
    if planned <= LONGEST_TRAINING:
        training.run(progress=False)
    require(bool(np.isfinite(training.history.loss).all()), "losses of a history")


def measure(folder: Path) -> "tuple[pd.DataFrame, pd.DataFrame]":
    """Measure the study in the folder; returns the tables of clips and of labelled frames."""
    from echolib.data import EchoNet
    from echolib.ventricle.networks import load_networks
    from echolib.ventricle.study import measure_study, stored_result

    networks, data = load_networks([str(folder / "net.safetensors")]), EchoNet(folder / "study")
    tables = measure_study(data, networks, folder / "out", "all", progress=False)
    for _, row in tables["clips"].iterrows():
        result = stored_result(data, row, folder / "out")
        require(result.masks.shape == result.clip.frames.shape, "stored masks of a clip")
    return tables["clips"], tables["frames"]


def resume_measurement(folder: Path, target: str) -> None:
    """The parts of a measured study, and the scores of its tables."""
    from echolib.ventricle.scores import dice_scores, ef_scores

    clips, frames = measure(folder)
    require(len(clips) == 3 and clips.name.is_unique, f"{len(clips)} clips instead of 3")
    ef = clips.ef_corrected.astype(float)
    require(bool((ef.isna() | ef.between(0, 100)).all()), f"EF {ef.tolist()}")
    ef_scores(clips, resamples=10)
    if len(frames):
        dice_scores(frames, resamples=10)


def score_robustness(folder: Path) -> "pd.DataFrame":
    """Score the network in the folder under one corruption."""
    from echolib.data import FrameSet
    from echolib.networks.models import load_model
    from echolib.robustness.benchmark import run_robustness

    models = {"net": load_model(folder / "net.safetensors")}
    frames = FrameSet.load(folder / "packed")
    return run_robustness(models, frames, folder / "out", ["speckle"], [1, 3], progress=False)


def resume_robustness(folder: Path, target: str) -> None:
    """The parts of a robustness run, and the summary of its table."""
    from echolib.robustness.comparison import robustness_summary

    cases = score_robustness(folder)
    require(len(cases) == 3 * 6, f"{len(cases)} cases instead of 18")
    require(bool(cases.dice.between(0, 1).all()), "Dice outside 0 to 1")
    robustness_summary(cases)


def read_corrections(folder: Path, target: str) -> None:
    """A folder of corrections, whose documents are read, and whose tables are made anew."""
    from echolib.corrections import Folder, agreement
    from echolib.data import open_data

    kept = Folder(folder)
    for entry in kept.entries():
        masks = kept.masks(entry.clip, entry.annotator) | kept.leaflets(entry.clip, entry.annotator)
        right = all(mask.dtype == bool and mask.shape == entry.shape[1:] for mask in masks.values())
        require(right, "masks of a correction")
    problems = list(kept.problems)
    kept.write_tables()
    data = open_data(folder)
    for clip in data.table.index:
        for frame in data.labelled(clip)[0]:
            _check_frame(frame)
    names = kept.annotators()
    table = agreement(kept, names[0], names[-1])
    require(bool(table.dice.between(0, 1).all()), "Dice outside 0 to 1")
    if problems:
        raise ValueError(str(problems[0]))


READERS: dict[str, Callable[[Path, str], None]] = {
    "clip": read_clip,
    "study": read_study,
    "corrections": read_corrections,
    "packed": read_packed,
    "pack": resume_pack,
    "pickle": read_pickle,
    "truth": read_truth,
    "nn_mitralseg": read_nn_mitralseg,
    "submission": read_submission,
    "submit": submit,
    "weights": read_weights,
    "finder": read_finder,
    "calibration": read_calibration,
    "training": resume_training,
    "function": resume_measurement,
    "robustness": resume_robustness,
}
