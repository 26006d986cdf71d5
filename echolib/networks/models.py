"""The networks, and weights files that carry their own configuration and cannot execute code."""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d, max_pool2d, pad, pixel_shuffle, pixel_unshuffle

from .. import __version__
from ..errors import DataError
from ..geometry import LANDMARKS
from . import TARGETS
from .heatmaps import CELL, soft_argmax
from .normalisation import BatchNorm
from .pretrained import find_weights, network_name
from .weights import (
    FOLDS,
    SIZES,
    check_arguments,
    check_number,
    parse_object,
    read_metadata,
    read_tensors,
    write_weights,
)

FORMAT = "echolib-1"
SIZE = 112  # px, default side of the squares that a network sees


class ConvBlock(nn.Sequential):
    """Twice: 3 x 3 convolution, batch normalisation, ReLU. (N, in, H, W) to (N, out, H, W)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        layers = []
        for channels in (inputs, outputs):
            layers += [
                nn.Conv2d(channels, outputs, kernel_size=3, padding=1, bias=False),
                BatchNorm(outputs),
                nn.ReLU(inplace=True),
            ]
        super().__init__(*layers)

    def forward(self, features: Tensor) -> Tensor:
        """(N, in, H, W) to (N, out, H, W). Outside of training, each normalisation is worked into
        the convolution before it, which is faster and the same but for rounding."""
        if self.training or torch.is_grad_enabled():
            return super().forward(features)
        layers: list[Any] = list(self)
        for conv, norm in (layers[:2], layers[3:5]):
            scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
            weight = conv.weight * scale[:, None, None, None]
            bias = norm.bias - norm.running_mean * scale
            features = conv2d(features, weight, bias, padding=1).relu_()
        return features


class Encoder(nn.Module):
    """The contracting path, which all networks here have in common.

    width: channels of the first level, doubled at each of `depth` halvings of the resolution.
    inputs: channels of the image: 1, or more if the network also sees neighbouring frames.
    fold: 2 folds each 2 x 2 px of an image into four channels, so that the first level works at
    half the size, where a convolution costs a quarter; 1 leaves the image as it is. Source of the
    folding: Shi et al., CVPR 2016 (its inverse). Raises ValueError for another fold.

    Attributes: `size` is the side in px of the squares that the network was trained on, `name` its
    name, and `card` facts about its training as JSON values.
    """

    arguments: dict[str, int]  # with which the network is built again
    mean: Tensor
    sd: Tensor

    def __init__(self, width: int, depth: int, inputs: int, fold: int) -> None:
        if fold not in FOLDS:
            raise ValueError(f"The fold must be one of {FOLDS}, not {fold!r}.")
        super().__init__()
        self.size, self.name, self.fold = SIZE, type(self).__name__, fold
        self.card: dict[str, Any] = {}
        self.channels = [width * 2**level for level in range(depth + 1)]
        self.down = nn.ModuleList(
            ConvBlock(below, level)
            for below, level in zip([inputs * fold**2, *self.channels], self.channels, strict=False)
        )
        # grey-level statistics of the training images, so that nobody can forget to normalise
        self.register_buffer("mean", torch.tensor(0.2))
        self.register_buffer("sd", torch.tensor(0.2))

    def contract(self, images: Tensor) -> list[Tensor]:
        """Features of every level, finest first, of images (N, inputs, H, W) float in [0, 1].

        Sides are padded to multiples of fold * 2 ** depth, on the right and below.
        """
        height, width = images.shape[-2:]
        step = self.fold * 2 ** (len(self.down) - 1)
        features = (images - self.mean) / self.sd
        features = pad(features, (0, -width % step, 0, -height % step))
        levels = [self.down[0](pixel_unshuffle(features, self.fold))]
        for block in self.down[1:]:
            levels.append(block(max_pool2d(levels[-1], kernel_size=2)))
        return levels


class Hourglass(Encoder):
    """A contracting path that sees context, and an expanding path that restores detail.

    width, depth, inputs, fold: as for `Encoder`. channels: of the last convolution, `head`.
    """

    def __init__(self, width: int, depth: int, inputs: int, fold: int, channels: int) -> None:
        super().__init__(width, depth, inputs, fold)
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(below, level, kernel_size=2, stride=2)
            for level, below in zip(self.channels, self.channels[1:], strict=False)
        )
        self.merge = nn.ModuleList(ConvBlock(2 * level, level) for level in self.channels[:-1])
        self.head = nn.Conv2d(width, channels, kernel_size=1)

    def expand(self, images: Tensor) -> Tensor:
        """(N, inputs, H, W) float in [0, 1], of any size, to features (N, width, h, w).

        h and w are H / fold and W / fold, rounded up.
        """
        height, width = (-(-side // self.fold) for side in images.shape[-2:])
        *skipped, features = self.contract(images)
        for enlarge, merge in zip(reversed(self.up), reversed(self.merge), strict=True):
            features = merge(torch.cat([skipped.pop(), enlarge(features)], dim=1))
        return features[..., :height, :width]


class UNet(Hourglass):
    """U-Net: logits of masks, at the full size of the image.

    width, depth, inputs, fold: as for `Encoder`. outputs: channels of the result. Source:
    Ronneberger, Fischer, Brox, MICCAI 2015.
    """

    def __init__(
        self, width: int = 16, depth: int = 4, outputs: int = 1, inputs: int = 1, fold: int = 1
    ) -> None:
        super().__init__(width, depth, inputs, fold, channels=outputs * fold**2)
        self.arguments = {"width": width, "depth": depth, "outputs": outputs, "inputs": inputs}
        self.arguments["fold"] = fold

    def forward(self, images: Tensor) -> Tensor:
        """(N, inputs, H, W) float in [0, 1], of any size, to (N, outputs, H, W) logits."""
        height, width = images.shape[-2:]
        return pixel_shuffle(self.head(self.expand(images)), self.fold)[..., :height, :width]


class LandmarkUNet(Hourglass):
    """A U-Net with one heatmap per landmark; each landmark lies at the mean of its heatmap.

    width, depth, inputs, fold: as for `Encoder`. landmarks: 40, the chord ends in polygon order, or
    7, those of `geometry.SUBSETS`.
    """

    def __init__(
        self, width: int = 16, depth: int = 4, landmarks: int = LANDMARKS, inputs: int = 1,
        fold: int = 1,
    ) -> None:  # fmt: skip
        super().__init__(width, depth, inputs, fold, channels=landmarks)
        self.arguments = {"width": width, "depth": depth, "landmarks": landmarks}
        self.arguments |= {"inputs": inputs, "fold": fold}

    def heatmaps(self, images: Tensor) -> Tensor:
        """(N, inputs, H, W) float in [0, 1] to (N, landmarks, H / 2, W / 2) logits over cells.

        Cells of 2 x 2 px suffice, because the mean of a blob resolves fractions of a cell.
        With a fold of 2 the features lie on these cells already.
        """
        features = self.expand(images)
        if self.fold < CELL:
            features = avg_pool2d(features, CELL, ceil_mode=True)
        return self.head(features)

    def forward(self, images: Tensor) -> Tensor:
        """(N, inputs, H, W) float in [0, 1] to landmarks (N, landmarks, 2) float32 px."""
        return soft_argmax(self.heatmaps(images))


class LandmarkRegressor(Encoder):
    """The contracting path alone, averaged over the image, and two numbers per landmark.

    A baseline: averaging loses where structures lie. Arguments: as for `LandmarkUNet`.
    """

    def __init__(
        self, width: int = 16, depth: int = 4, landmarks: int = LANDMARKS, inputs: int = 1,
        fold: int = 1,
    ) -> None:  # fmt: skip
        super().__init__(width, depth, inputs, fold)
        self.arguments = {"width": width, "depth": depth, "landmarks": landmarks}
        self.arguments |= {"inputs": inputs, "fold": fold}
        self.head = nn.Linear(self.channels[-1], 2 * landmarks)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 1, H, W) float in [0, 1] to landmarks (N, landmarks, 2) float32 px."""
        height, width = images.shape[-2:]
        features = self.contract(images)[-1].mean(dim=(2, 3)).float()
        with torch.autocast(images.device.type, enabled=False):  # bf16 would round to 0.2 px
            x, y = self.head(features).view(len(images), -1, 2).unbind(2)
        return torch.stack([(x + 0.5) * width, (y + 0.5) * height], dim=2)


