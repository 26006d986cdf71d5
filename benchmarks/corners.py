"""How far the two ends of the base lie from the true ones, and what landmarks and volumes lose.

    python -m benchmarks.corners ../shared/camus

CAMUS outlines cavity, wall and atrium; the wall ends at the true corners of the base. Training
patients only. For ED and ES it prints how far the worse of the two corners lies from the truth that
`geometry.base_corners` finds in the cavity's shape alone: of the label as it is, and of one scaled
to a network's 112 px. Then: Dice of the label with the polygon through 40 and 7 of its landmarks,
and the difference of the ejection fraction with corners that were found from that with true ones.
"""

import argparse

import cv2
import numpy as np
import pandas as pd

from echolib.data import Camus
from echolib.data.camus import annulus_ends, label_tracing
from echolib.geometry import (
    SUBSETS,
    base_corners,
    disk_volume,
    ejection_fraction,
    long_axis,
    mask_outline,
    mask_to_tracing,
    polygon_to_mask,
)
from echolib.metrics import dice

FAR = 3.0  # mm
SIZE = 112


def miss(outline: np.ndarray, true: np.ndarray) -> float:
    """Distance in px of the worse corner of an outline from the true ones (2, 2)."""
    found = base_corners(outline, long_axis(outline))
    return float(np.hypot(*(found - true[np.argsort(true[:, 0])]).T).max())


def small_outline(mask: np.ndarray) -> np.ndarray:
    """Outline of a mask (H, W) scaled to SIZE px, in px of the mask as it is."""
    scale = SIZE / max(mask.shape)
    small = cv2.resize(mask.astype(np.float32), None, fx=scale, fy=scale,
                       interpolation=cv2.INTER_AREA)  # fmt: skip
    return (mask_outline(small > 0.5) + 0.5) / scale - 0.5


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("camus", help="folder of CAMUS")
    data = Camus(parser.parse_args().camus)
    misses, agreement, volumes = [], [], []
    for clip in data.table.index[data.table.split == "train"]:
        for frame in data.labelled(clip)[0]:
            outline = mask_outline(frame.mask)
            true = annulus_ends(frame.regions, outline)
            for kind, shape in (("as it is", outline), (f"{SIZE} px", small_outline(frame.mask))):
                if true is not None:
                    far = frame.spacing * miss(shape, true)
                    misses.append({"label": kind, "phase": frame.phase, "mm": far})
            for count, chosen in SUBSETS.items():
                drawn = polygon_to_mask(frame.landmarks[list(chosen)], frame.mask.shape, False)
                agreement.append({"landmarks": count, "Dice": dice(drawn, frame.mask)})
            for kind, tracing in (("true", label_tracing(frame.regions)),
                                  ("found", mask_to_tracing(frame.mask))):  # fmt: skip
                volume = disk_volume(tracing, frame.spacing)
                row = {"corners": kind, "clip": clip, "phase": frame.phase, "volume": volume}
                volumes.append(row)
    groups = pd.DataFrame(misses).groupby(["label", "phase"]).mm
    far = groups.agg(frames="size", off=lambda mm: (mm > FAR).sum(), worst="max", mean="mean")
    print(far.rename(columns={"off": f"off by > {FAR:g} mm"}).round(2))
    print(pd.DataFrame(agreement).groupby("landmarks").Dice.agg(["mean", "min"]).round(4))
    table = pd.DataFrame(volumes).pivot(index=["clip", "corners"], columns="phase").volume.dropna()
    fraction = pd.Series(
        [ejection_fraction(*pair) for pair in table[["ED", "ES"]].to_numpy()], table.index
    ).unstack()
    change = (fraction.found - fraction.true).abs()
    print(f"EF, found against true corners: mean {change.mean():.2f}, max {change.max():.2f}")


if __name__ == "__main__":
    main()
