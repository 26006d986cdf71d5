"""Correction and interval of an ejection fraction, learnt from clips whose true EF is known.

A network's outlines are biased, and they are not equally reliable in every clip. Clips with a
known ejection fraction (EF) give three things: a straight line from the measured EF to the true EF,
if it helps; the size of the error, given how much several estimates of the clip disagree; and the
factor by which the interval must be widened so that nine in ten contain the truth. The errors are
divided by their expected size (normalised scores: Papadopoulos et al., ECML 2002; Romano et al.,
NeurIPS 2019), and each range of the EF that is shown has a factor of its own, so that nine in ten
hold among hearts that look weak as among those that look strong (Mondrian conformal prediction:
Vovk et al., Algorithmic Learning in a Random World, 2005). Each clip is scored by a fit on other
clips (cross-conformal prediction: Vovk, Ann Math Artif Intell 74, 2015). The share holds for clips
like those that the calibration was learnt from; `widen` is for what others are known to need.
"""

import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import nnls

from ..curves import MAD_TO_SD
from ..errors import DataError
from ..files import read_json, write_json
from .scores import EF_RANGES

SPREADS = ("views", "networks", "beats")  # over which the EF is estimated several times; points
LEVEL = 0.9  # share of the intervals that contain the truth
FEWEST = 40  # clips: with fewer, the largest tenth of the errors is hardly known
FEWEST_IN_RANGE = 30  # clips: a range of EF with fewer shares its factor with the next one
FOLDS = 5  # each clip is scored by a fit on the clips of the four other folds
CORRECTIONS = ("auto", "line", "none")
CLEAR = 2.0  # standard errors: by so much a line's gain must differ from 0 before it is believed
OUTLIER = 3.0  # robust standard deviations: clips with a larger error do not affect the line
MIN_BASE = 0.25  # of the mean error: estimates that agree can still all be wrong
STEP = 0.05  # `widen` is rounded up to a multiple of it
# smallest and largest value of each number; the smallest itself is allowed where it is in LEAST
RANGES = {
    "slope": (0.0, 10.0), "intercept": (-1000.0, 1000.0), "base": (0.0, 100.0),
    "widen": (1.0, 10.0), "doubt": (0.0, 1.0), "level": (0.0, 1.0),
}  # fmt: skip
LEAST = ("intercept", "widen", "doubt")


