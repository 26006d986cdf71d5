"""Masks of the mitral leaflets in every frame of a clip: find the valve, then enlarge it.

Two kinds of network share the work. A network of whole frames predicts the leaflets and the
valve's box, the region that the leaflets cover over the beat. It runs twice, the second time on an
enlarged region around the first box, because the heart is small on some screens. Close networks
get a crop around the box, enlarged further, so that a leaflet is several pixels thick. The
leaflets form one or two pieces and are often torn, so no piece is removed for being small.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from skimage.measure import label, regionprops
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from ..arrays import evenly
from ..config import weights_folder
from ..data.clips import Clip
from ..data.letterbox import Crop, Letterbox
from ..data.sector import DARK, SectorBox, sector_window
from ..data.valve.squares import CLOSE, WHOLE, Bounds, crop_around
from ..errors import DataError
from ..files import read_json, write_json
from ..masks import PackedMasks
from ..networks.inference import outline, predict_regions
from ..networks.models import Encoder, UNet, load_model
from ..networks.pretrained import find_weights, pretrained_names, warn_of_namesakes

MAX_SIZE = 2048  # px, side of a square
SETTINGS_FILE = "valve.json"  # beside the networks of a finder
BOX_FRAMES = 24  # frames of a clip, evenly spread, from which its box is found
# side of the crop of the second run, as a multiple of the longer side of the box; a frame of
# EchoNet-Dynamic is about as wide
WIDE_CONTEXT = 2.9
MIN_BOX_PROBABILITY = 0.1  # below it, no box is found
# rotation (degrees) and zoom of the picture before a network sees it
PLAIN_VIEW = ((0.0, 1.0),)
CLOSE_VIEWS = ((0.0, 1.0), (8.0, 1.0), (-8.0, 1.0), (0.0, 1.12), (0.0, 0.9))
SETTINGS = ("size", "close_size", "threshold", "views", "share", "smoothing")  # of a finder


@dataclass(frozen=True)
class ValveFinder:
    """Networks and settings that make masks of the leaflets.

    whole: network of whole frames. Its outputs are the leaflets and the rest of the box; a network
    with one output (no box) works only without close networks. close: networks of the crop around
    the box, which are averaged; without them, `whole` alone makes the masks. size, close_size: side
    of the square input of `whole` and `close`, px. threshold: of the probability. views: rotations
    (degrees) and zooms over which the close networks are averaged. share: weight of `whole` beside
    the close networks, 0 to 1. smoothing: standard deviation of a Gaussian over time, in frames, 0
    for none.
    """

    whole: Encoder
    close: tuple[Encoder, ...] = ()
    size: int = WHOLE
    close_size: int = CLOSE
    threshold: float = 0.5
    views: tuple[tuple[float, float], ...] = PLAIN_VIEW
    share: float = 0.0
    smoothing: float = 0.0

    def outline(self, clip: Clip) -> PackedMasks:
        """Masks (T, H, W) of the leaflets in a clip, as `masks` gives them."""
        return PackedMasks.pack(self._masks(clip.frames, None))

    def masks(self, frames: np.ndarray, chosen: Sequence[int] | None = None) -> np.ndarray:
        """Masks (T, H, W) bool of the leaflets on frames (T, H, W) uint8 of one clip.

        chosen: numbers of n frames; then the masks are (n, H, W) and not smoothed over time. By
        default all frames. A frame without any echo has no leaflets.
        """
        return np.stack(list(self._masks(frames, chosen)))

    def _masks(self, frames: np.ndarray, chosen: Sequence[int] | None) -> Iterator[np.ndarray]:
        squares, box = self.probabilities(frames, chosen)
        if chosen is None and self.smoothing > 0:
            squares = gaussian_filter1d(squares, self.smoothing, axis=0, mode="nearest")
        numbers = range(len(frames)) if chosen is None else chosen
        for number, square in zip(numbers, squares, strict=True):
            yield (box.back(square) >= self.threshold) & (frames[number].max() > DARK)

    def probabilities(
        self, frames: np.ndarray, chosen: Sequence[int] | None = None
    ) -> tuple[np.ndarray, SectorBox]:
        """Probabilities (n, S, S) float32 on a square, and the place of the square on the frame.

        frames, chosen: as for `masks`. The networks see only the sector of the frames.
        """
        rows, columns = sector_window(frames)
        squares, part = self._sector_probabilities(frames[:, rows, columns], chosen)
        height, width = frames.shape[1:]
        return squares, SectorBox(height, width, rows, columns, part)

    def _sector_probabilities(
        self, frames: np.ndarray, chosen: Sequence[int] | None
    ) -> tuple[np.ndarray, Letterbox | Crop]:
        count, height, width = frames.shape
        numbers = np.arange(count) if chosen is None else np.asarray(chosen, int)
        if not len(numbers) or numbers.min() < 0 or numbers.max() >= count:
            raise ValueError(
                f"chosen: expected frame numbers from 0 to {count - 1}, found {numbers}."
            )
        if not self.close:
            letterbox = Letterbox(height, width, self.size)
            return self._whole_regions(frames, numbers, letterbox)[:, 0], letterbox
        needed = np.union1d(numbers, evenly(count, BOX_FRAMES))
        regions, wide = self._wide_regions(frames, needed)
        crop = crop_around(find_box(regions, wide), (height, width), self.close_size)
        probabilities = np.zeros((len(numbers), self.close_size, self.close_size), np.float32)
        for model in self.close:
            images = _squares(frames, numbers, crop, model.arguments["inputs"])
            probabilities += _mean_over_views(model, images, self.views) / len(self.close)
        if self.share > 0:
            indices = np.searchsorted(needed, numbers)
            whole = np.stack([_resample(regions[i, 0], wide, crop) for i in indices])
            probabilities += self.share * (whole - probabilities)
        return probabilities, crop

    def _whole_regions(
        self, frames: np.ndarray, chosen: np.ndarray, place: Letterbox | Crop
    ) -> np.ndarray:
        """Outputs (n, outputs, S, S) of the network of whole frames, for the chosen frames."""
        images = _squares(frames, chosen, place, self.whole.arguments["inputs"])
        return predict_regions(self.whole, images)

    def _wide_regions(self, frames: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, Crop]:
        """Outputs (n, outputs, S, S) of the second run, for the chosen frames, and its crop.

        The first run, on whole frames, finds the box around which the crop lies.
        """
        count, height, width = frames.shape
        letterbox, sampled = Letterbox(height, width, self.size), evenly(count, BOX_FRAMES)
        box = find_box(self._whole_regions(frames, sampled, letterbox), letterbox)
        wide = crop_around(box, (height, width), self.size, WIDE_CONTEXT)
        return self._whole_regions(frames, chosen, wide), wide

    def box(self, frames: np.ndarray) -> Bounds:
        """The valve's box in px of frames (T, H, W) uint8 of one clip."""
        rows, columns = sector_window(frames)
        frames = frames[:, rows, columns]
        regions, place = self._wide_regions(frames, evenly(len(frames), BOX_FRAMES))
        left, top, right, bottom = find_box(regions, place)
        x, y = columns.start, rows.start
        return left + x, top + y, right + x, bottom + y


