"""How far two people agree who corrected the same clips."""

from typing import Any

import numpy as np
import pandas as pd

from ..errors import DataError, did_you_mean
from ..metrics import case_scores
from ..statistics import patient_interval
from .document import outlined_frames
from .folder import Folder
from .outline import leaflets_mask, ventricle_mask
from .rows import ejection

COLUMNS = (
    "clip", "frame", "structure", "dice", "distance_px", "ef_first", "ef_second", "ef_difference",
)  # fmt: skip


def agreement(folder: Folder, first: str, second: str) -> pd.DataFrame:
    """Compare two annotators: one row per clip, frame and structure that both have drawn.

    Columns: clip; frame; structure, "ventricle" or "leaflets", both in one; dice; distance_px, the
    mean distance between the two outlines (average symmetric surface distance, px); ef_first,
    ef_second, per cent, of all that each has outlined in the clip, by the method of disks, the same
    in all rows of a clip; ef_difference, the second less the first. EF is NaN where one of the two
    outlined fewer than two frames. Frames that were interpolated for one of them, or that one of
    them called not readable, are not compared; `agreement_summary` counts the answers that differ.

    Raises DataError for a name that has no corrections in the folder.
    """
    rows: list[dict[str, Any]] = []
    for clip, documents in _pairs(folder, first, second):
        efs = [_ef(document) for document in documents]
        numbers = {"ef_first": efs[0], "ef_second": efs[1], "ef_difference": efs[1] - efs[0]}
        drawn = [_drawn(document) for document in documents]
        for place in sorted(drawn[0].keys() & drawn[1].keys()):
            scores = case_scores(drawn[0][place], drawn[1][place])
            row = {"clip": clip, "frame": place[0], "structure": place[1]}
            row |= {"dice": scores["dice"], "distance_px": scores["assd"]}
            rows.append(row | numbers)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def agreement_summary(
    folder: Folder, first: str, second: str, table: pd.DataFrame | None = None
) -> dict[str, Any]:
    """The agreement of two annotators in a few numbers.

    table: of `agreement`, where it is at hand.

    clips, frames: that both have drawn in. answers_differ: clips and frames that one of them called
    not readable, or another view, and the other did not. Per structure that was compared: n, and of
    dice and distance_px the mean and its 95 % interval, a bootstrap over clips, NaN for fewer than
    five. ef: n clips, mean difference (second less first) and mean absolute difference in points of
    EF, with its interval.
    """
    table = agreement(folder, first, second) if table is None else table
    documents = [each for _, each in _pairs(folder, first, second)]
    summary: dict[str, Any] = {
        "clips": int(table["clip"].nunique()),
        "frames": len(table[["clip", "frame"]].drop_duplicates()),
        "answers_differ": sum(_differences(*pair) for pair in documents),
    }
    for structure, rows in table.groupby("structure"):
        scores: dict[str, Any] = {"n": len(rows), "clips": int(rows["clip"].nunique())}
        for name in ("dice", "distance_px"):
            interval = patient_interval(rows[name].to_numpy(), rows["clip"].to_numpy())
            scores[name] = {"mean": float(rows[name].mean()), "ci95": list(interval)}
        summary[str(structure)] = scores
    differences = [_ef(b) - _ef(a) for a, b in documents]
    known = np.array([each for each in differences if np.isfinite(each)])
    summary["ef"] = {"n": len(known)}
    if len(known):
        summary["ef"] |= {
            "mean_difference": float(known.mean()),
            "mean_absolute_difference": float(np.abs(known).mean()),
            "ci95": list(patient_interval(np.abs(known), np.arange(len(known)))),
        }
    return summary


def _pairs(
    folder: Folder, first: str, second: str
) -> list[tuple[str, tuple[dict[str, Any], dict[str, Any]]]]:
    """The clips that both annotators have, and both documents of each."""
    if first == second:
        raise DataError(f"Expected two annotators to compare, found {first!r} twice.")
    entries = folder.entries()
    names = {entry.annotator for entry in entries}
    for name in (first, second):
        if name not in names:
            raise DataError(
                f"{folder.path}: no corrections by {name!r}; there are some by "
                f"{', '.join(map(repr, sorted(names))) or 'nobody'}.{did_you_mean(name, names)}"
            )
    clips = [{entry.clip for entry in entries if entry.annotator == n} for n in (first, second)]
    pairs = []
    for clip in sorted(clips[0] & clips[1]):
        documents = folder.document(clip, first), folder.document(clip, second)
        if documents[0] is not None and documents[1] is not None:  # not deleted in the meantime
            pairs.append((clip, (documents[0], documents[1])))
    return pairs


def _ef(document: dict[str, Any]) -> float:
    numbers = ejection(document, outlined_frames(document))
    return numbers[0] if numbers else np.nan


def _drawn(document: dict[str, Any]) -> dict[tuple[int, str], np.ndarray]:
    """The masks (H, W) bool of a document by frame and structure, without interpolated ones."""
    shape = document["height"], document["width"]
    masks: dict[tuple[int, str], np.ndarray] = {}
    for number, frame in document["frames"].items():
        if frame["answer"] or document["answer"]:
            continue
        ventricle, leaflets = frame["ventricle"], _by_hand(frame["leaflets"])
        if ventricle and _by_hand([ventricle]):
            masks[int(number), "ventricle"] = ventricle_mask(ventricle["points"], shape)
        if leaflets:
            masks[int(number), "leaflets"] = leaflets_mask(leaflets, shape)
    return masks


def _by_hand(outlines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [outline for outline in outlines if outline["made"] != "interpolated"]


def _differences(first: dict[str, Any], second: dict[str, Any]) -> int:
    """How many answers of two documents of one clip differ: of the clip, else of frames in both."""
    if first["answer"] or second["answer"]:
        return int(first["answer"] != second["answer"])
    common = first["frames"].keys() & second["frames"].keys()
    answers = [
        (first["frames"][each]["answer"], second["frames"][each]["answer"]) for each in common
    ]
    return sum(a != b for a, b in answers)
