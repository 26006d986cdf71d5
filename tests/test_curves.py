"""Smoothed volume curves: the same heart gives the same extremes at any frame rate."""

import numpy as np
import pytest

from echolib.curves import remaining_noise, smoothed_volume
from echolib.phantom.cycle import Cycle, draw_cycle
from echolib.ventricle.beats import find_systoles

RATES = (20, 25, 30, 40, 50, 60, 80, 100)
EDV = 120.0
FRACTIONS = (25.0, 45.0, 60.0, 70.0)  # true EF of the hearts, per cent
CLIPS = 240  # per frame rate
TOLERANCE = 0.5  # points of EF between a frame rate and 50 fps


def noise(kind: str, count: int, fps: float, generator: np.random.Generator) -> np.ndarray:
    """(count,) noise as a share of the volume: of single frames, or correlated over 0.1 s."""
    white = generator.normal(0, 1, count)
    if kind == "none":
        return np.zeros(count)
    if kind == "frames":
        return 0.05 * white
    kept = np.exp(-1 / (0.1 * fps))
    drift = white.copy()
    for frame in range(1, count):
        drift[frame] = kept * drift[frame - 1] + np.sqrt(1 - kept**2) * white[frame]
    return 0.03 * drift + 0.03 * generator.normal(0, 1, count)


def measured_ef(curve: np.ndarray, fps: float, given: float | None) -> float:
    """Median EF of the beats that count, per cent, NaN without one.

    given: the fps that the measurement is told.
    """
    smooth = smoothed_volume(curve, given)
    systoles, _ = find_systoles(smooth, remaining_noise(curve, given), given)
    fractions = [
        100 * (1 - smooth[systole.end_systole] / smooth[systole.end_diastole])
        for systole in systoles
        if systole.counts
    ]
    return float(np.median(fractions)) if fractions else np.nan


def mean_error(kind: str, fps: float, given: float | None) -> float:
    """Mean error of the EF, points, over clips of 2 to 4 beats that begin at any moment."""
    errors = []
    for number in range(CLIPS):
        generator = np.random.default_rng(number)
        cycle: Cycle = draw_cycle(generator)
        start, beats = generator.uniform(0, 1), generator.uniform(2, 4)
        times = np.arange(start * cycle.period, (start + beats) * cycle.period, 1 / fps)
        true = FRACTIONS[number % len(FRACTIONS)]
        curve = EDV * (1 - true / 100 * cycle.contraction(times))
        curve *= 1 + noise(kind, len(times), fps, generator)
        errors.append(measured_ef(curve, fps, given) - true)
    assert np.isnan(errors).mean() < 0.03  # at 20 fps, noise hides some of the weakest beats
    return float(np.nanmean(errors))


@pytest.mark.parametrize("kind", ["none", "frames", "correlated"])
def test_ejection_fraction_does_not_depend_on_the_frame_rate(kind):
    errors = {fps: mean_error(kind, fps, fps) for fps in RATES}
    assert abs(errors[50]) < 1
    assert {fps for fps in RATES if abs(errors[fps] - errors[50]) > TOLERANCE} == set()


def test_without_fps_the_ejection_fraction_is_nearly_the_same():
    for kind, tolerance in (("none", 1.0), ("frames", 1.7)):
        errors = [mean_error(kind, fps, None) for fps in (25, 30, 40, 50, 60)]
        assert np.abs(errors).max() < tolerance


@pytest.mark.parametrize("fps", [25.0, 50.0, 100.0])
def test_remaining_noise_is_what_smoothing_leaves(fps):
    generator = np.random.default_rng(0)
    curve = 80 + generator.normal(0, 4, 2000)
    left = smoothed_volume(curve, fps)[20:-20].std()
    assert remaining_noise(curve, fps) == pytest.approx(left, rel=0.1)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("fps", [5.0, 20.0, 50.0, None])
def test_straight_lines_stay_as_they_are(count, fps):
    line = np.linspace(90, 80, count)
    assert np.allclose(smoothed_volume(line, fps), line)
