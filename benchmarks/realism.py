"""How far phantom frames resemble real ones: shapes, grey levels, speckle, edges.

    python -m benchmarks.realism ../shared/camus --frames 400 --out build/realism

Measures the same quantities on CAMUS training patients and on phantom frames of both renderers,
all at 112 x 112, and writes `realism.csv` (quantiles of each quantity), `profiles.png` (grey
across the inner edge of the wall, and histograms of three regions) and `sheet.png` (real frames
above, phantom frames below). The ranges in `echolib.phantom` whose source is "CAMUS training
patients" were set so that the phantom's quantiles reach beyond the real ones. The table in this
folder is of phantom version 6. The sheet shows CAMUS frames: its terms forbid to publish it.
"""

import argparse
from pathlib import Path

import cv2
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import ndimage

from echolib.data.letterbox import Letterbox
from echolib.data.nifti import read_nifti
from echolib.phantom.common import FRAME_STREAM
from echolib.phantom.scene import draw_scan, label_map, trace

SIZE = 112
CAVITY, WALL, ATRIUM = 1, 2, 3
PHASES = ("ED", "ES")
SMALLEST = 80  # px: smaller cavities have no shape and no walls to speak of
LEVELS = (0.15, 0.3, 0.5, 0.7, 0.9)  # of the way from tip to base
RINGS = ((-6, -3), (-3, 0), (0, 2), (2, 5), (5, 9), (9, 16))  # px outward from the outline
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def real_frames(folder: Path):
    """Image, regions (0 to 3) and mm per px of every labelled CAMUS training frame."""
    names = (folder / "database_split" / "subgroup_training.txt").read_text().split()
    for name in names:
        for phase in PHASES:
            path = folder / "database_nifti" / name / f"{name}_4CH_{phase}.nii.gz"
            image, spacing, _ = read_nifti(path)
            labels, _, _ = read_nifti(path.with_name(f"{name}_4CH_{phase}_gt.nii.gz"))
            box = Letterbox(*image.shape, SIZE)
            regions = np.zeros((SIZE, SIZE), np.uint8)
            for number in (CAVITY, WALL, ATRIUM):
                regions[box.mask(labels == number)] = number
            square = box.image(image.astype(np.uint8))
            yield square, regions, spacing / box.scale, square > 3


def phantom_frames(count: int, seed: int, plain: bool):
    """The same of phantom frames, end-diastole and end-systole in turn, and the shown sector."""
    for index in range(count):
        scan, _ = draw_scan(seed, FRAME_STREAM, index, SIZE, plain_share=float(plain))
        moment = (0.0, scan.cycle.end_systole)[index % 2]
        image, sector = scan.frame(moment), scan.sector
        labels = label_map(scan, moment, trace(scan, moment, image))
        yield image, labels, sector.spacing, sector.shown


