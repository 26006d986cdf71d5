"""The editor's side in Python: what the page must know of a clip, and where its corrections go."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..corrections.document import check_document
from ..corrections.folder import Folder
from ..corrections.outline import PER_WALL, outline_points
from ..corrections.videos import OTHER_CLIP
from ..data import Clip
from ..errors import DataError
from .colours import layer_colours
from .layer import Layer
from .view import View, colour_of

Origin = Callable[[], dict[str, Any]]  # gives arguments of `Folder.keep`: source, split, patient
SELECTED_FRAMES = (
    "These are single frames of a clip. Open the clip itself, or its data set, to correct it."
)


class Editing:
    """What a person corrects in the clips of a browser, in a folder or in memory.

    documents: the last document of each clip that the page has sent, by the clip's name
    """

    def __init__(
        self,
        folder: str | Path | None = None,
        annotator: str = "",
        versions: Mapping[str, str] | None = None,
    ) -> None:
        """Open or make the folder. Raises DataError where it is of another kind.

        versions: of the models, by name, see `outliners.model_versions`
        """
        self.folder = None if folder is None else Folder(folder, annotator)
        self.annotator, self.documents = annotator, dict[str, dict]()
        self._origins: dict[str, dict[str, Any]] = {}  # of the clips that are in the folder
        self._place, self._versions = "" if folder is None else str(folder), dict(versions or {})

    def content(self, view: View, exported: bool = False) -> dict:
        """What the page must know to correct a clip, for JSON. exported: for a page without Python.

        proposals: per frame, points (x, y) or None; apex: index of one among them; network,
        version: who proposes them; document: what has been corrected before; folder: its name,
        or ""; unit, square: of areas, and one px² in it; rgb: of what is drawn; reason: why the
        clip cannot be corrected, or "".
        """
        layer = next((x for x in view.layers if x.role == "model" and x.masks is not None), None)
        unit, square = view.area_unit
        colours = [colour_of(other) for other in view.layers]
        rgb = layer_colours(["other"] * len(colours) + ["truth"], [*colours, None])[-1]
        whole = view.numbers is None
        other = whole and self.folder and self.folder.has_other(view.name, np.asarray(view.frames))
        return {
            "reason": f"{view.name}: {OTHER_CLIP}" if other else "" if whole else SELECTED_FRAMES,
            "proposals": None if layer is None else _proposals(layer, len(view)),
            "apex": PER_WALL + 1,
            "network": layer and layer.name,
            "version": layer and self._versions.get(layer.name, __version__),
            "document": None if other else self._document(view.name),
            "annotator": self.annotator,
            "folder": "" if exported else self._place,
            "exported": exported,
            "unit": unit,
            "square": square,
            "rgb": list(rgb),
        }

    def _document(self, clip: str) -> dict | None:
        if self.folder is None:
            return self.documents.get(clip)
        return self.folder.document(clip)

    def answer(self, message: dict, open_clip: Callable[[str], tuple[View, Origin]]) -> dict:
        """Keep the document in a message of the page; returns the answer to the page.

        open_clip: function that takes a clip's name and returns its view and where it comes from
        """
        answer = {"serial": message.get("serial")}
        try:
            self._keep(message["document"], *open_clip(message["document"]["clip"]))
        except Exception as error:  # raised here, it would never reach the reader of the page
            known = isinstance(error, (ValueError, OSError))
            reason = str(error) if known else f"{type(error).__name__}: {error}"
            return {**answer, "kind": "not kept", "reason": reason}
        return {**answer, "kind": "kept"}

    def _keep(self, document: dict, view: View, origin: Origin) -> None:
        document = check_document(document, "The correction")
        expected = (*view.frames.shape[1:], len(view))
        if (document["height"], document["width"], document["frame_count"]) != expected:
            raise DataError(f"{view.name}: the correction is of a clip of another size.")
        if self.folder is not None:
            known = self._origins.get(view.name)
            given = origin() if known is None else known
            source = Clip(view.name, np.asarray(view.frames), view.fps, view.spacing)
            self.folder.keep(document, **{"source": source, "spacing": view.spacing, **given})
            # its video is there now, and a data set would read it again each time
            self._origins[view.name] = {k: v for k, v in given.items() if k != "source"}
        self.documents[view.name] = document


def _proposals(layer: Layer, count: int) -> list[Any]:
    """Points of a ventricle for each frame that a layer outlines, as lists; None for the others."""
    points: list[Any] = [None] * count
    for frame in np.flatnonzero(layer.is_labelled(count)):
        try:
            found, _ = outline_points(np.asarray(layer.masks)[frame])
        except ValueError:  # nothing was outlined there, or too little
            continue
        points[frame] = [[round(float(x), 2), round(float(y), 2)] for x, y in found]
    return points
