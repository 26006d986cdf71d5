"""What an item of the mitral valve set's pickles must look like, and what is wrong with one."""

from collections.abc import Iterator
from reprlib import Repr

import numpy as np

LABEL_KEYS = {"box", "label", "frames", "dataset"}
DATASETS = ("amateur", "expert")
LONGEST_NAME = 200  # bytes: names become those of files
NO_FILE_NAME = '/\\:*?"<>|'

_short = Repr()
_short.maxlevel = 1
_short.maxstring = _short.maxother = 60


def item_problems(item: object, names: set[str]) -> list[str]:
    """What is wrong with one item: key, what was expected, what was found, what to do.

    names: of the items before; this one's is added.
    """
    if not isinstance(item, dict):
        return [_problem("item", "a dict", found(item), "Write it as a dict with name and video.")]
    problems = list(_name_problems(item, names))
    problems += _video_problems(item)
    if LABEL_KEYS & item.keys():
        problems += _label_problems(item)
    return problems


def item_name(item: object) -> str:
    """The name to call an item by in a report, short and printable."""
    name = item.get("name") if isinstance(item, dict) else None
    return _short.repr(name) if isinstance(name, str) else "no name"


def found(value: object) -> str:
    """A short description of a value of any kind and size."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} of shape {value.shape}"
    return " ".join(f"{type(value).__name__} {_short.repr(value)}".split())  # on one line


def frame_numbers(value: object) -> list[int] | None:
    """Frame numbers as ints, from a list, tuple or array of whole numbers; None for others."""
    if isinstance(value, np.ndarray) and value.ndim == 1:
        value = list(value)
    if not isinstance(value, (list, tuple)):
        return None
    numbers = [number[()] if isinstance(number, np.ndarray) else number for number in value]
    whole = (isinstance(n, (int, np.integer)) and not isinstance(n, bool) for n in numbers)
    return [int(number) for number in numbers] if all(whole) else None


def as_mask(value: object) -> np.ndarray | None:
    """A mask as bool, from an array of bool or of uint8 that holds only 0 and 1; else None."""
    if isinstance(value, np.ndarray) and value.dtype == bool:
        return value
    if isinstance(value, np.ndarray) and value.dtype == np.uint8 and value.max(initial=0) <= 1:
        return value.astype(bool)
    return None


def _problem(key: str, expected: str, found: str, remedy: str) -> str:
    return f"{key}: expected {expected}, found {found}. {remedy}"


def _name_problems(item: dict, names: set[str]) -> Iterator[str]:
    if "name" not in item:
        yield _problem("name", "one", "none", "Give every item a name.")
        return
    name = item["name"]
    size = len(name.encode(errors="replace")) if isinstance(name, str) else 0
    if not isinstance(name, str):
        yield _problem("name", "text", found(name), "Write it as a str.")
    elif not name.isprintable() or set(name) & set(NO_FILE_NAME) or not 0 < size <= LONGEST_NAME:
        expected = f"1 to {LONGEST_NAME} bytes of printable text without any of {NO_FILE_NAME}"
        yield _problem("name", expected, f"{size}: {_short.repr(name)}", "Rename the item.")
    elif name in names:
        yield _problem("name", "a name a clip", "that of an item before", "Rename one of them.")
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
        yield _problem("video", expected, found(video), remedy)
    elif video.ndim != 3 or 0 in video.shape:
        remedy = "Write a grey video of at least a frame, time last."
        yield _problem("video", expected, found(video), remedy)


def _label_problems(item: dict) -> Iterator[str]:
    """The problems of a labelled item beside those of its name and video."""
    for key in ("box", "label", "frames", "dataset"):
        if key not in item:
            remedy = f"Add it, or take all of {', '.join(sorted(LABEL_KEYS))} away."
            yield _problem(key, "one, as in every labelled item", "none", remedy)
    video = item.get("video")
    usable = isinstance(video, np.ndarray) and video.ndim == 3 and 0 not in video.shape
    shape = video.shape if usable else None  # one fault is told once
    if "dataset" in item and not (isinstance(item["dataset"], str) and item["dataset"] in DATASETS):
        yield _problem("dataset", " or ".join(DATASETS), found(item["dataset"]), "Correct it.")
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
        yield _problem(key, f"{axes} bool", found(value), remedy)
    elif shape is not None and mask.shape != shape:
        expected = f"{axes} {shape}, as the video has it"
        yield _problem(key, expected, found(value), "Cut both from the same clip.")
    elif key == "box" and not mask.any():
        yield _problem(key, "a region around the valve", "no pixel", "Draw one.")


def _frame_problems(value: object, shape: tuple | None, label: object) -> Iterator[str]:
    frames = frame_numbers(value)
    if not frames or len(set(frames)) < len(frames):
        expected = "the numbers of the labelled frames, each once"
        yield _problem("frames", expected, found(value), "Write a list of ints from 0 on.")
        return
    if shape is None:
        return
    outside = [frame for frame in frames if not 0 <= frame < shape[2]]
    if outside:
        expected = f"numbers from 0 to {shape[2] - 1}, the video's last frame"
        yield _problem("frames", expected, _short.repr(outside), "Count frames from 0 on.")
        return
    mask = as_mask(label)
    if mask is None or mask.shape != shape:
        return
    drawn = set(np.flatnonzero(mask.any(axis=(0, 1))).tolist())
    for text, some in (
        ("a leaflet in every listed frame, found an empty label in", set(frames) - drawn),
        ("labels in the listed frames alone, found some in", drawn - set(frames)),
    ):
        if some:
            numbers = ", ".join(map(str, sorted(some)[:5]))
            yield f"label: expected {text} frames {numbers}. Correct frames or label."
