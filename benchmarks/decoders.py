"""Does the decoder change the scores? Clips read by OpenCV and by PyAV, outlined by `lv`.

    python -m benchmarks.decoders [CAMUS FOLDER]

Phantom clips are read from the AVI files of a phantom study; CAMUS frames are first written as
MJPG, as EchoNet-Dynamic stores its clips. The table gives the largest and the mean difference of
grey levels, and the mean Dice against the labels by each decoder. Last, the time of one pass, and
of writing H.264 by PyAV and VP9 by OpenCV, as ratios in one run.
"""

import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from echolib.data import Camus, EchoNet, LabelledFrame, labelled_frames
from echolib.data.avi import write_avi
from echolib.data.grey import GreyFrames
from echolib.data.video import read_video
from echolib.figures.film import write_video
from echolib.figures.overlay import enlarge
from echolib.metrics import dice
from echolib.networks.inference import outline
from echolib.networks.models import load_model
from echolib.phantom.studies import write_lv_study

PATIENTS = 100  # of CAMUS


def by_opencv(path: Path) -> np.ndarray:
    """Grey frames (T, H, W) uint8, as this project read them before it took PyAV."""
    capture, frames = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG), GreyFrames(str(path))
    while True:
        decoded, frame = capture.read()
        if not decoded:
            return frames.finish()
        frames.add(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))


def by_pyav(path: Path) -> np.ndarray:
    return read_video(path).frames


def camus_as_avi(camus: Path, folder: Path) -> list[tuple[Path, list[LabelledFrame]]]:
    """One AVI of two frames per patient."""
    frames: dict[str, list[LabelledFrame]] = {}
    for frame in labelled_frames(Camus(camus), "all"):
        if len(frames) == PATIENTS and frame.clip not in frames:
            break
        frames.setdefault(frame.clip, []).append(frame)
    pairs = []
    for clip, both in frames.items():
        path = folder / f"{clip}.avi"
        write_avi(path, np.stack([frame.image for frame in both]), 50.0)
        pairs.append((path, both))
    return pairs


def phantom(folder: Path) -> list[tuple[Path, list[LabelledFrame]]]:
    write_lv_study(folder / "study", 60, 0, progress=False)
    data = EchoNet(folder / "study")
    return [(Path(data.table.path[clip]), data.labelled(clip)[0]) for clip in data.table.index]


def compare(name: str, pairs: Iterable[tuple[Path, list[LabelledFrame]]]) -> dict:
    """One row of the table."""
    network, rows = load_model("lv"), []
    for path, labelled in pairs:
        clips = [read(path) for read in (by_opencv, by_pyav)]
        difference = np.abs(clips[0].astype(int) - clips[1])
        row = {"largest": difference.max(), "mean": difference.mean()}
        for kind, frames in zip(("OpenCV", "PyAV"), clips, strict=True):
            numbers = [f.frame if f.frame < len(frames) else i for i, f in enumerate(labelled)]
            masks = outline(network, frames)[numbers]
            row[f"Dice, {kind}"] = np.mean(
                [dice(mask, f.mask) for mask, f in zip(masks, labelled, strict=True)]
            )
        rows.append(row)
    table = pd.DataFrame(rows)
    means = table.drop(columns="largest").mean().round(5).to_dict()
    return {"data": name, "clips": len(table), "largest": table.largest.max(), **means}


def seconds(function, *arguments, repeats: int = 5) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function(*arguments)
        times.append(time.perf_counter() - start)
    return min(times)


def write_vp9(path: Path, pictures: np.ndarray) -> None:
    size = pictures.shape[2], pictures.shape[1]
    code = cv2.VideoWriter.fourcc(*"vp09")
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, code, 25.0, size)
    for picture in pictures:
        writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    writer.release()


def main() -> None:
    """Print the table and the ratios."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pairs = phantom(folder)
        rows = [compare("phantom", pairs)]
        if len(sys.argv) > 1:
            rows.append(compare("CAMUS as AVI", camus_as_avi(Path(sys.argv[1]), folder)))
        print(pd.DataFrame(rows).to_string(index=False))
        path = pairs[0][0]
        ratio = seconds(by_opencv, path) / seconds(by_pyav, path)
        print(f"reading a phantom clip: OpenCV takes {ratio:.2f} times as long as PyAV")
        pictures = enlarge(read_video(path).frames[:20], 700 / 112)
        slow = seconds(write_vp9, folder / "a.mp4", pictures, repeats=2)
        fast = seconds(write_video, folder / "b.mp4", pictures, 25, repeats=2)
        print(f"writing 20 pictures of 700 x 700 px: VP9 takes {slow / fast:.1f} times as long")


if __name__ == "__main__":
    main()
