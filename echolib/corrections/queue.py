"""What to correct first: clips and their frames, ordered by how doubtful a network's outlines are.

Where a network is sure, a correction teaches it little. The doubts are those of
`robustness.doubt`, which need no true outline.
"""

import warnings
from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from .. import __version__
from ..arrays import evenly
from ..data.clips import Clip
from ..data.frames import Dataset, in_split
from ..data.problems import Problem, problem_summary
from ..data.sector import sector_box
from ..data.tables import read_table, to_numbers
from ..errors import DataError
from ..files import write_table
from ..networks.inference import predict, square_masks
from ..networks.models import Encoder, finds_landmarks, weights_digest
from ..networks.orientation import find_orientation
from ..parts import Parts
from ..robustness.doubt import DOUBTS, augmented_doubt, disagreement, entropy
from ..workers import clip_workers, spread

SAMPLED = 8  # frames of a clip, spread evenly, whose doubt is measured
PROPOSED = 2  # frames of a clip to correct: EchoNet-Dynamic traces two
COLUMNS = ["place", "clip", "patient", "frame", "worth"]  # then the doubts that were measured
FARTHEST_FRAME = 10**7
PARTS_FOLDER = "doubts"  # in the folder that `correction_queue` is given


def frame_doubts(
    clip: Clip, masks_model: Encoder, landmarks_model: Encoder | None = None, count: int = SAMPLED
) -> pd.DataFrame:
    """Doubts about the outlines of a clip's frames, of which at most `count` are looked at.

    Returns one row per frame that was looked at: frame, disagreement (with the masks of the
    landmarks model, if there is one), augmentation and entropy, as `robustness.doubt` defines
    them. A clip that is not in the usual display is turned for the networks.
    """
    upright = find_orientation(clip, landmarks_model or masks_model).turn(clip.frames)
    chosen = evenly(len(upright), count)
    box = sector_box(upright, masks_model.size)
    images = np.stack([box.image(upright[frame]) for frame in chosen])
    probabilities = predict(masks_model, images)
    table = pd.DataFrame({"frame": chosen})
    if landmarks_model is not None:
        masks = (
            square_masks(answers, masks_model.size)
            for answers in (probabilities, predict(landmarks_model, images))
        )
        table["disagreement"] = disagreement(*masks)
    table["augmentation"] = augmented_doubt(masks_model, images)
    return table.assign(entropy=entropy(probabilities))


def order_frames(doubts: pd.DataFrame, proposed: int = PROPOSED) -> pd.DataFrame:
    """Order clips and frames by the expected worth of a correction, spread over the patients.

    doubts: one row per frame: clip, patient, frame, and some columns of `doubt.DOUBTS`. The worth
    of a frame is its mean rank by these doubts, as a share of all frames: 1 is the most doubtful
    by each of them. The `proposed` frames of the largest worth stand for a clip, and their mean is
    the worth of the clip. Clips come by falling worth, at most one of each patient before any
    patient's second; equal ones stay in the order that they had. Returns the columns `COLUMNS`,
    of which `place` numbers the clips from 1, and the doubts. Raises ValueError for a number of
    frames below 1.
    """
    _check_proposed(proposed)
    measured = [name for name in DOUBTS if name in doubts]
    worth = doubts[measured].rank(pct=True).mean(axis=1)
    frames = doubts.assign(worth=worth).sort_values("worth", ascending=False, kind="stable")
    frames = frames.groupby("clip", sort=False).head(proposed)
    clips = frames.sort_index().groupby("clip", sort=False).agg({"patient": "first"})
    clips["mean"] = frames.groupby("clip").worth.mean().round(12)  # rounding breaks no tie
    clips = clips.sort_values("mean", ascending=False, kind="stable")
    clips["turn"] = clips.groupby("patient").cumcount()
    clips = clips.sort_values("turn", kind="stable")
    places = pd.Series(range(1, len(clips) + 1), index=clips.index)
    frames = frames.assign(place=frames["clip"].map(places))
    frames = frames.sort_values("place", kind="stable").reset_index(drop=True)
    return frames[[*COLUMNS, *measured]]


