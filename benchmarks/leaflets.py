"""How phantom labels of the mitral leaflets lie beside those that experts drew.

    python -m benchmarks.leaflets ../shared/valve_masks/masks.npz --camus ../shared/camus

Measures the same quantities on the experts' masks of EchoNet-Dynamic frames (NN-MitralSeg; three
frames a video) and on phantom frames like those of EchoNet-Dynamic, three a heart: closed, half
open, open. Everything is in px of 112 x 112, angles in degrees, y downward. The masks come without
their frames, so that only shapes can be compared. The phantom's rows on the wall and the annulus
say where its labels end. With `--camus` it also prints where along the long axis the picture is
brightest near the outline's base while the valve is shut, on CAMUS training patients beside the
phantom: shut leaflets lie there. `sheet.png` shows phantom frames with the outlines of their
labels.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from scipy.ndimage import map_coordinates
from scipy.spatial.distance import cdist
from skimage.measure import label
from skimage.morphology import skeletonize

from benchmarks.realism import real_frames
from benchmarks.valves_camus import SIZE, annulus
from echolib.phantom import leaflet_labels
from echolib.phantom.common import FRAME_STREAM, VALVE_STREAM
from echolib.phantom.mitral_items import OPENINGS
from echolib.phantom.scene import draw_scan, leaflet_curves
from echolib.phantom.ultrasound import Scan

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
END = 2.0  # px along a piece that count as its end
SPECK = 4  # px; smaller pieces are slips of the hand
LEVELS = np.arange(-12.0, 17.0)  # mm from the base of the outline towards the apex
PLACES = np.linspace(0, 1, 11)  # along the base


def skeleton_length(mask: np.ndarray) -> float:
    """Length of a mask's skeleton, px."""
    return float(skeletonize(mask).sum())


