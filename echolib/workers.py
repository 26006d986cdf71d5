"""One function that spreads work: over this process, processes of this machine, or a Dask cluster.

Results come in the order of the items and do not depend on who made them. A task that makes parts
of a long run saves each of them whole and passes over what is there (`echolib.parts`), so whatever
stops a run, the same call goes on from there. Workers of a cluster must see the files under the
names that they have here. Whoever reaches the port of a Dask scheduler can run code on its workers;
keep it inside a network that you trust.
"""

import hashlib
import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import chdir, contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2

from . import __version__
from .config import DEVICE, computing_on, device
from .cores import usable_cores, worker_count

if TYPE_CHECKING:
    from distributed import Client, Future

# Minutes of work, beside which the transport of a task is nothing; a lost worker loses no more.
CLIPS_PER_TASK = 100
LEAST_TASKS = 20  # of a small study, so that several workers get equal shares of it
CLIPS_PER_PROCESS = 15  # at least: a process that outlines takes seconds to start
PATIENCE = 10.0  # s: for an answer of the scheduler, and without any worker before it is said
KEPT = "What is finished is kept: the same command goes on from there."

Answer = tuple[list[Any], list[tuple[str, type[Warning]]]]  # results, and warnings to give here
_one_task = threading.Lock()  # of a worker's threads: Python's record of warnings is one for all


