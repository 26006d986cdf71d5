"""Checks of the items in the pickles of the mitral valve set."""

from collections.abc import Iterator
from reprlib import Repr

import numpy as np

LABEL_KEYS = {"box", "label", "frames", "dataset"}
DATASETS = ("amateur", "expert")
MAX_NAME_BYTES = 200  # because names become file names
BLACK = 16  # grey level below which a pixel around the sector lies
TIME_MARGIN = 0.1  # more black lines along the first axis than along time: no video has that
FORBIDDEN_IN_NAME = '/\\:*?"<>|'

_short = Repr()
_short.maxlevel = 1
_short.maxstring = _short.maxother = 60


def item_problems(item: object, names: set[str]) -> list[str]:
    """List the problems of one item: key, what was expected, what was found, what to do.

    names: names of the items before it; the name of this item is added.
    """
    if not isinstance(item, dict):
        remedy = "Write it as a dict with name and video."
        return [_problem("item", "a dict", _describe(item), remedy)]
    problems = list(_name_problems(item, names))
    problems += _video_problems(item)
    if LABEL_KEYS & item.keys():
        problems += _label_problems(item)
    return problems


def item_name(item: object) -> str:
    """The name of an item for a message, short and printable."""
    name = item.get("name") if isinstance(item, dict) else None
    return _short.repr(name) if isinstance(name, str) else "no name"


