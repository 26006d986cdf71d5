"""Reports, parsed as a browser parses them: what they say, what they load, what they escape."""

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from echolib.cautions import Caution
from echolib.figures.film import write_video
from echolib.figures.ventricle import function_video
from echolib.report.page import BANNER
from echolib.report.ventricle import write_report
from echolib.ventricle.calibration import Calibration
from echolib.ventricle.words import CORRECTED
from tests.figures.test_ventricle import (
    make_function,
    on_a_screen,
    without_ef,
    without_outlines,
)

LEARNT = Calibration(
    0.9, 5.0, 2.0, (0.5, 0.0, 0.0), (30.0, 55.0), (3.0, 2.0, 1.5), 1.25, "CAMUS training patients",
    0.2, 0.9, 100, "phantom study calibration", ("lv",),
)  # fmt: skip
OWN = replace(LEARNT, limits=(), factors=(2.0,), widen=1.0, data="a <few> patients")
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;"
EMPTY = {"meta", "img", "source", "br"}  # elements without an end tag
LOADING = {"src", "href", "srcset", "poster", "action", "data", "background"}


class Page(HTMLParser):
    """The elements of a page with their attributes and texts, in order."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements, self.open = [], []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        assert self.open == [], "an element is not closed"

    def handle_starttag(self, tag, attrs):
        element = {"tag": tag, "text": "", **dict(attrs)}
        self.elements.append(element)
        if tag not in EMPTY:
            self.open.append(element)

    def handle_endtag(self, tag):
        assert self.open.pop()["tag"] == tag, "elements are not nested"

    def handle_data(self, data):
        for element in self.open:
            element["text"] += data

    def all(self, *tags: str) -> list[dict]:
        return [element for element in self.elements if element["tag"] in tags]

    def texts(self, *tags: str) -> list[str]:
        return [element["text"] for element in self.all(*tags)]

    def cells(self, head: str) -> list[str]:
        """The texts of the cells after the heading of the first row that starts with `head`."""
        start = next(i for i, e in enumerate(self.elements) if e["text"].startswith(head)
                     and e["tag"] == "th") + 1  # fmt: skip
        end = next(
            (i for i in range(start, len(self.elements)) if self.elements[i]["tag"] != "td"), None
        )
        return [element["text"] for element in self.elements[start:end]]

    def row(self, head: str) -> str:
        """The text of the first table row that starts with `head`."""
        return next(text for text in self.texts("tr") if text.startswith(head))


def parse(path: Path) -> Page:
    """Parse a report, and check what every report must fulfil."""
    page = Page(path)
    assert page.source.startswith("<!doctype html>") and page.all("html")[0]["lang"] == "en"
    assert BANNER in page.texts("p")
    assert not page.all("script", "link", "iframe", "object", "embed", "base", "form")
    for link in page.all("a"):  # to a file beside the page
        assert ":" not in link["href"] and not link.pop("href").startswith("/")
    for element in page.elements:
        for name in LOADING & set(element):
            assert element[name].startswith("data:")
        assert not [name for name in element if name.startswith("on")]
    style = "".join(page.texts("style"))
    assert "url(" not in style and "@import" not in style and "@font-face" not in style
    assert "default-src 'none'" in str(page.all("meta"))
    levels = [int(heading["tag"][1]) for heading in page.all("h1", "h2", "h3", "h4", "h5", "h6")]
    assert levels[0] == 1 and levels.count(1) == 1
    assert np.diff(levels).max() <= 1, "a level of headings is left out"
    assert all(image.get("alt") for image in page.all("img"))
    assert all(head["scope"] in ("row", "col") for head in page.all("th"))
    for image in page.all("img"):
        with Image.open(BytesIO(content(image["src"]))) as picture:
            picture.load()
    return page


def content(uri: str) -> bytes:
    return base64.b64decode(uri.split(",", 1)[1], validate=True)


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("video") / "overlay.webm"
    return write_video(path, function_video(make_function()), 20)


@pytest.fixture(scope="module")
def report(tmp_path_factory, video) -> Page:
    warnings = [
        Caution("cut-off-outline", "The outline touches the edge."),
        Caution("extrasystole", "Beat 2 is an extrasystole."),
    ]
    result = replace(make_function(odd=1), warnings=warnings, calibration=LEARNT)
    path = tmp_path_factory.mktemp("report") / "report.html"
    assert write_report(path, result, video=video) == path
    return parse(path)


def test_report_gives_the_numbers_with_their_units(report):
    result = make_function(odd=1)
    ef = result.ef_corrected
    assert report.texts("title") == ["Heart function: 0X1A2B"] == report.texts("h1")
    assert f"EF {ef:.0f} % corrected" in report.texts("p")
    interval = f"90 % interval {ef - 9:.0f} to {ef + 8:.0f} %"
    assert interval in report.texts("p") and interval in report.row("EF corrected")
    (trust,) = [text for text in report.texts("p") if "not patients" in text]
    assert "separately for each range of EF (limits: 30, 55 %)" in trust
    assert "widened by 25 %" in trust and "chosen on CAMUS training patients" in trust
    assert f"{result.ef_measured:.0f}\N{NO-BREAK SPACE}%" in report.row("EF measured")
    assert CORRECTED in report.texts("p")
    function = result.function
    for head, number, unit in (
        ("End-diastolic", function.edv, "ml"),
        ("End-systolic", function.esv, "ml"),
        ("Long axis at end-diastole", function.length_ed, "mm"),
        ("Long axis at end-systole", function.length_es, "mm"),
    ):
        assert f"{number:.0f}\N{NO-BREAK SPACE}{unit}" in report.row(head)
        assert "as measured" in report.row(head)
    assert report.texts("caption")[0].startswith("Single plane, apical four-chamber")
    assert "120\N{NO-BREAK SPACE}per minute" in report.row("Heart rate")
    assert "1of 2" in report.row("Beats that count")
    assert "0.90" in report.row("Agreement")
    assert "24110 x 90 px; 1.2 s" in report.row("Frames")
    assert "20.0" in report.row("Frames per second")
    assert "1.500\N{NO-BREAK SPACE}mm per px" in report.row("Scale")
    assert "unknown" not in "".join(report.texts("td"))


def test_report_lists_warnings_and_beats(report):
    assert "Warnings (2)" in report.texts("h2")
    assert report.texts("li")[:2] == [
        "The outline touches the edge. cut-off-outline",
        "Beat 2 is an extrasystole. extrasystole",
    ]
    assert report.row("10.00 s0.20 s").endswith("yes")
    assert report.row("20.50 s0.70 s").endswith("no: extrasystole")


def test_report_contains_pictures_and_the_video_itself(report, video):
    source = report.all("video")[0]
    assert {"controls", "loop", "muted"} <= set(source)
    (webm,) = [one for one in report.all("source") if one.get("type") == "video/webm"]
    assert content(webm["src"]) == video.read_bytes()
    with Image.open(BytesIO(content(source["poster"]))) as still:
        assert still.size[0] > still.size[1] == 448
    captions = report.texts("figcaption")
    assert captions[:2] == ["End-diastole, 0.00 s", "End-systole, 0.20 s"]
    assert "0.20 s ES" in captions and "0.00 s ED" in captions
    (dark,) = [one for one in report.all("source") if "media" in one]
    assert "prefers-color-scheme: dark" in dark["media"]
    assert dark["srcset"] != report.all("img")[2]["src"]
    assert len(report.source) < 1_500_000


def test_pictures_of_a_report_show_the_sector_only(tmp_path):
    screen = on_a_screen(make_function())
    pages = []
    for name, result in (("screen", screen), ("cropped", screen.cropped())):
        pages.append(parse(write_report(tmp_path / f"{name}.html", result)))
    first, second = ([image["src"] for image in page.all("img")] for page in pages)
    assert len(first) > 4 and first == second


def test_report_shows_cards_versions_and_command(report):
    assert report.texts("summary") == ["Model card of lv", "Model card of lv_landmarks"]
    assert "lv: the left ventricle, from phantoms alone" in report.texts("h3")
    model = "echolib.networks.models.UNet(width=24, depth=3, outputs=3, fold=2)"
    assert model in report.texts("code")
    assert "**" not in "".join(report.texts("details")) and "| ---" not in report.source
    assert report.row("echolib").strip() and re.search(r"\d\.\d", report.row("torch"))
    assert re.search(r"\d{4}-\d\d-\d\d", report.row("Made"))
    assert report.row("Command") == "Commandpython -m echolib function CLIP --out FOLDER"


def test_text_from_files_is_escaped(tmp_path, monkeypatch):
    card = f"# {HOSTILE}\n\n| {HOSTILE} | b |\n| --- | --- |\n| c | d |"
    (tmp_path / "own.md").write_text(card, encoding="utf-8")
    monkeypatch.setattr("echolib.report.ventricle.weights_folder", lambda: tmp_path)
    result = make_function(odd=0)
    beats = [replace(beat, note=HOSTILE) for beat in result.function.beats]
    function = replace(result.function, beats=beats)
    clip = replace(result.clip, name=HOSTILE)
    weights = ("own", HOSTILE)
    result = replace(
        result,
        function=function,
        clip=clip,
        warnings=[Caution("one-beat", HOSTILE)],
        weights=weights,
    )
    path = tmp_path / "report.html"
    write_report(path, replace(result, calibration=replace(LEARNT, data=HOSTILE)))
    page = parse(path)
    assert page.texts("h1") == [f"Heart function: {HOSTILE}"]
    assert page.texts("li") == [f"{HOSTILE} one-beat"]
    assert HOSTILE in page.texts("h3") and HOSTILE in page.texts("th")
    assert any(f"calibrated on: {HOSTILE}." in text for text in page.texts("p"))
    assert page.texts("summary")[1] == f"Model card of {HOSTILE}"
    assert "are your own" in page.texts("details")[1]


def test_a_name_that_is_not_valid_text_gets_a_question_mark(tmp_path):
    clip = replace(make_function().clip, name="a\udcffb")  # from a file name that is not UTF-8
    write_report(tmp_path / "report.html", replace(make_function(), clip=clip))
    assert parse(tmp_path / "report.html").texts("h1") == ["Heart function: a?b"]


def test_unknown_values_are_reported_with_their_reason(tmp_path):
    result = without_ef(make_function(12, fps=None, spacing=None), beats=[])
    result = replace(result, doubt=np.nan)
    write_report(tmp_path / "report.html", result)
    page = parse(tmp_path / "report.html")
    assert "EF unknown" in page.texts("p")
    assert any(
        text.startswith("No ejection fraction is given: no beat") for text in page.texts("p")
    )
    assert not any("90 % interval" in text for text in page.texts("p", "td"))
    for head, reason in (
        ("EF measured", "no beat"),
        ("End-diastolic", "no beat"),
        ("Heart rate", "frames per second are unknown"),
        ("Frames per second", "times are in frames"),
        ("Scale", "volumes are relative"),
        ("Agreement", "no landmarks network"),
    ):
        assert "unknown" in page.row(head) and reason in page.row(head)
    assert "No beat is detected." in page.texts("p")
    assert "Largest volume, frame 0" in page.texts("figcaption")


def test_the_user_says_what_the_report_calls_the_clip(tmp_path):
    path = tmp_path / "report.html"
    write_report(path, make_function(), identifier="case 7")
    page = parse(path)
    assert page.texts("h1") == ["Heart function: case 7"] and "case 7" in page.row("Identifier")
    assert make_function().clip.name not in page.source


def test_relative_volumes_are_called_relative(tmp_path):
    write_report(tmp_path / "report.html", make_function(spacing=None))
    page = parse(tmp_path / "report.html")
    assert "px³/1000" in page.row("End-diastolic") and "relative" in page.row("End-diastolic")
    assert "EDV (px³/1000)" in page.texts("th")


def test_report_says_that_the_interval_is_unknown(tmp_path):
    result = make_function()
    result = replace(result, ef_corrected=result.ef_measured, ef_low=np.nan, ef_high=np.nan)
    write_report(tmp_path / "report.html", result)
    page = parse(tmp_path / "report.html")
    assert any(text.startswith("Interval unknown") for text in page.texts("p"))
    assert "no interval" in page.row("EF measured")


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("change", [without_ef, without_outlines])
def test_short_and_empty_clips_get_reports(tmp_path, count, change):
    result = change(make_function(count))
    write_report(tmp_path / "report.html", result)
    page = parse(tmp_path / "report.html")
    assert "EF unknown" in page.texts("p")
    assert sum("with its outline" in image["alt"] for image in page.all("img")) == count


def test_a_gif_is_embedded_as_a_picture_and_other_videos_are_refused(tmp_path):
    Image.new("L", (8, 8)).save(tmp_path / "overlay.gif")
    write_report(tmp_path / "report.html", make_function(), video=tmp_path / "overlay.gif")
    page = parse(tmp_path / "report.html")
    assert not page.all("video")
    assert any(image["src"].startswith("data:image/gif") for image in page.all("img"))
    with pytest.raises(ValueError, match=r"expected one of \.webm, \.mp4, \.gif, found '\.avi'"):
        write_report(tmp_path / "report.html", make_function(), video="overlay.avi")


def test_report_replaces_a_file_completely_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "new" / "report.html"
    write_report(path, make_function())
    before = path.read_text(encoding="utf-8")
    with pytest.raises(OSError):
        write_report(path, make_function(), video=tmp_path / "absent.webm")
    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            write_report(path, make_function())
    assert path.read_text(encoding="utf-8") == before
    write_report(path, make_function(odd=1))
    assert path.read_text(encoding="utf-8") != before
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]


def test_reports_leave_no_open_figure_and_no_changed_setting(tmp_path):
    figures, settings = plt.get_fignums(), dict(plt.rcParams)
    write_report(tmp_path / "report.html", make_function())
    assert plt.get_fignums() == figures and dict(plt.rcParams) == settings


def test_an_ef_that_is_not_corrected_is_called_measured(tmp_path):
    result = make_function()
    write_report(
        tmp_path / "report.html", replace(result, ef_corrected=result.ef_measured, calibration=OWN)
    )
    page = parse(tmp_path / "report.html")
    assert not any(text.startswith("EF corrected") for text in page.texts("tr"))
    assert "90 % interval" in page.row("EF measured") and CORRECTED not in page.texts("p")
    assert "All as measured" in page.texts("caption")
    (trust,) = [text for text in page.texts("p") if "calibrated on" in text]
    assert "widened" not in trust and "range of EF" not in trust
