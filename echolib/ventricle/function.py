"""From outlines of the left ventricle over time to its function: volumes, beats, ejection fraction.

Outlines are those of one apical view, the apex up; volumes are by the method of disks in that
one plane (Lang et al., recommendations for chamber quantification, J Am Soc Echocardiogr 28
(2015)). Where the pixel spacing is unknown, volumes are in px³/1000 and lengths in px, and the
ejection fraction is the same.
"""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from .. import geometry
from ..geometry import CHORDS, Tracing
from . import warnings as cardiac_warnings
from .beats import Systole, find_systoles, heart_rate
from .curve import (
    masks_to_tracings,
    measured,
    noise_left,
    share_at_edge,
    smoothed,
    without_outliers,
)


@dataclass(frozen=True)
class Beat:
    """One beat of a clip.

    end_diastole, end_systole: frames; end-systole is the later one unless `note` says that the
        clip begins in systole
    end: frame of the next end-diastole; None where it is not seen, the beat is not whole
    edv, esv: ml where the spacing is known, else px³/1000, off the smoothed curve
    length_ed, length_es: long axis, mm where the spacing is known, else px, smoothed over time
    ef: ejection fraction, per cent
    counts: whether it enters the clip's median; extrasystoles, the beats after them and beats
        with frames missing do not, nor does one that the clip cuts off where another one counts
    note: what sets it apart, in words, or ""
    """

    end_diastole: int
    end_systole: int
    end: int | None
    edv: float
    esv: float
    length_ed: float
    length_es: float
    ef: float
    counts: bool = True
    note: str = ""


@dataclass(frozen=True)
class HeartFunction:
    """What a clip of T frames tells of the left ventricle. NaN is what is unknown.

    area: (T,) px² of the outline
    volume: (T,) by the method of disks, ml where the spacing is known, else px³/1000
    smooth: (T,) volume, smoothed over time with its extremes kept; short gaps are bridged
    length: (T,) long axis, mm where the spacing is known, else px
    axes: (T, 2, 2) px, (x, y) of the apex and of the base's middle
    chords: (T, 20, 2, 2) px, from apex to base
    beats: in order, those that do not count included
    fps: frames per second, None where unknown
    spacing: mm per px, None where unknown
    heart_rate: beats per minute, None without fps or without a whole beat
    warnings: what limits these numbers, in words
    """

    area: np.ndarray
    volume: np.ndarray
    smooth: np.ndarray
    length: np.ndarray
    axes: np.ndarray
    chords: np.ndarray
    beats: list[Beat] = field(default_factory=list)
    fps: float | None = None
    spacing: float | None = None
    heart_rate: float | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def unit(self) -> str:
        """Unit of the volumes: "ml" or "px3/1000"."""
        return "ml" if self.spacing else "px3/1000"

    @property
    def length_unit(self) -> str:
        """Unit of the long axis: "mm" or "px"."""
        return "mm" if self.spacing else "px"

    def _counted(self, name: str) -> np.ndarray:
        return np.array([getattr(beat, name) for beat in self.beats if beat.counts], float)

    def _median(self, name: str) -> float:
        values = self._counted(name)
        return float(np.median(values)) if len(values) else np.nan

    @property
    def n_beats(self) -> int:
        """Number of beats that count."""
        return len(self._counted("ef"))

    @property
    def ef(self) -> float:
        """Ejection fraction, per cent: the median of the beats that count, NaN without one."""
        return self._median("ef")

    @property
    def edv(self) -> float:
        """End-diastolic volume: the median of the beats that count, NaN without one."""
        return self._median("edv")

    @property
    def esv(self) -> float:
        """End-systolic volume: the median of the beats that count, NaN without one."""
        return self._median("esv")

    @property
    def ef_spread(self) -> float:
        """Largest minus smallest EF of the beats that count, points; NaN with fewer than two."""
        values = self._counted("ef")
        return float(np.ptp(values)) if len(values) > 1 else np.nan

    def table(self) -> pd.DataFrame:
        """A row a frame: frame, time_s, area_px, area_mm2, volume, smooth, length, phase.

        phase is "ED", "ES" or ""; time_s and area_mm2 are NaN without fps and spacing.
        """
        frame = np.arange(len(self.area))
        phase = np.full(len(frame), "", object)
        for beat in self.beats:
            phase[[beat.end_diastole] + ([] if beat.end is None else [beat.end])] = "ED"
            phase[beat.end_systole] = "ES"
        return pd.DataFrame(
            {
                "frame": frame,
                "time_s": frame / self.fps if self.fps else np.nan,
                "area_px": self.area,
                "area_mm2": self.area * self.spacing**2 if self.spacing else np.nan,
                "volume": self.volume,
                "smooth": self.smooth,
                "length": self.length,
                "phase": phase,
            }
        )

    def beats_table(self) -> pd.DataFrame:
        """A row a beat, a column a field of Beat."""
        columns = list(Beat.__dataclass_fields__)
        table = pd.DataFrame(
            [[getattr(beat, name) for name in columns] for beat in self.beats], columns=columns
        )
        return table.astype({"end": "Int64"})


