"""Frame rate and spacing of DICOM clips from their tags."""

import warnings

import pytest
from pydicom.dataset import Dataset

from echolib.data.clips import read_clip

from ..files import make_dataset, make_frames, save

FRAME_TIME, FRAME_TIMES = 0x00181063, 0x00181065


def make_region(delta_x=0.05, delta_y=0.05, units=3, data_type=1, last=(63, 47)) -> Dataset:
    region = Dataset()
    region.RegionSpatialFormat, region.RegionDataType = 1, data_type
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = units
    region.PhysicalDeltaX, region.PhysicalDeltaY = delta_x, delta_y
    region.RegionLocationMinX0 = region.RegionLocationMinY0 = 0
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = last
    return region


def read_with(tags: dict, folder):
    return read_clip(save(make_dataset(make_frames(), "MONOCHROME2", **tags), folder / "clip.dcm"))


@pytest.mark.parametrize(
    ("tags", "fps"),
    [
        ({"FrameTime": "20"}, 50),
        ({"FrameTime": "0", "CineRate": "40"}, 40),
        ({"FrameTimeVector": ["0", "40"]}, 25),
        ({"FrameTime": "20", "RecommendedDisplayFrameRate": "30"}, 50),
        ({"RecommendedDisplayFrameRate": "30"}, 30),
        ({"FrameTime": "33", "FrameTimeVector": ["0", "20", "20"]}, 30.303),
        (
            {
                "FrameTime": "33",
                "FrameTimeVector": ["0", "20", "20"],
                "FrameIncrementPointer": FRAME_TIMES,
            },
            50,
        ),
        (
            {
                "FrameTime": "40",
                "FrameTimeVector": ["0", "20", "20"],
                "FrameIncrementPointer": FRAME_TIME,
            },
            25,
        ),
        ({"FrameTime": "40", "FrameIncrementPointer": FRAME_TIMES}, 25),  # to a tag that is absent
        ({"FrameTime": "-20"}, None),
        ({}, None),
    ],
)
def test_frame_rate_from_tags(tmp_path, tags, fps):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_with(tags, tmp_path).fps == fps


@pytest.mark.parametrize(
    ("times", "fps"),
    [(["0", "20", "60", "20", "60", "20"], 27.778), (["0", "25", "25", "25", "125"], 20)],
)
def test_the_rate_of_uneven_times_is_count_over_total_time(tmp_path, times, fps):
    with pytest.warns(UserWarning, match="The mean rate is used"):
        assert read_with({"FrameTimeVector": times}, tmp_path).fps == fps


def test_a_vector_that_holds_the_times_themselves_is_not_added_up(tmp_path):
    assert read_with({"FrameTimeVector": ["0", "33", "66", "99", "132"]}, tmp_path).fps == 30.303
    rising = {"FrameTimeVector": ["30", "31", "32", "33", "34"]}  # steps that grow
    assert read_with(rising, tmp_path).fps == 30.769


@pytest.mark.parametrize(
    "tags", [{"FrameTime": "0.033"}, {"FrameTime": "33000"}, {"CineRate": "30000"}]
)
def test_a_rate_that_no_scan_has_is_unknown(tmp_path, tags):
    with pytest.warns(UserWarning, match=r"cannot be that of a heart scan \(1 to 500\)"):
        assert read_with(tags, tmp_path).fps is None
    with pytest.warns(UserWarning, match="as no heart scan has. 30, which .* are used") as said:
        assert read_with(tags | {"RecommendedDisplayFrameRate": 30}, tmp_path).fps == 30
    assert not [warning for warning in said if "left unknown" in str(warning.message)]


def test_nothing_is_said_of_uneven_times_that_are_not_used(tmp_path):
    tags = {"FrameTime": "40", "FrameTimeVector": ["0", "20", "60", "20", "60", "20"]}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_with(tags, tmp_path).fps == 25


@pytest.mark.parametrize(
    ("tags", "spacing"),
    [
        ({"SequenceOfUltrasoundRegions": [make_region(0.05, -0.0501)]}, 0.5005),
        ({"SequenceOfUltrasoundRegions": [make_region(0.9, data_type=3), make_region()]}, 0.5),
        ({"SequenceOfUltrasoundRegions": [make_region(units=4)], "PixelSpacing": [0.3, 0.3]}, 0.3),
        ({"ImagerPixelSpacing": [0.4, 0.4]}, 0.4),
        ({}, None),
    ],
)
def test_spacing_from_tags(tmp_path, tags, spacing):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_with(tags, tmp_path).spacing == (spacing and pytest.approx(spacing))


@pytest.mark.parametrize(
    ("region", "reason"),
    [
        (make_region(0.05, 0.06), "differ by more than 1 %"),
        (make_region(last=(595, 47)), "resized"),
        (make_region(last=(63, 470)), "resized"),
        (make_region(50.0, 50.0), "500 mm per px, as no heart scan has"),
    ],
)
def test_spacing_that_cannot_be_trusted_is_left_out(tmp_path, region, reason):
    tags = {"SequenceOfUltrasoundRegions": [region], "PixelSpacing": [0.3, 0.3]}
    with pytest.warns(UserWarning, match=reason):
        assert read_with(tags, tmp_path).spacing is None


def test_the_spacing_of_a_frame_that_was_halved_is_proposed(tmp_path):
    def advice(region: Dataset) -> str:
        with pytest.warns(UserWarning, match="The spacing is left unknown") as said:
            assert read_with({"SequenceOfUltrasoundRegions": [region]}, tmp_path).spacing is None
        (warning,) = said
        return str(warning.message).partition("left unknown.")[2].strip()

    halved = "If the frame was made 2 times smaller, --spacing 1 is right."
    assert advice(make_region(last=(120, 90))) == halved
    assert advice(make_region(last=(127, 95))) == halved
    assert advice(make_region(last=(128, 96))) == halved
    assert advice(make_region(last=(120, 40))) == ""  # not by one factor
    assert advice(make_region(0.05, 0.06, last=(127, 95))) == ""
    assert advice(make_region(0.0, 0.0, last=(127, 95))) == ""
