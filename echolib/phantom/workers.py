"""Workers that draw hearts in parallel; results do not depend on their number or place."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import cv2

from ..workers import clips_per_task, spread


def _start_worker() -> None:
    cv2.setNumThreads(1)  # the processes run in parallel already
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    """End this process with its parent: a killed parent cannot tell its workers to stop."""
    if parent := multiprocessing.parent_process():  # every worker has one
        parent.join()
        os._exit(1)


def in_parallel(task: Callable, items: range, workers: int, chunk: int) -> Iterator:
    """Yield the results of `task` for each item, in order, from `workers` processes.

    chunk: items that a process receives at a time.
    """
    workers = min(workers, -(-len(items) // chunk))
    if workers == 1:
        with _one_thread():
            yield from map(task, items)
        return
    # spawned, not forked: a notebook's kernel has threads; an executor notices killed workers
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _start_worker)
    try:
        yield from pool.map(task, items, chunksize=chunk)
    finally:
        pool.shutdown(cancel_futures=True)


def on_cluster(task: Callable, items: range, scheduler: str, needs: list[Path]) -> Iterator:
    """Yield the results of `task` for each item, in order, from the workers of a Dask scheduler.

    needs: files that the workers must see.
    """
    drawn = partial(_with_one_thread, task)
    yield from spread(
        drawn, items, scheduler=scheduler, together=clips_per_task(len(items)), needs=needs
    )


def _with_one_thread(task: Callable, item: int) -> object:
    with _one_thread():
        return task(item)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Limit OpenCV to one thread, so that bytes do not depend on how work is divided."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)
