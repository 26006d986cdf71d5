"""The network, and weights files that carry their own configuration and cannot execute code."""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn.functional import pad

from . import __version__
from .errors import DataError
from .files import atomic_path

FORMAT = "echolib-1"
WEIGHTS_FILE = "model.safetensors"
CHECKPOINT_KEYS = {"identity", "progress", "model", "averaged", "optimizer"}


class ConvBlock(nn.Sequential):
    """Twice: 3 x 3 convolution, batch normalisation, ReLU. (N, in, H, W) to (N, out, H, W)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        layers = []
        for channels in (inputs, outputs):
            layers += [
                nn.Conv2d(channels, outputs, kernel_size=3, padding=1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(inplace=True),
            ]
        super().__init__(*layers)


class UNet(nn.Module):
    """U-Net: a contracting path that sees context, an expanding path that restores detail.

    width: channels of the first level, doubled at each of `depth` halvings of the resolution.
    outputs: channels of the result. Source: Ronneberger, Fischer, Brox, MICCAI 2015.
    """

    def __init__(self, width: int = 16, depth: int = 4, outputs: int = 1) -> None:
        super().__init__()
        self.arguments = {"width": width, "depth": depth, "outputs": outputs}
        channels = [width * 2**level for level in range(depth + 1)]
        self.down = nn.ModuleList(
            ConvBlock(inputs, level)
            for inputs, level in zip([1, *channels], channels, strict=False)
        )
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(below, level, kernel_size=2, stride=2)
            for level, below in zip(channels, channels[1:], strict=False)
        )
        self.merge = nn.ModuleList(ConvBlock(2 * level, level) for level in channels[:-1])
        self.head = nn.Conv2d(width, outputs, kernel_size=1)
        # grey-level statistics of the training images, so that nobody can forget to normalise
        self.register_buffer("mean", torch.tensor(0.2))
        self.register_buffer("sd", torch.tensor(0.2))

    def forward(self, images: Tensor) -> Tensor:
        """(N, 1, H, W) float in [0, 1], of any size, to (N, outputs, H, W) logits."""
        height, width = images.shape[-2:]
        step = 2 ** len(self.up)
        features = (images - self.mean) / self.sd
        features = pad(features, (0, -width % step, 0, -height % step))
        skipped = []
        for level, block in enumerate(self.down):
            if level:
                features = nn.functional.max_pool2d(features, kernel_size=2)
            features = block(features)
            skipped.append(features)
        features = skipped.pop()
        for enlarge, merge in zip(reversed(self.up), reversed(self.merge), strict=True):
            features = merge(torch.cat([skipped.pop(), enlarge(features)], dim=1))
        return self.head(features)[..., :height, :width]


MODELS = {"UNet": UNet}


def count_parameters(model: nn.Module) -> int:
    """Number of trained parameters."""
    return sum(parameter.numel() for parameter in model.parameters())


def weights_folder() -> Path:
    """Folder of the pretrained models that come with the package."""
    return Path(__file__).parent / "weights"


def save_model(model: nn.Module, path: str | Path, card: dict | None = None) -> None:
    """Write weights and configuration to a safetensors file, whole or not at all.

    card: what a user should know of the model, as JSON values (size, data, scores); `size`, the
    side of the square the model was trained on, is read back by the inference.
    """
    tensors = {
        name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()
    }
    metadata = {
        "format": FORMAT,
        "echolib": __version__,
        "model": type(model).__name__,
        "arguments": json.dumps(model.arguments),
        "card": json.dumps(card or {}),
    }
    with atomic_path(path) as temporary:
        temporary.write_bytes(save(tensors, metadata))


def find_weights(name_or_path: str | Path) -> Path:
    """The weights file of a path, of a training's folder, or of a pretrained model's name.

    Raises DataError that lists the names there are.
    """
    path = Path(name_or_path)
    shipped = weights_folder() / f"{name_or_path}.safetensors"
    for candidate in (path, path / WEIGHTS_FILE, shipped):
        if candidate.is_file():
            return candidate
    names = sorted(file.stem for file in weights_folder().glob("*.safetensors"))
    raise DataError(
        f"No weights at {name_or_path}: expected a .safetensors file, a folder written by "
        f"`python -m echolib train`, or one of the pretrained models {names}."
    )


def load_model(name_or_path: str | Path) -> tuple[nn.Module, dict]:
    """Load a model in evaluation mode, and its card.

    name_or_path: as for `find_weights`. Raises DataError when the file is not one of ours, is
    damaged, or holds the weights of another model.
    """
    path = find_weights(name_or_path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path} is not a readable safetensors file: {error}.") from error
    kind = metadata.get("model")
    if metadata.get("format") != FORMAT or kind not in MODELS:
        raise DataError(
            f"{path} holds format {metadata.get('format')!r}, model {kind!r}; expected format "
            f"{FORMAT!r} and one of {sorted(MODELS)}. Was it written by echolib's save_model?"
        )
    try:
        model = MODELS[kind](**json.loads(metadata["arguments"]))
        model.load_state_dict(tensors)
        card = json.loads(metadata["card"])
    except (KeyError, TypeError, RuntimeError, json.JSONDecodeError) as error:
        raise DataError(f"{path} does not fit the model {kind} it names: {error}") from error
    return model.float().eval(), card


def load_checkpoint(path: Path) -> dict:
    """The content of a checkpoint, tensors and plain values only: nothing in it can execute.

    Raises DataError when the file is damaged or is no checkpoint of a Training.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged or unsafe file
        raise DataError(
            f"{path} is not a readable checkpoint ({type(error).__name__}). Remove it and train "
            "again, or choose another folder."
        ) from error
    if not isinstance(state, dict) or not CHECKPOINT_KEYS <= state.keys():
        raise DataError(f"{path} is no checkpoint of a Training: expected {CHECKPOINT_KEYS}.")
    return state
