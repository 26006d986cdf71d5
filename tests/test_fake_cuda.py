"""The code of a GPU without one: tensors without values on a device `cuda` that is not there.

An operation between tensors of different devices raises here, as it does on a GPU, so that a tensor
that is left on the CPU is found on every machine. Two things need a driver and are tested on a GPU
only: gradients, and the generator of the augmentation.
"""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from torch._subclasses.fake_tensor import FakeTensor

from echolib.data.clips import Clip
from echolib.data.frames import FrameSet, within_cycle
from echolib.networks import augment, heatmaps, run, team
from echolib.networks.augment import Augmentation, Augmenter
from echolib.networks.inference import outline, outline_landmarks, predict, predict_regions
from echolib.networks.losses import LOSSES
from echolib.networks.models import Encoder, new_model
from echolib.networks.orientation import find_orientation
from echolib.networks.plan import TrainingConfig
from echolib.networks.training import Training
from echolib.valve.finder import CLOSE_VIEWS, ValveFinder
from echolib.ventricle.networks import Networks
from tests.makers import ventricle_set

SIZE = 48  # px
FRAMES = ventricle_set(size=SIZE)
GREY = 90  # of each px that comes from the device, as it has no values
NUMPY = {torch.float32: np.float32, torch.uint8: np.uint8, torch.bool: np.bool_}
MIRRORED = replace(Augmentation(), flip=0.5)


def to_numpy(tensor: Tensor) -> np.ndarray:
    """`Tensor.numpy` for tensors without values: raises for other devices than the CPU."""
    if not isinstance(tensor, FakeTensor):
        return torch._C.TensorBase.numpy(tensor)
    if tensor.device.type != "cpu":
        raise TypeError(f"can't convert {tensor.device} device type tensor to numpy")
    return np.full(tensor.shape, GREY if tensor.dtype == torch.uint8 else 0, NUMPY[tensor.dtype])


def like(tensor: Tensor, values: Tensor) -> Tensor:
    """Values as a weight, if the tensor is one."""
    is_weight = isinstance(tensor, nn.Parameter)
    return nn.Parameter(values, tensor.requires_grad) if is_weight else values


def move(module: nn.Module, *place: object, **options: object) -> nn.Module:
    """`Module.to`, which cannot exchange weights that have no values."""
    for part in module.modules():
        for tensors in (part._parameters, part._buffers):
            for name, tensor in tensors.items():
                if tensor is not None and not (options and tensor.ndim < 4):
                    tensors[name] = like(tensor, tensor.detach().to(*place, **options))
    return module


def copy(tensor: Tensor, memo: dict[int, Tensor]) -> Tensor:
    """A tensor's own part of `deepcopy`, which else copies values from no memory and may crash."""
    memo[id(tensor)] = like(tensor, tensor.detach().clone())
    return memo[id(tensor)]


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch):
    """A GPU that is not there, on which echolib computes, in bfloat16 where it asks for it."""
    for module in (run, team):  # `config.device` would look for the GPU
        monkeypatch.setattr(module, "device", lambda: torch.device("cuda"))
    monkeypatch.setattr(Tensor, "numpy", to_numpy, raising=False)
    monkeypatch.setattr(Tensor, "__float__", lambda tensor: 0.5, raising=False)
    monkeypatch.setattr(FakeTensor, "__deepcopy__", copy)
    monkeypatch.setattr(nn.Module, "to", move)
    no_generator = SimpleNamespace(manual_seed=lambda seed: None)
    monkeypatch.setattr(augment, "Generator", lambda device: no_generator)
    monkeypatch.setattr(Augmenter, "reseed", lambda *given: None)
    monkeypatch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *given, **options: True)
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield


def with_regions(outputs: int) -> FrameSet:
    """Frames whose regions are numbered from 1, with the cavity or the leaflets first."""
    regions = FRAMES.masks.astype(np.uint8)
    for number in range(2, outputs + 1):
        regions[:, 5 * number : 5 * number + 4] = number
    return replace(FRAMES, regions=regions)


SETS = {  # what is learnt, and from which frames
    "cavity": ("masks", FRAMES),
    "regions beside it": ("masks", with_regions(3)),
    "mitral leaflets and box": ("masks", with_regions(2)),
    "cavity over the cycle": ("masks", within_cycle(with_regions(3))),
    "landmarks": ("landmarks", FRAMES),
    "seven landmarks": ("landmarks7", FRAMES),
    "landmarks by regression": ("regression", FRAMES),
}


def network(target: str, frames: FrameSet, **shape: int) -> Encoder:
    model = new_model(
        target, width=4, outputs=frames.outputs, inputs=frames.inputs, depth=2, **shape
    )
    model.size = SIZE
    return model


def training_of(name: str, folder, **settings: object) -> Training:
    target, frames = SETS[name]
    config = TrainingConfig(epochs=1, batch=4, augmentation=MIRRORED, **settings)
    parts = frames.split("train"), frames.split("val")
    return Training(network(target, frames), *parts, folder, config)


