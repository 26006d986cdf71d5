"""What a document of corrections may hold, and what is said of a damaged one."""

import copy
import json
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from echolib.corrections.document import check_document, outlined_frames, read_download
from echolib.corrections.outline import spline
from echolib.errors import DataError
from tests.corrections.made import document, frame, leaflet, outline, points

JUNK = st.sampled_from(
    [None, True, -1, 0, 1e308, float("nan"), float("inf"), 10**400, "", "12", "\ud800", [], [[]],
     {}, [[1, 2]] * 50, "x" * 10**4, b"bytes", [["a", "b"]] * 13, 2.5]
)  # fmt: skip


def places(value, way=()):
    """The way to every part of a document."""
    yield way
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*way, key))


def changed(way, value, made=None):
    """A document in which the part at the end of a way is replaced."""
    made = made or document(frames={2: frame(18.0, leaflets=2), 9: frame(13.0)})
    part = made
    for key in way[:-1]:
        part = part[key]
    part[way[-1]] = value
    return made


def test_a_whole_document_comes_back_with_rounded_coordinates():
    made = document(frames={9: frame(13.0, leaflets=2), 2: frame(18.0), 4: frame(None)})
    made["frames"]["2"]["ventricle"]["points"][3] = [40.12345, 60.0]
    checked = check_document(made, "page")
    assert list(checked["frames"]) == ["2", "4", "9"]
    assert checked["frames"]["2"]["ventricle"]["points"][3] == [40.12, 60.0]
    assert check_document(json.loads(json.dumps(checked)), "page") == checked
    made["frames"]["2"]["ventricle"]["points"][3] = [40.12, 60.0]
    assert checked == made


def test_numbers_without_a_point_are_numbers():
    made = document(seconds=3, fps=50, frames={2: frame(None)})
    assert check_document(made, "page")["seconds"] == 3.0
    made["frames"]["2"]["leaflets"] = [leaflet() | {"points": [[1, 2], [3, 4]], "width": 2}]
    assert check_document(made, "page")["frames"]["2"]["leaflets"][0]["points"] == [[1, 2], [3, 4]]


@given(st.integers(0, 10**6), JUNK)
def test_any_damage_gives_a_document_or_an_error_that_names_the_page(seed, junk):
    made = document(frames={2: frame(18.0, leaflets=2), 9: frame(13.0)})
    way = random.Random(seed).choice([way for way in places(made) if way])
    try:
        checked = check_document(changed(way, junk, made), "page")
    except DataError as error:
        assert str(error).startswith("page") and str(error).endswith(".") and len(str(error)) < 400
    else:
        json.dumps(checked, allow_nan=False)
        assert check_document(checked, "page") == checked


@given(st.integers(0, 10**6))
def test_each_key_is_needed_and_no_other_is_known(seed):
    made = document(frames={2: frame(18.0, leaflets=1)})
    records = [way for way in places(made) if way and isinstance(way[-1], str) and way[-1] != "2"]
    way = random.Random(seed).choice(records)
    part = made
    for key in way[:-1]:
        part = part[key]
    value = part.pop(way[-1])
    with pytest.raises(DataError, match="missing|format"):
        check_document(copy.deepcopy(made), "page")
    part[way[-1]], part["more"] = value, 1
    with pytest.raises(DataError, match="unknown 'more'"):
        check_document(made, "page")


FRAME = ("frames", "2")
DRAWN = (*FRAME, "ventricle")


