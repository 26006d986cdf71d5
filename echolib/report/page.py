"""One HTML page that opens offline: it loads nothing, and all text in it is escaped.

Functions that take text escape it; those that take or return HTML say so. The browser is told to
load nothing but what the page itself contains, whatever the name of a clip is.
"""

import base64
import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from html import escape
from importlib import metadata
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from .. import __version__
from ..files import atomic_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BANNER = "For teaching and research. Not for clinical use."
POLICY = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'"
# Colours are named once for a light and once for a dark ground; paper is always light.
STYLE = """
:root{color-scheme:light dark;--ground:#fff;--text:#1c2126;--soft:#56606b;--line:#d5dae0;
--card:#f4f6f8;--warn:#fff3d1;--edge:#b97f00;--accent:#b32d68}
@media (prefers-color-scheme:dark){:root{--ground:#14181c;--text:#e4e8ec;--soft:#a5afba;
--line:#39424c;--card:#1e242a;--warn:#3a2f10;--edge:#e0a52c;--accent:#f07ab0}}
*{box-sizing:border-box}
body{font:1rem/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:1rem;
background:var(--ground);color:var(--text);overflow-wrap:anywhere}
h1{font-size:1.6rem;line-height:1.25;margin:.6rem 0}
h2{font-size:1.2rem;margin:2rem 0 .5rem;border-bottom:1px solid var(--line)}
h3,h4,h5{font-size:1rem;margin:1rem 0 .3rem}
summary h3{display:inline}
p{margin:.4rem 0}
.banner{background:var(--warn);border:2px solid var(--edge);border-radius:.4rem;
padding:.4rem .8rem;font-weight:700}
.result{font-size:2.2rem;line-height:1.2;font-weight:700;color:var(--accent);margin:.8rem 0 0}
.lead{font-size:1.1rem;margin-top:0}
.soft,figcaption,caption{color:var(--soft);font-size:.875rem;text-align:left}
.warnings{background:var(--warn);border-left:.4rem solid var(--edge);
padding:.2rem .8rem .5rem;margin-top:1rem}
.warnings h2{border:0;margin:.4rem 0}
.warnings ul{margin:0;padding-left:1.2rem}
figure{margin:0}
img,video{max-width:100%;height:auto;display:block}
video{width:100%;margin-top:1rem;background:#14181c}
.moment img,.strip img{width:100%}
.pictures{display:grid;grid-template-columns:4fr 4fr 7fr;gap:.8rem;align-items:start}
.strip{display:grid;grid-template-columns:repeat(8,1fr);gap:.4rem}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.9375rem}
th,td{text-align:left;vertical-align:top;padding:.25rem .7rem .25rem 0;
border-bottom:1px solid var(--line);font-variant-numeric:tabular-nums;overflow-wrap:normal}
td:not(:last-child){white-space:nowrap}
tbody th{font-weight:600}
.remarks tbody th{white-space:nowrap}
dt{font-weight:600}
dd{margin:0 0 .5rem}
code{font-size:.875em;background:var(--card);border-radius:.2rem;padding:.05rem .25rem}
details{border:1px solid var(--line);border-radius:.4rem;padding:.5rem .8rem;margin:.5rem 0}
@media screen and (max-width:44rem){.pictures{grid-template-columns:1fr 1fr}
.pictures .curve{grid-column:1/-1}.strip{grid-template-columns:repeat(4,1fr)}
.remarks thead{display:none}.remarks tr{display:grid;grid-template-columns:1fr auto;
border-bottom:1px solid var(--line)}.remarks :is(th,td){white-space:normal;border:0;padding:.1rem 0}
.remarks td:last-child{grid-column:1/-1;color:var(--soft)}
table{font-size:.875rem}th,td{padding-right:.4rem}}
@media print{@page{size:A4;margin:12mm}
:root{color-scheme:light;--ground:#fff;--text:#000;--soft:#444;--line:#bbb;--card:#f4f4f4;
--warn:#fff;--edge:#000;--accent:#000}
html{font-size:12.5px}body{line-height:1.35;padding:0;max-width:none}
h2{margin-top:.8rem}.result{font-size:1.9rem;margin-top:.3rem}
th,td{padding-top:.1rem;padding-bottom:.1rem}
.screen{display:none}details::details-content{content-visibility:visible;block-size:auto}
.later{break-before:page}figure,tr{break-inside:avoid}}
"""


def write_page(path: str | Path, title: str, banner: str, parts: Iterable[str]) -> Path:
    """Write a page, whole or not at all: title, banner, and parts that are HTML already."""
    body = (
        f"<main><h1>{escape(title)}</h1>\n"
        f'<p class="banner" role="note">{escape(banner)}</p>\n' + "\n".join(parts) + "\n</main>"
    )
    return write_document(path, title, POLICY, STYLE, body)


def write_document(path: str | Path, title: str, policy: str, style: str, body: str) -> Path:
    """Write an HTML file, whole or not at all. policy: what its content may load; body: HTML."""
    content = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<title>{escape(title)}</title><style>{style}</style></head>\n"
        f"<body>{body}</body></html>\n"
    )
    with atomic_path(path) as temporary:
        # what no encoding holds, such as a broken file name, becomes a question mark
        temporary.write_text(content, encoding="utf-8", errors="replace")
    return Path(path)


# --- Parts, as HTML -----------------------------------------------------------------------------


