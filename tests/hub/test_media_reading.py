"""Work ahead: in order, never too far, errors where they belong, and threads that end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from har_bench.media.reading import mapped, read_ahead, threads_of


def numbers(stop: int, taken: list[int]) -> Iterator[int]:
    """The numbers before ``stop``, and in ``taken`` those that were asked for."""
    for number in range(stop):
        taken.append(number)
        yield number


def test_items_come_in_order_and_only_so_many_ahead() -> None:
    made: list[int] = []
    ahead = read_ahead(numbers(100, made), 3)
    assert next(ahead) == 0
    time.sleep(0.3)
    assert len(made) <= 1 + 3 + 2
    assert list(ahead) == list(range(1, 100))


def test_an_error_is_raised_where_its_item_would_have_come() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise KeyError("two")

    ahead = read_ahead(broken(), 4)
    assert next(ahead) == 1
    with pytest.raises(KeyError, match="two"):
        next(ahead)


def test_who_stops_early_leaves_no_thread_and_nothing_open() -> None:
    closed = threading.Event()

    def endless() -> Iterator[int]:
        try:
            number = 0
            while True:
                yield (number := number + 1)
        finally:
            closed.set()

    ahead = read_ahead(endless(), 2)
    assert next(ahead) == 1
    ahead.close()  # type: ignore[attr-defined]
    assert closed.wait(2)
    assert not [thread for thread in threading.enumerate() if thread.name == "read-ahead"]


@pytest.mark.parametrize("workers", [1, 4])
def test_mapped_results_keep_their_order(workers: int) -> None:
    def slow(number: int) -> int:
        time.sleep(0.01 * (number % 3))
        return number * number

    assert list(mapped(slow, range(20), workers=workers, ahead=5)) == [number * number for number in range(20)]


def test_mapped_takes_no_more_than_said_and_raises_in_order() -> None:
    taken: list[int] = []

    def odd(number: int) -> int:
        if number == 7:
            raise ValueError("seven")
        return number

    results = mapped(odd, numbers(50, taken), workers=2, ahead=4)
    assert next(results) == 0
    assert len(taken) <= 5
    with pytest.raises(ValueError, match="seven"):
        list(results)


def test_no_number_of_workers_is_one_per_processor() -> None:
    assert threads_of(3) == 3
    assert threads_of(0) >= 1
