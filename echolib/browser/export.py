"""The browser as one HTML page: no kernel, no network, everything inside."""

import base64
import hashlib
import json
from collections.abc import Sequence
from html import escape
from pathlib import Path

from .. import __version__
from ..errors import DataError
from ..files import atomic_path
from .encoding import EncodedView
from .view import View

FOLDER = Path(__file__).parent / "page"
SCRIPTS = ("clip", "picture", "curves", "lens", "controls", "clips", "browser")
BANNER = "For teaching and research. Not for clinical use."
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
    shown_first = {layer.name: layer.on for view in reversed(views) for layer in view.layers}
    data = {
        "state": {**state, "_names": [view.name for view in views], "_notes": list(notes)},
        "contents": contents,
        "on": shown_first,
    }
    # "</script>" in a name would end the block of data, whatever JSON thinks of it
    text = json.dumps(data, allow_nan=False).replace("<", "\\u003c")
    if len(text) > LARGEST:
        raise DataError(
            f"{path}: the page would hold {len(text) / 2**20:.0f} MB, more than browsers open "
            f"({LARGEST / 2**20:.0f} MB). Choose fewer clips, or fewer frames."
        )
    with atomic_path(path) as temporary:
        temporary.write_text(_page(views[0].name, text), encoding="utf-8", errors="replace")
    return Path(path)


def _page(title: str, data: str) -> str:
    script = page_script(*SCRIPTS, "stored")
    script = script.replace("export default { render };", "")
    style = (FOLDER / "style.css").read_text(encoding="utf-8")
    # The page may run just this script, and load nothing: a name in it can do no harm.
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<title>{escape(title)}</title><style>{STYLE}{style}</style></head>\n"
        f"<body><main></main><footer>{BANNER} echolib {__version__}</footer>\n"
        f'<script type="application/json" id="data">{data}</script>\n'
        f'<script type="module">{script}</script></body></html>\n'
    )
