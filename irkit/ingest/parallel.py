"""Two small pieces of concurrency: read ahead, and map in order on several threads.

Reading, mapping and writing release the interpreter lock for most of their time, so threads overlap
them; results come back in input order, so the outcome does not depend on timing.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


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


class OrderedMap(Generic[T, R]):
    """Map items on worker threads; results come in input order.

    Args:
        make: builds one worker; called once per thread.
        work: applies a worker to an item.
        workers: number of threads.
    """

    def __init__(
        self, make: Callable[[], object], work: Callable[[object, T], R], workers: int
    ) -> None:
        self._make = make
        self._work = work
        self._workers = workers
        self._local = threading.local()
        self._made: list[object] = []
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="project")

    def __call__(self, items: Iterable[T]) -> Iterator[tuple[T, R]]:
        """Yield each item with its result; one item more than threads is in flight."""
        waiting: deque[tuple[T, Future[R]]] = deque()
        for item in items:
            waiting.append((item, self._pool.submit(self._one, item)))
            if len(waiting) > self._workers:
                done, future = waiting.popleft()
                yield done, future.result()
        while waiting:
            done, future = waiting.popleft()
            yield done, future.result()

    def _one(self, item: T) -> R:
        worker = getattr(self._local, "worker", None)
        if worker is None:
            worker = self._make()
            self._local.worker = worker
            self._made.append(worker)
        return self._work(worker, item)

    def close(self) -> None:
        """Stop: waiting items are dropped, running ones interrupted."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        for worker in self._made:
            interrupt = getattr(worker, "interrupt", None)
            if interrupt is not None:
                interrupt()
        self._pool.shutdown(wait=True)
        for worker in self._made:
            close = getattr(worker, "close", None)
            if close is not None:
                close()
