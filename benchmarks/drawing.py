"""How fast phantoms are drawn, against decoding the same frames from disk.

    python -m benchmarks.drawing --frames 3000 --clips 60

Draws single frames (as many hearts, no video) and writes a study of clips of 60 frames, both on
`--workers` processes, then decodes the study's videos, and prints frames a second of each and the
ratios. Half the single frames are rendered plainly, as in training; clips are all physical.
"""

import argparse
import tempfile
import time
from pathlib import Path

from echolib.data.video import read_video
from echolib.phantom.single_frames import draw_frames
from echolib.phantom.studies import write_lv_study

LENGTH = 60  # frames of a clip


def decode(folder: Path) -> int:
    """Decode every video, one after the other; returns the number of frames."""
    count = 0
    for path in sorted((folder / "Videos").iterdir()):
        count += len(read_video(path).frames)
    return count


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=3000)
    parser.add_argument("--clips", type=int, default=60)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    started = time.perf_counter()
    draw_frames(options.frames, seed=11, workers=options.workers)
    single = options.frames / (time.perf_counter() - started)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "study"
        size = (LENGTH, LENGTH)
        started = time.perf_counter()
        write_lv_study(folder, options.clips, 11, frames=size, workers=options.workers)
        seconds = time.perf_counter() - started
        started = time.perf_counter()
        decoded = decode(folder) / (time.perf_counter() - started)
    clips = options.clips * LENGTH / seconds
    print(f"single frames {single:7.0f} a second, start of the processes included")
    a_minute = 60 * options.clips / seconds
    print(f"clips         {clips:7.0f} frames a second, {a_minute:.0f} clips a minute")
    print(f"decoding      {decoded:7.0f} frames a second, one process")
    print(f"drawing a single frame takes {decoded / single:.1f} times as long as decoding one")


if __name__ == "__main__":
    main()
