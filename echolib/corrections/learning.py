"""Learning from corrections: a training that does not forget, and a guard that keeps or rejects.

A network is trained further on a few corrected frames, mixed with frames of its first data. The new
weights are judged on corrected patients that took no part in their training, against the network
that the training started from. They are kept only where they are not worse.
"""

from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..config import data_folder
from ..data.echonet import PROVENANCE
from ..data.frames import FrameSet
from ..errors import DataError
from ..files import read_json, write_json, write_table
from ..locks import make_once
from ..metrics import dice
from ..networks.inference import predict, square_masks, with_regions
from ..networks.models import Encoder, load_model, save_model
from ..networks.plan import TrainingConfig
from ..networks.pretrained import LESSON_FILE, WEIGHTS_FILE
from ..networks.training import Training
from ..phantom.common import VERSION
from ..phantom.single_frames import draw_frame_set
from ..statistics import PairedDifference, paired_difference
from .queue import check_models

LEAST_PATIENTS = 5  # with corrections: fewer cannot show whether a network became better
FEW_PATIENTS = 40  # with fewer, each takes its turn in being held out
FOLDS = 4  # of the patients: one is held out
MARGIN = 0.01  # Dice: weights are rejected unless a larger loss can be excluded
REMEMBERED = 2000  # phantom frames that are mixed in, each of another heart
REMEMBERED_SEED = 22
SHARE = 0.25  # of the images shown that are remembered ones
AVERAGE = 0.98  # decay of the average of the weights: a short training has a short memory
EPOCHS = 0.5  # of all frames that are mixed: 225 steps of 16 images
FEW_FRAMES = 350  # corrected ones: with more, a training is longer in proportion
CHOOSING_FRAMES = 100  # of the corrected ones: they choose among the weights of a training
FULL_FOLDER = "all"  # of the training with all patients
CASES_FILE = "learning.csv"


@dataclass(frozen=True)
class Lesson:
    """What a network has learnt from corrections, and whether it was kept.

    difference: Dice of the new weights minus that of the old ones, by patient, on patients that the
    judged weights had not seen. before, after: their mean Dice, each patient counted once.
    crossed: whether each patient was held out in turn, by a training of its own; the weights that
    are kept have seen all of them then. remembered_before, remembered_after: mean Dice on
    remembered frames that no training has seen. patients, frames: number of corrected ones.
    start: name of the old weights. seen: names of the patients that the new weights have seen.
    """

    difference: PairedDifference
    before: float
    after: float
    crossed: bool
    remembered_before: float
    remembered_after: float
    start: str
    patients: int = 0
    frames: int = 0
    seen: tuple[str, ...] = ()

    @property
    def kept(self) -> bool:
        """Whether a loss of more than `MARGIN` can be excluded with 95 % confidence."""
        return self.difference.low >= -MARGIN

    def report(self) -> str:
        """What the guard found, in sentences."""
        found = self.difference
        if self.crossed:
            how = (
                f"Each of the {found.patients} patients was held out once, in {FOLDS} trainings; "
                "the new weights have seen them all"
            )
        else:
            how = f"{found.patients} of the {self.patients} patients were held out of the training"
        if self.kept:
            verdict = "The new weights are kept"
        elif found.mean < 0:
            verdict = "The new weights are worse, and are rejected"
        else:
            verdict = (
                "The new weights are rejected: so few patients cannot exclude that they are worse "
                f"by more than {MARGIN:g}. Correct more"
            )
        return (
            f"{how}. On held-out patients, Dice changed from {self.before:.3f} to "
            f"{self.after:.3f}: by {found.mean:+.3f} (95 % {found.low:+.3f} to {found.high:+.3f}). "
            f"On remembered frames it changed from {self.remembered_before:.3f} to "
            f"{self.remembered_after:.3f}. {verdict}."
        )


def remembered_frames(
    size: int, count: int = REMEMBERED, workers: int | None = None, progress: bool = True
) -> FrameSet:
    """Phantom frames, drawn once and kept in the data folder, so that a network remembers them.

    size: px of the square frames. workers: processes that draw. The last tenth is the split "val",
    which no training sees.
    """
    folder = data_folder() / "phantom" / f"remembered-{count}-{size}-v{VERSION}"

    def draw() -> None:
        draw_frame_set(count, REMEMBERED_SEED, size, workers, progress).save(folder)

    make_once(folder, folder.is_dir, draw)
    return FrameSet.load(folder)


def interpolated(frames: FrameSet, folder: str | Path) -> np.ndarray:
    """(N,) bool: which packed frames of a folder of corrections have interpolated outlines."""
    table = pd.read_csv(Path(folder) / PROVENANCE, dtype=str, keep_default_na=False)
    chosen = (table.structure == "ventricle") & (table.made == "interpolated")
    table = table[chosen & (table.in_tables == "yes")]
    found = set(zip(table["file"], table.frame.astype(int), strict=True))
    places = zip(frames.table["clip"], frames.table.frame, strict=True)
    return np.array([place in found for place in places], bool)


