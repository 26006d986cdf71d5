"""Masks of the mitral leaflets in every frame of a clip: find the valve, then look closely.

Two kinds of network share the work. One sees whole frames and says where the leaflets are and
how far they reach over the beat, the valve's box; it looks twice, the second time at enlarged
surroundings, because on some screens the whole heart is small. Others see what lies around the
box, enlarged further, so that a leaflet is several pixels thick. Leaflets are two pieces or one,
often torn: no piece is ever thrown away for being small.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from skimage.measure import label, regionprops
from torch import Tensor, nn
from torch.nn.functional import affine_grid, grid_sample

from ..config import device as default_device
from ..config import weights_folder
from ..data.letterbox import Crop, Letterbox
from ..data.valve.squares import CLOSE, WHOLE, Bounds, crop_around
from ..errors import DataError
from ..files import atomic_path
from ..networks.inference import predict_regions
from ..networks.models import UNet, find_weights, load_model

BATCH = 32
SETTINGS_FILE = "valve.json"  # beside the networks of a finder
BOX_FRAMES = 24  # of a clip, evenly spread, that tell its box
# side of the second look, in longer sides of the box: an EchoNet-Dynamic frame is as wide as that
WIDE = 2.9
FAINT = 0.1  # of a box's probability: below it nothing was found
# how the picture is turned (degrees) and enlarged before a network sees it
PLAIN = ((0.0, 1.0),)
VIEWS = ((0.0, 1.0), (8.0, 1.0), (-8.0, 1.0), (0.0, 1.12), (0.0, 0.9))
SETTINGS = ("size", "close_size", "threshold", "views", "share", "smoothing")  # of a finder


@dataclass(frozen=True)
class ValveFinder:
    """Networks and settings that make masks of the leaflets.

    whole: network of whole frames, its outputs the leaflets and what else lies in the box; with
    one output (no box) only alone. close: networks of the valve seen closely, averaged; without
    any, the whole frame decides. size, close_size: px of the squares they see. threshold: of the
    probability. views: turns and zooms over which close networks are averaged. share: weight of
    the whole frame's network beside the close ones, 0 to 1. smoothing: standard deviation in
    frames of a Gaussian over time, 0 for none.
    """

    whole: nn.Module
    close: tuple[nn.Module, ...] = ()
    size: int = WHOLE
    close_size: int = CLOSE
    threshold: float = 0.5
    views: tuple[tuple[float, float], ...] = PLAIN
    share: float = 0.0
    smoothing: float = 0.0

    def masks(
        self,
        frames: np.ndarray,
        chosen: Sequence[int] | None = None,
        device: torch.device | None = None,
    ) -> np.ndarray:
        """Masks (T, H, W) bool of the leaflets on frames (T, H, W) uint8 of one clip.

        chosen: frames to answer for, all by default; (n, H, W) then, without smoothing over time.
        """
        squares, place = self.probabilities(frames, chosen, device)
        if chosen is None and self.smoothing > 0:
            squares = gaussian_filter1d(squares, self.smoothing, axis=0, mode="nearest")
        return np.stack([place.back(square) >= self.threshold for square in squares])

    def probabilities(
        self,
        frames: np.ndarray,
        chosen: Sequence[int] | None = None,
        device: torch.device | None = None,
    ) -> tuple[np.ndarray, Letterbox | Crop]:
        """Probabilities (n, S, S) float32 on a square, and where on the frame the square lies."""
        device = device or default_device()
        shape, last = frames.shape[1:], len(frames) - 1
        chosen = np.arange(len(frames)) if chosen is None else np.asarray(chosen, int)
        if not len(chosen) or chosen.min() < 0 or chosen.max() > last:
            raise ValueError(f"Expected some of the frames 0 to {last}, got {chosen}.")
        if not self.close:
            letterbox = Letterbox(*shape, self.size)
            return self._regions(frames, chosen, letterbox, device)[:, 0], letterbox
        looked = np.union1d(chosen, _spread(len(frames)))
        regions, wide = self._look_twice(frames, looked, device)
        crop = crop_around(find_box(regions, wide), shape, self.close_size)
        closely = np.zeros((len(chosen), self.close_size, self.close_size), np.float32)
        for model in self.close:
            images = _squares(frames, chosen, crop, model.arguments["inputs"])
            closely += _seen(model, images, self.views, device) / len(self.close)
        if self.share > 0:
            places = np.searchsorted(looked, chosen)
            carried = np.stack([_carried(regions[i, 0], wide, crop) for i in places])
            closely += self.share * (carried - closely)
        return closely, crop

    def _regions(
        self, frames: np.ndarray, chosen: np.ndarray, place: Letterbox | Crop, device: torch.device
    ) -> np.ndarray:
        """(n, outputs, S, S) of the whole frames' network, on chosen frames."""
        images = _squares(frames, chosen, place, self.whole.arguments["inputs"])
        return predict_regions(self.whole, images, device, BATCH)

    def _look_twice(
        self, frames: np.ndarray, chosen: np.ndarray, device: torch.device
    ) -> tuple[np.ndarray, Crop]:
        """Regions (n, outputs, S, S) of chosen frames around the box that the whole frames show,
        where the heart may be small, and where on the frame that lies."""
        letterbox, spread = Letterbox(*frames.shape[1:], self.size), _spread(len(frames))
        box = find_box(self._regions(frames, spread, letterbox, device), letterbox)
        wide = crop_around(box, frames.shape[1:], self.size, WIDE)
        return self._regions(frames, chosen, wide, device), wide

    def box(self, frames: np.ndarray, device: torch.device | None = None) -> Bounds:
        """The valve's box in px of frames (T, H, W) uint8 of one clip."""
        return find_box(*self._look_twice(frames, _spread(len(frames)), device or default_device()))