@dataclass(frozen=True)
class Calibration:
    """Correction and interval of a measured ejection fraction; all values in points of EF.

    slope, intercept: EF = intercept + slope x measured EF; 1 and 0 leave it as measured. base,
    weights: the expected error is base + the sum of the weights x `SPREADS`. limits, factors: half
    the width of the interval is the expected error x `widen` x the factor of the range that this
    EF lies in; the ranges lie between the limits, n limits and n + 1 factors. widen: 1, or more
    where intervals were found too narrow on clips of another kind; chosen_on: the description of
    those clips, "" without. doubt: the disagreement (1 - Dice) of outline and landmarks that one
    clip in twenty exceeds; 1 without a landmarks network. level: share of the intervals that
    contain the truth. clips, data, networks: number and description of the clips that it was
    learnt from, and the names of the networks' weights.
    Raises ValueError for values that no calibration has.
    """

    slope: float
    intercept: float
    base: float
    weights: tuple[float, ...]  # one for each of `SPREADS`
    limits: tuple[float, ...]
    factors: tuple[float, ...]
    widen: float
    chosen_on: str
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
            if value == least and name not in LEAST or name == "level" and value == most:
                raise ValueError(
                    f"{name}: expected a value between {least:g} and {most:g}, found {value!r}"
                )
        valid = len(self.weights) == len(SPREADS)
        if not valid or not all(_is_number(w) and 0 <= w <= 1000 for w in self.weights):
            raise ValueError(
                f"weights: expected {len(SPREADS)} numbers from 0 to 1000, found {self.weights}"
            )
        ends = (0, *self.limits, 100)
        if not all(map(_is_number, ends)) or not all(np.diff(ends) > 0):
            raise ValueError(f"limits: expected rising EFs between 0 and 100, found {self.limits}")
        valid = len(self.factors) == len(self.limits) + 1
        if not valid or not all(_is_number(f) and 0 < f <= 100 for f in self.factors):
            raise ValueError(
                f"factors: expected {len(self.limits) + 1} numbers above 0, up to 100, found "
                f"{self.factors}"
            )
        if type(self.clips) is not int or self.clips < 1:
            raise ValueError(f"clips: expected their number, found {self.clips!r}")
        if not all(isinstance(text, str) for text in (self.chosen_on, self.data, *self.networks)):
            raise ValueError("chosen_on, data, networks: expected texts")
        if self.widen > 1 and not self.chosen_on:
            raise ValueError("chosen_on: expected the clips that `widen` was chosen on, found none")

    @property
    def corrects(self) -> bool:
        """False where every EF stays as it was measured."""
        return (self.slope, self.intercept) != (1, 0)

    def half_width(self, ef: float, spreads: dict[str, float]) -> float:
        """Half the width of the interval of an EF as it is shown, per cent.

        spreads: those named in `SPREADS`; NaN counts as 0.
        """
        values = np.nan_to_num([spreads[name] for name in SPREADS])
        factor = self.factors[np.digitize(ef, self.limits)]
        return self.widen * factor * (self.base + float(np.dot(self.weights, values)))

    def interval(self, measured: float, spreads: dict[str, float]) -> tuple[float, float, float]:
        """Corrected EF, lower and upper end of its interval, per cent; NaN without an EF."""
        if not np.isfinite(measured):
            return np.nan, np.nan, np.nan
        middle = self.intercept + self.slope * measured
        half = self.half_width(middle, spreads)
        ends = (middle, middle - half, middle + half)
        ef, low, high = (float(np.clip(value, 0, 100)) for value in ends)
        return ef, low, high

    def save(self, path: str | Path) -> None:
        """Write the calibration as JSON, whole or not at all."""
        write_json(asdict(self), path)


def load_calibration(path: str | Path) -> Calibration:
    """Read a file of `Calibration.save`. Raises DataError for any other file, older ones too."""
    try:
        values = dict(read_json(path))
        if "factor" in values:
            raise ValueError("it is of an older version, with one factor for all EFs")
        for name in ("weights", "limits", "factors", "networks"):
            if not isinstance(values[name], list):
                raise ValueError(f"{name}: expected a list, found {values[name]!r}")
            values[name] = tuple(values[name])
        return Calibration(**values)
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(
            f"{path} is not a calibration ({error}). Calibrate anew with `python -m echolib "
            "calibrate`."
        ) from error


