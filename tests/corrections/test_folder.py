"""A folder of corrections: what is kept, by whom, and what is said where it cannot be kept."""

import pytest

from echolib.corrections import Folder
from tests.corrections.made import document
from tests.makers import write_avi


@pytest.fixture
def clip(tmp_path):
    """The file of the clip 0X0001."""
    path = tmp_path / "source" / "0X0001.avi"
    write_avi(path)
    return path


def test_what_was_kept_is_there_when_the_folder_is_opened_again(tmp_path, clip):
    Folder(tmp_path / "corrected", "anna").keep(document(), clip)
    again = Folder(tmp_path / "corrected", "anna")
    assert again.document("0X0001") == document()
    assert again.document("0X0002") is None and again.document("0X0001", "ben") is None
    assert again.clips() == ["0X0001"] and again.annotators() == ["anna"]
