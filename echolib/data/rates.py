"""Frame rates and spacings that a heart scan can have, and what the times of the frames give."""

import warnings

import numpy as np

RATES = (1.0, 500.0)  # frames per second that a heart scan can have
SPACINGS = (0.01, 10.0)  # mm per px that it can have
UNEVEN = 1.5  # ratio of the longest to the shortest frame time from which on they differ
USUAL = 0.9  # share of the frame times that must be alike, for the rate to be theirs
ALIKE = 0.1  # how far alike ones differ, as a share


def known_rate(fps: float | None, name: str) -> float | None:
    """A frame rate that a heart scan can have, rounded; else None, with a warning.

    fps: frames per second, None or 0 where the file gives none. name: of the file.
    """
    if not fps:
        return None
    if RATES[0] <= fps <= RATES[1]:
        return round(float(fps), 3)
    warnings.warn(
        f"{name}: a rate of {fps:.4g} frames per second cannot be that of a heart scan "
        f"({RATES[0]:g} to {RATES[1]:g}). The rate is left unknown.",
        stacklevel=3,
    )
    return None


def rate_of_times(times: np.ndarray, name: str) -> float | None:
    """Frames per second from the times of the frames in s, (T,); None where they give none.

    Warns where the frames are not evenly spaced. The rate is then that of nine in ten of them, as
    where one picture is held for a while; where there is none, it is the mean.
    """
    steps = np.diff(times)
    if not len(steps) or not np.isfinite(steps).all() or not (steps > 0).all():
        return None
    if steps.max() <= UNEVEN * steps.min():
        return float(1 / steps.mean())
    usual = steps[np.abs(steps - np.median(steps)) <= ALIKE * np.median(steps)]
    most = len(usual) >= USUAL * len(steps)
    warnings.warn(
        f"{name}: the times between frames differ, from {1000 * steps.min():.0f} to "
        f"{1000 * steps.max():.0f} ms. The {'usual' if most else 'mean'} rate is used.",
        stacklevel=3,
    )
    return float(1 / (usual if most else steps).mean())
