"""What a card says of a training: which frames were seen, and which corruptions."""

import pytest

from echolib.networks.card import about_training, frames_digest, trained_corruptions
from echolib.networks.models import UNet, load_model
from echolib.networks.plan import TrainingConfig
from echolib.networks.training import Training
from tests.makers import frame_set

FRAMES = frame_set(12)


def network(**card):
    made = UNet(2, depth=1)
    made.name, made.card = "mine", card
    return made


def test_a_digest_knows_the_frames_and_not_their_order():
    table = FRAMES.table
    assert frames_digest(table) == frames_digest(table[::-1]) != frames_digest(table[1:])


def test_a_training_notes_its_frames_and_is_recognised_by_them(tmp_path):
    parts = FRAMES.split("train"), FRAMES.split("val")
    config = TrainingConfig(epochs=1, batch=4)
    Training(UNet(2, depth=1), *parts, tmp_path / "mine", config).run(progress=False)
    trained = load_model(tmp_path / "mine")
    said = about_training(trained, FRAMES.table)
    assert said.startswith("mine was trained on frames of this data set's split train")
    assert about_training(trained, FRAMES.split("test").table) == ""
    assert not any(name in trained.card["training_digest"] for name in FRAMES.table["clip"])


@pytest.mark.parametrize(
    ("source", "card", "said"),
    [
        ("camus", {"trained_on": "camus"}, "may have been trained on some of these frames"),
        ("camus", {"trained_on": "camus", "training_digest": "0"}, "but not on which patients"),
        ("camus", {"trained_on": "echonet-dynamic"}, ""),
        ("phantom", {"trained_on": "phantom"}, ""),  # each phantom study has hearts of its own
        ("camus", {}, ""),
    ],
)
def test_no_more_is_claimed_than_the_card_says(source, card, said):
    found = about_training(network(**card), FRAMES.table.assign(source=source))
    assert said in found and bool(said) == bool(found)


def test_corruptions_are_those_of_the_networks_own_training():
    names = ["haze", "gaussian", "rain"]
    assert trained_corruptions(load_model("lv")) == ()
    assert "gaussian" in trained_corruptions(load_model("lv_robust"))
    seen = trained_corruptions(network(config={"corrupted": 0.5, "corruptions": names}))
    assert set(seen) == {"haze", "gaussian"}
    for config in ({"corrupted": 0.0, "corruptions": names}, {"corrupted": 1}, 5, None):
        assert trained_corruptions(network(config=config)) == ()
