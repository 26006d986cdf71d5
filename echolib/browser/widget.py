"""The frame browser: clips to leaf through in a notebook, drawn by the page itself.

Frames and overlays are sent to the page once; from then on it draws by itself, so that a key
press shows within a few milliseconds and playing needs no kernel. Clips are read when they are
opened.
"""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import anywidget
import cv2
import numpy as np
import traitlets
from IPython.display import Image

from ..errors import DataError
from ..geometry import Tracing
from .encoding import EncodedView
from .export import LOOKS, SCRIPTS, page_script, page_style, write_html
from .sheet import contact_sheet
from .sources import Views, open_views
from .view import DIFFERENCE, View

UNREADABLE = (ValueError, OSError)  # what says by itself what is wrong with a clip


class FrameBrowser(anywidget.AnyWidget):
    """Leaf through clips with buttons, a slider and keys; `browse` makes one.

    Traits, set here or in the page and observed on both sides:
    frame: index of the frame shown; while a clip plays it follows four times a second
    value: the same, not sent to the page: what `ipywidgets.interactive_output` looks for
    clip: name of the clip, one of `names`
    playing, speed: whether it plays, and how many times as fast as the heart beat
    shown: names of the overlays that are switched on
    side_by_side: a picture for each model instead of one for all
    zoom: 1 for the whole picture, up to 8
    window: the grey levels that are shown black and white
    gamma: the power of grey levels between them; below 1 is brighter
    smooth: whether pixels are blended or shown as squares
    error: what is wrong with the clip, or "". It is shown in the picture's place.
    """

    _esm = page_script(*SCRIPTS)
    _css = page_style()

    # An echo of a frame told earlier would undo what the page has shown since.
    frame = traitlets.Int(0).tag(sync=True, echo_update=False)
    value = traitlets.Int(0)
    clip = traitlets.Unicode("").tag(sync=True)
    playing = traitlets.Bool(False).tag(sync=True)
    speed = traitlets.Float(1.0, min=0.01, max=100).tag(sync=True)
    shown = traitlets.List(traitlets.Unicode()).tag(sync=True)
    side_by_side = traitlets.Bool(False).tag(sync=True)
    zoom = traitlets.Float(1.0, min=1, max=8).tag(sync=True)
    window = traitlets.Tuple(traitlets.Int(), traitlets.Int(), default_value=(0, 255))
    window.tag(sync=True)
    gamma = traitlets.Float(1.0, min=0.05, max=20).tag(sync=True)
    smooth = traitlets.Bool(True).tag(sync=True)
    error = traitlets.Unicode("").tag(sync=True)
    _names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    _notes = traitlets.List(traitlets.Unicode()).tag(sync=True)
    _content = traitlets.Dict().tag(sync=True)
    _word = traitlets.Int(0).tag(sync=True)  # how many times Python has chosen the frame
    _told = traitlets.List([0, 0]).tag(sync=True)  # by the page: the last word it heard, its frame

    def __init__(self, views: Views | None, clip: str | None = None, error: str = "") -> None:
        """Show a clip of `views`, the first by default; or `error`, where there are none."""
        self._views = views or Views((), (), _no_clip)
        self._view: View | None = None
        self._encoded: EncodedView | None = None
        self._met: set[str] = set()  # overlays of the clips opened so far
        self._listening = False  # to the page
        super().__init__(_names=list(self._views.names), _notes=list(self._views.notes))
        self.on_msg(self._answer)
        if self._views.names:
            self.clip = self._views.names[0] if clip is None else clip
        else:
            self.error = error or "There is no clip to show."

    def __repr__(self) -> str:
        """What stands in the widget's place where there is no Jupyter."""
        if self.error:
            return f"<FrameBrowser: {self.error}>"
        number = self._number(self.clip) + 1
        return f"<FrameBrowser: {self.clip}, clip {number} of {len(self.names)}>"

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all clips."""
        return self._views.names

    @property
    def view(self) -> View:
        """What is shown. Raises DataError where the clip could not be opened."""
        if self._view is None:
            raise DataError(self.error)
        return self._view

    def contact_sheet(
        self,
        count: int = 6,
        frames: Sequence[int] | None = None,
        columns: int = 3,
    ) -> Image:
        """The clip and the overlays switched on as a still picture, for pages without widgets.

        count: frames spread over the clip; frames: or just these. A notebook shows the picture
        by itself, its `data` is a PNG; `sheet.contact_sheet` makes an array. Raises DataError
        where the clip could not be opened, ValueError for frames that it does not have.
        """
        layers = [layer.name for layer in self.view.layers if layer.name in self.shown]
        sheet = contact_sheet(self.view, count, frames, columns, layers)
        return Image(cv2.imencode(".png", sheet[..., ::-1])[1].tobytes())

    def to_html(self, path: str | Path, clips: Sequence[str] | None = None) -> Path:
        """Write the browser as one page that needs no kernel and loads nothing.

        clips: names of those in it; by default the one shown. Raises DataError where one of them
        cannot be read, and ValueError for a name that there is not.
        """
        if not self.names:
            raise DataError(self.error)
        clips = [self.clip] if clips is None else list(clips)
        if not clips:
            raise ValueError("clips: expected at least one name, found none.")
        numbers = [self._number(clip) for clip in clips]
        opened = {} if self._view is None else {self._number(self.clip): self._view}
        views = [opened.get(number) or self._views.read(number) for number in numbers]
        notes = [self._views.notes[number] for number in numbers]
        state = {name: getattr(self, name) for name in LOOKS}
        here = self.frame if self.clip == clips[0] else 0
        return write_html(path, views, notes, state | {"frame": here})

    # --- traits -----------------------------------------------------------------------------------

    def set_state(self, sync_data: dict) -> None:
        """Take what the page says, of the frame only what it says after Python's last word."""
        state = {name: value for name, value in sync_data.items() if name != "frame"}
        word, frame = state.get("_told", (None, 0))
        if word == self._word:
            state["frame"] = frame
        elif word is not None:
            state.pop("playing", None)
        self._listening = True
        try:
            super().set_state(state)
        finally:
            self._listening = False

    @traitlets.validate("frame")
    def _frame_inside(self, proposal: traitlets.Bunch) -> int:
        """A frame before or past the clip means its first or last."""
        last = 0 if self._view is None else len(self._view.frames) - 1
        return min(max(proposal.value, 0), last)

    @traitlets.observe("frame", "value")
    def _value_is_frame(self, change: traitlets.Bunch) -> None:
        self.frame = change.new
        self.value = self.frame  # which may have been brought inside of the clip
        if change.name == "frame" and not self._listening:
            self._word += 1

    @traitlets.validate("clip")
    def _clip_known(self, proposal: traitlets.Bunch) -> str:
        try:
            self._number(proposal.value)
        except ValueError as error:
            raise traitlets.TraitError(str(error)) from None
        return proposal.value

    @traitlets.validate("window")
    def _window_rising(self, proposal: traitlets.Bunch) -> tuple[int, int]:
        low, high = proposal.value
        if not 0 <= low < high <= 255:
            raise traitlets.TraitError(
                f"window: expected two grey levels from 0 to 255, the lower one first, found "
                f"{low} and {high}."
            )
        return low, high

    @traitlets.observe("clip")
    def _open(self, change: traitlets.Bunch) -> None:
        try:
            view = self._views.read(self._number(change.new))
            encoded = EncodedView(view)
            content = encoded.content()
        except Exception as error:  # it would be lost between page and kernel, and nobody told
            kind = "" if isinstance(error, UNREADABLE) else f"{type(error).__name__}: "
            self._view = self._encoded = None
            with self.hold_sync():
                self.playing, self.error = False, f"{change.new}: {kind}{error}"
            return
        self._view, self._encoded = view, encoded
        with self.hold_sync():
            self.playing, self.frame, self.error, self._content = False, 0, "", content
            self._word += 1
            self.shown = self.shown + self._new_layers(view)

    def _new_layers(self, view: View) -> list[str]:
        """Overlays not met before that are on at first; those met stay as the reader left them."""
        new = [layer for layer in view.layers if layer.name not in self._met]
        self._met |= {layer.name for layer in view.layers} | {DIFFERENCE}
        return [layer.name for layer in new if layer.on]

    def _number(self, clip: str) -> int:
        names = self._views.names
        if clip in names:
            return names.index(clip)
        near = get_close_matches(clip, names, 3, 0.3) if len(names) < 1000 else names[:3]
        raise ValueError(
            f"clip: expected one of {len(names)} names, such as {list(near or names[:3])}, found "
            f"{clip!r}."
        )

    def _answer(self, _: object, message: dict, buffers: list) -> None:
        """Send a part that the page asks for, unless another clip has been opened since."""
        if message.get("kind") != "part" or self._encoded is None:
            return
        if message["serial"] == self._encoded.serial:
            self.send(message, [self._encoded.part(message["number"])])


