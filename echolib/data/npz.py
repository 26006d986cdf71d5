"""Archives of arrays, written one array at a time, under any names."""

import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ..files import atomic_path


def write_npz(path: str | Path, arrays: Iterable[tuple[str, np.ndarray]]) -> None:
    """Write what `numpy.savez_compressed` would, whole or not at all.

    arrays: names and arrays, taken one after the other, so that they need not lie in memory
    together. A name may be anything, also one that numpy's function takes for an option.
    """
    with (
        atomic_path(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for name, array in arrays:
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asarray(array), allow_pickle=False)
