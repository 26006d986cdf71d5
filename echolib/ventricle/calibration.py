"""Correction and interval of an ejection fraction, learnt from clips whose true EF is known.

A network's outlines are biased, and they are not equally reliable in every clip. Clips with a
known ejection fraction (EF) give three things: a straight line from the measured EF to the true
EF; the size of the error, given how much several estimates of the clip disagree; and, from clips
that were used for neither of these, the factor by which the interval must be widened so that nine
in ten intervals contain the truth (split conformal prediction: Lei et al., J Am Stat Assoc 113,
2018; scaled by an estimate of the error as in Papadopoulos et al., ECML 2002). This share holds
for clips like those that the calibration was learnt from.
"""

import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import nnls

from ..curves import MAD_TO_SD
from ..errors import DataError
from ..files import read_json, write_json

SPREADS = ("views", "networks", "beats")  # over which the EF is estimated several times; points
LEVEL = 0.9  # share of the intervals that contain the truth
FEWEST = 40  # clips: with fewer, the largest tenth of the errors is hardly known
FITTED_SHARE = 0.3  # of the clips are used for the line and the error, the others for the factor
OUTLIER = 3.0  # robust standard deviations: clips with a larger error do not affect the line
# smallest and largest value of each number; the smallest itself is allowed where it is in ZERO
RANGES = {
    "slope": (0.0, 10.0), "intercept": (-1000.0, 1000.0), "base": (0.0, 100.0),
    "factor": (0.0, 100.0), "doubt": (0.0, 1.0), "level": (0.0, 1.0),
}  # fmt: skip
ZERO = ("intercept", "doubt")
MIN_BASE = 0.25  # of the mean error: estimates that agree can still all be wrong


@dataclass(frozen=True)
class Calibration:
    """Correction and interval of a measured ejection fraction; all values in points of EF.

    slope, intercept: EF = intercept + slope x measured EF. base, weights: half the width of the
    interval before it is widened is base + the sum of the weights x `SPREADS`. factor: widens it.
    doubt: the disagreement of two networks' outlines (1 - Dice) that one clip in twenty exceeds; 1
    without a landmarks network.
    level: share of the intervals that contain the truth. clips, data, networks: number and
    description of the clips that it was learnt from, and the names of the networks' weights.
    Raises ValueError for values that no calibration has (`RANGES`).
    """

    slope: float
    intercept: float
    base: float
    weights: tuple[float, ...]  # one for each of `SPREADS`
    factor: float
    doubt: float
    level: float
    clips: int
    data: str
    networks: tuple[str, ...]

    def __post_init__(self) -> None:
        for name, (least, most) in RANGES.items():
            value = getattr(self, name)
            if not _is_number(value) or not least <= value <= most:
                raise ValueError(f"{name}: expected {least:g} to {most:g}, found {value!r}")
            if value == least and name not in ZERO or name == "level" and value == most:
                raise ValueError(
                    f"{name}: expected a value between {least:g} and {most:g}, found {value!r}"
                )
        valid = len(self.weights) == len(SPREADS)
        if not valid or not all(_is_number(w) and 0 <= w <= 1000 for w in self.weights):
            raise ValueError(
                f"weights: expected {len(SPREADS)} numbers from 0 to 1000, found {self.weights}"
            )
        if type(self.clips) is not int or self.clips < 1:
            raise ValueError(f"clips: expected their number, found {self.clips!r}")
        if not all(isinstance(text, str) for text in (self.data, *self.networks)):
            raise ValueError("data, networks: expected texts")

    def half_width(self, spreads: dict[str, float]) -> float:
        """Half the width of the interval, from the spreads named in `SPREADS`; NaN counts as 0."""
        values = [np.nan_to_num(spreads[name]) for name in SPREADS]
        return self.factor * (self.base + float(np.dot(self.weights, values)))

    def interval(self, measured: float, spreads: dict[str, float]) -> tuple[float, float, float]:
        """Corrected EF, lower and upper end of its interval, per cent; NaN without an EF."""
        if not np.isfinite(measured):
            return np.nan, np.nan, np.nan
        middle = self.intercept + self.slope * measured
        half = self.half_width(spreads)
        ends = (middle, middle - half, middle + half)
        ef, low, high = (float(np.clip(value, 0, 100)) for value in ends)
        return ef, low, high

    def save(self, path: str | Path) -> None:
        """Write the calibration as JSON, whole or not at all."""
        write_json(asdict(self), path)


