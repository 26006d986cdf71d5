"""Where the expert's line runs across the grey of each wall, and where a network's runs instead.

    python -m benchmarks.outlines ../shared/camus --weights lv --frames 800

All at 112 x 112 px, by wall (septal, lateral, apex, base) and phase (ED, ES):

- `grey`: mean grey at steps across the outline, px outward, of CAMUS training patients and of
  phantom frames. Image and label of the phantom agree with the real ones where these curves do.
- `distance`: signed distance of the network's outline from the expert's, px, positive outward, and
  `area`: the ratio of the two areas, `dice`. On CAMUS training patients, and on phantom frames as a
  check that what remains is a difference between both kinds of frames. `--together` adds, on CAMUS,
  what several networks outline in a clip, of which some are given ED and ES of the heart.
- `edge`: where along the normal, px outward, the grey has risen by a quarter from the cavity's to
  the brightest outside: quantiles over frames. Where the phantom's quantiles lie further apart than
  the real ones, its walls show less of where the expert's line is. CAMUS experts draw the septum
  where it begins to brighten: its quantiles from 0.1 to 0.9 span 1 px at ED and 1.5 px at ES.
- `foreseen`: which part of the variance of `distance` a linear regression on what can be seen along
  the network's own outline foresees in other patients. Nothing would be left to foresee if
  phantoms taught how pictures and lines of real hearts belong together.

It works the other way round too, and takes seconds where a training on phantoms takes minutes: the
outlines of weights that were trained on CAMUS show where its experts would draw on phantom frames.

    python -m echolib train ../shared/camus --minutes 10 --out build/expert
    python -m benchmarks.outlines ../shared/camus --weights build/expert

What that network misses on phantom frames is a label that nothing in the picture shows, or a
picture unlike the real ones. Nothing of CAMUS is written, and such weights stay in `build/`.
"""

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import ndimage

from echolib.geometry import axis_directions, mask_outline
from echolib.metrics import dice
from echolib.networks.inference import predict, square_masks
from echolib.networks.models import load_model
from echolib.ventricle.disagreement import seen_in_views
from echolib.ventricle.networks import Networks, load_networks

from .realism import CAVITY, PHASES, SIZE, SMALLEST, axis_of, phantom_frames, real_frames

STEPS = (-8, -6, -4, -2, 0, 2, 4, 6, 8)  # px outward from the outline
RISE = np.arange(-5.0, 12.0, 0.5)  # px outward: where the rise of the grey is looked for
RISEN = 0.25  # share of the rise at the place that is measured
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
FOLDS, RIDGE = 8, 60.0  # of the regression: groups of patients, penalty
WALLS = ("septal", "lateral", "apex", "base")
APEX_LEVEL, SIDE_LEVELS, BASE_LEVEL = 0.12, (0.2, 0.85), 0.93  # of the way from tip to base


class Outline(NamedTuple):
    """An outline's points (n, 2), its outward normals (n, 2), and the wall of each point (n,)."""

    points: np.ndarray
    normals: np.ndarray
    walls: np.ndarray

    def by_wall(self, values: np.ndarray) -> dict[str, float]:
        """Mean of the values (n,) at the points of each wall."""
        parts = {wall: values[self.walls == wall] for wall in WALLS}
        return {wall: part.mean() if len(part) else np.nan for wall, part in parts.items()}


def outline_of(regions: np.ndarray) -> Outline:
    """The outline of the cavity."""
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
    return Outline(points, normals, walls)


class Labelled(NamedTuple):
    """Frames of one kind and their regions, (n, S, S) each, ED and ES in turn.

    outlines: of each frame, None where its cavity is too small to be measured.
    """

    name: str
    images: np.ndarray
    regions: np.ndarray
    outlines: list[Outline | None]

    def measured(self) -> Iterator[tuple[int, Outline, dict[str, object]]]:
        """Index, outline and first columns of the row of each frame that is measured."""
        for index, outline in enumerate(self.outlines):
            if outline is not None:
                yield index, outline, {"data": self.name, "phase": PHASES[index % len(PHASES)]}


