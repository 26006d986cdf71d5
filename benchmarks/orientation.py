"""How often clips that are upside down, mirrored or rotated are recognised, and how often wrongly.

    python -m benchmarks.orientation ../shared/camus --clips 120

Every clip is shown in four ways: as stored (the usual display), turned over top to bottom, mirrored
left to right, and both, which is rotated by 180 degrees. CAMUS has two frames a clip where the
download lacks the sequences. Only its training split was used to set the limits. Prints, for each
source and display, the per cent of the clips that are recognised as upside down, as mirrored, and
exactly as they are; then the seconds that this takes beside the measurement of a clip.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from echolib.data import Camus, Clip, EchoNet, example_clip
from echolib.networks.orientation import Orientation, find_orientation
from echolib.phantom.studies import write_lv_study
from echolib.ventricle.clip import measure_clip
from echolib.ventricle.networks import Networks, load_networks

DISPLAYS = {
    "usual": Orientation(),
    "upside down": Orientation(upside_down=True),
    "mirrored": Orientation(mirrored=True),
    "rotated": Orientation(upside_down=True, mirrored=True),
}
SEED = 77


def clips_of(folder: str, phantoms: Path) -> Iterator[tuple[str, Clip]]:
    """Each clip with the name of its source."""
    yield "example clip", example_clip()
    camus = Camus(folder)
    for name, split in camus.table.split.items():
        yield f"CAMUS {split}", camus.clip(name)
    study = EchoNet(phantoms)
    for name in study.table.index:
        yield "phantom", study.clip(name)


def recognised(networks: Networks, source: str, clip: Clip) -> Iterator[dict[str, object]]:
    """A row per display of a clip: what is recognised."""
    for display, shown in DISPLAYS.items():
        found = find_orientation(shown.turn_clip(clip), networks.landmarks)
        both = found.upside_down, found.mirrored
        yield {
            "source": source,
            "display": display,
            "upside down": 100.0 * found.upside_down,
            "mirrored": 100.0 * found.mirrored,
            "right": 100.0 * (both == (shown.upside_down, shown.mirrored)),
        }


def seconds(networks: Networks, clip: Clip, runs: int = 3) -> tuple[float, float]:
    """Shortest time of the orientation, and of the whole measurement."""
    shortest = []
    for measure in (lambda: find_orientation(clip, networks.landmarks),
                    lambda: measure_clip(clip, networks)):  # fmt: skip
        times = []
        for _ in range(runs):
            start = time.perf_counter()
            measure()
            times.append(time.perf_counter() - start)
        shortest.append(min(times))
    return shortest[0], shortest[1]


def main() -> None:
    """Print the table and the times."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("camus", help="folder of CAMUS")
    parser.add_argument("--clips", type=int, default=120, help="phantom clips (default 120)")
    arguments = parser.parse_args()
    networks, rows = load_networks(), []
    with tempfile.TemporaryDirectory() as place:
        phantoms = write_lv_study(Path(place) / "study", arguments.clips, seed=SEED, progress=False)
        for source, clip in clips_of(arguments.camus, phantoms):
            rows += recognised(networks, source, clip)
    groups = pd.DataFrame(rows).groupby(["source", "display"], sort=False)
    table = groups.mean().round(1)
    table.insert(0, "clips", groups.size())
    print(table.to_string())
    for name, part in (("clip", clip), ("its first 30 frames", Clip("part", clip.frames[:30]))):
        look, whole = seconds(networks, part)
        print(f"{name}, {len(part.frames)} frames: {look:.2f} of {whole:.2f} s")


if __name__ == "__main__":
    main()
