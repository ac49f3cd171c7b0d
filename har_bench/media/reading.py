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
    ready: queue.Queue[tuple[object, BaseException | None]] = queue.Queue(max(1, depth))
    stopped = threading.Event()

    def hand_over(item: object, error: BaseException | None = None) -> None:
        while not stopped.is_set():
            with suppress(queue.Full):
                ready.put((item, error), timeout=0.1)
                return

    def work() -> None:
        try:
            for item in items:
                hand_over(item)
                if stopped.is_set():
                    break
            hand_over(_END)
        except BaseException as error:
            hand_over(_END, error)
        finally:
            if isinstance(items, Generator):
                items.close()

    thread = threading.Thread(target=work, name="read-ahead", daemon=True)
    thread.start()
    try:
        while True:
            item, error = ready.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item  # type: ignore[misc]
    finally:
        stopped.set()
        thread.join()


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
