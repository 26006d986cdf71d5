"""The left ventricle's function in a clip: networks outline it, and the outlines are measured."""

from dataclasses import dataclass, replace

import numpy as np

from ..cautions import Caution, joined
from ..data.clips import Clip
from ..data.sector import crop_to_sector, sector_box
from ..errors import DataError
from ..masks import PackedMasks
from ..networks.inference import source_masks
from ..networks.orientation import Orientation, find_orientation
from . import warnings as function_warnings
from .calibration import Calibration
from .disagreement import Outlines, disagreement, median_ejection, seen_in_views
from .function import HeartFunction
from .networks import Networks, ed_es, load_networks, outline_clip, outlined_function
from .words import headline


@dataclass(frozen=True)
class ClipFunction:
    """The left ventricle's function in a clip, as networks measured it.

    packed: masks (T, H, W) in the size of the frames. function: measured from the masks.
    ef_measured: EF of the outlines in per cent, the median of the beats. ef_corrected, ef_low,
    ef_high: EF corrected by the calibration, and its interval; without a calibration the measured
    EF and NaN. Volumes are as measured, so that they go with ef_measured. spreads: how far several
    estimates disagree, points of EF, see `calibration.SPREADS`. doubt: 1 - Dice of the masks and of
    `lv_landmarks` at ED and ES, NaN without it. warnings: all warnings, including those of
    `function`. weights: names of the networks. orientation: how the clip was turned for them; masks
    and points lie on the frames of the file all the same. calibration: what `ef_corrected` and its
    interval come from, or None.
    """

    clip: Clip
    packed: PackedMasks
    function: HeartFunction
    ef_measured: float
    ef_corrected: float
    ef_low: float
    ef_high: float
    spreads: dict[str, float]
    doubt: float
    warnings: list[Caution]
    weights: tuple[str, ...]
    orientation: Orientation = Orientation()
    calibration: Calibration | None = None

    def __repr__(self) -> str:
        return f"<ClipFunction {self.clip.name!r}: {headline(self)}>"

    @property
    def corrected(self) -> bool:
        """Whether a calibration has changed the EF."""
        return bool(np.isfinite(self.ef_corrected)) and self.ef_corrected != self.ef_measured

    @property
    def masks(self) -> np.ndarray:
        """(T, H, W) bool: the masks, unpacked anew at each call."""
        return self.packed[:]

    def cropped(self) -> "ClipFunction":
        """The result cropped to the sector, for pictures.

        Frames, masks, long axes and chords move together. Text and bars of the machine around the
        sector, such as a patient's name, are removed.
        """
        clip, (rows, columns) = crop_to_sector(self.clip)
        if clip is self.clip:
            return self
        corner = np.array([columns.start, rows.start], float)
        function = self.function.with_points(lambda points: points - corner)
        return replace(self, clip=clip, packed=self.packed.window(rows, columns), function=function)

    def row(self) -> dict:
        """The row of the clip in `clips.csv`.

        edv, esv, length_ed, length_es: as measured, medians of the beats that count, in `unit` and
        `length_unit`. warning_codes, warnings: as of `cautions.joined`. The other columns have the
        names of fields of this class.
        """
        function = self.function
        rate = function.heart_rate
        return {
            "name": self.clip.name,
            "ef_measured": self.ef_measured,
            "ef_corrected": self.ef_corrected,
            "ef_low": self.ef_low,
            "ef_high": self.ef_high,
            "n_beats": function.n_beats,
            "heart_rate": np.nan if rate is None else rate,
            "edv": function.edv,
            "esv": function.esv,
            "length_ed": function.length_ed,
            "length_es": function.length_es,
            "unit": function.unit,
            "length_unit": function.length_unit,
        } | joined(self.warnings)


def measure_clip(clip: Clip, networks: Networks | None = None) -> ClipFunction:
    """Outline the left ventricle in every frame of a clip, and measure its function.

    networks: by default the package's own, `load_networks()`. A clip that is shown upside down or
    mirrored is measured in the usual display, and a warning says so, see `networks.orientation`.
    One that seems to show another view is measured too, with a warning. The result lies on the
    frames as they were given. Raises DataError for what is no clip.
    """
    if not isinstance(clip, Clip):
        raise DataError(
            f"measure_clip: expected a clip, as `read_clip` gives one of a file and `Clip(name, "
            f"frames, fps, spacing)` one of frames, found {type(clip).__name__}."
        )
    networks = networks or load_networks()
    orientation = find_orientation(clip, networks.landmarks)
    result = _measure(orientation.turn_clip(clip), networks)
    warnings = orientation.warnings() + result.warnings
    if orientation.usual:
        return replace(result, warnings=warnings, orientation=orientation)
    return replace(
        result,
        clip=clip,
        packed=orientation.turn_masks(result.packed),
        function=result.function.with_points(
            lambda points: orientation.turn_points(points, *clip.frames.shape[1:])
        ),
        warnings=warnings,
        orientation=orientation,
    )


def _measure(clip: Clip, networks: Networks) -> ClipFunction:
    """Measure a clip in the usual display."""
    outlines, first = outline_clip(clip, networks)
    function = outlined_function(clip, outlines) if networks.see(first.beats) else first
    calibration = networks.calibration
    counted = [ed_es(beat) for beat in function.beats if beat.counts]
    doubt, spreads = disagreement(
        networks, outlines, counted, (first.ef_measured, function.ef_measured)
    )
    spreads["beats"] = function.ef_spread
    warnings = list(function.warnings)
    if calibration is not None:
        warnings += function_warnings.disagreement(doubt, calibration.doubt)
    if calibration is None and counted:
        warnings.append(
            Caution(
                "no-calibration",
                "No interval: these networks have no calibration. `python -m echolib calibrate` "
                "makes one from clips whose ejection fraction is known.",
            )
        )
    interval = networks.interval(function.ef_measured, spreads)
    return ClipFunction(
        clip, outlines.masks, function, function.ef_measured, *interval, spreads, doubt, warnings,
        networks.names, calibration=calibration,
    )  # fmt: skip


def measure_pair(images: np.ndarray, networks: Networks) -> tuple[np.ndarray, dict[str, float]]:
    """Outline two frames that an expert chose as end-diastole and end-systole.

    images: (2, H, W) uint8, of one clip. Returns masks (2, H, W) bool, from the mean over views (a
    clip's volumes are smoothed over its frames instead), and a row with ef_measured, ef_corrected,
    ef_low, ef_high, doubt and the spreads, which `ClipFunction` describes.
    """
    box = sector_box(images, networks.size)
    squares = np.stack([box.image(image) for image in images])
    beat = [(0, 1)]
    views = seen_in_views(networks, squares, beat)
    fractions = []
    for probabilities in (networks.predict_single(squares), np.nanmean(views, axis=0)):
        masks = source_masks(probabilities, box)
        fractions.append(median_ejection(masks, beat))
    outlines = Outlines(box, squares, PackedMasks.pack(masks))
    doubt, spreads = disagreement(networks, outlines, beat, tuple(fractions), views)
    spreads["beats"] = np.nan
    corrected, low, high = networks.interval(fractions[-1], spreads)
    row = {"ef_measured": fractions[-1], "ef_corrected": corrected}
    row |= {"ef_low": low, "ef_high": high, "doubt": doubt}
    return masks, row | spreads
