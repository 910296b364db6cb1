"""Features that are read on a thread of their own, before anyone asks for them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

T = TypeVar("T")


class Ahead:
    """Runs some jobs one after the other on one thread, over a connection that only it uses.

    Args:
        con: connection to the case; closed at the end.
        jobs: what to read, by name, in order.
    """

    def __init__(
        self, con: DuckDBPyConnection, jobs: Mapping[str, Callable[[DuckDBPyConnection], object]]
    ) -> None:
        self._con = con
        self._closed = threading.Event()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="irkit-ahead")
        self._made = {name: self._pool.submit(job, con) for name, job in jobs.items()}

    def result(self, name: str) -> object:
        """Wait for a job and return its result; what went wrong in it is raised here."""
        return self._made[name].result()

    def until_closed(self, items: Iterator[T]) -> Iterator[T]:
        """Pass on what a job reads until nobody waits for it any more.

        Raises:
            CancelledError: the reader was closed.
        """
        for item in items:
            if self._closed.is_set():
                raise CancelledError
            yield item

    def close(self) -> dict[str, object]:
        """Stop what is still being read, and return the results there are."""
        self._closed.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._con.close()
        return {
            name: future.result()
            for name, future in self._made.items()
            if not future.cancelled() and future.exception() is None
        }
