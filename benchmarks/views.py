"""How often a clip that is no apical four-chamber view is noticed, and how often one that is.

    python -m benchmarks.views ../shared/camus --hearts 60

Apical four-chamber views are CAMUS training patients (two frames each), the example clip and
phantom clips, some of which nobody could read. Other views are drawn from
the same phantom hearts by `benchmarks.other_views`: simple drawings, no real clips. Prints, for
each source, the spread of the landmarks' heatmaps in the usual display (of 2, 50 and 98 per cent of
the clips at most, px of the network's square) and the per cent of the clips with a warning.

After an exchange of the weights, set `KNOWN` of `echolib.networks.orientation` to the limit that is
printed at the end: `--alarms` per cent of the CAMUS patients spread more.
"""

import argparse
from collections.abc import Iterator

import numpy as np
import pandas as pd

from benchmarks.other_views import VIEWS, draw_view, no_hearts
from echolib.data import Camus, Clip, example_clip
from echolib.networks.models import LandmarkUNet, load_model
from echolib.networks.orientation import find_orientation

SEED = 78
REAL = "CAMUS training patients"


def clips_of(folder: str, hearts: int) -> Iterator[tuple[str, Clip]]:
    """Each clip with the name of its source."""
    camus = Camus(folder)
    for name in camus.table.index[camus.table.split == "train"]:
        yield REAL, camus.clip(name)
    yield "example clip", example_clip()
    for view in VIEWS:
        for index in range(hearts):
            yield view, draw_view(view, SEED, index)
    yield from no_hearts(SEED)


def main() -> None:
    """Print the table and the limit."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("camus", help="folder of CAMUS")
    parser.add_argument("--hearts", type=int, default=60, help="phantom hearts (default 60)")
    parser.add_argument("--alarms", type=float, default=2.0, help="per cent (default 2)")
    parser.add_argument("--weights", default="lv_landmarks", help="landmarks network")
    arguments = parser.parse_args()
    network, rows = load_model(arguments.weights), []
    if not isinstance(network, LandmarkUNet):
        parser.error(f"{arguments.weights} has no heatmaps. Give a landmarks network.")
    for source, clip in clips_of(arguments.camus, arguments.hearts):
        found = find_orientation(clip, network)
        rows.append((source, found.spread, 100.0 * (found.spread > found.limit)))
    clips = pd.DataFrame(rows, columns=["source", "spread", "warned"])
    groups = clips.groupby("source", sort=False)
    table = groups.spread.quantile([0.02, 0.5, 0.98]).unstack().round(1)
    table.insert(0, "clips", groups.size())
    print(table.assign(warned=groups.warned.mean().round(1)).to_string())
    real = groups.get_group(REAL).spread
    limit = float(np.percentile(real, 100 - arguments.alarms))
    print(f"{arguments.alarms:g} % of {REAL} above {limit:.1f} px of {network.size}")


if __name__ == "__main__":
    main()