def heart_function(
    masks: np.ndarray,
    fps: float | None = None,
    spacing: float | None = None,
    shown: np.ndarray | None = None,
) -> HeartFunction:
    """The left ventricle's function over a clip, from masks of its cavity.

    masks: (T, H, W) bool, one apical view, the apex up. fps: frames per second; without it beats
    are told in frames and there is no heart rate. spacing: mm per px; without it volumes are in
    px³/1000. shown: (H, W) bool, the sector, to tell outlines that touch its edge; by default
    the whole picture. Raises ValueError for another dtype or shape, or for fps or spacing that
    are no positive numbers. A clip without a beat is no error: its warnings say why.
    """
    geometry.check_masks(masks)
    _check_numbers(fps, spacing)
    shown = np.ones(masks.shape[1:], bool) if shown is None else _checked_sector(shown)
    if shown.shape != masks.shape[1:]:
        raise ValueError(
            f"shown: expected the shape of a frame, {masks.shape[1:]}, found {shown.shape}. "
            "Crop or resize the sector as the frames were."
        )
    tracings, area = masks_to_tracings(masks)
    missing = cardiac_warnings.missing_masks(masks.any(axis=(1, 2)), np.isfinite(area))
    return _function(
        tracings, area, fps, spacing, missing + cardiac_warnings.edge(share_at_edge(masks, shown))
    )


def function_of_tracings(
    tracings: list[Tracing | None],
    fps: float | None = None,
    spacing: float | None = None,
    shown: np.ndarray | None = None,
) -> HeartFunction:
    """The same from one tracing a frame, None where there is none: for a landmarks network.

    A tracing with another number of chords than 20 is cut anew. shown: (H, W) bool; without it
    nothing is known of the sector's edge. Raises ValueError as `heart_function` does.
    """
    tracings = list(tracings)
    wrong = [type(item).__name__ for item in tracings if not isinstance(item, Tracing | None)]
    if wrong or not tracings:
        raise ValueError(
            f"tracings: expected one Tracing or None for each frame, found "
            f"{wrong[0] if wrong else 'no frame'}. Landmarks become one by "
            "`geometry.outline_to_tracing`."
        )
    _check_numbers(fps, spacing)
    tracings = [_twenty_chords(tracing) for tracing in tracings]
    seen = np.array([tracing is not None for tracing in tracings])
    warnings = cardiac_warnings.missing_masks(seen, seen)
    if shown is not None:
        shown = _checked_sector(shown)
        masks = np.stack(
            [np.zeros(shown.shape, bool) if t is None else t.mask(shown.shape) for t in tracings]
        )
        warnings += cardiac_warnings.edge(share_at_edge(masks, shown))
    area = [np.nan if t is None else geometry.polygon_area(t.polygon) for t in tracings]
    return _function(tracings, np.array(area), fps, spacing, warnings)


# --- Steps ----------------------------------------------------------------------------------------


def _check_numbers(fps: float | None, spacing: float | None) -> None:
    for name, value in (("fps", fps), ("spacing", spacing)):
        if value is not None and not (np.isfinite(value) and value > 0):
            raise ValueError(
                f"{name}: expected a number above 0, found {value}. Give None where it is unknown."
            )


def _checked_sector(shown: np.ndarray) -> np.ndarray:
    if not isinstance(shown, np.ndarray) or shown.dtype != bool or shown.ndim != 2:
        raise ValueError(
            f"shown: expected (H, W) bool, found {getattr(shown, 'dtype', type(shown).__name__)} "
            f"of shape {np.shape(shown)}. Give None where the sector is unknown."
        )
    return shown


def _twenty_chords(tracing: Tracing | None) -> Tracing | None:
    """The tracing with 20 chords; None for one that encloses nothing or is not finite."""
    if tracing is None or not (
        np.isfinite(tracing.axis).all() and np.isfinite(tracing.chords).all()
    ):
        return None
    try:
        if len(tracing.chords) != CHORDS:
            tracing = geometry.outline_to_tracing(tracing.polygon, tracing.axis)
        return tracing if geometry.disk_volume(tracing) > 0 else None
    except ValueError:
        return None


def _function(
    tracings: list[Tracing | None],
    area: np.ndarray,
    fps: float | None,
    spacing: float | None,
    warnings: list[str],
) -> HeartFunction:
    """The result from tracings that are in order; warnings: those of the outlines."""
    curves = measured(tracings, spacing or 1.0)
    volume, length = curves["volume"], curves["length"]
    smooth, smooth_length = smoothed(volume, fps), smoothed(length, fps)
    systoles, limits = find_systoles(smooth, noise_left(volume, fps), fps)
    beats = [_beat(systole, smooth, smooth_length) for systole in systoles]
    rate = heart_rate(systoles, smooth, fps)
    outlying = np.isfinite(volume) & ~np.isfinite(without_outliers(volume, fps))
    warnings = warnings + cardiac_warnings.outlying(outlying)
    warnings += cardiac_warnings.clip(len(volume), fps, spacing) + limits
    counted = [beat for beat in beats if beat.counts]
    lengths = np.array([(beat.length_ed, beat.length_es) for beat in counted]).reshape(-1, 2)
    warnings += cardiac_warnings.axis(length, smooth_length, lengths)
    if beats:
        warnings += cardiac_warnings.rhythm(fps, rate)
        warnings += cardiac_warnings.beats([beat.ef for beat in counted])
    return HeartFunction(
        area=area,
        smooth=smooth,
        beats=beats,
        fps=fps,
        spacing=spacing,
        heart_rate=rate,
        warnings=warnings,
        **curves,
    )


def _beat(systole: Systole, smooth: np.ndarray, length: np.ndarray) -> Beat:
    first, last = systole.end_diastole, systole.end_systole
    edv, esv = float(smooth[first]), float(smooth[last])
    lengths = float(length[first]), float(length[last])
    ejected = geometry.ejection_fraction(edv, esv)
    place = (first, last, systole.end)
    return Beat(*place, edv, esv, *lengths, ejected, systole.counts, systole.note)
