"""Replace the labels of packed phantom frames by what a network answers, to teach another one.

    python -m tools.relabel build/weights/cycles lv_cycle build/weights/taught

A network of another shape that is trained on the answers of one, on the same frames, learns to
answer like it. Source: Hinton, Vinyals, Dean, Distilling the knowledge in a neural network, 2015.
"""

import argparse
from dataclasses import replace

import numpy as np
from tqdm import tqdm

from echolib.data.frames import FrameSet, with_neighbours
from echolib.networks.inference import predict_regions
from echolib.networks.models import Encoder, load_model

CHUNK = 1024  # frames


def relabelled(frames: FrameSet, teacher: Encoder, progress: bool = True) -> FrameSet:
    """Frames with the teacher's regions; the validation frames keep their own labels.

    frames: packed, of a masks network's inputs and outputs. Where the teacher marks several regions
    of a pixel, the one of the smallest number counts: the cavity first.
    """
    if frames.regions is None or teacher.arguments["outputs"] != frames.outputs:
        raise ValueError(
            f"The teacher knows {teacher.arguments['outputs']} regions, but the frames are "
            f"labelled with {frames.outputs}. Draw the frames that it was trained on."
        )
    regions = np.array(frames.regions)
    taught = np.flatnonzero(frames.table.split == "train")
    parts = np.array_split(taught, max(1, len(taught) // CHUNK))
    for rows in tqdm(parts, "relabel", disable=not progress):
        images = with_neighbours(frames.select(rows), frames.inputs)
        answers = predict_regions(teacher, images) > 0.5
        numbers = 1 + answers.argmax(axis=1)
        regions[rows] = np.where(answers.any(axis=1), numbers, 0).astype(np.uint8)
    return replace(frames, regions=regions, masks=regions == 1)


def main() -> None:
    """Read, ask and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("frames", help="folder of packed frames")
    parser.add_argument("teacher", help="pretrained name, file or folder")
    parser.add_argument("out", help="folder to write")
    options = parser.parse_args()
    relabelled(FrameSet.load(options.frames), load_model(options.teacher)).save(options.out)


if __name__ == "__main__":
    main()
