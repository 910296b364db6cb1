"""The local engine: map batches on threads, in order, with bounded work in flight."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

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
    pool = ThreadPoolExecutor(workers, thread_name_prefix="irkit-stage")
    try:
        waiting: deque[Future[R]] = deque()
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
