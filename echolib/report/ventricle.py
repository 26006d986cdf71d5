"""The report of a clip: one HTML file, which opens offline."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..config import weights_folder
from ..figures.overlay import draw_outlines
from ..figures.ventricle import curve_figure, moment_figure
from ..ventricle.words import (
    CORRECTED,
    ef_text,
    headline,
    interval_remark,
    interval_text,
    key_frames,
    moment_of,
    why_no_ef,
)
from . import page
from .page import number_text

if TYPE_CHECKING:  # a report can be written without torch
    from ..data.clips import Clip
    from ..ventricle.clip import ClipFunction

STRIP_FRAMES = 8  # of the film strip
STRIP_SIZE = 200  # px, longer side of a frame in the film strip
VIDEO_TYPES = {".webm": "video/webm", ".mp4": "video/mp4", ".gif": "image/gif"}


def write_report(
    path: str | Path,
    clip_function: "ClipFunction",
    video: str | Path | None = None,
    identifier: str | None = None,
) -> Path:
    """Write the measurements of a clip as one HTML file, whole or not at all; returns its path.

    video: file of the overlay to embed, `.webm`, `.mp4` or `.gif`. identifier: what the report
    calls the clip, by default its name. The report of a clip without an EF says why it has none.
    Raises ValueError for another kind of video, OSError if the video cannot be read.
    """
    result = clip_function
    name = result.clip.name if identifier is None else identifier
    return page.write_page(
        path,
        "clip.html",
        title=f"Heart function: {name}",
        headline=headline(result),
        ef=ef_text(result) or f"EF {page.UNKNOWN}",
        why_no_ef=why_no_ef(result),
        interval=interval_text(result),
        calibration=interval_remark(result.calibration),
        corrected=CORRECTED if result.corrected else "",
        warnings=result.warnings,
        moments=_moments(result),
        curve=_curve(result),
        video=None if video is None else _video(Path(video)),
        numbers=[
            ("Identifier", name, ""),
            *_function_numbers(result),
            *_clip_numbers(result.clip),
        ],
        beats=_beats(result),
        unit=result.function.unit,
        strip=_strip(result),
        cards={name: _card(name) for name in result.weights},
        provenance=page.provenance("python -m echolib function CLIP --out FOLDER"),
    )


def _moments(result: "ClipFunction") -> list[dict[str, str]]:
    """The key frames with their outlines: name, time and picture."""
    return [
        {
            "name": name,
            "time": moment_of(result.function, frame),
            "source": page.figure_uri(moment_figure(result, frame)),
        }
        for name, frame in key_frames(result.function).items()
    ]


def _curve(result: "ClipFunction") -> dict[str, str]:
    """The volume curve for a light and for a dark background."""
    figures = {"light": curve_figure(result.function), "dark": curve_figure(result.function, True)}
    return {name: page.figure_uri(figure, transparent=True) for name, figure in figures.items()}


def _video(path: Path) -> dict[str, str]:
    """A video as a data URI, and a still for browsers that cannot play it; a GIF needs none."""
    if path.suffix not in VIDEO_TYPES:
        expected = ", ".join(VIDEO_TYPES)
        raise ValueError(f"{path}: expected one of {expected}, found {path.suffix!r}.")
    media_type = VIDEO_TYPES[path.suffix]
    source = page.data_uri(path.read_bytes(), media_type)
    still = "" if path.suffix == ".gif" else page.last_frame_uri(path)
    return {"source": source, "media_type": media_type, "still": still}


def _strip(result: "ClipFunction") -> list[dict[str, str]]:
    """Frames of the beat of the key frames, or of the whole clip, with their outlines.

    They are cropped to the sector.
    """
    result = result.cropped()
    function, count = result.function, len(result.packed)
    key = list(key_frames(function).values())
    first, last = 0, count - 1
    for beat in function.beats:
        if key == [beat.end_diastole, beat.end_systole] and beat.end is not None:
            first, last = beat.end_diastole, beat.end
    chosen = np.linspace(first, last, min(STRIP_FRAMES, count)).round().astype(int)
    for frame in key:  # each key frame replaces the nearest of the others
        chosen[np.abs(chosen - frame).argmin()] = frame
    chosen = np.unique(chosen)
    frames, masks = result.clip.frames[chosen], result.packed[chosen]
    pictures = draw_outlines(frames, masks, scale=STRIP_SIZE / max(frames.shape[1:]))
    return [
        {
            "time": moment_of(function, frame),
            "phase": function.phases.get(frame, ""),
            "source": page.jpeg_uri(picture),
        }
        for frame, picture in zip(chosen.tolist(), pictures, strict=True)
    ]


def _function_numbers(result: "ClipFunction") -> Iterator[tuple[str, str, str]]:
    """Rows of the table of numbers, measured in the outlines: quantity, value, remark.

    A remark says where the value comes from, or why it is unknown.
    """
    function, unit, why = result.function, result.function.unit, why_no_ef(result)
    scaled = "" if result.clip.spacing else "relative, because mm per px is unknown"
    interval = interval_text(result) or "no interval: these networks have no calibration"
    spread = function.ef_spread
    differ = f"beats differ by up to {spread:.1f} points" if np.isfinite(spread) else ""
    if result.corrected:
        yield "EF corrected", number_text(result.ef_corrected, "%"), interval
        interval = ""
    remark = _joined("median of the beats", differ, interval)
    yield "EF measured", number_text(result.ef_measured, "%"), why or remark
    remark = why or _joined("as measured, median of the beats", scaled)
    yield "End-diastolic volume (EDV)", number_text(function.edv, unit), remark
    yield "End-systolic volume (ESV)", number_text(function.esv, unit), remark
    for phase, length in (
        ("end-diastole", function.length_ed),
        ("end-systole", function.length_es),
    ):
        yield f"Long axis at {phase}", number_text(length, function.length_unit), remark
    remark = "" if function.heart_rate else "the clip has no whole beat"
    remark = remark if function.fps else "the frames per second are unknown"
    yield "Heart rate", number_text(function.heart_rate, "per minute"), remark
    remark = f"of {len(function.beats)} in the clip" if function.beats else "the clip has none"
    yield "Beats that count", str(function.n_beats), remark
    agreement = 1 - result.doubt
    remark = "Dice of the outline and the landmarks of single frames at ED and ES; 1: the same"
    remark = remark if np.isfinite(agreement) else "no landmarks network has looked at a beat"
    yield "Agreement with the landmarks", number_text(agreement, "", 2), remark


def _joined(*remarks: str) -> str:
    return "; ".join(filter(None, remarks))


def _clip_numbers(clip: "Clip") -> Iterator[tuple[str, str, str]]:
    """More rows of the table of numbers, about the clip itself."""
    height, width = clip.frames.shape[1:]
    duration = f"; {len(clip.frames) / clip.fps:.1f} s" if clip.fps else ""
    yield "Frames", str(len(clip.frames)), f"{width} x {height} px{duration}"
    remark = "" if clip.fps else "times are in frames"
    yield "Frames per second", number_text(clip.fps, "", 1), remark
    remark = "" if clip.spacing else "volumes are relative"
    yield "Scale", number_text(clip.spacing, "mm per px", 3), remark


def _beats(result: "ClipFunction") -> list[tuple[str, ...]]:
    """One row per beat: number, time of ED and ES, EDV, ESV, EF, and whether it counts."""
    function = result.function
    return [
        (
            str(number),
            moment_of(function, beat.end_diastole),
            moment_of(function, beat.end_systole),
            number_text(beat.edv),
            number_text(beat.esv),
            number_text(beat.ef_measured),
            ("yes" if beat.counts else "no") + (beat.note and f": {beat.note}"),
        )
        for number, beat in enumerate(function.beats, start=1)
    ]


def _card(name: str) -> str:
    """The model card of weights of the package, in Markdown."""
    file = weights_folder() / f"{name}.md"
    if not file.is_file():
        return f"# {name}\n\nThese weights have no card in the package: they are your own."
    return file.read_text(encoding="utf-8")
