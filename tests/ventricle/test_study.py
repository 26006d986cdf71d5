"""Parts of a measured study: damaged ones, foreign ones and ones that lack a clip are made anew."""

import json
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from echolib.cautions import Caution
from echolib.data import Clip
from echolib.errors import DataError
from echolib.files import write_npz
from echolib.ventricle import study
from echolib.ventricle.study import measure_study, stored_result

NAMES = [f"clip{number}" for number in range(6)]


class Study:
    """A data set of six clips, of which nothing but the names is read."""

    folder, name, problems = "made", "made", []
    table = pd.DataFrame({"split": "test", "patient": NAMES}, index=pd.Index(NAMES, name="clip"))

    def fingerprint(self):
        return "made"

    def clip(self, name):
        return Clip(name, np.full((5, 9, 12), 90, np.uint8))


NETWORKS = SimpleNamespace(models=list, calibration=None)


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """A folder with a measured study, and the names of the clips in the order of measuring."""
    calls = []

    def measure(data, name, networks, parts):
        calls.append(name)
        arrays = [("masks", np.zeros((5, 9, 2), np.uint8)), ("turned", np.zeros(2, bool))]
        write_npz(parts / "masks" / f"{name}.npz", arrays)
        row = {"name": name, "ef_corrected": 50.0 + len(calls) / 3, "edv": float("nan")}
        return {"clip": row, "beats": [{"name": name, "beat": 1}], "frames": [], "problems": []}

    monkeypatch.setattr(study, "_measure", measure)
    measure_study(Study(), NETWORKS, tmp_path, progress=False)
    assert calls == NAMES
    calls.clear()
    return tmp_path, calls


def again(folder):
    return measure_study(Study(), NETWORKS, folder, progress=False)["clips"]


def test_finished_parts_are_not_measured_again(measured):
    folder, calls = measured
    first = pd.read_csv(folder / "clips.csv")
    pd.testing.assert_frame_equal(again(folder), first)
    assert calls == []


def without_a_clip(part):
    stored = json.loads(part.read_text())
    del stored["part"]["content"]["clip"]
    part.write_text(json.dumps(stored))


def with_a_foreign_clip(part):
    part.write_text(part.read_text().replace("clip2", "clip0"))


def test_of_two_runs_into_one_folder_one_waits_and_measures_nothing(measured, tmp_path):
    _, calls = measured
    folder = tmp_path / "both"
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(again, [folder, folder])
    assert sorted(calls) == NAMES
    pd.testing.assert_frame_equal(first, second)
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".lock")] == []


@pytest.mark.parametrize(("name", "found"), [("corrections", None), ("echonet-dynamic", 75.0)])
def test_no_ef_is_made_up_where_a_folder_of_corrections_has_none(name, found, monkeypatch):
    """There, ED or ES is a frame that was set by hand and that nobody outlined."""
    monkeypatch.setattr(study, "_labelled_ef", lambda labelled: 75.0)
    monkeypatch.setattr(study, "_measure_labelled_pair", lambda *arguments: arguments[3])
    data = SimpleNamespace(name=name, table=Study.table.assign(EF=np.nan))
    truth = study._measure_read(data, "clip0", [], Caution("no-clip", ""), NETWORKS, None)
    assert truth["ef_true"] == found or (found is None and np.isnan(truth["ef_true"]))


DAMAGES = {
    "cut": lambda part: part.write_bytes(part.read_bytes()[:-20]),
    "retyped": lambda part: part.write_text(part.read_text().replace("51.0", '"51"')),
    "a list": lambda part: part.write_text("[]"),
    "without a clip": without_a_clip,
    "with a foreign clip": with_a_foreign_clip,
    "of another part": lambda part: part.write_bytes((part.parent / "000000.json").read_bytes()),
    "without masks": lambda part: (part.parent / "masks" / "clip2.npz").unlink(),
    "other masks": lambda part: (part.parent / "masks" / "clip2.npz").write_bytes(b"PK"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_part_is_measured_again(measured, damage):
    folder, calls = measured
    DAMAGES[damage](folder / "parts" / "000002.json")
    with pytest.warns(UserWarning, match=r"000002\.json cannot be used .*made anew"):
        clips = again(folder)
    assert calls == ["clip2"] and list(clips.name) == NAMES
    calls.clear()
    assert list(again(folder).name) == NAMES and calls == []


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04", np.zeros((5, 9, 3), np.uint8), np.zeros((5, 9, 2))]
)
def test_damaged_masks_are_named(measured, content):
    folder, _ = measured
    path = folder / "parts" / "masks" / "clip1.npz"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.savez(path, masks=content)
    with pytest.raises(DataError, match=r"masks of clip1 cannot be read.*clip1\.npz.*measure"):
        stored_result(Study(), pd.Series({"name": "clip1"}), folder)
