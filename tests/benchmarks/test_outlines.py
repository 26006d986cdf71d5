"""Lines across grey walls: where the rise lies, and what an outline's error can be foreseen by."""

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from benchmarks import outlines
from benchmarks.realism import ATRIUM, CAVITY, WALL


def heart() -> np.ndarray:
    """Regions of an upright ventricle above an atrium."""
    y, x = np.mgrid[:112, :112]
    cavity = ((x - 56) / 16) ** 2 + ((y - 62) / 38) ** 2 <= 1
    cavity &= y <= 76
    regions = np.where(ndimage.binary_dilation(cavity, iterations=6) & (y <= 76), WALL, 0)
    regions[77:95, 44:68] = ATRIUM
    regions[cavity] = CAVITY
    return regions.astype(np.uint8)


@pytest.mark.parametrize("away", [0, 3])
def test_the_rise_is_found_where_it_is(away: int) -> None:
    regions = heart()
    dark = (
        ndimage.binary_dilation(regions == CAVITY, iterations=away) if away else regions == CAVITY
    )
    image = np.where(dark, 40, 160).astype(np.uint8)
    found = outlines.edge_places(image, outlines.outline_of(regions))
    for wall in ("septal", "lateral"):
        assert found[wall] == pytest.approx(away, abs=1.1)


def test_no_rise_is_no_place() -> None:
    flat = np.full((112, 112), 90, np.uint8)
    found = outlines.edge_places(flat, outlines.outline_of(heart()))
    assert np.isnan(list(found.values())).all()


def test_errors_that_the_picture_tells_are_foreseen_and_others_not() -> None:
    generator = np.random.default_rng(0)
    seen = pd.DataFrame(generator.normal(size=(400, 5)))
    patients = np.arange(400)
    told = pd.Series(seen[0] - 2 * seen[3])
    assert outlines.foreseen_share(seen, told, patients) > 0.9
    assert outlines.foreseen_share(seen, pd.Series(generator.normal(size=400)), patients) < 0.1


def test_what_is_seen_needs_no_label() -> None:
    regions = heart()
    image = np.where(regions == WALL, 150, 40).astype(np.uint8)
    found = outlines.seen_along(image, regions == CAVITY)
    assert found["septal", 4] > found["septal", -4] + 50
    assert found["rise", "septal", 4] == found["septal", 4] - found["septal", 0]
    assert found["area"] == (regions == CAVITY).sum()
    assert found["top"] == np.flatnonzero((regions == CAVITY).any(axis=1))[0]


def test_a_larger_outline_lies_outward() -> None:
    regions = heart()
    larger = ndimage.binary_dilation(regions == CAVITY, iterations=2)
    distances = outlines.signed_distances(larger, outlines.outline_of(regions))
    assert distances["septal"] == pytest.approx(2, abs=0.6)


def test_what_networks_miss_is_foreseen_by_phase_and_kind() -> None:
    """Of two kinds of frames, the outline of one is drawn the larger the brighter its wall is."""
    generator, rows = np.random.default_rng(1), []
    for data in ("told", "random"):
        for number in range(200):
            for phase in outlines.PHASES:
                row = {"data": data, "phase": phase, "heart": number}
                rows.append(row | {"grey": generator.normal()})
    seen = pd.DataFrame(rows)
    away = pd.Series(generator.normal(size=len(seen))).where(seen.data == "random", 2 * seen.grey)
    distances = seen[["data", "phase"]].assign(**dict.fromkeys(outlines.WALLS, away))
    shares = outlines.foreseen_table(seen, distances)
    assert list(shares.columns) == list(outlines.WALLS)
    assert (shares.xs("told", level="data") > 0.9).all(axis=None)
    assert (shares.xs("random", level="data") < 0.1).all(axis=None)


def test_labels_and_answers_are_measured_frame_by_frame() -> None:
    regions = heart()
    small = np.where(ndimage.binary_erosion(regions == CAVITY, iterations=15), CAVITY, 0)
    image = np.where(regions == WALL, 150, 40).astype(np.uint8)
    pairs = [(image, regions), (image, small.astype(np.uint8)), (image, regions), (image, regions)]
    frames = outlines.labelled("drawn", iter(pairs))
    assert [outline is None for outline in frames.outlines] == [False, True, False, False]
    profiles, edges = outlines.measure_labels(frames)
    assert len(profiles) == len(edges) == 3
    answers = np.stack([regions == CAVITY] * 4).astype(np.float32)
    answers[3] = 0
    seen, distances = outlines.measure_answers(frames, answers)
    assert list(seen.heart) == [0, 1] and list(distances.phase) == ["ED", "ED"]
    assert distances.area.tolist() == distances.dice.tolist() == [1, 1]
