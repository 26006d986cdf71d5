"""Tables of what varies: a frozen dataclass whose fields carry the range they are drawn from."""

from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

import numpy as np

# where a range comes from
FACTS = "FACTS"  # the project's facts of the field
PROTOTYPE = "prototype"  # the quick prototype's notes: public EchoNet clips, textbook timings
CAMUS = "CAMUS training patients"  # benchmarks/realism.py measures them beside the phantom
CHOSEN = "chosen"  # set by eye, or to make the population wide enough
SOURCES = (FACTS, PROTOTYPE, CAMUS, CHOSEN)

Table = TypeVar("Table")


@dataclass(frozen=True)
class Range:
    """Uniform between `low` and `high`; with `mean` and `sd`, normal and cut off at both."""

    low: float
    high: float
    source: str
    mean: float | None = None
    sd: float | None = None

    def draw(self, generator: np.random.Generator) -> float:
        """One value."""
        if self.mean is None or self.sd is None:
            return float(generator.uniform(self.low, self.high))
        return float(np.clip(generator.normal(self.mean, self.sd), self.low, self.high))


def ranged(
    low: float, high: float, source: str, mean: float | None = None, sd: float | None = None
) -> Any:
    """A dataclass field that `draw_table` fills from this range."""
    return field(metadata={"range": Range(low, high, source, mean, sd)})


def draw_table(table: type[Table], generator: np.random.Generator, **given: Any) -> Table:
    """Build `table`, each ranged field drawn from its range in order; `given` sets the others.

    A given field is still drawn before it is replaced, so that giving one leaves all others as
    they were.
    """
    drawn = {
        item.name: item.metadata["range"].draw(generator)
        for item in fields(table)  # type: ignore[arg-type]
        if "range" in item.metadata
    }
    return table(**(drawn | given))
