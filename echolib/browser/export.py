"""The frame browser in HTML, a page of its own or a part of another: no kernel and no network."""

import base64
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from ..errors import DataError
from ..report.page import render, write_page
from .editing import Editing
from .encoding import EncodedView, first_frame
from .view import View

FOLDER = Path(__file__).parent / "page"
SCRIPTS: tuple[str, ...] = (
    "blind", "clip", "picture", "curves", "lens", "controls", "save", "clips", "spline", "between",
    "history", "edits", "handles", "keeper", "panel", "edit", "browser",
)  # fmt: skip
LOOKS = ("speed", "shown", "side_by_side", "zoom", "window", "gamma", "smooth")
LARGEST = 250 * 2**20  # bytes of a page that browsers still open


def page_script(*names: str) -> str:
    """The named files of `page/` joined to one script."""
    return "\n".join((FOLDER / f"{name}.js").read_text(encoding="utf-8") for name in names)


def page_style() -> str:
    """The style sheet of `page/`."""
    return (FOLDER / "style.css").read_text(encoding="utf-8")


def write_html(
    path: str | Path,
    views: Sequence[View],
    keywords: Sequence[str],
    state: dict,
    editing: Editing | None = None,
) -> Path:
    """Write a page with these clips, whole or not at all; it opens with the first one.

    keywords: per clip, text that is shown and that a search also matches. state: traits of the
    browser; without `frame` the page opens at the first labelled frame. editing: for a page in
    which clips can be corrected.
    Raises DataError if the page would be too large to open.
    """
    contents = []
    for view in views:
        content = EncodedView(view).content(whole=True)
        content["parts"] = [base64.b64encode(part).decode() for part in content["parts"]]
        if editing is not None:
            content["edit"] = editing.content(view, exported=True)
        contents.append(content)
    names = [view.name for view in views]
    on = {layer.name: layer.on for view in reversed(views) for layer in view.layers}
    state = {"frame": first_frame(contents[0]), **state}
    data = _data({**state, "_names": names, "_keywords": list(keywords)}, contents, on)
    if len(data) > LARGEST:
        raise DataError(
            f"{path}: the page would hold {len(data) / 2**20:.0f} MB, more than browsers open "
            f"({LARGEST / 2**20:.0f} MB). Choose fewer clips, or fewer frames."
        )
    script = _script("browser")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return write_page(
        path,
        "browser.html",
        title=views[0].name,
        style=page_style(),
        data=data,
        script=script,
        digest=digest,
    )


def saved_fragment(state: dict, element_id: str) -> str | None:
    """HTML of a browser from its state as saved in a notebook, with the clip that was open.

    state: the traits, with the parts of `_content` in base64. element_id: must be unique in the
    page. Returns None if the state does not hold one whole clip: none was open, or its last parts
    had not been sent yet.
    """
    content = state["_content"]
    if state["error"] or not content or None in content["parts"]:
        return None
    traits = {name: state[name] for name in (*LOOKS, "frame")}
    keywords = dict(zip(state["_names"], state["_keywords"], strict=True))
    return render(
        "browser_fragment.html",
        style=page_style(),
        element_id=element_id,
        data=_data(
            {**traits, "_names": [content["clip"]], "_keywords": [keywords[content["clip"]]]},
            [content],
            {},
        ),
        script=_script(element_id),
    )


def _data(state: dict, contents: list[dict], on: dict[str, bool]) -> str:
    """The input of `page/stored.js` as JSON that may stand in HTML."""
    data = {"state": state, "contents": contents, "on": on}
    # "</script>" in a name would end the element that contains the JSON
    return json.dumps(data, allow_nan=False).replace("<", "\\u003c")


def _script(element_id: str) -> str:
    script = page_script(*SCRIPTS, "stored").replace("export default { render };", "")
    return f'{script}\nstart("{element_id}");\n'
