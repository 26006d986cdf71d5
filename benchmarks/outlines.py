"""Where the expert's line runs across the grey of each wall, and where a network's runs instead.

    python -m benchmarks.outlines ../shared/camus --weights lv --frames 800

All at 112 x 112 px, by wall (septal, lateral, apex, base) and phase (ED, ES):

- `grey`: mean grey at steps across the outline, px outward, of CAMUS training patients and of
  phantom frames. Image and label of the phantom agree with the real ones where these curves do.
- `distance`: signed distance of the network's outline from the expert's, px, positive outward, and
  `area`: the ratio of the two areas. On CAMUS training patients, and on phantom frames as a check
  that what remains is a difference between both kinds of frames.

Nothing of CAMUS is written.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import ndimage

from echolib.geometry import axis_directions, mask_outline
from echolib.networks.inference import predict, square_masks
from echolib.networks.models import load_model

from .realism import CAVITY, SIZE, axis_of, phantom_frames, real_frames

STEPS = (-8, -6, -4, -2, 0, 2, 4, 6, 8)  # px outward from the outline
WALLS = ("septal", "lateral", "apex", "base")
PHASES = ("ED", "ES")
APEX_LEVEL, SIDE_LEVELS, BASE_LEVEL = 0.12, (0.2, 0.85), 0.93  # of the way from tip to base


def outline_points(regions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points (n, 2) of the cavity's outline, outward normals (n, 2), and the wall of each (n,)."""
    cavity = regions == CAVITY
    points = mask_outline(cavity).astype(float)
    tip, base = axis_of(regions)
    along, right, length = axis_directions(np.stack([tip, base]))
    level, side = (points - tip) @ along / length, (points - tip) @ right
    walls = np.full(len(points), "", dtype=object)
    middle = (level > SIDE_LEVELS[0]) & (level < SIDE_LEVELS[1])
    walls[middle & (side < 0)], walls[middle & (side > 0)] = "septal", "lateral"
    walls[level < APEX_LEVEL], walls[level > BASE_LEVEL] = "apex", "base"
    outward = ndimage.distance_transform_edt(~cavity) - ndimage.distance_transform_edt(cavity)
    slope = np.stack(np.gradient(ndimage.gaussian_filter(outward, 1.5))[::-1])
    at = points.T[::-1]
    normals = np.stack([ndimage.map_coordinates(part, at, order=1) for part in slope], axis=1)
    normals /= np.hypot(*normals.T)[:, None] + 1e-9
    return points, normals, walls


def grey_profile(image: np.ndarray, regions: np.ndarray) -> dict[tuple[str, int], float]:
    """Mean grey of one frame by wall and step across the outline."""
    points, normals, walls = outline_points(regions)
    found = {}
    for step in STEPS:
        place = (points + step * normals).T[::-1]
        grey = ndimage.map_coordinates(image.astype(float), place, order=1, mode="nearest")
        for wall in WALLS:
            found[wall, step] = grey[walls == wall].mean() if (walls == wall).any() else np.nan
    return found


def signed_distances(mask: np.ndarray, regions: np.ndarray) -> dict[str, float]:
    """Mean signed distance of a mask's outline from the cavity's, px, by wall; and the areas'."""
    points, _, walls = outline_points(regions)
    inward = ndimage.distance_transform_edt(mask) - ndimage.distance_transform_edt(~mask)
    distance = ndimage.map_coordinates(inward, points.T[::-1], order=1)
    found = {w: distance[walls == w].mean() if (walls == w).any() else np.nan for w in WALLS}
    return found | {"area": mask.sum() / (regions == CAVITY).sum()}


def measure(frames: Iterator, network, name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Profiles (a row a frame) and distances (a row a frame) of frames with regions."""
    taken = [(image, regions) for image, regions, *_ in frames if (regions == CAVITY).sum() > 80]
    masks = square_masks(predict(network, np.stack([image for image, _ in taken])), SIZE)
    keys = {"data": name}
    profiles, distances = [], []
    for index, ((image, regions), mask) in enumerate(zip(taken, masks, strict=True)):
        row = keys | {"phase": PHASES[index % 2]}
        profiles.append(row | grey_profile(image, regions))
        if mask.any():
            distances.append(row | signed_distances(mask, regions))
    return pd.DataFrame(profiles), pd.DataFrame(distances)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("camus", type=Path, help="folder of CAMUS")
    parser.add_argument("--weights", default="lv")
    parser.add_argument("--frames", type=int, default=800, help="phantom frames")
    parser.add_argument("--seed", type=int, default=5)
    options = parser.parse_args()
    network = load_model(options.weights)
    half = options.frames // 2
    sources = {
        "CAMUS": real_frames(options.camus),
        "physical": phantom_frames(half, options.seed, plain=False),
        "plain": phantom_frames(half, options.seed, plain=True),
    }
    tables = [measure(frames, network, name) for name, frames in sources.items()]
    profiles, distances = (pd.concat(part) for part in zip(*tables, strict=True))
    for wall in WALLS:
        part = profiles[["data", "phase", *[(wall, step) for step in STEPS]]]
        part.columns = ["data", "phase", *STEPS]
        print(f"\nGrey across the {wall} outline, px outward")
        print(part.groupby(["phase", "data"]).mean().round(0).astype(int).to_string())
    print(f"\n{options.weights} against the label: distance in px, outward; area: ratio")
    grouped = distances.groupby(["phase", "data"])[[*WALLS, "area"]]
    print(grouped.mean().round(2).to_string())
    print("\nStandard deviation over frames")
    print(grouped.std().round(2).to_string())


if __name__ == "__main__":
    main()