def browse(
    source: object,
    masks: Mapping[str, np.ndarray] | None = None,
    *,
    models: Mapping[str, Any] | None = None,
    split: str = "all",
    clip: str | None = None,
    truth: np.ndarray | Mapping[int, np.ndarray] | None = None,
    tracings: Mapping[int, Tracing] | None = None,
    landmarks: Mapping[str, np.ndarray] | None = None,
    leaflets: np.ndarray | None = None,
    doubt: np.ndarray | None = None,
    curves: Mapping[str, np.ndarray] | None = None,
    marks: Mapping[int, str] | None = None,
    labels: Sequence[str] | None = None,
    fps: float | None = None,
    spacing: float | None = None,
    title: str | None = None,
) -> FrameBrowser:
    """Leaf through clips: a clip, its file, a data set, a model's answers, or a list of these.

    source: a Clip, frames (T, H, W) uint8, a `ClipFunction`, a `FrameSet`, an open data set, the
        path of a clip or of a data set's folder, a MitralStudy, a `View`, or a list of any
    models: by name, what outlines every clip when it is opened: the name or path of weights, a
        model, an object with `masks(frames)`, or a function of frames (T, H, W) uint8 that
        returns masks (T, H, W) bool
    split: of a data set, "train", "val", "test" or "all"
    clip: name of the clip to begin with, by default the first

    What follows belongs to a source that is one clip of T frames:
    masks: outlines by name, each (T, H, W) bool; truth: of an expert, the same or by frame
    tracings: by frame; landmarks: by name, each (T, K, 2) px, NaN where a frame has none
    leaflets: (T, H, W) bool of the mitral valve, whose opening is drawn as a curve
    doubt: (T, H, W) from 0 to 1
    curves: by name, each (T,), NaN where unknown; marks: words by frame, such as "ED"
    labels: a text for each frame; fps, spacing (mm per px), title: in place of the source's own

    What cannot be shown is said in the widget's place and in its trait `error`. Raises TraitError
    for a `clip` that the source does not have.
    """
    try:
        views = open_views(
            source, models, split, masks=masks, truth=truth, tracings=tracings,
            landmarks=landmarks, leaflets=leaflets, doubt=doubt, curves=curves, marks=marks,
            labels=labels, fps=fps, spacing=spacing, title=title,
        )  # fmt: skip
    except UNREADABLE as error:
        return FrameBrowser(None, error=str(error))
    return FrameBrowser(views, clip)


def _no_clip(number: int) -> View:
    raise DataError(f"There is no clip {number}.")
