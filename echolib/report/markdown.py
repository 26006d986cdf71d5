"""Model cards, which are Markdown, as HTML that is safe in a page."""

from typing import Any

import mistune
from mistune.util import striptags

FIRST_LEVEL = 3  # of the heading `#`: a page uses h1 and h2 itself


def markdown_to_html(text: str) -> str:
    """Convert Markdown, tables included, to HTML in which all text is escaped.

    The heading `#` becomes h3. A link or a picture becomes its text, because the page contains
    nothing that it could point to. HTML in the text is shown as text.
    """
    renderer = _CardRenderer(escape=True)
    return str(mistune.create_markdown(renderer=renderer, plugins=["table"])(text))


class _CardRenderer(mistune.HTMLRenderer):
    """Render without links, with lower headings, and with the scope of each heading in a table."""

    def render_token(self, token: dict[str, Any], state: mistune.BlockState) -> str:
        if token["type"] == "table_row":  # the first cell of a row is its heading
            token["children"][0]["attrs"]["scope"] = "row"
        return super().render_token(token, state)

    def heading(self, text: str, level: int, **attributes: Any) -> str:
        return super().heading(text, min(FIRST_LEVEL - 1 + level, 6), **attributes)

    def link(self, text: str, url: str, title: str | None = None) -> str:
        return text

    def image(self, text: str, url: str, title: str | None = None) -> str:
        return text

    def table(self, text: str) -> str:
        return f'<div class="scroll"><table>\n{text}</table></div>\n'

    def table_head(self, text: str) -> str:
        """A row of headings, or nothing where all of them are empty."""
        return f"<thead><tr>{text}</tr></thead>\n" if striptags(text).strip() else ""

    def table_row(self, text: str) -> str:
        return f"<tr>{text}</tr>\n"

    def table_cell(
        self, text: str, align: str | None = None, head: bool = False, scope: str = ""
    ) -> str:
        scope = "col" if head else scope
        return f'<th scope="{scope}">{text}</th>' if scope else f"<td>{text}</td>"