def load_calibration(path: str | Path) -> Calibration:
    """Read a file of `Calibration.save`. Raises DataError for any other file."""
    try:
        values = dict(read_json(path))
        for name in ("weights", "networks"):
            if not isinstance(values[name], list):
                raise ValueError(f"{name}: expected a list, found {values[name]!r}")
            values[name] = tuple(values[name])
        return Calibration(**values)
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(
            f"{path} is not a calibration ({error}). Write one with `python -m echolib calibrate`."
        ) from error


def _is_number(value: object) -> bool:
    """True for a finite number; JSON's true and false are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < math.inf


def fit_calibration(clips: pd.DataFrame, data: str, networks: tuple[str, ...]) -> Calibration:
    """Learn a Calibration from clips whose EF is known.

    clips: one row per clip with ef_true, ef_measured (EF before the correction), doubt, and the
    `SPREADS`; rows without one of the two EFs (NaN) are left out. data: description of the clips.
    networks: names of the weights. Raises ValueError for fewer than `FEWEST` clips with both EFs.
    """
    complete = clips[np.isfinite(clips.ef_measured) & np.isfinite(clips.ef_true)]
    if len(complete) < FEWEST:
        raise ValueError(
            f"{len(complete)} of {len(clips)} clips have both a true and a measured EF; {FEWEST} "
            "are needed for a calibration. Use more clips, or a larger split."
        )
    order = np.random.default_rng(0).permutation(len(complete))
    count = round(FITTED_SHARE * len(complete))
    fitted, held_out = complete.iloc[order[:count]], complete.iloc[order[count:]]
    slope, intercept = _line(fitted.ef_measured.to_numpy(float), fitted.ef_true.to_numpy(float))
    if not slope > 0:
        raise ValueError(
            f"The measured EF does not rise with the true EF (slope {slope:.3g}), so it cannot be "
            "corrected. Use networks that were trained on such clips."
        )
    base, *weights = _error_model(fitted, slope, intercept)
    doubt = float(complete.doubt.quantile(0.95))
    doubt = 1.0 if np.isnan(doubt) else doubt  # without landmarks, which nothing exceeds
    narrow = Calibration(
        slope, intercept, base, tuple(weights), 1.0, doubt, LEVEL, len(complete), data,
        tuple(networks),
    )  # fmt: skip
    errors = np.abs(held_out.ef_true - (intercept + slope * held_out.ef_measured)).to_numpy()
    widths = [narrow.half_width(dict(row)) for _, row in held_out[list(SPREADS)].iterrows()]
    # the finite-sample quantile of split conformal prediction
    rank = min(len(errors), int(np.ceil(LEVEL * (len(errors) + 1))))
    return replace(narrow, factor=float(np.sort(errors / np.array(widths))[rank - 1]))


def _line(measured: np.ndarray, true: np.ndarray) -> tuple[float, float]:
    """Fit slope and intercept by least squares, then once more without the outliers."""
    keep = np.ones(len(measured), bool)
    for _ in range(2):
        slope, intercept = np.polyfit(measured[keep], true[keep], 1)
        errors = np.abs(true - (intercept + slope * measured))
        keep = errors <= OUTLIER * MAD_TO_SD * np.median(errors)
    return float(slope), float(intercept)


def _error_model(clips: pd.DataFrame, slope: float, intercept: float) -> list[float]:
    """Fit |error| = base + sum of weights x spreads; returns base and weights, all 0 or more."""
    errors = np.abs(clips.ef_true - (intercept + slope * clips.ef_measured)).to_numpy(float)
    spreads = clips[list(SPREADS)].fillna(0).to_numpy(float)
    coefficients = nnls(np.column_stack([np.ones(len(errors)), spreads]), errors)[0]
    coefficients[0] = max(coefficients[0], MIN_BASE * errors.mean())
    return coefficients.tolist()