MODELS = {model.__name__: model for model in (UNet, LandmarkUNet, LandmarkRegressor)}


def new_model(
    target: str, width: int = 24, outputs: int = 1, inputs: int = 1, depth: int = 3, fold: int = 2
) -> Encoder:
    """Make an untrained network for one of `TARGETS`.

    target: "masks", "landmarks" (40, by heatmaps), "landmarks7" (7, by heatmaps), or "regression"
    (40 landmarks). outputs, inputs: number of regions that a masks network learns and of frames
    that any network sees, see `FrameSet.outputs` and `FrameSet.inputs`. width, depth, fold: as for
    `Encoder`; `shape_of` gives those of a network to start from. Raises ValueError for an unknown
    target, a width below 1 or an unknown fold.
    """
    if target not in TARGETS:
        raise ValueError(f"Unknown target {target!r}; expected one of {sorted(TARGETS)}.")
    if width < 1:
        raise ValueError(f"The width must be 1 or more channels, not {width}.")
    if target == "masks":
        return UNet(width, depth, outputs, inputs, fold)
    if target == "regression":
        return LandmarkRegressor(width, depth, LANDMARKS, inputs, fold)
    return LandmarkUNet(width, depth, 7 if target == "landmarks7" else LANDMARKS, inputs, fold)


