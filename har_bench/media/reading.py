"""Work done ahead by threads: what comes next is ready when it is asked for, in order, and no more than said.

Decoding images and videos and cutting crops leave Python's lock alone, so threads are enough.
"""

from __future__ import annotations

import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

_END = object()


def threads_of(workers: int) -> int:
    """How many threads ``workers`` stands for: 0 is one per processor."""
    return workers or os.cpu_count() or 1


def read_ahead(items: Iterable[T], depth: int) -> Iterator[T]:
    """The same items, made by a thread that is at most ``depth`` of them ahead; its exceptions are raised here."""
    shelf = _Shelf(depth)
    thread = threading.Thread(target=shelf.fill, args=(items,), name="read-ahead", daemon=True)
    thread.start()
    try:
        while (item := shelf.take()) is not _END:
            yield item  # type: ignore[misc]
    finally:
        shelf.stopped.set()
        thread.join()


class _Shelf:
    """Where a thread puts what is not asked for yet."""

    def __init__(self, depth: int) -> None:
        self._ready: queue.Queue[tuple[object, BaseException | None]] = queue.Queue(max(1, depth))
        self.stopped = threading.Event()

    def take(self) -> object:
        """The next item, or :data:`_END`."""
        item, error = self._ready.get()
        if error is not None:
            raise error
        return item

    def fill(self, items: Iterable[object]) -> None:
        """Put every item there, or as many as are wanted."""
        try:
            for item in items:
                self._put(item)
                if self.stopped.is_set():
                    break
            self._put(_END)
        except BaseException as error:
            self._put(_END, error)
        finally:
            if isinstance(items, Generator):
                items.close()

    def _put(self, item: object, error: BaseException | None = None) -> None:
        while not self.stopped.is_set():
            with suppress(queue.Full):
                self._ready.put((item, error), timeout=0.1)
                return


def mapped(task: Callable[[T], R], items: Iterable[T], *, workers: int, ahead: int) -> Iterator[R]:
    """``task`` of every item, in order, computed by threads.

    Args:
        task: leaves Python's lock alone for the most of its time.
        items: taken one by one as there is room.
        workers: threads; with one, everything happens here and now.
        ahead: how many results may be ready or under way.
    """
    if workers == 1:
        yield from map(task, items)
        return
    waiting: deque[Future[R]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="media") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(task, item))
                if len(waiting) >= max(1, ahead):
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