def find_box(regions: np.ndarray, place: Letterbox | Crop) -> Bounds:
    """Find the valve's box in px of the source, from outputs (n, 2, S, S) for frames of one clip.

    The outputs are the probabilities of the leaflets and of the rest of the box. Their sum is
    averaged over the frames; the box bounds the largest piece above one half, or above half of the
    maximum where the maximum is below 1. Unlike the leaflets, the box is a single piece. Returns
    the whole frame where no box is found. Raises ValueError for a network without a box.
    """
    if regions.shape[1] < 2:
        raise ValueError(
            "This network predicts no box: it has one output, the leaflets. Use it without close "
            "networks, or use a network with two outputs."
        )
    inside = regions[:, :2].sum(axis=1).mean(axis=0)
    highest = float(inside.max())
    corners = np.array([[-0.5, -0.5], [place.width - 0.5, place.height - 0.5]])
    if highest >= MIN_BOX_PROBABILITY:
        pieces = regionprops(label(inside >= min(0.5, 0.5 * highest)))
        top, left, bottom, right = max(pieces, key=lambda piece: piece.area).bbox
        box = place.points_back(np.array([[left, top], [right, bottom]]) - 0.5)
        corners = np.clip(box, corners[0], corners[1])
    left, top, right, bottom = (float(edge) for edge in corners.ravel())
    return left, top, right, bottom


