"""The ranges of all random parameters of the phantom in one table, with their sources."""

from dataclasses import fields

import pandas as pd

from .anatomy import Heart
from .cycle import Rhythm
from .scanner import Scanner
from .sector import CamusScreen, EchoNetScreen, OtherScreen
from .tissue import Tissue
from .valve import Leaflet, ValveAnatomy

PARTS = {
    "Heart": Heart,
    "Rhythm": Rhythm,
    "Tissue": Tissue,
    "EchoNetScreen": EchoNetScreen,
    "CamusScreen": CamusScreen,
    "OtherScreen": OtherScreen,
    "Scanner": Scanner,
    "Valve": ValveAnatomy,
    "Leaflet": Leaflet,
}


def range_table() -> pd.DataFrame:
    """List the ranges of all random parameters, one row per parameter.

    Columns: part, quantity, low, high, mean, sd, source. A quantity without mean and sd is drawn
    from a uniform distribution, one with them from a normal distribution that is clipped to low
    and high. Units stand beside the fields of the classes in `PARTS`.
    """
    rows = [
        {"part": part, "quantity": item.name, **vars(item.metadata["range"])}
        for part, kind in PARTS.items()
        for item in fields(kind)
        if "range" in item.metadata
    ]
    return pd.DataFrame(rows)[["part", "quantity", "low", "high", "mean", "sd", "source"]]
