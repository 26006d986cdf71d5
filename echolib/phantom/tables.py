"""All that varies between phantoms, in one table: what, from where to where, on whose authority."""

from dataclasses import fields

import pandas as pd

from .anatomy import Heart
from .cycle import Rhythm
from .scanner import Scanner
from .sector import CamusScreen, EchoNetScreen, OtherScreen
from .tissue import Tissue
from .valve import Leaflet, Valve

TABLES = (Heart, Rhythm, Tissue, EchoNetScreen, CamusScreen, OtherScreen, Scanner, Valve, Leaflet)


def range_table() -> pd.DataFrame:
    """A row for each drawn quantity: part, quantity, low, high, mean, sd, source.

    Without mean and sd a quantity is drawn uniformly, with them from a normal distribution cut
    off at low and high. Units stand beside the fields of the classes in `TABLES`.
    """
    rows = [
        {"part": table.__name__, "quantity": item.name, **vars(item.metadata["range"])}
        for table in TABLES
        for item in fields(table)
        if "range" in item.metadata
    ]
    return pd.DataFrame(rows)[["part", "quantity", "low", "high", "mean", "sd", "source"]]
