"""How long packing takes, against a plain loop that decodes the same videos.

    python -m benchmarks.packing --clips 1000

Makes a folder in EchoNet-Dynamic's layout (one phantom clip of 175 frames, linked under many
names), packs it, decodes the same videos one after the other as EchoNet-Dynamic's own loader does,
and prints both times, their ratio, the time scaled to 10,030 clips, and the peak of memory.
"""

import argparse
import resource
import shutil
import tempfile
import time
from pathlib import Path

import av
import numpy as np
import pandas as pd

from echolib.data import EchoNet, pack
from echolib.phantom.studies import write_lv_study

ALL_CLIPS = 10_030
FRAMES = 175


def make_study(folder: Path, clips: int) -> None:
    """One phantom clip, stretched to 175 frames, under `clips` names with its two tracings."""
    model = write_lv_study(folder / "model", clips=3, frames=(FRAMES, FRAMES), workers=1)
    files = pd.read_csv(model / "FileList.csv").iloc[:1]
    tracings = pd.read_csv(model / "VolumeTracings.csv")
    tracings = tracings[tracings.FileName.str.startswith(files.FileName[0])]
    names = [f"0X{index:06X}" for index in range(clips)]
    study = folder / "study"
    (study / "Videos").mkdir(parents=True)
    video = model / "Videos" / f"{files.FileName[0]}.avi"
    for name in names:
        shutil.copyfile(video, study / "Videos" / f"{name}.avi")
    listed = files.loc[files.index.repeat(clips)].assign(FileName=names, Split="TRAIN")
    listed.to_csv(study / "FileList.csv", index=False)
    traced = pd.concat([tracings.assign(FileName=f"{name}.avi") for name in names])
    traced.to_csv(study / "VolumeTracings.csv", index=False)


def decode_plainly(folder: Path) -> int:
    """Every frame of every video, one after the other; returns how many there were."""
    count = 0
    for path in sorted((folder / "Videos").iterdir()):
        with av.open(str(path)) as container:
            frames = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
        count += len(np.stack(frames))
    return count


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_study(folder, options.clips)
        started = time.perf_counter()
        data = EchoNet(folder / "study")
        opened = time.perf_counter() - started
        frames = pack(data, folder / "packed", workers=options.workers, progress=False)
        packed = time.perf_counter() - started
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
        started = time.perf_counter()
        decoded = decode_plainly(folder / "study")
        plain = time.perf_counter() - started
    scale = ALL_CLIPS / options.clips
    print(f"{options.clips} clips, {decoded} frames decoded, {len(frames)} labelled frames packed")
    scaled = f"for {ALL_CLIPS} clips {packed * scale / 60:.1f} min"
    print(f"pack  {packed:7.1f} s (tables {opened:.1f} s), {scaled}")
    print(f"plain {plain:7.1f} s, without tables, masks or writing")
    print(
        f"ratio {plain / packed:.2f} times as fast as the plain loop; peak memory {memory:.2f} GiB"
    )


if __name__ == "__main__":
    main()