def clips_per_task(clips: int) -> int:
    """How many clips of a study of so many a worker gets at a time."""
    return max(1, min(CLIPS_PER_TASK, clips // LEAST_TASKS))


def clip_workers(workers: int | None, clips: int) -> int:
    """Number of processes that share clips which networks outline: as given, or for None what pays.

    That is one per core, each with at least `CLIPS_PER_PROCESS` clips; on a GPU one.
    """
    if workers is not None:
        return workers
    most = usable_cores() if device().type == "cpu" else 1
    return max(1, min(most, clips // CLIPS_PER_PROCESS))


def spread(
    task: Callable[[Any], Any],
    items: Iterable[Any],
    workers: int | None = 1,
    scheduler: str = "",
    together: int = 1,
    needs: Sequence[Path] = (),
    chunk: int = 1,
) -> Iterator[Any]:
    """Yield the result of `task` for each item, in order; its warnings are given here.

    workers: number of processes on this machine, 1 for this process itself, None for one per core.
    scheduler: address of a Dask scheduler, such as tcp://10.0.0.1:8786, whose workers do it
    instead. together: items that such a worker gets at a time. needs: files and folders that it
    must see. chunk: items that a process on this machine gets at a time, more than 1 only where an
    item takes milliseconds. task, items and results are pickled on the way. Raises ValueError for a
    scheduler that does not answer or is lost, and for workers that cannot do the work or end in the
    midst of it.
    """
    items = list(items)
    workers = min(worker_count(workers), max(1, -(-len(items) // chunk)))
    if scheduler:
        return _on_cluster(task, items, scheduler, together, needs)
    return map(task, items) if workers == 1 else _in_processes(task, items, workers, chunk)


def _warn(answer: Answer) -> list[Any]:
    """The results of an answer, after its warnings were given here."""
    results, warned = answer
    for text, category in warned:
        warnings.warn(text, category, stacklevel=4)
    return results


def _answer(task: Callable[[Any], Any], items: Iterable[Any]) -> Answer:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        results = [task(item) for item in items]
    return results, [(str(warning.message), warning.category) for warning in caught]


# --- Processes of this machine --------------------------------------------------------------------

_task: Callable[[Any], Any]  # of this worker process; sent once, because networks are large


def _in_processes(task: Callable, items: list, workers: int, chunk: int) -> Iterator[Any]:
    # spawned, not forked: a notebook's kernel has threads; an executor notices killed workers
    context, threads = multiprocessing.get_context("spawn"), max(1, usable_cores() // workers)
    pool = ProcessPoolExecutor(workers, context, _start_process, (task, threads))
    try:
        with _interrupts_held():
            answers = pool.map(_in_this_process, items, chunksize=chunk)  # starts the processes
        for answer in answers:
            yield from _warn(answer)
    except BrokenProcessPool as error:
        raise ValueError(
            f"One of the {workers} worker processes ended in the midst of its work; most often "
            f"memory was short. {KEPT} Give it fewer --workers."
        ) from error
    except (KeyboardInterrupt, GeneratorExit):  # nobody waits for what the workers do now
        for process in list(pool._processes.values()):
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back until the end of the block; processes that it starts never get one.

    A terminal sends Ctrl-C to the workers too, which would print where they were. They inherit
    that the signal is blocked, from their first moment on; the command ends them.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    came: list[int] = []
    before = signal.getsignal(signal.SIGINT)
    # The threads of libraries do not block it; Python handles it in the main thread.
    handled = threading.current_thread() is threading.main_thread() and before is not None
    if handled:
        signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if handled:
            signal.signal(signal.SIGINT, before)
    if came:
        signal.raise_signal(signal.SIGINT)


def _start_process(task: Callable, threads: int) -> None:
    """Prepare a worker process, which has its share of the cores."""
    global _task
    _task = task
    cv2.setNumThreads(threads)
    if torch := sys.modules.get("torch"):  # only where the task has brought it
        torch.set_num_threads(threads)
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    """End this process with its parent: a killed parent cannot tell its workers to stop."""
    if parent := multiprocessing.parent_process():  # every worker has one
        parent.join()
        os._exit(1)


def _in_this_process(item: Any) -> Answer:
    return _answer(_task, [item])


# --- A cluster ------------------------------------------------------------------------------------


def _on_cluster(
    task: Callable, items: list, scheduler: str, together: int, needs: Sequence[Path]
) -> Iterator[Any]:
    with _client(scheduler) as client:
        from distributed.protocol import serialize_bytes

        order = code_digest(), os.getcwd(), os.environ.get(DEVICE)
        seen = [str(path.absolute()) for path in needs]
        letter = serialize_bytes(task)

        # Functions in a function travel whole, so that the scheduler needs no echolib, and a
        # worker that has none can say so.
        def give_letter() -> bytes:
            return letter

        def call(items: list, letter: bytes) -> Answer:
            from distributed import get_worker

            try:
                from echolib.workers import on_worker
            except ImportError as error:
                raise ValueError(
                    f"The worker {get_worker().address} has no echolib, or one of another version "
                    f"({error}). Install there what is installed here."
                ) from error
            return on_worker(items, letter, *order, seen)

        chunks = [items[start : start + together] for start in range(0, len(items), together)]
        shared = client.submit(give_letter, pure=False)  # made anew where its worker is lost
        futures = client.map(call, chunks, letter=shared, pure=False)
        for answer in _in_order(client, scheduler, futures):
            yield from _warn(answer)


@contextmanager
def _client(scheduler: str) -> "Iterator[Client]":
    """A connection to a scheduler, whose own errors become sentences."""
    try:
        import dask
        from distributed import Client, KilledWorker
        from distributed.comm import CommClosedError, get_address_host_port
    except ImportError as error:
        raise ValueError(
            f"Work on a cluster needs Dask, which is not here ({error}). In the folder of "
            "echolib's checkout, install it: "
            '`pip install -e ".[cluster]"`.'
        ) from error
    from asyncio import CancelledError
    from concurrent.futures import CancelledError as FutureCancelled

    try:
        # asked first, because a Client that cannot connect complains once more when it is deleted
        socket.create_connection(get_address_host_port(scheduler), PATIENCE).close()
        client = Client(scheduler, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:  # CommClosedError is an OSError
        raise ValueError(
            f"No Dask scheduler answers at {scheduler!r}. Start one with `dask scheduler`, and "
            "give the address that it prints, such as tcp://10.0.0.1:8786."
        ) from error
    large = {"distributed.admin.large-graph-warning-threshold": "1 GB"}  # networks are
    with dask.config.set(large), _silent("distributed.client"), client, client.as_current():
        try:
            yield client
        except KilledWorker as error:
            raise ValueError(
                f"A task ended {error.allowed_failures + 1} workers, one after the other; most "
                f"often memory was short. {KEPT} Start workers with more memory."
            ) from error
        except (CancelledError, FutureCancelled, CommClosedError) as error:
            raise ValueError(f"The scheduler {scheduler} was lost. {KEPT}") from error


@contextmanager
def _silent(log: str) -> Iterator[None]:
    """Switch off a log that repeats in paragraphs what is said here in a sentence."""
    logger = logging.getLogger(log)
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)


def _in_order(client: "Client", scheduler: str, futures: "list[Future]") -> Iterator[Answer]:
    """Answers in the order of the tasks; the first failure of any of them is raised at once."""
    from distributed import wait

    pending, given = set(futures), 0
    while pending:
        try:
            done, pending = wait(pending, timeout=PATIENCE, return_when="FIRST_COMPLETED")
        except TimeoutError:
            if not client.nthreads():
                warnings.warn(
                    f"The scheduler {scheduler} has no worker: waiting for one. Start it with "
                    f"`dask worker {scheduler} --nthreads 1`.",
                    stacklevel=4,
                )
            continue
        for future in done:
            if future.status != "finished":
                future.result()  # raises its error
        while given < len(futures) and futures[given].status == "finished":
            yield futures[given].result()
            given += 1


def on_worker(
    items: list, letter: bytes, code: str, folder: str, device: str | None, needs: list[str]
) -> Answer:
    """Do a task on a worker of a cluster, as it would be done where it comes from.

    letter: the task, packed. code: `code_digest` there. folder: where the command was started,
    from which its paths are read. device: `ECHOLIB_DEVICE` there. Raises ValueError, which names
    the worker, where the package is another one, a file of `needs` cannot be seen, or the task
    itself fails.
    """
    from distributed import get_worker
    from distributed.protocol import deserialize_bytes

    worker = f"worker {get_worker().address} on {socket.gethostname()}"
    if code != code_digest():
        raise ValueError(
            f"The {worker} has another version of echolib ({code_digest()}) than this command "
            f"({code}). Install one version everywhere, and start the workers anew."
        )
    for path in needs:
        if not os.path.exists(path):
            raise ValueError(
                f"The {worker} cannot see {path}. Use a disk that all workers share under one "
                "name, or start workers only where it is mounted."
            )
    with _one_task, computing_on(device), chdir(folder) if os.path.isdir(folder) else nullcontext():
        try:
            return _answer(deserialize_bytes(letter), items)
        except (OSError, ValueError) as error:
            raise ValueError(f"The {worker}: {error} {KEPT}") from error


@cache
def code_digest() -> str:
    """The version of the package, and a hash of its code: between two versions it changes, too."""
    digest, root = hashlib.sha256(), Path(__file__).parent
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return f"{__version__}, {digest.hexdigest()[:8]}"
