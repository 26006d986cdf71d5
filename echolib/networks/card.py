"""What the card of a network says of its training, and what follows for its scores."""

import hashlib
from collections.abc import Mapping
from typing import Any

import pandas as pd

from ..data.echonet import PHANTOM
from .corruptions import CORRUPTIONS
from .models import Encoder


def frames_digest(table: pd.DataFrame) -> str:
    """Short text that stands for a set of frames, whatever their order, and names none of them.

    table: one row per frame with clip and frame, the names of which change the text.
    """
    names = sorted(set(table["clip"].astype(str) + " " + table.frame.astype(str)))
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]


def trained_corruptions(network: Encoder) -> tuple[str, ...]:
    """The corruptions of the images that a network was trained on, () where its card names none."""
    config = _card(network).get("config")
    if not isinstance(config, Mapping) or not config.get("corrupted"):
        return ()
    names = config.get("corruptions")
    return tuple(name for name in CORRUPTIONS if isinstance(names, (list, tuple)) and name in names)


def about_training(network: Encoder, table: pd.DataFrame) -> str:
    """A sentence where a network has seen some of these frames in its training, else "".

    table: of the scored frames, with clip, frame, split and source; the split "train" must be
    whole. The card of a network says which set of frames it was trained on. Cards of older networks
    name only the source: then its patients may be the same, but not where it is the phantom, of
    which each study has hearts of its own.
    """
    train, card = table[table.split == "train"], _card(network)
    if train.empty:
        return ""
    if card.get("training_digest") == frames_digest(train):
        return (
            f"{network.name} was trained on frames of this data set's split train: its scores "
            "there say nothing about other patients."
        )
    source = card.get("trained_on")
    if source != train.source.iloc[0] or source == PHANTOM:
        return ""
    return (
        f"{network.name} may have been trained on some of these frames of the split train: its "
        f"card says that it was trained on {source}, but not on which patients."
    )


def _card(network: Encoder) -> Mapping[str, Any]:
    return getattr(network, "card", {})
