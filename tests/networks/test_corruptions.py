"""Corruptions: inside the sector, seeded, and worse with rising severity."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echolib.data import Camus
from echolib.data.frames import to_square
from echolib.data.sector import find_sector
from echolib.networks.corruptions import (
    CORRUPTIONS,
    SEEN,
    SEVERITIES,
    UNSEEN,
    corrupt,
    corrupt_some,
)
from echolib.phantom.single_frames import draw_frames
from tests.makers import fan

PHANTOM = draw_frames(6, seed=3, workers=1)[0]
each_corruption = pytest.mark.parametrize("name", CORRUPTIONS)


def distance(changed: np.ndarray, image: np.ndarray) -> float:
    return float(np.sqrt(np.mean((changed.astype(float) - image) ** 2)))


def test_the_suite_is_complete_and_every_family_has_seen_and_unseen_corruptions():
    assert len(CORRUPTIONS) == 12 and all(len(c.levels) == 5 for c in CORRUPTIONS.values())
    assert set(SEEN) | set(UNSEEN) == set(CORRUPTIONS) and len(SEEN) == len(UNSEEN) == 6
    for family in {c.family for c in CORRUPTIONS.values()}:
        names = {name for name, c in CORRUPTIONS.items() if c.family == family}
        assert names & set(SEEN) and names & set(UNSEEN)


@each_corruption
def test_a_higher_severity_is_never_nearer_to_the_clean_image(name):
    for seed, image in enumerate([*PHANTOM, fan()[0]]):
        distances = [distance(corrupt(image, name, s, seed), image) for s in SEVERITIES]
        assert distances[0] > 0 and np.all(np.diff(distances) >= 0), (seed, distances)


@each_corruption
def test_a_higher_severity_is_never_nearer_to_a_clean_real_frame(name, camus):
    reader = Camus(camus)
    for seed, clip in enumerate(reader.table.index[::40]):
        image = to_square(reader.labelled(clip)[0][0], 112).image
        distances = [distance(corrupt(image, name, s, seed), image) for s in SEVERITIES]
        assert distances[0] > 0 and np.all(np.diff(distances) >= 0), (clip, distances)


@each_corruption
def test_nothing_outside_the_sector_changes(name):
    image, _ = fan()
    outside = ~find_sector(image).inside
    image[:4, :4] = 90  # text in a corner
    for severity in SEVERITIES:
        changed = corrupt(image, name, severity, 1)
        assert changed.dtype == np.uint8 and changed.shape == image.shape
        assert np.array_equal(changed[outside], image[outside])


@each_corruption
@settings(max_examples=5)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_seed_decides_and_severity_0_leaves_the_image_alone(name, seed):
    image = PHANTOM[0]
    assert np.array_equal(corrupt(image, name, 4, seed), corrupt(image, name, 4, seed))
    assert np.array_equal(corrupt(image, name, 0, seed), image)


@each_corruption
@pytest.mark.parametrize("shape", [(16, 16), (40, 90), (90, 40)])
def test_any_shape_and_a_white_or_black_image_is_accepted(name, shape):
    for value in (0, 255):
        assert corrupt(np.full(shape, value, np.uint8), name, 5).shape == shape


def test_a_corruption_does_what_its_name_says():
    image, inside = fan()
    sector = find_sector(image)
    bright = np.where(inside, 120, 0).astype(np.uint8)
    near, far = inside & (sector.depth < 0.2), inside & (sector.depth > 0.7)
    faded = corrupt(bright, "attenuation", 5)
    assert faded[far].mean() < 0.3 * faded[near].mean()
    fogged = corrupt(np.minimum(bright, 20), "clutter", 5)
    assert fogged[near].mean() > 100 and fogged[far].mean() == pytest.approx(20, abs=1)
    lost = corrupt(bright, "dropout", 3)
    assert (lost[sector.inside] == 0).mean() == pytest.approx(0.3, abs=0.03)
    noisy = corrupt(bright, "gaussian", 2).astype(float)[far]
    assert noisy.std() == pytest.approx(0.12 * 255, rel=0.05)
    grainy = corrupt(bright, "speckle", 3).astype(float)[far]
    assert grainy.std() == pytest.approx(0.2 * 120, rel=0.05)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_a_shadow_begins_at_an_obstacle_and_reaches_the_bottom_of_the_sector(severity):
    image, inside = fan()
    sector, bright = find_sector(image), np.where(inside, 200, 0).astype(np.uint8)
    strength, _ = CORRUPTIONS["shadow"].levels[severity - 1]
    for seed in range(5):
        shaded = corrupt(bright, "shadow", severity, seed, sector)
        darkest = [
            shaded[inside & (np.abs(sector.depth - depth) < 0.02)].min()
            for depth in (0.1, 0.75, 0.85, 0.95)
        ]
        assert darkest[0] > 195  # above the obstacle
        assert max(darkest[1:]) < 200 * (1 - 0.9 * strength)
        assert np.median(shaded[inside]) > 180  # on few beams


def test_reverberation_repeats_a_bright_echo_deeper_on_the_same_beam():
    image, inside = fan()
    image = np.where(inside, 6, 0).astype(np.uint8)
    image[20:30, 56:65] = 255
    changed = corrupt(image, "reverberation", 5, seed=2).astype(int) - image
    assert (changed[30:, 60] > 60).any() and not (changed[30:, 25] > 60).any()


def test_a_share_of_training_images_is_corrupted_by_the_given_names():
    generator = np.random.default_rng(0)
    images = np.concatenate([PHANTOM] * 8)
    changed = corrupt_some(images, 0.5, ("attenuation",), generator)
    differ = (changed != images).any(axis=(1, 2))
    assert 0.25 < differ.mean() < 0.75
    assert (changed <= images).all()  # attenuation only darkens
    assert np.array_equal(images, np.concatenate([PHANTOM] * 8))


def test_bad_names_severities_and_images_are_refused():
    with pytest.raises(ValueError, match="Unknown corruptions.*rain.*speckle"):
        corrupt(PHANTOM[0], "rain", 1)
    for severity in (6, -1, 1.5, "3"):
        with pytest.raises(ValueError, match="0 to 5"):
            corrupt(PHANTOM[0], "haze", severity)
    for image in (PHANTOM, PHANTOM[0] / 255):
        with pytest.raises(ValueError, match=r"\(H, W\) uint8"):
            corrupt(image, "haze", 1)
