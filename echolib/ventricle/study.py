"""The heart function of every clip of a study, beside what the study knows of it."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm.auto import tqdm

from .. import __version__
from ..data.frames import Dataset, LabelledFrame
from ..errors import DataError
from ..files import atomic_path, claim_parts, write_table
from ..geometry import disk_volume, ejection_fraction, mask_to_tracing
from ..metrics import dice
from ..networks.models import weights_digest
from .clip import Networks, measure_clip, measure_pair

PART = 25  # clips between two writings
TABLES = ("clips", "beats", "frames")
COLUMNS = [
    "name", "ef", "ef_low", "ef_high", "n_beats", "heart_rate", "edv", "esv", "unit", "warnings",
]  # fmt: skip


def measure_study(
    data: Dataset,
    networks: Networks,
    folder: str | Path,
    split: str = "test",
    most: int | None = None,
    device: torch.device | None = None,
    progress: bool = True,
) -> dict[str, pd.DataFrame]:
    """Measure every clip of a split, and write what was found to a folder as it comes.

    most: at most that many clips, spread evenly over the split; default all. Returns and writes
    three tables. `clips.csv`, a row a clip: `COLUMNS`, then patient, split, ef_true (the study's
    own EF, else that of its labelled frames), found (EF before the calibration), views, networks,
    beats (spreads of it) and doubt. `beats.csv`, a row a beat. `frames.csv`, a row a labelled
    frame: clip, frame, phase, split, patient, dice, area and area_true in px. A study without
    clips, as CAMUS without its sequences, is measured on the ED and ES frames that its expert
    chose: its rows have no beats and no heart rate, and say so.

    A clip that cannot be read keeps a row that says why. What was finished before an
    interruption is not measured again. Raises DataError where the folder holds another study's
    results, or the split has no clip.
    """
    folder = Path(folder)
    chosen = data.table.index[(data.table.split == split) | (split == "all")]
    if not len(chosen):
        there = sorted(data.table.split.unique())
        raise DataError(f"{data.folder} has no clip in the split {split!r}; it has {there}, 'all'.")
    if most is not None and most < len(chosen):
        chosen = chosen[np.linspace(0, len(chosen) - 1, max(1, most)).round().astype(int)]
    parts = folder / "parts"
    identity = {"data": data.fingerprint(), "split": split, "clips": len(chosen)}
    claim_parts(parts, identity | {"networks": _identity(networks)})
    rows: list[dict] = []
    bar = tqdm(total=len(chosen), desc="heart function", unit="clip", disable=not progress)
    for start in range(0, len(chosen), PART):
        names = list(chosen[start : start + PART])
        part = parts / f"{start:06}.json"
        if not part.is_file():
            measured = []
            for name in names:
                measured.append(_measured(data, name, networks, device))
                bar.update()
            with atomic_path(part) as temporary:
                temporary.write_text(json.dumps(measured), encoding="utf-8")
        else:
            bar.update(len(names))
        rows += json.loads(part.read_text(encoding="utf-8"))
    bar.close()
    return _write_tables(folder, rows)


def _identity(networks: Networks) -> str:
    """Hash of the networks' weights and of their calibration."""
    models = (networks.alone, networks.cycle, networks.landmarks)
    weights = [None if model is None else weights_digest(model) for model in models]
    known = f"{__version__} {networks.calibration} {weights}"
    return hashlib.sha256(known.encode()).hexdigest()[:16]


def _write_tables(folder: Path, rows: list[dict]) -> dict[str, pd.DataFrame]:
    tables = {
        "clips": pd.DataFrame([row["clip"] for row in rows]),
        "beats": pd.DataFrame([beat for row in rows for beat in row["beats"]]),
        "frames": pd.DataFrame([frame for row in rows for frame in row["frames"]]),
    }
    for name, table in tables.items():
        write_table(table, folder / f"{name}.csv")
    return tables


def _measured(
    data: Dataset, name: str, networks: Networks, device: torch.device | None
) -> dict[str, object]:
    """What is written of one clip: its row, its beats and its labelled frames."""
    record = data.table.loc[name]
    known = {"patient": str(record.patient), "split": str(record.split)}
    labelled, _ = data.labelled(name)
    true = float(record.get("EF", np.nan))
    known["ef_true"] = _labelled_ef(labelled) if np.isnan(true) else true
    try:
        clip = data.clip(name)
    except DataError as error:
        return _without_clip(name, labelled, networks, known, f"It cannot be read: {error}", device)
    if len(clip.frames) <= len(labelled):  # no more than what the expert chose
        return _without_clip(name, labelled, networks, known, "No clip.", device)
    result = measure_clip(clip, networks, device)
    row = result.row() | known | {"found": result.found, **result.spreads, "doubt": result.doubt}
    beats = json.loads(result.function.beats_table().to_json(orient="records"))
    frames = [
        _frame_row(frame, result.masks[frame.frame])
        for frame in labelled
        if frame.frame < len(result.masks)
    ]
    return {"clip": row, "beats": [{"name": name, **beat} for beat in beats], "frames": frames}


def _without_clip(
    name: str,
    labelled: list[LabelledFrame],
    networks: Networks,
    known: dict,
    reason: str,
    device: torch.device | None,
) -> dict[str, object]:
    """The same of a clip that is not there: measured on its ED and ES frames, if it has both."""
    row = dict.fromkeys(COLUMNS, np.nan) | {"name": name, "n_beats": 0, "unit": ""}
    row["warnings"] = reason
    by_phase = {frame.phase: frame for frame in labelled}
    if not {"ED", "ES"} <= by_phase.keys():
        return {"clip": row | known, "beats": [], "frames": []}
    pair = [by_phase["ED"], by_phase["ES"]]
    masks, found = measure_pair(np.stack([frame.image for frame in pair]), networks, device)
    row |= {name: found.pop(name) for name in ("ef", "ef_low", "ef_high")}
    row["warnings"] = f"{reason} Measured on the ED and ES frames that the expert chose."
    frames = [_frame_row(frame, mask) for frame, mask in zip(pair, masks, strict=True)]
    return {"clip": row | known | found, "beats": [], "frames": frames}


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