def loss_of(training: Training, bf16: bool) -> Tensor:
    batch = training.batches.batch(0)
    return training._loss(training.model, training.answers, *batch, bf16)


@pytest.mark.parametrize("name", SETS)
def test_a_training_computes_on_the_device(cuda, tmp_path, name):
    training = training_of(name, tmp_path, frozen=1)
    assert training.device.type == "cuda" and training.precision == "bf16"
    for bf16 in (False, True):
        assert loss_of(training, bf16).device.type == "cuda"
    with torch.autocast("cuda", torch.bfloat16):
        answer = training.model.contract(training.batches.batch(0)[0])[-1]
    assert answer.device.type == "cuda" and answer.dtype == torch.bfloat16
    training.averaged.update_parameters(training.model)
    assert training.validate() == (0.5, 0.5)  # the value of any number here


@pytest.mark.parametrize("loss", LOSSES)
def test_each_loss_computes_on_the_device(cuda, tmp_path, loss):
    training = training_of("regions beside it", tmp_path, loss=loss)
    assert loss_of(training, True).device.type == "cuda"


def test_corrupted_images_return_to_the_device(cuda, tmp_path):
    training = training_of("cavity", tmp_path, corrupted=1.0)
    images, targets = training.batches.batch(0)
    assert images.device.type == targets.device.type == "cuda"


@pytest.mark.parametrize("fold", [1, 2])
@pytest.mark.parametrize("name", SETS)
def test_a_network_answers_from_the_device(cuda, name, fold):
    target, frames = SETS[name]
    model = network(target, frames, fold=fold)
    images = frames.images if frames.inputs == 1 else np.stack([frames.images] * 3, axis=1)
    answers = predict(model, images, batch=10)
    assert len(answers) == len(frames) and answers.dtype == np.float32
    assert next(model.parameters()).device.type == "cuda"
    if target == "masks":
        assert predict_regions(model, images).shape == (len(frames), frames.outputs, SIZE, SIZE)


def test_clips_are_outlined_on_the_device(cuda):
    clip = Clip("clip", FRAMES.images[:12])
    single, landmarks = network("masks", FRAMES), network("landmarks", FRAMES)
    cycle, cycle_landmarks = (
        network(target, within_cycle(FRAMES)) for target in ("masks", "landmarks")
    )
    assert outline(single, clip).shape == outline(landmarks, clip).shape == clip.frames.shape
    assert outline_landmarks(landmarks, clip).shape == (12, 40, 2)
    assert find_orientation(clip, landmarks).spreads is not None
    networks = Networks(single, cycle, landmarks, cycle_landmarks, None, ("1", "2", "3", "4"))
    masks = networks.predict(clip.frames, networks.predict_single(clip.frames), [(0, 5)])
    assert masks.shape == clip.frames.shape


def test_leaflets_are_found_on_the_device(cuda):
    whole = network("masks", with_regions(2))
    close = network("masks", within_cycle(FRAMES))
    finder = ValveFinder(whole, (close,), size=SIZE, close_size=SIZE, views=CLOSE_VIEWS, share=0.3)
    assert finder.masks(FRAMES.images[:6]).shape == (6, SIZE, SIZE)


# --- What is left on the CPU is found -------------------------------------------------------------


def test_a_tensor_on_the_cpu_is_found(cuda, tmp_path, monkeypatch: pytest.MonkeyPatch):
    training = training_of("landmarks", tmp_path)
    monkeypatch.setattr(heatmaps, "cell_centres", lambda maps: (torch.arange(24.0),) * 2)
    with pytest.raises(RuntimeError, match="same device"):
        training.model(training.batches.batch(0)[0])
    training.batches.targets = training.batches.targets.cpu()
    with pytest.raises(RuntimeError, match="same device"):
        training.batches.batch(0)


def test_answers_that_stay_on_the_device_are_found(cuda):
    with pytest.raises(TypeError, match="cuda:0 device type tensor to numpy"):
        torch.zeros(3, device="cuda").numpy()
    assert to_numpy(torch.zeros(3)).shape == (3,)


# --- On devices that are there --------------------------------------------------------------------


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("name", SETS)
def test_a_training_and_its_answers(tmp_path, monkeypatch: pytest.MonkeyPatch, name, device):
    monkeypatch.setenv("ECHOLIB_DEVICE", device)
    corrupted = 0.5 if SETS[name][1].inputs == 1 else 0.0
    training = training_of(name, tmp_path, corrupted=corrupted)
    history = training.run(progress=False)
    assert len(history) and np.isfinite(history.loss).all()
    images = training.validation.images.cpu().numpy()
    answers = predict(training.model, images[:, 0] if images.shape[1] == 1 else images)
    assert len(answers) == len(images) and np.isfinite(answers).all()
    assert next(training.model.parameters()).device.type == device
