"""Model cards in Markdown, converted to HTML that loads nothing and points nowhere."""

import pytest

from echolib.report.markdown import markdown_to_html


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("# a\n## b `c`", "<h3>a</h3>\n<h4>b <code>c</code></h4>\n"),
        ("##### a", "<h6>a</h6>\n"),
        ("a **b** [`c`](d.md)\ne", "<p>a <strong>b</strong> <code>c</code>\ne</p>\n"),
        ("- a\n  b\n- c", "<ul>\n<li>a\nb</li>\n<li>c</li>\n</ul>\n"),
        ("a ` b < c", "<p>a ` b &lt; c</p>\n"),
        ("```\na < b\n```", "<pre><code>a &lt; b\n</code></pre>\n"),
        ("| no table |", "<p>| no table |</p>\n"),
        ("", ""),
    ],
)
def test_markdown_becomes_html(text, html):
    assert markdown_to_html(text) == html


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ('[a](https://example.org "title")', "<p>a</p>\n"),
        ("[a][b]\n\n[b]: https://example.org", "<p>a</p>\n"),
        ("<https://example.org>", "<p>https://example.org</p>\n"),
        ("![*a*](https://example.org/b.png)", "<p><em>a</em></p>\n"),
        ("[<b>](javascript:alert(1))", "<p>&lt;b&gt;</p>\n"),
    ],
)
def test_links_and_pictures_become_their_text(text, html):
    assert markdown_to_html(text) == html


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "a <img src=x onerror=alert(1)> b"])
def test_html_in_markdown_is_shown_as_text(text):
    escaped = text.replace("<", "&lt;").replace(">", "&gt;")
    assert markdown_to_html(text) == f"<p>{escaped}</p>\n"


def test_tables_have_headings_where_they_are_written():
    named = markdown_to_html("| a | b |\n| --- | ---: |\n| 1 | |")
    assert '<th scope="col">b</th>' in named and '<th scope="row">1</th><td></td>' in named
    assert "thead" not in markdown_to_html("| | |\n| --- | --- |\n| 1 | 2 |")