def learning_config(frames: int, **settings: Any) -> TrainingConfig:
    """Settings of a training on corrections: those of any training, but much shorter.

    frames: number of corrected ones. settings: of `TrainingConfig`, which replace these.
    """
    epochs = EPOCHS * max(1.0, frames / FEW_FRAMES)
    return TrainingConfig(**{"epochs": epochs, "average": AVERAGE, **settings})


def mix(corrected: FrameSet, remembered: FrameSet) -> FrameSet:
    """The frames of a training: corrected ones, repeated to a share of 1 - `SHARE`, and others."""
    count = max(len(corrected), round(len(remembered) * (1 - SHARE) / SHARE))
    rows = np.resize(np.arange(len(corrected)), count)
    return FrameSet.joined([corrected.select(rows), remembered])


def check_remembered(corrected: FrameSet, remembered: FrameSet, network: Encoder) -> None:
    """Raise DataError where frames are not those of a network: of another size, without regions."""
    for name, frames in (("corrected", corrected), ("remembered", remembered)):
        if frames.size != network.size:
            raise DataError(
                f"The {name} frames are squares of {frames.size} px, {network.name} sees "
                f"{network.size} px. Pack them at that size."
            )
    if network.arguments["outputs"] > remembered.outputs:
        raise DataError(
            f"{network.name} marks {network.arguments['outputs']} regions, the remembered frames "
            f"{remembered.outputs}. Remember frames with all of them, such as the phantom's."
        )


def held_out(patients: np.ndarray, seed: int = 0) -> list[np.ndarray]:
    """The patients to hold out, one array of names per training that is judged.

    patients: (N,) of the frames. With `FEW_PATIENTS` or more, there is one training, which a
    quarter of them take no part in; with fewer there are `FOLDS`, and each patient takes its turn,
    because the interval of a quarter of them would say nothing. Raises DataError for fewer than
    `LEAST_PATIENTS`.
    """
    names = np.array(sorted(set(patients)), object)
    if len(names) < LEAST_PATIENTS:
        some = {0: "no patient", 1: "1 patient only"}.get(len(names), f"{len(names)} patients only")
        raise DataError(
            f"There are corrections of {some}: at least {LEAST_PATIENTS} patients are needed, "
            "because some must be held out to judge the new weights. Correct more clips."
        )
    drawn = np.random.default_rng(seed).permutation(names)
    folds = [np.sort(drawn[start::FOLDS]) for start in range(FOLDS)]
    return folds if len(names) < FEW_PATIENTS else folds[:1]


def score_frames(network: Encoder, frames: FrameSet) -> np.ndarray:
    """Dice (N,) of a network's masks of packed frames, in the squares."""
    masks = square_masks(predict(network, np.asarray(frames.images)), frames.size)
    return np.array([dice(a, b) for a, b in zip(masks, frames.masks, strict=True)])


def learn(
    start: Encoder,
    corrected: FrameSet,
    remembered: FrameSet,
    folder: str | Path,
    config: TrainingConfig | None = None,
    resume: bool = False,
    progress: bool = True,
) -> Lesson:
    """Train a network further on corrected frames; keep the weights where they are not worse.

    start: a network of single frames that marks masks; it is not changed. corrected: packed
    frames, of which all splits are used. remembered: packed frames of its first data, with the
    splits "train" and "val", see `remembered_frames`. folder: for `learning.json` and
    `learning.csv` (Dice of each held-out frame before and after), a folder for each training, and
    `model.safetensors`, which is there only if the weights are kept. config: of `learning_config`;
    minutes are those of all trainings together. resume: go on with trainings that were interrupted;
    where `learning.json` is there, nothing is left to do. Raises ValueError for another kind of
    network and a folder that is in use, and DataError for corrections of too few patients, or as
    `check_remembered` does.
    """
    check_models(start, None)
    check_remembered(corrected, remembered, start)
    folder, config = Path(folder), config or learning_config(len(corrected))
    patients = corrected.table.patient.to_numpy()
    folds = held_out(patients, config.seed)
    if (folder / LESSON_FILE).is_file():
        return _finished(folder, corrected, resume)
    taught, first_data = with_regions(corrected, start), remembered.split("train")
    crossed = len(folds) > 1
    trainings = len(folds) + crossed
    if config.minutes is not None:
        config = replace(config, minutes=config.minutes / trainings)

    def train(left_out: np.ndarray, name: str) -> Encoder:
        chosen = taught.select(~left_out)
        return train_further(start, chosen, first_data, folder / name, config, resume, progress)

    cases = []
    for number, fold in enumerate(folds, 1):
        left_out = np.isin(patients, fold)
        network = train(left_out, f"without-{number}")
        cases.append(score_change(start, network, corrected.select(left_out)))
    if crossed:
        left_out = np.zeros(len(patients), bool)
        network = train(left_out, FULL_FOLDER)
    table = pd.concat(cases, ignore_index=True)
    lesson = _lesson(start, network, table, remembered.split("val"), config.start, crossed)
    seen = tuple(sorted(set(patients[~left_out])))
    lesson = replace(lesson, patients=len(set(patients)), frames=len(patients), seen=seen)
    _write(lesson, table, network, folder)
    return lesson


