"""Videos of every container, codec and pixel format; how they are shown; broken ones."""

import warnings

import av
import numpy as np
import pytest
from PIL import Image

from echolib.data.clips import read_clip
from echolib.data.video import read_video
from echolib.errors import DataError

from .files import FRAMES, HEIGHT, WIDTH, make_frames, with_trace, write_video
from .test_clips import expect_error

CONTAINERS = [
    ("avi", "mjpeg", None),
    ("mp4", "libx264", None),
    ("mp4", "libsvtav1", None),
    ("mov", "mpeg4", None),
    ("webm", "libvpx", None),
    ("mkv", "ffv1", "matroska"),
    ("ts", "mpeg2video", "mpegts"),
    ("mpg", "mpeg2video", "mpeg"),
    ("wmv", "wmv2", "asf"),
    ("flv", "flv", None),
]
UPRIGHT = (65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)


def difference(frames: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(frames.astype(int) - expected).mean())


@pytest.mark.parametrize(("suffix", "codec", "kind"), CONTAINERS)
def test_videos_are_read_whole_and_in_order(tmp_path, suffix, codec, kind):
    frames = np.repeat(np.repeat(make_frames(), 2, axis=1), 2, axis=2)  # AV1 wants 64 px
    path = write_video(tmp_path / f"some clip.{suffix}", frames, codec, kind=kind)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clip = read_clip(path)
    assert clip.name == "some clip"
    assert clip.frames.shape == frames.shape and clip.frames.dtype == np.uint8
    assert clip.fps == pytest.approx(25, abs=0.1) and clip.spacing is None
    assert difference(clip.frames, frames) < 6


@pytest.mark.parametrize("name", ["A4C:1.avi", "http:x.avi", "-i.avi", "clip_%02d.avi", "é ü.avi"])
def test_no_name_means_anything_but_a_file(tmp_path, monkeypatch, name):
    write_video(tmp_path / name, make_frames())
    monkeypatch.chdir(tmp_path)
    assert len(read_clip(name).frames) == FRAMES  # a relative path


def bottom_up_avi(path, frames):
    """An uncompressed AVI of 24 bits whose rows go from bottom to top, as MATLAB writes it."""
    video = write_video(path, np.repeat(frames[..., None], 3, axis=3), "rawvideo", pixels="bgr24")
    data = bytearray(video.read_bytes())
    header = data.index(b"strf") + 8  # a bitmap's header: size, width, height
    assert int.from_bytes(data[header + 8 : header + 12], "little", signed=True) == -HEIGHT
    data[header + 8 : header + 12] = HEIGHT.to_bytes(4, "little")  # positive: from bottom to top
    path.write_bytes(data)
    return path


def test_uncompressed_rows_from_bottom_to_top_are_turned(tmp_path):
    path = bottom_up_avi(tmp_path / "clip.avi", make_frames()[:, ::-1])
    np.testing.assert_array_equal(read_video(path).frames, make_frames())


def test_decoding_stops_after_the_given_number_of_frames(tmp_path):
    avi = write_video(tmp_path / "clip.avi", make_frames())
    whole = read_video(avi).frames
    assert len(whole) == FRAMES
    np.testing.assert_array_equal(read_video(avi, stop=3).frames, whole[:3])
    np.testing.assert_array_equal(read_video(avi, stop=99).frames, whole)


def test_frames_of_odd_size_are_read_whole(tmp_path):
    frames = np.tile(np.linspace(20, 200, 63).astype(np.uint8), (5, 47, 1))
    read = read_video(write_video(tmp_path / "odd.avi", frames, "ffv1", pixels="gray")).frames
    np.testing.assert_array_equal(read, frames)


# Times


def test_the_rate_comes_from_the_time_stamps(tmp_path):
    times = [0, 40, 80, 120, 160, 200, 240]
    path = write_video(tmp_path / "clip.mkv", make_frames(), "ffv1", times=times, kind="matroska")
    assert read_video(path).fps == 25


def test_an_uneven_rate_is_a_mean_and_said(tmp_path):
    times = [0, 20, 80, 100, 160, 180, 240]
    path = write_video(tmp_path / "clip.mkv", make_frames(), "ffv1", times=times, kind="matroska")
    with pytest.warns(UserWarning, match="from 20 to 60 ms. The mean rate"):
        assert read_video(path).fps == 25


@pytest.mark.parametrize("fps", [0.5, 900])
def test_a_rate_that_no_scan_has_is_unknown(tmp_path, fps):
    path = write_video(tmp_path / "clip.avi", make_frames(), fps=fps)
    with pytest.warns(UserWarning, match="cannot be that of a heart scan"):
        assert read_video(path).fps is None


def gif(path, frames, delay):
    pages = [Image.fromarray(frame) for frame in frames]
    pages[0].save(path, save_all=True, append_images=pages[1:], duration=delay)
    return path