def labelled(name: str, frames: Iterator) -> Labelled:
    """Read frames that end-diastole and end-systole take in turn, with regions."""
    images, regions = (np.stack(part) for part in list(zip(*frames, strict=True))[:2])
    large = [(one == CAVITY).sum() > SMALLEST for one in regions]
    found = [outline_of(one) if good else None for one, good in zip(regions, large, strict=True)]
    return Labelled(name, images, regions, found)


def grey_profile(
    image: np.ndarray, outline: Outline, steps: Iterable[float] = STEPS
) -> dict[tuple[str, float], float]:
    """Mean grey of one frame by wall and step across the outline."""
    found = {}
    for step in steps:
        place = (outline.points + step * outline.normals).T[::-1]
        grey = ndimage.map_coordinates(image.astype(float), place, order=1, mode="nearest")
        found |= {(wall, step): mean for wall, mean in outline.by_wall(grey).items()}
    return found


def edge_places(image: np.ndarray, outline: Outline) -> dict[str, float]:
    """By wall, px outward from the outline: where the grey has risen by `RISEN` to its outer peak.

    NaN where it is not a grey level brighter outside than well inside.
    """
    grey = grey_profile(ndimage.gaussian_filter(image.astype(float), 0.7), outline, RISE)
    found = {}
    for wall in WALLS:
        curve = ndimage.gaussian_filter1d([grey[wall, step] for step in RISE], 1.5)
        inside, peak = curve[0], curve[RISE >= 0].max()
        place = np.argmax(curve >= inside + RISEN * (peak - inside))
        found[wall] = RISE[place] if peak > inside + 1 else np.nan
    return found


def seen_along(image: np.ndarray, mask: np.ndarray) -> dict[object, float]:
    """What can be seen of a network's outline without a label: grey by wall and step, also less
    that on the outline, the mask's area, its proportions and its place.
    """
    smooth = ndimage.gaussian_filter(image.astype(float), 1.0)
    grey = grey_profile(smooth, outline_of(np.where(mask, CAVITY, 0)))
    found: dict[object, float] = {**grey}
    found |= {("rise", *key): value - grey[key[0], 0] for key, value in grey.items() if key[1]}
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    found |= {"area": mask.sum(), "proportions": np.ptp(rows) / max(np.ptp(columns), 1)}
    return found | {"top": rows[0], "bottom": rows[-1], "middle": columns.mean()}


def foreseen_share(seen: pd.DataFrame, values: pd.Series, patients: np.ndarray) -> float:
    """Share of the values' variance that ridge regression on `seen` foresees in other patients."""
    features = ((seen - seen.mean()) / (seen.std() + 1e-9)).clip(-4, 4).fillna(0.0).to_numpy()
    known, answers = values.fillna(values.mean()).to_numpy(), np.zeros(len(values))
    for fold in range(FOLDS):
        other = patients % FOLDS != fold
        middle, used = known[other].mean(), features[other]
        penalty = RIDGE * np.eye(used.shape[1])
        weights = np.linalg.solve(used.T @ used + penalty, used.T @ (known[other] - middle))
        answers[~other] = features[~other] @ weights + middle
    return float(1 - ((known - answers) ** 2).mean() / known.var())


def signed_distances(mask: np.ndarray, outline: Outline) -> dict[str, float]:
    """Mean signed distance of a mask's outline from the cavity's, px outward, by wall."""
    inward = ndimage.distance_transform_edt(mask) - ndimage.distance_transform_edt(~mask)
    return outline.by_wall(ndimage.map_coordinates(inward, outline.points.T[::-1], order=1))


