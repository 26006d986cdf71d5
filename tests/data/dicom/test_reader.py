"""DICOM files as machines and archives write them: pixels of every kind, and broken files."""

import warnings
import zlib

import cv2
import numpy as np
import pydicom
import pytest
from pydicom import uid
from pydicom.encaps import encapsulate_extended
from pydicom.uid import (
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from echolib.data.clips import read_clip
from echolib.errors import DataError

from ..files import (
    FRAMES,
    HEIGHT,
    WIDTH,
    encapsulated,
    encoded_frames,
    make_dataset,
    make_frames,
    save,
    with_trace,
    write_video,
)
from ..test_clips import expect_error

UNDECODABLE = "1.2.840.10008.1.2.4.94"  # JPIP Referenced: the file does not hold the pixels


def read_without_warning(path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return read_clip(path)


def ybr(frames: np.ndarray) -> np.ndarray:
    return np.stack([frames, np.full_like(frames, 128), np.full_like(frames, 128)], axis=-1)


def halved(samples: np.ndarray) -> np.ndarray:
    """YBR samples (T, H, W, 3) with chroma for every second pixel, as YBR_FULL_422 stores them."""
    brightness, chroma = samples[..., 0], samples[:, :, ::2, 1:]
    pairs = np.stack([brightness[:, :, ::2], brightness[:, :, 1::2]], axis=-1)
    return np.concatenate([pairs, chroma], axis=-1).reshape(len(samples), -1)


def jpeg(frame: np.ndarray) -> bytes:
    return cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()


def grey_jpegs(frames: np.ndarray) -> list[bytes]:
    return [jpeg(frame) for frame in frames]


# Colour


def test_burned_in_colour_becomes_black(tmp_path):
    frames = make_frames()
    path = save(make_dataset(with_trace(frames), "RGB"), tmp_path / "clip.dcm")
    read = read_clip(path).frames
    assert (read[:, 39:45] == 0).all()  # the trace and its rim of 1 px
    np.testing.assert_array_equal(read[:, :39], frames[:, :39])


def test_a_tinted_display_keeps_its_brightness(tmp_path):
    frames = make_frames() // 2 + 60
    sepia = np.stack([frames, frames * 0.8, frames * 0.5], axis=-1).astype(np.uint8)
    path = save(make_dataset(sepia, "RGB"), tmp_path / "clip.dcm")
    with pytest.warns(UserWarning, match="tinted"):
        read = read_clip(path).frames
    expected = sepia @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(read, expected, atol=1)


@pytest.mark.parametrize(
    ("kind", "found"),
    [(uid.SegmentationStorage, "a segmentation"), (uid.EnhancedUSVolumeStorage, "slices in space")],
)
def test_images_that_are_no_moments_of_a_clip_are_refused(tmp_path, kind, found):
    dataset = make_dataset(make_frames(), "MONOCHROME2")
    dataset.SOPClassUID = kind
    with pytest.raises(DataError, match=f"expected a clip, found .*{found}"):
        read_clip(save(dataset, tmp_path / "clip.dcm"))


def test_uncompressed_ybr_is_converted(tmp_path):
    frames = make_frames()
    samples = ybr(frames)
    samples[:, 40:44, :, 2] = 220  # strongly red
    path = save(make_dataset(samples, "YBR_FULL"), tmp_path / "clip.dcm")
    read = read_without_warning(path).frames
    assert (read[:, 40:44] == 0).all()
    np.testing.assert_allclose(read[:, :39].astype(int), frames[:, :39], atol=1)


@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize("wrong", ["YBR_FULL", "YBR_FULL_422", "RGB", "MONOCHROME2"])
def test_a_colour_tag_that_contradicts_the_samples_is_named(tmp_path, wrong, planar):
    frames = make_frames()
    samples = ybr(frames) if wrong == "RGB" else np.repeat(frames[..., None], 3, axis=-1)
    dataset = make_dataset(samples, wrong)
    if planar:
        dataset.PlanarConfiguration = 1
        dataset.PixelData = np.ascontiguousarray(samples.transpose(0, 3, 1, 2)).tobytes()
    with pytest.warns(UserWarning, match=f"{wrong}.* read"):
        read = read_clip(save(dataset, tmp_path / "clip.dcm")).frames
    np.testing.assert_allclose(read.astype(int), frames, atol=1)


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
@pytest.mark.parametrize("planar", [0, 1])
def test_an_order_of_samples_that_contradicts_the_tag_is_named(tmp_path, planar, photometric):
    frames = make_frames()
    frames[:, ::2] += 9  # neighbours differ, as in speckle
    frames[:, :, ::2] += 6
    samples = ybr(frames) if photometric == "YBR_FULL" else np.repeat(frames[..., None], 3, axis=-1)
    dataset = make_dataset(samples, photometric, PlanarConfiguration=1 - planar)
    if planar:
        dataset.PixelData = np.ascontiguousarray(samples.transpose(0, 3, 1, 2)).tobytes()
    with pytest.warns(UserWarning, match=f"PlanarConfiguration says {1 - planar}"):
        read = read_clip(save(dataset, tmp_path / "clip.dcm")).frames
    np.testing.assert_allclose(read.astype(int), frames, atol=1)


@pytest.mark.parametrize("right", ["YBR_FULL", "RGB"])
def test_a_right_colour_tag_is_believed_where_the_samples_do_not_decide(tmp_path, right):
    samples = np.random.default_rng(0).integers(0, 255, (2, HEIGHT, WIDTH, 3), dtype=np.uint8)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*Photometric")
        warnings.filterwarnings("ignore", message=".*tinted")
        read_clip(save(make_dataset(samples, right), tmp_path / "clip.dcm"))


def test_chroma_of_half_the_pixels(tmp_path):
    frames = make_frames()
    dataset = make_dataset(ybr(frames), "YBR_FULL_422")
    dataset.PixelData = halved(ybr(frames)).tobytes()
    read = read_without_warning(save(dataset, tmp_path / "clip.dcm")).frames
    np.testing.assert_allclose(read.astype(int), frames, atol=1)
    dataset.PhotometricInterpretation = "RGB"  # too few bytes for three samples per pixel
    with pytest.warns(UserWarning, match="say RGB and 8, but the pixels have 2 samples"):
        read = read_clip(save(dataset, tmp_path / "clip.dcm")).frames
    np.testing.assert_allclose(read.astype(int), frames, atol=1)


@pytest.mark.parametrize("tag", ["RGB", "YBR_FULL_422"])
def test_jpeg_whose_colour_tag_is_right_or_not(tmp_path, tag):
    frames = make_frames()
    streams = []
    for frame in frames:
        stream = jpeg(np.repeat(frame[..., None], 3, axis=-1))
        assert stream[2:4] == b"\xff\xe0"  # the marker that says YBR, which is taken out
        streams.append(stream[:2] + stream[4 + int.from_bytes(stream[4:6], "big") :])
    dataset = encapsulated(make_dataset(with_trace(frames), tag), streams, JPEGBaseline8Bit)
    path = save(dataset, tmp_path / "clip.dcm")
    if tag == "RGB":
        with pytest.warns(UserWarning, match="says RGB, but the samples are those of YBR"):
            read = read_clip(path).frames
    else:
        read = read_without_warning(path).frames
    np.testing.assert_allclose(read.astype(int), frames, atol=6)


# Grey levels


def test_monochrome_and_its_inversion(tmp_path):
    frames = make_frames()
    bright = read_clip(save(make_dataset(frames, "MONOCHROME2"), tmp_path / "two.dcm"))
    dark = read_clip(save(make_dataset(frames, "MONOCHROME1"), tmp_path / "one.dcm"))
    np.testing.assert_array_equal(bright.frames, frames)
    np.testing.assert_array_equal(dark.frames, 255 - frames)


def test_a_single_frame_is_a_clip_of_one(tmp_path):
    dataset = make_dataset(make_frames()[:1], "MONOCHROME2")
    del dataset.NumberOfFrames
    clip = read_without_warning(save(dataset, tmp_path / "still.dcm"))
    assert clip.frames.shape == (1, HEIGHT, WIDTH) and clip.fps is None


def wide(top: int, kind=np.uint16) -> np.ndarray:
    """Frames of 16 bits whose values go from 0 to `top`."""
    frames = make_frames().astype(np.float64)
    return np.rint((frames - frames.min()) / np.ptp(frames) * top).astype(kind)


@pytest.mark.parametrize(
    ("bits", "top", "tags"),
    [
        (12, 4095, {}),
        (16, 255, {}),
        (16, 255, {"SmallestImagePixelValue": 0, "LargestImagePixelValue": 255}),
        (16, 1000, {"WindowCenter": 500.5, "WindowWidth": 1001}),
    ],
)
def test_many_bits_are_scaled_to_what_is_shown(tmp_path, bits, top, tags):
    values = wide(top)
    path = save(make_dataset(values, "MONOCHROME2", bits, **tags), tmp_path / "clip.dcm")
    np.testing.assert_allclose(read_without_warning(path).frames, values * (255 / top), atol=0.6)


def test_colour_of_many_bits_that_fades_in_is_not_saturated(tmp_path):
    grey = wide(4095)
    grey[0] //= 64  # the first frame is nearly black
    path = save(make_dataset(np.stack([grey] * 3, -1), "RGB", 12), tmp_path / "clip.dcm")
    read = read_without_warning(path).frames
    np.testing.assert_allclose(read, grey // 16, atol=1)


@pytest.mark.parametrize(
    "tags",
    [
        {"WindowCenter": 32768, "WindowWidth": 65536},
        {"WindowCenter": -500, "WindowWidth": 100},
        {"SmallestImagePixelValue": 0, "LargestImagePixelValue": 60000},
    ],
)
def test_tags_that_would_show_black_or_white_give_way_to_the_values(tmp_path, tags):
    values = wide(255)
    path = save(make_dataset(values, "MONOCHROME2", 16, **tags), tmp_path / "clip.dcm")
    with pytest.warns(UserWarning, match="but the clip has 0 to 255. Its own range is shown"):
        np.testing.assert_array_equal(read_clip(path).frames, values)


def test_sixteen_signed_bits_follow_the_window(tmp_path):
    values = np.array([[[-500, -100, 0, 25, 100, 500]]], np.int16)
    tags = {"WindowCenter": 0.5, "WindowWidth": 201, "RescaleSlope": 2, "RescaleIntercept": 0}
    dataset = make_dataset(values, "MONOCHROME2", bits=16, **tags)
    read = read_clip(save(dataset, tmp_path / "clip.dcm")).frames
    np.testing.assert_array_equal(read, [[[0, 0, 128, 191, 255, 255]]])


PALETTES = {
    "16 bits": (16, lambda ramp: (ramp << 8).tobytes()),
    "16 bits, low byte": (16, lambda ramp: ramp.tobytes()),
    "8 bits": (8, lambda ramp: ramp.astype(np.uint8).tobytes()),
    "8 bits in words": (8, lambda ramp: ramp.tobytes()),
    "8 bits in high bytes": (8, lambda ramp: (ramp << 8).tobytes()),
    "bytes called words": (16, lambda ramp: ramp.astype(np.uint8).tobytes()),
}


@pytest.mark.parametrize("kind", PALETTES)
def test_palettes_of_every_range(tmp_path, kind):
    bits, pack = PALETTES[kind]
    tags = {}
    for channel in ("Red", "Green", "Blue"):
        tags[f"{channel}PaletteColorLookupTableDescriptor"] = [256, 0, bits]
        ramp = np.arange(255, -1, -1, dtype=np.uint16)
        tags[f"{channel}PaletteColorLookupTableData"] = pack(ramp)
    frames = make_frames()
    path = save(make_dataset(frames, "PALETTE COLOR", **tags), tmp_path / "clip.dcm")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*palette has entries")
        np.testing.assert_array_equal(read_clip(path).frames, 255 - frames)


def test_square_pixels_by_the_tag(tmp_path):
    tags = {"PixelAspectRatio": [45, 64], "PixelSpacing": [0.45, 0.64]}
    path = save(make_dataset(make_frames(), "MONOCHROME2", **tags), tmp_path / "clip.dcm")
    with pytest.warns(UserWarning, match="1.42 times as wide as high"):
        clip = read_clip(path)
    assert clip.frames.shape == (FRAMES, HEIGHT, 91) and clip.spacing == pytest.approx(0.45)


# Number of frames


@pytest.mark.parametrize("announced", [None, 1, 11])
@pytest.mark.parametrize("table", [True, False])
def test_compressed_frames_are_counted_by_their_own_marks(tmp_path, announced, table):
    frames = make_frames()
    dataset = make_dataset(frames, "MONOCHROME2")
    encapsulated(dataset, grey_jpegs(frames), JPEGBaseline8Bit, table)
    expect_all_frames(dataset, announced, tmp_path)


def test_frames_in_several_fragments_are_counted(tmp_path):
    frames = make_frames()
    dataset = make_dataset(frames, "MONOCHROME2")
    pieces = []
    for stream in grey_jpegs(frames):
        stream += b"\0" * (-len(stream) % 4)
        pieces += [stream[: len(stream) // 2], stream[len(stream) // 2 :]]
    encapsulated(dataset, pieces, JPEGBaseline8Bit, table=False)
    expect_all_frames(dataset, None, tmp_path)


def test_frames_with_extended_offsets_are_counted(tmp_path):
    frames = make_frames()
    dataset = encapsulated(
        make_dataset(frames, "MONOCHROME2"), grey_jpegs(frames), JPEGBaseline8Bit
    )
    dataset.PixelData, dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths = (
        encapsulate_extended(grey_jpegs(frames))
    )
    expect_all_frames(dataset, None, tmp_path)


@pytest.mark.parametrize("announced", [None, 1])
def test_uncompressed_frames_are_counted_by_their_bytes(tmp_path, announced):
    expect_all_frames(make_dataset(make_frames(), "MONOCHROME2"), announced, tmp_path)


def expect_all_frames(dataset, announced, folder):
    if announced is None:
        del dataset.NumberOfFrames
    else:
        dataset.NumberOfFrames = announced
    with pytest.warns(
        UserWarning, match=f"({announced or 'no NumberOfFrames'}), but the file holds 7"
    ):
        read = read_clip(save(dataset, folder / "clip.dcm")).frames
    np.testing.assert_allclose(read.astype(int), make_frames(), atol=6)


@pytest.mark.parametrize("count", [2, 3, 6])
def test_frames_are_not_taken_for_samples(tmp_path, count):
    frames = np.concatenate([make_frames(), make_frames()])[:count]
    dataset = make_dataset(frames, "MONOCHROME2")
    del dataset.NumberOfFrames
    with pytest.warns(UserWarning, match=f"holds {count}"):
        read = read_clip(save(dataset, tmp_path / "clip.dcm")).frames
    np.testing.assert_array_equal(read, frames)


@pytest.mark.parametrize(("bits", "other"), [(8, 16), (16, 8)])
def test_bits_that_contradict_the_bytes_are_named(tmp_path, bits, other):
    values = wide(4095) if bits == 16 else make_frames()
    dataset = make_dataset(values, "MONOCHROME2", min(bits, 12))
    dataset.BitsAllocated, dataset.BitsStored = other, min(other, 12)
    dataset["PixelData"].VR = "OB"
    with pytest.warns(UserWarning, match=f"samples of {bits} bits"):
        read = read_clip(save(dataset, tmp_path / "clip.dcm")).frames
    assert read.shape == values.shape
    assert np.corrcoef(read.ravel(), values.ravel())[0, 1] > 0.9


def test_eight_bits_that_are_stored_in_sixteen_are_not_stretched(tmp_path):
    values = make_frames().astype(np.uint16) // 4
    dataset = make_dataset(values, "MONOCHROME2", 8)
    assert (dataset.BitsAllocated, dataset.BitsStored) == (16, 8)
    read = read_clip(save(dataset, tmp_path / "clip.dcm")).frames
    np.testing.assert_array_equal(read, values)


def test_a_transfer_syntax_that_contradicts_the_pixels_is_named(tmp_path):
    frames = make_frames()
    dataset = encapsulated(
        make_dataset(frames, "MONOCHROME2"), grey_jpegs(frames), ExplicitVRLittleEndian
    )
    dataset["PixelData"].is_undefined_length = True
    path = tmp_path / "jpeg.dcm"
    pydicom.dcmwrite(path, dataset, enforce_file_format=False)
    with pytest.warns(UserWarning, match="read as JPEG Baseline"):
        read = read_clip(path).frames
    np.testing.assert_allclose(read.astype(int), frames, atol=6)
    dataset = make_dataset(frames, "MONOCHROME2")
    save(dataset, path)
    data = path.read_bytes()
    assert data.count(b"1.2.840.10008.1.2.1\0") == 1
    path.write_bytes(data.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.5\0"))
    with pytest.warns(UserWarning, match="read as Explicit VR Little Endian"):
        np.testing.assert_array_equal(read_clip(path).frames, frames)


# Compression


def test_rle(tmp_path):
    dataset = make_dataset(with_trace(make_frames()), "RGB")
    plain = read_clip(save(dataset, tmp_path / "plain.dcm"))
    dataset.compress(RLELossless, generate_instance_uid=False)
    packed = read_without_warning(save(dataset, tmp_path / "rle.dcm"))
    np.testing.assert_array_equal(packed.frames, plain.frames)


@pytest.mark.parametrize(
    ("codec", "pixels", "syntax"),
    [
        ("ljpeg", "bgr24", JPEGLosslessSV1),
        ("ljpeg", "yuvj444p", JPEGLosslessSV1),
        ("jpegls", "gray", JPEGLSLossless),
        ("jpegls", "rgb24", JPEGLSLossless),
    ],
)
def test_lossless_frames(tmp_path, codec, pixels, syntax):
    frames = with_trace(make_frames())
    grey = pixels == "gray"
    dataset = make_dataset(frames[..., 0] if grey else frames, "MONOCHROME2" if grey else "RGB")
    plain = read_clip(save(dataset, tmp_path / "plain.dcm"))
    if pixels.startswith("yuv"):
        dataset.PhotometricInterpretation = "YBR_FULL"
    streams = encoded_frames(frames[..., 0] if grey else frames, codec, pixels)
    packed = save(encapsulated(dataset, streams, syntax), tmp_path / "packed.dcm")
    read = read_without_warning(packed).frames
    np.testing.assert_allclose(read.astype(int), plain.frames, atol=2 * pixels.startswith("yuv"))
    cut = encapsulated(dataset, [stream[: len(stream) // 2] for stream in streams], syntax)
    expect_error(save(cut, tmp_path / "cut.dcm"), "cannot be read")


@pytest.mark.parametrize("syntax", [JPEGLSLossless, HTJ2KLossless])
def test_a_missing_decoder_is_named_with_the_extra(tmp_path, monkeypatch, syntax):
    monkeypatch.setattr(type(pydicom.pixels.get_decoder(syntax)), "available_plugins", ())
    dataset = make_dataset(make_frames()[:1], "MONOCHROME2")
    dataset = encapsulated(dataset, [b"\xff\xd8\xff\xd9"], syntax)
    expect_error(save(dataset, tmp_path / "c.dcm"), str(syntax), 'pip install -e ".[dicom]"')


def test_an_unknown_syntax(tmp_path):
    dataset = encapsulated(make_dataset(make_frames()[:1], "MONOCHROME2"), [b"\0\0"], UNDECODABLE)
    expect_error(save(dataset, tmp_path / "clip.dcm"), UNDECODABLE, "Export the clip again")


MPEG = [
    ("100", "mpeg2video", "mpegts"),
    ("101", "mpeg2video", "mpeg2video"),
    ("102", "libx264", "mp4"),
    ("103", "libx264", "mpegts"),
    ("104", "libx264", "h264"),
    ("105", "mpeg4", "mp4"),
    ("106", "libx264", "mp4"),
    ("107", "libx265", "hevc"),
]


@pytest.mark.parametrize("fragmentable", [False, True])
@pytest.mark.parametrize(("number", "codec", "kind"), MPEG)
def test_mpeg_inside_dicom(tmp_path, number, codec, kind, fragmentable):
    fragmentable = fragmentable and number != "107"  # HEVC has no such syntax
    frames = make_frames()
    stream = write_video(tmp_path / "stream", frames, codec, kind=kind).read_bytes()
    stream += b"\0" * (len(stream) % 2)
    half = len(stream) // 4 * 2
    pieces = [stream[:half], stream[half:]] if fragmentable else [stream]
    syntax = f"1.2.840.10008.1.2.4.{number}" + ".1" * fragmentable
    dataset = make_dataset(with_trace(frames), "YBR_PARTIAL_420", FrameTime="20")
    path = save(encapsulated(dataset, pieces, syntax, False), tmp_path / "clip.dcm")
    clip = read_without_warning(path)
    assert clip.frames.shape == frames.shape and clip.fps == 50
    assert np.abs(clip.frames.astype(int) - frames).mean() < 6


def deflated(dataset, path):
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"
    return save(dataset, path)


def test_deflated_dicom(tmp_path):
    path = deflated(make_dataset(make_frames(), "MONOCHROME2"), tmp_path / "clip.dcm")
    np.testing.assert_array_equal(read_without_warning(path).frames, make_frames())


def test_dicom_without_its_preamble(tmp_path):
    frames = make_frames()
    dataset = make_dataset(frames, "MONOCHROME2")
    del dataset.file_meta
    pydicom.dcmwrite(
        tmp_path / "bare.dcm", dataset, implicit_vr=True, little_endian=True, force_encoding=True
    )
    np.testing.assert_array_equal(read_clip(tmp_path / "bare.dcm").frames, frames)


def test_big_endian_dicom(tmp_path):
    dataset = make_dataset(wide(4095), "MONOCHROME2", 12)
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.2"
    dataset.PixelData = wide(4095).astype(">u2").tobytes()
    dataset["PixelData"].VR = "OW"
    path = tmp_path / "clip.dcm"
    dataset.save_as(path, enforce_file_format=True, implicit_vr=False, little_endian=False)
    np.testing.assert_allclose(read_clip(path).frames, wide(4095) * (255 / 4095), atol=0.6)


# Broken files


@pytest.mark.parametrize("part", [0.5, 0.95])
def test_truncated_compressed_dicom(tmp_path, part):
    dataset = make_dataset(make_frames(), "MONOCHROME2")
    dataset.compress(RLELossless, generate_instance_uid=False)
    path = save(dataset, tmp_path / "cut.dcm")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom warns about the missing end
        expect_error(path, "xport it again")


@pytest.mark.parametrize("kept", [140, 400, 4000])
def test_truncated_dicom(tmp_path, kept):
    whole = save(make_dataset(make_frames(), "MONOCHROME2"), tmp_path / "whole.dcm").read_bytes()
    (tmp_path / "cut.dcm").write_bytes(whole[:kept])
    expect_error(tmp_path / "cut.dcm", "xpected", "xport it again")


def test_dicom_without_pixels(tmp_path):
    dataset = make_dataset(make_frames(), "MONOCHROME2")
    del dataset.PixelData
    expect_error(save(dataset, tmp_path / "report.dcm"), "without pixel data")


def test_sizes_that_cannot_be_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("ECHOLIB_MEMORY", "100M")
    dataset = make_dataset(make_frames(), "MONOCHROME2")
    encapsulated(dataset, grey_jpegs(make_frames()), JPEGBaseline8Bit)
    dataset.Rows = dataset.Columns = 65535
    expect_error(save(dataset, tmp_path / "large.dcm"), "65535 x 65535 px", "ECHOLIB_MEMORY")
    bomb = deflated(make_dataset(make_frames(), "MONOCHROME2"), tmp_path / "bomb.dcm")
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    whole = bomb.read_bytes()
    head = 144 + int.from_bytes(whole[140:144], "little")  # the group's length stands first
    size = 2**20 * 200
    element = b"\x08\x00\x05\x00UT\0\0" + size.to_bytes(4, "little")
    bomb.write_bytes(whole[:head])
    with bomb.open("ab") as file:
        file.write(packer.compress(element))
        for _ in range(200):
            file.write(packer.compress(bytes(2**20)))
        file.write(packer.flush())
    with pytest.raises(DataError, match=r"its deflated data would take .* ECHOLIB_MEMORY="):
        read_clip(bomb)
