"""Several processes: order, errors from every side, and a worker that dies."""

import threading
from collections.abc import Iterator
from itertools import count

import pytest

from bytespan import CorpusError, WorkerError
from bytespan.workers import AHEAD, hand_on, in_order
from squares import prepare


def test_results_come_in_order_and_items_are_read_a_bounded_way_ahead() -> None:
    read = []

    def items() -> Iterator[int]:
        for number in count():
            read.append(number)
            yield -number

    results = in_order(prepare, items(), workers=2)
    for number in range(20):
        assert next(results) == number * number
        assert len(read) <= number + 2 * AHEAD
    results.close()
    assert list(in_order(prepare, [], workers=2)) == []


def test_results_are_handed_on_in_order_before_what_the_items_raise() -> None:
    def items() -> Iterator[int]:
        yield from range(5)
        raise CorpusError("line 6")

    taken: list[int] = []
    with pytest.raises(CorpusError, match="line 6"):
        hand_on(prepare, items(), taken.append, workers=2)
    assert taken == [0, 1, 4, 9, 16]


def test_result_is_handed_on_while_the_next_item_is_awaited() -> None:
    arrived = threading.Event()

    def items() -> Iterator[int]:
        yield 3
        assert arrived.wait(60)

    hand_on(prepare, items(), lambda _: arrived.set(), workers=2)


def test_what_taking_raises_ends_the_work() -> None:
    def take(result: int) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        hand_on(prepare, count(100), take, workers=1)


def test_what_a_worker_raises_is_raised_here() -> None:
    with pytest.raises(CorpusError, match="seven"):
        list(in_order(prepare, [5, 6, 7, 8], workers=1))
    with pytest.raises(CorpusError, match="seven"):
        hand_on(prepare, [5, 6, 7, 8], lambda _: None, workers=1)


def test_death_of_a_worker_is_one_sentence() -> None:
    with pytest.raises(WorkerError, match="one of 2 worker processes ended before its work was done: it was killed"):
        list(in_order(prepare, [8, 9, 10, 11], workers=2))
    with pytest.raises(WorkerError, match="use fewer workers"):
        hand_on(prepare, [8, 9, 10, 11, 12, 13], lambda _: None, workers=2)
