"""The labelled drawing of the heart, tested through its axes and its curves."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from echolib.data.clips import example_clip
from echolib.figures import heart as drawing
from echolib.figures.base import styled

CHAMBERS = {"left\nventricle", "right\nventricle", "left\natrium", "right\natrium"}
PARTS = {
    "probe", "apex", "septum", "lateral\nwall", "mitral\nannulus", "anterior\nleaflet",
    "posterior\nleaflet", "tricuspid\nvalve",
}  # fmt: skip


@pytest.fixture(scope="module")
def figure():
    with styled():
        made = drawing.heart_figure()
        made.canvas.draw()
    yield made
    plt.close(made)


@pytest.fixture(scope="module")
def average():
    return drawing.average_heart()


def overlaps(axes: Axes, figure: Figure) -> list[tuple[str, str]]:
    """Pairs of texts of axes that lie over each other, and texts that leave the figure."""
    figure.canvas.draw()
    texts = [text for text in axes.texts if text.get_text()]
    # a text itself, without the line to what it names
    boxes = [Text.get_window_extent(text) for text in texts]
    found = [
        (texts[i].get_text(), texts[j].get_text())
        for i in range(len(texts))
        for j in range(i)
        if boxes[i].overlaps(boxes[j])
    ]
    page = figure.bbox
    found += [
        (text.get_text(), "edge")
        for text, box in zip(texts, boxes, strict=True)
        if not (page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1)
    ]
    return found


def names(axes: Axes) -> set[str]:
    return {text.get_text() for text in axes.texts}


def test_the_drawing_names_chambers_and_parts(figure):
    relaxed, _, contracted, _, _ = figure.axes
    assert names(relaxed) == CHAMBERS | PARTS
    assert names(contracted) == CHAMBERS


def test_no_labels_overlap_or_leave_the_figure(figure):
    assert [found for axes in figure.axes for found in overlaps(axes, figure)] == []


def test_labels_of_real_frames_lie_where_the_frame_looks_like_it():
    frames = example_clip().frames
    for labels in drawing.REAL.values():
        frame = frames[labels.number][drawing.CUT].astype(float)

        def grey(place, frame=frame):
            x, y = (round(value) for value in place)
            return frame[y - 2 : y + 3, x - 2 : x + 3].mean()

        blood = [grey(labels.names["left\nventricle"])]
        blood += [grey(at) for text, (_, at) in labels.parts.items() if text in CHAMBERS]
        tissue = [grey(labels.parts[text][1]) for text in ("septum", "lateral\nwall")]
        assert min(tissue) > 1.5 * max(blood)
        height, width = frame.shape
        for place, _ in labels.parts.values():
            assert 0 < place[0] < width and 0 < place[1] < height


def test_the_parts_of_the_heart_lie_as_in_the_view(average):
    heart, cycle = average
    curves = drawing.heart_curves(heart, cycle, 0.0)
    middle = {name: curve.mean(axis=0) for name, curve in curves.items()}
    assert middle["right_ventricle"][0] < middle["septum"][0] < middle["cavity"][0]
    assert middle["cavity"][0] < middle["lateral_wall"][0]
    assert middle["cavity"][1] < middle["anterior"][1] < middle["left_atrium"][1]
    assert middle["right_ventricle"][1] < middle["right_atrium"][1]
    septal, lateral = curves["cavity"][[0, -1]]
    for leaflet, hinge, other in (("anterior", septal, lateral), ("posterior", lateral, septal)):
        start = curves[leaflet][0]
        assert np.hypot(*(start - hinge)) < 0.3 * np.hypot(*(start - other))


def test_the_average_heart_is_a_normal_one_and_its_curve_has_its_extremes_at_ed_and_es(average):
    heart, cycle = average
    times = np.linspace(0, cycle.period, 50, endpoint=False)
    volumes = np.array([drawing.heart_volume(heart, cycle, time) for time in times])
    full = drawing.heart_volume(heart, cycle, 0.0)
    empty = drawing.heart_volume(heart, cycle, cycle.end_systole)
    assert full == pytest.approx(volumes.max()) and empty == pytest.approx(volumes.min(), rel=0.01)
    assert 55 < 100 * (full - empty) / full < 70
    assert 80 < full < 160  # ml


def test_ed_and_es_are_marked_where_they_lie_on_the_curve(figure, average):
    axes, (heart, cycle) = figure.axes[-1], average
    marks = [line.get_xydata()[0] for line in axes.lines if len(line.get_xdata()) == 1]
    moments = [0.0, cycle.end_systole, cycle.period, cycle.period + cycle.end_systole]
    assert [x for x, _ in marks] == pytest.approx(moments)
    volumes = [drawing.heart_volume(heart, cycle, x) for x, _ in marks]
    assert [y for _, y in marks] == pytest.approx(volumes)