def find_box(regions: np.ndarray, place: Letterbox | Crop) -> Bounds:
    """The valve's box in px of the source, from regions (n, 2, S, S) of frames of one clip.

    The mean over the frames of what is leaflet or box, above one half (or above half of its
    highest value, where it is unsure), the largest piece of it: a box, unlike a leaflet, is one
    piece. The whole frame where nothing is found.
    """
    if regions.shape[1] < 2:
        raise ValueError("This network knows no box: it has one output, the leaflets.")
    inside = regions[:, :2].sum(axis=1).mean(axis=0)
    highest = float(inside.max())
    corners = np.array([[-0.5, -0.5], [place.width - 0.5, place.height - 0.5]])
    if highest >= FAINT:
        pieces = regionprops(label(inside >= min(0.5, 0.5 * highest)))
        top, left, bottom, right = max(pieces, key=lambda piece: piece.area).bbox
        found = place.points_back(np.array([[left, top], [right, bottom]]) - 0.5)
        corners = np.clip(found, corners[0], corners[1])
    return tuple(float(edge) for edge in corners.ravel())


def _spread(count: int) -> np.ndarray:
    """Numbers of frames, rising, that stand for a clip of `count` frames."""
    return np.unique(np.linspace(0, count - 1, BOX_FRAMES).round().astype(int))


def _squares(
    frames: np.ndarray, chosen: np.ndarray, place: Letterbox | Crop, inputs: int
) -> np.ndarray:
    """(n, inputs, S, S) uint8: the chosen frames' squares, with three inputs between those of
    the frames beside them."""
    beside = (0,) if inputs == 1 else (-1, 0, 1)
    numbers = np.clip(chosen[:, None] + beside, 0, len(frames) - 1)
    needed, index = np.unique(numbers, return_inverse=True)
    squares = np.stack([place.image(frames[number]) for number in needed])
    return squares[index.reshape(numbers.shape)]


def _seen(
    model: nn.Module, images: np.ndarray, views: tuple[tuple[float, float], ...], device
) -> np.ndarray:
    """Leaflets' probabilities (n, S, S), averaged over turned and enlarged views."""
    if views == PLAIN:
        return predict_regions(model, images, device, BATCH, first=1)[:, 0]
    total = np.zeros((len(images), *images.shape[2:]), np.float32)
    seen = np.zeros(images.shape[2:], np.float32)
    whole = torch.ones(1, 1, *images.shape[2:])
    for degrees, zoom in views:
        turned = _turned(torch.from_numpy(images).float(), degrees, zoom)
        answer = predict_regions(model, turned.round().byte().numpy(), device, BATCH, first=1)
        total += _turned(torch.from_numpy(answer), -degrees, 1 / zoom)[:, 0].numpy()
        inside = _turned(whole, degrees, zoom)
        seen += _turned(inside, -degrees, 1 / zoom)[0, 0].numpy()
    return total / np.maximum(seen, 1.0)  # corners are turned out of the square in some views


