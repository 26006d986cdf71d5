"""The cardiac cycle: contraction of the ventricle and opening of the mitral valve over time.

Time is in seconds; 0 is end-diastole. Five phases follow one another: isovolumic contraction,
ejection, isovolumic relaxation, rapid filling, and, after a pause (diastasis), the atrial kick.
"""

from dataclasses import dataclass

import numpy as np

from .ranges import CAMUS, CHOSEN, PROTOTYPE, draw_parameters, ranged


@dataclass(frozen=True)
class Rhythm:
    """The timing of one heart; seconds unless stated otherwise."""

    rate: float = ranged(45, 115, PROTOTYPE, mean=70, sd=13)  # beats per minute
    isovolumic_contraction: float = ranged(0.03, 0.06, PROTOTYPE)
    ejection: float = ranged(0.24, 0.34, PROTOTYPE)
    isovolumic_relaxation: float = ranged(0.05, 0.10, PROTOTYPE)
    rapid_filling: float = ranged(0.12, 0.20, PROTOTYPE)
    atrial_kick: float = ranged(0.08, 0.13, PROTOTYPE)
    atrial_share: float = ranged(0.12, 0.40, PROTOTYPE)  # of the filling
    diastasis_share: float = ranged(0.00, 0.10, CHOSEN)  # of the filling
    ejection_skew: float = ranged(0.75, 1.0, CHOSEN)  # below 1: faster at the start
    mid_diastolic_opening: float = ranged(0.25, 0.60, CHOSEN)  # leaflets float half open
    atrial_opening: float = ranged(0.56, 0.90, CHOSEN)
    # at end-diastole the leaflets still swing shut: they close during isovolumic contraction
    late_opening: float = ranged(0.0, 0.55, CAMUS)


def _ramp(x: np.ndarray) -> np.ndarray:
    """Smooth step from 0 to 1 over x in [0, 1], with zero slope at both ends; constant outside."""
    x = np.clip(x, 0.0, 1.0)
    return x * x * (3.0 - 2.0 * x)


@dataclass(frozen=True)
class Cycle:
    """One beat that repeats. Build it with `draw_cycle` or `Cycle.from_rhythm`.

    period: seconds. end_systole, opening_time, filling_end, kick_start: seconds from
    end-diastole to the end of ejection, the opening of the mitral valve, the end of rapid
    filling, and the contraction of the atria.
    """

    rhythm: Rhythm
    period: float
    end_systole: float
    opening_time: float
    filling_end: float
    kick_start: float

    @classmethod
    def from_rhythm(cls, rhythm: Rhythm) -> "Cycle":
        """Arrange the phases in one beat; at a high heart rate they are shortened to fit."""
        period = 60.0 / rhythm.rate
        ejection = min(rhythm.ejection, 0.42 * period)
        end_systole = rhythm.isovolumic_contraction + ejection
        opening = end_systole + rhythm.isovolumic_relaxation
        diastole = period - opening
        filling_end = opening + min(rhythm.rapid_filling, 0.5 * diastole)
        kick_start = period - min(rhythm.atrial_kick, 0.35 * diastole)
        return cls(rhythm, period, end_systole, opening, filling_end, kick_start)

    def contraction(self, time: np.ndarray | float) -> np.ndarray:
        """Contraction of the ventricle: 0 at end-diastole, 1 at end-systole.

        time: seconds, any shape, over any number of beats. Returns float64 in [0, 1] with the
        shape of `time`. Volume is about EDV - contraction (EDV - ESV); how closely depends on
        the shape of the ventricle.
        """
        phase = np.mod(np.asarray(time, float), self.period)
        rhythm = self.rhythm
        start = rhythm.isovolumic_contraction
        ejected = np.clip((phase - start) / (self.end_systole - start), 0.0, 1.0)
        filled = _ramp((phase - self.opening_time) / (self.filling_end - self.opening_time))
        pause = _ramp((phase - self.filling_end) / (self.kick_start - self.filling_end))
        kick = _ramp((phase - self.kick_start) / (self.period - self.kick_start))
        early = 1.0 - rhythm.atrial_share - rhythm.diastasis_share
        inflow = early * filled + rhythm.diastasis_share * pause + rhythm.atrial_share * kick
        return np.clip(_ramp(ejected**rhythm.ejection_skew) - inflow, 0.0, 1.0)

    def opening(self, time: np.ndarray | float) -> np.ndarray:
        """Opening of the mitral leaflets: 0 closed (during all of ejection), 1 wide open.

        time: as for `contraction`. The valve opens twice, as in an M-mode picture: during rapid
        filling and during the atrial kick. Between them the leaflets float half open. They close
        during isovolumic contraction, just after end-diastole.
        """
        phase = np.mod(np.asarray(time, float), self.period)
        rhythm, filling = self.rhythm, self.filling_end - self.opening_time
        kick = self.period - self.kick_start
        knots = np.array(
            [0.0, rhythm.isovolumic_contraction, self.opening_time]
            + [self.opening_time + 0.35 * filling, self.filling_end]
            + [self.kick_start, self.kick_start + 0.4 * kick, self.period]
        )
        floating = rhythm.mid_diastolic_opening
        late, kicked = rhythm.late_opening, rhythm.atrial_opening
        levels = np.array([late, 0.0, 0.0, 1.0, floating, 0.9 * floating, kicked, late])
        segment = np.clip(np.searchsorted(knots, phase, side="right") - 1, 0, len(knots) - 2)
        share = (phase - knots[segment]) / (knots[segment + 1] - knots[segment])
        return levels[segment] + _ramp(share) * (levels[segment + 1] - levels[segment])


def draw_cycle(generator: np.random.Generator) -> Cycle:
    """Draw a beat whose timing lies in the ranges of `Rhythm`."""
    return Cycle.from_rhythm(draw_parameters(Rhythm, generator))
