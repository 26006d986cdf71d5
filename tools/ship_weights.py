"""Store a trained model in half precision among the weights that come with the package.

python -m tools.ship_weights build/weights/lv lv
"""

import sys

from echolib.config import weights_folder
from echolib.networks.models import load_model, save_model


def main(trained: str, name: str) -> None:
    """Read the training's folder `trained`, write echolib/weights/`name`.safetensors."""
    save_model(load_model(trained).half(), weights_folder() / f"{name}.safetensors")


if __name__ == "__main__":
    main(*sys.argv[1:])