def test_gif_is_read_with_its_frame_rate(tmp_path):
    frames = make_frames()
    clip = read_clip(gif(tmp_path / "clip.gif", frames, 40))
    assert clip.fps == 25
    np.testing.assert_allclose(clip.frames.astype(int), frames, atol=2)
    assert read_clip(gif(tmp_path / "timeless.gif", frames, 0)).fps is None


@pytest.mark.parametrize("disposal", [0, 1, 2])
def test_clear_pixels_of_a_gif_are_black(tmp_path, disposal):
    frames = make_frames()
    frames[:, :20] = 0
    alpha = np.where(np.arange(frames.shape[1])[:, None] < 20, 0, 255) + 0 * frames[0]
    pages = [
        Image.fromarray(np.dstack([frame, frame, frame, alpha]).astype(np.uint8), "RGBA")
        for frame in frames
    ]
    path = tmp_path / "clip.gif"
    pages[0].save(path, save_all=True, append_images=pages[1:], duration=40, disposal=disposal)
    read = read_clip(path).frames
    assert (read[:, :20] == 0).all()
    np.testing.assert_allclose(read[:, 20:].astype(int), frames[:, 20:], atol=8)


# As it is shown


def matrix(a, b, c, d):
    return (a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)


@pytest.mark.parametrize(
    ("numbers", "shown"),
    [
        ((1, 0, 0, 1), lambda f: f),
        ((-1, 0, 0, 1), lambda f: f[:, :, ::-1]),  # mirrored
        ((1, 0, 0, -1), lambda f: f[:, ::-1]),
        ((-1, 0, 0, -1), lambda f: f[:, ::-1, ::-1]),
        ((0, 1, -1, 0), lambda f: np.rot90(f, -1, axes=(1, 2))),  # clockwise
        ((0, -1, 1, 0), lambda f: np.rot90(f, 1, axes=(1, 2))),
        ((0, 1, 1, 0), lambda f: f.swapaxes(1, 2)),
    ],
)
def test_videos_are_turned_and_mirrored_as_they_say(tmp_path, numbers, shown):
    frames = make_frames()
    path = write_video(tmp_path / "clip.mp4", frames, "libx264", matrix=matrix(*numbers))
    read = read_video(path).frames
    assert read.shape == shown(frames).shape and difference(read, shown(frames)) < 6


@pytest.mark.parametrize(
    ("aspect", "size"), [("64/45", (HEIGHT, 91)), ("1/2", (2 * HEIGHT, WIDTH))]
)
def test_pixels_are_made_square(tmp_path, aspect, size):
    frames = make_frames()
    path = write_video(tmp_path / "clip.mp4", frames, "libx264", aspect=aspect)
    with pytest.warns(UserWarning, match="times as wide as high. The frames are enlarged"):
        read = read_video(path).frames
    assert read.shape[1:] == size
    assert read.mean() == pytest.approx(frames.mean(), abs=4)


def test_pixels_that_cannot_be_are_left_as_they_are(tmp_path):
    path = write_video(tmp_path / "clip.mp4", make_frames(), "libx264", aspect="9/1")
    with pytest.warns(UserWarning, match="which cannot be. The frames are used as they are"):
        assert read_video(path).frames.shape == (FRAMES, HEIGHT, WIDTH)


# Colour


def test_burned_in_colour_becomes_black(tmp_path):
    rgb = with_trace(make_frames())
    read = read_clip(write_video(tmp_path / "clip.avi", rgb)).frames
    assert (read[:, 41:43] == 0).all()
    assert read[:, :36].min() > 0


# Broken and foreign files


