"""The Python side of the editor: what the page is told, what it sends, and where that is kept."""

import hashlib
import json

import numpy as np
import pytest

from echolib.browser import FrameBrowser, Layer, View, browse
from echolib.browser.editing import Editing
from echolib.browser.outliners import model_versions
from echolib.corrections import Folder, outline_points, read_download
from echolib.data import Clip
from echolib.figures.overlay import GREEN, PINK
from tests.browser.truth import page_data
from tests.makers import write_avi

SHAPE = (6, 48, 56)


def make_masks() -> np.ndarray:
    y, x = np.mgrid[: SHAPE[1], : SHAPE[2]]
    masks = np.stack([((x - 27) / (9 + t)) ** 2 + ((y - 22) / (14 + t)) ** 2 < 1 for t in range(6)])
    masks[:, 32:] = False
    masks[3] = False  # nothing was outlined there
    return masks


def make_frames(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, SHAPE).astype(np.uint8)


def open_browser(folder=None, **arguments) -> FrameBrowser:
    clip = Clip("one", make_frames(), 50, 0.5)
    return browse(clip, {"lv": make_masks()}, edit=True, corrections=folder, **arguments)


def make_document(browser: FrameBrowser, frame: int = 0, move: float = 1.0) -> dict:
    """What the page sends after one point of a frame was moved to the left."""
    start = browser._edit
    points = [list(point) for point in start["proposals"][frame]]
    points[3][0] = round(points[3][0] - move, 2)
    ventricle = {
        "points": points, "apex": start["apex"], "made": "drawn", "moved": 1,
        "proposed": start["proposals"][frame],
    }  # fmt: skip
    record = {"answer": "", "seconds": 2.5, "ventricle": ventricle, "leaflets": []}
    return {
        "format": 1, "clip": browser.clip, "height": SHAPE[1], "width": SHAPE[2],
        "frame_count": SHAPE[0], "fps": 50.0, "annotator": start["annotator"], "answer": "",
        "ed": None, "es": None, "network": start["network"], "version": start["version"],
        "seconds": 3.0, "frames": {str(frame): record},
    }  # fmt: skip


def send(browser: FrameBrowser, document: dict, serial: int = 1) -> dict:
    """Let the page send a document; returns the answer."""
    answers = []
    browser.send = answers.append
    browser._keep_correction(
        browser, {"kind": "correction", "serial": serial, "document": document}, []
    )
    (answer,) = answers
    return answer


def test_the_page_is_told_the_points_of_each_outlined_frame():
    browser = open_browser()
    start = json.loads(json.dumps(browser._edit, allow_nan=False))
    assert start["serial"] == browser._content["serial"] and start["reason"] == ""
    assert [points is None for points in start["proposals"]] == [n == 3 for n in range(6)]
    expected, apex = outline_points(make_masks()[4])
    np.testing.assert_allclose(start["proposals"][4], expected, atol=1e-4)
    assert (start["apex"], start["network"], start["rgb"]) == (apex, "lv", list(GREEN))
    assert (start["unit"], start["square"]) == ("cm²", pytest.approx(0.05**2))


def test_points_are_sought_only_when_the_editor_is_switched_on():
    browser = browse(Clip("one", make_frames()), {"lv": make_masks()})
    assert browser._edit == {} and not browser.edit
    browser.edit = True
    assert len(browser._edit["proposals"]) == 6


def test_without_a_network_there_are_no_points():
    start = browse(make_frames(), edit=True)._edit
    assert start["proposals"] is None and start["network"] is None and start["version"] is None


def test_an_edited_outline_has_a_colour_of_its_own():
    layers = (Layer("truth", make_masks(), role="truth"), Layer("lv", make_masks()))
    rgb = Editing().content(View("one", make_frames(), layers=layers))["rgb"]
    assert tuple(rgb) not in (GREEN, PINK)


def test_single_frames_of_a_clip_are_not_corrected():
    view = View("one", make_frames(), numbers=np.arange(6) * 9)
    assert "Open the clip itself" in Editing().content(view)["reason"]


def test_a_correction_is_kept_in_the_folder_and_opened_again(tmp_path):
    browser = open_browser(tmp_path / "kept", annotator="anna")
    document = make_document(browser, 2)
    assert send(browser, document, 17) == {"kind": "kept", "serial": 17}
    assert Folder(tmp_path / "kept", "anna").document("one") == document
    assert open_browser(tmp_path / "kept", annotator="anna")._edit["document"] == document
    assert open_browser(tmp_path / "kept", annotator="bert")._edit["document"] is None


def test_another_clip_of_the_same_name_does_not_get_the_outlines(tmp_path):
    browser = open_browser(tmp_path / "kept", annotator="anna")
    send(browser, make_document(browser, 2))
    other = Clip("one", make_frames(seed=1), 50, 0.5)
    start = browse(
        other, {"lv": make_masks()}, edit=True, corrections=tmp_path / "kept", annotator="anna"
    )._edit
    assert start["document"] is None and "another clip of this name" in start["reason"]


def test_without_a_folder_corrections_are_in_the_memory():
    browser = open_browser()
    document = make_document(browser)
    assert send(browser, document)["kind"] == "kept"
    assert browser.editing.documents == {"one": document}
    browser.edit = False
    browser.edit = True
    assert browser._edit["document"] == document


