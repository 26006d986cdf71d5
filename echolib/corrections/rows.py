"""What a document of corrections gives the tables of its folder: phases, EF, tracings, origins."""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from .. import geometry
from ..data.rates import RATES
from ..data.tracings import tracing_rows
from ..geometry import Tracing
from .document import outlined_frames

ROWS_VERSION = 1  # of what `document_rows` gives: rows of another one are made anew


@dataclass(frozen=True)
class Rows:
    """What a document gives the tables.

    listed: its row of FileList.csv without the split, "" where nothing is outlined. traced: its
    rows of VolumeTracings.csv. provenance: its rows of provenance.csv without `in_tables`, and
    whether each is of an outline that the tables can take.
    """

    listed: str
    traced: str
    provenance: tuple[tuple[str, bool], ...]


def document_rows(
    document: dict[str, Any], file: str, spacing: float | None, patient: str, kept: int
) -> Rows:
    """The rows of a checked document. file: the clip's name in the tables. spacing: mm per px."""
    tracings = outlined_frames(document)
    phases = find_phases(document, tracings)
    order = sorted(tracings, key=lambda frame: ({"ES": -1, "ED": 1}.get(phases[frame], 0), frame))
    traced = [
        (f"{file}.avi", *(f"{value:.4f}" for value in row), frame)
        for frame in order
        for row in tracing_rows(tracings[frame])
    ]
    listed = csv_text([_listed(document, file, tracings, spacing)]) if tracings else ""
    provenance = _provenance(document, file, phases, patient, kept)
    return Rows(listed.rstrip("\n"), csv_text(traced), provenance)


def find_phases(document: dict[str, Any], tracings: dict[int, Tracing]) -> dict[int, str]:
    """ED, ES or "" for each outlined frame of a document.

    A frame that was set by hand, else the largest outline is ED and the smallest ES. A frame that
    stands alone has no phase, unless it was set.
    """
    area = {frame: geometry.polygon_area(each.polygon) for frame, each in tracings.items()}
    phases = dict.fromkeys(tracings, "")
    by_hand = {phase: document[phase.lower()] for phase in ("ED", "ES")}
    phases |= {frame: phase for phase, frame in by_hand.items() if frame in phases}
    for phase, choose in (("ED", max), ("ES", min)):
        free = [frame for frame in phases if not phases[frame]]
        if phase not in phases.values() and free and len(phases) > 1:
            phases[choose(free, key=area.__getitem__)] = phase
    return phases


def ejection(
    document: dict[str, Any], tracings: dict[int, Tracing], spacing: float | None = None
) -> tuple[float, float, float] | None:
    """EF in per cent, and the volumes at ED and ES, in px³/1000 or, with a spacing, in ml.

    By the method of disks from the outlines of a checked document. None where one of the two is
    not outlined: fewer than two frames are, or a frame that was set by hand is not.
    """
    at = {phase: frame for frame, phase in find_phases(document, tracings).items()}
    by_hand = [document[key] for key in ("ed", "es") if document[key] is not None]
    if "ED" not in at or "ES" not in at or any(frame not in tracings for frame in by_hand):
        return None
    large, small = (
        geometry.disk_volume(tracings[at[phase]], spacing or 1.0) for phase in ("ED", "ES")
    )
    return (geometry.ejection_fraction(large, small), large, small) if large > 0 else None


def _listed(
    document: dict[str, Any],
    file: str,
    tracings: dict[int, Tracing],
    spacing: float | None,
) -> tuple:
    """The row of FileList.csv without the split; what is unknown is empty."""
    numbers = ejection(document, tracings, spacing)
    ef, large, small = [f"{value:.4f}" for value in numbers] if numbers else ("", "", "")
    volumes = (small, large) if spacing else ("", "")
    known = document["fps"] is not None and RATES[0] <= document["fps"] <= RATES[1]
    rate = f"{document['fps']:.7g}" if known else ""  # readers of the table refuse other rates
    size = document["height"], document["width"]
    return (file, ef, *volumes, *size, rate, document["frame_count"])


def _provenance(
    document: dict[str, Any], file: str, phases: dict[int, str], patient: str, kept: int
) -> tuple[tuple[str, bool], ...]:
    """The rows of provenance.csv: one of the clip, and those of its frames' structures."""
    who = (document["clip"], file, patient, document["annotator"])
    network = document["network"] or "", document["version"] or ""
    by_hand = ["" if document[key] is None else document[key] for key in ("ed", "es")]
    time = datetime.fromtimestamp(kept // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    seconds = f"{document['seconds']:.2f}"
    answer = document["answer"]
    rows = [((*who, "", "clip", answer, "", "", "", seconds, *network, "", *by_hand, time), False)]
    for number, frame in document["frames"].items():
        structures = {"ventricle": frame["ventricle"]} if frame["ventricle"] else {}
        structures |= {f"leaflet {n}": each for n, each in enumerate(frame["leaflets"], start=1)}
        for structure, outline in (structures or {"": None}).items():
            made: tuple[object, ...] = ("", "", "")
            if outline:
                made = (outline["made"], len(outline["points"]), outline["moved"])
            drawn = structure == "ventricle" and int(number) in phases
            phase = phases[int(number)] if drawn else ""
            of_frame = (number, structure, frame["answer"], *made, f"{frame['seconds']:.2f}")
            rows.append(((*who, *of_frame, *network, phase, "", "", time), drawn))
    return tuple((csv_text([row]).rstrip("\n"), drawn) for row, drawn in rows)


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """Rows as lines of a CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
