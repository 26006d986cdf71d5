"""Reports in a real Chromium, opened from disk with the network off, at the width of a phone."""

import pytest

from echolib.report.study import clip_picture, write_study_report
from echolib.report.ventricle import write_report
from echolib.ventricle.scores import ef_scores, ef_scores_by_range
from tests.figures.test_ventricle import make_function, study_table
from tools import chromium

pytestmark = pytest.mark.skipif(chromium.missing() is not None, reason=str(chromium.missing()))

PHONE = {"width": 390, "height": 800}
# The width of the page, its height, and of each table: its width and that of its place.
SIZES = """() => [document.documentElement.scrollWidth, document.documentElement.scrollHeight,
  [...document.querySelectorAll(".scroll")].map((node) => [node.scrollWidth, node.clientWidth])]"""


def sizes(engine, path):
    with chromium.open_page(engine, offline=True, viewport=PHONE) as page:
        page.goto(path.as_uri())
        assert page.watch.complaints == []
        assert page.watch.foreign(["file:", "data:"]) == []
        narrowest = page.evaluate("""() => Math.min(...[...document.querySelectorAll(
          ".beats td:last-child, .scores tbody th")].map((cell) => cell.clientWidth))""")
        return *page.evaluate(SIZES), narrowest


def test_the_report_of_a_clip_fits_a_phone_and_its_beats_scroll(engine, tmp_path):
    width, _, tables, narrowest = sizes(
        engine, write_report(tmp_path / "report.html", make_function(60, odd=1))
    )
    assert width == PHONE["width"]
    numbers, beats = tables[:2]
    assert numbers[0] <= numbers[1] and beats[0] > beats[1]
    assert narrowest >= 120  # no cell is squeezed into a column of single words


def test_the_report_of_a_study_fits_a_phone(engine, tmp_path):
    table = study_table(60).assign(split=["test"] * 20 + ["train"] * 40)
    frequent = ["The clip holds less than one whole beat: there is no heart rate."] * 3
    table["warnings"] = [" | ".join(["No scale.", *frequent[number % 3 :]]) for number in range(60)]
    pictures = dict.fromkeys(table.name, clip_picture(make_function()))
    path = write_study_report(
        tmp_path / "study.html", table, ef_scores(table, 5),
        by_range=ef_scores_by_range(table, 5), pictures=pictures,
    )  # fmt: skip
    width, height, tables, narrowest = sizes(engine, path)
    assert width == PHONE["width"] and height < 7000
    assert [inside > outside for inside, outside in tables] == [True, True, False]
    assert narrowest >= 120