def _turned(images: Tensor, degrees: float, zoom: float) -> Tensor:
    """Images (n, C, S, S) turned about their middle and enlarged; what is bare is black."""
    if degrees == 0 and zoom == 1:
        return images
    angle = np.radians(degrees)
    cosine, sine = np.cos(angle) / zoom, np.sin(angle) / zoom
    matrix = torch.tensor([[cosine, -sine, 0.0], [sine, cosine, 0.0]], dtype=torch.float32)
    grid = affine_grid(matrix.expand(len(images), 2, 3), images.shape, align_corners=False)
    return grid_sample(images, grid, align_corners=False)


def _carried(values: np.ndarray, place: Letterbox | Crop, crop: Crop) -> np.ndarray:
    """Values (S, S) of a square as another crop's square sees them."""
    line = np.arange(crop.size)
    points = np.stack(np.meshgrid(line, line), axis=-1)
    places = place.points(crop.points_back(points))
    grid = (2 * torch.from_numpy(places) + 1) / place.size - 1
    image = torch.from_numpy(np.ascontiguousarray(values))[None, None]
    return grid_sample(image, grid[None], align_corners=False)[0, 0].numpy()


# --- On disk --------------------------------------------------------------------------------------


def save_settings(finder: ValveFinder, path: str | Path) -> None:
    """Write what a finder's networks are used with, as JSON."""
    settings = {name: getattr(finder, name) for name in SETTINGS}
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")


def finder_files(name_or_folder: str | Path) -> tuple[Path, list[Path], dict]:
    """The whole frame's weights, the close ones, and the settings of a finder.

    name_or_folder: "valve", the finder that comes with the package; a folder written by
    `train_finder`; or the weights of one network of whole frames, used alone. Raises DataError
    where there is none of them, or settings that are none.
    """
    folder, shipped = Path(name_or_folder), weights_folder()
    if (folder / SETTINGS_FILE).is_file():
        settings, close = _settings(folder / SETTINGS_FILE), sorted(folder.glob("close-*"))
        if not close:
            raise DataError(f"{folder} lacks the folders close-0, close-1, ... Train anew.")
        return folder / "whole", close, settings
    if (shipped / f"{name_or_folder}_whole.safetensors").is_file():
        whole, close = (shipped / f"{name_or_folder}_{p}.safetensors" for p in ("whole", "close"))
        return whole, [close], _settings(shipped / f"{name_or_folder}.json")
    return find_weights(name_or_folder), [], {}


def _settings(path: Path) -> dict:
    """Settings as `save_settings` writes them. Raises DataError for others."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        settings = {name: float(found[name]) for name in ("threshold", "share", "smoothing")}
        settings |= {name: int(found[name]) for name in ("size", "close_size")}
        views = tuple((float(degrees), float(zoom)) for degrees, zoom in found["views"])
        sound = 0 < settings["threshold"] < 1 and 0 <= settings["share"] <= 1
        sound &= 0 <= settings["smoothing"] < np.inf and bool(views)
        sound &= all(np.isfinite(turn) and 0.1 < zoom < 10 for turn, zoom in views)
        sound &= min(settings["size"], settings["close_size"]) >= 16
    except (OSError, ValueError, TypeError, AttributeError, KeyError, OverflowError):
        sound = False
    if not sound:
        raise DataError(
            f"{path}: expected the settings {SETTINGS} of a finder of valves, found others. Train "
            "anew, or take the file from where the networks came."
        )
    return settings | {"views": views}


def load_finder(name_or_folder: str | Path = "valve") -> ValveFinder:
    """A finder from `finder_files`, its networks in evaluation mode.

    Raises DataError for networks that do not find leaflets.
    """
    whole, close, settings = finder_files(name_or_folder)
    network, card = load_model(whole)
    others = [load_model(path)[0] for path in close]
    for path, model in zip([whole, *close], [network, *others], strict=True):
        outputs = model.arguments.get("outputs", 0) if isinstance(model, UNet) else 0
        if outputs not in (1, 2) or (path == whole and close and outputs != 2):
            expected = "leaflets and box" if path == whole and close else "leaflets"
            raise DataError(
                f"{path} holds {type(model).__name__}({model.arguments}), which does not find "
                f"{expected}. Use the weights `valve`, or networks of `mitral train`."
            )
    settings = settings or {"size": card.get("size", WHOLE)}
    return ValveFinder(network, tuple(others), **settings)
