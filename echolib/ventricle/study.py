"""Measure every clip of a study; the tables also contain the study's own EF and labels."""

import hashlib
import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from .. import __version__
from ..arrays import read_npz
from ..cautions import Caution, joined, restored
from ..data.clips import Clip
from ..data.frames import Dataset, LabelledFrame
from ..data.problems import Problem, full_table
from ..data.reading import clips_of, only_labelled, places, read_with_labels
from ..data.sector import clip_sector
from ..errors import DataError, printable
from ..files import write_npz, write_table
from ..geometry import disk_volume, ejection_fraction, mask_to_tracing
from ..locks import one_at_a_time
from ..masks import PackedMasks
from ..metrics import dice
from ..networks.models import weights_digest
from ..networks.orientation import Orientation
from ..parts import Parts
from ..workers import clip_workers, clips_per_task, spread
from .calibration import SPREADS
from .clip import ClipFunction, measure_clip, measure_pair
from .function import Beat, heart_function
from .networks import Networks

PARTS_FOLDER = "parts"
FORMAT = 12  # increase it when parts of an older version lack something or were measured otherwise
COLUMNS = [
    "name", "ef_measured", "ef_corrected", "ef_low", "ef_high", "n_beats", "heart_rate",
    "edv", "esv", "length_ed", "length_es", "unit", "length_unit",
    "warning_codes", "warnings",
]  # fmt: skip
CLIP_COLUMNS = [*COLUMNS, "patient", "split", "file", "ef_true", *SPREADS, "doubt"]
BEAT_COLUMNS = ["name", *Beat.__dataclass_fields__]
LABELLED_COLUMNS = ["clip", "frame", "phase", "split", "patient", "dice", "area", "area_true"]


def measure_study(
    data: Dataset,
    networks: Networks,
    folder: str | Path,
    split: str = "test",
    most: int | None = None,
    progress: bool = True,
    workers: int | None = 1,
    scheduler: str = "",
) -> dict[str, pd.DataFrame]:
    """Measure every clip of a split, and write the results to a folder, clip by clip.

    split: name of the split, or "all". most: measure at most this number of clips, 1 or more,
    spread evenly over the split; by default all. workers, scheduler: who measures, see
    `workers.clip_workers` and `workers.spread`; the results do not depend on it. Returns and
    writes four tables:

    `clips.csv`, one row per clip, `beats.csv`, one row per beat, and `frames.csv`, one row per
    labelled frame, whose columns TABLES.md describes; `problems.csv`, all that is malformed in the
    study's tables and clips, as of `problems.full_table`.

    A study without clips, such as CAMUS without its sequences, is measured on the ED and ES frames
    that the expert chose; its rows have no beats and no heart rate, and a warning says so. The
    masks are kept in `parts/`, so that `stored_result` needs no network. A clip that cannot be
    read keeps a row with the reason. Clips that were finished before an interruption are not
    measured again, unless their part is damaged, and of two processes that want the same study, one
    waits for the other. A folder of clips may grow: then only the clips are measured that are new,
    or whose file is another one. Raises DataError where the folder holds the results of another
    study, or the split has no clip.
    """
    folder, chosen = Path(folder), clips_of(data, split, most)
    states: Mapping[str, str] | None = getattr(data, "states", None)
    if states is None:
        identity = {"data": data.fingerprint(), "split": split, "clips": len(chosen)}
        tasks = [(f"{number:06}", name) for number, name in enumerate(chosen)]
    else:
        identity = {"data": _checksum(str(data.folder.resolve()))}
        identity["changes"] = getattr(data, "changes", {})
        tasks = [(_checksum(f"{name} {states[name]}"), name) for name in chosen]
    identity |= {"format": FORMAT, "networks": networks_identity(networks)}
    with one_at_a_time(folder):
        parts = Parts(folder / PARTS_FOLDER, identity)
        task = partial(_part, data=data, networks=networks, parts=parts)
        rows = spread(
            task, tasks, clip_workers(workers, len(chosen)), scheduler,
            clips_per_task(len(chosen)), [parts.identity_file, *places(data, chosen)],
        )  # fmt: skip
        bar = tqdm(rows, "heart function", len(chosen), unit="clip", disable=not progress)
        results = list(bar)
        if states is not None:
            for result in results:  # the table of EFs may have changed since
                result["clip"]["ef_true"] = data.table.EF[result["clip"]["name"]]
        return _write_tables(folder, results, data.problems)


