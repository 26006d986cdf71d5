"""Pages of HTML that open offline, rendered from the templates in this folder.

The templates escape all text, and each page forbids the browser to load anything from outside.
"""

import base64
import platform
from datetime import datetime
from functools import cache
from importlib import metadata
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import jinja2
import numpy as np

from .. import __version__
from ..files import atomic_path
from .markdown import markdown_to_html

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BANNER = "For teaching and research. Not for clinical use."
UNKNOWN = "unknown"
TEMPLATES = Path(__file__).parent / "templates"


def write_page(path: str | Path, template: str, **values: object) -> Path:
    """Render a template to a file, whole or not at all; returns its path."""
    content = render(template, **values)
    with atomic_path(path) as temporary:
        # a character that UTF-8 cannot encode, as in a broken file name, becomes a question mark
        temporary.write_text(content, encoding="utf-8", errors="replace")
    return Path(path)


def render(template: str, **values: object) -> str:
    """Render a template by its file name. Raises `jinja2.UndefinedError` for a missing value."""
    return _environment().get_template(template).render(values)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(banner=BANNER, version=__version__)
    environment.filters["markdown"] = markdown_to_html
    return environment


def provenance(command: str) -> list[tuple[str, str]]:
    """The time, the versions and the command that made a page, as rows of a table."""
    try:
        torch = metadata.version("torch")
    except metadata.PackageNotFoundError:
        torch = "not installed"
    return [
        ("Made", f"{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}"),
        ("echolib", __version__),
        ("torch", torch),
        ("Python", platform.python_version()),
        ("Command", command),
    ]


def number_text(number: float | None, unit: str = "", digits: int = 0) -> str:
    """A number with its unit, which no line break parts; `UNKNOWN` for None, NaN and infinity."""
    if number is None or not np.isfinite(number):
        return UNKNOWN
    return f"{number:.{digits}f}\N{NO-BREAK SPACE}{unit}".strip()


# --- Data URIs ----------------------------------------------------------------------------------


def data_uri(content: bytes, media_type: str) -> str:
    """The content of a file as a URI; media_type: such as `image/png`."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def jpeg_uri(picture: np.ndarray) -> str:
    """A picture (H, W, 3) uint8 RGB as a JPEG in a data URI."""
    _, content = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    return data_uri(content.tobytes(), "image/jpeg")


def last_frame_uri(video: str | Path) -> str:
    """The last frame of a video as a JPEG in a data URI; black if no frame can be decoded."""
    import av  # here, because most pages have no video

    last: np.ndarray = np.zeros((2, 2, 3), np.uint8)
    try:
        with Path(video).open("rb") as file, av.open(file, "r") as container:
            for frame in container.decode(video=0):
                last = frame.to_ndarray(format="rgb24")
    except (av.FFmpegError, IndexError):  # no video, or one without pictures
        pass
    return jpeg_uri(last)


def figure_uri(figure: "Figure", **options: Any) -> str:
    """A matplotlib figure as a PNG in a data URI; options: as for `savefig`."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", **options)
    return data_uri(buffer.getvalue(), "image/png")