def _describe(value: object) -> str:
    """Describe a value of any kind and size in a few words."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} of shape {value.shape}"
    return " ".join(f"{type(value).__name__} {_short.repr(value)}".split())  # on one line


def frame_numbers(value: object) -> list[int]:
    """Convert a list, tuple or array of whole numbers to ints; empty for any other value."""
    if isinstance(value, np.ndarray) and value.ndim == 1:
        value = list(value)
    if not isinstance(value, (list, tuple)):
        return []
    numbers = [number[()] if isinstance(number, np.ndarray) else number for number in value]
    whole = (isinstance(n, (int, np.integer)) and not isinstance(n, bool) for n in numbers)
    return [int(number) for number in numbers] if all(whole) else []


def as_mask(value: object) -> np.ndarray | None:
    """Convert an array of bool, or of uint8 with only 0 and 1, to bool; None for other values."""
    if isinstance(value, np.ndarray) and value.dtype == bool:
        return value
    if isinstance(value, np.ndarray) and value.dtype == np.uint8 and value.max(initial=0) <= 1:
        return value.astype(bool)
    return None


def _problem(key: str, expected: str, found: str, remedy: str) -> str:
    return f"{key}: expected {expected}, found {found}. {remedy}"


def _name_problems(item: dict, names: set[str]) -> Iterator[str]:
    if "name" not in item:
        yield _problem("name", "a name", "none", "Give every item a name.")
        return
    name = item["name"]
    size = len(name.encode(errors="replace")) if isinstance(name, str) else 0
    if not isinstance(name, str):
        yield _problem("name", "text", _describe(name), "Write it as a str.")
    elif (
        not name.isprintable()
        or set(name) & set(FORBIDDEN_IN_NAME)
        or not 0 < size <= MAX_NAME_BYTES
    ):
        expected = f"1 to {MAX_NAME_BYTES} bytes of printable text without {FORBIDDEN_IN_NAME}"
        text = f"{size} bytes: {_short.repr(name)}"
        yield _problem("name", expected, text, "Rename the item.")
    elif name in names:
        text = "the name of an earlier item"
        yield _problem("name", "a different name for each clip", text, "Rename one of them.")
    else:
        names.add(name)


def _video_problems(item: dict) -> Iterator[str]:
    expected = "(H, W, T) uint8"
    if "video" not in item:
        yield _problem("video", expected, "none", "Add it, or leave the item out.")
        return
    video = item["video"]
    if not isinstance(video, np.ndarray) or video.dtype != np.uint8:
        remedy = "Scale it to 0..255 and convert it with astype(np.uint8)."
        yield _problem("video", expected, _describe(video), remedy)
    elif video.ndim != 3 or 0 in video.shape:
        remedy = "Write a grey video of at least one frame, with time as the last axis."
        yield _problem("video", expected, _describe(video), remedy)
    elif _black_lines(video, 0) > _black_lines(video, 2) + TIME_MARGIN:
        remedy = "If time is the first axis, move it to the end with np.moveaxis(video, 0, -1)."
        yield _problem(
            "video", f"{expected}, black around the sector for all time",
            f"{_describe(video)} whose first axis has the black lines", remedy,
        )  # fmt: skip


def _black_lines(video: np.ndarray, axis: int) -> float:
    """Which share of the lines along an axis is black; along time, what surrounds the sector."""
    return float((video.max(axis=axis) < BLACK).mean())


def _label_problems(item: dict) -> Iterator[str]:
    """The problems of a labelled item except those of its name and video."""
    for key in ("box", "label", "frames", "dataset"):
        if key not in item:
            remedy = f"Add it, or remove all of {', '.join(sorted(LABEL_KEYS))}."
            yield _problem(key, "an entry, as in every labelled item", "none", remedy)
    video = item.get("video")
    shape = None  # a wrong video is reported only once
    if isinstance(video, np.ndarray) and video.ndim == 3 and 0 not in video.shape:
        shape = video.shape
    dataset = item.get("dataset")
    if "dataset" in item and not (isinstance(dataset, str) and dataset in DATASETS):
        yield _problem("dataset", " or ".join(DATASETS), _describe(dataset), "Correct it.")
    if "box" in item:
        yield from _mask_problems("box", item["box"], shape and shape[:2], "(H, W)")
    if "label" in item:
        yield from _mask_problems("label", item["label"], shape, "(H, W, T)")
    if "frames" in item:
        yield from _frame_problems(item["frames"], shape, item.get("label"))


def _mask_problems(key: str, value: object, shape: tuple | None, axes: str) -> Iterator[str]:
    mask = as_mask(value)
    if mask is None:
        remedy = "Convert it with astype(bool)."
        yield _problem(key, f"{axes} bool", _describe(value), remedy)
    elif shape is not None and mask.shape != shape:
        expected = f"{axes} {shape}, to match the video"
        remedy = f"Take {key} and video from the same clip."
        yield _problem(key, expected, _describe(value), remedy)
    elif key == "box" and not mask.any():
        yield _problem(key, "a region around the valve", "no pixel", "Draw the region.")


def _frame_problems(value: object, shape: tuple | None, label: object) -> Iterator[str]:
    frames = frame_numbers(value)
    if not frames or len(set(frames)) < len(frames):
        expected = "the numbers of the labelled frames, each once"
        yield _problem("frames", expected, _describe(value), "Write a list of 0-based ints.")
        return
    if shape is None:
        return
    outside = [frame for frame in frames if not 0 <= frame < shape[2]]
    if outside:
        expected = f"numbers from 0 to {shape[2] - 1}, the last frame of the video"
        yield _problem("frames", expected, _short.repr(outside), "Count frames from 0.")
        return
    mask = as_mask(label)
    if mask is None or mask.shape != shape:
        return
    drawn = set(np.flatnonzero(mask.any(axis=(0, 1))).tolist())
    full = set(np.flatnonzero(mask.mean(axis=(0, 1)) >= 0.5).tolist())
    for expected, found, wrong in (
        ("a leaflet in every listed frame", "an empty label in frames", set(frames) - drawn),
        ("leaflets on less than half of a frame", "a label of more in frames", full),
        ("labels only in the listed frames", "labels also in frames", drawn - set(frames)),
    ):
        if wrong:
            numbers = ", ".join(map(str, sorted(wrong)[:5]))
            yield _problem("label", expected, f"{found} {numbers}", "Correct frames or label.")
