"""Clips read from generated files: every container, and every kind of broken file."""

import shutil
import warnings

import cv2
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    MPEG4HP41,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    RLELossless,
    UltrasoundMultiFrameImageStorage,
    generate_uid,
)

from echolib.data.clips import Clip, example_clip, read_clip
from echolib.data.video import decode_video
from echolib.errors import DataError

FRAMES, HEIGHT, WIDTH = 7, 48, 64
UNDECODABLE = "1.2.840.10008.1.2.4.94"  # JPIP Referenced: the file does not hold the pixels


def make_frames(seed: int = 0) -> np.ndarray:
    """A smooth grey picture that brightens from frame to frame, so that order can be checked."""
    rng = np.random.default_rng(seed)
    picture = cv2.GaussianBlur(rng.uniform(0, 120, (HEIGHT, WIDTH)), (0, 0), 6)
    steps = 15.0 * np.arange(FRAMES)[:, None, None]
    return np.clip(picture + steps + 10, 0, 255).astype(np.uint8)


def write_opencv(path, frames, fourcc, fps=25.0):
    size = (frames.shape[2], frames.shape[1])
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*fourcc), fps, size)
    assert writer.isOpened()
    for frame in frames:
        writer.write(frame if frame.ndim == 3 else cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR))
    writer.release()
    return path