def shape_of(model: Encoder) -> dict[str, int]:
    """Width, depth and fold of a network: what another one needs to start from its weights."""
    return {name: model.arguments[name] for name in ("width", "depth", "fold")}


def finds_landmarks(model: nn.Module) -> bool:
    """True for a model that returns landmarks (N, K, 2) px, False for one that returns logits."""
    return isinstance(model, (LandmarkUNet, LandmarkRegressor))


def start_from(model: Encoder, source: Encoder) -> list[str]:
    """Copy all tensors that fit by name and shape from a trained model into a model, in place.

    source: the trained model. If it sees one frame and the model several, the weights of its first
    convolution are divided among the frames, so that several equal frames give the answer that the
    source gives to one. Returns the names of the tensors that keep their own values, such as a
    head for another number of outputs. Raises ValueError if nothing fits, as between networks of
    another width or fold, see `shape_of`.
    """
    own = model.state_dict()
    trained = source.state_dict() if model.fold == source.fold else {}
    if finds_landmarks(model) != finds_landmarks(source):  # their heads have different meanings
        trained = {name: tensor for name, tensor in trained.items() if not name.startswith("head.")}
    first = "down.0.0.weight"
    if first in trained and source.arguments["inputs"] == 1:
        inputs = model.arguments["inputs"]  # a frame's folded channels lie side by side
        trained[first] = trained[first].repeat(1, inputs, 1, 1) / inputs
    fits = {n for n, tensor in own.items() if n in trained and trained[n].shape == tensor.shape}
    if not fits & {name for name, weight in model.named_parameters() if weight.ndim > 1}:
        raise ValueError(
            f"No tensor of {type(source).__name__}({source.arguments}) fits "
            f"{type(model).__name__}({model.arguments}). Use the same width, depth and fold."
        )
    model.load_state_dict({name: trained[name] if name in fits else own[name] for name in own})
    return sorted(own.keys() - fits)


def weights_digest(model: nn.Module) -> str:
    """Short text that changes with a model's kind, arguments or any weight."""
    digest = hashlib.sha256(f"{type(model).__name__} {model.arguments}".encode())
    for tensor in model.state_dict().values():
        digest.update(tensor.detach().cpu().float().numpy().tobytes())
    return digest.hexdigest()[:16]


def save_model(model: Encoder, path: str | Path) -> None:
    """Write weights, configuration, size and card to a safetensors file, whole or not at all.

    Equal models give equal bytes.
    """
    tensors = {
        name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()
    }
    metadata = {
        "format": FORMAT,
        "echolib": __version__,
        "model": type(model).__name__,
        "arguments": json.dumps(model.arguments),
        "card": json.dumps({"size": model.size} | model.card),
    }
    write_weights(path, tensors, metadata)


def load_model(name_or_path: str | Path, structure: str = "") -> Encoder:
    """Load a network in evaluation mode, with its size, name and card.

    name_or_path: as for `pretrained.find_weights`. structure: that it must outline, "ventricle" or
    "leaflets"; "" for any. Raises DataError if the file was not written by `save_model`, is
    damaged, or holds the weights of another model or, as its card says, of another structure.
    """
    path = find_weights(name_or_path)
    metadata = read_metadata(path)
    kind = metadata.get("model")
    if metadata.get("format") != FORMAT or kind not in MODELS:
        raise DataError(
            f"{path} holds format {metadata.get('format')!r}, model {kind!r}; expected format "
            f"{FORMAT!r} and one of {sorted(MODELS)}. Was it written by echolib's save_model?"
        )
    try:
        arguments = check_arguments(parse_object(metadata["arguments"], "arguments"))
        card = parse_object(metadata["card"], "card")
        size = check_number("size", card.get("size", SIZE), SIZES)
        with torch.device("meta"):  # shapes only: a small file can name a network of gigabytes
            model = MODELS[kind](**arguments)
        tensors = read_tensors(path, model.state_dict())
    except DataError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path} does not fit the model {kind} that it names: {error}. Is it damaged, or from "
            "another version of echolib?"
        ) from error
    found = card.get("structure", structure)  # older networks do not say it
    if structure and found != structure:
        raise DataError(f"{path} is a network of the {found}: expected one of the {structure}.")
    model.to_empty(device="cpu").load_state_dict(tensors)
    model.card, model.size = card, size
    model.name = network_name(name_or_path, path)
    return model.eval()
