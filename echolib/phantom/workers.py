"""Hearts are drawn in parallel; results do not depend on the number or place of the workers."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2

from ..workers import clips_per_task, spread


def in_parallel(
    task: Callable[[int], Any],
    items: Sequence[int],
    workers: int,
    chunk: int = 1,
    scheduler: str = "",
    needs: Sequence[Path] = (),
) -> Iterator[Any]:
    """Yield the results of `task` for each item, in order, see `workers.spread`."""
    drawn, together = partial(_with_one_thread, task), clips_per_task(len(items))
    return spread(drawn, items, workers, scheduler, together, needs, chunk)


def _with_one_thread(task: Callable[[int], Any], item: int) -> Any:
    """Draw with one thread of OpenCV, so that bytes do not depend on how work is divided."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        return task(item)
    finally:
        cv2.setNumThreads(threads)
