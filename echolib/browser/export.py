"""The browser in a page of HTML, its own or any other: no kernel, no network, everything inside."""

import base64
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from .. import __version__
from ..errors import DataError
from ..report.page import BANNER, write_document
from .encoding import EncodedView
from .view import View

FOLDER = Path(__file__).parent / "page"
SCRIPTS = ("clip", "picture", "curves", "lens", "controls", "clips", "browser")
LOOKS = ("speed", "shown", "side_by_side", "zoom", "window", "gamma", "smooth")
LARGEST = 250 * 2**20  # bytes of a page that browsers still open
STYLE = """
:root { color-scheme: light dark; }
body { margin: 0 auto; padding: 12px; max-width: 1000px; font: 14px/1.4 system-ui, sans-serif; }
main { display: flex; justify-content: center; }
footer { margin-top: 16px; text-align: center; }
"""


def page_script(*names: str) -> str:
    """The named files of `page/` joined to one script."""
    return "\n".join((FOLDER / f"{name}.js").read_text(encoding="utf-8") for name in names)


def page_style() -> str:
    """The style sheet of `page/`."""
    return (FOLDER / "style.css").read_text(encoding="utf-8")


def write_html(path: str | Path, views: Sequence[View], notes: Sequence[str], state: dict) -> Path:
    """Write a page with these clips, the first one open, whole or not at all.

    notes: words that a search for a clip also finds. state: traits of the browser. Raises
    DataError where the page would be too large to open.
    """
    contents = []
    for view in views:
        content = EncodedView(view).content(whole=True)
        content["parts"] = [base64.b64encode(part).decode() for part in content["parts"]]
        contents.append(content)
    names = [view.name for view in views]
    on = {layer.name: layer.on for view in reversed(views) for layer in view.layers}
    text = _data({**state, "_names": names, "_notes": list(notes)}, contents, on)
    if len(text) > LARGEST:
        raise DataError(
            f"{path}: the page would hold {len(text) / 2**20:.0f} MB, more than browsers open "
            f"({LARGEST / 2**20:.0f} MB). Choose fewer clips, or fewer frames."
        )
    script = _script("browser")
    # The page may run just this script, and load nothing: a name in it can do no harm.
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    body = (
        f"<main>{_elements('browser', text)}</main>"
        f"<footer>{BANNER} echolib {__version__}</footer>\n"
        f'<script type="module">{script}</script>'
    )
    return write_document(path, views[0].name, policy, STYLE + page_style(), body)


def saved_fragment(state: dict, place: str) -> str | None:
    """HTML of a browser from its state as notebooks save it, with the one clip that was open.

    state: the traits, the parts of `_content` in base64. place: an id of HTML that the page has
    nowhere else. None where the state holds no whole clip: none was open, or its end was yet to
    be sent.
    """
    content = state["_content"]
    if state["error"] or not content or None in content["parts"]:
        return None
    looks = {name: state[name] for name in (*LOOKS, "frame")}
    data = _data({**looks, "_names": [content["clip"]], "_notes": [""]}, [content], {})
    script = f'<script type="module">{_script(place)}</script>'
    return f"<style>{page_style()}</style>{_elements(place, data)}{script}"


def _data(state: dict, contents: list[dict], on: dict[str, bool]) -> str:
    """What `page/stored.js` reads, as JSON that may stand in HTML."""
    data = {"state": state, "contents": contents, "on": on}
    # "</script>" in a name would end the block of data, whatever JSON thinks of it
    return json.dumps(data, allow_nan=False).replace("<", "\\u003c")


def _elements(place: str, data: str) -> str:
    return (
        f'<div id="{place}"></div>\n'
        f'<script type="application/json" id="{place}-data">{data}</script>\n'
    )


def _script(place: str) -> str:
    script = page_script(*SCRIPTS, "stored").replace("export default { render };", "")
    return f'{script}\nstart("{place}");\n'
