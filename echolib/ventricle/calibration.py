"""An ejection fraction's correction and interval, learnt from clips whose truth is known.

A network's outlines are biased, and not in every clip to be trusted alike. Clips with known
ejection fraction (EF) tell three things: a straight line from the EF found to the true one; how
far it errs, given how much several looks at the clip disagree; and, from clips that were not used
for either, the factor by which that must be widened so that nine in ten intervals hold the truth
(split conformal prediction: Lei et al., J Am Stat Assoc 113, 2018; scaled by an estimate of the
error as in Papadopoulos et al., ECML 2002). The promise holds for clips like those learnt from.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import nnls

from ..errors import DataError
from ..files import atomic_path

SPREADS = ("views", "networks", "beats")  # what several looks disagree in, points of EF
LEVEL = 0.9
FEWEST = 40  # clips; fewer say little of the rarest tenth
FITTED_SHARE = 0.3  # of the clips are for the line and the error, the others for the factor
OUTLIER = 3.0  # robust standard deviations: clips that are this far off do not turn the line


@dataclass(frozen=True)
class Calibration:
    """How to read an ejection fraction that was found; all in points of EF.

    slope, intercept: EF = intercept + slope x found. base, weights: half the interval before it
    is widened, base + the sum of the weights x `SPREADS`. factor: widens it. doubt: the
    disagreement of two networks' outlines (1 - Dice) that one clip in twenty exceeds. clips,
    data, networks: what it was learnt from, and with which weights.
    """

    slope: float
    intercept: float
    base: float
    weights: tuple[float, float, float]
    factor: float
    doubt: float
    level: float
    clips: int
    data: str
    networks: tuple[str, ...]

    def half_width(self, spreads: dict[str, float]) -> float:
        """Half of the interval's width, from the disagreements named in `SPREADS`."""
        known = [np.nan_to_num(spreads[name]) for name in SPREADS]
        return self.factor * (self.base + float(np.dot(self.weights, known)))

    def interval(self, found: float, spreads: dict[str, float]) -> tuple[float, float, float]:
        """EF, lower and upper end of its interval, per cent; NaN without an EF."""
        if not np.isfinite(found):
            return np.nan, np.nan, np.nan
        middle = self.intercept + self.slope * found
        half = self.half_width(spreads)
        return tuple(float(np.clip(v, 0, 100)) for v in (middle, middle - half, middle + half))

    def save(self, path: str | Path) -> None:
        """Write it as JSON, whole or not at all."""
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")


def load_calibration(path: str | Path) -> Calibration:
    """Read what `Calibration.save` wrote. Raises DataError where it is not one."""
    try:
        known = json.loads(Path(path).read_text(encoding="utf-8"))
        known |= {name: tuple(known[name]) for name in ("weights", "networks")}
        calibration = Calibration(**known)
        numbers = [getattr(calibration, f) for f, kind in Calibration.__annotations__.items()
                   if kind is float]  # fmt: skip
        if not np.isfinite([*numbers, *calibration.weights]).all():
            raise ValueError("a value is no finite number")
        if len(calibration.weights) != len(SPREADS) or calibration.base <= 0:
            raise ValueError("it promises no width")
        return calibration
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(
            f"{path} is no calibration ({error}). `python -m echolib calibrate` writes one."
        ) from error


def fit_calibration(
    clips: pd.DataFrame, data: str, networks: tuple[str, ...], level: float = LEVEL, seed: int = 0
) -> Calibration:
    """Learn a Calibration from clips whose EF is known.

    clips: a row a clip with ef_true, found (uncorrected EF, NaN rows are left out), doubt, and
    the `SPREADS`. data: what the clips are. Raises ValueError for fewer than `FEWEST` clips with
    an EF.
    """
    known = clips[np.isfinite(clips.found) & np.isfinite(clips.ef_true)]
    if len(known) < FEWEST:
        raise ValueError(
            f"{len(known)} of {len(clips)} clips have both a true and a found EF; {FEWEST} are "
            "needed for a calibration. Take more clips, or a split with more."
        )
    order = np.random.default_rng(seed).permutation(len(known))
    count = round(FITTED_SHARE * len(known))
    fitted, held_out = known.iloc[order[:count]], known.iloc[order[count:]]
    slope, intercept = _line(fitted.found.to_numpy(float), fitted.ef_true.to_numpy(float))
    base, *weights = _error_model(fitted, slope, intercept)
    first = Calibration(
        slope, intercept, base, tuple(weights), 1.0, float(known.doubt.quantile(0.95)), level,
        len(known), data, tuple(networks),
    )  # fmt: skip
    errors = np.abs(held_out.ef_true - (intercept + slope * held_out.found)).to_numpy()
    widths = [first.half_width(dict(row)) for _, row in held_out[list(SPREADS)].iterrows()]
    # the finite-sample quantile of split conformal prediction
    rank = min(len(errors), int(np.ceil(level * (len(errors) + 1))))
    factor = float(np.sort(errors / np.array(widths))[rank - 1])
    return Calibration(**{**vars(first), "factor": factor})


def _line(found: np.ndarray, true: np.ndarray) -> tuple[float, float]:
    """Slope and intercept by least squares, once more without the outliers."""
    keep = np.ones(len(found), bool)
    for _ in range(2):
        slope, intercept = np.polyfit(found[keep], true[keep], 1)
        errors = np.abs(true - (intercept + slope * found))
        keep = errors <= OUTLIER * 1.4826 * np.median(errors)
    return float(slope), float(intercept)


def _error_model(clips: pd.DataFrame, slope: float, intercept: float) -> list[float]:
    """1 + spreads numbers from 0 up: |error| as a constant and shares of the spreads."""
    errors = np.abs(clips.ef_true - (intercept + slope * clips.found)).to_numpy(float)
    spreads = clips[list(SPREADS)].fillna(0).to_numpy(float)
    numbers = nnls(np.column_stack([np.ones(len(errors)), spreads]), errors)[0]
    numbers[0] = max(numbers[0], 0.25 * errors.mean())  # agreement alone is no certainty
    return numbers.tolist()
