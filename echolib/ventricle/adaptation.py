"""Networks adapt to clips that nobody has outlined: they learn from what they outline together.

The networks of `load_networks` outline some clips of a hospital, and each of them is then trained
further on these outlines, as if they were an expert's. An error that differs from frame to frame
cannot be learnt from hundreds of frames, but what holds in all of them can: how this hospital's
machines show a heart. An error that all outlines share remains, because no label corrects it; and
where the networks are at home already, as on the phantom, they only forget a little.
`benchmarks/adaptation.py` measures what this is worth on real hearts. Source of the method, which
is called self-training: Xie, Luong, Hovy, Le, CVPR 2020.
"""

from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from ..arrays import evenly, read_npz
from ..cautions import CODES
from ..data.camus import label_tracing
from ..data.clips import Clip
from ..data.frames import Dataset, FrameSet
from ..data.problems import Problem, problem_summary
from ..data.reading import clips_of, only_labelled, read_with_labels
from ..data.sector import sector_box
from ..errors import DataError
from ..files import write_npz
from ..geometry import LANDMARKS
from ..locks import one_at_a_time
from ..memory import require_memory
from ..networks.inference import with_regions
from ..networks.models import Encoder, finds_landmarks
from ..networks.plan import TrainingConfig
from ..networks.training import Training
from ..parts import Parts
from ..workers import clip_workers, spread
from .clip import measure_clip, measure_pair
from .networks import Networks, load_networks, within_beats
from .study import networks_identity

SAMPLED = 8  # frames of a clip, spread evenly, beside the ED and ES frame of its first beat
STEPS = 1000  # of each training
LEAST_FRAMES = 32  # two batches: from fewer a network learns these frames, not their hospital
CHOOSING_FRAMES = 200  # they choose among the weights of a training
OUTLINES_FOLDER = "outlines"
FOLDERS = {
    "single": "lv_adapted", "cycle": "lv_cycle_adapted", "landmarks": "lv_landmarks_adapted",
    "cycle_landmarks": "lv_cycle_landmarks_adapted",
}  # fmt: skip
# of clips that are left out: their outlines may be no left ventricle of a four-chamber view
UNFIT = {"two-pictures", "other-view", "doubtful-outlines"}
ARRAYS = ("images", "masks", "neighbours")
FORMAT = 2  # increase it when outlines of the same clips become others


def adapt(
    data: Dataset,
    networks: Networks,
    folder: str | Path,
    split: str = "all",
    most: int | None = None,
    seed: int = 0,
    workers: int | None = 1,
    progress: bool = True,
    problems: list[Problem] | None = None,
    **settings: Any,
) -> Networks:
    """Train networks further on their own outlines of a data set's clips; labels are not used.

    split, most, workers, problems: as for `outlined_frames`. folder: for the outlines, and a folder
    for each network (`FOLDERS`) with its weights; finished clips and steps are there for the same
    call after an interruption. seed: of the trainings. settings: of `adaptation_config`. Returns
    the new networks, without a calibration; those given are not changed. Raises DataError as
    `outlined_frames` does, and where the folder holds what other networks or clips gave.
    """
    folder, given = Path(folder), vars(networks)
    roles = [role for role in FOLDERS if given[role] is not None]
    frames = outlined_frames(data, networks, folder, split, most, workers, progress, problems)
    config = adaptation_config(len(frames), seed=seed, **settings)
    for number, role in enumerate(roles, start=1):
        if progress:
            tqdm.write(f"{given[role].name}, network {number} of {len(roles)}")
        train_on_outlines(given[role], frames, folder / FOLDERS[role], config, progress)
    return load_networks([str(folder / FOLDERS[role]) for role in roles], calibration=None)


