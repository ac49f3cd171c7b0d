"""Where work runs: in this process, in a process pool, or on a Dask cluster, behind one interface.

All three are a ``concurrent.futures.Executor``, so the engines have one code path.
"""

from __future__ import annotations

import ctypes
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import pyarrow as pa

from har_bench.errors import HarBenchError, HarBenchWarning

LOOK_EVERY_S = 2.0
SPEAK_AFTER_S = 5.0
GIVE_UP_AFTER_S = 30.0
"""How often a cluster that is silent is looked at, and how long one without workers is waited for."""

FORKS = sys.platform == "linux"
"""Whether workers are copies of a process; elsewhere the system's own libraries do not bear it."""

KEPT = {-3: 32 << 20, -1: 256 << 20}
"""Up to which size a worker takes an array from memory that it has had already (M_MMAP_THRESHOLD), and how much of that
it keeps (M_TRIM_THRESHOLD) [bytes]. Else the system clears the same memory anew for every array of every shard."""

SAFE_PATH = "PYTHONSAFEPATH"

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


class Cluster(Executor):
    """The workers of a Dask scheduler, who may come and go; at least one is waited for."""

    def __init__(self, client: Any, scheduler: str) -> None:
        self._client = client
        self._executor = client.get_executor()
        self._scheduler = scheduler
        self._width = 0
        self._next_look = 0.0
        self._alone_since: float | None = None
        while not self.width():
            time.sleep(0.2)

    def submit(self, fn: Callable[..., R], /, *args: Any, **kwargs: Any) -> Future[R]:
        """Run ``fn`` on a worker."""
        future: Future[R] = self._executor.submit(fn, *args, **kwargs)
        return future

    def width(self) -> int:
        """How many tasks the workers can work on at a time; the scheduler is asked now and then.

        Raises:
            HarBenchError: there has been none for :data:`GIVE_UP_AFTER_S`.
            CancelledError: the scheduler is lost.
        """
        now = time.monotonic()
        if now < self._next_look:
            return self._width
        self._next_look = now + LOOK_EVERY_S
        try:
            self._width = sum(self._client.nthreads().values())
        except OSError as error:
            raise CancelledError from error
        if self._width:
            self._alone_since = None
        else:
            self._alone_since = self._alone_since or now
            self._speak_or_give_up(now - self._alone_since)
        return self._width

    def _speak_or_give_up(self, waited: float) -> None:
        remedy = f"start one with 'dask worker {self._scheduler}'"
        if waited > GIVE_UP_AFTER_S:
            raise HarBenchError(f"no worker has joined the Dask scheduler {self._scheduler}; {remedy}")
        if waited > SPEAK_AFTER_S:
            waiting = f"waiting {GIVE_UP_AFTER_S:.0f} s for a worker to join the Dask scheduler {self._scheduler}"
            warnings.warn(f"{waiting}; {remedy}", HarBenchWarning, stacklevel=2)


@contextmanager
def executor(jobs: int, scheduler: str | None = None) -> Iterator[tuple[Executor, int]]:
    """An executor and how many tasks it can work on at a time.

    Args:
        jobs: processes on this machine; 0 means one per processor.
        scheduler: address of a Dask scheduler, such as ``tcp://host:8786``; it is used instead of local processes.

    Raises:
        HarBenchError: the scheduler cannot be reached or is lost, has no workers, or loses them over one task, or
            Dask's distributed package is not installed.
    """
    if scheduler:
        with _dask_client(scheduler) as client:
            cluster = Cluster(client, scheduler)
            yield cluster, cluster.width()
        return
    if jobs < 0:
        raise HarBenchError(f"{jobs} processes cannot be; give how many, or 0 for one per processor")
    jobs = jobs or os.cpu_count() or 1
    if jobs == 1:
        yield InProcess(), 1
        return
    prepare()
    context, others = multiprocessing.get_context("forkserver" if FORKS else "spawn"), multiprocessing.active_children()
    with ProcessPoolExecutor(jobs, context, initializer=_begin, initargs=(dict(os.environ),)) as pool:
        try:
            with heard_later():
                pool.submit(os.getpid)  # a process begins now, and not with the first task
            pa.array([0])  # Arrow looks for pandas meanwhile, and not when everybody waits for this process
            yield pool, jobs
        except KeyboardInterrupt:
            ours = set(multiprocessing.active_children()).difference(others)
            for worker in ours:
                worker.terminate()  # which does not hear it, and may be long at a shard
            for worker in ours:
                worker.join()
            raise