def _finished(folder: Path, corrected: FrameSet, resume: bool) -> Lesson:
    """The lesson that a folder holds. Raises ValueError unless it is to be resumed, and is this."""
    lesson = read_lesson(folder)
    if not resume or lesson.frames != len(corrected):
        raise ValueError(
            f"{folder} already holds what was learnt from {lesson.frames} corrected frames. Choose "
            "another folder."
        )
    return lesson


def _lesson(
    start: Encoder, network: Encoder, cases: pd.DataFrame, unseen: FrameSet, name: str,
    crossed: bool,
) -> Lesson:  # fmt: skip
    """A lesson by the cases of held-out patients, and by remembered frames that are unseen."""
    before, after = mean_dice(cases)
    return Lesson(
        difference=compare(cases),
        before=before,
        after=after,
        crossed=crossed,
        remembered_before=float(score_frames(start, unseen).mean()),
        remembered_after=float(score_frames(network, unseen).mean()),
        start=name or start.name,
    )


def train_further(
    start: Encoder,
    taught: FrameSet,
    remembered: FrameSet,
    folder: str | Path,
    config: TrainingConfig | None = None,
    resume: bool = False,
    progress: bool = True,
) -> Encoder:
    """Train a network further on corrected frames, mixed with remembered ones, without a guard.

    taught: of `with_regions`. Other parameters and errors: see `learn`. Some of the corrected
    frames also choose among the weights of the training, although it has seen them, because those
    that are held out must choose nothing. Returns the new network; `start` is not changed.
    """
    config = config or learning_config(len(taught))
    frames, chosen = mix(taught, remembered), taught.spread(CHOOSING_FRAMES)
    Training(deepcopy(start), frames, chosen, folder, config, resume).run(progress)
    return load_model(Path(folder))


def score_change(before: Encoder, after: Encoder, frames: FrameSet) -> pd.DataFrame:
    """One row per frame: clip, frame, patient, and Dice of two networks, before and after."""
    table = frames.table[["clip", "frame", "patient"]].copy()
    return table.assign(before=score_frames(before, frames), after=score_frames(after, frames))


def mean_dice(cases: pd.DataFrame) -> tuple[float, float]:
    """Mean Dice before and after, each patient counted once. cases: as for `compare`."""
    before, after = cases.groupby("patient")[["before", "after"]].mean().mean()
    return float(before), float(after)


def compare(cases: pd.DataFrame) -> PairedDifference:
    """Dice after minus Dice before, by patient. cases: columns patient, before and after."""
    after, before = cases.after.to_numpy(), cases.before.to_numpy()
    return paired_difference(after, before, cases.patient.to_numpy())


def _write(lesson: Lesson, cases: pd.DataFrame, network: Encoder, folder: Path) -> None:
    """Write the cases, the new weights where they are kept, and the lesson, which comes last."""
    write_table(cases.round(4), folder / CASES_FILE)
    if lesson.kept:
        network.card |= {"guard": asdict(lesson.difference), "crossed": lesson.crossed}
        for name in ("validation_frames", "validation_dice"):  # of frames that it has seen
            del network.card[name]
        save_model(network, folder / WEIGHTS_FILE)
    write_json(asdict(lesson) | {"kept": lesson.kept}, folder / LESSON_FILE)


# --- What has not been seen yet -------------------------------------------------------------------


def read_lesson(folder: str | Path) -> Lesson:
    """The lesson that `learn` wrote to a folder. Raises DataError for a file that is none."""
    path = Path(folder) / LESSON_FILE
    content = read_json(path)
    try:
        content = {name: content[name] for name in Lesson.__dataclass_fields__}
        content["difference"] = PairedDifference(**content["difference"])
        content["seen"] = tuple(content["seen"])
    except (KeyError, TypeError) as error:
        raise DataError(
            f"{path} is no report of a training on corrections ({error}). Train anew into another "
            "folder."
        ) from error
    return Lesson(**content)


def unseen_frames(corrected: FrameSet, lesson: Lesson) -> FrameSet:
    """The corrected frames of patients that the new weights of a lesson have not seen.

    `score_change` on them says how the last training changed a network.
    """
    return corrected.select(~corrected.table.patient.isin(lesson.seen).to_numpy())