def axis_of(regions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tip and base (x, y) of the cavity: the base where it meets the atrium, the tip farthest."""
    cavity = regions == CAVITY
    points = np.argwhere(cavity)[:, ::-1].astype(float)
    contact = ndimage.binary_dilation(regions == ATRIUM, iterations=3) & cavity
    if contact.sum() >= 5:
        base = np.argwhere(contact)[:, ::-1].mean(axis=0) + [0, 1]
    else:  # the atrium is not in the picture
        lowest = points[points[:, 1] >= np.percentile(points[:, 1], 95)]
        base = np.array([lowest[:, 0].mean(), points[:, 1].max()])
    distance = np.hypot(*(points - base).T)
    return points[distance >= np.percentile(distance, 99.5)].mean(axis=0), base


def _along(regions: np.ndarray, start: np.ndarray, direction: np.ndarray, steps: np.ndarray):
    """Region numbers at `start + steps * direction`, 0 outside the picture."""
    x, y = np.rint(start[:, None] + direction[:, None] * steps).astype(int)
    inside = (x >= 0) & (x < SIZE) & (y >= 0) & (y < SIZE)
    return np.where(inside, regions[y.clip(0, SIZE - 1), x.clip(0, SIZE - 1)], 0)


def measure_shape(regions: np.ndarray, spacing: float, shown: np.ndarray) -> dict[str, float]:
    """Lengths and thicknesses in mm, half widths as shares of the length, tilt in degrees."""
    tip, base = axis_of(regions)
    length = np.hypot(*(base - tip))
    down = (base - tip) / length
    across = np.array([down[1], -down[0]])
    probe = np.argwhere(shown)[0][::-1]
    found = {"length mm": length * spacing, "tilt": np.degrees(np.arctan2(down[0], down[1]))}
    found |= {"tip x mm": (tip - probe)[0] * spacing, "tip y mm": (tip - probe)[1] * spacing}
    found["area cm2"] = (regions == CAVITY).sum() * spacing**2 / 100
    found["atrium / cavity"] = (regions == ATRIUM).sum() / (regions == CAVITY).sum()
    steps = np.arange(0, 60, 0.5)
    for side, sign in (("septal", -1), ("lateral", 1)):
        for level in LEVELS:
            seen = _along(regions, tip + level * (base - tip), sign * across, steps)
            left = int(np.argmax(seen != CAVITY))
            found[f"{side} width {level}"] = steps[left] / length
            wall = seen[left : left + int(np.argmax(np.append(seen[left:] != WALL, True)))]
            if len(wall) and 0.2 < level < 0.8:
                found[f"{side} wall {level} mm"] = 0.5 * len(wall) * spacing
    above = _along(regions, tip, -down, steps)
    found["apical wall mm"] = 0.5 * (above == WALL).sum() * spacing
    return found


def measure_grey(image: np.ndarray, regions: np.ndarray, shown: np.ndarray) -> dict[str, float]:
    """Grey levels (0 to 255); those of regions and rings are relative to the cavity's."""
    grey, cavity, wall = image.astype(np.float32), regions == CAVITY, regions == WALL
    tip, base = axis_of(regions)
    y, x = np.mgrid[:SIZE, :SIZE]
    down = (base - tip) / np.hypot(*(base - tip))
    level = ((x - tip[0]) * down[0] + (y - tip[1]) * down[1]) / np.hypot(*(base - tip))
    side = (x - tip[0]) * down[1] - (y - tip[1]) * down[0]
    inner = ndimage.binary_erosion(cavity, iterations=2)
    blood = _mean(grey, inner)
    found = {"cavity": blood, "sector": _mean(grey, shown), "sector sd": grey[shown].std()}
    found |= {f"sector p{p}": np.percentile(grey[shown], p) for p in (10, 90, 99)}
    for name, low, high in (("upper", -1, 0.33), ("middle", 0.33, 0.66), ("lower", 0.66, 2)):
        part = inner & (level >= low) & (level < high)
        found[f"{name} cavity"] = _mean(grey, part) - blood
    found["left atrium"] = _mean(grey, ndimage.binary_erosion(regions == ATRIUM, iterations=2))
    found["left atrium"] -= blood
    fine = grey - cv2.GaussianBlur(grey, (0, 0), 1.5)
    found |= {"fine texture cavity": fine[inner].std(), "fine texture wall": fine[wall].std()}
    found |= {f"speckle width {name}": value for name, value in speckle_widths(grey, wall).items()}
    outward = ndimage.distance_transform_edt(~cavity) - ndimage.distance_transform_edt(cavity)
    middle = (level > 0.2) & (level < 0.85)
    for name, where in (
        ("septal", middle & (side < 0)),
        ("lateral", middle & (side > 0)),
        ("apical", level < 0.12),
    ):
        for near, far in RINGS:
            ring = where & (outward > near) & (outward <= far) & shown
            found[f"{name} edge {near}..{far}"] = _mean(grey, ring) - blood
    return found


def _mean(grey: np.ndarray, where: np.ndarray) -> float:
    return float(grey[where].mean()) if where.sum() > 3 else np.nan


def speckle_widths(grey: np.ndarray, where: np.ndarray) -> dict[str, float]:
    """Full widths at half maximum, px, of the texture's autocorrelation along x and y."""
    texture = (grey - cv2.GaussianBlur(grey, (0, 0), 4)) * where
    widths = {}
    for name, axis in (("x", 1), ("y", 0)):
        weights = [
            float((texture * np.roll(texture, lag, axis)).sum())
            / max(1.0, float((where * np.roll(where, lag, axis)).sum()))
            for lag in range(6)
        ]
        curve = np.array(weights) / max(weights[0], 1e-9)
        below = int(np.argmax(np.append(curve, 0) < 0.5))
        before, after = curve[below - 1], np.append(curve, 0)[below]
        widths[name] = 2 * (below - 1 + (before - 0.5) / max(before - after, 1e-9))
    return widths


def measure(frames) -> pd.DataFrame:
    """A row of quantities a frame."""
    rows = []
    for image, regions, spacing, shown in frames:
        if (regions == CAVITY).sum() > SMALLEST and (regions == WALL).any():
            found = measure_shape(regions, spacing, shown)
            rows.append(found | measure_grey(image, regions, shown))
    return pd.DataFrame(rows)


def compare(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Quantiles of every quantity, a row each, columns (source, quantile)."""
    parts = {name: table.quantile(list(QUANTILES)).T for name, table in tables.items()}
    return pd.concat(parts, axis=1).round(2)


def draw_profiles(tables: dict[str, pd.DataFrame], path: Path) -> None:
    """Median grey across the inner edge of three walls, with the middle half of the frames."""
    figure, axes = plt.subplots(1, 4, figsize=(14, 3.2), layout="constrained")
    places = [(near + far) / 2 for near, far in RINGS]
    for axis, wall in zip(axes, ("septal", "lateral", "apical"), strict=False):
        for name, table in tables.items():
            part = table[[f"{wall} edge {near}..{far}" for near, far in RINGS]]
            low, middle, high = (part.quantile(q) for q in (0.25, 0.5, 0.75))
            axis.plot(places, middle, marker="o", label=name)
            axis.fill_between(places, low, high, alpha=0.2)
        axis.set(title=f"{wall} wall", xlabel="px outward from the outline")
        axis.axvline(0, color="0.7", zorder=0)
    axes[0].set_ylabel("grey level above the cavity's")
    for name, table in tables.items():
        axes[3].hist(table["cavity"], bins=25, range=(0, 200), histtype="step", label=name)
    axes[3].set(title="mean grey of the cavity", xlabel="grey level", ylabel="frames")
    axes[0].legend()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_sheet(real: list, phantom: list, path: Path, columns: int = 8) -> None:
    """Rows of real frames above rows of phantom frames, with outlines, twice their size."""
    rows = []
    for frames in (real, phantom):
        tiles = []
        for image, regions, *_ in frames:
            tile = cv2.cvtColor(cv2.resize(image, None, fx=2, fy=2), cv2.COLOR_GRAY2BGR)
            mask = cv2.resize((regions == CAVITY).astype(np.uint8), None, fx=2, fy=2)
            contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
            tiles.append(cv2.drawContours(tile, contours, -1, (0, 220, 220), 1))
        rows += [np.hstack(tiles[i : i + columns]) for i in range(0, len(tiles), columns)]
    cv2.imwrite(str(path), np.vstack(rows))


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("camus", type=Path, help="folder of CAMUS")
    parser.add_argument("--frames", type=int, default=400, help="phantom frames of each renderer")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("build/realism"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    real = list(real_frames(options.camus))
    physical = list(phantom_frames(options.frames, options.seed, plain=False))
    plain = list(phantom_frames(options.frames, options.seed, plain=True))
    tables = {"CAMUS": measure(real), "physical": measure(physical), "plain": measure(plain)}
    table = compare(tables)
    table.to_csv(options.out / "realism.csv")
    print(table.to_string())
    draw_profiles(tables, options.out / "profiles.png")
    chosen = np.random.default_rng(0).choice(len(real), 16, replace=False)
    draw_sheet([real[i] for i in chosen], physical[:16], options.out / "sheet.png")


if __name__ == "__main__":
    main()