def correction_queue(
    data: Dataset,
    masks_model: Encoder,
    landmarks_model: Encoder | None = None,
    split: str = "all",
    proposed: int = PROPOSED,
    corrected: Collection[str] = (),
    workers: int | None = 1,
    progress: bool = True,
    problems: list[Problem] | None = None,
    folder: str | Path | None = None,
) -> pd.DataFrame:
    """Order the clips of a data set, with or without labels, as `order_frames` does.

    corrected: names of clips that are left out. workers: processes that share the clips, None for
    what pays; the order does not depend on it. problems: list to which clips that cannot be read
    are added. folder: in whose `doubts` those of finished clips are kept, so that the same call
    goes on after an interruption; doubts of other clips or networks are removed there. Raises
    ValueError for models of the wrong kind or of two sizes, and DataError where nothing is left to
    order.
    """
    check_models(masks_model, landmarks_model)
    _check_proposed(proposed)  # before hours of work
    table = in_split(data.table, split)
    clips = [clip for clip in table.index if clip not in set(corrected)]
    if not clips:
        raise DataError(
            f"{data.folder}: none of the {len(table)} clips of the split {split!r} is left to "
            "correct. Choose another split or another data set."
        )
    models = masks_model, landmarks_model
    identity = _identity(data, models)
    parts = None if folder is None else Parts.or_anew(Path(folder) / PARTS_FOLDER, identity)
    task = partial(_doubts, data=data, models=models, parts=parts)
    made = spread(task, clips, clip_workers(workers, len(clips)))
    results = list(tqdm(made, "doubt", len(clips), unit="clip", disable=not progress))
    found = [Problem(**result["problem"]) for result in results if result["problem"]]
    if problems is not None:
        problems += found
    rows = [row for result in results for row in result["frames"]]
    if not rows:
        raise DataError(
            f"{data.folder}: none of its {len(clips)} clips can be read.\n{problem_summary(found)}"
        )
    return order_frames(pd.DataFrame(rows), proposed)


def _check_proposed(proposed: int) -> None:
    if proposed < 1:
        raise ValueError(f"The frames proposed per clip must be 1 or more, not {proposed}.")


def check_models(masks_model: Encoder, landmarks_model: Encoder | None) -> None:
    """Raise ValueError unless the first model finds masks in single frames, the other landmarks."""
    if finds_landmarks(masks_model) or masks_model.arguments["inputs"] != 1:
        raise ValueError(
            f"{masks_model.name} does not find masks in single frames. Give such a network first, "
            "as lv, and one of landmarks second, as lv_landmarks."
        )
    if landmarks_model is None:
        return
    if not finds_landmarks(landmarks_model) or landmarks_model.arguments["inputs"] != 1:
        raise ValueError(
            f"{landmarks_model.name} does not find landmarks in single frames. Give such a network "
            "second, as lv_landmarks, or the masks network alone."
        )
    if landmarks_model.size != masks_model.size:
        raise ValueError(
            f"The networks see squares of {masks_model.size} and {landmarks_model.size} px. Give "
            "two of one size."
        )


def _identity(data: Dataset, models: tuple[Encoder, Encoder | None]) -> dict[str, Any]:
    """What doubts that are kept must have in common with a run that goes on."""
    networks = [None if model is None else weights_digest(model) for model in models]
    return {"echolib": __version__, "data": data.fingerprint(), "networks": networks}


def _doubts(
    name: str, data: Dataset, models: tuple[Encoder, Encoder | None], parts: Parts | None
) -> dict[str, Any]:
    """Rows of the doubts about a clip's frames ("frames"), or why it cannot be read ("problem").

    They come from the clip's part, if there is one; a clip that cannot be read has none, so that
    the next run tries it again.
    """
    part = f"{data.table.index.get_loc(name):06}"
    if parts is not None and (rows := parts.load(part, [name])) is not None:
        return {"frames": rows, "problem": None}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of a spacing, say: it plays no part
            table = frame_doubts(data.clip(name), *models)
    except DataError as error:
        problem = Problem(name, None, str(error).replace(f"{data.folder}/", ""))
        return {"frames": [], "problem": vars(problem)}
    table.insert(0, "clip", name)
    table.insert(1, "patient", str(data.table.patient[name]))
    rows = table.to_dict("records")
    if parts is not None:
        parts.save(part, [name], rows)
    return {"frames": rows, "problem": None}


# --- The file -------------------------------------------------------------------------------------


def write_queue(queue: pd.DataFrame, path: str | Path) -> None:
    """Write a queue as a CSV, with numbers of four decimals."""
    write_table(queue.round(4), path)


def read_queue(
    path: str | Path, problems: list[Problem] | None = None
) -> list[tuple[str, list[int]]]:
    """The clips of a queue in their order, each with its frames, the most doubtful one first.

    Only the columns clip and frame are needed, so that a list made by hand is a queue too.
    problems: list to which rows that cannot be read are added. Raises DataError for a file that
    cannot be read or is no such table.
    """
    path = Path(path)
    table, found_problems = read_table(path, ["clip", "frame"])
    if problems is not None:
        problems += found_problems
    frames = to_numbers(table.frame)
    wrong = ~(frames.between(0, FARTHEST_FRAME) & (frames == frames.round()))
    if wrong.any():
        found = f"the frame {table.frame[wrong].iloc[0]!r:.40}"
        raise DataError(
            f"{path}: expected rows of a clip and a frame number, found {found}. Let "
            "`python -m echolib queue` write the file anew."
        )
    order: dict[str, list[int]] = {}
    for clip, frame in zip(table["clip"], frames.astype(int), strict=True):
        order.setdefault(clip, []).append(int(frame))
    return list(order.items())
