"""The base of all pages: templates that escape, and the contents of a page as data URIs."""

import base64

import cv2
import jinja2
import numpy as np
import pytest

from echolib.report import page

VALUES = {"title": "<a>", "style": "", "data": "{}", "script": "", "digest": "abc="}


def test_text_is_escaped_and_the_policy_forbids_loading():
    html = page.render("browser.html", **VALUES)
    assert html.startswith("<!doctype html>") and "<title>&lt;a&gt;</title>" in html
    policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-abc='"
    assert f'<meta http-equiv="Content-Security-Policy" content="{policy}">' in html
    assert page.BANNER in html


def test_a_missing_value_is_an_error_and_leaves_no_file(tmp_path):
    del (values := dict(VALUES))["digest"]
    with pytest.raises(jinja2.UndefinedError, match="digest"):
        page.write_page(tmp_path / "page.html", "browser.html", **values)
    assert list(tmp_path.iterdir()) == []


def test_pictures_become_data_uris():
    picture = np.full((4, 6, 3), (250, 10, 10), np.uint8)
    head, content = page.jpeg_uri(picture).split(",")
    assert head == "data:image/jpeg;base64"
    decoded = cv2.imdecode(np.frombuffer(base64.b64decode(content), np.uint8), cv2.IMREAD_COLOR_RGB)
    np.testing.assert_allclose(decoded.astype(int), picture.astype(int), atol=8)


def test_a_video_that_cannot_be_decoded_gives_a_black_picture(tmp_path):
    (tmp_path / "broken.webm").write_bytes(b"no video")
    content = base64.b64decode(page.last_frame_uri(tmp_path / "broken.webm").split(",")[1])
    assert not cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR).any()
