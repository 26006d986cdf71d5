"""Outlines, checked pixel by pixel where it matters; videos and GIFs, read back."""

import numpy as np
import pytest
from PIL import Image
from skimage.draw import disk

from echolib.data.clips import read_clip
from echolib.data.video import read_video
from echolib.figures.film import write_gif, write_video
from echolib.figures.overlay import (
    GREEN,
    PINK,
    Film,
    add_outlines,
    brightened,
    draw_outlines,
    enlarge,
    outlined,
)
from echolib.masks import PackedMasks
from tests.data.files import read_rgb


def make_frames(count=4, shape=(60, 80)) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 90, (count, *shape)).astype(np.uint8)


def make_masks(count=4, shape=(60, 80), centre=(30, 25), radius=12) -> np.ndarray:
    masks = np.zeros((count, *shape), bool)
    masks[(slice(None), *disk(centre, radius, shape=shape))] = True
    return masks


def near(picture: np.ndarray, colour, tolerance=60) -> np.ndarray:
    return np.abs(picture.astype(int) - colour).max(axis=-1) < tolerance


def test_dark_grey_levels_are_raised_in_their_order():
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    bright = brightened(levels)
    assert bright.dtype == np.uint8 and bright.shape == levels.shape
    assert (bright >= levels).all() and (np.diff(bright.ravel().astype(int)) >= 0).all()
    assert bright.min() == 0 and bright.max() == 255 and bright[0, 4, 0] > 120  # 64 before


def test_small_frames_are_enlarged_and_large_ones_are_not():
    assert enlarge(np.zeros((2, 112, 112), np.uint8)).shape == (2, 448, 448, 3)
    assert enlarge(np.zeros((1, 112, 200), np.uint8)).shape == (1, 336, 600, 3)
    assert enlarge(np.zeros((1, 600, 800), np.uint8)).shape == (1, 600, 800, 3)
    assert enlarge(np.zeros((1, 10, 20), np.uint8), scale=1.5).shape == (1, 15, 30, 3)
    frames = make_frames()
    np.testing.assert_array_equal(enlarge(frames, scale=1)[..., 1], frames)


@pytest.mark.parametrize("scale", [1, 6])
def test_the_outline_runs_along_the_edge_and_nowhere_else(scale):
    frames = np.zeros((1, 60, 80), np.uint8)
    picture = draw_outlines(frames, make_masks(1), scale)[0]
    rows, columns = np.nonzero(picture.any(axis=-1))
    # Pixel centres are at integers, also of the enlarged picture.
    y, x = (rows + 0.5) / scale - 0.5, (columns + 0.5) / scale - 0.5
    distance = np.hypot(y - 30, x - 25)
    assert 9.9 < distance.min() and distance.max() < 13.5
    assert np.median(distance) == pytest.approx(11.9, abs=0.25 + 0.5 / scale)
    angles = np.sort(np.arctan2(y - 30, x - 25))
    assert np.diff(angles).max() < 0.2  # closed


def test_every_component_and_every_hole_is_outlined():
    masks = make_masks(1)
    masks |= make_masks(1, centre=(45, 65), radius=6)
    masks &= ~make_masks(1, radius=4)
    picture = draw_outlines(np.zeros((1, 60, 80), np.uint8), masks, 1)[0]
    drawn = near(picture, PINK)
    assert drawn[45, 58:61].any()  # the second component
    assert drawn[30, 13:16].any()  # the first
    assert drawn[30, 19:23].any()  # its hole


def test_each_frame_gets_its_own_mask_and_an_empty_one_draws_nothing():
    frames, masks = make_frames(2), make_masks(2)
    masks[1] = False
    plain, drawn = enlarge(frames, 2), draw_outlines(frames, masks, 2)
    assert (drawn[0] != plain[0]).any()
    np.testing.assert_array_equal(drawn[1], plain[1])


def test_fill_is_translucent_and_stays_inside():
    frames = np.full((1, 60, 80), 100, np.uint8)
    picture = add_outlines(enlarge(frames, 1), make_masks(1), (200, 0, 0), 0.5)[0]
    np.testing.assert_array_equal(picture[30, 25], [150, 50, 50])
    np.testing.assert_array_equal(picture[30, 60], [100, 100, 100])


def test_a_reference_has_its_own_colour():
    frames = np.zeros((1, 60, 80), np.uint8)
    reference = make_masks(1, centre=(30, 60), radius=8)
    pictures = add_outlines(enlarge(frames, 1), reference, GREEN)
    picture = add_outlines(pictures, make_masks(1), PINK)[0]
    assert near(picture, PINK)[:, :40].any() and not near(picture, PINK)[:, 40:].any()
    assert near(picture, GREEN)[:, 40:].any() and not near(picture, GREEN)[:, :40].any()


@pytest.mark.parametrize(
    ("masks", "reason"),
    [
        (make_masks(3), "one mask per frame"),
        (make_masks(4).astype(np.uint8), "bool"),
        (make_masks(4, shape=(80, 60)), "proportions"),
    ],
)
def test_masks_that_do_not_match_are_refused(masks, reason):
    with pytest.raises(ValueError, match=reason):
        add_outlines(enlarge(make_frames()), masks, PINK)


@pytest.mark.parametrize("shape", [(11, 448), (11, 900), (900, 11), (27, 448)])
def test_a_long_frame_may_be_rounded_to_a_whole_px(shape):
    for scale in (0.5, 0.3, 0.77):
        smaller = tuple(round(side * scale) for side in shape)
        pictures = np.zeros((1, *smaller, 3), np.uint8)
        masks = np.zeros((1, *shape), bool)
        masks[:, 4:-4, 4:-4] = True
        assert add_outlines(pictures, masks, PINK).any()


