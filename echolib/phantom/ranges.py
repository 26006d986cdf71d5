"""Ranges of the phantom's parameters, declared in the fields of frozen dataclasses.

A class such as `anatomy.Heart` declares each of its parameters with `ranged`. `draw_parameters`
draws an instance of such a class.
"""

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

# sources of a range
FACTS = "FACTS"  # the project's facts of the field
PROTOTYPE = "prototype"  # the quick prototype's notes: public EchoNet clips, textbook timings
CAMUS = "CAMUS training patients"  # benchmarks/realism.py measures them beside the phantom
MASKS = "experts' masks of leaflets"  # benchmarks/leaflets.py measures them beside the phantom
CHOSEN = "chosen"  # set by eye, or to make the population wide enough
SOURCES = (FACTS, PROTOTYPE, CAMUS, MASKS, CHOSEN)

Parameters = TypeVar("Parameters", bound="DataclassInstance")


@dataclass(frozen=True)
class Range:
    """A uniform distribution from `low` to `high`, or a normal one that is clipped to them.

    The distribution is normal if `mean` and `sd` are given.
    """

    low: float
    high: float
    source: str
    mean: float | None = None
    sd: float | None = None

    def draw(self, generator: np.random.Generator) -> float:
        """Draw one value."""
        if self.mean is None or self.sd is None:
            return float(generator.uniform(self.low, self.high))
        return float(np.clip(generator.normal(self.mean, self.sd), self.low, self.high))


def ranged(
    low: float, high: float, source: str, mean: float | None = None, sd: float | None = None
) -> Any:
    """Declare a dataclass field that `draw_parameters` draws from this range."""
    return field(metadata={"range": Range(low, high, source, mean, sd)})


def draw_parameters(
    kind: type[Parameters], generator: np.random.Generator, **given: Any
) -> Parameters:
    """Build an instance of the dataclass `kind`, its ranged fields drawn in their order.

    given: values of other fields, or of ranged fields that are not to be random. A ranged field
    that is given is still drawn before it is replaced, so that the other fields do not change.
    """
    drawn = {
        item.name: item.metadata["range"].draw(generator)
        for item in fields(kind)
        if "range" in item.metadata
    }
    return kind(**(drawn | given))