def _part(task: tuple[str, str], data: Dataset, networks: Networks, parts: Parts) -> dict:
    """The results of a clip from its part, which is made first if it is not there.

    task: names of the part and of the clip.
    """
    part, name = task
    result = parts.load(part, [name])
    if result is None:
        masks = _mask_file(parts.folder, name)
        masks.unlink(missing_ok=True)  # of an earlier clip of this name
        result = _measure(data, name, networks, parts.folder)
        result = parts.save(part, [name], result, [masks] if masks.is_file() else [])
    return result


def stored_result(data: Dataset, row: pd.Series, folder: str | Path) -> ClipFunction:
    """Restore the result of a clip from the masks that `measure_study` stored in `folder`.

    row: the clip's row in the table of clips. Raises DataError where the masks are missing or
    damaged.
    """
    path = _mask_file(Path(folder) / PARTS_FOLDER, row["name"])
    clip = data.clip(row["name"])
    try:
        arrays = read_npz(path, ["masks", "turned"])
        masks = PackedMasks(arrays["masks"], clip.frames.shape[2])
        if masks.shape != clip.frames.shape:
            raise DataError(f"{path}: masks of {masks.shape} for frames of {clip.frames.shape}.")
        upside_down, mirrored = map(bool, arrays["turned"])
        orientation = Orientation(upside_down, mirrored)
    except (ValueError, TypeError) as error:
        raise DataError(
            f"The masks of {row['name']} cannot be read. {error} Move {path.parents[1]} away and "
            "measure the study again."
        ) from error
    upright, sector = orientation.turn_masks(masks), orientation.turn(clip_sector(clip).inside)
    function = heart_function(upright, clip.fps, clip.spacing, sector)
    return ClipFunction(
        clip,
        masks,
        function.with_points(lambda points: orientation.turn_points(points, *masks.shape[1:])),
        ef_measured=float(row["ef_measured"]),
        ef_corrected=float(row["ef_corrected"]),
        ef_low=float(row["ef_low"]),
        ef_high=float(row["ef_high"]),
        spreads={name: float(row[name]) for name in SPREADS},
        doubt=float(row["doubt"]),
        warnings=restored(row["warning_codes"], row["warnings"]),
        weights=(),
        orientation=orientation,
    )


def mask_file(row: pd.Series, folder: str | Path) -> Path:
    """The file of the masks that `measure_study` stored of a clip in `folder`, if there are any.

    row: as for `stored_result`.
    """
    return _mask_file(Path(folder) / PARTS_FOLDER, row["name"])


def _mask_file(parts: Path, name: str) -> Path:
    return parts / "masks" / f"{name}.npz"


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def networks_identity(networks: Networks) -> str:
    """Hash of the networks' weights and of their calibration."""
    weights = [weights_digest(model) for model in networks.models()]
    text = f"{__version__} {networks.calibration} {weights}"
    return _checksum(text)


def _write_tables(
    folder: Path, rows: list[dict], problems: list[Problem]
) -> dict[str, pd.DataFrame]:
    found = [Problem(**problem) for row in rows for problem in row["problems"]]
    tables = {
        "problems": full_table([*problems, *found]),
        "clips": pd.DataFrame([row["clip"] for row in rows], columns=CLIP_COLUMNS),
        "beats": pd.DataFrame(
            [beat for row in rows for beat in row["beats"]], columns=BEAT_COLUMNS
        ),
        "frames": pd.DataFrame(
            [frame for row in rows for frame in row["frames"]], columns=LABELLED_COLUMNS
        ),
    }
    for name, table in tables.items():
        write_table(table, folder / f"{name}.csv")
    return tables