def test_a_truncated_avi_gives_the_frames_that_decode(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (30, HEIGHT, WIDTH)).astype(np.uint8)
    avi = write_video(tmp_path / "clip.avi", noise)
    whole = read_clip(avi).frames
    (tmp_path / "half.avi").write_bytes(avi.read_bytes()[: avi.stat().st_size // 2])
    with pytest.warns(UserWarning, match="announces 30 frames"):
        half = read_clip(tmp_path / "half.avi").frames
    assert 5 < len(half) < 20
    np.testing.assert_array_equal(half[:-1], whole[: len(half) - 1])


def test_a_truncated_webm_is_told_by_its_duration(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (30, HEIGHT, WIDTH)).astype(np.uint8)
    webm = write_video(tmp_path / "clip.webm", noise, "libvpx")
    (tmp_path / "half.webm").write_bytes(webm.read_bytes()[: webm.stat().st_size // 2])
    with pytest.warns(UserWarning, match="announces 30 frames, but only"):
        assert 5 < len(read_clip(tmp_path / "half.webm").frames) < 25


@pytest.mark.parametrize("part", [0.4, 0.9])
def test_a_truncated_gif_gives_the_frames_that_decode(tmp_path, part):
    noise = np.random.default_rng(0).integers(0, 255, (8, 40, 50), dtype=np.uint8)
    path = gif(tmp_path / "clip.gif", noise, 40)
    whole = read_video(path).frames
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    with pytest.warns(UserWarning, match="damaged"):
        read = read_video(path).frames
    assert 2 <= len(read) < 8
    np.testing.assert_array_equal(read[:-1], whole[: len(read) - 1])


def test_a_video_that_cannot_be_opened_says_why(tmp_path):
    mp4 = write_video(tmp_path / "clip.mp4", make_frames(), "libx264")
    (tmp_path / "half.mp4").write_bytes(mp4.read_bytes()[:300])
    expect_error(tmp_path / "half.mp4", "300 bytes", "moov atom not found")
    avi = write_video(tmp_path / "clip.avi", make_frames())
    (tmp_path / "header.avi").write_bytes(avi.read_bytes()[:4000])
    expect_error(tmp_path / "header.avi", "4000 bytes", "as avi")
    (tmp_path / "broken.gif").write_bytes(b"GIF89a\x10\x00\x10\x00\x00\x00\x00;")
    expect_error(tmp_path / "broken.gif", "gif")


def test_an_unknown_codec_is_named(tmp_path):
    path = write_video(tmp_path / "clip.avi", make_frames())
    path.write_bytes(path.read_bytes().replace(b"MJPG", b"ZZZZ"))
    expect_error(path, "codec", "ZZZZ", "ffmpeg -i")


def test_a_file_without_pictures_is_refused(tmp_path):
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
        container.mux(stream.encode())
    expect_error(path, "without pictures (audio)")


def test_frames_whose_size_changes_are_refused(tmp_path):
    both = tmp_path / "both.ts"
    small = write_video(tmp_path / "a.ts", make_frames(), "mpeg2video", kind="mpegts")
    large = np.pad(make_frames(), ((0, 0), (0, 16), (0, 16)))
    large = write_video(tmp_path / "b.ts", large, "mpeg2video", kind="mpegts")
    both.write_bytes(small.read_bytes() + large.read_bytes())
    expect_error(both, "64 x 48 px in the first", "80 x 64 px")


def test_what_does_not_fit_into_memory_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    path = write_video(tmp_path / "clip.mp4", make_frames(), "libx264")
    monkeypatch.setenv("ECHOLIB_MEMORY", "20K")
    with pytest.raises(DataError, match=r"7 frames of 64 x 48 px would take .* ECHOLIB_MEMORY="):
        read_video(path)


@pytest.mark.parametrize(
    ("codec", "pixels", "place", "kind"),
    [("ffv1", "bgra", 3, "matroska"), ("qtrle", "argb", 0, "mov")],
)
def test_an_alpha_channel_that_nothing_uses_hides_nothing(tmp_path, codec, pixels, place, kind):
    """As in uncompressed films of 32 bits, whose fourth byte is 0."""
    clips = []
    for alpha in (0, 255):
        frames = np.repeat(make_frames()[..., None], 4, axis=3)
        frames[..., place] = alpha
        path = tmp_path / f"{alpha}.{kind}"
        with path.open("w+b") as file, av.open(file, "w", format=kind) as container:
            stream = container.add_stream(codec, rate=25)
            stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, pixels
            for frame in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, pixels)))
            container.mux(stream.encode())
        clips.append(read_video(path).frames)
    np.testing.assert_array_equal(*clips)
    assert difference(clips[0], make_frames()) < 2


def test_a_damaged_frame_does_not_move_the_later_ones(tmp_path):
    frames = np.stack([np.full((48, 64), 20 * index, np.uint8) for index in range(1, 11)])
    path = write_video(tmp_path / "clip.avi", frames, fps=50)
    data = bytearray(path.read_bytes())
    first = data.index(b"movi")
    places = [i for i in range(first, len(data)) if data.startswith(b"00dc", i)][:10]
    for broken in (4, 5):
        size = int.from_bytes(data[places[broken] + 4 : places[broken] + 8], "little")
        data[places[broken] + 8 : places[broken] + 8 + size] = bytes(size)
    path.write_bytes(data)
    with pytest.warns(UserWarning, match="2 of 10 frames are damaged.*The 8 frames that decode are "
                      "used, for 2 others the frame before"):  # fmt: skip
        video = read_video(path)
    shown = video.frames.mean(axis=(1, 2)) / 20
    np.testing.assert_allclose(shown, [1, 2, 3, 4, 4, 4, 7, 8, 9, 10], atol=0.1)
    assert video.fps == 50


def test_one_picture_that_is_held_does_not_change_the_rate(tmp_path):
    frames = np.concatenate([make_frames()] * 3)
    times = [0, *range(1000, 1000 + 40 * (len(frames) - 1), 40)]
    path = write_video(tmp_path / "clip.mkv", frames, "ffv1", times=times, kind="matroska")
    with pytest.warns(UserWarning, match="from 40 to 1000 ms. The usual rate is used"):
        assert read_video(path).fps == 25