def test_a_film_draws_a_picture_only_when_it_is_asked_for():
    frames, masks = make_frames(4), make_masks(4)
    drawn = []
    film = Film((4, 5, 6, 3), lambda index: drawn.append(index) or np.full((5, 6, 3), index))
    assert len(film) == 4 and film.ndim == 4 and not drawn
    assert film[-1][0, 0, 0] == 3 and drawn == [3]
    with pytest.raises(IndexError, match="picture 4 of 4"):
        film[4]
    assert np.array_equal(film[1:, ::2, 0, 0], [[1] * 3, [2] * 3, [3] * 3])
    pictures = draw_outlines(frames, masks, 2, fill=0.3)
    assert np.array_equal(outlined(frames, PackedMasks.pack(masks), 2, fill=0.3), pictures)
    assert np.array_equal(outlined(frames, masks, 2, fill=0.3)[2], pictures[2])


def moving_square(count=12, shape=(97, 131)) -> np.ndarray:
    """A pink square on grey frames of odd size, which moves 6 px to the right per frame."""
    pictures = np.full((count, *shape, 3), 60, np.uint8)
    for index, picture in enumerate(pictures):
        picture[30:60, 6 * index : 6 * index + 30] = PINK
    return pictures


@pytest.mark.parametrize("suffix", [".webm", ".mp4"])
@pytest.mark.parametrize("fps", [25, 50, 33.3])
def test_videos_are_read_back_as_they_were_written(tmp_path, suffix, fps, capfd):
    pictures = moving_square(6)
    path = write_video(tmp_path / f"clip{suffix}", pictures, fps)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert capfd.readouterr() == ("", "")
    assert read_video(path).fps == pytest.approx(fps, rel=0.02)
    read = read_rgb(path)
    assert read.shape == (6, 98, 132, 3)
    assert np.abs(read[:, :97, :131].astype(int) - pictures).mean(axis=(1, 2, 3)).max() < 5


def test_a_failed_video_leaves_nothing_behind(tmp_path):
    with pytest.raises(ValueError, match=r"\.mp4 or \.webm"):
        write_video(tmp_path / "clip.avi", moving_square(2), 25)
    with pytest.raises(ValueError, match="uint8 RGB"):
        write_video(tmp_path / "clip.webm", moving_square(2)[..., 0], 25)
    with pytest.raises(ValueError, match="fps: expected 0.01 to"):
        write_gif(tmp_path / "clip.gif", moving_square(2), 0)
    with pytest.raises(ValueError, match="at least one picture"):
        write_video(tmp_path / "clip.mp4", [], 25)
    pictures = [moving_square(1)[0], moving_square(1, (60, 80))[0]]
    with pytest.raises(ValueError, match="all of 98 x 132 px, found one of 60 x 80 px"):
        write_video(tmp_path / "clip.mp4", pictures, 25)
    assert not list(tmp_path.iterdir())


def test_a_video_that_cannot_be_written_says_why(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        write_video(tmp_path / "file" / "clip.mp4", moving_square(2), 25)
    wide = np.zeros((1, 2, 17000, 3), np.uint8)  # wider than H.264 allows
    with pytest.raises(OSError, match=r"clip\.mp4: the file cannot be written: "):
        write_video(tmp_path / "clip.mp4", wide, 25)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("name", ["A4C:1.mp4", "res:1.webm", "http:x.mp4", "%d.mp4"])
def test_no_name_means_anything_but_a_file(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write_video(name, moving_square(2), 25)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert len(read_clip(name).frames) == 2


@pytest.mark.parametrize(("fps", "kept"), [(10, 12), (30, 12), (50, 12), (100, 6), (60, 6)])
def test_gif_keeps_the_duration_of_the_clip(tmp_path, fps, kept):
    path = write_gif(tmp_path / "clip.gif", moving_square(), fps)
    with Image.open(path) as gif:
        delays = []
        for index in range(gif.n_frames):
            gif.seek(index)
            delays.append(gif.info["duration"])
        assert gif.info["loop"] == 0
    assert len(delays) == kept
    assert min(delays) >= 20
    assert sum(delays) == pytest.approx(1000 * 12 / fps, abs=5)


def test_gif_keeps_greys_and_the_colour_of_a_thin_outline(tmp_path):
    ramp = np.tile(np.arange(256, dtype=np.uint8), (2, 256, 1))
    masks = make_masks(2, shape=(256, 256), centre=(100, 100), radius=40)
    pictures = draw_outlines(ramp, masks, 1)
    with Image.open(write_gif(tmp_path / "clip.gif", pictures, 20)) as gif:
        read = np.asarray(gif.convert("RGB")).astype(int)
    error = np.abs(read - pictures[0])
    assert error[200].max() <= 2  # a row of greys
    outline = near(pictures[0], PINK, 40)
    assert outline.sum() > 100 and error[outline].max() < 20


def test_a_written_gif_is_a_readable_clip(tmp_path):
    frames = make_frames()
    clip = read_clip(write_gif(tmp_path / "clip.gif", enlarge(frames, 1), 25))
    assert clip.fps == 25 and len(clip.frames) == len(frames)
    np.testing.assert_allclose(clip.frames.astype(int), frames, atol=2)