def _squares(
    frames: np.ndarray, chosen: np.ndarray, place: Letterbox | Crop, inputs: int
) -> np.ndarray:
    """(n, inputs, S, S) uint8 squares of the chosen frames.

    With three inputs, each square lies between the squares of the previous and the next frame.
    """
    offsets = (0,) if inputs == 1 else (-1, 0, 1)
    numbers = np.clip(chosen[:, None] + offsets, 0, len(frames) - 1)
    needed, index = np.unique(numbers, return_inverse=True)
    squares = np.stack([place.image(frames[number]) for number in needed])
    return squares[index.reshape(numbers.shape)]


def _mean_over_views(
    model: Encoder, images: np.ndarray, views: tuple[tuple[float, float], ...]
) -> np.ndarray:
    """Probabilities (n, S, S) of the leaflets, averaged over rotated and zoomed views."""
    if views == PLAIN_VIEW:
        return predict_regions(model, images, first=1)[:, 0]
    total = np.zeros((len(images), *images.shape[2:]), np.float32)
    coverage = np.zeros(images.shape[2:], np.float32)
    ones = torch.ones(1, 1, *images.shape[2:])
    for degrees, zoom in views:
        view = _rotate_and_zoom(torch.from_numpy(images).float(), degrees, zoom)
        answer = predict_regions(model, view.round().byte().numpy(), first=1)
        total += _rotate_and_zoom(torch.from_numpy(answer), -degrees, 1 / zoom)[:, 0].numpy()
        inside = _rotate_and_zoom(ones, degrees, zoom)
        coverage += _rotate_and_zoom(inside, -degrees, 1 / zoom)[0, 0].numpy()
    return total / np.maximum(coverage, 1.0)  # some views rotate corners out of the square


def _rotate_and_zoom(images: Tensor, degrees: float, zoom: float) -> Tensor:
    """Rotate images (n, C, S, S) about their centre and enlarge them; uncovered pixels are 0."""
    if degrees == 0 and zoom == 1:
        return images
    angle = np.radians(degrees)
    cosine, sine = np.cos(angle) / zoom, np.sin(angle) / zoom
    matrix = torch.tensor([[cosine, -sine, 0.0], [sine, cosine, 0.0]], dtype=torch.float32)
    grid = affine_grid(matrix.expand(len(images), 2, 3), list(images.shape), align_corners=False)
    return grid_sample(images, grid, align_corners=False)


def _resample(values: np.ndarray, place: Letterbox | Crop, crop: Crop) -> np.ndarray:
    """Resample values (S, S) on the square of `place` to the square of another crop."""
    line = np.arange(crop.size)
    points = np.stack(np.meshgrid(line, line), axis=-1)
    positions = place.points(crop.points_back(points))
    grid = (2 * torch.from_numpy(positions) + 1) / place.size - 1
    image = torch.from_numpy(np.ascontiguousarray(values))[None, None]
    return grid_sample(image, grid[None], align_corners=False)[0, 0].numpy()


def find_leaflets(source: Clip | np.ndarray, finder: ValveFinder | None = None) -> np.ndarray:
    """Make bool masks of the mitral leaflets, (T, H, W) for a clip or (H, W) for one frame.

    source: as for `networks.inference.outline`. finder: by default the package's own,
    `load_finder()`.
    """
    return outline(finder or load_finder(), source)