def test_the_clip_comes_from_its_file_unless_text_in_it_was_blanked(tmp_path, monkeypatch):
    path = tmp_path / "one.avi"
    write_avi(path, 6, (48, 56))
    given = []
    monkeypatch.setattr(Folder, "keep", lambda self, document, **origin: given.append(origin))
    for blank in (False, True):
        browser = browse(path, edit=True, corrections=tmp_path / "kept", blank_text=blank)
        browser.editing.content(browser.view)
        shape = browser.view.frames.shape
        document = {
            **make_document(open_browser()), "frame_count": shape[0], "fps": None, "frames": {},
            "height": shape[1], "width": shape[2],
        }  # fmt: skip
        assert send(browser, document)["kind"] == "kept"
    assert given[0]["source"] == path
    assert isinstance(given[1]["source"], Clip)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"clip": "two"}, "expected one of 1 names"),
        ({"frame_count": 7}, "of another size"),
        ({"format": 2}, "format"),
        ({"seconds": "long"}, "seconds"),
    ],
)
def test_what_does_not_fit_is_not_kept_and_the_page_is_told_why(tmp_path, change, reason):
    browser = open_browser(tmp_path)
    answer = send(browser, make_document(browser) | change, 5)
    assert (answer["kind"], answer["serial"]) == ("not kept", 5) and reason in answer["reason"]
    assert Folder(tmp_path).document("one") is None


def test_a_crossing_outline_is_not_kept(tmp_path):
    browser = open_browser(tmp_path)
    assert "cross" in send(browser, make_document(browser, move=-35))["reason"]


def test_a_folder_that_cannot_be_written_is_said(tmp_path, monkeypatch):
    browser = open_browser(tmp_path)

    def full(*arguments, **named):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Folder, "keep", full)
    assert "No space left on device" in send(browser, make_document(browser))["reason"]


def test_the_correction_of_a_clip_that_is_no_longer_open_is_kept(tmp_path):
    clips = [Clip(name, make_frames(n), 50) for n, name in enumerate(("one", "two"))]
    browser = browse(
        clips, models={"lv": lambda frames: make_masks()}, edit=True, corrections=tmp_path
    )
    document = make_document(browser)
    browser.clip = "two"
    assert send(browser, document)["kind"] == "kept"
    assert Folder(tmp_path).document("one") == document


def test_an_error_in_the_folder_is_shown_in_place_of_the_picture(tmp_path):
    (tmp_path / "FileList.csv").write_text("FileName\n")
    assert "expected a folder of corrections" in open_browser(tmp_path).error


def test_an_exported_page_has_the_points_and_what_was_corrected_before(tmp_path):
    browser = open_browser(tmp_path / "kept", annotator="anna")
    document = make_document(browser)
    send(browser, document)
    (content,) = page_data(browser.to_html(tmp_path / "page.html"))["contents"]
    assert content["edit"]["exported"] and content["edit"]["folder"] == ""
    assert content["edit"]["document"] == document and len(content["edit"]["proposals"]) == 6
    browser.edit = False
    (content,) = page_data(browser.to_html(tmp_path / "page.html"))["contents"]
    assert "edit" not in content


def test_what_a_page_saves_is_read_by_the_package(tmp_path):
    document = make_document(open_browser())
    (tmp_path / "one corrections.json").write_text(json.dumps(document))
    assert read_download(tmp_path / "one corrections.json") == [document]


def test_the_version_of_a_model_is_the_checksum_of_its_weights(tmp_path):
    path = tmp_path / "mine.safetensors"
    path.write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()[:12]
    assert model_versions(str(path)) == {"mine": digest}
    named = model_versions({"lv": "lv", "function": lambda frames: frames})
    assert len(named["lv"]) == 12 and named["function"] != named["lv"]


# --- Queues ---------------------------------------------------------------------------------------


def three_clips() -> list[Clip]:
    return [Clip(name, make_frames(seed), 50, 0.5) for seed, name in enumerate("abc")]


def test_a_queue_orders_the_clips_and_opens_each_at_its_most_doubtful_frame(tmp_path):
    queue = tmp_path / "queue.csv"
    queue.write_text("clip,frame\nc,4\nc,1\nabsent,0\na,99\na,2\n")
    browser = browse(three_clips(), queue=queue)
    assert list(browser._names) == ["c", "a"]
    assert browser.clip == "c" and browser.frame == 4
    assert browser._content["marks"] == [[1, "to correct"], [4, "to correct"]]
    browser.clip = "a"
    assert browser.frame == 2


def test_what_of_a_queue_is_not_shown_is_said(tmp_path):
    queue = tmp_path / "queue.csv"
    queue.write_text("clip,frame\n0012,0\na,1\nb,1,extra\n12,0\nc,2\n")
    browser = browse(three_clips(), queue=queue)
    assert list(browser._names) == ["a", "c"]
    said = [str(problem) for problem in browser.problems]
    assert said == [
        "queue.csv, row 4: the row has 3 fields, the header 2 (left out)",
        "queue.csv: the source has no clip '0012' (left out)",
        "queue.csv: the source has no clip '12' (left out)",
    ]


def test_a_queue_of_other_clips_is_refused(tmp_path):
    queue = tmp_path / "queue.csv"
    queue.write_text("clip,frame\nd,4\n")
    assert "such as 'a', found 'd'" in browse(three_clips(), queue=queue).error