def adaptation_config(frames: int, **settings: Any) -> TrainingConfig:
    """Settings of a training on outlines: those of any training, for `STEPS` steps.

    frames: number of outlined ones. settings: of `TrainingConfig`, which replace these.
    """
    batch = settings.get("batch", TrainingConfig.batch)
    return TrainingConfig(**{"epochs": STEPS / max(1, frames // batch), **settings})


def train_on_outlines(
    network: Encoder,
    frames: FrameSet,
    folder: Path,
    config: TrainingConfig,
    progress: bool = True,
) -> None:
    """Train a copy of a network on outlined frames; a training that the folder holds goes on.

    frames: of `outlined_frames`. Some of them also choose among the weights of the training,
    although it has seen them.
    """
    if not finds_landmarks(network):
        frames = with_regions(frames, network)
    config = replace(config, start=network.name)
    chosen = frames.spread(CHOOSING_FRAMES)
    Training(deepcopy(network), frames, chosen, folder, config, resume=True).run(progress)


# --- Outlines as labels ---------------------------------------------------------------------------


def outlined_frames(
    data: Dataset,
    networks: Networks,
    folder: str | Path,
    split: str = "all",
    most: int | None = None,
    workers: int | None = 1,
    progress: bool = True,
    problems: list[Problem] | None = None,
) -> FrameSet:
    """Frames of a data set's clips, labelled by the networks' common outlines.

    split: part of the data set, or "all". most: clips that are outlined at most, spread evenly, by
    default all. folder: in whose `outlines` each finished clip is kept. workers: as of
    `workers.clip_workers`. problems: list to which clips that are left out are added, with the
    reason: they cannot be read, no beat counts in them, or their outlines are doubtful, see
    `UNFIT`. Each clip gives `SAMPLED` frames, and the ED and ES frame of its first beat; the
    neighbours of a frame are the ED and ES frame of its own. A data set of single frames, such as
    CAMUS without its sequences, gives the two that an expert chose as ED and ES. All frames are of
    the split "train". Landmarks are those of the outlines. Raises DataError where no clip is in the
    split, or fewer than `LEAST_FRAMES` frames can be outlined.
    """
    place, clips = Path(folder) / OUTLINES_FOLDER, clips_of(data, split, most)
    identity = {"data": data.fingerprint(), "split": split, "clips": len(clips)}
    identity |= {"format": FORMAT, "networks": networks_identity(networks)}
    with one_at_a_time(place):  # also of the processes of `torchrun`
        parts = Parts(place, identity)
        task = partial(_outlined, data=data, networks=networks, parts=parts)
        made = spread(task, enumerate(clips), clip_workers(workers, len(clips)))
        contents = list(tqdm(made, "outlines", len(clips), unit="clip", disable=not progress))
    found = [Problem(**problem) for content in contents for problem in content["problems"]]
    if problems is not None:
        problems += found
    count = sum(len(content["rows"]) for content in contents)
    if count < LEAST_FRAMES:
        raise DataError(
            f"{data.folder}: {count} frames of {len(clips)} clips could be outlined, at least "
            f"{LEAST_FRAMES} are needed. Adapt on more clips.\n{problem_summary(found)}"
        )
    return _frame_set(data, networks, parts, contents)


def _outlined(
    numbered: tuple[int, str], data: Dataset, networks: Networks, parts: Parts
) -> dict[str, Any]:
    """Rows of the table of a clip's frames ("rows"), and its problems ("problems").

    They come from the clip's part, if there is one; a clip that is left out has none, so that the
    next run tries it again. numbered: the clip's number, and its name.
    """
    number, name = numbered
    part = f"{number:06}"
    if (content := parts.load(part, [name])) is not None:
        return content
    problems: list[Problem] = []
    outlined = _outline(name, data, networks, problems)
    found = [vars(problem) for problem in dict.fromkeys(problems)]
    if outlined is None:
        return {"rows": [], "problems": found}
    rows, arrays = outlined
    file = _array_file(parts, number)
    write_npz(file, arrays.items())
    return parts.save(part, [name], {"rows": rows, "problems": found}, [file])


def _array_file(parts: Parts, number: int) -> Path:
    return parts.folder / f"{number:06}.npz"


def _outline(
    name: str, data: Dataset, networks: Networks, problems: list[Problem]
) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]] | None:
    """Rows of clip, frame and phase of a clip's outlined frames, and their `ARRAYS`.

    None where the clip is left out. The reason, and what is malformed in it, is added to
    `problems`.
    """
    labelled, clip = read_with_labels(data, name, problems)
    pair = {frame.phase: frame for frame in labelled}
    beats, reason = [], ""
    if isinstance(clip, Clip) and not only_labelled(clip, labelled):
        result = measure_clip(clip, networks)
        reason = " ".join(caution for caution in result.warnings if caution.code in UNFIT)
        beats = [(b.end_diastole, b.end_systole) for b in result.function.beats if b.counts]
        frames, masks = result.orientation.turn(clip.frames), result.orientation.turn(result.masks)
        chosen = evenly(len(frames), SAMPLED)
    elif {"ED", "ES"} <= pair.keys():
        frames = np.stack([pair[phase].image for phase in ("ED", "ES")])
        masks, row = measure_pair(frames, networks)
        if networks.calibration and row["doubt"] > networks.calibration.doubt:
            reason = CODES["doubtful-outlines"]
        beats, chosen = [(0, 1)], np.array([0, 1])
    elif not isinstance(clip, Clip):  # the reason is among the problems
        return None
    if not beats:
        reason = reason or "no beat counts, so that no frame can be seen in its beat"
    elif not all(masks[frame].any() for frame in beats[0]):
        reason = reason or "the outline of end-diastole or end-systole is empty"
    if reason:
        problems.append(Problem(name, None, reason))
        return None
    chosen = np.union1d(chosen, beats[0])
    chosen = chosen[masks[chosen].any(axis=(1, 2))]
    box = sector_box(frames, networks.size)
    inside = within_beats(np.stack([box.image(frame) for frame in frames]), beats)[chosen]
    masks = np.stack([box.mask(mask) for mask in masks[chosen]])
    phases = dict(zip(beats[0], ("ED", "ES"), strict=True))
    rows = [{"clip": name, "frame": int(frame), "phase": phases.get(frame, "")} for frame in chosen]
    return rows, {"images": inside[:, 1], "masks": masks, "neighbours": inside[:, [0, 2]]}


def _frame_set(
    data: Dataset, networks: Networks, parts: Parts, contents: list[dict[str, Any]]
) -> FrameSet:
    """The frames of all parts with rows, and the landmarks of their outlines.

    A frame is left out where the outline is too small for landmarks.
    """
    rows = [row for content in contents for row in content["rows"]]
    require_memory(f"{len(rows)} outlined frames", 2 * 4 * len(rows) * networks.size**2)
    files = [_array_file(parts, n) for n, content in enumerate(contents) if content["rows"]]
    arrays = [read_npz(file, ARRAYS) for file in files]
    images, masks, neighbours = (np.concatenate([one[a] for one in arrays]) for a in ARRAYS)
    table = pd.DataFrame(rows)
    table["patient"] = table["clip"].map(data.table.patient.astype(str))
    table["source"] = f"{data.name}, outlined by {', '.join(networks.names)}"
    unknown = {"fps": np.nan, "spacing": np.nan}  # which no training needs
    table = table.assign(split="train", height=networks.size, width=networks.size, **unknown)
    frames = FrameSet(images, masks, None, table, neighbours=neighbours)
    regions = with_regions(frames, networks.single).regions
    landmarks = np.zeros((len(frames), LANDMARKS, 2), np.float32)
    found = np.zeros(len(frames), bool)
    for index, labels in enumerate(masks.astype(np.uint8) if regions is None else regions):
        with suppress(ValueError):  # too small or too thin for a long axis
            landmarks[index] = label_tracing(labels).landmarks
            found[index] = True
    return replace(frames, landmarks=landmarks).select(found)
