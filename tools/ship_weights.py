"""Store a trained model in half precision among the weights that come with the package.

python -m tools.ship_weights build/weights/lv lv
python -m tools.ship_weights build/weights/recipe/stage-1 recipe_one phantom

The third argument names the data in the card, where the training knew their layout only.
"""

import sys

from echolib.config import weights_folder
from echolib.networks.models import load_model, save_model


def main(trained: str, name: str, source: str = "") -> None:
    """Read the training's folder `trained`, write echolib/weights/`name`.safetensors."""
    model = load_model(trained).half()
    model.card |= {"trained_on": source} if source else {}
    save_model(model, weights_folder() / f"{name}.safetensors")


if __name__ == "__main__":
    main(*sys.argv[1:])