@pytest.mark.parametrize(
    ("way", "value", "said"),
    [
        (("format",), 2, "page: written in format '2' by another version"),
        (("clip",), "", "clip is empty"),
        (("clip",), "a\nb", "expected a line"),
        (("height",), 0, "height: expected a number from 1 to 30000"),
        (("width",), 112.5, "width: expected a whole number"),
        (("fps",), 0, "fps is 0"),
        (("fps",), float("nan"), "fps: expected a number"),
        (("answer",), "other", "answer: expected one of"),
        (("ed",), 12, "ed: expected a number from 0 to 11"),
        (("seconds",), 10**400, "seconds: .* found a huge number"),
        (("frames", "12"), {}, "frame 12 is beyond the clip, which has 12 frames"),
        (("frames", "-1"), {}, "expected the number of a frame, found '-1'"),
        (("frames", "02"), {}, "expected the number of a frame"),
        (("frames", "9" * 5000), {}, "expected the number of a frame"),
        ((*FRAME, "leaflets"), [leaflet()] * 3, "frame 2: leaflets: expected a list of 2 at most"),
        ((*FRAME, "answer"), "other view", "answer: expected one of"),
        ((*DRAWN, "points"), points()[:4], "frame 2, outline .* expected 5 to 40 points"),
        ((*DRAWN, "points", 3), [1.0, float("nan")], "point 3 is not a pair of numbers"),
        ((*DRAWN, "points", 3), [1.0, "2"], "point 3 is not a pair of numbers"),
        ((*DRAWN, "points", 3), [130.0, 20.0], r"point 3 at \(130, 20\) lies outside the frame"),
        ((*DRAWN, "points", 3), [-0.6, 20.0], "lies outside the frame of 112 x 112 px"),
        ((*DRAWN, "points", 2), [100.0, 80.0], "frame 2, outline of the ventricle: it crosses its"),
        ((*DRAWN, "points"), [[20.0, 20.0 + index] for index in range(13)], "encloses no area"),
        ((*DRAWN, "apex"), 12, "apex: expected a number from 1 to 11"),
        ((*DRAWN, "made"), "guessed", "made: expected one of"),
        ((*DRAWN, "moved"), -1, "moved: expected a number from 0"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(way, value, said):
    with pytest.raises(DataError, match=said) as caught:
        check_document(changed(way, value), "page")
    assert way == ("format",) or way == ("clip",) or "clip 0X0001" in str(caught.value)


@pytest.mark.parametrize("document_", [None, [], "text", 3, {}, {"format": 1}])
def test_what_is_no_document_is_said(document_):
    with pytest.raises(DataError, match="^page: "):
        check_document(document_, "page")


def test_one_frame_cannot_be_both_phases():
    with pytest.raises(DataError, match="frame 3 is set as ED and as ES"):
        check_document(document(ed=3, es=3), "page")


def test_tracings_run_from_the_apex_to_the_hinges():
    made = document(frames={2: frame(18.0), 4: frame(15.0, "not readable"), 9: frame(None)})
    found = outlined_frames(check_document(made, "page"))
    drawn = np.array(points(18.0))
    assert list(found) == [2]
    assert np.allclose(found[2].axis, [drawn[6], (drawn[0] + drawn[-1]) / 2], atol=1e-3)
    assert np.allclose(found[2].chords[-1], drawn[[0, -1]], atol=1e-3)
    middle = found[2].chords[10, 0]
    assert np.hypot(*(spline(drawn, 50) - middle).T).min() < 0.2
    assert outlined_frames(check_document(made | {"answer": "other view"}, "page")) == {}


def test_the_hinges_may_be_drawn_from_either_side():
    turned = outline(18.0) | {"points": points(18.0)[::-1]}
    made = document(frames={2: frame(18.0), 9: frame(None) | {"ventricle": turned}})
    found = outlined_frames(check_document(made, "page"))
    assert np.allclose(found[2].chords, found[9].chords, atol=0.1)


class TestDownload:
    def test_one_document_or_several(self, tmp_path):
        path = tmp_path / "download.json"
        made = [document("a"), document("b")]
        path.write_text(json.dumps(made[0]))
        assert read_download(path) == made[:1]
        path.write_text(json.dumps({"format": 1, "documents": made}))
        assert read_download(path) == made

    @pytest.mark.parametrize(
        "text",
        ["", "[", '{"format": 1, "documents": 3}', '{"format": 2, "documents": []}', "[1]", "null",
         "[" * 10**5, '{"format": NaN}', json.dumps(document())[:-30]],
    )  # fmt: skip
    def test_a_damaged_file_is_named(self, tmp_path, text):
        path = tmp_path / "download.json"
        path.write_text(text)
        with pytest.raises(DataError, match=r"download\.json"):
            read_download(path)

    def test_a_file_that_is_not_there_is_named(self, tmp_path):
        with pytest.raises(DataError, match="no such file"):
            read_download(tmp_path / "download.json")
