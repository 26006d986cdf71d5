"""The left ventricle's function from its outlines over time: volumes, beats, ejection fraction.

The outlines come from one apical view with the apex up. Volumes are computed by the method of
disks in this single plane (Lang et al., recommendations for chamber quantification, J Am Soc
Echocardiogr 28 (2015)). Where the pixel spacing is unknown, volumes are in px³/1000 and lengths
in px; the ejection fraction does not depend on the spacing.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from .. import geometry
from ..cautions import Caution
from ..curves import remaining_noise, smoothed_volume, without_outliers
from ..geometry import Tracing
from ..masks import PackedMasks, check_masks
from . import warnings as function_warnings
from .beats import find_systoles
from .outlines import masks_to_tracings, measure_tracings, share_at_edge
from .rhythm import heart_rate
from .systoles import Systole


@dataclass(frozen=True)
class Beat:
    """One beat of a clip.

    end_diastole, end_systole: frames; end-systole is later than end-diastole, unless `note` says
        that the clip begins in systole
    end: frame of the next end-diastole; None where it is not in the clip, which cuts off the beat
    edv, esv: ml where the spacing is known, else px³/1000, from the smoothed curve
    length_ed, length_es: long axis, mm where the spacing is known, else px, smoothed over time
    ef_measured: ejection fraction of the outlines, per cent
    counts: whether the beat enters the clip's median; extrasystoles, the beats after them and
        beats with missing frames do not, nor do beats that the clip cuts off if others count
    note: what is unusual about the beat, or ""
    """

    end_diastole: int
    end_systole: int
    end: int | None
    edv: float
    esv: float
    length_ed: float
    length_es: float
    ef_measured: float
    counts: bool = True
    note: str = ""


@dataclass(frozen=True)
class HeartFunction:
    """The left ventricle's function in a clip of T frames. Unknown values are NaN.

    area: (T,) px² of the outline
    volume: (T,) by the method of disks, ml where the spacing is known, else px³/1000
    smooth: (T,) volume, smoothed over time with its extremes kept and short gaps bridged
    length: (T,) long axis, mm where the spacing is known, else px
    axes: (T, 2, 2) px, (x, y) of the apex and of the middle of the base
    chords: (T, 20, 2, 2) px, from apex to base
    beats: in order, including beats that do not count
    fps: frames per second, None where unknown
    spacing: mm per px, None where unknown
    heart_rate: beats per minute, None without fps or without a whole beat
    warnings: sentences about what limits these numbers
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
    warnings: list[Caution] = field(default_factory=list)

    @property
    def unit(self) -> str:
        """Unit of the volumes: "ml" or "px³/1000"."""
        return "ml" if self.spacing else "px³/1000"

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
        return len(self._counted("ef_measured"))

    @property
    def ef_measured(self) -> float:
        """Ejection fraction, per cent: the median of the beats that count, NaN without one."""
        return self._median("ef_measured")

    @property
    def edv(self) -> float:
        """End-diastolic volume: the median of the beats that count, NaN without one."""
        return self._median("edv")

    @property
    def esv(self) -> float:
        """End-systolic volume: the median of the beats that count, NaN without one."""
        return self._median("esv")

    @property
    def length_ed(self) -> float:
        """Long axis at end-diastole, mm or px: the median of the beats that count, or NaN."""
        return self._median("length_ed")

    @property
    def length_es(self) -> float:
        """Long axis at end-systole, mm or px: the median of the beats that count, or NaN."""
        return self._median("length_es")

    @property
    def ef_spread(self) -> float:
        """Largest minus smallest EF of the beats that count, points; NaN with fewer than two."""
        values = self._counted("ef_measured")
        return float(np.ptp(values)) if len(values) > 1 else np.nan

    def with_points(self, move: Callable[[np.ndarray], np.ndarray]) -> "HeartFunction":
        """The same function with moved axes and chords; move: points (..., 2) px to points."""
        return replace(self, axes=move(self.axes), chords=move(self.chords))

    @property
    def phases(self) -> dict[int, str]:
        """Phase of the frames that have one: "ED", also at the end of a beat, or "ES"."""
        found: dict[int, str] = {}
        for beat in self.beats:
            ends = [beat.end_diastole] + ([] if beat.end is None else [beat.end])
            found |= dict.fromkeys(ends, "ED") | {beat.end_systole: "ES"}
        return found

    def table(self) -> pd.DataFrame:
        """Table with one row per frame.

        Columns: frame, time_s, area_px, area_mm2, volume, smooth, length, phase.

        phase is "ED", "ES" or ""; time_s and area_mm2 are NaN without fps and spacing.
        """
        frame = np.arange(len(self.area))
        phases = self.phases
        return pd.DataFrame(
            {
                "frame": frame,
                "time_s": frame / self.fps if self.fps else np.nan,
                "area_px": self.area,
                "area_mm2": self.area * self.spacing**2 if self.spacing else np.nan,
                "volume": self.volume,
                "smooth": self.smooth,
                "length": self.length,
                "phase": [phases.get(number, "") for number in frame.tolist()],
            }
        )

    def beats_table(self) -> pd.DataFrame:
        """Table with one row per beat and one column per field of Beat."""
        columns = list(Beat.__dataclass_fields__)
        table = pd.DataFrame(
            [[getattr(beat, name) for name in columns] for beat in self.beats], columns=columns
        )
        return table.astype({"end": "Int64"})