def prepare(*modules: str) -> None:
    """Begin to load what workers on this machine need, while the caller finds out what there is to do.

    They are copies of one process that has loaded it, where that can be; else each loads it for itself. That process
    ends with this one, and what it has loaded is what was asked for first.

    Args:
        modules: their names, besides what every worker needs.
    """
    if FORKS:
        from multiprocessing import forkserver  # which other systems have not

        forkserver.set_forkserver_preload(["pandas", *modules])
        with _unheard(), _nothing_from_here():
            forkserver.ensure_running()


@contextmanager
def _nothing_from_here() -> Iterator[None]:
    """A Python that begins inside takes no modules from the current folder, where a clone of us may lie, or anything.

    Workers get their parent's path of modules later, and its environment.
    """
    before = os.environ.get(SAFE_PATH)
    os.environ[SAFE_PATH] = "1"
    try:
        yield
    finally:
        del os.environ[SAFE_PATH]
        if before is not None:
            os.environ[SAFE_PATH] = before


@contextmanager
def _unheard() -> Iterator[None]:
    """Processes that begin inside do not hear Ctrl-C, which a terminal sends to every one: the first one ends them."""
    if threading.current_thread() is not threading.main_thread():  # nobody else may say what is heard
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before or signal.SIG_DFL)


@contextmanager
def heard_later() -> Iterator[None]:
    """Ctrl-C is heard at the end of the block, which is one that must not be left half done.

    A worker that has half begun is nobody's, and complains of its end; HDF5 ends the process.
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler or (
        threading.current_thread() is not threading.main_thread()
    ):
        yield
        return
    pressed: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if pressed:
        raise KeyboardInterrupt


@contextmanager
def _dask_client(scheduler: str) -> Iterator[Any]:
    try:
        from distributed import Client, KilledWorker
        from distributed.comm import CommClosedError
    except ImportError as error:
        raise HarBenchError("--scheduler needs Dask's distributed package: pip install 'har-bench[dask]'") from error
    # what it would say of a lost scheduler is said below, once
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
    try:
        client = Client(scheduler, timeout="10s")
    except Exception as error:  # a wrong address is met with any
        remedy = "start one with 'dask scheduler'"
        raise HarBenchError(f"no Dask scheduler answers at {scheduler} ({error}); {remedy}") from error
    try:
        yield client
    except (CancelledError, CommClosedError, TimeoutError) as error:
        remedy = "start it and its workers again, then give the same command; a conversion resumes"
        raise HarBenchError(f"the Dask scheduler at {scheduler} was lost; {remedy}") from error
    except KilledWorker as error:
        remedy = "give the workers more memory, or run fewer on a machine; a second run resumes"
        raise HarBenchError(f"several workers of {scheduler} died over one task; {remedy}") from error
    except ModuleNotFoundError as error:
        remedy = "install the same har-bench and plug-ins there as here"
        raise HarBenchError(f"a worker of {scheduler} cannot do this work ({error}); {remedy}") from error
    finally:
        client.close(timeout=1)


def _begin(environment: dict[str, str]) -> None:
    """Give a worker the environment of its parent, and its end: an orphan would go on writing what is resumed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it
    os.environ.clear()
    os.environ.update(environment)
    with suppress(AttributeError, OSError):  # of the GNU C library
        for what, size in KEPT.items():
            ctypes.CDLL(None).mallopt(what, size)

    def watch() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def unordered(pool: Executor, width: int, task: Callable[[T], R], items: Sequence[T]) -> Iterator[tuple[T, R]]:
    """``task(item)`` for every item, as they finish; at most two per worker are under way, so memory stays flat.

    The first exception of a task is raised here, when those that have begun are over; the others are cancelled.
    """
    waiting = iter(items)
    running: dict[Future[R], T] = {}
    try:
        while True:
            if isinstance(pool, Cluster):
                width = max(pool.width(), 1)
            while len(running) < 2 * width and (item := next(waiting, None)) is not None:
                with heard_later():
                    running[pool.submit(task, item)] = item
            if not running:
                return
            finished, _ = wait(running, timeout=LOOK_EVERY_S, return_when=FIRST_COMPLETED)
            for future in finished:
                yield running.pop(future), future.result()
    except BrokenProcessPool as error:
        raise HarBenchError(
            "a worker process died: for want of memory (use fewer jobs), or because the calling script does not guard "
            'its work with `if __name__ == "__main__":`; a second run resumes'
        ) from error
    finally:
        if running and isinstance(pool, ProcessPoolExecutor):  # it stumbles over what others cancel, if it breaks then
            interrupted = sys.exc_info()[0] is KeyboardInterrupt  # `executor` ends the workers; nobody waits for them
            pool.shutdown(wait=not interrupted, cancel_futures=True)
        else:
            for future in running:
                future.cancel()
