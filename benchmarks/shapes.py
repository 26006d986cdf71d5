"""How ventricles of the phantom are shaped and move, beside the experts' masks of CAMUS.

    python -m benchmarks.shapes ../shared/camus --hearts 400

A network that has seen phantoms only takes its idea of a plausible outline from them: where the
picture is unclear, it draws what most phantoms would have. Printed are mean and standard deviation
over CAMUS training patients, and over phantom hearts, of which no frame is rendered:

- `width`: the width at levels from the apex (0) to the corners of the base (1), in parts of the
  width half-way, by phase; `side`: how far the outline reaches to the image-right of the long axis
  less to the left of it, in parts of the width.
- `axis`: tilt of the base in parts of the length, tilt of the long axis in degrees, its length in
  px, and row of the highest point.
- `systole`: the width at end-systole in parts of that at end-diastole, by level; way of apex and
  base along the end-diastolic axis, in parts of its length; share of the area that is lost.

Chords across the long axis are those of `echolib.geometry.mask_to_tracing`.
"""

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from echolib.geometry import CHORDS, Tracing, axis_directions, mask_to_tracing
from echolib.phantom.common import CYCLE_STREAM
from echolib.phantom.scene import draw_scan, label_map

from .realism import CAVITY, PHASES, SIZE, SMALLEST, real_frames

SHOWN = (1, 2, 3, 5, 7, 9, 11, 13, 15, 17, 18, 19)  # chords, of 20
MIDDLE = 9

Masks = tuple[np.ndarray, np.ndarray]  # of a heart at end-diastole and end-systole


def real_hearts(folder: Path) -> Iterator[Masks]:
    """Cavities of CAMUS training patients at end-diastole and end-systole."""
    frames = (regions == CAVITY for _, regions, *_ in real_frames(folder))
    yield from zip(frames, frames, strict=True)


def phantom_hearts(count: int, seed: int) -> Iterator[Masks]:
    """The same of phantom hearts, by their walls alone: no expert sees a frame."""
    for index in range(count):
        scan, _ = draw_scan(seed, CYCLE_STREAM, index, SIZE)
        diastole, systole = (label_map(scan, at) == CAVITY for at in (0.0, scan.cycle.end_systole))
        yield diastole, systole


def reach(tracing: Tracing) -> tuple[np.ndarray, np.ndarray]:
    """How far the chords reach to the left and to the right of the long axis, px, (20,) each."""
    _, right, _ = axis_directions(tracing.axis)
    ends = (tracing.chords - tracing.axis[0]) @ right
    return -ends[:, 0], ends[:, 1]


def shape(mask: np.ndarray) -> dict[tuple[str, str], float]:
    """Widths, sides and axis of one cavity (H, W) bool."""
    tracing = mask_to_tracing(mask)
    along, _, length = axis_directions(tracing.axis)
    left, right = reach(tracing)
    width = np.maximum(left + right, 1e-6)
    found = {("width", _level(i)): width[i] / width[MIDDLE] for i in SHOWN}
    found |= {("side", _level(i)): (right[i] - left[i]) / width[i] for i in SHOWN}
    base = (tracing.chords[-1, 0] - tracing.chords[-1, 1]) @ along
    found["axis", "tilt of the base"] = base / length
    found["axis", "tilt, degrees"] = np.degrees(np.arctan2(along[0], along[1]))
    found["axis", "length, px"] = length
    found["axis", "highest row"] = np.flatnonzero(mask.any(axis=1))[0]
    return found


def systole(masks: Masks) -> dict[tuple[str, str], float]:
    """How one heart contracts: widths, and ways of apex and base."""
    before, after = (mask_to_tracing(mask) for mask in masks)
    along, _, length = axis_directions(before.axis)
    wide, narrow = (np.maximum(np.sum(reach(tracing), axis=0), 1e-6) for tracing in (before, after))
    found = {("systole", f"width {_level(i)}"): narrow[i] / wide[i] for i in SHOWN}
    apex, base = (after.axis - before.axis) @ along / length
    found |= {("systole", "way of the apex"): apex, ("systole", "way of the base"): base}
    found["systole", "area lost"] = 1 - masks[1].sum() / masks[0].sum()
    return found


def _level(chord: int) -> str:
    return f"{(chord + 0.5) / (CHORDS - 0.5):.2f}"


def measure(hearts: Iterable[Masks]) -> dict[str, pd.DataFrame]:
    """Tables of hearts, a row each: "ED" and "ES" of `shape`, and "systole"."""
    rows: dict[str, list[dict]] = {name: [] for name in (*PHASES, "systole")}
    for masks in hearts:
        if min(mask.sum() for mask in masks) > SMALLEST:
            for phase, mask in zip(PHASES, masks, strict=True):
                rows[phase].append(shape(mask))
            rows["systole"].append(systole(masks))
    return {name: pd.DataFrame(part) for name, part in rows.items()}


def compare(sources: dict[str, dict[str, pd.DataFrame]]) -> pd.DataFrame:
    """Mean and standard deviation of everything, a row each, columns (source, statistic)."""
    columns = {}
    for source, tables in sources.items():
        for statistic in ("mean", "std"):
            parts = {name: table.agg(statistic) for name, table in tables.items()}
            columns[source, statistic] = pd.concat(parts)
    return pd.DataFrame(columns)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("camus", type=Path, help="folder of CAMUS")
    parser.add_argument("--hearts", type=int, default=400, help="phantom hearts")
    parser.add_argument("--seed", type=int, default=5)
    options = parser.parse_args()
    phantom = measure(phantom_hearts(options.hearts, options.seed))
    table = compare({"CAMUS": measure(real_hearts(options.camus)), "phantom": phantom})
    print(table.round(3).to_string())


if __name__ == "__main__":
    main()
