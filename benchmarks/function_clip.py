"""How long a clip takes from its file to its report, and how much of it the networks need.

    python -m benchmarks.function_clip

A phantom clip of 60 frames of 112 x 112 px, after start-up: networks loaded, one run before. The
peer is the plainest thing to do with the same clip, in the same run: `outline` with one network,
without curve, interval, video or report.
"""

import tempfile
import time
from pathlib import Path

import numpy as np

from echolib.data import read_clip
from echolib.figures.film import write_video
from echolib.figures.ventricle import function_video
from echolib.networks.inference import outline
from echolib.phantom.studies import write_lv_study
from echolib.report.ventricle import write_report
from echolib.ventricle.clip import measure_clip
from echolib.ventricle.networks import load_networks

RUNS = 5


def main() -> None:
    """Print the median time of each step."""
    networks = load_networks()
    times: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        study = write_lv_study(folder / "study", 3, frames=(60, 60), workers=1, progress=False)
        path = sorted((study / "Videos").iterdir())[0]
        for run in range(RUNS + 1):
            marks = [time.perf_counter()]
            clip = read_clip(path)
            marks.append(time.perf_counter())
            result = measure_clip(clip, networks)
            marks.append(time.perf_counter())
            video = write_video(folder / "clip.mp4", function_video(result), 50)
            marks.append(time.perf_counter())
            write_report(folder / "report.html", result, video=video)
            marks.append(time.perf_counter())
            outline(networks.single, clip)
            marks.append(time.perf_counter())
            names = ("read", "measure", "video", "report", "peer: one network")
            for name, seconds in zip(names, np.diff(marks), strict=True):
                times.setdefault(name, []).extend([seconds] * (run > 0))
    medians = {name: float(np.median(seconds)) for name, seconds in times.items()}
    peer = medians.pop("peer: one network")
    for name, seconds in medians.items():
        print(f"{name:8} {seconds:5.2f} s")
    total = sum(medians.values())
    print(f"file to report: {total:.2f} s, {total / peer:.1f} times one network's {peer:.2f} s")


if __name__ == "__main__":
    main()