def _measure(data: Dataset, name: str, networks: Networks, parts: Path) -> dict[str, object]:
    """Measure one clip and store its masks.

    Returns a dict with its row ("clip"), beats, labelled frames ("frames"), and problems.
    """
    problems: list[Problem] = []
    labelled, clip = read_with_labels(data, name, problems)
    result = _measure_read(data, name, labelled, clip, networks, parts)
    return result | {"problems": [vars(problem) for problem in dict.fromkeys(problems)]}


def _measure_read(
    data: Dataset,
    name: str,
    labelled: list[LabelledFrame],
    clip: Clip | Caution,
    networks: Networks,
    parts: Path,
) -> dict[str, object]:
    """Measure what was read. Returns a dict like that of `_measure`, less problems."""
    record = data.table.loc[name]
    truth: dict[str, str | float] = {"patient": str(record.patient), "split": str(record.split)}
    file = record.path.relative_to(data.folder) if "path" in record else ""
    truth["file"] = printable(str(file))
    true = float(record.get("EF", np.nan))
    # where a folder of corrections lists no EF, its ED or ES is a frame that nobody outlined
    if np.isnan(true) and data.name != "corrections":
        true = _labelled_ef(labelled)
    truth["ef_true"] = true
    if isinstance(clip, Caution):
        return _measure_labelled_pair(name, labelled, networks, truth, clip)
    if only_labelled(clip, labelled):
        return _measure_labelled_pair(
            name, labelled, networks, truth, Caution("no-clip", "There is no clip.")
        )
    result = measure_clip(clip, networks)
    turned = np.array([result.orientation.upside_down, result.orientation.mirrored])
    arrays = [("masks", result.packed.bits), ("turned", turned)]
    write_npz(_mask_file(parts, name), arrays)
    row = result.row() | truth | {**result.spreads, "doubt": result.doubt}
    beats = json.loads(result.function.beats_table().to_json(orient="records"))
    frames = [
        _frame_row(frame, result.packed[frame.frame])
        for frame in labelled
        if frame.frame < len(result.packed)
    ]
    return {"clip": row, "beats": [{"name": name, **beat} for beat in beats], "frames": frames}


def _measure_labelled_pair(
    name: str,
    labelled: list[LabelledFrame],
    networks: Networks,
    truth: dict[str, str | float],
    reason: Caution,
) -> dict[str, object]:
    """Measure the labelled ED and ES frames, if there are both, in place of the clip.

    truth: the columns patient, split, file and ef_true. reason: why the clip itself is not
    measured. Returns a dict like that of `_measure`.
    """
    row = dict.fromkeys(COLUMNS, np.nan) | {"name": name, "n_beats": 0}
    row |= {"unit": "", "length_unit": ""}
    row |= joined([reason])
    by_phase = {frame.phase: frame for frame in labelled}
    if not {"ED", "ES"} <= by_phase.keys():
        return {"clip": row | truth, "beats": [], "frames": []}
    pair = [by_phase["ED"], by_phase["ES"]]
    masks, results = measure_pair(np.stack([frame.image for frame in pair]), networks)
    row |= {name: results.pop(name) for name in COLUMNS if name in results}
    measured = Caution("expert-frames", "Measured on the ED and ES frames that the expert chose.")
    row |= joined([reason, measured])
    frames = [_frame_row(frame, mask) for frame, mask in zip(pair, masks, strict=True)]
    return {"clip": row | truth | results, "beats": [], "frames": frames}


def _labelled_ef(labelled: list[LabelledFrame]) -> float:
    """EF of the expert's masks by the method of disks, per cent; NaN without ED or ES."""
    masks = {frame.phase: frame.mask for frame in labelled}
    if not {"ED", "ES"} <= masks.keys():
        return np.nan
    return ejection_fraction(*(disk_volume(mask_to_tracing(masks[p])) for p in ("ED", "ES")))


def _frame_row(frame: LabelledFrame, mask: np.ndarray) -> dict:
    return {
        **{name: getattr(frame, name) for name in ("clip", "frame", "phase", "split", "patient")},
        "dice": dice(mask, frame.mask),
        "area": int(mask.sum()),
        "area_true": int(frame.mask.sum()),
    }
