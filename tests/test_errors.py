"""Parts of messages: names that may be meant, and places where nothing is."""

from pathlib import Path

from echolib.errors import did_you_mean, no_folder, no_such


def test_a_name_that_may_be_meant_is_asked_for():
    names = ["lv", "lv_cycle", "lv_landmarks"]
    assert did_you_mean("lv_cylce", names) == " Did you mean 'lv_cycle'?"
    assert did_you_mean("unknown", names) == did_you_mean("x", []) == ""


def test_a_relative_path_is_told_absolute_too(tmp_path, monkeypatch):
    """Notebooks run in their own folder, not in that of the checkout."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clip_1.avi").touch()
    message = no_such("clip1.avi")
    assert f"clip1.avi: no such file ({tmp_path / 'clip1.avi'})." in message
    assert "Did you mean 'clip_1.avi'?" in message
    assert no_such(tmp_path / "a" / "b", "folder") == f"{tmp_path / 'a' / 'b'}: no such folder."


def test_a_file_in_place_of_a_folder_is_not_called_missing(tmp_path):
    Path(tmp_path, "a").touch()
    assert no_folder(tmp_path / "a").endswith("expected a folder, found a file.")
    assert "no such folder" in no_folder(tmp_path / "b")