def heart_function(
    masks: np.ndarray | PackedMasks,
    fps: float | None = None,
    spacing: float | None = None,
    sector: np.ndarray | None = None,
) -> HeartFunction:
    """Measure the left ventricle's function over a clip, from masks of its cavity.

    masks: (T, H, W) bool, packed or not, one apical view with the apex up. fps: frames per
    second; without it, beats are detected by counting frames, and there is no heart rate. spacing:
    mm per px; without it, volumes are in px³/1000. sector: (H, W) bool, used to detect outlines
    that touch its edge; by default the whole picture. Raises ValueError for another dtype or shape,
    or for an fps or spacing that is not a positive number. A clip without a beat is not an error:
    the warnings give the reason.
    """
    check_masks(masks)
    _check_numbers(fps, spacing)
    sector = np.ones(masks.shape[1:], bool) if sector is None else _checked_sector(sector)
    if sector.shape != masks.shape[1:]:
        raise ValueError(
            f"sector: expected the shape of a frame, {masks.shape[1:]}, found {sector.shape}. "
            "Crop or resize the sector like the frames."
        )
    tracings, area = masks_to_tracings(masks)
    warnings = function_warnings.missing_masks(
        np.array([mask.any() for mask in masks]), np.isfinite(area)
    )
    warnings += function_warnings.edge(share_at_edge(masks, sector))
    return measure_function(tracings, area, fps, spacing, warnings)


def measure_function(
    tracings: list[Tracing | None],
    area: np.ndarray,
    fps: float | None,
    spacing: float | None,
    warnings: list[Caution],
) -> HeartFunction:
    """Measure the left ventricle's function over a clip, from tracings of T outlines.

    tracings: with 20 chords, None for a frame without an outline. area: (T,) px² of the outlines,
    NaN without one. fps, spacing: as for `heart_function`. warnings: those about the outlines,
    which come before the others.
    """
    curves = measure_tracings(tracings, spacing or 1.0)
    volume, length = curves["volume"], curves["length"]
    smooth, smooth_length = smoothed_volume(volume, fps), smoothed_volume(length, fps)
    systoles, beat_warnings = find_systoles(smooth, remaining_noise(volume, fps), fps)
    beats = [_beat(systole, smooth, smooth_length) for systole in systoles]
    rate = heart_rate(systoles, smooth, fps)
    outliers = np.isfinite(volume) & ~np.isfinite(without_outliers(volume, fps))
    warnings = warnings + function_warnings.outliers(outliers)
    warnings += function_warnings.acquisition(len(volume), fps, spacing) + beat_warnings
    warnings += function_warnings.clip_ends(systoles)
    counted = [beat for beat in beats if beat.counts]
    lengths = np.array([(beat.length_ed, beat.length_es) for beat in counted]).reshape(-1, 2)
    warnings += function_warnings.long_axis(length, smooth_length, lengths)
    if spacing and counted:
        warnings += function_warnings.size(float(np.median(lengths[:, 0])))
    if beats:
        warnings += function_warnings.heart_rate(fps, rate)
        warnings += function_warnings.beats([beat.ef_measured for beat in counted])
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


# --- Steps ----------------------------------------------------------------------------------------


def _check_numbers(fps: float | None, spacing: float | None) -> None:
    for name, value in (("fps", fps), ("spacing", spacing)):
        if value is not None and not (np.isfinite(value) and value > 0):
            raise ValueError(
                f"{name}: expected a number above 0, found {value}. Use None where it is unknown."
            )


def _checked_sector(sector: np.ndarray) -> np.ndarray:
    if not isinstance(sector, np.ndarray) or sector.dtype != bool or sector.ndim != 2:
        dtype = getattr(sector, "dtype", type(sector).__name__)
        raise ValueError(
            f"sector: expected (H, W) bool, found {dtype} of shape {np.shape(sector)}. Use None "
            "where the sector is unknown."
        )
    if not sector.any():
        raise ValueError("sector: expected some pixels inside, found none. Use None where unknown.")
    return sector


def _beat(systole: Systole, smooth: np.ndarray, length: np.ndarray) -> Beat:
    """The beat of a systole; smooth, length: (T,) volume and long axis, smoothed."""
    diastole_frame, systole_frame = systole.end_diastole, systole.end_systole
    edv, esv = float(smooth[diastole_frame]), float(smooth[systole_frame])
    return Beat(
        diastole_frame,
        systole_frame,
        systole.end,
        edv,
        esv,
        length_ed=float(length[diastole_frame]),
        length_es=float(length[systole_frame]),
        ef_measured=geometry.ejection_fraction(edv, esv),
        counts=systole.counts,
        note=systole.note,
    )
