"""The number of threads that torch computes with on the CPU: chosen once, then watched.

Threads of one computation wait for each other: where another process takes one of their cores, all
wait for the one that has to share. Who sets `OMP_NUM_THREADS` decides the number, and it stays.
"""

import os
import warnings
from collections.abc import Hashable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from time import perf_counter

import torch

from ..cores import seconds_waited, usable_cores
from ..memory import reuse_freed_memory

WINDOW = 3.0  # s of computing after which the speed is judged
COLLAPSED = 1 / 3  # of the best speed: a slower window is a bad one
CROWDED = 0.25  # s that threads wait for a core in each second: a window with more is a bad one
PATIENCE = 9.0  # s of computing in bad windows in a row, after which fewer threads are tried
GAIN = 1.3  # how many times as fast another number of threads must be to be kept
PAUSE = 40  # windows until the next trial after one that failed, and until more threads are tried


class Work(dict[Hashable, tuple[int, float]]):
    """Images and the seconds that they took, by kind of work."""

    def add(self, kind: Hashable, images: int, seconds: float) -> None:
        """Add some images."""
        before = self.get(kind, (0, 0.0))
        self[kind] = before[0] + images, before[1] + seconds

    def speed_to(self, other: "Work") -> float:
        """Ratio of the speed to that of `other`, over the kinds in both; 0 if they share none."""
        shared = self.keys() & other.keys()
        then = sum(self[kind][0] * other[kind][1] / other[kind][0] for kind in shared)
        return then / sum(self[kind][1] for kind in shared) if shared else 0.0


class ThreadWatch:
    """Watches the images a second, and tries fewer threads where they collapse.

    A window is bad if it is much slower than the best of the same kinds of work, or if others take
    the cores. Bad ones in a row begin a trial of half as many threads. They are kept, with a
    warning, if they are faster; after a while all are tried again. On a quiet machine nothing is
    tried, so that equal runs give equal bits; else they differ by rounding. most: all threads.
    """

    def __init__(self, most: int) -> None:
        self.most = self.threads = most
        self._best, self._lately = Work(), Work()
        self._before: tuple[int, Work] | None = None  # threads and work before a trial
        self._bad, self._after, self._pause = 0.0, 0, 0  # bad s; windows since and to a trial
        self._open()

    def _open(self) -> None:
        self._window, self._opened = Work(), (perf_counter(), seconds_waited())

    @contextmanager
    def computing(self, images: int, kind: Hashable) -> Iterator[None]:
        """Watch a block that computes a number of images. kind: of the work."""
        started = perf_counter()
        yield
        now = Work({kind: (images, max(perf_counter() - started, 1e-9))})
        if kind not in self._best or now.speed_to(self._best) > 1:
            self._best |= now
        for work in (self._window, self._lately):
            work.add(kind, *now[kind])
        taken = sum(seconds for _, seconds in self._window.values())
        if taken >= WINDOW:
            self._judge(taken)
            self._open()

    def _judge(self, taken: float) -> None:
        if self._before:
            return self._end_trial(*self._before)
        crowded = seconds_waited() - self._opened[1] > CROWDED * (perf_counter() - self._opened[0])
        slow = self._window.speed_to(self._best) < COLLAPSED
        self._bad = self._bad + taken if crowded or slow else 0.0
        self._after += 1
        fewer = self._bad >= PATIENCE and self.threads > 1 and self._after > self._pause
        more = not crowded and self.threads < self.most and self._after > PAUSE
        if fewer or more:
            self._before = self.threads, self._lately if fewer else self._window
            self.threads = self.threads // 2 if fewer else self.most
            torch.set_num_threads(self.threads)
        if self._bad in (0.0, taken) or fewer or more:  # the first bad window may have begun well
            self._lately = Work()

    def _end_trial(self, threads: int, before: Work) -> None:
        gain = self._window.speed_to(before)
        if gain > GAIN:
            share = "share" if self.threads < threads else "no longer share"
            warnings.warn(
                f"Computing goes on with {self.threads} instead of {threads} threads, which is "
                f"{gain:.1f} times as fast: other programs {share} the processor.",
                stacklevel=2,
            )
        else:
            torch.set_num_threads(threads)
            self.threads = threads
        self._before, self._bad, self._after = None, 0.0, 0
        self._pause = 0 if gain > GAIN else PAUSE


@cache
def thread_watch() -> ThreadWatch:
    """The process's watch. Limits torch to `usable_cores`; with `OMP_NUM_THREADS`, to nothing.

    Where it computes, it also reuses its memory, see `memory.reuse_freed_memory`.
    """
    reuse_freed_memory()
    if os.environ.get("OMP_NUM_THREADS"):
        return ThreadWatch(1)  # there are no fewer to try
    if torch.get_num_threads() > usable_cores():
        torch.set_num_threads(usable_cores())
    return ThreadWatch(torch.get_num_threads())


def watched(device: torch.device, images: int, kind: Hashable) -> AbstractContextManager[None]:
    """Watch a block that computes images on the CPU; on other devices, nothing is done."""
    return thread_watch().computing(images, kind) if device.type == "cpu" else nullcontext()
