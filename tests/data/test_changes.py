"""What a user says of clips in place of their files."""

import warnings

import numpy as np
import pydicom.examples
import pytest

from echolib.data import Changes, Clip, DataError, LooseClips
from echolib.data.rates import known_rate
from tests.makers import fan, write_avi


def test_what_is_given_replaces_what_the_file_says_and_the_rest_stays():
    clip = Clip("c", np.zeros((2, 8, 8), np.uint8), 30.0, 0.5)
    assert (changed := Changes(fps=50).of_clip(clip)).fps == 50 and changed.spacing == 0.5
    assert (changed := Changes(spacing=1.5).of_clip(clip)).spacing == 1.5 and changed.fps == 30
    image, inside = fan()
    image[2:10, 2:25] = 255
    blanked = Changes(blank_text=True).of_clip(Clip("c", image[None], 30.0))
    assert not blanked.frames[0, ~inside].any() and blanked.fps == 30


def test_no_warning_of_what_is_replaced():
    path = pydicom.examples.get_path("ybr_color")  # states a spacing of another size
    with pytest.warns(UserWarning, match="spacing is left unknown"):
        assert Changes(fps=50).read(path).spacing is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Changes(spacing=1.02).read(path).spacing == 1.02

    with pytest.warns(UserWarning, match="The rate is left unknown"), Changes(spacing=1).quiet():
        assert known_rate(9000, "c") is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with Changes(fps=50).quiet():
            assert known_rate(9000, "c") is None


@pytest.mark.parametrize("wrong", [{"fps": 0}, {"fps": -1}, {"fps": 900}, {"fps": float("nan")},
                                   {"spacing": 0}, {"spacing": 30}])  # fmt: skip
def test_what_no_heart_scan_has_is_refused(wrong):
    (name,) = wrong
    with pytest.raises(DataError, match=f"{name}: expected .* as a heart scan has"):
        Changes(**wrong)


def test_all_clips_of_a_data_set_are_changed_and_its_fingerprint_too(tmp_path):
    write_avi(tmp_path / "a.avi", 3, (32, 48))
    data = LooseClips(tmp_path)
    assert Changes().of_data(data) is data
    changed = Changes(fps=25, spacing=0.7).of_data(data)
    clip = changed.clip("a")
    assert (clip.fps, clip.spacing) == (25, 0.7) and data.clip("a").fps == 50
    assert (changed.name, changed.folder) == (data.name, data.folder)
    assert changed.table is data.table and changed.labelled("a") == ([], [])
    prints = {
        data.fingerprint(),
        changed.fingerprint(),
        Changes(fps=24).of_data(data).fingerprint(),
    }
    assert len(prints) == 3
