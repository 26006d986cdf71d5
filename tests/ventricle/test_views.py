"""Clips that may be no apical four-chamber view: noticed, measured all the same, and told."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from benchmarks.other_views import draw_view, no_hearts
from echolib import example_clip
from echolib.browser.sources import open_views
from echolib.commands.parser import main
from echolib.data import Camus, Clip
from echolib.figures.film import write_video
from echolib.networks.inference import outline, outline_landmarks
from echolib.networks.orientation import KNOWN, Orientation, find_orientation
from echolib.ventricle.clip import measure_clip
from echolib.ventricle.networks import load_networks

NETWORKS = load_networks()
SAID = "may not be an apical four-chamber view"
SEED = 9  # of hearts; the benchmark has others
MIRRORED = Orientation(mirrored=True)


def noticed(clip):
    found = find_orientation(clip, NETWORKS.landmarks)
    return any(SAID in sentence for sentence in found.warnings())


@pytest.fixture(scope="module")
def other():
    """A parasternal long axis of 12 frames."""
    return draw_view("parasternal long axis", SEED, 0, frames=12)


# --- Recognition ----------------------------------------------------------------------------------


@pytest.mark.parametrize("view", [
    "parasternal long axis", "parasternal short axis", "great vessels", "subcostal",
])  # fmt: skip
def test_most_drawings_of_another_view_are_noticed(view):
    assert sum(noticed(draw_view(view, SEED, index)) for index in range(5)) >= 4


def test_most_four_chamber_views_are_not():
    clips = [draw_view("apical four-chamber", SEED, index) for index in range(12)]
    assert sum(noticed(clip) for clip in clips) <= 3  # some, nobody could read
    assert not noticed(example_clip()) and not noticed(MIRRORED.turn_clip(example_clip()))


def test_few_real_patients_are_told_that_theirs_may_be_another_view(camus):
    data = Camus(camus)
    names = data.table.index[data.table.split == "train"][:40]
    assert sum(noticed(data.clip(name)) for name in names) <= 3


def test_what_shows_no_heart_is_noticed():
    kinds = dict(no_hearts(SEED, frames=2))  # the last clip of each kind
    assert len(kinds) >= 9
    assert [kind for kind, clip in kinds.items() if not noticed(clip)] == []


def test_a_single_frame_is_enough(other):
    assert noticed(replace(other, frames=other.frames[:1]))
    assert not noticed(replace(example_clip(), frames=example_clip().frames[:1]))


def test_the_spread_is_that_of_the_display_which_the_networks_get():
    spreads = (9.0, 5.0)
    assert Orientation(spreads=spreads).spread == 9.0
    assert Orientation(mirrored=True, spreads=spreads).spread == 5.0
    assert np.isnan(Orientation().spread)


def test_the_sentence_says_what_was_seen_and_what_to_do():
    limit = KNOWN * 112
    assert Orientation(spreads=(limit, 20.0), limit=limit).warnings() == []
    (sentence,) = Orientation(spreads=(12.34, 20.0), limit=limit).warnings()
    assert "12.3 px" in sentence and f"at most {limit:.1f} px" in sentence
    assert "Look at the outlines" in sentence and "Give a clip of that view" in sentence


# --- Every way to a clip says so ------------------------------------------------------------------


def test_another_view_is_measured_with_the_warning_first(other):
    result = measure_clip(other, NETWORKS)
    assert SAID in result.warnings[0] and len(result.masks) == len(other.frames)
    assert SAID in result.row()["warnings"]
    assert not any(SAID in sentence for sentence in measure_clip(example_clip()).warnings)


def test_outlines_of_another_view_come_with_a_warning(other):
    for ask in (lambda: outline(NETWORKS, other),
                lambda: outline_landmarks(NETWORKS.landmarks, other)):  # fmt: skip
        with pytest.warns(UserWarning, match=f"{other.name}: This {SAID}"):
            assert len(ask()) == len(other.frames)


def test_a_single_masks_network_does_not_know_the_view(other):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        outline(NETWORKS.single, Clip("other", other.frames[:2]))


@pytest.fixture(scope="module")
def file(other, tmp_path_factory):
    """The other view as a video."""
    pictures = np.repeat(other.frames[..., None], 3, axis=-1)
    return write_video(tmp_path_factory.mktemp("other") / "other.webm", pictures, 30.0)


@pytest.mark.parametrize("command", ["segment", "function"])
def test_each_command_tells_it(command, file, tmp_path):
    with pytest.warns(UserWarning, match=SAID):
        assert main([command, str(file), "--out", str(tmp_path)]) == 0
    if command == "function":
        assert SAID in (tmp_path / "report.html").read_text()
        assert SAID in pd.read_csv(tmp_path / "clips.csv").warnings[0]


def test_the_browser_tells_it(file):
    with pytest.warns(UserWarning, match=SAID):
        open_views(file, models={"network": "ventricle"}).read(0)