# --- On disk --------------------------------------------------------------------------------------


def save_settings(finder: ValveFinder, path: str | Path) -> None:
    """Write the settings of a finder as JSON; its networks are saved separately."""
    settings = {name: getattr(finder, name) for name in SETTINGS}
    write_json(settings, path)


def finder_files(name_or_folder: str | Path) -> tuple[Path, list[Path], dict]:
    """Weights of the network of whole frames, weights of the close networks, and settings.

    name_or_folder: "valve", the package's own finder; a folder written by `train_finder`; or the
    weights of one network of whole frames, which is used alone, without settings. Raises DataError
    where none of these exists, or the settings are invalid.
    """
    name, folder, shipped = str(name_or_folder), Path(name_or_folder), weights_folder()
    own = folder / SETTINGS_FILE
    if _is_pretrained(name) and (isinstance(name_or_folder, str) or not own.is_file()):
        warn_of_namesakes(name, own)
        whole, near = (shipped / f"{name}_{part}.safetensors" for part in ("whole", "close"))
        return whole, [near], _settings(shipped / f"{name}.json")
    if own.is_file():
        settings, close = _settings(own), sorted(folder.glob("close-*"))
        if not close:
            raise DataError(f"{folder} lacks the folders close-0, close-1, ... Train again.")
        return folder / "whole", close, settings
    return find_weights(name_or_folder), [], {}


def is_finder(name_or_folder: str | Path) -> bool:
    """Whether a name or a folder stands for a finder, and not for a single network."""
    return _is_pretrained(str(name_or_folder)) or (Path(name_or_folder) / SETTINGS_FILE).is_file()


def _is_pretrained(name: str) -> bool:
    return f"{name}_whole" in pretrained_names()


def _settings(path: Path) -> dict:
    """Read a file of `save_settings`. Raises DataError for any other file."""
    try:
        content = read_json(path)
        settings = {name: float(content[name]) for name in ("threshold", "share", "smoothing")}
        settings |= {name: int(content[name]) for name in ("size", "close_size")}
        views = tuple((float(degrees), float(zoom)) for degrees, zoom in content["views"])
        valid = 0 < settings["threshold"] < 1 and 0 <= settings["share"] <= 1
        valid &= 0 <= settings["smoothing"] < np.inf and bool(views)
        valid &= all(np.isfinite(degrees) and 0.1 < zoom < 10 for degrees, zoom in views)
        valid &= all(16 <= settings[name] <= MAX_SIZE for name in ("size", "close_size"))
    except (ValueError, TypeError, AttributeError, KeyError, OverflowError):
        valid = False
    if not valid:
        raise DataError(
            f"{path}: expected the settings {', '.join(SETTINGS)} of a valve finder, found a "
            "damaged file or invalid values. Train again, or copy the file from the source of the "
            "networks."
        )
    return settings | {"views": views}


def load_finder(name_or_folder: str | Path = "valve") -> ValveFinder:
    """Load a finder from `finder_files`, with its networks in evaluation mode.

    Raises DataError for networks that do not find leaflets.
    """
    whole, close, settings = finder_files(name_or_folder)
    network = load_model(whole, "leaflets")
    close_networks = [load_model(path, "leaflets") for path in close]
    for path, model in zip([whole, *close], [network, *close_networks], strict=True):
        outputs = model.arguments.get("outputs", 0) if isinstance(model, UNet) else 0
        if outputs not in (1, 2) or (path == whole and close and outputs != 2):
            expected = "leaflets and box" if path == whole and close else "leaflets"
            raise DataError(
                f"{path} contains {type(model).__name__}({model.arguments}), which does not find "
                f"{expected}. Use the weights `valve`, or networks of `mitral train`."
            )
    settings = settings or {"size": network.size}
    return ValveFinder(network, tuple(close_networks), **settings)
