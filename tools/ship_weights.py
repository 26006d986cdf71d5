"""Store a trained model in half precision among the weights that come with the package.

python -m tools.ship_weights build/weights/lv lv
python -m tools.ship_weights build/weights/lv_cycle lv_cycle --mean-with lv_cycle
python -m tools.ship_weights build/weights/recipe/stage-1 recipe_one --source phantom

A network that was trained on forgets some of what it knew. The mean of its weights before and after
(Wortsman et al., Robust fine-tuning of zero-shot models, 2022) keeps more of both.
"""

import argparse

import torch

from echolib.config import weights_folder
from echolib.networks.models import Encoder, load_model, save_model


@torch.no_grad()
def average(model: Encoder, earlier: Encoder) -> Encoder:
    """`model` with the mean of both networks' weights; raises ValueError for two architectures."""
    tensors, others = model.float().state_dict(), earlier.float().state_dict()
    if model.arguments != earlier.arguments:
        raise ValueError(f"two kinds of networks: {model.arguments} and {earlier.arguments}")
    model.load_state_dict(
        {name: torch.lerp(t, others[name], 0.5) if t.is_floating_point() else t
         for name, t in tensors.items()}
    )  # fmt: skip
    return model


def main() -> None:
    """Read the training's folder, write echolib/weights/NAME.safetensors."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("trained", help="folder of the training")
    parser.add_argument("name", help="of the weights in the package")
    parser.add_argument("--source", help="the data, where the training knew their layout only")
    parser.add_argument("--mean-with", metavar="WEIGHTS", help="that the training started from")
    arguments = parser.parse_args()
    model = load_model(arguments.trained)
    if arguments.mean_with:
        model = average(model, load_model(arguments.mean_with))
        model.card |= {"mean_with": arguments.mean_with}
    model.card |= {"trained_on": arguments.source} if arguments.source else {}
    save_model(model.half(), weights_folder() / f"{arguments.name}.safetensors")


if __name__ == "__main__":
    main()