def _is_number(value: object) -> bool:
    """True for a finite number; JSON's true and false are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < math.inf


# --- Learning it ----------------------------------------------------------------------------------


def fit_calibration(
    clips: pd.DataFrame,
    data: str,
    networks: tuple[str, ...],
    correction: str = "auto",
    also: pd.DataFrame | None = None,
) -> Calibration:
    """Learn a Calibration from clips whose EF is known.

    clips: one row per clip with ef_true, ef_measured (EF before the correction), doubt, and the
    `SPREADS`; rows without one of the two EFs (NaN) are left out. data: description of the clips.
    networks: names of the weights. correction: "line", "none", which leaves every EF as measured,
    or "auto": a line if it makes the mean absolute error smaller, each range of `EF_RANGES`
    counted alike, clearly so (by two standard errors) on clips that it was not fitted to, and on
    the clips `also`, of another kind. Raises ValueError for fewer than `FEWEST` clips with both
    EFs, and for a measured EF that falls where the true one rises.
    """
    if correction not in CORRECTIONS:
        raise ValueError(f"correction: expected one of {CORRECTIONS}, found {correction!r}.")
    complete = _with_both(clips)
    slope, intercept = _line(complete)
    if not slope > 0:
        raise ValueError(
            f"The measured EF does not rise with the true EF (slope {slope:.3g}), so it cannot be "
            "corrected. Use networks that were trained on such clips."
        )
    folds = np.random.default_rng(0).permutation(len(complete)) % FOLDS
    corrects = correction == "line" or correction == "auto" and _line_helps(complete, folds, also)
    if not corrects:
        slope, intercept = 1.0, 0.0
    base, *weights = _error_model(complete, slope, intercept)
    limits, factors = _factors(*_scores(complete, folds, corrects))
    doubt = float(complete.doubt.quantile(0.95))
    doubt = 1.0 if np.isnan(doubt) else doubt  # without landmarks, which nothing exceeds
    return Calibration(
        slope, intercept, base, tuple(weights), limits, factors, 1.0, "", doubt, LEVEL,
        len(complete), data, tuple(networks),
    )  # fmt: skip


def needed_widening(calibration: Calibration, clips: pd.DataFrame) -> float:
    """The smallest `widen` with which nine in ten intervals of these clips contain the truth.

    clips: as for `fit_calibration`. Returns 1 or more, rounded up to a multiple of `STEP`, so that
    it says little about any single clip. Raises ValueError for fewer than `FEWEST` clips.
    """
    complete = _with_both(clips)
    read = _read(complete, calibration.slope, calibration.intercept)
    rows = zip(read, complete.to_dict("records"), strict=True)
    halves = np.array([calibration.half_width(*row) for row in rows]) / calibration.widen
    steps = _conformal_quantile(np.abs(complete.ef_true - read).to_numpy(float) / halves) / STEP
    return max(1.0, round(math.ceil(steps - 1e-9) * STEP, 2))


def read_clips(calibration: Calibration, clips: pd.DataFrame) -> pd.DataFrame:
    """Clips as for `fit_calibration`, with ef_corrected, ef_low and ef_high of a calibration."""
    rows = [calibration.interval(row["ef_measured"], row) for row in clips.to_dict("records")]
    columns = ["ef_corrected", "ef_low", "ef_high"]
    return clips.assign(**pd.DataFrame(rows, columns=columns, index=clips.index))


def _with_both(clips: pd.DataFrame) -> pd.DataFrame:
    """The clips with a true and a measured EF. Raises ValueError for fewer than `FEWEST`."""
    complete = clips[np.isfinite(clips.ef_measured) & np.isfinite(clips.ef_true)]
    require_enough(len(complete), f"of {len(clips)} have both a true and a measured EF")
    return complete


def require_enough(count: int, which: str) -> None:
    """Raise ValueError for fewer than `FEWEST` clips; which: a description, for the message."""
    if count < FEWEST:
        raise ValueError(
            f"{count} clips {which}; {FEWEST} clips with a known EF are needed for a calibration. "
            "Use more clips, or a larger split."
        )


def _balance(true: np.ndarray) -> np.ndarray:
    """Weights (N,) of sum 1 that give each range of the true EF the same sum."""
    ranges = np.digitize(true, EF_RANGES)
    counts = np.bincount(ranges)
    return 1 / (counts[ranges] * np.count_nonzero(counts))


def _line(clips: pd.DataFrame) -> tuple[float, float]:
    """Fit slope and intercept by least squares, then once more without the outliers.

    Each range of the true EF weighs the same. Else the many strong hearts would draw the few weak
    ones towards their mean.
    """
    measured, true = clips.ef_measured.to_numpy(float), clips.ef_true.to_numpy(float)
    keep = np.ones(len(measured), bool)
    for _ in range(2):
        root = np.sqrt(_balance(true[keep]))  # polyfit squares it
        slope, intercept = np.polyfit(measured[keep], true[keep], 1, w=root)
        errors = np.abs(true - (intercept + slope * measured))
        keep = errors <= OUTLIER * MAD_TO_SD * np.median(errors)
    return float(slope), float(intercept)


def _line_helps(clips: pd.DataFrame, folds: np.ndarray, also: pd.DataFrame | None) -> bool:
    """Whether a line clearly lowers the error of clips that it was not fitted to.

    folds: (N,) fold of each clip.
    """
    parts = [(clips[folds != fold], clips[folds == fold]) for fold in range(FOLDS)]
    held = pd.concat([part for _, part in parts])
    read = np.concatenate([_read(part, *_line(rest)) for rest, part in parts])
    if also is None:
        return _clear_gain(held, read)
    other = _with_both(also)
    return _clear_gain(held, read) and _clear_gain(other, _read(other, *_line(clips)))


def _read(clips: pd.DataFrame, slope: float, intercept: float) -> np.ndarray:
    """(N,) EF of the clips after the line."""
    return (intercept + slope * clips.ef_measured).to_numpy(float)


def _clear_gain(clips: pd.DataFrame, read: np.ndarray) -> bool:
    """Whether the EF `read` (N,) errs less than the measured one, by `CLEAR` standard errors."""
    true, measured = clips.ef_true.to_numpy(float), clips.ef_measured.to_numpy(float)
    gain, weights = np.abs(measured - true) - np.abs(read - true), _balance(true)
    ranges = np.digitize(true, EF_RANGES)
    means = pd.Series(gain).groupby(ranges).transform("mean")
    error = float(np.sqrt((weights**2 * (gain - means) ** 2).sum()))
    return float((weights * gain).sum()) > CLEAR * error


def _scores(
    clips: pd.DataFrame, folds: np.ndarray, corrects: bool
) -> tuple[np.ndarray, np.ndarray]:
    """EF of each clip and its error / expected error, both (N,), by a fit on other folds."""
    shown, scores = np.empty(len(clips)), np.empty(len(clips))
    for fold in range(FOLDS):
        rest, held = clips[folds != fold], clips[folds == fold]
        line = _line(rest) if corrects else (1.0, 0.0)
        expected = _design(held) @ _error_model(rest, *line)
        shown[folds == fold] = read = _read(held, *line)
        scores[folds == fold] = np.abs(held.ef_true.to_numpy(float) - read) / expected
    return shown, scores


def _factors(shown: np.ndarray, scores: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Limits between ranges of the shown EF, and the factor of each range.

    A range with fewer than `FEWEST_IN_RANGE` clips is joined to the next one, the last to the one
    before.
    """
    limits, rest = [], shown
    for limit in EF_RANGES:
        if min((rest < limit).sum(), (rest >= limit).sum()) >= FEWEST_IN_RANGE:
            limits.append(float(limit))
            rest = rest[rest >= limit]
    ranges = np.digitize(shown, limits)
    parts = [scores[ranges == number] for number in range(len(limits) + 1)]
    return tuple(limits), tuple(map(_conformal_quantile, parts))


def _conformal_quantile(scores: np.ndarray) -> float:
    """The finite-sample quantile of conformal prediction: the rank is that among one clip more."""
    rank = min(len(scores), int(np.ceil(LEVEL * (len(scores) + 1))))
    return float(np.sort(scores)[rank - 1])


def _error_model(clips: pd.DataFrame, slope: float, intercept: float) -> list[float]:
    """Fit |error| = base + sum of weights x spreads; returns base and weights, all 0 or more."""
    errors = np.abs(clips.ef_true.to_numpy(float) - _read(clips, slope, intercept))
    coefficients = nnls(_design(clips), errors)[0]
    coefficients[0] = max(coefficients[0], MIN_BASE * errors.mean())
    return coefficients.tolist()


def _design(clips: pd.DataFrame) -> np.ndarray:
    """(N, 1 + number of `SPREADS`): ones, and the spreads; NaN counts as 0."""
    spreads = clips[list(SPREADS)].fillna(0).to_numpy(float)
    return np.column_stack([np.ones(len(clips)), spreads])
