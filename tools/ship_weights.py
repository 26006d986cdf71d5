"""Store a trained model in half precision among the weights that come with the package.

python -m tools.ship_weights build/weights/lv lv
python -m tools.ship_weights build/weights/recipe/stage-1 recipe_one --source phantom
"""

import argparse

from echolib.config import weights_folder
from echolib.networks.models import load_model, save_model


def main() -> None:
    """Read the training's folder, write echolib/weights/NAME.safetensors."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("trained", help="folder of the training")
    parser.add_argument("name", help="of the weights in the package")
    parser.add_argument("--source", help="the data, where the training knew their layout only")
    arguments = parser.parse_args()
    model = load_model(arguments.trained)
    model.card |= {"trained_on": arguments.source} if arguments.source else {}
    save_model(model.half(), weights_folder() / f"{arguments.name}.safetensors")


if __name__ == "__main__":
    main()
