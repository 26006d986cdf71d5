"""Corrections made for tests: half ellipses as ventricles, drawn with 13 points."""

import copy

import numpy as np

from tests.makers import ventricle

SIZE, COUNT, FPS = 112, 12, 50.0


def points(width: float = 16.0, length: float = 44.0, x: float = 56.0, y: float = 55.0) -> list:
    """13 points of a ventricle, from hinge to hinge over the apex."""
    outline = ventricle(width, length, x, y).astype(float)
    way = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(outline, axis=0).T))])
    places = np.linspace(0, way[-1], 13)
    return (
        np.stack([np.interp(places, way, column) for column in outline.T], axis=1).round(2).tolist()
    )


def outline(width: float = 16.0, made: str = "drawn", moved: int = 3, **where: float) -> dict:
    """An outline of a ventricle as in a document."""
    proposed = points(width + 1, **where)
    return {"points": points(width, **where), "apex": 6, "made": made, "moved": moved,
            "proposed": proposed}  # fmt: skip


def leaflet(shift: float = 0.0) -> dict:
    """A leaflet as in a document."""
    line = [[40.0 + shift, 77.0], [45.0 + shift, 80.0], [50.0 + shift, 86.0]]
    return {"points": line, "width": 3.0, "made": "drawn", "moved": 3, "proposed": None}


def frame(width: float | None = 16.0, answer: str = "", leaflets: int = 0, **more: object) -> dict:
    """A frame as in a document; without a width it has no ventricle."""
    drawn = None if width is None else outline(width, **more)
    several = [leaflet(20.0 * index) for index in range(leaflets)]
    return {"answer": answer, "seconds": 9.5, "ventricle": drawn, "leaflets": several}


def document(clip: str = "0X0001", frames: dict | None = None, **changes: object) -> dict:
    """A document of a clip of 12 frames of 112 x 112 px; by default ED and ES are drawn."""
    frames = {2: frame(18.0), 9: frame(13.0)} if frames is None else frames
    made = {
        "format": 1, "clip": clip, "height": SIZE, "width": SIZE, "frame_count": COUNT, "fps": FPS,
        "annotator": "anna", "answer": "", "ed": None, "es": None, "network": "lv",
        "version": "1f0c2a7b9e44", "seconds": 41.5,
        "frames": {str(number): content for number, content in frames.items()},
    }  # fmt: skip
    return copy.deepcopy(made | changes)