def make_dataset(pixels: np.ndarray, photometric: str, bits: int = 8, **tags) -> Dataset:
    """An uncompressed ultrasound data set; pixels (T, H, W) or (T, H, W, 3)."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = UltrasoundMultiFrameImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["echolib"])
    dataset.SOPClassUID = UltrasoundMultiFrameImageStorage
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID
    dataset.Modality = "US"
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = pixels.shape[:3]
    dataset.SamplesPerPixel = 3 if pixels.ndim == 4 else 1
    if pixels.ndim == 4:
        dataset.PlanarConfiguration = 0
    dataset.PhotometricInterpretation = photometric
    dataset.BitsAllocated = 8 * pixels.itemsize
    dataset.BitsStored, dataset.HighBit = bits, bits - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.PixelData = pixels.tobytes()
    for name, value in tags.items():
        setattr(dataset, name, value)
    return dataset


def save(dataset: Dataset, path):
    dataset.save_as(path, enforce_file_format=True)
    return path


def make_region(delta_x=0.05, delta_y=0.05, units=3, data_type=1, last=(63, 47)) -> Dataset:
    region = Dataset()
    region.RegionSpatialFormat, region.RegionDataType = 1, data_type
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = units
    region.PhysicalDeltaX, region.PhysicalDeltaY = delta_x, delta_y
    region.RegionLocationMinX0 = region.RegionLocationMinY0 = 0
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = last
    return region


# Clip


@pytest.mark.parametrize(
    "fields",
    [
        {"frames": np.zeros((2, 3, 4), np.float32)},
        {"frames": np.zeros((3, 4), np.uint8)},
        {"frames": [[[0]]]},
        {"frames": np.zeros((0, 3, 4), np.uint8)},
        {"frames": np.zeros((2, 3, 4), np.uint8), "fps": 0.0},
        {"frames": np.zeros((2, 3, 4), np.uint8), "spacing": float("nan")},
    ],
)
def test_clip_refuses_wrong_fields(fields):
    with pytest.raises(DataError, match="'bad'.*expected.*found"):
        Clip("bad", **fields)


# Video containers


@pytest.mark.parametrize(
    ("suffix", "fourcc"), [("avi", "MJPG"), ("mp4", "mp4v"), ("mov", "mp4v"), ("webm", "VP80")]
)
def test_videos_are_read_whole_and_in_order(tmp_path, suffix, fourcc):
    frames = make_frames()
    clip = read_clip(write_opencv(tmp_path / f"some clip.{suffix}", frames, fourcc))
    assert clip.name == "some clip"
    assert clip.frames.shape == frames.shape and clip.frames.dtype == np.uint8
    assert clip.fps == pytest.approx(25, abs=0.1) and clip.spacing is None
    assert np.abs(clip.frames.astype(int) - frames).mean() < 4


def test_the_content_decides_the_kind_not_the_suffix(tmp_path):
    avi = write_opencv(tmp_path / "clip.avi", make_frames(), "MJPG")
    renamed = shutil.copy(avi, tmp_path / "clip.dcm")
    np.testing.assert_array_equal(read_clip(renamed).frames, read_clip(avi).frames)


def test_a_number_in_the_name_does_not_make_a_series(tmp_path):
    avi = write_opencv(tmp_path / "clip_%02d.avi", make_frames(), "MJPG")
    assert len(read_clip(avi).frames) == FRAMES


def test_decode_video_stops_after_the_given_number_of_frames(tmp_path):
    avi = write_opencv(tmp_path / "clip.avi", make_frames(), "MJPG")
    whole = decode_video(avi)
    assert len(whole) == FRAMES
    np.testing.assert_array_equal(decode_video(avi, stop=3), whole[:3])
    np.testing.assert_array_equal(decode_video(avi, stop=99), whole)


def test_gif_is_read_with_its_frame_rate(tmp_path):
    frames = make_frames()
    pages = [Image.fromarray(frame) for frame in frames]
    path = tmp_path / "clip.gif"
    pages[0].save(path, save_all=True, append_images=pages[1:], duration=40)
    clip = read_clip(path)
    assert clip.fps == 25
    np.testing.assert_allclose(clip.frames.astype(int), frames, atol=2)


# Colour


def with_trace(frames: np.ndarray) -> np.ndarray:
    """RGB frames with a green trace in rows 40 to 43, like a burned-in ECG."""
    rgb = np.repeat(frames[..., None], 3, axis=-1)
    rgb[:, 40:44] = (40, 230, 60)
    return rgb


def test_burned_in_colour_becomes_black_in_dicom(tmp_path):
    frames = make_frames()
    path = save(make_dataset(with_trace(frames), "RGB"), tmp_path / "clip.dcm")
    read = read_clip(path).frames
    assert (read[:, 39:45] == 0).all()  # the trace and its rim of 1 px
    np.testing.assert_array_equal(read[:, :39], frames[:, :39])


def test_burned_in_colour_becomes_black_in_video(tmp_path):
    rgb = with_trace(make_frames())
    read = read_clip(write_opencv(tmp_path / "clip.avi", rgb[..., ::-1], "MJPG")).frames
    assert (read[:, 41:43] == 0).all()
    assert read[:, :36].min() > 0


def test_a_tinted_display_keeps_its_brightness(tmp_path):
    frames = make_frames() // 2 + 60
    sepia = np.stack([frames, frames * 0.8, frames * 0.5], axis=-1).astype(np.uint8)
    path = save(make_dataset(sepia, "RGB"), tmp_path / "clip.dcm")
    with pytest.warns(UserWarning, match="tinted"):
        read = read_clip(path).frames
    expected = sepia @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(read, expected, atol=1)


# DICOM pixels


def test_monochrome_and_its_inversion(tmp_path):
    frames = make_frames()
    bright = read_clip(save(make_dataset(frames, "MONOCHROME2"), tmp_path / "two.dcm"))
    dark = read_clip(save(make_dataset(frames, "MONOCHROME1"), tmp_path / "one.dcm"))
    np.testing.assert_array_equal(bright.frames, frames)
    np.testing.assert_array_equal(dark.frames, 255 - frames)


def test_a_single_frame_is_a_clip_of_one(tmp_path):
    dataset = make_dataset(make_frames()[:1], "MONOCHROME2")
    del dataset.NumberOfFrames
    clip = read_clip(save(dataset, tmp_path / "still.dcm"))
    assert clip.frames.shape == (1, HEIGHT, WIDTH) and clip.fps is None


def test_sixteen_bits_are_scaled_by_bits_stored(tmp_path):
    twelve = np.linspace(0, 4095, 2 * 48 * 64).reshape(2, 48, 64).astype(np.uint16)
    read = read_clip(save(make_dataset(twelve, "MONOCHROME2", bits=12), tmp_path / "c.dcm")).frames
    np.testing.assert_allclose(read, twelve * (255 / 4095), atol=0.51)


def test_sixteen_signed_bits_follow_the_window(tmp_path):
    values = np.array([[[-500, -100, 0, 25, 100, 500]]], np.int16)
    tags = {"WindowCenter": 0.5, "WindowWidth": 201, "RescaleSlope": 2, "RescaleIntercept": 0}
    dataset = make_dataset(values, "MONOCHROME2", bits=16, **tags)
    read = read_clip(save(dataset, tmp_path / "clip.dcm")).frames
    np.testing.assert_array_equal(read, [[[0, 0, 128, 191, 255, 255]]])


def test_palette_colour(tmp_path):
    ramp = np.arange(256, dtype=np.uint16)
    tags = {}
    for channel in ("Red", "Green", "Blue"):
        tags[f"{channel}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        tags[f"{channel}PaletteColorLookupTableData"] = ((255 - ramp) << 8).tobytes()
    frames = make_frames()
    dataset = make_dataset(frames, "PALETTE COLOR", **tags)
    read = read_clip(save(dataset, tmp_path / "clip.dcm")).frames
    np.testing.assert_array_equal(read, 255 - frames)


def test_uncompressed_ybr_is_converted(tmp_path):
    frames = make_frames()
    ybr = np.stack([frames, np.full_like(frames, 128), np.full_like(frames, 128)], axis=-1)
    ybr[:, 40:44, :, 2] = 220  # strongly red
    read = read_clip(save(make_dataset(ybr, "YBR_FULL"), tmp_path / "clip.dcm")).frames
    assert (read[:, 40:44] == 0).all()
    np.testing.assert_allclose(read[:, :39].astype(int), frames[:, :39], atol=1)


def test_rle(tmp_path):
    dataset = make_dataset(with_trace(make_frames()), "RGB")
    plain = read_clip(save(dataset, tmp_path / "plain.dcm"))
    dataset.compress(RLELossless, generate_instance_uid=False)
    packed = read_clip(save(dataset, tmp_path / "rle.dcm"))
    np.testing.assert_array_equal(packed.frames, plain.frames)


def encapsulated(dataset: Dataset, streams: list[bytes], syntax) -> Dataset:
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate(streams)
    dataset["PixelData"].VR = "OB"
    return dataset


def test_jpeg(tmp_path):
    frames = make_frames()
    streams = []
    for frame in frames:
        colour = np.repeat(frame[..., None], 3, axis=-1)
        streams.append(cv2.imencode(".jpg", colour, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes())
    dataset = make_dataset(with_trace(frames), "YBR_FULL_422")
    path = save(encapsulated(dataset, streams, JPEGBaseline8Bit), tmp_path / "clip.dcm")
    np.testing.assert_allclose(read_clip(path).frames.astype(int), frames, atol=6)


def test_mpeg_inside_dicom(tmp_path):
    frames = make_frames()
    stream = write_opencv(tmp_path / "stream.mp4", frames, "mp4v").read_bytes()
    stream += b"\0" * (len(stream) % 2)
    dataset = encapsulated(make_dataset(with_trace(frames), "YBR_PARTIAL_420"), [stream], MPEG4HP41)
    read = read_clip(save(dataset, tmp_path / "clip.dcm")).frames
    assert read.shape == frames.shape and np.abs(read.astype(int) - frames).mean() < 4


def test_dicom_without_its_preamble(tmp_path):
    frames = make_frames()
    dataset = make_dataset(frames, "MONOCHROME2")
    del dataset.file_meta
    pydicom.dcmwrite(
        tmp_path / "bare.dcm", dataset, implicit_vr=True, little_endian=True, force_encoding=True
    )
    np.testing.assert_array_equal(read_clip(tmp_path / "bare.dcm").frames, frames)


# DICOM tags


@pytest.mark.parametrize(
    ("tags", "fps"),
    [
        ({"FrameTime": "20"}, 50),
        ({"FrameTime": "0", "CineRate": "40"}, 40),
        ({"FrameTimeVector": ["0", "25", "25", "25", "25", "25", "200"]}, 40),
        ({"FrameTimeVector": ["0", "40"]}, 25),
        ({"FrameTime": "20", "RecommendedDisplayFrameRate": "30"}, 50),
        ({"RecommendedDisplayFrameRate": "30"}, 30),
        ({}, None),
    ],
)
def test_frame_rate_from_tags(tmp_path, tags, fps):
    path = save(make_dataset(make_frames(), "MONOCHROME2", **tags), tmp_path / "clip.dcm")
    assert read_clip(path).fps == fps


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
    path = save(make_dataset(make_frames(), "MONOCHROME2", **tags), tmp_path / "clip.dcm")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_clip(path).spacing == (spacing and pytest.approx(spacing))


@pytest.mark.parametrize(
    ("region", "reason"),
    [
        (make_region(0.05, 0.06), "differ by more than 1 %"),
        (make_region(last=(595, 47)), "resized"),
        (make_region(last=(63, 470)), "resized"),
    ],
)
def test_spacing_that_cannot_be_trusted_is_left_out(tmp_path, region, reason):
    tags = {"SequenceOfUltrasoundRegions": [region], "PixelSpacing": [0.3, 0.3]}
    path = save(make_dataset(make_frames(), "MONOCHROME2", **tags), tmp_path / "clip.dcm")
    with pytest.warns(UserWarning, match=reason):
        assert read_clip(path).spacing is None


def test_the_example_clip_and_the_ruler_burned_into_it():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clip = example_clip()
    assert clip.frames.shape == (30, 240, 320) and clip.fps == 30
    ruler = clip.frames[0][:, 296:301].max(axis=1)
    marks = [
        int(row)
        for row in np.flatnonzero(ruler > 85)
        if ruler[row] == ruler[row - 2 : row + 3].max()
    ]
    five_centimetres = (marks[-1] - marks[0]) / 2
    assert clip.spacing == pytest.approx(50 / five_centimetres, rel=0.02)
    assert clip.frames[:, 14:25, 186:194].max() < 20  # the turquoise probe marker is gone


# Broken files


def expect_error(path, *words):
    with pytest.raises(DataError) as caught:
        read_clip(path)
    message = str(caught.value)
    assert str(path) in message
    for word in words:
        assert word in message


def test_files_that_are_not_clips(tmp_path):
    expect_error(tmp_path / "absent.avi", "no such file")
    expect_error(tmp_path, "found a folder")
    with pytest.raises(DataError, match="no such file"):
        decode_video(tmp_path / "absent.avi")
    (tmp_path / "empty.avi").touch()
    expect_error(tmp_path / "empty.avi", "0 bytes")
    (tmp_path / "text.avi").write_text("These are not the frames you are looking for.")
    expect_error(tmp_path / "text.avi", "expected AVI", "These are", "ffmpeg")
    cv2.imwrite(str(tmp_path / "still.png"), make_frames()[0])
    expect_error(tmp_path / "still.png", "PNG")


def test_a_truncated_avi_gives_the_frames_that_decode(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (30, HEIGHT, WIDTH)).astype(np.uint8)
    avi = write_opencv(tmp_path / "clip.avi", noise, "MJPG")
    whole = read_clip(avi).frames
    (tmp_path / "half.avi").write_bytes(avi.read_bytes()[: avi.stat().st_size // 2])
    with pytest.warns(UserWarning, match="announces 30 frames"):
        half = read_clip(tmp_path / "half.avi").frames
    assert 5 < len(half) < 20
    np.testing.assert_array_equal(half[:-1], whole[: len(half) - 1])


def test_a_video_without_a_frame(tmp_path):
    mp4 = write_opencv(tmp_path / "clip.mp4", make_frames(), "mp4v")
    (tmp_path / "half.mp4").write_bytes(mp4.read_bytes()[:300])
    expect_error(tmp_path / "half.mp4", "no readable frame", "truncated")
    avi = write_opencv(tmp_path / "clip.avi", make_frames(), "MJPG")
    (tmp_path / "header.avi").write_bytes(avi.read_bytes()[:4000])
    expect_error(tmp_path / "header.avi", "no readable frame")
    (tmp_path / "broken.gif").write_bytes(b"GIF89a\x10\x00\x10\x00\x00\x00\x00;")
    expect_error(tmp_path / "broken.gif", "GIF")


@pytest.mark.parametrize("part", [0.1, 0.4, 0.9])
def test_truncated_gif(tmp_path, part):
    noise = np.random.default_rng(0).integers(0, 255, (8, 40, 50), dtype=np.uint8)
    pages = [Image.fromarray(frame) for frame in noise]
    path = tmp_path / "clip.gif"
    pages[0].save(path, save_all=True, append_images=pages[1:], duration=40)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    expect_error(path, "GIF", "copy it again")


def test_frames_of_odd_size_are_read_whole(tmp_path):
    frames = np.tile(np.linspace(20, 200, 63).astype(np.uint8), (5, 47, 1))
    path = tmp_path / "odd.avi"
    code = cv2.VideoWriter_fourcc(*"MJPG")  # OpenCV's own writer: FFmpeg's trims odd sides
    writer = cv2.VideoWriter(str(path), cv2.CAP_OPENCV_MJPEG, code, 25.0, (63, 47))
    for frame in frames:
        writer.write(cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR))
    writer.release()
    read = read_clip(path).frames
    assert read.shape == frames.shape
    assert np.abs(read.astype(int) - frames).mean() < 2


@pytest.mark.parametrize("part", [0.5, 0.95])
def test_truncated_compressed_dicom(tmp_path, part):
    dataset = make_dataset(make_frames(), "MONOCHROME2")
    dataset.compress(RLELossless, generate_instance_uid=False)
    path = save(dataset, tmp_path / "cut.dcm")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom warns about the missing end
        expect_error(path, "truncated", "export it again")


def test_dicom_without_pixels(tmp_path):
    dataset = make_dataset(make_frames(), "MONOCHROME2")
    del dataset.PixelData
    expect_error(save(dataset, tmp_path / "report.dcm"), "without pixel data")


def test_dicom_of_a_missing_plugin_names_syntax_and_package(tmp_path):
    dataset = make_dataset(make_frames()[:1], "MONOCHROME2")
    dataset = encapsulated(dataset, [b"\xff\xd8\xff\xd9"], JPEGLosslessSV1)
    expect_error(save(dataset, tmp_path / "c.dcm"), str(JPEGLosslessSV1), "pip install python-gdcm")


def test_dicom_of_an_unknown_syntax(tmp_path):
    dataset = encapsulated(make_dataset(make_frames()[:1], "MONOCHROME2"), [b"\0\0"], UNDECODABLE)
    expect_error(save(dataset, tmp_path / "clip.dcm"), UNDECODABLE, "Export the clip again")


@pytest.mark.parametrize("kept", [140, 400, 4000])
def test_truncated_dicom(tmp_path, kept):
    whole = save(make_dataset(make_frames(), "MONOCHROME2"), tmp_path / "whole.dcm").read_bytes()
    (tmp_path / "cut.dcm").write_bytes(whole[:kept])
    expect_error(tmp_path / "cut.dcm", "DICOM")
