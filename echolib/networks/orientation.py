"""How a clip shows an apical view: in the usual way, upside down, mirrored, or perhaps not at all.

The networks learnt the usual display: the probe at the top, the left ventricle on the right. Some
centres turn it over or mirror it. A clip is turned for the networks, and their masks are turned
back, so that they lie on the frames as the file has them.

A sector is narrow at the probe, so its shape shows whether it is upside down. Whether it is
mirrored shows in the heatmaps of a landmarks network only: in the usual display they spread less.
`benchmarks/orientation.py` measures how often both rules are right. Where they spread widely,
the network does not know where the ventricle lies: the clip may show another view or no heart, or
be too poor. `benchmarks/views.py` measures how often this is noticed, and derives the limit.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from ..arrays import evenly
from ..cautions import Caution
from ..data.clips import Clip
from ..data.sector import centre_of_area, sector_box, shows_two
from ..masks import PackedMasks
from .heatmaps import heatmap_spread
from .models import SIZE, Encoder, LandmarkUNet
from .pretrained import pretrained_names
from .run import raw_answers

SAMPLED = 8  # frames of a clip, spread evenly, that are compared with their mirror images
HIGH_CENTRE = 0.47  # `centre_of_area` of a sector that is narrow at the bottom: at most 0.46
SURER = 0.9  # largest ratio of the spreads, mirrored to as shown, that counts as mirrored
SURE = 6.8 / 112  # of the square: with a larger spread, a mirror image is not believed
KNOWN = 6.5 / 112  # of the square: with a larger spread, a clip may show another view


@dataclass(frozen=True)
class Orientation:
    """How a clip is shown, compared with the usual display, and how to turn it.

    upside_down, mirrored: both mean rotated by 180 degrees. spreads: of the landmarks' heatmaps,
    px of the network's square, as shown and mirrored; None without a landmarks network. limit: the
    largest spread, px, with which such a network has recognised a left ventricle. two_pictures:
    side by side, of which the networks cannot know which one is meant.
    """

    upside_down: bool = False
    mirrored: bool = False
    spreads: tuple[float, float] | None = None
    limit: float = np.inf
    two_pictures: bool = False

    @property
    def spread(self) -> float:
        """Spread of the heatmaps in the usual display, px; NaN without a landmarks network."""
        return np.nan if self.spreads is None else self.spreads[int(self.mirrored)]

    @property
    def usual(self) -> bool:
        """Whether there is nothing to turn."""
        return not (self.upside_down or self.mirrored)

    def turn(self, images: np.ndarray) -> np.ndarray:
        """Images or masks (..., H, W) in the usual display, or back: a view, not a copy."""
        images = images[..., ::-1, :] if self.upside_down else images
        return images[..., ::-1] if self.mirrored else images

    def turn_clip(self, clip: Clip) -> Clip:
        """The clip in the usual display."""
        return clip if self.usual else replace(clip, frames=self.turn(clip.frames))

    def turn_masks(self, masks: PackedMasks) -> PackedMasks:
        """The masks of a clip in the usual display, or back."""
        return masks if self.usual else PackedMasks.pack(self.turn(mask) for mask in masks)

    def turn_points(self, points: np.ndarray, height: int, width: int) -> np.ndarray:
        """Points (..., 2) px of frames of that size in the usual display, or back."""
        turned = points.copy()
        if self.mirrored:
            turned[..., 0] = width - 1 - turned[..., 0]
        if self.upside_down:
            turned[..., 1] = height - 1 - turned[..., 1]
        return turned

    def warnings(self) -> list[Caution]:
        """Sentences about what was turned, and about what may be no four-chamber view."""
        sentences = []
        if self.two_pictures:
            sentences.append(
                Caution(
                    "two-pictures",
                    "The clip seems to show two pictures side by side. Outlines may run from one "
                    "into the other, and the numbers mean nothing then. Crop it to one of them.",
                )
            )
        if self.upside_down:
            sentences.append(
                Caution(
                    "upside-down",
                    "The clip is shown upside down: its sector is narrow at the bottom. The "
                    "networks got it turned over, top to bottom, and the outlines lie on the "
                    "frames of the file.",
                )
            )
        if self.mirrored and self.spreads is not None:
            shown, mirrored = self.spreads
            sentences.append(
                Caution(
                    "mirrored",
                    "The clip seems to be mirrored left to right: the networks recognise the left "
                    "ventricle better in its mirror image (spread of the landmarks "
                    f"{mirrored:.1f} px instead of {shown:.1f} px). They got the mirror image, "
                    "and the outlines lie on the frames of the file. Usually the left ventricle "
                    "is on the right: if it is there in this clip, do not trust the outlines.",
                )
            )
        if self.spread > self.limit:
            sentences.append(
                Caution(
                    "other-view",
                    "This may not be an apical four-chamber view, or its picture is too poor: the "
                    "networks do not recognise where the left ventricle lies (spread of the "
                    f"landmarks {self.spread:.1f} px, at most {self.limit:.1f} px is usual). Look "
                    "at the outlines: where they do not follow the left ventricle of a "
                    "four-chamber view, the numbers mean nothing. Give a clip of that view.",
                )
            )
        return sentences

    def warn(self, clip: Clip) -> None:
        """Warn of what was turned in a clip, or may be no four-chamber view."""
        for sentence in self.warnings():
            warnings.warn(f"{clip.name}: {sentence}", stacklevel=4)


def find_orientation(clip: Clip, network: Encoder | None = None) -> Orientation:
    """How a clip shows an apical view, from 8 of its frames.

    network: a landmarks network with heatmaps, by which mirrored clips are recognised and, where it
    is one of the package, other views. Without one, no clip counts as mirrored or as another view.
    A single frame never counts as mirrored: that would give too many false alarms.
    """
    box = sector_box(clip.frames, SIZE if network is None else network.size)
    chosen = clip.frames[evenly(len(clip.frames), SAMPLED)]
    squares = np.stack([box.image(frame) for frame in chosen])
    upside_down = centre_of_area(squares) < HIGH_CENTRE
    two = shows_two(clip.frames)
    if not isinstance(network, LandmarkUNet):
        return Orientation(upside_down, two_pictures=two)
    upright = Orientation(upside_down).turn(squares)
    shown, mirrored = _spreads(network, np.stack([upright, upright[..., ::-1]]))
    is_mirrored = len(chosen) > 1 and mirrored < min(SURER * shown, SURE * network.size)
    # the limit was measured with the networks of the package; the spread of others is not known
    limit = KNOWN * network.size if network.name in pretrained_names() else np.inf
    return Orientation(upside_down, is_mirrored, (shown, mirrored), limit, two)


def outline_upright(
    clip: Clip, outline: Callable[[Clip], PackedMasks], network: Encoder | None = None
) -> PackedMasks:
    """Masks (T, H, W) of a clip, by a function that expects the usual display.

    network: as for `find_orientation`. Warns where the clip had to be turned.
    """
    orientation = find_orientation(clip, network)
    orientation.warn(clip)
    return orientation.turn_masks(outline(orientation.turn_clip(clip)))


def _spreads(network: LandmarkUNet, displays: np.ndarray) -> list[float]:
    """Mean spread of the landmarks' heatmaps, px, in each display of squares (d, n, S, S) uint8."""
    squares = displays.reshape(-1, *displays.shape[-2:])
    (heatmaps,) = raw_answers(network, squares, len(squares), network.heatmaps)
    spreads = heatmap_spread(torch.from_numpy(heatmaps)).reshape(len(displays), -1)
    return [float(spread) for spread in spreads.mean(dim=1)]