def piece(points: np.ndarray, sign: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Outer end (2,), tip (2,) and angle of a leaflet's pixels (n, 2); sign: 1 septal, -1 lateral.

    The angle is 0 if the leaflet lies level and points to the other one, 90 if it stands upright.
    """
    middle = points.mean(axis=0)
    along = np.linalg.svd(points - middle, full_matrices=False)[2][0]
    upright = abs(along[1]) > 0.5
    if along[1] > 0 if upright else sign * along[0] < 0:
        along = -along
    place = (points - middle) @ along
    end = points[place <= place.min() + END].mean(axis=0)
    tip = points[place >= place.max() - END].mean(axis=0)
    return end, tip, float(np.degrees(np.arctan2(-along[1], sign * along[0])))


def measure(mask: np.ndarray) -> dict[str, float]:
    """Quantities of one label (112, 112) bool; a label of one piece is a shut valve."""
    numbers = label(mask, connectivity=2)
    kept = np.flatnonzero(np.bincount(numbers.ravel())[1:] >= SPECK) + 1
    clouds = {number: np.argwhere(numbers == number)[:, ::-1].astype(float) for number in kept}
    in_order = sorted(kept, key=lambda number: clouds[number][:, 0].mean())
    first, last = in_order[0], in_order[-1]
    points, length = np.concatenate(list(clouds.values())), skeleton_length(mask)
    width, height = np.ptp(points, axis=0) + 1
    row = {"area": float(mask.sum()), "thickness": mask.sum() / length, "length": length}
    row |= {"box width": width, "box height": height, "pieces": len(kept)}
    if first == last:
        left, right = (
            points[np.abs(points[:, 0] - side) <= END].mean(axis=0)
            for side in (points[:, 0].min(), points[:, 0].max())
        )
    else:
        left, septal_tip, septal = piece(clouds[first], 1)
        right, lateral_tip, lateral = piece(clouds[last], -1)
        row |= {"septal length": skeleton_length(numbers == first), "septal angle": septal}
        row |= {"lateral length": skeleton_length(numbers == last), "lateral angle": lateral}
        row["gap"] = float(cdist(clouds[first], clouds[last]).min()) - 1
        row["tip to tip"] = float(np.hypot(*(septal_tip - lateral_tip)))
    span = right - left
    line = left[1] + (points[:, 0] - left[0]) * span[1] / span[0]
    kind = "shut" if first == last else "open"
    row |= {"ends apart": span[0], "lateral end lower": span[1]}
    row[f"{kind}: highest above ends"] = float((line - points[:, 1]).max())
    row[f"{kind}: lowest below ends"] = float((points[:, 1] - line).max())
    return row


def placed(mask: np.ndarray, scan: Scan, moment: float) -> dict[str, float]:
    """Where a phantom's label ends: px beyond the inner edge of either wall, and below lines.

    The annulus runs between the ends of the walls, the base between the ends of the expert's
    outline. A label below a line reaches towards the atrium.
    """
    shape = scan.shape(moment)
    rows, columns = np.nonzero(mask)
    points = np.stack([columns, rows], axis=1).astype(float)
    row = {}
    for side, wall, sign in (("septal", shape.septal_cavity, -1),
                             ("lateral", shape.lateral_cavity, 1)):  # fmt: skip
        edge = scan.to_pixels(wall[len(wall) // 3 :], shape, moment)
        down = edge[-1] - edge[-8]
        edge = np.vstack([edge, edge[-1] + down])  # the atrium's wall goes on below
        order = np.argsort(edge[:, 1])
        at_edge = np.interp(points[:, 1], edge[order, 1], edge[order, 0])
        row[f"{side} end beyond wall"] = float((sign * (points[:, 0] - at_edge)).max())
    outline = scan.to_pixels(shape.outline, shape, moment)
    ends = scan.to_pixels(np.stack([shape.septal_cavity[-1], shape.lateral_cavity[-1]]),
                          shape, moment)  # fmt: skip
    for name, line in (("annulus", ends), ("outline's base", outline[[0, -1]])):
        span = line[1] - line[0]
        below = (points - line[0]) @ [-span[1], span[0]] / np.hypot(*span)
        row[f"lowest below {name}"] = float(below.max())
        left, right = np.quantile(points[:, 0], [0.15, 0.85])
        row[f"septal end below {name}"] = float(below[points[:, 0] <= left].max())
        row[f"lateral end below {name}"] = float(below[points[:, 0] >= right].max())
    return row


def phantom_labels(count: int, seed: int):
    """(scan, moment, careful mask, hasty mask) of three frames of each of `count` hearts."""
    generator = np.random.default_rng(seed)
    index = found = 0
    while found < count:
        scan, _ = draw_scan(seed, VALVE_STREAM, index, SIZE)
        index += 1
        if not scan.sector.cut:  # not like EchoNet-Dynamic
            continue
        found += 1
        times = np.linspace(0, scan.cycle.period, 200)
        opening = np.asarray(scan.cycle.opening(times))
        for low, high in OPENINGS:
            moment = float(generator.choice(times[(opening >= low) & (opening <= high)]))
            curves, thickness = leaflet_curves(scan, moment), scan.heart.leaflet_thickness
            width = leaflet_labels.strip_width(thickness / scan.sector.spacing, (SIZE, SIZE))
            hasty = leaflet_labels.hasty_mask(curves, width, (SIZE, SIZE), generator)
            yield scan, moment, leaflet_labels.careful_mask(curves, width, (SIZE, SIZE)), hasty


def shut_frames(count: int, seed: int):
    """Image, ends of the outline's base and mm per px, end-diastole and end-systole in turn."""
    for index in range(count):
        scan, _ = draw_scan(seed, FRAME_STREAM, index, SIZE, plain_share=0.0)
        moment = (0.0, scan.cycle.end_systole)[index % 2]
        shape = scan.shape(moment)
        ends = scan.to_pixels(shape.outline[[0, -1]], shape, moment)
        yield scan.frame(moment), ends, scan.sector.spacing


def ridge(frames) -> list[str]:
    """Where frames (image, ends of the base (2, 2), mm per px) are brightest, and how bright.

    A text for each of `PLACES`: mm above the base, and median grey there less the lowest one.
    """
    found = []
    for image, ends, spacing in frames:
        span = ends[1] - ends[0]
        up = np.array([span[1], -span[0]]) / np.hypot(*span) / spacing
        points = ends[0] + PLACES[:, None, None] * span + LEVELS[:, None] * up
        found.append(map_coordinates(image.astype(float), points[..., ::-1].transpose(2, 0, 1)))
    grey = np.median(found, axis=0)
    rows = zip(LEVELS[grey.argmax(axis=1)], np.ptp(grey, axis=1), strict=True)
    return [f"{level:+.0f} ({bright:.0f})" for level, bright in rows]


def compare_ridges(camus: Path, count: int, seed: int) -> pd.DataFrame:
    """`ridge` of CAMUS training patients and of the phantom's physical frames."""
    real = ((image, annulus(regions), mm) for image, regions, mm, _ in real_frames(camus))
    columns = {
        "CAMUS": ridge(frame for frame in real if frame[1] is not None),
        "phantom": ridge(shut_frames(count, seed)),
    }
    return pd.DataFrame(columns, index=pd.Index(PLACES.round(1), name="septal 0, lateral 1"))


def draw_sheet(labels: list, path: Path, zoom: int = 5, columns: int = 6) -> None:
    """Phantom frames near the valve, `zoom` times their size, with the outline of the label."""
    tiles = []
    for scan, moment, mask, _ in labels:
        rows, cols = np.nonzero(mask)
        top = int(np.clip(rows.mean() - 24, 0, SIZE - 48))
        left = int(np.clip(cols.mean() - 24, 0, SIZE - 48))
        part = np.s_[top : top + 48, left : left + 48]
        grey, area = (
            cv2.resize(array[part], None, fx=zoom, fy=zoom, interpolation=cv2.INTER_NEAREST)
            for array in (scan.frame(moment), mask.astype(np.uint8))
        )
        tile = cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
        contours, _ = cv2.findContours(area, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        tiles.append(cv2.drawContours(tile, contours, -1, (0, 220, 220), 1))
    rows = [np.hstack(tiles[i : i + columns]) for i in range(0, len(tiles), columns)]
    cv2.imwrite(str(path), np.vstack([row for row in rows if row.shape == rows[0].shape]))


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("masks", type=Path, help="masks.npz of the experts")
    parser.add_argument("--camus", type=Path, help="folder of CAMUS")
    parser.add_argument("--hearts", type=int, default=60)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("build/leaflets"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with np.load(options.masks, allow_pickle=False) as file:
        experts = pd.DataFrame([measure(mask) for mask in file["masks"]])
    labels = list(phantom_labels(options.hearts, options.seed))
    careful = pd.DataFrame(
        [measure(mask) | placed(mask, scan, moment) for scan, moment, mask, _ in labels]
    )
    hasty = pd.DataFrame([measure(mask) for *_, mask in labels])
    tables = {"experts": experts, "careful": careful, "hasty": hasty}
    parts = {name: table.quantile(list(QUANTILES)).T for name, table in tables.items()}
    print(pd.concat(parts, axis=1).reindex(careful.columns).round(1).to_string())
    for name, table in tables.items():
        shares = table.pieces.value_counts(normalize=True).sort_index().round(2).to_dict()
        print(f"{name}: shares of labels by pieces {shares}")
    draw_sheet(labels[:36], options.out / "sheet.png")
    if options.camus:
        print("brightest mm above the outline's base (greys above the darkest), valve shut")
        print(compare_ridges(options.camus, 300, options.seed).T.to_string())


if __name__ == "__main__":
    main()
