"""Mitral leaflets on CAMUS frames: no labels there, but the annulus is known, and eyes are.

    python -m benchmarks.valves_camus ../shared/camus --weights valve

CAMUS outlines cavity and atrium; where they touch lies the annulus, and its two ends are the
leaflets' hinges. Both labelled moments show a shut valve, so that leaflets should run from hinge
to hinge, near the line between them. All distances in px of the frame padded to a square of 112.
Training patients only. Prints medians and writes a sheet of 30 frames to look at.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from scipy.ndimage import distance_transform_edt

from echolib.data import Camus
from echolib.data.frames import to_square
from echolib.figures import base as plots
from echolib.figures.leaflets import Tile, valve_sheet
from echolib.valve.finder import ValveFinder, load_finder

SIZE = 112
NEAR = 6.0  # px from the line between the hinges, the way a shut leaflet may bulge
TOUCHING = np.ones((3, 3), np.uint8)


def annulus(regions: np.ndarray) -> np.ndarray | None:
    """(2, 2) px ends of the line along which cavity (1) and atrium (3) touch, or None."""
    grown = [cv2.dilate((regions == number).astype(np.uint8), TOUCHING) for number in (1, 3)]
    rows, columns = np.nonzero(grown[0] & grown[1])
    if len(rows) < 8:
        return None
    points = np.stack([columns, rows], axis=1).astype(float)
    along = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)[2][0]
    order = np.argsort(points @ along)
    ends = points[order[:2]].mean(axis=0), points[order[-2:]].mean(axis=0)
    return np.stack(sorted(ends, key=lambda end: end[0]))


def case(mask: np.ndarray, ends: np.ndarray) -> dict[str, float]:
    """How a mask (S, S) bool lies to the annulus: empty, covered, stray, hinge distances."""
    if not mask.any():
        return {"empty": 1.0}
    far = distance_transform_edt(~mask)
    line = ends[0] + np.linspace(0, 1, 40)[:, None] * (ends[1] - ends[0])
    places = np.rint(line).astype(int).clip(0, SIZE - 1)
    span = ends[1] - ends[0]
    width = np.hypot(*span)
    rows, columns = np.nonzero(mask)
    offset = np.stack([columns, rows], axis=1) - ends[0]
    along, off = offset @ span / width, np.abs(offset @ [-span[1], span[0]]) / width
    stray = (along < -4) | (along > width + 4) | (off > 0.6 * width)
    hinges = far[tuple(np.rint(ends).astype(int).clip(0, SIZE - 1).T[::-1])]
    row = {"empty": 0.0, "covered": float((far[places[:, 1], places[:, 0]] < NEAR).mean())}
    row |= {"stray": float(stray.mean()), "area": float(mask.sum())}
    return row | {"septal hinge": float(hinges[0]), "lateral hinge": float(hinges[1])}


def measure(folder: str, finder: ValveFinder, every: int) -> tuple[pd.DataFrame, list[Tile]]:
    """A row a frame of every so manieth training patient, and tiles to look at."""
    data = Camus(folder)
    names = list(data.table.index[data.table.split == "train"])[::every]
    rows, tiles = [], []
    for name in names:
        for frame in data.labelled(name)[0]:
            square = to_square(frame, SIZE)
            ends = annulus(square.regions)
            if ends is None:
                continue
            mask = finder.masks(square.image[None])[0]
            rows.append({"clip": name, "phase": frame.phase} | case(mask, ends))
            middle, half = ends.mean(axis=0), 0.7 * np.hypot(*(ends[1] - ends[0]))
            bounds = (*(middle - half), *(middle + half))
            tiles.append(Tile(f"{name} {frame.phase}", square.image, {"prediction": mask}, bounds))
    return pd.DataFrame(rows), tiles


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("camus", help="folder of CAMUS")
    parser.add_argument("--weights", default="valve")
    parser.add_argument("--out", type=Path, default=Path("build/valves_camus"))
    parser.add_argument("--every", type=int, default=4, help="take every so manieth patient")
    arguments = parser.parse_args()
    plots.use_style()
    table, tiles = measure(arguments.camus, load_finder(arguments.weights), arguments.every)
    print(len(table), "frames, CAMUS training patients")
    print(table.drop(columns=["clip", "phase"]).describe(percentiles=[0.1, 0.5, 0.9]).round(2))
    chosen = [tiles[i] for i in np.linspace(0, len(tiles) - 1, 30).round().astype(int)]
    plots.save(valve_sheet(chosen, columns=6, context=1.6), "sheet", arguments.out)


if __name__ == "__main__":
    main()
