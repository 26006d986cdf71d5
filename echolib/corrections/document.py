"""The corrections of one clip by one person, as JSON: what the page of the browser sends and keeps.

    {"format": 1, "clip": "0X1A2B", "height": 112, "width": 112, "frame_count": 45, "fps": 50.0,
     "annotator": "anna", "answer": "", "ed": 12, "es": null, "network": "lv",
     "version": "1f0c2a7b9e44", "seconds": 41.5,
     "frames": {"12": {"answer": "", "seconds": 9.5, "leaflets": [],
                       "ventricle": {"points": [[x, y], ...], "apex": 6, "made": "drawn",
                                     "moved": 3, "proposed": [[x, y], ...]}}}}

Points are (x, y) in px of the frame, y down, pixel centres at integers. What may stand where, is in
`check_document`, which every document passes before it is written and after it is read.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from ..errors import DataError
from ..files import read_json
from ..geometry import Tracing
from .outline import ventricle_tracing

FORMAT = 1
ANSWERS = ("", "not readable", "other view")  # of a clip
FRAME_ANSWERS = ANSWERS[:2]
WAYS = ("drawn", "copied", "interpolated")  # in which an outline was made
VENTRICLE_POINTS, LEAFLET_POINTS, PROPOSED_POINTS = (5, 40), (2, 20), (2, 100)
MOST_LEAFLETS = 2
WIDEST = 100.0  # px, of a leaflet
LARGEST = 30_000  # px, of a frame
MOST_FRAMES = 10**6
LONGEST_TEXT = 200  # characters
MOST_SECONDS = 1e8  # three years
FASTEST = 1e4  # frames per second
DIGITS = 2  # after the point, of coordinates
KEYS = (
    "format", "clip", "height", "width", "frame_count", "fps", "annotator", "answer", "ed", "es",
    "network", "version", "seconds", "frames",
)  # fmt: skip
FRAME_KEYS = ("answer", "seconds", "ventricle", "leaflets")
VENTRICLE_KEYS = ("points", "apex", "made", "moved", "proposed")
LEAFLET_KEYS = ("points", "width", "made", "moved", "proposed")


class NotBrought(DataError):
    """A correction is kept, but its clip could not be brought into the folder."""


def check_document(document: Any, name: str) -> dict[str, Any]:
    """A document as it is kept: coordinates rounded to 0.01 px, frames in order.

    name: of the file, or of what sent it, for messages. Raises DataError, which names the clip, the
    frame and what is wrong: keys that are missing or unknown, another format, what is no number, a
    frame beyond the clip, too few or too many points, points outside the frame, an outline that
    crosses itself or is too flat for a long axis.
    """
    if isinstance(document, dict) and document.get("format", FORMAT) != FORMAT:
        raise DataError(
            f"{name}: written in format {str(document['format'])[:20]!r} by another version of "
            f"echolib; this one knows format {FORMAT}. Use the version that wrote it."
        )
    clip = document.get("clip") if isinstance(document, dict) else None
    place = f"{name}, clip {clip[:40]}" if isinstance(clip, str) else name
    fields = _Fields(document, place, KEYS)
    checked: dict[str, Any] = {"format": FORMAT, "clip": fields.text("clip", empty=False)}
    checked["height"] = fields.whole("height", 1, LARGEST)
    checked["width"] = fields.whole("width", 1, LARGEST)
    count = checked["frame_count"] = fields.whole("frame_count", 1, MOST_FRAMES)
    checked["fps"] = fields.number("fps", 0, FASTEST, optional=True)
    if checked["fps"] == 0:
        fields.fail("fps is 0: expected frames per second, or null where they are unknown")
    checked["annotator"] = fields.text("annotator")
    checked["answer"] = fields.choice("answer", ANSWERS)
    for phase in ("ed", "es"):
        checked[phase] = fields.whole(phase, 0, count - 1, optional=True)
    if checked["ed"] is not None and checked["ed"] == checked["es"]:
        fields.fail(f"frame {checked['ed']} is set as ED and as ES; set one of them elsewhere")
    for key in ("network", "version"):
        checked[key] = fields.text(key, optional=True)
    checked["seconds"] = fields.number("seconds", 0, MOST_SECONDS)
    shape = checked["height"], checked["width"]
    checked["frames"] = _frames(fields.record["frames"], place, count, shape)
    return checked


def read_download(path: str | Path) -> list[dict[str, Any]]:
    """The documents of a file that was downloaded from an exported page of the browser.

    The file holds one document, or several as {"format": 1, "documents": [...]}; a document from a
    folder of corrections is read too. Raises DataError where the file, or one document in it, is
    damaged.
    """
    content = read_json(path)
    if not isinstance(content, dict) or "documents" not in content:
        return [check_document(without_record(content), str(path))]
    if content.get("format") != FORMAT or not isinstance(content["documents"], list):
        raise DataError(
            f"{path}: expected corrections in format {FORMAT}, found format "
            f"{str(content.get('format'))[:20]!r} with {type(content['documents']).__name__}. "
            "Use the version of echolib that wrote it."
        )
    return [check_document(without_record(each), str(path)) for each in content["documents"]]


def without_record(content: Any) -> Any:
    """A document without what a folder of corrections has added to it under `kept`."""
    if not isinstance(content, dict):
        return content
    return {key: value for key, value in content.items() if key != "kept"}


def check_order(document: dict[str, Any], kept: dict[str, Any], download: bool) -> None:
    """Raise DataError unless a checked document may replace another one that was not read before.

    It may where it is a download that goes on from what is kept: more time was spent on it, and it
    has all frames that are kept, on each of which at least as much time was spent.
    """
    if download and _continues(document, kept):
        return
    name = f"the annotator's name {document['annotator']!r}"
    if download and _continues(kept, document):
        raise DataError(
            f"{document['clip']}: this download is older than what is kept under {name}. "
            "Add the newest one."
        )
    raise DataError(
        f"{document['clip']}: another session has kept corrections of this clip under {name} since "
        "it was opened here. Open the clip again to go on from them, or use another name."
    )


def _continues(later: dict[str, Any], earlier: dict[str, Any]) -> bool:
    """Whether a checked document can be one from which the same person went on to the later one."""
    return later["seconds"] > earlier["seconds"] and all(
        number in later["frames"] and later["frames"][number]["seconds"] >= frame["seconds"]
        for number, frame in earlier["frames"].items()
    )


def outlined_frames(document: dict[str, Any]) -> dict[int, Tracing]:
    """The tracings of a checked document by frame; none of what was said to be not readable."""
    if document["answer"]:
        return {}
    return {
        int(frame): ventricle_tracing(_pairs(record["ventricle"]), record["ventricle"]["apex"])
        for frame, record in document["frames"].items()
        if record["ventricle"] and not record["answer"]
    }


def _pairs(outline: dict[str, Any]) -> tuple[tuple[float, float], ...]:
    return tuple((x, y) for x, y in outline["points"])


def _frames(frames: Any, place: str, count: int, shape: tuple[int, int]) -> dict[str, Any]:
    """The checked frames of a document, in order. count, shape: frames and (H, W) of the clip."""
    if not isinstance(frames, dict):
        _fail(place, f"frames: expected frames by their number, found {_shown(frames)}")
    for number in frames:
        whole = isinstance(number, str) and number.isascii() and number.isdigit()
        if not whole or len(number) > 7 or str(int(number)) != number:
            _fail(place, f"frames: expected the number of a frame, found {_shown(number)}")
        if int(number) >= count:
            _fail(place, f"frame {number} is beyond the clip, which has {count} frames from 0 on")
    return {
        number: _frame(frames[number], f"{place}, frame {number}", shape)
        for number in sorted(frames, key=int)
    }


def _frame(frame: Any, place: str, shape: tuple[int, int]) -> dict[str, Any]:
    """One checked frame."""
    fields = _Fields(frame, place, FRAME_KEYS)
    checked: dict[str, Any] = {"answer": fields.choice("answer", FRAME_ANSWERS)}
    checked["seconds"] = fields.number("seconds", 0, MOST_SECONDS)
    ventricle, leaflets = fields.record["ventricle"], fields.record["leaflets"]
    checked["ventricle"] = None if ventricle is None else _ventricle(ventricle, place, shape)
    if not isinstance(leaflets, list | tuple) or len(leaflets) > MOST_LEAFLETS:
        fields.fail(
            f"leaflets: expected a list of {MOST_LEAFLETS} at most, found {_shown(leaflets)}"
        )
    checked["leaflets"] = [_leaflet(leaflet, place, shape) for leaflet in leaflets]
    return checked


def _ventricle(outline: Any, place: str, shape: tuple[int, int]) -> dict[str, Any]:
    """The checked outline of a ventricle."""
    fields = _Fields(outline, f"{place}, outline of the ventricle", VENTRICLE_KEYS)
    points = fields.points("points", VENTRICLE_POINTS, shape)
    apex = fields.whole("apex", 1, len(points) - 2)
    checked = {"points": points, "apex": apex} | _origin(fields)
    try:
        ventricle_tracing(_pairs(checked), apex)
    except ValueError as error:
        fields.fail(str(error).rstrip("."))
    return checked


def _leaflet(leaflet: Any, place: str, shape: tuple[int, int]) -> dict[str, Any]:
    """A checked leaflet."""
    fields = _Fields(leaflet, f"{place}, leaflet", LEAFLET_KEYS)
    points = fields.points("points", LEAFLET_POINTS, shape)
    return {"points": points, "width": fields.number("width", 0.1, WIDEST)} | _origin(fields)


def _origin(fields: "_Fields") -> dict[str, Any]:
    """How an outline came about."""
    return {
        "made": fields.choice("made", WAYS),
        "moved": fields.whole("moved", 0, PROPOSED_POINTS[1]),
        "proposed": fields.points("proposed", PROPOSED_POINTS, optional=True),
    }


def _fail(place: str, reason: str) -> NoReturn:
    raise DataError(f"{place}: {reason}.")


def _shown(value: Any) -> str:
    """A value in a message: short, whatever it is."""
    if isinstance(value, dict | list | tuple):
        return f"{type(value).__name__} of {len(value)}"
    if isinstance(value, int) and abs(value) > 1e15:  # Python refuses to print a huge one
        return "a huge number"
    return repr(value)[:40]


class _Fields:
    """The fields of a record, each of which is checked as it is taken."""

    def __init__(self, record: Any, place: str, keys: Sequence[str]) -> None:
        """Raise DataError unless a record has just these keys."""
        self.place = place
        if not isinstance(record, dict):
            self.fail(f"expected a record with {', '.join(keys)}, found {_shown(record)}")
        if missing := [key for key in keys if key not in record]:
            self.fail(f"{', '.join(missing)} is missing. The file is damaged, or not a correction")
        if unknown := [_shown(key) for key in record if key not in keys]:
            self.fail(f"unknown {', '.join(unknown[:5])}: written by another version of echolib")
        self.record: dict[str, Any] = record

    def fail(self, reason: str) -> NoReturn:
        """Raise DataError with the place and a reason."""
        _fail(self.place, reason)

    def number(self, key: str, low: float, high: float, optional: bool = False) -> Any:
        """A finite number from low to high, or None where that is allowed."""
        value = self.record[key]
        if value is None and optional:
            return None
        if not _is_number(value) or not low <= value <= high:
            self.fail(f"{key}: expected a number from {low:g} to {high:g}, found {_shown(value)}")
        return float(value)

    def whole(self, key: str, low: int, high: int, optional: bool = False) -> Any:
        """A whole number from low to high, or None where that is allowed."""
        value = self.number(key, low, high, optional)
        if value is not None and value != int(value):
            self.fail(f"{key}: expected a whole number, found {_shown(value)}")
        return None if value is None else int(value)

    def text(self, key: str, optional: bool = False, empty: bool = True) -> Any:
        """A line of text, or None where that is allowed."""
        value = self.record[key]
        if value is None and optional:
            return None
        if not isinstance(value, str) or not value.isprintable() or len(value) > LONGEST_TEXT:
            self.fail(
                f"{key}: expected a line of {LONGEST_TEXT} characters at most, "
                f"found {_shown(value)}"
            )
        if not value.strip() and not empty:
            self.fail(f"{key} is empty")
        return value

    def choice(self, key: str, choices: Sequence[str]) -> str:
        """One of several words."""
        value = self.record[key]
        if not isinstance(value, str) or value not in choices:
            self.fail(f"{key}: expected one of {list(choices)}, found {_shown(value)}")
        return value

    def points(
        self,
        key: str,
        count: tuple[int, int],
        shape: tuple[int, int] | None = None,
        optional: bool = False,
    ) -> Any:
        """Points [[x, y], ...], rounded; count: the least and the most. shape: where they lie."""
        points = self.record[key]
        if points is None and optional:
            return None
        if not isinstance(points, list | tuple) or not count[0] <= len(points) <= count[1]:
            self.fail(f"{key}: expected {count[0]} to {count[1]} points, found {_shown(points)}")
        rounded = []
        for index, point in enumerate(points):
            pair = isinstance(point, list | tuple) and len(point) == 2
            if not pair or not all(_is_number(value) and abs(value) <= LARGEST for value in point):
                self.fail(f"{key}: point {index} is not a pair of numbers in px")
            x, y = (round(float(value), DIGITS) + 0.0 for value in point)  # no -0.0
            if shape and not (-0.5 <= x <= shape[1] - 0.5 and -0.5 <= y <= shape[0] - 0.5):
                self.fail(
                    f"{key}: point {index} at ({x:g}, {y:g}) lies outside the frame of "
                    f"{shape[0]} x {shape[1]} px (height x width); drag it back into the frame"
                )
            rounded.append([x, y])
        return rounded


def _is_number(value: Any) -> bool:
    """Whether a value is a finite number, however large."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    return whole or (isinstance(value, float) and math.isfinite(value))
