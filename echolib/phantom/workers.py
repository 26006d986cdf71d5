"""Processes that draw hearts in parallel, without a trace of how many there were."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

import cv2


def worker_count(workers: int | None) -> int:
    """The number asked for, or one for each core that this process may use."""
    if workers is None:
        limited = hasattr(os, "sched_getaffinity")  # Linux only
        return len(os.sched_getaffinity(0)) if limited else os.cpu_count() or 1
    if workers < 1:
        raise ValueError(f"workers must be 1 or more, not {workers}.")
    return workers


def _start_worker() -> None:
    cv2.setNumThreads(1)  # the processes are the parallelism
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A killed parent cannot tell its workers to stop; without this they would wait forever."""
    multiprocessing.parent_process().join()
    os._exit(1)


def in_parallel(task: Callable, items: range, workers: int, chunk: int) -> Iterator:
    """Results of `task` for each item, in order, from `workers` processes."""
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


@contextmanager
def _one_thread() -> Iterator[None]:
    """OpenCV on one thread, so that bytes do not depend on how work is shared out."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)
