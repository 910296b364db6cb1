"""The local engine: read ahead, map on threads in order, with bounded work in flight."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


def ordered_map(
    work: Callable[[T], R], items: Iterable[T], workers: int
) -> Generator[R, None, None]:
    """Yield ``work(item)`` for every item, in input order.

    At most ``workers + 1`` items are in flight, so memory follows the batch size and not the
    input.  An error of ``work`` is raised where its result would have come; closing the generator
    drops what has not begun.

    Args:
        work: a pure function of one batch.
        items: batches, read lazily in the caller's thread.
        workers: number of threads, at least 1.
    """
    mapper: OrderedMap[T, R] = OrderedMap(lambda: None, lambda _, item: work(item), workers)
    try:
        for _, result in mapper(items):
            yield result
    finally:
        mapper.close()


class OrderedMap(Generic[T, R]):
    """Map items on threads that each keep a worker of their own; results come in input order.

    Args:
        make: builds one worker; called once per thread, again if it failed.  Where a worker has
            ``interrupt`` and ``close``, they are called when the map is closed.
        work: applies a worker to an item.
        workers: number of threads, at least 1.
        ahead: items that may wait for a thread, or for the caller, beyond one per thread and one.
    """

    def __init__(
        self,
        make: Callable[[], object],
        work: Callable[[object, T], R],
        workers: int,
        *,
        ahead: int = 0,
    ) -> None:
        self._make = make
        self._work = work
        self._most = workers + ahead
        self._local = threading.local()
        self._made: list[object] = []
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="irkit-stage")

    def __call__(self, items: Iterable[T]) -> Iterator[tuple[T, R]]:
        """Yield each item with its result; bounded many are in flight."""
        waiting: deque[tuple[T, Future[R]]] = deque()
        for item in items:
            waiting.append((item, self._pool.submit(self._one, item)))
            if len(waiting) > self._most:
                done, future = waiting.popleft()
                yield done, future.result()
        while waiting:
            done, future = waiting.popleft()
            yield done, future.result()

    def prepare(self) -> None:
        """Begin to build a worker, so that the first item need not wait for it.

        An error is raised where the first item's result would have come.
        """
        self._pool.submit(self._worker)

    def _worker(self) -> object:
        if not hasattr(self._local, "worker"):
            self._local.worker = self._make()
            self._made.append(self._local.worker)
        return self._local.worker

    def _one(self, item: T) -> R:
        return self._work(self._worker(), item)

    def close(self) -> None:
        """Stop: waiting items are dropped, running ones interrupted."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._each("interrupt")
        self._pool.shutdown(wait=True)
        self._each("close")

    def _each(self, method: str) -> None:
        for worker in self._made:
            call = getattr(worker, method, None)
            if call is not None:
                call()


class _End:
    """Marks the end of a stream, with what ended it."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def read_ahead(items: Iterable[T], depth: int) -> Generator[T, None, None]:
    """Run an iterator in a thread, at most ``depth`` items ahead of the reader.

    Closing the returned generator stops the thread.
    """
    box: queue.Queue[T | _End] = queue.Queue(depth)
    stop = threading.Event()

    def put(item: T | _End) -> bool:
        while not stop.is_set():
            try:
                box.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def run() -> None:
        error: BaseException | None = None
        try:
            for item in items:
                if not put(item):
                    break
        except BaseException as caught:  # handed to the reader, whatever it is
            error = caught
        put(_End(error))

    thread = threading.Thread(target=run, name="read-ahead", daemon=True)
    thread.start()
    try:
        while True:
            item = box.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        stop.set()
        thread.join()
