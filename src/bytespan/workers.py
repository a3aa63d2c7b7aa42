"""Work dealt to several processes: results in the order of the items, and never many items ahead.

Processes are spawned, so a program that asks for them must keep its own work under `if __name__ == "__main__":`.
"""

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import connection, get_context, parent_process
from queue import Queue
from typing import Any, TypeVar

from bytespan.errors import WorkerError

Work = Callable[[Any], Any]
"""What a worker does with an item; items and results are pickled."""

Item = TypeVar("Item")

AHEAD = 2
"""Items a worker that are read before the result of the first of them is handed on."""

_work: Work


def in_order(prepare: Callable[[], Work], items: Iterable[Item], *, workers: int) -> Iterator[Any]:
    """The result for each item. Reads AHEAD items a worker ahead, and holds what is done until it is asked for.

    `prepare` is called once in each worker and must be picklable. Raises WorkerError if a worker dies.
    """
    with _pool(prepare, workers) as pool:
        waiting: deque[Future[Any]] = deque()
        for item in items:
            waiting.append(pool.submit(_do, item))
            while waiting and (waiting[0].done() or len(waiting) >= AHEAD * workers):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def hand_on(prepare: Callable[[], Work], items: Iterable[Item], take: Callable[[Any], None], *, workers: int) -> None:
    """Call `take` in a thread with each result as soon as it and those before it are there, whenever items come.

    What `take` raises, and what `items` raise once all results before are taken, is raised here.
    """
    waiting: Queue[Future[Any] | None] = Queue(AHEAD * workers)
    failures: list[BaseException] = []

    def take_all() -> None:
        while future := waiting.get():
            try:
                if not failures:
                    take(future.result())
            except BaseException as error:
                failures.append(error)

    with _pool(prepare, workers) as pool:
        taker = threading.Thread(target=take_all, name="bytespan-results")
        taker.start()
        try:
            for item in items:
                if failures:
                    break
                waiting.put(pool.submit(_do, item))
        except KeyboardInterrupt as error:
            failures.append(error)
        finally:
            waiting.put(None)
            taker.join()
        if failures:
            raise failures[0]


@contextmanager
def _pool(prepare: Callable[[], Work], workers: int) -> Iterator[ProcessPoolExecutor]:
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_begin, initargs=(prepare,))
    try:
        yield pool
    except BrokenProcessPool as error:
        raise WorkerError(
            f"one of {workers} worker processes ended before its work was done: it was killed, perhaps for want of "
            'memory, or the program starts them outside of `if __name__ == "__main__":`; use fewer workers'
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(prepare: Callable[[], Work]) -> None:
    """Make this process ready for work."""
    global _work
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process, and the first one ends the others
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _work = prepare()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _do(item: Any) -> Any:
    return _work(item)
