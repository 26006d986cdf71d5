"""A tracing as rows of EchoNet-Dynamic's file, and back, mended where they are malformed."""

import numpy as np

from ..geometry import Tracing, axis_directions, crosses_itself, polygon_area


def tracing_rows(tracing: Tracing) -> np.ndarray:
    """(n + 1, 4) rows of X1, Y1, X2, Y2 px: the long axis, then the n chords."""
    return np.concatenate([[tracing.axis], tracing.chords]).reshape(-1, 4)


def rows_to_tracing(rows: np.ndarray) -> tuple[Tracing, list[str]]:
    """Build a tracing from EchoNet-Dynamic's rows, mending what is malformed.

    rows: (m, 4) of X1, Y1, X2, Y2; the first is the long axis, the others are chords. Returns
    the tracing and what had to be mended, in words; an empty list means that the rows were used
    as they stand. Raises ValueError when too little is left to draw an outline.
    """
    rows = np.asarray(rows, float).reshape(-1, 2, 2)
    notes = []
    finite = np.isfinite(rows).all(axis=(1, 2))
    axis_is_known = bool(len(rows)) and bool(finite[0])
    if not finite.all():
        notes.append(f"{int((~finite).sum())} rows without numbers left out")
        rows = rows[finite]
    _, first = np.unique(rows, axis=0, return_index=True)
    if len(first) < len(rows):
        notes.append(f"{len(rows) - len(first)} duplicated rows left out")
        rows = rows[np.sort(first)]
    if axis_is_known and (place := _place_of_axis(rows)):
        axis, chords = rows[place], np.delete(rows, place, axis=0)
        along = axis_directions(axis)[0]
        rows = np.stack([axis, *chords[np.argsort(chords.mean(axis=1) @ along, kind="stable")]])
        notes.append("shuffled rows put in order")
    axis, chords = (rows[0], rows[1:]) if axis_is_known else (None, rows)
    chords = chords[np.hypot(*(chords[:, 1] - chords[:, 0]).T) > 0]
    if len(chords) < 4:
        raise ValueError(f"{len(chords)} usable chords; at least 4 are needed for an outline")
    if axis is None:
        axis = np.stack([chords[0].mean(axis=0), chords[-1].mean(axis=0)])
        notes.append("long axis missing, taken from the chords' middles")
    axis, chords, more = _one_tracing(axis, chords)
    notes += more
    places = chords.mean(axis=1) @ axis_directions(axis)[0]
    if (np.diff(places) < 0).all():  # landmarks have a meaning: the first is at the apex
        chords = chords[::-1]
        notes.append("chords from base to apex put in order")
    tracing = Tracing(axis, chords)  # in full precision: a pixel hangs on how a half is rounded
    if crosses_itself(tracing.polygon):
        tracing = _mend(tracing)
        notes.append("self-crossing outline put in order")
    if polygon_area(tracing.polygon) < 1:
        raise ValueError("the outline encloses no area")
    return tracing, notes


def _place_of_axis(rows: np.ndarray) -> int:
    """Which row is the long axis: the one across the others, where the first plainly is not."""
    direction = rows[:, 1] - rows[:, 0]
    direction /= np.hypot(*direction.T)[:, None] + 1e-9
    alike = np.median(np.abs(direction @ direction.T), axis=1)  # with the other rows
    place = int(alike.argmin())
    return place if alike[0] > 0.85 and alike[place] < 0.5 else 0


def _one_tracing(axis, chords) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Keep the first tracing where rows of a second one, led by its own long axis, follow."""
    along, _, length = axis_directions(axis)
    direction = chords[:, 1] - chords[:, 0]
    span = np.hypot(*direction.T)
    like_axis = (np.abs(direction @ along) > 0.85 * span) & (span > 0.5 * length)
    if not like_axis.any():
        return axis, chords, []
    second = int(np.flatnonzero(like_axis)[0])
    if second >= 4:
        return axis, chords[:second], [f"{len(chords) - second} rows of a second tracing left out"]
    kept = chords[~like_axis]
    if len(kept) < 4:
        raise ValueError("the rows run along the long axis, not across it")
    return axis, kept, [f"{int(like_axis.sum())} rows along the long axis left out"]


def _mend(tracing: Tracing) -> Tracing:
    """Turn all chords the same way and put the ends on each wall in order from apex to base.

    Where the two walls still cross, the chord that departs most from its neighbours is left
    out, until the outline is simple.
    """
    along, right, _ = axis_directions(tracing.axis)
    turned = (tracing.chords[:, 1] - tracing.chords[:, 0]) @ right < 0
    chords = np.where(turned[:, None, None], tracing.chords[:, ::-1], tracing.chords)
    walls = [wall[np.argsort(wall @ along, kind="stable")] for wall in chords.swapaxes(0, 1)]
    chords = np.stack(walls, axis=1)
    while crosses_itself(Tracing(tracing.axis, chords).polygon):
        if len(chords) <= 4:
            raise ValueError("the chords cross each other in every order")
        middle = 0.5 * (chords[:-2] + chords[2:])
        departure = np.abs(chords[1:-1] - middle).sum(axis=(1, 2))
        chords = np.delete(chords, 1 + int(departure.argmax()), axis=0)
    return Tracing(tracing.axis, chords)
