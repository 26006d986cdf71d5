"""The frame browser: a notebook widget that shows clips and is drawn by the page itself.

Frames and overlays are sent to the page once. After that the page draws them without the kernel,
so that a key press takes effect within a few milliseconds, and playing needs no kernel. A clip is
read when it is opened.
"""

from collections.abc import Sequence
from difflib import get_close_matches
from functools import partial
from pathlib import Path

import anywidget
import cv2
import traitlets
from IPython.display import Image

from ..data.problems import Problem
from ..errors import DataError
from .editing import Editing, Origin
from .encoding import EncodedView, first_frame
from .export import LOOKS, SCRIPTS, page_script, page_style, write_html
from .sheet import contact_sheet
from .sources import Views
from .view import DIFFERENCE, View

UNREADABLE = (ValueError, OSError)  # errors whose message alone explains what is wrong


class FrameBrowser(anywidget.AnyWidget):
    """Step through clips and their frames with buttons, a slider and keys; made by `browse`.

    Traits, which can be set and observed both in Python and in the page:
    frame: index of the displayed frame; while a clip plays, updated four times per second
    value: equal to `frame` and not sent to the page; `ipywidgets.interactive_output` needs it
    clip: name of the open clip, one of `names`
    playing: whether the clip plays
    speed: playback speed relative to real time
    shown: names of the overlays that are switched on
    side_by_side: True for one picture per model, False for one picture with all models
    zoom: from 1 (whole picture) to 8
    window: the grey levels displayed as black and as white
    gamma: exponent for the grey levels between them; below 1 is brighter
    smooth: True to interpolate pixels, False to draw them as squares
    edit: whether the outlines can be corrected
    error: what is wrong with the clip, or ""; displayed in place of the picture
    """

    _esm = page_script(*SCRIPTS)
    _css = page_style()

    # Without echo_update=False, the echo of an older frame would undo the page's later steps.
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
    edit = traitlets.Bool(False).tag(sync=True)
    error = traitlets.Unicode("").tag(sync=True)
    _names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    _keywords = traitlets.List(traitlets.Unicode()).tag(sync=True)
    _content = traitlets.Dict().tag(sync=True)
    _edit = traitlets.Dict().tag(sync=True)  # what the editor must know of the open clip
    # How many times Python has set the frame, and to which. Sent with each setting, also to the
    # frame that Python knows of: a page that plays has left it since.
    _python_frame = traitlets.List([0, 0]).tag(sync=True)
    # From the page: the last number of settings that it received, and the frame that it shows.
    _page_frame = traitlets.List([0, 0]).tag(sync=True)

    def __init__(
        self,
        views: Views | None,
        clip: str | None = None,
        error: str = "",
        editing: Editing | None = None,
    ) -> None:
        """Show a clip of `views`, by default the first; or show `error` if there are no views."""
        self.editing = editing or Editing()
        self._views = views or Views((), (), _raise_no_clip)
        self._view: View | None = None
        self._encoded: EncodedView | None = None
        self._opened_layers: set[str] = set()  # names of the layers of all clips opened so far
        self._setting_from_page = False
        super().__init__(_names=list(self._views.names), _keywords=list(self._views.keywords))
        self.on_msg(self._send_part)
        self.on_msg(self._keep_correction)
        if self._views.names:
            self.clip = self._views.names[0] if clip is None else clip
        else:
            self.error = error or "There is no clip to show."

    def __repr__(self) -> str:
        """Text that stands in the widget's place where there is no Jupyter."""
        if self.error:
            return f"<FrameBrowser: {self.error}>"
        number = self._clip_number(self.clip) + 1
        return f"<FrameBrowser: {self.clip}, clip {number} of {len(self.names)}>"

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all clips."""
        return self._views.names

    @property
    def view(self) -> View:
        """The view of the open clip. Raises DataError if the clip could not be opened."""
        if self._view is None:
            raise DataError(self.error)
        return self._view

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is malformed in the tables of the data sets that the clips come from."""
        return self._views.problems

    def contact_sheet(
        self,
        count: int = 6,
        frames: Sequence[int] | None = None,
        columns: int = 3,
    ) -> Image:
        """Draw the open clip with its overlays as a still picture, for pages without widgets.

        count: how many frames, spread over the clip; frames: indices of frames to use instead
        columns: frames per row, at most
        Returns a picture that a notebook displays, with a PNG as its `data`; `sheet.contact_sheet`
        returns an array. Raises DataError if the clip could not be opened, and ValueError for
        frames that it does not have.
        """
        layers = [layer.name for layer in self.view.layers if layer.name in self.shown]
        sheet = contact_sheet(self.view, count, frames, columns, layers)
        return Image(cv2.imencode(".png", sheet[..., ::-1])[1].tobytes())

    def to_html(
        self,
        path: str | Path,
        clips: Sequence[str] | None = None,
        problems: list[Problem] | None = None,
    ) -> Path:
        """Write the browser as one HTML page that needs no kernel and loads nothing.

        clips: names of the clips to include; by default only the open one. problems: list to which
        clips that cannot be read are added, and left out of the page. Returns the path. Raises
        DataError if a clip cannot be read and there is no such list, or if none can be read, and
        ValueError for a name that does not exist.
        """
        if not self.names:
            raise DataError(self.error)
        clips = [self.clip] if clips is None else list(clips)
        if not clips:
            raise ValueError("clips: expected at least one name, found none.")
        numbers = [self._clip_number(clip) for clip in clips]
        views = self._read_views(numbers, problems)
        keywords = [self._views.keywords[number] for number in views]
        state = {name: getattr(self, name) for name in LOOKS}
        if self._clip_number(self.clip) == next(iter(views)):
            state["frame"] = self.frame
        state["edit"] = self.edit
        editing = self.editing if self.edit else None
        return write_html(path, [*views.values()], keywords, state, editing)

    def _read_views(
        self, numbers: Sequence[int], problems: list[Problem] | None
    ) -> dict[int, View]:
        """Views by number; those that cannot be read are added to `problems`, see `to_html`."""
        views: dict[int, View] = {}
        if self._view is not None:
            views[self._clip_number(self.clip)] = self._view
        error: DataError | None = None
        for number in numbers:
            try:
                views[number] = views.get(number) or self._views.read(number)
            except DataError as unreadable:
                if problems is None:
                    raise
                error = unreadable
                problems.append(Problem(self.names[number], None, str(error)))
        readable = {number: views[number] for number in numbers if number in views}
        if error is not None and not readable:
            raise error
        return readable

    # --- traits -----------------------------------------------------------------------------------

    def set_state(self, sync_data: dict) -> None:
        """Apply traits sent by the page, but ignore a frame that is out of date.

        The page's frame is out of date if Python has set the frame and the page had not received
        it yet. Then `playing` in the same message is ignored, too.
        """
        state = {name: value for name, value in sync_data.items() if name != "frame"}
        settings, frame = state.get("_page_frame", (None, 0))
        if settings == self._python_frame[0]:
            state["frame"] = frame
        elif settings is not None:
            state.pop("playing", None)
        self._setting_from_page = True
        try:
            super().set_state(state)
        finally:
            self._setting_from_page = False

    @traitlets.validate("frame")
    def _clamp_frame(self, proposal: traitlets.Bunch) -> int:
        """Limit the frame to the clip: from its first frame to its last.

        Called with each setting, where an observer is called with a change alone.
        """
        last = 0 if self._view is None else len(self._view.frames) - 1
        frame = min(max(proposal.value, 0), last)
        if not self._setting_from_page:
            self._count_frame(frame)
        return frame

    def _count_frame(self, frame: int) -> None:
        self._python_frame = [self._python_frame[0] + 1, frame]

    @traitlets.observe("frame")
    def _set_value(self, change: traitlets.Bunch) -> None:
        self.value = change.new

    @traitlets.observe("value")
    def _set_frame(self, change: traitlets.Bunch) -> None:
        if change.new != self.frame:
            self.frame = change.new
            self.value = self.frame  # which `_clamp_frame` may have changed

    @traitlets.validate("clip")
    def _check_clip(self, proposal: traitlets.Bunch) -> str:
        try:
            self._clip_number(proposal.value)
        except ValueError as error:
            raise traitlets.TraitError(str(error)) from None
        return proposal.value

    @traitlets.validate("window")
    def _check_window(self, proposal: traitlets.Bunch) -> tuple[int, int]:
        low, high = proposal.value
        if not 0 <= low < high <= 255:
            raise traitlets.TraitError(
                f"window: expected two grey levels from 0 to 255, the lower one first, found "
                f"{low} and {high}."
            )
        return low, high

    @traitlets.observe("clip")
    def _open_clip(self, change: traitlets.Bunch) -> None:
        try:
            view = self._views.read(self._clip_number(change.new))
            encoded = EncodedView(view)
            content = encoded.content()
        except Exception as error:  # raised here, it would never reach the reader of the page
            kind = "" if isinstance(error, UNREADABLE) else f"{type(error).__name__}: "
            self._view = self._encoded = None
            with self.hold_sync():
                self.playing, self.error = False, f"{change.new}: {kind}{error}"
            return
        self._view, self._encoded = view, encoded
        with self.hold_sync():
            self.playing, self.error, self._content = False, "", content
            self.frame = first_frame(content)
            self._count_frame(self.frame)  # where the page opens a clip, nothing else counts it
            self.shown = self.shown + self._new_layers(view)
            self._open_editor()

    @traitlets.observe("edit")
    def _open_editor(self, _: object = None) -> None:
        """Send what the editor must know, once it is switched on; finding points takes time."""
        if self.edit and self._view is not None and self._encoded is not None:
            serial = self._encoded.serial
            self._edit = {**self.editing.content(self._view), "serial": serial}

    def _new_layers(self, view: View) -> list[str]:
        """Return the names of overlays to switch on: new ones that are on at first.

        Overlays of clips opened before stay as the reader left them.
        """
        new = [layer for layer in view.layers if layer.name not in self._opened_layers]
        self._opened_layers |= {layer.name for layer in view.layers} | {DIFFERENCE}
        return [layer.name for layer in new if layer.on]

    def _clip_number(self, clip: str) -> int:
        """Return the index of a clip in `names`. Raises ValueError for an unknown name."""
        names = self._views.names
        if clip in names:
            return names.index(clip)
        similar = get_close_matches(clip, names, 3, 0.3) if len(names) < 1000 else names[:3]
        raise ValueError(
            f"clip: expected one of {len(names)} names, such as {list(similar or names[:3])}, "
            f"found {clip!r}."
        )

    def _send_part(self, _: object, message: dict, buffers: list) -> None:
        """Send a part that the page requests, unless another clip has been opened since."""
        if message.get("kind") != "part" or self._encoded is None:
            return
        if message["serial"] == self._encoded.serial:
            self.send(message, [self._encoded.part(message["number"])])

    def _keep_correction(self, _: object, message: dict, buffers: list) -> None:
        """Keep what the page sends about a clip, which need not be open any more, and answer."""
        if message.get("kind") == "correction":
            self.send(self.editing.answer(message, self._find_clip))

    def _find_clip(self, name: str) -> tuple[View, Origin]:
        """View and origin of a clip by its name. Raises ValueError or OSError if there is none."""
        number = self._clip_number(name)
        view = self._view if self.clip == name else None
        return view or self._views.read(number), partial(self._views.origin, number)


def _raise_no_clip(number: int) -> View:
    raise DataError(f"There is no clip {number}.")