def measure_labels(frames: Labelled) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Grey across the labels, and where it rises, a row a frame."""
    profiles, edges = [], []
    for index, outline, row in frames.measured():
        profiles.append(row | grey_profile(frames.images[index], outline))
        edges.append(row | edge_places(frames.images[index], outline))
    return pd.DataFrame(profiles), pd.DataFrame(edges)


def measure_answers(frames: Labelled, answers: np.ndarray) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What can be seen along a network's outlines, and their distances, a row a frame.

    answers: probabilities (n, S, S). Frames without an answer are left out.
    """
    seen, distances = [], []
    masks = square_masks(answers, SIZE)
    for index, outline, row in frames.measured():
        mask, cavity = masks[index], frames.regions[index] == CAVITY
        if mask.any():
            seen.append(
                row | {"heart": index // len(PHASES)} | seen_along(frames.images[index], mask)
            )
            scores = {"area": mask.sum() / cavity.sum(), "dice": dice(mask, cavity)}
            distances.append(row | signed_distances(mask, outline) | scores)
    return pd.DataFrame(seen), pd.DataFrame(distances)


def outlined_together(team: Networks, images: np.ndarray) -> np.ndarray:
    """Probabilities (n, S, S) of what networks outline together, as `measure_pair` does.

    images: ED and ES, in turn, of a heart.
    """
    hearts = images.reshape(-1, len(PHASES), SIZE, SIZE)
    views = [seen_in_views(team, pair, [(0, 1)]) for pair in hearts]
    return np.concatenate([np.nanmean(seen, axis=0) for seen in views])


def foreseen_table(seen: pd.DataFrame, distances: pd.DataFrame) -> pd.DataFrame:
    """`foreseen_share` of the distance at each wall, a row for each phase and kind of frames."""
    rows = {}
    for key, part in seen.groupby(["phase", "data"]):
        known = distances[(distances[["phase", "data"]] == list(key)).all(axis=1)]
        features = part.drop(columns=["phase", "data", "heart"])
        hearts = part.heart.to_numpy()
        rows[key] = {wall: foreseen_share(features, known[wall], hearts) for wall in WALLS}
    return pd.DataFrame(rows).T.rename_axis(["phase", "data"])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("camus", type=Path, help="folder of CAMUS")
    parser.add_argument("--weights", default="lv")
    parser.add_argument(
        "--together", nargs="+", help="weights: also score what these outline together, on CAMUS"
    )
    parser.add_argument("--frames", type=int, default=800, help="phantom frames")
    parser.add_argument("--seed", type=int, default=5)
    options = parser.parse_args()
    network = load_model(options.weights)
    half = options.frames // 2
    sources = [
        labelled("CAMUS", real_frames(options.camus)),
        labelled("physical", phantom_frames(half, options.seed, plain=False)),
        labelled("plain", phantom_frames(half, options.seed, plain=True)),
    ]
    answers = [predict(network, frames.images) for frames in sources]
    outlined = list(zip(sources, answers, strict=True))
    if options.together:
        team, real = load_networks(options.together), sources[0]
        together = outlined_together(team, real.images)
        outlined.append((real._replace(name="CAMUS, together"), together))
    labels = [measure_labels(frames) for frames in sources]
    profiles, edges = (pd.concat(part) for part in zip(*labels, strict=True))
    found = [measure_answers(frames, masks) for frames, masks in outlined]
    seen, distances = (pd.concat(part) for part in zip(*found, strict=True))
    for wall in WALLS:
        part = profiles[["data", "phase", *[(wall, step) for step in STEPS]]]
        part.columns = ["data", "phase", *STEPS]
        print(f"\nGrey across the {wall} outline, px outward")
        print(part.groupby(["phase", "data"]).mean().round(0).astype(int).to_string())
    print("\nWhere the grey has risen by a quarter, px outward from the outline: quantiles")
    print(edges.groupby(["phase", "data"])[list(WALLS)].quantile(QUANTILES).unstack().to_string())
    print(f"\n{options.weights} against the label: distance in px, outward; area: ratio; dice")
    grouped = distances.groupby(["phase", "data"])[[*WALLS, "area", "dice"]]
    print(grouped.mean().round(3).to_string())
    print("\nStandard deviation over frames")
    print(grouped.std().round(2).to_string())
    print("\nShare of the distances' variance that is foreseen by what the outline shows")
    print(foreseen_table(seen, distances).round(2).to_string())


if __name__ == "__main__":
    main()