def section(title: str, content: str, kind: str = "") -> str:
    """A section under a heading; content: HTML. kind: class in `STYLE`."""
    return f'<section class="{kind}"><h2>{escape(title)}</h2>{content}</section>'


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph of text."""
    return f'<p class="{kind}">{escape(text)}</p>'


def bullets(items: Iterable[str]) -> str:
    """A list of texts."""
    return "<ul>" + "".join(f"<li>{escape(str(item))}</li>" for item in items) + "</ul>"


def definitions(words: Mapping[str, str]) -> str:
    """Words and what they mean."""
    pairs = (f"<dt>{escape(word)}</dt><dd>{escape(text)}</dd>" for word, text in words.items())
    return "<dl>" + "".join(pairs) + "</dl>"


def folded(title: str, text: str) -> str:
    """Markdown that is unfolded by a click on its title."""
    content = markdown(text, level=3)
    return f"<details><summary>{escape(title)}</summary>{content}</details>"


def table(head: Sequence[str], rows: Iterable[Sequence[object]], caption: str = "") -> str:
    """A table of text. head: of the columns, empty without; a row's first cell is its heading."""
    cells = ([escape(str(cell)) for cell in row] for row in rows)
    return html_table([escape(cell) for cell in head], cells, escape(caption))


def html_table(head: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> str:
    """The same of cells that are HTML already."""
    body = "".join(
        f'<tr><th scope="row">{first}</th>' + "".join(f"<td>{cell}</td>" for cell in rest) + "</tr>"
        for first, *rest in rows
    )
    top = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    top = f"<thead><tr>{top}</tr></thead>" if any(head) else ""
    caption = f"<caption>{caption}</caption>" if caption else ""
    return f'<div class="scroll"><table>{caption}{top}<tbody>{body}</tbody></table></div>'


def picture(source: str, alt: str, caption: str = "", kind: str = "", dark: str = "") -> str:
    """A picture from a data URI; dark: another one for a dark ground."""
    image = f'<img src="{source}" alt="{escape(alt)}">'
    if dark:
        night = "screen and (prefers-color-scheme: dark)"  # paper is light
        image = f'<picture><source media="{night}" srcset="{dark}">{image}</picture>'
    caption = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f'<figure class="{kind}">{image}{caption}</figure>'


def film(source: str, kind: str, still: str, caption: str) -> str:
    """A video from a data URI of a kind (`video/webm`), and a still where it cannot be played."""
    text = escape(caption)
    return (
        f'<figure class="screen"><video controls loop muted playsinline poster="{still}" '
        f'aria-label="{text}"><source src="{source}" type="{kind}">'
        f'<img src="{still}" alt="{text}"></video><figcaption>{text}</figcaption></figure>'
    )


def data_uri(content: bytes, kind: str) -> str:
    """The content of a file of a kind (`image/png`) as a URI that contains it."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def jpeg_uri(picture: np.ndarray) -> str:
    """A picture (h, w, 3) uint8 RGB as a JPEG in a data URI."""
    _, content = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    return data_uri(content.tobytes(), "image/jpeg")


def last_picture(video: str | Path) -> str:
    """The last picture of a video as a data URI; black where nothing can be decoded."""
    capture = cv2.VideoCapture(str(video), cv2.CAP_FFMPEG)
    picture, following = np.zeros((2, 2, 3), np.uint8), capture.read()
    while following[0]:
        picture, following = following[1], capture.read()
    capture.release()
    return jpeg_uri(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))


def figure_uri(figure: "Figure", **options: object) -> str:
    """A matplotlib figure as a PNG in a data URI; options: as for `savefig`."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", **options)
    return data_uri(buffer.getvalue(), "image/png")


def origin(command: str) -> str:
    """When, by what and by which command a page was made, as a table."""
    try:
        torch = metadata.version("torch")
    except metadata.PackageNotFoundError:
        torch = "not installed"
    rows = {
        "Made": f"{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}",
        "echolib": __version__,
        "torch": torch,
        "Python": platform.python_version(),
        "Command": command,
    }
    return table((), rows.items())


# --- Markdown -----------------------------------------------------------------------------------


def markdown(text: str, level: int = 3) -> str:
    """HTML of simple markdown: headings, paragraphs, lists, tables, code, bold.

    level: of the heading `#`. Links become their text: what they point to is not in the page.
    HTML in the text is shown, not used.
    """
    blocks = re.split(r"\n\s*\n|\n(?=#+ )", text.strip())
    return "\n".join(_block(block.strip("\n"), level) for block in blocks if block.strip())


def _block(block: str, level: int) -> str:
    lines = block.split("\n")
    heading = re.fullmatch(r"(#+)\s+(.*)", lines[0])
    if heading:
        rank = min(level + len(heading[1]) - 1, 6)
        rest = "\n".join(lines[1:])
        return f"<h{rank}>{_inline(heading[2])}</h{rank}>" + (_block(rest, level) if rest else "")
    if len(lines) > 1 and all(line.startswith("|") for line in lines):
        cells = [line.strip().removeprefix("|").removesuffix("|").split("|") for line in lines]
        head, _, *rows = ([_inline(cell.strip()) for cell in row] for row in cells)
        return html_table(head, rows)
    if all(re.match(r"[-*] |  ", line) for line in lines):
        items = re.split(r"^[-*] ", block, flags=re.MULTILINE)[1:]
        return "<ul>" + "".join(f"<li>{_inline(item)}</li>" for item in items) + "</ul>"
    return f"<p>{_inline(block)}</p>"


def _inline(text: str) -> str:
    """Code, bold and the text of links in one piece of text, escaped."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", escape(text))
    pieces = re.split(r"`([^`]+)`", text)  # every second one is code
    pieces[::2] = [re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", piece) for piece in pieces[::2]]
    pieces[1::2] = [f"<code>{piece}</code>" for piece in pieces[1::2]]
    return "".join(pieces)
