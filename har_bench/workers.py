"""Where work runs: in this process, in a process pool, or on a Dask cluster, behind one interface.

All three are a ``concurrent.futures.Executor``, so the engines have one code path.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, TypeVar

from har_bench.errors import HarBenchError

T = TypeVar("T")
R = TypeVar("R")


class InProcess(Executor):
    """Runs every task at once in this process; what ``--jobs 1`` uses."""

    def submit(self, fn: Callable[..., R], /, *args: Any, **kwargs: Any) -> Future[R]:
        """Run ``fn`` now."""
        future: Future[R] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


@contextmanager
def executor(jobs: int, scheduler: str | None = None) -> Iterator[tuple[Executor, int]]:
    """An executor and how many tasks it can work on at a time.

    Args:
        jobs: processes on this machine; 0 means one per processor.
        scheduler: address of a Dask scheduler, such as ``tcp://host:8786``; it is used instead of local processes.

    Raises:
        HarBenchError: the scheduler cannot be reached, or Dask's distributed package is not installed.
    """
    if scheduler:
        with _dask_client(scheduler) as client:
            yield client.get_executor(), max(1, sum(client.nthreads().values()))
        return
    jobs = jobs or os.cpu_count() or 1
    if jobs == 1:
        yield InProcess(), 1
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_die_with_parent) as pool:
        yield pool, jobs


@contextmanager
def _dask_client(scheduler: str) -> Iterator[Any]:
    try:
        from distributed import Client
    except ImportError as error:
        raise HarBenchError("--scheduler needs Dask's distributed package: pip install 'har-bench[dask]'") from error
    try:
        client = Client(scheduler, timeout="10s")
    except (OSError, ValueError) as error:
        remedy = "start one with 'dask scheduler'"
        raise HarBenchError(f"no Dask scheduler answers at {scheduler} ({error}); {remedy}") from error
    with client:
        yield client


def _die_with_parent() -> None:
    """End a worker whose parent was killed: an orphan would go on writing into a folder that is resumed."""

    def watch() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def unordered(pool: Executor, width: int, task: Callable[[T], R], items: Sequence[T]) -> Iterator[tuple[T, R]]:
    """``task(item)`` for every item, as they finish; at most two per worker are under way, so memory stays flat.

    The first exception of a task is raised here, and tasks not yet begun are cancelled.
    """
    waiting = iter(items)
    running: dict[Future[R], T] = {}
    try:
        while True:
            while len(running) < 2 * width and (item := next(waiting, None)) is not None:
                running[pool.submit(task, item)] = item
            if not running:
                return
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                yield running.pop(future), future.result()
    except BrokenProcessPool as error:
        raise HarBenchError(
            "a worker process died: for want of memory (use fewer jobs), or because the calling script does not guard "
            'its work with `if __name__ == "__main__":`; a second run resumes'
        ) from error
    finally:
        for future in running:
            future.cancel()
